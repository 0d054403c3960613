// SPDX-License-Identifier: GPL-2.0
/*
 * Merged inputs under load: producers that are killed, a reader that leaves, or whose stage is
 * replaced. Of each link's stream, records come whole, in order and once; in turn, none is out of
 * its place; and what ends, and does not say otherwise, has the last record of each.
 */
#include "actor.h"
#include "fan_in.h"
#include "records.h"

#include "harness.h"

#define STAGES		4
#define CAPACITY	(64 * KIB)
#define ROUNDS		60

/* What a record begins with; the rest of it is of the pattern of @number. */
struct head {
	uint32_t stage;
	uint32_t number;	/* of the stream's records, from 0 */
	uint64_t stream;	/* of the stage's streams */
	uint32_t length;	/* of the record */
	uint32_t last;		/* of the stream's */
};

/**
 * struct tally - what processes share
 * @begun: streams that each stage began
 * @records: that were read
 * @ended: merged streams that simply ended
 * @aborted: and those that did not
 * @replaced: sessions that were replaced
 * @bad: the line that found what should not be
 * @stop: everybody is to end
 */
struct tally {
	uint64_t begun[STAGES];
	uint64_t records;
	unsigned int ended;
	unsigned int aborted;
	unsigned int replaced;
	unsigned int bad;
	bool stop;
};

FIXTURE(storm)
{
	struct fan fan;
	struct tally *tally;
};

FIXTURE_VARIANT(storm)
{
	uint32_t merge;
};

FIXTURE_VARIANT_ADD(storm, records) { .merge = FAASIN_MERGE_RECORDS };
FIXTURE_VARIANT_ADD(storm, turn) { .merge = FAASIN_MERGE_TURN };

FIXTURE_SETUP(storm)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.capacity = CAPACITY;
	options.merge = variant->merge;
	options.flags = FAASCTL_RECORDS;
	self->tally = shared(sizeof(*self->tally));
	ASSERT_NE(NULL, self->tally);
	FAN_IN_SETUP(&self->fan, STAGES, &options);
}

FIXTURE_TEARDOWN(storm)
{
	munmap(self->tally, sizeof(*self->tally));
	FAN_TEARDOWN(&self->fan);
}

static bool stopped(const struct tally *t)
{
	return __atomic_load_n(&t->stop, __ATOMIC_RELAXED);
}

/* Streams of some records, one behind the other, until it is killed or told to stop. */
static void produces(struct fan *f, unsigned int stage, struct tally *t, uint64_t seed)
{
	static uint8_t buf[CAPACITY];
	struct head *head = (struct head *)buf;
	unsigned int n;
	int fd;

	while (!stopped(t)) {
		fd = fan_in_writer(f, stage, 0);
		if (fd < 0)
			continue;
		*head = (struct head){ .stage = stage };
		head->stream = __atomic_add_fetch(&t->begun[stage], 1, __ATOMIC_RELAXED);
		for (n = random_next(&seed) % 40; n; n--, head->number++) {
			head->last = n == 1;
			head->length = sizeof(*head) +
				       (random_next(&seed) % (CAPACITY / 2) >> random_next(&seed) % 12);
			pattern_fill(head + 1, head->length - sizeof(*head), head->number, 0);
			if (write(fd, buf, head->length) != head->length)
				break;
		}
		close(fd);
	}
	_exit(0);
}

/**
 * struct hearing - a merged stream, as far as it was read
 * @stream: each stage's, or 0
 * @next: number of each one's next record
 * @whole: that was each one's last
 * @last: stage of the last one, or STAGES
 */
struct hearing {
	uint64_t stream[STAGES];
	uint32_t next[STAGES];
	bool whole[STAGES];
	unsigned int last;
};

