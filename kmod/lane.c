// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes: hand-off by index on trusted links: what the kernel makes of it. lane.h has what they
 * are and the locks.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "cgroup.h"
#include "lane.h"
#include "ring.h"

#define SLOTS	FAASIN_LANE_SLOTS

/* What settling applied. */
struct passed {
	u64 in, out;		/* bytes */
	u64 writes, reads;	/* records, extents */
};

static void lane_free(struct kref *ref)
{
	struct faasin_lane *lane = container_of(ref, struct faasin_lane, ref);

	put_pid(lane->pids[FAASIN_DIRECTION_IN]);
	put_pid(lane->pids[FAASIN_DIRECTION_OUT]);
	__free_pages(lane->pages, get_order(FAASIN_LANE_SIZE));
	kvfree(lane);
}

/**
 * faasin_lane_put() - drop a reference
 * @lane: lane, or NULL
 */
void faasin_lane_put(struct faasin_lane *lane)
{
	if (lane)
		kref_put(&lane->ref, lane_free);
}

/**
 * faasin_lane_new() - a lane that nobody has an end of
 * @ch: channel that pays for it
 *
 * Return: the lane with one reference, or NULL if there is no memory.
 */
struct faasin_lane *faasin_lane_new(struct faasin_channel *ch)
{
	struct cgroup_subsys_state *css = ch->pool.css;
	struct faasin_lane *lane;
	void *at;

	if (!faasin_pool_payer_has_room(&ch->pool, sizeof(*lane) + FAASIN_LANE_SIZE))
		return NULL;
	lane = faasin_memory_zalloc(css, sizeof(*lane));
	if (!lane)
		return NULL;
	lane->pages = faasin_memory_pages(css, get_order(FAASIN_LANE_SIZE),
					  __GFP_COMP | __GFP_ZERO);
	if (!lane->pages) {
		kvfree(lane);
		return NULL;
	}
	at = page_address(lane->pages);
	lane->state = at;
	lane->out = at + FAASIN_LANE_OUT_AT;
	lane->in = at + FAASIN_LANE_IN_AT;
	lane->channel = ch;
	kref_init(&lane->ref);
	return lane;
}

/* ---------------------------------------------------------------- settling */

/* The extent that begins at an offset, if @owner has it. */
static struct faasin_extent *extent_of(struct faasin_channel *ch, u64 offset,
				       const struct faasin_handle *owner)
{
	struct faasin_window *win = &ch->window;
	struct faasin_extent *e;

	if (offset >> PAGE_SHIFT >= win->nr_pages)
		return NULL;
	e = faasin_extent_at(win, offset >> PAGE_SHIFT);
	return e && e->owner == owner && faasin_extent_offset(e) == offset ? e : NULL;
}

/* As SEND of one extent. False if that would be refused, or cannot be yet. */
static bool apply_sent(struct faasin_channel *ch, struct faasin_lane *lane, struct passed *p)
{
	const struct faasin_lane_slot *slot = &lane->out->slots[lane->sent % SLOTS];
	u64 offset = READ_ONCE(slot->offset);
	u32 length = READ_ONCE(slot->length), last = READ_ONCE(slot->last);
	struct faasin_extent *e = extent_of(ch, offset, lane->ends[FAASIN_DIRECTION_OUT]);

	if (!e || !length || length > (u64)e->nr << PAGE_SHIFT)
		return false;
	faasin_extent_give(&ch->window, e, NULL);
	e->block.size = length;
	/* So that a TAKE has room for it, whatever they say. */
	e->last = last || ++lane->run == FAASIN_RANGES_MAX;
	if (e->last)
		lane->run = 0;
	e->lane = lane->number;
	lane->flying[lane->sent++ % SLOTS] = e;
	p->in += length;
	p->writes += e->last;
	return true;
}

static void apply_taken(struct faasin_channel *ch, struct faasin_lane *lane, struct passed *p)
{
	struct faasin_extent *e = lane->flying[lane->taken++ % SLOTS];

	p->out += e->block.size;
	p->reads += e->last;
	faasin_extent_give(&ch->window, e, lane->ends[FAASIN_DIRECTION_IN]);
}

/*
 * The producer's again: what it sent by this lane, and nothing else, which it may know nothing of,
 * nor keep a place for.
 */
