// SPDX-License-Identifier: GPL-2.0
/*
 * Ends of streams other than the last close: a reader that closes early, END,
 * ABORT, and what INFO says of all this.
 */
#include "common.h"
#include "harness.h"

static volatile sig_atomic_t caught;

static void catch(int signal)
{
	caught = signal;
}

static void catch_sigpipe(void)
{
	struct sigaction action = { .sa_handler = catch };

	caught = 0;
	sigaction(SIGPIPE, &action, NULL);
}

/* ----------------------------------------------------------- 4: early close */

FIXTURE(early)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(early)
{
	enum faasin_early_close policy;
	long result;	/* of a write of one byte */
	int signal;	/* that comes with it */
};

FIXTURE_VARIANT_ADD(early, epipe) {
	.policy = FAASIN_EARLY_CLOSE_EPIPE, .result = -EPIPE, .signal = SIGPIPE,
};

FIXTURE_VARIANT_ADD(early, drain) {
	.policy = FAASIN_EARLY_CLOSE_DRAIN, .result = 1, .signal = 0,
};

FIXTURE_SETUP(early)
{
	const struct flow_options options = {
		.capacity = 64 * KIB, .early_close = variant->policy,
	};

	ENDS_SETUP(self, &options, 0, 0);
}

FIXTURE_TEARDOWN(early)
{
	ENDS_TEARDOWN(self);
}

TEST_F(early, close_after_reading_is_one)
{
	struct link_state state;

	EXPECT_WRITE(self->w, "ab");
	EXPECT_READ(self->r, "a");
	close(self->r);
	catch_sigpipe();
	EXPECT_EQ(variant->result, sys(write(self->w, "c", 1)));
	EXPECT_EQ(variant->signal, caught);
	EXPECT_EQ(variant->result, sys(write(self->w, "c", 1)));

	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(1, state.stats.early_closes);
	EXPECT_EQ(0, state.stats.bytes_held);
	EXPECT_EQ(1, state.stats.bytes_out);
	EXPECT_EQ(state.stats.bytes_in, 1 + state.stats.bytes_dropped);
	EXPECT_EQ(variant->signal ? 2 : 4, state.stats.bytes_in);
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, state.last.cause);
	EXPECT_STREQ("b", state.stage);
	EXPECT_EQ(getpid(), (pid_t)state.last.pid);
	EXPECT_TRUE(port_info(self->w).flags & FAASIN_INFO_READER_GONE);
}

TEST_F(early, close_before_reading_is_none)
{
	EXPECT_WRITE(self->w, "ab");
	close(self->r);
	EXPECT_WRITE(self->w, "cd");
	self->r = flow_reader(&self->flow, 0);
	close(self->w);
	EXPECT_READ(self->r, "abcd");
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(0, flow_stats(&self->flow).early_closes);
}

TEST_F(early, close_of_one_of_two_readers_is_none)
{
	int again = dup(self->r);

	EXPECT_WRITE(self->w, "ab");
	EXPECT_READ(self->r, "a");
	close(self->r);
	EXPECT_WRITE(self->w, "c");
	EXPECT_READ(again, "bc");
	EXPECT_EQ(0, flow_stats(&self->flow).early_closes);
	close(again);
	EXPECT_EQ(variant->result, sys(write(self->w, "d", 1)));
}

TEST_F(early, close_after_end_of_file_is_none)
{
	struct link_state state;

	EXPECT_WRITE(self->w, "ab");
	close(self->w);
	EXPECT_READ(self->r, "ab");
	EXPECT_OVER(self->r, 0);
	close(self->r);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(0, state.stats.early_closes);
	EXPECT_EQ(FAASIN_CAUSE_NONE, state.last.cause);
}

TEST_F(early, close_wakes_a_blocked_writer)
{
	size_t size = 4 * 64 * KIB;
	pid_t pid;

	EXPECT_WRITE(self->w, "a");
	EXPECT_READ(self->r, "a");
	pid = child();
	if (!pid) {
		char *buf = calloc(1, size);
		long n;

		close(self->r);
		n = sys(write(self->w, buf, size));
		/* The part that was taken counts; the next call tells why. */
		if (variant->signal)
			_exit(n > 0 && n < (long)size && sys(write(self->w, buf, 1)) == -EPIPE ?
			      0 : 1);
		_exit(n == (long)size ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	close(self->r);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_held);
}

TEST_F(early, close_leaves_the_next_stream_alone)
{
	int w;

	EXPECT_WRITE(self->w, "ab");
	EXPECT_READ(self->r, "a");
	close(self->r);
	/* The first writer is still there: a new open begins a stream of its own. */
	w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(w, "next");
	EXPECT_EQ(variant->result, sys(write(self->w, "c", 1)));
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "next");
	close(w);
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(2, flow_stats(&self->flow).streams_begun);
}

