// SPDX-License-Identifier: GPL-2.0
/*
 * What is deleted is gone at once, whoever has it in use; and the listing of
 * directories that are many, large or changing.
 */
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

FIXTURE(vanish) {
	struct world w;
	int out, in;
};

FIXTURE_VARIANT(vanish) {
	bool whole;	/* the workflow goes, not the stage alone */
};

FIXTURE_VARIANT_ADD(vanish, with_its_stage) { false };
FIXTURE_VARIANT_ADD(vanish, with_its_workflow) { true };

FIXTURE_SETUP(vanish)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	self->out = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	self->in = world_open(&self->w, "b", FAASIN_PORT_IN, O_RDONLY);
	ASSERT_LE(0, self->out);
	ASSERT_LE(0, self->in);
}

FIXTURE_TEARDOWN(vanish)
{
	close(self->out);
	close(self->in);
	ASSERT_EQ(0, chdir("/"));
	WORLD_TEARDOWN(&self->w);
}

static int delete(struct world *w, bool whole)
{
	return whole ? world_del_workflow(w, w->wf) : world_del_stage(w, "a");
}

TEST_F(vanish, paths)
{
	struct stat st;

	ASSERT_EQ(0, stat(world_out(&self->w, "a"), &st));
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	EXPECT_EQ(-ENOENT, sys(stat(world_out(&self->w, "a"), &st)));
	EXPECT_EQ(-ENOENT, sys(stat(world_path(&self->w, "a", NULL), &st)));
	EXPECT_EQ(variant->whole ? -ENOENT : 0, sys(stat(self->w.dir, &st)));
	EXPECT_EQ(-ENOENT, world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY));
	if (!variant->whole)
		EXPECT_ENTRIES("b self ", self->w.dir);
}

TEST_F(vanish, working_directory)
{
	char path[PATH_MAX];

	ASSERT_EQ(0, chdir(world_path(&self->w, "a", NULL)));
	ASSERT_EQ(0, access("faasout", F_OK));
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	EXPECT_EQ(-ENOENT, sys(access("faasout", F_OK)));
	EXPECT_EQ(-ENOENT, sys(open("faasout", O_WRONLY | O_NONBLOCK)));
	EXPECT_EQ(-ENOENT, sys(open("faasin", O_RDONLY | O_NONBLOCK)));
	EXPECT_EQ(-ENOENT, sys(syscall(SYS_getcwd, path, sizeof(path))));
	EXPECT_EQ(0, chdir("/"));
}

TEST_F(vanish, directory_descriptor)
{
	int dir = open(world_path(&self->w, "a", NULL), O_RDONLY | O_DIRECTORY);
	char buf[1024], *names;
	char path[64];
	long len;

	ASSERT_LE(0, dir);
	ASSERT_EQ(0, faccessat(dir, "faasin", F_OK, 0));
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	EXPECT_EQ(-ENOENT, sys(openat(dir, "faasout", O_WRONLY | O_NONBLOCK)));
	EXPECT_EQ(-ENOENT, sys(faccessat(dir, "faasin", F_OK, 0)));
	len = sys(syscall(SYS_getdents64, dir, buf, sizeof(buf)));
	EXPECT_TRUE(len >= 0 || len == -ENOENT);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	names = list_directory(path);
	if (names)
		EXPECT_STREQ("", names);
	free(names);
	close(dir);
}

TEST_F(vanish, path_descriptor_of_a_port)
{
	int port = world_open(&self->w, "a", FAASIN_PORT_OUT, O_PATH);
	char path[64];

	ASSERT_LE(0, port);
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", port);
	EXPECT_EQ(-ENOENT, sys(open(path, O_WRONLY | O_NONBLOCK)));
	EXPECT_EQ(-ENOENT, sys(open(path, O_WRONLY)));
	close(port);
}

TEST_F(vanish, open_ports_stay_safe)
{
	char byte = 0;

	EXPECT_WRITE(self->out, "kept");
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	EXPECT_EQ(-EPIPE, sys(write(self->out, &byte, 1)));
	EXPECT_READ(self->in, "kept");
	EXPECT_OVER(self->in, -ECONNABORTED);
}

TEST_F(vanish, open_ports_have_no_name)
{
	int dir = open(world_path(&self->w, "a", NULL), O_RDONLY | O_DIRECTORY);
	struct stat st;

	ASSERT_LE(0, dir);
	ASSERT_EQ(0, fstat(self->out, &st));
	EXPECT_EQ(1, st.st_nlink);
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	EXPECT_EQ(0, fstat(self->out, &st));
	EXPECT_EQ(0, st.st_nlink);
	EXPECT_EQ(0, fstat(dir, &st));
	EXPECT_EQ(0, st.st_nlink);
	close(dir);
}

