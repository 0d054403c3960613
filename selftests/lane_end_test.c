// SPDX-License-Identifier: GPL-2.0
/* Lanes: what ends, stops or takes over a stream that goes by one, and what comes back then. */
#include "lane.h"

#include <sys/uio.h>

#include "harness.h"
#include "live.h"

FIXTURE(end)
{
	struct lane lane;
};

FIXTURE_SETUP(end)
{
	LANE_SETUP(&self->lane);
}

FIXTURE_TEARDOWN(end)
{
	LANE_TEARDOWN(&self->lane);
}

/* ----------------------------------------------------------------------- ends */

#define FIVE()									\
do {										\
	WARM_UP(&self->lane);						\
	for (int five = 0; five < 5; five++)					\
		ASSERT_EQ(0, put(&self->lane, 1000, five));				\
} while (0)

#define EXPECT_FIVE()								\
do {										\
	for (int five = 0; five < 5; five++)					\
		EXPECT_EQ(0, get(&self->lane, 1000, five));				\
} while (0)

TEST_F(end, ends_behind_what_is_on_it)
{
	FIVE();
	ASSERT_EQ(0, sys(ioctl(self->lane.w, FAASIN_IOC_END)));
	EXPECT_EQ(-EPIPE, put(&self->lane, 1000, 5));
	EXPECT_FIVE();
	EXPECT_EQ(-ENODATA, get(&self->lane, 1, 1));
}

TEST_F(end, aborts_behind_what_is_on_it)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };

	FIVE();
	ASSERT_EQ(0, sys(ioctl(self->lane.w, FAASIN_IOC_ABORT, &abort)));
	EXPECT_EQ(-EPIPE, put(&self->lane, 1000, 5));
	EXPECT_FIVE();
	EXPECT_EQ(-ECONNABORTED, get(&self->lane, 1, 1));
}

TEST_F(end, unlinking_leaves_what_is_on_it)
{
	FIVE();
	ASSERT_EQ(0, flow_unlink(&self->lane.flow));
	EXPECT_EQ(-EPIPE, put(&self->lane, 1000, 5));
	EXPECT_FIVE();
	EXPECT_EQ(-ECONNABORTED, get(&self->lane, 1, 1));
}

TEST_F(end, an_early_close_drops_what_is_on_it)
{
	FIVE();
	ASSERT_EQ(0, sys(ioctl(self->lane.r, FAASIN_IOC_END)));
	EXPECT_EQ(-EPIPE, put(&self->lane, 1000, 5));
	EXPECT_EQ(5000, (long)flow_stats(&self->lane.flow).bytes_dropped);
	EXPECT_EQ(0, flow_stats(&self->lane.flow).bytes_held);
}

TEST_F(end, pausing_stops_it)
{
	FIVE();
	ASSERT_EQ(0, set_state(&self->lane.flow, FAASIN_LINK_STATE_PAUSED));
	EXPECT_EQ(-EAGAIN, get(&self->lane, 1000, 0));
	EXPECT_EQ(-EAGAIN, put(&self->lane, 1000, 5));
	EXPECT_EQ(5000, (long)flow_stats(&self->lane.flow).bytes_held);
	ASSERT_EQ(0, set_state(&self->lane.flow, FAASIN_LINK_STATE_RUNNING));
	EXPECT_FIVE();
	EXPECT_EQ(0, put(&self->lane, 1000, 5));
	EXPECT_EQ(0, get(&self->lane, 1000, 5));
}

TEST_F(end, who_takes_over_gets_what_is_on_it)
{
	FIVE();
	ASSERT_EQ(0, replace_by(&self->lane.flow, "b", 0, -1, NULL));
	EXPECT_EQ(-ESTALE, get(&self->lane, 1000, 0));
	lane_close_in(&self->lane);
	ASSERT_EQ(0, lane_open_in(&self->lane, O_NONBLOCK));
	EXPECT_FIVE();
	ASSERT_EQ(0, put(&self->lane, 1000, 5));
	ASSERT_EQ(0, replace_by(&self->lane.flow, "a", 0, -1, NULL));
	EXPECT_EQ(-ESTALE, put(&self->lane, 1000, 6));
	EXPECT_EQ(0, get(&self->lane, 1000, 5));
	EXPECT_EQ(-EAGAIN, get(&self->lane, 1000, 6));
}

/* The stream's two ends in processes of their own; the one that is killed is busy. */
static pid_t busy(struct lane *l, bool producer, int started)
{
	pid_t pid = child();
	long n = 0;

	if (pid)
		return pid;
	if (producer ? lane_open_out(l, 0) : lane_open_in(l, 0))
		_exit(1);
	while (!(producer ? put(l, 3000, n) : get(l, 3000, n)))
		if (++n == 200)
			ring(started);
	pause();
	_exit(1);
}

/* Ten streams of which one end is killed, each later than the one before; what the other end hears. */
static void kill_one_end(struct __test_metadata *_metadata, struct lane *l, bool producer, int error)
{
	struct faasctl_stats st;
	long n;
	int ret;

	lane_close_both(l);
	for (int i = 0; i < 10; i++) {
		int started = bell();
		pid_t pid = busy(l, producer, started);

		ASSERT_EQ(0, producer ? lane_open_in(l, 0) : lane_open_out(l, 0));
		for (n = 0; n < 300 + 17 * i; n++)
			ASSERT_EQ(0, producer ? get(l, 3000, n) : put(l, 3000, n));
		ASSERT_TRUE(await(started));
		child_kill(pid, SIGKILL);
		while (!(ret = producer ? get(l, 3000, n) : put(l, 3000, n)))
			n++;
		EXPECT_EQ(error, ret);
		child_end(pid);
		if (producer)
			lane_close_in(l);
		else
			lane_close_out(l);
		close(started);
		st = flow_stats(&l->flow);
		EXPECT_EQ(st.bytes_in, st.bytes_out + st.bytes_dropped);
		EXPECT_EQ(0, st.bytes_held);
	}
}

