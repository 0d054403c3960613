// SPDX-License-Identifier: GPL-2.0
/*
 * Trunks and branches: who is told of what is published, how far the slowest is. trunk.h
 * has the rules.
 */
#include <linux/limits.h>
#include <linux/slab.h>

#include "account.h"
#include "inbox.h"
#include "limits.h"
#include "ring.h"
#include "trace.h"
#include "trunk.h"
#include "workflow.h"

static_assert(FAASIN_FAN_MAX <= 32, "as many are held at a time, by locks and on the stack");

/* ---------------------------------------------------------------- lifetime */

/**
 * faasin_trunk_create() - a channel is to be a trunk
 * @ch: channel that nobody else knows
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_trunk_create(struct faasin_channel *ch)
{
	static struct lock_class_key wr_key, rd_key, lock_key;
	struct faasin_trunk *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return -ENOMEM;
	lockdep_set_class(&ch->wr.mutex, &wr_key);
	lockdep_set_class(&ch->rd.mutex, &rd_key);
	lockdep_set_class(&ch->lock, &lock_key);
	t->channel = ch;
	INIT_LIST_HEAD(&t->branches);
	ch->trunk = t;
	return 0;
}

/**
 * faasin_trunk_free() - a trunk goes
 * @ch: channel without branches, which hold it
 */
void faasin_trunk_free(struct faasin_channel *ch)
{
	WARN_ON_ONCE(!list_empty(&ch->trunk->branches));
	kfree(ch->trunk);
}

/**
 * faasin_branch_create() - a channel is to be a branch
 * @ch: channel that nobody else knows, without a ring
 * @trunk: whose; a reference is taken
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_branch_create(struct faasin_channel *ch, struct faasin_channel *trunk)
{
	struct faasin_branch *b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);

	if (!b)
		return -ENOMEM;
	b->channel = ch;
	b->trunk = trunk->trunk;
	INIT_LIST_HEAD(&b->entry);
	faasin_channel_get(trunk);
	ch->branch = b;
	return 0;
}

/**
 * faasin_branch_free() - a branch goes, and lets its trunk go
 * @ch: channel of faasin_branch_create(), which left
 */
void faasin_branch_free(struct faasin_channel *ch)
{
	struct faasin_channel *trunk = ch->branch->trunk->channel;

	kfree(ch->branch);
	faasin_channel_put(trunk);
}

/* Under the trunk's lock. */
static void counts_get(struct faasin_channel *trunk, struct faasin_counts *c)
{
	c->calls = READ_ONCE(trunk->wr.calls);
	c->blocks = READ_ONCE(trunk->wr.blocks);
	c->blocked_ns = faasin_side_blocked_ns(trunk, &trunk->wr);
	c->wakes = READ_ONCE(trunk->rd.wakes);
}

static u64 pool_kib_ms(struct faasin_channel *trunk)
{
	u64 bytes, kib_ms;

	faasin_pool_size(&trunk->pool, &bytes, &kib_ms);
	return kib_ms;
}

/* The oldest link that is not gone, or NULL. Under the trunk's lock. */
static struct faasin_branch *branch_linked(struct faasin_trunk *t)
{
	struct faasin_branch *b;

	list_for_each_entry(b, &t->branches, entry)
		if (!b->over)
			return b;
	return NULL;
}

/* Under the trunk's lock: from now on @b is the one that shows the pool's memory. */
static void payer_set(struct faasin_trunk *t, struct faasin_branch *b)
{
	t->payer = b;
	if (b)
		b->paid_since = pool_kib_ms(t->channel);
}

/*
 * Under the trunk's lock: another link shows it from now on, if there is one; or if @leaves, whose
 * branch is about to go, anybody who is left.
 */
