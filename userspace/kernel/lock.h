/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks. ThreadSanitizer knows these, and looks at their order, too.
 */
#ifndef _USERSPACE_LOCK_H
#define _USERSPACE_LOCK_H

#include <pthread.h>
#include <sched.h>

#include "task.h"

struct mutex {
	pthread_mutex_t lock;
	struct task_struct *owner;
};

typedef struct spinlock {
	pthread_mutex_t lock;
	struct task_struct *owner;
} spinlock_t;

/* Of what is only in headers. */
struct rw_semaphore {
	pthread_rwlock_t lock;
};

#define MUTEX_INIT	{ .lock = PTHREAD_MUTEX_INITIALIZER }
#define DEFINE_MUTEX(name)	struct mutex name = MUTEX_INIT

#define DEFINE_SPINLOCK(name)	spinlock_t name = { .lock = PTHREAD_MUTEX_INITIALIZER }

#define lock_taken(l)						\
do {								\
	BUG_ON((l)->owner);					\
	WRITE_ONCE((l)->owner, current);			\
} while (0)

#define lock_given(l)						\
do {								\
	BUG_ON((l)->owner != current);				\
	WRITE_ONCE((l)->owner, NULL);				\
} while (0)

/* Only the owner finds itself there. */
#define lockdep_assert_held(l)		BUG_ON(READ_ONCE((l)->owner) != current)
#define lockdep_assert_not_held(l)	BUG_ON(READ_ONCE((l)->owner) == current)

/* ThreadSanitizer looks at the order of each lock, not of classes. */
struct lock_class_key { };
#define lockdep_set_class(l, key)	((void)(l), (void)(key))

static inline void mutex_init(struct mutex *m)
{
	*m = (struct mutex)MUTEX_INIT;
}

static inline void mutex_lock(struct mutex *m)
{
	pthread_mutex_lock(&m->lock);
	lock_taken(m);
}

static inline bool mutex_trylock(struct mutex *m)
{
	if (pthread_mutex_trylock(&m->lock))
		return false;
	lock_taken(m);
	return true;
}

static inline void mutex_unlock(struct mutex *m)
{
	lock_given(m);
	pthread_mutex_unlock(&m->lock);
}

/* Looks for signals every few milliseconds. */
int mutex_lock_slowly(struct mutex *m, bool (*stop)(struct task_struct *task));

static inline int mutex_lock_interruptible(struct mutex *m)
{
	return mutex_trylock(m) ? 0 : mutex_lock_slowly(m, signal_pending);
}

static inline int mutex_lock_killable(struct mutex *m)
{
	return mutex_trylock(m) ? 0 : mutex_lock_slowly(m, fatal_signal_pending);
}

static inline void spin_lock_init(spinlock_t *l)
{
	*l = (spinlock_t){ .lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP };
}

static inline void spin_lock(spinlock_t *l)
{
	pthread_mutex_lock(&l->lock);
	lock_taken(l);
}

/*
 * What was seen under a lock may be different from here on. Now and then others are given the time
 * to make it so, where nothing is measured.
 */
static inline void lock_yields(void)
{
#ifdef SHIM_YIELDS
	static __thread unsigned int n;

	if (!(++n % 251))
		sched_yield();
#endif
}

static inline void spin_unlock(spinlock_t *l)
{
	lock_given(l);
	pthread_mutex_unlock(&l->lock);
	lock_yields();
}

/* Readers keep a task from being taken out of its pid, nothing else. */
void rcu_read_lock(void);
void rcu_read_unlock(void);

#endif /* _USERSPACE_LOCK_H */