TEST_F(vanish, open_that_waits_for_a_link)
{
	pid_t pid = child();

	if (!pid) {
		int fd = open(world_in(&self->w, "a"), O_RDONLY);

		_exit(fd < 0 ? errno : 0);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	EXPECT_EQ(ENOENT, child_end(pid));
}

TEST_F(vanish, scoped_mount)
{
	char point[] = "/tmp/faasin-test-XXXXXX";
	char options[200], path[64], *names;

	ASSERT_NE(NULL, mkdtemp(point));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	snprintf(options, sizeof(options), "workflow=%s,stage=a", self->w.wf);
	ASSERT_EQ(0, mount("none", point, "faasin", 0, options));
	snprintf(path, sizeof(path), "%s/faasout", point);
	EXPECT_EQ(0, access(path, W_OK));
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	EXPECT_EQ(-ENOENT, sys(open(path, O_WRONLY | O_NONBLOCK)));
	names = list_directory(point);
	if (names)
		EXPECT_STREQ("", names);
	free(names);
	EXPECT_EQ(0, sys(umount(point)));
	rmdir(point);
}

TEST_F(vanish, and_comes_back_as_another)
{
	int dir = open(world_path(&self->w, "a", NULL), O_RDONLY | O_DIRECTORY);
	char byte = 0;

	ASSERT_LE(0, dir);
	ASSERT_EQ(0, delete(&self->w, variant->whole));
	if (variant->whole) {
		ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
				     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->w.wf),
					     NL_U32(FAASIN_A_WORKFLOW_FLAGS,
						    FAASIN_WORKFLOW_F_UNCHARGED))));
		ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	}
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	/* Neither old directories nor old descriptors lead to the new stage. */
	EXPECT_EQ(-ENOENT, sys(openat(dir, "faasout", O_WRONLY | O_NONBLOCK)));
	EXPECT_EQ(-EPIPE, sys(write(self->out, &byte, 1)));
	EXPECT_LE(0, world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY));
	close(dir);
}

/* ------------------------------------------------------------------ cgroups */

FIXTURE(payer) {
	struct world w;
};

FIXTURE_SETUP(payer)
{
	/* The test's own above it, to see whether anything stays. */
	WORLD_SETUP(&self->w, world_new);
	world_cgroup(&self->w, "pays");
	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	ASSERT_EQ(0, cgroup_write(self->w.wf, "cgroup.subtree_control", "+memory"));
}

FIXTURE_TEARDOWN(payer)
{
	WORLD_TEARDOWN(&self->w);
}

/* Cgroups below the test's own that are removed and in use. */
static long long dying(struct world *w)
{
	return cgroup_read(w->wf, "cgroup.stat", "nr_dying_descendants");
}

TEST_F(payer, goes_with_what_was_looked_up)
{
	int fd = cgroup_open(world_cgroup(&self->w, "pays")), i;
	char *names;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, nl_call(&self->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, self->w.wf),
				     NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd))))
		TH_LOG("%s", self->w.nl.text);
	close(fd);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	for (i = 0; i < 4; i++) {
		names = list_directory(world_path(&self->w, i % 2 ? "a" : "b", NULL));
		EXPECT_NE(NULL, names);
		free(names);
		EXPECT_EQ(0, access(i % 2 ? world_out(&self->w, "a") : world_in(&self->w, "b"),
				    F_OK));
	}
	fd = world_open(&self->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_WRITE(fd, "paid for");
	close(fd);

	ASSERT_EQ(0, world_del_workflow(&self->w, self->w.wf));
	EXPECT_EQ(0, dying(&self->w));
	ASSERT_EQ(0, cgroup_remove(world_cgroup(&self->w, "pays")));
	/* It goes by and by, once nothing refers to it. */
	for (i = 0; i < DEADLINE * 100 && dying(&self->w); i++)
		usleep(10000);
	EXPECT_EQ(0, dying(&self->w));
}

/* ------------------------------------------------------------------ listing */

#define MANY	FAASIN_STAGES_MAX

FIXTURE(listing) {
	struct world w;
};

FIXTURE_SETUP(listing)
{
	WORLD_SETUP(&self->w, world_new);
}

FIXTURE_TEARDOWN(listing)
{
	WORLD_TEARDOWN(&self->w);
}

