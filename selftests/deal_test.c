// SPDX-License-Identifier: GPL-2.0
/*
 * Dealing: an output whose records go to its links in turn. Whose turn it is, waiting for that,
 * streams that begin and end for all, and what becomes of them when one of the readers leaves.
 */
#include "actor.h"
#include "fan.h"
#include "records.h"
#include "window.h"

#include <linux/sched.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "harness.h"

#define STAGES		3
#define CAPACITY	(64 * KIB)

static const struct faasctl_link_options defaults = FAASCTL_LINK_OPTIONS_INIT;

static struct faasctl_link_options dealt(uint64_t capacity)
{
	return (struct faasctl_link_options)FAN_DEALT_INIT(capacity);
}

FIXTURE(deal)
{
	struct fan fan;
	int w, r[STAGES];
};

FIXTURE_SETUP(deal)
{
	struct faasctl_link_options options = dealt(CAPACITY);
	unsigned int i;

	FAN_SETUP(&self->fan, STAGES, &options);
	self->w = fan_writer(&self->fan, O_NONBLOCK);
	ASSERT_LE(0, self->w);
	for (i = 0; i < STAGES; i++) {
		self->r[i] = fan_reader(&self->fan, i, O_NONBLOCK);
		ASSERT_LE(0, self->r[i]);
	}
}

FIXTURE_TEARDOWN(deal)
{
	unsigned int i;

	close(self->w);
	for (i = 0; i < STAGES; i++)
		close(self->r[i]);
	FAN_TEARDOWN(&self->fan);
}

static uint32_t number_read(int fd)
{
	uint32_t number;

	return read(fd, &number, sizeof(number)) == sizeof(number) ? number : ~0u;
}

#define EXPECT_NOTHING(fd)							\
	EXPECT_EQ(-EAGAIN, sys(read(fd, (char [1]){ 0 }, 1)))

/* ------------------------------------------------------------------------ turns */

TEST_F(deal, records_go_to_each_in_turn)
{
	uint32_t number;

	for (number = 0; number < 3000; number++) {
		ASSERT_EQ(4, sys(write(self->w, &number, 4)));
		EXPECT_EQ(number, number_read(self->r[number % STAGES]));
	}
	for (number = 0; number < STAGES; number++)
		EXPECT_NOTHING(self->r[number]);
	/* A record is there once. */
	for (number = 0; number < STAGES; number++)
		EXPECT_EQ(4000, fan_state(&self->fan, number).stats.bytes_in);
}

TEST_F(deal, each_stream_begins_with_the_first)
{
	unsigned int i;

	EXPECT_WRITE(self->w, "one");
	EXPECT_WRITE(self->w, "two");
	close(self->w);
	self->w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(self->w, "first");
	EXPECT_RECORD_READ(self->r[0], "one");
	EXPECT_RECORD_READ(self->r[1], "two");
	for (i = 0; i < STAGES; i++) {
		EXPECT_OVER(self->r[i], 0);
		close(self->r[i]);
		self->r[i] = fan_reader(&self->fan, i, O_NONBLOCK);
	}
	EXPECT_RECORD_READ(self->r[0], "first");
	EXPECT_NOTHING(self->r[1]);
	EXPECT_NOTHING(self->r[2]);
}

/* The turn is the stream's, whoever writes: several open files, and several processes. */
TEST_F(deal, writers_have_the_turn_in_common)
{
	int other = fan_writer(&self->fan, 0);
	pid_t pid;

	EXPECT_WRITE(self->w, "a");
	EXPECT_WRITE(other, "b");
	pid = child();
	if (!pid)
		_exit(write(other, "c", 1) != 1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_WRITE(self->w, "d");
	EXPECT_RECORD_READ(self->r[0], "a");
	EXPECT_RECORD_READ(self->r[1], "b");
	EXPECT_RECORD_READ(self->r[2], "c");
	EXPECT_RECORD_READ(self->r[0], "d");
	/* It ends with the last of them. */
	close(self->w);
	EXPECT_NOTHING(self->r[1]);
	close(other);
	EXPECT_OVER(self->r[1], 0);
	self->w = -1;
}

TEST_F(deal, records_are_whole_up_to_the_capacity)
{
	static const size_t sizes[] = { 1, 255, 4096, 4097, 30000, CAPACITY - 1, CAPACITY };
	unsigned int i, turn = 0;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++, turn++) {
		EXPECT_EQ((long)sizes[i], record_write(self->w, sizes[i], i));
		EXPECT_EQ(-EMSGSIZE, record_write(self->w, CAPACITY + 1, 9));
		EXPECT_TRUE(record_is(self->r[turn % STAGES], CAPACITY, sizes[i], i, 0));
	}
}

