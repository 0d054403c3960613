// SPDX-License-Identifier: LGPL-2.1-or-later
/* Windows of ports: addresses instead of offsets. */
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "internal.h"

/**
 * struct faasctl_window - a port that is mapped
 * @fd: the port
 * @base: where offset 0 is
 * @size: what can be allocated
 * @mapped: bytes
 */
struct faasctl_window {
	int fd;
	char *base;
	size_t size;
	size_t mapped;
};

/* The answer of a call on the port, with what it means in words. */
static int refuse(struct faasctl_error *err, int code)
{
	static const struct {
		int code;
		const char *text;
	} all[] = {
		{ ENOTTY, "not a port of a workflow: open faasin or faasout" },
		{ EBADF, "outputs allocate and send, inputs receive: this is the other one" },
		{ EPIPE, "the stream is over: ended, aborted, unlinked, or its reader closed" },
		{ ECONNABORTED, "the stream was aborted" },
		{ EACCES, "not this descriptor's: not had here, or sent or released since" },
		{ ERANGE, "a part is longer than what was allocated" },
		{ EMSGSIZE, "the record is too large: for the window, or for so few parts" },
		{ EBUSY, "what was written and received before has to be released first" },
		{ ENOSPC, "this end of the link has no windows left: close some" },
		{ EAGAIN, "nothing is there yet: poll the port" },
		{ EUSERS, "too many processes write to the stream" },
		{ ESTALE, "the stage was replaced: others have its streams now" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].code == code)
			return faasctl__fail(err, code, "window: %s", all[i].text);
	return faasctl__fail_errno(err, code, "window");
}

/*
 * Maps all of a window. Its size may change until it is mapped, so it is asked again then.
 * Returns 0 or an errno.
 */
static int map_all(struct faasctl_window *win, int prot)
{
	struct faasin_window_info info, now;
	int failed;

	for (;;) {
		if (ioctl(win->fd, FAASIN_IOC_WINDOW, &info))
			return errno;
		win->size = info.size;
		win->mapped = info.size + info.landing;
		win->base = mmap(NULL, win->mapped, prot, MAP_SHARED, win->fd, 0);
		failed = win->base == MAP_FAILED ? errno : 0;
		if (!ioctl(win->fd, FAASIN_IOC_WINDOW, &now) && now.size == info.size &&
		    now.landing == info.landing)
			return failed;
		if (!failed)
			munmap(win->base, win->mapped);
	}
}

FAASCTL_API int faasctl_window_open(struct faasctl_window **out, int fd, struct faasctl_error *err)
{
	struct faasin_port_info port;
	struct faasctl_window *win;
	int prot = PROT_READ, code;

	*out = NULL;
	if (ioctl(fd, FAASIN_IOC_INFO, &port))
		return refuse(err, errno == EBADF ? ENOTTY : errno);
	win = calloc(1, sizeof(*win));
	if (!win)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (port.flags & FAASIN_INFO_OUTPUT)
		prot |= PROT_WRITE;
	win->fd = fd;
	code = map_all(win, prot);
	if (code) {
		free(win);
		if (code == EINVAL)
			return faasctl__fail(err, EINVAL,
				"window: the link has a capacity of one page: link it with more");
		if (code == EACCES)
			return faasctl__fail(err, EACCES,
				"window: the port is not open for reading: open an output O_RDWR");
		return refuse(err, code);
	}
	*out = win;
	return 0;
}

FAASCTL_API void faasctl_window_close(struct faasctl_window *win)
{
	if (!win)
		return;
	munmap(win->base, win->mapped);
	free(win);
}

FAASCTL_API size_t faasctl_window_size(const struct faasctl_window *win)
{
	return win->size;
}

FAASCTL_API int faasctl_window_alloc(struct faasctl_window *win, size_t size, void **at,
				     struct faasctl_error *err)
{
	struct faasin_range range = { .length = size };

	if (ioctl(win->fd, FAASIN_IOC_ALLOC, &range))
		return refuse(err, errno);
	*at = win->base + range.offset;
	return 0;
}

/* A call with @parts. */
static int pass(struct faasctl_window *win, unsigned long call, const struct iovec *parts,
		size_t n, struct faasctl_error *err)
{
	struct faasin_range ranges[FAASIN_RANGES_MAX];
	struct faasin_ranges arg = { .ranges = (uintptr_t)ranges, .count = n };
	size_t i;

	if (!n || n > FAASIN_RANGES_MAX)
		return faasctl__fail(err, EINVAL, "window: a record has 1 to %d parts",
				     FAASIN_RANGES_MAX);
	for (i = 0; i < n; i++) {
		/* What lies before the window is behind its end, too. */
		ranges[i].offset = (uintptr_t)parts[i].iov_base - (uintptr_t)win->base;
		ranges[i].length = parts[i].iov_len;
	}
	return ioctl(win->fd, call, &arg) ? refuse(err, errno) : 0;
}

FAASCTL_API int faasctl_window_send(struct faasctl_window *win, const struct iovec *parts,
				    size_t n, struct faasctl_error *err)
{
	return pass(win, FAASIN_IOC_SEND, parts, n, err);
}

FAASCTL_API int faasctl_window_release(struct faasctl_window *win, const struct iovec *parts,
				       size_t n, struct faasctl_error *err)
{
	return pass(win, FAASIN_IOC_RETURN, parts, n, err);
}

FAASCTL_API int faasctl_window_receive(struct faasctl_window *win, struct iovec *parts,
				       size_t n, struct faasctl_error *err)
{
	struct faasin_range ranges[FAASIN_RANGES_MAX];
	struct faasin_ranges arg = { .ranges = (uintptr_t)ranges, .count = n };
	int got, i;

	if (!n || n > FAASIN_RANGES_MAX)
		return faasctl__fail(err, EINVAL, "window: make room for 1 to %d parts",
				     FAASIN_RANGES_MAX);
	got = ioctl(win->fd, FAASIN_IOC_TAKE, &arg);
	if (got < 0)
		return refuse(err, errno);
	for (i = 0; i < got; i++) {
		parts[i].iov_base = win->base + ranges[i].offset;
		parts[i].iov_len = ranges[i].length;
	}
	return got;
}
