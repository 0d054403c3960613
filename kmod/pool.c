// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of blocks of one channel.
 */
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "cgroup.h"
#include "compat.h"
#include "limits.h"
#include "pool.h"
#include "window.h"

/* Every pool, for the shrinker. */
static DEFINE_MUTEX(faasin_pools_mutex);
static LIST_HEAD(faasin_pools);

/* Pages in lists of empty blocks: what the shrinker could have. */
static atomic_long_t faasin_empty_pages;

static struct faasin_compat_shrinker faasin_shrinker;

/*
 * Time is counted in whole milliseconds since boot: what is lost at one change is
 * made up for at another, and sums of a terabyte last for half a year.
 */
static u64 pool_now_ms(void)
{
	return div_u64(ktime_get_ns(), NSEC_PER_MSEC);
}

static u64 pool_kib_ms(struct faasin_pool *pool, u64 now)
{
	lockdep_assert_held(&pool->size_lock);
	return pool->kib_ms + ((pool->bytes + pool->landings) >> 10) * (now - pool->resized_ms);
}

/* @what: what of it changes. */
static void pool_resize(struct faasin_pool *pool, u64 *what, s64 by)
{
	u64 now;

	spin_lock(&pool->size_lock);
	now = pool_now_ms();
	pool->kib_ms = pool_kib_ms(pool, now);
	pool->resized_ms = now;
	*what += by;
	spin_unlock(&pool->size_lock);
}

/**
 * faasin_pool_size() - what a pool has and had
 * @pool: pool
 * @bytes: of all its memory
 * @kib_ms: that over time: KiB times milliseconds
 */
void faasin_pool_size(struct faasin_pool *pool, u64 *bytes, u64 *kib_ms)
{
	spin_lock(&pool->size_lock);
	*bytes = pool->bytes + pool->landings;
	*kib_ms = pool_kib_ms(pool, pool_now_ms());
	spin_unlock(&pool->size_lock);
}

static struct faasin_block *block_new(struct faasin_pool *pool, u32 size)
{
	struct faasin_block *b = faasin_memory_zalloc(pool->css, sizeof(*b));

	if (!b)
		return NULL;
	b->page = faasin_memory_pages(pool->css, get_order(size), __GFP_COMP);
	if (!b->page) {
		kvfree(b);
		return NULL;
	}
	b->size = size;
	pool_resize(pool, &pool->bytes, size);
	return b;
}

static void block_free(struct faasin_pool *pool, struct faasin_block *b)
{
	pool_resize(pool, &pool->bytes, -(s64)b->size);
	__free_pages(b->page, get_order(b->size));
	kvfree(b);
}

static struct faasin_block *empty_pop(struct faasin_pool *pool)
{
	struct llist_node *node = llist_del_first(&pool->free);
	struct faasin_block *b;

	if (!node)
		return NULL;
	b = llist_entry(node, struct faasin_block, free);
	atomic_long_sub(b->size >> PAGE_SHIFT, &faasin_empty_pages);
	return b;
}

static void empty_push(struct faasin_pool *pool, struct faasin_block *b)
{
	atomic_long_add(b->size >> PAGE_SHIFT, &faasin_empty_pages);
	llist_add(&b->free, &pool->free);
}

/* Has who pays room for so much more? Who is gone pays for nothing. */
static bool payer_has_room(const struct faasin_pool *pool, u32 size)
{
	return !pool->css || (!faasin_memory_gone(pool->css) &&
			      faasin_memory_has_room(pool->css, size));
}

/* Bytes that it may still grow by, the reserve being a part of what there is. */
static u64 pool_growth(const struct faasin_pool *pool)
{
	return pool->capacity > pool->bytes ? pool->capacity - pool->bytes : 0;
}

static bool may_grow(struct faasin_pool *pool, u32 size)
{
	if (!size)
		return false;
	if (pool->css && faasin_memory_gone(pool->css))
		pool->gone = true;
	return pool_growth(pool) >= size && payer_has_room(pool, size);
}

/* The capacity became smaller: what is empty and too much goes back. */
static void pool_trim_excess(struct faasin_pool *pool)
{
	if (pool->bytes > pool->capacity)
		faasin_pool_trim(pool, (pool->bytes - pool->capacity) >> PAGE_SHIFT, false);
}

/**
 * faasin_pool_take() - an empty block
 * @pool: pool, its mutex held
 *
 * Return: a block of at least a page, or NULL if the capacity is out, or if
 * memory is short and the reserved page is out, too.
 */
struct faasin_block *faasin_pool_take(struct faasin_pool *pool)
{
	u64 room = faasin_pool_room(pool);
	struct faasin_block *b;
	u32 size;

	lockdep_assert_held(pool->mutex);
	if (!room)
		return NULL;

