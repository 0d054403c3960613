// SPDX-License-Identifier: GPL-2.0
/*
 * The producing side of the ring: filling it, waiting for room. channel.h has the
 * protocol.
 */
#include <linux/delay.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "deal.h"
#include "event.h"
#include "inbox.h"
#include "lane.h"
#include "limits.h"
#include "ring.h"
#include "trace.h"
#include "trunk.h"

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

/* A block for the ring, a new one of no more than @most bytes, or NULL. */
static struct faasin_block *block_take(struct faasin_channel *ch, u32 most)
{
	u64 bytes = ch->pool.bytes;
	struct faasin_block *b = faasin_pool_take(&ch->pool, most);

	pool_asked(ch, bytes);
	return b;
}

/*
 * wr.mutex held: the block that is being filled, from an empty channel; unless a reader
 * is at work. Whether there was anything.
 */
static bool ring_take_back(struct faasin_channel *ch)
{
	bool any;

	/* A lane that is on moves both without the mutexes, and leaves nothing to be cleared. */
	if (faasin_ring_tail(ch) != READ_ONCE(ch->head))
		return false;
	ch->reader_busy = !mutex_trylock(&ch->rd.mutex);
	if (ch->reader_busy)
		return false;
	any = faasin_ring_clear(ch);
	mutex_unlock(&ch->rd.mutex);
	return any;
}

/*
 * More is out than the capacity, which became smaller: the block that is being filled goes as
 * soon as all of it was read.
 */
