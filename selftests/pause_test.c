// SPDX-License-Identifier: GPL-2.0
/*
 * Links that are paused, and links that drain: who waits, what goes through all the same, and
 * that nothing is lost, doubled or stuck.
 */
#include "harness.h"
#include "live.h"
#include "window.h"

static uint32_t state_of(struct flow *f)
{
	struct link_state state = { 0 };

	return flow_state(f, &state) ? UINT32_MAX : state.link.state;
}

#define PAUSE()		ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_PAUSED))
#define DRAIN()		ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_DRAINING))
#define RESUME()	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_RUNNING))
#define EXPECT_STATE(s)	EXPECT_EQ(FAASIN_LINK_STATE_##s, state_of(&self->flow))

/* The events that a descriptor is ready for now. */
static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

FIXTURE(pause)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(pause)
{
	FLOW_SETUP(&self->flow, NULL);
	self->w = flow_writer(&self->flow, O_RDWR);
	self->r = flow_reader(&self->flow, 0);
	ASSERT_LE(0, self->w);
	ASSERT_LE(0, self->r);
}

FIXTURE_TEARDOWN(pause)
{
	close(self->w);
	close(self->r);
	FLOW_TEARDOWN(&self->flow);
}

static void nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ---------------------------------------------------------------- who waits */

TEST_F(pause, is_told_and_can_be_done_twice)
{
	EXPECT_STATE(RUNNING);
	PAUSE();
	EXPECT_STATE(PAUSED);
	PAUSE();
	EXPECT_STATE(PAUSED);
	RESUME();
	RESUME();
	EXPECT_STATE(RUNNING);
	EXPECT_WRITE(self->w, "bytes");
	EXPECT_READ(self->r, "bytes");
}

TEST_F(pause, nothing_moves_without_blocking)
{
	struct faasctl_stats before, after;
	char byte;

	EXPECT_WRITE(self->w, "bytes");
	nonblocking(self->w);
	nonblocking(self->r);
	PAUSE();
	before = flow_stats(&self->flow);
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "more", 4)));
	EXPECT_EQ(-EAGAIN, sys(read(self->r, &byte, 1)));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(0, ready(self->r));
	EXPECT_EQ(5, unread(self->r));
	after = flow_stats(&self->flow);
	EXPECT_EQ(before.bytes_in, after.bytes_in);
	EXPECT_EQ(before.bytes_out, after.bytes_out);
	RESUME();
	EXPECT_EQ(POLLOUT, ready(self->w));
	EXPECT_EQ(POLLIN, ready(self->r));
	EXPECT_WRITE(self->w, "more");
	EXPECT_READ(self->r, "bytesmore");
}

