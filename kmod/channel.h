/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A channel: a ring of segments, a pool of blocks, two sides.
 *
 * One producer and one consumer work at the same time without a lock between
 * them. The producer owns everything behind @head that it has not published;
 * the consumer owns everything from @tail up to what it has seen published.
 *
 *	head	bytes published. The producer stores it (release) after the
 *		bytes and their segment are in place; the consumer loads it
 *		(acquire) before it looks at either.
 *	tail	bytes consumed. The consumer stores it (release) when it no
 *		longer looks at them or at their segments; the producer loads it
 *		(acquire). tail == head: the producer owns the whole ring, its
 *		last segment included, and may start that one over.
 *
 * A cache line that both sides touch in every call costs more than all else a
 * small call does. Therefore each side keeps what it last saw of the other
 * (@tail_known, @head_known) and looks again only when that is used up; that the
 * consumer has caught up is said apart (@drained). What one side alone uses, what
 * it tells the other, and what hardly ever changes (queues of waiters included)
 * lie on lines of their own.
 *
 * Positions only grow. A stream is a range of positions (stream.h), so a block
 * may carry the end of one and the start of the next.
 *
 * Locks:
 *	wr.mutex	the producers among themselves; may be held across a
 *			fault of user memory, never across a sleep for the peer
 *	rd.mutex	the consumers, likewise
 *	lock		streams and sessions, the moment of publishing, @cause;
 *			never sleeps. Publishing happens under it so that the
 *			end of a stream and the last byte of it are in order.
 * lane_mutex nests in both mutexes, which are only tried for under it (lane.h).
 * window.lock nests in both mutexes, and in mmap_lock, which nests in them, too; so does a
 * mapping's i_mmap_rwsem, when a window is unmapped (window.h).
 * They nest: rd.mutex -> wr.mutex (only the idle work, who changes the capacity and who
 * splices out take both, by trylock) -> lock -> wait queue locks. Where an output has several
 * links, those of each link come before those of all: trunk.h; where its records are dealt, its
 * open files have a mutex that @lock nests in: deal.h. Where an input has, what they
 * share has a lock that nests in @lock: inbox.h; if it merges them, rd.mutex nests in a mutex
 * of that: merge.h. The lock of a pipe at the other end of a splice() is outside of all of
 * these, which are only tried for under it (splice.h). Spin locks of statistics are taken last,
 * and alone but for a trunk's lock.
 * Nobody closes, unlinks or aborts under either mutex: a writer that is stuck
 * in a fault cannot hold those up.
 */
#ifndef _FAASIN_CHANNEL_H
#define _FAASIN_CHANNEL_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "pool.h"
#include "side.h"
#include "stream.h"
#include "window.h"
#include "uapi/faasin.h"

/**
 * enum faasin_round - what a link has to do with a merged stream that is under way (merge.h)
 * @FAASIN_ROUND_NONE: nothing: there is none, or the link came later
 * @FAASIN_ROUND_ON: a stream of its is part of that
 * @FAASIN_ROUND_OVER: and was consumed
 */
enum faasin_round {
	FAASIN_ROUND_NONE,
	FAASIN_ROUND_ON,
	FAASIN_ROUND_OVER,
};

struct cgroup_subsys_state;
struct faasin_account;
struct faasin_branch;
struct faasin_deal;
struct faasin_inbox;
struct faasin_lane;
struct faasin_port;
struct faasin_stats;
struct faasin_trunk;
struct netlink_ext_ack;

/**
 * struct faasin_segment - a run of bytes from the start of one block on
 * @block: where; or an extent's, or one that was moved in: then nothing is added to it
 * @begin: position of the first byte
 *
 * It ends where the next segment begins; the last one ends at head.
 */
struct faasin_segment {
	struct faasin_block *block;
	u64 begin;
};

