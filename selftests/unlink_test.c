// SPDX-License-Identifier: GPL-2.0
/* What unlinking does to whoever uses a link, by each way to unlink. */
#include "common.h"
#include "harness.h"

enum way { LINK, SOURCE, DESTINATION, WORKFLOW };

FIXTURE(unlink)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(unlink)
{
	enum way way;
};

FIXTURE_VARIANT_ADD(unlink, link) { .way = LINK };
FIXTURE_VARIANT_ADD(unlink, source_stage) { .way = SOURCE };
FIXTURE_VARIANT_ADD(unlink, destination_stage) { .way = DESTINATION };
FIXTURE_VARIANT_ADD(unlink, workflow) { .way = WORKFLOW };

FIXTURE_SETUP(unlink)
{
	const struct flow_options options = { .capacity = 64 * KIB };

	ENDS_SETUP(self, &options, 0, 0);
}

FIXTURE_TEARDOWN(unlink)
{
	ENDS_TEARDOWN(self);
}

static int cut(struct flow *f, enum way way)
{
	switch (way) {
	case LINK:
		return flow_unlink(f);
	case SOURCE:
		return flow_del_stage(f, "a");
	case DESTINATION:
		return flow_del_stage(f, "b");
	default:
		return flow_del_workflow(f);
	}
}

/* Links the two again, with whatever that takes. */
static int mend(struct flow *f, enum way way)
{
	int error = 0;

	if (way == WORKFLOW)
		return flow_new_workflow(f);
	if (way == SOURCE)
		error = flow_new_stage(f, "a");
	if (way == DESTINATION)
		error = flow_new_stage(f, "b");
	return error ?: flow_link(f);
}

#define CUT()	ASSERT_EQ(0, cut(&self->flow, variant->way))

static volatile sig_atomic_t caught;

static void catch(int signal)
{
	caught = signal;
}

TEST_F(unlink, gives_the_producer_epipe)
{
	struct sigaction action = { .sa_handler = catch };

	EXPECT_WRITE(self->w, "abc");
	CUT();
	sigaction(SIGPIPE, &action, NULL);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(SIGPIPE, caught);
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_EQ(0, sys(write(self->w, "", 0)));
}

