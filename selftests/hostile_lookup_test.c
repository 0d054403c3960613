// SPDX-License-Identifier: GPL-2.0
/*
 * A container that somebody else has taken over tries to hold others up where all meet, in the
 * tree of files: by looking up, mounting and watching with no memory left, and by a listing that
 * does not end; and to use up numbers. And it tries to keep hold of what it handed on, and of memory
 * of links that are gone.
 */
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include "harness.h"
#include "hostile.h"

#define IN	(O_RDONLY | O_NONBLOCK | O_CLOEXEC)
#define OUT	(O_WRONLY | O_NONBLOCK | O_CLOEXEC)
#define SLACK	(768 * KIB)	/* what each CPU may have charged ahead */

static long long current(const char *cgroup)
{
	return cgroup_read(cgroup, "memory.current", NULL);
}

/* --------------------------------------------- in the tree, without memory */

#define STAGES	800	/* of the attacker's workflow: more inodes than it has memory for */
#define AT_IT	4	/* processes */
#define ROUNDS	40	/* of another's work */
#define OTHER	"test-other"	/* a workflow that comes and goes with that */

FIXTURE(starved) {
	struct hostile h;
};

FIXTURE_VARIANT(starved) {
	attack_fn fn;
	const char *limit;	/* the file */
	int percent;		/* of what it has when it begins */
};

/*
 * One of the processes does this again and again; its argument: which one. More inodes than
 * it has memory for: each must be made by throwing others out.
 */
static int look_up_all(struct hostile *h, int nr)
{
	static const char * const names[] = { "faasin", "faasout", "self" };
	char path[PATH_MAX];
	int i, j, found = 0;

	for (i = 0; i < STAGES; i++)
		for (j = 0; j < 3; j++) {
			snprintf(path, sizeof(path), MOUNT_POINT "/%s/s%d/%s", h->own.wf,
				 (i + nr * STAGES / AT_IT) % STAGES, names[j]);
			found += !access(path, F_OK);
		}
	return found;
}

static int mount_all(struct hostile *h, int nr)
{
	char path[PATH_MAX];
	int i, done = 0;

	look_up_all(h, nr);
	snprintf(path, sizeof(path), "%s/%d", h->spare, nr);
	for (i = 0; i < 20; i++) {
		done += !mount("none", path, "faasin", 0, NULL);
		umount2(path, MNT_DETACH);
	}
	return done;
}

/* What is done to its stages it wants to be told, as often as it can have that. */
static int watch_all(struct hostile *h, int nr)
{
	char path[PATH_MAX];
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), i, done = 0;

	look_up_all(h, nr);
	for (i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), MOUNT_POINT "/%s/s%d", h->own.wf,
			 (nr * 20 + i) % STAGES);
		done += inotify_add_watch(watch, path, IN_ALL_EVENTS) >= 0;
	}
	done += inotify_add_watch(watch, h->point, IN_ALL_EVENTS) >= 0;
	done += inotify_add_watch(watch, own_path(h, "faasout"), IN_ALL_EVENTS) >= 0;
	/* So that what it is told piles up. */
	if (nr && done)
		usleep(200000);
	close(watch);
	return done;
}

typedef int (*deed_fn)(struct hostile *h, int nr);

/* One of them; number[0]: what they got done. */
static pid_t begin_deed(struct hostile *h, deed_fn fn, int nr, bool first)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	/* It is to fall to the OOM killer, and not the init of the namespace. */
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1000", 4) != 4)
		_exit(1);
	close(fd);
	if (first) {
		ring(h->ready);
		await(h->go);
	}
	for (;;)
		__atomic_fetch_add(&h->attack->number[0], fn(h, nr), __ATOMIC_RELAXED);
}

