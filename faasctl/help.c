// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl help */
#include "tool.h"

static int run(struct args *args)
{
	const struct command *command;
	int n;

	while (args_next(args) != -1)
		;
	n = args_rest(args, 0, 2);
	if (!n)
		return main_help(stdout);
	command = main_find(args->argv[0], n == 2 ? args->argv[1] : NULL);
	if (!command)
		usage_error(args->command, "unknown command \"%s%s%s\"",
			    args->argv[0], n == 2 ? " " : "",
			    n == 2 ? args->argv[1] : "");
	args_help(command, stdout);
	return finish_output();
}

const struct command help_command = {
	.name = "help",
	.run = run,
	.args = "[COMMAND [COMMAND]]",
	.help = "List the commands, or explain one",
	.example = "faasctl help stage add",
};
