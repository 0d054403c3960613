// SPDX-License-Identifier: GPL-2.0
/*
 * A function that reaches for the process that its own came from, and for that one's parent: it
 * returns in how many ways it can, 14 at most.
 */
#include <faasctl/function.h>

#include "reach.h"

int faas_main(struct faas_io *io)
{
	return reach();
}
