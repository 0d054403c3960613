/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long bytes stay in each link that `faasctl top` shows, measured by BPF programs. */
#ifndef FAASCTL_RESIDENCE_H
#define FAASCTL_RESIDENCE_H

#include "histogram.h"
#include "top.h"

/**
 * struct residence - how long the bytes of a link stayed
 * @generation: of the link that was measured
 * @ever: microseconds, counted in bytes, since it is measured
 * @last: of these, between the last two readings
 */
struct residence {
	uint64_t generation;
	struct histogram ever;
	struct histogram last;
};

int residence_begin(struct top *top);
int residence_read(struct top *top);
void residence_end(struct top *top);
int64_t residence_percentile_ns(const struct rates_link *link, unsigned int percent);

#endif /* FAASCTL_RESIDENCE_H */
