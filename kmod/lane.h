/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lanes: on a trusted link, two open files pass extents on by indices in memory that they share,
 * without a call.
 *
 * A lane has three logs, each written by one side: what the producer sent, up to where the
 * consumer took, and what the consumer gave back. The kernel is no party to that. It reads the logs
 * later and applies them to what it knows: who owns which extent, and both positions of the
 * channel. That is settling: whoever asks for figures does it, and the library before a log is
 * overwritten, so that nothing is ever lost of it.
 *
 * While a lane is on, the ring is empty and both cursors are the lane's. Whoever is
 * about to use the ring, and whoever ends, aborts, unlinks, pauses, replaces or closes, retires the
 * lane first: a bit that is set in each index, atomically, says that nothing counts that comes
 * after it. What was sent and not taken then becomes segments of the ring, what came back and was
 * not had again is freed, and both sides go on by calls. A lane is retired once; the next is
 * another.
 *
 * Nothing in that memory is believed. Each word is read once, and how far an index is from
 * what was applied is bounded; an entry is applied if the call that it stands for would have been
 * granted, and what cannot be applied when the lane is retired aborts the stream. What the kernel
 * needs of an entry later it keeps beside. What comes back is the producer's again only if that
 * sent it by this very lane: so none gets what it does not know of, and could not give to anybody.
 *
 * Who waits in another way, for bytes or for room, is told by calls, which do not happen while a
 * lane is on. So none comes on while channel->wr.waiting or ->rd.waiting says that somebody does;
 * and both are counted before the side's mutex is let go (faasin_ring_wait_for_data(),
 * _for_room()). Were it after that, there would be a moment in which whoever turns the lane on
 * has both mutexes, and sees nobody; then the other sleeps, and the flags of the lane do not say
 * so: what it waits for may come by the lane, go to somebody else, and never move anything that
 * it is told of. It is counted in channel->lock, which nests in both mutexes anyway, and nobody
 * is waited for meanwhile. Who waits by a lane is in nobody's way (@lane_waiting): it looks
 * whether one is on whenever it wakes, and with one that comes on the flags say that it sleeps.
 * Other sleepers need no such order: who waits for an extent (wait_for_turn()) retires a lane
 * whenever it looks, ten times a second; who waits for a paused link does so by channel->state,
 * with which no lane comes on; who waits to begin a stream moves no bytes.
 *
 * An idle channel keeps nothing: what came back and was not had again for a while is freed by
 * retiring the lane, and the library gets another one when things go on (faasin_lane_rest()).
 *
 * Locks: channel->lane_mutex guards @lane of the channel and all but constant members of a
 * lane. It nests in faasin_tree_sem, in a workflow's accounts_mutex and in the two sides'
 * mutexes, which are only tried for under it. window.lock and channel->lock nest in it, each alone.
 * No user memory is touched under it and nobody is waited for. channel->lane_on is set under
 * both sides' mutexes and channel->lock, and cleared under lane_mutex and channel->lock: with
 * one of the first two it does not come on, with the last it does not change.
 */
#ifndef _FAASIN_LANE_H
#define _FAASIN_LANE_H

#include <linux/compiler.h>
#include <linux/kref.h>
#include <linux/spinlock.h>

#include "channel.h"

/**
 * struct faasin_lane - a lane
 * @ref: the channel's, one of each file that maps it, one of each that waits
 * @channel: whose it is; held by each file that maps it; constant
 * @number: of the lanes of its channel, from 1; constant once it is the channel's
 * @pages: what is shared; constant
 * @state: in it; the kernel's, the sides only read it
 * @out: the producer's
 * @in: the consumer's
 * @ends: open files, by direction; NULL: not yet, or not any more
 * @pids: who asked for them, held
 * @files: what they map it by, while that is there: without it, nothing more comes of them
 * @sent: entries of the producer's log that were applied
 * @taken: of these, how many were taken
 * @returned: entries of the consumer's second log that were applied
 * @run: extents of the record that is being sent
 * @flying: what was sent and not taken: without an owner
 * @back: first pages of what was returned
 */
struct faasin_lane {
	struct kref ref;
	struct faasin_channel *channel;
	u32 number;
	struct page *pages;
	struct faasin_lane_state *state;
	struct faasin_lane_out *out;
	struct faasin_lane_in *in;
	struct faasin_handle *ends[2];
	struct pid *pids[2];
	struct file *files[2];
	u64 sent;
	u64 taken;
	u64 returned;
	u32 run;
	struct faasin_extent *flying[FAASIN_LANE_SLOTS];
	u32 back[FAASIN_LANE_SLOTS];
};

/* lane.c */
struct faasin_lane *faasin_lane_new(struct faasin_channel *ch);
void faasin_lane_put(struct faasin_lane *lane);
bool faasin_lane_look(struct faasin_channel *ch, struct faasin_lane *lane);
bool faasin_lane_hopeless(const struct faasin_lane *lane);
struct faasin_lane *faasin_lane_drop(struct faasin_channel *ch);
void faasin_lane_leave(struct faasin_handle *h);
bool faasin_lane_rest(struct faasin_channel *ch);
void faasin_lane_settle_now(struct faasin_channel *ch);
void faasin_lane_retire_now(struct faasin_channel *ch);

/* lane_end.c */
long faasin_lane_open(struct faasin_handle *h);
long faasin_lane_wait(struct faasin_handle *h, bool nonblock);
long faasin_lane_kick(struct faasin_handle *h);
void faasin_lane_try_now(struct faasin_channel *ch);
void faasin_lane_poll_now(struct faasin_handle *h);
bool faasin_lane_came_back(struct faasin_channel *ch);
bool faasin_lane_end_of(struct faasin_handle *h);

static inline bool faasin_lane_on(const struct faasin_channel *ch)
{
	/* Pairs with lane_retire(): what it queued is there. */
	return unlikely(smp_load_acquire(&ch->lane_on));
}

/* One that was offered comes on, if nothing is queued and nobody waits; no mutex is held. */
static inline void faasin_lane_try(struct faasin_channel *ch)
{
	/* Just whether there is one. */
	if (unlikely(READ_ONCE(ch->lane)) && !faasin_lane_on(ch))
		faasin_lane_try_now(ch);
}

/* What it moved is counted. */
static inline void faasin_lane_settle(struct faasin_channel *ch)
{
	if (faasin_lane_on(ch))
		faasin_lane_settle_now(ch);
}

/* From here on there is the ring; as long as a side's mutex is held. */
static inline void faasin_lane_retire(struct faasin_channel *ch)
{
	if (faasin_lane_on(ch))
		faasin_lane_retire_now(ch);
}

/* channel->lock, with no lane on. */
static inline void faasin_lane_lock(struct faasin_channel *ch)
	__acquires(&ch->lock)
{
	for (;;) {
		faasin_lane_retire(ch);
		spin_lock(&ch->lock);
		if (likely(!ch->lane_on))
			return;
		spin_unlock(&ch->lock);
	}
}

/* Does an open file pass extents on without calls? */
static inline bool faasin_lane_has_end(struct faasin_handle *h)
{
	return faasin_lane_on(h->channel) && faasin_lane_end_of(h);
}

/* Before a poll looks: whoever passes something on from now on says so. */
static inline void faasin_lane_poll(struct faasin_handle *h)
{
	if (faasin_lane_on(h->channel))
		faasin_lane_poll_now(h);
}

#endif /* _FAASIN_LANE_H */
