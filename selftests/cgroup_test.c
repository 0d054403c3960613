// SPDX-License-Identifier: GPL-2.0
/*
 * Cgroups as stages and as payers: which can be bound, what their removal does.
 */
#include <sched.h>
#include <sys/mount.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

FIXTURE(cgroup) {
	struct world w;
	char name[80];		/* of a second workflow */
};

FIXTURE_SETUP(cgroup)
{
	WORLD_SETUP(&self->w, world_new);
	world_cgroup(&self->w, NULL);
	snprintf(self->name, sizeof(self->name), "%s-2", self->w.wf);
}

FIXTURE_TEARDOWN(cgroup)
{
	world_del_workflow(&self->w, self->name);
	WORLD_TEARDOWN(&self->w);
}

static int pay_by(struct world *w, const char *name, int fd)
{
	return nl_call(&w->nl, FAASIN_CMD_WORKFLOW_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, name),
			       NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd)));
}

static int bind_stage(struct world *w, const char *stage, int fd)
{
	return nl_call(&w->nl, FAASIN_CMD_STAGE_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_STAGE_NAME, stage),
			       NL_U32(FAASIN_A_STAGE_CGROUP_FD, fd)));
}

/* ------------------------------------------------------- what cannot be bound */

TEST_F(cgroup, descriptors_that_are_no_cgroup)
{
	char point[] = "/tmp/faasin-test-XXXXXX", path[PATH_MAX];
	int dir, file, procs, pipes[2], port, i;

	ASSERT_EQ(0, world_stage(&self->w, "s", NULL));
	ASSERT_NE(NULL, mkdtemp(point));
	dir = open(point, O_RDONLY | O_DIRECTORY);
	file = open("/proc/self/status", O_RDONLY);
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", self->w.wf);
	procs = open(path, O_RDWR);
	port = open(self->w.dir, O_RDONLY | O_DIRECTORY);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_LE(0, procs);

	const int fds[] = { -1, -100, 12345, dir, file, procs, pipes[1], port, self->w.nl.fd };

	for (i = 0; i < (int)ARRAY_SIZE(fds); i++) {
		EXPECT_REFUSAL(&self->w, EBADF, pay_by(&self->w, self->name, fds[i]));
		EXPECT_REFUSAL(&self->w, EBADF, bind_stage(&self->w, "s", fds[i]));
		EXPECT_REFUSAL(&self->w, EBADF, bind_stage(&self->w, "new", fds[i]));
	}
	rmdir(point);
}

TEST_F(cgroup, of_version_one)
{
	char point[] = "/tmp/faasin-test-XXXXXX";
	int dir;

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_NE(NULL, mkdtemp(point));
	if (mount("none", point, "cgroup", 0, "none,name=faasin-test")) {
		rmdir(point);
		SKIP(return, "no version 1 hierarchy: %s", strerror(errno));
	}
	dir = open(point, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	EXPECT_REFUSAL(&self->w, EBADF, pay_by(&self->w, self->name, dir));
	EXPECT_REFUSAL(&self->w, EBADF, bind_stage(&self->w, "s", dir));
	close(dir);
	EXPECT_EQ(0, umount(point));
	rmdir(point);
}

TEST_F(cgroup, root_does_not_pay)
{
	int root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);

	ASSERT_LE(0, root);
	EXPECT_REFUSAL(&self->w, EINVAL, pay_by(&self->w, self->name, root));
	close(root);
}

TEST_F(cgroup, one_without_memory_controller_does_not_pay)
{
	/* Its parent has the controller and does not hand it down. */
	int fd = cgroup_open(world_cgroup(&self->w, "plain"));

	ASSERT_LE(0, fd);
	EXPECT_REFUSAL(&self->w, EOPNOTSUPP, pay_by(&self->w, self->name, fd));
	/* Nor does what it would be charged to matter for a stage. */
	EXPECT_EQ(0, bind_stage(&self->w, "s", fd));
	/* It can pay once it has it. */
	ASSERT_EQ(0, cgroup_write(self->w.wf, "cgroup.subtree_control", "+memory"));
	EXPECT_EQ(0, pay_by(&self->w, self->name, fd))
		TH_LOG("%s", self->w.nl.text);
	close(fd);
}

