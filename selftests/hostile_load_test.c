// SPDX-License-Identifier: GPL-2.0
/*
 * A container that somebody else has taken over tries to use things up: memory, streams,
 * descriptors, mounts, directory entries, events; and to leave something behind that outlives it.
 */
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "harness.h"
#include "hostile.h"

#define IN	(O_RDONLY | O_NONBLOCK | O_CLOEXEC)
#define OUT	(O_WRONLY | O_NONBLOCK | O_CLOEXEC)
#define SLACK	(768 * KIB)	/* what each CPU may have charged ahead */

static long long current(const char *cgroup)
{
	return cgroup_read(cgroup, "memory.current", NULL);
}

static long file_number(const char *path, int nr)
{
	FILE *stream = fopen(path, "re");
	long value = -1;

	while (stream && nr--)
		if (fscanf(stream, "%ld", &value) != 1)
			value = -1;
	if (stream)
		fclose(stream);
	return value;
}

/* --------------------------------------------------------------- to use things up */

FIXTURE(load) {
	struct hostile h;
	long long victims;	/* memory of its, before */
};

FIXTURE_SETUP(load)
{
	HOSTILE_SETUP(&self->h);
	ASSERT_TRUE(victim_works(&self->h));
	self->victims = current(self->h.victim.wf);
	ASSERT_LE(0, self->victims);
}

FIXTURE_TEARDOWN(load)
{
	HOSTILE_TEARDOWN(&self->h);
}

#define EXPECT_VICTIM_UNHARMED()						\
do {										\
	EXPECT_GE(self->victims + SLACK, current(self->h.victim.wf));		\
	EXPECT_TRUE(victim_works(&self->h));					\
} while (0)

/* What it found is in number[]. */
static int fill(struct hostile *h)
{
	static char buf[64 * KIB];
	int out = open(own_path(h, "faasout"), OUT);
	ssize_t n;

	while ((n = write(out, buf, sizeof(buf))) > 0)
		h->attack->number[0] += n;
	TRY("one byte more", write(out, buf, sizeof(buf)), EAGAIN);
	TRY("a page more", write(out, buf, PAGE), EAGAIN, 0);
	return 0;
}

TEST_F_TIMEOUT(load, buffers_are_its_own_and_below_its_limit, 60)
{
	struct hostile *h = &self->h;

	ASSERT_EQ(0, world_unlink(&h->own, "a"));
	ASSERT_EQ(0, cgroup_write(h->own.wf, "memory.max", "33554432"));
	ASSERT_EQ(0, world_link_of(&h->own, "a", "b", 64 * MIB));
	EXPECT_EQ(0, attack(h, fill));
	EXPECT_ATTEMPTS(h, 2);
	EXPECT_LT(4 * MIB, h->attack->number[0]);
	EXPECT_LT(h->attack->number[0], current(h->own.wf) + SLACK);
	EXPECT_GE((32 - 8) * MIB + SLACK, current(h->own.wf));
	EXPECT_EQ(0, cgroup_read(h->own.wf, "memory.events", "oom_kill"));
	EXPECT_VICTIM_UNHARMED();
	/* All of it goes with its workflow. */
	ASSERT_EQ(0, world_del_workflow(&h->own, h->own.wf));
	EXPECT_GE(4 * MIB, cgroup_falls_to(h->own.wf, 4 * MIB));
}

static int begin_streams(struct hostile *h)
{
	int i, out;

	for (i = 0; i < FAASIN_STREAMS_MAX; i++) {
		out = open(own_path(h, "faasout"), OUT);
		if (out < 0)
			return 1;
		close(out);
	}
	TRY("one stream more", open(own_path(h, "faasout"), OUT), EAGAIN);
	TRY("its input, still", open(world_in(&h->own, "b"), IN), 0);
	return 0;
}

