// SPDX-License-Identifier: GPL-2.0
/*
 * Things that happen while another is under way: each test holds one of the two
 * still at the moment in question or, where that cannot be done, repeats both
 * until they have met.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <time.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

/* ---------------------------------------- a stream that ends while a write copies */

/*
 * The write's source is two pages, the second of which begins where the room
 * in the ring's last block ends: what goes in together then has a part in that
 * block and the rest in the next. One of the two pages is missing, and the
 * writer sleeps in the middle of its copy until the test supplies it.
 */
#define ROOM	96
#define LEFT	(PAGE - ROOM)	/* bytes in the ring before */

/* The write: from where, and what it returned. */
struct copy {
	int w;
	const uint8_t *from;
	long written;
};

enum cut { BY_END, BY_ABORT, BY_CRASH, BY_CLOSE, BY_CLOSE_AND_DRAIN };

FIXTURE(copying) {
	struct flow flow;
	int w, r;
	int faults;		/* userfaultfd, or -errno */
	uint8_t *pages;
	pthread_t thread;
	struct copy copy;
};

FIXTURE_VARIANT(copying) {
	enum cut cut;
	int missing;		/* page */
};

#define COPYING(name, ...)	FIXTURE_VARIANT_ADD(copying, name) { __VA_ARGS__ }

COPYING(end_in_the_first_part, BY_END, 0);
COPYING(end_in_the_rest, BY_END, 1);
COPYING(abort_in_the_first_part, BY_ABORT, 0);
COPYING(abort_in_the_rest, BY_ABORT, 1);
COPYING(crash_in_the_first_part, BY_CRASH, 0);
COPYING(crash_in_the_rest, BY_CRASH, 1);
COPYING(early_close_in_the_first_part, BY_CLOSE, 0);
COPYING(early_close_in_the_rest, BY_CLOSE, 1);
COPYING(drain_in_the_first_part, BY_CLOSE_AND_DRAIN, 0);
COPYING(drain_in_the_rest, BY_CLOSE_AND_DRAIN, 1);

/* A descriptor that tells of faults on @page, or -errno. */
static int faults_of(void *page)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = sys(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	long error;

	if (fd < 0)
		return fd;
	error = sys(ioctl(fd, UFFDIO_API, &api)) ?: sys(ioctl(fd, UFFDIO_REGISTER, &reg));
	if (error)
		close(fd);
	return error ?: fd;
}

/* Waits until somebody needs a page. */
static bool faulted(int faults)
{
	struct pollfd event = { .fd = faults, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&event, 1, DEADLINE * 1000) == 1 &&
	       read(faults, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

/* Supplies it. */
static long resolve(int faults, void *page, const void *bytes)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page, .src = (uintptr_t)bytes, .len = PAGE,
	};

	return sys(ioctl(faults, UFFDIO_COPY, &copy));
}

FIXTURE_SETUP(copying)
{
	const struct flow_options options = {
		.capacity = 16 * PAGE,	/* blocks of a page */
		.early_close = variant->cut == BY_CLOSE_AND_DRAIN ? FAASIN_EARLY_CLOSE_DRAIN : 0,
	};

	ENDS_SETUP(self, &options, 0, O_NONBLOCK);
	self->pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	ASSERT_NE(MAP_FAILED, self->pages);
	pattern_fill(self->pages + (1 - variant->missing) * PAGE, PAGE, 9, 0);
	self->copy.w = self->w;
	self->copy.from = self->pages + PAGE - ROOM;
	self->faults = faults_of(self->pages + variant->missing * PAGE);
}

FIXTURE_TEARDOWN(copying)
{
	ENDS_TEARDOWN(self);
}

static void *write_it(void *arg)
{
	struct copy *copy = arg;

	copy->written = sys(write(copy->w, copy->from, PAGE));
	return NULL;
}

/* The stream is over: 0 or -errno. */
static long cut_short(enum cut cut, int w, int r, pid_t holder)
{
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };
	char byte;

	switch (cut) {
	case BY_END:
		return sys(ioctl(w, FAASIN_IOC_END));
	case BY_ABORT:
		return sys(ioctl(w, FAASIN_IOC_ABORT, &request));
	case BY_CRASH:
		kill(holder, SIGKILL);
		return 0;
	default:
		return sys(read(r, &byte, 1)) == 1 ? sys(close(r)) : -EIO;
	}
}

