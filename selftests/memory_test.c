// SPDX-License-Identifier: GPL-2.0
/*
 * Memory: who is charged for what is queued, what a limit does, and that buffers never make the
 * OOM killer run.
 *
 * The cgroup that pays is called as the workflow; the tests' own processes are elsewhere but
 * where it says so, so that nothing but buffers counts there.
 */
#include <sched.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

#define SLACK		(768 * KIB)	/* what each CPU may have charged ahead */
#define CHUNK		(64 * KIB)

FIXTURE(memory) {
	struct world w;
	const char *payer;
	long long before;
};

FIXTURE_SETUP(memory)
{
	WORLD_SETUP(&self->w, world_new_charged);
	self->payer = self->w.wf;
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
}

FIXTURE_TEARDOWN(memory)
{
	WORLD_TEARDOWN(&self->w);
}

static char chunk[CHUNK];

/* Writes until nothing more goes in, or @most bytes: how many there were. */
static long long stuff(int out, long long most)
{
	long long total = 0;
	ssize_t n = 0;

	while (total < most) {
		n = write(out, chunk, CHUNK);
		if (n < 0)
			break;
		total += n;
	}
	return n < 0 && errno != EAGAIN ? -errno : total;
}

static long long drain(int in)
{
	static char buf[CHUNK];
	long long total = 0;
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		total += n;
	return n < 0 && errno != EAGAIN ? -errno : total;
}

static long long current(const char *cgroup)
{
	return cgroup_read(cgroup, "memory.current", NULL);
}

#define EXPECT_NO_OOM(cgroup)							\
do {										\
	EXPECT_EQ(0, cgroup_read(cgroup, "memory.events", "oom_kill"));		\
	EXPECT_EQ(0, cgroup_read(cgroup, "memory.events", "oom"));		\
} while (0)

#define OPEN_ENDS()								\
	int out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);		\
	int in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);		\
										\
	ASSERT_LE(0, out);							\
	ASSERT_LE(0, in)

/* ----------------------------------------------------------------- who pays */

TEST_F_TIMEOUT(memory, grows_with_what_is_queued_and_falls_when_drained, 60)
{
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	OPEN_ENDS();
	self->before = current(self->payer);
	ASSERT_LE(0, self->before);
	ASSERT_EQ(8 * MIB, stuff(out, 8 * MIB));
	EXPECT_LE(self->before + 8 * MIB - SLACK, current(self->payer));
	EXPECT_GE(self->before + 9 * MIB, current(self->payer));
	EXPECT_EQ(8 * MIB, drain(in));
	EXPECT_GE(self->before + SLACK, cgroup_falls_to(self->payer, self->before + SLACK));
	close(out);
	close(in);
}

TEST_F_TIMEOUT(memory, falls_when_the_workflow_goes, 60)
{
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	self->before = current(self->payer);
	OPEN_ENDS();
	ASSERT_EQ(8 * MIB, stuff(out, 8 * MIB));
	close(out);
	close(in);
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	EXPECT_GE(self->before + SLACK, cgroup_falls_to(self->payer, self->before + SLACK));
}

/* ------------------------------------------- what is left when the link is gone */

FIXTURE(left) {
	struct world w;
	const char *payer;
	long long before;
	int out, in;
};

FIXTURE_SETUP(left)
{
	WORLD_SETUP(&self->w, world_new_charged);
	self->payer = self->w.wf;
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	self->before = current(self->payer);
	self->out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	self->in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);
	ASSERT_LE(0, self->out);
	ASSERT_LE(0, self->in);
	/* A stream of 4 MiB, and then one that lives. */
	ASSERT_EQ(4 * MIB, stuff(self->out, 4 * MIB));
	close(self->out);
	self->out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	ASSERT_EQ(4 * MIB, stuff(self->out, 4 * MIB));
}

