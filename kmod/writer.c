// SPDX-License-Identifier: GPL-2.0
/*
 * The processes that write a stream, and how they die. A crash must not look like an
 * end of file: see faasin_handle_flush().
 */
#include <linux/fs.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "channel.h"
#include "lane.h"

/**
 * faasin_writers_free() - free records of writers
 * @gone: a list of them that is in no stream any more
 */
void faasin_writers_free(struct list_head *gone)
{
	struct faasin_writer *w, *next;

	list_for_each_entry_safe(w, next, gone, entry) {
		put_pid(w->pid);
		kfree(w);
	}
}

/* The record of a process that writes through an open file, or may; or NULL. */
static struct faasin_writer *writer_find(struct faasin_stream *s, struct pid *pid,
					 const struct faasin_handle *h)
{
	struct faasin_writer *w;

	list_for_each_entry(w, &s->processes, entry)
		if (w->pid == pid && w->handle == h)
			return w;
	return NULL;
}

/* Did a process write, through whatever open file? */
static bool writer_wrote(struct faasin_stream *s, struct pid *pid)
{
	struct faasin_writer *w;

	list_for_each_entry(w, &s->processes, entry)
		if (w->pid == pid && w->wrote)
			return true;
	return false;
}

/* Nothing more can come of a process that is gone and whose end was seen. */
static void writers_prune(struct faasin_stream *s, struct list_head *gone)
{
	struct faasin_writer *w, *next;

	rcu_read_lock();
	list_for_each_entry_safe(w, next, &s->processes, entry) {
		if (!w->seen || pid_task(w->pid, PIDTYPE_TGID))
			continue;
		list_move(&w->entry, gone);
		s->nr_processes--;
	}
	rcu_read_unlock();
}

/* @writes: it is about to; else it may, and who writes then is known by its record. */
static int writer_note(struct faasin_handle *h, bool writes)
{
	struct pid *pid = task_tgid(current), *old = NULL;
	struct faasin_channel *ch = h->channel;
	struct faasin_stream *s = h->stream;
	struct faasin_writer *w, *fresh;
	LIST_HEAD(gone);
	int err = 0;

	fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;

	spin_lock(&ch->lock);
	if (faasin_handle_replaced(h)) {
		err = -ESTALE;
		goto unlock;
	}
	w = writer_find(s, pid, h);
	if (!w) {
		if (s->nr_processes >= FAASIN_WRITERS_MAX)
			writers_prune(s, &gone);
		if (s->nr_processes >= FAASIN_WRITERS_MAX) {
			err = -EUSERS;
			goto unlock;
		}
		w = fresh;
		fresh = NULL;
		w->pid = get_pid(pid);
		w->handle = h;
		w->wrote = false;
		w->seen = true;
		list_add(&w->entry, &s->processes);
		s->nr_processes++;
	}
	if (writes) {
		w->wrote = true;
		w->seen = false;
		old = h->wrote;
		WRITE_ONCE(h->wrote, get_pid(pid));
	}
unlock:
	spin_unlock(&ch->lock);
	put_pid(old);
	kfree(fresh);
	faasin_writers_free(&gone);
	return err;
}

/**
 * faasin_stream_note_writer() - remember that the calling process writes
 * @h: an output's open file
 *
 * Return: 0; -EUSERS if FAASIN_WRITERS_MAX living processes do, or may without a call; -ESTALE
 * if the stage was replaced; or -ENOMEM.
 */
int faasin_stream_note_writer(struct faasin_handle *h)
{
	return writer_note(h, true);
}

/**
 * faasin_stream_expect_writer() - the calling process may write without a call
 * @h: an output's open file
 *
 * It did not yet: faasin_writers_wrote() is to tell if it does.
 *
 * Return: as faasin_stream_note_writer().
 */
int faasin_stream_expect_writer(struct faasin_handle *h)
{
	return writer_note(h, false);
}

/**
 * faasin_writers_wrote() - one that may write without a call did
 * @s: its stream, the channel's lock held
 * @h: open file
 * @pid: the process
 */
void faasin_writers_wrote(struct faasin_stream *s, const struct faasin_handle *h, struct pid *pid)
{
	struct faasin_writer *w = writer_find(s, pid, h);

	/* It is not there if the process is gone, and left the open file to others. */
	if (w) {
		w->wrote = true;
		w->seen = false;
	}
}

/* ------------------------------------------------------------ their deaths */

static int exit_code_of(struct task_struct *task)
{
	return task->signal->flags & SIGNAL_GROUP_EXIT ? task->signal->group_exit_code :
							 task->exit_code;
}

/*
 * Is the current process being swept away because the init of its pid
 * namespace, or of one above, exited in good order? Such an init waits for all
 * of them in its own exit, so it is there to be looked at.
 */
static bool swept_in_good_order(void)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	bool good = false;

	rcu_read_lock();
	for (; ns && ns != &init_pid_ns; ns = ns->parent) {
		struct task_struct *init = READ_ONCE(ns->child_reaper);

		/* Cleared when the init starts to sweep. */
		if (READ_ONCE(ns->pid_allocated) & PIDNS_ADDING)
			continue;
		if (init && init != current && !(exit_code_of(init) & 0x7f)) {
			good = true;
			break;
		}
	}
	rcu_read_unlock();
	return good;
}

