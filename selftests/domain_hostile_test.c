// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks of a hostile domain, a process that is confined, on others and on the system. Each
 * function returns 1 if it could. From inside it must be stopped or refused. The same function
 * is then called where the defence is missing (in a process that is not confined; outside,
 * where all keys are open), and has to succeed: else it would show nothing.
 */
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#include "domain_targets.h"

static long vm_read(void *arg)
{
	char text[sizeof(SECRET)];
	struct iovec mine = { text, sizeof(text) }, theirs = { t->heap, sizeof(text) };

	return process_vm_readv(t->pid, &mine, 1, &theirs, 1, 0) == sizeof(text) && reads(text);
}

static long vm_write(void *arg)
{
	struct iovec mine = { SECRET, 1 }, theirs = { t->heap, 1 };

	return process_vm_writev(t->pid, &mine, 1, &theirs, 1, 0) == 1;
}

static long proc_mem(void *arg)
{
	char path[64], text[sizeof(SECRET)];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
	fd = open(path, O_RDWR);
	return fd >= 0 && pread(fd, text, sizeof(text), (off_t)(uintptr_t)t->heap) == sizeof(text) && reads(text);
}

static long proc_maps(void *arg)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", t->pid);
	fd = open(path, O_RDONLY);
	return fd >= 0 && read(fd, path, sizeof(path)) > 0;
}

static long proc_fd(void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", t->pid, t->pipe[0]);
	return open(path, O_RDONLY | O_NONBLOCK) >= 0;
}

/* Of nobody but itself, and the system. */
static long proc_own(void *arg)
{
	return open("/proc/self/status", O_RDONLY) >= 0;
}

static long proc_system(void *arg)
{
	return open("/proc/cpuinfo", O_RDONLY) >= 0;
}

static long get_fd(void *arg)
{
	int pidfd = syscall(SYS_pidfd_open, t->pid, 0);

	return pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, t->pipe[0], 0) >= 0;
}

static long attach(void *arg)
{
	if (ptrace(PTRACE_SEIZE, t->pid, NULL, NULL))
		return 0;
	return !ptrace(PTRACE_INTERRUPT, t->pid, NULL, NULL) && waitpid(t->pid, NULL, __WALL) == t->pid &&
	       !ptrace(PTRACE_DETACH, t->pid, NULL, NULL);
}

static long send_signal(void *arg)
{
	return !kill(t->pid, 0);
}

static long send_to_group(void *arg)
{
	return !kill(0, 0);
}

static long send_to_thread(void *arg)
{
	return !syscall(SYS_tgkill, t->pid, t->pid, 0);
}

static long queue_signal(void *arg)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return !syscall(SYS_rt_sigqueueinfo, t->pid, 0, &info);
}

static long inherited_fd(void *arg)
{
	return fcntl(t->pipe[0], F_GETFD) >= 0;
}

static long make_ring(void *arg)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 4, &params) >= 0;
}

static long enter_namespace(void *arg)
{
	return !unshare(CLONE_NEWUSER);
}

static long change_limit(void *arg)
{
	struct rlimit limit;

	return !prlimit(t->pid, RLIMIT_NOFILE, NULL, &limit);
}

/* Only root can; and it needs to no more. */
static long change_user(void *arg)
{
	return !setuid(12345);
}

static long compare(void *arg)
{
	return syscall(SYS_kcmp, t->pid, getpid(), 0, 0, 0) >= 0;
}

static long load_program(void *arg)
{
	return syscall(SYS_bpf, -1, NULL, 0) < 0 && errno == EINVAL;
}

static long mount_over(void *arg)
{
	return !mount("none", "/mnt", "tmpfs", 0, NULL);
}

/* Signals that a file sends when there is something to read: to whom it says. */
static long own_file(void *arg)
{
	return !fcntl(0, F_SETOWN, t->pid);
}

static long own_file_by_request(void *arg)
{
	/* As the kernel sees it: it takes 32 bits of this. */
	return !syscall(SYS_ioctl, t->pipe[0], 0x100000000 | FIOSETOWN, &t->pid) || errno != EPERM;
}

static long choose_signal(void *arg)
{
	return !fcntl(0, F_SETSIG, SIGKILL);
}

/* What is no terminal says so; who is let that far. */
static long type_on_terminal(void *arg)
{
	return ioctl(0, TIOCSTI, "x") && errno == ENOTTY;
}

