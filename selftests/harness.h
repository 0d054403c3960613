/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's test harness, with limits that grow with slower(): those of the harness
 * are for kernels that are not instrumented.
 */
#ifndef _FAASIN_SELFTESTS_HARNESS_H
#define _FAASIN_SELFTESTS_HARNESS_H

#include <kselftest_harness.h>

#include "common.h"

static int harness_run(int argc, char **argv)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= slower();
	return test_harness_run(argc, argv);
}

/* What TEST_HARNESS_MAIN calls. */
#define test_harness_run(argc, argv)	harness_run(argc, argv)

#endif /* _FAASIN_SELFTESTS_HARNESS_H */
