// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of all that user space can ask of the module: netlink requests, files,
 * mounts, and what processes do to descriptors, by two threads or processes at once.
 *
 * A program is a short list of calls. One process of its own executes it, against
 * a small world (see world_reset()) that is made anew each time, so that a program
 * can be repeated by itself. Where the kernel has KCOV and the module was built
 * for it, a program that reached edges not seen before joins the corpus, from which
 * the next ones are made. KCOV lets go of a task before its files are closed, so
 * what an exit does to descriptors is executed but does not guide.
 *
 * What a bug is: anything that the kernel complains about, a program that cannot be
 * ended, sums of a link that do not add up, a port that can be mapped, objects
 * or references that are left at the end.
 */
#include <assert.h>
#include <dirent.h>
#include <getopt.h>
#include <linux/kcov.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>

#include "common.h"
#include "nl.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define CALLS_MAX	16
#define ARGS_MAX	6
#define ATTRS_MAX	10
#define CORPUS_MAX	4096
#define SLOTS		12
#define BOTH		2		/* the thread of calls made before there are two */
#define COVER		(32 * 1024)	/* program counters that KCOV keeps of a thread */
#define EDGES		(1 << 18)
#define HANGS		60		/* seconds until a program counts as hung */
#define TICK_NS		20000000	/* longest time that a call blocks */
#define TEXT_MAX	8192
#define RECORDS		16
#define FAILURES_MAX	10		/* the rest would be the same */
#define BUFFER		(256 * 1024)
#define BASE		"/tmp/faasin-fuzz"

/* -------------------------------------------------------------------- calls */

/* What an argument means: where its values come from and how it is written. */
enum kind {
	K_NONE, K_SLOT, K_PATH, K_OPEN, K_SIZE, K_POINTER, K_POLL, K_IOCTL, K_WORD, K_NUMBER,
	K_FCNTL, K_SPLICE, K_SIGNAL, K_OPTIONS, K_PLACE, K_CGROUP, K_COMMAND, K_NLFLAGS,
	K_PROTECTION, K_SMALL, K_LIMIT, K_RARE,
};

/* Where values are words, so that texts outlive changes to these tables. */
static const char *const paths[] = {
	"sys/fz0/a/faasout", "sys/fz0/b/faasin", "sys/fz0/b/faasout", "sys/fz0/c/faasin",
	"sys/fz0/a/out1", "sys/fz0/b/in1", "sys/fz1/a/faasout", "sys/fz1/b/faasin",
	"sys/fz0/a/faasin", "sys/fz0/c/faasout", "sys/self/faasout", "sys/self/faasin",
	"sys/fz0/self/faasin", "sys/fz2/a/faasout", "sys/fz2/b/faasin", "sys", "sys/fz0",
	"sys/fz0/a", "sys/self", "sys/none", "m0", "m0/a/faasout", "m0/b/faasin",
	"m0/fz0/a/faasout", "m0/faasout", "m0/faasin", "m1", "m1/faasout", "m1/faasin",
	"m1/self/faasin", "m2/fz0/b/faasin", "file",
};

static const char *const names[] = {
	"fz0", "fz1", "fz2", "a", "b", "c", "d", "faasin", "faasout", "in1", "out1", "self",
	".bad", "b/ad", "none",
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
};

static const char *const options[] = {
	"-", "workflow=fz0", "workflow=fz0,stage=a", "workflow=fz0,stage=b", "workflow=fz1",
	"workflow=none", "stage=a", "workflow=fz0,stage=none", "workflow", "workflow=,stage=",
	"other=1", "workflow=fz0,workflow=fz1", "ro", "workflow=fz0,stage=a,stage=b",
};

static const char *const places[] = {
	"m0", "m1", "m2", "sys", "none", "file",
};

static const char *const cgroups[] = {
	"fuzz-w0", "fuzz-s0", "fuzz-s1", "fuzz-w1", "fuzz-none", ".", "..",
};

#define CGROUPS_OWN	(ARRAY_SIZE(cgroups) - 2)	/* the other two are what these are in */

static const char *const ioctls[] = {
	"end", "abort", "info", "fionread", "fionbio", "fioasync", "tcgets", "fioclex", "number",
};

struct words {
	const char *const *word;
	size_t count;
};

#define WORDS(table)	{ table, ARRAY_SIZE(table) }

static struct words words_of(enum kind kind)
{
	switch (kind) {
	case K_PATH: return (struct words)WORDS(paths);
	case K_WORD: return (struct words)WORDS(names);
	case K_OPTIONS: return (struct words)WORDS(options);
	case K_PLACE: return (struct words)WORDS(places);
	case K_CGROUP: return (struct words)WORDS(cgroups);
	case K_IOCTL: return (struct words)WORDS(ioctls);
	default: return (struct words){ NULL, 0 };
	}
}

/**
 * struct attr - an attribute of a request, or a bracket around some
 * @form: s word, d 32 bits, q 64 bits, f descriptor in a slot, x that many bytes,
 *	n begins a nest, e ends it
 * @type: its number
 * @value: payload
 */
struct attr {
	char form;
	uint16_t type;
	uint64_t value;
};

struct call {
	uint8_t op;
	uint8_t thread;
	uint8_t nattrs;
	uint16_t fail;		/* the allocation or copy that is to fail, from 1 */
	uint64_t arg[ARGS_MAX];
	struct attr attr[ATTRS_MAX];
};

struct program {
	bool processes;		/* not threads */
	uint8_t ncalls;
	struct call call[CALLS_MAX];
};

struct thread {
	int number;
	int fail;		/* fail-nth of this task, or -1 */
	int nl[2];		/* sockets for requests: one hears events, too */
	timer_t timer;
};

/* Shared with whoever executes. */
struct shared {
	uint32_t waiting;
	char violation[200];
	uint64_t tried[64], worked[64];
	uint64_t injected;
};

static struct shared *shared;
static const struct program *running;
static int slots[SLOTS];
static uint8_t *buffer;		/* its last page cannot be read or written */
static uint16_t family;
static uint32_t events;
static uint64_t *cover[2];
static int kcov[2] = { -1, -1 };

static int slot(uint64_t value)
{
	return slots[value % SLOTS];
}

/* As in every language with numbered descriptors, the old one is lost: closed. */
static long keep(uint64_t where, long fd)
{
	int old;

	if (fd < 0)
		return fd;
	old = __atomic_exchange_n(&slots[where % SLOTS], (int)fd, __ATOMIC_RELAXED);
	if (old >= 0)
		close(old);
	return fd;
}

static void *pointer(uint64_t how, uint64_t size)
{
	switch (how) {
	default: return buffer;
	case 1: return NULL;
	case 2: return buffer + BUFFER - PAGE - size / 2 % PAGE;
	case 3: return (void *)0xffffffff81000000UL;
	case 4: return buffer + 1;
	case 5: return (void *)0x800000000000UL;
	}
}

static uint64_t length(uint64_t size, uint64_t how)
{
	/* More than the buffer is only for those who fault on the way. */
	return size > BUFFER - PAGE - 8 && !how ? BUFFER - PAGE - 8 : size;
}

static void violation(const char *text)
{
	if (!shared->violation[0])
		snprintf(shared->violation, sizeof(shared->violation), "%s", text);
}

/* Stopped, it would not end. */
static int deadly(uint64_t number)
{
	number %= 32;
	return number >= SIGSTOP && number <= SIGTTOU ? SIGKILL : number;
}

static bool is_port(int fd)
{
	struct faasin_port_info info;

	return !ioctl(fd, FAASIN_IOC_INFO, &info);
}

static long call_open(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], open(paths[c->arg[1]], c->arg[2], 0600));
}

static long call_reopen(struct thread *t, const struct call *c)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", slot(c->arg[1]));
	return keep(c->arg[0], open(path, c->arg[2]));
}

static long call_read(struct thread *t, const struct call *c)
{
	return read(slot(c->arg[0]), pointer(c->arg[2], c->arg[1]), length(c->arg[1], c->arg[2]));
}

static long call_write(struct thread *t, const struct call *c)
{
	return write(slot(c->arg[0]), pointer(c->arg[2], c->arg[1]), length(c->arg[1], c->arg[2]));
}

static long call_vector(const struct call *c,
			ssize_t (*fn)(int fd, const struct iovec *iov, int n, off_t at, int flags))
{
	struct iovec iov[] = {
		{ pointer(0, 0), length(c->arg[1], 0) },
		{ pointer(c->arg[2], c->arg[3]), length(c->arg[3], c->arg[2]) },
		{ pointer(0, 0), 1 },
	};

	return fn(slot(c->arg[0]), iov, c->arg[4] % 5, -1, c->arg[5]);
}

static long call_readv(struct thread *t, const struct call *c)
{
	return call_vector(c, preadv2);
}

static long call_writev(struct thread *t, const struct call *c)
{
	return call_vector(c, pwritev2);
}

static long call_pread(struct thread *t, const struct call *c)
{
	return c->arg[2] & 1 ? pread(slot(c->arg[0]), buffer, length(c->arg[1], 0), c->arg[2]) :
		lseek(slot(c->arg[0]), c->arg[1], c->arg[2] % 5);
}

