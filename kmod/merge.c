// SPDX-License-Identifier: GPL-2.0
/*
 * Merged inputs: whose record is read next, and what a round of streams comes to. merge.h has
 * the rules and the locks.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "merge.h"
#include "record.h"
#include "ring.h"
#include "trace.h"

static_assert(!offsetof(struct faasin_merged, session), "whoever frees the one frees the other");

/**
 * faasin_merged_new() - a session of an input that merges
 *
 * Return: the session, for kfree(), or NULL.
 */
struct faasin_session *faasin_merged_new(void)
{
	struct faasin_merged *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);

	return m ? &m->session : NULL;
}

/* ------------------------------------------------------------------- rounds */

/**
 * faasin_merged_consumed() - a stream is nobody's to read any more
 * @ch: its channel, whose lock is held, and the inbox's
 * @s: the stream
 */
void faasin_merged_consumed(struct faasin_channel *ch, struct faasin_stream *s)
{
	struct faasin_stream *first = list_first_entry_or_null(&ch->streams, struct faasin_stream,
							       entry);
	struct faasin_inbox *in = ch->inbox;

	lockdep_assert_held(&in->lock);
	if (ch->round != FAASIN_ROUND_ON)
		return;
	/* One of a later round, which a slow link loses: this round's is still to be read. */
	if (first && first->number < s->number)
		return;
	ch->round = FAASIN_ROUND_OVER;
	WRITE_ONCE(in->round_any, true);
	if (s->state != FAASIN_STREAM_ABORTED)
		return;
	WRITE_ONCE(in->round_aborted, true);
	/* It was its turn. Also for who reads on, should this session be replaced right now. */
	if (in->merge == FAASIN_MERGE_TURN || (in->mid && in->turn == ch->generation))
		WRITE_ONCE(in->round_broken, true);
}

/**
 * faasin_merged_may_read() - may a session come for what a channel holds
 * @ch: a channel whose link is gone, its lock held, and the inbox's, which is closed
 * @ss: the inbox's session, or NULL
 *
 * Return: false if it has come for other streams already.
 */
bool faasin_merged_may_read(struct faasin_channel *ch, struct faasin_session *ss)
{
	lockdep_assert_held(&ch->inbox->lock);
	return ch->session || (ss && !READ_ONCE(faasin_merged_of(ss)->bound));
}

/* Under the inbox's lock: links of the round whose streams are not over, held; how many. */
static unsigned int round_links(struct faasin_inbox *in, struct faasin_channel **found)
{
	struct faasin_channel *ch;
	unsigned int n = 0;

	lockdep_assert_held(&in->lock);
	list_for_each_entry(ch, &in->members, inbox_entry) {
		if (ch->round != FAASIN_ROUND_ON)
			continue;
		faasin_channel_get(ch);
		found[n++] = ch;
	}
	return n;
}

static void round_begin(struct faasin_inbox *in)
{
	struct faasin_channel *ch;

	lockdep_assert_held(&in->lock);
	WRITE_ONCE(in->round, true);
	in->rounds++;
	WRITE_ONCE(in->round_any, false);
	WRITE_ONCE(in->round_aborted, false);
	WRITE_ONCE(in->round_broken, false);
	WRITE_ONCE(in->taken, false);
	WRITE_ONCE(in->turn, 0);
	WRITE_ONCE(in->mid, false);
	list_for_each_entry(ch, &in->members, inbox_entry)
		ch->round = FAASIN_ROUND_ON;
}

static void round_end(struct faasin_inbox *in)
{
	struct faasin_channel *ch;

	lockdep_assert_held(&in->lock);
	WRITE_ONCE(in->round, false);
	list_for_each_entry(ch, &in->members, inbox_entry)
		ch->round = FAASIN_ROUND_NONE;
}

/* Under the inbox's lock: what the session reads from now on. */
static void session_over(struct faasin_inbox *in, struct faasin_session *ss,
			 enum faasin_result result)
{
	lockdep_assert_held(&in->lock);
	WRITE_ONCE(ss->result, result);
	if (in->session == ss)
		in->session = NULL;
}

/* ------------------------------------------------------------------ binding */

/*
 * In inbox->mutex: the links that the session is to read, held: how many; 0 if no stream has begun
 * (@idle), or those of the round are over; or as faasin_session_over().
 */