TEST_F(pause, splice_waits_too)
{
	uint8_t page[PAGE] = { 1 };
	int pipe_fds[2];

	ASSERT_EQ(0, pipe(pipe_fds));
	EXPECT_WRITE(self->w, "bytes");
	nonblocking(self->w);
	PAUSE();
	/* A page that could be moved, too. */
	ASSERT_EQ(PAGE, write(pipe_fds[1], page, PAGE));
	EXPECT_EQ(-EAGAIN, sys(splice(pipe_fds[0], NULL, self->w, NULL, PAGE, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(PAGE, unread(pipe_fds[0]));
	ASSERT_EQ(PAGE, read_full(pipe_fds[0], page, PAGE));
	EXPECT_EQ(-EAGAIN, sys(splice(self->r, NULL, pipe_fds[1], NULL, 5, SPLICE_F_NONBLOCK)));
	ASSERT_EQ(4, write(pipe_fds[1], "more", 4));
	EXPECT_EQ(-EAGAIN, sys(splice(pipe_fds[0], NULL, self->w, NULL, 4, SPLICE_F_NONBLOCK)));
	RESUME();
	EXPECT_EQ(4, sys(splice(pipe_fds[0], NULL, self->w, NULL, 4, 0)));
	EXPECT_READ(self->r, "bytesmore");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

TEST_F(pause, windows_wait_too)
{
	struct faasin_range range;
	long at = window_alloc(self->w, PAGE);
	pid_t pid;

	ASSERT_LE(0, at);
	EXPECT_WRITE(self->w, "bytes");
	PAUSE();
	nonblocking(self->r);
	EXPECT_EQ(-EAGAIN, window_take(self->r, &range));
	/* It sends what its parent allocated: the open file is the same. */
	pid = child();
	if (!pid)
		_exit(-window_send(self->w, at, PAGE));
	ASSERT_TRUE(blocks_in(pid, SYS_ioctl));
	EXPECT_EQ(5, unread(self->r));
	RESUME();
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(5 + PAGE, unread(self->r));

	at = window_alloc(self->w, PAGE);
	nonblocking(self->w);
	PAUSE();
	EXPECT_EQ(-EAGAIN, window_send(self->w, at, PAGE));
	EXPECT_EQ(0, ready(self->w));
	RESUME();
	EXPECT_EQ(0, window_send(self->w, at, PAGE));
}

enum waiter { WRITES, READS, POLLS_OUT, POLLS_IN };

FIXTURE(waiter)
{
	struct flow flow;
	int w, r;
	pid_t pid;
};

FIXTURE_VARIANT(waiter)
{
	enum waiter waiter;
};

FIXTURE_VARIANT_ADD(waiter, writer) { WRITES };
FIXTURE_VARIANT_ADD(waiter, reader) { READS };
FIXTURE_VARIANT_ADD(waiter, poller_of_the_output) { POLLS_OUT };
FIXTURE_VARIANT_ADD(waiter, poller_of_the_input) { POLLS_IN };

static int waiter_calls(enum waiter waiter, int w, int r)
{
	struct pollfd p = { .fd = waiter == POLLS_OUT ? w : r, .events = POLLIN | POLLOUT };
	char byte;

	switch (waiter) {
	case WRITES:
		return sys(write(w, "y", 1));
	case READS:
		return sys(read(r, &byte, 1));
	default:
		return sys(poll(&p, 1, -1));
	}
}

/* There is a byte and room, and somebody waits all the same. */
FIXTURE_SETUP(waiter)
{
	FLOW_SETUP(&self->flow, NULL);
	self->w = flow_writer(&self->flow, 0);
	self->r = flow_reader(&self->flow, 0);
	ASSERT_LE(0, self->w);
	ASSERT_LE(0, self->r);
	EXPECT_WRITE(self->w, "x");
	PAUSE();
	self->pid = child();
	if (!self->pid) {
		signal(SIGPIPE, SIG_IGN);
		_exit(waiter_calls(variant->waiter, self->w, self->r) == 1 ? 0 : 1);
	}
	ASSERT_TRUE(variant->waiter == WRITES ? blocks_in(self->pid, SYS_write) :
		    variant->waiter == READS ? blocks_in(self->pid, SYS_read) :
		    blocks_in_one_of(self->pid, SYS_poll, SYS_ppoll));
}

FIXTURE_TEARDOWN(waiter)
{
	if (is_running(self->pid))
		child_kill(self->pid, SIGKILL);
	close(self->w);
	close(self->r);
	FLOW_TEARDOWN(&self->flow);
}

TEST_F(waiter, goes_on)
{
	RESUME();
	EXPECT_EQ(0, child_end(self->pid));
}

TEST_F(waiter, goes_on_when_it_is_to_drain)
{
	DRAIN();
	EXPECT_EQ(0, child_end(self->pid));
}

TEST_F(waiter, can_be_killed)
{
	kill(self->pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(self->pid));
	EXPECT_STATE(PAUSED);
}

TEST_F(waiter, is_counted_as_blocked)
{
	struct faasctl_stats stats = flow_stats(&self->flow);

	if (variant->waiter == WRITES) {
		EXPECT_LT(0, stats.writer_blocks);
		EXPECT_LT(0, stats.writer_blocked_ns);
	} else if (variant->waiter == READS) {
		EXPECT_LT(0, stats.reader_blocks);
		EXPECT_LT(0, stats.reader_blocked_ns);
	}
	EXPECT_EQ(1, stats.bytes_held);
}

/* What is left can be read, and a link that is made again is not paused. */
TEST_F(waiter, is_not_held_up_by_unlinking)
{
	ASSERT_EQ(0, flow_unlink(&self->flow));
	/* Of a writer, the write; of a reader, the byte that was there. */
	EXPECT_EQ(variant->waiter == WRITES ? 1 : 0, child_end(self->pid));
	if (variant->waiter != READS)
		EXPECT_READ(self->r, "x");
	EXPECT_OVER(self->r, -ECONNABORTED);
	ASSERT_EQ(0, flow_link(&self->flow));
	EXPECT_STATE(RUNNING);
}

TEST_F(waiter, is_not_held_up_by_deleting_the_stage)
{
	ASSERT_EQ(0, flow_del_stage(&self->flow, "a"));
	EXPECT_EQ(variant->waiter == WRITES ? 1 : 0, child_end(self->pid));
}

TEST_F(waiter, is_not_held_up_by_deleting_the_workflow)
{
	ASSERT_EQ(0, flow_del_workflow(&self->flow));
	EXPECT_EQ(variant->waiter == WRITES ? 1 : 0, child_end(self->pid));
}

/* ------------------------------------------------------------ what goes through */

TEST_F(pause, end_of_a_stream_that_was_read)
{
	char byte;

	EXPECT_WRITE(self->w, "bytes");
	EXPECT_READ(self->r, "bytes");
	PAUSE();
	close(self->w);
	EXPECT_EQ(POLLHUP, ready(self->r));
	EXPECT_EQ(0, sys(read(self->r, &byte, 1)));
}

TEST_F(pause, end_of_a_stream_comes_after_its_bytes)
{
	char byte;

	EXPECT_WRITE(self->w, "bytes");
	nonblocking(self->r);
	PAUSE();
	close(self->w);
	EXPECT_EQ(0, ready(self->r));
	EXPECT_EQ(-EAGAIN, sys(read(self->r, &byte, 1)));
	RESUME();
	EXPECT_READ(self->r, "bytes");
	EXPECT_OVER(self->r, 0);
}

TEST_F(pause, abort)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };

	signal(SIGPIPE, SIG_IGN);
	EXPECT_WRITE(self->w, "bytes");
	nonblocking(self->w);
	PAUSE();
	ASSERT_EQ(0, ioctl(self->w, FAASIN_IOC_ABORT, &abort));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->w));
	RESUME();
	EXPECT_READ(self->r, "bytes");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(pause, crash_of_a_writer)
{
	int w = flow_writer(&self->flow, 0);
	pid_t pid = child();

	ASSERT_LE(0, w);
	if (!pid) {
		PAUSE();
		sys(write(w, "x", 1));
		_exit(0);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_write));
	child_kill(pid, SIGKILL);
	EXPECT_OVER(self->r, -ECONNABORTED);
	close(w);
}

