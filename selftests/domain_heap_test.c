// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps of domains: what is allocated inside is the domain's own, on a thread that was lent and on
 * one of its own, which allocates as if there were no domains; who frees what, and what is left
 * when one is stopped in the allocator. Skipped where there are no keys.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "domain_run.h"

#define BLOCKS	200

/* What all of them know of. */
static struct shared {
	void *blocks[BLOCKS];
	atomic_int thread, go;
} *s;

FIXTURE(heap)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(heap)
{
	struct faasctl_domain_options options;
	bool started;
};

FIXTURE_VARIANT_ADD(heap, called) { { 0 } };
FIXTURE_VARIANT_ADD(heap, started) { { 0 }, .started = true };
FIXTURE_VARIANT_ADD(heap, filtered) { { .flags = FAASCTL_DOMAIN_FILTER }, .started = true };

FIXTURE_SETUP(heap)
{
	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	if (variant->options.flags && !self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	ASSERT_EQ(0, faasctl_domain_new("a", &variant->options, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", &variant->options, &self->b, &self->err));
	s = faasctl_shared_alloc(sizeof(*s));
	ASSERT_NE(NULL, s);
	memset(s, 0, sizeof(*s));
}

FIXTURE_TEARDOWN(heap)
{
	TWO_DOMAINS_TEARDOWN(self);
}

/* What @fn returns in there, or -errno. */
#define GO(domain, fn)	go(variant->started, domain, fn, &self->err)

static long go(bool started, struct faasctl_domain *domain, long (*fn)(void *arg),
	       struct faasctl_error *err)
{
	long result = -1;
	int ret;

	if (started)
		return run(domain, fn, NULL, err);
	ret = faasctl_domain_call(domain, fn, NULL, &result, err);
	return ret ? ret : result;
}

/* Whether it is in the slot of who asks. */
static bool is_own(const void *p)
{
	return !(((uintptr_t)p ^ (uintptr_t)__builtin_frame_address(0)) / SLOT);
}

static long nothing(void *arg)
{
	return 0;
}

/* ------------------------------------------------------------------------ the family */

/* Returns 0, or which of them was not as it has to be. */
static long use_all(void *arg)
{
	void *volatile huge = (void *)-1;
	char *p, *old, *aligned = NULL;
	size_t i;

	p = malloc(100);
	if (!is_own(p) || malloc_usable_size(p) < 100)
		return 1;
	strcpy(p, "some text");
	for (i = 200; i < 3000000; i *= 3) {
		p = realloc(old = p, i);
		if (!p || !is_own(p) || strcmp(p, "some text"))
			return 2;
	}
	p = realloc(p, 20);
	if (!is_own(p) || strcmp(p, "some text"))
		return 3;
	if (realloc(p, 0))
		return 4;
	p = realloc(NULL, 40000);
	if (!is_own(p))
		return 5;
	memset(p, 'x', 40000);
	free(p);
	p = calloc(4, 10000);
	for (i = 0; i < 40000; i++)
		if (p[i])
			return 6;
	if (!is_own(p))
		return 7;
	free(p);
	errno = 0;
	if (calloc((size_t)huge, 16) || errno != ENOMEM)
		return 8;
	if (posix_memalign((void **)&aligned, 4096, 100) || !is_own(aligned) ||
	    (uintptr_t)aligned % 4096)
		return 9;
	free(aligned);
	p = aligned_alloc(256, 512);
	if (!is_own(p) || (uintptr_t)p % 256)
		return 10;
	free(p);
	if (posix_memalign((void **)&aligned, 3, 100) != EINVAL)
		return 11;
	p = malloc(0);
	if (!p || !is_own(p))
		return 12;
	free(p);
	free(NULL);
	return 0;
}

/* Blocks of all kinds of sizes, most of which go through caches. */
static size_t size_of(int i)
{
	return 16 + i * i;
}

static long allocate(void *arg)
{
	int i;

	for (i = 0; i < BLOCKS; i++) {
		s->blocks[i] = malloc(size_of(i));
		if (!s->blocks[i] || !is_own(s->blocks[i]))
			return 1 + i;
		memset(s->blocks[i], i, size_of(i));
	}
	return 0;
}

/* In the domain where they are. */
static long release(void *arg)
{
	int i;

	for (i = 0; i < BLOCKS; i++) {
		if (!is_own(s->blocks[i]) || *(unsigned char *)s->blocks[i] != i)
			return 1 + i;
		free(s->blocks[i]);
	}
	return 0;
}

TEST_F(heap, family)
{
	void *p;
	int i;

	EXPECT_EQ(0, GO(self->a, use_all))
		TH_LOG("%s", self->err.message);
	EXPECT_EQ(0, GO(self->b, use_all));
	/* Nothing of that is given to who is outside. */
	ASSERT_EQ(0, GO(self->a, allocate));
	for (i = 0; i < BLOCKS; i++) {
		p = malloc(size_of(i));
		EXPECT_NE((uintptr_t)s->blocks[0] / SLOT, (uintptr_t)p / SLOT);
		EXPECT_FALSE((uintptr_t)p - (uintptr_t)s < SLOT);
		free(p);
	}
}

static long enlarge(void *arg)
{
	int i;

	for (i = 0; i < BLOCKS; i++) {
		s->blocks[i] = realloc(s->blocks[i], 2 * size_of(i));
		if (!s->blocks[i] || !is_own(s->blocks[i]) || *(unsigned char *)s->blocks[i] != i)
			return 1 + i;
	}
	return 0;
}

static long read_block(void *arg)
{
	return *(volatile char *)s->blocks[7];
}

static long free_block(void *arg)
{
	free(s->blocks[7]);
	return 0;
}

TEST_F(heap, others)
{
	EXPECT_EQ(0, GO(self->a, allocate));
	EXPECT_EQ(-EFAULT, GO(self->b, read_block));
	EXPECT_NE(NULL, strstr(self->err.message, "which is in domain a"));
	EXPECT_OK(faasctl_domain_free(self->b, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", &variant->options, &self->b, &self->err));
	EXPECT_EQ(-EFAULT, GO(self->b, free_block));
	EXPECT_NE(NULL, strstr(self->err.message, "it freed memory of another domain"));
	EXPECT_EQ(0, GO(self->a, release));
}

/* What stays when one is left is freed the next time, by another thread, or from outside. */
TEST_F(heap, stays)
{
	int i, round;

	for (round = 0; round < 10; round++) {
		ASSERT_EQ(0, GO(self->a, allocate));
		ASSERT_EQ(0, GO(self->a, enlarge));
		if (round % 2) {
			ASSERT_EQ(0, GO(self->a, release));
			continue;
		}
		for (i = 0; i < BLOCKS; i++)
			free(s->blocks[i]);
	}
}

/* By a thread of its own and by others in turn. */
TEST_F(heap, both)
{
	int round;

	if (variant->options.flags)
		SKIP(return, "it is not for threads of others");
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, go(round & 1, self->a, allocate, &self->err));
		ASSERT_EQ(0, go(round & 2, self->a, enlarge, &self->err));
		ASSERT_EQ(0, go(round & 4, self->a, release, &self->err));
	}
}

/* What was allocated outside, and what is shared, never comes out again as the domain's. */
static long release_and_take(void *arg)
{
	int i;

	for (i = 0; i < BLOCKS; i++)
		free(s->blocks[i]);
	return allocate(NULL);
}

TEST_F(heap, outside)
{
	int round, i;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < BLOCKS; i++)
			s->blocks[i] = round % 2 ? faasctl_shared_alloc(size_of(i)) :
						   malloc(size_of(i));
		EXPECT_EQ(0, GO(self->a, release_and_take));
		EXPECT_EQ(0, GO(self->a, release));
	}
}

/* For all, whoever sets it; and what comes after is the domain's again. */
static long set_environment(void *arg)
{
	FILE *f;
	char *p;

	if (setenv("DOMAIN_HEAP_TEST", "a text that is not the domain's alone", 1))
		return 1;
	f = fopen("/dev/null", "w");
	if (!f || fclose(f))
		return 2;
	p = malloc(50);
	if (!is_own(p))
		return 3;
	free(p);
	return is_own(getenv("DOMAIN_HEAP_TEST")) ? 4 : 0;
}

static long see_environment(void *arg)
{
	return strcmp(getenv("DOMAIN_HEAP_TEST"), "a text that is not the domain's alone");
}

TEST_F(heap, shared)
{
	EXPECT_EQ(0, GO(self->a, set_environment));
	EXPECT_EQ(0, GO(self->b, see_environment));
}

/* No thread keeps anything back of what it freed. */
TEST_F(heap, comes_and_goes)
{
	struct faasctl_domain_options options = variant->options;
	struct faasctl_domain *c;
	int i;

	options.heap_max = 24 << 20;
	ASSERT_EQ(0, faasctl_domain_new("c", &options, &c, &self->err));
	for (i = 0; i < 15; i++) {
		ASSERT_EQ(0, GO(c, allocate));
		ASSERT_EQ(0, GO(c, release));
	}
	EXPECT_OK(faasctl_domain_free(c, &self->err));
}

/* ------------------------------------------------------------------------- its ends */

/* Far from what it has: the allocator knows of nothing there, and is not ready for that. */
static long free_what_is_none(void *arg)
{
	uintptr_t slot = (uintptr_t)__builtin_frame_address(0) & -SLOT;

	free(malloc(10));
	free((void *)(slot + (12ul << 30) + 64));
	return 0;
}

static void *use_allocator(void *arg)
{
	int i;

	for (i = 0; i < 1000; i++)
		free(malloc(i * 10));
	return NULL;
}

/* A domain that is stopped there is given up, and nothing else. */
TEST_F(heap, stopped_in_there)
{
	struct faasctl_domain *c;
	pthread_t thread;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, faasctl_domain_new("c", &variant->options, &c, &self->err));
		EXPECT_EQ(-EFAULT, GO(c, free_what_is_none));
		EXPECT_EQ(SIGSEGV, faasctl_domain_signal(c));
		EXPECT_EQ(-EFAULT, GO(c, nothing));
		EXPECT_OK(faasctl_domain_free(c, &self->err));
		ASSERT_EQ(0, pthread_create(&thread, NULL, use_allocator, NULL));
		ASSERT_EQ(0, GO(self->b, allocate));
		ASSERT_EQ(0, GO(self->b, release));
		ASSERT_EQ(0, pthread_join(thread, NULL));
	}
}

