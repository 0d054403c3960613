// SPDX-License-Identifier: GPL-2.0
/*
 * A function that goes by another one, upper.so, which it loads when it is loaded itself, and
 * lazily: the C library's functions that it calls are to be found when they are called.
 */
#include <dlfcn.h>
#include <faasctl/function.h>
#include <stdio.h>
#include <string.h>

static int (*upper)(struct faas_io *io);

static void __attribute__((constructor)) begin(void)
{
	char path[4096];
	void *handle;
	Dl_info info;

	if (!dladdr((void *)begin, &info))
		return;
	snprintf(path, sizeof(path), "%.*s/upper.so", (int)(strrchr(info.dli_fname, '/') - info.dli_fname),
		 info.dli_fname);
	handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (handle)
		upper = (int (*)(struct faas_io *))dlsym(handle, "faas_main");
}

int faas_main(struct faas_io *io)
{
	return upper ? upper(io) : 9;
}
