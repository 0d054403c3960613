// SPDX-License-Identifier: GPL-2.0
/*
 * Records that are dealt to replicas, and merged in turn again: what comes out is in the order of
 * what went in, though each was changed by another process; also if one of these is killed,
 * replaced, taken away or added.
 */
#include "actor.h"
#include "deal_merge.h"

#include "harness.h"

FIXTURE(both)
{
	struct fan fan;
	struct told *told;
	pid_t replica[MOST], writer;
	uint32_t stream;		/* the one that was begun last */
	uint64_t before[STAGES];	/* what each had passed on before that */
};

FIXTURE_VARIANT(both)
{
	bool polls;
};

/* Whoever waits for "d", does so in read(), or in poll(). */
FIXTURE_VARIANT_ADD(both, read) { .polls = false };
FIXTURE_VARIANT_ADD(both, poll) { .polls = true };

static const struct faasctl_link_options dealt = FAN_DEALT_INIT(CAPACITY);

static struct faasctl_link_options merged(void)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.capacity = CAPACITY;
	options.merge = FAASIN_MERGE_TURN;
	options.flags = FAASCTL_RECORDS;
	return options;
}

static const char *name_of(unsigned int replica)
{
	static char name[16];

	snprintf(name, sizeof(name), "r%u", replica);
	return name;
}

static struct link_state passed_on(struct fan *f, unsigned int replica)
{
	return fan_link_state(f, name_of(replica), "d");
}

/* ----------------------------------------------------------------------------- reading */

static int reader(FIXTURE_DATA(both) *self, bool polls)
{
	return fan_open(&self->fan, "d", FAASIN_PORT_IN, O_RDONLY | (polls ? O_NONBLOCK : 0));
}

/* Records @from to @to of the stream come next, of each replica in turn: the first that does not. */
static uint32_t in_turn(int fd, uint32_t stream, uint32_t from, uint32_t to)
{
	static uint8_t buf[LONGEST];
	const struct head *head = (const struct head *)buf;
	long n;

	for (; from < to; from++) {
		n = next(fd, buf);
		if (heard(buf, n, stream, from) == from % STAGES + 1)
			continue;
		printf("# for record %u came %ld bytes, of stream %u, record %u, by %u\n", from, n,
		       head->stream, head->number, head->by);
		break;
	}
	return from;
}

/* Until the stream is over: how it ended, and how many there were. */
static int rest_in_turn(int fd, uint32_t stream, uint32_t *number)
{
	static uint8_t buf[LONGEST];
	long n;

	while ((n = next(fd, buf)) > 0) {
		if (heard(buf, n, stream, *number) != *number % STAGES + 1)
			return 1;
		++*number;
	}
	return n;
}

/* ------------------------------------------------------------------------------- set up */

FIXTURE_SETUP(both)
{
	struct faasctl_link_options options = merged();
	unsigned int i;

	self->told = shared(sizeof(*self->told));
	ASSERT_NE(NULL, self->told);
	FAN_SETUP(&self->fan, STAGES, &dealt);
	ASSERT_EQ(0, fan_stage(&self->fan, "d"));
	ASSERT_EQ(0, fan_link(&self->fan, fan_list('r', 0, STAGES - 1), "d", &options))
		TH_LOG("%s", self->fan.refusal);
	for (i = 0; i < STAGES; i++)
		self->replica[i] = replica(&self->fan, self->told, i);
}

FIXTURE_TEARDOWN(both)
{
	unsigned int i;

	for (i = 0; i < MOST; i++)
		if (self->replica[i])
			child_kill(self->replica[i], SIGKILL);
	FAN_TEARDOWN(&self->fan);
	munmap(self->told, sizeof(*self->told));
}

static void begin(FIXTURE_DATA(both) *self, uint32_t n)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		self->before[i] = passed_on(&self->fan, i).stats.bytes_in;
	self->told->written = 0;
	self->told->error = 0;
	self->writer = writer(&self->fan, self->told, ++self->stream, n);
}

