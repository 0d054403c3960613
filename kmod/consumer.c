// SPDX-License-Identifier: GPL-2.0
/*
 * The consuming side of the ring: emptying it, waiting for bytes. channel.h has the
 * protocol.
 */
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "deal.h"
#include "inbox.h"
#include "lane.h"
#include "limits.h"
#include "ring.h"
#include "trace.h"
#include "trunk.h"

static u64 head_seen(struct faasin_channel *ch)
{
	/* Pairs with publish(): before looking at the bytes or their segments. */
	return smp_load_acquire(&ch->head);
}

/* @all: as far as is known, nothing is left. */
static void tail_set(struct faasin_channel *ch, u64 pos, bool all)
{
	/* Both: after the last look at what is given back. */
	smp_store_release(&ch->tail, pos);
	if (all)
		/* Pairs with ring_start_over(). */
		smp_store_release(&ch->drained, pos);
}

/*
 * Small runs go by the page, as in copy_in(), but only to user memory: into an
 * iterator over a pipe (6.1 has such), the page itself would go, unaccounted for.
 */
static __always_inline size_t pages_copy_out(const struct faasin_block *b, u32 offset, size_t n,
					     struct iov_iter *to)
{
	if (n <= PAGE_SIZE && user_backed_iter(to))
		return copy_page_to_iter(b->page, offset, n, to);
	return copy_to_iter(page_address(b->page) + offset, n, to);
}

static size_t copy_out(struct faasin_channel *ch, struct faasin_block *b, u32 offset, size_t n,
		       struct iov_iter *to)
{
	struct faasin_extent *e = faasin_extent_of(b);

	return e ? faasin_extent_copy_out(&faasin_channel_store(ch)->window, e, offset, n, to) :
		   pages_copy_out(b, offset, n, to);
}

/* Nothing in segment @i lies at @pos or behind, nor ever will. */
static bool segment_over(struct faasin_channel *ch, unsigned long i, u64 pos)
{
	struct faasin_segment *seg = &ch->ring[i & ch->ring_mask];

	if (i + 1 != ch->queued_known)
		return ch->ring[(i + 1) & ch->ring_mask].begin <= pos;
	/* The producer adds to the last block, unless it is fixed. */
	return seg->block->fixed && seg->begin + seg->block->size <= pos;
}

/* Segment @i is done with. */
static void segment_put(struct faasin_channel *ch, unsigned long i)
{
	struct faasin_block *b = ch->ring[i & ch->ring_mask].block;

	if (unlikely(faasin_extent_of(b))) {
		faasin_channel_idle_later(ch);
		/* A page each, of a whole window: it takes a while. */
		cond_resched();
	}
	faasin_ring_put(ch, b);
}

/*
 * The segment that holds the byte at @pos, among those that are known; what lies
 * before it is done with.
 */
static struct faasin_segment *segment_at(struct faasin_channel *ch, u64 pos, u64 *end)
{
	unsigned long i = ch->done;

	while (i != ch->queued_known && segment_over(ch, i, pos)) {
		/* Of a trunk, others may be still to read it. */
		if (likely(!ch->branch))
			segment_put(ch, i);
		i++;
	}
	ch->done = i;
	if (i != ch->queued_known && i + 1 != ch->queued_known)
		*end = min(*end, ch->ring[(i + 1) & ch->ring_mask].begin);
	return &ch->ring[i & ch->ring_mask];
}

/* Which segments there are. Asked after the position that they are to reach. */
static void look(struct faasin_channel *ch)
{
	/* Pairs with ring_append(). */
	ch->queued_known = smp_load_acquire(&ch->queued);
}

/* What a record takes is for each of them to look: the key is taken for the answer by some. */
static void pollers_wake(struct faasin_channel *ch)
{
	if (unlikely(ch->records))
		wake_up_interruptible_all(&faasin_channel_writers(ch)->poll);
	else
		faasin_pollers_wake(&ch->writers.poll, EPOLLOUT | EPOLLWRNORM);
}

/*
 * Room was made, which is when a block was given back or all was read, or the log of records has
 * some: tell a writer when half of it is free, pollers as soon as there is enough for them.
 */
