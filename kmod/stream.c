// SPDX-License-Identifier: GPL-2.0
/*
 * How streams begin, end, abort and are closed early, and what can be asked of them.
 */
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "channel.h"
#include "deal.h"
#include "event.h"
#include "inbox.h"
#include "lane.h"
#include "record.h"
#include "trace.h"
#include "trunk.h"
#include "workflow.h"

/**
 * faasin_channel_event() - tell listeners about a channel
 * @ch: channel
 * @type: what happened
 * @stream: number of the stream, or 0
 * @bytes: as the type says
 * @ci: the cause, or NULL
 */
void faasin_channel_event(struct faasin_channel *ch, enum faasin_event_type type,
			  u64 stream, u64 bytes, const struct faasin_cause_info *ci)
{
	struct faasin_port *src = ch->src, *dst = ch->dst;
	struct faasin_event ev;

	if (ch->trunk) {
		faasin_trunk_event(ch, type);
		return;
	}
	ev = (struct faasin_event){
		.rate = &src->stage->workflow->events,
		.type = type,
		.workflow = src->stage->workflow->node.name,
		.src_stage = src->stage->node.name,
		.src_port = src->node.name,
		.dst_stage = dst->stage->node.name,
		.dst_port = dst->node.name,
		.generation = ch->generation,
		.stream = stream,
		.bytes = bytes,
	};

	if (ci) {
		ev.stage = ci->by_reader ? ev.dst_stage : ev.src_stage;
		ev.cause = ci->cause;
		ev.code = ci->code;
		ev.pid = ci->pid;
		ev.comm = ci->comm;
	}
	faasin_event_send(&ev);
}

/**
 * faasin_stream_put() - drop a reference
 * @s: stream
 */
void faasin_stream_put(struct faasin_stream *s)
{
	if (!refcount_dec_and_test(&s->ref))
		return;
	WARN_ON_ONCE(!list_empty(&s->processes));
	faasin_parts_free(s);
	kfree(s);
}

/**
 * faasin_cause_set() - write down why a stream did not simply end
 * @ci: to be filled
 * @s: the stream
 * @cause: what happened
 * @code: signal or exit status
 * @pid: the process; NULL for the caller
 * @by_reader: it is the consumer's
 */
void faasin_cause_set(struct faasin_cause_info *ci, struct faasin_stream *s,
		      enum faasin_cause cause, u32 code, struct pid *pid, bool by_reader)
{
	struct task_struct *task;

	memset(ci, 0, sizeof(*ci));
	ci->cause = cause;
	ci->code = code;
	ci->by_reader = by_reader;
	ci->stream = s->number;
	if (!pid) {
		ci->pid = task_tgid_nr(current);
		get_task_comm(ci->comm, current);
		return;
	}
	ci->pid = pid_nr(pid);
	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_TGID);
	if (task)
		strscpy(ci->comm, task->comm, sizeof(ci->comm));
	rcu_read_unlock();
}

/**
 * faasin_stream_finish() - a stream's end is known
 * @ch: channel, its lock held
 * @s: stream
 * @state: what becomes of it
 * @ci: the cause, or NULL
 *
 * Return: false if it was not live any more. Else the caller tells the world,
 * without the lock.
 */
bool faasin_stream_finish(struct faasin_channel *ch, struct faasin_stream *s,
			  enum faasin_stream_state state, const struct faasin_cause_info *ci)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (s->state != FAASIN_STREAM_LIVE)
		return false;
	s->end = ch->head;
	if (ci) {
		s->cause = ci->cause;
		s->code = ci->code;
		ch->cause = *ci;
	}
	/* Whoever sees the state sees the end. */
	smp_store_release(&s->state, state);
	if (ch->producing == s)
		ch->producing = NULL;
	if (ch->trunk) {
		faasin_parts_finish(s, state, ci);
		return true;
	}
	switch (state) {
	case FAASIN_STREAM_ENDED:
		ch->ended++;
		ch->nr_queued++;
		break;
	case FAASIN_STREAM_ABORTED:
		ch->aborted++;
		ch->nr_queued++;
		break;
	default:
		break;
	}
	return true;
}

/**
 * faasin_stream_said() - tell the world of faasin_stream_finish()
 * @ch: channel
 * @s: stream, held
 * @ci: the cause, or NULL
 */
