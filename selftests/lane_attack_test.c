// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes: who may have one and map what, and single lies in the memory that is shared. Each
 * spoils its own stream, and nothing else.
 */
#include "lane.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "fan.h"
#include "harness.h"
#include "live.h"

FIXTURE(raw)
{
	struct flow flow;
	int w, r;
	struct raw out, in;
	struct faasin_window_info info;
};

FIXTURE_SETUP(raw)
{
	struct flow_options options = { .capacity = MIB, .trusted = true };

	signal(SIGPIPE, SIG_IGN);
	ENDS_SETUP(self, &options, O_RDWR | O_NONBLOCK, O_NONBLOCK);
	self->info = window_info(self->r);
	ASSERT_TRUE(raw_open(&self->out, self->w, true));
	EXPECT_EQ(FAASIN_LANE_ALONE, self->out.state->state);
	ASSERT_TRUE(raw_open(&self->in, self->r, false));
	ASSERT_EQ(FAASIN_LANE_ON, self->out.state->state);
	ASSERT_EQ(FAASIN_LANE_ON, self->in.state->state);
}

FIXTURE_TEARDOWN(raw)
{
	ENDS_TEARDOWN(self);
}

static void expect_cause(struct __test_metadata *_metadata, struct flow *f, const char *stage)
{
	struct link_state state;

	ASSERT_EQ(0, flow_state(f, &state));
	EXPECT_EQ(FAASIN_CAUSE_LANE, state.last.cause);
	EXPECT_STREQ(stage, state.last.stage);
}

/* ------------------------------------------------------------------ refusals */

TEST_F(raw, an_end_is_had_once)
{
	int w = flow_writer(&self->flow, O_RDWR);

	EXPECT_EQ(-EBUSY, sys(ioctl(self->w, FAASIN_IOC_LANE)));
	EXPECT_EQ(-EBUSY, sys(ioctl(w, FAASIN_IOC_LANE)));
	EXPECT_EQ(-EBUSY, sys(ioctl(self->r, FAASIN_IOC_LANE)));
	close(w);
}

TEST_F(raw, needs_a_descriptor)
{
	struct rlimit files, few;
	int fd;

	raw_close(&self->in);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	few = files;
	few.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_EQ(-EMFILE, sys(ioctl(self->r, FAASIN_IOC_LANE)));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	fd = sys(ioctl(self->r, FAASIN_IOC_LANE));
	EXPECT_LE(0, fd);
	close(fd);
}

/* Retired ones have their memory as long as somebody maps them, whoever has which descriptor. */
TEST_F(raw, ends_that_are_mapped_are_counted)
{
	struct rlimit files = { FAASIN_WINDOWS_MAX + 100, FAASIN_WINDOWS_MAX + 100 };
	void *at[FAASIN_WINDOWS_MAX];
	int fd, r, n;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	raw_close(&self->in);
	for (n = 0; n < FAASIN_WINDOWS_MAX; n++) {
		r = flow_reader(&self->flow, O_NONBLOCK);
		fd = sys(ioctl(r, FAASIN_IOC_LANE));
		ASSERT_LE(0, fd);
		at[n] = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, at[n]);
		close(fd);
		close(r);
		EXPECT_EQ(FAASIN_LANE_RETIRED, *(uint32_t *)at[n]);
	}
	EXPECT_EQ(-ENOSPC, sys(ioctl(self->r, FAASIN_IOC_LANE)));
	/* The other end has its own. */
	fd = sys(ioctl(self->w, FAASIN_IOC_LANE));
	EXPECT_LE(0, fd);
	close(fd);
	munmap(at[5], PAGE);
	fd = sys(ioctl(self->r, FAASIN_IOC_LANE));
	EXPECT_LE(0, fd);
	close(fd);
	for (n = 0; n < FAASIN_WINDOWS_MAX; n++)
		if (n != 5)
			munmap(at[n], PAGE);
}

/* Growing stops before the stages have no room, and so does this. */
TEST_F(raw, ends_are_refused_where_memory_is_short)
{
	raw_close(&self->in);
	ASSERT_EQ(0, cgroup_write(self->flow.name, "memory.max", "8M"));
	EXPECT_EQ(-ENOMEM, sys(ioctl(self->r, FAASIN_IOC_LANE)));
	ASSERT_EQ(0, cgroup_write(self->flow.name, "memory.max", "max"));
	EXPECT_TRUE(raw_open(&self->in, self->r, false));
}

