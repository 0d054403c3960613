// SPDX-License-Identifier: GPL-2.0
/*
 * The tree: what is in it, of which type, whose, and that nobody changes it by
 * file operations.
 */
#include <dirent.h>
#include <sys/inotify.h>
#include <sys/xattr.h>
#include <linux/capability.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

FIXTURE(fs) {
	struct world w;
	const char *a;
};

FIXTURE_SETUP(fs)
{
	WORLD_SETUP(&self->w, world_new);
	self->a = world_cgroup(&self->w, "a");
	ASSERT_EQ(0, world_stage(&self->w, "a", self->a));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
}

FIXTURE_TEARDOWN(fs)
{
	WORLD_TEARDOWN(&self->w);
}

/* ------------------------------------------------------------------- layout */

TEST_F(fs, root_holds_workflows_and_self)
{
	char *names = list_directory(MOUNT_POINT);
	char word[100];

	ASSERT_NE(NULL, names);
	snprintf(word, sizeof(word), "%s ", self->w.wf);
	EXPECT_NE(NULL, strstr(names, word));
	EXPECT_NE(NULL, strstr(names, "self "));
	free(names);
}

TEST_F(fs, workflow_holds_stages_and_self)
{
	EXPECT_ENTRIES("a b self ", self->w.dir);
}

TEST_F(fs, stage_holds_ports_and_self)
{
	EXPECT_ENTRIES("faasin faasout self ", world_path(&self->w, "a", NULL));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "a"),
				     NL_NEST(FAASIN_A_STAGE_PORT,
					     NL_STR(FAASIN_A_PORT_NAME, "errors"),
					     NL_U32(FAASIN_A_PORT_DIRECTION,
						    FAASIN_DIRECTION_OUT)),
				     NL_NEST(FAASIN_A_STAGE_PORT,
					     NL_STR(FAASIN_A_PORT_NAME, "control"),
					     NL_U32(FAASIN_A_PORT_DIRECTION,
						    FAASIN_DIRECTION_IN)))));
	EXPECT_ENTRIES("control errors faasin faasout self ", world_path(&self->w, "a", NULL));
}

TEST_F(fs, types_as_listed)
{
	struct dirent *entry;
	DIR *dir;

	dir = opendir(self->w.dir);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		EXPECT_EQ(strcmp(entry->d_name, "self") ? DT_DIR : DT_LNK, entry->d_type)
			TH_LOG("%s", entry->d_name);
	closedir(dir);
	dir = opendir(world_path(&self->w, "a", NULL));
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		int type = !strcmp(entry->d_name, "self") ? DT_LNK :
			!strncmp(entry->d_name, "faas", 4) ? DT_FIFO : DT_DIR;

		EXPECT_EQ(type, entry->d_type)
			TH_LOG("%s", entry->d_name);
	}
	closedir(dir);
}

TEST_F(fs, inode_numbers_as_listed)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	dir = opendir(world_path(&self->w, "a", NULL));
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".."))
			continue;
		ASSERT_EQ(0, lstat(world_path(&self->w, "a", entry->d_name), &st));
		EXPECT_EQ(st.st_ino, entry->d_ino)
			TH_LOG("%s", entry->d_name);
	}
	closedir(dir);
}

TEST_F(fs, types_and_modes_by_default)
{
	struct stat st;

	ASSERT_EQ(0, stat(MOUNT_POINT, &st));
	EXPECT_EQ(S_IFDIR | 0555, st.st_mode);
	ASSERT_EQ(0, stat(self->w.dir, &st));
	EXPECT_EQ(S_IFDIR | 0555, st.st_mode);
	ASSERT_EQ(0, stat(world_path(&self->w, "a", NULL), &st));
	EXPECT_EQ(S_IFDIR | 0555, st.st_mode);
	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &st));
	EXPECT_EQ(S_IFIFO | FAASIN_MODE_DEFAULT, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	ASSERT_EQ(0, stat(world_in(&self->w, "a"), &st));
	EXPECT_EQ(S_IFIFO | FAASIN_MODE_DEFAULT, st.st_mode);
	ASSERT_EQ(0, lstat(world_path(&self->w, "a", "self"), &st));
	EXPECT_EQ(S_IFLNK, st.st_mode & S_IFMT);
}

