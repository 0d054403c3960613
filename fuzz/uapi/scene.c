// SPDX-License-Identifier: GPL-2.0
/* The scene: see scene.h. */
#include <assert.h>
#include <sched.h>
#include <sys/mount.h>

#include "call.h"
#include "common.h"
#include "nl.h"
#include "scene.h"

#define OTHERS_MAX	32

/* What is asked for, and by what it is known again. */
static struct scene_flow {
	const char *workflow, *src, *dst;
	uint64_t capacity;
	uint32_t early;
	uint32_t flags;
	uint64_t generation;
} flows[] = {
	{ "fz0", "a", "b", 64 * KIB, FAASIN_EARLY_CLOSE_EPIPE, 0, 0 },
	{ "fz0", "b", "c", 1 * MIB, FAASIN_EARLY_CLOSE_DRAIN, FAASIN_LINK_F_TRUSTED, 0 },
	{ "fz1", "a", "b", PAGE, FAASIN_EARLY_CLOSE_EPIPE, FAASIN_LINK_F_RECORDS, 0 },
	{ "fz1", "b", "c", 2 * PAGE, FAASIN_EARLY_CLOSE_EPIPE,
	  FAASIN_LINK_F_RECORDS | FAASIN_LINK_F_DEALT, 0 },
	{ "fz1", "b", "d", PAGE, FAASIN_EARLY_CLOSE_EPIPE,
	  FAASIN_LINK_F_RECORDS | FAASIN_LINK_F_DEALT, 0 },
};

static struct scene_workflow {
	const char *name;
	uint64_t signature;	/* of it and its stages as they were made */
} workflows[] = { { "fz0", 0 }, { "fz1", 0 } };

static struct nl control;
static uint64_t first_mount;
static long first_references;
static char wrong[300];

static const char *broken(const char *what, int error)
{
	snprintf(wrong, sizeof(wrong), "%s: %s%s%.200s", what, strerror(error),
		 control.text[0] ? ": " : "", control.text);
	return wrong;
}

/* ------------------------------------------------------------------- making */

static int stage_new(const char *workflow, const char *name, const char *port, uint32_t direction,
		     int cgroup)
{
	/* Not in blocks of their own: values live as long as the block around them. */
	const struct nl_attr ports = NL_NEST(FAASIN_A_STAGE_PORT,
					     NL_STR(FAASIN_A_PORT_NAME, port ?: ""),
					     NL_U32(FAASIN_A_PORT_DIRECTION, direction));
	const struct nl_attr member = NL_U32(FAASIN_A_STAGE_CGROUP_FD, cgroup);
	const struct nl_attr end = { NL_END, 0, NULL, NULL };
	struct nl_attr list[8], *at;

	nl_set(list, NL_STR(FAASIN_A_STAGE_WORKFLOW, workflow), NL_STR(FAASIN_A_STAGE_NAME, name));
	at = nl_end(list);
	if (port)
		*at++ = ports;
	if (cgroup >= 0)
		*at++ = member;
	*at = end;
	return nl_call(&control, FAASIN_CMD_STAGE_NEW, 0, list);
}

static int link_new(const struct scene_flow *f)
{
	return nl_call(&control, FAASIN_CMD_LINK_NEW, NLM_F_EXCL,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, f->workflow),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, f->src),
			       NL_STR(FAASIN_A_LINK_DST_STAGE, f->dst),
			       NL_U64(FAASIN_A_LINK_CAPACITY, f->capacity),
			       NL_U32(FAASIN_A_LINK_EARLY_CLOSE, f->early),
			       NL_U32(FAASIN_A_LINK_FLAGS, f->flags)));
}

static int workflow_del(const char *name)
{
	return nl_call(&control, FAASIN_CMD_WORKFLOW_DEL, 0,
		       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, name)));
}

static int open_cgroup(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_fz0(void)
{
	int payer = open_cgroup(cgroups[0]), member = open_cgroup(cgroups[1]);
	int error;

	error = nl_call(&control, FAASIN_CMD_WORKFLOW_NEW, NLM_F_EXCL,
			NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, "fz0"),
				NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, payer)));
	error = error ?: stage_new("fz0", "a", "out1", FAASIN_DIRECTION_OUT, -1);
	error = error ?: stage_new("fz0", "b", "in1", FAASIN_DIRECTION_IN, member);
	error = error ?: stage_new("fz0", "c", NULL, 0, -1);
	close(payer);
	close(member);
	return error;
}

