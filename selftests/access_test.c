// SPDX-License-Identifier: GPL-2.0
/*
 * Who may open: namespaces x uid x cgroup x mode x operation.
 *
 *	x.faasout ---> s.faasin | s.faasout ---> y.faasin
 *
 * The stage under test is s. Its mode bits, and whether the opener is in its
 * cgroup or below, are the gates; CAP_SYS_ADMIN in the initial user namespace
 * passes the second.
 */
#include <sched.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

enum place {
	MEMBER,		/* in the stage's cgroup */
	DESCENDANT,	/* in one below */
	OUTSIDER,	/* in another */
	UNBOUND,	/* the stage has none */
};

#define IN_CONTAINER	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)

enum operation {
	READ_INPUT,
	WRITE_OUTPUT,
	WRITE_INPUT,
	READ_OUTPUT,
	BOTH_INPUT,
	BOTH_OUTPUT,
	PATH_INPUT,
	PATH_OUTPUT,
	APPEND_OUTPUT,
	NR_OPERATIONS,
};

static const struct {
	const char *name;
	bool output;
	int flags;
	bool read, write;	/* the mode bits that it takes */
	bool wrong;		/* refused to everybody */
} operations[NR_OPERATIONS] = {
	[READ_INPUT]	= { "faasin O_RDONLY", false, O_RDONLY, true, false, false },
	[WRITE_OUTPUT]	= { "faasout O_WRONLY", true, O_WRONLY, false, true, false },
	[WRITE_INPUT]	= { "faasin O_WRONLY", false, O_WRONLY, false, true, true },
	[READ_OUTPUT]	= { "faasout O_RDONLY", true, O_RDONLY, true, false, true },
	[BOTH_INPUT]	= { "faasin O_RDWR", false, O_RDWR, true, true, true },
	[BOTH_OUTPUT]	= { "faasout O_RDWR", true, O_RDWR, true, true, false },
	[PATH_INPUT]	= { "faasin O_PATH", false, O_PATH, false, false, false },
	[PATH_OUTPUT]	= { "faasout O_PATH", true, O_PATH, false, false, false },
	[APPEND_OUTPUT]	= { "faasout O_WRONLY|O_APPEND", true, O_WRONLY | O_APPEND, false, true,
			    false },
};

struct attempt {
	struct world *w;
	int result[NR_OPERATIONS];
};

static int try_all(void *arg)
{
	struct attempt *attempt = arg;
	int i;

	for (i = 0; i < NR_OPERATIONS; i++) {
		attempt->result[i] = world_open(attempt->w, "s",
						operations[i].output ? FAASIN_PORT_OUT :
						FAASIN_PORT_IN, operations[i].flags);
		if (attempt->result[i] >= 0) {
			close(attempt->result[i]);
			attempt->result[i] = 0;
		}
	}
	return 0;
}

/* A stage in the middle, with one more on each side. 0 or an error's number. */
static int make_stages(struct world *w, const char *cgroup, uint32_t mode, uint32_t gid)
{
	int error;

	error = world_stage(w, "s", cgroup) ?: world_stage(w, "x", NULL) ?:
		world_stage(w, "y", NULL) ?: world_link(w, "x", "s") ?: world_link(w, "s", "y");
	return error ?: nl_call(&w->nl, FAASIN_CMD_STAGE_NEW, 0,
				NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
					NL_STR(FAASIN_A_STAGE_NAME, "s"),
					NL_U32(FAASIN_A_STAGE_UID, 0),
					NL_U32(FAASIN_A_STAGE_GID, gid),
					NL_U32(FAASIN_A_STAGE_MODE, mode)));
}

FIXTURE(access) {
	struct world w;
	struct actor who;
	struct attempt *attempt;
	const char *bound;
};

FIXTURE_VARIANT(access) {
	int namespaces;
	uid_t id;
	enum place place;
};

