// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasctl status: what is there, what is wrong and what to do about it. Works
 * without the module, and goes on after each thing that is wrong.
 */
#include <jansson.h>
#include <stdarg.h>

#include "tool.h"

static const struct option_row options[] = {
	{ 'j', "json", NULL, "print JSON" },
	{ 0 },
};

/* What the kernel puts behind the root of a mount whose directory is gone. */
#define DELETED		"//deleted"

/* Of one kind, such as removed cgroups, this many are told of. */
#define GONE_MAX	8

/**
 * struct status - what was found out
 * @loaded: the module is in this kernel
 * @reached: the module answered: @info holds what
 * @info: what it answered
 * @mounts: JSON of the mounts of type faasin
 * @whole: one of them shows everything
 * @cgroup: where cgroup v2 is mounted, or ""
 * @memory: who has the memory controller: "v2", "v1" or "off"
 * @problems: JSON of what is wrong
 * @gone: workflows and stages whose cgroup was removed
 */
struct status {
	bool loaded;
	bool reached;
	struct faasctl_info info;
	json_t *mounts;
	bool whole;
	char cgroup[4096];
	const char *memory;
	json_t *problems;
	unsigned int gone;
};

static void problem(struct status *status, const char *remedy,
		    const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void problem(struct status *status, const char *remedy,
		    const char *format, ...)
{
	char what[640];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	clean(what);
	json_array_append_new(status->problems,
			      json_pack("{s:o, s:s?}", "problem", json_text(what),
					"remedy", remedy));
}

/* The first line of a file that is @key's; false if there is none. */
static bool read_line(const char *path, const char *key, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, size, f)) {
		line[strcspn(line, "\n")] = '\0';
		found = !key || (!strncmp(line, key, strlen(key)) &&
				 strchr(" \t", line[strlen(key)]));
	}
	fclose(f);
	return found;
}

/* Whether a blank-separated list has a word. */
static bool has_word(char *list, const char *word)
{
	char *save = NULL, *p;

	for (p = strtok_r(list, " ", &save); p; p = strtok_r(NULL, " ", &save))
		if (!strcmp(p, word))
			return true;
	return false;
}

static void check_module(struct status *status)
{
	struct faasctl_error err;

	status->loaded = !access("/sys/module/faasin", F_OK);
	if (!faasctl_info_get(NULL, &status->info, &err)) {
		status->reached = true;
		if (status->info.abi != FAASIN_ABI_VERSION)
			problem(status, "install matching versions",
				"the module speaks ABI %u, this tool %d",
				status->info.abi, FAASIN_ABI_VERSION);
		return;
	}
	if (!status->loaded)
		problem(status, "modprobe faasin", "the module is not loaded");
	else if (err.code == EPERM)
		problem(status, "run this as root of the host, outside of containers",
			"not permitted to ask the module");
	else if (err.code == ENOENT)
		problem(status, "run this in the host's network namespace",
			"the module cannot be reached from this network namespace");
	else
		problem(status, NULL, "%s", err.message);
}

static int note_mount(const struct faasctl_mount *mount, void *arg)
{
	struct status *status = arg;
	json_t *workflow = NULL, *stage = NULL, *json;
	char *name, *slash, *gone = NULL;

	if (!strcmp(mount->root, "/")) {
		status->whole = true;
	} else {
		name = strdup(mount->root + 1);
		if (!name)
			return 0;
		gone = strstr(name, DELETED);
		if (gone)
			*gone = '\0';
		slash = strchr(name, '/');
		if (slash) {
			*slash = '\0';
			stage = json_text(slash + 1);
		}
		workflow = json_text(name);
		free(name);
	}
	json = json_pack("{s:o, s:o, s:o, s:b}",
			 "point", json_text(mount->point),
			 "workflow", workflow ? workflow : json_null(),
			 "stage", stage ? stage : json_null(),
			 "deleted", !!gone);
	json_array_append_new(status->mounts, json);
	return 0;
}

static void check_mounts(struct status *status)
{
	struct faasctl_error err;

	if (faasctl_mount_each(FAASIN_FS_NAME, note_mount, status, &err))
		problem(status, NULL, "%s", err.message);
	else if (status->loaded && !status->whole)
		problem(status, "mount -t faasin none /sys/fs/faasin",
			"faasin is not mounted with everything in it");
}

/* Why cgroup v2 does not have the memory controller. */
static void explain_memory(struct status *status)
{
	char line[512];
	int hierarchy = 0, enabled = 1;

	if (read_line("/proc/cgroups", "memory", line, sizeof(line)))
		sscanf(line, "memory %d %*d %d", &hierarchy, &enabled);
	if (!enabled) {
		problem(status, "boot without cgroup_disable=memory",
			"the memory controller is switched off");
	} else if (hierarchy) {
		status->memory = "v1";
		problem(status, "boot with systemd.unified_cgroup_hierarchy=1, or use --uncharged",
			"cgroup v1 has the memory controller (a v1 or hybrid host)");
	} else {
		problem(status, "use --uncharged, or a cgroup that has it",
			"cgroup v2 has no memory controller at %s",
			status->cgroup);
	}
}

static void check_cgroups(struct status *status)
{
	char line[4096 + 32];
	struct faasctl_error err;

	status->memory = "off";
	if (faasctl_mount_find("cgroup2", status->cgroup,
			       sizeof(status->cgroup), &err)) {
		status->cgroup[0] = '\0';
		problem(status, "mount -t cgroup2 none /sys/fs/cgroup",
			"cgroup v2 is not mounted");
		return;
	}
	snprintf(line, sizeof(line), "%s/cgroup.controllers", status->cgroup);
	if (read_line(line, NULL, line, sizeof(line)) && has_word(line, "memory"))
		status->memory = "v2";
	else
		explain_memory(status);
	if (read_line("/proc/cmdline", NULL, line, sizeof(line)) &&
	    has_word(line, "cgroup.memory=nokmem"))
		problem(status, "boot without cgroup.memory=nokmem, or use --uncharged",
			"accounting of kernel memory is switched off");
}