static int make_fz1(void)
{
	int error;

	error = nl_call(&control, FAASIN_CMD_WORKFLOW_NEW, NLM_F_EXCL,
			NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, "fz1"),
				NL_U32(FAASIN_A_WORKFLOW_FLAGS, FAASIN_WORKFLOW_F_UNCHARGED)));
	error = error ?: stage_new("fz1", "a", NULL, 0, -1);
	error = error ?: stage_new("fz1", "b", NULL, 0, -1);
	error = error ?: stage_new("fz1", "c", NULL, 0, -1);
	return error ?: stage_new("fz1", "d", NULL, 0, -1);
}

static int make_workflow(size_t which)
{
	int error = which ? make_fz1() : make_fz0();
	size_t i;

	for (i = 0; !error && i < ARRAY_SIZE(flows); i++)
		if (!strcmp(flows[i].workflow, workflows[which].name))
			error = link_new(&flows[i]);
	return error;
}

/* ------------------------------------------------------------------ looking */

/**
 * struct look - what there is
 * @signature: of each workflow of the scene; 0 if it is not there
 * @generation: of each of its links
 * @state: what they are doing
 * @held: bytes that wait there
 * @out: bytes that were read from it
 * @queued: streams that nobody has read
 * @other: workflows that are not the scene's
 * @nothers: how many
 */
struct look {
	uint64_t signature[ARRAY_SIZE(workflows)];
	uint64_t generation[ARRAY_SIZE(flows)];
	uint32_t state[ARRAY_SIZE(flows)];
	uint64_t held[ARRAY_SIZE(flows)], out[ARRAY_SIZE(flows)];
	uint64_t queued[ARRAY_SIZE(flows)];
	char other[OTHERS_MAX][FAASIN_NAME_MAX + 1];
	size_t nothers;
};

static uint64_t mixed(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len--)
		hash = (hash ^ *at++) * 0x100000001b3ull;
	return hash;
}

/* But for statistics: clocks run in them, and what went by stays in them. */
static uint64_t mixed_attrs(uint64_t hash, const void *attrs, size_t len,
			    uint16_t stats, uint16_t more_stats)
{
	const char *at = attrs, *end = at + len;

	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *attr = (const void *)at;
		uint16_t type = attr->nla_type & NLA_TYPE_MASK;

		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > end - at)
			break;
		if (type != stats && type != more_stats)
			hash = mixed(hash, attr, attr->nla_len);
		at += NLA_ALIGN(attr->nla_len);
	}
	return hash;
}

static int which_workflow(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(workflows); i++)
		if (!strcmp(workflows[i].name, name))
			return i;
	return -1;
}

static bool see_workflow(void *arg, const void *attrs, size_t len)
{
	const char *name = nl_str(attrs, len, FAASIN_A_WORKFLOW_NAME);
	int which = which_workflow(name);
	struct look *look = arg;

	if (which >= 0)
		look->signature[which] = mixed_attrs(look->signature[which] ?: 1, attrs, len,
						     FAASIN_A_WORKFLOW_STATS,
						     FAASIN_A_WORKFLOW_GONE);
	else if (look->nothers < OTHERS_MAX)
		snprintf(look->other[look->nothers++], sizeof(look->other[0]), "%s", name);
	return false;
}

static bool see_stage(void *arg, const void *attrs, size_t len)
{
	int which = which_workflow(nl_str(attrs, len, FAASIN_A_STAGE_WORKFLOW));
	struct look *look = arg;

	if (which >= 0)
		look->signature[which] = mixed_attrs(look->signature[which] ?: 1, attrs, len,
						     FAASIN_A_STAGE_SENT,
						     FAASIN_A_STAGE_RECEIVED);
	return false;
}

/* What an input takes in a window and was written lands in as much, at most. */
#define LANDING_MAX	65536

/*
 * What a link counts is true at any time. @capacity: no more waits, and there is no more
 * memory but as much again that was spliced out, which nobody asks for before more is written, and
 * landings of inputs; what links between the same ports left before may come on top.
 */
