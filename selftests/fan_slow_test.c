// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-out: links that are dropped when they are slow. Whom that befalls, when, and what is
 * left of its streams; never an end of file where something is missing.
 */
#include "actor.h"
#include "fan.h"
#include "harness.h"
#include "splice.h"
#include "window.h"

#define READERS_MAX	8
#define CAPACITY	(256 * KIB)

/* Links from "a": to r0, which throttles unless @all, and to others, which are dropped. */
FIXTURE(slow)
{
	struct fan fan;
	int w;
	int r[READERS_MAX];
};

FIXTURE_VARIANT(slow)
{
	unsigned int readers;
	bool all;
};

FIXTURE_VARIANT_ADD(slow, one_of_two) { .readers = 2, .all = false };
FIXTURE_VARIANT_ADD(slow, most_of_eight) { .readers = 8, .all = false };
FIXTURE_VARIANT_ADD(slow, all_of_three) { .readers = 3, .all = true };

FIXTURE_SETUP(slow)
{
	struct faasctl_link_options drop = fan_slow_options(CAPACITY, FAASIN_SLOW_DROP);
	struct faasctl_link_options throttle = fan_slow_options(CAPACITY, FAASIN_SLOW_THROTTLE);

	FAN_SETUP(&self->fan, variant->readers, &drop);
	if (!variant->all) {
		ASSERT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
		ASSERT_EQ(0, fan_link(&self->fan, "a", "r0", &throttle));
	}
	FAN_ENDS_SETUP(self);
}

FIXTURE_TEARDOWN(slow)
{
	FAN_ENDS_TEARDOWN(self);
}

/* The stream of the link to r@i was cut off, the first @read bytes having been read, of @all. */
#define EXPECT_CUT(i, read, all)						\
do {										\
	struct link_state cut_state = fan_state(&self->fan, i);			\
	char cut_stage[16];							\
										\
	snprintf(cut_stage, sizeof(cut_stage), "r%u", i);			\
	EXPECT_EQ(FAASIN_CAUSE_SLOW, cut_state.last.cause);			\
	EXPECT_STREQ(cut_stage, cut_state.stage);				\
	EXPECT_EQ(read, cut_state.stats.bytes_out);				\
	EXPECT_EQ((all) - (read), cut_state.stats.bytes_dropped);		\
	EXPECT_EQ(cut_state.stats.bytes_in, cut_state.stats.bytes_out +		\
		  cut_state.stats.bytes_dropped + cut_state.stats.bytes_held);	\
} while (0)

/* ------------------------------------------------------------------------- whom */

