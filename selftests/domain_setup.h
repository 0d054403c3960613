/* SPDX-License-Identifier: GPL-2.0 */
/* How tests of domains begin, and what they expect of calls. */
#ifndef _FAASIN_SELFTESTS_DOMAIN_SETUP_H
#define _FAASIN_SELFTESTS_DOMAIN_SETUP_H

#include <faasctl/domain.h>

#include "harness.h"

/* From a domain's memory to that of the next one. */
#define SLOT	(1ul << 35)

/* WRPKRU, written by the byte: as one piece it would be in the program's own code. */
static inline void put_key_write(uint8_t *at)
{
	volatile uint8_t *code = at;

	code[0] = 0x0f;
	code[1] = 0x01;
	code[2] = 0xef;
}

/* For fixtures with the members err and info. */
#define DOMAINS_SETUP(self, options)				\
do {								\
	memset(self, 0, sizeof(*(self)));			\
	ASSERT_EQ(0, faasctl_domains_begin(options, &(self)->err))	\
		TH_LOG("%s", (self)->err.message);		\
	faasctl_domains_info(&(self)->info);			\
} while (0)

/* Skips what needs threads that are kept apart by keys. */
#define NEED_KEYS(self)						\
do {								\
	if (!(self)->info.threads) {				\
		EXPECT_STREQ("this machine, or its kernel, has no protection keys to give",	\
			     (self)->info.why);			\
		SKIP(return, "no protection keys here");	\
	}							\
} while (0)

/* Two domains: for fixtures with the members a and b, too. */
#define TWO_DOMAINS_SETUP(self)					\
do {								\
	ASSERT_EQ(0, faasctl_domain_new("a", NULL, &(self)->a, &(self)->err));	\
	ASSERT_EQ(0, faasctl_domain_new("b", NULL, &(self)->b, &(self)->err));	\
} while (0)

#define TWO_DOMAINS_TEARDOWN(self)				\
do {								\
	EXPECT_OK(faasctl_domain_free((self)->a, &(self)->err));	\
	EXPECT_OK(faasctl_domain_free((self)->b, &(self)->err));	\
} while (0)

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

#endif /* _FAASIN_SELFTESTS_DOMAIN_SETUP_H */
