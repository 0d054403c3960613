// SPDX-License-Identifier: GPL-2.0
/*
 * Domains: going in and out, heaps, stacks, keys, inputs, and how they end; as threads
 * kept apart by keys, and as processes. With keys, both are tested; without, processes.
 * Nothing of it needs the module.
 */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "domain_churn.h"
#include "domain_fixture.h"

static long add_one(void *arg)
{
	return (long)arg + 1;
}

TEST_F(domain, call)
{
	long result = 0;

	EXPECT_OK(faasctl_domain_call(self->a, add_one, (void *)41, &result, &self->err));
	EXPECT_EQ(42, result);
	EXPECT_OK(faasctl_domain_call(self->a, add_one, (void *)-1, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_call(self->b, add_one, NULL, NULL, NULL));
}

TEST_F(domain, start)
{
	long result = 0;

	EXPECT_FAIL(ESRCH, "stage a: nothing was started", faasctl_domain_join(self->a, NULL, &self->err));
	EXPECT_OK(faasctl_domain_start(self->a, add_one, (void *)1, &self->err));
	EXPECT_OK(faasctl_domain_start(self->b, add_one, (void *)2, &self->err));
	EXPECT_FAIL(EBUSY, "stage a: somebody is inside", faasctl_domain_start(self->a, add_one, NULL, &self->err));
	EXPECT_FAIL(EBUSY, "stage a", faasctl_domain_free(self->a, &self->err));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(2, result);
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(3, result);
	EXPECT_OK(faasctl_domain_start(self->a, add_one, (void *)5, &self->err));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(6, result);
}

static long set_errno(void *arg)
{
	errno = (long)arg;
	return errno;
}

/* A thread of its own, for a domain that was called before and has its key: its data, too. */
TEST_F(domain, start_after_call)
{
	long result = 0;

	EXPECT_OK(faasctl_domain_call(self->a, set_errno, (void *)1, NULL, &self->err));
	EXPECT_OK(faasctl_domain_start(self->a, set_errno, (void *)2, &self->err));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(2, result);
}

/* Who was started is inside, even before it is there. */
TEST_F(domain, started)
{
	long result = 0;
	int i;

	for (i = 0; i < 20; i++) {
		EXPECT_OK(faasctl_domain_start(self->a, add_one, (void *)1, &self->err));
		EXPECT_FAIL(EBUSY, "stage a: somebody is inside",
			    faasctl_domain_call(self->a, add_one, NULL, NULL, &self->err));
		EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
		EXPECT_EQ(2, result);
	}
}

static long where_stack(void *arg)
{
	return (long)__builtin_frame_address(0);
}

/*
 * That one call could not begin is no reason to stop the domain: here there is no descriptor
 * for its process, or its stack has a hole, so that it can be given no key.
 */
TEST_F(domain, start_without_resources)
{
	struct rlimit old, none;
	long result = 0;
	char *page;
	int ret;

	EXPECT_OK(faasctl_domain_call(self->a, where_stack, NULL, &result, &self->err));
	page = (char *)(result & -PAGE) + SLOT;
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = (struct rlimit){ 3, old.rlim_max };
	ASSERT_EQ(0, variant->threads ? munmap(page, PAGE) : setrlimit(RLIMIT_NOFILE, &none));
	ret = faasctl_domain_start(self->b, add_one, (void *)1, &self->err);
	if (!ret)
		ret = faasctl_domain_join(self->b, NULL, &self->err);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	if (variant->threads)
		page = mmap(page, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	EXPECT_EQ(variant->threads ? -ENOMEM : -EMFILE, ret);
	EXPECT_EQ(NULL, strstr(self->err.message, "was stopped"))
		TH_LOG("%s", self->err.message);
	EXPECT_OK(faasctl_domain_call(self->b, add_one, (void *)1, &result, &self->err));
	EXPECT_EQ(2, result);
	EXPECT_OK(faasctl_domain_start(self->b, add_one, (void *)2, &self->err));
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(3, result);
}

/* How many sockets and pipes this process has; -1: that cannot be told. */
static long count_ends(void *arg)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[16];
	long n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		memset(target, 0, sizeof(target));
		if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0)
			n += !strncmp(target, "socket:", 7) || !strncmp(target, "pipe:", 5);
	}
	closedir(dir);
	return n;
}