TEST_F(early, end_on_the_input_is_one)
{
	EXPECT_WRITE(self->w, "ab");
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(variant->result, sys(write(self->w, "c", 1)));
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_EQ(1, flow_stats(&self->flow).early_closes);
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_out);
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_held);
	/* The descriptor leaks; the next stream is somebody else's all the same. */
	close(self->w);
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "next");
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "next");
}

TEST_F(early, writer_dies_of_sigpipe_as_on_a_pipe)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "a");
	EXPECT_READ(self->r, "a");
	close(self->r);
	pid = child();
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		_exit(write(self->w, "b", 1) == 1 ? 0 : 1);
	}
	EXPECT_EQ(-variant->signal, child_end(pid));
	EXPECT_EQ(0, flow_stats(&self->flow).streams_aborted);
}

/* ---------------------------------------------------------------------- END */

FIXTURE(ended)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(ended)
{
	ENDS_SETUP(self, NULL, 0, O_NONBLOCK);
}

FIXTURE_TEARDOWN(ended)
{
	ENDS_TEARDOWN(self);
}

TEST_F(ended, by_the_writer_whoever_holds_it)
{
	int other = flow_writer(&self->flow, 0), copy = dup(self->w);

	EXPECT_WRITE(other, "ab");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	catch_sigpipe();
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(SIGPIPE, caught);
	EXPECT_EQ(-EPIPE, sys(write(copy, "x", 1)));
	EXPECT_EQ(-EPIPE, sys(write(other, "x", 1)));
	EXPECT_READ(self->r, "ab");
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(1, flow_stats(&self->flow).streams_ended);
}

TEST_F(ended, wakes_a_blocked_reader)
{
	pid_t pid = child();

	if (!pid) {
		struct heard heard = pattern_read(flow_reader(&self->flow, 0), PAGE, 1);

		_exit(heard.end ? 1 : 0);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(ended, twice_or_after_an_abort_changes_nothing)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_READ(self->r, "a");
	EXPECT_OVER(self->r, 0);
	close(self->w);
	close(self->r);

	self->w = flow_writer(&self->flow, 0);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_WRITE(self->w, "b");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_READ(self->r, "b");
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_EQ(1, flow_stats(&self->flow).streams_aborted);
	EXPECT_EQ(1, flow_stats(&self->flow).streams_ended);
}

TEST_F(ended, nothing_on_an_input_without_a_stream)
{
	close(self->w);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "");
	EXPECT_OVER(self->r, 0);
	close(self->r);
	/* That was the empty stream of the setup; now there is none. */
	self->r = flow_reader(&self->flow, 0);
	EXPECT_EQ(-ENODATA, sys(ioctl(self->r, FAASIN_IOC_END)));
}

TEST_F(ended, after_end_of_file_changes_nothing)
{
	struct faasctl_stats stats;

	EXPECT_WRITE(self->w, "a");
	close(self->w);
	EXPECT_READ(self->r, "a");
	EXPECT_OVER(self->r, 0);
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "next");
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_WRITE(self->w, "more");
	stats = flow_stats(&self->flow);
	EXPECT_EQ(0, stats.early_closes);
	EXPECT_EQ(0, stats.bytes_dropped);
}

/* -------------------------------------------------------------------- ABORT */

TEST_F(ended, by_an_abort_after_every_byte)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	int other = flow_writer(&self->flow, 0);
	struct link_state state;

	EXPECT_WRITE(self->w, "ab");
	EXPECT_WRITE(other, "cd");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(-EPIPE, sys(write(other, "x", 1)));
	EXPECT_READ(self->r, "abcd");
	EXPECT_OVER(self->r, -ECONNABORTED);
	close(self->w);
	close(other);
	EXPECT_OVER(self->r, -ECONNABORTED);

	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(1, state.stats.streams_aborted);
	EXPECT_EQ(FAASIN_CAUSE_REQUEST, state.last.cause);
	EXPECT_EQ(0, state.last.code);
	EXPECT_EQ(1, state.last.stream);
	EXPECT_EQ(getpid(), (pid_t)state.last.pid);
	EXPECT_STREQ("a", state.stage);
	EXPECT_STREQ("end_test", state.comm);

	/* The next stream is a new one. */
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "next");
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "next");
}

