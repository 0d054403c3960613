// SPDX-License-Identifier: GPL-2.0
/*
 * Events: numbered whether anybody listens or not, built only if somebody
 * does, and lost rather than waited for.
 */
#include <linux/capability.h>
#include <linux/net.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "compat.h"
#include "event.h"
#include "limits.h"
#include "netlink.h"

/* Also keeps messages in the order of their numbers: a listener takes a number
 * that is missing for a loss.
 */
static DEFINE_SPINLOCK(faasin_event_lock);
static bool faasin_event_ready;			/* the lock */
static struct faasin_event_rate faasin_event_all;	/* the lock */
static atomic64_t faasin_event_number = ATOMIC64_INIT(0);

enum {
	NAME_WORKFLOW, NAME_STAGE,
	NAME_SRC_STAGE, NAME_SRC_PORT,
	NAME_DST_STAGE, NAME_DST_PORT,
	NAMES
};

/*
 * The newest event if it was held back. It is written down here, at the cost of
 * copying its names, and made a message only if it is sent: of a flood, hardly any is.
 */
static struct {
	bool is;				/* may be read without the lock */
	u64 seq;
	u64 time;
	struct faasin_event ev;			/* its strings are those below */
	char names[NAMES][FAASIN_NAME_MAX + 1];
	char comm[TASK_COMM_LEN];
} faasin_event_late;				/* the lock */

/* Time that one event takes up. */
#define FAASIN_EVENTS_INTERVAL		(NSEC_PER_SEC / FAASIN_EVENTS_RATE)
#define FAASIN_EVENTS_ALL_INTERVAL	(NSEC_PER_SEC / FAASIN_EVENTS_ALL_RATE)

/*
 * A bucket is kept as the time at which it will be full again, had it not
 * been touched: each event moves that by one interval, and there is room while
 * it is less than a whole bucket ahead.
 */
static bool faasin_event_room(const struct faasin_event_rate *rate, u64 now, u64 interval,
			      unsigned int burst)
{
	return rate->full_at <= now || rate->full_at - now <= (burst - 1) * interval;
}

static bool faasin_event_allowed(const struct faasin_event_rate *rate, u64 now)
{
	lockdep_assert_held(&faasin_event_lock);
	return faasin_event_room(&faasin_event_all, now, FAASIN_EVENTS_ALL_INTERVAL,
				 FAASIN_EVENTS_ALL_BURST) &&
	       (!rate || faasin_event_room(rate, now, FAASIN_EVENTS_INTERVAL, FAASIN_EVENTS_BURST));
}

/* What is held back is not counted: neither one's own nor what all share. */
static void faasin_event_count(struct faasin_event_rate *rate, u64 now)
{
	lockdep_assert_held(&faasin_event_lock);
	faasin_event_all.full_at = max(faasin_event_all.full_at, now) + FAASIN_EVENTS_ALL_INTERVAL;
	if (rate)
		rate->full_at = max(rate->full_at, now) + FAASIN_EVENTS_INTERVAL;
}

static size_t faasin_event_size(void)
{
	return 6 * nla_total_size(FAASIN_NAME_MAX + 1) +
	       nla_total_size(TASK_COMM_LEN) +
	       5 * nla_total_size_64bit(sizeof(u64)) +
	       4 * nla_total_size(sizeof(u32));
}

static int faasin_event_put_string(struct sk_buff *skb, int type, const char *s)
{
	return s ? nla_put_string(skb, type, s) : 0;
}

static int faasin_event_put_u64(struct sk_buff *skb, int type, u64 value)
{
	return nla_put_u64_64bit(skb, type, value, FAASIN_A_EVENT_PAD);
}

static bool faasin_event_of_stream(enum faasin_event_type type)
{
	return type >= FAASIN_EVENT_STREAM_BEGIN && type <= FAASIN_EVENT_EARLY_CLOSE;
}

