// SPDX-License-Identifier: GPL-2.0
/* The library's windows: records in and out, and what is said when they cannot be. */
#include <pthread.h>

#include "common.h"

#include "harness.h"

FIXTURE(library)
{
	struct flow flow;
	int w, r;
	struct faasctl_window *out, *in;
	struct faasctl_error err;
};

FIXTURE_SETUP(library)
{
	ENDS_SETUP(self, NULL, O_RDWR, O_NONBLOCK);
	ASSERT_EQ(0, faasctl_window_open(&self->out, self->w, &self->err));
	ASSERT_EQ(0, faasctl_window_open(&self->in, self->r, &self->err));
}

FIXTURE_TEARDOWN(library)
{
	faasctl_window_close(self->out);
	faasctl_window_close(self->in);
	faasctl_window_close(NULL);
	ENDS_TEARDOWN(self);
}

/* Refused with @error, and a line that says @text. */
#define EXPECT_REFUSED(error, text, call)					\
do {										\
	memset(&self->err, 0, sizeof(self->err));				\
	EXPECT_EQ(-(error), call);						\
	EXPECT_EQ(error, self->err.code);					\
	EXPECT_NE(NULL, strstr(self->err.message, text))			\
		TH_LOG("'%s'", self->err.message);				\
} while (0)

TEST_F(library, passes_records)
{
	static const size_t sizes[] = { 1, 5000, 70000 };
	struct iovec sent[3], got[FAASIN_RANGES_MAX];

	EXPECT_EQ(MIB - PAGE, faasctl_window_size(self->out));
	EXPECT_EQ(MIB - PAGE, faasctl_window_size(self->in));
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 3; i++) {
			sent[i].iov_len = sizes[i];
			ASSERT_EQ(0, faasctl_window_alloc(self->out, sizes[i], &sent[i].iov_base,
							  &self->err));
			pattern_fill(sent[i].iov_base, sizes[i], i, round);
		}
		ASSERT_EQ(0, faasctl_window_send(self->out, sent, 3, &self->err));
		ASSERT_EQ(3, faasctl_window_receive(self->in, got, FAASIN_RANGES_MAX, &self->err));
		for (int i = 0; i < 3; i++) {
			EXPECT_EQ(sizes[i], got[i].iov_len);
			EXPECT_TRUE(pattern_is(got[i].iov_base, sizes[i], i, round));
		}
		ASSERT_EQ(0, faasctl_window_release(self->in, got, 3, &self->err));
	}
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(0, faasctl_window_receive(self->in, got, 1, &self->err));
}

TEST_F(library, receives_what_was_written)
{
	struct iovec got;

	EXPECT_WRITE(self->w, "hello");
	ASSERT_EQ(1, faasctl_window_receive(self->in, &got, 1, &self->err));
	EXPECT_EQ(5, got.iov_len);
	EXPECT_EQ(0, memcmp(got.iov_base, "hello", 5));
	EXPECT_WRITE(self->w, "again");
	EXPECT_REFUSED(EBUSY, "released first", faasctl_window_receive(self->in, &got, 1, &self->err));
	EXPECT_EQ(0, faasctl_window_release(self->in, &got, 1, &self->err));
	EXPECT_EQ(1, faasctl_window_receive(self->in, &got, 1, &self->err));
}

/* What polling says of a port at this moment. */
static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

