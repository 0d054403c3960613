// SPDX-License-Identifier: GPL-2.0
/*
 * Delayed work.
 */
#include "kernel.h"

struct workqueue_struct *system_unbound_wq;
unsigned int work_hurry = 1;

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_changed;
static LIST_HEAD(works);		/* that are pending */
static struct delayed_work *work_runs;
static pthread_t work_thread;
static bool work_stops;

/* In the lock. */
static void work_queue(struct delayed_work *w, unsigned long jiffies)
{
	w->due = ktime_get_ns() + jiffies * (NSEC_PER_SEC / HZ) / work_hurry;
	if (!w->pending)
		list_add_tail(&w->entry, &works);
	w->pending = true;
	pthread_cond_broadcast(&work_changed);
}

bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *w, unsigned long jiffies)
{
	bool queued;

	pthread_mutex_lock(&work_lock);
	queued = !w->pending && !w->canceled;
	if (queued)
		work_queue(w, jiffies);
	pthread_mutex_unlock(&work_lock);
	return queued;
}

bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *w, unsigned long jiffies)
{
	bool was;

	pthread_mutex_lock(&work_lock);
	was = w->pending;
	if (!w->canceled)
		work_queue(w, jiffies);
	pthread_mutex_unlock(&work_lock);
	return was;
}

bool cancel_delayed_work_sync(struct delayed_work *w)
{
	bool was;

	pthread_mutex_lock(&work_lock);
	was = w->pending;
	w->canceled = true;
	if (was)
		list_del(&w->entry);
	w->pending = false;
	while (work_runs == w)
		pthread_cond_wait(&work_changed, &work_lock);
	w->canceled = false;
	pthread_mutex_unlock(&work_lock);
	return was;
}

/* Of what is due at once: the kernel does not wait until another is. */
void flush_delayed_work(struct delayed_work *w)
{
	pthread_mutex_lock(&work_lock);
	while (w->pending || work_runs == w)
		pthread_cond_wait(&work_changed, &work_lock);
	pthread_mutex_unlock(&work_lock);
}

/* In the lock: the one that is due first. */
static struct delayed_work *work_first(void)
{
	struct delayed_work *w, *first = NULL;

	list_for_each_entry(w, &works, entry)
		if (!first || w->due < first->due)
			first = w;
	return first;
}

static void *work_do(void *arg)
{
	struct delayed_work *w;
	struct timespec t;

	task_begin("kworker", PF_KTHREAD);
	pthread_mutex_lock(&work_lock);
	while (!work_stops) {
		w = work_first();
		if (!w) {
			pthread_cond_wait(&work_changed, &work_lock);
			continue;
		}
		if (w->due > ktime_get_ns()) {
			t.tv_sec = w->due / NSEC_PER_SEC;
			t.tv_nsec = w->due % NSEC_PER_SEC;
			pthread_cond_timedwait(&work_changed, &work_lock, &t);
			continue;
		}
		list_del(&w->entry);
		w->pending = false;
		work_runs = w;
		pthread_mutex_unlock(&work_lock);
		w->work.func(&w->work);
		pthread_mutex_lock(&work_lock);
		work_runs = NULL;
		pthread_cond_broadcast(&work_changed);
	}
	pthread_mutex_unlock(&work_lock);
	task_end();
	return NULL;
}

void work_start(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&work_changed, &attr);
	work_stops = false;
	BUG_ON(pthread_create(&work_thread, NULL, work_do, NULL));
}

void work_stop(void)
{
	pthread_mutex_lock(&work_lock);
	BUG_ON(!list_empty(&works));
	work_stops = true;
	pthread_cond_broadcast(&work_changed);
	pthread_mutex_unlock(&work_lock);
	pthread_join(work_thread, NULL);
}
