/* SPDX-License-Identifier: GPL-2.0 */
/* A flow whose ends are open and mapped, for tests of windows that go as they should. */
#ifndef _SELFTESTS_WINDOW_FIXTURE_H
#define _SELFTESTS_WINDOW_FIXTURE_H

#include "window.h"

#include "harness.h"

FIXTURE(window)
{
	struct flow flow;
	int w, r;
	uint8_t *out;
	const uint8_t *in;
	struct faasin_window_info info;
	uint8_t *buf;
};

/* Chunks of one page, of several, and of those that larger entries show. */
FIXTURE_VARIANT(window)
{
	uint64_t capacity;
	bool trusted;
};

FIXTURE_VARIANT_ADD(window, small) { .capacity = 64 * KIB };
FIXTURE_VARIANT_ADD(window, usual) { .capacity = MIB };
FIXTURE_VARIANT_ADD(window, large) { .capacity = 8 * MIB };
FIXTURE_VARIANT_ADD(window, trusted) { .capacity = MIB, .trusted = true };
FIXTURE_VARIANT_ADD(window, trusted_large) { .capacity = 8 * MIB, .trusted = true };

FIXTURE_SETUP(window)
{
	struct flow_options options = { .capacity = variant->capacity,
					.trusted = variant->trusted };

	WINDOWS_SETUP(self, &options);
	self->buf = malloc(variant->capacity);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(window)
{
	free(self->buf);
	WINDOWS_TEARDOWN(self);
}

/* Allocates and fills; the offset or -errno. */
static long filled(struct __test_metadata *_metadata, FIXTURE_DATA(window) *self, size_t length,
		   unsigned int tag, uint64_t from)
{
	long at = window_alloc(self->w, length);

	if (at >= 0)
		pattern_fill(self->out + at, length, tag, from);
	return at;
}

#define FILLED(length, tag, from) filled(_metadata, self, length, tag, from)

/* The next record is one range of @length bytes of @tag; it is given back. */
#define EXPECT_RECORD(length_, tag_, from_)					\
do {										\
	struct faasin_range record = { 0 };					\
										\
	EXPECT_EQ(1, window_take(self->r, &record));				\
	EXPECT_EQ((uint64_t)(length_), record.length);				\
	EXPECT_TRUE(pattern_is(self->in + record.offset, record.length, tag_, from_));	\
	EXPECT_EQ(0, window_return(self->r, record.offset));			\
} while (0)

#endif /* _SELFTESTS_WINDOW_FIXTURE_H */
