// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-out: making links of one output, all or none, what is refused, and what can be done to
 * each of them while they are used.
 */
#include "actor.h"
#include "fan.h"
#include "harness.h"
#include "hostile.h"

#define STAGES		4

FAN_LINKS_FIXTURE(FAN_SETUP)

/* A request about the links of @src, whatever else it says, ends with @error. */
#define EXPECT_LINK(cmd, error, src, ...)					\
	EXPECT_EQ(error, nl_call(&self->nl, FAASIN_CMD_LINK_##cmd, 0,		\
				 NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, self->fan.name),	\
					 NL_STR(FAASIN_A_LINK_SRC_STAGE, src), ##__VA_ARGS__)))

static const struct faasctl_link_options defaults = FAASCTL_LINK_OPTIONS_INIT;

/* --------------------------------------------------------------------- making */

TEST_F(links, what_exists_is_as_good)
{
	struct faasctl_link_options exclusive = defaults;

	EXPECT_EQ(STAGES, fan_links(&self->fan));
	EXPECT_EQ(0, fan_link(&self->fan, "a", fan_list('r', 0, STAGES - 1), NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r2", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r1,r0", NULL));
	EXPECT_EQ(STAGES, fan_links(&self->fan));
	exclusive.flags = FAASCTL_EXCLUSIVE;
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "a", "r2", &exclusive));
	EXPECT_EQ(0, fan_stage(&self->fan, "new"));
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "a", "new,r2", &exclusive));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "new,r2", NULL));
	EXPECT_EQ(STAGES + 1, fan_links(&self->fan));
}

TEST_F(links, options_are_the_same_for_all)
{
	struct faasctl_link_options other = defaults;

	EXPECT_EQ(0, fan_stage(&self->fan, "new"));
	other.capacity = 64 * KIB;
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "a", "new", &other));
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "a", "r0", &other));
	other = defaults;
	other.abort_on = FAASIN_ABORT_ON_NEVER;
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "a", "new", &other));
	other = defaults;
	other.early_close = FAASIN_EARLY_CLOSE_DRAIN;
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "a", "new", &other));
	other.early_close = FAASIN_EARLY_CLOSE_EPIPE;
	EXPECT_EQ(0, fan_link(&self->fan, "a", "new", &other));
}

/* Inputs of several links have no window, so there is nothing to be trusted with. */
TEST_F(links, several_are_not_trusted)
{
	struct faasctl_link_options trusted = defaults;

	trusted.flags = FAASCTL_TRUSTED;
	EXPECT_EQ(0, fan_stage(&self->fan, "x"));
	EXPECT_EQ(0, fan_stage(&self->fan, "y"));
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "a", "x", &trusted));
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "a", "x,y", &trusted));
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "a", "r0", &trusted));
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "r0", "x,y", &trusted));
	/* One that was made alone stays alone, whatever the next one is to be. */
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "x", &trusted));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "r0", "y", &trusted));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "r0", "y", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "r0", "y,x", NULL));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "r0", "x,y", NULL));
	EXPECT_EQ(-EOPNOTSUPP, fan_link(&self->fan, "r0", "x,y", &trusted));
	EXPECT_NE(NULL, strstr(self->fan.refusal, "cannot be trusted"));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "r0", "x", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "x", &trusted));
	EXPECT_EQ(STAGES + 1, fan_links(&self->fan));
}

TEST_F(links, all_or_none)
{
	EXPECT_EQ(0, fan_stage(&self->fan, "new"));
	EXPECT_EQ(0, fan_stage(&self->fan, "other"));
	EXPECT_REFUSED(-ENOENT, fan_link(&self->fan, "a", "new,nobody", NULL));
	EXPECT_REFUSED(-ENOENT, fan_link(&self->fan, "a", "new:nothing", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "a", "new,other:faasout", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "a", "new,new", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "a", "new,a", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "r3", "new,a", NULL));
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "other", "new,r1", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "a", "new,", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "a", "new,,other", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "r3", "new,other", NULL));
	/* Loops are looked for along all links. */
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "other", "a", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "new", "a", NULL));
}

