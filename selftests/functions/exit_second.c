// SPDX-License-Identifier: GPL-2.0
/*
 * A function of which the constructor ends the process when it runs for the second time, after the
 * trial, as the file tells that FAASIN_TEST_MARK names.
 */
#include <faasctl/function.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void __attribute__((constructor)) begin(void)
{
	int fd = open(getenv("FAASIN_TEST_MARK"), O_WRONLY | O_CREAT | O_EXCL, 0666);

	if (fd < 0)
		_exit(5);
	close(fd);
}

int faas_main(struct faas_io *io)
{
	return 0;
}
