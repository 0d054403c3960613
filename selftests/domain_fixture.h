/* SPDX-License-Identifier: GPL-2.0 */
/* Two domains, as threads kept apart by keys and as processes: what tests of them begin with. */
#ifndef _FAASIN_SELFTESTS_DOMAIN_FIXTURE_H
#define _FAASIN_SELFTESTS_DOMAIN_FIXTURE_H

#include "domain_setup.h"

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
	DOMAINS_SETUP(self, &variant->options);
	if (variant->threads)
		NEED_KEYS(self);
	ASSERT_EQ(variant->threads, self->info.threads);
	TWO_DOMAINS_SETUP(self);
	EXPECT_EQ(variant->threads, faasctl_domain_is_thread(self->a));
}

FIXTURE_TEARDOWN(domain)
{
	TWO_DOMAINS_TEARDOWN(self);
}

#endif /* _FAASIN_SELFTESTS_DOMAIN_FIXTURE_H */
