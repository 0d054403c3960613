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
#include "limits.h"
#include "ring.h"
#include "workflow.h"

/**
 * faasin_channel_idle_later() - look after a while whether there is idle memory
 * @ch: channel that is open
 */
void faasin_channel_idle_later(struct faasin_channel *ch)
{
	schedule_delayed_work(&ch->idle, nsecs_to_jiffies(FAASIN_IDLE_NS));
}

/* Both mutexes held, nothing in the ring: take the segments off it. Whether there were any. */
bool faasin_ring_clear(struct faasin_channel *ch)
{
	bool any = ch->done != ch->queued;
	unsigned long i;

	for (i = ch->done; i != ch->queued; i++)
		faasin_ring_put(ch, ch->ring[i & ch->ring_mask].block);
	ch->done = ch->queued;
	ch->queued_known = ch->queued;
	ch->last = NULL;
	WRITE_ONCE(ch->space, 0);
	return any;
}

/*
 * Runs a while after the pool grew, and again until the channel has been idle
 * for as long: then all that is empty goes back. Whoever had no memory for an extent
 * looks again as often.
 */
static void channel_idle(struct work_struct *work)
{
	struct faasin_channel *ch = container_of(to_delayed_work(work),
						 struct faasin_channel, idle);
	bool again = true, turn = false;
	u64 head;

	if (!mutex_trylock(&ch->rd.mutex))
		goto out;
	if (!mutex_trylock(&ch->wr.mutex))
		goto unlock_rd;

	head = READ_ONCE(ch->head);
	if (head == ch->idle_seen) {
		if (READ_ONCE(ch->tail) == head) {
			turn = faasin_ring_clear(ch);
			again = false;
		}
		faasin_pool_trim(&ch->pool, ULONG_MAX, false);
		/* Nobody tells when those come back. */
		again |= faasin_pool_has_away(&ch->pool);
	}
	ch->idle_seen = head;

	mutex_unlock(&ch->wr.mutex);
unlock_rd:
	mutex_unlock(&ch->rd.mutex);
	faasin_channel_discard(ch);
out:
	if (turn || READ_ONCE(ch->window.starved))
		faasin_window_turn(ch);
	if (again)
		faasin_channel_idle_later(ch);
}

/* --------------------------------------------------------------- lifetime */

/**
 * faasin_channel_new() - a channel for a link
 * @src: the output port; a reference is taken
 * @dst: the input port; a reference is taken
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
	struct faasin_channel *ch;
	unsigned long slots;

	/* Whole pages, where they are larger than the smallest capacity. */
	capacity = round_up(capacity, PAGE_SIZE);
	slots = roundup_pow_of_two(capacity / PAGE_SIZE);

	ch = faasin_memory_zalloc(css, sizeof(*ch));
	if (!ch)
		return NULL;
	mutex_init(&ch->wr.mutex);
	ch->ring = faasin_memory_zalloc(css, array_size(slots, sizeof(*ch->ring)));
	if (!ch->ring)
		goto free;
	ch->ring_mask = slots - 1;
	if (faasin_pool_create(&ch->pool, css, capacity, &ch->wr.mutex, &ch->window))
		goto free;
	ch->abort_on = abort_on;
	ch->early_close = early_close;

	init_waitqueue_head(&ch->writers.wait);
	init_waitqueue_head(&ch->writers.poll);
	mutex_init(&ch->rd.mutex);
	init_waitqueue_head(&ch->readers.wait);
	init_waitqueue_head(&ch->readers.poll);
	spin_lock_init(&ch->lock);
	INIT_LIST_HEAD(&ch->streams);
	INIT_DELAYED_WORK(&ch->idle, channel_idle);
	kref_init(&ch->ref);

	ch->src = src;
	faasin_node_get(&src->node);
	ch->dst = dst;
	faasin_node_get(&dst->node);
	return ch;

free:
	kvfree(ch->ring);
	kvfree(ch);
	return NULL;
}

static void channel_release(struct kref *ref)
{
	struct faasin_channel *ch = container_of(ref, struct faasin_channel, ref);
	unsigned long i;

	cancel_delayed_work_sync(&ch->idle);

	faasin_streams_free(ch);
	faasin_side_forget_user(ch, &ch->wr);
	faasin_side_forget_user(ch, &ch->rd);
	for (i = ch->done; i != ch->queued; i++)
		faasin_ring_put(ch, ch->ring[i & ch->ring_mask].block);
	faasin_pool_destroy(&ch->pool);
	faasin_account_leave(ch);
	faasin_node_put(&ch->dst->node);
	faasin_node_put(&ch->src->node);
	kvfree(ch->ring);
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
