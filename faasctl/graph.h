/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of "faasctl graph" share: workflows as stages and edges. */
#ifndef FAASCTL_GRAPH_H
#define FAASCTL_GRAPH_H

#include "bottleneck.h"
#include "tool.h"

/* An edge whose writers waited longer than that is where it jams. */
#define GRAPH_JAM_PERCENT	10

/**
 * struct graph_node - a stage
 * @name: its name
 * @first: where its edges begin
 * @n_out: how many
 * @n_in: how many edges end here
 * @waits: what its links tell
 * @bottleneck: for how much of the time the others wait for it: a share, or 0
 * @drawn: for who draws: it is done
 * @follows: likewise: it will be done
 */
struct graph_node {
	const char *name;
	size_t first;
	size_t n_out;
	size_t n_in;
	struct stage_waits waits;
	double bottleneck;
	bool drawn;
	bool follows;
};

/**
 * struct graph_edge - a link
 * @src: node that it starts at
 * @dst: node that it ends at
 * @src_port: its output
 * @dst_port: its input
 * @bytes: what went in
 * @held: what waits in it now
 * @state: enum faasin_link_state
 * @trusted: its windows stay mapped
 * @dealt: records go to it and others of the output in turn
 * @writers: per cent of the time that writers were blocked
 * @readers: the same of readers
 */
struct graph_edge {
	size_t src;
	size_t dst;
	const char *src_port;
	const char *dst_port;
	uint64_t bytes;
	uint64_t held;
	uint32_t state;
	bool trusted;
	bool dealt;
	unsigned int writers;
	unsigned int readers;
};

/**
 * struct graph - a workflow
 * @workflow: its name
 * @interval_ms: time that the numbers are of; 0: since the links were made
 * @colour: it may have colours
 * @most: bytes of the widest edge
 * @n_nodes: number of @nodes
 * @nodes: in the order of creation
 * @n_edges: number of @edges
 * @edges: sorted by @src and @src_port
 */
struct graph {
	const char *workflow;
	uint32_t interval_ms;
	bool colour;
	uint64_t most;
	size_t n_nodes;
	struct graph_node *nodes;
	size_t n_edges;
	struct graph_edge *edges;
};

/* graph_model.c */
int graphs_make(const struct snapshot *before, const struct snapshot *now,
		uint32_t interval_ms, struct graph **graphs, size_t *n);
void graphs_free(struct graph *graphs, size_t n);
struct text graph_period(const struct graph *graph);

static inline bool graph_jams(const struct graph_edge *edge)
{
	return edge->writers >= GRAPH_JAM_PERCENT;
}

/* graph_text.c */
int graph_text(FILE *to, struct graph *graphs, size_t n);

/* graph_dot.c */
int graph_dot(FILE *to, struct graph *graphs, size_t n);
int graph_mermaid(FILE *to, struct graph *graphs, size_t n);
int graph_svg(FILE *to, struct graph *graphs, size_t n);

#endif /* FAASCTL_GRAPH_H */
