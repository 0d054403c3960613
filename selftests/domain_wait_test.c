// SPDX-License-Identifier: GPL-2.0
/*
 * Plain read(), write() and poll() inside domains, which hold no key while they wait: what they
 * say and do besides is what it was. Skipped where there are no keys.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <ucontext.h>

#include "domain_setup.h"

#define KEYS	2

FIXTURE(wait)
{
	struct faasctl_domain *a, *b, *others[KEYS];
	struct faasctl_error err;
	struct faasctl_domains_info info;
	int *ends;
};

FIXTURE_SETUP(wait)
{
	struct faasctl_domains_options options = { .keys = KEYS };
	int i;

	DOMAINS_SETUP(self, &options);
	NEED_KEYS(self);
	TWO_DOMAINS_SETUP(self);
	for (i = 0; i < KEYS; i++)
		ASSERT_EQ(0, faasctl_domain_new("other", NULL, &self->others[i], &self->err));
	self->ends = faasctl_shared_alloc(2 * sizeof(*self->ends));
	ASSERT_EQ(0, pipe(self->ends));
}

FIXTURE_TEARDOWN(wait)
{
	int i;

	for (i = 0; i < KEYS; i++)
		EXPECT_OK(faasctl_domain_free(self->others[i], &self->err));
	TWO_DOMAINS_TEARDOWN(self);
}

/* Not of any domain. */
static char elsewhere[100 << 10];
static int *ends;

static long nothing(void *arg)
{
	return 0;
}

#define FAILS_WITH(code, call)	(errno = 0, (call) != -1 || errno != (code))

/* Calls @fn in a and expects 0. */
#define RUN(fn)									\
do {										\
	long result_ = -9;							\
										\
	ends = self->ends;							\
	EXPECT_OK(faasctl_domain_call(self->a, fn, NULL, &result_, &self->err));	\
	EXPECT_EQ(0, result_);							\
} while (0)

/* ---------------------------------------------------------------------- handlers of the host */

static volatile int handled, wrong;
static struct faasctl_domain *domain_a;

static void handle(int sig)
{
	struct pollfd file = { .fd = ends[0], .events = POLLIN };
	char byte;

	wrong |= write(ends[1], "x", 1) != 1;
	wrong |= (poll(&file, 1, 1) != 1) << 1;
	wrong |= (read(ends[0], &byte, 1) != 1 || byte != 'x') << 2;
	handled++;
}

static long be_interrupted(void *arg)
{
	char *text = strdup("still mine");
	int i;

	for (i = 0; i < 3; i++)
		raise(SIGUSR1);
	return strcmp(text, "still mine");
}

/* They write and read as ever, and the domain that they came upon goes on. */
TEST_F(wait, in_a_handler)
{
	struct sigaction action = { .sa_handler = handle };

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	RUN(be_interrupted);
	EXPECT_EQ(3, handled);
	EXPECT_EQ(0, wrong);
}

static void call_from_handler(int sig)
{
	struct faasctl_error err;

	wrong = faasctl_domain_call(domain_a, be_interrupted, NULL, NULL, &err);
	handled++;
}

static long write_to_nobody(void *arg)
{
	char *text = strdup("still mine");

	return FAILS_WITH(EPIPE, write(ends[1], text, 5)) || strcmp(text, "still mine");
}

/* One that is told of a broken pipe is on a thread that is inside: it goes into no domain. */
TEST_F(wait, call_in_a_handler)
{
	struct sigaction action = { .sa_handler = call_from_handler };

	ASSERT_EQ(0, sigaction(SIGPIPE, &action, NULL));
	domain_a = self->b;
	close(self->ends[0]);
	/* Both have a key, and the thread is ready. */
	EXPECT_OK(faasctl_domain_call(self->b, nothing, NULL, NULL, &self->err));
	RUN(nothing);
	RUN(write_to_nobody);
	EXPECT_EQ(1, handled);
	EXPECT_EQ(-EPERM, wrong);
}

/* ------------------------------------------------------------------------------- vfork() */

static long vfork_and_write(void *arg)
{
	char *text = strdup("still mine");
	pid_t pid;

	pid = vfork();
	if (!pid) {
		/* It is killed by that. */
		syscall(SYS_write, ends[1], "y", write(ends[1], "x", 1));
		_exit(1);
	}
	if (waitpid(pid, &(int){ 0 }, 0) != pid)
		return 1;
	/* All others have had keys since, if this one is thought to wait. */
	atomic_store((atomic_int *)arg, 1);
	while (atomic_load((atomic_int *)arg) != 2)
		sched_yield();
	return strcmp(text, "still mine");
}

