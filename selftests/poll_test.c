// SPDX-License-Identifier: GPL-2.0
/*
 * What poll, select and epoll say of every state of a port, and that each
 * change wakes whoever waits for it.
 */
#include "common.h"

#include <sys/epoll.h>
#include <sys/select.h>

#include "harness.h"

enum how { POLL, SELECT, EPOLL, EPOLL_EDGE };

#define ALL	(POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM)

/*
 * The state of @fd as @how tells it: POLL* bits, or 0 when nothing happens for
 * @timeout milliseconds. select() folds hang-ups and errors into "readable" and
 * "writable": here it gives POLLIN, POLLOUT and POLLPRI.
 */
static int events(enum how how, int fd, short wanted, int timeout)
{
	struct timeval left = { timeout / 1000, timeout % 1000 * 1000 };
	struct pollfd event = { .fd = fd, .events = wanted };
	struct epoll_event e = { .events = wanted };
	fd_set r, w, x;
	int ep, got;

	switch (how) {
	case POLL:
		got = poll(&event, 1, timeout);
		return got < 0 ? -errno : event.revents;
	case SELECT:
		FD_ZERO(&r);
		FD_ZERO(&w);
		FD_ZERO(&x);
		if (wanted & POLLIN)
			FD_SET(fd, &r);
		if (wanted & POLLOUT)
			FD_SET(fd, &w);
		if (wanted & POLLPRI)
			FD_SET(fd, &x);
		got = select(fd + 1, &r, &w, &x, timeout < 0 ? NULL : &left);
		if (got <= 0)
			return got ? -errno : 0;
		return (FD_ISSET(fd, &r) ? POLLIN : 0) | (FD_ISSET(fd, &w) ? POLLOUT : 0) |
		       (FD_ISSET(fd, &x) ? POLLPRI : 0);
	default:
		if (how == EPOLL_EDGE)
			e.events |= EPOLLET;
		ep = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
		e.events = 0;
		got = epoll_wait(ep, &e, 1, timeout);
		close(ep);
		return got < 0 ? -errno : (int)e.events;
	}
}

/* What @how makes of the bits that poll() gives. */
static int as(enum how how, int bits)
{
	if (how != SELECT)
		return bits;
	return (bits & (POLLIN | POLLRDNORM | POLLHUP | POLLERR) ? POLLIN : 0) |
	       (bits & (POLLOUT | POLLWRNORM | POLLERR) ? POLLOUT : 0);
}

#define READABLE	(POLLIN | POLLRDNORM)
#define WRITABLE	(POLLOUT | POLLWRNORM)

FIXTURE(poll)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(poll)
{
	enum how how;
};

FIXTURE_VARIANT_ADD(poll, poll) { .how = POLL };
FIXTURE_VARIANT_ADD(poll, select) { .how = SELECT };
FIXTURE_VARIANT_ADD(poll, epoll) { .how = EPOLL };
FIXTURE_VARIANT_ADD(poll, epoll_edge) { .how = EPOLL_EDGE };

FIXTURE_SETUP(poll)
{
	const struct flow_options options = { .capacity = 4 * 64 * KIB };

	ENDS_SETUP(self, &options, O_NONBLOCK, O_NONBLOCK);
}

FIXTURE_TEARDOWN(poll)
{
	ENDS_TEARDOWN(self);
}

#define EXPECT_STATE(fd, bits) \
	EXPECT_EQ(as(variant->how, bits), events(variant->how, fd, ALL, 0))

/* Every byte of room, in writes that are accepted whole or not at all. */
static void fill(int w)
{
	char page[PAGE] = "";

	while (write(w, page, sizeof(page)) > 0)
		;
}

TEST_F(poll, input_without_any_stream)
{
	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_STATE(self->r, 0);
}

