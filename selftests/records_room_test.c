// SPDX-License-Identifier: GPL-2.0
/*
 * Links with records: waiting for room and being told of it, memory that is short, capacities
 * that change, pauses, stages that are replaced.
 */
#include "fan.h"
#include "live.h"
#include "records.h"
#include "window.h"

#include <liburing.h>
#include <sys/epoll.h>

#include "harness.h"

#define CAPACITY	(256 * KIB)

FIXTURE(room)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(room)
{
	const struct flow_options options = { .capacity = CAPACITY, .records = true };

	ENDS_SETUP(self, &options, 0, O_NONBLOCK);
}

FIXTURE_TEARDOWN(room)
{
	ENDS_TEARDOWN(self);
}

/* What poll() says of @fd within @timeout ms. */
static int events(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, timeout) < 0 ? -errno : p.revents;
}

/* A child that writes a record of @len bytes, and has begun to wait for room: its pid, or 0. */
static pid_t waiting_writer(FIXTURE_DATA(room) *self, size_t len)
{
	pid_t pid = child();
	long n;

	if (!pid) {
		close(self->r);
		interrupt_by(SIGUSR1, 0);
		n = record_write(self->w, len, 2);
		_exit(n == (long)len ? 0 : -n);
	}
	if (blocks_in(pid, SYS_write))
		return pid;
	child_kill(pid, SIGKILL);
	return 0;
}

TEST_F(room, a_writer_waits_for_room_for_all_of_it)
{
	size_t first = 100, rest = CAPACITY - first;
	pid_t pid;

	EXPECT_EQ((long)first, record_write(self->w, first, 1));
	EXPECT_EQ((long)first, record_write(self->w, first, 1));
	pid = waiting_writer(self, rest);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(record_is(self->r, CAPACITY, first, 1, 0));
	/* Still not enough, however long it is looked. */
	EXPECT_TRUE(is_running(pid));
	EXPECT_EQ((int)first, unread(self->r));
	EXPECT_TRUE(record_is(self->r, CAPACITY, first, 1, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(record_is(self->r, CAPACITY, rest, 2, 0));
}

TEST_F(room, a_signal_leaves_nothing)
{
	pid_t pid;

	EXPECT_EQ(1, record_write(self->w, 1, 1));
	pid = waiting_writer(self, CAPACITY);
	ASSERT_LT(0, pid);
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid));
	EXPECT_EQ(1, unread(self->r));
	EXPECT_TRUE(record_is(self->r, CAPACITY, 1, 1, 0));
}

TEST_F(room, the_reader_that_leaves_ends_the_wait)
{
	pid_t pid;

	EXPECT_EQ(10, record_write(self->w, 10, 1));
	EXPECT_TRUE(record_is(self->r, 4, 4, 1, 0));
	pid = waiting_writer(self, CAPACITY);
	ASSERT_LT(0, pid);
	close(self->r);
	EXPECT_EQ(EPIPE, child_end(pid));
	self->r = flow_reader(&self->flow, O_NONBLOCK);
}

/* Who was refused is told of room for that, and of no less; what is written ends it. */
TEST_F(room, polling_for_the_record_that_was_refused)
{
	size_t half = CAPACITY / 2;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ((long)half, record_write(self->w, half, 1));
	EXPECT_EQ(POLLOUT, events(self->w, 0));
	EXPECT_EQ(-EAGAIN, record_write(self->w, half + 1, 2));
	EXPECT_EQ(0, events(self->w, 0));
	EXPECT_TRUE(record_is(self->r, CAPACITY, half, 1, 0));
	EXPECT_EQ(POLLOUT, events(self->w, -1));
	EXPECT_EQ((long)half + 1, record_write(self->w, half + 1, 2));
	EXPECT_EQ(-EAGAIN, record_write(self->w, half, 3));
	EXPECT_EQ(0, events(self->w, 0));
	EXPECT_EQ(1, record_write(self->w, 1, 4));
	EXPECT_EQ(POLLOUT, events(self->w, 0));
}

TEST_F(room, edges_tell_of_room)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC), i;
	long n;
	pid_t pid = child();

	if (!pid) {
		ASSERT_EQ(0, fcntl(self->r, F_SETFL, 0));
		for (i = 0; i < 50; i++)
			if (!record_is(self->r, CAPACITY, 1 + i * CAPACITY / 50, i, 0))
				_exit(1 + i);
		_exit(0);
	}
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->w, &event));
	for (i = 0; i < 50; i++) {
		for (;;) {
			n = record_write(self->w, 1 + i * CAPACITY / 50, i);
			if (n != -EAGAIN)
				break;
			ASSERT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
		}
		ASSERT_EQ(1 + i * CAPACITY / 50, n);
	}
	EXPECT_EQ(0, child_end(pid));
	close(ep);
}