/*
 * Of a size of which two are together, what they were in goes with both. A thread's cache takes 20 of these,
 * gets 10 when it has none, and gives back the 10 that it has for longest when it is full.
 */
#define LARGE	14336
#define HALF	10

/* The second of two in the same place, none of which is known of when both are gone. */
static int find_second(void *const *blocks)
{
	int i, k;

	for (i = 0; i < HALF; i++)
		for (k = 0; k < HALF; k++)
			if (blocks[i] == (char *)blocks[k] + LARGE)
				return i;
	return -1;
}

static void free_half(void *volatile *blocks)
{
	int i;

	for (i = 0; i < HALF; i++)
		free(blocks[i]);
}

/* When it returns one is in the cache still, of which nothing is known any more. */
static long free_some_twice(void **blocks)
{
	int i, second;

	for (i = 0; i < 4 * HALF; i++)
		blocks[i] = malloc(LARGE);
	second = find_second(blocks);
	if (second < 0)
		return 1;
	free_half(blocks);
	free(((void *volatile *)blocks)[second]);
	free_half(blocks + HALF);
	return 0;
}

static long free_twice(void *arg)
{
	void *blocks[4 * HALF];

	return free_some_twice(blocks);
}

/* It shows in there, in the middle of it. */
static long free_twice_and_go_on(void *arg)
{
	void *blocks[4 * HALF];

	if (free_some_twice(blocks))
		return 1;
	free_half(blocks + 2 * HALF);
	free_half(blocks + 3 * HALF);
	return 2;
}

