// SPDX-License-Identifier: GPL-2.0
/*
 * Ends of lanes: who has one, how they are mapped, who waits there. lane.h has what lanes
 * are and the locks.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "lane.h"
#include "limits.h"
#include "ring.h"
#include "trace.h"

/* Parts of a lane are mapped with rights of their own, so pages are no larger than they are. */
#define HAVE_LANES	(!((FAASIN_LANE_OUT_AT | FAASIN_LANE_IN_AT) % PAGE_SIZE))

static_assert(sizeof(struct faasin_lane_state) <= FAASIN_LANE_OUT_AT);
static_assert(FAASIN_LANE_OUT_AT + sizeof(struct faasin_lane_out) <= FAASIN_LANE_IN_AT);
static_assert(FAASIN_LANE_IN_AT + sizeof(struct faasin_lane_in) == FAASIN_LANE_SIZE);
static_assert(offsetof(struct faasin_lane_out, slots) % sizeof(struct faasin_lane_slot) == 0);

/* -------------------------------------------------------------- turning on */

/* In ch->lock: do both ends belong to one stream that goes on, and is nobody else about? */
static bool lane_fits(struct faasin_channel *ch, const struct faasin_lane *lane)
{
	const struct faasin_handle *in = lane->ends[FAASIN_DIRECTION_IN];
	const struct faasin_handle *out = lane->ends[FAASIN_DIRECTION_OUT];

	return in && out && ch->tail == ch->head && !ch->unlinked &&
	       ch->state != FAASIN_LINK_STATE_PAUSED &&
	       ch->rd.waiting == ch->rd.lane_waiting && ch->wr.waiting == ch->wr.lane_waiting &&
	       !faasin_handle_replaced(in) && !faasin_handle_replaced(out) &&
	       out->stream->state == FAASIN_STREAM_LIVE && !in->session->result &&
	       faasin_session_bind(ch, in->session) == out->stream;
}

/* In lane_mutex: on, if everything that was passed on by calls was taken. */
static void lane_try(struct faasin_channel *ch, struct faasin_lane *lane)
{
	bool turn = false;

	if (READ_ONCE(ch->lane_on) || !lane->ends[0] || !lane->ends[1])
		return;
	if (!mutex_trylock(&ch->rd.mutex))
		return;
	if (!mutex_trylock(&ch->wr.mutex))
		goto unlock_rd;
	if (ch->tail == ch->head) {
		turn = faasin_ring_clear(ch);
		spin_lock(&ch->lock);
		if (lane_fits(ch, lane)) {
			/* Whoever polls already did not know of it. */
			WRITE_ONCE(lane->state->asleep_in, 1);
			WRITE_ONCE(lane->state->asleep_out, 1);
			WRITE_ONCE(ch->lane_on, true);
			/* Last: from here on both use it. */
			smp_store_release(&lane->state->state, FAASIN_LANE_ON);
			faasin_channel_idle_later(ch);
		}
		spin_unlock(&ch->lock);
	}
	mutex_unlock(&ch->wr.mutex);
unlock_rd:
	mutex_unlock(&ch->rd.mutex);
	if (turn)
		faasin_window_turn(ch);
}

/**
 * faasin_lane_try_now() - a channel's lane comes on, if it can
 * @ch: channel; none of its locks is held
 */
void faasin_lane_try_now(struct faasin_channel *ch)
{
	mutex_lock(&ch->lane_mutex);
	if (ch->lane)
		lane_try(ch, ch->lane);
	mutex_unlock(&ch->lane_mutex);
}

