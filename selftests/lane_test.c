// SPDX-License-Identifier: GPL-2.0
/* Lanes: windows of a trusted link that are handed off without calls, through the library. */
#include "lane.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "harness.h"

FIXTURE(lane)
{
	struct lane lane;
};

FIXTURE_SETUP(lane)
{
	LANE_SETUP(&self->lane);
}

FIXTURE_TEARDOWN(lane)
{
	LANE_TEARDOWN(&self->lane);
}

/* From here on whoever makes an ioctl is killed. */
static bool forbid_ioctl(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

TEST_F(lane, hands_off_without_a_call)
{
	pid_t pid;

	lane_close_both(&self->lane);
	pid = child();
	if (!pid) {
		if (lane_open_out(&self->lane, 0) || lane_open_in(&self->lane, 0))
			_exit(1);
		WARM_UP(&self->lane);
		if (!forbid_ioctl())
			_exit(2);
		for (int i = 0; i < FAASIN_LANE_SLOTS - 10; i++)
			if (put(&self->lane, 5000, i) || get(&self->lane, 5000, i))
				_exit(3);
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ((FAASIN_LANE_SLOTS - 6) * 5000, (long)flow_stats(&self->lane.flow).bytes_out);
}

TEST_F(lane, figures_are_those_of_calls)
{
	struct faasctl_stats st;

	WARM_UP(&self->lane);
	for (int i = 0; i < 2000; i++) {
		ASSERT_EQ(0, put(&self->lane, 100 + i, i));
		ASSERT_EQ(0, get(&self->lane, 100 + i, i));
	}
	ASSERT_EQ(0, put(&self->lane, 300, 1));
	ASSERT_EQ(0, put(&self->lane, 400, 2));
	EXPECT_EQ(700, unread(self->lane.r));
	EXPECT_EQ(700, unread(self->lane.w));
	st = flow_stats(&self->lane.flow);
	EXPECT_EQ(4 * 5000 + 2000 * 100 + 1999 * 1000, (long)st.bytes_out);
	EXPECT_EQ(st.bytes_out + 700, st.bytes_in);
	EXPECT_EQ(700, st.bytes_held);
	EXPECT_EQ(st.bytes_in, st.bytes_in_moved);
	EXPECT_EQ(st.bytes_out, st.bytes_out_moved);
	EXPECT_EQ(2006, st.writes);
	EXPECT_EQ(2004, st.reads);
	EXPECT_EQ(st.bytes_in, port_info(self->lane.w).position);
	EXPECT_EQ(st.bytes_out, port_info(self->lane.r).position);
	EXPECT_EQ(700, port_info(self->lane.r).unread);
	EXPECT_EQ(0, get(&self->lane, 300, 1));
	EXPECT_EQ(0, get(&self->lane, 400, 2));
	EXPECT_EQ(0, flow_stats(&self->lane.flow).bytes_held);
	EXPECT_EQ(-EAGAIN, get(&self->lane, 1, 1));
}

TEST_F(lane, records_have_parts)
{
	struct iovec sent[3], got[FAASIN_RANGES_MAX];

	WARM_UP(&self->lane);
	for (int i = 0; i < 3; i++) {
		sent[i].iov_len = 100 * (i + 1);
		ASSERT_EQ(0, faasctl_window_alloc(self->lane.out, sent[i].iov_len, &sent[i].iov_base, &self->lane.err));
		pattern_fill(sent[i].iov_base, sent[i].iov_len, i, 0);
	}
	ASSERT_EQ(0, faasctl_window_send(self->lane.out, sent, 3, &self->lane.err));
	EXPECT_EQ(-EMSGSIZE, faasctl_window_receive(self->lane.in, got, 2, &self->lane.err));
	ASSERT_EQ(3, faasctl_window_receive(self->lane.in, got, 64, &self->lane.err));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(sent[i].iov_len, got[i].iov_len);
		EXPECT_TRUE(pattern_is(got[i].iov_base, got[i].iov_len, i, 0));
	}
	EXPECT_EQ(0, faasctl_window_release(self->lane.in, got, 3, &self->lane.err));
}

/* What would be refused is refused. */
TEST_F(lane, nonsense_is_refused)
{
	struct iovec part = { .iov_len = 5000 }, got, other = { &other, 1 };

	WARM_UP(&self->lane);
	ASSERT_EQ(0, faasctl_window_alloc(self->lane.out, 5000, &part.iov_base, &self->lane.err));
	part.iov_len = 9000;
	EXPECT_EQ(-ERANGE, faasctl_window_send(self->lane.out, &part, 1, &self->lane.err));
	part.iov_len = 0;
	EXPECT_EQ(-EINVAL, faasctl_window_send(self->lane.out, &part, 1, &self->lane.err));
	part.iov_len = 5000;
	EXPECT_EQ(-EBADF, faasctl_window_send(self->lane.in, &part, 1, &self->lane.err));
	EXPECT_EQ(-EBADF, faasctl_window_receive(self->lane.out, &got, 1, &self->lane.err));
	EXPECT_EQ(0, faasctl_window_send(self->lane.out, &part, 1, &self->lane.err));
	EXPECT_EQ(-EACCES, faasctl_window_send(self->lane.out, &part, 1, &self->lane.err));
	EXPECT_EQ(-EACCES, faasctl_window_release(self->lane.out, &part, 1, &self->lane.err));
	EXPECT_EQ(-EACCES, faasctl_window_release(self->lane.in, &other, 1, &self->lane.err));
	ASSERT_EQ(1, faasctl_window_receive(self->lane.in, &got, 1, &self->lane.err));
	EXPECT_EQ(0, faasctl_window_release(self->lane.in, &got, 1, &self->lane.err));
	EXPECT_EQ(-EACCES, faasctl_window_release(self->lane.in, &got, 1, &self->lane.err));
	EXPECT_EQ(-EMSGSIZE, put(&self->lane, 2 * MIB, 1));
}

/* ---------------------------------------------------------- other ways in and out */

TEST_F(lane, what_is_on_it_can_be_read)
{
	uint8_t buf[3000];

	WARM_UP(&self->lane);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, put(&self->lane, 1000, i));
	ASSERT_EQ(3000, read_full(self->lane.r, buf, 3000));
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(pattern_is(buf + i * 1000, 1000, i, 0));
	/* And on it goes. */
	ASSERT_EQ(0, put(&self->lane, 1000, 7));
	EXPECT_EQ(0, get(&self->lane, 1000, 7));
}

