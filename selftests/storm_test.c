// SPDX-License-Identifier: GPL-2.0
/*
 * A storm of kills: producers, a stage in the middle, consumers and the tool are
 * killed at any moment, links are cut, workflows deleted, cgroups and mounts taken
 * away, and unloading is tried, all under load. What must hold all the while:
 *
 *	- whoever sees the end of a stream got all of it. A stream says at its start
 *	  how long it is, so a death that looks like an end is found out;
 *	- no stream has bytes of another;
 *	- nothing is refused for a reason that the contract does not know;
 *
 *	- the counters of a link are what went through, to the byte. Only of a call that
 *	  its caller did not survive nobody knows how much it moved: no more than it asked.
 *
 * And afterwards: everybody is gone, nobody pays for anything.
 *
 * FAASIN_KILLS: how many, in all variants together (default 400).
 */
#include <sys/mount.h>
#include <sys/resource.h>

#include "world.h"
#include "harness.h"

#define KILLS	400		/* unless the environment says otherwise */
#define CHAINS	2		/* rows of three stages */
#define STAGES	3
#define CHUNK	(24 * KIB)

/* A stage is one process: several would share a stream. */
static const char *const stages[CHAINS][STAGES] = { { "a", "b", "c" }, { "d", "e", "f" } };

/**
 * struct head - a stream begins with it
 * @magic: a sign
 * @tag: whose pattern follows
 * @len: how much of it
 */
struct head {
	uint32_t magic;
	uint32_t tag;
	uint64_t len;
};

#define MAGIC	0xfaa51001

/**
 * struct tally - what a stage moved on one side, by its own count
 * @done: bytes, by all calls that returned
 * @doing: how much the call under way asked for
 */
struct tally {
	volatile uint64_t done;
	volatile uint64_t doing;
};

/**
 * struct findings - what the processes found, shared with them
 * @cut: streams that ended and were not whole
 * @mixed: bytes of something else
 * @odd: results that no contract allows; the last one is @last_odd
 * @whole: streams that were read to their end
 * @aborted: streams that were not, and said so
 * @streams: streams that were begun
 * @sent: what each stage wrote
 * @got: what it read
 */
struct findings {
	uint64_t cut;
	uint64_t mixed;
	uint64_t odd;
	int64_t last_odd;
	uint64_t whole;
	uint64_t aborted;
	uint64_t streams;
	struct tally sent[STAGES * CHAINS];
	struct tally got[STAGES * CHAINS];
};

static void count(uint64_t *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

static void odd(struct findings *found, long result)
{
	found->last_odd = result;
	count(&found->odd);
}

FIXTURE(storm)
{
	struct world world;
	struct faasctl *ctl;
	struct findings *found;
	uint64_t seed;
	pid_t pids[STAGES * CHAINS];
	uint64_t kills;
};

FIXTURE_VARIANT(storm)
{
	size_t capacity;
	bool splices;		/* the middle copies by splice() */
	bool cuts;		/* links, workflows, cgroups go, too */
	bool never;		/* deaths are ends: shows that the test would find out */
};

FIXTURE_VARIANT_ADD(storm, killing) { .capacity = 256 * KIB };
FIXTURE_VARIANT_ADD(storm, killing_in_one_page) { .capacity = PAGE };
FIXTURE_VARIANT_ADD(storm, killing_splices) { .capacity = 64 * KIB, .splices = true };
FIXTURE_VARIANT_ADD(storm, killing_and_cutting) { .capacity = 64 * KIB, .cuts = true };
FIXTURE_VARIANT_ADD(storm, killing_that_ends_streams) { .capacity = 64 * KIB, .never = true };

static int link_up(struct world *w, const char *src, const char *dst, size_t capacity, bool never)
{
	return nl_call(&w->nl, FAASIN_CMD_LINK_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src),
			       NL_STR(FAASIN_A_LINK_DST_STAGE, dst),
			       NL_U64(FAASIN_A_LINK_CAPACITY, capacity),
			       NL_U32(FAASIN_A_LINK_ABORT_ON, never ? FAASIN_ABORT_ON_NEVER :
								      FAASIN_ABORT_ON_CRASH)));
}