/* All of them at it; where one falls, another one takes its place. */
static int at_it(struct hostile *h, deed_fn fn)
{
	pid_t pids[AT_IT], pid;
	char path[PATH_MAX];
	int nr;

	if (mount("none", h->spare, "tmpfs", 0, NULL))
		return 1;
	for (nr = 0; nr < AT_IT; nr++) {
		snprintf(path, sizeof(path), "%s/%d", h->spare, nr);
		if (mkdir(path, 0755))
			return 2;
		pids[nr] = begin_deed(h, fn, nr, true);
	}
	while ((pid = wait(NULL)) > 0 || errno == EINTR)
		for (nr = 0; nr < AT_IT; nr++)
			if (pids[nr] == pid)
				pids[nr] = begin_deed(h, fn, nr, false);
	return 3;
}

static int look_up_starved(struct hostile *h)
{
	return at_it(h, look_up_all);
}

static int mount_starved(struct hostile *h)
{
	return at_it(h, mount_all);
}

static int watch_starved(struct hostile *h)
{
	return at_it(h, watch_all);
}

FIXTURE_VARIANT_ADD(starved, look_ups_at_max) {
	.fn = look_up_starved, .limit = "memory.max", .percent = 103,
};

FIXTURE_VARIANT_ADD(starved, look_ups_over_high) {
	.fn = look_up_starved, .limit = "memory.high", .percent = 50,
};

FIXTURE_VARIANT_ADD(starved, mounts_at_max) {
	.fn = mount_starved, .limit = "memory.max", .percent = 103,
};

FIXTURE_VARIANT_ADD(starved, mounts_over_high) {
	.fn = mount_starved, .limit = "memory.high", .percent = 50,
};

FIXTURE_VARIANT_ADD(starved, watches_at_max) {
	.fn = watch_starved, .limit = "memory.max", .percent = 103,
};

FIXTURE_SETUP(starved)
{
	char name[16];
	int i;

	HOSTILE_SETUP(&self->h);
	for (i = 0; i < STAGES; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		ASSERT_EQ(0, world_stage(&self->h.own, name, NULL));
	}
}

FIXTURE_TEARDOWN(starved)
{
	world_del_workflow(&self->h.victim, OTHER);	/* if it failed in between */
	HOSTILE_TEARDOWN(&self->h);
}

/* What others do in the tree and with it; 0, or which part did not work. */
static int work(struct hostile *h, const char *point, int round)
{
	struct world *w = &h->victim;
	char path[PATH_MAX], *names;
	const char *other = OTHER;
	struct stat st;

	if (nl_call(&w->nl, FAASIN_CMD_WORKFLOW_NEW, NLM_F_EXCL,
		    NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, other),
			    NL_U32(FAASIN_A_WORKFLOW_FLAGS, FAASIN_WORKFLOW_F_UNCHARGED))))
		return 1;
	if (nl_call(&w->nl, FAASIN_CMD_STAGE_NEW, 0,
		    NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, other),
			    NL_STR(FAASIN_A_STAGE_NAME, "x"))))
		return 2;
	snprintf(path, sizeof(path), MOUNT_POINT "/%s/x/faasin", other);
	if (stat(path, &st))
		return 3;
	snprintf(path, sizeof(path), MOUNT_POINT "/missing-%d", round);
	if (!access(path, F_OK))
		return 4;
	names = list_directory(MOUNT_POINT);
	if (!names || !strstr(names, other))
		return 5;
	free(names);
	snprintf(path, sizeof(path), "workflow=%s,stage=x", other);
	if (mount("none", point, "faasin", 0, path) || umount(point))
		return 6;
	/* The attacker's own, too; its watchers are told. */
	snprintf(path, sizeof(path), "s%d", round % STAGES);
	if (nl_call(&w->nl, FAASIN_CMD_STAGE_NEW, 0,
		    NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, h->own.wf),
			    NL_STR(FAASIN_A_STAGE_NAME, "a"),
			    NL_U32(FAASIN_A_STAGE_MODE, round % 2 ? 0666 : 0622))) ||
	    world_del_stage(&h->own, path) || world_stage(&h->own, path, NULL))
		return 7;
	if (!victim_works(h))
		return 8;
	return world_del_workflow(w, other) ? 9 : 0;
}