static int round_join(struct faasin_inbox *in, struct faasin_merged *m,
		      struct faasin_channel **found, bool *idle)
{
	struct faasin_session *ss = &m->session;
	int n;

	*idle = false;
	spin_lock(&in->lock);
	n = faasin_session_over(ss);
	if (n)
		goto unlock;
	n = in->round ? round_links(in, found) : 0;
	/* All went before a stream of theirs was read: those that came since are a new one. */
	if (in->round && !n && !in->round_any)
		round_end(in);
	if (in->round)
		goto unlock;
	if (!list_empty(&in->queue)) {
		round_begin(in);
		n = round_links(in, found);
	} else if (in->closed) {
		session_over(in, ss, FAASIN_RESULT_ABORTED);
		n = -ECONNABORTED;
	} else {
		*idle = true;
	}
unlock:
	m->round = in->rounds;
	spin_unlock(&in->lock);
	return n;
}

/* In inbox->mutex: one more link, whose reference is the session's then. */
static void part_add(struct faasin_inbox *in, struct faasin_merged *m, struct faasin_channel *ch)
{
	struct faasin_merged_part *p = &m->parts[m->nr++];

	spin_lock(&ch->lock);
	spin_lock(&in->lock);
	/* Nor is it over: who ends or replaces it takes inbox->mutex first. */
	WARN_ON_ONCE(ch->session || m->session.result);
	p->channel = ch;
	WRITE_ONCE(ch->session, &p->session);
	spin_unlock(&in->lock);
	spin_unlock(&ch->lock);
}

/*
 * Bind a session to a round, if a stream has begun: 1 if it is, 0 if not, -EAGAIN if @nowait and
 * others are at that, or as faasin_session_over().
 */
static int merged_bind(struct faasin_handle *h, bool nowait)
{
	struct faasin_merged *m = faasin_merged_of(h->session);
	struct faasin_channel *found[FAASIN_FAN_MAX];
	struct faasin_inbox *in = h->inbox;
	bool idle = false;
	int n = 0, i;

	/* Pairs with the store below. */
	if (likely(smp_load_acquire(&m->bound)))
		return faasin_session_over(h->session) ?: 1;
	if (!nowait)
		mutex_lock(&in->mutex);
	else if (!mutex_trylock(&in->mutex))
		return -EAGAIN;
	if (!m->bound) {
		n = round_join(in, m, found, &idle);
		for (i = 0; i < n; i++)
			part_add(in, m, found[i]);
		if (n >= 0 && !idle)
			/* Who sees it sees the parts. */
			smp_store_release(&m->bound, true);
	}
	mutex_unlock(&in->mutex);
	/* This may have been the last session, and what others hold nobody's. */
	faasin_inbox_drop_rest(in);
	return faasin_session_over(h->session) ?: !idle;
}

/* ----------------------------------------------------------------- choosing */

/* Which part comes first; the others follow, around. */
static unsigned int part_first(const struct faasin_merged *m, u64 turn)
{
	unsigned int first = 0;

	while (first < m->nr && m->parts[first].channel->generation < turn)
		first++;
	return first;
}

/* The part that comes @i-th. */
static struct faasin_merged_part *part_at(struct faasin_merged *m, unsigned int first,
					  unsigned int i)
{
	return &m->parts[(first + i) % m->nr];
}

/* No other link's record is to come before that one's next bytes. */
static bool is_awaited(const struct faasin_inbox *in)
{
	return in->merge == FAASIN_MERGE_TURN || READ_ONCE(in->mid);
}

static enum faasin_ahead part_ahead(struct faasin_merged_part *p, u64 *record)
{
	enum faasin_ahead ahead;

	spin_lock(&p->channel->lock);
	ahead = faasin_session_ahead(p->channel, &p->session);
	if (record && ahead == FAASIN_AHEAD_BYTES)
		*record = faasin_record_left(p->channel);
	/* Its link went before it began a stream: nothing is missing. */
	if (ahead == FAASIN_AHEAD_ABORTED && !p->session.stream)
		ahead = FAASIN_AHEAD_END;
	spin_unlock(&p->channel->lock);
	return ahead;
}

