// SPDX-License-Identifier: GPL-2.0
/*
 * Dealing: replicas, which are processes. Each reads its share, whole and in order; what the
 * others and the writer are told when one is killed, took nothing, or is replaced; and what the
 * links can be set to.
 */
#include "actor.h"
#include "fan.h"
#include "records.h"

#include <pthread.h>
#include <sys/uio.h>

#include "harness.h"

#define STAGES		3
#define CAPACITY	(64 * KIB)
#define MIDDLE		20	/* records that one has read, of many */

static const struct faasctl_link_options dealt = FAN_DEALT_INIT(CAPACITY);

/* What a replica saw: how many records, whether each was its next one, and how it ended. */
struct share {
	uint32_t records;
	bool wrong;
	int end;
};

/* What processes tell: the replicas, and the writer of how many it wrote, and why no more. */
struct told {
	struct share share[STAGES];
	uint32_t written;
	int error;
};

FIXTURE(replicas)
{
	struct fan fan;
	struct told *told;
	pid_t writer, replica[STAGES];
};

FIXTURE_SETUP(replicas)
{
	self->told = shared(sizeof(*self->told));
	ASSERT_NE(NULL, self->told);
	FAN_SETUP(&self->fan, STAGES, &dealt);
}

FIXTURE_TEARDOWN(replicas)
{
	FAN_TEARDOWN(&self->fan);
	munmap(self->told, sizeof(*self->told));
}

/* From a byte to several pages. */
static size_t length_of(uint32_t number)
{
	return 1 + number * 7919ul % 20000;
}

/* How many of @written records are @stage's. */
static uint32_t share_of(uint32_t written, unsigned int stage)
{
	return (written + STAGES - 1 - stage) / STAGES;
}

/* A replica that goes on where @share is, to the end of the stream. */
static pid_t replica(struct fan *f, unsigned int stage, struct share *share)
{
	static uint8_t buf[CAPACITY];
	pid_t pid = child();
	uint32_t number;
	long n;
	int fd;

	if (pid)
		return pid;
	fd = fan_reader(f, stage, 0);
	while ((n = sys(read(fd, buf, sizeof(buf)))) > 0) {
		number = share->records * STAGES + stage;
		if (n != (long)length_of(number) || !pattern_is(buf, n, number, 0))
			share->wrong = true;
		__atomic_add_fetch(&share->records, 1, __ATOMIC_RELEASE);
	}
	share->end = n;
	_exit(0);
}

/* Writes @n records, as far as that goes. */
static pid_t writer(struct fan *f, struct told *told, uint32_t n)
{
	pid_t pid = child();
	int fd;

	if (pid)
		return pid;
	fd = fan_writer(f, 0);
	for (told->written = 0; told->written < n && !told->error; ) {
		told->error = record_write(fd, length_of(told->written), told->written);
		if (told->error > 0) {
			told->error = 0;
			told->written++;
		}
	}
	_exit(0);
}

static void begin(FIXTURE_DATA(replicas) *self, uint32_t records)
{
	unsigned int i;

	memset(self->told, 0, sizeof(*self->told));
	self->writer = writer(&self->fan, self->told, records);
	for (i = 0; i < STAGES; i++)
		self->replica[i] = replica(&self->fan, i, &self->told->share[i]);
}

/* Until @stage has read some; false if it does not come to that. */
static bool in_the_middle(FIXTURE_DATA(replicas) *self, unsigned int stage)
{
	uint32_t *records = &self->told->share[stage].records;
	int wait;

	for (wait = 0; wait < DEADLINE * 100; wait++) {
		if (__atomic_load_n(records, __ATOMIC_ACQUIRE) >= MIDDLE)
			return true;
		usleep(10000);
	}
	return false;
}