	if (unlikely(pool->bytes > pool->capacity))
		pool_trim_excess(pool);
	b = empty_pop(pool);
	if (b && b->size > room) {
		empty_push(pool, b);
		b = NULL;
	}
	if (b)
		goto taken;

	if (pool_growth(pool) < pool->block_size)
		faasin_window_trim(pool->window, pool->block_size >> PAGE_SHIFT, false);
	room = min(room, pool_growth(pool));
	size = room ? min_t(u64, pool->block_size, rounddown_pow_of_two(room)) : 0;
	while (may_grow(pool, size) ||
	       (faasin_window_trim(pool->window, size >> PAGE_SHIFT, false) &&
		may_grow(pool, size))) {
		b = block_new(pool, size);
		if (b)
			goto taken;
		if (size == PAGE_SIZE)
			break;
		size = PAGE_SIZE;
	}
	/* Pairs with faasin_pool_put(): the consumer is done with it. */
	if (smp_load_acquire(&pool->reserved)) {
		WRITE_ONCE(pool->reserved, false);
		b = pool->reserve;
		goto taken;
	}
	WRITE_ONCE(pool->starved, true);
	return NULL;

taken:
	atomic64_add(b->size, &pool->held);
	return b;
}

/**
 * faasin_pool_put() - a block is empty again
 * @pool: pool
 * @b: block that was taken from it
 */
void faasin_pool_put(struct faasin_pool *pool, struct faasin_block *b)
{
	u32 size = b->size;

	if (b == pool->reserve) {
		/* Pairs with faasin_pool_take(). */
		smp_store_release(&pool->reserved, true);
	} else {
		empty_push(pool, b);
	}
	/* Pairs with faasin_pool_room_beside_reserve(). */
	atomic64_sub_return_release(size, &pool->held);
	if (READ_ONCE(pool->starved))
		WRITE_ONCE(pool->starved, false);
}

static struct page *pages_zeroed(struct faasin_pool *pool, unsigned int order)
{
	return faasin_memory_pages(pool->css, order, __GFP_ZERO | (order ? __GFP_COMP : 0));
}

/**
 * faasin_pool_pages() - zeroed pages for a window, on the pool's account
 * @pool: pool, its mutex held
 * @order: how many
 *
 * Return: the pages, compound if there are several, or NULL.
 */
struct page *faasin_pool_pages(struct faasin_pool *pool, unsigned int order)
{
	u32 size = PAGE_SIZE << order;
	struct page *page;

	lockdep_assert_held(pool->mutex);
	if (!may_grow(pool, size) &&
	    (!faasin_pool_trim(pool, 1UL << order, false) || !may_grow(pool, size)))
		return NULL;
	page = pages_zeroed(pool, order);
	if (page)
		pool_resize(pool, &pool->bytes, size);
	return page;
}

/**
 * faasin_pool_pages_free() - free what faasin_pool_pages() gave
 * @pool: pool, its mutex held
 * @page: the pages
 * @order: how many
 */
void faasin_pool_pages_free(struct faasin_pool *pool, struct page *page, unsigned int order)
{
	lockdep_assert_held(pool->mutex);
	pool_resize(pool, &pool->bytes, -(s64)(PAGE_SIZE << order));
	__free_pages(page, order);
}

/**
 * faasin_pool_landing() - zeroed pages for an input, beside the capacity
 * @pool: pool; its mutex need not be held
 * @order: receives how many; those of a block, or one
 *
 * Return: the pages, or NULL; a pool that may not grow has none for this either.
 */
struct page *faasin_pool_landing(struct faasin_pool *pool, unsigned int *order)
{
	struct page *page = NULL;
	unsigned int n;

	for (n = get_order(pool->block_size); ; n = 0) {
		if (payer_has_room(pool, PAGE_SIZE << n))
			page = pages_zeroed(pool, n);
		if (page || !n)
			break;
	}
	if (page)
		pool_resize(pool, &pool->landings, PAGE_SIZE << n);
	*order = n;
	return page;
}

/**
 * faasin_pool_landing_free() - free what faasin_pool_landing() gave
 * @pool: pool
 * @page: the pages
 * @order: how many
 */
void faasin_pool_landing_free(struct faasin_pool *pool, struct page *page, unsigned int order)
{
	pool_resize(pool, &pool->landings, -(s64)(PAGE_SIZE << order));
	__free_pages(page, order);
}

/**
 * faasin_pool_idle() - a window has more pages, or fewer, that can be trimmed
 * @pages: how many
 */
void faasin_pool_idle(long pages)
{
	atomic_long_add(pages, &faasin_empty_pages);
}

