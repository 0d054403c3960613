// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that are well-formed and refused all the same: each error that the header lists,
 * each with a text, each leaving everything as it was. And those that change nothing because
 * things are as asked already.
 */
#include <sys/mount.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

FIXTURE(refusal) {
	struct world w;
	const char *wf;
};

/* Stages a ---> b, and c and d without a link. */
FIXTURE_SETUP(refusal)
{
	WORLD_SETUP(&self->w, world_new);
	self->wf = self->w.wf;
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "d", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
}

FIXTURE_TEARDOWN(refusal)
{
	WORLD_TEARDOWN(&self->w);
}

#define CALL(cmd, ...)	nl_call(&self->w.nl, FAASIN_CMD_##cmd, 0, NL_LIST(__VA_ARGS__))
#define CALL_EXCL(cmd, ...)							\
	nl_call(&self->w.nl, FAASIN_CMD_##cmd, NLM_F_EXCL, NL_LIST(__VA_ARGS__))

#define W(name)		NL_STR(FAASIN_A_WORKFLOW_NAME, name)
#define W_UNCHARGED	NL_U32(FAASIN_A_WORKFLOW_FLAGS, FAASIN_WORKFLOW_F_UNCHARGED)
#define W_CGROUP(fd)	NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd)
#define S(name)		NL_STR(FAASIN_A_STAGE_WORKFLOW, self->wf),		\
			NL_STR(FAASIN_A_STAGE_NAME, name)
#define S_CGROUP(fd)	NL_U32(FAASIN_A_STAGE_CGROUP_FD, fd)
#define S_PORT(name, direction)							\
	NL_NEST(FAASIN_A_STAGE_PORT, NL_STR(FAASIN_A_PORT_NAME, name),		\
		NL_U32(FAASIN_A_PORT_DIRECTION, FAASIN_DIRECTION_##direction))
#define L(src, dst)	NL_STR(FAASIN_A_LINK_WORKFLOW, self->wf),		\
			NL_STR(FAASIN_A_LINK_SRC_STAGE, src),			\
			NL_STR(FAASIN_A_LINK_DST_STAGE, dst)
#define L_CAPACITY(n)	NL_U64(FAASIN_A_LINK_CAPACITY, n)

/* -------------------------------------------------------------------- names */

FIXTURE(name) {
	struct world w;
	const char *wf;
	char name[80];
};

FIXTURE_VARIANT(name) {
	const char *name;	/* NULL: as long as it may be */
	bool good;
};

FIXTURE_VARIANT_ADD(name, empty) { "", false };
FIXTURE_VARIANT_ADD(name, dot) { ".", false };
FIXTURE_VARIANT_ADD(name, dots) { "..", false };
FIXTURE_VARIANT_ADD(name, leading_dot) { ".hidden", false };
FIXTURE_VARIANT_ADD(name, reserved) { "self", false };
FIXTURE_VARIANT_ADD(name, slash) { "a/b", false };
FIXTURE_VARIANT_ADD(name, leading_slash) { "/a", false };
FIXTURE_VARIANT_ADD(name, blank) { "a b", false };
FIXTURE_VARIANT_ADD(name, newline) { "a\n", false };
FIXTURE_VARIANT_ADD(name, control) { "a\001", false };
FIXTURE_VARIANT_ADD(name, umlaut) { "\xc3\xa4", false };
FIXTURE_VARIANT_ADD(name, high_byte) { "\xff", false };
FIXTURE_VARIANT_ADD(name, colon) { "a:b", false };
FIXTURE_VARIANT_ADD(name, percent) { "%s%n", false };
FIXTURE_VARIANT_ADD(name, star) { "*", false };
FIXTURE_VARIANT_ADD(name, too_long)
	{ "0123456789012345678901234567890123456789012345678901234567890123", false };
FIXTURE_VARIANT_ADD(name, longest)
	{ "012345678901234567890123456789012345678901234567890123456789012", true };
FIXTURE_VARIANT_ADD(name, every_kind) { "Az09._-", true };
FIXTURE_VARIANT_ADD(name, one_letter) { "x", true };
FIXTURE_VARIANT_ADD(name, one_dash) { "-", true };
FIXTURE_VARIANT_ADD(name, inner_dots) { "a..", true };
FIXTURE_VARIANT_ADD(name, almost_reserved) { "Self", true };

FIXTURE_SETUP(name)
{
	WORLD_SETUP(&self->w, world_new);
	self->wf = self->w.wf;
	ASSERT_EQ(0, world_stage(&self->w, "stage", NULL));
}

FIXTURE_TEARDOWN(name)
{
	if (variant->good)
		world_del_workflow(&self->w, variant->name);
	WORLD_TEARDOWN(&self->w);
}

#define EXPECT_NAME(call)							\
do {										\
	if (variant->good) {							\
		EXPECT_EQ(0, call)						\
			TH_LOG("'%s'", self->w.nl.text);			\
	} else {								\
		EXPECT_MALFORMED(&self->w, call);				\
	}									\
} while (0)

TEST_F(name, of_a_workflow)
{
	char path[200];

	EXPECT_NAME(CALL(WORKFLOW_NEW, W(variant->name), W_UNCHARGED));
	snprintf(path, sizeof(path), MOUNT_POINT "/%s", variant->name);
	if (variant->good)
		EXPECT_EQ(0, access(path, F_OK));
}

TEST_F(name, of_a_stage)
{
	EXPECT_NAME(CALL(STAGE_NEW, S(variant->name)));
	if (variant->good)
		EXPECT_EQ(0, access(world_path(&self->w, variant->name, "faasin"), F_OK));
}

TEST_F(name, of_a_port)
{
	EXPECT_NAME(CALL(STAGE_NEW, S("stage"), S_PORT(variant->name, OUT)));
	if (variant->good)
		EXPECT_EQ(0, access(world_path(&self->w, "stage", variant->name), F_OK));
}

/* ----------------------------------------------------------------- workflows */

TEST_F(refusal, workflow_unknown)
{
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(WORKFLOW_GET, W("no-such")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(WORKFLOW_DEL, W("no-such")));
}

TEST_F(refusal, workflow_exclusive)
{
	EXPECT_REFUSAL(&self->w, EEXIST, CALL_EXCL(WORKFLOW_NEW, W(self->wf), W_UNCHARGED));
}

TEST_F(refusal, workflow_of_another_incarnation)
{
	uint64_t old = world_generation(&self->w);

	EXPECT_REFUSAL(&self->w, ESTALE, CALL(WORKFLOW_DEL, W(self->wf),
				    NL_U64(FAASIN_A_WORKFLOW_GENERATION, old + 1000)));
	ASSERT_EQ(0, CALL(WORKFLOW_DEL, W(self->wf)));
	ASSERT_EQ(0, CALL(WORKFLOW_NEW, W(self->wf), W_UNCHARGED));
	EXPECT_NE(old, world_generation(&self->w));
	EXPECT_REFUSAL(&self->w, ESTALE, CALL(WORKFLOW_DEL, W(self->wf),
				    NL_U64(FAASIN_A_WORKFLOW_GENERATION, old)));
	EXPECT_EQ(0, CALL(WORKFLOW_DEL, W(self->wf),
			  NL_U64(FAASIN_A_WORKFLOW_GENERATION, world_generation(&self->w))));
}

TEST_F(refusal, workflow_flags)
{
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(WORKFLOW_NEW, W("w-flags"),
				    NL_U32(FAASIN_A_WORKFLOW_FLAGS,
					   FAASIN_WORKFLOW_F_UNCHARGED | 1u << 31)));
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(WORKFLOW_NEW, W("w-flags"),
				    NL_U32(FAASIN_A_WORKFLOW_FLAGS,
					   FAASIN_WORKFLOW_F_UNCHARGED |
					   FAASIN_WORKFLOW_F_CGROUP_GONE)));
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(WORKFLOW_NEW, W("w-flags"),
				    NL_U32(FAASIN_A_WORKFLOW_FLAGS, 0)));
}

