// SPDX-License-Identifier: GPL-2.0
/* A function that fails if its static data was used before: by another stage, that is. */
#include <faasctl/function.h>

static int used;

int faas_main(struct faas_io *io)
{
	return used++;
}
