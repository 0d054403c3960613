// SPDX-License-Identifier: GPL-2.0
/*
 * The capacity of a link that is in use: what it holds stays, what waits goes on, and from then on
 * it takes neither more nor less than the new one.
 */
#include "harness.h"
#include "hostile.h"
#include "live.h"
#include "splice.h"
#include "window.h"

/* It is refused, with a text, and the capacity is what it was. */
#define EXPECT_REFUSED(error, call)						\
do {										\
	uint64_t refused_before = port_info(self->w).capacity;			\
	char text[256] = "";							\
										\
	EXPECT_EQ(-(error), call);						\
	EXPECT_NE(0, (int)strlen(text));					\
	EXPECT_EQ(refused_before, port_info(self->w).capacity);			\
} while (0)

FIXTURE(resize)
{
	struct flow flow;
	int w, r;
	uint8_t *buf;
};

FIXTURE_VARIANT(resize)
{
	size_t from, to;
};

/* Blocks of a page and of more, rings of several sizes, and both ways between them. */
FIXTURE_VARIANT_ADD(resize, page_to_usual) { PAGE, MIB };
FIXTURE_VARIANT_ADD(resize, usual_to_page) { MIB, PAGE };
FIXTURE_VARIANT_ADD(resize, odd_to_usual) { 7 * PAGE, MIB };
FIXTURE_VARIANT_ADD(resize, usual_to_odd) { MIB, 7 * PAGE };
FIXTURE_VARIANT_ADD(resize, usual_to_odd_large) { MIB, 5 * MIB + PAGE };
FIXTURE_VARIANT_ADD(resize, large_to_usual) { 8 * MIB, MIB };
FIXTURE_VARIANT_ADD(resize, a_little_less) { MIB, MIB - PAGE };
FIXTURE_VARIANT_ADD(resize, a_little_more) { MIB, MIB + PAGE };

FIXTURE_SETUP(resize)
{
	const struct flow_options options = { .capacity = variant->from };

	FLOW_SETUP(&self->flow, &options);
	self->w = flow_writer(&self->flow, O_NONBLOCK | O_RDWR);
	self->r = flow_reader(&self->flow, 0);
	ASSERT_LE(0, self->w);
	ASSERT_LE(0, self->r);
	self->buf = malloc(9 * MIB);
	ASSERT_NE(NULL, self->buf);
	pattern_fill(self->buf, 9 * MIB, 1, 0);
}

FIXTURE_TEARDOWN(resize)
{
	close(self->w);
	close(self->r);
	free(self->buf);
	FLOW_TEARDOWN(&self->flow);
}

/* Empty, it takes just its capacity, at once. */
#define EXPECT_TAKES(capacity)							\
do {										\
	size_t takes = (capacity);						\
										\
	EXPECT_EQ((long)takes, sys(write(self->w, self->buf, takes + MIB / 2)));	\
	EXPECT_EQ(-EAGAIN, sys(write(self->w, self->buf, 1)));			\
	EXPECT_EQ((long)takes, read_full(self->r, self->buf, takes));		\
	EXPECT_TRUE(pattern_is(self->buf, takes, 1, 0));			\
} while (0)

TEST_F(resize, of_an_empty_link)
{
	ASSERT_EQ(0, resize(&self->flow, variant->to));
	EXPECT_EQ(variant->to, port_info(self->w).capacity);
	EXPECT_EQ(variant->to, port_info(self->r).capacity);
	EXPECT_TAKES(variant->to);
	EXPECT_TAKES(variant->to);
}

/* What was in it before was read: its blocks are of the other size. */
TEST_F(resize, of_one_that_was_used)
{
	EXPECT_TAKES(variant->from);
	ASSERT_EQ(0, resize(&self->flow, variant->to));
	EXPECT_TAKES(variant->to);
	ASSERT_EQ(0, resize(&self->flow, variant->from));
	EXPECT_TAKES(variant->from);
	/* No more memory than it may have. */
	ASSERT_EQ(0, resize(&self->flow, variant->to));
	EXPECT_GE(variant->to, flow_stats(&self->flow).pool_bytes);
}