static long call_poll(struct thread *t, const struct call *c)
{
	struct pollfd fds[] = {
		{ .fd = slot(c->arg[0]), .events = c->arg[2] },
		{ .fd = slot(c->arg[1]), .events = c->arg[2] },
	};

	return poll(fds, 2, c->arg[3] % 3);
}

static long call_epoll(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], epoll_create1(EPOLL_CLOEXEC));
}

static long call_epoll_ctl(struct thread *t, const struct call *c)
{
	struct epoll_event event = {
		.events = c->arg[2] | (c->arg[3] & 1 ? EPOLLET : 0) |
			(c->arg[3] & 2 ? EPOLLONESHOT : 0) | (c->arg[3] & 4 ? EPOLLEXCLUSIVE : 0),
	};

	return epoll_ctl(slot(c->arg[0]), 1 + c->arg[4] % 3, slot(c->arg[1]), &event);
}

static long call_epoll_wait(struct thread *t, const struct call *c)
{
	struct epoll_event got[4];

	return epoll_wait(slot(c->arg[0]), got, 4, c->arg[1] % 3);
}

static long call_ioctl(struct thread *t, const struct call *c)
{
	static const unsigned long numbers[] = {
		FAASIN_IOC_END, FAASIN_IOC_ABORT, FAASIN_IOC_INFO, FIONREAD, FIONBIO, FIOASYNC,
		TCGETS, FIOCLEX,
	};
	unsigned long number = c->arg[1] < ARRAY_SIZE(numbers) ? numbers[c->arg[1]] :
		_IO(FAASIN_IOC_MAGIC, c->arg[3]);
	struct faasin_abort argument = {
		.cause = c->arg[3], .code = c->arg[4],
		.pid = c->arg[5] & 1 ? getpid() : (int32_t)c->arg[5],
		.reserved = c->arg[5] >> 32,
	};
	uint8_t *p = pointer(c->arg[2], 16);

	if (p == buffer || p == buffer + 1)
		memcpy(p, &argument, sizeof(argument));
	return ioctl(slot(c->arg[0]), number, p);
}

static long call_pipe(struct thread *t, const struct call *c)
{
	int ends[2];

	if (pipe2(ends, c->arg[2] & O_NONBLOCK))
		return -1;
	keep(c->arg[0], ends[0]);
	return keep(c->arg[1], ends[1]);
}

static long call_splice(struct thread *t, const struct call *c)
{
	loff_t at = c->arg[4];
	loff_t *offset = c->arg[4] % 8 == 1 ? &at : NULL;

	return splice(slot(c->arg[0]), offset, slot(c->arg[1]), NULL, c->arg[2], c->arg[3]);
}

static long call_tee(struct thread *t, const struct call *c)
{
	return tee(slot(c->arg[0]), slot(c->arg[1]), c->arg[2], c->arg[3]);
}

static long call_vmsplice(struct thread *t, const struct call *c)
{
	struct iovec iov = { pointer(c->arg[2], c->arg[1]), length(c->arg[1], c->arg[2]) };

	return vmsplice(slot(c->arg[0]), &iov, 1, c->arg[3]);
}

static long call_sendfile(struct thread *t, const struct call *c)
{
	off_t at = 0;

	return sendfile(slot(c->arg[0]), slot(c->arg[1]), c->arg[3] & 1 ? &at : NULL, c->arg[2]);
}

static long call_copy_range(struct thread *t, const struct call *c)
{
	return copy_file_range(slot(c->arg[0]), NULL, slot(c->arg[1]), NULL, c->arg[2], 0);
}

static long call_dup(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], dup(slot(c->arg[1])));
}

/* Owners of signals are not set at random: they would hit somebody else. */
static long call_fcntl(struct thread *t, const struct call *c)
{
	static const int commands[] = {
		F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_SETPIPE_SZ, F_GETPIPE_SZ, F_SETLEASE, F_GETLK,
		F_SETSIG, F_GET_SEALS, F_OFD_SETLK, F_NOTIFY,
	};
	int command = commands[c->arg[1] % ARRAY_SIZE(commands)];

	if (command == F_GETLK || command == F_OFD_SETLK) {
		struct flock lock = { .l_type = F_WRLCK, .l_len = c->arg[2] };

		return fcntl(slot(c->arg[0]), command, &lock);
	}
	return fcntl(slot(c->arg[0]), command, c->arg[2]);
}

static long call_close(struct thread *t, const struct call *c)
{
	int fd = __atomic_exchange_n(&slots[c->arg[0] % SLOTS], -1, __ATOMIC_RELAXED);

	return fd >= 0 ? close(fd) : -1;
}

static long call_mmap(struct thread *t, const struct call *c)
{
	int fd = slot(c->arg[0]);
	void *p = mmap(NULL, length(c->arg[1] | 1, 0), c->arg[2] & 7,
		       c->arg[3] & 1 ? MAP_SHARED : MAP_PRIVATE, fd, c->arg[4] & 1 ? PAGE : 0);

	if (p == MAP_FAILED)
		return -1;
	/* The slot may have got another file meanwhile: only a port stays one. */
	if (fd == slot(c->arg[0]) && is_port(fd))
		violation("a port could be mapped");
	munmap(p, length(c->arg[1] | 1, 0));
	return 0;
}

/*
 * A fork starts over when a signal comes: where it takes longer than a tick, it would
 * hardly ever get done.
 */
static void hold_ticks(bool hold)
{
	sigset_t tick;

	sigemptyset(&tick);
	sigaddset(&tick, SIGALRM);
	pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &tick, NULL);
}

static long call_fork(struct thread *t, const struct call *c)
{
	pid_t pid;

	hold_ticks(true);
	pid = fork();
	hold_ticks(false);
	if (pid)
		return pid;
	if (c->arg[0] & 1)
		signal(SIGPIPE, SIG_DFL);
	if (c->arg[2])
		(void)!write(slot(c->arg[1]), buffer, length(c->arg[2], 0));
	if (c->arg[0] & 2)
		kill(getpid(), deadly(c->arg[3]));
	if (c->arg[0] & 4) /* whoever made it is gone first, and then it is killed */
		usleep(50000);
	_exit(c->arg[4]);
}

static long call_die(struct thread *t, const struct call *c)
{
	if (c->arg[0] & 1)
		return kill(getpid(), deadly(c->arg[1]));
	if (c->arg[0] & 2) /* this thread only, with files that others share */
		syscall(SYS_exit, c->arg[2] & 0xff);
	_exit(c->arg[2]);
}

static long call_mount(struct thread *t, const struct call *c)
{
	const char *data = options[c->arg[1]];

	return mount("none", places[c->arg[0]], "faasin",
		     (c->arg[2] & 1 ? MS_REMOUNT : 0) | (c->arg[2] & 2 ? MS_RDONLY : 0) |
		     (c->arg[2] & 4 ? MS_NOEXEC : 0), *data == '-' ? NULL : data);
}

static long call_fsmount(struct thread *t, const struct call *c)
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

static long call_umount(struct thread *t, const struct call *c)
{
	/* The mount that all paths lead through stays. */
	if (!strcmp(places[c->arg[0]], "sys"))
		return -1;
	return umount2(places[c->arg[0]], c->arg[1] & 1 ? MNT_DETACH : 0);
}

static long call_look(struct thread *t, const struct call *c)
{
	const char *path = paths[c->arg[0]];
	struct statfs fs;
	struct stat st;
	int fd;
	long n;

	switch (c->arg[1] % 8) {
	case 0: return stat(path, &st);
	case 1: return readlink(path, (char *)buffer, 64);
	case 2: return statfs(path, &fs);
	case 3: return access(path, c->arg[2] & 7);
	case 4: return getxattr(path, "user.x", buffer, 64);
	case 5: return listxattr(path, (char *)buffer, 64);
	case 6:
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		n = syscall(SYS_getdents64, fd, buffer, 24 + c->arg[2] % 512);
		n |= syscall(SYS_getdents64, fd, buffer, 24 + c->arg[2] % 512);
		lseek(fd, c->arg[2], SEEK_SET);
		n |= syscall(SYS_getdents64, fd, buffer, 4096);
		close(fd);
		return n;
	default:
		fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		n = inotify_add_watch(fd, path, IN_ALL_EVENTS);
		keep(c->arg[3], fd);
		return n;
	}
}

static long call_change(struct thread *t, const struct call *c)
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

static long call_cgroup_mkdir(struct thread *t, const struct call *c)
{
	return mkdir(cgroup_path(c->arg[0]), 0755);
}

static long call_cgroup_rmdir(struct thread *t, const struct call *c)
{
	return rmdir(cgroup_path(c->arg[0]));
}

static long call_cgroup_move(struct thread *t, const struct call *c)
{
	/* The directory that all of them are in has controllers, so nobody can enter it. */
	return cgroup_enter(cgroups[c->arg[0]]) ? -1 : 0;
}

static long call_cgroup_open(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], open(cgroup_path(c->arg[1]), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static long call_cgroup_limit(struct thread *t, const struct call *c)
{
	char text[32];

	if (c->arg[0] >= CGROUPS_OWN)
		return -1;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->arg[1]);
	return cgroup_write(cgroups[c->arg[0]], "memory.max", text) ? -1 : 0;
}

