/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attacks by system calls of a careful thread, past its keys. Each function makes them by itself, not
 * by the C library, and returns 1 if it could. In a domain with FAASCTL_DOMAIN_FILTER it must be
 * refused. In one without, on a thread just like it, it has to succeed: the filter is the one
 * defence.
 */
#ifndef _FAASIN_SELFTESTS_DOMAIN_FILTER_H
#define _FAASIN_SELFTESTS_DOMAIN_FILTER_H

#include <sys/mman.h>
#include <sys/syscall.h>

#include "domain_run.h"
#include "domain_targets.h"

/* Whether a call that cannot work came as far as to be told so by the kernel itself. */
#define COMES_TO(code, call)	((call) < 0 && errno == (code))

FIXTURE(filter)
{
	struct faasctl_domain *a, *b, *c;
	struct faasctl_error err;
	struct faasctl_domains_info info;
	void *page;
};

FIXTURE_VARIANT(filter)
{
	long (*fn)(void *arg);
	bool optional;	/* kernels may not have it */
};

#define ATTACK(name_, ...) FIXTURE_VARIANT_ADD(filter, name_) { .fn = name_, ##__VA_ARGS__ }

FIXTURE_SETUP(filter)
{
	/* Keys are left for whoever takes them. */
	struct faasctl_domains_options options = { .keys = 4 };

	DOMAINS_SETUP(self, &options);
	NEED_KEYS(self);
	if (!self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	TARGETS_SETUP(self, &filtered);
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &self->c, &self->err));
	self->page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

FIXTURE_TEARDOWN(filter)
{
	TARGETS_TEARDOWN(self);
	EXPECT_OK(faasctl_domain_free(self->c, &self->err));
}

/* Whether outside of all domains, too, there is no such call, device or way into the kernel. */
static bool is_lacking(long (*fn)(void *))
{
	pid_t pid = child();
	int status;

	if (!pid)
		_exit(fn(NULL) ? 0 : errno);
	status = child_end(pid);
	return status == ENOSYS || status == ENOENT || status == -SIGSEGV;
}

TEST_F(filter, attack)
{
	if (variant->optional && is_lacking(variant->fn))
		SKIP(return, "this kernel does not have what that takes");
	EXPECT_EQ(0, run(self->a, variant->fn, &self->page, &self->err))
		TH_LOG("%s", self->err.message);
	EXPECT_EQ(1, run(self->c, variant->fn, &self->page, &self->err))
		TH_LOG("%s", self->err.message);
}

#endif /* _FAASIN_SELFTESTS_DOMAIN_FILTER_H */