/* A process that has the writing end, but not @r. */
static pid_t hold(int r)
{
	int ready = bell();
	pid_t pid = child();

	if (!pid) {
		close(r);
		ring(ready);
		pause();
		_exit(0);
	}
	await(ready);
	close(ready);
	return pid;
}

TEST_F(copying, is_none_of_the_stream_and_harms_no_other)
{
	const bool closed = variant->cut >= BY_CLOSE;
	uint8_t *supply = malloc(PAGE);
	struct heard heard;
	pid_t holder;
	int w;

	if (self->faults < 0)
		SKIP(return, "userfaultfd is not to be had: %s", strerror(-self->faults));
	holder = hold(self->r);
	ASSERT_EQ(0, pattern_write(self->w, LEFT, LEFT, 1, 0));
	pattern_fill(supply, PAGE, 9, 0);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, write_it, &self->copy));
	ASSERT_TRUE(faulted(self->faults));
	EXPECT_EQ(0, cut_short(variant->cut, self->w, self->r, holder));
	if (variant->cut == BY_CRASH)
		EXPECT_EQ(-SIGKILL, child_end(holder));
	ASSERT_EQ(0, resolve(self->faults, self->pages + variant->missing * PAGE, supply));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	EXPECT_EQ(variant->cut == BY_CLOSE_AND_DRAIN ? PAGE : -EPIPE, self->copy.written);

	/* The next stream begins where that one ended, whatever was copied there. */
	if (closed)
		self->r = flow_reader(&self->flow, O_NONBLOCK);
	w = flow_writer(&self->flow, 0);
	ASSERT_LE(0, w);
	ASSERT_EQ(0, pattern_write(w, 3 * PAGE, 1000, 2, 0));
	close(w);
	if (!closed) {
		heard = pattern_read(self->r, 700, 1);
		EXPECT_EQ(LEFT, (int)heard.bytes);
		EXPECT_TRUE(heard.intact);
		EXPECT_EQ(variant->cut == BY_END ? 0 : -ECONNABORTED, heard.end);
		close(self->r);
		self->r = flow_reader(&self->flow, O_NONBLOCK);
	}
	heard = pattern_read(self->r, 700, 2);
	EXPECT_EQ(3 * PAGE, (int)heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, heard.end);
	if (variant->cut != BY_CRASH)
		child_kill(holder, SIGKILL);
	close(self->faults);
	free(supply);
}

/* Nor does it take any room. */
TEST_F(copying, leaves_the_room_that_there_was)
{
	uint8_t *bytes = malloc(16 * PAGE);
	pid_t holder;
	int w;

	if (self->faults < 0)
		SKIP(return, "userfaultfd is not to be had: %s", strerror(-self->faults));
	holder = hold(self->r);
	pattern_fill(bytes, 16 * PAGE, 2, 0);
	ASSERT_EQ(0, pattern_write(self->w, LEFT, LEFT, 1, 0));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, write_it, &self->copy));
	ASSERT_TRUE(faulted(self->faults));
	EXPECT_EQ(0, cut_short(variant->cut, self->w, self->r, holder));
	child_kill(holder, SIGKILL);
	ASSERT_EQ(0, resolve(self->faults, self->pages + variant->missing * PAGE, bytes));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));

	w = flow_writer(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, w);
	EXPECT_EQ(16 * PAGE - (variant->cut >= BY_CLOSE ? 0 : LEFT),
		  sys(write(w, bytes, 16 * PAGE)));
	EXPECT_EQ(-EAGAIN, sys(write(w, bytes, 1)));
	close(w);
	close(self->faults);
	free(bytes);
}

/* ----------------------------------------- one stream ends and the next begins */

/*
 * The reader has all of a stream and asks for more, again and again, while the
 * writer ends it and at once writes to the next. A timer interrupts the reader
 * as often as it can, so that now and then all of this happens between two of
 * its instructions. Instrumented kernels see more in fewer turns, and take as long.
 */