FIXTURE_TEARDOWN(left)
{
	close(self->out);
	close(self->in);
	WORLD_TEARDOWN(&self->w);
}

#define EXPECT_FREED()	\
	EXPECT_GE(self->before + SLACK, cgroup_falls_to(self->payer, self->before + SLACK))

/* The writer's end stays as it is after any unlinking. */
#define EXPECT_OUTPUT_OVER()							\
do {										\
	EXPECT_EQ(0, unread(self->out));					\
	EXPECT_EQ(-EPIPE, sys(write(self->out, "x", 1)));			\
	EXPECT_EQ(2, port_info(self->out).stream);				\
} while (0)

TEST_F_TIMEOUT(left, writer_alone_keeps_nothing, 60)
{
	close(self->in);
	ASSERT_EQ(0, world_unlink(&self->w, "a"));
	EXPECT_FREED();
	EXPECT_OUTPUT_OVER();
}

TEST_F_TIMEOUT(left, reader_keeps_it_until_it_closes, 60)
{
	ASSERT_EQ(0, world_unlink(&self->w, "a"));
	/* Longer than an idle channel keeps empty blocks. */
	sleep(3);
	EXPECT_LE(self->before + 8 * MIB - SLACK, current(self->payer));
	EXPECT_EQ(4 * MIB, unread(self->in));
	close(self->in);
	EXPECT_FREED();
	EXPECT_OUTPUT_OVER();
}

TEST_F_TIMEOUT(left, reader_that_had_its_stream_keeps_nothing, 60)
{
	ASSERT_EQ(0, world_unlink(&self->w, "a"));
	/* The first of the two streams had ended. */
	EXPECT_EQ(4 * MIB, drain(self->in));
	EXPECT_FREED();
	EXPECT_OVER(self->in, 0);
	EXPECT_OUTPUT_OVER();
}

TEST_F_TIMEOUT(left, reader_that_wants_no_more_keeps_nothing, 60)
{
	EXPECT_EQ(CHUNK, read_full(self->in, chunk, CHUNK));
	ASSERT_EQ(0, world_unlink(&self->w, "a"));
	ASSERT_EQ(0, ioctl(self->in, FAASIN_IOC_END));
	EXPECT_FREED();
	EXPECT_OUTPUT_OVER();
}

TEST_F_TIMEOUT(left, deleted_workflow_frees_it_too, 60)
{
	close(self->in);
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	EXPECT_FREED();
	EXPECT_OUTPUT_OVER();
}

struct job {
	int fd;
	long long bytes;
	const char *move;	/* where to go in the middle */
};

static int stuff_it(void *arg)
{
	struct job *job = arg;

	if (stuff(job->fd, job->bytes / 2) != job->bytes / 2)
		return 1;
	if (job->move && cgroup_enter(job->move))
		return 2;
	return stuff(job->fd, job->bytes / 2) == job->bytes / 2 ? 0 : 3;
}

TEST_F_TIMEOUT(memory, is_the_workflows_whoever_writes, 60)
{
	char writer[80], next[80];
	struct actor who = { .cgroup = writer };
	struct job job = { .bytes = 8 * MIB, .move = next };

	/* Two cgroups that count for themselves. */
	snprintf(writer, sizeof(writer), "%s-writer", self->w.wf);
	snprintf(next, sizeof(next), "%s-next", self->w.wf);
	ASSERT_EQ(0, cgroup_make(writer));
	ASSERT_EQ(0, cgroup_make(next));
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	OPEN_ENDS();
	job.fd = out;
	self->before = current(self->payer);
	/* In one, then in the other, in the middle of the stream. */
	EXPECT_EQ(0, act(&who, stuff_it, &job));
	EXPECT_LE(self->before + 8 * MIB - SLACK, current(self->payer));
	EXPECT_GE(4 * MIB, current(writer));
	EXPECT_GE(4 * MIB, current(next));
	close(out);
	EXPECT_EQ(8 * MIB, drain(in));
	close(in);
	EXPECT_EQ(0, cgroup_remove(writer));
	EXPECT_EQ(0, cgroup_remove(next));
}

