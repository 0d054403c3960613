// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-in: several outputs to one input. Which stream is read when, who waits for what, and what
 * becomes of it when somebody leaves, dies, or is unlinked.
 */
#include "actor.h"
#include "fan_in.h"
#include "window.h"

#include "harness.h"

#define STAGES		4
#define CAPACITY	(64 * KIB)

FIXTURE(fan_in)
{
	struct fan fan;
};

FIXTURE_SETUP(fan_in)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.capacity = CAPACITY;
	FAN_IN_SETUP(&self->fan, STAGES, &options);
}

FIXTURE_TEARDOWN(fan_in)
{
	FAN_TEARDOWN(&self->fan);
}

/* ---------------------------------------------------------------------- order */

TEST_F(fan_in, streams_are_whole_and_come_in_the_order_in_which_they_began)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), w1 = fan_in_writer(&self->fan, 1, 0);
	int w2 = fan_in_writer(&self->fan, 2, 0);

	EXPECT_WRITE(w2, "third");
	EXPECT_WRITE(w1, "second");
	EXPECT_WRITE(w0, "fir");
	EXPECT_WRITE(w1, "!");
	close(w2);
	EXPECT_WRITE(w0, "st");
	close(w1);
	close(w0);
	EXPECT_STREAM(0, "fourth");
	EXPECT_STREAM(2, "fifth");
	EXPECT_STREAM(0, "sixth");
	EXPECT_NEXT("first", 0);
	EXPECT_NEXT("second!", 0);
	EXPECT_NEXT("third", 0);
	EXPECT_NEXT("fourth", 0);
	EXPECT_NEXT("fifth", 0);
	EXPECT_NEXT("sixth", 0);
}

TEST_F(fan_in, empty_streams_count)
{
	close(fan_in_writer(&self->fan, 1, 0));
	EXPECT_STREAM(0, "bytes");
	close(fan_in_writer(&self->fan, 1, 0));
	EXPECT_NEXT("", 0);
	EXPECT_NEXT("bytes", 0);
	EXPECT_NEXT("", 0);
}

/* Each has its own capacity, and nobody waits for the reader to begin with. */
TEST_F(fan_in, each_writer_is_throttled_by_its_own_link)
{
	int w[STAGES], r;
	unsigned int i;

	for (i = 0; i < STAGES; i++) {
		w[i] = fan_in_writer(&self->fan, i, O_NONBLOCK);
		ASSERT_LE(0, w[i]);
		EXPECT_EQ(CAPACITY, fill(w[i], i));
		EXPECT_EQ(0, ready(w[i]));
	}
	for (i = 0; i < STAGES; i++) {
		r = fan_in_reader(&self->fan, 0);
		EXPECT_TRUE(reads(r, CAPACITY, i, 0));
		EXPECT_TRUE(fan_gets_room(w[i]));
		if (i + 1 < STAGES)
			EXPECT_EQ(0, ready(w[i + 1]));
		close(w[i]);
		EXPECT_OVER(r, 0);
		close(r);
	}
}

TEST_F(fan_in, who_read_nothing_takes_nothing)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), r;

	EXPECT_WRITE(w0, "bytes");
	r = fan_in_reader(&self->fan, 0);
	close(r);
	r = fan_in_reader(&self->fan, 0);
	/* Bound, but not taken. */
	EXPECT_EQ(POLLIN, ready(r));
	EXPECT_EQ(5, unread(r));
	close(r);
	EXPECT_STREAM(1, "others");
	EXPECT_WRITE(w0, "more");
	close(w0);
	EXPECT_NEXT("bytesmore", 0);
	EXPECT_NEXT("others", 0);
}

/* An open joins until the end was delivered; a descriptor has one stream for its life. */
TEST_F(fan_in, a_session_has_one_stream)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), w1 = fan_in_writer(&self->fan, 1, 0);
	int a = fan_in_reader(&self->fan, 0), b, c;

	EXPECT_WRITE(w1, "other");
	EXPECT_WRITE(w0, "abcd");
	EXPECT_READ(a, "ab");
	b = fan_in_reader(&self->fan, 0);
	c = fan_in_reader(&self->fan, 0);
	EXPECT_READ(b, "cd");
	EXPECT_EQ(port_info(a).link_generation, port_info(b).link_generation);
	close(w0);
	EXPECT_OVER(a, 0);
	/* It had not been used yet, and still belongs to that session. */
	EXPECT_OVER(c, 0);
	EXPECT_OVER(b, 0);
	close(w1);
	EXPECT_OVER(a, 0);
	EXPECT_NEXT("other", 0);
	close(a);
	close(b);
	close(c);
}

