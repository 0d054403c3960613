// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing: counts, blocking, signals, faults, integrity. Each test
 * runs at several capacities. What a channel holds: capacity_test.c; several
 * writers: writers_test.c.
 */
#include <pthread.h>

#include "capacities.h"

FIXTURE_OF_CAPACITIES(rw, 0)

static void nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

TEST_F(rw, partial_reads_keep_the_order)
{
	static const size_t sizes[] = { 1, 7, 999, 2000, 1, 1088 }; /* 4096 together */
	uint64_t at = 0;
	uint8_t part[2000];
	size_t i;

	ASSERT_EQ(PAGE, sys(write(self->w, self->buf, PAGE)));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ((long)sizes[i], sys(read(self->r, part, sizes[i])));
		EXPECT_TRUE(pattern_is(part, sizes[i], 1, at));
		at += sizes[i];
		EXPECT_EQ(PAGE - (int)at, unread(self->r));
		EXPECT_EQ(PAGE - (int)at, unread(self->w));
	}
}

TEST_F(rw, a_read_takes_what_is_there)
{
	uint8_t out[100] = "";

	EXPECT_WRITE(self->w, "one");
	EXPECT_WRITE(self->w, "two");
	EXPECT_EQ(6, sys(read(self->r, out, sizeof(out))));
	EXPECT_STREQ("onetwo", (char *)out);
}

TEST_F(rw, of_nothing_does_nothing)
{
	char byte;

	EXPECT_EQ(0, sys(read(self->r, &byte, 0)));
	EXPECT_EQ(0, sys(write(self->w, "", 0)));
	EXPECT_EQ(0, unread(self->r));
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(0, sys(read(self->r, &byte, 0)));
	EXPECT_EQ(0, sys(write(self->w, "", 0)));
	EXPECT_EQ(1, unread(self->r));
	EXPECT_READ(self->r, "a");
	close(self->r);
	EXPECT_EQ(0, sys(write(self->w, "", 0)));
	EXPECT_EQ(1, flow_stats(&self->flow).writes);
}

TEST_F(rw, nonblocking_read_of_nothing)
{
	char byte;

	nonblock(self->r, true);
	EXPECT_EQ(-EAGAIN, sys(read(self->r, &byte, 1)));
	EXPECT_WRITE(self->w, "a");
	EXPECT_READ(self->r, "a");
	EXPECT_EQ(-EAGAIN, sys(read(self->r, &byte, 1)));
	close(self->w);
	EXPECT_OVER(self->r, 0);
	/* No stream at all is no end of file. */
	close(self->r);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, sys(read(self->r, &byte, 1)));
}

TEST_F(rw, nowait_is_nonblocking_for_one_call)
{
	struct iovec iov = { .iov_base = self->buf, .iov_len = 10 };

	EXPECT_EQ(-EAGAIN, sys(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(10, sys(pwritev2(self->w, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(10, sys(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(0, pattern_write(self->w, variant->capacity, variant->capacity, 1, 0));
	EXPECT_EQ(-EAGAIN, sys(pwritev2(self->w, &iov, 1, -1, RWF_NOWAIT)));
}

TEST_F(rw, small_nonblocking_write_is_all_or_nothing)
{
	size_t capacity = variant->capacity;

	nonblock(self->w, true);
	ASSERT_EQ((long)capacity - 100, sys(write(self->w, self->buf, capacity - 100)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf, PIPE_BUF)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf, PIPE_BUF - 1)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf, 101)));
	EXPECT_EQ((int)capacity - 100, unread(self->w));
	EXPECT_EQ(100, sys(write(self->w, self->buf, 100)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf, 1)));
}

TEST_F(rw, larger_nonblocking_write_may_be_partial)
{
	size_t capacity = variant->capacity;

	nonblock(self->w, true);
	ASSERT_EQ((long)capacity - 100, sys(write(self->w, self->buf, capacity - 100)));
	EXPECT_EQ(100, sys(write(self->w, self->buf, PIPE_BUF + 1)));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf, PIPE_BUF + 1)));
}

/* ---------------------------------------------------------------- vectors */

TEST_F(rw, vectors)
{
	struct iovec in[] = { { "ab", 2 }, { NULL, 0 }, { "c", 1 }, { "defg", 4 } };
	char one[3] = "", two[8] = "";
	struct iovec out[] = { { one, 2 }, { NULL, 0 }, { two, 5 }, { self->buf, 100 } };

	EXPECT_EQ(7, sys(writev(self->w, in, ARRAY_SIZE(in))));
	EXPECT_EQ(7, sys(readv(self->r, out, ARRAY_SIZE(out))));
	EXPECT_STREQ("ab", one);
	EXPECT_STREQ("cdefg", two);
}

