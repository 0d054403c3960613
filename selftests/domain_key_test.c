// SPDX-License-Identifier: GPL-2.0
/*
 * More domains than keys: who gives one up, who waits for one, and that what each domain
 * has stays its own. Skipped where there are no keys.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "domain_setup.h"

#define MANY	64
#define KEYS	3

FIXTURE(keys)
{
	struct faasctl_domain *domains[MANY];
	struct faasctl_error err;
	struct faasctl_domains_info info;
	atomic_int *flags;
};

FIXTURE_SETUP(keys)
{
	struct faasctl_domains_options options = { .keys = KEYS };
	char name[16];
	int i;

	DOMAINS_SETUP(self, &options);
	NEED_KEYS(self);
	ASSERT_EQ(KEYS, self->info.keys);
	self->flags = faasctl_shared_alloc(MANY * sizeof(*self->flags));
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		ASSERT_EQ(0, faasctl_domain_new(name, NULL, &self->domains[i], &self->err))
			TH_LOG("%s", self->err.message);
	}
}

FIXTURE_TEARDOWN(keys)
{
	int i;

	for (i = 0; i < MANY; i++)
		EXPECT_OK(faasctl_domain_free(self->domains[i], &self->err));
	faasctl_domains_info(&self->info);
	EXPECT_EQ(0, self->info.domains);
}

/* What each domain keeps in its heap, by number. */
static long **mine;

static long put(void *arg)
{
	long i = (long)arg;

	mine[i] = malloc(sizeof(long));
	*mine[i] = i * 7;
	return 0;
}

static long get(void *arg)
{
	return *mine[(long)arg];
}

TEST_F(keys, many)
{
	struct faasctl_domains_info info;
	long i, round, result;

	mine = calloc(MANY, sizeof(*mine));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(0, faasctl_domain_call(self->domains[i], put, (void *)i, NULL, NULL));
	faasctl_domains_info(&info);
	EXPECT_EQ(MANY - KEYS, info.evictions);
	for (round = 0; round < 3; round++)
		for (i = 0; i < MANY; i++) {
			result = -1;
			EXPECT_EQ(0, faasctl_domain_call(self->domains[i], get, (void *)i, &result, NULL));
			EXPECT_EQ(i * 7, result);
		}
	/* Who was used last has its key still. */
	faasctl_domains_info(&info);
	i = info.evictions;
	EXPECT_EQ(0, faasctl_domain_call(self->domains[MANY - 1], get, (void *)(MANY - 1l), NULL, NULL));
	EXPECT_EQ(0, faasctl_domain_call(self->domains[MANY - 2], get, (void *)(MANY - 2l), NULL, NULL));
	faasctl_domains_info(&info);
	EXPECT_EQ(i, info.evictions);
	EXPECT_EQ(0, info.waits);
}

/* As many as there can be. */
#define MOST	512
/* One of as many is gone into: to be emulated takes its time. */
#define SOME	16

TEST_F(keys, most)
{
	struct faasctl_domains_info info;
	struct faasctl_domain *more[MOST - MANY], *another;
	long i, result;

	/* What the allocator knows of each would take 2 MiB of huge pages: too much for a small guest. */
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	mine = calloc(MOST, sizeof(*mine));
	for (i = 0; i < MOST - MANY; i++) {
		ASSERT_EQ(0, faasctl_domain_new("more", NULL, &more[i], &self->err))
			TH_LOG("%ld: %s", i, self->err.message);
		if (!(i % SOME))
			EXPECT_OK(faasctl_domain_call(more[i], put, (void *)i, NULL, &self->err));
	}
	faasctl_domains_info(&info);
	EXPECT_EQ(MOST, info.domains);
	EXPECT_FAIL(ENOSPC, "stage another: there are 512 domains, which is the most",
		    faasctl_domain_new("another", NULL, &another, &self->err));
	EXPECT_EQ(NULL, another);
	for (i = 0; i < MOST - MANY; i += SOME) {
		EXPECT_OK(faasctl_domain_call(more[i], get, (void *)i, &result, &self->err));
		EXPECT_EQ(i * 7, result);
	}
	EXPECT_OK(faasctl_domain_free(more[100], &self->err));
	EXPECT_OK(faasctl_domain_new("another", NULL, &more[100], &self->err));
	EXPECT_OK(faasctl_domain_call(more[100], put, (void *)1l, NULL, &self->err));
	for (i = 0; i < MOST - MANY; i++)
		EXPECT_OK(faasctl_domain_free(more[i], &self->err));
}

