// SPDX-License-Identifier: GPL-2.0
/*
 * `self`: the stage of whoever looks, found by cgroup, nearest ancestor first.
 *
 *	cgroups		wf ── a ── below ── inner ── deep
 *	             	 └─ b                └ stage c
 *	                 └─ other
 */
#include <sched.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

FIXTURE(self) {
	struct world w;
	const char *a, *b, *below, *inner, *deep, *other;
	char root[PATH_MAX];	/* what self at the root is for stage a */
	char *seen;
};

FIXTURE_SETUP(self)
{
	WORLD_SETUP(&self->w, world_new);
	self->a = world_cgroup(&self->w, "a");
	self->b = world_cgroup(&self->w, "b");
	self->other = world_cgroup(&self->w, "other");
	self->below = world_cgroup(&self->w, "a/below");
	self->inner = world_cgroup(&self->w, "a/below/inner");
	self->deep = world_cgroup(&self->w, "a/below/inner/deep");
	ASSERT_EQ(0, world_stage(&self->w, "a", self->a));
	ASSERT_EQ(0, world_stage(&self->w, "b", self->b));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	snprintf(self->root, sizeof(self->root), "%s/a", self->w.wf);
	self->seen = shared(PATH_MAX);
	ASSERT_NE(NULL, self->seen);
}

FIXTURE_TEARDOWN(self)
{
	WORLD_TEARDOWN(&self->w);
}

/* ------------------------------------------------------------------- actors */

struct look {
	const char *link;
	char *seen;
};

static int read_link(void *arg)
{
	struct look *look = arg;
	ssize_t len = readlink(look->link, look->seen, PATH_MAX - 1);

	if (len < 0)
		return errno;
	look->seen[len] = '\0';
	return 0;
}

static int open_it(void *arg)
{
	int fd = open(arg, O_WRONLY | O_NONBLOCK);

	return fd < 0 ? errno : 0;
}

static int stat_it(void *arg)
{
	struct stat st;

	return stat(arg, &st) ? errno : 0;
}

/* What @link is for a member of @cgroup: EXPECT_SELF("b", cgroup, link). */
#define EXPECT_SELF(target, in, path)						\
do {										\
	struct actor self_who = { .cgroup = in };				\
	struct look self_look = { path, self->seen };				\
										\
	self->seen[0] = '\0';							\
	EXPECT_EQ(0, act(&self_who, read_link, &self_look));			\
	EXPECT_STREQ(target, self->seen)					\
		TH_LOG("%s for %s", path, self_who.cgroup ?: "nobody");		\
} while (0)

#define EXPECT_NO_SELF(in, path)						\
do {										\
	struct actor self_who = { .cgroup = in };				\
										\
	EXPECT_EQ(ENOENT, act(&self_who, stat_it, path))			\
		TH_LOG("%s for %s", path, self_who.cgroup ?: "nobody");		\
} while (0)

static char root_self[] = MOUNT_POINT "/self";

static char *workflow_self(struct world *w)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.200s/self", w->dir);
	return path;
}

/* ------------------------------------------------------------------ at the root */

TEST_F(self, is_a_link_whoever_looks)
{
	struct stat st;

	ASSERT_EQ(0, lstat(root_self, &st));
	EXPECT_TRUE(S_ISLNK(st.st_mode));
	ASSERT_EQ(0, lstat(workflow_self(&self->w), &st));
	EXPECT_TRUE(S_ISLNK(st.st_mode));
	ASSERT_EQ(0, lstat(world_path(&self->w, "a", "self"), &st));
	EXPECT_TRUE(S_ISLNK(st.st_mode));
}

TEST_F(self, of_a_member)
{
	EXPECT_SELF(self->root, self->a, root_self);
}

TEST_F(self, of_a_descendant)
{
	EXPECT_SELF(self->root, self->deep, root_self);
}

TEST_F(self, differs_from_stage_to_stage)
{
	char of_b[PATH_MAX];

	snprintf(of_b, sizeof(of_b), "%s/b", self->w.wf);
	EXPECT_SELF(of_b, self->b, root_self);
	EXPECT_SELF(self->root, self->a, root_self);
	EXPECT_SELF(of_b, self->b, root_self);
}

TEST_F(self, of_an_outsider_is_not_there)
{
	EXPECT_NO_SELF(self->other, root_self);
	/* Nor for the parent of a stage's cgroup, nor for the almighty. */
	EXPECT_NO_SELF(NULL, root_self);
}

TEST_F(self, leads_to_the_ports)
{
	struct actor who = { .cgroup = self->a, .id = 1000 };

	EXPECT_EQ(0, act(&who, open_it, MOUNT_POINT "/self/faasout"));
	EXPECT_EQ(EACCES, act(&who, open_it, MOUNT_POINT "/self/faasin"));
	who.cgroup = self->other;
	EXPECT_EQ(ENOENT, act(&who, open_it, MOUNT_POINT "/self/faasout"));
}