/* Of a round that is over, or of what is known of it. */
static bool round_failed(struct faasin_inbox *in, struct faasin_merged *m)
{
	bool any = READ_ONCE(in->round_any), aborted = READ_ONCE(in->round_aborted);
	unsigned int i;

	for (i = 0; i < m->nr; i++) {
		any |= !!READ_ONCE(m->parts[i].session.stream);
		aborted |= part_ahead(&m->parts[i], NULL) == FAASIN_AHEAD_ABORTED;
	}
	return aborted || !any;
}

/*
 * What comes next of a session that is bound, as far as that is known without its mutexes. @record
 * receives how long the next one is.
 */
static enum faasin_ahead merged_ahead(struct faasin_inbox *in, struct faasin_merged *m,
				      u64 *record)
{
	bool awaited, broken, waits = false;
	enum faasin_ahead ahead;
	unsigned int first, i;

	/* Together, and after who asks is in a queue, if it is to wait: faasin_merged_gave(). */
	spin_lock(&in->lock);
	first = part_first(m, in->turn);
	awaited = is_awaited(in);
	broken = in->round_broken;
	spin_unlock(&in->lock);
	if (broken)
		return FAASIN_AHEAD_ABORTED;
	for (i = 0; i < m->nr; i++) {
		ahead = part_ahead(part_at(m, first, i), record);
		if (ahead == FAASIN_AHEAD_BYTES)
			return ahead;
		if (awaited && ahead != FAASIN_AHEAD_END)
			return ahead;
		waits |= ahead == FAASIN_AHEAD_NOTHING;
	}
	if (waits)
		return FAASIN_AHEAD_NOTHING;
	return round_failed(in, m) ? FAASIN_AHEAD_ABORTED : FAASIN_AHEAD_END;
}

/* All parts are over. */
static int merged_finish(struct faasin_inbox *in, struct faasin_merged *m)
{
	bool failed = round_failed(in, m);

	spin_lock(&in->lock);
	if (!m->session.result) {
		session_over(in, &m->session, failed ? FAASIN_RESULT_ABORTED : FAASIN_RESULT_END);
		round_end(in);
	}
	spin_unlock(&in->lock);
	faasin_waiters_wake(&in->readers);
	faasin_inbox_drop_rest(in);
	return faasin_session_over(&m->session);
}

/*
 * In inbox->mutex: the session leaves all parts that are not over; @take: what is left of their
 * streams is nobody else's. parts_left() is to follow, without the mutex.
 */
static void parts_quit(struct faasin_inbox *in, struct faasin_merged *m, bool take)
{
	unsigned int i;

	lockdep_assert_held(&in->mutex);
	for (i = 0; i < m->nr; i++)
		faasin_session_quit(m->parts[i].channel, &m->parts[i].session, take);
	if (!take)
		return;
	spin_lock(&in->lock);
	round_end(in);
	spin_unlock(&in->lock);
}

/* What they held is given back, as much as there is of it. */
static void parts_left(struct faasin_merged *m)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		faasin_session_left(m->parts[i].channel);
}

/* The session is over for @result, with streams that are not. */
static void merged_quit(struct faasin_inbox *in, struct faasin_merged *m,
			enum faasin_result result)
{
	bool first;

	mutex_lock(&in->mutex);
	spin_lock(&in->lock);
	first = !m->session.result;
	if (first)
		session_over(in, &m->session, result);
	spin_unlock(&in->lock);
	if (first)
		parts_quit(in, m, true);
	mutex_unlock(&in->mutex);
	faasin_waiters_wake(&in->readers);
	if (first)
		parts_left(m);
	faasin_inbox_drop_rest(in);
}

/* What comes behind is not in its place: 0 if that is not so, or as faasin_session_over(). */
static int merged_break(struct faasin_inbox *in, struct faasin_merged *m)
{
	if (likely(!READ_ONCE(in->round_broken)))
		return 0;
	merged_quit(in, m, FAASIN_RESULT_ABORTED);
	return faasin_session_over(&m->session);
}

/*
 * What a part has to give: 1, with rd.mutex of its channel held; as faasin_ring_drain(); or as
 * faasin_side_lock().
 */
