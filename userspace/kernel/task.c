// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks, their signals and their sleep.
 */
#include "kernel.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread struct task_struct *task_current;
struct pid_namespace init_pid_ns;

static pthread_rwlock_t rcu = PTHREAD_RWLOCK_INITIALIZER;
static atomic_t last_pid;

void bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

void rcu_read_lock(void)
{
	pthread_rwlock_rdlock(&rcu);
}

void rcu_read_unlock(void)
{
	pthread_rwlock_unlock(&rcu);
}

/* ---------------------------------------------------------------- lifetime */

void task_begin(const char *name, unsigned int flags)
{
	struct task_struct *task = calloc(1, sizeof(*task));
	struct pid *pid = calloc(1, sizeof(*pid));

	if (!task || !pid)
		abort();
	refcount_set(&pid->count, 1);
	pid->nr = __atomic_add_fetch(&last_pid.counter, 1, __ATOMIC_RELAXED);
	pid->task = task;
	refcount_set(&task->usage, 1);
	task->signal = &task->signals;
	atomic_set(&task->signals.live, 1);
	task->flags = flags;
	task->pid = pid;
	task->ns = &init_pid_ns;
	task->cpu = sched_getcpu();
	strscpy(task->comm, name, sizeof(task->comm));
	task_current = task;
}

void task_exits(int status)
{
	current->flags |= PF_EXITING;
	current->exit_code = status;
	atomic_dec(&current->signal->live);
}

void task_end(void)
{
	struct task_struct *task = current;

	pthread_rwlock_wrlock(&rcu);
	WRITE_ONCE(task->pid->task, NULL);
	pthread_rwlock_unlock(&rcu);
	task_current = NULL;
	put_task_struct(task);
}

void task_free(struct task_struct *task)
{
	put_pid(task->pid);
	free(task);
}

void pid_free(struct pid *pid)
{
	free(pid);
}

/* ------------------------------------------------------------------- sleep */

static void futex_wait(unsigned int *word, unsigned int value, const struct timespec *until)
{
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, until, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

/* A barrier, too: what is looked at next is looked at after it. */
void set_current_state(unsigned int state)
{
	__atomic_store_n(&current->state, state, __ATOMIC_SEQ_CST);
	smp_mb();
}

/* Returns whether it slept, or was about to. */
bool task_wake(struct task_struct *task)
{
	smp_mb();
	if (__atomic_exchange_n(&task->state, TASK_RUNNING, __ATOMIC_SEQ_CST) == TASK_RUNNING)
		return false;
	syscall(SYS_futex, &task->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return true;
}

/* Until it is woken, gets a signal, or it is time. */
static void sleep_until(const struct timespec *until, u64 until_ns)
{
	struct task_struct *task = current;
	unsigned int state;

	WRITE_ONCE(task->asleep, true);
	while ((state = __atomic_load_n(&task->state, __ATOMIC_SEQ_CST)) != TASK_RUNNING) {
		if ((state == TASK_INTERRUPTIBLE && signal_pending(task)) ||
		    (until && ktime_get_ns() >= until_ns))
			set_current_state(TASK_RUNNING);
		else
			futex_wait(&task->state, state, until);
	}
	WRITE_ONCE(task->cpu, sched_getcpu());
	WRITE_ONCE(task->asleep, false);
}

void schedule(void)
{
	sleep_until(NULL, 0);
}

long schedule_timeout(long jiffies)
{
	u64 until = ktime_get_ns() + jiffies * (NSEC_PER_SEC / HZ), now;
	struct timespec t = { .tv_sec = until / NSEC_PER_SEC, .tv_nsec = until % NSEC_PER_SEC };

	sleep_until(&t, until);
	now = ktime_get_ns();
	return now < until ? nsecs_to_jiffies(until - now) + 1 : 0;
}

/* ------------------------------------------------------------------ signals */

void task_signal(struct task_struct *task, bool deadly)
{
	if (deadly)
		WRITE_ONCE(task->killed, true);
	__atomic_store_n(&task->pending, true, __ATOMIC_SEQ_CST);
	task_wake(task);
}

/* What the module sends is counted, not delivered. */
int send_sig(int sig, struct task_struct *task, int priv)
{
	BUG_ON(sig != SIGPIPE || task != current);
	task->sigpipes++;
	return 0;
}

int mutex_lock_slowly(struct mutex *m, bool (*stop)(struct task_struct *task))
{
	struct timespec t;

	for (;;) {
		if (stop(current))
			return -EINTR;
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 5000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_sec++;
			t.tv_nsec -= 1000000000;
		}
		if (!pthread_mutex_timedlock(&m->lock, &t))
			break;
	}
	lock_taken(m);
	return 0;
}
