// SPDX-License-Identifier: GPL-2.0
/*
 * A stage is replaced while streams go through it: what is open is detached, the streams go on
 * with others, and no byte of them is lost or doubled.
 */
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "hostile.h"
#include "live.h"
#include "window.h"
#include "world.h"

static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

FIXTURE(replace)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(replace)
{
	signal(SIGPIPE, SIG_IGN);
	FLOW_SETUP(&self->flow, NULL);
	self->w = flow_writer(&self->flow, O_RDWR);
	self->r = flow_reader(&self->flow, 0);
	ASSERT_LE(0, self->w);
	ASSERT_LE(0, self->r);
}

FIXTURE_TEARDOWN(replace)
{
	close(self->w);
	close(self->r);
	FLOW_TEARDOWN(&self->flow);
}

/* ------------------------------------------------------------------- readers */

TEST_F(replace, next_reader_goes_on_where_the_old_one_stopped)
{
	int r;

	EXPECT_WRITE(self->w, "onetwo");
	EXPECT_READ(self->r, "one");
	REPLACE("b");
	r = flow_reader(&self->flow, 0);
	ASSERT_LE(0, r);
	EXPECT_EQ(3, (int)port_info(r).position);
	EXPECT_READ(r, "two");
	/* The writer has seen nothing of it, and goes on. */
	EXPECT_WRITE(self->w, "three");
	close(self->w);
	EXPECT_READ(r, "three");
	EXPECT_OVER(r, 0);
	close(r);
}

TEST_F(replace, old_reader_is_detached)
{
	struct faasin_context context;
	struct faasin_range range;
	int pipe_fds[2];
	char byte;

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	EXPECT_WRITE(self->w, "onetwo");
	EXPECT_READ(self->r, "one");
	REPLACE("b");
	EXPECT_EQ(-ESTALE, sys(read(self->r, &byte, 1)));
	EXPECT_EQ(-ESTALE, sys(splice(self->r, NULL, pipe_fds[1], NULL, 3, 0)));
	EXPECT_EQ(0, unread(pipe_fds[0]));
	EXPECT_EQ(-ESTALE, window_take(self->r, &range));
	EXPECT_EQ(-ESTALE, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_EQ(-ESTALE, sys(ioctl(self->r, FAASIN_IOC_GET_CONTEXT, &context)));
	EXPECT_EQ(MAP_FAILED, (void *)window_map(self->r, PROT_READ));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(POLLERR | POLLHUP, ready(self->r));
	EXPECT_EQ(0, unread(self->r));
	EXPECT_NE(0, port_info(self->r).flags & FAASIN_INFO_REPLACED);
	EXPECT_EQ(0, port_info(self->w).flags & FAASIN_INFO_REPLACED);
	/* Its close is no early close. */
	close(self->r);
	EXPECT_WRITE(self->w, "three");
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "twothree");
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_dropped);
}

TEST_F(replace, next_reader_that_reads_nothing_takes_nothing)
{
	int r;

	EXPECT_WRITE(self->w, "onetwo");
	EXPECT_READ(self->r, "one");
	REPLACE("b");
	r = flow_reader(&self->flow, 0);
	EXPECT_EQ(POLLIN, ready(r));
	close(r);
	EXPECT_WRITE(self->w, "three");
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "twothree");
	/* One that did, closes early as ever. */
	close(r);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
}

TEST_F(replace, of_a_reader_whose_stream_has_ended)
{
	EXPECT_WRITE(self->w, "onetwo");
	close(self->w);
	EXPECT_READ(self->r, "one");
	REPLACE("b");
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "two");
	EXPECT_OVER(self->r, 0);
}

TEST_F(replace, aborted_stream_stays_aborted)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_WRITE(self->w, "onetwo");
	EXPECT_READ(self->r, "one");
	REPLACE("b");
	ASSERT_EQ(0, ioctl(self->w, FAASIN_IOC_ABORT, &abort));
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "two");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(replace, reader_keeps_the_extents_that_it_took)
{
	long at = window_alloc(self->w, PAGE);
	struct faasin_range range;

	ASSERT_EQ(0, window_send(self->w, at, PAGE));
	ASSERT_EQ(1, window_take(self->r, &range));
	REPLACE("b");
	EXPECT_EQ(0, window_return(self->r, range.offset));
}

/* What it left when the link went is nobody's. */
TEST_F(replace, and_then_unlinked)
{
	EXPECT_WRITE(self->w, "onetwo");
	EXPECT_READ(self->r, "one");
	REPLACE("b");
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(-ESTALE, sys(read(self->r, &(char){ 0 }, 1)));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
}

