/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Replicas, which are processes, and what they do: each reads records that are dealt, turns them
 * over, and passes them on to an input that merges.
 *
 * Stage "a" deals to "r0", "r1" and so on, which are linked to "d". Streams are counted, not named:
 * each replica's n-th is read with the n-th of others. So one begins its output's before it
 * takes the input's, and not before that has begun.
 */
#ifndef _SELFTESTS_DEAL_MERGE_H
#define _SELFTESTS_DEAL_MERGE_H

#include "fan.h"

#define STAGES		3
#define MOST		4		/* with one that is linked later */
#define CAPACITY	(16 * KIB)
#define LONGEST		3200

/* More than all links and processes hold: who has read MIDDLE of these is in the middle. */
#define MANY		400
#define MIDDLE		(20 * STAGES)

/* What a record begins with; what follows is of the pattern of tag_of(), or turned over. */
struct head {
	uint32_t stream;
	uint32_t number;	/* of the stream's records */
	uint32_t length;	/* of all */
	uint32_t by;		/* which replica turned it over: its number + 1 */
};

/* How a process ends that was told that its stage is another's. */
#define DETACHED	10

/**
 * struct told - what processes share
 * @left: of each replica: a record that it turned over, but could not pass on
 * @left_length: and its length, or 0
 * @written: records of the stream that is written
 * @error: why no more of them
 * @streams: that were read from beginning to end, while links change
 * @begun: that the writer began meanwhile
 * @set: which of the sets of replicas makes them
 * @bad: the line that found what should not be
 * @stop: no more streams are to begin
 */
struct told {
	uint8_t left[MOST][LONGEST];
	uint32_t left_length[MOST];
	uint32_t written;
	int error;
	uint32_t streams;
	uint32_t begun;
	uint32_t set;
	uint32_t bad;
	bool stop;
};

static inline void turned_over(uint8_t *record, uint32_t by)
{
	struct head *head = (struct head *)record;
	uint32_t i;

	for (i = sizeof(*head); i < head->length; i++)
		record[i] ^= 0xff;
	head->by = by;
}

static inline uint32_t length_of(uint32_t stream, uint32_t number)
{
	return sizeof(struct head) + (stream * 31 + number * 7919) % (LONGEST - sizeof(struct head));
}

static inline unsigned int tag_of(uint32_t stream, uint32_t number)
{
	return stream * 7 + number;
}

/* ------------------------------------------------------------------------ processes */

/* Until there is a stream to be read: false if there never will be one. */
static inline bool has_begun(int in)
{
	struct pollfd p = { .fd = in, .events = POLLIN };

	return poll(&p, 1, -1) == 1 &&
	       !((p.revents & POLLERR) && port_info(in).flags & FAASIN_INFO_UNLINKED);
}

static inline void gives_up(int out)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };

	ioctl(out, FAASIN_IOC_ABORT, &abort);
}

/* What one could not pass on, its successor does. */
static inline int passes_on(struct told *told, unsigned int self, int out, const uint8_t *record,
			    long n)
{
	long done = sys(write(out, record, n));

	if (done == -ESTALE) {
		memcpy(told->left[self], record, n);
		told->left_length[self] = n;
		_exit(DETACHED);
	}
	if (done >= 0 && done != n)
		_exit(2);
	return done;
}

/* One stream; false if there never will be another. */
static inline bool works(struct fan *f, struct told *told, unsigned int self)
{
	static uint8_t buf[LONGEST];
	struct head *head = (struct head *)buf;
	char name[16];
	int in, out;
	long n;

	snprintf(name, sizeof(name), "r%u", self);
	in = fan_open(f, name, FAASIN_PORT_IN, O_RDONLY);
	if (in < 0)
		_exit(6);
	if (!has_begun(in))
		return false;
	out = fan_open(f, name, FAASIN_PORT_OUT, O_WRONLY);
	if (out < 0)
		_exit(3);
	n = told->left_length[self];
	if (n) {
		told->left_length[self] = 0;
		n = passes_on(told, self, out, told->left[self], n);
	}
	while (n >= 0) {
		n = sys(read(in, buf, sizeof(buf)));
		if (n <= 0)
			break;
		if (n != head->length)
			_exit(4);
		turned_over(buf, self + 1);
		n = passes_on(told, self, out, buf, n);
	}
	if (n == -ESTALE)
		_exit(DETACHED);
	/* What is broken off is no end; nor is it one for those that were to follow. */
	if (n == -ECONNABORTED)
		gives_up(out);
	else if (n && n != -EPIPE)
		_exit(5);
	close(out);
	close(in);
	return true;
}

static inline pid_t replica(struct fan *f, struct told *told, unsigned int self)
{
	pid_t pid = child_for(120);

	if (pid)
		return pid;
	while (works(f, told, self))
		;
	_exit(0);
}

/* Writes on to record @n of a stream; what went wrong. */
static inline int writes(int fd, struct told *told, uint32_t stream, uint32_t n)
{
	static uint8_t buf[LONGEST];
	struct head *head = (struct head *)buf;
	long done;

	for (; told->written < n; told->written++) {
		*head = (struct head){ stream, told->written, length_of(stream, told->written), 0 };
		pattern_fill(head + 1, head->length - sizeof(*head), tag_of(stream, head->number), 0);
		done = sys(write(fd, buf, head->length));
		if (done != head->length)
			return done;
	}
	return 0;
}

static inline pid_t writer(struct fan *f, struct told *told, uint32_t stream, uint32_t n)
{
	pid_t pid = child_for(120);

	if (pid)
		return pid;
	told->error = writes(fan_writer(f, 0), told, stream, n);
	_exit(0);
}

static inline long next(int fd, uint8_t *buf)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	long n;

	do {
		n = sys(read(fd, buf, LONGEST));
	} while (n == -EAGAIN && poll(&p, 1, DEADLINE * 1000) == 1);
	return n;
}

/* What comes next is this: whole, turned over; by whom, or 0 if it is not. */
static inline uint32_t heard(uint8_t *buf, long n, uint32_t stream, uint32_t number)
{
	struct head *head = (struct head *)buf;
	uint32_t by;

	if (n != length_of(stream, number) || n != head->length || head->stream != stream ||
	    head->number != number)
		return 0;
	by = head->by;
	turned_over(buf, 0);
	return pattern_is(head + 1, n - sizeof(*head), tag_of(stream, number), 0) ? by : 0;
}

#endif /* _SELFTESTS_DEAL_MERGE_H */