TEST_F(fs, owner_and_mode_as_asked)
{
	struct stat before, st;

	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &before));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "a"),
				     NL_U32(FAASIN_A_STAGE_UID, 1234),
				     NL_U32(FAASIN_A_STAGE_GID, 5678),
				     NL_U32(FAASIN_A_STAGE_MODE, 0640))));
	/* The inode was in use already, the other one is new: both change. */
	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &st));
	EXPECT_EQ(S_IFIFO | 0640, st.st_mode);
	EXPECT_EQ(1234, st.st_uid);
	EXPECT_EQ(5678, st.st_gid);
	EXPECT_EQ(before.st_ino, st.st_ino);
	ASSERT_EQ(0, stat(world_in(&self->w, "a"), &st));
	EXPECT_EQ(S_IFIFO | 0640, st.st_mode);
	EXPECT_EQ(1234, st.st_uid);
	ASSERT_EQ(0, stat(world_in(&self->w, "b"), &st));
	EXPECT_EQ(S_IFIFO | FAASIN_MODE_DEFAULT, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
}

TEST_F(fs, descriptor_looks_like_a_fifo)
{
	int out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	int in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);
	struct stat st;
	char byte = 0;

	ASSERT_LE(0, out);
	ASSERT_LE(0, in);
	ASSERT_EQ(0, fstat(out, &st));
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	ASSERT_EQ(0, fstat(in, &st));
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	EXPECT_EQ(-ESPIPE, sys(lseek(out, 0, SEEK_CUR)));
	EXPECT_EQ(-ESPIPE, sys(lseek(in, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, sys(pread(in, &byte, 1, 0)));
	EXPECT_EQ(-ESPIPE, sys(pwrite(out, &byte, 1, 0)));
	EXPECT_EQ(-EINVAL, sys(ftruncate(out, 0)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, in, 0));
	close(out);
	close(in);
}

TEST_F(fs, opens_as_a_shell_redirects)
{
	int out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY | O_CREAT | O_TRUNC);
	int more = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY | O_CREAT | O_APPEND);

	EXPECT_LE(0, out);
	EXPECT_LE(0, more);
	EXPECT_EQ(-EEXIST, world_open(&self->w, "a", FAASIN_PORT_OUT,
				      O_WRONLY | O_CREAT | O_EXCL));
	EXPECT_EQ(-ENOTDIR, world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY | O_DIRECTORY));
	close(out);
	close(more);
}

TEST_F(fs, inode_numbers_differ)
{
	struct stat a, b;

	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &a));
	ASSERT_EQ(0, stat(world_in(&self->w, "a"), &b));
	EXPECT_NE(a.st_ino, b.st_ino);
	ASSERT_EQ(0, stat(world_out(&self->w, "b"), &b));
	EXPECT_NE(a.st_ino, b.st_ino);
	ASSERT_EQ(0, stat(world_path(&self->w, "a", NULL), &b));
	EXPECT_NE(a.st_ino, b.st_ino);
}

TEST_F(fs, name_that_came_again_has_another_inode)
{
	struct stat before, after;

	ASSERT_EQ(0, stat(world_out(&self->w, "b"), &before));
	ASSERT_EQ(0, world_del_stage(&self->w, "b"));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, stat(world_out(&self->w, "b"), &after));
	EXPECT_NE(before.st_ino, after.st_ino);
}

