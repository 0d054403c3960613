// SPDX-License-Identifier: GPL-2.0
/* A function that gives itself all keys. */
#include <faasctl/function.h>

int faas_main(struct faas_io *io)
{
	__asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
	return 0;
}
