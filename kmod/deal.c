// SPDX-License-Identifier: GPL-2.0
/*
 * Dealing: whose turn it is, and streams that begin and end on all links. deal.h has the rules
 * and the locks.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "deal.h"
#include "inbox.h"
#include "trace.h"
#include "workflow.h"

static_assert(FAASIN_FAN_MAX <= 32, "as many are held on the stack");

/* ---------------------------------------------------------------- lifetime */

/**
 * faasin_deal_new() - an output's records are to be dealt
 * @generation: a number that is no link's
 *
 * Return: the deal, which has no link yet, with one reference; or NULL.
 */
struct faasin_deal *faasin_deal_new(u64 generation)
{
	struct faasin_deal *deal = kzalloc(sizeof(*deal), GFP_KERNEL_ACCOUNT);

	if (!deal)
		return NULL;
	kref_init(&deal->ref);
	mutex_init(&deal->mutex);
	spin_lock_init(&deal->lock);
	INIT_LIST_HEAD(&deal->members);
	init_waitqueue_head(&deal->writers.wait);
	init_waitqueue_head(&deal->writers.poll);
	deal->generation = generation;
	return deal;
}

static void deal_release(struct kref *ref)
{
	struct faasin_deal *deal = container_of(ref, struct faasin_deal, ref);

	WARN_ON_ONCE(!list_empty(&deal->members) || deal->round);
	kfree(deal);
}

/**
 * faasin_deal_get() - take a reference
 * @deal: deal
 */
void faasin_deal_get(struct faasin_deal *deal)
{
	kref_get(&deal->ref);
}

/**
 * faasin_deal_put() - drop a reference
 * @deal: deal
 */
void faasin_deal_put(struct faasin_deal *deal)
{
	kref_put(&deal->ref, deal_release);
}

static void round_release(struct kref *ref)
{
	struct faasin_deal_round *r = container_of(ref, struct faasin_deal_round, ref);
	unsigned int i;

	for (i = 0; i < r->nr; i++) {
		if (r->part[i].stream)
			faasin_stream_put(r->part[i].stream);
		/* It may be the last, and the mutex be held. */
		if (r->part[i].channel)
			faasin_channel_put_later(r->part[i].channel);
	}
	kfree(r);
}

/**
 * faasin_round_put() - drop a reference
 * @r: round, or NULL
 */
void faasin_round_put(struct faasin_deal_round *r)
{
	if (r)
		kref_put(&r->ref, round_release);
}

/* ------------------------------------------------------------------- links */

/**
 * faasin_deal_has_room() - may links be added
 * @deal: deal; faasin_tree_sem is held for writing
 * @n: how many
 *
 * Return: whether there are no more than FAASIN_FAN_MAX then.
 */
bool faasin_deal_has_room(struct faasin_deal *deal, unsigned int n)
{
	return READ_ONCE(deal->nr) + n <= FAASIN_FAN_MAX;
}

/**
 * faasin_deal_add() - a link is made: its channel takes part, from the next stream on
 * @deal: deal with room; faasin_tree_sem is held for writing
 * @ch: channel that no stream began on
 */
void faasin_deal_add(struct faasin_deal *deal, struct faasin_channel *ch)
{
	faasin_deal_get(deal);
	ch->deal = deal;
	spin_lock(&deal->lock);
	list_add_tail(&ch->deal_entry, &deal->members);
	WRITE_ONCE(deal->nr, deal->nr + 1);
	spin_unlock(&deal->lock);
}

/**
 * faasin_deal_leave() - a link goes: its channel takes no part any more
 * @ch: channel; faasin_tree_sem is held for writing
 *
 * Its streams were unlinked, so that the live round has no more links than there are. If it kept
 * a stream from beginning, that may begin now.
 */
void faasin_deal_leave(struct faasin_channel *ch)
{
	struct faasin_deal *deal = ch->deal;

	spin_lock(&deal->lock);
	list_del_init(&ch->deal_entry);
	WRITE_ONCE(deal->nr, deal->nr - 1);
	spin_unlock(&deal->lock);
	faasin_waiters_wake(&deal->writers);
}

/* Those that take part, held: up to FAASIN_FAN_MAX; how many. */
static unsigned int members_get(struct faasin_deal *deal, struct faasin_channel **found)
{
	struct faasin_channel *ch;
	unsigned int n = 0;

	spin_lock(&deal->lock);
	/* Their links are there, and hold them. */
	list_for_each_entry(ch, &deal->members, deal_entry) {
		if (WARN_ON_ONCE(n == FAASIN_FAN_MAX))
			break;
		faasin_channel_get(ch);
		found[n++] = ch;
	}
	spin_unlock(&deal->lock);
	return n;
}

