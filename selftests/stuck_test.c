// SPDX-License-Identifier: GPL-2.0
/*
 * One process stands still in the middle of its copy, for as long as it likes: what others on
 * the same side meet, and what is done without it.
 */

#include "harness.h"
#include "hostile.h"

#define QUEUED	(3 * PAGE)

enum side { WRITER, READER };

FIXTURE(stuck) {
	struct flow flow;
	int w, r;
	pid_t pid;	/* who stands still */
	bool can;
};

FIXTURE_VARIANT(stuck) {
	enum side side;
};

FIXTURE_VARIANT_ADD(stuck, writer) { WRITER };
FIXTURE_VARIANT_ADD(stuck, reader) { READER };

FIXTURE_SETUP(stuck)
{
	const long nr = variant->side == WRITER ? SYS_write : SYS_read;
	char *page = page_of_no_return();

	self->can = page;
	if (!page)
		SKIP(return, "userfaultfd is not to be had: %s", strerror(errno));
	ENDS_SETUP(self, NULL, 0, O_NONBLOCK);
	ASSERT_EQ(0, pattern_write(self->w, QUEUED, PAGE, 1, 0));
	self->pid = child();
	if (!self->pid) {
		page = page_of_no_return();
		_exit((variant->side == WRITER ? write(self->w, page, 1) :
						 read(self->r, page, 1)) < 0);
	}
	ASSERT_TRUE(blocks_in(self->pid, nr));
}

FIXTURE_TEARDOWN(stuck)
{
	if (!self->can)
		return;
	child_kill(self->pid, SIGKILL);
	ENDS_TEARDOWN(self);
}

/* The same call as its, with a byte of the caller's own. */
static long call(enum side side, int w, int r, int flags)
{
	char byte = 0;
	const struct iovec part = { &byte, 1 };

	return side == WRITER ? sys(pwritev2(w, &part, 1, -1, flags)) :
				sys(preadv2(r, &part, 1, -1, flags));
}

TEST_F(stuck, is_not_waited_for_with_nowait)
{
	EXPECT_EQ(-EAGAIN, call(variant->side, self->w, self->r, RWF_NOWAIT));
}

TEST_F(stuck, who_waits_for_it_can_be_interrupted)
{
	const long nr = variant->side == WRITER ? SYS_pwritev2 : SYS_preadv2;
	pid_t pid = child();

	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(-call(variant->side, self->w, self->r, 0));
	}
	ASSERT_TRUE(blocks_in(pid, nr));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid));
}

/* The other side, the stream's end and the link's state need none of it. */
TEST_F(stuck, holds_up_no_other_side)
{
	struct faasin_port_info info;

	EXPECT_EQ(1, call(variant->side == WRITER ? READER : WRITER, self->w, self->r, 0));
	info = port_info(self->r);
	EXPECT_EQ(variant->side == WRITER ? QUEUED - 1 : QUEUED + 1, (int)info.unread);
	EXPECT_EQ(0, ioctl(self->w, FAASIN_IOC_END));
}

/* What its session leaves is dropped as soon as it moves again, or is gone. */
TEST_F(stuck, session_can_be_ended)
{
	struct faasctl_stats stats;
	int w, r, tries;
	char byte;

	EXPECT_EQ(0, ioctl(self->r, FAASIN_IOC_END));
	EXPECT_EQ(variant->side == WRITER ? 0 : -EPIPE,
		  call(variant->side == WRITER ? READER : WRITER, self->w, self->r, 0));
	/* More than one look of whoever drops it later. */
	usleep(100000);
	child_kill(self->pid, SIGKILL);
	for (tries = 0; tries < DEADLINE * 100; tries++) {
		stats = flow_stats(&self->flow);
		if (!stats.bytes_held)
			break;
		usleep(10000);
	}
	EXPECT_EQ(0, stats.bytes_held);
	EXPECT_EQ(stats.bytes_in, stats.bytes_out + stats.bytes_dropped);
	EXPECT_EQ(1, stats.early_closes);

	/* The next stream is whole. */
	w = flow_writer(&self->flow, 0);
	r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_EQ(1, write(w, "x", 1));
	EXPECT_EQ(1, read(r, &byte, 1));
	EXPECT_EQ('x', byte);
	close(w);
	close(r);
}

/* A machine that is short of memory gets that of others. */
TEST_F(stuck, holds_up_nobody_who_looks_for_memory)
{
	pid_t pid = child();
	int fd;

	if (!pid) {
		fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
		_exit(write(fd, "2", 1) != 1);
	}
	EXPECT_EQ(0, child_end(pid));
}

TEST_HARNESS_MAIN
