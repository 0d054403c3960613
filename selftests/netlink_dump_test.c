// SPDX-License-Identifier: GPL-2.0
/*
 * Listings: what is in them, while things change, and with as many workflows as there can be.
 */
#include <sys/utsname.h>
#include <linux/capability.h>

#include "harness.h"
#include "world.h"

#define SOME	1000	/* enough for a dump of several messages */

FIXTURE(dump) {
	struct world w;
	struct nl nl;	/* that dumps */
	bool many;
};

FIXTURE_SETUP(dump)
{
	const int large = 16 << 20;

	WORLD_SETUP(&self->w, world_new);
	/* For the refusals of many requests at once. */
	ASSERT_EQ(0, setsockopt(self->w.nl.fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large)));
	ASSERT_EQ(0, nl_open(&self->nl));
}

/* Requests for workflows [@from, @to), many in a message; the last one's result. */
static int many_workflows(struct world *w, int from, int to, bool come)
{
	static struct nl_msg msg;
	const uint32_t flags = FAASIN_WORKFLOW_F_UNCHARGED;
	struct nlmsghdr *hdr;
	char name[80];
	int i, error = 0;

	msg.len = 0;
	for (i = from; i < to && !error; i++) {
		bool last = i == to - 1 || msg.len > sizeof(msg.buf) - 1024;

		snprintf(name, sizeof(name), "%.40s.%05d", w->wf, i);
		hdr = nl_begin(&w->nl, &msg,
			       come ? FAASIN_CMD_WORKFLOW_NEW : FAASIN_CMD_WORKFLOW_DEL,
			       last ? NLM_F_ACK : 0);
		nl_put(&msg, FAASIN_A_WORKFLOW_NAME, name, strlen(name) + 1);
		if (come)
			nl_put(&msg, FAASIN_A_WORKFLOW_FLAGS, &flags, sizeof(flags));
		nl_finish(&msg, hdr);
		if (last) {
			error = nl_transact(&w->nl, &msg);
			msg.len = 0;
		}
	}
	return error;
}

static struct nl_attr workflow_filter(struct world *w)
{
	return (struct nl_attr)NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf);
}

FIXTURE_TEARDOWN(dump)
{
	if (self->many)
		many_workflows(&self->w, 0, FAASIN_WORKFLOWS_MAX, false);
	nl_shut(&self->nl);
	WORLD_TEARDOWN(&self->w);
}

/* Which of the numbered objects were seen, and how often. */
struct seen {
	const char *prefix;
	uint16_t attr;
	int others;
	unsigned char times[FAASIN_WORKFLOWS_MAX];
};

static bool note(void *arg, const void *attrs, size_t len)
{
	struct seen *seen = arg;
	const char *name = nl_str(attrs, len, seen->attr);
	size_t skip = strlen(seen->prefix);
	int nr;

	if (!strncmp(name, seen->prefix, skip) && sscanf(name + skip, ".%d", &nr) == 1 &&
	    nr >= 0 && nr < FAASIN_WORKFLOWS_MAX)
		seen->times[nr]++;
	else
		seen->others++;
	return false;
}

static struct seen *nothing_seen(struct world *w)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	seen.prefix = w->wf;
	seen.attr = FAASIN_A_WORKFLOW_NAME;
	return &seen;
}

static int not_once(struct seen *seen, int from, int to)
{
	int i, bad = 0;

	for (i = from; i < to; i++)
		bad += seen->times[i] != 1;
	return bad;
}

TEST_F(dump, of_workflows)
{
	struct seen *seen = nothing_seen(&self->w);

	self->many = true;
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, true));
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_WORKFLOW_GET, NL_NONE, note, seen));
	EXPECT_EQ(0, not_once(seen, 0, SOME));
	EXPECT_FALSE(self->nl.intr);
	EXPECT_LT(SOME, (int)self->nl.parts);
}

static bool first_stage(void *arg, const void *attrs, size_t len)
{
	char *all = arg;

	strcat(strcat(all, nl_str(attrs, len, FAASIN_A_STAGE_WORKFLOW)), "/");
	strcat(strcat(all, nl_str(attrs, len, FAASIN_A_STAGE_NAME)), " ");
	return false;
}

TEST_F(dump, of_stages_of_one_workflow)
{
	char all[256] = "", expected[256];

	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_STAGE_GET,
			     NL_LIST(workflow_filter(&self->w)), first_stage, all));
	snprintf(expected, sizeof(expected), "%s/b %s/a ", self->w.wf, self->w.wf);
	EXPECT_STREQ(expected, all);
}

