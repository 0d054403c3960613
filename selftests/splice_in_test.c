// SPDX-License-Identifier: GPL-2.0
/*
 * splice() and sendfile() into a port: which pages of a pipe are moved and which are copied,
 * many at work, ends, and that it is counted.
 */
#include "common.h"

#include <sys/sendfile.h>

#include "splice_fixture.h"

/* --------------------------------------------------- what was written to a pipe */

TEST_F(in, whole_pages_are_moved)
{
	struct faasctl_stats stats;

	ASSERT_EQ(SIZE, sys(write(self->pipe[1], self->buf, SIZE)));
	EXPECT_EQ(SIZE, MOVED(SIZE));
	EXPECT_EQ(SIZE, unread(self->r));
	EXPECT_EQ(0, unread(self->pipe[0]));
	EXPECT_BYTES(SIZE, 1, 0);
	stats = flow_stats(&self->flow);
	EXPECT_EQ(SIZE, stats.bytes_in);
	EXPECT_EQ(0, stats.bytes_in_copied);
	EXPECT_EQ(SIZE, stats.bytes_out_copied);
	EXPECT_LE(1, stats.writes);
}

TEST_F(in, parts_are_copied)
{
	/* 100, and the rest of that page; then a page; then what is left behind it. */
	ASSERT_EQ(9000, sys(write(self->pipe[1], self->buf, 9000)));
	EXPECT_EQ(0, MOVED(100));
	EXPECT_EQ(PAGE, MOVED(8900));
	EXPECT_EQ(9000 - PAGE, flow_stats(&self->flow).bytes_in_copied);
	EXPECT_BYTES(9000, 1, 0);
}

TEST_F(in, a_page_is_not_moved_in_part)
{
	ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
	EXPECT_EQ(0, MOVED(PAGE - 1));
	EXPECT_EQ(1, unread(self->pipe[0]));
	EXPECT_EQ(0, MOVED(1));
	EXPECT_BYTES(PAGE, 1, 0);
}

TEST_F(in, moved_and_copied_keep_their_order)
{
	uint64_t seed = 1, sent = 0, heard = 0;
	size_t n;

	for (int i = 0; i < 200; i++) {
		n = 1 + random_next(&seed) % (3 * PAGE);
		if (random_next(&seed) % 3 == 0)
			n = PAGE * (1 + n % 4);
		pattern_fill(self->buf, n, 1, sent);
		if (random_next(&seed) % 3) {
			ASSERT_EQ((long)n, sys(write(self->pipe[1], self->buf, n)));
			ASSERT_EQ(0, splice_all(self->pipe[0], self->w, n));
		} else {
			ASSERT_EQ((long)n, sys(write(self->w, self->buf, n)));
		}
		sent += n;
		if (random_next(&seed) % 2 || i == 199) {
			n = i == 199 ? sent - heard : random_next(&seed) % (sent - heard) + 1;
			EXPECT_BYTES(n, 1, heard);
			heard += n;
		}
	}
	EXPECT_LT(0, flow_stats(&self->flow).bytes_in_moved);
	EXPECT_LT(0, flow_stats(&self->flow).bytes_in_copied);
	EXPECT_EQ(sent, flow_stats(&self->flow).bytes_out);
}

TEST_F(in, nothing_is_appended_to_what_was_moved)
{
	for (int i = 0; i < 20; i++) {
		pattern_fill(self->buf, PAGE, 2, i * PAGE);
		ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
		EXPECT_EQ(PAGE, MOVED(PAGE));
		/* By the pipe, whose last page it was, and by the link. */
		ASSERT_EQ(10, sys(write(self->pipe[1], "0123456789", 10)));
		ASSERT_EQ(10, sys(write(self->w, "abcdefghij", 10)));
		EXPECT_BYTES(PAGE, 2, i * PAGE);
		EXPECT_READ(self->r, "abcdefghij");
		EXPECT_READ(self->pipe[0], "0123456789");
	}
}