TEST_F(ended, by_an_abort_that_names_a_child)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_SIGNAL, .code = SIGSEGV };
	struct link_state state;

	abort_it.pid = child();
	if (!abort_it.pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_OVER(self->r, -ECONNABORTED);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(FAASIN_CAUSE_SIGNAL, state.last.cause);
	EXPECT_EQ(SIGSEGV, state.last.code);
	EXPECT_EQ(abort_it.pid, (int)state.last.pid);
	child_kill(abort_it.pid, SIGKILL);
}

TEST_F(ended, by_an_abort_that_passes_a_status_on)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_STATUS, .code = 3 };
	struct faasin_port_info info;
	struct link_state state;

	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_OVER(self->r, -ECONNABORTED);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(FAASIN_CAUSE_STATUS, state.last.cause);
	EXPECT_EQ(3, state.last.code);
	info = port_info(self->r);
	EXPECT_EQ(FAASIN_CAUSE_STATUS, info.cause);
	EXPECT_EQ(3, info.code);
}

TEST_F(ended, wakes_a_blocked_reader_and_writer)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	pid_t reader, writer;

	reader = child();
	if (!reader) {
		char byte;
		int r = flow_reader(&self->flow, 0);

		_exit(-sys(read(r, &byte, 1)));
	}
	EXPECT_TRUE(blocks_in(reader, SYS_read));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(ECONNABORTED, child_end(reader));
	close(self->w);
	close(self->r);

	self->w = flow_writer(&self->flow, 0);
	ASSERT_EQ(0, pattern_write(self->w, MIB, MIB, 1, 0));
	writer = child();
	if (!writer)
		_exit(-sys(write(self->w, "x", 1)));
	EXPECT_TRUE(blocks_in(writer, SYS_write));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(EPIPE, child_end(writer));
}