/* What came by reference, and of what pages are in a pipe, is counted as all else is. */
TEST_F(resize, of_one_with_pages_that_were_moved)
{
	size_t from = variant->from, to = variant->to, given;
	uint8_t *back = malloc(from);
	int in[2], out[2];

	ASSERT_NE(NULL, back);
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	ASSERT_LT(0, fcntl(in[1], F_SETPIPE_SZ, (int)MIB));
	ASSERT_LT(0, fcntl(out[1], F_SETPIPE_SZ, (int)MIB));
	for (int round = 0; round < 2; round++) {
		/* Half of it by splice(), */
		given = from > 2 * MIB ? MIB : from / 2 / PAGE * PAGE;
		ASSERT_EQ((long)given, given ? sys(write(in[1], self->buf, given)) : 0);
		ASSERT_EQ(0, splice_all(in[0], self->w, given));
		ASSERT_EQ((long)(from - given),
			  sys(write(self->w, self->buf + given, from - given)));
		ASSERT_EQ(0, resize(&self->flow, to));
		/* as much out, */
		ASSERT_EQ(0, splice_all(self->r, out[1], given));
		ASSERT_EQ((long)(from - given), read_full(self->r, back + given, from - given));
		EXPECT_TAKES(to);
		/* and that is what it was. */
		ASSERT_EQ((long)given, read_full(out[0], back, given));
		EXPECT_TRUE(pattern_is(back, from, 1, 0));
		EXPECT_TAKES(to);
		ASSERT_EQ(0, resize(&self->flow, from));
		EXPECT_TAKES(from);
	}
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	free(back);
}

/* What was too much is read when the first pages come by reference. */
TEST_F(resize, before_pages_are_moved_in)
{
	int in[2];

	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ((long)variant->from, sys(write(self->w, self->buf, variant->from)));
	ASSERT_EQ(0, resize(&self->flow, variant->to));
	ASSERT_EQ((long)variant->from, read_full(self->r, self->buf, variant->from));
	ASSERT_EQ(PAGE, sys(write(in[1], self->buf, PAGE)));
	ASSERT_EQ(0, splice_all(in[0], self->w, PAGE));
	ASSERT_EQ(PAGE, read_full(self->r, self->buf, PAGE));
	EXPECT_TRUE(pattern_is(self->buf, PAGE, 1, 0));
	EXPECT_TAKES(variant->to);
	close(in[0]);
	close(in[1]);
}

TEST_F(resize, of_a_full_one)
{
	size_t from = variant->from, to = variant->to, more = to > from ? to - from : 0;
	struct faasctl_stats stats;

	ASSERT_EQ((long)from, sys(write(self->w, self->buf, from)));
	ASSERT_EQ(0, resize(&self->flow, to));
	EXPECT_EQ((int)from, unread(self->r));
	EXPECT_EQ(more ? (long)more : -EAGAIN, sys(write(self->w, self->buf + from, more + MIB / 2)));
	EXPECT_EQ((long)(from + more), read_full(self->r, self->buf, from + more));
	EXPECT_TRUE(pattern_is(self->buf, from + more, 1, 0));
	EXPECT_TAKES(to);
	stats = flow_stats(&self->flow);
	EXPECT_EQ(stats.bytes_in, stats.bytes_out);
	EXPECT_EQ(from + more + to, stats.bytes_in);
	EXPECT_EQ(0, stats.bytes_dropped);
}