static long make_child(void *arg)
{
	pid_t pid = syscall(SYS_fork);

	if (!pid)
		syscall(SYS_exit_group, 0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static long clone_child(void *arg)
{
	pid_t pid = fork();

	if (!pid)
		syscall(SYS_exit_group, 0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static long move_other(void *arg)
{
	unsigned long cpus = 1;

	return syscall(SYS_sched_getaffinity, t->pid, sizeof(cpus), &cpus) > 0 &&
	       !syscall(SYS_sched_setaffinity, t->pid, sizeof(cpus), &cpus);
}

static long slow_other(void *arg)
{
	return !setpriority(PRIO_PROCESS, t->pid, getpriority(PRIO_PROCESS, t->pid));
}

static long make_semaphore(void *arg)
{
	int id = syscall(SYS_semget, 0, 1, 0600);

	return id >= 0 && !syscall(SYS_semctl, id, 0, 0 /* IPC_RMID */, 0);
}

static long take_priority(void *arg)
{
	return !setpriority(PRIO_PROCESS, 0, -5);
}

static long write_register(void *arg)
{
	/* xor eax, ecx, edx; wrpkru; ret: made here, as it would not be let in otherwise. */
	static const uint8_t code[] = { 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef, 0xc3 };
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return 0;
	memcpy(page, code, sizeof(code));
	if (mprotect(page, PAGE, PROT_READ | PROT_EXEC))
		return 0;
	((void (*)(void))page)();
	return reads(t->heap);
}

static long read_address(void *arg)
{
	return reads(t->heap);
}

FIXTURE(hostile)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(hostile)
{
	long (*fn)(void *arg);
	bool outside;	/* where it succeeds: outside, with the keys open */
	bool stopped;	/* it does not come back */
};

#define HOSTILE(name_, ...) FIXTURE_VARIANT_ADD(hostile, name_) { .fn = name_, ##__VA_ARGS__ }

HOSTILE(vm_read);
HOSTILE(vm_write);
HOSTILE(proc_mem);
HOSTILE(proc_maps);
HOSTILE(proc_fd);
HOSTILE(proc_own);
HOSTILE(proc_system);
HOSTILE(get_fd);
HOSTILE(attach);
HOSTILE(send_signal);
HOSTILE(send_to_group);
HOSTILE(send_to_thread);
HOSTILE(queue_signal);
HOSTILE(inherited_fd);
HOSTILE(make_ring);
HOSTILE(enter_namespace);
HOSTILE(change_limit);
HOSTILE(compare);
HOSTILE(load_program);
HOSTILE(mount_over);
HOSTILE(own_file);
HOSTILE(own_file_by_request);
HOSTILE(choose_signal);
HOSTILE(type_on_terminal);
HOSTILE(make_child);
HOSTILE(clone_child);
HOSTILE(move_other);
HOSTILE(slow_other);
HOSTILE(make_semaphore);
HOSTILE(take_priority);
HOSTILE(change_user);
HOSTILE(write_register, .outside = true, .stopped = true);
HOSTILE(read_address, .outside = true, .stopped = true);

/* Who cannot confine them has none. */
#define NEED_CONFINEMENT(self)							\
do {										\
	if (!(self)->info.filters)						\
		SKIP(return, "%s", (self)->info.unfiltered);			\
} while (0)

FIXTURE_SETUP(hostile)
{
	struct faasctl_domain_options options = { .isolation = FAASCTL_HOSTILE };

	DOMAINS_SETUP(self, NULL);
	NEED_CONFINEMENT(self);
	if (variant->outside && !self->info.threads)
		SKIP(return, "no protection keys here to be missing");
	TARGETS_SETUP(self, &options);
	EXPECT_EQ(self->info.threads, faasctl_domain_is_thread(self->b));
	EXPECT_EQ(0, faasctl_domain_is_thread(self->a));
}

FIXTURE_TEARDOWN(hostile)
{
	TARGETS_TEARDOWN(self);
}

TEST_F(hostile, attack)
{
	long result = 0;
	pid_t pid;
	int ret;

	ret = faasctl_domain_call(self->a, variant->fn, NULL, &result, &self->err);
	EXPECT_EQ(variant->stopped ? -EFAULT : 0, ret)
		TH_LOG("%s", self->err.message);
	EXPECT_EQ(0, result);
	/* The defence is missing: outside, or in a process that is not confined. */
	if (variant->outside) {
		EXPECT_EQ(1, variant->fn(NULL));
		return;
	}
	pid = child();
	if (!pid)
		syscall(SYS_exit_group, (int)variant->fn(NULL));
	EXPECT_EQ(1, child_end(pid));
}

/* ------------------------------------------- of a user, who can look into his other processes */

/* In the other process only, and where it is. */
static char other_secret[32];
#define OTHER_SECRET	"a secret of another process"

/* Reads @name of the other process's in /proc, if it can be opened. */
static long other_file(const char *name)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", t->pid, name);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	return fd >= 0 && read(fd, path, 1) == 1;
}

static long other_mem_by(const char *format)
{
	char path[80], text[sizeof(OTHER_SECRET)] = "";
	int fd;

	snprintf(path, sizeof(path), format, t->pid, t->pid);
	fd = open(path, O_RDWR);
	return fd >= 0 && pread(fd, text, sizeof(text), (off_t)(uintptr_t)other_secret) == sizeof(text) &&
	       !strcmp(text, OTHER_SECRET) &&
	       pwrite(fd, text, sizeof(text), (off_t)(uintptr_t)other_secret) == sizeof(text);
}

static long other_mem(void *arg) { return other_mem_by("/proc/%d/mem"); }
static long other_thread(void *arg) { return other_mem_by("/proc/%d/task/%d/mem"); }
static long other_by_root(void *arg) { return other_mem_by("/proc/self/root/proc/%d/mem"); }
static long other_by_link(void *arg) { return other_mem_by("/proc/%d/root/proc/%d/mem"); }
static long other_maps(void *arg) { return other_file("maps"); }
static long other_environ(void *arg) { return other_file("environ"); }
static long other_auxv(void *arg) { return other_file("auxv"); }
static long other_status(void *arg) { return other_file("status"); }

/* A pipe of the other one's that is not open here. */
static long other_descriptor(void *arg)
{
	char name[20];

	snprintf(name, sizeof(name), "fd/%d", t->pipe[0]);
	return other_file(name);
}

FIXTURE(user)
{
	struct faasctl_domain *a;
	struct faasctl_error err;
	struct faasctl_domains_info info;
	pid_t other;
};

FIXTURE_VARIANT(user)
{
	long (*fn)(void *arg);
};

#define OF_USER(name_) FIXTURE_VARIANT_ADD(user, name_) { .fn = name_ }

OF_USER(other_mem);
OF_USER(other_thread);
OF_USER(other_by_root);
OF_USER(other_by_link);
OF_USER(other_maps);
OF_USER(other_environ);
OF_USER(other_auxv);
OF_USER(other_status);
OF_USER(other_descriptor);
OF_USER(proc_own);
OF_USER(proc_system);

/* Whoever may trace it, can, and its pipe has more to be read than all of them do. */
static void be_looked_into(int tell)
{
	static const char filling[100];
	int ends[2];

	strcpy(other_secret, OTHER_SECRET);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	if (pipe(ends) || write(ends[1], filling, sizeof(filling)) < 0 ||
	    write(tell, &ends[0], sizeof(ends[0])) < 0)
		_exit(1);
	for (;;)
		pause();
}

FIXTURE_SETUP(user)
{
	struct faasctl_domain_options options = { .isolation = FAASCTL_HOSTILE };
	int ends[2], descriptor = -1;
	pid_t other;

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	/* The root again, without what is mounted there. */
	ASSERT_EQ(0, mount("/", "/mnt", NULL, MS_BIND, NULL));
	ASSERT_EQ(0, setresgid(65534, 65534, 65534));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	ASSERT_EQ(0, pipe(ends));
	other = child();
	if (!other)
		be_looked_into(ends[1]);
	ASSERT_EQ(sizeof(descriptor), read(ends[0], &descriptor, sizeof(descriptor)));
	DOMAINS_SETUP(self, NULL);
	self->other = other;
	NEED_CONFINEMENT(self);
	t = faasctl_shared_alloc(sizeof(*t));
	t->pid = other;
	t->pipe[0] = descriptor;
	ASSERT_EQ(0, faasctl_domain_new("a", &options, &self->a, &self->err));
}

FIXTURE_TEARDOWN(user)
{
	child_kill(self->other, SIGKILL);
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
}

/*
 * Nothing that a user may not do stands in the way, and nothing that a filter of system calls looks
 * at: that /proc is closed is the one defence.
 */
TEST_F(user, attack)
{
	long result = -1;
	pid_t pid;

	EXPECT_OK(faasctl_domain_call(self->a, variant->fn, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	pid = child();
	if (!pid) {
		/* As a process that is confined is, but for that. */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			_exit(2);
		syscall(SYS_exit_group, (int)variant->fn(NULL));
	}
	EXPECT_EQ(1, child_end(pid));
}

TEST_HARNESS_MAIN