TEST_F(links, a_link_that_was_made_alone_stays_alone)
{
	EXPECT_EQ(0, fan_stage(&self->fan, "x"));
	EXPECT_EQ(0, fan_stage(&self->fan, "y"));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "x", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "r0", "y", NULL));
	EXPECT_NE(NULL, strstr(self->fan.refusal, "unlink it first"));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "r0", "x,y", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "r0", "y,x", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "r0", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "x,y", NULL));
	/* One that is left of several may get company again. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "r0", "x"));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "x", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "r0", "x"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "r0", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "y", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "r0", "x", NULL));
}

TEST_F(links, there_are_at_most_32)
{
	char name[16];
	unsigned int i;

	for (i = STAGES; i < FAASIN_FAN_MAX + 2; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		ASSERT_EQ(0, fan_stage(&self->fan, name));
	}
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "a", fan_list('r', STAGES, FAASIN_FAN_MAX), NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "a", fan_list('r', STAGES, FAASIN_FAN_MAX - 1), NULL));
	EXPECT_EQ(FAASIN_FAN_MAX, fan_links(&self->fan));
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "a", "r32", NULL));
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "r0", fan_list('r', 1, FAASIN_FAN_MAX + 1), NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r3"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r32", NULL));
}

TEST_F(links, deleted_ones_that_are_still_read_count)
{
	int w = fan_writer(&self->fan, 0), r[FAASIN_FAN_MAX];
	unsigned int i;

	EXPECT_WRITE(w, "bytes");
	for (i = 0; i < FAASIN_FAN_MAX - STAGES; i++) {
		r[i] = fan_reader(&self->fan, 0, 0);
		EXPECT_EQ(i ? 0 : 5, unread(r[i]));
		EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
		EXPECT_EQ(0, fan_link(&self->fan, "a", "r0", NULL));
		close(w);
		w = fan_writer(&self->fan, 0);
		ASSERT_LE(0, w);
	}
	EXPECT_EQ(STAGES, fan_links(&self->fan));
	EXPECT_READ(r[0], "bytes");
	EXPECT_OVER(r[0], -ECONNABORTED);
	for (i = 0; i < FAASIN_FAN_MAX - STAGES; i++)
		close(r[i]);
	close(w);
}

TEST_F(links, both_ways_to_name_destinations_are_one_too_many)
{
	EXPECT_LINK(NEW, EINVAL, "a", NL_STR(FAASIN_A_LINK_DST_STAGE, "r0"),
		    NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "r1")));
	EXPECT_NE(0, (int)strlen(self->nl.text));
	EXPECT_LINK(NEW, EINVAL, "a", NL_STR(FAASIN_A_LINK_DST_PORT, "faasin"),
		    NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "r1")));
	EXPECT_LINK(NEW, EINVAL, "a",
		    NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_PORT, "faasin")));
	EXPECT_NE(NULL, strstr(self->nl.text, "FAASIN_A_END_STAGE"));
	/* One of them in the nested way: an output that may have several. */
	EXPECT_LINK(NEW, EBUSY, "r0",
		    NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "r1"),
			    NL_STR(FAASIN_A_END_PORT, "faasin")));
	EXPECT_EQ(0, fan_stage(&self->fan, "x"));
	EXPECT_EQ(0, fan_stage(&self->fan, "y"));
	EXPECT_LINK(NEW, 0, "r0", NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "x")));
	EXPECT_EQ(0, fan_link(&self->fan, "r0", "y", NULL));
}

/* ---------------------------------------------------------------------- naming */

