// SPDX-License-Identifier: GPL-2.0
/*
 * Extents of a window: where they are, what memory they have, who owns them.
 * window.h has what they are and their lock.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "cgroup.h"
#include "compat.h"
#include "limits.h"
#include "stream.h"
#include "window.h"

/* ----------------------------------------------------------------- chunks */

static u32 chunk_pages(const struct faasin_window *win, u32 i)
{
	return min_t(u32, 1U << win->chunk_shift, win->nr_pages - (i << win->chunk_shift));
}

/* Of pages @first to @first + @nr - 1, those that chunk @i has. */
static u32 chunk_share(const struct faasin_window *win, u32 i, u32 first, u32 nr)
{
	u32 begin = i << win->chunk_shift;

	return min(first + nr, begin + chunk_pages(win, i)) - max(first, begin);
}

/* The chunks that have pages of an extent: from, and to. */
static u32 chunk_first(const struct faasin_window *win, const struct faasin_extent *e)
{
	return e->first >> win->chunk_shift;
}

static u32 chunk_last(const struct faasin_window *win, const struct faasin_extent *e)
{
	return (e->first + e->nr - 1) >> win->chunk_shift;
}

/* In the pool's mutex. */
static void chunk_free(struct faasin_window *win, u32 i)
{
	struct faasin_chunk *c = &win->chunks[i];
	u32 n;

	if (c->page)
		faasin_pool_pages_free(win->pool, c->page, win->chunk_shift);
	for (n = 0; c->pages && n < chunk_pages(win, i); n++)
		if (c->pages[n])
			faasin_pool_pages_free(win->pool, c->pages[n], 0);
	kvfree(c->pages);
	c->page = NULL;
	c->pages = NULL;
}

/* In the pool's mutex: memory for a chunk that has none. */
static bool chunk_fill(struct faasin_window *win, u32 i)
{
	struct faasin_chunk *c = &win->chunks[i];
	u32 nr = chunk_pages(win, i), n;

	if (nr == 1U << win->chunk_shift)
		c->page = faasin_pool_pages(win->pool, win->chunk_shift);
	if (c->page)
		return true;
	c->pages = faasin_memory_zalloc(win->pool->css, array_size(nr, sizeof(*c->pages)));
	if (!c->pages)
		return false;
	for (n = 0; n < nr; n++) {
		cond_resched();
		c->pages[n] = faasin_pool_pages(win->pool, 0);
		if (!c->pages[n]) {
			chunk_free(win, i);
			return false;
		}
	}
	return true;
}

static bool chunk_filled(const struct faasin_chunk *c)
{
	return c->page || c->pages;
}

/**
 * faasin_window_page() - the page at an offset
 * @win: window
 * @n: offset, in pages; of an extent, or, of a trusted link, of what is shown
 *
 * Return: the page.
 */
struct page *faasin_window_page(const struct faasin_window *win, u32 n)
{
	const struct faasin_chunk *c = &win->chunks[n >> win->chunk_shift];

	n &= (1U << win->chunk_shift) - 1;
	return c->page ? c->page + n : c->pages[n];
}

/**
 * faasin_window_shows() - of a trusted link: what can be seen around a page
 * @win: window, locked
 * @page: offset, in pages
 * @first: receives where that begins
 * @nr: receives how many pages it has: of chunks side by side, as many as a page table may show
 *
 * Return: false if there is no memory that can be seen.
 */
bool faasin_window_shows(const struct faasin_window *win, u32 page, u32 *first, u32 *nr)
{
	u32 i = page >> win->chunk_shift, around = (1U << PMD_ORDER) >> win->chunk_shift;
	u32 last = (win->nr_pages - 1) >> win->chunk_shift, begin = i, end = i;

	lockdep_assert_held(&win->lock);
	if (!win->chunks || !win->chunks[i].shown)
		return false;
	while (begin && i - begin + 1 < around && win->chunks[begin - 1].shown)
		begin--;
	while (end < last && end - i + 1 < around && win->chunks[end + 1].shown)
		end++;
	*first = begin << win->chunk_shift;
	*nr = (end << win->chunk_shift) + chunk_pages(win, end) - *first;
	return true;
}

/*
 * Under the lock: may chunk @i go? If so, no fault shows it from now on, and @seen_by becomes
 * by what it may still be mapped, which it can only be where that may be waited for.
 */
