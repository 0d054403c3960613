// SPDX-License-Identifier: GPL-2.0
/*
 * Pages from pipes into a channel, and from a channel into pipes. splice.h has the
 * rules.
 */
#include <linux/bvec.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "inbox.h"
#include "lane.h"
#include "limits.h"
#include "merge.h"
#include "ring.h"
#include "splice.h"
#include "trace.h"
#include "trunk.h"

static struct pipe_buffer *buffer_at(const struct pipe_inode_info *pipe, unsigned int slot)
{
	return &pipe->bufs[slot & (pipe->ring_size - 1)];
}

/* pipe_lock(), but without waiting: pipes that are in no file (sendfile() has one) need none. */
static bool pipe_trylock(struct pipe_inode_info *pipe)
{
	return !pipe->files || mutex_trylock(&pipe->mutex);
}

static bool pipe_has_bytes(const struct pipe_inode_info *pipe)
{
	return !pipe_empty(READ_ONCE(pipe->head), READ_ONCE(pipe->tail));
}

static bool pipe_has_room(const struct pipe_inode_info *pipe)
{
	return !pipe_full(READ_ONCE(pipe->head), READ_ONCE(pipe->tail),
			  READ_ONCE(pipe->max_usage));
}

/* -------------------------------------------------------------- out of a pipe */

/* Take the first @n bytes off a pipe. */
static void pipe_consume(struct pipe_inode_info *pipe, size_t n)
{
	struct pipe_buffer *buf;
	size_t part;

	while (n) {
		buf = buffer_at(pipe, pipe->tail);
		part = min_t(size_t, n, buf->len);
		buf->offset += part;
		buf->len -= part;
		n -= part;
		if (!buf->len) {
			pipe_buf_release(pipe, buf);
			pipe->tail++;
		}
	}
}

/* Room was made in a pipe. */
static void pipe_wake_writers(struct pipe_inode_info *pipe)
{
	if (wq_has_sleeper(&pipe->wr_wait))
		wake_up_interruptible(&pipe->wr_wait);
	kill_fasync(&pipe->fasync_writers, SIGIO, POLL_OUT);
}

/*
 * A write() that failed leaves buffers without bytes behind: they take up room that others
 * may be waiting for.
 */
static void pipe_drop_empty(struct pipe_inode_info *pipe)
{
	unsigned int tail = pipe->tail;

	while (pipe_has_bytes(pipe) && !buffer_at(pipe, pipe->tail)->len) {
		pipe_buf_release(pipe, buffer_at(pipe, pipe->tail));
		pipe->tail++;
	}
	if (pipe->tail != tail)
		pipe_wake_writers(pipe);
}

/*
 * Wait for the first bytes of a pipe, which is locked: 1 there are some, 0 there are
 * none, and it was enough (@some) or there will be no more; or an error.
 */
static int pipe_wait_for_bytes(struct pipe_inode_info *pipe, bool some, unsigned int flags)
{
	for (;;) {
		pipe_drop_empty(pipe);
		/* Before the bytes: who always finds some can be killed, too. */
		if (signal_pending(current))
			return -ERESTARTSYS;
		if (pipe_has_bytes(pipe))
			return 1;
		if (some || !pipe->writers)
			return 0;
		if (flags & SPLICE_F_NONBLOCK)
			return -EAGAIN;
		pipe_unlock(pipe);
		/* What a signal leaves is seen above. */
		(void)wait_event_interruptible(pipe->rd_wait, pipe_has_bytes(pipe) ||
					       !READ_ONCE(pipe->writers));
		pipe_lock(pipe);
	}
}

/*
 * Could a buffer's page be had: is it filled, and has nobody else a reference? Those
 * come from references only, and whoever could make one of this buffer's waits for
 * the pipe's lock. Of other buffers than these, nobody need count what is done to
 * their pages; relay is such a one.
 */
static bool page_alone(const struct pipe_buffer *buf)
{
	const unsigned int counted = PIPE_BUF_FLAG_CAN_MERGE | PIPE_BUF_FLAG_PACKET |
				     PIPE_BUF_FLAG_GIFT;
	struct page *page = buf->page;

	return (buf->flags & counted) && buf->len == PAGE_SIZE && !buf->offset &&
	       buf->ops->try_steal && page_count(page) == 1 && !PageCompound(page) &&
	       !PageHighMem(page);
}

