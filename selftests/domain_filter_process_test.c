// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks on the process, on others and on terminals by system calls of a thread with a filter:
 * programs, signals, descriptors, limits, users. domain_filter.h says how they are made.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kd.h>
#include <linux/vt.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#include "domain_filter.h"

/* ------------------------------------------------------------------ processes and threads */

/* Whether a process was made; it ends at once. */
static long was_made(long pid)
{
	if (!pid)
		syscall(SYS_exit, 0);
	if (pid > 0)
		syscall(SYS_wait4, pid, NULL, 0x40000000 /* __WALL */, NULL);
	return pid > 0;
}

static long make_fork(void *arg) { return was_made(syscall(SYS_fork)); }
static long make_clone(void *arg) { return was_made(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }

static long make_clone3(void *arg)
{
	uint64_t args[8] = { [4] = SIGCHLD };

	return was_made(syscall(SYS_clone3, args, sizeof(args)));
}

static long execute(void *arg) { return syscall(SYS_execve, "/none", NULL, NULL) < 0 && errno == ENOENT; }
static long execute_at(void *arg) { return syscall(SYS_execveat, -1, "/none", NULL, NULL, 0) < 0 && errno == ENOENT; }

/* ------------------------------------------------------------------------------- signals */

static long signal_process(void *arg) { return !syscall(SYS_kill, getpid(), 0); }
static long signal_parent(void *arg) { return !syscall(SYS_kill, getppid(), 0); }
static long signal_thread(void *arg) { return !syscall(SYS_tgkill, getpid(), getpid(), 0); }
static long signal_any_thread(void *arg) { return !syscall(SYS_tkill, getpid(), 0); }

static long queue_signal(void *arg)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return !syscall(SYS_rt_sigqueueinfo, getpid(), 0, &info);
}

static long signal_itself(void *arg) { return !syscall(SYS_tgkill, getpid(), gettid(), 0); }
static long ring_alarm(void *arg)
{
	return syscall(SYS_alarm, 0) >= 0;
}

static long set_timer(void *arg) { return !syscall(SYS_setitimer, 0, &(struct itimerval){ 0 }, NULL); }

static long make_timer(void *arg)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	int timer;

	return !syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) && !syscall(SYS_timer_delete, timer);
}

static long end_timer(void *arg) { return COMES_TO(EINVAL, syscall(SYS_timer_delete, 12345)); }
static long start_timer(void *arg) { return COMES_TO(EINVAL, syscall(SYS_timer_settime, 12345, 0, NULL, NULL)); }

/* A signal, or a child, that is the host's to hear of. */
static long take_signal(void *arg)
{
	uint64_t users = 1ul << (SIGUSR2 - 1);

	return COMES_TO(EAGAIN, syscall(SYS_rt_sigtimedwait, &users, NULL, &(struct timespec){ 0 }, 8));
}

static long read_signals(void *arg)
{
	uint64_t users = 1ul << (SIGUSR2 - 1);

	return syscall(SYS_signalfd4, -1, &users, 8, 0) >= 0;
}

static long reap(void *arg) { return COMES_TO(ECHILD, syscall(SYS_wait4, -1, NULL, 1 /* WNOHANG */, NULL)); }
static long reap_id(void *arg) { return COMES_TO(ECHILD, syscall(SYS_waitid, 0, 0, NULL, 5, NULL)); }
static long notify(void *arg) { return COMES_TO(EBADF, syscall(SYS_mq_notify, -1, NULL)); }
static long take_lease(void *arg) { return COMES_TO(EBADF, fcntl(-1, F_SETLEASE, F_RDLCK)); }
static long watch(void *arg) { return COMES_TO(EBADF, fcntl(-1, F_NOTIFY, DN_CREATE)); }

/* One that is blocked ends the process when it comes by itself. */
static long block_faults(void *arg)
{
	uint64_t faults = 1ul << (SIGSEGV - 1);

	return !syscall(SYS_rt_sigprocmask, SIG_BLOCK, &faults, NULL, 8) &&
	       !syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &faults, NULL, 8);
}

static long wait_open(void *arg)
{
	uint64_t none = 0;

	return !syscall(SYS_ppoll, NULL, 0, &(struct timespec){ 0 }, &none, 8);
}

static long select_open(void *arg)
{
	uint64_t none = 0;
	struct { uint64_t *mask; size_t size; } given = { &none, 8 };

	return !syscall(SYS_pselect6, 0, NULL, NULL, NULL, &(struct timespec){ 0 }, &given);
}

static long suspend(void *arg) { return COMES_TO(EINVAL, syscall(SYS_rt_sigsuspend, NULL, 1)); }
static long die_with_parent(void *arg) { return !syscall(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0); }
static long adopt(void *arg) { return !syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); }
static long no_huge_pages(void *arg) { return !syscall(SYS_prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0); }

static long set_handler(void *arg)
{
	struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } action = { 0 };

	return !syscall(SYS_rt_sigaction, SIGUSR2, &action, NULL, 8);
}

