// SPDX-License-Identifier: GPL-2.0
/*
 * Every call on links with records, on outputs of several links, dealt or not, and on inputs of
 * several, merged or not, failed at each point in turn: see fault.h.
 */
#include "fault.h"
#include "harness.h"

#define FIRST	40		/* bytes of the first of two records */

static struct faasctl_link_options links_with(unsigned int flags, uint32_t merge)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.flags = flags;
	options.merge = merge;
	return options;
}

static bool link_with(struct try *t, const char *src, const char *dst, unsigned int flags,
		      uint32_t merge)
{
	struct faasctl_link_options options = links_with(flags, merge);

	return fault_more_stages(t) && fault_link(t, src, dst, &options) &&
	       fault_open_ends(t, O_RDWR) && !fcntl(t->out, F_SETFL, 0);
}

static bool with_pipe(struct try *t)
{
	return !pipe2(t->pipe, O_CLOEXEC);
}

/* --------------------------------------------------------------- a plain link */

static bool has_records(struct try *t)
{
	return link_with(t, "a", "b", FAASCTL_RECORDS, FAASCTL_UNSET);
}

/* One went through. */
static bool has_begun(struct try *t)
{
	return has_records(t) && write(t->out, "", 1) == 1 && read(t->in, fault_back, 1) == 1;
}

static bool has_record(struct try *t)
{
	return has_records(t) && fault_write_small(t) == SMALL;
}

static bool has_large_record(struct try *t)
{
	return has_records(t) && fault_write_large(t) == LARGE;
}

static bool has_record_and_pipe(struct try *t)
{
	return has_record(t) && with_pipe(t);
}

/* All of it or nothing. */
static bool arrives_large(struct try *t, long result)
{
	return result == LARGE && fault_arrives(t, result);
}

/* As a record: a call that has room for more gets just it. */
static bool arrives_as_one(struct try *t, long result)
{
	return result == SMALL && read(t->in, fault_back, LARGE) == SMALL &&
	       pattern_is(fault_back, SMALL, 1, 0) && sys(read(t->in, fault_back, 1)) == -EAGAIN;
}

/* There is room for a part of it, and the next call gets the rest. */
static long read_part(struct try *t)
{
	memset(fault_back, 0, SMALL);
	return sys(read(t->in, fault_back, FIRST));
}

static bool rest_is_there(struct try *t, long result)
{
	return result == FIRST && port_info(t->in).record == SMALL - FIRST &&
	       fault_keeps_small(t, result);
}

static struct faasin_port_info info;

static long ask_info(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_INFO, &info));
}

static bool record_is_told(struct try *t, long result)
{
	return info.flags & FAASIN_INFO_RECORDS && info.record == SMALL && info.unread == SMALL;
}

/* ---------------------------------------------------- an output of several links */

static int others[2] = { -1, -1 };	/* inputs of c and x */

static bool open_others(struct try *t)
{
	others[0] = world_open(&t->w, "c", FAASIN_PORT_IN, O_RDONLY);
	others[1] = world_open(&t->w, "x", FAASIN_PORT_IN, O_RDONLY);
	return others[0] >= 0 && others[1] >= 0;
}

static bool has_shared(struct try *t)
{
	return link_with(t, "a", "b,c,x", 0, FAASCTL_UNSET) && open_others(t);
}

static bool has_shared_and_pipe(struct try *t)
{
	return has_shared(t) && with_pipe(t) && write(t->pipe[1], fault_data, SMALL) == SMALL;
}

/* One byte went to each. */
static bool shared_has_begun(struct try *t)
{
	return has_shared(t) && write(t->out, "", 1) == 1 && read(t->in, fault_back, 1) == 1 &&
	       read(others[0], fault_back, 1) == 1 && read(others[1], fault_back, 1) == 1;
}

static bool arrives_at(struct try *t, int in, long result)
{
	bool arrives;
	int was = t->in;

	t->in = in;
	arrives = fault_arrives(t, result);
	t->in = was;
	return arrives;
}

static bool arrives_at_all(struct try *t, long result)
{
	return fault_arrives(t, result) && arrives_at(t, others[0], result) &&
	       arrives_at(t, others[1], result);
}

static bool waits_for_all(struct try *t)
{
	return has_shared(t) && fault_write_small(t) == SMALL;
}

/* It was read here, and the others have all of it. */
static bool others_keep(struct try *t, long result)
{
	return fault_keeps_small(t, result) && arrives_at(t, others[0], SMALL) &&
	       arrives_at(t, others[1], SMALL);
}

static bool waits_for_all_and_pipe(struct try *t)
{
	return waits_for_all(t) && with_pipe(t);
}

static bool spliced_and_kept(struct try *t, long result)
{
	return fault_spliced(t, result) && arrives_at(t, others[0], SMALL);
}

/* ------------------------------------------------------------------ dealt records */

static bool has_dealt(struct try *t)
{
	return link_with(t, "a", "b,c,x", FAASCTL_RECORDS | FAASCTL_DEAL, FAASCTL_UNSET) &&
	       open_others(t);
}

