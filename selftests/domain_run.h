/* SPDX-License-Identifier: GPL-2.0 */
/* Domains with a filter, and threads in domains, for tests. */
#ifndef _FAASIN_SELFTESTS_DOMAIN_RUN_H
#define _FAASIN_SELFTESTS_DOMAIN_RUN_H

#include <signal.h>
#include <unistd.h>

#include "common.h"
#include "domain_setup.h"

static const struct faasctl_domain_options filtered = { .flags = FAASCTL_DOMAIN_FILTER };

/* What @fn returns on a thread of the domain's, or -errno. */
static inline long run(struct faasctl_domain *domain, long (*fn)(void *arg), void *arg, struct faasctl_error *err)
{
	long result = -1;
	int ret = faasctl_domain_start(domain, fn, arg, err);

	if (!ret)
		ret = faasctl_domain_join(domain, &result, err);
	return ret ? ret : result;
}

/* No test hangs for it: this one says why it ends. */
static inline void lock_is_lost(int sig)
{
	static const char text[] = "# a lock of the allocator is lost: nobody gets it\n";

	_exit(write(STDOUT_FILENO, text, sizeof(text) - 1) < 0 ? 2 : 1);
}

/* What takes the allocator's locks, all of them in the end. */
static inline void use_locks(void)
{
	size_t size;
	pid_t pid;

	signal(SIGALRM, lock_is_lost);
	alarm(5 * slower());
	for (size = 1; size <= 4096; size += size / 8 + 1)
		free(malloc(size));
	pid = child();
	if (!pid)
		_exit(0);
	alarm(0);
	if (child_end(pid))
		abort();
}

#endif /* _FAASIN_SELFTESTS_DOMAIN_RUN_H */