/* In the middle of a block, and of the ring. */
TEST_F(resize, of_one_that_is_read_in_part)
{
	size_t from = variant->from, at = from / 2 + 17, done = from, total = from + 256 * KIB;
	static uint8_t out[4099];
	long n;

	ASSERT_EQ((long)from, sys(write(self->w, self->buf, from)));
	ASSERT_EQ((long)at, read_full(self->r, self->buf, at));
	ASSERT_EQ(0, resize(&self->flow, variant->to));
	while (at < total) {
		n = sys(write(self->w, self->buf + done % 251, total - done < 1021 ? total - done : 1021));
		if (n >= 0)
			done += n;
		else
			ASSERT_EQ(-EAGAIN, n);
		n = sys(read(self->r, out, sizeof(out)));
		ASSERT_LT(0, n);
		ASSERT_TRUE(pattern_is(out, n, 1, at));
		at += n;
	}
	EXPECT_EQ(total, done);
	EXPECT_EQ(0, unread(self->r));
	EXPECT_TAKES(variant->to);
}

/* What is out of the last block counts whole: with a few bytes in it, there is no room in it. */
TEST_F(resize, to_less_holds_writers_until_that_is_read)
{
	struct pollfd fd = { .fd = self->w, .events = POLLOUT };
	size_t from = variant->from, to = variant->to;
	long n;

	if (to > from)
		to = from;
	ASSERT_EQ(10, sys(write(self->w, self->buf, 10)));
	ASSERT_EQ(0, resize(&self->flow, to));
	n = sys(write(self->w, self->buf + 10, MIB));
	if (n == -EAGAIN)
		n = 0;
	EXPECT_LE(0, n);
	EXPECT_GE((long)to, 10 + n);
	EXPECT_EQ(10 + n, unread(self->r));
	EXPECT_EQ(0, poll(&fd, 1, 0));
	ASSERT_EQ(10 + n, read_full(self->r, self->buf, 10 + n));
	EXPECT_EQ(1, poll(&fd, 1, 0));
	EXPECT_TRUE(pattern_is(self->buf, 10 + n, 1, 0));
	EXPECT_TAKES(to);
}

TEST_F(resize, again_to_the_same_changes_nothing)
{
	ASSERT_EQ(0, resize(&self->flow, variant->from));
	EXPECT_TAKES(variant->from);
}

TEST_F(resize, of_a_link_whose_memory_is_empty_gives_it_back)
{
	EXPECT_TAKES(variant->from);
	ASSERT_EQ(0, resize(&self->flow, PAGE));
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
}

/* --------------------------------------------------------------- who waits */

FIXTURE(waiting)
{
	struct flow flow;
	int w, r;
	uint8_t *buf;
};

FIXTURE_SETUP(waiting)
{
	FLOW_SETUP(&self->flow, NULL);
	self->w = flow_writer(&self->flow, O_RDWR);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, self->w);
	ASSERT_LE(0, self->r);
	self->buf = malloc(4 * MIB);
	ASSERT_NE(NULL, self->buf);
	pattern_fill(self->buf, 4 * MIB, 1, 0);
	ASSERT_EQ(MIB, sys(write(self->w, self->buf, MIB)));
}

FIXTURE_TEARDOWN(waiting)
{
	close(self->w);
	close(self->r);
	free(self->buf);
	FLOW_TEARDOWN(&self->flow);
}

TEST_F(waiting, writer_goes_on_with_more)
{
	pid_t pid = child();

	if (!pid)
		_exit(sys(write(self->w, self->buf + MIB, MIB)) != MIB);
	ASSERT_TRUE(blocks_in(pid, SYS_write));
	ASSERT_EQ(0, resize(&self->flow, 2 * MIB));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(2 * MIB, read_full(self->r, self->buf, 2 * MIB));
	EXPECT_TRUE(pattern_is(self->buf, 2 * MIB, 1, 0));
}

TEST_F(waiting, poller_is_told_of_more)
{
	struct pollfd fd = { .fd = self->w, .events = POLLOUT };
	pid_t pid;

	ASSERT_EQ(0, poll(&fd, 1, 0));
	pid = child();
	if (!pid)
		_exit(poll(&fd, 1, -1) != 1 || fd.revents != POLLOUT);
	ASSERT_TRUE(blocks_in_one_of(pid, SYS_poll, SYS_ppoll));
	ASSERT_EQ(0, resize(&self->flow, 2 * MIB));
	EXPECT_EQ(0, child_end(pid));
}

