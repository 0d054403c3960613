// SPDX-License-Identifier: GPL-2.0
/* Ports under io_uring, inline and from its workers. */
#include "common.h"

#include <liburing.h>

#include "harness.h"
#include "live.h"

FIXTURE(uring)
{
	struct flow flow;
	int w, r;
	struct io_uring ring;
	bool have_ring;
};

FIXTURE_VARIANT(uring)
{
	unsigned int flags;	/* IOSQE_* of every request */
};

FIXTURE_VARIANT_ADD(uring, inline) { .flags = 0 };
FIXTURE_VARIANT_ADD(uring, worker) { .flags = IOSQE_ASYNC };

FIXTURE_SETUP(uring)
{
	const struct flow_options options = { .capacity = 64 * KIB };
	int error = io_uring_queue_init(16, &self->ring, 0);

	if (error)
		SKIP(return, "io_uring is not to be had: %s", strerror(-error));
	self->have_ring = true;
	ENDS_SETUP(self, &options, 0, 0);
}

FIXTURE_TEARDOWN(uring)
{
	io_uring_queue_exit(&self->ring);
	ENDS_TEARDOWN(self);
}

/* A request with the variant's flags, told apart by @number. */
static struct io_uring_sqe *request(struct io_uring *ring, uint64_t number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = number;
	return sqe;
}

#define SUBMIT(sqe)							\
do {									\
	(sqe)->flags |= variant->flags;					\
	ASSERT_EQ(1, io_uring_submit(&self->ring));			\
} while (0)

#define NOTHING	(-10000)

/* The result of the next completion, and whose it is; NOTHING if none comes. */
static int completion(struct io_uring *ring, uint64_t *number)
{
	struct __kernel_timespec deadline = { .tv_sec = DEADLINE };
	struct io_uring_cqe *cqe;
	int res;

	if (io_uring_wait_cqe_timeout(ring, &cqe, &deadline))
		return NOTHING;
	res = cqe->res;
	if (number)
		*number = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static bool is_pending(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	return io_uring_peek_cqe(ring, &cqe) == -EAGAIN;
}

static void prep_read(struct io_uring_sqe *sqe, int fd, void *buf, unsigned int len)
{
	uint64_t number = sqe->user_data;

	io_uring_prep_read(sqe, fd, buf, len, -1);
	sqe->user_data = number;
}

static void prep_write(struct io_uring_sqe *sqe, int fd, const void *buf, unsigned int len)
{
	uint64_t number = sqe->user_data;

	io_uring_prep_write(sqe, fd, buf, len, -1);
	sqe->user_data = number;
}

TEST_F(uring, writes_and_reads)
{
	struct io_uring_sqe *sqe;
	char text[8] = "";

	sqe = request(&self->ring, 1);
	prep_write(sqe, self->w, "abc", 3);
	SUBMIT(sqe);
	EXPECT_EQ(3, completion(&self->ring, NULL));
	sqe = request(&self->ring, 2);
	prep_read(sqe, self->r, text, sizeof(text));
	SUBMIT(sqe);
	EXPECT_EQ(3, completion(&self->ring, NULL));
	EXPECT_STREQ("abc", text);
}

TEST_F(uring, vectors)
{
	struct iovec in[] = { { "ab", 2 }, { "cde", 3 } };
	char text[8] = "";
	struct iovec out[] = { { text, 1 }, { text + 1, 6 } };
	struct io_uring_sqe *sqe;

	sqe = request(&self->ring, 1);
	io_uring_prep_writev(sqe, self->w, in, 2, -1);
	SUBMIT(sqe);
	EXPECT_EQ(5, completion(&self->ring, NULL));
	sqe = request(&self->ring, 2);
	io_uring_prep_readv(sqe, self->r, out, 2, -1);
	SUBMIT(sqe);
	EXPECT_EQ(5, completion(&self->ring, NULL));
	EXPECT_STREQ("abcde", text);
}

TEST_F(uring, read_waits_for_data)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char text[8] = "";

	prep_read(sqe, self->r, text, sizeof(text));
	SUBMIT(sqe);
	EXPECT_TRUE(is_pending(&self->ring));
	EXPECT_WRITE(self->w, "late");
	EXPECT_EQ(4, completion(&self->ring, NULL));
	EXPECT_STREQ("late", text);
}

TEST_F(uring, write_waits_for_room)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char *buf = malloc(64 * KIB);

	ASSERT_EQ(0, pattern_write(self->w, 64 * KIB, 64 * KIB, 1, 0));
	prep_write(sqe, self->w, "tail", 4);
	SUBMIT(sqe);
	EXPECT_TRUE(is_pending(&self->ring));
	ASSERT_EQ(64 * KIB, read_full(self->r, buf, 64 * KIB));
	EXPECT_TRUE(pattern_is(buf, 64 * KIB, 1, 0));
	EXPECT_EQ(4, completion(&self->ring, NULL));
	EXPECT_READ(self->r, "tail");
}

