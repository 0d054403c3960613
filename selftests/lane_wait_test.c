// SPDX-License-Identifier: GPL-2.0
/* Lanes: who waits there, in whatever way, is told, and nobody else is. */
#include "lane.h"

#include <liburing.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "harness.h"

FIXTURE(wait)
{
	struct lane lane;
};

FIXTURE_SETUP(wait)
{
	LANE_SETUP(&self->lane);
}

FIXTURE_TEARDOWN(wait)
{
	LANE_TEARDOWN(&self->lane);
}

static void *receive_all(void *arg)
{
	struct lane *l = arg;
	long n = 0;

	while (!get(l, 3000, n))
		n++;
	return (void *)n;
}

TEST_F_TIMEOUT(wait, sleepers_are_woken, 60)
{
	pthread_t thread;
	void *n;

	lane_block(&self->lane, true);
	ASSERT_EQ(0, pthread_create(&thread, NULL, receive_all, &self->lane));
	for (int i = 0; i < 3000; i++) {
		ASSERT_EQ(0, put(&self->lane, 3000, i));
		if (!(i % 100))
			usleep(3000);
	}
	EXPECT_TRUE(lane_is_on(self->lane.w));
	ASSERT_EQ(0, sys(ioctl(self->lane.w, FAASIN_IOC_END)));
	pthread_join(thread, &n);
	EXPECT_EQ(3000, (long)n);
	EXPECT_EQ(0, flow_stats(&self->lane.flow).bytes_held);
	/* All of these by the lane. */
	EXPECT_LT(0, flow_stats(&self->lane.flow).reader_blocks);
	EXPECT_LT(0, flow_stats(&self->lane.flow).reader_wakes);
}

struct receiver {
	struct lane *lane;
	pid_t producer;
	long records;
};

/* For each of the first, the producer has to wait. */
static void *receive_late(void *arg)
{
	struct receiver *r = arg;

	while (r->records < 20 && blocks_in(r->producer, SYS_ioctl) && !get(r->lane, 3000, r->records))
		r->records++;
	while (!get(r->lane, 3000, r->records))
		r->records++;
	return NULL;
}

TEST_F_TIMEOUT(wait, a_producer_waits_for_what_comes_back, 60)
{
	struct receiver r = { .lane = &self->lane, .producer = gettid() };
	pthread_t thread;

	lane_block(&self->lane, true);
	WARM_UP(&self->lane);
	/* Only so many fit. */
	ASSERT_EQ(0, pthread_create(&thread, NULL, receive_late, &r));
	for (int i = 0; i < 20000; i++)
		ASSERT_EQ(0, put(&self->lane, 3000, i));
	EXPECT_TRUE(lane_is_on(self->lane.w));
	ASSERT_EQ(0, sys(ioctl(self->lane.w, FAASIN_IOC_END)));
	pthread_join(thread, NULL);
	EXPECT_EQ(20000, r.records);
	/* One who was just looking is not woken. */
	EXPECT_LT(0, flow_stats(&self->lane.flow).writer_wakes);
}

struct sender {
	struct lane *lane;
	pid_t tid;
	int records;
};

static void *send_large(void *arg)
{
	struct sender *s = arg;
	long i, error = 0;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	for (i = 0; !error && i < s->records; i++)
		error = put(s->lane, 300000, i);
	return (void *)error;
}

/*
 * Who waits for room looks again now and then, whoever tells: so a wake-up that is lost is not seen
 * by what comes. Here it is known that there is somebody to be woken, each time, also one who
 * has looked in between.
 */
TEST_F_TIMEOUT(wait, what_comes_back_wakes_each_time, 120)
{
	struct sender s = { .lane = &self->lane, .records = 53 };
	uint64_t before, woken = 0;
	pthread_t thread;
	void *error;
	pid_t tid;

	lane_block(&self->lane, true);
	WARM_UP(&self->lane);
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_large, &s));
	while (!(tid = __atomic_load_n(&s.tid, __ATOMIC_ACQUIRE)))
		usleep(1000);
	/* Three have room, the fourth waits. */
	for (int i = 0; i < s.records; i++) {
		if (i + 3 < s.records) {
			EXPECT_TRUE(blocks_in(tid, SYS_ioctl));
			if (!(i % 10))
				usleep(250000);
		}
		before = flow_stats(&self->lane.flow).writer_wakes;
		ASSERT_EQ(0, get(&self->lane, 300000, i));
		woken += flow_stats(&self->lane.flow).writer_wakes > before;
	}
	pthread_join(thread, &error);
	EXPECT_EQ(0, (long)error);
	EXPECT_TRUE(lane_is_on(self->lane.w));
	/* But for those who were just looking. */
	EXPECT_LE(25, woken);
	TH_LOG("%llu of %d", (unsigned long long)woken, s.records - 3);
}

TEST_F(wait, polling_tells)
{
	struct pollfd in = { .fd = self->lane.r, .events = POLLIN }, out = { .fd = self->lane.w, .events = POLLOUT };
	int n = 0;

	WARM_UP(&self->lane);
	EXPECT_EQ(0, poll(&in, 1, 0));
	ASSERT_EQ(0, put(&self->lane, 10, 0));
	EXPECT_EQ(1, poll(&in, 1, 0));
	EXPECT_EQ(POLLIN, in.revents);
	EXPECT_EQ(0, get(&self->lane, 10, 0));
	EXPECT_EQ(0, poll(&in, 1, 0));
	while (!put(&self->lane, 300000, n))
		n++;
	EXPECT_EQ(0, poll(&out, 1, 0));
	EXPECT_EQ(0, get(&self->lane, 300000, 0));
	EXPECT_EQ(1, poll(&out, 1, 0));
	EXPECT_EQ(0, put(&self->lane, 300000, n));
}

