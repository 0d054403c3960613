// SPDX-License-Identifier: GPL-2.0
/*
 * Links that are paused, or drained.
 *
 * A state is looked at by who is about to move bytes, or to begin a stream, and by nobody
 * else: ends, aborts, early closes, unlinking and all that is asked go their way. Whoever
 * finds the link paused waits as for a channel that is full or empty, without a mutex, and is
 * woken when the state changes. So nothing waits for a paused link but those, and they can
 * be killed.
 */
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "channel.h"
#include "deal.h"
#include "inbox.h"
#include "lane.h"
#include "trace.h"
#include "trunk.h"
#include "workflow.h"

/**
 * faasin_channel_set_state() - pause a link, let it drain, or let it go on
 * @ch: channel of a link; faasin_tree_sem held for writing: it is not unlinked meanwhile, nor
 *	its state set by another
 * @state: what it is to be
 *
 * A call that is copying at this moment still moves what it copies.
 */
void faasin_channel_set_state(struct faasin_channel *ch, enum faasin_link_state state)
{
	static const enum faasin_event_type events[] = {
		[FAASIN_LINK_STATE_RUNNING] = FAASIN_EVENT_LINK_RESUME,
		[FAASIN_LINK_STATE_PAUSED] = FAASIN_EVENT_LINK_PAUSE,
		[FAASIN_LINK_STATE_DRAINING] = FAASIN_EVENT_LINK_DRAIN,
	};
	bool changed;

	/* A stream that begins on several looks at each of them, and then begins. */
	if (ch->deal)
		mutex_lock(&ch->deal->mutex);
	faasin_lane_lock(ch);
	changed = ch->state != state;
	WRITE_ONCE(ch->state, state);
	spin_unlock(&ch->lock);
	if (ch->deal)
		mutex_unlock(&ch->deal->mutex);
	if (!changed)
		return;
	/* They queue, and then look: whoever saw the old state is in the queue. */
	faasin_readers_wake(ch);
	if (ch->branch)
		faasin_trunk_state(faasin_channel_store(ch));
	else
		faasin_waiters_wake(faasin_channel_writers(ch));
	faasin_channel_event(ch, events[state], 0, 0, NULL);
}

/**
 * faasin_channel_state() - what a link is doing
 * @ch: channel
 *
 * Return: its state; that it is drained if it is to drain and nothing is left to read: no
 * stream is live, none is queued, and none can begin.
 */
enum faasin_link_state faasin_channel_state(struct faasin_channel *ch)
{
	enum faasin_link_state state;

	spin_lock(&ch->lock);
	state = ch->state;
	if (state == FAASIN_LINK_STATE_DRAINING && list_empty(&ch->streams) &&
	    READ_ONCE(ch->tail) == ch->head)
		state = FAASIN_LINK_STATE_DRAINED;
	spin_unlock(&ch->lock);
	return state;
}

static bool must_wait(const struct faasin_handle *h)
{
	return faasin_channel_paused(h->channel) && !faasin_handle_replaced(h) &&
	       READ_ONCE(h->stream->state) == FAASIN_STREAM_LIVE;
}

/* wr.mutex held, and held again if 0 is returned. */
static int wait_paused(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct task_struct *peer;
	DEFINE_WAIT(wait);
	int err = 0;
	u64 since;

	faasin_side_count(&ch->wr.blocks);
	mutex_unlock(&ch->wr.mutex);
	trace_faasin_block(ch->generation, FAASIN_DIRECTION_OUT);
	peer = faasin_side_wait_begin(ch, &ch->wr, &ch->rd, &since);
	if (peer)
		put_task_struct(peer);
	for (;;) {
		prepare_to_wait(&ch->writers.wait, &wait, TASK_INTERRUPTIBLE);
		if (!must_wait(h))
			break;
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&ch->writers.wait, &wait);
	faasin_side_wait_end(ch, &ch->wr, since);
	return err ?: faasin_side_lock(&ch->wr, false);
}

/**
 * faasin_channel_wait_paused() - wait while the link is paused and the stream lives
 * @h: an output's open file; its channel's wr.mutex held
 * @nonblock: do not wait
 *
 * For those who need no room.
 *
 * Return: 0, wr.mutex being held again; or, without it, -EAGAIN, or -ERESTARTSYS if a signal
 * came.
 */
int faasin_channel_wait_paused(struct faasin_handle *h, bool nonblock)
{
	int err = 0;

	/* Again, with the mutex: it may have been paused anew while that was waited for. */
	while (!err && must_wait(h)) {
		if (nonblock) {
			mutex_unlock(&h->channel->wr.mutex);
			return -EAGAIN;
		}
		err = wait_paused(h);
	}
	return err;
}
