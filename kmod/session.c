// SPDX-License-Identifier: GPL-2.0
/*
 * Consumer sessions: which stream they read, when they take it, and what
 * happens to it when they leave.
 */
#include <linux/slab.h>

#include "channel.h"
#include "deal.h"
#include "inbox.h"
#include "lane.h"
#include "trace.h"
#include "trunk.h"
#include "workflow.h"

/**
 * faasin_session_open() - join the consumers' session, or start the next
 * @h: an input's open file
 *
 * Return: 0, -ENOMEM, or -ENXIO if the link is gone, or the stage was replaced meanwhile.
 */
int faasin_session_open(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_session *ss, *fresh;
	int err = 0;

	if (h->inbox)
		return faasin_inbox_open(h);
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	spin_lock(&ch->lock);
	if (ch->unlinked || faasin_handle_replaced(h)) {
		err = -ENXIO;
		goto unlock;
	}
	ss = ch->session;
	if (!ss) {
		ss = fresh;
		fresh = NULL;
		ch->session = ss;
	}
	ss->readers++;
	ch->opens[FAASIN_DIRECTION_IN]++;
	h->session = ss;
unlock:
	spin_unlock(&ch->lock);
	kfree(fresh);
	if (!err && ch->branch)
		faasin_branch_opened(ch);
	return err;
}

/**
 * faasin_session_bind() - the session's stream, bound now if one has begun
 * @ch: channel, its lock held
 * @ss: session
 *
 * Return: the stream, or NULL; if there never will be one, the session's result
 * is set.
 */
struct faasin_stream *faasin_session_bind(struct faasin_channel *ch, struct faasin_session *ss)
	__must_hold(&ch->lock)
{
	struct faasin_stream *s = ss->stream;

	lockdep_assert_held(&ch->lock);
	if (s || ss->result)
		return s;
	s = list_first_entry_or_null(&ch->streams, struct faasin_stream, entry);
	if (s) {
		refcount_inc(&s->ref);
		/* Pairs with session_stream(). */
		smp_store_release(&ss->stream, s);
	} else if (ch->unlinked) {
		WRITE_ONCE(ss->result, FAASIN_RESULT_ABORTED);
		if (ch->session == ss)
			WRITE_ONCE(ch->session, NULL);
	}
	return s;
}

/**
 * faasin_session_stream() - what a session reads
 * @ch: channel
 * @ss: session
 *
 * Return: the stream, which the session holds, or NULL if none has begun; if
 * none ever will, the session's result is set.
 */
struct faasin_stream *faasin_session_stream(struct faasin_channel *ch, struct faasin_session *ss)
{
	struct faasin_stream *s;

	spin_lock(&ch->lock);
	s = faasin_session_bind(ch, ss);
	spin_unlock(&ch->lock);
	return s;
}

/**
 * faasin_session_take() - the session's stream has begun to be read
 * @ch: channel
 * @ss: session with a stream
 */
void faasin_session_take(struct faasin_channel *ch, struct faasin_session *ss)
{
	spin_lock(&ch->lock);
	/* Unless the stage was replaced while this was read. */
	if (!ss->result)
		WRITE_ONCE(ss->stream->begun, true);
	spin_unlock(&ch->lock);
}

/**
 * faasin_stream_consumed() - a stream leaves the list
 * @ch: channel, its lock held
 * @s: stream; the list's reference is the caller's then
 *
 * Return: whether somebody may wait for that.
 */
bool faasin_stream_consumed(struct faasin_channel *ch, struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	bool full = ch->nr_queued >= FAASIN_STREAMS_MAX;

	lockdep_assert_held(&ch->lock);
	list_del_init(&s->entry);
	if (unlikely(ch->inbox))
		faasin_inbox_consumed(ch, s);
	if (s->state != FAASIN_STREAM_CLOSED)
		ch->nr_queued--;
	return full;
}

/**
 * faasin_session_gone() - an open joins a session no more
 * @ch: channel, its lock held
 * @ss: session
 */
void faasin_session_gone(struct faasin_channel *ch, struct faasin_session *ss)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (ch->session == ss)
		WRITE_ONCE(ch->session, NULL);
	if (unlikely(ch->inbox))
		faasin_inbox_session_gone(ch, ss);
}

/* May a session come for what a channel holds whose link is gone? */
static bool session_may_come(struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	return ch->inbox ? faasin_inbox_may_read(ch) : !!ch->session;
}

/* A stream that no session can come for any more, off the list; NULL: none. */
static struct faasin_stream *stream_left_over(struct faasin_channel *ch)
{
	struct faasin_stream *s = NULL;