static void wake_after_read(struct faasin_channel *ch)
{
	struct faasin_waiters *w = faasin_channel_writers(ch);
	bool sleeps, full, wakes, polls;
	u64 capacity, room;

	/* Room is made by the slowest. */
	if (unlikely(ch->branch)) {
		faasin_branch_passed(ch, false);
		return;
	}
	sleeps = wq_has_sleeper(&w->wait);

	/* Pairs with extent_reserve(); wq_has_sleeper() is a barrier. */
	if (unlikely(READ_ONCE(ch->window.wanted)))
		faasin_window_turn(ch);
	if (!sleeps && !READ_ONCE(ch->full)) {
		faasin_side_count(&ch->rd.wakes_avoided);
		return;
	}
	capacity = READ_ONCE(ch->pool.capacity);
	room = READ_ONCE(ch->head) == ch->tail ? capacity : faasin_pool_room(&ch->pool);
	wakes = sleeps && room >= capacity / 2 && !(ch->records && faasin_records_are_many(ch));
	full = READ_ONCE(ch->full);
	polls = full && faasin_ring_has_room(ch, PIPE_BUF);
	/* All who wait are told, and who is not content says again what for. */
	if (unlikely(READ_ONCE(ch->want)) && wakes == sleeps && polls == full)
		WRITE_ONCE(ch->want, 0);
	if (wakes) {
		faasin_side_count(&ch->rd.wakes);
		trace_faasin_wake(ch->generation, FAASIN_DIRECTION_OUT);
		wake_up_interruptible_poll(&w->wait, EPOLLOUT | EPOLLWRNORM);
	} else {
		faasin_side_count(&ch->rd.wakes_avoided);
	}
	if (polls) {
		WRITE_ONCE(ch->full, false);
		pollers_wake(ch);
	}
}

/**
 * faasin_ring_pass() - all readers of a trunk are done with something
 * @ch: the trunk, its rd.mutex held
 * @done: segments that all are done with
 * @tail: position up to which all have read
 * @drained: the least of the branches' @drained
 */
void faasin_ring_pass(struct faasin_channel *ch, unsigned long done, u64 tail, u64 drained)
{
	lockdep_assert_held(&ch->rd.mutex);
	/* It may be ahead of them, by the last block of an empty ring: faasin_ring_clear(). */
	while ((long)(done - ch->done) > 0)
		segment_put(ch, ch->done++);
	/* As in tail_set(). */
	smp_store_release(&ch->tail, tail);
	/* Likewise. */
	smp_store_release(&ch->drained, drained);
	wake_after_read(ch);
}

static void drop_discarded(struct faasin_channel *ch)
{
	/* Pairs with session_closes_early(): before looking at the segments. */
	u64 to = smp_load_acquire(&ch->discard), end = to;

	lockdep_assert_held(&ch->rd.mutex);
	/* A lane that is on moves it without the mutex; then there is nothing to be dropped. */
	if (likely(to <= READ_ONCE(ch->tail)))
		return;
	look(ch);
	if (unlikely(ch->records))
		faasin_records_pass(ch, to);
	segment_at(ch, to, &end);
	/* Together, so that the sums of the statistics hold at any time. */
	spin_lock(&ch->lock);
	if (unlikely(ch->branch))
		WRITE_ONCE(ch->branch->dropping, true);
	ch->discarded += to - ch->tail;
	tail_set(ch, to, true);
	spin_unlock(&ch->lock);
	if (unlikely(ch->branch))
		faasin_branch_passed(ch, true);
	else
		wake_after_read(ch);
}

/**
 * faasin_channel_discard() - drop what was asked to be dropped
 * @ch: channel
 *
 * Never waits: if a reader is at work, it does so itself when it is done.
 */
void faasin_channel_discard(struct faasin_channel *ch)
{
	/* It may be a lot, and who has the tree's lock may wait for that mutex: merge.h. */
	if (unlikely(ch->inbox))
		lockdep_assert_not_held(&ch->inbox->mutex);
	while (READ_ONCE(ch->discard) > READ_ONCE(ch->tail)) {
		if (!mutex_trylock(&ch->rd.mutex)) {
			/* The reader may have looked before; if so, this will. */
			mod_delayed_work(system_unbound_wq, &ch->idle, 1);
			return;
		}
		drop_discarded(ch);
		mutex_unlock(&ch->rd.mutex);
	}
}

