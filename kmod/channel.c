// SPDX-License-Identifier: GPL-2.0
/*
 * The ring, the pool and the two cursors. channel.h has the protocol.
 */
#include <linux/delay.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "account.h"
#include "cgroup.h"
#include "channel.h"
#include "event.h"
#include "limits.h"
#include "trace.h"
#include "workflow.h"

/* --------------------------------------------------------------- cursors */

static u64 head_seen(struct faasin_channel *ch)
{
	/* Pairs with publish(): before looking at the bytes or their segments. */
	return smp_load_acquire(&ch->head);
}

static u64 tail_seen(struct faasin_channel *ch)
{
	/* Pairs with tail_set(). */
	return smp_load_acquire(&ch->tail);
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

/**
 * faasin_channel_idle_later() - look after a while whether there is idle memory
 * @ch: channel that is open
 */
void faasin_channel_idle_later(struct faasin_channel *ch)
{
	schedule_delayed_work(&ch->idle, nsecs_to_jiffies(FAASIN_IDLE_NS));
}

/*
 * The pool was asked for memory, and had @bytes before. That the cgroup that pays is
 * gone is said once, when it first matters.
 */
static void pool_asked(struct faasin_channel *ch, u64 bytes)
{
	if (ch->pool.bytes != bytes)
		faasin_channel_idle_later(ch);
	if (ch->pool.gone && !ch->gone_said) {
		ch->gone_said = true;
		faasin_channel_event(ch, FAASIN_EVENT_CGROUP_GONE, 0, 0, NULL);
	}
}

/* A block for the ring, or NULL. */
static struct faasin_block *block_take(struct faasin_channel *ch)
{
	u64 bytes = ch->pool.bytes;
	struct faasin_block *b = faasin_pool_take(&ch->pool);

	pool_asked(ch, bytes);
	return b;
}

/* A block of the ring is empty again. */
static void block_put(struct faasin_channel *ch, struct faasin_block *b)
{
	struct faasin_extent *e = faasin_extent_of(b);

	if (unlikely(e))
		faasin_extent_free(&ch->window, e);
	else
		faasin_pool_put(&ch->pool, b);
}

/* Both mutexes held, nothing in the ring: take the segments off it. Whether there were any. */
static bool ring_clear(struct faasin_channel *ch)
{
	bool any = ch->done != ch->queued;
	unsigned long i;

	for (i = ch->done; i != ch->queued; i++)
		block_put(ch, ch->ring[i & ch->ring_mask].block);
	ch->done = ch->queued;
	ch->queued_known = ch->queued;
	ch->last = NULL;
	WRITE_ONCE(ch->space, 0);
	return any;
}

/*
 * wr.mutex held: the block that is being filled, from an empty channel; unless a reader
 * is at work. Whether there was anything.
 */
static bool ring_take_back(struct faasin_channel *ch)
{
	bool any = false;

	if (tail_seen(ch) != ch->head || !mutex_trylock(&ch->rd.mutex))
		return false;
	if (ch->tail == ch->head)
		any = ring_clear(ch);
	mutex_unlock(&ch->rd.mutex);
	return any;
}

/*
 * Runs a while after the pool grew, and again until the channel has been idle
 * for as long: then all that is empty goes back. Whoever had no memory for an extent
 * looks again as often.
 */
static void channel_idle(struct work_struct *work)
{
	struct faasin_channel *ch = container_of(to_delayed_work(work),
						 struct faasin_channel, idle);
	bool again = true, turn = false;
	u64 head;

	if (!mutex_trylock(&ch->rd.mutex))
		goto out;
	if (!mutex_trylock(&ch->wr.mutex))
		goto unlock_rd;

	head = READ_ONCE(ch->head);
	if (head == ch->idle_seen) {
		if (READ_ONCE(ch->tail) == head) {
			turn = ring_clear(ch);
			again = false;
		}
		faasin_pool_trim(&ch->pool, ULONG_MAX, false);
	}
	ch->idle_seen = head;

	mutex_unlock(&ch->wr.mutex);
unlock_rd:
	mutex_unlock(&ch->rd.mutex);
	faasin_channel_discard(ch);
out:
	if (turn || READ_ONCE(ch->window.starved))
		faasin_window_turn(ch);
	if (again)
		faasin_channel_idle_later(ch);
}

/* -------------------------------------------------------------- producing */

/* Bytes that still fit into the last segment's block. */
static u32 last_space(struct faasin_channel *ch, u64 head)
{
	struct faasin_segment *seg = ch->last;

	return seg ? seg->block->size - (u32)(head - seg->begin) : 0;
}

/*
 * Small runs go by the page: those functions compare with the size of the page.
 * What checks whole addresses (hardened usercopy) costs as much as copying 512
 * bytes does, but is asked once where the others loop over pages.
 */
static size_t copy_in(struct faasin_block *b, u32 offset, size_t n, struct iov_iter *from)
{
	if (n <= PAGE_SIZE)
		return copy_page_from_iter(b->page, offset, n, from);
	return copy_from_iter(page_address(b->page) + offset, n, from);
}

/*
 * The same; but only to user memory: into an iterator over a pipe (6.1 splices
 * so), the page itself would go, while the channel goes on writing to it.
 */
static size_t copy_out(struct faasin_channel *ch, struct faasin_block *b, u32 offset, size_t n,
		       struct iov_iter *to)
{
	struct faasin_extent *e = faasin_extent_of(b);

	if (unlikely(e))
		return faasin_extent_copy_out(&ch->window, e, offset, n, to);
	if (n <= PAGE_SIZE && user_backed_iter(to))
		return copy_page_to_iter(b->page, offset, n, to);
	return copy_to_iter(page_address(b->page) + offset, n, to);
}

/*
 * If the consumer has seen all there is, it looks at nothing until more is
 * published, so that the last block can be filled from its start again: an empty
 * channel takes its whole capacity.
 */
static void ring_start_over(struct faasin_channel *ch, u64 head)
{
	/* Pairs with tail_set(): the consumer looks at nothing below. */
	if (smp_load_acquire(&ch->drained) != head)
		return;
	ch->tail_known = head;
	if (ch->last)
		ch->last->begin = head;
}

static void ring_append(struct faasin_channel *ch, struct faasin_block *b, u64 begin)
{
	struct faasin_segment *seg = &ch->ring[ch->queued & ch->ring_mask];

	seg->block = b;
	seg->begin = begin;
	ch->last = seg;
	/* Pairs with look(): the segment is filled in. */
	smp_store_release(&ch->queued, ch->queued + 1);
}

/*
 * Let the consumer see what lies up to @head, with its last part in @next, if
 * that is not NULL, from @begin on. Returns false, and has changed nothing, if
 * the stream is over: the bytes are not part of it then.
 */
static bool publish(struct faasin_channel *ch, struct faasin_stream *s,
		    struct faasin_block *next, u64 begin, u64 head)
{
	bool live;

	spin_lock(&ch->lock);
	live = s->state == FAASIN_STREAM_LIVE;
	if (live) {
		trace_faasin_publish(ch->generation, s->number, head, head - ch->head);
		if (next)
			ring_append(ch, next, begin);
		/* Pairs with head_seen(): the bytes and their segment are there. */
		smp_store_release(&ch->head, head);
		WRITE_ONCE(ch->space, last_space(ch, head));
	}
	spin_unlock(&ch->lock);
	return live;
}

static void note_held(struct faasin_channel *ch, u64 head)
{
	if (head - ch->tail_known <= ch->held_max)
		return;
	ch->tail_known = tail_seen(ch);
	ch->held_max = max(ch->held_max, head - ch->tail_known);
}

/* Some bytes of @from into the ring: > 0 that many, 0 no room, < 0 an error. */
static ssize_t channel_fill(struct faasin_channel *ch, struct faasin_stream *s,
			    struct iov_iter *from, bool whole)
{
	size_t want = iov_iter_count(from), n, copied = 0;
	struct faasin_block *next = NULL;
	u64 head = ch->head;
	u32 space;

	if (READ_ONCE(s->state) != FAASIN_STREAM_LIVE)
		return -EPIPE;

	ring_start_over(ch, head);
	space = last_space(ch, head);
	if (whole ? space < want : !space) {
		next = block_take(ch);
		if (!next)
			return 0;
	}

	n = min_t(size_t, want, space);
	if (n)
		copied = copy_in(ch->last->block, head - ch->last->begin, n, from);
	if (next && copied == n) {
		n = min_t(size_t, want - n, next->size);
		copied += copy_in(next, 0, n, from);
	}
	/* Of what goes in together, a part is nothing. */
	if (!copied || (whole && copied < want)) {
		if (next)
			faasin_pool_put(&ch->pool, next);
		return -EFAULT;
	}
	if (!publish(ch, s, next, head + min_t(size_t, copied, space), head + copied)) {
		if (next)
			faasin_pool_put(&ch->pool, next);
		iov_iter_revert(from, copied);
		return -EPIPE;
	}
	note_held(ch, head + copied);
	return copied;
}

/*
 * Bytes were published: wake whoever found none. Publishing was done under
 * ch->lock, and whoever sleeps or polls for bytes takes that lock between
 * queueing and looking: either it saw the bytes, or it is in the queue by now.
 */
static void wake_after_write(struct faasin_channel *ch)
{
	/* No barrier: see above. */
	if (waitqueue_active(&ch->readers.wait)) {
		ch->wr.wakes++;
		trace_faasin_wake(ch->generation, FAASIN_DIRECTION_IN);
		wake_up_interruptible_poll(&ch->readers.wait, EPOLLIN | EPOLLRDNORM);
	} else {
		ch->wr.wakes_avoided++;
	}
	/* Whoever polls edge-triggered expects to hear of every write. See above. */
	if (waitqueue_active(&ch->readers.poll))
		wake_up_interruptible_poll(&ch->readers.poll, EPOLLIN | EPOLLRDNORM);
}

/* Room for at least @need bytes, as far as someone beside the producer can tell. */
static bool has_room(struct faasin_channel *ch, size_t need)
{
	if (tail_seen(ch) == READ_ONCE(ch->head))
		return true;
	if (READ_ONCE(ch->pool.starved))
		return READ_ONCE(ch->space) >= need;
	return READ_ONCE(ch->space) + faasin_pool_room(&ch->pool) >= need;
}

/**
 * faasin_channel_has_room() - would a write of up to PIPE_BUF bytes go through
 * @ch: channel
 *
 * If not, the consumer tells the pollers when one would.
 *
 * Return: whether there is room.
 */
bool faasin_channel_has_room(struct faasin_channel *ch)
{
	if (has_room(ch, PIPE_BUF))
		return true;
	WRITE_ONCE(ch->full, true);
	/* Pairs with wq_has_sleeper() in wake_after_read(). */
	smp_mb();
	return has_room(ch, PIPE_BUF);
}

struct room_wait {
	struct faasin_stream *stream;
	size_t need;
};

static bool room_ready(struct faasin_channel *ch, void *arg)
{
	struct room_wait *w = arg;

	return READ_ONCE(w->stream->state) != FAASIN_STREAM_LIVE || has_room(ch, w->need);
}

/* The channel is full: wait without the mutex. Holds it again if 0 is returned. */
static int wait_for_room(struct faasin_channel *ch, struct faasin_stream *s, size_t need)
{
	struct room_wait w = { .stream = s, .need = need };
	struct task_struct *peer;
	DEFINE_WAIT(wait);
	int err = 0;
	u64 since;

	trace_faasin_block(ch->generation, FAASIN_DIRECTION_OUT);
	ch->wr.blocks++;
	mutex_unlock(&ch->wr.mutex);
	peer = faasin_side_wait_begin(ch, &ch->wr, &ch->rd, &since);
	if (faasin_side_spin(ch, peer, room_ready, &w))
		goto done;

	for (;;) {
		prepare_to_wait(&ch->writers.wait, &wait, TASK_INTERRUPTIBLE);
		if (room_ready(ch, &w))
			break;
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		/* What kept the pool from growing may have passed. */
		if (!schedule_timeout(FAASIN_LOOK_JIFFIES) && READ_ONCE(ch->pool.starved))
			break;
	}
	finish_wait(&ch->writers.wait, &wait);
done:
	faasin_side_wait_end(ch, &ch->wr, since);
	return err ?: faasin_side_lock(&ch->wr, false);
}

/**
 * faasin_channel_write() - bytes in
 * @ch: channel
 * @h: an output's open file
 * @from: bytes; advanced by what was taken
 * @nonblock: do not wait for room
 * @nowait: do not wait for other writers either
 *
 * Up to PIPE_BUF bytes go in together; without waiting, all or none.
 *
 * Return: bytes written, or
 * -EPIPE: the stream is over (with SIGPIPE), also sent after a partial count
 * -EAGAIN: no room and not to wait
 * -EFAULT: none of the bytes could be read
 * -ERESTARTSYS: a signal came first
 * -EUSERS: FAASIN_WRITERS_MAX processes write already
 * -ENOMEM: no memory to register the process as a writer
 */
ssize_t faasin_channel_write(struct faasin_channel *ch, struct faasin_handle *h,
			     struct iov_iter *from, bool nonblock, bool nowait)
{
	bool whole = iov_iter_count(from) <= PIPE_BUF;
	struct faasin_stream *s = h->stream;
	bool again = false;
	size_t done = 0;
	ssize_t n;
	int err;

	if (!iov_iter_count(from))
		return 0;
	/* Held, so that the same address means the same process. */
	if (unlikely(READ_ONCE(h->wrote) != task_tgid(current))) {
		err = faasin_stream_note_writer(h);
		if (err)
			return err;
	}
	/* What is polled for is what was refused last. */
	if (unlikely(READ_ONCE(h->alloc_turn)))
		WRITE_ONCE(h->alloc_turn, 0);
	err = faasin_side_lock(&ch->wr, nowait);
	if (err)
		return err;
	faasin_side_user(ch, &ch->wr);

	while (iov_iter_count(from)) {
		n = channel_fill(ch, s, from, whole);
		if (n > 0) {
			done += n;
			again = false;
			wake_after_write(ch);
			continue;
		}
		if (!n && nonblock) {
			/* Tried again so that the pollers' mark is set first. */
			if (!again && faasin_channel_has_room(ch)) {
				again = true;
				continue;
			}
			n = -EAGAIN;
		}
		if (n == -EPIPE) {
			n = iov_iter_count(from);
			if (faasin_stream_swallow(ch, s, n)) {
				iov_iter_advance(from, n);
				done += n;
				break;
			}
			n = -EPIPE;
		}
		if (n) {
			err = n;
			break;
		}
		err = wait_for_room(ch, s, whole ? iov_iter_count(from) : 1);
		if (err)
			goto unlocked;
	}
	if (done)
		ch->wr.calls++;
	mutex_unlock(&ch->wr.mutex);
unlocked:
	if (done)
		trace_faasin_write(ch->generation, s->number, done);
	if (err == -EPIPE)
		send_sig(SIGPIPE, current, 0);
	return done ?: err;
}

/**
 * faasin_channel_queue() - a record in, by reference
 * @ch: channel, its wr.mutex held
 * @s: the stream
 * @e: its extents, without an owner
 * @n: how many
 *
 * Return: 0, or -EPIPE if the stream is over; then nothing was done.
 */
int faasin_channel_queue(struct faasin_channel *ch, struct faasin_stream *s,
			 struct faasin_extent **e, u32 n)
{
	u64 head = ch->head;
	bool live;
	u32 i;

	lockdep_assert_held(&ch->wr.mutex);
	faasin_side_user(ch, &ch->wr);
	spin_lock(&ch->lock);
	live = s->state == FAASIN_STREAM_LIVE;
	for (i = 0; live && i < n; i++) {
		ring_append(ch, &e[i]->block, head);
		head += e[i]->block.size;
	}
	if (live) {
		trace_faasin_publish(ch->generation, s->number, head, head - ch->head);
		/* Nothing is added to an extent. */
		ch->last = NULL;
		WRITE_ONCE(ch->space, 0);
		ch->wr.moved += head - ch->head;
		/* Pairs with head_seen(). */
		smp_store_release(&ch->head, head);
	}
	spin_unlock(&ch->lock);
	if (!live)
		return -EPIPE;
	note_held(ch, head);
	ch->wr.calls++;
	wake_after_write(ch);
	return 0;
}

/**
 * faasin_channel_alloc() - pages for an extent
 * @ch: channel, its wr.mutex held
 * @nr: as for faasin_extent_alloc()
 * @turn: likewise
 *
 * Return: likewise.
 */
struct faasin_extent *faasin_channel_alloc(struct faasin_channel *ch, u32 nr, u64 *turn)
{
	u64 bytes = ch->pool.bytes;
	struct faasin_extent *e;

	e = faasin_extent_alloc(&ch->window, nr, turn);
	if (e == ERR_PTR(-EAGAIN) && ring_take_back(ch)) {
		/* It may be enough for another open file. */
		faasin_window_turn(ch);
		e = faasin_extent_alloc(&ch->window, nr, turn);
	}
	pool_asked(ch, bytes);
	if (IS_ERR(e))
		/* It makes the turns that nothing else does. */
		faasin_channel_idle_later(ch);
	return e;
}

/* -------------------------------------------------------------- consuming */

/* Nothing in segment @i lies at @pos or behind, nor ever will. */
static bool segment_over(struct faasin_channel *ch, unsigned long i, u64 pos)
{
	struct faasin_segment *seg = &ch->ring[i & ch->ring_mask];

	if (i + 1 != ch->queued_known)
		return ch->ring[(i + 1) & ch->ring_mask].begin <= pos;
	/* The producer adds to the last block, but not to an extent. */
	return faasin_extent_of(seg->block) && seg->begin + seg->block->size <= pos;
}

/*
 * The segment that holds the byte at @pos, among those that are known; what lies
 * before it is done with.
 */
static struct faasin_segment *segment_at(struct faasin_channel *ch, u64 pos, u64 *end)
{
	unsigned long i = ch->done;
	struct faasin_block *b;

	while (i != ch->queued_known && segment_over(ch, i, pos)) {
		b = ch->ring[i & ch->ring_mask].block;
		if (unlikely(faasin_extent_of(b))) {
			faasin_channel_idle_later(ch);
			/* A page each, of a whole window: it takes a while. */
			cond_resched();
		}
		block_put(ch, b);
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

/*
 * Room was made, which is when a block was given back or all was read: tell a
 * writer when half of it is free, pollers as soon as there is enough for them.
 */
static void wake_after_read(struct faasin_channel *ch)
{
	bool sleeps = wq_has_sleeper(&ch->writers.wait);
	u64 room;

	/* Pairs with extent_reserve(); wq_has_sleeper() is a barrier. */
	if (unlikely(READ_ONCE(ch->window.wanted)))
		faasin_window_turn(ch);
	if (!sleeps && !READ_ONCE(ch->full)) {
		ch->rd.wakes_avoided++;
		return;
	}
	room = READ_ONCE(ch->head) == ch->tail ? ch->pool.capacity :
	       faasin_pool_room(&ch->pool);
	if (sleeps && room >= ch->pool.capacity / 2) {
		ch->rd.wakes++;
		trace_faasin_wake(ch->generation, FAASIN_DIRECTION_OUT);
		wake_up_interruptible_poll(&ch->writers.wait, EPOLLOUT | EPOLLWRNORM);
	} else {
		ch->rd.wakes_avoided++;
	}
	if (READ_ONCE(ch->full) && has_room(ch, PIPE_BUF)) {
		WRITE_ONCE(ch->full, false);
		wake_up_interruptible_poll(&ch->writers.poll, EPOLLOUT | EPOLLWRNORM);
	}
}

static void drop_discarded(struct faasin_channel *ch)
{
	/* Pairs with session_closes_early(): before looking at the segments. */
	u64 to = smp_load_acquire(&ch->discard), end = to;

	lockdep_assert_held(&ch->rd.mutex);
	if (likely(to <= ch->tail))
		return;
	look(ch);
	segment_at(ch, to, &end);
	/* Together, so that the sums of the statistics hold at any time. */
	spin_lock(&ch->lock);
	ch->discarded += to - ch->tail;
	tail_set(ch, to, true);
	spin_unlock(&ch->lock);
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
	while (READ_ONCE(ch->discard) > READ_ONCE(ch->tail)) {
		if (!mutex_trylock(&ch->rd.mutex)) {
			/* The reader may have looked before; if so, this will. */
			mod_delayed_work(system_wq, &ch->idle, 1);
			return;
		}
		drop_discarded(ch);
		mutex_unlock(&ch->rd.mutex);
	}
}

static void reader_unlock(struct faasin_channel *ch)
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
	int state;

	switch (READ_ONCE(ss->result)) {
	case FAASIN_RESULT_END:
		return -ENODATA;
	case FAASIN_RESULT_ABORTED:
		return -ECONNABORTED;
	}
	if (!s)
		return 0;
	*stream = s;
	if (ch->tail < ch->head_known && ch->stream_known == s->number)
		return 1;

	limit = stream_limit(ch, s, &state);
	if (ch->tail >= limit) {
		switch (state) {
		case FAASIN_STREAM_ENDED:
			faasin_session_done(ch, ss, FAASIN_RESULT_END);
			return -ENODATA;
		case FAASIN_STREAM_ABORTED:
			faasin_session_done(ch, ss, FAASIN_RESULT_ABORTED);
			return -ECONNABORTED;
		}
		return 0;
	}
	look(ch);
	ch->head_known = limit;
	ch->stream_known = s->number;
	return 1;
}

/* What is there of the session's stream, into @to: > 0 bytes, or as stream_ahead(). */
static ssize_t channel_drain(struct faasin_channel *ch, struct faasin_session *ss,
			     struct iov_iter *to)
{
	struct faasin_segment *seg;
	struct faasin_stream *s;
	unsigned long done;
	size_t n, copied;
	u64 pos, limit;
	int ahead;

	ahead = stream_ahead(ch, ss, &s);
	if (ahead <= 0)
		return ahead;
	pos = ch->tail;
	limit = ch->head_known;
	done = ch->done;
	seg = segment_at(ch, pos, &limit);
	n = min_t(u64, limit - pos, iov_iter_count(to));
	copied = copy_out(ch, seg->block, pos - seg->begin, n, to);
	if (!copied) {
		if (done != ch->done)
			wake_after_read(ch);
		return -EFAULT;
	}
	if (unlikely(!READ_ONCE(s->begun)))
		faasin_session_take(ch, ss);

	pos += copied;
	trace_faasin_consume(ch->generation, s->number, pos, copied);
	if (pos == limit) {
		/* A block that is full may have a successor that is not known yet. */
		if (pos == ch->head_known && pos - seg->begin == seg->block->size)
			look(ch);
		segment_at(ch, pos, &limit);
	}
	tail_set(ch, pos, pos == ch->head_known);
	if (done != ch->done || pos == ch->head_known)
		wake_after_read(ch);
	else
		ch->rd.wakes_avoided++;
	return copied;
}

/* What was written, for faasin_channel_take(): into the landing. */
static long take_bytes(struct faasin_channel *ch, struct faasin_handle *h,
		       struct faasin_range __user *to, size_t n)
{
	struct faasin_range r;
	struct iov_iter iter;
	struct kvec kvec;
	ssize_t copied;
	int err;

	err = faasin_window_land(h, &n, &kvec.iov_base);
	if (err)
		return err;
	r.offset = (u64)ch->window.nr_pages << PAGE_SHIFT;
	r.length = n;
	if (copy_to_user(to, &r, sizeof(r)))
		return -EFAULT;
	kvec.iov_len = n;
	iov_iter_kvec(&iter, READ, &kvec, 1, n);
	/* All of it is there, in one segment, unless the session was ended meanwhile. */
	copied = channel_drain(ch, h->session, &iter);
	if (copied <= 0)
		return copied;
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

/* The next record, for faasin_channel_take(): > 0 its ranges, or as stream_ahead(). */
static long channel_take(struct faasin_channel *ch, struct faasin_handle *h,
			 struct faasin_range __user *to, u32 max)
{
	struct faasin_session *ss = h->session;
	u64 pos = ch->tail, limit, last = 0;
	unsigned long done = ch->done;
	struct faasin_segment *seg;
	struct faasin_extent *e;
	struct faasin_stream *s;
	bool sent;
	long n, i;

	n = stream_ahead(ch, ss, &s);
	if (n <= 0)
		return n;
	limit = ch->head_known;
	seg = segment_at(ch, pos, &limit);
	sent = faasin_extent_of(seg->block);
	n = sent ? take_record(ch, h, pos - seg->begin, to, max) :
		   take_bytes(ch, h, to, limit - pos);
	/* What lay before may have been a block of its own. */
	if ((n < 0 || !sent) && done != ch->done)
		wake_after_read(ch);
	if (n < 0 || !sent)
		return n;

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

static bool data_ready(struct faasin_channel *ch, void *arg)
{
	struct faasin_session *ss = arg;
	struct faasin_stream *s;
	int state;

	if (READ_ONCE(ss->result) || READ_ONCE(ch->discard) > READ_ONCE(ch->tail))
		return true;
	s = session_stream(ch, ss);
	if (!s)
		return READ_ONCE(ss->result);
	return stream_limit(ch, s, &state) > READ_ONCE(ch->tail) ||
	       state != FAASIN_STREAM_LIVE;
}

/* No bytes yet: wait without the mutex. Holds it again if 0 is returned. */
static int wait_for_data(struct faasin_channel *ch, struct faasin_session *ss)
{
	struct task_struct *peer;
	DEFINE_WAIT(wait);
	int err = 0;
	u64 since;

	trace_faasin_block(ch->generation, FAASIN_DIRECTION_IN);
	ch->rd.blocks++;
	reader_unlock(ch);
	peer = faasin_side_wait_begin(ch, &ch->rd, &ch->wr, &since);
	if (faasin_side_spin(ch, peer, data_ready, ss))
		goto done;

	for (;;) {
		prepare_to_wait(&ch->readers.wait, &wait, TASK_INTERRUPTIBLE);
		/* For wake_after_write(). */
		spin_lock(&ch->lock);
		spin_unlock(&ch->lock);
		if (data_ready(ch, ss))
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
 * -EAGAIN: nothing there and not to wait
 * -EFAULT: none of the bytes could be stored
 * -ERESTARTSYS: a signal came first
 */
ssize_t faasin_channel_read(struct faasin_channel *ch, struct faasin_handle *h,
			    struct iov_iter *to, bool nonblock, bool nowait)
{
	struct faasin_session *ss = h->session;
	size_t done = 0;
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
			continue;
		}
		if (n < 0 || done) {
			err = n == -ENODATA ? 0 : n;
			break;
		}
		if (nonblock) {
			err = -EAGAIN;
			break;
		}
		err = wait_for_data(ch, ss);
		if (err)
			goto unlocked;
	}
	if (done)
		ch->rd.calls++;
	reader_unlock(ch);
unlocked:
	if (done)
		trace_faasin_read(ch->generation, ss->stream ? ss->stream->number : 0, done);
	return done ?: err;
}

/**
 * faasin_channel_take() - the next record out, by reference
 * @ch: channel
 * @h: an input's open file; it becomes the owner
 * @to: receives its ranges
 * @max: for how many there is room
 * @nonblock: do not wait for it
 *
 * What was written is copied and becomes a record of one range.
 *
 * Return: ranges, 0 at the end of the session's stream, or what uapi/faasin.h
 * lists for FAASIN_IOC_TAKE.
 */
long faasin_channel_take(struct faasin_channel *ch, struct faasin_handle *h,
			 struct faasin_range __user *to, u32 max, bool nonblock)
{
	struct faasin_session *ss = h->session;
	u64 tail;
	long n;
	int err;

	err = faasin_side_lock(&ch->rd, false);
	if (err)
		return err;
	faasin_side_user(ch, &ch->rd);
	for (;;) {
		drop_discarded(ch);
		tail = ch->tail;
		n = channel_take(ch, h, to, max);
		if (n || nonblock)
			break;
		err = wait_for_data(ch, ss);
		if (err)
			return err;
	}
	tail = ch->tail - tail;
	if (n > 0)
		ch->rd.calls++;
	reader_unlock(ch);
	if (n > 0)
		trace_faasin_read(ch->generation, ss->stream->number, tail);
	return n == -ENODATA ? 0 : n ?: -EAGAIN;
}

/* --------------------------------------------------------------- lifetime */

/**
 * faasin_channel_new() - a channel for a link
 * @src: the output port; a reference is taken
 * @dst: the input port; a reference is taken
 * @css: memory controller that pays, or NULL; the workflow of @src holds it
 * @capacity: bytes, checked
 * @abort_on: policy
 * @early_close: policy
 *
 * Return: the channel with one reference, or NULL if there is no memory for it
 * and its reserved page.
 */
struct faasin_channel *faasin_channel_new(struct faasin_port *src, struct faasin_port *dst,
					  struct cgroup_subsys_state *css, u64 capacity,
					  enum faasin_abort_on abort_on,
					  enum faasin_early_close early_close)
{
	struct faasin_channel *ch;
	unsigned long slots;

	/* Whole pages, where they are larger than the smallest capacity. */
	capacity = round_up(capacity, PAGE_SIZE);
	slots = roundup_pow_of_two(capacity / PAGE_SIZE);

	ch = faasin_memory_zalloc(css, sizeof(*ch));
	if (!ch)
		return NULL;
	mutex_init(&ch->wr.mutex);
	ch->ring = faasin_memory_zalloc(css, array_size(slots, sizeof(*ch->ring)));
	if (!ch->ring)
		goto free;
	ch->ring_mask = slots - 1;
	if (faasin_pool_create(&ch->pool, css, capacity, &ch->wr.mutex, &ch->window))
		goto free;
	ch->abort_on = abort_on;
	ch->early_close = early_close;

	init_waitqueue_head(&ch->writers.wait);
	init_waitqueue_head(&ch->writers.poll);
	mutex_init(&ch->rd.mutex);
	init_waitqueue_head(&ch->readers.wait);
	init_waitqueue_head(&ch->readers.poll);
	spin_lock_init(&ch->lock);
	INIT_LIST_HEAD(&ch->streams);
	INIT_DELAYED_WORK(&ch->idle, channel_idle);
	kref_init(&ch->ref);

	ch->src = src;
	faasin_node_get(&src->node);
	ch->dst = dst;
	faasin_node_get(&dst->node);
	return ch;

free:
	kvfree(ch->ring);
	kvfree(ch);
	return NULL;
}

static void channel_release(struct kref *ref)
{
	struct faasin_channel *ch = container_of(ref, struct faasin_channel, ref);
	unsigned long i;

	cancel_delayed_work_sync(&ch->idle);

	faasin_streams_free(ch);
	faasin_side_forget_user(ch, &ch->wr);
	faasin_side_forget_user(ch, &ch->rd);
	for (i = ch->done; i != ch->queued; i++)
		block_put(ch, ch->ring[i & ch->ring_mask].block);
	faasin_pool_destroy(&ch->pool);
	faasin_account_leave(ch);
	faasin_node_put(&ch->dst->node);
	faasin_node_put(&ch->src->node);
	kvfree(ch->ring);
	kvfree(ch);
}

/**
 * faasin_channel_get() - take a reference
 * @ch: channel
 */
void faasin_channel_get(struct faasin_channel *ch)
{
	kref_get(&ch->ref);
}

/**
 * faasin_channel_put() - drop a reference
 * @ch: channel
 *
 * The last one may sleep; never called by the idle work.
 */
void faasin_channel_put(struct faasin_channel *ch)
{
	kref_put(&ch->ref, channel_release);
}