/* Nobody maps it by this file any more: who did has closed it, runs another program, or died. */
static int lane_release(struct inode *inode, struct file *file)
{
	struct faasin_lane *lane = file->private_data, *gone = NULL;
	struct faasin_channel *ch = lane->channel;
	enum faasin_direction d;

	mutex_lock(&ch->lane_mutex);
	for (d = FAASIN_DIRECTION_IN; d <= FAASIN_DIRECTION_OUT; d++) {
		/* One that came too late has no end. */
		if (lane->files[d] != file)
			continue;
		/* Another may be at that address soon, and come too late. */
		lane->files[d] = NULL;
		WARN_ON_ONCE(!ch->lane_files[d]);
		ch->lane_files[d]--;
		if (ch->lane == lane)
			gone = faasin_lane_drop(ch);
	}
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(gone);
	faasin_lane_put(lane);
	faasin_channel_put(ch);
	return 0;
}

/* What is one's own can be written, the rest only looked at. */
static int lane_map(struct file *file, struct vm_area_struct *vma, unsigned long begin,
		    unsigned long end)
{
	struct faasin_lane *lane = file->private_data;
	u64 first = (u64)vma->vm_pgoff << PAGE_SHIFT, size = vma->vm_end - vma->vm_start;
	bool own = first >= begin && first <= end && size <= end - first;

	if (!(vma->vm_flags & VM_MAYSHARE) || first > FAASIN_LANE_SIZE ||
	    size > FAASIN_LANE_SIZE - first)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (vma->vm_flags & VM_WRITE && !own)
		return -EACCES;
	vm_flags_clear(vma, own ? VM_MAYEXEC : VM_MAYEXEC | VM_MAYWRITE);
	vm_flags_set(vma, VM_DONTCOPY);
	return remap_pfn_range(vma, vma->vm_start, page_to_pfn(lane->pages) + vma->vm_pgoff, size,
			       vma->vm_page_prot);
}

static int lane_map_out(struct file *file, struct vm_area_struct *vma)
{
	return lane_map(file, vma, FAASIN_LANE_OUT_AT, FAASIN_LANE_IN_AT);
}

static int lane_map_in(struct file *file, struct vm_area_struct *vma)
{
	return lane_map(file, vma, FAASIN_LANE_IN_AT, FAASIN_LANE_SIZE);
}

/* By direction. They hold the module as long as something is mapped. */
static const struct file_operations lane_fops[] = {
	[FAASIN_DIRECTION_IN] = {
		.owner = THIS_MODULE, .mmap = lane_map_in, .release = lane_release,
	},
	[FAASIN_DIRECTION_OUT] = {
		.owner = THIS_MODULE, .mmap = lane_map_out, .release = lane_release,
	},
};

/* It will never be on: an end's stream, or its stage's turn, is over. */
static bool lane_is_stale(const struct faasin_lane *lane)
{
	const struct faasin_handle *in = lane->ends[FAASIN_DIRECTION_IN];
	const struct faasin_handle *out = lane->ends[FAASIN_DIRECTION_OUT];

	return (in && (faasin_handle_replaced(in) || READ_ONCE(in->session->result))) ||
	       (out && (faasin_handle_replaced(out) ||
			READ_ONCE(out->stream->state) != FAASIN_STREAM_LIVE));
}

/*
 * The channel's lane, held, a new one if there is none that can be used; an error if this end of
 * it is taken.
 */
static struct faasin_lane *lane_get(struct faasin_handle *h)
{
	struct faasin_lane *fresh, *lane, *stale = NULL;
	struct faasin_channel *ch = h->channel;

	fresh = faasin_lane_new(ch);
	if (!fresh)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&ch->lane_mutex);
	if (ch->lane && lane_is_stale(ch->lane))
		stale = faasin_lane_drop(ch);
	lane = ch->lane;
	if (!lane) {
		lane = fresh;
		fresh = NULL;
		lane->number = ++ch->lane_seq ?: ++ch->lane_seq;
		/* Pairs with faasin_lane_try(). */
		WRITE_ONCE(ch->lane, lane);
	}
	if (lane->ends[h->direction])
		lane = ERR_PTR(-EBUSY);
	else
		kref_get(&lane->ref);
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(stale);
	faasin_lane_put(fresh);
	return lane;
}