TEST_F(memory, uncharged_is_nobodys)
{
	const char *member = world_cgroup(&self->w, "member");
	struct actor who = { .cgroup = member };
	struct job job = { .bytes = 8 * MIB };

	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->w.wf),
				     NL_U32(FAASIN_A_WORKFLOW_FLAGS,
					    FAASIN_WORKFLOW_F_UNCHARGED))));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_GET, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->w.wf))));
	EXPECT_EQ(FAASIN_WORKFLOW_F_UNCHARGED, nl_get_u32(&self->w.nl, FAASIN_A_WORKFLOW_FLAGS));
	EXPECT_FALSE(nl_has(&self->w.nl, FAASIN_A_WORKFLOW_CGROUP_ID));
	ASSERT_EQ(0, world_stage(&self->w, "a", member));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	OPEN_ENDS();
	job.fd = out;
	/* The writer's cgroup is in here, and counts here. */
	EXPECT_EQ(0, act(&who, stuff_it, &job));
	EXPECT_GE(4 * MIB, current(self->payer));
	close(out);
	EXPECT_EQ(8 * MIB, drain(in));
	close(in);
}

/* -------------------------------------------------------------------- limits */

TEST_F_TIMEOUT(memory, growth_stops_before_the_limit, 60)
{
	ASSERT_EQ(0, cgroup_write(self->payer, "memory.max", "33554432"));
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 64 * MIB));
	OPEN_ENDS();
	self->before = stuff(out, 64 * MIB);
	EXPECT_LT(8 * MIB, self->before);
	/* Room for the stages is left. */
	EXPECT_GE((32 - 8) * MIB + SLACK, current(self->payer));
	EXPECT_NO_OOM(self->payer);
	/* The call that was refused said EAGAIN, and it goes on when there is room. */
	close(out);
	EXPECT_EQ(self->before, drain(in));
	close(in);
}

static int use_memory(void *arg)
{
	size_t size = *(size_t *)arg;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	memset(memory, 1, size);
	usleep(10000);
	return memory[size / 2] == 1 ? 0 : 2;
}

TEST_F_TIMEOUT(memory, full_channel_leaves_a_stage_its_memory, 60)
{
	const char *stage = world_cgroup(&self->w, "stage");
	struct actor who = { .cgroup = stage };
	size_t size = 5 * MIB;

	ASSERT_EQ(0, cgroup_write(self->payer, "memory.max", "33554432"));
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 64 * MIB));
	OPEN_ENDS();
	EXPECT_LT(8 * MIB, stuff(out, 64 * MIB));
	EXPECT_EQ(0, act(&who, use_memory, &size));
	EXPECT_EQ(0, act(&who, use_memory, &size));
	EXPECT_NO_OOM(self->payer);
	close(out);
	close(in);
}

TEST_F_TIMEOUT(memory, ancestors_limit_counts, 60)
{
	const char *inner = world_cgroup(&self->w, "inner");
	char name[80];
	int fd;

	/* A payer without a limit of its own. */
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	ASSERT_EQ(0, cgroup_write(self->payer, "cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, cgroup_write(self->payer, "memory.max", "33554432"));
	snprintf(name, sizeof(name), "%s", self->w.wf);
	fd = cgroup_open(inner);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, name),
				     NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd))));
	close(fd);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 64 * MIB));
	OPEN_ENDS();
	EXPECT_LT(8 * MIB, stuff(out, 64 * MIB));
	EXPECT_GE((32 - 8) * MIB + SLACK, current(self->payer));
	EXPECT_NO_OOM(self->payer);
	EXPECT_NO_OOM(inner);
	close(out);
	close(in);
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
}

