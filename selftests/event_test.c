// SPDX-License-Identifier: GPL-2.0
/*
 * Events: one of each type, numbered, and what happens when they are too many.
 */
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

#define PATIENCE	10000	/* milliseconds for an event that must come */

FIXTURE(event) {
	struct world w;
	struct nl ear;
	uint64_t seq;	/* of the event before; 0: none yet */
	uint64_t time;
};

FIXTURE_SETUP(event)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, nl_open(&self->ear));
	ASSERT_EQ(0, nl_join_events(&self->ear));
}

FIXTURE_TEARDOWN(event)
{
	nl_shut(&self->ear);
	WORLD_TEARDOWN(&self->w);
}

/* The next event is of this type, of this workflow, and the next number. */
#define EXPECT_EVENT(what)							\
do {										\
	uint64_t event_seq;							\
										\
	ASSERT_EQ(0, nl_event(&self->ear, PATIENCE))				\
		TH_LOG("no event: " #what);					\
	ASSERT_EQ(FAASIN_EVENT_##what, nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE));	\
	EXPECT_STREQ(self->w.wf, nl_get_str(&self->ear, FAASIN_A_EVENT_WORKFLOW));	\
	event_seq = nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ);			\
	if (self->seq)								\
		EXPECT_EQ(self->seq + 1, event_seq);				\
	self->seq = event_seq;							\
	EXPECT_LE(self->time, nl_get_u64(&self->ear, FAASIN_A_EVENT_TIME));	\
	self->time = nl_get_u64(&self->ear, FAASIN_A_EVENT_TIME);		\
	EXPECT_NE(UINT64_MAX, self->time);					\
	EXPECT_TRUE(nl_has(&self->ear, FAASIN_A_EVENT_GENERATION));		\
} while (0)

#define EXPECT_NO_EVENT()	EXPECT_EQ(EAGAIN, nl_event(&self->ear, 0))

#define EXPECT_ENDS()								\
do {										\
	EXPECT_STREQ("a", nl_get_str(&self->ear, FAASIN_A_EVENT_SRC_STAGE));	\
	EXPECT_STREQ("faasout", nl_get_str(&self->ear, FAASIN_A_EVENT_SRC_PORT));	\
	EXPECT_STREQ("b", nl_get_str(&self->ear, FAASIN_A_EVENT_DST_STAGE));	\
	EXPECT_STREQ("faasin", nl_get_str(&self->ear, FAASIN_A_EVENT_DST_PORT));	\
	EXPECT_EQ(link, nl_get_u64(&self->ear, FAASIN_A_EVENT_GENERATION));	\
} while (0)

TEST_F(event, of_a_workflow)
{
	uint64_t generation = world_generation(&self->w);

	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	/* Its stages go first, with or without a word. */
	do {
		ASSERT_EQ(0, nl_event(&self->ear, PATIENCE));
	} while (nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE) == FAASIN_EVENT_STAGE_DEL);
	EXPECT_EQ(FAASIN_EVENT_WORKFLOW_DEL, nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE));
	EXPECT_STREQ(self->w.wf, nl_get_str(&self->ear, FAASIN_A_EVENT_WORKFLOW));
	EXPECT_EQ(generation, nl_get_u64(&self->ear, FAASIN_A_EVENT_GENERATION));
	self->seq = nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ);

	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->w.wf),
				     NL_U32(FAASIN_A_WORKFLOW_FLAGS,
					    FAASIN_WORKFLOW_F_UNCHARGED))));
	EXPECT_EVENT(WORKFLOW_NEW);
	EXPECT_EQ(world_generation(&self->w),
		  nl_get_u64(&self->ear, FAASIN_A_EVENT_GENERATION));
	EXPECT_NO_EVENT();
}

TEST_F(event, of_a_stage)
{
	uint64_t generation;

	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	EXPECT_EVENT(STAGE_NEW);
	EXPECT_STREQ("c", nl_get_str(&self->ear, FAASIN_A_EVENT_STAGE));
	generation = nl_get_u64(&self->ear, FAASIN_A_EVENT_GENERATION);
	EXPECT_EQ(world_stage_generation(&self->w, "c"), generation);

	/* Changed. */
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "c"),
				     NL_U32(FAASIN_A_STAGE_MODE, 0600))));
	EXPECT_EVENT(STAGE_NEW);
	EXPECT_EQ(generation, nl_get_u64(&self->ear, FAASIN_A_EVENT_GENERATION));

	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_REPLACE, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "c"))));
	EXPECT_EVENT(STAGE_REPLACE);
	EXPECT_STREQ("c", nl_get_str(&self->ear, FAASIN_A_EVENT_STAGE));
	EXPECT_EQ(generation, nl_get_u64(&self->ear, FAASIN_A_EVENT_GENERATION));

	ASSERT_EQ(0, world_del_stage(&self->w, "c"));
	EXPECT_EVENT(STAGE_DEL);
	EXPECT_STREQ("c", nl_get_str(&self->ear, FAASIN_A_EVENT_STAGE));
	EXPECT_EQ(generation, nl_get_u64(&self->ear, FAASIN_A_EVENT_GENERATION));
	EXPECT_NO_EVENT();
}

