/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fan-in: an input that may have several links. Whole streams come in turn, unless it merges
 * their records: then what is said of sessions here does not hold, and merge.h does instead.
 *
 * Each link has a channel of its own, as if it were the only one: who writes does not know of
 * the others, and is held up by what its own link holds. What the links share is the order in
 * which their streams began: the inbox has all that are not consumed in one queue. The first
 * of the queue is the first of its channel, too.
 *
 * Sessions are the inbox's. Of those that are not done there is at most one, and its open files
 * are bound to no channel (@channel of a handle is NULL) until it is to read, is polled or is
 * asked for something. Then the session is bound to the first stream of the queue, and with that
 * to its channel, for good; each open file follows when it is used next, and holds the channel
 * from then on. From there on all is as with one link: the session is its channel's, too. A
 * stream that it leaves without having taken it stays the first.
 *
 * Who waits for a stream to begin waits here, who waits for bytes waits at the channel. Pollers
 * wait here all the time, since epoll queues once, when it is given the file: what a channel has
 * to tell its pollers it tells those of its inbox, and of bytes only if the inbox's session is
 * bound to it.
 *
 * The channel of a link that was deleted stays among the members until its streams are consumed,
 * and counts. When the last link goes, the inbox is closed: a session that is open then may read
 * one more stream, as with one link; what is left is dropped.
 *
 * Streams that begin on several links at once (part.c) get their places in all inboxes under
 * workflow->order, so that two inputs of the same two outputs read in the same order, and
 * neither waits for what the other is to read first.
 *
 * Locks:
 *	a trunk's lock -> workflow->order -> channel->lock -> inbox->lock -> those of wait queues
 * Who has inbox->lock and finds a channel there holds that, lets go, takes the channel's
 * lock and looks again. Only members are in the queue, and the inbox holds its members.
 */
#ifndef _FAASIN_INBOX_H
#define _FAASIN_INBOX_H

#include <linux/kref.h>
#include <linux/spinlock.h>

#include "channel.h"

struct faasin_merged;

/**
 * struct faasin_inbox - what an input has beside its links' channels
 * @ref: the port's, one a channel, one an open file
 * @lock: see above
 * @members: channels by @inbox_entry, each held: of links, and of deleted ones with streams left;
 *	@lock
 * @nr: how many; changes under faasin_tree_sem and @lock, or @lock alone if it becomes less
 * @queue: streams by @inbox_entry, in the order in which they began; @lock, and their channel's
 * @session: what an open joins, or NULL; @lock
 * @opens: open files; @lock
 * @replaced: times that the stage was replaced; faasin_tree_sem, and @lock
 * @closed: the last link is gone; @lock
 * @generation: stands for a link's number while there is none; constant
 * @readers: who waits for a stream to begin, and all pollers; where it merges, who waits for bytes,
 *	too
 * @merge: enum faasin_merge; constant
 * @reading: where it merges: see merge.h
 * @mutex: likewise
 * @round: a merged stream is under way; @lock
 * @rounds: how many there were, this one included; @lock
 * @round_any: a stream of it was consumed; @lock
 * @round_aborted: and was aborted; @lock
 * @round_broken: so that what is left is out of its place; @lock
 * @taken: it has begun to be read; @lock
 * @mid: and a record of it is read in part; @lock, and @reading but for a round that begins
 * @turn: the next record is that of this link, or of those behind it; likewise
 */
struct faasin_inbox {
	struct kref ref;
	spinlock_t lock;	/* see above */
	struct list_head members;
	unsigned int nr;
	struct list_head queue;
	struct faasin_session *session;
	unsigned int opens;
	unsigned int replaced;
	bool closed;
	u64 generation;
	struct faasin_waiters readers;
	enum faasin_merge merge;
	struct mutex reading;	/* see merge.h */
	struct mutex mutex;	/* likewise */
	bool round;
	u64 rounds;
	bool round_any;
	bool round_aborted;
	bool round_broken;
	bool taken;
	bool mid;
	u64 turn;
};

struct faasin_inbox *faasin_inbox_new(u64 generation, enum faasin_merge merge);
void faasin_inbox_get(struct faasin_inbox *in);
void faasin_inbox_put(struct faasin_inbox *in);

/* Links. */
bool faasin_inbox_has_room(struct faasin_inbox *in, unsigned int n);
void faasin_inbox_add(struct faasin_inbox *in, struct faasin_channel *ch);
void faasin_inbox_close(struct faasin_inbox *in);
void faasin_inbox_leave(struct faasin_channel *ch);
unsigned int faasin_inbox_detach(struct faasin_inbox *in, struct faasin_channel **found);

/* Streams. */
void faasin_inbox_began(struct faasin_channel *ch, struct faasin_stream *s);
void faasin_inbox_consumed(struct faasin_channel *ch, struct faasin_stream *s);

/* Sessions. */
int faasin_inbox_open(struct faasin_handle *h);
bool faasin_inbox_close_one(struct faasin_inbox *in, struct faasin_session *ss, bool *idle);
void faasin_inbox_release(struct faasin_handle *h);
int faasin_inbox_bind(struct faasin_handle *h);
int faasin_inbox_wait(struct faasin_handle *h, bool nonblock);
void faasin_inbox_session_gone(struct faasin_channel *ch, struct faasin_session *ss);
bool faasin_inbox_may_read(struct faasin_channel *ch);
void faasin_inbox_drop_rest(struct faasin_inbox *in);
void faasin_inbox_wake(struct faasin_channel *ch);

/* Open files. */
__poll_t faasin_inbox_poll(struct faasin_handle *h);

/* Bound to a channel; if not, faasin_inbox_bind() may do so. */
static inline bool faasin_handle_bound(const struct faasin_handle *h)
{
	/* Pairs with handle_bind(). */
	return likely(smp_load_acquire(&h->channel));
}

/* To be bound, waiting until a stream begins: 0 or as faasin_inbox_wait(). */
static inline int faasin_handle_bind(struct faasin_handle *h, bool nonblock)
{
	return faasin_handle_bound(h) ? 0 : faasin_inbox_wait(h, nonblock);
}

/* How many have the input of a link open; channel->lock held, or to be looked at again. */
static inline unsigned int faasin_channel_readers(const struct faasin_channel *ch)
{
	return unlikely(ch->inbox) ? READ_ONCE(ch->inbox->opens) :
				     READ_ONCE(ch->opens[FAASIN_DIRECTION_IN]);
}

/* Something happened that concerns all who read, or wait for a stream to read. */
static inline void faasin_readers_wake(struct faasin_channel *ch)
{
	faasin_waiters_wake(&ch->readers);
	if (unlikely(ch->inbox))
		faasin_waiters_wake(&ch->inbox->readers);
}

#endif /* _FAASIN_INBOX_H */