static int build(struct world *w, size_t capacity, bool never)
{
	int fd = cgroup_open(world_cgroup(w, NULL)), error, i, k;

	if (fd < 0)
		return -fd;
	error = nl_call(&w->nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf),
				NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd)));
	close(fd);
	for (k = 0; k < CHAINS; k++) {
		for (i = 0; !error && i < STAGES; i++)
			error = world_stage(w, stages[k][i], NULL);
		for (i = 0; !error && i + 1 < STAGES; i++)
			error = link_up(w, stages[k][i], stages[k][i + 1], capacity, never);
	}
	return error;
}

FIXTURE_SETUP(storm)
{
	self->found = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->found);
	self->seed = 0x5707 + variant->capacity;
	WORLD_SETUP(&self->world, world_new_charged);
	ASSERT_EQ(0, faasctl_open(&self->ctl, NULL));
	ASSERT_EQ(0, build(&self->world, variant->capacity, variant->never));
}

FIXTURE_TEARDOWN(storm)
{
	faasctl_close(self->ctl);
	WORLD_TEARDOWN(&self->world);
}

/* ------------------------------------------------------------------- the bytes */

static void moved(struct tally *tally, long n)
{
	if (n > 0)
		tally->done += n;
	tally->doing = 0;
}

static long put(struct tally *sent, int fd, const void *buf, size_t size)
{
	long n;

	sent->doing = size;
	n = sys(write(fd, buf, size));
	moved(sent, n);
	return n;
}

static long take(struct tally *got, int fd, void *buf, size_t size)
{
	long n;

	got->doing = size;
	n = sys(read(fd, buf, size));
	moved(got, n);
	return n;
}

/* What its killed process had counted against the kernel's count, which is true from now on. */
static bool agrees(struct tally *tally, uint64_t counted)
{
	bool is = counted >= tally->done && counted - tally->done <= tally->doing;

	tally->done = counted;
	tally->doing = 0;
	return is;
}

static int copy_stats(const struct faasctl_link *link, void *arg)
{
	*(struct faasctl_stats *)arg = link->stats;
	return 0;
}

/* After the process in a stage has been killed: are its links' counters right? */
static bool counted(FIXTURE_DATA(storm) *self, size_t i)
{
	const char *const *chain = stages[i / STAGES];
	size_t stage = i % STAGES;
	struct faasctl_stats st;
	bool right = true;

	if (stage + 1 < STAGES)
		right = !faasctl_link_each(self->ctl, self->world.wf, chain[stage], copy_stats,
					   &st, NULL) &&
			agrees(&self->found->sent[i], st.bytes_in) &&
			st.bytes_in == st.bytes_out + st.bytes_dropped + st.bytes_held;
	if (right && stage)
		right = !faasctl_link_each(self->ctl, self->world.wf, chain[stage - 1], copy_stats,
					   &st, NULL) &&
			agrees(&self->found->got[i], st.bytes_out);
	return right;
}

/* --------------------------------------------------------------- who is killed */

/*
 * Opens a port, in turns waiting and not. -1: there is none now, as there is none
 * while its workflow is away.
 */
static int enter(struct world *w, struct findings *found, const char *path, int flags,
		 uint64_t *seed)
{
	long fd = sys(open(path, flags | (random_next(seed) % 2 ? O_NONBLOCK : 0)));

	if (fd >= 0) {
		fcntl(fd, F_SETFL, flags);
		return fd;
	}
	if (fd != -ENOENT && fd != -ENXIO && fd != -EAGAIN)
		odd(found, fd);
	usleep(500);
	return -1;
}