static void members_put(struct faasin_channel **found, unsigned int n)
{
	while (n)
		faasin_channel_put_later(found[--n]);
}

/**
 * faasin_deal_detach() - faasin_channel_detach() of an output whose records are dealt
 * @deal: deal; faasin_tree_sem is held for writing
 * @found: receives FAASIN_FAN_MAX channels at most, held: those that were detached
 *
 * Return: how many.
 */
unsigned int faasin_deal_detach(struct faasin_deal *deal, struct faasin_channel **found)
{
	unsigned int n, i;

	mutex_lock(&deal->mutex);
	deal->replaced++;
	n = members_get(deal, found);
	for (i = 0; i < n; i++)
		faasin_channel_detach(found[i], FAASIN_DIRECTION_OUT);
	mutex_unlock(&deal->mutex);
	return n;
}

/* ------------------------------------------------------------------ rounds */

static int part_state(const struct faasin_deal_round *r, unsigned int i)
{
	/* Pairs with faasin_stream_finish(). */
	return smp_load_acquire(&r->part[i].stream->state);
}

/*
 * A reader's doing, or an operator's, is not that of the stages whose other streams it ends: whose
 * it is, is said of the link that it was done to.
 */
static void cause_for_others(struct faasin_cause_info *ci)
{
	if (ci->cause == FAASIN_CAUSE_EARLY_CLOSE || ci->cause == FAASIN_CAUSE_UNLINK)
		*ci = (struct faasin_cause_info){ .cause = FAASIN_CAUSE_DEAL };
}

/* Why a part is over that did not simply end; false if none is. */
static bool round_is_broken(const struct faasin_deal_round *r, struct faasin_cause_info *ci)
{
	struct faasin_channel *ch;
	struct faasin_stream *s;
	unsigned int i;
	int state;

	for (i = 0; i < r->nr; i++) {
		state = part_state(r, i);
		if (state != FAASIN_STREAM_ABORTED && state != FAASIN_STREAM_CLOSED)
			continue;
		ch = r->part[i].channel;
		s = r->part[i].stream;
		spin_lock(&ch->lock);
		if (ch->cause.stream == s->number)
			*ci = ch->cause;
		else	/* Something happened to another one since, that had ended before. */
			*ci = (struct faasin_cause_info){ .cause = s->cause, .code = s->code };
		spin_unlock(&ch->lock);
		cause_for_others(ci);
		return true;
	}
	return false;
}

/**
 * faasin_round_finish() - all parts that live are over
 * @r: round, its deal's mutex held
 * @state: what becomes of them
 * @cause: why, or NULL
 */
void faasin_round_finish(struct faasin_deal_round *r, enum faasin_stream_state state,
			 const struct faasin_cause_info *cause)
{
	struct faasin_cause_info ci, *told = cause ? &ci : NULL;
	struct faasin_channel *ch;
	struct faasin_stream *s;
	unsigned int i;
	bool first;

	for (i = 0; i < r->nr; i++) {
		ch = r->part[i].channel;
		s = r->part[i].stream;
		if (cause) {
			ci = *cause;
			ci.stream = s->number;
		}
		spin_lock(&ch->lock);
		first = faasin_stream_finish(ch, s, state, told);
		spin_unlock(&ch->lock);
		if (first)
			faasin_stream_said(ch, s, told);
	}
}

/**
 * faasin_round_settle() - all parts are over if one is, and then the round is the deal's no more
 * @deal: whose, its mutex held
 * @r: round, which may have been its before
 */
void faasin_round_settle(struct faasin_deal *deal, struct faasin_deal_round *r)
{
	struct faasin_cause_info ci;
	bool lives = false;
	unsigned int i;

	lockdep_assert_held(&deal->mutex);
	if (round_is_broken(r, &ci))
		faasin_round_finish(r, FAASIN_STREAM_ABORTED, &ci);
	for (i = 0; i < r->nr; i++)
		lives |= part_state(r, i) == FAASIN_STREAM_LIVE;
	if (lives || deal->round != r)
		return;
	WRITE_ONCE(deal->round, NULL);
	faasin_round_put(r);
	/* Another may begin. */
	faasin_waiters_wake(&deal->writers);
}

