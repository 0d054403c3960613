// SPDX-License-Identifier: GPL-2.0
/* Every request, mount, look-up and open, failed at each point in turn: see fault.h. */
#include <dirent.h>
#include <sys/mount.h>

#include "fault.h"
#include "harness.h"

static bool as_it_is(struct try *t)
{
	return true;
}

/* --------------------------------------------------------------- requests */

static long info_get(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE);
}

static bool answered(struct try *t, long result)
{
	return t->w.nl.len;
}

static long workflow_get(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_WORKFLOW_GET, 0,
			NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, t->w.wf)));
}

static long stage_get(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_STAGE_GET, 0,
			NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, t->w.wf),
				NL_STR(FAASIN_A_STAGE_NAME, "a")));
}

static long link_get(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_LINK_GET, 0,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf),
				NL_STR(FAASIN_A_LINK_SRC_STAGE, "a")));
}

static bool count(void *arg, const void *attrs, size_t len)
{
	++*(int *)arg;
	return false;
}

static long list(struct try *t, uint8_t cmd, const struct nl_attr *attrs)
{
	int n = 0, error = nl_list(&t->w.nl, cmd, attrs, count, &n);
	static struct nl fresh;

	if (!error)
		return n;
	/* A listing that broke off is still under way, for this socket: EBUSY. */
	close(t->w.nl.fd);
	if (nl_open(&fresh))
		return -EIO;
	t->w.nl.fd = fresh.fd;
	return -error;
}

static long workflow_dump(struct try *t)
{
	return list(t, FAASIN_CMD_WORKFLOW_GET, NL_NONE);
}

static bool some(struct try *t, long result)
{
	return result >= 1;
}

static long stage_dump(struct try *t)
{
	return list(t, FAASIN_CMD_STAGE_GET, NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, t->w.wf)));
}

static long link_dump(struct try *t)
{
	return list(t, FAASIN_CMD_LINK_GET, NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf)));
}

static const char *second(struct try *t)
{
	static char name[FAASIN_NAME_MAX + 1];

	snprintf(name, sizeof(name), "test-%d-2", getpid());
	return name;
}

static bool has_cgroup(struct try *t)
{
	t->cgroup = cgroup_open(world_cgroup(&t->w, "more"));
	return t->cgroup >= 0;
}

static bool has_payer(struct try *t)
{
	t->cgroup = cgroup_open(t->w.wf);
	return t->cgroup >= 0;
}

static long workflow_new(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, second(t)),
				NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, t->cgroup)));
}

static bool workflow_is_new(struct try *t, long result)
{
	return !world_del_workflow(&t->w, second(t));
}

static long workflow_del(struct try *t)
{
	return -world_del_workflow(&t->w, t->w.wf);
}

static bool workflow_is_gone(struct try *t, long result)
{
	return !world_generation(&t->w) && access(t->w.dir, F_OK) && errno == ENOENT;
}

/* With all that a stage can have. */
static long stage_new_of(struct try *t, const char *name)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_STAGE_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, t->w.wf),
				NL_STR(FAASIN_A_STAGE_NAME, name),
				NL_U32(FAASIN_A_STAGE_CGROUP_FD, t->cgroup),
				NL_U32(FAASIN_A_STAGE_UID, 7),
				NL_U32(FAASIN_A_STAGE_MODE, 0640),
				NL_NEST(FAASIN_A_STAGE_PORT,
					NL_STR(FAASIN_A_PORT_NAME, "log"),
					NL_U32(FAASIN_A_PORT_DIRECTION, FAASIN_DIRECTION_OUT)),
				NL_NEST(FAASIN_A_STAGE_PORT,
					NL_STR(FAASIN_A_PORT_NAME, "side"),
					NL_U32(FAASIN_A_PORT_DIRECTION, FAASIN_DIRECTION_IN))));
}

static long stage_new(struct try *t)
{
	return stage_new_of(t, "c");
}

static bool stage_has_it_all(struct try *t, const char *name)
{
	struct stat log, side;

	return !stat(world_path(&t->w, name, "log"), &log) && log.st_uid == 7 &&
	       (log.st_mode & 0777) == 0640 && !stat(world_path(&t->w, name, "side"), &side);
}

