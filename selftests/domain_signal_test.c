// SPDX-License-Identifier: GPL-2.0
/*
 * Signals that are sent to the thread of a domain with a filter: whatever it is in the middle of, it is
 * stopped, leaves no lock locked that others need, and nothing of its registers.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "domain_run.h"

#define SECRET	0x123456789abcdef0ul
#define END	'e'

#define BLOCKS	64

/* What the functions have, and tell. */
struct work {
	void *_Atomic blocks[BLOCKS];
	atomic_int thread;
	stack_t stack;
	int ends[4];
};

/* So that it is in a register when the signal comes, and in no memory of this function's. */
static inline void keep_secret(void)
{
	__asm__ volatile("mov %0, %%rax\n\tnot %%rax\n\tmovq %%rax, %%xmm15\n\txor %%eax, %%eax"
			 : : "r"(~SECRET) : "rax", "xmm15");
}

static struct work *begin(void *arg)
{
	struct work *work = arg;

	if (sigaltstack(NULL, &work->stack))
		abort();
	atomic_store(&work->thread, gettid());
	return work;
}

/* Inside, all the time. */
static long calculate(void *arg)
{
	for (begin(arg); ; )
		keep_secret();
	return 0;
}

static long hand_on(int in, int out)
{
	char c;

	do {
		keep_secret();
	} while (read(in, &c, 1) == 1 && c != END && write(out, &c, 1) == 1);
	return 0;
}

/*
 * Outside, waiting and taking keys, with locks of the library's: most of all, as giving so many pages
 * another key takes long.
 */
#define LARGE_HEAP	(48ul << 20)

static long hand_there(void *arg)
{
	char *large = malloc(LARGE_HEAP);
	struct work *work;

	if (!large)
		return 1;
	memset(large, 1, LARGE_HEAP);
	work = begin(arg);
	return hand_on(work->ends[0], work->ends[3]);
}

static long hand_back(void *arg)
{
	struct work *work = arg;

	return hand_on(work->ends[2], work->ends[1]);
}

/* Outside, laying out memory. */
static long map(void *arg)
{
	void *at = NULL;

	for (begin(arg); at != MAP_FAILED; munmap(at, 4 * PAGE)) {
		keep_secret();
		at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		keep_secret();
	}
	return 0;
}

/* In the allocator, of which it wants locks that others have, too: it frees what is the host's. */
static long free_blocks(void *arg)
{
	struct work *work = begin(arg);
	unsigned int i;

	for (i = 0; ; i = (i + 1) % BLOCKS) {
		keep_secret();
		free(atomic_exchange(&work->blocks[i], NULL));
	}
	return 0;
}

/* And in the middle of that outside, as its own heap has to become larger. */
static long grow(void *arg)
{
	for (begin(arg); ; ) {
		keep_secret();
		if (!malloc(5 << 20))
			sched_yield();
	}
	return 0;
}

FIXTURE(signal)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
	struct work *work;
};

FIXTURE_VARIANT(signal)
{
	long (*fn)(void *arg);
	unsigned int rounds;
};

FIXTURE_VARIANT_ADD(signal, inside) { calculate, 3 };
FIXTURE_VARIANT_ADD(signal, waiting) { hand_there, 15 };
FIXTURE_VARIANT_ADD(signal, mapping) { map, 15 };
FIXTURE_VARIANT_ADD(signal, freeing) { free_blocks, 15 };
FIXTURE_VARIANT_ADD(signal, growing) { grow, 15 };

FIXTURE_SETUP(signal)
{
	/* One key for all, so that keys move all the time. */
	struct faasctl_domains_options options = { .keys = 1 };

	DOMAINS_SETUP(self, &options);
	NEED_KEYS(self);
	if (!self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	ASSERT_EQ(0, faasctl_domain_new("b", &filtered, &self->b, &self->err));
	self->work = faasctl_shared_alloc(sizeof(*self->work));
	ASSERT_EQ(0, pipe(self->work->ends));
	ASSERT_EQ(0, pipe(self->work->ends + 2));
}

FIXTURE_TEARDOWN(signal)
{
	EXPECT_OK(faasctl_domain_free(self->b, &self->err));
}

static unsigned int count_secrets(const stack_t *stack)
{
	const uint64_t *word = stack->ss_sp, *end = word + stack->ss_size / sizeof(*word);
	unsigned int n = 0;

	for (; word < end; word++)
		n += *word == SECRET;
	return n;
}

static void empty(int fd)
{
	char rest[100];

	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		abort();
	while (read(fd, rest, sizeof(rest)) > 0)
		;
	if (fcntl(fd, F_SETFL, 0))
		abort();
}

/* One that is freed is replaced. */
static void give_block(struct work *work, unsigned int i)
{
	if (!atomic_load(&work->blocks[i]))
		atomic_store(&work->blocks[i], malloc(64));
}

TEST_F(signal, sent)
{
	struct work *work = self->work;
	unsigned int round, n;
	long result = -1;

	for (round = 0; round < variant->rounds; round++) {
		ASSERT_EQ(0, faasctl_domain_new("a", &filtered, &self->a, &self->err));
		atomic_store(&work->thread, 0);
		EXPECT_OK(faasctl_domain_start(self->a, variant->fn, work, &self->err));
		EXPECT_OK(faasctl_domain_start(self->b, hand_back, work, &self->err));
		ASSERT_EQ(1, write(work->ends[1], "x", 1));
		while (!atomic_load(&work->thread))
			sched_yield();
		for (n = 0; n < round * 300; n++) {
			give_block(work, n % BLOCKS);
			sched_yield();
		}
		ASSERT_EQ(0, syscall(SYS_tgkill, getpid(), atomic_load(&work->thread), SIGFPE));
		/* What it leaves behind is there until it is waited for. */
		while (!syscall(SYS_tgkill, getpid(), atomic_load(&work->thread), 0))
			sched_yield();
		EXPECT_EQ(0, count_secrets(&work->stack));
		EXPECT_FAIL(EFAULT, "stage a was stopped: signal 8 (Floating point exception) was sent to its thread",
			    faasctl_domain_join(self->a, NULL, &self->err));
		EXPECT_EQ(SIGFPE, faasctl_domain_signal(self->a));
		use_locks();
		ASSERT_EQ(1, write(work->ends[3], (char[]){ END }, 1));
		EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
		EXPECT_EQ(0, result);
		EXPECT_OK(faasctl_domain_free(self->a, &self->err));
		empty(work->ends[0]);
		empty(work->ends[2]);
	}
}

TEST_HARNESS_MAIN