TEST_F(event, of_a_link)
{
	uint64_t link;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	link = world_link_generation(&self->w, "a");
	EXPECT_EVENT(LINK_NEW);
	EXPECT_ENDS();
	ASSERT_EQ(0, world_unlink(&self->w, "a"));
	EXPECT_EVENT(LINK_DEL);
	EXPECT_ENDS();
	EXPECT_NO_EVENT();
}

TEST_F(event, of_a_link_that_is_changed)
{
	uint64_t link;
	int i;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	link = world_link_generation(&self->w, "a");
	EXPECT_EVENT(LINK_NEW);
	for (i = 0; i < 2; i++) {
		/* The second time nothing changes. */
		ASSERT_EQ(0, world_resize(&self->w, "a", 8192));
		if (i)
			break;
		EXPECT_EVENT(LINK_RESIZE);
		EXPECT_ENDS();
	}
	EXPECT_NO_EVENT();
	for (i = 0; i < 6; i++) {
		static const uint32_t states[] = {
			FAASIN_LINK_STATE_PAUSED, FAASIN_LINK_STATE_DRAINING,
			FAASIN_LINK_STATE_RUNNING,
		};

		ASSERT_EQ(0, world_set_state(&self->w, "a", states[i / 2]));
		if (i == 0)
			EXPECT_EVENT(LINK_PAUSE);
		else if (i == 2)
			EXPECT_EVENT(LINK_DRAIN);
		else if (i == 4)
			EXPECT_EVENT(LINK_RESUME);
		else
			EXPECT_NO_EVENT();
		if (!(i % 2))
			EXPECT_ENDS();
	}
}

/* Two change a state, as often as a listener that does not listen meanwhile has room for. */
TEST_F(event, of_states_come_in_order)
{
	uint32_t type, before = FAASIN_EVENT_LINK_RESUME;
	pid_t setters[2];
	size_t i;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	EXPECT_EVENT(LINK_NEW);
	for (i = 0; i < 2; i++) {
		setters[i] = child();
		if (!setters[i]) {
			int error = nl_open(&self->w.nl);

			for (int n = 0; n < 15 && !error; n++)
				error = world_set_state(&self->w, "a", FAASIN_LINK_STATE_PAUSED) ?:
					world_set_state(&self->w, "a", FAASIN_LINK_STATE_RUNNING);
			_exit(error);
		}
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, child_end(setters[i]));
	/* What changes nothing is no event: pauses and resumptions take turns. */
	for (i = 0; !nl_event(&self->ear, 0); i++) {
		type = nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE);
		EXPECT_EQ(before == FAASIN_EVENT_LINK_PAUSE ? FAASIN_EVENT_LINK_RESUME :
			  FAASIN_EVENT_LINK_PAUSE, type);
		before = type;
	}
	EXPECT_LT(0, i);
	EXPECT_EQ(FAASIN_EVENT_LINK_RESUME, before);
}

TEST_F(event, of_a_stage_that_goes_with_its_link)
{
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	EXPECT_EVENT(LINK_NEW);
	ASSERT_EQ(0, world_del_stage(&self->w, "b"));
	EXPECT_EVENT(LINK_DEL);
	EXPECT_EVENT(STAGE_DEL);
	EXPECT_NO_EVENT();
}