/**
 * faasin_ring_unlock_reader() - the caller has read
 * @ch: channel, its rd.mutex held, which is let go
 */
void faasin_ring_unlock_reader(struct faasin_channel *ch)
{
	mutex_unlock(&ch->rd.mutex);
	if (unlikely(READ_ONCE(ch->discard) > READ_ONCE(ch->tail)))
		faasin_channel_discard(ch);
}

/*
 * Where a stream ends for now. Must be asked before the segments. Head comes
 * before the state: a stream that is live afterwards was so when head was read,
 * which therefore is not yet the next one's.
 */
static u64 stream_limit(struct faasin_channel *ch, struct faasin_stream *s, int *state)
{
	u64 head = head_seen(ch);

	/* Pairs with faasin_stream_finish(): the end is there. */
	*state = smp_load_acquire(&s->state);
	return *state == FAASIN_STREAM_LIVE ? head : s->end;
}

static struct faasin_stream *session_stream(struct faasin_channel *ch, struct faasin_session *ss)
{
	/* Pairs with faasin_session_bind(): it is set once. */
	struct faasin_stream *s = smp_load_acquire(&ss->stream);

	return likely(s) ? s : faasin_session_stream(ch, ss);
}

/*
 * Are there bytes of the session's stream from ch->tail on: 1 yes, up to ch->head_known,
 * and of which stream; 0 not yet; < 0 an error, of which -ENODATA stands for the end.
 */
static int stream_ahead(struct faasin_channel *ch, struct faasin_session *ss,
			struct faasin_stream **stream)
{
	struct faasin_stream *s = session_stream(ch, ss);
	u64 limit;
	int state, err;

	err = faasin_session_over(ss);
	if (err || !s)
		return err;
	/* Moves both cursors, so they are to be looked at after this. */
	faasin_lane_retire(ch);
	*stream = s;
	if (ch->tail < ch->head_known && ch->stream_known == s->number)
		return !faasin_channel_paused(ch);

	/* Of a branch: bytes that went by, and this stream's, since the caller last looked. */
	if (unlikely(ch->tail < s->start))
		drop_discarded(ch);
	limit = stream_limit(ch, s, &state);
	if (ch->tail >= limit) {
		switch (state) {
		case FAASIN_STREAM_ENDED:
			faasin_session_done(ch, ss, FAASIN_RESULT_END);
			break;
		case FAASIN_STREAM_ABORTED:
			faasin_session_done(ch, ss, FAASIN_RESULT_ABORTED);
			break;
		}
		/* It may be that the stage was replaced, and the end is not this session's. */
		return faasin_session_over(ss);
	}
	look(ch);
	ch->head_known = unlikely(ch->records) ? faasin_record_end(ch) : limit;
	ch->stream_known = s->number;
	return !faasin_channel_paused(ch);
}

/* All of the segment, up to @pos, was given out: on to the next, if there is one. */
static bool drain_next(struct faasin_channel *ch, struct faasin_drain *d, u64 pos)
{
	unsigned long next = d->index + 1;

	if (pos != d->limit || pos == ch->head_known)
		return false;
	d->index = next;
	d->segment = &ch->ring[next & ch->ring_mask];
	d->limit = ch->head_known;
	if (next + 1 != ch->queued_known)
		d->limit = min(d->limit, ch->ring[(next + 1) & ch->ring_mask].begin);
	return true;
}

/*
 * All before @pos, in @seg, which ends at @limit, was given out, the last @moved bytes of it by
 * reference; @done segments were done with before that. In registers, all of it: what is
 * zeroed on the stack costs as much as a good part of a small read.
 */