TEST_F(fan_in, sixteen_share_a_session)
{
	const unsigned int n = 16, each = 3000;
	int w0 = fan_in_writer(&self->fan, 0, 0), w1 = fan_in_writer(&self->fan, 1, 0);
	uint64_t *sum = shared(sizeof(*sum));
	pid_t pids[16];
	unsigned int i;
	char buf[100];
	long got;
	int r;

	for (i = 0; i < n; i++) {
		r = fan_in_reader(&self->fan, 0);
		ASSERT_LE(0, r);
		pids[i] = child();
		if (!pids[i]) {
			close(w0);
			close(w1);
			while ((got = read(r, buf, sizeof(buf))) > 0)
				__atomic_fetch_add(sum, got, __ATOMIC_RELAXED);
			_exit(got ? 1 : 0);
		}
		close(r);
	}
	EXPECT_EQ(0, pattern_write(w1, 1000, 1000, 1, 0));
	EXPECT_EQ(0, pattern_write(w0, n * each, 777, 0, 0));
	close(w0);
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_EQ(n * each, *sum);
	EXPECT_EQ(n * each, fan_in_state(&self->fan, 0).stats.bytes_out);
	EXPECT_EQ(0, fan_in_state(&self->fan, 1).stats.bytes_out);
	close(w1);
	munmap(sum, sizeof(*sum));
}

/* ----------------------------------------------------------------------- ends */

TEST_F(fan_in, closing_early_concerns_that_stream_only)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), w1 = fan_in_writer(&self->fan, 1, 0);
	int r = fan_in_reader(&self->fan, 0);

	EXPECT_WRITE(w0, "bytes");
	EXPECT_WRITE(w1, "other");
	EXPECT_READ(r, "by");
	close(r);
	EXPECT_EQ(-EPIPE, sys(write(w0, "x", 1)));
	EXPECT_WRITE(w1, "more");
	EXPECT_EQ(POLLOUT, ready(w1));
	close(w0);
	close(w1);
	EXPECT_NEXT("othermore", 0);
	EXPECT_EQ(1, fan_in_state(&self->fan, 0).stats.early_closes);
	EXPECT_EQ(3, fan_in_state(&self->fan, 0).stats.bytes_dropped);
	EXPECT_EQ(0, fan_in_state(&self->fan, 1).stats.early_closes);
}

TEST_F(fan_in, end_of_an_input_closes_its_stream_early)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), r = fan_in_reader(&self->fan, 0);

	EXPECT_WRITE(w0, "bytes");
	EXPECT_STREAM(1, "other");
	EXPECT_EQ(0, sys(ioctl(r, FAASIN_IOC_END)));
	EXPECT_EQ(-EPIPE, sys(write(w0, "x", 1)));
	EXPECT_OVER(r, 0);
	EXPECT_NEXT("other", 0);
	close(w0);
	close(r);
}

/* An abort is told in its turn, after what was written before. */
TEST_F(fan_in, aborts_come_in_turn)
{
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };
	int w0 = fan_in_writer(&self->fan, 0, 0), w1;
	pid_t pid;

	EXPECT_WRITE(w0, "whole");
	w1 = fan_in_writer(&self->fan, 1, 0);
	EXPECT_WRITE(w1, "aborted");
	EXPECT_EQ(0, sys(ioctl(w1, FAASIN_IOC_ABORT, &request)));
	pid = child();
	if (!pid) {
		close(w0);
		w1 = fan_in_writer(&self->fan, 2, 0);
		pattern_write(w1, 100, 100, 2, 0);
		pause();
	}
	ASSERT_TRUE(blocks_in(pid, SYS_pause));
	EXPECT_STREAM(3, "last");
	child_kill(pid, SIGKILL);
	close(w1);
	close(w0);
	EXPECT_NEXT("whole", 0);
	EXPECT_NEXT("aborted", -ECONNABORTED);
	w0 = fan_in_reader(&self->fan, 0);
	EXPECT_TRUE(reads(w0, 100, 2, 0));
	EXPECT_OVER(w0, -ECONNABORTED);
	close(w0);
	EXPECT_NEXT("last", 0);
	EXPECT_EQ(FAASIN_CAUSE_SIGNAL, fan_in_state(&self->fan, 2).last.cause);
	EXPECT_STREQ("p2", fan_in_state(&self->fan, 2).stage);
}