static bool fits(struct hearing *h, const uint8_t *buf, size_t n, bool turn)
{
	const struct head *head = (const struct head *)buf;
	bool around;

	if (n < sizeof(*head) || head->length != n || head->stage >= STAGES)
		return false;
	if (head->number != h->next[head->stage]++)
		return false;
	if (h->stream[head->stage] && h->stream[head->stage] != head->stream)
		return false;
	h->stream[head->stage] = head->stream;
	if (h->whole[head->stage])
		return false;
	h->whole[head->stage] = head->last;
	/* Nobody is ahead of one that comes before it, but of one that is over. */
	around = head->stage < h->last;
	if (turn && h->last < STAGES && head->stage != h->last &&
	    h->next[head->stage] > h->next[h->last] + around)
		return false;
	h->last = head->stage;
	return pattern_is(head + 1, n - sizeof(*head), head->number, 0);
}

/* Of each stream that something came of, all did. */
static bool is_whole(const struct hearing *h)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		if (h->stream[i] && !h->whole[i])
			return false;
	return true;
}

/* Merged streams, until it is told to stop: bad ones are told of. */
static void consumes(struct fan *f, struct tally *t, bool turn)
{
	static uint8_t buf[CAPACITY];
	struct hearing h = { .last = STAGES };
	long n;
	int fd;

	while (!stopped(t)) {
		fd = fan_in_reader(f, 0);
		while ((n = sys(read(fd, buf, sizeof(buf)))) > 0) {
			__atomic_fetch_add(&t->records, 1, __ATOMIC_RELAXED);
			if (!fits(&h, buf, n, turn))
				t->bad = __LINE__;
		}
		close(fd);
		if (n == -ESTALE) {
			__atomic_fetch_add(&t->replaced, 1, __ATOMIC_RELAXED);
			continue;
		}
		if (n ? n != -ECONNABORTED : !is_whole(&h))
			t->bad = __LINE__;
		__atomic_fetch_add(n ? &t->aborted : &t->ended, 1, __ATOMIC_RELAXED);
		h = (struct hearing){ .last = STAGES };
	}
	_exit(0);
}

/* Waits until so many records were read; false if they are not. */
static bool comes_to(struct tally *t, uint64_t records)
{
	int i;

	for (i = 0; i < DEADLINE * 1000; i++) {
		if (__atomic_load_n(&t->records, __ATOMIC_RELAXED) >= records)
			return true;
		usleep(1000);
	}
	return false;
}

static pid_t starts(struct fan *f, unsigned int stage, struct tally *t, uint64_t seed)
{
	pid_t pid = child_for(200);

	if (!pid)
		produces(f, stage, t, seed);
	return pid;
}

TEST_F_TIMEOUT(storm, producers_are_killed_and_the_reader_is_replaced, 300)
{
	unsigned int rounds = ROUNDS / slower() ?: 1, i, k;
	pid_t pids[STAGES], reader;
	uint64_t seed = 4711, before;

	for (i = 0; i < STAGES; i++)
		pids[i] = starts(&self->fan, i, self->tally, i + 1);
	reader = child_for(200);
	if (!reader)
		consumes(&self->fan, self->tally, variant->merge == FAASIN_MERGE_TURN);
	for (k = 0; k < rounds; k++) {
		before = __atomic_load_n(&self->tally->records, __ATOMIC_RELAXED);
		ASSERT_TRUE(comes_to(self->tally, before + 20))
			TH_LOG("nothing comes any more in round %u", k);
		if (random_next(&seed) % 3) {
			i = random_next(&seed) % STAGES;
			child_kill(pids[i], SIGKILL);
			pids[i] = starts(&self->fan, i, self->tally, 100 * k + i + 7);
		} else {
			EXPECT_EQ(0, fan_replace(&self->fan, "d"));
		}
	}
	__atomic_store_n(&self->tally->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < STAGES; i++)
		child_kill(pids[i], SIGKILL);
	child_kill(reader, SIGKILL);
	EXPECT_EQ(0, self->tally->bad);
	EXPECT_LT(0, self->tally->aborted);
	EXPECT_LT(0, self->tally->replaced);
	TH_LOG("%llu records, %u ended, %u aborted, %u replaced",
	       (unsigned long long)self->tally->records, self->tally->ended, self->tally->aborted,
	       self->tally->replaced);
}

TEST_HARNESS_MAIN