static long call_socketpair(struct thread *t, const struct call *c)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
		return -1;
	keep(c->arg[0], ends[0]);
	return keep(c->arg[1], ends[1]);
}

union control {
	struct cmsghdr hdr;
	char space[CMSG_SPACE(sizeof(int))];
};

static long call_pass(struct thread *t, const struct call *c)
{
	struct iovec iov = { buffer, 1 };
	union control control = { .hdr = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	int fd = slot(c->arg[1]);

	memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
	return sendmsg(slot(c->arg[0]), &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static long call_take(struct thread *t, const struct call *c)
{
	struct iovec iov = { buffer, 1 };
	union control control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *hdr;
	int fd;

	if (recvmsg(slot(c->arg[0]), &msg, MSG_DONTWAIT) < 0)
		return -1;
	hdr = CMSG_FIRSTHDR(&msg);
	if (!hdr || hdr->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(hdr), sizeof(fd));
	return keep(c->arg[1], fd);
}

static long call_drop(struct thread *t, const struct call *c)
{
	switch (c->arg[0] % 8) {
	case 0: return syscall(SYS_setresuid, 65534, 65534, 65534);
	case 1: return unshare(CLONE_NEWUSER);
	case 2: return unshare(CLONE_NEWUSER | CLONE_NEWNS);
	case 3: return unshare(CLONE_NEWNET);
	case 4: return unshare(CLONE_NEWCGROUP);
	case 5: return unshare(CLONE_FILES);
	case 6: return unshare(CLONE_NEWNS);
	default: return unshare(CLONE_NEWPID);
	}
}

static long call_shrink(struct thread *t, const struct call *c)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	long n = write(fd, "6", 1); /* slabs; and do not say so each time */

	close(fd);
	return n;
}

static long call_pause(struct thread *t, const struct call *c)
{
	return usleep(c->arg[0] % 3000);
}

static size_t put_attr(uint8_t *msg, size_t at, const struct attr *a)
{
	struct nlattr *hdr = (void *)(msg + at);
	uint8_t *data = msg + at + NLA_HDRLEN;
	int32_t fd = slot(a->value);
	uint32_t half = a->value;
	size_t len;

	switch (a->form) {
	case 's':
		len = strlen(names[a->value]) + 1;
		memcpy(data, names[a->value], len);
		break;
	case 'd':
		len = sizeof(half);
		memcpy(data, &half, len);
		break;
	case 'q':
		len = sizeof(a->value);
		memcpy(data, &a->value, len);
		break;
	case 'f':
		len = sizeof(fd);
		memcpy(data, &fd, len);
		break;
	default:
		len = a->value % 80;
		memset(data, 'x', len);
	}
	hdr->nla_type = a->type;
	hdr->nla_len = NLA_HDRLEN + len;
	return at + NLA_ALIGN(hdr->nla_len);
}

static void drain(int fd, uint64_t times)
{
	char reply[4096];

	while (times--)
		if (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) < 0)
			break;
}

/* Arguments: socket, command, flags, bytes cut off the end, header, answers to read. */
static long call_netlink(struct thread *t, const struct call *c)
{
	uint8_t msg[4096] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *hdr = (void *)msg;
	struct genlmsghdr *genl = (void *)(msg + NLMSG_HDRLEN);
	size_t at = NLMSG_HDRLEN + GENL_HDRLEN, nest[ATTRS_MAX], depth = 0, i, cut;
	struct nlattr *attr;
	long n;

	for (i = 0; i < c->nattrs; i++) {
		const struct attr *a = &c->attr[i];

		if (a->form == 'n') {
			attr = (void *)(msg + at);
			attr->nla_type = a->type | (a->value & 1 ? 0 : NLA_F_NESTED);
			nest[depth++] = at;
			at += NLA_HDRLEN;
		} else if (a->form == 'e') {
			if (depth) {
				attr = (void *)(msg + nest[--depth]);
				attr->nla_len = at - nest[depth];
			}
		} else {
			at = put_attr(msg, at, a);
		}
	}
	/* Of a nest that is not closed only the header is there. */
	while (depth) {
		attr = (void *)(msg + nest[--depth]);
		attr->nla_len = NLA_HDRLEN + c->arg[4] % 64;
	}
	cut = c->arg[3] & 63;
	if (cut > at)
		cut = at;
	hdr->nlmsg_len = c->arg[3] & 64 ? at : at - cut;
	hdr->nlmsg_type = family;
	hdr->nlmsg_flags = NLM_F_REQUEST | c->arg[2];
	hdr->nlmsg_seq = 1;
	genl->cmd = c->arg[1];
	genl->version = FAASIN_GENL_VERSION + (c->arg[4] >> 8);
	genl->reserved = c->arg[4] >> 16;
	n = send(t->nl[c->arg[0] % 2], msg, at - cut, MSG_DONTWAIT);
	drain(t->nl[c->arg[0] % 2], c->arg[5] % 4);
	return n;
}

static long call_hear(struct thread *t, const struct call *c)
{
	drain(t->nl[c->arg[0] % 2], 1 + c->arg[1] % 8);
	return 0;
}

struct op {
	const char *name;
	unsigned int weight;
	long (*call)(struct thread *t, const struct call *c);
	enum kind kind[ARGS_MAX];
};

static const struct op ops[] = {
	{ "netlink", 16, call_netlink, { K_SMALL, K_COMMAND, K_NLFLAGS, K_RARE, K_RARE, K_SMALL } },
	{ "open", 16, call_open, { K_SLOT, K_PATH, K_OPEN } },
	{ "reopen", 2, call_reopen, { K_SLOT, K_SLOT, K_OPEN } },
	{ "read", 10, call_read, { K_SLOT, K_SIZE, K_POINTER } },
	{ "write", 14, call_write, { K_SLOT, K_SIZE, K_POINTER } },
	{ "readv", 4, call_readv, { K_SLOT, K_SIZE, K_POINTER, K_SIZE, K_SMALL, K_RARE } },
	{ "writev", 4, call_writev, { K_SLOT, K_SIZE, K_POINTER, K_SIZE, K_SMALL, K_RARE } },
	{ "pread", 1, call_pread, { K_SLOT, K_SIZE, K_SMALL } },
	{ "poll", 4, call_poll, { K_SLOT, K_SLOT, K_POLL, K_SMALL } },
	{ "epoll", 1, call_epoll, { K_SLOT } },
	{ "epoll_ctl", 2, call_epoll_ctl, { K_SLOT, K_SLOT, K_POLL, K_SMALL, K_SMALL } },
	{ "epoll_wait", 1, call_epoll_wait, { K_SLOT, K_SMALL } },
	{ "ioctl", 9, call_ioctl, { K_SLOT, K_IOCTL, K_POINTER, K_SMALL, K_SIGNAL, K_SMALL } },
	{ "pipe", 3, call_pipe, { K_SLOT, K_SLOT, K_OPEN } },
	{ "splice", 6, call_splice, { K_SLOT, K_SLOT, K_SIZE, K_SPLICE, K_SMALL } },
	{ "tee", 1, call_tee, { K_SLOT, K_SLOT, K_SIZE, K_SPLICE } },
	{ "vmsplice", 2, call_vmsplice, { K_SLOT, K_SIZE, K_POINTER, K_SPLICE } },
	{ "sendfile", 3, call_sendfile, { K_SLOT, K_SLOT, K_SIZE, K_SMALL } },
	{ "copy_range", 1, call_copy_range, { K_SLOT, K_SLOT, K_SIZE } },
	{ "dup", 2, call_dup, { K_SLOT, K_SLOT } },
	{ "fcntl", 3, call_fcntl, { K_SLOT, K_SMALL, K_FCNTL } },
	{ "close", 8, call_close, { K_SLOT } },
	{ "mmap", 2, call_mmap, { K_SLOT, K_SIZE, K_PROTECTION, K_SMALL, K_SMALL } },
	{ "fork", 3, call_fork, { K_SMALL, K_SLOT, K_SIZE, K_SIGNAL, K_SIGNAL } },
	{ "die", 1, call_die, { K_SMALL, K_SIGNAL, K_SIGNAL } },
	{ "mount", 3, call_mount, { K_PLACE, K_OPTIONS, K_SMALL } },
	{ "fsmount", 2, call_fsmount, { K_PLACE, K_WORD, K_WORD, K_NUMBER, K_SLOT } },
	{ "umount", 2, call_umount, { K_PLACE, K_SMALL } },
	{ "look", 4, call_look, { K_PATH, K_SMALL, K_SIZE, K_SLOT } },
	{ "change", 2, call_change, { K_PATH, K_NUMBER, K_PATH, K_NUMBER } },
	{ "cgroup_mkdir", 1, call_cgroup_mkdir, { K_CGROUP } },
	{ "cgroup_rmdir", 1, call_cgroup_rmdir, { K_CGROUP } },
	{ "cgroup_move", 2, call_cgroup_move, { K_CGROUP } },
	{ "cgroup_open", 3, call_cgroup_open, { K_SLOT, K_CGROUP } },
	{ "cgroup_limit", 1, call_cgroup_limit, { K_CGROUP, K_LIMIT } },
	{ "socketpair", 1, call_socketpair, { K_SLOT, K_SLOT } },
	{ "pass", 2, call_pass, { K_SLOT, K_SLOT } },
	{ "take", 1, call_take, { K_SLOT, K_SLOT } },
	{ "drop", 2, call_drop, { K_SMALL } },
	{ "shrink", 1, call_shrink, { K_NONE } },
	{ "pause", 2, call_pause, { K_SIZE } },
	{ "hear", 2, call_hear, { K_SMALL, K_SMALL } },
};

static_assert(ARRAY_SIZE(ops) <= 64);

/* ------------------------------------------------------------------- chance */

static uint64_t seed = 1;

static uint64_t chance(uint64_t below)
{
	return (random_next(&seed) >> 11) % below;
}

static bool one_in(uint64_t n)
{
	return !chance(n);
}

static uint64_t pick(const uint64_t *from, size_t count)
{
	return from[chance(count)];
}

#define PICK(...) \
	pick((const uint64_t[]){ __VA_ARGS__ }, ARRAY_SIZE(((const uint64_t[]){ __VA_ARGS__ })))

static uint64_t random_value(enum kind kind)
{
	struct words words = words_of(kind);

	if (words.count) /* what comes first is what works */
		return one_in(2) ? chance(words.count) : chance((words.count + 1) / 2);
	switch (kind) {
	case K_NONE:
		return 0;
	case K_SLOT:
		return one_in(4) ? chance(SLOTS) : chance(4);
	case K_OPEN:
		return PICK(O_RDONLY, O_WRONLY, O_WRONLY, O_RDONLY, O_RDWR) |
			(one_in(8) ? 0 : O_NONBLOCK) | (one_in(8) ? 1u << chance(24) : 0);
	case K_SIZE:
		if (one_in(4))
			return chance(70000);
		return PICK(0, 1, 2, 100, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 65535,
			    65536, 65537, 131072, 200000, INT32_MAX, UINT64_MAX, 1ull << 40);
	case K_POINTER:
		return one_in(6) ? chance(6) : 0;
	case K_POLL:
		return one_in(3) ? chance(0x4000) : PICK(POLLIN, POLLOUT, POLLIN | POLLOUT, 0);
	case K_FCNTL:
		return PICK(0, O_NONBLOCK, O_NONBLOCK, O_APPEND, O_DIRECT, O_ASYNC, 4096,
			    1 << 20, 1);
	case K_SPLICE:
		return one_in(8) ? chance(32) : SPLICE_F_NONBLOCK;
	case K_SIGNAL:
		return PICK(0, 1, 2, 9, 9, 11, 13, 15, 127, 128, 137, 255, chance(65));
	case K_COMMAND:
		return 1 + chance(FAASIN_CMD_MAX + 1);
	case K_NLFLAGS:
		if (one_in(4))
			return chance(0x1000);
		return PICK(0, NLM_F_ACK, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_DUMP,
			    NLM_F_REPLACE);
	case K_PROTECTION:
		return PICK(PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_EXEC, 0);
	case K_LIMIT:
		return PICK(0, 4096, 1 << 16, 1 << 20, 16 << 20, 64 << 20);
	case K_RARE:
		return one_in(8) ? chance(1 << 17) : 0;
	case K_SMALL:
		return chance(8);
	default:
		return one_in(4) ? random_next(&seed) : chance(256);
	}
}

/* Attributes of each command: what a good request has. */
struct form {
	char form;
	uint16_t type;
};

static const struct form forms[][9] = {
	[FAASIN_CMD_WORKFLOW_GET] = { { 's', FAASIN_A_WORKFLOW_NAME } },
	[FAASIN_CMD_WORKFLOW_NEW] = { { 's', FAASIN_A_WORKFLOW_NAME },
		{ 'd', FAASIN_A_WORKFLOW_FLAGS },
		{ 'f', FAASIN_A_WORKFLOW_CGROUP_FD } },
	[FAASIN_CMD_WORKFLOW_DEL] = { { 's', FAASIN_A_WORKFLOW_NAME },
		{ 'q', FAASIN_A_WORKFLOW_GENERATION } },
	[FAASIN_CMD_STAGE_GET] = { { 's', FAASIN_A_STAGE_WORKFLOW }, { 's', FAASIN_A_STAGE_NAME } },
	[FAASIN_CMD_STAGE_NEW] = { { 's', FAASIN_A_STAGE_WORKFLOW }, { 's', FAASIN_A_STAGE_NAME },
		{ 'f', FAASIN_A_STAGE_CGROUP_FD }, { 'd', FAASIN_A_STAGE_UID },
		{ 'd', FAASIN_A_STAGE_GID }, { 'd', FAASIN_A_STAGE_MODE },
		{ 'n', FAASIN_A_STAGE_PORT } },
	[FAASIN_CMD_STAGE_DEL] = { { 's', FAASIN_A_STAGE_WORKFLOW }, { 's', FAASIN_A_STAGE_NAME },
		{ 'q', FAASIN_A_STAGE_GENERATION } },
	[FAASIN_CMD_LINK_GET] = { { 's', FAASIN_A_LINK_WORKFLOW }, { 's', FAASIN_A_LINK_SRC_STAGE },
		{ 's', FAASIN_A_LINK_SRC_PORT } },
	[FAASIN_CMD_LINK_NEW] = { { 's', FAASIN_A_LINK_WORKFLOW }, { 's', FAASIN_A_LINK_SRC_STAGE },
		{ 's', FAASIN_A_LINK_DST_STAGE }, { 's', FAASIN_A_LINK_SRC_PORT },
		{ 's', FAASIN_A_LINK_DST_PORT }, { 'q', FAASIN_A_LINK_CAPACITY },
		{ 'd', FAASIN_A_LINK_ABORT_ON }, { 'd', FAASIN_A_LINK_EARLY_CLOSE } },
	[FAASIN_CMD_LINK_DEL] = { { 's', FAASIN_A_LINK_WORKFLOW }, { 's', FAASIN_A_LINK_SRC_STAGE },
		{ 's', FAASIN_A_LINK_SRC_PORT }, { 's', FAASIN_A_LINK_DST_STAGE },
		{ 's', FAASIN_A_LINK_DST_PORT }, { 'q', FAASIN_A_LINK_GENERATION } },
};

static uint64_t name_value(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return i;
	abort();
}

static uint64_t random_payload(char form)
{
	switch (form) {
	case 's':
		return random_value(K_WORD);
	case 'd':
		return one_in(4) ? random_next(&seed) : PICK(0, 1, 2, 0644, 0777, 65534);
	case 'q':
		return one_in(4) ? random_next(&seed) :
			PICK(1, 2, 4096, 8192, 65536, 1 << 20, 1 << 30);
	case 'f':
		return chance(SLOTS);
	default:
		return chance(80);
	}
}

static void add_attr(struct call *c, char form, uint16_t type, uint64_t value)
{
	if (c->nattrs < ATTRS_MAX)
		c->attr[c->nattrs++] = (struct attr){ form, type, value };
}

/* Workflows and stages by their names, as otherwise nothing would be found. */
static void good_attr(struct call *c, const struct form *form, size_t place)
{
	uint64_t value = random_payload(form->form);

	if (form->form == 's' && !one_in(8)) {
		if (place == 0)
			value = name_value("fz0") + (one_in(3) ? chance(3) : 0);
		else if (place < 3)
			value = name_value("a") + chance(4);
		else
			value = name_value("faasin") + chance(4);
	}
	if (form->form != 'n') {
		add_attr(c, form->form, form->type, value);
		return;
	}
	add_attr(c, 'n', form->type, one_in(8));
	add_attr(c, 's', FAASIN_A_PORT_NAME, value = name_value("in1") + chance(2));
	add_attr(c, 'd', FAASIN_A_PORT_DIRECTION, value == name_value("out1") ?
		 FAASIN_DIRECTION_OUT : FAASIN_DIRECTION_IN);
	add_attr(c, 'e', 0, 0);
}

static void random_attrs(struct call *c)
{
	static const char kinds[] = "sdqfxne";
	size_t i;

	c->nattrs = 0;
	if (c->arg[1] < ARRAY_SIZE(forms)) {
		bool dump = (c->arg[2] & NLM_F_DUMP) == NLM_F_DUMP;

		for (i = 0; i < ARRAY_SIZE(forms[0]) && forms[c->arg[1]][i].form; i++) {
			/* Those after the first two or three are optional. */
			if (dump ? i || one_in(2) :
			    i > (c->arg[1] == FAASIN_CMD_LINK_NEW ? 2 : 1) && !one_in(3))
				continue;
			good_attr(c, &forms[c->arg[1]][i], i);
		}
	}
	if (one_in(6))
		add_attr(c, kinds[chance(7)], chance(20), chance(256));
}

static void fix_attr(struct attr *a)
{
	if (a->form == 's')
		a->value %= ARRAY_SIZE(names);
}

static void random_attr(struct call *c)
{
	static const char kinds[] = "sdqfxne";
	struct attr *a;

	if (!c->nattrs || one_in(5)) {
		random_attrs(c);
		return;
	}
	a = &c->attr[chance(c->nattrs)];
	switch (chance(5)) {
	case 0: /* leave it out */
		memmove(a, a + 1, (char *)&c->attr[c->nattrs] - (char *)(a + 1));
		c->nattrs--;
		return;
	case 1: /* say it again */
		add_attr(c, a->form, a->type, random_payload(a->form));
		return;
	case 2:
		a->form = kinds[chance(7)];
		break;
	case 3:
		a->type = one_in(4) ? chance(65536) : chance(20);
		break;
	default:
		a->value = random_payload(a->form);
	}
	fix_attr(a);
}

static void random_call(struct call *c)
{
	unsigned int total = 0, at, i, n;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		total += ops[i].weight;
	at = chance(total);
	for (i = 0; at >= ops[i].weight; i++)
		at -= ops[i].weight;
	c->op = i;
	c->thread = chance(3);
	for (n = 0; n < ARGS_MAX; n++)
		c->arg[n] = random_value(ops[i].kind[n]);
	if (ops[i].call == call_netlink)
		random_attrs(c);
	if (one_in(12))
		c->fail = 1 + chance(one_in(3) ? 40 : 8);
}

static void fresh(struct program *p)
{
	p->processes = one_in(2);
	p->ncalls = 1 + chance(CALLS_MAX);
	for (unsigned int i = 0; i < p->ncalls; i++)
		random_call(&p->call[i]);
}

static void change_call(struct call *c)
{
	unsigned int n;

	switch (chance(6)) {
	case 0:
		c->thread = chance(3);
		return;
	case 1:
		c->fail = one_in(2) ? 0 : 1 + chance(40);
		return;
	case 2:
		if (ops[c->op].call == call_netlink) {
			random_attr(c);
			return;
		}
	}
	n = chance(ARGS_MAX);
	while (n && ops[c->op].kind[n] == K_NONE)
		n--;
	c->arg[n] = random_value(ops[c->op].kind[n]);
}

static void insert(struct program *p, unsigned int at, const struct call *c)
{
	if (p->ncalls == CALLS_MAX)
		return;
	memmove(&p->call[at + 1], &p->call[at], (p->ncalls - at) * sizeof(*c));
	p->call[at] = *c;
	p->ncalls++;
}

static void mutate(struct program *p, const struct program *other)
{
	unsigned int rounds = 1 + chance(4), i, j, n;
	struct call c;

	while (rounds--) {
		switch (chance(8)) {
		case 0:
		case 1:
			random_call(&c);
			insert(p, chance(p->ncalls + 1), &c);
			break;
		case 2:
			i = chance(p->ncalls);
			if (p->ncalls > 1) {
				p->ncalls--;
				memmove(&p->call[i], &p->call[i + 1], (p->ncalls - i) * sizeof(c));
			}
			break;
		case 3:
			i = chance(p->ncalls);
			j = chance(p->ncalls);
			c = p->call[i];
			p->call[i] = p->call[j];
			p->call[j] = c;
			break;
		case 4: /* the head of one, the tail of the other */
			i = chance(p->ncalls + 1);
			j = chance(other->ncalls);
			n = other->ncalls - j;
			if (n > CALLS_MAX - i)
				n = CALLS_MAX - i;
			memcpy(&p->call[i], &other->call[j], n * sizeof(c));
			p->ncalls = i + n;
			break;
		case 5:
			p->processes = !p->processes;
			break;
		default:
			change_call(&p->call[chance(p->ncalls)]);
		}
	}
}

/* --------------------------------------------------------------------- text */

static const char *const thread_names[] = { "0", "1", "*" };

static void program_print(FILE *to, const struct program *p)
{
	unsigned int i, n;

	fprintf(to, "%s\n", p->processes ? "processes" : "threads");
	for (i = 0; i < p->ncalls; i++) {
		const struct call *c = &p->call[i];
		const struct op *op = &ops[c->op];

		fprintf(to, "%s %s", thread_names[c->thread], op->name);
		for (n = 0; n < ARGS_MAX && op->kind[n] != K_NONE; n++) {
			struct words words = words_of(op->kind[n]);

			if (words.count)
				fprintf(to, " %s", words.word[c->arg[n]]);
			else
				fprintf(to, c->arg[n] > 9 ? " 0x%llx" : " %llu",
					(unsigned long long)c->arg[n]);
		}
		for (n = 0; n < c->nattrs; n++) {
			const struct attr *a = &c->attr[n];

			fprintf(to, " %c%u=", a->form, a->type);
			if (a->form == 's')
				fputs(names[a->value], to);
			else
				fprintf(to, "0x%llx", (unsigned long long)a->value);
		}
		if (c->fail)
			fprintf(to, " fail=%u", c->fail);
		putc('\n', to);
	}
	fputs("end\n", to);
}

#define BLANKS	"\t\n "

static bool parse_word(struct words words, const char *word, uint64_t *value)
{
	for (*value = 0; *value < words.count; ++*value)
		if (!strcmp(words.word[*value], word))
			return true;
	return false;
}

static bool parse_number(const char *word, uint64_t *value)
{
	char *end;

	*value = strtoull(word, &end, 0);
	return *word && !*end;
}

static bool parse_attr(struct call *c, char *word)
{
	char *value = strchr(word, '=');
	uint64_t type, number;

	if (!value || !strchr("sdqfxne", *word) || c->nattrs == ATTRS_MAX)
		return false;
	*value++ = '\0';
	if (!parse_number(word + 1, &type))
		return false;
	if (*word == 's' ? !parse_word((struct words)WORDS(names), value, &number) :
	    !parse_number(value, &number))
		return false;
	add_attr(c, *word, type, number);
	return true;
}

static bool parse_call(struct call *c, char *line)
{
	char *word, *state = NULL;
	unsigned int n = 0;

	memset(c, 0, sizeof(*c));
	word = strtok_r(line, BLANKS, &state);
	while (c->thread <= BOTH && strcmp(thread_names[c->thread], word))
		c->thread++;
	word = strtok_r(NULL, BLANKS, &state);
	if (c->thread > BOTH || !word)
		return false;
	while (c->op < ARRAY_SIZE(ops) && strcmp(ops[c->op].name, word))
		c->op++;
	if (c->op == ARRAY_SIZE(ops))
		return false;
	while ((word = strtok_r(NULL, BLANKS, &state))) {
		enum kind kind = n < ARGS_MAX ? ops[c->op].kind[n] : K_NONE;
		struct words words = words_of(kind);
		uint64_t fail;

		if (!strncmp(word, "fail=", 5)) {
			if (!parse_number(word + 5, &fail))
				return false;
			c->fail = fail;
		} else if (kind == K_NONE) {
			if (ops[c->op].call != call_netlink || !parse_attr(c, word))
				return false;
		} else if (words.count ? !parse_word(words, word, &c->arg[n++]) :
			   !parse_number(word, &c->arg[n++])) {
			return false;
		}
	}
	return n == ARGS_MAX || ops[c->op].kind[n] == K_NONE;
}

/* The next program of a file: 1, 0 at its end, -1 where it is no program. */
static int program_parse(FILE *from, const char *path, unsigned int *number, struct program *p)
{
	bool begun = false;
	char line[1024];

	memset(p, 0, sizeof(*p));
	while (fgets(line, sizeof(line), from)) {
		++*number;
		line[strcspn(line, "\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (!strcmp(line, "threads") || !strcmp(line, "processes")) {
			begun = true;
			p->ncalls = 0;
			p->processes = *line == 'p';
		} else if (begun && !strcmp(line, "end") && p->ncalls) {
			return 1;
		} else if (!begun || p->ncalls == CALLS_MAX ||
			   !parse_call(&p->call[p->ncalls++], line)) {
			fprintf(stderr, "uapi: %s: line %u is no call\n", path, *number);
			return -1;
		}
	}
	if (begun)
		fprintf(stderr, "uapi: %s: the last program has no end\n", path);
	return begun ? -1 : 0;
}

/* ---------------------------------------------------------------- execution */

static void thread_start(struct thread *t, int number)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct itimerspec tick = { { 0, TICK_NS }, { 0, TICK_NS } };
	int i;

	t->number = number;
	t->fail = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	for (i = 0; i < 2; i++) {
		t->nl[i] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
		if (i)
			setsockopt(t->nl[i], SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &events,
				   sizeof(events));
	}
	event._sigev_un._tid = syscall(SYS_gettid);
	if (!timer_create(CLOCK_MONOTONIC, &event, &t->timer))
		timer_settime(t->timer, 0, &tick, NULL);
	if (cover[number])
		ioctl(kcov[number], KCOV_ENABLE, KCOV_TRACE_PC);
}

static void set_fail(struct thread *t, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	(void)!pwrite(t->fail, text, len, 0);
}

static void execute_calls(struct thread *t, uint8_t thread)
{
	char left[16] = "";
	unsigned int i;
	long result;

	for (i = 0; i < running->ncalls; i++) {
		const struct call *c = &running->call[i];

		if (c->thread != thread)
			continue;
		if (c->fail && t->fail >= 0)
			set_fail(t, c->fail);
		__atomic_add_fetch(&shared->tried[c->op], 1, __ATOMIC_RELAXED);
		result = ops[c->op].call(t, c);
		if (result >= 0)
			__atomic_add_fetch(&shared->worked[c->op], 1, __ATOMIC_RELAXED);
		if (c->fail && t->fail >= 0) {
			/* It counts down to 0 when it failed something. */
			if (pread(t->fail, left, sizeof(left) - 1, 0) > 0 && atoi(left) == 0)
				__atomic_add_fetch(&shared->injected, 1, __ATOMIC_RELAXED);
			set_fail(t, 0);
		}
	}
}

/* Both begin at once, as far as two CPUs can; the one that waits does not wait for ever. */
static void meet(void)
{
	int i;

	__atomic_add_fetch(&shared->waiting, 1, __ATOMIC_ACQ_REL);
	for (i = 0; i < 1000 && __atomic_load_n(&shared->waiting, __ATOMIC_ACQUIRE) < 2; i++)
		sched_yield();
}

static void *second(void *arg)
{
	struct thread t;

	thread_start(&t, 1);
	hold_ticks(false);
	meet();
	execute_calls(&t, 1);
	return NULL;
}

static void execute(const struct program *p)
{
	struct rlimit none = { 0, 0 };
	struct thread t;
	pthread_t thread;
	pid_t pid = -1;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	setrlimit(RLIMIT_CORE, &none);
	interrupt_by(SIGALRM, 0);
	interrupt_by(SIGPIPE, 0);
	interrupt_by(SIGIO, 0);
	running = p;
	for (i = 0; i < SLOTS; i++)
		slots[i] = -1;
	thread_start(&t, 0);
	execute_calls(&t, BOTH);
	hold_ticks(true);
	if (p->processes) {
		pid = fork();
		if (!pid) {
			second(NULL);
			_exit(0);
		}
	} else if (pthread_create(&thread, NULL, second, NULL)) {
		_exit(1);
	}
	hold_ticks(false);
	meet();
	execute_calls(&t, 0);
	if (!p->processes)
		pthread_join(thread, NULL);
	else if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	_exit(0);
}

/* -------------------------------------------------------------------- world */

static struct nl control;

static bool delete_one(void *arg, const void *attrs, size_t len)
{
	char (*doomed)[FAASIN_NAME_MAX + 1] = arg;
	int i = 0;

	while (i < 31 && doomed[i][0])
		i++;
	snprintf(doomed[i], sizeof(doomed[i]), "%s", nl_str(attrs, len, FAASIN_A_WORKFLOW_NAME));
	return false;
}

/* Deletes all workflows; returns 0 or an error's number. */
static int delete_all(void)
{
	char doomed[32][FAASIN_NAME_MAX + 1] = { 0 };
	int error, i;

	error = nl_list(&control, FAASIN_CMD_WORKFLOW_GET, NL_NONE, delete_one, doomed);
	for (i = 0; !error && i < 31 && doomed[i][0]; i++)
		error = nl_call(&control, FAASIN_CMD_WORKFLOW_DEL, 0,
				NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, doomed[i])));
	return error;
}

