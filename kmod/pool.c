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
	return pool->kib_ms + ((pool->bytes + pool->away_bytes + pool->landings) >> 10) *
			      (now - pool->resized_ms);
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
	*bytes = pool->bytes + pool->away_bytes + pool->landings;
	*kib_ms = pool_kib_ms(pool, pool_now_ms());
	spin_unlock(&pool->size_lock);
}

static struct faasin_block *block_new(struct faasin_pool *pool, u32 size)
{
	struct faasin_block *b = faasin_memory_zalloc(pool->css, sizeof(*b));

	if (!b)
		return NULL;
	b->order = get_order(size);
	b->page = faasin_memory_pages(pool->css, b->order, __GFP_COMP);
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
	__free_pages(b->page, b->order);
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

/* ------------------------------------------------------------------- lent */

/**
 * faasin_pool_lend() - may references to a block's pages be given away
 * @pool: pool; the channel's rd.mutex is held
 * @b: block of the ring, of which it can be asked again
 *
 * The reserve is what keeps a stream going when memory is short, so it stays.
 *
 * Return: whether they may.
 */
bool faasin_pool_lend(struct faasin_pool *pool, struct faasin_block *b)
{
	if (b->lent)
		return true;
	if (b == pool->reserve || !faasin_pool_can_lend(pool, faasin_block_memory(b)))
		return false;
	atomic64_add(faasin_block_memory(b), &pool->lent);
	b->lent = true;
	return true;
}

/**
 * faasin_pool_is_back() - has nobody else a block's pages any more
 * @pool: pool, its mutex held
 * @b: block that was lent, and of which nothing is lent meanwhile
 *
 * Return: whether it can be filled again.
 */
bool faasin_pool_is_back(struct faasin_pool *pool, struct faasin_block *b)
{
	lockdep_assert_held(pool->mutex);
	/* References come from references: if there is one, nobody can make more. */
	if (page_count(b->page) != 1)
		return false;
	/* Pairs with the drop of the last other one: who had it looks no more. */
	smp_mb();
	b->lent = false;
	atomic64_sub(faasin_block_memory(b), &pool->lent);
	return true;
}

/**
 * faasin_pool_has_away() - is there what may come back and nobody tells
 * @pool: pool; without its mutex, the answer may be of a moment before
 *
 * Return: whether there is.
 */
bool faasin_pool_has_away(const struct faasin_pool *pool)
{
	return !llist_empty(&pool->returned) || !list_empty(&pool->away);
}

/* A page that was moved in is on nobody's account here: only a descriptor is left. */
static void moved_free(struct faasin_pool *pool, struct faasin_block *b)
{
	put_page(b->page);
	llist_add(&b->free, &pool->spare);
}

/* Memory of the pool's own goes away with a block, or comes back with it. */
static void away_resize(struct faasin_pool *pool, const struct faasin_block *b, bool goes)
{
	s64 by = goes ? b->size : -(s64)b->size;

	if (b->moved)
		return;
	pool_resize(pool, &pool->bytes, -by);
	pool_resize(pool, &pool->away_bytes, by);
}

/* Of the blocks that are away, look at @max: those that are back are empty ones again. */
static void away_recover(struct faasin_pool *pool, unsigned long max)
{
	struct llist_node *node = llist_reverse_order(llist_del_all(&pool->returned));
	struct faasin_block *b, *next;
	LIST_HEAD(look);

	llist_for_each_entry_safe(b, next, node, free) {
		list_add_tail(&b->entry, &pool->away);
		away_resize(pool, b, true);
	}
	list_splice_init(&pool->away, &look);
	list_for_each_entry_safe(b, next, &look, entry) {
		if (!max--)
			break;
		if (!faasin_pool_is_back(pool, b)) {
			/* Others may have come back before it. */
			list_move_tail(&b->entry, &pool->away);
			continue;
		}
		list_del(&b->entry);
		away_resize(pool, b, false);
		if (b->moved)
			moved_free(pool, b);
		else if (pool->bytes <= pool->capacity)
			empty_push(pool, b);
		else
			block_free(pool, b);
	}
	list_splice(&look, &pool->away);
}

/**
 * faasin_pool_recover() - what is back can be lent again
 * @pool: pool, its mutex held
 * @max: at how many blocks to look
 */
void faasin_pool_recover(struct faasin_pool *pool, unsigned long max)
{
	lockdep_assert_held(pool->mutex);
	away_recover(pool, max);
}

/* Whoever has pages of them keeps those, with what they cost; what nobody has is freed. */
static void away_forget(struct faasin_pool *pool)
{
	struct faasin_block *b, *next;

	away_recover(pool, 0);
	list_for_each_entry_safe(b, next, &pool->away, entry) {
		/* There may be as many as a capacity has pages. */
		cond_resched();
		list_del(&b->entry);
		if (!b->moved)
			pool_resize(pool, &pool->away_bytes, -(s64)b->size);
		put_page(b->page);
		kvfree(b);
	}
}

/* ---------------------------------------------------------- taking, putting */

/**
 * faasin_pool_payer_has_room() - may who pays be charged for more
 * @pool: pool; its mutex need not be held
 * @size: bytes
 *
 * Return: whether there is room for so much; who is gone pays for nothing.
 */
bool faasin_pool_payer_has_room(const struct faasin_pool *pool, u32 size)
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
	return pool_growth(pool) >= size && faasin_pool_payer_has_room(pool, size);
}

