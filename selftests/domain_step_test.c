// SPDX-License-Identifier: GPL-2.0
/*
 * Signals that are sent to a domain's thread while it is in the allocator, at each instruction that
 * follows where a lock was taken or given back: it is stopped before it does anything else, and
 * leaves no lock that others need. A tracer takes the thread there step by step.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <time.h>

#include "domain_run.h"

/* Of those domains whose threads are sent signals, each costs one of 512. */
#define POINTS_MAX	400u

/* What the host, the function and the tracer know. */
static struct shared {
	void *block;
	atomic_int thread, traced;	/* the function's; followed */
	atomic_int reached;		/* by the function: its end */
	atomic_int ask, sent;		/* the host for a signal; it did */
	atomic_int stage;		/* of the tracer: which point is next */
	atomic_int finished;		/* there is none any more */
	unsigned int points;
	bool cut;			/* there would be more, and no time */
} *s;

/* Of a slow machine: as many points as there is time for, and of two locks at least. */
#define SECONDS		40

/* Of an object that is loaded. */
struct range {
	uintptr_t from, to;
};

static struct range libc, library;

static bool find(void *what, struct range *range)
{
	struct dl_find_object object;

	if (_dl_find_object(what, &object))
		return false;
	*range = (struct range){ (uintptr_t)object.dlfo_map_start, (uintptr_t)object.dlfo_map_end };
	return true;
}

static bool is_in(uintptr_t at, const struct range *range)
{
	return at - range->from < range->to - range->from;
}

/* ------------------------------------------------------------------------ functions */

/* The tracer takes over, before and after. */
static void begin(void)
{
	atomic_store(&s->thread, gettid());
	while (!atomic_load(&s->traced))
		;
	__asm__ volatile("int3" : : : "memory");
}

static long end(void)
{
	atomic_store(&s->reached, 1);
	__asm__ volatile("int3" : : : "memory");
	return 0;
}

/* What is the host's: in the arena of all. */
static long release(void *arg)
{
	begin();
	free(s->block);
	return end();
}

/* In the domain's arena, which has to become larger for it. */
static long grow(void *arg)
{
	void *volatile block;

	begin();
	block = malloc(5 << 20);
	return block ? end() : 1;
}

/* --------------------------------------------------------------------------- tracer */

/* Its instruction; 0: it ended. @how: a request that lets it go on, until it stops again */
static uintptr_t advance(pid_t thread, int how, int sig, int *stopped)
{
	struct user_regs_struct registers;
	int status;

	if (ptrace(how, thread, NULL, (void *)(long)sig) ||
	    waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_GETREGS, thread, NULL, &registers))
		return 0;
	*stopped = WSTOPSIG(status);
	return registers.rip;
}

/* To the @step-th instruction after the @back-th return to the library. Whether there is one. */
static bool go_to(pid_t thread, unsigned int back, unsigned int step)
{
	bool was_there = false;
	uintptr_t at;
	int stopped;

	for (;;) {
		at = advance(thread, PTRACE_SINGLESTEP, 0, &stopped);
		if (!at || stopped != SIGTRAP || atomic_load(&s->reached))
			return false;
		if (was_there && is_in(at, &library) && !back--)
			break;
		was_there = is_in(at, &libc);
	}
	while (step--)
		if (!advance(thread, PTRACE_SINGLESTEP, 0, &stopped) || stopped != SIGTRAP)
			return false;
	return true;
}

/* The host sends it. Then it goes on, to its end or past it. */
static void send_there(pid_t thread, int sig)
{
	int stopped = 0;

	atomic_store(&s->sent, 0);
	atomic_store(&s->ask, sig);
	while (!atomic_load(&s->sent))
		sched_yield();
	while (advance(thread, PTRACE_CONT, stopped, &stopped))
		if (stopped == SIGTRAP)
			stopped = 0;
}

static void trace(int sig, unsigned int steps)
{
	time_t end = time(NULL) + SECONDS;
	unsigned int point, n = 0;
	pid_t thread;
	int stopped;
	bool there;

	/* It has its parent's limit. */
	alarm(0);
	for (point = 0; ; point++) {
		while (atomic_load(&s->stage) != (int)point || !atomic_load(&s->thread))
			sched_yield();
		thread = atomic_load(&s->thread);
		if (ptrace(PTRACE_SEIZE, thread, NULL, NULL))
			_exit(1);
		atomic_store(&s->traced, 1);
		if (waitpid(thread, NULL, __WALL) != thread)
			_exit(2);
		s->cut = n >= 2 * steps && time(NULL) > end;
		there = n < POINTS_MAX && !s->cut && go_to(thread, point / steps, point % steps);
		if (there) {
			n++;
			send_there(thread, sig);
			continue;
		}
		atomic_store(&s->finished, 1);
		while (advance(thread, PTRACE_CONT, 0, &stopped))
			;
		break;
	}
	s->points = n;
	_exit(0);
}