static int stage_new(const char *workflow, const char *name, const char *port, uint32_t direction,
		     int cgroup)
{
	/* Not in blocks of their own: values live as long as the block around them. */
	const struct nl_attr ports = NL_NEST(FAASIN_A_STAGE_PORT,
					     NL_STR(FAASIN_A_PORT_NAME, port ?: ""),
					     NL_U32(FAASIN_A_PORT_DIRECTION, direction));
	const struct nl_attr member = NL_U32(FAASIN_A_STAGE_CGROUP_FD, cgroup);
	const struct nl_attr end = { NL_END, 0, NULL, NULL };
	struct nl_attr list[8];

	nl_set(list, NL_STR(FAASIN_A_STAGE_WORKFLOW, workflow), NL_STR(FAASIN_A_STAGE_NAME, name));
	if (port) {
		*nl_end(list) = ports;
		list[3] = end;
	}
	if (cgroup >= 0) {
		struct nl_attr *at = nl_end(list);

		at[0] = member;
		at[1] = end;
	}
	return nl_call(&control, FAASIN_CMD_STAGE_NEW, 0, list);
}

static int link_new(const char *workflow, const char *src, const char *dst, uint64_t capacity,
		    uint32_t early)
{
	return nl_call(&control, FAASIN_CMD_LINK_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, workflow),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src),
			       NL_STR(FAASIN_A_LINK_DST_STAGE, dst),
			       NL_U64(FAASIN_A_LINK_CAPACITY, capacity),
			       NL_U32(FAASIN_A_LINK_EARLY_CLOSE, early)));
}