TEST_F(rw, vectors_of_a_thousand_bytes)
{
	struct iovec iov[IOV_MAX + 1];
	uint8_t out[IOV_MAX];
	size_t i;

	for (i = 0; i <= IOV_MAX; i++) {
		iov[i].iov_base = self->buf + i;
		iov[i].iov_len = 1;
	}
	EXPECT_EQ(IOV_MAX, sys(writev(self->w, iov, IOV_MAX)));
	for (i = 0; i < IOV_MAX; i++)
		iov[i].iov_base = out + i;
	EXPECT_EQ(IOV_MAX, sys(readv(self->r, iov, IOV_MAX)));
	EXPECT_TRUE(pattern_is(out, IOV_MAX, 1, 0));
	EXPECT_EQ(-EINVAL, sys(writev(self->w, iov, IOV_MAX + 1)));
}

/* ----------------------------------------------------------------- faults */

/* @good bytes that can be used, then memory that cannot. */
static uint8_t *edge(size_t good)
{
	size_t pages = (good + PAGE - 1) / PAGE;
	uint8_t *map = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(map + pages * PAGE, PAGE, PROT_NONE);
	return map + pages * PAGE - good;
}

TEST_F(rw, bad_memory_moves_nothing)
{
	uint8_t *bad = edge(0);

	EXPECT_EQ(-EFAULT, sys(write(self->w, bad, 100)));
	EXPECT_EQ(0, unread(self->r));
	EXPECT_WRITE(self->w, "kept");
	EXPECT_EQ(-EFAULT, sys(read(self->r, bad, 100)));
	EXPECT_EQ(4, unread(self->r));
	EXPECT_READ(self->r, "kept");
	close(self->w);
	EXPECT_OVER(self->r, 0);
}

TEST_F(rw, small_write_into_bad_memory_is_all_or_nothing)
{
	uint8_t *partly = edge(100);

	EXPECT_EQ(-EFAULT, sys(write(self->w, partly, 200)));
	EXPECT_EQ(0, unread(self->r));
	EXPECT_WRITE(self->w, "fine");
	EXPECT_READ(self->r, "fine");
}

TEST_F(rw, large_write_into_bad_memory_counts_what_it_took)
{
	size_t good = variant->capacity < 4 * PAGE ? PAGE - 96 : 3 * PAGE + 123;
	uint8_t *partly = edge(good);
	long n;

	pattern_fill(partly, good, 1, 0);
	n = sys(write(self->w, partly, good + PAGE));
	if (n == -EFAULT && good < PAGE)
		n = 0;
	EXPECT_LE(good < PAGE ? 0 : 1, n);
	EXPECT_GE((long)good, n);
	EXPECT_EQ(n, unread(self->r));
	ASSERT_EQ(n, read_full(self->r, self->buf, n));
	EXPECT_TRUE(pattern_is(self->buf, n, 1, 0));
	EXPECT_WRITE(self->w, "next");
	EXPECT_READ(self->r, "next");
}

/* Wherever a block of the channel ends, and before or after that. */
TEST_F(rw, bad_memory_anywhere_leaves_the_channel_whole)
{
	size_t most = variant->capacity < 96 * KIB ? variant->capacity : 96 * KIB;
	size_t used, good;
	uint8_t *partly;
	long n;

	for (used = 100; used + 3 * PAGE < most; used += 4 * PAGE - 100) {
		for (good = PAGE - 100; used + good + PAGE < most; good += PAGE) {
			ASSERT_EQ(0, pattern_write(self->w, used, used, 1, 0));
			partly = edge(good);
			pattern_fill(partly, good, 1, used);
			n = sys(write(self->w, partly, good + PAGE));
			munmap(partly + good - (good + PAGE - 1) / PAGE * PAGE,
			       (good + PAGE - 1) / PAGE * PAGE + PAGE);
			if (n == -EFAULT)
				n = 0;
			ASSERT_LE(0, n);
			ASSERT_GE((long)good, n);
			ASSERT_EQ(0, pattern_write(self->w, 10, 10, 1, used + n));
			ASSERT_EQ((int)used + n + 10, unread(self->r));
			ASSERT_EQ((long)used + n + 10, read_full(self->r, self->buf, used + n + 10));
			ASSERT_TRUE(pattern_is(self->buf, used + n + 10, 1, 0));
		}
	}
	/* No block was lost. */
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(0, pattern_write(self->w, variant->capacity, variant->capacity, 1, 0));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	ASSERT_EQ((long)variant->capacity, read_full(self->r, self->buf, variant->capacity));
	EXPECT_TRUE(pattern_is(self->buf, variant->capacity, 1, 0));
}

