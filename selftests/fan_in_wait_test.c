// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-in: who waits at an input that has several links, before there is a stream and after, by
 * poll, epoll and io_uring, alone and with others.
 */
#include "fan_in.h"
#include "window.h"

#include <liburing.h>
#include <sys/epoll.h>

#include "harness.h"

#define STAGES		4

static int edge(int ep)
{
	struct epoll_event e = { 0 };
	int n = epoll_wait(ep, &e, 1, 0);

	return n < 0 ? -errno : (int)e.events;
}

static int awaited(int ep)
{
	struct epoll_event e = { 0 };
	int n = epoll_wait(ep, &e, 1, DEADLINE * 1000);

	return n < 0 ? -errno : (int)e.events;
}

FIXTURE(polls)
{
	struct fan fan;
	int ep, r;
};

FIXTURE_VARIANT(polls)
{
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(polls, level) { .flags = 0 };
FIXTURE_VARIANT_ADD(polls, edge) { .flags = EPOLLET };
FIXTURE_VARIANT_ADD(polls, exclusive) { .flags = EPOLLEXCLUSIVE };
FIXTURE_VARIANT_ADD(polls, exclusive_edge) { .flags = EPOLLEXCLUSIVE | EPOLLET };

FIXTURE_SETUP(polls)
{
	struct epoll_event e = { .events = EPOLLIN | variant->flags };

	FAN_IN_SETUP(&self->fan, STAGES, NULL);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	ASSERT_LE(0, self->r);
	self->ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, epoll_ctl(self->ep, EPOLL_CTL_ADD, self->r, &e));
}

FIXTURE_TEARDOWN(polls)
{
	close(self->ep);
	close(self->r);
	FAN_TEARDOWN(&self->fan);
}

/* Given to epoll before there was a stream, it is told of all that comes, whatever link it is of. */
TEST_F(polls, told_of_a_stream_that_was_not_there)
{
	int w2, w1;

	EXPECT_EQ(0, edge(self->ep));
	w2 = fan_in_writer(&self->fan, 2, 0);
	w1 = fan_in_writer(&self->fan, 1, 0);
	EXPECT_EQ(0, edge(self->ep));
	EXPECT_WRITE(w1, "not yet");
	EXPECT_EQ(0, edge(self->ep));
	EXPECT_WRITE(w2, "a");
	EXPECT_EQ(EPOLLIN, awaited(self->ep));
	EXPECT_READ(self->r, "a");
	EXPECT_EQ(0, edge(self->ep));
	EXPECT_WRITE(w1, "nor now");
	EXPECT_EQ(0, edge(self->ep));
	EXPECT_WRITE(w2, "b");
	EXPECT_EQ(EPOLLIN, awaited(self->ep));
	EXPECT_WRITE(w2, "c");
	EXPECT_EQ(EPOLLIN, awaited(self->ep));
	EXPECT_READ(self->r, "bc");
	close(w2);
	EXPECT_EQ(EPOLLHUP, awaited(self->ep));
	close(w1);
}

TEST_F(polls, woken_by_an_empty_stream)
{
	close(fan_in_writer(&self->fan, 3, 0));
	EXPECT_EQ(EPOLLHUP, awaited(self->ep));
	EXPECT_OVER(self->r, 0);
}

/* Bound by polling, without a byte. */
TEST_F(polls, woken_when_the_first_stream_is_aborted)
{
	int w = fan_in_writer(&self->fan, 0, 0);
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_EQ(0, edge(self->ep));
	EXPECT_STREAM(1, "other");
	EXPECT_EQ(0, edge(self->ep));
	EXPECT_EQ(0, sys(ioctl(w, FAASIN_IOC_ABORT, &request)));
	EXPECT_EQ(EPOLLHUP | EPOLLERR, awaited(self->ep));
	close(w);
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_NEXT("other", 0);
}

TEST_F(polls, woken_when_the_first_link_goes)
{
	int w = fan_in_writer(&self->fan, 0, 0);

	EXPECT_EQ(0, edge(self->ep));
	EXPECT_EQ(0, fan_unlink(&self->fan, "p0", "d"));
	EXPECT_EQ(EPOLLHUP | EPOLLERR, awaited(self->ep));
	EXPECT_OVER(self->r, -ECONNABORTED);
	close(w);
}

/* Not bound: it is no concern of its when a link goes, before the last one does. */
TEST_F(polls, woken_when_the_last_link_goes)
{
	unsigned int i;
	char name[16];

	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(0, edge(self->ep));
		snprintf(name, sizeof(name), "p%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, name, "d"));
	}
	EXPECT_EQ(EPOLLHUP | EPOLLERR, awaited(self->ep));
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_EQ(FAASIN_INFO_UNLINKED, port_info(self->r).flags);
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_EQ(0, window_info(self->r).size);
	EXPECT_EQ(ECONNABORTED, errno);
}