/* Who waits for pages that there can be no more. */
TEST_F(waiting, allocation_that_is_too_large_now_is_refused)
{
	pid_t pid = child();

	if (!pid)
		_exit(-window_alloc(self->w, MIB / 2));
	ASSERT_TRUE(blocks_in(pid, SYS_ioctl));
	ASSERT_EQ(0, resize(&self->flow, 64 * KIB));
	EXPECT_EQ(EMSGSIZE, child_end(pid));
}

TEST_F(waiting, window_has_the_new_size)
{
	struct faasin_window_info before = window_info(self->w), after;
	uint8_t *out;

	ASSERT_EQ(0, resize(&self->flow, 4 * MIB));
	after = window_info(self->w);
	EXPECT_EQ(MIB - PAGE, before.size);
	EXPECT_EQ(4 * MIB - PAGE, after.size);
	out = window_map(self->w, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)out);
	EXPECT_EQ(0, window_alloc(self->w, MIB));
	EXPECT_EQ(0, window_poke(out + MIB - 1, 1));
	munmap(out, after.size);
}

/* A window that is opened while the size changes is all mapped, or not at all. */
TEST_F(waiting, window_of_the_library_has_the_size_that_there_is)
{
	struct faasctl_window *win;
	struct faasctl_error err;
	int i, ret, fd;
	pid_t pid;
	void *at;

	fd = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	pid = child();
	if (!pid)
		for (;;)
			for (i = 1; i <= 4; i++)
				resize(&self->flow, i * MIB);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, faasctl_window_open(&win, fd, &err));
		ret = faasctl_window_alloc(win, faasctl_window_size(win), &at, &err);
		if (!ret) {
			((volatile uint8_t *)at)[faasctl_window_size(win) - 1] = 1;
			EXPECT_EQ(0, window_return(fd, 0));
		}
		faasctl_window_close(win);
		/* Only what is closed can change. */
		close(fd);
		fd = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd);
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	close(fd);
}

/* ----------------------------------------------------------------- refusals */

TEST_F(waiting, is_refused_what_no_link_can_have)
{
	EXPECT_REFUSED(EINVAL, resize_of(&self->flow, "a", "b", 0, PAGE + 1, text));
	EXPECT_REFUSED(ERANGE, resize_of(&self->flow, "a", "b", 0, 0, text));
	EXPECT_REFUSED(ERANGE, resize_of(&self->flow, "a", "b", 0, FAASIN_CAPACITY_MAX + PAGE,
					 text));
	EXPECT_REFUSED(ENOENT, resize_of(&self->flow, "b", NULL, 0, MIB, text));
	EXPECT_REFUSED(ENOENT, resize_of(&self->flow, "a", "a", 0, MIB, text));
	EXPECT_REFUSED(ENOENT, resize_of(&self->flow, "no-such", NULL, 0, MIB, text));
	EXPECT_REFUSED(ESTALE, resize_of(&self->flow, "a", "b", 1, 2 * MIB, text));
}

TEST_F(waiting, is_refused_while_somebody_has_a_window)
{
	uint64_t size = window_info(self->w).size;
	uint8_t *out = window_map(self->w, PROT_READ | PROT_WRITE);

	ASSERT_NE(MAP_FAILED, (void *)out);
	EXPECT_REFUSED(EBUSY, resize_of(&self->flow, "a", "b", 0, 2 * MIB, text));
	EXPECT_REFUSED(EBUSY, resize_of(&self->flow, "a", "b", 0, PAGE, text));
	munmap(out, size);
	/* It may map it again. */
	EXPECT_REFUSED(EBUSY, resize_of(&self->flow, "a", "b", 0, PAGE, text));
	close(self->w);
	self->w = flow_writer(&self->flow, O_RDWR);
	EXPECT_EQ(0, resize(&self->flow, PAGE));
}