TEST_F(rw, read_into_bad_memory_loses_nothing)
{
	uint8_t *partly = edge(1000);
	long n;

	ASSERT_EQ(3000, sys(write(self->w, self->buf, 3000)));
	n = sys(read(self->r, partly, 3000));
	EXPECT_NE(0, n);
	if (n < 0) {
		EXPECT_EQ(-EFAULT, n);
		n = 0;
	}
	EXPECT_GE(1000, n);
	EXPECT_TRUE(pattern_is(partly, n, 1, 0));
	EXPECT_EQ(3000 - n, unread(self->r));
	ASSERT_EQ(3000 - n, read_full(self->r, self->buf, 3000 - n));
	EXPECT_TRUE(pattern_is(self->buf, 3000 - n, 1, n));
}

/* ----------------------------------------------------- blocking and signals */

TEST_F(rw, full_channel_blocks_the_writer)
{
	size_t capacity = variant->capacity;
	pid_t pid;

	ASSERT_EQ(0, pattern_write(self->w, capacity, capacity, 1, 0));
	pid = child();
	if (!pid)
		_exit(pattern_write(self->w, 10, 10, 1, capacity) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_TRUE(is_running(pid));
	close(self->w);
	ASSERT_EQ((long)capacity, read_full(self->r, self->buf, capacity));
	EXPECT_TRUE(pattern_is(self->buf, capacity, 1, 0));
	ASSERT_EQ(10, read_full(self->r, self->buf, 10));
	EXPECT_TRUE(pattern_is(self->buf, 10, 1, capacity));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_OVER(self->r, 0);
}

TEST_F(rw, write_larger_than_the_channel_arrives_whole)
{
	size_t size = variant->capacity * 3 + 17;
	struct heard heard;
	pid_t pid = child();

	if (!pid) {
		uint8_t *all = malloc(size);

		pattern_fill(all, size, 5, 0);
		_exit(write(self->w, all, size) == (ssize_t)size ? 0 : 1);
	}
	close(self->w);
	heard = pattern_read(self->r, 10000, 5);
	EXPECT_EQ(size, heard.bytes);
	EXPECT_EQ(0, heard.end);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(rw, interrupted_read_without_data)
{
	pid_t pid = child();
	char byte;

	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(-sys(read(self->r, &byte, 1)));
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_EQ(0, kill(pid, SIGUSR1));
	EXPECT_EQ(EINTR, child_end(pid));
}

TEST_F(rw, interrupted_read_is_restarted)
{
	pid_t pid = child();
	char byte = 0;

	if (!pid) {
		interrupt_by(SIGUSR1, SA_RESTART);
		_exit(read(self->r, &byte, 1) == 1 && byte == 'x' ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_EQ(0, kill(pid, SIGUSR1));
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_WRITE(self->w, "x");
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(rw, interrupted_write_counts_what_it_took)
{
	size_t size = variant->capacity + 3000;
	pid_t pid = child();

	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(write(self->w, self->buf, size) == (ssize_t)variant->capacity ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_EQ(0, kill(pid, SIGUSR1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ((int)variant->capacity, unread(self->r));

	/* And nothing: the channel is full now. */
	pid = child();
	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(-sys(write(self->w, self->buf, 10)));
	}
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_EQ(0, kill(pid, SIGUSR1));
	EXPECT_EQ(EINTR, child_end(pid));
	EXPECT_EQ((int)variant->capacity, unread(self->r));
}

TEST_F(rw, interrupted_write_is_restarted)
{
	size_t capacity = variant->capacity;
	pid_t pid;

	ASSERT_EQ(0, pattern_write(self->w, capacity, capacity, 1, 0));
	pid = child();
	if (!pid) {
		interrupt_by(SIGUSR1, SA_RESTART);
		_exit(write(self->w, "tail", 4) == 4 ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_EQ(0, kill(pid, SIGUSR1));
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	ASSERT_EQ((long)capacity, read_full(self->r, self->buf, capacity));
	EXPECT_READ(self->r, "tail");
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(rw, blocked_calls_can_be_killed)
{
	size_t capacity = variant->capacity;
	pid_t pid = child();
	char byte;

	if (!pid)
		_exit(-sys(read(self->r, &byte, 1)));
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	close(self->w);
	close(self->r);

	self->w = flow_writer(&self->flow, 0);
	ASSERT_EQ(0, pattern_write(self->w, capacity, capacity, 1, 0));
	pid = child();
	if (!pid)
		_exit(-sys(write(self->w, "x", 1)));
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
}

struct reader_thread {
	int fd;
	pid_t tid;
	bool got_x;
};

static void *read_one(void *arg)
{
	struct reader_thread *t = arg;
	char byte = 0;

	__atomic_store_n(&t->tid, gettid(), __ATOMIC_RELEASE);
	t->got_x = read(t->fd, &byte, 1) == 1 && byte == 'x';
	return NULL;
}

TEST_F(rw, close_during_a_blocked_read)
{
	struct reader_thread t = { .fd = self->r };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, read_one, &t));
	while (!__atomic_load_n(&t.tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	ASSERT_TRUE(blocks_in(t.tid, SYS_read));
	/* The call keeps the file: it ends with the data that comes. */
	EXPECT_EQ(0, close(self->r));
	self->r = -1;
	EXPECT_WRITE(self->w, "x");
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_TRUE(t.got_x);
}

/* ------------------------------------------------- several of them, and much */

TEST_F(rw, two_readers_get_every_byte_once)
{
	size_t total = variant->capacity * 4;
	int sums[2], i;
	uint64_t got[2][2], expected = 0;
	pid_t pids[2];
	size_t at;

	ASSERT_EQ(0, pipe(sums));
	for (i = 0; i < 2; i++) {
		pids[i] = child();
		if (!pids[i]) {
			uint64_t sum[2] = { 0, 0 };
			long n, j;

			close(self->w);
			while ((n = read(self->r, self->buf, 3000)) > 0) {
				for (j = 0; j < n; j++)
					sum[0] += self->buf[j];
				sum[1] += n;
			}
			_exit(!n && write(sums[1], sum, sizeof(sum)) == sizeof(sum) ? 0 : 1);
		}
	}
	ASSERT_EQ(0, pattern_write(self->w, total, 5000, 1, 0));
	close(self->w);
	for (at = 0; at < total; at++)
		expected += pattern(1, at);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, child_end(pids[i]));
		ASSERT_EQ((long)sizeof(got[i]), sys(read(sums[0], got[i], sizeof(got[i]))));
	}
	EXPECT_EQ(total, got[0][1] + got[1][1]);
	EXPECT_EQ(expected, got[0][0] + got[1][0]);
}

/* Random sizes on both sides; the bytes say where they belong. */
TEST_F(rw, arrives_intact_whatever_the_sizes)
{
	size_t total = variant->capacity == PAGE ? 2 * MIB : 24 * MIB;
	uint64_t seed = 4711, sent = 0, got = 0;
	pid_t pid = child();
	long n;

	if (!pid) {
		while (sent < total) {
			size_t size = random_next(&seed) % (100 * KIB) + 1;

			if (random_next(&seed) & 1)
				size = size % 300 + 1;
			if (size > total - sent)
				size = total - sent;
			if (write(self->w, self->buf + sent % 251, size) != (ssize_t)size)
				_exit(1);
			sent += size;
		}
		_exit(0);
	}
	close(self->w);
	while (got < total) {
		n = sys(read(self->r, self->buf, random_next(&seed) % (100 * KIB) + 1));
		ASSERT_LT(0, n);
		ASSERT_TRUE(pattern_is(self->buf, n, 1, got));
		got += n;
	}
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(total, flow_stats(&self->flow).bytes_in);
	EXPECT_EQ(total, flow_stats(&self->flow).bytes_out);
}

/* Writes above PIPE_BUF may interleave, but nothing is lost. */
TEST_F(rw, large_writes_of_several_writers_lose_nothing)
{
	enum { WRITERS = 2 };
	size_t size = PIPE_BUF + 1, each = 200 * size, seen[WRITERS] = { 0 };
	pid_t pids[WRITERS];
	long n, j;
	int i;

	for (i = 0; i < WRITERS; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		memset(self->buf, 'a' + i, size);
		for (j = 0; j < 200; j++)
			if (write(self->w, self->buf, size) != (ssize_t)size)
				_exit(1);
		_exit(0);
	}
	close(self->w);
	while ((n = sys(read(self->r, self->buf, 64 * KIB))) > 0) {
		for (j = 0; j < n; j++) {
			ASSERT_TRUE(self->buf[j] == 'a' || self->buf[j] == 'b');
			seen[self->buf[j] - 'a']++;
		}
	}
	EXPECT_EQ(0, n);
	for (i = 0; i < WRITERS; i++) {
		EXPECT_EQ(each, seen[i]);
		EXPECT_EQ(0, child_end(pids[i]));
	}
}

TEST_HARNESS_MAIN