static int part_pick(struct faasin_merged_part *p, bool nowait)
{
	struct faasin_channel *ch = p->channel;
	struct faasin_drain d;
	int n;

	/* What is over needs no mutex, which somebody else may have for long. */
	n = faasin_session_over(&p->session) ?: faasin_side_lock(&ch->rd, nowait);
	if (n)
		return n;
	n = faasin_ring_drain(ch, &p->session, &d);
	if (n > 0)
		faasin_ring_drained(ch, &p->session, &d, 0, 0);
	else
		faasin_ring_unlock_reader(ch);
	return n;
}

/*
 * As faasin_merged_pick(), of a session that is bound; @nowait: a part whose mutex is taken is
 * passed over, unless it is the one that is due, and -EAGAIN then means that no other has any.
 */
static int parts_pick(struct faasin_inbox *in, struct faasin_merged *m,
		      struct faasin_merged_part **found, bool nowait)
{
	unsigned int first = part_first(m, READ_ONCE(in->turn)), i;
	bool waits = false, busy = false;
	int n;

	for (i = 0; i < m->nr; i++) {
		*found = part_at(m, first, i);
		n = part_pick(*found, nowait);
		if (n > 0 || n == -ERESTARTSYS)
			return n;
		if ((!n || n == -EAGAIN) && is_awaited(in))
			return faasin_session_over(&m->session) ?: n;
		if (n == -ESTALE)
			return faasin_session_over(&m->session) ?: n;
		waits |= !n;
		busy |= n == -EAGAIN;
		n = merged_break(in, m);
		if (n)
			return n;
	}
	n = faasin_session_over(&m->session);
	if (n || busy)
		return n ?: -EAGAIN;
	return waits ? 0 : merged_finish(in, m);
}

/**
 * faasin_merged_pick() - the part that bytes are to be given out of
 * @h: open file of an input that merges; inbox->reading held
 * @found: receives the part, with rd.mutex of its channel held
 * @nowait: wait for no mutex
 *
 * Return: 1, after which faasin_merged_gave() is to follow; 0: there is none yet; -EAGAIN: a mutex
 * is taken; -ERESTARTSYS; or as for a session that is over.
 */
int faasin_merged_pick(struct faasin_handle *h, struct faasin_merged_part **found, bool nowait)
{
	struct faasin_merged *m = faasin_merged_of(h->session);
	struct faasin_inbox *in = h->inbox;
	int n;

	lockdep_assert_held(&in->reading);
	n = merged_bind(h, nowait);
	if (n <= 0)
		return n;
	n = merged_break(in, m);
	if (n)
		return n;
	/* Whose capacity is being changed, say, is not to hold up those that have a record. */
	n = parts_pick(in, m, found, nowait || !is_awaited(in));
	if (n == -EAGAIN && !nowait)
		n = parts_pick(in, m, found, false);
	return n;
}

/* It is another link's turn, or any's: who waits may have seen nothing but that it was not. */
static void merged_tell(struct faasin_inbox *in, struct faasin_merged *m)
{
	/* No barrier: whoever looked before it changed was in a queue when it took inbox->lock. */
	if (!waitqueue_active(&in->readers.wait) && !waitqueue_active(&in->readers.poll))
		return;
	if (faasin_session_over(&m->session) || merged_ahead(in, m, NULL) != FAASIN_AHEAD_NOTHING)
		faasin_waiters_wake(&in->readers);
}

/**
 * faasin_merged_gave() - bytes of a part were given out, or none
 * @h: open file; inbox->reading held
 * @p: of faasin_merged_pick(); its rd.mutex is let go of
 * @any: were there any
 */
void faasin_merged_gave(struct faasin_handle *h, struct faasin_merged_part *p, bool any)
{
	struct faasin_merged *m = faasin_merged_of(h->session);
	bool whole = faasin_record_over(p->channel), next = false;
	struct faasin_inbox *in = h->inbox;

	spin_lock(&in->lock);
	/* If its session was ended meanwhile, there may be another round, or none. */
	if (any && in->round && in->rounds == m->round) {
		/* If it was replaced, the next one takes the stream by what it reads itself. */
		if (!h->session->result)
			WRITE_ONCE(in->taken, true);
		next = whole && is_awaited(in);
		WRITE_ONCE(in->mid, !whole);
		WRITE_ONCE(in->turn, p->channel->generation + whole);
	}
	spin_unlock(&in->lock);
	faasin_ring_unlock_reader(p->channel);
	if (next)
		merged_tell(in, m);
}

