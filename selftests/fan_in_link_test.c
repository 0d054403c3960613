// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-in: making links of one input, all or none, what is refused, what can be done to each of
 * them while they are used, and fan-out and fan-in together.
 */
#include "actor.h"
#include "fan_in.h"
#include "harness.h"
#include "nl.h"
#include "window.h"

#define STAGES		4

FAN_LINKS_FIXTURE(FAN_IN_SETUP)

/* A request for new links, whatever it says, ends with @error. */
#define EXPECT_NEW(error, ...)							\
	EXPECT_EQ(error, nl_call(&self->nl, FAASIN_CMD_LINK_NEW, 0,		\
				 NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, self->fan.name),	\
					 ##__VA_ARGS__)))

static const struct faasctl_link_options defaults = FAASCTL_LINK_OPTIONS_INIT;

static int new_stages(struct fan *f, const char *const *names)
{
	int error = 0;

	for (; !error && *names; names++)
		error = fan_stage(f, *names);
	return error;
}

#define NEW_STAGES(...) \
	ASSERT_EQ(0, new_stages(&self->fan, (const char *const []){ __VA_ARGS__, NULL }))

/* --------------------------------------------------------------------- making */

TEST_F(links, what_exists_is_as_good)
{
	struct faasctl_link_options exclusive = defaults;

	EXPECT_EQ(STAGES, fan_links(&self->fan));
	EXPECT_EQ(0, fan_link(&self->fan, fan_list('p', 0, STAGES - 1), "d", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "p2", "d", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "p1,p0", "d", NULL));
	EXPECT_EQ(STAGES, fan_links(&self->fan));
	exclusive.flags = FAASCTL_EXCLUSIVE;
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "p2", "d", &exclusive));
	NEW_STAGES("new", "other");
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "new,p2", "d", &exclusive));
	EXPECT_EQ(0, fan_link(&self->fan, "new,p2", "d", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "other", "d", NULL));
	EXPECT_EQ(STAGES + 2, fan_links(&self->fan));
	EXPECT_EQ(STAGES + 2, fan_in_port(&self->fan).links);
}

/* Each link has options of its own. */
TEST_F(links, options_are_each_links_own)
{
	struct faasctl_link_options other = defaults;

	NEW_STAGES("new");
	other.capacity = 64 * KIB;
	other.abort_on = FAASIN_ABORT_ON_NEVER;
	other.early_close = FAASIN_EARLY_CLOSE_DRAIN;
	other.flags = FAASCTL_TRUSTED;
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "p0", "d", &other));
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "new,p0", "d", &other));
	EXPECT_EQ(0, fan_link(&self->fan, "new", "d", &other));
	EXPECT_REFUSED(-EEXIST, fan_link(&self->fan, "new,p0", "d", NULL));
}

TEST_F(links, all_or_none)
{
	NEW_STAGES("x", "y", "e");
	EXPECT_REFUSED(-ENOENT, fan_link(&self->fan, "x,nobody", "d", NULL));
	EXPECT_REFUSED(-ENOENT, fan_link(&self->fan, "x:nothing,y", "d", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "x,y:faasin", "d", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "x,x", "d", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "x,y", "d:faasout", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "x,d", "d", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "x,d", "p0", NULL));
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "x,p0", "e", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "x,", "d", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "x,,y", "d", NULL));
	EXPECT_REFUSED(-EINVAL, fan_link(&self->fan, "x,x", "d,e", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "x,y", "e,y", NULL));
	/* The input that was to have several may be linked in any way afterwards. */
	EXPECT_EQ(0, fan_link(&self->fan, "x", "e", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "y", "e", NULL));
	EXPECT_EQ(-ELOOP, fan_link(&self->fan, "e,y", "x", NULL));
}

/* A loop by two of the links, each of which alone would close none. */
TEST_F(links, a_loop_by_two_of_them)
{
	NEW_STAGES("x", "y", "e", "f");
	EXPECT_EQ(0, fan_link(&self->fan, "f", "x", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "x,y", "e,f", NULL));
	EXPECT_REFUSED(-ELOOP, fan_link(&self->fan, "y,x", "f,e", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "x", "e", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "x", "e"));
	EXPECT_EQ(0, fan_link(&self->fan, "y", "f", NULL));
}