TEST_F(fs, names_that_do_not_exist)
{
	struct stat st;
	char path[PATH_MAX];

	EXPECT_EQ(-ENOENT, sys(stat(MOUNT_POINT "/no-such", &st)));
	EXPECT_EQ(-ENOENT, sys(stat(MOUNT_POINT "/SELF", &st)));
	EXPECT_EQ(-ENOENT, sys(stat(world_path(&self->w, "c", NULL), &st)));
	EXPECT_EQ(-ENOENT, sys(stat(world_path(&self->w, "a", "faasboth"), &st)));
	EXPECT_EQ(-ENOTDIR, sys(stat(world_path(&self->w, "a", "faasin/x"), &st)));
	snprintf(path, sizeof(path), "%.100s/%0*d", self->w.dir, FAASIN_NAME_MAX, 0);
	EXPECT_EQ(-ENOENT, sys(stat(path, &st)));
	snprintf(path, sizeof(path), "%.100s/%0*d", self->w.dir, FAASIN_NAME_MAX + 1, 0);
	EXPECT_EQ(-ENAMETOOLONG, sys(stat(path, &st)));
}

TEST_F(fs, name_looked_up_before_it_exists)
{
	struct stat st;
	int i;

	/* What was not there a moment ago must not be remembered as such. */
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-ENOENT, sys(stat(world_path(&self->w, "late", NULL), &st)));
		ASSERT_EQ(0, world_stage(&self->w, "late", NULL));
		EXPECT_EQ(0, sys(stat(world_path(&self->w, "late", NULL), &st)));
		EXPECT_EQ(0, sys(stat(world_path(&self->w, "late", FAASIN_PORT_IN), &st)));
		ASSERT_EQ(0, world_del_stage(&self->w, "late"));
	}
}

/* ------------------------------------------------------------- nobody writes */

enum target { ROOT, WORKFLOW, STAGE, NR_TARGETS };

static const char *const target_names[] = { "root", "workflow", "stage" };

static const char *new_name(struct world *w, int target)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.200s/new", target == ROOT ? MOUNT_POINT :
		 target == WORKFLOW ? w->dir : world_path(w, "a", NULL));
	return path;
}

struct change {
	const char *name;
	long (*fn)(struct world *w, int target);
};

static long do_mkdir(struct world *w, int target)
{
	return sys(mkdir(new_name(w, target), 0755));
}

static long do_create(struct world *w, int target)
{
	return sys(open(new_name(w, target), O_CREAT | O_WRONLY, 0644));
}

static long do_mkfifo(struct world *w, int target)
{
	return sys(mkfifo(new_name(w, target), 0644));
}

static long do_mknod(struct world *w, int target)
{
	return sys(mknod(new_name(w, target), S_IFREG | 0644, 0));
}

static long do_symlink(struct world *w, int target)
{
	return sys(symlink("x", new_name(w, target)));
}

static long do_link(struct world *w, int target)
{
	return sys(link(world_out(w, "a"), new_name(w, target)));
}

static long do_tmpfile(struct world *w, int target)
{
	char path[PATH_MAX];
	long result;

	snprintf(path, sizeof(path), "%s", new_name(w, target));
	*strrchr(path, '/') = '\0';
	result = sys(open(path, O_TMPFILE | O_WRONLY, 0644));
	/* What a filesystem without such files says. */
	return result == -EOPNOTSUPP ? -EPERM : result;
}

static long do_rename(struct world *w, int target)
{
	const char *old = target == ROOT ? w->dir : target == WORKFLOW ?
		world_path(w, "b", NULL) : world_in(w, "a");

	return sys(rename(old, new_name(w, target)));
}

static long do_exchange(struct world *w, int target)
{
	const char *one = target == STAGE ? world_in(w, "a") : world_path(w, "a", NULL);
	const char *two = target == STAGE ? world_out(w, "a") : world_path(w, "b", NULL);

	return sys(syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, 2 /* exchange */));
}

static long do_unlink(struct world *w, int target)
{
	char path[PATH_MAX];

	if (target == STAGE)
		return sys(unlink(world_out(w, "a")));
	snprintf(path, sizeof(path), "%.200s/self", target == ROOT ? MOUNT_POINT : w->dir);
	return sys(unlink(path));
}