static void ring_drop_oversized(struct faasin_channel *ch)
{
	ring_take_back(ch);
	ch->oversized = atomic64_read(&ch->pool.held) > ch->pool.capacity;
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
 * The last block is to be filled from its start again. If pages of it were lent, it must
 * not change while anybody has them: another takes its place. If there is none, the ring
 * has none left, unless a reader is at work. Whether the last block can be filled.
 */
static noinline bool ring_renew(struct faasin_channel *ch)
{
	struct faasin_block *old = ch->last->block, *b;

	if (old->rest)
		faasin_pool_reopen(&ch->pool, old);
	if (!old->lent || faasin_pool_is_back(&ch->pool, old))
		return true;
	b = block_take(ch, U32_MAX);
	if (!b) {
		ring_take_back(ch);
		return false;
	}
	ch->last->block = b;
	faasin_pool_put(&ch->pool, old);
	return true;
}

/* The consumer has seen all there is, and looks at nothing until more is published. */
static bool ring_drained(struct faasin_channel *ch, u64 head)
{
	/* Pairs with tail_set(). */
	return smp_load_acquire(&ch->drained) == head;
}

/*
 * If the consumer has seen all there is, it looks at nothing until more is
 * published, so that the last block can be filled from its start again: an empty
 * channel takes its whole capacity.
 */
static __always_inline void ring_start_over(struct faasin_channel *ch, u64 head)
{
	struct faasin_segment *last = ch->last;

	if (!ring_drained(ch, head))
		return;
	ch->tail_known = head;
	if (!last)
		return;
	if (unlikely(last->block->lent_or_rest) && !ring_renew(ch))
		return;
	last->begin = head;
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

/* 0 if bytes that an open file writes become part of its stream. */
static int writes_on(const struct faasin_handle *h)
{
	if (faasin_handle_replaced(h))
		return -ESTALE;
	return READ_ONCE(h->stream->state) == FAASIN_STREAM_LIVE ? 0 : -EPIPE;
}

/* In ch->lock: the bytes up to @head and their segments are there. */
static __always_inline void head_set(struct faasin_channel *ch, u64 head)
{
	/* Pairs with head_seen(). */
	smp_store_release(&ch->head, head);
	WRITE_ONCE(ch->space, faasin_ring_space(ch, head));
	if (unlikely(ch->trunk))
		faasin_trunk_publish(ch);
}

/*
 * Let the consumer see what lies up to @head, with its last part in @next, if
 * that is not NULL, from @begin on. Returns an error, and has changed nothing, if
 * the stream is over, or not the writer's any more: the bytes are not part of it then.
 */
static __always_inline int publish(struct faasin_channel *ch, const struct faasin_handle *h,
				   struct faasin_block *next, u64 begin, u64 head)
{
	struct faasin_stream *s = h->stream;
	int err;

	spin_lock(&ch->lock);
	err = writes_on(h);
	if (!err) {
		trace_faasin_publish(ch->generation, s->number, head, head - ch->head);
		if (next)
			ring_append(ch, next, begin);
		head_set(ch, head);
	}
	spin_unlock(&ch->lock);
	return err;
}

/* The first @nr of the blocks behind those that are queued are not to be. */
static void record_blocks_put(struct faasin_channel *ch, unsigned long nr)
{
	while (nr--)
		faasin_pool_put(&ch->pool, ch->ring[(ch->queued + nr) & ch->ring_mask].block);
}

static void note_held(struct faasin_channel *ch, u64 head)
{
	if (head - ch->tail_known <= ch->held_max)
		return;
	ch->tail_known = faasin_ring_tail(ch);
	/* A block comes back a moment before the tail tells of its last bytes. */
	WRITE_ONCE(ch->held_max,
		   max(ch->held_max, min(head - ch->tail_known, ch->pool.capacity)));
}

/*
 * Some bytes of @from into the ring, in a new block of no more than @most bytes: > 0 that
 * many, 0 no room, < 0 an error.
 */
static __always_inline ssize_t channel_fill(struct faasin_channel *ch,
					    const struct faasin_handle *h, struct iov_iter *from,
					    bool whole, u32 most)
{
	size_t want = iov_iter_count(from), n, copied = 0;
	struct faasin_block *next = NULL;
	u32 space;
	u64 head;
	int err;

	faasin_lane_retire(ch);
	head = ch->head;
	err = writes_on(h);
	if (err)
		return err;
	if (faasin_channel_paused(ch))
		return 0;

	ring_start_over(ch, head);
	if (unlikely(ch->oversized))
		ring_drop_oversized(ch);
	space = faasin_ring_space(ch, head);
	if (space < want) {
		next = block_take(ch, most);
		if (!next && (whole || !space))
			return 0;
		/* The rest of the capacity, and not enough. */
		if (unlikely(whole && next->size < want - space)) {
			faasin_pool_put(&ch->pool, next);
			return 0;
		}
	}

	n = min_t(size_t, want, space);
	if (n)
		copied = copy_in(ch->last->block, head - ch->last->begin, n, from);
	if (next && copied == n) {
		n = min_t(size_t, want - n, next->size);
		copied += copy_in(next, 0, n, from);
	}
	/* Of what goes in together, a part is nothing. */
	if (whole && copied < want)
		copied = 0;
	if (next && copied <= space) {
		faasin_pool_put(&ch->pool, next);
		next = NULL;
	}
	if (!copied)
		return -EFAULT;
	err = publish(ch, h, next, head + min_t(size_t, copied, space), head + copied);
	if (err) {
		if (next)
			faasin_pool_put(&ch->pool, next);
		iov_iter_revert(from, copied);
		return err;
	}
	note_held(ch, head + copied);
	return copied;
}

/*
 * Blocks for @n bytes, into slots of the ring that are not queued yet: how many, or 0 if there is
 * no room for all.
 */
static unsigned long record_blocks(struct faasin_channel *ch, u64 begin, size_t n)
{
	struct faasin_segment *seg;
	unsigned long nr = 0;
	size_t got = 0;
	bool starved;

	/* Without taking and putting back, where that is known to be in vain. */
	while (n <= got + faasin_pool_room(&ch->pool)) {
		seg = &ch->ring[(ch->queued + nr) & ch->ring_mask];
		seg->block = block_take(ch, U32_MAX);
		if (!seg->block)
			break;
		seg->begin = begin + got;
		got += seg->block->size;
		nr++;
		if (got >= n)
			return nr;
		/* There may be thousands. */
		cond_resched();
		if (fatal_signal_pending(current))
			break;
	}
	/* Who puts something back makes room, but this is what there was. */
	starved = READ_ONCE(ch->pool.starved);
	record_blocks_put(ch, nr);
	WRITE_ONCE(ch->pool.starved, starved);
	return 0;
}

/* All of a record: into the last block, and those of record_blocks(). Whether it could be read. */
static bool record_copy_in(struct faasin_channel *ch, u64 head, u32 space, struct iov_iter *from)
{
	struct faasin_segment *seg;
	unsigned long i;
	size_t n;

	n = min_t(size_t, iov_iter_count(from), space);
	if (n && copy_in(ch->last->block, head - ch->last->begin, n, from) != n)
		return false;
	for (i = ch->queued; iov_iter_count(from); i++) {
		seg = &ch->ring[i & ch->ring_mask];
		n = min_t(size_t, iov_iter_count(from), seg->block->size);
		if (copy_in(seg->block, 0, n, from) != n)
			return false;
		/* It may be a gigabyte. */
		cond_resched();
	}
	return true;
}

/* publish() of a record, with @nr blocks of record_blocks(). */
static int record_publish(struct faasin_channel *ch, const struct faasin_handle *h,
			  unsigned long nr, u64 head)
{
	struct faasin_segment *seg;
	int err;

	spin_lock(&ch->lock);
	err = writes_on(h);
	if (!err) {
		trace_faasin_publish(ch->generation, h->stream->number, head, head - ch->head);
		while (nr--) {
			seg = &ch->ring[ch->queued & ch->ring_mask];
			ring_append(ch, seg->block, seg->begin);
		}
		faasin_record_note(ch, head);
		head_set(ch, head);
	}
	spin_unlock(&ch->lock);
	return err;
}

/* A record, all of it: its length; or as channel_fill(). */
static ssize_t record_try(struct faasin_channel *ch, const struct faasin_handle *h,
			  struct iov_iter *from)
{
	size_t want = iov_iter_count(from);
	unsigned long nr = 0;
	u64 head = ch->head;
	u32 space;
	int err;

	ring_start_over(ch, head);
	if (unlikely(ch->oversized))
		ring_drop_oversized(ch);
	space = faasin_ring_space(ch, head);
	if (want > space) {
		nr = record_blocks(ch, head + space, want - space);
		if (!nr)
			return 0;
	}
	err = record_copy_in(ch, head, space, from) ? record_publish(ch, h, nr, head + want) :
						      -EFAULT;
	if (!err) {
		note_held(ch, head + want);
		return want;
	}
	record_blocks_put(ch, nr);
	iov_iter_revert(from, want - iov_iter_count(from));
	return err;
}

/* There was nothing in the ring, and still no room for a record: no more comes by reading. */
static int record_short(struct faasin_channel *ch)
{
	/* Nobody has anything that may come back, and nobody pays for more. */
	if (ch->pool.gone && !atomic64_read(&ch->pool.held) && !faasin_pool_has_away(&ch->pool))
		return -ENOMEM;
	WRITE_ONCE(ch->short_of, true);
	/* It tells the pollers when to look again; who sleeps does so by itself. */
	faasin_channel_idle_later(ch);
	return 0;
}

/*
 * channel_fill() of a link with records: all of @from, or nothing; also -EMSGSIZE if it can never
 * go in, -ENOMEM if there is no memory for it, nor will be, -ERESTARTSYS if the caller was killed,
 * -EXDEV if it is another link's turn.
 */
static noinline ssize_t record_fill(struct faasin_channel *ch, struct faasin_handle *h,
				    struct iov_iter *from)
{
	size_t want = iov_iter_count(from);
	bool empty;
	ssize_t n;

	if (faasin_turn_moved(h))
		return -EXDEV;
	if (want > ch->pool.capacity) {
		WRITE_ONCE(*faasin_handle_refused(h), 0);
		return -EMSGSIZE;
	}
	n = writes_on(h);
	if (n || faasin_channel_paused(ch))
		return n;
	/* Asked first: what was empty when it was tried, stays so. */
	empty = ring_drained(ch, ch->head);
	n = faasin_records_have_room(ch) ? record_try(ch, h, from) : 0;
	/* Which may be why it got none, and there may be room enough to try it again, and again. */
	if (!n && fatal_signal_pending(current))
		return -ERESTARTSYS;
	/* The last block, which may have to stay as it is, is all that is left in the ring. */
	if (!n && empty && ring_take_back(ch))
		n = record_try(ch, h, from);
	if (!n && empty && !ch->reader_busy)
		n = record_short(ch);
	else if (n > 0 || (!n && !empty))
		/* Reading makes room again. After an error nobody knows: pollers are told. */
		WRITE_ONCE(ch->short_of, false);
	if (n)
		WRITE_ONCE(*faasin_handle_refused(h), 0);
	if (n > 0 && unlikely(h->round))
		faasin_turn_move(h);
	return n;
}

/*
 * Bytes were published: wake whoever found none. Publishing was done under
 * ch->lock, and whoever sleeps or polls for bytes takes that lock between
 * queueing and looking: either it saw the bytes, or it is in the queue by now.
 */
static void wake_after_write(struct faasin_channel *ch)
{
	if (unlikely(ch->trunk)) {
		faasin_trunk_wake(ch);
		return;
	}
	/* No barrier: see above. */
	if (waitqueue_active(&ch->readers.wait)) {
		faasin_side_count(&ch->wr.wakes);
		trace_faasin_wake(ch->generation, FAASIN_DIRECTION_IN);
		wake_up_interruptible_poll(&ch->readers.wait, EPOLLIN | EPOLLRDNORM);
	} else if (likely(!ch->inbox) || !ch->inbox->merge) {
		/* Whom an input that merges wakes is counted for no link, so neither is this. */
		faasin_side_count(&ch->wr.wakes_avoided);
	}
	/* Whoever polls edge-triggered expects to hear of every write. See above. */
	if (waitqueue_active(&ch->readers.poll))
		faasin_pollers_wake(&ch->readers.poll, EPOLLIN | EPOLLRDNORM);
	if (unlikely(ch->inbox))
		faasin_inbox_wake(ch);
}

/**
 * faasin_channel_has_room() - would a write that goes in together go through
 * @ch: channel
 * @need: of up to so many bytes: PIPE_BUF, or a record
 *
 * If not, the consumer tells the pollers when one of PIPE_BUF would, or there is more room.
 *
 * Return: whether there is room.
 */
bool faasin_channel_has_room(struct faasin_channel *ch, size_t need)
{
	if (faasin_ring_has_room(ch, need))
		return true;
	WRITE_ONCE(ch->full, true);
	/* Pairs with wq_has_sleeper() in wake_after_read(), and in trunk_drop_next(). */
	smp_mb();
	if (ch->trunk)
		faasin_trunk_drop(ch, need);
	return faasin_ring_has_room(ch, need);
}

struct room_wait {
	const struct faasin_handle *handle;
	size_t need;
};

static bool room_ready(struct faasin_channel *ch, void *arg)
{
	struct room_wait *w = arg;

	/* A record that became too long for the channel waits for nothing. */
	return writes_on(w->handle) || faasin_turn_moved(w->handle) ||
	       faasin_ring_has_room(ch, w->need) || w->need > READ_ONCE(ch->pool.capacity);
}

/* Once in the queue: pairs with trunk_drop_next(). */
static bool room_comes(struct faasin_channel *ch, struct room_wait *w)
{
	if (room_ready(ch, w))
		return true;
	if (!ch->trunk)
		return false;
	faasin_trunk_drop(ch, w->need);
	return room_ready(ch, w);
}

/**
 * faasin_ring_wait_for_room() - the channel is full: wait without the mutex
 * @h: an output's open file; its channel's wr.mutex held
 * @need: room for how many bytes
 *
 * Return: 0, with the mutex held again, though others may have taken the room by then;
 * or -ERESTARTSYS, without it.
 */
int faasin_ring_wait_for_room(const struct faasin_handle *h, size_t need)
{
	struct faasin_channel *ch = h->channel;
	struct room_wait w = { .handle = h, .need = need };
	wait_queue_head_t *writers = &faasin_channel_writers(ch)->wait;
	bool reader_busy = ch->reader_busy;
	struct task_struct *peer;
	DEFINE_WAIT(wait);
	int err = 0;
	u64 since;

	/* Since the caller looked it may have been without the mutex. */
	faasin_lane_retire(ch);
	trace_faasin_block(ch->generation, FAASIN_DIRECTION_OUT);
	faasin_side_count(&ch->wr.blocks);
	ch->reader_busy = false;
	/* As in faasin_ring_wait_for_data(). */
	peer = faasin_side_wait_begin(ch, &ch->wr, &ch->rd, &since);
	mutex_unlock(&ch->wr.mutex);
	/*
	 * An empty channel has room, and this one could not be had while a reader that found it
	 * empty was there: that one may need this CPU to be gone.
	 */
	if (unlikely(reader_busy))
		usleep_range(20, 200);
	if (faasin_side_spin(ch, peer, room_ready, &w))
		goto done;

	for (;;) {
		prepare_to_wait(writers, &wait, TASK_INTERRUPTIBLE);
		if (room_comes(ch, &w))
			break;
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		/* What kept the pool from growing may have passed. */
		if (!schedule_timeout(FAASIN_LOOK_JIFFIES) && READ_ONCE(ch->pool.starved))
			break;
	}
	finish_wait(writers, &wait);
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
 * Up to PIPE_BUF bytes go in together; without waiting, all or none. A record goes in whole,
 * however long.
 *
 * Return: bytes written, or
 * -EPIPE: the stream is over (with SIGPIPE), also sent after a partial count
 * -ESTALE: the stage was replaced
 * -EAGAIN: no room and not to wait
 * -EFAULT: none of the bytes could be read
 * -ERESTARTSYS: a signal came first
 * -EUSERS: FAASIN_WRITERS_MAX processes write already
 * -ENOMEM: no memory to register the process as a writer; or for a record, and the cgroup that pays
 *	is gone
 * -EMSGSIZE: a record is longer than the capacity
 * -EXDEV: records are dealt, and by now it is another link's turn
 */
ssize_t faasin_channel_write(struct faasin_channel *ch, struct faasin_handle *h,
			     struct iov_iter *from, bool nonblock, bool nowait)
{
	bool whole = iov_iter_count(from) <= PIPE_BUF || ch->records;
	struct faasin_stream *s = h->stream;
	size_t room = ch->records ? iov_iter_count(from) : PIPE_BUF;
	bool again = false;
	size_t done = 0;
	ssize_t n;
	int err;

	if (!iov_iter_count(from))
		return 0;
	err = faasin_ring_writer(h);
	if (err)
		return err;
	err = faasin_side_lock(&ch->wr, nowait);
	if (err)
		return err;
	faasin_side_user(ch, &ch->wr);

	while (iov_iter_count(from)) {
		n = unlikely(ch->records) ? record_fill(ch, h, from) :
					    channel_fill(ch, h, from, whole, U32_MAX);
		if (n > 0) {
			done += n;
			again = false;
			wake_after_write(ch);
			continue;
		}
		if (!n && nonblock) {
			/* Tried again so that the pollers' mark is set first. */
			if (!again && faasin_channel_has_room(ch, room)) {
				again = true;
				continue;
			}
			/* It will be polled for that, if it is a record. */
			if (unlikely(ch->records))
				WRITE_ONCE(*faasin_handle_refused(h), room);
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
		err = faasin_ring_wait_for_room(h, whole ? iov_iter_count(from) : 1);
		if (err)
			goto unlocked;
	}
	if (done)
		faasin_side_count(&ch->wr.calls);
	mutex_unlock(&ch->wr.mutex);
unlocked:
	if (done)
		trace_faasin_write(ch->generation, s->number, done);
	if (err == -EPIPE)
		send_sig(SIGPIPE, current, 0);
	return done ?: err;
}

/**
 * faasin_ring_fill() - bytes in, by copying
 * @h: an output's open file; its channel's wr.mutex held
 * @from: bytes; advanced by what was taken
 * @whole: all or none
 *
 * Return: > 0 that many, 0 no room, -EPIPE, -ESTALE or -EFAULT.
 */
ssize_t faasin_ring_fill(const struct faasin_handle *h, struct iov_iter *from, bool whole)
{
	struct faasin_channel *ch = h->channel;
	/* So that a page can follow: see block_closes(). */
	size_t most = clamp_t(size_t, roundup_pow_of_two(iov_iter_count(from)), 2 * PAGE_SIZE,
			      max_t(size_t, 2 * PAGE_SIZE, FAASIN_BLOCK_MAX));
	ssize_t n = channel_fill(ch, h, from, whole, most);

	if (n > 0)
		wake_after_write(ch);
	return n;
}

/* May nothing be added to a block any more? No capacity nor slot is to be lost: pool.h. */
static bool block_closes(u32 used, u32 unused)
{
	return !unused || (unused <= PAGE_SIZE && used >= PAGE_SIZE);
}

/* What the last block has: bytes that somebody may look at, and others. */
static void last_use(struct faasin_channel *ch, u32 *used, u32 *unused)
{
	struct faasin_segment *last = ch->last;

	*used = last && !ring_drained(ch, ch->head) ? ch->head - last->begin : 0;
	*unused = last ? last->block->size - *used : 0;
}

/**
 * faasin_ring_closes() - can pages be moved in without loss of capacity
 * @ch: channel, its wr.mutex held
 * @n: after so many bytes by faasin_ring_fill()
 *
 * Return: whether they can, as far as that can be known.
 */
bool faasin_ring_closes(struct faasin_channel *ch, size_t n)
{
	u32 used, unused;

	last_use(ch, &used, &unused);
	if (n <= unused)
		return block_closes(used + n, unused - n);
	/* The rest in another one. */
	return n - unused >= PAGE_SIZE;
}

/**
 * faasin_ring_pages() - how many pages can be moved in
 * @ch: channel, its wr.mutex held
 *
 * Return: how many; it does not become less while the mutex is held.
 */
unsigned int faasin_ring_pages(struct faasin_channel *ch)
{
	u32 used, unused;

	lockdep_assert_held(&ch->wr.mutex);
	if (faasin_channel_paused(ch))
		return 0;
	last_use(ch, &used, &unused);
	/* A block of which nothing is left makes way. */
	if (used && !block_closes(used, unused))
		return 0;
	return faasin_pool_room_for_pages(&ch->pool, unused);
}

/* In ch->lock: what came by reference, up to @head, and to which nothing is added. */
static void publish_fixed(struct faasin_channel *ch, const struct faasin_handle *h, u64 head)
{
	trace_faasin_publish(ch->generation, h->stream->number, head, head - ch->head);
	if (unlikely(ch->records))
		faasin_record_note(ch, head);
	ch->last = NULL;
	WRITE_ONCE(ch->space, 0);
	ch->wr.moved += head - ch->head;
	/* Pairs with head_seen(). */
	smp_store_release(&ch->head, head);
	if (unlikely(ch->trunk))
		faasin_trunk_publish(ch);
}

/* In ch->lock: @n pages; the first takes the place of the last block if that is not @used. */
static void append_pages(struct faasin_channel *ch, struct faasin_block **b, unsigned int n,
			 u32 used)
{
	struct faasin_segment *last = ch->last;
	u64 head = ch->head;
	unsigned int i = 0;

	if (last && used) {
		/* Compared by the consumer. */
		WRITE_ONCE(last->block->size, used);
	} else if (last) {
		last->begin = head;
		last->block = b[i++];
	}
	for (; i < n; i++)
		ring_append(ch, b[i], head + ((u64)i << PAGE_SHIFT));
}

/**
 * faasin_ring_move() - pages in, by reference
 * @h: an output's open file; its channel's wr.mutex held
 * @b: blocks of faasin_pool_moved(); the ring's from then on
 * @n: how many, at least one; no more than faasin_ring_pages() says
 *
 * Return: 0; or -EPIPE if the stream is over, -ESTALE if the stage was replaced: then
 * nothing was done.
 */
int faasin_ring_move(const struct faasin_handle *h, struct faasin_block **b, unsigned int n)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_block *idle = NULL;
	u32 used, unused;
	s64 more;
	int err;

	lockdep_assert_held(&ch->wr.mutex);
	last_use(ch, &used, &unused);
	if (ch->last && !used)
		idle = ch->last->block;
	/* Before the consumer can put them. */
	more = ((s64)n << PAGE_SHIFT) - unused;
	atomic64_add(more, &ch->pool.held);
	spin_lock(&ch->lock);
	err = writes_on(h);
	if (!err) {
		append_pages(ch, b, n, used);
		publish_fixed(ch, h, ch->head + ((u64)n << PAGE_SHIFT));
	}
	spin_unlock(&ch->lock);
	if (err) {
		atomic64_sub(more, &ch->pool.held);
		return err;
	}
	if (idle)
		faasin_pool_put_uncounted(&ch->pool, idle);
	if (unlikely(ch->oversized))
		ch->oversized = atomic64_read(&ch->pool.held) > ch->pool.capacity;
	note_held(ch, ch->head);
	wake_after_write(ch);
	return 0;
}

/**
 * faasin_ring_append_extent() - what was sent by a lane is queued
 * @ch: channel, its lock held, whose lane is on, and is retired
 * @e: extent without an owner
 * @begin: position of its first byte
 *
 * Return: the position behind it.
 */
u64 faasin_ring_append_extent(struct faasin_channel *ch, struct faasin_extent *e, u64 begin)
{
	lockdep_assert_held(&ch->lock);
	ring_append(ch, &e->block, begin);
	ch->last = NULL;
	WRITE_ONCE(ch->space, 0);
	return begin + e->block.size;
}

/**
 * faasin_channel_queue() - a record in, by reference
 * @h: an output's open file; its channel's wr.mutex held
 * @e: its extents, without an owner
 * @n: how many
 *
 * Return: 0; or -EPIPE if the stream is over, -ESTALE if the stage was replaced: then nothing
 * was done.
 */
int faasin_channel_queue(struct faasin_handle *h, struct faasin_extent **e, u32 n)
{
	struct faasin_channel *ch = h->channel;
	u64 head = ch->head;
	int err;
	u32 i;

	lockdep_assert_held(&ch->wr.mutex);
	faasin_side_user(ch, &ch->wr);
	spin_lock(&ch->lock);
	err = writes_on(h);
	for (i = 0; !err && i < n; i++) {
		ring_append(ch, &e[i]->block, head);
		head += e[i]->block.size;
	}
	if (!err)
		publish_fixed(ch, h, head);
	spin_unlock(&ch->lock);
	if (err)
		return err;
	note_held(ch, head);
	faasin_side_count(&ch->wr.calls);
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