/* Can a confirmed buffer's page be taken over, whole? Nothing but a flag of it changes. */
static bool page_steal(struct pipe_inode_info *pipe, struct pipe_buffer *buf)
{
	struct page *page = buf->page;

	/* In a file, or in one until now; the page of many that are the same. */
	if ((page->mapping && !PageAnon(page)) || PageKsm(page) || page_mapped(page))
		return false;
	/*
	 * A page that was made for write() can be had by whoever has the only
	 * reference. Asking for it would take it off the account of who pays.
	 */
	if (!(buf->flags & PIPE_BUF_FLAG_GIFT) && folio_memcg_kmem(page_folio(page)))
		return true;
	if (!pipe_buf_try_steal(pipe, buf))
		return false;
	unlock_page(page);
	return page_count(page) == 1;
}

/* A block of a buffer's page, with a reference, or NULL: then it has to be copied. */
static struct faasin_block *page_take(struct faasin_channel *ch, struct pipe_inode_info *pipe,
				      struct pipe_buffer *buf)
{
	struct faasin_block *b;

	if (!page_alone(buf) || !page_steal(pipe, buf))
		return NULL;
	b = faasin_pool_moved(&ch->pool, buf->page);
	if (b)
		get_page(buf->page);
	return b;
}

/**
 * struct batch - what of a pipe is to go into a channel together
 * @pipe: the pipe, locked
 * @bv: room for copying
 * @nr: buffers, at most
 * @bytes: how much of it
 * @whole: all or none of it
 */
struct batch {
	struct pipe_inode_info *pipe;
	struct bio_vec *bv;
	unsigned int nr;
	size_t bytes;
	bool whole;
};

/* Without waiting, if that is not to be: -EAGAIN. */
static int buffer_confirm(struct pipe_inode_info *pipe, struct pipe_buffer *buf, bool nowait)
{
	if (nowait && buf->ops->confirm && !PageUptodate(buf->page))
		return -EAGAIN;
	return pipe_buf_confirm(pipe, buf);
}

/* Sizes up what is there, and waits until it is what it should be. An error if nothing is. */
static int batch_confirm(struct batch *batch, size_t len, bool nowait)
{
	struct pipe_inode_info *pipe = batch->pipe;
	unsigned int tail, n = 0;
	struct pipe_buffer *buf;
	int err;

	batch->bytes = 0;
	for (tail = pipe->tail; tail != pipe->head && n < batch->nr && batch->bytes < len; tail++) {
		buf = buffer_at(pipe, tail);
		if (!buf->len)
			continue;
		err = buffer_confirm(pipe, buf, nowait);
		if (err && !batch->bytes)
			return err;
		if (err)
			break;
		batch->bytes += min_t(size_t, buf->len, len - batch->bytes);
		n++;
	}
	batch->whole = batch->bytes <= PIPE_BUF;
	return 0;
}

/*
 * In wr.mutex: pages at the front of a pipe, by reference: how many bytes, 0 if there are
 * none or it would cost room, or an error.
 */
static ssize_t batch_move(const struct faasin_handle *h, const struct batch *batch, size_t bytes)
{
	struct faasin_block *blocks[FAASIN_MOVE_BATCH];
	struct pipe_inode_info *pipe = batch->pipe;
	struct faasin_channel *ch = h->channel;
	unsigned int n = 0, max;
	int err;

	if (bytes < PAGE_SIZE || !page_alone(buffer_at(pipe, pipe->tail)))
		return 0;
	max = min3(FAASIN_MOVE_BATCH, faasin_ring_pages(ch), (unsigned int)(bytes >> PAGE_SHIFT));
	while (n < max && pipe->tail + n != pipe->head) {
		blocks[n] = page_take(ch, pipe, buffer_at(pipe, pipe->tail + n));
		if (!blocks[n])
			break;
		n++;
	}
	if (!n)
		return 0;
	/* Of what was moved, descriptors are left. */
	faasin_channel_idle_later(ch);
	err = faasin_ring_move(h, blocks, n);
	if (!err) {
		/* The pipe's references; the ring has those of page_take(). */
		pipe_consume(pipe, (size_t)n << PAGE_SHIFT);
		return (ssize_t)n << PAGE_SHIFT;
	}
	while (n--)
		faasin_pool_put_uncounted(&ch->pool, blocks[n]);
	return err;
}

