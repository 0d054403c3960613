// SPDX-License-Identifier: GPL-2.0
/*
 * copy: what it costs to write and read a size, in nanoseconds for both together. In a
 * guest that counts instructions (vm-test/run --icount) that is instructions.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "bench.h"

#define WARM_UP	64	/* writes, and reads, that are not counted */

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
static uint64_t turns(int out, int in)
{
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
static uint64_t stream(int out, int in)
{
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

static const struct {
	const char *name;
	uint64_t (*run)(int out, int in);
} ways[] = {
	{ "turns", turns },
	{ "stream", stream },
};

int main(int argc, char **argv)
{
	unsigned long ns = 0;
	int out, in;
	size_t i;

	if (argc != 5)
		die("usage: copy WORKFLOW turns|stream SIZE COUNT: from its stage a to its stage b");
	size = strtoul(argv[3], NULL, 10);
	count = strtoul(argv[4], NULL, 10);
	if (!size || !count)
		die("SIZE and COUNT are numbers above 0");
	buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED)
		die("no memory");
	out = open_port(argv[1], "a", "faasout", O_WRONLY);
	in = open_port(argv[1], "b", "faasin", O_RDONLY);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(argv[2], ways[i].name))
			ns = ways[i].run(out, in);
	if (!ns)
		die("there is no way called %s", argv[2]);
	printf("%.1f\n", (double)ns / count);
	return 0;
}