static uint64_t first_mount;

static uint64_t mount_id(void)
{
	struct statx st;

	return statx(AT_FDCWD, MOUNT_POINT, 0, STATX_MNT_ID, &st) ? 0 : st.stx_mnt_id;
}

/*
 * What every program finds: the workflow fz0, for which fuzz-w0 pays, with a chain of
 * three stages, of which b is bound to fuzz-s0; and fz1, for which nobody pays,
 * and whose link takes one page.
 */
static int world_reset(bool cgroups_too)
{
	static const char *const made[] = { "fuzz-w0", "fuzz-s0" };
	int error = delete_all(), payer, member, i;
	char path[PATH_MAX];

	for (i = 0; i < 3; i++)
		while (!umount2(places[i], MNT_DETACH))
			;
	/* What was mounted over the mount that paths lead through. */
	while (mount_id() != first_mount && !umount2(MOUNT_POINT, MNT_DETACH))
		;
	/* Only after a program that had to do with them. */
	for (i = 0; cgroups_too && i < (int)CGROUPS_OWN; i++)
		cgroup_remove(cgroups[i]);
	for (i = 0; cgroups_too && i < (int)ARRAY_SIZE(made); i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s", made[i]);
		if (mkdir(path, 0755) && errno == EEXIST)
			cgroup_write(made[i], "memory.max", "max");
	}
	payer = open(CGROUPS "/fuzz-w0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	member = open(CGROUPS "/fuzz-s0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = error ?: nl_call(&control, FAASIN_CMD_WORKFLOW_NEW, NLM_F_EXCL,
				 NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, "fz0"),
					 NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, payer)));
	error = error ?: stage_new("fz0", "a", "out1", FAASIN_DIRECTION_OUT, -1);
	error = error ?: stage_new("fz0", "b", "in1", FAASIN_DIRECTION_IN, member);
	error = error ?: stage_new("fz0", "c", NULL, 0, -1);
	error = error ?: link_new("fz0", "a", "b", 64 * KIB, FAASIN_EARLY_CLOSE_EPIPE);
	error = error ?: link_new("fz0", "b", "c", 1 * MIB, FAASIN_EARLY_CLOSE_DRAIN);
	error = error ?: nl_call(&control, FAASIN_CMD_WORKFLOW_NEW, NLM_F_EXCL,
				 NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, "fz1"),
					 NL_U32(FAASIN_A_WORKFLOW_FLAGS,
						FAASIN_WORKFLOW_F_UNCHARGED)));
	error = error ?: stage_new("fz1", "a", NULL, 0, -1);
	error = error ?: stage_new("fz1", "b", NULL, 0, -1);
	error = error ?: link_new("fz1", "a", "b", PAGE, FAASIN_EARLY_CLOSE_EPIPE);
	close(payer);
	close(member);
	return error;
}