/* What is no record, or could not be one, does not move the turn. */
TEST_F(deal, what_fails_leaves_the_turn)
{
	EXPECT_EQ(0, sys(write(self->w, "", 0)));
	EXPECT_EQ(-EFAULT, sys(syscall(SYS_write, self->w, 8, 10)));
	EXPECT_EQ(-EMSGSIZE, record_write(self->w, CAPACITY + 1, 1));
	EXPECT_EQ(-EBADF, sys(read(self->w, (char [1]){ 0 }, 1)));
	EXPECT_WRITE(self->w, "first");
	EXPECT_RECORD_READ(self->r[0], "first");
	EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, 2));
	EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, 3));
	EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, 4));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "later", 5)));
	EXPECT_TRUE(record_is(self->r[1], CAPACITY, CAPACITY, 2, 0));
	EXPECT_WRITE(self->w, "later");
	EXPECT_RECORD_READ(self->r[1], "later");
}

/* ---------------------------------------------------------------------- waiting */

/* Strictly in turn: room of another is of no use. */
TEST_F(deal, the_one_whose_turn_it_is_is_waited_for)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC), i;
	pid_t pid;

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->w, &event));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, i));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_TRUE(record_is(self->r[1], CAPACITY, CAPACITY, 1, 0));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	while (epoll_wait(ep, &event, 1, 0) == 1)
		EXPECT_EQ(0, ready(self->w));
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, CAPACITY, 0, 0));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
	EXPECT_EQ(POLLOUT, ready(self->w));
	EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, 5));
	EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, 6));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(write(self->w, "waits", 5) != 5);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, CAPACITY, 5, 0));
	EXPECT_TRUE(record_is(self->r[1], CAPACITY, CAPACITY, 6, 0));
	EXPECT_TRUE(is_running(pid));
	EXPECT_TRUE(record_is(self->r[2], CAPACITY, CAPACITY, 2, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_RECORD_READ(self->r[2], "waits");
	close(ep);
}

/* Several wait for one; when one of them has written, the others go on to the next. */
TEST_F(deal, who_waits_goes_on_with_the_turn)
{
	pid_t pids[STAGES];
	char buf[16];
	int i, n = 0;

	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, i));
	EXPECT_TRUE(record_is(self->r[1], CAPACITY, CAPACITY, 1, 0));
	EXPECT_TRUE(record_is(self->r[2], CAPACITY, CAPACITY, 2, 0));
	fcntl(self->w, F_SETFL, 0);
	for (i = 0; i < STAGES; i++) {
		pids[i] = child();
		if (!pids[i])
			_exit(write(self->w, &(char){ 'a' + i }, 1) != 1);
		EXPECT_TRUE(blocks_in(pids[i], SYS_write));
	}
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, CAPACITY, 0, 0));
	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	/* One each. */
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(1, sys(read(self->r[i], buf, sizeof(buf))));
		n |= 1 << (buf[0] - 'a');
		EXPECT_NOTHING(self->r[i]);
	}
	EXPECT_EQ(7, n);
}

TEST_F(deal, a_signal_leaves_nothing)
{
	pid_t pid;
	int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, i));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(sys(write(self->w, "x", 1)) == -EINTR ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, CAPACITY, 0, 0));
	EXPECT_NOTHING(self->r[0]);
}

TEST_F(deal, a_paused_link_holds_up_the_writer)
{
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_PAUSED));
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "b", 1)));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_RUNNING));
	EXPECT_EQ(POLLOUT, ready(self->w));
	EXPECT_WRITE(self->w, "b");
	EXPECT_RECORD_READ(self->r[1], "b");
}

/* ------------------------------------------------------------------------- ends */

