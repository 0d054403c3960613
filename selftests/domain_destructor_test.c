// SPDX-License-Identifier: GPL-2.0
/*
 * What functions leave to be done when their thread ends: destructors of objects and of values that
 * are the thread's own. A domain that is a process runs none: its end takes all.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>

#include "domain_run.h"

/* What C++ calls for an object that is thread_local. */
int __cxa_thread_atexit_impl(void (*fn)(void *object), void *object, void *library);

/* What destructors noted, in turn. */
static char *notes;

static void note(void *what)
{
	notes[strlen(notes)] = (char)(long)what;
}

static void touch(void *address)
{
	*(volatile char *)address;
}

static void end_thread(void *code)
{
	syscall(SYS_exit, (long)code);
}

static void call_exit(void *code)
{
	exit((long)code);
}

/* Any address of this program says that it is what calls. */
static void leave(void (*fn)(void *object), void *object)
{
	if (__cxa_thread_atexit_impl(fn, object, &notes))
		abort();
}

/* Memory of the domain's own, by which it is told that one is inside. */
static char *own;

static void note_own(void *what)
{
	own[0]++;
	note(what);
}

static long nothing(void *arg)
{
	return 0;
}

static long leave_wild(void *arg)
{
	leave(touch, (void *)8);
	return 0;
}

static long leave_wild_and_crash(void *arg)
{
	leave(touch, (void *)16);
	return *(volatile char *)arg;
}

static long leave_three(void *arg)
{
	own = malloc(1);
	leave(note_own, (void *)'1');
	leave(note_own, (void *)'2');
	leave(note_own, (void *)'3');
	return 5;
}

static void leave_another(void *what)
{
	note(what);
	leave(note, (void *)'b');
}

static long leave_more(void *arg)
{
	leave(leave_another, (void *)'a');
	return 0;
}

static long leave_exit(void *arg)
{
	leave(note, (void *)'1');
	leave(call_exit, (void *)9);
	exit(7);
}

static long leave_pthread_exit(void *arg)
{
	leave(note, (void *)'1');
	pthread_exit((void *)7);
}

static long leave__exit(void *arg)
{
	leave(note, (void *)'1');
	_exit(7);
}

static long leave_end(void *arg)
{
	leave(end_thread, NULL);
	return sigaltstack(NULL, arg);
}

FIXTURE(destructor)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
	pthread_key_t key;
};

