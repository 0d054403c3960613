// SPDX-License-Identifier: LGPL-2.1-or-later
/* Workflows for other programs to draw. Names have no character that means anything there. */
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "graph.h"

/* Laying out more than that takes graphviz longer than anybody waits. */
#define SVG_EDGES_MAX	2000

#define WIDTH_MAX	8	/* pixels, of the widest edge */

static double width(const struct graph *graph, const struct graph_edge *edge)
{
	return 1 + (graph->most ? (WIDTH_MAX - 1.0) * edge->bytes / graph->most : 0);
}

static void print_label(FILE *to, const struct graph_edge *edge,
			const char *newline)
{
	if (strcmp(edge->src_port, FAASIN_PORT_OUT))
		fprintf(to, "%s: ", edge->src_port);
	fputs(text_bytes(edge->bytes).s, to);
	if (strcmp(edge->dst_port, FAASIN_PORT_IN))
		fprintf(to, " to %s", edge->dst_port);
	if (edge->trusted)
		fprintf(to, "%strusted", newline);
	if (edge->dealt)
		fprintf(to, "%sdealt", newline);
	if (edge->state != FAASIN_LINK_STATE_RUNNING)
		fprintf(to, "%s%s", newline, faasctl_link_state_name(edge->state));
	if (edge->writers || edge->readers)
		fprintf(to, "%sblocked: writers %u %%, readers %u %%", newline,
			edge->writers, edge->readers);
}

/* The bottleneck is red, as what is blocked because of it. */
static void print_node(FILE *to, const struct graph_node *node, size_t graph, size_t i)
{
	fprintf(to, "\t\tw%zus%zu [label=\"%s", graph, i, node->name);
	if (node->bottleneck > 0)
		fprintf(to, "\\nbottleneck %s\", color=red, fontcolor=red, penwidth=2",
			text_percent(node->bottleneck).s);
	else
		fputc('"', to);
	fputs("];\n", to);
}

int graph_dot(FILE *to, struct graph *graphs, size_t n)
{
	size_t i, k;

	fputs("digraph faasin {\n"
	      "\trankdir=LR;\n"
	      "\tnode [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
	      "\tedge [fontname=\"sans-serif\", fontsize=10];\n"
	      "\tgraph [fontname=\"sans-serif\"];\n", to);
	for (i = 0; i < n; i++) {
		const struct graph *graph = &graphs[i];

		fprintf(to, "\tsubgraph cluster%zu {\n\t\tlabel=\"%s: %s\";\n",
			i, graph->workflow, graph_period(graph).s);
		for (k = 0; k < graph->n_nodes; k++)
			print_node(to, &graph->nodes[k], i, k);
		for (k = 0; k < graph->n_edges; k++) {
			const struct graph_edge *edge = &graph->edges[k];

			fprintf(to, "\t\tw%zus%zu -> w%zus%zu [label=\"", i,
				edge->src, i, edge->dst);
			print_label(to, edge, "\\n");
			fprintf(to, "\", penwidth=%.1f%s];\n",
				width(graph, edge), graph_jams(edge) ?
				", color=red, fontcolor=red" : "");
		}
		fputs("\t}\n", to);
	}
	fputs("}\n", to);
	return STATUS_OK;
}

static void print_mermaid_node(FILE *to, const struct graph_node *node, size_t graph,
			       size_t i)
{
	fprintf(to, "\t\tw%zus%zu[\"%s", graph, i, node->name);
	if (node->bottleneck > 0)
		fprintf(to, "<br>bottleneck %s", text_percent(node->bottleneck).s);
	fputs("\"]\n", to);
}

