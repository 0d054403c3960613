// SPDX-License-Identifier: GPL-2.0
/*
 * A function of which the constructor reaches for others already, and that says so in the file
 * that FAASIN_TEST_MARK names: a line each time, whose it was, and in how many ways it could.
 */
#include <faasctl/function.h>
#include <stdlib.h>

#include "reach.h"

static void mark(const char *who)
{
	int fd = open(getenv("FAASIN_TEST_MARK"), O_WRONLY | O_APPEND | O_CREAT, 0666);

	dprintf(fd, "%s %d\n", who, reach());
	close(fd);
}

static void __attribute__((constructor)) begin(void)
{
	mark("constructor");
}

int faas_main(struct faas_io *io)
{
	mark("function");
	return 0;
}
