/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dealing: an output whose records go to its links in turn, one each, so that their readers are
 * replicas of a stage.
 *
 * Each link has a channel of its own, with records, as if it were alone. What is dealt are the
 * calls: an open file of the output has a hand on each link that took part when its stream began,
 * which is a handle as any, and a write goes by the hand whose turn it is. The turn belongs to the
 * stream, is the first link's when that begins, and moves when a record was written; so it
 * is moved by whoever has the wr.mutex of the channel whose turn it is, and by nobody else. Whoever
 * waits for room there waits for the turn to move, too: all who wait for room on such links do so
 * at the deal.
 *
 * A round is a stream of the output: one of each of the links, which begin and end together.
 * If one is over otherwise (its reader closes early, its link goes, a process is killed that
 * wrote there), the others are aborted: a record that was taken may be lost, and the order is.
 * That is settling, and is done by whoever ended the one.
 *
 * Locks:
 *	deal->mutex	rounds begin, are joined, left and settled, and links change their state. It
 *			nests in faasin_tree_sem and in the mutex of an inbox that merges (merge.h),
 *			and nobody is waited for under it, nor any memory. What is done in it is
 *			bounded: for each of FAASIN_FAN_MAX links, to look at FAASIN_WRITERS_MAX
 *			processes, to wake all who wait, and to send an event
 *	deal->lock	nests in that; channel->lock does not nest in it, nor the other way round
 *	workflow->order is held while streams begin on all links: see inbox.h
 */
#ifndef _FAASIN_DEAL_H
#define _FAASIN_DEAL_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "channel.h"

/**
 * struct faasin_deal - what an output has whose records are dealt
 * @ref: the port's, one a channel, one an open file
 * @mutex: see above
 * @lock: guards @members
 * @members: channels of links by @deal_entry, oldest first
 * @nr: how many; changes under faasin_tree_sem and @lock
 * @round: the live one, held; or NULL; @mutex, and without it a guess
 * @rounds: number of the newest; @mutex
 * @opens: open files; @mutex
 * @replaced: times that the stage was replaced; faasin_tree_sem, and @mutex
 * @generation: stands for a link's number; constant
 * @writers: who waits for room, for the turn, or to begin a stream
 */
struct faasin_deal {
	struct kref ref;
	struct mutex mutex;	/* see above */
	spinlock_t lock;	/* see above */
	struct list_head members;
	unsigned int nr;
	struct faasin_deal_round *round;
	u64 rounds;
	unsigned int opens;
	unsigned int replaced;
	u64 generation;
	struct faasin_waiters writers;
};

/**
 * struct faasin_deal_round - a stream that is dealt
 * @ref: the deal's while it is live, and one an open file
 * @deal: whose; held by each open file; constant
 * @number: constant
 * @turn: whose turn it is; wr.mutex of that one's channel
 * @nr: how many links take part; constant
 * @part: each one's channel and stream, held; constant
 */
struct faasin_deal_round {
	struct kref ref;
	struct faasin_deal *deal;
	u64 number;
	unsigned int turn;
	unsigned int nr;
	struct {
		struct faasin_channel *channel;
		struct faasin_stream *stream;
	} part[];
};

struct faasin_deal *faasin_deal_new(u64 generation);
void faasin_deal_get(struct faasin_deal *deal);
void faasin_deal_put(struct faasin_deal *deal);

/* Links. */
bool faasin_deal_has_room(struct faasin_deal *deal, unsigned int n);
void faasin_deal_add(struct faasin_deal *deal, struct faasin_channel *ch);
void faasin_deal_leave(struct faasin_channel *ch);
unsigned int faasin_deal_detach(struct faasin_deal *deal, struct faasin_channel **found);
void faasin_deal_settle(struct faasin_deal *deal);

/* Streams. */
void faasin_round_put(struct faasin_deal_round *r);
void faasin_round_finish(struct faasin_deal_round *r, enum faasin_stream_state state,
			 const struct faasin_cause_info *cause);
void faasin_round_settle(struct faasin_deal *deal, struct faasin_deal_round *r);
void faasin_hands_release(struct faasin_handle *h, unsigned int n);

/* Open files: hand.c, but for the first. */
int faasin_deal_open(struct faasin_handle *h, bool nonblock);
void faasin_deal_flush(struct faasin_handle *h);
void faasin_deal_release(struct faasin_handle *h);
ssize_t faasin_deal_write(struct faasin_handle *h, struct iov_iter *from, bool nonblock,
			  bool nowait);
__poll_t faasin_deal_poll(struct faasin_handle *h);
int faasin_deal_end(struct faasin_handle *h);
int faasin_deal_abort(struct faasin_handle *h, enum faasin_cause cause, u32 code, struct pid *pid);
int faasin_deal_set_context(struct faasin_handle *h, const struct faasin_context *c);
u64 faasin_deal_unread(struct faasin_handle *h);
void faasin_deal_info(struct faasin_handle *h, struct faasin_port_info *info);

/* The turn has moved since a hand was chosen. In the channel's wr.mutex, else to be asked again. */
static inline bool faasin_turn_moved(const struct faasin_handle *h)
{
	/* Pairs with faasin_turn_move(). */
	return unlikely(h->round) && smp_load_acquire(&h->round->turn) != h->part;
}

void faasin_turn_move(struct faasin_handle *h);

/* Where those wait who write: of links that are dealt to, all at one place. */
static inline struct faasin_waiters *faasin_channel_writers(struct faasin_channel *ch)
{
	return unlikely(ch->deal) ? &ch->deal->writers : &ch->writers;
}

#endif /* _FAASIN_DEAL_H */
