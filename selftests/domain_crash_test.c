// SPDX-License-Identifier: GPL-2.0
/* What stops a function in a domain that is a thread: the text and the signal, and that others go on. */
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "domain_churn.h"
#include "domain_setup.h"

static long nothing(void *arg)
{
	return 0;
}

static long crash_null(void *arg)
{
	return *(volatile char *)((char *)arg + 8);
}

static long crash_divide(void *arg)
{
	volatile long zero = 0;

	return (100 + (long)arg) / zero;
}

static long crash_illegal(void *arg)
{
	__asm__ volatile("ud2");
	return 0;
}

static long crash_breakpoint(void *arg)
{
	__asm__ volatile("int3");
	return 0;
}

/* Its flag, past what may be kept below the stack's end. */
static long crash_step(void *arg)
{
	__asm__ volatile("sub $128, %%rsp\n\tpushf\n\torl $0x100, (%%rsp)\n\tpopf\n\tadd $128, %%rsp"
			 : : : "cc", "memory");
	return 0;
}

static long crash_abort(void *arg)
{
	abort();
}

/* @arg: the frame of its caller, so that none can be left out. */
static __attribute__((noinline)) long deep(void *arg)
{
	void *volatile frame[512];

	frame[511] = arg;
	if ((long)arg == -1)
		return 0;
	return deep((void *)frame) + (frame[511] == arg);
}

/* More than there is below its stack until that of another one begins. */
static long large_frame(void *arg)
{
	volatile char *below = (char *)__builtin_frame_address(0) - (3 << 20);

	*below = 1;
	return 1;
}

/* The allocator needs more of the stack than this does: that is where it ends. */
static __attribute__((noinline)) long deep_malloc(void *arg)
{
	void *volatile block = malloc(40000);

	return block ? deep_malloc((void *)&block) + (block == arg) : 0;
}

/*
 * The same on a stack that the function made itself, which a page ends; below that is the next one. Each
 * has its turn before one goes too deep: at first by so much that what is left is less than the allocator
 * may take, and the page is not as far away as that.
 */
#define OWN_STACKS	3
#define OWN_STACK	(64ul << 10)
#define LEFT		(10ul << 10)

static ucontext_t started, own[OWN_STACKS];

static void use_own_stack(int which)
{
	char *here = __builtin_frame_address(0);
	void *volatile block = malloc(40000);
	volatile char *below;

	free(block);
	if (which < OWN_STACKS - 1)
		return;
	below = __builtin_alloca(here - (char *)own[which].uc_stack.ss_sp - LEFT);
	*below = 1;
	deep_malloc(NULL);
}

static long begin_own_stack(int which, char *at)
{
	if (getcontext(&own[which]) || mprotect(at, PAGE, PROT_NONE))
		return -1;
	own[which].uc_stack.ss_sp = at + PAGE;
	own[which].uc_stack.ss_size = OWN_STACK - PAGE;
	own[which].uc_link = &started;
	makecontext(&own[which], (void (*)(void))use_own_stack, 1, which);
	return swapcontext(&started, &own[which]);
}

