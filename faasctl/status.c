// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl status: is everything there, and what to do if not. */
#include <jansson.h>
#include <limits.h>

#include "tool.h"

static const struct option_row options[] = {
	{ 'j', "json", NULL, "print JSON" },
	{ 0 },
};

/**
 * struct status - what was found
 * @json: the document
 * @problems: in it
 * @mounts: in it
 */
struct status {
	json_t *json;
	json_t *problems;
	json_t *mounts;
};

__attribute__((format(printf, 2, 3)))
static void problem(struct status *st, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(st->problems, json_string(text));
}

/* The first line of a file, or an empty string. */
static struct text first_line(const char *path)
{
	struct text line = { "" };
	FILE *f = fopen(path, "re");

	if (!f)
		return line;
	if (!fgets(line.s, sizeof(line.s), f))
		line.s[0] = '\0';
	line.s[strcspn(line.s, "\n")] = '\0';
	fclose(f);
	return line;
}

static void look_at_module(struct status *st)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	bool loaded = !access("/sys/module/faasin", F_OK);
	struct text version = first_line("/sys/module/faasin/version");
	struct faasctl_info info;
	struct faasctl_error err;

	json_object_set_new(st->json, "module_loaded", json_boolean(loaded));
	json_object_set_new(st->json, "module_version",
			    *version.s ? json_string(version.s) : json_null());
	if (!loaded) {
		problem(st, "the module is not loaded; run: modprobe faasin");
		return;
	}
	if (*version.s && strcmp(version.s, FAASIN_VERSION))
		problem(st, "module %s and tool %s are of different versions; install matching ones",
			version.s, FAASIN_VERSION);
	if (faasctl_open(&ctl, &err) || faasctl_info_get(ctl, &info, &err)) {
		problem(st, "%s", err.message);
		return;
	}
	json_object_set_new(st->json, "module_abi", json_integer(info.abi));
	json_object_set_new(st->json, "workflows", json_integer(info.workflows));
	json_object_set_new(st->json, "workflows_max",
			    json_integer(info.workflows_max));
}

/* Mounts of the type, and the mount options of each as the kernel says them. */
static void look_at_mounts(struct status *st)
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[2 * PATH_MAX], point[PATH_MAX], type[64], opts[512];
	bool all = false;

	while (f && fgets(line, sizeof(line), f)) {
		json_t *mount;

		if (sscanf(line, "%*s %4095s %63s %511s", point, type, opts) != 3 ||
		    strcmp(type, FAASIN_FS_NAME))
			continue;
		mount = json_pack("{s:s, s:s}", "point", point, "options", opts);
		json_array_append_new(st->mounts, mount);
		all |= !strstr(opts, "workflow=");
	}
	if (f)
		fclose(f);
	if (!json_array_size(st->mounts))
		problem(st, "faasin is not mounted; run: mount -t faasin none /sys/fs/faasin");
	else if (!all)
		json_object_set_new(st->json, "scoped", json_true());
}

static void look_at_cgroups(struct status *st)
{
	char path[PATH_MAX], file[PATH_MAX + 32];
	struct text controllers;
	struct faasctl_error err;

	if (faasctl_mount_find("cgroup2", path, sizeof(path), &err)) {
		json_object_set_new(st->json, "cgroup2", json_null());
		problem(st, "%s", err.message);
		return;
	}
	json_object_set_new(st->json, "cgroup2", json_string(path));
	snprintf(file, sizeof(file), "%s/cgroup.controllers", path);
	controllers = first_line(file);
	if (!strstr(controllers.s, "memory"))
		problem(st, "cgroup v2 has no memory controller here (a v1 or hybrid host); boot with systemd.unified_cgroup_hierarchy=1, or use --uncharged");
}

static void print(const struct status *st)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach(st->json, key, value) {
		if (json_is_string(value))
			printf("%-16s %s\n", key, json_string_value(value));
		else if (json_is_integer(value))
			printf("%-16s %lld\n", key,
			       (long long)json_integer_value(value));
		else if (json_is_boolean(value))
			printf("%-16s %s\n", key,
			       json_is_true(value) ? "yes" : "no");
	}
	json_array_foreach(st->mounts, i, value)
		printf("%-16s %s (%s)\n", "mount",
		       json_string_value(json_object_get(value, "point")),
		       json_string_value(json_object_get(value, "options")));
	json_array_foreach(st->problems, i, value)
		printf("%sproblem%s          %s\n", red(), plain(),
		       json_string_value(value));
	if (!json_array_size(st->problems))
		puts("all is well");
}

static int run(struct args *args)
{
	struct status st = { NULL };
	bool json = false;
	int id, ret, bad;

	while ((id = args_next(args)) != -1)
		json |= id == 'j';
	args_rest(args, 0, 0);
	st.json = json_pack("{s:s, s:i, s:[], s:[]}", "tool_version",
			    FAASIN_VERSION, "tool_abi", FAASIN_ABI_VERSION,
			    "mounts", "problems");
	if (!st.json) {
		fputs("faasctl: out of memory\n", stderr);
		return STATUS_REFUSED;
	}
	st.mounts = json_object_get(st.json, "mounts");
	st.problems = json_object_get(st.json, "problems");
	look_at_module(&st);
	look_at_mounts(&st);
	look_at_cgroups(&st);
	bad = json_array_size(st.problems) ? STATUS_REFUSED : STATUS_OK;
	if (json) {
		ret = json_print(st.json);
	} else {
		print(&st);
		json_decref(st.json);
		ret = finish_output();
	}
	return ret ? ret : bad;
}

const struct command status_command = {
	.name = "status",
	.run = run,
	.args = "[OPTION]...",
	.help = "Tell whether everything is there, and what to do if not",
	.example = "faasctl status",
	.options = options,
};