static long free_twice_and_exit(void *arg)
{
	_exit(free_twice(arg));
}

static long free_twice_and_crash(void *arg)
{
	return free_twice(arg) ? 1 : *(volatile char *)((char *)arg + 8);
}

/*
 * Who frees twice harms himself; the host goes on. It shows when he ends; if he is called, when he is
 * freed, as his cache is for the next call.
 */
TEST_F(heap, freed_twice)
{
	static const struct {
		long (*fn)(void *arg);
		bool shows;	/* in a call, too */
	} all[] = {
		{ free_twice, false }, { free_twice_and_exit, false },
		{ free_twice_and_go_on, true }, { free_twice_and_crash, true },
	};
	struct faasctl_domain *c;
	pthread_t thread;
	size_t i;
	long ret;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		ASSERT_EQ(0, faasctl_domain_new("c", &variant->options, &c, &self->err));
		ret = GO(c, all[i].fn);
		EXPECT_EQ(all[i].shows || variant->started ? -EFAULT : 0, ret)
			TH_LOG("%zu", i);
		EXPECT_OK(faasctl_domain_free(c, &self->err));
		ASSERT_EQ(0, pthread_create(&thread, NULL, use_allocator, NULL));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, GO(self->b, allocate));
		ASSERT_EQ(0, GO(self->b, release));
	}
}