static bool apply_returned(struct faasin_channel *ch, struct faasin_lane *lane)
{
	u64 offset = READ_ONCE(lane->in->offsets[lane->returned % SLOTS]);
	struct faasin_extent *e = extent_of(ch, offset, lane->ends[FAASIN_DIRECTION_IN]);

	if (!e || e->lane != lane->number)
		return false;
	faasin_extent_give(&ch->window, e, lane->ends[FAASIN_DIRECTION_OUT]);
	lane->back[lane->returned++ % SLOTS] = e->first;
	return true;
}

/* What a log says is further than any of its sides may be. */
static bool sent_too_far(const struct faasin_lane *lane, u64 sent)
{
	return sent - lane->sent > SLOTS;
}

static bool taken_too_far(const struct faasin_lane *lane, u64 taken)
{
	return taken - lane->taken > 2 * SLOTS;
}

static bool returned_too_far(const struct faasin_lane *lane, u64 returned)
{
	return returned - lane->returned > SLOTS;
}

/* More came back than the log holds, or fewer than were had again. */
static bool popped_too_far(u64 popped, u64 returned)
{
	return returned - popped > SLOTS;
}

/*
 * As much as can be applied of what the logs have up to these indices. Entries depend on others
 * of another log: what was sent again came back before, and so on. An index that is out of
 * reach is left for the end. Whether there was anything.
 */
static bool lane_apply(struct faasin_channel *ch, struct faasin_lane *lane, u64 sent, u64 taken,
		       u64 returned, struct passed *p)
{
	bool more = true, any = false;

	if (sent_too_far(lane, sent))
		sent = lane->sent;
	if (returned_too_far(lane, returned))
		returned = lane->returned;
	if (taken_too_far(lane, taken))
		taken = lane->taken;
	mutex_lock(&ch->window.lock);
	while (more) {
		more = false;
		while (lane->sent != sent && lane->sent - lane->taken < SLOTS &&
		       apply_sent(ch, lane, p))
			more = true;
		for (; lane->taken != taken && lane->taken != lane->sent; more = true)
			apply_taken(ch, lane, p);
		while (lane->returned != returned && apply_returned(ch, lane))
			more = true;
		any |= more;
	}
	mutex_unlock(&ch->window.lock);
	return any;
}

/* In ch->lock. */
static void lane_count(struct faasin_channel *ch, const struct passed *p)
{
	lockdep_assert_held(&ch->lock);
	faasin_ring_pass_by(ch, p->in, p->out);
	ch->wr.lane_calls += p->writes;
	ch->rd.lane_calls += p->reads;
	if (p->in)
		faasin_writers_wrote(ch->producing, ch->lane->ends[FAASIN_DIRECTION_OUT],
				     ch->lane->pids[FAASIN_DIRECTION_OUT]);
}

/* The first of it makes the stream the consumer's. */
static void lane_take(struct faasin_channel *ch, struct faasin_lane *lane, const struct passed *p)
{
	struct faasin_session *ss = lane->ends[FAASIN_DIRECTION_IN]->session;

	if (p->out && !READ_ONCE(ss->stream->begun))
		faasin_session_take(ch, ss);
}

/**
 * faasin_lane_look() - apply what the logs of a lane say
 * @ch: channel, its lane_mutex held
 * @lane: its lane, which is on
 *
 * Return: whether anything went through since it was last looked at.
 */
bool faasin_lane_look(struct faasin_channel *ch, struct faasin_lane *lane)
{
	u64 sent, taken, returned;
	struct passed p = { };
	bool any;

	/* Each before what it says is there: pairs with the sides' stores. */
	returned = smp_load_acquire(&lane->in->returned);
	/* Likewise. */
	taken = smp_load_acquire(&lane->in->taken);
	/* Likewise. */
	sent = smp_load_acquire(&lane->out->sent);
	any = lane_apply(ch, lane, sent, taken, returned, &p);
	if (!any)
		return false;
	lane_take(ch, lane, &p);
	spin_lock(&ch->lock);
	lane_count(ch, &p);
	spin_unlock(&ch->lock);
	/* After the last look at what may be overwritten then. */
	smp_store_release(&lane->state->settled_sent, lane->sent);
	/* Likewise. */
	smp_store_release(&lane->state->settled_returned, lane->returned);
	faasin_channel_idle_later(ch);
	return true;
}

/**
 * faasin_lane_hopeless() - do the logs say what can never be applied
 * @lane: lane that is on; its channel's lane_mutex held
 *
 * Whoever waits for more would wait for ever. Other nonsense holds up only the log that it is in.
 *
 * Return: whether an index is out of reach.
 */
