// SPDX-License-Identifier: GPL-2.0
/*
 * Inboxes: whose turn it is where an input has several links. inbox.h has the rules and the
 * locks.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "inbox.h"
#include "merge.h"
#include "trace.h"
#include "trunk.h"

static_assert(FAASIN_FAN_MAX <= 32, "as many are held on the stack");

/* ---------------------------------------------------------------- lifetime */

/**
 * faasin_inbox_new() - an input is to have several links
 * @generation: a number that is no link's
 * @merge: how their streams are to be read
 *
 * Return: the inbox, which has no link yet, with one reference; or NULL.
 */
struct faasin_inbox *faasin_inbox_new(u64 generation, enum faasin_merge merge)
{
	struct faasin_inbox *in = kzalloc(sizeof(*in), GFP_KERNEL_ACCOUNT);

	if (!in)
		return NULL;
	kref_init(&in->ref);
	spin_lock_init(&in->lock);
	mutex_init(&in->reading);
	mutex_init(&in->mutex);
	in->merge = merge;
	INIT_LIST_HEAD(&in->members);
	INIT_LIST_HEAD(&in->queue);
	init_waitqueue_head(&in->readers.wait);
	init_waitqueue_head(&in->readers.poll);
	in->generation = generation;
	return in;
}

static void inbox_release(struct kref *ref)
{
	struct faasin_inbox *in = container_of(ref, struct faasin_inbox, ref);

	WARN_ON_ONCE(!list_empty(&in->members) || !list_empty(&in->queue));
	kfree(in);
}

/**
 * faasin_inbox_get() - take a reference
 * @in: inbox
 */
void faasin_inbox_get(struct faasin_inbox *in)
{
	kref_get(&in->ref);
}

/**
 * faasin_inbox_put() - drop a reference
 * @in: inbox
 */
void faasin_inbox_put(struct faasin_inbox *in)
{
	kref_put(&in->ref, inbox_release);
}

/* ------------------------------------------------------------------- links */

/**
 * faasin_inbox_has_room() - may links be added
 * @in: inbox; faasin_tree_sem is held for writing
 * @n: how many
 *
 * Return: whether there are no more than FAASIN_FAN_MAX then, those included that are gone and
 * not read yet.
 */
bool faasin_inbox_has_room(struct faasin_inbox *in, unsigned int n)
{
	return READ_ONCE(in->nr) + n <= FAASIN_FAN_MAX;
}

/**
 * faasin_inbox_add() - a link is made: its channel takes part
 * @in: inbox with room; faasin_tree_sem is held for writing
 * @ch: channel that no stream began on
 */
void faasin_inbox_add(struct faasin_inbox *in, struct faasin_channel *ch)
{
	faasin_inbox_get(in);
	ch->inbox = in;
	faasin_channel_get(ch);
	spin_lock(&in->lock);
	list_add_tail(&ch->inbox_entry, &in->members);
	WRITE_ONCE(in->nr, in->nr + 1);
	spin_unlock(&in->lock);
}

/**
 * faasin_inbox_leave() - a channel takes no part any more, if its link is gone and all is consumed
 * @ch: channel, held by the caller
 */
void faasin_inbox_leave(struct faasin_channel *ch)
{
	struct faasin_inbox *in = ch->inbox;
	bool leaves = false;

	spin_lock(&ch->lock);
	spin_lock(&in->lock);
	if (ch->unlinked && list_empty(&ch->streams) && !list_empty(&ch->inbox_entry)) {
		list_del_init(&ch->inbox_entry);
		WRITE_ONCE(in->nr, in->nr - 1);
		leaves = true;
	}
	spin_unlock(&in->lock);
	spin_unlock(&ch->lock);
	/* The caller's is another one. */
	if (leaves)
		faasin_channel_put(ch);
}

