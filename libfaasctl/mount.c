// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where file systems are mounted, and so where ports are. */
#include <stdio.h>

#include "internal.h"

/* Undoes the kernel's \ooo for blanks and backslashes, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
		    s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to = (s[1] - '0') << 6 | (s[2] - '0') << 3 |
			      (s[3] - '0');
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = '\0';
}

/*
 * Takes a line of mountinfo apart:
 *   36 35 98:0 ROOT POINT options tags... - TYPE source options
 */
static bool split(char *line, char **root, char **point, char **type)
{
	char *save = NULL, *word;
	int i;

	*root = NULL;
	*point = NULL;
	word = strtok_r(line, " ", &save);
	for (i = 0; word && strcmp(word, "-"); i++) {
		if (i == 3)
			*root = word;
		else if (i == 4)
			*point = word;
		word = strtok_r(NULL, " ", &save);
	}
	*type = word ? strtok_r(NULL, " ", &save) : NULL;
	if (!*root || !*point || !*type)
		return false;
	unescape(*root);
	unescape(*point);
	return true;
}

/* How much a mount point is preferred; the first of the best is taken. */
static int rank(const char *point)
{
	if (!strcmp(point, "/sys/fs/faasin") || !strcmp(point, "/sys/fs/cgroup"))
		return 3;
	if (!strcmp(point, "/run/faasin"))
		return 2;
	return 1;
}

FAASCTL_API int faasctl_mount_each(const char *fstype, faasctl_mount_fn fn,
				   void *arg, struct faasctl_error *err)
{
	char *line = NULL, *root, *point, *type;
	struct faasctl_mount mount;
	size_t room = 0;
	int ret = 0;
	FILE *f;

	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return faasctl__fail_errno(err, errno,
					   "cannot read /proc/self/mountinfo");
	while (!ret && getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!split(line, &root, &point, &type) || strcmp(type, fstype))
			continue;
		mount.point = point;
		mount.root = root;
		ret = fn(&mount, arg);
	}
	free(line);
	fclose(f);
	return ret;
}

/**
 * struct search - what find() looks for, and what was found
 * @want: the root that the mount is to have
 * @path: the best mount point so far
 * @size: of @path
 * @best: its rank; 0 while there is none
 */
struct search {
	const char *want;
	char *path;
	size_t size;
	int best;
};

static int consider(const struct faasctl_mount *mount, void *arg)
{
	struct search *search = arg;

	if (strcmp(mount->root, search->want) ||
	    rank(mount->point) <= search->best)
		return 0;
	search->best = rank(mount->point);
	if (snprintf(search->path, search->size, "%s", mount->point) >=
	    (int)search->size)
		return -ENAMETOOLONG;
	return 0;
}

/* Finds the best mount of a type whose root is @want. -ENOENT without text. */
static int find(const char *fstype, const char *want, char *path, size_t size,
		struct faasctl_error *err)
{
	struct search search = { .want = want, .path = path, .size = size };
	int ret;

	ret = faasctl_mount_each(fstype, consider, &search, err);
	if (ret == -ENAMETOOLONG)
		return faasctl__fail(err, ENAMETOOLONG,
			"the mount point of %s is too long", fstype);
	return ret ? ret : search.best ? 0 : -ENOENT;
}

static int not_mounted(const char *fstype, struct faasctl_error *err)
{
	if (!strcmp(fstype, FAASIN_FS_NAME))
		return faasctl__fail(err, ENOENT,
			"faasin is not mounted; run: mount -t faasin none /sys/fs/faasin");
	if (!strcmp(fstype, "cgroup2"))
		return faasctl__fail(err, ENOENT,
			"cgroup v2 is not mounted; run: mount -t cgroup2 none /sys/fs/cgroup");
	return faasctl__fail(err, ENOENT, "%s is not mounted", fstype);
}

FAASCTL_API int faasctl_mount_find(const char *fstype, char *path, size_t size,
				   struct faasctl_error *err)
{
	int ret;

	ret = find(fstype, "/", path, size, err);
	return ret == -ENOENT ? not_mounted(fstype, err) : ret;
}

FAASCTL_API int faasctl_port_path(const char *workflow, const char *stage,
				  const char *port, char *path, size_t size,
				  struct faasctl_error *err)
{
	char point[4096], root[2 * (FAASIN_NAME_MAX + 1) + 1];
	int ret, len = 0;

	ret = faasctl_name_check("workflow", workflow, err);
	if (!ret)
		ret = faasctl_name_check("stage", stage, err);
	if (!ret)
		ret = faasctl_name_check("port", port, err);
	if (ret)
		return ret;

	ret = find(FAASIN_FS_NAME, "/", point, sizeof(point), err);
	if (!ret)
		len = snprintf(path, size, "%s/%s/%s/%s", point, workflow,
			       stage, port);
	if (ret == -ENOENT) {
		snprintf(root, sizeof(root), "/%s", workflow);
		ret = find(FAASIN_FS_NAME, root, point, sizeof(point), err);
		if (!ret)
			len = snprintf(path, size, "%s/%s/%s", point, stage,
				       port);
	}
	if (ret == -ENOENT) {
		snprintf(root, sizeof(root), "/%s/%s", workflow, stage);
		ret = find(FAASIN_FS_NAME, root, point, sizeof(point), err);
		if (!ret)
			len = snprintf(path, size, "%s/%s", point, port);
	}
	if (ret == -ENOENT)
		return not_mounted(FAASIN_FS_NAME, err);
	if (ret)
		return ret;
	if (len >= (int)size)
		return faasctl__fail(err, ENAMETOOLONG,
				     "the path of port \"%s\" is too long",
				     port);
	return 0;
}