static bool chunk_hide(struct faasin_window *win, u32 i, bool nowait, struct inode *seen_by[2])
{
	struct faasin_chunk *c = &win->chunks[i];
	bool mapped = c->shown && atomic_read(&win->mappings);
	enum faasin_direction d;

	if (c->used)
		return false;
	if (nowait && mapped) {
		WRITE_ONCE(win->pressed, true);
		return false;
	}
	for (d = FAASIN_DIRECTION_IN; d <= FAASIN_DIRECTION_OUT; d++)
		seen_by[d] = mapped ? faasin_window_seen_by(win, d) : NULL;
	c->shown = false;
	return true;
}

static bool window_lock(struct faasin_window *win, bool nowait)
{
	if (nowait)
		return mutex_trylock(&win->lock);
	mutex_lock(&win->lock);
	return true;
}

/**
 * faasin_window_trim() - free idle chunks
 * @win: window, its pool's mutex held
 * @pages: enough
 * @nowait: wait neither for the window's lock nor for mappings: what those may show stays until
 *	the idle work runs, which is told, or the channel needs it
 *
 * Return: how many pages were freed.
 */
unsigned long faasin_window_trim(struct faasin_window *win, unsigned long pages, bool nowait)
{
	unsigned long freed = 0;
	struct inode *seen_by[2];
	enum faasin_direction d;
	bool idle;
	u32 i, nr;

	lockdep_assert_held(win->pool->mutex);
	for (i = 0; win->chunks && i << win->chunk_shift < win->nr_pages && freed < pages; i++) {
		if (!chunk_filled(&win->chunks[i]))
			continue;
		if (!window_lock(win, nowait))
			break;
		nr = chunk_pages(win, i);
		/* It stays idle: the pool's mutex is held. */
		idle = chunk_hide(win, i, nowait, seen_by);
		if (idle)
			faasin_pool_idle(-(long)nr);
		mutex_unlock(&win->lock);
		if (!idle)
			continue;
		for (d = FAASIN_DIRECTION_IN; d <= FAASIN_DIRECTION_OUT; d++)
			faasin_window_unmap(win, d, seen_by[d], i << win->chunk_shift, nr);
		freed += nr;
		chunk_free(win, i);
		if (!nowait)
			cond_resched();
	}
	return freed;
}

/* ---------------------------------------------------------------- extents */

/**
 * faasin_extent_at() - what has a page
 * @win: window, locked
 * @page: offset, in pages
 *
 * Return: the extent, or NULL if the page is not allocated.
 */
struct faasin_extent *faasin_extent_at(const struct faasin_window *win, u32 page)
{
	struct rb_node *node = win->extents.rb_node;
	struct faasin_extent *e;

	lockdep_assert_held(&win->lock);
	while (node) {
		e = rb_entry(node, struct faasin_extent, node);
		if (page < e->first)
			node = node->rb_left;
		else if (page - e->first >= e->nr)
			node = node->rb_right;
		else
			return e;
	}
	return NULL;
}

static void extent_insert(struct faasin_window *win, struct faasin_extent *e)
{
	struct rb_node **at = &win->extents.rb_node, *parent = NULL;

	while (*at) {
		parent = *at;
		at = e->first < rb_entry(parent, struct faasin_extent, node)->first ?
			&parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&e->node, parent, at);
	rb_insert_color(&e->node, &win->extents);
}

/* In the pool's mutex; without the lock, since the window may be in many pieces. */
static u32 area_find(struct faasin_window *win, u32 from, u32 nr, u32 align)
{
	/* Others only free pages meanwhile: what is free stays so. */
	return data_race(bitmap_find_next_zero_area(win->used, win->nr_pages, from, nr, align - 1));
}

/*
 * Where an extent goes, or false if there is no such place. One of at least half a
 * chunk has whole chunks, if it can be had so: larger pages can show it.
 */
static bool extent_place(struct faasin_window *win, struct faasin_extent *e)
{
	u32 chunk = 1U << win->chunk_shift, whole = round_up(e->nr, chunk);

	if (e->nr >= chunk / 2) {
		e->first = area_find(win, 0, whole, chunk);
		if (e->first < win->nr_pages) {
			e->nr = whole;
			return true;
		}
	}
	e->first = area_find(win, 0, e->nr, 1);
	return e->first < win->nr_pages;
}

