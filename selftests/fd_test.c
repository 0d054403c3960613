// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors: copies, forks, passing on, opening again, what a FIFO looks
 * like, and what it refuses.
 */
#include "common.h"

#include <sys/file.h>

#include "harness.h"

FIXTURE(fd)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(fd)
{
	ENDS_SETUP(self, NULL, 0, O_NONBLOCK);
}

FIXTURE_TEARDOWN(fd)
{
	ENDS_TEARDOWN(self);
}

#define EXPECT_EMPTY(fd)						\
do {									\
	char empty_byte;						\
									\
	EXPECT_EQ(-EAGAIN, sys(read(fd, &empty_byte, 1)));		\
} while (0)

TEST_F(fd, copy_of_the_writer_keeps_the_stream)
{
	int copy = dup(self->w), other = fcntl(self->w, F_DUPFD_CLOEXEC, 100);

	EXPECT_WRITE(self->w, "a");
	close(self->w);
	EXPECT_WRITE(copy, "b");
	close(copy);
	EXPECT_READ(self->r, "ab");
	EXPECT_EMPTY(self->r);
	EXPECT_WRITE(other, "c");
	EXPECT_EQ(100, dup2(self->r, 100)); /* closes the last */
	EXPECT_READ(self->r, "c");
	EXPECT_OVER(self->r, 0);
	self->w = -1;
}

TEST_F(fd, copy_of_the_reader_keeps_the_session)
{
	int copy = dup(self->r);

	EXPECT_WRITE(self->w, "abc");
	EXPECT_READ(self->r, "a");
	close(self->r);
	EXPECT_READ(copy, "b");
	EXPECT_WRITE(self->w, "d");
	close(self->w);
	EXPECT_READ(copy, "cd");
	EXPECT_OVER(copy, 0);
	EXPECT_EQ(0, flow_stats(&self->flow).early_closes);
}

TEST_F(fd, forks_share_the_session)
{
	pid_t pid;
	char text[3] = "";

	EXPECT_WRITE(self->w, "abcd");
	pid = child();
	if (!pid)
		_exit(read_full(self->r, text, 2) == 2 && !strcmp(text, "ab") ? 0 : 1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(self->r, "cd");
	EXPECT_WRITE(self->w, "e"); /* the child's exit was no early close */
	EXPECT_READ(self->r, "e");
}

TEST_F(fd, survives_exec)
{
	char command[64];
	pid_t pid;

	fcntl(self->w, F_SETFD, 0);
	snprintf(command, sizeof(command), "printf shell >&%d", self->w);
	pid = child();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(1);
	}
	close(self->w);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(self->r, "shell");
	EXPECT_OVER(self->r, 0);
}

/* ------------------------------------------------------------- passing it on */

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd = -1;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

TEST_F(fd, passed_writer_keeps_the_stream)
{
	int sockets[2], received;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	EXPECT_WRITE(self->w, "a");
	send_fd(sockets[0], self->w);
	close(self->w);
	EXPECT_READ(self->r, "a");
	EXPECT_EMPTY(self->r); /* in flight, it is held */
	received = receive_fd(sockets[1]);
	ASSERT_LE(0, received);
	EXPECT_WRITE(received, "b");
	EXPECT_READ(self->r, "b");
	close(received);
	EXPECT_OVER(self->r, 0);
	self->w = -1;
}

