// SPDX-License-Identifier: GPL-2.0
/*
 * Links with records: what one call writes goes in whole or not at all, and what one call reads
 * ends with it, in whatever way it came and goes.
 */
#include "fan.h"
#include "records.h"
#include "splice.h"
#include "window.h"

#include <sys/sendfile.h>

#include "harness.h"

FIXTURE(records)
{
	struct flow flow;
	int w, r;
	size_t capacity;
};

FIXTURE_VARIANT(records)
{
	uint64_t capacity;
	bool trusted;
};

FIXTURE_VARIANT_ADD(records, page) { .capacity = PAGE };
FIXTURE_VARIANT_ADD(records, odd) { .capacity = 11 * PAGE };
FIXTURE_VARIANT_ADD(records, usual) { .capacity = MIB };
FIXTURE_VARIANT_ADD(records, trusted) { .capacity = MIB, .trusted = true };

FIXTURE_SETUP(records)
{
	const struct flow_options options = { .capacity = variant->capacity, .records = true,
					      .trusted = variant->trusted };

	self->capacity = variant->capacity;
	ENDS_SETUP(self, &options, O_RDWR | O_NONBLOCK, O_NONBLOCK);
}

FIXTURE_TEARDOWN(records)
{
	ENDS_TEARDOWN(self);
}

/* --------------------------------------------------------------------- reading */

TEST_F(records, a_read_ends_with_a_record)
{
	EXPECT_WRITE(self->w, "first");
	EXPECT_WRITE(self->w, "2");
	EXPECT_WRITE(self->w, "the third");
	EXPECT_EQ(5 + 1 + 9, unread(self->r));
	EXPECT_RECORD_READ(self->r, "first");
	EXPECT_RECORD_READ(self->r, "2");
	EXPECT_RECORD_READ(self->r, "the third");
	EXPECT_EQ(-EAGAIN, sys(read(self->r, (char [1]){ 0 }, 1)));
	EXPECT_WRITE(self->w, "fourth");
	close(self->w);
	EXPECT_RECORD_READ(self->r, "fourth");
	EXPECT_OVER(self->r, 0);
}

TEST_F(records, several_buffers_are_one_record)
{
	struct iovec out[] = { { "one ", 4 }, { "", 0 }, { "rec", 3 }, { "ord", 3 } };
	char a[5] = "", b[20] = "";
	struct iovec in[] = { { a, 4 }, { b, 15 } };

	EXPECT_EQ(10, sys(writev(self->w, out, 4)));
	EXPECT_WRITE(self->w, "another");
	EXPECT_EQ(10, sys(readv(self->r, in, 2)));
	EXPECT_STREQ("one ", a);
	EXPECT_STREQ("record", b);
	EXPECT_RECORD_READ(self->r, "another");
}

TEST_F(records, a_short_buffer_gets_the_first_part)
{
	char buf[16] = "";

	EXPECT_WRITE(self->w, "long record");
	EXPECT_WRITE(self->w, "next");
	EXPECT_EQ(4, sys(read(self->r, buf, 4)));
	EXPECT_STREQ("long", buf);
	EXPECT_EQ(0, sys(read(self->r, buf, 0)));
	EXPECT_EQ(4, sys(read(self->r, buf, 4)));
	EXPECT_STREQ(" rec", buf);
	EXPECT_RECORD_READ(self->r, "ord");
	EXPECT_RECORD_READ(self->r, "next");
}

TEST_F(records, the_length_of_the_next_one_is_told)
{
	char buf[4];

	EXPECT_EQ(0, port_info(self->r).record);
	EXPECT_WRITE(self->w, "three");
	EXPECT_WRITE(self->w, "four");
	EXPECT_EQ(5, port_info(self->r).record);
	EXPECT_EQ(0, port_info(self->w).record);
	EXPECT_TRUE(port_info(self->r).flags & FAASIN_INFO_RECORDS);
	EXPECT_TRUE(port_info(self->w).flags & FAASIN_INFO_RECORDS);
	EXPECT_EQ(3, sys(read(self->r, buf, 3)));
	EXPECT_EQ(2, port_info(self->r).record);
	EXPECT_RECORD_READ(self->r, "ee");
	EXPECT_EQ(4, port_info(self->r).record);
	EXPECT_RECORD_READ(self->r, "four");
	EXPECT_EQ(0, port_info(self->r).record);
}