TEST_F(event, of_a_stream)
{
	uint64_t link;
	int out, in;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	link = world_link_generation(&self->w, "a");
	EXPECT_EVENT(LINK_NEW);
	out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	ASSERT_LE(0, out);
	EXPECT_EVENT(STREAM_BEGIN);
	EXPECT_ENDS();
	EXPECT_EQ(1, nl_get_u64(&self->ear, FAASIN_A_EVENT_STREAM));
	EXPECT_WRITE(out, "twelve bytes");
	close(out);
	EXPECT_EVENT(STREAM_END);
	EXPECT_ENDS();
	EXPECT_EQ(1, nl_get_u64(&self->ear, FAASIN_A_EVENT_STREAM));
	EXPECT_EQ(12, nl_get_u64(&self->ear, FAASIN_A_EVENT_BYTES));
	EXPECT_NO_EVENT();

	/* The next one. */
	out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_EVENT(STREAM_BEGIN);
	EXPECT_EQ(2, nl_get_u64(&self->ear, FAASIN_A_EVENT_STREAM));
	close(out);
	EXPECT_EVENT(STREAM_END);
	EXPECT_EQ(2, nl_get_u64(&self->ear, FAASIN_A_EVENT_STREAM));
	EXPECT_EQ(0, nl_get_u64(&self->ear, FAASIN_A_EVENT_BYTES));

	/* Reading them to their ends is no event. */
	in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_READ(in, "twelve bytes");
	EXPECT_OVER(in, 0);
	close(in);
	EXPECT_NO_EVENT();
}

TEST_F(event, of_an_abort_by_request)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_STATUS, .code = 3 };
	uint64_t link;
	int out;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	link = world_link_generation(&self->w, "a");
	EXPECT_EVENT(LINK_NEW);
	out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_EVENT(STREAM_BEGIN);
	ASSERT_EQ(0, ioctl(out, FAASIN_IOC_ABORT, &abort));
	EXPECT_EVENT(STREAM_ABORT);
	EXPECT_ENDS();
	EXPECT_EQ(FAASIN_CAUSE_STATUS, nl_get_u32(&self->ear, FAASIN_A_EVENT_CAUSE));
	EXPECT_EQ(3, nl_get_u32(&self->ear, FAASIN_A_EVENT_CAUSE_CODE));
	EXPECT_EQ(getpid(), (int)nl_get_u32(&self->ear, FAASIN_A_EVENT_PID));
	EXPECT_STREQ("a", nl_get_str(&self->ear, FAASIN_A_EVENT_STAGE));
	close(out);
	EXPECT_NO_EVENT();
}

static int write_and_wait(void *arg)
{
	int out = world_open(arg, "a", FAASIN_PORT_OUT, O_WRONLY);

	if (out < 0 || write(out, "x", 1) != 1)
		return 1;
	kill(getpid(), SIGKILL);
	return 2;
}

TEST_F(event, of_a_crash)
{
	struct actor who = { .id = 0 };
	uint64_t link;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	link = world_link_generation(&self->w, "a");
	EXPECT_EVENT(LINK_NEW);
	EXPECT_EQ(-SIGKILL, act(&who, write_and_wait, &self->w));
	EXPECT_EVENT(STREAM_BEGIN);
	EXPECT_EVENT(STREAM_ABORT);
	EXPECT_ENDS();
	EXPECT_EQ(FAASIN_CAUSE_SIGNAL, nl_get_u32(&self->ear, FAASIN_A_EVENT_CAUSE));
	EXPECT_EQ(SIGKILL, nl_get_u32(&self->ear, FAASIN_A_EVENT_CAUSE_CODE));
	EXPECT_STREQ("a", nl_get_str(&self->ear, FAASIN_A_EVENT_STAGE));
	EXPECT_STREQ("event_test", nl_get_str(&self->ear, FAASIN_A_EVENT_COMM));
}

TEST_F(event, of_an_early_close)
{
	uint64_t link;
	int out, in;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	link = world_link_generation(&self->w, "a");
	EXPECT_EVENT(LINK_NEW);
	out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_EVENT(STREAM_BEGIN);
	EXPECT_WRITE(out, "read, dropped");
	EXPECT_READ(in, "read");
	close(in);
	EXPECT_EVENT(EARLY_CLOSE);
	EXPECT_ENDS();
	EXPECT_EQ(1, nl_get_u64(&self->ear, FAASIN_A_EVENT_STREAM));
	EXPECT_EQ(9, nl_get_u64(&self->ear, FAASIN_A_EVENT_BYTES));
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, nl_get_u32(&self->ear, FAASIN_A_EVENT_CAUSE));
	close(out);
}

TEST_F(event, of_a_stream_cut_by_unlinking)
{
	uint64_t link;
	int out;

	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	link = world_link_generation(&self->w, "a");
	EXPECT_EVENT(LINK_NEW);
	out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_EVENT(STREAM_BEGIN);
	ASSERT_EQ(0, world_unlink(&self->w, "a"));
	/* In either order. */
	ASSERT_EQ(0, nl_event(&self->ear, PATIENCE));
	if (nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE) == FAASIN_EVENT_LINK_DEL)
		ASSERT_EQ(0, nl_event(&self->ear, PATIENCE));
	EXPECT_EQ(FAASIN_EVENT_STREAM_ABORT, nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE));
	EXPECT_EQ(FAASIN_CAUSE_UNLINK, nl_get_u32(&self->ear, FAASIN_A_EVENT_CAUSE));
	EXPECT_ENDS();
	close(out);
}