TEST_F(raw, others_parts_are_read_only)
{
	const int rw = PROT_READ | PROT_WRITE;
	int fd, w;

	/* A call retires it, so that there is another to be had. */
	EXPECT_EQ(3, sys(write(self->w, "abc", 3)));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
	w = self->w;
	fd = ioctl(w, FAASIN_IOC_LANE);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, window_try_map(fd, FAASIN_LANE_SIZE, rw, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, window_try_map(fd, PAGE, rw, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, window_try_map(fd, PAGE, rw, MAP_SHARED, FAASIN_LANE_IN_AT));
	EXPECT_EQ(-EACCES, window_try_map(fd, FAASIN_LANE_SIZE - FAASIN_LANE_OUT_AT, rw, MAP_SHARED,
					  FAASIN_LANE_OUT_AT));
	EXPECT_EQ(0, window_try_map(fd, PAGE, rw, MAP_SHARED, FAASIN_LANE_OUT_AT));
	EXPECT_EQ(0, window_try_map(fd, FAASIN_LANE_SIZE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, window_try_map(fd, FAASIN_LANE_SIZE + PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, window_try_map(fd, PAGE, PROT_READ, MAP_SHARED, FAASIN_LANE_SIZE));
	EXPECT_EQ(-EINVAL, window_try_map(fd, PAGE, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(-EPERM, window_try_map(fd, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, sys(mprotect(self->out.state, PAGE, rw)));
	EXPECT_EQ(-EACCES, sys(mprotect(self->in.out, PAGE, rw)));
	EXPECT_EQ(-EACCES, sys(mprotect(self->out.out, PAGE, PROT_READ | PROT_EXEC)));
	close(fd);
}

/* How often a process went to sleep. */
static long times_slept(pid_t pid)
{
	char path[64], line[128];
	long times = -1;
	FILE *stream;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	stream = fopen(path, "re");
	while (stream && fgets(line, sizeof(line), stream))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &times) == 1)
			break;
	if (stream)
		fclose(stream);
	return times;
}

TEST_F(raw, only_trusted_links_have_lanes)
{
	struct faasin_window_info info;
	long switches;
	pid_t pid;
	char byte;
	int w, r;

	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
	self->flow.options.trusted = false;
	ASSERT_EQ(0, flow_link(&self->flow));
	w = flow_writer(&self->flow, O_RDWR);
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(w, FAASIN_IOC_LANE)));
	EXPECT_EQ(0, sys(ioctl(w, FAASIN_IOC_LANE_WAIT)));
	/* Nor is anybody woken who has nothing to do with that. */
	r = flow_reader(&self->flow, 0);
	pid = child();
	if (!pid)
		_exit(read(r, &byte, 1) != 1);
	ASSERT_TRUE(blocks_in(pid, SYS_read));
	switches = times_slept(pid);
	ASSERT_LT(0, switches);
	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(0, sys(ioctl(w, FAASIN_IOC_LANE_KICK)));
	EXPECT_EQ(switches, times_slept(pid));
	EXPECT_EQ(1, write(w, "", 1));
	EXPECT_EQ(0, child_end(pid));
	close(r);
	close(w);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	self->flow.options.trusted = true;
	self->flow.options.capacity = PAGE;
	ASSERT_EQ(0, flow_link(&self->flow));
	r = flow_reader(&self->flow, 0);
	EXPECT_EQ(-EINVAL, sys(ioctl(r, FAASIN_IOC_LANE)));
	EXPECT_EQ(-EINVAL, sys(ioctl(r, FAASIN_IOC_WINDOW, &info)));
	close(r);
}

/* An extent has one owner, so links of an output with several have neither trust nor lanes. */
TEST(outputs_with_several_have_none)
{
	struct faasctl_link_options trusted = FAASCTL_LINK_OPTIONS_INIT;
	struct fan fan;
	int w, r;

	FAN_SETUP(&fan, 2, NULL);
	trusted.flags = FAASCTL_TRUSTED;
	ASSERT_EQ(0, fan_stage(&fan, "new"));
	EXPECT_EQ(-EOPNOTSUPP, fan_link(&fan, "a", "new", &trusted)) TH_LOG("%s", fan.refusal);
	w = fan_writer(&fan, O_RDWR);
	r = fan_reader(&fan, 0, 0);
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(w, FAASIN_IOC_LANE)));
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(r, FAASIN_IOC_LANE)));
	EXPECT_EQ(0, sys(ioctl(w, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(0, sys(ioctl(r, FAASIN_IOC_LANE_KICK)));
	close(w);
	close(r);
	FAN_TEARDOWN(&fan);
}

TEST_F(raw, files_without_lanes_have_none)
{
	int pipe_fds[2];

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	EXPECT_EQ(-ENOTTY, sys(ioctl(pipe_fds[0], FAASIN_IOC_LANE)));
	EXPECT_EQ(-ENOTTY, sys(ioctl(pipe_fds[0], FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(-ENOTTY, sys(ioctl(pipe_fds[0], FAASIN_IOC_LANE_KICK)));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

TEST_F(raw, waiting_can_be_interrupted)
{
	const struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, never = { 0 };

	EXPECT_EQ(-EAGAIN, sys(ioctl(self->r, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(1, self->in.state->asleep_in);
	ASSERT_EQ(0, fcntl(self->r, F_SETFL, 0));
	interrupt_by(SIGALRM, 0);
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_EQ(-EINTR, sys(ioctl(self->r, FAASIN_IOC_LANE_WAIT)));
	setitimer(ITIMER_REAL, &never, NULL);
	/* Another thread may still sleep. */
	EXPECT_EQ(1, self->in.state->asleep_in);
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_LANE_KICK)));
	EXPECT_EQ(0, self->in.state->asleep_in);
	/* What is there is not waited for, and nobody is to be told. */
	raw_send(&self->out, window_alloc(self->w, PAGE), 100);
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(0, self->in.state->asleep_in);
}

/* Of all that is full: who has a lane is to wait there, for what comes back. */
TEST_F(raw, allocating_by_a_lane_does_not_wait)
{
	struct faasin_range range = { .offset = FAASIN_ALLOC_LANE, .length = PAGE };

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, 0));
	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	EXPECT_EQ(-EAGAIN, sys(ioctl(self->w, FAASIN_IOC_ALLOC, &range)));
	EXPECT_EQ(FAASIN_LANE_ON, self->out.state->state);
	range.offset = FAASIN_ALLOC_LANE + 1;
	EXPECT_EQ(-EINVAL, sys(ioctl(self->w, FAASIN_IOC_ALLOC, &range)));
	/* Another way of waiting would not be told of what comes back. */
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, PAGE));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
}

/* Between being refused and waiting, too: a call may have made room, which no lane tells of. */
TEST_F(raw, room_that_was_made_is_not_waited_for)
{
	struct faasin_range range = { .offset = FAASIN_ALLOC_LANE, .length = self->info.size };

	ASSERT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ALLOC, &range)));
	range = (struct faasin_range){ .offset = FAASIN_ALLOC_LANE, .length = PAGE };
	EXPECT_EQ(-EAGAIN, sys(ioctl(self->w, FAASIN_IOC_ALLOC, &range)));
	EXPECT_EQ(-EAGAIN, sys(ioctl(self->w, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(0, window_return(self->w, 0));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(FAASIN_LANE_ON, self->out.state->state);
}

/* What came back to one producer goes, and makes room, for another that was refused some: it is told. */
TEST_F(raw, what_lies_idle_is_room_for_others)
{
	int w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
	struct pollfd out = { .fd = w, .events = POLLOUT };
	long at = window_alloc(self->w, MIB / 2);

	ASSERT_LE(0, at);
	ASSERT_LE(0, window_alloc(self->w, self->info.size - MIB / 2));
	EXPECT_EQ(-EAGAIN, window_alloc(w, PAGE));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
	ASSERT_TRUE(raw_open(&self->out, self->w, true));
	ASSERT_TRUE(raw_open(&self->in, self->r, false));
	ASSERT_EQ(FAASIN_LANE_ON, self->out.state->state);
	raw_send(&self->out, at, 100);
	self->in.in->taken = 1;
	EXPECT_EQ(0, poll(&out, 1, 0));
	raw_return(&self->in, at);
	EXPECT_EQ(1, poll(&out, 1, 0));
	EXPECT_EQ(FAASIN_LANE_ON, self->out.state->state);
	EXPECT_LE(0, window_alloc(w, MIB / 2));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
	close(w);
}

/* Of one that never came on, too. */
TEST_F(raw, who_waits_is_told_that_it_is_over)
{
	struct raw out, in;
	pid_t pid;

	ASSERT_EQ(0, set_state(&self->flow, FAASIN_LINK_STATE_PAUSED));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
	ASSERT_TRUE(raw_open(&out, self->w, true));
	ASSERT_TRUE(raw_open(&in, self->r, false));
	EXPECT_EQ(FAASIN_LANE_OFFERED, in.state->state);
	ASSERT_EQ(0, fcntl(self->r, F_SETFL, 0));
	pid = child();
	if (!pid)
		_exit(sys(ioctl(self->r, FAASIN_IOC_LANE_WAIT)) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	raw_close(&out);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(FAASIN_LANE_RETIRED, in.state->state);
}

/* As exec() does, and dying. What was sent before is sent. */
TEST_F(raw, what_nobody_maps_is_over)
{
	struct faasin_range range = { 0 };
	long at = window_alloc(self->w, PAGE);

	raw_send(&self->out, at, 100);
	raw_close(&self->out);
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->in.state->state);
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(at, (long)range.offset);
	EXPECT_EQ(0, window_return(self->r, at));
	ASSERT_TRUE(raw_open(&self->out, self->w, true));
	raw_close(&self->in);
	ASSERT_TRUE(raw_open(&self->in, self->r, false));
	EXPECT_EQ(FAASIN_LANE_ON, self->out.state->state);
}

/* One that waits for the other side is not kept by who was replaced, or whose stream is over. */
TEST_F(raw, an_end_is_not_held_back)
{
	int first, second, third;

	EXPECT_EQ(3, sys(write(self->w, "abc", 3)));
	first = sys(ioctl(self->w, FAASIN_IOC_LANE));
	EXPECT_LE(0, first);
	REPLACE("a");
	EXPECT_EQ(-ESTALE, sys(ioctl(self->w, FAASIN_IOC_LANE)));
	close(self->w);
	self->w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
	second = sys(ioctl(self->w, FAASIN_IOC_LANE));
	EXPECT_LE(0, second);
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	third = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
	EXPECT_LE(0, sys(ioctl(third, FAASIN_IOC_LANE)));
	close(first);
	close(second);
	close(third);
}

/* Whoever sleeps for bytes in another way would not be told of what a lane brings. */
TEST_F(raw, comes_not_on_while_others_wait)
{
	struct raw out, in;
	uint8_t buf[3];
	pid_t pid;

	ASSERT_EQ(0, fcntl(self->r, F_SETFL, 0));
	pid = child();
	if (!pid)
		_exit(sys(read(self->r, buf, 3)) == 3 ? 0 : 1);
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
	ASSERT_TRUE(raw_open(&out, self->w, true));
	ASSERT_TRUE(raw_open(&in, self->r, false));
	EXPECT_EQ(FAASIN_LANE_OFFERED, out.state->state);
	EXPECT_EQ(3, sys(write(self->w, "abc", 3)));
	EXPECT_EQ(0, child_end(pid));
	/* It was refused no extent, so there is nothing for it to wait for. */
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(FAASIN_LANE_ON, out.state->state);
}

/* -------------------------------------------------------------- single lies */

/* What made sense comes first. */
#define EXPECT_SPOILT(by)							\
do {										\
	struct faasin_range spoilt;						\
										\
	EXPECT_EQ(1, window_take(self->r, &spoilt));				\
	EXPECT_EQ(at, (long)spoilt.offset);					\
	EXPECT_EQ(100, spoilt.length);						\
	EXPECT_EQ(-ECONNABORTED, window_take(self->r, &spoilt));		\
	EXPECT_EQ(-EPIPE, sys(write(self->w, "abc", 3)));			\
	expect_cause(_metadata, &self->flow, by);				\
} while (0)

TEST_F(raw, sent_twice)
{
	long at = window_alloc(self->w, PAGE);

	raw_send(&self->out, at, 100);
	raw_send(&self->out, at, 100);
	EXPECT_EQ(100, unread(self->r));
	EXPECT_SPOILT("a");
}

static const struct faasin_lane_slot lies[] = {
	{ 0, 0, 1 }, { 0, PAGE + 1, 1 }, { 0, UINT32_MAX, 1 }, { 1, 10, 1 }, { PAGE, 10, 1 },
	{ MIB - PAGE, 10, 1 }, { MIB, 10, 1 }, { UINT64_MAX, 10, 1 }, { 1ULL << 63, 10, 1 },
	{ 8 * PAGE, UINT32_MAX, 0 },
};

TEST_F(raw, sent_what_it_has_not)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct faasin_lane_slot lie = lies[i];
		long at = window_alloc(self->w, PAGE);

		ASSERT_LE(0, at);
		raw_send(&self->out, at, 100);
		raw_send(&self->out, lie.offset, lie.length);
		EXPECT_SPOILT("a");
		/* Another stream. */
		close(self->w);
		close(self->r);
		self->w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
		self->r = flow_reader(&self->flow, O_NONBLOCK);
		ASSERT_TRUE(raw_open(&self->out, self->w, true));
		ASSERT_TRUE(raw_open(&self->in, self->r, false));
		ASSERT_EQ(FAASIN_LANE_ON, self->out.state->state);
	}
}