	spin_lock(&ch->lock);
	if (ch->unlinked && !session_may_come(ch)) {
		s = list_first_entry_or_null(&ch->streams, struct faasin_stream, entry);
		if (s)
			faasin_stream_consumed(ch, s);
		/* Pairs with drop_discarded(). No stream is live, so nothing follows. */
		smp_store_release(&ch->discard, ch->head);
	}
	spin_unlock(&ch->lock);
	return s;
}

/**
 * faasin_channel_drop_rest() - after unlinking: drop what nobody will read of a channel
 * @ch: channel, not locked
 *
 * Once the link is gone no session can be opened, so when none is left that is not
 * done, what the channel holds is of no use, and must not last as long as some
 * descriptor of a writer, or of a reader that has had its stream. An input that has other
 * links has other sessions, until it is all read.
 */
void faasin_channel_drop_rest(struct faasin_channel *ch)
{
	struct faasin_stream *s;

	/* What a trunk has its branches read. */
	if (!READ_ONCE(ch->unlinked) || ch->trunk)
		return;
	while ((s = stream_left_over(ch)))
		faasin_stream_put(s);		/* the list's */
	faasin_channel_discard(ch);
	if (ch->inbox)
		faasin_inbox_leave(ch);
}

/**
 * faasin_session_drop_rest() - a session is done, or a link gone: drop what nobody will read
 * @ch: channel, not locked
 *
 * If it was the last link of several, that may be of the others' channels, too.
 */
void faasin_session_drop_rest(struct faasin_channel *ch)
{
	faasin_channel_drop_rest(ch);
	if (unlikely(ch->inbox))
		faasin_inbox_drop_rest(ch->inbox);
}

/*
 * The end of the session's stream is delivered. The caller holds the lock; it is released: until
 * the stream is off the list, no open may start another session, which would bind to it.
 */
static void session_finish(struct faasin_channel *ch, struct faasin_session *ss,
			   enum faasin_result result)
	__releases(&ch->lock)
{
	struct faasin_stream *s = ss->stream;
	bool full = false, first;

	first = !ss->result;
	if (first) {
		WRITE_ONCE(ss->result, result);
		faasin_session_gone(ch, ss);
		full = faasin_stream_consumed(ch, s);
	}
	spin_unlock(&ch->lock);
	if (!first)
		return;
	faasin_stream_put(s);		/* the list's; the session has its own */
	/* Other readers of the session sleep for bytes that will not come. */
	faasin_readers_wake(ch);
	if (full)
		faasin_waiters_wake(faasin_channel_writers(faasin_channel_store(ch)));
}

/**
 * faasin_session_done() - the end of a session's stream is delivered
 * @ch: channel
 * @ss: session whose stream's end is known and reached
 * @result: what its reads return from now on
 */
void faasin_session_done(struct faasin_channel *ch, struct faasin_session *ss,
			 enum faasin_result result)
{
	spin_lock(&ch->lock);
	session_finish(ch, ss, result);
	faasin_session_drop_rest(ch);
}

/*
 * The session leaves its stream before the end: drop the rest, unless that is to be done @later,
 * and tell the writer. The caller holds the lock; it is released.
 */
static void session_closes_early(struct faasin_channel *ch, struct faasin_session *ss, bool later)
	__releases(&ch->lock)
{
	struct faasin_stream *s = ss->stream;
	struct faasin_cause_info ci;
	u64 dropped;

	faasin_cause_set(&ci, s, FAASIN_CAUSE_EARLY_CLOSE, 0, NULL, true);
	WRITE_ONCE(ss->result, FAASIN_RESULT_END);
	faasin_session_gone(ch, ss);
	if (!faasin_stream_finish(ch, s, FAASIN_STREAM_CLOSED, &ci))
		ch->cause = ci;		/* it had ended, its rest is lost all the same */
	ch->early++;
	faasin_stream_consumed(ch, s);
	/* Pairs with drop_discarded(). What lies behind may be to be dropped, too. */
	smp_store_release(&ch->discard, max(ch->discard, s->end));
	dropped = s->end - max(s->start, READ_ONCE(ch->tail));
	spin_unlock(&ch->lock);

	if (!later)
		faasin_channel_discard(ch);
	if (ch->branch)
		faasin_part_over(ch, s, &ci);
	faasin_readers_wake(ch);
	/* Also those who wait in open, should so many streams have been queued. */
	faasin_waiters_wake(faasin_channel_writers(faasin_channel_store(ch)));
	trace_faasin_stream_abort(ch->generation, s->number, s->end - s->start, ci.cause,
				  ci.code, ci.pid);
	faasin_channel_event(ch, FAASIN_EVENT_EARLY_CLOSE, s->number, dropped, &ci);
	faasin_stream_put(s);
	if (unlikely(ch->deal))
		faasin_deal_settle(ch->deal);
}