/* ------------------------------------------------------------------ waiting */

/* Would a read not wait? */
static bool merged_ready(struct faasin_inbox *in, struct faasin_merged *m)
{
	bool ready;

	if (faasin_session_over(&m->session))
		return true;
	/* Pairs with merged_bind(). */
	if (smp_load_acquire(&m->bound))
		return merged_ahead(in, m, NULL) != FAASIN_AHEAD_NOTHING;
	spin_lock(&in->lock);
	ready = in->round || !list_empty(&in->queue) || in->closed;
	spin_unlock(&in->lock);
	return ready;
}

/**
 * faasin_merged_wait() - wait until there may be something to be read, or told
 * @h: open file; no mutex held
 *
 * It is of no link, and counted for none.
 *
 * Return: 0 or -ERESTARTSYS.
 */
int faasin_merged_wait(struct faasin_handle *h)
{
	struct faasin_merged *m = faasin_merged_of(h->session);
	struct faasin_inbox *in = h->inbox;
	u64 since = ktime_get_ns();
	DEFINE_WAIT(wait);
	int err = 0;

	trace_faasin_block(in->generation, FAASIN_DIRECTION_IN);
	for (;;) {
		prepare_to_wait(&in->readers.wait, &wait, TASK_INTERRUPTIBLE);
		if (merged_ready(in, m))
			break;
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&in->readers.wait, &wait);
	trace_faasin_unblock(in->generation, FAASIN_DIRECTION_IN, ktime_get_ns() - since);
	return err;
}

/* --------------------------------------------------------------- open files */

/**
 * faasin_merged_lock() - nobody else is to read
 * @h: open file
 * @nowait: do not wait for that
 *
 * Return: 0, with inbox->reading held, -EAGAIN or -ERESTARTSYS.
 */
int faasin_merged_lock(struct faasin_handle *h, bool nowait)
{
	if (nowait)
		return mutex_trylock(&h->inbox->reading) ? 0 : -EAGAIN;
	return mutex_lock_interruptible(&h->inbox->reading) ? -ERESTARTSYS : 0;
}

/* In inbox->reading: the next record, or the rest of one: > 0, or as faasin_merged_pick(). */
static ssize_t merged_next(struct faasin_handle *h, struct iov_iter *to, bool nowait)
{
	struct faasin_merged_part *p;
	ssize_t n;

	do {
		n = faasin_merged_pick(h, &p, nowait);
		if (n <= 0)
			return n;
		n = faasin_ring_read_record(p->channel, &p->session, to);
		faasin_merged_gave(h, p, n > 0);
		/* It may have been ended, or paused, in between: that is looked at anew. */
	} while (n <= 0 && n != -EFAULT);
	return n;
}

/**
 * faasin_merged_read() - a record out
 * @h: an input's open file, that merges
 * @to: where to; advanced by what was given
 * @nonblock: do not wait for one
 * @nowait: do not wait for other readers either
 *
 * Return: bytes read, 0 at the end of all streams of the round, or as faasin_channel_read().
 */
ssize_t faasin_merged_read(struct faasin_handle *h, struct iov_iter *to, bool nonblock,
			   bool nowait)
{
	ssize_t n;

	if (!iov_iter_count(to))
		return 0;
	for (;;) {
		n = faasin_merged_lock(h, nowait);
		if (n)
			return n;
		n = merged_next(h, to, nowait);
		mutex_unlock(&h->inbox->reading);
		if (n)
			return n == -ENODATA ? 0 : n;
		if (nonblock)
			return -EAGAIN;
		n = faasin_merged_wait(h);
		if (n)
			return n;
	}
}

/**
 * faasin_merged_poll() - what an input that merges is ready for
 * @h: open file
 *
 * Return: EPOLL* bits, as the contract says.
 */
__poll_t faasin_merged_poll(struct faasin_handle *h)
{
	int n = merged_bind(h, false);
	enum faasin_ahead ahead;

	if (!n)
		return 0;
	if (n < 0)
		return n == -ENODATA ? EPOLLHUP : EPOLLHUP | EPOLLERR;
	ahead = merged_ahead(h->inbox, faasin_merged_of(h->session), NULL);
	/* It may have been ended meanwhile. */
	n = faasin_session_over(h->session);
	if (n)
		return n == -ENODATA ? EPOLLHUP : EPOLLHUP | EPOLLERR;
	return faasin_ahead_poll(ahead);
}

