// SPDX-License-Identifier: LGPL-2.1-or-later
/* malloc() and its kin, for all code of the process: from the heap of whoever calls. */
#include <malloc.h>

#include "jemalloc.h"
#include "state.h"

/* More than the allocator takes of a stack. */
#define STACK_NEEDED	(16ul << 10)

/*
 * Before a domain is in the allocator: a stack that ends in there would end it with locks
 * that others need.
 */
static inline void heap_use(void)
{
	const char *here = __builtin_frame_address(0);

	*(volatile const char *)(here - STACK_NEEDED);
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
	if (__builtin_expect(!inside.domain, 1))
		return 0;
	return inside.heap.shared ? MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE :
				    inside.heap.alloc_flags;
}

/*
 * Whose memory it is. Memory of others never gets into the cache of whoever frees it,
 * or it would come out again as his own.
 */
static inline int free_flags(const void *p, const char *what)
{
	unsigned int slot;

	if (!in_slot(p, &slot))
		return inside.domain || shared_is(p) ? MALLOCX_TCACHE_NONE : 0;
	if (!inside.domain)
		return MALLOCX_TCACHE_NONE;
	if (slot == inside.heap.slot)
		return inside.heap.free_flags;
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

static inline void *take(size_t size)
{
	int flags = alloc_flags();

	return flags ? take_flags(size, flags) : je_malloc(size);
}

static void *take_aligned(size_t alignment, size_t size)
{
	int flags = alloc_flags();

	if (!flags)
		return je_memalign(alignment, size);
	if (!alignment || alignment & (alignment - 1)) {
		errno = EINVAL;
		return NULL;
	}
	return take_flags(size, flags | MALLOCX_ALIGN(alignment));
}

static inline void give(void *p)
{
	unsigned int slot;
	int flags;

	if (!p)
		return;
	if (__builtin_expect(process_child() && shared_is(p), 0)) {
		process_shared_free(p);
		return;
	}
	flags = free_flags(p, "freed");
	if (!flags) {
		je_free(p);
	} else if (inside.domain) {
		heap_use();
		je_dallocx(p, flags);
		heap_unuse();
	} else if (!in_slot(p, &slot) || !domains->domains[slot].heap_lost) {
		je_dallocx(p, flags);
	}
}

OVERRIDE void *malloc(size_t size)
{
	return take(size);
}

OVERRIDE void *calloc(size_t n, size_t size)
{
	int flags = alloc_flags();
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
	free_flags(p, "reallocated");
	in_domain = in_slot(p, &slot);
	if (!inside.domain && !in_domain && !shared_is(p))
		return je_realloc(p, size);
	if (!inside.domain || inside.heap.shared || !in_domain)
		return move(p, size);
	heap_use();
	new = je_rallocx(p, size, inside.heap.alloc_flags);
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
