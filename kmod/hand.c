// SPDX-License-Identifier: GPL-2.0
/*
 * Hands: what is asked of an open file of an output whose records are dealt is asked of what it
 * has on each link, or on the one whose turn it is. deal.h has the rules and the locks.
 */
#include <linux/poll.h>
#include <linux/slab.h>

#include "deal.h"

/* In deal->mutex: is the output still this one's? */
static bool deal_replaced(const struct faasin_handle *h)
{
	lockdep_assert_held(&h->deal->mutex);
	return h->deal->replaced != h->replaced;
}

/**
 * faasin_deal_flush() - faasin_handle_flush() of an output whose records are dealt
 * @h: open file
 */
void faasin_deal_flush(struct faasin_handle *h)
{
	unsigned int i;

	mutex_lock(&h->deal->mutex);
	/* Whoever is killed by what the end of one told him is not the end of the others. */
	faasin_round_settle(h->deal, h->round);
	for (i = 0; i < h->round->nr; i++)
		faasin_handle_flush(&h->hands[i]);
	faasin_round_settle(h->deal, h->round);
	mutex_unlock(&h->deal->mutex);
}

/* Of those who wrote, somebody was lost by one of the links. */
static bool hands_cause(struct faasin_handle *h, struct faasin_cause_info *ci)
{
	struct faasin_handle *hand;
	struct faasin_stream *s;
	bool bad = false;
	unsigned int i;

	for (i = 0; !bad && i < h->round->nr; i++) {
		hand = &h->hands[i];
		s = hand->stream;
		spin_lock(&hand->channel->lock);
		faasin_writers_leave(s, hand);
		if (hand->replaced == s->replaced && s->writers == 1 &&
		    s->state == FAASIN_STREAM_LIVE)
			bad = faasin_writers_cause(hand->channel, s, ci);
		spin_unlock(&hand->channel->lock);
	}
	return bad;
}

/**
 * faasin_deal_release() - the last descriptor of an open file is gone
 * @h: open file
 */
void faasin_deal_release(struct faasin_handle *h)
{
	struct faasin_deal *deal = h->deal;
	struct faasin_deal_round *r = h->round;
	struct faasin_cause_info ci;

	mutex_lock(&deal->mutex);
	/* Before any of them ends well. */
	faasin_round_settle(deal, r);
	if (hands_cause(h, &ci))
		faasin_round_finish(r, FAASIN_STREAM_ABORTED, &ci);
	faasin_hands_release(h, r->nr);
	faasin_round_settle(deal, r);
	WRITE_ONCE(deal->opens, deal->opens - 1);
	mutex_unlock(&deal->mutex);
	kfree(h->hands);
	faasin_round_put(r);
}

static struct faasin_handle *hand_of_turn(struct faasin_handle *h)
{
	return &h->hands[READ_ONCE(h->round->turn)];
}

/**
 * faasin_deal_write() - a record in, to whose turn it is
 * @h: open file
 * @from: the record; advanced by what was taken
 * @nonblock: do not wait for room
 * @nowait: do not wait for other writers either
 *
 * Return: as faasin_channel_write() of that link.
 */
ssize_t faasin_deal_write(struct faasin_handle *h, struct iov_iter *from, bool nonblock,
			  bool nowait)
{
	struct faasin_handle *hand;
	ssize_t n;

	for (;;) {
		hand = hand_of_turn(h);
		n = faasin_channel_write(hand->channel, hand, from, nonblock, nowait);
		if (n != -EXDEV)
			return n;
		/* Others may be faster, again and again. */
		if (nowait)
			return -EAGAIN;
		if (nonblock ? fatal_signal_pending(current) : signal_pending(current))
			return -ERESTARTSYS;
	}
}

/**
 * faasin_turn_move() - a record was written: it is the next one's turn
 * @h: hand by which it was, its channel's wr.mutex held
 */
void faasin_turn_move(struct faasin_handle *h)
{
	struct faasin_deal_round *r = h->round;
	struct faasin_waiters *w = faasin_channel_writers(h->channel);

	lockdep_assert_held(&h->channel->wr.mutex);
	/* Pairs with faasin_turn_moved(): who follows there follows the record that went before. */
	smp_store_release(&r->turn, h->part + 1 < r->nr ? h->part + 1 : 0);
	/* Pairs with prepare_to_wait(), and with faasin_deal_poll(). */
	if (wq_has_sleeper(&w->wait))
		wake_up_interruptible_poll(&w->wait, EPOLLOUT | EPOLLWRNORM);
	/* No barrier: see above. */
	if (waitqueue_active(&w->poll))
		/* Without a key: each is to look what the next one has room for. */
		wake_up_interruptible_all(&w->poll);
}

