// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that make, change and end processes.
 */
#include <sched.h>
#include <sys/prctl.h>

#include "call.h"
#include "common.h"

static pid_t children[CALLS_MAX];
static unsigned int nchildren;

/* Stopped, it would not end. */
static int deadly(uint64_t number)
{
	number %= 32;
	return number >= SIGSTOP && number <= SIGTTOU ? SIGKILL : number;
}

static void be_child(const struct call *c)
{
	/* A write may wait for ever. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (c->arg[0] & 1)
		signal(SIGPIPE, SIG_DFL);
	if (c->arg[2])
		(void)!write(slot(c->arg[1]), slots_source(), length(c->arg[2], 0));
	if (c->arg[0] & 2)
		kill(getpid(), deadly(c->arg[3]));
	if (c->arg[0] & 4) { /* whoever made it may be gone first */
		prctl(PR_SET_PDEATHSIG, 0);
		usleep(5000);
	}
	_exit(c->arg[4]);
}

long call_fork(struct thread *t, const struct call *c)
{
	unsigned int number;
	pid_t pid;

	hold_ticks(true);
	pid = fork();
	hold_ticks(false);
	if (!pid)
		be_child(c);
	if (pid > 0) {
		number = __atomic_fetch_add(&nchildren, 1, __ATOMIC_RELAXED);
		if (number < CALLS_MAX)
			children[number] = pid;
	}
	return pid;
}

void children_forget(void)
{
	nchildren = 0;
}

void children_end(void)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < nchildren && i < CALLS_MAX; i++)
		kill(children[i], SIGKILL);
	nchildren = 0;
	do
		pid = waitpid(-1, NULL, 0);
	while (pid > 0 || errno == EINTR);
}

long call_die(struct thread *t, const struct call *c)
{
	if (c->arg[0] & 1)
		return kill(getpid(), deadly(c->arg[1]));
	if (c->arg[0] & 2) /* this thread only, with files that others share */
		syscall(SYS_exit, c->arg[2] & 0xff);
	_exit(c->arg[2]);
}

long call_drop(struct thread *t, const struct call *c)
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

long call_shrink(struct thread *t, const struct call *c)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	long n = write(fd, "4", 1); /* do not say so each time */

	if (n == 1)
		n = write(fd, "2", 1); /* slabs */
	close(fd);
	return n;
}

long call_pause(struct thread *t, const struct call *c)
{
	return usleep(c->arg[0] % 3000);
}
