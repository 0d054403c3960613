/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accesses that other threads see, by C11's atomics: ThreadSanitizer knows what each orders.
 *
 * Negative control: with SHIM_WEAKEN, shim_weak() names an access, as the source writes it, that
 * orders nothing; ThreadSanitizer has to report that (userspace/run).
 */
#ifndef _USERSPACE_ATOMIC_H
#define _USERSPACE_ATOMIC_H

#include <stdatomic.h>

#include "types.h"

#ifdef SHIM_WEAKEN
bool shim_weak(const char *access);
#else
#define shim_weak(access)	false
#endif

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)						\
	(shim_weak(#p) ? __atomic_load_n(p, __ATOMIC_RELAXED) :		\
			 __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define smp_store_release(p, v)						\
	(shim_weak(#p) ? __atomic_store_n(p, v, __ATOMIC_RELAXED) :	\
			 __atomic_store_n(p, v, __ATOMIC_RELEASE))
#define try_cmpxchg(p, old, new)					\
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define smp_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_store_mb(x, v)	__atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)
#define smp_mb__after_atomic()	smp_mb()
/* What may race is one of the shim's own functions, which are atomic. */
#define data_race(x)		(x)

typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;
typedef struct { long counter; } atomic_long_t;

#define atomic_read(v)			READ_ONCE((v)->counter)
#define atomic_set(v, n)		WRITE_ONCE((v)->counter, n)
#define atomic_inc(v) ((void)__atomic_fetch_add(&(v)->counter, 1, __ATOMIC_RELAXED))
#define atomic_dec(v) ((void)__atomic_fetch_sub(&(v)->counter, 1, __ATOMIC_RELAXED))
/* Nobody else reads what an order would be needed for. */
static inline bool atomic_add_unless(atomic_t *v, int n, int unless)
{
	int was = __atomic_load_n(&v->counter, __ATOMIC_RELAXED);

	while (was != unless)
		if (__atomic_compare_exchange_n(&v->counter, &was, was + n, false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return true;
	return false;
}

#define atomic64_read(v)		READ_ONCE((v)->counter)
#define atomic64_read_acquire(v)	smp_load_acquire(&(v)->counter)
#define atomic64_set(v, n)		WRITE_ONCE((v)->counter, n)
#define atomic64_add(n, v) ((void)__atomic_fetch_add(&(v)->counter, n, __ATOMIC_RELAXED))
#define atomic64_sub(n, v) ((void)__atomic_fetch_sub(&(v)->counter, n, __ATOMIC_RELAXED))
/* Whoever needs it has a barrier behind it, which ThreadSanitizer does not know of. */
#define atomic64_or(n, v) ((void)__atomic_fetch_or(&(v)->counter, n, __ATOMIC_SEQ_CST))
#define atomic64_inc(v)			atomic64_add(1, v)
#define atomic64_dec(v)			atomic64_sub(1, v)
#define atomic64_sub_return_release(n, v) \
	__atomic_sub_fetch(&(v)->counter, n, __ATOMIC_RELEASE)
#define atomic64_add_return(n, v)	__atomic_add_fetch(&(v)->counter, n, __ATOMIC_SEQ_CST)
#define atomic64_sub_return(n, v)	__atomic_sub_fetch(&(v)->counter, n, __ATOMIC_SEQ_CST)
#define atomic_long_read(v)		READ_ONCE((v)->counter)
#define atomic_long_add(n, v) ((void)__atomic_fetch_add(&(v)->counter, n, __ATOMIC_RELAXED))
#define atomic_long_sub(n, v) ((void)__atomic_fetch_sub(&(v)->counter, n, __ATOMIC_RELAXED))

/* ------------------------------------------------------------- references */

typedef struct { int refs; } refcount_t;

static inline void refcount_set(refcount_t *r, int n)
{
	WRITE_ONCE(r->refs, n);
}

static inline void refcount_inc(refcount_t *r)
{
	BUG_ON(__atomic_fetch_add(&r->refs, 1, __ATOMIC_RELAXED) <= 0);
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
	int old = READ_ONCE(r->refs);

	while (old && !__atomic_compare_exchange_n(&r->refs, &old, old + 1, true,
						   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
	return old;
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	int old = __atomic_fetch_sub(&r->refs, 1, __ATOMIC_ACQ_REL);

	BUG_ON(old <= 0);
	return old == 1;
}

struct kref {
	refcount_t refcount;
};

static inline void kref_init(struct kref *k)
{
	refcount_set(&k->refcount, 1);
}

static inline void kref_get(struct kref *k)
{
	refcount_inc(&k->refcount);
}

static inline bool kref_get_unless_zero(struct kref *k)
{
	return refcount_inc_not_zero(&k->refcount);
}

static inline int kref_put(struct kref *k, void (*release)(struct kref *k))
{
	if (!refcount_dec_and_test(&k->refcount))
		return 0;
	release(k);
	return 1;
}

#endif /* _USERSPACE_ATOMIC_H */
