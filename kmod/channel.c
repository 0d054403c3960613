// SPDX-License-Identifier: GPL-2.0
/*
 * Channels: their beginning, their end, and what they do while nobody works. channel.h has
 * the protocol.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "account.h"
#include "cgroup.h"
#include "deal.h"
#include "inbox.h"
#include "lane.h"
#include "limits.h"
#include "record.h"
#include "ring.h"
#include "trace.h"
#include "trunk.h"
#include "workflow.h"

/**
 * faasin_channel_idle_later() - look after a while whether there is idle memory
 * @ch: channel that is open
 */
void faasin_channel_idle_later(struct faasin_channel *ch)
{
	/* Unbound: unmapping takes a CPU for a while. */
	queue_delayed_work(system_unbound_wq, &ch->idle, nsecs_to_jiffies(FAASIN_IDLE_NS));
}

/* Both mutexes held, nothing in the ring: take the segments off it. Whether there were any. */
bool faasin_ring_clear(struct faasin_channel *ch)
{
	unsigned long i;
	bool any;

	/* A lane queues what it has when it is retired, which may just have happened. */
	if (faasin_lane_on(ch) || ch->tail != ch->head)
		return false;
	any = ch->done != ch->queued;
	for (i = ch->done; i != ch->queued; i++)
		faasin_ring_put(ch, ch->ring[i & ch->ring_mask].block);
	ch->done = ch->queued;
	ch->queued_known = ch->queued;
	ch->last = NULL;
	WRITE_ONCE(ch->space, 0);
	return any;
}

/**
 * faasin_ring_pass_by() - bytes went through the channel, not through the ring
 * @ch: channel, its lock held, whose lane is on
 * @in: bytes that were sent
 * @out: bytes that were taken, of all that were sent so far
 */
void faasin_ring_pass_by(struct faasin_channel *ch, u64 in, u64 out)
{
	u64 head = ch->head + in, tail = ch->tail + out;

	lockdep_assert_held(&ch->lock);
	if (in)
		trace_faasin_publish(ch->generation, ch->producing->number, head, in);
	if (out)
		trace_faasin_consume(ch->generation, ch->producing->number, tail, out);
	/* Of moments at which nobody looked, it is not known. */
	WRITE_ONCE(ch->held_max, max(ch->held_max, min(head - tail, ch->pool.capacity)));
	ch->wr.moved += in;
	ch->rd.moved += out;
	/* As publish() does. */
	smp_store_release(&ch->head, head);
	/* As tail_set() does. */
	smp_store_release(&ch->tail, tail);
	if (tail == head)
		/* Likewise. */
		smp_store_release(&ch->drained, tail);
}

/*
 * Runs a while after the pool grew, and again until the channel has been idle for as long: then
 * all that is empty goes back, and before if the machine is short of memory and the shrinker had
 * to leave it. Whoever had no memory for an extent looks again as often.
 */
static void channel_idle(struct work_struct *work)
{
	struct faasin_channel *ch = container_of(to_delayed_work(work),
						 struct faasin_channel, idle);
	bool again = true, turn = false, look = false, idle;
	u64 head;

	faasin_lane_settle(ch);
	if (!mutex_trylock(&ch->rd.mutex))
		goto out;
	if (!mutex_trylock(&ch->wr.mutex))
		goto unlock_rd;

	head = READ_ONCE(ch->head);
	idle = head == ch->idle_seen;
	if (idle || READ_ONCE(ch->window.pressed)) {
		WRITE_ONCE(ch->window.pressed, false);
		again = idle && faasin_lane_rest(ch);
		if (idle && READ_ONCE(ch->tail) == head)
			turn = faasin_ring_clear(ch);
		else
			again = true;
		faasin_pool_trim(&ch->pool, ULONG_MAX, false);
		/* Nobody tells when those come back. */
		again |= faasin_pool_has_away(&ch->pool);
	}
	/* A record found no memory: it may now, whatever others took or put back since. */
	look = ch->short_of;
	if (look)
		WRITE_ONCE(ch->short_of, false);
	ch->idle_seen = head;

	mutex_unlock(&ch->wr.mutex);
unlock_rd:
	mutex_unlock(&ch->rd.mutex);
	faasin_channel_discard(ch);
out:
	if (turn || READ_ONCE(ch->window.starved))
		faasin_window_turn(ch);
	if (look)
		faasin_waiters_wake(faasin_channel_writers(ch));
	if (again || look)
		faasin_channel_idle_later(ch);
}