/* --------------------------------------------------------------------- waiting */

/* A call that waits for a stream to begin, in a child that says what it got. */
#define EXPECT_WAITS(expected, call, nr, then)					\
do {										\
	pid_t waits_pid = child();						\
										\
	if (!waits_pid)								\
		_exit((call) == (expected) ? 0 : 1);				\
	EXPECT_TRUE(blocks_in(waits_pid, nr));					\
	then;									\
	EXPECT_EQ(0, child_end(waits_pid));					\
} while (0)

TEST_F(fan_in, a_read_waits_for_a_stream_and_then_for_bytes)
{
	int r = fan_in_reader(&self->fan, 0), w;
	char buf[8];

	EXPECT_WAITS(5, read(r, buf, sizeof(buf)), SYS_read, {
		w = fan_in_writer(&self->fan, 2, 0);
		EXPECT_STREAM(1, "other");
		EXPECT_WRITE(w, "bytes");
	});
	close(w);
	EXPECT_OVER(r, 0);
	close(r);
	r = fan_in_reader(&self->fan, 0);
	EXPECT_READ(r, "other");
	close(r);
	r = fan_in_reader(&self->fan, 0);
	EXPECT_WAITS(0, read(r, buf, sizeof(buf)), SYS_read,
		     close(fan_in_writer(&self->fan, 3, 0)));
	close(r);
}