/* Those that take part, held: up to FAASIN_FAN_MAX; how many. */
static unsigned int members_get(struct faasin_inbox *in, struct faasin_channel **found)
{
	struct faasin_channel *ch;
	unsigned int n = 0;

	spin_lock(&in->lock);
	list_for_each_entry(ch, &in->members, inbox_entry) {
		/* Who makes links asks faasin_inbox_has_room(). */
		if (WARN_ON_ONCE(n == FAASIN_FAN_MAX))
			break;
		faasin_channel_get(ch);
		found[n++] = ch;
	}
	spin_unlock(&in->lock);
	return n;
}

/**
 * faasin_inbox_close() - the last link is gone
 * @in: inbox
 *
 * faasin_inbox_drop_rest() is to follow, without faasin_tree_sem.
 */
void faasin_inbox_close(struct faasin_inbox *in)
{
	spin_lock(&in->lock);
	WRITE_ONCE(in->closed, true);
	spin_unlock(&in->lock);
	faasin_waiters_wake(&in->readers);
}

/**
 * faasin_inbox_drop_rest() - drop what nobody will read, if the inbox is closed
 * @in: inbox
 *
 * Who binds an open file, or is told of an end, may have a pipe, or another channel's mutex, or
 * must not wait. What is dropped is counted at once, so that the sums tell; a channel that is
 * nobody's any more, which may be large, is freed later.
 */
void faasin_inbox_drop_rest(struct faasin_inbox *in)
{
	struct faasin_channel *found[FAASIN_FAN_MAX];
	unsigned int n;

	if (!READ_ONCE(in->closed))
		return;
	n = members_get(in, found);
	while (n--) {
		faasin_channel_drop_rest(found[n]);
		faasin_channel_put_later(found[n]);
	}
}

/**
 * faasin_inbox_detach() - the stage is replaced: who has the input open is not to read any more
 * @in: inbox; faasin_tree_sem is held for writing
 * @found: receives FAASIN_FAN_MAX channels at most, held, for faasin_channel_detach(): one of
 *	them may have the session
 *
 * Return: how many.
 */
unsigned int faasin_inbox_detach(struct faasin_inbox *in, struct faasin_channel **found)
{
	struct faasin_session *ss;

	spin_lock(&in->lock);
	WRITE_ONCE(in->replaced, in->replaced + 1);
	WRITE_ONCE(in->taken, false);
	ss = in->session;
	/* It binds to nothing from here on. */
	if (ss && !ss->channel) {
		WRITE_ONCE(ss->result, FAASIN_RESULT_REPLACED);
		in->session = NULL;
	}
	spin_unlock(&in->lock);
	faasin_waiters_wake(&in->readers);
	return members_get(in, found);
}

/* ----------------------------------------------------------------- streams */

/**
 * faasin_inbox_began() - a stream has begun
 * @ch: its channel, whose lock is held
 * @s: the stream, the last of the channel's
 */
void faasin_inbox_began(struct faasin_channel *ch, struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	struct faasin_inbox *in = ch->inbox;

	lockdep_assert_held(&ch->lock);
	s->inbox_channel = ch;
	spin_lock(&in->lock);
	list_add_tail(&s->inbox_entry, &in->queue);
	spin_unlock(&in->lock);
}

/**
 * faasin_inbox_consumed() - a stream is nobody's to read any more
 * @ch: its channel, whose lock is held
 * @s: the stream
 */
void faasin_inbox_consumed(struct faasin_channel *ch, struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	struct faasin_inbox *in = ch->inbox;

	lockdep_assert_held(&ch->lock);
	spin_lock(&in->lock);
	list_del_init(&s->inbox_entry);
	if (in->merge)
		faasin_merged_consumed(ch, s);
	spin_unlock(&in->lock);
}

/* ---------------------------------------------------------------- sessions */