/* One that has read a little, one that has only opened, one that never came. */
TEST_F(slow, who_is_behind_is_dropped)
{
	unsigned int i, n = variant->readers;
	char more[PAGE];

	for (i = 1; i < n; i++)
		if (i != 3)
			self->r[i] = fan_reader(&self->fan, i, 0);
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_TRUE(reads(self->r[1], 100, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_TRUE(reads(self->r[0], CAPACITY, 1, 0));
	EXPECT_TRUE(fan_gets_room(self->w));
	pattern_fill(more, PAGE, 1, CAPACITY);
	EXPECT_EQ(PAGE, sys(write(self->w, more, PAGE)));
	EXPECT_TRUE(reads(self->r[0], PAGE, 1, CAPACITY));
	/* Those at the very beginning, and then the one before them, which is still in the way. */
	for (i = 1; i < n; i++) {
		if (self->r[i] < 0)
			self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_OVER(self->r[i], -ECONNABORTED);
		EXPECT_EQ(POLLHUP | POLLERR, ready(self->r[i]));
		EXPECT_EQ(0, unread(self->r[i]));
		EXPECT_TRUE(port_info(self->r[i]).flags & FAASIN_INFO_ABORTED);
		EXPECT_EQ(FAASIN_CAUSE_SLOW, port_info(self->r[i]).cause);
		EXPECT_CUT(i, i == 1 ? 100 : 0, CAPACITY + PAGE);
		EXPECT_EQ(1, fan_state(&self->fan, i).stats.streams_aborted);
	}
	EXPECT_EQ(n == 2 ? getpid() : 0, (int)fan_state(&self->fan, n - 1).last.pid);
	/* Nobody else noticed. */
	EXPECT_EQ(0, fan_state(&self->fan, 0).stats.streams_aborted);
	EXPECT_EQ(0, fan_state(&self->fan, 0).stats.bytes_dropped);
	close(self->w);
	self->w = fan_writer(&self->fan, 0);
	EXPECT_OVER(self->r[0], 0);
	/* The next stream is whole. */
	EXPECT_WRITE(self->w, "next");
	close(self->r[n - 1]);
	self->r[n - 1] = fan_reader(&self->fan, n - 1, 0);
	EXPECT_READ(self->r[n - 1], "next");
}

TEST_F(slow, nobody_is_dropped_while_nobody_is_well_ahead)
{
	unsigned int i;

	for (i = 1; i < variant->readers; i++)
		self->r[i] = fan_reader(&self->fan, i, 0);
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_EQ(0, ready(self->w));
	/* One byte short of half. */
	EXPECT_TRUE(reads(self->r[0], CAPACITY / 2 - 1, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	for (i = 1; i < variant->readers; i++) {
		EXPECT_EQ(POLLIN, ready(self->r[i]));
		EXPECT_EQ(CAPACITY, unread(self->r[i]));
		EXPECT_EQ(0, fan_state(&self->fan, i).stats.bytes_dropped);
	}
	EXPECT_TRUE(reads(self->r[0], 1, 1, CAPACITY / 2 - 1));
	EXPECT_TRUE(fan_gets_room(self->w));
	for (i = 1; i < variant->readers; i++) {
		EXPECT_OVER(self->r[i], -ECONNABORTED);
		EXPECT_CUT(i, 0, CAPACITY);
	}
	/* It is throttled by the first now, or by who throttles. */
	EXPECT_LT(0, fill(self->w, 2));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(0, fan_state(&self->fan, 0).stats.bytes_dropped);
	EXPECT_TRUE(reads(self->r[0], CAPACITY / 2, 1, CAPACITY / 2));
}

/* A link whose reader closed early is nobody to be slower than. */
TEST_F(slow, the_last_that_is_read_is_never_dropped)
{
	unsigned int i;
	char byte;

	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	for (i = 0; i + 1 < variant->readers; i++) {
		if (self->r[i] < 0)
			self->r[i] = fan_reader(&self->fan, i, 0);
		ASSERT_EQ(1, read(self->r[i], &byte, 1));
		close(self->r[i]);
		self->r[i] = -1;
	}
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	self->r[i] = fan_reader(&self->fan, i, 0);
	EXPECT_TRUE(reads(self->r[i], CAPACITY, 1, 0));
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_EQ(0, fan_state(&self->fan, i).stats.bytes_dropped);
}

TEST_F(slow, who_throttles_beside_it_is_waited_for)
{
	struct faasctl_link_options throttle = fan_slow_options(CAPACITY, FAASIN_SLOW_THROTTLE);
	int r;

	EXPECT_EQ(0, fan_stage(&self->fan, "more"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "more", &throttle));
	EXPECT_EQ(variant->readers + 1, fan_links(&self->fan));
	close(self->w);
	self->w = fan_writer(&self->fan, O_NONBLOCK);
	close(self->r[0]);
	self->r[0] = fan_reader(&self->fan, 0, 0);
	EXPECT_OVER(self->r[0], 0);
	close(self->r[0]);
	self->r[0] = fan_reader(&self->fan, 0, 0);
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_TRUE(reads(self->r[0], CAPACITY, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(0, fan_state(&self->fan, 1).stats.bytes_dropped);
	/* Without it, they are the slowest alone. */
	r = fan_unlink(&self->fan, "a", "more");
	EXPECT_EQ(0, r);
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_CUT(1, 0, CAPACITY);
}

TEST_F(slow, a_paused_link_is_not_slow)
{
	unsigned int i, n = variant->readers;

	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_PAUSED));
	EXPECT_TRUE(reads(self->r[0], CAPACITY, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, fan_state(&self->fan, i).stats.bytes_dropped);
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_RUNNING));
	EXPECT_TRUE(fan_gets_room(self->w));
	for (i = 1; i < n; i++)
		EXPECT_CUT(i, 0, CAPACITY);
}

/* -------------------------------------------------------------------- which streams */

/* The oldest goes first; what is behind it stays whole while there is room then. */
TEST_F(slow, no_more_streams_go_than_have_to)
{
	unsigned int i, s;
	size_t each = CAPACITY / 4;

	for (s = 0; s < 4; s++) {
		if (s) {
			close(self->w);
			self->w = fan_writer(&self->fan, O_NONBLOCK);
			EXPECT_TRUE(reads(self->r[0], each, s - 1, 0));
			EXPECT_OVER(self->r[0], 0);
			close(self->r[0]);
			self->r[0] = fan_reader(&self->fan, 0, 0);
		}
		EXPECT_EQ(0, pattern_write(self->w, each, PAGE, s, 0));
	}
	EXPECT_TRUE(reads(self->r[0], each, 3, 0));
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_EQ(0, pattern_write(self->w, each / 2, PAGE, 3, each));
	for (i = 1; i < variant->readers; i++) {
		EXPECT_CUT(i, 0, each);
		/* It had ended: it is counted as that. */
		EXPECT_EQ(0, fan_state(&self->fan, i).stats.streams_aborted);
		EXPECT_EQ(3, fan_state(&self->fan, i).stats.streams_ended);
		EXPECT_EQ(1, fan_state(&self->fan, i).last.stream);
		for (s = 0; s < 3; s++) {
			self->r[i] = fan_reader(&self->fan, i, 0);
			EXPECT_TRUE(!s || reads(self->r[i], each, s, 0));
			EXPECT_OVER(self->r[i], s ? 0 : -ECONNABORTED);
			EXPECT_EQ(s + 1, port_info(self->r[i]).stream);
			close(self->r[i]);
		}
		self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_TRUE(reads(self->r[i], each * 3 / 2, 3, 0));
	}
}

/* A session that has read a stream and not yet its end gets just that. */
TEST_F(slow, what_was_read_has_its_own_end)
{
	unsigned int i;

	for (i = 1; i < variant->readers; i++)
		self->r[i] = fan_reader(&self->fan, i, 0);
	EXPECT_WRITE(self->w, "all of it");
	close(self->w);
	for (i = 0; i < variant->readers; i++)
		EXPECT_READ(self->r[i], "all of it");
	EXPECT_OVER(self->r[0], 0);
	close(self->r[0]);
	self->r[0] = fan_reader(&self->fan, 0, 0);
	self->w = fan_writer(&self->fan, O_NONBLOCK);
	ASSERT_LT(0, fill(self->w, 1));
	EXPECT_TRUE(reads(self->r[0], unread(self->r[0]), 1, 0));
	EXPECT_TRUE(fan_gets_room(self->w));
	for (i = 1; i < variant->readers; i++) {
		EXPECT_OVER(self->r[i], 0);
		close(self->r[i]);
		self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_OVER(self->r[i], -ECONNABORTED);
	}
}

/* Writes @n streams, which name themselves; r0 reads them. */
static bool streams_pass(struct fan *f, int *w, int *r, unsigned int from, unsigned int n)
{
	char text[16], got[16];
	unsigned int s;

	for (s = from; s < from + n; s++) {
		*w = fan_writer(f, O_NONBLOCK);
		snprintf(text, sizeof(text), "stream %6u", s);
		if (*w < 0 || write(*w, text, 13) != 13)
			return false;
		close(*w);
		if (read_full(*r, got, 13) != 13 || memcmp(text, got, 13) || read(*r, got, 1))
			return false;
		close(*r);
		*r = fan_reader(f, 0, 0);
	}
	*w = -1;
	return true;
}

TEST_F_TIMEOUT(slow, more_streams_than_can_queue, 120)
{
	unsigned int i, s, n = FAASIN_STREAMS_MAX + 300;
	char text[16];

	close(self->w);
	EXPECT_OVER(self->r[0], 0);
	close(self->r[0]);
	self->r[0] = fan_reader(&self->fan, 0, 0);
	/* The first, which is empty, is number 1. */
	ASSERT_TRUE(streams_pass(&self->fan, &self->w, &self->r[0], 2, n - 1));
	for (i = 1; i < variant->readers; i++) {
		struct faasctl_stats stats = fan_state(&self->fan, i).stats;

		EXPECT_EQ(FAASIN_STREAMS_MAX, stats.streams_queued);
		EXPECT_EQ(n, stats.streams_begun);
		EXPECT_EQ(n, stats.streams_ended);
		EXPECT_EQ(FAASIN_CAUSE_SLOW, fan_state(&self->fan, i).last.cause);
		/* The first had nothing left to read: it is whole. */
		self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_OVER(self->r[i], 0);
		EXPECT_EQ(1, port_info(self->r[i]).stream);
		close(self->r[i]);
		self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_OVER(self->r[i], -ECONNABORTED);
		EXPECT_EQ(2, port_info(self->r[i]).stream);
		/* From then on they are all there. */
		for (s = n - FAASIN_STREAMS_MAX + 3; s <= n; s++) {
			close(self->r[i]);
			self->r[i] = fan_reader(&self->fan, i, O_NONBLOCK);
			snprintf(text, sizeof(text), "stream %6u", s);
			EXPECT_READ(self->r[i], text);
			EXPECT_OVER(self->r[i], 0);
			EXPECT_EQ(s, port_info(self->r[i]).stream);
		}
		stats = fan_state(&self->fan, i).stats;
		EXPECT_EQ(0, stats.bytes_held);
		EXPECT_EQ(stats.bytes_in, stats.bytes_out + stats.bytes_dropped);
		EXPECT_EQ(0, stats.streams_queued);
	}
}

TEST_F(slow, as_many_as_can_queue_for_all)
{
	unsigned int s;

	for (s = 1; s <= FAASIN_STREAMS_MAX; s++) {
		ASSERT_LE(0, self->w);
		close(self->w);
		self->w = fan_writer(&self->fan, O_NONBLOCK);
	}
	/* None is ahead. */
	EXPECT_EQ(-EAGAIN, self->w);
	EXPECT_EQ(FAASIN_CAUSE_NONE, fan_state(&self->fan, 1).last.cause);
	EXPECT_OVER(self->r[0], 0);
	self->w = fan_writer(&self->fan, O_NONBLOCK);
	EXPECT_LE(0, self->w);
	EXPECT_EQ(FAASIN_CAUSE_SLOW, fan_state(&self->fan, 1).last.cause);
}

/* ------------------------------------------------------------------------ who waits */

TEST_F(slow, a_writer_that_sleeps_goes_on)
{
	pid_t pid;

	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(pattern_write(self->w, CAPACITY, 50000, 1, CAPACITY) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_TRUE(reads(self->r[0], 2 * CAPACITY, 1, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_LT(0, fan_state(&self->fan, 1).stats.bytes_dropped);
}

TEST_F(slow, a_splice_that_sleeps_goes_on)
{
	int in[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pattern_write(in[1], 8 * PAGE, PAGE, 1, CAPACITY));
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(splice_all(in[0], self->w, 8 * PAGE) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_splice));
	EXPECT_TRUE(reads(self->r[0], CAPACITY + 8 * PAGE, 1, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_LT(0, fan_state(&self->fan, 1).stats.bytes_dropped);
	close(in[0]);
	close(in[1]);
}

TEST_F(slow, a_wait_for_a_window_goes_on)
{
	struct faasin_window_info info = window_info(self->w);
	char *buf = malloc(info.size);
	pid_t pid;
	long at = window_alloc(self->w, info.size);

	ASSERT_LE(0, at);
	EXPECT_EQ(0, window_send(self->w, at, info.size));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, info.size));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(window_alloc(self->w, info.size) < 0);
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	EXPECT_EQ((long)info.size, read_full(self->r[0], buf, info.size));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_CUT(1, 0, info.size);
	free(buf);
}

/* A reader that waits for bytes is never the slow one; one that polls hears of the end. */
TEST_F(slow, a_poller_of_the_slow_one_hears_of_it)
{
	struct pollfd p = { .events = 0 };

	self->r[1] = fan_reader(&self->fan, 1, 0);
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	p.fd = self->r[1];
	EXPECT_EQ(0, poll(&p, 1, 0));
	EXPECT_TRUE(reads(self->r[0], CAPACITY, 1, 0));
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_EQ(1, poll(&p, 1, DEADLINE * 1000));
	EXPECT_EQ(POLLHUP | POLLERR, p.revents);
}

/* ---------------------------------------------------------------------- what is told */

TEST_F(slow, an_event_says_so)
{
	struct faasctl_events *events;
	struct faasctl_event event;
	bool told = false;

	self->r[1] = fan_reader(&self->fan, 1, 0);
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_TRUE(reads(self->r[1], 1, 1, 0));
	ASSERT_EQ(0, faasctl_events_open(&events, NULL));
	EXPECT_TRUE(reads(self->r[0], CAPACITY, 1, 0));
	EXPECT_TRUE(fan_gets_room(self->w));
	while (faasctl_events_next(events, &event, NULL) > 0) {
		if (event.type != FAASIN_EVENT_STREAM_ABORT || strcmp(event.dst_stage, "r1"))
			continue;
		told = true;
		EXPECT_EQ(FAASIN_CAUSE_SLOW, event.cause.cause);
		EXPECT_STREQ("r1", event.stage);
		EXPECT_EQ(getpid(), (int)event.cause.pid);
		EXPECT_EQ(1, event.stream);
		EXPECT_EQ(CAPACITY, event.bytes);
	}
	EXPECT_TRUE(told);
	faasctl_events_close(events);
}

TEST_F(slow, the_rule_is_each_links_own)
{
	struct faasctl_link_options throttle = fan_slow_options(CAPACITY, FAASIN_SLOW_THROTTLE);
	struct faasctl_link_options drop = fan_slow_options(CAPACITY, FAASIN_SLOW_DROP);
	unsigned int i;

	for (i = 0; i < variant->readers; i++)
		EXPECT_EQ(i || variant->all ? FAASIN_SLOW_DROP : FAASIN_SLOW_THROTTLE,
			  fan_state(&self->fan, i).link.slow);
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "a", "r1", &throttle));
	EXPECT_NE(NULL, strstr(self->fan.refusal, "other options"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r1", &drop));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r1", &throttle));
	EXPECT_EQ(FAASIN_SLOW_THROTTLE, fan_state(&self->fan, 1).link.slow);
	/* A link that is alone has it, too: there is nobody to be slower than. */
	EXPECT_EQ(0, fan_stage(&self->fan, "x"));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "x", &drop));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "r0", "x", &throttle));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "x", NULL));
}

