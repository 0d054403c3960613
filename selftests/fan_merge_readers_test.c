// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-in that merges, and who reads there: waiting, polling, alone and with others; who stands
 * still in the middle of a copy, and who comes next.
 */
#include "fan_merge.h"
#include "hostile.h"

#include <liburing.h>
#include <sys/epoll.h>

/* --------------------------------------------------------------------- waiting */

TEST_F(merge, a_reader_waits_for_a_stream_and_for_a_record)
{
	unsigned int i;
	pid_t pid;

	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
	pid = child();
	if (!pid) {
		int r = fan_in_reader(&self->fan, 0);
		char buf[16];

		for (i = 0; i < STAGES; i++)
			if (sys(read(r, buf, sizeof(buf))) != 4)
				_exit(1);
		_exit(sys(read(r, buf, sizeof(buf))) ? 2 : 0);
	}
	for (i = 0; i < STAGES; i++) {
		ASSERT_TRUE(blocks_in(pid, SYS_read));
		self->w[i] = fan_in_writer(&self->fan, i, 0);
		ASSERT_TRUE(blocks_in(pid, SYS_read));
		EXPECT_WRITE(self->w[i], "here");
	}
	ASSERT_TRUE(blocks_in(pid, SYS_read));
	end_from(self->w, 0);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(merge, a_signal_interrupts)
{
	pid_t pid = child();

	if (!pid) {
		int r = fan_in_reader(&self->fan, 0);

		interrupt_by(SIGUSR1, 0);
		_exit(sys(read(r, (char [1]){ 0 }, 1)) == -EINTR ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_read));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(merge, who_does_not_wait_at_all)
{
	struct iovec iov = { (char [8]){ 0 }, 8 };

	EXPECT_EQ(-EAGAIN, sys(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_WRITE(self->w[0], "now");
	EXPECT_EQ(3, sys(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
}

/* --------------------------------------------------------------------- polling */

TEST_F(merge, edges_tell_of_each_record)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	unsigned int i, k;

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->r, &event));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	for (k = 0; k < 3; k++)
		for (i = 0; i < STAGES; i++) {
			EXPECT_WRITE(self->w[i], "x");
			EXPECT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
			EXPECT_EQ(EPOLLIN, event.events);
			EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
			EXPECT_RECORD_READ(self->r, "x");
			EXPECT_NOTHING(self->r);
		}
	end_from(self->w, 1);
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	end_from(self->w, 0);
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
	EXPECT_EQ(EPOLLHUP, event.events);
	close(ep);
}

static long completed(struct io_uring *ring, unsigned int seconds)
{
	struct __kernel_timespec deadline = { .tv_sec = seconds, .tv_nsec = 20000000 };
	struct io_uring_cqe *cqe;
	long res;

	if (io_uring_wait_cqe_timeout(ring, &cqe, &deadline))
		return -ETIMEDOUT;
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

/* What is told once is not told of what is not due. */
TEST_F(merge, a_poll_that_is_told_once)
{
	bool turn = variant->merge == FAASIN_MERGE_TURN;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int error = io_uring_queue_init(4, &ring, 0);

	if (error)
		SKIP(return, "io_uring is not to be had: %s", strerror(-error));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, self->r, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_WRITE(self->w[1], "b");
	EXPECT_EQ(turn ? -ETIMEDOUT : POLLIN, completed(&ring, 0));
	EXPECT_WRITE(self->w[0], "a");
	if (turn)
		EXPECT_EQ(POLLIN, completed(&ring, DEADLINE));
	EXPECT_RECORD_READ(self->r, "a");
	EXPECT_RECORD_READ(self->r, "b");
	io_uring_queue_exit(&ring);
}

/* A record, by polling exclusively; whether there was one before the deadline. */
static bool polls_exclusively(int r)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	long n;

	if (epoll_ctl(ep, EPOLL_CTL_ADD, r, &event))
		return false;
	do {
		if (epoll_wait(ep, &event, 1, DEADLINE * 1000) != 1)
			return false;
		n = sys(read(r, (char [8]){ 0 }, 8));
	} while (n == -EAGAIN);
	return n == 1;
}

/* The wake-up that one of them took may have been for what another's turn has to come before. */
TEST_F(merge, each_who_polls_is_told)
{
	pid_t pids[STAGES];
	unsigned int i, k;

	for (k = 0; k < 20; k++) {
		for (i = 0; i < STAGES; i++) {
			pids[i] = child();
			if (!pids[i])
				_exit(!polls_exclusively(self->r));
			ASSERT_TRUE(blocks_in(pids[i], SYS_epoll_wait));
		}
		for (i = STAGES; i--; )
			EXPECT_WRITE(self->w[i], "x");
		for (i = 0; i < STAGES; i++)
			EXPECT_EQ(0, child_end(pids[i]));
		EXPECT_NOTHING(self->r);
	}
}

/* --------------------------------------------------------------------- sharing */

/* Each record is one reader's, whole. */
TEST_F(merge, several_share_it)
{
	enum { READERS = 3, EACH = 200 };
	uint64_t *sum = shared(sizeof(*sum));
	pid_t pids[READERS], writers[STAGES];
	uint64_t expected = 0, value, buf[2];
	unsigned int i, k;
	int r = fan_in_reader(&self->fan, 0);

	for (i = 0; i < READERS; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		end_from(self->w, 0);
		while (sys(read(r, buf, sizeof(buf))) == sizeof(value))
			__atomic_fetch_add(sum, buf[0], __ATOMIC_RELAXED);
		_exit(sys(read(r, buf, sizeof(buf))) ? 1 : 0);
	}
	for (i = 0; i < STAGES; i++) {
		for (k = 0; k < EACH; k++)
			expected += i * 1000 + k;
		writers[i] = child();
		if (writers[i])
			continue;
		ASSERT_EQ(0, fcntl(self->w[i], F_SETFL, 0));
		for (k = 0; k < EACH; k++) {
			value = i * 1000 + k;
			if (sys(write(self->w[i], &value, sizeof(value))) != sizeof(value))
				_exit(1);
		}
		_exit(0);
	}
	end_from(self->w, 0);
	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(0, child_end(writers[i]));
	for (i = 0; i < READERS; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_EQ(expected, *sum);
	close(r);
	munmap(sum, sizeof(*sum));
}

/*
 * Each has one record and does not come again before the others have theirs, so nobody makes up
 * for a wake-up that was lost.
 */
TEST_F(merge, each_who_waits_is_told)
{
	enum { MEETINGS = 300 };
	int come[STAGES], had = bell(), r = fan_in_reader(&self->fan, 0);
	unsigned int i, k;
	pid_t pids[STAGES];

	for (i = 0; i < STAGES; i++) {
		come[i] = bell();
		pids[i] = child();
		if (pids[i])
			continue;
		end_from(self->w, 0);
		for (k = 0; k < MEETINGS; k++) {
			if (!await(come[i]) || sys(read(r, (char [8]){ 0 }, 8)) != 1)
				_exit(1);
			ring(had);
		}
		_exit(0);
	}
	for (k = 0; k < MEETINGS; k++) {
		for (i = 0; i < STAGES; i++)
			ring(come[i]);
		for (i = STAGES; i--; )
			EXPECT_WRITE(self->w[i], "x");
		for (i = 0; i < STAGES; i++)
			ASSERT_TRUE(await(had)) TH_LOG("meeting %u", k);
	}
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(0, child_end(pids[i]));
		close(come[i]);
	}
	close(r);
	close(had);
}

/* Others who read without a pause do not keep it from its turn. */
TEST_F(merge, who_splices_has_its_turn_among_readers)
{
	int r = fan_in_reader(&self->fan, 0), pipes[2];
	pid_t writer, readers[2], splices;
	unsigned int i;

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	end_from(self->w, 1);
	writer = child();
	if (!writer) {
		fcntl(self->w[0], F_SETFL, 0);
		while (write(self->w[0], "x", 1) == 1)
			;
		_exit(1);
	}
	for (i = 0; i < 2; i++) {
		readers[i] = child();
		if (readers[i])
			continue;
		end_from(self->w, 0);
		while (read(r, (char [8]){ 0 }, 8) == 1)
			;
		_exit(1);
	}
	splices = child();
	if (!splices) {
		end_from(self->w, 0);
		for (i = 0; i < 100; i++)
			if (sys(splice(r, NULL, pipes[1], NULL, MIB, 0)) != 1 ||
			    sys(read(pipes[0], (char [8]){ 0 }, 8)) != 1)
				_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, child_end(splices));
	for (i = 0; i < 2; i++)
		child_kill(readers[i], SIGKILL);
	child_kill(writer, SIGKILL);
	close(r);
	close(pipes[0]);
	close(pipes[1]);
}

/* Of whom an input that merges wakes, links know nothing: nor that there was nobody to be woken. */
TEST_F(merge, no_link_counts_who_is_woken)
{
	struct faasctl_stats stats;
	pid_t pid = child();

	if (!pid) {
		end_from(self->w, 0);
		fcntl(self->r, F_SETFL, 0);
		_exit(sys(read(self->r, (char [8]){ 0 }, 8)) != 5);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_WRITE(self->w[0], "wakes");
	EXPECT_EQ(0, child_end(pid));
	stats = fan_in_state(&self->fan, 0).stats;
	EXPECT_EQ(0, stats.reader_wakes);
	/* The reader had nobody to wake, either, and has said so. */
	EXPECT_EQ(1, stats.wakes_avoided);
	EXPECT_WRITE(self->w[0], "more");
	EXPECT_EQ(1, fan_in_state(&self->fan, 0).stats.wakes_avoided);
	fcntl(self->r, F_SETFL, O_NONBLOCK);
	EXPECT_EQ(variant->merge == FAASIN_MERGE_TURN ? -EAGAIN : 4,
		  sys(read(self->r, (char [8]){ 0 }, 8)));
}

/* ---------------------------------------------------------------- standing still */

/*
 * A process that has read the first page of a record, and stands still in the middle of the
 * second, until it is killed.
 */
static pid_t stands_still(int *w, int r)
{
	pid_t pid = child();
	struct iovec to[2];

	if (pid)
		return pid;
	end_from(w, 0);
	to[0] = (struct iovec){ malloc(PAGE), PAGE };
	to[1] = (struct iovec){ page_of_no_return(), PAGE };
	if (!to[1].iov_base)
		_exit(2);
	readv(r, to, 2);
	_exit(1);
}

/* It is due: in turn, what comes before it was read. */
#define SECOND_LINKS_RECORD_IS_READ(pid)					\
do {										\
	if (variant->merge == FAASIN_MERGE_TURN) {				\
		EXPECT_WRITE(self->w[0], "before");				\
		EXPECT_RECORD_READ(self->r, "before");				\
	}									\
	EXPECT_EQ(2 * PAGE, record_write(self->w[1], 2 * PAGE, 1));		\
	(pid) = stands_still(self->w, self->r);					\
	ASSERT_TRUE(blocks_in(pid, SYS_readv));					\
} while (0)

/* What it had is of a merged stream that is over, and says nothing of the next one. */
TEST_F(merge, who_was_ended_has_no_say_in_what_is_next)
{
	unsigned int i;
	pid_t pid;

	SECOND_LINKS_RECORD_IS_READ(pid);
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	close(self->r);
	for (i = 0; i < STAGES; i++) {
		close(self->w[i]);
		self->w[i] = fan_in_writer(&self->fan, i, O_NONBLOCK);
		ASSERT_LE(0, self->w[i]);
	}
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	/* Polled, so it has the next one. */
	EXPECT_EQ(0, ready(self->r));
	child_kill(pid, SIGKILL);
	EXPECT_WRITE(self->w[0], "first");
	EXPECT_EQ(POLLIN, ready(self->r));
	EXPECT_RECORD_READ(self->r, "first");
	EXPECT_WRITE(self->w[1], "second");
	EXPECT_RECORD_READ(self->r, "second");
	EXPECT_WRITE(self->w[2], "third");
	EXPECT_RECORD_READ(self->r, "third");
	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
}

/* Also of another link, or two would be in the middle of a record each. */
TEST_F(merge, a_successor_comes_after_who_stands_still)
{
	pid_t pid, next;

	SECOND_LINKS_RECORD_IS_READ(pid);
	ASSERT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_WRITE(self->w[2], "third");
	EXPECT_WRITE(self->w[0], "first");
	next = child();
	if (!next) {
		int r = fan_in_reader(&self->fan, 0);

		end_from(self->w, 0);
		if (!record_is(r, 3 * PAGE, PAGE, 1, PAGE))
			_exit(1);
		if (sys(read(r, (char [8]){ 0 }, 8)) != 5 ||
		    sys(read(r, (char [8]){ 0 }, 8)) != 5)
			_exit(2);
		_exit(sys(read(r, (char [8]){ 0 }, 8)) ? 3 : 0);
	}
	ASSERT_TRUE(blocks_in(next, SYS_read));
	child_kill(pid, SIGKILL);
	/* Until here it only waits for what is to come after it. */
	end_from(self->w, 0);
	EXPECT_EQ(0, child_end(next));
	/* The fixture's was replaced. */
	EXPECT_EQ(-ESTALE, sys(read(self->r, (char [1]){ 0 }, 1)));
}

/* Whoever reads next may stand still, too: who came before is not to try only when it is too late. */
TEST_F(merge, who_splices_comes_before_who_came_later)
{
	pid_t pid, splices, later;
	int pipes[2];

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	/* Who is woken there gets what it waits for, before who woke it is back. */
	stay_on(0);
	SECOND_LINKS_RECORD_IS_READ(pid);
	fcntl(self->r, F_SETFL, 0);
	splices = child();
	if (!splices) {
		end_from(self->w, 0);
		_exit(sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)) == PAGE &&
		      record_is(pipes[0], PAGE, PAGE, 1, PAGE) ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(splices, SYS_splice));
	later = child();
	if (!later) {
		end_from(self->w, 0);
		comes_first();
		_exit(read(self->r, page_of_no_return(), PAGE) != -1);
	}
	ASSERT_TRUE(blocks_in(later, SYS_read));
	child_kill(pid, SIGKILL);
	EXPECT_EQ(0, child_end(splices));
	child_kill(later, SIGKILL);
	close(pipes[0]);
	close(pipes[1]);
}

/* A process that stands still in the middle of a write of the first output, the others closed. */
static pid_t writer_stands_still(int *w)
{
	pid_t pid = child();
	char *page;

	if (pid)
		return pid;
	end_from(w, 1);
	page = page_of_no_return();
	_exit(page ? write(w[0], page, 1) < 0 : 2);
}

/* A new capacity waits for the writer, and has the reading side of that link meanwhile. */
static pid_t resizes_in_vain(struct fan *f, int *w)
{
	pid_t pid = child();

	if (pid)
		return pid;
	end_from(w, 0);
	_exit(fan_in_resize(f, 0, 2 * CAPACITY) == -EBUSY ? 0 : 1);
}

TEST_F(merge, a_link_that_is_at_a_standstill_holds_up_no_other)
{
	struct iovec iov = { (char [8]){ 0 }, 8 };
	pid_t writes = writer_stands_still(self->w), resizes;

	ASSERT_TRUE(blocks_in(writes, SYS_write));
	resizes = resizes_in_vain(&self->fan, self->w);
	do {
		if (variant->merge == FAASIN_MERGE_RECORDS)
			EXPECT_WRITE(self->w[1], "here");
		/* In turn it is that link's. */
		ASSERT_EQ(variant->merge == FAASIN_MERGE_RECORDS ? 4 : -EAGAIN,
			  sys(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	} while (is_running(resizes));
	EXPECT_EQ(0, child_end(resizes));
	child_kill(writes, SIGKILL);
}

/* Only who does wait for others waits for that, if no other has a record. */
TEST_F(merge, a_link_that_is_at_a_standstill_is_waited_for)
{
	struct iovec iov = { (char [8]){ 0 }, 8 };
	pid_t writes = writer_stands_still(self->w), resizes;

	ASSERT_TRUE(blocks_in(writes, SYS_write));
	resizes = resizes_in_vain(&self->fan, self->w);
	ASSERT_TRUE(blocks_in_one_of(resizes, SYS_sendmsg, SYS_sendto));
	EXPECT_EQ(-EAGAIN, sys(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_NOTHING(self->r);
	EXPECT_EQ(0, child_end(resizes));
	child_kill(writes, SIGKILL);
}

/* Nobody else reads meanwhile; who waits for that can be interrupted. */
TEST_F(merge, who_comes_after_who_stands_still)
{
	struct iovec iov = { (char [8]){ 0 }, 8 };
	pid_t stands, pid;
	int pipes[2], i;

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	SECOND_LINKS_RECORD_IS_READ(stands);
	EXPECT_EQ(-EAGAIN, sys(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	for (i = 0; i < 2; i++) {
		pid = child();
		if (!pid) {
			interrupt_by(SIGUSR1, 0);
			_exit((i ? sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)) :
				   sys(read(self->r, (char [8]){ 0 }, 8))) == -EINTR ? 0 : 1);
		}
		ASSERT_TRUE(blocks_in(pid, i ? SYS_splice : SYS_read));
		kill(pid, SIGUSR1);
		EXPECT_EQ(0, child_end(pid));
	}
	child_kill(stands, SIGKILL);
	close(pipes[0]);
	close(pipes[1]);
}

/* -------------------------------------------------------------------- splicing */

/* A process that waits in splice(); whether that comes to @result. */
static pid_t splicer(FIXTURE_DATA(merge) *self, int *pipes, long result)
{
	pid_t pid = child();
	int r;

	if (pid)
		return pid;
	close(pipes[0]);
	end_from(self->w, 0);
	interrupt_by(SIGUSR1, 0);
	r = fan_in_reader(&self->fan, 0);
	_exit(sys(splice(r, NULL, pipes[1], NULL, MIB, 0)) == result ? 0 : 1);
}

TEST_F(merge, a_splice_is_interrupted)
{
	int pipes[2];
	pid_t pid;

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	pid = splicer(self, pipes, -EINTR);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(merge, a_splice_waits_for_the_end)
{
	int pipes[2];
	pid_t pid;

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	pid = splicer(self, pipes, 0);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	end_from(self->w, 0);
	EXPECT_EQ(0, child_end(pid));
	close(pipes[0]);
	close(pipes[1]);
}

/* What becomes of the pipe while it waits for a record. */
TEST_F(merge, a_splice_finds_the_pipe_changed)
{
	static char page[PAGE];
	int pipes[2], i;
	pid_t pid;

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	ASSERT_EQ(PAGE, fcntl(pipes[1], F_SETPIPE_SZ, PAGE));
	pid = splicer(self, pipes, 4);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	/* It is full: it waits for that, too. */
	ASSERT_EQ(PAGE, sys(write(pipes[1], page, PAGE)));
	EXPECT_WRITE(self->w[0], "here");
	for (i = 0; i < 20; i++) {
		usleep(10000);
		ASSERT_EQ(4, unread(self->r));
	}
	EXPECT_TRUE(blocks_in(pid, SYS_splice));
	ASSERT_EQ(PAGE, read_full(pipes[0], page, PAGE));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(pipes[0], "here");
	/* Nobody reads it any more. */
	pid = splicer(self, pipes, -EPIPE);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	close(pipes[0]);
	EXPECT_WRITE(self->w[1], "left");
	EXPECT_EQ(0, child_end(pid));
	EXPECT_RECORD_READ(self->r, "left");
	close(pipes[1]);
}

TEST_HARNESS_MAIN
