// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-out: what dropping a slow link must not do to others, nor to what comes next: fan_slow has
 * whom it befalls.
 */
#include "fan.h"
#include "harness.h"
#include "hostile.h"
#include "window.h"

#define READERS_MAX	3
#define CAPACITY	(256 * KIB)

/* Links from "a" to r0 and r1, both of which are dropped when slow. */
FIXTURE(drop)
{
	struct fan fan;
	struct faasctl_link_options options;
	int w;
	int r[READERS_MAX];
};

FIXTURE_SETUP(drop)
{
	self->options = fan_slow_options(CAPACITY, FAASIN_SLOW_DROP);
	FAN_SETUP(&self->fan, 2, &self->options);
	FAN_ENDS_SETUP(self);
}

FIXTURE_TEARDOWN(drop)
{
	FAN_ENDS_TEARDOWN(self);
}

/* Ends the writer's stream, and begins another. */
static void next_stream(int *w, struct fan *f)
{
	close(*w);
	*w = fan_writer(f, O_RDWR | O_NONBLOCK);
}

/* The next session of a link's reader. */
static void next_session(int *r, struct fan *f, unsigned int i)
{
	close(*r);
	*r = fan_reader(f, i, O_NONBLOCK);
}

#define EXPECT_DROPPED(n, i)	EXPECT_EQ(n, fan_state(&self->fan, i).stats.bytes_dropped)

/* ---------------------------------------------------------------- what comes next */

