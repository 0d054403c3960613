// SPDX-License-Identifier: GPL-2.0
/* Windows: waiting for room, and what comes back when ends of the link are closed. */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "hostile.h"
#include "window_fixture.h"

TEST_F(window, full_until_something_comes_back)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	struct faasin_range range;
	long at, first;
	pid_t pid;

	first = FILLED(self->info.size, 1, 0);
	ASSERT_EQ(0, first);
	ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
	ASSERT_EQ(1, window_take(self->r, &range));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, 1));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, 0));
	pid = child();
	if (!pid) {
		uint8_t *out = window_map(self->w, PROT_READ | PROT_WRITE);

		at = window_alloc(self->w, PAGE);
		if (at >= 0)
			pattern_fill(out + at, PAGE, 2, 0);
		_exit(at < 0 || window_send(self->w, at, PAGE) ? 1 : 0);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	ASSERT_EQ(0, window_return(self->r, range.offset));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
	EXPECT_RECORD(PAGE, 2, 0);
}

TEST_F(window, pollers_hear_of_what_comes_back)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	struct faasin_range range;
	pid_t pid;

	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
	ASSERT_EQ(1, window_take(self->r, &range));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(-EAGAIN, window_alloc(self->w, 1));
	pid = child();
	if (!pid)
		_exit(poll(&poll_out, 1, DEADLINE * 1000) == 1 && poll_out.revents == POLLOUT ? 0 : 1);
	EXPECT_TRUE(blocks_in_one_of(pid, SYS_poll, SYS_ppoll));
	ASSERT_EQ(0, window_return(self->r, range.offset));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_LE(0, window_alloc(self->w, 1));
}

TEST_F(window, a_signal_ends_waiting)
{
	pid_t pid;

	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	pid = child();
	if (!pid) {
		interrupt_by(SIGUSR1, 0);
		_exit(window_alloc(self->w, 1) == -EINTR ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
}

/* It waits for a record, or for another process that reads and stands still. */
TEST_F(window, a_signal_ends_taking)
{
	pid_t stands = 0, pid;
	int i;

	ASSERT_EQ(0, fcntl(self->r, F_SETFL, 0));
	for (i = 0; i < 2; i++) {
		if (i) {
			EXPECT_WRITE(self->w, "bytes");
			stands = stand_still(self->r, false, self->w);
			ASSERT_TRUE(blocks_in(stands, SYS_read));
		}
		pid = child();
		if (!pid) {
			struct faasin_range range;

			interrupt_by(SIGUSR1, 0);
			_exit(window_take(self->r, &range) == -EINTR ? 0 : 1);
		}
		EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
		kill(pid, SIGUSR1);
		EXPECT_EQ(0, child_end(pid));
	}
	child_kill(stands, SIGKILL);
	EXPECT_READ(self->r, "bytes");
}

TEST_F(window, a_consumers_death_returns_all)
{
	struct faasin_range range;
	int taken = bell(), r;
	pid_t pid;

	close(self->r);
	munmap((void *)self->in, self->info.size + self->info.landing);
	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
	pid = child();
	if (!pid) {
		const uint8_t *in;

		r = flow_reader(&self->flow, 0);
		in = window_map(r, PROT_READ);
		if (window_take(r, &range) != 1 || window_peek(in + range.offset) < 0)
			_exit(1);
		ring(taken);
		pause();
	}
	EXPECT_TRUE(await(taken));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, 1));
	child_kill(pid, SIGKILL);
	/* Its stream was taken and not read to the end: it is over. */
	EXPECT_EQ(-EPIPE, window_alloc(self->w, 1));
	close(self->w);
	munmap(self->out, self->info.size);
	self->w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(0, window_alloc(self->w, self->info.size));
	self->r = -1;
}

TEST_F(window, closing_returns_all)
{
	struct faasin_range range;

	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
	ASSERT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(0, window_take(self->r, &range));
	close(self->w);
	munmap(self->out, self->info.size);
	self->w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
	ASSERT_EQ(-EAGAIN, window_alloc(self->w, 1));
	close(self->r);
	/* It is open as long as it is mapped. */
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, 1));
	munmap((void *)self->in, self->info.size + self->info.landing);
	EXPECT_EQ(0, window_alloc(self->w, self->info.size));
	self->r = -1;
}