static long long limited(struct hostile *h, const char *limit)
{
	return cgroup_read(h->own.wf, "memory.events", strrchr(limit, '.') + 1);
}

/* Waits until the attacker meets its limit. */
static bool meets_limit(struct hostile *h, const char *limit)
{
	long long before = limited(h, limit);
	int tries;

	for (tries = 0; tries < DEADLINE * 100 && limited(h, limit) <= before; tries++)
		usleep(10000);
	return limited(h, limit) > before;
}

TEST_F_TIMEOUT(starved, others_go_on, 100)
{
	struct hostile *h = &self->h;
	char point[] = "/tmp/faasin-test-XXXXXX", text[32];
	pid_t begun;
	int i;

	ASSERT_NE(NULL, mkdtemp(point));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	begun = attack_begin(h, variant->fn);
	for (i = 0; i < AT_IT; i++)
		ASSERT_TRUE(await(h->ready));
	snprintf(text, sizeof(text), "%lld", current(h->own.wf) * variant->percent / 100);
	ASSERT_EQ(0, cgroup_write(h->own.wf, variant->limit, text));
	for (i = 0; i < AT_IT; i++)
		ring(h->go);
	EXPECT_TRUE(meets_limit(h, variant->limit));

	for (i = 0; i < ROUNDS; i++) {
		int part = work(h, point, i);

		ASSERT_EQ(0, part)
			TH_LOG("round %d, part %d: %s; %s", i, part, strerror(errno),
			       h->victim.nl.text);
	}
	EXPECT_TRUE(attacker_kill(h, begun));
	rmdir(point);
}

/* --------------------------------------------- a listing that does not end */

FIXTURE(listing) {
	struct hostile h;
	int sysctl;
};

FIXTURE_VARIANT(listing) {
	bool root;	/* the directory that all have in common, not its own */
};

FIXTURE_VARIANT_ADD(listing, of_its_directory) { false };
FIXTURE_VARIANT_ADD(listing, of_the_root) { true };

FIXTURE_SETUP(listing)
{
	HOSTILE_SETUP(&self->h);
	self->sysctl = allow_userfaultfd(1);
	if (self->sysctl < 0)
		SKIP(return, "user namespaces get no userfaultfd on this kernel");
}

FIXTURE_TEARDOWN(listing)
{
	if (self->sysctl >= 0)
		allow_userfaultfd(self->sysctl);
	HOSTILE_TEARDOWN(&self->h);
}

/* One lists the directory for ever; then another one tries to make files there, which the VFS
 * takes the directory's lock for even if it then refuses.
 */
static int list_for_ever(struct hostile *h, const char *path)
{
	char *page = page_of_no_return(), file[PATH_MAX];
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!page || dir < 0)
		return 1;
	if (!fork()) {
		if (!await(h->go))
			_exit(1);
		snprintf(file, sizeof(file), "%s/new", path);
		TRY("a directory", mkdir(file, 0755), EPERM, EACCES, EROFS);
		TRY("a file", open(file, O_CREAT | OUT, 0644), EPERM, EACCES, EROFS);
		TRY("a name less", unlink(file), ENOENT, EPERM, EACCES, EROFS);
		ring(h->ready);
		_exit(0);
	}
	return syscall(SYS_getdents64, dir, page, PAGE) ? 2 : 3;
}

static int list_own(struct hostile *h)
{
	return list_for_ever(h, h->point);
}

static int list_root(struct hostile *h)
{
	return list_for_ever(h, MOUNT_POINT);
}

/* A name that is not cached, looked up by one who can be given up. */
static int missing_in(const char *dir)
{
	char path[PATH_MAX];
	pid_t pid = child();

	if (!pid) {
		snprintf(path, sizeof(path), "%s/missing", dir);
		_exit(access(path, F_OK) ? errno : 0);
	}
	return child_end(pid);
}