/* ... of this session's, not of what an earlier one left. */
TEST_F(records, what_was_closed_early_leaves_nothing)
{
	char byte;

	EXPECT_WRITE(self->w, "abc");
	EXPECT_WRITE(self->w, "defg");
	EXPECT_EQ(1, sys(read(self->r, &byte, 1)));
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	close(self->w);
	self->w = flow_writer(&self->flow, O_NONBLOCK);
	close(self->r);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_WRITE(self->w, "next stream");
	EXPECT_EQ(11, port_info(self->r).record);
	EXPECT_RECORD_READ(self->r, "next stream");
}

/* --------------------------------------------------------------------- writing */

TEST_F(records, as_long_as_the_capacity)
{
	size_t n;

	for (n = 1; n < self->capacity; n = 3 * n + 1) {
		EXPECT_EQ((long)n, record_write(self->w, n, 1));
		EXPECT_TRUE(record_is(self->r, self->capacity, n, 1, 0));
		EXPECT_EQ((long)self->capacity, record_write(self->w, self->capacity, 2));
		EXPECT_EQ(-EAGAIN, record_write(self->w, 1, 3));
		EXPECT_TRUE(record_is(self->r, 2 * self->capacity, self->capacity, 2, 0));
	}
}

TEST_F(records, longer_than_the_capacity)
{
	EXPECT_EQ(-EMSGSIZE, record_write(self->w, self->capacity + 1, 1));
	EXPECT_WRITE(self->w, "x");
	EXPECT_EQ(-EMSGSIZE, record_write(self->w, self->capacity + 1, 1));
	EXPECT_RECORD_READ(self->r, "x");
	EXPECT_EQ(0, sys(write(self->w, "", 0)));
	EXPECT_EQ(-EAGAIN, sys(read(self->r, (char [1]){ 0 }, 1)));
	/* Nothing of it made the caller a writer that counts. */
	close(self->w);
	EXPECT_OVER(self->r, 0);
}

TEST_F(records, all_or_nothing_without_waiting)
{
	size_t half = self->capacity / 2;

	EXPECT_EQ((long)half, record_write(self->w, half, 1));
	EXPECT_EQ(-EAGAIN, record_write(self->w, half + 1, 2));
	EXPECT_EQ((int)half, unread(self->r));
	EXPECT_TRUE(record_is(self->r, self->capacity, half, 1, 0));
	EXPECT_EQ((long)half + 1, record_write(self->w, half + 1, 2));
	EXPECT_TRUE(record_is(self->r, self->capacity, half + 1, 2, 0));
}

