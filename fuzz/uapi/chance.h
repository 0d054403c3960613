/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers by chance: the same ones for the same seed. */
#ifndef _FUZZ_UAPI_CHANCE_H
#define _FUZZ_UAPI_CHANCE_H

#include "common.h"

extern uint64_t chance_seed;	/* not 0 */

static inline uint64_t chance(uint64_t below)
{
	return (random_next(&chance_seed) >> 11) % below;
}

static inline bool one_in(uint64_t n)
{
	return !chance(n);
}

#endif /* _FUZZ_UAPI_CHANCE_H */
