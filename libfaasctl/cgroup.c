// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The default cgroups: MOUNT/faasin/WORKFLOW pays, MOUNT/faasin/WORKFLOW/STAGE
 * is a stage's. The module does not care where cgroups are; this layout is the
 * tools'.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "internal.h"

#define TOP	FAASCTL__CGROUP

static int mount_dir(char *path, size_t size, struct faasctl_error *err)
{
	int ret, fd;

	ret = faasctl_mount_find("cgroup2", path, size, err);
	if (ret)
		return ret;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return faasctl__fail_errno(err, errno, "cannot open %s", path);
	return fd;
}

FAASCTL_API int faasctl_cgroup_open(const char *path, struct faasctl_error *err)
{
	char mount[4096];
	struct statfs fs;
	int fd = -1, dir;

	if (path[0] == '/')
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (path[0] != '/' || (fd < 0 && errno == ENOENT)) {
		dir = mount_dir(mount, sizeof(mount), err);
		if (dir < 0)
			return dir;
		fd = openat(dir, path + strspn(path, "/"),
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(dir);
		if (fd < 0 && errno == ENOENT)
			return faasctl__fail(err, ENOENT,
				"cgroup %s does not exist, nor does %s/%s: create it with mkdir",
				path, mount, path + strspn(path, "/"));
	}
	if (fd < 0 && errno == ENOTDIR)
		return faasctl__fail(err, EBADF,
			"%s is not a directory: name a cgroup's directory",
			path);
	if (fd < 0)
		return faasctl__fail_errno(err, errno, "cannot open cgroup %s",
					   path);
	if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		close(fd);
		return faasctl__fail(err, EBADF,
			"%s is not a cgroup v2 directory: name one below the cgroup2 mount",
			path);
	}
	return fd;
}

static int write_string(int dir, const char *file, const char *text)
{
	_cleanup_(faasctl__closep) int fd = -1;
	ssize_t n;

	fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = write(fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Lets the children of a cgroup have the memory controller. */
static int enable_memory(int dir, const char *path, struct faasctl_error *err)
{
	int ret = write_string(dir, "cgroup.subtree_control", "+memory");

	/* Not in cgroup.controllers, so somebody else has it: v1. */
	if (ret == -ENOENT || ret == -EINVAL)
		return faasctl__fail(err, EOPNOTSUPP,
			"cgroup v2 has no memory controller in %s (a v1 or hybrid host): boot with systemd.unified_cgroup_hierarchy=1, or use --uncharged",
			path);
	if (ret)
		return faasctl__fail_errno(err, -ret,
			"cannot enable the memory controller in %s", path);
	return 0;
}

/* Opens a child directory, made if missing; 1 in *@made if it was. */
static int descend(int dir, const char *name, const char *path, bool *made,
		   struct faasctl_error *err)
{
	int fd;

	*made = !mkdirat(dir, name, 0755);
	if (!*made && errno != EEXIST)
		return faasctl__fail_errno(err, errno,
					   "cannot create cgroup %s", path);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return faasctl__fail_errno(err, errno,
					   "cannot open cgroup %s", path);
	return fd;
}

/* @made: a bit a level that was made: 1 the top, 2 the workflow, 4 the stage */
int faasctl__cgroup_default(const char *workflow, const char *stage,
			    unsigned int *made, struct faasctl_error *err)
{
	const char *names[] = { TOP, workflow, stage };
	char path[4096 + 256];
	size_t len, level;
	int dir, fd, ret;
	bool new;

	*made = 0;
	ret = faasctl_name_check("workflow", workflow, err);
	if (!ret && stage)
		ret = faasctl_name_check("stage", stage, err);
	if (ret)
		return ret;
	dir = mount_dir(path, 4096, err);
	if (dir < 0)
		return dir;
	for (level = 0; level < ARRAY_SIZE(names) && names[level]; level++) {
		/* A stage's cgroup need not have it: only the workflow pays. */
		ret = !stage ? enable_memory(dir, path, err) : 0;
		if (ret)
			break;
		len = strlen(path);
		snprintf(path + len, sizeof(path) - len, "/%s", names[level]);
		fd = descend(dir, names[level], path, &new, err);
		if (new)
			*made |= 1u << level;
		if (fd < 0) {
			ret = fd;
			break;
		}
		close(dir);
		dir = fd;
	}
	if (!ret)
		return dir;
	close(dir);
	faasctl__cgroup_remove(workflow, stage, *made, NULL);
	*made = 0;
	return ret;
}

FAASCTL_API int faasctl_cgroup_default(const char *workflow, const char *stage,
				       struct faasctl_error *err)
{
	unsigned int made;

	return faasctl__cgroup_default(workflow, stage, &made, err);
}

static int remove_level(int mount, const char *path, struct faasctl_error *err)
{
	if (!unlinkat(mount, path, AT_REMOVEDIR) || errno == ENOENT)
		return 0;
	if (errno == EBUSY || errno == ENOTEMPTY)
		return faasctl__fail(err, EBUSY,
			"cgroup %s stays: processes or cgroups are in it",
			path);
	return faasctl__fail_errno(err, errno, "cannot remove cgroup %s", path);
}

/* @levels: bits as of faasctl__cgroup_default() */
int faasctl__cgroup_remove(const char *workflow, const char *stage,
			   unsigned int levels, struct faasctl_error *err)
{
	_cleanup_(faasctl__closep) int dir = -1;
	char path[4096];
	int ret = 0;

	dir = mount_dir(path, sizeof(path), err);
	if (dir < 0)
		return dir;
	if (levels & 4 && stage) {
		snprintf(path, sizeof(path), TOP "/%s/%s", workflow, stage);
		ret = remove_level(dir, path, err);
	}
	if (levels & 2 && !ret) {
		snprintf(path, sizeof(path), TOP "/%s", workflow);
		ret = remove_level(dir, path, err);
	}
	/* Others may have their cgroups below it by now. */
	if (levels & 1 && !ret)
		unlinkat(dir, TOP, AT_REMOVEDIR);
	return ret;
}

FAASCTL_API int faasctl_cgroup_remove(const char *workflow, const char *stage,
				      struct faasctl_error *err)
{
	int ret;

	ret = faasctl_name_check("workflow", workflow, err);
	if (!ret && stage)
		ret = faasctl_name_check("stage", stage, err);
	if (ret)
		return ret;
	return faasctl__cgroup_remove(workflow, stage, stage ? 4 : 2, err);
}
