// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-out: what is written to one output comes to each of its links, the slowest of which
 * throttles; how streams end, and what closing one reader does to others.
 */
#include <sys/epoll.h>

#include "harness.h"
#include "fan.h"
#include "splice.h"
#include "window.h"

#define READERS_MAX	32
#define CAPACITY	(256 * KIB)

FIXTURE(fan)
{
	struct fan fan;
	int w;
	int r[READERS_MAX];
};

FIXTURE_VARIANT(fan)
{
	unsigned int readers;
};

FIXTURE_VARIANT_ADD(fan, two) { .readers = 2 };
FIXTURE_VARIANT_ADD(fan, eight) { .readers = 8 };
FIXTURE_VARIANT_ADD(fan, most) { .readers = READERS_MAX };

FIXTURE_SETUP(fan)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;
	unsigned int i;

	options.capacity = CAPACITY;
	FAN_SETUP(&self->fan, variant->readers, &options);
	self->w = fan_writer(&self->fan, O_RDWR);
	ASSERT_LE(0, self->w);
	for (i = 0; i < variant->readers; i++) {
		self->r[i] = fan_reader(&self->fan, i, 0);
		ASSERT_LE(0, self->r[i]);
	}
}

FIXTURE_TEARDOWN(fan)
{
	unsigned int i;

	close(self->w);
	for (i = 0; i < variant->readers; i++)
		close(self->r[i]);
	FAN_TEARDOWN(&self->fan);
}

/* A child with one of the readers and nothing else of the fan. */
static pid_t child_with(int w, const int *r, unsigned int n, unsigned int i)
{
	pid_t pid = child();
	unsigned int other;

	if (pid)
		return pid;
	close(w);
	for (other = 0; other < n; other++)
		if (other != i)
			close(r[other]);
	return 0;
}

/* One that reads a stream of @bytes to its end, in chunks of its own size. */
static pid_t reader_of(int w, const int *r, unsigned int n, unsigned int i, uint64_t bytes)
{
	pid_t pid = child_with(w, r, n, i);
	struct heard heard;

	if (pid)
		return pid;
	heard = pattern_read(r[i], 1000 + 7919 * (i % 9), 1);
	_exit(heard.intact && heard.bytes == bytes && !heard.end ? 0 : 1);
}

/* --------------------------------------------------------------- the bytes */

TEST_F(fan, every_reader_gets_all)
{
	uint64_t bytes = (variant->readers > 8 ? 2 : 8) * MIB + 4321;
	pid_t pids[READERS_MAX];
	struct faasctl_stats stats;
	unsigned int i;

	for (i = 0; i < variant->readers; i++)
		pids[i] = reader_of(self->w, self->r, variant->readers, i, bytes);
	EXPECT_EQ(0, pattern_write(self->w, bytes, 70000, 1, 0));
	close(self->w);
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(0, child_end(pids[i]));
		stats = fan_state(&self->fan, i).stats;
		EXPECT_EQ(bytes, stats.bytes_in);
		EXPECT_EQ(bytes, stats.bytes_out);
		EXPECT_EQ(0, stats.bytes_held);
		EXPECT_EQ(0, stats.bytes_dropped);
		EXPECT_EQ(1, stats.streams_begun);
		EXPECT_EQ(1, stats.streams_ended);
		EXPECT_GE(CAPACITY, stats.bytes_held_max);
	}
}

TEST_F(fan, small_writes_come_to_each_in_order)
{
	unsigned int i, at;
	char text[16];

	for (at = 0; at < 300; at++) {
		snprintf(text, sizeof(text), "line %u\n", at);
		EXPECT_WRITE(self->w, text);
		for (i = 0; i < variant->readers; i++)
			if ((at + i) % 3 == 0)
				EXPECT_TRUE(read(self->r[i], text, 1) == 1);
	}
	for (i = 0; i < variant->readers; i++)
		EXPECT_LT(0, unread(self->r[i]));
}