TEST_F(links, a_link_that_was_made_alone_stays_alone)
{
	NEW_STAGES("x", "y", "e");
	EXPECT_EQ(0, fan_link(&self->fan, "x", "e", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "y", "e", NULL));
	EXPECT_NE(NULL, strstr(self->fan.refusal, "unlink it first"));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "x,y", "e", NULL));
	EXPECT_NE(NULL, strstr(self->fan.refusal, "unlink it first"));
	EXPECT_REFUSED(-EBUSY, fan_link(&self->fan, "y,x", "e", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "x", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "x,y", "e", NULL));
	/* One that is left of several may get company again. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "x", "e"));
	EXPECT_EQ(0, fan_link(&self->fan, "x", "e", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "x", "e"));
	EXPECT_EQ(0, fan_unlink(&self->fan, "y", "e"));
	EXPECT_EQ(0, fan_link(&self->fan, "y", "e", NULL));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "x", "e", NULL));
}

TEST_F(links, there_are_at_most_32)
{
	char name[16];
	unsigned int i;
	int w;

	for (i = STAGES; i < FAASIN_FAN_MAX + 2; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		ASSERT_EQ(0, fan_stage(&self->fan, name));
	}
	NEW_STAGES("e", "f");
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, fan_list('p', STAGES, FAASIN_FAN_MAX), "d", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, fan_list('p', STAGES, FAASIN_FAN_MAX - 1), "d", NULL));
	EXPECT_EQ(FAASIN_FAN_MAX, fan_links(&self->fan));
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "p32", "d", NULL));
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, fan_list('p', 0, FAASIN_FAN_MAX), "e", NULL));
	/* Beside a good input, too. */
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "p32,p33", "e,d", NULL));
	EXPECT_EQ(0, fan_unlink(&self->fan, "p3", NULL));
	EXPECT_EQ(0, fan_link(&self->fan, "p32", "d", NULL));
	/* One that is deleted and has a stream left counts until that is read. */
	w = fan_in_writer(&self->fan, 5, 0);
	EXPECT_WRITE(w, "x");
	close(w);
	EXPECT_EQ(0, fan_unlink(&self->fan, "p5", NULL));
	EXPECT_REFUSED(-ENOSPC, fan_link(&self->fan, "p33", "d", NULL));
	EXPECT_NEXT("x", 0);
	EXPECT_EQ(0, fan_link(&self->fan, "p33", "d", NULL));
}

TEST_F(links, requests_that_are_not_well_made)
{
	struct nl_attr x = NL_NEST(FAASIN_A_LINK_SRC, NL_STR(FAASIN_A_END_STAGE, "x"));

	NEW_STAGES("x", "y");
	EXPECT_NEW(EINVAL, NL_STR(FAASIN_A_LINK_DST_STAGE, "d"));
	EXPECT_NEW(EINVAL, x);
	EXPECT_NEW(EINVAL, x, NL_STR(FAASIN_A_LINK_SRC_STAGE, "x"),
		   NL_STR(FAASIN_A_LINK_DST_STAGE, "d"));
	EXPECT_NEW(EINVAL, x, NL_STR(FAASIN_A_LINK_SRC_PORT, "faasout"),
		   NL_STR(FAASIN_A_LINK_DST_STAGE, "d"));
	EXPECT_NEW(EINVAL, NL_NEST(FAASIN_A_LINK_SRC, NL_STR(FAASIN_A_END_PORT, "faasout")),
		   NL_STR(FAASIN_A_LINK_DST_STAGE, "d"));
	EXPECT_NEW(EINVAL, NL_NEST(FAASIN_A_LINK_SRC, NL_STR(FAASIN_A_END_STAGE, "x"),
				    NL_STR(FAASIN_A_END_PORT + 1, "x")),
		   NL_STR(FAASIN_A_LINK_DST_STAGE, "d"));
	EXPECT_EQ(STAGES, fan_links(&self->fan));
	/* Named once it is an input for several, too. */
	EXPECT_NEW(0, x, NL_STR(FAASIN_A_LINK_DST_STAGE, "y"));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "p0", "y", NULL));
	EXPECT_EQ(0, fan_stage(&self->fan, "z"));
	EXPECT_EQ(0, fan_link(&self->fan, "z", "y", NULL));
}

