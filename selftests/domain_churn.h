/* SPDX-License-Identifier: GPL-2.0 */
/* Work for a heap, for tests of domains. */
#ifndef _FAASIN_SELFTESTS_DOMAIN_CHURN_H
#define _FAASIN_SELFTESTS_DOMAIN_CHURN_H

#include <malloc.h>

#include "common.h"

/* Allocates, frees and checks memory of all sizes for a while. */
static long churn(void *arg)
{
	uint64_t seed = (long)arg;
	unsigned char *p[64] = { 0 };
	size_t size[64], i, n;
	unsigned int round;

	for (round = 0; round < 3000; round++) {
		i = random_next(&seed) % 64;
		if (p[i] && (p[i][0] != (unsigned char)i || p[i][size[i] - 1] != (unsigned char)i))
			return -1;
		n = 1 + random_next(&seed) % (round % 50 ? 3000 : 3000000);
		if (round % 3 || !p[i]) {
			free(p[i]);
			p[i] = round % 2 ? malloc(n) : calloc(1, n);
		} else {
			p[i] = realloc(p[i], n);
		}
		if (!p[i] || malloc_usable_size(p[i]) < n)
			return -2;
		size[i] = n;
		p[i][0] = i;
		p[i][n - 1] = i;
	}
	for (i = 0; i < 64; i++)
		free(p[i]);
	return 0;
}

#endif /* _FAASIN_SELFTESTS_DOMAIN_CHURN_H */
