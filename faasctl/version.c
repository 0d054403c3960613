// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl version */
#include "tool.h"

static int run(struct args *args)
{
	while (args_next(args) != -1)
		;
	args_rest(args, 0, 0);
	printf("faasctl %s (ABI %d)\n", FAASIN_VERSION, FAASIN_ABI_VERSION);
	return finish_output();
}

const struct command version_command = {
	.name = "version",
	.run = run,
	.args = "",
	.help = "Print the version",
	.example = "faasctl version",
};