/* @bytes go through while the limit stands: a writer of its own against the test. */
#define EXPECT_TRANSFER(size)							\
do {										\
	struct heard transfer_heard;						\
	pid_t transfer_pid;							\
	int transfer_out, transfer_in;						\
										\
	transfer_out = open(world_out(&self->w, "a"), O_WRONLY);		\
	transfer_in = open(world_in(&self->w, "b"), O_RDONLY);			\
	ASSERT_LE(0, transfer_out);						\
	ASSERT_LE(0, transfer_in);						\
	transfer_pid = child();							\
	if (!transfer_pid)							\
		_exit(-pattern_write(transfer_out, size, CHUNK, 7, 0));		\
	close(transfer_out);							\
	transfer_heard = pattern_read(transfer_in, CHUNK, 7);			\
	EXPECT_EQ(size, transfer_heard.bytes);					\
	EXPECT_EQ(0, transfer_heard.end);					\
	EXPECT_TRUE(transfer_heard.intact);					\
	EXPECT_EQ(0, child_end(transfer_pid));					\
	close(transfer_in);							\
} while (0)

TEST_F_TIMEOUT(memory, writer_waits_at_the_limit_and_goes_on, 60)
{
	ASSERT_EQ(0, cgroup_write(self->payer, "memory.max", "16777216"));
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 64 * MIB));
	EXPECT_TRANSFER(32ull * MIB);
	EXPECT_NO_OOM(self->payer);
}

TEST_F_TIMEOUT(memory, reserved_page_carries_a_stream, 60)
{
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	/* No room at all from here on. */
	ASSERT_EQ(0, cgroup_write(self->payer, "memory.max", "0"));
	EXPECT_TRANSFER(256ull * KIB);
	EXPECT_EQ(0, cgroup_read(self->payer, "memory.events", "oom_kill"));
}

TEST_F(memory, at_the_limit_is_again_not_no_memory)
{
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	OPEN_ENDS();
	ASSERT_EQ(0, cgroup_write(self->payer, "memory.max", "0"));
	/* One page there is. */
	EXPECT_EQ(PAGE, sys(write(out, chunk, PAGE)));
	EXPECT_GT(FAASIN_CAPACITY_DEFAULT, stuff(out, 2 * MIB));
	EXPECT_EQ(-EAGAIN, sys(write(out, chunk, PAGE)));
	EXPECT_LT(0, drain(in));
	EXPECT_EQ(PAGE, sys(write(out, chunk, PAGE)));
	close(out);
	close(in);
}

TEST_F_TIMEOUT(memory, limit_lowered_below_what_is_queued, 60)
{
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	OPEN_ENDS();
	ASSERT_EQ(8 * MIB, stuff(out, 8 * MIB));
	/* The kernel tries for a while; what is queued stays queued. */
	ASSERT_EQ(0, cgroup_write(self->payer, "memory.max", "1048576"));
	close(out);
	EXPECT_EQ(8 * MIB, drain(in));
	EXPECT_EQ(0, cgroup_read(self->payer, "memory.events", "oom_kill"));
	close(in);
}

TEST_F_TIMEOUT(memory, empty_blocks_are_given_back_under_pressure, 60)
{
	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	OPEN_ENDS();
	ASSERT_EQ(8 * MIB, stuff(out, 8 * MIB));
	ASSERT_EQ(8 * MIB, drain(in));
	self->before = current(self->payer);
	/* Asked for, not waited for. */
	cgroup_write(self->payer, "memory.reclaim", "8388608");
	EXPECT_GE(2 * MIB, cgroup_falls_to(self->payer, 2 * MIB));
	EXPECT_WRITE(out, "goes on");
	EXPECT_READ(in, "goes on");
	close(out);
	close(in);
}

