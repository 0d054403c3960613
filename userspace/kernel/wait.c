// SPDX-License-Identifier: GPL-2.0
/*
 * Queues of waiters.
 */
#include "kernel.h"

void init_waitqueue_head(wait_queue_head_t *wq)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->head);
}

void prepare_to_wait(wait_queue_head_t *wq, struct wait_queue_entry *wait, unsigned int state)
{
	spin_lock(&wq->lock);
	if (list_empty(&wait->entry))
		list_add(&wait->entry, &wq->head);
	set_current_state(state);
	spin_unlock(&wq->lock);
}

void finish_wait(wait_queue_head_t *wq, struct wait_queue_entry *wait)
{
	WRITE_ONCE(current->state, TASK_RUNNING);
	spin_lock(&wq->lock);
	if (!list_empty(&wait->entry))
		list_del_init(&wait->entry);
	spin_unlock(&wq->lock);
}

void add_wait_queue(wait_queue_head_t *wq, struct wait_queue_entry *wait)
{
	spin_lock(&wq->lock);
	list_add(&wait->entry, &wq->head);
	spin_unlock(&wq->lock);
}

void remove_wait_queue(wait_queue_head_t *wq, struct wait_queue_entry *wait)
{
	spin_lock(&wq->lock);
	list_del_init(&wait->entry);
	spin_unlock(&wq->lock);
}

/* Not at all if it was woken since the last time. */
long wait_woken(struct wait_queue_entry *wait, unsigned int state, long timeout)
{
	BUG_ON(timeout != MAX_SCHEDULE_TIMEOUT);
	set_current_state(state);
	if (!__atomic_load_n(&wait->woken, __ATOMIC_SEQ_CST))
		schedule();
	WRITE_ONCE(current->state, TASK_RUNNING);
	__atomic_store_n(&wait->woken, false, __ATOMIC_SEQ_CST);
	smp_mb();
	return timeout;
}

void wake_up_interruptible_all(wait_queue_head_t *wq)
{
	struct wait_queue_entry *wait, *next;

	spin_lock(&wq->lock);
	list_for_each_entry_safe(wait, next, &wq->head, entry) {
		if (wait->stays)
			__atomic_store_n(&wait->woken, true, __ATOMIC_SEQ_CST);
		if (task_wake(wait->task) && !wait->stays)
			list_del_init(&wait->entry);
	}
	spin_unlock(&wq->lock);
}
