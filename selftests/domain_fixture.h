/* SPDX-License-Identifier: GPL-2.0 */
/* Two domains, as threads kept apart by keys and as processes: what tests of them begin with. */
#ifndef _FAASIN_SELFTESTS_DOMAIN_FIXTURE_H
#define _FAASIN_SELFTESTS_DOMAIN_FIXTURE_H

#include <faasctl/domain.h>

#include "harness.h"

FIXTURE(domain)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(domain)
{
	struct faasctl_domains_options options;
	bool threads;
};

FIXTURE_VARIANT_ADD(domain, threads) { .threads = true };
FIXTURE_VARIANT_ADD(domain, processes) { .options = { .flags = FAASCTL_DOMAINS_PROCESSES } };

FIXTURE_SETUP(domain)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, faasctl_domains_begin(&variant->options, &self->err))
		TH_LOG("%s", self->err.message);
	faasctl_domains_info(&self->info);
	if (variant->threads && !self->info.threads) {
		EXPECT_STREQ("this machine, or its kernel, has no protection keys to give",
			     self->info.why);
		SKIP(return, "no protection keys here");
	}
	ASSERT_EQ(variant->threads, self->info.threads);
	ASSERT_EQ(0, faasctl_domain_new("a", NULL, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", NULL, &self->b, &self->err));
	EXPECT_EQ(variant->threads, faasctl_domain_is_thread(self->a));
}

FIXTURE_TEARDOWN(domain)
{
	EXPECT_EQ(0, faasctl_domain_free(self->a, &self->err))
		TH_LOG("%s", self->err.message);
	EXPECT_EQ(0, faasctl_domain_free(self->b, &self->err))
		TH_LOG("%s", self->err.message);
}

#define EXPECT_OK(call)						\
	EXPECT_EQ(0, call)					\
		TH_LOG("%s", self->err.message)

/* @text says why the call failed with @code. */
#define EXPECT_FAIL(code, text, call)				\
do {								\
	self->err.message[0] = '\0';				\
	EXPECT_EQ(-(code), call);				\
	EXPECT_NE(NULL, strstr(self->err.message, text))	\
		TH_LOG("it said: %s", self->err.message);	\
} while (0)

#endif /* _FAASIN_SELFTESTS_DOMAIN_FIXTURE_H */