/* ---------------------------------------------------------------- each of them */

TEST_F(links, what_is_shown)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), w1 = fan_in_writer(&self->fan, 1, 0);
	int r0 = fan_in_reader(&self->fan, 0), r1 = fan_in_reader(&self->fan, 0);
	struct faasctl_stats stats;

	EXPECT_EQ(2, fan_in_port(&self->fan).opens);
	EXPECT_EQ(STAGES, fan_in_port(&self->fan).links);
	EXPECT_WRITE(w0, "bytes");
	EXPECT_WRITE(w1, "of the other");
	EXPECT_READ(r0, "byt");
	EXPECT_EQ(2, fan_in_port(&self->fan).opens);
	stats = fan_in_state(&self->fan, 0).stats;
	EXPECT_EQ(5, stats.bytes_in);
	EXPECT_EQ(3, stats.bytes_out);
	EXPECT_EQ(2, stats.bytes_held);
	EXPECT_EQ(1, stats.reads);
	stats = fan_in_state(&self->fan, 1).stats;
	EXPECT_EQ(12, stats.bytes_in);
	EXPECT_EQ(0, stats.bytes_out);
	stats = fan_sums(&self->fan);
	EXPECT_EQ(17, stats.bytes_in);
	EXPECT_EQ(2, stats.streams_begun);
	close(r0);
	EXPECT_EQ(1, fan_in_port(&self->fan).opens);
	close(r1);
	EXPECT_EQ(0, fan_in_port(&self->fan).opens);
	close(w0);
	close(w1);
}

TEST_F(links, pausing_one_concerns_its_streams)
{
	int w0 = fan_in_writer(&self->fan, 0, O_NONBLOCK), r;
	int w1 = fan_in_writer(&self->fan, 1, O_NONBLOCK);
	char byte;

	EXPECT_WRITE(w0, "bytes");
	EXPECT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_PAUSED));
	EXPECT_EQ(0, ready(w0));
	EXPECT_EQ(POLLOUT, ready(w1));
	EXPECT_WRITE(w1, "other");
	r = fan_in_reader(&self->fan, O_NONBLOCK);
	/* It keeps its place. */
	EXPECT_EQ(-EAGAIN, sys(read(r, &byte, 1)));
	EXPECT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_RUNNING));
	EXPECT_READ(r, "bytes");
	EXPECT_EQ(0, fan_in_set_state(&self->fan, 1, FAASIN_LINK_STATE_PAUSED));
	EXPECT_WRITE(w0, "more");
	EXPECT_READ(r, "more");
	close(w0);
	EXPECT_OVER(r, 0);
	close(r);
	r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, sys(read(r, &byte, 1)));
	/* Unlinked, it is not paused any more. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "p1", NULL));
	EXPECT_READ(r, "other");
	EXPECT_OVER(r, -ECONNABORTED);
	close(r);
	close(w1);
}

TEST_F(links, one_drains)
{
	int w1;

	EXPECT_STREAM(0, "bytes");
	EXPECT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_DRAINING));
	EXPECT_EQ(-EAGAIN, fan_in_writer(&self->fan, 0, O_NONBLOCK));
	w1 = fan_in_writer(&self->fan, 1, O_NONBLOCK);
	ASSERT_LE(0, w1);
	close(w1);
	EXPECT_EQ(FAASIN_LINK_STATE_DRAINING, fan_in_state(&self->fan, 0).link.state);
	EXPECT_NEXT("bytes", 0);
	EXPECT_EQ(FAASIN_LINK_STATE_DRAINED, fan_in_state(&self->fan, 0).link.state);
	EXPECT_EQ(FAASIN_LINK_STATE_RUNNING, fan_in_state(&self->fan, 1).link.state);
	EXPECT_NEXT("", 0);
}

TEST_F(links, each_has_its_capacity)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), w1 = fan_in_writer(&self->fan, 1, 0);

	EXPECT_EQ(0, fan_in_resize(&self->fan, 0, 128 * KIB));
	EXPECT_EQ(128 * KIB, fill(w0, 0));
	EXPECT_EQ(MIB, fill(w1, 1));
	EXPECT_EQ(0, fan_in_resize(&self->fan, 0, 256 * KIB));
	EXPECT_EQ(128 * KIB, fill(w0, 0));
	close(w0);
	close(w1);
}

/* --------------------------------------------------------------------- replacing */