static long set_stack(void *arg)
{
	stack_t stack = { .ss_flags = SS_DISABLE }, old;

	if (syscall(SYS_sigaltstack, &stack, &old))
		return 0;
	/* Or it could not be stopped any more. */
	return !syscall(SYS_sigaltstack, &old, NULL);
}

/* Terminals that send signals. */
static long leave_terminal(void *arg) { return COMES_TO(EBADF, ioctl(-1, TIOCNOTTY)); }
static long take_terminal(void *arg) { return COMES_TO(EBADF, ioctl(-1, TIOCSCTTY, 0)); }
static long set_foreground(void *arg) { return COMES_TO(EBADF, ioctl(-1, TIOCSPGRP, NULL)); }
static long signal_terminal(void *arg) { return COMES_TO(EBADF, ioctl(-1, TIOCSIG, 0)); }
static long signal_console(void *arg) { return COMES_TO(EBADF, ioctl(-1, VT_SETMODE, NULL)); }
static long signal_keyboard(void *arg) { return COMES_TO(EBADF, ioctl(-1, KDSIGACCEPT, SIGKILL)); }
static long has_consoles(void *arg)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return !syscall(SYS_capget, &header, data) && data[0].effective & 1u << CAP_SYS_TTY_CONFIG;
}

static long async_by_ioctl(void *arg) { return COMES_TO(EBADF, ioctl(-1, FIOASYNC, NULL)); }
static long async_by_flags(void *arg) { return COMES_TO(EBADF, fcntl(-1, F_SETFL, O_ASYNC)); }

static long own_files(void *arg)
{
	return fcntl(t->pipe[0], F_SETOWN, getppid()) == 0;
}

/* ------------------------------------------------------------------ descriptors, the process */

static long steal_descriptor(void *arg)
{
	long fd = syscall(SYS_pidfd_open, getpid(), 0);

	return fd >= 0 && syscall(SYS_pidfd_getfd, fd, t->pipe[0], 0) >= 0;
}

static long open_process(void *arg)
{
	return syscall(SYS_pidfd_open, getppid(), 0) >= 0;
}

static long limit_all(void *arg)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_CORE, &limit) && !syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL);
}

static long limit_old(void *arg)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_CORE, &limit) && !syscall(SYS_setrlimit, RLIMIT_CORE, &limit);
}

static long regroup(void *arg) { return !syscall(SYS_setpgid, 0, getpgrp()); }
static long limit_other(void *arg) { return !syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, NULL); }
/* Of all processes of a user; as it is. */
static long user_priority(void *arg)
{
	long was = syscall(SYS_ioprio_get, 1, 0);

	return !syscall(SYS_ioprio_set, 3, 0, was) || errno == ESRCH;
}

static long set_user(void *arg) { return !syscall(SYS_setresuid, -1, -1, -1); }
static long set_group(void *arg) { return !syscall(SYS_setresgid, -1, -1, -1); }
static long new_rules(void *arg) { return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0; }
static long share_less(void *arg) { return !syscall(SYS_unshare, 0); }
static long new_root(void *arg) { return !syscall(SYS_chroot, "/"); }
static long no_filter(void *arg)
{
	return syscall(SYS_seccomp, 2 /* GET_ACTION_AVAIL */, 0, &(uint32_t){ 0x7fff0000 }) == 0;
}

/* getpid() of i386, which is sched_setscheduler() by number for others. */
static long other_abi(void *arg)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory");
	return ret == getpid();
}

/* --------------------------------------------------------------------------- all of them */

ATTACK(make_fork);
ATTACK(make_clone);
ATTACK(make_clone3);
ATTACK(execute);
ATTACK(execute_at);
ATTACK(signal_process);
ATTACK(signal_parent);
ATTACK(signal_thread);
ATTACK(signal_any_thread);
ATTACK(queue_signal);
ATTACK(signal_itself);
ATTACK(ring_alarm);
ATTACK(set_timer);
ATTACK(make_timer);
ATTACK(end_timer);
ATTACK(start_timer);
ATTACK(take_signal);
ATTACK(read_signals);
ATTACK(reap);
ATTACK(reap_id);
ATTACK(notify);
ATTACK(take_lease);
ATTACK(watch);
ATTACK(block_faults);
ATTACK(wait_open);
ATTACK(select_open);
ATTACK(suspend);
ATTACK(leave_terminal);
ATTACK(take_terminal);
ATTACK(set_foreground);
ATTACK(signal_terminal);
ATTACK(signal_console);
ATTACK(signal_keyboard);
ATTACK(has_consoles);
ATTACK(async_by_ioctl);
ATTACK(async_by_flags);
ATTACK(die_with_parent);
ATTACK(adopt);
ATTACK(no_huge_pages);
ATTACK(set_handler);
ATTACK(set_stack);
ATTACK(own_files);
ATTACK(steal_descriptor);
ATTACK(open_process);
ATTACK(limit_all);
ATTACK(limit_old);
ATTACK(regroup);
ATTACK(limit_other);
ATTACK(user_priority);
ATTACK(set_user);
ATTACK(set_group);
ATTACK(share_less);
ATTACK(new_root);
ATTACK(no_filter);
ATTACK(new_rules);
ATTACK(other_abi, .optional = true);

TEST_HARNESS_MAIN
