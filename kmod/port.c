// SPDX-License-Identifier: GPL-2.0
/*
 * File operations of a port: translate calls, nothing else.
 */
#include <asm/ioctls.h>
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>

#include "cgroup.h"
#include "channel.h"
#include "compat.h"
#include "deal.h"
#include "inbox.h"
#include "merge.h"
#include "port.h"
#include "splice.h"
#include "trace.h"
#include "workflow.h"

/* Under faasin_tree_sem: may the caller open this port, and onto what? */
static int port_channel(struct faasin_port *port, struct faasin_handle *h)
{
	struct faasin_stage *stage = port->stage;

	h->channel = NULL;
	h->inbox = NULL;
	h->deal = NULL;
	if (port->node.dead)
		return -ENOENT;
	if (!(stage->cgroup && faasin_cgroup_holds_current(stage->cgroup)) &&
	    !capable(CAP_SYS_ADMIN))
		return -EACCES;
	if (port->inbox) {
		h->inbox = port->inbox;
		h->replaced = h->inbox->replaced;
		faasin_inbox_get(h->inbox);
	} else if (port->deal) {
		h->deal = port->deal;
		h->replaced = h->deal->replaced;
		faasin_deal_get(h->deal);
	} else if (port->link) {
		h->channel = port->trunk ?: port->link->channel;
		h->replaced = h->channel->replaced[h->direction];
		faasin_channel_get(h->channel);
	}
	return 0;
}

static bool handle_linked(const struct faasin_handle *h)
{
	return h->channel || h->inbox || h->deal;
}

/* What an open file holds of its port's links. */
static void handle_put(struct faasin_handle *h)
{
	if (h->channel)
		faasin_channel_put(h->channel);
	if (h->inbox)
		faasin_inbox_put(h->inbox);
	if (h->deal)
		faasin_deal_put(h->deal);
}

static u64 handle_generation(const struct faasin_handle *h)
{
	if (h->deal)
		return h->deal->generation;
	return h->channel ? h->channel->generation : h->inbox->generation;
}

static u64 handle_stream(const struct faasin_handle *h)
{
	if (h->deal)
		return h->round->number;
	return h->stream ? h->stream->number : 0;
}

/* The channel, inbox or deal of a port's links, waiting for a link if there is none. */
static int port_bind(struct faasin_port *port, bool nonblock, struct faasin_handle *h)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int err;

	for (;;) {
		err = down_read_killable(&faasin_tree_sem);
		if (err)
			return err;
		/* Queued under the lock that a link is made under. */
		add_wait_queue(&port->linked, &wait);
		err = port_channel(port, h);
		up_read(&faasin_tree_sem);
		if (!err && !handle_linked(h)) {
			if (nonblock)
				err = -ENXIO;
			else
				wait_woken(&wait, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT);
		}
		remove_wait_queue(&port->linked, &wait);
		if (err || handle_linked(h))
			return err;
		if (signal_pending(current))
			return -ERESTARTSYS;
	}
}

static int port_open(struct inode *inode, struct file *file)
{
	struct faasin_port *port = inode->i_private;
	bool nonblock = file->f_flags & O_NONBLOCK;
	struct faasin_handle *h;
	int err;

	/* The VFS would refuse it only after a stream had begun. */
	if (file->f_flags & O_DIRECT)
		return -EINVAL;
	/* mmap() of an output needs O_RDWR; reading it stays an error. */
	if (port->direction != (file->f_mode & FMODE_WRITE ? FAASIN_DIRECTION_OUT :
							     FAASIN_DIRECTION_IN))
		return -EACCES;

	h = kzalloc(sizeof(*h), GFP_KERNEL_ACCOUNT);
	if (!h)
		return -ENOMEM;
	h->direction = port->direction;
	INIT_LIST_HEAD(&h->extents);

	do {
		err = port_bind(port, nonblock, h);
		if (err)
			goto free;
		err = h->direction == FAASIN_DIRECTION_OUT ?
			faasin_stream_open(h, nonblock) : faasin_session_open(h);
		if (err)
			handle_put(h);
		/* Unlinked or replaced in between: look again for the link, and whether it may. */
	} while (err == -ENXIO);
	if (err)
		goto free;

	trace_faasin_open(handle_generation(h), h->direction, handle_stream(h));
	file->private_data = h;
	stream_open(inode, file);
	file->f_mode |= FMODE_NOWAIT;
	return 0;

free:
	kfree(h);
	return err;
}