/* Without a key its memory is as far away as ever, and with a key that was another's, too. */
TEST_F(keys, evicted_is_apart)
{
	long i;

	mine = calloc(MANY, sizeof(*mine));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(0, faasctl_domain_call(self->domains[i], put, (void *)i, NULL, NULL));
	for (i = 1; i < MANY; i += 9) {
		EXPECT_EQ(-EFAULT, faasctl_domain_call(self->domains[i], get, (void *)(i - 1), NULL, &self->err));
		EXPECT_NE(NULL, strstr(self->err.message, "which is in domain s"))
			TH_LOG("%s", self->err.message);
	}
}

/* All flags below @arg's own are raised: so many were inside at once. */
static atomic_int *gate_flags;

static long meet(void *arg)
{
	long i = (long)arg;
	int n;

	atomic_store(&gate_flags[i], 1);
	do {
		for (n = 0; n < KEYS && atomic_load(&gate_flags[n]); n++)
			;
		sched_yield();
	} while (n < KEYS);
	return 0;
}

/* As many as there are keys are inside at the same time. */
TEST_F(keys, as_many_as_keys)
{
	long i;

	gate_flags = self->flags;
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_start(self->domains[i], meet, (void *)i, NULL));
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_join(self->domains[i], NULL, NULL));
}

/* Says that it is there, KEYS further on. */
static long until(void *arg)
{
	atomic_int *go = arg;

	atomic_store(go + KEYS, 1);
	while (!atomic_load(go))
		sched_yield();
	return 0;
}

static long nothing(void *arg)
{
	return 0;
}

static void await_waits(uint64_t waits)
{
	struct faasctl_domains_info info;

	do {
		sched_yield();
		faasctl_domains_info(&info);
	} while (info.waits < waits);
}

static void *call_last(void *arg)
{
	FIXTURE_DATA(keys) *self = arg;

	return (void *)(long)faasctl_domain_call(self->domains[KEYS], nothing, NULL, NULL, NULL);
}

/* One more waits, until one leaves. */
TEST_F(keys, one_more_waits)
{
	pthread_t waiter;
	void *ret;
	long i;

	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_start(self->domains[i], until, (void *)&self->flags[i], NULL));
	for (i = 0; i < KEYS; i++)
		while (!atomic_load(&self->flags[KEYS + i]))
			sched_yield();
	EXPECT_EQ(0, pthread_create(&waiter, NULL, call_last, self));
	await_waits(1);
	/* It is as good as inside. */
	EXPECT_EQ(-EBUSY, faasctl_domain_free(self->domains[KEYS], NULL));
	EXPECT_EQ(-EBUSY, faasctl_domain_call(self->domains[KEYS], nothing, NULL, NULL, NULL));
	atomic_store(&self->flags[1], 1);
	EXPECT_EQ(0, pthread_join(waiter, &ret));
	EXPECT_EQ(NULL, ret);
	atomic_store(&self->flags[0], 1);
	atomic_store(&self->flags[2], 1);
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_join(self->domains[i], NULL, NULL));
}

/* What the host gets while somebody waits for a key is looked through before he goes in. */
TEST_F(keys, code_meanwhile)
{
	pthread_t waiter;
	uint8_t *page;
	void *ret;
	long i;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	put_key_write(page);
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_start(self->domains[i], until, (void *)&self->flags[i], NULL));
	for (i = 0; i < KEYS; i++)
		while (!atomic_load(&self->flags[KEYS + i]))
			sched_yield();
	EXPECT_EQ(0, pthread_create(&waiter, NULL, call_last, self));
	await_waits(1);
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ | PROT_EXEC));
	for (i = 0; i < KEYS; i++)
		atomic_store(&self->flags[i], 1);
	EXPECT_EQ(0, pthread_join(waiter, &ret));
	EXPECT_EQ(-ENOEXEC, (long)ret);
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_join(self->domains[i], NULL, NULL));
	/* It is not inside, and can be gone into when that is gone. */
	ASSERT_EQ(0, munmap(page, 4096));
	EXPECT_OK(faasctl_domain_call(self->domains[KEYS], nothing, NULL, NULL, &self->err));
}