TEST_F_TIMEOUT(load, streams_are_limited, 60)
{
	struct faasin_port_info info;
	struct hostile *h = &self->h;
	int in;

	EXPECT_EQ(0, attack(h, begin_streams));
	EXPECT_ATTEMPTS(h, 2);
	EXPECT_VICTIM_UNHARMED();
	in = world_open(&h->own, "b", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_OVER(in, 0);
	info = port_info(in);
	EXPECT_EQ(1, info.stream);
	close(in);
	EXPECT_EQ(0, world_unlink(&h->own, "a"));
	EXPECT_EQ(0, world_link(&h->own, "a", "b"));
}

/*
 * Records of who wrote: as many as a stream takes, then many in stream after stream. Each costs
 * 64 bytes, and time that grows with those before it.
 */
static int write_from_everywhere(struct hostile *h)
{
	const struct rlimit limit = { 2 * FAASIN_WRITERS_MAX, 2 * FAASIN_WRITERS_MAX };
	static int outs[FAASIN_WRITERS_MAX];
	int i, stream, writers;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	for (stream = 0; stream < 24; stream++) {
		writers = stream || h->attack->nr ? FAASIN_WRITERS_MAX / 4 : FAASIN_WRITERS_MAX;
		for (i = 0; i < writers; i++) {
			outs[i] = open(own_path(h, "faasout"), OUT);
			if (write(outs[i], "x", 1) != 1)
				return 2;
		}
		if (writers == FAASIN_WRITERS_MAX)
			TRY("one writer more",
			    write(open(own_path(h, "faasout"), OUT), "x", 1), EUSERS);
		close_range(outs[0], ~0U, 0);
	}
	return 0;
}

TEST_F_TIMEOUT(load, queued_streams_remember_no_writers, 100)
{
	struct hostile *h = &self->h;
	long long before = current(h->own.wf);
	int times;

	for (times = 0; times < 4; times++)
		ASSERT_EQ(0, attack(h, write_from_everywhere));
	EXPECT_ATTEMPTS(h, 1);
	/* Streams and bytes are there still. */
	EXPECT_GE(before + SLACK, cgroup_falls_to(h->own.wf, before + SLACK));
	EXPECT_VICTIM_UNHARMED();
}

#define OPENS	4000

static int open_many(struct hostile *h)
{
	const struct rlimit limit = { OPENS, OPENS };
	int n = 0;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	while (open(own_path(h, n % 2 ? "faasout" : "faasin"), n % 2 ? OUT : IN) >= 0)
		n++;
	h->attack->number[0] = n;
	TRY("one descriptor more", open(own_path(h, "faasout"), OUT), EMFILE);
	ring(h->ready);
	pause();
	return 0;
}

TEST_F_TIMEOUT(load, descriptors_are_its_own, 60)
{
	struct hostile *h = &self->h;
	long long before;
	pid_t begun;

	ASSERT_EQ(0, world_stage(&h->own, "c", NULL));
	ASSERT_EQ(0, world_link(&h->own, "c", "a"));
	before = current(h->own.wf);
	begun = attack_begin(h, open_many);
	ASSERT_TRUE(await(h->ready));
	EXPECT_ATTEMPTS(h, 1);
	EXPECT_LT(OPENS / 2, h->attack->number[0]);
	/* The opener pays, for files and what is behind them. */
	EXPECT_LT(before + 256 * h->attack->number[0], current(h->own.wf) + SLACK);
	EXPECT_VICTIM_UNHARMED();
	EXPECT_TRUE(attacker_kill(h, begun));
	EXPECT_EQ(0, world_unlink(&h->own, "a"));
}

/* Not twice in one place, which is refused. */
static int mount_at(struct hostile *h, int nr)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d", h->spare, nr);
	return mkdir(path, 0755) ?: mount("none", path, "faasin", 0, NULL);
}

static int mount_many(struct hostile *h)
{
	int n = 0;

	if (mount("none", h->spare, "tmpfs", 0, NULL))
		return 1;
	while (n < 100000 && !mount_at(h, n))
		n++;
	h->attack->number[0] = n;
	TRY("one mount more", mount_at(h, n + 1), ENOSPC);
	ring(h->ready);
	pause();
	return 0;
}