/**
 * faasin_deal_settle() - a stream of a link is over, otherwise than by the producer's doing
 * @deal: the link's; no other lock than faasin_tree_sem is held
 */
void faasin_deal_settle(struct faasin_deal *deal)
{
	mutex_lock(&deal->mutex);
	if (deal->round)
		faasin_round_settle(deal, deal->round);
	mutex_unlock(&deal->mutex);
}

static void fresh_free(struct faasin_deal_round *fresh)
{
	unsigned int i;

	/* Streams that did not begin are without references. */
	for (i = 0; fresh && i < fresh->nr; i++)
		kfree(fresh->part[i].stream);
	kfree(fresh);
}

/* A round of @nr links that did not begin, or NULL. */
static struct faasin_deal_round *fresh_new(unsigned int nr)
{
	struct faasin_deal_round *r;
	unsigned int i;

	r = kzalloc(struct_size(r, part, nr), GFP_KERNEL_ACCOUNT);
	if (!r)
		return NULL;
	kref_init(&r->ref);
	r->nr = nr;
	for (i = 0; i < nr; i++) {
		r->part[i].stream = faasin_stream_new();
		if (!r->part[i].stream) {
			fresh_free(r);
			return NULL;
		}
	}
	return r;
}

/**
 * struct opening - what an open brings along
 * @nr: for how many links there are hands
 * @fresh: a round of as many, should it begin one; NULL if it seems that there is one to join
 */
struct opening {
	unsigned int nr;
	struct faasin_deal_round *fresh;
};

/* What open_prepare() got and nobody used. */
static void open_unprepare(struct faasin_handle *h, struct opening *o)
{
	fresh_free(o->fresh);
	o->fresh = NULL;
	kfree(h->hands);
	h->hands = NULL;
}

/* Memory for the open file, and for a round if it @begins one; -ENOMEM. */
static int open_prepare(struct faasin_handle *h, bool begins, struct opening *o)
{
	o->nr = READ_ONCE(h->deal->nr);
	h->hands = kcalloc(max(o->nr, 1U), sizeof(*h->hands), GFP_KERNEL_ACCOUNT);
	o->fresh = begins ? fresh_new(o->nr) : NULL;
	if (h->hands && (o->fresh || !begins))
		return 0;
	open_unprepare(h, o);
	return -ENOMEM;
}

/* A hand on a link, whose channel the round holds, or is to hold. */
static void hand_init(struct faasin_handle *h, unsigned int i, struct faasin_deal_round *r,
		      struct faasin_channel *ch)
{
	struct faasin_handle *hand = &h->hands[i];

	memset(hand, 0, sizeof(*hand));
	INIT_LIST_HEAD(&hand->extents);
	hand->direction = FAASIN_DIRECTION_OUT;
	hand->channel = ch;
	hand->replaced = READ_ONCE(ch->replaced[FAASIN_DIRECTION_OUT]);
	hand->round = r;
	hand->part = i;
	hand->file = h;
}

/**
 * faasin_hands_release() - hands are taken back
 * @h: open file, its deal's mutex held
 * @n: how many of them, the first ones
 */
void faasin_hands_release(struct faasin_handle *h, unsigned int n)
{
	while (n)
		faasin_output_release(&h->hands[--n]);
}

/* In deal->mutex: joins the live round. 0, or -EAGAIN: it is over. */
static int round_join(struct faasin_handle *h, struct faasin_deal_round *r)
{
	unsigned int i;
	int err = 0;

	/* It holds what the hands are on. */
	kref_get(&r->ref);
	for (i = 0; !err && i < r->nr; i++) {
		hand_init(h, i, r, r->part[i].channel);
		err = faasin_stream_join(&h->hands[i], r->part[i].stream);
	}
	if (err) {
		/* One part is over. First all are, or who leaves it as the last would end it. */
		faasin_round_settle(h->deal, r);
		faasin_hands_release(h, i - 1);
		faasin_round_put(r);
		return -EAGAIN;
	}
	h->round = r;
	return 0;
}

/* May a stream begin on all links? */
static bool round_may_begin(struct faasin_channel **found, unsigned int n)
{
	bool may = true;
	unsigned int i;

	for (i = 0; may && i < n; i++) {
		spin_lock(&found[i]->lock);
		may = !found[i]->producing && faasin_stream_may_begin(found[i]);
		spin_unlock(&found[i]->lock);
	}
	return may;
}

