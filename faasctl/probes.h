/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What latency and trace share: the links that BPF programs look at. */
#ifndef FAASCTL_PROBES_H
#define FAASCTL_PROBES_H

#include <linux/types.h>

#include "bottleneck.h"
#include "bpf/links.h"
#include "monotonic.h"
#include "tool.h"

#define PROBES_MAX	1024

/**
 * struct probed - a link that is looked at; its index is its slot in BPF maps
 * @workflow: its workflow
 * @src_stage: the stage that writes
 * @src_port: its port
 * @dst_stage: the stage that reads
 * @dst_port: its port
 * @generation: which incarnation of the link; what tracepoints call it by
 * @capacity: bytes
 * @first: its counters, when they were first asked for
 * @stats: its counters, when they were last asked for
 * @again: it was made again since: another slot has its counters now
 */
struct probed {
	char workflow[FAASIN_NAME_MAX + 1];
	char src_stage[FAASIN_NAME_MAX + 1];
	char src_port[FAASIN_NAME_MAX + 1];
	char dst_stage[FAASIN_NAME_MAX + 1];
	char dst_port[FAASIN_NAME_MAX + 1];
	uint64_t generation;
	uint64_t capacity;
	struct faasctl_stats first;
	struct faasctl_stats stats;
	bool again;
};

/**
 * struct probes - the links that are looked at
 * @ctl: the handle
 * @workflow: whose, or NULL for all
 * @links: the links, deleted ones too
 * @n: how many
 * @room: how many there can be; PROBES_MAX before the maps are made
 * @left_out: there were more
 * @add: tells BPF programs of the link in a slot; NULL before there are any
 * @arg: for @add
 */
struct probes {
	struct faasctl *ctl;
	const char *workflow;
	struct probed *links;
	size_t n;
	size_t room;
	bool left_out;
	int (*add)(void *arg, const struct probed *link, uint32_t slot);
	void *arg;
};

/* For @n links, and as many again that are made meanwhile. */
static inline size_t probes_room(size_t n)
{
	size_t room = 2 * n + 64;

	return room < PROBES_MAX ? room : PROBES_MAX;
}

int probes_open(struct probes *probes, const char *workflow,
		struct faasctl_error *err);
int probes_refresh(struct probes *probes, struct faasctl_error *err);
void probes_close(struct probes *probes);

/**
 * struct run_time - how long a command runs
 * @end: when it ends, CLOCK_MONOTONIC; 0 for a signal only
 */
struct run_time {
	uint64_t end;
};

void run_time_start(struct run_time *time, uint32_t ms);
bool run_time_wait(const struct run_time *time, unsigned int ms);

struct bpf_map;

uint32_t links_room(struct bpf_map *map, size_t n);
int links_add(struct bpf_map *map, const struct link_entry *entry);

void bpf_quiet(void);
const char *bpf_missing(int code, bool needs_btf);

/**
 * struct probed_stage - a stage of links that are looked at
 * @workflow: its workflow
 * @stage: its name
 * @waits: what its links tell
 * @share: for how much of the time it is the bottleneck
 */
struct probed_stage {
	const char *workflow;
	const char *stage;
	struct stage_waits waits;
	double share;
};

ssize_t probes_bottlenecks(const struct probes *probes, struct probed_stage **list);

#endif /* FAASCTL_PROBES_H */
