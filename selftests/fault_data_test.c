// SPDX-License-Identifier: GPL-2.0
/* Every call on an open port, failed at each point in turn: see fault.h. */
#include <sys/epoll.h>
#include <sys/sendfile.h>

#include "fault.h"
#include "window.h"
#include "harness.h"

#define PAGES	(8 * PAGE)	/* what is spliced by reference */

/* ------------------------------------------------------------------- bytes */

/* The stream has begun: one byte went through. */
static bool begun(struct try *t)
{
	char byte;

	return fault_opened(t) && write(t->out, "", 1) == 1 && read(t->in, &byte, 1) == 1;
}

static bool filled_well(struct try *t)
{
	return fault_opened(t) && write(t->out, fault_data, LARGE) == LARGE;
}

static long write_small(struct try *t)
{
	return sys(write(t->out, fault_data, SMALL));
}

static long write_large(struct try *t)
{
	return sys(write(t->out, fault_data, LARGE));
}

static long write_parts(struct try *t)
{
	struct iovec parts[] = {
		{ .iov_base = fault_data, .iov_len = 40 },
		{ .iov_base = fault_data + 40, .iov_len = 0 },
		{ .iov_base = fault_data + 40, .iov_len = SMALL - 40 },
	};

	return sys(writev(t->out, parts, 3));
}

/* What was written arrives, all of it and once. */
static bool arrives(struct try *t, long result)
{
	return result > 0 && read_full(t->in, fault_back, result) == result &&
	       pattern_is(fault_back, result, 1, 0) && sys(read(t->in, fault_back, 1)) == -EAGAIN;
}

static bool arrives_together(struct try *t, long result)
{
	return result == SMALL && arrives(t, result);
}

static long read_small(struct try *t)
{
	memset(fault_back, 0, SMALL);
	return sys(read(t->in, fault_back, SMALL));
}

static long read_large(struct try *t)
{
	memset(fault_back, 0, LARGE);
	return sys(read(t->in, fault_back, LARGE));
}

static long read_parts(struct try *t)
{
	struct iovec parts[] = {
		{ .iov_base = fault_back, .iov_len = 40 },
		{ .iov_base = fault_back + 40, .iov_len = SMALL - 40 },
	};

	memset(fault_back, 0, SMALL);
	return sys(readv(t->in, parts, 2));
}

/* What was read before and what is left are all there was. */
static bool nothing_is_lost_of(struct try *t, long result, long size)
{
	return result > 0 && unread(t->in) == size - result &&
	       (result == size || read_full(t->in, fault_back + result, size - result) == size - result) &&
	       pattern_is(fault_back, size, 1, 0);
}

static bool nothing_is_lost(struct try *t, long result)
{
	return nothing_is_lost_of(t, result, SMALL);
}

static bool nothing_much_is_lost(struct try *t, long result)
{
	return nothing_is_lost_of(t, result, LARGE);
}

static bool has_pipe(struct try *t)
{
	return fault_opened(t) && !pipe2(t->pipe, O_CLOEXEC) &&
	       write(t->pipe[1], fault_data, SMALL) == SMALL;
}

static long splice_in(struct try *t)
{
	return sys(splice(t->pipe[0], NULL, t->out, NULL, SMALL, 0));
}

static bool has_empty_pipe(struct try *t)
{
	return fault_filled(t) && !pipe2(t->pipe, O_CLOEXEC);
}

static long splice_out(struct try *t)
{
	return sys(splice(t->in, NULL, t->pipe[1], NULL, SMALL, 0));
}

static bool spliced_out(struct try *t, long result)
{
	return result > 0 && read_full(t->pipe[0], fault_back, result) == result &&
	       nothing_is_lost(t, result);
}

/* Pages: those of the pipe are moved, but where there is no memory for that. */
static bool has_pages(struct try *t)
{
	return begun(t) && !pipe2(t->pipe, O_CLOEXEC) &&
	       write(t->pipe[1], fault_data, PAGES) == PAGES;
}