/* The capacity became smaller: what is empty and too much goes back. */
static void pool_trim_excess(struct faasin_pool *pool)
{
	if (pool->bytes > pool->capacity)
		faasin_pool_trim(pool, (pool->bytes - pool->capacity) >> PAGE_SHIFT, false);
}

/* Of the empty blocks, one that fits into @room; one that does not makes way for a smaller. */
static struct faasin_block *empty_take(struct faasin_pool *pool, u64 room)
{
	struct faasin_block *b = empty_pop(pool);

	if (!b || b->size <= max_t(u64, room, PAGE_SIZE))
		return b;
	/* That one has to be had first: what went back may be refused then. */
	if (faasin_pool_payer_has_room(pool, PAGE_SIZE))
		block_free(pool, b);
	else
		empty_push(pool, b);
	return NULL;
}

/* @room is less than a page: that is all that the block is to count. */
static void block_count_rest(struct faasin_pool *pool, struct faasin_block *b, u64 room)
{
	b->size = room;
	b->rest = true;
	WRITE_ONCE(pool->rest_out, true);
}

/* It counts all of its memory. */
static void block_whole(struct faasin_pool *pool, struct faasin_block *b)
{
	b->size = faasin_block_memory(b);
	if (!b->rest)
		return;
	b->rest = false;
	/* Before @held: whoever sees that much room may take a rest. */
	smp_store_release(&pool->rest_out, false);
}

/**
 * faasin_pool_reopen() - a block that counts a rest is to count a page, if there is room
 * @pool: pool, its mutex held
 * @b: block that nobody looks at
 */
void faasin_pool_reopen(struct faasin_pool *pool, struct faasin_block *b)
{
	u32 more = faasin_block_memory(b) - b->size;

	lockdep_assert_held(pool->mutex);
	if ((u64)atomic64_read(&pool->held) + more > pool->capacity)
		return;
	atomic64_add(more, &pool->held);
	block_whole(pool, b);
}

/**
 * faasin_pool_take() - an empty block
 * @pool: pool, its mutex held
 * @most: a new one is to have no more bytes, at least a page
 *
 * Return: a block of at least a page, or of the rest of the capacity; or NULL if the
 * capacity is out, or if memory is short and the reserved page is out, too.
 */
struct faasin_block *faasin_pool_take(struct faasin_pool *pool, u32 most)
{
	u64 room = faasin_pool_room(pool), growth;
	struct faasin_block *b;
	u32 size;

	lockdep_assert_held(pool->mutex);
	if (!room)
		return NULL;

	if (unlikely(pool->bytes > pool->capacity))
		pool_trim_excess(pool);
	b = empty_take(pool, room);
	if (!b && faasin_pool_has_away(pool)) {
		away_recover(pool, FAASIN_AWAY_LOOKS);
		b = empty_take(pool, room);
	}
	if (b)
		goto taken;

