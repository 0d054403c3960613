// SPDX-License-Identifier: GPL-2.0
/* The time that a side waits for the other: counted while it waits, never backwards. */
#include "common.h"

#include <time.h>

#include "harness.h"

FIXTURE(blocked)
{
	struct flow flow;
	int w, r;
	pid_t waiting[2];
};

FIXTURE_VARIANT(blocked)
{
	bool writers;		/* they wait, not readers */
	int count;		/* how many at once */
};

FIXTURE_VARIANT_ADD(blocked, reader) { .writers = false, .count = 1 };
FIXTURE_VARIANT_ADD(blocked, readers) { .writers = false, .count = 2 };
FIXTURE_VARIANT_ADD(blocked, writer) { .writers = true, .count = 1 };
FIXTURE_VARIANT_ADD(blocked, writers) { .writers = true, .count = 2 };

FIXTURE_SETUP(blocked)
{
	const struct flow_options options = { .capacity = FAASIN_CAPACITY_MIN };

	ENDS_SETUP(self, &options, 0, 0);
}

FIXTURE_TEARDOWN(blocked)
{
	ENDS_TEARDOWN(self);
}

static uint64_t blocked_ns(const struct faasctl_stats *stats, bool writers)
{
	return writers ? stats->writer_blocked_ns : stats->reader_blocked_ns;
}

static uint64_t blocks(const struct faasctl_stats *stats, bool writers)
{
	return writers ? stats->writer_blocks : stats->reader_blocks;
}

/* Looks until the time is more than @than; what it is then, or 0 if it never is. */
static uint64_t grows_beyond(struct flow *f, bool writers, uint64_t than)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct faasctl_stats stats;
	int i;

	for (i = 0; i < DEADLINE * 1000; i++) {
		stats = flow_stats(f);
		if (blocked_ns(&stats, writers) > than)
			return blocked_ns(&stats, writers);
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* A process that waits for the other side, which then takes or gives a byte. */
static pid_t waits(int fd, bool writes)
{
	pid_t pid = child();
	char byte = 'x';
	long n;

	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		n = writes ? sys(write(fd, &byte, 1)) : sys(read(fd, &byte, 1));
		_exit(n < 0 ? -n : n != 1);
	}
	return blocks_in(pid, writes ? SYS_write : SYS_read) ? pid : -1;
}

/* Fills the channel if writers are to wait, and lets all wait. */
static bool all_wait(int w, int r, bool writers, pid_t *pids, int count)
{
	static const char page[PAGE];
	int i;

	if (writers && write(w, page, PAGE) != PAGE)
		return false;
	for (i = 0; i < count; i++) {
		pids[i] = waits(writers ? w : r, writers);
		if (pids[i] < 0)
			return false;
	}
	return true;
}

/* Nobody waits any more: what was counted stays, and is all. */
static bool stays(struct flow *f, bool writers, uint64_t at_least)
{
	struct faasctl_stats stats = flow_stats(f);
	uint64_t before = blocked_ns(&stats, writers);

	usleep(1000);
	stats = flow_stats(f);
	return before >= at_least && blocked_ns(&stats, writers) == before;
}

TEST_F(blocked, counts_while_it_lasts)
{
	bool writers = variant->writers;
	struct faasctl_stats stats;
	uint64_t seen = 0, before;
	char page[PAGE] = "";
	int i;

	stats = flow_stats(&self->flow);
	EXPECT_EQ(0, blocked_ns(&stats, writers));
	ASSERT_TRUE(all_wait(self->w, self->r, writers, self->waiting, variant->count));

	/* Each look finds more, and none of them has come back. */
	for (i = 0; i < 3; i++) {
		before = seen;
		seen = grows_beyond(&self->flow, writers, before);
		EXPECT_LT(before, seen)
			TH_LOG("look %d: never more than %llu ns", i, (unsigned long long)before);
	}
	for (i = 0; i < variant->count; i++)
		EXPECT_TRUE(is_running(self->waiting[i]));
	stats = flow_stats(&self->flow);
	EXPECT_EQ(variant->count, (int)blocks(&stats, writers));
	EXPECT_EQ(0, blocked_ns(&stats, !writers));

	EXPECT_EQ(writers ? PAGE : variant->count,
		  writers ? sys(read(self->r, page, PAGE)) : sys(write(self->w, page, variant->count)));
	for (i = 0; i < variant->count; i++)
		EXPECT_EQ(0, child_end(self->waiting[i]));
	EXPECT_TRUE(stays(&self->flow, writers, seen));
}

TEST_F(blocked, a_signal_ends_it)
{
	bool writers = variant->writers;
	struct faasctl_stats stats;
	uint64_t seen, after;
	int i;

	ASSERT_TRUE(all_wait(self->w, self->r, writers, self->waiting, variant->count));
	seen = grows_beyond(&self->flow, writers, 0);
	EXPECT_NE(0, seen);
	for (i = 0; i < variant->count; i++) {
		kill(self->waiting[i], SIGUSR1);
		EXPECT_EQ(EINTR, child_end(self->waiting[i]));
		stats = flow_stats(&self->flow);
		after = blocked_ns(&stats, writers);
		EXPECT_LE(seen, after);
		seen = after;
	}
	EXPECT_TRUE(stays(&self->flow, writers, seen));
}

TEST_HARNESS_MAIN