/* One record went to b, so that it is the turn of c, which has no memory yet: that is the input. */
static bool dealt_has_begun(struct try *t)
{
	if (!has_dealt(t) || write(t->out, "", 1) != 1 || read(t->in, fault_back, 1) != 1)
		return false;
	/* b's stays open: closed, it would end the streams of all. */
	t->in = others[0];
	return true;
}

/* The next one goes to the next link, whatever became of this one. */
static bool turn_goes_on(struct try *t)
{
	return fault_write_small(t) == SMALL && arrives_at(t, others[1], SMALL);
}

static bool arrives_in_turn(struct try *t, long result)
{
	return arrives_as_one(t, result) && turn_goes_on(t);
}

static bool arrives_large_in_turn(struct try *t, long result)
{
	return arrives_large(t, result) && turn_goes_on(t);
}

/* To b, which is first. */
static bool first_arrives(struct try *t, long result)
{
	return arrives_as_one(t, result) && fault_write_small(t) == SMALL &&
	       arrives_at(t, others[0], SMALL);
}

static bool dealt_waits(struct try *t)
{
	return has_dealt(t) && fault_write_small(t) == SMALL;
}

static long dealt_info(struct try *t)
{
	return sys(ioctl(t->out, FAASIN_IOC_INFO, &info));
}

static bool dealt_is_told(struct try *t, long result)
{
	return info.flags & FAASIN_INFO_OUTPUT && info.stream == 1 && info.unread == SMALL &&
	       !info.link_generation;
}

static long dealt_unread(struct try *t)
{
	return unread(t->out);
}

/* All streams are over, this one with all that was written. */
static bool all_end_in(struct try *t, int end)
{
	struct heard heard = pattern_read(t->in, SMALL, 1);

	return heard.bytes == SMALL && heard.intact && heard.end == end &&
	       pattern_read(others[0], SMALL, 1).end == end &&
	       pattern_read(others[1], SMALL, 1).end == end;
}

static bool all_ended(struct try *t, long result)
{
	return all_end_in(t, 0);
}

static bool all_aborted(struct try *t, long result)
{
	return all_end_in(t, -ECONNABORTED);
}

static bool context_is(int fd)
{
	struct faasin_context context = { 0 };

	return !ioctl(fd, FAASIN_IOC_GET_CONTEXT, &context) && context.length == 2 &&
	       !strcmp((const char *)context.data, "of");
}

static bool all_have_context(struct try *t, long result)
{
	return context_is(t->in) && context_is(others[0]) && context_is(others[1]);
}

/* ---------------------------------------------------- an input of several links */

static int second_out = -1;	/* c's output */

static bool link_into(struct try *t, unsigned int flags, uint32_t merge)
{
	if (!link_with(t, "a,c", "b", flags, merge))
		return false;
	second_out = world_open(&t->w, "c", FAASIN_PORT_OUT, O_WRONLY);
	return second_out >= 0;
}

/* Which is bound to a link by its first call. */
static bool has_gathered(struct try *t)
{
	return link_into(t, 0, FAASCTL_UNSET) && fault_write_small(t) == SMALL;
}

static bool has_gathered_and_pipe(struct try *t)
{
	return has_gathered(t) && with_pipe(t);
}

static struct faasin_window_info window;

static long ask_window(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_WINDOW, &window));
}

static bool window_is_told(struct try *t, long result)
{
	return window.size == MIB - PAGE && unread(t->in) == SMALL;
}

/* A record of each link, which are read in this order. */
static bool has_merged(struct try *t)
{
	return link_into(t, FAASCTL_RECORDS, FAASIN_MERGE_TURN) &&
	       write(t->out, fault_data, FIRST) == FIRST &&
	       write(second_out, fault_data + FIRST, SMALL - FIRST) == SMALL - FIRST;
}

/* It is bound to its links, and one record was read of each. */
static bool merged_has_begun(struct try *t)
{
	return link_into(t, FAASCTL_RECORDS, FAASIN_MERGE_TURN) && write(t->out, "", 1) == 1 &&
	       write(second_out, "", 1) == 1 && read(t->in, fault_back, 1) == 1 &&
	       read(t->in, fault_back, 1) == 1 && write(t->out, fault_data, FIRST) == FIRST &&
	       write(second_out, fault_data + FIRST, SMALL - FIRST) == SMALL - FIRST;
}

static bool has_merged_large(struct try *t)
{
	return link_into(t, FAASCTL_RECORDS, FAASIN_MERGE_TURN) && fault_write_large(t) == LARGE;
}

static bool has_merged_and_pipe(struct try *t)
{
	return has_merged(t) && with_pipe(t);
}

/* One call gets one record, and nothing of the other. */
static bool other_is_left(struct try *t, long result)
{
	return result == FIRST && port_info(t->in).record == SMALL - FIRST &&
	       fault_keeps_small(t, result);
}