	if (pool_growth(pool) < pool->block_size)
		faasin_window_trim(pool->window, pool->block_size >> PAGE_SHIFT, false);
	growth = min_t(u64, max_t(u64, room, PAGE_SIZE), pool_growth(pool));
	size = growth ? min_t(u64, min(pool->block_size, most), rounddown_pow_of_two(growth)) : 0;
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
	if (unlikely(room < b->size))
		block_count_rest(pool, b, room);
	atomic64_add(b->size, &pool->held);
	return b;
}

/**
 * faasin_pool_put_uncounted() - a block is empty again, and was taken off @held before
 * @pool: pool
 * @b: block that was taken from it, or that was moved in
 */
void faasin_pool_put_uncounted(struct faasin_pool *pool, struct faasin_block *b)
{
	if (unlikely(b->size != faasin_block_memory(b)))
		block_whole(pool, b);
	if (b == pool->reserve) {
		/* Pairs with faasin_pool_take(). */
		smp_store_release(&pool->reserved, true);
	} else if (unlikely(b->lent)) {
		llist_add(&b->free, &pool->returned);
	} else if (unlikely(b->moved)) {
		moved_free(pool, b);
	} else {
		empty_push(pool, b);
	}
	if (READ_ONCE(pool->starved))
		WRITE_ONCE(pool->starved, false);
}

/**
 * faasin_pool_put() - a block is empty again
 * @pool: pool
 * @b: block that was taken from it, or that was moved in
 */
void faasin_pool_put(struct faasin_pool *pool, struct faasin_block *b)
{
	u32 size = b->size;

	faasin_pool_put_uncounted(pool, b);
	/* Pairs with faasin_pool_room_beside_reserve(). */
	atomic64_sub_return_release(size, &pool->held);
}

/**
 * faasin_pool_moved() - a block of somebody else's page
 * @pool: pool, its mutex held; what the block costs is on its account
 * @page: page whose only references are the caller's; one becomes the block's
 *
 * Return: the block, not yet counted in @held, or NULL.
 */
struct faasin_block *faasin_pool_moved(struct faasin_pool *pool, struct page *page)
{
	struct llist_node *spare;
	struct faasin_block *b;

	lockdep_assert_held(pool->mutex);
	/* Those that were given on are looked for where one is needed. */
	if (llist_empty(&pool->spare) && faasin_pool_has_away(pool))
		away_recover(pool, FAASIN_AWAY_LOOKS);
	spare = llist_del_first(&pool->spare);
	b = spare ? llist_entry(spare, struct faasin_block, free) :
		    faasin_memory_zalloc(pool->css, sizeof(*b));
	if (!b)
		return NULL;
	b->page = page;
	b->size = PAGE_SIZE;
	b->fixed = true;
	b->moved = true;
	return b;
}

static void spare_free(struct faasin_pool *pool)
{
	struct llist_node *node = llist_del_all(&pool->spare);
	struct faasin_block *b, *next;

	llist_for_each_entry_safe(b, next, node, free)
		kvfree(b);
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
	if (!may_grow(pool, size)) {
		/* What was away and came back makes room, too, without being freed. */
		faasin_pool_trim(pool, 1UL << order, false);
		if (!may_grow(pool, size))
			return NULL;
	}
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
		if (faasin_pool_payer_has_room(pool, PAGE_SIZE << n))
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
	away_recover(pool, FAASIN_AWAY_TRIM);
	spare_free(pool);
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
	init_llist_head(&pool->spare);
	init_llist_head(&pool->returned);
	INIT_LIST_HEAD(&pool->away);
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
	away_forget(pool);
	faasin_pool_trim(pool, ULONG_MAX, false);
	faasin_window_destroy(pool->window);
	block_free(pool, pool->reserve);
	mutex_unlock(pool->mutex);
	WARN_ON_ONCE(pool->bytes || pool->away_bytes || pool->landings || !list_empty(&pool->away));
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
