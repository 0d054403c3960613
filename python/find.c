// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where a stage's ports are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/faasin.h>

#include "core.h"

static int keep(char *to, size_t size, const char *path, struct faasctl_error *err)
{
	if (snprintf(to, size, "%s", path) < (int)size)
		return 0;
	err->code = ENAMETOOLONG;
	snprintf(err->message, sizeof(err->message), "the path of the port is too long");
	return -ENAMETOOLONG;
}

/* What the environment says: of another port, that it is beside the one that is named. */
static int from_environment(const char *name, char *path, size_t size, struct faasctl_error *err)
{
	const char *in = getenv("FAASIN"), *out = getenv("FAASOUT");
	const char *beside = in && *in ? in : out, *slash;
	char text[4096];

	if (in && *in && !strcmp(name, FAASIN_PORT_IN))
		return keep(path, size, in, err);
	if (out && *out && !strcmp(name, FAASIN_PORT_OUT))
		return keep(path, size, out, err);
	slash = beside ? strrchr(beside, '/') : NULL;
	if (!slash)
		return -ENOENT;
	snprintf(text, sizeof(text), "%.*s/%s", (int)(slash - beside), beside, name);
	return keep(path, size, text, err);
}

/*
 * Finds the port @name of this process's stage: by FAASIN and FAASOUT, else below /run/faasin,
 * /sys/fs/faasin, or wherever else the file system is mounted. What has a slash is a path.
 * Returns 0 or a negative errno, with a text.
 */
int find_port(const char *name, char *path, size_t size, struct faasctl_error *err)
{
	static const char *const points[] = { "/run/faasin", "/sys/fs/faasin" };
	char point[3072];
	size_t i;
	int ret;

	if (strchr(name, '/'))
		return keep(path, size, name, err);
	ret = faasctl_name_check("port", name, err);
	if (ret)
		return ret;
	ret = from_environment(name, path, size, err);
	if (ret != -ENOENT)
		return ret;
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		snprintf(path, size, "%s/self/%s", points[i], name);
		if (!access(path, F_OK))
			return 0;
	}
	ret = faasctl_mount_find(FAASIN_FS_NAME, point, sizeof(point), err);
	if (!ret)
		snprintf(path, size, "%s/self/%s", point, name);
	return ret;
}
