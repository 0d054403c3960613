// SPDX-License-Identifier: GPL-2.0
/*
 * Several writers of one stream: their records stay whole, and there may be only so
 * many at a time.
 */
#include "common.h"

#include "harness.h"

FIXTURE(atomic)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(atomic)
{
	size_t record;
	size_t capacity;
	bool vector;
};

#define ATOMIC(name, ...) FIXTURE_VARIANT_ADD(atomic, name) { __VA_ARGS__ }

ATOMIC(small, .record = 100, .capacity = 64 * KIB);
ATOMIC(small_tight, .record = 100, .capacity = PAGE);
ATOMIC(below_pipe_buf, .record = PIPE_BUF - 1, .capacity = 64 * KIB);
ATOMIC(below_pipe_buf_tight, .record = PIPE_BUF - 1, .capacity = PAGE);
ATOMIC(pipe_buf, .record = PIPE_BUF, .capacity = 64 * KIB);
ATOMIC(pipe_buf_tight, .record = PIPE_BUF, .capacity = PAGE);
ATOMIC(pipe_buf_odd, .record = PIPE_BUF, .capacity = 3 * PAGE);
ATOMIC(vector, .record = PIPE_BUF - 3, .capacity = 64 * KIB, .vector = true);

FIXTURE_SETUP(atomic)
{
	const struct flow_options options = { .capacity = variant->capacity };

	ENDS_SETUP(self, &options, 0, 0);
}

FIXTURE_TEARDOWN(atomic)
{
	ENDS_TEARDOWN(self);
}

TEST_F(atomic, records_of_several_writers_stay_whole)
{
	enum { WRITERS = 3, RECORDS = 300 };
	int i, j, seen[WRITERS] = { 0 };
	uint8_t record[PIPE_BUF], other[PIPE_BUF];
	pid_t pids[WRITERS];

	for (i = 0; i < WRITERS; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		struct iovec iov[] = {
			{ record, 1 }, { record + 1, variant->record / 2 },
			{ record + 1 + variant->record / 2,
			  variant->record - 1 - variant->record / 2 },
		};

		memset(record, 'a' + i, variant->record);
		for (j = 0; j < RECORDS; j++) {
			ssize_t n = variant->vector ? writev(self->w, iov, ARRAY_SIZE(iov)) :
						      write(self->w, record, variant->record);

			if (n != (ssize_t)variant->record)
				_exit(1);
		}
		_exit(0);
	}
	close(self->w);
	for (i = 0; i < WRITERS * RECORDS; i++) {
		ASSERT_EQ((long)variant->record, read_full(self->r, record, variant->record));
		ASSERT_LE('a', record[0]);
		ASSERT_GT('a' + WRITERS, record[0]);
		memset(other, record[0], variant->record);
		ASSERT_EQ(0, memcmp(record, other, variant->record));
		seen[record[0] - 'a']++;
	}
	EXPECT_OVER(self->r, 0);
	for (i = 0; i < WRITERS; i++) {
		EXPECT_EQ(RECORDS, seen[i]);
		EXPECT_EQ(0, child_end(pids[i]));
	}
}

/* One more process than may write to a stream at a time. */
TEST(writers_are_bounded_and_those_that_are_gone_do_not_count)
{
	const struct flow_options options = { .trusted = true };
	enum { N = FAASIN_WRITERS_MAX };
	static pid_t pids[N];
	struct flow flow;
	int w, r, gate[2], said[2], i;
	char byte;

	FLOW_SETUP(&flow, &options);
	w = flow_writer(&flow, 0);
	r = flow_reader(&flow, 0);
	ASSERT_LE(0, w);
	ASSERT_LE(0, r);
	ASSERT_EQ(0, pipe(gate));
	ASSERT_EQ(0, pipe(said));
	for (i = 0; i < N; i++) {
		pids[i] = child();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			close(gate[1]);
			byte = write(w, "a", 1) == 1;
			if (write(said[1], &byte, 1) != 1 || read(gate[0], &byte, 1))
				_exit(1);
			_exit(0);
		}
	}
	for (i = 0; i < N; i++) {
		ASSERT_EQ(1, read(said[0], &byte, 1));
		ASSERT_EQ(1, byte);
	}
	EXPECT_EQ(-EUSERS, sys(write(w, "b", 1)));
	/* Nor may one that would write without a call. */
	EXPECT_EQ(-EUSERS, sys(ioctl(w, FAASIN_IOC_LANE)));
	EXPECT_EQ(N, unread(r));
	close(gate[1]);
	for (i = 0; i < N; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_EQ(1, sys(write(w, "b", 1)));
	close(gate[0]);
	close(said[0]);
	close(said[1]);
	close(w);
	close(r);
	FLOW_TEARDOWN(&flow);
}

TEST_HARNESS_MAIN