/* How many have it open changed: links that are dropped when slow look at that. */
static void inbox_opened(struct faasin_inbox *in)
{
	struct faasin_channel *found[FAASIN_FAN_MAX];
	unsigned int n = members_get(in, found);

	while (n--) {
		if (found[n]->branch)
			faasin_branch_opened(found[n]);
		faasin_channel_put_later(found[n]);
	}
}

/*
 * Under the inbox's lock: 0, -ENXIO, or -ENOBUFS: there is no session to join, nor @fresh, which
 * becomes NULL if it is used.
 */
static int session_join(struct faasin_handle *h, struct faasin_session **fresh)
{
	struct faasin_inbox *in = h->inbox;

	lockdep_assert_held(&in->lock);
	if (in->closed || in->replaced != h->replaced)
		return -ENXIO;
	if (!in->session && !*fresh)
		return -ENOBUFS;
	if (!in->session) {
		in->session = *fresh;
		*fresh = NULL;
	}
	h->session = in->session;
	h->session->readers++;
	WRITE_ONCE(in->opens, in->opens + 1);
	return 0;
}

/**
 * faasin_inbox_open() - faasin_session_open() of an input that may have several links
 * @h: open file
 *
 * Return: 0, -ENOMEM, or -ENXIO if the links are gone, or the stage was replaced meanwhile.
 */
int faasin_inbox_open(struct faasin_handle *h)
{
	struct faasin_inbox *in = h->inbox;
	struct faasin_session *fresh = NULL;
	int err;

	for (;;) {
		spin_lock(&in->lock);
		err = session_join(h, &fresh);
		spin_unlock(&in->lock);
		if (err != -ENOBUFS)
			break;
		/* Once: one that merges takes some KiB, which those who join have no use for. */
		fresh = in->merge ? faasin_merged_new() :
				    kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
		if (!fresh)
			return -ENOMEM;
	}
	kfree(fresh);
	if (!err)
		inbox_opened(in);
	return err;
}

/* Under the inbox's lock. Whether it was the session's last open file; @idle: the inbox's. */
static bool close_one(struct faasin_inbox *in, struct faasin_session *ss, bool *idle)
{
	lockdep_assert_held(&in->lock);
	WRITE_ONCE(in->opens, in->opens - 1);
	*idle = !in->opens;
	if (--ss->readers)
		return false;
	if (in->session == ss)
		in->session = NULL;
	return true;
}

/**
 * faasin_inbox_close_one() - one of a session's open files is gone
 * @in: inbox, the lock of the session's channel held
 * @ss: the session
 * @idle: receives whether nobody has the input open any more
 *
 * Return: whether it was the session's last.
 */
bool faasin_inbox_close_one(struct faasin_inbox *in, struct faasin_session *ss, bool *idle)
{
	bool last;

	spin_lock(&in->lock);
	last = close_one(in, ss, idle);
	spin_unlock(&in->lock);
	return last;
}

/**
 * faasin_inbox_release() - faasin_session_release() of an input that may have several links
 * @h: open file
 */
void faasin_inbox_release(struct faasin_handle *h)
{
	struct faasin_inbox *in = h->inbox;
	struct faasin_session *ss = h->session;
	struct faasin_channel *ch;
	bool last = false, idle;

	if (in->merge) {
		faasin_merged_release(h, &idle);
		goto out;
	}
	spin_lock(&in->lock);
	ch = ss->channel;
	if (!ch)
		last = close_one(in, ss, &idle);
	spin_unlock(&in->lock);
	if (ch && faasin_session_close(ch, ss, &idle)) {
		faasin_side_forget_user(ch, &ch->rd);
		faasin_channel_put(ch);		/* the session's */
	} else if (last) {
		kfree(ss);
		faasin_inbox_drop_rest(in);
	}
out:
	if (idle)
		inbox_opened(in);
}

/* Under both locks: the session gets the first stream of the queue, if that is of @ch. */
static void session_bind(struct faasin_inbox *in, struct faasin_session *ss,
			 struct faasin_channel *ch)
{
	struct faasin_stream *s;