void faasin_stream_said(struct faasin_channel *ch, struct faasin_stream *s,
			const struct faasin_cause_info *ci)
{
	u64 bytes = s->end - s->start;

	if (ch->trunk) {
		faasin_parts_said(ch, s, ci);
		return;
	}
	faasin_readers_wake(ch);
	faasin_waiters_wake(faasin_channel_writers(ch));
	if (ci) {
		trace_faasin_stream_abort(ch->generation, s->number, bytes, ci->cause,
					  ci->code, ci->pid);
		faasin_channel_event(ch, FAASIN_EVENT_STREAM_ABORT, s->number, bytes, ci);
	} else {
		trace_faasin_stream_end(ch->generation, s->number, bytes);
		faasin_channel_event(ch, FAASIN_EVENT_STREAM_END, s->number, bytes, NULL);
	}
}

/* -------------------------------------------------------------- producers */

/**
 * faasin_stream_may_begin() - may another stream begin, as far as those before it go
 * @ch: channel, its lock held
 *
 * Return: false if the link drains, or has FAASIN_STREAMS_MAX streams queued.
 */
bool faasin_stream_may_begin(struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (ch->trunk)
		return faasin_parts_may_begin(ch);
	return ch->nr_queued < FAASIN_STREAMS_MAX && ch->state != FAASIN_LINK_STATE_DRAINING;
}

/**
 * faasin_stream_new() - memory for a stream
 *
 * Return: a stream that did not begin, for kfree(), or NULL.
 */
struct faasin_stream *faasin_stream_new(void)
{
	struct faasin_stream *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);

	if (s)
		INIT_LIST_HEAD(&s->parts);
	return s;
}

/* An open file writes the live stream. */
static void stream_add(struct faasin_handle *h, struct faasin_stream *s)
	__must_hold(&h->channel->lock)
{
	s->writers++;
	refcount_inc(&s->ref);
	h->stream = s;
	h->channel->opens[FAASIN_DIRECTION_OUT]++;
}

/* A stream is the live one, and the caller's. */
static void stream_begin(struct faasin_handle *h, struct faasin_stream *s)
	__must_hold(&h->channel->lock)
{
	struct faasin_channel *ch = h->channel;

	refcount_set(&s->ref, 1);	/* the list's */
	INIT_LIST_HEAD(&s->processes);
	s->number = ++ch->stream_seq;
	s->start = ch->head;
	s->replaced = h->replaced;
	list_add_tail(&s->entry, &ch->streams);
	ch->producing = s;
	stream_add(h, s);
	/* Here, so that nothing is told of the stream before. */
	if (ch->inbox)
		faasin_inbox_began(ch, s);
	if (ch->trunk)
		faasin_parts_begin(ch, s);
	else
		trace_faasin_stream_begin(ch->generation, s->number, 0);
}

/*
 * Joins the live stream or begins the next. -EAGAIN: too many are queued, or none is to begin;
 * -ENOBUFS: it has to be prepared for more links.
 */
static int stream_join(struct faasin_handle *h, struct faasin_stream *fresh)
{
	struct faasin_channel *ch = h->channel;
	int ret = 0;

	spin_lock(&ch->lock);
	if (ch->unlinked || faasin_handle_replaced(h)) {
		ret = -ENXIO;
	} else if (ch->producing) {
		stream_add(h, ch->producing);
	} else if (ch->trunk && fresh->nr_parts < ch->trunk->nr) {
		ret = -ENOBUFS;
	} else if (!faasin_stream_may_begin(ch)) {
		/* Asked last: for one that may, slow links lose something. */
		ret = -EAGAIN;
	} else {
		stream_begin(h, fresh);
		ret = 1;
	}
	spin_unlock(&ch->lock);
	return ret;
}

/**
 * faasin_stream_begin() - begin a stream, however many are queued, and write it
 * @h: a hand
 * @fresh: of faasin_stream_new()
 *
 * Return: 0, or -ENXIO if the link is gone.
 */
int faasin_stream_begin(struct faasin_handle *h, struct faasin_stream *fresh)
{
	struct faasin_channel *ch = h->channel;
	int err = 0;

	spin_lock(&ch->lock);
	if (ch->unlinked || WARN_ON_ONCE(ch->producing))
		err = -ENXIO;
	else
		stream_begin(h, fresh);
	spin_unlock(&ch->lock);
	return err;
}

/**
 * faasin_stream_join() - write a stream that lives
 * @h: a hand
 * @s: stream, held
 *
 * Return: 0, or -EAGAIN if it lives no more.
 */