static long deep_malloc_elsewhere(void *arg)
{
	char *at = mmap(NULL, OWN_STACKS * OWN_STACK, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long ret = 0;
	int i;

	for (i = 0; i < OWN_STACKS; i++)
		ret |= begin_own_stack(i, at + i * OWN_STACK);
	return ret;
}

FIXTURE(crash)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(crash)
{
	long (*fn)(void *arg);
	const char *text;
	int signal;
	bool thread;
};

FIXTURE_VARIANT_ADD(crash, null) { crash_null, "it touched 0x8, which is not there for it", SIGSEGV };
FIXTURE_VARIANT_ADD(crash, divide) { crash_divide, "it divided by zero", SIGFPE };
FIXTURE_VARIANT_ADD(crash, illegal) { crash_illegal, "it executed what is no instruction", SIGILL };
FIXTURE_VARIANT_ADD(crash, breakpoint) { crash_breakpoint, "it came to a breakpoint", SIGTRAP };
FIXTURE_VARIANT_ADD(crash, breakpoint_thread) { crash_breakpoint, "it came to a breakpoint", SIGTRAP, true };
FIXTURE_VARIANT_ADD(crash, step) { crash_step, "or went on step by step", SIGTRAP };
FIXTURE_VARIANT_ADD(crash, step_thread) { crash_step, "or went on step by step", SIGTRAP, true };
FIXTURE_VARIANT_ADD(crash, abort) { crash_abort, "it called abort()", SIGABRT };
FIXTURE_VARIANT_ADD(crash, stack) { deep, "below its stack: it overflowed", SIGSEGV };
FIXTURE_VARIANT_ADD(crash, stack_in_malloc) { deep_malloc, "below its stack: it overflowed", SIGSEGV };
FIXTURE_VARIANT_ADD(crash, stack_in_malloc_thread) { deep_malloc, "below its stack: it overflowed", SIGSEGV, true };
FIXTURE_VARIANT_ADD(crash, own_stack_in_malloc) { deep_malloc_elsewhere, "where it has no memory", SIGSEGV };
FIXTURE_VARIANT_ADD(crash, own_stack_in_malloc_thread) { deep_malloc_elsewhere, "where it has no memory", SIGSEGV, true };
FIXTURE_VARIANT_ADD(crash, null_thread) { crash_null, "it touched 0x8", SIGSEGV, true };
FIXTURE_VARIANT_ADD(crash, abort_thread) { crash_abort, "it called abort()", SIGABRT, true };
FIXTURE_VARIANT_ADD(crash, stack_thread) { deep, "below its stack: it overflowed", SIGSEGV, true };

FIXTURE_SETUP(crash)
{
	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	TWO_DOMAINS_SETUP(self);
}

FIXTURE_TEARDOWN(crash)
{
	TWO_DOMAINS_TEARDOWN(self);
}

/* It is stopped, says why, and others go on. */
TEST_F(crash, stopped)
{
	long result = 0;
	pid_t pid;
	int ret;

	if (variant->thread) {
		EXPECT_OK(faasctl_domain_start(self->a, variant->fn, NULL, &self->err));
		ret = faasctl_domain_join(self->a, NULL, &self->err);
	} else {
		ret = faasctl_domain_call(self->a, variant->fn, NULL, NULL, &self->err);
	}
	EXPECT_EQ(-EFAULT, ret);
	EXPECT_NE(NULL, strstr(self->err.message, variant->text))
		TH_LOG("it said: %s", self->err.message);
	EXPECT_EQ(0, strncmp(self->err.message, "stage a was stopped: ", 21));
	EXPECT_EQ(variant->signal, faasctl_domain_signal(self->a));
	EXPECT_EQ(0, faasctl_domain_signal(self->b));
	EXPECT_FAIL(EFAULT, variant->text, faasctl_domain_call(self->a, nothing, NULL, NULL, &self->err));
	EXPECT_FAIL(EFAULT, variant->text, faasctl_domain_start(self->a, nothing, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->b, churn, (void *)9, &result, &self->err));
	EXPECT_EQ(0, result);
	/* No lock of the allocator is left behind: freeing, making and fork() take them all. */
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	EXPECT_OK(faasctl_domain_new("a", NULL, &self->a, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, churn, (void *)9, &result, &self->err));
	EXPECT_EQ(0, result);
	pid = child();
	if (!pid)
		_exit(churn((void *)9) ? 1 : 0);
	EXPECT_EQ(0, child_end(pid));
}

/* Past the gap there is another domain's slot, of which it is as far away as of any other. */
TEST(past_the_gap)
{
	FIXTURE_DATA(crash) crash, *self = &crash;

	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	TWO_DOMAINS_SETUP(self);
	EXPECT_FAIL(EFAULT, "stage b was stopped: it touched ", faasctl_domain_call(self->b, large_frame, NULL, NULL, &self->err));
	EXPECT_NE(NULL, strstr(self->err.message, ", which is in domain a"))
		TH_LOG("it said: %s", self->err.message);
	EXPECT_OK(faasctl_domain_call(self->a, nothing, NULL, NULL, &self->err));
	TWO_DOMAINS_TEARDOWN(self);
}

/* --------------------------------------------------------------------- outside of all */

FIXTURE(outside)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(outside)
{
	bool called, second, ignored;
};

FIXTURE_VARIANT_ADD(outside, first) { 0 };
FIXTURE_VARIANT_ADD(outside, after_call) { .called = true };
FIXTURE_VARIANT_ADD(outside, second_thread) { .second = true };
FIXTURE_VARIANT_ADD(outside, second_thread_after_call) { .second = true, .called = true };
FIXTURE_VARIANT_ADD(outside, ignored) { .ignored = true };

FIXTURE_SETUP(outside)
{
}

FIXTURE_TEARDOWN(outside)
{
}

static void *break_here(void *domain)
{
	if (domain && faasctl_domain_call(domain, nothing, NULL, NULL, NULL))
		_exit(2);
	crash_breakpoint(NULL);
	_exit(0);
}

/* A host with domains ends by a breakpoint of its own, as others do, and does not go on past it. */
TEST_F(outside, breakpoint)
{
	pthread_t thread;
	pid_t pid;

	pid = child();
	if (pid) {
		EXPECT_EQ(-SIGTRAP, child_end(pid));
		return;
	}
	if (variant->ignored)
		signal(SIGTRAP, SIG_IGN);
	if (faasctl_domains_begin(NULL, &self->err))
		_exit(1);
	if (variant->called && faasctl_domain_new("a", NULL, &self->a, &self->err))
		_exit(1);
	if (!variant->second)
		break_here(self->a);
	if (!pthread_create(&thread, NULL, break_here, self->a))
		pthread_join(thread, NULL);
	_exit(1);
}

TEST_HARNESS_MAIN
