// SPDX-License-Identifier: GPL-2.0
/*
 * splice() and sendfile() with a link between. The pipes are filled and emptied by
 * write() and read(), as by programs to the left and to the right.
 */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "way.h"

#define WORKFLOW	"bench-reference"
#define FILE_WORKFLOW	"bench-sendfile"

static const uint64_t usual[2] = { FAASCTL_UNSET64, FAASCTL_UNSET64 };

static void setup_splice(void)
{
	make_links(WORKFLOW, usual, 0);
}

static void teardown_splice(void)
{
	remove_links(WORKFLOW);
}

static void open_splice(struct lane *lane)
{
	open_link(WORKFLOW, lane->nr, lane->ends, O_WRONLY);
}

static void begin_splice(struct lane *lane, bool producer)
{
	bytes_begin(lane, producer);
	open_large_pipe(lane->via);
}

static void send_splice(struct lane *lane, char *from, size_t size)
{
	size_t part, left;
	ssize_t n;

	for (; size; size -= part, from += part) {
		part = size < MIB ? size : MIB;
		write_all(lane->via[1], from, part);
		for (left = part; left; left -= n) {
			n = splice(lane->via[0], NULL, lane->ends[1], NULL, left, SPLICE_F_MOVE);
			if (n <= 0)
				die("splice into a port: %s", strerror(errno));
		}
	}
}

static size_t receive_splice(struct lane *lane, size_t size)
{
	ssize_t n;

	n = splice(lane->ends[0], NULL, lane->via[1], NULL, size < MIB ? size : MIB, SPLICE_F_MOVE);
	if (n < 0)
		die("splice from a port: %s", strerror(errno));
	read_all(lane->via[0], lane->own, n);
	if (lane->touch)
		touch(lane->own, n);
	return n;
}

static void close_splice(struct lane *lane)
{
	bytes_close(lane);
	close_ends(lane->via);
}

const struct way way_splice = {
	.name = "FAASIN splice", .key = "splice", .copies = 2, .workflow = WORKFLOW,
	.uses = WAY_STREAM | WAY_TRIP | WAY_HANDOFF,
	.setup = setup_splice, .teardown = teardown_splice, .open = open_splice,
	.begin = begin_splice, .memory = bytes_memory, .send = send_splice,
	.receive = receive_splice, .close = close_splice,
};

static void setup_sendfile(void)
{
	make_links(FILE_WORKFLOW, usual, 0);
}

static void teardown_sendfile(void)
{
	remove_links(FILE_WORKFLOW);
}

static void open_sendfile(struct lane *lane)
{
	open_link(FILE_WORKFLOW, lane->nr, lane->ends, O_WRONLY);
}

/* The file is the producer's memory: it lies ready in the page cache. */
static void begin_sendfile(struct lane *lane, bool producer)
{
	bytes_begin(lane, producer);
	if (!producer)
		return;
	lane->file = memfd_create("bench", MFD_CLOEXEC);
	if (lane->file < 0 || ftruncate(lane->file, lane->size) ||
	    mmap(lane->own, lane->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 lane->file, 0) == MAP_FAILED)
		die("memfd: %s", strerror(errno));
}

static void send_sendfile(struct lane *lane, char *from, size_t size)
{
	off_t at = from - lane->own;
	ssize_t n;

	for (; size; size -= n) {
		n = sendfile(lane->ends[1], lane->file, &at, size);
		if (n <= 0)
			die("sendfile into a port: %s", strerror(errno));
	}
}

static void close_sendfile(struct lane *lane)
{
	bytes_close(lane);
	close(lane->file);
}

const struct way way_sendfile = {
	.name = "FAASIN sendfile", .key = "sendfile", .workflow = FILE_WORKFLOW,
	.uses = WAY_STREAM | WAY_HANDOFF,
	.setup = setup_sendfile, .teardown = teardown_sendfile, .open = open_sendfile,
	.begin = begin_sendfile, .memory = bytes_memory, .send = send_sendfile,
	.receive = bytes_receive, .close = close_sendfile,
};
