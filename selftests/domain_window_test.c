// SPDX-License-Identifier: GPL-2.0
/*
 * Windows of channels in domains: what is mapped inside has the domain's key, and data goes from one to
 * the other through it. Skipped where there are no keys.
 */
#include <sched.h>
#include <stdatomic.h>

#include "common.h"

#include "domain_setup.h"

#define TEXT	"words in a window"

/* What all of them know of. */
static struct shared {
	int w, r;
	char *sent, *got;
	atomic_int ready, go;
} *s;

FIXTURE(window)
{
	struct flow flow;
	int w, r;
	struct faasctl_domain *a, *b, *c;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(window)
{
	struct faasctl_domain_options options;
};

FIXTURE_VARIANT_ADD(window, plain) { { 0 } };
FIXTURE_VARIANT_ADD(window, filtered) { { .flags = FAASCTL_DOMAIN_FILTER } };

FIXTURE_SETUP(window)
{
	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	if (variant->options.flags && !self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	ENDS_SETUP(self, NULL, O_RDWR, 0);
	ASSERT_EQ(0, faasctl_domain_new("a", &variant->options, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", &variant->options, &self->b, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &self->c, &self->err));
	s = faasctl_shared_alloc(sizeof(*s));
	ASSERT_NE(NULL, s);
	memset(s, 0, sizeof(*s));
	s->w = self->w;
	s->r = self->r;
}

FIXTURE_TEARDOWN(window)
{
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	EXPECT_OK(faasctl_domain_free(self->b, &self->err));
	EXPECT_OK(faasctl_domain_free(self->c, &self->err));
	ENDS_TEARDOWN(self);
}

static void stay(void)
{
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->go))
		sched_yield();
}

/* Returns 0, or what went wrong. */
static long hand_on(void *arg)
{
	struct faasctl_window *win;
	struct iovec part = { .iov_len = sizeof(TEXT) }, next = { .iov_len = 1 };
	int ret = faasctl_window_open(&win, s->w, NULL);

	if (!ret)
		ret = faasctl_window_alloc(win, sizeof(TEXT), &part.iov_base, NULL);
	if (ret)
		return ret;
	strcpy(part.iov_base, TEXT);
	ret = faasctl_window_send(win, &part, 1, NULL);
	/* One that it has still. */
	if (!ret)
		ret = faasctl_window_alloc(win, 100, &next.iov_base, NULL);
	if (ret)
		return ret;
	s->sent = next.iov_base;
	strcpy(s->sent, TEXT);
	stay();
	ret = strcmp(s->sent, TEXT) ? -1 : 0;
	faasctl_window_close(win);
	return ret;
}

static long take_over(void *arg)
{
	struct faasctl_window *win;
	struct iovec got;
	int ret = faasctl_window_open(&win, s->r, NULL);

	if (!ret)
		ret = faasctl_window_receive(win, &got, 1, NULL);
	if (ret != 1)
		return ret ? ret : -1;
	s->got = got.iov_base;
	if (got.iov_len != sizeof(TEXT) || strcmp(s->got, TEXT))
		return -2;
	stay();
	ret = faasctl_window_release(win, &got, 1, NULL);
	faasctl_window_close(win);
	return ret;
}

static long read_sent(void *arg) { return *(volatile char *)s->sent; }
static long read_got(void *arg) { return *(volatile char *)s->got; }

TEST_F(window, passes)
{
	struct faasctl_domain *d;
	long result = -1;

	EXPECT_OK(faasctl_domain_start(self->a, hand_on, NULL, &self->err));
	EXPECT_OK(faasctl_domain_start(self->b, take_over, NULL, &self->err));
	while (atomic_load(&s->ready) < 2)
		sched_yield();
	EXPECT_STREQ(TEXT, s->got);
	/* Another one gets at neither; they are in the domains that mapped them. */
	EXPECT_FAIL(EFAULT, "which is in domain a",
		    faasctl_domain_call(self->c, read_sent, NULL, NULL, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("d", NULL, &d, &self->err));
	EXPECT_FAIL(EFAULT, "which is in domain b",
		    faasctl_domain_call(d, read_got, NULL, NULL, &self->err));
	EXPECT_OK(faasctl_domain_free(d, &self->err));
	atomic_store(&s->go, 1);
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(0, result);
}

/* One that is left open goes with its domain: the port can be closed then, and the window is gone. */
static long leave_open(void *arg)
{
	struct faasctl_window *win;
	int ret = faasctl_window_open(&win, s->w, NULL);

	s->sent = NULL;
	return ret ? ret : faasctl_window_alloc(win, 100, (void **)&s->sent, NULL);
}

TEST_F(window, ends_with_domain)
{
	struct faasin_port_info info;
	long result = -1;

	EXPECT_OK(faasctl_domain_start(self->a, leave_open, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
	ASSERT_NE(NULL, s->sent);
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	self->a = NULL;
	EXPECT_EQ(0, ioctl(self->w, FAASIN_IOC_INFO, &info));
	EXPECT_EQ(-EFAULT, faasctl_domain_call(self->c, read_sent, NULL, NULL, &self->err));
}

TEST_HARNESS_MAIN