TEST_F(poll, input_of_a_live_stream)
{
	char byte;

	EXPECT_STATE(self->r, 0);
	EXPECT_WRITE(self->w, "ab");
	EXPECT_STATE(self->r, READABLE);
	EXPECT_READ(self->r, "a");
	EXPECT_STATE(self->r, READABLE);
	EXPECT_READ(self->r, "b");
	EXPECT_STATE(self->r, 0);
	EXPECT_EQ(-EAGAIN, sys(read(self->r, &byte, 1)));
	EXPECT_STATE(self->r, 0);
}

TEST_F(poll, input_of_an_ended_stream)
{
	EXPECT_WRITE(self->w, "a");
	close(self->w);
	EXPECT_STATE(self->r, READABLE);
	EXPECT_READ(self->r, "a");
	EXPECT_STATE(self->r, POLLHUP);
	EXPECT_OVER(self->r, 0);
	EXPECT_STATE(self->r, POLLHUP);
	/* The next stream is not this descriptor's. */
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "b");
	EXPECT_STATE(self->r, POLLHUP);
}

TEST_F(poll, input_of_an_empty_stream)
{
	close(self->w);
	EXPECT_STATE(self->r, POLLHUP);
	EXPECT_OVER(self->r, 0);
}

TEST_F(poll, input_of_an_aborted_stream)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_STATE(self->r, READABLE);
	EXPECT_READ(self->r, "a");
	EXPECT_STATE(self->r, POLLHUP | POLLERR);
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_STATE(self->r, POLLHUP | POLLERR);
}

TEST_F(poll, input_that_was_unlinked)
{
	EXPECT_WRITE(self->w, "a");
	EXPECT_STATE(self->r, READABLE);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_STATE(self->r, READABLE);
	EXPECT_READ(self->r, "a");
	EXPECT_STATE(self->r, POLLHUP | POLLERR);
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(poll, input_that_was_unlinked_without_a_stream)
{
	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_STATE(self->r, POLLHUP | POLLERR);
}

TEST_F(poll, input_that_was_unlinked_after_the_end)
{
	EXPECT_WRITE(self->w, "a");
	close(self->w);
	EXPECT_READ(self->r, "a");
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_STATE(self->r, POLLHUP);
	EXPECT_OVER(self->r, 0);
}

TEST_F(poll, input_closed_early_by_end)
{
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_STATE(self->r, POLLHUP);
}

TEST_F(poll, output_without_a_reader)
{
	close(self->r);
	EXPECT_STATE(self->w, WRITABLE);
	EXPECT_WRITE(self->w, "a");
	EXPECT_STATE(self->w, WRITABLE);
}

TEST_F(poll, output_with_and_without_room)
{
	char page[PAGE];
	int i;

	EXPECT_STATE(self->w, WRITABLE);
	fill(self->w);
	EXPECT_STATE(self->w, 0);
	for (i = 0; i < 4 * 16; i++)
		ASSERT_EQ(PAGE, read_full(self->r, page, PAGE));
	EXPECT_STATE(self->w, WRITABLE);
}

TEST_F(poll, output_writable_means_pipe_buf_fits)
{
	char page[PAGE] = "", byte;
	int i;

	fill(self->w);
	for (i = 0; i < 4 * 64 * KIB; i++) {
		ASSERT_EQ(1, sys(read(self->r, &byte, 1)));
		if (events(variant->how, self->w, ALL, 0))
			break;
		/* Testing it every time would take the room away again. */
		if (i % PAGE == 0)
			ASSERT_EQ(-EAGAIN, sys(write(self->w, page, PIPE_BUF)));
	}
	EXPECT_STATE(self->w, WRITABLE);
	EXPECT_EQ(PIPE_BUF, sys(write(self->w, page, PIPE_BUF)));
}

TEST_F(poll, output_whose_reader_is_gone)
{
	EXPECT_WRITE(self->w, "ab");
	EXPECT_READ(self->r, "a");
	close(self->r);
	EXPECT_STATE(self->w, POLLERR | WRITABLE);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "c", 1)));
	/* Full or not. */
	close(self->w);
	self->w = flow_writer(&self->flow, O_NONBLOCK);
	self->r = flow_reader(&self->flow, 0);
	fill(self->w);
	EXPECT_STATE(self->w, 0);
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_STATE(self->w, POLLERR | WRITABLE);
}

