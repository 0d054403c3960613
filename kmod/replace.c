// SPDX-License-Identifier: GPL-2.0
/*
 * A stage is replaced: what its processes have open is detached from the stream, which goes on.
 *
 * Each end of a channel counts how often that happened, and each open file knows the count of
 * when it was let in. Counting and whatever an open file does to its stream (publishing,
 * ending, aborting, joining, noting who writes) happen under channel->lock, so that a byte
 * belongs either to what was published before, and stays, or to a write that is told that it
 * was not taken.
 */
#include "channel.h"
#include "deal.h"
#include "inbox.h"
#include "lane.h"
#include "workflow.h"

/* The stream goes on without a writer, and ends with those that join it from now on. */
static void detach_writers(struct faasin_channel *ch, struct list_head *gone)
{
	struct faasin_stream *s = ch->producing;

	lockdep_assert_held(&ch->lock);
	if (!s)
		return;
	s->writers = 0;
	s->replaced = ch->replaced[FAASIN_DIRECTION_OUT];
	/* How they die is nobody's concern any more. */
	list_splice_init(&s->processes, gone);
	s->nr_processes = 0;
	s->leaver.cause = FAASIN_CAUSE_NONE;
}

/* The stream stays the oldest, and belongs to the next session from where this one is. */
static void detach_readers(struct faasin_channel *ch)
{
	struct faasin_session *ss = ch->session;

	lockdep_assert_held(&ch->lock);
	if (!ss)
		return;
	WRITE_ONCE(ss->result, FAASIN_RESULT_REPLACED);
	faasin_session_gone(ch, ss);
	/* The next one takes it with the first byte that it reads itself. */
	if (ss->stream)
		WRITE_ONCE(ss->stream->begun, false);
}

/**
 * faasin_channel_detach() - the stage at an end of a link is replaced
 * @ch: channel of a link
 * @direction: of its port
 *
 * Called under faasin_tree_sem, held for writing: nobody is let in meanwhile. What windows of a
 * trusted link go on showing is for faasin_window_revoke() to take away, without that lock.
 */
void faasin_channel_detach(struct faasin_channel *ch, enum faasin_direction direction)
{
	LIST_HEAD(gone);

	faasin_lane_lock(ch);
	WRITE_ONCE(ch->replaced[direction], ch->replaced[direction] + 1);
	if (direction == FAASIN_DIRECTION_OUT)
		detach_writers(ch, &gone);
	else
		detach_readers(ch);
	spin_unlock(&ch->lock);
	faasin_writers_free(&gone);
	/* Those who wait are told that it is not theirs any more. */
	if (direction == FAASIN_DIRECTION_OUT)
		faasin_waiters_wake(faasin_channel_writers(ch));
	else
		faasin_readers_wake(ch);
}
