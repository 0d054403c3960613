// SPDX-License-Identifier: GPL-2.0
/* Descriptors that are written to and read from. */
#include <sys/socket.h>
#include <sys/stat.h>

#include "way.h"

#define WORKFLOW	"bench-bytes"
#define FIFO		"/dev/shm/bench-fifo"

void bytes_begin(struct lane *lane, bool producer)
{
	int other = producer ? 0 : 1;

	close(lane->ends[other]);
	lane->ends[other] = -1;
}

char *bytes_memory(struct lane *lane, size_t size)
{
	return lane->own;
}

void bytes_send(struct lane *lane, char *from, size_t size)
{
	write_all(lane->ends[1], from, size);
}

/* Each part is touched while it is still in the cache. */
size_t bytes_receive(struct lane *lane, size_t size)
{
	ssize_t n = read(lane->ends[0], lane->own, size);

	if (n < 0)
		die("%s: read: %s", lane->way->name, strerror(errno));
	if (lane->touch)
		touch(lane->own, n);
	return n;
}

void bytes_close(struct lane *lane)
{
	close(lane->ends[0]);
	close(lane->ends[1]);
}

static void setup_faasin(void)
{
	static const uint64_t usual[2] = { FAASCTL_UNSET64, FAASCTL_UNSET64 };

	make_links(WORKFLOW, usual, 0);
}

static void teardown_faasin(void)
{
	remove_links(WORKFLOW);
}

static void open_faasin(struct lane *lane)
{
	open_link(WORKFLOW, lane->nr, lane->ends, O_WRONLY);
}

static void open_usual_pipe(struct lane *lane)
{
	open_pipe(lane->ends);
}

static void open_1m_pipe(struct lane *lane)
{
	open_large_pipe(lane->ends);
}

static void open_fifo(struct lane *lane)
{
	if (mkfifo(FIFO, 0600))
		die("%s: %s", FIFO, strerror(errno));
	/* Alone, neither end would open without the other. */
	lane->ends[0] = open(FIFO, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	lane->ends[1] = open(FIFO, O_WRONLY | O_CLOEXEC);
	if (lane->ends[0] < 0 || lane->ends[1] < 0 || fcntl(lane->ends[0], F_SETFL, 0) ||
	    unlink(FIFO))
		die("%s: %s", FIFO, strerror(errno));
}

static void open_unix(struct lane *lane)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lane->ends))
		die("socketpair: %s", strerror(errno));
}

static void open_seqpacket(struct lane *lane)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane->ends))
		die("socketpair: %s", strerror(errno));
}

#define BYTES								\
	.uses = WAY_STREAM | WAY_TRIP | WAY_HANDOFF,			\
	.begin = bytes_begin, .memory = bytes_memory,			\
	.send = bytes_send, .receive = bytes_receive, .close = bytes_close

const struct way way_faasin = {
	.name = "FAASIN", .key = "faasin", .open = open_faasin, .workflow = WORKFLOW,
	.setup = setup_faasin, .teardown = teardown_faasin, BYTES,
};

const struct way way_pipe = {
	.name = "default pipe", .key = "pipe", .open = open_usual_pipe, .copies = 2, BYTES,
};

const struct way way_pipe_1m = {
	.name = "1 MiB pipe", .key = "pipe_1m", .open = open_1m_pipe, .copies = 2, BYTES,
};

const struct way way_fifo = {
	.name = "FIFO", .key = "fifo", .open = open_fifo, .copies = 2, BYTES,
};

const struct way way_unix = {
	.name = "AF_UNIX stream", .key = "unix", .open = open_unix, .copies = 2, BYTES,
};

/* A record has to fit the default send buffer, whose overhead it shares. */
const struct way way_seqpacket = {
	.name = "AF_UNIX seqpacket", .key = "seqpacket", .open = open_seqpacket, .copies = 2,
	.most = 128 << 10, BYTES,
};
