// SPDX-License-Identifier: GPL-2.0
/* Dealing: many at once, who come, go, are killed and replaced, as do links. */
#include "actor.h"
#include "fan.h"

#include "harness.h"

#define STAGES		3
#define CAPACITY	(64 * KIB)

static const struct faasctl_link_options dealt = FAN_DEALT_INIT(CAPACITY);

FIXTURE(storm)
{
	struct fan fan;
};

FIXTURE_SETUP(storm)
{
	FAN_SETUP(&self->fan, STAGES, &dealt);
}

FIXTURE_TEARDOWN(storm)
{
	FAN_TEARDOWN(&self->fan);
}

#define WRITERS		4
#define RECORDS		2000

static void writes_records(struct fan *f, unsigned int writer)
{
	uint32_t record[64] = { writer };
	uint64_t seed = writer + 1;
	int fd = fan_writer(f, 0);

	for (record[1] = 0; record[1] < RECORDS / slower(); record[1]++) {
		record[2] = 3 + random_next(&seed) % 61;
		if (write(fd, record, record[2] * 4) != record[2] * 4)
			_exit(1);
	}
	_exit(0);
}

/* All records of its stream, of which it marks each and counts them; not 0 if one was not whole. */
static long reads_records(struct fan *f, unsigned int stage, uint32_t *count, uint8_t *seen)
{
	uint32_t next[WRITERS] = { 0 }, record[64];
	int fd = fan_reader(f, stage, 0);
	long n;

	while ((n = sys(read(fd, record, sizeof(record)))) > 0) {
		if (record[0] >= WRITERS || n != record[2] * 4 || record[1] < next[record[0]])
			return 1;
		next[record[0]] = record[1] + 1;
		__atomic_add_fetch(&seen[record[0] * RECORDS + record[1]], 1, __ATOMIC_RELAXED);
		(*count)++;
	}
	return n ? 2 : 0;
}

/* Everybody at once: none is lost, none twice, each of the readers has as many as the others. */
TEST_F_TIMEOUT(storm, many_writers, 120)
{
	uint8_t *seen = shared(WRITERS * RECORDS);
	uint32_t *counts = shared(PAGE);
	pid_t writers[WRITERS], readers[STAGES];
	unsigned int i;
	int w;

	ASSERT_NE(NULL, counts);
	ASSERT_NE(NULL, seen);
	/* One stream, whoever is first. */
	w = fan_writer(&self->fan, 0);
	for (i = 0; i < WRITERS; i++) {
		writers[i] = child();
		if (!writers[i])
			writes_records(&self->fan, i);
	}
	for (i = 0; i < STAGES; i++) {
		readers[i] = child();
		if (!readers[i]) {
			close(w);
			_exit(reads_records(&self->fan, i, &counts[i], seen));
		}
	}
	for (i = 0; i < WRITERS; i++)
		EXPECT_EQ(0, child_end_within(writers[i], 60));
	close(w);
	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(0, child_end_within(readers[i], 60));
	for (i = 0; i < STAGES; i++) {
		EXPECT_LE(counts[STAGES - 1], counts[i]);
		EXPECT_GE(counts[STAGES - 1] + 1, counts[i]);
	}
	for (i = 0; i < WRITERS * RECORDS; i++)
		ASSERT_EQ(i % RECORDS < RECORDS / slower(), seen[i]);
	munmap(counts, PAGE);
	munmap(seen, WRITERS * RECORDS);
}

/* Both count what they did. */
static void comes_and_goes(struct fan *f, uint32_t *did)
{
	int fd;

	for (;; __atomic_add_fetch(did, 1, __ATOMIC_RELAXED)) {
		fd = fan_writer(f, 0);
		if (fd < 0)
			continue;
		while (write(fd, "record", 6) == 6)
			;
		close(fd);
	}
}

static void takes_some(struct fan *f, unsigned int stage, uint64_t seed, uint32_t *did)
{
	char buf[8];
	int fd, n;

	for (;; __atomic_add_fetch(did, 1, __ATOMIC_RELAXED)) {
		fd = fan_reader(f, stage, 0);
		if (fd < 0)
			continue;
		for (n = random_next(&seed) % 300; n && read(fd, buf, sizeof(buf)) > 0; n--)
			;
		close(fd);
	}
}

/* Each of them does something, sooner or later. */
static bool all_go_on(const uint32_t *did)
{
	uint32_t before[WRITERS + STAGES];
	int wait, i;

	memcpy(before, did, sizeof(before));
	for (i = 0; i < WRITERS + STAGES; i++) {
		for (wait = 0; __atomic_load_n(&did[i], __ATOMIC_RELAXED) == before[i]; wait++) {
			if (wait == DEADLINE * 100)
				return false;
			usleep(10000);
		}
	}
	return true;
}

/* Readers leave, writers are killed, links go and come: nobody is stuck, no byte is unaccounted for. */
TEST_F_TIMEOUT(storm, everything_comes_and_goes, 120)
{
	pid_t pids[WRITERS + STAGES];
	struct faasctl_stats stats;
	uint32_t *did = shared(PAGE);
	unsigned int i, round;
	uint64_t seed = 7;
	char name[16];

	ASSERT_NE(NULL, did);
	for (i = 0; i < WRITERS + STAGES; i++) {
		pids[i] = child();
		if (!pids[i] && i < WRITERS)
			comes_and_goes(&self->fan, &did[i]);
		else if (!pids[i])
			takes_some(&self->fan, i - WRITERS, i, &did[i]);
	}
	for (round = 0; round < 200 / slower(); round++) {
		i = random_next(&seed) % STAGES;
		snprintf(name, sizeof(name), "r%u", i);
		switch (random_next(&seed) % 5) {
		case 0:
			fan_unlink(&self->fan, "a", name);
			break;
		case 1:
			fan_replace(&self->fan, random_next(&seed) % 2 ? "a" : name);
			break;
		case 2:
			i = random_next(&seed) % WRITERS;
			child_kill(pids[i], SIGKILL);
			pids[i] = child();
			if (!pids[i])
				comes_and_goes(&self->fan, &did[i]);
			break;
		default:
			fan_link(&self->fan, "a", fan_list('r', 0, STAGES - 1), &dealt);
		}
		usleep(random_next(&seed) % 10000);
	}
	EXPECT_EQ(0, fan_link(&self->fan, "a", fan_list('r', 0, STAGES - 1), &dealt));
	EXPECT_TRUE(all_go_on(did));
	for (i = 0; i < WRITERS + STAGES; i++)
		child_kill(pids[i], SIGKILL);
	stats = fan_sums(&self->fan);
	EXPECT_EQ(stats.bytes_in, stats.bytes_out + stats.bytes_dropped + stats.bytes_held);
	EXPECT_EQ(0, stats.bytes_in % 6);
	TH_LOG("%llu streams", (unsigned long long)stats.streams_begun);
	munmap(did, PAGE);
}

TEST_HARNESS_MAIN