/* Of @all records that were written, @stage got its share, whole and in order, and then @how. */
#define EXPECT_SHARE(stage, all, how)							\
do {											\
	struct share *got = &self->told->share[stage];					\
											\
	EXPECT_EQ(0, child_end_within(self->replica[stage], 60));			\
	EXPECT_FALSE(got->wrong);							\
	EXPECT_EQ(share_of(all, stage), got->records)					\
		TH_LOG("stage %u of %u records", (unsigned int)(stage), (unsigned int)(all));	\
	EXPECT_EQ(how, got->end);							\
} while (0)

/* A stream that nothing happens to. */
#define EXPECT_ALL_WELL(all)								\
do {											\
	begin(self, all);								\
	EXPECT_EQ(0, child_end_within(self->writer, 60));				\
	EXPECT_EQ(0, self->told->error);						\
	for (unsigned int well = 0; well < STAGES; well++)				\
		EXPECT_SHARE(well, all, 0);						\
} while (0)

/* ----------------------------------------------------------------------- processes */

TEST_F(replicas, each_reads_its_share)
{
	EXPECT_ALL_WELL(900 / slower() + 1);
	EXPECT_ALL_WELL(2);
	EXPECT_EQ(2, fan_state(&self->fan, 2).stats.streams_ended);
}

/* What it was given may be lost: the writer is told, and the others behind their shares. */
TEST_F(replicas, one_is_killed_in_the_middle)
{
	struct link_state state;
	unsigned int i;

	begin(self, UINT32_MAX);
	EXPECT_TRUE(in_the_middle(self, 1));
	child_kill(self->replica[1], SIGKILL);
	EXPECT_EQ(0, child_end_within(self->writer, 60));
	EXPECT_EQ(-EPIPE, self->told->error);
	EXPECT_LE(MIDDLE, self->told->written);
	for (i = 0; i < STAGES; i += 2) {
		EXPECT_SHARE(i, self->told->written, -ECONNABORTED);
		state = fan_state(&self->fan, i);
		EXPECT_EQ(FAASIN_CAUSE_DEAL, state.last.cause);
		/* Who did that is told of the link that it was done to. */
		EXPECT_STREQ("a", state.stage);
		EXPECT_EQ(0, (int)state.last.pid);
		EXPECT_EQ(1, state.stats.streams_aborted);
	}
	state = fan_state(&self->fan, 1);
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, state.last.cause);
	EXPECT_STREQ("r1", state.stage);
	EXPECT_EQ(self->replica[1], (int)state.last.pid);
	EXPECT_EQ(1, state.stats.early_closes);
	EXPECT_ALL_WELL(50);
}

TEST_F(replicas, one_that_took_nothing_is_succeeded)
{
	pid_t pid = child();

	if (!pid) {
		fan_reader(&self->fan, 1, 0);
		pause();
	}
	EXPECT_TRUE(blocks_in(pid, SYS_pause));
	self->writer = writer(&self->fan, self->told, 5);
	EXPECT_EQ(0, child_end(self->writer));
	child_kill(pid, SIGKILL);
	for (unsigned int i = 0; i < STAGES; i++) {
		self->replica[i] = replica(&self->fan, i, &self->told->share[i]);
		EXPECT_SHARE(i, 5, 0);
	}
}

/* Its successor goes on with the first record that it did not read. */
TEST_F(replicas, one_is_replaced_in_the_middle)
{
	uint32_t all = 900 / slower() + 300;
	unsigned int i;

	begin(self, all);
	EXPECT_TRUE(in_the_middle(self, 1));
	EXPECT_EQ(0, fan_replace(&self->fan, "r1"));
	EXPECT_EQ(0, child_end_within(self->replica[1], 60));
	EXPECT_EQ(-ESTALE, self->told->share[1].end);
	self->replica[1] = replica(&self->fan, 1, &self->told->share[1]);
	EXPECT_EQ(0, child_end_within(self->writer, 60));
	EXPECT_EQ(0, self->told->error);
	for (i = 0; i < STAGES; i++)
		EXPECT_SHARE(i, all, 0);
}