static bool stage_is_new(struct try *t, long result)
{
	return stage_has_it_all(t, "c");
}

/* Its directory is in use, so that what changes is shown there. */
static bool stage_is_watched(struct try *t)
{
	struct stat st;

	return has_cgroup(t) && !stat(world_out(&t->w, "a"), &st);
}

static long stage_more(struct try *t)
{
	return stage_new_of(t, "a");
}

static bool stage_has_more(struct try *t, long result)
{
	return stage_has_it_all(t, "a");
}

static long stage_del(struct try *t)
{
	return -world_del_stage(&t->w, "a");
}

static bool stage_is_gone(struct try *t, long result)
{
	return !world_stage_generation(&t->w, "a") && !world_link_generation(&t->w, "a");
}

static long link_new(struct try *t)
{
	return -world_link(&t->w, "a", "b");
}

/* In the way that more can follow. */
static long link_shared(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_LINK_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf),
				NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
				NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "b"))));
}

/* Likewise, of an input. */
static long link_gathered(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_LINK_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf),
				NL_NEST(FAASIN_A_LINK_SRC, NL_STR(FAASIN_A_END_STAGE, "a")),
				NL_STR(FAASIN_A_LINK_DST_STAGE, "b")));
}

/* No port is one for several links any more: each takes one, and no other. */
static bool nothing_is_left(struct world *w)
{
	return !world_link(w, "a", "b") && world_link(w, "a", "c") == EBUSY &&
	       world_link(w, "x", "b") == EBUSY && !world_unlink(w, "a") &&
	       !world_link(w, "x", "c") && world_link(w, "x", "b") == EBUSY &&
	       world_link(w, "a", "c") == EBUSY && !world_unlink(w, "x");
}

/* Two to two: what was made before one of the links cannot be is undone, all of it. */
static long link_crossed(struct try *t)
{
	long result;

	result = -nl_call(&t->w.nl, FAASIN_CMD_LINK_NEW, 0,
			  NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf),
				  NL_NEST(FAASIN_A_LINK_SRC, NL_STR(FAASIN_A_END_STAGE, "a")),
				  NL_NEST(FAASIN_A_LINK_SRC, NL_STR(FAASIN_A_END_STAGE, "x")),
				  NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "b")),
				  NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "c"))));
	/* What was to fail has, so nothing else does. */
	if (result == -ENOMEM && !nothing_is_left(&t->w))
		return -EUCLEAN;
	return result;
}

static bool four_links(struct try *t, long result)
{
	return link_dump(t) == 4;
}

/* An input that merges its links; and those have a log of records. */
static long link_merged(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_LINK_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf),
				NL_NEST(FAASIN_A_LINK_SRC, NL_STR(FAASIN_A_END_STAGE, "a")),
				NL_STR(FAASIN_A_LINK_DST_STAGE, "b"),
				NL_U32(FAASIN_A_LINK_FLAGS, FAASIN_LINK_F_RECORDS),
				NL_U32(FAASIN_A_LINK_MERGE, FAASIN_MERGE_RECORDS)));
}

static bool is_merged(struct try *t)
{
	return !link_merged(t);
}

/* Likewise, of an output whose records are dealt. */
static long link_dealt(struct try *t)
{
	long result;

	result = -nl_call(&t->w.nl, FAASIN_CMD_LINK_NEW, 0,
			  NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf),
				  NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
				  NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "b")),
				  NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "c")),
				  NL_NEST(FAASIN_A_LINK_DST, NL_STR(FAASIN_A_END_STAGE, "x")),
				  NL_U32(FAASIN_A_LINK_FLAGS,
					 FAASIN_LINK_F_RECORDS | FAASIN_LINK_F_DEALT)));
	if (result == -ENOMEM && !nothing_is_left(&t->w))
		return -EUCLEAN;
	return result;
}

static bool three_links(struct try *t, long result)
{
	return link_dump(t) == 3;
}

static bool is_dealt(struct try *t)
{
	return fault_more_stages(t) && !link_dealt(t);
}

static bool is_gathered(struct try *t)
{
	return !link_gathered(t);
}

static bool is_shared(struct try *t)
{
	return !link_shared(t);
}

