/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stages did when: made from the kernel's events, written as a trace. */
#ifndef FAASCTL_TIMELINE_H
#define FAASCTL_TIMELINE_H

#include <linux/types.h>

#include "bpf/trace.h"
#include "probes.h"

/**
 * enum row_state - what a task does
 * @ROW_GONE: nothing: it does not exist yet, or no more
 * @ROW_RUNNING: it does not wait for a channel
 * @ROW_BLOCKED_IN: it waits for bytes
 * @ROW_BLOCKED_OUT: it waits for room
 */
enum row_state {
	ROW_GONE,
	ROW_RUNNING,
	ROW_BLOCKED_IN,
	ROW_BLOCKED_OUT,
};

/**
 * struct row - a task in a stage
 * @next: number of the next row with the same hash, plus 1
 * @stage: number of its stage
 * @tid: the task
 * @state: what it does now
 * @slot: the link that it waits for
 * @since: since when
 * @last: when it was last heard of; nothing that comes later is drawn before
 * @comm: its name
 */
struct row {
	uint32_t next;
	uint32_t stage;
	uint32_t tid;
	enum row_state state;
	uint32_t slot;
	uint64_t since;
	uint64_t last;
	char comm[TRACE_COMM];
};

/**
 * struct mark - something to be drawn
 * @time: when
 * @order: among those of the same time
 * @kind: 'B', 'E', 's', 'f', as the format has them; 'b', 'e', 'a': a stream's
 *	beginning, end and abort
 * @state: of 'B'
 * @row: of 'B', 'E', 's', 'f'
 * @slot: the link
 * @id: of 's' and 'f' what joins them, else the stream
 * @bytes: of a stream
 * @cause: of 'a'
 */
struct mark {
	uint64_t time;
	uint32_t order;
	char kind;
	uint8_t state;
	uint32_t row;
	uint32_t slot;
	uint64_t id;
	uint64_t bytes;
	struct {
		uint32_t cause;
		uint32_t code;
		uint32_t pid;
		char comm[TRACE_COMM];
	} cause;
};

/**
 * struct handoff - a hand-off that was begun
 * @end: where its bytes end; 0: none, or it was drawn
 * @time: when
 * @order: of its mark, should there be one: between those that were there and the next
 * @row: the task
 */
struct handoff {
	uint64_t end;
	uint64_t time;
	uint32_t order;
	uint32_t row;
};

#define ROW_BUCKETS	1024
#define ROWS_MAX	8192

/**
 * struct timeline - what happened
 * @probes: the links
 * @start: when it begins, CLOCK_MONOTONIC
 * @end: when it ends
 * @stages: their names, which are in @probes
 * @n_stages: how many
 * @rows: tasks
 * @n_rows: how many
 * @buckets: number of the first row of each hash, plus 1
 * @marks: what is to be drawn
 * @n_marks: how many
 * @room: of @marks
 * @limit: so many are enough
 * @handoffs: the newest of each link, PROBES_MAX times HANDOFFS
 * @next: which of a link's is replaced next
 * @flows: hand-offs that were seen from end to end
 * @lost: events that the kernel had no room for
 * @left_out: events of tasks that there was no room for
 */
struct timeline {
	const struct probes *probes;
	uint64_t start;
	uint64_t end;
	const char *stages[2 * PROBES_MAX];
	uint32_t n_stages;
	struct row *rows;
	uint32_t n_rows;
	uint32_t buckets[ROW_BUCKETS];
	struct mark *marks;
	size_t n_marks;
	size_t room;
	size_t limit;
	struct handoff (*handoffs)[HANDOFFS];
	uint8_t next[PROBES_MAX];
	uint64_t flows;
	uint64_t lost;
	uint64_t left_out;
};

struct timeline *timeline_new(const struct probes *probes, size_t limit);
void timeline_free(struct timeline *t);
void timeline_event(struct timeline *t, const struct trace_event *event);
bool timeline_full(const struct timeline *t);
void timeline_finish(struct timeline *t, uint64_t end);
void timeline_write(const struct timeline *t, const struct probed_stage *stages,
		    ssize_t slow, FILE *to);

#endif /* FAASCTL_TIMELINE_H */