/*
 * In wr.mutex: bytes at the front of a pipe, by copying, up to the next page that may
 * be moved: how many, 0 if there is no room, or an error.
 */
static ssize_t batch_copy(const struct faasin_handle *h, const struct batch *batch, size_t bytes)
{
	struct pipe_inode_info *pipe = batch->pipe;
	unsigned int tail, n = 0;
	struct pipe_buffer *buf;
	struct iov_iter from;
	size_t len = 0;
	ssize_t done;

	for (tail = pipe->tail; tail != pipe->head && n < batch->nr && len < bytes; tail++) {
		buf = buffer_at(pipe, tail);
		if (!buf->len)
			continue;
		if (n && !batch->whole && page_alone(buf) && faasin_ring_closes(h->channel, len))
			break;
		batch->bv[n].bv_page = buf->page;
		batch->bv[n].bv_offset = buf->offset;
		batch->bv[n].bv_len = min_t(size_t, buf->len, bytes - len);
		len += batch->bv[n++].bv_len;
	}
	iov_iter_bvec(&from, WRITE, batch->bv, n, len);
	done = faasin_ring_fill(h, &from, batch->whole);
	if (done > 0)
		pipe_consume(pipe, done);
	return done;
}

/* In wr.mutex: what is there, as far as there is room: bytes, 0 for none, or an error. */
static ssize_t batch_pass(const struct faasin_handle *h, const struct batch *batch)
{
	struct faasin_channel *ch = h->channel;
	size_t done = 0;
	ssize_t n;

	while (done < batch->bytes) {
		n = batch_move(h, batch, batch->bytes - done);
		if (!n)
			n = batch_copy(h, batch, batch->bytes - done);
		if (n == -EPIPE && faasin_stream_swallow(ch, h->stream, batch->bytes - done)) {
			n = batch->bytes - done;
			pipe_consume(batch->pipe, n);
		}
		if (n <= 0)
			return done ?: n;
		done += n;
	}
	return done;
}

/* In wr.mutex, with the pipe: as batch_pass(), of which @some says that it is not the first. */
static ssize_t batch_in(struct faasin_handle *h, const struct batch *batch, bool some)
{
	struct faasin_channel *ch = h->channel;
	ssize_t n;

	faasin_side_user(ch, &ch->wr);
	faasin_lane_retire(ch);
	n = batch_pass(h, batch);
	if (n > 0 && !some)
		faasin_side_count(&ch->wr.calls);
	return n;
}

/*
 * What the pipe has, of up to @len bytes: how many went in; 0 if there was no room for
 * them (@batch says for how many), or none came; or an error, of which -EBUSY says that
 * somebody else writes.
 */
static ssize_t pipe_pass(struct faasin_handle *h, struct batch *batch, size_t len, bool some,
			 unsigned int flags)
{
	struct faasin_channel *ch = h->channel;
	ssize_t n;

	pipe_lock(batch->pipe);
	batch->bytes = 0;
	n = pipe_wait_for_bytes(batch->pipe, some, flags);
	if (n > 0)
		n = batch_confirm(batch, len, false);
	/* What is gone from a file by now is no data. */
	if (n == -ENODATA)
		n = 0;
	/* Who finds nothing to write is none of the writers. */
	if (!n && batch->bytes)
		n = faasin_ring_writer(h);
	if (!n && batch->bytes) {
		n = -EBUSY;
		if (mutex_trylock(&ch->wr.mutex)) {
			n = batch_in(h, batch, some);
			mutex_unlock(&ch->wr.mutex);
		}
	}
	pipe_unlock(batch->pipe);
	if (n > 0)
		pipe_wake_writers(batch->pipe);
	return n;
}

/*
 * The same after others wrote: they are waited for without the pipe, which is then only
 * tried for, so that it is this one's turn. -EBUSY: all has to be looked at anew.
 */