TEST_F(library, polling_tells_of_records)
{
	struct iovec part = { .iov_len = 5000 }, got;

	EXPECT_EQ(0, ready(self->r));
	EXPECT_REFUSED(EAGAIN, "poll", faasctl_window_receive(self->in, &got, 1, &self->err));
	ASSERT_EQ(0, faasctl_window_alloc(self->out, part.iov_len, &part.iov_base, &self->err));
	pattern_fill(part.iov_base, part.iov_len, 1, 0);
	/* What was not sent is nobody's to hear of. */
	EXPECT_EQ(0, ready(self->r));
	ASSERT_EQ(0, faasctl_window_send(self->out, &part, 1, &self->err));
	EXPECT_EQ(POLLIN, ready(self->r));
	ASSERT_EQ(1, faasctl_window_receive(self->in, &got, 1, &self->err));
	EXPECT_TRUE(pattern_is(got.iov_base, 5000, 1, 0));
	EXPECT_EQ(0, ready(self->r));
	EXPECT_EQ(0, faasctl_window_release(self->in, &got, 1, &self->err));
	EXPECT_EQ(0, ready(self->r));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_END)));
	EXPECT_EQ(POLLHUP, ready(self->r));
	EXPECT_EQ(0, faasctl_window_receive(self->in, &got, 1, &self->err));
}

TEST_F(library, polling_tells_of_room)
{
	struct iovec all = { .iov_len = faasctl_window_size(self->out) }, got;
	void *at;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(POLLOUT, ready(self->w));
	ASSERT_EQ(0, faasctl_window_alloc(self->out, all.iov_len, &all.iov_base, &self->err));
	EXPECT_REFUSED(EAGAIN, "poll", faasctl_window_alloc(self->out, 1, &at, &self->err));
	EXPECT_EQ(0, ready(self->w));
	ASSERT_EQ(0, faasctl_window_send(self->out, &all, 1, &self->err));
	EXPECT_EQ(0, ready(self->w));
	ASSERT_EQ(1, faasctl_window_receive(self->in, &got, 1, &self->err));
	/* It is the consumer's: who tries all the same is not told to try again before it comes back. */
	EXPECT_REFUSED(EAGAIN, "poll", faasctl_window_alloc(self->out, 1, &at, &self->err));
	EXPECT_EQ(0, ready(self->w));
	EXPECT_EQ(0, faasctl_window_release(self->in, &got, 1, &self->err));
	EXPECT_EQ(POLLOUT, ready(self->w));
	EXPECT_EQ(0, faasctl_window_alloc(self->out, all.iov_len, &at, &self->err));
	/* A reader that is gone is told at once. */
	faasctl_window_close(self->in);
	self->in = NULL;
	close(self->r);
	self->r = -1;
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->w));
	EXPECT_EQ(-EPIPE, faasctl_window_alloc(self->out, 1, &at, &self->err));
}

/* Waits for nothing but poll(): 0, or an errno. */
static long polled(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	long n = sys(poll(&p, 1, DEADLINE * 1000));

	return n == 1 ? 0 : n ? n : -ETIMEDOUT;
}

#define POLLED_RECORDS	400

static size_t polled_length(uint64_t *seed)
{
	return 1 + random_next(seed) % (300 * KIB);
}

static void *send_by_polling(void *arg)
{
	FIXTURE_DATA(library) *self = arg;
	struct iovec part;
	uint64_t seed = 3;
	long err = 0;

	for (int i = 0; i < POLLED_RECORDS && !err; i++) {
		part.iov_len = polled_length(&seed);
		while ((err = faasctl_window_alloc(self->out, part.iov_len, &part.iov_base,
						   NULL)) == -EAGAIN)
			if (polled(self->w, POLLOUT))
				return (void *)-ETIMEDOUT;
		if (err)
			break;
		pattern_fill(part.iov_base, part.iov_len, i, i);
		err = faasctl_window_send(self->out, &part, 1, NULL);
	}
	return (void *)(err ?: sys(ioctl(self->w, FAASIN_IOC_END)));
}

