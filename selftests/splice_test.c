// SPDX-License-Identifier: GPL-2.0
/* splice() with a real pipe at the other end, sendfile(), and what is refused. */
#include "common.h"

#include <sys/sendfile.h>

#include "harness.h"

FIXTURE(splice)
{
	struct flow flow;
	int w, r;
	int pipe[2];
	uint8_t *buf;
};

#define SIZE	MIB

FIXTURE_SETUP(splice)
{
	ENDS_SETUP(self, NULL, 0, 0);
	self->buf = malloc(SIZE);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_NE(NULL, self->buf);
	pattern_fill(self->buf, SIZE, 1, 0);
}

FIXTURE_TEARDOWN(splice)
{
	ENDS_TEARDOWN(self);
}

TEST_F(splice, from_a_pipe)
{
	struct heard heard;

	ASSERT_EQ(50000, sys(write(self->pipe[1], self->buf, 50000)));
	EXPECT_EQ(100, sys(splice(self->pipe[0], NULL, self->w, NULL, 100, 0)));
	EXPECT_EQ(49900, sys(splice(self->pipe[0], NULL, self->w, NULL, 50000, 0)));
	EXPECT_EQ(50000, unread(self->r));
	close(self->w);
	heard = pattern_read(self->r, 3000, 1);
	EXPECT_EQ(50000, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, heard.end);
}

TEST_F(splice, into_a_pipe)
{
	long done = 0, n;

	ASSERT_EQ(0, pattern_write(self->w, 50000, 7000, 1, 0));
	EXPECT_EQ(100, sys(splice(self->r, NULL, self->pipe[1], NULL, 100, 0)));
	EXPECT_EQ(49900, unread(self->r));
	done = 100;
	while (done < 50000) {
		n = sys(splice(self->r, NULL, self->pipe[1], NULL, 50000, SPLICE_F_MOVE));
		ASSERT_LT(0, n);
		done += n;
	}
	ASSERT_EQ(50000, read_full(self->pipe[0], self->buf, 50000));
	EXPECT_TRUE(pattern_is(self->buf, 50000, 1, 0));
	close(self->w);
	EXPECT_EQ(0, sys(splice(self->r, NULL, self->pipe[1], NULL, 100, 0)));
}

TEST_F(splice, pages_in_a_pipe_do_not_change)
{
	/* What was spliced out is the pipe's: more traffic must not touch it. */
	ASSERT_EQ(4096, sys(write(self->w, self->buf, 4096)));
	ASSERT_EQ(4096, sys(splice(self->r, NULL, self->pipe[1], NULL, 4096, 0)));
	memset(self->buf + 4096, 0xee, SIZE - 4096);
	for (int i = 0; i < 40; i++) {
		ASSERT_EQ(60000, sys(write(self->w, self->buf + 4096, 60000)));
		ASSERT_EQ(60000, read_full(self->r, self->buf + 100000, 60000));
	}
	close(self->w);
	close(self->r);
	self->w = -1;
	self->r = -1;
	ASSERT_EQ(4096, read_full(self->pipe[0], self->buf, 4096));
	EXPECT_TRUE(pattern_is(self->buf, 4096, 1, 0));
}

TEST_F(splice, through_both)
{
	/* pipe -> port -> pipe, as a relay would. */
	uint8_t out[5000];
	long n, done;

	for (done = 0; done < 500000; done += 5000) {
		pattern_fill(self->buf, 5000, 1, done);
		ASSERT_EQ(5000, sys(write(self->pipe[1], self->buf, 5000)));
		ASSERT_EQ(5000, sys(splice(self->pipe[0], NULL, self->w, NULL, 5000, 0)));
		for (n = 0; n < 5000;) {
			long got = sys(splice(self->r, NULL, self->pipe[1], NULL, 5000 - n, 0));

			ASSERT_LT(0, got);
			n += got;
		}
		ASSERT_EQ(5000, read_full(self->pipe[0], out, 5000));
		ASSERT_TRUE(pattern_is(out, 5000, 1, done));
	}
}

TEST_F(splice, nonblocking)
{
	int r = flow_reader(&self->flow, O_NONBLOCK), w = flow_writer(&self->flow, O_NONBLOCK);

	EXPECT_EQ(-EAGAIN, sys(splice(r, NULL, self->pipe[1], NULL, 100, 0)));
	EXPECT_EQ(-EAGAIN, sys(splice(r, NULL, self->pipe[1], NULL, 100, SPLICE_F_NONBLOCK)));
	ASSERT_EQ((long)MIB, sys(write(w, self->buf, MIB)));
	EXPECT_EQ(100, sys(write(self->pipe[1], self->buf, 100)));
	EXPECT_EQ(-EAGAIN, sys(splice(self->pipe[0], NULL, w, NULL, 100, SPLICE_F_NONBLOCK)));
	/* What did not fit is still in the pipe. */
	EXPECT_EQ(100, unread(self->pipe[0]));
}

