// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A workflow on a terminal. A stage is a line; the widest of its edges that leads on
 * goes straight down, the others branch off to the right:
 *
 *	split
 *	├─ errors: 1.2 kB
 *	│  log
 *	┃ 49.2 MB, blocked 93 %
 *	▼
 *	wc
 *
 * What was drawn already is named only. No line is wider than 80 columns.
 */
#include "graph.h"

#define COLUMNS		80
#define INDENT		3
#define DEPTH_MAX	8		/* further branches are drawn below */
#define REFERENCE	28		/* " ▶ ", a name of 16, " (above)" */
#define SLOW		17		/* "* bottleneck 100%" */
#define CORE		25		/* "999.9 kB", ", blocked 100 %", "├─ " less one */

/**
 * struct glyphs - what lines are made of, for an encoding
 * @trunk: straight down: no traffic, little, much
 * @fork: a branch, by @trunk's width (little, much) and its own
 * @last: the same where nothing goes down
 * @past: beside what branches off: no traffic, little, much
 * @arrow: below a trunk
 * @to: before a name
 */
struct glyphs {
	const char *trunk[3];
	const char *fork[2][2];
	const char *last[2];
	const char *past[3];
	const char *arrow;
	const char *to;
};

static const struct glyphs unicode = {
	.trunk = { "╎", "│", "┃" },
	.fork = { { "├─", "┝━" }, { "┠─", "┣━" } },
	.last = { "└─", "┕━" },
	.past = { "╎  ", "│  ", "┃  " },
	.arrow = "▼",
	.to = "▶",
};

static const struct glyphs ascii = {
	.trunk = { ":", "|", "#" },
	.fork = { { "|-", "|=" }, { "#-", "#=" } },
	.last = { "`-", "`=" },
	.past = { ":  ", "|  ", "#  " },
	.arrow = "v",
	.to = "->",
};

/**
 * struct drawing - a graph being drawn
 * @to: where to
 * @graph: what
 * @g: with what
 * @path: width of the trunk beside each branch that is being drawn
 * @depth: how many there are
 */
struct drawing {
	FILE *to;
	struct graph *graph;
	const struct glyphs *g;
	const char *path[DEPTH_MAX + 1];
	int depth;
};

static void print_path(const struct drawing *d)
{
	int i;

	for (i = 0; i < d->depth; i++)
		fputs(d->path[i], d->to);
}

/* A name in at most @max columns; what is left out is in its middle. */
static struct text shorten(const char *name, int max)
{
	int len = strlen(name), head = (max - 2) / 2;
	struct text text;

	if (len <= max)
		snprintf(text.s, sizeof(text.s), "%s", name);
	else
		snprintf(text.s, sizeof(text.s), "%.*s..%s", head, name,
			 name + len - (max - 2 - head));
	return text;
}

static void print_name(const struct drawing *d, const char *name, int max)
{
	bool colour = d->graph->colour;

	fprintf(d->to, "%s%s%s", colour ? bold() : "", shorten(name, max).s,
		colour ? plain() : "");
}

/* 0: no traffic; 1: little; 2: much, that is a third of the most or more. */
static int width(const struct graph *graph, const struct graph_edge *edge)
{
	return !edge->bytes ? 0 : edge->bytes >= graph->most / 3 ? 2 : 1;
}

/* A part of a label, if there is room for it. */
static void print_part(const struct drawing *d, int *room, const char *before,
		       const char *name, const char *after)
{
	int rest = *room - (int)(strlen(before) + strlen(after));
	struct text text;

	if (rest < 6 && rest < (int)strlen(name))
		return;
	text = shorten(name, rest < 16 ? rest : 16);
	fprintf(d->to, "%s%s%s", before, text.s, after);
	*room = rest - (int)strlen(text.s);
}

/* @reserve: columns that are needed behind it */
static void print_label(const struct drawing *d, const struct graph_edge *edge,
			int reserve)
{
	int room = COLUMNS - INDENT * d->depth - CORE - reserve;

	if (strcmp(edge->src_port, FAASIN_PORT_OUT))
		print_part(d, &room, "", edge->src_port, ": ");
	fputs(text_bytes(edge->bytes).s, d->to);
	if (strcmp(edge->dst_port, FAASIN_PORT_IN))
		print_part(d, &room, " to ", edge->dst_port, "");
	if (edge->held)
		print_part(d, &room, ", ", text_bytes(edge->held).s, " held");
	if (edge->trusted)
		fputs(", trusted", d->to);
	if (edge->dealt)
		fputs(", dealt", d->to);
	/* Why it jams, then. */
	if (edge->state != FAASIN_LINK_STATE_RUNNING)
		fprintf(d->to, ", %s", faasctl_link_state_name(edge->state));
	else if (graph_jams(edge))
		fprintf(d->to, ", blocked %u %%", edge->writers);
}