/*
 * Where an extent goes that is to be made of memory that is in use in part, and so
 * costs nothing, or false.
 */
static bool extent_place_beside(struct faasin_window *win, struct faasin_extent *e)
{
	u32 i;

	e->first = 0;
	for (;;) {
		e->first = area_find(win, e->first, e->nr, 1);
		if (e->first >= win->nr_pages)
			return false;
		for (i = chunk_first(win, e); i <= chunk_last(win, e); i++)
			if (!READ_ONCE(win->chunks[i].used))
				break;
		if (i > chunk_last(win, e))
			return true;
		/* Whatever begins before the end of that chunk needs it, too. */
		e->first = (i + 1) << win->chunk_shift;
	}
}

/* Memory of the chunks that an extent is the first to use. */
static u64 extent_needs(struct faasin_window *win, const struct faasin_extent *e)
{
	u32 i, pages = 0;

	for (i = chunk_first(win, e); i <= chunk_last(win, e); i++)
		if (!win->chunks[i].used)
			pages += chunk_pages(win, i);
	return (u64)pages << PAGE_SHIFT;
}

/* Mark an extent's pages as allocated. */
static void extent_mark(struct faasin_window *win, const struct faasin_extent *e)
{
	struct faasin_chunk *c;
	u32 i;

	lockdep_assert_held(&win->lock);
	bitmap_set(win->used, e->first, e->nr);
	for (i = chunk_first(win, e); i <= chunk_last(win, e); i++) {
		c = &win->chunks[i];
		if (!c->used) {
			atomic64_add((u64)chunk_pages(win, i) << PAGE_SHIFT, &win->pool->held);
			if (chunk_filled(c))
				faasin_pool_idle(-(long)chunk_pages(win, i));
		}
		c->used += chunk_share(win, i, e->first, e->nr);
	}
}

static void extent_unmark(struct faasin_window *win, const struct faasin_extent *e)
{
	struct faasin_chunk *c;
	u32 i;

	lockdep_assert_held(&win->lock);
	bitmap_clear(win->used, e->first, e->nr);
	for (i = chunk_first(win, e); i <= chunk_last(win, e); i++) {
		c = &win->chunks[i];
		c->used -= chunk_share(win, i, e->first, e->nr);
		if (c->used)
			continue;
		if (chunk_filled(c))
			faasin_pool_idle(chunk_pages(win, i));
		atomic64_sub((u64)chunk_pages(win, i) << PAGE_SHIFT, &win->pool->held);
	}
	WRITE_ONCE(win->pool->starved, false);
}

static void extent_remove(struct faasin_window *win, struct faasin_extent *e)
{
	rb_erase(&e->node, &win->extents);
	extent_unmark(win, e);
}

/* In the pool's mutex: the tables, when first something is allocated. */
static bool window_tables(struct faasin_window *win)
{
	u32 chunks = DIV_ROUND_UP(win->nr_pages, 1U << win->chunk_shift);
	struct faasin_chunk *c;
	unsigned long *used;

	if (win->chunks)
		return true;
	c = faasin_memory_zalloc(win->pool->css, array_size(chunks, sizeof(*c)));
	used = faasin_memory_zalloc(win->pool->css,
				    array_size(BITS_TO_LONGS(win->nr_pages), sizeof(long)));
	if (!c || !used) {
		kvfree(c);
		kvfree(used);
		return false;
	}
	mutex_lock(&win->lock);
	win->used = used;
	win->chunks = c;
	mutex_unlock(&win->lock);
	return true;
}

/* The pages at its place, if there is room for the memory that they need. */
static bool extent_claim(struct faasin_window *win, const struct faasin_extent *e)
{
	bool fits;

	mutex_lock(&win->lock);
	fits = extent_needs(win, e) <= faasin_pool_room_beside_reserve(win->pool);
	if (fits)
		extent_mark(win, e);
	mutex_unlock(&win->lock);
	return fits;
}

static bool extent_try(struct faasin_window *win, struct faasin_extent *e)
{
	u32 nr = e->nr;

	if (extent_place(win, e) && extent_claim(win, e))
		return true;
	e->nr = nr;
	return extent_place_beside(win, e) && extent_claim(win, e);
}