static int waits_at;

static long wait_there(void *arg)
{
	char *text = strdup("still mine");
	char byte;

	if (faasctl_domain_wait(waits_at, POLLIN, -1) != POLLIN || strcmp(text, "still mine"))
		return -1;
	return read(waits_at, &byte, 1);
}

/* Who waits for input needs no key: all others run meanwhile, and nobody else gets in. */
TEST_F(keys, waiting_takes_none)
{
	long i, result = -9;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	waits_at = ends[0];
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, faasctl_domain_start(self->domains[i], wait_there, NULL, NULL));
	for (i = 20; i < MANY; i++)
		EXPECT_EQ(0, faasctl_domain_call(self->domains[i], nothing, NULL, NULL, NULL));
	EXPECT_EQ(-EBUSY, faasctl_domain_call(self->domains[0], nothing, NULL, NULL, NULL));
	EXPECT_EQ(-EBUSY, faasctl_domain_free(self->domains[0], NULL));
	EXPECT_EQ(20, write(ends[1], "01234567890123456789", 20));
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, faasctl_domain_join(self->domains[i], &result, &self->err));
		EXPECT_EQ(1, result);
	}
	EXPECT_EQ(0, faasctl_domain_wait(ends[0], POLLIN, 0));
}

static long wait_errors(void *arg)
{
	int *ends = arg;
	struct rlimit old, none = { 0 };
	int ret;

	if (faasctl_domain_wait(ends[0], POLLIN, 10) != 0)
		return 1;
	close(ends[1]);
	if (faasctl_domain_wait(ends[0], POLLIN, -1) != POLLHUP)
		return 2;
	close(ends[0]);
	if (faasctl_domain_wait(ends[0], POLLIN, -1) != POLLNVAL)
		return 3;
	if (getrlimit(RLIMIT_NOFILE, &old))
		return 4;
	none.rlim_max = old.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &none))
		return 5;
	ret = faasctl_domain_wait(0, POLLIN, -1);
	if (setrlimit(RLIMIT_NOFILE, &old))
		return 6;
	return ret == -EINVAL ? 0 : 7;
}

/* What happened is told, inside and outside. */
TEST_F(keys, waiting_tells)
{
	int *ends = faasctl_shared_alloc(2 * sizeof(*ends));
	long result = -9;

	ASSERT_EQ(0, pipe(ends));
	EXPECT_EQ(0, faasctl_domain_call(self->domains[0], wait_errors, ends, &result, &self->err));
	EXPECT_EQ(0, result);
	ASSERT_EQ(0, pipe(ends));
	EXPECT_EQ(0, wait_errors(ends));
}

/* By itself, past the library: a page of its heap is gone. */
static long make_hole(void *arg)
{
	char *at = malloc(1 << 20);

	return syscall(SYS_munmap, ((uintptr_t)at + PAGE) & -(uintptr_t)PAGE, PAGE);
}