/* ------------------------------------------------------------------- writers */

TEST_F(replace, next_writer_goes_on_where_the_old_one_stopped)
{
	int w;

	EXPECT_WRITE(self->w, "one");
	REPLACE("a");
	w = flow_writer(&self->flow, 0);
	ASSERT_LE(0, w);
	EXPECT_EQ(3, (int)port_info(w).position);
	EXPECT_EQ(1, (int)port_info(w).stream);
	EXPECT_WRITE(w, "two");
	EXPECT_READ(self->r, "onetwo");
	/* The old one's end is not the stream's. */
	close(self->w);
	self->w = w;
	EXPECT_WRITE(w, "three");
	EXPECT_READ(self->r, "three");
	close(w);
	EXPECT_OVER(self->r, 0);
}

TEST_F(replace, old_writer_is_detached)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };
	struct faasin_context context = { .length = 1, .data = "x" };
	long at = window_alloc(self->w, PAGE);
	uint8_t page[PAGE] = { 1 };
	int pipe_fds[2];

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	ASSERT_EQ(PAGE, write(pipe_fds[1], page, PAGE));
	EXPECT_WRITE(self->w, "one");
	REPLACE("a");
	EXPECT_EQ(-ESTALE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(-ESTALE, sys(splice(pipe_fds[0], NULL, self->w, NULL, PAGE, 0)));
	EXPECT_EQ(PAGE, unread(pipe_fds[0]));
	EXPECT_EQ(-ESTALE, window_alloc(self->w, PAGE));
	EXPECT_EQ(-ESTALE, window_send(self->w, at, PAGE));
	EXPECT_EQ(-ESTALE, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(-ESTALE, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort)));
	EXPECT_EQ(-ESTALE, sys(ioctl(self->w, FAASIN_IOC_SET_CONTEXT, &context)));
	EXPECT_EQ(MAP_FAILED, (void *)window_map(self->w, PROT_READ | PROT_WRITE));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->w));
	EXPECT_NE(0, port_info(self->w).flags & FAASIN_INFO_REPLACED);
	/* What it allocated is its own. */
	EXPECT_EQ(0, window_return(self->w, at));
	close(self->w);
	self->w = flow_writer(&self->flow, 0);
	close(self->w);
	EXPECT_READ(self->r, "one");
	EXPECT_OVER(self->r, 0);
}

/* Nor does it matter how it dies, even if nobody has taken over yet. */
TEST_F(replace, death_of_an_old_writer_is_no_crash)
{
	int bells[2] = { bell(), bell() };
	pid_t pid;

	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	pid = child();
	if (!pid) {
		int w = flow_writer(&self->flow, 0);

		EXPECT_WRITE(w, "one");
		ring(bells[0]);
		await(bells[1]);
		_exit(0);
	}
	ASSERT_TRUE(await(bells[0]));
	REPLACE("a");
	child_kill(pid, SIGKILL);
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "two");
	close(self->w);
	EXPECT_READ(self->r, "onetwo");
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(0, flow_stats(&self->flow).streams_aborted);
}

/* The new one's does, as ever. */
TEST_F(replace, death_of_a_new_writer_is_a_crash)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "one");
	REPLACE("a");
	pid = child();
	if (!pid) {
		int w = flow_writer(&self->flow, 0);

		EXPECT_WRITE(w, "two");
		raise(SIGKILL);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_READ(self->r, "onetwo");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

/* A stream that was over before belongs to those that wrote it. */
TEST_F(replace, descriptor_of_a_stream_that_was_over)
{
	EXPECT_WRITE(self->w, "one");
	ASSERT_EQ(0, ioctl(self->w, FAASIN_IOC_END));
	REPLACE("a");
	REPLACE("a");
	close(self->w);
	EXPECT_READ(self->r, "one");
	EXPECT_OVER(self->r, 0);
	self->w = flow_writer(&self->flow, 0);
	EXPECT_EQ(2, (int)port_info(self->w).stream);
}

TEST_F(replace, of_a_stream_that_nobody_takes_over_ends_with_the_link)
{
	EXPECT_WRITE(self->w, "one");
	REPLACE("a");
	close(self->w);
	EXPECT_READ(self->r, "one");
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_OVER(self->r, -ECONNABORTED);
	self->w = -1;
}

TEST_F(replace, while_paused_and_while_draining)
{
	int r;

	EXPECT_WRITE(self->w, "onetwo");
	EXPECT_READ(self->r, "one");
	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_PAUSED));
	REPLACE("b");
	r = flow_reader(&self->flow, O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, sys(read(r, &(char){ 0 }, 1)));
	/* The live stream can be taken over though no new one begins. */
	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_DRAINING));
	REPLACE("a");
	close(self->w);
	self->w = flow_writer(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, self->w);
	EXPECT_WRITE(self->w, "three");
	EXPECT_READ(r, "twothree");
	close(r);
}

