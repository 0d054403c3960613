// SPDX-License-Identifier: GPL-2.0
/* Ioctls: see ioctls.h. */
#include <assert.h>

#include "common.h"
#include "ioctls.h"
#include "ranges.h"
#include "worker.h"

#define ARRAY_AT	(2 * PAGE)	/* where arrays of ranges are, behind the argument */
#define ODD		4		/* from here on, the sixth argument asks for nonsense */

/* ---------------------------------------------------------------- arguments */

/* Other ioctls take a number, and look at its beginning. */
static void fill_abort(struct thread *t, const struct call *c, int fd, union argument *arg)
{
	arg->abort = (struct faasin_abort){
		.cause = c->arg[3], .code = c->arg[4],
		.pid = c->arg[5] & 1 ? getpid() : (int32_t)c->arg[5],
		.reserved = c->arg[5] >> 32,
	};
}

static void fill_context(struct thread *t, const struct call *c, int fd, union argument *arg)
{
	arg->context.length = c->arg[4] % (FAASIN_CONTEXT_MAX + 3);
	arg->context.reserved = c->arg[5] == 7;
	memset(arg->context.data, FILLED, sizeof(arg->context.data));
}

/* What is there is what somebody set. */
static long context_got(struct thread *t, const struct call *c, int fd, const union argument *arg,
			long result)
{
	const struct faasin_context *got = &arg->context;
	bool good = got->length && got->length <= FAASIN_CONTEXT_MAX && !got->reserved;
	size_t i;

	for (i = 0; good && i < sizeof(got->data); i++)
		good = got->data[i] == (i < got->length ? FILLED : 0);
	if (!good)
		violation("a stream has a context that nobody set");
	return result;
}

static void fill_range(struct thread *t, const struct call *c, int fd, union argument *arg)
{
	arg->range.length = c->arg[4];
	if (c->arg[5] == 7)
		arg->range.offset = PAGE;
	else if (c->arg[5] & 1)
		arg->range.offset = FAASIN_ALLOC_LANE;
}

static long range_had(struct thread *t, const struct call *c, int fd, const union argument *arg,
		      long result)
{
	/* What it holds that nobody filled is zero. */
	worker_report->zeroes = true;
	range_given(fd, GIVEN_EMPTY, arg->range);
	return result;
}

/* ------------------------------------------------------- arrays of ranges */

static struct faasin_range *own_array(struct thread *t)
{
	return (void *)(t->into + ARRAY_AT);
}

/* In a mapping, too, but not where bytes are that somebody is to read: arrays are none. */
static struct faasin_range *array_of(struct thread *t, const struct call *c)
{
	bool mapped = c->arg[2] == IN_MAPPING && t->mapping.at && !mapping_is_data(&t->mapping);

	return mapped ? (void *)t->mapping.at : own_array(t);
}

/* Nonsense of one kind or another. */
static void ranges_spoil(const struct call *c, struct faasin_range *r, unsigned int n)
{
	unsigned int i;

	switch (c->arg[5]) {
	case ODD: /* an extent twice */
		r[n - 1] = r[0];
		break;
	case ODD + 1:
		for (i = 0; i < n; i++)
			r[i].offset += c->arg[4];
		break;
	case ODD + 2:
		r[n - 1].length = c->arg[4];
		break;
	}
}

/* As many as are asked for and can be named; with nonsense, so many in any case. */
static void name_ranges(struct thread *t, const struct call *c, int fd, union argument *arg,
			enum given_as as)
{
	struct faasin_range r[FAASIN_RANGES_MAX + 1] = { 0 };
	unsigned int n = c->arg[3] == 7 ? FAASIN_RANGES_MAX + (c->arg[5] & 1) : c->arg[3];
	unsigned int found, i;

	n = n < ARRAY_SIZE(r) ? n : ARRAY_SIZE(r);
	found = ranges_of(fd, as, r, n);
	if (found && c->arg[5] < ODD)
		n = found;
	/* Not all of each. */
	for (i = 0; i < found; i++)
		if (c->arg[4] && c->arg[4] < r[i].length)
			r[i].length = c->arg[4];
	if (n)
		ranges_spoil(c, r, n);
	memcpy(own_array(t), r, sizeof(r));
	/* In a mapping it says what is there. */
	arg->ranges = (struct faasin_ranges){
		.ranges = (uintptr_t)array_of(t, c), .count = n, .reserved = c->arg[5] == 7,
	};
}

static void fill_send(struct thread *t, const struct call *c, int fd, union argument *arg)
{
	name_ranges(t, c, fd, arg, GIVEN_EMPTY);
}

