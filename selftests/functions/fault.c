// SPDX-License-Identifier: GPL-2.0
/* A function that writes something and ends as its argument says: by a fault, or another signal. */
#include <faasctl/function.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Not known to the compiler, which would say so. */
static volatile int *volatile nowhere = (int *)8;
static volatile int zero;

/* Past the end of its file. */
static int beyond(void)
{
	int fd = memfd_create("empty", 0);

	return *(volatile int *)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
}

static int closed_pipe(void)
{
	int ends[2];

	if (pipe(ends))
		return 1;
	close(ends[0]);
	return write(ends[1], "x", 1) == 1;
}

int faas_main(struct faas_io *io)
{
	const char *how = io->argc > 1 ? io->argv[1] : "";

	if (write(io->output, "begun", 5) != 5)
		return 1;
	if (!strcmp(how, "SEGV"))
		return *nowhere;
	if (!strcmp(how, "FPE"))
		return 7 / zero;
	if (!strcmp(how, "ILL"))
		__asm__ volatile("ud2");
	if (!strcmp(how, "BUS"))
		return beyond();
	if (!strcmp(how, "ABRT"))
		abort();
	if (!strcmp(how, "PIPE"))
		return closed_pipe();
	return 2;
}