TEST_F(deal, all_end_together)
{
	unsigned int i;

	EXPECT_WRITE(self->w, "only");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_RECORD_READ(self->r[0], "only");
	for (i = 0; i < STAGES; i++) {
		EXPECT_OVER(self->r[i], 0);
		EXPECT_EQ(1, fan_state(&self->fan, i).stats.streams_ended);
	}
}

TEST_F(deal, an_abort_is_one_for_all)
{
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };
	unsigned int i;

	EXPECT_WRITE(self->w, "a");
	EXPECT_WRITE(self->w, "b");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &request)));
	EXPECT_RECORD_READ(self->r[0], "a");
	EXPECT_RECORD_READ(self->r[1], "b");
	for (i = 0; i < STAGES; i++) {
		EXPECT_OVER(self->r[i], -ECONNABORTED);
		EXPECT_EQ(FAASIN_CAUSE_REQUEST, fan_state(&self->fan, i).last.cause);
	}
}

/* Whoever wrote to one of them, and by which open file. */
TEST_F(deal, a_crash_is_one_for_all)
{
	unsigned int i;
	pid_t pid;

	EXPECT_WRITE(self->w, "a");
	pid = child();
	if (!pid) {
		if (write(self->w, "b", 1) != 1)
			_exit(1);
		raise(SIGTERM);
	}
	EXPECT_EQ(-SIGTERM, child_end(pid));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(POLLERR | POLLOUT, ready(self->w));
	EXPECT_RECORD_READ(self->r[0], "a");
	EXPECT_RECORD_READ(self->r[1], "b");
	for (i = 0; i < STAGES; i++) {
		EXPECT_OVER(self->r[i], -ECONNABORTED);
		EXPECT_EQ(FAASIN_CAUSE_SIGNAL, fan_state(&self->fan, i).last.cause);
		EXPECT_EQ(SIGTERM, (int)fan_state(&self->fan, i).last.code);
	}
}

/* The process that died has the descriptors of one that lives on: the last of them tells. */
TEST_F(deal, a_crash_that_closing_does_not_show)
{
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	unsigned int i;

	if (!pid) {
		if (write(self->w, "a", 1) == 1)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	close(self->w);
	self->w = -1;
	EXPECT_RECORD_READ(self->r[0], "a");
	for (i = 0; i < STAGES; i++) {
		EXPECT_OVER(self->r[i], -ECONNABORTED);
		EXPECT_EQ(FAASIN_CAUSE_LOST, fan_state(&self->fan, i).last.cause);
	}
}

/* The next stream is dealt as ever, to all that there are. */
#define EXPECT_GOES_ON(first, second)						\
do {										\
	close(self->w);								\
	self->w = fan_writer(&self->fan, O_NONBLOCK);				\
	ASSERT_LE(0, self->w);							\
	for (int on = 0; on < STAGES; on++) {					\
		close(self->r[on]);						\
		self->r[on] = fan_reader(&self->fan, on, O_NONBLOCK);		\
	}									\
	EXPECT_WRITE(self->w, "on");						\
	EXPECT_WRITE(self->w, "and on");					\
	EXPECT_RECORD_READ(self->r[first], "on");				\
	EXPECT_RECORD_READ(self->r[second], "and on");				\
} while (0)

/* What it was given may be lost, so nobody is told that all is well. */
TEST_F(deal, a_replica_that_leaves_ends_it_for_all)
{
	EXPECT_WRITE(self->w, "a");
	EXPECT_WRITE(self->w, "b");
	EXPECT_WRITE(self->w, "c");
	EXPECT_WRITE(self->w, "d");
	EXPECT_EQ(1, sys(read(self->r[1], (char [8]){ 0 }, 8)));
	close(self->r[1]);
	self->r[1] = -1;
	EXPECT_EQ(POLLERR | POLLOUT, ready(self->w));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, port_info(self->w).cause);
	EXPECT_RECORD_READ(self->r[0], "a");
	EXPECT_RECORD_READ(self->r[0], "d");
	EXPECT_RECORD_READ(self->r[2], "c");
	EXPECT_OVER(self->r[0], -ECONNABORTED);
	EXPECT_OVER(self->r[2], -ECONNABORTED);
	EXPECT_EQ(FAASIN_CAUSE_DEAL, fan_state(&self->fan, 0).last.cause);
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, fan_state(&self->fan, 1).last.cause);
	EXPECT_GOES_ON(0, 1);
}

