// SPDX-License-Identifier: GPL-2.0
/*
 * Parts: a stream of a trunk as each of its branches has it. trunk.h has the rules and
 * the locks.
 *
 * A stream holds its parts, and these their branches, until nobody has it open and it is over.
 */
#include <linux/slab.h>

#include "inbox.h"
#include "ring.h"
#include "trace.h"
#include "trunk.h"
#include "workflow.h"

/**
 * faasin_parts_prepare() - memory for the parts of a stream that is to begin
 * @ch: trunk
 * @s: stream that nobody else knows
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_parts_prepare(struct faasin_channel *ch, struct faasin_stream *s)
{
	struct faasin_stream *part;

	while (s->nr_parts < READ_ONCE(ch->trunk->nr)) {
		part = kzalloc(sizeof(*part), GFP_KERNEL_ACCOUNT);
		if (!part)
			return -ENOMEM;
		list_add_tail(&part->part_entry, &s->parts);
		s->nr_parts++;
	}
	return 0;
}

/**
 * faasin_parts_free() - a stream goes
 * @s: stream without references, or one that did not begin
 */
void faasin_parts_free(struct faasin_stream *s)
{
	struct faasin_stream *part, *next;
	struct faasin_channel *ch;

	list_for_each_entry_safe(part, next, &s->parts, part_entry) {
		ch = part->branch;
		list_del(&part->part_entry);
		if (!ch) {
			kfree(part);
			continue;
		}
		/* Readers may have it for longer, and look at no more than it. */
		faasin_stream_put(part);
		faasin_channel_put(ch);
	}
}

/* Something of a stream that is over is still to be read. */
static bool part_is_left(struct faasin_channel *ch, const struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	return s->end > max(s->start, faasin_channel_position(ch));
}

/*
 * A stream is cut off: what is left of it is not to be read, and its reader is to get an
 * abort. One that had ended goes on being counted as that. One that had been aborted gets another
 * cause, since that one's promise is that all was read before. Whether it is news.
 */
static bool part_cut(struct faasin_channel *ch, struct faasin_stream *s,
		     const struct faasin_cause_info *ci)
	__must_hold(&ch->lock)
{
	if (faasin_stream_finish(ch, s, FAASIN_STREAM_ABORTED, ci))
		return true;
	if (s->state == FAASIN_STREAM_CLOSED ||
	    (s->state == FAASIN_STREAM_ABORTED && !part_is_left(ch, s)))
		return false;
	s->cause = ci->cause;
	s->code = ci->code;
	ch->cause = *ci;
	/* As in faasin_stream_finish(). */
	smp_store_release(&s->state, FAASIN_STREAM_ABORTED);
	return true;
}

/* Too slow: who read there last, if somebody has it open. */
static void slow_cause(struct faasin_channel *ch, const struct faasin_stream *s,
		       struct faasin_cause_info *ci)
	__must_hold(&ch->lock)
{
	struct task_struct *reader = ch->rd.user;

	memset(ci, 0, sizeof(*ci));
	ci->cause = FAASIN_CAUSE_SLOW;
	ci->by_reader = true;
	ci->stream = s->number;
	if (reader) {
		ci->pid = task_tgid_nr(reader);
		strscpy(ci->comm, reader->comm, sizeof(ci->comm));
	}
}

/* The first stream of which something is left to read, or NULL. */
static struct faasin_stream *stream_left(struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	u64 from = faasin_channel_position(ch);
	struct faasin_stream *s;

	list_for_each_entry(s, &ch->streams, entry)
		if ((s->state == FAASIN_STREAM_LIVE ? ch->head : s->end) > max(s->start, from))
			return s;
	return NULL;
}

/* A branch is to drop something: its own work does it, as readers may be at work there. */
static void cut_told(struct faasin_channel *ch)
{
	mod_delayed_work(system_unbound_wq, &ch->idle, 0);
	faasin_readers_wake(ch);
}

/**
 * faasin_parts_cut() - a link is too slow: its oldest stream that has bytes left is cut off
 * @ch: the branch, its trunk's lock held
 * @pos: where it was when it was found to be; if it has got on since, nothing is done
 *
 * What is left of that is dropped, and its reader gets an abort.
 */
void faasin_parts_cut(struct faasin_channel *ch, u64 pos)
{
	struct faasin_cause_info ci;
	struct faasin_stream *s;
	bool news = false;

	spin_lock(&ch->lock);
	s = ch->unlinked || faasin_channel_position(ch) != pos ? NULL : stream_left(ch);
	if (s) {
		refcount_inc(&s->ref);
		slow_cause(ch, s, &ci);
		news = part_cut(ch, s, &ci);
		/* Pairs with drop_discarded(). */
		smp_store_release(&ch->discard, s->end);
	}
	spin_unlock(&ch->lock);
	if (!s)
		return;
	if (news)
		faasin_stream_said(ch, s, &ci);
	faasin_stream_put(s);
	cut_told(ch);
}

