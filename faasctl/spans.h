/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams as spans, in OTLP's JSON. */
#ifndef FAASCTL_SPANS_H
#define FAASCTL_SPANS_H

#include <linux/types.h>

#include "bpf/trace.h"
#include "probes.h"

#define SPANS_MAX	65536

/**
 * struct span - a stream
 * @begin: when it began, CLOCK_MONOTONIC; 0 if that was not seen
 * @end: when it ended; 0 if it has not
 * @stream: its number
 * @bytes: its length
 * @slot: its link
 * @writer: the process that began it
 * @cause: if it was aborted or closed early
 * @code: likewise
 * @culprit: likewise
 * @comm: the culprit's name
 * @context: its traceparent, or ""
 */
struct span {
	uint64_t begin;
	uint64_t end;
	uint64_t stream;
	uint64_t bytes;
	uint32_t slot;
	uint32_t writer;
	uint32_t cause;
	uint32_t code;
	uint32_t culprit;
	char comm[TRACE_COMM];
	char context[FAASIN_CONTEXT_MAX + 1];
};

/**
 * struct spans - streams that were seen
 * @probes: the links
 * @spans: the streams
 * @n: how many
 * @live: number of the newest of each link, plus 1
 * @left_out: streams that there was no room for
 */
struct spans {
	const struct probes *probes;
	struct span *spans;
	uint32_t n;
	uint32_t live[PROBES_MAX];
	uint64_t left_out;
};

struct spans *spans_new(const struct probes *probes);
void spans_free(struct spans *spans);
void spans_event(struct spans *spans, const struct trace_event *event);
int spans_write(const struct spans *spans, FILE *to);

#endif /* FAASCTL_SPANS_H */