/* All have what was written, to the last record, and none takes that for the end. */
TEST_F(replicas, the_writer_is_killed_in_the_middle)
{
	uint32_t all = 0;
	unsigned int i;

	begin(self, UINT32_MAX);
	EXPECT_TRUE(in_the_middle(self, 2));
	child_kill(self->writer, SIGKILL);
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(0, child_end_within(self->replica[i], 60));
		all += self->told->share[i].records;
	}
	/* It may not have had the time to count its last. */
	EXPECT_LE(self->told->written, all);
	EXPECT_GE(self->told->written + 1, all);
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(share_of(all, i), self->told->share[i].records);
		EXPECT_FALSE(self->told->share[i].wrong);
		EXPECT_EQ(-ECONNABORTED, self->told->share[i].end);
		EXPECT_EQ(FAASIN_CAUSE_SIGNAL, fan_state(&self->fan, i).last.cause);
		EXPECT_EQ(SIGKILL, (int)fan_state(&self->fan, i).last.code);
		EXPECT_EQ(self->writer, (int)fan_state(&self->fan, i).last.pid);
	}
	EXPECT_ALL_WELL(50);
}

struct closing {
	int fd, done;
};

/* What the leader is writing to. */
static void *closes_it(void *arg)
{
	struct closing *closing = arg;

	if (blocks_in(getpid(), SYS_write))
		close(closing->fd);
	ring(closing->done);
	return NULL;
}

/*
 * A writer is told that one is gone, and is itself gone before others look: none of them takes that
 * for an end.
 */