TEST_F(polls, woken_when_the_stage_is_replaced)
{
	EXPECT_EQ(0, edge(self->ep));
	EXPECT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_EQ(EPOLLHUP | EPOLLERR, awaited(self->ep));
	EXPECT_OVER(self->r, -ESTALE);
	EXPECT_EQ(FAASIN_INFO_REPLACED, port_info(self->r).flags);
	EXPECT_EQ(-ESTALE, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_EQ(0, window_info(self->r).size);
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(-ESTALE, window_try_map(self->r, PAGE, PROT_READ, MAP_SHARED, 0));
}

TEST_F(polls, woken_when_a_paused_link_goes_on)
{
	int w = fan_in_writer(&self->fan, 0, 0);

	EXPECT_WRITE(w, "bytes");
	EXPECT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_PAUSED));
	EXPECT_EQ(0, edge(self->ep));
	EXPECT_EQ(-EAGAIN, sys(read(self->r, &w, 1)));
	EXPECT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_RUNNING));
	EXPECT_EQ(EPOLLIN, awaited(self->ep));
	EXPECT_READ(self->r, "bytes");
	close(w);
}

/* ----------------------------------------------------------------------- shared */

enum kind { ALONE, SEVERAL_OUT, SEVERAL_IN };

FIXTURE(shared)
{
	struct fan fan;
};

FIXTURE_VARIANT(shared)
{
	enum kind kind;
};

FIXTURE_VARIANT_ADD(shared, alone) { .kind = ALONE };
FIXTURE_VARIANT_ADD(shared, several_out) { .kind = SEVERAL_OUT };
FIXTURE_VARIANT_ADD(shared, several_in) { .kind = SEVERAL_IN };

FIXTURE_SETUP(shared)
{
	if (variant->kind == SEVERAL_IN)
		FAN_IN_SETUP(&self->fan, STAGES, NULL);
	else
		FAN_SETUP(&self->fan, variant->kind == ALONE ? 1 : STAGES, NULL);
}

FIXTURE_TEARDOWN(shared)
{
	FAN_TEARDOWN(&self->fan);
}

static int opens(struct fan *f, enum kind of, enum faasin_direction direction)
{
	if (of == SEVERAL_IN)
		return direction ? fan_in_writer(f, 1, 0) : fan_in_reader(f, O_NONBLOCK);
	return direction ? fan_writer(f, 0) : fan_reader(f, 0, O_NONBLOCK);
}

/* An epoll that shares wake-ups, with one open file, and has said what there is for now. */
static int shares(int fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	edge(ep);
	return ep;
}

/*
 * Somebody kept an open file of a stream that is over, and waits there by an epoll of his own. He
 * is told, too, but who waits for the next stream is told.
 */
TEST_F(shared, a_session_that_is_over_takes_no_wake_up)
{
	int w = opens(&self->fan, variant->kind, FAASIN_DIRECTION_OUT), over, next, ep;
	pid_t pid;

	over = opens(&self->fan, variant->kind, FAASIN_DIRECTION_IN);
	ep = shares(over);
	EXPECT_WRITE(w, "first");
	EXPECT_READ(over, "first");
	close(w);
	EXPECT_OVER(over, 0);
	pid = child();
	if (!pid)
		for (;;)
			awaited(ep);
	EXPECT_TRUE(blocks_in(pid, SYS_epoll_wait));

	next = opens(&self->fan, variant->kind, FAASIN_DIRECTION_IN);
	w = opens(&self->fan, variant->kind, FAASIN_DIRECTION_OUT);
	EXPECT_EQ(EAGAIN, (read(next, &(char){ 0 }, 1), errno));
	close(ep);
	ep = shares(next);
	EXPECT_TRUE(blocks_in(pid, SYS_epoll_wait));
	EXPECT_WRITE(w, "a");
	EXPECT_EQ(EPOLLIN, awaited(ep));
	EXPECT_READ(next, "a");
	EXPECT_TRUE(blocks_in(pid, SYS_epoll_wait));
	EXPECT_WRITE(w, "b");
	EXPECT_EQ(EPOLLIN, awaited(ep));
	child_kill(pid, SIGKILL);
	close(ep);
	close(w);
	close(next);
	close(over);
}