/* -------------------------------------------------------------------- cgroups */

/* As a member of a cgroup that is not privileged: the port opened, or -errno. */
struct entry {
	const char *cgroup;
	const char *path;
	int flags;
};

static int enter_and_open(void *arg)
{
	struct entry *e = arg;
	int fd = open(e->path, e->flags);

	return fd < 0 ? errno : 0;
}

static int opens(const char *cgroup, const char *path, int flags)
{
	struct entry e = { .cgroup = cgroup, .path = path, .flags = flags };
	struct actor who = { .cgroup = cgroup, .caps = CAPS_NONE };

	return act(&who, enter_and_open, &e);
}

TEST_F(replace, others_are_let_in)
{
	char old[64], new[64];
	int fds[2];

	snprintf(old, sizeof(old), "%s/old", self->flow.name);
	snprintf(new, sizeof(new), "%s/new", self->flow.name);
	ASSERT_EQ(0, cgroup_make(old));
	ASSERT_EQ(0, cgroup_make(new));
	fds[0] = cgroup_open(old);
	fds[1] = cgroup_open(new);
	ASSERT_LE(0, fds[0]);
	ASSERT_LE(0, fds[1]);
	ASSERT_EQ(0, replace_by(&self->flow, "b", 0, fds[0], NULL));
	EXPECT_EQ(0, opens(old, self->flow.in, O_RDONLY | O_NONBLOCK));
	EXPECT_EQ(EACCES, opens(new, self->flow.in, O_RDONLY | O_NONBLOCK));
	/* A cgroup has one stage. */
	EXPECT_EQ(-EBUSY, replace_by(&self->flow, "a", 0, fds[0], NULL));
	ASSERT_EQ(0, replace_by(&self->flow, "b", 0, fds[1], NULL));
	EXPECT_EQ(EACCES, opens(old, self->flow.in, O_RDONLY | O_NONBLOCK));
	EXPECT_EQ(0, opens(new, self->flow.in, O_RDONLY | O_NONBLOCK));
	close(fds[0]);
	close(fds[1]);
	ASSERT_EQ(0, flow_del_stage(&self->flow, "b"));
	EXPECT_EQ(0, cgroup_remove(old));
	EXPECT_EQ(0, cgroup_remove(new));
}

/* ------------------------------------------------------------------- refusals */

TEST_F(replace, refusals)
{
	char text[256] = "";

	EXPECT_WRITE(self->w, "one");
	EXPECT_EQ(-ENOENT, replace_by(&self->flow, "no-such", 0, -1, text));
	EXPECT_NE(0, (int)strlen(text));
	EXPECT_EQ(-ESTALE, replace_by(&self->flow, "b", 1, -1, text));
	EXPECT_EQ(-EBADF, replace_by(&self->flow, "b", 0, self->w, text));
	/* Nothing was detached. */
	EXPECT_WRITE(self->w, "two");
	EXPECT_READ(self->r, "onetwo");
}

/* -------------------------------------------------------- the middle of a stream */

/* FAASIN_STREAM_MIB in the environment: the stream of 1 GiB, for machines that have the time. */
static uint64_t stream_bytes(void)
{
	const char *mib = getenv("FAASIN_STREAM_MIB");

	return (mib ? strtoull(mib, NULL, 10) : 32) * MIB;
}

/* What the processes of a test share: how far the stream was written and read. */
struct progress {
	uint64_t written, read;
	bool intact, over;
};

FIXTURE(middle)
{
	struct flow flow;
	struct progress *at;
};

FIXTURE_VARIANT(middle)
{
	const char *stage;
};

FIXTURE_VARIANT_ADD(middle, producer) { "a" };
FIXTURE_VARIANT_ADD(middle, consumer) { "b" };

FIXTURE_SETUP(middle)
{
	FLOW_SETUP(&self->flow, NULL);
	self->at = shared(sizeof(*self->at));
	ASSERT_NE(NULL, self->at);
	self->at->intact = true;
}

FIXTURE_TEARDOWN(middle)
{
	FLOW_TEARDOWN(&self->flow);
}

