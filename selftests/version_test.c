// SPDX-License-Identifier: GPL-2.0
/*
 * A library of another version than the module: the library's own check, built here
 * as the next version's would be, against the module that is loaded.
 */
#include <linux/faasin.h>

#undef FAASIN_ABI_VERSION
#define FAASIN_ABI_VERSION 4711

/* In place of the library's handle.o, which is then not linked. */
#undef ARRAY_SIZE
#include "../libfaasctl/handle.c"
#include "harness.h"

FIXTURE(version) {
	struct faasctl *ctl;
	struct faasctl_error err;
};

FIXTURE_SETUP(version)
{
	self->ctl = (struct faasctl *)-1;
	if (access("/sys/module/faasin", F_OK))
		SKIP(return, "the module is not loaded");
}

FIXTURE_TEARDOWN(version)
{
}

TEST_F(version, open_is_refused)
{
	EXPECT_EQ(-EPROTO, faasctl_open(&self->ctl, &self->err));
	EXPECT_EQ(NULL, self->ctl);
	EXPECT_EQ(EPROTO, self->err.code);
	EXPECT_STREQ("faasin: the module speaks ABI 1, this tool 4711: install matching versions",
		     self->err.message);
}

TEST_F(version, events_are_refused)
{
	struct faasctl_events *events = (struct faasctl_events *)-1;

	EXPECT_EQ(-EPROTO, faasctl_events_open(&events, &self->err));
	EXPECT_EQ(NULL, events);
	EXPECT_EQ(EPROTO, self->err.code);
}

TEST_F(version, refused_without_anywhere_to_explain)
{
	EXPECT_EQ(-EPROTO, faasctl_open(&self->ctl, NULL));
	EXPECT_EQ(NULL, self->ctl);
}

/* For who wants to tell what is wrong. */
TEST_F(version, info_is_given)
{
	struct faasctl_info info;

	ASSERT_EQ(0, faasctl_info_get(NULL, &info, &self->err));
	EXPECT_EQ(1, info.abi);
	EXPECT_NE('\0', info.version[0]);
	EXPECT_LT(0, info.workflows_max);
}

TEST_HARNESS_MAIN
