// SPDX-License-Identifier: GPL-2.0
/*
 * Sums: they add up in every answer, they never go back, and they survive links and
 * stages. Times are compared with a clock read before and after.
 */
#include <time.h>

#include "harness.h"
#include "window.h"
#include "world.h"

#define PEERS_MAX	8	/* inputs that an output remembers */

FIXTURE(account)
{
	struct world world;
};

FIXTURE_SETUP(account)
{
	WORLD_SETUP(&self->world, world_new_charged);
	ASSERT_EQ(0, world_stage(&self->world, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->world, "b", NULL));
	ASSERT_EQ(0, world_stage(&self->world, "c", NULL));
	ASSERT_EQ(0, world_link(&self->world, "a", "b"));
}

FIXTURE_TEARDOWN(account)
{
	WORLD_TEARDOWN(&self->world);
}

/* ---------------------------------------------------------------- questions */

/**
 * struct sums - all that is said of a workflow whose stages are a, b and c
 * @link: of the link that starts at a
 * @all: of the workflow
 * @gone: of stages that are gone
 * @sent: of the stages
 * @received: of the stages
 */
struct sums {
	struct faasctl_stats link;
	struct faasctl_stats all;
	struct faasctl_stats gone;
	struct faasctl_stats sent[3];
	struct faasctl_stats received[3];
};

static int note_link(const struct faasctl_link *link, void *arg)
{
	*(struct faasctl_stats *)arg = link->stats;
	return 0;
}

static int note_stage(const struct faasctl_stage *stage, void *arg)
{
	struct sums *sums = arg;
	int i = stage->name[0] - 'a';

	if (i < 0 || i > 2)
		return 0;
	sums->sent[i] = stage->sent;
	sums->received[i] = stage->received;
	return 0;
}

static int note_workflow(const struct faasctl_workflow *workflow, void *arg)
{
	struct sums *sums = arg;

	sums->all = workflow->stats;
	sums->gone = workflow->gone;
	return 0;
}

/* Links first: what is summed up from them is asked for later. */
static struct sums ask(struct world *w)
{
	struct faasctl *ctl = NULL;
	struct sums sums;

	memset(&sums, 0, sizeof(sums));
	if (faasctl_open(&ctl, NULL))
		return sums;
	faasctl_link_each(ctl, w->wf, "a", note_link, &sums.link, NULL);
	faasctl_stage_each(ctl, w->wf, NULL, note_stage, &sums, NULL);
	faasctl_workflow_each(ctl, w->wf, note_workflow, &sums, NULL);
	faasctl_close(ctl);
	return sums;
}

/* Nothing is swallowed: no link here has the policy to drain. */
static bool adds_up(const struct faasctl_stats *s)
{
	return s->bytes_in == s->bytes_out + s->bytes_dropped + s->bytes_held &&
	       s->bytes_in == s->bytes_in_moved + s->bytes_in_copied &&
	       s->bytes_out == s->bytes_out_moved + s->bytes_out_copied &&
	       s->streams_begun >= s->streams_ended + s->streams_aborted;
}