static void produce(struct world *w, struct findings *found, struct tally *sent,
		    const char *stage, uint64_t seed)
{
	static uint8_t buf[CHUNK + 251];
	struct head head = { .magic = MAGIC };
	size_t size, at;
	long n;
	int fd;

	for (;;) {
		fd = enter(w, found, world_out(w, stage), O_WRONLY, &seed);
		if (fd < 0)
			continue;
		head.tag = random_next(&seed) % 200 + 1;
		head.len = random_next(&seed) % (100 * KIB);
		pattern_fill(buf, sizeof(buf), head.tag, 0);
		count(&found->streams);
		n = put(sent, fd, &head, sizeof(head));
		for (at = 0; n >= 0 && at < head.len; at += n) {
			size = random_next(&seed) % CHUNK + 1;
			if (size > head.len - at)
				size = head.len - at;
			n = put(sent, fd, buf + at % 251, size);
			if (n < 0)
				break;
		}
		if (n < 0 && n != -EPIPE)
			odd(found, n);
		if (n >= 0 && random_next(&seed) % 3 == 0)
			ioctl(fd, FAASIN_IOC_END);
		close(fd);
	}
}

/* As struct findings says; @at counts what came after the head. */
static void judge(struct findings *found, long n, const struct head *head, uint64_t at)
{
	if (n == 0 && at == head->len)
		count(&found->whole);
	else if (n == 0)
		count(&found->cut);
	else if (n == -ECONNABORTED)
		count(&found->aborted);
	else
		odd(found, n);
}

static void consume(struct world *w, struct findings *found, struct tally *got,
		    const char *stage, uint64_t seed)
{
	static uint8_t buf[CHUNK];
	struct head head;
	uint64_t at;
	bool early;
	long n;
	int fd;

	for (;;) {
		fd = enter(w, found, world_in(w, stage), O_RDONLY, &seed);
		if (fd < 0)
			continue;
		early = random_next(&seed) % 8 == 0;
		/* Together, as the writer wrote them. */
		n = take(got, fd, &head, sizeof(head));
		if (n == -ECONNABORTED) {
			count(&found->aborted);
		} else if (n != sizeof(head)) {
			if (n)
				count(&found->mixed);
			else
				count(&found->cut);
		} else if (head.magic != MAGIC) {
			count(&found->mixed);
		} else {
			for (at = 0; !(early && at > head.len / 2); at += n) {
				n = take(got, fd, buf, random_next(&seed) % CHUNK + 1);
				if (n <= 0)
					break;
				if (!pattern_is(buf, n, head.tag, at) || at + n > head.len)
					count(&found->mixed);
			}
			if (n <= 0)
				judge(found, n, &head, at);
		}
		close(fd);
	}
}

/**
 * struct passing - a stage in the middle
 * @in: its input
 * @out: its output
 * @pipe: what splice() takes in between
 * @got: what it read
 * @sent: what it wrote
 */
struct passing {
	int in;
	int out;
	int pipe[2];
	struct tally *got;
	struct tally *sent;
};

static long pass_by_copy(const struct passing *p, uint64_t *seed)
{
	static uint8_t buf[CHUNK];
	long n = take(p->got, p->in, buf, random_next(seed) % CHUNK + 1);

	return n <= 0 ? n : put(p->sent, p->out, buf, n);
}

static long pass_by_splice(const struct passing *p, uint64_t *seed)
{
	size_t size = random_next(seed) % CHUNK + 1;
	long n, left, m;

	p->got->doing = size;
	n = sys(splice(p->in, NULL, p->pipe[1], NULL, size, 0));
	moved(p->got, n);
	for (left = n; left > 0; left -= m) {
		p->sent->doing = left;
		m = sys(splice(p->pipe[0], NULL, p->out, NULL, left, 0));
		moved(p->sent, m);
		if (m <= 0)
			return m ?: -EIO;
	}
	return n;
}

/* One stream in, one stream out; what is not whole is aborted. */
static void pass_on(struct world *w, struct findings *found, struct passing p,
		    const char *stage, uint64_t seed, bool splices)
{
	uint8_t first[sizeof(struct head)];
	long n;

	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		p.in = enter(w, found, world_in(w, stage), O_RDONLY, &seed);
		if (p.in < 0)
			continue;
		/* Who opened no output has none to end. */
		n = take(p.got, p.in, first, sizeof(first));
		p.out = n > 0 ? enter(w, found, world_out(w, stage), O_WRONLY, &seed) : -1;
		if (p.out < 0) {
			if (n < 0 && n != -ECONNABORTED)
				odd(found, n);
			if (!n)
				count(&found->cut);
			close(p.in);
			continue;
		}
		if (pipe(p.pipe))
			_exit(99);
		n = put(p.sent, p.out, first, n);
		while (n > 0)
			n = splices ? pass_by_splice(&p, &seed) : pass_by_copy(&p, &seed);
		if (n < 0) {
			struct faasin_abort why = { .cause = FAASIN_CAUSE_REQUEST };

			if (n != -EPIPE && n != -ECONNABORTED)
				odd(found, n);
			if (ioctl(p.out, FAASIN_IOC_ABORT, &why))
				odd(found, -errno);
		}
		close(p.pipe[0]);
		close(p.pipe[1]);
		close(p.out);
		close(p.in);
	}
}