TEST_F(deal, a_replica_that_is_killed_ends_it_for_all)
{
	pid_t pid = child();
	char byte;

	if (!pid) {
		close(self->w);
		if (self->r[2] < 0 || fcntl(self->r[2], F_SETFL, 0) ||
		    read(self->r[2], &byte, 1) != 1)
			_exit(1);
		pause();
	}
	close(self->r[2]);
	EXPECT_WRITE(self->w, "a");
	EXPECT_WRITE(self->w, "b");
	EXPECT_WRITE(self->w, "c");
	EXPECT_TRUE(blocks_in(pid, SYS_pause));
	child_kill(pid, SIGKILL);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_RECORD_READ(self->r[0], "a");
	EXPECT_OVER(self->r[0], -ECONNABORTED);
	EXPECT_RECORD_READ(self->r[1], "b");
	EXPECT_OVER(self->r[1], -ECONNABORTED);
	self->r[2] = -1;
	EXPECT_GOES_ON(0, 1);
}

TEST_F(deal, unlinking_one_ends_it_for_all)
{
	EXPECT_WRITE(self->w, "a");
	EXPECT_WRITE(self->w, "b");
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_RECORD_READ(self->r[0], "a");
	EXPECT_OVER(self->r[0], -ECONNABORTED);
	EXPECT_RECORD_READ(self->r[1], "b");
	EXPECT_OVER(self->r[1], -ECONNABORTED);
	EXPECT_OVER(self->r[2], -ECONNABORTED);
	EXPECT_GOES_ON(0, 2);
}

/* Who waits for room of the one that goes is told. */
TEST_F(deal, who_waits_is_told)
{
	pid_t pid;
	int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(CAPACITY, record_write(self->w, CAPACITY, i));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(sys(write(self->w, "x", 1)) == -EPIPE ? 0 : 1);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r2"));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(deal, a_link_that_is_added_takes_part_from_the_next_stream_on)
{
	struct faasctl_link_options options = dealt(CAPACITY);
	uint32_t number;
	int more;

	EXPECT_EQ(0, fan_stage(&self->fan, "more"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "more", &options));
	for (number = 0; number < 2 * STAGES; number++)
		ASSERT_EQ(4, sys(write(self->w, &number, 4)));
	for (number = 0; number < 2 * STAGES; number++)
		EXPECT_EQ(number, number_read(self->r[number % STAGES]));
	close(self->w);
	self->w = fan_writer(&self->fan, 0);
	for (number = 0; number < STAGES + 1; number++)
		ASSERT_EQ(4, sys(write(self->w, &number, 4)));
	more = fan_open(&self->fan, "more", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_EQ(STAGES, number_read(more));
	close(more);
}

/* The producing stage is replaced: its successor goes on with the stream, and with the turn. */
TEST_F(deal, a_successor_has_the_turn)
{
	int w;

	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(0, fan_replace(&self->fan, "a"));
	EXPECT_EQ(-ESTALE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(-ESTALE, sys(ioctl(self->w, FAASIN_IOC_END)));
	w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(w, "b");
	close(self->w);
	EXPECT_WRITE(w, "c");
	self->w = w;
	EXPECT_RECORD_READ(self->r[0], "a");
	EXPECT_RECORD_READ(self->r[1], "b");
	EXPECT_RECORD_READ(self->r[2], "c");
	close(self->w);
	self->w = -1;
	EXPECT_OVER(self->r[0], 0);
	EXPECT_OVER(self->r[1], 0);
}

/* A replica is replaced: the stream goes on, from its first record that was not read. */
TEST_F(deal, a_replica_is_replaced)
{
	int r;

	EXPECT_WRITE(self->w, "a");
	EXPECT_WRITE(self->w, "b");
	EXPECT_EQ(0, fan_replace(&self->fan, "r1"));
	EXPECT_OVER(self->r[1], -ESTALE);
	r = fan_reader(&self->fan, 1, 0);
	EXPECT_RECORD_READ(r, "b");
	close(self->r[1]);
	self->r[1] = r;
	EXPECT_WRITE(self->w, "c");
	EXPECT_RECORD_READ(self->r[2], "c");
}

/* ---------------------------------------------------------------------- figures */

TEST_F(deal, figures_are_those_of_all)
{
	struct faasin_context context = { .length = 1, .data = "c" }, got;
	struct faasin_port_info info;
	unsigned int i;

	EXPECT_EQ(-ENODATA, sys(ioctl(self->w, FAASIN_IOC_GET_CONTEXT, &got)));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_SET_CONTEXT, &context)));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_GET_CONTEXT, &got)));
	EXPECT_EQ('c', got.data[0]);
	EXPECT_EQ(-EEXIST, sys(ioctl(self->w, FAASIN_IOC_SET_CONTEXT, &context)));
	EXPECT_WRITE(self->w, "four");
	EXPECT_WRITE(self->w, "sixsix");
	EXPECT_EQ(10, unread(self->w));
	info = port_info(self->w);
	EXPECT_EQ(10, info.unread);
	EXPECT_EQ(10, info.position);
	EXPECT_EQ(0, info.link_generation);
	EXPECT_EQ(CAPACITY, info.capacity);
	EXPECT_EQ(FAASIN_INFO_OUTPUT | FAASIN_INFO_RECORDS, info.flags);
	EXPECT_EQ(4, unread(self->r[0]));
	EXPECT_EQ(6, unread(self->r[1]));
	EXPECT_EQ(0, unread(self->r[2]));
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(0, sys(ioctl(self->r[i], FAASIN_IOC_GET_CONTEXT, &got)));
		EXPECT_EQ('c', got.data[0]);
		EXPECT_TRUE(fan_state(&self->fan, i).link.flags & FAASIN_LINK_F_DEALT);
	}
	EXPECT_EQ(10, fan_sums(&self->fan).bytes_in);
}