TEST_F(links, a_replaced_reader_leaves_its_stream_where_it_was)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), r = fan_in_reader(&self->fan, 0), next;
	int unused = fan_in_reader(&self->fan, O_NONBLOCK);
	char byte;

	EXPECT_WRITE(w0, "abcdef");
	EXPECT_STREAM(1, "other");
	EXPECT_READ(r, "ab");
	EXPECT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_OVER(r, -ESTALE);
	/* Of the same session, and never used. */
	EXPECT_EQ(-ESTALE, sys(read(unused, &byte, 1)));
	EXPECT_EQ(FAASIN_INFO_REPLACED, port_info(unused).flags & FAASIN_INFO_REPLACED);
	next = fan_in_reader(&self->fan, 0);
	EXPECT_EQ(2, port_info(next).position);
	EXPECT_READ(next, "cdef");
	close(w0);
	EXPECT_OVER(next, 0);
	close(next);
	EXPECT_NEXT("other", 0);
	EXPECT_OVER(r, -ESTALE);
	close(r);
	close(unused);
}

/* One that waits for a stream is told, and takes none. */
TEST_F(links, a_reader_that_waits_is_replaced)
{
	int r = fan_in_reader(&self->fan, 0);
	pid_t pid = child();
	char byte;

	if (!pid)
		_exit(sys(read(r, &byte, 1)) == -ESTALE ? 0 : 1);
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	EXPECT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_STREAM(2, "bytes");
	EXPECT_OVER(r, -ESTALE);
	EXPECT_NEXT("bytes", 0);
	close(r);
}

/* The stream of a deleted link is the input's, too: who takes over reads it on. */
TEST_F(links, a_reader_of_a_deleted_link_is_replaced)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), r = fan_in_reader(&self->fan, 0);

	EXPECT_WRITE(w0, "abcdef");
	EXPECT_READ(r, "ab");
	EXPECT_EQ(0, fan_unlink(&self->fan, "p0", NULL));
	EXPECT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_OVER(r, -ESTALE);
	EXPECT_NEXT("cdef", -ECONNABORTED);
	close(w0);
	close(r);
}

TEST_F(links, a_writer_is_replaced)
{
	int w0 = fan_in_writer(&self->fan, 0, 0), w1 = fan_in_writer(&self->fan, 1, 0);

	EXPECT_WRITE(w0, "abc");
	EXPECT_EQ(0, fan_replace(&self->fan, "p0"));
	EXPECT_EQ(-ESTALE, sys(write(w0, "x", 1)));
	EXPECT_WRITE(w1, "other");
	close(w0);
	close(w1);
	EXPECT_STREAM(0, "def");
	EXPECT_NEXT("abcdef", 0);
	EXPECT_NEXT("other", 0);
}

/* ---------------------------------------------------------------- windows, splice */