/* The two were linked before, and what came of that is still being read. */
static bool was_linked(struct try *t)
{
	return fault_filled(t) && !world_unlink(&t->w, "a");
}

static bool link_is_new(struct try *t, long result)
{
	return world_link_generation(&t->w, "a");
}

/* Its ring is too large for one allocation. */
static long link_new_large(struct try *t)
{
	return -world_link_of(&t->w, "a", "b", FAASIN_CAPACITY_MAX / 4);
}

/* Not as far as others: of each page of a log, it is tried what comes of its lack. */
static long resize_merged(struct try *t)
{
	return -world_resize(&t->w, "a", 8 * FAASIN_CAPACITY_DEFAULT);
}

static bool merged_is_resized(struct try *t, long result)
{
	return world_link_capacity(&t->w, "a") == 8 * FAASIN_CAPACITY_DEFAULT;
}

/* Its ring and its log are less than a page each: more than that is had in another way instead. */
static long link_small(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_LINK_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, t->w.wf),
				NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
				NL_STR(FAASIN_A_LINK_DST_STAGE, "b"),
				NL_U64(FAASIN_A_LINK_CAPACITY, PAGE),
				NL_U32(FAASIN_A_LINK_FLAGS, FAASIN_LINK_F_RECORDS)));
}

static bool is_small(struct try *t)
{
	return !link_small(t);
}

static long resize_small(struct try *t)
{
	return -world_resize(&t->w, "a", 2 * PAGE);
}

static bool small_is_resized(struct try *t, long result)
{
	return world_link_capacity(&t->w, "a") == 2 * PAGE;
}

static long link_resize(struct try *t)
{
	return -world_resize(&t->w, "a", FAASIN_CAPACITY_MAX / 4);
}

static bool link_is_resized(struct try *t, long result)
{
	return world_link_capacity(&t->w, "a") == FAASIN_CAPACITY_MAX / 4;
}

static long open_out(struct try *t)
{
	t->out = world_open(&t->w, "a", FAASIN_PORT_OUT, O_WRONLY);
	return t->out;
}

static bool out_is_open(struct try *t, long result)
{
	return port_info(t->out).stream == 1;
}

/* The stage that writes into an open file gets another cgroup. */
static bool has_writer_and_cgroup(struct try *t)
{
	return fault_filled(t) && has_cgroup(t);
}

static long stage_replace(struct try *t)
{
	return -nl_call(&t->w.nl, FAASIN_CMD_STAGE_REPLACE, 0,
			NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, t->w.wf),
				NL_STR(FAASIN_A_STAGE_NAME, "a"),
				NL_U32(FAASIN_A_STAGE_CGROUP_FD, t->cgroup)));
}

/* What it had open is detached, and the stream is another writer's. */
static bool stage_is_replaced(struct try *t, long result)
{
	if (write(t->out, fault_data, SMALL) != -1 || errno != ESTALE)
		return false;
	close(t->out);
	return open_out(t) >= 0 && out_is_open(t, t->out);
}

static long link_pause(struct try *t)
{
	return -world_set_state(&t->w, "a", FAASIN_LINK_STATE_PAUSED);
}

static bool link_is_paused(struct try *t, long result)
{
	return world_link_state(&t->w, "a") == FAASIN_LINK_STATE_PAUSED;
}

static long link_drain(struct try *t)
{
	return -world_set_state(&t->w, "a", FAASIN_LINK_STATE_DRAINING);
}

static bool link_drains(struct try *t, long result)
{
	return world_link_state(&t->w, "a") == FAASIN_LINK_STATE_DRAINING;
}

static long link_del(struct try *t)
{
	return -world_unlink(&t->w, "a");
}

static bool link_is_gone(struct try *t, long result)
{
	return !world_link_generation(&t->w, "a");
}

static bool deaf(struct try *t)
{
	nl_shut(&t->ear);
	return !nl_open(&t->ear);
}

static long subscribe(struct try *t)
{
	return -nl_join_events(&t->ear);
}

static bool hears(struct try *t, long result)
{
	return !world_stage(&t->w, "c", NULL) && !nl_event(&t->ear, DEADLINE * 1000) &&
	       nl_get_u32(&t->ear, FAASIN_A_EVENT_TYPE) == FAASIN_EVENT_STAGE_NEW;
}