#define TURNS	(15000 / slower())
#define TURNS_AT_LEAST	200
#define TURNS_SECONDS	(40 * slower())	/* no more begin after these, on a machine that others use, too */
#define WORDS	8		/* of a stream, at most */

/* What the two sides tell each other; each writes one of the numbers. */
struct turns {
	uint64_t said, heard;	/* words since the start */
	uint64_t last;		/* stream; 0: not known yet */
};

FIXTURE(turn) {
	struct flow flow;
	struct turns *turns;
};

FIXTURE_VARIANT(turn) {
	bool end;		/* by END, not by the last close */
};

FIXTURE_VARIANT_ADD(turn, by_close) { false };
FIXTURE_VARIANT_ADD(turn, by_end) { true };

FIXTURE_SETUP(turn)
{
	const struct flow_options options = { .capacity = 16 * PAGE };

	self->turns = shared(PAGE);
	ASSERT_NE(NULL, self->turns);
	FLOW_SETUP(&self->flow, &options);
}

FIXTURE_TEARDOWN(turn)
{
	FLOW_TEARDOWN(&self->flow);
}

/* The two sides need a CPU each, or they would meet at the scheduler's ticks only. */
static bool two_cpus(void)
{
	cpu_set_t cpus;

	return !sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) > 1;
}

static void until(const uint64_t *number, uint64_t value)
{
	unsigned int looks = 0;

	while (__atomic_load_n(number, __ATOMIC_ACQUIRE) < value)
		if (++looks % 1000 == 0)
			sched_yield();
}

/* Stream @nr is words that say so. */
static int say(struct flow *f, struct turns *t, uint32_t nr, bool end)
{
	uint32_t words[WORDS], n = nr % WORDS + 1, i;
	static int old = -1;
	int w;

	for (i = 0; i < n; i++)
		words[i] = nr;
	if (!end) {
		until(&t->heard, t->said);
		close(old);
	}
	w = flow_writer(f, 0);
	if (w < 0)
		return 1;
	if (write(w, words, 4 * n) != (ssize_t)(4 * n))
		return 2;
	t->said += n;
	if (end) {
		until(&t->heard, t->said);
		if (ioctl(w, FAASIN_IOC_END))
			return 3;
		close(old);
	}
	old = w;
	return 0;
}

static bool is_after_last(const struct turns *t, uint32_t nr)
{
	uint64_t last = __atomic_load_n(&t->last, __ATOMIC_ACQUIRE);

	return last && nr > last;
}

/* Reads one stream to its end, if there is one: 0, or what was wrong with it. */
static int hear(struct flow *f, struct turns *t, uint32_t nr)
{
	uint32_t words[4 * WORDS], n = nr % WORDS + 1, all = 0, i;
	int r = flow_reader(f, O_NONBLOCK);
	long got;

	if (r < 0)
		return 1;
	for (;;) {
		got = sys(read(r, words, sizeof(words)));
		if (got == -EAGAIN && is_after_last(t, nr))
			return 0;
		if (got == -EAGAIN || got == -EINTR)
			continue;
		if (got <= 0)
			break;
		if (got % 4)
			return 2;
		for (i = 0; i < got / 4; i++)
			if (words[i] != nr)
				return 3;
		all += i;
		__atomic_store_n(&t->heard, t->heard + i, __ATOMIC_RELEASE);
	}
	close(r);
	if (got)
		return 4;
	return all == n ? 0 : 5;
}

static void interrupt_often(void)
{
	struct itimerspec often = { { 0, 50000 }, { 0, 50000 } };
	struct sigevent how = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;

	interrupt_by(SIGUSR1, SA_RESTART);
	if (timer_create(CLOCK_MONOTONIC, &how, &timer) || timer_settime(timer, 0, &often, NULL))
		_exit(9);
}