static void check_link(const char *name, const void *stats, size_t size, uint64_t capacity)
{
	uint64_t in = nl_u64(stats, size, FAASIN_A_STATS_BYTES_IN);
	uint64_t out = nl_u64(stats, size, FAASIN_A_STATS_BYTES_OUT);
	uint64_t dropped = nl_u64(stats, size, FAASIN_A_STATS_BYTES_DROPPED);
	uint64_t held = nl_u64(stats, size, FAASIN_A_STATS_BYTES_HELD);
	uint64_t pool = nl_u64(stats, size, FAASIN_A_STATS_POOL_BYTES);

	uint64_t most = capacity > UINT64_MAX / 4 ? capacity :
			2 * capacity + FAASIN_WINDOWS_MAX * LANDING_MAX;

	if (in != out + dropped + held || pool > most || held > capacity || out > in)
		snprintf(wrong, sizeof(wrong),
			 "sums of a link of %s: in %llu out %llu dropped %llu held %llu pool %llu capacity %llu",
			 name, (unsigned long long)in, (unsigned long long)out,
			 (unsigned long long)dropped, (unsigned long long)held,
			 (unsigned long long)pool, (unsigned long long)capacity);
}

static bool see_link(void *arg, const void *attrs, size_t len)
{
	const struct nlattr *nest = nl_find(attrs, len, FAASIN_A_LINK_STATS);
	const char *workflow = nl_str(attrs, len, FAASIN_A_LINK_WORKFLOW);
	const char *src = nl_str(attrs, len, FAASIN_A_LINK_SRC_STAGE);
	const char *dst = nl_str(attrs, len, FAASIN_A_LINK_DST_STAGE);
	int which = which_workflow(workflow);
	uint64_t capacity = UINT64_MAX;
	struct look *look = arg;
	size_t i;

	if (!nest) {
		snprintf(wrong, sizeof(wrong), "a link of %s without statistics", workflow);
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(flows); i++) {
		if (strcmp(flows[i].workflow, workflow) || strcmp(flows[i].src, src) ||
		    strcmp(flows[i].dst, dst) ||
		    strcmp(nl_str(attrs, len, FAASIN_A_LINK_SRC_PORT), FAASIN_PORT_OUT) ||
		    strcmp(nl_str(attrs, len, FAASIN_A_LINK_DST_PORT), FAASIN_PORT_IN))
			continue;
		look->generation[i] = nl_u64(attrs, len, FAASIN_A_LINK_GENERATION);
		look->state[i] = nl_u32(attrs, len, FAASIN_A_LINK_STATE);
		look->held[i] = nl_u64(nl_data(nest), nl_len(nest), FAASIN_A_STATS_BYTES_HELD);
		look->out[i] = nl_u64(nl_data(nest), nl_len(nest), FAASIN_A_STATS_BYTES_OUT);
		look->queued[i] = nl_u64(nl_data(nest), nl_len(nest),
					 FAASIN_A_STATS_STREAMS_QUEUED);
		if (look->generation[i] == flows[i].generation)
			capacity = nl_u64(attrs, len, FAASIN_A_LINK_CAPACITY);
		/* Another was set. */
		if (nl_u64(attrs, len, FAASIN_A_LINK_CAPACITY) != flows[i].capacity)
			look->signature[which] = 0;
		check_link(workflow, nl_data(nest), nl_len(nest), capacity);
		return false;
	}
	/* One that a program made. */
	check_link(workflow, nl_data(nest), nl_len(nest), capacity);
	if (which >= 0)
		look->signature[which] = 0;
	return false;
}

/* @tree: all of it, not only links. Returns what is wrong, or NULL. */
static const char *look_around(struct look *look, bool tree)
{
	int error = 0;

	memset(look, 0, sizeof(*look));
	wrong[0] = '\0';
	if (tree) {
		error = nl_list(&control, FAASIN_CMD_WORKFLOW_GET, NL_NONE, see_workflow, look);
		error = error ?: nl_list(&control, FAASIN_CMD_STAGE_GET, NL_NONE, see_stage, look);
	}
	error = error ?: nl_list(&control, FAASIN_CMD_LINK_GET, NL_NONE, see_link, look);
	if (error)
		return broken("what there is cannot be listed", error);
	return wrong[0] ? wrong : NULL;
}

/* How things are is how they are to be. */
static const char *remember(void)
{
	struct look look;
	const char *what = look_around(&look, true);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(workflows); i++)
		workflows[i].signature = look.signature[i];
	for (i = 0; i < ARRAY_SIZE(flows); i++)
		flows[i].generation = look.generation[i];
	return what;
}

/* ------------------------------------------------------------------ mending */

static uint64_t mount_id(void)
{
	struct statx st;

	return statx(AT_FDCWD, MOUNT_POINT, 0, STATX_MNT_ID, &st) ? 0 : st.stx_mnt_id;
}