TEST_F(poll, output_that_was_unlinked)
{
	fill(self->w);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_STATE(self->w, POLLERR | WRITABLE);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "c", 1)));
}

TEST_F(poll, output_that_is_over_does_not_block)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	int bits;

	fill(self->w);
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	bits = events(variant->how, self->w, ALL, 0);
	EXPECT_TRUE(bits & POLLOUT);
	if (variant->how != SELECT) /* which calls an error readable */
		EXPECT_FALSE(bits & (POLLIN | POLLRDNORM | POLLRDHUP));
	close(self->w);

	self->w = flow_writer(&self->flow, O_NONBLOCK);
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	bits = events(variant->how, self->w, ALL, 0);
	EXPECT_TRUE(bits & POLLOUT);
	if (variant->how != SELECT)
		EXPECT_FALSE(bits & (POLLIN | POLLRDNORM | POLLRDHUP));
}

/* --------------------------------------------------------- changes wake up */

/*
 * Starts a child that waits by @how until @fd reports one of @wanted. It keeps
 * neither end of its own but that.
 */
static pid_t waiter(enum how how, int fd, int other, short wanted)
{
	pid_t pid = child();
	int got;

	if (pid)
		return pid;
	close(other);
	got = events(how, fd, wanted, -1);
	_exit(got > 0 ? 0 : 1);
}

static long call_of(enum how how)
{
	return how == POLL ? SYS_poll : how == SELECT ? SYS_select : SYS_epoll_wait;
}

static bool waits(pid_t pid, enum how how)
{
	/* The C library may use either of two calls for select. */
	return how == SELECT ? blocks_in_one_of(pid, SYS_select, SYS_pselect6) :
			       blocks_in(pid, call_of(how));
}