/* What was taken by the lane, and was not settled before, is not taken again. */
TEST_F(raw, taken_by_a_call_after_the_lane)
{
	long first = window_alloc(self->w, PAGE), second = window_alloc(self->w, PAGE);
	struct faasin_range range = { 0 };
	struct faasctl_stats st;

	raw_send(&self->out, first, 100);
	raw_send(&self->out, second, 200);
	self->in.in->taken = 1;
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(second, (long)range.offset);
	EXPECT_EQ(200, range.length);
	st = flow_stats(&self->flow);
	EXPECT_EQ(300, st.bytes_out);
	EXPECT_EQ(300, st.bytes_out_moved);
	EXPECT_EQ(0, st.bytes_out_copied);
	EXPECT_EQ(2, st.reads);
	/* Both are the consumer's. */
	EXPECT_EQ(0, window_return(self->r, first));
	EXPECT_EQ(0, window_return(self->r, second));
}

TEST_F(raw, counts_that_are_out_of_reach)
{
	long at = window_alloc(self->w, PAGE);

	raw_send(&self->out, at, 100);
	self->out.out->sent = 1ULL << 40;
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_LANE_KICK)));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(-ECONNABORTED, window_take(self->r, &(struct faasin_range){ 0 }));
	expect_cause(_metadata, &self->flow, "a");
}