/* Says where its heap is. */
static long crash(void *arg)
{
	s->blocks[0] = malloc(10);
	return *(volatile char *)((char *)arg + 8);
}

#define MANY	600

/*
 * Of one that was stopped there the slot is not given again, of which there are 512; but who comes to
 * that thread later, and is stopped elsewhere, gives up nothing.
 */
TEST_F_TIMEOUT(heap, given_up, 120)
{
	struct faasctl_domain *c;
	uintptr_t slot;
	int i;

	if (variant->started)
		SKIP(return, "the thread ends");
	/* With a lock that nobody gives back. */
	ASSERT_EQ(0, faasctl_domain_new("c", &variant->options, &c, &self->err));
	GO(c, free_twice_and_go_on);
	EXPECT_OK(faasctl_domain_free(c, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("c", &variant->options, &c, &self->err));
	ASSERT_EQ(0, GO(c, allocate));
	slot = (uintptr_t)s->blocks[0] / SLOT;
	EXPECT_EQ(-EFAULT, GO(c, free_what_is_none));
	EXPECT_OK(faasctl_domain_free(c, &self->err));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, faasctl_domain_new("c", &variant->options, &c, &self->err))
			TH_LOG("after %d", i);
		ASSERT_EQ(-EFAULT, GO(c, crash));
		EXPECT_NE(slot, (uintptr_t)s->blocks[0] / SLOT);
		ASSERT_EQ(0, faasctl_domain_free(c, &self->err));
	}
}

static long churn(void *arg)
{
	void *some[64] = { 0 };
	unsigned int i, at = 1;

	atomic_store(&s->thread, gettid());
	for (i = 0; !atomic_load(&s->go); i++) {
		at = at * 1103515245 + 12345;
		free(some[at >> 16 & 63]);
		some[at >> 16 & 63] = malloc(1 + (at >> 8 & 0x7fff));
	}
	return 0;
}

/* Wherever it is: others go on. */
TEST_F(heap, is_sent_signal)
{
	struct faasctl_domain *c;
	pthread_t thread;
	long result = -1;
	int i, n;

	if (!variant->options.flags)
		SKIP(return, "such a signal is the host's");
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, faasctl_domain_new("c", &variant->options, &c, &self->err));
		atomic_store(&s->thread, 0);
		ASSERT_EQ(0, faasctl_domain_start(c, churn, NULL, &self->err));
		while (!atomic_load(&s->thread))
			sched_yield();
		for (n = 0; n < i * 10; n++)
			sched_yield();
		ASSERT_EQ(0, syscall(SYS_tgkill, getpid(), atomic_load(&s->thread), SIGFPE));
		EXPECT_FAIL(EFAULT, "was sent to its thread",
			    faasctl_domain_join(c, &result, &self->err));
		EXPECT_OK(faasctl_domain_free(c, &self->err));
		ASSERT_EQ(0, pthread_create(&thread, NULL, use_allocator, NULL));
		ASSERT_EQ(0, pthread_join(thread, NULL));
	}
	ASSERT_EQ(0, GO(self->b, allocate));
}

/* A process that the host makes meanwhile can allocate. */
TEST_F(heap, host_forks)
{
	struct faasctl_error err;
	int i, status;
	pid_t pid;

	if (!variant->started)
		SKIP(return, "the host is inside");
	ASSERT_EQ(0, faasctl_domain_start(self->a, churn, NULL, &self->err));
	while (!atomic_load(&s->thread))
		sched_yield();
	for (i = 0; i < 20; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			use_allocator(NULL);
			_exit(7);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFEXITED(status));
		EXPECT_EQ(7, WEXITSTATUS(status));
	}
	atomic_store(&s->go, 1);
	EXPECT_OK(faasctl_domain_join(self->a, NULL, &err));
	EXPECT_EQ(0, GO(self->a, allocate));
}

TEST_HARNESS_MAIN
