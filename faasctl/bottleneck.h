/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which stage the others wait for, and for how much of the time: one rule for all
 * commands that name it. It goes by two readings of the links' counters.
 */
#ifndef FAASCTL_BOTTLENECK_H
#define FAASCTL_BOTTLENECK_H

#include <stdbool.h>

#include <faasctl.h>

/* Less than this share of the time is no bottleneck. */
#define BOTTLENECK_LEAST	0.2

/**
 * struct link_waits - how much the sides of a link waited between two readings
 * @writers: that writers were blocked: a share of the time; of several together, at
 *	most 1
 * @readers: likewise
 * @written: somebody wrote, or has a stream open
 */
struct link_waits {
	double writers;
	double readers;
	bool written;
};

/**
 * struct stage_waits - what the links of a stage tell of it; all zeroes before they do
 * @inputs: how many links end there
 * @outputs: how many begin there
 * @pushed: the most that writers of one of its inputs waited
 * @pulled: the most that readers of one of its outputs waited
 * @waited: how much it waited itself, on all of its links
 * @writes: one of its outputs is written
 */
struct stage_waits {
	unsigned int inputs;
	unsigned int outputs;
	double pushed;
	double pulled;
	double waited;
	bool writes;
};

bool stats_restarted(const struct faasctl_stats *before,
		     const struct faasctl_stats *now);
struct link_waits link_waits(const struct faasctl_stats *before,
			     const struct faasctl_stats *now);
void stage_waits_add(struct stage_waits *src, struct stage_waits *dst,
		     const struct link_waits *link);
double bottleneck_share(const struct stage_waits *stage);

#endif /* FAASCTL_BOTTLENECK_H */