/* The caller ends or leaves a stream: not one that is about to be its successor's. */
static void port_replaced(struct file *file)
{
	const struct faasin_port *port = file_inode(file)->i_private;

	faasin_stage_replaced(port->stage);
}

static int port_flush(struct file *file, fl_owner_t id)
{
	struct faasin_handle *h = file->private_data;

	port_replaced(file);
	if (h->deal)
		faasin_deal_flush(h);
	else
		faasin_handle_flush(h);
	return 0;
}

static int port_release(struct inode *inode, struct file *file)
{
	struct faasin_handle *h = file->private_data;

	port_replaced(file);
	trace_faasin_close(handle_generation(h), h->direction, handle_stream(h));
	faasin_handle_release(h);
	handle_put(h);
	kfree(h);
	return 0;
}

static ssize_t port_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct faasin_handle *h = iocb->ki_filp->private_data;
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	bool nonblock = nowait || iocb->ki_filp->f_flags & O_NONBLOCK;
	int err;

	if (h->direction != FAASIN_DIRECTION_IN)
		return -EBADF;
	if (unlikely(!faasin_handle_bound(h))) {
		if (faasin_handle_merges(h))
			return faasin_merged_read(h, to, nonblock, nowait);
		if (!iov_iter_count(to))
			return 0;
		err = faasin_inbox_wait(h, nonblock);
		if (err)
			return err;
	}
	return faasin_channel_read(h->channel, h, to, nonblock, nowait);
}

static ssize_t port_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct faasin_handle *h = iocb->ki_filp->private_data;
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	bool nonblock = nowait || iocb->ki_filp->f_flags & O_NONBLOCK;

	if (unlikely(h->deal))
		return faasin_deal_write(h, from, nonblock, nowait);
	return faasin_channel_write(h->channel, h, from, nonblock, nowait);
}

/* The caller holds the lock of the pipe at the other end. */
static ssize_t port_splice_read(struct file *file, loff_t *pos, struct pipe_inode_info *pipe,
				size_t len, unsigned int flags)
{
	struct faasin_handle *h = file->private_data;

	if (h->direction != FAASIN_DIRECTION_IN)
		return -EBADF;
	return faasin_splice_out(h, pipe, len, flags, flags & SPLICE_F_NONBLOCK ||
				 file->f_flags & O_NONBLOCK);
}

static ssize_t port_splice_write(struct pipe_inode_info *pipe, struct file *file, loff_t *pos,
				 size_t len, unsigned int flags)
{
	struct faasin_handle *h = file->private_data;
	ssize_t n;

	/* What a pipe has is no record. */
	if (h->deal)
		return -EINVAL;
	n = faasin_splice_in(h, pipe, len, flags, file->f_flags & O_NONBLOCK);
	/* Some kernels leave that to who is called. */
	if (n > 0)
		fsnotify_modify(file);
	return n;
}

/*
 * A pipe makes packets then, a port does not. Some kernels would read for splice(), and wait for
 * bytes with the pipe's lock.
 */
static int port_check_flags(int flags)
{
	return flags & O_DIRECT ? -EINVAL : 0;
}

static __poll_t port_poll(struct file *file, poll_table *wait)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_channel *ch = h->channel;

	if (h->inbox) {
		poll_wait(file, &h->inbox->readers.poll, wait);
		return faasin_inbox_poll(h);
	}
	if (h->deal) {
		poll_wait(file, &h->deal->writers.poll, wait);
		return faasin_deal_poll(h);
	}
	poll_wait(file, h->direction == FAASIN_DIRECTION_OUT ? &ch->writers.poll :
							       &ch->readers.poll, wait);
	return faasin_stream_poll(h);
}