/* An end of it, unless that was taken, or the lane given up, meanwhile. */
static int lane_join(struct faasin_handle *h, struct faasin_lane *lane, struct file *file)
{
	struct faasin_channel *ch = h->channel;
	int err = -EBUSY;

	mutex_lock(&ch->lane_mutex);
	if (ch->lane_files[h->direction] >= FAASIN_WINDOWS_MAX) {
		/* Retired ones have their memory until nobody maps them. */
		err = -ENOSPC;
	} else if (ch->lane == lane && !lane->ends[h->direction]) {
		ch->lane_files[h->direction]++;
		lane->ends[h->direction] = h;
		lane->pids[h->direction] = get_pid(task_tgid(current));
		lane->files[h->direction] = file;
		if (lane->ends[!h->direction])
			WRITE_ONCE(lane->state->state, FAASIN_LANE_OFFERED);
		lane_try(ch, lane);
		err = 0;
	}
	mutex_unlock(&ch->lane_mutex);
	return err;
}

/* Nobody came to have an end of it. */
static void lane_forget(struct faasin_channel *ch)
{
	struct faasin_lane *lane = NULL;

	mutex_lock(&ch->lane_mutex);
	if (ch->lane && !ch->lane->ends[FAASIN_DIRECTION_IN] &&
	    !ch->lane->ends[FAASIN_DIRECTION_OUT])
		lane = faasin_lane_drop(ch);
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(lane);
}

static int lane_may(struct faasin_handle *h)
{
	/*
	 * Of an input that may have several links, sessions are bound to a channel late. Records
	 * would have to be noted when a lane is retired, however many it has.
	 */
	if (!HAVE_LANES || h->inbox || h->channel->inbox || !h->channel->window.trusted ||
	    h->channel->records)
		return -EOPNOTSUPP;
	if (faasin_handle_replaced(h))
		return -ESTALE;
	if (!READ_ONCE(h->channel->window.nr_pages))
		return -EINVAL;
	/* From here on the capacity stays as it is. */
	return faasin_window_count(h) ?:
		(h->direction == FAASIN_DIRECTION_OUT ? faasin_stream_expect_writer(h) : 0);
}

/**
 * faasin_lane_open() - FAASIN_IOC_LANE
 * @h: open file
 *
 * Return: a descriptor, or what uapi/faasin.h says.
 */
long faasin_lane_open(struct faasin_handle *h)
{
	struct faasin_lane *lane;
	struct file *file;
	int err, fd;

	err = lane_may(h);
	if (err)
		return err;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	lane = lane_get(h);
	if (IS_ERR(lane)) {
		err = PTR_ERR(lane);
		goto put_fd;
	}
	file = anon_inode_getfile("[faasin-lane]", &lane_fops[h->direction], lane, O_RDWR);
	if (IS_ERR(file)) {
		faasin_lane_put(lane);
		err = PTR_ERR(file);
		goto forget;
	}
	/* The reference is the file's, and so is one to the channel. */
	faasin_channel_get(h->channel);
	err = lane_join(h, lane, file);
	if (!err) {
		fd_install(fd, file);
		return fd;
	}
	fput(file);
forget:
	lane_forget(h->channel);
put_fd:
	put_unused_fd(fd);
	return err;
}

/* ----------------------------------------------------------------- waiting */

/* A hint to whoever asked: it looks for itself. Of nonsense there is nothing to be had. */
static bool lane_has(const struct faasin_lane *lane, enum faasin_direction direction)
{
	u64 has, had;

	if (direction == FAASIN_DIRECTION_IN) {
		has = READ_ONCE(lane->out->sent);
		had = READ_ONCE(lane->in->taken);
	} else {
		has = READ_ONCE(lane->in->returned);
		had = READ_ONCE(lane->out->popped);
	}
	return (has ^ had) & ~FAASIN_LANE_FROZEN &&
	       (has & ~FAASIN_LANE_FROZEN) - (had & ~FAASIN_LANE_FROZEN) <= FAASIN_LANE_SLOTS;
}