TEST_F(fan, the_slowest_throttles)
{
	unsigned int i, last = variant->readers - 1;
	long bytes = fill(self->w, 1);

	EXPECT_EQ(CAPACITY, bytes);
	EXPECT_EQ(0, ready(self->w));
	for (i = 0; i < last; i++) {
		EXPECT_EQ(POLLIN, ready(self->r[i]));
		EXPECT_TRUE(reads(self->r[i], bytes, 1, 0));
		EXPECT_EQ(0, ready(self->r[i]));
		EXPECT_EQ(0, ready(self->w));
		EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	}
	EXPECT_EQ(bytes, unread(self->r[last]));
	/* What is free is what the last has read. */
	EXPECT_TRUE(reads(self->r[last], bytes / 2, 1, 0));
	EXPECT_EQ(POLLOUT, ready(self->w));
	EXPECT_TRUE(reads(self->r[last], bytes / 2, 1, bytes / 2));
	EXPECT_EQ(CAPACITY, fill(self->w, 2));
	for (i = 0; i < variant->readers; i++)
		EXPECT_TRUE(reads(self->r[i], CAPACITY, 2, 0));
}

TEST_F(fan, a_writer_that_waits_is_woken_by_the_slowest)
{
	unsigned int i, last = variant->readers - 1;
	pid_t pid;

	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(pattern_write(self->w, PAGE, PAGE, 1, CAPACITY) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	for (i = 0; i < last; i++)
		EXPECT_TRUE(reads(self->r[i], CAPACITY, 1, 0));
	EXPECT_TRUE(is_running(pid));
	EXPECT_TRUE(reads(self->r[last], CAPACITY, 1, 0));
	EXPECT_EQ(0, child_end(pid));
	for (i = 0; i < variant->readers; i++)
		EXPECT_TRUE(reads(self->r[i], PAGE, 1, CAPACITY));
}

TEST_F(fan, pollers_hear_of_room)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	unsigned int i;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->w, &event));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
		EXPECT_TRUE(reads(self->r[i], CAPACITY, 1, 0));
	}
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
	EXPECT_TRUE(event.events == EPOLLOUT);
	close(ep);
}

/* Readers of different links have a queue each, and all in it are woken. */
TEST_F(fan, each_exclusive_poller_hears_of_bytes)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int ep[READERS_MAX];
	unsigned int i;

	for (i = 0; i < variant->readers; i++) {
		ep[i] = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_EQ(0, epoll_ctl(ep[i], EPOLL_CTL_ADD, self->r[i], &event));
		EXPECT_EQ(0, epoll_wait(ep[i], &event, 1, 0));
	}
	EXPECT_WRITE(self->w, "x");
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(1, epoll_wait(ep[i], &event, 1, DEADLINE * 1000));
		close(ep[i]);
	}
}

TEST_F(fan, memory_is_as_of_one_link)
{
	/* So much that a second copy of it would be seen. */
	uint64_t pool = 0, kib_ms = 0, capacity = 4 * MIB;
	struct faasctl_stats stats;
	long long before, after;
	unsigned int i;

	ASSERT_EQ(0, fan_resize(&self->fan, "r0", capacity));
	before = cgroup_read(self->fan.name, "memory.current", NULL);
	ASSERT_EQ(capacity, fill(self->w, 1));
	after = cgroup_read(self->fan.name, "memory.current", NULL);
	for (i = 0; i < variant->readers; i++) {
		stats = fan_state(&self->fan, i).stats;
		EXPECT_EQ(capacity, stats.bytes_held);
		pool += stats.pool_bytes;
		kib_ms += stats.pool_kib_ms;
	}
	EXPECT_LE(capacity, pool);
	EXPECT_GE(capacity + PAGE, pool);
	EXPECT_LT(0, kib_ms);
	/* Charges are made in batches for each CPU. */
	EXPECT_GE(capacity + 2 * 64 * PAGE, after - before);
}