/* Several processes wait, each in its way, before there is anything: all are told. */
TEST_F(shared, all_who_wait_for_the_first_stream_are_told)
{
	int r = opens(&self->fan, variant->kind, FAASIN_DIRECTION_IN), w, i;
	pid_t pids[6];

	for (i = 0; i < 6; i++) {
		struct pollfd p = { .fd = r, .events = POLLIN };
		fd_set set;

		pids[i] = child();
		if (pids[i]) {
			EXPECT_TRUE(i % 2 ? blocks_in_one_of(pids[i], SYS_select, SYS_pselect6) :
					    blocks_in(pids[i], SYS_poll));
			continue;
		}
		FD_ZERO(&set);
		FD_SET(r, &set);
		_exit((i % 2 ? select(r + 1, &set, NULL, NULL, NULL) : poll(&p, 1, -1)) != 1);
	}
	w = opens(&self->fan, variant->kind, FAASIN_DIRECTION_OUT);
	for (i = 0; i < 6; i++)
		EXPECT_TRUE(is_running(pids[i]));
	EXPECT_WRITE(w, "x");
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_READ(r, "x");
	close(w);
	close(r);
}

/* --------------------------------------------------------------------- io_uring */

FIXTURE(uring)
{
	struct fan fan;
	struct io_uring ring;
	int r;
};

FIXTURE_VARIANT(uring)
{
	unsigned int flags;	/* IOSQE_* of every request */
};

FIXTURE_VARIANT_ADD(uring, inline) { .flags = 0 };
FIXTURE_VARIANT_ADD(uring, worker) { .flags = IOSQE_ASYNC };

FIXTURE_SETUP(uring)
{
	int error = io_uring_queue_init(8, &self->ring, 0);

	if (error)
		SKIP(return, "io_uring is not to be had: %s", strerror(-error));
	FAN_IN_SETUP(&self->fan, STAGES, NULL);
	self->r = fan_in_reader(&self->fan, 0);
	ASSERT_LE(0, self->r);
}

FIXTURE_TEARDOWN(uring)
{
	io_uring_queue_exit(&self->ring);
	close(self->r);
	FAN_TEARDOWN(&self->fan);
}

static long completed(struct io_uring *ring)
{
	struct __kernel_timespec deadline = { .tv_sec = DEADLINE };
	struct io_uring_cqe *cqe;
	long res;

	if (io_uring_wait_cqe_timeout(ring, &cqe, &deadline))
		return -ETIMEDOUT;
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static bool is_pending(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	return io_uring_peek_cqe(ring, &cqe) == -EAGAIN;
}

/* An open file that has no link yet is read, and polled, when a stream of any has begun. */
TEST_F(uring, reads_the_stream_that_begins_first)
{
	char text[8] = "";
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	int w2, w1;

	io_uring_prep_read(sqe, self->r, text, sizeof(text), -1);
	sqe->flags |= variant->flags;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_TRUE(is_pending(&self->ring));
	w2 = fan_in_writer(&self->fan, 2, 0);
	w1 = fan_in_writer(&self->fan, 1, 0);
	EXPECT_WRITE(w1, "later");
	usleep(20000);
	EXPECT_TRUE(is_pending(&self->ring));
	EXPECT_WRITE(w2, "first");
	EXPECT_EQ(5, completed(&self->ring));
	EXPECT_STREQ("first", text);
	close(w2);
	EXPECT_OVER(self->r, 0);
	close(w1);
	EXPECT_NEXT("later", 0);
}

TEST_F(uring, polls_until_a_stream_has_begun)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	int w2, w1;

	io_uring_prep_poll_add(sqe, self->r, POLLIN);
	sqe->flags |= variant->flags;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	w2 = fan_in_writer(&self->fan, 2, 0);
	w1 = fan_in_writer(&self->fan, 1, 0);
	EXPECT_WRITE(w1, "later");
	usleep(20000);
	EXPECT_TRUE(is_pending(&self->ring));
	EXPECT_WRITE(w2, "first");
	EXPECT_EQ(POLLIN, completed(&self->ring));
	EXPECT_READ(self->r, "first");
	close(w2);
	EXPECT_OVER(self->r, 0);
	close(w1);
	EXPECT_NEXT("later", 0);
}

/* All links go: who waits is told, and nobody else's stream is taken for an answer. */
TEST_F(uring, is_told_that_no_stream_will_begin)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	char text[8] = "", name[16];
	unsigned int i;

	io_uring_prep_read(sqe, self->r, text, sizeof(text), -1);
	sqe->flags |= variant->flags;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (i = 0; i < STAGES; i++) {
		EXPECT_TRUE(is_pending(&self->ring));
		snprintf(name, sizeof(name), "p%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, name, "d"));
	}
	EXPECT_EQ(-ECONNABORTED, completed(&self->ring));
}

TEST_HARNESS_MAIN