/* All of the session's stream was read, though nobody asked for its end. */
static bool session_read_it_all(struct faasin_channel *ch, struct faasin_stream *s)
{
	return s->state != FAASIN_STREAM_LIVE && READ_ONCE(ch->tail) >= s->end;
}

/**
 * faasin_session_end() - FAASIN_IOC_END of an input
 * @h: open file
 *
 * Return: 0, -ENODATA if no stream has begun, or -ESTALE if the stage was replaced.
 */
int faasin_session_end(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_session *ss = h->session;
	struct faasin_stream *s;

	faasin_lane_lock(ch);
	s = faasin_session_bind(ch, ss);
	if (ss->result) {
		spin_unlock(&ch->lock);
		return ss->result == FAASIN_RESULT_REPLACED ? -ESTALE : 0;
	}
	if (!s) {
		spin_unlock(&ch->lock);
		return -ENODATA;
	}
	WRITE_ONCE(s->begun, true);
	if (session_read_it_all(ch, s))
		session_finish(ch, ss, FAASIN_RESULT_END);
	else
		session_closes_early(ch, ss, false);
	faasin_session_drop_rest(ch);
	return 0;
}

/*
 * The session reads no more; who gives it up frees it, and lets its stream go. What nobody will
 * read is dropped after that, all of it if @later.
 */
static void session_quit(struct faasin_channel *ch, struct faasin_session *ss, bool later)
	__releases(&ch->lock)
{
	struct faasin_stream *s = ss->stream;

	if (ss->result || !s || !s->begun) {
		/* It took nothing: the stream waits for the next session. */
		faasin_session_gone(ch, ss);
		spin_unlock(&ch->lock);
	} else if (session_read_it_all(ch, s)) {
		session_finish(ch, ss, FAASIN_RESULT_END);
	} else {
		session_closes_early(ch, ss, later);
	}
}

/**
 * faasin_session_quit() - a session that is part of a merged one reads no more
 * @ch: its channel
 * @ss: the session
 * @take: what is left of its stream is to be dropped
 *
 * faasin_session_left() is to follow, which may take a while.
 */
void faasin_session_quit(struct faasin_channel *ch, struct faasin_session *ss, bool take)
{
	struct faasin_stream *s;

	spin_lock(&ch->lock);
	s = faasin_session_bind(ch, ss);
	if (s && take && !ss->result)
		WRITE_ONCE(s->begun, true);
	/* Or who is about to read there would bind it to the next session's stream. */
	if (!s && !ss->result)
		WRITE_ONCE(ss->result, FAASIN_RESULT_END);
	session_quit(ch, ss, true);
}

/**
 * faasin_session_left() - drop what is left after faasin_session_quit()
 * @ch: the channel, not locked
 */
void faasin_session_left(struct faasin_channel *ch)
{
	faasin_channel_discard(ch);
	faasin_session_drop_rest(ch);
}

/* The last of a session's open files is gone. It is freed. */
static void session_leave(struct faasin_channel *ch, struct faasin_session *ss)
	__releases(&ch->lock)
{
	struct faasin_stream *s = ss->stream;

	session_quit(ch, ss, false);
	faasin_session_drop_rest(ch);
	if (s)
		faasin_stream_put(s);
	kfree(ss);
}

/**
 * faasin_session_close() - one of a session's open files is gone
 * @ch: its channel
 * @ss: the session; freed if it was the last
 * @idle: receives whether nobody has the input open any more
 *
 * Return: whether it was the last.
 */
bool faasin_session_close(struct faasin_channel *ch, struct faasin_session *ss, bool *idle)
{
	bool last;

	/* Until the session is off the stream, no other can be bound to that. */
	faasin_lane_lock(ch);
	if (unlikely(ch->inbox)) {
		last = faasin_inbox_close_one(ch->inbox, ss, idle);
	} else {
		*idle = !--ch->opens[FAASIN_DIRECTION_IN];
		last = !--ss->readers;
	}
	if (last)
		session_leave(ch, ss);
	else
		spin_unlock(&ch->lock);
	return last;
}

/**
 * faasin_session_release() - an input's open file is gone
 * @h: open file
 */
void faasin_session_release(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	bool idle;

	if (h->inbox) {
		faasin_inbox_release(h);
		return;
	}
	faasin_session_close(ch, h->session, &idle);
	if (!idle)
		return;
	faasin_side_forget_user(ch, &ch->rd);
	if (ch->branch)
		faasin_branch_opened(ch);
}
