/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that use an input with several links. */
#ifndef _USERSPACE_TURNS_H
#define _USERSPACE_TURNS_H

#include "kernel.h"

struct world;

/* A round: bytes that came whole. */
u64 turns_round(u64 seed);

/* Likewise, with several readers, and operations on links and stages: that it comes to an end. */
u64 turns_operated_round(u64 seed);

/* One of all that can be done to links that are in use, and to the stages at their ends. */
void turns_operate(struct world *w, u64 *dice);

/* A round of an input that merges its links. */
u64 merged_round(u64 seed);

/* Likewise, with several readers, and operations: bytes that came. */
u64 crowd_round(u64 seed);

/* Chance, of which each thread has its own. */
static inline u64 chance(u64 *dice)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 7;
	*dice ^= *dice << 17;
	return *dice;
}

static inline u64 chance_begin(u64 seed)
{
	return seed * 0x9e3779b97f4a7c15ULL | 1;
}

#endif /* _USERSPACE_TURNS_H */
