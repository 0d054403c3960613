// SPDX-License-Identifier: GPL-2.0
/*
 * Dealing: who polls an output whose records go to its links in turn. It sleeps until something
 * happens to the link whose turn it is, or the turn moves; what it was refused it waits for.
 */
#include "fan.h"
#include "records.h"
#include "window.h"

#include <liburing.h>
#include <sys/epoll.h>

#include "harness.h"

#define STAGES		3
#define CAPACITY	(64 * KIB)

static const struct faasctl_link_options dealt = FAN_DEALT_INIT(CAPACITY);

/* Two that write, and all that read; nobody waits. */
struct ends {
	struct fan fan;
	int w, other, r[STAGES];
};

static void ends_open(struct ends *e)
{
	unsigned int i;

	e->w = fan_writer(&e->fan, O_NONBLOCK);
	e->other = fan_writer(&e->fan, O_NONBLOCK);
	for (i = 0; i < STAGES; i++)
		e->r[i] = fan_reader(&e->fan, i, O_NONBLOCK);
}

static void ends_close(struct ends *e)
{
	unsigned int i;

	close(e->w);
	close(e->other);
	for (i = 0; i < STAGES; i++)
		close(e->r[i]);
}

/* One that writes, and has no part in who reads. */
static pid_t writing_child(struct ends *e)
{
	pid_t pid = child();
	unsigned int i;

	for (i = 0; !pid && i < STAGES; i++)
		close(e->r[i]);
	return pid;
}

/* A record of @sizes[i] goes to each; then it is the first one's turn. */
static bool deal(struct ends *e, const size_t *sizes)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		if (record_write(e->other, sizes[i], i) != (long)sizes[i])
			return false;
	return true;
}

/* What fills a link, and what leaves room for a small record, but not for PIPE_BUF bytes. */
#define FULL	CAPACITY
#define NEARLY	(CAPACITY - 1000)

/* ------------------------------------------------------------------ what wakes */

FIXTURE(poller)
{
	struct ends ends;
};

/*
 * What the links hold, of which the first has the turn; what is done to that beforehand; what happens
 * while somebody sleeps in poll(); what that is told then.
 */
FIXTURE_VARIANT(poller)
{
	size_t sizes[STAGES];
	long (*before)(struct ends *e);
	long (*happens)(struct ends *e);
	int told;
};

static long reads_first(struct ends *e)
{
	return record_is(e->r[0], CAPACITY, CAPACITY, 0, 0) ? 0 : -EBADMSG;
}

static long writes_small(struct ends *e)
{
	return record_write(e->other, 10, 7) == 10 ? 0 : -EIO;
}

static long pauses(struct ends *e)
{
	return fan_set_state(&e->fan, "r0", FAASIN_LINK_STATE_PAUSED);
}

static long resumes(struct ends *e)
{
	return fan_set_state(&e->fan, "r0", FAASIN_LINK_STATE_RUNNING);
}

static long gets_capacity(struct ends *e)
{
	return fan_resize(&e->fan, "r0", 2 * CAPACITY);
}

static long ends_it(struct ends *e)
{
	return sys(ioctl(e->other, FAASIN_IOC_END));
}

static long unlinks_second(struct ends *e)
{
	return fan_unlink(&e->fan, "a", "r1");
}

static long unlinks_first(struct ends *e)
{
	return fan_unlink(&e->fan, "a", "r0");
}

static long replaces(struct ends *e)
{
	return fan_replace(&e->fan, "a");
}

static long second_leaves(struct ends *e)
{
	long n = sys(read(e->r[1], (char [1]){ 0 }, 1));

	close(e->r[1]);
	e->r[1] = -1;
	return n == 1 ? 0 : n;
}

#define VARIANT(name, first, second, what_before, what, what_is_told)			\
	FIXTURE_VARIANT_ADD(poller, name)						\
	{										\
		.sizes = { first, second, 1 }, .before = what_before, .happens = what,	\
		.told = what_is_told							\
	}