static int faasin_event_fill(struct sk_buff *skb, const struct faasin_event *ev,
			     u64 seq, u64 time)
{
	void *hdr;

	hdr = genlmsg_put(skb, 0, 0, &faasin_genl_family, 0, FAASIN_CMD_EVENT);
	if (!hdr)
		return -EMSGSIZE;

	if (faasin_event_put_u64(skb, FAASIN_A_EVENT_SEQ, seq) ||
	    nla_put_u32(skb, FAASIN_A_EVENT_TYPE, ev->type) ||
	    faasin_event_put_u64(skb, FAASIN_A_EVENT_TIME, time) ||
	    faasin_event_put_string(skb, FAASIN_A_EVENT_WORKFLOW, ev->workflow) ||
	    faasin_event_put_string(skb, FAASIN_A_EVENT_STAGE, ev->stage) ||
	    faasin_event_put_string(skb, FAASIN_A_EVENT_SRC_STAGE, ev->src_stage) ||
	    faasin_event_put_string(skb, FAASIN_A_EVENT_SRC_PORT, ev->src_port) ||
	    faasin_event_put_string(skb, FAASIN_A_EVENT_DST_STAGE, ev->dst_stage) ||
	    faasin_event_put_string(skb, FAASIN_A_EVENT_DST_PORT, ev->dst_port) ||
	    (ev->generation &&
	     faasin_event_put_u64(skb, FAASIN_A_EVENT_GENERATION, ev->generation)))
		return -EMSGSIZE;

	if (faasin_event_of_stream(ev->type) &&
	    (faasin_event_put_u64(skb, FAASIN_A_EVENT_STREAM, ev->stream) ||
	     faasin_event_put_u64(skb, FAASIN_A_EVENT_BYTES, ev->bytes)))
		return -EMSGSIZE;

	if (ev->cause != FAASIN_CAUSE_NONE &&
	    (nla_put_u32(skb, FAASIN_A_EVENT_CAUSE, ev->cause) ||
	     nla_put_u32(skb, FAASIN_A_EVENT_CAUSE_CODE, ev->code) ||
	     nla_put_u32(skb, FAASIN_A_EVENT_PID, ev->pid) ||
	     faasin_event_put_string(skb, FAASIN_A_EVENT_COMM, ev->comm)))
		return -EMSGSIZE;

	genlmsg_end(skb, hdr);
	return 0;
}

#ifdef FAASIN_HAVE_NETLINK_FILTER
/* The right to join is checked when a socket joins, but a group that no family
 * owned yet could be joined by anybody, and such a membership outlives the
 * birth of a family. So look again at whoever opened the socket.
 */
static int faasin_event_filter(struct sock *sk, struct sk_buff *skb, void *data)
{
	struct socket *sock = sk->sk_socket;

	return !sock || !sock->file ||
	       !file_ns_capable(sock->file, &init_user_ns, CAP_SYS_ADMIN);
}

static void faasin_event_multicast(struct sk_buff *skb)
{
	genlmsg_multicast_netns_filtered(&faasin_genl_family, &init_net, skb, 0,
					 FAASIN_MCGRP_EVENTS,
					 GFP_ATOMIC | __GFP_NOWARN,
					 faasin_event_filter, NULL);
}
#else
static void faasin_event_multicast(struct sk_buff *skb)
{
	genlmsg_multicast_netns(&faasin_genl_family, &init_net, skb, 0,
				FAASIN_MCGRP_EVENTS, GFP_ATOMIC | __GFP_NOWARN);
}
#endif