static long splice_pages_in(struct try *t)
{
	return sys(splice(t->pipe[0], NULL, t->out, NULL, PAGES, 0));
}

static bool pages_wait(struct try *t)
{
	return filled_well(t) && !pipe2(t->pipe, O_CLOEXEC);
}

static long splice_pages_out(struct try *t)
{
	return sys(splice(t->in, NULL, t->pipe[1], NULL, PAGES, 0));
}

static bool pages_spliced_out(struct try *t, long result)
{
	return result > 0 && read_full(t->pipe[0], fault_back, result) == result &&
	       nothing_is_lost_of(t, result, LARGE);
}

static bool has_file(struct try *t)
{
	t->file = memfd_create("fault", MFD_CLOEXEC);
	return fault_opened(t) && t->file >= 0 && write(t->file, fault_data, SMALL) == SMALL &&
	       !lseek(t->file, 0, SEEK_SET);
}

static long send_file(struct try *t)
{
	return sys(sendfile(t->out, t->file, NULL, SMALL));
}

/* ---------------------------------------------------------------- questions */

static long end_stream(struct try *t)
{
	return sys(ioctl(t->out, FAASIN_IOC_END));
}

static bool stream_ended(struct try *t, long result)
{
	struct heard heard = pattern_read(t->in, SMALL, 1);

	return heard.bytes == SMALL && heard.intact && !heard.end;
}

static long end_session(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_END));
}

static bool session_ended(struct try *t, long result)
{
	return !read(t->in, fault_back, 1) && sys(write(t->out, fault_data, 1)) == -EPIPE;
}

static long abort_stream(struct try *t)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_SIGNAL, .code = 9, .pid = getpid() };

	return sys(ioctl(t->out, FAASIN_IOC_ABORT, &abort));
}

static bool stream_aborted(struct try *t, long result)
{
	struct heard heard = pattern_read(t->in, SMALL, 1);

	return heard.bytes == SMALL && heard.intact && heard.end == -ECONNABORTED;
}

/* Of a window: all of these leave what was allocated, sent and taken as it was. */
static long map(struct try *t)
{
	return window_try_map(t->in, PAGE, PROT_READ, MAP_SHARED, 0);
}

static struct faasin_range range;
static uint8_t *window;

static bool has_window(struct try *t)
{
	if (!fault_linked(t))
		return false;
	t->out = world_open(&t->w, "a", FAASIN_PORT_OUT, O_RDWR);
	t->in = world_open(&t->w, "b", FAASIN_PORT_IN, O_RDONLY | O_NONBLOCK);
	window = window_map(t->out, PROT_READ | PROT_WRITE);
	range = (struct faasin_range){ .length = SMALL };
	return t->out >= 0 && t->in >= 0 && (void *)window != MAP_FAILED;
}

static long allocate(struct try *t)
{
	range = (struct faasin_range){ .length = SMALL };
	return sys(ioctl(t->out, FAASIN_IOC_ALLOC, &range));
}

/* It is the only one, and can be filled and sent. */
static bool allocated(struct try *t, long result)
{
	pattern_fill(window + range.offset, SMALL, 1, 0);
	return !range.offset && !window_send(t->out, 0, SMALL) && arrives(t, SMALL);
}

static bool has_extent(struct try *t)
{
	return has_window(t) && !allocate(t);
}

static bool has_untouched(struct try *t)
{
	t->file = memfd_create("fault", MFD_CLOEXEC);
	return t->file >= 0 && pwrite(t->file, fault_data, SMALL, 0) == SMALL && has_extent(t);
}

/* The first touch, which makes page tables: by a system call, that says what happened. */
static long fault_in(struct try *t)
{
	return sys(pread(t->file, window + range.offset, SMALL, 0));
}

static bool faulted_in(struct try *t, long result)
{
	return result > 0 && pattern_is(window + range.offset, result, 1, 0);
}

static bool has_filled(struct try *t)
{
	if (!has_extent(t))
		return false;
	pattern_fill(window + range.offset, SMALL, 1, 0);
	return true;
}