TEST_F(uring, write_larger_than_the_channel)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	uint8_t *all = malloc(200 * KIB), *buf = malloc(200 * KIB);
	long sent = 0, got = 0;
	int res;

	pattern_fill(all, 200 * KIB, 1, 0);
	prep_write(sqe, self->w, all, 200 * KIB);
	SUBMIT(sqe);
	/* A partial count is as good, as of any stream: go on from there. */
	while (sent < 200 * KIB) {
		while (got < sent || is_pending(&self->ring)) {
			long n = sys(read(self->r, buf + got, 200 * KIB - got));

			ASSERT_LT(0, n);
			got += n;
			if (got == 200 * KIB)
				break;
		}
		res = completion(&self->ring, NULL);
		ASSERT_LT(0, res);
		sent += res;
		if (sent < 200 * KIB) {
			sqe = request(&self->ring, 1);
			prep_write(sqe, self->w, all + sent, 200 * KIB - sent);
			SUBMIT(sqe);
		}
	}
	close(self->w);
	if (got < 200 * KIB)
		ASSERT_EQ(200 * KIB - got, read_full(self->r, buf + got, 200 * KIB - got));
	EXPECT_TRUE(pattern_is(buf, 200 * KIB, 1, 0));
	EXPECT_OVER(self->r, 0);
}

/* O_NONBLOCK alone does not do that: io_uring waits for the file by itself. */
TEST_F(uring, nowait_requests_do_not_wait)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char byte;

	prep_read(sqe, self->r, &byte, 1);
	sqe->rw_flags = RWF_NOWAIT;
	SUBMIT(sqe);
	EXPECT_EQ(-EAGAIN, completion(&self->ring, NULL));
	ASSERT_EQ(0, pattern_write(self->w, 64 * KIB, 64 * KIB, 1, 0));
	sqe = request(&self->ring, 2);
	prep_write(sqe, self->w, "x", 1);
	sqe->rw_flags = RWF_NOWAIT;
	SUBMIT(sqe);
	EXPECT_EQ(-EAGAIN, completion(&self->ring, NULL));
}

TEST_F(uring, sees_the_end_of_the_stream)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char byte;

	prep_read(sqe, self->r, &byte, 1);
	SUBMIT(sqe);
	close(self->w);
	EXPECT_EQ(0, completion(&self->ring, NULL));
}

TEST_F(uring, sees_an_abort)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char byte;

	prep_read(sqe, self->r, &byte, 1);
	SUBMIT(sqe);
	EXPECT_TRUE(is_pending(&self->ring));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(-ECONNABORTED, completion(&self->ring, NULL));
	sqe = request(&self->ring, 2);
	prep_write(sqe, self->w, "x", 1);
	SUBMIT(sqe);
	EXPECT_EQ(-EPIPE, completion(&self->ring, NULL));
}

TEST_F(uring, unlinking_completes_what_waits)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char byte;

	prep_read(sqe, self->r, &byte, 1);
	SUBMIT(sqe);
	EXPECT_TRUE(is_pending(&self->ring));
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(-ECONNABORTED, completion(&self->ring, NULL));
}

TEST_F(uring, waits_while_paused)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char text[8] = "";
	uint64_t number;

	EXPECT_WRITE(self->w, "one");
	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_PAUSED));
	prep_read(sqe, self->r, text, 3);
	SUBMIT(sqe);
	sqe = request(&self->ring, 2);
	prep_write(sqe, self->w, "two", 3);
	SUBMIT(sqe);
	usleep(50000);
	EXPECT_TRUE(is_pending(&self->ring));
	EXPECT_EQ(3, (int)flow_stats(&self->flow).bytes_in);
	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_RUNNING));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(3, completion(&self->ring, &number));
		EXPECT_TRUE(number == 1 || number == 2);
	}
	EXPECT_STREQ("one", text);
	EXPECT_READ(self->r, "two");
}

TEST_F(uring, is_told_that_the_stage_is_replaced)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	char text[8] = "";

	prep_read(sqe, self->r, text, sizeof(text));
	SUBMIT(sqe);
	EXPECT_TRUE(is_pending(&self->ring));
	REPLACE("b");
	EXPECT_EQ(-ESTALE, completion(&self->ring, NULL));
	EXPECT_WRITE(self->w, "one");
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "one");
}

TEST_F(uring, polls)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);

	io_uring_prep_poll_add(sqe, self->r, POLLIN);
	SUBMIT(sqe);
	EXPECT_TRUE(is_pending(&self->ring));
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(POLLIN, completion(&self->ring, NULL));
	sqe = request(&self->ring, 2);
	io_uring_prep_poll_add(sqe, self->w, POLLIN | POLLOUT);
	SUBMIT(sqe);
	EXPECT_EQ(POLLOUT, completion(&self->ring, NULL));
	EXPECT_READ(self->r, "a");
	sqe = request(&self->ring, 3);
	io_uring_prep_poll_add(sqe, self->r, POLLIN);
	SUBMIT(sqe);
	close(self->w);
	EXPECT_EQ(POLLHUP, completion(&self->ring, NULL));
}