static bool check_link(void *arg, const void *attrs, size_t len)
{
	const struct nlattr *nest = nl_find(attrs, len, FAASIN_A_LINK_STATS);
	uint64_t in, out, dropped, held, pool, capacity;
	const void *stats;
	size_t size;
	char text[200];

	if (!nest) {
		violation("a link without statistics");
		return false;
	}
	stats = nl_data(nest);
	size = nl_len(nest);
	in = nl_u64(stats, size, FAASIN_A_STATS_BYTES_IN);
	out = nl_u64(stats, size, FAASIN_A_STATS_BYTES_OUT);
	dropped = nl_u64(stats, size, FAASIN_A_STATS_BYTES_DROPPED);
	held = nl_u64(stats, size, FAASIN_A_STATS_BYTES_HELD);
	pool = nl_u64(stats, size, FAASIN_A_STATS_POOL_BYTES);
	capacity = nl_u64(attrs, len, FAASIN_A_LINK_CAPACITY);
	if (in == out + dropped + held && pool <= capacity && held <= capacity)
		return false;
	snprintf(text, sizeof(text), "sums: in %llu out %llu dropped %llu held %llu pool %llu capacity %llu",
		 (unsigned long long)in, (unsigned long long)out, (unsigned long long)dropped,
		 (unsigned long long)held, (unsigned long long)pool, (unsigned long long)capacity);
	violation(text);
	return false;
}

/* ------------------------------------------------------------------- engine */

static struct {
	const char *seeds, *replay, *record, *keep, *failures;
	long seconds;
	long runs;
	uint64_t seed;
	bool unload, verbose;
} want = { .seconds = 60, .seeds = "fuzz/seeds/uapi" };

static struct program *corpus;	/* what executes does not inherit it */
static size_t ncorpus, nseeds;
static uint8_t edge[EDGES / 8];
static size_t nedges;
static int record = -1, kernel_log = -1;
static long runs, failures, hangs;
static time_t began;

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static double spent_world, spent_calls;