/*
 * In lane_mutex: one of which nothing can come any more is retired, and goes. What was the
 * channel's lane, to be put without the mutex, or NULL.
 */
static struct faasin_lane *lane_give_up(struct faasin_channel *ch)
{
	return READ_ONCE(ch->lane_on) && faasin_lane_hopeless(ch->lane) ?
		faasin_lane_drop(ch) : NULL;
}

/* The lane of which an open file is an end, held, or NULL. */
static struct faasin_lane *lane_of(struct faasin_handle *h)
{
	struct faasin_lane *lane = NULL, *gone;
	struct faasin_channel *ch = h->channel;

	mutex_lock(&ch->lane_mutex);
	gone = lane_give_up(ch);
	if (ch->lane && ch->lane->ends[h->direction] == h) {
		lane = ch->lane;
		kref_get(&lane->ref);
		lane_try(ch, lane);
	}
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(gone);
	return lane;
}

static u32 *lane_asleep(struct faasin_lane *lane, enum faasin_direction direction)
{
	return direction == FAASIN_DIRECTION_IN ? &lane->state->asleep_in :
						  &lane->state->asleep_out;
}

/* Is there what an open file waits for, or something to be told? */
static bool lane_ready(struct faasin_handle *h, struct faasin_lane *lane)
{
	struct faasin_channel *ch = h->channel;

	if (READ_ONCE(lane->state->state) == FAASIN_LANE_RETIRED)
		return true;
	if (h->direction == FAASIN_DIRECTION_OUT)
		/* Of the turn of the refusal: there may have been another one since. */
		return lane_has(lane, FAASIN_DIRECTION_OUT) || faasin_handle_writes(h) ||
		       !faasin_window_waits(h);
	return faasin_lane_on(ch) ? lane_has(lane, FAASIN_DIRECTION_IN) :
				    faasin_ring_data_ready(ch, h->session);
}

/* Until there is something, or it is time to look anyway. */
static int lane_sleep(struct faasin_handle *h, struct faasin_lane *lane, bool nonblock)
{
	bool out = h->direction == FAASIN_DIRECTION_OUT;
	struct faasin_channel *ch = h->channel;
	struct faasin_waiters *w = out ? &ch->writers : &ch->readers;
	DEFINE_WAIT(wait);
	int err = 0;

	for (;;) {
		prepare_to_wait(&w->wait, &wait, TASK_INTERRUPTIBLE);
		/* Who was woken for something is not to be told of the next. */
		if (lane_ready(h, lane))
			break;
		WRITE_ONCE(*lane_asleep(lane, h->direction), 1);
		/* Pairs with the peer's, between passing something on and looking at this. */
		smp_mb();
		/* For wake_after_write(). */
		spin_lock(&ch->lock);
		spin_unlock(&ch->lock);
		if (lane_ready(h, lane))
			break;
		if (nonblock)
			err = -EAGAIN;
		else if (signal_pending(current))
			err = -ERESTARTSYS;
		if (err)
			break;
		if (out && !schedule_timeout(FAASIN_LOOK_JIFFIES))
			break;
		if (!out)
			schedule();
	}
	/* It goes on saying so, since others may sleep there, or poll: being told clears it. */
	finish_wait(&w->wait, &wait);
	return err;
}

/**
 * faasin_lane_wait() - FAASIN_IOC_LANE_WAIT
 * @h: open file
 * @nonblock: do not wait
 *
 * Return: what uapi/faasin.h says.
 */