bool faasin_lane_hopeless(const struct faasin_lane *lane)
{
	u64 before, returned, since;

	/* Both go on meanwhile: what was popped before came back before, and makes room since. */
	before = smp_load_acquire(&lane->out->popped);
	/* Likewise. */
	returned = smp_load_acquire(&lane->in->returned);
	since = READ_ONCE(lane->out->popped);

	return sent_too_far(lane, READ_ONCE(lane->out->sent)) ||
	       taken_too_far(lane, READ_ONCE(lane->in->taken)) ||
	       returned_too_far(lane, returned) || (s64)(returned - before) < 0 ||
	       (s64)(returned - since) > SLOTS;
}

/* ---------------------------------------------------------------- retiring */

/*
 * What an index says for good: from the bit on, nobody who goes by the rules changes it, and what
 * others make of it is read once. Without a loop, which they could keep busy.
 */
static u64 index_freeze(__u64 *index)
{
	atomic64_or(FAASIN_LANE_FROZEN, (atomic64_t *)index);
	/* Then what it says is there. */
	smp_mb__after_atomic();
	return READ_ONCE(*index) & ~FAASIN_LANE_FROZEN;
}

/* What came back and was not had again is of use to nobody who makes calls. */
static void lane_free_idle(struct faasin_channel *ch, struct faasin_lane *lane, u64 popped)
{
	struct faasin_window *win = &ch->window;
	struct faasin_extent *e;
	u64 i;

	if (popped_too_far(popped, lane->returned))
		return;
	for (i = popped; i != lane->returned; i++) {
		mutex_lock(&win->lock);
		/* If the producer said so, what was had again: that is for it to know. */
		e = extent_of(ch, (u64)lane->back[i % SLOTS] << PAGE_SHIFT,
			      lane->ends[FAASIN_DIRECTION_OUT]);
		/* So that it is nobody's meanwhile. */
		if (e)
			faasin_extent_give(win, e, NULL);
		mutex_unlock(&win->lock);
		if (e)
			faasin_extent_free(win, e);
	}
}

/* In ch->lock: what was sent and not taken is the ring's. */
static void lane_requeue(struct faasin_channel *ch, struct faasin_lane *lane)
{
	u64 i, pos = ch->tail;
	struct faasin_extent *e;

	for (i = lane->taken; i != lane->sent; i++) {
		e = lane->flying[i % SLOTS];
		/* There is no end of a record behind it. */
		if (i + 1 == lane->sent)
			e->last = true;
		pos = faasin_ring_append_extent(ch, e, pos);
	}
}

/* Indices when a lane was retired. */
struct frozen {
	u64 sent, taken, returned, popped;
};

/* Not all that they say could be applied. */
static bool lane_broken(const struct faasin_lane *lane, const struct frozen *f)
{
	return lane->sent != f->sent || lane->taken != f->taken || lane->returned != f->returned ||
	       popped_too_far(f->popped, f->returned);
}

/*
 * Then one side lied, as far as can be told from what is there now. A consumer that goes by the
 * rules takes only what was sent, and gives back only what it took: where that cannot be applied,
 * something that was sent and taken cannot.
 */
static bool lane_reader_lied(const struct faasin_lane *lane, const struct frozen *f)
{
	u64 i, offset, n = min(f->sent - lane->sent, f->taken - lane->taken);

	if (taken_too_far(lane, f->taken) || returned_too_far(lane, f->returned))
		return true;
	if (lane->sent == f->sent)
		return lane->taken != f->taken || lane->returned != f->returned ||
		       (s64)(f->returned - f->popped) > 0;
	if (sent_too_far(lane, f->sent) || lane->returned == f->returned)
		return false;
	offset = READ_ONCE(lane->in->offsets[lane->returned % SLOTS]);
	for (i = lane->sent; i != lane->sent + n; i++)
		if (READ_ONCE(lane->out->slots[i % SLOTS].offset) == offset)
			return false;
	return true;
}

