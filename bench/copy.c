// SPDX-License-Identifier: GPL-2.0
/*
 * copy: what it costs to write and read a size, in nanoseconds for both together. In a
 * guest that counts instructions (vm-test/run --icount) that is instructions.
 *
 * There is a link from stage a to stage b, and for round trips one from c to d.
 */
#include <limits.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "bench.h"

#define WARM_UP	64	/* writes, and reads, that are not counted */

static const char *workflow;
static char *buffer;
static size_t size;
static unsigned long count;

static void write_one(int out)
{
	if (write(out, buffer, size) != (ssize_t)size)
		die("write: %s", strerror(errno));
}

static void read_one(int in)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < size; done += n) {
		n = read(in, buffer, size - done);
		if (n <= 0)
			die("read: %s", n ? strerror(errno) : "end of file");
	}
}

/* One process, a write and a read at a time: nobody waits. */
static uint64_t turns(void)
{
	int out = open_port(workflow, "a", "faasout", O_WRONLY);
	int in = open_port(workflow, "b", "faasin", O_RDONLY);
	uint64_t begun = 0;
	unsigned long i;

	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			begun = now_ns();
		write_one(out);
		read_one(in);
	}
	return now_ns() - begun;
}

/* Two processes, as fast as each can: each waits for the other now and then. */
static uint64_t stream(void)
{
	int out = open_port(workflow, "a", "faasout", O_WRONLY);
	int in = open_port(workflow, "b", "faasin", O_RDONLY);
	unsigned long i;
	uint64_t begun;
	pid_t writer;
	int status;

	writer = fork();
	if (writer < 0)
		die("fork: %s", strerror(errno));
	if (!writer) {
		for (i = 0; i < WARM_UP + count; i++)
			write_one(out);
		_exit(0);
	}
	for (i = 0; i < WARM_UP; i++)
		read_one(in);
	begun = now_ns();
	for (i = 0; i < count; i++)
		read_one(in);
	begun = now_ns() - begun;
	if (waitpid(writer, &status, 0) != writer || status)
		die("the writer failed");
	return begun;
}

/* Two processes, one message under way: each write wakes a sleeper. */
static uint64_t trips(void)
{
	int out = open_port(workflow, "a", "faasout", O_WRONLY);
	int in = open_port(workflow, "b", "faasin", O_RDONLY);
	int back = open_port(workflow, "c", "faasout", O_WRONLY);
	int home = open_port(workflow, "d", "faasin", O_RDONLY);
	uint64_t begun = 0;
	unsigned long i;
	pid_t other;
	int status;

	other = fork();
	if (other < 0)
		die("fork: %s", strerror(errno));
	if (!other) {
		for (i = 0; i < WARM_UP + count; i++) {
			read_one(in);
			write_one(back);
		}
		_exit(0);
	}
	for (i = 0; i < WARM_UP + count; i++) {
		if (i == WARM_UP)
			begun = now_ns();
		write_one(out);
		read_one(home);
	}
	begun = now_ns() - begun;
	if (waitpid(other, &status, 0) != other || status)
		die("the other side failed");
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
		write_one(fd);
		close(fd);
		fd = open_one(in, O_RDONLY);
		read_one(fd);
		if (read(fd, buffer, 1))
			die("a stream does not end");
		close(fd);
	}
	return now_ns() - begun;
}

static const struct {
	const char *name;
	uint64_t (*run)(void);
} ways[] = {
	{ "turns", turns },
	{ "stream", stream },
	{ "trips", trips },
	{ "streams", streams },
};

int main(int argc, char **argv)
{
	unsigned long ns = 0;
	size_t i;

	if (argc != 5)
		die("usage: copy WORKFLOW turns|stream|trips|streams SIZE COUNT");
	workflow = argv[1];
	size = strtoul(argv[3], NULL, 10);
	count = strtoul(argv[4], NULL, 10);
	if (!size || !count)
		die("SIZE and COUNT are numbers above 0");
	buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED)
		die("no memory");
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(argv[2], ways[i].name))
			ns = ways[i].run();
	if (!ns)
		die("there is no way called %s", argv[2]);
	printf("%.1f\n", (double)ns / count);
	return 0;
}
