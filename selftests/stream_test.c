// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: no rendezvous, what belongs to which stream, queues of streams and
 * sessions. (How streams end early: end_test.c.)
 */
#include "common.h"
#include "harness.h"

FIXTURE(stream)
{
	struct flow flow;
};

FIXTURE_SETUP(stream)
{
	FLOW_SETUP(&self->flow, NULL);
}

FIXTURE_TEARDOWN(stream)
{
	FLOW_TEARDOWN(&self->flow);
}

/* A whole stream: opened, written, closed. */
static int stream_of(struct flow *f, const char *text)
{
	int fd = flow_writer(f, O_NONBLOCK);
	long len = strlen(text), done;

	if (fd < 0)
		return fd;
	done = sys(write(fd, text, len));
	close(fd);
	return done == len ? 0 : done < 0 ? done : -EIO;
}

/* -------------------------------------------------------- 1: no rendezvous */

FIXTURE(open)
{
	struct flow flow;
	const char *port;
};

FIXTURE_VARIANT(open)
{
	int flags;
};

FIXTURE_VARIANT_ADD(open, write) { .flags = O_WRONLY };
FIXTURE_VARIANT_ADD(open, write_nonblock) { .flags = O_WRONLY | O_NONBLOCK };
FIXTURE_VARIANT_ADD(open, read) { .flags = O_RDONLY };
FIXTURE_VARIANT_ADD(open, read_nonblock) { .flags = O_RDONLY | O_NONBLOCK };

FIXTURE_SETUP(open)
{
	FLOW_SETUP(&self->flow, NULL);
	self->port = variant->flags & O_WRONLY ? self->flow.out : self->flow.in;
}

FIXTURE_TEARDOWN(open)
{
	FLOW_TEARDOWN(&self->flow);
}

TEST_F(open, does_not_wait_for_the_peer)
{
	int fd = sys(open(self->port, variant->flags));

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
}

TEST_F(open, of_an_unlinked_port_waits_for_a_link)
{
	pid_t pid;
	int fd;

	ASSERT_EQ(0, flow_unlink(&self->flow));
	if (variant->flags & O_NONBLOCK) {
		EXPECT_EQ(-ENXIO, sys(open(self->port, variant->flags)));
		ASSERT_EQ(0, flow_link(&self->flow));
		fd = sys(open(self->port, variant->flags));
		EXPECT_LE(0, fd);
		return;
	}
	pid = child();
	if (!pid) {
		fd = sys(open(self->port, variant->flags));
		_exit(fd < 0 ? -fd : 0);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	ASSERT_EQ(0, flow_link(&self->flow));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(open, in_the_wrong_direction_is_refused)
{
	const char *other = variant->flags & O_WRONLY ? self->flow.in : self->flow.out;

	EXPECT_EQ(-EACCES, sys(open(other, variant->flags)));
}

TEST_F(stream, waiting_open_gives_way_to_signals)
{
	const char *port = self->flow.out;
	pid_t pid;

	ASSERT_EQ(0, flow_unlink(&self->flow));
	for (; port; port = port == self->flow.out ? self->flow.in : NULL) {
		pid = child();
		if (!pid) {
			interrupt_by(SIGUSR1, 0);
			_exit(-sys(open(port, port == self->flow.out ? O_WRONLY : O_RDONLY)));
		}
		EXPECT_TRUE(blocks_in_open(pid));
		EXPECT_EQ(0, kill(pid, SIGUSR1));
		EXPECT_EQ(EINTR, child_end(pid));

		pid = child();
		if (!pid)
			_exit(-sys(open(port, port == self->flow.out ? O_WRONLY : O_RDONLY)));
		EXPECT_TRUE(blocks_in_open(pid));
		EXPECT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, child_end(pid));
	}
}

TEST_F(stream, input_cannot_be_opened_for_both)
{
	EXPECT_EQ(-EACCES, sys(open(self->flow.in, O_RDWR)));
}

TEST_F(stream, output_opened_for_both_only_writes)
{
	int w = sys(open(self->flow.out, O_RDWR)), r;
	char byte;

	ASSERT_LE(0, w);
	EXPECT_WRITE(w, "x");
	EXPECT_EQ(-EBADF, sys(read(w, &byte, 1)));
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "x");
	EXPECT_EQ(-EBADF, sys(write(r, "y", 1)));
	close(w);
	EXPECT_OVER(r, 0);
}