TEST_F_TIMEOUT(load, mounts_are_limited, 60)
{
	const char *path = "/proc/sys/fs/mount-max";
	const long max = file_number(path, 1);
	struct hostile *h = &self->h;
	FILE *stream;
	pid_t begun;

	ASSERT_LT(0, max);
	stream = fopen(path, "we");
	ASSERT_NE(NULL, stream);
	/* As it is it would take long. */
	fprintf(stream, "1000\n");
	fclose(stream);
	begun = attack_begin(h, mount_many);
	EXPECT_TRUE(await(h->ready));
	EXPECT_ATTEMPTS(h, 1);
	EXPECT_LT(100, h->attack->number[0]);
	EXPECT_VICTIM_UNHARMED();
	EXPECT_EQ(0, sys(mount("none", h->spare, "faasin", 0, NULL)));
	EXPECT_EQ(0, sys(umount(h->spare)));
	EXPECT_EQ(0, world_del_workflow(&h->own, h->own.wf));
	EXPECT_TRUE(attacker_kill(h, begun));
	stream = fopen(path, "we");
	fprintf(stream, "%ld\n", max);
	fclose(stream);
}

#define NAMES	6000

static int ask_for_names(const char *dir, const char *what)
{
	char path[PATH_MAX];
	int i, found = 0;

	for (i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "%s/%s-%d", dir, what, i);
		found += !access(path, F_OK);
	}
	return found;
}

static int flood_entries(struct hostile *h)
{
	char path[PATH_MAX];
	int i, found;

	found = ask_for_names(h->point, "missing");
	found += ask_for_names(MOUNT_POINT, "missing");
	for (i = 0; i < NAMES / 10; i++) {
		snprintf(path, sizeof(path), "%s/new-%d", h->point, i);
		found += open(path, OUT | O_CREAT, 0666) >= 0;
		found += !mkdir(path, 0755);
	}
	return found != 0;
}

static int flood_elsewhere(struct hostile *h)
{
	return ask_for_names("/sys/kernel", "missing") != 0;
}

TEST_F_TIMEOUT(load, missing_names_are_not_remembered, 60)
{
	const char *state = "/proc/sys/fs/dentry-state";
	long before, after;

	/* To see that the count counts: sysfs remembers them. */
	before = file_number(state, 1);
	ASSERT_LT(0, before);
	EXPECT_EQ(0, attack(&self->h, flood_elsewhere));
	after = file_number(state, 1);
	EXPECT_LT(before + NAMES / 2, after);

	before = after;
	EXPECT_EQ(0, attack(&self->h, flood_entries));
	after = file_number(state, 1);
	EXPECT_GT(before + NAMES / 10, after)
		TH_LOG("%ld directory entries, then %ld", before, after);
	EXPECT_VICTIM_UNHARMED();
}

static int flood_events(struct hostile *h)
{
	int i, out, in;

	for (i = 0; i < 3000; i++) {
		out = open(own_path(h, "faasout"), OUT);
		in = open(world_in(&h->own, "b"), IN);
		if (out < 0 || in < 0 || write(out, "x", 1) != 1 || ioctl(in, FAASIN_IOC_END))
			return 1;
		close(out);
		close(in);
	}
	return 0;
}