TEST_F(unlink, lets_the_consumer_drain)
{
	EXPECT_WRITE(self->w, "abcdef");
	EXPECT_READ(self->r, "ab");
	CUT();
	EXPECT_EQ(4, unread(self->r));
	EXPECT_READ(self->r, "cdef");
	EXPECT_OVER(self->r, -ECONNABORTED);
	close(self->w);
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(unlink, lets_a_consumer_drain_that_had_not_begun)
{
	EXPECT_WRITE(self->w, "abc");
	CUT();
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(unlink, leaves_an_end_an_end)
{
	EXPECT_WRITE(self->w, "abc");
	close(self->w);
	EXPECT_READ(self->r, "a");
	CUT();
	EXPECT_READ(self->r, "bc");
	EXPECT_OVER(self->r, 0);
}

TEST_F(unlink, aborts_a_session_without_a_stream)
{
	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	CUT();
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_TRUE(port_info(self->r).flags & FAASIN_INFO_UNLINKED);
}

TEST_F(unlink, wakes_a_blocked_read)
{
	pid_t pid = child();
	char byte;

	if (!pid) {
		close(self->w);
		_exit(-sys(read(self->r, &byte, 1)));
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	CUT();
	EXPECT_EQ(ECONNABORTED, child_end(pid));
}

TEST_F(unlink, wakes_a_blocked_read_without_a_stream)
{
	pid_t pid;
	char byte;

	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	pid = child();
	if (!pid)
		_exit(-sys(read(self->r, &byte, 1)));
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	CUT();
	EXPECT_EQ(ECONNABORTED, child_end(pid));
}

TEST_F(unlink, wakes_a_blocked_write)
{
	pid_t pid;

	ASSERT_EQ(0, pattern_write(self->w, 64 * KIB, 64 * KIB, 1, 0));
	pid = child();
	if (!pid)
		_exit(-sys(write(self->w, "x", 1)));
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	CUT();
	EXPECT_EQ(EPIPE, child_end(pid));
}

TEST_F(unlink, wakes_a_large_blocked_write_with_its_count)
{
	pid_t pid = child();

	if (!pid) {
		char *buf = calloc(3, 64 * KIB);

		if (sys(write(self->w, buf, 3 * 64 * KIB)) != 64 * KIB)
			_exit(99);
		_exit(-sys(write(self->w, "x", 1)));
	}
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	CUT();
	EXPECT_EQ(EPIPE, child_end(pid));
	EXPECT_EQ(64 * KIB, unread(self->r));
}

TEST_F(unlink, of_a_waiting_open)
{
	int go = bell();
	pid_t pid[2];
	int i;

	ASSERT_EQ(0, flow_unlink(&self->flow));
	for (i = 0; i < 2; i++) {
		pid[i] = child();
		if (!pid[i]) {
			long fd = i ? flow_reader(&self->flow, 0) : flow_writer(&self->flow, 0);

			_exit(fd < 0 ? -fd : 0);
		}
		EXPECT_TRUE(blocks_in_open(pid[i]));
	}
	switch (variant->way) {
	case LINK:
		/* Whoever waits goes on waiting, whatever comes and goes. */
		ASSERT_EQ(0, flow_new_stage(&self->flow, "c"));
		ASSERT_EQ(0, flow_del_stage(&self->flow, "c"));
		EXPECT_TRUE(blocks_in_open(pid[0]));
		EXPECT_TRUE(blocks_in_open(pid[1]));
		ASSERT_EQ(0, flow_link(&self->flow));
		EXPECT_EQ(0, child_end(pid[0]));
		EXPECT_EQ(0, child_end(pid[1]));
		break;
	case SOURCE:
		CUT();
		EXPECT_EQ(ENOENT, child_end(pid[0]));
		EXPECT_TRUE(blocks_in_open(pid[1]));
		child_kill(pid[1], SIGKILL);
		break;
	case DESTINATION:
		CUT();
		EXPECT_EQ(ENOENT, child_end(pid[1]));
		EXPECT_TRUE(blocks_in_open(pid[0]));
		child_kill(pid[0], SIGKILL);
		break;
	case WORKFLOW:
		CUT();
		EXPECT_EQ(ENOENT, child_end(pid[0]));
		EXPECT_EQ(ENOENT, child_end(pid[1]));
		break;
	}
	close(go);
}

/* An open for writing that waits because 1024 streams are queued. */
TEST_F(unlink, of_an_open_that_waits_for_the_queue)
{
	pid_t pid;
	int i;

	close(self->w);
	for (i = 1; i < FAASIN_STREAMS_MAX; i++)
		close(flow_writer(&self->flow, O_NONBLOCK));
	pid = child();
	if (!pid) {
		int w = flow_writer(&self->flow, 0);

		_exit(w < 0 ? -w : write(w, "fresh", 5) == 5 ? 0 : 99);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	CUT();
	if (variant->way == SOURCE || variant->way == WORKFLOW) {
		EXPECT_EQ(ENOENT, child_end(pid));
		return;
	}
	EXPECT_TRUE(blocks_in_open(pid));
	ASSERT_EQ(0, mend(&self->flow, variant->way));
	EXPECT_EQ(0, child_end(pid));
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "fresh");
}

TEST_F(unlink, leaves_descriptors_safe)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	struct pollfd event = { .fd = self->r, .events = POLLIN };
	struct faasin_port_info info;
	struct stat st;
	int copy;

	EXPECT_WRITE(self->w, "abc");
	EXPECT_READ(self->r, "a");
	CUT();
	info = port_info(self->w);
	EXPECT_EQ(FAASIN_ABI_VERSION, info.abi);
	EXPECT_TRUE(info.flags & FAASIN_INFO_UNLINKED);
	EXPECT_TRUE(info.flags & FAASIN_INFO_OUTPUT);
	EXPECT_EQ(FAASIN_CAUSE_UNLINK, info.cause);
	info = port_info(self->r);
	EXPECT_TRUE(info.flags & FAASIN_INFO_UNLINKED);
	EXPECT_EQ(FAASIN_CAUSE_UNLINK, info.cause);
	EXPECT_EQ(2, info.unread);
	EXPECT_EQ(0, fstat(self->w, &st));
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	EXPECT_EQ(1, poll(&event, 1, 0));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	copy = dup(self->r);
	close(self->r);
	EXPECT_READ(copy, "bc");
	EXPECT_OVER(copy, -ECONNABORTED);
	EXPECT_EQ(0, sys(ioctl(copy, FAASIN_IOC_END)));
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(0, close(self->w));
	self->w = -1;
	self->r = -1;
}

TEST_F(unlink, with_descriptors_that_die_with_their_processes)
{
	int ready = bell();
	pid_t pid = child();

	if (!pid) {
		ring(ready);
		for (;;)
			pause();
	}
	EXPECT_WRITE(self->w, "abc");
	close(self->w);
	close(self->r);
	EXPECT_TRUE(await(ready));
	CUT();
	child_kill(pid, SIGKILL);
	self->w = -1;
	self->r = -1;
}

TEST_F(unlink, removes_what_it_says_at_once)
{
	bool a = variant->way != SOURCE && variant->way != WORKFLOW;
	bool b = variant->way != DESTINATION && variant->way != WORKFLOW;
	char workflow[64];

	EXPECT_WRITE(self->w, "abc");
	CUT();
	EXPECT_EQ(a ? 0 : -ENOENT, sys(access(self->flow.out, F_OK)));
	EXPECT_EQ(a ? 0 : -ENOENT, sys(access(self->flow.a, F_OK)));
	EXPECT_EQ(b ? 0 : -ENOENT, sys(access(self->flow.in, F_OK)));
	EXPECT_EQ(b ? 0 : -ENOENT, sys(access(self->flow.b, F_OK)));
	snprintf(workflow, sizeof(workflow), MOUNT_POINT "/%s", self->flow.name);
	EXPECT_EQ(variant->way == WORKFLOW ? -ENOENT : 0, sys(access(workflow, F_OK)));
	EXPECT_EQ(a ? -ENXIO : -ENOENT, flow_writer(&self->flow, O_NONBLOCK));
	EXPECT_EQ(b ? -ENXIO : -ENOENT, flow_reader(&self->flow, O_NONBLOCK));
}

TEST_F(unlink, makes_room_for_a_fresh_channel)
{
	uint64_t generation = port_info(self->w).link_generation;
	struct link_state state;
	int w, r;

	EXPECT_WRITE(self->w, "old");
	CUT();
	ASSERT_EQ(0, mend(&self->flow, variant->way));
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	/* Statistics go on as long as both stages do. */
	EXPECT_EQ(variant->way == LINK ? 3 : 0, state.stats.bytes_in);
	EXPECT_EQ(variant->way == LINK ? 3 : 0, state.stats.bytes_held);

	w = flow_writer(&self->flow, O_NONBLOCK);
	r = flow_reader(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, w);
	ASSERT_LE(0, r);
	EXPECT_WRITE(w, "new");
	EXPECT_EQ(1, port_info(w).stream);
	EXPECT_NE(generation, port_info(w).link_generation);
	EXPECT_EQ(state.link.generation, port_info(w).link_generation);
	EXPECT_READ(r, "new");
	/* The old ones stay what they were. */
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_READ(self->r, "old");
	EXPECT_OVER(self->r, -ECONNABORTED);
	close(self->w);
	close(self->r);
	EXPECT_WRITE(w, "more");
	close(w);
	EXPECT_READ(r, "more");
	EXPECT_OVER(r, 0);
	close(r);
	self->w = -1;
	self->r = -1;
}

TEST_HARNESS_MAIN