TEST_F(links, who_means_one_of_several_names_it)
{
	EXPECT_REFUSED(-ENOTUNIQ, fan_unlink(&self->fan, "a", NULL));
	EXPECT_REFUSED(-ENOTUNIQ, fan_resize(&self->fan, NULL, 64 * KIB));
	EXPECT_REFUSED(-ENOTUNIQ, fan_set_state(&self->fan, NULL, FAASIN_LINK_STATE_PAUSED));
	EXPECT_REFUSED(-ENOENT, fan_unlink(&self->fan, "a", "a"));
	EXPECT_LINK(GET, ENOTUNIQ, "a");
	EXPECT_NE(0, (int)strlen(self->nl.text));
	EXPECT_LINK(GET, 0, "a", NL_STR(FAASIN_A_LINK_DST_STAGE, "r2"));
	EXPECT_STREQ("r2", nl_get_str(&self->nl, FAASIN_A_LINK_DST_STAGE));
	EXPECT_LINK(GET, ENOENT, "a", NL_STR(FAASIN_A_LINK_DST_STAGE, "r2"),
		    NL_STR(FAASIN_A_LINK_DST_PORT, "no"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1:faasin"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r3"));
	EXPECT_EQ(1, fan_links(&self->fan));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", NULL));
	EXPECT_EQ(0, fan_links(&self->fan));
}

static int count_opens(const struct faasctl_stage *stage, void *arg)
{
	unsigned int i;

	for (i = 0; i < stage->n_ports; i++)
		if (!strcmp(stage->ports[i].name, FAASIN_PORT_OUT))
			*(struct faasctl_port *)arg = stage->ports[i];
	return 0;
}

TEST_F(links, an_output_says_how_many_links_it_has)
{
	struct faasctl_port port = { 0 };
	struct faasctl *ctl;
	int w = fan_writer(&self->fan, 0), again = fan_writer(&self->fan, 0);

	ASSERT_EQ(0, faasctl_open(&ctl, NULL));
	EXPECT_EQ(0, faasctl_stage_each(ctl, self->fan.name, "a", count_opens, &port, NULL));
	EXPECT_EQ(STAGES, port.links);
	EXPECT_EQ(2, port.opens);
	faasctl_close(ctl);
	close(w);
	close(again);
}

/* ------------------------------------------------------------------ live ones */

TEST_F(links, the_capacity_is_that_of_all)
{
	int w = fan_writer(&self->fan, O_NONBLOCK), r[STAGES];
	unsigned int i, round;
	char *buf = malloc(2 * MIB);

	for (i = 0; i < STAGES; i++)
		r[i] = fan_reader(&self->fan, i, 0);
	for (round = 0; round < 4; round++) {
		size_t size = (round % 2 ? 2 * MIB : 64 * KIB) >> (round / 2);

		EXPECT_WRITE(w, "before");
		EXPECT_EQ(0, fan_resize(&self->fan, round % 2 ? "r1" : "r3", size));
		for (i = 0; i < STAGES; i++) {
			EXPECT_EQ(size, fan_state(&self->fan, i).link.capacity);
			EXPECT_READ(r[i], "before");
		}
		pattern_fill(buf, size, round, 0);
		EXPECT_EQ((long)size, write(w, buf, size));
		EXPECT_EQ(-EAGAIN, sys(write(w, "x", 1)));
		for (i = 0; i < STAGES; i++) {
			memset(buf, 0, size);
			EXPECT_EQ((long)size, read_full(r[i], buf, size));
			EXPECT_TRUE(pattern_is(buf, size, round, 0));
		}
	}
	EXPECT_EQ(-EINVAL, fan_resize(&self->fan, "r0", 4097));
	free(buf);
	close(w);
	for (i = 0; i < STAGES; i++)
		close(r[i]);
}

/* Whoever stands still at one link, or at the output, holds a new capacity up for all. */
TEST_F(links, no_new_capacity_while_somebody_stands_still)
{
	int w = fan_writer(&self->fan, 0), r = fan_reader(&self->fan, 1, 0), i;
	uint64_t capacity = fan_state(&self->fan, 0).link.capacity;
	pid_t pid;

	EXPECT_WRITE(w, "bytes");
	for (i = 0; i < 2; i++) {
		pid = stand_still(i ? w : r, i, i ? r : w);
		ASSERT_TRUE(blocks_in(pid, i ? SYS_write : SYS_read));
		EXPECT_REFUSED(-EBUSY, fan_resize(&self->fan, "r0", 2 * capacity));
		EXPECT_EQ(capacity, fan_state(&self->fan, 0).link.capacity);
		child_kill(pid, SIGKILL);
		EXPECT_EQ(0, fan_resize(&self->fan, "r0", 2 * capacity));
		EXPECT_EQ(2 * capacity, fan_state(&self->fan, STAGES - 1).link.capacity);
		EXPECT_EQ(0, fan_resize(&self->fan, "r0", capacity));
	}
	close(w);
	close(r);
}

