// SPDX-License-Identifier: GPL-2.0
/*
 * What a side does to a lane's memory: what the library would do, and what it never would.
 */
#include <linux/faasin.h>

#include "common.h"
#include "ranges.h"
#include "worker.h"

/**
 * struct side - a lane as one side has it mapped
 * @all: to be looked at
 * @own: one's own part, to be written
 * @output: it is the producer's
 */
struct side {
	uint8_t *all, *own;
	bool output;
};

static void *map_part(int fd, size_t at, size_t end, int prot)
{
	void *part = mmap(NULL, end - at, prot, MAP_SHARED, fd, at);

	return part == MAP_FAILED ? NULL : part;
}

static void side_close(struct side *s)
{
	if (s->all)
		munmap(s->all, FAASIN_LANE_SIZE);
	if (s->own && s->output)
		munmap(s->own, FAASIN_LANE_IN_AT - FAASIN_LANE_OUT_AT);
	else if (s->own)
		munmap(s->own, FAASIN_LANE_SIZE - FAASIN_LANE_IN_AT);
}

/* False if it is no lane, or there is no memory. */
static bool side_open(struct side *s, int fd)
{
	const int both = PROT_READ | PROT_WRITE;

	s->own = map_part(fd, FAASIN_LANE_OUT_AT, FAASIN_LANE_IN_AT, both);
	s->output = s->own;
	if (!s->own)
		s->own = map_part(fd, FAASIN_LANE_IN_AT, FAASIN_LANE_SIZE, both);
	s->all = map_part(fd, 0, FAASIN_LANE_SIZE, PROT_READ);
	return s->all && s->own;
}

/* Counts @n more, unless the lane was retired. */
static long index_add(__u64 *index, __u64 n)
{
	__u64 now = __atomic_load_n(index, __ATOMIC_ACQUIRE);

	errno = ESHUTDOWN;
	return !(now & FAASIN_LANE_FROZEN) &&
	       __atomic_compare_exchange_n(index, &now, now + n, false, __ATOMIC_RELEASE,
					   __ATOMIC_RELAXED) ? 0 : -1;
}

/* @value: 0, or what is said in place of what is so. */
static long lane_send(struct faasin_lane_out *out, uint64_t value)
{
	uint64_t sent = __atomic_load_n(&out->sent, __ATOMIC_RELAXED);
	struct faasin_lane_slot *slot = &out->slots[sent % FAASIN_LANE_SLOTS];
	struct faasin_range r = { value, value };

	if (!value && !ranges_of(ANY_FD, GIVEN_EMPTY, &r, 1)) {
		errno = ENODATA;
		return -1;
	}
	slot->offset = r.offset;
	slot->length = r.length;
	slot->last = !(value & 1);
	if (index_add(&out->sent, 1))
		return -1;
	range_gone(ANY_FD, GIVEN_EMPTY, r.offset);
	return 0;
}

static long lane_take(const struct faasin_lane_out *out, struct faasin_lane_in *in)
{
	uint64_t taken = __atomic_load_n(&in->taken, __ATOMIC_RELAXED);
	const struct faasin_lane_slot *slot = &out->slots[taken % FAASIN_LANE_SLOTS];
	struct faasin_range r;

	if (__atomic_load_n(&out->sent, __ATOMIC_ACQUIRE) == taken) {
		errno = EAGAIN;
		return -1;
	}
	r = (struct faasin_range){ slot->offset, slot->length };
	if (index_add(&in->taken, 1))
		return -1;
	range_given(ANY_FD, GIVEN_FULL, r);
	return 0;
}

static long lane_return(struct faasin_lane_in *in, uint64_t value)
{
	uint64_t returned = __atomic_load_n(&in->returned, __ATOMIC_RELAXED);
	struct faasin_range r = { value, 0 };

	if (!value && !ranges_of(ANY_FD, GIVEN_FULL, &r, 1)) {
		errno = ENODATA;
		return -1;
	}
	in->offsets[returned % FAASIN_LANE_SLOTS] = r.offset;
	if (index_add(&in->returned, 1))
		return -1;
	range_gone(ANY_FD, GIVEN_FULL, r.offset);
	return 0;
}

static long lane_pop(struct faasin_lane_out *out, const struct faasin_lane_in *in)
{
	uint64_t popped = __atomic_load_n(&out->popped, __ATOMIC_RELAXED);
	struct faasin_range r = { in->offsets[popped % FAASIN_LANE_SLOTS], PAGE };

	if (__atomic_load_n(&in->returned, __ATOMIC_ACQUIRE) == popped) {
		errno = EAGAIN;
		return -1;
	}
	if (index_add(&out->popped, 1))
		return -1;
	range_given(ANY_FD, GIVEN_EMPTY, r);
	return 0;
}

/* What each side can do, by numbers. */
static long act(struct side *s, uint64_t what, uint64_t value)
{
	struct faasin_lane_out *out = (void *)(s->all + FAASIN_LANE_OUT_AT);
	struct faasin_lane_in *in = (void *)(s->all + FAASIN_LANE_IN_AT);

	if (s->output)
		out = (void *)s->own;
	else
		in = (void *)s->own;
	switch (what % 4) {
	case 0:
	case 1:
		if (s->output)
			return lane_send(out, what & 1 ? value : 0);
		return lane_take(out, in);
	case 2:
		if (s->output)
			return lane_pop(out, in);
		return lane_return(in, what & 4 ? value : 0);
	default: /* nonsense */
		if (what & 4)
			return index_add(s->output ? &out->popped : &in->returned, value);
		return index_add(s->output ? &out->sent : &in->taken, value);
	}
}

/* Arguments: descriptor, what is done, with what. */
long call_lane(struct thread *t, const struct call *c)
{
	struct side s = { 0 };
	int fd = fcntl(slot(c->arg[0]), F_DUPFD_CLOEXEC, 0);
	long result = -1;

	if (fd < 0)
		return -1;
	if (is_lane(fd) && side_open(&s, fd))
		result = act(&s, c->arg[1], c->arg[2]);
	side_close(&s);
	close(fd);
	return result;
}
