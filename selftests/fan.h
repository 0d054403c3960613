/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of fan-out share: a workflow whose stage "a" is linked to "r0", "r1" and so on,
 * and a cgroup that pays.
 */
#ifndef _SELFTESTS_FAN_H
#define _SELFTESTS_FAN_H

#include "common.h"

/**
 * struct fan - an output with several links
 * @name: of the workflow and of its cgroup
 * @log: the kernel's log since fan_new()
 * @n: how many stages there are besides "a"
 * @refusal: what was said by the last request that failed
 */
struct fan {
	char name[32];
	int log;
	unsigned int n;
	char refusal[512];
};

/* All return 0 or -errno. */
int fan_new(struct fan *f, unsigned int n, const struct faasctl_link_options *options);
int fan_stage(struct fan *f, const char *name);
int fan_link(struct fan *f, const char *src, const char *dst,
	     const struct faasctl_link_options *options);
int fan_unlink(struct fan *f, const char *src, const char *dst);
int fan_resize(struct fan *f, const char *dst, uint64_t capacity);
int fan_set_state(struct fan *f, const char *dst, uint32_t state);
int fan_replace(struct fan *f, const char *stage);
void fan_del(struct fan *f);

/* Of a link. */
struct faasctl_link_options fan_slow_options(uint64_t capacity, uint32_t slow);

/* The names "r@from" to "r@to", and so on, with commas. Valid until the next call. */
const char *fan_list(unsigned int from, unsigned int to);

/* How many links "a" has. */
unsigned int fan_links(struct fan *f);

/* Of the link to "r@i"; all zeroes if there is none. */
struct link_state fan_state(struct fan *f, unsigned int i);

/* Of the workflow: sums over all links that there were. */
struct faasctl_stats fan_sums(struct fan *f);

/* Descriptors or -errno. */
int fan_writer(struct fan *f, int flags);
int fan_reader(struct fan *f, unsigned int i, int flags);

void nonblocking(int fd);

/* What poll() says, or -errno. */
int ready(int fd);

/* Waits until there is room; false if none comes. */
bool fan_gets_room(int fd);

/* Writes bytes of @tag until there is no room: how much that was, or -errno. */
long fill(int fd, unsigned int tag);

/* Reads @len bytes of @tag, from @at on; whether that is what there was. */
bool reads(int fd, size_t len, unsigned int tag, uint64_t at);

#define FAN_SETUP(fan, n, options)						\
do {										\
	int fan_error = fan_new(fan, n, options);				\
										\
	ASSERT_EQ(0, fan_error)							\
		TH_LOG("no links: %s; %s", strerror(-fan_error), (fan)->refusal);	\
} while (0)

#define FAN_TEARDOWN(fan)							\
do {										\
	const char *fan_complaint;						\
										\
	fan_del(fan);								\
	fan_complaint = log_complaint((fan)->log);				\
	EXPECT_EQ(NULL, fan_complaint)						\
		TH_LOG("the kernel's log: %s", fan_complaint);			\
	close((fan)->log);							\
} while (0)

#endif /* _SELFTESTS_FAN_H */
