// SPDX-License-Identifier: GPL-2.0
/*
 * Who waits while the stage is replaced: is told, or goes on as one of those that are let in.
 */
#include <linux/capability.h>
#include <sys/epoll.h>

#include "actor.h"
#include "harness.h"
#include "hostile.h"
#include "live.h"
#include "window.h"

#define FULL	(64 * KIB)

/* What waits, and is told by ESTALE. */
struct call {
	bool writes;		/* into a full link; else reads from an empty one */
	long nr;
	long (*fn)(int fd, int pipe);
};

FIXTURE(told)
{
	struct flow flow;
	int w, r;
	int pipe[2];
};

FIXTURE_VARIANT(told)
{
	struct call call;
};

static long call_read(int fd, int pipe)
{
	return sys(read(fd, &(char){ 0 }, 1));
}

static long call_write(int fd, int pipe)
{
	return sys(write(fd, "x", 1));
}

static long call_splice_out(int fd, int pipe)
{
	return sys(splice(fd, NULL, pipe, NULL, PAGE, 0));
}

static long call_splice_in(int fd, int pipe)
{
	return sys(splice(pipe, NULL, fd, NULL, PAGE, 0));
}

static long call_take(int fd, int pipe)
{
	struct faasin_range range;

	return window_take(fd, &range);
}

static long call_alloc(int fd, int pipe)
{
	return window_alloc(fd, PAGE);
}

/* Ready, and not to be read or written: as the one that has an error to fetch. */
static long told_by(int fd, uint32_t events)
{
	struct epoll_event e = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) || epoll_wait(ep, &e, 1, -1) != 1 ||
	    !(e.events & EPOLLERR))
		return -1;
	return events & EPOLLIN ? call_read(fd, -1) : call_write(fd, -1);
}

static long call_epoll_in(int fd, int pipe)
{
	return told_by(fd, EPOLLIN | EPOLLET);
}

static long call_epoll_out(int fd, int pipe)
{
	return told_by(fd, EPOLLOUT | EPOLLET);
}

static long call_poll(int fd, int pipe)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, -1) == 1 && p.revents == (POLLHUP | POLLERR) ? call_read(fd, -1) : -1;
}

#define TOLD(name, ...)	FIXTURE_VARIANT_ADD(told, name) { .call = { __VA_ARGS__ } }

TOLD(read, false, SYS_read, call_read);
TOLD(splice_out, false, SYS_splice, call_splice_out);
TOLD(take, false, SYS_ioctl, call_take);
TOLD(poll, false, SYS_poll, call_poll);
TOLD(epoll_in, false, SYS_epoll_wait, call_epoll_in);
TOLD(write, true, SYS_write, call_write);
TOLD(splice_in, true, SYS_splice, call_splice_in);
TOLD(alloc, true, SYS_ioctl, call_alloc);
TOLD(epoll_out, true, SYS_epoll_wait, call_epoll_out);

FIXTURE_SETUP(told)
{
	const struct flow_options options = { .capacity = FULL };
	uint8_t page[PAGE] = { 1 };

	signal(SIGPIPE, SIG_IGN);
	ENDS_SETUP(self, &options, O_RDWR, 0);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	if (!variant->call.writes) {
		EXPECT_WRITE(self->w, "x");
		EXPECT_READ(self->r, "x");
		return;
	}
	ASSERT_EQ(0, pattern_write(self->w, FULL, FULL, 1, 0));
	ASSERT_EQ(PAGE, write(self->pipe[1], page, PAGE));
}

FIXTURE_TEARDOWN(told)
{
	close(self->pipe[0]);
	close(self->pipe[1]);
	ENDS_TEARDOWN(self);
}

TEST_F(told, by_ESTALE)
{
	const struct call *call = &variant->call;
	struct faasctl_stats before = flow_stats(&self->flow), after;
	pid_t pid = child();

	if (!pid) {
		if (call->writes)
			_exit(-call->fn(self->w, self->pipe[0]));
		_exit(-call->fn(self->r, self->pipe[1]));
	}
	ASSERT_TRUE(blocks_in(pid, call->nr));
	REPLACE(call->writes ? "a" : "b");
	EXPECT_EQ(ESTALE, child_end(pid));
	/* Nothing moved. */
	after = flow_stats(&self->flow);
	EXPECT_EQ(before.bytes_in, after.bytes_in);
	EXPECT_EQ(before.bytes_out, after.bytes_out);
	EXPECT_EQ(call->writes ? PAGE : 0, unread(self->pipe[0]));
}

/* ------------------------------------------------------------------- several */

FIXTURE(several)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(several)
{
	const struct flow_options options = { .capacity = FULL };

	signal(SIGPIPE, SIG_IGN);
	ENDS_SETUP(self, &options, 0, 0);
}

FIXTURE_TEARDOWN(several)
{
	ENDS_TEARDOWN(self);
}