TEST_F(lane, what_is_on_it_can_be_spliced)
{
	uint8_t buf[PAGE];
	int pipe_fds[2];

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	WARM_UP(&self->lane);
	ASSERT_EQ(0, put(&self->lane, PAGE, 3));
	ASSERT_EQ(PAGE, sys(splice(self->lane.r, NULL, pipe_fds[1], NULL, PAGE, 0)));
	ASSERT_EQ(PAGE, read_full(pipe_fds[0], buf, PAGE));
	EXPECT_TRUE(pattern_is(buf, PAGE, 3, 0));
	ASSERT_EQ(10, sys(write(pipe_fds[1], "0123456789", 10)));
	ASSERT_EQ(0, put(&self->lane, 100, 4));
	ASSERT_EQ(10, sys(splice(pipe_fds[0], NULL, self->lane.w, NULL, 10, 0)));
	EXPECT_EQ(0, get(&self->lane, 100, 4));
	EXPECT_READ(self->lane.r, "0123456789");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

TEST_F(lane, what_is_written_comes_in_its_turn)
{
	struct iovec part;

	for (int round = 0; round < 300; round++) {
		ASSERT_EQ(0, put(&self->lane, 500, round));
		ASSERT_EQ(0, put(&self->lane, 600, round + 1));
		if (!(round % 7))
			ASSERT_EQ(3, sys(write(self->lane.w, "abc", 3)));
		ASSERT_EQ(0, put(&self->lane, 700, round + 2));
		ASSERT_EQ(0, get(&self->lane, 500, round));
		ASSERT_EQ(0, get(&self->lane, 600, round + 1));
		if (!(round % 7)) {
			ASSERT_EQ(1, faasctl_window_receive(self->lane.in, &part, 1, &self->lane.err));
			ASSERT_EQ(3, part.iov_len);
			ASSERT_EQ(0, memcmp(part.iov_base, "abc", 3));
			ASSERT_EQ(0, faasctl_window_release(self->lane.in, &part, 1, &self->lane.err));
		}
		ASSERT_EQ(0, get(&self->lane, 700, round + 2));
	}
}

/* What came back and lies there is room for whoever writes. */
TEST_F(lane, idle_extents_make_way)
{
	struct heard heard;

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, put(&self->lane, 900 * KIB, i));
		ASSERT_EQ(0, get(&self->lane, 900 * KIB, i));
	}
	EXPECT_EQ(0, pattern_write(self->lane.w, MIB, 64 * KIB, 2, 0));
	lane_close_out(&self->lane);
	heard = pattern_read(self->lane.r, 64 * KIB, 2);
	EXPECT_EQ(MIB, (long)heard.bytes);
	EXPECT_TRUE(heard.intact);
}

