// SPDX-License-Identifier: GPL-2.0
/*
 * A workflow, its stages and links, and cgroups. See world.h.
 */
#include <dirent.h>
#include <ftw.h>

#include "world.h"

#define NAMES	8

static char *next_name(void)
{
	static char names[NAMES][PATH_MAX];
	static unsigned int next;

	return names[next++ % NAMES];
}

static int start(struct world *w, const char *suffix)
{
	memset(w, 0, sizeof(*w));
	w->log = log_open();
	signal(SIGPIPE, SIG_IGN);
	snprintf(w->wf, sizeof(w->wf), "test-%d%s", getpid(), suffix);
	snprintf(w->dir, sizeof(w->dir), MOUNT_POINT "/%s", w->wf);
	return nl_open(&w->nl);
}

int world_new(struct world *w)
{
	int error = start(w, "");

	return error ?: nl_call(&w->nl, FAASIN_CMD_WORKFLOW_NEW, NLM_F_EXCL,
		NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf),
			NL_U32(FAASIN_A_WORKFLOW_FLAGS, FAASIN_WORKFLOW_F_UNCHARGED)));
}

static int new_charged(struct world *w, const char *suffix)
{
	int error = start(w, suffix), fd;

	if (error)
		return error;
	fd = cgroup_open(world_cgroup(w, NULL));
	if (fd < 0)
		return -fd;
	error = nl_call(&w->nl, FAASIN_CMD_WORKFLOW_NEW, NLM_F_EXCL,
			NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf),
				NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd)));
	close(fd);
	return error;
}

int world_new_charged(struct world *w)
{
	return new_charged(w, "");
}

int world_new_beside(struct world *w)
{
	return new_charged(w, "-beside");
}

int cgroup_open(const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

const char *world_cgroup(struct world *w, const char *name)
{
	char *full = next_name();

	snprintf(full, PATH_MAX, "%s", w->wf);
	cgroup_make(full);
	if (name) {
		snprintf(full, PATH_MAX, "%s/%s", w->wf, name);
		cgroup_make(full);
	}
	return full;
}

int world_stage(struct world *w, const char *name, const char *cgroup)
{
	int fd, error;

	if (!cgroup)
		return nl_call(&w->nl, FAASIN_CMD_STAGE_NEW, 0,
			       NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
				       NL_STR(FAASIN_A_STAGE_NAME, name)));
	fd = cgroup_open(cgroup);
	if (fd < 0)
		return -fd;
	error = nl_call(&w->nl, FAASIN_CMD_STAGE_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
				NL_STR(FAASIN_A_STAGE_NAME, name),
				NL_U32(FAASIN_A_STAGE_CGROUP_FD, fd)));
	close(fd);
	return error;
}

int world_link(struct world *w, const char *src, const char *dst)
{
	return world_link_of(w, src, dst, FAASIN_CAPACITY_DEFAULT);
}

int world_link_of(struct world *w, const char *src, const char *dst, uint64_t capacity)
{
	return nl_call(&w->nl, FAASIN_CMD_LINK_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src),
			       NL_STR(FAASIN_A_LINK_DST_STAGE, dst),
			       NL_U64(FAASIN_A_LINK_CAPACITY, capacity)));
}

int world_resize(struct world *w, const char *src, uint64_t capacity)
{
	return nl_call(&w->nl, FAASIN_CMD_LINK_SET, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src),
			       NL_U64(FAASIN_A_LINK_CAPACITY, capacity)));
}

int world_set_state(struct world *w, const char *src, uint32_t state)
{
	return nl_call(&w->nl, FAASIN_CMD_LINK_SET, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src),
			       NL_U32(FAASIN_A_LINK_STATE, state)));
}

int world_unlink(struct world *w, const char *src)
{
	return nl_call(&w->nl, FAASIN_CMD_LINK_DEL, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src)));
}

int world_del_stage(struct world *w, const char *name)
{
	return nl_call(&w->nl, FAASIN_CMD_STAGE_DEL, 0,
		       NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_STAGE_NAME, name)));
}

int world_del_workflow(struct world *w, const char *name)
{
	return nl_call(&w->nl, FAASIN_CMD_WORKFLOW_DEL, 0,
		       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, name)));
}

static int remove_cgroup(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	/* Its files are no files to remove. */
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

void world_del(struct world *w)
{
	char path[PATH_MAX];

	if (w->nl.fd >= 0) {
		world_del_workflow(w, w->wf);
		nl_shut(&w->nl);
	}
	/* Whoever is left in there holds it. */
	snprintf(path, sizeof(path), CGROUPS "/%s", w->wf);
	if (access(path, F_OK))
		return;
	cgroup_write("..", "cgroup.procs", "0");
	cgroup_write(w->wf, "cgroup.kill", "1");
	for (int tries = 0; tries < 1000; tries++) {
		nftw(path, remove_cgroup, 16, FTW_DEPTH | FTW_PHYS);
		if (access(path, F_OK))
			return;
		usleep(10000);
	}
}

const char *world_path(const struct world *w, const char *stage, const char *port)
{
	char *path = next_name();

	snprintf(path, PATH_MAX, MOUNT_POINT "/%s/%s%s%s", w->wf, stage, port ? "/" : "",
		 port ?: "");
	return path;
}

int world_open(const struct world *w, const char *stage, const char *port, int flags)
{
	return sys(open(world_path(w, stage, port), flags | O_NONBLOCK | O_CLOEXEC));
}

uint64_t world_generation(struct world *w)
{
	return nl_call(&w->nl, FAASIN_CMD_WORKFLOW_GET, 0,
		       NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf))) ? 0 :
		nl_get_u64(&w->nl, FAASIN_A_WORKFLOW_GENERATION);
}

