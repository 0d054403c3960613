/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool of blocks of one channel: allocated and charged once, recycled
 * within the channel, given back when it is idle or memory is short.
 *
 * pool->mutex (the channel's wr.mutex) guards taking, changes of the pool's size and of its
 * capacity. Putting a block back needs no lock: that is the consumer's part.
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
 * @free: in the list of empty blocks
 * @page: head page
 * @size: bytes
 */
struct faasin_block {
	struct llist_node free;
	struct page *page;
	u32 size;
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
 * @held: bytes of blocks that are out, whole
 * @bytes: of all blocks; @mutex and @size_lock
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
	u64 bytes;
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
struct faasin_block *faasin_pool_take(struct faasin_pool *pool);
void faasin_pool_put(struct faasin_pool *pool, struct faasin_block *b);
struct page *faasin_pool_pages(struct faasin_pool *pool, unsigned int order);
void faasin_pool_pages_free(struct faasin_pool *pool, struct page *page, unsigned int order);
void faasin_pool_idle(long pages);
struct page *faasin_pool_landing(struct faasin_pool *pool, unsigned int *order);
void faasin_pool_landing_free(struct faasin_pool *pool, struct page *page, unsigned int order);
unsigned long faasin_pool_trim(struct faasin_pool *pool, unsigned long pages, bool nowait);
void faasin_pool_size(struct faasin_pool *pool, u64 *bytes, u64 *kib_ms);

/* Bytes that may still be taken, counted in whole blocks. */
static inline u64 faasin_pool_room(struct faasin_pool *pool)
{
	u64 capacity = READ_ONCE(pool->capacity), held = atomic64_read(&pool->held);

	return capacity > held ? capacity - held : 0;
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

int faasin_pool_init(void);
void faasin_pool_exit(void);

#endif /* _FAASIN_POOL_H */
