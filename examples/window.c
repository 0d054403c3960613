// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file from stage to stage without copying it between them: in one stage
 * `window send <file`, in the other `window receive >file`. The link needs room:
 * faasctl link --capacity 8M WORKFLOW STAGE STAGE.
 */
#include <errno.h>
#include <faasctl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int complain(const char *what)
{
	fprintf(stderr, "window: %s\n", what);
	return 1;
}

/* The kernel reads the file straight into the window. */
static int send_file(struct faasctl_window *win)
{
	size_t size = faasctl_window_size(win) / 4;
	struct faasctl_error err;
	struct iovec part;
	ssize_t n;

	for (;;) {
		if (faasctl_window_alloc(win, size, &part.iov_base, &err))
			return complain(err.message);
		n = read(0, part.iov_base, size);
		if (n < 0)
			return complain(strerror(errno));
		if (!n)
			return 0;
		part.iov_len = n;
		if (faasctl_window_send(win, &part, 1, &err))
			return complain(err.message);
	}
}

static int receive_file(struct faasctl_window *win)
{
	struct faasctl_error err;
	struct iovec part;
	size_t done;
	ssize_t n;
	int ret;

	while ((ret = faasctl_window_receive(win, &part, 1, &err)) > 0) {
		for (done = 0; done < part.iov_len; done += n) {
			n = write(1, (char *)part.iov_base + done, part.iov_len - done);
			if (n < 0)
				return complain(strerror(errno));
		}
		if (faasctl_window_release(win, &part, 1, &err))
			return complain(err.message);
	}
	return ret ? complain(err.message) : 0;
}

int main(int argc, char **argv)
{
	int sends = argc == 2 && !strcmp(argv[1], "send");
	const char *path = getenv(sends ? "FAASOUT" : "FAASIN");
	struct faasctl_window *win;
	struct faasctl_error err;
	int fd, ret;

	if (argc != 2 || (!sends && strcmp(argv[1], "receive"))) {
		fputs("Usage: window send|receive\n", stderr);
		return 1;
	}
	if (!path)
		path = sends ? "/sys/fs/faasin/self/faasout" : "/sys/fs/faasin/self/faasin";
	fd = open(path, sends ? O_RDWR : O_RDONLY);
	if (fd < 0) {
		fprintf(stderr, "window: %s: %s\n", path, strerror(errno));
		return 1;
	}
	if (faasctl_window_open(&win, fd, &err))
		return complain(err.message);
	ret = sends ? send_file(win) : receive_file(win);
	faasctl_window_close(win);
	close(fd);
	return ret;
}