int graph_mermaid(FILE *to, struct graph *graphs, size_t n)
{
	size_t i, k, number = 0;

	fputs("flowchart LR\n", to);
	for (i = 0; i < n; i++) {
		const struct graph *graph = &graphs[i];

		fprintf(to, "\tsubgraph w%zu [\"%s: %s\"]\n", i, graph->workflow,
			graph_period(graph).s);
		for (k = 0; k < graph->n_nodes; k++)
			print_mermaid_node(to, &graph->nodes[k], i, k);
		for (k = 0; k < graph->n_edges; k++) {
			const struct graph_edge *edge = &graph->edges[k];

			fprintf(to, "\t\tw%zus%zu -- \"", i, edge->src);
			print_label(to, edge, "<br>");
			fprintf(to, "\" --> w%zus%zu\n", i, edge->dst);
		}
		fputs("\tend\n", to);
	}
	for (i = 0; i < n; i++)
		for (k = 0; k < graphs[i].n_edges; k++)
			fprintf(to, "\tlinkStyle %zu stroke-width:%.1fpx%s\n",
				number++, width(&graphs[i], &graphs[i].edges[k]),
				graph_jams(&graphs[i].edges[k]) ?
				",stroke:red,color:red" : "");
	return STATUS_OK;
}

static int svg_fail(const char *what, int code)
{
	fprintf(stderr, "faasctl: %s: %s\n", what, strerror(code));
	return STATUS_REFUSED;
}

/*
 * Starts dot with @in as its input; *@out: what it prints. Returns an errno. Signals that
 * this command takes only when it waits do not reach dot before, either.
 */
static int spawn_dot(int in, int *out, pid_t *pid)
{
	char *const argv[] = { (char *)"dot", (char *)"-Tsvg", NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], code;

	if (pipe2(fds, O_CLOEXEC))
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	code = posix_spawnp(pid, "dot", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	*out = fds[0];
	if (code)
		close(fds[0]);
	return code;
}

/* All that @fd gives, so that half a picture is never passed on. */
static char *read_all(int fd, size_t *len)
{
	size_t size = 65536;
	char *text = malloc(size), *more;
	ssize_t got;

	*len = 0;
	while (text) {
		got = read(fd, text + *len, size - *len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		*len += got;
		if (*len < size)
			continue;
		size *= 2;
		more = realloc(text, size);
		if (!more)
			free(text);
		text = more;
	}
	return text;
}

static int run_dot(int in, FILE *to)
{
	_cleanup_(freep) char *picture = NULL;
	int out, code, status;
	size_t len;
	pid_t pid;

	code = spawn_dot(in, &out, &pid);
	if (code == ENOENT) {
		fputs("faasctl: the program \"dot\" is missing, which draws SVG: install graphviz, or use another --format\n",
		      stderr);
		return STATUS_REFUSED;
	}
	if (code)
		return svg_fail("cannot start dot", code);
	picture = read_all(out, &len);
	close(out);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!picture)
		return svg_fail("cannot read what dot drew", ENOMEM);
	if (!WIFEXITED(status) || WEXITSTATUS(status) || !len) {
		fputs("faasctl: dot failed to draw the workflow\n", stderr);
		return STATUS_REFUSED;
	}
	fwrite(picture, 1, len, to);
	return STATUS_OK;
}

/* Through graphviz's dot. Its input is a file: a pipe could fill while dot's does. */
int graph_svg(FILE *to, struct graph *graphs, size_t n)
{
	size_t edges = 0, i;
	int fd, status;
	FILE *input;

	for (i = 0; i < n; i++)
		edges += graphs[i].n_edges;
	if (edges > SVG_EDGES_MAX) {
		fprintf(stderr, "faasctl: %zu links are too many to be drawn (at most %d): name a workflow, or use --format dot\n",
			edges, SVG_EDGES_MAX);
		return STATUS_REFUSED;
	}
	fd = memfd_create("faasctl-graph", MFD_CLOEXEC);
	input = fd < 0 ? NULL : fdopen(fd, "w");
	if (!input)
		return svg_fail("no memory for the picture", errno);
	graph_dot(input, graphs, n);
	if (fflush(input) || ferror(input) || lseek(fd, 0, SEEK_SET)) {
		status = svg_fail("no memory for the picture", errno);
		fclose(input);
		return status;
	}
	status = run_dot(fd, to);
	fclose(input);
	return status;
}
