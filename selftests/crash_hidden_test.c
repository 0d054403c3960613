// SPDX-License-Identifier: GPL-2.0
/*
 * Crashes that closing a descriptor does not show: a shared table of
 * descriptors, io_uring, descriptors in flight. And the death of a pid
 * namespace, which kills who did nothing wrong.
 */
#include "common.h"

#include <liburing.h>
#include <linux/sched.h>

#include "harness.h"

FIXTURE(hidden)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(hidden)
{
	ENDS_SETUP(self, NULL, 0, 0);
}

FIXTURE_TEARDOWN(hidden)
{
	ENDS_TEARDOWN(self);
}

static pid_t clone_with(unsigned long flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

TEST_F(hidden, killed_writer_with_a_shared_table)
{
	struct link_state state;
	pid_t pid = clone_with(CLONE_FILES);

	if (!pid) {
		if (write(self->w, "abc", 3) != 3)
			_exit(99);
		kill(getpid(), SIGKILL);
		_exit(98);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	/* The table lives on, and with it the stream; its end tells. */
	EXPECT_READ(self->r, "abc");
	close(self->w);
	EXPECT_OVER(self->r, -ECONNABORTED);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(FAASIN_CAUSE_LOST, state.last.cause);
	EXPECT_EQ(pid, (pid_t)state.last.pid);
	EXPECT_STREQ("a", state.stage);
}

TEST_F(hidden, killed_writer_that_closed_another_open_file)
{
	int other = flow_writer(&self->flow, 0);
	pid_t pid;

	ASSERT_LE(0, other);
	pid = clone_with(CLONE_FILES);
	if (!pid) {
		if (write(self->w, "abc", 3) != 3 || close(other) || write(self->w, "def", 3) != 3)
			_exit(99);
		kill(getpid(), SIGKILL);
		_exit(98);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_READ(self->r, "abcdef");
	close(self->w);
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(hidden, silent_sharer_of_a_table_does_no_harm)
{
	pid_t pid = clone_with(CLONE_FILES);

	if (!pid)
		_exit(0);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_WRITE(self->w, "abc");
	close(self->w);
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, 0);
}

TEST_F(hidden, killed_holder_of_an_io_uring_fixed_file)
{
	struct link_state state;
	struct io_uring ring;
	pid_t pid;
	int error = io_uring_queue_init(4, &ring, 0);

	if (error)
		SKIP(return, "io_uring is not to be had: %s", strerror(-error));
	io_uring_queue_exit(&ring);
	pid = child();
	if (!pid) {
		struct io_uring_cqe *cqe;
		struct io_uring_sqe *sqe;

		if (io_uring_queue_init(4, &ring, 0) || io_uring_register_files(&ring, &self->w, 1))
			_exit(97);
		close(self->w);
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_write(sqe, 0, "abc", 3, -1);
		sqe->flags |= IOSQE_FIXED_FILE;
		if (io_uring_submit_and_wait(&ring, 1) != 1 || io_uring_peek_cqe(&ring, &cqe) ||
		    cqe->res != 3)
			_exit(99);
		kill(getpid(), SIGKILL);
		_exit(98);
	}
	close(self->w);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_READ(self->r, "abc");
	/* A kernel thread lets go of it, sooner or later: this read waits. */
	EXPECT_OVER(self->r, -ECONNABORTED);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(FAASIN_CAUSE_LOST, state.last.cause);
	EXPECT_EQ(pid, (pid_t)state.last.pid);
}

/* ------------------------------------------- who is the last holder shows late */

TEST_F(hidden, killed_holder_of_two_open_files)
{
	int other = flow_writer(&self->flow, 0);
	int closed[2];
	char byte;
	pid_t pid;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, pipe(closed));
	pid = child();
	if (!pid) {
		/* The others have let go: this is the last holder. */
		if (read(closed[0], &byte, 1) != 1)
			_exit(99);
		kill(getpid(), SIGTERM);
		_exit(98);
	}
	close(self->w);
	close(other);
	EXPECT_WRITE(closed[1], "x");
	close(closed[0]);
	close(closed[1]);
	EXPECT_EQ(-SIGTERM, child_end(pid));
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_EQ(FAASIN_CAUSE_SIGNAL, port_info(self->r).cause);
	EXPECT_EQ(SIGTERM, (int)port_info(self->r).code);
}

TEST_F(hidden, holder_of_two_open_files_that_exits)
{
	int other = flow_writer(&self->flow, 0);
	pid_t pid;

	ASSERT_LE(0, other);
	pid = child();
	if (!pid)
		_exit(1);
	close(self->w);
	close(other);
	EXPECT_EQ(1, child_end(pid));
	EXPECT_OVER(self->r, 0);
}

TEST_F(hidden, holders_of_one_open_file_killed_together)
{
	pid_t pids[2];
	int i, round;

	/* The empty stream of the setup is one, too. */
	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	for (round = 0; round < 20; round++) {
		self->w = flow_writer(&self->flow, 0);
		self->r = flow_reader(&self->flow, 0);
		ASSERT_LE(0, self->w);
		ASSERT_LE(0, self->r);
		for (i = 0; i < 2; i++) {
			pids[i] = child();
			if (!pids[i]) {
				pause();
				_exit(98);
			}
			setpgid(pids[i], pids[0]);
		}
		close(self->w);
		kill(-pids[0], SIGTERM);
		EXPECT_EQ(-SIGTERM, child_end(pids[0]));
		EXPECT_EQ(-SIGTERM, child_end(pids[1]));
		EXPECT_OVER(self->r, -ECONNABORTED);
		close(self->r);
	}
}

/* --------------------------------------------------------- SCM_RIGHTS in flight */

TEST_F(hidden, killed_writer_with_a_copy_in_flight)
{
	int sockets[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = child();
	if (!pid) {
		send_fd(sockets[0], self->w);
		if (write(self->w, "abc", 3) != 3)
			_exit(99);
		kill(getpid(), SIGKILL);
		_exit(98);
	}
	close(self->w);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	/* At once: what is in flight may never be received. */
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(hidden, writer_killed_after_passing_it_on)
{
	int sockets[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = child();
	if (!pid) {
		send_fd(sockets[0], self->w);
		if (write(self->w, "abc", 3) != 3)
			_exit(99);
		close(self->w);
		kill(getpid(), SIGKILL);
		_exit(98);
	}
	close(self->w);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_READ(self->r, "abc");
	close(sockets[0]);
	close(sockets[1]);
	/* It had closed its end and done its work. */
	EXPECT_OVER(self->r, 0);
}

TEST_F(hidden, descriptor_in_flight_that_nobody_wrote_to)
{
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	send_fd(sockets[0], self->w);
	close(self->w);
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_OVER(self->r, 0);
}

/* ------------------------------------------------------------ pid namespaces */

FIXTURE(init)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(init)
{
	int end;	/* of the namespace's init: status, or minus a signal */
	bool wrote;	/* the bystander */
	bool aborts;
};

#define INIT(name, ...) FIXTURE_VARIANT_ADD(init, name) { __VA_ARGS__ }

INIT(exits_beside_a_silent_one, .end = 0, .wrote = false, .aborts = false);
INIT(fails_beside_a_silent_one, .end = 1, .wrote = false, .aborts = false);
INIT(passes_a_crash_on, .end = 139, .wrote = false, .aborts = true);
INIT(exits_beside_a_writer, .end = 0, .wrote = true, .aborts = true);
INIT(is_killed_beside_a_silent_one, .end = -SIGKILL, .wrote = false, .aborts = true);
INIT(is_killed_beside_a_writer, .end = -SIGKILL, .wrote = true, .aborts = true);

FIXTURE_SETUP(init)
{
	ENDS_SETUP(self, NULL, 0, 0);
}

FIXTURE_TEARDOWN(init)
{
	ENDS_TEARDOWN(self);
}

/* A bystander: a daemon in the container that inherited the port. */
static void bystander(int w, bool writes, int ready)
{
	if (writes && write(w, "xyz", 3) != 3)
		_exit(99);
	ring(ready);
	for (;;)
		pause();
}

TEST_F(init, leaves_a_bystander)
{
	int ready = bell(), done = bell();
	pid_t pid = clone_with(CLONE_NEWPID);

	if (!pid) {
		if (!variant->wrote && write(self->w, "abc", 3) != 3)
			_exit(99);
		if (!fork())
			bystander(self->w, variant->wrote, ready);
		if (!await(ready))
			_exit(99);
		ring(done);
		if (variant->end >= 0)
			_exit(variant->end);
		for (;;)
			pause();
	}
	ASSERT_LT(0, pid);
	close(self->w);
	EXPECT_TRUE(await(done));
	if (variant->end < 0)
		kill(pid, -variant->end);
	EXPECT_EQ(variant->end, child_end(pid));
	EXPECT_READ(self->r, variant->wrote ? "xyz" : "abc");
	EXPECT_OVER(self->r, variant->aborts ? -ECONNABORTED : 0);
}

/* Killed by somebody, not swept away: no exemption. */
TEST_F(hidden, silent_one_killed_in_a_namespace_that_lives)
{
	int ready = bell();
	pid_t pid = clone_with(CLONE_NEWPID);

	if (!pid) {
		pid_t other = fork();

		if (!other)
			bystander(self->w, false, ready);
		close(self->w);
		if (!await(ready))
			_exit(99);
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
		_exit(0);
	}
	ASSERT_LT(0, pid);
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_HARNESS_MAIN
