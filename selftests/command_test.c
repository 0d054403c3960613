// SPDX-License-Identifier: GPL-2.0
/*
 * Every command: attributes that it does not take or that nobody knows, headers, flags, cut-off
 * messages.
 */
#include <linux/capability.h>

#include "harness.h"
#include "world.h"

#define ATTRS	8

static const struct command {
	uint8_t cmd;
	uint16_t max;
	bool changes;
	uint32_t takes;		/* bit mask of attributes */
} commands[] = {
	{ FAASIN_CMD_INFO_GET, FAASIN_A_INFO_MAX, false, 0 },
	{ FAASIN_CMD_WORKFLOW_GET, FAASIN_A_WORKFLOW_MAX, false, 1 << FAASIN_A_WORKFLOW_NAME },
	{ FAASIN_CMD_WORKFLOW_NEW, FAASIN_A_WORKFLOW_MAX, true,
	  1 << FAASIN_A_WORKFLOW_NAME | 1 << FAASIN_A_WORKFLOW_CGROUP_FD |
	  1 << FAASIN_A_WORKFLOW_FLAGS },
	{ FAASIN_CMD_WORKFLOW_DEL, FAASIN_A_WORKFLOW_MAX, true,
	  1 << FAASIN_A_WORKFLOW_NAME | 1 << FAASIN_A_WORKFLOW_GENERATION },
	{ FAASIN_CMD_STAGE_GET, FAASIN_A_STAGE_MAX, false,
	  1 << FAASIN_A_STAGE_WORKFLOW | 1 << FAASIN_A_STAGE_NAME },
	{ FAASIN_CMD_STAGE_NEW, FAASIN_A_STAGE_MAX, true,
	  1 << FAASIN_A_STAGE_WORKFLOW | 1 << FAASIN_A_STAGE_NAME |
	  1 << FAASIN_A_STAGE_CGROUP_FD | 1 << FAASIN_A_STAGE_UID | 1 << FAASIN_A_STAGE_GID |
	  1 << FAASIN_A_STAGE_MODE | 1 << FAASIN_A_STAGE_PORT },
	{ FAASIN_CMD_STAGE_DEL, FAASIN_A_STAGE_MAX, true,
	  1 << FAASIN_A_STAGE_WORKFLOW | 1 << FAASIN_A_STAGE_NAME |
	  1 << FAASIN_A_STAGE_GENERATION },
	{ FAASIN_CMD_LINK_GET, FAASIN_A_LINK_MAX, false,
	  1 << FAASIN_A_LINK_WORKFLOW | 1 << FAASIN_A_LINK_SRC_STAGE |
	  1 << FAASIN_A_LINK_SRC_PORT },
	{ FAASIN_CMD_LINK_NEW, FAASIN_A_LINK_MAX, true,
	  1 << FAASIN_A_LINK_WORKFLOW | 1 << FAASIN_A_LINK_SRC_STAGE |
	  1 << FAASIN_A_LINK_SRC_PORT | 1 << FAASIN_A_LINK_DST_STAGE |
	  1 << FAASIN_A_LINK_DST_PORT | 1 << FAASIN_A_LINK_CAPACITY |
	  1 << FAASIN_A_LINK_ABORT_ON | 1 << FAASIN_A_LINK_EARLY_CLOSE |
	  1 << FAASIN_A_LINK_FLAGS | 1 << FAASIN_A_LINK_SLOW |
	  1 << FAASIN_A_LINK_MERGE },
	{ FAASIN_CMD_LINK_DEL, FAASIN_A_LINK_MAX, true,
	  1 << FAASIN_A_LINK_WORKFLOW | 1 << FAASIN_A_LINK_SRC_STAGE |
	  1 << FAASIN_A_LINK_SRC_PORT | 1 << FAASIN_A_LINK_DST_STAGE |
	  1 << FAASIN_A_LINK_DST_PORT | 1 << FAASIN_A_LINK_GENERATION },
	{ FAASIN_CMD_LINK_SET, FAASIN_A_LINK_MAX, true,
	  1 << FAASIN_A_LINK_WORKFLOW | 1 << FAASIN_A_LINK_SRC_STAGE |
	  1 << FAASIN_A_LINK_SRC_PORT | 1 << FAASIN_A_LINK_DST_STAGE |
	  1 << FAASIN_A_LINK_DST_PORT | 1 << FAASIN_A_LINK_GENERATION |
	  1 << FAASIN_A_LINK_CAPACITY | 1 << FAASIN_A_LINK_STATE },
	{ FAASIN_CMD_STAGE_REPLACE, FAASIN_A_STAGE_MAX, true,
	  1 << FAASIN_A_STAGE_WORKFLOW | 1 << FAASIN_A_STAGE_NAME |
	  1 << FAASIN_A_STAGE_GENERATION | 1 << FAASIN_A_STAGE_CGROUP_FD },
};

