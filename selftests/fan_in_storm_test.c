// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-in, all at once: producers that are killed, readers that leave, links that come and go. Where
 * one reads alone, a stream is whole or says that it is not; none is lost, comes twice, or is
 * mixed with another, and those of one link come in the order in which they began. Where several
 * read, it goes on.
 */
#include "actor.h"
#include "fan_in.h"

#include <sys/epoll.h>

#include "harness.h"

#define STAGES		8
#define CAPACITY	(64 * KIB)

/* What a stream begins with. */
struct head {
	uint32_t stage;		/* STAGES: there is nothing more to come */
	uint32_t length;	/* of what follows, of the pattern stage + 1 */
	uint64_t number;	/* of the stage's streams, from 1 */
};

/**
 * struct tally - what processes share
 * @begun: streams that each stage began
 * @seen: number of the last stream of each that was read from its beginning
 * @whole: streams that came whole
 * @aborted: streams that were aborted
 * @headless: of which nothing was written before that
 * @left: streams that a reader left
 * @bytes: that were read
 * @why: the first thing that should not be, or 0: a line of this file
 * @stop: everybody is to end
 */
struct tally {
	uint64_t begun[STAGES];
	uint64_t seen[STAGES];
	unsigned int whole;
	unsigned int aborted;
	unsigned int headless;
	unsigned int left;
	uint64_t bytes;
	unsigned int why;
	bool stop;
};

FIXTURE(storm)
{
	struct fan fan;
	struct tally *tally;
};

FIXTURE_SETUP(storm)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.capacity = CAPACITY;
	self->tally = shared(sizeof(*self->tally));
	ASSERT_NE(NULL, self->tally);
	FAN_IN_SETUP(&self->fan, STAGES, &options);
}

FIXTURE_TEARDOWN(storm)
{
	munmap(self->tally, sizeof(*self->tally));
	FAN_TEARDOWN(&self->fan);
}

static void count(unsigned int *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

static bool stopped(const struct tally *t)
{
	return __atomic_load_n(&t->stop, __ATOMIC_RELAXED);
}

#define MUST(t, what)								\
do {										\
	if (!(what) && !(t)->why)						\
		(t)->why = __LINE__;						\
} while (0)

/* Streams, one behind the other, until it is killed or told to stop. */
static void produces(struct fan *f, unsigned int stage, struct tally *t, uint64_t seed)
{
	struct head head = { .stage = stage };
	int fd;

	while (!stopped(t)) {
		fd = fan_in_writer(f, stage, 0);
		if (fd < 0)
			continue;
		head.number = __atomic_add_fetch(&t->begun[stage], 1, __ATOMIC_RELAXED);
		head.length = random_next(&seed) % (2 * CAPACITY);
		if (write(fd, &head, sizeof(head)) == sizeof(head))
			pattern_write(fd, head.length, 1 + random_next(&seed) % 9000, stage + 1, 0);
		close(fd);
	}
	_exit(0);
}

/* The rest of a stream whose head was read: whole, or a part of it and then an abort. */
static void hears(int fd, const struct head *head, struct tally *t)
{
	uint8_t buf[7000];
	uint64_t at = 0;
	long n;

	while ((n = sys(read(fd, buf, sizeof(buf)))) > 0) {
		MUST(t, pattern_is(buf, n, head->stage + 1, at));
		at += n;
	}
	t->bytes += at;
	MUST(t, at <= head->length);
	if (n) {
		MUST(t, n == -ECONNABORTED);
		count(&t->aborted);
	} else {
		MUST(t, at == head->length);
		count(&t->whole);
	}
}

/* Of one link, numbers only grow; one reader at a time looks at its stream's head. */
static bool in_order(struct tally *t, const struct head *head)
{
	uint64_t seen;

	if (head->stage >= STAGES)
		return false;
	seen = __atomic_exchange_n(&t->seen[head->stage], head->number, __ATOMIC_RELAXED);
	return head->number > seen &&
	       head->number <= __atomic_load_n(&t->begun[head->stage], __ATOMIC_RELAXED);
}

/* Fewer on a kernel that is instrumented: it does as much in each. */
static unsigned int rounds(unsigned int n)
{
	return n / slower() ?: 1;
}

enum how { READS, POLLS, EPOLLS, LEAVES, HOWS };

/* What a reader does before it reads. */
static void waits(int fd, enum how way)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ep;

	if (way == POLLS) {
		poll(&p, 1, -1);
	} else if (way == EPOLLS) {
		ep = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
		epoll_wait(ep, &e, 1, -1);
		close(ep);
	}
}