TEST_F(lane, sizes_may_change)
{
	uint64_t seed = 5;
	size_t length;

	for (int i = 0; i < 500; i++) {
		length = 1 + random_next(&seed) % (i % 10 ? 20000 : MIB - PAGE);
		ASSERT_EQ(0, put(&self->lane, length, i)) TH_LOG("%zu: %s", length, self->lane.err.message);
		ASSERT_EQ(0, get(&self->lane, length, i));
	}
}

/* A consumer that takes nothing: all of the capacity, and more records than there are slots. */
TEST_F(lane, no_more_than_the_capacity)
{
	int n = 0;

	WARM_UP(&self->lane);
	while (!put(&self->lane, 10, n))
		n++;
	EXPECT_EQ(EAGAIN, -put(&self->lane, 10, n));
	EXPECT_EQ(MIB / PAGE - 16, n / 16 * 16);
	for (int i = 0; i < n; i++)
		ASSERT_EQ(0, get(&self->lane, 10, i));
	EXPECT_EQ(0, put(&self->lane, 10, n));
	EXPECT_EQ(0, get(&self->lane, 10, n));
}

/* -------------------------------------------------------------------- who has it */

TEST_F(lane, a_second_window_goes_by_calls)
{
	struct lane second = self->lane;

	ASSERT_EQ(0, lane_open_out(&second, 0));
	EXPECT_FALSE(lane_is_on(second.w));
	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(0, put(&self->lane, 1000, i));
		ASSERT_EQ(0, put(&second, 2000, i));
		ASSERT_EQ(0, get(&self->lane, 1000, i));
		ASSERT_EQ(0, get(&self->lane, 2000, i));
	}
	lane_close_out(&second);
	/* Nor is a second one of the same descriptor confused with the first. */
	second.w = self->lane.w;
	ASSERT_EQ(0, faasctl_window_open(&second.out, second.w, &self->lane.err));
	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(0, put(&self->lane, 1000, i));
		ASSERT_EQ(0, put(&second, 2000, i));
		ASSERT_EQ(0, get(&self->lane, 1000, i));
		ASSERT_EQ(0, get(&self->lane, 2000, i));
	}
	faasctl_window_close(second.out);
}

TEST_F(lane, a_second_reader_retires_it)
{
	struct lane second = self->lane;

	WARM_UP(&self->lane);
	ASSERT_EQ(0, lane_open_in(&second, O_NONBLOCK));
	EXPECT_FALSE(lane_is_on(second.r));
	for (int i = 0; i < 300; i++) {
		ASSERT_EQ(0, put(&self->lane, 1000, i));
		ASSERT_EQ(0, put(&self->lane, 2000, i));
		ASSERT_EQ(0, get(&self->lane, 1000, i));
		ASSERT_EQ(0, get(&second, 2000, i));
	}
	lane_close_in(&second);
	EXPECT_EQ(300 * 3000 + 4 * 5000, (long)flow_stats(&self->lane.flow).bytes_out_moved);
	EXPECT_EQ(0, flow_stats(&self->lane.flow).bytes_out_copied);
}