int faasin_stream_join(struct faasin_handle *h, struct faasin_stream *s)
{
	struct faasin_channel *ch = h->channel;
	int err = 0;

	spin_lock(&ch->lock);
	if (ch->producing != s)
		err = -EAGAIN;
	else
		stream_add(h, s);
	spin_unlock(&ch->lock);
	return err;
}

/**
 * faasin_stream_open() - join the channel's live stream, or begin the next
 * @h: an output's open file
 * @nonblock: do not wait while FAASIN_STREAMS_MAX streams are queued, or the link drains
 *
 * Return: 0, or -EAGAIN, -ENOMEM, -ERESTARTSYS, or -ENXIO if the link is gone, or the stage was
 * replaced meanwhile.
 */
int faasin_stream_open(struct faasin_handle *h, bool nonblock)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_stream *fresh;
	DEFINE_WAIT(wait);
	int ret;

	if (h->deal)
		return faasin_deal_open(h, nonblock);
	fresh = faasin_stream_new();
	if (!fresh)
		return -ENOMEM;
	for (;;) {
		prepare_to_wait(&ch->writers.wait, &wait, TASK_INTERRUPTIBLE);
		ret = stream_join(h, fresh);
		if (ret == -ENOBUFS) {
			finish_wait(&ch->writers.wait, &wait);
			ret = faasin_parts_prepare(ch, fresh);
			if (!ret)
				continue;
		}
		if (ret != -EAGAIN || nonblock)
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&ch->writers.wait, &wait);
	if (ret != 1) {
		faasin_parts_free(fresh);
		kfree(fresh);
		return ret;
	}
	if (ch->trunk) {
		faasin_parts_began(fresh);
		return 0;
	}
	faasin_readers_wake(ch);
	faasin_channel_event(ch, FAASIN_EVENT_STREAM_BEGIN, fresh->number, 0, NULL);
	return 0;
}

/**
 * faasin_stream_takes() - is what is written taken
 * @ch: channel
 * @s: stream
 *
 * Return: true if it is live, or if its reader closed early and the policy is to drain.
 */
bool faasin_stream_takes(const struct faasin_channel *ch, const struct faasin_stream *s)
{
	switch (READ_ONCE(s->state)) {
	case FAASIN_STREAM_LIVE:
		return true;
	case FAASIN_STREAM_CLOSED:
		return ch->early_close == FAASIN_EARLY_CLOSE_DRAIN && !READ_ONCE(ch->unlinked);
	default:
		return false;
	}
}

/**
 * faasin_handle_writes() - may an open file write, or is what it writes swallowed
 * @h: an output's open file
 *
 * Return: 0, -EPIPE if the stream is over, or -ESTALE if the stage was replaced.
 */
int faasin_handle_writes(const struct faasin_handle *h)
{
	if (faasin_handle_replaced(h))
		return -ESTALE;
	return faasin_stream_takes(h->channel, h->stream) ? 0 : -EPIPE;
}

/**
 * faasin_stream_swallow() - take bytes that nobody will read
 * @ch: channel
 * @s: a stream that is over
 * @n: how many
 *
 * Return: true if its reader closed early and the policy is to drain.
 */
bool faasin_stream_swallow(struct faasin_channel *ch, struct faasin_stream *s, size_t n)
{
	bool swallow;

	spin_lock(&ch->lock);
	swallow = s->state != FAASIN_STREAM_LIVE && faasin_stream_takes(ch, s);
	if (swallow) {
		ch->swallowed += n;
		if (ch->trunk)
			faasin_parts_swallow(s, n);
	}
	spin_unlock(&ch->lock);
	return swallow;
}

/* Ends or (with a cause) aborts a stream, on behalf of an open file. */
static int stream_over(struct faasin_handle *h, enum faasin_stream_state state,
		       const struct faasin_cause_info *ci)
{
	struct faasin_channel *ch = h->channel;
	bool replaced, first;

	faasin_lane_lock(ch);
	replaced = faasin_handle_replaced(h);
	first = !replaced && faasin_stream_finish(ch, h->stream, state, ci);
	spin_unlock(&ch->lock);
	if (first)
		faasin_stream_said(ch, h->stream, ci);
	return replaced ? -ESTALE : 0;
}

/**
 * faasin_stream_end() - FAASIN_IOC_END of an output
 * @h: open file
 *
 * Return: 0, or -ESTALE if the stage was replaced.
 */
int faasin_stream_end(struct faasin_handle *h)
{
	return stream_over(h, FAASIN_STREAM_ENDED, NULL);
}