/**
 * faasin_deal_poll() - what an output whose records are dealt is ready for
 * @h: open file
 *
 * Return: EPOLL* bits: those of the link whose turn it is.
 */
__poll_t faasin_deal_poll(struct faasin_handle *h)
{
	/* It is in the queue: whoever moves the turn from here on sees that. */
	smp_mb();
	return faasin_stream_poll(hand_of_turn(h));
}

/**
 * faasin_deal_end() - FAASIN_IOC_END of an output whose records are dealt
 * @h: open file
 *
 * Return: 0, or -ESTALE if the stage was replaced.
 */
int faasin_deal_end(struct faasin_handle *h)
{
	bool replaced;

	mutex_lock(&h->deal->mutex);
	replaced = deal_replaced(h);
	if (!replaced) {
		/* If one is broken, none ends well. */
		faasin_round_settle(h->deal, h->round);
		faasin_round_finish(h->round, FAASIN_STREAM_ENDED, NULL);
		faasin_round_settle(h->deal, h->round);
	}
	mutex_unlock(&h->deal->mutex);
	return replaced ? -ESTALE : 0;
}

/**
 * faasin_deal_abort() - FAASIN_IOC_ABORT of an output whose records are dealt
 * @h: open file
 * @cause: what to record
 * @code: what to record
 * @pid: the process meant; NULL for the caller
 *
 * Return: 0, or -ESTALE if the stage was replaced.
 */
int faasin_deal_abort(struct faasin_handle *h, enum faasin_cause cause, u32 code, struct pid *pid)
{
	struct faasin_cause_info ci;
	bool replaced;

	faasin_cause_set(&ci, h->hands[0].stream, cause, code, pid, false);
	mutex_lock(&h->deal->mutex);
	replaced = deal_replaced(h);
	if (!replaced) {
		faasin_round_finish(h->round, FAASIN_STREAM_ABORTED, &ci);
		faasin_round_settle(h->deal, h->round);
	}
	mutex_unlock(&h->deal->mutex);
	return replaced ? -ESTALE : 0;
}

/**
 * faasin_deal_set_context() - FAASIN_IOC_SET_CONTEXT of an output whose records are dealt
 * @h: open file
 * @c: the context, zero behind its length
 *
 * Return: as faasin_stream_set_context().
 */
int faasin_deal_set_context(struct faasin_handle *h, const struct faasin_context *c)
{
	unsigned int i;
	int err = 0;

	mutex_lock(&h->deal->mutex);
	for (i = 0; !err && i < h->round->nr; i++)
		err = faasin_stream_set_context(&h->hands[i], c);
	mutex_unlock(&h->deal->mutex);
	return err;
}

/**
 * faasin_deal_unread() - FIONREAD of an output whose records are dealt
 * @h: open file
 *
 * Return: bytes that are written and not read, of all links.
 */
u64 faasin_deal_unread(struct faasin_handle *h)
{
	u64 unread = 0;
	unsigned int i;

	for (i = 0; i < h->round->nr; i++)
		unread += faasin_stream_unread(&h->hands[i]);
	return unread;
}

/**
 * faasin_deal_info() - FAASIN_IOC_INFO of an output whose records are dealt
 * @h: open file
 * @info: to be filled: capacity is that of the link whose turn it is, bytes are those of all
 */
void faasin_deal_info(struct faasin_handle *h, struct faasin_port_info *info)
{
	struct faasin_deal_round *r = h->round;
	struct faasin_port_info one;
	unsigned int i;

	faasin_stream_info(&h->hands[READ_ONCE(r->turn)], info);
	info->unread = 0;
	info->position = 0;
	for (i = 0; i < r->nr; i++) {
		faasin_stream_info(&h->hands[i], &one);
		info->unread += one.unread;
		info->position += one.position;
		info->flags |= one.flags;
		if (one.cause && one.cause != FAASIN_CAUSE_DEAL) {
			info->cause = one.cause;
			info->code = one.code;
		}
	}
	info->stream = r->number;
	/* Of several links, none. */
	info->link_generation = 0;
}