/* Links that are gone, but not read, go on having it. */
TEST_F(fan, memory_is_shown_until_nobody_has_it)
{
	const uint64_t bytes = CAPACITY / 2;
	struct faasctl_stats before, after;
	unsigned int i;
	char name[16];

	/* Nobody waits for room, which would be made by dropping this. */
	ASSERT_EQ(0, pattern_write(self->w, bytes, PAGE, 1, 0));
	for (i = 0; i < variant->readers; i++) {
		/* A session that has no stream when its link goes has none to read. */
		EXPECT_EQ(bytes, unread(self->r[i]));
		EXPECT_LE(bytes, fan_sums(&self->fan).pool_bytes);
		snprintf(name, sizeof(name), "r%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, "a", name));
	}
	for (i = 0; i < variant->readers; i++) {
		before = fan_sums(&self->fan);
		EXPECT_LE(bytes, before.pool_bytes);
		EXPECT_GE(CAPACITY, before.pool_bytes);
		EXPECT_EQ((variant->readers - i) * bytes, before.bytes_held);
		usleep(10000);
		after = fan_sums(&self->fan);
		EXPECT_LT(before.pool_kib_ms, after.pool_kib_ms);
		close(self->r[i]);
		self->r[i] = -1;
	}
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_held);
	/* The writer's stream has the channel. */
	close(self->w);
	self->w = -1;
	before = fan_sums(&self->fan);
	EXPECT_EQ(0, before.pool_bytes);
	EXPECT_LE(after.pool_kib_ms, before.pool_kib_ms);
}

/* --------------------------------------------------------------------- ends */

TEST_F(fan, the_end_comes_to_each)
{
	unsigned int i;

	EXPECT_WRITE(self->w, "bytes");
	close(self->w);
	for (i = 0; i < variant->readers; i++) {
		EXPECT_READ(self->r[i], "bytes");
		EXPECT_OVER(self->r[i], 0);
		EXPECT_EQ(POLLHUP, ready(self->r[i]));
	}
}

TEST_F(fan, an_abort_comes_to_each_behind_the_bytes)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };
	struct link_state state;
	unsigned int i;

	EXPECT_WRITE(self->w, "bytes");
	EXPECT_EQ(0, ioctl(self->w, FAASIN_IOC_ABORT, &abort));
	for (i = 0; i < variant->readers; i++) {
		EXPECT_READ(self->r[i], "bytes");
		EXPECT_OVER(self->r[i], -ECONNABORTED);
		EXPECT_EQ(POLLHUP | POLLERR, ready(self->r[i]));
		state = fan_state(&self->fan, i);
		EXPECT_EQ(1, state.stats.streams_aborted);
		EXPECT_EQ(FAASIN_CAUSE_REQUEST, state.last.cause);
		EXPECT_STREQ("a", state.stage);
	}
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
}

TEST_F(fan, a_killed_writer_aborts_for_each)
{
	int told = bell();
	unsigned int i;
	pid_t pid = child();

	if (!pid) {
		if (write(self->w, "bytes", 5) == 5)
			ring(told);
		pause();
		_exit(1);
	}
	EXPECT_TRUE(await(told));
	child_kill(pid, SIGKILL);
	for (i = 0; i < variant->readers; i++) {
		EXPECT_READ(self->r[i], "bytes");
		EXPECT_OVER(self->r[i], -ECONNABORTED);
	}
}

TEST_F(fan, closing_one_early_leaves_the_others_alone)
{
	unsigned int i, n = variant->readers;
	struct faasctl_stats stats;
	char byte;

	EXPECT_WRITE(self->w, "first");
	ASSERT_EQ(1, read(self->r[0], &byte, 1));
	close(self->r[0]);
	EXPECT_WRITE(self->w, "second");
	for (i = 1; i < n; i++)
		EXPECT_READ(self->r[i], "firstsecond");
	/* Its bytes are no room that is lost. */
	EXPECT_EQ(CAPACITY, fill(self->w, 1));
	for (i = 1; i < n; i++)
		EXPECT_TRUE(reads(self->r[i], CAPACITY, 1, 0));
	stats = fan_state(&self->fan, 0).stats;
	EXPECT_EQ(1, stats.early_closes);
	EXPECT_EQ(1, stats.bytes_out);
	EXPECT_EQ(0, stats.bytes_held);
	EXPECT_EQ(stats.bytes_in, 1 + stats.bytes_dropped);
	EXPECT_EQ(0, fan_state(&self->fan, 1).stats.early_closes);
	/* The next stream is for it, too. */
	self->r[0] = fan_reader(&self->fan, 0, 0);
	close(self->w);
	self->w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(self->w, "third");
	EXPECT_READ(self->r[0], "third");
	for (i = 1; i < n; i++)
		EXPECT_OVER(self->r[i], 0);
}