static pid_t spawn(FIXTURE_DATA(storm) *self, const FIXTURE_VARIANT(storm) *variant, size_t i)
{
	const char *stage = stages[i / STAGES][i % STAGES];
	uint64_t seed = random_next(&self->seed);
	pid_t pid = child();

	if (pid)
		return pid;
	alarm(0);
	switch (i % STAGES) {
	case 0:
		produce(&self->world, self->found, &self->found->sent[i], stage, seed);
		break;
	case 1:
		pass_on(&self->world, self->found,
			(struct passing){ .got = &self->found->got[i], .sent = &self->found->sent[i] },
			stage, seed, variant->splices);
		break;
	default:
		consume(&self->world, self->found, &self->found->got[i], stage, seed);
		break;
	}
	_exit(98);
}

/* The tool, in the middle of something. */
static bool kill_tool(struct world *w, uint64_t *seed)
{
	const char *const commands[][5] = {
		{ "faasctl", "show", w->wf },
		{ "faasctl", "link", w->wf, "a", "b" },
		{ "faasctl", "dump" },
		{ "faasctl", "unlink", w->wf, "e" },
		{ "faasctl", "monitor" },
	};
	unsigned int which = random_next(seed) % ARRAY_SIZE(commands);
	pid_t pid = child();

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp("faasctl", (char *const *)commands[which]);
		_exit(127);
	}
	usleep(random_next(seed) % 30000);
	kill(pid, SIGKILL);
	return child_end(pid) != HUNG;
}

/* ------------------------------------------------------------ what is taken away */

static int mount_and_go(void)
{
	char dir[] = "/tmp/storm.XXXXXX";
	int error = 0;

	if (!mkdtemp(dir))
		return errno;
	if (mount("none", dir, "faasin", 0, NULL))
		error = errno;
	else if (umount2(dir, MNT_DETACH))
		error = errno;
	rmdir(dir);
	return error;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "faasin", O_NONBLOCK) ? errno : 0;
}

/* Takes something away and puts it back. 0, or an error that is none of ours. */
static int cut(FIXTURE_DATA(storm) *self, const FIXTURE_VARIANT(storm) *variant)
{
	struct world *w = &self->world;
	const char *const *chain = stages[random_next(&self->seed) % CHAINS], *cgroup;
	int link = random_next(&self->seed) % (STAGES - 1);
	char path[PATH_MAX];
	int error;

	switch (random_next(&self->seed) % 4) {
	case 0:
		error = world_unlink(w, chain[link]);
		if (error && error != ENOENT)
			return error;
		return link_up(w, chain[link], chain[link + 1], variant->capacity, variant->never);
	case 1:
		error = world_del_workflow(w, w->wf);
		return error ?: build(w, variant->capacity, variant->never);
	case 2:
		/* A stage's cgroup goes while the stage is bound to it. */
		cgroup = world_cgroup(w, "stage");
		error = world_stage(w, chain[link], cgroup);
		snprintf(path, sizeof(path), CGROUPS "/%s", cgroup);
		return error ?: rmdir(path) ? errno : 0;
	default:
		return mount_and_go();
	}
}

static uint64_t kills_wanted(void)
{
	const char *text = getenv("FAASIN_KILLS");

	return (text ? strtoull(text, NULL, 10) : KILLS) / 5 + 1;
}

/* A process that is there and cannot be killed: its state, or 0. */
static char stuck(pid_t pid)
{
	char path[64], text[256] = "", *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	state = strrchr(text, ')');
	return state ? state[2] : '?';
}