static void *poll_in(void *arg)
{
	struct lane *l = arg;
	struct pollfd in = { .fd = l->r, .events = POLLIN };
	long n = 0;

	while (n < 500) {
		if (poll(&in, 1, DEADLINE * 1000) != 1)
			break;
		while (!get(l, 3000, n))
			n++;
	}
	return (void *)n;
}

static void *poll_edges(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct lane *l = arg;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	long n = 0;

	epoll_ctl(ep, EPOLL_CTL_ADD, l->r, &event);
	while (n < 500) {
		if (epoll_wait(ep, &event, 1, DEADLINE * 1000) != 1)
			break;
		while (!get(l, 3000, n))
			n++;
	}
	close(ep);
	return (void *)n;
}

/* Each @pause records there is time for the other thread to fall asleep. */
static void tell(struct __test_metadata *_metadata, struct lane *l, void *(*receiver)(void *), int pause)
{
	pthread_t thread;
	void *n;

	ASSERT_EQ(0, pthread_create(&thread, NULL, receiver, l));
	ASSERT_EQ(0, fcntl(l->w, F_SETFL, 0));
	for (int i = 0; i < 500; i++) {
		ASSERT_EQ(0, put(l, 3000, i));
		if (!(i % pause))
			usleep(1000);
	}
	EXPECT_TRUE(lane_is_on(l->w));
	pthread_join(thread, &n);
	EXPECT_EQ(500, (long)n);
}

TEST_F_TIMEOUT(wait, pollers_are_woken, 90)
{
	tell(_metadata, &self->lane, poll_in, 5);
}

TEST_F_TIMEOUT(wait, edges_are_told, 90)
{
	tell(_metadata, &self->lane, poll_edges, 3);
}

TEST_F(wait, io_uring_is_told)
{
	struct __kernel_timespec deadline = { .tv_sec = DEADLINE };
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring uring;
	int error = io_uring_queue_init(4, &uring, 0);

	if (error)
		SKIP(return, "io_uring is not to be had: %s", strerror(-error));
	WARM_UP(&self->lane);
	for (int i = 0; i < 50; i++) {
		sqe = io_uring_get_sqe(&uring);
		io_uring_prep_poll_add(sqe, self->lane.r, POLLIN);
		ASSERT_EQ(1, io_uring_submit(&uring));
		EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&uring, &cqe));
		ASSERT_EQ(0, put(&self->lane, 3000, i));
		ASSERT_EQ(0, io_uring_wait_cqe_timeout(&uring, &cqe, &deadline));
		EXPECT_EQ(POLLIN, cqe->res);
		io_uring_cqe_seen(&uring, cqe);
		EXPECT_EQ(0, get(&self->lane, 3000, i));
	}
	EXPECT_TRUE(lane_is_on(self->lane.w));
	io_uring_queue_exit(&uring);
}

#define THREADS	3

static void *receive_any(void *arg)
{
	struct lane *l = arg;
	struct iovec part;
	long n = 0;

	while (faasctl_window_receive(l->in, &part, 1, NULL) == 1) {
		if (part.iov_len != 3000 || faasctl_window_release(l->in, &part, 1, NULL))
			return (void *)-1L;
		n++;
	}
	return (void *)n;
}

/* One that wakes does not say that the others do not sleep. */
TEST_F_TIMEOUT(wait, all_threads_are_told, 90)
{
	static const uint8_t bytes[3000];
	long sum = 0, sent;
	pthread_t threads[THREADS];
	void *n;

	lane_block(&self->lane, true);
	for (int i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, receive_any, &self->lane));
	for (int i = 0; i < 2000; i++) {
		ASSERT_EQ(0, put(&self->lane, 3000, i));
		if (!(i % 10))
			usleep(1000);
	}
	EXPECT_TRUE(lane_is_on(self->lane.w));
	/* By the ring; those who sleep are not in the way of another lane, when all do so by one. */
	ASSERT_EQ(3000, write(self->lane.w, bytes, sizeof(bytes)));
	EXPECT_FALSE(lane_is_on(self->lane.w));
	for (sent = 2000; sent < 20000 && !lane_is_on(self->lane.w); sent++) {
		ASSERT_EQ(0, put(&self->lane, 3000, sent));
		if (!(sent % 10))
			usleep(1000);
	}
	EXPECT_TRUE(lane_is_on(self->lane.w));
	ASSERT_EQ(0, sys(ioctl(self->lane.w, FAASIN_IOC_END)));
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &n);
		EXPECT_LE(0, (long)n);
		sum += (long)n;
	}
	EXPECT_EQ(sent + 1, sum);
}

static void *send_some(void *arg)
{
	struct lane *l = arg;
	long n = 0;

	while (n < 3000 && !put(l, 3000, 7))
		n++;
	return (void *)n;
}

/* Each waits for what another may have had by then. */
TEST_F_TIMEOUT(wait, all_producers_are_told, 90)
{
	pthread_t threads[THREADS];
	void *n;

	lane_block(&self->lane, true);
	for (int i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, send_some, &self->lane));
	for (int i = 0; i < THREADS * 3000; i++)
		ASSERT_EQ(0, get(&self->lane, 3000, 7));
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &n);
		EXPECT_EQ(3000, (long)n);
	}
	EXPECT_TRUE(lane_is_on(self->lane.w));
	EXPECT_EQ(THREADS * 3000, (long)flow_stats(&self->lane.flow).writes);
}

TEST_HARNESS_MAIN