/**
 * struct faasin_channel - the kernel object behind a link
 * @wr: the producing side
 * @tail_known: @tail when the producer last looked; @wr.mutex
 * @last: the segment that is being filled; NULL: none; @wr.mutex
 * @held_max: most bytes that waited; @wr.mutex
 * @gone_said: the event that the cgroup is gone was sent; @wr.mutex
 * @oversized: more may be out than the capacity, which became smaller; @wr.mutex
 * @reader_busy: the last block was to be taken back, and a reader was at work; @wr.mutex
 * @short_of: a record found no room, though the ring was empty; @wr.mutex, read by anyone
 * @want: of a trunk: the most that anybody waits for who was not told of room since; anybody's
 * @head: see above
 * @queued: segments ever queued; stored (release) by the producer before @head
 * @space: bytes that fit into the last segment's block; @wr.mutex, read by anyone
 * @ends_in: ends of records ever noted; @wr.mutex, read by anyone
 * @rd: the consuming side
 * @head_known: the consumer may read up to here without looking; @rd.mutex
 * @stream_known: number of the stream that this is said of; @rd.mutex
 * @queued_known: @queued when, or after, @head_known was looked up; @rd.mutex
 * @tail: see above
 * @done: segments ever done with; @rd.mutex
 * @drained: what @tail was when the consumer last had read all that it knew of:
 *	@head if the channel is empty, for then it knew all; stored with release
 * @ends_out: ends of records ever passed; @rd.mutex; stored with release
 * @ring: segments; index & @ring_mask; changes under both mutexes
 * @ring_mask: slots - 1; likewise
 * @trunk: of an output that may have several links: what it has beside a channel; constant
 * @branch: of a link of such an output: likewise; constant
 * @deal: of a link of an output whose records are dealt: what its links share, held; constant once
 *	it is made
 * @inbox: of an input that may have several links: what they share, held; constant once it is made
 * @abort_on: enum faasin_abort_on; constant
 * @early_close: enum faasin_early_close; constant
 * @slow: of a link: enum faasin_slow; constant once it is made
 * @unlinked: the link is gone; set under @lock
 * @state: paused, draining or neither; set under @lock
 * @replaced: times that the stage at that end was replaced, by direction; set under @lock
 * @lane_on: two open files pass extents on without the ring: lane.h
 * @records: what one call writes is a record: record.h; constant once the link is made
 * @full: a writer or poller found no room and waits to be told
 * @discard: the consumer drops everything below this position first; never goes back; @lock
 * @ends: where records end, the lower half of each position; NULL if there are none; changes under
 *	both mutexes and @lock
 * @ends_mask: entries - 1; likewise
 * @readers: who waits for bytes
 * @writers: who waits for room
 * @pool: blocks; guarded by @wr.mutex
 * @window: memory that is mapped; see there
 * @lock: see above
 * @streams: not consumed yet, oldest first; @lock
 * @nr_queued: of these, ended or aborted; @lock
 * @producing: the live one, or NULL; @lock
 * @session: consumers' session that an open joins, or NULL; @lock
 * @opens: open files, by direction; of an input with an inbox, see faasin_channel_readers(); @lock
 * @stream_seq: number of the newest stream; @lock
 * @ended: streams that ended; @lock
 * @aborted: streams that were aborted; @lock
 * @early: streams closed early; @lock
 * @discarded: bytes that were in the ring and never read; @lock
 * @swallowed: bytes of writers whose reader is gone; @lock
 * @cause: @lock
 * @lane_mutex: see lane.h
 * @lane: offered, or on, or NULL; @lane_mutex
 * @lane_seq: number of the newest lane; @lane_mutex
 * @lane_files: of ends, by direction, of lanes that were retired, too; @lane_mutex
 * @deal_entry: in the deal's list; deal->lock
 * @inbox_entry: in the inbox's list; inbox->lock, and @lock
 * @round: of a link of an input that merges; inbox->lock
 * @idle: gives empty blocks back
 * @idle_seen: @head when @idle last ran
 * @cut: among the channels whose links are being deleted; the deleter's. Without references:
 *	among those that are to be freed
 * @ref: the link's, and one an open file
 * @src: the output port; held; constant
 * @dst: the input port; held; constant; NULL of a trunk
 * @generation: the link's; constant once it is made
 * @account: what it is added to; NULL: it never had a link; constant once it has
 * @account_entry: in the account's list; workflow->accounts_mutex
 * @linked_at: when the link was made; constant once it is
 * @unlinked_at: when it went; @lock
 */
struct faasin_channel {
	/* The producer's own. */
	struct faasin_side wr;
	u64 tail_known;
	struct faasin_segment *last;
	u64 held_max;
	bool gone_said;
	bool oversized;
	bool reader_busy;
	bool short_of;
	u32 want;

	/* What it tells. */
	u64 head ____cacheline_aligned_in_smp;
	unsigned long queued;
	u32 space;
	unsigned long ends_in;

	/* The consumer's own. */
	struct faasin_side rd ____cacheline_aligned_in_smp;
	u64 head_known;
	u64 stream_known;
	unsigned long queued_known;
	unsigned long done;

	/* What it tells. */
	u64 tail ____cacheline_aligned_in_smp;
	u64 drained ____cacheline_aligned_in_smp;
	unsigned long ends_out;