TEST_F(uring, cancelled_read_takes_nothing)
{
	struct io_uring_sqe *sqe = request(&self->ring, 1);
	int i, results[3] = { NOTHING, NOTHING, NOTHING };
	uint64_t number = 0;
	char byte;

	prep_read(sqe, self->r, &byte, 1);
	SUBMIT(sqe);
	EXPECT_TRUE(is_pending(&self->ring));
	sqe = request(&self->ring, 2);
	io_uring_prep_cancel64(sqe, 1, 0);
	sqe->user_data = 2;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (i = 0; i < 2; i++) {
		int res = completion(&self->ring, &number);

		ASSERT_TRUE(number == 1 || number == 2);
		results[number] = res;
	}
	/* A worker is interrupted, a poll taken away; both end it. */
	EXPECT_TRUE(results[1] == -ECANCELED || results[1] == -EINTR);
	EXPECT_TRUE(results[2] == 0 || results[2] == -EALREADY);
	EXPECT_WRITE(self->w, "kept");
	EXPECT_READ(self->r, "kept");
}

TEST_F(uring, fixed_files_and_buffers)
{
	char *buf = aligned_alloc(PAGE, 2 * PAGE);
	struct iovec iov = { buf, 2 * PAGE };
	struct io_uring_sqe *sqe;
	int files[2] = { self->w, self->r };

	ASSERT_EQ(0, io_uring_register_files(&self->ring, files, 2));
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	/* The ring alone holds them now. */
	close(self->w);
	close(self->r);
	self->w = -1;
	self->r = -1;
	pattern_fill(buf, PAGE, 1, 0);
	sqe = request(&self->ring, 1);
	io_uring_prep_write_fixed(sqe, 0, buf, PAGE, -1, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	SUBMIT(sqe);
	EXPECT_EQ(PAGE, completion(&self->ring, NULL));
	sqe = request(&self->ring, 2);
	io_uring_prep_read_fixed(sqe, 1, buf + PAGE, PAGE, -1, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	SUBMIT(sqe);
	EXPECT_EQ(PAGE, completion(&self->ring, NULL));
	EXPECT_TRUE(pattern_is(buf + PAGE, PAGE, 1, 0));
	EXPECT_EQ(0, io_uring_unregister_files(&self->ring));
}

TEST_F(uring, splices)
{
	struct io_uring_sqe *sqe;
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	EXPECT_WRITE(pipes[1], "abc");
	sqe = request(&self->ring, 1);
	io_uring_prep_splice(sqe, pipes[0], -1, self->w, -1, 3, 0);
	SUBMIT(sqe);
	EXPECT_EQ(3, completion(&self->ring, NULL));
	sqe = request(&self->ring, 2);
	io_uring_prep_splice(sqe, self->r, -1, pipes[1], -1, 3, 0);
	SUBMIT(sqe);
	EXPECT_EQ(3, completion(&self->ring, NULL));
	EXPECT_READ(pipes[0], "abc");
}

TEST_F(uring, many_at_once_lose_nothing)
{
	char in[8][100], out[8][100];
	struct io_uring_sqe *sqe;
	int i, total = 0, seen[8] = { 0 };

	for (i = 0; i < 8; i++) {
		memset(in[i], i, sizeof(in[i]));
		sqe = request(&self->ring, i);
		prep_read(sqe, self->r, out[i], sizeof(out[i]));
		SUBMIT(sqe);
	}
	for (i = 0; i < 8; i++)
		ASSERT_EQ(100, sys(write(self->w, in[i], 100)));
	while (total < 800) {
		uint64_t number;
		int j, n = completion(&self->ring, &number);

		ASSERT_LT(0, n);
		total += n;
		for (j = 0; j < n; j++)
			seen[(int)out[number][j]]++;
		if (total < 800) {
			sqe = request(&self->ring, number);
			prep_read(sqe, self->r, out[number], sizeof(out[number]));
			SUBMIT(sqe);
		}
	}
	for (i = 0; i < 8; i++)
		EXPECT_EQ(100, seen[i]);
}

TEST_F(uring, exits_with_requests_that_wait)
{
	pid_t pid = child();
	char byte;

	if (!pid) {
		struct io_uring_sqe *sqe;
		struct io_uring ring;

		if (io_uring_queue_init(4, &ring, 0))
			_exit(99);
		sqe = request(&ring, 1);
		prep_read(sqe, self->r, &byte, 1);
		sqe->flags |= variant->flags;
		if (io_uring_submit(&ring) != 1)
			_exit(98);
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
	/* Whatever was cancelled took no byte with it. */
	EXPECT_WRITE(self->w, "kept");
	EXPECT_READ(self->r, "kept");
}

TEST_HARNESS_MAIN
