// SPDX-License-Identifier: GPL-2.0
/*
 * splice() into a port and the room that there is: how much goes in, however it is mixed, and
 * waiting for more.
 */
#include "common.h"

#include "harness.h"
#include "splice.h"

FIXTURE(room)
{
	struct flow flow;
	int w, r;
	int pipe[2];
	uint8_t *buf;
};

FIXTURE_VARIANT(room)
{
	uint64_t capacity;
};

FIXTURE_VARIANT_ADD(room, page) { .capacity = PAGE };
FIXTURE_VARIANT_ADD(room, three_pages) { .capacity = 3 * PAGE };
FIXTURE_VARIANT_ADD(room, small) { .capacity = 64 * KIB };
FIXTURE_VARIANT_ADD(room, usual) { .capacity = MIB };

FIXTURE_SETUP(room)
{
	struct flow_options options = { .capacity = variant->capacity };

	SPLICE_SETUP(self, &options, O_NONBLOCK, MIB);
}

FIXTURE_TEARDOWN(room)
{
	SPLICE_TEARDOWN(self);
}

TEST_F(room, an_empty_channel_takes_its_capacity)
{
	long capacity = variant->capacity;

	for (int i = 0; i < 5; i++) {
		/* Something stays behind in the last block, in one way or another. */
		if (i) {
			ASSERT_EQ(10 * i, sys(write(self->w, self->buf, 10 * i)));
			ASSERT_EQ(10 * i, read_full(self->r, self->buf, 10 * i));
		}
		ASSERT_EQ(capacity, sys(write(self->pipe[1], self->buf, capacity)));
		EXPECT_EQ(capacity, sys(splice(self->pipe[0], NULL, self->w, NULL, capacity, 0)));
		ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
		EXPECT_EQ(-EAGAIN, sys(splice(self->pipe[0], NULL, self->w, NULL, PAGE, 0)));
		EXPECT_EQ(-EAGAIN, sys(write(self->w, "", 1)));
		EXPECT_EQ(PAGE, unread(self->pipe[0]));
		ASSERT_EQ(PAGE, read_full(self->pipe[0], self->buf, PAGE));
		ASSERT_EQ(capacity, read_full(self->r, self->buf, capacity));
		EXPECT_TRUE(pattern_is(self->buf, capacity, 1, 0));
	}
	EXPECT_EQ(5 * capacity, (long)flow_stats(&self->flow).bytes_in_moved);
}

/* By splice() through the pipe, or by write(). */
static long put(FIXTURE_DATA(room) *self, const void *bytes, size_t len, bool spliced)
{
	if (!spliced)
		return sys(write(self->w, bytes, len)) == (long)len ? 0 : -EAGAIN;
	if (write(self->pipe[1], bytes, len) != (long)len)
		return -EIO;
	return splice_all(self->pipe[0], self->w, len);
}

TEST_F(room, an_empty_channel_takes_its_capacity_however_it_is_mixed)
{
	static const struct { size_t len; bool spliced; } mixtures[][2] = {
		{ { PAGE, true }, { 100, true } },
		{ { PAGE, true }, { 1, false } },
		{ { 5000, true }, { 5000, true } },
		{ { 100, false }, { 5 * PAGE, true } },
		{ { PAGE + 1, false }, { 2 * PAGE, true } },
		{ { 2 * PAGE - 1, true }, { PAGE, true } },
	};
	size_t capacity = variant->capacity, sum, n;
	uint8_t *back = malloc(MIB);

	for (size_t m = 0; m < 2 * sizeof(mixtures) / sizeof(*mixtures); m++) {
		const typeof(*mixtures[0]) *part = mixtures[m / 2];

		for (sum = 0, n = 0; sum < capacity; n++) {
			size_t len = part[n % 2].len, left = capacity - sum;

			/* The second time, the last of it comes otherwise. */
			if (m % 2 && left <= 3 * PAGE)
				break;
			if (len > left)
				len = left;
			ASSERT_EQ(0, put(self, self->buf + sum, len, part[n % 2].spliced))
				TH_LOG("mixture %zu after %zu bytes", m, sum);
			sum += len;
		}
		for (; sum < capacity; sum += n) {
			n = capacity - sum;
			/* What is too much and would have to go in together does not go in. */
			if (n < PAGE) {
				EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf + sum, n + 1)));
				n = n > 500 ? 500 : n;
			} else {
				n -= PAGE - 1;
			}
			ASSERT_EQ((long)n, sys(write(self->w, self->buf + sum, n)))
				TH_LOG("mixture %zu after %zu bytes", m, sum);
		}
		EXPECT_EQ(-EAGAIN, sys(write(self->w, "", 1)));
		EXPECT_GE(capacity, flow_stats(&self->flow).pool_bytes);
		ASSERT_EQ((long)capacity, read_full(self->r, back, capacity));
		EXPECT_TRUE(pattern_is(back, capacity, 1, 0));
	}
	free(back);
}

