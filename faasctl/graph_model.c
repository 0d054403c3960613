// SPDX-License-Identifier: LGPL-2.1-or-later
/* From one or two readings of the module to stages and edges. */
#include "graph.h"

static int by_stage(const void *a, const void *b)
{
	const struct snapshot_stage *const *x = a, *const *y = b;
	int diff = strcmp((*x)->workflow, (*y)->workflow);

	return diff ? diff : strcmp((*x)->name, (*y)->name);
}

static int by_source(const void *a, const void *b)
{
	const struct graph_edge *x = a, *y = b;

	if (x->src != y->src)
		return x->src < y->src ? -1 : 1;
	return strcmp(x->src_port, y->src_port);
}

static int by_ends(const void *a, const void *b)
{
	const struct snapshot_link *x = a, *y = b;
	int diff = strcmp(x->workflow, y->workflow);

	if (!diff)
		diff = strcmp(x->src_stage, y->src_stage);
	if (!diff)
		diff = strcmp(x->src_port, y->src_port);
	if (!diff)
		diff = strcmp(x->dst_stage, y->dst_stage);
	return diff ? diff : strcmp(x->dst_port, y->dst_port);
}

/**
 * struct making - graphs that are being made
 * @now: what there is
 * @before: what there was, links sorted by their ends; or NULL
 * @sorted: stages of @now by name
 * @graphs: to be filled
 * @node_of: number of each stage in its graph, as in @now
 * @graph_of: of each stage, its graph
 */
struct making {
	const struct snapshot *now;
	const struct snapshot *before;
	const struct snapshot_stage **sorted;
	struct graph *graphs;
	size_t *node_of;
	size_t *graph_of;
};

/* Where a stage is in @now, or -1: it came after the stages had been read. */
static ssize_t stage_at(const struct making *m, const char *workflow,
			const char *name)
{
	const struct snapshot_stage **found, *key;
	struct snapshot_stage wanted;

	snprintf(wanted.workflow, sizeof(wanted.workflow), "%s", workflow);
	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	key = &wanted;
	found = bsearch(&key, m->sorted, m->now->n_stages, sizeof(*found),
			by_stage);
	return found ? *found - m->now->stages : -1;
}

/* The numbers of a link, or what came to them since @before. */
static struct link_waits measure(const struct making *m, const struct snapshot_link *link,
				 struct graph_edge *edge)
{
	const struct faasctl_stats *s = &link->stats;
	struct faasctl_stats old = { 0 };
	const struct snapshot_link *was = NULL;
	struct link_waits waits;

	if (m->before && m->before->n_links)
		was = bsearch(link, m->before->links, m->before->n_links,
			      sizeof(*was), by_ends);
	if (was && !stats_restarted(&was->stats, s))
		old = was->stats;
	waits = link_waits(&old, s);
	edge->bytes = s->bytes_in - old.bytes_in;
	edge->held = s->bytes_held;
	edge->writers = waits.writers * 100 + 0.5;
	edge->readers = waits.readers * 100 + 0.5;
	return waits;
}

static int place_nodes(struct making *m)
{
	const struct snapshot *now = m->now;
	ssize_t at = 0;
	size_t i;

	for (i = 0; i < now->n_stages; i++) {
		at = snapshot_workflow(now, now->stages[i].workflow, at);
		m->graph_of[i] = at;
		if (at >= 0)
			m->node_of[i] = m->graphs[at].n_nodes++;
	}
	for (i = 0; i < now->n_workflows; i++) {
		struct graph *graph = &m->graphs[i];

		graph->nodes = calloc(graph->n_nodes + 1, sizeof(*graph->nodes));
		if (!graph->nodes)
			return -ENOMEM;
	}
	for (i = 0; i < now->n_stages; i++)
		if (m->graph_of[i] != (size_t)-1)
			m->graphs[m->graph_of[i]].nodes[m->node_of[i]].name =
				now->stages[i].name;
	return 0;
}

/* Whether both ends are known, and in which graph. */
static struct graph *find_ends(const struct making *m,
			       const struct snapshot_link *link, size_t *src,
			       size_t *dst)
{
	ssize_t from = stage_at(m, link->workflow, link->src_stage);
	ssize_t to = stage_at(m, link->workflow, link->dst_stage);

	if (from < 0 || to < 0 || m->graph_of[from] == (size_t)-1)
		return NULL;
	*src = m->node_of[from];
	*dst = m->node_of[to];
	return &m->graphs[m->graph_of[from]];
}