TEST_F(pause, early_close)
{
	char byte;

	signal(SIGPIPE, SIG_IGN);
	EXPECT_WRITE(self->w, "bytes");
	ASSERT_EQ(1, sys(read(self->r, &byte, 1)));
	PAUSE();
	close(self->r);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(4, flow_stats(&self->flow).bytes_dropped);
}

TEST_F(pause, another_capacity)
{
	struct faasctl *ctl;

	EXPECT_WRITE(self->w, "bytes");
	PAUSE();
	ASSERT_EQ(0, faasctl_open(&ctl, NULL));
	EXPECT_EQ(0, faasctl_link_resize(ctl, self->flow.name, "a", "b", 0, 4 * MIB, NULL));
	faasctl_close(ctl);
	EXPECT_STATE(PAUSED);
	EXPECT_EQ(0, ready(self->w));
	RESUME();
	EXPECT_READ(self->r, "bytes");
}

/* A stream may begin: its bytes wait. */
TEST_F(pause, opening)
{
	int w;

	close(self->w);
	PAUSE();
	w = flow_writer(&self->flow, O_NONBLOCK);
	EXPECT_LE(0, w);
	EXPECT_EQ(-EAGAIN, sys(write(w, "x", 1)));
	self->w = w;
}

/* --------------------------------------------------------------------- drain */

TEST_F(pause, drain_lets_the_live_stream_end)
{
	int w;

	EXPECT_WRITE(self->w, "one");
	DRAIN();
	EXPECT_STATE(DRAINING);
	/* It can be joined, and go on. */
	w = flow_writer(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, w);
	EXPECT_WRITE(w, "two");
	close(w);
	EXPECT_READ(self->r, "onetwo");
	EXPECT_STATE(DRAINING);
	close(self->w);
	EXPECT_STATE(DRAINING);
	EXPECT_OVER(self->r, 0);
	EXPECT_STATE(DRAINED);
	self->w = flow_writer(&self->flow, O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, self->w);
	RESUME();
	self->w = flow_writer(&self->flow, O_NONBLOCK);
	EXPECT_LE(0, self->w);
}

