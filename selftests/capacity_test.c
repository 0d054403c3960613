// SPDX-License-Identifier: GPL-2.0
/*
 * Capacity: an empty channel takes all of it at once or in pieces, whatever was in
 * it before, and never more; from a page to the most that there may be.
 */
#include "capacities.h"
#include "harness.h"

FIXTURE_OF_CAPACITIES(capacity, O_NONBLOCK)

TEST_F(capacity, empty_channel_takes_its_capacity_at_once)
{
	EXPECT_EQ((long)variant->capacity, sys(write(self->w, self->buf, variant->capacity)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	EXPECT_EQ((int)variant->capacity, unread(self->r));
	EXPECT_EQ(variant->capacity, flow_stats(&self->flow).bytes_held);
}

/* However little was in it before, and however it is filled. */
TEST_F(capacity, channel_that_was_emptied_takes_its_capacity_in_pieces)
{
	size_t piece = 2048, n;
	char byte;

	for (n = 1; n < 3 * PAGE; n += PAGE / 2 + 1) {
		size_t there = n < variant->capacity ? n : variant->capacity, filled = 0;

		ASSERT_EQ((long)there, sys(write(self->w, self->buf, there)));
		ASSERT_EQ((long)there - 1, read_full(self->r, self->buf, there - 1));
		ASSERT_EQ(1, sys(read(self->r, &byte, 1)));
		while (sys(write(self->w, self->buf, piece)) == (long)piece)
			filled += piece;
		EXPECT_EQ(variant->capacity, filled)
			TH_LOG("after %zu bytes", there);
		ASSERT_EQ((long)filled, read_full(self->r, self->buf, filled));
	}
}

TEST_F(capacity, empty_channel_takes_its_capacity_in_pieces)
{
	size_t piece = 1021, left = variant->capacity;

	for (; left >= piece; left -= piece)
		ASSERT_EQ((long)piece, sys(write(self->w, self->buf, piece)));
	EXPECT_EQ((long)left, sys(write(self->w, self->buf, left)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	EXPECT_EQ((int)variant->capacity, unread(self->w));
}

TEST_F(capacity, never_holds_more_than_its_capacity)
{
	size_t i, held = 0, done = 0, taken = 0;
	uint64_t seed = 42;
	uint8_t *out = malloc(64 * KIB);
	long n;

	ASSERT_EQ(0, sys(fcntl(self->r, F_SETFL, O_NONBLOCK)));
	for (i = 0; i < 300; i++) {
		n = sys(write(self->w, self->buf + done % 251,
			      random_next(&seed) % (variant->capacity / 2) + 1));
		if (n > 0) {
			done += n;
			held += n;
		} else {
			ASSERT_EQ(-EAGAIN, n);
		}
		ASSERT_GE(variant->capacity, held);
		n = sys(read(self->r, out, random_next(&seed) % (64 * KIB) + 1));
		if (n > 0) {
			ASSERT_TRUE(pattern_is(out, n, 1, taken));
			taken += n;
			held -= n;
		}
	}
	/* A page more is what the link keeps in reserve. */
	EXPECT_GE(variant->capacity + PAGE, flow_stats(&self->flow).pool_bytes);
	EXPECT_GE(variant->capacity, flow_stats(&self->flow).bytes_held_max);
}

TEST_F(capacity, nonblocking_write_takes_what_fits)
{
	size_t capacity = variant->capacity;

	EXPECT_EQ((long)capacity, sys(write(self->w, self->buf, capacity + MIB)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf, capacity + MIB)));
	ASSERT_EQ((long)capacity, read_full(self->r, self->buf, capacity));
	EXPECT_TRUE(pattern_is(self->buf, capacity, 1, 0));
}

/* ---------------------------------------------------------- large capacities */

FIXTURE(large)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(large)
{
	uint64_t capacity;
	size_t fill;		/* bytes that are put in before any is read */
};

/* An odd number of pages, more than there are blocks of 64 KiB in the default. */
FIXTURE_VARIANT_ADD(large, odd) { .capacity = 5 * MIB + PAGE, .fill = 5 * MIB + PAGE };
FIXTURE_VARIANT_ADD(large, megabytes) { .capacity = 64 * MIB, .fill = 64 * MIB };
/* All there may be; more than the guest has. */
FIXTURE_VARIANT_ADD(large, most) { .capacity = FAASIN_CAPACITY_MAX, .fill = 96 * MIB };

FIXTURE_SETUP(large)
{
	const struct flow_options options = { .capacity = variant->capacity };

	ENDS_SETUP(self, &options, O_NONBLOCK, 0);
}

FIXTURE_TEARDOWN(large)
{
	ENDS_TEARDOWN(self);
}

TEST_F(large, capacity_holds_what_it_says)
{
	struct heard heard;
	pid_t pid;

	EXPECT_EQ(variant->capacity, port_info(self->w).capacity);
	ASSERT_EQ(0, pattern_write(self->w, variant->fill, MIB, 1, 0));
	EXPECT_EQ((int)variant->fill, unread(self->r));
	if (variant->fill == variant->capacity)
		EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	/* And again, by way of the blocks that were given back. */
	pid = child();
	if (!pid) {
		close(self->r);
		fcntl(self->w, F_SETFL, 0);
		_exit(!!pattern_write(self->w, variant->fill, MIB, 1, variant->fill));
	}
	close(self->w);
	self->w = -1;
	heard = pattern_read(self->r, 100000, 1);
	EXPECT_EQ(2 * variant->fill, heard.bytes);
	EXPECT_EQ(0, heard.end);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, child_end(pid));
}

/*
 * Whatever was written and read, and over however many streams: what poll() says of room for
 * PIPE_BUF bytes is what write() finds.
 */
TEST_F(capacity, poll_and_write_agree)
{
	struct pollfd p = { .events = POLLOUT };
	uint64_t seed = variant->capacity;
	unsigned int i, agreed = 0;
	size_t len;
	long n;

	fcntl(self->r, F_SETFL, O_NONBLOCK);
	for (i = 0; i < 4000; i++) {
		switch (random_next(&seed) % 8) {
		case 0:
			len = random_next(&seed) % (variant->capacity / 2) + 1;
			sys(write(self->w, self->buf, len));
			break;
		case 1:
			sys(write(self->w, self->buf, random_next(&seed) % PAGE + 1));
			break;
		case 2:
			len = random_next(&seed) % (variant->capacity / (1 + i % 4)) + 1;
			n = sys(read(self->r, self->buf, len));
			if (n)
				break;
			close(self->r);
			self->r = flow_reader(&self->flow, O_NONBLOCK);
			break;
		case 3:
			if (random_next(&seed) % 8)
				break;
			/* Perhaps what began to be read is left. */
			close(self->r);
			self->r = flow_reader(&self->flow, O_NONBLOCK);
			break;
		case 4:
			if (random_next(&seed) % 4)
				break;
			close(self->w);
			self->w = flow_writer(&self->flow, O_NONBLOCK);
			break;
		}
		p.fd = self->w;
		p.revents = 0;
		poll(&p, 1, 0);
		if (p.revents & POLLERR) {
			close(self->w);
			self->w = flow_writer(&self->flow, O_NONBLOCK);
			continue;
		}
		if (i % 3)
			continue;
		len = random_next(&seed) % 2 ? PAGE : random_next(&seed) % PAGE + 1;
		n = sys(write(self->w, self->buf, len));
		if (!p.revents && len < PAGE)
			continue;
		ASSERT_EQ(p.revents ? (long)len : -EAGAIN, n)
			TH_LOG("step %u, %d unread", i, unread(self->w));
		agreed++;
	}
	EXPECT_LT(500, agreed);
}

TEST_HARNESS_MAIN