TEST_F_TIMEOUT(listing, holds_nobody_up, 90)
{
	struct hostile *h = &self->h;
	const char *own = world_path(&h->own, "a", NULL);
	pid_t begun = attack_begin(h, variant->root ? list_root : list_own);

	ASSERT_TRUE(attacker_is_in(h, SYS_getdents64));
	ring(h->go);
	EXPECT_TRUE(await(h->ready));
	EXPECT_ATTEMPTS(h, 3);
	EXPECT_EQ(ENOENT, missing_in(MOUNT_POINT));
	EXPECT_EQ(ENOENT, missing_in(own));
	EXPECT_EQ(0, world_stage(&h->own, "new", NULL));
	EXPECT_EQ(0, world_del_stage(&h->own, "a"));
	EXPECT_TRUE(victim_works(h));
	EXPECT_TRUE(attacker_is_in(h, SYS_getdents64));
	EXPECT_TRUE(attacker_kill(h, begun));
}

/* ------------------------------------------------------------ to use up numbers */

FIXTURE(numbers) {
	struct hostile h;
};

FIXTURE_SETUP(numbers)
{
	HOSTILE_SETUP(&self->h);
}

FIXTURE_TEARDOWN(numbers)
{
	HOSTILE_TEARDOWN(&self->h);
}

static long device(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (long)st.st_dev;
}

static int use_numbers(struct hostile *h)
{
	char name[PATH_MAX];
	int i, out;

	for (i = 0; i < 200; i++) {
		out = open(own_path(h, "faasout"), OUT);
		close(out);
		snprintf(name, sizeof(name), "missing-%d", i);
		access(own_path(h, name), F_OK);
		if (mount("none", h->spare, "faasin", 0, NULL))
			return 1;
		if (i == 199)
			h->attack->number[0] = device(h->spare);
		if (umount(h->spare))
			return 2;
	}
	return 0;
}

/* The number of a stage that is made now. */
static long long next_number(struct world *w, const char *name)
{
	return world_stage(w, name, NULL) ? -1 : (long long)world_stage_generation(w, name);
}

TEST_F_TIMEOUT(numbers, are_not_for_it_to_use_up, 60)
{
	struct hostile *h = &self->h;
	long long first, second, third;

	first = next_number(&h->victim, "x");
	second = next_number(&h->victim, "y");
	ASSERT_LT(0, first);
	ASSERT_LT(first, second);
	EXPECT_EQ(0, attack(h, use_numbers));
	third = next_number(&h->victim, "z");
	EXPECT_EQ(second - first, third - second);
	/* All mounts are one superblock: no device number each. */
	EXPECT_EQ(device(MOUNT_POINT), h->attack->number[0]);
	EXPECT_TRUE(victim_works(h));
}

/* --------------------------------- to keep hold of what it handed on, and of memory */

FIXTURE(hold) {
	struct hostile h;
	long long before, victims;
};

FIXTURE_SETUP(hold)
{
	HOSTILE_SETUP(&self->h);
	ASSERT_TRUE(victim_works(&self->h));
	self->victims = current(self->h.victim.wf);
	self->before = current(self->h.own.wf);
}

FIXTURE_TEARDOWN(hold)
{
	EXPECT_GE(self->victims + SLACK, current(self->h.victim.wf));
	HOSTILE_TEARDOWN(&self->h);
}