/* --------------------------------------------------------------------- stages */

TEST_F(refusal, stage_unknown)
{
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(STAGE_GET, S("no-such")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(STAGE_DEL, S("no-such")));
	self->wf = "no-such";
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(STAGE_NEW, S("a")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(STAGE_GET, S("a")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(STAGE_DEL, S("a")));
}

TEST_F(refusal, stage_exclusive)
{
	EXPECT_REFUSAL(&self->w, EEXIST, CALL_EXCL(STAGE_NEW, S("a")));
	EXPECT_EQ(0, CALL_EXCL(STAGE_NEW, S("e")));
}

TEST_F(refusal, stage_of_another_incarnation)
{
	uint64_t old = world_stage_generation(&self->w, "c");

	ASSERT_EQ(0, CALL(STAGE_DEL, S("c")));
	ASSERT_EQ(0, CALL(STAGE_NEW, S("c")));
	EXPECT_NE(old, world_stage_generation(&self->w, "c"));
	EXPECT_REFUSAL(&self->w, ESTALE, CALL(STAGE_DEL, S("c"), NL_U64(FAASIN_A_STAGE_GENERATION, old)));
	EXPECT_EQ(0, CALL(STAGE_DEL, S("c"),
			  NL_U64(FAASIN_A_STAGE_GENERATION,
				 world_stage_generation(&self->w, "c"))));
}

TEST_F(refusal, stage_mode_out_of_range)
{
	int error;

	error = CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_MODE, 01000));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	error = CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_MODE, S_ISUID | 0755));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	error = CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_MODE, ~0u));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_EQ(0, CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_MODE, 0777)));
	EXPECT_EQ(0, CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_MODE, 0)));
}

