/* SPDX-License-Identifier: GPL-2.0 */
/* A fixture whose tests run at several capacities of a link. */
#ifndef _FAASIN_SELFTESTS_CAPACITIES_H
#define _FAASIN_SELFTESTS_CAPACITIES_H

#include "harness.h"

/*
 * FIXTURE_OF_CAPACITIES(NAME, FLAGS) stands for FIXTURE(), its variants, setup and
 * teardown. @flags: how the writing end is opened. Tests have self->flow, both ends
 * as self->w and self->r, and in self->buf capacity + MIB bytes of the pattern of tag 1.
 */
#define FIXTURE_OF_CAPACITIES(name, flags)					\
FIXTURE(name)									\
{										\
	struct flow flow;							\
	int w, r;								\
	uint8_t *buf;								\
};										\
FIXTURE_VARIANT(name)								\
{										\
	size_t capacity;							\
};										\
FIXTURE_VARIANT_ADD(name, page) { .capacity = FAASIN_CAPACITY_MIN };		\
FIXTURE_VARIANT_ADD(name, odd) { .capacity = 7 * PAGE };			\
FIXTURE_VARIANT_ADD(name, usual) { .capacity = FAASIN_CAPACITY_DEFAULT };	\
FIXTURE_SETUP(name)								\
{										\
	const struct flow_options options = { .capacity = variant->capacity };	\
										\
	ENDS_SETUP(self, &options, flags, 0);					\
	self->buf = malloc(variant->capacity + MIB);				\
	ASSERT_NE(NULL, self->buf);						\
	pattern_fill(self->buf, variant->capacity + MIB, 1, 0);			\
}										\
FIXTURE_TEARDOWN(name)								\
{										\
	ENDS_TEARDOWN(self);							\
}

#endif /* _FAASIN_SELFTESTS_CAPACITIES_H */
