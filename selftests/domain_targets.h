/* SPDX-License-Identifier: GPL-2.0 */
/* A domain that lives and keeps secrets, for tests of attacks on it. */
#ifndef _FAASIN_SELFTESTS_DOMAIN_TARGETS_H
#define _FAASIN_SELFTESTS_DOMAIN_TARGETS_H

#include <sched.h>
#include <stdatomic.h>

#include "domain_setup.h"

#define SECRET	"a secret of stage b"

/* Where b keeps things; for a to attack. */
struct targets {
	char *heap;
	char *spare[2];	/* nobody looks at these */
	char *large;
	char *stack;
	char *tls;
	char *input;
	char *domain;
	pid_t pid;
	int pipe[2];
	atomic_int ready;
	atomic_int go;
};

static struct targets *t;
static __thread char tls_secret[32];

static long live(void *arg)
{
	char stack[64] = SECRET;

	t->heap = strdup(SECRET);
	t->spare[0] = malloc(100);
	t->spare[1] = malloc(100);
	t->large = malloc(5 << 20);
	strcpy(t->large + (4 << 20), SECRET);
	strcpy(tls_secret, SECRET);
	/* Its own process, if it is no thread of this one. */
	t->pid = getpid();
	t->tls = tls_secret;
	t->stack = stack;
	atomic_store(&t->ready, 1);
	while (!atomic_load(&t->go))
		sched_yield();
	return !strcmp(t->heap, SECRET) && !strcmp(stack, SECRET) && !strcmp(tls_secret, SECRET);
}

/* Whether it could be read. */
static inline long reads(const char *at)
{
	return !memcmp(at, SECRET, sizeof(SECRET));
}

/* b lives, for a to attack. */
static void live_begin(struct faasctl_domain *b, struct faasctl_domain *a)
{
	t = faasctl_shared_alloc(sizeof(*t));
	if (!t || pipe(t->pipe))
		abort();
	t->domain = (char *)a;
	if (faasctl_domain_start(b, live, NULL, NULL))
		abort();
	while (!atomic_load(&t->ready))
		sched_yield();
}

/* Whether it is unharmed, or -errno. */
static long live_end(struct faasctl_domain *b, struct faasctl_error *err)
{
	long unharmed = 0;
	int ret;

	atomic_store(&t->go, 1);
	ret = faasctl_domain_join(b, &unharmed, err);
	return ret ? ret : unharmed;
}

/*
 * Domain a, made with @options, and b, which lives: for fixtures with the members a, b, err.
 * Without keys b is a careful process, to be made before a hostile one.
 */
#define TARGETS_SETUP(self, options)						\
do {										\
	ASSERT_EQ(0, faasctl_domain_new("b", NULL, &(self)->b, &(self)->err));	\
	ASSERT_EQ(0, faasctl_domain_new("a", options, &(self)->a, &(self)->err));	\
	live_begin((self)->b, (self)->a);					\
} while (0)

#define TARGETS_TEARDOWN(self)							\
do {										\
	EXPECT_EQ(1, live_end((self)->b, &(self)->err))				\
		TH_LOG("%s", (self)->err.message);				\
	TWO_DOMAINS_TEARDOWN(self);						\
} while (0)

#endif /* _FAASIN_SELFTESTS_DOMAIN_TARGETS_H */