TEST_F(refusal, stage_owner_that_is_none)
{
	int error;

	error = CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_UID, -1));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	error = CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_GID, -1));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
}

TEST_F(refusal, port_in_the_other_direction)
{
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(STAGE_NEW, S("a"), S_PORT("faasin", OUT)));
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(STAGE_NEW, S("a"), S_PORT("faasout", IN)));
	ASSERT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT("extra", OUT)));
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(STAGE_NEW, S("a"), S_PORT("extra", IN)));
	EXPECT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT("extra", OUT), S_PORT("faasin", IN)));
}

TEST_F(refusal, stage_with_one_bad_port_is_not_made)
{
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(STAGE_NEW, S("e"), S_PORT("one", OUT), S_PORT("one", IN)));
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(STAGE_NEW, S("e"), S_PORT("one", OUT), S_PORT("self", IN)));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(STAGE_GET, S("e")));
	/* Nor is one that exists changed by half. */
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_MODE, 0600),
				    S_PORT("one", OUT), S_PORT(".", IN)));
}

TEST_F(refusal, port_attributes)
{
	int error;

	error = CALL(STAGE_NEW, S("a"),
		     NL_NEST(FAASIN_A_STAGE_PORT, NL_STR(FAASIN_A_PORT_NAME, "p")));
	EXPECT_EQ(EINVAL, error);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	error = CALL(STAGE_NEW, S("a"),
		     NL_NEST(FAASIN_A_STAGE_PORT, NL_U32(FAASIN_A_PORT_DIRECTION, 1)));
	EXPECT_EQ(EINVAL, error);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	error = CALL(STAGE_NEW, S("a"),
		     NL_NEST(FAASIN_A_STAGE_PORT, NL_STR(FAASIN_A_PORT_NAME, "p"),
			     NL_U32(FAASIN_A_PORT_DIRECTION, 2)));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	error = CALL(STAGE_NEW, S("a"),
		     NL_NEST(FAASIN_A_STAGE_PORT, NL_STR(FAASIN_A_PORT_NAME, "p"),
			     NL_U32(FAASIN_A_PORT_DIRECTION, 1),
			     NL_STR(FAASIN_A_PORT_PEER_STAGE, "b")));
	EXPECT_EQ(EINVAL, error);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	EXPECT_ENTRIES("faasin faasout self ", world_path(&self->w, "a", NULL));
}

TEST_F(refusal, one_port_too_many)
{
	char name[16];
	int i;

	/* Two are there. */
	for (i = 2; i < FAASIN_PORTS_MAX; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		ASSERT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT(name, OUT)));
	}
	EXPECT_REFUSAL(&self->w, ENOSPC, CALL(STAGE_NEW, S("a"), S_PORT("more", OUT)));
	/* Those that are there can be asked for. */
	EXPECT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT("p2", OUT)));
}

TEST_F(refusal, more_ports_in_one_request_than_there_can_be)
{
	static struct nl_attr list[FAASIN_PORTS_MAX + 4], ports[FAASIN_PORTS_MAX + 1][3];
	static const uint32_t out = FAASIN_DIRECTION_OUT;
	static char names[FAASIN_PORTS_MAX + 1][8];
	int i;

	memcpy(list, NL_LIST(S("e")), 3 * sizeof(list[0]));
	for (i = 0; i < FAASIN_PORTS_MAX + 1; i++) {
		snprintf(names[i], sizeof(names[i]), "p%d", i);
		ports[i][0] = (struct nl_attr)NL_STR(FAASIN_A_PORT_NAME, names[i]);
		ports[i][1] = (struct nl_attr)NL_RAW(FAASIN_A_PORT_DIRECTION, &out, 4);
		ports[i][2].type = NL_END;
		list[2 + i] = (struct nl_attr){ FAASIN_A_STAGE_PORT, 0, NULL, ports[i] };
	}
	list[2 + i].type = NL_END;
	EXPECT_REFUSAL(&self->w, ENOSPC, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0, list));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(STAGE_GET, S("e")));
}

