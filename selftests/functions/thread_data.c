// SPDX-License-Identifier: GPL-2.0
/* A function with data of each thread's own, more than programs have room for from the start. */
#include <faasctl/function.h>

static __thread int counts[20000];

int faas_main(struct faas_io *io)
{
	return ++counts[19999];
}