TEST_F(dump, of_an_unknown_workflow)
{
	EXPECT_EQ(ENOENT, nl_list(&self->nl, FAASIN_CMD_STAGE_GET,
				  NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, "no-such")), NULL,
				  NULL));
	EXPECT_EQ(ENOENT, nl_list(&self->nl, FAASIN_CMD_LINK_GET,
				  NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, "no-such")), NULL,
				  NULL));
}

/* Old kernels give the start of a dump no room for a text. */
static bool may_lack_text(void)
{
	struct utsname uts;
	int major = 0, minor = 0;

	uname(&uts);
	sscanf(uts.release, "%d.%d", &major, &minor);
	return major < 6 || (major == 6 && minor < 12);
}

TEST_F(dump, of_an_unknown_workflow_says_so)
{
	EXPECT_EQ(ENOENT, nl_list(&self->nl, FAASIN_CMD_STAGE_GET,
				  NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, "no-such")), NULL,
				  NULL));
	if (!self->nl.text[0] && may_lack_text())
		SKIP(return, "this kernel has no room for a text in the refusal of a dump");
	EXPECT_NE(0, (int)strlen(self->nl.text));
}

TEST_F(dump, refuses_attributes_that_it_does_not_take)
{
	int error;

	error = nl_list(&self->nl, FAASIN_CMD_STAGE_GET,
			NL_LIST(NL_U32(FAASIN_A_STAGE_MODE, 1)), NULL, NULL);
	EXPECT_EQ(EINVAL, error);
	EXPECT_NE(0, (int)strlen(self->nl.text));
	error = nl_list(&self->nl, FAASIN_CMD_WORKFLOW_GET,
			NL_LIST(NL_U32(FAASIN_A_WORKFLOW_MAX + 1, 1)), NULL, NULL);
	EXPECT_EQ(EINVAL, error);
	EXPECT_NE(0, (int)strlen(self->nl.text));
	error = nl_list(&self->nl, FAASIN_CMD_LINK_GET,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, "a/b")), NULL, NULL);
	EXPECT_TRUE(error == EINVAL || error == ENOENT);
}

/* What a request for one object takes, but no listing. */
TEST_F(dump, is_limited_to_a_workflow_and_nothing_else)
{
	EXPECT_EQ(EINVAL, nl_list(&self->nl, FAASIN_CMD_WORKFLOW_GET,
				  NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->w.wf)), NULL, NULL));
	EXPECT_EQ(EINVAL, nl_list(&self->nl, FAASIN_CMD_STAGE_GET,
				  NL_LIST(workflow_filter(&self->w),
					  NL_STR(FAASIN_A_STAGE_NAME, "a")), NULL, NULL));
	EXPECT_EQ(EINVAL, nl_list(&self->nl, FAASIN_CMD_LINK_GET,
				  NL_LIST(workflow_filter(&self->w),
					  NL_STR(FAASIN_A_LINK_SRC_STAGE, "a")), NULL, NULL));
	EXPECT_TRUE(self->nl.text[0] || may_lack_text());
}

static bool count_links(void *arg, const void *attrs, size_t len)
{
	const struct nlattr *stats = nl_find(attrs, len, FAASIN_A_LINK_STATS);
	int *n = arg, i;

	if (!*nl_str(attrs, len, FAASIN_A_LINK_SRC_PORT) ||
	    !*nl_str(attrs, len, FAASIN_A_LINK_DST_PORT) ||
	    nl_u64(attrs, len, FAASIN_A_LINK_CAPACITY) != FAASIN_CAPACITY_DEFAULT || !stats)
		*n = -1000;
	for (i = FAASIN_A_STATS_BYTES_IN; stats && i <= FAASIN_A_STATS_MAX; i++)
		if (!nl_find(nl_data(stats), nl_len(stats), i))
			*n = -2000;
	++*n;
	return false;
}

TEST_F(dump, of_links_of_one_workflow)
{
	int n = 0;

	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	ASSERT_EQ(0, world_link(&self->w, "b", "c"));
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_LINK_GET, NL_LIST(workflow_filter(&self->w)),
			     count_links, &n));
	EXPECT_EQ(2, n);
}

static bool count_ports(void *arg, const void *attrs, size_t len)
{
	const struct nlattr *attr = attrs;
	int *n = arg;

	while (len >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN && attr->nla_len <= len) {
		size_t step = NLA_ALIGN(attr->nla_len);

		if ((attr->nla_type & NLA_TYPE_MASK) == FAASIN_A_STAGE_PORT)
			++*n;
		if (step >= len)
			break;
		len -= step;
		attr = (const void *)((const char *)attr + step);
	}
	return false;
}

