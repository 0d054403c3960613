// SPDX-License-Identifier: GPL-2.0
/*
 * A storm of kills over windows: whoever is killed has one, extents that it allocated, filled or
 * took, and, on trusted links, an end of a lane. storm.h says what must hold; and what was handed
 * off does not change as long as it is looked at.
 */
#include "storm.h"
#include "window.h"
#include "harness.h"

#define CHUNK	(24 * KIB)
#define PIECES	3		/* extents of a record, at most */

FIXTURE(windows)
{
	struct storm storm;
};

FIXTURE_VARIANT(windows)
{
	size_t capacity;
	bool trusted;		/* with lanes */
	bool cuts;		/* links, workflows, cgroups go, too */
	bool never;		/* deaths are ends: shows that the test would find out */
};

FIXTURE_VARIANT_ADD(windows, sealed) { .capacity = 256 * KIB };
FIXTURE_VARIANT_ADD(windows, sealed_tight) { .capacity = 32 * KIB };
FIXTURE_VARIANT_ADD(windows, sealed_and_cutting) { .capacity = 64 * KIB, .cuts = true };
FIXTURE_VARIANT_ADD(windows, trusted) { .capacity = 256 * KIB, .trusted = true };
FIXTURE_VARIANT_ADD(windows, trusted_tight) { .capacity = 32 * KIB, .trusted = true };

FIXTURE_VARIANT_ADD(windows, trusted_and_cutting)
{
	.capacity = 64 * KIB, .trusted = true, .cuts = true,
};

FIXTURE_VARIANT_ADD(windows, trusted_that_end_streams)
{
	.capacity = 64 * KIB, .trusted = true, .never = true,
};

#define VARIANTS	7

/**
 * struct end - of a link, with a window
 * @part: whose
 * @fd: the port
 * @win: its window
 * @most: bytes that are handed off at once
 * @mixes: also reads and writes
 * @held: what was received last, and is not released
 * @nr_held: parts of it
 * @held_at: where in the stream it begins
 * @counted: that its lane was on
 */
struct end {
	struct storm_part *part;
	int fd;
	struct faasctl_window *win;
	size_t most;
	bool mixes;
	struct iovec held[FAASIN_RANGES_MAX];
	int nr_held;
	uint64_t held_at;
	bool counted;
};

/**
 * struct hearing - what was heard of a stream
 * @head: its head
 * @at: bytes, the head's included
 */
struct hearing {
	struct storm_head head;
	uint64_t at;
};

static bool often(struct storm_part *p, unsigned int one_in)
{
	return random_next(&p->seed) % one_in == 0;
}

static bool end_open(struct end *e, struct storm_part *p, const char *port, int flags)
{
	int error;

	memset(e, 0, sizeof(*e));
	e->part = p;
	e->fd = storm_open(p, port, flags);
	if (e->fd < 0)
		return false;
	error = faasctl_window_open(&e->win, e->fd, NULL);
	if (error) {
		storm_odd(p->found, error);
		close(e->fd);
		return false;
	}
	/* What is held leaves room for as much again. */
	e->most = faasctl_window_size(e->win) / 8;
	if (e->most > CHUNK)
		e->most = CHUNK;
	e->mixes = often(p, 3);
	return true;
}

/* With whatever it holds. */
static void end_close(struct end *e)
{
	faasctl_window_close(e->win);
	close(e->fd);
}

/* ------------------------------------------------------------------ receiving */

/* These bytes of a stream are its own; those of its head are noted in @h. */
static bool belongs(struct hearing *h, uint64_t at, const uint8_t *buf, size_t size)
{
	for (; size && at < sizeof(h->head); at++, size--)
		((uint8_t *)&h->head)[at] = *buf++;
	if (at < sizeof(h->head))
		return true;
	at -= sizeof(h->head);
	return h->head.magic == STORM_MAGIC && at + size <= h->head.len &&
	       pattern_is(buf, size, h->head.tag, at);
}

/* What is held is still what it was, and is released. */
static void let_go(struct end *e, struct hearing *h)
{
	uint64_t at = e->held_at;
	int i, error;

	for (i = 0; i < e->nr_held; at += e->held[i++].iov_len)
		if (!belongs(h, at, e->held[i].iov_base, e->held[i].iov_len))
			storm_count(&e->part->found->mixed);
	error = e->nr_held ? faasctl_window_release(e->win, e->held, e->nr_held, NULL) : 0;
	if (error)
		storm_odd(e->part->found, error);
	e->nr_held = 0;
}

/* Another mapping of the same end, in the middle of a stream. */
static void map_anew(struct end *e)
{
	int error;

	faasctl_window_close(e->win);
	error = faasctl_window_open(&e->win, e->fd, NULL);
	if (error) {
		storm_odd(e->part->found, error);
		_exit(97);
	}
}

static void count_lane(struct end *e)
{
	if (e->counted || !(window_info(e->fd).flags & FAASIN_WINDOW_LANE))
		return;
	e->counted = true;
	storm_count(&e->part->found->lanes);
}