/* Each of two processes that write to one stream waits; what they wrote before is whole. */
TEST_F(several, writers_of_one_stream)
{
	pid_t pids[2];
	uint8_t *buf = malloc(FULL);

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, pattern_write(self->w, FULL, FULL, 1, 0));
	for (int i = 0; i < 2; i++) {
		pids[i] = child();
		if (!pids[i])
			_exit(-sys(write(self->w, "lost?", 5)));
		/* The second waits for its turn, or as the first does. */
		ASSERT_TRUE(blocks_in(pids[i], SYS_write));
	}
	REPLACE("a");
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(ESTALE, child_end(pids[i]));
	close(self->w);
	self->w = flow_writer(&self->flow, 0);
	ASSERT_LE(0, self->w);
	ASSERT_EQ(FULL, read_full(self->r, buf, FULL));
	EXPECT_TRUE(pattern_is(buf, FULL, 1, 0));
	EXPECT_WRITE(self->w, "next");
	EXPECT_READ(self->r, "next");
	free(buf);
}

/* One that stands still in its copy is not waited for by the request, but by its successor. */
TEST_F(several, one_of_which_stands_still)
{
	pid_t still = stand_still(self->w, true, self->r), waits;

	ASSERT_TRUE(blocks_in(still, SYS_write));
	waits = child();
	if (!waits)
		_exit(-sys(write(self->w, "x", 1)));
	ASSERT_TRUE(blocks_in(waits, SYS_write));
	REPLACE("a");
	child_kill(still, SIGKILL);
	EXPECT_EQ(ESTALE, child_end(waits));
	EXPECT_EQ(0, unread(self->r));
}

/* -------------------------------------------------------------------- openers */

FIXTURE(opener)
{
	struct flow flow;
	char old[64], new[64];
	int fd;
};

FIXTURE_VARIANT(opener)
{
	bool drained;	/* else there is no link */
};

FIXTURE_VARIANT_ADD(opener, of_an_unlinked_port) { .drained = false };
FIXTURE_VARIANT_ADD(opener, of_a_drained_link) { .drained = true };

FIXTURE_SETUP(opener)
{
	FLOW_SETUP(&self->flow, NULL);
	snprintf(self->old, sizeof(self->old), "%s/old", self->flow.name);
	snprintf(self->new, sizeof(self->new), "%s/new", self->flow.name);
	ASSERT_EQ(0, cgroup_make(self->old));
	ASSERT_EQ(0, cgroup_make(self->new));
	self->fd = cgroup_open(self->old);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, replace_by(&self->flow, "a", 0, self->fd, NULL));
	close(self->fd);
	self->fd = cgroup_open(self->new);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, variant->drained ? set_state(&self->flow, FAASIN_LINK_STATE_DRAINING) :
					flow_unlink(&self->flow));
}

FIXTURE_TEARDOWN(opener)
{
	close(self->fd);
	flow_del_stage(&self->flow, "a");
	EXPECT_EQ(0, cgroup_remove(self->old));
	EXPECT_EQ(0, cgroup_remove(self->new));
	FLOW_TEARDOWN(&self->flow);
}

/* An unprivileged process of the stage's cgroup; its error. */
static pid_t opens_later(struct flow *f, const char *cgroup)
{
	struct actor who = { .cgroup = cgroup, .caps = CAPS_NONE };
	pid_t pid = child();
	int fd;

	if (pid)
		return pid;
	if (actor_become(&who))
		_exit(255);
	fd = open(f->out, O_WRONLY);
	_exit(fd < 0 ? errno : 0);
}

/* Who may open was looked at before it waited. */
TEST_F(opener, of_a_cgroup_that_is_not_the_stage_any_more)
{
	pid_t pid = opens_later(&self->flow, self->old);

	ASSERT_TRUE(blocks_in_open(pid));
	ASSERT_EQ(0, replace_by(&self->flow, "a", 0, self->fd, NULL));
	EXPECT_EQ(EACCES, child_end(pid));
}

TEST_F(opener, of_the_same_cgroup_goes_on_waiting)
{
	pid_t pid = opens_later(&self->flow, self->old);

	ASSERT_TRUE(blocks_in_open(pid));
	REPLACE("a");
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, variant->drained ? set_state(&self->flow, FAASIN_LINK_STATE_RUNNING) :
					flow_link(&self->flow));
	EXPECT_EQ(0, child_end(pid));
}

/* ------------------------------------------------------------------- refusals */

TEST(by_a_cgroup_that_was_removed)
{
	struct flow flow;
	char name[64];
	int fd;

	FLOW_SETUP(&flow, NULL);
	snprintf(name, sizeof(name), "%s/removed", flow.name);
	ASSERT_EQ(0, cgroup_make(name));
	fd = cgroup_open(name);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, cgroup_remove(name));
	EXPECT_EQ(-ENODEV, replace_by(&flow, "a", 0, fd, NULL));
	close(fd);
	FLOW_TEARDOWN(&flow);
}

TEST_HARNESS_MAIN
