/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Windows: a channel's memory as processes map it, and who owns which part.
 *
 * A window has a page for each page of the capacity but the reserved one (pool.h),
 * each at one offset for good. Pages are had by the chunk, on the pool's account: a
 * chunk of which anything is allocated counts as held, whole; others are idle, and are
 * given back when the pool is trimmed.
 *
 * An extent is a run of pages that has one owner: the open file that allocated it,
 * the ring (no owner), the open file that took it. Only its owner's mappings can show
 * it: a fault looks at the owner and inserts the entries under @lock, and whoever
 * takes an extent away from its owner changes @owner under @lock, then unmaps it,
 * and only then passes it on. Whoever gives it to an owner touches it no more:
 * another thread may pass it on at once. All entries are special, so nobody can pin what they
 * show. An extent that the ring has is a block without a page of its own.
 *
 * A window of a trusted link shows all memory that any extent ever had, whoever owns it:
 * owners say there who may pass an extent on, and nothing about who sees it. So whoever
 * passes one on unmaps nothing, and a fault shows whole chunks. Memory goes, when the
 * window is trimmed, after it was said under @lock that faults show it no more (@shown),
 * and then unmapped; and it is not idle before no extent is made of it. The shrinker, which
 * waits for nobody, leaves it to the idle work where anything is mapped.
 *
 * Lock: lock nests in wr.mutex and rd.mutex (channel.h), and in mmap_lock, since
 * faults and mmap() take it. Those two mutexes are held while user memory is
 * touched, so mmap_lock nests in them: neither faults nor mmap() may take them. Under
 * @lock, nothing is allocated, no user memory is touched and nobody is waited for, so
 * that neither side can hold up the other, and no more is done than a bounded number
 * of extents, or a page table, ask for. No mapping's own lock (i_mmap_rwsem) is taken under it.
 * Unmapping takes that, and time with the number of mappings, which is bounded: it is done in
 * wr.mutex (SEND; memory of a trusted link that goes), and rd.mutex too (the idle work, a new
 * capacity), or in no lock of the module's at all (RETURN; windows of who was replaced), never in
 * faasin_tree_sem, nor by the shrinker.
 */
#ifndef _FAASIN_WINDOW_H
#define _FAASIN_WINDOW_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/uio.h>

#include "pool.h"
#include "uapi/faasin.h"

struct faasin_channel;
struct faasin_handle;
struct file;
struct inode;
struct page;
struct vm_area_struct;

/**
 * struct faasin_chunk - memory of a part of a window
 * @page: a compound page of all of it, or NULL; the pool's mutex; constant while @used
 * @pages: instead, where there was none so large: single pages, or NULL; likewise
 * @used: pages that are allocated; window->lock
 * @shown: of a trusted link: faults may show it; set once it has its memory; window->lock
 */
struct faasin_chunk {
	struct page *page;
	struct page **pages;
	u32 used;
	bool shown;
};

/**
 * struct faasin_extent - pages with one owner
 * @block: as the ring sees it: no page; @size: bytes that were sent
 * @node: by @first; window->lock
 * @first: its first page; constant
 * @nr: how many; constant
 * @owner: the open file that may pass it on, and, of a sealed link, whose mappings alone may
 *	show it; NULL: the ring, or it is being passed on; window->lock
 * @entry: in its owner's list; window->lock
 * @last: of its record; constant once it is queued
 * @lane: number of the lane that it was last sent by, or 0; window->lock
 */
struct faasin_extent {
	struct faasin_block block;
	struct rb_node node;
	u32 first;
	u32 nr;
	struct faasin_handle *owner;
	struct list_head entry;
	bool last;
	u32 lane;
};

