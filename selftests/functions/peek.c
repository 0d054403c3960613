// SPDX-License-Identifier: GPL-2.0
/*
 * A function that looks for ports of others among its descriptors: it returns how many there are,
 * or 100 if it has not even its own.
 */
#include <faasctl/function.h>
#include <sys/vfs.h>
#include <unistd.h>

int faas_main(struct faas_io *io)
{
	struct statfs own, other;
	int fd, n = 0;

	if (fstatfs(io->output, &own))
		return 100;
	for (fd = 0; fd < 256; fd++)
		if (fd != io->output && !fstatfs(fd, &other) && other.f_type == own.f_type)
			n++;
	return n;
}
