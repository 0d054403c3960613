/* SPDX-License-Identifier: GPL-2.0 */
/* A flow and a pipe of 1 MiB that is spliced into it. */
#ifndef _SELFTESTS_SPLICE_FIXTURE_H
#define _SELFTESTS_SPLICE_FIXTURE_H

#include "splice.h"

#include "harness.h"

#define SIZE	(64 * KIB)	/* what one round is about */

FIXTURE(in)
{
	struct flow flow;
	int w, r;
	int pipe[2];
	uint8_t *buf;
};

FIXTURE_SETUP(in)
{
	SPLICE_SETUP(self, NULL, 0, MIB);
}

FIXTURE_TEARDOWN(in)
{
	SPLICE_TEARDOWN(self);
}

/* Splices @len bytes into the link, and says how many of them were moved. */
#define MOVED(len)								\
({										\
	uint64_t moved_before = flow_stats(&self->flow).bytes_in_moved;		\
										\
	ASSERT_EQ(0, splice_all(self->pipe[0], self->w, len));			\
	(long)(flow_stats(&self->flow).bytes_in_moved - moved_before);		\
})

/* The next @len bytes of the link are bytes @at on of stream @tag. */
#define EXPECT_BYTES(len, tag, at)						\
do {										\
	uint8_t *bytes = malloc(len);						\
										\
	EXPECT_EQ((long)(len), read_full(self->r, bytes, len));			\
	EXPECT_TRUE(pattern_is(bytes, len, tag, at));				\
	free(bytes);								\
} while (0)

#endif /* _SELFTESTS_SPLICE_FIXTURE_H */