TEST_F(replicas, one_leaves_and_the_writer_with_it)
{
	struct closing closing = { .done = bell() };
	int r[STAGES], i, w;
	pthread_t thread;
	pid_t pid;

	stay_on(0);
	for (i = 0; i < STAGES; i++)
		r[i] = fan_reader(&self->fan, i, O_NONBLOCK);
	pid = child();
	if (!pid) {
		for (i = 0; i < STAGES; i++)
			close(r[i]);
		w = fan_writer(&self->fan, 0);
		closing.fd = w;
		for (i = 0; i < STAGES; i++)
			if (record_write(w, CAPACITY, i) != CAPACITY)
				_exit(1);
		if (record_write(w, 1, 3) != 1)
			_exit(2);
		if (pthread_create(&thread, NULL, closes_it, &closing))
			_exit(3);
		comes_first();
		/* When this returns, the file is released, as its descriptor is closed. */
		_exit(record_write(w, CAPACITY, 4) == -EPIPE ? 0 : 4);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_TRUE(record_is(r[0], CAPACITY, CAPACITY, 0, 0));
	EXPECT_TRUE(await(closing.done));
	EXPECT_EQ(1, sys(read(r[1], (char [1]){ 0 }, 1)));
	close(r[1]);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(record_is(r[0], 1, 1, 3, 0));
	EXPECT_OVER(r[0], -ECONNABORTED);
	EXPECT_TRUE(record_is(r[2], CAPACITY, CAPACITY, 2, 0));
	EXPECT_OVER(r[2], -ECONNABORTED);
	close(r[0]);
	close(r[2]);
	close(closing.done);
}

/* Several outputs deal to the same replicas: all of these have the streams in one order. */
TEST_F(replicas, several_writers_have_the_same)
{
	static const char *const stages[] = { "c", "d", "x", "y" };
	int w[2], r, turn, i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, fan_stage(&self->fan, stages[i]));
	ASSERT_EQ(0, fan_link(&self->fan, "c,d", "x,y", &dealt));
	w[1] = fan_open(&self->fan, "d", FAASIN_PORT_OUT, O_WRONLY);
	w[0] = fan_open(&self->fan, "c", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_WRITE(w[0], "c0");
	EXPECT_WRITE(w[1], "d0");
	EXPECT_WRITE(w[0], "c1");
	EXPECT_WRITE(w[1], "d1");
	close(w[0]);
	close(w[1]);
	for (turn = 0; turn < 2; turn++) {
		for (i = 0; i < 2; i++) {
			/* d began first. */
			char want[] = { i ? 'c' : 'd', '0' + turn, 0 };

			r = fan_open(&self->fan, stages[2 + turn], FAASIN_PORT_IN, O_RDONLY);
			EXPECT_RECORD_READ(r, want);
			EXPECT_OVER(r, 0);
			close(r);
		}
	}
}

/* --------------------------------------------------------------------------- links */

TEST_F(replicas, each_link_has_a_capacity)
{
	int w = fan_writer(&self->fan, O_NONBLOCK);

	EXPECT_EQ(0, fan_resize(&self->fan, "r1", 2 * CAPACITY));
	EXPECT_EQ(CAPACITY, fan_state(&self->fan, 0).link.capacity);
	EXPECT_EQ(2 * CAPACITY, fan_state(&self->fan, 1).link.capacity);
	EXPECT_EQ(CAPACITY, port_info(w).capacity);
	EXPECT_EQ(-EMSGSIZE, record_write(w, 2 * CAPACITY, 1));
	EXPECT_EQ(CAPACITY, record_write(w, CAPACITY, 1));
	EXPECT_EQ(2 * CAPACITY, port_info(w).capacity);
	EXPECT_EQ(2 * CAPACITY, record_write(w, 2 * CAPACITY, 1));
	EXPECT_EQ(-EMSGSIZE, record_write(w, 2 * CAPACITY, 1));
	close(w);
}

/* One that is to go is drained: what runs, runs on, and no other stream begins. */
TEST_F(replicas, one_is_drained)
{
	int w = fan_writer(&self->fan, O_NONBLOCK), r;
	pid_t pid;

	EXPECT_WRITE(w, "a");
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_DRAINING));
	EXPECT_WRITE(w, "b");
	close(w);
	EXPECT_EQ(-EAGAIN, fan_writer(&self->fan, O_NONBLOCK));
	pid = child();
	if (!pid) {
		w = fan_writer(&self->fan, 0);
		_exit(write(w, "c", 1) != 1 || write(w, "d", 1) != 1);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	r = fan_reader(&self->fan, 1, 0);
	EXPECT_RECORD_READ(r, "b");
	EXPECT_OVER(r, 0);
	close(r);
	EXPECT_EQ(FAASIN_LINK_STATE_DRAINED, fan_state(&self->fan, 1).link.state);
	EXPECT_TRUE(is_running(pid));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_EQ(0, child_end(pid));
	r = fan_reader(&self->fan, 2, 0);
	EXPECT_OVER(r, 0);
	close(r);
	r = fan_reader(&self->fan, 2, 0);
	EXPECT_RECORD_READ(r, "d");
	close(r);
}

/* Once a link is said to be drained, no stream begins there. */
TEST_F_TIMEOUT(replicas, one_is_drained_again_and_again, 120)
{
	struct link_state state;
	pid_t pids[STAGES + 1];
	unsigned int round, i;
	uint64_t begun;
	int wait;

	for (i = 0; i <= STAGES; i++) {
		pids[i] = child();
		while (!pids[i] && i == STAGES)
			close(fan_writer(&self->fan, 0));
		while (!pids[i]) {
			int r = fan_reader(&self->fan, i, 0);

			while (read(r, (char [1]){ 0 }, 1) > 0)
				;
			close(r);
		}
	}
	for (round = 0; round < 50 / slower(); round++) {
		begun = fan_state(&self->fan, 1).stats.streams_begun;
		/* Others run meanwhile. */
		for (wait = 0; wait < DEADLINE * 1000 &&
		     fan_state(&self->fan, 1).stats.streams_begun == begun; wait++)
			usleep(1000);
		ASSERT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_DRAINING));
		for (wait = 0; wait < DEADLINE * 1000; wait++) {
			state = fan_state(&self->fan, 1);
			if (state.link.state == FAASIN_LINK_STATE_DRAINED)
				break;
			usleep(100);
		}
		ASSERT_EQ(FAASIN_LINK_STATE_DRAINED, state.link.state);
		usleep(1000);
		ASSERT_EQ(state.stats.streams_begun, fan_state(&self->fan, 1).stats.streams_begun);
		ASSERT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_RUNNING));
	}
	for (i = 0; i <= STAGES; i++)
		child_kill(pids[i], SIGKILL);
}

