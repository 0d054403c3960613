// SPDX-License-Identifier: GPL-2.0
/*
 * Who may control: CAP_NET_ADMIN and CAP_SYS_ADMIN, both in the initial user namespace, the
 * socket's maker as well as the sender; in the initial network namespace.
 */
#include <sched.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

enum { NEW_FAMILY = 240 };	/* an exit status: the family is not there */

FIXTURE(privilege) {
	struct world w;
};

FIXTURE_VARIANT(privilege) {
	uint8_t cmd;
};

FIXTURE_VARIANT_ADD(privilege, info_get) { FAASIN_CMD_INFO_GET };
FIXTURE_VARIANT_ADD(privilege, workflow_get) { FAASIN_CMD_WORKFLOW_GET };
FIXTURE_VARIANT_ADD(privilege, workflow_new) { FAASIN_CMD_WORKFLOW_NEW };
FIXTURE_VARIANT_ADD(privilege, workflow_del) { FAASIN_CMD_WORKFLOW_DEL };
FIXTURE_VARIANT_ADD(privilege, stage_get) { FAASIN_CMD_STAGE_GET };
FIXTURE_VARIANT_ADD(privilege, stage_new) { FAASIN_CMD_STAGE_NEW };
FIXTURE_VARIANT_ADD(privilege, stage_del) { FAASIN_CMD_STAGE_DEL };
FIXTURE_VARIANT_ADD(privilege, link_get) { FAASIN_CMD_LINK_GET };
FIXTURE_VARIANT_ADD(privilege, link_new) { FAASIN_CMD_LINK_NEW };
FIXTURE_VARIANT_ADD(privilege, link_del) { FAASIN_CMD_LINK_DEL };
FIXTURE_VARIANT_ADD(privilege, link_set) { FAASIN_CMD_LINK_SET };
FIXTURE_VARIANT_ADD(privilege, stage_replace) { FAASIN_CMD_STAGE_REPLACE };

FIXTURE_SETUP(privilege)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "c", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
}

FIXTURE_TEARDOWN(privilege)
{
	char name[80];

	snprintf(name, sizeof(name), "%s-new", self->w.wf);
	world_del_workflow(&self->w, name);
	WORLD_TEARDOWN(&self->w);
}

struct request {
	struct nl *nl;		/* or NULL: one of its own */
	const char *wf;
	uint8_t cmd;
	bool text;		/* out: a text came with the refusal */
};

/* A request that succeeds with the privileges. */
static int ask(void *arg)
{
	static const uint32_t uncharged = FAASIN_WORKFLOW_F_UNCHARGED;
	static const uint64_t capacity = 8192;
	struct request *request = arg;
	static struct nl own;
	struct nl *nl = request->nl;
	struct nl_attr list[5];
	char new[80];
	int error, n = 0;

	if (!nl) {
		nl = &own;
		if (nl_open(nl))
			return NEW_FAMILY;
	}
	snprintf(new, sizeof(new), "%s-new", request->wf);
	switch (request->cmd) {
	case FAASIN_CMD_WORKFLOW_NEW:
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_WORKFLOW_NAME, new);
		list[n++] = (struct nl_attr)NL_RAW(FAASIN_A_WORKFLOW_FLAGS, &uncharged, 4);
		break;
	case FAASIN_CMD_WORKFLOW_GET:
	case FAASIN_CMD_WORKFLOW_DEL:
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_WORKFLOW_NAME, request->wf);
		break;
	case FAASIN_CMD_STAGE_NEW:
	case FAASIN_CMD_STAGE_GET:
	case FAASIN_CMD_STAGE_DEL:
	case FAASIN_CMD_STAGE_REPLACE:
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_STAGE_WORKFLOW, request->wf);
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_STAGE_NAME,
						   request->cmd == FAASIN_CMD_STAGE_NEW ?
						   "new" : "a");
		break;
	case FAASIN_CMD_LINK_NEW:
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_LINK_WORKFLOW, request->wf);
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_LINK_SRC_STAGE, "b");
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_LINK_DST_STAGE, "c");
		break;
	case FAASIN_CMD_LINK_SET:
		list[n++] = (struct nl_attr)NL_RAW(FAASIN_A_LINK_CAPACITY, &capacity, 8);
		/* fallthrough */
	case FAASIN_CMD_LINK_GET:
	case FAASIN_CMD_LINK_DEL:
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_LINK_WORKFLOW, request->wf);
		list[n++] = (struct nl_attr)NL_STR(FAASIN_A_LINK_SRC_STAGE, "a");
		break;
	}
	list[n].type = NL_END;
	error = nl_call(nl, request->cmd, 0, list);
	request->text = nl->text[0];
	if (!request->nl)
		nl_shut(nl);
	return error;
}

