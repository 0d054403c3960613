/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process that executes programs, one after the other. A fork takes longer than most
 * programs do, so it is kept for as long as programs leave it as it was: with no
 * descriptor, no child, no other identity.
 */
#ifndef _FUZZ_UAPI_WORKER_H
#define _FUZZ_UAPI_WORKER_H

#include "call.h"
#include "ioctls.h"

enum worker_end {
	WORKER_DONE,
	WORKER_HANGS,		/* the program had to be killed */
	WORKER_STUCK,		/* and that did not help */
};

/**
 * struct worker_report - what its processes tell; the counts add up over all programs
 * @violation: how the module broke its word; "" if it did not
 * @zeroes: the last program had memory that is zero at first: so may be what it wrote
 * @error: of the calls of the last program, or 0
 * @tried: how often each call was made
 * @worked: how often it succeeded
 * @ioctl_tried: the same of each ioctl
 * @ioctl_worked: likewise
 * @injected: faults that calls met
 */
struct worker_report {
	char violation[200];
	bool zeroes;
	uint16_t error[CALLS_MAX];
	uint64_t tried[OPS], worked[OPS];
	uint64_t ioctl_tried[IOCTLS], ioctl_worked[IOCTLS];
	uint64_t injected;
};

extern struct worker_report *worker_report;
extern unsigned long workers_started;

/* By several at once. */
static inline void count_one(uint64_t *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

/* False (and a message) if there is no memory for it. */
bool worker_init(void);

/* Executes @p to its end. */
enum worker_end worker_run(const struct program *p);

/* Lets the process end, if there is one. */
void worker_end(void);

#endif /* _FUZZ_UAPI_WORKER_H */