TEST_F(raw, took_what_was_not_sent)
{
	long at = window_alloc(self->w, PAGE);

	raw_send(&self->out, at, 100);
	self->in.in->taken = 7;
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(-ECONNABORTED, window_take(self->r, &(struct faasin_range){ 0 }));
	expect_cause(_metadata, &self->flow, "b");
}

TEST_F(raw, gave_back_what_it_had_not)
{
	long at = window_alloc(self->w, PAGE), mine = window_alloc(self->w, PAGE);

	raw_send(&self->out, at, 100);
	raw_return(&self->in, at);
	raw_return(&self->in, mine);
	EXPECT_SPOILT("b");
	/* What the producer has it has. */
	EXPECT_EQ(0, window_return(self->w, mine));
}

/* Nor does the producer suffer for what it then does in good faith. */
TEST_F(raw, gave_back_what_it_did_not_take)
{
	long at = window_alloc(self->w, PAGE), other = window_alloc(self->w, PAGE);

	raw_send(&self->out, other, 100);
	raw_send(&self->out, at, 100);
	raw_return(&self->in, at);
	self->out.out->popped = 1;
	raw_send(&self->out, at, 50);
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	expect_cause(_metadata, &self->flow, "b");
}

/* Took what was not to be had, in good faith, and gave it back. */
TEST_F(raw, gave_back_what_was_a_lie)
{
	int w = flow_writer(&self->flow, O_RDWR);
	long at = window_alloc(w, PAGE);

	raw_send(&self->out, at, 100);
	self->in.in->taken = 1;
	raw_return(&self->in, at);
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	expect_cause(_metadata, &self->flow, "a");
	/* It is whose it was. */
	EXPECT_EQ(0, window_return(w, at));
	close(w);
}