static ssize_t pipe_pass_in_turn(struct faasin_handle *h, struct batch *batch, size_t len,
				 bool some)
{
	struct faasin_channel *ch = h->channel;
	ssize_t n;

	n = faasin_side_lock(&ch->wr, false);
	if (n)
		return n;
	n = -EBUSY;
	if (pipe_trylock(batch->pipe)) {
		if (!batch_confirm(batch, len, true) && batch->bytes)
			n = batch_in(h, batch, some);
		pipe_unlock(batch->pipe);
	}
	mutex_unlock(&ch->wr.mutex);
	if (n > 0)
		pipe_wake_writers(batch->pipe);
	return n;
}

/* Without the pipe: wait for room for @need bytes. */
static int wait_for_room(const struct faasin_handle *h, size_t need)
{
	struct faasin_channel *ch = h->channel;
	int err = faasin_side_lock(&ch->wr, false);

	if (!err)
		err = faasin_ring_wait_for_room(h, need);
	if (!err)
		mutex_unlock(&ch->wr.mutex);
	return err;
}

/* As faasin_splice_in(); @done counts what went in even so. */
static int splice_in(struct faasin_handle *h, struct batch *batch, size_t len,
		     unsigned int flags, bool nonblock, size_t *done)
{
	struct faasin_channel *ch = h->channel;
	bool again = false;
	ssize_t n;

	while (*done < len) {
		n = pipe_pass(h, batch, len - *done, *done, flags);
		if (n == -EBUSY)
			n = pipe_pass_in_turn(h, batch, len - *done, *done);
		if (n == -EBUSY)
			continue;
		if (n > 0) {
			*done += n;
			again = false;
			continue;
		}
		if (!n && !batch->bytes)
			return 0;
		if (!n && nonblock) {
			/* Tried again so that the pollers' mark is set first. */
			if (again || !faasin_channel_has_room(ch, PIPE_BUF))
				return -EAGAIN;
			again = true;
		} else if (!n) {
			n = wait_for_room(h, batch->whole ? batch->bytes : 1);
		}
		if (n)
			return n;
	}
	return 0;
}

/**
 * faasin_splice_in() - bytes from a pipe
 * @h: an output's open file
 * @pipe: the pipe, not locked
 * @len: how many bytes, at most
 * @flags: SPLICE_F_NONBLOCK: do not wait for bytes
 * @nonblock: do not wait for room
 *
 * Up to PIPE_BUF bytes that the pipe has at a time go in together.
 *
 * Return: bytes, 0 if the pipe has none and no writer, or as faasin_channel_write();
 * -ENOMEM also if there is no memory for the call; -EINVAL if the link has records.
 */
ssize_t faasin_splice_in(struct faasin_handle *h, struct pipe_inode_info *pipe, size_t len,
			 unsigned int flags, bool nonblock)
{
	/* As many as there can be of what goes in together. */
	struct batch batch = { .pipe = pipe, .nr = min(READ_ONCE(pipe->max_usage), PIPE_BUF) };
	size_t done = 0;
	int err;

	if (faasin_handle_replaced(h))
		return -ESTALE;
	/* What a pipe has is no record, nor need all of it be there yet. */
	if (h->channel->records)
		return -EINVAL;
	batch.bv = kvmalloc_array(batch.nr, sizeof(*batch.bv), GFP_KERNEL_ACCOUNT);
	if (!batch.bv)
		return -ENOMEM;
	err = splice_in(h, &batch, len, flags, nonblock, &done);
	kvfree(batch.bv);
	if (done)
		trace_faasin_write(h->channel->generation, h->stream->number, done);
	if (err == -EPIPE)
		send_sig(SIGPIPE, current, 0);
	return done ?: err;
}

/* ---------------------------------------------------------------- into a pipe */

/* Wait for room in a pipe, which is locked: 0 or an error. */
static int pipe_wait_for_room(struct pipe_inode_info *pipe, unsigned int flags)
{
	int err = 0;

	for (;;) {
		if (!pipe->readers) {
			send_sig(SIGPIPE, current, 0);
			return -EPIPE;
		}
		if (pipe_has_room(pipe))
			return 0;
		if (err)
			return err;
		if (flags & SPLICE_F_NONBLOCK)
			return -EAGAIN;
		pipe_unlock(pipe);
		err = wait_event_interruptible(pipe->wr_wait, pipe_has_room(pipe) ||
					       !READ_ONCE(pipe->readers));
		pipe_lock(pipe);
	}
}

