// SPDX-License-Identifier: GPL-2.0
/* A function that writes what the variable is that its argument names, or "none". */
#include <faasctl/function.h>
#include <stdio.h>
#include <stdlib.h>

int faas_main(struct faas_io *io)
{
	const char *value = getenv(io->argv[1]);

	return dprintf(io->output, "%s\n", value ? value : "none") < 0;
}
