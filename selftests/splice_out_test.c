// SPDX-License-Identifier: GPL-2.0
/*
 * splice() out of a port: which pages are moved and which are copied; that what is in a
 * pipe is the pipe's, whatever becomes of the link; that memory comes back.
 */
#include "common.h"

#include "harness.h"
#include "hostile.h"
#include "splice.h"
#include "window.h"

#define SIZE	(64 * KIB)

FIXTURE(out)
{
	struct flow flow;
	int w, r;
	int pipe[2];
	uint8_t *buf;
};

FIXTURE_VARIANT(out)
{
	uint64_t capacity;
};

FIXTURE_VARIANT_ADD(out, small) { .capacity = 128 * KIB };
FIXTURE_VARIANT_ADD(out, usual) { .capacity = MIB };
FIXTURE_VARIANT_ADD(out, large) { .capacity = 8 * MIB };

FIXTURE_SETUP(out)
{
	struct flow_options options = { .capacity = variant->capacity };

	SPLICE_SETUP(self, &options, 0, 8 * MIB);
}

FIXTURE_TEARDOWN(out)
{
	SPLICE_TEARDOWN(self);
}

/* Splices @len bytes out of the link, and says how many of them were moved. */
#define MOVED(len)								\
({										\
	uint64_t moved_before = flow_stats(&self->flow).bytes_out_moved;	\
										\
	ASSERT_EQ(0, splice_all(self->r, self->pipe[1], len));			\
	(long)(flow_stats(&self->flow).bytes_out_moved - moved_before);		\
})

/* The pipe's next @len bytes are bytes @at on of stream @tag. */
#define EXPECT_BYTES(len, tag, at)						\
do {										\
	uint8_t *bytes = malloc(len);						\
										\
	EXPECT_EQ((long)(len), read_full(self->pipe[0], bytes, len));		\
	EXPECT_TRUE(pattern_is(bytes, len, tag, at));				\
	free(bytes);								\
} while (0)

/* Waits until the link has no more memory than its reserved page. */
static uint64_t pool_at_rest(struct flow *flow)
{
	for (int i = 0; i < DEADLINE * 10 && flow_stats(flow).pool_bytes > PAGE; i++)
		usleep(100000);
	return flow_stats(flow).pool_bytes;
}

TEST_F(out, whole_pages_are_moved)
{
	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	EXPECT_EQ(SIZE, MOVED(SIZE));
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(SIZE, unread(self->pipe[0]));
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_out_copied);
	EXPECT_LE(1, flow_stats(&self->flow).reads);
	EXPECT_BYTES(SIZE, 1, 0);
}

TEST_F(out, parts_are_copied)
{
	ASSERT_EQ(9000, sys(write(self->w, self->buf, 9000)));
	/* 100, and the rest of that page; then a page; then what is left behind it. */
	EXPECT_EQ(0, MOVED(100));
	EXPECT_EQ(PAGE, MOVED(8900));
	EXPECT_EQ(9000 - PAGE, flow_stats(&self->flow).bytes_out_copied);
	EXPECT_BYTES(9000, 1, 0);
}

TEST_F(out, what_goes_through_by_reference_goes_on_so)
{
	int in[2];

	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ(SIZE, sys(write(in[1], self->buf, SIZE)));
	ASSERT_EQ(0, splice_all(in[0], self->w, SIZE));
	EXPECT_EQ(SIZE, MOVED(SIZE));
	EXPECT_EQ(SIZE, flow_stats(&self->flow).bytes_in_moved);
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
	/* They are in the pipe as the link's own are: nobody can have them. */
	ASSERT_EQ(0, splice_all(self->pipe[0], self->w, SIZE));
	EXPECT_EQ(SIZE, flow_stats(&self->flow).bytes_in_moved);
	ASSERT_EQ(SIZE, read_full(self->r, self->buf, SIZE));
	EXPECT_TRUE(pattern_is(self->buf, SIZE, 1, 0));
	close(in[0]);
	close(in[1]);
}

