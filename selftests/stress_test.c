// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once: writers and readers that come, go, die and are cut off,
 * while the test looks for bytes of one stream in another and for numbers that
 * do not add up. The seed is fixed; what the scheduler makes of it is not.
 *
 * A stream's first byte is its tag and the rest follows from it, so that a
 * reader can tell by itself whether what it reads is one stream from its start.
 */
#include "common.h"
#include "harness.h"

#define ROUNDS	60	/* children of each kind, one after the other */
#define SIDES	2	/* that many of them at once */

/* What the children found, shared with them. */
struct findings {
	uint64_t mixed;		/* streams that were not one */
	uint64_t odd;		/* results that no contract allows */
	uint64_t whole;		/* streams read to their end */
	uint64_t aborted;
	uint64_t streams;	/* writers that got one */
	int last_odd;
};

FIXTURE(stress)
{
	struct flow flow;
	struct findings *found;
};

FIXTURE_VARIANT(stress)
{
	size_t capacity;
	bool relink;
	bool kill;
};

#define STRESS(name, ...) FIXTURE_VARIANT_ADD(stress, name) { __VA_ARGS__ }

STRESS(traffic, .capacity = 64 * KIB);
STRESS(traffic_in_one_page, .capacity = PAGE);
STRESS(killing, .capacity = 64 * KIB, .kill = true);
STRESS(relinking, .capacity = 64 * KIB, .relink = true);
STRESS(killing_and_relinking, .capacity = 2 * PAGE, .kill = true, .relink = true);

FIXTURE_SETUP(stress)
{
	const struct flow_options options = { .capacity = variant->capacity };

	self->found = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->found);
	FLOW_SETUP(&self->flow, &options);
}

FIXTURE_TEARDOWN(stress)
{
	FLOW_TEARDOWN(&self->flow);
}