/* ------------------------------------------------------------------- files */

static bool has_directory(struct try *t)
{
	snprintf(t->dir, sizeof(t->dir), "/tmp/faasin-fault-%d", getpid());
	return !mkdir(t->dir, 0700);
}

static long mount_all(struct try *t)
{
	return sys(mount("none", t->dir, "faasin", 0, NULL));
}

static long mount_stage(struct try *t)
{
	char scope[128];

	snprintf(scope, sizeof(scope), "workflow=%s,stage=a", t->w.wf);
	return sys(mount("none", t->dir, "faasin", 0, scope));
}

static bool mounted(struct try *t)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/self", t->dir);
	return !lstat(path, &st) && S_ISLNK(st.st_mode);
}

/* Exactly once: what failed before has left no mount. */
static bool is_mounted(struct try *t, long result)
{
	return mounted(t) && !umount2(t->dir, 0) && !mounted(t);
}

/* No mount is left, so the next one makes a superblock. */
static bool nothing_mounted(struct try *t)
{
	snprintf(t->dir, sizeof(t->dir), MOUNT_POINT);
	return !umount2(MOUNT_POINT, 0) && !mounted(t);
}

static bool is_mounted_again(struct try *t, long result)
{
	return mounted(t);
}

static bool has_self(struct try *t)
{
	const char *cgroup = world_cgroup(&t->w, "c");

	return !world_stage(&t->w, "c", cgroup) && !cgroup_enter(cgroup);
}

static long self_read(struct try *t)
{
	char to[PATH_MAX];

	return sys(readlink(MOUNT_POINT "/self", to, sizeof(to)));
}

static long self_follow(struct try *t)
{
	struct stat st;

	return sys(stat(MOUNT_POINT "/self/" FAASIN_PORT_IN, &st));
}

static bool found(struct try *t, long result)
{
	return !result;
}