TEST_F(out, does_not_change_in_the_pipe)
{
	uint64_t moved;

	/* All of it, one page, a part. */
	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	moved = MOVED(SIZE);
	EXPECT_EQ(SIZE, moved);
	ASSERT_EQ(PAGE, sys(write(self->w, self->buf, PAGE)));
	ASSERT_EQ(0, splice_all(self->r, self->pipe[1], PAGE));
	ASSERT_EQ(100, sys(write(self->w, self->buf, 100)));
	ASSERT_EQ(0, splice_all(self->r, self->pipe[1], 100));
	memset(self->buf, 0xee, MIB);
	for (int i = 0; i < 60; i++) {
		ASSERT_EQ(70000, sys(write(self->w, self->buf, 70000)));
		ASSERT_EQ(70000, read_full(self->r, self->buf, 70000));
	}
	EXPECT_BYTES(SIZE, 1, 0);
	EXPECT_BYTES(PAGE, 1, 0);
	EXPECT_BYTES(100, 1, 0);
}

TEST_F(out, does_not_change_while_the_block_is_filled_on)
{
	/* Of one block, some pages are in the pipe, while the next are written. */
	for (int i = 0; i < 200; i++) {
		pattern_fill(self->buf, 1500, 1, i * 1500);
		ASSERT_EQ(1500, sys(write(self->w, self->buf, 1500)));
		if (i % 3 == 2)
			ASSERT_EQ(0, splice_all(self->r, self->pipe[1], 4500));
	}
	ASSERT_EQ(0, splice_all(self->r, self->pipe[1], unread(self->r) ?: 1500 * 2));
	EXPECT_LT(0, flow_stats(&self->flow).bytes_out_moved);
	EXPECT_BYTES(300000, 1, 0);
}

TEST_F(out, does_not_change_where_it_went_on_to)
{
	int ends[2], other[2], size = 4 * MIB;
	uint8_t *copy = malloc(SIZE);

	ASSERT_NE(NULL, copy);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	ASSERT_EQ(0, pipe2(other, O_CLOEXEC));
	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	EXPECT_EQ(SIZE, MOVED(SIZE));
	/* In a socket, and in another pipe, and no more in the first. */
	ASSERT_EQ(SIZE, sys(tee(self->pipe[0], other[1], SIZE, 0)));
	ASSERT_EQ(0, splice_all(self->pipe[0], ends[0], SIZE));
	memset(self->buf, 0xee, MIB);
	for (int i = 0; i < 60; i++) {
		ASSERT_EQ(70000, sys(write(self->w, self->buf, 70000)));
		ASSERT_EQ(70000, read_full(self->r, self->buf, 70000));
	}
	ASSERT_EQ(SIZE, read_full(ends[1], copy, SIZE));
	EXPECT_TRUE(pattern_is(copy, SIZE, 1, 0));
	ASSERT_EQ(SIZE, read_full(other[0], copy, SIZE));
	EXPECT_TRUE(pattern_is(copy, SIZE, 1, 0));
	free(copy);
}

TEST_F(out, cannot_be_appended_to_by_the_pipe)
{
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(5000, sys(write(self->w, self->buf, 5000)));
		ASSERT_EQ(0, splice_all(self->r, self->pipe[1], 4096 + 100));
		ASSERT_EQ(10, sys(write(self->pipe[1], "0123456789", 10)));
		/* What the link has behind it is still there. */
		ASSERT_EQ(5000 - 4196, read_full(self->r, self->buf + MIB, 5000 - 4196));
		EXPECT_TRUE(pattern_is(self->buf + MIB, 5000 - 4196, 1, 4196));
		EXPECT_BYTES(4196, 1, 0);
		EXPECT_READ(self->pipe[0], "0123456789");
	}
}

TEST_F(out, outlives_its_link)
{
	/* As many pages as a block has, and one. */
	for (int size = SIZE; size; size = size == SIZE ? PAGE : 0) {
		ASSERT_EQ(size, sys(write(self->w, self->buf, size)));
		EXPECT_EQ(size, MOVED(size));
		close(self->w);
		close(self->r);
		ASSERT_EQ(0, flow_del_workflow(&self->flow));
		/* Whatever had memory to give back has done so. */
		ASSERT_EQ(0, flow_new_workflow(&self->flow));
		EXPECT_BYTES(size, 1, 0);
		ASSERT_EQ(0, flow_link(&self->flow));
		self->w = flow_writer(&self->flow, 0);
		self->r = flow_reader(&self->flow, 0);
	}
}