/* Each link has a window of its own; a session has that of its stream's link. */
TEST_F(links, windows_are_each_links_own)
{
	struct faasctl_link_options trusted = defaults;
	struct faasin_window_info info;
	struct faasin_range range;
	const uint8_t *in;
	int w, r;
	long at;
	uint8_t *out;

	NEW_STAGES("p4");
	trusted.flags = FAASCTL_TRUSTED;
	trusted.capacity = 128 * KIB;
	EXPECT_EQ(0, fan_link(&self->fan, "p4", "d", &trusted));
	EXPECT_STREAM(0, "written");
	w = fan_in_writer(&self->fan, 4, O_RDWR);
	out = window_map(w, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)out);
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(w, FAASIN_IOC_LANE)));
	at = window_alloc(w, 3);
	ASSERT_LE(0, at);
	memcpy(out + at, "own", 3);
	EXPECT_EQ(0, window_send(w, at, 3));
	close(w);

	r = fan_in_reader(&self->fan, 0);
	info = window_info(r);
	EXPECT_EQ(MIB - PAGE, info.size);
	EXPECT_EQ(0, info.flags);
	in = window_map(r, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)in);
	EXPECT_EQ(1, window_take(r, &range));
	EXPECT_EQ(0, memcmp(in + range.offset, "written", 7));
	EXPECT_EQ(0, window_return(r, range.offset));
	EXPECT_EQ(0, window_take(r, &range));
	munmap((void *)in, info.size + info.landing);
	close(r);

	r = fan_in_reader(&self->fan, 0);
	info = window_info(r);
	EXPECT_EQ(128 * KIB - PAGE, info.size);
	EXPECT_EQ(FAASIN_WINDOW_TRUSTED, info.flags);
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(r, FAASIN_IOC_LANE)));
	in = window_map(r, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)in);
	EXPECT_EQ(1, window_take(r, &range));
	EXPECT_EQ(3, range.length);
	EXPECT_EQ(0, memcmp(in + range.offset, "own", 3));
	/* Replaced, it sees the trusted link's memory no more. */
	EXPECT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_EQ(-SIGBUS, window_peek(in + range.offset));
	munmap((void *)in, info.size + info.landing);
	munmap(out, 128 * KIB - PAGE);
	close(r);
}

/* A call that waits for a stream, with nothing but that to tell it which link it is about. */
TEST_F(links, windows_wait_for_a_stream)
{
	int r = fan_in_reader(&self->fan, 0);
	struct faasin_range range;
	pid_t pid = child();

	if (!pid)
		_exit(window_info(r).size == MIB - PAGE ? 0 : 1);
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	close(fan_in_writer(&self->fan, 1, 0));
	EXPECT_EQ(0, child_end(pid));
	close(r);
	EXPECT_NEXT("", 0);
	r = fan_in_reader(&self->fan, 0);
	pid = child();
	if (!pid)
		_exit(window_take(r, &range) == 1 && range.length == 5 ? 0 : 1);
	EXPECT_TRUE(blocks_in(pid, SYS_ioctl));
	EXPECT_STREAM(0, "bytes");
	EXPECT_EQ(0, child_end(pid));
	EXPECT_OVER(r, 0);
	close(r);
}