#define ALL_CAPS	((1ull << 40) - 1)

static struct request *a_request(FIXTURE_DATA(privilege) *self,
				 const FIXTURE_VARIANT(privilege) *variant)
{
	struct request *request = shared(sizeof(*request));

	if (request) {
		request->wf = self->w.wf;
		request->cmd = variant->cmd;
	}
	return request;
}

#define EXPECT_ASK(result, ...)							\
do {										\
	struct actor ask_who = { __VA_ARGS__ };					\
	struct world_state ask_before = world_state(&self->w);			\
										\
	EXPECT_EQ(result, act(&ask_who, ask, request));				\
	EXPECT_TRUE(world_same(&self->w, &ask_before));				\
} while (0)

TEST_F(privilege, nobody_special)
{
	struct request *request = a_request(self, variant);

	EXPECT_ASK(EPERM, .id = 1000);
	EXPECT_ASK(EPERM, .caps = CAPS_NONE);
}

TEST_F(privilege, all_but_sys_admin)
{
	struct request *request = a_request(self, variant);

	EXPECT_ASK(EPERM, .caps = ALL_CAPS & ~CAP(SYS_ADMIN));
	EXPECT_TRUE(request->text);
	EXPECT_ASK(EPERM, .id = 1000, .caps = CAP(NET_ADMIN));
	EXPECT_TRUE(request->text);
}

/* The kernel's own code refuses it, without a text. */
TEST_F(privilege, all_but_net_admin)
{
	struct request *request = a_request(self, variant);

	EXPECT_ASK(EPERM, .caps = ALL_CAPS & ~CAP(NET_ADMIN));
	EXPECT_ASK(EPERM, .id = 1000, .caps = CAP(SYS_ADMIN));
}

TEST_F(privilege, both_suffice)
{
	struct request *request = a_request(self, variant);
	struct actor who = { .id = 1000, .caps = CAP(NET_ADMIN) | CAP(SYS_ADMIN) };

	EXPECT_EQ(0, act(&who, ask, request));
}

TEST_F(privilege, root_of_a_user_namespace)
{
	struct request *request = a_request(self, variant);

	EXPECT_ASK(EPERM, .namespaces = CLONE_NEWUSER);
}

TEST_F(privilege, root_of_a_user_and_network_namespace)
{
	struct request *request = a_request(self, variant);

	/* There is no such family in there... */
	EXPECT_ASK(NEW_FAMILY, .namespaces = CLONE_NEWUSER | CLONE_NEWNET);
}

struct numbers {
	struct request request;
	struct nl nl;
};

/* ... nor under its number. */
static int ask_by_number(void *arg)
{
	struct numbers *numbers = arg;
	struct nl *nl = &numbers->nl;

	nl->fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	numbers->request.nl = nl;
	return ask(&numbers->request);
}

TEST_F(privilege, other_network_namespace)
{
	struct numbers *numbers = shared(sizeof(*numbers));
	struct world_state before = world_state(&self->w);
	struct actor who = { .namespaces = CLONE_NEWNET };

	ASSERT_NE(NULL, numbers);
	numbers->request = *a_request(self, variant);
	numbers->nl = self->w.nl;
	EXPECT_EQ(ENOENT, act(&who, ask_by_number, numbers));
	EXPECT_TRUE(world_same(&self->w, &before));
}

TEST_F(privilege, socket_of_a_privileged_maker)
{
	struct request *request = a_request(self, variant);

	request->nl = &self->w.nl;
	EXPECT_ASK(EPERM, .id = 1000);
	EXPECT_ASK(EPERM, .namespaces = CLONE_NEWUSER | CLONE_NEWNET);
}

static int open_socket(void *arg)
{
	int *pair = arg;
	struct msghdr msg = { };
	char control[CMSG_SPACE(sizeof(int))] = { };
	struct iovec iov = { "x", 1 };
	struct cmsghdr *cmsg;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);

	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(pair[1], &msg, 0) == 1 ? 0 : errno;
}

/* A setuid program must not be made to speak for those who gave it its socket. */
TEST_F(privilege, socket_of_an_unprivileged_maker)
{
	struct request *request = a_request(self, variant);
	struct world_state before = world_state(&self->w);
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct actor who = { .id = 1000 };
	struct nl nl = self->w.nl;
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_EQ(0, act(&who, open_socket, pair));
	ASSERT_EQ(1, recvmsg(pair[0], &msg, 0));
	memcpy(&nl.fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(nl.fd));
	request->nl = &nl;
	EXPECT_EQ(EPERM, ask(request));
	EXPECT_TRUE(world_same(&self->w, &before));
	close(nl.fd);
}