/* Neither side ever waits in a call, and neither is left to wait in poll(). */
TEST_F_TIMEOUT(library, passes_records_by_polling, 120)
{
	uint64_t seed = 3;
	struct iovec got;
	pthread_t thread;
	int n, records = 0;
	void *sent;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_by_polling, self));
	for (;;) {
		n = faasctl_window_receive(self->in, &got, 1, &self->err);
		if (n == -EAGAIN) {
			ASSERT_EQ(0, polled(self->r, POLLIN));
			continue;
		}
		ASSERT_LE(0, n);
		if (!n)
			break;
		ASSERT_EQ(polled_length(&seed), got.iov_len);
		ASSERT_TRUE(pattern_is(got.iov_base, got.iov_len, records, records));
		ASSERT_EQ(0, faasctl_window_release(self->in, &got, 1, &self->err));
		records++;
	}
	ASSERT_EQ(0, pthread_join(thread, &sent));
	EXPECT_EQ(NULL, sent);
	EXPECT_EQ(POLLED_RECORDS, records);
}

FIXTURE(record)
{
	struct flow flow;
	int w, r;
	struct faasctl_window *out, *in;
	struct faasctl_error err;
};

FIXTURE_SETUP(record)
{
	struct flow_options options = { .records = true };

	ENDS_SETUP(self, &options, O_RDWR, O_NONBLOCK);
	ASSERT_EQ(0, faasctl_window_open(&self->out, self->w, &self->err));
	ASSERT_EQ(0, faasctl_window_open(&self->in, self->r, &self->err));
}

FIXTURE_TEARDOWN(record)
{
	faasctl_window_close(self->out);
	faasctl_window_close(self->in);
	ENDS_TEARDOWN(self);
}

/*
 * A written record that is longer than can land stays until it is read: whole, into memory of as
 * many bytes as INFO says.
 */
TEST_F(record, what_cannot_land_is_read)
{
	static uint8_t buf[400 * KIB];
	const size_t size = 300 * KIB + 7;
	struct iovec parts[FAASIN_RANGES_MAX], part = { .iov_len = 400 * KIB };

	pattern_fill(buf, size, 1, 0);
	ASSERT_EQ((long)size, sys(write(self->w, buf, size)));
	ASSERT_EQ(0, faasctl_window_alloc(self->out, part.iov_len, &part.iov_base, &self->err));
	pattern_fill(part.iov_base, part.iov_len, 2, 0);
	ASSERT_EQ(0, faasctl_window_send(self->out, &part, 1, &self->err));

	EXPECT_REFUSED(EMSGSIZE, "read()",
		       faasctl_window_receive(self->in, parts, FAASIN_RANGES_MAX, &self->err));
	EXPECT_EQ(size, port_info(self->r).record);
	memset(buf, 0, size);
	EXPECT_EQ((long)size, sys(read(self->r, buf, sizeof(buf))));
	EXPECT_TRUE(pattern_is(buf, size, 1, 0));
	/* What was sent is as long as it likes, and what can land is received. */
	ASSERT_EQ(1, faasctl_window_receive(self->in, parts, FAASIN_RANGES_MAX, &self->err));
	EXPECT_EQ(part.iov_len, parts[0].iov_len);
	EXPECT_TRUE(pattern_is(parts[0].iov_base, part.iov_len, 2, 0));
	EXPECT_EQ(0, faasctl_window_release(self->in, parts, 1, &self->err));
	EXPECT_WRITE(self->w, "short");
	EXPECT_EQ(1, faasctl_window_receive(self->in, parts, 1, &self->err));
	EXPECT_EQ(5, parts[0].iov_len);
}