TEST_F(links, splice_waits_for_a_stream)
{
	int r = fan_in_reader(&self->fan, 0), pipes[2];
	pid_t pid;
	char buf[8];

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	pid = child();
	if (!pid)
		_exit(sys(splice(r, NULL, pipes[1], NULL, 100, 0)) == 5 ? 0 : 1);
	EXPECT_TRUE(blocks_in(pid, SYS_splice));
	/* Whoever waits does not hold the pipe. */
	EXPECT_EQ(1, write(pipes[1], ">", 1));
	EXPECT_STREAM(2, "bytes");
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(6, read(pipes[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, ">bytes", 6));
	EXPECT_EQ(0, sys(splice(r, NULL, pipes[1], NULL, 100, 0)));
	close(r);
	/* Nobody reads the pipe: that is said before a stream is waited for. */
	close(pipes[0]);
	r = fan_in_reader(&self->fan, 0);
	EXPECT_EQ(-EPIPE, sys(splice(r, NULL, pipes[1], NULL, 1, 0)));
	close(r);
	close(pipes[1]);
}

/* ------------------------------------------------------------ fan-out and fan-in */

static int out(struct fan *f, const char *stage)
{
	return fan_open(f, stage, FAASIN_PORT_OUT, O_WRONLY);
}

static int in(struct fan *f, const char *stage)
{
	return fan_open(f, stage, FAASIN_PORT_IN, O_RDONLY);
}

TEST_F(links, several_to_several)
{
	struct faasctl_link_options trusted = defaults;
	int x, y, r[2], i;

	trusted.flags = FAASCTL_TRUSTED;
	NEW_STAGES("x", "y", "e", "f");
	EXPECT_REFUSED(-EOPNOTSUPP, fan_link(&self->fan, "x,y", "e,f", &trusted));
	EXPECT_EQ(0, fan_link(&self->fan, "x,y", "e,f", NULL));
	EXPECT_EQ(STAGES + 4, fan_links(&self->fan));
	y = out(&self->fan, "y");
	x = out(&self->fan, "x");
	EXPECT_WRITE(x, "of x");
	EXPECT_WRITE(y, "of y");
	for (i = 0; i < 2; i++) {
		r[i] = in(&self->fan, i ? "f" : "e");
		EXPECT_READ(r[i], "of y");
	}
	close(y);
	for (i = 0; i < 2; i++) {
		EXPECT_OVER(r[i], 0);
		close(r[i]);
		r[i] = in(&self->fan, i ? "f" : "e");
		EXPECT_EQ(0, window_info(r[i]).size);
		EXPECT_EQ(EOPNOTSUPP, errno);
		EXPECT_READ(r[i], "of x");
	}
	/* One reader less is no end for the writer. */
	close(r[0]);
	EXPECT_WRITE(x, "more");
	EXPECT_READ(r[1], "more");
	close(r[1]);
	EXPECT_EQ(-EPIPE, sys(write(x, "x", 1)));
	close(x);
	/* Deleting one of four leaves the others. */
	EXPECT_EQ(0, fan_unlink(&self->fan, "x", "e"));
	EXPECT_EQ(STAGES + 3, fan_links(&self->fan));
	EXPECT_EQ(0, fan_link(&self->fan, "x,y", "f,e", NULL));
	EXPECT_EQ(STAGES + 4, fan_links(&self->fan));
}

/* Streams of 1 MiB through links of 64 KiB, from both at once: how many came whole. */
static void send_all(struct fan *f, const char *stage, unsigned int tag, int n)
{
	int fd;

	while (n--) {
		fd = out(f, stage);
		if (fd < 0 || pattern_write(fd, MIB, 30000, tag, 0))
			_exit(1);
		close(fd);
	}
	_exit(0);
}

static void receive_all(struct fan *f, const char *stage, int n)
{
	uint8_t first;
	int fd, i;

	for (i = 0; i < n; i++) {
		uint8_t buf[5000];
		size_t at = 1;
		long got;

		fd = in(f, stage);
		if (fd < 0 || read(fd, &first, 1) != 1)
			_exit(1);
		while ((got = read(fd, buf, sizeof(buf))) > 0) {
			if (!pattern_is(buf, got, first == pattern(1, 0) ? 1 : 2, at))
				_exit(2);
			at += got;
		}
		if (got || at != MIB)
			_exit(3);
		close(fd);
	}
	_exit(0);
}

/* Both inputs have the same order, or each would wait for what the other is to read first. */
TEST_F_TIMEOUT(links, two_inputs_of_the_same_outputs_do_not_wait_for_each_other, 120)
{
	struct faasctl_link_options small = defaults;
	const int n = 20;
	pid_t pids[4];
	int i;

	small.capacity = 64 * KIB;
	NEW_STAGES("x", "y", "e", "f");
	ASSERT_EQ(0, fan_link(&self->fan, "x,y", "e,f", &small));
	for (i = 0; i < 4; i++) {
		pids[i] = child();
		if (pids[i])
			continue;
		if (i < 2)
			send_all(&self->fan, i ? "y" : "x", 1 + i, n);
		else
			receive_all(&self->fan, i == 2 ? "e" : "f", 2 * n);
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, child_end_within(pids[i], 100));
}

#define EMPTY_STREAMS	500	/* of each of two outputs: no input may have 1024 queued */
#define INPUTS		8

/* Begins streams, one after the other, from when both are there. */
static void send_empty(struct fan *f, const char *stage, unsigned int *there)
{
	unsigned int i;
	int fd;

	__atomic_add_fetch(there, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(there, __ATOMIC_SEQ_CST) % 2)
		;
	for (i = 0; i < EMPTY_STREAMS; i++) {
		fd = out(f, stage);
		if (fd < 0)
			_exit(1);
		close(fd);
	}
	_exit(0);
}

/* Which streams an input has, in which order: of which link, and their numbers there. */
static unsigned int receive_empty(struct fan *f, const char *stage, uint64_t (*order)[2])
{
	struct faasin_port_info info;
	unsigned int i;
	int fd;

	for (i = 0; i < 2 * EMPTY_STREAMS; i++) {
		fd = in(f, stage);
		if (read(fd, &info, 1))
			break;
		info = port_info(fd);
		order[i][0] = info.link_generation;
		order[i][1] = info.stream;
		close(fd);
	}
	return i;
}

/*
 * The same said of the order itself, of streams that begin at the same time: the first and the last
 * of many inputs have the outputs' streams in the same order.
 */
TEST_F_TIMEOUT(links, inputs_of_the_same_outputs_have_the_same_order, 240)
{
	uint64_t first[2 * EMPTY_STREAMS][2], last[2 * EMPTY_STREAMS][2];
	unsigned int i, round, wrong = 0, *there = shared(PAGE);
	char name[16], list[INPUTS * 4] = "";
	pid_t pids[2];

	ASSERT_NE(NULL, there);
	NEW_STAGES("x", "y");
	for (i = 0; i < INPUTS; i++) {
		snprintf(name, sizeof(name), "e%u", i);
		ASSERT_EQ(0, fan_stage(&self->fan, name));
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? "," : "",
			 name);
	}
	for (round = 0; round < (20 / slower() ?: 1); round++) {
		ASSERT_EQ(0, fan_link(&self->fan, "x,y", list, NULL));
		for (i = 0; i < 2; i++) {
			pids[i] = child();
			if (!pids[i])
				send_empty(&self->fan, i ? "y" : "x", there);
		}
		for (i = 0; i < 2; i++)
			EXPECT_EQ(0, child_end_within(pids[i], 100));
		EXPECT_EQ(2 * EMPTY_STREAMS, receive_empty(&self->fan, "e0", first));
		EXPECT_EQ(2 * EMPTY_STREAMS, receive_empty(&self->fan, "e7", last));
		/* Links have numbers of their own: it is the output of the first stream, or the other. */
		for (i = 0; i < 2 * EMPTY_STREAMS; i++)
			wrong += first[i][1] != last[i][1] ||
				 (first[i][0] == first[0][0]) != (last[i][0] == last[0][0]);
		for (i = 0; i < INPUTS; i++) {
			snprintf(name, sizeof(name), "e%u", i);
			EXPECT_EQ(0, fan_unlink(&self->fan, "x", name));
			EXPECT_EQ(0, fan_unlink(&self->fan, "y", name));
		}
	}
	EXPECT_EQ(0, wrong);
	munmap(there, PAGE);
}

