// SPDX-License-Identifier: GPL-2.0
/*
 * Mounts: scopes, one superblock, what a mount may be made to do and what not.
 * Everything happens in a mount namespace of the test's own.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

FIXTURE(mount) {
	struct world w;
	const char *a, *b, *other;
	char point[64];
	char options[3][256];	/* the scopes: workflow, stage a, stage b */
	int own_namespace;
};

FIXTURE_SETUP(mount)
{
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	WORLD_SETUP(&self->w, world_new);
	self->a = world_cgroup(&self->w, "a");
	self->b = world_cgroup(&self->w, "b");
	self->other = world_cgroup(&self->w, "other");
	ASSERT_EQ(0, world_stage(&self->w, "a", self->a));
	ASSERT_EQ(0, world_stage(&self->w, "b", self->b));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	snprintf(self->options[0], 256, "workflow=%s", self->w.wf);
	snprintf(self->options[1], 256, "workflow=%s,stage=a", self->w.wf);
	snprintf(self->options[2], 256, "workflow=%s,stage=b", self->w.wf);
	snprintf(self->point, sizeof(self->point), "/tmp/faasin-test-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->point));
}

FIXTURE_TEARDOWN(mount)
{
	while (!umount2(self->point, MNT_DETACH))
		;
	rmdir(self->point);
	WORLD_TEARDOWN(&self->w);
}

static int mount_faasin(const char *point, unsigned long flags, const char *options)
{
	return mount("none", point, "faasin", flags, options) ? -errno : 0;
}

static const char *under(const char *point, const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, PATH_MAX, "%s/%s", point, name);
	return path;
}

/* Opens @name below @point: a descriptor or -errno. */
static int open_under(const char *point, const char *name, int flags)
{
	return sys(open(under(point, name), flags | O_NONBLOCK | O_CLOEXEC));
}

/* Field @nr (from 1) of the line that mountinfo has on @point; "" if there is none. */
static const char *mountinfo(const char *point, int nr)
{
	static char line[PATH_MAX];
	FILE *stream = fopen("/proc/self/mountinfo", "re");
	char where[PATH_MAX], *word = "";
	bool found = false;

	while (stream && !found && fgets(line, sizeof(line), stream))
		found = sscanf(line, "%*s %*s %*s %*s %s", where) == 1 && !strcmp(where, point);
	if (stream)
		fclose(stream);
	if (!found)
		return "";
	for (word = strtok(line, " \n"); word && --nr; word = strtok(NULL, " \n"))
		;
	return word ?: "";
}

/* ------------------------------------------------------------------- scopes */

TEST_F(mount, whole)
{
	struct stat st, mine;

	ASSERT_EQ(0, mount_faasin(self->point, 0, NULL));
	EXPECT_EQ(0, stat(under(self->point, self->w.wf), &st));
	ASSERT_EQ(0, stat(MOUNT_POINT, &st));
	ASSERT_EQ(0, stat(self->point, &mine));
	EXPECT_EQ(st.st_ino, mine.st_ino);
}

TEST_F(mount, of_a_workflow)
{
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[0]));
	EXPECT_ENTRIES("a b self ", self->point);
	EXPECT_ENTRIES("faasin faasout self ", under(self->point, "a"));
}

TEST_F(mount, of_a_stage)
{
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	EXPECT_ENTRIES("faasin faasout self ", self->point);
}

static int self_leads_back(void *arg)
{
	char target[16] = "";
	int fd;

	if (readlink(under(arg, "self"), target, sizeof(target) - 1) != 1 || target[0] != '.')
		return 1;
	fd = open_under(arg, "self/faasout", O_WRONLY);
	return fd < 0 ? -fd : 0;
}

TEST_F(mount, of_a_stage_has_itself_as_self)
{
	struct actor who = { .cgroup = self->a, .id = 1000 };

	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	EXPECT_EQ(0, act(&who, self_leads_back, self->point));
}

TEST_F(mount, of_a_stage_shows_no_other)
{
	struct stat outside, above;

	ASSERT_EQ(0, stat("/tmp", &outside));
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	ASSERT_EQ(0, stat(under(self->point, ".."), &above));
	EXPECT_EQ(outside.st_dev, above.st_dev);
	EXPECT_EQ(outside.st_ino, above.st_ino);
	EXPECT_EQ(-ENOENT, open_under(self->point, "../b/faasin", O_RDONLY));
	EXPECT_EQ(-ENOENT, open_under(self->point, "b/faasin", O_RDONLY));
	EXPECT_EQ(-ENOENT, open_under(self->point, self->w.wf, O_PATH));
}