/*
 * In deal->mutex: a round begins on all links there are: 0, or -ENXIO: there is none; -EAGAIN: one
 * has too many streams, or drains; -ENOBUFS: @fresh is for fewer, or is none.
 */
static int round_begin(struct faasin_handle *h, struct faasin_deal_round *fresh)
{
	struct faasin_channel *found[FAASIN_FAN_MAX];
	struct faasin_deal *deal = h->deal;
	struct faasin_workflow *wf;
	unsigned int n, i, nr = 0;
	struct faasin_stream *s;
	int err = 0;

	n = members_get(deal, found);
	if (!n)
		return -ENXIO;
	if (!fresh || n > fresh->nr)
		err = -ENOBUFS;
	else if (!round_may_begin(found, n))
		err = -EAGAIN;
	if (err) {
		members_put(found, n);
		return err;
	}
	wf = found[0]->src->stage->workflow;
	/* See inbox.h. */
	spin_lock(&wf->order);
	for (i = 0; i < n; i++) {
		s = fresh->part[nr].stream;
		hand_init(h, nr, fresh, found[i]);
		/* One that is about to go takes no part. */
		if (faasin_stream_begin(&h->hands[nr], s))
			continue;
		refcount_inc(&s->ref);
		faasin_channel_get(found[i]);
		fresh->part[nr++].channel = found[i];
	}
	spin_unlock(&wf->order);
	members_put(found, n);
	/* Those for links that went meanwhile. */
	for (i = nr; i < fresh->nr; i++)
		kfree(fresh->part[i].stream);
	fresh->nr = nr;
	fresh->deal = deal;
	fresh->number = ++deal->rounds;
	if (!nr)
		return -ENXIO;
	/* The first is the open file's. */
	kref_get(&fresh->ref);
	WRITE_ONCE(deal->round, fresh);
	h->round = fresh;
	return 0;
}

/* In deal->mutex: one try. 1: it began one; else as above, or -ENXIO: the stage was replaced. */
static int round_try(struct faasin_handle *h, const struct opening *o)
{
	struct faasin_deal *deal = h->deal;
	int err;

	if (deal->replaced != h->replaced)
		return -ENXIO;
	if (deal->round && deal->round->nr > o->nr)
		return -ENOBUFS;
	if (deal->round) {
		err = round_join(h, deal->round);
		if (err != -EAGAIN || deal->round)
			return err;
	}
	err = round_begin(h, o->fresh);
	return err ?: 1;
}

/* Tells the world of a round that began. */
static void round_began(struct faasin_deal_round *r)
{
	struct faasin_channel *ch;
	unsigned int i;

	for (i = 0; i < r->nr; i++) {
		ch = r->part[i].channel;
		faasin_readers_wake(ch);
		faasin_channel_event(ch, FAASIN_EVENT_STREAM_BEGIN, r->part[i].stream->number, 0,
				     NULL);
	}
}

/* Until a try is not in vain. */
static int open_wait(struct faasin_handle *h, bool nonblock, struct opening *o)
{
	struct faasin_deal *deal = h->deal;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int ret;

	add_wait_queue(&deal->writers.wait, &wait);
	for (;;) {
		mutex_lock(&deal->mutex);
		ret = round_try(h, o);
		if (ret >= 0)
			WRITE_ONCE(deal->opens, deal->opens + 1);
		mutex_unlock(&deal->mutex);
		if (ret == -ENOBUFS) {
			open_unprepare(h, o);
			ret = open_prepare(h, true, o);
			if (!ret)
				continue;
		}
		if (ret != -EAGAIN || nonblock)
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		wait_woken(&wait, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT);
	}
	remove_wait_queue(&deal->writers.wait, &wait);
	return ret;
}

/**
 * faasin_deal_open() - faasin_stream_open() of an output whose records are dealt
 * @h: open file
 * @nonblock: do not wait while a link has FAASIN_STREAMS_MAX streams queued, or drains
 *
 * Return: 0, or as faasin_stream_open().
 */
int faasin_deal_open(struct faasin_handle *h, bool nonblock)
{
	struct opening o = { };
	int ret;

	/* Whether it will be there is seen later: then there are streams for it, too. */
	ret = open_prepare(h, !READ_ONCE(h->deal->round), &o);
	if (!ret)
		ret = open_wait(h, nonblock, &o);
	if (ret == 1) {
		round_began(o.fresh);
		return 0;
	}
	if (ret)
		open_unprepare(h, &o);
	else
		fresh_free(o.fresh);
	return ret;
}
