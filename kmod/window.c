// SPDX-License-Identifier: GPL-2.0
/*
 * Hand-off: allocating, sending, taking and returning extents. window.h has the
 * rules; uapi/faasin.h what each call says.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "cgroup.h"
#include "channel.h"
#include "deal.h"
#include "inbox.h"
#include "lane.h"
#include "limits.h"
#include "trace.h"
#include "trunk.h"
#include "window.h"
#include "workflow.h"

/* These are arrays in calls, and offsets and lengths in 32 bits of pages and bytes. */
static_assert(FAASIN_RANGES_MAX * sizeof(struct faasin_range) <= PAGE_SIZE);
static_assert(FAASIN_CAPACITY_MAX <= U32_MAX);

static u64 window_size(const struct faasin_window *win)
{
	return (u64)READ_ONCE(win->nr_pages) << PAGE_SHIFT;
}

static long window_info(struct faasin_handle *h, bool nonblock,
			struct faasin_window_info __user *arg)
{
	struct faasin_window_info info = { };
	struct faasin_channel *ch;
	int err;

	/* Each link of several has its own. */
	err = faasin_handle_bind(h, nonblock);
	if (err)
		return err;
	ch = h->channel;
	info.size = window_size(&ch->window);
	if (h->direction == FAASIN_DIRECTION_IN)
		info.landing = READ_ONCE(ch->pool.block_size);
	info.granule = PAGE_SIZE << READ_ONCE(ch->window.chunk_shift);
	info.flags = (ch->window.trusted ? FAASIN_WINDOW_TRUSTED : 0) |
		     (faasin_lane_has_end(h) ? FAASIN_WINDOW_LANE : 0);
	if (ch->branch)
		return -EOPNOTSUPP;
	if (!info.size)
		return -EINVAL;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* -------------------------------------------------------------- allocating */

/**
 * faasin_window_turn() - room was made: whoever found none may try again
 * @ch: channel
 */
void faasin_window_turn(struct faasin_channel *ch)
{
	struct faasin_window *win = &ch->window;
	bool wanted;

	mutex_lock(&win->lock);
	wanted = win->wanted;
	WRITE_ONCE(win->wanted, false);
	WRITE_ONCE(win->starved, false);
	if (wanted)
		WRITE_ONCE(win->turn, win->turn + 1);
	mutex_unlock(&win->lock);
	if (wanted)
		faasin_waiters_wake(faasin_channel_writers(ch));
}

/* Extents were given back. */
static void window_returned(struct faasin_channel *ch)
{
	struct faasin_waiters *w = faasin_channel_writers(ch);
	bool sleeps;

	faasin_window_turn(ch);
	/* A barrier, too: pairs with faasin_channel_has_room(). */
	sleeps = wq_has_sleeper(&w->wait);
	if (sleeps || READ_ONCE(ch->full)) {
		WRITE_ONCE(ch->full, false);
		faasin_waiters_wake(w);
	}
	faasin_channel_idle_later(ch);
}

/**
 * faasin_window_waits() - is an output's open file to wait before it allocates again
 * @h: open file
 *
 * Return: true if it found no room and none was made since.
 */
bool faasin_window_waits(struct faasin_handle *h)
{
	return READ_ONCE(h->alloc_turn) == READ_ONCE(h->channel->window.turn) + 1;
}

/* May it come yet? */
static bool alloc_may_wait(struct faasin_channel *ch, const struct faasin_extent *e)
{
	return e == ERR_PTR(-EAGAIN) || (e == ERR_PTR(-ENOMEM) && !READ_ONCE(ch->pool.gone));
}

/* @first: it will wait if this fails, for the first time. */
static struct faasin_extent *alloc_once(struct faasin_handle *h, u32 nr, u64 *turn, bool first)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_extent *e;
	int err;

