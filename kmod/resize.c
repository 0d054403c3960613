// SPDX-License-Identifier: GPL-2.0
/*
 * The capacity of a channel that is in use.
 *
 * It changes while nobody works on either side: under both mutexes. Then the ring and the
 * pool are nobody's, and what either side knows of the other is still true, since no
 * position changes. What others read without a mutex is whether there is room: they see
 * the old capacity or the new one, and are woken after the change to look again.
 */
#include <linux/delay.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/sched/signal.h>

#include "cgroup.h"
#include "deal.h"
#include "limits.h"
#include "record.h"
#include "ring.h"
#include "trunk.h"
#include "workflow.h"

/**
 * faasin_side_try() - a side's mutex, for who changes the capacity
 * @side: side
 * @until: when to give up, as by ktime_get_ns()
 * @extack: gets a message on failure
 *
 * It is free most of the time, or soon: whoever finds no room or no bytes lets go of it. Only
 * who stands still in the middle of a copy does not, for as long as it likes.
 *
 * Return: 0, -EBUSY or -EINTR.
 */
int faasin_side_try(struct faasin_side *side, u64 until, struct netlink_ext_ack *extack)
{
	while (!mutex_trylock(&side->mutex)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (ktime_get_ns() > until) {
			NL_SET_ERR_MSG(extack,
				       "a process stands still in the middle of a read or write; try again, or end it");
			return -EBUSY;
		}
		usleep_range(20, 200);
	}
	return 0;
}

/* The links' before the output's, where there are several: trunk.h. */
static int sides_lock(struct faasin_channel *ch, u64 until, struct netlink_ext_ack *extack)
{
	int err;

	if (ch->trunk)
		return faasin_trunk_lock(ch, until, extack);
	err = faasin_side_try(&ch->rd, until, extack);
	if (err)
		return err;
	err = faasin_side_try(&ch->wr, until, extack);
	if (err)
		mutex_unlock(&ch->rd.mutex);
	return err;
}

static void sides_unlock(struct faasin_channel *ch)
{
	if (ch->trunk) {
		faasin_trunk_unlock(ch);
		return;
	}
	mutex_unlock(&ch->wr.mutex);
	mutex_unlock(&ch->rd.mutex);
}

/**
 * struct rings - what a channel of another capacity has of another size
 * @segments: its ring; becomes the one that is to be freed, as does the other
 * @slots: of that
 * @ends: of a link with records: its log; else NULL
 * @nr_ends: entries of that
 */
struct rings {
	struct faasin_segment *segments;
	unsigned long slots;
	u32 *ends;
	unsigned long nr_ends;
};

static int rings_alloc(struct faasin_channel *ch, u64 capacity, struct rings *r)
{
	*r = (struct rings){ .slots = roundup_pow_of_two(capacity / PAGE_SIZE) };
	r->segments = faasin_memory_zalloc(ch->pool.css,
					   array_size(r->slots, sizeof(*r->segments)));
	if (!r->segments)
		return -ENOMEM;
	if (!ch->records)
		return 0;
	r->ends = faasin_records_alloc(ch->pool.css, capacity, &r->nr_ends);
	if (r->ends)
		return 0;
	kvfree(r->segments);
	return -ENOMEM;
}

static void rings_free(struct rings *r)
{
	kvfree(r->ends);
	kvfree(r->segments);
}

/* Both mutexes held: the segments go on in a ring of another size; *@ring becomes the old one. */
static void ring_move(struct faasin_channel *ch, struct faasin_segment **ring,
		      unsigned long slots)
{
	struct faasin_segment *old = ch->ring;
	unsigned long i;

	/*
	 * A smaller one may not hold what there is now. The old one then stays: what is added
	 * from now on is bounded by the new capacity.
	 */
	if (ch->queued - ch->done > slots)
		return;
	for (i = ch->done; i != ch->queued; i++)
		(*ring)[i & (slots - 1)] = old[i & ch->ring_mask];
	if (ch->last)
		ch->last = &(*ring)[(ch->queued - 1) & (slots - 1)];
	ch->ring = *ring;
	ch->ring_mask = slots - 1;
	*ring = old;
}

/*
 * Both mutexes held. Returns whether that was a change; *@cleared receives whether memory was
 * given back.
 */
static int resize(struct faasin_channel *link, struct faasin_channel *ch, u64 capacity,
		  struct rings *r, bool *cleared, struct netlink_ext_ack *extack)
{
	if (READ_ONCE(link->unlinked)) {
		NL_SET_ERR_MSG(extack, "the link was deleted meanwhile");
		return -ENOENT;
	}
	if (capacity == ch->pool.capacity)
		return 0;
	/* The block that is filled again and again, while all is read at once. */
	if (ch->tail == ch->head)
		*cleared = faasin_ring_clear(ch);
	if (!faasin_pool_set_capacity(&ch->pool, capacity)) {
		NL_SET_ERR_MSG(extack,
			       "a process has a window of this link, whose size it knows, or what was sent by one waits; change the capacity when it is closed and read");
		return -EBUSY;
	}
	ring_move(ch, &r->segments, r->slots);
	if (ch->records) {
		faasin_records_move(ch, &r->ends, r->nr_ends);
		/* Whoever found no room for a record is to try again. */
		WRITE_ONCE(ch->short_of, false);
	}
	if (ch->trunk)
		faasin_trunk_resized(ch);
	ch->oversized = atomic64_read(&ch->pool.held) > capacity;
	WRITE_ONCE(ch->space, faasin_ring_space(ch, ch->head));
	return 1;
}

/**
 * faasin_channel_resize() - another capacity
 * @link: channel of a link, held; no lock held; if its output has several, it concerns them all
 * @capacity: bytes, checked
 * @extack: gets a message on failure
 *
 * More takes effect at once. Less does so as the channel is read: nothing that it holds is lost,
 * and writers wait until it holds less than that.
 *
 * Return: 0, -EBUSY if somebody has a window, or stands still in the middle of a call;
 * -ENOMEM, -ENOENT if the link is gone, or -EINTR.
 */
int faasin_channel_resize(struct faasin_channel *link, u64 capacity,
			  struct netlink_ext_ack *extack)
{
	struct faasin_channel *ch = faasin_channel_store(link);
	bool cleared = false;
	struct rings rings;
	int ret;

	/* As of a new channel. */
	capacity = round_up(capacity, PAGE_SIZE);
	if (rings_alloc(ch, capacity, &rings)) {
		NL_SET_ERR_MSG(extack,
			       "no memory for that capacity, or the cgroup is at its memory.max");
		return -ENOMEM;
	}
	ret = sides_lock(ch, ktime_get_ns() + FAASIN_RESIZE_NS, extack);
	if (ret)
		goto free;
	ret = resize(link, ch, capacity, &rings, &cleared, extack);
	sides_unlock(ch);
	/* A reader that was turned away by this may have had something to drop. */
	faasin_channel_discard(ch);
	if (ret > 0 || cleared)
		faasin_window_turn(ch);
	if (ret > 0) {
		faasin_waiters_wake(faasin_channel_writers(ch));
		faasin_channel_idle_later(ch);
		faasin_channel_event(ch, FAASIN_EVENT_LINK_RESIZE, 0, 0, NULL);
		ret = 0;
	}
free:
	rings_free(&rings);
	return ret;
}