/* --------------------------------------------------------------------- refusals */

TEST_F(deal, there_is_no_window)
{
	struct faasin_range range = { 0, PAGE };
	int pipe_fds[2];

	close(self->w);
	self->w = fan_writer(&self->fan, O_RDWR);
	EXPECT_EQ(-EOPNOTSUPP, window_try_map(self->w, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(self->w, FAASIN_IOC_ALLOC, &range)));
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(self->w, FAASIN_IOC_LANE)));
	EXPECT_EQ(-EACCES, window_return(self->w, 0));
	EXPECT_EQ(-ENOTTY, sys(ioctl(self->w, 0x5401)));
	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	EXPECT_EQ(1, write(pipe_fds[1], "x", 1));
	EXPECT_EQ(-EINVAL, sys(splice(pipe_fds[0], NULL, self->w, NULL, 1, 0)));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

TEST_F(deal, what_links_cannot_be)
{
	struct faasctl_link_options options = dealt(CAPACITY);

	EXPECT_EQ(0, fan_stage(&self->fan, "x"));
	EXPECT_EQ(0, fan_stage(&self->fan, "y"));
	EXPECT_EQ(0, fan_stage(&self->fan, "z"));
	options.flags = FAASCTL_DEAL;
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "x", "y,z", &options));
	options.flags |= FAASCTL_RECORDS | FAASCTL_TRUSTED;
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "x", "y,z", &options));
	options = dealt(CAPACITY);
	options.slow = FAASIN_SLOW_DROP;
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "x", "y,z", &options));
	options = dealt(CAPACITY);
	options.early_close = FAASIN_EARLY_CLOSE_DRAIN;
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "x", "y,z", &options));
	/* An output deals, or does not. */
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "a", "x", NULL));
	options = defaults;
	options.flags = FAASCTL_RECORDS;
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "a", "x", &options));
	EXPECT_EQ(0, fan_link(&self->fan, "x", "y", &options));
	options = dealt(CAPACITY);
	options.abort_on = FAASIN_ABORT_ON_NEVER;
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "a", "z", &options));
	options = dealt(CAPACITY);
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "x", "z", &options));
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "x", "y", &options));
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "a", "r0", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r0,r1", &options));
	/* When the last is gone, it can be anything. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r2"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r2", NULL));
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "a", "r1", NULL));
}

TEST_HARNESS_MAIN