	err = faasin_handle_writes(h);
	if (err)
		return ERR_PTR(err);
	if (mutex_lock_interruptible(&ch->wr.mutex))
		return ERR_PTR(-ERESTARTSYS);
	/* The capacity may have become smaller since it began to wait. */
	e = nr > ch->window.nr_pages ? ERR_PTR(-EMSGSIZE) : faasin_channel_alloc(ch, nr, turn);
	if (first && alloc_may_wait(ch, e))
		faasin_side_count(&ch->wr.blocks);
	mutex_unlock(&ch->wr.mutex);
	return e;
}

/* Likewise; a lane of others' may have what nobody uses. */
static struct faasin_extent *alloc_without_lane(struct faasin_handle *h, u32 nr, u64 *turn,
						bool first)
{
	struct faasin_extent *e = alloc_once(h, nr, turn, first);

	if (!alloc_may_wait(h->channel, e) || !faasin_lane_on(h->channel))
		return e;
	faasin_lane_retire(h->channel);
	return alloc_once(h, nr, turn, false);
}

/* Until it is another turn, the stream is over, or it is time to look anyway. */
static int wait_for_turn(struct faasin_handle *h, u64 turn)
{
	struct faasin_channel *ch = h->channel;
	DEFINE_WAIT(wait);
	int err = 0;

	prepare_to_wait(&ch->writers.wait, &wait, TASK_INTERRUPTIBLE);
	/* Once in the queue: pairs with trunk_drop_next(). */
	if (ch->trunk)
		faasin_trunk_drop(ch, 0);
	if (READ_ONCE(ch->window.turn) == turn && !faasin_handle_writes(h)) {
		if (signal_pending(current))
			err = -ERESTARTSYS;
		else
			/* What kept the pool from growing may have passed. */
			schedule_timeout(FAASIN_LOOK_JIFFIES);
	}
	finish_wait(&ch->writers.wait, &wait);
	return err;
}

/* An extent of at least @nr pages, waiting for room; not here if by a @lane. */
static struct faasin_extent *alloc_extent(struct faasin_handle *h, u32 nr, bool nonblock,
					  bool lane)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_extent *e;
	struct task_struct *peer;
	u64 turn, since;
	int err = 0;

	e = lane ? alloc_once(h, nr, &turn, false) :
		   alloc_without_lane(h, nr, &turn, !nonblock);
	if (ch->trunk && alloc_may_wait(ch, e))
		faasin_trunk_drop(ch, 0);
	if ((nonblock || lane) && alloc_may_wait(ch, e)) {
		/* Pairs with faasin_window_waits(). */
		WRITE_ONCE(h->alloc_turn, turn + 1);
		return nonblock ? e : ERR_PTR(-EAGAIN);
	}
	if (alloc_may_wait(ch, e)) {
		trace_faasin_block(ch->generation, FAASIN_DIRECTION_OUT);
		peer = faasin_side_wait_begin(ch, &ch->wr, &ch->rd, &since);
		if (peer)
			put_task_struct(peer);
		while (!err && alloc_may_wait(ch, e)) {
			err = wait_for_turn(h, turn);
			if (!err)
				e = alloc_without_lane(h, nr, &turn, false);
		}
		faasin_side_wait_end(ch, &ch->wr, since);
	}
	WRITE_ONCE(h->alloc_turn, 0);
	return err ? ERR_PTR(err) : e;
}

static long window_alloc(struct faasin_handle *h, bool nonblock,
			 struct faasin_range __user *arg)
{
	struct faasin_channel *ch = h->channel;
	struct faasin_extent *e;
	struct faasin_range r;

	if (h->direction != FAASIN_DIRECTION_OUT)
		return -EBADF;
	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	if (!r.length || (r.offset && r.offset != FAASIN_ALLOC_LANE))
		return -EINVAL;
	if (r.length > window_size(&ch->window))
		return -EMSGSIZE;
	faasin_lane_try(ch);
	e = alloc_extent(h, PFN_UP(r.length), nonblock, r.offset && faasin_lane_has_end(h));
	if (IS_ERR(e))
		return PTR_ERR(e);
	r.offset = faasin_extent_offset(e);
	if (copy_to_user(arg, &r, sizeof(r))) {
		/* Nobody owned it: of a sealed link, no mapping shows it. */
		faasin_extent_free(&ch->window, e);
		window_returned(ch);
		return -EFAULT;
	}
	faasin_extents_own(&ch->window, &e, 1, h);
	return 0;
}