TEST_F(room, a_mixture_goes_through_a_full_channel)
{
	size_t capacity = variant->capacity, in = 0, out = 0, n;
	uint64_t seed = 7;
	long done;

	for (int i = 0; i < 400; i++) {
		n = random_next(&seed) % 3 ? PAGE * (1 + random_next(&seed) % 4) :
					     1 + random_next(&seed) % 6000;
		pattern_fill(self->buf, n, 1, in);
		if (random_next(&seed) % 3) {
			ASSERT_EQ((long)n, sys(write(self->pipe[1], self->buf, n)));
			done = sys(splice(self->pipe[0], NULL, self->w, NULL, n, 0));
			for (int left = unread(self->pipe[0]); left > 0; left = unread(self->pipe[0]))
				ASSERT_LT(0, sys(read(self->pipe[0], self->buf, left)));
		} else {
			done = sys(write(self->w, self->buf, n));
		}
		if (done > 0) {
			in += done;
			EXPECT_LE(in - out, capacity);
			continue;
		}
		ASSERT_EQ(-EAGAIN, done);
		n = 1 + random_next(&seed) % (in - out);
		ASSERT_EQ((long)n, read_full(self->r, self->buf, n));
		EXPECT_TRUE(pattern_is(self->buf, n, 1, out));
		out += n;
	}
	ASSERT_EQ((long)(in - out), read_full(self->r, self->buf, in - out));
	EXPECT_TRUE(pattern_is(self->buf, in - out, 1, out));
}

TEST_F(room, a_page_makes_room_for_a_page)
{
	long capacity = variant->capacity;
	uint8_t page[PAGE];

	ASSERT_EQ(capacity, sys(write(self->pipe[1], self->buf, capacity)));
	ASSERT_EQ(capacity, sys(splice(self->pipe[0], NULL, self->w, NULL, capacity, 0)));
	for (int i = 0; i < 40; i++) {
		ASSERT_EQ(PAGE, read_full(self->r, page, PAGE));
		EXPECT_TRUE(pattern_is(page, PAGE, 1, i * PAGE % capacity));
		pattern_fill(page, PAGE, 1, i * PAGE % capacity);
		ASSERT_EQ(PAGE, sys(write(self->pipe[1], page, PAGE)));
		EXPECT_EQ(PAGE, sys(splice(self->pipe[0], NULL, self->w, NULL, PAGE, 0)));
	}
	EXPECT_EQ(capacity + 40 * PAGE, (long)flow_stats(&self->flow).bytes_in_moved);
}

TEST_F(room, needs_no_memory_of_the_pool)
{
	ASSERT_EQ((long)variant->capacity, sys(write(self->pipe[1], self->buf, variant->capacity)));
	ASSERT_EQ((long)variant->capacity,
		  sys(splice(self->pipe[0], NULL, self->w, NULL, variant->capacity, 0)));
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
	EXPECT_EQ(variant->capacity, flow_stats(&self->flow).bytes_held);
}

TEST_F(room, poll_says_when_there_is)
{
	struct pollfd p = { .fd = self->w, .events = POLLOUT };
	long capacity = variant->capacity;

	ASSERT_EQ(capacity, sys(write(self->pipe[1], self->buf, capacity)));
	ASSERT_EQ(capacity, sys(splice(self->pipe[0], NULL, self->w, NULL, capacity, 0)));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(PAGE, read_full(self->r, self->buf, PAGE));
	EXPECT_EQ(1, poll(&p, 1, DEADLINE * 1000));
	EXPECT_EQ(POLLOUT, p.revents);
}