FIXTURE_VARIANT(destructor)
{
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(destructor, plain) { };
FIXTURE_VARIANT_ADD(destructor, filtered) { FAASCTL_DOMAIN_FILTER };

FIXTURE_SETUP(destructor)
{
	struct faasctl_domain_options options = { .flags = variant->flags };

	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	if (variant->flags && !self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	ASSERT_EQ(0, faasctl_domain_new("a", &options, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", &options, &self->b, &self->err));
	notes = faasctl_shared_alloc(100);
	ASSERT_EQ(0, pthread_key_create(&self->key, touch));
}

FIXTURE_TEARDOWN(destructor)
{
	TWO_DOMAINS_TEARDOWN(self);
}

/* The last one first, inside, and before what it returned is told. */
TEST_F(destructor, runs)
{
	EXPECT_EQ(5, run(self->a, leave_three, NULL, &self->err))
		TH_LOG("%s", self->err.message);
	EXPECT_STREQ("321", notes);
	/* Nothing is left for the next thread. */
	EXPECT_EQ(0, run(self->a, nothing, NULL, &self->err));
	EXPECT_EQ(0, run(self->a, leave_more, NULL, &self->err));
	EXPECT_STREQ("321ab", notes);
}

TEST_F(destructor, exits)
{
	EXPECT_EQ(9, run(self->a, leave_exit, NULL, &self->err));
	EXPECT_STREQ("1", notes);
	EXPECT_EQ(7, run(self->a, leave_pthread_exit, NULL, &self->err));
	EXPECT_STREQ("11", notes);
	EXPECT_EQ(7, run(self->a, leave__exit, NULL, &self->err));
	EXPECT_STREQ("11", notes);
}

/* It stops the domain as anything inside does. */
TEST_F(destructor, crashes)
{
	EXPECT_FAIL(EFAULT, "stage a was stopped: it touched 0x8", (int)run(self->a, leave_wild, NULL, &self->err));
	EXPECT_EQ(SIGSEGV, faasctl_domain_signal(self->a));
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
}

/* And what it had for signals is given back. */
TEST_F(destructor, ends_thread)
{
	stack_t *stack = faasctl_shared_alloc(sizeof(*stack));
	unsigned char there;

	EXPECT_FAIL(EFAULT, "stage a was stopped: its thread was ended by a system call",
		    (int)run(self->a, leave_end, stack, &self->err));
	ASSERT_NE(NULL, stack->ss_sp);
	EXPECT_EQ(-1, mincore(stack->ss_sp, PAGE, &there));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
}

/* Of who was stopped nothing is done any more. */
TEST_F(destructor, is_stopped)
{
	EXPECT_FAIL(EFAULT, "stage a was stopped: it touched 0x8",
		    (int)run(self->a, leave_wild_and_crash, (void *)8, &self->err));
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
}

/* ------------------------------------------------------------------------ of values */

static pthread_key_t many[40];

static long set_value(void *arg)
{
	pthread_key_t key = (long)arg;

	return pthread_setspecific(key, (void *)8) || pthread_getspecific(key) != (void *)8;
}

static long set_tss(void *arg)
{
	tss_t key;

	if (tss_create(&key, touch) || tss_set(key, (void *)8) || tss_get(key) != (void *)8)
		return 1;
	return tss_set(PTHREAD_KEYS_MAX, NULL) != thrd_error;
}

static long set_many(void *arg)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		if (pthread_key_create(&many[i], touch) || pthread_setspecific(many[i], malloc(1)))
			return 1;
	return pthread_setspecific(PTHREAD_KEYS_MAX, NULL) != EINVAL;
}

TEST_F(destructor, values)
{
	EXPECT_EQ(0, run(self->a, set_value, (void *)(long)self->key, &self->err));
	EXPECT_EQ(0, run(self->a, set_tss, NULL, &self->err));
	EXPECT_EQ(0, run(self->a, set_many, NULL, &self->err));
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
}

/* ------------------------------------------------------------- on a thread of the host's */

struct visit {
	struct faasctl_domain *domain;
	long (*fn)(void *arg);
	void *arg;
	pthread_key_t key;
	int ret;
	long result;
};

/* Its domain is gone when the thread ends. */
static void *visit(void *arg)
{
	struct visit *visit = arg;

	visit->ret = faasctl_domain_call(visit->domain, visit->fn, visit->arg, &visit->result, NULL);
	if (!visit->ret)
		visit->ret = faasctl_domain_free(visit->domain, NULL);
	/* What is the host's is done. */
	leave(note, (void *)'o');
	pthread_setspecific(visit->key, (void *)'v');
	return NULL;
}

FIXTURE(visitor)
{
	struct faasctl_domain *a;
	struct faasctl_error err;
	struct faasctl_domains_info info;
	struct visit visit;
};

FIXTURE_VARIANT(visitor)
{
	long (*fn)(void *arg);
	bool key;	/* it is given one whose destructor crashes */
	bool same_key;	/* that of which the host sets the value last */
};

FIXTURE_VARIANT_ADD(visitor, object) { leave_wild };
FIXTURE_VARIANT_ADD(visitor, objects) { leave_three };
FIXTURE_VARIANT_ADD(visitor, value) { set_value, true };
FIXTURE_VARIANT_ADD(visitor, host_value) { set_value, true, true };
FIXTURE_VARIANT_ADD(visitor, tss) { set_tss };
FIXTURE_VARIANT_ADD(visitor, many) { set_many };

FIXTURE_SETUP(visitor)
{
	pthread_key_t key;

	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	notes = faasctl_shared_alloc(100);
	ASSERT_EQ(0, pthread_key_create(&self->visit.key, note));
	ASSERT_EQ(0, pthread_key_create(&key, touch));
	ASSERT_EQ(0, faasctl_domain_new("a", NULL, &self->a, &self->err));
	self->visit.domain = self->a;
	self->visit.fn = variant->fn;
	if (variant->key)
		self->visit.arg = (void *)(long)(variant->same_key ? self->visit.key : key);
}

FIXTURE_TEARDOWN(visitor)
{
}

TEST_F(visitor, thread)
{
	struct visit *v = &self->visit;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, visit, v));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, v->ret);
	EXPECT_EQ(variant->fn == leave_three ? 5 : 0, v->result);
	EXPECT_STREQ("ov", notes);
}

static void visit_again(void *arg)
{
	struct visit *visit = arg;

	visit->ret |= faasctl_domain_call(visit->domain, visit->fn, visit->arg, &visit->result, NULL);
	note((void *)'l');
}

/* One of its destructors goes in once more, after what was left before is forgotten. */
static void *visit_late(void *arg)
{
	struct visit *visit = arg;

	leave(visit_again, visit);
	visit->ret = faasctl_domain_call(visit->domain, visit->fn, visit->arg, &visit->result, NULL);
	return NULL;
}

TEST_F(visitor, late)
{
	struct visit *v = &self->visit;
	pthread_t thread;

	/* The host's own value is destroyed, as it should be: there is none here. */
	if (variant->same_key)
		SKIP(return, "that is told of the host's own");
	ASSERT_EQ(0, pthread_create(&thread, NULL, visit_late, v));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, v->ret);
	EXPECT_STREQ("l", notes);
}

/* The same on the first one, whose end is the process's. */
TEST_F(visitor, process)
{
	pid_t pid;

	visit(&self->visit);
	EXPECT_EQ(0, self->visit.ret);
	pid = child();
	if (!pid)
		exit(3);
	EXPECT_EQ(3, child_end(pid));
	EXPECT_STREQ("o", notes);
}

TEST_HARNESS_MAIN