uint64_t world_stage_generation(struct world *w, const char *stage)
{
	return nl_call(&w->nl, FAASIN_CMD_STAGE_GET, 0,
		       NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_STAGE_NAME, stage))) ? 0 :
		nl_get_u64(&w->nl, FAASIN_A_STAGE_GENERATION);
}

static int link_get(struct world *w, const char *src)
{
	return nl_call(&w->nl, FAASIN_CMD_LINK_GET, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src)));
}

uint64_t world_link_capacity(struct world *w, const char *src)
{
	return link_get(w, src) ? 0 : nl_get_u64(&w->nl, FAASIN_A_LINK_CAPACITY);
}

uint32_t world_link_state(struct world *w, const char *src)
{
	return link_get(w, src) ? FAASIN_LINK_STATE_RUNNING : nl_get_u32(&w->nl, FAASIN_A_LINK_STATE);
}

uint64_t world_link_generation(struct world *w, const char *src)
{
	return link_get(w, src) ? 0 : nl_get_u64(&w->nl, FAASIN_A_LINK_GENERATION);
}

/**
 * struct state_note - what is being taken down
 * @state: so far
 * @nests: attributes of the objects that hold statistics
 */
struct state_note {
	struct world_state state;
	uint16_t nests[2];
};

/* Of statistics, what goes on by itself. */
static void stop_clocks(char *attrs, size_t len, uint16_t nest)
{
	static const uint16_t clocks[] = {
		FAASIN_A_STATS_WRITER_BLOCKED_NS, FAASIN_A_STATS_READER_BLOCKED_NS,
		FAASIN_A_STATS_POOL_KIB_MS, FAASIN_A_STATS_LINKED_NS,
	};
	const struct nlattr *stats = nl_find(attrs, len, nest), *clock;
	size_t i;

	for (i = 0; stats && i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		clock = nl_find(nl_data(stats), nl_len(stats), clocks[i]);
		if (clock)
			memset((char *)nl_data(clock), 0, nl_len(clock));
	}
}

static bool add_to_state(void *arg, const void *attrs, size_t len)
{
	struct state_note *note = arg;
	struct world_state *state = &note->state;
	char *bytes = realloc(state->bytes, state->len + len);

	if (!bytes)
		return true;
	memcpy(bytes + state->len, attrs, len);
	stop_clocks(bytes + state->len, len, note->nests[0]);
	stop_clocks(bytes + state->len, len, note->nests[1]);
	state->bytes = bytes;
	state->len += len;
	return false;
}

struct world_state world_state(struct world *w)
{
	struct state_note note = { .nests = { FAASIN_A_WORKFLOW_STATS, FAASIN_A_WORKFLOW_GONE } };
	struct nl nl;

	/* Leaves w->nl's last answer alone. */
	if (nl_open(&nl))
		return note.state;
	if (!nl_call(&nl, FAASIN_CMD_WORKFLOW_GET, 0,
		     NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf))))
		add_to_state(&note, nl.reply, nl.len);
	note.nests[0] = FAASIN_A_STAGE_SENT;
	note.nests[1] = FAASIN_A_STAGE_RECEIVED;
	nl_list(&nl, FAASIN_CMD_STAGE_GET, NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf)),
		add_to_state, &note);
	note.nests[0] = FAASIN_A_LINK_STATS;
	note.nests[1] = FAASIN_A_LINK_STATS;
	nl_list(&nl, FAASIN_CMD_LINK_GET, NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf)),
		add_to_state, &note);
	if (!nl_call(&nl, FAASIN_CMD_INFO_GET, 0, NL_NONE)) {
		uint32_t workflows = nl_get_u32(&nl, FAASIN_A_INFO_WORKFLOWS);

		note.nests[0] = FAASIN_A_STATS_UNSPEC;
		note.nests[1] = FAASIN_A_STATS_UNSPEC;
		add_to_state(&note, &workflows, sizeof(workflows));
	}
	nl_shut(&nl);
	return note.state;
}

bool world_same(struct world *w, struct world_state *before)
{
	struct world_state now = world_state(w);
	bool same = now.len && now.len == before->len && !memcmp(now.bytes, before->bytes, now.len);

	free(now.bytes);
	free(before->bytes);
	before->bytes = NULL;
	return same;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

char *list_directory(const char *path)
{
	struct dirent **entries;
	size_t len = 1;
	char *names, *end;
	int n, i;

	n = scandir(path, &entries, no_dots, by_name);
	if (n < 0)
		return NULL;
	for (i = 0; i < n; i++)
		len += strlen(entries[i]->d_name) + 1;
	names = calloc(1, len);
	end = names;
	for (i = 0; i < n; i++) {
		if (names)
			end = stpcpy(stpcpy(end, entries[i]->d_name), " ");
		free(entries[i]);
	}
	free(entries);
	return names;
}