static long do_rmdir(struct world *w, int target)
{
	return sys(rmdir(target == ROOT ? w->dir : world_path(w, target == STAGE ? "a" : "b",
							      NULL)));
}

static const char *existing(struct world *w, int target)
{
	return target == ROOT ? w->dir : target == WORKFLOW ? world_path(w, "a", NULL) :
		world_out(w, "a");
}

static long do_chmod(struct world *w, int target)
{
	return sys(chmod(existing(w, target), 0777));
}

static long do_chown(struct world *w, int target)
{
	return sys(lchown(existing(w, target), 1000, 1000));
}

static long do_utimes(struct world *w, int target)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };

	return sys(utimensat(AT_FDCWD, existing(w, target), times, 0));
}

static long do_setxattr(struct world *w, int target)
{
	long result = sys(setxattr(existing(w, target), "trusted.x", "y", 1, 0));

	/* What a filesystem without attributes says. */
	return result == -EOPNOTSUPP ? -EPERM : result;
}

static long do_truncate(struct world *w, int target)
{
	long result = sys(truncate(existing(w, target), 0));

	/* What the kernel says of directories and FIFOs before it asks anybody. */
	return result == -EISDIR || result == -EINVAL ? -EPERM : result;
}

FIXTURE(change) {
	struct world w;
};

FIXTURE_VARIANT(change) {
	long (*fn)(struct world *w, int target);
};

#define CHANGE(name) FIXTURE_VARIANT_ADD(change, name) { do_##name }
CHANGE(mkdir);
CHANGE(create);
CHANGE(mkfifo);
CHANGE(mknod);
CHANGE(symlink);
CHANGE(link);
CHANGE(tmpfile);
CHANGE(rename);
CHANGE(exchange);
CHANGE(unlink);
CHANGE(rmdir);
CHANGE(chmod);
CHANGE(chown);
CHANGE(utimes);
CHANGE(setxattr);
CHANGE(truncate);

FIXTURE_SETUP(change)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
}

FIXTURE_TEARDOWN(change)
{
	WORLD_TEARDOWN(&self->w);
}

struct changes {
	struct world *w;
	long (*fn)(struct world *w, int target);
	long results[NR_TARGETS];
};

static int change_all(void *arg)
{
	struct changes *changes = arg;
	int i;

	for (i = 0; i < NR_TARGETS; i++)
		changes->results[i] = changes->fn(changes->w, i);
	return 0;
}

static void check_change(struct __test_metadata *_metadata, FIXTURE_DATA(change) *self,
			 const FIXTURE_VARIANT(change) *variant, uid_t id)
{
	struct changes *changes = shared(sizeof(*changes));
	struct actor who = { .id = id };
	struct stat before, after;
	int i;

	ASSERT_NE(NULL, changes);
	changes->w = &self->w;
	changes->fn = variant->fn;
	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &before));
	ASSERT_EQ(0, act(&who, change_all, changes));
	for (i = 0; i < NR_TARGETS; i++)
		EXPECT_TRUE(changes->results[i] == -EPERM || changes->results[i] == -EACCES)
			TH_LOG("in the %s: %ld", target_names[i], changes->results[i]);
	EXPECT_ENTRIES("a b self ", self->w.dir);
	EXPECT_ENTRIES("faasin faasout self ", world_path(&self->w, "a", NULL));
	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &after));
	EXPECT_EQ(before.st_mode, after.st_mode);
	EXPECT_EQ(before.st_uid, after.st_uid);
	EXPECT_EQ(before.st_mtime, after.st_mtime);
}

TEST_F(change, refused_to_root)
{
	check_change(_metadata, self, variant, 0);
}

TEST_F(change, refused_to_a_user)
{
	check_change(_metadata, self, variant, 1000);
}

/* ------------------------------------------------------------------ inotify */

FIXTURE(notify) {
	struct world w;
	int fd;
};