VARIANT(room_is_made, FULL, 1, NULL, reads_first, POLLOUT);
VARIANT(the_turn_moves, NEARLY, 1, NULL, writes_small, POLLOUT);
VARIANT(a_link_goes_on, 1, 1, pauses, resumes, POLLOUT);
VARIANT(there_is_more_capacity, FULL, 1, NULL, gets_capacity, POLLOUT);
VARIANT(another_ends_it, FULL, 1, NULL, ends_it, POLLOUT | POLLERR);
VARIANT(the_link_goes, FULL, 1, NULL, unlinks_first, POLLOUT | POLLERR);
VARIANT(another_link_goes, FULL, 1, NULL, unlinks_second, POLLOUT | POLLERR);
VARIANT(another_reader_leaves, FULL, 1, NULL, second_leaves, POLLOUT | POLLERR);
VARIANT(the_stage_is_replaced, FULL, 1, NULL, replaces, POLLOUT | POLLERR);

FIXTURE_SETUP(poller)
{
	FAN_SETUP(&self->ends.fan, STAGES, &dealt);
	ends_open(&self->ends);
	ASSERT_TRUE(deal(&self->ends, variant->sizes));
	if (variant->before)
		ASSERT_EQ(0, variant->before(&self->ends));
}

FIXTURE_TEARDOWN(poller)
{
	ends_close(&self->ends);
	FAN_TEARDOWN(&self->ends.fan);
}

TEST_F(poller, poll_is_told)
{
	struct pollfd pollfd = { .fd = self->ends.w, .events = POLLOUT };
	pid_t pid = writing_child(&self->ends);

	if (!pid)
		_exit(poll(&pollfd, 1, -1) == 1 ? pollfd.revents : 255);
	EXPECT_TRUE(blocks_in_one_of(pid, SYS_poll, SYS_ppoll));
	EXPECT_EQ(0, variant->happens(&self->ends));
	EXPECT_EQ(variant->told, child_end(pid));
}

/* Edge-triggered, and one of two is enough. */
TEST_F(poller, epoll_is_told)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET | EPOLLEXCLUSIVE };
	struct epoll_event got;
	int i, wait, told = 0;
	pid_t pids[2];

	for (i = 0; i < 2; i++) {
		pids[i] = writing_child(&self->ends);
		if (!pids[i]) {
			int ep = epoll_create1(EPOLL_CLOEXEC);

			if (epoll_ctl(ep, EPOLL_CTL_ADD, self->ends.w, &event))
				_exit(254);
			_exit(epoll_wait(ep, &got, 1, -1) == 1 ? got.events : 255);
		}
		EXPECT_TRUE(blocks_in_one_of(pids[i], SYS_epoll_wait, SYS_epoll_pwait));
	}
	EXPECT_EQ(0, variant->happens(&self->ends));
	for (wait = 0; wait < DEADLINE * 1000 && is_running(pids[0]) && is_running(pids[1]); wait++)
		usleep(1000);
	for (i = 0; i < 2; i++) {
		if (is_running(pids[i])) {
			child_kill(pids[i], SIGKILL);
			continue;
		}
		EXPECT_EQ(variant->told, child_end(pids[i]));
		told++;
	}
	EXPECT_LE(1, told);
}

/* --------------------------------------------------------------------- what is room */

FIXTURE(room)
{
	struct ends ends;
	struct io_uring ring;
};

FIXTURE_SETUP(room)
{
	memset(&self->ring, 0, sizeof(self->ring));
	FAN_SETUP(&self->ends.fan, STAGES, &dealt);
	ends_open(&self->ends);
}

FIXTURE_TEARDOWN(room)
{
	ends_close(&self->ends);
	FAN_TEARDOWN(&self->ends.fan);
}