TEST_F(event, refusals_are_none)
{
	EXPECT_EQ(EEXIST, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, NLM_F_EXCL,
				  NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
					  NL_STR(FAASIN_A_STAGE_NAME, "a"))));
	EXPECT_EQ(ENOENT, world_del_stage(&self->w, "no-such"));
	EXPECT_NO_EVENT();
}

TEST_F(event, reaches_every_listener)
{
	struct nl second;

	ASSERT_EQ(0, nl_open(&second));
	ASSERT_EQ(0, nl_join_events(&second));
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	EXPECT_EVENT(STAGE_NEW);
	ASSERT_EQ(0, nl_event(&second, PATIENCE));
	EXPECT_EQ(self->seq, nl_get_u64(&second, FAASIN_A_EVENT_SEQ));
	nl_shut(&second);
	/* One that went away is not missed. */
	ASSERT_EQ(0, world_del_stage(&self->w, "c"));
	EXPECT_EVENT(STAGE_DEL);
}

TEST_F(event, newest_number_is_told)
{
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	EXPECT_EVENT(STAGE_NEW);
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	EXPECT_EQ(self->seq, nl_get_u64(&self->w.nl, FAASIN_A_INFO_EVENT_SEQ));
}

/* ------------------------------------------------------------------ too many */

TEST_F(event, too_many_for_a_small_buffer)
{
	const int small = 4096;
	uint64_t first = 0, last = 0, seq;
	int i, error, heard = 0, lost = 0;

	ASSERT_EQ(0, setsockopt(self->ear.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
		ASSERT_EQ(0, world_del_stage(&self->w, "c"));
	}
	while ((error = nl_event(&self->ear, 0)) != EAGAIN) {
		if (error == ENOBUFS) {
			lost++;
			continue;
		}
		ASSERT_EQ(0, error);
		seq = nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ);
		first = first ?: seq;
		EXPECT_LT(last, seq);
		last = seq;
		heard++;
	}
	EXPECT_LT(0, lost);
	EXPECT_LT(0, heard);
	EXPECT_GT(200, heard);
	/* The gap tells how many. */
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	ASSERT_EQ(0, nl_event(&self->ear, PATIENCE));
	EXPECT_EQ(first + 200, nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ));
}

/* A stage of @wf comes and goes, @pairs times, as fast as that can be asked for. */
static int flood(struct nl *nl, const char *wf, int pairs)
{
	static struct nl_msg msg;
	struct nlmsghdr *hdr;
	int i, error;

	msg.len = 0;
	for (i = 0; i < 2 * pairs; i++) {
		bool ask = i == 2 * pairs - 1 || msg.len > sizeof(msg.buf) - 1024;

		hdr = nl_begin(nl, &msg, i % 2 ? FAASIN_CMD_STAGE_DEL : FAASIN_CMD_STAGE_NEW,
			       ask ? NLM_F_ACK : 0);
		nl_put(&msg, FAASIN_A_STAGE_WORKFLOW, wf, strlen(wf) + 1);
		nl_put(&msg, FAASIN_A_STAGE_NAME, "c", 2);
		nl_finish(&msg, hdr);
		if (!ask)
			continue;
		error = nl_transact(nl, &msg);
		if (error)
			return error;
		msg.len = 0;
	}
	return 0;
}

static bool hear_all(struct nl *ear)
{
	const int large = 16 << 20;

	return !setsockopt(ear->fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
}

#define AT_ONCE	256	/* events of one workflow */

/* More than the rate allows: held back, and the gap tells. */
TEST_F_TIMEOUT(event, too_many_at_once, 60)
{
	const int pairs = 2000;
	uint64_t first = 0, last = 0, seq;
	int error, heard = 0;

	ASSERT_TRUE(hear_all(&self->ear));
	ASSERT_EQ(0, flood(&self->w.nl, self->w.wf, pairs));
	/* The last one comes late, if it is not in time. */
	while (!first || last < first + 2 * pairs - 1) {
		error = nl_event(&self->ear, PATIENCE);
		ASSERT_EQ(0, error)
			TH_LOG("heard %d, the last one %ju", heard, last);
		seq = nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ);
		first = first ?: seq;
		EXPECT_LT(last, seq);
		last = seq;
		heard++;
	}
	/* However slow this machine is, the first burst is heard. */
	EXPECT_LE(AT_ONCE, heard);
	EXPECT_GE(2 * pairs, heard);
	EXPECT_EQ(first + 2 * pairs - 1, last);
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	EXPECT_EQ(last, nl_get_u64(&self->w.nl, FAASIN_A_INFO_EVENT_SEQ));
	EXPECT_NO_EVENT();
}

