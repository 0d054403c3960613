// SPDX-License-Identifier: GPL-2.0
/* A function that prints, and leaves it to others to flush. With an argument, it exits. */
#include <faasctl/function.h>
#include <stdio.h>
#include <stdlib.h>

int faas_main(struct faas_io *io)
{
	printf("printed by %s", io->stage);
	if (io->argc > 1)
		exit(atoi(io->argv[1]));
	return 0;
}