/*
 * Each process has its own socket, and its end of the pipe by which it ends with this one, but none
 * of the others': through these it would keep others from ending, and from being missed.
 */
TEST_F(domain, ends_of_others)
{
	struct faasctl_domain *many[16];
	long before = count_ends(NULL), result;
	size_t i, round;

	if (variant->threads)
		SKIP(return, "threads have no ends");
	ASSERT_LE(0, before);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < ARRAY_SIZE(many); i++)
			ASSERT_EQ(0, faasctl_domain_new("many", NULL, &many[i], &self->err));
		for (i = 0; i < ARRAY_SIZE(many); i++)
			EXPECT_OK(faasctl_domain_start(many[i], count_ends, NULL, &self->err));
		for (i = 0; i < ARRAY_SIZE(many); i++) {
			result = -1;
			EXPECT_OK(faasctl_domain_join(many[i], &result, &self->err));
			EXPECT_EQ(before + 2, result);
		}
		for (i = 0; i < ARRAY_SIZE(many); i++)
			EXPECT_OK(faasctl_domain_free(many[i], &self->err));
		EXPECT_EQ(before, count_ends(NULL));
	}
}

static atomic_int all_made;

static void *make_more(void *arg)
{
	struct faasctl_domain *domain;
	struct faasctl_error err;
	int i;

	for (i = 0; i < 60; i++) {
		if (faasctl_domain_new("more", NULL, &domain, &err) ||
		    faasctl_domain_call(domain, add_one, NULL, NULL, &err) || faasctl_domain_free(domain, &err))
			break;
	}
	atomic_store(&all_made, 1);
	return (void *)(long)i;
}

/* Nor has another child of this process any of them, made when it may be. */
TEST_F(domain, ends_in_children)
{
	long before = count_ends(NULL);
	pthread_t thread;
	void *made;
	pid_t pid;

	if (variant->threads)
		SKIP(return, "threads have no ends");
	ASSERT_LE(0, before);
	EXPECT_OK(faasctl_domain_call(self->a, add_one, NULL, NULL, &self->err));
	ASSERT_EQ(0, pthread_create(&thread, NULL, make_more, NULL));
	while (!atomic_load(&all_made)) {
		pid = child();
		if (!pid)
			_exit(count_ends(NULL));
		ASSERT_EQ(before, child_end(pid));
	}
	pthread_join(thread, &made);
	EXPECT_EQ(60, (long)made);
}

/* What a domain keeps from one call to the next. */
static char *kept;

static long keep(void *arg)
{
	kept = strdup(arg);
	return (long)kept;
}

static long kept_is(void *arg)
{
	return kept && !strcmp(kept, arg);
}

