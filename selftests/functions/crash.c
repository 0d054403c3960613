// SPDX-License-Identifier: GPL-2.0
/* A function that writes something and crashes. */
#include <faasctl/function.h>
#include <unistd.h>

/* Not known to the compiler, which would say so. */
static volatile int *volatile nowhere = (int *)8;

int faas_main(struct faas_io *io)
{
	if (write(io->output, "begun", 5) != 5)
		return 1;
	return *nowhere;
}
