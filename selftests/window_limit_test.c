// SPDX-License-Identifier: GPL-2.0
/* Windows: how many there are, what memory they have, and that all of it comes back. */
#include "window.h"

#include <sys/resource.h>

#include "harness.h"

FIXTURE(limits)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(limits)
{
	ENDS_SETUP(self, NULL, O_RDWR, O_NONBLOCK);
}

FIXTURE_TEARDOWN(limits)
{
	ENDS_TEARDOWN(self);
}

/* An input's open files with a window, as many as there may be. */
static void map_all(struct __test_metadata *_metadata, const struct flow *flow, int *fd, uint8_t **at)
{
	struct rlimit files = { FAASIN_WINDOWS_MAX + 100, FAASIN_WINDOWS_MAX + 100 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (int i = 0; i < FAASIN_WINDOWS_MAX; i++) {
		fd[i] = flow_reader((struct flow *)flow, O_NONBLOCK);
		ASSERT_LE(0, fd[i]);
		at[i] = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd[i], 0);
		ASSERT_NE(MAP_FAILED, (void *)at[i]);
	}
}

static void unmap_all(const int *fd, uint8_t *const *at)
{
	for (int i = 0; i < FAASIN_WINDOWS_MAX; i++) {
		munmap(at[i], PAGE);
		close(fd[i]);
	}
}

static long map_page(int fd, int prot)
{
	return window_try_map(fd, PAGE, prot, MAP_SHARED, 0);
}

TEST_F(limits, windows_of_a_port)
{
	int fd[FAASIN_WINDOWS_MAX];
	uint8_t *at[FAASIN_WINDOWS_MAX];

	map_all(_metadata, &self->flow, fd, at);
	EXPECT_EQ(-ENOSPC, map_page(self->r, PROT_READ));
	/* Of one that is counted, as many as one likes; and the peer has its own. */
	EXPECT_EQ(0, map_page(fd[0], PROT_READ));
	EXPECT_EQ(0, map_page(self->w, PROT_READ | PROT_WRITE));
	close(fd[7]);
	EXPECT_EQ(-ENOSPC, map_page(self->r, PROT_READ));
	munmap(at[7], PAGE);
	EXPECT_EQ(0, map_page(self->r, PROT_READ));
	fd[7] = -1;
	unmap_all(fd, at);
}

/*
 * Opens and maps both ends of the flow, as often as each may, again and again: all windows that a
 * workflow may have. Their links are gone but for the last one, and there is one without any.
 */
static void map_workflow(struct __test_metadata *_metadata, struct flow *flow, int *fd,
			 uint8_t **at)
{
	bool reads;

	for (int i = 0; i < FAASIN_WORKFLOW_WINDOWS_MAX; i++) {
		if (!(i % (2 * FAASIN_WINDOWS_MAX))) {
			ASSERT_EQ(0, flow_unlink(flow));
			ASSERT_EQ(0, flow_link(flow));
		}
		reads = i % 2;
		fd[i] = reads ? flow_reader(flow, O_NONBLOCK) : flow_writer(flow, O_RDWR);
		ASSERT_LE(0, fd[i]);
		at[i] = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd[i], 0);
		ASSERT_NE(MAP_FAILED, (void *)at[i])
			TH_LOG("window %d: %s", i, strerror(errno));
	}
	ASSERT_EQ(0, flow_unlink(flow));
	ASSERT_EQ(0, flow_link(flow));
}

/* 0, or an errno, of a child: a process has one workflow here. */
static int map_in_another_workflow(void)
{
	pid_t pid = child();
	struct flow flow;
	long err;

	if (!pid) {
		err = flow_new(&flow, NULL);
		if (!err) {
			err = map_page(flow_reader(&flow, O_NONBLOCK), PROT_READ);
			flow_del(&flow);
		}
		_exit(-err);
	}
	return child_end(pid);
}

