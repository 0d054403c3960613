// SPDX-License-Identifier: GPL-2.0
/*
 * The two sides of a channel: who works there, who waits for the other one and for how
 * long, spinning, waking.
 */
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/sched/task.h>

#include "channel.h"
#include "limits.h"
#include "trace.h"

/* @task: held, or NULL; the side drops it. */
static void side_exchange_user(struct faasin_channel *ch, struct faasin_side *side,
			       struct task_struct *task)
{
	struct task_struct *old;

	spin_lock(&ch->lock);
	old = side->user;
	WRITE_ONCE(side->user, task);
	spin_unlock(&ch->lock);
	if (old)
		put_task_struct(old);
}

/**
 * faasin_side_set_user() - the caller begins to work on a side
 * @ch: channel
 * @side: one of its sides, its mutex held
 */
void faasin_side_set_user(struct faasin_channel *ch, struct faasin_side *side)
{
	side_exchange_user(ch, side, get_task_struct(current));
}

/**
 * faasin_side_forget_user() - drop the reference to a side's last task
 * @ch: channel
 * @side: one of its sides, which nobody has open any more
 */
void faasin_side_forget_user(struct faasin_channel *ch, struct faasin_side *side)
{
	side_exchange_user(ch, side, NULL);
}

/**
 * faasin_side_wait_begin() - the caller begins to wait for the other side
 * @ch: channel
 * @side: the caller's
 * @peer: the other one
 * @since: for faasin_side_wait_end()
 *
 * Return: whoever used the other side last, held, or NULL if it is nobody or the
 * caller itself.
 */
struct task_struct *faasin_side_wait_begin(struct faasin_channel *ch, struct faasin_side *side,
					   struct faasin_side *peer, u64 *since)
{
	struct task_struct *task;

	spin_lock(&ch->lock);
	side->waiting++;
	*since = ktime_get_ns();
	side->blocked_ns -= *since;
	task = peer->user;
	if (task == current)
		task = NULL;
	if (task)
		get_task_struct(task);
	spin_unlock(&ch->lock);
	return task;
}

/**
 * faasin_side_wait_end() - the caller waits no more
 * @ch: channel
 * @side: the caller's
 * @since: of faasin_side_wait_begin()
 */
void faasin_side_wait_end(struct faasin_channel *ch, struct faasin_side *side, u64 since)
{
	u64 now;

	spin_lock(&ch->lock);
	side->waiting--;
	now = ktime_get_ns();
	side->blocked_ns += now;
	spin_unlock(&ch->lock);

	trace_faasin_unblock(ch->generation, side == &ch->rd ? FAASIN_DIRECTION_IN :
			     FAASIN_DIRECTION_OUT, now - since);
}

/**
 * faasin_side_blocked_ns() - how long its users waited, up to now
 * @ch: channel, its lock held
 * @side: one of its sides
 *
 * Return: nanoseconds.
 */
u64 faasin_side_blocked_ns(struct faasin_channel *ch, struct faasin_side *side)
{
	lockdep_assert_held(&ch->lock);
	return side->blocked_ns + side->waiting * ktime_get_ns();
}

/*
 * Was it woken, and has another CPU, but is not there yet? Who just woke it and then waits for it
 * would sleep otherwise, and so would that one in its turn: two that answer each other, and slept
 * once, would do so ever after.
 */
static bool is_coming(struct task_struct *task)
{
	return !task_state_index(task) && task_cpu(task) != raw_smp_processor_id();
}

/**
 * faasin_side_spin() - wait for a task of the other side without sleeping
 * @ch: channel
 * @task: of faasin_side_wait_begin(); its reference is dropped
 * @ready: is there what the caller waits for
 * @arg: for that
 *
 * Only while it runs on another CPU, or is about to, and nothing else wants this one, and no
 * longer than sleeping would cost.
 *
 * Return: whether it is ready.
 */
bool faasin_side_spin(struct faasin_channel *ch, struct task_struct *task,
		      bool (*ready)(struct faasin_channel *ch, void *arg), void *arg)
{
	bool done = false;
	u64 until;

	if (!task)
		return false;
	until = local_clock() + FAASIN_SPIN_NS;
	while ((owner_on_cpu(task) || is_coming(task)) && !need_resched() &&
	       !signal_pending(current) && local_clock() < until) {
		if (ready(ch, arg)) {
			done = true;
			break;
		}
		cpu_relax();
	}
	put_task_struct(task);
	return done;
}

/**
 * faasin_waiters_wake() - tell all who wait on a side that something changed
 * @w: they
 *
 * Those with EPOLLEXCLUSIVE, too: what happened concerns each of them. Without a
 * key, which some take for the answer: each is to look for itself.
 */
void faasin_waiters_wake(struct faasin_waiters *w)
{
	wake_up_interruptible_all(&w->wait);
	wake_up_interruptible_all(&w->poll);
}

/**
 * faasin_pollers_wake() - there are bytes, or there is room
 * @pollers: who polls
 * @events: EPOLL* bits
 *
 * All of them, also those with EPOLLEXCLUSIVE: the queue has open files of earlier sessions and
 * streams, too. One of these would take the wake-up, and say that there is something, though it
 * is not for it.
 */
void faasin_pollers_wake(wait_queue_head_t *pollers, __poll_t events)
{
	__wake_up(pollers, TASK_INTERRUPTIBLE, 0, poll_to_key(events));
}