/* From calls back to it: the library asks for another one after a while. */
static void get_it_back(struct __test_metadata *_metadata, struct lane *l)
{
	for (int i = 0; i < 200 && !lane_is_on(l->w); i++) {
		ASSERT_EQ(0, put(l, 100, i));
		ASSERT_EQ(0, get(l, 100, i));
	}
	ASSERT_TRUE(lane_is_on(l->w));
	ASSERT_TRUE(lane_is_on(l->r));
}

TEST_F(lane, another_one_follows)
{
	WARM_UP(&self->lane);
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(3, sys(write(self->lane.w, "abc", 3)));
		EXPECT_FALSE(lane_is_on(self->lane.w));
		EXPECT_FALSE(lane_is_on(self->lane.r));
		EXPECT_READ(self->lane.r, "abc");
		get_it_back(_metadata, &self->lane);
	}
}

#define OTHERS	50

/*
 * What came by a call, from another descriptor, goes back by a call, though a lane came on meanwhile:
 * that one's producer would not know what it is, and the capacity would become less and less.
 */
TEST_F(lane, what_is_anothers_goes_back_to_all)
{
	struct lane second = self->lane;
	struct iovec held[OTHERS];
	void *at;

	ASSERT_EQ(0, lane_open_out(&second, 0));
	for (int i = 0; i < OTHERS; i++)
		ASSERT_EQ(0, put(&second, PAGE, i));
	for (int i = 0; i < OTHERS; i++)
		ASSERT_EQ(1, faasctl_window_receive(self->lane.in, &held[i], 1, &self->lane.err));
	get_it_back(_metadata, &self->lane);
	for (int i = 0; i < OTHERS; i++)
		ASSERT_EQ(0, faasctl_window_release(self->lane.in, &held[i], 1, &self->lane.err));
	EXPECT_TRUE(lane_is_on(self->lane.w));
	EXPECT_EQ(0, faasctl_window_alloc(self->lane.out, faasctl_window_size(self->lane.out), &at, &self->lane.err));
	lane_close_out(&second);
}

TEST_F(lane, a_child_goes_by_calls)
{
	pid_t pid;

	WARM_UP(&self->lane);
	ASSERT_EQ(0, put(&self->lane, 1000, 1));
	pid = child();
	if (!pid) {
		struct iovec part = { &part, 1 };

		/* It has no window, and says so; nothing of it is touched. */
		_exit(faasctl_window_send(self->lane.out, &part, 1, &self->lane.err) != -EINVAL);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, get(&self->lane, 1000, 1));
	ASSERT_EQ(0, put(&self->lane, 1000, 2));
	EXPECT_EQ(0, get(&self->lane, 1000, 2));
}

static void *go_on(void *arg)
{
	FIXTURE_DATA(lane) *self = arg;
	int i = 0;

	while (!put(&self->lane, 1000, i) && !get(&self->lane, 1000, i))
		i++;
	return NULL;
}

/* Whatever a thread of the parent was about to do. */
TEST_F_TIMEOUT(lane, a_child_of_a_busy_process_goes_by_calls, 120)
{
	pthread_t thread;

	WARM_UP(&self->lane);
	ASSERT_EQ(0, pthread_create(&thread, NULL, go_on, self));
	for (int i = 0; i < 100; i++) {
		struct iovec part = { &part, 1 };
		pid_t pid = child();

		if (!pid)
			_exit(faasctl_window_release(self->lane.in, &part, 1, NULL) != -EACCES);
		ASSERT_EQ(0, child_end(pid));
	}
	EXPECT_EQ(0, sys(ioctl(self->lane.w, FAASIN_IOC_END)));
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
