// SPDX-License-Identifier: GPL-2.0
/*
 * copy: what it costs to pass a size on and to receive it, in nanoseconds for both together. In a
 * guest that counts instructions (vm-test/run --icount) that is instructions. It is done
 * several times; the median counts.
 *
 * There is a link from stage a to stage b, and for round trips one from c to d.
 */
#include <limits.h>
#include <sys/mman.h>

#include "links.h"

#define WARM_UP	64	/* writes, and reads, that are not counted */
#define LINE	64

static const char *workflow;
static char *buffer;
static size_t size;
static unsigned long count;

/* One process, a write and a read at a time: nobody waits. */
static uint64_t turns(void)
{
	uint64_t begun = 0;
	unsigned long i;
	int ends[2];

	open_link(workflow, 0, ends, O_WRONLY);
	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			begun = now_ns();
		write_all(ends[1], buffer, size);
		read_all(ends[0], buffer, size);
	}
	begun = now_ns() - begun;
	close_ends(ends);
	return begun;
}

/* Two processes, as fast as each can: each waits for the other now and then. */
static uint64_t stream(void)
{
	unsigned long i;
	uint64_t begun;
	pid_t writer;
	int ends[2];

	open_link(workflow, 0, ends, O_WRONLY);
	writer = fork_or_die();
	if (!writer) {
		for (i = 0; i < WARM_UP + count; i++)
			write_all(ends[1], buffer, size);
		_exit(0);
	}
	for (i = 0; i < WARM_UP; i++)
		read_all(ends[0], buffer, size);
	begun = now_ns();
	for (i = 0; i < count; i++)
		read_all(ends[0], buffer, size);
	begun = now_ns() - begun;
	reap(writer);
	close_ends(ends);
	return begun;
}

/* Two processes, one message under way: each write wakes a sleeper. */
static uint64_t trips(void)
{
	int there[2], back[2];
	uint64_t begun = 0;
	unsigned long i;
	pid_t other;

	open_link(workflow, 0, there, O_WRONLY);
	open_link(workflow, 1, back, O_WRONLY);
	other = fork_or_die();
	if (!other) {
		for (i = 0; i < WARM_UP + count; i++) {
			read_all(there[0], buffer, size);
			write_all(back[1], buffer, size);
		}
		_exit(0);
	}
	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			begun = now_ns();
		write_all(there[1], buffer, size);
		read_all(back[0], buffer, size);
	}
	begun = now_ns() - begun;
	reap(other);
	close_ends(there);
	close_ends(back);
	return begun;
}

static int open_one(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

/* A stream each: opened, written, closed; opened, read to its end, closed. */
static uint64_t streams(void)
{
	char out[PATH_MAX], in[PATH_MAX];
	struct faasctl_error err;
	uint64_t begun = 0;
	unsigned long i;
	int fd;

	if (faasctl_port_path(workflow, "a", "faasout", out, sizeof(out), &err) ||
	    faasctl_port_path(workflow, "b", "faasin", in, sizeof(in), &err))
		die("%s", err.message);
	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			begun = now_ns();
		fd = open_one(out, O_WRONLY);
		write_all(fd, buffer, size);
		close(fd);
		fd = open_one(in, O_RDONLY);
		read_all(fd, buffer, size);
		if (read(fd, buffer, 1))
			die("a stream does not end");
		close(fd);
	}
	return now_ns() - begun;
}

static void splice_all(int in, int out, size_t n)
{
	ssize_t got;

	for (; n; n -= got) {
		got = splice(in, NULL, out, NULL, n, SPLICE_F_MOVE);
		if (got <= 0)
			die("splice: %s", got ? strerror(errno) : "end of file");
	}
}

/*
 * One process: what it writes into a pipe goes through the link into another pipe, and from there
 * to where nobody looks at it. Only the write copies.
 */
static uint64_t splices(void)
{
	int null = open_one("/dev/null", O_WRONLY), ends[2], from[2], to[2];
	uint64_t begun = 0;
	unsigned long i;

	open_link(workflow, 0, ends, O_WRONLY);
	open_pipe(from);
	open_pipe(to);
	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			begun = now_ns();
		write_all(from[1], buffer, size);
		splice_all(from[0], ends[1], size);
		splice_all(ends[0], to[1], size);
		splice_all(to[0], null, size);
	}
	begun = now_ns() - begun;
	close_ends(from);
	close_ends(to);
	close_ends(ends);
	close(null);
	return begun;
}

/* One process: a line at a time, fills memory of the link's and touches what it receives of it. */
static uint64_t window(void)
{
	struct faasctl_window *out, *in;
	struct faasctl_error err;
	volatile char *touched;
	uint64_t begun = 0;
	struct iovec part;
	unsigned long i;
	int ends[2];
	size_t at;

	open_link(workflow, 0, ends, O_RDWR);
	if (faasctl_window_open(&out, ends[1], &err) || faasctl_window_open(&in, ends[0], &err))
		die("%s", err.message);
	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			begun = now_ns();
		part.iov_len = size;
		if (faasctl_window_alloc(out, size, &part.iov_base, &err))
			die("%s", err.message);
		touched = part.iov_base;
		for (at = 0; at < size; at += LINE)
			touched[at] = i;
		if (faasctl_window_send(out, &part, 1, &err) ||
		    faasctl_window_receive(in, &part, 1, &err) != 1)
			die("%s", err.message);
		touched = part.iov_base;
		for (at = 0; at < part.iov_len; at += LINE)
			(void)touched[at];
		if (part.iov_len != size || faasctl_window_release(in, &part, 1, &err))
			die("what came is not what was sent, or cannot be released");
	}
	begun = now_ns() - begun;
	faasctl_window_close(out);
	faasctl_window_close(in);
	close_ends(ends);
	return begun;
}

static const struct way {
	const char *name;
	uint64_t (*run)(void);
} ways[] = {
	{ "turns", turns },
	{ "stream", stream },
	{ "trips", trips },
	{ "streams", streams },
	{ "splice", splices },
	{ "sealed", window },
	{ "trusted", window },
};

static const struct way *way_called(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(name, ways[i].name))
			return &ways[i];
	die("there is no way called %s", name);
}

int main(int argc, char **argv)
{
	struct spread spread = { 0 };
	const struct way *way;
	unsigned long times;

	if (argc != 6)
		die("usage: copy WORKFLOW turns|stream|trips|streams|splice|sealed|trusted SIZE COUNT TIMES");
	workflow = argv[1];
	way = way_called(argv[2]);
	size = strtoul(argv[3], NULL, 10);
	count = strtoul(argv[4], NULL, 10);
	times = strtoul(argv[5], NULL, 10);
	if (!size || !count || !times)
		die("SIZE, COUNT and TIMES are numbers above 0");
	buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED)
		die("no memory");
	for (; times; times--)
		spread_add(&spread, (double)way->run() / count);
	printf("%.1f\n", median(&spread));
	return 0;
}