/* The key of a wake-up is no answer for who was refused a record. */
TEST_F(room, io_uring_is_told_of_room_for_it)
{
	struct __kernel_timespec deadline = { .tv_sec = DEADLINE };
	size_t half = CAPACITY / 2;
	struct io_uring_cqe *cqe;
	struct io_uring uring;
	int error = io_uring_queue_init(4, &uring, 0);

	if (error)
		SKIP(return, "io_uring is not to be had: %s", strerror(-error));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ((long)half - 10, record_write(self->w, half - 10, 1));
	EXPECT_EQ((long)half, record_write(self->w, half, 2));
	EXPECT_EQ(-EAGAIN, record_write(self->w, CAPACITY - 10, 3));
	io_uring_prep_poll_add(io_uring_get_sqe(&uring), self->w, POLLOUT);
	ASSERT_EQ(1, io_uring_submit(&uring));
	EXPECT_TRUE(record_is(self->r, CAPACITY, half - 10, 1, 0));
	EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&uring, &cqe));
	EXPECT_TRUE(record_is(self->r, CAPACITY, half, 2, 0));
	ASSERT_EQ(0, io_uring_wait_cqe_timeout(&uring, &cqe, &deadline));
	EXPECT_EQ(POLLOUT, cqe->res);
	io_uring_queue_exit(&uring);
}

/* What was read of a long one makes room as other bytes do. */
TEST_F(room, a_part_that_was_read_makes_room)
{
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ((long)CAPACITY, record_write(self->w, CAPACITY, 1));
	EXPECT_EQ(-EAGAIN, record_write(self->w, 1, 2));
	EXPECT_TRUE(record_is(self->r, CAPACITY - 1, CAPACITY - 1, 1, 0));
	EXPECT_EQ(POLLOUT, events(self->w, 0));
	EXPECT_EQ((long)CAPACITY / 2, record_write(self->w, CAPACITY / 2, 2));
	EXPECT_TRUE(record_is(self->r, 9, 1, 1, CAPACITY - 1));
	EXPECT_TRUE(record_is(self->r, CAPACITY, CAPACITY / 2, 2, 0));
}

/* ---------------------------------------------------------- what is changed meanwhile */

/* A hand-off asks for no room in the log of ends. */
TEST_F(room, as_many_as_there_can_be_and_a_window_when_the_capacity_is_halved)
{
	struct faasin_range range;
	unsigned int i, n = 0;
	long at;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	while (record_write(self->w, 1, n) == 1)
		n++;
	EXPECT_EQ(CAPACITY / FAASIN_RECORD_MIN, n);
	ASSERT_EQ(0, resize(&self->flow, CAPACITY / 2));
	at = window_alloc(self->w, PAGE);
	ASSERT_LE(0, at);
	ASSERT_EQ(0, window_send(self->w, at, PAGE));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_is(self->r, CAPACITY, 1, i, 0));
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(PAGE, range.length);
	EXPECT_EQ(0, window_return(self->r, range.offset));
	for (i = 0; record_write(self->w, 1, i) == 1; i++)
		;
	EXPECT_EQ(CAPACITY / 2 / FAASIN_RECORD_MIN, i);
}

TEST_F(room, many_stay_what_they_are_when_the_capacity_changes)
{
	const uint64_t capacities[] = { 64 * KIB, PAGE, MIB, 12 * PAGE };
	unsigned int i, k, n = 0, next = 0;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		for (k = 0; k < 300; k++)
			n += record_write(self->w, 1 + n % 90, n) > 0;
		EXPECT_EQ(0, resize(&self->flow, capacities[i]));
		for (k = 0; k < 60 && next < n; k++, next++)
			EXPECT_TRUE(record_is(self->r, CAPACITY, 1 + next % 90, next, 0));
	}
	for (; next < n; next++)
		EXPECT_TRUE(record_is(self->r, CAPACITY, 1 + next % 90, next, 0));
	EXPECT_EQ(0, unread(self->r));
	EXPECT_LT(300, n);
}

TEST_F(room, one_that_waits_and_is_too_long_by_now_is_refused)
{
	pid_t pid;

	EXPECT_EQ(1, record_write(self->w, 1, 1));
	pid = waiting_writer(self, CAPACITY);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, resize(&self->flow, CAPACITY / 2));
	EXPECT_TRUE(record_is(self->r, CAPACITY, 1, 1, 0));
	EXPECT_EQ(EMSGSIZE, child_end(pid));
	EXPECT_EQ((long)CAPACITY / 2, record_write(self->w, CAPACITY / 2, 1));
}