static long hand_off(struct try *t)
{
	return window_send(t->out, range.offset, SMALL);
}

static bool handed_off(struct try *t, long result)
{
	return window_peek(window + range.offset) == -SIGBUS && arrives(t, SMALL);
}

static bool has_sent(struct try *t)
{
	return has_filled(t) && !hand_off(t);
}

static long take_record(struct try *t)
{
	return window_take(t->in, &range);
}

/* Once, and nothing else is there. */
static bool record_taken(struct try *t, long result)
{
	return result == 1 && range.length == SMALL && !window_return(t->in, range.offset) &&
	       sys(read(t->in, fault_back, 1)) == -EAGAIN;
}

static bool has_taken(struct try *t)
{
	return has_sent(t) && window_take(t->in, &range) == 1;
}

static long return_record(struct try *t)
{
	return window_return(t->in, range.offset);
}

static bool record_returned(struct try *t, long result)
{
	return window_return(t->in, range.offset) == -EACCES && !allocate(t) && !range.offset;
}

/* An end of a lane. */
static bool has_trusted(struct try *t)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;
	struct faasctl *ctl;
	int error = faasctl_open(&ctl, NULL);

	if (error)
		return false;
	options.flags = FAASCTL_TRUSTED;
	error = faasctl_link_add(ctl, t->w.wf, "a", "b", &options, NULL);
	faasctl_close(ctl);
	t->out = world_open(&t->w, "a", FAASIN_PORT_OUT, O_RDWR);
	return !error && t->out >= 0;
}

static long have_lane(struct try *t)
{
	t->file = sys(ioctl(t->out, FAASIN_IOC_LANE));
	return t->file;
}

static bool lane_is_had(struct try *t, long result)
{
	return result >= 0 && ioctl(t->out, FAASIN_IOC_LANE) < 0 && errno == EBUSY &&
	       !window_try_map(t->file, PAGE, PROT_READ, MAP_SHARED, 0);
}

static struct faasin_window_info window_told;

static long ask_window(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_WINDOW, &window_told));
}

static bool window_is_told(struct try *t, long result)
{
	return window_told.size == MIB - PAGE;
}

static bool all_is_unread(struct try *t, long result)
{
	return unread(t->in) == SMALL;
}

static struct faasin_port_info info;

static long ask_info(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_INFO, &info));
}

static bool info_told(struct try *t, long result)
{
	return info.abi == FAASIN_ABI_VERSION && info.stream == 1 && info.unread == SMALL;
}

static long set_context(struct try *t)
{
	struct faasin_context c = { .length = 2, .data = "of" };

	return sys(ioctl(t->out, FAASIN_IOC_SET_CONTEXT, &c));
}

static bool has_context(struct try *t)
{
	return fault_filled(t) && !set_context(t);
}

static struct faasin_context context;

static long get_context(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_GET_CONTEXT, &context));
}

static bool context_told(struct try *t, long result)
{
	return context.length == 2 && !strcmp((const char *)context.data, "of");
}

static bool context_set(struct try *t, long result)
{
	return !get_context(t) && context_told(t, result);
}

static long ask_unread(struct try *t)
{
	return unread(t->in);
}

static bool all_of_it(struct try *t, long result)
{
	return result == SMALL;
}

static long poll_both(struct try *t)
{
	struct pollfd fds[] = {
		{ .fd = t->in, .events = POLLIN },
		{ .fd = t->out, .events = POLLOUT },
	};

	return sys(poll(fds, 2, 0));
}

static long select_both(struct try *t)
{
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(t->in, &in);
	FD_SET(t->out, &out);
	return sys(select((t->in > t->out ? t->in : t->out) + 1, &in, &out, NULL,
			  &(struct timeval){ 0 }));
}

static bool has_epoll(struct try *t)
{
	t->file = epoll_create1(EPOLL_CLOEXEC);
	return fault_filled(t) && t->file >= 0;
}

