/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Merged inputs: several links whose records are read as one stream.
 *
 * An inbox can merge (inbox.h). Its links have records, and a session reads one stream of each of
 * them, record by record: whichever has one, in turn (FAASIN_MERGE_RECORDS), or one of each in the
 * order in which they were linked (FAASIN_MERGE_TURN). Each channel stays as it is, with a session
 * of its own: a part of the merged one. So what a stream's end, abort or early close is, and what
 * becomes of it when its reader leaves, is as with one link.
 *
 * A round is one merged stream: of each link that there was when it began, one stream. It is the
 * inbox's, not a session's: a session that leaves without having taken it, or is replaced, leaves
 * it to the next one as far as it came. Which link takes part, and which is over, is noted when
 * its stream is consumed, under both locks. A round ends when all are over, or is closed early.
 *
 * No open file is bound to a channel (@channel of the handle is NULL for life). Who waits, for a
 * stream or for bytes, and who polls, does so at the inbox.
 *
 * Locks:
 *	inbox->reading	readers among themselves, of all sessions: who is replaced, or ended, in
 *			the middle of a copy holds up whoever comes next, as rd.mutex does with
 *			one link. Under a pipe's lock it is only tried for. Then rd.mutex of the
 *			one channel that is read.
 *	inbox->mutex	who binds a session and who ends one, which take several steps. In it
 *			nobody copies, sleeps, gives blocks back or takes one of those two, so
 *			it may be waited for in faasin_tree_sem, by who replaces a stage, and
 *			under a pipe's lock. It nests in inbox->reading, never in rd.mutex;
 *			channel->lock and inbox->lock nest in it.
 * What comes next (inbox->turn, inbox->mid) is the reader's alone, in inbox->reading; but a round
 * that begins sets it, too, while one whose session is over may still be at its copy. That one
 * sees by the number of the round (inbox->rounds) that it has no say any more. It changes in
 * inbox->lock, so that who looks without inbox->reading sees both as they belong together; if it
 * then sees nothing that is due and waits, it is woken when they change (faasin_merged_gave()).
 */
#ifndef _FAASIN_MERGE_H
#define _FAASIN_MERGE_H

#include <linux/poll.h>
#include <linux/uio.h>

#include "inbox.h"

/**
 * struct faasin_merged_part - a session of one link, of a merged session
 * @channel: the link's, held; constant once it is bound
 * @session: what it reads there; of it, @channel and @readers are not used
 */
struct faasin_merged_part {
	struct faasin_channel *channel;
	struct faasin_session session;
};

/**
 * struct faasin_merged - consumers that share a merged stream
 * @session: as open files have it; its @result changes under inbox->lock
 * @round: inbox->rounds of the one that it reads; constant once @bound
 * @bound: @parts are there; stored with release, under inbox->mutex
 * @nr: how many; constant once @bound
 * @parts: in the order in which they were linked; those links that are not over
 */
struct faasin_merged {
	struct faasin_session session;
	u64 round;
	bool bound;
	unsigned int nr;
	struct faasin_merged_part parts[FAASIN_FAN_MAX];
};

struct faasin_session *faasin_merged_new(void);
bool faasin_merged_may_read(struct faasin_channel *ch, struct faasin_session *ss);
void faasin_merged_consumed(struct faasin_channel *ch, struct faasin_stream *s);
void faasin_merged_release(struct faasin_handle *h, bool *idle);

ssize_t faasin_merged_read(struct faasin_handle *h, struct iov_iter *to, bool nonblock,
			   bool nowait);
int faasin_merged_pick(struct faasin_handle *h, struct faasin_merged_part **found, bool nowait);
void faasin_merged_gave(struct faasin_handle *h, struct faasin_merged_part *p, bool any);
int faasin_merged_wait(struct faasin_handle *h);
int faasin_merged_lock(struct faasin_handle *h, bool nowait);

__poll_t faasin_merged_poll(struct faasin_handle *h);
u64 faasin_merged_unread(struct faasin_handle *h);
int faasin_merged_end(struct faasin_handle *h);
void faasin_merged_info(struct faasin_handle *h, struct faasin_port_info *info);

static inline struct faasin_merged *faasin_merged_of(struct faasin_session *ss)
{
	return container_of(ss, struct faasin_merged, session);
}

/* A handle's, if its input merges. */
static inline bool faasin_handle_merges(const struct faasin_handle *h)
{
	return h->inbox && h->inbox->merge != FAASIN_MERGE_STREAMS;
}

#endif /* _FAASIN_MERGE_H */