static void add(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void odd(struct findings *found, int result)
{
	found->last_odd = result;
	add(&found->odd);
}

/* One stream by one writer: writers that join would be told apart by nobody. */
static void write_one(struct flow *f, struct findings *found, uint64_t seed)
{
	size_t left = random_next(&seed) % (200 * KIB), size, at = 0;
	unsigned int tag = random_next(&seed) % 200 + 1;
	uint8_t *buf = malloc(16 * KIB + 251);
	int fd = flow_writer(f, 0);
	long n;

	if (fd < 0) {
		if (fd != -EINTR)
			odd(found, fd);
		return;
	}
	add(&found->streams);
	pattern_fill(buf, 16 * KIB + 251, tag, 0);
	/* The tag is the first byte; the pattern's other bytes follow. */
	n = sys(write(fd, &tag, 1));
	while (n >= 0 && left) {
		size = random_next(&seed) % (16 * KIB) + 1;
		if (size > left)
			size = left;
		n = sys(write(fd, buf + at % 251, size));
		if (n > 0) {
			at += n;
			left -= n;
		}
	}
	if (n < 0 && n != -EPIPE)
		odd(found, n);
	if (random_next(&seed) % 4 == 0)
		ioctl(fd, FAASIN_IOC_END);
	close(fd);
	free(buf);
}

static void read_one(struct flow *f, struct findings *found, uint64_t seed)
{
	bool early = random_next(&seed) % 5 == 0;
	uint8_t *buf = malloc(32 * KIB), tag = 0;
	int fd = flow_reader(f, 0);
	uint64_t at = 0;
	long n;

	if (fd < 0) {
		odd(found, fd);
		return;
	}
	n = sys(read(fd, &tag, 1));
	while (n > 0 && !(early && at > 20000)) {
		n = sys(read(fd, buf, random_next(&seed) % (32 * KIB) + 1));
		if (n > 0 && !pattern_is(buf, n, tag, at)) {
			add(&found->mixed);
			break;
		}
		if (n > 0)
			at += n;
	}
	if (!n)
		add(&found->whole);
	else if (n == -ECONNABORTED)
		add(&found->aborted);
	else if (n < 0)
		odd(found, n);
	close(fd);
	free(buf);
}

/*
 * One after the other: two writers at once would join one stream, and two
 * readers one session. Each is a process of its own.
 */
static void keep_up(struct flow *f, struct findings *found, uint64_t seed, int rounds, bool kills,
		    void (*what)(struct flow *f, struct findings *found, uint64_t seed))
{
	uint64_t next;
	pid_t pid;

	while (rounds--) {
		next = random_next(&seed);
		pid = child();
		if (!pid) {
			what(f, found, next);
			_exit(0);
		}
		if (kills && random_next(&seed) % 3 == 0) {
			usleep(random_next(&seed) % 5000);
			kill(pid, SIGKILL);
		}
		if (child_end(pid) == HUNG)
			odd(found, HUNG);
	}
	_exit(0);
}

TEST_F_TIMEOUT(stress, keeps_streams_apart, 120)
{
	struct faasctl_stats stats;
	pid_t writer, reader;
	uint64_t seed = 9;
	int i;

	writer = child_for(100);
	if (!writer)
		keep_up(&self->flow, self->found, 11, ROUNDS, variant->kill, write_one);
	/* More readers than streams: the last ones are cut off. */
	reader = child_for(100);
	if (!reader)
		keep_up(&self->flow, self->found, 12, INT_MAX, variant->kill, read_one);
	if (variant->relink) {
		for (i = 0; i < 40 && is_running(writer); i++) {
			usleep(random_next(&seed) % 50000);
			ASSERT_EQ(0, flow_unlink(&self->flow));
			ASSERT_EQ(0, flow_link(&self->flow));
		}
	}
	/* The writers end by themselves, or something hangs. */
	EXPECT_EQ(0, child_end_within(writer, 90));
	if (!variant->relink) {
		/* Nothing is in flight once what is queued was read. */
		for (i = 0; i < DEADLINE * 100; i++) {
			stats = flow_stats(&self->flow);
			if (!stats.streams_queued)
				break;
			usleep(10000);
		}
		EXPECT_EQ(0, stats.streams_queued);
		EXPECT_EQ(stats.bytes_in, stats.bytes_out + stats.bytes_dropped + stats.bytes_held);
		EXPECT_EQ(0, stats.bytes_held);
		EXPECT_GE(stats.streams_ended + stats.streams_aborted + stats.early_closes,
			  stats.streams_begun);
		if (!variant->kill)
			EXPECT_EQ(0, stats.streams_aborted);
	}
	child_kill(reader, SIGKILL);
	EXPECT_EQ(0, self->found->mixed);
	EXPECT_EQ(0, self->found->odd)
		TH_LOG("the last odd result: %d", self->found->last_odd);
	EXPECT_LT(0, self->found->streams);
	EXPECT_LT(0, self->found->whole);
}

/* ------------------------------------------------------------------- sums */

FIXTURE(sums)
{
	struct flow flow;
	struct findings *found;
};

FIXTURE_VARIANT(sums)
{
	bool kill;
};

FIXTURE_VARIANT_ADD(sums, of_traffic) { .kill = false };
FIXTURE_VARIANT_ADD(sums, of_killing) { .kill = true };

FIXTURE_SETUP(sums)
{
	const struct flow_options options = { .capacity = 64 * KIB };

	self->found = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->found);
	FLOW_SETUP(&self->flow, &options);
}

FIXTURE_TEARDOWN(sums)
{
	FLOW_TEARDOWN(&self->flow);
}

/* At any moment, not only at rest. */
TEST_F_TIMEOUT(sums, add_up_under_way, 60)
{
	uint64_t last_in = 0, last_out = 0;
	struct faasctl_stats stats;
	pid_t writer, reader;
	int i;

	writer = child();
	if (!writer)
		keep_up(&self->flow, self->found, 21, 10, variant->kill, write_one);
	reader = child();
	if (!reader)
		keep_up(&self->flow, self->found, 22, INT_MAX, variant->kill, read_one);
	for (i = 0; i < 200 && is_running(writer); i++) {
		stats = flow_stats(&self->flow);
		ASSERT_EQ(stats.bytes_in, stats.bytes_out + stats.bytes_dropped + stats.bytes_held);
		ASSERT_LE(last_in, stats.bytes_in);
		ASSERT_LE(last_out, stats.bytes_out);
		ASSERT_GE(64 * KIB, stats.bytes_held);
		last_in = stats.bytes_in;
		last_out = stats.bytes_out;
	}
	EXPECT_EQ(0, child_end_within(writer, 40));
	child_kill(reader, SIGKILL);
	EXPECT_LT(0, last_in);
	EXPECT_EQ(0, self->found->mixed);
	EXPECT_EQ(0, self->found->odd);
}

TEST_HARNESS_MAIN