/* Stages [@from, @to) come or go. */
static int many_stages(struct world *w, int from, int to, bool come)
{
	char name[16];
	int i, error;

	for (i = from; i < to; i++) {
		snprintf(name, sizeof(name), "s%04d", i);
		error = come ? world_stage(w, name, NULL) : world_del_stage(w, name);
		if (error)
			return error;
	}
	return 0;
}

/* Reads on from a directory with a buffer of @size: counts what it sees. */
static int count(int dir, size_t size, unsigned char *seen, bool once)
{
	char buf[4096];
	int total = 0, nr;
	long len, at;

	while ((len = syscall(SYS_getdents64, dir, buf, size)) > 0) {
		for (at = 0; at < len;) {
			unsigned short reclen = *(unsigned short *)(buf + at + 16);

			if (sscanf(buf + at + 19, "s%4d", &nr) == 1 && nr >= 0 && nr < 2 * MANY)
				seen[nr]++;
			total++;
			at += reclen;
		}
		if (once)
			break;
	}
	return len < 0 ? -errno : total;
}

TEST_F_TIMEOUT(listing, as_many_stages_as_there_can_be, 120)
{
	static unsigned char seen[2 * MANY];
	int dir, i, other = 0;

	ASSERT_EQ(0, many_stages(&self->w, 0, MANY, true))
		TH_LOG("%s", self->w.nl.text);
	dir = open(self->w.dir, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	/* ".", ".." and self besides. */
	EXPECT_EQ(MANY + 3, count(dir, 4096, seen, false));
	for (i = 0; i < MANY; i++)
		other += seen[i] != 1;
	EXPECT_EQ(0, other);

	/* From the start, in small bites. */
	memset(seen, 0, sizeof(seen));
	ASSERT_EQ(0, lseek(dir, 0, SEEK_SET));
	EXPECT_EQ(MANY + 3, count(dir, 128, seen, false));
	for (i = 0; i < MANY; i++)
		other += seen[i] != 1;
	EXPECT_EQ(0, other);
	close(dir);
}

TEST_F_TIMEOUT(listing, while_it_changes, 120)
{
	static unsigned char seen[2 * MANY];
	int dir, i, missed = 0, twice = 0;

	ASSERT_EQ(0, many_stages(&self->w, 0, 300, true));
	dir = open(self->w.dir, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	EXPECT_LT(0, count(dir, 1024, seen, true));
	/* Some that were seen, some that were not, and some new ones. */
	ASSERT_EQ(0, many_stages(&self->w, 0, 20, false));
	ASSERT_EQ(0, many_stages(&self->w, 280, 300, false));
	ASSERT_EQ(0, many_stages(&self->w, 1100, 1120, true));
	EXPECT_LT(0, count(dir, 1024, seen, true));
	ASSERT_EQ(0, many_stages(&self->w, 20, 40, false));
	ASSERT_EQ(0, many_stages(&self->w, 0, 20, true));
	EXPECT_LT(0, count(dir, 1024, seen, false));
	/* What stayed all the time is seen exactly once, anything at most once a life. */
	for (i = 40; i < 280; i++)
		missed += seen[i] != 1;
	for (i = 20; i < 2 * MANY; i++)
		twice += seen[i] > 1;
	EXPECT_EQ(0, missed);
	EXPECT_EQ(0, twice);
	close(dir);
}

TEST_F(listing, from_a_position_told_before)
{
	struct dirent *entry;
	char name[256];
	long position;
	DIR *dir;
	int i;

	ASSERT_EQ(0, many_stages(&self->w, 0, 50, true));
	dir = opendir(self->w.dir);
	ASSERT_NE(NULL, dir);
	for (i = 0; i < 20; i++)
		ASSERT_NE(NULL, readdir(dir));
	position = telldir(dir);
	entry = readdir(dir);
	ASSERT_NE(NULL, entry);
	snprintf(name, sizeof(name), "%s", entry->d_name);
	while (readdir(dir))
		;
	seekdir(dir, position);
	entry = readdir(dir);
	ASSERT_NE(NULL, entry);
	EXPECT_STREQ(name, entry->d_name);
	closedir(dir);
}

TEST_F(listing, of_a_directory_opened_when_it_was_empty)
{
	static unsigned char seen[2 * MANY];
	int dir = open(self->w.dir, O_RDONLY | O_DIRECTORY);

	ASSERT_LE(0, dir);
	EXPECT_EQ(3, count(dir, 4096, seen, false));
	ASSERT_EQ(0, many_stages(&self->w, 0, 3, true));
	ASSERT_EQ(0, lseek(dir, 0, SEEK_SET));
	EXPECT_EQ(6, count(dir, 4096, seen, false));
	close(dir);
}

/* ---------------------------------------------------- replaced while it is used */

/*
 * Something goes and comes back as fast as it can, while another process does what begins with
 * the old one and may end with the new one. That they meet is left to chance.
 */
#define REPLACED	1000

/**
 * struct use - shared with the process that uses it
 * @done: how often
 * @odd: of these, what ended in an error that it must not end in
 * @error: the last such
 */
struct use {
	unsigned int done, odd;
	int error;
};

FIXTURE(replaced) {
	struct world w;
	char point[32];
	struct use *use;
	pid_t other;
};

/* Both return 0 or a (positive) error. */
FIXTURE_VARIANT(replaced) {
	int (*use)(struct world *w, const char *point);
	int (*replace)(struct world *w);
	int refusal;		/* what a use may end in */
};

/* Finding the memory of so large a link takes a while, and holds up nobody. */
static int link_it(struct world *w, const char *point)
{
	return world_link_of(w, "a", "b", FAASIN_CAPACITY_MAX);
}

static int closed(int fd)
{
	if (fd < 0)
		return -fd;
	close(fd);
	return 0;
}

static int open_output(struct world *w, const char *point)
{
	return closed(world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY));
}

static int open_input(struct world *w, const char *point)
{
	return closed(world_open(w, "b", FAASIN_PORT_IN, O_RDONLY));
}

static int mount_it(struct world *w, const char *point)
{
	char scope[128];

	snprintf(scope, sizeof(scope), "workflow=%s,stage=b", w->wf);
	if (mount("none", point, "faasin", 0, scope))
		return errno;
	return umount2(point, MNT_DETACH) ? errno : 0;
}

static int replace_stage(struct world *w)
{
	return world_del_stage(w, "b") ?: world_stage(w, "b", NULL);
}

static int replace_link(struct world *w)
{
	return world_unlink(w, "a") ?: world_link_of(w, "a", "b", PAGE);
}

FIXTURE_VARIANT_ADD(replaced, while_it_is_linked) { link_it, replace_stage, ENOENT };
FIXTURE_VARIANT_ADD(replaced, while_it_is_mounted) { mount_it, replace_stage, ENOENT };
FIXTURE_VARIANT_ADD(replaced, while_its_output_is_opened) { open_output, replace_link, ENXIO };
FIXTURE_VARIANT_ADD(replaced, while_its_input_is_opened) { open_input, replace_link, ENXIO };

FIXTURE_SETUP(replaced)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	if (variant->replace == replace_link)
		ASSERT_EQ(0, world_link(&self->w, "a", "b"));
	strcpy(self->point, "/tmp/faasin-test-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->point));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	self->use = shared(sizeof(*self->use));
	ASSERT_NE(NULL, self->use);
}

FIXTURE_TEARDOWN(replaced)
{
	child_kill(self->other, SIGKILL);
	umount2(self->point, MNT_DETACH);
	rmdir(self->point);
	WORLD_TEARDOWN(&self->w);
}

static unsigned int uses(struct use *use)
{
	return __atomic_load_n(&use->done, __ATOMIC_RELAXED);
}

TEST_F_TIMEOUT(replaced, harms_nobody, 100)
{
	struct use *use = self->use;
	int i, error;

	self->other = child();
	if (!self->other) {
		alarm(90 * slower());
		/* A connection of its own. */
		for (error = nl_open(&self->w.nl); !error; use->done++) {
			error = variant->use(&self->w, self->point);
			if (error && error != variant->refusal) {
				use->error = error;
				use->odd++;
			}
			error = 0;
		}
		_exit(error);
	}
	/* One use of a link can take longer than all of these where CPUs are shared. */
	for (i = 0; i < REPLACED || (!uses(use) && is_running(self->other)); i++)
		ASSERT_EQ(0, variant->replace(&self->w));
	EXPECT_TRUE(is_running(self->other));
	EXPECT_LT(0, uses(use));
	EXPECT_EQ(0, use->odd)
		TH_LOG("the last odd error: %s", strerror(use->error));
	child_kill(self->other, SIGKILL);
	self->other = 0;
	EXPECT_EQ(0, world_del_stage(&self->w, "b"));
	EXPECT_EQ(0, world_stage(&self->w, "b", NULL));
	EXPECT_EQ(0, world_link(&self->w, "a", "b"));
}

TEST_HARNESS_MAIN