/* Who waits to begin a stream goes on to whatever the output is linked to by then. */
TEST_F(replicas, all_links_go_while_an_open_waits)
{
	pid_t pid;
	int r;

	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_DRAINING));
	pid = child();
	if (!pid)
		_exit(write(fan_writer(&self->fan, 0), "x", 1) != 1);
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r2"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r1"));
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r2", NULL));
	EXPECT_EQ(0, child_end(pid));
	r = fan_reader(&self->fan, 2, 0);
	EXPECT_READ(r, "x");
	EXPECT_OVER(r, 0);
	close(r);
}

/* It was prepared for fewer links than there are when it may begin. */
TEST_F(replicas, a_link_is_added_while_an_open_waits)
{
	pid_t pid;
	int r;

	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_DRAINING));
	pid = child();
	if (!pid) {
		int w = fan_writer(&self->fan, 0), i;

		for (i = 0; i <= STAGES; i++)
			if (write(w, (char [1]){ '0' + i }, 1) != 1)
				_exit(1);
		_exit(0);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, fan_stage(&self->fan, "r3"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", "r3", &dealt)) TH_LOG("%s", self->fan.refusal);
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_RUNNING));
	EXPECT_EQ(0, child_end(pid));
	r = fan_reader(&self->fan, STAGES, 0);
	EXPECT_RECORD_READ(r, "3");
	EXPECT_OVER(r, 0);
	close(r);
}

TEST_F(replicas, the_workflow_goes_while_some_wait)
{
	int w = fan_writer(&self->fan, O_NONBLOCK), i;
	pid_t opener, writer;

	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(CAPACITY, record_write(w, CAPACITY, i));
	fcntl(w, F_SETFL, 0);
	writer = child();
	if (!writer)
		_exit(sys(write(w, "x", 1)) == -EPIPE ? 0 : 1);
	EXPECT_TRUE(blocks_in(writer, SYS_write));
	opener = child();
	if (!opener) {
		/* The stream that lives can be joined; the next one waits. */
		close(w);
		w = fan_writer(&self->fan, 0);
		ioctl(w, FAASIN_IOC_END);
		fan_set_state(&self->fan, "r1", FAASIN_LINK_STATE_DRAINING);
		/* Links go one by one: it may be let in by what is left, and be told then. */
		w = fan_writer(&self->fan, 0);
		while (w >= 0 && write(w, "x", 1) == 1)
			;
		_exit(w == -ENOENT || (w >= 0 && errno == EPIPE) ? 0 : 1);
	}
	EXPECT_EQ(0, child_end(writer));
	EXPECT_TRUE(blocks_in_open(opener));
	fan_del(&self->fan);
	EXPECT_EQ(0, child_end(opener));
	EXPECT_EQ(-EPIPE, sys(write(w, "x", 1)));
	close(w);
}