TEST_F(stream, bytes_wait_for_the_reader)
{
	int r;

	ASSERT_EQ(0, stream_of(&self->flow, "early"));
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "early");
	EXPECT_OVER(r, 0);
}

TEST_F(stream, reader_waits_for_the_writer)
{
	pid_t pid = child();
	int w;

	if (!pid) {
		struct heard heard = pattern_read(flow_reader(&self->flow, 0), PAGE, 1);

		_exit(heard.bytes == 1000 && !heard.end && heard.intact ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	w = flow_writer(&self->flow, 0);
	EXPECT_EQ(0, pattern_write(w, 1000, 1000, 1, 0));
	/* Its stream is live: the reader goes on waiting. */
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	close(w);
	EXPECT_EQ(0, child_end(pid));
}

/* ----------------------------------------------------- 2: streams never mix */

TEST_F(stream, ends_with_the_last_close)
{
	int w1 = flow_writer(&self->flow, 0), w2 = flow_writer(&self->flow, 0);
	int r = flow_reader(&self->flow, O_NONBLOCK);
	char byte;

	EXPECT_WRITE(w1, "one");
	EXPECT_WRITE(w2, "two");
	EXPECT_READ(r, "onetwo");
	EXPECT_EQ(-EAGAIN, sys(read(r, &byte, 1)));
	close(w1);
	EXPECT_EQ(-EAGAIN, sys(read(r, &byte, 1)));
	EXPECT_WRITE(w2, "three");
	close(w2);
	EXPECT_READ(r, "three");
	EXPECT_OVER(r, 0);
	EXPECT_EQ(1, flow_stats(&self->flow).streams_begun);
}

TEST_F(stream, next_open_begins_the_next)
{
	int r;

	ASSERT_EQ(0, stream_of(&self->flow, "first"));
	ASSERT_EQ(0, stream_of(&self->flow, "second"));
	r = flow_reader(&self->flow, 0);
	EXPECT_EQ(5, unread(r));
	EXPECT_READ(r, "first");
	EXPECT_OVER(r, 0);
	close(r);
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "second");
	EXPECT_OVER(r, 0);
	EXPECT_EQ(2, flow_stats(&self->flow).streams_begun);
	EXPECT_EQ(2, flow_stats(&self->flow).streams_ended);
}

TEST_F(stream, one_read_never_crosses_an_end)
{
	int r = flow_reader(&self->flow, 0), w;
	char buf[64] = "";

	ASSERT_EQ(0, stream_of(&self->flow, "1"));
	w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(w, "22");
	EXPECT_EQ(1, unread(r));
	EXPECT_EQ(1, sys(read(r, buf, sizeof(buf))));
	EXPECT_OVER(r, 0);
	EXPECT_EQ(0, unread(r));
}

TEST_F(stream, end_of_file_stays_when_another_begins)
{
	int r = flow_reader(&self->flow, 0), w;

	ASSERT_EQ(0, stream_of(&self->flow, "first"));
	EXPECT_READ(r, "first");
	EXPECT_OVER(r, 0);
	w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(w, "second");
	EXPECT_OVER(r, 0);
	close(w);
	EXPECT_OVER(r, 0);
}

TEST_F(stream, leaked_reader_does_not_take_the_next)
{
	int leaked = flow_reader(&self->flow, 0), r;

	ASSERT_EQ(0, stream_of(&self->flow, "first"));
	EXPECT_READ(leaked, "first");
	EXPECT_OVER(leaked, 0);

	ASSERT_EQ(0, stream_of(&self->flow, "the next"));
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "the");
	EXPECT_OVER(leaked, 0);
	close(leaked);
	EXPECT_READ(r, " next");
	EXPECT_OVER(r, 0);
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_dropped);
}