/* Nothing that is not said "now" is less than it was. */
static bool goes_on(const struct faasctl_stats *before, const struct faasctl_stats *now)
{
	return before->bytes_in <= now->bytes_in && before->bytes_out <= now->bytes_out &&
	       before->bytes_dropped <= now->bytes_dropped &&
	       before->bytes_in_moved <= now->bytes_in_moved &&
	       before->bytes_in_copied <= now->bytes_in_copied &&
	       before->bytes_out_moved <= now->bytes_out_moved &&
	       before->bytes_out_copied <= now->bytes_out_copied &&
	       before->bytes_held_max <= now->bytes_held_max &&
	       before->writes <= now->writes && before->reads <= now->reads &&
	       before->reader_wakes <= now->reader_wakes &&
	       before->writer_wakes <= now->writer_wakes &&
	       before->wakes_avoided <= now->wakes_avoided &&
	       before->writer_blocked_ns <= now->writer_blocked_ns &&
	       before->reader_blocked_ns <= now->reader_blocked_ns &&
	       before->writer_blocks <= now->writer_blocks &&
	       before->reader_blocks <= now->reader_blocks &&
	       before->streams_begun <= now->streams_begun &&
	       before->streams_ended <= now->streams_ended &&
	       before->streams_aborted <= now->streams_aborted &&
	       before->early_closes <= now->early_closes &&
	       before->pool_kib_ms <= now->pool_kib_ms && before->linked_ns <= now->linked_ns;
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* ------------------------------------------------------------------ relinking */

TEST_F(account, go_on_where_the_last_link_stopped)
{
	struct world *w = &self->world;
	int out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
	int in = world_open(w, "b", FAASIN_PORT_IN, O_RDONLY);
	struct sums before, after;

	ASSERT_LE(0, out);
	ASSERT_LE(0, in);
	EXPECT_WRITE(out, "hello");
	EXPECT_READ(in, "he");
	before = ask(w);
	EXPECT_EQ(5, before.link.bytes_in);
	EXPECT_EQ(2, before.link.bytes_out);
	EXPECT_EQ(3, before.link.bytes_held);

	ASSERT_EQ(0, world_unlink(w, "a"));
	ASSERT_EQ(0, world_link(w, "a", "b"));
	after = ask(w);
	EXPECT_TRUE(goes_on(&before.link, &after.link));
	EXPECT_EQ(5, after.link.bytes_in);
	EXPECT_EQ(3, after.link.bytes_held);
	EXPECT_EQ(1, after.link.streams_aborted);

	/* The old link is still being drained. */
	EXPECT_READ(in, "l");
	after = ask(w);
	EXPECT_EQ(3, after.link.bytes_out);
	EXPECT_EQ(2, after.link.bytes_held);

	/* And what nobody read of it was dropped. */
	close(out);
	close(in);
	after = ask(w);
	EXPECT_EQ(5, after.link.bytes_in);
	EXPECT_EQ(3, after.link.bytes_out);
	EXPECT_EQ(2, after.link.bytes_dropped);
	EXPECT_EQ(0, after.link.bytes_held);
	EXPECT_EQ(0, after.link.streams_queued);

	out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_WRITE(out, "again");
	after = ask(w);
	EXPECT_EQ(10, after.link.bytes_in);
	EXPECT_EQ(2, after.link.streams_begun);
	EXPECT_EQ(0, memcmp(&after.sent[0].bytes_in, &after.link.bytes_in, 6 * sizeof(uint64_t)));
	EXPECT_EQ(10, after.received[1].bytes_in);
	EXPECT_EQ(10, after.all.bytes_in);
	EXPECT_EQ(0, after.gone.bytes_in);
	close(out);
}

TEST_F(account, are_apart_for_each_peer)
{
	struct world *w = &self->world;
	int out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
	struct sums sums;

	EXPECT_WRITE(out, "to b");
	close(out);
	ASSERT_EQ(0, world_unlink(w, "a"));
	ASSERT_EQ(0, world_link(w, "a", "c"));
	sums = ask(w);
	EXPECT_EQ(0, sums.link.bytes_in);
	out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_WRITE(out, "c too");
	close(out);
	sums = ask(w);
	EXPECT_EQ(5, sums.link.bytes_in);
	EXPECT_EQ(9, sums.sent[0].bytes_in);
	EXPECT_EQ(4, sums.received[1].bytes_in);
	EXPECT_EQ(5, sums.received[2].bytes_in);
	EXPECT_EQ(9, sums.all.bytes_in);
	EXPECT_EQ(4, sums.all.bytes_dropped);
	ASSERT_EQ(0, world_unlink(w, "a"));
	ASSERT_EQ(0, world_link(w, "a", "b"));
	sums = ask(w);
	EXPECT_EQ(4, sums.link.bytes_in);
}

/* What an output remembers is bounded; what is forgotten is in its stage's sums. */
TEST_F(account, of_forgotten_peers_are_kept_by_the_stage)
{
	struct world *w = &self->world;
	struct sums sums;
	char name[8];
	int i, out;

	out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_WRITE(out, "x");
	close(out);
	for (i = 0; i < PEERS_MAX; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		ASSERT_EQ(0, world_stage(w, name, NULL));
		ASSERT_EQ(0, world_unlink(w, "a"));
		ASSERT_EQ(0, world_link(w, "a", name));
		out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
		EXPECT_WRITE(out, "x");
		close(out);
	}
	sums = ask(w);
	EXPECT_EQ(1 + PEERS_MAX, sums.all.bytes_in);
	EXPECT_EQ(1 + PEERS_MAX, sums.sent[0].bytes_in);
	EXPECT_EQ(1, sums.received[1].bytes_in);
	EXPECT_EQ(1, sums.received[1].bytes_dropped);
	ASSERT_EQ(0, world_unlink(w, "a"));
	ASSERT_EQ(0, world_link(w, "a", "b"));
	sums = ask(w);
	EXPECT_EQ(0, sums.link.bytes_in);
	EXPECT_EQ(1, sums.received[1].bytes_in);
	/* The newest is remembered. */
	ASSERT_EQ(0, world_unlink(w, "a"));
	ASSERT_EQ(0, world_link(w, "a", name));
	sums = ask(w);
	EXPECT_EQ(1, sums.link.bytes_in);
	EXPECT_EQ(1 + PEERS_MAX, sums.sent[0].bytes_in);
}

TEST_F(account, survive_the_stages)
{
	struct world *w = &self->world;
	struct sums sums, before;
	int out, in;

	ASSERT_EQ(0, world_link(w, "b", "c"));
	out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
	in = world_open(w, "b", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_WRITE(out, "hello");
	EXPECT_READ(in, "he");
	close(out);
	out = world_open(w, "b", FAASIN_PORT_OUT, O_WRONLY);
	EXPECT_WRITE(out, "world!");
	close(out);
	before = ask(w);
	EXPECT_EQ(11, before.all.bytes_in);
	EXPECT_EQ(0, before.gone.bytes_in);

	/* The reader's end: the writer's sums go on. */
	ASSERT_EQ(0, world_del_stage(w, "b"));
	sums = ask(w);
	EXPECT_TRUE(goes_on(&before.all, &sums.all));
	EXPECT_TRUE(goes_on(&before.sent[0], &sums.sent[0]));
	EXPECT_EQ(11, sums.all.bytes_in);
	EXPECT_EQ(3, sums.all.bytes_held);
	EXPECT_EQ(6, sums.gone.bytes_in);
	EXPECT_EQ(6, sums.gone.bytes_dropped);
	EXPECT_EQ(5, sums.sent[0].bytes_in);
	EXPECT_EQ(6, sums.received[2].bytes_in);
	EXPECT_READ(in, "l");
	sums = ask(w);
	EXPECT_EQ(3, sums.all.bytes_out);
	EXPECT_EQ(3, sums.sent[0].bytes_out);

	/* The writer's, while the last link is still open. */
	ASSERT_EQ(0, world_del_stage(w, "a"));
	sums = ask(w);
	EXPECT_EQ(11, sums.gone.bytes_in);
	EXPECT_EQ(2, sums.gone.bytes_held);
	close(in);
	sums = ask(w);
	EXPECT_EQ(11, sums.gone.bytes_in);
	EXPECT_EQ(8, sums.gone.bytes_dropped);
	EXPECT_EQ(3, sums.gone.bytes_out);
	EXPECT_EQ(0, memcmp(&sums.gone, &sums.all, sizeof(sums.all)));

	/* Stages of the same names are others. */
	ASSERT_EQ(0, world_stage(w, "a", NULL));
	ASSERT_EQ(0, world_stage(w, "b", NULL));
	ASSERT_EQ(0, world_link(w, "a", "b"));
	sums = ask(w);
	EXPECT_EQ(0, sums.link.bytes_in);
	EXPECT_EQ(0, sums.sent[0].bytes_in);
	EXPECT_EQ(11, sums.all.bytes_in);
}

/* ----------------------------------------------------------------------- time */

/**
 * struct interval - what a link counted at two times
 * @before: at the first
 * @after: at the second
 * @at_least: nanoseconds that lie between them
 * @at_most: likewise
 */
struct interval {
	struct faasctl_stats before, after;
	uint64_t at_least, at_most;
};

static struct interval interval(struct world *w)
{
	uint64_t earliest, begun, ended;
	struct interval i;

	earliest = clock_ns();
	i.before = ask(w).link;
	begun = clock_ns();
	usleep(100000);
	ended = clock_ns();
	i.after = ask(w).link;
	i.at_least = ended - begun;
	i.at_most = clock_ns() - earliest;
	return i;
}

TEST_F(account, of_memory_over_time)
{
	struct world *w = &self->world;
	uint64_t grown, kib;
	struct interval i;
	int out;

	out = world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY | O_NONBLOCK);
	/* Full: nothing is given back. */
	while (pattern_write(out, 64 * KIB, 64 * KIB, 1, 0) == 0)
		;
	i = interval(w);

	ASSERT_EQ(MIB, i.before.pool_bytes);
	ASSERT_EQ(MIB, i.after.pool_bytes);
	kib = i.before.pool_bytes / KIB;
	grown = i.after.pool_kib_ms - i.before.pool_kib_ms;
	/* Each of the two readings is of a whole millisecond. */
	EXPECT_GE(grown, kib * (i.at_least / 1000000 - 1));
	EXPECT_LE(grown, kib * (i.at_most / 1000000 + 2));
	close(out);
}

TEST_F(account, of_waits_that_go_on)
{
	struct world *w = &self->world;
	struct faasctl_stats before, after;
	pid_t pid = child();
	struct interval i;

	if (!pid) {
		char c;

		_exit(read(open(world_in(w, "b"), O_RDONLY | O_CLOEXEC), &c, 1) != 0);
	}
	ASSERT_TRUE(blocks_in(pid, __NR_read));
	i = interval(w);
	EXPECT_EQ(i.before.reader_blocks, i.after.reader_blocks);
	EXPECT_GE(i.after.reader_blocked_ns - i.before.reader_blocked_ns, i.at_least);
	EXPECT_LE(i.after.reader_blocked_ns - i.before.reader_blocked_ns, i.at_most);
	EXPECT_EQ(0, i.after.writer_blocked_ns);

	/* It ends, and so does the counting. */
	close(world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY));
	EXPECT_EQ(0, child_end(pid));
	before = ask(w).link;
	usleep(10000);
	after = ask(w).link;
	EXPECT_TRUE(goes_on(&before, &after));
	EXPECT_EQ(before.reader_blocked_ns, after.reader_blocked_ns);
}