/* All that a branch has to do then: what no reader was there to drop. */
static void branch_idle(struct work_struct *work)
{
	faasin_channel_discard(container_of(to_delayed_work(work), struct faasin_channel, idle));
}

/* --------------------------------------------------------------- lifetime */

/* A channel without a ring and a pool. */
static struct faasin_channel *channel_alloc(struct faasin_port *src, struct faasin_port *dst,
					    struct cgroup_subsys_state *css, work_func_t idle)
{
	struct faasin_channel *ch = faasin_memory_zalloc(css, sizeof(*ch));

	if (!ch)
		return NULL;
	mutex_init(&ch->wr.mutex);
	init_waitqueue_head(&ch->writers.wait);
	init_waitqueue_head(&ch->writers.poll);
	mutex_init(&ch->rd.mutex);
	init_waitqueue_head(&ch->readers.wait);
	init_waitqueue_head(&ch->readers.poll);
	spin_lock_init(&ch->lock);
	mutex_init(&ch->window.lock);
	mutex_init(&ch->lane_mutex);
	INIT_LIST_HEAD(&ch->streams);
	INIT_LIST_HEAD(&ch->inbox_entry);
	INIT_LIST_HEAD(&ch->deal_entry);
	INIT_DELAYED_WORK(&ch->idle, idle);
	kref_init(&ch->ref);
	ch->src = src;
	ch->dst = dst;
	return ch;
}

/* Nothing can fail any more. */
static struct faasin_channel *channel_hold_ports(struct faasin_channel *ch)
{
	faasin_node_get(&ch->src->node);
	if (ch->dst)
		faasin_node_get(&ch->dst->node);
	return ch;
}

/**
 * faasin_channel_new() - a channel for a link, or for an output with several
 * @src: the output port; a reference is taken
 * @dst: the input port; a reference is taken; NULL: a trunk, whose links get branches
 * @css: memory controller that pays, or NULL; the workflow of @src holds it
 * @capacity: bytes, checked
 * @abort_on: policy
 * @early_close: policy
 *
 * Return: the channel with one reference, or NULL if there is no memory for it
 * and its reserved page.
 */
struct faasin_channel *faasin_channel_new(struct faasin_port *src, struct faasin_port *dst,
					  struct cgroup_subsys_state *css, u64 capacity,
					  enum faasin_abort_on abort_on,
					  enum faasin_early_close early_close)
{
	struct faasin_channel *ch = channel_alloc(src, dst, css, channel_idle);
	unsigned long slots;

	if (!ch)
		return NULL;
	/* Whole pages, where they are larger than the smallest capacity. */
	capacity = round_up(capacity, PAGE_SIZE);
	slots = roundup_pow_of_two(capacity / PAGE_SIZE);

	ch->ring = faasin_memory_zalloc(css, array_size(slots, sizeof(*ch->ring)));
	if (!ch->ring)
		goto free;
	ch->ring_mask = slots - 1;
	if (!dst && faasin_trunk_create(ch))
		goto free;
	if (faasin_pool_create(&ch->pool, css, capacity, &ch->wr.mutex, &ch->window))
		goto free;
	ch->abort_on = abort_on;
	ch->early_close = early_close;
	return channel_hold_ports(ch);

free:
	kfree(ch->trunk);
	kvfree(ch->ring);
	kvfree(ch);
	return NULL;
}

/**
 * faasin_channel_new_branch() - a channel for a link of an output with several
 * @trunk: the output's channel; a reference is taken
 * @dst: the input port; a reference is taken
 * @css: as of the trunk
 *
 * It takes no part until faasin_trunk_join().
 *
 * Return: the channel with one reference, or NULL if there is no memory for it.
 */