TEST_F(splice, nonblocking_by_its_flag)
{
	EXPECT_EQ(-EAGAIN, sys(splice(self->r, NULL, self->pipe[1], NULL, 100,
				      SPLICE_F_NONBLOCK)));
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(3, sys(splice(self->r, NULL, self->pipe[1], NULL, 100, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EAGAIN, sys(splice(self->r, NULL, self->pipe[1], NULL, 100,
				      SPLICE_F_NONBLOCK)));
	close(self->w);
	EXPECT_EQ(0, sys(splice(self->r, NULL, self->pipe[1], NULL, 100, SPLICE_F_NONBLOCK)));
	EXPECT_READ(self->pipe[0], "abc");
}

TEST_F(splice, tells_how_the_stream_ended)
{
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	EXPECT_EQ(3, sys(write(self->pipe[1], "xyz", 3)));
	EXPECT_EQ(-EPIPE, sys(splice(self->pipe[0], NULL, self->w, NULL, 3, 0)));
	EXPECT_READ(self->pipe[0], "xyz");
	EXPECT_EQ(3, sys(splice(self->r, NULL, self->pipe[1], NULL, 100, 0)));
	EXPECT_EQ(-ECONNABORTED, sys(splice(self->r, NULL, self->pipe[1], NULL, 100, 0)));
	EXPECT_READ(self->pipe[0], "abc");
}

TEST_F(splice, blocks_until_there_is_data)
{
	pid_t pid = child();

	if (!pid) {
		char text[4] = "";

		close(self->w);
		if (splice(self->r, NULL, self->pipe[1], NULL, 3, 0) != 3 ||
		    read_full(self->pipe[0], text, 3) != 3)
			_exit(1);
		_exit(strcmp(text, "abc") ? 1 : 0);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_splice));
	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(splice, needs_a_pipe_and_no_offset)
{
	off_t offset = 0;

	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(-EINVAL, sys(splice(self->r, NULL, self->w, NULL, 3, 0)));
	EXPECT_EQ(-EINVAL, sys(splice(self->r, &offset, self->pipe[1], NULL, 3, 0)));
	EXPECT_EQ(3, sys(write(self->pipe[1], "xyz", 3)));
	EXPECT_EQ(-EINVAL, sys(splice(self->pipe[0], NULL, self->w, &offset, 3, 0)));
	EXPECT_EQ(-EBADF, sys(splice(self->w, NULL, self->pipe[1], NULL, 3, 0)));
	EXPECT_EQ(-EBADF, sys(splice(self->pipe[0], NULL, self->r, NULL, 3, 0)));
	EXPECT_READ(self->r, "abc");
}

TEST_F(splice, calls_of_real_pipes_alone)
{
	struct iovec iov = { self->buf, 10 };

	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(3, sys(write(self->pipe[1], "xyz", 3)));
	EXPECT_EQ(-EINVAL, sys(tee(self->r, self->pipe[1], 3, 0)));
	EXPECT_EQ(-EINVAL, sys(tee(self->pipe[0], self->w, 3, 0)));
	EXPECT_EQ(-EBADF, sys(vmsplice(self->w, &iov, 1, 0)));
	EXPECT_EQ(-EBADF, sys(vmsplice(self->r, &iov, 1, 0)));
	EXPECT_READ(self->r, "abc");
	EXPECT_READ(self->pipe[0], "xyz");
}

TEST_F(splice, sendfile_from_a_file)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	off_t offset = 1000;
	struct heard heard;

	ASSERT_EQ(300000, sys(write(file, self->buf, 300000)));
	ASSERT_EQ(1000, sys(pwrite(file, self->buf, 1000, 0)));
	/* From the middle, by the offset; then the start, by the position. */
	lseek(file, 0, SEEK_SET);
	EXPECT_EQ(1000, sys(sendfile(self->w, file, NULL, 1000)));
	while (offset < 300000)
		ASSERT_LT(0, sys(sendfile(self->w, file, &offset, 300000 - offset)));
	EXPECT_EQ(1000, lseek(file, 0, SEEK_CUR));
	close(self->w);
	heard = pattern_read(self->r, 64 * KIB, 1);
	EXPECT_EQ(300000, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, heard.end);
}

TEST_F(splice, sendfile_larger_than_the_channel)
{
	size_t size = 3 * MIB, done = 0;
	int file = memfd_create("file", MFD_CLOEXEC);
	struct heard heard;
	pid_t pid;
	long n;

	ASSERT_EQ(0, pattern_write(file, size, MIB, 1, 0));
	lseek(file, 0, SEEK_SET);
	pid = child();
	if (!pid) {
		close(self->r);
		for (; done < size; done += n) {
			n = sendfile(self->w, file, NULL, size - done);
			if (n <= 0)
				_exit(1);
		}
		_exit(0);
	}
	close(self->w);
	heard = pattern_read(self->r, 100000, 1);
	EXPECT_EQ(size, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, heard.end);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(splice, sendfile_from_a_port_is_refused)
{
	int file = memfd_create("file", MFD_CLOEXEC);

	EXPECT_WRITE(self->w, "abc");
	EXPECT_EQ(-EINVAL, sys(sendfile(file, self->r, NULL, 3)));
	EXPECT_EQ(-EINVAL, sys(sendfile(self->w, self->r, NULL, 3)));
	EXPECT_READ(self->r, "abc");
}

TEST_HARNESS_MAIN