TEST_F(links, pausing_one_pauses_the_writer)
{
	int w = fan_writer(&self->fan, O_NONBLOCK);
	int r0 = fan_reader(&self->fan, 0, O_NONBLOCK), r1 = fan_reader(&self->fan, 1, 0);
	char byte;

	EXPECT_WRITE(w, "bytes");
	EXPECT_EQ(0, fan_set_state(&self->fan, "r0", FAASIN_LINK_STATE_PAUSED));
	EXPECT_EQ(-EAGAIN, sys(write(w, "x", 1)));
	EXPECT_EQ(0, ready(w));
	EXPECT_EQ(-EAGAIN, sys(read(r0, &byte, 1)));
	/* The others read what there is. */
	EXPECT_READ(r1, "bytes");
	EXPECT_EQ(0, fan_set_state(&self->fan, "r2", FAASIN_LINK_STATE_PAUSED));
	EXPECT_EQ(0, fan_set_state(&self->fan, "r0", FAASIN_LINK_STATE_RUNNING));
	EXPECT_EQ(0, ready(w));
	EXPECT_READ(r0, "bytes");
	/* Unlinked, it is not paused any more. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r2"));
	EXPECT_EQ(POLLOUT, ready(w));
	EXPECT_WRITE(w, "more");
	EXPECT_READ(r0, "more");
	EXPECT_READ(r1, "more");
	close(w);
	close(r0);
	close(r1);
}

TEST_F(links, no_stream_begins_while_one_drains)
{
	int w = fan_writer(&self->fan, O_NONBLOCK), r[STAGES];
	unsigned int i;

	EXPECT_WRITE(w, "bytes");
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_DRAINING));
	EXPECT_WRITE(w, "more");
	close(w);
	EXPECT_EQ(-EAGAIN, fan_writer(&self->fan, O_NONBLOCK));
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(i == 1 ? FAASIN_LINK_STATE_DRAINING : FAASIN_LINK_STATE_RUNNING,
			  fan_state(&self->fan, i).link.state);
		r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_READ(r[i], "bytesmore");
		EXPECT_OVER(r[i], 0);
		close(r[i]);
	}
	EXPECT_EQ(FAASIN_LINK_STATE_DRAINED, fan_state(&self->fan, 1).link.state);
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	w = fan_writer(&self->fan, O_NONBLOCK);
	EXPECT_LE(0, w);
	close(w);
}

TEST_F(links, replacing_a_reader_is_its_own_business)
{
	int w = fan_writer(&self->fan, 0);
	int r0 = fan_reader(&self->fan, 0, 0), r1 = fan_reader(&self->fan, 1, 0), next;
	char buf[8];

	EXPECT_WRITE(w, "abcdef");
	ASSERT_EQ(2, read(r0, buf, 2));
	EXPECT_EQ(0, fan_replace(&self->fan, "r0"));
	EXPECT_EQ(-ESTALE, sys(read(r0, buf, 1)));
	next = fan_reader(&self->fan, 0, 0);
	EXPECT_READ(next, "cdef");
	EXPECT_READ(r1, "abcdef");
	EXPECT_WRITE(w, "g");
	EXPECT_READ(next, "g");
	close(w);
	close(r0);
	close(r1);
	close(next);
}

TEST_F(links, a_replaced_writer_goes_on_for_all)
{
	int w = fan_writer(&self->fan, 0), next, r[STAGES];
	unsigned int i;

	EXPECT_WRITE(w, "abc");
	EXPECT_EQ(0, fan_replace(&self->fan, "a"));
	EXPECT_EQ(-ESTALE, sys(write(w, "x", 1)));
	close(w);
	next = fan_writer(&self->fan, 0);
	EXPECT_EQ(3, port_info(next).position);
	EXPECT_WRITE(next, "def");
	close(next);
	for (i = 0; i < STAGES; i++) {
		r[i] = fan_reader(&self->fan, i, 0);
		EXPECT_READ(r[i], "abcdef");
		EXPECT_OVER(r[i], 0);
		close(r[i]);
	}
}

TEST_F(links, deleting_a_stage_unlinks_it)
{
	struct faasctl *ctl;
	int w = fan_writer(&self->fan, 0), r0 = fan_reader(&self->fan, 0, 0);
	int r1 = fan_reader(&self->fan, 1, 0);

	EXPECT_WRITE(w, "bytes");
	ASSERT_EQ(0, faasctl_open(&ctl, NULL));
	EXPECT_EQ(0, faasctl_stage_del(ctl, self->fan.name, "r0", 0, NULL));
	EXPECT_EQ(STAGES - 1, fan_links(&self->fan));
	EXPECT_WRITE(w, "more");
	EXPECT_READ(r0, "bytes");
	EXPECT_OVER(r0, -ECONNABORTED);
	EXPECT_EQ(0, faasctl_stage_del(ctl, self->fan.name, "a", 0, NULL));
	EXPECT_EQ(-EPIPE, sys(write(w, "x", 1)));
	EXPECT_READ(r1, "bytesmore");
	EXPECT_OVER(r1, -ECONNABORTED);
	faasctl_close(ctl);
	close(w);
	close(r0);
	close(r1);
}

/* To r0 and r1 only, with a policy to swallow. */
static int links_that_swallow(struct fan *f)
{
	struct faasctl_link_options drain = defaults;
	char name[16];
	int i, ret;

	drain.early_close = FAASIN_EARLY_CLOSE_DRAIN;
	for (i = 0; i < STAGES; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		ret = fan_unlink(f, "a", name);
		if (ret)
			return ret;
	}
	return fan_link(f, "a", "r0,r1", &drain);
}

/*
 * That one of two links is deleted does not matter to the one whose policy is to swallow: @first
 * and @then close r, the reader of r0, and delete the link to r1.
 */
#define EXPECT_SWALLOWED(first, then)						\
do {										\
	char byte;								\
	int w, r;								\
										\
	ASSERT_EQ(0, links_that_swallow(&self->fan));				\
	w = fan_writer(&self->fan, 0);						\
	r = fan_reader(&self->fan, 0, 0);					\
	EXPECT_WRITE(w, "bytes");						\
	ASSERT_EQ(1, read(r, &byte, 1));					\
	ASSERT_EQ(0, first);							\
	ASSERT_EQ(0, then);							\
	EXPECT_WRITE(w, "more");						\
	close(w);								\
} while (0)

TEST_F(links, swallow_what_is_written_after_a_close_and_an_unlink)
{
	EXPECT_SWALLOWED(close(r), fan_unlink(&self->fan, "a", "r1"));
}

TEST_F(links, swallow_what_is_written_after_an_unlink_and_a_close)
{
	EXPECT_SWALLOWED(fan_unlink(&self->fan, "a", "r1"), close(r));
}

/* With a policy to swallow, a writer goes on when all have closed; each link counts it. */
TEST_F(links, what_is_swallowed_counts_for_each)
{
	struct faasctl_stats stats;
	unsigned int i;
	int w, r;
	char byte;

	ASSERT_EQ(0, links_that_swallow(&self->fan));
	w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(w, "bytes");
	for (i = 0; i < 2; i++) {
		r = fan_reader(&self->fan, i, 0);
		ASSERT_EQ(1, read(r, &byte, 1));
		close(r);
		EXPECT_WRITE(w, "more");
	}
	EXPECT_WRITE(w, "rest");
	for (i = 0; i < 2; i++) {
		stats = fan_state(&self->fan, i).stats;
		EXPECT_EQ(17, stats.bytes_in);
		EXPECT_EQ(1, stats.bytes_out);
		EXPECT_EQ(16, stats.bytes_dropped);
	}
	nonblocking(w);
	EXPECT_EQ(POLLOUT, ready(w));
	close(w);
}

TEST_F(links, sums_are_those_of_the_links)
{
	struct faasctl_stats stats, before;
	unsigned int i;
	int w, r;

	for (i = 0; i < 3; i++) {
		w = fan_writer(&self->fan, 0);
		EXPECT_WRITE(w, "bytes");
		close(w);
		r = fan_reader(&self->fan, 0, 0);
		EXPECT_READ(r, "bytes");
		EXPECT_OVER(r, 0);
		close(r);
	}
	before = fan_state(&self->fan, 0).stats;
	EXPECT_EQ(15, before.bytes_in);
	EXPECT_EQ(3, before.writes);
	EXPECT_EQ(3, before.streams_ended);
	stats = fan_state(&self->fan, 1).stats;
	EXPECT_EQ(15, stats.bytes_in);
	EXPECT_EQ(15, stats.bytes_held);
	EXPECT_EQ(3, stats.writes);
	/* They stay, and go on, over links. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(w, "not for r0");
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r0", NULL));
	stats = fan_state(&self->fan, 0).stats;
	EXPECT_EQ(15, stats.bytes_in);
	EXPECT_EQ(15, stats.bytes_out);
	EXPECT_EQ(3, stats.writes);
	EXPECT_EQ(3, stats.streams_begun);
	EXPECT_LE(before.pool_kib_ms, stats.pool_kib_ms);
	EXPECT_EQ(25, fan_state(&self->fan, 3).stats.bytes_in);
	close(w);
}

/* -------------------------------------------------------- everything at once */

/* What processes share: streams that were whole, and ones that were neither that nor aborted. */
struct load {
	unsigned int whole, bad;
};

static void writes_on(struct fan *f)
{
	int fd;

	for (;;) {
		fd = fan_writer(f, 0);
		if (fd >= 0 && !pattern_write(fd, 300000, 7000, 1, 0))
			ioctl(fd, FAASIN_IOC_END);
		close(fd);
	}
}

/* Whole streams, or ones that say that they are none. */
static void reads_on(struct fan *f, unsigned int i, struct load *load)
{
	struct heard heard;
	char byte;
	int fd;

	for (;;) {
		fd = fan_reader(f, i, 0);
		if (fd < 0)
			continue;
		if (i == 3 && read(fd, &byte, 1) == 1) {
			close(fd);
			continue;
		}
		heard = pattern_read(fd, 5000 + i, 1);
		if (!heard.intact || (heard.end ? heard.end != -ECONNABORTED :
				      heard.bytes != 300000))
			__atomic_fetch_add(&load->bad, 1, __ATOMIC_RELAXED);
		else if (!heard.end)
			__atomic_fetch_add(&load->whole, 1, __ATOMIC_RELAXED);
		close(fd);
	}
}

TEST_F_TIMEOUT(links, links_come_and_go_under_load, 120)
{
	struct load *load = shared(sizeof(*load));
	unsigned int i, round;
	pid_t pids[STAGES + 1];
	uint64_t seed = 7;
	char name[16];

	for (i = 0; i <= STAGES; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		if (i == STAGES)
			writes_on(&self->fan);
		else
			reads_on(&self->fan, i, load);
	}
	for (round = 0; round < 150; round++) {
		i = random_next(&seed) % STAGES;
		snprintf(name, sizeof(name), "r%u", i);
		switch (random_next(&seed) % 5) {
		case 0:
			fan_unlink(&self->fan, "a", name);
			break;
		case 1:
			fan_set_state(&self->fan, name, FAASIN_LINK_STATE_PAUSED);
			fan_set_state(&self->fan, name, FAASIN_LINK_STATE_RUNNING);
			break;
		case 2:
			fan_resize(&self->fan, name, (16 + random_next(&seed) % 100) * PAGE);
			break;
		default:
			fan_link(&self->fan, "a", name, NULL);
		}
		if (!fan_links(&self->fan))
			EXPECT_EQ(0, fan_link(&self->fan, "a", fan_list('r', 0, STAGES - 1), NULL));
		usleep(random_next(&seed) % 10000);
	}
	for (i = 0; i <= STAGES; i++)
		child_kill(pids[i], SIGKILL);
	EXPECT_EQ(0, load->bad);
	EXPECT_LT(0, load->whole);
	TH_LOG("%u streams were whole", load->whole);
	munmap(load, sizeof(*load));
}

TEST_HARNESS_MAIN