#define PLACES(name, in, uid)							\
FIXTURE_VARIANT_ADD(access, name##_uid##uid##_member) { in, uid, MEMBER };	\
FIXTURE_VARIANT_ADD(access, name##_uid##uid##_descendant) { in, uid, DESCENDANT };	\
FIXTURE_VARIANT_ADD(access, name##_uid##uid##_outsider) { in, uid, OUTSIDER };	\
FIXTURE_VARIANT_ADD(access, name##_uid##uid##_unbound) { in, uid, UNBOUND }

PLACES(initial, 0, 0);
PLACES(initial, 0, 1000);
PLACES(userns, CLONE_NEWUSER, 0);
PLACES(userns, CLONE_NEWUSER, 1000);
PLACES(container, IN_CONTAINER, 0);
PLACES(container, IN_CONTAINER, 1000);

FIXTURE_SETUP(access)
{
	const char *inside, *below, *other;

	WORLD_SETUP(&self->w, world_new);
	inside = world_cgroup(&self->w, "s");
	below = world_cgroup(&self->w, "s/below");
	other = world_cgroup(&self->w, "other");
	self->bound = variant->place == UNBOUND ? NULL : inside;
	self->who = (struct actor){
		.cgroup = variant->place == DESCENDANT ? below :
			variant->place == OUTSIDER ? other : inside,
		.namespaces = variant->namespaces,
		.id = variant->id,
	};
	self->attempt = shared(sizeof(*self->attempt));
	ASSERT_NE(NULL, self->attempt);
	self->attempt->w = &self->w;
}

FIXTURE_TEARDOWN(access)
{
	WORLD_TEARDOWN(&self->w);
}

static void check(struct __test_metadata *_metadata, FIXTURE_DATA(access) *self,
		  const FIXTURE_VARIANT(access) *variant, uint32_t mode)
{
	const bool almighty = !variant->namespaces && !variant->id;
	const bool belongs = almighty || variant->place == MEMBER ||
		variant->place == DESCENDANT;
	/* The group's bits are for 0640; the owner, 0, is outside of every new namespace. */
	const uint32_t bits = (mode == 0640 ? mode >> 3 : mode) & 7;
	int i;

	ASSERT_EQ(0, make_stages(&self->w, self->bound, mode,
				 mode == 0640 ? actor_group(&self->who) : 0))
		TH_LOG("%s", self->w.nl.text);
	ASSERT_EQ(0, act(&self->who, try_all, self->attempt));
	for (i = 0; i < NR_OPERATIONS; i++) {
		bool bits_allow = almighty || ((!operations[i].read || bits & 4) &&
					       (!operations[i].write || bits & 2));
		bool path = operations[i].flags == O_PATH;
		int expected = path || (bits_allow && belongs && !operations[i].wrong) ?
			0 : -EACCES;

		EXPECT_EQ(expected, self->attempt->result[i])
			TH_LOG("opening %s", operations[i].name);
	}
}

TEST_F(access, mode_0666)
{
	check(_metadata, self, variant, 0666);
}

TEST_F(access, mode_0600)
{
	check(_metadata, self, variant, 0600);
}

TEST_F(access, mode_0640_of_own_group)
{
	check(_metadata, self, variant, 0640);
}

TEST_F(access, mode_0000)
{
	check(_metadata, self, variant, 0);
}

/* ------------------------------------------------------------ capabilities */

FIXTURE(capability) {
	struct world w;
	const char *inside, *other;
};

FIXTURE_SETUP(capability)
{
	WORLD_SETUP(&self->w, world_new);
	self->inside = world_cgroup(&self->w, "s");
	self->other = world_cgroup(&self->w, "other");
}

FIXTURE_TEARDOWN(capability)
{
	WORLD_TEARDOWN(&self->w);
}

/* Opens s's output for writing; returns the error's number. */
static int open_output(void *arg)
{
	int fd = world_open(arg, "s", FAASIN_PORT_OUT, O_WRONLY);

	return fd < 0 ? -fd : 0;
}

TEST_F(capability, sys_admin_passes_the_cgroup_gate)
{
	struct actor who = { .cgroup = self->other, .id = 1000, .caps = CAP(SYS_ADMIN) };

	ASSERT_EQ(0, make_stages(&self->w, self->inside, 0666, 0));
	EXPECT_EQ(0, act(&who, open_output, &self->w));
}

TEST_F(capability, sys_admin_passes_for_an_unbound_stage)
{
	struct actor who = { .cgroup = self->other, .id = 1000, .caps = CAP(SYS_ADMIN) };

	ASSERT_EQ(0, make_stages(&self->w, NULL, 0666, 0));
	EXPECT_EQ(0, act(&who, open_output, &self->w));
}

TEST_F(capability, sys_admin_does_not_pass_the_mode)
{
	struct actor who = { .cgroup = self->other, .id = 1000, .caps = CAP(SYS_ADMIN) };

	ASSERT_EQ(0, make_stages(&self->w, self->inside, 0600, 0));
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
}

TEST_F(capability, root_without_sys_admin_stays_out)
{
	struct actor who = { .cgroup = self->other, .caps = CAPS_NONE };

	ASSERT_EQ(0, make_stages(&self->w, self->inside, 0666, 0));
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
	who.caps = ~CAP(SYS_ADMIN) & ((1ull << 40) - 1);
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
}

TEST_F(capability, dac_override_passes_the_mode_alone)
{
	struct actor who = { .cgroup = self->other, .id = 1000, .caps = CAP(DAC_OVERRIDE) };

	ASSERT_EQ(0, make_stages(&self->w, self->inside, 0600, 0));
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
	who.cgroup = self->inside;
	EXPECT_EQ(0, act(&who, open_output, &self->w));
}

TEST_F(capability, owner_passes_the_owner_bits)
{
	struct actor who = { .cgroup = self->inside, .id = 1000 };

	ASSERT_EQ(0, make_stages(&self->w, self->inside, 0600, 0));
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "s"),
				     NL_U32(FAASIN_A_STAGE_UID, 1000))));
	EXPECT_EQ(0, act(&who, open_output, &self->w));
}

