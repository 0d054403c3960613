// SPDX-License-Identifier: GPL-2.0
/* Tracepoints: what they say of a link's life, in a trace of the test's own. */

#include "common.h"
#include "harness.h"

#define TRACING	"/sys/kernel/tracing"

FIXTURE(trace) {
	struct flow flow;
	char dir[80];
	char text[1 << 16];
};

static int put(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd, error = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return error;
}

FIXTURE_SETUP(trace)
{
	snprintf(self->dir, sizeof(self->dir), TRACING "/instances/faasin-%d", getpid());
	ASSERT_EQ(0, mkdir(self->dir, 0700))
		TH_LOG("%s: %s", self->dir, strerror(errno));
	ASSERT_EQ(0, put(self->dir, "events/faasin/enable", "1"));
	FLOW_SETUP(&self->flow, &(struct flow_options){ .capacity = FAASIN_CAPACITY_MIN });
}

FIXTURE_TEARDOWN(trace)
{
	FLOW_TEARDOWN(&self->flow);
	put(self->dir, "events/faasin/enable", "0");
	/* Whoever reads it holds it. */
	EXPECT_EQ(0, rmdir(self->dir));
}

/* The trace so far; "" if it cannot be read. */
static const char *traced(struct _test_data_trace *self)
{
	char path[PATH_MAX];
	size_t len = 0;
	FILE *stream;

	snprintf(path, sizeof(path), "%s/trace", self->dir);
	stream = fopen(path, "re");
	if (stream) {
		len = fread(self->text, 1, sizeof(self->text) - 1, stream);
		fclose(stream);
	}
	self->text[len] = '\0';
	return self->text;
}

#define EXPECT_TRACED(...)							\
do {										\
	char traced_line[256];							\
										\
	snprintf(traced_line, sizeof(traced_line), __VA_ARGS__);		\
	EXPECT_NE(NULL, strstr(traced(self), traced_line))			\
		TH_LOG("there is no '%s' in:\n%s", traced_line, self->text);	\
} while (0)

TEST_F(trace, tells_of_a_links_life)
{
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };
	int w = flow_writer(&self->flow, 0), r = flow_reader(&self->flow, 0);
	unsigned long long link = port_info(w).link_generation;
	char page[FAASIN_CAPACITY_MIN] = "";
	pid_t writer, reader;

	EXPECT_TRACED("faasin_link: link=%llu ", link);
	EXPECT_TRACED(" capacity=%d\n", FAASIN_CAPACITY_MIN);
	EXPECT_TRACED("faasin_open: link=%llu dir=1 stream=1\n", link);
	EXPECT_TRACED("faasin_open: link=%llu dir=0 stream=0\n", link);

	/* A reader that waits for bytes, then a writer that waits for room. */
	reader = child();
	if (!reader)
		_exit(read_full(r, page, sizeof(page)) != sizeof(page));
	EXPECT_TRUE(blocks_in(reader, SYS_read));
	EXPECT_TRACED("faasin_block: link=%llu dir=0\n", link);
	EXPECT_EQ(FAASIN_CAPACITY_MIN, write(w, page, sizeof(page)));
	EXPECT_EQ(0, child_end(reader));
	EXPECT_TRACED("faasin_wake: link=%llu dir=0\n", link);
	EXPECT_TRACED("faasin_write: link=%llu stream=1 bytes=%d\n", link, FAASIN_CAPACITY_MIN);
	EXPECT_TRACED("faasin_read: link=%llu stream=1 bytes=%d\n", link, FAASIN_CAPACITY_MIN);
	writer = child();
	if (!writer)
		_exit(write(w, page, sizeof(page)) != sizeof(page) ||
		      write(w, page, sizeof(page)) != sizeof(page));
	EXPECT_TRUE(blocks_in(writer, SYS_write));
	EXPECT_TRACED("faasin_block: link=%llu dir=1\n", link);
	EXPECT_EQ(2 * FAASIN_CAPACITY_MIN, read_full(r, page, sizeof(page)) +
					   read_full(r, page, sizeof(page)));
	EXPECT_EQ(0, child_end(writer));
	EXPECT_TRACED("faasin_wake: link=%llu dir=1\n", link);

	EXPECT_EQ(0, ioctl(w, FAASIN_IOC_END));
	EXPECT_TRACED("faasin_stream_end: link=%llu stream=1 bytes=%d\n", link,
		      3 * FAASIN_CAPACITY_MIN);
	EXPECT_EQ(0, close(w));
	EXPECT_TRACED("faasin_close: link=%llu dir=1 stream=1\n", link);
	w = flow_writer(&self->flow, 0);
	EXPECT_EQ(0, ioctl(w, FAASIN_IOC_ABORT, &request));
	EXPECT_TRACED("faasin_stream_abort: link=%llu stream=2 bytes=0 cause=%d code=0 pid=%d\n",
		      link, FAASIN_CAUSE_REQUEST, getpid());
	EXPECT_EQ(0, flow_unlink(&self->flow));
	EXPECT_TRACED("faasin_unlink: link=%llu ", link);
	close(w);
	close(r);
}

TEST_HARNESS_MAIN