TEST_F_TIMEOUT(limits, windows_of_a_workflow, 200)
{
	struct rlimit files = { FAASIN_WORKFLOW_WINDOWS_MAX + 100, FAASIN_WORKFLOW_WINDOWS_MAX + 100 };
	static int fd[FAASIN_WORKFLOW_WINDOWS_MAX];
	static uint8_t *at[FAASIN_WORKFLOW_WINDOWS_MAX];
	struct faasin_range range;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	/* Twice: all of them come back. */
	for (int round = 0; round < 2; round++) {
		close(self->w);
		close(self->r);
		map_workflow(_metadata, &self->flow, fd, at);
		self->w = flow_writer(&self->flow, O_RDWR);
		self->r = flow_reader(&self->flow, O_NONBLOCK);
		EXPECT_EQ(-ENOSPC, map_page(self->r, PROT_READ));
		EXPECT_EQ(-ENOSPC, map_page(self->w, PROT_READ | PROT_WRITE));
		/* What was written cannot land; reading it takes no window. */
		EXPECT_WRITE(self->w, "abc");
		EXPECT_EQ(-ENOSPC, window_take(self->r, &range));
		EXPECT_READ(self->r, "abc");
		/* The link that one of them is of is long gone, and it counts as long as it is open. */
		close(fd[0]);
		EXPECT_EQ(-ENOSPC, map_page(self->r, PROT_READ));
		munmap(at[0], PAGE);
		EXPECT_EQ(0, map_page(self->r, PROT_READ));
		EXPECT_EQ(-ENOSPC, map_page(self->w, PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, map_in_another_workflow());
		for (int i = 1; i < FAASIN_WORKFLOW_WINDOWS_MAX; i++) {
			munmap(at[i], PAGE);
			close(fd[i]);
		}
		EXPECT_EQ(0, map_page(self->w, PROT_READ | PROT_WRITE));
	}
}

TEST_F(limits, mappings_of_a_window)
{
	uint8_t *at[FAASIN_MAPPINGS_MAX - 1], *three;

	three = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, self->r, 0);
	ASSERT_NE(MAP_FAILED, (void *)three);
	for (int i = 0; i < FAASIN_MAPPINGS_MAX - 1; i++) {
		at[i] = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, i % 2 ? self->w : self->r, 0);
		ASSERT_NE(MAP_FAILED, (void *)at[i]);
	}
	EXPECT_EQ(-ENOMEM, map_page(self->r, PROT_READ));
	EXPECT_EQ(-ENOMEM, map_page(self->w, PROT_READ | PROT_WRITE));
	/* One in three parts is three. */
	EXPECT_EQ(-ENOMEM, sys(mprotect(three + PAGE, PAGE, PROT_NONE)));
	EXPECT_EQ(-ENOMEM, sys(munmap(three + PAGE, PAGE)));
	munmap(at[0], PAGE);
	munmap(at[1], PAGE);
	EXPECT_EQ(0, sys(munmap(three + PAGE, PAGE)));
	at[1] = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->r, 0);
	EXPECT_NE(MAP_FAILED, (void *)at[1]);
	EXPECT_EQ(-ENOMEM, map_page(self->r, PROT_READ));
	munmap(three, PAGE);
	munmap(three + 2 * PAGE, PAGE);
	for (int i = 1; i < FAASIN_MAPPINGS_MAX - 1; i++)
		munmap(at[i], PAGE);
	/* None is left over. */
	for (int i = 0; i < FAASIN_MAPPINGS_MAX; i++)
		ASSERT_EQ(0, map_page(self->r, PROT_READ));
	EXPECT_EQ(0, map_page(self->r, PROT_READ));
}

/* What lands is memory beside the capacity: only those with a window have such. */
TEST_F(limits, landings_of_a_port)
{
	int fd[FAASIN_WINDOWS_MAX];
	uint8_t *at[FAASIN_WINDOWS_MAX];
	struct faasin_range range;

	map_all(_metadata, &self->flow, fd, at);
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(-ENOSPC, window_take(self->r, &range));
	EXPECT_EQ(3, unread(self->r));
	EXPECT_EQ(1, window_take(fd[0], &range));
	unmap_all(fd, at);
	EXPECT_WRITE(self->w, "def");
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(3, range.length);
}

TEST_F(limits, landings_are_told)
{
	uint64_t landing = window_info(self->r).landing, before;
	int r = flow_reader(&self->flow, O_NONBLOCK);
	struct faasin_range range;

	EXPECT_WRITE(self->w, "abc");
	before = flow_stats(&self->flow).pool_bytes;
	EXPECT_EQ(1, window_take(r, &range));
	EXPECT_EQ(before + landing, flow_stats(&self->flow).pool_bytes);
	close(r);
	EXPECT_GE(before, flow_stats(&self->flow).pool_bytes);
}

TEST_F(limits, landings_leave_the_cgroup_its_room)
{
	struct faasin_range range;

	EXPECT_WRITE(self->w, "abc");
	ASSERT_EQ(0, cgroup_write(self->flow.name, "memory.max", "4194304"));
	EXPECT_EQ(-ENOMEM, window_take(self->r, &range));
	EXPECT_EQ(3, unread(self->r));
	ASSERT_EQ(0, cgroup_write(self->flow.name, "memory.max", "max"));
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(3, range.length);
}

TEST_F(limits, nothing_lands_for_a_cgroup_that_is_gone)
{
	struct faasin_range range;

	EXPECT_WRITE(self->w, "abc");
	ASSERT_EQ(0, cgroup_remove(self->flow.name));
	EXPECT_EQ(-ENOMEM, window_take(self->r, &range));
	EXPECT_EQ(-ENOMEM, window_alloc(self->w, 1));
	EXPECT_READ(self->r, "abc");
}