	lockdep_assert_held(&in->lock);
	s = list_first_entry_or_null(&in->queue, struct faasin_stream, inbox_entry);
	if (!s || s->inbox_channel != ch)
		return;
	WARN_ON_ONCE(s != list_first_entry(&ch->streams, struct faasin_stream, entry));
	refcount_inc(&s->ref);
	faasin_channel_get(ch);
	ss->replaced = ch->replaced[FAASIN_DIRECTION_IN];
	ss->channel = ch;
	/* Pairs with session_stream(). */
	smp_store_release(&ss->stream, s);
	WRITE_ONCE(ch->session, ss);
}

/* Binds an open file, and its session if that is not yet, to @ch, unless it is another's turn. */
static bool handle_bind(struct faasin_handle *h, struct faasin_channel *ch)
{
	struct faasin_inbox *in = h->inbox;
	struct faasin_session *ss = h->session;
	bool bound;

	spin_lock(&ch->lock);
	spin_lock(&in->lock);
	if (!ss->channel && !ss->result)
		session_bind(in, ss, ch);
	bound = ss->channel == ch;
	/* Another thread may have been here before. */
	if (bound && !h->channel) {
		faasin_channel_get(ch);
		h->replaced = ss->replaced;
		/* Pairs with faasin_handle_bound(). */
		smp_store_release(&h->channel, ch);
	}
	spin_unlock(&in->lock);
	spin_unlock(&ch->lock);
	return bound;
}

/*
 * The channel that an open file is to be bound to, held; or NULL. If there never will be one,
 * the session's result is set.
 */
static struct faasin_channel *channel_ahead(struct faasin_inbox *in, struct faasin_session *ss)
{
	struct faasin_channel *ch;
	struct faasin_stream *s;

	spin_lock(&in->lock);
	ch = ss->channel;
	if (!ch && !ss->result) {
		s = list_first_entry_or_null(&in->queue, struct faasin_stream, inbox_entry);
		if (s) {
			ch = s->inbox_channel;
		} else if (in->closed) {
			WRITE_ONCE(ss->result, FAASIN_RESULT_ABORTED);
			if (in->session == ss)
				in->session = NULL;
		}
	}
	if (ch)
		faasin_channel_get(ch);
	spin_unlock(&in->lock);
	return ch;
}

/**
 * faasin_inbox_bind() - bind an open file to a channel, if it is not and a stream has begun
 * @h: an input's open file, of an inbox
 *
 * Return: 1 if it is bound, 0 if no stream has begun; or, as for a session that is over,
 * -ECONNABORTED if all links are gone, -ESTALE if the stage was replaced.
 */
int faasin_inbox_bind(struct faasin_handle *h)
{
	struct faasin_inbox *in = h->inbox;
	struct faasin_channel *ch;
	bool bound;

	do {
		ch = channel_ahead(in, h->session);
		if (!ch)
			return faasin_session_over(h->session);
		bound = handle_bind(h, ch);
		faasin_channel_put_later(ch);
	} while (!bound);
	/* This may have been the last session, and the others nobody's. */
	faasin_inbox_drop_rest(in);
	return 1;
}

/* Is there something to be bound to, or never will be? */
static bool bind_may_succeed(struct faasin_inbox *in, struct faasin_session *ss)
{
	bool may;

	spin_lock(&in->lock);
	may = ss->channel || ss->result || !list_empty(&in->queue) || in->closed;
	spin_unlock(&in->lock);
	return may;
}

static int wait_for_stream(struct faasin_inbox *in, struct faasin_session *ss)
{
	DEFINE_WAIT(wait);
	int err = 0;

	for (;;) {
		prepare_to_wait(&in->readers.wait, &wait, TASK_INTERRUPTIBLE);
		if (bind_may_succeed(in, ss))
			break;
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&in->readers.wait, &wait);
	return err;
}