static long port_abort(struct faasin_handle *h, const struct faasin_abort __user *arg)
{
	struct faasin_abort a;
	struct pid *pid = NULL;
	int err;

	if (h->direction != FAASIN_DIRECTION_OUT)
		return -EBADF;
	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.reserved || a.pid < 0)
		return -EINVAL;
	switch (a.cause) {
	case FAASIN_CAUSE_REQUEST:
		if (a.code)
			return -EINVAL;
		break;
	case FAASIN_CAUSE_SIGNAL:
		if (!a.code || !valid_signal(a.code))
			return -EINVAL;
		break;
	case FAASIN_CAUSE_STATUS:
		if (a.code > 255)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	/* A process that is gone already has no number that means anything. */
	if (a.pid)
		pid = find_get_pid(a.pid);
	err = h->deal ? faasin_deal_abort(h, a.cause, a.code, pid) :
			faasin_stream_abort(h, a.cause, a.code, pid);
	put_pid(pid);
	return err;
}

static long port_set_context(struct faasin_handle *h, const struct faasin_context __user *arg)
{
	struct faasin_context c;

	if (h->direction != FAASIN_DIRECTION_OUT)
		return -EBADF;
	if (copy_from_user(&c, arg, sizeof(c)))
		return -EFAULT;
	if (c.reserved || !c.length || c.length > FAASIN_CONTEXT_MAX)
		return -EINVAL;
	memset(c.data + c.length, 0, sizeof(c.data) - c.length);
	return h->deal ? faasin_deal_set_context(h, &c) : faasin_stream_set_context(h, &c);
}

static long port_get_context(struct faasin_handle *h, struct faasin_context __user *arg)
{
	struct faasin_context c;
	int err = faasin_stream_get_context(h, &c);

	if (err)
		return err;
	return copy_to_user(arg, &c, sizeof(c)) ? -EFAULT : 0;
}

