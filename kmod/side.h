/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two sides of a channel: who works there, who waits for the other one.
 */
#ifndef _FAASIN_SIDE_H
#define _FAASIN_SIDE_H

#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/wait.h>

struct faasin_channel;
struct netlink_ext_ack;

/**
 * struct faasin_side - what one side has to itself
 * @mutex: its users among themselves
 * @user: whoever used this side last, for the other one's decision to spin;
 *	held; channel->lock
 * @calls: calls that moved bytes; @mutex
 * @lane_calls: as @calls, by a lane; channel->lock
 * @blocks: times it had to wait; @mutex
 * @blocked_ns: the sum of the times at which waits ended, less that of those at
 *	which they began, waits that last among them; channel->lock
 * @waiting: how many last; channel->lock. Waits for bytes and for room are counted before
 *	@mutex is let go, so who has that, too, knows that no other is about to begin
 * @lane_blocks: as @blocks, of waits by a lane; channel->lock
 * @lane_waiting: how many of @waiting do so; channel->lock
 * @wakes: wake-ups that this side sent; @mutex
 * @lane_wakes: as @wakes, by a lane; channel->lock
 * @wakes_avoided: transfers by this side that needed none; @mutex
 * @moved: bytes that passed this side by reference; changes with the side's cursor, both
 *	under channel->lock
 */
struct faasin_side {
	struct mutex mutex;	/* see channel.h */
	struct task_struct *user;
	u64 calls;
	u64 lane_calls;
	u64 blocks;
	u64 blocked_ns;
	unsigned int waiting;
	u64 lane_blocks;
	unsigned int lane_waiting;
	u64 wakes;
	u64 lane_wakes;
	u64 wakes_avoided;
	u64 moved;
};

/**
 * struct faasin_waiters - who waits on one side
 * @wait: its sleepers
 * @poll: its pollers and asynchronous waiters
 */
struct faasin_waiters {
	wait_queue_head_t wait;
	wait_queue_head_t poll;
};

/* What has @mutex above, but is read without it. */
static inline void faasin_side_count(u64 *counter)
{
	WRITE_ONCE(*counter, *counter + 1);
}

/* 0, or -EAGAIN if it is taken and @nowait, or -ERESTARTSYS. */
static inline int faasin_side_lock(struct faasin_side *side, bool nowait)
{
	if (nowait)
		return mutex_trylock(&side->mutex) ? 0 : -EAGAIN;
	return mutex_lock_interruptible(&side->mutex) ? -ERESTARTSYS : 0;
}

int faasin_side_try(struct faasin_side *side, u64 until, struct netlink_ext_ack *extack);
void faasin_side_set_user(struct faasin_channel *ch, struct faasin_side *side);
void faasin_side_forget_user(struct faasin_channel *ch, struct faasin_side *side);
struct task_struct *faasin_side_wait_begin(struct faasin_channel *ch, struct faasin_side *side,
					   struct faasin_side *peer, u64 *since);
void faasin_side_wait_end(struct faasin_channel *ch, struct faasin_side *side, u64 since);
u64 faasin_side_blocked_ns(struct faasin_channel *ch, struct faasin_side *side);
bool faasin_side_spin(struct faasin_channel *ch, struct task_struct *task,
		      bool (*ready)(struct faasin_channel *ch, void *arg), void *arg);

/* Who works on a side now, so that the other can tell whether it runs. Its mutex is held. */
static inline void faasin_side_user(struct faasin_channel *ch, struct faasin_side *side)
{
	if (READ_ONCE(side->user) != current)
		faasin_side_set_user(ch, side);
}

void faasin_waiters_wake(struct faasin_waiters *w);
void faasin_pollers_wake(wait_queue_head_t *pollers, __poll_t events);

#endif /* _FAASIN_SIDE_H */