TEST_F_TIMEOUT(turn, streams_never_mix, 100)
{
	pid_t writer, reader;
	time_t end;
	uint32_t i;
	int wrong;

	if (!two_cpus())
		SKIP(return, "there is one CPU only");
	writer = child_for(90);
	if (!writer) {
		stay_on(0);
		end = time(NULL) + TURNS_SECONDS;
		for (i = 1; i <= TURNS && time(NULL) < end; i++) {
			wrong = say(&self->flow, self->turns, i, variant->end);
			if (wrong)
				_exit(wrong);
		}
		__atomic_store_n(&self->turns->last, i - 1, __ATOMIC_RELEASE);
		_exit(0);
	}
	reader = child_for(90);
	if (!reader) {
		stay_on(1);
		interrupt_often();
		for (i = 1; !is_after_last(self->turns, i); i++) {
			wrong = hear(&self->flow, self->turns, i);
			if (wrong)
				_exit(wrong);
		}
		_exit(0);
	}
	EXPECT_EQ(0, child_end_within(reader, 80))
		TH_LOG("1: no session, 2: a cut word, 3: another stream's, 4: no end, 5: length");
	EXPECT_LE(TURNS_AT_LEAST / slower(), self->turns->last);
	child_kill(writer, SIGKILL);
}

/* -------------------------- a stream whose last writer was lost, and who comes then */

#define LOST	500

/* Where the two meet: each tells the other which round it has come to. */
struct rounds {
	uint64_t loser, writer;
};

FIXTURE(lost) {
	struct flow flow;
	struct rounds *rounds;
};

FIXTURE_SETUP(lost)
{
	self->rounds = shared(PAGE);
	ASSERT_NE(NULL, self->rounds);
	FLOW_SETUP(&self->flow, NULL);
}

FIXTURE_TEARDOWN(lost)
{
	FLOW_TEARDOWN(&self->flow);
}

static void meet(uint64_t *own, const uint64_t *other)
{
	__atomic_store_n(own, *own + 1, __ATOMIC_RELEASE);
	until(other, *own);
}

/* Ends a stream by a close that finds its writer gone. */
static int lose_one(struct flow *f, struct rounds *rounds)
{
	int w = flow_writer(f, 0);
	pid_t pid;

	if (w < 0)
		return 1;
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid) {
		if (write(w, "lost", 4) != 4)
			_exit(99);
		kill(getpid(), SIGKILL);
	}
	if (child_end(pid) != -SIGKILL)
		return 2;
	meet(&rounds->loser, &rounds->writer);
	close(w);
	meet(&rounds->loser, &rounds->writer);
	return 0;
}

/* It joins that stream alive, or begins one of its own. */
static int come_after(struct flow *f, struct rounds *rounds, int round)
{
	volatile int delay = round % 100 * 10;
	int w, wrong = 0;

	meet(&rounds->writer, &rounds->loser);
	while (delay)
		delay--;
	w = flow_writer(f, 0);
	if (w < 0)
		return 1;
	usleep(20);
	if (write(w, "mine", 4) != 4)
		wrong = 2;
	close(w);
	meet(&rounds->writer, &rounds->loser);
	return wrong;
}

TEST_F_TIMEOUT(lost, no_crash_of_another_reaches_who_comes_after, 60)
{
	pid_t loser, writer, reader;
	int i, r, wrong = 0;
	char buf[256];

	if (!two_cpus())
		SKIP(return, "there is one CPU only");
	reader = child_for(50);
	if (!reader) {
		for (;;) {
			r = flow_reader(&self->flow, 0);
			while (read(r, buf, sizeof(buf)) > 0)
				;
			close(r);
		}
	}
	loser = child_for(50);
	if (!loser) {
		stay_on(0);
		for (i = 0; i < LOST && !wrong; i++)
			wrong = lose_one(&self->flow, self->rounds);
		_exit(wrong);
	}
	writer = child_for(50);
	if (!writer) {
		stay_on(1);
		for (i = 0; i < LOST && !wrong; i++)
			wrong = come_after(&self->flow, self->rounds, i);
		_exit(wrong);
	}
	EXPECT_EQ(0, child_end_within(writer, 45));
	child_kill(loser, SIGKILL);
	child_kill(reader, SIGKILL);
	EXPECT_EQ(2 * LOST, (int)self->rounds->writer);
	EXPECT_EQ(2 * LOST, (int)self->rounds->loser);
}

/* -------------------------------------------- mounting while the tree changes */

#define CHANGES	(20000 / (int)slower())
#define MOUNTERS	3

FIXTURE(mounting) {
	struct world w;
	char points[MOUNTERS][64], options[MOUNTERS][128];
	bool bare;		/* the usual mount is off: this one is the last */
};