/* A domain whose pages cannot be given another key keeps its own; others do with the rest. */
TEST_F(keys, hole)
{
	long i, round, result = -1;

	EXPECT_OK(faasctl_domain_call(self->domains[0], make_hole, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	for (round = 0; round < 2; round++)
		for (i = 1; i < MANY; i++)
			EXPECT_OK(faasctl_domain_call(self->domains[i], nothing, NULL, NULL, &self->err));
}

/* Inputs take keys, but the last. */
TEST_F(keys, inputs)
{
	struct faasctl_input *inputs[KEYS];
	long i;

	for (i = 0; i < KEYS - 1; i++)
		EXPECT_EQ(0, faasctl_input_new(PAGE, &inputs[i], NULL));
	EXPECT_EQ(-ENOSPC, faasctl_input_new(PAGE, &inputs[KEYS - 1], &self->err));
	EXPECT_EQ(NULL, inputs[KEYS - 1]);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(0, faasctl_domain_call(self->domains[i], nothing, NULL, NULL, NULL));
	for (i = 0; i < KEYS - 1; i++)
		EXPECT_EQ(0, faasctl_input_free(inputs[i], NULL));
	EXPECT_EQ(0, faasctl_input_new(PAGE, &inputs[0], NULL));
	EXPECT_EQ(0, faasctl_input_free(inputs[0], NULL));
}

/* A domain that is stopped needs no key. */
TEST_F(keys, stopped)
{
	long i;

	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(-EFAULT, faasctl_domain_call(self->domains[i], get, NULL, NULL, NULL));
	for (i = KEYS; i < MANY; i++)
		EXPECT_EQ(0, faasctl_domain_call(self->domains[i], nothing, NULL, NULL, NULL));
}

static void *caller(void *arg)
{
	FIXTURE_DATA(keys) *self = arg;
	uint64_t seed = (uintptr_t)&seed | 1;
	long i, n, ret, result;

	for (n = 0; n < 300; n += !ret) {
		i = random_next(&seed) % MANY;
		ret = faasctl_domain_call(self->domains[i], get, (void *)i, &result, NULL);
		if (ret && ret != -EBUSY)
			return "a call failed";
		if (!ret && result != i * 7)
			return "a result was wrong";
	}
	return NULL;
}

/* All at once, more callers than keys. */
TEST_F(keys, storm)
{
	pthread_t threads[6];
	void *wrong;
	long i;

	mine = calloc(MANY, sizeof(*mine));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(0, faasctl_domain_call(self->domains[i], put, (void *)i, NULL, NULL));
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, caller, self));
	for (i = 0; i < 6; i++) {
		pthread_join(threads[i], &wrong);
		EXPECT_EQ(NULL, wrong)
			TH_LOG("%s", (char *)wrong);
	}
}

/* ------------------------------------------------------------- plain reads and writes */

#define CHAIN	12
#define LENGTH	(200l << 10)

/* What stages of a chain go by: pipe i leads to stage i. */
static int chain[CHAIN + 1][2];
static char elsewhere[CHAIN][8192];

static long pass_on_by(char *buffer, size_t size, int from, int to)
{
	long all = 0, n;

	while ((n = read(from, buffer, size)) > 0) {
		if (write(to, buffer, n) != n)
			return -1;
		all += n;
	}
	close(to);
	return n ? -errno : all;
}

static long pass_on_own(void *arg)
{
	char buffer[8192];
	long i = (long)arg;

	return pass_on_by(buffer, sizeof(buffer), chain[i][0], chain[i + 1][1]);
}

static long pass_on_elsewhere(void *arg)
{
	long i = (long)arg;

	return pass_on_by(elsewhere[i], sizeof(elsewhere[i]), chain[i][0], chain[i + 1][1]);
}

/* All at once: in one write, which blocks, of memory that is not the domain's. */
static long pass_on_at_once(void *arg)
{
	char *memory = arg;
	long n = write(chain[0][1], memory, LENGTH);

	close(chain[0][1]);
	return n;
}

static long pass_on_polled(void *arg)
{
	struct pollfd files[2] = { { .fd = -1 }, { .fd = chain[(long)arg][0], .events = POLLIN } };

	if (poll(files, 2, -1) != 1 || files[0].revents || !(files[1].revents & POLLIN))
		return -9;
	return pass_on_own(arg);
}

/* Many more stages than keys, each of which waits for the one before and for the one behind. */
TEST_F(keys, plain_reads_and_writes)
{
	static long (*const ways[])(void *arg) = { pass_on_own, pass_on_elsewhere, pass_on_polled };
	char *memory = faasctl_shared_alloc(LENGTH), *got = malloc(LENGTH);
	long i, n, done = 0, result;

	for (i = 0; i < LENGTH; i++)
		memory[i] = i * 31 >> 5;
	for (i = 0; i <= CHAIN; i++) {
		ASSERT_EQ(0, pipe(chain[i]));
		ASSERT_EQ(4096, fcntl(chain[i][1], F_SETPIPE_SZ, 4096));
	}
	for (i = 0; i < CHAIN; i++)
		ASSERT_EQ(0, faasctl_domain_start(self->domains[i], ways[i % 3], (void *)i, NULL));
	ASSERT_EQ(0, faasctl_domain_start(self->domains[CHAIN], pass_on_at_once, memory, NULL));
	while ((n = read(chain[CHAIN][0], got + done, LENGTH - done)) > 0)
		done += n;
	EXPECT_EQ(LENGTH, done);
	EXPECT_EQ(0, memcmp(memory, got, LENGTH));
	for (i = 0; i <= CHAIN; i++) {
		EXPECT_OK(faasctl_domain_join(self->domains[i], &result, &self->err));
		EXPECT_EQ(LENGTH, result);
	}
	for (i = 0; i <= CHAIN; i++)
		close(chain[i][0]);
}

