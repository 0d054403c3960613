/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of fan-in share: a workflow whose stages "p0", "p1" and so on are linked to "d",
 * each by a link of its own.
 */
#ifndef _SELFTESTS_FAN_IN_H
#define _SELFTESTS_FAN_IN_H

#include "fan.h"

/* 0 or -errno. fan_del() undoes it. */
int fan_in_new(struct fan *f, unsigned int n, const struct faasctl_link_options *options);
int fan_in_set_state(struct fan *f, unsigned int i, uint32_t state);
int fan_in_resize(struct fan *f, unsigned int i, uint64_t capacity);

/* Of the link of "p@i" to "d"; all zeroes if there is none. */
struct link_state fan_in_state(struct fan *f, unsigned int i);

/* What the input of "d" says of itself. */
struct faasctl_port fan_in_port(struct fan *f);

/* Descriptors or -errno. */
int fan_in_writer(struct fan *f, unsigned int i, int flags);
int fan_in_reader(struct fan *f, int flags);

#define FAN_IN_SETUP(fan, n, options)						\
do {										\
	int fan_in_error = fan_in_new(fan, n, options);				\
										\
	ASSERT_EQ(0, fan_in_error)						\
		TH_LOG("no links: %s; %s", strerror(-fan_in_error), (fan)->refusal);	\
} while (0)

/* All that is written to "p@i" in one stream, which ends. */
#define EXPECT_STREAM(i, text)							\
do {										\
	int stream_fd = fan_in_writer(&self->fan, i, 0);			\
										\
	ASSERT_LE(0, stream_fd);						\
	EXPECT_WRITE(stream_fd, text);						\
	close(stream_fd);							\
} while (0)

/* The next stream that is read is this one: all of it, and how it ends. */
#define EXPECT_NEXT(text, how)							\
do {										\
	int next_fd = fan_in_reader(&self->fan, 0);				\
										\
	ASSERT_LE(0, next_fd);							\
	EXPECT_READ(next_fd, text);						\
	EXPECT_OVER(next_fd, how);						\
	close(next_fd);								\
} while (0)

#endif /* _SELFTESTS_FAN_IN_H */