TEST_F(fan, the_writer_gets_epipe_when_all_have_closed)
{
	unsigned int i;
	char byte;

	EXPECT_WRITE(self->w, "bytes");
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(1, sys(write(self->w, "x", 1)));
		ASSERT_EQ(1, read(self->r[i], &byte, 1));
		close(self->r[i]);
	}
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->w));
	EXPECT_TRUE(port_info(self->w).flags & FAASIN_INFO_READER_GONE);
	close(self->w);
	self->w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(self->w, "next");
	for (i = 0; i < variant->readers; i++) {
		self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_READ(self->r[i], "next");
	}
}

TEST_F(fan, a_killed_reader_leaves_the_others_alone)
{
	uint64_t bytes = MIB, written = PAGE;
	uint8_t page[PAGE];
	pid_t pids[READERS_MAX];
	unsigned int i;
	char byte;

	for (i = 1; i < variant->readers; i++)
		pids[i] = reader_of(self->w, self->r, variant->readers, i, bytes);
	pids[0] = child_with(self->w, self->r, variant->readers, 0);
	if (!pids[0]) {
		if (read(self->r[0], &byte, 1) != 1)
			_exit(1);
		raise(SIGSTOP);
		_exit(1);
	}
	close(self->r[0]);
	EXPECT_EQ(0, pattern_write(self->w, PAGE, PAGE, 1, 0));
	waitpid(pids[0], NULL, WUNTRACED);
	/* It stands still and throttles, until it is killed. */
	fcntl(self->w, F_SETFL, O_NONBLOCK);
	for (pattern_fill(page, PAGE, 1, written); write(self->w, page, PAGE) == PAGE;
	     pattern_fill(page, PAGE, 1, written))
		written += PAGE;
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_GT(bytes, written);
	fcntl(self->w, F_SETFL, 0);
	ASSERT_LE(0, kill(pids[0], SIGKILL));
	EXPECT_EQ(0, pattern_write(self->w, bytes - written, PAGE, 1, written));
	EXPECT_EQ(-SIGKILL, child_end(pids[0]));
	close(self->w);
	for (i = 1; i < variant->readers; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	self->r[0] = -1;
}

TEST_F(fan, streams_queue_for_each_and_do_not_mix)
{
	unsigned int i, s;
	char text[16];

	for (s = 0; s < 5; s++) {
		if (s)
			self->w = fan_writer(&self->fan, 0);
		snprintf(text, sizeof(text), "stream %u", s);
		EXPECT_WRITE(self->w, text);
		close(self->w);
		/* Some read at once, some later. */
		for (i = 0; i < variant->readers; i += 2) {
			EXPECT_READ(self->r[i], text);
			EXPECT_OVER(self->r[i], 0);
			close(self->r[i]);
			self->r[i] = fan_reader(&self->fan, i, 0);
		}
	}
	for (i = 1; i < variant->readers; i += 2) {
		for (s = 0; s < 5; s++) {
			snprintf(text, sizeof(text), "stream %u", s);
			EXPECT_READ(self->r[i], text);
			EXPECT_OVER(self->r[i], 0);
			close(self->r[i]);
			self->r[i] = fan_reader(&self->fan, i, 0);
		}
	}
	self->w = -1;
}

TEST_F(fan, as_many_streams_queue_as_the_slowest_may_have)
{
	unsigned int s, i;
	char byte;

	for (s = 1; s <= FAASIN_STREAMS_MAX; s++) {
		ASSERT_LE(0, self->w);
		close(self->w);
		/* One of them reads them all. */
		EXPECT_EQ(0, sys(read(self->r[0], &byte, 1)));
		close(self->r[0]);
		self->r[0] = fan_reader(&self->fan, 0, 0);
		self->w = fan_writer(&self->fan, O_NONBLOCK);
	}
	EXPECT_EQ(-EAGAIN, self->w);
	EXPECT_EQ(FAASIN_STREAMS_MAX, fan_state(&self->fan, 1).stats.streams_queued);
	EXPECT_EQ(0, fan_state(&self->fan, 0).stats.streams_queued);
	for (i = 1; i < variant->readers; i++) {
		EXPECT_EQ(-EAGAIN, fan_writer(&self->fan, O_NONBLOCK));
		EXPECT_OVER(self->r[i], 0);
		close(self->r[i]);
		self->r[i] = -1;
	}
	self->w = fan_writer(&self->fan, O_NONBLOCK);
	EXPECT_LE(0, self->w);
}

TEST_F(fan, each_is_asked_for_itself)
{
	struct faasin_context context = { .length = 5, .data = "trace" }, got;
	struct faasin_port_info info;
	unsigned int i;
	char byte;

	EXPECT_EQ(-1, ioctl(self->r[0], FAASIN_IOC_GET_CONTEXT, &got));
	EXPECT_EQ(0, ioctl(self->w, FAASIN_IOC_SET_CONTEXT, &context));
	EXPECT_WRITE(self->w, "bytes");
	EXPECT_FALSE(port_info(self->w).flags & FAASIN_INFO_BEGUN);
	ASSERT_EQ(1, read(self->r[1], &byte, 1));
	EXPECT_TRUE(port_info(self->w).flags & FAASIN_INFO_BEGUN);
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(i == 1 ? 4 : 5, unread(self->r[i]));
		info = port_info(self->r[i]);
		EXPECT_EQ(i == 1, info.position);
		EXPECT_EQ(port_info(self->w).stream, info.stream);
		EXPECT_EQ(CAPACITY, info.capacity);
		EXPECT_EQ(i == 1, !!(info.flags & FAASIN_INFO_BEGUN));
		EXPECT_EQ(fan_state(&self->fan, i).link.generation, info.link_generation);
		EXPECT_EQ(0, ioctl(self->r[i], FAASIN_IOC_GET_CONTEXT, &got));
		EXPECT_EQ(0, memcmp(&context, &got, sizeof(got)));
	}
	/* Of the output: what the slowest has not read. It has several links, and names none. */
	EXPECT_EQ(5, unread(self->w));
	EXPECT_EQ(0, port_info(self->w).link_generation);
}