TEST_F_TIMEOUT(refusal, one_stage_too_many, 60)
{
	char name[16];
	int i;

	/* Four are there. */
	for (i = 4; i < FAASIN_STAGES_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		ASSERT_EQ(0, world_stage(&self->w, name, NULL));
	}
	EXPECT_EQ(ENOSPC, CALL(STAGE_NEW, S("more")));
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	EXPECT_EQ(0, CALL(STAGE_NEW, S("s4")));
	ASSERT_EQ(0, CALL(STAGE_DEL, S("s4")));
	EXPECT_EQ(0, CALL(STAGE_NEW, S("more")));
}

/* ---------------------------------------------------------------------- links */

TEST_F(refusal, link_to_itself)
{
	EXPECT_REFUSAL(&self->w, ELOOP, CALL(LINK_NEW, L("c", "c")));
}

TEST_F(refusal, link_that_closes_a_loop)
{
	EXPECT_REFUSAL(&self->w, ELOOP, CALL(LINK_NEW, L("b", "a")));
	ASSERT_EQ(0, CALL(LINK_NEW, L("b", "c")));
	ASSERT_EQ(0, CALL(LINK_NEW, L("c", "d")));
	EXPECT_REFUSAL(&self->w, ELOOP, CALL(LINK_NEW, L("d", "a")));
}

TEST_F(refusal, loop_through_other_ports)
{
	ASSERT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT("back", IN)));
	ASSERT_EQ(0, CALL(STAGE_NEW, S("b"), S_PORT("more", OUT)));
	EXPECT_REFUSAL(&self->w, ELOOP, CALL(LINK_NEW, L("b", "a"),
				   NL_STR(FAASIN_A_LINK_SRC_PORT, "more"),
				   NL_STR(FAASIN_A_LINK_DST_PORT, "back")));
}

TEST_F(refusal, two_ways_are_no_loop)
{
	ASSERT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT("more", OUT)));
	ASSERT_EQ(0, CALL(STAGE_NEW, S("c"), S_PORT("more", IN)));
	ASSERT_EQ(0, CALL(LINK_NEW, L("b", "c")));
	EXPECT_EQ(0, CALL(LINK_NEW, L("a", "c"), NL_STR(FAASIN_A_LINK_SRC_PORT, "more"),
			  NL_STR(FAASIN_A_LINK_DST_PORT, "more")))
		TH_LOG("%s", self->w.nl.text);
}

TEST_F(refusal, ways_that_meet_again_are_no_loop)
{
	ASSERT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT("more", OUT)));
	ASSERT_EQ(0, CALL(STAGE_NEW, S("d"), S_PORT("more", IN)));
	ASSERT_EQ(0, CALL(STAGE_NEW, S("e"), S_PORT("back", IN)));
	ASSERT_EQ(0, CALL(LINK_NEW, L("b", "d")));
	ASSERT_EQ(0, CALL(LINK_NEW, L("a", "c"), NL_STR(FAASIN_A_LINK_SRC_PORT, "more")));
	ASSERT_EQ(0, CALL(LINK_NEW, L("c", "d"), NL_STR(FAASIN_A_LINK_DST_PORT, "more")));
	EXPECT_EQ(0, CALL(LINK_NEW, L("e", "a")))
		TH_LOG("%s", self->w.nl.text);
	EXPECT_REFUSAL(&self->w, ELOOP, CALL(LINK_NEW, L("d", "e")));
}

TEST_F(refusal, link_of_a_port_in_use)
{
	EXPECT_REFUSAL(&self->w, EBUSY, CALL(LINK_NEW, L("a", "c")));
	EXPECT_REFUSAL(&self->w, EBUSY, CALL(LINK_NEW, L("c", "b")));
}

TEST_F(refusal, link_exclusive)
{
	EXPECT_REFUSAL(&self->w, EEXIST, CALL_EXCL(LINK_NEW, L("a", "b")));
	EXPECT_EQ(0, CALL_EXCL(LINK_NEW, L("b", "c")));
}