/**
 * faasin_pool_trim() - free empty blocks and a window's idle memory
 * @pool: pool, its mutex held
 * @pages: enough
 * @nowait: wait for no lock
 *
 * Return: how many pages were freed.
 */
unsigned long faasin_pool_trim(struct faasin_pool *pool, unsigned long pages, bool nowait)
{
	unsigned long freed = 0;
	struct faasin_block *b;

	lockdep_assert_held(pool->mutex);
	while (freed < pages && (b = empty_pop(pool))) {
		freed += b->size >> PAGE_SHIFT;
		block_free(pool, b);
	}
	if (freed < pages)
		freed += faasin_window_trim(pool->window, pages - freed, nowait);
	return freed;
}

static u32 block_size_for(u64 capacity)
{
	return clamp_t(u64, rounddown_pow_of_two(capacity / FAASIN_BLOCKS_MIN ?: 1),
		       PAGE_SIZE, FAASIN_BLOCK_MAX);
}

/**
 * faasin_pool_set_capacity() - from now on another number of bytes may be out at a time
 * @pool: pool, its mutex held
 * @capacity: bytes; a multiple of the page size
 *
 * Where more are out, none can be taken until enough were put back. The caller holds rd.mutex,
 * too, and tells those who wait for room.
 *
 * Return: false, and nothing was done, if the window is in use.
 */
bool faasin_pool_set_capacity(struct faasin_pool *pool, u64 capacity)
{
	u32 block_size = block_size_for(capacity);

	lockdep_assert_held(pool->mutex);
	if (!faasin_window_resize(pool->window, capacity, block_size))
		return false;
	WRITE_ONCE(pool->capacity, capacity);
	WRITE_ONCE(pool->block_size, block_size);
	pool_trim_excess(pool);
	WRITE_ONCE(pool->starved, false);
	return true;
}

/**
 * faasin_pool_create() - a pool with nothing but its reserve
 * @pool: zeroed
 * @css: memory controller that pays, or NULL; outlives the pool
 * @capacity: bytes that may be out at a time; a multiple of the page size
 * @mutex: guards the pool, see pool.h
 * @window: zeroed; has memory on the pool's account
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_pool_create(struct faasin_pool *pool, struct cgroup_subsys_state *css,
		       u64 capacity, struct mutex *mutex, struct faasin_window *window)
{
	pool->css = css;
	pool->mutex = mutex;
	pool->window = window;
	pool->capacity = capacity;
	pool->block_size = block_size_for(capacity);
	init_llist_head(&pool->free);
	spin_lock_init(&pool->size_lock);
	pool->reserve = block_new(pool, PAGE_SIZE);
	if (!pool->reserve)
		return -ENOMEM;
	pool->reserved = true;
	faasin_window_create(window, pool);

	mutex_lock(&faasin_pools_mutex);
	list_add(&pool->entry, &faasin_pools);
	mutex_unlock(&faasin_pools_mutex);
	return 0;
}

/**
 * faasin_pool_destroy() - free all blocks
 * @pool: pool whose blocks were all put back
 */
void faasin_pool_destroy(struct faasin_pool *pool)
{
	mutex_lock(&faasin_pools_mutex);
	list_del(&pool->entry);
	mutex_unlock(&faasin_pools_mutex);

	mutex_lock(pool->mutex);
	faasin_pool_trim(pool, ULONG_MAX, false);
	faasin_window_destroy(pool->window);
	block_free(pool, pool->reserve);
	mutex_unlock(pool->mutex);
	WARN_ON_ONCE(pool->bytes || pool->landings);
}

static unsigned long shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return max(atomic_long_read(&faasin_empty_pages), 0L) ?: SHRINK_EMPTY;
}

static unsigned long shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct faasin_pool *pool;
	unsigned long freed = 0;

	/* Whoever holds these may be allocating: never wait here. */
	if (!mutex_trylock(&faasin_pools_mutex))
		return SHRINK_STOP;
	list_for_each_entry(pool, &faasin_pools, entry) {
		if (freed >= sc->nr_to_scan)
			break;
		if (!mutex_trylock(pool->mutex))
			continue;
		freed += faasin_pool_trim(pool, sc->nr_to_scan - freed, true);
		mutex_unlock(pool->mutex);
	}
	mutex_unlock(&faasin_pools_mutex);
	return freed ?: SHRINK_STOP;
}

/**
 * faasin_pool_init() - register the shrinker
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_pool_init(void)
{
	return faasin_compat_shrinker_register(&faasin_shrinker, shrink_count, shrink_scan);
}

/**
 * faasin_pool_exit() - unregister the shrinker; no pool is left
 */
void faasin_pool_exit(void)
{
	faasin_compat_shrinker_unregister(&faasin_shrinker);
	WARN_ON_ONCE(!list_empty(&faasin_pools));
}