/* ------------------------------------------------------------ by other ways */

TEST_F(fan, spliced_pages_are_shared)
{
	unsigned int i;
	int in[2], out[2];

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	ASSERT_EQ(0, pattern_write(in[1], 8 * PAGE, PAGE, 1, 0));
	EXPECT_EQ(0, splice_all(in[0], self->w, 8 * PAGE));
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(8 * PAGE, fan_state(&self->fan, i).stats.bytes_in_moved);
		EXPECT_EQ(0, splice_all(self->r[i], out[1], 8 * PAGE));
		EXPECT_EQ(8 * PAGE, fan_state(&self->fan, i).stats.bytes_out_moved);
		/* What one has in its pipe stays as it is, whatever comes next. */
		EXPECT_TRUE(reads(out[0], 8 * PAGE, 1, 0));
	}
	/* Several at once, of what was written; then the ring is filled again. */
	EXPECT_EQ(0, pattern_write(self->w, 2 * PAGE, 2 * PAGE, 2, 0));
	EXPECT_EQ(0, splice_all(self->r[0], in[1], 2 * PAGE));
	EXPECT_EQ(0, splice_all(self->r[1], out[1], 2 * PAGE));
	for (i = 2; i < variant->readers; i++)
		EXPECT_TRUE(reads(self->r[i], 2 * PAGE, 2, 0));
	EXPECT_EQ(CAPACITY, fill(self->w, 3));
	EXPECT_TRUE(reads(in[0], 2 * PAGE, 2, 0));
	EXPECT_TRUE(reads(out[0], 2 * PAGE, 2, 0));
	for (i = 0; i < variant->readers; i++)
		EXPECT_TRUE(reads(self->r[i], CAPACITY, 3, 0));
	for (i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

TEST_F(fan, a_window_that_is_sent_is_read_by_each)
{
	struct faasin_window_info info = window_info(self->w);
	unsigned int i, last = variant->readers - 1;
	uint8_t *window = window_map(self->w, PROT_READ | PROT_WRITE);
	long at;

	ASSERT_NE(MAP_FAILED, window);
	nonblocking(self->w);
	at = window_alloc(self->w, info.size);
	ASSERT_LE(0, at);
	pattern_fill(window + at, info.size, 1, 0);
	EXPECT_EQ(0, window_send(self->w, at, info.size));
	for (i = 0; i < last; i++)
		EXPECT_TRUE(reads(self->r[i], info.size, 1, 0));
	/* It is back when the last has read it. */
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, info.size));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_TRUE(reads(self->r[last], info.size, 1, 0));
	EXPECT_EQ(POLLOUT, ready(self->w));
	EXPECT_LE(0, window_alloc(self->w, info.size));
	munmap(window, info.size);
}

