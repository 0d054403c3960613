/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What latency.bpf.c and latency.c agree on. */
#ifndef FAASCTL_BPF_LATENCY_H
#define FAASCTL_BPF_LATENCY_H

#define HISTOGRAM_SLOTS	64	/* slot n: from 2^n on; slot 0: 0 and 1 */

/* Of a link, this many parts that wait are told apart; more share a time. */
#define QUEUE_PARTS	512

/**
 * struct histogram - a distribution by powers of two
 * @slots: how many values, by logarithm
 * @sum: of the values
 */
struct histogram {
	__u64 slots[HISTOGRAM_SLOTS];
	__u64 sum;
};

/**
 * enum latency_kind - what there is a histogram of
 * @LATENCY_RESIDENCE: microseconds in the channel, counted in bytes
 * @LATENCY_BLOCKED_OUT: microseconds that a writer waited for room
 * @LATENCY_BLOCKED_IN: microseconds that a reader waited for bytes
 * @LATENCY_WAKE_OUT: microseconds from a wake-up to the writer's running
 * @LATENCY_WAKE_IN: the same of readers
 * @LATENCY_WRITE: bytes a write
 * @LATENCY_READ: bytes a read
 */
enum latency_kind {
	LATENCY_RESIDENCE,
	LATENCY_BLOCKED_OUT,
	LATENCY_BLOCKED_IN,
	LATENCY_WAKE_OUT,
	LATENCY_WAKE_IN,
	LATENCY_WRITE,
	LATENCY_READ,
	LATENCY_KINDS,
};

/**
 * struct latency_link - what was measured of a link
 * @kinds: by enum latency_kind
 * @blocked_ns: exact sums, by direction
 * @waiting_since: when the last one began to wait, if nobody who waited has gone on since, or 0
 * @unmatched: bytes read whose writing was not seen
 */
struct latency_link {
	struct histogram kinds[LATENCY_KINDS];
	__u64 blocked_ns[2];
	__u64 waiting_since[2];
	__u64 unmatched;
};

#endif /* FAASCTL_BPF_LATENCY_H */
