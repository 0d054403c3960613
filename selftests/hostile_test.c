// SPDX-License-Identifier: GPL-2.0
/*
 * A container that somebody else has taken over tries to reach what is not its own: to read
 * another workflow, to mount more than its scope, to forge its cgroup, to enter namespaces. What it
 * may do is tried along with it, so that a refusal is one of the attempt and not of its means.
 */
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>

#include "harness.h"
#include "hostile.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID	AT_REMOVEDIR
#endif

FIXTURE(hostile) {
	struct hostile h;
};

FIXTURE_SETUP(hostile)
{
	HOSTILE_SETUP(&self->h);
}

FIXTURE_TEARDOWN(hostile)
{
	HOSTILE_TEARDOWN(&self->h);
}

/* ------------------------------------------------------- to reach its ports */

static int by_path(struct hostile *h)
{
	const char *out = world_out(&h->victim, "v"), *in = world_in(&h->victim, "w");
	char path[PATH_MAX];
	int fd;

	TRY("own output", open(own_path(h, "faasout"), OUT), 0);
	TRY("own output by the whole tree", open(world_out(&h->own, "a"), OUT), 0);
	TRY("own input's peer by the whole tree", open(world_in(&h->own, "b"), IN), 0);
	TRY("its output", open(out, OUT), EACCES);
	TRY("its output, for both", open(out, O_RDWR | O_NONBLOCK), EACCES);
	TRY("its output, created", open(out, OUT | O_CREAT | O_TRUNC, 0666), EACCES);
	TRY("its input", open(in, IN), EACCES);
	TRY("its directory", open(world_path(&h->victim, "v", NULL), O_PATH), 0);

	snprintf(path, sizeof(path), "%s/w/faasin", h->victim.wf);
	TRY("below the own mount", open(own_path(h, path), IN), ENOENT);
	snprintf(path, sizeof(path), "../%s/w/faasin", h->victim.wf);
	TRY("beside the own mount", open(own_path(h, path), IN), ENOENT);
	snprintf(path, sizeof(path), "self/../../%s/w/faasin", h->victim.wf);
	TRY("beside self of the own mount", open(own_path(h, path), IN), ENOENT);
	snprintf(path, sizeof(path), MOUNT_POINT "/self/../../%s/w/faasin", h->victim.wf);
	TRY("beside self of the whole tree", open(path, IN), EACCES);
	snprintf(path, sizeof(path), MOUNT_POINT "/%s/self", h->victim.wf);
	TRY("self of its workflow", open(path, O_PATH | O_DIRECTORY), ENOENT);

	fd = open(in, O_PATH | O_CLOEXEC);
	TRY("its input for its path only", fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY("opened again for reading", open(path, IN), EACCES);
	TRY("opened again by openat", openat(fd, "", IN), ENOENT);
	TRY("read by its path", read(fd, path, 1), EBADF);
	TRY("asked by its path", ioctl(fd, FAASIN_IOC_INFO, path), EBADF);
	TRY("ended by its path", ioctl(fd, FAASIN_IOC_END), EBADF);
	TRY("changed", chmod(in, 0777), EPERM);
	TRY("owned", chown(in, 0, 0), EPERM);
	TRY("removed", unlink(in), EPERM, EACCES);
	TRY("linked", link(in, own_path(h, "new")), EPERM, EACCES, EXDEV);
	TRY("taken", rename(in, own_path(h, "faasin")), EPERM, EACCES, EXDEV);
	return 0;
}

TEST_F(hostile, reaches_no_port_by_path)
{
	ASSERT_TRUE(victim_start(&self->h));
	EXPECT_EQ(0, attack(&self->h, by_path));
	EXPECT_ATTEMPTS(&self->h, 24);
}

struct inherited {
	int pidfd;
	int namespaces[6];
	int cgroup;
};

static struct inherited inherited;

static int get_fd(int pidfd, int fd)
{
	return syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

static int by_process(struct hostile *h)
{
	char path[PATH_MAX];
	pid_t pid;
	int own;

	/* The instrument, on a child of its own. */
	pid = fork();
	if (!pid) {
		dup2(open(own_path(h, "faasout"), OUT), KEPT);
		ring(h->ready);
		for (;;)
			pause();
	}
	if (!await(h->ready))
		return 1;
	own = syscall(SYS_pidfd_open, pid, 0);
	TRY("a child's descriptor", get_fd(own, KEPT), 0);
	TRY("its descriptor", get_fd(inherited.pidfd, KEPT), EPERM);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", h->victim_pid, KEPT);
	TRY("its output by fd", open(path, OUT), EACCES);
	TRY("its output by fd, path only", open(path, O_PATH), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/root%s", h->victim_pid, world_out(&h->victim, "v"));
	TRY("its output by its root", open(path, OUT), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/cwd", h->victim_pid);
	TRY("its working directory", open(path, O_PATH | O_DIRECTORY), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/mem", h->victim_pid);
	TRY("its memory", open(path, O_RDONLY), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/status", h->victim_pid);
	TRY("what is everybody's to read", open(path, O_RDONLY), 0);
	TRY("a signal to it", syscall(SYS_pidfd_send_signal, inherited.pidfd, SIGKILL, NULL, 0),
	    EPERM, EINVAL);
	kill(pid, SIGKILL);
	return 0;
}

TEST_F(hostile, reaches_no_port_by_its_processes)
{
	ASSERT_TRUE(victim_start(&self->h));
	inherited.pidfd = syscall(SYS_pidfd_open, self->h.victim_pid, 0);
	ASSERT_LE(0, inherited.pidfd);
	EXPECT_EQ(0, attack(&self->h, by_process));
	EXPECT_ATTEMPTS(&self->h, 9);
	EXPECT_EQ(0, kill(self->h.victim_pid, 0));
}

/* A handle as most filesystems have them. */
struct handle {
	struct file_handle handle;
	uint32_t ino, generation;
	char more[56];
};

static int by_handle(struct hostile *h)
{
	const char *in = world_in(&h->victim, "w");
	int mnt, dir = open(MOUNT_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct handle handle = { };
	struct stat st;
	int type;

#define NAME(path, flags)	(handle.handle.handle_bytes = 64, \
				 name_to_handle_at(AT_FDCWD, path, &handle.handle, &mnt, flags))
	if (mount("none", h->spare, "tmpfs", 0, NULL))
		return 1;
	handle.handle.handle_bytes = 0;
	TRY("handle of a tmpfs: how long", name_to_handle_at(AT_FDCWD, h->spare, &handle.handle,
							     &mnt, 0), EOVERFLOW);
	TRY("handle of its input", NAME(in, 0), EOPNOTSUPP);
	/* A number to tell files apart, which cannot be opened. */
	TRY("number of its input", NAME(in, AT_HANDLE_FID), 0, EINVAL, EOPNOTSUPP);
	if (stat(in, &st))
		return 2;
	for (type = 1; type < 4; type++) {
		handle.handle.handle_bytes = 8;
		handle.handle.handle_type = type;
		handle.ino = st.st_ino;
		handle.generation = 0;
		TRY("a forged handle", open_by_handle_at(dir, &handle.handle, IN),
		    EPERM, ESTALE, EOPNOTSUPP);
	}
	return 0;
}

TEST_F(hostile, reaches_no_port_by_handle)
{
	struct handle handle = { .handle = { .handle_bytes = 8, .handle_type = 1 } };
	int dir = open(MOUNT_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	long got;

	EXPECT_EQ(0, attack(&self->h, by_handle));
	EXPECT_ATTEMPTS(&self->h, 6);
	/* Nobody has handles, whatever privilege. */
	ASSERT_EQ(0, stat(world_in(&self->h.victim, "w"), &st));
	handle.ino = st.st_ino;
	got = sys(open_by_handle_at(dir, &handle.handle, IN));
	EXPECT_TRUE(got == -ESTALE || got == -EOPNOTSUPP)
		TH_LOG("got %ld", got);
}

/* --------------------------------------------------------- to mount its ports */

/* The entries of the spare mount: 0 if they are the own stage's. */
static int is_own(struct hostile *h)
{
	char *entries = list_directory(h->spare);

	errno = ENOTUNIQ;
	return entries && !strcmp(entries, "faasin faasout self ") ? 0 : -1;
}

static int by_mount(struct hostile *h)
{
	const char *of_victim = world_path(&h->victim, "w", NULL);
	char options[512], name[512];
	int tree;

	TRY("nothing said", mount_faasin("none", h->spare, 0, NULL), 0);
	TRY("is the own stage", is_own(h), 0);
	TRY("unmounted", umount(h->spare), 0);
	snprintf(options, sizeof(options), "workflow=%s,stage=a", h->own.wf);
	TRY("the own stage", mount_faasin("none", h->spare, 0, options), 0);
	TRY("unmounted", umount(h->spare), 0);

	snprintf(options, sizeof(options), "workflow=%s", h->victim.wf);
	TRY("its workflow", mount_faasin("none", h->spare, 0, options), EPERM);
	snprintf(options, sizeof(options), "workflow=%s,stage=w", h->victim.wf);
	TRY("its stage", mount_faasin("none", h->spare, 0, options), EPERM);
	snprintf(options, sizeof(options), "workflow=%s,stage=b", h->own.wf);
	TRY("another own stage", mount_faasin("none", h->spare, 0, options), EPERM);
	TRY("stage alone", mount_faasin("none", h->spare, 0, "stage=w"), EPERM);
	snprintf(options, sizeof(options), "workflow=%s,stage=a,workflow=%s", h->own.wf,
		 h->victim.wf);
	TRY("first one, then the other", mount_faasin("none", h->spare, 0, options), EPERM);
	TRY("a name with a way up", mount_faasin("none", h->spare, 0, "workflow=.."),
	    EPERM, EINVAL);
	memset(name, 'x', 200);
	snprintf(name + 200, sizeof(name) - 200, "%s", h->victim.wf);
	snprintf(options, sizeof(options), "workflow=%.300s", name);
	TRY("a long name", mount_faasin("none", h->spare, 0, options), EPERM, EINVAL);
	TRY("an empty name", mount_faasin("none", h->spare, 0, "workflow="), EPERM, EINVAL);
	TRY("an option of no filesystem", mount_faasin("none", h->spare, 0, "root=/"), EINVAL);

	TRY("its ports as a source", mount_faasin(of_victim, h->spare, 0, NULL), 0);
	TRY("is the own stage", is_own(h), 0);
	TRY("unmounted", umount(h->spare), 0);
	TRY("its name as a source", mount_faasin(h->victim.wf, h->spare, 0, NULL), 0);
	TRY("is the own stage", is_own(h), 0);

	snprintf(options, sizeof(options), "workflow=%s", h->victim.wf);
	TRY("remounted as its", mount_faasin("none", h->spare, MS_REMOUNT, options),
	    EPERM, EINVAL);
	TRY("remounted as the whole", mount_faasin("none", h->spare, MS_REMOUNT, NULL), EPERM);
	TRY("is the own stage", is_own(h), 0);
	TRY("unmounted", umount(h->spare), 0);

	TRY("fsmount of the own", fsmount_of(h->own.wf, "a"), 0);
	TRY("fsmount of its", fsmount_of(h->victim.wf, "w"), EPERM);
	TRY("fspick", fspick_of(h, NULL), EPERM);
	TRY("fspick, as its", fspick_of(h, h->victim.wf), EPERM, EINVAL);

	TRY("its directory, bound", mount(of_victim, h->spare, NULL, MS_BIND, NULL), 0);
	snprintf(name, sizeof(name), "%s/faasin", h->spare);
	TRY("opened there", open(name, IN), EACCES);
	TRY("unmounted", umount(h->spare), 0);
	tree = syscall(SYS_open_tree, AT_FDCWD, of_victim, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	TRY("its directory, cloned", tree, 0);
	TRY("opened there", openat(tree, "faasin", IN), EACCES);
	TRY("the machine's mount, taken off", umount2(MOUNT_POINT, MNT_DETACH), EINVAL);

	/* A user namespace in the user namespace is no way up. */
	TRY("more namespaces", unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP), 0);
	TRY("nothing said", mount_faasin("none", h->spare, 0, NULL), 0);
	TRY("is the own stage", is_own(h), 0);
	snprintf(options, sizeof(options), "workflow=%s,stage=w", h->victim.wf);
	TRY("its stage", mount_faasin("none", h->spare, 0, options), EPERM);
	return 0;
}

TEST_F(hostile, mounts_no_more_than_its_scope)
{
	EXPECT_EQ(0, attack(&self->h, by_mount));
	EXPECT_ATTEMPTS(&self->h, 37);
	EXPECT_EQ(0, access(world_in(&self->h.victim, "w"), F_OK));
}

static int by_root(struct hostile *h)
{
	char put[PATH_MAX];

	if (mount(world_path(&h->victim, "w", NULL), h->spare, NULL, MS_BIND, NULL))
		return 1;
	snprintf(put, sizeof(put), "%s", h->spare);
	TRY("into its directory", chdir(put), 0);
	TRY("pivot_root", syscall(SYS_pivot_root, ".", "."), 0, EINVAL);
	TRY("chroot", chroot("."), 0);
	TRY("opened in the new root", open("/faasin", IN), EACCES);
	TRY("its other end, above the root", open("/../v/faasout", OUT), ENOENT);
	return 0;
}

TEST_F(hostile, reaches_no_port_with_another_root)
{
	EXPECT_EQ(0, attack(&self->h, by_root));
	EXPECT_ATTEMPTS(&self->h, 5);
}

/* ------------------------------------------------------ to forge its cgroup */

/* A child in the cgroup whose directory is open: 0 if it came to be there. */
static int clone_into(int cgroup)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	pid_t pid;

	args.cgroup = cgroup;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		_exit(0);
	if (pid < 0)
		return -1;
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

#define STILL_OUTSIDE(h)							\
do {										\
	TRY("its input, still", open(world_in(&(h)->victim, "w"), IN), EACCES);	\
	TRY("own output, still", open(own_path(h, "self/faasout"), OUT), 0);	\
} while (0)

static int by_cgroup(struct hostile *h)
{
	char path[PATH_MAX];
	int fd;

	/* As the machine's hierarchy shows it. */
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", h->victim_cgroup);
	TRY("itself into its cgroup", write_text(path, "0"), EACCES);
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.threads", h->victim_cgroup);
	TRY("its thread into its cgroup", write_text(path, "0"), EACCES);
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.kill", h->victim_cgroup);
	TRY("its cgroup killed", write_text(path, "1"), EACCES);
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.freeze", h->victim_cgroup);
	TRY("its cgroup frozen", write_text(path, "1"), EACCES);
	snprintf(path, sizeof(path), CGROUPS "/%s/memory.max", h->own.wf);
	TRY("its own limit", write_text(path, "max"), EACCES);
	snprintf(path, sizeof(path), CGROUPS "/%s/new", h->victim_cgroup);
	TRY("a cgroup below its", mkdir(path, 0755), EACCES);
	TRY("a child in its cgroup", clone_into(inherited.cgroup), EACCES);
	STILL_OUTSIDE(h);

	/* As a hierarchy that it mounted. */
	TRY("cgroup2", mount("none", h->spare, "cgroup2", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/cgroup.procs", h->spare);
	TRY("is its own cgroup", access(path, F_OK), 0);
	TRY("itself into its root", write_text(path, "0"), 0, EACCES);
	snprintf(path, sizeof(path), "%s/../../%s/cgroup.procs", h->spare, h->victim_cgroup);
	TRY("itself above its root", write_text(path, "0"), ENOENT);
	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", h->spare, h->victim_cgroup);
	TRY("itself below its root", write_text(path, "0"), ENOENT);
	TRY("cgroup2, unmounted", umount(h->spare), 0);
	TRY("cgroup version 1", mount("none", h->spare, "cgroup", 0, "none,name=forged"),
	    EPERM, ENODEV);
	STILL_OUTSIDE(h);

	TRY("another cgroup namespace", unshare(CLONE_NEWCGROUP), 0);
	TRY("cgroup2 in there", mount("none", h->spare, "cgroup2", 0, NULL), 0);
	TRY("cgroup2, unmounted", umount(h->spare), 0);
	STILL_OUTSIDE(h);
	TRY("its cgroup namespace", setns(inherited.namespaces[0], CLONE_NEWCGROUP), EPERM);
	fd = open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
	TRY("the own cgroup namespace", setns(fd, CLONE_NEWCGROUP), 0);
	STILL_OUTSIDE(h);
	return 0;
}

/* The victim's namespaces, by number of the table below. */
static const struct {
	const char *name;
	int type;
} kinds[] = {
	{ "cgroup", CLONE_NEWCGROUP }, { "mnt", CLONE_NEWNS }, { "user", CLONE_NEWUSER },
	{ "pid", CLONE_NEWPID }, { "net", CLONE_NEWNET }, { "ipc", CLONE_NEWIPC },
};

static bool inherit_namespaces(pid_t pid)
{
	char path[64];
	size_t i;

	for (i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[i].name);
		inherited.namespaces[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (inherited.namespaces[i] < 0)
			return false;
	}
	return true;
}

TEST_F(hostile, stays_in_its_cgroup)
{
	ASSERT_TRUE(victim_start(&self->h));
	ASSERT_TRUE(inherit_namespaces(self->h.victim_pid));
	inherited.cgroup = cgroup_open(self->h.victim_cgroup);
	ASSERT_LE(0, inherited.cgroup);
	EXPECT_EQ(0, attack(&self->h, by_cgroup));
	EXPECT_ATTEMPTS(&self->h, 26);
	EXPECT_EQ(0, kill(self->h.victim_pid, 0));
}

static int by_delegation(struct hostile *h)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), CGROUPS "/%s/mine", h->cgroup);
	TRY("a cgroup below its own", mkdir(path, 0755), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	TRY("a child in there", clone_into(fd), 0);
	snprintf(path, sizeof(path), CGROUPS "/%s/mine/cgroup.procs", h->cgroup);
	TRY("itself into that", write_text(path, "0"), 0);
	STILL_OUTSIDE(h);
	TRY("a child in its cgroup", clone_into(inherited.cgroup), EACCES, ENOENT);
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", h->victim_cgroup);
	TRY("itself into its cgroup", write_text(path, "0"), EACCES, ENOENT);
	snprintf(path, sizeof(path), CGROUPS "/%s/b/cgroup.procs", h->own.wf);
	TRY("itself one up", write_text(path, "0"), EACCES, ENOENT);
	STILL_OUTSIDE(h);
	return 0;
}

/* A cgroup that was delegated to it, as systemd in a container wants. */
TEST_F(hostile, stays_below_a_cgroup_that_is_delegated_to_it)
{
	static const char * const files[] = { "", "cgroup.procs", "cgroup.subtree_control" };
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s/%s", self->h.cgroup, files[i]);
		ASSERT_EQ(0, chown(path, ACTOR_BASE, ACTOR_BASE));
	}
	inherited.cgroup = cgroup_open(self->h.victim_cgroup);
	ASSERT_LE(0, inherited.cgroup);
	EXPECT_EQ(0, attack(&self->h, by_delegation));
	EXPECT_ATTEMPTS(&self->h, 10);
}

static int by_setns(struct hostile *h)
{
	char path[64];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		TRY(kinds[i].name, setns(inherited.namespaces[i], kinds[i].type), EPERM);
	TRY("all at once", setns(inherited.pidfd, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWCGROUP),
	    EPERM);
	for (i = 3; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		TRY("one of its own", setns(fd, kinds[i].type), 0);
	}
	return 0;
}

TEST_F(hostile, enters_no_namespace_of_the_victims)
{
	ASSERT_TRUE(victim_start(&self->h));
	ASSERT_TRUE(inherit_namespaces(self->h.victim_pid));
	inherited.pidfd = syscall(SYS_pidfd_open, self->h.victim_pid, 0);
	ASSERT_LE(0, inherited.pidfd);
	EXPECT_EQ(0, attack(&self->h, by_setns));
	EXPECT_ATTEMPTS(&self->h, 10);
}

TEST_HARNESS_MAIN