TEST_F(refusal, link_with_other_options)
{
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(LINK_NEW, L("a", "b"), L_CAPACITY(8192)));
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(LINK_NEW, L("a", "b"),
				    NL_U32(FAASIN_A_LINK_ABORT_ON, FAASIN_ABORT_ON_NEVER)));
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(LINK_NEW, L("a", "b"),
				    NL_U32(FAASIN_A_LINK_EARLY_CLOSE,
					   FAASIN_EARLY_CLOSE_DRAIN)));
	EXPECT_REFUSAL(&self->w, EEXIST, CALL(LINK_NEW, L("a", "b"),
				    NL_U32(FAASIN_A_LINK_SLOW, FAASIN_SLOW_DROP)));
	EXPECT_EQ(0, CALL(LINK_NEW, L("a", "b"),
			  NL_U32(FAASIN_A_LINK_SLOW, FAASIN_SLOW_THROTTLE)));
}

TEST_F(refusal, link_that_merges_alone)
{
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(LINK_NEW, L("c", "d"),
				    NL_U32(FAASIN_A_LINK_FLAGS, FAASIN_LINK_F_RECORDS),
				    NL_U32(FAASIN_A_LINK_MERGE, FAASIN_MERGE_RECORDS)));
}

TEST_F(refusal, link_set_to_nothing)
{
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(LINK_SET, L("a", "b")));
}

TEST_F(refusal, link_against_the_direction)
{
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(LINK_NEW, L("c", "d"),
				    NL_STR(FAASIN_A_LINK_SRC_PORT, FAASIN_PORT_IN)));
	EXPECT_REFUSAL(&self->w, EINVAL, CALL(LINK_NEW, L("c", "d"),
				    NL_STR(FAASIN_A_LINK_DST_PORT, FAASIN_PORT_OUT)));
}

TEST_F(refusal, link_unknown)
{
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_NEW, L("c", "no-such")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_NEW, L("no-such", "c")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_NEW, L("c", "d"),
				    NL_STR(FAASIN_A_LINK_SRC_PORT, "no-such")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_NEW, L("c", "d"),
				    NL_STR(FAASIN_A_LINK_DST_PORT, "no-such")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_DEL, L("c", "d")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_DEL, L("a", "c")));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_GET, NL_STR(FAASIN_A_LINK_WORKFLOW, self->wf),
				    NL_STR(FAASIN_A_LINK_SRC_STAGE, "c")));
	self->wf = "no-such";
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_NEW, L("c", "d")));
}

TEST_F(refusal, link_of_another_incarnation)
{
	uint64_t old = world_link_generation(&self->w, "a");

	ASSERT_EQ(0, CALL(LINK_DEL, L("a", "b")));
	ASSERT_EQ(0, CALL(LINK_NEW, L("a", "b")));
	EXPECT_NE(old, world_link_generation(&self->w, "a"));
	EXPECT_REFUSAL(&self->w, ESTALE, CALL(LINK_DEL, L("a", "b"),
				    NL_U64(FAASIN_A_LINK_GENERATION, old)));
	EXPECT_EQ(0, CALL(LINK_DEL, L("a", "b"),
			  NL_U64(FAASIN_A_LINK_GENERATION,
				 world_link_generation(&self->w, "a"))));
}

FIXTURE(capacity) {
	struct world w;
	const char *wf;
};

FIXTURE_VARIANT(capacity) {
	uint64_t bytes;
	bool good;
	bool range;	/* out of range and nothing else */
};

FIXTURE_VARIANT_ADD(capacity, zero) { 0, false, true };
FIXTURE_VARIANT_ADD(capacity, one) { 1, false, false };
FIXTURE_VARIANT_ADD(capacity, below_the_least) { 4095, false, false };
FIXTURE_VARIANT_ADD(capacity, least) { FAASIN_CAPACITY_MIN, true, false };
FIXTURE_VARIANT_ADD(capacity, odd) { 4097, false, false };
FIXTURE_VARIANT_ADD(capacity, half_pages) { 3 * 2048, false, false };
FIXTURE_VARIANT_ADD(capacity, pages) { 3 * 4096, true, false };
FIXTURE_VARIANT_ADD(capacity, most) { FAASIN_CAPACITY_MAX, true, false };
FIXTURE_VARIANT_ADD(capacity, above_the_most) { FAASIN_CAPACITY_MAX + 4096ull, false, true };
FIXTURE_VARIANT_ADD(capacity, four_gigabytes) { 1ull << 32, false, true };
FIXTURE_VARIANT_ADD(capacity, largest_number) { UINT64_MAX, false, false };

