/* SPDX-License-Identifier: GPL-2.0 */
/* What tests of links with records share. */
#ifndef _SELFTESTS_RECORDS_H
#define _SELFTESTS_RECORDS_H

#include "common.h"

/* One call that must give exactly this text, though it has room for more. */
#define EXPECT_RECORD_READ(fd, text)						\
do {										\
	const char *record_text = (text);					\
	char record_buf[256] = "";						\
	long record_len = sys(read(fd, record_buf, sizeof(record_buf) - 1));	\
										\
	EXPECT_EQ((long)strlen(record_text), record_len)			\
		TH_LOG("reading '%s'", record_text);				\
	EXPECT_STREQ(record_text, record_buf);					\
} while (0)

/* One call with room for @room bytes gives @len of @tag, from @at on. */
static inline bool record_is(int fd, size_t room, size_t len, unsigned int tag, uint64_t at)
{
	uint8_t *buf = malloc(room);
	bool is = sys(read(fd, buf, room)) == (long)len && pattern_is(buf, len, tag, at);

	free(buf);
	return is;
}

/* A record of @len bytes of @tag: @len, or -errno. */
static inline long record_write(int fd, size_t len, unsigned int tag)
{
	uint8_t *buf = malloc(len);
	long n;

	pattern_fill(buf, len, tag, 0);
	n = sys(write(fd, buf, len));
	free(buf);
	return n;
}

#endif /* _SELFTESTS_RECORDS_H */
