/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ranges of windows that the module gave to a program: what it can name when it passes something
 * on. The newest are kept, of all its threads; a second process begins with those that there were.
 */
#ifndef _FUZZ_UAPI_RANGES_H
#define _FUZZ_UAPI_RANGES_H

#include <linux/faasin.h>
#include <stdint.h>

#define ANY_FD		(-1)	/* had by a lane: which port's it is nobody noted */

enum given_as {
	GIVEN_EMPTY,		/* to be filled */
	GIVEN_FULL,		/* to be read */
	GIVEN_EITHER,
};

/* Descriptor @fd was given a range. */
void range_given(int fd, enum given_as as, struct faasin_range range);

/* The newest @n that @fd may name, or fewer: how many. */
unsigned int ranges_of(int fd, enum given_as as, struct faasin_range *range, unsigned int n);

/* It was passed on: of those that @fd may name, the newest that begins there. */
void range_gone(int fd, enum given_as as, uint64_t offset);

/* The program is over. */
void ranges_end(void);

#endif /* _FUZZ_UAPI_RANGES_H */
