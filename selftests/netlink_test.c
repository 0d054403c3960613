// SPDX-License-Identifier: GPL-2.0
/*
 * Every attribute of every command: missing, empty, too short, too long, without its NUL, cut
 * off, repeated, of no use. A request that is refused says why, and leaves everything as it was.
 *
 * The fixture holds stages a ---> b, and c and d without a link.
 */
#include <linux/capability.h>

#include "harness.h"
#include "world.h"

enum kind { STRING, U32, U64, FD, NEST };

#define ATTRS	14

FIXTURE(attr) {
	struct world w;
	uint64_t generation[3];		/* of the workflow, of stage a, of the link */
	int cgroup;
	struct nl_attr list[ATTRS];
	uint64_t big;
};

FIXTURE_VARIANT(attr) {
	uint8_t cmd;
	uint16_t attr;
	enum kind kind;
	bool required;
	const char *other;	/* another value, valid by itself */
	int error;		/* of a request with that; 0: it succeeds */
};

#define ATTR(c, group, a, k, r, o, e)						\
FIXTURE_VARIANT_ADD(attr, c##_##a) {						\
	FAASIN_CMD_##c, FAASIN_A_##group##_##a, k, r, o, e }

ATTR(WORKFLOW_GET, WORKFLOW, NAME, STRING, true, "no-such", ENOENT);
ATTR(WORKFLOW_NEW, WORKFLOW, NAME, STRING, true, "other", 0);
ATTR(WORKFLOW_NEW, WORKFLOW, CGROUP_FD, FD, true, "-1", EBADF);
ATTR(WORKFLOW_NEW, WORKFLOW, FLAGS, U32, true, "2", EINVAL);
ATTR(WORKFLOW_DEL, WORKFLOW, NAME, STRING, true, "no-such", ENOENT);
ATTR(WORKFLOW_DEL, WORKFLOW, GENERATION, U64, false, "7", ESTALE);
ATTR(STAGE_GET, STAGE, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(STAGE_GET, STAGE, NAME, STRING, true, "no-such", ENOENT);
ATTR(STAGE_NEW, STAGE, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(STAGE_NEW, STAGE, NAME, STRING, true, "other", 0);
ATTR(STAGE_NEW, STAGE, CGROUP_FD, FD, false, "-1", EBADF);
ATTR(STAGE_NEW, STAGE, UID, U32, false, "7", 0);
ATTR(STAGE_NEW, STAGE, GID, U32, false, "7", 0);
ATTR(STAGE_NEW, STAGE, MODE, U32, false, "7", 0);
ATTR(STAGE_NEW, STAGE, PORT, NEST, false, "more", 0);
ATTR(STAGE_DEL, STAGE, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(STAGE_DEL, STAGE, NAME, STRING, true, "no-such", ENOENT);
ATTR(STAGE_DEL, STAGE, GENERATION, U64, false, "7", ESTALE);
ATTR(STAGE_REPLACE, STAGE, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(STAGE_REPLACE, STAGE, NAME, STRING, true, "no-such", ENOENT);
ATTR(STAGE_REPLACE, STAGE, GENERATION, U64, false, "7", ESTALE);
ATTR(STAGE_REPLACE, STAGE, CGROUP_FD, FD, false, "-1", EBADF);
ATTR(LINK_GET, LINK, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(LINK_GET, LINK, SRC_STAGE, STRING, true, "no-such", ENOENT);
ATTR(LINK_GET, LINK, SRC_PORT, STRING, false, "no-such", ENOENT);
ATTR(LINK_NEW, LINK, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(LINK_NEW, LINK, SRC_STAGE, STRING, true, "no-such", ENOENT);
ATTR(LINK_NEW, LINK, SRC_PORT, STRING, false, "no-such", ENOENT);
ATTR(LINK_NEW, LINK, DST_STAGE, STRING, true, "no-such", ENOENT);
ATTR(LINK_NEW, LINK, DST_PORT, STRING, false, "no-such", ENOENT);
ATTR(LINK_NEW, LINK, CAPACITY, U64, false, "4097", EINVAL);
ATTR(LINK_NEW, LINK, ABORT_ON, U32, false, "0", 0);
ATTR(LINK_NEW, LINK, EARLY_CLOSE, U32, false, "0", 0);
ATTR(LINK_NEW, LINK, FLAGS, U32, false, "2147483648", EINVAL);
ATTR(LINK_NEW, LINK, SLOW, U32, false, "0", 0);
ATTR(LINK_NEW, LINK, MERGE, U32, false, "1", EINVAL);
ATTR(LINK_DEL, LINK, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(LINK_DEL, LINK, SRC_STAGE, STRING, true, "no-such", ENOENT);
ATTR(LINK_DEL, LINK, SRC_PORT, STRING, false, "no-such", ENOENT);
ATTR(LINK_DEL, LINK, DST_STAGE, STRING, false, "no-such", ENOENT);
ATTR(LINK_DEL, LINK, DST_PORT, STRING, false, "no-such", ENOENT);
ATTR(LINK_DEL, LINK, GENERATION, U64, false, "7", ESTALE);
ATTR(LINK_SET, LINK, WORKFLOW, STRING, true, "no-such", ENOENT);
ATTR(LINK_SET, LINK, SRC_STAGE, STRING, true, "no-such", ENOENT);
ATTR(LINK_SET, LINK, SRC_PORT, STRING, false, "no-such", ENOENT);
ATTR(LINK_SET, LINK, DST_STAGE, STRING, false, "no-such", ENOENT);
ATTR(LINK_SET, LINK, DST_PORT, STRING, false, "no-such", ENOENT);
ATTR(LINK_SET, LINK, GENERATION, U64, false, "7", ESTALE);
ATTR(LINK_SET, LINK, CAPACITY, U64, false, "4097", EINVAL);
ATTR(LINK_SET, LINK, STATE, U32, false, "0", 0);

/* A request with every attribute that the command takes, and that succeeds. */
static void fill(FIXTURE_DATA(attr) *self, const FIXTURE_VARIANT(attr) *variant)
{
	static const uint32_t out = FAASIN_DIRECTION_OUT;
	static const struct nl_attr port[] = {
		{ FAASIN_A_PORT_NAME, sizeof("extra"), "extra", NULL },
		NL_RAW(FAASIN_A_PORT_DIRECTION, &out, 4),
		{ NL_END, 0, NULL, NULL },
	};
	static const uint32_t uid = 1000, mode = 0600, flags = FAASIN_WORKFLOW_F_UNCHARGED,
		nonzero = FAASIN_ABORT_ON_NONZERO, drain = FAASIN_EARLY_CLOSE_DRAIN,
		paused = FAASIN_LINK_STATE_PAUSED, trusted = FAASIN_LINK_F_TRUSTED,
		drop = FAASIN_SLOW_DROP, streams = FAASIN_MERGE_STREAMS;
	static const uint64_t capacity = 8192;
	const bool pays = variant->attr == FAASIN_A_WORKFLOW_CGROUP_FD;
	const char *wf = self->w.wf;
	static char new[80];

	snprintf(new, sizeof(new), "%s-new", wf);
	switch (variant->cmd) {
	case FAASIN_CMD_WORKFLOW_GET:
		nl_set(self->list, NL_STR(FAASIN_A_WORKFLOW_NAME, wf));
		break;
	case FAASIN_CMD_WORKFLOW_NEW:
		if (pays)
			nl_set(self->list, NL_STR(FAASIN_A_WORKFLOW_NAME, new),
			     NL_RAW(FAASIN_A_WORKFLOW_CGROUP_FD, &self->cgroup, 4));
		else
			nl_set(self->list, NL_STR(FAASIN_A_WORKFLOW_NAME, new),
			     NL_RAW(FAASIN_A_WORKFLOW_FLAGS, &flags, 4));
		break;
	case FAASIN_CMD_WORKFLOW_DEL:
		nl_set(self->list, NL_STR(FAASIN_A_WORKFLOW_NAME, wf),
		     NL_RAW(FAASIN_A_WORKFLOW_GENERATION, &self->generation[0], 8));
		break;
	case FAASIN_CMD_STAGE_GET:
		nl_set(self->list, NL_STR(FAASIN_A_STAGE_WORKFLOW, wf), NL_STR(FAASIN_A_STAGE_NAME, "a"));
		break;
	case FAASIN_CMD_STAGE_NEW:
		nl_set(self->list, NL_STR(FAASIN_A_STAGE_WORKFLOW, wf), NL_STR(FAASIN_A_STAGE_NAME, "e"),
		     NL_RAW(FAASIN_A_STAGE_CGROUP_FD, &self->cgroup, 4),
		     NL_RAW(FAASIN_A_STAGE_UID, &uid, 4), NL_RAW(FAASIN_A_STAGE_GID, &uid, 4),
		     NL_RAW(FAASIN_A_STAGE_MODE, &mode, 4),
		     { FAASIN_A_STAGE_PORT, 0, NULL, port });
		break;
	case FAASIN_CMD_STAGE_DEL:
		nl_set(self->list, NL_STR(FAASIN_A_STAGE_WORKFLOW, wf), NL_STR(FAASIN_A_STAGE_NAME, "a"),
		     NL_RAW(FAASIN_A_STAGE_GENERATION, &self->generation[1], 8));
		break;
	case FAASIN_CMD_STAGE_REPLACE:
		nl_set(self->list, NL_STR(FAASIN_A_STAGE_WORKFLOW, wf), NL_STR(FAASIN_A_STAGE_NAME, "a"),
		     NL_RAW(FAASIN_A_STAGE_GENERATION, &self->generation[1], 8),
		     NL_RAW(FAASIN_A_STAGE_CGROUP_FD, &self->cgroup, 4));
		break;
	case FAASIN_CMD_LINK_GET:
		nl_set(self->list, NL_STR(FAASIN_A_LINK_WORKFLOW, wf), NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
		     NL_STR(FAASIN_A_LINK_SRC_PORT, FAASIN_PORT_OUT));
		break;
	case FAASIN_CMD_LINK_NEW:
		nl_set(self->list, NL_STR(FAASIN_A_LINK_WORKFLOW, wf), NL_STR(FAASIN_A_LINK_SRC_STAGE, "c"),
		     NL_STR(FAASIN_A_LINK_SRC_PORT, FAASIN_PORT_OUT),
		     NL_STR(FAASIN_A_LINK_DST_STAGE, "d"),
		     NL_STR(FAASIN_A_LINK_DST_PORT, FAASIN_PORT_IN),
		     NL_RAW(FAASIN_A_LINK_CAPACITY, &capacity, 8),
		     NL_RAW(FAASIN_A_LINK_ABORT_ON, &nonzero, 4),
		     NL_RAW(FAASIN_A_LINK_EARLY_CLOSE, &drain, 4),
		     NL_RAW(FAASIN_A_LINK_FLAGS, &trusted, 4),
		     NL_RAW(FAASIN_A_LINK_SLOW, &drop, 4),
		     NL_RAW(FAASIN_A_LINK_MERGE, &streams, 4));
		break;
	case FAASIN_CMD_LINK_SET:
		nl_set(self->list, NL_STR(FAASIN_A_LINK_WORKFLOW, wf), NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
		     NL_STR(FAASIN_A_LINK_SRC_PORT, FAASIN_PORT_OUT),
		     NL_STR(FAASIN_A_LINK_DST_STAGE, "b"),
		     NL_STR(FAASIN_A_LINK_DST_PORT, FAASIN_PORT_IN),
		     NL_RAW(FAASIN_A_LINK_GENERATION, &self->generation[2], 8),
		     NL_RAW(FAASIN_A_LINK_CAPACITY, &capacity, 8),
		     NL_RAW(FAASIN_A_LINK_STATE, &paused, 4));
		break;
	case FAASIN_CMD_LINK_DEL:
		nl_set(self->list, NL_STR(FAASIN_A_LINK_WORKFLOW, wf), NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
		     NL_STR(FAASIN_A_LINK_SRC_PORT, FAASIN_PORT_OUT),
		     NL_STR(FAASIN_A_LINK_DST_STAGE, "b"),
		     NL_STR(FAASIN_A_LINK_DST_PORT, FAASIN_PORT_IN),
		     NL_RAW(FAASIN_A_LINK_GENERATION, &self->generation[2], 8));
		break;
	}
}

FIXTURE_SETUP(attr)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "d", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	self->generation[0] = world_generation(&self->w);
	self->generation[1] = world_stage_generation(&self->w, "a");
	self->generation[2] = world_link_generation(&self->w, "a");
	self->cgroup = cgroup_open(world_cgroup(&self->w, NULL));
	ASSERT_LE(0, self->cgroup);
	fill(self, variant);
}

FIXTURE_TEARDOWN(attr)
{
	char new[80];

	snprintf(new, sizeof(new), "%s-new", self->w.wf);
	world_del_workflow(&self->w, new);
	world_del_workflow(&self->w, "other");
	close(self->cgroup);
	WORLD_TEARDOWN(&self->w);
}

static struct nl_attr *target(FIXTURE_DATA(attr) *self, const FIXTURE_VARIANT(attr) *variant)
{
	struct nl_attr *attr = self->list;

	while (attr->type != variant->attr)
		attr++;
	return attr;
}

#define REQUEST()	nl_call(&self->w.nl, variant->cmd, 0, self->list)

TEST_F(attr, complete)
{
	EXPECT_EQ(0, REQUEST())
		TH_LOG("%s", self->w.nl.text);
}

TEST_F(attr, missing)
{
	struct nl_attr *attr = target(self, variant);

	do
		attr[0] = attr[1];
	while (attr++->type != NL_END);
	if (variant->required)
		EXPECT_MALFORMED(&self->w, REQUEST());
	else
		ASSERT_EQ(0, REQUEST());
}

TEST_F(attr, empty)
{
	struct nl_attr *attr = target(self, variant);

	attr->nest = NULL;
	attr->len = 0;
	EXPECT_MALFORMED(&self->w, REQUEST());
}

TEST_F(attr, too_short)
{
	struct nl_attr *attr = target(self, variant);
	static const char garbage[4] = { 1, 2, 3, 4 };

	switch (variant->kind) {
	case STRING:	/* the empty one */
		attr->data = "";
		attr->len = 1;
		break;
	case U32:
	case FD:
	case U64:
		attr->len--;
		break;
	case NEST:
		attr->nest = NULL;
		attr->data = garbage;
		attr->len = 2;
		attr->type |= NLA_F_NESTED;
		break;
	}
	EXPECT_MALFORMED(&self->w, REQUEST());
}

TEST_F(attr, too_long)
{
	struct nl_attr *attr = target(self, variant);
	static char name[FAASIN_NAME_MAX + 2];
	static struct nl_attr port[4];
	char data[16] = { };

	switch (variant->kind) {
	case STRING:
		memset(name, 'x', FAASIN_NAME_MAX + 1);
		attr->data = name;
		attr->len = sizeof(name);
		break;
	case U32:
	case FD:
	case U64:
		memcpy(data, attr->data, attr->len);
		attr->data = data;
		attr->len++;
		break;
	case NEST:	/* one more than a port has */
		memcpy(port, attr->nest, 2 * sizeof(port[0]));
		port[2] = (struct nl_attr)NL_RAW(FAASIN_A_PORT_MAX + 1, data, 4);
		port[3].type = NL_END;
		attr->nest = port;
		break;
	}
	EXPECT_MALFORMED(&self->w, REQUEST());
}

TEST_F(attr, cut_off)
{
	struct nl_attr *attr = target(self, variant);
	struct nl_attr keep = *attr;
	struct nl_msg msg = { };
	struct nlmsghdr *hdr;
	struct nlattr *last;

	/* It goes last, and says that it is longer than the message. */
	do
		attr[0] = attr[1];
	while (attr++->type != NL_END);
	hdr = nl_begin(&self->w.nl, &msg, variant->cmd, NLM_F_ACK);
	nl_put_list(&msg, self->list);
	last = nl_put(&msg, keep.type, keep.data, keep.nest ? 0 : keep.len);
	last->nla_len += 64;
	nl_finish(&msg, hdr);
	EXPECT_MALFORMED(&self->w, nl_transact(&self->w.nl, &msg));
}

/* What was asked for is what there is. */
static bool as_asked(FIXTURE_DATA(attr) *self, const FIXTURE_VARIANT(attr) *variant)
{
	const struct nl_attr *right = target(self, variant);
	struct nl *nl = &self->w.nl;
	char new[80];

	snprintf(new, sizeof(new), "%s-new", self->w.wf);
	switch (variant->cmd) {
	case FAASIN_CMD_WORKFLOW_NEW:
		return !nl_call(nl, FAASIN_CMD_WORKFLOW_GET, 0,
				NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, new)));
	case FAASIN_CMD_STAGE_NEW:
		if (nl_call(nl, FAASIN_CMD_STAGE_GET, 0,
			    NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				    NL_STR(FAASIN_A_STAGE_NAME, "e"))))
			return false;
		break;
	case FAASIN_CMD_LINK_NEW:
		if (nl_call(nl, FAASIN_CMD_LINK_GET, 0,
			    NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, self->w.wf),
				    NL_STR(FAASIN_A_LINK_SRC_STAGE, "c"))))
			return false;
		break;
	case FAASIN_CMD_LINK_SET:
		if (nl_call(nl, FAASIN_CMD_LINK_GET, 0,
			    NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, self->w.wf),
				    NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"))))
			return false;
		break;
	default:
		return true;
	}
	if (variant->kind == U32)
		return nl_get_u32(nl, variant->attr) == *(const uint32_t *)right->data;
	if (variant->kind == U64)
		return nl_get_u64(nl, variant->attr) == *(const uint64_t *)right->data;
	return true;
}

TEST_F(attr, repeated_the_last_counts)
{
	struct nl_attr *attr = target(self, variant), *end = nl_end(attr);
	struct nl_attr right = *attr, other = *attr;
	static struct nl_attr port[3];

	switch (variant->kind) {
	case STRING:
		other.data = variant->other;
		other.len = strlen(variant->other) + 1;
		break;
	case NEST:	/* whose repetition does not replace */
		memcpy(port, attr->nest, sizeof(port));
		port[0] = (struct nl_attr)NL_STR(FAASIN_A_PORT_NAME, variant->other);
		other.nest = port;
		break;
	default:
		self->big = strtoll(variant->other, NULL, 0);
		other.data = &self->big;
	}
	end[1] = end[0];
	end[0] = other;
	if (variant->error)
		EXPECT_REFUSAL(&self->w, variant->error, REQUEST());
	/* The other way round. */
	*end = right;
	*attr = other;
	EXPECT_EQ(0, REQUEST())
		TH_LOG("%s", self->w.nl.text);
	*attr = right;
	EXPECT_TRUE(as_asked(self, variant));
	if (variant->kind == NEST) {
		EXPECT_EQ(0, access(world_path(&self->w, "e", "extra"), F_OK));
		EXPECT_EQ(0, access(world_path(&self->w, "e", "more"), F_OK));
	}
}

/* ------------------------------------------------------- those that are strings */

FIXTURE(string) {
	FIXTURE_DATA(attr) attr;
};

FIXTURE_VARIANT(string) {
	FIXTURE_VARIANT(attr) attr;
};

#define TEXT(c, group, a)							\
FIXTURE_VARIANT_ADD(string, c##_##a) {						\
	{ FAASIN_CMD_##c, FAASIN_A_##group##_##a, STRING, false, NULL, 0 } }

TEXT(WORKFLOW_GET, WORKFLOW, NAME);
TEXT(WORKFLOW_NEW, WORKFLOW, NAME);
TEXT(WORKFLOW_DEL, WORKFLOW, NAME);
TEXT(STAGE_GET, STAGE, WORKFLOW);
TEXT(STAGE_GET, STAGE, NAME);
TEXT(STAGE_NEW, STAGE, WORKFLOW);
TEXT(STAGE_NEW, STAGE, NAME);
TEXT(STAGE_DEL, STAGE, WORKFLOW);
TEXT(STAGE_DEL, STAGE, NAME);
TEXT(STAGE_REPLACE, STAGE, WORKFLOW);
TEXT(STAGE_REPLACE, STAGE, NAME);
TEXT(LINK_GET, LINK, WORKFLOW);
TEXT(LINK_GET, LINK, SRC_STAGE);
TEXT(LINK_GET, LINK, SRC_PORT);
TEXT(LINK_NEW, LINK, WORKFLOW);
TEXT(LINK_NEW, LINK, SRC_STAGE);
TEXT(LINK_NEW, LINK, SRC_PORT);
TEXT(LINK_NEW, LINK, DST_STAGE);
TEXT(LINK_NEW, LINK, DST_PORT);
TEXT(LINK_DEL, LINK, WORKFLOW);
TEXT(LINK_DEL, LINK, SRC_STAGE);
TEXT(LINK_DEL, LINK, SRC_PORT);
TEXT(LINK_DEL, LINK, DST_STAGE);
TEXT(LINK_DEL, LINK, DST_PORT);
TEXT(LINK_SET, LINK, WORKFLOW);
TEXT(LINK_SET, LINK, SRC_STAGE);
TEXT(LINK_SET, LINK, SRC_PORT);
TEXT(LINK_SET, LINK, DST_STAGE);
TEXT(LINK_SET, LINK, DST_PORT);

FIXTURE_SETUP(string)
{
	attr_setup(_metadata, &self->attr, &variant->attr);
}

FIXTURE_TEARDOWN(string)
{
	attr_teardown(_metadata, &self->attr, &variant->attr);
}

TEST_F(string, without_nul)
{
	struct nl_attr *attr = target(&self->attr, &variant->attr);

	attr->len--;
	EXPECT_MALFORMED(&self->attr.w,
			 nl_call(&self->attr.w.nl, variant->attr.cmd, 0, self->attr.list));
}

TEST_F(string, with_something_after_its_nul)
{
	struct nl_attr *attr = target(&self->attr, &variant->attr);
	char text[FAASIN_NAME_MAX + 8] = "";

	memcpy(text, attr->data, attr->len);
	text[attr->len] = 'x';
	attr->data = text;
	attr->len += 2;
	EXPECT_MALFORMED(&self->attr.w,
			 nl_call(&self->attr.w.nl, variant->attr.cmd, 0, self->attr.list));
}

TEST_HARNESS_MAIN