/* What cannot be read of it leaves nothing, wherever that begins. */
TEST_F(records, memory_that_cannot_be_read)
{
	uint8_t *mem = mmap(NULL, self->capacity + PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n;

	ASSERT_NE(MAP_FAILED, (void *)mem);
	ASSERT_EQ(0, mprotect(mem + self->capacity, PAGE, PROT_NONE));
	pattern_fill(mem, self->capacity, 1, 0);
	for (n = 1; n < self->capacity; n = 3 * n + 1) {
		EXPECT_EQ(-EFAULT, sys(write(self->w, mem + self->capacity - n, n + 1)));
		EXPECT_EQ(0, unread(self->r));
		EXPECT_EQ((long)n, sys(write(self->w, mem, n)));
		EXPECT_TRUE(record_is(self->r, self->capacity, n, 1, 0));
	}
	EXPECT_EQ((long)self->capacity, sys(write(self->w, mem, self->capacity)));
	munmap(mem, self->capacity + PAGE);
}

/* A page each they do not cost, but their number is bounded. */
TEST_F(records, many_small_ones)
{
	size_t most = self->capacity / FAASIN_RECORD_MIN, i;
	uint8_t byte;

	for (i = 0; i < most; i++) {
		byte = i % 251;
		ASSERT_EQ(1, sys(write(self->w, &byte, 1)));
	}
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_GE(3 * 64 * KIB, flow_stats(&self->flow).pool_bytes);
	for (i = 0; i < most; i++) {
		ASSERT_EQ(1, sys(read(self->r, (uint8_t [9]){ 0 }, 9)));
		if (!i)
			EXPECT_EQ(1, port_info(self->r).record);
	}
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(POLLOUT, ready(self->w));
	EXPECT_WRITE(self->w, "x");
}

/* Long ones, too: each comes as it was written, whoever writes and reads. */
TEST_F(records, several_writers_and_readers)
{
	const unsigned int each = 60, writers = 3, readers = 2;
	size_t most = self->capacity < 64 * KIB ? self->capacity : 64 * KIB, len;
	int w = flow_writer(&self->flow, 0), r = flow_reader(&self->flow, 0);
	uint64_t seed;
	unsigned int i, k, *got = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *buf = malloc(most);
	pid_t pids[5];
	long n;

	for (i = 0; i < writers; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		seed = i + 1;
		for (k = 0; k < each; k++) {
			len = random_next(&seed) % most + 1;
			pattern_fill(buf, len, len % 256, 0);
			if (sys(write(w, buf, len)) != (long)len)
				_exit(1);
		}
		_exit(0);
	}
	close(w);
	close(self->w);
	for (; i < writers + readers; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		while ((n = sys(read(r, buf, most))) > 0) {
			if (!pattern_is(buf, n, n % 256, 0))
				_exit(1);
			__atomic_add_fetch(got, 1, __ATOMIC_RELAXED);
		}
		_exit(n ? 2 : 0);
	}
	self->w = -1;
	for (i = 0; i < writers + readers; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_EQ(each * writers, *got);
	munmap(got, PAGE);
	close(r);
	free(buf);
}

/* --------------------------------------------------------------------- aborts */

TEST_F(records, who_aborts_leaves_whole_ones)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_WRITE(self->w, "whole");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort)));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_RECORD_READ(self->r, "whole");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(records, of_who_is_killed_while_it_waits_nothing_is_left)
{
	int w = flow_writer(&self->flow, 0);
	pid_t pid;

	EXPECT_WRITE(self->w, "there");
	pid = child();
	if (!pid) {
		close(self->w);
		_exit(record_write(w, self->capacity, 1) != (long)self->capacity);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_write));
	child_kill(pid, SIGKILL);
	close(w);
	EXPECT_RECORD_READ(self->r, "there");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(records, unlinking_leaves_whole_ones)
{
	EXPECT_WRITE(self->w, "one");
	EXPECT_WRITE(self->w, "two");
	EXPECT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_RECORD_READ(self->r, "one");
	EXPECT_RECORD_READ(self->r, "two");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

/* --------------------------------------------------------------------- splice */

TEST_F(records, splicing_in_is_refused)
{
	int pipes[2], file = memfd_create("records", MFD_CLOEXEC);

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	EXPECT_WRITE(pipes[1], "bytes");
	EXPECT_WRITE(file, "bytes");
	EXPECT_EQ(-EINVAL, sys(splice(pipes[0], NULL, self->w, NULL, 5, 0)));
	EXPECT_EQ(-EINVAL, sys(sendfile(self->w, file, &(off_t){ 0 }, 5)));
	EXPECT_EQ(5, unread(pipes[0]));
	EXPECT_EQ(0, unread(self->r));
	close(file);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(records, splicing_out_gives_one_a_call)
{
	size_t len = self->capacity / 2;
	int pipes[2];

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	ASSERT_LE((int)MIB, fcntl(pipes[1], F_SETPIPE_SZ, (int)MIB));
	EXPECT_WRITE(self->w, "one");
	EXPECT_WRITE(self->w, "two");
	EXPECT_EQ(3, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	EXPECT_EQ(2, sys(splice(self->r, NULL, pipes[1], NULL, 2, 0)));
	EXPECT_EQ(1, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	EXPECT_READ(pipes[0], "onetwo");
	EXPECT_EQ((long)len, record_write(self->w, len, 1));
	EXPECT_EQ((long)len, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	EXPECT_TRUE(reads(pipes[0], len, 1, 0));
	close(pipes[0]);
	close(pipes[1]);
}

/* -------------------------------------------------------------------- windows */

FIXTURE(windows)
{
	struct flow flow;
	int w, r;
	uint8_t *out;
	const uint8_t *in;
	struct faasin_window_info info;
};

FIXTURE_VARIANT(windows)
{
	bool trusted;
};

FIXTURE_VARIANT_ADD(windows, sealed) { .trusted = false };
FIXTURE_VARIANT_ADD(windows, trusted) { .trusted = true };

FIXTURE_SETUP(windows)
{
	const struct flow_options options = { .capacity = MIB, .records = true,
					      .trusted = variant->trusted };

	WINDOWS_SETUP(self, &options);
}

FIXTURE_TEARDOWN(windows)
{
	WINDOWS_TEARDOWN(self);
}

TEST_F(windows, what_is_sent_is_read_as_one)
{
	struct faasin_range ranges[2];
	char buf[16] = "";

	ranges[0] = (struct faasin_range){ window_alloc(self->w, 4), 4 };
	ranges[1] = (struct faasin_range){ window_alloc(self->w, 5), 5 };
	memcpy(self->out + ranges[0].offset, "sent", 4);
	memcpy(self->out + ranges[1].offset, " here", 5);
	EXPECT_WRITE(self->w, "before");
	EXPECT_EQ(0, window_call(self->w, FAASIN_IOC_SEND, ranges, 2));
	EXPECT_WRITE(self->w, "behind");
	EXPECT_RECORD_READ(self->r, "before");
	EXPECT_EQ(9, port_info(self->r).record);
	EXPECT_EQ(2, sys(read(self->r, buf, 2)));
	EXPECT_STREQ("se", buf);
	EXPECT_RECORD_READ(self->r, "nt here");
	EXPECT_RECORD_READ(self->r, "behind");
}

/* Also one that lies in several blocks; and what was read of it in part, the rest. */
TEST_F(windows, what_is_written_is_taken_as_one)
{
	const size_t sizes[] = { 1, 5 * PAGE, 60 * KIB, 64 * KIB, 64 * KIB - 1, 9 };
	struct faasin_range range = { 0 };
	unsigned int i;
	char byte;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT_EQ((long)sizes[i], record_write(self->w, sizes[i], i));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(1, window_take(self->r, &range));
		EXPECT_EQ(sizes[i], range.length);
		EXPECT_TRUE(pattern_is(self->in + range.offset, range.length, i, 0));
		EXPECT_EQ(0, window_return(self->r, range.offset));
	}
	EXPECT_WRITE(self->w, "parts");
	EXPECT_EQ(1, sys(read(self->r, &byte, 1)));
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(4, range.length);
	EXPECT_EQ(0, memcmp("arts", self->in + range.offset, 4));
	EXPECT_EQ(0, window_return(self->r, range.offset));
	EXPECT_EQ(-EAGAIN, window_take(self->r, &range));
}

TEST_F(windows, what_is_longer_than_a_landing_is_read)
{
	size_t len = self->info.landing + 1;
	struct faasin_range range = { 0 };

	EXPECT_EQ((long)len, record_write(self->w, len, 1));
	EXPECT_WRITE(self->w, "next");
	EXPECT_EQ(-EMSGSIZE, window_take(self->r, &range));
	EXPECT_EQ(-EMSGSIZE, window_take(self->r, &range));
	EXPECT_TRUE(record_is(self->r, MIB, len, 1, 0));
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(4, range.length);
}

/* However many there are already, one that is sent waits for nothing. */
TEST_F(windows, there_is_always_room_to_note_what_is_sent)
{
	long at[3], i, n = 0;
	struct faasin_range range = { 0 };

	nonblocking(self->w);
	for (i = 0; i < 3; i++)
		at[i] = window_alloc(self->w, 1);
	while (sys(write(self->w, "x", 1)) == 1)
		n++;
	EXPECT_EQ(MIB / FAASIN_RECORD_MIN, n);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, window_send(self->w, at[i], 1));
	while (n--)
		EXPECT_EQ(1, sys(read(self->r, (char [9]){ 0 }, 9)));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(1, window_take(self->r, &range));
		EXPECT_EQ(0, window_return(self->r, range.offset));
	}
}

TEST_F(windows, there_are_no_lanes)
{
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(self->w, FAASIN_IOC_LANE)));
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(self->r, FAASIN_IOC_LANE)));
}