TEST_F(waiting, is_refused_while_somebody_has_an_extent)
{
	uint64_t at;

	ASSERT_EQ(MIB, read_full(self->r, self->buf, MIB));
	at = window_alloc(self->w, PAGE);
	ASSERT_EQ(0, (long)at);
	EXPECT_REFUSED(EBUSY, resize_of(&self->flow, "a", "b", 0, 2 * MIB, text));
	/* The ring has it. */
	ASSERT_EQ(0, window_send(self->w, at, PAGE));
	EXPECT_REFUSED(EBUSY, resize_of(&self->flow, "a", "b", 0, 2 * MIB, text));
	ASSERT_EQ(PAGE, read_full(self->r, self->buf, PAGE));
	EXPECT_EQ(0, resize(&self->flow, 2 * MIB));
}

TEST_F(waiting, is_refused_while_something_landed)
{
	struct faasin_range range;

	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_REFUSED(EBUSY, resize_of(&self->flow, "a", "b", 0, 2 * MIB, text));
	close(self->r);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_EQ(0, resize(&self->flow, 2 * MIB));
}

FIXTURE(still)
{
	struct flow flow;
	int w, r;
	pid_t pid;
	bool can;
};

FIXTURE_VARIANT(still)
{
	bool writes;
};

FIXTURE_VARIANT_ADD(still, writer) { true };
FIXTURE_VARIANT_ADD(still, reader) { false };

FIXTURE_SETUP(still)
{
	char *page = page_of_no_return();

	self->can = page;
	if (!page)
		SKIP(return, "userfaultfd is not to be had: %s", strerror(errno));
	FLOW_SETUP(&self->flow, NULL);
	self->w = flow_writer(&self->flow, 0);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, self->w);
	ASSERT_LE(0, self->r);
	ASSERT_EQ(0, pattern_write(self->w, 3 * PAGE, PAGE, 1, 0));
	self->pid = stand_still(variant->writes ? self->w : self->r, variant->writes, -1);
	ASSERT_TRUE(blocks_in(self->pid, variant->writes ? SYS_write : SYS_read));
}

FIXTURE_TEARDOWN(still)
{
	if (!self->can)
		return;
	child_kill(self->pid, SIGKILL);
	close(self->w);
	close(self->r);
	FLOW_TEARDOWN(&self->flow);
}

/* It is waited for, but not for long; and control goes on meanwhile. */
TEST_F(still, holds_a_change_up_no_longer_than_a_while)
{
	pid_t pid = child();

	if (!pid)
		_exit(-resize(&self->flow, 2 * MIB));
	EXPECT_EQ(0, flow_new_stage(&self->flow, "c"));
	EXPECT_EQ(EBUSY, child_end(pid));
	EXPECT_EQ(MIB, port_info(self->w).capacity);
	/* It may be that it wrote: then this kills the stream, and changes nothing here. */
	child_kill(self->pid, SIGKILL);
	EXPECT_EQ(0, resize(&self->flow, 2 * MIB));
	EXPECT_EQ(2 * MIB, port_info(self->w).capacity);
}

/* It is for the link that was named: not for one that was deleted while it waited. */
TEST_F(still, ends_a_change_of_a_link_that_is_deleted)
{
	char *text = shared(256);
	pid_t pid = child();

	if (!pid)
		_exit(-resize_of(&self->flow, "a", "b", 0, 2 * MIB, text));
	ASSERT_TRUE(blocks_in_one_of(pid, SYS_sendmsg, SYS_sendto));
	EXPECT_EQ(0, flow_unlink(&self->flow));
	child_kill(self->pid, SIGKILL);
	EXPECT_EQ(ENOENT, child_end(pid));
	EXPECT_NE(NULL, strstr(text, "meanwhile"));
	munmap(text, 256);
}