TEST_F(replicas, the_stage_is_replaced_while_one_waits)
{
	int w = fan_writer(&self->fan, O_NONBLOCK), r, i;
	pid_t pid;

	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(CAPACITY, record_write(w, CAPACITY, i));
	fcntl(w, F_SETFL, 0);
	pid = child();
	if (!pid)
		_exit(sys(write(w, "x", 1)) == -ESTALE ? 0 : 1);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	EXPECT_EQ(0, fan_replace(&self->fan, "a"));
	EXPECT_EQ(0, child_end(pid));
	close(w);
	/* Twice, with nobody there: the stream waits for who comes. */
	EXPECT_EQ(0, fan_replace(&self->fan, "a"));
	r = fan_reader(&self->fan, 0, O_NONBLOCK);
	EXPECT_TRUE(record_is(r, CAPACITY, CAPACITY, 0, 0));
	EXPECT_EQ(-EAGAIN, sys(read(r, (char [1]){ 0 }, 1)));
	w = fan_writer(&self->fan, O_NONBLOCK);
	EXPECT_WRITE(w, "goes on");
	EXPECT_EQ(-EAGAIN, sys(write(w, "x", 1)));
	close(w);
	EXPECT_RECORD_READ(r, "goes on");
	EXPECT_OVER(r, 0);
	close(r);
}

/* Also at another's turn than the first. */
TEST_F(replicas, what_fails_in_the_middle)
{
	struct iovec iov[2] = { { (void *)"good", 4 }, { (void *)8, 4 } };
	int w = fan_writer(&self->fan, 0), r = fan_reader(&self->fan, 1, O_NONBLOCK), i;

	EXPECT_WRITE(w, "one");
	EXPECT_EQ(-EFAULT, sys(writev(w, iov, 2)));
	EXPECT_EQ(-EAGAIN, sys(read(r, (char [1]){ 0 }, 1)));
	EXPECT_EQ(4, sys(pwritev2(w, iov, 1, -1, RWF_NOWAIT)));
	EXPECT_RECORD_READ(r, "good");
	EXPECT_EQ(CAPACITY, record_write(w, CAPACITY, 2));
	for (i = 0; i < 2; i++)
		EXPECT_WRITE(w, "x");
	/* The third is full. */
	EXPECT_EQ(-EAGAIN, sys(pwritev2(w, iov, 1, -1, RWF_NOWAIT)));
	close(w);
	close(r);
}

/* A stream begins on all links: one that has too many queued keeps it from that, till it goes. */
TEST_F(replicas, one_has_too_many_streams)
{
	pid_t pid;
	int i, r;

	for (i = 0; i < FAASIN_STREAMS_MAX; i++)
		ASSERT_EQ(0, close(fan_writer(&self->fan, O_NONBLOCK)));
	EXPECT_EQ(-EAGAIN, fan_writer(&self->fan, O_NONBLOCK));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r0"));
	EXPECT_EQ(-EAGAIN, fan_writer(&self->fan, O_NONBLOCK));
	r = fan_reader(&self->fan, 1, 0);
	EXPECT_OVER(r, 0);
	close(r);
	/* Whoever is woken looks at once: is it the last wake-up? */
	stay_on(0);
	pid = child();
	if (!pid) {
		comes_first();
		_exit(fan_writer(&self->fan, 0) < 0);
	}
	EXPECT_TRUE(blocks_in_open(pid));
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r2"));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(replicas, no_more_than_may_be)
{
	char name[16];
	int i;

	for (i = STAGES; i <= FAASIN_FAN_MAX; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		ASSERT_EQ(0, fan_stage(&self->fan, name));
	}
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "a", fan_list('r', STAGES, FAASIN_FAN_MAX), &dealt));
	EXPECT_EQ(0, fan_link(&self->fan, "a", fan_list('r', STAGES, FAASIN_FAN_MAX - 1), &dealt));
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "a", name, &dealt));
	/* All of them take part. */
	i = fan_writer(&self->fan, 0);
	for (unsigned int n = 0; n <= FAASIN_FAN_MAX; n++)
		EXPECT_EQ(1, sys(write(i, "x", 1)));
	close(i);
	EXPECT_EQ(2, fan_state(&self->fan, 0).stats.bytes_in);
	EXPECT_EQ(1, fan_state(&self->fan, FAASIN_FAN_MAX - 1).stats.bytes_in);
	/* One that went makes room. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "a", "r5"));
	EXPECT_EQ(0, fan_link(&self->fan, "a", name, &dealt));
}

TEST_HARNESS_MAIN
