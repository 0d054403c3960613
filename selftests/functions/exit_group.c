// SPDX-License-Identifier: GPL-2.0
/* A function that ends the process that it is in, as if all was well, when its argument is a file. */
#include <faasctl/function.h>
#include <sys/syscall.h>
#include <unistd.h>

int faas_main(struct faas_io *io)
{
	while (access(io->argv[1], F_OK))
		usleep(10000);
	return syscall(SYS_exit_group, 0);
}
