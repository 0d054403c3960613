/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bitmaps, a bit at a time.
 */
#ifndef _USERSPACE_BITMAP_H
#define _USERSPACE_BITMAP_H

#include "atomic.h"

#define BITS_PER_LONG		64
#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)

static inline bool bitmap_has(unsigned long *map, unsigned int n)
{
	return READ_ONCE(map[n / BITS_PER_LONG]) >> n % BITS_PER_LONG & 1;
}

static inline void bitmap_put(unsigned long *map, unsigned int first, unsigned int nr, bool set)
{
	unsigned long word, bit;

	for (; nr; first++, nr--) {
		word = READ_ONCE(map[first / BITS_PER_LONG]);
		bit = 1UL << first % BITS_PER_LONG;
		WRITE_ONCE(map[first / BITS_PER_LONG], set ? word | bit : word & ~bit);
	}
}

static inline void bitmap_set(unsigned long *map, unsigned int first, unsigned int nr)
{
	bitmap_put(map, first, nr, true);
}

static inline void bitmap_clear(unsigned long *map, unsigned int first, unsigned int nr)
{
	bitmap_put(map, first, nr, false);
}

static inline unsigned long bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
						       unsigned long from, unsigned int nr,
						       unsigned long align_mask)
{
	unsigned long at = (from + align_mask) & ~align_mask, n;

	for (; at + nr <= size; at = (at + n + 1 + align_mask) & ~align_mask) {
		for (n = 0; n < nr && !bitmap_has(map, at + n); n++)
			;
		if (n == nr)
			return at;
	}
	return size + 1;
}

#endif /* _USERSPACE_BITMAP_H */