TEST_F(account, of_time_that_there_was_a_link)
{
	uint64_t earliest, begun, ended, latest;
	struct world *w = &self->world;
	struct faasctl_stats before, after;

	earliest = clock_ns();
	before = ask(w).link;
	begun = clock_ns();
	usleep(50000);
	ended = clock_ns();
	ASSERT_EQ(0, world_unlink(w, "a"));
	latest = clock_ns();
	usleep(50000);
	after = ask(w).sent[0];
	EXPECT_GE(after.linked_ns - before.linked_ns, ended - begun);
	EXPECT_LE(after.linked_ns - before.linked_ns, latest - earliest);
	before = after;
	after = ask(w).sent[0];
	EXPECT_EQ(before.linked_ns, after.linked_ns);
}

/* ---------------------------------------------------------------------- storm */

#define TURNS	400	/* changes of links */

/* By a copy or by reference. */
static bool storm_in(int fd, uint64_t *seed)
{
	static char buf[32 * KIB];
	size_t n = random_next(seed) % sizeof(buf) + 1;
	long at;

	if (random_next(seed) % 2)
		return write(fd, buf, n) >= 0;
	at = window_alloc(fd, n);
	return at >= 0 && !window_send(fd, at, n);
}

static bool storm_out(int fd, uint64_t *seed)
{
	static char buf[32 * KIB];
	struct faasin_range range;

	if (random_next(seed) % 2)
		return read(fd, buf, random_next(seed) % sizeof(buf) + 1) >= 0;
	return window_take(fd, &range) == 1 && !window_return(fd, range.offset);
}

