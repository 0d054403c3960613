// SPDX-License-Identifier: GPL-2.0
/* Tracepoints: what they say of a link's life, in a trace of the test's own. */

#include "fan_in.h"
#include "window.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#include "harness.h"

#define TRACING	"/sys/kernel/tracing"

FIXTURE(trace) {
	struct flow flow;
	char dir[80];
	char text[1 << 18];
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
	struct faasin_context context = { .length = strlen("of a"), .data = "of a" };
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };
	int w = flow_writer(&self->flow, 0), r = flow_reader(&self->flow, 0);
	unsigned long long link = port_info(w).link_generation;
	char page[FAASIN_CAPACITY_MIN] = "";
	pid_t writer, reader;

	EXPECT_TRACED("faasin_link: link=%llu ", link);
	EXPECT_TRACED(" capacity=%d\n", FAASIN_CAPACITY_MIN);
	EXPECT_TRACED("faasin_stream_begin: link=%llu stream=1 bytes=0\n", link);
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
	EXPECT_TRACED("faasin_unblock: link=%llu dir=0 ns=", link);
	EXPECT_TRACED("faasin_publish: link=%llu stream=1 pos=%d bytes=%d\n", link,
		      FAASIN_CAPACITY_MIN, FAASIN_CAPACITY_MIN);
	EXPECT_TRACED("faasin_consume: link=%llu stream=1 pos=%d bytes=%d\n", link,
		      FAASIN_CAPACITY_MIN, FAASIN_CAPACITY_MIN);
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
	EXPECT_TRACED("faasin_unblock: link=%llu dir=1 ns=", link);

	EXPECT_EQ(0, ioctl(w, FAASIN_IOC_SET_CONTEXT, &context));
	EXPECT_TRACED("faasin_stream_context: link=%llu stream=1 context=of a\n", link);
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

/* It counts as a write and a read. */
TEST_F(trace, tells_of_a_hand_off)
{
	struct faasin_range range = { 0 };
	unsigned long long link;
	int w, r;

	ASSERT_EQ(0, flow_unlink(&self->flow));
	self->flow.options.capacity = MIB;
	ASSERT_EQ(0, flow_link(&self->flow));
	w = flow_writer(&self->flow, O_RDWR);
	r = flow_reader(&self->flow, 0);
	link = port_info(w).link_generation;
	ASSERT_EQ(0, window_alloc(w, 100));
	ASSERT_EQ(0, window_send(w, 0, 100));
	EXPECT_EQ(1, window_take(r, &range));
	EXPECT_TRACED("faasin_publish: link=%llu stream=1 pos=100 bytes=100\n", link);
	EXPECT_TRACED("faasin_write: link=%llu stream=1 bytes=100\n", link);
	EXPECT_TRACED("faasin_consume: link=%llu stream=1 pos=100 bytes=100\n", link);
	EXPECT_TRACED("faasin_read: link=%llu stream=1 bytes=100\n", link);
	close(w);
	close(r);
}

#define STREAMS	200

/* Closes each stream as soon as there is one. */
static void close_early(struct flow *flow)
{
	int i, r;

	for (i = 0; i < STREAMS; i++) {
		r = flow_reader(flow, O_NONBLOCK);
		while (ioctl(r, FAASIN_IOC_END) && errno == ENODATA)
			;
		close(r);
	}
}

/* Whoever follows streams by number is told of nothing before their beginnings. */
TEST_F_TIMEOUT(trace, tells_of_a_beginning_first, 200)
{
	unsigned int early = 0, begun = 0, over = 0;
	unsigned long long stream, newest = 0;
	pid_t reader = child();
	char *line;
	int i;

	if (!reader) {
		close_early(&self->flow);
		_exit(0);
	}
	/* One order for all CPUs; little enough for all of it to be kept. */
	ASSERT_EQ(0, put(self->dir, "events/faasin/enable", "0"));
	ASSERT_EQ(0, put(self->dir, "trace_clock", "counter"));
	ASSERT_EQ(0, put(self->dir, "events/faasin/faasin_stream_begin/enable", "1"));
	ASSERT_EQ(0, put(self->dir, "events/faasin/faasin_stream_abort/enable", "1"));
	for (i = 0; i < STREAMS; i++) {
		struct pollfd w = { .fd = flow_writer(&self->flow, 0) };

		EXPECT_EQ(1, poll(&w, 1, -1));
		EXPECT_EQ(POLLERR, w.revents);
		close(w.fd);
	}
	EXPECT_EQ(0, child_end(reader));
	traced(self);
	for (line = strtok(self->text, "\n"); line; line = strtok(NULL, "\n")) {
		char *at = strstr(line, " stream=");

		if (!at || sscanf(at, " stream=%llu", &stream) != 1)
			continue;
		if (strstr(line, "faasin_stream_begin:")) {
			begun++;
			newest = stream;
		} else {
			over++;
			early += stream > newest;
		}
	}
	EXPECT_EQ(STREAMS, begun);
	EXPECT_EQ(STREAMS, over);
	EXPECT_EQ(0, early);
}