TEST_F(poll, data_wakes)
{
	pid_t pid = waiter(variant->how, self->r, self->w, POLLIN);

	EXPECT_TRUE(waits(pid, variant->how));
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(poll, first_stream_wakes)
{
	pid_t pid;

	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	pid = waiter(variant->how, self->r, -1, POLLIN);
	EXPECT_TRUE(waits(pid, variant->how));
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(poll, end_wakes)
{
	pid_t pid = waiter(variant->how, self->r, self->w, POLLIN);

	EXPECT_TRUE(waits(pid, variant->how));
	close(self->w);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(poll, abort_wakes_both)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	pid_t reader, writer;
	char page[PAGE];

	reader = waiter(variant->how, self->r, self->w, POLLIN);
	EXPECT_TRUE(waits(reader, variant->how));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(0, child_end(reader));

	close(self->w);
	self->w = flow_writer(&self->flow, O_NONBLOCK);
	fill(self->w);
	writer = waiter(variant->how, self->w, self->r, POLLOUT);
	EXPECT_TRUE(waits(writer, variant->how));
	EXPECT_EQ(-ECONNABORTED, sys(read(self->r, page, PAGE)));
	EXPECT_TRUE(is_running(writer));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(0, child_end(writer));
}

TEST_F(poll, unlinking_wakes_both)
{
	pid_t reader, writer;

	close(self->r);
	fill(self->w);
	writer = waiter(variant->how, self->w, -1, POLLOUT);
	EXPECT_TRUE(waits(writer, variant->how));
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(0, child_end(writer));

	ASSERT_EQ(0, flow_link(&self->flow));
	self->r = flow_reader(&self->flow, 0);
	reader = waiter(variant->how, self->r, self->w, POLLIN);
	EXPECT_TRUE(waits(reader, variant->how));
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(0, child_end(reader));
}

TEST_F(poll, room_wakes)
{
	char buf[8 * KIB];
	pid_t pid;
	int i;

	fill(self->w);
	pid = waiter(variant->how, self->w, self->r, POLLOUT);
	EXPECT_TRUE(waits(pid, variant->how));
	for (i = 0; i < 4 * 8; i++)
		ASSERT_EQ((long)sizeof(buf), read_full(self->r, buf, sizeof(buf)));
	EXPECT_EQ(0, child_end(pid));
}

/* A reader that stops early must not leave the writer waiting for more. */
TEST_F(poll, a_little_room_wakes)
{
	struct pollfd now = { .fd = self->w, .events = POLLOUT };
	char page[PAGE];
	pid_t pid;
	int i;

	fill(self->w);
	pid = waiter(variant->how, self->w, self->r, POLLOUT);
	EXPECT_TRUE(waits(pid, variant->how));
	/* Just as much as makes the port writable to somebody who looks. */
	for (i = 0; i < 4 * 16 && poll(&now, 1, 0) == 0; i++)
		ASSERT_EQ(PAGE, read_full(self->r, page, PAGE));
	EXPECT_EQ(POLLOUT, now.revents);
	EXPECT_EQ(0, child_end(pid));
}

/*
 * A block is given back when its last byte is read, also by a reader that looked
 * before the next one was there, and if that reader stops then.
 */
TEST_F(poll, a_block_that_was_read_wakes)
{
	enum { BLOCK = 4 * 64 * KIB / 16 };
	char bytes[BLOCK] = "";
	pid_t pid;

	ASSERT_EQ(BLOCK, sys(write(self->w, bytes, BLOCK)));
	EXPECT_EQ(1, sys(read(self->r, bytes, 1)));
	fill(self->w);
	pid = waiter(variant->how, self->w, self->r, POLLOUT);
	EXPECT_TRUE(waits(pid, variant->how));
	EXPECT_EQ(BLOCK - 1, read_full(self->r, bytes, BLOCK - 1));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(poll, early_close_wakes)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "a");
	EXPECT_READ(self->r, "a");
	fill(self->w);
	pid = waiter(variant->how, self->w, self->r, POLLOUT);
	EXPECT_TRUE(waits(pid, variant->how));
	close(self->r);
	EXPECT_EQ(0, child_end(pid));
}

/* ------------------------------------------------------------------- edges */

FIXTURE(edge)
{
	struct flow flow;
	int w, r, ep;
};

FIXTURE_SETUP(edge)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	const struct flow_options options = { .capacity = 4 * 64 * KIB };

	ENDS_SETUP(self, &options, O_NONBLOCK, O_NONBLOCK);
	self->ep = epoll_create1(EPOLL_CLOEXEC);
	e.data.fd = self->r;
	ASSERT_EQ(0, epoll_ctl(self->ep, EPOLL_CTL_ADD, self->r, &e));
	e.events = EPOLLOUT | EPOLLET;
	e.data.fd = self->w;
	ASSERT_EQ(0, epoll_ctl(self->ep, EPOLL_CTL_ADD, self->w, &e));
	/* That it can be written is the first edge. */
	ASSERT_EQ(1, epoll_wait(self->ep, &e, 1, 0));
	ASSERT_EQ(self->w, e.data.fd);
}

FIXTURE_TEARDOWN(edge)
{
	close(self->ep);
	ENDS_TEARDOWN(self);
}

/* The bits of @fd's edge among those that are there now, or 0. */
static int edge_of(int ep, int fd)
{
	struct epoll_event e[2];
	int i, n = epoll_wait(ep, e, 2, 0);

	for (i = 0; i < n; i++)
		if (e[i].data.fd == fd)
			return e[i].events;
	return 0;
}