TEST_F(fan_in, a_signal_ends_the_wait_for_a_stream)
{
	int r = fan_in_reader(&self->fan, 0);
	pid_t pid = child();
	char byte;

	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(sys(read(r, &byte, 1)) == -EINTR ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
	pid = child();
	if (!pid) {
		interrupt_by(SIGUSR1, SA_RESTART);
		_exit(read(r, &byte, 1) == 1 && byte == 'x' ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	kill(pid, SIGUSR1);
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_STREAM(0, "x");
	EXPECT_EQ(0, child_end(pid));
	close(r);
}

/* What is asked before a stream began: nothing waits, nothing is known. */
TEST_F(fan_in, before_a_stream_there_is_nothing)
{
	struct faasin_context context = { .length = 1 };
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };
	int r = fan_in_reader(&self->fan, O_NONBLOCK), pipe_fds[2];
	struct faasin_range range;
	struct faasin_port_info info;
	char byte;

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	EXPECT_EQ(-EAGAIN, sys(read(r, &byte, 1)));
	EXPECT_EQ(0, sys(read(r, &byte, 0)));
	EXPECT_EQ(0, ready(r));
	EXPECT_EQ(0, unread(r));
	EXPECT_EQ(-EAGAIN, sys(splice(r, NULL, pipe_fds[1], NULL, 1, 0)));
	EXPECT_EQ(-ENODATA, sys(ioctl(r, FAASIN_IOC_END)));
	EXPECT_EQ(-ENODATA, sys(ioctl(r, FAASIN_IOC_GET_CONTEXT, &context)));
	EXPECT_EQ(-EBADF, sys(ioctl(r, FAASIN_IOC_SET_CONTEXT, &context)));
	EXPECT_EQ(-EBADF, sys(ioctl(r, FAASIN_IOC_ABORT, &abort)));
	EXPECT_EQ(-EBADF, window_alloc(r, 1));
	EXPECT_EQ(-EBADF, window_send(r, 0, 1));
	EXPECT_EQ(-EAGAIN, window_take(r, &range));
	EXPECT_EQ(-EACCES, window_return(r, 0));
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(r, FAASIN_IOC_LANE)));
	EXPECT_EQ(0, sys(ioctl(r, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(0, sys(ioctl(r, FAASIN_IOC_LANE_KICK)));
	EXPECT_EQ(0, window_info(r).size);
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-EAGAIN, window_try_map(r, PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, window_try_map(r, PAGE, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(-EBADF, sys(write(r, "x", 1)));
	EXPECT_EQ(-ENOTTY, sys(ioctl(r, 0x5401, &byte)));
	EXPECT_EQ(-EFAULT, sys(ioctl(r, FIONREAD, NULL)));
	EXPECT_EQ(-EFAULT, sys(ioctl(r, FAASIN_IOC_INFO, NULL)));
	EXPECT_EQ(-ESPIPE, sys(lseek(r, 0, SEEK_SET)));
	info = port_info(r);
	EXPECT_EQ(FAASIN_ABI_VERSION, info.abi);
	EXPECT_EQ(0, info.capacity);
	EXPECT_EQ(0, info.link_generation);
	EXPECT_EQ(0, info.stream);
	EXPECT_EQ(0, info.flags);
	/* And then it is there. */
	EXPECT_STREAM(3, "bytes");
	info = port_info(r);
	EXPECT_EQ(CAPACITY, info.capacity);
	EXPECT_EQ(fan_in_state(&self->fan, 3).link.generation, info.link_generation);
	EXPECT_EQ(1, info.stream);
	EXPECT_EQ(5, info.unread);
	EXPECT_READ(r, "bytes");
	close(r);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* Without waiting the caller's descriptor may be asked in any way first: each binds it. */
TEST_F(fan_in, whatever_asks_for_the_stream_binds)
{
	struct faasin_context context = { .length = 1, .data = "c" };
	int w, r, other;
	unsigned int way;
	struct faasin_range range;

	for (way = 0; way < 7; way++) {
		r = fan_in_reader(&self->fan, O_NONBLOCK);
		w = fan_in_writer(&self->fan, way % 2, 0);
		EXPECT_EQ(0, sys(ioctl(w, FAASIN_IOC_SET_CONTEXT, &context)));
		EXPECT_WRITE(w, "ab");
		switch (way) {
		case 0:
			EXPECT_EQ(POLLIN, ready(r));
			break;
		case 1:
			EXPECT_EQ(2, unread(r));
			break;
		case 2:
			EXPECT_EQ(2, port_info(r).unread);
			break;
		case 3:
			EXPECT_EQ(0, sys(ioctl(r, FAASIN_IOC_GET_CONTEXT, &context)));
			EXPECT_EQ('c', context.data[0]);
			break;
		case 4:
			EXPECT_EQ(CAPACITY - PAGE, window_info(r).size);
			break;
		case 5:
			EXPECT_EQ(1, window_take(r, &range));
			EXPECT_EQ(2, range.length);
			EXPECT_EQ(0, window_return(r, range.offset));
			break;
		case 6:
			EXPECT_READ(r, "ab");
			break;
		}
		/* One that has the session in common, and came to use later. */
		other = fan_in_reader(&self->fan, O_NONBLOCK);
		if (way < 5)
			EXPECT_READ(other, "ab");
		close(w);
		EXPECT_OVER(other, 0);
		EXPECT_OVER(r, 0);
		close(other);
		close(r);
	}
}

/* ---------------------------------------------------------------------- unlink */

/* What a deleted link holds is read in its turn, while there are others. */
TEST_F(fan_in, a_deleted_links_streams_keep_their_places)
{
	int w0, w1 = fan_in_writer(&self->fan, 1, 0);

	EXPECT_STREAM(0, "ended");
	w0 = fan_in_writer(&self->fan, 0, 0);
	EXPECT_WRITE(w0, "cut");
	EXPECT_STREAM(2, "last");
	EXPECT_EQ(0, fan_unlink(&self->fan, "p0", NULL));
	EXPECT_EQ(-EPIPE, sys(write(w0, "x", 1)));
	EXPECT_WRITE(w1, "first");
	close(w1);
	close(w0);
	EXPECT_NEXT("first", 0);
	EXPECT_NEXT("ended", 0);
	EXPECT_NEXT("cut", -ECONNABORTED);
	EXPECT_NEXT("last", 0);
	EXPECT_EQ(STAGES - 1, fan_links(&self->fan));
}

/* Linked again, it is another link, and the old one's streams still come first. */
TEST_F(fan_in, a_link_can_be_deleted_and_made_again)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;
	int round;

	options.capacity = CAPACITY;
	for (round = 0; round < 3; round++) {
		EXPECT_STREAM(0, "before");
		EXPECT_EQ(0, fan_unlink(&self->fan, "p0", NULL));
		EXPECT_EQ(0, fan_link(&self->fan, "p0", "d", &options));
		EXPECT_STREAM(0, "after");
	}
	for (round = 0; round < 3; round++) {
		EXPECT_NEXT("before", 0);
		EXPECT_NEXT("after", 0);
	}
	EXPECT_EQ(3 * 11, fan_in_state(&self->fan, 0).stats.bytes_out);
	EXPECT_EQ(6, fan_in_state(&self->fan, 0).stats.streams_ended);
}

TEST_F(fan_in, a_stream_that_is_read_is_read_to_its_end_when_its_link_goes)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), r = fan_in_reader(&self->fan, 0), other;

	EXPECT_WRITE(w0, "bytes");
	EXPECT_STREAM(1, "other");
	EXPECT_READ(r, "by");
	EXPECT_EQ(0, fan_unlink(&self->fan, "p0", NULL));
	/* One more joins it, as its end is not delivered. */
	other = fan_in_reader(&self->fan, 0);
	EXPECT_READ(other, "tes");
	EXPECT_OVER(r, -ECONNABORTED);
	EXPECT_OVER(other, -ECONNABORTED);
	EXPECT_NEXT("other", 0);
	close(w0);
	close(r);
	close(other);
}

/* When the last link goes, who has the input open reads one more stream, and that is all. */
TEST_F(fan_in, the_last_link)
{
	unsigned int i;
	char name[16];
	int r;

	EXPECT_STREAM(2, "first");
	EXPECT_STREAM(1, "second");
	EXPECT_STREAM(2, "third");
	r = fan_in_reader(&self->fan, 0);
	for (i = 0; i < STAGES; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, name, NULL));
	}
	EXPECT_EQ(-ENXIO, fan_in_reader(&self->fan, O_NONBLOCK));
	EXPECT_EQ(16, fan_sums(&self->fan).bytes_held);
	EXPECT_READ(r, "fi");
	/* Those are nobody's. */
	EXPECT_EQ(3, fan_sums(&self->fan).bytes_held - 5);
	EXPECT_READ(r, "rst");
	EXPECT_OVER(r, 0);
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_held);
	EXPECT_EQ(11, fan_sums(&self->fan).bytes_dropped);
	close(r);
	/* Linked anew, it is as any input. */
	EXPECT_EQ(0, fan_link(&self->fan, "p1", "d", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "p2", "d", NULL));
	EXPECT_STREAM(1, "plain");
	EXPECT_NEXT("plain", 0);
}