TEST_F(dump, of_stages_with_all_the_ports_there_can_be)
{
	/* The longest names, so that a stage is as large as it gets. */
	static char name[FAASIN_NAME_MAX + 1];
	char stage[8];
	int i, j, n = 0;

	for (j = 0; j < 3; j++) {
		snprintf(stage, sizeof(stage), "s%d", j);
		for (i = 2; i < FAASIN_PORTS_MAX; i++) {
			snprintf(name, sizeof(name), "%0*d", FAASIN_NAME_MAX, i);
			ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
					     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
						     NL_STR(FAASIN_A_STAGE_NAME, stage),
						     NL_NEST(FAASIN_A_STAGE_PORT,
							     NL_STR(FAASIN_A_PORT_NAME, name),
							     NL_U32(FAASIN_A_PORT_DIRECTION, 1)))));
		}
	}
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_STAGE_GET,
			     NL_LIST(workflow_filter(&self->w)), count_ports, &n))
		TH_LOG("%s", self->nl.text);
	EXPECT_EQ(3 * FAASIN_PORTS_MAX, n);
	n = 0;
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_GET, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "s1"))))
		TH_LOG("%s", self->w.nl.text);
	count_ports(&n, self->w.nl.reply, self->w.nl.len);
	EXPECT_EQ(FAASIN_PORTS_MAX, n);
}

/*
 * Linked in pairs, but for the last ones: messages end within ports of either kind; the first one
 * at each place in a linked port, as the room that it has becomes larger.
 */
TEST_F_TIMEOUT(dump, of_more_ports_than_a_message_has_room_for, 120)
{
	enum { PORTED = 12, ROOM = 20000, PLACES = 4 * FAASIN_NAME_MAX };
	/* A socket from which nothing else was read: the kernel remembers the largest buffer. */
	struct nl nl = { .fd = -1, .family = self->nl.family };
	static char name[FAASIN_NAME_MAX + 1];
	char stage[PORTED][8];
	int i, j, n = 0;

	for (j = 0; j < PORTED; j++) {
		uint32_t way = j % 2 ? FAASIN_DIRECTION_IN : FAASIN_DIRECTION_OUT;

		snprintf(stage[j], sizeof(stage[j]), "s%d", j);
		for (i = 2; i < FAASIN_PORTS_MAX; i++) {
			snprintf(name, sizeof(name), "%0*d", FAASIN_NAME_MAX, i);
			ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
					     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
						     NL_STR(FAASIN_A_STAGE_NAME, stage[j]),
						     NL_NEST(FAASIN_A_STAGE_PORT,
							     NL_STR(FAASIN_A_PORT_NAME, name),
							     NL_U32(FAASIN_A_PORT_DIRECTION, way)))));
			if (j % 2 == 0 || j > PORTED - 4)
				continue;
			ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_LINK_NEW, 0,
					     NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, self->w.wf),
						     NL_STR(FAASIN_A_LINK_SRC_STAGE, stage[j - 1]),
						     NL_STR(FAASIN_A_LINK_SRC_PORT, name),
						     NL_STR(FAASIN_A_LINK_DST_STAGE, stage[j]),
						     NL_STR(FAASIN_A_LINK_DST_PORT, name),
						     NL_U64(FAASIN_A_LINK_CAPACITY, PAGE))));
		}
	}
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_STAGE_GET,
			     NL_LIST(workflow_filter(&self->w)), count_ports, &n))
		TH_LOG("%s", self->nl.text);
	EXPECT_EQ(PORTED * FAASIN_PORTS_MAX, n);

	nl.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	ASSERT_LE(0, nl.fd);
	for (nl.room = ROOM; nl.room < ROOM + PLACES; nl.room += NLA_ALIGNTO) {
		n = 0;
		ASSERT_EQ(0, nl_list(&nl, FAASIN_CMD_STAGE_GET,
				     NL_LIST(workflow_filter(&self->w)), count_ports, &n));
		ASSERT_EQ(PORTED * FAASIN_PORTS_MAX, n)
			TH_LOG("%zu bytes of room", nl.room);
	}
	close(nl.fd);
}

/*
 * Names of all lengths, so that messages end in the middle of all that is said of a link or a
 * stage.
 */
#define LINKS	(FAASIN_STAGES_MAX - 1)

static const char *chained(int i)
{
	static char names[2][FAASIN_NAME_MAX + 1];
	char *name = names[i % 2];

	snprintf(name, sizeof(names[0]), "%0*d", 4 + i * 7 % (FAASIN_NAME_MAX - 3), i);
	return name;
}

