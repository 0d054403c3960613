/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clock that intervals are measured by, and the kernel's events. */
#ifndef FAASCTL_MONOTONIC_H
#define FAASCTL_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

#endif /* FAASCTL_MONOTONIC_H */
