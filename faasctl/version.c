// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl version and faasctl help */
#include "tool.h"

static int version(struct args *args)
{
	while (args_next(args) != -1)
		;
	args_rest(args, 0, 0);
	printf("faasctl %s (ABI %d)\n", FAASIN_VERSION, FAASIN_ABI_VERSION);
	return finish_output();
}

static int help(struct args *args)
{
	const struct command *command;

	while (args_next(args) != -1)
		;
	if (!args_rest(args, 0, 1))
		return main_help(stdout);
	command = main_find(args->argv[0]);
	if (!command)
		usage_error(args->command, "unknown command \"%s\"",
			    args->argv[0]);
	args_help(command, stdout);
	return finish_output();
}

const struct command version_command = {
	.name = "version",
	.run = version,
	.args = "",
	.help = "Print the version",
	.example = "faasctl version",
};

const struct command help_command = {
	.name = "help",
	.run = help,
	.args = "[COMMAND]",
	.help = "List the commands, or explain one",
	.example = "faasctl help link",
};
