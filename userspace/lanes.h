/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that pass extents on by lanes, with libfaasctl's own code. */
#ifndef _USERSPACE_LANES_H
#define _USERSPACE_LANES_H

#include "kernel.h"

/* A round of streams that go on by a lane: bytes that came whole. */
u64 lanes_round(u64 seed);

/* Likewise, not waiting but polling. */
u64 lanes_polled_round(u64 seed);

/* Likewise, with a link that is paused, memory that is short, ports that do not go by the lane. */
u64 lanes_operated_round(u64 seed);

/* One side writes garbage into what is shared: that the other one is told. */
u64 lanes_garbage_round(u64 seed);

#endif /* _USERSPACE_LANES_H */