/**
 * faasin_stream_abort() - FAASIN_IOC_ABORT of an output
 * @h: open file
 * @cause: what to record
 * @code: what to record
 * @pid: the process meant; NULL for the caller
 *
 * Return: 0, or -ESTALE if the stage was replaced.
 */
int faasin_stream_abort(struct faasin_handle *h, enum faasin_cause cause, u32 code,
			struct pid *pid)
{
	struct faasin_cause_info ci;

	faasin_cause_set(&ci, h->stream, cause, code, pid, false);
	return stream_over(h, FAASIN_STREAM_ABORTED, &ci);
}

/**
 * faasin_output_release() - an output's open file, or hand, is gone
 * @h: it
 */
void faasin_output_release(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_stream *s = h->stream;
	bool idle, first = false, bad = false;
	struct faasin_cause_info ci;
	LIST_HEAD(gone);

	faasin_lane_lock(ch);
	idle = !--ch->opens[FAASIN_DIRECTION_OUT];
	faasin_writers_leave(s, h);
	/* If it was detached from the stream, it is not among them. */
	if (h->replaced == s->replaced && !--s->writers) {
		bad = faasin_writers_cause(ch, s, &ci);
		first = faasin_stream_finish(ch, s, bad ? FAASIN_STREAM_ABORTED :
							  FAASIN_STREAM_ENDED, bad ? &ci : NULL);
		/* Nobody asks any more, and the stream may be queued for long. */
		list_splice_init(&s->processes, &gone);
	}
	spin_unlock(&ch->lock);

	faasin_writers_free(&gone);
	if (first)
		faasin_stream_said(ch, s, bad ? &ci : NULL);
	put_pid(h->wrote);
	faasin_stream_put(s);
	if (idle)
		faasin_side_forget_user(ch, &ch->wr);
}

/**
 * faasin_handle_release() - the last descriptor of an open file is gone
 * @h: open file
 */
void faasin_handle_release(struct faasin_handle *h)
{
	if (h->deal) {
		faasin_deal_release(h);
		return;
	}
	faasin_lane_leave(h);
	faasin_window_leave(h);
	if (h->direction == FAASIN_DIRECTION_OUT)
		faasin_output_release(h);
	else
		faasin_session_release(h);
}

/* ----------------------------------------------------------------- unlink */

/**
 * faasin_streams_unlink() - the link is gone
 * @ch: channel
 *
 * The live stream is aborted; queued ones stay for sessions that are open.
 */
void faasin_streams_unlink(struct faasin_channel *ch)
{
	struct faasin_cause_info ci;
	struct faasin_stream *s;

	faasin_lane_lock(ch);
	WRITE_ONCE(ch->unlinked, true);
	/* What is left can be read. */
	WRITE_ONCE(ch->state, FAASIN_LINK_STATE_RUNNING);
	ch->unlinked_at = ktime_get_ns();
	s = ch->producing;
	if (s) {
		refcount_inc(&s->ref);
		faasin_cause_set(&ci, s, FAASIN_CAUSE_UNLINK, 0, NULL, false);
		faasin_stream_finish(ch, s, FAASIN_STREAM_ABORTED, &ci);
	}
	spin_unlock(&ch->lock);
	if (s) {
		faasin_stream_said(ch, s, &ci);
		if (ch->branch)
			faasin_part_over(ch, s, &ci);
		faasin_stream_put(s);
	} else {
		faasin_readers_wake(ch);
		faasin_waiters_wake(faasin_channel_writers(ch));
	}
	if (ch->branch)
		faasin_branch_unlink(ch);
	if (ch->deal)
		faasin_deal_settle(ch->deal);
}

/**
 * faasin_streams_free() - drop what nobody consumed
 * @ch: channel that nobody has open
 */
void faasin_streams_free(struct faasin_channel *ch)
{
	struct faasin_stream *s, *next;

	list_for_each_entry_safe(s, next, &ch->streams, entry) {
		list_del_init(&s->entry);
		faasin_stream_put(s);
	}
}

/* -------------------------------------------------------------- questions */

static u64 stream_unread(struct faasin_channel *ch, struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	u64 end = s->state == FAASIN_STREAM_LIVE ? ch->head : s->end;
	/* What is to be dropped is not read any more, though somebody may have to do it yet. */
	u64 from = max(s->start, faasin_channel_position(ch));

	lockdep_assert_held(&ch->lock);
	if (s->state == FAASIN_STREAM_CLOSED || (list_empty(&s->entry) && !ch->trunk))
		return 0;
	return end > from ? end - from : 0;
}