/* A record by the window: bytes, 0 or -errno. No call gets more than all of a stream. */
static long receive(struct end *e, struct iovec *parts, int *nr)
{
	struct storm_tally *got = e->part->got;
	long bytes = 0, i;

	storm_moves(got, sizeof(struct storm_head) + STORM_LENGTH);
	*nr = faasctl_window_receive(e->win, parts, FAASIN_RANGES_MAX, NULL);
	for (i = 0; i < *nr; i++)
		bytes += parts[i].iov_len;
	storm_moved(got, bytes);
	return *nr < 0 ? *nr : bytes;
}

/*
 * What comes next of a stream, by whichever way: bytes, which are in @parts until the next
 * call; 0 at the end; or -errno.
 */
static long hear(struct end *e, struct hearing *h, struct iovec *parts, int *nr)
{
	static uint8_t buf[CHUNK];
	struct storm_part *p = e->part;
	bool reads = e->mixes && often(p, 2);
	long n = 0;
	int i;

	if (often(p, 32)) {
		let_go(e, h);
		map_anew(e);
	}
	if (!reads) {
		n = receive(e, parts, nr);
		if (n == -EBUSY) {
			/* What was written landed where what is held did. */
			let_go(e, h);
			n = receive(e, parts, nr);
		}
		/* It does not fit where it would land. */
		reads = n == -EMSGSIZE;
	}
	if (reads) {
		n = storm_read(p->got, e->fd, buf, random_next(&p->seed) % CHUNK + 1);
		parts[0] = (struct iovec){ buf, n };
		*nr = 1;
	}
	if (n <= 0)
		return n;
	count_lane(e);
	/* The one before was held until now. */
	let_go(e, h);
	if (!reads) {
		memcpy(e->held, parts, *nr * sizeof(*parts));
		e->nr_held = *nr;
		e->held_at = h->at;
	}
	for (i = 0; i < *nr; h->at += parts[i++].iov_len)
		if (!belongs(h, h->at, parts[i].iov_base, parts[i].iov_len))
			storm_count(&p->found->mixed);
	return n;
}

/* After its last call gave @n. */
static void judge(struct storm_part *p, const struct hearing *h, long n)
{
	if (h->at >= sizeof(h->head))
		storm_judge(p->found, n, &h->head, h->at - sizeof(h->head));
	else if (!n)
		storm_count(&p->found->cut);
	else if (n == -ECONNABORTED)
		storm_count(&p->found->aborted);
	else
		storm_odd(p->found, n);
}

static void consume(struct storm_part *p)
{
	struct iovec parts[FAASIN_RANGES_MAX];
	struct hearing h;
	struct end e;
	bool early;
	long n;
	int nr;

	for (;;) {
		if (!end_open(&e, p, FAASIN_PORT_IN, O_RDONLY))
			continue;
		early = often(p, 8);
		memset(&h, 0, sizeof(h));
		do {
			n = hear(&e, &h, parts, &nr);
		} while (n > 0 && !(early && h.at > h.head.len / 2));
		if (n <= 0)
			judge(p, &h, n);
		end_close(&e);
	}
}

/* -------------------------------------------------------------------- sending */

/* As one record, of some extents, now and then not: bytes that were sent, or -errno. */
static long hand_off(struct end *e, const uint8_t *buf, size_t size)
{
	struct storm_part *p = e->part;
	struct iovec parts[PIECES];
	size_t nr = 0, left, len;
	int error;

	for (left = size; left; left -= len) {
		len = nr + 1 == PIECES ? left : random_next(&p->seed) % left + 1;
		error = faasctl_window_alloc(e->win, len, &parts[nr].iov_base, NULL);
		if (error)
			return error;
		memcpy(parts[nr].iov_base, buf, len);
		parts[nr++].iov_len = len;
		buf += len;
	}
	if (often(p, 16))
		return faasctl_window_release(e->win, parts, nr, NULL);
	storm_moves(p->sent, size);
	error = faasctl_window_send(e->win, parts, nr, NULL);
	storm_moved(p->sent, error ?: (long)size);
	return error ?: (long)size;
}

/* All of it, by whichever way: 0 or -errno. */
static long give(struct end *e, const uint8_t *buf, size_t size)
{
	struct storm_part *p = e->part;
	size_t len;
	long n;

	for (; size; buf += n, size -= n) {
		len = random_next(&p->seed) % e->most + 1;
		if (len > size)
			len = size;
		if (e->mixes && often(p, 2))
			n = storm_write(p->sent, e->fd, buf, len);
		else
			n = hand_off(e, buf, len);
		if (n < 0)
			return n;
		if (often(p, 32))
			map_anew(e);
	}
	return 0;
}

static void produce(struct storm_part *p)
{
	static uint8_t buf[sizeof(struct storm_head) + STORM_LENGTH];
	struct storm_head head;
	struct end e;
	long n;

	for (;;) {
		if (!end_open(&e, p, FAASIN_PORT_OUT, O_RDWR))
			continue;
		head = storm_stream(p);
		memcpy(buf, &head, sizeof(head));
		pattern_fill(buf + sizeof(head), head.len, head.tag, 0);
		n = give(&e, buf, sizeof(head) + head.len);
		if (n && n != -EPIPE)
			storm_odd(p->found, n);
		if (!n && often(p, 3))
			ioctl(e.fd, FAASIN_IOC_END);
		end_close(&e);
	}
}