/**
 * faasin_merged_unread() - FIONREAD
 * @h: open file
 *
 * Return: bytes of all streams of the round that are written and not read.
 */
u64 faasin_merged_unread(struct faasin_handle *h)
{
	struct faasin_merged *m = faasin_merged_of(h->session);
	struct faasin_merged_part *p;
	u64 unread = 0;

	if (merged_bind(h, false) <= 0)
		return 0;
	for (p = m->parts; p < m->parts + m->nr; p++) {
		spin_lock(&p->channel->lock);
		unread += faasin_session_unread(p->channel, &p->session);
		spin_unlock(&p->channel->lock);
	}
	return unread;
}

/**
 * faasin_merged_end() - FAASIN_IOC_END
 * @h: open file
 *
 * Return: 0, -ENODATA if no stream has begun, or -ESTALE if the stage was replaced.
 */
int faasin_merged_end(struct faasin_handle *h)
{
	int n = merged_bind(h, false);

	if (n > 0)
		merged_quit(h->inbox, faasin_merged_of(h->session), FAASIN_RESULT_END);
	if (!n)
		return -ENODATA;
	return faasin_session_over(h->session) == -ESTALE ? -ESTALE : 0;
}

/**
 * faasin_merged_info() - FAASIN_IOC_INFO
 * @h: open file
 * @info: to be filled
 */
void faasin_merged_info(struct faasin_handle *h, struct faasin_port_info *info)
{
	struct faasin_merged *m = faasin_merged_of(h->session);
	enum faasin_ahead ahead = FAASIN_AHEAD_NOTHING;
	int n = merged_bind(h, false);
	unsigned int i;

	memset(info, 0, sizeof(*info));
	info->abi = FAASIN_ABI_VERSION;
	info->flags = FAASIN_INFO_RECORDS | FAASIN_INFO_MERGED;
	if (READ_ONCE(h->inbox->closed))
		info->flags |= FAASIN_INFO_UNLINKED;
	if (n > 0) {
		/* Of what is to be dropped first, records are none that can be read. */
		for (i = 0; i < m->nr; i++)
			faasin_channel_discard(m->parts[i].channel);
		info->unread = faasin_merged_unread(h);
		ahead = merged_ahead(h->inbox, m, &info->record);
		if (READ_ONCE(h->inbox->taken))
			info->flags |= FAASIN_INFO_BEGUN;
		/* As in faasin_merged_poll(). */
		n = faasin_session_over(h->session);
		if (n)
			ahead = FAASIN_AHEAD_NOTHING;
	}
	if (n == -ESTALE)
		info->flags |= FAASIN_INFO_REPLACED;
	if (ahead == FAASIN_AHEAD_END || n == -ENODATA)
		info->flags |= FAASIN_INFO_ENDED;
	if (ahead == FAASIN_AHEAD_ABORTED || n == -ECONNABORTED)
		info->flags |= FAASIN_INFO_ENDED | FAASIN_INFO_ABORTED;
}

/* What a session held, after its last open file. */
static void merged_free(struct faasin_merged *m)
{
	struct faasin_merged_part *p;

	for (p = m->parts; p < m->parts + m->nr; p++) {
		if (p->session.stream)
			faasin_stream_put(p->session.stream);
		faasin_side_forget_user(p->channel, &p->channel->rd);
		faasin_channel_put(p->channel);
	}
	kfree(m);
}

/**
 * faasin_merged_release() - an open file is gone
 * @h: open file
 * @idle: receives whether nobody has the input open any more
 */
void faasin_merged_release(struct faasin_handle *h, bool *idle)
{
	struct faasin_merged *m = faasin_merged_of(h->session);
	struct faasin_inbox *in = h->inbox;
	bool last, take;

	/* Until the session is off its streams, no other is bound to them. */
	mutex_lock(&in->mutex);
	last = faasin_inbox_close_one(in, h->session, idle);
	if (last) {
		take = !m->session.result && m->bound && READ_ONCE(in->taken);
		parts_quit(in, m, take);
	}
	mutex_unlock(&in->mutex);
	if (!last)
		return;
	parts_left(m);
	faasin_inbox_drop_rest(in);
	merged_free(m);
}