TEST_F(fan_in, nobody_has_it_open_when_the_last_link_goes)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_STREAM(i, "bytes");
	EXPECT_EQ(0, fan_unlink(&self->fan, "p1", NULL));
	EXPECT_EQ(4 * 5, fan_sums(&self->fan).bytes_held);
	EXPECT_EQ(0, fan_unlink(&self->fan, "p0", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "p2", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "p3", NULL));
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_held);
	EXPECT_EQ(4 * 5, fan_sums(&self->fan).bytes_dropped);
}

/* An open of an input without links waits for one, as ever. */
TEST_F(fan_in, an_open_waits_for_a_link)
{
	unsigned int i;
	char name[16];

	for (i = 0; i < STAGES; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, name, NULL));
	}
	EXPECT_WAITS(true, fan_in_reader(&self->fan, 0) >= 0, SYS_openat,
		     EXPECT_EQ(0, fan_link(&self->fan, "p0,p3", "d", NULL)));
	EXPECT_EQ(2, fan_links(&self->fan));
}

TEST_F(fan_in, deleting_a_source_unlinks_it)
{
	struct faasctl *ctl;
	int w0 = fan_in_writer(&self->fan, 0, 0);

	EXPECT_WRITE(w0, "bytes");
	EXPECT_STREAM(1, "other");
	ASSERT_EQ(0, faasctl_open(&ctl, NULL));
	EXPECT_EQ(0, faasctl_stage_del(ctl, self->fan.name, "p0", 0, NULL));
	EXPECT_EQ(STAGES - 1, fan_links(&self->fan));
	EXPECT_NEXT("bytes", -ECONNABORTED);
	EXPECT_NEXT("other", 0);
	EXPECT_STREAM(2, "lost");
	EXPECT_EQ(0, faasctl_stage_del(ctl, self->fan.name, "d", 0, NULL));
	EXPECT_EQ(0, fan_links(&self->fan));
	faasctl_close(ctl);
	close(w0);
}

TEST_HARNESS_MAIN
