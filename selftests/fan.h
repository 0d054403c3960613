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

/* A connection a request: children have copies of what is open. */
#define FAN_REQUEST(f, call)						\
({									\
	struct faasctl_error err = { 0 };				\
	struct faasctl *ctl = NULL;					\
	int request_error = faasctl_open(&ctl, &err);			\
									\
	if (!request_error)						\
		request_error = call;					\
	faasctl_close(ctl);						\
	snprintf((f)->refusal, sizeof((f)->refusal), "%s", err.message);	\
	request_error;							\
})

/* All return 0 or -errno. */
int fan_new(struct fan *f, unsigned int n, const struct faasctl_link_options *options);
int fan_stage(struct fan *f, const char *name);
int fan_link(struct fan *f, const char *src, const char *dst,
	     const struct faasctl_link_options *options);
int fan_unlink(struct fan *f, const char *src, const char *dst);
int fan_resize(struct fan *f, const char *dst, uint64_t capacity);
int fan_set_state(struct fan *f, const char *dst, uint32_t state);	/* of a's link to it */
int fan_link_set_state(struct fan *f, const char *src, const char *dst, uint32_t state);
int fan_replace(struct fan *f, const char *stage);
void fan_del(struct fan *f);

/* Of a link. */
struct faasctl_link_options fan_slow_options(uint64_t capacity, uint32_t slow);

/* Of links that records are dealt to. */
#define FAN_DEALT_INIT(bytes)							\
{										\
	.size = sizeof(struct faasctl_link_options),				\
	.capacity = bytes,							\
	.abort_on = FAASCTL_UNSET,						\
	.early_close = FAASCTL_UNSET,						\
	.slow = FAASCTL_UNSET,							\
	.flags = FAASCTL_DEAL | FAASCTL_RECORDS,				\
}

/* The names "r@from" to "r@to", if @of is 'r', with commas. Valid until the next call. */
const char *fan_list(char of, unsigned int from, unsigned int to);

/* How many links there are in the workflow. */
unsigned int fan_links(struct fan *f);

/* Of a link, or of a's to "r@i"; all zeroes if there is none. */
struct link_state fan_link_state(struct fan *f, const char *src, const char *dst);
struct link_state fan_state(struct fan *f, unsigned int i);

/* Of the workflow: sums over all links that there were. */
struct faasctl_stats fan_sums(struct fan *f);

/* Descriptors or -errno. */
int fan_open(struct fan *f, const char *stage, const char *port, int flags);
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

/* Of tests that make links: some that @setup makes, and a connection. They include nl.h. */
#define FAN_LINKS_FIXTURE(setup)						\
FIXTURE(links)									\
{										\
	struct fan fan;								\
	struct nl nl;								\
};										\
FIXTURE_SETUP(links)								\
{										\
	setup(&self->fan, STAGES, NULL);					\
	ASSERT_EQ(0, nl_open(&self->nl));					\
}										\
FIXTURE_TEARDOWN(links)								\
{										\
	nl_shut(&self->nl);							\
	FAN_TEARDOWN(&self->fan);						\
}

/* @call is refused with @error and a text, and no link is made or lost. */
#define EXPECT_REFUSED(error, call)						\
do {										\
	unsigned int refused_links = fan_links(&self->fan);			\
										\
	EXPECT_EQ(error, call)							\
		TH_LOG("'%s'", self->fan.refusal);				\
	EXPECT_NE(0, (int)strlen(self->fan.refusal));				\
	EXPECT_EQ(refused_links, fan_links(&self->fan));			\
} while (0)

/* Fixtures with a writer @w, a reader @r[0], and room in @r for others of "a"'s readers. */
#define FAN_ENDS_SETUP(self)							\
do {										\
	(self)->w = fan_writer(&(self)->fan, O_RDWR | O_NONBLOCK);		\
	ASSERT_LE(0, (self)->w);						\
	for (size_t fan_i = 1; fan_i < ARRAY_SIZE((self)->r); fan_i++)		\
		(self)->r[fan_i] = -1;						\
	(self)->r[0] = fan_reader(&(self)->fan, 0, 0);				\
	ASSERT_LE(0, (self)->r[0]);						\
} while (0)

#define FAN_ENDS_TEARDOWN(self)							\
do {										\
	close((self)->w);							\
	for (size_t fan_i = 0; fan_i < ARRAY_SIZE((self)->r); fan_i++)		\
		close((self)->r[fan_i]);					\
	FAN_TEARDOWN(&(self)->fan);						\
} while (0)

#endif /* _SELFTESTS_FAN_H */