	/* What hardly ever changes. */
	struct faasin_segment *ring ____cacheline_aligned_in_smp;
	unsigned long ring_mask;
	struct faasin_trunk *trunk;
	struct faasin_branch *branch;
	struct faasin_deal *deal;
	struct faasin_inbox *inbox;
	enum faasin_abort_on abort_on;
	enum faasin_early_close early_close;
	enum faasin_slow slow;
	bool unlinked;
	enum faasin_link_state state;
	unsigned int replaced[2];
	bool lane_on;
	bool records;
	bool full;
	u64 discard;
	u32 *ends;
	unsigned long ends_mask;
	struct faasin_waiters readers;
	struct faasin_waiters writers;

	struct faasin_pool pool ____cacheline_aligned_in_smp;
	struct faasin_window window;

	spinlock_t lock ____cacheline_aligned_in_smp;
	struct list_head streams;
	unsigned int nr_queued;
	struct faasin_stream *producing;
	struct faasin_session *session;
	unsigned int opens[2];
	u64 stream_seq;
	u64 ended;
	u64 aborted;
	u64 early;
	u64 discarded;
	u64 swallowed;
	struct faasin_cause_info cause;

	struct mutex lane_mutex;	/* see lane.h */
	struct faasin_lane *lane;
	u32 lane_seq;
	unsigned int lane_files[2];
	struct list_head inbox_entry;
	enum faasin_round round;
	struct list_head deal_entry;

	struct delayed_work idle;
	u64 idle_seen;
	struct list_head cut;
	struct kref ref;
	struct faasin_port *src;
	struct faasin_port *dst;
	u64 generation;
	struct faasin_account *account;
	struct list_head account_entry;
	u64 linked_at;
	u64 unlinked_at;
};

struct faasin_channel *faasin_channel_new(struct faasin_port *src, struct faasin_port *dst,
					  struct cgroup_subsys_state *css, u64 capacity,
					  enum faasin_abort_on abort_on,
					  enum faasin_early_close early_close);
struct faasin_channel *faasin_channel_new_branch(struct faasin_channel *trunk,
						 struct faasin_port *dst,
						 struct cgroup_subsys_state *css);
void faasin_channel_get(struct faasin_channel *ch);
void faasin_channel_put(struct faasin_channel *ch);
void faasin_channel_put_later(struct faasin_channel *ch);
void faasin_channels_exit(void);

ssize_t faasin_channel_write(struct faasin_channel *ch, struct faasin_handle *h,
			     struct iov_iter *from, bool nonblock, bool nowait);
ssize_t faasin_channel_read(struct faasin_channel *ch, struct faasin_handle *h,
			    struct iov_iter *to, bool nonblock, bool nowait);
int faasin_channel_queue(struct faasin_handle *h, struct faasin_extent **e, u32 n);
long faasin_channel_take(struct faasin_channel *ch, struct faasin_handle *h,
			 struct faasin_range __user *to, u32 max, bool nonblock);
struct faasin_extent *faasin_channel_alloc(struct faasin_channel *ch, u32 nr, u64 *turn);
void faasin_channel_idle_later(struct faasin_channel *ch);
int faasin_channel_resize(struct faasin_channel *ch, u64 capacity,
			  struct netlink_ext_ack *extack);
bool faasin_channel_has_room(struct faasin_channel *ch, size_t need);
void faasin_channel_discard(struct faasin_channel *ch);
void faasin_channel_event(struct faasin_channel *ch, enum faasin_event_type type,
			  u64 stream, u64 bytes, const struct faasin_cause_info *ci);

void faasin_channel_set_state(struct faasin_channel *ch, enum faasin_link_state state);
enum faasin_link_state faasin_channel_state(struct faasin_channel *ch);
int faasin_channel_wait_paused(struct faasin_handle *h, bool nonblock);

/* No bytes are to be moved, in or out. */
static inline bool faasin_channel_paused(const struct faasin_channel *ch)
{
	return unlikely(READ_ONCE(ch->state) == FAASIN_LINK_STATE_PAUSED);
}

/* Where the consumer is when it has dropped what it is to drop, for somebody else. */
static inline u64 faasin_channel_position(const struct faasin_channel *ch)
{
	return max(READ_ONCE(ch->tail), READ_ONCE(ch->discard));
}

void faasin_channel_detach(struct faasin_channel *ch, enum faasin_direction direction);

/*
 * It was opened before the stage was replaced, and may touch its stream no more. Under @lock
 * for good, without it to be looked at again there.
 */
static inline bool faasin_handle_replaced(const struct faasin_handle *h)
{
	return unlikely(READ_ONCE(h->channel->replaced[h->direction]) != h->replaced);
}

void faasin_channel_stats(struct faasin_channel *ch, struct faasin_stats *st);
void faasin_channel_cause(struct faasin_channel *ch, struct faasin_cause_info *ci);

#endif /* _FAASIN_CHANNEL_H */