TEST_F(in, what_the_pipe_appends_to_comes_later)
{
	/* The pipe goes on filling the page of which a part went in. */
	ASSERT_EQ(1000, sys(write(self->pipe[1], self->buf, 1000)));
	EXPECT_EQ(0, MOVED(600));
	ASSERT_EQ(1000, sys(write(self->pipe[1], self->buf + 1000, 1000)));
	EXPECT_BYTES(600, 1, 0);
	EXPECT_EQ(0, MOVED(1400));
	EXPECT_BYTES(1400, 1, 600);
}

TEST_F(in, what_is_in_two_pipes_is_copied)
{
	int other[2];
	uint8_t buf[PAGE];

	ASSERT_EQ(0, pipe2(other, O_CLOEXEC));
	ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
	ASSERT_EQ(PAGE, sys(tee(self->pipe[0], other[1], PAGE, 0)));
	EXPECT_EQ(0, MOVED(PAGE));
	ASSERT_EQ(PAGE, read_full(other[0], buf, PAGE));
	EXPECT_TRUE(pattern_is(buf, PAGE, 1, 0));
	EXPECT_BYTES(PAGE, 1, 0);
	close(other[0]);
	close(other[1]);
}

TEST_F(in, what_is_in_packets)
{
	uint8_t buf[PAGE];

	ASSERT_EQ(0, fcntl(self->pipe[1], F_SETFL, O_DIRECT));
	ASSERT_EQ(SIZE, sys(write(self->pipe[1], self->buf, SIZE)));
	ASSERT_EQ(100, sys(write(self->pipe[1], self->buf + SIZE, 100)));
	ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
	EXPECT_EQ(SIZE, MOVED(SIZE + 100));
	EXPECT_BYTES(SIZE + 100, 1, 0);
	ASSERT_EQ(PAGE, sys(read(self->pipe[0], buf, PAGE)));
	EXPECT_TRUE(pattern_is(buf, PAGE, 1, 0));
}

TEST_F(in, room_in_the_pipe_that_held_no_bytes)
{
	void *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t writer, splicer;

	ASSERT_EQ(PAGE, fcntl(self->pipe[1], F_SETPIPE_SZ, PAGE));
	/* A buffer without bytes is left behind. */
	ASSERT_EQ(-EFAULT, sys(write(self->pipe[1], nowhere, 100)));
	munmap(nowhere, PAGE);
	writer = child();
	if (!writer)
		_exit(write(self->pipe[1], self->buf, PAGE) == PAGE ? 0 : 1);
	ASSERT_TRUE(blocks_in(writer, SYS_write));
	splicer = child();
	if (!splicer)
		_exit(splice(self->pipe[0], NULL, self->w, NULL, PAGE, 0) == PAGE ? 0 : 1);
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(0, child_end(splicer));
	EXPECT_BYTES(PAGE, 1, 0);
}

/* Such a buffer between others is passed over, whether they are moved or copied. */
TEST_F(in, a_buffer_that_holds_no_bytes_among_others)
{
	void *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const long first[] = { 100, PAGE };

	for (int i = 0; i < 2; i++) {
		/* Nothing is appended to what is there by whole pages. */
		ASSERT_EQ(first[i], sys(write(self->pipe[1], self->buf, first[i])));
		ASSERT_EQ(-EFAULT, sys(write(self->pipe[1], nowhere, PAGE)));
		ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf + first[i], PAGE)));
		ASSERT_EQ(0, splice_all(self->pipe[0], self->w, first[i] + PAGE));
		EXPECT_BYTES(first[i] + PAGE, 1, 0);
	}
	munmap(nowhere, PAGE);
	EXPECT_EQ(0, unread(self->pipe[0]));
}

/* -------------------------------------------------------------------- many at work */

TEST_F(in, larger_than_the_channel)
{
	size_t size = 5 * MIB;
	struct heard heard;
	pid_t feeder, mover;

	feeder = child();
	if (!feeder) {
		close(self->pipe[0]);
		close(self->w);
		_exit(pattern_write(self->pipe[1], size, 50000, 1, 0) ? 1 : 0);
	}
	close(self->pipe[1]);
	mover = child();
	if (!mover) {
		long n;

		close(self->r);
		do {
			n = splice(self->pipe[0], NULL, self->w, NULL, 10 * MIB, 0);
		} while (n > 0);
		_exit(n ? 1 : 0);
	}
	close(self->w);
	close(self->pipe[0]);
	heard = pattern_read(self->r, 100000, 1);
	EXPECT_EQ(size, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, heard.end);
	EXPECT_EQ(0, child_end(feeder));
	EXPECT_EQ(0, child_end(mover));
	EXPECT_LT(size / 2, flow_stats(&self->flow).bytes_in_moved);
	EXPECT_EQ(size, flow_stats(&self->flow).bytes_in);
}