FIXTURE_SETUP(capacity)
{
	WORLD_SETUP(&self->w, world_new);
	self->wf = self->w.wf;
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
}

FIXTURE_TEARDOWN(capacity)
{
	WORLD_TEARDOWN(&self->w);
}

TEST_F(capacity, of_a_link)
{
	struct world_state before = world_state(&self->w);
	int error = CALL(LINK_NEW, L("a", "b"), L_CAPACITY(variant->bytes));

	if (variant->good) {
		EXPECT_EQ(0, error)
			TH_LOG("%s", self->w.nl.text);
		ASSERT_EQ(0, CALL(LINK_GET, NL_STR(FAASIN_A_LINK_WORKFLOW, self->wf),
				  NL_STR(FAASIN_A_LINK_SRC_STAGE, "a")));
		EXPECT_EQ(variant->bytes, nl_get_u64(&self->w.nl, FAASIN_A_LINK_CAPACITY));
		free(before.bytes);
		return;
	}
	EXPECT_TRUE(error == ERANGE || (!variant->range && error == EINVAL))
		TH_LOG("error %d", error);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	EXPECT_TRUE(world_same(&self->w, &before));
}

TEST_F(refusal, link_policies_out_of_range)
{
	int error;

	error = CALL(LINK_NEW, L("c", "d"), NL_U32(FAASIN_A_LINK_ABORT_ON, 3));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	error = CALL(LINK_NEW, L("c", "d"), NL_U32(FAASIN_A_LINK_EARLY_CLOSE, 2));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	error = CALL(LINK_NEW, L("c", "d"), NL_U32(FAASIN_A_LINK_SLOW, 2));
	EXPECT_TRUE(error == ERANGE || error == EINVAL);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	EXPECT_REFUSAL(&self->w, ENOENT, CALL(LINK_DEL, L("c", "d")));
}

/* ---------------------------------------------------------------- idempotence */

TEST_F(refusal, workflow_as_asked_is_success)
{
	struct world_state before = world_state(&self->w);

	EXPECT_EQ(0, CALL(WORKFLOW_NEW, W(self->wf), W_UNCHARGED));
	EXPECT_TRUE(world_same(&self->w, &before));
}

TEST_F(refusal, stage_as_asked_is_success)
{
	struct world_state before = world_state(&self->w);

	EXPECT_EQ(0, CALL(STAGE_NEW, S("a")));
	EXPECT_EQ(0, CALL(STAGE_NEW, S("a"), S_PORT("faasout", OUT)));
	EXPECT_EQ(0, CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_MODE, FAASIN_MODE_DEFAULT)));
	EXPECT_TRUE(world_same(&self->w, &before));
}

TEST_F(refusal, stage_keeps_what_is_not_mentioned)
{
	ASSERT_EQ(0, CALL(STAGE_NEW, S("a"), NL_U32(FAASIN_A_STAGE_UID, 7),
			  NL_U32(FAASIN_A_STAGE_GID, 8), NL_U32(FAASIN_A_STAGE_MODE, 0640)));
	ASSERT_EQ(0, CALL(STAGE_NEW, S("a")));
	ASSERT_EQ(0, CALL(STAGE_GET, S("a")));
	EXPECT_EQ(7, nl_get_u32(&self->w.nl, FAASIN_A_STAGE_UID));
	EXPECT_EQ(8, nl_get_u32(&self->w.nl, FAASIN_A_STAGE_GID));
	EXPECT_EQ(0640, nl_get_u32(&self->w.nl, FAASIN_A_STAGE_MODE));
}

TEST_F(refusal, link_as_asked_is_success)
{
	struct world_state before = world_state(&self->w);

	EXPECT_EQ(0, CALL(LINK_NEW, L("a", "b")));
	EXPECT_EQ(0, CALL(LINK_NEW, L("a", "b"), L_CAPACITY(FAASIN_CAPACITY_DEFAULT),
			  NL_STR(FAASIN_A_LINK_SRC_PORT, FAASIN_PORT_OUT),
			  NL_STR(FAASIN_A_LINK_DST_PORT, FAASIN_PORT_IN)));
	EXPECT_TRUE(world_same(&self->w, &before));
}

TEST_F(refusal, link_as_asked_keeps_its_bytes)
{
	int out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	int in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);

	EXPECT_WRITE(out, "kept");
	EXPECT_EQ(0, CALL(LINK_NEW, L("a", "b")));
	EXPECT_READ(in, "kept");
	close(out);
	close(in);
}

TEST_HARNESS_MAIN