/* ------------------------------------------------- checked when it is opened */

FIXTURE(moment) {
	struct world w;
	const char *inside, *other;
};

FIXTURE_SETUP(moment)
{
	WORLD_SETUP(&self->w, world_new);
	self->inside = world_cgroup(&self->w, "s");
	self->other = world_cgroup(&self->w, "other");
	ASSERT_EQ(0, make_stages(&self->w, self->inside, 0666, 0));
}

FIXTURE_TEARDOWN(moment)
{
	WORLD_TEARDOWN(&self->w);
}

static int write_byte(void *arg)
{
	return write(*(int *)arg, "x", 1) == 1 ? 0 : errno;
}

static int reopen(void *arg)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *(int *)arg);
	fd = open(path, O_WRONLY | O_NONBLOCK);
	return fd < 0 ? errno : 0;
}

TEST_F(moment, passed_on_descriptor_works_for_an_outsider)
{
	struct actor who = { .cgroup = self->other, .id = 1000 };
	int fd = world_open(&self->w, "s", FAASIN_PORT_OUT, O_WRONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
	EXPECT_EQ(0, act(&who, write_byte, &fd));
	close(fd);
}

TEST_F(moment, opening_it_again_is_an_open)
{
	struct actor who = { .cgroup = self->other, .id = 1000 };
	int fd = world_open(&self->w, "s", FAASIN_PORT_OUT, O_WRONLY);
	int path = world_open(&self->w, "s", FAASIN_PORT_OUT, O_PATH);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, path);
	EXPECT_EQ(EACCES, act(&who, reopen, &fd));
	EXPECT_EQ(EACCES, act(&who, reopen, &path));
	who.cgroup = self->inside;
	EXPECT_EQ(0, act(&who, reopen, &fd));
	EXPECT_EQ(0, act(&who, reopen, &path));
	close(fd);
	close(path);
}

TEST_F(moment, path_descriptor_neither_reads_nor_writes)
{
	int in = world_open(&self->w, "s", FAASIN_PORT_IN, O_PATH);
	int out = world_open(&self->w, "s", FAASIN_PORT_OUT, O_PATH);
	char byte = 0;

	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	EXPECT_EQ(-EBADF, sys(read(in, &byte, 1)));
	EXPECT_EQ(-EBADF, sys(write(out, &byte, 1)));
	close(in);
	close(out);
}

/* A member that leaves: keeps what it has, gets nothing new. */
static int leave(void *arg)
{
	struct world *w = arg;
	int fd = world_open(w, "s", FAASIN_PORT_OUT, O_WRONLY);
	char file[PATH_MAX];
	int procs;

	if (fd < 0)
		return 1;
	/* As a privileged manager would: the descriptor came from outside. */
	snprintf(file, sizeof(file), CGROUPS "/%s/other/cgroup.procs", w->wf);
	procs = open(file, O_WRONLY);
	if (procs < 0 || write(procs, "0", 1) != 1)
		return 2;
	if (write(fd, "x", 1) != 1)
		return 3;
	if (world_open(w, "s", FAASIN_PORT_OUT, O_WRONLY) != -EACCES)
		return 4;
	return 0;
}

TEST_F(moment, member_that_leaves_keeps_its_descriptor)
{
	struct actor who = { .cgroup = self->inside, .caps = CAP(DAC_OVERRIDE) };

	EXPECT_EQ(0, act(&who, leave, &self->w));
}

TEST_F(moment, refused_before_waiting_for_a_link)
{
	struct actor who = { .cgroup = self->other, .id = 1000 };

	ASSERT_EQ(0, world_unlink(&self->w, "s"));
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
	who.cgroup = self->inside;
	EXPECT_EQ(ENXIO, act(&who, open_output, &self->w));
}

TEST_F(moment, mode_change_counts_at_the_next_open)
{
	struct actor who = { .cgroup = self->inside, .id = 1000 };

	EXPECT_EQ(0, act(&who, open_output, &self->w));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "s"),
				     NL_U32(FAASIN_A_STAGE_MODE, 0444))));
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
}

static int run_it(void *arg)
{
	char *const argv[] = { "port", NULL };

	execv(world_out(arg, "s"), argv);
	return errno;
}

TEST_F(moment, nobody_executes_a_port)
{
	struct actor who = { .cgroup = self->inside };

	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "s"),
				     NL_U32(FAASIN_A_STAGE_MODE, 0777))));
	EXPECT_EQ(EACCES, act(&who, run_it, &self->w));
}

TEST_HARNESS_MAIN