static bool opens_directory(struct try *t)
{
	t->file = open(t->w.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->file >= 0;
}

/* Returns how many entries there are: what was listed before an error counts, once. */
static long directory_read(struct try *t)
{
	char names[1024];
	long entries = 0, len, at;

	lseek(t->file, 0, SEEK_SET);
	while ((len = sys(syscall(SYS_getdents64, t->file, names, sizeof(names)))) > 0)
		for (at = 0; at < len; at += ((struct dirent64 *)(names + at))->d_reclen)
			entries++;
	return len ?: entries;
}

/* The dots, self, a and b. */
static bool five(struct try *t, long result)
{
	return result == 5;
}

static bool more_than_none(struct try *t, long result)
{
	return result > 0;
}

static long open_in(struct try *t)
{
	t->in = world_open(&t->w, "b", FAASIN_PORT_IN, O_RDONLY);
	return t->in;
}

static bool in_is_open(struct try *t, long result)
{
	return port_info(t->in).abi == FAASIN_ABI_VERSION;
}

FAULT_TESTS

OPERATION(info_get, as_it_is, info_get, answered, REQUEST);
OPERATION(workflow_get, as_it_is, workflow_get, answered, REQUEST);
OPERATION(workflow_dump, as_it_is, workflow_dump, some, REQUEST);
OPERATION(workflow_new, has_payer, workflow_new, workflow_is_new, REQUEST);
OPERATION(workflow_del, fault_filled, workflow_del, workflow_is_gone, REQUEST);
OPERATION(stage_get, fault_linked, stage_get, answered, REQUEST);
OPERATION(stage_dump, fault_linked, stage_dump, fault_two, REQUEST);
OPERATION(stage_new, has_cgroup, stage_new, stage_is_new, REQUEST);
OPERATION(stage_more, stage_is_watched, stage_more, stage_has_more, REQUEST);
OPERATION(stage_del, fault_filled, stage_del, stage_is_gone, REQUEST);
OPERATION(link_get, fault_filled, link_get, answered, REQUEST);
OPERATION(link_dump, fault_filled, link_dump, fault_one, REQUEST);
OPERATION(link_new, as_it_is, link_new, link_is_new, REQUEST);
OPERATION(link_new_large, as_it_is, link_new_large, link_is_new, REQUEST);
OPERATION(link_new_small, as_it_is, link_small, link_is_new, REQUEST);
OPERATION(link_shared, as_it_is, link_shared, link_is_new, REQUEST);
OPERATION(link_gathered, as_it_is, link_gathered, link_is_new, REQUEST);
OPERATION(link_dealt, fault_more_stages, link_dealt, three_links, REQUEST);
OPERATION(link_crossed, fault_more_stages, link_crossed, four_links, REQUEST);
OPERATION(link_merged, as_it_is, link_merged, link_is_new, REQUEST);
OPERATION(link_again, was_linked, link_new, link_is_new, REQUEST);
OPERATION(link_resize, fault_filled, link_resize, link_is_resized, REQUEST);
OPERATION(link_resize_merged, is_merged, resize_merged, merged_is_resized, REQUEST);
OPERATION(link_resize_small, is_small, resize_small, small_is_resized, REQUEST);
OPERATION(stage_replace, has_writer_and_cgroup, stage_replace, stage_is_replaced, REQUEST);
OPERATION(link_pause, fault_filled, link_pause, link_is_paused, REQUEST);
OPERATION(link_drain, fault_filled, link_drain, link_drains, REQUEST);
OPERATION(link_del, fault_filled, link_del, link_is_gone, REQUEST);
OPERATION(subscribe, deaf, subscribe, hears, NOMEM | FAULT);
OPERATION(mount, has_directory, mount_all, is_mounted, NOMEM | FAULT);
OPERATION(mount_stage, has_directory, mount_stage, is_mounted, NOMEM | FAULT);
OPERATION(mount_first, nothing_mounted, mount_all, is_mounted_again, NOMEM | FAULT);
OPERATION(self_read, has_self, self_read, more_than_none, NOMEM | FAULT);
OPERATION(self_follow, has_self, self_follow, found, NOMEM | FAULT);
OPERATION(directory, opens_directory, directory_read, five, NOMEM | FAULT);
OPERATION(open_out, fault_linked, open_out, out_is_open, NOMEM | FAULT);
OPERATION(open_shared, is_shared, open_out, out_is_open, NOMEM | FAULT);
OPERATION(open_dealt, is_dealt, open_out, out_is_open, NOMEM | FAULT);
OPERATION(open_in, fault_linked, open_in, in_is_open, NOMEM | FAULT);
OPERATION(open_in_gathered, is_gathered, open_in, in_is_open, NOMEM | FAULT);
OPERATION(open_in_merged, is_merged, open_in, in_is_open, NOMEM | FAULT);

/* ------------------------------------------------------------------- tables */

/*
 * A table that grows tries twice: no single allocation that fails lets it. So all of them fail,
 * of nothing but tables, for as long as the request takes.
 */
#define TABLES	"/sys/kernel/slab/radix_tree_node/failslab"
#define SLABS	"/sys/kernel/debug/failslab/"

FIXTURE(tables) {
	struct world w;
	bool can;
};

/* What is asked for, and what has to be there. */
FIXTURE_VARIANT(tables) {
	int (*before)(struct world *w);
	int (*ask)(struct world *w);
	bool (*holds)(struct world *w);
};

static int without(struct world *w)
{
	return world_del_workflow(w, w->wf);
}

static int ask_workflow(struct world *w)
{
	return nl_call(&w->nl, FAASIN_CMD_WORKFLOW_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf),
			       NL_U32(FAASIN_A_WORKFLOW_FLAGS, FAASIN_WORKFLOW_F_UNCHARGED)));
}

static bool has_workflow(struct world *w)
{
	return world_generation(w);
}

static int empty(struct world *w)
{
	return 0;
}

static int ask_stage(struct world *w)
{
	return world_stage(w, "a", NULL);
}

static bool has_stage(struct world *w)
{
	return world_stage_generation(w, "a");
}

static int two_stages(struct world *w)
{
	return world_stage(w, "a", NULL) ?: world_stage(w, "b", NULL);
}

static int ask_link(struct world *w)
{
	return world_link(w, "a", "b");
}

static bool has_link(struct world *w)
{
	return world_link_generation(w, "a");
}