/* --------------------------------------------------------------- dumps, events */

FIXTURE(listener) {
	struct world w;
};

FIXTURE_SETUP(listener)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
}

FIXTURE_TEARDOWN(listener)
{
	WORLD_TEARDOWN(&self->w);
}

static bool ignore(void *arg, const void *attrs, size_t len)
{
	(void)attrs;
	(void)len;
	++*(int *)arg;
	return false;
}

static int dump_all(void *arg)
{
	static const uint8_t cmds[] = {
		FAASIN_CMD_WORKFLOW_GET, FAASIN_CMD_STAGE_GET, FAASIN_CMD_LINK_GET,
	};
	struct nl nl;
	int seen = 0;
	size_t i;

	if (nl_open(&nl))
		return NEW_FAMILY;
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		if (nl_list(&nl, cmds[i], NL_NONE, ignore, &seen) != EPERM)
			return 1;
	return seen ? 2 : 0;
}

TEST_F(listener, unprivileged_dumps_nothing)
{
	struct actor who = { .id = 1000 };

	EXPECT_EQ(0, act(&who, dump_all, NULL));
	who.caps = CAP(NET_ADMIN);
	EXPECT_EQ(0, act(&who, dump_all, NULL));
	who = (struct actor){ .namespaces = CLONE_NEWUSER };
	EXPECT_EQ(0, act(&who, dump_all, NULL));
}

static int join(void *arg)
{
	struct nl nl;

	(void)arg;
	if (nl_open(&nl))
		return NEW_FAMILY;
	return nl_join_events(&nl);
}

TEST_F(listener, unprivileged_does_not_hear_events)
{
	struct actor who = { .id = 1000 };

	EXPECT_EQ(EPERM, act(&who, join, NULL));
	who.caps = CAP(NET_ADMIN);
	EXPECT_EQ(EPERM, act(&who, join, NULL));
	who = (struct actor){ .namespaces = CLONE_NEWUSER };
	EXPECT_EQ(EPERM, act(&who, join, NULL));
	who = (struct actor){ .caps = ALL_CAPS & ~CAP(SYS_ADMIN) };
	EXPECT_EQ(EPERM, act(&who, join, NULL));
	who = (struct actor){ };
	EXPECT_EQ(0, act(&who, join, NULL));
}

/* What requests may carry is everybody's to read. */
static int read_policies(void *arg)
{
	const uint32_t cmds[] = {
		FAASIN_CMD_WORKFLOW_NEW, FAASIN_CMD_STAGE_NEW, FAASIN_CMD_LINK_NEW,
		FAASIN_CMD_LINK_DEL, FAASIN_CMD_LINK_SET, FAASIN_CMD_STAGE_REPLACE,
	};
	struct nl nl;
	size_t i;
	int n;

	(void)arg;
	if (nl_open(&nl))
		return NEW_FAMILY;
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		uint16_t family = nl.family;
		int error;

		nl.family = GENL_ID_CTRL;
		n = 0;
		error = nl_list(&nl, CTRL_CMD_GETPOLICY,
				NL_LIST(NL_RAW(CTRL_ATTR_FAMILY_ID, &family, 2),
					NL_U32(CTRL_ATTR_OP, cmds[i])), ignore, &n);
		nl.family = family;
		if (error || n < 3)
			return error ?: 1;
	}
	return 0;
}

TEST_F(listener, anybody_reads_the_policies)
{
	struct actor who = { .id = 1000 };

	EXPECT_EQ(0, act(&who, read_policies, NULL));
}

/* Multicast reaches one network namespace: the initial one. */
static int hear_elsewhere(void *arg)
{
	struct nl *nl = arg;

	nl->fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	if (nl_join_events(nl))
		return 0;
	return nl_event(nl, 500) == EAGAIN ? 0 : 1;
}

TEST_F(listener, other_network_namespace_does_not_hear_events)
{
	struct actor who = { .namespaces = CLONE_NEWNET };
	struct nl nl = self->w.nl;
	pid_t pid = child();
	int i;

	if (!pid)
		_exit(act(&who, hear_elsewhere, &nl));
	for (i = 0; is_running(pid) && i < 1000; i++) {
		world_stage(&self->w, "b", NULL);
		world_del_stage(&self->w, "b");
		usleep(10000);
	}
	EXPECT_EQ(0, child_end(pid));
}

TEST_HARNESS_MAIN