#define RECORD	1000
#define ROUNDS	300

/* Splices records made of one byte each. */
static int send_records(int out, uint8_t byte)
{
	uint8_t record[RECORD];
	int pipe[2];

	memset(record, byte, RECORD);
	if (pipe2(pipe, O_CLOEXEC))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		/* In several buffers, of which one was filled before. */
		for (int at = 0; at < RECORD; at += RECORD / 4)
			if (write(pipe[1], record, RECORD / 4) != RECORD / 4)
				return 1;
		if (splice(pipe[0], NULL, out, NULL, RECORD, 0) != RECORD)
			return 1;
	}
	return 0;
}

TEST_F(in, small_ones_do_not_mix)
{
	uint8_t record[RECORD];
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = child();
		if (!pids[i])
			_exit(send_records(self->w, 'a' + i));
	}
	for (int i = 0; i < 3 * ROUNDS; i++) {
		ASSERT_EQ(RECORD, read_full(self->r, record, RECORD));
		for (int at = 1; at < RECORD; at++)
			ASSERT_EQ(record[0], record[at]);
	}
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, child_end(pids[i]));
}

/* Beside writers that are always at it: @file by sendfile(), or what a pipe has (-1). */
static void busy_writers(struct __test_metadata *_metadata, FIXTURE_DATA(in) *self, int file)
{
	pid_t busy[2], splicer;
	loff_t at = 0;

	for (int i = 0; i < 2; i++) {
		busy[i] = child();
		while (!busy[i])
			if (write(self->w, self->buf, MIB) < 0)
				_exit(1);
	}
	splicer = child();
	if (!splicer) {
		for (int i = 0; i < 20; i++)
			if (file >= 0 ? sendfile(self->w, file, &at, PAGE) != PAGE :
			    write(self->pipe[1], self->buf, PAGE) != PAGE ||
			    splice_all(self->pipe[0], self->w, PAGE))
				_exit(1);
		_exit(0);
	}
	while (is_running(splicer))
		ASSERT_LT(0, sys(read(self->r, self->buf, MIB)));
	EXPECT_EQ(0, child_end(splicer));
	for (int i = 0; i < 2; i++)
		child_kill(busy[i], SIGKILL);
}

TEST_F(in, comes_to_its_turn_beside_busy_writers)
{
	busy_writers(_metadata, self, -1);
}

/* The pipe that sendfile() has of its own has a lock that nobody takes. */
TEST_F(in, sendfile_comes_to_its_turn_beside_busy_writers)
{
	int file = memfd_create("file", MFD_CLOEXEC);

	ASSERT_EQ(20 * PAGE, sys(write(file, self->buf, 20 * PAGE)));
	busy_writers(_metadata, self, file);
	close(file);
}

/* ----------------------------------------------------------------- ends of streams */

TEST_F(in, who_was_killed_before_there_was_anything_did_not_write)
{
	pid_t pid = child();

	if (!pid)
		_exit(splice(self->pipe[0], NULL, self->w, NULL, PAGE, 0));
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	child_kill(pid, SIGTERM);
	EXPECT_WRITE(self->w, "abc");
	close(self->w);
	self->w = -1;
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, 0);
}

