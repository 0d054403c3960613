/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that use an output whose records are dealt. */
#ifndef _USERSPACE_DEALS_H
#define _USERSPACE_DEALS_H

#include "kernel.h"

/* A round: bytes that were read. */
u64 deals_round(u64 seed);

/* Likewise, with operations on links and stages: that it comes to an end. */
u64 deals_operated_round(u64 seed);

/* One thread polls by an open file by which another one writes, which is all that knows of both. */
u64 deals_polled_round(u64 seed);

#endif /* _USERSPACE_DEALS_H */