/* Opens the input, and now and then leaves at once without having taken the stream that it has. */
static int comes(struct fan *f, enum how way, uint64_t *seed)
{
	int fd = fan_in_reader(f, O_NONBLOCK);

	if (fd < 0)
		return fd;
	if (way == LEAVES && random_next(seed) % 2) {
		ready(fd);
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, 0);
	waits(fd, way);
	return fd;
}

/* The only one who reads, so each stream is his, from its beginning, once, and he can judge. */
static void judges(struct fan *f, struct tally *t, uint64_t seed)
{
	struct head head;
	enum how way;
	int fd;
	long n;

	for (;;) {
		way = random_next(&seed) % HOWS;
		fd = comes(f, way, &seed);
		if (fd < 0)
			continue;
		n = read_full(fd, &head, sizeof(head));
		t->bytes += n > 0 ? n : 0;
		if (n < 0) {
			MUST(t, n == -ECONNABORTED);
			count(&t->headless);
		} else if (n != sizeof(head)) {
			/* Neither a part of it, nor the end of a stream that has none. */
			MUST(t, false);
		} else if (head.stage == STAGES) {
			_exit(0);
		} else {
			MUST(t, in_order(t, &head));
			if (way == LEAVES)
				count(&t->left);
			else
				hears(fd, &head, t);
		}
		close(fd);
	}
}

/* One of several who share sessions: a session after another. */
static void consumes(struct fan *f, struct tally *t, uint64_t seed)
{
	char buf[7000];
	enum how way;
	int fd;

	while (!stopped(t)) {
		way = random_next(&seed) % HOWS;
		fd = comes(f, way, &seed);
		if (fd < 0)
			continue;
		while (read(fd, buf, sizeof(buf)) > 0 && way != LEAVES)
			;
		close(fd);
	}
	_exit(0);
}

static pid_t producer(FIXTURE_DATA(storm) *self, unsigned int stage, uint64_t seed)
{
	pid_t pid = child_for(200);

	if (!pid)
		produces(&self->fan, stage, self->tally, seed);
	return pid;
}

static pid_t consumer(FIXTURE_DATA(storm) *self, uint64_t seed)
{
	pid_t pid = child_for(200);

	if (!pid)
		consumes(&self->fan, self->tally, seed);
	return pid;
}

/* All stages' producers, and behind them @n consumers, or who judges alone if there are none. */
static void start(FIXTURE_DATA(storm) *self, pid_t *pids, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		pids[i] = producer(self, i, 100 + i);
	for (; i < STAGES + n; i++)
		pids[i] = consumer(self, 1 + i);
	if (n)
		return;
	pids[i] = child_for(200);
	if (!pids[i])
		judges(&self->fan, self->tally, 7);
}

static void stop_all(FIXTURE_DATA(storm) *self, pid_t *pids, int n)
{
	__atomic_store_n(&self->tally->stop, true, __ATOMIC_RELAXED);
	while (n--)
		child_kill(pids[n], SIGKILL);
}

/* Producers are killed; who judges reads what there is, and ends. What that was like. */
static int verdict(FIXTURE_DATA(storm) *self, pid_t *pids)
{
	struct head end = { .stage = STAGES };
	int fd;

	stop_all(self, pids, STAGES);
	fd = fan_in_writer(&self->fan, 0, 0);
	if (write(fd, &end, sizeof(end)) != sizeof(end))
		return -1;
	close(fd);
	return child_end_within(pids[STAGES], 60);
}

#define EXPECT_VERDICT								\
do {										\
	struct tally *said = self->tally;					\
										\
	EXPECT_EQ(0, verdict(self, pids));					\
	EXPECT_EQ(0, said->why)							\
		TH_LOG("line %u of this file", said->why);			\
	EXPECT_LT(0, said->whole);						\
	EXPECT_LT(0, said->aborted);						\
	EXPECT_LT(0, said->left);						\
	TH_LOG("%u were whole, %u aborted, %u before anything was written, %u left",	\
	       said->whole, said->aborted, said->headless, said->left);		\
} while (0)

/* Producers are killed and start again: no stream is lost, and nothing of one. */
TEST_F_TIMEOUT(storm, producers_are_killed, 240)
{
	struct faasctl_stats st, sums = { 0 };
	struct tally *t = self->tally;
	pid_t pids[STAGES + 1];
	unsigned int i, round;
	uint64_t seed = 11;

	start(self, pids, 0);
	for (round = 0; round < rounds(150); round++) {
		usleep(random_next(&seed) % 20000);
		i = random_next(&seed) % STAGES;
		child_kill(pids[i], SIGKILL);
		pids[i] = producer(self, i, 1000 + round);
	}
	EXPECT_VERDICT;
	for (i = 0; i < STAGES; i++) {
		st = fan_in_state(&self->fan, i).stats;
		sums.streams_begun += st.streams_begun;
		sums.bytes_in += st.bytes_in;
		sums.bytes_out += st.bytes_out;
		sums.bytes_dropped += st.bytes_dropped;
		sums.bytes_held += st.bytes_held;
		EXPECT_LE(t->begun[i], st.streams_begun);
	}
	/* The last one said that there is no more. */
	EXPECT_EQ(t->whole + t->aborted + t->headless + t->left + 1, sums.streams_begun);
	EXPECT_EQ(0, sums.bytes_held);
	EXPECT_EQ(t->bytes, sums.bytes_out);
	EXPECT_EQ(t->bytes + sums.bytes_dropped, sums.bytes_in);
}