FIXTURE_VARIANT_ADD(tables, workflow) { without, ask_workflow, has_workflow };
FIXTURE_VARIANT_ADD(tables, stage) { empty, ask_stage, has_stage };
FIXTURE_VARIANT_ADD(tables, link) { two_stages, ask_link, has_link };

static const struct {
	const char *path, *off, *on;
} switches[] = {
	{ TABLES, "0", "1" },
	{ SLABS "cache-filter", "N", "Y" },
	{ SLABS "task-filter", "N", "Y" },
	{ SLABS "times", "1", "-1" },
	{ SLABS "probability", "0", "100" },
	{ "/proc/self/make-it-fail", "0", "1" },
};

/* The last one on is the first one off: never more fails than this process's tables. */
static bool tables_fail(bool fail)
{
	const int nr = sizeof(switches) / sizeof(switches[0]);
	int i;

	for (i = fail ? 0 : nr - 1; i >= 0 && i < nr; i += fail ? 1 : -1)
		if (!fault_put(switches[i].path, fail ? switches[i].on : switches[i].off))
			return false;
	return true;
}

FIXTURE_SETUP(tables)
{
	self->can = !access(TABLES, W_OK);
	if (!self->can)
		SKIP(return, "this kernel cannot let tables alone fail (" TABLES ")");
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, variant->before(&self->w));
}

FIXTURE_TEARDOWN(tables)
{
	if (!self->can)
		return;
	tables_fail(false);
	WORLD_TEARDOWN(&self->w);
}

TEST_F(tables, that_cannot_grow)
{
	struct world_state before = world_state(&self->w);
	int error;

	ASSERT_TRUE(tables_fail(true));
	error = variant->ask(&self->w);
	ASSERT_TRUE(tables_fail(false));
	EXPECT_EQ(ENOMEM, error);
	EXPECT_NE(0, (int)strlen(self->w.nl.text));
	EXPECT_FALSE(variant->holds(&self->w));
	EXPECT_TRUE(world_same(&self->w, &before));
	EXPECT_EQ(0, variant->ask(&self->w));
	EXPECT_TRUE(variant->holds(&self->w));
}

#define PEERS_MAX	8	/* inputs that an output remembers */

/* Links a to a peer, writes a byte, and unlinks it again. */
static int write_to(struct world *w, const char *peer)
{
	int error = world_stage(w, peer, NULL) ?: world_link(w, "a", peer), out;

	if (error)
		return error;
	out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
	error = write(out, "x", 1) == 1 ? 0 : EIO;
	close(out);
	return world_unlink(w, "a") ?: error;
}

static int note_bytes(const struct faasctl_link *link, void *arg)
{
	*(uint64_t *)arg = link->stats.bytes_in;
	return 0;
}

FIXTURE(peers) {
	struct world w;
	bool can;
};

FIXTURE_SETUP(peers)
{
	self->can = !access(TABLES, W_OK);
	if (!self->can)
		SKIP(return, "this kernel cannot let tables alone fail (" TABLES ")");
	WORLD_SETUP(&self->w, world_new);
}

FIXTURE_TEARDOWN(peers)
{
	if (!self->can)
		return;
	tables_fail(false);
	WORLD_TEARDOWN(&self->w);
}

/* An output forgets its oldest peer for a newer one, not for a link that failed. */
TEST_F(peers, are_not_forgotten_for_a_link_that_fails)
{
	struct world *w = &self->w;
	uint64_t written = ~0ull;
	struct faasctl *ctl;
	char peer[8];
	int i, error;

	ASSERT_EQ(0, two_stages(w));
	for (i = 0; i < PEERS_MAX; i++) {
		snprintf(peer, sizeof(peer), "p%d", i);
		ASSERT_EQ(0, write_to(w, peer));
	}
	ASSERT_TRUE(tables_fail(true));
	error = ask_link(w);
	ASSERT_TRUE(tables_fail(false));
	ASSERT_EQ(ENOMEM, error);
	ASSERT_EQ(0, world_link(w, "a", "p0"));
	ASSERT_EQ(0, faasctl_open(&ctl, NULL));
	EXPECT_EQ(0, faasctl_link_each(ctl, w->wf, "a", note_bytes, &written, NULL));
	EXPECT_EQ(1, written);
	faasctl_close(ctl);
}

FAULT_MAIN