/* The links that have a cause, or the stages that have a peer. */
static bool count_said(void *arg, const void *attrs, size_t len)
{
	unsigned char *times = arg;
	const char *name = nl_str(attrs, len, FAASIN_A_LINK_SRC_STAGE);
	int i = atoi(name);

	if (i >= 0 && i < LINKS && !strcmp(name, chained(i)) &&
	    nl_u32(attrs, len, FAASIN_A_LINK_CAUSE) == FAASIN_CAUSE_REQUEST &&
	    !strcmp(name, nl_str(attrs, len, FAASIN_A_LINK_CAUSE_STAGE)))
		times[i]++;
	return false;
}

static bool count_stages(void *arg, const void *attrs, size_t len)
{
	unsigned char *times = arg;
	const char *name = nl_str(attrs, len, FAASIN_A_STAGE_NAME);
	int i = atoi(name), ports = 0;

	count_ports(&ports, attrs, len);
	if (i >= 0 && i <= LINKS && !strcmp(name, chained(i)) && ports == 2)
		times[i]++;
	return false;
}

TEST_F_TIMEOUT(dump, of_objects_of_all_sizes, 120)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };
	static unsigned char links[LINKS], stages[LINKS + 1];
	int i, fd, bad = 0;

	for (i = 0; i <= LINKS; i++) {
		ASSERT_EQ(0, world_stage(&self->w, chained(i), NULL));
		if (!i)
			continue;
		ASSERT_EQ(0, world_link_of(&self->w, chained(i - 1), chained(i), PAGE));
		fd = world_open(&self->w, chained(i - 1), FAASIN_PORT_OUT, O_WRONLY);
		ASSERT_EQ(0, ioctl(fd, FAASIN_IOC_ABORT, &abort));
		close(fd);
	}
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_LINK_GET, NL_LIST(workflow_filter(&self->w)),
			     count_said, links));
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_STAGE_GET, NL_LIST(workflow_filter(&self->w)),
			     count_stages, stages));
	for (i = 0; i < LINKS; i++)
		bad += links[i] != 1 || stages[i] != 1;
	EXPECT_EQ(0, bad);
	EXPECT_EQ(1, stages[LINKS]);
}

/* ---------------------------------------------------------- while it changes */

/* Dumps all, and does @change after the first part. */
#define DUMP_AND(change)							\
({										\
	struct seen *and_seen = nothing_seen(&self->w);				\
	bool and_done = false;							\
	int and_error;								\
										\
	and_error = nl_dump_start(&self->nl, FAASIN_CMD_WORKFLOW_GET, NL_NONE);	\
	if (!and_error)								\
		and_error = nl_dump_some(&self->nl, note, and_seen, &and_done);	\
	EXPECT_FALSE(and_done);							\
	change;									\
	while (!and_error && !and_done)						\
		and_error = nl_dump_some(&self->nl, note, and_seen, &and_done);	\
	EXPECT_EQ(0, and_error);						\
	and_seen;								\
})

/* Either it says that it changed, or what was there all the time is listed once. */
#define EXPECT_HONEST(seen, from, to)						\
	EXPECT_TRUE(self->nl.intr || !not_once(seen, from, to))

TEST_F(dump, while_some_go)
{
	struct seen *seen;

	self->many = true;
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, true));
	seen = DUMP_AND(EXPECT_EQ(0, many_workflows(&self->w, 0, 100, false)));
	EXPECT_HONEST(seen, 100, SOME);
}

TEST_F(dump, while_some_come)
{
	struct seen *seen;

	self->many = true;
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, true));
	seen = DUMP_AND(EXPECT_EQ(0, many_workflows(&self->w, SOME, SOME + 100, true)));
	EXPECT_HONEST(seen, 0, SOME);
}

TEST_F(dump, while_all_go)
{
	struct seen *seen;
	int i;

	self->many = true;
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, true));
	seen = DUMP_AND(EXPECT_EQ(0, many_workflows(&self->w, 0, SOME, false)));
	for (i = 0; i < SOME; i++)
		EXPECT_GE(1, seen->times[i]);
}

TEST_F(dump, says_that_it_changed)
{
	self->many = true;
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, true));
	DUMP_AND((void)0);
	EXPECT_FALSE(self->nl.intr);
	DUMP_AND(EXPECT_EQ(0, many_workflows(&self->w, 100, 200, false)));
	EXPECT_TRUE(self->nl.intr);
}