/* What the link's pool has. */
static uint64_t pool_bytes(struct world *w)
{
	const struct nlattr *stats;

	if (!world_link_generation(w, "a"))
		return 0;
	stats = nl_find(w->nl.reply, w->nl.len, FAASIN_A_LINK_STATS);
	return stats ? nl_u64(nl_data(stats), nl_len(stats), FAASIN_A_STATS_POOL_BYTES) : 0;
}

/* As a machine does that is short of memory. */

/* At once, that is: without waiting for the link to be idle. */
TEST_F_TIMEOUT(memory, machine_gets_empty_blocks_at_once, 60)
{
	uint64_t before = 0, after = 0;
	int tries;

	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 16 * MIB));
	OPEN_ENDS();
	/* On a busy machine they may have been given back already. */
	for (tries = 0; tries < 20 && before < 4 * MIB; tries++) {
		ASSERT_EQ(8 * MIB, stuff(out, 8 * MIB));
		ASSERT_EQ(8 * MIB, drain(in));
		before = pool_bytes(&self->w);
		ASSERT_EQ(0, drop_slabs());
		after = pool_bytes(&self->w);
	}
	EXPECT_LE(4 * MIB, before);
	EXPECT_GE(256 * KIB, after);
	EXPECT_WRITE(out, "goes on");
	EXPECT_READ(in, "goes on");
	close(out);
	close(in);
}

/* ------------------------------------------------------------- a payer that goes */

static uint32_t workflow_flags(struct world *w)
{
	if (nl_call(&w->nl, FAASIN_CMD_WORKFLOW_GET, 0,
		    NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf))))
		return UINT32_MAX;
	return nl_has(&w->nl, FAASIN_A_WORKFLOW_FLAGS) ?
		nl_get_u32(&w->nl, FAASIN_A_WORKFLOW_FLAGS) : 0;
}

TEST_F_TIMEOUT(memory, payer_removed_while_in_use, 60)
{
	long long went;
	struct nl ear;
	int error;

	ASSERT_EQ(0, world_link_of(&self->w, "a", "b", 4 * MIB));
	OPEN_ENDS();
	ASSERT_EQ(CHUNK, stuff(out, CHUNK));
	ASSERT_EQ(0, nl_open(&ear));
	ASSERT_EQ(0, nl_join_events(&ear));
	EXPECT_EQ(0, workflow_flags(&self->w));

	ASSERT_EQ(0, cgroup_remove(self->payer));
	EXPECT_EQ(FAASIN_WORKFLOW_F_CGROUP_GONE, workflow_flags(&self->w));
	/* It takes no new pages, and says so. */
	went = stuff(out, 4 * MIB);
	EXPECT_LE(0, went);
	EXPECT_GT(4 * MIB, went);
	do {
		error = nl_event(&ear, 10000);
		ASSERT_EQ(0, error)
			TH_LOG("no event of the removal");
	} while (nl_get_u32(&ear, FAASIN_A_EVENT_TYPE) != FAASIN_EVENT_CGROUP_GONE);
	EXPECT_STREQ(self->w.wf, nl_get_str(&ear, FAASIN_A_EVENT_WORKFLOW));
	EXPECT_STREQ("a", nl_get_str(&ear, FAASIN_A_EVENT_SRC_STAGE));
	EXPECT_STREQ("b", nl_get_str(&ear, FAASIN_A_EVENT_DST_STAGE));
	nl_shut(&ear);

	/* The pages it has go on. */
	close(out);
	EXPECT_EQ(CHUNK + went, drain(in));
	close(in);
	EXPECT_TRANSFER(2ull * MIB);
}

TEST_F(memory, removed_payer_takes_no_new_links)
{
	struct world_state before;

	ASSERT_EQ(0, cgroup_remove(self->payer));
	before = world_state(&self->w);
	EXPECT_EQ(ENODEV, world_link(&self->w, "a", "b"));
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	EXPECT_TRUE(world_same(&self->w, &before));
	EXPECT_EQ(0, world_del_workflow(&self->w, self->w.wf));
}

TEST_HARNESS_MAIN
