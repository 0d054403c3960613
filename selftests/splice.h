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

/*
 * Of a fixture: a flow's two ends, a pipe of 1 MiB, and @size bytes of memory, of which the first
 * MiB is stream 1's.
 */
#define SPLICE_SETUP(self, options, flags, size)				\
do {										\
	ENDS_SETUP(self, options, flags, flags);				\
	(self)->buf = malloc(size);						\
	ASSERT_NE(NULL, (self)->buf);						\
	ASSERT_EQ(0, pipe2((self)->pipe, O_CLOEXEC));				\
	ASSERT_EQ((int)MIB, fcntl((self)->pipe[1], F_SETPIPE_SZ, (int)MIB));	\
	pattern_fill((self)->buf, MIB, 1, 0);					\
} while (0)

#define SPLICE_TEARDOWN(self)							\
do {										\
	free((self)->buf);							\
	close((self)->pipe[0]);							\
	close((self)->pipe[1]);							\
	ENDS_TEARDOWN(self);							\
} while (0)

#endif /* _SELFTESTS_SPLICE_H */