static double clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* What is under way has to be known after a crash. */
static void record_program(const struct program *p)
{
	static char text[TEXT_MAX];
	FILE *to = fmemopen(text, sizeof(text), "w");
	char *line, *state = NULL;

	memset(text, 0, sizeof(text));
	fprintf(to, "# run %ld, seed %llu\n", runs, (unsigned long long)want.seed);
	program_print(to, p);
	fclose(to);
	if (want.record) {
		size_t len = strlen(text);

		memset(text + len, '\n', sizeof(text) - len);
		(void)!pwrite(record, text, sizeof(text), runs % RECORDS * sizeof(text));
	} else {
		for (line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
			dprintf(record, "<6>uapi: %s", line);
	}
}

static void save(const char *where, const char *name, long number, const struct program *p)
{
	char path[PATH_MAX];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s-%ld", where, name, number);
	to = fopen(path, "we");
	if (!to) {
		fprintf(stderr, "uapi: cannot write %s: %s\n", path, strerror(errno));
		return;
	}
	program_print(to, p);
	fclose(to);
}

static void fail(const struct program *p, const char *why)
{
	failures++;
	printf("FAIL  run %ld: %s\n", runs, why);
	program_print(stdout, p);
	fflush(stdout);
	if (want.failures)
		save(want.failures, "failure", runs, p);
}

/* Edges that were not seen before. */
static size_t new_edges(void)
{
	size_t found = 0, i, t, n;
	uint64_t last, at;

	for (t = 0; t < 2 && cover[t]; t++) {
		n = __atomic_load_n(&cover[t][0], __ATOMIC_RELAXED);
		last = 0;
		for (i = 1; i <= n && i < COVER; i++) {
			at = cover[t][i] * 0x9e3779b97f4a7c15ull;
			at = (at ^ last) >> 46;
			last = cover[t][i] * 0xc2b2ae3d27d4eb4full;
			if (!(edge[at / 8] & 1 << at % 8)) {
				edge[at / 8] |= 1 << at % 8;
				found++;
			}
		}
	}
	return found;
}

/* Ends whatever a program left; false if it cannot be ended. */
static bool sweep(pid_t group)
{
	time_t start = now();

	for (;;) {
		pid_t pid;

		kill(-group, SIGKILL);
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0 && errno == ECHILD)
			return true;
		if (!pid) {
			if (now() > start + HANGS)
				return false;
			usleep(200);
		}
	}
}

static bool has_cgroups(const struct program *p)
{
	unsigned int i;

	for (i = 0; i < p->ncalls; i++)
		if (!strncmp(ops[p->call[i].op].name, "cgroup", 6))
			return true;
	return false;
}

static bool run_program(const struct program *p)
{
	static bool cgroups_used = true;
	double start = clock_now(), made, done;
	struct pollfd end = { .events = POLLIN };
	const char *complaint;
	size_t found;
	pid_t pid;
	int error, i;

	runs++;
	error = world_reset(cgroups_used);
	cgroups_used = has_cgroups(p);
	if (error) {
		fprintf(stderr, "uapi: the world cannot be made: %s (%s)\n", strerror(error),
			control.text);
		fail(p, "the program before this one left a world that cannot be made anew");
		return false;
	}
	made = clock_now();
	record_program(p);
	shared->waiting = 0;
	for (i = 0; i < 2 && cover[i]; i++)
		__atomic_store_n(&cover[i][0], 0, __ATOMIC_RELAXED);

	pid = fork();
	if (!pid)
		execute(p);
	setpgid(pid, pid);
	end.fd = syscall(SYS_pidfd_open, pid, 0);
	if (poll(&end, 1, HANGS * 1000) == 0) {
		hangs++;
		fail(p, "it does not end by itself, though no call may block for long");
	}
	close(end.fd);
	if (!sweep(pid)) {
		hangs++;
		fail(p, "it cannot be killed");
		return false;
	}
	done = clock_now();
	spent_world += made - start;
	spent_calls += done - made;
	if (runs % 4 == 0 || want.replay)
		nl_list(&control, FAASIN_CMD_LINK_GET, NL_NONE, check_link, NULL);
	if (shared->violation[0]) {
		fail(p, shared->violation);
		shared->violation[0] = '\0';
	}
	if (runs % 16 == 0 || want.replay) {
		complaint = log_complaint(kernel_log);
		if (complaint) {
			fail(p, complaint);
			return false;
		}
	}
	found = new_edges();
	nedges += found;
	if (found && ncorpus < CORPUS_MAX)
		corpus[ncorpus++] = *p;
	return true;
}

static void progress(bool last)
{
	static time_t next;
	static size_t edges_before;
	static long runs_before;
	static time_t before;
	time_t t = now(), passed = t - before;

	if (!next)
		before = began;
	if (!last && t < next)
		return;
	if (next && passed > 0)
		printf("%5lds %8ld executions %6.1f/s  corpus %5zu  edges %6zu (+%.2f/s)\n",
		       (long)(t - began), runs, (double)(runs - runs_before) / passed, ncorpus,
		       nedges, (double)(nedges - edges_before) / passed);
	fflush(stdout);
	next = t + 15;
	before = t;
	runs_before = runs;
	edges_before = nedges;
}

/* The directory, made if need be, by a path that stays valid after chdir(). */
static const char *directory(const char *path)
{
	char *real;

	mkdir(path, 0755);
	real = realpath(path, NULL);
	if (!real) {
		fprintf(stderr, "uapi: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	return real;
}

/* Without KCOV everything stays as it is: -ENOENT says that there is none. */
static int kcov_start(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		kcov[i] = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
		if (kcov[i] < 0)
			return -errno;
		if (ioctl(kcov[i], KCOV_INIT_TRACE, (unsigned long)COVER))
			return -errno;
		cover[i] = mmap(NULL, COVER * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED,
				kcov[i], 0);
		if (cover[i] == MAP_FAILED) {
			cover[i] = NULL;
			return -errno;
		}
	}
	return 0;
}

/* Fault injection as it comes leaves out what the module allocates, and talks a lot. */
static bool faults_start(void)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" }, { "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" }, { "fail_page_alloc/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" }, { "fail_page_alloc/min-order", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	bool all = !access("/proc/self/fail-nth", W_OK);
	char path[PATH_MAX];
	size_t i;
	int fd;

	for (i = 0; all && i < ARRAY_SIZE(settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		all = fd >= 0 && write(fd, settings[i][1], 1) == 1;
		if (fd >= 0)
			close(fd);
	}
	return all;
}

/* Programs of a file, to the corpus or (replay) executed at once. */
static bool take_file(const char *path)
{
	FILE *from = fopen(path, "re");
	unsigned int line = 0;
	struct program p;
	bool good = true;
	int got = -1;

	if (!from) {
		fprintf(stderr, "uapi: %s: %s\n", path, strerror(errno));
		return false;
	}
	while (good && (got = program_parse(from, path, &line, &p)) > 0) {
		if (!want.replay && want.runs && runs >= want.runs)
			break;
		nseeds++;
		good = run_program(&p);
	}
	fclose(from);
	return good && got >= 0;
}

static int by_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool take_seeds(void)
{
	struct dirent **list;
	char path[PATH_MAX];
	bool good = true;
	int i, n;

	n = scandir(want.seeds, &list, by_name, alphasort);
	if (n <= 0) {
		fprintf(stderr, "uapi: no seeds in %s\n", want.seeds);
		return false;
	}
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", want.seeds, list[i]->d_name);
		good = take_file(path) && good;
		free(list[i]);
		progress(false);
	}
	free(list);
	/* Unguided, they are all that there is to start from. */
	return good;
}

static int passed, failed, skipped;

static void result(bool good, const char *what)
{
	printf("%s  %s\n", good ? "ok  " : "FAIL", what);
	if (good)
		passed++;
	else
		failed++;
}

static void skip(const char *what)
{
	printf("SKIP  %s\n", what);
	skipped++;
}

static bool prepare(void)
{
	int i, fd, error;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		fprintf(stderr, "uapi: no mount namespace of its own: %s\n", strerror(errno));
		return false;
	}
	mkdir(BASE, 0755);
	for (i = 0; i < 3; i++) {
		char path[64];

		snprintf(path, sizeof(path), BASE "/%s", places[i]);
		mkdir(path, 0755);
	}
	(void)!symlink(MOUNT_POINT, BASE "/sys");
	fd = open(BASE "/file", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, 100000)) {
		fprintf(stderr, "uapi: %s/file: %s\n", BASE, strerror(errno));
		return false;
	}
	close(fd);
	/* Programs may try to change anything here, and the next one has to find it as it was. */
	if (mount(BASE, BASE, NULL, MS_BIND, NULL) ||
	    mount(NULL, BASE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL)) {
		fprintf(stderr, "uapi: %s cannot be made read-only: %s\n", BASE, strerror(errno));
		return false;
	}
	first_mount = mount_id();
	error = -cgroup_make("fuzz-w0");
	if (error) {
		fprintf(stderr, "uapi: no cgroup that pays: %s\n", strerror(error));
		return false;
	}
	error = nl_open(&control);
	if (error) {
		fprintf(stderr, "uapi: is the module loaded? %s\n", strerror(error));
		return false;
	}
	family = control.family;
	events = control.events;
	buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	corpus = mmap(NULL, (CORPUS_MAX + 1) * sizeof(*corpus), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED || corpus == MAP_FAILED)
		return false;
	mprotect(buffer + BUFFER - PAGE, PAGE, PROT_NONE);
	memset(buffer, 'b', BUFFER - PAGE);
	madvise(corpus, (CORPUS_MAX + 1) * sizeof(*corpus), MADV_DONTFORK);
	record = want.record ? open(want.record, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644) :
		open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (record < 0) {
		fprintf(stderr, "uapi: nowhere to write what is under way: %s\n", strerror(errno));
		return false;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return !chdir(BASE);
}