/* A stream of which all comes, and nothing else. */
#define EXPECT_ALL_WELL(n)								\
do {											\
	int well_fd = reader(self, variant->polls);					\
	uint32_t well = 0;								\
											\
	ASSERT_LE(0, well_fd);								\
	begin(self, n);									\
	EXPECT_EQ(0, rest_in_turn(well_fd, self->stream, &well));			\
	EXPECT_EQ((uint32_t)(n), well)							\
		TH_LOG("stream %u", self->stream);					\
	EXPECT_EQ(0, child_end_within(self->writer, 60));				\
	EXPECT_EQ(0, self->told->error);						\
	EXPECT_OVER(well_fd, 0);							\
	close(well_fd);									\
} while (0)

/* How many records of the stream @replica passed on: whole ones, or UINT32_MAX. */
static uint32_t passed_on_of(FIXTURE_DATA(both) *self, unsigned int replica)
{
	uint64_t bytes = passed_on(&self->fan, replica).stats.bytes_in - self->before[replica];
	uint32_t n;

	for (n = 0; bytes; n++) {
		uint32_t length = length_of(self->stream, n * STAGES + replica);

		if (length > bytes)
			return UINT32_MAX;
		bytes -= length;
	}
	return n;
}

/* So many come before the first that is missing. */
static uint32_t without_a_gap(FIXTURE_DATA(both) *self)
{
	uint32_t n = UINT32_MAX, had;
	unsigned int i;

	for (i = 0; i < STAGES; i++) {
		had = passed_on_of(self, i);
		if (had == UINT32_MAX)
			return 0;
		if (had * STAGES + i < n)
			n = had * STAGES + i;
	}
	return n;
}

/* Nothing is unaccounted for. */
#define EXPECT_SUMS()									\
do {											\
	struct faasctl_stats sums = fan_sums(&self->fan);				\
											\
	EXPECT_EQ(sums.bytes_in, sums.bytes_out + sums.bytes_dropped + sums.bytes_held);	\
} while (0)

/* -------------------------------------------------------------------------------- order */

TEST_F_TIMEOUT(both, the_order_is_kept, 120)
{
	uint32_t few;

	EXPECT_ALL_WELL(MANY);
	/* Fewer than there are replicas: streams of some are empty. */
	for (few = 0; few < STAGES + 2; few++)
		EXPECT_ALL_WELL(few);
	EXPECT_ALL_WELL(MANY / 2 + 1);
	EXPECT_SUMS();
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_dropped);
}

/* They lie ready, stream behind stream, before anybody reads. */
TEST_F_TIMEOUT(both, streams_wait_for_the_reader, 120)
{
	uint32_t n, got;
	int fd;

	for (n = 0; n < 5; n++) {
		begin(self, n);
		EXPECT_EQ(0, child_end_within(self->writer, 60));
		EXPECT_EQ(0, self->told->error);
	}
	for (n = 0; n < 5; n++) {
		fd = reader(self, variant->polls);
		got = 0;
		EXPECT_EQ(0, rest_in_turn(fd, n + 1, &got));
		EXPECT_EQ(n, got);
		close(fd);
	}
	EXPECT_ALL_WELL(MANY);
}

/* --------------------------------------------------------------------------- who leaves */