static void mend_mounts(void)
{
	int i;

	for (i = 0; i < 3; i++)
		while (!umount2(places[i], MNT_DETACH))
			;
	/* What was mounted over the mount that paths lead through. */
	while (mount_id() != first_mount && !umount2(MOUNT_POINT, MNT_DETACH))
		;
}

/* The first two are there, without a limit; no other is. True if one had to be made. */
static bool mend_cgroups(void)
{
	bool made = false;
	char path[PATH_MAX];
	int i;

	for (i = 0; i < CGROUPS_OWN; i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s", cgroups[i]);
		if (i >= 2)
			rmdir(path);
		else if (!mkdir(path, 0755))
			made = true;
		else
			cgroup_write(cgroups[i], "memory.max", "max");
	}
	return made;
}

/* All of it is what somebody wrote. */
static bool intact(const uint8_t *bytes, ssize_t len)
{
	ssize_t i = 0;

	while (i < len && is_written(bytes[i]))
		i++;
	if (i < len)
		snprintf(wrong, sizeof(wrong), "a byte waits that nobody wrote: %#x, at %zd of %zd",
			 bytes[i], i, len);
	return i == len;
}

/* Reads one stream to its end; false if there is none, or if something is wrong. */
static bool drain_stream(const char *path, uint64_t *total)
{
	static uint8_t bytes[64 * KIB];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), error;
	ssize_t n;

	if (fd < 0) {
		broken("a linked input cannot be opened", errno);
		return false;
	}
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		*total += n;
		if (!intact(bytes, n))
			break;
	}
	error = errno;
	close(fd);
	if (n < 0 && error != EAGAIN && error != ECONNABORTED)
		broken("a stream that is over cannot be read", error);
	return !wrong[0] && (!n || error == ECONNABORTED);
}

/* One link alone. */
static bool look_at(struct look *look, const struct scene_flow *f)
{
	int error;

	memset(look, 0, sizeof(*look));
	error = nl_call(&control, FAASIN_CMD_LINK_GET, 0,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, f->workflow),
				NL_STR(FAASIN_A_LINK_SRC_STAGE, f->src),
				NL_STR(FAASIN_A_LINK_DST_STAGE, f->dst)));
	if (error)
		broken("a link cannot be asked for", error);
	else
		see_link(look, control.reply, control.len);
	return !wrong[0];
}

/*
 * Empties a channel. What waits is what was written, and as much of it as the statistics
 * say. What is to be dropped still counts as waiting, for a moment.
 */
static const char *drain(const struct look *before, size_t which)
{
	const struct scene_flow *f = &flows[which];
	uint64_t total = 0, bytes = 0;
	char path[PATH_MAX];
	struct look after;
	int tries;

	wrong[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s/%s/" FAASIN_PORT_IN, MOUNT_POINT, f->workflow, f->dst);
	while (drain_stream(path, &total))
		;
	for (tries = 0; !wrong[0] && tries < 100; tries++) {
		if (!look_at(&after, f))
			break;
		bytes = after.out[which] - before->out[which];
		if (!after.held[which] && !after.queued[which] && bytes == total)
			return NULL;
		usleep(20000);
	}
	if (!wrong[0])
		snprintf(wrong, sizeof(wrong),
			 "%llu bytes waited in %s, %llu could be read, %llu count as read, %llu wait still",
			 (unsigned long long)before->held[which], f->workflow,
			 (unsigned long long)total, (unsigned long long)bytes,
			 (unsigned long long)after.held[which]);
	return wrong;
}

/* From a link that is paused nothing can be read, and of one that drains no stream begins. */
static const char *resume(const struct scene_flow *f)
{
	int error = nl_call(&control, FAASIN_CMD_LINK_SET, 0,
			    NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, f->workflow),
				    NL_STR(FAASIN_A_LINK_SRC_STAGE, f->src),
				    NL_STR(FAASIN_A_LINK_DST_STAGE, f->dst),
				    NL_U32(FAASIN_A_LINK_STATE, FAASIN_LINK_STATE_RUNNING)));

	return error ? broken("a link cannot be resumed", error) : NULL;
}

static const char *mend_tree(struct look *look)
{
	int error = 0;
	size_t i, n;

	for (i = 0; !error && i < look->nothers; i++)
		error = workflow_del(look->other[i]);
	for (i = 0; !error && i < ARRAY_SIZE(workflows); i++) {
		bool same = look->signature[i] == workflows[i].signature;

		for (n = 0; same && n < ARRAY_SIZE(flows); n++)
			same = strcmp(flows[n].workflow, workflows[i].name) ||
			       flows[n].generation == look->generation[n];
		if (same)
			continue;
		error = workflow_del(workflows[i].name);
		if (error == ENOENT)
			error = 0;
		error = error ?: make_workflow(i);
	}
	return error ? broken("a workflow cannot be made anew", error) : remember();
}