/* ------------------------------------------------------- making links, several */

#define BRANCHES	3
#define CAPACITY	(64 * KIB)

FIXTURE(fan)
{
	struct fan fan;
	int w, r[BRANCHES];
};

static struct faasctl_link_options link_options(uint32_t slow)
{
	struct faasctl_link_options options = fan_slow_options(CAPACITY, slow);

	options.flags = FAASCTL_RECORDS;
	return options;
}

FIXTURE_SETUP(fan)
{
	struct faasctl_link_options options = link_options(FAASIN_SLOW_THROTTLE);
	unsigned int i;

	FAN_SETUP(&self->fan, BRANCHES, &options);
	FAN_ENDS_SETUP(self);
	for (i = 1; i < BRANCHES; i++)
		self->r[i] = fan_reader(&self->fan, i, 0);
}

FIXTURE_TEARDOWN(fan)
{
	FAN_ENDS_TEARDOWN(self);
}

TEST_F(fan, each_gets_each)
{
	unsigned int i;

	EXPECT_WRITE(self->w, "first");
	EXPECT_WRITE(self->w, "second");
	EXPECT_EQ((long)CAPACITY - 11, record_write(self->w, CAPACITY - 11, 1));
	for (i = 0; i < BRANCHES; i++) {
		EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
		EXPECT_EQ(5, port_info(self->r[i]).record);
		EXPECT_RECORD_READ(self->r[i], "first");
		EXPECT_RECORD_READ(self->r[i], "second");
		EXPECT_TRUE(record_is(self->r[i], CAPACITY, CAPACITY - 11, 1, 0));
	}
	EXPECT_WRITE(self->w, "x");
}