TEST_F(dump, of_a_workflow_that_goes)
{
	bool done = false;
	int i, n = 0, error;
	char name[16];

	for (i = 0; i < FAASIN_STAGES_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		ASSERT_EQ(0, world_stage(&self->w, name, NULL));
	}
	ASSERT_EQ(0, nl_dump_start(&self->nl, FAASIN_CMD_STAGE_GET,
				   NL_LIST(workflow_filter(&self->w))));
	error = nl_dump_some(&self->nl, count_ports, &n, &done);
	ASSERT_EQ(0, error);
	ASSERT_FALSE(done);
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	while (!error && !done)
		error = nl_dump_some(&self->nl, count_ports, &n, &done);
	/* It may end or fail, but does not go on for ever or speak of what is gone. */
	EXPECT_TRUE(error == 0 || error == ENOENT);
	EXPECT_GT(2 * 1000, n);
}

TEST_F(dump, left_in_the_middle)
{
	struct seen *seen = nothing_seen(&self->w);
	bool done = false;

	self->many = true;
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, true));
	ASSERT_EQ(0, nl_dump_start(&self->nl, FAASIN_CMD_WORKFLOW_GET, NL_NONE));
	ASSERT_EQ(0, nl_dump_some(&self->nl, note, seen, &done));
	ASSERT_FALSE(done);
	/* Nothing is held by it: what is gone is gone. */
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, false));
	nl_shut(&self->nl);
	ASSERT_EQ(0, nl_open(&self->nl));
}

TEST_F(dump, two_at_once)
{
	struct seen *seen = nothing_seen(&self->w);
	static struct seen other;
	bool done = false, other_done = false;
	struct nl nl;

	self->many = true;
	ASSERT_EQ(0, nl_open(&nl));
	other = *seen;
	ASSERT_EQ(0, many_workflows(&self->w, 0, SOME, true));
	ASSERT_EQ(0, nl_dump_start(&self->nl, FAASIN_CMD_WORKFLOW_GET, NL_NONE));
	ASSERT_EQ(0, nl_dump_start(&nl, FAASIN_CMD_WORKFLOW_GET, NL_NONE));
	while (!done || !other_done) {
		if (!done)
			ASSERT_EQ(0, nl_dump_some(&self->nl, note, seen, &done));
		if (!other_done)
			ASSERT_EQ(0, nl_dump_some(&nl, note, &other, &other_done));
	}
	EXPECT_EQ(0, not_once(seen, 0, SOME));
	EXPECT_EQ(0, not_once(&other, 0, SOME));
	nl_shut(&nl);
}

/* ------------------------------------------------------------- ten thousand */

TEST_F_TIMEOUT(dump, as_many_workflows_as_there_can_be, 300)
{
	struct seen *seen = nothing_seen(&self->w);
	uint32_t there, most;
	char name[80], *names;
	int room;

	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	there = nl_get_u32(&self->w.nl, FAASIN_A_INFO_WORKFLOWS);
	most = nl_get_u32(&self->w.nl, FAASIN_A_INFO_WORKFLOWS_MAX);
	EXPECT_EQ(FAASIN_WORKFLOWS_MAX, most);
	room = most - there;

	self->many = true;
	ASSERT_EQ(0, many_workflows(&self->w, 0, room, true))
		TH_LOG("%s", self->w.nl.text);
	EXPECT_EQ(ENOSPC, many_workflows(&self->w, room, room + 1, true));
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	/* One that exists is not one more. */
	EXPECT_EQ(0, many_workflows(&self->w, 0, 1, true));

	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	EXPECT_EQ(most, nl_get_u32(&self->w.nl, FAASIN_A_INFO_WORKFLOWS));
	ASSERT_EQ(0, nl_list(&self->nl, FAASIN_CMD_WORKFLOW_GET, NL_NONE, note, seen));
	EXPECT_EQ(0, not_once(seen, 0, room));
	EXPECT_EQ(there, seen->others);
	snprintf(name, sizeof(name), MOUNT_POINT "/%.40s.%05d", self->w.wf, room - 1);
	EXPECT_EQ(0, access(name, F_OK));
	names = list_directory(MOUNT_POINT);
	ASSERT_NE(NULL, names);
	snprintf(name, sizeof(name), "%.40s.%05d ", self->w.wf, room / 2);
	EXPECT_NE(NULL, strstr(names, name));
	free(names);

	EXPECT_EQ(0, many_workflows(&self->w, 0, room, false));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	EXPECT_EQ(there, nl_get_u32(&self->w.nl, FAASIN_A_INFO_WORKFLOWS));
	self->many = false;
}

TEST_HARNESS_MAIN