TEST_F_TIMEOUT(storm, leaves_nothing_behind, 3600)
{
	static const int signals[] = { SIGKILL, SIGKILL, SIGKILL, SIGTERM, SIGSEGV, SIGABRT, SIGINT };
	uint64_t wanted = kills_wanted();
	struct world *w = &self->world;
	struct faasin_port_info info;
	struct rlimit none = { 0 };
	int i, error, status;

	/* Cores are not what is tested. */
	setrlimit(RLIMIT_CORE, &none);
	for (i = 0; i < (int)ARRAY_SIZE(self->pids); i++)
		self->pids[i] = spawn(self, variant, i);

	while (self->kills < wanted) {
		usleep(random_next(&self->seed) % 4000);
		i = random_next(&self->seed) % ARRAY_SIZE(self->pids);
		kill(self->pids[i], signals[random_next(&self->seed) % ARRAY_SIZE(signals)]);
		status = child_end(self->pids[i]);
		ASSERT_NE(HUNG, status)
			TH_LOG("process %d does not die: state %c", self->pids[i], stuck(self->pids[i]));
		/* By a signal, each of them: nobody ends by itself. */
		EXPECT_GT(0, status)
			TH_LOG("process %d ended by itself", i);
		self->kills++;
		/* Where workflows go, their counters go, too. */
		if (!variant->cuts) {
			EXPECT_TRUE(counted(self, i))
				TH_LOG("the counters of stage %s are wrong", stages[i / STAGES][i % STAGES]);
		}
		self->pids[i] = spawn(self, variant, i);

		if (self->kills % 32 == 0) {
			ASSERT_TRUE(kill_tool(w, &self->seed));
			self->kills++;
		}
		if (self->kills % 16 == 0) {
			error = unload();
			ASSERT_TRUE(error == EWOULDBLOCK || error == EBUSY)
				TH_LOG("unloading under load: %s", error ? strerror(error) : "done");
		}
		if (variant->cuts && self->kills % 8 == 0) {
			error = cut(self, variant);
			ASSERT_EQ(0, error)
				TH_LOG("taking away: %s; %s", strerror(error), w->nl.text);
		}
	}

	for (i = 0; i < (int)ARRAY_SIZE(self->pids); i++) {
		child_kill(self->pids[i], SIGKILL);
		EXPECT_NE(0, kill(self->pids[i], 0))
			TH_LOG("process %d is still there: state %c", self->pids[i], stuck(self->pids[i]));
	}
	TH_LOG("%llu kills; %llu streams: %llu whole, %llu aborted, %llu cut",
	       (unsigned long long)self->kills, (unsigned long long)self->found->streams,
	       (unsigned long long)self->found->whole, (unsigned long long)self->found->aborted,
	       (unsigned long long)self->found->cut);
	EXPECT_EQ(variant->never, self->found->cut != 0);
	EXPECT_EQ(0, self->found->mixed);
	EXPECT_EQ(0, self->found->odd)
		TH_LOG("the last of them: %s", strerror(-self->found->last_odd));
	EXPECT_NE(0, self->found->whole);
	EXPECT_TRUE(variant->never || self->found->aborted);

	/* Links work as if nothing had been. */
	ASSERT_EQ(0, build(w, variant->capacity, variant->never));
	for (i = 0; i + 1 < STAGES; i++) {
		int out = world_open(w, stages[1][i], FAASIN_PORT_OUT, O_WRONLY);
		int in = world_open(w, stages[1][i + 1], FAASIN_PORT_IN, O_RDONLY);

		ASSERT_LE(0, out);
		ASSERT_LE(0, in);
		info = port_info(in);
		EXPECT_EQ(variant->capacity, info.capacity);
		close(in);
		close(out);
	}

	/* What a CPU has in stock for a cgroup may stay charged to it a while. */
	EXPECT_EQ(0, world_del_workflow(w, w->wf));
	EXPECT_GE(2 * 64 * PAGE, cgroup_falls_to(w->wf, 2 * 64 * PAGE));
}

TEST_HARNESS_MAIN