/**
 * faasin_inbox_wait() - bind an open file, when a stream has begun
 * @h: an input's open file, of an inbox
 * @nonblock: do not wait for that
 *
 * How long that takes is of no link, and counted for none.
 *
 * Return: 0, -EAGAIN, -ERESTARTSYS, or as faasin_inbox_bind(); -EOPNOTSUPP if it merges, and is
 * never bound.
 */
int faasin_inbox_wait(struct faasin_handle *h, bool nonblock)
{
	struct faasin_inbox *in = h->inbox;
	u64 since;
	int ret;

	if (in->merge)
		return -EOPNOTSUPP;
	for (;;) {
		ret = faasin_inbox_bind(h);
		if (ret)
			return min(ret, 0);
		if (nonblock)
			return -EAGAIN;
		since = ktime_get_ns();
		trace_faasin_block(in->generation, FAASIN_DIRECTION_IN);
		ret = wait_for_stream(in, h->session);
		trace_faasin_unblock(in->generation, FAASIN_DIRECTION_IN, ktime_get_ns() - since);
		if (ret)
			return ret;
	}
}

/**
 * faasin_inbox_session_gone() - an open joins a session no more
 * @ch: the session's channel, its lock held
 * @ss: session that is done
 */
void faasin_inbox_session_gone(struct faasin_channel *ch, struct faasin_session *ss)
	__must_hold(&ch->lock)
{
	struct faasin_inbox *in = ch->inbox;

	lockdep_assert_held(&ch->lock);
	spin_lock(&in->lock);
	if (in->session == ss)
		in->session = NULL;
	spin_unlock(&in->lock);
}

/**
 * faasin_inbox_may_read() - may somebody come for what a channel holds
 * @ch: a channel whose link is gone, its lock held
 *
 * Return: false if no session can be bound to it any more.
 */
bool faasin_inbox_may_read(struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	struct faasin_inbox *in = ch->inbox;
	struct faasin_session *ss;
	bool may;

	lockdep_assert_held(&ch->lock);
	spin_lock(&in->lock);
	ss = in->session;
	if (in->closed && in->merge)
		may = faasin_merged_may_read(ch, ss);
	else
		may = !in->closed || (ss && (!ss->channel || ss->channel == ch));
	spin_unlock(&in->lock);
	return may;
}

/**
 * faasin_inbox_wake() - bytes were published
 * @ch: channel, its wr.mutex held
 */
void faasin_inbox_wake(struct faasin_channel *ch)
{
	struct faasin_inbox *in = ch->inbox;

	/*
	 * No barrier: as in wake_after_write(). Whoever polls is in the queue when it binds its
	 * session, and that is done under the channel's lock, too.
	 */
	if (READ_ONCE(ch->session) && waitqueue_active(&in->readers.poll)) {
		/* Where it merges it may be another link's turn, so each is to look for itself. */
		if (in->merge)
			wake_up_interruptible_all(&in->readers.poll);
		else
			faasin_pollers_wake(&in->readers.poll, EPOLLIN | EPOLLRDNORM);
	}
	/* No barrier: who waits for bytes asks for them under the channel's lock, in the queue. */
	if (in->merge && waitqueue_active(&in->readers.wait))
		wake_up_interruptible_all(&in->readers.wait);
}

/* -------------------------------------------------------------- open files */

/**
 * faasin_inbox_poll() - what an input that may have several links is ready for
 * @h: open file
 *
 * Return: EPOLL* bits, as the contract says.
 */
__poll_t faasin_inbox_poll(struct faasin_handle *h)
{
	int ret;

	if (h->inbox->merge)
		return faasin_merged_poll(h);
	ret = faasin_handle_bound(h) ? 1 : faasin_inbox_bind(h);
	if (ret > 0)
		return faasin_stream_poll(h);
	return ret ? EPOLLHUP | EPOLLERR : 0;
}