FIXTURE(scope) {
	struct world w;
	char point[64];
};

FIXTURE_VARIANT(scope) {
	const char *options;	/* %s: the workflow */
	int error;
};

FIXTURE_VARIANT_ADD(scope, unknown_workflow) { "workflow=no-such", -ENOENT };
FIXTURE_VARIANT_ADD(scope, unknown_stage) { "workflow=%s,stage=no-such", -ENOENT };
FIXTURE_VARIANT_ADD(scope, stage_of_unknown_workflow) { "workflow=no-such,stage=a", -ENOENT };
FIXTURE_VARIANT_ADD(scope, stage_alone) { "stage=a", -EINVAL };
FIXTURE_VARIANT_ADD(scope, unknown_option) { "colour=red", -EINVAL };
FIXTURE_VARIANT_ADD(scope, no_value) { "workflow", -EINVAL };
FIXTURE_VARIANT_ADD(scope, slash) { "workflow=%s/a", -EINVAL };
FIXTURE_VARIANT_ADD(scope, dots) { "workflow=..", -EINVAL };
FIXTURE_VARIANT_ADD(scope, reserved) { "workflow=%s,stage=self", -EINVAL };

FIXTURE_SETUP(scope)
{
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	snprintf(self->point, sizeof(self->point), "/tmp/faasin-test-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->point));
}

FIXTURE_TEARDOWN(scope)
{
	while (!umount2(self->point, MNT_DETACH))
		;
	rmdir(self->point);
	WORLD_TEARDOWN(&self->w);
}

/* A name that cannot exist may be refused as such, or as one that does not exist. */
TEST_F(scope, is_refused)
{
	char options[256];
	int error;

	snprintf(options, sizeof(options), variant->options, self->w.wf);
	error = mount_faasin(self->point, 0, options);
	if (error == -ENOENT && strstr(variant->options, "workflow="))
		error = variant->error;
	EXPECT_EQ(variant->error, error)
		TH_LOG("mounting with %s", options);
	EXPECT_EQ(0, (int)strlen(mountinfo(self->point, 5)));
}

TEST_F(mount, stays_what_it_is_when_remounted)
{
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	EXPECT_EQ(-EINVAL, mount_faasin(self->point, MS_REMOUNT, self->options[2]));
	EXPECT_EQ(-EINVAL, mount_faasin(self->point, MS_REMOUNT, self->options[0]));
	EXPECT_EQ(0, mount_faasin(self->point, MS_REMOUNT, NULL));
	EXPECT_ENTRIES("faasin faasout self ", self->point);
	EXPECT_LE(0, open_under(self->point, "faasout", O_WRONLY));
	EXPECT_EQ(0, stat(world_path(&self->w, "b", NULL), &(struct stat){ }));
}

TEST_F(mount, remount_of_the_whole_leaves_it_whole)
{
	ASSERT_EQ(0, mount_faasin(self->point, 0, NULL));
	EXPECT_EQ(-EINVAL, mount_faasin(self->point, MS_REMOUNT, self->options[1]));
	EXPECT_EQ(0, access(under(self->point, self->w.wf), F_OK));
	EXPECT_EQ(0, access(self->w.dir, F_OK));
}

TEST_F(mount, mountinfo_tells_type_and_scope)
{
	char root[PATH_MAX];

	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	snprintf(root, sizeof(root), "/%s/a", self->w.wf);
	EXPECT_STREQ(root, mountinfo(self->point, 4));
	ASSERT_EQ(0, umount(self->point));

	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[0]));
	snprintf(root, sizeof(root), "/%s", self->w.wf);
	EXPECT_STREQ(root, mountinfo(self->point, 4));
	ASSERT_EQ(0, umount(self->point));

	ASSERT_EQ(0, mount_faasin(self->point, 0, NULL));
	EXPECT_STREQ("/", mountinfo(self->point, 4));
	EXPECT_STREQ("-", mountinfo(self->point, 7));
	EXPECT_STREQ("faasin", mountinfo(self->point, 8));
}