static void payer_pass(struct faasin_branch *b, bool leaves)
{
	struct faasin_trunk *t = b->trunk;
	struct faasin_branch *next = branch_linked(t);

	if (!next && leaves)
		next = list_first_entry_or_null(&t->branches, struct faasin_branch, entry);
	if (t->payer != b || (!next && !leaves))
		return;
	b->kib_ms += pool_kib_ms(t->channel) - b->paid_since;
	payer_set(t, next);
}

/**
 * faasin_trunk_has_room() - may links be added
 * @ch: trunk
 * @n: how many
 *
 * Return: whether there are no more than FAASIN_FAN_MAX then, those included that are gone and
 * not read yet.
 */
bool faasin_trunk_has_room(struct faasin_channel *ch, unsigned int n)
{
	return READ_ONCE(ch->trunk->nr) + n <= FAASIN_FAN_MAX;
}

/**
 * faasin_trunk_join() - a branch takes part, from the next stream on
 * @ch: the branch; faasin_tree_sem is held for writing
 */
void faasin_trunk_join(struct faasin_channel *ch)
{
	struct faasin_branch *b = ch->branch;
	struct faasin_channel *trunk = b->trunk->channel;

	/* With this, the ring is not cleared meanwhile. */
	mutex_lock(&trunk->rd.mutex);
	spin_lock(&trunk->lock);
	ch->ring = trunk->ring;
	ch->ring_mask = trunk->ring_mask;
	ch->pool.capacity = trunk->pool.capacity;
	ch->pool.block_size = trunk->pool.block_size;
	ch->queued = trunk->queued;
	ch->queued_known = trunk->queued;
	/* More may be added to the last block. */
	ch->done = trunk->queued - (trunk->last ? 1 : 0);
	ch->head = trunk->head;
	ch->head_known = trunk->head;
	ch->tail = trunk->head;
	ch->drained = trunk->head;
	ch->discard = trunk->head;
	ch->records = trunk->records;
	ch->ends = trunk->ends;
	ch->ends_mask = trunk->ends_mask;
	ch->ends_out = trunk->ends_in;
	ch->stream_seq = trunk->stream_seq;
	b->passed = ch->done;
	b->start = trunk->head;
	b->first = trunk->stream_seq;
	counts_get(trunk, &b->since);
	b->trunk->meets |= !!ch->inbox;
	list_add_tail(&b->entry, &b->trunk->branches);
	WRITE_ONCE(b->trunk->nr, b->trunk->nr + 1);
	if (!b->trunk->payer)
		payer_set(b->trunk, b);
	spin_unlock(&trunk->lock);
	mutex_unlock(&trunk->rd.mutex);
	/* Beside one without queued streams, others may lose some, so that another can begin. */
	faasin_waiters_wake(&trunk->writers);
}

/* Under the trunk's lock. */
static void branch_remove(struct faasin_branch *b)
{
	if (list_empty(&b->entry))
		return;
	list_del_init(&b->entry);
	WRITE_ONCE(b->trunk->nr, b->trunk->nr - 1);
}

/* ------------------------------------------------------------------ cursors */

/* Under the trunk's lock: its link is gone, and all was read of it. */
static bool branch_is_done(const struct faasin_channel *ch)
{
	/* Pairs with tail_set(). */
	return READ_ONCE(ch->unlinked) && smp_load_acquire(&ch->drained) == READ_ONCE(ch->head);
}

