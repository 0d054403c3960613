/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Histograms by powers of two, as BPF programs fill them. */
#ifndef FAASCTL_HISTOGRAM_H
#define FAASCTL_HISTOGRAM_H

#include <linux/types.h>

#include "bpf/latency.h"
#include "tool.h"

void histogram_add(struct histogram *to, const struct histogram *from);
void histogram_sub(struct histogram *to, const struct histogram *from);
uint64_t histogram_count(const struct histogram *h);
uint64_t histogram_percentile(const struct histogram *h, unsigned int percent);
void histogram_range(const struct histogram *h, unsigned int *first, unsigned int *last,
		     uint64_t *most);
void histogram_print(const struct histogram *h, const char *unit,
		     const char *what);
struct json_t *histogram_json(const struct histogram *h, const char *unit);

#endif /* FAASCTL_HISTOGRAM_H */