static void fill_return(struct thread *t, const struct call *c, int fd, union argument *arg)
{
	name_ranges(t, c, fd, arg, GIVEN_EITHER);
}

static void fill_take(struct thread *t, const struct call *c, int fd, union argument *arg)
{
	memset(own_array(t), 0, (FAASIN_RANGES_MAX + 1) * sizeof(struct faasin_range));
	arg->ranges = (struct faasin_ranges){
		.ranges = (uintptr_t)array_of(t, c),
		.count = c->arg[3] == 7 ? FAASIN_RANGES_MAX : c->arg[3],
		.reserved = c->arg[5] == 7,
	};
}

static long ranges_passed(struct thread *t, const struct call *c, int fd,
			  const union argument *arg, long result)
{
	const struct faasin_range *r = own_array(t);
	unsigned int i;

	if (arg->ranges.ranges == (uintptr_t)r)
		for (i = 0; i < arg->ranges.count; i++)
			range_gone(fd, GIVEN_EITHER, r[i].offset & ~(PAGE - 1ull));
	return result;
}

static long ranges_taken(struct thread *t, const struct call *c, int fd,
			 const union argument *arg, long result)
{
	const struct faasin_range *r = own_array(t);
	long i;

	if (result > arg->ranges.count)
		violation("a record has more ranges than there is room for");
	else if (arg->ranges.ranges == (uintptr_t)r)
		for (i = 0; i < result; i++)
			range_given(fd, GIVEN_FULL, r[i]);
	return result;
}

/* The descriptor of a lane is one as others: mapped, polled, passed on, closed. */
static long lane_had(struct thread *t, const struct call *c, int fd, const union argument *arg,
		     long result)
{
	return keep(c->arg[3], result);
}

/* ------------------------------------------------------------------ the table */

const struct port_ioctl ioctls[] = {
	{ "alloc", FAASIN_IOC_ALLOC, fill_range, range_had },
	{ "send", FAASIN_IOC_SEND, fill_send, ranges_passed },
	{ "take", FAASIN_IOC_TAKE, fill_take, ranges_taken },
	{ "return", FAASIN_IOC_RETURN, fill_return, ranges_passed },
	{ "lane", FAASIN_IOC_LANE, NULL, lane_had },
	{ "lane_wait", FAASIN_IOC_LANE_WAIT, NULL, NULL },
	{ "lane_kick", FAASIN_IOC_LANE_KICK, NULL, NULL },
	{ "window", FAASIN_IOC_WINDOW, NULL, NULL },
	{ "set_context", FAASIN_IOC_SET_CONTEXT, fill_context, NULL },
	{ "get_context", FAASIN_IOC_GET_CONTEXT, NULL, context_got },
	{ "end", FAASIN_IOC_END, NULL, NULL },
	{ "abort", FAASIN_IOC_ABORT, fill_abort, NULL },
	{ "info", FAASIN_IOC_INFO, NULL, NULL },
	{ "fionread", FIONREAD, NULL, NULL },
	{ "fionbio", FIONBIO, fill_abort, NULL },
	{ "fioasync", FIOASYNC, fill_abort, NULL },
	{ "tcgets", TCGETS, NULL, NULL },
	{ "fioclex", FIOCLEX, NULL, NULL },
	{ "number", 0, fill_abort, NULL },
};

static_assert(ARRAY_SIZE(ioctls) == IOCTLS);

bool ioctl_is_ports(const struct port_ioctl *i)
{
	return _IOC_TYPE(i->number) == FAASIN_IOC_MAGIC;
}

/* Arguments: descriptor, which, where its argument is; the others are that argument's. */
long call_ioctl(struct thread *t, const struct call *c)
{
	const struct port_ioctl *i = &ioctls[c->arg[1]];
	uint64_t how = c->arg[2] == IN_MAPPING ? 0 : c->arg[2];
	int fd = slot(c->arg[0]);
	union argument arg = { 0 };
	uint8_t *p = place(t, t->into, how, sizeof(arg));
	/* What of it is there. */
	size_t room = how == AT_END ? sizeof(arg) / 2 :
		p == t->into || p == t->into + 1 ? sizeof(arg) : 0;
	long result;

	if (i->fill)
		i->fill(t, c, fd, &arg);
	memcpy(p, &arg, room);
	result = ioctl(fd, i->number ?: _IO(FAASIN_IOC_MAGIC, c->arg[3]), p);
	count_one(&worker_report->ioctl_tried[c->arg[1]]);
	if (result < 0)
		return result;
	count_one(&worker_report->ioctl_worked[c->arg[1]]);
	memcpy(&arg, p, room);
	return i->done ? i->done(t, c, fd, &arg, result) : result;
}