/* The record that was refused, on whichever link it is to go to by then. */
TEST_F(room, what_was_refused_is_polled_for)
{
	int w = self->ends.w, other = self->ends.other, *r = self->ends.r, i;

	ASSERT_TRUE(deal(&self->ends, (size_t [STAGES]){ FULL, FULL, FULL }));
	EXPECT_EQ(-EAGAIN, record_write(w, CAPACITY, 9));
	EXPECT_TRUE(record_is(r[0], CAPACITY, CAPACITY, 0, 0));
	EXPECT_TRUE(record_is(r[1], CAPACITY, CAPACITY, 1, 0));
	EXPECT_TRUE(record_is(r[2], CAPACITY, CAPACITY, 2, 0));
	EXPECT_EQ(POLLOUT, ready(w));
	/* Another's go in there instead. There is room, but not for that one. */
	ASSERT_TRUE(deal(&self->ends, (size_t [STAGES]){ CAPACITY / 2, CAPACITY / 2, CAPACITY / 2 }));
	EXPECT_EQ(0, ready(w));
	EXPECT_EQ(POLLOUT, ready(other));
	EXPECT_EQ(1, record_write(other, 1, 6));
	EXPECT_EQ(0, ready(w));
	/* It has written something: from then on it waits for no more than others, anywhere. */
	EXPECT_EQ(1, record_write(w, 1, 7));
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(POLLOUT, ready(w));
		EXPECT_EQ(1, record_write(other, 1, 8));
	}
}

/* What landed is given back: that makes no room, and is no reason not to tell of it later. */
TEST_F(room, one_that_takes_its_records)
{
	struct pollfd pollfd = { .fd = self->ends.w, .events = POLLOUT };
	struct faasin_range range;
	int n = 0, r = self->ends.r[0];
	pid_t pid;

	while (record_write(pollfd.fd, 1000, n) == 1000)
		n++;
	/* It is the first one's turn again. */
	EXPECT_EQ(0, n % STAGES);
	pid = child();
	if (!pid)
		_exit(poll(&pollfd, 1, -1) != 1 || pollfd.revents != POLLOUT);
	EXPECT_TRUE(blocks_in_one_of(pid, SYS_poll, SYS_ppoll));
	EXPECT_EQ(1, window_take(r, &range));
	EXPECT_EQ(1000, range.length);
	EXPECT_EQ(0, window_return(r, range.offset));
	/* Who asks here would mark the link anew. */
	EXPECT_TRUE(is_running(pid));
	for (n -= STAGES; n; n -= STAGES)
		EXPECT_EQ(1000, sys(read(r, (char [1000]){ 0 }, 1000)));
	EXPECT_EQ(0, child_end(pid));
}

/* io_uring answers by what it is woken with, and does not look. */
TEST_F(room, uring_is_told_of_the_next_link)
{
	struct __kernel_timespec deadline = { .tv_sec = DEADLINE };
	struct io_uring_cqe *cqe;
	int error = io_uring_queue_init(4, &self->ring, 0);

	if (error)
		SKIP(return, "io_uring is not to be had: %s", strerror(-error));
	ASSERT_TRUE(deal(&self->ends, (size_t [STAGES]){ NEARLY, FULL, 1 }));
	io_uring_prep_poll_add(io_uring_get_sqe(&self->ring), self->ends.w, POLLOUT);
	EXPECT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&self->ring, &cqe));
	EXPECT_EQ(0, writes_small(&self->ends));
	EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&self->ring, &cqe));
	EXPECT_EQ(0, ready(self->ends.w));
	EXPECT_TRUE(record_is(self->ends.r[1], CAPACITY, CAPACITY, 1, 0));
	ASSERT_EQ(0, io_uring_wait_cqe_timeout(&self->ring, &cqe, &deadline));
	EXPECT_EQ(POLLOUT, cqe->res);
	io_uring_queue_exit(&self->ring);
}

TEST_HARNESS_MAIN
