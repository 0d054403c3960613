/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tasks: each thread that begins with task_begin() is a process of its own.
 */
#ifndef _USERSPACE_TASK_H
#define _USERSPACE_TASK_H

#include <sched.h>
#include <signal.h>
#include <time.h>

#include "atomic.h"

#define TASK_COMM_LEN		16
#define TASK_RUNNING		0
#define TASK_INTERRUPTIBLE	1
#define TASK_UNINTERRUPTIBLE	2
#define PF_EXITING		0x4
#define PF_KTHREAD		0x200000
#define SIGNAL_GROUP_EXIT	0x4
#define PIDNS_ADDING		(1U << 31)

#define HZ			250
#define NSEC_PER_USEC		1000ULL
#define NSEC_PER_MSEC		1000000ULL
#define NSEC_PER_SEC		1000000000ULL
#define MAX_SCHEDULE_TIMEOUT	LONG_MAX

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
};

struct signal_struct {
	unsigned int flags;
	int group_exit_code;
	atomic_t live;
};

struct pid {
	refcount_t count;
	int nr;
	struct task_struct *task;	/* NULL once it exited; RCU */
};

struct pid_namespace {
	struct pid_namespace *parent;
	struct task_struct *child_reaper;
	unsigned int pid_allocated;
};

/**
 * struct task_struct - a thread, which is a process
 * @usage: its own reference, and others
 * @state: TASK_*; what it sleeps on
 * @asleep: it does, or is about to
 * @cpu: where it last woke up
 * @pending: it got a signal that it is to look at
 * @killed: that was a deadly one
 * @sigpipes: how many of these it got
 */
struct task_struct {
	refcount_t usage;
	unsigned int state;
	bool asleep;
	int cpu;
	bool pending;
	bool killed;
	unsigned int sigpipes;
	unsigned int flags;
	int exit_code;
	struct signal_struct *signal;
	struct signal_struct signals;
	struct pid *pid;
	struct pid_namespace *ns;
	char comm[TASK_COMM_LEN];
};

extern __thread struct task_struct *task_current;
extern struct pid_namespace init_pid_ns;
#define current		task_current

/* The calling thread becomes a task, and has ended as one. @status: as of waitpid(). */
void task_begin(const char *name, unsigned int flags);
void task_exits(int status);
void task_end(void);
/* A signal for @task, which interrupts what it waits for. */
void task_signal(struct task_struct *task, bool deadly);
void task_free(struct task_struct *task);
void pid_free(struct pid *pid);
bool task_wake(struct task_struct *task);
void set_current_state(unsigned int state);
void schedule(void);
long schedule_timeout(long jiffies);
int send_sig(int sig, struct task_struct *task, int priv);

static inline struct task_struct *get_task_struct(struct task_struct *task)
{
	refcount_inc(&task->usage);
	return task;
}

static inline void put_task_struct(struct task_struct *task)
{
	if (refcount_dec_and_test(&task->usage))
		task_free(task);
}

static inline struct pid *get_pid(struct pid *pid)
{
	if (pid)
		refcount_inc(&pid->count);
	return pid;
}

static inline void put_pid(struct pid *pid)
{
	if (pid && refcount_dec_and_test(&pid->count))
		pid_free(pid);
}

/* In RCU, or with a reference of one's own. */
static inline struct task_struct *pid_task(struct pid *pid, enum pid_type type)
{
	return READ_ONCE(pid->task);
}

static inline struct pid *task_tgid(struct task_struct *task)
{
	return task->pid;
}

static inline int pid_nr(struct pid *pid)
{
	return pid->nr;
}

static inline int task_tgid_nr(struct task_struct *task)
{
	return task->pid->nr;
}

static inline struct pid_namespace *task_active_pid_ns(struct task_struct *task)
{
	return task->ns;
}

#define get_task_comm(to, task)	strscpy(to, (task)->comm, sizeof(to))

static inline bool signal_pending(struct task_struct *task)
{
	return __atomic_load_n(&task->pending, __ATOMIC_SEQ_CST);
}

static inline bool fatal_signal_pending(struct task_struct *task)
{
	return READ_ONCE(task->killed);
}

#define siginmask(sig, mask)	((sig) > 0 && (sig) < 32 && 1ULL << ((sig) - 1) & (mask))
#define SIGMASK(sig)		(1ULL << ((sig) - 1))
#define SIG_KERNEL_COREDUMP_MASK						\
	(SIGMASK(SIGQUIT) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGABRT) |	\
	 SIGMASK(SIGFPE) | SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGSYS) |	\
	 SIGMASK(SIGXCPU) | SIGMASK(SIGXFSZ))

/* ------------------------------------------------------------------ time */

static inline u64 ktime_get_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static inline u64 local_clock(void)
{
	return ktime_get_ns();
}

static inline void usleep_range(unsigned long min_us, unsigned long max_us)
{
	usleep(max_us);
}

static inline unsigned long nsecs_to_jiffies(u64 ns)
{
	return ns / (NSEC_PER_SEC / HZ);
}

/* ------------------------------------------------------------- scheduling */

static inline bool need_resched(void)
{
	return false;
}

static inline void cond_resched(void)
{
}

static inline void cpu_relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

/* As far as can be told from outside of the kernel. */
static inline bool owner_on_cpu(struct task_struct *task)
{
	return !READ_ONCE(task->asleep) && READ_ONCE(task->cpu) != current->cpu;
}

/* Runnable: 0. */
static inline unsigned int task_state_index(struct task_struct *task)
{
	return READ_ONCE(task->asleep);
}

static inline int task_cpu(struct task_struct *task)
{
	return READ_ONCE(task->cpu);
}

static inline int raw_smp_processor_id(void)
{
	return current->cpu;
}

#endif /* _USERSPACE_TASK_H */
