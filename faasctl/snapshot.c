// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copies of what the module says of its objects, for commands that look twice. */
#include "tool.h"

/* One more element of an array of @size bytes each, zeroed; NULL: no memory. */
static void *grow(void *array, size_t n, size_t size)
{
	void **at = array;
	void *more;

	/* At powers of two. */
	if (!(n & (n - 1))) {
		more = realloc(*at, (n ? 2 * n : 1) * size);
		if (!more)
			return NULL;
		*at = more;
	}
	return memset((char *)*at + n * size, 0, size);
}

static int keep_workflow(const struct faasctl_workflow *workflow, void *arg)
{
	struct snapshot *snap = arg;
	struct snapshot_workflow *copy = grow(&snap->workflows,
					      snap->n_workflows,
					      sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	snap->n_workflows++;
	snprintf(copy->name, sizeof(copy->name), "%s", workflow->name);
	copy->generation = workflow->generation;
	copy->stages = workflow->stages;
	copy->links = workflow->links;
	copy->stats = workflow->stats;
	copy->gone = workflow->gone;
	return 0;
}

static int keep_stage(const struct faasctl_stage *stage, void *arg)
{
	struct snapshot *snap = arg;
	struct snapshot_stage *copy = grow(&snap->stages, snap->n_stages,
					   sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	snap->n_stages++;
	snprintf(copy->workflow, sizeof(copy->workflow), "%s", stage->workflow);
	snprintf(copy->name, sizeof(copy->name), "%s", stage->name);
	if (stage->cgroup_path && !(stage->flags & FAASIN_STAGE_F_CGROUP_GONE)) {
		copy->cgroup_path = strdup(stage->cgroup_path);
		if (!copy->cgroup_path)
			return -ENOMEM;
	}
	copy->cgroup_id = stage->cgroup_id;
	copy->sent = stage->sent;
	copy->received = stage->received;
	return 0;
}

static int keep_link(const struct faasctl_link *link, void *arg)
{
	struct snapshot *snap = arg;
	struct snapshot_link *copy = grow(&snap->links, snap->n_links,
					  sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	snap->n_links++;
	snprintf(copy->workflow, sizeof(copy->workflow), "%s", link->workflow);
	snprintf(copy->src_stage, sizeof(copy->src_stage), "%s",
		 link->src_stage);
	snprintf(copy->src_port, sizeof(copy->src_port), "%s", link->src_port);
	snprintf(copy->dst_stage, sizeof(copy->dst_stage), "%s",
		 link->dst_stage);
	snprintf(copy->dst_port, sizeof(copy->dst_port), "%s", link->dst_port);
	copy->capacity = link->capacity;
	copy->state = link->state;
	copy->flags = link->flags;
	copy->stats = link->stats;
	return 0;
}

/*
 * Reads the parts that are asked for, of one workflow or (NULL) of all. Workflows
 * come last: their sums are then no less than those of their links.
 */
int snapshot_read(struct snapshot *snap, struct faasctl *ctl,
		  const char *workflow, unsigned int parts,
		  struct faasctl_error *err)
{
	int ret = 0;

	memset(snap, 0, sizeof(*snap));
	err->code = 0;
	if (parts & SNAPSHOT_STAGES)
		ret = faasctl_stage_each(ctl, workflow, NULL, keep_stage, snap,
					 err);
	if (!ret && parts & SNAPSHOT_LINKS)
		ret = faasctl_link_each(ctl, workflow, NULL, keep_link, snap,
					err);
	if (!ret && parts & SNAPSHOT_WORKFLOWS)
		ret = faasctl_workflow_each(ctl, workflow, keep_workflow, snap,
					    err);
	if (!ret)
		return 0;
	/* What a callback returned has no text. */
	if (!err->code)
		error_memory(err);
	snapshot_free(snap);
	return ret;
}

/*
 * The index of a workflow, or -1. Objects of one workflow come in a row: @guess is the
 * last answer.
 */
ssize_t snapshot_workflow(const struct snapshot *snap, const char *name,
			  ssize_t guess)
{
	size_t i, at;

	for (i = 0; i < snap->n_workflows; i++) {
		at = ((guess < 0 ? 0 : guess) + i) % snap->n_workflows;
		if (!strcmp(snap->workflows[at].name, name))
			return at;
	}
	return -1;
}

void snapshot_free(struct snapshot *snap)
{
	size_t i;

	for (i = 0; i < snap->n_stages; i++)
		free(snap->stages[i].cgroup_path);
	free(snap->workflows);
	free(snap->stages);
	free(snap->links);
	memset(snap, 0, sizeof(*snap));
}