/* What is written is copied, by whatever way it comes. */
static int change_after_writing(struct hostile *h)
{
	char *page = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec part = { page + PAGE, PAGE };
	int out = open(own_path(h, "faasout"), O_WRONLY | O_CLOEXEC), ends[2];

	memset(page, 'a', 3 * PAGE);
	TRY("written", write(out, page, PAGE), 0);
	TRY("a pipe", pipe(ends), 0);
	TRY("its page given to the pipe", vmsplice(ends[1], &part, 1, SPLICE_F_GIFT), 0);
	TRY("moved on", splice(ends[0], NULL, out, NULL, PAGE, SPLICE_F_MOVE), 0);
	TRY("its page given to the port", vmsplice(out, &part, 1, SPLICE_F_GIFT), EBADF, EINVAL);
	TRY("a pipe's bytes shared with the port", tee(ends[0], out, PAGE, 0), EINVAL);
	TRY("the port mapped", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, out, 0) == MAP_FAILED ?
	    -1 : 0, ENODEV, EACCES);
	TRY("at an offset", pwrite(out, page, 1, 0), ESPIPE);
	TRY("cut", ftruncate(out, 0), EINVAL);
	memset(page, 'b', 3 * PAGE);
	close(out);
	ring(h->ready);
	pause();
	return 0;
}

TEST_F_TIMEOUT(hold, of_what_it_wrote, 60)
{
	char buf[2 * PAGE], expected[2 * PAGE];
	struct hostile *h = &self->h;
	pid_t begun = attack_begin(h, change_after_writing);
	int in;

	ASSERT_TRUE(await(h->ready));
	EXPECT_ATTEMPTS(h, 9);
	in = world_open(&h->own, "b", FAASIN_PORT_IN, O_RDONLY);
	memset(expected, 'a', sizeof(expected));
	EXPECT_EQ((long)sizeof(buf), read_full(in, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, expected, sizeof(buf)));
	EXPECT_OVER(in, 0);
	close(in);
	EXPECT_TRUE(attacker_kill(h, begun));
}

#define LINKS		5	/* one after the other */
#define CAPACITY	(16 * MIB)
#define LIMIT		(48 * MIB)

/* Both ends of each, full, and some of it on in a pipe: as an operator links anew. */
static int keep_memory(struct hostile *h)
{
	static char buf[64 * KIB];
	int i, in, out, ends[2];
	ssize_t n;

	for (i = 0; i < LINKS; i++) {
		if (!await(h->go))
			return 1;
		out = open(own_path(h, "faasout"), OUT);
		in = open(world_in(&h->own, "b"), IN);
		if (out < 0 || in < 0 || pipe(ends))
			return 2;
		while ((n = write(out, buf, sizeof(buf))) > 0)
			h->attack->number[0] += n;
		while (splice(in, NULL, ends[1], NULL, PAGE, SPLICE_F_NONBLOCK) > 0)
			;
		ring(h->ready);
	}
	pause();
	return 0;
}

TEST_F_TIMEOUT(hold, of_memory_of_links_that_are_gone, 60)
{
	struct hostile *h = &self->h;
	char limit[16];
	pid_t begun;
	int i;

	snprintf(limit, sizeof(limit), "%d", LIMIT);
	ASSERT_EQ(0, cgroup_write(h->own.wf, "memory.max", limit));
	begun = attack_begin(h, keep_memory);
	for (i = 0; i < LINKS; i++) {
		ASSERT_EQ(0, world_unlink(&h->own, "a"));
		ASSERT_EQ(0, world_link_of(&h->own, "a", "b", CAPACITY));
		ring(h->go);
		ASSERT_TRUE(await(h->ready));
		EXPECT_TRUE(victim_works(h));
	}
	/* What it may still read is charged to it, and counts for what it may have. */
	EXPECT_LT(CAPACITY, h->attack->number[0]);
	EXPECT_GT(LIMIT, h->attack->number[0]);
	EXPECT_GE(LIMIT - 8 * MIB + SLACK, current(h->own.wf));
	EXPECT_EQ(0, cgroup_read(h->own.wf, "memory.events", "oom_kill"));
	ASSERT_EQ(0, world_del_workflow(&h->own, h->own.wf));
	EXPECT_TRUE(attacker_kill(h, begun));
	EXPECT_GE(self->before + 2 * SLACK, cgroup_falls_to(h->own.wf, self->before + 2 * SLACK));
}

TEST_HARNESS_MAIN
