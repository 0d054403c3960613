/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A storm of kills: producers, a stage in the middle, consumers and the tool are
 * killed at any moment, links are cut, workflows deleted, cgroups and mounts taken
 * away, and unloading is tried, all under load. What must hold all the while:
 *
 *	- whoever sees the end of a stream got all of it. A stream says at its start
 *	  how long it is, so a death that looks like an end is found out;
 *	- no stream has bytes of another;
 *	- nothing is refused for a reason that the contract does not know;
 *	- nobody dies of anything but what was sent to it;
 *
 *	- the counters of a link are what went through, to the byte. Only of a call that
 *	  its caller did not survive nobody knows how much it moved: no more than it asked.
 *
 * And afterwards: everybody is gone, nothing waits in the kernel for good, nobody pays for
 * anything. How bytes are moved is for the tests: here is who is killed, and what is looked at.
 *
 * FAASIN_KILLS: how many, in all variants of a test together.
 */
#ifndef _SELFTESTS_STORM_H
#define _SELFTESTS_STORM_H

#include "world.h"

#define STORM_CHAINS	2		/* rows of three stages */
#define STORM_STAGES	3
#define STORM_PARTS	(STORM_CHAINS * STORM_STAGES)

#define STORM_MAGIC	0xfaa51001
#define STORM_LENGTH	(100 * KIB)	/* of a stream, at most */

/**
 * struct storm_head - a stream begins with it
 * @magic: STORM_MAGIC
 * @tag: whose pattern follows
 * @len: how much of it
 */
struct storm_head {
	uint32_t magic;
	uint32_t tag;
	uint64_t len;
};

/**
 * struct storm_tally - what a stage moved on one side, by its own count
 * @done: bytes, by all calls that returned
 * @doing: how much the call under way asked for
 */
struct storm_tally {
	volatile uint64_t done;
	volatile uint64_t doing;
};

/**
 * struct storm_found - what the processes found, shared with them
 * @cut: streams that ended and were not whole
 * @mixed: bytes of something else
 * @odd: results that no contract allows; the last one is @last_odd
 * @whole: streams that were read to their end
 * @aborted: streams that were not, and said so
 * @streams: streams that were begun
 * @lanes: turns of streams that began with a lane on
 * @sent: what each stage wrote
 * @got: what it read
 */
struct storm_found {
	uint64_t cut;
	uint64_t mixed;
	uint64_t odd;
	int64_t last_odd;
	uint64_t whole;
	uint64_t aborted;
	uint64_t streams;
	uint64_t lanes;
	struct storm_tally sent[STORM_PARTS];
	struct storm_tally got[STORM_PARTS];
};

/**
 * struct storm_part - a process, which is a stage: several would share a stream
 * @storm: of which it is part
 * @stage: its name
 * @found: what it finds
 * @sent: what it wrote
 * @got: what it read
 * @seed: of its own
 */
struct storm_part {
	struct storm *storm;
	const char *stage;
	struct storm_found *found;
	struct storm_tally *sent;
	struct storm_tally *got;
	uint64_t seed;
};

/* Does what a stage does, until it is killed. */
typedef void (*storm_fn)(struct storm_part *p);

/**
 * struct storm_options - of what kind
 * @does: what the first, the second and the third stage of a chain do
 * @kills: how many, if the environment says nothing, in all @variants
 * @variants: of the test
 * @capacity: of links
 * @trusted: links are
 * @cuts: links, workflows, cgroups go, too
 * @never: deaths are ends: shows that the test would find out
 */
struct storm_options {
	storm_fn does[STORM_STAGES];
	unsigned int kills;
	unsigned int variants;
	uint64_t capacity;
	bool trusted;
	bool cuts;
	bool never;
};

/**
 * struct storm - all of it
 * @options: of what kind
 * @world: where; its cgroup pays
 * @ctl: control by the library
 * @found: what was found
 * @seed: of the storm's own numbers
 * @pids: who is in which stage
 * @kills: so far
 * @paid: what the cgroup paid for before
 * @wrong: what is wrong, in words
 */
struct storm {
	struct storm_options options;
	struct world world;
	struct faasctl *ctl;
	struct storm_found *found;
	uint64_t seed;
	pid_t pids[STORM_PARTS];
	uint64_t kills;
	long long paid;
	char wrong[512];
};

extern const char *const storm_stages[STORM_CHAINS][STORM_STAGES];

/* ------------------------------------------------------------- for processes */

void storm_count(uint64_t *n);
void storm_odd(struct storm_found *found, long result);

/* A call is about to move up to @size bytes; it moved @n, or -errno. */
void storm_moves(struct storm_tally *tally, uint64_t size);
void storm_moved(struct storm_tally *tally, long n);

/* Calls that are counted. */
long storm_write(struct storm_tally *sent, int fd, const void *buf, size_t size);
long storm_read(struct storm_tally *got, int fd, void *buf, size_t size);

/*
 * Opens a port, in turns waiting and not. -1: there is none now, as there is none
 * while its workflow is away.
 */
int storm_open(struct storm_part *p, const char *port, int flags);

/* A new stream's head. */
struct storm_head storm_stream(struct storm_part *p);

/* A stream was read up to @at bytes behind its head, and then there was @n. */
void storm_judge(struct storm_found *found, long n, const struct storm_head *head, uint64_t at);

/* ------------------------------------------------------------------ for tests */

/* Everything that is needed before: 0 or an error's number. To be undone by storm_end(). */
int storm_begin(struct storm *s);
void storm_end(struct storm *s);

/* As many kills as are wanted; false, and @wrong, if something does not hold. */
bool storm_blows(struct storm *s);

/* All are killed, and what comes after; likewise. The links are there again. */
bool storm_settles(struct storm *s);

/* The workflow goes, and with it all that its cgroup paid for; likewise. */
bool storm_is_forgotten(struct storm *s);

#define STORM_SETUP(s)								\
do {										\
	WORLD_SETUP(&(s)->world, world_new_charged);				\
	ASSERT_EQ(0, storm_begin(s));						\
} while (0)

#define STORM_TEARDOWN(s)							\
do {										\
	storm_end(s);								\
	WORLD_TEARDOWN(&(s)->world);						\
} while (0)

/* What the processes found is as it has to be. */
#define STORM_EXPECT_SOUND(s)							\
do {										\
	TH_LOG("%llu kills; %llu streams: %llu whole, %llu aborted, %llu cut; %llu lanes",	\
	       (unsigned long long)(s)->kills,					\
	       (unsigned long long)(s)->found->streams,				\
	       (unsigned long long)(s)->found->whole,				\
	       (unsigned long long)(s)->found->aborted,				\
	       (unsigned long long)(s)->found->cut,				\
	       (unsigned long long)(s)->found->lanes);				\
	EXPECT_EQ((s)->options.never, (s)->found->cut != 0);			\
	EXPECT_EQ(0, (s)->found->mixed);					\
	EXPECT_EQ(0, (s)->found->odd)						\
		TH_LOG("the last of them: %s", strerror(-(s)->found->last_odd));	\
	EXPECT_NE(0, (s)->found->whole);					\
	EXPECT_TRUE((s)->options.never || (s)->found->aborted);			\
} while (0)

#endif /* _SELFTESTS_STORM_H */