static long epoll_add(struct try *t)
{
	struct epoll_event event = { .events = EPOLLIN };

	return sys(epoll_ctl(t->file, EPOLL_CTL_ADD, t->in, &event));
}

static bool epoll_tells(struct try *t, long result)
{
	struct epoll_event event = { 0 };

	return epoll_wait(t->file, &event, 1, 0) == 1 && event.events == EPOLLIN;
}

/* ------------------------------------------------------------------ closing */

static long close_out(struct try *t)
{
	long result = sys(close(t->out));

	t->out = -1;
	return result;
}

static bool taken(struct try *t)
{
	return fault_filled(t) && read(t->in, fault_back, 1) == 1;
}

static long close_in(struct try *t)
{
	long result = sys(close(t->in));

	t->in = -1;
	return result;
}

static bool closed_early(struct try *t, long result)
{
	return sys(write(t->out, fault_data, 1)) == -EPIPE;
}

FAULT_TESTS

/* The first write registers its process; from then on no memory is needed but for buffers,
 * and the reserved page sees to it that these never are the writer's concern.
 */
OPERATION(write_first, fault_opened, write_small, arrives_together, NOMEM | FAULT);
OPERATION(write, begun, write_small, arrives_together, FAULT);
OPERATION(write_large, begun, write_large, arrives, FAULT);
OPERATION(writev, begun, write_parts, arrives_together, FAULT);
OPERATION(read, fault_filled, read_small, nothing_is_lost, FAULT);
OPERATION(read_large, filled_well, read_large, nothing_much_is_lost, FAULT);
OPERATION(readv, fault_filled, read_parts, nothing_is_lost, FAULT);
OPERATION(splice_in, has_pipe, splice_in, arrives, NOMEM);
OPERATION(splice_out, has_empty_pipe, splice_out, spliced_out, NOMEM);
OPERATION(splice_pages_in, has_pages, splice_pages_in, arrives, NOMEM);
OPERATION(splice_pages_out, pages_wait, splice_pages_out, pages_spliced_out, NOMEM);
OPERATION(sendfile, has_file, send_file, arrives, NOMEM);
OPERATION(mmap, fault_filled, map, all_is_unread, NOMEM);
OPERATION(window_info, fault_filled, ask_window, window_is_told, FAULT);
OPERATION(window_alloc, has_window, allocate, allocated, NOMEM | FAULT);
OPERATION(window_fault, has_untouched, fault_in, faulted_in, NOMEM | FAULT);
OPERATION(window_send, has_filled, hand_off, handed_off, NOMEM | FAULT);
OPERATION(window_take, has_sent, take_record, record_taken, NOMEM | FAULT);
OPERATION(window_take_written, fault_filled, take_record, record_taken, NOMEM | FAULT);
OPERATION(window_return, has_taken, return_record, record_returned, NOMEM | FAULT);
OPERATION(lane, has_trusted, have_lane, lane_is_had, NOMEM);
OPERATION(end_stream, fault_filled, end_stream, stream_ended, 0);
OPERATION(end_session, fault_filled, end_session, session_ended, 0);
OPERATION(abort, fault_filled, abort_stream, stream_aborted, FAULT);
OPERATION(info, fault_filled, ask_info, info_told, FAULT);
OPERATION(set_context, fault_filled, set_context, context_set, FAULT);
OPERATION(get_context, has_context, get_context, context_told, FAULT);
OPERATION(fionread, fault_filled, ask_unread, all_of_it, FAULT);
OPERATION(poll, fault_filled, poll_both, fault_two, NOMEM | FAULT);
OPERATION(select, fault_filled, select_both, fault_two, NOMEM | FAULT);
OPERATION(epoll_add, has_epoll, epoll_add, epoll_tells, NOMEM | FAULT);
/* A close has nobody to tell. */
OPERATION(close_out, fault_filled, close_out, stream_ended, 0);
OPERATION(close_in, taken, close_in, closed_early, 0);

FAULT_MAIN