TEST_F(fan, the_slowest_holds_their_number_down)
{
	unsigned int n, i, k;

	for (k = 0; k < 3; k++) {
		for (n = 0; sys(write(self->w, "x", 1)) == 1; n++)
			;
		EXPECT_EQ(CAPACITY / FAASIN_RECORD_MIN, n);
		for (i = 0; i < BRANCHES; i++) {
			EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
			for (; n; n--)
				EXPECT_EQ(1, sys(read(self->r[i], (char [9]){ 0 }, 9)));
			n = CAPACITY / FAASIN_RECORD_MIN;
		}
	}
}

/* A record that needs room makes those give it up that hold it for nothing. */
TEST_F(fan, a_deleted_link_gives_way_to_a_long_record)
{
	long n;

	EXPECT_WRITE(self->w, "short");
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r2"));
	EXPECT_RECORD_READ(self->r[0], "short");
	EXPECT_RECORD_READ(self->r[1], "short");
	/* It does so by itself, and may have before this is tried again. */
	n = record_write(self->w, CAPACITY, 1);
	if (n == -EAGAIN) {
		EXPECT_TRUE(fan_gets_room(self->w));
		n = record_write(self->w, CAPACITY, 1);
	}
	EXPECT_EQ((long)CAPACITY, n);
	EXPECT_TRUE(record_is(self->r[0], CAPACITY, CAPACITY, 1, 0));
	EXPECT_TRUE(record_is(self->r[1], CAPACITY, CAPACITY, 1, 0));
	EXPECT_OVER(self->r[2], -ECONNABORTED);
}

TEST_F(fan, a_link_that_is_added_begins_with_a_stream)
{
	struct faasctl_link_options options = link_options(FAASIN_SLOW_THROTTLE);
	int late;

	EXPECT_WRITE(self->w, "early");
	ASSERT_EQ(0, fan_stage(&self->fan, "r9"));
	ASSERT_EQ(0, fan_link(&self->fan, "a", "r9", &options));
	late = fan_reader(&self->fan, 9, O_NONBLOCK);
	EXPECT_WRITE(self->w, "other");
	close(self->w);
	self->w = fan_writer(&self->fan, O_NONBLOCK);
	EXPECT_WRITE(self->w, "next");
	EXPECT_EQ(4, port_info(late).record);
	EXPECT_RECORD_READ(late, "next");
	EXPECT_RECORD_READ(self->r[0], "early");
	EXPECT_RECORD_READ(self->r[0], "other");
	EXPECT_OVER(self->r[0], 0);
	close(late);
}

TEST_F(fan, links_of_one_output_all_have_records)
{
	struct faasctl_link_options options = link_options(FAASIN_SLOW_THROTTLE);

	EXPECT_TRUE(fan_state(&self->fan, 0).link.flags & FAASIN_LINK_F_RECORDS);
	ASSERT_EQ(0, fan_stage(&self->fan, "r9"));
	options.flags = 0;
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "a", "r9", &options));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "a", "r1", &options));
	options.flags = FAASCTL_RECORDS;
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r1", &options));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r9", &options));
}

TEST_HARNESS_MAIN
