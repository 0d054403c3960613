// SPDX-License-Identifier: GPL-2.0
/* A function that crashes in the middle of printing, with the lock of standard output. */
#include <faasctl/function.h>
#include <stdio.h>

/* Not known to the compiler, which would say so. */
static const char *volatile nowhere = (const char *)8;

int faas_main(struct faas_io *io)
{
	return printf("begun by %s, %s\n", io->stage, nowhere) < 0;
}