/* What was received, part by part: 0 or -errno. */
static long give_all(struct end *e, const struct iovec *parts, int nr)
{
	long n = 0;
	int i;

	for (i = 0; !n && i < nr; i++)
		n = give(e, parts[i].iov_base, parts[i].iov_len);
	return n;
}

/* One stream in, one stream out; what is not whole is aborted. */
static void pass_on(struct storm_part *p)
{
	struct faasin_abort why = { .cause = FAASIN_CAUSE_REQUEST };
	struct iovec parts[FAASIN_RANGES_MAX];
	struct hearing h;
	struct end in, out;
	long n;
	int nr;

	for (;;) {
		if (!end_open(&in, p, FAASIN_PORT_IN, O_RDONLY))
			continue;
		memset(&h, 0, sizeof(h));
		n = hear(&in, &h, parts, &nr);
		/* Who opened no output has none to end. */
		if (n <= 0 || !end_open(&out, p, FAASIN_PORT_OUT, O_RDWR)) {
			if (n < 0 && n != -ECONNABORTED)
				storm_odd(p->found, n);
			if (!n)
				storm_count(&p->found->cut);
			end_close(&in);
			continue;
		}
		while (n > 0) {
			n = give_all(&out, parts, nr);
			if (!n)
				n = hear(&in, &h, parts, &nr);
		}
		if (n < 0) {
			if (n != -EPIPE && n != -ECONNABORTED)
				storm_odd(p->found, n);
			if (ioctl(out.fd, FAASIN_IOC_ABORT, &why))
				storm_odd(p->found, -errno);
		}
		end_close(&out);
		end_close(&in);
	}
}

/* --------------------------------------------------------------------- results */

FIXTURE_SETUP(windows)
{
	self->storm.options = (struct storm_options){
		.does = { produce, pass_on, consume },
		.kills = 420,
		.variants = VARIANTS,
		.capacity = variant->capacity,
		.trusted = variant->trusted,
		.cuts = variant->cuts,
		.never = variant->never,
	};
	STORM_SETUP(&self->storm);
}

FIXTURE_TEARDOWN(windows)
{
	STORM_TEARDOWN(&self->storm);
}

/* What those who were killed left in a link: 0, or what was odd about it. */
static long drain(struct world *w, const char *dst)
{
	static uint8_t buf[CHUNK];
	long n;
	int in;

	do {
		in = world_open(w, dst, FAASIN_PORT_IN, O_RDONLY);
		do {
			n = sys(read(in, buf, sizeof(buf)));
		} while (n > 0);
		close(in);
	} while (!n || n == -ECONNABORTED);
	return n == -EAGAIN ? 0 : n;
}

/* A record of all that a window has goes through. */
static int goes_through(struct world *w, const char *src, const char *dst)
{
	int out = world_open(w, src, FAASIN_PORT_OUT, O_RDWR), error;
	int in = world_open(w, dst, FAASIN_PORT_IN, O_RDONLY);
	struct faasctl_window *sends, *gets = NULL;
	struct iovec part;

	/* What was let go of may be had again a moment later. */
	fcntl(out, F_SETFL, 0);
	error = faasctl_window_open(&sends, out, NULL) ?: faasctl_window_open(&gets, in, NULL);
	if (error)
		return error;
	part.iov_len = faasctl_window_size(sends);
	error = faasctl_window_alloc(sends, part.iov_len, &part.iov_base, NULL);
	if (!error) {
		pattern_fill(part.iov_base, part.iov_len, 1, 0);
		error = faasctl_window_send(sends, &part, 1, NULL);
	}
	if (!error && faasctl_window_receive(gets, &part, 1, NULL) != 1)
		error = -ENODATA;
	if (!error && !pattern_is(part.iov_base, part.iov_len, 1, 0))
		error = -EBADMSG;
	faasctl_window_close(gets);
	faasctl_window_close(sends);
	close(in);
	close(out);
	return error;
}

TEST_F_TIMEOUT(windows, leave_nothing_behind, 3600)
{
	struct storm *s = &self->storm;
	int i, k;

	ASSERT_TRUE(storm_blows(s))
		TH_LOG("%s", s->wrong);
	EXPECT_TRUE(storm_settles(s))
		TH_LOG("%s", s->wrong);
	STORM_EXPECT_SOUND(s);
	EXPECT_EQ(variant->trusted, s->found->lanes != 0);
	for (k = 0; k < STORM_CHAINS; k++)
		for (i = 0; i + 1 < STORM_STAGES; i++) {
			EXPECT_EQ(0, drain(&s->world, storm_stages[k][i + 1]));
			EXPECT_EQ(0, goes_through(&s->world, storm_stages[k][i],
						  storm_stages[k][i + 1]));
		}
	EXPECT_TRUE(storm_is_forgotten(s))
		TH_LOG("%s", s->wrong);
}

TEST_HARNESS_MAIN