/* What follows a record that is lost is not in its place: it is not read, and no end is told. */
TEST_F_TIMEOUT(both, a_replica_is_killed_in_the_middle, 120)
{
	struct link_state state;
	unsigned int who, early, i;
	uint32_t n;
	int fd;

	for (who = 0; who < STAGES; who++) {
		fd = reader(self, variant->polls);
		begin(self, UINT32_MAX);
		ASSERT_EQ(MIDDLE, in_turn(fd, self->stream, 0, MIDDLE));
		child_kill(self->replica[who], SIGKILL);
		n = MIDDLE;
		EXPECT_EQ(-ECONNABORTED, rest_in_turn(fd, self->stream, &n));
		EXPECT_OVER(fd, -ECONNABORTED);
		close(fd);
		EXPECT_EQ(0, child_end_within(self->writer, 60));
		EXPECT_EQ(-EPIPE, self->told->error);
		EXPECT_LE(n, self->told->written);
		/* What it had passed on was read, to the last record. */
		EXPECT_EQ(without_a_gap(self), n)
			TH_LOG("r%u: %u records", who, n);
		state = passed_on(&self->fan, who);
		EXPECT_EQ(FAASIN_CAUSE_SIGNAL, state.last.cause);
		EXPECT_EQ(SIGKILL, (int)state.last.code);
		EXPECT_EQ(self->replica[who], (int)state.last.pid);
		/* Whose input was closed first may be another's: of one that could not write on. */
		for (i = early = 0; i < STAGES; i++) {
			state = fan_state(&self->fan, i);
			early += state.last.cause == FAASIN_CAUSE_EARLY_CLOSE;
			if (state.last.cause != FAASIN_CAUSE_EARLY_CLOSE)
				EXPECT_EQ(FAASIN_CAUSE_DEAL, state.last.cause);
			if (i != who)
				EXPECT_TRUE(is_running(self->replica[i]));
		}
		EXPECT_LE(1, early);
		EXPECT_SUMS();
		self->replica[who] = replica(&self->fan, self->told, who);
		EXPECT_ALL_WELL(50);
	}
}

TEST_F_TIMEOUT(both, the_writer_is_killed_in_the_middle, 120)
{
	uint32_t n = MIDDLE;
	unsigned int i;
	int fd = reader(self, variant->polls);

	begin(self, UINT32_MAX);
	ASSERT_EQ(MIDDLE, in_turn(fd, self->stream, 0, MIDDLE));
	child_kill(self->writer, SIGKILL);
	EXPECT_EQ(-ECONNABORTED, rest_in_turn(fd, self->stream, &n));
	/* It may not have had the time to count its last. */
	EXPECT_LE(self->told->written, n);
	EXPECT_GE(self->told->written + 1, n);
	EXPECT_EQ(without_a_gap(self), n);
	close(fd);
	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(FAASIN_CAUSE_SIGNAL, fan_state(&self->fan, i).last.cause);
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_dropped);
	EXPECT_ALL_WELL(50);
}

/* Who reads leaves: so do all, one after the other, but for their processes. */
TEST_F_TIMEOUT(both, the_reader_leaves_in_the_middle, 120)
{
	unsigned int i;
	int fd;

	begin(self, UINT32_MAX);
	/* Not before: the writer would have it open, too. */
	fd = reader(self, variant->polls);
	ASSERT_EQ(MIDDLE + 1, in_turn(fd, self->stream, 0, MIDDLE + 1));
	close(fd);
	EXPECT_EQ(0, child_end_within(self->writer, 60));
	EXPECT_EQ(-EPIPE, self->told->error);
	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, passed_on(&self->fan, i).last.cause);
	EXPECT_ALL_WELL(50);
	EXPECT_SUMS();
}

/* ---------------------------------------------------------------------- who is replaced */

/* Its successor passes on what it had in its hands, and goes on. */
TEST_F_TIMEOUT(both, replicas_are_replaced_in_the_middle, 120)
{
	uint32_t n = 0;
	unsigned int who;
	int fd = reader(self, variant->polls);

	begin(self, MANY);
	for (who = 0; who < STAGES; who++) {
		ASSERT_EQ(n + MIDDLE / STAGES, in_turn(fd, self->stream, n, n + MIDDLE / STAGES));
		n += MIDDLE / STAGES;
		EXPECT_EQ(0, fan_replace(&self->fan, name_of(who)));
		EXPECT_EQ(DETACHED, child_end_within(self->replica[who], 60));
		self->replica[who] = replica(&self->fan, self->told, who);
	}
	EXPECT_EQ(0, rest_in_turn(fd, self->stream, &n));
	EXPECT_EQ(MANY, n);
	EXPECT_EQ(0, child_end_within(self->writer, 60));
	EXPECT_EQ(0, self->told->error);
	close(fd);
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_dropped);
	EXPECT_ALL_WELL(50);
}