TEST_F(domain, heap)
{
	char *text = faasctl_shared_alloc(16);
	long result = 1;

	ASSERT_NE(NULL, text);
	strcpy(text, "a's own");
	EXPECT_OK(faasctl_domain_call(self->a, keep, text, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, churn, (void *)1, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_call(self->b, churn, (void *)2, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_call(self->a, kept_is, text, &result, &self->err));
	EXPECT_EQ(1, result);
	faasctl_shared_free(text);
}

TEST_F(domain, two_heaps_at_once)
{
	long result = 1;

	EXPECT_OK(faasctl_domain_start(self->a, churn, (void *)3, &self->err));
	EXPECT_OK(faasctl_domain_start(self->b, churn, (void *)4, &self->err));
	EXPECT_EQ(0, churn((void *)5));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(0, result);
}

static long read_byte(void *arg)
{
	return *(volatile char *)arg;
}

static long write_byte(void *arg)
{
	*(volatile char *)arg = 'x';
	return 0;
}

static long free_it(void *arg)
{
	free(arg);
	return 0;
}

/* Shared memory goes both ways, and a domain can make it. */
static long answer(void *arg)
{
	char **to = arg;

	if (strcmp(to[1], "question"))
		return -1;
	to[0] = faasctl_shared_alloc(100);
	strcpy(to[0], "answer");
	faasctl_shared_free(to[1]);
	return 0;
}

TEST_F(domain, shared)
{
	char **to = faasctl_shared_alloc(2 * sizeof(*to));
	long result = -1;

	ASSERT_NE(NULL, to);
	to[1] = faasctl_shared_alloc(10);
	ASSERT_NE(NULL, to[1]);
	strcpy(to[1], "question");
	EXPECT_OK(faasctl_domain_call(self->a, answer, to, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_STREQ("answer", to[0]);
	EXPECT_OK(faasctl_domain_call(self->b, free_it, to[0], NULL, &self->err));
	faasctl_shared_free(to);
}

/* Memory of another who made it after a's process was made, and b's was not. */
static long make_larger(void *arg)
{
	char **to = arg;

	if (malloc_usable_size(to[0]) < 1000000)
		return -1;
	to[0] = realloc(to[0], 3000000);
	if (!to[0] || strcmp(to[0], "shared"))
		return -2;
	return 0;
}

TEST_F(domain, shared_realloc)
{
	char **to = faasctl_shared_alloc(sizeof(*to));
	long result = -9;

	EXPECT_OK(faasctl_domain_call(self->a, add_one, NULL, NULL, &self->err));
	*to = faasctl_shared_alloc(1000000);
	strcpy(*to, "shared");
	EXPECT_OK(faasctl_domain_call(self->a, make_larger, to, &result, &self->err));
	EXPECT_EQ(0, result);
	faasctl_shared_free(to);
}

TEST_F(domain, inputs)
{
	struct faasctl_input *input;
	long result = 0;
	char *data;

	EXPECT_FAIL(EINVAL, "an input of 0 bytes", faasctl_input_new(0, &input, &self->err));
	EXPECT_OK(faasctl_input_new(10000, &input, &self->err));
	data = faasctl_input_data(input);
	data[9999] = 7;
	EXPECT_OK(faasctl_input_share(input, self->a, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, read_byte, data + 9999, &result, &self->err));
	EXPECT_EQ(7, result);
	data[9999] = 8;
	EXPECT_OK(faasctl_domain_call(self->a, read_byte, data + 9999, &result, &self->err));
	EXPECT_EQ(8, result);
	EXPECT_FAIL(EFAULT, "stage b was stopped", faasctl_domain_call(self->b, read_byte, data, NULL, &self->err));
	EXPECT_FAIL(EFAULT, "stage a was stopped", faasctl_domain_call(self->a, write_byte, data, NULL, &self->err));
	EXPECT_EQ(0, data[0]);
	EXPECT_OK(faasctl_input_free(input, &self->err));
}

static long get_parent(void *arg)
{
	return getppid();
}

/* A child that goes into such a domain has its own process, and leaves this one's alone. */
TEST_F(domain, children)
{
	struct faasctl_input *input;
	long parent = 0, result = 0;
	char *data;
	pid_t pid;

	if (variant->threads)
		SKIP(return, "threads are not in children");
	EXPECT_OK(faasctl_input_new(PAGE, &input, &self->err));
	data = faasctl_input_data(input);
	data[0] = 5;
	EXPECT_OK(faasctl_input_share(input, self->a, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, keep, "kept", NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, read_byte, data, &result, &self->err));
	pid = child();
	if (!pid)
		_exit(faasctl_domain_call(self->a, get_parent, NULL, &parent, NULL) || parent != getpid() ||
		      faasctl_domain_call(self->a, read_byte, data, &result, NULL) || result != 5 ||
		      faasctl_domain_free(self->a, NULL));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, &parent, &self->err));
	EXPECT_EQ(getpid(), parent);
	EXPECT_OK(faasctl_domain_call(self->a, kept_is, "kept", &result, &self->err));
	EXPECT_EQ(1, result);
	EXPECT_OK(faasctl_domain_call(self->a, read_byte, data, &result, &self->err));
	EXPECT_EQ(5, result);
}

/* One input for each request, as a host that serves many has them: the old one is gone. */
TEST_F(domain, input_renewed)
{
	size_t sizes[] = { PAGE, PAGE, 3 * PAGE, PAGE };
	struct faasctl_input *input;
	long result = 0;
	size_t i;
	char *data;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_OK(faasctl_input_new(sizes[i], &input, &self->err));
		data = faasctl_input_data(input);
		data[100] = i + 1;
		EXPECT_OK(faasctl_input_share(input, self->a, &self->err));
		EXPECT_OK(faasctl_domain_call(self->a, read_byte, data + 100, &result, &self->err));
		EXPECT_EQ(i + 1, result);
		EXPECT_OK(faasctl_input_free(input, &self->err));
		EXPECT_FAIL(EINVAL, "it was freed before", faasctl_input_free(input, &self->err));
		EXPECT_FAIL(EINVAL, "it was freed before", faasctl_input_share(input, self->a, &self->err));
	}
	/* What a second free would close. */
	EXPECT_LE(0, fcntl(0, F_GETFD));
}

/* Raises the flag behind its own, and leaves when its own is raised. */
static long until(void *arg)
{
	atomic_int *go = arg;

	atomic_store(go + 1, 1);
	while (!atomic_load(go))
		sched_yield();
	return 0;
}

static atomic_int *start_until(struct faasctl_domain *domain)
{
	atomic_int *go = faasctl_shared_alloc(2 * sizeof(*go));

	if (!go || faasctl_domain_start(domain, until, go, NULL))
		abort();
	while (!atomic_load(go + 1))
		sched_yield();
	return go;
}

/* A refusal changes nothing: a has the input still, though b is the one that is busy. */
TEST_F(domain, input_in_use)
{
	struct faasctl_input *input;
	long result = 0;
	atomic_int *go;
	char *data;

	EXPECT_OK(faasctl_input_new(PAGE, &input, &self->err));
	data = faasctl_input_data(input);
	data[0] = 5;
	EXPECT_OK(faasctl_input_share(input, self->a, &self->err));
	EXPECT_OK(faasctl_input_share(input, self->b, &self->err));
	go = start_until(self->b);
	EXPECT_FAIL(EBUSY, "stage b: somebody is inside", faasctl_input_free(input, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, read_byte, data, &result, &self->err));
	EXPECT_EQ(5, result);
	atomic_store(go, 1);
	EXPECT_OK(faasctl_domain_join(self->b, NULL, &self->err));
	EXPECT_OK(faasctl_input_free(input, &self->err));
	EXPECT_FAIL(EFAULT, "stage a", faasctl_domain_call(self->a, read_byte, data, NULL, &self->err));
}

TEST_F(domain, input_taken_back)
{
	struct faasctl_input *input;
	long result = 0;
	char *data;

	EXPECT_OK(faasctl_input_new(PAGE, &input, &self->err));
	data = faasctl_input_data(input);
	EXPECT_OK(faasctl_input_share(input, self->a, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, read_byte, data, &result, &self->err));
	EXPECT_OK(faasctl_input_free(input, &self->err));
	EXPECT_FAIL(EFAULT, "stage a", faasctl_domain_call(self->a, read_byte, data, NULL, &self->err));
}

/* --------------------------------------------------------------------- bad functions */

static long crash_null(void *arg)
{
	return *(volatile char *)((char *)arg + 8);
}

static long leave(void *arg)
{
	exit((long)arg);
}

/* The registers of who was stopped are in no memory that others can read. */
static long crash_with_secret(void *arg)
{
	__asm__ volatile("mov %0, %%r15\n\tmovq %0, %%xmm5\n\tud2" : : "r"(~(uint64_t)arg) : "r15", "xmm5");
	return 0;
}

TEST_F(domain, registers)
{
	uint64_t secret = ~0x123456789abcdef0, *at;
	stack_t stack;

	EXPECT_FAIL(EFAULT, "stage a", faasctl_domain_call(self->a, crash_with_secret, (void *)secret, NULL, &self->err));
	if (!variant->threads)
		SKIP(return, "a process's registers are its own");
	ASSERT_EQ(0, sigaltstack(NULL, &stack));
	ASSERT_NE(NULL, stack.ss_sp);
	for (at = stack.ss_sp; (char *)(at + 1) <= (char *)stack.ss_sp + stack.ss_size; at++)
		EXPECT_NE(~secret, *at);
}

TEST_F(domain, crashes)
{
	long result = 0;

	EXPECT_EQ(0, faasctl_domain_signal(self->a));
	EXPECT_FAIL(EFAULT, "stage a was stopped", faasctl_domain_call(self->a, crash_null, NULL, NULL, &self->err));
	EXPECT_EQ(SIGSEGV, faasctl_domain_signal(self->a));
	EXPECT_FAIL(EFAULT, "stage a was stopped", faasctl_domain_call(self->a, add_one, NULL, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->b, add_one, NULL, &result, &self->err));
	EXPECT_EQ(1, result);
}

TEST_F(domain, exits)
{
	long result = 0;

	EXPECT_OK(faasctl_domain_call(self->a, leave, (void *)7, &result, &self->err));
	EXPECT_EQ(7, result);
	EXPECT_OK(faasctl_domain_call(self->a, add_one, (void *)7, &result, &self->err));
	EXPECT_EQ(8, result);
}

/* ------------------------------------------------------------------------ bad callers */

static long call_again(void *arg)
{
	struct faasctl_domain *other;
	struct faasctl_input *input;

	if (faasctl_domain_call(arg, add_one, NULL, NULL, NULL) != -EPERM)
		return 1;
	if (faasctl_domain_new("c", NULL, &other, NULL) != -EPERM)
		return 2;
	if (faasctl_domain_free(arg, NULL) != -EPERM)
		return 3;
	if (faasctl_domain_start(arg, add_one, NULL, NULL) != -EPERM)
		return 4;
	if (faasctl_domain_join(arg, NULL, NULL) != -EPERM)
		return 5;
	if (faasctl_input_new(1, &input, NULL) != -EPERM)
		return 6;
	return 0;
}

TEST_F(domain, refusals)
{
	struct faasctl_domain_options options = { .stack_size = 1 };
	struct faasctl_domain *c, *d = self->a;
	long result = -1;

	EXPECT_FAIL(EALREADY, "has domains already", faasctl_domains_begin(NULL, &self->err));
	EXPECT_FAIL(EINVAL, "a/b", faasctl_domain_new("a/b", NULL, &c, &self->err));
	EXPECT_EQ(NULL, c);
	EXPECT_FAIL(EINVAL, "a stack of 1 bytes", faasctl_domain_new("c", &options, &c, &self->err));
	options.stack_size = 0;
	options.isolation = 7;
	EXPECT_FAIL(EINVAL, "unknown isolation 7", faasctl_domain_new("c", &options, &c, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, call_again, self->b, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	self->a = NULL;
	/* A new one is not what is freed twice. */
	EXPECT_OK(faasctl_domain_new("a", NULL, &self->a, &self->err));
	EXPECT_FAIL(EINVAL, "it was freed before", faasctl_domain_free(d, &self->err));
	EXPECT_FAIL(EINVAL, "it was freed before", faasctl_domain_call(d, add_one, NULL, NULL, &self->err));
	EXPECT_FAIL(EINVAL, "it was freed before", faasctl_domain_start(d, add_one, NULL, &self->err));
	EXPECT_FAIL(EINVAL, "stage a is no domain any more", faasctl_domain_join(d, NULL, &self->err));
	EXPECT_FAIL(EINVAL, "this is no domain, and never was",
		    faasctl_domain_join((void *)self, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, add_one, NULL, &result, &self->err));
	EXPECT_EQ(1, result);
	EXPECT_OK(faasctl_domain_free(NULL, &self->err));
}

/* Whose processes and threads are counted. */
TEST(without_threads)
{
	struct rlimit old, one;
	struct faasctl_domain *domain;
	struct { struct faasctl_error err; } ours, *self = &ours;
	long result = 0;

	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	ASSERT_EQ(0, faasctl_domains_begin(NULL, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("a", NULL, &domain, &self->err));
	ASSERT_EQ(0, getrlimit(RLIMIT_NPROC, &old));
	one = (struct rlimit){ 1, old.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &one));
	EXPECT_FAIL(EAGAIN, "no thread for stage a: Resource temporarily unavailable",
		    faasctl_domain_start(domain, add_one, NULL, &self->err));
	ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &old));
	EXPECT_OK(faasctl_domain_start(domain, add_one, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(domain, &result, &self->err));
	EXPECT_EQ(1, result);
	EXPECT_OK(faasctl_domain_free(domain, &self->err));
}

TEST(before_begin)
{
	struct faasctl_domains_options options = { .flags = 1 << 20 };
	struct faasctl_domain *domain;
	struct faasctl_error err;

	EXPECT_EQ(-EPERM, faasctl_domain_new("a", NULL, &domain, &err));
	EXPECT_EQ(-EINVAL, faasctl_domains_begin(&options, &err));
	EXPECT_EQ(NULL, faasctl_shared_alloc(1));
	EXPECT_EQ(0, churn((void *)1));
}

/* ------------------------------------------------------------------------------- ends */

struct traces {
	const char *heap;
	const char *stack;
};

static long leave_traces(void *arg)
{
	struct traces *traces = arg;
	char *heap = malloc(100000);
	volatile char stack[5000];

	memset(heap, 0x5a, 100000);
	memset((char *)stack, 0x5a, sizeof(stack));
	traces->heap = heap;
	traces->stack = (char *)stack;
	return stack[17];
}

static long find_traces(void *arg)
{
	struct traces *traces = arg;
	volatile char *memory = malloc(100000);
	size_t i;

	/* The same pages, by the same steps: or the test shows nothing. */
	if ((uintptr_t)memory / PAGE != (uintptr_t)traces->heap / PAGE)
		return -1;
	for (i = 0; i < 100000; i++)
		if (memory[i] || traces->heap[i])
			return -2;
	/* One byte can be like that by chance: malloc() has used this stack. */
	for (i = 0; i + 8 < 5000; i += 8)
		if (!memcmp(traces->stack + i, "\x5a\x5a\x5a\x5a\x5a\x5a\x5a\x5a", 8))
			return -3;
	return 0;
}

TEST_F(domain, nothing_is_left)
{
	struct traces *traces = faasctl_shared_alloc(sizeof(*traces));
	long result = -9;
	int i;

	if (!variant->threads)
		SKIP(return, "a process's memory ends with it");
	EXPECT_OK(faasctl_domain_call(self->a, leave_traces, traces, NULL, &self->err));
	/* All slots are used in turn: the last one made here is where a was. */
	for (i = 0; i < 511; i++) {
		EXPECT_OK(faasctl_domain_free(self->a, &self->err));
		EXPECT_OK(faasctl_domain_new("a", NULL, &self->a, &self->err));
	}
	EXPECT_OK(faasctl_domain_call(self->a, find_traces, traces, &result, &self->err));
	EXPECT_EQ(0, result);
	faasctl_shared_free(traces);
}

static long use_up(void *arg)
{
	size_t size = 0;

	while (malloc(100000)) {
		size += 100000;
		if (size > 100000000)
			return -1;
	}
	return errno == ENOMEM && size > 500000 ? 0 : -2;
}

TEST_F(domain, out_of_memory)
{
	struct faasctl_domain_options options = { .heap_max = 8 << 20 };
	struct faasctl_domain *c;
	long result = -9;

	if (!variant->threads)
		SKIP(return, "a heap's limit is for threads");
	EXPECT_OK(faasctl_domain_new("c", &options, &c, &self->err));
	EXPECT_OK(faasctl_domain_call(c, use_up, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_free(c, &self->err));
}

TEST_HARNESS_MAIN
