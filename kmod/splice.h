/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages from pipes into a channel, and from a channel into pipes.
 *
 * Whole pages go by reference, all else is copied.
 *
 * Into a pipe: a page of a block that is filled, or one that was moved in. The pipe's
 * buffer has the kernel's own operations and a reference of its own, so nothing of it
 * points into the module. What becomes of the block: pool.h. Pages of a window have
 * one place in it for good, so they are copied, as are those of the reserve.
 *
 * Out of a pipe: a page that the pipe's buffer fills, that write() made or that was a
 * gift, is not part of a larger one, and has no user but that buffer: no other
 * reference, no mapping, no file. Whatever somebody may still change or look at is
 * copied: what is in the page cache, in an address space (vmsplice() without a gift, or
 * with one that was kept), on its way in a socket, in two pipes, or of a driver that
 * counts no references. Who was charged for a page goes on to be. What lies between two
 * parts that are copied is, too, where moving it would cost room (pool.h).
 *
 * Locks: the lock of the other pipe is the outermost one. Under it the channel's
 * mutexes are only tried for, and nobody waits for bytes, for room or for those
 * mutexes: whoever has to lets go of the pipe first and looks at it anew. What must be
 * waited for under it, as everywhere in the kernel, is memory, and that pages of files
 * are read; the latter without any lock of the channel's. Whoever waited for a mutex keeps
 * it and tries for the pipe, so that others who are busy cannot keep it from its turn.
 */
#ifndef _FAASIN_SPLICE_H
#define _FAASIN_SPLICE_H

#include <linux/types.h>

struct faasin_handle;
struct pipe_inode_info;

ssize_t faasin_splice_in(struct faasin_handle *h, struct pipe_inode_info *pipe, size_t len,
			 unsigned int flags, bool nonblock);
ssize_t faasin_splice_out(struct faasin_handle *h, struct pipe_inode_info *pipe, size_t len,
			  unsigned int flags, bool nonblock);

#endif /* _FAASIN_SPLICE_H */