/* ------------------------------------------------------------------ everything at once */

struct load {
	unsigned int whole[READERS_MAX], cut[READERS_MAX], bad;
	char what[80];
};

#define LENGTH	400000
#define ENOUGH	30

static void writes_on(struct fan *f, struct load *load)
{
	int fd, error;

	for (;;) {
		fd = fan_writer(f, 0);
		error = fd < 0 ? fd : pattern_write(fd, LENGTH, 7000, 1, 0);
		if (!error)
			error = sys(ioctl(fd, FAASIN_IOC_END));
		if (error) {
			snprintf(load->what, sizeof(load->what), "writer: %d", error);
			__atomic_fetch_add(&load->bad, 1, __ATOMIC_RELEASE);
		}
		close(fd);
	}
}

/* Whole streams, or ones that say that they are none. All but r0 stand still now and then. */
static void reads_on(struct fan *f, unsigned int i, bool all, struct load *load)
{
	uint64_t seed = 17 + i;
	struct heard heard;
	int fd;

	for (;;) {
		fd = fan_reader(f, i, 0);
		if (i && random_next(&seed) % 3 == 0)
			usleep(random_next(&seed) % 20000);
		heard = pattern_read(fd, 5000 + 1000 * i, 1);
		if (heard.intact && !heard.end && heard.bytes == LENGTH) {
			__atomic_fetch_add(&load->whole[i], 1, __ATOMIC_RELAXED);
		} else if (heard.intact && heard.end == -ECONNABORTED && (i || all)) {
			__atomic_fetch_add(&load->cut[i], 1, __ATOMIC_RELAXED);
		} else {
			snprintf(load->what, sizeof(load->what), "r%u: %llu bytes%s, then %d", i,
				 (unsigned long long)heard.bytes, heard.intact ? "" : ", others",
				 heard.end);
			__atomic_fetch_add(&load->bad, 1, __ATOMIC_RELEASE);
		}
		close(fd);
	}
}