FIXTURE(command) {
	struct world w;
	const struct command *command;
	struct nl_attr list[ATTRS];
	uint32_t flags;
	uint64_t capacity;
	char new[80];
};

FIXTURE_VARIANT(command) {
	unsigned int index;
};

FIXTURE_VARIANT_ADD(command, info_get) { 0 };
FIXTURE_VARIANT_ADD(command, workflow_get) { 1 };
FIXTURE_VARIANT_ADD(command, workflow_new) { 2 };
FIXTURE_VARIANT_ADD(command, workflow_del) { 3 };
FIXTURE_VARIANT_ADD(command, stage_get) { 4 };
FIXTURE_VARIANT_ADD(command, stage_new) { 5 };
FIXTURE_VARIANT_ADD(command, stage_del) { 6 };
FIXTURE_VARIANT_ADD(command, link_get) { 7 };
FIXTURE_VARIANT_ADD(command, link_new) { 8 };
FIXTURE_VARIANT_ADD(command, link_del) { 9 };
FIXTURE_VARIANT_ADD(command, link_set) { 10 };
FIXTURE_VARIANT_ADD(command, stage_replace) { 11 };

FIXTURE_SETUP(command)
{
	const char *wf = self->w.wf;

	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	self->command = &commands[variant->index];
	self->flags = FAASIN_WORKFLOW_F_UNCHARGED;
	self->capacity = 8192;
	snprintf(self->new, sizeof(self->new), "%s-new", self->w.wf);
	/* What each of them must have, with which it succeeds. */
	switch (self->command->cmd) {
	case FAASIN_CMD_INFO_GET:
		self->list[0].type = NL_END;
		break;
	case FAASIN_CMD_WORKFLOW_NEW:
		nl_set(self->list, NL_STR(FAASIN_A_WORKFLOW_NAME, self->new),
		     NL_RAW(FAASIN_A_WORKFLOW_FLAGS, &self->flags, 4));
		break;
	case FAASIN_CMD_WORKFLOW_GET:
	case FAASIN_CMD_WORKFLOW_DEL:
		nl_set(self->list, NL_STR(FAASIN_A_WORKFLOW_NAME, wf));
		break;
	case FAASIN_CMD_STAGE_NEW:
		nl_set(self->list, NL_STR(FAASIN_A_STAGE_WORKFLOW, wf), NL_STR(FAASIN_A_STAGE_NAME, "e"));
		break;
	case FAASIN_CMD_STAGE_GET:
	case FAASIN_CMD_STAGE_DEL:
	case FAASIN_CMD_STAGE_REPLACE:
		nl_set(self->list, NL_STR(FAASIN_A_STAGE_WORKFLOW, wf), NL_STR(FAASIN_A_STAGE_NAME, "a"));
		break;
	case FAASIN_CMD_LINK_NEW:
		nl_set(self->list, NL_STR(FAASIN_A_LINK_WORKFLOW, wf), NL_STR(FAASIN_A_LINK_SRC_STAGE, "b"),
		     NL_STR(FAASIN_A_LINK_DST_STAGE, "c"));
		break;
	case FAASIN_CMD_LINK_SET:
		nl_set(self->list, NL_STR(FAASIN_A_LINK_WORKFLOW, wf), NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
		     NL_RAW(FAASIN_A_LINK_CAPACITY, &self->capacity, 8));
		break;
	case FAASIN_CMD_LINK_GET:
	case FAASIN_CMD_LINK_DEL:
		nl_set(self->list, NL_STR(FAASIN_A_LINK_WORKFLOW, wf), NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"));
		break;
	}
}

FIXTURE_TEARDOWN(command)
{
	world_del_workflow(&self->w, self->new);
	WORLD_TEARDOWN(&self->w);
}

#define COMMAND(flags)	nl_call(&self->w.nl, self->command->cmd, flags, self->list)

TEST_F(command, succeeds_with_what_it_must_have)
{
	EXPECT_EQ(0, COMMAND(0))
		TH_LOG("%s", self->w.nl.text);
}

TEST_F(command, refuses_attributes_that_it_does_not_take)
{
	struct nl_attr *end = nl_end(self->list);
	static const char data[8] = "x";
	unsigned int attr, len;

	end[1] = *end;
	for (attr = 1; attr <= self->command->max; attr++) {
		if (self->command->takes & 1 << attr)
			continue;
		/* Of whatever size it would have. */
		for (len = 4; len <= 8; len += 4) {
			end[0] = (struct nl_attr)NL_RAW(attr, data, len);
			EXPECT_MALFORMED(&self->w, COMMAND(0));
			if (_metadata->exit_code)
				TH_LOG("attribute %u of %u bytes", attr, len);
		}
	}
}

TEST_F(command, refuses_unknown_attributes)
{
	const uint16_t unknown[] = { 0, self->command->max + 1, 0x3fff };
	struct nl_attr *end = nl_end(self->list);
	size_t i;

	end[1] = *end;
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		end[0] = (struct nl_attr)NL_RAW(unknown[i], "1234", 4);
		EXPECT_MALFORMED(&self->w, COMMAND(0));
	}
}

