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
	struct growth *growth = arg;
	uintptr_t at = base + domain->heap_used;

	at = (at + growth->alignment - 1) & -growth->alignment;
	if (growth->size > SLOT_SIZE || !space_grow(domain, at - base + growth->size))
		return -ENOMEM;
	domain->heap_used = at - base + growth->size;
	growth->at = at;
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
			.alloc_flags = MALLOCX_ARENA(domain->arena) | MALLOCX_TCACHE(domain->cache),
			.free_flags = MALLOCX_TCACHE(domain->cache),
		};
		return 0;
	}
	snprintf(name, sizeof(name), "arena.%u.destroy", domain->arena);
	je_mallctl(name, NULL, NULL, NULL, 0);
	return -ENOMEM;
}

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

/*
 * jemalloc links what it knows of each thread to that of others, when the thread first
 * allocates: not inside, where nothing of theirs can be touched.
 */
void heap_thread_begin(void)
{
	je_free(je_malloc(1));
}

/* -------------------------------------------------------------- the shared heap */

uintptr_t shared_base;

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

int heap_begin(void)
{
	struct arena_config config = { .extent_hooks = &shared_hooks };
	size_t size = sizeof(shared_arena);
	void *base;

	if (shared_base)
		return 0;
	base = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	if (je_mallctl("experimental.arenas_create_ext", &shared_arena, &size,
		       &config, sizeof(config))) {
		munmap(base, SHARED_SIZE);
		return -ENOMEM;
	}
	shared_base = (uintptr_t)base;
	return 0;
}

void *shared_alloc(size_t size)
{
	if (!shared_base)
		return NULL;
	return je_mallocx(size ? size : 1, MALLOCX_ARENA(shared_arena) |
			  MALLOCX_TCACHE_NONE | MALLOCX_ZERO);
}