long faasin_lane_wait(struct faasin_handle *h, bool nonblock)
{
	bool out = h->direction == FAASIN_DIRECTION_OUT;
	struct faasin_channel *ch = h->channel;
	struct faasin_side *side = out ? &ch->wr : &ch->rd;
	struct faasin_lane *lane = lane_of(h);
	struct task_struct *peer;
	u64 since;
	int err;

	if (!lane)
		return 0;
	if (nonblock) {
		err = lane_sleep(h, lane, true);
		goto put;
	}
	err = 0;
	if (lane_ready(h, lane))
		goto put;
	trace_faasin_block(ch->generation, h->direction);
	peer = faasin_side_wait_begin(ch, side, out ? &ch->rd : &ch->wr, &since);
	if (peer)
		put_task_struct(peer);
	spin_lock(&ch->lock);
	side->lane_blocks++;
	side->lane_waiting++;
	spin_unlock(&ch->lock);
	err = lane_sleep(h, lane, false);
	spin_lock(&ch->lock);
	side->lane_waiting--;
	spin_unlock(&ch->lock);
	faasin_side_wait_end(ch, side, since);
put:
	faasin_lane_put(lane);
	return err;
}

/**
 * faasin_lane_kick() - FAASIN_IOC_LANE_KICK
 * @h: open file
 *
 * Return: 0.
 */
long faasin_lane_kick(struct faasin_handle *h)
{
	bool out = h->direction == FAASIN_DIRECTION_OUT;
	struct faasin_channel *ch = h->channel;
	struct faasin_waiters *w = out ? &ch->readers : &ch->writers;
	struct faasin_side *side = out ? &ch->wr : &ch->rd;
	struct faasin_lane *gone;

	/* Stages of others do not trust each other, and are woken by what was passed on alone. */
	if (!ch->window.trusted)
		return 0;
	mutex_lock(&ch->lane_mutex);
	gone = lane_give_up(ch);
	if (READ_ONCE(ch->lane_on)) {
		faasin_lane_look(ch, ch->lane);
		/* Seen before anybody is taken from the queue: who sleeps anew sets it anew. */
		smp_store_mb(*lane_asleep(ch->lane, !h->direction), 0);
		/* For the figures alone: they are woken in any case. */
		if (waitqueue_active(&w->wait)) {
			spin_lock(&ch->lock);
			side->lane_wakes++;
			spin_unlock(&ch->lock);
		}
	}
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(gone);
	faasin_waiters_wake(w);
	return 0;
}

/**
 * faasin_lane_poll_now() - an end is about to be polled
 * @h: open file
 */
void faasin_lane_poll_now(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_lane *gone;

	mutex_lock(&ch->lane_mutex);
	gone = lane_give_up(ch);
	if (READ_ONCE(ch->lane_on)) {
		WRITE_ONCE(*lane_asleep(ch->lane, h->direction), 1);
		/* As in lane_sleep(). */
		smp_mb();
		faasin_lane_look(ch, ch->lane);
	}
	mutex_unlock(&ch->lane_mutex);
	faasin_lane_put(gone);
}

/**
 * faasin_lane_came_back() - are there extents that came back, and were not had again
 * @ch: channel
 *
 * Who has the lane has them without asking; they go, and make room, when anybody else needs any.
 *
 * Return: whether there are.
 */
bool faasin_lane_came_back(struct faasin_channel *ch)
{
	bool back;

	if (!faasin_lane_on(ch))
		return false;
	mutex_lock(&ch->lane_mutex);
	back = READ_ONCE(ch->lane_on) && lane_has(ch->lane, FAASIN_DIRECTION_OUT);
	mutex_unlock(&ch->lane_mutex);
	return back;
}

/**
 * faasin_lane_end_of() - does an open file have an end of its channel's lane
 * @h: open file
 *
 * Return: whether it has one, and the lane is on.
 */
bool faasin_lane_end_of(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;
	bool end;

	mutex_lock(&ch->lane_mutex);
	end = READ_ONCE(ch->lane_on) && ch->lane->ends[h->direction] == h;
	mutex_unlock(&ch->lane_mutex);
	return end;
}