/* Its reader stands still in a copy while more is written, closes early, and is gone. */
TEST_F(drop, what_follows_a_close_is_the_next_stream)
{
	const size_t rest = 100, first = CAPACITY - rest;
	struct faasctl_stats stats;
	char *page = page_of_no_return(), byte;
	pid_t pid;

	if (!page)
		SKIP(return, "userfaultfd is not to be had: %s", strerror(errno));
	self->r[1] = fan_reader(&self->fan, 1, 0);
	ASSERT_EQ(0, pattern_write(self->w, first, PAGE, 1, 0));
	pid = stand_still(self->r[1], false, self->w);
	ASSERT_TRUE(blocks_in(pid, SYS_read));
	/* For poll, that is no room. */
	EXPECT_TRUE(reads(self->r[0], first, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(FAASIN_CAUSE_SLOW, fan_state(&self->fan, 1).last.cause);
	EXPECT_EQ(0, pattern_write(self->w, rest, PAGE, 1, first));
	EXPECT_EQ(0, ioctl(self->r[1], FAASIN_IOC_END));
	child_kill(pid, SIGKILL);
	EXPECT_TRUE(reads(self->r[0], rest, 1, first));
	EXPECT_TRUE(fan_gets_room(self->w));
	next_stream(&self->w, &self->fan);
	EXPECT_WRITE(self->w, "next");
	next_session(&self->r[1], &self->fan, 1);
	EXPECT_EQ(4, unread(self->r[1]));
	EXPECT_READ(self->r[1], "next");
	EXPECT_EQ(-EAGAIN, sys(read(self->r[1], &byte, 1)));
	stats = fan_state(&self->fan, 1).stats;
	EXPECT_EQ(4, stats.bytes_out);
	EXPECT_EQ(CAPACITY, stats.bytes_dropped);
	EXPECT_EQ(0, stats.bytes_held);
}

/* Of what a producer that aborted had left its reader does not get all: that is what it hears. */
TEST_F(drop, what_was_aborted_has_another_cause)
{
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };

	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_EQ(0, ioctl(self->w, FAASIN_IOC_ABORT, &request));
	next_stream(&self->w, &self->fan);
	EXPECT_TRUE(reads(self->r[0], CAPACITY, 1, 0));
	EXPECT_OVER(self->r[0], -ECONNABORTED);
	EXPECT_EQ(FAASIN_CAUSE_REQUEST, port_info(self->r[0]).cause);
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_DROPPED(CAPACITY, 1);
	EXPECT_EQ(FAASIN_CAUSE_SLOW, fan_state(&self->fan, 1).last.cause);
	EXPECT_EQ(1, fan_state(&self->fan, 1).stats.streams_aborted);
	self->r[1] = fan_reader(&self->fan, 1, 0);
	EXPECT_OVER(self->r[1], -ECONNABORTED);
	EXPECT_EQ(FAASIN_CAUSE_SLOW, port_info(self->r[1]).cause);
	EXPECT_EQ(FAASIN_CAUSE_REQUEST, fan_state(&self->fan, 0).last.cause);
}

/* ------------------------------------------------------------------- who is waited for */

/* It joins where the writer is, and has read nothing. */
TEST_F(drop, a_link_that_joins_late_does_not_have_the_others_dropped)
{
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_EQ(0, fan_stage(&self->fan, "r2"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r2", &self->options));
	next_stream(&self->w, &self->fan);
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	/* Not even with a reader, while there is one of the other. */
	self->r[2] = fan_reader(&self->fan, 2, O_NONBLOCK);
	EXPECT_EQ(0, ready(self->w));
	EXPECT_DROPPED(0, 0);
	EXPECT_TRUE(reads(self->r[0], 1, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_TRUE(reads(self->r[0], CAPACITY - 1, 1, 1));
	EXPECT_OVER(self->r[0], 0);
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_DROPPED(0, 0);
}

/* But one that has a reader, and nothing to read, does not wait for those that have none. */
TEST_F(drop, a_link_without_a_reader_does_not_hold_up_one_that_joins)
{
	pid_t pid;

	close(self->r[0]);
	self->r[0] = -1;
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_EQ(0, fan_stage(&self->fan, "r2"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r2", &self->options));
	next_stream(&self->w, &self->fan);
	EXPECT_EQ(0, ready(self->w));
	EXPECT_DROPPED(0, 0);
	pid = child();
	if (!pid)
		_exit(!fan_gets_room(self->w));
	EXPECT_TRUE(blocks_in(pid, SYS_poll));
	self->r[2] = fan_reader(&self->fan, 2, O_NONBLOCK);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_DROPPED(CAPACITY, 0);
	EXPECT_DROPPED(CAPACITY, 1);
}

/* Who was moved ahead is not ahead by its reading. */
TEST_F(drop, who_was_dropped_does_not_have_the_others_dropped)
{
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	next_stream(&self->w, &self->fan);
	/* r0 reads half: r1, without a reader, loses the first stream. */
	EXPECT_TRUE(reads(self->r[0], CAPACITY / 2, 1, 0));
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_DROPPED(CAPACITY, 1);
	ASSERT_EQ(CAPACITY / 2, fill(self->w, 2));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_DROPPED(0, 0);
	/* Nor is it with a reader, before that has read something. */
	self->r[1] = fan_reader(&self->fan, 1, O_NONBLOCK);
	EXPECT_OVER(self->r[1], -ECONNABORTED);
	next_session(&self->r[1], &self->fan, 1);
	EXPECT_EQ(0, ready(self->w));
	EXPECT_DROPPED(0, 0);
	EXPECT_TRUE(reads(self->r[0], CAPACITY / 2, 1, CAPACITY / 2));
	EXPECT_OVER(self->r[0], 0);
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_DROPPED(0, 0);
}

/* --------------------------------------------------------------------------- who waits */

/* One that asks for nothing but the end, while another stands still in a copy. */
TEST_F(drop, a_poller_of_what_is_dropped_hears_of_it)
{
	struct pollfd p = { .events = 0 };
	pid_t stands, polls;

	if (!page_of_no_return())
		SKIP(return, "userfaultfd is not to be had: %s", strerror(errno));
	self->r[1] = fan_reader(&self->fan, 1, 0);
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	stands = stand_still(self->r[1], false, self->w);
	ASSERT_TRUE(blocks_in(stands, SYS_read));
	polls = child();
	if (!polls) {
		close(self->w);
		p.fd = self->r[1];
		_exit(poll(&p, 1, -1) != 1 || p.revents != (POLLHUP | POLLERR));
	}
	EXPECT_TRUE(blocks_in(polls, SYS_poll));
	EXPECT_EQ(CAPACITY, unread(self->r[1]));
	EXPECT_TRUE(reads(self->r[0], CAPACITY, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(0, child_end(polls));
	/* It has not been dropped yet. */
	EXPECT_DROPPED(0, 1);
	EXPECT_EQ(0, unread(self->r[1]));
	EXPECT_EQ(0, port_info(self->r[1]).unread);
	EXPECT_EQ(POLLHUP | POLLERR, ready(self->r[1]));
	child_kill(stands, SIGKILL);
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_OVER(self->r[1], -ECONNABORTED);
}

/* Who is ahead may get well ahead in the middle of a block. */
TEST_F(drop, a_poller_hears_of_what_is_read_of_a_block)
{
	pid_t pid;

	self->r[1] = fan_reader(&self->fan, 1, 0);
	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	EXPECT_TRUE(reads(self->r[1], 2000, 1, 0));
	EXPECT_TRUE(reads(self->r[0], CAPACITY / 2 + 999, 1, 0));
	pid = child();
	if (!pid)
		_exit(!fan_gets_room(self->w));
	EXPECT_TRUE(blocks_in(pid, SYS_poll));
	EXPECT_DROPPED(0, 1);
	EXPECT_TRUE(reads(self->r[0], 1, 1, CAPACITY / 2 + 999));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_DROPPED(CAPACITY - 2000, 1);
}

/* Beside a new link, which has no streams queued, those that have too many lose some. */
TEST_F(drop, an_open_that_sleeps_goes_on_when_a_link_is_made)
{
	unsigned int s;
	pid_t pid;
	int fd;

	for (s = 0; s < FAASIN_STREAMS_MAX; s++) {
		ASSERT_LE(0, self->w);
		next_stream(&self->w, &self->fan);
	}
	EXPECT_EQ(-EAGAIN, self->w);
	self->w = -1;
	pid = child();
	if (!pid) {
		fd = fan_writer(&self->fan, 0);
		_exit(fd < 0);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, fan_stage(&self->fan, "r2"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r2", &self->options));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(FAASIN_CAUSE_SLOW, fan_state(&self->fan, 1).last.cause);
}

#define SMALL	(8 * KIB)

/* Streams of a fraction of the capacity: room comes by little, and by dropping alone. */
TEST_F(drop, a_writer_is_woken_by_what_was_dropped)
{
	unsigned int s, queued = CAPACITY / SMALL, more = 40;
	pid_t pid;

	for (s = 0; s < queued; s++) {
		ASSERT_EQ(0, pattern_write(self->w, SMALL, PAGE, s, 0));
		next_stream(&self->w, &self->fan);
		EXPECT_TRUE(reads(self->r[0], SMALL, s, 0));
		EXPECT_OVER(self->r[0], 0);
		close(self->r[0]);
		self->r[0] = fan_reader(&self->fan, 0, 0);
	}
	close(self->w);
	self->w = -1;
	EXPECT_OVER(self->r[0], 0);
	EXPECT_EQ(0, fan_state(&self->fan, 0).stats.writer_wakes);
	pid = child();
	if (!pid) {
		for (s = 0; s < more; s++) {
			self->w = fan_writer(&self->fan, 0);
			if (pattern_write(self->w, SMALL, PAGE, s, 0))
				_exit(1);
			close(self->w);
		}
		_exit(0);
	}
	for (s = 0; s < more; s++) {
		close(self->r[0]);
		self->r[0] = fan_reader(&self->fan, 0, 0);
		EXPECT_TRUE(reads(self->r[0], SMALL, s, 0));
		EXPECT_OVER(self->r[0], 0);
	}
	EXPECT_EQ(0, child_end(pid));
	/* Half of the capacity was never free at a time: nobody else wakes it. */
	EXPECT_LT(0, fan_state(&self->fan, 0).stats.writer_wakes);
	EXPECT_LT(0, fan_state(&self->fan, 1).stats.bytes_dropped);
	EXPECT_DROPPED(0, 0);
}

TEST_HARNESS_MAIN