static __always_inline void drain_end(struct faasin_channel *ch, struct faasin_segment *seg,
				      u64 pos, u64 limit, unsigned long done, size_t moved)
{
	bool room = pos == ch->head_known;

	if (unlikely(ch->records))
		/* Each record's end would be one. */
		room = faasin_records_pass(ch, pos) || pos == READ_ONCE(ch->head);
	if (pos == limit) {
		/* A block that is full may have a successor that is not known yet. */
		if (pos == ch->head_known && pos - seg->begin == READ_ONCE(seg->block->size))
			look(ch);
		segment_at(ch, pos, &limit);
	}
	if (moved) {
		/* Together, for the statistics. */
		spin_lock(&ch->lock);
		ch->rd.moved += moved;
		tail_set(ch, pos, pos == ch->head_known);
		spin_unlock(&ch->lock);
	} else {
		tail_set(ch, pos, pos == ch->head_known);
	}
	if (done != ch->done || room)
		wake_after_read(ch);
	else if (unlikely(ch->branch))
		faasin_branch_read(ch);
	else
		faasin_side_count(&ch->rd.wakes_avoided);
}

/* What is there of a stream, in one segment; @done segments were done with before. */
static void drain_begin(struct faasin_channel *ch, struct faasin_stream *s, unsigned long done,
			struct faasin_drain *d)
{
	d->stream = s;
	d->pos = ch->tail;
	d->limit = ch->head_known;
	d->done = done;
	d->segment = segment_at(ch, d->pos, &d->limit);
	d->index = ch->done;
}

/*
 * channel_drain() of an extent; of pages that were moved in, as many at a time as go into a
 * block; or of a record, all of it at a time: whose session is over meanwhile leaves no part.
 */
static noinline ssize_t drain_parts(struct faasin_channel *ch, struct faasin_session *ss,
				    struct faasin_stream *s, unsigned long done,
				    struct iov_iter *to)
{
	size_t n, part, copied = 0;
	struct faasin_drain d;

	drain_begin(ch, s, done, &d);
	do {
		n = min_t(u64, d.limit - d.pos - copied, iov_iter_count(to));
		part = copy_out(ch, d.segment->block, d.pos + copied - d.segment->begin, n, to);
		copied += part;
		/* It may be a gigabyte. */
		if (ch->records)
			cond_resched();
	} while (part == n && iov_iter_count(to) &&
		 (ch->records || copied < ch->pool.block_size) &&
		 drain_next(ch, &d, d.pos + copied));
	/* Of a part of a record, too, what was read makes room. */
	if (d.index != ch->done && d.pos + copied != d.limit)
		segment_at(ch, d.pos + copied, &d.limit);
	faasin_ring_drained(ch, ss, &d, copied, 0);
	return copied ?: -EFAULT;
}

/* What is there of the session's stream, into @to: > 0 bytes, or as stream_ahead(). */
static ssize_t channel_drain(struct faasin_channel *ch, struct faasin_session *ss,
			     struct iov_iter *to)
{
	struct faasin_segment *seg;
	struct faasin_stream *s;
	unsigned long done;
	u64 pos, limit;
	size_t copied;
	int ahead;

	ahead = stream_ahead(ch, ss, &s);
	if (ahead <= 0)
		return ahead;
	pos = ch->tail;
	limit = ch->head_known;
	done = ch->done;
	seg = segment_at(ch, pos, &limit);
	if (unlikely(seg->block->fixed || ch->records))
		return drain_parts(ch, ss, s, done, to);
	copied = pages_copy_out(seg->block, pos - seg->begin,
				min_t(u64, limit - pos, iov_iter_count(to)), to);
	if (!copied) {
		if (done != ch->done)
			wake_after_read(ch);
		return -EFAULT;
	}
	if (unlikely(!READ_ONCE(s->begun)))
		faasin_session_take(ch, ss);
	drain_end(ch, seg, pos + copied, limit, done, 0);
	return copied;
}

/**
 * faasin_ring_drain() - what is there to be given out
 * @ch: channel, its rd.mutex held
 * @ss: session
 * @d: to be filled; faasin_ring_drained() is to follow
 *
 * Return: 1, or as for a session that has nothing: 0 not yet, -ENODATA at the end,
 * -ECONNABORTED, -ESTALE.
 */
int faasin_ring_drain(struct faasin_channel *ch, struct faasin_session *ss,
		      struct faasin_drain *d)
{
	struct faasin_stream *s;
	int ahead;