/* Bytes of the stream that were written, or read, so far. */
static u64 stream_position(struct faasin_channel *ch, struct faasin_stream *s,
			   enum faasin_direction direction)
	__must_hold(&ch->lock)
{
	u64 end = s->state == FAASIN_STREAM_LIVE ? ch->head : s->end;

	lockdep_assert_held(&ch->lock);
	if (direction == FAASIN_DIRECTION_IN)
		end = clamp(READ_ONCE(ch->tail), s->start, end);
	return end - s->start;
}

/**
 * faasin_stream_unread() - FIONREAD
 * @h: open file
 *
 * Return: bytes of its stream that are written and not read.
 */
u64 faasin_stream_unread(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_stream *s;
	u64 unread;

	faasin_lane_settle(ch);
	spin_lock(&ch->lock);
	s = h->session ? faasin_session_bind(ch, h->session) : h->stream;
	unread = s && !faasin_handle_replaced(h) ? stream_unread(ch, s) : 0;
	spin_unlock(&ch->lock);
	return unread;
}

/**
 * faasin_stream_set_context() - FAASIN_IOC_SET_CONTEXT
 * @h: an output's open file
 * @c: the context, zero behind its length
 *
 * Return: 0, -EEXIST if the stream has one, -EPIPE if it is over, or -ESTALE if the stage was
 * replaced.
 */
int faasin_stream_set_context(struct faasin_handle *h, const struct faasin_context *c)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_stream *s = h->stream;
	int err = 0;

	spin_lock(&ch->lock);
	if (faasin_handle_replaced(h))
		err = -ESTALE;
	else if (s->state != FAASIN_STREAM_LIVE)
		err = -EPIPE;
	else if (s->context.length)
		err = -EEXIST;
	else
		s->context = *c;
	if (!err && ch->trunk)
		faasin_parts_set_context(s);
	spin_unlock(&ch->lock);
	if (!err)
		trace_faasin_stream_context(ch->generation, s->number, (const char *)c->data);
	return err;
}

/**
 * faasin_stream_get_context() - FAASIN_IOC_GET_CONTEXT
 * @h: open file
 * @c: to be filled
 *
 * Return: 0, -ENODATA if no context was set or no stream has begun, or -ESTALE if the stage
 * was replaced.
 */
int faasin_stream_get_context(struct faasin_handle *h, struct faasin_context *c)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_stream *s;
	int err = -ENODATA;

	spin_lock(&ch->lock);
	s = h->session ? faasin_session_bind(ch, h->session) : h->stream;
	if (faasin_handle_replaced(h)) {
		err = -ESTALE;
	} else if (s && s->context.length) {
		*c = s->context;
		err = 0;
	}
	spin_unlock(&ch->lock);
	return err;
}

/* Bytes of the record that is read next, of @unread ones of the stream; 0: there is none. */
static u64 stream_record(struct faasin_channel *ch, const struct faasin_handle *h, u64 unread)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (!ch->records || !h->session || !unread)
		return 0;
	return min(faasin_record_left(ch), unread);
}

/**
 * faasin_stream_info() - FAASIN_IOC_INFO
 * @h: open file
 * @info: to be filled
 */
void faasin_stream_info(struct faasin_handle *h, struct faasin_port_info *info)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_stream *s;

	memset(info, 0, sizeof(*info));
	info->abi = FAASIN_ABI_VERSION;
	info->capacity = READ_ONCE(ch->pool.capacity);
	if (ch->records)
		info->flags |= FAASIN_INFO_RECORDS;
	/* Of several links, none. */
	info->link_generation = ch->trunk ? 0 : ch->generation;
	if (h->direction == FAASIN_DIRECTION_OUT)
		info->flags |= FAASIN_INFO_OUTPUT;

	faasin_lane_settle(ch);
	/* Of what is to be dropped first, records are none that can be read. */
	if (ch->records && h->session)
		faasin_channel_discard(ch);
	spin_lock(&ch->lock);
	if (ch->unlinked)
		info->flags |= FAASIN_INFO_UNLINKED;
	if (faasin_handle_replaced(h))
		info->flags |= FAASIN_INFO_REPLACED;
	s = h->session ? faasin_session_bind(ch, h->session) : h->stream;
	if (s) {
		info->stream = s->number;
		if (!faasin_handle_replaced(h)) {
			info->unread = stream_unread(ch, s);
			info->position = stream_position(ch, s, h->direction);
			info->record = stream_record(ch, h, info->unread);
		}
		info->cause = s->cause;
		info->code = s->code;
		if (s->begun || faasin_parts_begun(s))
			info->flags |= FAASIN_INFO_BEGUN;
		if (s->state != FAASIN_STREAM_LIVE)
			info->flags |= FAASIN_INFO_ENDED;
		if (s->state == FAASIN_STREAM_ABORTED)
			info->flags |= FAASIN_INFO_ABORTED;
		if (s->state == FAASIN_STREAM_CLOSED)
			info->flags |= FAASIN_INFO_READER_GONE;
	}
	spin_unlock(&ch->lock);
}