FIXTURE_SETUP(notify)
{
	WORLD_SETUP(&self->w, world_new);
	self->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(notify)
{
	close(self->fd);
	WORLD_TEARDOWN(&self->w);
}

/* What was said of @name since the last call: all masks together. */
static uint32_t said(int fd, const char *name)
{
	char buf[8192] __attribute__((aligned(8)));
	struct inotify_event *event;
	uint32_t mask = 0;
	ssize_t len;
	char *at;

	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (at = buf; at < buf + len; at += sizeof(*event) + event->len) {
			event = (void *)at;
			if (!strcmp(event->len ? event->name : "", name))
				mask |= event->mask;
		}
	}
	return mask;
}

TEST_F(notify, sees_workflows_come_and_go)
{
	char name[80];

	snprintf(name, sizeof(name), "%s-2", self->w.wf);
	ASSERT_LE(0, inotify_add_watch(self->fd, MOUNT_POINT, IN_CREATE | IN_DELETE));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, name),
				     NL_U32(FAASIN_A_WORKFLOW_FLAGS,
					    FAASIN_WORKFLOW_F_UNCHARGED))));
	EXPECT_EQ(IN_CREATE | IN_ISDIR, said(self->fd, name));
	ASSERT_EQ(0, world_del_workflow(&self->w, name));
	EXPECT_EQ(IN_DELETE | IN_ISDIR, said(self->fd, name));
}

TEST_F(notify, sees_stages_come_and_go)
{
	ASSERT_LE(0, inotify_add_watch(self->fd, self->w.dir, IN_CREATE | IN_DELETE));
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	EXPECT_EQ(IN_CREATE | IN_ISDIR, said(self->fd, "a"));
	/* Nothing came that was there already. */
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	EXPECT_EQ(0, said(self->fd, "a"));
	ASSERT_EQ(0, world_del_stage(&self->w, "a"));
	EXPECT_EQ(IN_DELETE | IN_ISDIR, said(self->fd, "a"));
}

TEST_F(notify, sees_stages_that_nobody_looked_up)
{
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_LE(0, inotify_add_watch(self->fd, self->w.dir, IN_CREATE | IN_DELETE));
	ASSERT_EQ(0, world_del_stage(&self->w, "a"));
	EXPECT_EQ(IN_DELETE | IN_ISDIR, said(self->fd, "a"));
}

TEST_F(notify, sees_ports_come)
{
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_LE(0, inotify_add_watch(self->fd, world_path(&self->w, "a", NULL),
				       IN_CREATE | IN_DELETE));
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, self->w.wf),
				     NL_STR(FAASIN_A_STAGE_NAME, "a"),
				     NL_NEST(FAASIN_A_STAGE_PORT,
					     NL_STR(FAASIN_A_PORT_NAME, "extra"),
					     NL_U32(FAASIN_A_PORT_DIRECTION,
						    FAASIN_DIRECTION_OUT)))));
	EXPECT_EQ(IN_CREATE, said(self->fd, "extra"));
}

TEST_F(notify, sees_its_own_directory_go)
{
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_LE(0, inotify_add_watch(self->fd, world_path(&self->w, "a", NULL),
				       IN_DELETE_SELF));
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	EXPECT_EQ(IN_DELETE_SELF, said(self->fd, "") & IN_DELETE_SELF);
}

TEST_F(notify, sees_bytes_as_on_a_fifo)
{
	int in, out;

	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	ASSERT_LE(0, inotify_add_watch(self->fd, world_out(&self->w, "a"),
				       IN_MODIFY | IN_OPEN | IN_CLOSE));
	out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	ASSERT_LE(0, out);
	EXPECT_EQ(IN_OPEN, said(self->fd, ""));
	EXPECT_WRITE(out, "x");
	EXPECT_EQ(IN_MODIFY, said(self->fd, ""));
	close(out);
	EXPECT_EQ(IN_CLOSE_WRITE, said(self->fd, ""));
	in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_READ(in, "x");
	close(in);
}

TEST_HARNESS_MAIN