TEST_F(window, what_is_not_sent_is_not_heard_of)
{
	struct faasin_range range;

	ASSERT_LE(0, FILLED(PAGE, 1, 0));
	close(self->w);
	munmap(self->out, self->info.size);
	self->w = -1;
	EXPECT_EQ(0, window_take(self->r, &range));
	EXPECT_EQ(0, window_take(self->r, &range));
	EXPECT_OVER(self->r, 0);
}

TEST_F(window, idle_memory_goes_back)
{
	struct faasin_range range;
	int i;

	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	EXPECT_EQ(variant->capacity, flow_stats(&self->flow).pool_bytes);
	ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
	ASSERT_EQ(1, window_take(self->r, &range));
	ASSERT_EQ(0, window_return(self->r, 0));
	for (i = 0; i < DEADLINE * 10 && flow_stats(&self->flow).pool_bytes > PAGE; i++)
		usleep(100000);
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
	EXPECT_EQ(0, window_alloc(self->w, self->info.size));
}

TEST_F(window, idle_memory_makes_room_for_writes)
{
	struct faasin_range range;
	long at = FILLED(self->info.size, 1, 0);

	ASSERT_EQ(0, window_send(self->w, at, self->info.size));
	ASSERT_EQ(1, window_take(self->r, &range));
	ASSERT_EQ(0, window_return(self->r, range.offset));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	memset(self->buf, 1, variant->capacity);
	/* An empty channel takes its capacity, and the other way round. */
	EXPECT_EQ((long)variant->capacity, sys(write(self->w, self->buf, variant->capacity)));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, 1));
	EXPECT_EQ((long)variant->capacity, read_full(self->r, self->buf, variant->capacity));
	EXPECT_LE(flow_stats(&self->flow).pool_bytes, variant->capacity);
	at = window_alloc(self->w, self->info.granule);
	EXPECT_LE(0, at);
}

TEST_F(window, a_crash_comes_after_what_was_sent)
{
	struct faasin_range range;
	pid_t pid = child();

	if (!pid) {
		uint8_t *out = window_map(self->w, PROT_READ | PROT_WRITE);
		long at = window_alloc(self->w, 100);

		pattern_fill(out + at, 100, 1, 0);
		if (window_send(self->w, at, 100))
			_exit(1);
		raise(SIGKILL);
	}
	close(self->w);
	munmap(self->out, self->info.size);
	self->w = -1;
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_RECORD(100, 1, 0);
	EXPECT_EQ(-ECONNABORTED, window_take(self->r, &range));
	EXPECT_EQ(-ECONNABORTED, window_take(self->r, &range));
}

TEST_F(window, unlinking_keeps_what_is_held)
{
	struct faasin_range range;
	long kept = FILLED(100, 1, 0), at = FILLED(200, 2, 0), sent = FILLED(300, 3, 0);

	ASSERT_EQ(0, window_send(self->w, at, 200));
	ASSERT_EQ(0, window_send(self->w, sent, 300));
	ASSERT_EQ(1, window_take(self->r, &range));
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(-EPIPE, window_alloc(self->w, 1));
	EXPECT_EQ(-EPIPE, window_send(self->w, kept, 100));
	EXPECT_EQ(pattern(1, 0), window_peek(self->out + kept));
	EXPECT_TRUE(pattern_is(self->in + range.offset, 200, 2, 0));
	EXPECT_EQ(0, window_return(self->r, range.offset));
	EXPECT_RECORD(300, 3, 0);
	EXPECT_EQ(-ECONNABORTED, window_take(self->r, &range));
	EXPECT_EQ(0, window_return(self->w, kept));
}

TEST_F(window, an_early_close_drops_the_rest)
{
	long at = FILLED(100, 1, 0), more = FILLED(100, 1, 0);

	ASSERT_EQ(0, window_send(self->w, at, 100));
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_EQ(-EPIPE, window_send(self->w, more, 100));
	EXPECT_EQ(-EPIPE, window_alloc(self->w, 100));
	EXPECT_EQ(0, window_poke(self->out + more, 1));
	EXPECT_EQ(100, flow_stats(&self->flow).bytes_dropped);
	EXPECT_EQ(variant->trusted ? pattern(1, 0) : -SIGBUS, window_peek(self->out + at));
}