/**
 * faasin_session_ahead() - what comes next of what a session reads
 * @ch: channel, its lock held
 * @ss: session
 *
 * Return: enum faasin_ahead.
 */
enum faasin_ahead faasin_session_ahead(struct faasin_channel *ch, struct faasin_session *ss)
	__must_hold(&ch->lock)
{
	struct faasin_stream *s = faasin_session_bind(ch, ss);

	lockdep_assert_held(&ch->lock);
	if (ss->result == FAASIN_RESULT_END)
		return FAASIN_AHEAD_END;
	if (ss->result)
		return FAASIN_AHEAD_ABORTED;
	if (!s)
		return FAASIN_AHEAD_NOTHING;
	if (stream_unread(ch, s))
		return faasin_channel_paused(ch) ? FAASIN_AHEAD_NOTHING : FAASIN_AHEAD_BYTES;
	if (s->state == FAASIN_STREAM_ABORTED)
		return FAASIN_AHEAD_ABORTED;
	return s->state == FAASIN_STREAM_LIVE ? FAASIN_AHEAD_NOTHING : FAASIN_AHEAD_END;
}

/**
 * faasin_ahead_poll() - what poll says of it
 * @ahead: what comes next
 *
 * Return: EPOLL* bits.
 */
__poll_t faasin_ahead_poll(enum faasin_ahead ahead)
{
	switch (ahead) {
	case FAASIN_AHEAD_BYTES:
		return EPOLLIN | EPOLLRDNORM;
	case FAASIN_AHEAD_END:
		return EPOLLHUP;
	case FAASIN_AHEAD_ABORTED:
		return EPOLLHUP | EPOLLERR;
	default:
		return 0;
	}
}

/**
 * faasin_session_unread() - FIONREAD of one link
 * @ch: channel, its lock held
 * @ss: session
 *
 * Return: bytes of its stream that are written and not read, if it is not over.
 */
u64 faasin_session_unread(struct faasin_channel *ch, struct faasin_session *ss)
	__must_hold(&ch->lock)
{
	struct faasin_stream *s = faasin_session_bind(ch, ss);

	return s && !ss->result ? stream_unread(ch, s) : 0;
}

static __poll_t input_poll(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	enum faasin_ahead ahead;

	spin_lock(&ch->lock);
	ahead = faasin_session_ahead(ch, h->session);
	spin_unlock(&ch->lock);
	return faasin_ahead_poll(ahead);
}

/* Who was refused a record is not told of less room. */
static bool record_has_room(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	u64 refused = READ_ONCE(*faasin_handle_refused(h));
	u64 need = min_t(u64, refused, READ_ONCE(ch->pool.capacity));

	return faasin_channel_has_room(ch, max_t(u64, need, PIPE_BUF));
}

static __poll_t output_poll(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;

	if (faasin_handle_writes(h))
		return EPOLLOUT | EPOLLWRNORM | EPOLLERR;
	if (faasin_channel_paused(ch) && READ_ONCE(h->stream->state) == FAASIN_STREAM_LIVE)
		return 0;
	/* Who was refused an extent needs another kind of room than write() does. */
	if (READ_ONCE(h->alloc_turn))
		return faasin_window_waits(h) && !faasin_lane_came_back(ch) ? 0 :
			EPOLLOUT | EPOLLWRNORM;
	/* What is swallowed needs no room. What a lane keeps leaves write() the reserved page. */
	if (READ_ONCE(h->stream->state) != FAASIN_STREAM_LIVE || record_has_room(h))
		return EPOLLOUT | EPOLLWRNORM;
	return 0;
}

/**
 * faasin_stream_poll() - what a descriptor is ready for
 * @h: open file
 *
 * Return: EPOLL* bits, as the contract says.
 */
__poll_t faasin_stream_poll(struct faasin_handle *h)
{
	faasin_lane_poll(h);
	return h->direction == FAASIN_DIRECTION_OUT ? output_poll(h) : input_poll(h);
}