TEST_F(room, a_poller_whose_record_is_too_long_by_now_is_told)
{
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(1, record_write(self->w, 1, 1));
	EXPECT_EQ(-EAGAIN, record_write(self->w, CAPACITY, 1));
	EXPECT_EQ(0, resize(&self->flow, CAPACITY / 2));
	EXPECT_TRUE(record_is(self->r, CAPACITY, 1, 1, 0));
	EXPECT_EQ(POLLOUT, events(self->w, DEADLINE * 1000));
	EXPECT_EQ(-EMSGSIZE, record_write(self->w, CAPACITY, 1));
}

TEST_F(room, nothing_moves_while_it_is_paused)
{
	pid_t pid;

	EXPECT_EQ(3, record_write(self->w, 3, 1));
	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_PAUSED));
	EXPECT_EQ(-EAGAIN, sys(read(self->r, (char [9]){ 0 }, 9)));
	pid = waiting_writer(self, 5);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_RUNNING));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(record_is(self->r, 9, 3, 1, 0));
	EXPECT_TRUE(record_is(self->r, 9, 5, 2, 0));
}

TEST_F(room, a_successor_gets_the_rest_of_a_record_first)
{
	EXPECT_EQ(100, record_write(self->w, 100, 1));
	EXPECT_EQ(50, record_write(self->w, 50, 2));
	EXPECT_TRUE(record_is(self->r, 30, 30, 1, 0));
	REPLACE("b");
	EXPECT_EQ(-ESTALE, sys(read(self->r, (char [1]){ 0 }, 1)));
	close(self->r);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_EQ(70, port_info(self->r).record);
	EXPECT_EQ(30, port_info(self->r).position);
	EXPECT_TRUE(record_is(self->r, 1000, 70, 1, 30));
	EXPECT_TRUE(record_is(self->r, 1000, 50, 2, 0));
}

TEST_F(room, of_a_writer_that_is_replaced_while_it_waits_nothing_is_left)
{
	pid_t pid;
	int w;

	EXPECT_EQ(7, record_write(self->w, 7, 1));
	pid = waiting_writer(self, CAPACITY);
	ASSERT_LT(0, pid);
	REPLACE("a");
	EXPECT_EQ(ESTALE, child_end(pid));
	w = flow_writer(&self->flow, 0);
	EXPECT_EQ(9, record_write(w, 9, 3));
	EXPECT_TRUE(record_is(self->r, 1000, 7, 1, 0));
	EXPECT_TRUE(record_is(self->r, 1000, 9, 3, 0));
	close(w);
	EXPECT_OVER(self->r, 0);
}

/* --------------------------------------------------------------------- memory */

/* Who pays is gone: what is not enough never will be, what is goes through. */
TEST_F(room, when_the_cgroup_is_gone)
{
	unsigned int i;

	ASSERT_EQ(0, cgroup_remove(self->flow.name));
	EXPECT_EQ(-ENOMEM, record_write(self->w, CAPACITY, 1));
	EXPECT_EQ(-ENOMEM, record_write(self->w, PAGE + 1, 1));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(PAGE, record_write(self->w, PAGE, i));
		EXPECT_TRUE(record_is(self->r, CAPACITY, PAGE, i, 0));
	}
	EXPECT_EQ(0, unread(self->r));
}

/* So much more may be charged that no long record goes in. */
static void limit_memory(struct __test_metadata *_metadata, struct flow *flow, bool limited)
{
	char limit[32] = "max";

	if (limited)
		snprintf(limit, sizeof(limit), "%lld",
			 cgroup_read(flow->name, "memory.current", NULL) + 4 * PAGE);
	ASSERT_EQ(0, cgroup_write(flow->name, "memory.max", limit));
}

/* While memory is short, a long record waits, and a page goes through; then all goes on. */
TEST_F(room, when_memory_is_short)
{
	pid_t pid;

	limit_memory(_metadata, &self->flow, true);
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, record_write(self->w, CAPACITY, 1));
	EXPECT_EQ(PAGE, record_write(self->w, PAGE, 2));
	EXPECT_TRUE(record_is(self->r, CAPACITY, PAGE, 2, 0));
	EXPECT_EQ(-EAGAIN, record_write(self->w, CAPACITY, 1));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, 0));
	pid = waiting_writer(self, CAPACITY);
	ASSERT_LT(0, pid);
	limit_memory(_metadata, &self->flow, false);
	EXPECT_EQ(0, child_end(pid));
}