/* The trunk's cursor to where the slowest branch's is. */
static void trunk_pass(struct faasin_trunk *t)
{
	struct faasin_channel *ch = t->channel;
	struct faasin_branch *b, *next;
	unsigned long done, passed, ends;
	u64 tail, drained;

	mutex_lock(&ch->rd.mutex);
	spin_lock(&ch->lock);
	/* The producer may be filling the last one. */
	done = ch->queued - (ch->last ? 1 : 0);
	ends = ch->ends_in;
	tail = ch->head;
	drained = ch->head;
	list_for_each_entry_safe(b, next, &t->branches, entry) {
		if (branch_is_done(b->channel)) {
			branch_remove(b);
			continue;
		}
		/* Pairs with faasin_branch_passed(): it looks at nothing before. */
		passed = smp_load_acquire(&b->passed);
		if ((long)(passed - done) < 0)
			done = passed;
		tail = min(tail, faasin_ring_tail(b->channel));
		/* Pairs with tail_set(), for the producer. */
		drained = min(drained, smp_load_acquire(&b->channel->drained));
		/* After what it says of: pairs with faasin_records_pass(). */
		passed = smp_load_acquire(&b->channel->ends_out);
		if ((long)(passed - ends) < 0)
			ends = passed;
	}
	spin_unlock(&ch->lock);
	/* As in faasin_records_pass(): before extents are freed. */
	smp_store_release(&ch->ends_out, ends);
	faasin_ring_pass(ch, done, tail, drained);
	mutex_unlock(&ch->rd.mutex);
}

/*
 * Under the trunk's lock: the branches whose link is gone and that nobody is slower than are
 * to drop what they have. Whether there was any.
 */
static bool branches_give_up(struct faasin_trunk *t)
{
	struct faasin_branch *b;
	u64 tail = ~0ULL;
	bool any = false;

	lockdep_assert_held(&t->channel->lock);
	list_for_each_entry(b, &t->branches, entry)
		tail = min(tail, READ_ONCE(b->channel->tail));
	list_for_each_entry(b, &t->branches, entry)
		if (b->over && READ_ONCE(b->channel->tail) == tail)
			any |= faasin_parts_give_up(b->channel);
	return any;
}

static bool branch_takes_part(const struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	return ch->producing;
}

/* It is where it is by reading: not because it joined there, was cut off, or closed early. */
static bool branch_has_read(const struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	return READ_ONCE(ch->tail) > ch->discard;
}

/**
 * struct pace - who is waited for, whoever is dropped
 * @throttling: position of the slowest that throttles, or ~0
 * @first: of the first that read up to there, or 0
 * @waits: has another its input open, and nothing left to read
 *
 * Of branches that take part in the live stream.
 */
struct pace {
	u64 throttling;
	u64 first;
	bool waits;
};

static void pace_add(struct pace *p, const struct faasin_branch *b, u64 head)
{
	struct faasin_channel *ch = b->channel;

	spin_lock(&ch->lock);
	if (branch_takes_part(ch)) {
		if (ch->slow == FAASIN_SLOW_THROTTLE)
			p->throttling = min(p->throttling, faasin_channel_position(ch));
		else if (branch_has_read(ch))
			p->first = max(p->first, faasin_channel_position(ch));
		else if (faasin_channel_readers(ch) && faasin_channel_position(ch) == head)
			p->waits = true;
	}
	spin_unlock(&ch->lock);
}

/* Nobody has its input open. */
static bool branch_is_left(struct faasin_channel *ch)
{
	bool left;

	spin_lock(&ch->lock);
	left = !faasin_channel_readers(ch);
	spin_unlock(&ch->lock);
	return left;
}

/* For all who wait: up to PIPE_BUF bytes, or a record. */
static bool trunk_has_room(struct faasin_channel *ch)
{
	u64 want = min_t(u64, READ_ONCE(ch->want), READ_ONCE(ch->pool.capacity));

	want = max_t(u64, want, PIPE_BUF);
	return READ_ONCE(ch->space) + faasin_pool_room(&ch->pool) >= want &&
	       (!ch->records || faasin_records_have_room(ch));
}

/* Nobody waits for more than there is. */
static bool trunk_has_enough(struct faasin_channel *ch)
{
	return !READ_ONCE(ch->window.wanted) && !READ_ONCE(ch->pool.starved) &&
	       trunk_has_room(ch);
}

/*
 * Under the trunk's lock: who is slowest, and has twice as much left to read as those who are to be
 * waited for, loses a stream if that is its policy. Not if somebody is about to drop something, or
 * has and made no room of it yet: who does that comes here next. Who has read nothing where it
 * stands sets no pace, or one that was moved ahead would have others dropped in turn; it only is
 * not to wait for those that have no reader.
 */
