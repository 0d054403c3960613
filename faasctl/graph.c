// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl graph */
#include "graph.h"
#include "stop.h"
#include "whole_file.h"

static const struct option_row options[] = {
	{ 'f', "format", "FORMAT", "text, dot, mermaid or svg" },
	{ 'i', "interval", "SECONDS", "show what goes through in that time (1 with --watch)" },
	{ 'o', "output", "FILE", "write FILE, whole, instead of standard output" },
	{ 'w', "watch", NULL, "do so again and again, until Ctrl-C" },
	{ 0 },
};

enum format { TEXT, DOT, MERMAID, SVG };

static int (*const drawers[])(FILE *to, struct graph *graphs, size_t n) = {
	[TEXT] = graph_text, [DOT] = graph_dot,
	[MERMAID] = graph_mermaid, [SVG] = graph_svg,
};

static const char *format_name(uint32_t format)
{
	static const char *const names[] = {
		[TEXT] = "text", [DOT] = "dot", [MERMAID] = "mermaid", [SVG] = "svg",
	};

	return format < ARRAY_SIZE(names) ? names[format] : "unknown";
}

/**
 * struct view - a run of this command
 * @workflow: of which; NULL: all
 * @format: how it is drawn
 * @interval_ms: between two readings; 0: one will do
 * @output: file, or NULL
 * @watch: go on
 * @begun: something was printed
 * @graphs: being drawn
 * @n: number of them
 */
struct view {
	const char *workflow;
	enum format format;
	uint32_t interval_ms;
	const char *output;
	bool watch;
	bool begun;
	struct graph *graphs;
	size_t n;
};

/* Anew each time: a module that was unloaded says nothing on an old connection. */
static int take(const struct view *view, struct snapshot *snap)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;

	if (faasctl_open(&ctl, &err))
		return fail(&err);
	if (snapshot_read(snap, ctl, view->workflow, SNAPSHOT_WORKFLOWS |
			  SNAPSHOT_STAGES | SNAPSHOT_LINKS, &err))
		return fail_hint(&err, ENOENT, "see: faasctl show");
	return STATUS_OK;
}

/* In one piece: on a terminal, where the last picture was. */
static int print(struct view *view)
{
	_cleanup_(freep) char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	int status;

	if (!to)
		return fail_memory();
	status = drawers[view->format](to, view->graphs, view->n);
	if (fclose(to) && status == STATUS_OK)
		status = fail_memory();
	if (status != STATUS_OK)
		return status;
	if (view->watch && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	else if (view->begun)
		putchar('\n');
	view->begun = true;
	fwrite(text, 1, len, stdout);
	return finish_output();
}

static int write_file(const struct view *view)
{
	struct whole_file file;
	int status = whole_file_open(&file, view->output);

	if (status != STATUS_OK)
		return status;
	status = drawers[view->format](file.f, view->graphs, view->n);
	if (status == STATUS_OK)
		return whole_file_commit(&file);
	whole_file_discard(&file);
	return status;
}

static int show(struct view *view, const struct snapshot *before,
		const struct snapshot *now)
{
	int status;
	size_t i;

	if (graphs_make(before, now, view->interval_ms, &view->graphs, &view->n))
		return fail_memory();
	for (i = 0; i < view->n; i++)
		view->graphs[i].colour = !view->output;
	status = view->output ? write_file(view) : print(view);
	graphs_free(view->graphs, view->n);
	return status;
}

static int run_view(struct view *view)
{
	struct snapshot before, now;
	int status = take(view, &before);

	if (status != STATUS_OK)
		return status;
	if (!view->interval_ms) {
		status = show(view, NULL, &before);
		snapshot_free(&before);
		return status;
	}
	while (status == STATUS_OK && stop_wait(view->interval_ms)) {
		status = take(view, &now);
		if (status != STATUS_OK)
			break;
		status = show(view, &before, &now);
		snapshot_free(&before);
		before = now;
		if (!view->watch)
			break;
	}
	snapshot_free(&before);
	return status;
}

static int run(struct args *args)
{
	struct view view = { 0 };
	int id;

	while ((id = args_next(args)) != -1) {
		if (id == 'f')
			view.format = parse_word(args, format_name);
		else if (id == 'i')
			view.interval_ms = parse_seconds(args, 0.1, 86400);
		else if (id == 'o')
			view.output = args->value;
		else if (id == 'w')
			view.watch = true;
	}
	args_rest(args, 0, 1);
	view.workflow = args->argv[0];
	if (view.watch && !view.interval_ms)
		view.interval_ms = 1000;
	if (view.watch && !view.output && view.format == SVG)
		usage_error(args->command,
			    "pictures in a row cannot be told apart: add --output FILE");
	if (view.interval_ms)
		stop_begin();
	return run_view(&view);
}

const struct command graph_command = {
	.name = "graph",
	.run = run,
	.args = "[OPTION]... [WORKFLOW]",
	.help = "Draw workflows: who sends to whom, how much, and where it jams",
	.example = "faasctl graph --format svg --output wf1.svg wf1",
	.options = options,
};