static void print_calls(void)
{
	size_t i;

	puts("calls: made, and of these successful");
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		printf("  %-14s %9llu %9llu\n", ops[i].name, (unsigned long long)shared->tried[i],
		       (unsigned long long)shared->worked[i]);
}

/* All of it, in a process whose mounts go with it. Exit status: what went wrong. */
static void engine(void)
{
	struct program p, *other = malloc(sizeof(*other));
	bool guided, faults, good = true;
	size_t i;
	int error;

	kernel_log = log_open();
	if (!other || !prepare())
		exit(2);
	error = kcov_start();
	guided = !error;
	if (!guided) {
		cover[0] = NULL;
		cover[1] = NULL;
	}
	faults = faults_start();
	seed = want.seed * 0x9e3779b97f4a7c15ull ?: 1;
	began = now();
	progress(false);

	if (want.replay) {
		good = take_file(want.replay);
		result(good && nseeds, "the file has programs, and they ran");
	} else {
		result(take_seeds(), "all seeds are programs, and ran");
		good = !failures;
	}
	while (good && !want.replay && failures < FAILURES_MAX && now() < began + want.seconds &&
	       !(want.runs && runs >= want.runs)) {
		progress(false);
		if (!ncorpus || one_in(guided ? 8 : 2)) {
			fresh(&p);
		} else {
			/* What came last is what was followed least. */
			p = corpus[one_in(2) ? chance(ncorpus) :
				   ncorpus - 1 - chance((ncorpus + 3) / 4)];
			*other = corpus[chance(ncorpus)];
			mutate(&p, other);
		}
		good = run_program(&p);
	}
	progress(true);
	printf("%ld executions in %ld s (%.1f/s), %zu programs in the corpus, %zu edges, %llu faults injected\n",
	       runs, (long)(now() - began), (double)runs / (now() - began ?: 1), ncorpus, nedges,
	       (unsigned long long)shared->injected);
	printf("of this, %.1f s to make the world and %.1f s to execute\n", spent_world,
	       spent_calls);
	for (i = 0; want.keep && i < ncorpus; i++)
		save(want.keep, "program", i, &corpus[i]);
	if (want.verbose)
		print_calls();

	result(runs > 0 && !failures, "no program made the module break its word");
	result(!hangs, "every program ended");
	if (!guided)
		skip("guidance: no KCOV here: running without guidance");
	else
		result(nedges > 0, "the module reports where programs went (it is built with KCOV=1)");
	if (!faults)
		skip("fault injection: this kernel has none");
	else if (!want.replay && runs > 1000)
		result(shared->injected > 0, "faults were injected");
	error = delete_all();
	if (!error)
		error = nl_call(&control, FAASIN_CMD_INFO_GET, 0, NL_NONE);
	result(!error && nl_get_u32(&control, FAASIN_A_INFO_WORKFLOWS) == 0, "no workflow is left");
	/* Counts for the other process, which has what remains to be looked at. */
	shared->tried[0] = passed;
	shared->tried[1] = failed;
	shared->tried[2] = skipped;
	exit(0);
}

/* --------------------------------------------------------------- afterwards */

/* Tasks in uninterruptible sleep: those that still are after a while. */
static bool any_stuck(void)
{
	char path[320], text[512], *after;
	struct dirent *entry;
	bool found = false;
	FILE *from;
	DIR *dir;

	dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		if (atoi(entry->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		from = fopen(path, "re");
		if (!from)
			continue;
		after = fgets(text, sizeof(text), from) ? strrchr(text, ')') : NULL;
		fclose(from);
		if (after && after[1] && after[2] == 'D') {
			found = true;
			snprintf(path, sizeof(path), "%.300s", text);
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool none_stuck(void)
{
	int i;

	for (i = 0; i < 200; i++) {
		if (!any_stuck())
			return true;
		usleep(50000);
	}
	return false;
}

/* References that are dropped late (RCU, queued work) get some time. */
static bool unload(void)
{
	int i;

	for (i = 0; i < 200; i++) {
		while (!umount2(MOUNT_POINT, 0))
			;
		if (!syscall(SYS_delete_module, "faasin", O_NONBLOCK))
			return true;
		usleep(50000);
	}
	printf("the module cannot be unloaded: %s\n", strerror(errno));
	return false;
}

static void usage(void)
{
	puts("Usage: uapi [OPTION]...\n"
	     "\n"
	     "Makes up programs of calls that user space can make of the module and executes them,\n"
	     "guided by coverage where the kernel has KCOV and the module was built for it\n"
	     "(make module KCOV=1). For guests only: fuzz/uapi-run.\n"
	     "\n"
	     "  --seconds N    stop after that time (60)\n"
	     "  --runs N       or after that many programs\n"
	     "  --seed N       chance starts here (1): with the same coverage, the same programs\n"
	     "  --seeds DIR    what to start from (fuzz/seeds/uapi)\n"
	     "  --replay FILE  only execute FILE's programs, in order\n"
	     "  --record FILE  keep the last 16 programs in FILE, in place of the kernel's log\n"
	     "  --keep DIR     at the end, write the corpus there\n"
	     "  --failures DIR write what fails there\n"
	     "  --unload       at the end, unmount and unload the module: it must be possible\n"
	     "  --verbose      at the end, print how often each call was made\n"
	     "  --help         this text\n"
	     "\n"
	     "A program is text: 'threads' or 'processes' (which execute it), a call a line, 'end'.\n"
	     "A call begins with who makes it: 0, 1, or * before there are two. 'fail=N' at its end:\n"
	     "the Nth allocation or copy in it fails. Exit status: 0 if nothing failed.");
}

static long number(const char *text, const char *option)
{
	char *end;
	long value = strtol(text, &end, 0);

	if (!*text || *end || value < 0) {
		fprintf(stderr, "uapi: --%s takes a number, not '%s'\n", option, text);
		exit(2);
	}
	return value;
}

static void parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seconds", 1, NULL, 's' }, { "runs", 1, NULL, 'r' }, { "seed", 1, NULL, 'S' },
		{ "seeds", 1, NULL, 'd' }, { "replay", 1, NULL, 'p' }, { "record", 1, NULL, 'R' },
		{ "keep", 1, NULL, 'k' }, { "failures", 1, NULL, 'f' }, { "unload", 0, NULL, 'u' },
		{ "verbose", 0, NULL, 'v' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int option;

	want.seed = 1;
	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (option) {
		case 's':
			want.seconds = number(optarg, "seconds");
			break;
		case 'r':
			want.runs = number(optarg, "runs");
			break;
		case 'S':
			want.seed = number(optarg, "seed");
			break;
		case 'd':
			want.seeds = optarg;
			break;
		case 'p':
			want.replay = optarg;
			break;
		case 'R':
			want.record = optarg;
			break;
		case 'k':
			want.keep = directory(optarg);
			break;
		case 'f':
			want.failures = directory(optarg);
			break;
		case 'u':
			want.unload = true;
			break;
		case 'v':
			want.verbose = true;
			break;
		case 'h':
			usage();
			exit(0);
		default:
			fprintf(stderr, "uapi: see --help\n");
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "uapi: unknown argument '%s': see --help\n", argv[optind]);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const char *complaint;
	int status = 0, log;
	pid_t pid;

	parse_options(argc, argv);
	/* It moves, mounts and kills: not on a machine that anybody works on. */
	if (!getenv("FAASIN_GUEST")) {
		fprintf(stderr, "uapi: this is no guest: vm-test/run -- fuzz/uapi-run\n");
		return 2;
	}
	if (want.replay) {
		want.replay = realpath(want.replay, NULL);
		if (!want.replay) {
			fprintf(stderr, "uapi: no such file: %s\n", strerror(errno));
			return 2;
		}
	}
	want.seeds = realpath(want.seeds, NULL) ?: want.seeds;
	log = log_open();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED || log < 0) {
		fprintf(stderr, "uapi: cannot start: %s\n", strerror(errno));
		return 2;
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		engine();
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		result(false, "the fuzzer itself ran to its end");
	} else {
		passed = shared->tried[0];
		failed = shared->tried[1];
		skipped = shared->tried[2];
	}
	result(none_stuck(), "no task is stuck");
	if (want.unload)
		result(unload(), "the module can be unloaded: nothing holds it");
	else
		skip("unloading the module: not asked for (--unload)");
	complaint = log_complaint(log);
	if (complaint)
		printf("the kernel: %s\n", complaint);
	result(!complaint, "the kernel's log is clean");
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed != 0;
}
