// SPDX-License-Identifier: GPL-2.0
/* What functions map: whose it is, what can be done with it, and what is refused. */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "domain_fixture.h"

#define TEXT	"words of stage a"

static void *map(size_t size, int prot, int flags)
{
	return mmap(NULL, size, prot, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *map_some(size_t pages)
{
	return map(pages * PAGE, PROT_READ | PROT_WRITE, 0);
}

static bool is_zero(const char *at, size_t size)
{
	while (size && !*at) {
		at++;
		size--;
	}
	return !size;
}

/* A file of two pages that begins with the words, and a byte behind each page's first. */
static int make_file(void)
{
	int fd = memfd_create("words", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 2 * PAGE) || pwrite(fd, TEXT, sizeof(TEXT), 0) != sizeof(TEXT))
		abort();
	return fd;
}

/* ------------------------------------------------------------------- whose it is */

static long keep_words(void *arg)
{
	char *at = map_some(1);

	if (at == MAP_FAILED)
		return 0;
	strcpy(at, TEXT);
	return (long)at;
}

static long has_words(void *arg)
{
	return !strcmp(arg, TEXT);
}

static long write_there(void *arg)
{
	*(volatile char *)arg = 'x';
	return 0;
}

/* Whether it can be read here, found out without doing it. */
static bool is_there(const void *at)
{
	int ends[2];
	bool there;

	if (pipe(ends))
		abort();
	there = write(ends[1], at, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return there;
}

TEST_F(domain, private)
{
	long at = 0, result = 0;
	int status = 0;
	pid_t pid;

	EXPECT_OK(faasctl_domain_call(self->a, keep_words, NULL, &at, &self->err));
	ASSERT_NE(0, at);
	EXPECT_OK(faasctl_domain_call(self->a, has_words, (void *)at, &result, &self->err));
	EXPECT_EQ(1, result);
	EXPECT_EQ(variant->threads, is_there((void *)at));
	/* Nor is it in a process that is made. */
	pid = fork();
	if (!pid)
		_exit(is_there((void *)at));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	self->err.message[0] = '\0';
	EXPECT_EQ(-EFAULT, faasctl_domain_call(self->b, has_words, (void *)at, NULL, &self->err));
	if (variant->threads)
		EXPECT_NE(NULL, strstr(self->err.message, "which is in domain a"))
			TH_LOG("%s", self->err.message);
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	self->a = NULL;
	EXPECT_FALSE(is_there((void *)at));
}

static long map_one(void *arg)
{
	return (long)map_some(1);
}

/* The next domain of the slot finds nothing there. */
TEST_F(domain, gone)
{
	struct faasctl_domain *domain = NULL;
	long at = 0, next = 0, result = 0;
	unsigned int i;

	if (!variant->threads)
		SKIP(return, "slots are of threads");
	EXPECT_OK(faasctl_domain_call(self->a, keep_words, NULL, &at, &self->err));
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	self->a = NULL;
	/* Slots are taken in turn. */
	for (i = 0; i < 600 && next != at; i++) {
		ASSERT_EQ(0, faasctl_domain_new("next", NULL, &domain, &self->err));
		EXPECT_OK(faasctl_domain_call(domain, map_one, NULL, &next, &self->err));
		EXPECT_OK(faasctl_domain_call(domain, has_words, (void *)next, &result, &self->err));
		EXPECT_EQ(0, result);
		EXPECT_OK(faasctl_domain_free(domain, &self->err));
	}
	EXPECT_EQ(at, next);
}

/* ------------------------------------------------------------------- what can be done */

static long map_file(void *arg)
{
	int fd = make_file();
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *mine = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
	char c = 0;

	if (shared == MAP_FAILED || mine == MAP_FAILED || strcmp(shared, TEXT))
		return 1;
	shared[PAGE] = 'w';
	if (pread(fd, &c, 1, PAGE) != 1 || c != 'w' || *mine != 'w')
		return 2;
	return munmap(mine, PAGE) || munmap(shared, 2 * PAGE) || close(fd) ? 3 : 0;
}

/* The page in the middle goes, and can be had again; its neighbours stay. */
static long unmap_middle(void *arg)
{
	char *at = map_some(3);

	memset(at, 1, 3 * PAGE);
	if (munmap(at + PAGE, PAGE) || is_there(at + PAGE) || !is_there(at) || !is_there(at + 2 * PAGE))
		return 1;
	if (mmap(at + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0) != at + PAGE || !is_zero(at + PAGE, PAGE))
		return 2;
	if (mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at ||
	    !is_zero(at, PAGE) || at[2 * PAGE] != 1)
		return 3;
	return munmap(at, 3 * PAGE) || munmap(at, 3 * PAGE) ? 4 : 0;
}

static long protect(void *arg)
{
	char *at = map_some(3);
	int ends[2];

	if (pipe(ends) || mprotect(at + PAGE, PAGE, PROT_READ))
		return 1;
	if (write(ends[1], "x", 1) != 1 || read(ends[0], at + PAGE, 1) != -1 || errno != EFAULT)
		return 2;
	if (read(ends[0], at + 2 * PAGE, 1) != 1 || at[2 * PAGE] != 'x')
		return 3;
	if (mprotect(at, 2 * PAGE, PROT_NONE) || is_there(at) || mprotect(at, 3 * PAGE, PROT_READ | PROT_WRITE))
		return 4;
	at[PAGE] = 1;
	close(ends[0]);
	close(ends[1]);
	return munmap(at, 3 * PAGE) ? 5 : 0;
}

static long advise(void *arg)
{
	char *at = map_some(2);

	memset(at, 1, 2 * PAGE);
	if (madvise(at, PAGE, MADV_DONTNEED) || !is_zero(at, PAGE) || at[PAGE] != 1)
		return 1;
	return munmap(at, 2 * PAGE) ? 2 : 0;
}

static long grow(void *arg)
{
	char *at = map_some(16), *behind, *moved;

	/* There is room behind it, outside of domains, too. */
	munmap(at + 2 * PAGE, 14 * PAGE);
	strcpy(at, TEXT);
	at[2 * PAGE - 1] = 1;
	if (mremap(at, 2 * PAGE, 4 * PAGE, 0) != at || !is_zero(at + 2 * PAGE, 2 * PAGE))
		return 1;
	/* Something is in the way. */
	behind = mmap(at + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (mremap(at, 4 * PAGE, 8 * PAGE, 0) != MAP_FAILED || errno != ENOMEM)
		return 2;
	moved = mremap(at, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED || moved == at || is_there(at) || !is_there(behind))
		return 3;
	if (strcmp(moved, TEXT) || moved[2 * PAGE - 1] != 1 || !is_zero(moved + 2 * PAGE, 6 * PAGE))
		return 4;
	moved[8 * PAGE - 1] = 1;
	if (mremap(moved, 8 * PAGE, PAGE, 0) != moved || is_there(moved + PAGE))
		return 5;
	if (mremap(moved, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, behind) != behind ||
	    strcmp(behind, TEXT) || is_there(moved))
		return 6;
	return munmap(behind, PAGE) ? 7 : 0;
}

static long map_large(void *arg)
{
	size_t size = 5ul << 20;
	char *at = map(size, PROT_READ | PROT_WRITE, MAP_NORESERVE);

	if (at == MAP_FAILED)
		return 1;
	at[0] = 1;
	at[size - 1] = 1;
	return munmap(at, size) ? 2 : 0;
}

static const struct action {
	const char *name;
	long (*fn)(void *arg);
} actions[] = {
	{ "a file", map_file }, { "munmap", unmap_middle }, { "mprotect", protect },
	{ "madvise", advise }, { "mremap", grow }, { "large", map_large },
};

/* The same as without domains. */
TEST_F(domain, actions)
{
	long result;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		result = -1;
		EXPECT_OK(faasctl_domain_call(self->a, actions[i].fn, NULL, &result, &self->err));
		EXPECT_EQ(0, result)
			TH_LOG("%s", actions[i].name);
		EXPECT_EQ(0, actions[i].fn(NULL))
			TH_LOG("%s, outside", actions[i].name);
	}
}

/* Each that was given back can be had again, and nothing is left. */
static long map_many(void *arg)
{
	char *at[300];
	long i, k;

	for (k = 0; k < 5; k++) {
		for (i = 0; i < 300; i++) {
			/* Those beside each other are never alike. */
			at[i] = map(PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE, 0);
			if (at[i] == MAP_FAILED || !is_zero(at[i], PAGE))
				return 1 + i;
		}
		for (i = 0; i < 300; i++)
			if (munmap(at[(i * 7) % 300], PAGE))
				return -1 - i;
	}
	return 0;
}

TEST_F(domain, many)
{
	long result = -1;

	EXPECT_OK(faasctl_domain_start(self->a, map_many, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
}

/* ------------------------------------------------------------------- what is refused */

#define IS(code, call)	((errno = 0, (long)(call) == -1) && errno == (code) ? 0 : __LINE__)

static long refuse_exec(void *arg)
{
	char *at = map_some(1);
	long line = IS(EPERM, map(PAGE, PROT_READ | PROT_EXEC, 0));

	return line ? line : IS(EPERM, mprotect(at, PAGE, PROT_READ | PROT_EXEC));
}

static long refuse_downwards(void *arg) { return IS(EPERM, map(PAGE, PROT_READ, MAP_GROWSDOWN)); }
static long refuse_huge(void *arg) { return IS(EINVAL, map(3 << 20, PROT_READ, MAP_HUGETLB)); }
static long refuse_none(void *arg) { return IS(EINVAL, map(0, PROT_READ, 0)); }
static long refuse_much(void *arg) { return IS(ENOMEM, map(9ul << 30, PROT_READ, MAP_NORESERVE)); }
static long refuse_end(void *arg) { return IS(ENOMEM, map(-PAGE, PROT_READ, MAP_NORESERVE)); }
static long refuse_file(void *arg) { return IS(EBADF, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, -1, 0)); }
static long refuse_break(void *arg) { return IS(ENOMEM, sbrk(PAGE)); }
static long refuse_set_break(void *arg) { return IS(ENOMEM, brk((char *)arg + PAGE)); }

/* The host's page. */
static long refuse_hosts(void *arg)
{
	long line = IS(EACCES, munmap(arg, PAGE));

	line = line ? line : IS(EACCES, mprotect(arg, PAGE, PROT_READ));
	line = line ? line : IS(EACCES, madvise(arg, PAGE, MADV_DONTNEED));
	line = line ? line : IS(EACCES, mremap(arg, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	line = line ? line : IS(EACCES, mmap(arg, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	return line ? line : IS(EACCES, mremap(map_some(1), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, arg));
}

/* Its own heap and stack are the library's to lay out. */
static long refuse_own(void *arg)
{
	char *block = (char *)(((uintptr_t)malloc(1 << 20) + PAGE) & -PAGE);
	char *stack = (char *)((uintptr_t)__builtin_frame_address(0) & -PAGE);
	long line = IS(EACCES, munmap(block, PAGE));

	line = line ? line : IS(EACCES, mprotect(block, PAGE, PROT_READ));
	line = line ? line : IS(EACCES, munmap(stack - 8 * PAGE, PAGE));
	return line ? line : IS(EACCES, madvise(stack - 8 * PAGE, PAGE, MADV_DONTNEED));
}

/* From the last page of its slot on. */
static long refuse_beyond(void *arg)
{
	char *at = map_some(1), *end = (char *)((uintptr_t)at + (7ul << 30));
	long line;

	line = IS(EACCES, munmap(end, 2ul << 30));
	line = line ? line : IS(EACCES, munmap(at, -(size_t)at));
	line = line ? line : IS(EACCES, mmap(end, 2ul << 30, PROT_READ,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
	return line ? line : IS(ENOMEM, mremap(at, PAGE, 9ul << 30, MREMAP_MAYMOVE));
}

static long refuse_odd(void *arg)
{
	char *at = map_some(4);
	long line = IS(EINVAL, munmap(at + 1, PAGE));

	line = line ? line : IS(EINVAL, munmap(at, 0));
	line = line ? line : IS(EINVAL, mprotect(at + 1, PAGE, PROT_READ));
	line = line ? line : IS(EINVAL, mremap(at, PAGE, 0, 0));
	line = line ? line : IS(EINVAL, mremap(at, PAGE, PAGE, MREMAP_FIXED, at + PAGE));
	line = line ? line : IS(EINVAL, mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, at + PAGE));
	line = line ? line : IS(EINVAL, mmap(at + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	line = line ? line : IS(EEXIST, mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
					     -1, 0));
	line = line ? line : mprotect(at, 0, PROT_READ) ? __LINE__ : 0;
	/* A hole in the middle. */
	line = line ? line : munmap(at + PAGE, PAGE) ? __LINE__ : 0;
	line = line ? line : IS(ENOMEM, mprotect(at, 3 * PAGE, PROT_READ));
	line = line ? line : IS(ENOMEM, madvise(at, 3 * PAGE, MADV_DONTNEED));
	return line ? line : IS(EFAULT, mremap(at, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
}

static long refuse_fork(void *arg)
{
	char *at = map_some(1);
	long line = IS(EPERM, madvise(at, PAGE, MADV_DOFORK));

	return line ? line : IS(EPERM, madvise(at, PAGE, MADV_KEEPONFORK));
}

static long refuse_growing_file(void *arg)
{
	return IS(ENOMEM, mremap(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, make_file(), 0), PAGE, 2 * PAGE,
				 MREMAP_MAYMOVE));
}

/* Until there are as many as can be; what goes makes room. */
static long refuse_too_many(void *arg)
{
	char *at = map_some(4096);
	long i, line;

	for (i = 0; i < 2048 && !mprotect(at + 2 * i * PAGE, PAGE, PROT_READ); i++)
		;
	if (errno != ENOMEM || i < 400 || i == 2048)
		return __LINE__;
	line = IS(ENOMEM, map(PAGE, PROT_NONE, 0));
	/* Of one two are made. */
	for (i = 0; i < 20 && !munmap(at + (3000 + 2 * i) * PAGE, PAGE); i++)
		;
	line = line ? line : errno != ENOMEM || i == 20 ? __LINE__ : 0;
	line = line ? line : munmap(at + PAGE, PAGE) ? __LINE__ : 0;
	line = line ? line : munmap(at, 4096 * PAGE) ? __LINE__ : 0;
	return line ? line : map(PAGE, PROT_NONE, 0) == MAP_FAILED ? __LINE__ : 0;
}

#define REFUSAL(name)	{ #name, refuse_##name }

static const struct action refusals[] = {
	REFUSAL(exec), REFUSAL(downwards), REFUSAL(huge), REFUSAL(none), REFUSAL(much), REFUSAL(end), REFUSAL(file),
	REFUSAL(break), REFUSAL(set_break), REFUSAL(hosts), REFUSAL(own), REFUSAL(beyond), REFUSAL(odd),
	REFUSAL(fork), REFUSAL(growing_file), REFUSAL(too_many),
};

TEST_F(domain, refusals)
{
	char *page = map_some(1);
	long result;
	size_t i;

	if (!variant->threads)
		SKIP(return, "a process does with its memory what it likes");
	strcpy(page, TEXT);
	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		result = -1;
		EXPECT_OK(faasctl_domain_call(self->a, refusals[i].fn, page, &result, &self->err));
		EXPECT_EQ(0, result)
			TH_LOG("%s: line %ld", refusals[i].name, result);
	}
	EXPECT_STREQ(TEXT, page);
}

/* ------------------------------------------------------------------------- keys */

static long map_both(void *arg)
{
	char *at = map_some(2);

	strcpy(at, TEXT);
	strcpy(at + PAGE, TEXT);
	return mprotect(at, PAGE, PROT_READ) ? 0 : (long)at;
}

/* A key that comes and goes takes all of it along, and leaves it as it was. */
TEST(evicted)
{
	struct faasctl_domains_options one = { .keys = 1 };
	struct { struct faasctl_domain *a, *b; struct faasctl_error err; struct faasctl_domains_info info; } its, *self = &its;
	long at = 0, result = 0;
	int i;

	DOMAINS_SETUP(self, &one);
	NEED_KEYS(self);
	TWO_DOMAINS_SETUP(self);
	EXPECT_OK(faasctl_domain_call(self->a, map_both, NULL, &at, &self->err));
	ASSERT_NE(0, at);
	for (i = 0; i < 3; i++) {
		EXPECT_OK(faasctl_domain_call(self->b, keep_words, NULL, NULL, &self->err));
		EXPECT_OK(faasctl_domain_call(self->a, has_words, (void *)at, &result, &self->err));
		EXPECT_EQ(1, result);
		EXPECT_OK(faasctl_domain_call(self->a, has_words, (void *)(at + PAGE), &result, &self->err));
		EXPECT_EQ(1, result);
	}
	EXPECT_OK(faasctl_domain_call(self->a, write_there, (void *)(at + PAGE), NULL, &self->err));
	EXPECT_FAIL(EFAULT, "stage b was stopped: it touched",
		    faasctl_domain_call(self->b, has_words, (void *)at, NULL, &self->err));
	EXPECT_FAIL(EFAULT, "stage a was stopped: it touched",
		    faasctl_domain_call(self->a, write_there, (void *)at, NULL, &self->err));
	TWO_DOMAINS_TEARDOWN(self);
}

/* ---------------------------------------------------------------- at its beginning, its end */

/* What two of them do at once. */
static struct both {
	int file, ends[2];
	char *at;
	atomic_int go, done;
} *both;

static long map_again(void *arg)
{
	int i;

	both->at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, both->file, 0);
	atomic_store(&both->go, 1);
	for (i = 0; i < 4000; i++) {
		munmap(both->at, PAGE);
		if (mmap(both->at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, both->file, 0) != both->at)
			return i + 1;
	}
	atomic_store(&both->done, 1);
	return 0;
}

/* How often it could be read. */
static long peek(void *arg)
{
	long n = 0;
	char c;

	while (!atomic_load(&both->go))
		sched_yield();
	while (!atomic_load(&both->done))
		if (syscall(SYS_write, both->ends[1], both->at, 1) == 1)
			n += syscall(SYS_read, both->ends[0], &c, 1);
	return n;
}

/* Not for a moment is what one of them maps open to others. */
TEST_F(domain, private_from_the_beginning)
{
	long result = -1;

	if (!variant->threads)
		SKIP(return, "a process has its own");
	both = faasctl_shared_alloc(sizeof(*both));
	memset(both, 0, sizeof(*both));
	both->file = make_file();
	ASSERT_EQ(0, pipe(both->ends));
	ASSERT_EQ(0, faasctl_domain_start(self->b, peek, NULL, &self->err));
	ASSERT_EQ(0, faasctl_domain_start(self->a, map_again, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
	atomic_store(&both->done, 1);
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(0, result);
}

static long map_populated(void *arg)
{
	unsigned char there[4] = { 0 };
	char *at = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_POPULATE);

	if (at == MAP_FAILED || syscall(SYS_mincore, at, 4 * PAGE, there))
		return -1;
	return there[0] & there[1] & there[2] & there[3] & 1;
}

TEST_F(domain, populated)
{
	long result = -1;

	EXPECT_OK(faasctl_domain_call(self->a, map_populated, NULL, &result, &self->err));
	EXPECT_EQ(1, result);
}

/* How many pieces the kernel keeps of this process's memory. */
static int pieces(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int n = 0, c;

	while (f && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static bool set_pieces(int n)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "we");
	bool set = f && fprintf(f, "%d", n) > 0;

	return f && !fclose(f) && set;
}

/*
 * The kernel does not take a domain's slot back if there are too many pieces: what was in there is
 * nobody's all the same, and nobody comes to be there.
 */
#define SLOTS	512

static long where(void *arg)
{
	return (long)__builtin_frame_address(0);
}

TEST_F_TIMEOUT(domain, no_memory_to_end, 100)
{
	long at = 0, other = 0;
	bool limited, freed;
	int i, before;
	FILE *f;

	if (!variant->threads)
		SKIP(return, "slots are of threads");
	f = fopen("/proc/sys/vm/max_map_count", "re");
	ASSERT_NE(NULL, f);
	ASSERT_EQ(1, fscanf(f, "%d", &before));
	fclose(f);
	EXPECT_OK(faasctl_domain_call(self->a, keep_words, NULL, &at, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, map_both, NULL, NULL, &self->err));
	if (!set_pieces(before))
		SKIP(return, "the limit cannot be changed here");
	limited = set_pieces(pieces() - 8);
	freed = !faasctl_domain_free(self->a, &self->err);
	set_pieces(before);
	EXPECT_TRUE(limited);
	EXPECT_TRUE(freed);
	self->a = NULL;
	EXPECT_FAIL(EFAULT, "it touched",
		    faasctl_domain_call(self->b, has_words, (void *)at, NULL, &self->err));
	/* Slots are given in turn: each comes once at least, but b's, and that one. */
	for (i = 0; i < SLOTS; i++) {
		ASSERT_EQ(0, faasctl_domain_new("c", NULL, &self->a, &self->err));
		EXPECT_OK(faasctl_domain_call(self->a, where, NULL, &other, &self->err));
		EXPECT_NE(at / SLOT, other / SLOT);
		ASSERT_EQ(0, faasctl_domain_free(self->a, &self->err));
	}
	self->a = NULL;
}

TEST_HARNESS_MAIN