/* ------------------------------------------------------- sending, returning */

/**
 * struct window_call - extents that are passed on
 * @nr_ranges: how many ranges user space named
 * @ranges: those
 * @nr: how many extents these are
 * @extents: those
 * @landed: one more range is what landed
 * @bytes: that are sent
 */
struct window_call {
	u32 nr_ranges;
	struct faasin_range ranges[FAASIN_RANGES_MAX];
	u32 nr;
	struct faasin_extent *extents[FAASIN_RANGES_MAX];
	bool landed;
	u64 bytes;
};

static int ranges_head(const struct faasin_ranges __user *arg, struct faasin_ranges *head)
{
	if (copy_from_user(head, arg, sizeof(*head)))
		return -EFAULT;
	if (head->reserved || !head->count || head->count > FAASIN_RANGES_MAX)
		return -EINVAL;
	return 0;
}

static struct window_call *call_get(const struct faasin_ranges __user *arg)
{
	struct faasin_ranges head;
	struct window_call *call;
	int err = ranges_head(arg, &head);

	if (err)
		return ERR_PTR(err);
	call = kmalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	if (!call)
		return ERR_PTR(-ENOMEM);
	call->nr_ranges = head.count;
	call->nr = 0;
	call->landed = false;
	call->bytes = 0;
	if (!copy_from_user(call->ranges, u64_to_user_ptr(head.ranges),
			    array_size(head.count, sizeof(*call->ranges))))
		return call;
	kfree(call);
	return ERR_PTR(-EFAULT);
}

/* The caller's extent at @offset; @whole: it begins there. */
static struct faasin_extent *extent_named(struct faasin_handle *h, u64 offset, bool whole)
{
	struct faasin_window *win = &h->channel->window;
	struct faasin_extent *e = NULL;

	if (offset < window_size(win))
		e = faasin_extent_at(win, offset >> PAGE_SHIFT);
	if (!e || e->owner != h || (whole && offset != faasin_extent_offset(e)))
		return NULL;
	return e;
}

/* Under the window's lock: is it in what landed for the caller? */
static bool landing_named(const struct faasin_handle *h, u64 offset)
{
	u64 begin = window_size(&h->channel->window);

	return h->landed && offset >= begin && offset - begin < PAGE_SIZE << h->landing_order;
}

/*
 * Take what is named away from its owner, all or none. From then on no fault shows it, unless
 * the link is trusted.
 */
static int call_seize(struct faasin_handle *h, struct window_call *call, bool whole)
{
	struct faasin_window *win = &h->channel->window;
	const struct faasin_range *r;
	struct faasin_extent *e;
	int err = 0;

	mutex_lock(&win->lock);
	for (r = call->ranges; r < call->ranges + call->nr_ranges; r++) {
		if (!whole && !call->landed && landing_named(h, r->offset)) {
			call->landed = true;
			continue;
		}
		e = extent_named(h, r->offset, whole);
		if (!e)
			err = -EACCES;
		else if (whole && r->length > (u64)e->nr << PAGE_SHIFT)
			err = -ERANGE;
		if (err)
			break;
		faasin_extent_give(win, e, NULL);
		call->extents[call->nr++] = e;
	}
	if (!err && call->landed)
		WRITE_ONCE(h->landed, false);
	while (err && call->nr)
		faasin_extent_give(win, call->extents[--call->nr], h);
	mutex_unlock(&win->lock);
	return err;
}

/* Who owned them has no entry left that shows them; on a trusted link, all stay as they are. */
static void call_unmap(struct file *file, const struct window_call *call)
{
	const struct faasin_handle *h = file->private_data;
	u32 i;

	if (h->channel->window.trusted)
		return;
	for (i = 0; i < call->nr; i++)
		unmap_mapping_range(file->f_mapping, faasin_extent_offset(call->extents[i]),
				    (loff_t)call->extents[i]->nr << PAGE_SHIFT, 1);
}