/* It goes on: more streams begin. */
#define EXPECT_GOES_ON								\
do {										\
	uint64_t on_before = fan_sums(&self->fan).streams_begun;		\
										\
	for (int on_i = 0; on_i < DEADLINE * 100 &&				\
	     fan_sums(&self->fan).streams_begun <= on_before + 10; on_i++)	\
		usleep(10000);							\
	EXPECT_LT(on_before + 10, fan_sums(&self->fan).streams_begun);		\
} while (0)

/* Sixteen readers who share sessions, leave and come back; nobody can be stuck. */
TEST_F_TIMEOUT(storm, readers_come_and_go, 120)
{
	pid_t pids[STAGES + 16];
	unsigned int i, round;
	uint64_t seed = 5;

	start(self, pids, 16);
	for (round = 0; round < rounds(100); round++) {
		usleep(random_next(&seed) % 20000);
		i = STAGES + random_next(&seed) % 16;
		child_kill(pids[i], SIGKILL);
		pids[i] = consumer(self, 1000 + round);
	}
	EXPECT_GOES_ON;
	stop_all(self, pids, STAGES + 16);
	TH_LOG("%llu streams began", (unsigned long long)fan_sums(&self->fan).streams_begun);
}

/* One of the things that can be done to links that are in use; @replaces: or to their stages. */
static void operates(struct fan *f, uint64_t *seed, bool replaces)
{
	unsigned int i = random_next(seed) % STAGES;
	char name[16];

	snprintf(name, sizeof(name), "p%u", i);
	switch (random_next(seed) % 8) {
	case 0:
	case 1:
		fan_unlink(f, name, "d");
		break;
	case 2:
		fan_in_set_state(f, i, FAASIN_LINK_STATE_PAUSED);
		fan_in_set_state(f, i, FAASIN_LINK_STATE_RUNNING);
		break;
	case 3:
		fan_in_resize(f, i, (8 + random_next(seed) % 32) * PAGE);
		break;
	case 4:
		if (replaces)
			fan_replace(f, random_next(seed) % 2 ? "d" : name);
		break;
	case 5:
		/* All of them: the inbox goes, and comes back. */
		if (random_next(seed) % 8)
			break;
		for (i = 0; i < STAGES; i++) {
			snprintf(name, sizeof(name), "p%u", i);
			fan_unlink(f, name, "d");
		}
		break;
	default:
		fan_link(f, fan_list('p', 0, STAGES - 1), "d", NULL);
	}
}

/* Does so all the while; in the end all links are there. */
#define OPERATE(replaces)							\
do {										\
	struct faasctl_link_options again = FAASCTL_LINK_OPTIONS_INIT;		\
	uint64_t operate_seed = 3;						\
										\
	again.capacity = CAPACITY;						\
	for (unsigned int round = 0; round < rounds(300); round++) {		\
		operates(&self->fan, &operate_seed, replaces);			\
		if (!fan_links(&self->fan))					\
			EXPECT_EQ(0, fan_link(&self->fan, fan_list('p', 0, STAGES - 1), "d",	\
					      &again));				\
		usleep(random_next(&operate_seed) % 5000);			\
	}									\
	fan_link(&self->fan, fan_list('p', 0, STAGES - 1), "d", NULL);		\
} while (0)

/* Links are deleted, made again, paused, resized: what is read is right all the same. */
TEST_F_TIMEOUT(storm, links_come_and_go, 240)
{
	pid_t pids[STAGES + 1];

	start(self, pids, 0);
	OPERATE(false);
	EXPECT_GOES_ON;
	EXPECT_VERDICT;
}

/* Stages are replaced, too, and several read: nobody can be stuck. */
TEST_F_TIMEOUT(storm, links_and_stages_come_and_go, 240)
{
	pid_t pids[STAGES + 3];

	start(self, pids, 3);
	OPERATE(true);
	EXPECT_GOES_ON;
	stop_all(self, pids, STAGES + 3);
}

TEST_HARNESS_MAIN