/* Polled for, not asked for all the time. */
TEST_F(limits, memory_is_waited_for)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, cgroup_write(self->flow.name, "memory.max", "4194304"));
	EXPECT_EQ(-ENOMEM, window_alloc(self->w, 1));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	ASSERT_EQ(0, cgroup_write(self->flow.name, "memory.max", "max"));
	EXPECT_EQ(1, poll(&poll_out, 1, DEADLINE * 1000));
	EXPECT_EQ(0, window_alloc(self->w, 1));
}

/* Hands off, or takes, until it is killed. */
static void hand_off_for_ever(const char *port, int flags, uint64_t seed)
{
	struct faasin_range ranges[FAASIN_RANGES_MAX];
	int fd = sys(open(port, flags | O_CLOEXEC));
	uint8_t *at = window_map(fd, flags == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ);
	long n;

	for (;;) {
		if (flags == O_RDWR) {
			for (n = 0; n < 1 + (long)(random_next(&seed) % 4); n++) {
				ranges[n].length = 1 + random_next(&seed) % 60000;
				ranges[n].offset = window_alloc(fd, ranges[n].length);
				window_poke(at + ranges[n].offset, 1);
			}
			if (window_call(fd, FAASIN_IOC_SEND, ranges, n))
				_exit(0);
		} else {
			n = window_call(fd, FAASIN_IOC_TAKE, ranges, FAASIN_RANGES_MAX);
			if (n <= 0)
				_exit(0);
			window_peek(at + ranges[0].offset);
			if (random_next(&seed) % 8)
				window_call(fd, FAASIN_IOC_RETURN, ranges, n);
		}
	}
}

TEST_F_TIMEOUT(limits, all_comes_back_from_the_dead, 120)
{
	struct faasin_window_info info = window_info(self->w);
	uint64_t seed = 77;
	pid_t pids[2];

	close(self->w);
	close(self->r);
	for (int i = 0; i < 60; i++) {
		for (int side = 0; side < 2; side++) {
			pids[side] = child();
			if (!pids[side])
				hand_off_for_ever(side ? self->flow.in : self->flow.out,
						  side ? O_RDONLY : O_RDWR, seed + i);
		}
		usleep(random_next(&seed) % 20000);
		child_kill(pids[i % 2], SIGKILL);
		child_kill(pids[!(i % 2)], SIGKILL);
	}
	self->w = flow_writer(&self->flow, O_RDWR);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	/* Streams that nobody read wait for readers, with what was sent. */
	while (port_info(self->r).stream != port_info(self->w).stream) {
		ASSERT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
		close(self->r);
		self->r = flow_reader(&self->flow, O_NONBLOCK);
	}
	EXPECT_EQ(0, window_alloc(self->w, info.size));
}

TEST_F(limits, memory_is_charged)
{
	long long before = cgroup_read(self->flow.name, "memory.current", NULL);

	ASSERT_EQ(0, window_alloc(self->w, window_info(self->w).size));
	/* The kernel takes some in advance. */
	EXPECT_LE(before + MIB / 2, cgroup_read(self->flow.name, "memory.current", NULL));
}

TEST_F(limits, blocks_of_a_full_channel_leave_no_room)
{
	static uint8_t buf[MIB];
	struct faasin_window_info info = window_info(self->w);
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };

	ASSERT_EQ((long)MIB - 65536, sys(write(self->w, buf, MIB - 65536)));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, info.size / 2));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	ASSERT_EQ((long)MIB - 65536, read_full(self->r, buf, MIB - 65536));
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
	EXPECT_LE(0, window_alloc(self->w, info.size / 2));
}

/* Extents go where memory is, if there is room for no more of it. */
TEST_F(limits, a_page_of_memory_that_is_there)
{
	static uint8_t buf[MIB];
	struct faasin_window_info info = window_info(self->w);
	long at = window_alloc(self->w, info.granule), page = window_alloc(self->w, 1);

	ASSERT_LT(PAGE, info.granule);
	ASSERT_EQ(0, at);
	ASSERT_EQ(info.granule, page);
	ASSERT_EQ(0, window_return(self->w, at));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	ASSERT_LT(0, sys(write(self->w, buf, sizeof(buf))));
	EXPECT_EQ(page + PAGE, window_alloc(self->w, 1));
	EXPECT_EQ(page + 2 * PAGE, window_alloc(self->w, info.granule - 2 * PAGE));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, 1));
}

TEST_F(limits, a_wait_counts_once)
{
	uint64_t size = window_info(self->w).size, before;
	pid_t pid;

	ASSERT_EQ(0, window_alloc(self->w, size));
	before = flow_stats(&self->flow).writer_blocks;
	pid = child();
	if (!pid)
		_exit(window_alloc(self->w, 1) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	/* Several looks. */
	usleep(600000);
	ASSERT_EQ(0, window_return(self->w, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(before + 1, flow_stats(&self->flow).writer_blocks);
}

TEST_HARNESS_MAIN