TEST_F(stream, leaked_writer_does_not_merge_two)
{
	int leaked = flow_writer(&self->flow, 0), w, r;

	EXPECT_WRITE(leaked, "first");
	EXPECT_EQ(0, sys(ioctl(leaked, FAASIN_IOC_END)));
	w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(w, "second");
	EXPECT_EQ(-EPIPE, sys(write(leaked, "x", 1)));

	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "first");
	EXPECT_OVER(r, 0);
	close(r);
	r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_READ(r, "second");
	close(leaked); /* does not end the other one's stream */
	EXPECT_WRITE(w, "more");
	EXPECT_READ(r, "more");
	close(w);
	EXPECT_OVER(r, 0);
}

TEST_F(stream, readers_of_one_session_share_it)
{
	int w = flow_writer(&self->flow, 0);
	int r1 = flow_reader(&self->flow, 0), r2;

	EXPECT_WRITE(w, "abcdef");
	EXPECT_READ(r1, "ab");
	r2 = flow_reader(&self->flow, 0);
	EXPECT_READ(r2, "cd");
	close(r1); /* one reader is left: not an early close */
	EXPECT_WRITE(w, "gh");
	EXPECT_READ(r2, "efgh");
	close(w);
	EXPECT_OVER(r2, 0);
	EXPECT_EQ(0, flow_stats(&self->flow).early_closes);
}

TEST_F(stream, readers_opened_before_it_share_it)
{
	int r1 = flow_reader(&self->flow, 0), r2 = flow_reader(&self->flow, 0);

	ASSERT_EQ(0, stream_of(&self->flow, "abcd"));
	EXPECT_READ(r2, "ab");
	EXPECT_READ(r1, "cd");
	EXPECT_OVER(r1, 0);
	EXPECT_OVER(r2, 0);
}

TEST_F(stream, reader_joins_until_the_end_was_seen)
{
	int r1 = flow_reader(&self->flow, 0), r2;

	ASSERT_EQ(0, stream_of(&self->flow, "abcd"));
	ASSERT_EQ(0, stream_of(&self->flow, "next"));
	EXPECT_READ(r1, "ab");
	r2 = flow_reader(&self->flow, 0);
	EXPECT_READ(r2, "cd");
	EXPECT_OVER(r2, 0);
	EXPECT_OVER(r1, 0);
	r2 = flow_reader(&self->flow, 0);
	EXPECT_READ(r2, "next");
	EXPECT_OVER(r2, 0);
}

TEST_F(stream, session_closed_unread_takes_nothing)
{
	struct pollfd event = { .events = POLLIN };
	int r;

	ASSERT_EQ(0, stream_of(&self->flow, "kept"));
	r = flow_reader(&self->flow, 0);
	close(r);
	/* To look is not to take. */
	event.fd = flow_reader(&self->flow, 0);
	EXPECT_EQ(1, poll(&event, 1, DEADLINE * 1000));
	EXPECT_EQ(4, unread(event.fd));
	close(event.fd);

	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "kept");
	EXPECT_OVER(r, 0);
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_dropped);
	EXPECT_EQ(0, flow_stats(&self->flow).early_closes);
}

TEST_F(stream, rest_of_a_begun_one_is_dropped)
{
	struct link_state state;
	int r;

	ASSERT_EQ(0, stream_of(&self->flow, "abandoned"));
	ASSERT_EQ(0, stream_of(&self->flow, "next"));
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "a");
	close(r);
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "next");
	EXPECT_OVER(r, 0);

	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(13, state.stats.bytes_in);
	EXPECT_EQ(5, state.stats.bytes_out);
	EXPECT_EQ(8, state.stats.bytes_dropped);
	EXPECT_EQ(0, state.stats.bytes_held);
	EXPECT_EQ(1, state.stats.early_closes);
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, state.last.cause);
	EXPECT_EQ(1, state.last.stream);
	EXPECT_EQ(getpid(), (pid_t)state.last.pid);
	EXPECT_STREQ("b", state.stage);
}