/* A page with a copy of the first @n bytes at @pos, on the account of who splices. */
static struct page *page_copy(struct faasin_channel *ch, const struct faasin_drain *d, u64 pos,
			      size_t n)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);
	struct iov_iter to;
	struct kvec kvec;

	if (!page)
		return NULL;
	kvec.iov_base = page_address(page);
	kvec.iov_len = n;
	iov_iter_kvec(&to, READ, &kvec, 1, n);
	faasin_ring_copy_out(ch, d, pos, &to);
	return page;
}

/**
 * struct giving - what goes into a pipe
 * @pipe: the pipe, locked
 * @moved: of a segment, bytes by reference
 * @looks: if the most is lent that may be, at how many blocks to look whether they are
 *	back: once a call, at one for each page that it may have room for
 */
struct giving {
	struct pipe_inode_info *pipe;
	size_t moved;
	unsigned int looks;
};

/* Of a trunk, several may give the same block away. */
static bool block_lend_once(struct faasin_channel *ch, struct faasin_channel *store,
			    struct faasin_block *b)
{
	bool lent;

	if (ch == store)
		return faasin_pool_lend(&store->pool, b);
	spin_lock(&store->lock);
	lent = faasin_pool_lend(&store->pool, b);
	spin_unlock(&store->lock);
	return lent;
}

/* In rd.mutex: may references to a block's pages be given away? */
static bool block_lend(struct faasin_channel *ch, struct faasin_block *b, struct giving *g)
{
	struct faasin_channel *store = faasin_channel_store(ch);
	unsigned int looks;

	if (!b->page)
		return false;
	if (block_lend_once(ch, store, b))
		return true;
	if (!g->looks || faasin_pool_can_lend(&store->pool, faasin_block_memory(b)) ||
	    !faasin_pool_has_away(&store->pool))
		return false;
	/* Some may be back, and the producer need not have looked. */
	looks = g->looks;
	g->looks = 0;
	if (!mutex_trylock(&store->wr.mutex))
		return false;
	faasin_pool_recover(&store->pool, looks);
	mutex_unlock(&store->wr.mutex);
	return block_lend_once(ch, store, b);
}

/*
 * In rd.mutex: what lies at @pos, up to the end of its page, into a pipe that has
 * room: bytes, or an error.
 */
static ssize_t part_give(struct faasin_channel *ch, const struct faasin_drain *d, u64 pos,
			 struct giving *g, size_t len)
{
	struct pipe_buffer buf = { .ops = &nosteal_pipe_buf_ops };
	struct faasin_block *b = d->segment->block;
	u32 at = pos - d->segment->begin;
	size_t by_reference = 0;
	ssize_t n;

	buf.len = min3(len, (size_t)(d->limit - pos), PAGE_SIZE - offset_in_page(at));
	if (buf.len == PAGE_SIZE && block_lend(ch, b, g)) {
		buf.page = b->page + (at >> PAGE_SHIFT);
		get_page(buf.page);
		by_reference = PAGE_SIZE;
	} else {
		buf.page = page_copy(ch, d, pos, buf.len);
		if (!buf.page)
			return -ENOMEM;
	}
	n = add_to_pipe(g->pipe, &buf);
	if (n > 0)
		g->moved += by_reference;
	return n;
}

/* In rd.mutex: what is there of one segment: bytes, or as faasin_ring_drain(). */
static ssize_t segment_give(struct faasin_channel *ch, struct faasin_session *ss,
			    struct giving *g, size_t len)
{
	struct faasin_drain d;
	size_t done = 0;
	ssize_t n;

	n = faasin_ring_drain(ch, ss, &d);
	if (n <= 0)
		return n;
	g->moved = 0;
	while (done < len && d.pos + done < d.limit && pipe_has_room(g->pipe)) {
		n = part_give(ch, &d, d.pos + done, g, len - done);
		if (n < 0)
			break;
		done += n;
	}
	faasin_ring_drained(ch, ss, &d, done, g->moved);
	return done ?: n;
}