TEST_F_TIMEOUT(both, both_ends_are_replaced_in_the_middle, 120)
{
	int fd = reader(self, variant->polls), old;
	uint32_t n = MIDDLE;

	begin(self, MANY);
	/* At another's turn than the first. */
	ASSERT_EQ(MIDDLE + 1, in_turn(fd, self->stream, 0, MIDDLE + 1));
	EXPECT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_EQ(0, fan_replace(&self->fan, "a"));
	EXPECT_EQ(0, child_end_within(self->writer, 60));
	EXPECT_EQ(-ESTALE, self->told->error);
	EXPECT_OVER(fd, -ESTALE);
	old = fd;
	fd = reader(self, variant->polls);
	self->told->error = 0;
	self->writer = writer(&self->fan, self->told, self->stream, MANY);
	n = MIDDLE + 1;
	EXPECT_EQ(0, rest_in_turn(fd, self->stream, &n));
	EXPECT_EQ(MANY, n);
	EXPECT_EQ(0, child_end_within(self->writer, 60));
	EXPECT_EQ(0, self->told->error);
	close(fd);
	close(old);
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_dropped);
	EXPECT_ALL_WELL(50);
}

/* ------------------------------------------------------------------- links that change */

/* Which replicas made a stream: before, and after. */
struct sets {
	unsigned int n[2];
	unsigned int replica[2][MOST];
};

static bool fits(const struct sets *sets, unsigned int set, uint32_t number, uint32_t by)
{
	return by == sets->replica[set][number % sets->n[set]] + 1;
}

/* Streams of every length that tells, one behind the other. */
static uint32_t records_of(uint32_t stream)
{
	return stream % 11;
}

static pid_t writes_streams(struct fan *f, struct told *told)
{
	pid_t pid = child_for(120);
	uint32_t stream;
	int fd;

	if (pid)
		return pid;
	for (stream = 1; !__atomic_load_n(&told->stop, __ATOMIC_RELAXED); stream++) {
		fd = fan_writer(f, 0);
		told->begun = stream;
		told->written = 0;
		told->error = writes(fd, told, stream, records_of(stream));
		if (told->error)
			break;
		close(fd);
	}
	_exit(0);
}

/* One stream: 0, or the line that tells what was wrong. */
static unsigned int reads_stream(int fd, struct told *told, const struct sets *sets)
{
	uint32_t stream = told->streams + 1, number = 0, by, may = 3;
	static uint8_t buf[LONGEST];
	long n;

	while ((n = next(fd, buf)) > 0) {
		by = heard(buf, n, stream, number);
		if (!by)
			return __LINE__;
		may &= fits(sets, 0, number, by) | fits(sets, 1, number, by) << 1;
		if (!may)
			return __LINE__;
		number++;
	}
	if (n || number != records_of(stream))
		return __LINE__;
	/* Once they are others, they stay so. */
	if (told->set && !(may & 2))
		return __LINE__;
	told->set |= !(may & 1);
	return 0;
}

static pid_t reads_streams(FIXTURE_DATA(both) *self, bool polls, const struct sets *sets)
{
	pid_t pid = child_for(120);
	struct told *told = self->told;
	int fd;

	if (pid)
		return pid;
	for (;;) {
		fd = reader(self, polls);
		told->bad = reads_stream(fd, told, sets);
		if (told->bad)
			_exit(1);
		close(fd);
		__atomic_add_fetch(&told->streams, 1, __ATOMIC_RELEASE);
	}
}

/* Until so many streams were read; false if it does not come to that. */
static bool reaches(const struct told *told, uint32_t streams)
{
	int wait;

	for (wait = 0; wait < DEADLINE * 100; wait++) {
		if (__atomic_load_n(&told->streams, __ATOMIC_ACQUIRE) >= streams)
			return true;
		usleep(10000);
	}
	return false;
}

