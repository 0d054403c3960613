// SPDX-License-Identifier: GPL-2.0
/* A function whose constructor crashes. */
#include <faasctl/function.h>

/* Not known to the compiler, which would say so. */
static volatile int *volatile nowhere = (int *)8;

static void __attribute__((constructor)) begin(void)
{
	*nowhere = 1;
}

int faas_main(struct faas_io *io)
{
	return 0;
}