TEST_F(out, pages_of_one_block_in_two_pipes)
{
	uint8_t *page = malloc(PAGE);
	int other[2];

	ASSERT_NE(NULL, page);
	ASSERT_EQ(0, pipe2(other, O_CLOEXEC));
	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	ASSERT_EQ(PAGE, sys(splice(self->r, NULL, other[1], NULL, PAGE, 0)));
	EXPECT_EQ(SIZE - PAGE, MOVED(SIZE - PAGE));
	EXPECT_BYTES(SIZE - PAGE, 1, PAGE);
	memset(self->buf, 0xee, MIB);
	for (int i = 0; i < 60; i++) {
		ASSERT_EQ(70000, sys(write(self->w, self->buf, 70000)));
		ASSERT_EQ(70000, read_full(self->r, self->buf, 70000));
	}
	ASSERT_EQ(PAGE, read_full(other[0], page, PAGE));
	EXPECT_TRUE(pattern_is(page, PAGE, 1, 0));
	free(page);
}

TEST_F(out, the_empty_channel_takes_its_capacity)
{
	int w = flow_writer(&self->flow, O_NONBLOCK), r = flow_reader(&self->flow, O_NONBLOCK);
	long done, n;

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(PAGE * (i + 1), sys(write(w, self->buf, PAGE * (i + 1))));
		EXPECT_LT(0, MOVED(PAGE * (i + 1)));
		for (done = 0; done < (long)variant->capacity; done += n) {
			n = sys(write(w, self->buf, MIB < variant->capacity - done ? MIB :
								variant->capacity - done));
			ASSERT_LT(0, n);
		}
		EXPECT_EQ(-EAGAIN, sys(write(w, "", 1)));
		ASSERT_EQ((long)variant->capacity,
			  read_full(r, self->buf, variant->capacity));
		pattern_fill(self->buf, MIB, 1, 0);
		EXPECT_BYTES(PAGE * (i + 1), 1, 0);
	}
	close(w);
	close(r);
}

