/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: what happens to workflows, told to the multicast group "events".
 *
 * Lock: one spinlock of event.c's own, innermost of all: faasin_event_send()
 * may be called with any other lock held, from process context or with
 * interrupts off, but not from an interrupt.
 */
#ifndef _FAASIN_EVENT_H
#define _FAASIN_EVENT_H

#include <linux/types.h>

#include "uapi/faasin.h"

/**
 * struct faasin_event_rate - how many events may be sent: of a workflow, or of all
 * @full_at: when as many as can be sent at once could be sent again, in nanoseconds;
 *	each that is sent moves it by one interval. 0 at first; event.c's lock
 */
struct faasin_event_rate {
	u64 full_at;
};

/**
 * struct faasin_event - one event; what does not apply is left zero
 * @rate: its workflow's; outlives the event, and all that is said of it goes with
 *	faasin_event_forget()
 * @type: what happened
 * @workflow: its name; the workflow itself or where the object belongs
 * @stage: stage events: the stage; with @cause: whose process it was
 * @src_stage: link and stream events
 * @src_port: likewise
 * @dst_stage: likewise
 * @dst_port: likewise
 * @generation: of the workflow, stage or link
 * @stream: stream events: its number
 * @bytes: stream events: its length, or how many were dropped
 * @cause: enum faasin_cause; the next three are sent only with one
 * @code: signal or exit status
 * @pid: in the initial pid namespace
 * @comm: command name; may be NULL
 *
 * Strings belong to the caller and are not kept.
 */
struct faasin_event {
	struct faasin_event_rate *rate;
	enum faasin_event_type type;
	const char *workflow;
	const char *stage;
	const char *src_stage;
	const char *src_port;
	const char *dst_stage;
	const char *dst_port;
	u64 generation;
	u64 stream;
	u64 bytes;
	u32 cause;
	u32 code;
	u32 pid;
	const char *comm;
};

void faasin_event_send(const struct faasin_event *ev);
void faasin_event_forget(const struct faasin_event_rate *rate);
u64 faasin_event_seq(void);

void faasin_event_start(void);
void faasin_event_stop(void);

#endif /* _FAASIN_EVENT_H */
