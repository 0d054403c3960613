// SPDX-License-Identifier: GPL-2.0
/* A function that calls what nobody has. */
#include <faasctl/function.h>

int what_nobody_has(void);

int faas_main(struct faas_io *io)
{
	return what_nobody_has();
}