static void call_free(struct faasin_channel *ch, const struct window_call *call)
{
	u32 i;

	for (i = 0; i < call->nr; i++)
		faasin_extent_free(&ch->window, call->extents[i]);
	window_returned(ch);
}

/* In wr.mutex. */
static int call_send(struct file *file, struct window_call *call)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_channel *ch = h->channel;
	int err;
	u32 i;

	/* So that mappings stay as they are. */
	err = faasin_handle_writes(h);
	if (err)
		return err;
	err = call_seize(h, call, true);
	if (err)
		return err;
	call_unmap(file, call);
	for (i = 0; i < call->nr; i++) {
		call->extents[i]->block.size = call->ranges[i].length;
		call->extents[i]->last = i + 1 == call->nr;
		call->bytes += call->ranges[i].length;
	}
	err = faasin_channel_queue(h, call->extents, call->nr);
	if (!err)
		return 0;
	if (err == -EPIPE && faasin_stream_swallow(ch, h->stream, call->bytes)) {
		call_free(ch, call);
		faasin_side_count(&ch->wr.calls);
		return 0;
	}
	faasin_extents_own(&ch->window, call->extents, call->nr, h);
	return err;
}

static long window_send(struct file *file, const struct faasin_ranges __user *arg)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_channel *ch = h->channel;
	const struct faasin_range *r;
	struct window_call *call;
	int err = 0;

	if (h->direction != FAASIN_DIRECTION_OUT)
		return -EBADF;
	call = call_get(arg);
	if (IS_ERR(call))
		return PTR_ERR(call);
	for (r = call->ranges; r < call->ranges + call->nr_ranges; r++)
		if (!r->length || offset_in_page(r->offset))
			err = -EINVAL;
	/* As a write does. */
	if (!err && READ_ONCE(h->wrote) != task_tgid(current))
		err = faasin_stream_note_writer(h);
	if (!err && mutex_lock_interruptible(&ch->wr.mutex))
		err = -ERESTARTSYS;
	if (!err)
		err = faasin_channel_wait_paused(h, file->f_flags & O_NONBLOCK);
	if (!err) {
		faasin_lane_retire(ch);
		err = call_send(file, call);
		mutex_unlock(&ch->wr.mutex);
	}
	if (!err)
		trace_faasin_write(ch->generation, h->stream->number, call->bytes);
	kfree(call);
	return err;
}

static long window_return(struct file *file, const struct faasin_ranges __user *arg)
{
	struct faasin_handle *h = file->private_data;
	struct window_call *call;
	int err;

	if (h->channel->branch)
		return -EOPNOTSUPP;
	call = call_get(arg);
	if (IS_ERR(call))
		return PTR_ERR(call);
	/* Who took it, and who has it back. */
	faasin_lane_settle(h->channel);
	err = call_seize(h, call, false);
	if (!err) {
		call_unmap(file, call);
		call_free(h->channel, call);
		faasin_lane_try(h->channel);
	}
	kfree(call);
	return err;
}

/* ------------------------------------------------------------------ taking */

/*
 * How many the workflow has. A deleted link's go on to count, since what they have lives on: links
 * that are made again and again give nobody more. The channel holds its workflow.
 */
static atomic_t *workflow_windows(const struct faasin_channel *ch)
{
	return &ch->src->stage->workflow->windows;
}

/**
 * faasin_window_count() - an open file may have memory mapped, or landed
 * @h: open file
 *
 * Once an open file, whatever it has, until it is closed.
 *
 * Return: 0, or -ENOSPC if FAASIN_WINDOWS_MAX others of the same side do, or
 * FAASIN_WORKFLOW_WINDOWS_MAX of the workflow.
 */
int faasin_window_count(struct faasin_handle *h)
{
	struct faasin_window *win = &h->channel->window;
	int err = 0;

	mutex_lock(&win->lock);
	if (!h->counted) {
		if (win->counted[h->direction] < FAASIN_WINDOWS_MAX &&
		    atomic_add_unless(workflow_windows(h->channel), 1,
				      FAASIN_WORKFLOW_WINDOWS_MAX)) {
			win->counted[h->direction]++;
			h->counted = true;
		} else {
			err = -ENOSPC;
		}
	}
	mutex_unlock(&win->lock);
	return err;
}