TEST_F(stream, empty_one_is_one)
{
	int r;

	ASSERT_EQ(0, stream_of(&self->flow, ""));
	ASSERT_EQ(0, stream_of(&self->flow, "full"));
	r = flow_reader(&self->flow, 0);
	EXPECT_OVER(r, 0);
	close(r);
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "full");
	EXPECT_OVER(r, 0);
}

TEST_F(stream, forked_holder_keeps_it_live)
{
	int w = flow_writer(&self->flow, 0), r = flow_reader(&self->flow, O_NONBLOCK);
	int go = bell();
	pid_t pid;
	char byte;

	EXPECT_WRITE(w, "parent");
	pid = child();
	if (!pid) {
		if (!await(go))
			_exit(1);
		_exit(write(w, "child", 5) == 5 ? 0 : 1);
	}
	close(w);
	EXPECT_READ(r, "parent");
	EXPECT_EQ(-EAGAIN, sys(read(r, &byte, 1)));
	ring(go);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(r, "child");
	EXPECT_OVER(r, 0);
	EXPECT_EQ(1, flow_stats(&self->flow).streams_begun);
}

/* ------------------------------------------------------------ queue of them */

/* Ends as many streams as can wait, each with its number in it. */
static int fill_queue(struct flow *f)
{
	char text[16];
	int i, error;

	for (i = 0; i < FAASIN_STREAMS_MAX; i++) {
		snprintf(text, sizeof(text), "%05d", i);
		error = stream_of(f, text);
		if (error)
			return error;
	}
	return 0;
}

TEST_F(stream, queue_keeps_each_apart)
{
	char text[16], buf[16];
	int i, r;

	ASSERT_EQ(0, fill_queue(&self->flow));
	EXPECT_EQ(FAASIN_STREAMS_MAX, flow_stats(&self->flow).streams_queued);
	for (i = 0; i < FAASIN_STREAMS_MAX; i++) {
		r = flow_reader(&self->flow, O_NONBLOCK);
		memset(buf, 0, sizeof(buf));
		snprintf(text, sizeof(text), "%05d", i);
		ASSERT_EQ(5, sys(read(r, buf, sizeof(buf))));
		ASSERT_STREQ(text, buf);
		ASSERT_EQ(0, sys(read(r, buf, sizeof(buf))));
		close(r);
	}
	EXPECT_EQ(0, flow_stats(&self->flow).streams_queued);
	r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, sys(read(r, buf, sizeof(buf))));
}

TEST_F(stream, full_queue_refuses_a_nonblocking_open)
{
	int r;

	ASSERT_EQ(0, fill_queue(&self->flow));
	EXPECT_EQ(-EAGAIN, flow_writer(&self->flow, O_NONBLOCK));
	/* A session that takes nothing makes no room. */
	close(flow_reader(&self->flow, 0));
	EXPECT_EQ(-EAGAIN, flow_writer(&self->flow, O_NONBLOCK));
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "00000");
	EXPECT_OVER(r, 0);
	close(r);
	EXPECT_EQ(0, stream_of(&self->flow, "after"));
	EXPECT_EQ(-EAGAIN, flow_writer(&self->flow, O_NONBLOCK));
}