/* In rd.mutex: what there is, into a pipe, which is locked and has room: as pipe_give(). */
static ssize_t pipe_give_of(struct faasin_channel *ch, struct faasin_session *ss,
			    struct pipe_inode_info *pipe, size_t len)
{
	struct giving g = {
		.pipe = pipe,
		.looks = min_t(unsigned int, READ_ONCE(pipe->max_usage), FAASIN_AWAY_TRIM),
	};
	size_t done = 0;
	ssize_t n = 0;

	faasin_side_user(ch, &ch->rd);
	while (done < len && pipe_has_room(pipe)) {
		n = segment_give(ch, ss, &g, len - done);
		if (n <= 0)
			break;
		done += n;
		if (faasin_record_over(ch))
			break;
	}
	if (done) {
		faasin_side_count(&ch->rd.calls);
		trace_faasin_consume(ch->generation, ss->stream->number, ch->tail, done);
	}
	return done ?: n;
}

/*
 * In rd.mutex, of which it lets go: what there is, into a pipe, which is locked and has
 * room: bytes, or as faasin_ring_drain().
 */
static ssize_t pipe_give(struct faasin_handle *h, struct pipe_inode_info *pipe, size_t len)
{
	ssize_t n = pipe_give_of(h->channel, h->session, pipe, len);

	faasin_ring_unlock_reader(h->channel);
	return n;
}

/*
 * Without the pipe: wait for other readers, and (@data) for bytes or the end of them. Holds
 * rd.mutex if 0 is returned.
 */
static int wait_for_turn(struct faasin_handle *h, bool data)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_drain d;
	int n;

	n = faasin_side_lock(&ch->rd, false);
	while (data && !n) {
		faasin_side_user(ch, &ch->rd);
		n = faasin_ring_drain(ch, h->session, &d);
		if (n > 0)
			faasin_ring_drained(ch, h->session, &d, 0, 0);
		/* What the end is, is found out again with the pipe. */
		if (n)
			return 0;
		n = faasin_ring_wait_for_data(ch, h->session);
	}
	return n;
}

/*
 * Into a pipe, which is locked, and let go of to wait: as pipe_give(), or -EBUSY if all has
 * to be looked at anew. The pipe is only tried for then, so that it is this one's turn.
 */
static ssize_t pipe_give_in_turn(struct faasin_handle *h, struct pipe_inode_info *pipe,
				 size_t len, bool data)
{
	struct faasin_channel *ch = h->channel;
	ssize_t n;

	pipe_unlock(pipe);
	n = wait_for_turn(h, data);
	if (n) {
		pipe_lock(pipe);
		return n;
	}
	if (!pipe_trylock(pipe)) {
		faasin_ring_unlock_reader(ch);
		pipe_lock(pipe);
		return -EBUSY;
	}
	if (pipe->readers && pipe_has_room(pipe))
		return pipe_give(h, pipe, len) ?: -EBUSY;
	faasin_ring_unlock_reader(ch);
	return -EBUSY;
}

/* A pipe, which is locked, is let go of until a stream begins: as faasin_inbox_wait(). */
static int pipe_wait_for_stream(struct faasin_handle *h, struct pipe_inode_info *pipe,
				bool nonblock)
{
	int ret;

	if (nonblock)
		return faasin_inbox_wait(h, true);
	pipe_unlock(pipe);
	ret = faasin_inbox_wait(h, false);
	pipe_lock(pipe);
	return ret;
}

/*
 * In inbox->reading, of which it lets go: as pipe_give(), of the part that faasin_merged_pick()
 * found.
 */
static ssize_t merged_give(struct faasin_handle *h, struct faasin_merged_part *p,
			   struct pipe_inode_info *pipe, size_t len)
{
	ssize_t n = pipe_give_of(p->channel, &p->session, pipe, len);

	if (n > 0)
		trace_faasin_read(p->channel->generation, p->session.stream->number, n);
	faasin_merged_gave(h, p, n > 0);
	mutex_unlock(&h->inbox->reading);
	/* It was ended, or paused, in between: that is found out again. */
	return n > 0 || n == -ENOMEM ? n : -EBUSY;
}