TEST_F_TIMEOUT(slow, streams_are_whole_or_cut_off_under_load, 120)
{
	struct load *load = shared(sizeof(*load));
	unsigned int i, n = variant->readers, cut = 0, bad;
	pid_t pids[READERS_MAX + 1];

	/* The empty stream that there is. */
	close(self->w);
	self->w = -1;
	for (i = 0; i < n; i++) {
		if (i)
			self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_OVER(self->r[i], 0);
		close(self->r[i]);
		self->r[i] = -1;
	}
	for (i = 0; i <= n; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		if (i == n)
			writes_on(&self->fan, load);
		else
			reads_on(&self->fan, i, variant->all, load);
	}
	for (i = 0; i < 600 && (load->whole[0] < ENOUGH || !cut); i++) {
		usleep(50000);
		for (cut = 0, n = 1; n < variant->readers; n++)
			cut += load->cut[n];
	}
	n = variant->readers;
	/* Before one of them hears of the end of the others. */
	bad = load->bad;
	for (i = 0; i <= n; i++)
		child_kill(pids[i], SIGKILL);
	EXPECT_EQ(0, bad)
		TH_LOG("%s", load->what);
	EXPECT_LE(ENOUGH, load->whole[0]);
	EXPECT_LT(0, cut);
	for (i = 0; i < n; i++) {
		struct faasctl_stats stats = fan_state(&self->fan, i).stats;

		TH_LOG("r%u: %u whole, %u cut off", i, load->whole[i], load->cut[i]);
		EXPECT_EQ(stats.bytes_in, stats.bytes_out + stats.bytes_dropped + stats.bytes_held);
	}
	munmap(load, sizeof(*load));
}

TEST_HARNESS_MAIN