static void branches_cut(struct faasin_trunk *t)
{
	struct pace p = { .throttling = ~0ULL };
	u64 head = t->channel->head, last = ~0ULL, pace;
	struct faasin_branch *b;
	bool behind;

	lockdep_assert_held(&t->channel->lock);
	list_for_each_entry(b, &t->branches, entry) {
		pace_add(&p, b, head);
		/* Pairs with drop_discarded(). */
		last = min(last, smp_load_acquire(&b->channel->tail));
		/* Pairs with faasin_branch_passed(). */
		if (smp_load_acquire(&b->dropping))
			return;
	}
	/* That may have been in between. */
	if (trunk_has_enough(t->channel))
		return;
	pace = p.throttling == ~0ULL ? p.first : p.throttling;
	behind = last < pace && 2 * (head - pace) <= head - last;
	p.waits &= p.throttling == ~0ULL && last < head;
	if (!behind && !p.waits)
		return;
	list_for_each_entry(b, &t->branches, entry)
		if (!b->over && b->channel->slow == FAASIN_SLOW_DROP &&
		    faasin_channel_position(b->channel) == last &&
		    (behind || branch_is_left(b->channel)))
			faasin_parts_cut(b->channel, last);
}

/**
 * faasin_trunk_drop() - there is no room: whoever holds it for nothing, or for too long, is to
 * give it up
 * @ch: the trunk
 * @need: the caller waits for so much, and is in a queue of those who are told; or 0
 */
void faasin_trunk_drop(struct faasin_channel *ch, size_t need)
{
	u32 want = READ_ONCE(ch->want);

	/* Those who are told say so again if they still wait: wake_after_read(). */
	while (want < need && !try_cmpxchg(&ch->want, &want, need))
		;
	/* Who waits may do so for something else: a link that is paused, or drains. */
	if (trunk_has_enough(ch))
		return;
	spin_lock(&ch->lock);
	/* What is paused is not slow, nor the others beside it. */
	if (!branches_give_up(ch->trunk) && !faasin_channel_paused(ch))
		branches_cut(ch->trunk);
	spin_unlock(&ch->lock);
}

/* The cursor moved: there may be no room because of another now. */
static void trunk_drop_next(struct faasin_channel *ch)
{
	/* Pairs with faasin_channel_has_room() and prepare_to_wait(). */
	if (wq_has_sleeper(&ch->writers.wait) || READ_ONCE(ch->full))
		faasin_trunk_drop(ch, 0);
}

/*
 * Room that was made by dropping is what the producer waits for, and no more of it comes by itself:
 * the others have read on long ago.
 */
static void trunk_wake_writers(struct faasin_channel *ch)
{
	mutex_lock(&ch->rd.mutex);
	if (wq_has_sleeper(&ch->writers.wait) && faasin_ring_has_room(ch, PIPE_BUF)) {
		faasin_side_count(&ch->rd.wakes);
		trace_faasin_wake(ch->generation, FAASIN_DIRECTION_OUT);
		wake_up_interruptible_poll(&ch->writers.wait, EPOLLOUT | EPOLLWRNORM);
	}
	mutex_unlock(&ch->rd.mutex);
}

/**
 * faasin_branch_opened() - an input was opened, or nobody has it open any more
 * @ch: the branch
 */
void faasin_branch_opened(struct faasin_channel *ch)
{
	trunk_drop_next(ch->branch->trunk->channel);
}

/**
 * faasin_branch_read() - a branch has read, and is done with no segment
 * @ch: the branch, its rd.mutex held
 */
void faasin_branch_read(struct faasin_channel *ch)
{
	lockdep_assert_held(&ch->rd.mutex);
	faasin_side_count(&ch->rd.wakes_avoided);
	/* There is no more room for this, but another may be well behind now. */
	trunk_drop_next(ch->branch->trunk->channel);
}