/* ----------------------------------------------------------------------------- host */

FIXTURE(step)
{
	struct faasctl_domain *a;
	struct faasctl_error err;
	struct faasctl_domains_info info;
	pid_t tracer;
};

FIXTURE_VARIANT(step)
{
	struct faasctl_domain_options options;
	long (*fn)(void *arg);
	int signal;
	unsigned int steps;
	bool called;
};

#define FILTER	{ .flags = FAASCTL_DOMAIN_FILTER }

FIXTURE_VARIANT_ADD(step, freeing) { FILTER, release, SIGFPE, 12 };
FIXTURE_VARIANT_ADD(step, freeing_abort) { FILTER, release, SIGABRT, 4 };
FIXTURE_VARIANT_ADD(step, freeing_abort_unfiltered) { { 0 }, release, SIGABRT, 4 };
FIXTURE_VARIANT_ADD(step, freeing_abort_called) { { 0 }, release, SIGABRT, 4, .called = true };
FIXTURE_VARIANT_ADD(step, growing) { FILTER, grow, SIGFPE, 1 };
FIXTURE_VARIANT_ADD(step, growing_abort) { FILTER, grow, SIGABRT, 1 };
FIXTURE_VARIANT_ADD(step, growing_abort_called) { { 0 }, grow, SIGABRT, 1, .called = true };

FIXTURE_SETUP(step)
{
	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	if (variant->options.flags && !self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	ASSERT_TRUE(find(pthread_mutex_unlock, &libc));
	ASSERT_TRUE(find(faasctl_domains_begin, &library));
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, s);
	atomic_store(&s->stage, -1);
	self->tracer = child();
	if (!self->tracer)
		trace(variant->signal, variant->steps);
}

FIXTURE_TEARDOWN(step)
{
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
}

struct call {
	struct faasctl_domain *domain;
	long (*fn)(void *arg);
	struct faasctl_error *err;
	int ret;
};

static void *call(void *arg)
{
	struct call *c = arg;

	c->ret = faasctl_domain_call(c->domain, c->fn, NULL, NULL, c->err);
	return NULL;
}

static void wait_and_send(void)
{
	int sig;

	while (!atomic_load(&s->finished)) {
		sig = atomic_exchange(&s->ask, 0);
		if (!sig) {
			sched_yield();
			continue;
		}
		if (syscall(SYS_tgkill, getpid(), atomic_load(&s->thread), sig))
			abort();
		atomic_store(&s->sent, 1);
		return;
	}
}

TEST_F_TIMEOUT(step, sent, 200)
{
	struct call c = { .fn = variant->fn, .err = &self->err };
	pthread_t thread;
	int point, ret;

	for (point = 0; ; point++) {
		ASSERT_EQ(0, faasctl_domain_new("a", &variant->options, &self->a, &self->err));
		s->block = malloc(64);
		atomic_store(&s->thread, 0);
		atomic_store(&s->traced, 0);
		atomic_store(&s->reached, 0);
		atomic_store(&s->stage, point);
		c.domain = self->a;
		ret = variant->called ? -pthread_create(&thread, NULL, call, &c) :
			faasctl_domain_start(self->a, c.fn, NULL, &self->err);
		ASSERT_EQ(0, ret);
		wait_and_send();
		ret = variant->called ? -pthread_join(thread, NULL) :
			faasctl_domain_join(self->a, NULL, &self->err);
		if (variant->called && !ret)
			ret = c.ret;
		if (atomic_load(&s->finished))
			break;
		EXPECT_EQ(0, atomic_load(&s->reached))
			TH_LOG("it went on, at point %d", point);
		EXPECT_EQ(-EFAULT, ret);
		EXPECT_EQ(variant->signal, faasctl_domain_signal(self->a));
		EXPECT_OK(faasctl_domain_free(self->a, &self->err));
		use_locks();
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, child_end(self->tracer));
	/* It takes a lock, and gives it back. */
	EXPECT_LE(2 * variant->steps, s->points);
	EXPECT_EQ((unsigned int)point, s->points);
	if (s->cut)
		TH_LOG("after %u points there was no time for the others", s->points);
}

TEST_HARNESS_MAIN