/* In lane_mutex, while it is on; it is no more. */
static void lane_retire(struct faasin_channel *ch, struct faasin_lane *lane)
{
	struct faasin_stream *s = lane->ends[FAASIN_DIRECTION_OUT]->stream;
	struct faasin_cause_info ci;
	bool broken, by_reader;
	struct passed p = { };
	struct frozen f;

	/* In this order, what is seen of a log depends on nothing that is not seen of another. */
	f.sent = index_freeze(&lane->out->sent);
	f.taken = index_freeze(&lane->in->taken);
	f.returned = index_freeze(&lane->in->returned);
	f.popped = index_freeze(&lane->out->popped);
	lane_apply(ch, lane, f.sent, f.taken, f.returned, &p);
	lane_take(ch, lane, &p);
	lane_free_idle(ch, lane, f.popped);
	broken = lane_broken(lane, &f);
	if (broken) {
		by_reader = lane_reader_lied(lane, &f);
		faasin_cause_set(&ci, s, FAASIN_CAUSE_LANE, 0,
				 lane->pids[by_reader ? FAASIN_DIRECTION_IN : FAASIN_DIRECTION_OUT],
				 by_reader);
	}

	spin_lock(&ch->lock);
	lane_count(ch, &p);
	lane_requeue(ch, lane);
	if (broken)
		broken = faasin_stream_finish(ch, s, FAASIN_STREAM_ABORTED, &ci);
	/* Pairs with faasin_lane_on(). */
	smp_store_release(&ch->lane_on, false);
	spin_unlock(&ch->lock);
	WRITE_ONCE(lane->state->state, FAASIN_LANE_RETIRED);

	faasin_window_turn(ch);
	if (broken) {
		faasin_stream_said(ch, s, &ci);
	} else {
		faasin_waiters_wake(&ch->readers);
		faasin_waiters_wake(&ch->writers);
	}
	faasin_channel_idle_later(ch);
}

/**
 * faasin_lane_drop() - a channel has no lane any more
 * @ch: channel, its lane_mutex held
 *
 * Return: what was its lane, to be put without the mutex, or NULL.
 */
struct faasin_lane *faasin_lane_drop(struct faasin_channel *ch)
{
	struct faasin_lane *lane = ch->lane;

	if (!lane)
		return NULL;
	if (READ_ONCE(ch->lane_on)) {
		lane_retire(ch, lane);
	} else {
		WRITE_ONCE(lane->state->state, FAASIN_LANE_RETIRED);
		/* For those that wait for it to come on. */
		faasin_waiters_wake(&ch->readers);
		faasin_waiters_wake(&ch->writers);
	}
	lane->ends[FAASIN_DIRECTION_IN] = NULL;
	lane->ends[FAASIN_DIRECTION_OUT] = NULL;
	WRITE_ONCE(ch->lane, NULL);
	return lane;
}

/**
 * faasin_lane_rest() - nothing went through a channel for a while
 * @ch: channel, both mutexes held
 *
 * What came back and lies there is freed. If nothing does, the lane stays, and whoever is
 * the next to pass something on says so, as to one that sleeps: so it is seen, and looked at again.
 *
 * Return: whether something went through just now.
 */
bool faasin_lane_rest(struct faasin_channel *ch)
{
	struct faasin_lane *lane, *gone = NULL;
	bool any = false;

	if (!faasin_lane_on(ch))
		return false;
	mutex_lock(&ch->lane_mutex);
	lane = ch->lane;
	if (READ_ONCE(ch->lane_on)) {
		WRITE_ONCE(lane->state->asleep_in, 1);
		WRITE_ONCE(lane->state->asleep_out, 1);
		/* As of who sleeps: before it is looked at. */
		smp_mb();
		any = faasin_lane_look(ch, lane);
		if (!any && READ_ONCE(lane->out->popped) != lane->returned)
			gone = faasin_lane_drop(ch);
	}
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(gone);
	return any;
}

/**
 * faasin_lane_retire_now() - from here on there is the ring
 * @ch: channel; neither its lock nor its window's is held
 */
void faasin_lane_retire_now(struct faasin_channel *ch)
{
	struct faasin_lane *lane = NULL;

	mutex_lock(&ch->lane_mutex);
	if (READ_ONCE(ch->lane_on))
		lane = faasin_lane_drop(ch);
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(lane);
}

/**
 * faasin_lane_settle_now() - what a lane moved is counted
 * @ch: channel; neither its lock nor its window's is held
 */
void faasin_lane_settle_now(struct faasin_channel *ch)
{
	mutex_lock(&ch->lane_mutex);
	if (READ_ONCE(ch->lane_on))
		faasin_lane_look(ch, ch->lane);
	mutex_unlock(&ch->lane_mutex);
}

/**
 * faasin_lane_leave() - an open file goes
 * @h: open file that may have a lane, and still has its extents
 */
void faasin_lane_leave(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_lane *lane = NULL;

	/* An input that may have several links may be bound to none. */
	if (!ch || !ch->window.trusted)
		return;
	mutex_lock(&ch->lane_mutex);
	if (ch->lane && ch->lane->ends[h->direction] == h)
		lane = faasin_lane_drop(ch);
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(lane);
}
