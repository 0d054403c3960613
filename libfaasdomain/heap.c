// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Heaps: an arena of jemalloc's for each domain, which takes its memory from the domain's
 * slot. What jemalloc keeps to itself is outside, so that nothing there is lost when a
 * domain ends, and fork() can look through all arenas.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "jemalloc.h"
#include "state.h"

/**
 * struct growth - memory that an arena wants, asked for outside
 * @size: how much
 * @alignment: of its address
 * @at: where it is; 0: there is none
 */
struct growth {
	size_t size;
	size_t alignment;
	uintptr_t at;
};

long heap_grow(void *arg)
{
	struct faasctl_domain *domain = inside.domain;
	uintptr_t base = heap_base(domain->slot);
	/* It is the caller's, who may change it meanwhile. */
	struct growth growth = *(volatile struct growth *)arg;
	uintptr_t at = base + domain->heap_used;

	at = (at + growth.alignment - 1) & -growth.alignment;
	if (growth.size > SLOT_SIZE || at - base > SLOT_SIZE ||
	    !space_grow(domain, at - base + growth.size))
		return -ENOMEM;
	domain->heap_used = at - base + growth.size;
	((struct growth *)arg)->at = at;
	return 0;
}

/* Only who is inside gets memory of the domain, so that is whose arena it is. */
static void *extent_alloc(extent_hooks_t *hooks, void *at, size_t size,
			  size_t alignment, bool *zero, bool *commit,
			  unsigned int arena)
{
	struct growth growth = { size, alignment, 0 };

	if (at || !inside.domain || gate_monitor(SERVICE_GROW, &growth))
		return NULL;
	*zero = true;
	*commit = true;
	return (void *)growth.at;
}

/* What was taken stays the domain's until it ends; pages come and go. */
static bool extent_dalloc(extent_hooks_t *hooks, void *at, size_t size,
			  bool committed, unsigned int arena)
{
	return true;
}

static void extent_destroy(extent_hooks_t *hooks, void *at, size_t size,
			   bool committed, unsigned int arena)
{
}

static bool extent_commit(extent_hooks_t *hooks, void *at, size_t size,
			  size_t offset, size_t len, unsigned int arena)
{
	return false;
}

static bool extent_decommit(extent_hooks_t *hooks, void *at, size_t size,
			    size_t offset, size_t len, unsigned int arena)
{
	return true;
}

static bool extent_purge(extent_hooks_t *hooks, void *at, size_t size,
			 size_t offset, size_t len, unsigned int arena)
{
	/* Not by the function, which is for those who are not let near this memory. */
	return syscall(SYS_madvise, (char *)at + offset, len, MADV_DONTNEED);
}

static bool extent_split(extent_hooks_t *hooks, void *at, size_t size,
			 size_t a, size_t b, bool committed, unsigned int arena)
{
	return false;
}

static bool extent_merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b,
			 size_t size_b, bool committed, unsigned int arena)
{
	return false;
}

static extent_hooks_t hooks = {
	.alloc = extent_alloc,
	.dalloc = extent_dalloc,
	.destroy = extent_destroy,
	.commit = extent_commit,
	.decommit = extent_decommit,
	.purge_forced = extent_purge,
	.split = extent_split,
	.merge = extent_merge,
};

int heap_new(struct faasctl_domain *domain)
{
	struct arena_config config = { .extent_hooks = &hooks };
	size_t size = sizeof(domain->arena);
	char name[64];
	int ret;

	ret = je_mallctl("experimental.arenas_create_ext", &domain->arena, &size,
			 &config, sizeof(config));
	if (ret)
		return -ENOMEM;
	size = sizeof(domain->cache);
	ret = je_mallctl("tcache.create", &domain->cache, &size, NULL, 0);
	if (!ret) {
		domain->heap = (struct heap_use){
			.slot = domain->slot,
			.flags = MALLOCX_ARENA(domain->arena) | MALLOCX_TCACHE(domain->cache),
		};
		return 0;
	}
	snprintf(name, sizeof(name), "arena.%u.destroy", domain->arena);
	je_mallctl(name, NULL, NULL, NULL, 0);
	return -ENOMEM;
}

/* For heap_flush(): what is kept of threads that were lent. */
void *heap_cache(const struct faasctl_domain *domain)
{
	return (void *)(domain->cache + 1ul);
}

/*
 * Empties what was freed and is kept, of this thread if it is the domain's, and @cache, if not
 * NULL. Called inside: if a function freed something twice, it shows here, and stops it.
 */
long heap_flush(void *cache)
{
	unsigned int which = (uintptr_t)cache - 1;

	if (inside.own_cache)
		je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	if (!cache)
		return 0;
	inside.heap.in_heap = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	je_mallctl("tcache.flush", NULL, NULL, &which, sizeof(which));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	inside.heap.in_heap = false;
	return 0;
}

/* If its cache was emptied before, nothing that a function did shows here. */
void heap_free(struct faasctl_domain *domain)
{
	char name[64];

	/* To end it takes the lock that is lost. */
	if (domain->heap_lost)
		return;
	je_mallctl("tcache.destroy", NULL, NULL, &domain->cache, sizeof(domain->cache));
	snprintf(name, sizeof(name), "arena.%u.destroy", domain->arena);
	je_mallctl(name, NULL, NULL, NULL, 0);
}

/* ------------------------------------------------------------------------- threads */