/* ------------------------------------------------------------- what is freed by whom */

/* A probe where channels are freed, in the fixture's trace. */
static int probe(struct _test_data_trace *self, bool on)
{
	char text[160];
	int error;

	snprintf(text, sizeof(text), "events/faasin_late/n%d/enable", getpid());
	if (!on)
		put(self->dir, text, "0");
	snprintf(text, sizeof(text), on ? "p:faasin_late/n%d faasin:faasin_streams_free" :
					  "-:faasin_late/n%d", getpid());
	error = put(TRACING, "kprobe_events", text);
	if (error || !on)
		return error;
	snprintf(text, sizeof(text), "events/faasin_late/n%d/enable", getpid());
	return put(self->dir, text, "1");
}

/* How many channels were freed since the trace was cleared; all of them, or by the caller. */
static int freed(struct _test_data_trace *self, bool by_me)
{
	char me[16], event[16], *line;
	int n = 0;

	snprintf(me, sizeof(me), "-%d ", getpid());
	snprintf(event, sizeof(event), " n%d: ", getpid());
	traced(self);
	for (line = strtok(self->text, "\n"); line; line = strtok(NULL, "\n"))
		n += strstr(line, event) && (!by_me || strstr(line, me));
	return n;
}

/* Clears the trace. */
static int forget(struct _test_data_trace *self)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/trace", self->dir);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	return fd < 0 ? errno : close(fd);
}

enum way { SPLICES, READS, POLLS, EPOLLS, WAYS };

/* A call that is bound to a stream, of which it gets a byte, or hears, and is not to wait. */
static bool is_bound_without_waiting(int r, enum way way)
{
	struct epoll_event e = { .events = EPOLLIN };
	char byte;
	struct iovec one = { &byte, 1 };
	bool ok = false;
	int p[2], ep;

	switch (way) {
	case SPLICES:
		ok = !pipe(p) && splice(r, NULL, p[1], NULL, 1, SPLICE_F_NONBLOCK) == 1;
		close(p[0]);
		close(p[1]);
		break;
	case READS:
		ok = preadv2(r, &one, 1, -1, RWF_NOWAIT) == 1;
		break;
	case POLLS:
		ok = ready(r) == POLLIN;
		break;
	default:
		ep = epoll_create1(EPOLL_CLOEXEC);
		ok = !epoll_ctl(ep, EPOLL_CTL_ADD, r, &e) && epoll_wait(ep, &e, 1, 0) == 1;
		close(ep);
	}
	return ok;
}

/*
 * All links of an input were deleted, and whoever has it open is bound to one stream: the others'
 * channels are freed, but not by a call that may have a pipe, or epoll's lock, or is not to sleep.
 */
TEST_F_TIMEOUT(trace, who_may_not_wait_frees_no_channel, 120)
{
	struct fan fan;
	enum way way;
	int i, r;

	FAN_IN_SETUP(&fan, 3, NULL);
	ASSERT_EQ(0, put(self->dir, "events/faasin/enable", "0"));
	ASSERT_EQ(0, probe(self, true));
	for (way = 0; way < WAYS; way++) {
		EXPECT_EQ(0, fan_link(&fan, fan_list('p', 0, 2), "d", NULL));
		for (i = 0; i < 3; i++) {
			int w = fan_in_writer(&fan, i, 0);

			EXPECT_WRITE(w, "bytes");
			close(w);
		}
		r = fan_in_reader(&fan, 0);
		for (i = 0; i < 3; i++)
			EXPECT_EQ(0, fan_unlink(&fan, i == 0 ? "p0" : i == 1 ? "p1" : "p2", "d"));
		ASSERT_EQ(0, forget(self));
		EXPECT_TRUE(is_bound_without_waiting(r, way));
		for (i = 0; i < DEADLINE * 100 && freed(self, false) < 2; i++)
			usleep(10000);
		EXPECT_EQ(2, freed(self, false))
			TH_LOG("way %d", way);
		EXPECT_EQ(0, freed(self, true))
			TH_LOG("way %d", way);
		close(r);
	}
	EXPECT_EQ(0, probe(self, false));
	FAN_TEARDOWN(&fan);
}

TEST_HARNESS_MAIN