/* What came by a call is nothing that a lane's producer knows of. */
TEST_F(raw, gave_back_what_came_by_a_call)
{
	long at = window_alloc(self->w, PAGE);
	struct faasin_range range = { 0 };

	ASSERT_EQ(0, window_send(self->w, at, 100));
	ASSERT_EQ(1, window_take(self->r, &range));
	ASSERT_TRUE(raw_open(&self->out, self->w, true));
	ASSERT_TRUE(raw_open(&self->in, self->r, false));
	ASSERT_EQ(FAASIN_LANE_ON, self->out.state->state);
	raw_return(&self->in, range.offset);
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(-EACCES, window_return(self->w, at));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	expect_cause(_metadata, &self->flow, "b");
	EXPECT_EQ(0, window_return(self->r, at));
}

/* Who has to wait for what can never come is told so, and not let run in circles. */
TEST_F(raw, hopeless_indices_end_it)
{
	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	self->in.in->returned = 1ULL << 40;
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_LANE_WAIT)));
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->out.state->state);
	EXPECT_EQ(-EPIPE, window_alloc(self->w, PAGE));
	expect_cause(_metadata, &self->flow, "b");
}

TEST_F(raw, more_was_had_than_came_back)
{
	struct pollfd in = { .fd = self->r, .events = POLLIN };

	self->out.out->popped = 5;
	EXPECT_EQ(1, poll(&in, 1, 0));
	EXPECT_EQ(POLLHUP | POLLERR, in.revents);
	EXPECT_EQ(FAASIN_LANE_RETIRED, self->in.state->state);
	expect_cause(_metadata, &self->flow, "a");
}

