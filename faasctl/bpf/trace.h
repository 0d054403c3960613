/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What trace.bpf.c and trace.c agree on. */
#ifndef FAASCTL_BPF_TRACE_H
#define FAASCTL_BPF_TRACE_H

#define TRACE_COMM	16

/* Of a link, so many hand-offs are followed at once, one begun a millisecond. */
#define HANDOFFS	16
#define HANDOFF_GAP_NS	1000000

/**
 * enum trace_type - what happened
 * @TRACE_SEEN: a task did something for the first time; v: when it started
 * @TRACE_GONE: it exited; no link
 * @TRACE_BLOCK: it waits; dir says on which side
 * @TRACE_UNBLOCK: that is over; v: how long, in ns
 * @TRACE_HAND: it published bytes that end at v
 * @TRACE_TAKE: it consumed them
 * @TRACE_BEGIN: a stream began
 * @TRACE_END: a stream ended; v: its length
 * @TRACE_ABORT: or was aborted, or closed early; v: its length
 * @TRACE_CONTEXT: its context was set; a struct trace_context
 */
enum trace_type {
	TRACE_SEEN,
	TRACE_GONE,
	TRACE_BLOCK,
	TRACE_UNBLOCK,
	TRACE_HAND,
	TRACE_TAKE,
	TRACE_BEGIN,
	TRACE_END,
	TRACE_ABORT,
	TRACE_CONTEXT,
};

/**
 * struct trace_event - something that happened
 * @time: when, CLOCK_MONOTONIC
 * @v: see enum trace_type
 * @stream: its number, or 0
 * @type: enum trace_type
 * @slot: the link
 * @dir: the side of it
 * @tid: the task
 * @pid: its process
 * @cause: of an abort, enum faasin_cause
 * @code: of an abort
 * @culprit: of an abort, the process meant
 * @comm: the task's name
 */
struct trace_event {
	__u64 time;
	__u64 v;
	__u64 stream;
	__u32 type;
	__u32 slot;
	__u32 dir;
	__u32 tid;
	__u32 pid;
	__u32 cause;
	__u32 code;
	__u32 culprit;
	char comm[TRACE_COMM];
};

/**
 * struct trace_context - a stream's context
 * @event: as of all
 * @context: terminated
 */
struct trace_context {
	struct trace_event event;
	char context[56];
};

#endif /* FAASCTL_BPF_TRACE_H */