/* A block that was read to its end stays with the producer; not when it is in the way. */
TEST_F(window, a_header_leaves_room_for_all)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	long at = -EAGAIN;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_WRITE(self->w, "header");
	EXPECT_READ(self->r, "header");
	EXPECT_EQ(0, window_alloc(self->w, self->info.size));
	EXPECT_EQ(0, window_return(self->w, 0));

	/* The same when the consumer comes later. */
	EXPECT_WRITE(self->w, "header");
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, self->info.size));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	EXPECT_READ(self->r, "header");
	while (at == -EAGAIN && poll(&poll_out, 1, DEADLINE * 1000) == 1)
		at = window_alloc(self->w, self->info.size);
	EXPECT_EQ(0, at);
}

/* What is polled for is what was refused last. */
TEST_F(window, a_refusal_is_forgotten)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	long at = window_alloc(self->w, self->info.size - self->info.granule);

	ASSERT_EQ(0, at);
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, self->info.size));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	EXPECT_WRITE(self->w, "a");
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
	EXPECT_READ(self->r, "a");
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, self->info.size));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	at = window_alloc(self->w, 1);
	EXPECT_LT(0, at);
	EXPECT_EQ(0, window_return(self->w, at));
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
}

/* A page of a chunk that is in use, and nothing that write() could have. */
TEST_F(window, a_page_beside_others_is_polled_for)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	long at, last = -1;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	while ((at = window_alloc(self->w, 1)) >= 0)
		last = at;
	ASSERT_EQ(-EAGAIN, at);
	EXPECT_WRITE(self->w, "header");
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, 1));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	ASSERT_EQ(0, window_return(self->w, last));
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
	EXPECT_EQ(last, window_alloc(self->w, 1));
}

/* It made room before it was refused. */
TEST_F(window, a_refused_take_tells_of_room)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	struct faasin_range two[2] = { 0 };

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_WRITE(self->w, "header");
	EXPECT_READ(self->r, "header");
	for (int i = 0; i < 2; i++) {
		two[i].offset = window_alloc(self->w, 1);
		two[i].length = 1;
	}
	ASSERT_EQ(0, window_call(self->w, FAASIN_IOC_SEND, two, 2));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, self->info.size));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	EXPECT_EQ(-EMSGSIZE, window_take(self->r, two));
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
}

/* Sent long after it was allocated, when nothing was expected to come back. */
TEST_F(window, what_is_read_late_goes_back_too)
{
	int i;

	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	sleep(4);
	ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
	ASSERT_EQ((long)self->info.size, read_full(self->r, self->buf, self->info.size));
	for (i = 0; i < DEADLINE * 10 && flow_stats(&self->flow).pool_bytes > PAGE; i++)
		usleep(100000);
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
}

TEST_F(window, many_extents_come_back_at_a_close)
{
	int n = 0;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	while (window_alloc(self->w, 1) >= 0)
		n++;
	EXPECT_EQ((long)self->info.size / PAGE, n);
	munmap(self->out, self->info.size);
	close(self->w);
	self->w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(0, window_alloc(self->w, self->info.size));
}

/* A mapping is a hold on the stream, without a descriptor, too. */
TEST_F(window, a_holder_by_mapping_is_killed)
{
	static const struct { bool keeps, crashes; int end; } all[] = {
		{ true, true, -ECONNABORTED }, { true, false, 0 }, { false, true, 0 },
	};
	uint8_t *out;
	pid_t pid;
	int w, go, done;

	close(self->w);
	munmap(self->out, self->info.size);
	self->w = -1;
	close(self->r);
	munmap((void *)self->in, self->info.size + self->info.landing);
	/* Both streams of the setup are over. */
	ASSERT_EQ(0, flow_unlink(&self->flow));
	ASSERT_EQ(0, flow_link(&self->flow));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		go = bell();
		done = bell();
		pid = child();
		if (!pid) {
			w = flow_writer(&self->flow, O_RDWR);
			out = window_map(w, PROT_READ | PROT_WRITE);
			if (window_alloc(w, PAGE) || window_poke(out, 1) || sys(write(w, "abc", 3)) != 3)
				_exit(1);
			if (!all[i].keeps)
				munmap(out, self->info.size);
			close(w);
			ring(done);
			if (!await(go) || !all[i].crashes)
				_exit(0);
			raise(SIGKILL);
		}
		EXPECT_TRUE(await(done));
		self->r = flow_reader(&self->flow, 0);
		EXPECT_READ(self->r, "abc");
		ring(go);
		EXPECT_EQ(all[i].crashes ? -SIGKILL : 0, child_end(pid));
		EXPECT_OVER(self->r, all[i].end);
		close(self->r);
	}
	self->r = -1;
}

