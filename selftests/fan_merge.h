/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An input that merges the links of three stages, by each rule: an open file of each output that
 * does not wait, and one of the input.
 */
#ifndef _SELFTESTS_FAN_MERGE_H
#define _SELFTESTS_FAN_MERGE_H

#include "fan_in.h"
#include "records.h"

#include "harness.h"

#define STAGES		3
#define CAPACITY	(64 * KIB)

FIXTURE(merge)
{
	struct fan fan;
	int w[STAGES], r;
};

FIXTURE_VARIANT(merge)
{
	uint32_t merge;
};

FIXTURE_VARIANT_ADD(merge, records) { .merge = FAASIN_MERGE_RECORDS };
FIXTURE_VARIANT_ADD(merge, turn) { .merge = FAASIN_MERGE_TURN };

static inline struct faasctl_link_options merge_options(uint32_t merge)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.capacity = CAPACITY;
	options.merge = merge;
	options.flags = FAASCTL_RECORDS;
	return options;
}

FIXTURE_SETUP(merge)
{
	struct faasctl_link_options options = merge_options(variant->merge);
	unsigned int i;

	FAN_IN_SETUP(&self->fan, STAGES, &options);
	for (i = 0; i < STAGES; i++) {
		self->w[i] = fan_in_writer(&self->fan, i, O_NONBLOCK);
		ASSERT_LE(0, self->w[i]);
	}
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	ASSERT_LE(0, self->r);
}

FIXTURE_TEARDOWN(merge)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		close(self->w[i]);
	close(self->r);
	FAN_TEARDOWN(&self->fan);
}

#define EXPECT_NOTHING(fd)	EXPECT_EQ(-EAGAIN, sys(read(fd, (char [1]){ 0 }, 1)))

/* Ends the streams from @from on. */
static inline void end_from(int *w, unsigned int from)
{
	for (; from < STAGES; from++) {
		close(w[from]);
		w[from] = -1;
	}
}

static inline int abort_stream(int fd)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };

	return sys(ioctl(fd, FAASIN_IOC_ABORT, &abort));
}

#endif /* _SELFTESTS_FAN_MERGE_H */