TEST_F(fd, passed_reader_reads_in_another_process)
{
	int sockets[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = child();
	if (!pid) {
		struct heard heard;
		int fd;

		close(self->r);
		close(self->w);
		fd = receive_fd(sockets[1]);
		fcntl(fd, F_SETFL, 0);
		heard = pattern_read(fd, 100, 3);
		_exit(heard.bytes == 1000 && heard.intact && !heard.end ? 0 : 1);
	}
	send_fd(sockets[0], self->r);
	close(self->r);
	EXPECT_EQ(0, pattern_write(self->w, 1000, 300, 3, 0));
	close(self->w);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(fd, passed_and_never_received_ends_with_the_socket)
{
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	EXPECT_WRITE(self->w, "a");
	send_fd(sockets[0], self->w);
	close(self->w);
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_READ(self->r, "a");
	fcntl(self->r, F_SETFL, 0);
	EXPECT_OVER(self->r, 0);
	self->w = -1;
}

/* -------------------------------------------------------------- opened again */

static int open_again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return sys(open(path, flags));
}

TEST_F(fd, opened_again_belongs_to_the_same_stream)
{
	int w = open_again(self->w, O_WRONLY), r = open_again(self->r, O_RDONLY | O_NONBLOCK);

	ASSERT_LE(0, w);
	ASSERT_LE(0, r);
	EXPECT_WRITE(w, "abcd");
	EXPECT_READ(r, "ab");
	EXPECT_READ(self->r, "cd");
	close(self->w);
	EXPECT_EMPTY(r);
	close(w);
	EXPECT_OVER(r, 0);
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(-EACCES, open_again(self->r, O_WRONLY));
}

TEST_F(fd, dev_stdin_and_dev_stdout)
{
	pid_t pid = child();

	if (!pid) {
		dup2(self->r, STDIN_FILENO);
		dup2(self->w, STDOUT_FILENO);
		close(self->r);
		close(self->w);
		execl("/bin/sh", "sh", "-c",
		      "echo line >/dev/stdout; exec >&-; [ \"$(cat /dev/stdin)\" = line ]", NULL);
		_exit(99);
	}
	close(self->w);
	close(self->r);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(fd, path_descriptor_opens_nothing)
{
	struct stat st;
	int path = sys(open(self->flow.out, O_PATH)), r;

	ASSERT_LE(0, path);
	EXPECT_EQ(0, fstat(path, &st));
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	EXPECT_EQ(-EBADF, sys(write(path, "x", 1)));
	close(self->w);
	EXPECT_OVER(self->r, 0); /* it does not hold the stream */
	close(self->r);
	self->w = open_again(path, O_WRONLY);
	EXPECT_WRITE(self->w, "y");
	r = flow_reader(&self->flow, 0);
	EXPECT_READ(r, "y");
}

/* -------------------------------------------------- what a FIFO is and is not */

TEST_F(fd, looks_like_a_fifo)
{
	struct stat w, r;

	ASSERT_EQ(0, fstat(self->w, &w));
	ASSERT_EQ(0, fstat(self->r, &r));
	EXPECT_TRUE(S_ISFIFO(w.st_mode));
	EXPECT_TRUE(S_ISFIFO(r.st_mode));
	EXPECT_EQ(0, w.st_size);
	EXPECT_EQ(w.st_dev, r.st_dev);
	EXPECT_NE(w.st_ino, r.st_ino);
	EXPECT_EQ(O_WRONLY, fcntl(self->w, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(O_RDONLY, fcntl(self->r, F_GETFL) & O_ACCMODE);
}

TEST_F(fd, has_no_position)
{
	char byte = 'x';

	EXPECT_EQ(-ESPIPE, sys(lseek(self->r, 0, SEEK_CUR)));
	EXPECT_EQ(-ESPIPE, sys(lseek(self->w, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, sys(lseek(self->w, 0, SEEK_END)));
	EXPECT_EQ(-ESPIPE, sys(pread(self->r, &byte, 1, 0)));
	EXPECT_EQ(-ESPIPE, sys(pwrite(self->w, &byte, 1, 0)));
	EXPECT_EQ(0, unread(self->r));
}

TEST_F(fd, cannot_be_synced_cut_or_reserved)
{
	EXPECT_EQ(-EINVAL, sys(fsync(self->w)));
	EXPECT_EQ(-EINVAL, sys(fdatasync(self->w)));
	EXPECT_EQ(-EINVAL, sys(ftruncate(self->w, 0)));
	EXPECT_EQ(-ESPIPE, sys(fallocate(self->w, 0, 0, 1)));
	EXPECT_EQ(-ESPIPE, sys(posix_fadvise(self->r, 0, 0, POSIX_FADV_NORMAL) ?
			       (errno = ESPIPE, -1) : 0));
	EXPECT_EQ(-EINVAL, sys(syscall(SYS_copy_file_range, self->r, NULL, self->w, NULL, 1, 0)));
}

TEST_F(fd, wrong_direction)
{
	char byte;

	EXPECT_EQ(-EBADF, sys(write(self->r, "x", 1)));
	EXPECT_EQ(-EBADF, sys(read(self->w, &byte, 1)));
}

TEST_F(fd, is_no_pipe_to_fcntl)
{
	EXPECT_EQ(-EBADF, sys(fcntl(self->w, F_GETPIPE_SZ)));
	EXPECT_EQ(-EBADF, sys(fcntl(self->r, F_GETPIPE_SZ)));
	EXPECT_EQ(-EBADF, sys(fcntl(self->w, F_SETPIPE_SZ, 65536)));
	EXPECT_EQ(-EBADF, sys(fcntl(self->r, F_SETPIPE_SZ, 65536)));
}

TEST_F(fd, fionread_counts_this_stream_only)
{
	int w;

	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(0, unread(self->w));
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(3, unread(self->r));
	EXPECT_EQ(3, unread(self->w));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(w, "defgh");
	EXPECT_EQ(3, unread(self->r));
	EXPECT_EQ(3, unread(self->w));
	EXPECT_EQ(5, unread(w));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(0, unread(self->w));
	EXPECT_EQ(5, unread(w));
	close(w);
}

TEST_F(fd, can_be_locked_as_any_file)
{
	EXPECT_EQ(0, sys(flock(self->w, LOCK_EX | LOCK_NB)));
	EXPECT_EQ(0, sys(flock(self->w, LOCK_UN)));
}

TEST_F(fd, refused_open_begins_no_stream)
{
	close(self->w);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	self->w = flow_writer(&self->flow, O_DIRECT);
	EXPECT_EQ(-EINVAL, self->w);
	EXPECT_EMPTY(self->r);
	EXPECT_EQ(1, flow_stats(&self->flow).streams_begun);
	self->w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(self->w, "first");
	EXPECT_READ(self->r, "first");
}

TEST_F(fd, has_no_packets)
{
	EXPECT_EQ(-EINVAL, sys(fcntl(self->w, F_SETFL, O_DIRECT)));
	EXPECT_EQ(-EINVAL, sys(fcntl(self->r, F_SETFL, O_DIRECT | O_NONBLOCK)));
	EXPECT_EQ(0, sys(fcntl(self->w, F_GETFL)) & O_DIRECT);
	EXPECT_EQ(0, sys(fcntl(self->r, F_GETFL)) & O_DIRECT);
}

TEST_F(fd, append_and_truncate_mean_nothing)
{
	int w = flow_writer(&self->flow, O_APPEND | O_TRUNC | O_CREAT);

	ASSERT_LE(0, w);
	EXPECT_WRITE(w, "a");
	EXPECT_WRITE(self->w, "b");
	EXPECT_READ(self->r, "ab");
}

TEST_HARNESS_MAIN