/**
 * faasin_branch_passed() - a branch is done with segments, or has read all
 * @ch: the branch, its rd.mutex held
 * @dropped: they were not read, but dropped
 */
void faasin_branch_passed(struct faasin_channel *ch, bool dropped)
{
	struct faasin_branch *b = ch->branch;

	lockdep_assert_held(&ch->rd.mutex);
	faasin_side_count(&ch->rd.wakes_avoided);
	/* Pairs with trunk_pass(). */
	smp_store_release(&b->passed, ch->done);
	trunk_pass(b->trunk);
	if (dropped) {
		/* Pairs with branches_cut(): what room there is by that can be seen. */
		smp_store_release(&b->dropping, false);
		trunk_wake_writers(b->trunk->channel);
	}
	trunk_drop_next(b->trunk->channel);
}

/* What is told of and published from now on is not for it. */
static void branch_over(struct faasin_branch *b)
{
	struct faasin_trunk *t = b->trunk;
	struct faasin_channel *trunk = t->channel;

	spin_lock(&trunk->lock);
	b->over = true;
	counts_get(trunk, &b->until);
	payer_pass(b, false);
	spin_unlock(&trunk->lock);
}

/**
 * faasin_branch_unlink() - a branch's link is gone
 * @ch: the branch, marked as unlinked
 */
void faasin_branch_unlink(struct faasin_channel *ch)
{
	struct faasin_trunk *t = ch->branch->trunk;

	branch_over(ch->branch);
	faasin_trunk_state(t->channel);
	trunk_pass(t);
	trunk_drop_next(t->channel);
}

/**
 * faasin_branch_leave() - a branch is about to be freed
 * @ch: the branch, which nobody has open
 */
void faasin_branch_leave(struct faasin_channel *ch)
{
	struct faasin_branch *b = ch->branch;
	struct faasin_channel *trunk = b->trunk->channel;
	bool was;

	spin_lock(&trunk->lock);
	was = !list_empty(&b->entry);
	branch_remove(b);
	payer_pass(b, true);
	spin_unlock(&trunk->lock);
	if (was)
		trunk_pass(b->trunk);
}

/* ---------------------------------------------------------------- producing */

/**
 * faasin_trunk_publish() - the producer has published something
 * @ch: the trunk, its wr.mutex and lock held
 */
void faasin_trunk_publish(struct faasin_channel *ch)
	__must_hold(&ch->lock)
{
	struct faasin_channel *to;
	struct faasin_branch *b;

	lockdep_assert_held(&ch->lock);
	list_for_each_entry(b, &ch->trunk->branches, entry) {
		to = b->channel;
		spin_lock(&to->lock);
		if (!to->unlinked) {
			to->wr.moved += ch->wr.moved - ch->trunk->moved;
			WRITE_ONCE(to->held_max,
				   max(to->held_max, min(ch->head - READ_ONCE(to->tail),
							 ch->pool.capacity)));
			if (to->producing)
				trace_faasin_publish(to->generation, to->producing->number,
						     ch->head, ch->head - to->head);
			/* Pairs with look(). */
			smp_store_release(&to->queued, ch->queued);
			/* Pairs with head_seen(). */
			smp_store_release(&to->head, ch->head);
			/* Nobody reads it there. */
			if (!to->producing)
				/* Pairs with drop_discarded(). */
				smp_store_release(&to->discard, ch->head);
		}
		spin_unlock(&to->lock);
	}
	ch->trunk->moved = ch->wr.moved;
}

/* The branches that are to drop something, held, up to FAASIN_FAN_MAX; how many. */
static unsigned int branches_to_discard(struct faasin_trunk *t, struct faasin_channel **found)
{
	struct faasin_channel *ch;
	struct faasin_branch *b;
	unsigned int n = 0;

	lockdep_assert_held(&t->channel->lock);
	list_for_each_entry(b, &t->branches, entry) {
		ch = b->channel;
		if (READ_ONCE(ch->discard) > READ_ONCE(ch->tail) &&
		    kref_get_unless_zero(&ch->ref))
			found[n++] = ch;
	}
	return n;
}