static int place_edges(struct making *m)
{
	const struct snapshot *now = m->now;
	struct graph *graph;
	size_t i, k, src, dst;

	for (i = 0; i < now->n_links; i++) {
		graph = find_ends(m, &now->links[i], &src, &dst);
		if (graph)
			graph->n_edges++;
	}
	for (i = 0; i < now->n_workflows; i++) {
		graph = &m->graphs[i];
		graph->edges = calloc(graph->n_edges + 1, sizeof(*graph->edges));
		if (!graph->edges)
			return -ENOMEM;
		graph->n_edges = 0;
	}
	for (i = 0; i < now->n_links; i++) {
		const struct snapshot_link *link = &now->links[i];
		struct graph_edge *edge;
		struct link_waits waits;

		graph = find_ends(m, link, &src, &dst);
		if (!graph)
			continue;
		edge = &graph->edges[graph->n_edges++];
		edge->src = src;
		edge->dst = dst;
		edge->src_port = link->src_port;
		edge->dst_port = link->dst_port;
		edge->state = link->state;
		edge->trusted = link->flags & FAASIN_LINK_F_TRUSTED;
		edge->dealt = link->flags & FAASIN_LINK_F_DEALT;
		waits = measure(m, link, edge);
		stage_waits_add(&graph->nodes[src].waits, &graph->nodes[dst].waits, &waits);
		if (edge->bytes > graph->most)
			graph->most = edge->bytes;
	}
	for (i = 0; i < now->n_workflows; i++) {
		graph = &m->graphs[i];
		qsort(graph->edges, graph->n_edges, sizeof(*graph->edges),
		      by_source);
		for (k = graph->n_edges; k--; ) {
			graph->nodes[graph->edges[k].src].first = k;
			graph->nodes[graph->edges[k].src].n_out++;
			graph->nodes[graph->edges[k].dst].n_in++;
		}
		for (k = 0; k < graph->n_nodes; k++)
			graph->nodes[k].bottleneck = bottleneck_share(&graph->nodes[k].waits);
	}
	return 0;
}

static int prepare(struct making *m)
{
	size_t n = m->now->n_stages + 1, i;

	m->graphs = calloc(m->now->n_workflows + 1, sizeof(*m->graphs));
	m->sorted = calloc(n, sizeof(*m->sorted));
	m->node_of = calloc(n, sizeof(*m->node_of));
	m->graph_of = calloc(n, sizeof(*m->graph_of));
	if (!m->graphs || !m->sorted || !m->node_of || !m->graph_of)
		return -ENOMEM;
	for (i = 0; i < m->now->n_stages; i++)
		m->sorted[i] = &m->now->stages[i];
	qsort(m->sorted, m->now->n_stages, sizeof(*m->sorted), by_stage);
	if (m->before)
		qsort(m->before->links, m->before->n_links,
		      sizeof(*m->before->links), by_ends);
	return 0;
}

/*
 * Makes a graph of each workflow of @now; its strings are @now's. With @before, of what
 * went through since then, @interval_ms ago. Returns 0 or -ENOMEM.
 */
int graphs_make(const struct snapshot *before, const struct snapshot *now,
		uint32_t interval_ms, struct graph **graphs, size_t *n)
{
	struct making m = { .now = now, .before = before };
	int ret = prepare(&m);
	size_t i;

	for (i = 0; !ret && i < now->n_workflows; i++) {
		m.graphs[i].workflow = now->workflows[i].name;
		m.graphs[i].interval_ms = before ? interval_ms : 0;
	}
	if (!ret)
		ret = place_nodes(&m);
	if (!ret)
		ret = place_edges(&m);
	free(m.sorted);
	free(m.node_of);
	free(m.graph_of);
	if (ret) {
		graphs_free(m.graphs, now->n_workflows);
		return ret;
	}
	*graphs = m.graphs;
	*n = now->n_workflows;
	return 0;
}

void graphs_free(struct graph *graphs, size_t n)
{
	size_t i;

	for (i = 0; graphs && i < n; i++) {
		free(graphs[i].nodes);
		free(graphs[i].edges);
	}
	free(graphs);
}

/* What time the numbers are of, in words. */
struct text graph_period(const struct graph *graph)
{
	struct text text;

	if (graph->interval_ms)
		snprintf(text.s, sizeof(text.s), "in the last %g s",
			 graph->interval_ms / 1000.0);
	else
		strcpy(text.s, "since the links were made");
	return text;
}