TEST_F(library, says_what_is_wrong)
{
	struct iovec many[FAASIN_RANGES_MAX + 1] = { 0 }, part = { 0 }, two[2];
	struct faasctl_window *win = self->in;
	struct faasin_abort abort_it = { .cause = FAASIN_CAUSE_REQUEST };
	int pipe[2], only = flow_writer(&self->flow, 0);

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	EXPECT_REFUSED(ENOTTY, "not a port", faasctl_window_open(&win, pipe[0], &self->err));
	EXPECT_EQ(NULL, win);
	EXPECT_REFUSED(ENOTTY, "not a port", faasctl_window_open(&win, -1, &self->err));
	EXPECT_REFUSED(EACCES, "O_RDWR", faasctl_window_open(&win, only, &self->err));
	EXPECT_REFUSED(EINVAL, "window", faasctl_window_alloc(self->out, 0, &part.iov_base, &self->err));
	EXPECT_REFUSED(EMSGSIZE, "too large",
		       faasctl_window_alloc(self->out, MIB, &part.iov_base, &self->err));
	EXPECT_REFUSED(EBADF, "outputs", faasctl_window_alloc(self->in, 1, &part.iov_base, &self->err));
	EXPECT_REFUSED(EBADF, "outputs", faasctl_window_receive(self->out, &part, 1, &self->err));
	EXPECT_REFUSED(EAGAIN, "poll", faasctl_window_receive(self->in, &part, 1, &self->err));
	EXPECT_REFUSED(EINVAL, "1 to 64", faasctl_window_send(self->out, many, 0, &self->err));
	EXPECT_REFUSED(EINVAL, "1 to 64",
		       faasctl_window_send(self->out, many, FAASIN_RANGES_MAX + 1, &self->err));
	EXPECT_REFUSED(EINVAL, "1 to 64", faasctl_window_receive(self->in, many, 0, &self->err));
	EXPECT_REFUSED(EACCES, "not this descriptor's",
		       faasctl_window_release(self->in, many, 1, &self->err));

	ASSERT_EQ(0, faasctl_window_alloc(self->out, 10, &part.iov_base, &self->err));
	part.iov_len = 10;
	two[0] = part;
	two[1] = part;
	EXPECT_REFUSED(EACCES, "not this descriptor's", faasctl_window_send(self->out, two, 2, &self->err));
	part.iov_len = MIB;
	EXPECT_REFUSED(ERANGE, "longer", faasctl_window_send(self->out, &part, 1, &self->err));
	EXPECT_EQ(0, sys(ioctl(self->w, FAASIN_IOC_ABORT, &abort_it)));
	part.iov_len = 10;
	EXPECT_REFUSED(EPIPE, "over", faasctl_window_send(self->out, &part, 1, &self->err));
	EXPECT_REFUSED(ECONNABORTED, "aborted", faasctl_window_receive(self->in, &part, 1, &self->err));
	/* Whoever does not ask is not told. */
	EXPECT_EQ(-ECONNABORTED, faasctl_window_receive(self->in, &part, 1, NULL));
	close(only);
}

/* The example's program, with @port in its environment, from or to @file. */
static pid_t example(const char *how, const char *variable, const char *port, int file)
{
	pid_t pid = child();

	if (!pid) {
		dup2(file, *how == 's' ? 0 : 1);
		setenv(variable, port, 1);
		execl("build/examples/window", "window", how, NULL);
		_exit(127);
	}
	return pid;
}

TEST_F(library, example_passes_a_file)
{
	const size_t size = 5 * MIB + 123;
	int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
	uint8_t *got = malloc(size + 1);
	pid_t pids[2];

	close(self->w);
	close(self->r);
	faasctl_window_close(self->out);
	faasctl_window_close(self->in);
	self->out = NULL;
	self->in = NULL;
	/* Both streams of the setup are over. */
	ASSERT_EQ(0, flow_unlink(&self->flow));
	ASSERT_EQ(0, flow_link(&self->flow));
	ASSERT_EQ(0, pattern_write(from, size, MIB, 1, 0));
	ASSERT_EQ(0, lseek(from, 0, SEEK_SET));
	pids[0] = example("send", "FAASOUT", self->flow.out, from);
	pids[1] = example("receive", "FAASIN", self->flow.in, to);
	EXPECT_EQ(0, child_end(pids[0]));
	EXPECT_EQ(0, child_end(pids[1]));
	EXPECT_EQ((long)size, sys(pread(to, got, size + 1, 0)));
	EXPECT_TRUE(pattern_is(got, size, 1, 0));
	free(got);
}

TEST_HARNESS_MAIN
