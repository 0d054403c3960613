/* SPDX-License-Identifier: GPL-2.0 */
/* What tests of splice() share. */
#ifndef _SELFTESTS_SPLICE_H
#define _SELFTESTS_SPLICE_H

#include "common.h"

/* Splices @len bytes from @from into @to, however many calls that takes: 0 or -errno. */
static inline long splice_all(int from, int to, size_t len)
{
	long n;

	for (; len; len -= n) {
		n = sys(splice(from, NULL, to, NULL, len, 0));
		if (n <= 0)
			return n ?: -ENODATA;
	}
	return 0;
}

#endif /* _SELFTESTS_SPLICE_H */
