/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool of blocks of one channel: allocated and charged once, recycled
 * within the channel, given back when it is idle or memory is short.
 *
 * pool->mutex (the channel's wr.mutex) guards taking, changes of the pool's size and of its
 * capacity. Putting a block back needs no lock: that is the consumer's part.
 *
 * Pages of a block can be lent: somebody else (a pipe, or a socket that they went on
 * to) has references, holds them as long as it likes, and tells nobody when it lets
 * go. What was lent must not change, so such a block is not filled again before its
 * count of references says that the pool is the only one to have it. Until then it
 * is away: still charged, no part of what the capacity bounds, but bounded by as much
 * once more; beyond that nothing is lent. Blocks that were moved in are a page of
 * somebody else's, which the pool counts and never writes to; lent on, they are away
 * like others, so that who pays for them is owed for no more than that.
 *
 * What a block counts is the capacity that it takes up, which may be less than its
 * memory: a block that a moved page follows counts what is in it, so that no capacity is
 * lost. That is a page at least, so that there are enough slots in the ring, and lacks no
 * more than a page, which the moved one makes up for. So there can be a rest of the
 * capacity that is smaller than a page; one block at a time counts no more than that.
 *
 * What stats ask for is guarded by a spin lock besides: a mutex may be held across
 * a fault.
 * The shrinker's list has a mutex of its own, under which pool->mutex is only
 * ever tried for.
 */
#ifndef _FAASIN_POOL_H
#define _FAASIN_POOL_H

#include <linux/atomic.h>
#include <linux/llist.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct cgroup_subsys_state;
struct faasin_window;
struct page;

/**
 * struct faasin_block - a compound page
 * @free: in the list of empty blocks, of those that were put while lent, or of spare
 *	descriptors of moved pages
 * @entry: in the list of those that are away; pool->mutex
 * @page: head page
 * @size: bytes that it counts and that fit into it; all that it has while it is empty
 * @order: of its memory
 * @rest: it counts a rest of the capacity that is smaller than a page; pool->mutex, or
 *	who puts it
 * @lent: somebody else may have references to its pages; set in the channel's
 *	rd.mutex (of a trunk, in its lock), before the channel's @drained says that nothing
 *	of it is left to be read; cleared under pool->mutex, after that
 * @lent_or_rest: whether it is either, by one look
 * @fixed: the producer adds nothing to it: an extent's, or moved; constant
 * @moved: the page came by reference, with the only one there was; constant
 */
struct faasin_block {
	union {
		struct llist_node free;
		struct list_head entry;
	};
	struct page *page;
	u32 size;
	u8 order;
	bool fixed;
	bool moved;
	union {
		struct {
			bool rest;
			bool lent;
		};
		u16 lent_or_rest;
	};
};

/**
 * struct faasin_pool - blocks of one channel
 * @css: memory controller that pays, or NULL; constant
 * @mutex: see above; constant
 * @capacity: bytes that may be out at a time; those that are out already may be more
 *	for a while, once it was made smaller; @mutex, read by anyone
 * @block_size: of a new block, at most; likewise
 * @reserve: the block that is always there, taken last; constant
 * @free: empty blocks but @reserve: last in, first out, since it is still in
 *	the cache
 * @held: bytes that the blocks that are out count, those that were moved in included
 * @rest_out: a block that counts a rest is out; set under @mutex, cleared by putting,
 *	before @held
 * @spare: descriptors of pages that were moved in, for the next ones; taken under @mutex
 * @returned: blocks that were put while they were lent: not yet in @away
 * @away: of which somebody else may have pages, longest ago first; @mutex
 * @lent: memory of blocks that are lent, whole, wherever they are
 * @bytes: of all blocks but those in @away; @mutex and @size_lock
 * @away_bytes: of those, but for pages that were moved in; @mutex and @size_lock
 * @landings: bytes that inputs have beside the capacity; @size_lock
 * @reserved: @reserve is not out; set by putting (release), cleared under @mutex
 * @starved: there is room, but no block could be had for it; cleared by putting
 * @gone: growing was refused since the cgroup that pays was removed; @mutex
 * @window: has idle memory, too, on the pool's account; constant
 * @entry: in the shrinker's list
 * @size_lock: see above
 * @resized_ms: when either last changed; @size_lock
 * @kib_ms: KiB times milliseconds until then; @size_lock
 */
struct faasin_pool {
	struct cgroup_subsys_state *css;
	struct mutex *mutex;		/* the channel's wr.mutex */
	u64 capacity;
	u32 block_size;
	struct faasin_block *reserve;
	struct llist_head free;
	atomic64_t held;
	bool rest_out;
	struct llist_head spare;
	struct llist_head returned;
	struct list_head away;
	atomic64_t lent;
	u64 bytes;
	u64 away_bytes;
	u64 landings;
	bool reserved;
	bool starved;
	bool gone;
	struct faasin_window *window;
	struct list_head entry;
	spinlock_t size_lock;		/* see above */
	u64 resized_ms;
	u64 kib_ms;
};

int faasin_pool_create(struct faasin_pool *pool, struct cgroup_subsys_state *css,
		       u64 capacity, struct mutex *mutex, struct faasin_window *window);
void faasin_pool_destroy(struct faasin_pool *pool);
bool faasin_pool_set_capacity(struct faasin_pool *pool, u64 capacity);
struct faasin_block *faasin_pool_take(struct faasin_pool *pool, u32 most);
void faasin_pool_reopen(struct faasin_pool *pool, struct faasin_block *b);
void faasin_pool_put(struct faasin_pool *pool, struct faasin_block *b);
void faasin_pool_put_uncounted(struct faasin_pool *pool, struct faasin_block *b);
struct faasin_block *faasin_pool_moved(struct faasin_pool *pool, struct page *page);
bool faasin_pool_lend(struct faasin_pool *pool, struct faasin_block *b);
bool faasin_pool_is_back(struct faasin_pool *pool, struct faasin_block *b);
bool faasin_pool_has_away(const struct faasin_pool *pool);
void faasin_pool_recover(struct faasin_pool *pool, unsigned long max);
struct page *faasin_pool_pages(struct faasin_pool *pool, unsigned int order);
void faasin_pool_pages_free(struct faasin_pool *pool, struct page *page, unsigned int order);
void faasin_pool_idle(long pages);
bool faasin_pool_payer_has_room(const struct faasin_pool *pool, u32 size);
struct page *faasin_pool_landing(struct faasin_pool *pool, unsigned int *order);
void faasin_pool_landing_free(struct faasin_pool *pool, struct page *page, unsigned int order);
unsigned long faasin_pool_trim(struct faasin_pool *pool, unsigned long pages, bool nowait);
void faasin_pool_size(struct faasin_pool *pool, u64 *bytes, u64 *kib_ms);

/* Bytes that blocks may be taken for. */
static inline u64 faasin_pool_room(struct faasin_pool *pool)
{
	u64 capacity = READ_ONCE(pool->capacity);
	/* Pairs with faasin_pool_put(): the consumer has done with the segment, too. */
	u64 held = atomic64_read_acquire(&pool->held);
	u64 room = capacity > held ? capacity - held : 0;

	return unlikely(room < PAGE_SIZE && READ_ONCE(pool->rest_out)) ? 0 : room;
}

/* The pages that may be moved in, if @idle bytes of what is out are given up for it. */
static inline u64 faasin_pool_room_for_pages(struct faasin_pool *pool, u32 idle)
{
	/* As faasin_pool_room(). */
	u64 held = atomic64_read_acquire(&pool->held) - idle;

	return pool->capacity > held ? (pool->capacity - held) >> PAGE_SHIFT : 0;
}

static inline u32 faasin_block_memory(const struct faasin_block *b)
{
	return PAGE_SIZE << b->order;
}

/* The same for a window, which cannot have the reserve. */
static inline u64 faasin_pool_room_beside_reserve(struct faasin_pool *pool)
{
	/* Before @reserved: pairs with faasin_pool_put(). */
	u64 held = atomic64_read_acquire(&pool->held);

	if (READ_ONCE(pool->reserved))
		held += PAGE_SIZE;
	return pool->capacity > held ? pool->capacity - held : 0;
}

/* May a block of @size bytes of memory be lent beside those that are? */
static inline bool faasin_pool_can_lend(struct faasin_pool *pool, u32 size)
{
	return (u64)atomic64_read(&pool->lent) + size <= pool->capacity;
}

int faasin_pool_init(void);
void faasin_pool_exit(void);

#endif /* _FAASIN_POOL_H */