TEST_F(out, no_more_is_lent_than_the_capacity)
{
	uint64_t lent = 0, now;
	int pipes[200][2], n;
	long part;

	/* As often as pages are moved, into pipes that nobody reads. */
	for (n = 0; n < 200; n++) {
		ASSERT_EQ(0, pipe2(pipes[n], O_CLOEXEC));
		ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
		for (part = 0; part < SIZE; part += PAGE)
			ASSERT_EQ(PAGE, sys(splice(self->r, NULL, pipes[n][1], NULL, PAGE, 0)));
		now = flow_stats(&self->flow).bytes_out_moved;
		if (now == lent)
			break;
		lent = now;
	}
	EXPECT_LT(n, 200);
	EXPECT_LE(lent, variant->capacity);
	EXPECT_LE(variant->capacity - SIZE, lent);
	/* That is beside what the capacity bounds, and told. */
	EXPECT_LE(lent, flow_stats(&self->flow).pool_bytes);
	EXPECT_GE(2 * variant->capacity, flow_stats(&self->flow).pool_bytes);
	for (int i = 0; i <= n && i < 200; i++) {
		ASSERT_EQ(SIZE, read_full(pipes[i][0], self->buf + MIB, SIZE));
		EXPECT_TRUE(pattern_is(self->buf + MIB, SIZE, 1, 0));
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	/* What came back is lent again. */
	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	ASSERT_EQ(SIZE, read_full(self->r, self->buf + MIB, SIZE));
	for (int i = 0; i < 40; i++) {
		ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
		now = MOVED(SIZE);
		EXPECT_BYTES(SIZE, 1, 0);
	}
	EXPECT_EQ(SIZE, now);
	EXPECT_EQ(PAGE, pool_at_rest(&self->flow));
}

/* Who wrote them into a pipe goes on paying for them, and must not pay for any number. */
TEST_F(out, no_more_is_given_on_than_the_capacity)
{
	uint64_t given = 0, now;
	int pipes[200][2], in[2], n;

	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	for (n = 0; n < 200; n++) {
		ASSERT_EQ(0, pipe2(pipes[n], O_CLOEXEC));
		ASSERT_EQ(SIZE, sys(write(in[1], self->buf, SIZE)));
		ASSERT_EQ(0, splice_all(in[0], self->w, SIZE));
		ASSERT_EQ(0, splice_all(self->r, pipes[n][1], SIZE));
		now = flow_stats(&self->flow).bytes_out_moved;
		if (now == given)
			break;
		given = now;
	}
	EXPECT_LT(n, 200);
	EXPECT_EQ(variant->capacity, given);
	EXPECT_EQ((n + 1) * SIZE, flow_stats(&self->flow).bytes_in_moved);
	for (int i = 0; i <= n && i < 200; i++) {
		ASSERT_EQ(SIZE, read_full(pipes[i][0], self->buf + MIB, SIZE));
		EXPECT_TRUE(pattern_is(self->buf + MIB, SIZE, 1, 0));
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	/* What came back is no longer counted. */
	for (int i = 0; i < 40; i++) {
		ASSERT_EQ(SIZE, sys(write(in[1], self->buf, SIZE)));
		ASSERT_EQ(0, splice_all(in[0], self->w, SIZE));
		now = MOVED(SIZE);
		EXPECT_BYTES(SIZE, 1, 0);
	}
	EXPECT_EQ(SIZE, now);
	EXPECT_EQ(PAGE, pool_at_rest(&self->flow));
	close(in[0]);
	close(in[1]);
}

/* What the flow's cgroup pays for: pages, without what CPUs have charged ahead. */
static long long charged(struct flow *flow)
{
	return cgroup_read(flow->name, "memory.stat", "kernel");
}

/* Waits for that to fall to @bytes; what it is then. */
static long long charged_at_rest(struct flow *flow, long long bytes)
{
	for (int i = 0; i < DEADLINE * 10 && charged(flow) > bytes; i++)
		usleep(100000);
	return charged(flow);
}

/* What CPUs count is added up every two seconds, or later. Waits for it to rise to @bytes. */
static long long charged_by_now(struct flow *flow, long long bytes)
{
	for (int i = 0; i < DEADLINE * 10 && charged(flow) < bytes; i++)
		usleep(100000);
	return charged(flow);
}

TEST_F(out, memory_comes_back_with_the_pipe)
{
	long long empty;

	/* What CPUs count is added up every two seconds. */
	sleep(3);
	empty = charged(&self->flow);
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
		ASSERT_EQ(0, splice_all(self->r, self->pipe[1], SIZE));
	}
	close(self->pipe[0]);
	close(self->pipe[1]);
	self->pipe[0] = -1;
	self->pipe[1] = -1;
	EXPECT_EQ(PAGE, pool_at_rest(&self->flow));
	EXPECT_GE(empty + PAGE, charged_at_rest(&self->flow, empty + PAGE));
}

TEST_F(out, memory_that_is_in_a_pipe_is_still_charged)
{
	long long empty = charged(&self->flow);

	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	EXPECT_EQ(SIZE, MOVED(SIZE));
	/* However long nobody does anything, and whether there is a link or not. */
	for (int i = 0; i < 3; i++) {
		EXPECT_LE(SIZE + PAGE, flow_stats(&self->flow).pool_bytes);
		sleep(1);
	}
	EXPECT_LE(empty + SIZE / 2, charged_by_now(&self->flow, empty + SIZE / 2));
	close(self->w);
	close(self->r);
	self->w = -1;
	self->r = -1;
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_LE(SIZE, charged_by_now(&self->flow, SIZE));
	EXPECT_BYTES(SIZE, 1, 0);
	EXPECT_GE(PAGE, charged_at_rest(&self->flow, PAGE));
}

TEST(what_is_in_the_reserved_page_is_copied)
{
	struct flow_options options = { .capacity = PAGE };
	int w, r, pipe[2];
	struct flow flow;
	uint8_t page[PAGE];

	FLOW_SETUP(&flow, &options);
	w = flow_writer(&flow, 0);
	r = flow_reader(&flow, 0);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	pattern_fill(page, PAGE, 1, 0);
	ASSERT_EQ(PAGE, sys(write(w, page, PAGE)));
	ASSERT_EQ(PAGE, sys(splice(r, NULL, pipe[1], NULL, PAGE, 0)));
	EXPECT_EQ(0, flow_stats(&flow).bytes_out_moved);
	EXPECT_EQ(PAGE, flow_stats(&flow).bytes_out_copied);
	ASSERT_EQ(5, sys(write(w, "other", 5)));
	ASSERT_EQ(PAGE, read_full(pipe[0], page, PAGE));
	EXPECT_TRUE(pattern_is(page, PAGE, 1, 0));
	close(pipe[0]);
	close(pipe[1]);
	close(w);
	close(r);
	FLOW_TEARDOWN(&flow);
}

TEST_F(out, what_is_in_a_window_is_copied)
{
	int w = flow_writer(&self->flow, O_RDWR);
	uint8_t *window;
	long at;

	window = window_map(w, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, window);
	for (int i = 0; i < 3; i++) {
		at = window_alloc(w, SIZE);
		ASSERT_LE(0, at);
		pattern_fill(window + at, SIZE, 1, i * SIZE);
		ASSERT_EQ(0, window_send(w, at, SIZE));
		EXPECT_EQ(0, MOVED(SIZE));
	}
	/* Its pages have new contents by now. */
	EXPECT_BYTES(3 * SIZE, 1, 0);
	munmap(window, window_info(w).size);
	close(w);
}

/* --------------------------------------------------------------------- waiting */

TEST_F(out, waiting_for_bytes_holds_no_pipe)
{
	pid_t pid = child();

	if (!pid) {
		close(self->w);
		_exit(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0) == 3 ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	/* Whoever uses the pipe meanwhile is not held up. */
	EXPECT_WRITE(self->pipe[1], "xyz");
	EXPECT_READ(self->pipe[0], "xyz");
	EXPECT_EQ(2 * (int)MIB, sys(fcntl(self->pipe[1], F_SETPIPE_SZ, (int)(2 * MIB))));
	EXPECT_EQ(0, unread(self->pipe[0]));
	EXPECT_TRUE(is_running(pid));
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(self->pipe[0], "abc");
}

TEST_F(out, whoever_waits_for_bytes_can_be_killed)
{
	pid_t pid = child();

	if (!pid)
		_exit(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0));
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	child_kill(pid, SIGTERM);
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(3, unread(self->r));
}

TEST_F(out, a_signal_gives_EINTR)
{
	pid_t pid = child();

	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(sys(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0)) == -EINTR ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(3, unread(self->r));
}

/* Fills a pipe of one page that has room for nothing more. */
static bool filled(FIXTURE_DATA(out) *self)
{
	return fcntl(self->pipe[1], F_SETPIPE_SZ, PAGE) == PAGE &&
	       write(self->pipe[1], self->buf, PAGE) == PAGE;
}

/* Waits until a process that waited for bytes waits for the pipe, of which it has seen some. */
static bool waits_for_pipe(FIXTURE_DATA(out) *self, pid_t pid)
{
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		if (unread(self->r) != 3)
			return false;
	}
	return blocks_in(pid, SYS_splice);
}

