// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl graph */
#include <signal.h>
#include <time.h>

#include "graph.h"

static const struct option_row options[] = {
	{ 'f', "format", "FORMAT", "text, dot, mermaid or svg" },
	{ 'i', "interval", "SECONDS", "show what goes through in that time (1 with --watch)" },
	{ 'o', "output", "FILE", "write FILE, whole, instead of standard output" },
	{ 'w', "watch", NULL, "do so again and again, until Ctrl-C" },
	{ 0 },
};

static const struct {
	const char *name;
	int (*draw)(FILE *to, struct graph *graphs, size_t n);
} formats[] = {
	{ "text", graph_text },
	{ "dot", graph_dot },
	{ "mermaid", graph_mermaid },
	{ "svg", graph_svg },
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

/**
 * struct view - a run of this command
 * @workflow: of which; NULL: all
 * @format: index of formats[]
 * @seconds: between two readings; 0: one will do
 * @output: file, or NULL
 * @watch: go on
 * @begun: something was printed
 * @graphs: being drawn
 * @n: number of them
 */
struct view {
	const char *workflow;
	size_t format;
	unsigned int seconds;
	const char *output;
	bool watch;
	bool begun;
	struct graph *graphs;
	size_t n;
};

static size_t parse_format(const struct args *args)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(args->value, formats[i].name))
			return i;
	usage_error(args->command, "\"%s\" is none of text, dot, mermaid and svg",
		    args->value);
}

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

static int draw(FILE *to, void *arg)
{
	const struct view *view = arg;

	return formats[view->format].draw(to, view->graphs, view->n);
}

/* In one piece: on a terminal, where the last picture was. */
static int print(struct view *view)
{
	_cleanup_(freep) char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	int status;

	if (!to) {
		fputs("faasctl: out of memory\n", stderr);
		return STATUS_REFUSED;
	}
	status = draw(to, view);
	if (fclose(to) && status == STATUS_OK) {
		fputs("faasctl: out of memory\n", stderr);
		status = STATUS_REFUSED;
	}
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

static int show(struct view *view, const struct snapshot *before,
		const struct snapshot *now)
{
	int status;
	size_t i;

	if (graphs_make(before, now, view->seconds, &view->graphs, &view->n)) {
		fputs("faasctl: out of memory\n", stderr);
		return STATUS_REFUSED;
	}
	for (i = 0; i < view->n; i++)
		view->graphs[i].colour = !view->output;
	status = view->output ? write_file(view->output, draw, view) :
				print(view);
	graphs_free(view->graphs, view->n);
	return status;
}

/* Until the next reading, or a signal. */
static void wait_a_while(const struct view *view)
{
	struct timespec time = { .tv_sec = view->seconds };

	nanosleep(&time, NULL);
}

static int run_view(struct view *view)
{
	struct snapshot before, now;
	int status = take(view, &before);

	if (status != STATUS_OK)
		return status;
	if (!view->seconds) {
		status = show(view, NULL, &before);
		snapshot_free(&before);
		return status;
	}
	while (status == STATUS_OK) {
		wait_a_while(view);
		if (stopped)
			break;
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
	struct sigaction action = { .sa_handler = stop };
	struct view view = { 0 };
	int id;

	while ((id = args_next(args)) != -1) {
		if (id == 'f')
			view.format = parse_format(args);
		else if (id == 'i')
			view.seconds = parse_u32(args, 86400, 10);
		else if (id == 'o')
			view.output = args->value;
		else if (id == 'w')
			view.watch = true;
		if (id == 'i' && !view.seconds)
			usage_error(args->command,
				    "\"%s\" is not a time: give 1 second or more",
				    args->value);
	}
	args_rest(args, 0, 1);
	view.workflow = args->argv[0];
	if (view.watch && !view.seconds)
		view.seconds = 1;
	if (view.watch && !view.output && formats[view.format].draw == graph_svg)
		usage_error(args->command,
			    "pictures in a row cannot be told apart: add --output FILE");
	if (view.seconds) {
		/* Whatever is being written is finished first. */
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
	}
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
