// SPDX-License-Identifier: GPL-2.0
/*
 * Pages, objects, the shrinker.
 */
#include "kernel.h"

static atomic_long_t pages;
static struct shrinker *shrinker;	/* there is one */

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = calloc(1UL << order, sizeof(*page));
	size_t size = PAGE_SIZE << order, i;
	void *memory;

	if (!page)
		return NULL;
#ifdef SHIM_SHORT_PAGES
	size--;
#endif
	if (posix_memalign(&memory, PAGE_SIZE, size)) {
		free(page);
		return NULL;
	}
	/* What nobody wrote is not mistaken for data. */
	memset(memory, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	for (i = 0; i < 1UL << order; i++)
		page[i].address = (char *)memory + (i << PAGE_SHIFT);
	refcount_set(&page->refs, 1);
	page->order = order;
	atomic_long_add(1L << order, &pages);
	return page;
}

void put_page(struct page *page)
{
	if (!refcount_dec_and_test(&page->refs))
		return;
	atomic_long_sub(1L << page->order, &pages);
	free(page->address);
	free(page);
}

long memory_pages(void)
{
	return atomic_long_read(&pages);
}

void *kzalloc(size_t size, gfp_t gfp)
{
	void *p;

	if (posix_memalign(&p, 64, size))
		return NULL;
	return memset(p, 0, size);
}

struct shrinker *shrinker_alloc(unsigned int flags, const char *name)
{
	return kzalloc(sizeof(struct shrinker), GFP_KERNEL);
}

void shrinker_register(struct shrinker *s)
{
	shrinker = s;
}

void shrinker_free(struct shrinker *s)
{
	shrinker = NULL;
	free(s);
}

void memory_shrink(unsigned long nr)
{
	struct shrink_control sc = { .nr_to_scan = nr };
	unsigned long count = shrinker->count_objects(shrinker, &sc);

	if (count && count != SHRINK_EMPTY)
		shrinker->scan_objects(shrinker, &sc);
}