/**
 * struct faasin_window - the memory of a channel that can be mapped
 * @lock: see above
 * @pool: pays; constant
 * @nr_pages: constant while anybody has an extent or is @counted; else changes under the
 *	pool's mutex, rd.mutex and @lock
 * @chunk_shift: a chunk has 1 << @chunk_shift pages, the last one maybe fewer; likewise
 * @trusted: see above; constant once the link is made
 * @inodes: which open files that are @counted have mapped it by, by direction; valid while
 *	there are such; NULL: none has; @lock
 * @unmapping: unmappings by @inodes that go on, by direction; begun under @lock; the last that
 *	is @counted waits for them, so that there are the inode and its superblock
 * @mappings: how many there are, at most about FAASIN_MAPPINGS_MAX; none is ever begun but in
 *	mmap(), or by splitting one. While there is none, nothing shows any memory, and none
 *	comes to but by a fault, which takes @lock
 * @pressed: the machine is short of memory, and the shrinker left some because of mappings
 * @chunks: NULL until something was allocated; set under the pool's mutex and @lock
 * @used: bitmap of allocated pages, likewise; pages are marked in the pool's mutex, too
 * @extents: by their first page; @lock
 * @counted: open files that may have memory mapped or landed, by direction; those of all links are
 *	counted in their workflow, too; @lock
 * @turn: counts times that room was made for somebody who found none; @lock
 * @wanted: somebody found no room, or no memory; @lock
 * @starved: there was room, but no memory for it, since the last turn; @lock
 */
struct faasin_window {
	struct mutex lock;		/* see above */
	struct faasin_pool *pool;
	u32 nr_pages;
	unsigned int chunk_shift;
	bool trusted;
	struct inode *inodes[2];
	atomic_t unmapping[2];
	atomic_t mappings;
	bool pressed;
	struct faasin_chunk *chunks;
	unsigned long *used;
	struct rb_root extents;
	unsigned int counted[2];
	u64 turn;
	bool wanted;
	bool starved;
};

/* A block of the ring is the pool's, or an extent's. */
static inline struct faasin_extent *faasin_extent_of(struct faasin_block *b)
{
	return b->page ? NULL : container_of(b, struct faasin_extent, block);
}

static inline u64 faasin_extent_offset(const struct faasin_extent *e)
{
	return (u64)e->first << PAGE_SHIFT;
}

/* extent.c */
void faasin_window_create(struct faasin_window *win, struct faasin_pool *pool);
void faasin_window_destroy(struct faasin_window *win);
bool faasin_window_resize(struct faasin_window *win, u64 capacity, u32 block_size);
unsigned long faasin_window_trim(struct faasin_window *win, unsigned long pages, bool nowait);
struct page *faasin_window_page(const struct faasin_window *win, u32 n);
bool faasin_window_shows(const struct faasin_window *win, u32 page, u32 *first, u32 *nr);
struct faasin_extent *faasin_extent_alloc(struct faasin_window *win, u32 nr, u64 *turn);
void faasin_extent_free(struct faasin_window *win, struct faasin_extent *e);
struct faasin_extent *faasin_extent_at(const struct faasin_window *win, u32 page);
size_t faasin_extent_copy_out(struct faasin_window *win, const struct faasin_extent *e,
			      u32 offset, size_t n, struct iov_iter *to);
void faasin_extent_give(struct faasin_window *win, struct faasin_extent *e,
			struct faasin_handle *h);
void faasin_extents_own(struct faasin_window *win, struct faasin_extent **e, u32 n,
			struct faasin_handle *h);
void faasin_extents_leave(struct faasin_window *win, struct faasin_handle *h);

/* window.c */
long faasin_window_ioctl(struct file *file, unsigned int cmd, void __user *arg);
int faasin_window_count(struct faasin_handle *h);
int faasin_window_land(struct faasin_handle *h, size_t *n, void **to);
void faasin_window_turn(struct faasin_channel *ch);
bool faasin_window_waits(struct faasin_handle *h);
void faasin_window_leave(struct faasin_handle *h);

/* mapping.c */
struct inode *faasin_window_seen_by(struct faasin_window *win, enum faasin_direction direction);
void faasin_window_unmap(struct faasin_window *win, enum faasin_direction direction,
			 struct inode *inode, u32 first, u32 nr);
void faasin_window_await_unmapping(struct faasin_window *win, enum faasin_direction direction);
void faasin_window_revoke(struct faasin_channel *ch, enum faasin_direction direction);
int faasin_window_mmap(struct file *file, struct vm_area_struct *vma);

#endif /* _FAASIN_WINDOW_H */