TEST_F(self, in_every_namespace)
{
	struct actor who = {
		.cgroup = self->below,
		.namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP,
	};
	struct look look = { root_self, self->seen };

	EXPECT_EQ(0, act(&who, read_link, &look));
	EXPECT_STREQ(self->root, self->seen);
	EXPECT_EQ(0, act(&who, open_it, MOUNT_POINT "/self/faasout"));
}

/* ---------------------------------------------------------- nearest ancestor */

TEST_F(self, nested_stage_is_the_nearest)
{
	char of_c[PATH_MAX];

	snprintf(of_c, sizeof(of_c), "%s/c", self->w.wf);
	ASSERT_EQ(0, world_stage(&self->w, "c", self->inner));
	EXPECT_SELF(of_c, self->inner, root_self);
	EXPECT_SELF(of_c, self->deep, root_self);
	EXPECT_SELF(self->root, self->below, root_self);
	EXPECT_SELF(self->root, self->a, root_self);
}

TEST_F(self, falls_back_to_the_outer_stage)
{
	ASSERT_EQ(0, world_stage(&self->w, "c", self->inner));
	ASSERT_EQ(0, world_del_stage(&self->w, "c"));
	EXPECT_SELF(self->root, self->deep, root_self);
	ASSERT_EQ(0, world_del_stage(&self->w, "a"));
	EXPECT_NO_SELF(self->deep, root_self);
}

TEST_F(self, nested_stage_of_another_workflow)
{
	struct world outer = self->w;
	char of_c[PATH_MAX];

	/* The inner workflow is made in place of the fixture's, which is put back. */
	snprintf(self->w.wf, sizeof(self->w.wf), "%.50s-in", outer.wf);
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->w.wf),
				     NL_U32(FAASIN_A_WORKFLOW_FLAGS,
					    FAASIN_WORKFLOW_F_UNCHARGED))));
	EXPECT_EQ(0, world_stage(&self->w, "c", self->inner));
	snprintf(of_c, sizeof(of_c), "%s/c", self->w.wf);
	EXPECT_SELF(of_c, self->deep, root_self);
	/* Which has no self in the outer workflow's directory. */
	EXPECT_NO_SELF(self->deep, workflow_self(&outer));
	EXPECT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	snprintf(self->w.wf, sizeof(self->w.wf), "%s", outer.wf);
	EXPECT_SELF(self->root, self->deep, root_self);
}

TEST_F(self, follows_a_stage_that_is_bound_later)
{
	char of_u[PATH_MAX];

	ASSERT_EQ(0, world_stage(&self->w, "u", NULL));
	EXPECT_NO_SELF(self->other, root_self);
	ASSERT_EQ(0, world_stage(&self->w, "u", self->other));
	snprintf(of_u, sizeof(of_u), "%s/u", self->w.wf);
	EXPECT_SELF(of_u, self->other, root_self);
}

static int look_from_both(void *arg)
{
	char seen[PATH_MAX];
	struct look look = { root_self, seen };
	struct world *w = arg;
	char cgroup[PATH_MAX];

	if (read_link(&look) || strcmp(strrchr(seen, '/'), "/a"))
		return 1;
	snprintf(cgroup, sizeof(cgroup), "%s/b", w->wf);
	if (cgroup_enter(cgroup))
		return 2;
	if (read_link(&look) || strcmp(strrchr(seen, '/'), "/b"))
		return 3;
	return 0;
}

TEST_F(self, follows_a_process_that_moves)
{
	struct actor who = { .cgroup = self->a };

	EXPECT_EQ(0, act(&who, look_from_both, &self->w));
}

/* ------------------------------------------------------- in other directories */

TEST_F(self, in_the_workflow_directory)
{
	EXPECT_SELF("a", self->a, workflow_self(&self->w));
	EXPECT_SELF("b", self->b, workflow_self(&self->w));
	EXPECT_NO_SELF(self->other, workflow_self(&self->w));
}

TEST_F(self, in_the_stage_directory)
{
	struct actor who = { .cgroup = self->a };
	char path[PATH_MAX];

	EXPECT_SELF(".", self->a, world_path(&self->w, "a", "self"));
	snprintf(path, sizeof(path), "%s", world_path(&self->w, "a", "self/self/self/faasout"));
	EXPECT_EQ(0, act(&who, open_it, path));
}

TEST_F(self, is_gone_with_the_workflow)
{
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	EXPECT_NO_SELF(self->a, root_self);
}

TEST_HARNESS_MAIN