TEST_F(pause, drain_waits_for_queued_streams)
{
	int i;

	EXPECT_WRITE(self->w, "one");
	close(self->w);
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "two");
	close(self->w);
	/* An empty one, too. */
	self->w = flow_writer(&self->flow, 0);
	close(self->w);
	DRAIN();
	for (i = 0; i < 3; i++) {
		EXPECT_STATE(DRAINING);
		if (i < 2)
			EXPECT_READ(self->r, i ? "two" : "one");
		EXPECT_OVER(self->r, 0);
		close(self->r);
		self->r = flow_reader(&self->flow, 0);
	}
	EXPECT_STATE(DRAINED);
}

TEST_F(pause, drained_at_once_if_there_is_nothing)
{
	close(self->w);
	EXPECT_OVER(self->r, 0);
	DRAIN();
	EXPECT_STATE(DRAINED);
	PAUSE();
	EXPECT_STATE(PAUSED);
	DRAIN();
	EXPECT_STATE(DRAINED);
	RESUME();
	EXPECT_STATE(RUNNING);
}

/* Who opens meanwhile waits, and is let in, or told, or killed. */
static pid_t opener(struct flow *f)
{
	pid_t pid = child();

	if (!pid) {
		int fd = flow_writer(f, 0);

		_exit(fd < 0 ? -fd : write(fd, "later", 5) != 5);
	}
	return pid;
}

/* @pid: such a one, which waits since the link is drained. */
#define OPENER_WAITS(pid)							\
do {										\
	close(self->w);								\
	EXPECT_OVER(self->r, 0);						\
	DRAIN();								\
	(pid) = opener(&self->flow);						\
	ASSERT_TRUE(blocks_in_open(pid));					\
} while (0)

TEST_F(pause, drain_holds_up_who_opens)
{
	pid_t pid;

	OPENER_WAITS(pid);
	EXPECT_STATE(DRAINED);
	RESUME();
	EXPECT_EQ(0, child_end(pid));
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "later");
}

TEST_F(pause, who_waits_to_open_can_be_killed)
{
	pid_t pid;

	OPENER_WAITS(pid);
	kill(pid, SIGTERM);
	EXPECT_EQ(-SIGTERM, child_end(pid));
}

TEST_F(pause, who_waits_to_open_is_told_of_deletion)
{
	pid_t pid;

	OPENER_WAITS(pid);
	ASSERT_EQ(0, flow_del_stage(&self->flow, "a"));
	EXPECT_EQ(ENOENT, child_end(pid));
}

/* Unlinked, it waits for the next link, as any open does. */
TEST_F(pause, who_waits_to_open_gets_the_next_link)
{
	pid_t pid;

	OPENER_WAITS(pid);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	ASSERT_EQ(0, flow_link(&self->flow));
	EXPECT_EQ(0, child_end(pid));
}

/* ------------------------------------------------------------------ the tool */

static pid_t tool_drains(struct flow *f, const char *timeout)
{
	pid_t pid = child();

	if (!pid) {
		if (timeout)
			execlp("faasctl", "faasctl", "drain", "-t", timeout, f->name, NULL);
		else
			execlp("faasctl", "faasctl", "drain", f->name, "a", "b", NULL);
		_exit(127);
	}
	return pid;
}

#define EXPECT_WAITS(pid)	ASSERT_TRUE(blocks_in_one_of(pid, SYS_poll, SYS_ppoll))

TEST_F(pause, tool_waits_until_all_was_read)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "bytes");
	pid = tool_drains(&self->flow, NULL);
	EXPECT_WAITS(pid);
	close(self->w);
	EXPECT_READ(self->r, "bytes");
	EXPECT_TRUE(is_running(pid));
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(0, child_end(pid));
}

/* A stage between two of the links begins a stream for each that comes in. */
TEST_F(pause, tool_drains_a_chain_downstream)
{
	struct faasctl *ctl;
	const char *chain[] = { "b", "c" };
	char path[128], text[8];
	int next, fd;
	pid_t pid;

	ASSERT_EQ(0, faasctl_open(&ctl, NULL));
	ASSERT_EQ(0, faasctl_chain_add(ctl, self->flow.name, chain, 2, NULL, NULL, NULL));
	faasctl_close(ctl);
	snprintf(path, sizeof(path), MOUNT_POINT "/%s/c/faasin", self->flow.name);
	next = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, next);
	EXPECT_WRITE(self->w, "first");
	close(self->w);
	pid = tool_drains(&self->flow, "30");
	EXPECT_WAITS(pid);
	EXPECT_STATE(DRAINING);
	EXPECT_READ(self->r, "first");
	snprintf(path, sizeof(path), "%s/faasout", self->flow.b);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_WRITE(fd, "second");
	EXPECT_OVER(self->r, 0);
	close(fd);
	EXPECT_TRUE(is_running(pid));
	EXPECT_EQ(6, sys(read(next, text, sizeof(text))));
	EXPECT_OVER(next, 0);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(-EAGAIN, sys(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)));
	close(next);
}

