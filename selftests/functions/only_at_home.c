// SPDX-License-Identifier: GPL-2.0
/* A function whose constructor ends the process if it is loaded from a copy of its file. */
#include <dlfcn.h>
#include <faasctl/function.h>
#include <string.h>
#include <unistd.h>

static void __attribute__((constructor)) begin(void)
{
	Dl_info info;

	if (!dladdr((void *)begin, &info) || !strncmp(info.dli_fname, "/proc/", 6))
		_exit(5);
}

int faas_main(struct faas_io *io)
{
	return 0;
}
