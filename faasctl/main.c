// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl: the table of its subcommands. */
#include <locale.h>

#include "tool.h"

static const struct command *const commands[] = {
	&link_command,
	&unlink_command,
	&set_command,
	&pause_command,
	&resume_command,
	&drain_command,
	&replace_command,
	&workflow_command,
	&stage_command,
	&exec_command,
	&run_command,
	&show_command,
	&dump_command,
	&graph_command,
	&latency_command,
	&metrics_command,
	&monitor_command,
	&scan_command,
	&status_command,
	&top_command,
	&trace_command,
	&usage_command,
	&version_command,
	&help_command,
	NULL,
};

static const struct command *find(const struct command *const *table,
				  const char *name)
{
	const char *last;

	for (; *table; table++) {
		last = strrchr((*table)->name, ' ');
		if (!strcmp(last ? last + 1 : (*table)->name, name))
			return *table;
	}
	return NULL;
}

/* The command @name, or with @sub its subcommand of that name; or NULL. */
const struct command *main_find(const char *name, const char *sub)
{
	const struct command *command = find(commands, name);

	if (!command || !sub)
		return command;
	return command->subs ? find(command->subs, sub) : NULL;
}

int main_help(FILE *to)
{
	const struct command *const *command;

	fprintf(to,
		"Usage: faasctl COMMAND [ARGUMENT]...\n"
		"Pipes between the stages of a serverless workflow.\n\n"
		"Commands:\n");
	for (command = commands; *command; command++)
		fprintf(to, "  %-9s %s\n", (*command)->name, (*command)->help);
	fprintf(to,
		"\n\"faasctl COMMAND --help\" tells more, and so does the manual: faasctl(1).\n"
		"Example: faasctl link wf1 grep wc\n");
	return to == stdout ? finish_output() : STATUS_USAGE;
}

/* Finds the command that the words name, down to a subcommand's subcommand. */
static int dispatch(int argc, char **argv)
{
	const struct command *command = find(commands, argv[0]);
	struct args args;

	if (!command) {
		fprintf(stderr, "faasctl: unknown command \"%s\"; see: faasctl help\n",
			text_clean(argv[0]).s);
		return STATUS_USAGE;
	}
	while (command->subs) {
		const struct command *sub;

		if (argc < 2)
			usage_error(command, "a command is missing");
		if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
			args_help(command, stdout);
			return finish_output();
		}
		sub = find(command->subs, argv[1]);
		if (!sub)
			usage_error(command, "unknown command \"%s\"", argv[1]);
		command = sub;
		argc--;
		argv++;
	}
	args_init(&args, command, argc, argv);
	return command->run(&args);
}

int main(int argc, char **argv)
{
	static char line[16384];

	setlocale(LC_CTYPE, "");
	/* A line is one write: what was started may say something at the same time. */
	setvbuf(stderr, line, _IOLBF, sizeof(line));
	if (argc < 2)
		return main_help(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return main_help(stdout);
	if (!strcmp(argv[1], "--version"))
		argv[1] = (char *)"version";
	return dispatch(argc - 1, argv + 1);
}
