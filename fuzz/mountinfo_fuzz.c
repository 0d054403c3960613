// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/self/mountinfo as libfaasctl reads it, for mounts and for the paths of
 * ports, and what `faasctl status` says of it. The first byte is the room that the
 * caller has for a path.
 */
#include <stdio.h>

#include "harness.h"

struct job {
	struct bytes in;
	size_t room;
};

static int note(const struct faasctl_mount *mount, void *arg)
{
	size_t *n = arg;

	*n += strlen(mount->point) + strlen(mount->root) + 1;
	return 0;
}

/* A path that was found ends in its room, a failure says why. */
static void check(int ret, const char *path, size_t room,
		  const struct faasctl_error *err)
{
	if (ret)
		harness_check_error(err, ret);
	else
		PROMISE(memchr(path, '\0', room), "a path ends in its room");
}

static int read_mounts(void *arg)
{
	struct faasctl_error err = { 0 };
	struct job *job = arg;
	char *path = malloc(job->room);
	size_t n = 0;
	int ret;

	if (!path)
		abort();
	PROMISE(!faasctl_mount_each("faasin", note, &n, &err),
		"all mounts can be looked at");
	ret = faasctl_mount_find("cgroup2", path, job->room, &err);
	check(ret, path, job->room, &err);
	ret = faasctl_mount_find("faasin", path, job->room, &err);
	check(ret, path, job->room, &err);
	ret = faasctl_port_path("wf1", "a", "faasout", path, job->room, &err);
	check(ret, path, job->room, &err);
	if (!ret)
		PROMISE(strlen(path) >= strlen("/faasout") &&
			!strcmp(path + strlen(path) - strlen("/faasout"), "/faasout"),
			"the path of a port ends in its name");
	free(path);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[] = { "faasctl", "status", NULL };
	struct bytes in = { data, size };
	uint8_t room = bytes_u8(&in);
	struct job job = { .room = room ? room : 4096 };
	struct output output;

	harness_answers((struct bytes){ data, 0 });
	harness_mountinfo(in);
	harness_run(read_mounts, &job, &output);
	PROMISE(!output.len && !output.errors_len, "the library prints nothing");
	harness_output_free(&output);

	harness_mountinfo(in);
	harness_tool(2, argv, &output);
	harness_check_printable(output.text, output.len);
	harness_check_printable(output.errors, output.errors_len);
	harness_output_free(&output);
	return 0;
}
