// SPDX-License-Identifier: GPL-2.0
/* Ranges that programs were given: see ranges.h. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "program.h"
#include "ranges.h"

#define GIVEN	32

/* In use while its length is not 0. */
static struct given {
	int fd;
	enum given_as as;
	struct faasin_range range;
} given[GIVEN];
static unsigned int newest;

/* Nobody forks while another thread of the program is there that could have it. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void range_given(int fd, enum given_as as, struct faasin_range range)
{
	pthread_mutex_lock(&mutex);
	newest = (newest + 1) % GIVEN;
	given[newest] = (struct given){ fd, as, range };
	pthread_mutex_unlock(&mutex);
}

static bool fits(const struct given *g, int fd, enum given_as as)
{
	return g->range.length && (as == GIVEN_EITHER || g->as == as) &&
	       (fd == ANY_FD || g->fd == ANY_FD || g->fd == fd);
}

unsigned int ranges_of(int fd, enum given_as as, struct faasin_range *range, unsigned int n)
{
	unsigned int found = 0, i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < GIVEN && found < n; i++) {
		const struct given *g = &given[(newest + GIVEN - i) % GIVEN];

		if (fits(g, fd, as))
			range[found++] = g->range;
	}
	pthread_mutex_unlock(&mutex);
	return found;
}

void range_gone(int fd, enum given_as as, uint64_t offset)
{
	unsigned int i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < GIVEN; i++) {
		struct given *g = &given[(newest + GIVEN - i) % GIVEN];

		if (fits(g, fd, as) && g->range.offset == offset) {
			g->range.length = 0;
			break;
		}
	}
	pthread_mutex_unlock(&mutex);
}

void ranges_end(void)
{
	memset(given, 0, sizeof(given));
}