/**
 * faasin_window_land() - memory for what was written and is taken
 * @h: an input's open file; its channel's rd.mutex held
 * @n: how much there is; becomes how much fits
 * @to: becomes its address
 *
 * Return: 0, -EBUSY if what landed before was not returned, -ENOSPC as
 * faasin_window_count(), -EINVAL if there is no window, or -ENOMEM.
 */
int faasin_window_land(struct faasin_handle *h, size_t *n, void **to)
{
	struct faasin_channel *ch = h->channel;
	struct page *page = h->landing;
	unsigned int order;
	int err;

	if (READ_ONCE(h->landed))
		return -EBUSY;
	if (!page) {
		err = faasin_window_count(h);
		if (err)
			return err;
		/* From here on the capacity stays as it is. */
		if (!window_size(&ch->window))
			return -EINVAL;
		page = faasin_pool_landing(&ch->pool, &order);
		if (!page)
			return -ENOMEM;
		mutex_lock(&ch->window.lock);
		h->landing_order = order;
		h->landing = page;
		mutex_unlock(&ch->window.lock);
	}
	*n = min_t(size_t, *n, PAGE_SIZE << h->landing_order);
	*to = page_address(page);
	return 0;
}

static long window_take(struct file *file, const struct faasin_ranges __user *arg)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_ranges head;
	int err;

	if (h->direction != FAASIN_DIRECTION_IN)
		return -EBADF;
	err = ranges_head(arg, &head);
	if (err)
		return err;
	err = faasin_handle_bind(h, file->f_flags & O_NONBLOCK);
	if (err)
		return err;
	if (!window_size(&faasin_channel_store(h->channel)->window))
		return -EINVAL;
	return faasin_channel_take(h->channel, h, u64_to_user_ptr(head.ranges), head.count,
				   file->f_flags & O_NONBLOCK);
}

/**
 * faasin_window_leave() - the last descriptor of an open file is gone
 * @h: open file, without mappings
 */
void faasin_window_leave(struct faasin_handle *h)
{
	struct faasin_channel *ch = h->channel;

	if (h->landing)
		faasin_pool_landing_free(&ch->pool, h->landing, h->landing_order);
	if (h->counted) {
		mutex_lock(&ch->window.lock);
		faasin_window_await_unmapping(&ch->window, h->direction);
		if (!--ch->window.counted[h->direction])
			ch->window.inodes[h->direction] = NULL;
		atomic_dec(workflow_windows(ch));
		mutex_unlock(&ch->window.lock);
	}
	if (!list_empty(&h->extents)) {
		faasin_extents_leave(&ch->window, h);
		window_returned(ch);
	}
}

/**
 * faasin_window_ioctl() - FAASIN_IOC_WINDOW and those that hand off
 * @file: open file of a port
 * @cmd: which
 * @arg: argument
 *
 * Return: what uapi/faasin.h says.
 */
long faasin_window_ioctl(struct file *file, unsigned int cmd, void __user *arg)
{
	struct faasin_handle *h = file->private_data;

	switch (cmd) {
	case FAASIN_IOC_WINDOW:
		return window_info(h, file->f_flags & O_NONBLOCK, arg);
	case FAASIN_IOC_ALLOC:
		return window_alloc(h, file->f_flags & O_NONBLOCK, arg);
	case FAASIN_IOC_SEND:
		return window_send(file, arg);
	case FAASIN_IOC_TAKE:
		return window_take(file, arg);
	case FAASIN_IOC_RETURN:
		return window_return(file, arg);
	case FAASIN_IOC_LANE:
		return faasin_lane_open(h);
	case FAASIN_IOC_LANE_WAIT:
		return faasin_lane_wait(h, file->f_flags & O_NONBLOCK);
	case FAASIN_IOC_LANE_KICK:
		return faasin_lane_kick(h);
	default:
		return -ENOTTY;
	}
}
