// SPDX-License-Identifier: GPL-2.0
/* Every call on a window and on a lane, failed at each point in turn: see fault.h. */
#include "fault.h"
#include "lane.h"
#include "harness.h"

/* ------------------------------------------------------------------ windows */

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
	return fault_all_unread(t, SMALL);
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
	if (!fault_linked(t) || !fault_open_ends(t, O_RDWR))
		return false;
	window = window_map(t->out, PROT_READ | PROT_WRITE);
	range = (struct faasin_range){ .length = SMALL };
	return (void *)window != MAP_FAILED;
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
	return !range.offset && !window_send(t->out, 0, SMALL) && fault_arrives(t, SMALL);
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
	return window_peek(window + range.offset) == -SIGBUS && fault_arrives(t, SMALL);
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

/* -------------------------------------------------------------------- lanes */

static bool has_trusted(struct try *t)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.flags = FAASCTL_TRUSTED;
	return fault_link(t, "a", "b", &options) && fault_open_ends(t, O_RDWR);
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

static bool has_lane(struct try *t)
{
	return has_trusted(t) && have_lane(t) >= 0;
}

/* The second end, by which it comes on. */
static int second_end = -1;

static long have_second(struct try *t)
{
	second_end = sys(ioctl(t->in, FAASIN_IOC_LANE));
	return second_end;
}

static bool lane_is_on_here(struct try *t, long result)
{
	return lane_is_on(t->out) && lane_is_on(t->in);
}

/* It is on, and there is something to send. */
static bool has_both(struct try *t)
{
	if (!has_lane(t) || have_second(t) < 0)
		return false;
	window = window_map(t->out, PROT_READ | PROT_WRITE);
	if ((void *)window == MAP_FAILED || allocate(t))
		return false;
	pattern_fill(window + range.offset, SMALL, 1, 0);
	return true;
}

/* One's own part of it, to be written; the other's, to be looked at. */
static struct raw raw;

static long map_own(struct try *t)
{
	raw.out = mmap(NULL, FAASIN_LANE_IN_AT - FAASIN_LANE_OUT_AT, PROT_READ | PROT_WRITE,
		       MAP_SHARED, t->file, FAASIN_LANE_OUT_AT);
	return raw.out == MAP_FAILED ? -errno : 0;
}

/* What is written there counts. */
static bool own_is_mapped(struct try *t, long result)
{
	raw_send(&raw, range.offset, SMALL);
	return !ioctl(t->out, FAASIN_IOC_LANE_KICK) && fault_arrives(t, SMALL);
}

static long map_state(struct try *t)
{
	raw.state = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, t->file, 0);
	return raw.state == MAP_FAILED ? -errno : 0;
}

static bool state_is_mapped(struct try *t, long result)
{
	return raw.state->state == FAASIN_LANE_ON && !raw.state->settled_sent &&
	       !fault_close_in(t) && raw.state->state == FAASIN_LANE_RETIRED;
}

/* Something was sent, of which nobody was told. */
static bool has_sent_by_lane(struct try *t)
{
	if (!has_both(t) || map_own(t) || map_state(t))
		return false;
	raw_send(&raw, range.offset, SMALL);
	return true;
}

static long kick(struct try *t)
{
	return sys(ioctl(t->out, FAASIN_IOC_LANE_KICK));
}

static bool is_settled(struct try *t, long result)
{
	return raw.state->settled_sent == 1 && fault_arrives(t, SMALL);
}

static long wait_in(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_LANE_WAIT));
}

static bool sent_arrives(struct try *t, long result)
{
	return raw.state->state == FAASIN_LANE_ON && fault_arrives(t, SMALL);
}

/* All that there is was allocated, and more was refused. */
static bool has_no_room(struct try *t)
{
	struct faasin_range more = { .offset = FAASIN_ALLOC_LANE, .length = MIB / 2 };

	if (!has_both(t) || window_return(t->out, range.offset) ||
	    window_alloc(t->out, window_info(t->out).size) < 0)
		return false;
	if (!ioctl(t->out, FAASIN_IOC_ALLOC, &more) || errno != EAGAIN)
		return false;
	return !fcntl(t->out, F_SETFL, 0);
}