/* --------------------------------------------------------------- under load */

#define STREAM	(24 * MIB)

FIXTURE(load)
{
	struct flow flow;
};

FIXTURE_SETUP(load)
{
	FLOW_SETUP(&self->flow, NULL);
}

FIXTURE_TEARDOWN(load)
{
	FLOW_TEARDOWN(&self->flow);
}

static pid_t load_writer(struct flow *f, size_t chunk)
{
	pid_t pid = child();
	int fd;

	if (pid)
		return pid;
	fd = flow_writer(f, 0);
	_exit(fd < 0 || pattern_write(fd, STREAM, chunk, 1, 0));
}

static pid_t load_reader(struct flow *f, size_t chunk)
{
	pid_t pid = child();
	struct heard heard;
	int fd;

	if (pid)
		return pid;
	fd = flow_reader(f, 0);
	if (fd < 0)
		_exit(2);
	heard = pattern_read(fd, chunk, 1);
	_exit(!(heard.intact && heard.bytes == STREAM && !heard.end));
}

/* Every byte arrives once, in order, however often the capacity changes meanwhile. */
TEST_F_TIMEOUT(load, loses_and_doubles_nothing, 120)
{
	static const size_t chunks[][2] = { { 64 * KIB, 4 * KIB }, { 777, 64 * KIB } };
	static const uint64_t capacities[] = { PAGE, 3 * PAGE, 64 * KIB, MIB, 4 * MIB };
	unsigned int i, more, less, busy;
	uint64_t seed = 7, last = MIB, next;
	pid_t writer, reader;
	int ret;

	for (i = 0; i < ARRAY_SIZE(chunks); i++) {
		more = 0;
		less = 0;
		busy = 0;
		reader = load_reader(&self->flow, chunks[i][1]);
		writer = load_writer(&self->flow, chunks[i][0]);
		while (is_running(writer)) {
			next = capacities[random_next(&seed) % ARRAY_SIZE(capacities)];
			ret = resize(&self->flow, next);
			if (ret) {
				/* Somebody was not on a CPU for all that time. */
				ASSERT_EQ(-EBUSY, ret);
				busy++;
				continue;
			}
			more += next > last;
			less += next < last;
			last = next;
		}
		EXPECT_EQ(0, child_end_within(writer, 100));
		EXPECT_EQ(0, child_end_within(reader, 100));
		EXPECT_LT(0, more);
		EXPECT_LT(0, less);
		TH_LOG("%u times more, %u times less, %u times refused", more, less, busy);
	}
}

/* The one block that is left takes up all of the new capacity, and pages of it are in a pipe. */
TEST(to_one_block_of_which_pages_are_in_a_pipe)
{
	long size = 64 * KIB, part = 60 * KIB;
	uint8_t *buf = malloc(size);
	struct flow flow;
	int w, r, out[2];

	FLOW_SETUP(&flow, NULL);
	w = flow_writer(&flow, O_NONBLOCK);
	r = flow_reader(&flow, 0);
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	pattern_fill(buf, size, 1, 0);
	ASSERT_EQ(size, sys(write(w, buf, size)));
	ASSERT_EQ(0, splice_all(r, out[1], part));
	EXPECT_EQ(part, (long)flow_stats(&flow).bytes_out_moved);
	ASSERT_EQ(0, resize(&flow, size));
	ASSERT_EQ(size - part, read_full(r, buf + part, size - part));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(size, sys(write(w, buf, size)));
		EXPECT_EQ(-EAGAIN, sys(write(w, buf, 1)));
		ASSERT_EQ(size, read_full(r, buf, size));
	}
	ASSERT_EQ(part, read_full(out[0], buf, part));
	EXPECT_TRUE(pattern_is(buf, part, 1, 0));
	close(out[0]);
	close(out[1]);
	close(w);
	close(r);
	free(buf);
	FLOW_TEARDOWN(&flow);
}

TEST_HARNESS_MAIN