static void branches_discard(struct faasin_channel **found, unsigned int n)
{
	while (n--) {
		faasin_channel_discard(found[n]);
		faasin_channel_put(found[n]);
	}
}

/**
 * faasin_trunk_wake() - wake_after_write() for all branches
 * @ch: the trunk, its wr.mutex held
 */
void faasin_trunk_wake(struct faasin_channel *ch)
{
	struct faasin_channel *found[FAASIN_FAN_MAX], *to;
	struct faasin_branch *b;
	unsigned int n;

	spin_lock(&ch->lock);
	list_for_each_entry(b, &ch->trunk->branches, entry) {
		to = b->channel;
		/* No barrier: as in wake_after_write(), by the branch's lock. */
		if (waitqueue_active(&to->readers.wait)) {
			faasin_side_count(&to->wr.wakes);
			trace_faasin_wake(to->generation, FAASIN_DIRECTION_IN);
			wake_up_interruptible_poll(&to->readers.wait, EPOLLIN | EPOLLRDNORM);
		} else {
			faasin_side_count(&to->wr.wakes_avoided);
		}
		/* No barrier: see above. */
		if (waitqueue_active(&to->readers.poll))
			faasin_pollers_wake(&to->readers.poll, EPOLLIN | EPOLLRDNORM);
		if (to->inbox)
			faasin_inbox_wake(to);
	}
	n = branches_to_discard(ch->trunk, found);
	spin_unlock(&ch->lock);
	branches_discard(found, n);
}

/* ------------------------------------------------------------------- control */

/**
 * faasin_trunk_state() - a link's state changed, or there is one less
 * @ch: the trunk
 *
 * Bytes go to all links or to none: while one is paused the producer waits. No stream begins while
 * one drains.
 */
void faasin_trunk_state(struct faasin_channel *ch)
{
	enum faasin_link_state state = FAASIN_LINK_STATE_RUNNING;
	struct faasin_branch *b;

	spin_lock(&ch->lock);
	list_for_each_entry(b, &ch->trunk->branches, entry)
		if (faasin_channel_paused(b->channel))
			state = FAASIN_LINK_STATE_PAUSED;
	WRITE_ONCE(ch->state, state);
	spin_unlock(&ch->lock);
	faasin_waiters_wake(&ch->writers);
}

static void branches_unlock(struct faasin_trunk *t)
{
	struct faasin_channel *ch;

	while (t->nr_locked) {
		ch = t->locked[--t->nr_locked];
		mutex_unlock(&ch->rd.mutex);
		/* A reader that was turned away by this may have had something to drop. */
		faasin_channel_discard(ch);
		faasin_channel_put(ch);
	}
}

/* All that can be had of the branches, held; without their mutexes. */
static void branches_hold(struct faasin_trunk *t)
{
	struct faasin_branch *b;

	spin_lock(&t->channel->lock);
	list_for_each_entry(b, &t->branches, entry)
		if (kref_get_unless_zero(&b->channel->ref))
			t->locked[t->nr_locked++] = b->channel;
	spin_unlock(&t->channel->lock);
}

/* wr.mutex held: every branch's rd.mutex. */
static int branches_lock(struct faasin_trunk *t, u64 until, struct netlink_ext_ack *extack)
{
	unsigned int n, i;
	int err = 0;

	branches_hold(t);
	n = t->nr_locked;
	for (i = 0; !err && i < n; i++)
		err = faasin_side_try(&t->locked[i]->rd, until, extack);
	if (!err)
		return 0;
	/* Those from the one that could not be had on. */
	for (i--; i < n; n--)
		faasin_channel_put(t->locked[n - 1]);
	t->nr_locked = n;
	branches_unlock(t);
	return err;
}