/* Those of one workflow hold back none of another's, in whatever order they come. */
TEST_F_TIMEOUT(event, flood_of_another_workflow, 60)
{
	const int rounds = 10;
	uint64_t last = 0, seq, newest;
	int i, error, heard = 0, noise = 0;
	struct world loud;

	WORLD_SETUP(&loud, world_new_beside);
	ASSERT_TRUE(hear_all(&self->ear));
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, flood(&loud.nl, loud.wf, 400));
		ASSERT_EQ(0, world_stage(&self->w, "quiet", NULL));
		ASSERT_EQ(0, world_del_stage(&self->w, "quiet"));
	}
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	newest = nl_get_u64(&self->w.nl, FAASIN_A_INFO_EVENT_SEQ);
	while (last < newest) {
		error = nl_event(&self->ear, PATIENCE);
		ASSERT_EQ(0, error)
			TH_LOG("%ju of %ju, heard %d", last, newest, heard);
		seq = nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ);
		EXPECT_LT(last, seq);
		last = seq;
		if (strcmp(self->w.wf, nl_get_str(&self->ear, FAASIN_A_EVENT_WORKFLOW))) {
			noise++;
			continue;
		}
		EXPECT_STREQ("quiet", nl_get_str(&self->ear, FAASIN_A_EVENT_STAGE));
		EXPECT_EQ(heard % 2 ? FAASIN_EVENT_STAGE_DEL : FAASIN_EVENT_STAGE_NEW,
			  nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE));
		heard++;
	}
	EXPECT_EQ(2 * rounds, heard);
	EXPECT_LE(AT_ONCE, noise);
	/* All of it, if the machine is slow, and that the workflow was made. */
	EXPECT_GE(2 * 400 * rounds + 1, noise);
	WORLD_TEARDOWN(&loud);
}

/* One that was held back when its workflow goes is no less told. */
TEST_F_TIMEOUT(event, flood_of_a_workflow_that_goes, 60)
{
	uint64_t newest, last = 0;
	struct world loud;

	WORLD_SETUP(&loud, world_new_beside);
	ASSERT_TRUE(hear_all(&self->ear));
	ASSERT_EQ(0, flood(&loud.nl, loud.wf, 2000));
	ASSERT_EQ(0, world_del_workflow(&loud, loud.wf));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	newest = nl_get_u64(&self->w.nl, FAASIN_A_INFO_EVENT_SEQ);
	while (last < newest) {
		ASSERT_EQ(0, nl_event(&self->ear, PATIENCE));
		EXPECT_LT(last, nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ));
		last = nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ);
	}
	EXPECT_EQ(FAASIN_EVENT_WORKFLOW_DEL, nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE));
	EXPECT_STREQ(loud.wf, nl_get_str(&self->ear, FAASIN_A_EVENT_WORKFLOW));
	EXPECT_TRUE(nl_has(&self->ear, FAASIN_A_EVENT_GENERATION));
	WORLD_TEARDOWN(&loud);
}

/* Who comes when all others are gone hears nothing of what those were still to hear. */
TEST_F_TIMEOUT(event, held_back_for_others, 100)
{
	struct nl next;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, nl_open(&next));
		ASSERT_EQ(0, flood(&self->w.nl, self->w.wf, 300));
		nl_shut(&self->ear);
		/* Nobody hears this one, so whatever comes now came before it. */
		ASSERT_EQ(0, world_stage(&self->w, "d", NULL));
		self->ear = next;
		ASSERT_EQ(0, nl_join_events(&self->ear));
		ASSERT_EQ(EAGAIN, nl_event(&self->ear, 50))
			TH_LOG("round %d: number %ju", i, nl_get_u64(&self->ear, FAASIN_A_EVENT_SEQ));
		ASSERT_EQ(0, world_del_stage(&self->w, "d"));
		ASSERT_EQ(0, nl_event(&self->ear, PATIENCE));
		EXPECT_EQ(FAASIN_EVENT_STAGE_DEL, nl_get_u32(&self->ear, FAASIN_A_EVENT_TYPE));
		EXPECT_STREQ("d", nl_get_str(&self->ear, FAASIN_A_EVENT_STAGE));
	}
}

TEST_HARNESS_MAIN