/* Places and marks an extent, or says that there is no room, and what turn it is. */
static bool extent_reserve(struct faasin_window *win, struct faasin_extent *e, u64 *turn)
{
	if (extent_try(win, e))
		return true;
	mutex_lock(&win->lock);
	WRITE_ONCE(win->wanted, true);
	*turn = win->turn;
	mutex_unlock(&win->lock);
	/* Pairs with wake_after_read(): blocks of the pool come back without the lock. */
	smp_mb();
	return extent_try(win, e);
}

static bool extent_fill(struct faasin_window *win, const struct faasin_extent *e)
{
	u32 i;

	for (i = chunk_first(win, e); i <= chunk_last(win, e); i++)
		if (!chunk_filled(&win->chunks[i]) &&
		    (fatal_signal_pending(current) || !chunk_fill(win, i)))
			return false;
	return true;
}

/* Of a trusted link: what an extent is made of can be seen. */
static void extent_show(struct faasin_window *win, const struct faasin_extent *e)
{
	u32 i;

	for (i = chunk_first(win, e); i <= chunk_last(win, e); i++)
		win->chunks[i].shown = true;
}

/* The last step; if @reserved, it has its place, which is free again if there is no memory. */
static bool extent_make(struct faasin_window *win, struct faasin_extent *e, bool reserved,
			u64 *turn)
{
	bool filled = reserved && extent_fill(win, e);

	mutex_lock(&win->lock);
	if (filled) {
		extent_insert(win, e);
		if (win->trusted)
			extent_show(win, e);
	} else {
		if (reserved)
			extent_unmark(win, e);
		WRITE_ONCE(win->wanted, true);
		WRITE_ONCE(win->starved, true);
		*turn = win->turn;
	}
	mutex_unlock(&win->lock);
	return filled;
}

/**
 * faasin_extent_alloc() - pages that nobody owns yet, so that nobody can see or name them
 * @win: window, its pool's mutex held
 * @nr: how many, at least
 * @turn: what turn it is, if there are none
 *
 * Return: the extent, -EAGAIN if there is no room, or -ENOMEM if there is, but no
 * memory; the next turn tells when to try again.
 */
struct faasin_extent *faasin_extent_alloc(struct faasin_window *win, u32 nr, u64 *turn)
{
	struct faasin_extent *e = faasin_memory_zalloc(win->pool->css, sizeof(*e));
	bool ready = e && window_tables(win);

	lockdep_assert_held(win->pool->mutex);
	if (ready) {
		e->nr = nr;
		e->block.fixed = true;
		if (!extent_reserve(win, e, turn)) {
			kvfree(e);
			return ERR_PTR(-EAGAIN);
		}
	}
	if (extent_make(win, e, ready, turn))
		return e;
	kvfree(e);
	return ERR_PTR(-ENOMEM);
}

/**
 * faasin_extent_free() - an extent's pages are free to be allocated
 * @win: window
 * @e: extent that, of a sealed link, nobody's mappings show; gone afterwards
 */
void faasin_extent_free(struct faasin_window *win, struct faasin_extent *e)
{
	mutex_lock(&win->lock);
	extent_remove(win, e);
	mutex_unlock(&win->lock);
	kvfree(e);
}

/**
 * faasin_extent_copy_out() - bytes of an extent
 * @win: window
 * @e: extent
 * @offset: of the first byte
 * @n: how many
 * @to: where to
 *
 * Return: how many were copied.
 */
size_t faasin_extent_copy_out(struct faasin_window *win, const struct faasin_extent *e, u32 offset,
			      size_t n, struct iov_iter *to)
{
	size_t done = 0, part, copied;
	struct page *page;
	u32 at, run;

	while (done < n) {
		at = e->first + ((offset + done) >> PAGE_SHIFT);
		page = faasin_window_page(win, at);
		/* To the end of what lies in one piece. */
		run = 1;
		if (win->chunks[at >> win->chunk_shift].page)
			run = (1U << win->chunk_shift) - (at & ((1U << win->chunk_shift) - 1));
		part = min_t(size_t, n - done,
			     ((size_t)run << PAGE_SHIFT) - offset_in_page(offset + done));
		copied = copy_to_iter(page_address(page) + offset_in_page(offset + done),
				      part, to);
		done += copied;
		if (copied < part)
			break;
	}
	return done;
}