/* Takes over wherever the stream is: ESTALE when it is replaced, 0 at the end. */
static pid_t producer(struct flow *f, struct progress *at)
{
	uint64_t total = stream_bytes();
	static uint8_t buf[60 * KIB + 251];
	pid_t pid = child();
	long n;
	int w;

	if (pid)
		return pid;
	w = flow_writer(f, 0);
	if (w < 0 || port_info(w).position != at->written)
		_exit(1);
	pattern_fill(buf, sizeof(buf), 1, 0);
	while (at->written < total) {
		uint64_t left = total - at->written;

		n = sys(write(w, buf + at->written % 251, left < 60 * KIB ? left : 60 * KIB));
		if (n < 0)
			_exit(-n);
		at->written += n;
	}
	at->over = true;
	_exit(0);
}

static pid_t consumer(struct flow *f, struct progress *at)
{
	static uint8_t buf[64 * KIB];
	pid_t pid = child();
	long n;
	int r;

	if (pid)
		return pid;
	r = flow_reader(f, 0);
	if (r < 0)
		_exit(1);
	while ((n = sys(read(r, buf, sizeof(buf)))) > 0) {
		if (!pattern_is(buf, n, 1, at->read))
			at->intact = false;
		at->read += n;
	}
	_exit(-n);
}

/* Again and again, until the stream is over: every byte arrives once, in order. */
TEST_F_TIMEOUT(middle, of_a_stream, 600)
{
	bool produces = variant->stage[0] == 'a';
	pid_t pid[2] = { consumer(&self->flow, self->at), producer(&self->flow, self->at) };
	unsigned int replaced = 0;
	int end;

	for (;;) {
		uint64_t before = self->at->read;

		/* Somewhere else each time. */
		while (self->at->read < before + stream_bytes() / 12 && is_running(pid[produces]))
			usleep(1000);
		REPLACE(variant->stage);
		end = child_end_within(pid[produces], 100);
		if (!end)
			break;
		ASSERT_EQ(ESTALE, end);
		replaced++;
		pid[produces] = produces ? producer(&self->flow, self->at) :
					   consumer(&self->flow, self->at);
	}
	/* It may have been detached between its last write and its end. */
	if (produces)
		close(flow_writer(&self->flow, 0));
	EXPECT_EQ(0, child_end_within(pid[!produces], 500));
	EXPECT_TRUE(self->at->over);
	EXPECT_TRUE(self->at->intact);
	EXPECT_EQ(stream_bytes(), self->at->written);
	EXPECT_EQ(stream_bytes(), self->at->read);
	EXPECT_LT(3, replaced);
	TH_LOG("replaced %u times in %llu MiB", replaced, (unsigned long long)stream_bytes() / MIB);
}

/* ------------------------------------------------------- in the middle of a copy */

FIXTURE(copying)
{
	bool can;
	struct flow flow;
	int w, r;
	pid_t pid;
};

FIXTURE_VARIANT(copying)
{
	bool writes;
};

FIXTURE_VARIANT_ADD(copying, writer) { true };
FIXTURE_VARIANT_ADD(copying, reader) { false };

FIXTURE_SETUP(copying)
{
	char *page = page_of_no_return();

	self->can = page;
	if (!page)
		SKIP(return, "userfaultfd is not to be had: %s", strerror(errno));
	FLOW_SETUP(&self->flow, NULL);
	self->w = flow_writer(&self->flow, 0);
	self->r = flow_reader(&self->flow, 0);
	ASSERT_LE(0, self->w);
	ASSERT_LE(0, self->r);
	EXPECT_WRITE(self->w, "one");
	/* With the other end, its death would be that of a holder. */
	self->pid = variant->writes ? stand_still(self->w, true, self->r) :
				      stand_still(self->r, false, self->w);
	ASSERT_TRUE(blocks_in(self->pid, variant->writes ? SYS_write : SYS_read));
}

FIXTURE_TEARDOWN(copying)
{
	if (!self->can)
		return;
	close(self->w);
	close(self->r);
	FLOW_TEARDOWN(&self->flow);
}

/* It does not hold up the replacement, and its death is not the stream's. */
TEST_F(copying, leaves_nothing_behind)
{
	const char *stage = variant->writes ? "a" : "b";

	REPLACE(stage);
	child_kill(self->pid, SIGKILL);
	if (variant->writes) {
		close(self->w);
		self->w = flow_writer(&self->flow, 0);
	} else {
		close(self->r);
		self->r = flow_reader(&self->flow, 0);
	}
	EXPECT_WRITE(self->w, "two");
	close(self->w);
	EXPECT_READ(self->r, "onetwo");
	EXPECT_OVER(self->r, 0);
}

TEST_HARNESS_MAIN