TEST_F(cgroup, removed_one)
{
	const char *gone = world_cgroup(&self->w, "gone");
	int fd = cgroup_open(gone);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, cgroup_remove(gone));
	EXPECT_REFUSAL(&self->w, ENODEV, pay_by(&self->w, self->name, fd));
	EXPECT_REFUSAL(&self->w, ENODEV, bind_stage(&self->w, "s", fd));
	close(fd);
}

TEST_F(cgroup, both_or_neither)
{
	int fd = cgroup_open(self->w.wf);

	ASSERT_LE(0, fd);
	EXPECT_REFUSAL(&self->w, EINVAL, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
				       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->name),
					       NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd),
					       NL_U32(FAASIN_A_WORKFLOW_FLAGS,
						      FAASIN_WORKFLOW_F_UNCHARGED))));
	EXPECT_REFUSAL(&self->w, EINVAL, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
				       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->name))));
	close(fd);
}

/* ------------------------------------------------------------ one that pays */

TEST_F(cgroup, pays_as_asked_again)
{
	const char *other = world_cgroup(&self->w, "other");
	int fd = cgroup_open(self->w.wf), other_fd;
	struct world_state before;
	struct stat st;

	ASSERT_EQ(0, pay_by(&self->w, self->name, fd));
	before = world_state(&self->w);
	EXPECT_EQ(0, pay_by(&self->w, self->name, fd));
	EXPECT_TRUE(world_same(&self->w, &before));
	ASSERT_EQ(0, cgroup_write(self->w.wf, "cgroup.subtree_control", "+memory"));
	other_fd = cgroup_open(other);
	EXPECT_REFUSAL(&self->w, EEXIST, pay_by(&self->w, self->name, other_fd));
	EXPECT_REFUSAL(&self->w, EEXIST, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
				       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->name),
					       NL_U32(FAASIN_A_WORKFLOW_FLAGS,
						      FAASIN_WORKFLOW_F_UNCHARGED))));
	/* An uncharged one does not begin to be charged either. */
	EXPECT_REFUSAL(&self->w, EEXIST, pay_by(&self->w, self->w.wf, fd));

	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_GET, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->name))));
	EXPECT_EQ(st.st_ino, nl_get_u64(&self->w.nl, FAASIN_A_WORKFLOW_CGROUP_ID));
	EXPECT_STREQ(self->w.wf,
		     strrchr(nl_get_str(&self->w.nl, FAASIN_A_WORKFLOW_CGROUP_PATH), '/') + 1);
	close(fd);
	close(other_fd);
}

TEST_F(cgroup, pays_for_two_workflows)
{
	int fd = cgroup_open(self->w.wf);
	char third[90];

	snprintf(third, sizeof(third), "%s-3", self->w.wf);
	ASSERT_EQ(0, pay_by(&self->w, self->name, fd));
	EXPECT_EQ(0, pay_by(&self->w, third, fd));
	EXPECT_EQ(0, world_del_workflow(&self->w, third));
	close(fd);
}

/* ------------------------------------------------------------ one of a stage */

TEST_F(cgroup, belongs_to_one_stage)
{
	int fd = cgroup_open(world_cgroup(&self->w, "a"));
	struct world other = self->w;

	ASSERT_EQ(0, bind_stage(&self->w, "a", fd));
	EXPECT_EQ(0, bind_stage(&self->w, "a", fd));
	EXPECT_REFUSAL(&self->w, EBUSY, bind_stage(&self->w, "b", fd));
	/* Of all workflows. */
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->name),
				     NL_U32(FAASIN_A_WORKFLOW_FLAGS,
					    FAASIN_WORKFLOW_F_UNCHARGED))));
	snprintf(other.wf, sizeof(other.wf), "%.60s", self->name);
	EXPECT_EQ(EBUSY, bind_stage(&other, "a", fd));
	/* Until that stage goes. */
	ASSERT_EQ(0, world_del_stage(&self->w, "a"));
	EXPECT_EQ(0, bind_stage(&other, "a", fd));
	close(fd);
}

TEST_F(cgroup, stays_while_it_lives)
{
	int a = cgroup_open(world_cgroup(&self->w, "a"));
	int b = cgroup_open(world_cgroup(&self->w, "b"));

	ASSERT_EQ(0, bind_stage(&self->w, "s", a));
	EXPECT_REFUSAL(&self->w, EEXIST, bind_stage(&self->w, "s", b));
	close(a);
	close(b);
}

