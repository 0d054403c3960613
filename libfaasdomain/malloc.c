// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * malloc() and its kin, for all code of the process: from the heap of whoever calls. Outside, and
 * on a thread of a domain's own, that is what the allocator does by itself with a thread's cache,
 * and goes straight there: see struct heap_use. Else the domain's arena and cache are named at
 * each call.
 *
 * malloc() and free() are short, and begin without an instruction for branch tracking (the
 * Makefile), for which nothing of this library is marked (gate.S).
 */
#include <malloc.h>

#include "jemalloc.h"
#include "state.h"

#define FREE_BITS	(MALLOCX_ARENA(0) - 1)

/* One instruction a page, in what is short. */
#define LOOK_BELOW(pages)						\
	__asm__ volatile("testb	%%al, %c0(%%rsp)" : : "i"(-(pages) * (long)PAGE_SIZE) : "cc")

/*
 * Before a domain is in the allocator: a stack that ends in there would end it with locks
 * that others need. What ends one that a function made itself may be a single page. Of who is
 * stopped later it is known that there may be some.
 */
static inline void heap_use(void)
{
	_Static_assert(STACK_NEEDED == 4 * PAGE_SIZE, "each page is looked at");
	LOOK_BELOW(1);
	LOOK_BELOW(2);
	LOOK_BELOW(3);
	LOOK_BELOW(4);
	inside.heap.in_heap = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void heap_unuse(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	inside.heap.in_heap = false;
}

/* How to allocate here; 0: as if there were no domains. */
static inline int alloc_flags(void)
{
	if (!inside.domain)
		return inside.own_cache ? MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE : 0;
	return inside.heap.shared ? MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE : inside.heap.flags;
}

/* Whether it was allocated, and is freed, as if there were no domains; so is NULL. */
static inline bool is_plain(const void *p)
{
	return __builtin_expect((uintptr_t)p - inside.plain_from < inside.heap.plain, 1);
}

/*
 * Whose memory it is. Memory of others never gets into the cache of whoever frees it,
 * or it would come out again as his own.
 */
static inline int free_flags(const void *p, const char *what)
{
	unsigned int slot;

	if (!in_slot(p, &slot))
		return inside.domain || inside.own_cache || shared_is(p) ?
			MALLOCX_TCACHE_NONE : 0;
	if (!inside.domain)
		return MALLOCX_TCACHE_NONE;
	if (slot == inside.heap.slot)
		return inside.heap.flags & FREE_BITS;
	domain_stop("it %s memory of another domain", what);
}

static void *take_flags(size_t size, int flags)
{
	void *p;

	heap_use();
	p = je_mallocx(size ? size : 1, flags);
	heap_unuse();
	if (!p)
		errno = ENOMEM;
	return p;
}

/* Outside, and not known yet how to do it at once. */
static __attribute__((noinline)) void *take_first(size_t size)
{
	heap_thread_ready();
	return je_malloc(size);
}

static __attribute__((noinline)) void *take_slowly(size_t size)
{
	int flags = alloc_flags();

	return flags ? take_flags(size, flags) : take_first(size);
}

static inline void *take(size_t size)
{
	return __builtin_expect(!!inside.heap.plain, 1) ? je_malloc(size) : take_slowly(size);
}

static void *take_aligned(size_t alignment, size_t size)
{
	int flags = inside.heap.plain ? 0 : alloc_flags();

	if (!flags)
		return je_memalign(alignment, size);
	if (!alignment || alignment & (alignment - 1)) {
		errno = EINVAL;
		return NULL;
	}
	return take_flags(size, flags | MALLOCX_ALIGN(alignment));
}

static inline void give_flags(void *p, int flags)
{
	heap_use();
	je_dallocx(p, flags);
	heap_unuse();
}

/* Of a domain that is not there any more, or nobody's: there is nothing to be given back. */
static bool is_gone(unsigned int slot)
{
	const struct faasctl_domain *domain = &domains->domains[slot];
	int state = atomic_load(&domain->state);

	return domain->heap_lost || state == STATE_NONE || state == STATE_LOST;
}

static __attribute__((noinline)) void give_slowly(void *p)
{
	unsigned int slot;
	int flags;

	/* Most often it is its own; what follows knows of all. */
	if (inside.domain && in_slot(p, &slot) && slot == inside.heap.slot) {
		give_flags(p, inside.heap.flags & FREE_BITS);
		return;
	}
	if (!p)
		return;
	if (__builtin_expect((process_child() || shared_elsewhere) && shared_is(p), 0)) {
		if (process_child())
			process_shared_free(p);
		return;
	}
	flags = free_flags(p, "freed");
	if (!flags)
		je_free(p);
	else if (inside.domain)
		give_flags(p, flags);
	else if (!in_slot(p, &slot) || !is_gone(slot))
		je_dallocx(p, flags);
}

static inline void give(void *p)
{
	if (is_plain(p))
		je_free(p);
	else
		give_slowly(p);
}

OVERRIDE void *malloc(size_t size)
{
	return take(size);
}

OVERRIDE void *calloc(size_t n, size_t size)
{
	int flags = inside.heap.plain ? 0 : alloc_flags();
	size_t all;

	if (!flags)
		return je_calloc(n, size);
	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return take_flags(all, flags | MALLOCX_ZERO);
}

OVERRIDE void free(void *p)
{
	give(p);
}

/* What another process allocated is known there. */
static size_t usable_size(const void *p)
{
	return process_child() && shared_is(p) ? process_shared_size(p) :
		je_malloc_usable_size((void *)p);
}

/* What is not in the heap of whoever calls is moved there. */
static void *move(void *p, size_t size)
{
	size_t old = usable_size(p);
	void *new = take(size);

	if (!new)
		return NULL;
	memcpy(new, p, old < size ? old : size);
	give(p);
	return new;
}

OVERRIDE void *realloc(void *p, size_t size)
{
	unsigned int slot;
	bool in_domain;
	void *new;

	if (!p)
		return take(size);
	if (!size) {
		give(p);
		return NULL;
	}
	if (is_plain(p))
		return je_realloc(p, size);
	free_flags(p, "reallocated");
	in_domain = in_slot(p, &slot);
	if (!inside.domain && !inside.own_cache && !in_domain && !shared_is(p))
		return je_realloc(p, size);
	if (!inside.domain || inside.heap.shared || !in_domain)
		return move(p, size);
	heap_use();
	new = je_rallocx(p, size, inside.heap.flags);
	heap_unuse();
	if (!new)
		errno = ENOMEM;
	return new;
}

OVERRIDE void *memalign(size_t alignment, size_t size)
{
	return take_aligned(alignment, size);
}

OVERRIDE void *aligned_alloc(size_t alignment, size_t size)
{
	return take_aligned(alignment, size);
}

OVERRIDE int posix_memalign(void **p, size_t alignment, size_t size)
{
	int saved = errno, code = 0;
	void *new = NULL;

	if (alignment < sizeof(void *) || alignment & (alignment - 1))
		code = EINVAL;
	else
		new = take_aligned(alignment, size);
	errno = saved;
	if (new)
		*p = new;
	else if (!code)
		code = ENOMEM;
	return code;
}

OVERRIDE void *valloc(size_t size)
{
	return take_aligned(PAGE_SIZE, size);
}

OVERRIDE void *pvalloc(size_t size)
{
	return take_aligned(PAGE_SIZE, (size + PAGE_SIZE - 1) & -PAGE_SIZE);
}

OVERRIDE size_t malloc_usable_size(void *p)
{
	return p ? usable_size(p) : 0;
}