	lockdep_assert_held(&ch->rd.mutex);
	drop_discarded(ch);
	ahead = stream_ahead(ch, ss, &s);
	if (ahead > 0)
		drain_begin(ch, s, ch->done, d);
	return ahead;
}

/**
 * faasin_ring_copy_out() - copy what is to be given out
 * @ch: channel, its rd.mutex held
 * @d: of faasin_ring_drain()
 * @pos: from this position on
 * @to: where to, and how much
 *
 * Return: how much was copied.
 */
size_t faasin_ring_copy_out(struct faasin_channel *ch, const struct faasin_drain *d, u64 pos,
			    struct iov_iter *to)
{
	return copy_out(ch, d->segment->block, pos - d->segment->begin, iov_iter_count(to), to);
}

/**
 * faasin_ring_drained() - something was given out, by whatever way
 * @ch: channel, its rd.mutex held
 * @ss: session
 * @d: of faasin_ring_drain()
 * @n: how many bytes; may be 0
 * @moved: how many of them by reference
 */
void faasin_ring_drained(struct faasin_channel *ch, struct faasin_session *ss,
			 const struct faasin_drain *d, size_t n, size_t moved)
{
	if (!n) {
		if (d->done != ch->done)
			wake_after_read(ch);
		return;
	}
	if (unlikely(!READ_ONCE(d->stream->begun)))
		faasin_session_take(ch, ss);
	drain_end(ch, d->segment, d->pos + n, d->limit, d->done, moved);
}

/* @bytes below @pos went to a reader of the session's stream. */
static void consumed(struct faasin_channel *ch, struct faasin_session *ss, u64 pos, u64 bytes)
{
	trace_faasin_consume(ch->generation, ss->stream->number, pos, bytes);
}

/* What was written, for faasin_channel_take(): into the landing. */
static long take_bytes(struct faasin_channel *ch, struct faasin_handle *h,
		       struct faasin_range __user *to, size_t n)
{
	struct faasin_range r;
	struct iov_iter iter;
	struct kvec kvec;
	size_t all = n;
	ssize_t copied;
	int err;

	err = faasin_window_land(h, &n, &kvec.iov_base);
	if (err)
		return err;
	/* A record is taken whole, or read. */
	if (ch->records && n < all)
		return -EMSGSIZE;
	r.offset = (u64)ch->window.nr_pages << PAGE_SHIFT;
	r.length = n;
	if (copy_to_user(to, &r, sizeof(r)))
		return -EFAULT;
	kvec.iov_len = n;
	iov_iter_kvec(&iter, READ, &kvec, 1, n);
	/* All of it is there, in one segment or record, unless the session was ended meanwhile. */
	copied = channel_drain(ch, h->session, &iter);
	if (copied <= 0)
		return copied;
	consumed(ch, h->session, ch->tail, copied);
	mutex_lock(&ch->window.lock);
	WRITE_ONCE(h->landed, true);
	mutex_unlock(&ch->window.lock);
	return 1;
}

/* A record's extents, from segment ch->done on; of the first, what lies behind @skip. */
static long take_record(struct faasin_channel *ch, struct faasin_handle *h, u32 skip,
			struct faasin_range __user *to, u32 max)
{
	struct faasin_extent *e;
	struct faasin_range r;
	u32 n = 0;

	/* They were published together, so all of them are known. */
	do {
		if (n == max)
			return -EMSGSIZE;
		e = faasin_extent_of(ch->ring[(ch->done + n) & ch->ring_mask].block);
		r.offset = faasin_extent_offset(e) + skip;
		r.length = e->block.size - skip;
		if (copy_to_user(&to[n++], &r, sizeof(r)))
			return -EFAULT;
		skip = 0;
	} while (!e->last);
	return n;
}

/* The next record, for faasin_channel_take(): > 0 its ranges, @from where; or as stream_ahead(). */
static long channel_take(struct faasin_channel *ch, struct faasin_handle *h,
			 struct faasin_range __user *to, u32 max, u64 *from)
{
	struct faasin_session *ss = h->session;
	u64 pos, limit, last = 0;
	struct faasin_segment *seg;
	unsigned long done;
	struct faasin_extent *e;
	struct faasin_stream *s;
	bool sent;
	long n, i;

