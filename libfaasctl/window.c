// SPDX-License-Identifier: LGPL-2.1-or-later
/* Windows of ports: addresses instead of offsets. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "lane_internal.h"

/**
 * struct faasctl_window - a port that is mapped
 * @fd: the port
 * @base: where offset 0 is
 * @size: what can be allocated
 * @mapped: bytes
 * @lock: of the lane, among threads
 * @lane: how extents are passed on without calls, on a trusted link
 */
struct faasctl_window {
	int fd;
	char *base;
	size_t size;
	size_t mapped;
	pthread_mutex_t lock;
	struct faasctl__lane lane;
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
		{ EMSGSIZE, "the record is too large for the window" },
		{ EBUSY, "what was written and received before has to be released first" },
		{ ENOSPC, "this end of the link, or the workflow, has no window left: close some" },
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
static int map_all(struct faasctl_window *win, int prot, bool *trusted)
{
	struct faasin_window_info info, now;
	int failed;

	for (;;) {
		if (ioctl(win->fd, FAASIN_IOC_WINDOW, &info))
			return errno;
		win->size = info.size;
		win->mapped = info.size + info.landing;
		*trusted = info.flags & FAASIN_WINDOW_TRUSTED;
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
	bool trusted = false;

	*out = NULL;
	if (ioctl(fd, FAASIN_IOC_INFO, &port))
		return refuse(err, errno == EBADF ? ENOTTY : errno);
	win = calloc(1, sizeof(*win));
	if (!win)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (port.flags & FAASIN_INFO_OUTPUT)
		prot |= PROT_WRITE;
	win->fd = fd;
	code = map_all(win, prot, &trusted);
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
	pthread_mutex_init(&win->lock, NULL);
	faasctl__lane_init(&win->lane, fd, prot & PROT_WRITE, win->size, trusted);
	*out = win;
	return 0;
}

FAASCTL_API void faasctl_window_close(struct faasctl_window *win)
{
	if (!win)
		return;
	faasctl__lane_close(&win->lane);
	pthread_mutex_destroy(&win->lock);
	munmap(win->base, win->mapped);
	free(win);
}

FAASCTL_API size_t faasctl_window_size(const struct faasctl_window *win)
{
	return win->size;
}

/*
 * Whether the lane did it; with the lock, which is a no-op for who has no other thread. A child has
 * no lane, and a lock that a thread of its parent may have held, which nobody lets go.
 */
#define BY_LANE(win, call)				\
({							\
	bool done = faasctl__lane_here(&(win)->lane);	\
							\
	if (done) {					\
		pthread_mutex_lock(&(win)->lock);	\
		done = call;				\
		pthread_mutex_unlock(&(win)->lock);	\
	}						\
	done;						\
})

static bool had_all(struct faasctl_window *win, const struct faasin_range *ranges, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		faasctl__lane_had(&win->lane, ranges[i].offset, ranges[i].length);
	return true;
}

static bool has_again(struct faasctl_window *win, const struct faasin_range *ranges, size_t n)
{
	faasctl__lane_regain(&win->lane, ranges, n);
	return true;
}

FAASCTL_API int faasctl_window_alloc(struct faasctl_window *win, size_t size, void **at,
				     struct faasctl_error *err)
{
	struct faasin_range range;
	bool waits;
	int code;

	for (;;) {
		if (BY_LANE(win, faasctl__lane_alloc(&win->lane, size, &range.offset)))
			break;
		/* With a lane, it may come by that, which is waited for here. */
		waits = BY_LANE(win, faasctl__lane_waits(&win->lane));
		range = (struct faasin_range){ waits ? FAASIN_ALLOC_LANE : 0, size };
		if (!ioctl(win->fd, FAASIN_IOC_ALLOC, &range)) {
			BY_LANE(win, had_all(win, &range, 1));
			break;
		}
		code = errno;
		if (code != EAGAIN || !waits || fcntl(win->fd, F_GETFL) & O_NONBLOCK)
			return refuse(err, code);
		if (ioctl(win->fd, FAASIN_IOC_LANE_WAIT))
			return refuse(err, errno);
	}
	*at = win->base + range.offset;
	return 0;
}

/**
 * struct passing - a call with parts
 * @call: ioctl
 * @by_lane: the same without a call, or NULL
 */
struct passing {
	unsigned long call;
	bool (*by_lane)(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n);
};

/* A call with @parts. */
static int pass(struct faasctl_window *win, const struct passing *p, const struct iovec *parts,
		size_t n, struct faasctl_error *err)
{
	struct faasin_range ranges[FAASIN_RANGES_MAX];
	struct faasin_ranges arg = { .ranges = (uintptr_t)ranges, .count = n };
	bool lost;
	size_t i;
	int code;

	if (!n || n > FAASIN_RANGES_MAX)
		return faasctl__fail(err, EINVAL, "window: a record has 1 to %d parts",
				     FAASIN_RANGES_MAX);
	for (i = 0; i < n; i++) {
		/* What lies before the window is behind its end, too. */
		ranges[i].offset = (uintptr_t)parts[i].iov_base - (uintptr_t)win->base;
		ranges[i].length = parts[i].iov_len;
	}
	if (p->by_lane && BY_LANE(win, p->by_lane(&win->lane, ranges, n)))
		return 0;
	/* Before: by the time that the call is done they may be here again. */
	lost = BY_LANE(win, faasctl__lane_lose(&win->lane, ranges, n));
	if (!ioctl(win->fd, p->call, &arg))
		return 0;
	code = errno;
	if (lost)
		BY_LANE(win, has_again(win, ranges, n));
	return refuse(err, code);
}

FAASCTL_API int faasctl_window_send(struct faasctl_window *win, const struct iovec *parts,
				    size_t n, struct faasctl_error *err)
{
	static const struct passing send = { FAASIN_IOC_SEND, faasctl__lane_send };

	return pass(win, &send, parts, n, err);
}

FAASCTL_API int faasctl_window_release(struct faasctl_window *win, const struct iovec *parts,
				       size_t n, struct faasctl_error *err)
{
	static const struct passing release = { FAASIN_IOC_RETURN, faasctl__lane_release };

	/* A producer's goes to nobody else. */
	return pass(win, win->lane.output ? &(struct passing){ FAASIN_IOC_RETURN, NULL } : &release,
		    parts, n, err);
}

/*
 * A record by the lane, if there is one, waiting for it: its ranges; 0 if the next one is to be
 * had by a call; or < 0, with errno.
 */
static int take_by_lane(struct faasctl_window *win, struct faasin_range *ranges, size_t n)
{
	bool waits;
	int got;

	if (!faasctl__lane_here(&win->lane))
		return 0;
	for (;;) {
		pthread_mutex_lock(&win->lock);
		got = win->lane.output ? 0 : faasctl__lane_receive(&win->lane, ranges, n);
		waits = !win->lane.output && faasctl__lane_waits(&win->lane);
		pthread_mutex_unlock(&win->lock);
		if (got == -EMSGSIZE) {
			errno = EMSGSIZE;
			return -1;
		}
		if (got || !waits)
			return got;
		if (ioctl(win->fd, FAASIN_IOC_LANE_WAIT))
			return -1;
		if (!BY_LANE(win, faasctl__lane_ready(&win->lane)))
			return 0;
	}
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
	got = take_by_lane(win, ranges, n);
	if (!got) {
		got = ioctl(win->fd, FAASIN_IOC_TAKE, &arg);
		if (got > 0)
			BY_LANE(win, had_all(win, ranges, got));
	}
	if (got < 0 && errno == EMSGSIZE)
		return faasctl__fail(err, EMSGSIZE,
			"window: the record has more parts than there is room for, or was written and is too long to land: read() it");
	if (got < 0)
		return refuse(err, errno);
	for (i = 0; i < got; i++) {
		parts[i].iov_base = win->base + ranges[i].offset;
		parts[i].iov_len = ranges[i].length;
	}
	return got;
}