TEST_F(in, who_is_killed_aborts_what_it_moved)
{
	pid_t pid = child();

	if (!pid) {
		if (write(self->pipe[1], self->buf, PAGE) != PAGE)
			_exit(1);
		_exit(splice_all(self->pipe[0], self->w, 2 * PAGE) ? 1 : 0);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	child_kill(pid, SIGTERM);
	close(self->w);
	self->w = -1;
	EXPECT_BYTES(PAGE, 1, 0);
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(in, after_an_early_close)
{
	EXPECT_WRITE(self->w, "abc");
	EXPECT_READ(self->r, "abc");
	close(self->r);
	self->r = -1;
	ASSERT_EQ(SIZE, sys(write(self->pipe[1], self->buf, SIZE)));
	EXPECT_EQ(-EPIPE, sys(splice(self->pipe[0], NULL, self->w, NULL, SIZE, 0)));
	EXPECT_EQ(SIZE, unread(self->pipe[0]));
	/* It is a signal, too. */
	signal(SIGPIPE, SIG_DFL);
	if (!fork()) {
		splice(self->pipe[0], NULL, self->w, NULL, SIZE, 0);
		_exit(0);
	}
	int status;

	ASSERT_LT(0, wait(&status));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST_F(in, an_early_close_while_it_waits)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "abc");
	EXPECT_READ(self->r, "abc");
	ASSERT_EQ((long)MIB, sys(write(self->pipe[1], self->buf, MIB)));
	ASSERT_EQ(0, splice_all(self->pipe[0], self->w, MIB));
	ASSERT_EQ(SIZE, sys(write(self->pipe[1], self->buf, SIZE)));
	pid = child();
	if (!pid) {
		close(self->r);
		_exit(-sys(splice(self->pipe[0], NULL, self->w, NULL, SIZE, 0)));
	}
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	close(self->r);
	self->r = -1;
	EXPECT_EQ(EPIPE, child_end(pid));
}

TEST(what_is_swallowed_leaves_the_pipe)
{
	struct flow_options options = { .early_close = FAASIN_EARLY_CLOSE_DRAIN };
	struct faasctl_stats stats;
	uint8_t *buf = malloc(SIZE);
	struct flow flow;
	int pipe[2], w, r;

	FLOW_SETUP(&flow, &options);
	w = flow_writer(&flow, 0);
	r = flow_reader(&flow, 0);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	memset(buf, 1, SIZE);
	EXPECT_WRITE(w, "abc");
	EXPECT_READ(r, "abc");
	close(r);
	ASSERT_EQ(SIZE, sys(write(pipe[1], buf, SIZE)));
	EXPECT_EQ(SIZE, sys(splice(pipe[0], NULL, w, NULL, SIZE, 0)));
	EXPECT_EQ(0, unread(pipe[0]));
	stats = flow_stats(&flow);
	EXPECT_EQ(SIZE, stats.bytes_dropped);
	EXPECT_EQ(0, stats.bytes_in_moved);
	close(w);
	free(buf);
	FLOW_TEARDOWN(&flow);
}

/* ---------------------------------------------------------------------- who pays */

TEST_F(in, who_was_charged_for_a_page_goes_on_to_be)
{
	char name[64];
	long long before, queued;
	int go = bell(), done = bell();
	pid_t pid;

	snprintf(name, sizeof(name), "%s-giver", self->flow.name);
	ASSERT_EQ(0, cgroup_make(name));
	pid = child();
	if (!pid) {
		if (cgroup_enter(name))
			_exit(1);
		ring(done);
		await(go);
		if (write(self->pipe[1], self->buf, MIB) != (long)MIB ||
		    splice_all(self->pipe[0], self->w, MIB))
			_exit(2);
		ring(done);
		await(go);
		_exit(0);
	}
	ASSERT_TRUE(await(done));
	before = cgroup_read(name, "memory.stat", "kernel");
	ring(go);
	ASSERT_TRUE(await(done));
	EXPECT_EQ(MIB, flow_stats(&self->flow).bytes_in_moved);
	/* Small change of its process's aside. */
	queued = cgroup_read(name, "memory.stat", "kernel");
	EXPECT_LE(before + (long long)MIB - SIZE, queued);
	EXPECT_BYTES(MIB, 1, 0);
	for (int i = 0; i < DEADLINE * 10 && queued > before + SIZE; i++) {
		usleep(100000);
		queued = cgroup_read(name, "memory.stat", "kernel");
	}
	EXPECT_GE(before + SIZE, queued);
	ring(go);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, cgroup_remove(name));
}

TEST_HARNESS_MAIN
