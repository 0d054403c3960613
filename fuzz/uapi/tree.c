// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on names: mounts, look-ups, changes, cgroups.
 */
#include <dirent.h>
#include <linux/mount.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "call.h"
#include "common.h"

long call_mount(struct thread *t, const struct call *c)
{
	const char *data = options[c->arg[1]];

	return mount("none", places[c->arg[0]], "faasin",
		     (c->arg[2] & 1 ? MS_REMOUNT : 0) | (c->arg[2] & 2 ? MS_RDONLY : 0) |
		     (c->arg[2] & 4 ? MS_NOEXEC : 0), *data == '-' ? NULL : data);
}

long call_fsmount(struct thread *t, const struct call *c)
{
	int fs = syscall(SYS_fsopen, "faasin", FSOPEN_CLOEXEC), fd = -1;

	if (fs < 0)
		return -1;
	if (c->arg[3] & 1)
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "workflow", names[c->arg[1]], 0);
	if (c->arg[3] & 2)
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "stage", names[c->arg[2]], 0);
	if (c->arg[3] & 4)
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "workflow", NULL, 0);
	if (c->arg[3] & 8)
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, "stage", NULL, slot(c->arg[1]));
	if (!(c->arg[3] & 16) && !syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		if (c->arg[3] & 32)
			syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
		fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	}
	if (c->arg[3] & 64)
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	if (fd >= 0)
		syscall(SYS_move_mount, fd, "", AT_FDCWD, places[c->arg[0]],
			MOVE_MOUNT_F_EMPTY_PATH);
	close(fs);
	return keep(c->arg[4], fd);
}

long call_umount(struct thread *t, const struct call *c)
{
	/* The mount that all paths lead through stays. */
	if (!strcmp(places[c->arg[0]], "sys"))
		return -1;
	return umount2(places[c->arg[0]], c->arg[1] & 1 ? MNT_DETACH : 0);
}

long call_look(struct thread *t, const struct call *c)
{
	const char *path = paths[c->arg[0]];
	struct statfs fs;
	struct stat st;
	int fd;
	long n;

	switch (c->arg[1] % 8) {
	case 0: return stat(path, &st);
	case 1: return readlink(path, (char *)t->into, 64);
	case 2: return statfs(path, &fs);
	case 3: return access(path, c->arg[2] & 7);
	case 4: return getxattr(path, "user.x", t->into, 64);
	case 5: return listxattr(path, (char *)t->into, 64);
	case 6:
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		n = syscall(SYS_getdents64, fd, t->into, 24 + c->arg[2] % 512);
		n |= syscall(SYS_getdents64, fd, t->into, 24 + c->arg[2] % 512);
		lseek(fd, c->arg[2], SEEK_SET);
		n |= syscall(SYS_getdents64, fd, t->into, 4096);
		close(fd);
		return n;
	default:
		fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		n = inotify_add_watch(fd, path, IN_ALL_EVENTS);
		/* Not in a slot: what is read there is no data. */
		keep_watch(fd);
		return n;
	}
}

long call_change(struct thread *t, const struct call *c)
{
	const char *path = paths[c->arg[0]], *other = paths[c->arg[2]];
	struct timespec times[2] = { { 1, 1 }, { 1, 1 } };

	switch (c->arg[1] % 12) {
	case 0: return unlink(path);
	case 1: return rmdir(path);
	case 2: return mkdir(path, 0700);
	case 3: return rename(path, other);
	case 4: return chmod(path, c->arg[3] & 0777);
	case 5: return chown(path, c->arg[3] & 0xffff, 0);
	case 6: return truncate(path, c->arg[3]);
	case 7: return utimensat(AT_FDCWD, path, times, 0);
	case 8: return setxattr(path, "user.x", "1", 1, 0);
	case 9: return link(path, other);
	case 10: return symlink(path, other);
	default: return mknod(path, S_IFIFO | 0600, 0);
	}
}

static const char *cgroup_path(uint64_t which)
{
	static __thread char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s", cgroups[which]);
	return path;
}

long call_cgroup_mkdir(struct thread *t, const struct call *c)
{
	return mkdir(cgroup_path(c->arg[0]), 0755);
}

long call_cgroup_rmdir(struct thread *t, const struct call *c)
{
	return rmdir(cgroup_path(c->arg[0]));
}

long call_cgroup_move(struct thread *t, const struct call *c)
{
	/* The directory that all of them are in has controllers, so nobody can enter it. */
	return cgroup_enter(cgroups[c->arg[0]]) ? -1 : 0;
}

long call_cgroup_open(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], open(cgroup_path(c->arg[1]), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

long call_cgroup_limit(struct thread *t, const struct call *c)
{
	char text[32];

	if (c->arg[0] >= CGROUPS_OWN)
		return -1;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->arg[1]);
	return cgroup_write(cgroups[c->arg[0]], "memory.max", text) ? -1 : 0;
}
