/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* W3C traceparent: 00-TRACE-PARENT-FLAGS. */
#ifndef FAASCTL_TRACEPARENT_H
#define FAASCTL_TRACEPARENT_H

#include "tool.h"

#define TRACE_ID_AT	3
#define TRACE_ID_LEN	32
#define PARENT_ID_AT	36
#define PARENT_ID_LEN	16

bool traceparent_valid(const char *s);
void traceparent_give(int out);
void traceparent_take(int in);

#endif /* FAASCTL_TRACEPARENT_H */