struct heap_plain heap_outside;

/* From here on this thread, which is outside, need not look twice; if there are domains. */
void heap_thread_ready(void)
{
	size_t plain = __atomic_load_n(&heap_outside.size, __ATOMIC_ACQUIRE);

	if (inside.own_cache)
		return;
	inside.plain_from = heap_outside.from;
	inside.plain_outside = plain;
	inside.heap.plain = plain;
}

/*
 * jemalloc links what it knows of each thread to that of others, when the thread first
 * allocates: not inside, where nothing of theirs can be touched.
 */
void heap_thread_begin(void)
{
	if (inside.own_cache)
		return;
	je_free(je_malloc(1));
	heap_thread_ready();
}

/*
 * This thread, which keeps nothing of what it allocated before, is the domain's: inside it
 * allocates from there as others do from where all do, with its own cache, which is in the domain's
 * slot; outside, without one. So nothing else ever gets into that cache. If it cannot be, it is as
 * on any thread.
 */
void heap_bind(struct faasctl_domain *domain)
{
	/* Whoever makes threads in its own way may have allocated on it: that is the host's. */
	je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	if (je_mallctl("thread.arena", NULL, NULL, &domain->arena, sizeof(domain->arena)))
		return;
	inside.own_cache = true;
	inside.plain_from = heap_base(domain->slot);
	inside.stack_from = stack_base(domain) + STACK_LOOKED;
	inside.stack_room = domain->stack_size - STACK_LOOKED;
	inside.looked = 0;
}

/*
 * Of this thread: not of the domain, which one that was lent may just be going into, and has to be
 * told so by then.
 */
size_t heap_plain_inside(void)
{
	return inside.own_cache ? HEAP_SIZE : 0;
}

/* -------------------------------------------------------------- the shared heap */

uintptr_t shared_base;
bool shared_elsewhere;

/* How much of it its arena has, and which that is. */
static atomic_size_t shared_used;
static unsigned int shared_arena;

static void *shared_extent(extent_hooks_t *extent_hooks, void *at, size_t size,
			   size_t alignment, bool *zero, bool *commit,
			   unsigned int arena)
{
	size_t used = atomic_load(&shared_used), from;

	if (at || size > SHARED_SIZE || alignment > SHARED_SIZE)
		return NULL;
	do {
		from = ((shared_base + used + alignment - 1) & -alignment) - shared_base;
		if (from + size > SHARED_SIZE)
			return NULL;
	} while (!atomic_compare_exchange_weak(&shared_used, &used, from + size));
	*zero = true;
	*commit = true;
	return (void *)(shared_base + from);
}

/* Advice does not give back what processes share; removing the pages does. */
static bool shared_purge(extent_hooks_t *extent_hooks, void *at, size_t size,
			 size_t offset, size_t len, unsigned int arena)
{
	return syscall(SYS_madvise, (char *)at + offset, len, MADV_REMOVE);
}

static extent_hooks_t shared_hooks = {
	.alloc = shared_extent,
	.dalloc = extent_dalloc,
	.destroy = extent_destroy,
	.commit = extent_commit,
	.decommit = extent_decommit,
	.purge_forced = shared_purge,
	.split = extent_split,
	.merge = extent_merge,
};

/* At a place before which there can be slots: who frees then asks once whose memory it is. */
int heap_begin(void)
{
	struct arena_config config = { .extent_hooks = &shared_hooks };
	size_t size = sizeof(shared_arena), all_size = SHARED_SIZE + SLOT_SIZE;
	char *base, *all;

	if (shared_base)
		return 0;
	all = mmap(NULL, all_size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return -ENOMEM;
	if (je_mallctl("experimental.arenas_create_ext", &shared_arena, &size,
		       &config, sizeof(config))) {
		munmap(all, all_size);
		return -ENOMEM;
	}
	base = (char *)(((uintptr_t)all + SLOT_SIZE - 1) & -SLOT_SIZE);
	if (base > all)
		munmap(all, base - all);
	munmap(base + SHARED_SIZE, all + SLOT_SIZE - base);
	shared_base = (uintptr_t)base;
	return 0;
}

/* There are domains from here on, and memory that is not freed as if there were none. */
void heap_ready(void)
{
	uintptr_t begin = shared_base, end = shared_base + SHARED_SIZE;

	if (gate_fixed.space_size) {
		if (gate_fixed.space < begin)
			begin = gate_fixed.space;
		if (gate_fixed.space + gate_fixed.space_size > end)
			end = gate_fixed.space + gate_fixed.space_size;
	}
	heap_outside.from = end;
	/* Who finds it finds the other, too. */
	__atomic_store_n(&heap_outside.size, begin - end, __ATOMIC_RELEASE);
}

/* In a process that was made: what is shared is another's to free. */
void heap_forget(void)
{
	heap_outside.size = 0;
	inside.plain_outside = 0;
	inside.heap.plain = 0;
	inside.own_cache = false;
	inside.locks = 0;
}

/* In a child of fork(): what is free of it the allocator of the parent gives to others. */
void heap_child(void)
{
	shared_elsewhere = true;
}

void *shared_alloc(size_t size)
{
	if (!shared_base || shared_elsewhere)
		return NULL;
	return je_mallocx(size ? size : 1, MALLOCX_ARENA(shared_arena) |
			  MALLOCX_TCACHE_NONE | MALLOCX_ZERO);
}