/* What a child of vfork() does is not its parent's doing: that has its key still. */
TEST_F(wait, of_a_child)
{
	atomic_int *step = faasctl_shared_alloc(sizeof(*step));
	struct faasctl_domains_info info;
	long result = -1;
	int i;

	signal(SIGPIPE, SIG_DFL);
	close(self->ends[0]);
	ends = self->ends;
	ASSERT_EQ(0, faasctl_domain_start(self->a, vfork_and_write, step, &self->err));
	while (atomic_load(step) != 1)
		sched_yield();
	/* One key is left for all of these. */
	for (i = 0; i < KEYS; i++)
		EXPECT_OK(faasctl_domain_call(self->others[i], nothing, NULL, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->b, nothing, NULL, NULL, &self->err));
	faasctl_domains_info(&info);
	EXPECT_EQ(KEYS, info.evictions);
	atomic_store(step, 2);
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
}

/* ----------------------------------------------------------------------------- what is said */

static long write_less_than_nothing(void *arg)
{
	struct pollfd file = { .fd = ends[0], .events = POLLIN };
	volatile size_t size = -1;
	char own[4];

	/* The kernel has the last word; it writes nothing. */
	if (write(ends[1], elsewhere, size) != -1 || write(ends[1], own, size) != -1)
		return 1;
	return poll(&file, 1, 0);
}

TEST_F(wait, less_than_nothing)
{
	RUN(write_less_than_nothing);
}

static long send_at_once(void *arg)
{
	return write(ends[0], elsewhere, sizeof(elsewhere)) != sizeof(elsewhere);
}

/* A message stays one. */
TEST_F(wait, messages)
{
	static char got[2 * sizeof(elsewhere)];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, self->ends));
	RUN(send_at_once);
	EXPECT_EQ(sizeof(elsewhere), recv(self->ends[1], got, sizeof(got), MSG_DONTWAIT));
	EXPECT_EQ(-1, recv(self->ends[1], got, sizeof(got), MSG_DONTWAIT));
}

static long read_what_never_comes(void *arg)
{
	struct sockaddr nameless = { .sa_family = AF_UNIX };
	struct timeval soon = { .tv_usec = 1000 };
	int pair[2];

	/* A writing end is never ready to be read. */
	if (FAILS_WITH(EBADF, read(ends[1], elsewhere, 1)))
		return 1;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
	    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)))
		return 2;
	if (FAILS_WITH(EAGAIN, read(pair[0], elsewhere, 1)))
		return 3;
	close(pair[0]);
	pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(pair[0], &nameless, sizeof(nameless.sa_family)) || listen(pair[0], 1))
		return 4;
	return FAILS_WITH(EINVAL, read(pair[0], elsewhere, 1)) ? 5 : 0;
}

TEST_F(wait, what_never_comes)
{
	RUN(read_what_never_comes);
}

static ucontext_t here, there;
static long said;

static void poll_there(void)
{
	struct pollfd file = { .fd = ends[0], .events = POLLIN };

	said = poll(&file, 1, 1) || faasctl_domain_wait(ends[0], POLLIN, 1) ||
	       write(ends[1], "x", 1) != 1 || poll(&file, 1, -1) != 1;
}

/* On a stack that a function made itself, which is nobody's. */
static long poll_elsewhere(void *arg)
{
	void *stack = mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED || getcontext(&there))
		return 1;
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = 64 << 10;
	there.uc_link = &here;
	makecontext(&there, poll_there, 0);
	said = 1;
	return swapcontext(&here, &there) || said;
}

TEST_F(wait, on_another_stack)
{
	RUN(poll_elsewhere);
}

/* ---------------------------------------------------------------------- the end of a thread */

static pthread_key_t late;

static volatile int *volatile nowhere = (int *)8;

static long crash(void *arg)
{
	return *nowhere;
}

static void call_late(void *arg)
{
	/* First come those who were made first: the thread's stack for signals is gone by now. */
	wrong = faasctl_domain_call(arg, crash, NULL, NULL, NULL);
}

static void *call_and_end(void *arg)
{
	faasctl_domain_call(arg, nothing, NULL, NULL, NULL);
	pthread_setspecific(late, arg);
	return NULL;
}

/* A destructor that goes in late is ready for that, too. */
TEST_F(wait, late_calls)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_key_create(&late, call_late));
	ASSERT_EQ(0, pthread_create(&thread, NULL, call_and_end, self->a));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-EFAULT, wrong);
}

TEST_HARNESS_MAIN
