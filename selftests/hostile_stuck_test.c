// SPDX-License-Identifier: GPL-2.0
/*
 * A container that somebody else has taken over tries to hold others up: it makes calls that never
 * return, and stops in them.
 */

#include "harness.h"
#include "hostile.h"

FIXTURE(stuck) {
	struct hostile h;
	int sysctl;
};

FIXTURE_VARIANT(stuck) {
	attack_fn fn;
	long nr;	/* the system call it is in */
	int stop;	/* SIGSTOP on top */
	bool writes;	/* "first" was written before */
};

static int open_out(struct hostile *h)
{
	return open(own_path(h, "faasout"), O_WRONLY | O_CLOEXEC);
}

static int stuck_in_write(struct hostile *h)
{
	char *page = page_of_no_return();
	int out = open_out(h);

	if (!page || write(out, "first", 5) != 5)
		return 1;
	return write(out, page, PAGE) ? 2 : 3;
}

static int stuck_in_long_write(struct hostile *h)
{
	char *page = page_of_no_return();
	int out = open_out(h);
	struct iovec parts[2] = { { "first", 5 }, { page, PAGE } };

	return !page ? 1 : writev(out, parts, 2) ? 2 : 3;
}

static int stuck_in_read(struct hostile *h)
{
	char *page = page_of_no_return();
	int out = open_out(h), in = open(world_in(&h->own, "b"), O_RDONLY | O_CLOEXEC);

	if (!page || write(out, "taken", 5) != 5)
		return 1;
	return read(in, page, PAGE) ? 2 : 3;
}

static int stuck_in_full(struct hostile *h)
{
	static char buf[64 * KIB] = "first";
	int out = open_out(h);

	for (;;)
		if (write(out, buf, sizeof(buf)) < 0)
			return 1;
}

static int stuck_in_info(struct hostile *h)
{
	char *page = page_of_no_return();
	int out = open_out(h);

	return !page ? 1 : ioctl(out, FAASIN_IOC_INFO, page) ? 2 : 3;
}

static int stuck_in_abort(struct hostile *h)
{
	char *page = page_of_no_return();
	int out = open_out(h);

	return !page ? 1 : ioctl(out, FAASIN_IOC_ABORT, page) ? 2 : 3;
}

/* One lists the directory, which it holds all the while, and another one wants to change it. */
static int stuck_in_listing(struct hostile *h)
{
	char *page = page_of_no_return();
	int dir = open(h->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!fork()) {
		sleep(1);
		mkdir(own_path(h, "new"), 0755);
		_exit(0);
	}
	return !page ? 1 : syscall(SYS_getdents64, dir, page, PAGE) ? 2 : 3;
}

FIXTURE_VARIANT_ADD(stuck, write) {
	.fn = stuck_in_write, .nr = SYS_write, .writes = true,
};

FIXTURE_VARIANT_ADD(stuck, writev) { .fn = stuck_in_long_write, .nr = SYS_writev };
FIXTURE_VARIANT_ADD(stuck, read) { .fn = stuck_in_read, .nr = SYS_read };
FIXTURE_VARIANT_ADD(stuck, full) { .fn = stuck_in_full, .nr = SYS_write, .writes = true };
FIXTURE_VARIANT_ADD(stuck, full_and_stopped) {
	.fn = stuck_in_full, .nr = SYS_write, .writes = true, .stop = SIGSTOP,
};

FIXTURE_VARIANT_ADD(stuck, stopped_in_write) {
	.fn = stuck_in_write, .nr = SYS_write, .writes = true, .stop = SIGSTOP,
};

FIXTURE_VARIANT_ADD(stuck, info) { .fn = stuck_in_info, .nr = SYS_ioctl };
FIXTURE_VARIANT_ADD(stuck, abort) { .fn = stuck_in_abort, .nr = SYS_ioctl };
FIXTURE_VARIANT_ADD(stuck, listing) { .fn = stuck_in_listing, .nr = SYS_getdents64 };

FIXTURE_SETUP(stuck)
{
	HOSTILE_SETUP(&self->h);
	self->sysctl = allow_userfaultfd(1);
	if (self->sysctl < 0 && variant->fn != stuck_in_full)
		SKIP(return, "user namespaces get no userfaultfd on this kernel");
}

FIXTURE_TEARDOWN(stuck)
{
	if (self->sysctl >= 0)
		allow_userfaultfd(self->sysctl);
	HOSTILE_TEARDOWN(&self->h);
}

TEST_F_TIMEOUT(stuck, holds_nobody_else_up, 60)
{
	struct hostile *h = &self->h;
	struct world_state state;
	pid_t begun = attack_begin(h, variant->fn);
	int in, out;

	ASSERT_TRUE(attacker_is_in(h, variant->nr));
	if (variant->stop)
		EXPECT_LT(0, attacker_signal(h, variant->stop));

	EXPECT_TRUE(victim_works(h));
	EXPECT_EQ(0, tool_status());
	state = world_state(&h->own);
	EXPECT_LT(0, state.len);
	free(state.bytes);

	/* Not even the other side of its own link. */
	in = world_open(&h->own, "b", FAASIN_PORT_IN, O_RDONLY);
	out = world_open(&h->own, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_LE(0, in);
	EXPECT_LE(0, out);
	if (variant->writes)
		EXPECT_READ(in, "first");
	poll(&(struct pollfd){ .fd = in, .events = POLLIN }, 1, 0);
	poll(&(struct pollfd){ .fd = out, .events = POLLOUT }, 1, 0);
	port_info(in);
	close(in);
	close(out);

	EXPECT_EQ(0, world_unlink(&h->own, "a"));
	EXPECT_EQ(0, world_link(&h->own, "a", "b"));
	EXPECT_EQ(0, world_del_stage(&h->own, "a"));
	EXPECT_EQ(0, world_stage(&h->own, "new", NULL));
	EXPECT_EQ(0, world_del_workflow(&h->own, h->own.wf));
	EXPECT_EQ(-ENOENT, sys(access(h->own.dir, F_OK)));
	/* One that waited for room has heard of the end of its link; one that is stopped may be
	 * anywhere on its way to that.
	 */
	if (variant->fn != stuck_in_full && !variant->stop)
		EXPECT_TRUE(attacker_is_in(h, variant->nr));
	EXPECT_TRUE(victim_works(h));

	EXPECT_TRUE(attacker_kill(h, begun));
	EXPECT_EQ(0, cgroup_remove(h->cgroup));
}

TEST_HARNESS_MAIN