/* No stream begins there any more, and none is left. */
static bool drained(struct fan *f, const char *src, const char *dst)
{
	int wait;

	if (fan_link_set_state(f, src, dst, FAASIN_LINK_STATE_DRAINING))
		return false;
	for (wait = 0; wait < DEADLINE * 100; wait++) {
		if (fan_link_state(f, src, dst).link.state == FAASIN_LINK_STATE_DRAINED)
			return true;
		usleep(10000);
	}
	return false;
}

/* With streams that come and go all the time, none of which is to notice. */
#define EXPECT_GOES_ON(set_then)							\
do {											\
	EXPECT_TRUE(reaches(self->told, self->told->streams + 12))			\
		TH_LOG("%u streams", self->told->streams);				\
	EXPECT_EQ(0, self->told->bad);							\
	EXPECT_EQ(set_then, self->told->set);						\
} while (0)

/* The writer comes to its end, and all that it wrote is read. */
#define EXPECT_ALL_READ()								\
do {											\
	self->told->stop = true;							\
	EXPECT_EQ(0, child_end(self->writer));						\
	EXPECT_EQ(0, self->told->error);						\
	EXPECT_TRUE(reaches(self->told, self->told->begun));				\
	EXPECT_EQ(0, self->told->bad);							\
	EXPECT_EQ(0, fan_sums(&self->fan).streams_aborted);				\
	EXPECT_EQ(0, fan_sums(&self->fan).bytes_dropped);				\
	EXPECT_SUMS();									\
} while (0)

TEST_F_TIMEOUT(both, one_is_taken_away_between_streams, 120)
{
	static const struct sets sets = { { 3, 2 }, { { 0, 1, 2 }, { 0, 2 } } };
	pid_t reader;

	reader = reads_streams(self, variant->polls, &sets);
	self->writer = writes_streams(&self->fan, self->told);
	EXPECT_GOES_ON(0);
	/* First where records come in: the writer's next stream waits until that link is gone. */
	EXPECT_TRUE(drained(&self->fan, "a", "r1"));
	EXPECT_TRUE(drained(&self->fan, "r1", "d"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "r1", "d"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_EQ(0, child_end(self->replica[1]));
	self->replica[1] = 0;
	EXPECT_GOES_ON(1);
	EXPECT_ALL_READ();
	child_kill(reader, SIGKILL);
}

TEST_F_TIMEOUT(both, one_is_added_between_streams, 120)
{
	static const struct sets sets = { { 3, 4 }, { { 0, 1, 2 }, { 0, 1, 2, 3 } } };
	struct faasctl_link_options options = merged();
	pid_t reader;
	int i;

	ASSERT_EQ(0, fan_stage(&self->fan, "r3"));
	/* It waits for its links. */
	self->replica[3] = replica(&self->fan, self->told, 3);
	reader = reads_streams(self, variant->polls, &sets);
	self->writer = writes_streams(&self->fan, self->told);
	EXPECT_GOES_ON(0);
	/* No stream is under way anywhere: or it would have one at one end of it only. */
	for (i = 0; i < STAGES; i++)
		EXPECT_TRUE(drained(&self->fan, "a", name_of(i)));
	for (i = 0; i < STAGES; i++)
		EXPECT_TRUE(drained(&self->fan, name_of(i), "d"));
	EXPECT_EQ(0, fan_link(&self->fan, "r3", "d", &options))
		TH_LOG("%s", self->fan.refusal);
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r3", &dealt))
		TH_LOG("%s", self->fan.refusal);
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(0, fan_link_set_state(&self->fan, name_of(i), "d",
						FAASIN_LINK_STATE_RUNNING));
		EXPECT_EQ(0, fan_set_state(&self->fan, name_of(i), FAASIN_LINK_STATE_RUNNING));
	}
	EXPECT_GOES_ON(1);
	EXPECT_ALL_READ();
	child_kill(reader, SIGKILL);
}

TEST_HARNESS_MAIN