TEST_F_TIMEOUT(load, events_lost_are_known_to_be, 60)
{
	struct hostile *h = &self->h;
	uint64_t seq, last = 0, first = 0, heard = 0, newest;
	const int large = 16 << 20;
	bool told = false;
	struct nl ear;
	int error;

	ASSERT_EQ(0, nl_open(&ear));
	ASSERT_EQ(0, nl_join_events(&ear));
	ASSERT_EQ(0, setsockopt(ear.fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large)));
	EXPECT_EQ(0, attack(h, flood_events));
	ASSERT_EQ(0, nl_call(&h->victim.nl, FAASIN_CMD_INFO_GET, 0, NL_NONE));
	newest = nl_get_u64(&h->victim.nl, FAASIN_A_INFO_EVENT_SEQ);
	/* Whatever was held back, the newest one comes: nothing is lost in silence. */
	while (last < newest) {
		error = nl_event(&ear, 10000);
		if (error == ENOBUFS) {
			told = true;
			continue;
		}
		ASSERT_EQ(0, error)
			TH_LOG("%ju of %ju, heard %ju", last, newest, heard);
		seq = nl_get_u64(&ear, FAASIN_A_EVENT_SEQ);
		told |= last && seq != last + 1;
		first = first ?: seq;
		EXPECT_LT(last, seq);
		last = seq;
		heard++;
	}
	EXPECT_EQ(newest, last);
	EXPECT_LE(6000, newest - first + 1);
	if (heard < newest - first + 1)
		EXPECT_TRUE(told);
	nl_shut(&ear);
	EXPECT_VICTIM_UNHARMED();
}

/* --------------------------------------------------- to leave something behind */

static int hide_descriptors(struct hostile *h)
{
	struct io_uring_params params = { };
	int pair[2], ring_fd, poll_fd, files[2];
	char control[CMSG_SPACE(sizeof(int[4]))] = "";
	struct iovec part = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int[3])),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int out = open(own_path(h, "faasout"), OUT), passed[3];

	files[0] = out;
	files[1] = open(world_in(&h->own, "b"), IN);
	TRY("written", write(out, "all of it", 9), 0);
	ring_fd = syscall(SYS_io_uring_setup, 8, &params);
	TRY("a ring", ring_fd, 0);
	TRY("files of the ring", syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_FILES,
					 files, 2), 0);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	TRY("its output polled", epoll_ctl(poll_fd, EPOLL_CTL_ADD, out, &event), 0);
	TRY("its input polled", epoll_ctl(poll_fd, EPOLL_CTL_ADD, files[1], &event), 0);
	/* A socket that is in flight to itself, and takes them along. */
	TRY("two sockets", socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	passed[0] = pair[0];
	passed[1] = pair[1];
	passed[2] = out;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(passed));
	memcpy(CMSG_DATA(cmsg), passed, sizeof(passed));
	TRY("sent to itself", sendmsg(pair[0], &msg, 0), 0);
	ring(h->ready);
	pause();
	return 0;
}

static uint32_t opens(struct world *w, const char *stage)
{
	const void *attrs;
	size_t len, at;
	uint32_t sum = 0;

	if (nl_call(&w->nl, FAASIN_CMD_STAGE_GET, 0,
		    NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf),
			    NL_STR(FAASIN_A_STAGE_NAME, stage))))
		return UINT32_MAX;
	attrs = w->nl.reply;
	len = w->nl.len;
	for (at = 0; at + NLA_HDRLEN <= len;) {
		const struct nlattr *attr = (const void *)((const char *)attrs + at);

		if ((attr->nla_type & NLA_TYPE_MASK) == FAASIN_A_STAGE_PORT &&
		    nl_find(nl_data(attr), nl_len(attr), FAASIN_A_PORT_OPENS))
			sum += nl_u32(nl_data(attr), nl_len(attr), FAASIN_A_PORT_OPENS);
		at += NLA_ALIGN(attr->nla_len);
	}
	return sum;
}