static bool signal_dumps_core(int sig)
{
	return siginmask(sig, SIG_KERNEL_COREDUMP_MASK);
}

/*
 * A process exits that holds a writing end: is that the stream's end, and why?
 * If not, @sig is set to the signal that killed it, should it turn out to have
 * been the last holder.
 */
static enum faasin_cause holder_exits(struct faasin_channel *ch, bool wrote, u32 *code, int *sig)
{
	int exit = exit_code_of(current);
	int status = (exit >> 8) & 0xff;

	*sig = exit & 0x7f;
	if (ch->abort_on == FAASIN_ABORT_ON_NEVER) {
		*sig = 0;
		return FAASIN_CAUSE_NONE;
	}
	if (!*sig) {
		*code = status;
		if (status >= 128 || (status && ch->abort_on == FAASIN_ABORT_ON_NONZERO))
			return FAASIN_CAUSE_STATUS;
		return FAASIN_CAUSE_NONE;
	}
	*code = *sig;
	if (wrote)
		return FAASIN_CAUSE_SIGNAL;
	if (*sig == SIGKILL && swept_in_good_order()) {
		*sig = 0;
		return FAASIN_CAUSE_NONE;
	}
	if (*sig == SIGKILL || signal_dumps_core(*sig))
		return FAASIN_CAUSE_SIGNAL;
	return FAASIN_CAUSE_NONE;
}

/**
 * faasin_handle_flush() - a process closes a descriptor
 * @h: open file
 *
 * Runs for every close, by the closing process, and so tells how a process that
 * held the writing end died, whoever else holds it. Death by SIGPIPE after the
 * reader closed changes nothing: the stream is not live any more.
 */
void faasin_handle_flush(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct pid *pid = task_tgid(current), *old = NULL;
	enum faasin_cause cause = FAASIN_CAUSE_NONE;
	struct faasin_stream *s = h->stream;
	struct faasin_writer *w;
	int sig = 0;
	bool wrote;
	u32 code;

	if (h->direction != FAASIN_DIRECTION_OUT || current->flags & PF_KTHREAD)
		return;
	/* What it wrote by a lane it wrote before this. */
	faasin_lane_settle(ch);
	spin_lock(&ch->lock);
	wrote = writer_wrote(s, pid);
	w = writer_find(s, pid, h);
	if (w)
		w->seen = true;
	if (h->wrote == pid) {
		old = h->wrote;
		WRITE_ONCE(h->wrote, NULL);
	}
	/* How it dies does not concern the stream any more. */
	if (faasin_handle_replaced(h))
		goto unlock;
	if (current->flags & PF_EXITING)
		cause = holder_exits(ch, wrote, &code, &sig);
	if (sig && !cause)
		faasin_cause_set(&s->leaver, s, FAASIN_CAUSE_SIGNAL, sig, NULL, false);
	else
		s->leaver.cause = FAASIN_CAUSE_NONE;
unlock:
	spin_unlock(&ch->lock);
	put_pid(old);
	if (cause)
		faasin_stream_abort(h, cause, code, NULL);
}

/* Dead, or dying in a way that no flush will tell of. */
static bool process_gone(struct pid *pid)
	__must_hold(RCU)
{
	struct task_struct *task = pid_task(pid, PIDTYPE_TGID);

	return !task || !atomic_read(&task->signal->live) ||
	       task->signal->flags & SIGNAL_GROUP_EXIT;
}

/**
 * faasin_writers_leave() - an open file goes
 * @s: its stream, the channel's lock held
 * @h: open file
 *
 * Whoever wrote through it and lives can close it no more; whoever is gone unseen
 * stays on the list for the stream's last release.
 */
void faasin_writers_leave(struct faasin_stream *s, const struct faasin_handle *h)
{
	struct faasin_writer *w;

	rcu_read_lock();
	list_for_each_entry(w, &s->processes, entry) {
		if (w->handle != h)
			continue;
		w->handle = NULL;
		if (!w->seen && !process_gone(w->pid))
			w->seen = true;
	}
	rcu_read_unlock();
}

/**
 * faasin_writers_cause() - how a stream ends whose last writing open file goes
 * @ch: channel, its lock held
 * @s: stream
 * @ci: to be filled with the cause
 *
 * Return: false if it simply ends.
 */
bool faasin_writers_cause(struct faasin_channel *ch, struct faasin_stream *s,
			  struct faasin_cause_info *ci)
	__must_hold(&ch->lock)
{
	struct faasin_writer *w;

	lockdep_assert_held(&ch->lock);
	if (ch->abort_on == FAASIN_ABORT_ON_NEVER)
		return false;
	list_for_each_entry(w, &s->processes, entry) {
		if (w->seen)
			continue;
		faasin_cause_set(ci, s, FAASIN_CAUSE_LOST, 0, w->pid, false);
		return true;
	}
	*ci = s->leaver;
	return ci->cause;
}