TEST_F(mount, mountinfo_of_a_port_bound_alone)
{
	char options[PATH_MAX];
	const char *file;
	int fd;

	ASSERT_EQ(0, mount("none", self->point, "tmpfs", 0, NULL));
	file = under(self->point, "port");
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, mount(world_out(&self->w, "a"), file, NULL, MS_BIND, NULL));
	snprintf(options, sizeof(options), "rw,workflow=%s,stage=a", self->w.wf);
	EXPECT_STREQ(options, mountinfo(file, 10));
	EXPECT_EQ(0, umount(file));
}

/* ------------------------------------------------------------ one superblock */

TEST_F(mount, all_show_one_superblock)
{
	struct stat first, second;

	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &first));
	ASSERT_EQ(0, mount_faasin(self->point, 0, NULL));
	ASSERT_EQ(0, stat(self->point, &second));
	EXPECT_EQ(first.st_dev, second.st_dev);
	ASSERT_EQ(0, umount(self->point));

	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	ASSERT_EQ(0, stat(under(self->point, "faasout"), &second));
	EXPECT_EQ(first.st_dev, second.st_dev);
	EXPECT_EQ(first.st_ino, second.st_ino);
}

#define CREATE_EXCL	8	/* FSCONFIG_CMD_CREATE_EXCL */

/* There is one: nobody can have it made for a mount of their own. */
TEST_F(mount, cannot_be_had_anew)
{
	int fs = fsopen("faasin", FSOPEN_CLOEXEC);
	long error;

	ASSERT_LE(0, fs);
	EXPECT_EQ(0, fsconfig(fs, FSCONFIG_SET_STRING, "workflow", self->w.wf, 0));
	error = sys(fsconfig(fs, CREATE_EXCL, NULL, NULL, 0));
	/* Before 6.6 nobody could ask for that. */
	EXPECT_TRUE(error == -EBUSY || error == -EOPNOTSUPP) TH_LOG("%ld", error);
	close(fs);
	EXPECT_EQ(0, mount_faasin(self->point, 0, self->options[0]));
}

TEST_F(mount, bytes_pass_from_one_to_another)
{
	int out, in;

	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	out = open_under(self->point, "faasout", O_WRONLY);
	in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);
	ASSERT_LE(0, out);
	ASSERT_LE(0, in);
	EXPECT_WRITE(out, "through two mounts");
	EXPECT_READ(in, "through two mounts");
	close(out);
	close(in);
}

TEST_F(mount, shows_what_comes_later)
{
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[0]));
	EXPECT_EQ(-ENOENT, open_under(self->point, "late", O_PATH));
	ASSERT_EQ(0, world_stage(&self->w, "late", NULL));
	EXPECT_LE(0, open_under(self->point, "late", O_PATH));
	EXPECT_ENTRIES("a b late self ", self->point);
}

TEST_F(mount, statfs_answers)
{
	struct statfs fs = { };

	EXPECT_EQ(0, statfs(MOUNT_POINT, &fs));
	EXPECT_EQ(FAASIN_NAME_MAX, fs.f_namelen);
}

/* --------------------------------------------------------------- unmounting */

TEST_F(mount, is_busy_while_a_port_is_open)
{
	int fd;

	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	fd = open_under(self->point, "faasout", O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, sys(umount(self->point)));
	EXPECT_ENTRIES("faasin faasout self ", self->point);
	EXPECT_WRITE(fd, "still there");
	close(fd);
	EXPECT_EQ(0, sys(umount(self->point)));
}

TEST_F(mount, open_port_outlives_a_lazy_unmount)
{
	int out, in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);

	ASSERT_LE(0, in);
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	out = open_under(self->point, "faasout", O_WRONLY);
	ASSERT_LE(0, out);
	ASSERT_EQ(0, umount2(self->point, MNT_DETACH));
	EXPECT_WRITE(out, "after the mount");
	close(out);
	EXPECT_READ(in, "after the mount");
	EXPECT_OVER(in, 0);
	close(in);
}

TEST_F(mount, opened_for_its_path_keeps_it_busy)
{
	int fd;

	ASSERT_EQ(0, mount_faasin(self->point, 0, NULL));
	fd = open_under(self->point, "self", O_PATH | O_NOFOLLOW);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, sys(umount(self->point)));
	close(fd);
	EXPECT_EQ(0, sys(umount(self->point)));
}