struct faasin_channel *faasin_channel_new_branch(struct faasin_channel *trunk,
						 struct faasin_port *dst,
						 struct cgroup_subsys_state *css)
{
	struct faasin_channel *ch = channel_alloc(trunk->src, dst, css, branch_idle);

	if (!ch)
		return NULL;
	if (faasin_branch_create(ch, trunk)) {
		kvfree(ch);
		return NULL;
	}
	ch->abort_on = trunk->abort_on;
	ch->early_close = trunk->early_close;
	return channel_hold_ports(ch);
}

/* The ring and the pool, of who has them. */
static void store_release(struct faasin_channel *ch)
{
	unsigned long i;

	for (i = ch->done; i != ch->queued; i++)
		faasin_ring_put(ch, ch->ring[i & ch->ring_mask].block);
	faasin_pool_destroy(&ch->pool);
	kvfree(ch->ends);
	kvfree(ch->ring);
}

static void channel_release(struct kref *ref)
{
	struct faasin_channel *ch = container_of(ref, struct faasin_channel, ref);

	/* From then on nobody else starts its work. */
	if (ch->branch)
		faasin_branch_leave(ch);
	cancel_delayed_work_sync(&ch->idle);

	WARN_ON_ONCE(ch->lane);
	faasin_streams_free(ch);
	faasin_side_forget_user(ch, &ch->wr);
	faasin_side_forget_user(ch, &ch->rd);
	if (!ch->branch)
		store_release(ch);
	faasin_account_leave(ch);
	if (ch->dst)
		faasin_node_put(&ch->dst->node);
	faasin_node_put(&ch->src->node);
	if (ch->branch)
		faasin_branch_free(ch);
	if (ch->trunk)
		faasin_trunk_free(ch);
	if (ch->inbox)
		faasin_inbox_put(ch->inbox);
	if (ch->deal)
		faasin_deal_put(ch->deal);
	kvfree(ch);
}

/**
 * faasin_channel_get() - take a reference
 * @ch: channel
 */
void faasin_channel_get(struct faasin_channel *ch)
{
	kref_get(&ch->ref);
}

/**
 * faasin_channel_put() - drop a reference
 * @ch: channel
 *
 * The last one may sleep; never called by the idle work.
 */
void faasin_channel_put(struct faasin_channel *ch)
{
	kref_put(&ch->ref, channel_release);
}

/* Those that are to be freed by somebody who may sleep, and has no lock. */
static LIST_HEAD(channels_late);
static DEFINE_SPINLOCK(channels_late_lock);

static void channels_free(struct work_struct *work)
{
	struct faasin_channel *ch, *next;
	LIST_HEAD(free);

	spin_lock(&channels_late_lock);
	list_splice_init(&channels_late, &free);
	spin_unlock(&channels_late_lock);
	list_for_each_entry_safe(ch, next, &free, cut)
		channel_release(&ch->ref);
}

static DECLARE_DELAYED_WORK(channels_work, channels_free);

static void channel_release_later(struct kref *ref)
{
	struct faasin_channel *ch = container_of(ref, struct faasin_channel, ref);

	spin_lock(&channels_late_lock);
	list_add_tail(&ch->cut, &channels_late);
	spin_unlock(&channels_late_lock);
	queue_delayed_work(system_unbound_wq, &channels_work, 0);
}

/**
 * faasin_channel_put_later() - drop a reference, where nothing may be waited for
 * @ch: channel
 *
 * For who has a mutex or a pipe, or must not sleep: if it is the last one, the channel is freed by
 * a worker.
 */
void faasin_channel_put_later(struct faasin_channel *ch)
{
	kref_put(&ch->ref, channel_release_later);
}

/**
 * faasin_channels_exit() - wait until those are freed
 *
 * Nobody is left who could drop another reference.
 */
void faasin_channels_exit(void)
{
	flush_delayed_work(&channels_work);
}
