/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages, objects, the shrinker.
 *
 * Negative control: with SHIM_SHORT_PAGES memory of pages ends a byte too early, which
 * AddressSanitizer has to report.
 */
#ifndef _USERSPACE_MEMORY_H
#define _USERSPACE_MEMORY_H

#include "atomic.h"

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PMD_ORDER		9
#define PFN_UP(n)		(((n) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define offset_in_page(n)	((unsigned long)(n) & ~PAGE_MASK)

#define GFP_KERNEL		0x1U
#define GFP_KERNEL_ACCOUNT	0x1U
#define __GFP_COMP		0x2U
#define __GFP_ZERO		0x4U

/* Of a compound one there are as many as it has pages; the first has its references. */
struct page {
	void *address;
	refcount_t refs;
	unsigned int order;
};

struct page *alloc_pages(gfp_t gfp, unsigned int order);
void put_page(struct page *page);

static inline void get_page(struct page *page)
{
	refcount_inc(&page->refs);
}

/* Whoever asks has a barrier behind it, which ThreadSanitizer does not know of. */
static inline int page_count(const struct page *page)
{
	return smp_load_acquire(&page->refs.refs);
}

static inline void __free_pages(struct page *page, unsigned int order)
{
	BUG_ON(page->order != order);
	put_page(page);
}

/* How many pages were allocated and are not freed. */
long memory_pages(void);

static inline void *page_address(const struct page *page)
{
	return page->address;
}

static inline int get_order(unsigned long size)
{
	return size <= PAGE_SIZE ? 0 : ilog2(size - 1) + 1 - PAGE_SHIFT;
}

static inline void *kmalloc(size_t size, gfp_t gfp)
{
	return malloc(size);
}

/* Aligned as members of a channel want it. */
void *kzalloc(size_t size, gfp_t gfp);

static inline void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	return kzalloc(n * size, gfp);
}

static inline void kfree(void *p)
{
	free(p);
}

static inline void kvfree(void *p)
{
	free(p);
}

#define SHRINK_STOP		(~0UL)
#define SHRINK_EMPTY		(~0UL - 1)
#define SHRINKER_ALLOCATED	1

struct shrink_control {
	unsigned long nr_to_scan;
};

struct shrinker {
	unsigned long (*count_objects)(struct shrinker *s, struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *s, struct shrink_control *sc);
};

struct shrinker *shrinker_alloc(unsigned int flags, const char *name);
void shrinker_register(struct shrinker *s);
void shrinker_free(struct shrinker *s);

/* Memory is short: asks for so many pages. */
void memory_shrink(unsigned long pages);

#endif /* _USERSPACE_MEMORY_H */