/* Fills the channel by pages that are moved. */
static bool stuffed(FIXTURE_DATA(room) *self, long capacity)
{
	return write(self->pipe[1], self->buf, capacity) == capacity &&
	       splice(self->pipe[0], NULL, self->w, NULL, capacity, 0) == capacity;
}

/* A process that waits to splice @len bytes, and exits with 0 once it could. */
static pid_t splices_later(FIXTURE_DATA(room) *self, long len)
{
	pid_t pid;

	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(splice(self->pipe[0], NULL, self->w, NULL, len, 0) == len ? 0 : 1);
	return pid;
}

TEST_F(room, waiting_for_it_holds_no_pipe)
{
	long size = 8 * PAGE;
	pid_t pid;

	ASSERT_TRUE(stuffed(self, variant->capacity));
	ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
	pid = splices_later(self, PAGE + size);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	/* Whoever uses the pipe meanwhile is not held up. */
	EXPECT_EQ(size, sys(write(self->pipe[1], self->buf + PAGE, size)));
	EXPECT_EQ(PAGE + size, unread(self->pipe[0]));
	EXPECT_EQ(2 * (int)MIB, sys(fcntl(self->pipe[1], F_SETPIPE_SZ, (int)(2 * MIB))));
	EXPECT_TRUE(is_running(pid));
	ASSERT_EQ((long)variant->capacity, read_full(self->r, self->buf, variant->capacity));
	fcntl(self->r, F_SETFL, 0);
	ASSERT_EQ(PAGE + size, read_full(self->r, self->buf, PAGE + size));
	EXPECT_TRUE(pattern_is(self->buf, PAGE + size, 1, 0));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(room, whoever_waits_for_it_can_be_killed_and_loses_nothing)
{
	pid_t pid;

	ASSERT_TRUE(stuffed(self, variant->capacity));
	ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
	pid = splices_later(self, PAGE);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	child_kill(pid, SIGTERM);
	EXPECT_EQ(PAGE, unread(self->pipe[0]));
	EXPECT_EQ((int)variant->capacity, unread(self->r));
}

TEST_F(room, a_signal_gives_what_went_in_or_EINTR)
{
	pid_t pid;

	ASSERT_TRUE(stuffed(self, variant->capacity));
	ASSERT_EQ(2 * PAGE, sys(write(self->pipe[1], self->buf, 2 * PAGE)));
	fcntl(self->w, F_SETFL, 0);
	for (int pages = 0; pages < 2; pages++) {
		if (pages)
			ASSERT_EQ(PAGE, read_full(self->r, self->buf, PAGE));
		pid = child();
		if (!pid) {
			interrupt_by(SIGUSR1, 0);
			_exit(sys(splice(self->pipe[0], NULL, self->w, NULL, 2 * PAGE, 0)) ==
			      (pages ? PAGE : -EINTR) ? 0 : 1);
		}
		ASSERT_TRUE(blocks_in(pid, SYS_splice));
		EXPECT_EQ((2 - pages) * PAGE, unread(self->pipe[0]));
		kill(pid, SIGUSR1);
		EXPECT_EQ(0, child_end(pid));
	}
}

TEST_F(room, what_nobody_read_is_freed_with_its_link)
{
	ASSERT_TRUE(stuffed(self, variant->capacity));
	EXPECT_EQ(0, flow_unlink(&self->flow));
	ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
	EXPECT_EQ(-EPIPE, sys(splice(self->pipe[0], NULL, self->w, NULL, PAGE, 0)));
	EXPECT_EQ(PAGE, unread(self->pipe[0]));
	/* The consumer has it until it closes. */
	ASSERT_EQ(PAGE, read_full(self->r, self->buf, PAGE));
	EXPECT_TRUE(pattern_is(self->buf, PAGE, 1, 0));
}

TEST_HARNESS_MAIN
