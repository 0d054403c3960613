// SPDX-License-Identifier: GPL-2.0
/*
 * copy: what it costs to write and read a size, in nanoseconds for both together. In a
 * guest that counts instructions (vm-test/run --icount) that is instructions. It is done
 * several times; the median counts.
 *
 * There is a link from stage a to stage b, and for round trips one from c to d.
 */
#include <limits.h>
#include <sys/mman.h>

#include "links.h"

#define WARM_UP	64	/* writes, and reads, that are not counted */

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

static const struct way {
	const char *name;
	uint64_t (*run)(void);
} ways[] = {
	{ "turns", turns },
	{ "stream", stream },
	{ "trips", trips },
	{ "streams", streams },
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
		die("usage: copy WORKFLOW turns|stream|trips|streams SIZE COUNT TIMES");
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