FIXTURE_SETUP(mounting)
{
	int i;

	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, world_stage(&self->w, "a", NULL));
	ASSERT_EQ(0, world_stage(&self->w, "b", NULL));
	/* The stages of all but the first come and go: such a mount can fail in the middle. */
	for (i = 0; i < MOUNTERS; i++) {
		snprintf(self->options[i], sizeof(self->options[i]), "workflow=%s,stage=%s",
			 self->w.wf, i ? "c" : "b");
		snprintf(self->points[i], 64, "/tmp/faasin-test-XXXXXX");
		ASSERT_NE(NULL, mkdtemp(self->points[i]));
	}
	self->bare = !umount(MOUNT_POINT);
}

FIXTURE_TEARDOWN(mounting)
{
	int i;

	for (i = 0; i < MOUNTERS; i++) {
		while (!umount2(self->points[i], MNT_DETACH))
			;
		rmdir(self->points[i]);
	}
	if (self->bare)
		EXPECT_EQ(0, mount("none", MOUNT_POINT, "faasin", 0, NULL));
	WORLD_TEARDOWN(&self->w);
}

/* An existing stage gets another mode and another port. */
static int change_stage(struct nl *nl, const char *wf, int nr)
{
	char port[16];

	snprintf(port, sizeof(port), "p%d", nr % (FAASIN_PORTS_MAX - 2));
	if (nr % (FAASIN_PORTS_MAX - 2) == 0)
		nl_call(nl, FAASIN_CMD_STAGE_DEL, 0,
			NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, wf),
				NL_STR(FAASIN_A_STAGE_NAME, "a")));
	return nl_call(nl, FAASIN_CMD_STAGE_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, wf),
			       NL_STR(FAASIN_A_STAGE_NAME, "a"),
			       NL_U32(FAASIN_A_STAGE_MODE, nr % 2 ? 0600 : 0640),
			       NL_NEST(FAASIN_A_STAGE_PORT,
				       NL_STR(FAASIN_A_PORT_NAME, port),
				       NL_U32(FAASIN_A_PORT_DIRECTION,
					      FAASIN_DIRECTION_OUT))));
}

static int come_and_go(struct nl *nl, const char *wf)
{
	return nl_call(nl, FAASIN_CMD_STAGE_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, wf),
			       NL_STR(FAASIN_A_STAGE_NAME, "c"))) ?:
	       nl_call(nl, FAASIN_CMD_STAGE_DEL, 0,
		       NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, wf),
			       NL_STR(FAASIN_A_STAGE_NAME, "c")));
}

/* Its stage may be gone; but what is mounted nowhere else can be mounted again. */
static int mount_and_unmount(const char *point, const char *options)
{
	if (mount("none", point, "faasin", 0, options))
		return errno == ENOENT ? 0 : errno;
	return umount(point) ? errno : 0;
}

TEST_F_TIMEOUT(mounting, waits_for_nobody_who_waits_for_it, 100)
{
	pid_t changer, other, mounters[MOUNTERS];
	struct nl nl;
	int i, error;

	if (!self->bare)
		TH_LOG("another mount stays: %s", strerror(errno));
	changer = child_for(90);
	if (!changer) {
		error = nl_open(&nl);
		for (i = 0; i < CHANGES && !error; i++)
			error = change_stage(&nl, self->w.wf, i);
		_exit(error);
	}
	other = child_for(90);
	if (!other) {
		error = nl_open(&nl);
		while (!error)
			error = come_and_go(&nl, self->w.wf);
		_exit(error);
	}
	for (i = 0; i < MOUNTERS; i++) {
		mounters[i] = child();
		if (mounters[i])
			continue;
		alarm(90 * slower());
		do {
			error = mount_and_unmount(self->points[i], self->options[i]);
		} while (!error);
		_exit(error);
	}
	EXPECT_EQ(0, child_end_within(changer, 80));
	EXPECT_TRUE(is_running(other));
	child_kill(other, SIGKILL);
	for (i = 0; i < MOUNTERS; i++) {
		EXPECT_TRUE(is_running(mounters[i]));
		child_kill(mounters[i], SIGKILL);
	}
}

TEST_HARNESS_MAIN