/* What it says later of what was applied is not asked again: nothing else is freed as idle. */
TEST_F(raw, returned_and_changed)
{
	long at = window_alloc(self->w, PAGE), mine = window_alloc(self->w, PAGE);

	raw_send(&self->out, at, 100);
	self->in.in->taken = 1;
	raw_return(&self->in, at);
	EXPECT_EQ(0, unread(self->r));
	self->in.in->offsets[0] = mine;
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(-EACCES, window_return(self->w, at));
	EXPECT_EQ(0, window_return(self->w, mine));
	EXPECT_EQ(0, window_take(self->r, &(struct faasin_range){ 0 }));
}

/* What came back and was given to the kernel, or sent on, is no more there to be freed. */
TEST_F(raw, popped_turned_back)
{
	long at[4];

	for (int i = 0; i < 4; i++) {
		at[i] = window_alloc(self->w, PAGE);
		raw_send(&self->out, at[i], 100);
	}
	self->in.in->taken = 4;
	for (int i = 0; i < 4; i++)
		raw_return(&self->in, at[i]);
	self->out.out->popped = 4;
	EXPECT_EQ(0, window_return(self->w, at[0]));
	raw_send(&self->out, at[1], 100);
	EXPECT_EQ(100, unread(self->r));
	self->out.out->popped = 0;
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(1, window_take(self->r, &(struct faasin_range){ 0 }));
	EXPECT_EQ(0, window_take(self->r, &(struct faasin_range){ 0 }));
	/* Those two went as idle ones, though the producer may have thought it had them. */
	EXPECT_EQ(-EACCES, window_return(self->w, at[2]));
	EXPECT_EQ(-EACCES, window_return(self->w, at[3]));
}

/* A record without an end, as long as the log. */
TEST_F(raw, record_without_end)
{
	struct faasin_range got[FAASIN_RANGES_MAX];
	long at;
	int n = 0;

	for (int i = 0; i < 100; i++) {
		at = window_alloc(self->w, PAGE);
		ASSERT_LE(0, at);
		raw_send(&self->out, at, 10);
		self->out.out->slots[i].last = 0;
	}
	while ((at = window_call(self->r, FAASIN_IOC_TAKE, got, FAASIN_RANGES_MAX)) > 0)
		n += at;
	EXPECT_EQ(-EAGAIN, at);
	EXPECT_EQ(100, n);
}

TEST_HARNESS_MAIN