static long write_for_ever(void *arg)
{
	int *ends = arg;
	char bytes[4096] = { 0 };

	while (write(ends[1], bytes, sizeof(bytes)) > 0)
		;
	return 0;
}

/* Who is stopped while it waits has lost its key already: it is not given back twice. */
TEST_F(keys, stopped_while_waiting)
{
	int *ends = faasctl_shared_alloc(2 * sizeof(*ends)), full;
	long i, round;

	for (round = 0; round < KEYS + 1; round++) {
		ASSERT_EQ(0, pipe(ends));
		ASSERT_EQ(0, faasctl_domain_start(self->domains[round], write_for_ever, ends, NULL));
		for (full = 0; full < 65536;)
			ASSERT_EQ(0, ioctl(ends[0], FIONREAD, &full));
		/* All others, so that its key is another's by now. */
		for (i = KEYS + 1; i < MANY; i++)
			EXPECT_OK(faasctl_domain_call(self->domains[i], nothing, NULL, NULL, &self->err));
		close(ends[0]);
		EXPECT_FAIL(EFAULT, "it wrote to what nobody reads any more",
			    faasctl_domain_join(self->domains[round], NULL, &self->err));
		close(ends[1]);
	}
	gate_flags = self->flags;
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_start(self->domains[KEYS + 1 + i], meet, (void *)i, NULL));
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(0, faasctl_domain_join(self->domains[KEYS + 1 + i], NULL, NULL));
}

static char *others;

static long keep(void *arg)
{
	others = malloc(100);
	return !others;
}

#define FAILS_WITH(code, call)	(errno = 0, (call) != -1 || errno != (code))

/* What these calls say does not change; which of these is wrong. */
static long call_badly(void *arg)
{
	int *ends = arg;
	char *volatile nowhere = NULL;
	char own[10], *mine_and_more = (char *)((uintptr_t)others | (SLOT - 1)) - 5;

	if (FAILS_WITH(EBADF, read(-1, own, 10)) || FAILS_WITH(EBADF, write(-1, own, 10)) ||
	    FAILS_WITH(EBADF, read(-1, elsewhere, 10)) || FAILS_WITH(EBADF, write(-1, elsewhere, 10)))
		return 1;
	if (read(ends[0], own, 0) || write(ends[1], own, 0))
		return 2;
	if (FAILS_WITH(EAGAIN, read(ends[0], own, 10)) || FAILS_WITH(EAGAIN, read(ends[0], elsewhere, 10)))
		return 3;
	if (FAILS_WITH(EFAULT, write(ends[1], others, 10)) || FAILS_WITH(EFAULT, write(ends[1], mine_and_more, 10)))
		return 4;
	if (write(ends[1], "bytes", 5) != 5 || FAILS_WITH(EFAULT, read(ends[0], others, 5)) ||
	    FAILS_WITH(EFAULT, read(ends[0], mine_and_more, 5)) || FAILS_WITH(EFAULT, read(ends[0], nowhere, 5)))
		return 5;
	if (read(ends[0], elsewhere, 10) != 5 || memcmp(elsewhere, "bytes", 5))
		return 6;
	/* As much as fits, of what is more than one piece. */
	if (write(ends[1], arg, 1 << 20) != 65536 || FAILS_WITH(EAGAIN, write(ends[1], arg, 1 << 20)))
		return 7;
	return poll(NULL, 0, 1);
}

TEST_F(keys, plain_calls_fail_as_ever)
{
	int *ends = faasctl_shared_alloc(1 << 20);
	long result = -9;

	ASSERT_EQ(0, pipe2(ends, O_NONBLOCK));
	ASSERT_EQ(0, faasctl_domain_call(self->domains[1], keep, NULL, &result, NULL));
	ASSERT_EQ(0, result);
	EXPECT_OK(faasctl_domain_call(self->domains[0], call_badly, ends, &result, &self->err));
	EXPECT_EQ(0, result);
	close(ends[0]);
	close(ends[1]);
}

TEST_HARNESS_MAIN
