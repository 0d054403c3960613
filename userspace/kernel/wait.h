/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues of waiters: as the kernel's, so that what must not be lost between looking and
 * sleeping can be lost here, too.
 */
#ifndef _USERSPACE_WAIT_H
#define _USERSPACE_WAIT_H

#include <sys/epoll.h>

#include "list.h"
#include "lock.h"

typedef unsigned int __poll_t;

typedef struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
} wait_queue_head_t;

/* @stays: it is taken out by its owner alone, and keeps in mind that it was woken. */
typedef struct wait_queue_entry {
	struct task_struct *task;
	struct list_head entry;
	bool stays;
	bool woken;
} wait_queue_entry_t;

#define DEFINE_WAIT(name)					\
	struct wait_queue_entry name = {			\
		.task = current,				\
		.entry = LIST_HEAD_INIT((name).entry),		\
	}

/* The function is woken_wake_function(). */
#define DEFINE_WAIT_FUNC(name, function)			\
	struct wait_queue_entry name = {			\
		.task = current,				\
		.entry = LIST_HEAD_INIT((name).entry),		\
		.stays = true,					\
	}

void init_waitqueue_head(wait_queue_head_t *wq);
void add_wait_queue(wait_queue_head_t *wq, struct wait_queue_entry *wait);
void remove_wait_queue(wait_queue_head_t *wq, struct wait_queue_entry *wait);
long wait_woken(struct wait_queue_entry *wait, unsigned int state, long timeout);
void prepare_to_wait(wait_queue_head_t *wq, struct wait_queue_entry *wait, unsigned int state);
void finish_wait(wait_queue_head_t *wq, struct wait_queue_entry *wait);
void wake_up_interruptible_all(wait_queue_head_t *wq);

/* Without a barrier: whoever asks knows why that does. */
static inline bool waitqueue_active(wait_queue_head_t *wq)
{
	return !list_empty(&wq->head);
}

static inline bool wq_has_sleeper(wait_queue_head_t *wq)
{
	smp_mb();
	return waitqueue_active(wq);
}

/* Nobody here waits for some events only, nor exclusively. */
#define poll_to_key(events)	((void *)(unsigned long)(events))

static inline void __wake_up(wait_queue_head_t *wq, unsigned int state, int nr, void *key)
{
	wake_up_interruptible_all(wq);
}

static inline void wake_up_interruptible_poll(wait_queue_head_t *wq, unsigned int events)
{
	wake_up_interruptible_all(wq);
}

#endif /* _USERSPACE_WAIT_H */
