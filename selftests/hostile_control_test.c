// SPDX-License-Identifier: GPL-2.0
/*
 * A container that somebody else has taken over tries to control: by requests, by blaming or ending
 * somebody else, by writing the kernel's log.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "harness.h"
#include "hostile.h"

FIXTURE(hostile_control) {
	struct hostile h;
};

FIXTURE_SETUP(hostile_control)
{
	HOSTILE_SETUP(&self->h);
}

FIXTURE_TEARDOWN(hostile_control)
{
	HOSTILE_TEARDOWN(&self->h);
}

/* ------------------------------------------------------------ to send requests */

static int request(struct nl *nl, uint8_t cmd, const char *wf)
{
	const struct nl_attr *list = NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, wf));
	static const uint32_t uncharged = FAASIN_WORKFLOW_F_UNCHARGED;
	int error;

	switch (cmd) {
	case FAASIN_CMD_INFO_GET:
		error = nl_call(nl, cmd, 0, NL_NONE);
		break;
	case FAASIN_CMD_WORKFLOW_NEW:
		error = nl_call(nl, cmd, 0,
				NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, "forged"),
					NL_RAW(FAASIN_A_WORKFLOW_FLAGS, &uncharged, 4)));
		break;
	case FAASIN_CMD_LINK_GET:
	case FAASIN_CMD_LINK_DEL:
	case FAASIN_CMD_LINK_NEW:
	case FAASIN_CMD_LINK_SET:
		error = nl_call(nl, cmd, 0,
				NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, wf),
					NL_STR(FAASIN_A_LINK_SRC_STAGE, "v"),
					NL_STR(FAASIN_A_LINK_DST_STAGE, "w")));
		break;
	case FAASIN_CMD_STAGE_GET:
	case FAASIN_CMD_STAGE_NEW:
	case FAASIN_CMD_STAGE_DEL:
	case FAASIN_CMD_STAGE_REPLACE:
		error = nl_call(nl, cmd, 0,
				NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, wf),
					NL_STR(FAASIN_A_STAGE_NAME, "v")));
		break;
	default:
		error = nl_call(nl, cmd, 0, list);
	}
	errno = error;
	return error ? -1 : 0;
}

static int open_control(void)
{
	struct nl nl;

	errno = nl_open(&nl);
	return errno ? -1 : 0;
}

static int machines_network;	/* a descriptor that the attacker inherits */

static int by_netlink(struct hostile *h)
{
	static const uint8_t cmds[] = {
		FAASIN_CMD_INFO_GET, FAASIN_CMD_WORKFLOW_GET, FAASIN_CMD_WORKFLOW_NEW,
		FAASIN_CMD_WORKFLOW_DEL, FAASIN_CMD_STAGE_GET, FAASIN_CMD_STAGE_NEW,
		FAASIN_CMD_STAGE_DEL, FAASIN_CMD_LINK_GET, FAASIN_CMD_LINK_NEW,
		FAASIN_CMD_LINK_DEL, FAASIN_CMD_LINK_SET, FAASIN_CMD_STAGE_REPLACE,
	};
	struct nl nl = h->victim.nl;	/* a socket of the machine's root, as if it had leaked */
	char what[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		snprintf(what, sizeof(what), "command %d by a leaked socket", cmds[i]);
		TRY(what, request(&nl, cmds[i], h->victim.wf), EPERM);
	}
	TRY("events by a leaked socket", (errno = nl_join_events(&nl)) ? -1 : 0, EPERM);
	TRY("the family in its network", open_control(), ENOENT);
	TRY("the machine's network", setns(machines_network, CLONE_NEWNET), EPERM);
	TRY("a new network", unshare(CLONE_NEWNET), 0);
	TRY("the family in there", open_control(), ENOENT);
	TRY("faasctl", tool_status() == 2 ? (errno = EPERM, -1) : 0, EPERM);
	return 0;
}

TEST_F(hostile_control, controls_nothing)
{
	struct world_state before = world_state(&self->h.victim);

	machines_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, machines_network);
	EXPECT_EQ(0, tool_status());
	EXPECT_EQ(0, attack(&self->h, by_netlink));
	EXPECT_ATTEMPTS(&self->h, 16);
	EXPECT_TRUE(world_same(&self->h.victim, &before));
	EXPECT_TRUE(victim_works(&self->h));
}

/* --------------------------------------------- to blame or end somebody else */

static int abort_as(int fd, uint32_t cause, uint32_t code, int pid)
{
	struct faasin_abort a = { .cause = cause, .code = code, .pid = pid };

	return ioctl(fd, FAASIN_IOC_ABORT, &a);
}