TEST_F(mount, goes_with_its_workflow_deleted)
{
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	EXPECT_EQ(-ENOENT, open_under(self->point, "faasout", O_WRONLY));
	EXPECT_EQ(-ENOENT, open_under(self->point, "faasin", O_RDONLY));
	EXPECT_EQ(0, sys(umount(self->point)));
	EXPECT_EQ(-ENOENT, mount_faasin(self->point, 0, self->options[1]));
}

TEST_F(mount, of_a_stage_that_came_again_is_a_new_one)
{
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	ASSERT_EQ(0, world_del_stage(&self->w, "a"));
	ASSERT_EQ(0, world_stage(&self->w, "a", self->a));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	EXPECT_EQ(-ENOENT, open_under(self->point, "faasout", O_WRONLY));
	ASSERT_EQ(0, umount(self->point));
	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	EXPECT_LE(0, open_under(self->point, "faasout", O_WRONLY));
}

/* ---------------------------------------------------------------- read-only */

TEST_F(mount, read_only_opens_for_writing)
{
	int out;

	ASSERT_EQ(0, mount_faasin(self->point, 0, self->options[1]));
	ASSERT_EQ(0, mount(NULL, self->point, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	out = open_under(self->point, "faasout", O_WRONLY);
	ASSERT_LE(0, out);
	EXPECT_WRITE(out, "written on a read-only mount");
	close(out);
	out = open_under(self->point, "faasout", O_WRONLY | O_CREAT | O_TRUNC);
	EXPECT_LE(0, out);
	close(out);
}

TEST_F(mount, below_read_only_sys_opens_for_writing)
{
	int out;

	ASSERT_EQ(0, mount("/sys", "/sys", NULL, MS_BIND | MS_REC, NULL));
	ASSERT_EQ(0, mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	ASSERT_EQ(0, mount(NULL, MOUNT_POINT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_LE(0, out);
	EXPECT_WRITE(out, "x");
	close(out);
}

/* ------------------------------------------------------------------ overlay */

TEST_F(mount, overlay_may_not_stack_on_it)
{
	char options[PATH_MAX];
	char dirs[3][PATH_MAX];
	int i;

	/* Something that overlay takes, to see that it can mount at all. */
	ASSERT_EQ(0, mount("none", self->point, "tmpfs", 0, NULL));
	for (i = 0; i < 3; i++) {
		snprintf(dirs[i], PATH_MAX, "%s/%d", self->point, i);
		ASSERT_EQ(0, mkdir(dirs[i], 0755));
	}
	snprintf(options, sizeof(options), "lowerdir=%.60s:%.60s", dirs[0], dirs[1]);
	if (mount("none", dirs[2], "overlay", 0, options))
		SKIP(return, "this kernel has no overlay filesystem: %s", strerror(errno));
	ASSERT_EQ(0, umount(dirs[2]));

	snprintf(options, sizeof(options), "lowerdir=%s:%.60s", MOUNT_POINT, dirs[1]);
	EXPECT_EQ(-1, mount("none", dirs[2], "overlay", 0, options));
	snprintf(options, sizeof(options), "lowerdir=%.200s:%.60s",
		 world_path(&self->w, "a", NULL), dirs[1]);
	EXPECT_EQ(-1, mount("none", dirs[2], "overlay", 0, options));
}

/* ------------------------------------------------- from inside a user namespace */

struct inside {
	const char *point;
	const char *options;
	const char *entries;	/* expected */
};

static int mount_inside(void *arg)
{
	struct inside *inside = arg;
	int error = mount_faasin(inside->point, 0, inside->options), fd;
	char *entries;

	if (error)
		return -error;
	entries = list_directory(inside->point);
	if (!entries || strcmp(entries, inside->entries))
		return 200;
	fd = open_under(inside->point, "faasout", O_WRONLY);
	if (fd < 0)
		return 201;
	if (write(fd, "x", 1) != 1)
		return 202;
	return 0;
}

#define STAGE_ENTRIES	"faasin faasout self "

TEST_F(mount, in_a_user_namespace_shows_the_own_stage)
{
	struct actor who = { .cgroup = self->a, .namespaces = CLONE_NEWUSER | CLONE_NEWNS };
	struct inside inside = { self->point, NULL, STAGE_ENTRIES };

	EXPECT_EQ(0, act(&who, mount_inside, &inside));
}

TEST_F(mount, in_a_user_namespace_may_name_the_own_stage)
{
	struct actor who = { .cgroup = self->a, .namespaces = CLONE_NEWUSER | CLONE_NEWNS };
	struct inside inside = { self->point, self->options[1], STAGE_ENTRIES };

	EXPECT_EQ(0, act(&who, mount_inside, &inside));
}

TEST_F(mount, in_a_user_namespace_is_the_nearest_stage)
{
	const char *inner = world_cgroup(&self->w, "other/inner");
	struct actor who = { .namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID };
	struct inside inside = { self->point, NULL, STAGE_ENTRIES };

	ASSERT_EQ(0, world_stage(&self->w, "o", self->other));
	ASSERT_EQ(0, world_stage(&self->w, "i", inner));
	ASSERT_EQ(0, world_link(&self->w, "i", "o"));
	who.cgroup = inner;
	EXPECT_EQ(0, act(&who, mount_inside, &inside));
	/* The byte came from i. */
	EXPECT_READ(world_open(&self->w, "o", FAASIN_PORT_IN, O_RDONLY), "x");
}

TEST_F(mount, in_a_user_namespace_shows_no_other)
{
	struct actor who = { .cgroup = self->a, .namespaces = CLONE_NEWUSER | CLONE_NEWNS };
	struct inside inside = { self->point, self->options[2], "" };

	EXPECT_EQ(EPERM, act(&who, mount_inside, &inside));
}

TEST_F(mount, in_a_user_namespace_does_not_tell_what_exists)
{
	struct actor who = { .cgroup = self->a, .namespaces = CLONE_NEWUSER | CLONE_NEWNS };
	struct inside inside = { self->point, "workflow=no-such,stage=a", "" };

	EXPECT_EQ(EPERM, act(&who, mount_inside, &inside));
	inside.options = "workflow=no-such";
	EXPECT_EQ(EPERM, act(&who, mount_inside, &inside));
}

TEST_F(mount, in_a_user_namespace_never_shows_the_workflow)
{
	struct actor who = { .cgroup = self->a, .namespaces = CLONE_NEWUSER | CLONE_NEWNS };
	struct inside inside = { self->point, self->options[0], STAGE_ENTRIES };
	int result = act(&who, mount_inside, &inside);

	EXPECT_TRUE(result == 0 || result == EPERM)
		TH_LOG("got %d", result);
}

TEST_F(mount, in_a_user_namespace_outside_of_all_stages)
{
	struct actor who = { .cgroup = self->other, .namespaces = CLONE_NEWUSER | CLONE_NEWNS };
	struct inside inside = { self->point, NULL, "" };

	EXPECT_EQ(EPERM, act(&who, mount_inside, &inside));
	inside.options = self->options[1];
	EXPECT_EQ(EPERM, act(&who, mount_inside, &inside));
}

TEST_F(mount, takes_the_privilege_to_mount)
{
	struct actor who = { .cgroup = self->a, .id = 1000 };
	struct inside inside = { self->point, NULL, "" };

	EXPECT_EQ(EPERM, act(&who, mount_inside, &inside));
}

/* Remounting from in there reaches neither the scope nor the others' mounts. */
static int remount_inside(void *arg)
{
	struct inside *inside = arg;
	char *entries;

	if (mount_faasin(inside->point, 0, NULL))
		return 210;
	mount_faasin(inside->point, MS_REMOUNT | MS_RDONLY, inside->options);
	mount_faasin(inside->point, MS_REMOUNT, inside->options);
	entries = list_directory(inside->point);
	return !entries || strcmp(entries, STAGE_ENTRIES) ? 211 : 0;
}

TEST_F(mount, in_a_user_namespace_is_not_widened_by_remounting)
{
	struct actor who = { .cgroup = self->a, .namespaces = CLONE_NEWUSER | CLONE_NEWNS };
	struct inside inside = { self->point, self->options[0], STAGE_ENTRIES };

	EXPECT_EQ(0, act(&who, remount_inside, &inside));
	inside.options = NULL;
	EXPECT_EQ(0, act(&who, remount_inside, &inside));
	EXPECT_LE(0, world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY));
}

TEST_HARNESS_MAIN