/* What an input with several links has not got to is as slow as what nobody reads. */
TEST_F(links, a_slow_link_is_dropped)
{
	struct faasctl_link_options drop = fan_slow_options(64 * KIB, FAASIN_SLOW_DROP);
	struct faasctl_link_options keep = fan_slow_options(64 * KIB, FAASIN_SLOW_THROTTLE);
	int w, r, e;
	char buf[16];

	NEW_STAGES("x", "e");
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "x,p0", "e,d", &keep));
	ASSERT_EQ(0, fan_link(&self->fan, "x", "e,d", &keep));
	ASSERT_EQ(0, fan_unlink(&self->fan, "x", "d"));
	ASSERT_EQ(0, fan_link(&self->fan, "x", "d", &drop));
	/* It reads another stream, as long as it likes. */
	w = fan_in_writer(&self->fan, 0, 0);
	EXPECT_WRITE(w, "first");
	r = fan_in_reader(&self->fan, 0);
	EXPECT_READ(r, "fi");
	e = out(&self->fan, "x");
	nonblocking(e);
	EXPECT_EQ(64 * KIB, fill(e, 1));
	{
		int reader = in(&self->fan, "e");

		EXPECT_TRUE(reads(reader, 60 * KIB, 1, 0));
		EXPECT_TRUE(fan_gets_room(e));
		close(reader);
	}
	close(w);
	EXPECT_READ(r, "rst");
	EXPECT_OVER(r, 0);
	close(r);
	r = fan_in_reader(&self->fan, 0);
	EXPECT_EQ(-ECONNABORTED, sys(read(r, buf, sizeof(buf))));
	close(r);
	close(e);
}

TEST_HARNESS_MAIN
