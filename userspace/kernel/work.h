/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Delayed work: one thread does it.
 */
#ifndef _USERSPACE_WORK_H
#define _USERSPACE_WORK_H

#include "list.h"

struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	void (*func)(struct work_struct *work);
};

/* All but @work is guarded by a lock of work.c's. */
struct delayed_work {
	struct work_struct work;
	struct list_head entry;
	u64 due;
	bool pending;
	bool canceled;
};

struct workqueue_struct;
extern struct workqueue_struct *system_unbound_wq;

/* How many times sooner than asked for. */
extern unsigned int work_hurry;

#define INIT_DELAYED_WORK(w, f)						\
	(*(w) = (struct delayed_work){ .work.func = (f) })

#define DECLARE_DELAYED_WORK(name, f)					\
	struct delayed_work name = { .work.func = (f) }

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *w, unsigned long jiffies);
bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *w, unsigned long jiffies);
bool cancel_delayed_work_sync(struct delayed_work *w);
void flush_delayed_work(struct delayed_work *w);

void work_start(void);
void work_stop(void);

#endif /* _USERSPACE_WORK_H */
