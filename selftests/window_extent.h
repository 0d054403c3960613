/* SPDX-License-Identifier: GPL-2.0 */
/* A flow whose ends are open and mapped, and an extent that is filled: for whoever misuses it. */
#ifndef _SELFTESTS_WINDOW_EXTENT_H
#define _SELFTESTS_WINDOW_EXTENT_H

#include "window.h"

#include "harness.h"

FIXTURE(extent)
{
	struct flow flow;
	int w, r;
	uint8_t *out;
	const uint8_t *in;
	struct faasin_window_info info;
	long at;		/* an extent of LENGTH bytes, filled */
	uint8_t *mine;		/* where that is */
};

/* So that one larger entry shows an extent, or many small ones do. */
FIXTURE_VARIANT(extent)
{
	uint64_t capacity;
	uint64_t length;
	bool trusted;
};

FIXTURE_VARIANT_ADD(extent, pages) { .capacity = MIB, .length = 3 * PAGE };
FIXTURE_VARIANT_ADD(extent, large) { .capacity = 16 * MIB, .length = 4 * MIB };

FIXTURE_SETUP(extent)
{
	struct flow_options options = { .capacity = variant->capacity,
					.trusted = variant->trusted };

	WINDOWS_SETUP(self, &options);
	self->at = window_alloc(self->w, variant->length);
	ASSERT_LE(0, self->at);
	self->mine = self->out + self->at;
	pattern_fill(self->mine, variant->length, 1, 0);
}

FIXTURE_TEARDOWN(extent)
{
	WINDOWS_TEARDOWN(self);
}

#define SEND()	EXPECT_EQ(0, window_send(self->w, self->at, variant->length))

/* The extent is the consumer's, and what was sent. */
#define EXPECT_INTACT()								\
do {										\
	struct faasin_range intact = { 0 };					\
										\
	EXPECT_EQ(1, window_take(self->r, &intact));				\
	EXPECT_EQ(variant->length, intact.length);				\
	EXPECT_TRUE(pattern_is(self->in + intact.offset, intact.length, 1, 0));	\
} while (0)

/* For tests of what is the same on trusted links, or nearly so. */
#define TRUSTED_VARIANTS							\
	FIXTURE_VARIANT_ADD(extent, trusted)					\
	{ .capacity = MIB, .length = 3 * PAGE, .trusted = true };		\
	FIXTURE_VARIANT_ADD(extent, trusted_large)				\
	{ .capacity = 16 * MIB, .length = 4 * MIB, .trusted = true }

/* The extent is not the caller's any more: it sees it on a trusted link only, where it still is. */
#define EXPECT_GONE()								\
do {										\
	if (variant->trusted) {							\
		EXPECT_TRUE(pattern_is(self->mine, variant->length, 1, 0));	\
	} else {								\
		EXPECT_EQ(-SIGBUS, window_poke(self->mine, 0xee));		\
	}									\
} while (0)

#endif /* _SELFTESTS_WINDOW_EXTENT_H */
