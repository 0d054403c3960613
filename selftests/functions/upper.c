// SPDX-License-Identifier: GPL-2.0
/* A function: copies its input to its output in capitals, by way of its heap. */
#include <ctype.h>
#include <faasctl/function.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int faas_main(struct faas_io *io)
{
	size_t size = 65536;
	char *buffer = malloc(size);
	ssize_t n, i;

	if (!buffer || io->size < sizeof(*io) || !strlen(io->stage))
		return 2;
	while ((n = read(io->input, buffer, size)) > 0) {
		for (i = 0; i < n; i++)
			buffer[i] = toupper((unsigned char)buffer[i]);
		if (write(io->output, buffer, n) != n)
			return 3;
	}
	free(buffer);
	/* Its first argument, if any, is its status. */
	return n ? 4 : io->argc > 1 ? atoi(io->argv[1]) : 0;
}