TEST_F_TIMEOUT(end, a_killed_producer_is_no_end, 120)
{
	kill_one_end(_metadata, &self->lane, true, -ECONNABORTED);
	EXPECT_EQ(0, flow_stats(&self->lane.flow).bytes_out % 3000);
}

TEST_F_TIMEOUT(end, a_killed_consumer_is_an_early_close, 120)
{
	kill_one_end(_metadata, &self->lane, false, -EPIPE);
	/* All of the memory comes back. */
	EXPECT_EQ(PAGE, falls_to_a_page(&self->lane.flow));
}

/* ----------------------------------------------------------- who is a writer */

/* A child that inherited the output, has the lane, and sends so much by it: killed by SIGTERM. */
static void kill_holder(struct __test_metadata *_metadata, struct lane *l, int records)
{
	int opened = bell(), go = bell(), sent = bell();
	pid_t pid;

	faasctl_window_close(l->out);
	faasctl_window_close(l->in);
	l->out = NULL;
	pid = child();
	if (!pid) {
		if (faasctl_window_open(&l->out, l->w, NULL))
			_exit(1);
		ring(opened);
		if (!await(go))
			_exit(2);
		for (int i = 0; i < records; i++)
			if (put(l, 1000, i))
				_exit(3);
		ring(sent);
		pause();
		_exit(4);
	}
	ASSERT_TRUE(await(opened));
	ASSERT_EQ(0, faasctl_window_open(&l->in, l->r, &l->err));
	ASSERT_TRUE(lane_is_on(l->w));
	ring(go);
	ASSERT_TRUE(await(sent));
	EXPECT_TRUE(lane_is_on(l->w));
	child_kill(pid, SIGTERM);
	close(opened);
	close(go);
	close(sent);
}

/* Whoever only has a lane did not write: how it dies is not for the stream to suffer. */
TEST_F(end, who_sent_nothing_is_no_writer)
{
	kill_holder(_metadata, &self->lane, 0);
	EXPECT_EQ(0, port_info(self->lane.r).flags & FAASIN_INFO_ENDED);
	EXPECT_WRITE(self->lane.w, "abc");
	EXPECT_READ(self->lane.r, "abc");
}

TEST_F(end, who_sent_by_it_is_one)
{
	kill_holder(_metadata, &self->lane, 1);
	EXPECT_EQ(0, get(&self->lane, 1000, 0));
	EXPECT_EQ(-ECONNABORTED, get(&self->lane, 1, 1));
}

/* What one process sends says nothing of another that wrote by the same descriptor, and is gone. */
TEST_F(end, who_ended_well_did_so)
{
	pid_t pid;

	faasctl_window_close(self->lane.out);
	pid = child();
	if (!pid)
		_exit(sys(write(self->lane.w, "abc", 3)) == 3 ? 0 : 1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(self->lane.r, "abc");
	ASSERT_EQ(0, faasctl_window_open(&self->lane.out, self->lane.w, &self->lane.err));
	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(0, put(&self->lane, 1000, i));
		ASSERT_EQ(0, get(&self->lane, 1000, i));
	}
	EXPECT_TRUE(lane_is_on(self->lane.w));
	EXPECT_EQ(0, unread(self->lane.r));
	lane_close_out(&self->lane);
	EXPECT_EQ(-ENODATA, get(&self->lane, 1, 1));
}

/* --------------------------------------------------------------------- memory */

/* Of a link that is quiet nothing is kept, though nobody asks for it; and on it goes. */
TEST_F(end, what_came_back_goes_when_idle)
{
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5; i++)
			ASSERT_EQ(0, put(&self->lane, 50000, i));
		for (int i = 0; i < 5; i++)
			ASSERT_EQ(0, get(&self->lane, 50000, i));
		EXPECT_EQ(PAGE, falls_to_a_page(&self->lane.flow));
		for (int i = 0; i < 200 && !lane_is_on(self->lane.w); i++) {
			ASSERT_EQ(0, put(&self->lane, 100, i));
			ASSERT_EQ(0, get(&self->lane, 100, i));
		}
		EXPECT_TRUE(lane_is_on(self->lane.w));
	}
}

/* Nor when something is passed on for a moment, and no side sleeps, or asks for anything. */
TEST_F(end, nor_is_it_kept_unseen)
{
	struct iovec part = { .iov_len = 5000 };

	WARM_UP(&self->lane);
	/* From what came back, of which nothing is left, so that the lane stays; then nobody looks any more. */
	ASSERT_EQ(0, faasctl_window_alloc(self->lane.out, 5000, &part.iov_base, &self->lane.err));
	sleep(4);
	EXPECT_TRUE(lane_is_on(self->lane.w));
	pattern_fill(part.iov_base, 5000, 1, 0);
	ASSERT_EQ(0, faasctl_window_send(self->lane.out, &part, 1, &self->lane.err));
	ASSERT_EQ(0, get(&self->lane, 5000, 1));
	for (int i = 0; i < DEADLINE * 10 && lane_is_on(self->lane.w); i++)
		usleep(100000);
	EXPECT_FALSE(lane_is_on(self->lane.w));
	EXPECT_EQ(PAGE, falls_to_a_page(&self->lane.flow));
}

TEST_HARNESS_MAIN