/* For a moment, since nothing comes back. */
static long wait_out(struct try *t)
{
	return sys(ioctl(t->out, FAASIN_IOC_LANE_WAIT));
}

static bool is_still_on(struct try *t, long result)
{
	return !result && lane_is_on_here(t, result);
}

static long allocate_by_lane(struct try *t)
{
	range = (struct faasin_range){ .offset = FAASIN_ALLOC_LANE, .length = SMALL };
	return sys(ioctl(t->out, FAASIN_IOC_ALLOC, &range));
}

/* As others do, and it leaves the lane on. */
static bool allocated_by_lane(struct try *t, long result)
{
	if (!lane_is_on_here(t, result))
		return false;
	pattern_fill(window + range.offset, SMALL, 1, 0);
	return !window_send(t->out, range.offset, SMALL) && fault_arrives(t, SMALL);
}

/* What is sent by a call, or written, comes after what was sent by the lane. */
static bool two_arrive(struct try *t)
{
	return read_full(t->in, fault_back, SMALL) == SMALL && pattern_is(fault_back, SMALL, 1, 0) &&
	       fault_arrives(t, SMALL);
}

static bool has_sent_and_more(struct try *t)
{
	if (!has_sent_by_lane(t) || allocate(t))
		return false;
	pattern_fill(window + range.offset, SMALL, 1, 0);
	return true;
}

static bool both_arrive(struct try *t, long result)
{
	return two_arrive(t);
}

static bool written_arrives_last(struct try *t, long result)
{
	return result == SMALL && two_arrive(t);
}

FAULT_TESTS

OPERATION(mmap, fault_filled, map, all_is_unread, NOMEM);
OPERATION(window_info, fault_filled, ask_window, window_is_told, FAULT);
OPERATION(window_alloc, has_window, allocate, allocated, NOMEM | FAULT);
OPERATION(window_fault, has_untouched, fault_in, faulted_in, NOMEM | FAULT);
OPERATION(window_send, has_filled, hand_off, handed_off, NOMEM | FAULT);
OPERATION(window_take, has_sent, take_record, record_taken, NOMEM | FAULT);
OPERATION(window_take_written, fault_filled, take_record, record_taken, NOMEM | FAULT);
OPERATION(window_return, has_taken, return_record, record_returned, NOMEM | FAULT);
OPERATION(lane, has_trusted, have_lane, lane_is_had, NOMEM);
OPERATION(lane_second, has_lane, have_second, lane_is_on_here, NOMEM);
OPERATION(lane_mmap, has_both, map_own, own_is_mapped, NOMEM);
OPERATION(lane_mmap_state, has_both, map_state, state_is_mapped, NOMEM);
OPERATION(lane_kick, has_sent_by_lane, kick, is_settled, 0);
OPERATION(lane_wait, has_sent_by_lane, wait_in, sent_arrives, 0);
OPERATION(lane_wait_for_room, has_no_room, wait_out, is_still_on, 0);
OPERATION(lane_alloc, has_both, allocate_by_lane, allocated_by_lane, NOMEM | FAULT);
OPERATION(lane_poll, has_sent_by_lane, fault_poll, fault_two, NOMEM | FAULT);
/* These end it. */
OPERATION(lane_read, has_sent_by_lane, fault_read_small, fault_keeps_small, FAULT);
OPERATION(lane_take, has_sent_by_lane, take_record, record_taken, NOMEM | FAULT);
OPERATION(lane_write, has_sent_by_lane, fault_write_small, written_arrives_last, NOMEM | FAULT);
OPERATION(lane_send, has_sent_and_more, hand_off, both_arrive, NOMEM | FAULT);

FAULT_MAIN