TEST_F(ended, abort_is_for_outputs_and_valid_memory)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_WRITE(self->w, "a");
	EXPECT_READ(self->r, "a");
	EXPECT_EQ(-EBADF, sys(ioctl(self->r, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(-EFAULT, sys(ioctl(self->w, FAASIN_IOC_ABORT, NULL)));
	EXPECT_WRITE(self->w, "b");
	EXPECT_READ(self->r, "b");
}

FIXTURE(bad_abort)
{
	struct flow flow;
};

FIXTURE_VARIANT(bad_abort)
{
	struct faasin_abort argument;
};

#define BAD_ABORT(name, ...) \
	FIXTURE_VARIANT_ADD(bad_abort, name) { .argument = { __VA_ARGS__ } }

BAD_ABORT(no_cause, .cause = FAASIN_CAUSE_NONE);
BAD_ABORT(cause_lost, .cause = FAASIN_CAUSE_LOST);
BAD_ABORT(cause_unlink, .cause = FAASIN_CAUSE_UNLINK);
BAD_ABORT(cause_early_close, .cause = FAASIN_CAUSE_EARLY_CLOSE);
BAD_ABORT(cause_unknown, .cause = FAASIN_CAUSE_EARLY_CLOSE + 1);
BAD_ABORT(request_with_code, .cause = FAASIN_CAUSE_REQUEST, .code = 1);
BAD_ABORT(signal_zero, .cause = FAASIN_CAUSE_SIGNAL, .code = 0);
BAD_ABORT(signal_too_large, .cause = FAASIN_CAUSE_SIGNAL, .code = 65);
BAD_ABORT(status_too_large, .cause = FAASIN_CAUSE_STATUS, .code = 256);
BAD_ABORT(reserved_set, .cause = FAASIN_CAUSE_REQUEST, .reserved = 1);

FIXTURE_SETUP(bad_abort)
{
	FLOW_SETUP(&self->flow, NULL);
}

FIXTURE_TEARDOWN(bad_abort)
{
	FLOW_TEARDOWN(&self->flow);
}

TEST_F(bad_abort, is_refused_and_changes_nothing)
{
	struct faasin_abort argument = variant->argument;
	int w = flow_writer(&self->flow, 0), r;

	EXPECT_EQ(-EINVAL, sys(ioctl(w, FAASIN_IOC_ABORT, &argument)));
	EXPECT_WRITE(w, "fine");
	close(w);
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "fine");
	EXPECT_OVER(r, 0);
	EXPECT_EQ(0, flow_stats(&self->flow).streams_aborted);
}

/* ------------------------------------------------------------------ context */

static long set_context(int fd, const char *text)
{
	struct faasin_context c = { .length = strlen(text) };

	memcpy(c.data, text, c.length < sizeof(c.data) ? c.length : sizeof(c.data));
	return sys(ioctl(fd, FAASIN_IOC_SET_CONTEXT, &c));
}

/* What GET_CONTEXT says, or the errno's name. */
static const char *context(int fd)
{
	static struct faasin_context c;
	size_t i;

	memset(&c, 0xff, sizeof(c));
	if (ioctl(fd, FAASIN_IOC_GET_CONTEXT, &c))
		return strerrorname_np(errno);
	if (c.reserved || c.length > FAASIN_CONTEXT_MAX)
		return "malformed";
	for (i = c.length; i < sizeof(c.data); i++)
		if (c.data[i])
			return "not zero behind it";
	return (const char *)c.data;
}

TEST_F(ended, context_reaches_the_reader_of_its_stream_only)
{
	const char *longest = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	struct flow *f = &self->flow;

	EXPECT_STREQ("ENODATA", context(self->w));
	EXPECT_STREQ("ENODATA", context(self->r));
	EXPECT_EQ(0, set_context(self->w, longest));
	EXPECT_STREQ(longest, context(self->w));
	EXPECT_STREQ(longest, context(self->r));
	EXPECT_EQ(-EEXIST, set_context(self->w, "another"));
	EXPECT_STREQ(longest, context(self->r));
	EXPECT_WRITE(self->w, "x");
	EXPECT_READ(self->r, "x");
	close(self->w);
	EXPECT_OVER(self->r, 0);
	EXPECT_STREQ(longest, context(self->r));
	close(self->r);

	self->r = flow_reader(f, 0);
	EXPECT_STREQ("ENODATA", context(self->r));
	self->w = flow_writer(f, 0);
	EXPECT_STREQ("ENODATA", context(self->r));
	EXPECT_EQ(0, set_context(self->w, "2"));
	EXPECT_STREQ("2", context(self->r));
}

TEST_F(ended, context_waits_in_the_queue_with_its_stream)
{
	struct flow *f = &self->flow;

	EXPECT_EQ(0, set_context(self->w, "first"));
	close(self->w);
	self->w = flow_writer(f, 0);
	EXPECT_EQ(0, set_context(self->w, "second"));
	EXPECT_STREQ("first", context(self->r));
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(f, 0);
	EXPECT_STREQ("second", context(self->r));
}

TEST_F(ended, context_that_is_refused_changes_nothing)
{
	struct faasin_context c = { .length = FAASIN_CONTEXT_MAX + 1 };

	EXPECT_EQ(-EINVAL, sys(ioctl(self->w, FAASIN_IOC_SET_CONTEXT, &c)));
	EXPECT_EQ(-EINVAL, set_context(self->w, ""));
	c.length = 1;
	c.reserved = 1;
	EXPECT_EQ(-EINVAL, sys(ioctl(self->w, FAASIN_IOC_SET_CONTEXT, &c)));
	EXPECT_EQ(-EFAULT, sys(ioctl(self->w, FAASIN_IOC_SET_CONTEXT, NULL)));
	EXPECT_EQ(-EBADF, set_context(self->r, "x"));
	EXPECT_STREQ("ENODATA", context(self->w));
	EXPECT_EQ(0, set_context(self->w, "x"));
	EXPECT_EQ(-EFAULT, sys(ioctl(self->r, FAASIN_IOC_GET_CONTEXT, NULL)));
}

TEST_F(ended, context_of_a_stream_that_is_over_stays)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(-EPIPE, set_context(self->w, "late"));
	EXPECT_STREQ("ENODATA", context(self->w));
}

/* --------------------------------------------------------------------- INFO */

