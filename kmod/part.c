// SPDX-License-Identifier: GPL-2.0
/*
 * Parts: a stream of a trunk as each of its branches has it. trunk.h has the rules and
 * the locks.
 *
 * A stream holds its parts, and these their branches, until nobody has it open and it is over.
 */
#include <linux/slab.h>

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

/**
 * faasin_parts_may_begin() - may another stream begin
 * @ch: trunk, its lock held
 *
 * Return: false if a link drains, or has FAASIN_STREAMS_MAX streams queued.
 */
bool faasin_parts_may_begin(struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	struct faasin_channel *to;
	struct faasin_branch *b;
	bool may = true;

	lockdep_assert_held(&ch->lock);
	list_for_each_entry(b, &ch->trunk->branches, entry) {
		to = b->channel;
		spin_lock(&to->lock);
		if (!to->unlinked && (to->state == FAASIN_LINK_STATE_DRAINING ||
				      to->nr_queued >= FAASIN_STREAMS_MAX))
			may = false;
		spin_unlock(&to->lock);
	}
	return may;
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
	ch->producing = part;
	ch->stream_seq = s->number;
	trace_faasin_stream_begin(ch->generation, s->number, 0);
}

/**
 * faasin_parts_begin() - a stream begins on all links there are
 * @ch: trunk, its lock held
 * @s: the stream, which has its number and its start, and as many parts as there are branches
 */
void faasin_parts_begin(struct faasin_channel *ch, struct faasin_stream *s)
	__must_hold(&ch->lock)
{
	struct faasin_stream *part;
	struct faasin_branch *b;
	LIST_HEAD(used);

	lockdep_assert_held(&ch->lock);
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
 * faasin_parts_began() - tell the world of faasin_parts_begin()
 * @s: the stream, held
 */
void faasin_parts_began(struct faasin_stream *s)
{
	struct faasin_stream *part;

	list_for_each_entry(part, &s->parts, part_entry) {
		faasin_waiters_wake(&part->branch->readers);
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
 * Readers are told that their stream was cut off; faasin_channel_discard() is to follow.
 *
 * Return: false if that was done before, or nothing is left.
 */
bool faasin_parts_give_up(struct faasin_channel *ch)
{
	struct faasin_stream *s;
	bool any;

	spin_lock(&ch->lock);
	any = ch->discard < ch->head && READ_ONCE(ch->tail) < ch->head;
	if (any) {
		list_for_each_entry(s, &ch->streams, entry) {
			if (s->state != FAASIN_STREAM_ENDED ||
			    s->end <= max(s->start, READ_ONCE(ch->tail)))
				continue;
			s->cause = FAASIN_CAUSE_UNLINK;
			/* As in faasin_stream_finish(). */
			smp_store_release(&s->state, FAASIN_STREAM_ABORTED);
		}
		/* Pairs with drop_discarded(). */
		smp_store_release(&ch->discard, ch->head);
	}
	spin_unlock(&ch->lock);
	return any;
}
