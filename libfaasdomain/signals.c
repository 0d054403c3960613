// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What signals do to domains. A handler begins with all keys but 0 denied: its stack has to
 * have key 0, and so has the data of the thread that it runs on. So handlers run on the
 * stack that each thread has for them, threads that belong to a domain get none but faults,
 * and a domain can neither set handlers nor change which signals come.
 *
 * These are functions of the C library: what makes system calls by itself passes by.
 */
#include <signal.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "state.h"

/* Past what is below. */
int kernel_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return NEXT(sigaction)(sig, act, old);
}

static bool is_handler(const struct sigaction *act)
{
	return act->sa_flags & SA_SIGINFO ||
	       (act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN);
}

/* Handlers that are there already. */
void signals_begin(void)
{
	struct sigaction action;
	int sig;

	for (sig = 1; sig < NSIG; sig++) {
		if (kernel_sigaction(sig, NULL, &action) || !is_handler(&action))
			continue;
		action.sa_flags |= SA_ONSTACK;
		kernel_sigaction(sig, &action, NULL);
	}
}

void signals_thread_begin(void)
{
	sigset_t all;
	size_t i;

	sigfillset(&all);
	for (i = 0; i < FAULT_SIGNALS; i++)
		sigdelset(&all, fault_signals[i]);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static int refuse(void)
{
	errno = EPERM;
	return -1;
}

OVERRIDE int sigaction(int sig, const struct sigaction *restrict act,
		       struct sigaction *restrict old)
{
	bool threads = gate_fixed.space_size && !process_child();
	struct sigaction mine;

	if (!threads)
		return kernel_sigaction(sig, act, old);
	if (is_inside() && act && (fault_is(sig) || is_handler(act)))
		return refuse();
	if (act) {
		mine = *act;
		mine.sa_flags |= SA_ONSTACK;
	}
	if (!fault_is(sig) || is_inside())
		return kernel_sigaction(sig, act ? &mine : NULL, old);
	/* Ours stays: it tells those that came before, and these. */
	if (old)
		*old = domains->old[sig];
	if (act)
		domains->old[sig] = mine;
	return 0;
}

OVERRIDE __sighandler_t signal(int sig, __sighandler_t handler)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;

	if (sigaction(sig, &action, &old))
		return SIG_ERR;
	return old.sa_handler;
}

OVERRIDE int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return set && is_inside() ? EPERM : NEXT(pthread_sigmask)(how, set, old);
}

OVERRIDE int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return set && is_inside() ? refuse() : NEXT(sigprocmask)(how, set, old);
}

/* The C library's gives a mask, or none, in a way that filters refuse. */
OVERRIDE int pselect(int n, fd_set *readable, fd_set *writable, fd_set *other,
		     const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left;

	if (!is_inside())
		return NEXT(pselect)(n, readable, writable, other, timeout, mask);
	if (mask) {
		errno = EPERM;
		return -1;
	}
	/* The kernel writes there how much is left. */
	if (timeout)
		left = *timeout;
	return syscall(SYS_pselect6, n, readable, writable, other, timeout ? &left : NULL, NULL);
}

OVERRIDE int sigaltstack(const stack_t *stack, stack_t *old)
{
	return stack && is_inside() ? refuse() : NEXT(sigaltstack)(stack, old);
}