static const char *jam_on(const struct drawing *d, const struct graph_edge *edge)
{
	return d->graph->colour && graph_jams(edge) ? red() : "";
}

static const char *jam_off(const struct drawing *d, const struct graph_edge *edge)
{
	return d->graph->colour && graph_jams(edge) ? plain() : "";
}

/* The widest edge to a stage that is not drawn yet; NULL: all are. */
static struct graph_edge *trunk_of(const struct drawing *d,
				   const struct graph_node *node)
{
	struct graph_edge *edges = &d->graph->edges[node->first], *best = NULL;
	size_t i;

	for (i = 0; i < node->n_out; i++)
		if (!d->graph->nodes[edges[i].dst].drawn &&
		    !d->graph->nodes[edges[i].dst].follows &&
		    (!best || edges[i].bytes > best->bytes))
			best = &edges[i];
	return best;
}

static void draw_down(struct drawing *d, struct graph_node *node);

static void draw_branch(struct drawing *d, const struct graph_edge *edge,
			const struct graph_edge *trunk, bool last)
{
	struct graph_node *dst = &d->graph->nodes[edge->dst];
	int own = width(d->graph, edge) == 2;
	int beside = trunk ? width(d->graph, trunk) : 1;
	bool later = dst->follows || d->depth == DEPTH_MAX;
	bool named = dst->drawn || later;

	print_path(d);
	fprintf(d->to, "%s%s ", jam_on(d, edge),
		last ? d->g->last[own] : d->g->fork[beside == 2][own]);
	print_label(d, edge, named ? REFERENCE : 0);
	if (named)
		fprintf(d->to, " %s %s (%s)", d->g->to,
			shorten(dst->name, 16).s, dst->drawn ? "above" : "below");
	fprintf(d->to, "%s\n", jam_off(d, edge));
	if (named)
		return;
	d->path[d->depth++] = last ? "   " : d->g->past[beside];
	draw_down(d, dst);
	d->depth--;
}

static void draw_trunk(const struct drawing *d, const struct graph_edge *edge)
{
	print_path(d);
	fprintf(d->to, "%s%s ", jam_on(d, edge),
		d->g->trunk[width(d->graph, edge)]);
	print_label(d, edge, 0);
	fprintf(d->to, "%s\n", jam_off(d, edge));
	print_path(d);
	fprintf(d->to, "%s%s%s\n", jam_on(d, edge), d->g->arrow,
		jam_off(d, edge));
}

static void draw_stage(const struct drawing *d, const struct graph_node *node)
{
	bool slow = node->bottleneck > 0;

	print_name(d, node->name, COLUMNS - INDENT * d->depth - (slow ? SLOW : 0));
	if (slow)
		fprintf(d->to, "* %sbottleneck %s%s", d->graph->colour ? red() : "",
			text_percent(node->bottleneck).s, d->graph->colour ? plain() : "");
	fputc('\n', d->to);
}

/* A stage and all that follows from it. */
static void draw_down(struct drawing *d, struct graph_node *node)
{
	struct graph_edge *edges, *trunk;
	size_t i;

	for (;;) {
		edges = &d->graph->edges[node->first];
		print_path(d);
		draw_stage(d, node);
		node->drawn = true;
		node->follows = false;
		trunk = trunk_of(d, node);
		/* Not to be drawn by a branch. */
		if (trunk)
			d->graph->nodes[trunk->dst].follows = true;
		for (i = 0; i < node->n_out; i++)
			if (&edges[i] != trunk)
				draw_branch(d, &edges[i], trunk,
					    !trunk && i + 1 == node->n_out);
		if (!trunk)
			return;
		draw_trunk(d, trunk);
		node = &d->graph->nodes[trunk->dst];
	}
}

static void draw(FILE *to, struct graph *graph)
{
	struct drawing d = {
		.to = to, .graph = graph,
		.g = utf8() ? &unicode : &ascii,
	};
	size_t i;

	fputs("workflow ", to);
	print_name(&d, graph->workflow, 40);
	fprintf(to, ": %zu stages, %zu links\n", graph->n_nodes, graph->n_edges);
	fprintf(to, "bytes written and time that writers were blocked, %s\n",
		graph_period(graph).s);
	for (i = 0; i < graph->n_nodes; i++)
		if (!graph->nodes[i].n_in)
			draw_down(&d, &graph->nodes[i]);
	/* What is left hung too deep; or the links changed while they were read. */
	for (i = 0; i < graph->n_nodes; i++)
		if (!graph->nodes[i].drawn)
			draw_down(&d, &graph->nodes[i]);
}

int graph_text(FILE *to, struct graph *graphs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (i)
			fputc('\n', to);
		draw(to, &graphs[i]);
	}
	return STATUS_OK;
}