static int check_workflow(const struct faasctl_workflow *workflow, void *arg)
{
	struct status *status = arg;

	if (workflow->flags & FAASIN_WORKFLOW_F_CGROUP_GONE &&
	    ++status->gone <= GONE_MAX)
		problem(status, "delete the workflow and create it again",
			"the cgroup that pays for workflow \"%s\" was removed",
			workflow->name);
	return 0;
}

static int check_stage(const struct faasctl_stage *stage, void *arg)
{
	struct status *status = arg;

	if (stage->flags & FAASIN_STAGE_F_CGROUP_GONE &&
	    ++status->gone <= GONE_MAX)
		problem(status, "bind another: faasctl stage add --cgroup PATH WORKFLOW STAGE",
			"the cgroup of stage \"%s\" of workflow \"%s\" was removed",
			stage->name, stage->workflow);
	return 0;
}

static void check_objects(struct status *status)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;

	if (!status->reached || status->info.abi != FAASIN_ABI_VERSION)
		return;
	if (faasctl_open(&ctl, &err) ||
	    faasctl_workflow_each(ctl, NULL, check_workflow, status, &err) ||
	    faasctl_stage_each(ctl, NULL, NULL, check_stage, status, &err))
		problem(status, NULL, "%s", err.message);
	if (status->gone > GONE_MAX)
		problem(status, "see: faasctl show",
			"the cgroups of %u more stages or workflows were removed",
			status->gone - GONE_MAX);
}

static int print_json(struct status *status)
{
	const struct faasctl_info *info = &status->info;
	json_t *module = NULL;

	if (status->reached)
		module = json_pack("{s:o, s:I, s:I, s:I, s:I}",
				   "version", json_text(info->version),
				   "abi", (json_int_t)info->abi,
				   "workflows", (json_int_t)info->workflows,
				   "workflows_max", (json_int_t)info->workflows_max,
				   "event_seq", (json_int_t)info->event_seq);
	return json_print(json_pack("{s:{s:s, s:i}, s:b, s:o, s:O, s:{s:o, s:s}, s:O}",
		"tool", "version", FAASIN_VERSION, "abi", FAASIN_ABI_VERSION,
		"loaded", status->loaded,
		"module", module ? module : json_null(),
		"mounts", status->mounts,
		"cgroup", "mount", status->cgroup[0] ?
			json_text(status->cgroup) : json_null(),
		"memory", status->memory,
		"problems", status->problems));
}

static const char *member(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void print_mounts(const struct status *status)
{
	const char *workflow, *stage;
	json_t *mount;
	size_t i;

	json_array_foreach(status->mounts, i, mount) {
		workflow = member(mount, "workflow");
		stage = member(mount, "stage");
		fputs("mount    ", stdout);
		print_escaped(member(mount, "point"), stdout);
		fputs(": ", stdout);
		if (stage) {
			fputs("stage \"", stdout);
			print_escaped(stage, stdout);
			fputs("\" of ", stdout);
		}
		if (workflow) {
			fputs("workflow \"", stdout);
			print_escaped(workflow, stdout);
			fputs("\"", stdout);
		} else {
			fputs("everything", stdout);
		}
		puts(json_is_true(json_object_get(mount, "deleted")) ?
		     ", deleted" : "");
	}
	if (!json_array_size(status->mounts))
		puts("mount    none");
}

static void print_text(const struct status *status)
{
	struct text version = text_clean(status->info.version);
	const char *remedy;
	json_t *found;
	size_t i;

	printf("faasctl  %s, ABI %d\n", FAASIN_VERSION, FAASIN_ABI_VERSION);
	if (status->reached)
		printf("module   %s, ABI %u, %u of %u workflows\n", version.s,
		       status->info.abi, status->info.workflows,
		       status->info.workflows_max);
	else
		printf("module   %s\n", status->loaded ?
		       "loaded, but does not answer" : "not loaded");
	print_mounts(status);
	printf("cgroup   v2 %s", status->cgroup[0] ? "at " : "not mounted");
	if (status->cgroup[0])
		print_escaped(status->cgroup, stdout);
	putchar('\n');
	printf("memory   controller %s\n", !strcmp(status->memory, "off") ?
	       "not available" : !strcmp(status->memory, "v1") ?
	       "taken by cgroup v1" : "available");
	json_array_foreach(status->problems, i, found) {
		remedy = member(found, "remedy");
		printf("%sproblem%s  %s%s%s\n", red(), plain(),
		       member(found, "problem"), remedy ? "; do: " : "",
		       remedy ? remedy : "");
	}
	if (!json_array_size(status->problems))
		puts("Everything is in order.");
}

static int run(struct args *args)
{
	struct status status = { 0 };
	bool json;
	int ret;

	json = args_json(args);
	args_rest(args, 0, 0);

	status.mounts = json_array();
	status.problems = json_array();
	check_module(&status);
	check_mounts(&status);
	check_cgroups(&status);
	check_objects(&status);
	if (json) {
		ret = print_json(&status);
	} else {
		print_text(&status);
		ret = finish_output();
	}
	if (ret == STATUS_OK && json_array_size(status.problems))
		ret = STATUS_REFUSED;
	json_decref(status.mounts);
	json_decref(status.problems);
	return ret;
}

const struct command status_command = {
	.name = "status",
	.run = run,
	.args = "[OPTION]...",
	.help = "Tell whether everything is in order, and what to do if not",
	.example = "faasctl status",
	.options = options,
};