/**
 * faasin_trunk_lock() - nobody is to work on the producing side, nor on a link's
 * @ch: the trunk, held
 * @until: when to give up, as by ktime_get_ns()
 * @extack: gets a message on failure
 *
 * Return: 0, -EBUSY or -EINTR.
 */
int faasin_trunk_lock(struct faasin_channel *ch, u64 until, struct netlink_ext_ack *extack)
{
	int err = faasin_side_try(&ch->wr, until, extack);

	if (err)
		return err;
	err = branches_lock(ch->trunk, until, extack);
	if (err) {
		mutex_unlock(&ch->wr.mutex);
		return err;
	}
	/* Last, since it keeps readers waiting. Who joins from here on has nothing to read. */
	mutex_lock(&ch->rd.mutex);
	return 0;
}

/**
 * faasin_trunk_unlock() - undo faasin_trunk_lock()
 * @ch: the trunk
 */
void faasin_trunk_unlock(struct faasin_channel *ch)
{
	mutex_unlock(&ch->rd.mutex);
	branches_unlock(ch->trunk);
	mutex_unlock(&ch->wr.mutex);
}

/**
 * faasin_trunk_resized() - the branches have another ring to look at
 * @ch: the trunk, under faasin_trunk_lock()
 */
void faasin_trunk_resized(struct faasin_channel *ch)
{
	struct faasin_branch *b;

	spin_lock(&ch->lock);
	list_for_each_entry(b, &ch->trunk->branches, entry) {
		WRITE_ONCE(b->channel->pool.capacity, ch->pool.capacity);
		WRITE_ONCE(b->channel->pool.block_size, ch->pool.block_size);
		b->channel->ring = ch->ring;
		b->channel->ring_mask = ch->ring_mask;
		spin_lock(&b->channel->lock);
		b->channel->ends = ch->ends;
		b->channel->ends_mask = ch->ends_mask;
		spin_unlock(&b->channel->lock);
	}
	spin_unlock(&ch->lock);
}

/**
 * faasin_trunk_event() - something happened that concerns all links
 * @ch: the trunk
 * @type: what
 */
void faasin_trunk_event(struct faasin_channel *ch, enum faasin_event_type type)
{
	struct faasin_branch *b;

	spin_lock(&ch->lock);
	/* Of a link that was deleted, its deletion was the last. */
	list_for_each_entry(b, &ch->trunk->branches, entry)
		if (!b->over)
			faasin_channel_event(b->channel, type, 0, 0, NULL);
	spin_unlock(&ch->lock);
}

/**
 * faasin_branch_stats() - what is counted for all links of an output
 * @ch: a branch
 * @st: the branch's own; the rest of it is filled in
 *
 * The pool's memory is shown by one of them alone, so that sums are right.
 */
void faasin_branch_stats(struct faasin_channel *ch, struct faasin_stats *st)
{
	struct faasin_branch *b = ch->branch;
	struct faasin_channel *trunk = b->trunk->channel;
	u64 bytes = 0, kib_ms, *v = st->v;
	struct faasin_counts now;

	spin_lock(&trunk->lock);
	if (b->over)
		now = b->until;
	else
		counts_get(trunk, &now);
	kib_ms = b->kib_ms;
	if (b->trunk->payer == b) {
		faasin_pool_size(&trunk->pool, &bytes, &kib_ms);
		kib_ms += b->kib_ms - b->paid_since;
	}
	spin_unlock(&trunk->lock);
	v[FAASIN_A_STATS_WRITES] = now.calls - b->since.calls;
	v[FAASIN_A_STATS_WRITER_BLOCKS] = now.blocks - b->since.blocks;
	v[FAASIN_A_STATS_WRITER_BLOCKED_NS] = now.blocked_ns - b->since.blocked_ns;
	v[FAASIN_A_STATS_WRITER_WAKES] = now.wakes - b->since.wakes;
	v[FAASIN_A_STATS_POOL_BYTES] = bytes;
	v[FAASIN_A_STATS_POOL_KIB_MS] = kib_ms;
}