static int by_blame(struct hostile *h)
{
	int out = open(own_path(h, "faasout"), OUT);

	prctl(PR_SET_NAME, "\033[2J\nroot\t\\x");
	TRY("own output", out, 0);
	TRY("aborted, by a signal to the victim",
	    abort_as(out, FAASIN_CAUSE_SIGNAL, SIGKILL, h->victim_pid), 0);
	TRY("aborted again", abort_as(out, FAASIN_CAUSE_STATUS, 1, h->victim_pid), 0);
	TRY("with a cause of the kernel's", abort_as(out, FAASIN_CAUSE_UNLINK, 0, 0), EINVAL);
	out = open(own_path(h, "faasout"), OUT);
	TRY("another stream", abort_as(out, FAASIN_CAUSE_REQUEST, 0, 0), 0);
	return 0;
}

static struct nl *link_state(struct world *w, const char *src)
{
	static struct nl nl;

	memset(&nl, 0, sizeof(nl));
	if (nl_open(&nl) ||
	    nl_call(&nl, FAASIN_CMD_LINK_GET, 0,
		    NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
			    NL_STR(FAASIN_A_LINK_SRC_STAGE, src))))
		return NULL;
	nl_shut(&nl);
	return &nl;
}

TEST_F(hostile_control, blames_itself_only)
{
	char text[256];
	struct nl *state;
	bool clean = true, said = false;
	FILE *show;

	ASSERT_TRUE(victim_start(&self->h));
	EXPECT_EQ(0, attack(&self->h, by_blame));
	EXPECT_ATTEMPTS(&self->h, 5);

	state = link_state(&self->h.own, "a");
	ASSERT_NE(NULL, state);
	EXPECT_STREQ("a", nl_get_str(state, FAASIN_A_LINK_CAUSE_STAGE));
	state = link_state(&self->h.victim, "v");
	ASSERT_NE(NULL, state);
	EXPECT_FALSE(nl_has(state, FAASIN_A_LINK_CAUSE));
	EXPECT_EQ(0, kill(self->h.victim_pid, 0));

	/* The name of its process is no command to the terminal. */
	show = popen("faasctl show; faasctl dump", "re");
	ASSERT_NE(NULL, show);
	while (fgets(text, sizeof(text), show)) {
		said |= !!strstr(text, self->h.own.wf);
		clean &= !strchr(text, '\033') && strncmp(text, "root", 4);
	}
	EXPECT_EQ(0, pclose(show));
	EXPECT_TRUE(said);
	EXPECT_TRUE(clean);
}

/* ------------------------------------------------- to write the kernel's log */

/* Lines that came since the last call; of @about, if that is not NULL. */
static int lines(int log, const char *about)
{
	char line[8192];
	ssize_t n;
	int count = 0;

	while ((n = read(log, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = '\0';
		if (!about || strstr(line, about))
			count++;
	}
	return count;
}

#define REPEATED	20

static int by_log(struct hostile *h)
{
	char options[128], name[80];
	struct nl nl = h->victim.nl;
	int i, out;

	for (i = 0; i < REPEATED; i++) {
		snprintf(options, sizeof(options), "workflow=%s,stage=w", h->victim.wf);
		mount_faasin("none", h->spare, 0, options);
		mount_faasin("none", h->spare, 0, "stage=w");
		mount_faasin("none", h->spare, 0, "workflow");
		mount_faasin("none", h->spare, 0, "workflow=");
		mount_faasin("none", h->spare, 0, "forged-line");
		mount_faasin("none", h->spare, 0, "forged=line");
		mount_faasin("none", h->spare, 0, "source=x,source=y");
		mount_faasin("none", h->point, MS_REMOUNT, options);
		mount_faasin("none", h->point, MS_REMOUNT, "forged=line");
		fsmount_of(h->victim.wf, "w");
		fspick_of(h, h->victim.wf);
		request(&nl, FAASIN_CMD_WORKFLOW_DEL, h->victim.wf);
		open(world_in(&h->victim, "w"), IN);
		snprintf(name, sizeof(name), "missing-%d", i);
		open(own_path(h, name), IN);
		out = open(own_path(h, "faasout"), OUT);
		ioctl(out, FIONREAD + 1, NULL);
		abort_as(out, 77, 77, -1);
		abort_as(out, FAASIN_CAUSE_REQUEST, 0, 0);
		pwrite(out, name, 1, 1);
		close(out);
	}
	TRY("the kernel's log itself", open("/dev/kmsg", O_WRONLY), EACCES, EPERM);
	return 0;
}

TEST_F(hostile_control, writes_no_line_of_the_kernels_log)
{
	int log = open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC), nr;

	ASSERT_LE(0, log);
	lines(log, NULL);
	ASSERT_LT(0, sys(write(log, "faasin: marked\n", 15)));
	ASSERT_EQ(1, lines(log, "faasin: marked"));
	EXPECT_EQ(0, attack(&self->h, by_log));
	EXPECT_ATTEMPTS(&self->h, 1);
	nr = lines(log, "faasin");
	EXPECT_EQ(0, nr)
		TH_LOG("%d lines", nr);
	close(log);
}

TEST_HARNESS_MAIN