/* Nothing is read that could tell: who polls hears of it all the same. */
TEST_F(room, who_polls_while_memory_is_short_is_told)
{
	limit_memory(_metadata, &self->flow, true);
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, record_write(self->w, CAPACITY, 1));
	EXPECT_EQ(0, events(self->w, 0));
	limit_memory(_metadata, &self->flow, false);
	EXPECT_EQ(POLLOUT, events(self->w, DEADLINE * 1000));
	EXPECT_EQ((long)CAPACITY, record_write(self->w, CAPACITY, 1));
}

/* By another one's try, too, of which nothing came. */
TEST_F(room, who_polls_is_told_though_another_tried)
{
	struct epoll_event event = { .events = EPOLLOUT };
	void *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ep = epoll_create1(EPOLL_CLOEXEC), other = flow_writer(&self->flow, O_NONBLOCK);

	limit_memory(_metadata, &self->flow, true);
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, record_write(self->w, CAPACITY, 1));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->w, &event));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	EXPECT_EQ(-EFAULT, sys(write(other, none, 1)));
	limit_memory(_metadata, &self->flow, false);
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
	EXPECT_EQ((long)CAPACITY, record_write(self->w, CAPACITY, 1));
	close(other);
	close(ep);
	munmap(none, PAGE);
}

TEST_F(room, one_that_waits_for_memory_and_is_too_long_by_now_is_refused)
{
	int error = -ENOMEM;
	pid_t pid;

	limit_memory(_metadata, &self->flow, true);
	pid = waiting_writer(self, CAPACITY);
	ASSERT_LT(0, pid);
	/* That takes some, too. */
	for (int i = 0; i < DEADLINE * 10 && error == -ENOMEM; i++) {
		error = resize(&self->flow, CAPACITY / 2);
		usleep(error ? 100000 : 0);
	}
	EXPECT_EQ(0, error);
	EXPECT_EQ(EMSGSIZE, child_end(pid));
	limit_memory(_metadata, &self->flow, false);
}

/* ------------------------------------------------------------------- several links */

FIXTURE(fan)
{
	struct fan fan;
	int w, other;
	int r[2];
};

/* Links of "a" to r0, for which it waits, and to r1, which is slow. */
FIXTURE_SETUP(fan)
{
	struct faasctl_link_options options = fan_slow_options(CAPACITY, FAASIN_SLOW_THROTTLE);

	options.flags = FAASCTL_RECORDS;
	FAN_SETUP(&self->fan, 2, &options);
	options.slow = FAASIN_SLOW_DROP;
	ASSERT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	ASSERT_EQ(0, fan_link(&self->fan, "a", "r1", &options))
		TH_LOG("%s", self->fan.refusal);
	FAN_ENDS_SETUP(self);
	self->r[1] = fan_reader(&self->fan, 1, 0);
	self->other = fan_writer(&self->fan, O_NONBLOCK);
}

FIXTURE_TEARDOWN(fan)
{
	close(self->other);
	FAN_ENDS_TEARDOWN(self);
}

/*
 * A record was refused, then read was what was in its way, but another one took that room: who
 * waits still waits for as much, and r1 holds it up.
 */
static void held_up(struct __test_metadata *_metadata, FIXTURE_DATA(fan) *self)
{
	size_t most = CAPACITY * 5 / 8;

	EXPECT_EQ((long)most, record_write(self->w, most, 1));
	EXPECT_EQ(-EAGAIN, record_write(self->other, most, 2));
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, most, 1, 0));
	EXPECT_TRUE(record_is(self->r[1], CAPACITY, most, 1, 0));
	EXPECT_EQ((long)most, record_write(self->w, most, 3));
	EXPECT_EQ(0, ready(self->other));
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, most, 3, 0));
}

TEST_F(fan, who_holds_up_a_long_one_is_dropped)
{
	held_up(_metadata, self);
	EXPECT_TRUE(fan_gets_room(self->other));
	EXPECT_EQ(CAPACITY / 2, record_write(self->other, CAPACITY / 2, 2));
	EXPECT_OVER(self->r[1], -ECONNABORTED);
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, CAPACITY / 2, 2, 0));
}

TEST_F(fan, who_waits_for_a_long_one_waits_for_no_link_that_is_gone)
{
	held_up(_metadata, self);
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_TRUE(fan_gets_room(self->other));
	EXPECT_EQ(CAPACITY / 2, record_write(self->other, CAPACITY / 2, 2));
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, CAPACITY / 2, 2, 0));
}

TEST_HARNESS_MAIN