static bool one_was_spliced(struct try *t, long result)
{
	return result == FIRST && fault_spliced(t, result);
}

static bool merged_is_told(struct try *t, long result)
{
	return info.flags & FAASIN_INFO_MERGED && info.record == FIRST && info.unread == SMALL &&
	       !info.link_generation;
}

static bool has_read_merged(struct try *t)
{
	return has_merged(t) && read(t->in, fault_back, SMALL) == FIRST;
}

/* All that are read as one are closed early. */
static bool all_closed_early(struct try *t, long result)
{
	return fault_closed_early(t, result) && sys(write(second_out, fault_data, 1)) == -EPIPE;
}

static bool merged_session_ended(struct try *t, long result)
{
	return !read(t->in, fault_back, 1) && all_closed_early(t, result);
}

FAULT_TESTS

OPERATION(write_record_first, has_records, fault_write_small, arrives_as_one, NOMEM | FAULT);
OPERATION(write_record, has_begun, fault_write_small, arrives_as_one, FAULT);
OPERATION(write_record_large, has_begun, fault_write_large, arrives_large, FAULT);
OPERATION(writev_record, has_begun, fault_write_parts, arrives_as_one, FAULT);
OPERATION(read_record, has_record, fault_read_small, fault_keeps_small, FAULT);
OPERATION(read_record_part, has_record, read_part, rest_is_there, FAULT);
OPERATION(read_record_large, has_large_record, fault_read_large, fault_keeps_large, FAULT);
OPERATION(readv_record, has_record, fault_read_parts, fault_keeps_small, FAULT);
OPERATION(splice_record_out, has_record_and_pipe, fault_splice_out, fault_spliced, NOMEM);
OPERATION(info_record, has_record, ask_info, record_is_told, FAULT);
OPERATION(write_shared_first, has_shared, fault_write_small, arrives_at_all, NOMEM | FAULT);
OPERATION(write_shared, shared_has_begun, fault_write_small, arrives_at_all, FAULT);
OPERATION(write_shared_large, shared_has_begun, fault_write_large, arrives_at_all, FAULT);
OPERATION(splice_shared_in, has_shared_and_pipe, fault_splice_in, arrives_at_all, NOMEM);
OPERATION(read_shared, waits_for_all, fault_read_small, others_keep, FAULT);
OPERATION(splice_shared_out, waits_for_all_and_pipe, fault_splice_out, spliced_and_kept, NOMEM);
OPERATION(write_dealt_first, has_dealt, fault_write_small, first_arrives, NOMEM | FAULT);
OPERATION(write_dealt, dealt_has_begun, fault_write_small, arrives_in_turn, NOMEM | FAULT);
OPERATION(write_dealt_large, dealt_has_begun, fault_write_large, arrives_large_in_turn,
	  NOMEM | FAULT);
OPERATION(writev_dealt, dealt_has_begun, fault_write_parts, arrives_in_turn, NOMEM | FAULT);
OPERATION(read_dealt, dealt_waits, fault_read_small, fault_keeps_small, FAULT);
OPERATION(info_dealt, dealt_waits, dealt_info, dealt_is_told, FAULT);
OPERATION(fionread_dealt, dealt_waits, dealt_unread, fault_all_unread, FAULT);
OPERATION(poll_dealt, dealt_waits, fault_poll, fault_two, NOMEM | FAULT);
OPERATION(set_context_dealt, dealt_waits, fault_set_context, all_have_context, FAULT);
OPERATION(end_dealt, dealt_waits, fault_end_stream, all_ended, 0);
OPERATION(abort_dealt, dealt_waits, fault_abort, all_aborted, FAULT);
OPERATION(close_dealt, dealt_waits, fault_close_out, all_ended, 0);
OPERATION(read_gathered, has_gathered, fault_read_small, fault_keeps_small, FAULT);
OPERATION(splice_gathered, has_gathered_and_pipe, fault_splice_out, fault_spliced, NOMEM);
OPERATION(window_gathered, has_gathered, ask_window, window_is_told, FAULT);
OPERATION(read_merged_first, has_merged, fault_read_small, other_is_left, FAULT);
OPERATION(read_merged, merged_has_begun, fault_read_small, other_is_left, FAULT);
OPERATION(read_merged_large, has_merged_large, fault_read_large, fault_keeps_large, FAULT);
OPERATION(readv_merged, has_merged, fault_read_parts, other_is_left, FAULT);
OPERATION(splice_merged, has_merged_and_pipe, fault_splice_out, one_was_spliced, NOMEM);
OPERATION(info_merged, has_merged, ask_info, merged_is_told, FAULT);
OPERATION(fionread_merged, has_merged, fault_ask_unread, fault_all_unread, FAULT);
OPERATION(poll_merged, has_merged, fault_poll, fault_two, NOMEM | FAULT);
OPERATION(end_merged, has_read_merged, fault_end_session, merged_session_ended, 0);
OPERATION(close_merged, has_read_merged, fault_close_in, all_closed_early, 0);

FAULT_MAIN