	n = stream_ahead(ch, ss, &s);
	if (n <= 0)
		return n;
	pos = ch->tail;
	*from = pos;
	done = ch->done;
	limit = ch->head_known;
	seg = segment_at(ch, pos, &limit);
	sent = faasin_extent_of(seg->block);
	n = sent ? take_record(ch, h, pos - seg->begin, to, max) :
		   take_bytes(ch, h, to, (ch->records ? ch->head_known : limit) - pos);
	/* What lay before may have been a block of its own. */
	if ((n < 0 || !sent) && done != ch->done)
		wake_after_read(ch);
	if (n < 0 || !sent)
		return n;

	/* Before they can come back, and be sent again. */
	if (unlikely(ch->records))
		faasin_records_pass(ch, ch->head_known);
	for (i = 0; i < n; i++) {
		seg = &ch->ring[ch->done++ & ch->ring_mask];
		last = seg->begin + seg->block->size;
		e = faasin_extent_of(seg->block);
		/* Its owner may return it at once. */
		faasin_extents_own(&ch->window, &e, 1, h);
	}
	if (unlikely(!READ_ONCE(s->begun)))
		faasin_session_take(ch, ss);
	trace_faasin_consume(ch->generation, s->number, last, last - pos);
	spin_lock(&ch->lock);
	ch->rd.moved += last - pos;
	tail_set(ch, last, last == ch->head_known);
	spin_unlock(&ch->lock);
	wake_after_read(ch);
	return n;
}

/**
 * faasin_ring_data_ready() - is there anything to be read, or to be told
 * @ch: channel; no mutex need be held
 * @arg: session, as faasin_side_spin() gives it
 *
 * Return: whether a read would not wait, as far as can be known.
 */
bool faasin_ring_data_ready(struct faasin_channel *ch, void *arg)
{
	struct faasin_session *ss = arg;
	struct faasin_stream *s;
	int state;

	if (READ_ONCE(ss->result) || READ_ONCE(ch->discard) > READ_ONCE(ch->tail))
		return true;
	s = session_stream(ch, ss);
	if (!s)
		return READ_ONCE(ss->result);
	if (stream_limit(ch, s, &state) > READ_ONCE(ch->tail))
		return !faasin_channel_paused(ch);
	return state != FAASIN_STREAM_LIVE;
}

/**
 * faasin_ring_wait_for_data() - no bytes yet: wait without the mutex
 * @ch: channel, its rd.mutex held
 * @ss: session
 *
 * Return: 0, with the mutex held again, though others may have taken the bytes by then;
 * or -ERESTARTSYS, without it.
 */
int faasin_ring_wait_for_data(struct faasin_channel *ch, struct faasin_session *ss)
{
	struct task_struct *peer;
	DEFINE_WAIT(wait);
	int err = 0;
	u64 since;

	trace_faasin_block(ch->generation, FAASIN_DIRECTION_IN);
	faasin_side_count(&ch->rd.blocks);
	/* With the mutex: from here on no lane comes on, of which it would not be told. */
	peer = faasin_side_wait_begin(ch, &ch->rd, &ch->wr, &since);
	faasin_ring_unlock_reader(ch);
	if (faasin_side_spin(ch, peer, faasin_ring_data_ready, ss))
		goto done;

	for (;;) {
		prepare_to_wait(&ch->readers.wait, &wait, TASK_INTERRUPTIBLE);
		/* For wake_after_write(). */
		spin_lock(&ch->lock);
		spin_unlock(&ch->lock);
		if (faasin_ring_data_ready(ch, ss))
			break;
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&ch->readers.wait, &wait);
done:
	faasin_side_wait_end(ch, &ch->rd, since);
	return err ?: faasin_side_lock(&ch->rd, false);
}

/**
 * faasin_channel_read() - bytes out
 * @ch: channel
 * @h: an input's open file
 * @to: where to; advanced by what was given
 * @nonblock: do not wait for bytes
 * @nowait: do not wait for other readers either
 *
 * Return: bytes read, 0 at the end of the session's stream, or
 * -ECONNABORTED: all bytes of an aborted stream were read, or the link is gone
 *	and no stream was left
 * -ESTALE: the stage was replaced
 * -EAGAIN: nothing there and not to wait
 * -EFAULT: none of the bytes could be stored
 * -ERESTARTSYS: a signal came first
 */