TEST_F(out, a_pipe_that_is_full)
{
	pid_t pid;

	ASSERT_TRUE(filled(self));
	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	EXPECT_EQ(-EAGAIN, sys(splice(self->r, NULL, self->pipe[1], NULL, SIZE, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(SIZE, unread(self->r));
	pid = child();
	if (!pid)
		_exit(splice_all(self->r, self->pipe[1], SIZE) ? 1 : 0);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	EXPECT_BYTES(PAGE, 1, 0);
	EXPECT_BYTES(SIZE, 1, 0);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(out, a_pipe_that_is_filled_while_it_waits)
{
	pid_t pid = child();

	if (!pid)
		_exit(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0) == 3 ? 0 : 1);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	ASSERT_TRUE(filled(self));
	EXPECT_WRITE(self->w, "abc");
	ASSERT_TRUE(waits_for_pipe(self, pid));
	EXPECT_BYTES(PAGE, 1, 0);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(self->pipe[0], "abc");
}

TEST_F(out, a_signal_while_it_waits_for_a_pipe)
{
	pid_t pid = child();

	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(sys(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0)) == -EINTR ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	ASSERT_TRUE(filled(self));
	EXPECT_WRITE(self->w, "abc");
	ASSERT_TRUE(waits_for_pipe(self, pid));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(3, unread(self->r));
}

TEST_F(out, a_pipe_that_nobody_reads_any_more)
{
	pid_t pid = child();

	if (!pid) {
		close(self->pipe[0]);
		interrupt_by(SIGPIPE, 0);
		_exit(sys(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0)) == -EPIPE ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	close(self->pipe[0]);
	self->pipe[0] = -1;
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(3, unread(self->r));
}

/* Somebody has the pipe when there are bytes: they are let go of, and had once it is free. */
TEST_F(out, a_pipe_that_somebody_stands_still_in)
{
	pid_t pid = child(), stands;

	if (!pid)
		_exit(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0) == 3 ? 0 : 1);
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	EXPECT_WRITE(self->pipe[1], "x");
	stands = stand_still(self->pipe[0], false, self->w);
	ASSERT_TRUE(blocks_in(stands, SYS_read));
	EXPECT_WRITE(self->w, "abc");
	ASSERT_TRUE(waits_for_pipe(self, pid));
	child_kill(stands, SIGKILL);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(self->pipe[0], "xabc");
}

TEST_F(out, a_pipe_that_nobody_reads)
{
	ASSERT_EQ(SIZE, sys(write(self->w, self->buf, SIZE)));
	close(self->pipe[0]);
	self->pipe[0] = -1;
	EXPECT_EQ(-EPIPE, sys(splice(self->r, NULL, self->pipe[1], NULL, SIZE, 0)));
	EXPECT_EQ(SIZE, unread(self->r));
}

/* ------------------------------------------------------------------ many at work */

/* A process that has the writing end from now on, and writes @size bytes. */
static pid_t writes(FIXTURE_DATA(out) *self, size_t size, size_t chunk)
{
	pid_t pid = child();

	if (!pid) {
		close(self->r);
		_exit(pattern_write(self->w, size, chunk, 1, 0) ? 1 : 0);
	}
	close(self->w);
	self->w = -1;
	return pid;
}

/* One that splices all that comes into the pipe, whose writing end it has from now on. */
static pid_t splices(FIXTURE_DATA(out) *self, size_t chunk)
{
	pid_t pid = child();
	long n;

	if (!pid) {
		close(self->pipe[0]);
		do {
			n = splice(self->r, NULL, self->pipe[1], NULL, chunk, 0);
		} while (n > 0);
		_exit(n ? 1 : 0);
	}
	close(self->pipe[1]);
	self->pipe[1] = -1;
	return pid;
}

TEST_F(out, two_that_read_lose_nothing)
{
	size_t size = 3 * MIB, sum = 0;
	pid_t writer = writes(self, size, 30000), splicer = splices(self, 50000);
	long n;

	/* By turns from the link and from what the other one spliced. */
	for (bool link = true, pipe = true; link || pipe;) {
		n = link ? sys(read(self->r, self->buf, 10000)) : 0;
		ASSERT_LE(0, n);
		link = n;
		sum += n;
		n = link && !unread(self->pipe[0]) ? 0 : sys(read(self->pipe[0], self->buf, 70000));
		ASSERT_LE(0, n);
		pipe = n || link;
		sum += n;
	}
	EXPECT_EQ(size, sum);
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(0, child_end(splicer));
	EXPECT_EQ(size, flow_stats(&self->flow).bytes_out);
}

TEST_F(out, a_long_stream)
{
	size_t size = 6 * MIB;
	pid_t writer = writes(self, size, 100000), splicer = splices(self, MIB);
	struct heard heard;

	heard = pattern_read(self->pipe[0], 30000, 1);
	EXPECT_EQ(size, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, heard.end);
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(0, child_end(splicer));
	EXPECT_LT(0, flow_stats(&self->flow).bytes_out_moved);
}

TEST_HARNESS_MAIN