TEST_F(fan, nothing_can_be_taken)
{
	struct faasin_window_info info;
	struct faasin_range range;
	unsigned int i;

	EXPECT_WRITE(self->w, "bytes");
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(self->r[i], FAASIN_IOC_WINDOW, &info)));
		EXPECT_EQ(-EOPNOTSUPP, window_take(self->r[i], &range));
		EXPECT_EQ(-EOPNOTSUPP, window_return(self->r[i], 0));
		EXPECT_EQ(-EOPNOTSUPP, window_try_map(self->r[i], PAGE, PROT_READ, MAP_SHARED, 0));
		EXPECT_READ(self->r[i], "bytes");
	}
}

/* ------------------------------------------------------------------ unlinking */

TEST_F(fan, an_unlinked_reader_reads_what_it_has)
{
	unsigned int i;

	EXPECT_WRITE(self->w, "bytes");
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_WRITE(self->w, "more");
	EXPECT_READ(self->r[0], "bytes");
	EXPECT_OVER(self->r[0], -ECONNABORTED);
	for (i = 1; i < variant->readers; i++)
		EXPECT_READ(self->r[i], "bytesmore");
}

TEST_F(fan, an_unlinked_reader_holds_up_nobody)
{
	unsigned int i;
	pid_t pid;

	ASSERT_EQ(CAPACITY, fill(self->w, 1));
	for (i = 1; i < variant->readers; i++)
		EXPECT_TRUE(reads(self->r[i], CAPACITY, 1, 0));
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	fcntl(self->w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(pattern_write(self->w, PAGE, PAGE, 1, CAPACITY) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_EQ(0, child_end(pid));
	for (i = 1; i < variant->readers; i++)
		EXPECT_TRUE(reads(self->r[i], PAGE, 1, CAPACITY));
	EXPECT_OVER(self->r[0], -ECONNABORTED);
	EXPECT_EQ(POLLHUP | POLLERR, ready(self->r[0]));
}

/* The same of a poller, and of streams that had ended: what is cut off is no end of file. */
TEST_F(fan, what_is_dropped_of_an_unlinked_one_is_no_end_of_file)
{
	struct pollfd p = { .events = POLLOUT };
	unsigned int i;
	long bytes;

	EXPECT_EQ(0, pattern_write(self->w, PAGE, PAGE, 1, 0));
	close(self->w);
	self->w = fan_writer(&self->fan, 0);
	bytes = fill(self->w, 2);
	EXPECT_LT(0, bytes);
	EXPECT_EQ(PAGE, unread(self->r[0]));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	for (i = 1; i < variant->readers; i++) {
		EXPECT_TRUE(reads(self->r[i], PAGE, 1, 0));
		EXPECT_OVER(self->r[i], 0);
		close(self->r[i]);
		self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_TRUE(reads(self->r[i], bytes, 2, 0));
	}
	p.fd = self->w;
	EXPECT_EQ(1, poll(&p, 1, DEADLINE * 1000));
	EXPECT_EQ(POLLOUT, p.revents);
	EXPECT_OVER(self->r[0], -ECONNABORTED);
}

/* It is not the slowest when the wait begins, but when that one has read all. */
/* Nor is anything cut off of a stream that was read to its end. */
TEST_F(fan, what_was_read_of_an_unlinked_one_has_its_end)
{
	unsigned int i;
	long bytes;

	EXPECT_EQ(0, pattern_write(self->w, PAGE, PAGE, 1, 0));
	close(self->w);
	EXPECT_TRUE(reads(self->r[0], PAGE, 1, 0));
	self->w = fan_writer(&self->fan, O_NONBLOCK);
	bytes = fill(self->w, 2);
	EXPECT_LT(0, bytes);
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	for (i = 1; i < variant->readers; i++) {
		EXPECT_TRUE(reads(self->r[i], PAGE, 1, 0));
		EXPECT_OVER(self->r[i], 0);
		close(self->r[i]);
		self->r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_TRUE(reads(self->r[i], bytes, 2, 0));
	}
	EXPECT_TRUE(fan_gets_room(self->w));
	EXPECT_OVER(self->r[0], 0);
}

TEST_F(fan, a_wait_for_a_window_ends_behind_an_unlinked_reader)
{
	struct faasin_window_info info = window_info(self->w);
	unsigned int i;
	pid_t pid;
	long at;
	char byte;

	at = window_alloc(self->w, info.size);
	ASSERT_LE(0, at);
	EXPECT_EQ(0, window_send(self->w, at, info.size));
	ASSERT_EQ(1, read(self->r[0], &byte, 1));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	pid = child();
	if (!pid)
		_exit(window_alloc(self->w, info.size) < 0);
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	for (i = 1; i < variant->readers; i++) {
		char *buf = malloc(info.size);

		EXPECT_EQ((long)info.size, read_full(self->r[i], buf, info.size));
		free(buf);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_OVER(self->r[0], -ECONNABORTED);
}

TEST_F(fan, a_paused_link_drops_nothing_of_an_unlinked_one)
{
	EXPECT_WRITE(self->w, "bytes");
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_PAUSED));
	nonblocking(self->w);
	EXPECT_EQ(-EAGAIN, sys(write(self->w, "x", 1)));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_READ(self->r[0], "bytes");
	EXPECT_OVER(self->r[0], -ECONNABORTED);
}

TEST_F(fan, unlinking_all_is_the_end)
{
	unsigned int i;
	char name[16];

	EXPECT_WRITE(self->w, "bytes");
	for (i = 0; i < variant->readers; i++) {
		EXPECT_EQ(1, sys(write(self->w, "x", 1)));
		snprintf(name, sizeof(name), "r%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, "a", name));
	}
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->w));
	EXPECT_TRUE(port_info(self->w).flags & FAASIN_INFO_UNLINKED);
	EXPECT_EQ(-ENXIO, fan_writer(&self->fan, O_NONBLOCK));
	for (i = 0; i < variant->readers; i++) {
		EXPECT_READ(self->r[i], "bytes");
		EXPECT_EQ(i + 1, unread(self->r[i]));
	}
	/* It can be linked anew, to one alone. */
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r1", NULL));
	close(self->w);
	self->w = fan_writer(&self->fan, 0);
	close(self->r[1]);
	self->r[1] = fan_reader(&self->fan, 1, 0);
	EXPECT_WRITE(self->w, "anew");
	EXPECT_READ(self->r[1], "anew");
}

TEST_F(fan, who_joins_takes_part_from_the_next_stream_on)
{
	unsigned int i;

	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_WRITE(self->w, "first");
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r0", NULL));
	close(self->r[0]);
	self->r[0] = fan_reader(&self->fan, 0, O_NONBLOCK);
	ASSERT_LE(0, self->r[0]);
	EXPECT_WRITE(self->w, "more");
	EXPECT_EQ(0, ready(self->r[0]));
	EXPECT_EQ(0, unread(self->r[0]));
	close(self->w);
	EXPECT_EQ(0, ready(self->r[0]));
	self->w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(self->w, "second");
	EXPECT_READ(self->r[0], "second");
	for (i = 1; i < variant->readers; i++) {
		EXPECT_READ(self->r[i], "firstmore");
		EXPECT_OVER(self->r[i], 0);
	}
	EXPECT_EQ(1, fan_state(&self->fan, 1).stats.streams_ended);
	/* Sums go on where those of the link before stopped. */
	EXPECT_EQ(2, fan_state(&self->fan, 0).stats.streams_begun);
}

TEST_HARNESS_MAIN