/*
 * Of a slow link that has FAASIN_STREAMS_MAX streams queued, two become one that is cut off, so
 * that another can begin: who reads gets an abort for both, and sees by the numbers that one is
 * missing. The trunk's lock is held, and no stream is live.
 */
static void queue_shorten(struct faasin_channel *ch)
{
	struct faasin_stream *s, *gone;
	struct faasin_cause_info ci;
	bool news, gone_news;

	spin_lock(&ch->lock);
	if (ch->unlinked || ch->slow != FAASIN_SLOW_DROP || ch->nr_queued < FAASIN_STREAMS_MAX) {
		spin_unlock(&ch->lock);
		return;
	}
	s = list_first_entry(&ch->streams, struct faasin_stream, entry);
	/* Of this one only the end is left to be told, and that may have been seen. */
	if (s->state == FAASIN_STREAM_ENDED && s->end <= READ_ONCE(ch->tail))
		s = list_next_entry(s, entry);
	gone = list_next_entry(s, entry);
	refcount_inc(&s->ref);
	faasin_stream_consumed(ch, gone);
	slow_cause(ch, gone, &ci);
	news = part_cut(ch, s, &ci);
	gone_news = part_cut(ch, gone, &ci);
	/* Pairs with drop_discarded(). */
	smp_store_release(&ch->discard, max(ch->discard, gone->end));
	spin_unlock(&ch->lock);
	if (news)
		faasin_stream_said(ch, s, &ci);
	if (gone_news)
		faasin_stream_said(ch, gone, &ci);
	faasin_stream_put(s);
	faasin_stream_put(gone);	/* the list's */
	cut_told(ch);
}

/**
 * faasin_parts_may_begin() - may another stream begin
 * @ch: trunk, its lock held
 *
 * A link that is dropped when slow, and has as many while another has not, is made to have one
 * less.
 *
 * Return: false if a link drains, or has FAASIN_STREAMS_MAX streams queued.
 */
bool faasin_parts_may_begin(struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	bool may = true, slow = false, room = false, full;
	struct faasin_channel *to;
	struct faasin_branch *b;

	lockdep_assert_held(&ch->lock);
	list_for_each_entry(b, &ch->trunk->branches, entry) {
		to = b->channel;
		spin_lock(&to->lock);
		full = to->nr_queued >= FAASIN_STREAMS_MAX;
		if (!to->unlinked && (to->state == FAASIN_LINK_STATE_DRAINING ||
				      (full && to->slow != FAASIN_SLOW_DROP)))
			may = false;
		slow |= !to->unlinked && full;
		room |= !to->unlinked && !full;
		spin_unlock(&to->lock);
	}
	if (!may || !slow || !room)
		return may && !slow;
	list_for_each_entry(b, &ch->trunk->branches, entry)
		queue_shorten(b->channel);
	return true;
}

static void part_begin(struct faasin_channel *ch, struct faasin_stream *part,
		       const struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	refcount_set(&part->ref, 2);	/* the list's and the stream's */
	INIT_LIST_HEAD(&part->processes);
	INIT_LIST_HEAD(&part->parts);
	part->number = s->number;
	part->start = s->start;
	part->branch = ch;
	faasin_channel_get(ch);
	list_add_tail(&part->entry, &ch->streams);
	if (ch->inbox)
		faasin_inbox_began(ch, part);
	ch->producing = part;
	ch->stream_seq = s->number;
	trace_faasin_stream_begin(ch->generation, s->number, 0);
}

static void parts_begin(struct faasin_channel *ch, struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	struct faasin_stream *part;
	struct faasin_branch *b;
	LIST_HEAD(used);

	list_for_each_entry(b, &ch->trunk->branches, entry) {
		spin_lock(&b->channel->lock);
		/* Only with its link is it sure to be held. */
		if (!b->channel->unlinked) {
			part = list_first_entry(&s->parts, struct faasin_stream, part_entry);
			list_move(&part->part_entry, &used);
			part_begin(b->channel, part, s);
		}
		spin_unlock(&b->channel->lock);
	}
	/* What is left was for branches that went meanwhile. */
	faasin_parts_free(s);
	list_splice(&used, &s->parts);
}

/**
 * faasin_parts_begin() - a stream begins on all links there are
 * @ch: trunk, its lock held
 * @s: the stream, which has its number and its start, and as many parts as there are branches
 */
void faasin_parts_begin(struct faasin_channel *ch, struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	struct faasin_workflow *wf = ch->src->stage->workflow;

	lockdep_assert_held(&ch->lock);
	if (!ch->trunk->meets) {
		parts_begin(ch, s);
		return;
	}
	/* See inbox.h. */
	spin_lock(&wf->order);
	parts_begin(ch, s);
	spin_unlock(&wf->order);
}

/**
 * faasin_parts_began() - tell the world of faasin_parts_begin()
 * @s: the stream, held
 */
void faasin_parts_began(struct faasin_stream *s)
{
	struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry) {
		faasin_readers_wake(part->branch);
		faasin_channel_event(part->branch, FAASIN_EVENT_STREAM_BEGIN, s->number, 0, NULL);
	}
}