struct taking {
	int fd;
	struct faasin_range *ranges;
	pid_t tid;
	long result;
};

static void *take_one(void *arg)
{
	struct taking *t = arg;

	__atomic_store_n(&t->tid, gettid(), __ATOMIC_RELEASE);
	t->result = window_take(t->fd, t->ranges);
	return NULL;
}

/* It stands where it tells of what it found, and that is gone. */
TEST_F(window, the_session_ends_while_it_takes)
{
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING, .range.len = PAGE };
	struct uffdio_zeropage zero = { .range.len = PAGE };
	struct uffdio_api api = { .api = UFFD_API };
	struct taking t = { .fd = self->r };
	pthread_t thread;
	int fd;

	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "userfaultfd is not to be had: %s", strerror(errno));
	t.ranges = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)t.ranges);
	area.range.start = (uintptr_t)t.ranges;
	zero.range.start = (uintptr_t)t.ranges;
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &area));
	EXPECT_WRITE(self->w, "abc");
	ASSERT_EQ(0, pthread_create(&thread, NULL, take_one, &t));
	while (!__atomic_load_n(&t.tid, __ATOMIC_ACQUIRE))
		usleep(100);
	EXPECT_TRUE(blocks_in(t.tid, SYS_ioctl));
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_EQ(0, ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, t.result);
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_out);
	munmap(t.ranges, PAGE);
	close(fd);
}

TEST_F(window, outlives_its_descriptor)
{
	struct faasin_range range;
	long at = FILLED(100, 1, 0);

	ASSERT_EQ(0, window_send(self->w, at, 100));
	ASSERT_EQ(1, window_take(self->r, &range));
	close(self->r);
	self->r = -1;
	EXPECT_TRUE(pattern_is(self->in + range.offset, 100, 1, 0));
}

/* ------------------------------------------------------- a reader that leaves */

FIXTURE(drained)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(drained)
{
	struct flow_options options = { .early_close = FAASIN_EARLY_CLOSE_DRAIN };

	ENDS_SETUP(self, &options, O_RDWR | O_NONBLOCK, O_NONBLOCK);
	/* Its stream has begun, and is closed early. */
	EXPECT_WRITE(self->w, "abc");
	EXPECT_READ(self->r, "a");
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
}

FIXTURE_TEARDOWN(drained)
{
	ENDS_TEARDOWN(self);
}

TEST_F(drained, swallows_what_is_sent)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	struct faasin_window_info info = window_info(self->w);

	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, window_alloc(self->w, info.size));
		ASSERT_EQ(0, window_send(self->w, 0, info.size));
		EXPECT_EQ(1, poll(&poll_out, 1, 0));
		EXPECT_EQ(POLLOUT, poll_out.revents);
	}
	EXPECT_EQ(20 * info.size + 2, flow_stats(&self->flow).bytes_dropped);
	EXPECT_EQ(20 * info.size + 3, flow_stats(&self->flow).bytes_in);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(-EPIPE, window_alloc(self->w, 1));
}

TEST_F(drained, waits_for_its_own_extents)
{
	struct pollfd poll_out = { .fd = self->w, .events = POLLOUT };
	pid_t pid;

	ASSERT_EQ(0, window_alloc(self->w, window_info(self->w).size));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, 1));
	EXPECT_EQ(0, poll(&poll_out, 1, 0));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, 0));
	pid = child();
	if (!pid)
		_exit(window_alloc(self->w, 1) ? 1 : 0);
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	ASSERT_EQ(0, window_return(self->w, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
}

TEST_HARNESS_MAIN