/* Returns whether it is on its way, and was counted. */
static bool faasin_event_post(const struct faasin_event *ev, u64 seq, u64 time, u64 now)
{
	struct sk_buff *skb;

	if (!faasin_event_allowed(ev->rate, now))
		return false;
	skb = genlmsg_new(faasin_event_size(), GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return false;
	faasin_event_count(ev->rate, now);
	if (WARN_ON_ONCE(faasin_event_fill(skb, ev, seq, time))) {
		nlmsg_free(skb);
		return true;
	}
	faasin_event_multicast(skb);
	return true;
}

/*
 * The newest of the events that were held back follows when there is room, unless another
 * one was sent by then. Without it a listener would not know of a loss after
 * which nothing happens: a gap is seen by the number that follows it.
 */
static void faasin_event_follow(struct work_struct *work)
{
	spin_lock(&faasin_event_lock);
	if (faasin_event_late.is) {
		if (faasin_event_post(&faasin_event_late.ev, faasin_event_late.seq,
				      faasin_event_late.time, ktime_get_boottime_ns()))
			WRITE_ONCE(faasin_event_late.is, false);
		else
			schedule_delayed_work(to_delayed_work(work), 1);
	}
	spin_unlock(&faasin_event_lock);
}

static DECLARE_DELAYED_WORK(faasin_event_work, faasin_event_follow);

static const char *faasin_event_keep(const char *s, char *to, size_t size)
{
	if (!s)
		return NULL;
	strscpy(to, s, size);
	return to;
}

/* Instead of the one that was held back before: that one is older, and the gap tells. */
static void faasin_event_hold(const struct faasin_event *ev, u64 seq, u64 time)
{
	struct faasin_event *late = &faasin_event_late.ev;
	const char **strings[NAMES] = {
		[NAME_WORKFLOW] = &late->workflow, [NAME_STAGE] = &late->stage,
		[NAME_SRC_STAGE] = &late->src_stage, [NAME_SRC_PORT] = &late->src_port,
		[NAME_DST_STAGE] = &late->dst_stage, [NAME_DST_PORT] = &late->dst_port,
	};
	int i;

	lockdep_assert_held(&faasin_event_lock);
	*late = *ev;
	for (i = 0; i < NAMES; i++)
		*strings[i] = faasin_event_keep(*strings[i], faasin_event_late.names[i],
						sizeof(faasin_event_late.names[i]));
	late->comm = faasin_event_keep(late->comm, faasin_event_late.comm,
				       sizeof(faasin_event_late.comm));
	faasin_event_late.seq = seq;
	faasin_event_late.time = time;
	WRITE_ONCE(faasin_event_late.is, true);
	schedule_delayed_work(&faasin_event_work, 1);
}

/*
 * An event that nobody hears. Whoever listened when the one that was held back happened is
 * gone: sent after this, it would show a loss to listeners who have lost nothing.
 */
static void faasin_event_unheard(void)
{
	u64 seq = atomic64_inc_return(&faasin_event_number);

	if (!READ_ONCE(faasin_event_late.is))
		return;
	spin_lock(&faasin_event_lock);
	/* A newer one has listeners that came meanwhile. */
	if (faasin_event_late.seq < seq)
		WRITE_ONCE(faasin_event_late.is, false);
	spin_unlock(&faasin_event_lock);
}

/**
 * faasin_event_send() - tells whoever listens
 * @ev: what happened
 *
 * Never sleeps, never fails: an event that cannot be sent, because its workflow or all
 * of them had too many, or for want of memory, leaves a gap in the numbers, which the
 * newest of those that were held back shows. Not for interrupt handlers.
 */
void faasin_event_send(const struct faasin_event *ev)
{
	u64 seq, now;

	/* Without a listener there is nobody to keep the order for. The flag
	 * is looked at again under the lock before the family is used to send.
	 */
	if (!READ_ONCE(faasin_event_ready) ||
	    !genl_has_listeners(&faasin_genl_family, &init_net, FAASIN_MCGRP_EVENTS)) {
		faasin_event_unheard();
		return;
	}

	spin_lock(&faasin_event_lock);
	seq = atomic64_inc_return(&faasin_event_number);
	now = ktime_get_boottime_ns();
	if (faasin_event_ready) {
		if (faasin_event_post(ev, seq, now, now))
			WRITE_ONCE(faasin_event_late.is, false);
		else
			faasin_event_hold(ev, seq, now);
	}
	spin_unlock(&faasin_event_lock);
}

/**
 * faasin_event_forget() - a workflow is no more
 * @rate: its rate; nobody sends events of it any more
 */
void faasin_event_forget(const struct faasin_event_rate *rate)
{
	spin_lock(&faasin_event_lock);
	if (faasin_event_late.is && faasin_event_late.ev.rate == rate)
		faasin_event_late.ev.rate = NULL;
	spin_unlock(&faasin_event_lock);
}

/**
 * faasin_event_seq() - number of the newest event
 *
 * Return: the number; 0 if there was none yet.
 */
u64 faasin_event_seq(void)
{
	return atomic64_read(&faasin_event_number);
}

/**
 * faasin_event_start() - the family is registered: events can be sent
 */
void faasin_event_start(void)
{
	spin_lock(&faasin_event_lock);
	WRITE_ONCE(faasin_event_ready, true);
	spin_unlock(&faasin_event_lock);
}

/**
 * faasin_event_stop() - the family goes: from now on events are only counted
 *
 * On return nobody uses the family's group any more, which may soon be somebody
 * else's.
 */
void faasin_event_stop(void)
{
	spin_lock(&faasin_event_lock);
	WRITE_ONCE(faasin_event_ready, false);
	WRITE_ONCE(faasin_event_late.is, false);
	spin_unlock(&faasin_event_lock);
	cancel_delayed_work_sync(&faasin_event_work);
}