TEST_F(stream, full_queue_makes_an_open_wait)
{
	pid_t pid;
	int r;

	ASSERT_EQ(0, fill_queue(&self->flow));
	pid = child();
	if (!pid) {
		int w = flow_writer(&self->flow, 0);

		_exit(w >= 0 && write(w, "waited", 6) == 6 ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "00000");
	EXPECT_OVER(r, 0);
	close(r);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(FAASIN_STREAMS_MAX, flow_stats(&self->flow).streams_queued);

	/* Interruptible, too. */
	pid = child();
	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(-flow_writer(&self->flow, 0));
	}
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, kill(pid, SIGUSR1));
	EXPECT_EQ(EINTR, child_end(pid));
}

TEST_F(stream, one_that_is_closed_early_leaves_the_queue)
{
	char byte;
	pid_t pid;
	int i, r;

	for (i = 0; i < FAASIN_STREAMS_MAX; i++)
		ASSERT_EQ(0, stream_of(&self->flow, "queued"));
	pid = child();
	if (!pid)
		_exit(flow_writer(&self->flow, 0) < 0);
	EXPECT_TRUE(blocks_in_open(pid));
	r = flow_reader(&self->flow, 0);
	EXPECT_EQ(1, sys(read(r, &byte, 1)));
	close(r);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(stream, empty_ones_fill_the_queue)
{
	char byte;
	int i, r;

	for (i = 0; i < FAASIN_STREAMS_MAX; i++)
		ASSERT_EQ(0, stream_of(&self->flow, ""));
	EXPECT_EQ(-EAGAIN, flow_writer(&self->flow, O_NONBLOCK));
	r = flow_reader(&self->flow, 0);
	EXPECT_EQ(0, sys(read(r, &byte, 1)));
	close(r);
	EXPECT_EQ(0, stream_of(&self->flow, "room"));
}

TEST_F(stream, live_one_can_be_joined_whatever_is_queued)
{
	int i, w, w2;

	for (i = 0; i < FAASIN_STREAMS_MAX - 1; i++)
		ASSERT_EQ(0, stream_of(&self->flow, "q"));
	w = flow_writer(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, w);
	w2 = flow_writer(&self->flow, O_NONBLOCK);
	EXPECT_LE(0, w2);
	EXPECT_WRITE(w2, "joined");
}

TEST_F(stream, reader_session_waits_for_the_oldest)
{
	int r = flow_reader(&self->flow, 0), again;

	/* Opened when there was none: it gets the first there will be. */
	ASSERT_EQ(0, stream_of(&self->flow, "1st"));
	ASSERT_EQ(0, stream_of(&self->flow, "2nd"));
	EXPECT_READ(r, "1st");
	EXPECT_OVER(r, 0);
	again = flow_reader(&self->flow, 0);
	EXPECT_READ(again, "2nd");
	EXPECT_OVER(again, 0);
	EXPECT_OVER(r, 0);
}

TEST_F(stream, statistics_add_up)
{
	int w = flow_writer(&self->flow, 0), r = flow_reader(&self->flow, 0);
	struct faasctl_stats stats;

	EXPECT_WRITE(w, "12345");
	EXPECT_WRITE(w, "678");
	EXPECT_READ(r, "1234");
	stats = flow_stats(&self->flow);
	EXPECT_EQ(8, stats.bytes_in);
	EXPECT_EQ(4, stats.bytes_out);
	EXPECT_EQ(4, stats.bytes_held);
	EXPECT_EQ(0, stats.bytes_dropped);
	EXPECT_LE(8, stats.bytes_held_max);
	EXPECT_EQ(2, stats.writes);
	EXPECT_EQ(1, stats.reads);
	EXPECT_EQ(1, stats.streams_begun);
	EXPECT_EQ(0, stats.streams_ended);
	EXPECT_LT(0, stats.pool_bytes);
	close(w);
	EXPECT_READ(r, "5678");
	EXPECT_OVER(r, 0);
	stats = flow_stats(&self->flow);
	EXPECT_EQ(8, stats.bytes_out);
	EXPECT_EQ(0, stats.bytes_held);
	EXPECT_EQ(1, stats.streams_ended);
	EXPECT_EQ(0, stats.streams_aborted);
}

TEST_HARNESS_MAIN
