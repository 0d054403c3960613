// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What functions leave to be done when their thread ends: destructors of C++ objects that are a
 * thread's own (thread_local), and of values of pthread_setspecific(). The C library runs these
 * outside, where nothing holds the function's code, and the memory may be gone by then. So on a
 * thread of the domain's own the former run inside, when the function has returned. All else is
 * not done: the memory ends with the domain.
 */
#include <limits.h>
#include <threads.h>

#include "state.h"

/* ------------------------------------------------------------------------ of objects */

/**
 * struct destructor - what is to be done; in the domain's memory, like all that knows of it
 * @fn: to be called
 * @object: with this
 * @next: after it
 */
struct destructor {
	void (*fn)(void *object);
	void *object;
	struct destructor *next;
};

/**
 * struct body - what the thread of a domain does
 * @fn: calls this
 * @arg: with this
 * @destructors: and then these
 */
struct body {
	long (*fn)(void *arg);
	void *arg;
	struct destructor *destructors;
};

/* Only threads of domains' own have one. */
static __thread struct body body __attribute__((tls_model("initial-exec")));

OVERRIDE int __cxa_thread_atexit_impl(void (*fn)(void *object), void *object, void *library)
{
	struct destructor *new;

	if (!is_inside())
		return NEXT(__cxa_thread_atexit_impl)(fn, object, library);
	/* Who only comes by leaves the object to others, and the domain's end takes what it has. */
	if (!inside.own_thread)
		return 0;
	new = malloc(sizeof(*new));
	if (!new)
		domain_stop("it has no memory for what is to be done when its thread ends");
	*new = (struct destructor){ fn, object, body.destructors };
	body.destructors = new;
	return 0;
}

/* Called inside, on a thread of the domain's own. */
void destructors_run(void)
{
	struct destructor *first;

	while ((first = body.destructors)) {
		body.destructors = first->next;
		first->fn(first->object);
		free(first);
	}
}

static long run_body(void *arg)
{
	long result = body.fn(body.arg);

	destructors_run();
	heap_flush(NULL);
	return result;
}

/* What this thread calls is to be followed by what that leaves to be done. */
void destructors_begin(struct faasctl_domain *domain)
{
	body = (struct body){ domain->fn, domain->arg, NULL };
	domain->fn = run_body;
	domain->arg = NULL;
}

/* ------------------------------------------------------------------------- of values */

/* Bits: which keys have a value that was set inside, on this thread. */
static __thread uint64_t values[PTHREAD_KEYS_MAX / 64] __attribute__((tls_model("initial-exec")));
static __thread bool will_forget __attribute__((tls_model("initial-exec")));

/* Called outside when the thread ends, before values are looked at. */
static void forget_values(void *arg)
{
	unsigned int key;

	/* Destructors that come later may go in, and leave more. */
	will_forget = false;
	for (key = 0; key < PTHREAD_KEYS_MAX; key++)
		if (values[key / 64] & 1ul << key % 64)
			NEXT(pthread_setspecific)(key, NULL);
}

/*
 * Where the C library keeps values, if there are many, is allocated when the first is set: not in
 * the heap of one domain, as the thread may go on to others.
 */
static int set_inside(pthread_key_t key, const void *value)
{
	size_t plain = heap_share();
	int code = ENOMEM;

	if (!will_forget)
		will_forget = !NEXT(__cxa_thread_atexit_impl)(forget_values, NULL, &__dso_handle);
	if (will_forget)
		code = NEXT(pthread_setspecific)(key, value);
	heap_unshare(plain);
	if (!code)
		values[key / 64] |= 1ul << key % 64;
	return code;
}

OVERRIDE int pthread_setspecific(pthread_key_t key, const void *value)
{
	if (is_inside())
		return set_inside(key, value);
	/* Who is outside has it done as usual. */
	if (key < PTHREAD_KEYS_MAX)
		values[key / 64] &= ~(1ul << key % 64);
	return NEXT(pthread_setspecific)(key, value);
}

OVERRIDE int tss_set(tss_t key, void *value)
{
	int code = pthread_setspecific(key, value);

	return code == ENOMEM ? thrd_nomem : code ? thrd_error : thrd_success;
}
