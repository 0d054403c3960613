/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The BPF programs of latency.bpf.c at work: distributions of times and sizes, by link. A link
 * has a slot, a number that its user chooses.
 */
#ifndef FAASCTL_METER_H
#define FAASCTL_METER_H

#include "histogram.h"

struct meter;

/* Returns 0 or a negative errno, which bpf_missing() explains. @links: how many slots. */
int meter_open(struct meter **meter, size_t links);

/* From then on the link of that generation counts in @slot. -ENOSPC: no place for it. */
int meter_add(struct meter *meter, uint32_t slot, uint64_t generation, uint64_t capacity);

/* Attaches the programs. */
int meter_start(struct meter *meter);

/* What was measured of a slot since it was added. */
int meter_read(const struct meter *meter, uint32_t slot, struct latency_link *to);

void meter_close(struct meter *meter);

#endif /* FAASCTL_METER_H */
