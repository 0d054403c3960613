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

void wake_up_interruptible_all(wait_queue_head_t *wq)
{
	struct wait_queue_entry *wait, *next;

	spin_lock(&wq->lock);
	list_for_each_entry_safe(wait, next, &wq->head, entry)
		if (task_wake(wait->task))
			list_del_init(&wait->entry);
	spin_unlock(&wq->lock);
}