/* Gives bytes, ends, aborts or leaves; the port may have no link. */
static void storm_writer(struct world *w, const int *over, uint64_t seed)
{
	struct faasin_abort how = { .cause = FAASIN_CAUSE_REQUEST };
	int i, fd;

	while (!__atomic_load_n(over, __ATOMIC_RELAXED)) {
		fd = world_open(w, "a", FAASIN_PORT_OUT, O_RDWR | O_NONBLOCK);
		if (fd < 0)
			continue;
		for (i = random_next(&seed) % 8; i; i--)
			if (!storm_in(fd, &seed))
				break;
		switch (random_next(&seed) % 4) {
		case 0:
			ioctl(fd, FAASIN_IOC_ABORT, &how);
			break;
		case 1:
			ioctl(fd, FAASIN_IOC_END);
			break;
		}
		close(fd);
	}
}

static void storm_reader(struct world *w, const char *stage, const int *over, uint64_t seed)
{
	int i, fd;

	while (!__atomic_load_n(over, __ATOMIC_RELAXED)) {
		fd = world_open(w, stage, FAASIN_PORT_IN, O_RDONLY | O_NONBLOCK);
		if (fd < 0)
			continue;
		for (i = random_next(&seed) % 8; i; i--)
			if (!storm_out(fd, &seed))
				break;
		close(fd);
	}
}