/**
 * faasin_extent_give() - an extent has another owner
 * @win: window, locked
 * @e: extent; unless it is taken away, or the link is trusted, nobody's mappings show it
 * @h: the owner, or NULL; once that unlocks, the extent is @h's
 */
void faasin_extent_give(struct faasin_window *win, struct faasin_extent *e,
			struct faasin_handle *h)
{
	lockdep_assert_held(&win->lock);
	if (e->owner)
		list_del(&e->entry);
	e->owner = h;
	if (h)
		list_add(&e->entry, &h->extents);
}

/**
 * faasin_extents_own() - a record's extents have a new owner
 * @win: window
 * @e: extents that, of a sealed link, nobody's mappings show; on return they may be gone
 * @n: how many
 * @h: the owner
 */
void faasin_extents_own(struct faasin_window *win, struct faasin_extent **e, u32 n,
			struct faasin_handle *h)
{
	u32 i;

	mutex_lock(&win->lock);
	for (i = 0; i < n; i++)
		faasin_extent_give(win, e[i], h);
	mutex_unlock(&win->lock);
}

/**
 * faasin_extents_leave() - free all that an open file owns
 * @win: window
 * @h: open file without descriptors and mappings: nobody else looks at its list
 */
void faasin_extents_leave(struct faasin_window *win, struct faasin_handle *h)
{
	struct faasin_extent *e;
	int n;

	while (!list_empty(&h->extents)) {
		mutex_lock(&win->lock);
		for (n = 0; n < FAASIN_LEAVE_BATCH && !list_empty(&h->extents); n++) {
			e = list_first_entry(&h->extents, struct faasin_extent, entry);
			faasin_extent_give(win, e, NULL);
			extent_remove(win, e);
			kvfree(e);
		}
		mutex_unlock(&win->lock);
		cond_resched();
	}
}

static void window_set_size(struct faasin_window *win, u64 capacity, u32 block_size)
{
	unsigned int large = min_t(unsigned int, PMD_ORDER, get_order(FAASIN_CHUNK_MAX));
	u32 pages = capacity >> PAGE_SHIFT;

	WRITE_ONCE(win->nr_pages, pages - 1);
	WRITE_ONCE(win->chunk_shift, pages >= FAASIN_LARGE_CHUNKS_MIN << large ?
		   large : get_order(block_size));
}

/**
 * faasin_window_create() - a window without memory
 * @win: zeroed but for its lock
 * @pool: has its capacity
 */
void faasin_window_create(struct faasin_window *win, struct faasin_pool *pool)
{
	win->pool = pool;
	win->extents = RB_ROOT;
	window_set_size(win, pool->capacity, pool->block_size);
}

static bool window_counted(const struct faasin_window *win)
{
	return win->counted[FAASIN_DIRECTION_IN] || win->counted[FAASIN_DIRECTION_OUT];
}

/**
 * faasin_window_resize() - a window for another capacity
 * @win: window; its pool's mutex and rd.mutex held
 * @capacity: bytes
 * @block_size: what the pool's blocks will have
 *
 * Return: false, and nothing was done, if somebody has a window or an extent: what they know of
 * the window stays as it is.
 */
bool faasin_window_resize(struct faasin_window *win, u64 capacity, u32 block_size)
{
	struct faasin_chunk *chunks = NULL;
	unsigned long *used = NULL;
	bool idle;

	lockdep_assert_held(win->pool->mutex);
	mutex_lock(&win->lock);
	idle = RB_EMPTY_ROOT(&win->extents) && !window_counted(win);
	mutex_unlock(&win->lock);
	if (!idle)
		return false;
	/* None can be allocated meanwhile, so that no chunk has memory afterwards. */
	faasin_window_trim(win, ULONG_MAX, false);

	mutex_lock(&win->lock);
	/* Somebody may have come meanwhile. */
	idle = !window_counted(win);
	if (idle) {
		swap(chunks, win->chunks);
		swap(used, win->used);
		window_set_size(win, capacity, block_size);
	}
	mutex_unlock(&win->lock);
	kvfree(chunks);
	kvfree(used);
	return idle;
}

/**
 * faasin_window_destroy() - free its tables
 * @win: window without extents, trimmed
 */
void faasin_window_destroy(struct faasin_window *win)
{
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&win->extents));
	kvfree(win->chunks);
	kvfree(win->used);
}