TEST_F(pause, tool_is_told_that_somebody_resumed)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "bytes");
	pid = tool_drains(&self->flow, "100");
	EXPECT_WAITS(pid);
	RESUME();
	EXPECT_EQ(2, child_end(pid));
	EXPECT_STATE(RUNNING);
}

TEST_F(pause, tool_gives_up_in_time)
{
	EXPECT_WRITE(self->w, "bytes");
	EXPECT_EQ(2, child_end(tool_drains(&self->flow, "0")));
	EXPECT_EQ(2, child_end(tool_drains(&self->flow, "0.3")));
	EXPECT_STATE(DRAINING);
}

TEST_F(pause, tool_can_be_interrupted)
{
	pid_t pid = tool_drains(&self->flow, NULL);

	EXPECT_WAITS(pid);
	kill(pid, SIGINT);
	EXPECT_EQ(2, child_end(pid));
	EXPECT_STATE(DRAINING);
}

TEST_F(pause, tool_is_told_that_the_link_is_gone)
{
	pid_t pid = tool_drains(&self->flow, NULL);

	EXPECT_WAITS(pid);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	ASSERT_EQ(0, flow_link(&self->flow));
	EXPECT_EQ(2, child_end(pid));
	EXPECT_STATE(RUNNING);
}

TEST_F(pause, tool_is_told_that_the_workflow_is_gone)
{
	pid_t pid = tool_drains(&self->flow, "100");

	EXPECT_WAITS(pid);
	ASSERT_EQ(0, flow_del_workflow(&self->flow));
	EXPECT_EQ(2, child_end(pid));
}

/* ----------------------------------------------------------------- refusals */

#define EXPECT_REFUSED(error, ...)						\
do {										\
	char text[256] = "";							\
										\
	EXPECT_EQ(-(error), set_state_of(&self->flow, __VA_ARGS__, text));	\
	EXPECT_NE(0, (int)strlen(text));					\
	EXPECT_STATE(RUNNING);							\
} while (0)

TEST_F(pause, refusals)
{
	EXPECT_REFUSED(ENOENT, "no-such", NULL, 0, FAASIN_LINK_STATE_PAUSED);
	EXPECT_REFUSED(ENOENT, "b", NULL, 0, FAASIN_LINK_STATE_PAUSED);
	EXPECT_REFUSED(ENOENT, "a", "a", 0, FAASIN_LINK_STATE_PAUSED);
	EXPECT_REFUSED(ESTALE, "a", "b", 1, FAASIN_LINK_STATE_PAUSED);
	EXPECT_REFUSED(EINVAL, "a", "b", 0, FAASIN_LINK_STATE_DRAINED);
	EXPECT_REFUSED(ERANGE, "a", "b", 0, FAASIN_LINK_STATE_DRAINED + 1);
}

/* --------------------------------------------------------------- under load */

#define STREAM	(16 * MIB)

FIXTURE(load)
{
	struct flow flow;
};

FIXTURE_SETUP(load)
{
	FLOW_SETUP(&self->flow, NULL);
}

FIXTURE_TEARDOWN(load)
{
	FLOW_TEARDOWN(&self->flow);
}

TEST_F_TIMEOUT(load, loses_and_doubles_nothing, 120)
{
	unsigned int pauses = 0;
	pid_t reader, writer;
	struct heard heard;
	int fd;

	reader = child();
	if (!reader) {
		fd = flow_reader(&self->flow, 0);
		heard = pattern_read(fd, 64 * KIB, 1);
		_exit(!(heard.intact && heard.bytes == STREAM && !heard.end));
	}
	writer = child();
	if (!writer) {
		fd = flow_writer(&self->flow, 0);
		_exit(fd < 0 || pattern_write(fd, STREAM, 48 * KIB, 1, 0));
	}
	while (is_running(writer)) {
		PAUSE();
		usleep(random() % 2000);
		RESUME();
		usleep(random() % 5000);
		pauses++;
	}
	EXPECT_EQ(0, child_end_within(writer, 100));
	EXPECT_EQ(0, child_end_within(reader, 100));
	EXPECT_LT(0, pauses);
	TH_LOG("%u pauses", pauses);
}

TEST_HARNESS_MAIN
