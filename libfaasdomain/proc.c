// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Closes /proc to this thread, for good: memory, descriptors and registers of others can be got at
 * there. Landlock closes its files, and who has rules of Landlock may look into no process that has
 * none of these (ptrace(2) and what goes by the same check), whatever way there may be to it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "state.h"

#define FILE_RIGHTS	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)

/* The version that the kernel has; 0: none, or it is not let through. */
static long landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 ? 0 : version;
}

/* Whether a rule for it would be one for /proc: it is of that kind, or the root once more. */
static bool leads_to_proc(int fd, const struct stat *file)
{
	struct statfs system;
	struct stat root;

	return fstatfs(fd, &system) || system.f_type == PROC_SUPER_MAGIC || stat("/", &root) ||
	       (file->st_dev == root.st_dev && file->st_ino == root.st_ino);
}

static int allow(int rules_fd, int root, const char *name, uint64_t rights)
{
	struct landlock_path_beneath_attr beneath = { .allowed_access = rights };
	int fd = openat(root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), ret = 0;
	struct stat file;

	/* It is gone: it stays closed. A link's own name opens nothing, where it leads does. */
	if (fd < 0)
		return 0;
	if (fstat(fd, &file) || S_ISLNK(file.st_mode) || leads_to_proc(fd, &file))
		goto close;
	if (!S_ISDIR(file.st_mode))
		beneath.allowed_access &= FILE_RIGHTS;
	beneath.parent_fd = fd;
	ret = syscall(SYS_landlock_add_rule, rules_fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	if (ret)
		ret = -errno;
close:
	close(fd);
	return ret;
}

/* Whatever is in the root directory, but for proc: what is not named is closed. */
static int allow_all(int rules_fd, uint64_t rights)
{
	DIR *root = opendir("/");
	struct dirent *entry;
	int ret = 0;

	if (!root)
		return -errno;
	while (!ret && (entry = readdir(root)))
		if (strcmp(entry->d_name, "proc") && strcmp(entry->d_name, ".") &&
		    strcmp(entry->d_name, ".."))
			ret = allow(rules_fd, dirfd(root), entry->d_name, rights);
	closedir(root);
	return ret;
}

static int close_files(void)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = FILE_RIGHTS };
	int ret, rules_fd, fd;

	/* Or files could not be moved to other directories; the first version has no way. */
	if (landlock_version() > 1)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	rules_fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules_fd < 0)
		return -errno;
	ret = allow_all(rules_fd, attr.handled_access_fs);
	if (!ret && syscall(SYS_landlock_restrict_self, rules_fd, 0))
		ret = -errno;
	close(rules_fd);
	if (ret)
		return ret;
	/* Whatever way there may be that was not thought of: there must be none. */
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	close(fd);
	return -EOPNOTSUPP;
}

/*
 * Calls @fn for each mount of /proc's kind, as long as that returns 0, and returns what that did
 * last, or -errno.
 */
static int each_proc(int (*fn)(const char *path, void *arg), void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[8192], path[4096], type[16];
	int ret = 0;

	if (!f)
		return -errno;
	while (!ret && fgets(line, sizeof(line), f)) {
		const char *kind = strstr(line, " - ");

		if (kind && sscanf(line, "%*s %*s %*s %*s %4095s", path) == 1 &&
		    sscanf(kind, " - %15s", type) == 1 && !strcmp(type, "proc"))
			ret = fn(path, arg);
	}
	fclose(f);
	return ret;
}

static int is_elsewhere(const char *path, void *arg)
{
	bool elsewhere = strcmp(path, "/proc") && strncmp(path, "/proc/", 6);

	if (elsewhere)
		snprintf(arg, 64, "%s", path);
	return elsewhere;
}

/*
 * Who may change mounts has none of /proc in its own: not even descriptors of the process's other
 * threads can be looked for there, which Landlock lets through.
 */
static void leave_proc(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return;
	while (!umount2("/proc", MNT_DETACH))
		;
}

/* Why it cannot be closed here, or "". */
void proc_look(char *why, size_t size)
{
	char path[64] = "";
	int procs = each_proc(is_elsewhere, path);

	if (!landlock_version())
		snprintf(why, size, "this kernel has no Landlock, or it is not let through");
	else if (procs < 0)
		snprintf(why, size, "mounts cannot be looked through: %s", strerror(-procs));
	else if (procs)
		snprintf(why, size, "%s is a /proc, too, which cannot be closed", path);
	else
		*why = '\0';
}

/*
 * Called with the rights that this thread has, which may be given up after. Returns 0 or a negative
 * errno; then it may be closed in part.
 */
int proc_close(void)
{
	char path[64];
	int ret;

	/* Since domains began, one may have been mounted elsewhere. */
	ret = each_proc(is_elsewhere, path);
	if (ret)
		return ret < 0 ? ret : -EOPNOTSUPP;
	leave_proc();
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : close_files();
}