TEST_F(command, refuses_trailing_bytes)
{
	struct nl_msg msg = { };
	struct nlmsghdr *hdr;

	hdr = nl_begin(&self->w.nl, &msg, self->command->cmd, NLM_F_ACK);
	nl_put_list(&msg, self->list);
	memset(msg.buf + msg.len, 0xff, 3);
	msg.len += 3;
	nl_finish(&msg, hdr);
	EXPECT_MALFORMED(&self->w, nl_transact(&self->w.nl, &msg));
}

/* The kernel's own code refuses it, without a text. */
TEST_F(command, refuses_a_message_without_a_header)
{
	struct world_state before = world_state(&self->w);
	struct nl_msg msg = { };
	struct nlmsghdr *hdr;

	hdr = nl_begin(&self->w.nl, &msg, self->command->cmd, NLM_F_ACK);
	msg.len = NLMSG_HDRLEN;
	nl_finish(&msg, hdr);
	EXPECT_EQ(EINVAL, nl_transact(&self->w.nl, &msg));
	EXPECT_TRUE(world_same(&self->w, &before));
}

/* Nobody answers a message that says it is longer than what was sent. */
TEST_F(command, ignores_a_message_cut_short)
{
	struct world_state before = world_state(&self->w);
	struct nl_msg msg = { };
	struct nlmsghdr *hdr;

	hdr = nl_begin(&self->w.nl, &msg, self->command->cmd, NLM_F_ACK);
	nl_put_list(&msg, self->list);
	nl_finish(&msg, hdr);
	hdr->nlmsg_len += 4;
	EXPECT_EQ(0, nl_post(&self->w.nl, &msg));
	EXPECT_EQ(EAGAIN, nl_event(&self->w.nl, 0));
	EXPECT_TRUE(world_same(&self->w, &before));
}

TEST_F(command, refuses_flags_that_it_does_not_know)
{
	EXPECT_MALFORMED(&self->w, COMMAND(NLM_F_APPEND));
	EXPECT_MALFORMED(&self->w, COMMAND(NLM_F_REPLACE));
	EXPECT_MALFORMED(&self->w, COMMAND(0x4000));
}

TEST_F(command, refuses_a_header_with_reserved_bits)
{
	struct nl_msg msg = { };
	struct nlmsghdr *hdr;

	hdr = nl_begin(&self->w.nl, &msg, self->command->cmd, NLM_F_ACK);
	((struct genlmsghdr *)(hdr + 1))->reserved = 1;
	nl_put_list(&msg, self->list);
	nl_finish(&msg, hdr);
	EXPECT_MALFORMED(&self->w, nl_transact(&self->w.nl, &msg));
}

TEST_HARNESS_MAIN
