/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fan-out: an output that may have several links.
 *
 * Its open files have the trunk, a channel whose producing side, ring and pool are as of
 * any other: who writes does not know how many links there are, and bytes are there once.
 * Each link has a branch, a channel of which the consuming side alone is used: streams,
 * session, waiters, statistics, and a cursor (@tail, @done, @drained) of its own into the trunk's
 * ring. Positions and numbers of streams are the trunk's. What the producer publishes it
 * tells each branch of, under that one's lock, so that a branch's reader works like any.
 *
 * The cursor of the trunk's own consuming side is where the slowest branch's is: whoever
 * moves a branch's beyond a segment moves it, and the segments that all are done with go back
 * to the pool. So the slowest throttles the producer, and nothing is counted a block.
 *
 * A stream of the trunk has a part in each branch that had a link when it began: a stream
 * of the branch's, with an end of its own where its reader closes early, or its link is
 * deleted. When no part is left that can be read, the stream is over for the producer, too. A
 * branch whose part is over drops what goes on being published.
 *
 * A deleted link's branch goes on being read. As soon as it is what the producer waits for, what
 * is left of it is dropped. A link with the policy to be dropped when slow loses its oldest stream
 * that has bytes left when the producer finds no room and those that it waits for in any case
 * are well ahead of it: those that throttle or, if there are none, the first of those that read
 * up to where they are. Since these take part in the live stream, that one is never over because
 * of this. Whoever waits for room looks once it is in the queue, or marked as a poller, and so does
 * every branch that has read, or whose input was opened or closed, while somebody waits.
 *
 * Locks:
 *	a branch's rd.mutex -> the trunk's rd.mutex, which is never held across a copy, nor while
 *		somebody is waited for; what it guards is the trunk's cursor. It may be waited for
 *		under a pipe's lock, as window.lock may.
 *	the trunk's wr.mutex -> a branch's rd.mutex, by trylock
 *	the trunk's wr.mutex -> the trunk's rd.mutex; the other way round it is only tried for
 *		(the idle work)
 *	the trunk's lock -> a branch's lock
 * A trunk's are classes of their own for lockdep. The trunk's lock guards which branches there are;
 * a branch is in the list from when it joined until it is freed, or its link is gone and all
 * of it was read. A branch holds its trunk, and is held by the parts of streams that live.
 */
#ifndef _FAASIN_TRUNK_H
#define _FAASIN_TRUNK_H

#include "channel.h"

struct faasin_stats;

/**
 * struct faasin_trunk - what an output has beside a channel
 * @channel: the channel; constant
 * @branches: those that a cursor is waited for; channel->lock
 * @nr: how many; channel->lock
 * @payer: whose statistics show the pool's memory: the oldest link's or, when none is left, one's
 *	that was deleted and is not freed; NULL: neither; channel->lock
 * @meets: an input of its links may have several, or had; channel->lock
 * @moved: channel->wr.moved when branches were last told; channel->lock
 * @locked: whose rd.mutex is held by who changes the capacity, held; channel->wr.mutex
 * @nr_locked: how many; likewise
 */
struct faasin_trunk {
	struct faasin_channel *channel;
	struct list_head branches;
	unsigned int nr;
	struct faasin_branch *payer;
	bool meets;
	u64 moved;
	struct faasin_channel *locked[FAASIN_FAN_MAX];
	unsigned int nr_locked;
};

/**
 * struct faasin_counts - what the trunk counts for all branches
 * @calls: of the producing side
 * @blocks: likewise
 * @blocked_ns: likewise
 * @wakes: of the producing side, from the other
 */
struct faasin_counts {
	u64 calls;
	u64 blocks;
	u64 blocked_ns;
	u64 wakes;
};

/**
 * struct faasin_branch - what a link of such an output has beside a channel
 * @trunk: whose channel is held; constant
 * @channel: the link's; constant
 * @entry: in the trunk's list
 * @passed: the channel's @done, as others may know it; stored with release
 * @dropping: its cursor is beyond what it dropped, and the trunk's may not be yet; set by who has
 *	rd.mutex, before that is stored, and cleared with release
 * @start: position at which it joined; constant then
 * @first: number of the last stream before that; constant then
 * @since: what the trunk had counted then; constant then
 * @until: and when the link was deleted; the trunk's lock
 * @over: that is said; the trunk's lock
 * @kib_ms: memory over time while it was payer before; the trunk's lock
 * @paid_since: that of the pool when it became payer; the trunk's lock
 */
struct faasin_branch {
	struct faasin_trunk *trunk;
	struct faasin_channel *channel;
	struct list_head entry;
	unsigned long passed;
	bool dropping;
	u64 start;
	u64 first;
	struct faasin_counts since;
	struct faasin_counts until;
	bool over;
	u64 kib_ms;
	u64 paid_since;
};

/* Whose ring, pool, window and producing side a channel's consumer has to do with. */
static inline struct faasin_channel *faasin_channel_store(struct faasin_channel *ch)
{
	return unlikely(ch->branch) ? ch->branch->trunk->channel : ch;
}

/* trunk.c */
int faasin_trunk_create(struct faasin_channel *ch);
void faasin_trunk_free(struct faasin_channel *ch);
int faasin_branch_create(struct faasin_channel *ch, struct faasin_channel *trunk);
void faasin_branch_free(struct faasin_channel *ch);
bool faasin_trunk_has_room(struct faasin_channel *ch, unsigned int n);
void faasin_trunk_join(struct faasin_channel *ch);
void faasin_branch_unlink(struct faasin_channel *ch);
void faasin_branch_leave(struct faasin_channel *ch);
void faasin_trunk_publish(struct faasin_channel *ch);
void faasin_trunk_wake(struct faasin_channel *ch);
void faasin_branch_opened(struct faasin_channel *ch);
void faasin_branch_read(struct faasin_channel *ch);
void faasin_branch_passed(struct faasin_channel *ch, bool dropped);
void faasin_trunk_drop(struct faasin_channel *ch, size_t need);
void faasin_trunk_state(struct faasin_channel *ch);
int faasin_trunk_lock(struct faasin_channel *ch, u64 until, struct netlink_ext_ack *extack);
void faasin_trunk_unlock(struct faasin_channel *ch);
void faasin_trunk_resized(struct faasin_channel *ch);
void faasin_trunk_event(struct faasin_channel *ch, enum faasin_event_type type);
void faasin_branch_stats(struct faasin_channel *ch, struct faasin_stats *st);

/* part.c */
int faasin_parts_prepare(struct faasin_channel *ch, struct faasin_stream *s);
void faasin_parts_free(struct faasin_stream *s);
bool faasin_parts_may_begin(struct faasin_channel *ch);
void faasin_parts_begin(struct faasin_channel *ch, struct faasin_stream *s);
void faasin_parts_began(struct faasin_stream *s);
void faasin_parts_finish(struct faasin_stream *s, enum faasin_stream_state state,
			 const struct faasin_cause_info *ci);
void faasin_parts_said(struct faasin_channel *ch, struct faasin_stream *s,
		       const struct faasin_cause_info *ci);
void faasin_part_over(struct faasin_channel *ch, struct faasin_stream *part,
		      const struct faasin_cause_info *ci);
void faasin_parts_swallow(struct faasin_stream *s, size_t n);
void faasin_parts_set_context(struct faasin_stream *s);
bool faasin_parts_begun(const struct faasin_stream *s);
bool faasin_parts_give_up(struct faasin_channel *ch);
void faasin_parts_cut(struct faasin_channel *ch, u64 pos);

#endif /* _FAASIN_TRUNK_H */
