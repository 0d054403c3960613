/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of "faasctl metrics" share. */
#ifndef FAASCTL_METRICS_H
#define FAASCTL_METRICS_H

#include "tool.h"

/* Two formats of the same: OpenMetrics 1.0, and what came before (text 0.0.4),
 * which node_exporter and promtool read.
 */
enum metrics_format {
	METRICS_OPENMETRICS,
	METRICS_PROMETHEUS,
};

int metrics_text(enum metrics_format format, char **text, size_t *len,
		 struct faasctl_error *err);

/* scrape.c */
int scrape_serve(const struct args *args, const char *where);

#endif /* FAASCTL_METRICS_H */
