// SPDX-License-Identifier: GPL-2.0
/*
 * A function that opens what its process has open anew: it returns how many ports of others it has
 * then.
 */
#include <fcntl.h>
#include <faasctl/function.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

static int opens(int number, int flags, const struct faas_io *io)
{
	struct statfs own, other;
	char path[40];
	int fd, is_port;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
	fd = open(path, flags | O_NONBLOCK);
	if (fd < 0)
		return 0;
	is_port = !fstatfs(io->output, &own) && !fstatfs(fd, &other) && own.f_type == other.f_type;
	close(fd);
	return is_port;
}

int faas_main(struct faas_io *io)
{
	int number, n = 0;

	for (number = 0; number < 200; number++)
		if (number != io->output && number != io->input)
			n += opens(number, O_RDONLY, io) + opens(number, O_WRONLY, io);
	return n;
}