/* Links and unlinks, and removes the readers' stages; a's sums are to survive. */
static void storm_linker(struct world *w, uint64_t seed)
{
	struct nl nl;
	int turn;

	if (nl_open(&nl))
		_exit(1);
	/* A socket of its own. */
	w->nl = nl;
	for (turn = 0; turn < TURNS; turn++) {
		const char *stage = random_next(&seed) % 2 ? "b" : "c";

		switch (random_next(&seed) % 8) {
		case 0:
			world_del_stage(w, stage);
			world_stage(w, stage, NULL);
			break;
		case 1 ... 3:
			world_unlink(w, "a");
			break;
		default:
			world_link(w, "a", stage);
		}
		usleep(random_next(&seed) % 4000);
	}
}

TEST_F(account, add_up_in_every_answer)
{
	struct world *w = &self->world;
	struct sums before, now;
	unsigned int answers = 0, odd = 0, back = 0;
	int *over = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[4];
	bool running;
	size_t i;

	ASSERT_NE(MAP_FAILED, over);

	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		if (i == 0)
			storm_writer(w, over, 0x5eed + i);
		else if (i == 3)
			storm_linker(w, 0x5eed + i);
		else
			storm_reader(w, i == 1 ? "b" : "c", over, 0x5eed + i);
		_exit(0);
	}
	before = ask(w);
	do {
		running = is_running(pids[3]);
		now = ask(w);
		odd += !adds_up(&now.link) + !adds_up(&now.all) + !adds_up(&now.gone) +
		       !adds_up(&now.sent[0]) + !adds_up(&now.received[1]) +
		       !adds_up(&now.received[2]);
		back += !goes_on(&before.all, &now.all) + !goes_on(&before.gone, &now.gone) +
			!goes_on(&before.sent[0], &now.sent[0]);
		before = now;
		answers++;
	} while (running);
	__atomic_store_n(over, 1, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_EQ(0, odd);
	EXPECT_EQ(0, back);
	EXPECT_LE(2, answers);

	/* At rest, everything is somewhere once. */
	now = ask(w);
	EXPECT_LT(0, now.all.bytes_in);
	EXPECT_LT(0, now.all.bytes_out);
	EXPECT_LT(0, now.all.bytes_in_moved);
	EXPECT_LT(0, now.all.bytes_in_copied);
	EXPECT_LT(0, now.all.bytes_out_moved);
	EXPECT_LT(0, now.all.bytes_out_copied);
	EXPECT_EQ(now.all.bytes_in, now.gone.bytes_in + now.sent[0].bytes_in);
	EXPECT_EQ(now.all.bytes_out, now.gone.bytes_out + now.sent[0].bytes_out);
	EXPECT_EQ(now.all.streams_begun, now.gone.streams_begun + now.sent[0].streams_begun);
}

TEST_HARNESS_MAIN