static long unbound_info(struct faasin_handle *h, int result, struct faasin_port_info __user *arg)
{
	struct faasin_port_info info = { .abi = FAASIN_ABI_VERSION };

	if (result == -ESTALE)
		info.flags |= FAASIN_INFO_REPLACED;
	if (READ_ONCE(h->inbox->closed))
		info.flags |= FAASIN_INFO_UNLINKED;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* What is asked of one that never is, since it reads several. */
static long merged_ioctl(struct faasin_handle *h, unsigned int cmd, void __user *p)
{
	struct faasin_port_info info;

	switch (cmd) {
	case FIONREAD:
		return put_user((int)min_t(u64, faasin_merged_unread(h), INT_MAX),
				(int __user *)p);
	case FAASIN_IOC_INFO:
		faasin_merged_info(h, &info);
		return copy_to_user(p, &info, sizeof(info)) ? -EFAULT : 0;
	case FAASIN_IOC_END:
		return faasin_merged_end(h);
	default:
		/* Contexts are of one stream each. */
		return -ENODATA;
	}
}

/*
 * What is asked of an open file that is bound to no link yet: -ENOIOCTLCMD if it is bound now, or
 * the call is one that waits until it is, or refuses inputs.
 */
static long unbound_ioctl(struct faasin_handle *h, unsigned int cmd, void __user *p)
{
	int ret;

	/* It has nothing, and no lane. */
	if (cmd == FAASIN_IOC_RETURN)
		return -EACCES;
	if (cmd == FAASIN_IOC_LANE)
		return -EOPNOTSUPP;
	if (cmd == FAASIN_IOC_LANE_WAIT || cmd == FAASIN_IOC_LANE_KICK)
		return 0;
	if (cmd != FIONREAD && cmd != FAASIN_IOC_INFO && cmd != FAASIN_IOC_END &&
	    cmd != FAASIN_IOC_GET_CONTEXT)
		return -ENOIOCTLCMD;
	if (faasin_handle_merges(h))
		return merged_ioctl(h, cmd, p);
	ret = faasin_inbox_bind(h);
	if (ret > 0)
		return -ENOIOCTLCMD;
	switch (cmd) {
	case FIONREAD:
		return put_user(0, (int __user *)p);
	case FAASIN_IOC_INFO:
		return unbound_info(h, ret, p);
	case FAASIN_IOC_END:
		/* As of a session that is over. */
		return ret == -ECONNABORTED ? 0 : ret ?: -ENODATA;
	default:
		return ret == -ESTALE ? ret : -ENODATA;
	}
}

/* What is asked of an output whose records are dealt: it has no window. */
static long deal_ioctl(struct faasin_handle *h, unsigned int cmd, void __user *p)
{
	struct faasin_port_info info;

	switch (cmd) {
	case FIONREAD:
		return put_user((int)min_t(u64, faasin_deal_unread(h), INT_MAX), (int __user *)p);
	case FAASIN_IOC_END:
		return faasin_deal_end(h);
	case FAASIN_IOC_ABORT:
		return port_abort(h, p);
	case FAASIN_IOC_INFO:
		faasin_deal_info(h, &info);
		return copy_to_user(p, &info, sizeof(info)) ? -EFAULT : 0;
	case FAASIN_IOC_SET_CONTEXT:
		return port_set_context(h, p);
	case FAASIN_IOC_GET_CONTEXT:
		return port_get_context(&h->hands[0], p);
	case FAASIN_IOC_TAKE:
		return -EBADF;
	case FAASIN_IOC_RETURN:
		return -EACCES;
	case FAASIN_IOC_WINDOW:
	case FAASIN_IOC_ALLOC:
	case FAASIN_IOC_SEND:
	case FAASIN_IOC_LANE:
		return -EOPNOTSUPP;
	case FAASIN_IOC_LANE_WAIT:
	case FAASIN_IOC_LANE_KICK:
		return 0;
	default:
		return -ENOTTY;
	}
}

static long port_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_port_info info;
	void __user *p = (void __user *)arg;
	long ret;

	if (cmd == FAASIN_IOC_END || cmd == FAASIN_IOC_ABORT)
		port_replaced(file);
	if (h->deal)
		return deal_ioctl(h, cmd, p);
	if (unlikely(!faasin_handle_bound(h))) {
		ret = unbound_ioctl(h, cmd, p);
		if (ret != -ENOIOCTLCMD)
			return ret;
	}
	switch (cmd) {
	case FIONREAD:
		return put_user((int)min_t(u64, faasin_stream_unread(h), INT_MAX),
				(int __user *)p);
	case FAASIN_IOC_END:
		if (h->direction == FAASIN_DIRECTION_IN)
			return faasin_session_end(h);
		return faasin_stream_end(h);
	case FAASIN_IOC_ABORT:
		return port_abort(h, p);
	case FAASIN_IOC_INFO:
		faasin_stream_info(h, &info);
		return copy_to_user(p, &info, sizeof(info)) ? -EFAULT : 0;
	case FAASIN_IOC_SET_CONTEXT:
		return port_set_context(h, p);
	case FAASIN_IOC_GET_CONTEXT:
		return port_get_context(h, p);
	default:
		return faasin_window_ioctl(file, cmd, p);
	}
}

const struct file_operations faasin_port_fops = {
	.owner = THIS_MODULE,
	.open = port_open,
	.flush = port_flush,
	.release = port_release,
	.read_iter = port_read_iter,
	.write_iter = port_write_iter,
	.splice_read = port_splice_read,
	.splice_write = port_splice_write,
	.check_flags = port_check_flags,
	.mmap = faasin_window_mmap,
#ifdef FAASIN_HAVE_SPECIAL_PMD
	.get_unmapped_area = thp_get_unmapped_area,
#endif
	.poll = port_poll,
	.unlocked_ioctl = port_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