/**
 * faasin_parts_finish() - a stream is over, and so are those parts that are not yet
 * @s: the stream, its trunk's lock held
 * @state: what becomes of them
 * @ci: the cause, or NULL
 */
void faasin_parts_finish(struct faasin_stream *s, enum faasin_stream_state state,
			 const struct faasin_cause_info *ci)
{
	struct faasin_channel *ch;
	struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry) {
		ch = part->branch;
		spin_lock(&ch->lock);
		part->due = faasin_stream_finish(ch, part, state, ci);
		spin_unlock(&ch->lock);
	}
}

/**
 * faasin_parts_said() - tell the world of faasin_parts_finish()
 * @ch: trunk
 * @s: the stream, held
 * @ci: the cause, or NULL
 */
void faasin_parts_said(struct faasin_channel *ch, struct faasin_stream *s,
		       const struct faasin_cause_info *ci)
{
	struct faasin_stream *part;
	bool listed;

	list_for_each_entry(part, &s->parts, part_entry)
		if (part->due)
			faasin_stream_said(part->branch, part, ci);
	/* Nobody reads it here. */
	spin_lock(&ch->lock);
	listed = !list_empty(&s->entry);
	list_del_init(&s->entry);
	spin_unlock(&ch->lock);
	faasin_waiters_wake(&ch->writers);
	if (listed)
		faasin_stream_put(s);
}

static bool part_lives(const struct faasin_stream *s)
{
	const struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry)
		if (READ_ONCE(part->state) == FAASIN_STREAM_LIVE)
			return true;
	return false;
}

/*
 * How a stream is over of which the last part is: as by an early close if there was one of a link
 * that is still there, since its policy is to hold, whichever came last.
 */
static enum faasin_stream_state parts_state(const struct faasin_stream *s,
					    const struct faasin_stream *last)
{
	const struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry)
		if (READ_ONCE(part->state) == FAASIN_STREAM_CLOSED &&
		    !READ_ONCE(part->branch->unlinked))
			return FAASIN_STREAM_CLOSED;
	return last->state;
}

/**
 * faasin_part_over() - a part's reader closed early, or its link is gone
 * @ch: the branch
 * @part: its part, which is over
 * @ci: why
 *
 * If it was the last, the stream is over.
 */
void faasin_part_over(struct faasin_channel *ch, struct faasin_stream *part,
		      const struct faasin_cause_info *ci)
{
	struct faasin_channel *trunk = faasin_channel_store(ch);
	struct faasin_stream *s;
	bool last = false;

	spin_lock(&trunk->lock);
	s = trunk->producing;
	if (s && s->number == part->number && !part_lives(s)) {
		refcount_inc(&s->ref);
		last = faasin_stream_finish(trunk, s, parts_state(s, part), ci);
	}
	spin_unlock(&trunk->lock);
	if (!last)
		return;
	faasin_parts_said(trunk, s, ci);
	faasin_stream_put(s);
}

/**
 * faasin_parts_swallow() - bytes that no link's reader will read
 * @s: a stream of a trunk, whose lock is held
 * @n: how many
 */
void faasin_parts_swallow(struct faasin_stream *s, size_t n)
{
	struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry) {
		spin_lock(&part->branch->lock);
		if (!part->branch->unlinked)
			part->branch->swallowed += n;
		spin_unlock(&part->branch->lock);
	}
}

/**
 * faasin_parts_set_context() - a stream has a context
 * @s: a stream of a trunk, whose lock is held
 */
void faasin_parts_set_context(struct faasin_stream *s)
{
	struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry) {
		spin_lock(&part->branch->lock);
		part->context = s->context;
		spin_unlock(&part->branch->lock);
	}
}

/**
 * faasin_parts_begun() - has a reader taken a stream
 * @s: a stream of a trunk
 *
 * Return: whether one has.
 */
bool faasin_parts_begun(const struct faasin_stream *s)
{
	const struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry)
		if (READ_ONCE(part->begun))
			return true;
	return false;
}

/**
 * faasin_parts_give_up() - drop what is left of a link that is gone
 * @ch: the branch, its trunk's lock held
 *
 * Readers are told that their stream was cut off.
 *
 * Return: false if that was done before, or nothing is left.
 */
bool faasin_parts_give_up(struct faasin_channel *ch)
{
	struct faasin_cause_info ci;
	struct faasin_stream *s;
	bool any;

	spin_lock(&ch->lock);
	any = ch->discard < ch->head && READ_ONCE(ch->tail) < ch->head;
	if (any) {
		list_for_each_entry(s, &ch->streams, entry) {
			if (s->end <= max(s->start, READ_ONCE(ch->tail)))
				continue;
			faasin_cause_set(&ci, s, FAASIN_CAUSE_UNLINK, 0, NULL, false);
			part_cut(ch, s, &ci);
		}
		/* Pairs with drop_discarded(). */
		smp_store_release(&ch->discard, ch->head);
	}
	spin_unlock(&ch->lock);
	if (any)
		cut_told(ch);
	return any;
}