ssize_t faasin_channel_read(struct faasin_channel *ch, struct faasin_handle *h,
			    struct iov_iter *to, bool nonblock, bool nowait)
{
	struct faasin_session *ss = h->session;
	size_t done = 0, told = 0;
	u64 pos = 0;
	ssize_t n;
	int err;

	if (!iov_iter_count(to))
		return 0;
	err = faasin_side_lock(&ch->rd, nowait);
	if (err)
		return err;
	faasin_side_user(ch, &ch->rd);

	while (iov_iter_count(to)) {
		drop_discarded(ch);
		n = channel_drain(ch, ss, to);
		if (n > 0) {
			done += n;
			pos = ch->tail;
			/* Once a read, but for those that go on and on. */
			if (!iov_iter_count(to) || done - told >= ch->pool.block_size ||
			    ch->records) {
				consumed(ch, ss, pos, done - told);
				told = done;
			}
			/* That was a record, or as much of it as could be stored. */
			if (unlikely(ch->records))
				break;
			continue;
		}
		if (done != told)
			consumed(ch, ss, pos, done - told);
		if (n < 0 || done) {
			err = n == -ENODATA ? 0 : n;
			break;
		}
		if (nonblock) {
			err = -EAGAIN;
			break;
		}
		err = faasin_ring_wait_for_data(ch, ss);
		if (err)
			goto unlocked;
	}
	if (done)
		faasin_side_count(&ch->rd.calls);
	faasin_ring_unlock_reader(ch);
unlocked:
	if (done)
		trace_faasin_read(ch->generation, ss->stream ? ss->stream->number : 0, done);
	return done ?: err;
}

/**
 * faasin_ring_read_record() - a record out, or the rest of one, without waiting
 * @ch: channel with records, its rd.mutex held
 * @ss: session
 * @to: where to; advanced by what was given
 *
 * Return: > 0 bytes, -EFAULT, or as faasin_ring_drain().
 */
ssize_t faasin_ring_read_record(struct faasin_channel *ch, struct faasin_session *ss,
				struct iov_iter *to)
{
	ssize_t n;

	lockdep_assert_held(&ch->rd.mutex);
	faasin_side_user(ch, &ch->rd);
	drop_discarded(ch);
	n = channel_drain(ch, ss, to);
	if (n <= 0)
		return n;
	faasin_side_count(&ch->rd.calls);
	consumed(ch, ss, ch->tail, n);
	trace_faasin_read(ch->generation, ss->stream->number, n);
	return n;
}

/**
 * faasin_channel_take() - the next record out, by reference
 * @ch: channel
 * @h: an input's open file; it becomes the owner
 * @to: receives its ranges
 * @max: for how many there is room
 * @nonblock: do not wait for it
 *
 * What was written is copied and becomes a record of one range; on a link with records, all of
 * what one call wrote does.
 *
 * Return: ranges, 0 at the end of the session's stream, or what uapi/faasin.h
 * lists for FAASIN_IOC_TAKE.
 */
long faasin_channel_take(struct faasin_channel *ch, struct faasin_handle *h,
			 struct faasin_range __user *to, u32 max, bool nonblock)
{
	struct faasin_session *ss = h->session;
	u64 from = 0;
	long n;
	int err;

	/* An extent has one owner. */
	if (ch->branch)
		return -EOPNOTSUPP;
	err = faasin_side_lock(&ch->rd, false);
	if (err)
		return err;
	faasin_side_user(ch, &ch->rd);
	for (;;) {
		drop_discarded(ch);
		n = channel_take(ch, h, to, max, &from);
		if (n || nonblock)
			break;
		err = faasin_ring_wait_for_data(ch, ss);
		if (err)
			return err;
	}
	from = ch->tail - from;
	if (n > 0)
		faasin_side_count(&ch->rd.calls);
	faasin_ring_unlock_reader(ch);
	if (n > 0)
		trace_faasin_read(ch->generation, ss->stream->number, from);
	return n == -ENODATA ? 0 : n ?: -EAGAIN;
}