/* The same without waiting: 0 if there is nothing yet, -EBUSY if somebody else is at work. */
static ssize_t merged_try(struct faasin_handle *h, struct pipe_inode_info *pipe, size_t len)
{
	struct faasin_merged_part *p;
	int n;

	if (faasin_merged_lock(h, true))
		return -EBUSY;
	n = faasin_merged_pick(h, &p, true);
	if (n > 0)
		return merged_give(h, p, pipe, len);
	mutex_unlock(&h->inbox->reading);
	return n == -EAGAIN ? -EBUSY : n;
}

/*
 * Without the pipe: wait for other readers, and (@data) for a record or the end: 1, with
 * inbox->reading and rd.mutex of @p's channel held; or as faasin_merged_pick().
 */
static int merged_wait_for_turn(struct faasin_handle *h, struct faasin_merged_part **p, bool data)
{
	int n;

	do {
		n = faasin_merged_lock(h, false);
		if (n)
			return n;
		n = faasin_merged_pick(h, p, false);
		if (n > 0)
			return n;
		mutex_unlock(&h->inbox->reading);
		if (n || !data)
			return n;
		n = faasin_merged_wait(h);
	} while (!n);
	return n;
}

/* As pipe_give_in_turn(). */
static ssize_t merged_give_in_turn(struct faasin_handle *h, struct pipe_inode_info *pipe,
				   size_t len, bool data)
{
	struct faasin_merged_part *p;
	int n;

	pipe_unlock(pipe);
	n = merged_wait_for_turn(h, &p, data);
	if (n <= 0) {
		pipe_lock(pipe);
		return n;
	}
	if (pipe_trylock(pipe)) {
		if (pipe->readers && pipe_has_room(pipe))
			return merged_give(h, p, pipe, len);
		pipe_unlock(pipe);
	}
	faasin_merged_gave(h, p, false);
	mutex_unlock(&h->inbox->reading);
	pipe_lock(pipe);
	return -EBUSY;
}

/* faasin_splice_out() of an input that merges: a record, or as much of it as the pipe takes. */
static ssize_t merged_splice_out(struct faasin_handle *h, struct pipe_inode_info *pipe,
				 size_t len, unsigned int flags, bool nonblock)
{
	ssize_t n;

	for (;;) {
		n = pipe_wait_for_room(pipe, flags);
		if (n)
			return n;
		n = merged_try(h, pipe, len);
		if (!n && nonblock)
			return -EAGAIN;
		if (!n || n == -EBUSY)
			n = merged_give_in_turn(h, pipe, len, !nonblock);
		if (n && n != -EBUSY)
			return n == -ENODATA ? 0 : n;
		if (signal_pending(current))
			return -ERESTARTSYS;
	}
}

/**
 * faasin_splice_out() - bytes into a pipe
 * @h: an input's open file
 * @pipe: the pipe, locked, as it is on return; not so in between
 * @len: how many bytes, at most
 * @flags: SPLICE_F_NONBLOCK: do not wait for room in the pipe
 * @nonblock: do not wait for bytes
 *
 * Return: bytes, 0 at the end of the session's stream, or as faasin_channel_read();
 * -EPIPE if nobody reads the pipe, -ENOMEM if there is no memory for a copy.
 */
ssize_t faasin_splice_out(struct faasin_handle *h, struct pipe_inode_info *pipe, size_t len,
			  unsigned int flags, bool nonblock)
{
	ssize_t n;

	if (faasin_handle_merges(h))
		return merged_splice_out(h, pipe, len, flags, nonblock);
	for (;;) {
		n = pipe_wait_for_room(pipe, flags);
		if (n)
			return n;
		if (unlikely(!faasin_handle_bound(h))) {
			n = pipe_wait_for_stream(h, pipe, nonblock);
			if (n)
				return n;
			continue;
		}
		n = -EBUSY;
		if (mutex_trylock(&h->channel->rd.mutex))
			n = pipe_give(h, pipe, len);
		if (!n && nonblock)
			return -EAGAIN;
		if (!n || n == -EBUSY)
			n = pipe_give_in_turn(h, pipe, len, !n);
		if (n != -EBUSY)
			break;
		if (signal_pending(current))
			return -ERESTARTSYS;
	}
	if (n > 0)
		trace_faasin_read(h->channel->generation, h->session->stream->number, n);
	return n == -ENODATA ? 0 : n;
}
