// SPDX-License-Identifier: GPL-2.0
/* Every call on an open port of a plain link, failed at each point in turn: see fault.h. */
#include <sys/epoll.h>
#include <sys/sendfile.h>

#include "fault.h"
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

static bool has_pipe(struct try *t)
{
	return fault_opened(t) && !pipe2(t->pipe, O_CLOEXEC) &&
	       write(t->pipe[1], fault_data, SMALL) == SMALL;
}

static bool has_empty_pipe(struct try *t)
{
	return fault_filled(t) && !pipe2(t->pipe, O_CLOEXEC);
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
	       fault_keeps_large(t, result);
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

static bool stream_ended(struct try *t, long result)
{
	struct heard heard = pattern_read(t->in, SMALL, 1);

	return heard.bytes == SMALL && heard.intact && !heard.end;
}

static bool session_ended(struct try *t, long result)
{
	return !read(t->in, fault_back, 1) && fault_closed_early(t, result);
}

static bool stream_aborted(struct try *t, long result)
{
	struct heard heard = pattern_read(t->in, SMALL, 1);

	return heard.bytes == SMALL && heard.intact && heard.end == -ECONNABORTED;
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

static bool has_context(struct try *t)
{
	return fault_filled(t) && !fault_set_context(t);
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

static bool taken(struct try *t)
{
	return fault_filled(t) && read(t->in, fault_back, 1) == 1;
}

FAULT_TESTS

/* The first write registers its process; from then on no memory is needed but for buffers,
 * and the reserved page sees to it that these never are the writer's concern.
 */
OPERATION(write_first, fault_opened, fault_write_small, fault_arrives_together, NOMEM | FAULT);
OPERATION(write, begun, fault_write_small, fault_arrives_together, FAULT);
OPERATION(write_large, begun, fault_write_large, fault_arrives, FAULT);
OPERATION(writev, begun, fault_write_parts, fault_arrives_together, FAULT);
OPERATION(read, fault_filled, fault_read_small, fault_keeps_small, FAULT);
OPERATION(read_large, filled_well, fault_read_large, fault_keeps_large, FAULT);
OPERATION(readv, fault_filled, fault_read_parts, fault_keeps_small, FAULT);
OPERATION(splice_in, has_pipe, fault_splice_in, fault_arrives, NOMEM);
OPERATION(splice_out, has_empty_pipe, fault_splice_out, fault_spliced, NOMEM);
OPERATION(splice_pages_in, has_pages, splice_pages_in, fault_arrives, NOMEM);
OPERATION(splice_pages_out, pages_wait, splice_pages_out, pages_spliced_out, NOMEM);
OPERATION(sendfile, has_file, send_file, fault_arrives, NOMEM);
OPERATION(end_stream, fault_filled, fault_end_stream, stream_ended, 0);
OPERATION(end_session, fault_filled, fault_end_session, session_ended, 0);
OPERATION(abort, fault_filled, fault_abort, stream_aborted, FAULT);
OPERATION(info, fault_filled, ask_info, info_told, FAULT);
OPERATION(set_context, fault_filled, fault_set_context, context_set, FAULT);
OPERATION(get_context, has_context, get_context, context_told, FAULT);
OPERATION(fionread, fault_filled, fault_ask_unread, fault_all_unread, FAULT);
OPERATION(poll, fault_filled, fault_poll, fault_two, NOMEM | FAULT);
OPERATION(select, fault_filled, select_both, fault_two, NOMEM | FAULT);
OPERATION(epoll_add, has_epoll, epoll_add, epoll_tells, NOMEM | FAULT);
/* A close has nobody to tell. */
OPERATION(close_out, fault_filled, fault_close_out, stream_ended, 0);
OPERATION(close_in, taken, fault_close_in, fault_closed_early, 0);

FAULT_MAIN