TEST_F(ended, info_of_a_live_stream)
{
	struct faasin_port_info w, r;
	struct link_state state;

	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_WRITE(self->w, "abcd");
	w = port_info(self->w);
	EXPECT_EQ(FAASIN_ABI_VERSION, w.abi);
	EXPECT_EQ(FAASIN_INFO_OUTPUT, w.flags);
	EXPECT_EQ(FAASIN_CAPACITY_DEFAULT, w.capacity);
	EXPECT_EQ(state.link.generation, w.link_generation);
	EXPECT_EQ(1, w.stream);
	EXPECT_EQ(4, w.unread);
	EXPECT_EQ(FAASIN_CAUSE_NONE, w.cause);
	EXPECT_EQ(0, w.code);
	EXPECT_EQ(0, w.record);

	EXPECT_READ(self->r, "a");
	w = port_info(self->w);
	EXPECT_EQ(FAASIN_INFO_OUTPUT | FAASIN_INFO_BEGUN, w.flags);
	EXPECT_EQ(3, w.unread);
	r = port_info(self->r);
	EXPECT_EQ(FAASIN_ABI_VERSION, r.abi);
	EXPECT_EQ(FAASIN_INFO_BEGUN, r.flags);
	EXPECT_EQ(state.link.generation, r.link_generation);
	EXPECT_EQ(1, r.stream);
	EXPECT_EQ(3, r.unread);
}

TEST_F(ended, info_of_an_input_without_a_stream)
{
	struct flow *f = &self->flow;
	struct faasin_port_info r;

	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(f, 0);
	r = port_info(self->r);
	EXPECT_EQ(FAASIN_ABI_VERSION, r.abi);
	EXPECT_EQ(0, r.flags);
	EXPECT_EQ(0, r.stream);
	EXPECT_EQ(0, r.unread);
	self->w = flow_writer(f, 0);
	EXPECT_WRITE(self->w, "x");
	EXPECT_READ(self->r, "x");
	EXPECT_EQ(2, port_info(self->r).stream);
	EXPECT_EQ(2, port_info(self->w).stream);
}

TEST_F(ended, info_of_ended_and_aborted_ones)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	struct faasin_port_info info;

	EXPECT_WRITE(self->w, "ab");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_READ(self->r, "a");
	EXPECT_EQ(FAASIN_INFO_OUTPUT | FAASIN_INFO_ENDED | FAASIN_INFO_BEGUN,
		  port_info(self->w).flags);
	EXPECT_EQ(FAASIN_INFO_ENDED | FAASIN_INFO_BEGUN, port_info(self->r).flags);
	EXPECT_READ(self->r, "b");
	EXPECT_OVER(self->r, 0);
	close(self->w);
	close(self->r);

	self->w = flow_writer(&self->flow, 0);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_WRITE(self->w, "c");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_READ(self->r, "c");
	EXPECT_OVER(self->r, -ECONNABORTED);
	info = port_info(self->r);
	EXPECT_TRUE(info.flags & FAASIN_INFO_ABORTED);
	EXPECT_FALSE(info.flags & FAASIN_INFO_OUTPUT);
	EXPECT_EQ(FAASIN_CAUSE_REQUEST, info.cause);
	info = port_info(self->w);
	EXPECT_TRUE(info.flags & FAASIN_INFO_ABORTED);
	EXPECT_TRUE(info.flags & FAASIN_INFO_OUTPUT);
	EXPECT_EQ(FAASIN_CAUSE_REQUEST, info.cause);
}

TEST_F(ended, ioctls_check_their_argument_and_number)
{
	int number;

	EXPECT_EQ(-EFAULT, sys(ioctl(self->w, FAASIN_IOC_INFO, NULL)));
	EXPECT_EQ(-EFAULT, sys(ioctl(self->r, FAASIN_IOC_INFO, NULL)));
	EXPECT_EQ(-EFAULT, sys(ioctl(self->r, FIONREAD, NULL)));
	EXPECT_EQ(-ENOTTY, sys(ioctl(self->w, _IO(FAASIN_IOC_MAGIC, 0))));
	EXPECT_EQ(-ENOTTY, sys(ioctl(self->w, _IO(FAASIN_IOC_MAGIC, 250))));
	/* The number holds the size: one of another size is another call. */
	EXPECT_EQ(-ENOTTY, sys(ioctl(self->w, _IOR(FAASIN_IOC_MAGIC, 3, int), &number)));
	EXPECT_EQ(-ENOTTY, sys(ioctl(self->r, TIOCGWINSZ, &number)));
	EXPECT_EQ(0, isatty(self->r));
}

TEST_HARNESS_MAIN