const char *scene_mend(unsigned int changes)
{
	bool tree = changes & CHANGES_TREE, lost = false;
	const char *what;
	struct look look;
	size_t i;

	if (changes & CHANGES_MOUNTS)
		mend_mounts();
	if (changes & CHANGES_CGROUPS)
		lost = mend_cgroups();
	what = look_around(&look, tree || lost);
	for (i = 0; !what && i < ARRAY_SIZE(flows); i++) {
		if (look.generation[i] != flows[i].generation)
			continue;
		if (look.state[i] != FAASIN_LINK_STATE_RUNNING)
			what = resume(&flows[i]);
		if (!what && (look.held[i] || look.queued[i]))
			what = drain(&look, i);
	}
	if (what)
		return what;
	/* What it was bound to is gone. */
	if (lost)
		look.signature[0] = 0;
	return tree || lost ? mend_tree(&look) : NULL;
}

/* ------------------------------------------------------------- from nothing */

static int delete_all(void)
{
	struct look look;
	int error = 0;
	size_t i;

	do {
		error = look_around(&look, true) ? EIO : 0;
		for (i = 0; !error && i < look.nothers; i++)
			error = workflow_del(look.other[i]);
	} while (!error && look.nothers == OTHERS_MAX);
	for (i = 0; !error && i < ARRAY_SIZE(workflows); i++) {
		error = workflow_del(workflows[i].name);
		if (error == ENOENT)
			error = 0;
	}
	return error;
}

static long references(void)
{
	FILE *from = fopen("/sys/module/faasin/refcnt", "re");
	long count = -1;

	if (from && fscanf(from, "%ld", &count) != 1)
		count = -1;
	if (from)
		fclose(from);
	return count;
}

/*
 * References that are dropped late (RCU, queued work) get some time. Descriptors in flight
 * between sockets that hold each other are collected when some socket is closed.
 */
static const char *check_references(void)
{
	long count = -1;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		count = references();
		if (count <= first_references)
			return NULL;
		close(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		usleep(50000);
	}
	snprintf(wrong, sizeof(wrong), "nobody has anything open, but there are %ld references to the module, not %ld",
		 count, first_references);
	return wrong;
}

const char *scene_make(void)
{
	const char *what;
	size_t i;
	int error;

	mend_mounts();
	error = delete_all();
	if (error)
		return broken("what there is cannot be deleted", error);
	what = check_references();
	if (what)
		return what;
	mend_cgroups();
	for (i = 0; i < ARRAY_SIZE(workflows); i++) {
		error = make_workflow(i);
		if (error)
			return broken("a workflow cannot be made", error);
	}
	return remember();
}

const char *scene_end(void)
{
	int error = delete_all();

	if (!error)
		error = nl_call(&control, FAASIN_CMD_INFO_GET, 0, NL_NONE);
	if (error)
		return broken("what there is cannot be deleted", error);
	if (nl_get_u32(&control, FAASIN_A_INFO_WORKFLOWS))
		return "workflows are left";
	return NULL;
}

/* A directory in which programs find their paths, and can change nothing. */
static const char *init_paths(void)
{
	char path[64];
	FILE *file;
	size_t i;

	mkdir(BASE, 0755);
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), BASE "/%s", places[i]);
		mkdir(path, 0755);
	}
	(void)!symlink(MOUNT_POINT, BASE "/sys");
	file = fopen(BASE "/file", "we");
	if (!file)
		return broken(BASE "/file", errno);
	for (i = 0; i < 100000; i++)
		putc(FILLED, file);
	if (fclose(file) || mount(BASE, BASE, NULL, MS_BIND, NULL) ||
	    mount(NULL, BASE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		return broken(BASE " cannot be made read-only", errno);
	return chdir(BASE) ? broken(BASE, errno) : NULL;
}

const char *scene_init(void)
{
	const char *what;
	int error;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return broken("no mount namespace of its own", errno);
	what = init_paths();
	if (what)
		return what;
	error = -cgroup_make(cgroups[0]);
	if (error)
		return broken("no cgroup that pays", error);
	error = nl_open(&control);
	if (error)
		return broken("is the module loaded?", error);
	requests_init(control.family, control.events);
	first_mount = mount_id();
	first_references = references();
	return NULL;
}