TEST_F(edge, is_told_once)
{
	EXPECT_EQ(0, edge_of(self->ep, self->r));
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(EPOLLIN, edge_of(self->ep, self->r));
	EXPECT_EQ(0, edge_of(self->ep, self->r));
}

TEST_F(edge, comes_again_after_draining)
{
	char byte;
	int i;

	for (i = 0; i < 20; i++) {
		EXPECT_WRITE(self->w, "a");
		ASSERT_EQ(EPOLLIN, edge_of(self->ep, self->r));
		EXPECT_READ(self->r, "a");
		ASSERT_EQ(-EAGAIN, sys(read(self->r, &byte, 1)));
	}
	close(self->w);
	EXPECT_EQ(EPOLLHUP, edge_of(self->ep, self->r));
}

TEST_F(edge, of_an_end_behind_unread_data)
{
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(EPOLLIN, edge_of(self->ep, self->r));
	/* Nobody has read yet: the end must not get lost for a later reader. */
	close(self->w);
	EXPECT_TRUE(edge_of(self->ep, self->r) & EPOLLIN);
	EXPECT_READ(self->r, "a");
	EXPECT_OVER(self->r, 0);
}

TEST_F(edge, of_room_after_it_was_full)
{
	char page[PAGE];
	int i;

	fill(self->w);
	(void)edge_of(self->ep, self->w);
	EXPECT_EQ(0, edge_of(self->ep, self->w));
	for (i = 0; i < 4 * 16; i++)
		ASSERT_EQ(PAGE, read_full(self->r, page, PAGE));
	EXPECT_EQ(EPOLLOUT, edge_of(self->ep, self->w));
}

TEST_F(edge, of_unlinking)
{
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(EPOLLHUP | EPOLLERR, edge_of(self->ep, self->r));
}

/* A child that waits for @fd by an epoll of its own that shares wake-ups. */
static pid_t exclusive_waiter(int fd, int keep, uint32_t wanted)
{
	struct epoll_event e = { .events = wanted | EPOLLEXCLUSIVE };
	pid_t pid = child();
	int ep;

	if (pid)
		return pid;
	close(keep);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		_exit(99);
	_exit(epoll_wait(ep, &e, 1, -1) == 1 && e.events & (EPOLLHUP | EPOLLERR) ? 0 : 98);
}

TEST_F(edge, of_an_end_reaches_all_who_share_wake_ups)
{
	pid_t pids[3];
	int i;

	for (i = 0; i < 3; i++) {
		pids[i] = exclusive_waiter(self->r, self->w, EPOLLIN);
		EXPECT_TRUE(blocks_in(pids[i], SYS_epoll_wait));
	}
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, child_end(pids[i]));
}

TEST_F(edge, of_an_early_close_reaches_all_who_share_wake_ups)
{
	pid_t pids[3];
	int i;

	EXPECT_WRITE(self->w, "a");
	EXPECT_READ(self->r, "a");
	fill(self->w);
	for (i = 0; i < 3; i++) {
		pids[i] = exclusive_waiter(self->w, self->r, EPOLLOUT);
		EXPECT_TRUE(blocks_in(pids[i], SYS_epoll_wait));
	}
	close(self->r);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, child_end(pids[i]));
}

TEST_F(edge, one_shot_is_told_once_until_armed_again)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };

	e.data.fd = self->r;
	ASSERT_EQ(0, epoll_ctl(self->ep, EPOLL_CTL_MOD, self->r, &e));
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(EPOLLIN, edge_of(self->ep, self->r));
	EXPECT_WRITE(self->w, "b");
	EXPECT_EQ(0, edge_of(self->ep, self->r));
	e.events = EPOLLIN | EPOLLONESHOT;
	e.data.fd = self->r;
	ASSERT_EQ(0, epoll_ctl(self->ep, EPOLL_CTL_MOD, self->r, &e));
	EXPECT_EQ(EPOLLIN, edge_of(self->ep, self->r));
}

TEST_HARNESS_MAIN