TEST_F(cgroup, can_be_bound_later)
{
	int fd = cgroup_open(world_cgroup(&self->w, "a"));
	struct stat st;

	ASSERT_EQ(0, world_stage(&self->w, "s", NULL));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_GET, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "s"))));
	EXPECT_FALSE(nl_has(&self->w.nl, FAASIN_A_STAGE_CGROUP_ID));
	ASSERT_EQ(0, bind_stage(&self->w, "s", fd));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_GET, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "s"))));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(st.st_ino, nl_get_u64(&self->w.nl, FAASIN_A_STAGE_CGROUP_ID));
	EXPECT_STREQ("/a", strrchr(nl_get_str(&self->w.nl, FAASIN_A_STAGE_CGROUP_PATH), '/'));
	/* Asked again without one, it keeps it. */
	ASSERT_EQ(0, world_stage(&self->w, "s", NULL));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_GET, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "s"))));
	EXPECT_EQ(st.st_ino, nl_get_u64(&self->w.nl, FAASIN_A_STAGE_CGROUP_ID));
	close(fd);
}

static int open_output(void *arg)
{
	int fd = world_open(arg, "s", FAASIN_PORT_OUT, O_WRONLY);

	return fd < 0 ? -fd : 0;
}

static uint32_t stage_flags(struct world *w)
{
	if (nl_call(&w->nl, FAASIN_CMD_STAGE_GET, 0,
		    NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
			    NL_STR(FAASIN_A_STAGE_NAME, "s"))))
		return UINT32_MAX;
	return nl_has(&w->nl, FAASIN_A_STAGE_FLAGS) ?
		nl_get_u32(&w->nl, FAASIN_A_STAGE_FLAGS) : 0;
}

TEST_F(cgroup, of_a_stage_removed_and_another_bound)
{
	struct actor who = { .id = 1000 };
	char first[PATH_MAX], second[PATH_MAX];
	int fd;

	snprintf(first, sizeof(first), "%s", world_cgroup(&self->w, "first"));
	snprintf(second, sizeof(second), "%s", world_cgroup(&self->w, "second"));
	fd = cgroup_open(second);
	ASSERT_EQ(0, world_stage(&self->w, "s", first));
	ASSERT_EQ(0, world_stage(&self->w, "y", NULL));
	ASSERT_EQ(0, world_link(&self->w, "s", "y"));
	EXPECT_EQ(0, stage_flags(&self->w));
	ASSERT_EQ(0, cgroup_remove(first));
	EXPECT_EQ(FAASIN_STAGE_F_CGROUP_GONE, stage_flags(&self->w));
	/* One of the same name is another one. */
	world_cgroup(&self->w, "first");
	who.cgroup = first;
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
	who.cgroup = second;
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
	ASSERT_EQ(0, bind_stage(&self->w, "s", fd))
		TH_LOG("%s", self->w.nl.text);
	EXPECT_EQ(0, stage_flags(&self->w));
	EXPECT_EQ(0, act(&who, open_output, &self->w));
	close(fd);
}

TEST_F(cgroup, removed_is_free_for_its_stage_to_go)
{
	const char *gone = world_cgroup(&self->w, "gone");

	ASSERT_EQ(0, world_stage(&self->w, "s", gone));
	ASSERT_EQ(0, cgroup_remove(gone));
	EXPECT_EQ(0, world_del_stage(&self->w, "s"));
	EXPECT_EQ(0, world_del_workflow(&self->w, self->w.wf));
}

TEST_F(cgroup, cgroup_namespace_makes_no_difference)
{
	const char *inside = world_cgroup(&self->w, "s");
	const char *other = world_cgroup(&self->w, "other");
	struct actor who = { .cgroup = inside, .id = 1000, .namespaces = CLONE_NEWCGROUP };

	ASSERT_EQ(0, world_stage(&self->w, "s", inside));
	ASSERT_EQ(0, world_stage(&self->w, "y", NULL));
	ASSERT_EQ(0, world_link(&self->w, "s", "y"));
	EXPECT_EQ(0, act(&who, open_output, &self->w));
	who.cgroup = other;
	EXPECT_EQ(EACCES, act(&who, open_output, &self->w));
}

TEST_HARNESS_MAIN