TEST_F_TIMEOUT(load, nothing_holds_its_descriptors_after_its_death, 60)
{
	struct hostile *h = &self->h;
	pid_t begun = attack_begin(h, hide_descriptors);
	int in, tries, pair[2];

	ASSERT_TRUE(await(h->ready));
	EXPECT_ATTEMPTS(h, 7);
	EXPECT_EQ(1, opens(&h->own, "a"));
	EXPECT_TRUE(attacker_kill(h, begun));
	/*
	 * The ring is put away a moment later; sockets that hold each other when any other
	 * one is closed, which happens all the time elsewhere than here.
	 */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	close(pair[0]);
	close(pair[1]);
	for (tries = 0; tries < 200 && (opens(&h->own, "a") || opens(&h->own, "b")); tries++)
		usleep(50000);
	EXPECT_EQ(0, opens(&h->own, "a"));
	EXPECT_EQ(0, opens(&h->own, "b"));
	/* And it is told from an end. */
	in = world_open(&h->own, "b", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_READ(in, "all of it");
	EXPECT_OVER(in, -ECONNABORTED);
	close(in);
	EXPECT_EQ(0, cgroup_remove(h->cgroup));
}

/* Everything that it can hold, and then it does nothing any more. */
static int hold_everything(struct hostile *h)
{
	int watch = inotify_init1(IN_CLOEXEC), i;
	char path[PATH_MAX];

	TRY("its output", open(own_path(h, "faasout"), OUT), 0);
	TRY("its input's path", open(own_path(h, "faasin"), O_PATH), 0);
	TRY("its peer's input", open(world_in(&h->own, "b"), IN), 0);
	TRY("its directory watched", inotify_add_watch(watch, h->point, IN_ALL_EVENTS), 0);
	TRY("its port watched", inotify_add_watch(watch, own_path(h, "faasout"), IN_ALL_EVENTS),
	    0);
	TRY("self watched", inotify_add_watch(watch, own_path(h, "self"),
					      IN_ALL_EVENTS | IN_DONT_FOLLOW), 0);
	TRY("its port locked", flock(open(own_path(h, "faasout"), OUT), LOCK_EX), 0);
	TRY("a place for mounts", mount("none", h->spare, "tmpfs", 0, NULL), 0);
	TRY("its input mounted over", mount("/proc/version", own_path(h, "faasin"), NULL,
					    MS_BIND, NULL), 0);
	for (i = 0; i < 50; i++)
		if (mount_at(h, i))
			return 1;
	snprintf(path, sizeof(path), "%s/0", h->spare);
	TRY("into its directory", chdir(path), 0);
	TRY("frozen", ioctl(open(".", O_RDONLY), _IOWR('X', 119, int)), EPERM);
	if (!fork()) {
		/* An open that waits: a's input is linked to nothing. */
		open("./faasin", O_RDONLY);
		_exit(0);
	}
	ring(h->ready);
	for (;;)
		pause();
}

TEST_F_TIMEOUT(load, what_it_holds_keeps_nobody_from_deleting, 60)
{
	const char *count = "/sys/module/faasin/refcnt";
	struct hostile *h = &self->h;
	const long before = file_number(count, 1);
	pid_t begun = attack_begin(h, hold_everything);
	long held;
	int tries;

	ASSERT_TRUE(await(h->ready));
	ASSERT_TRUE(attacker_is_in(h, SYS_openat));
	EXPECT_ATTEMPTS(h, 11);
	EXPECT_LT(0, attacker_signal(h, SIGSTOP));

	EXPECT_EQ(0, tool_status());
	EXPECT_EQ(0, world_unlink(&h->own, "a"));
	EXPECT_EQ(0, world_del_stage(&h->own, "a"));
	EXPECT_EQ(0, world_stage(&h->own, "a", h->cgroup));
	EXPECT_EQ(0, world_link(&h->own, "a", "b"));
	EXPECT_EQ(0, world_del_workflow(&h->own, h->own.wf));
	EXPECT_EQ(-ENOENT, sys(access(h->own.dir, F_OK)));
	EXPECT_VICTIM_UNHARMED();

	/* It keeps the module in use until it is killed, stopped or not. */
	held = file_number(count, 1);
	EXPECT_LT(before, held);
	EXPECT_TRUE(attacker_kill(h, begun));
	for (tries = 0; tries < 200 && file_number(count, 1) > before; tries++)
		usleep(50000);
	EXPECT_EQ(before, file_number(count, 1));
	EXPECT_EQ(0, cgroup_remove(h->cgroup));
}

TEST_HARNESS_MAIN
