// SPDX-License-Identifier: GPL-2.0
/*
 * rw: bytes a second through write() and read(), and the round trip of a small
 * message, beside the kernel's own ways to do the same.
 *
 * Every way is driven by the same code through struct transport. Ways take
 * turns within a repetition, so that a change of the machine's load hits all of
 * them.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include "links.h"

#define SECONDS		0.4	/* that a stream lasts */
#define ROUND_TRIPS	500	/* of a repetition */
#define MESSAGE		64	/* bytes of a round trip's message */
#define WORKFLOW	"bench-rw"

/**
 * struct transport - a way to move bytes from one process to another
 * @name: in the tables
 * @key: in the JSON
 * @open: opens a new way; @ends receives {reading end, writing end}, @lane says
 *	which of two independent ones
 */
struct transport {
	const char *name;
	const char *key;
	void (*open)(int ends[2], int lane);
};

static void open_faasin(int ends[2], int lane)
{
	open_link(WORKFLOW, lane, ends, O_WRONLY);
}

static void open_usual_pipe(int ends[2], int lane)
{
	open_pipe(ends);
}

static void open_1m_pipe(int ends[2], int lane)
{
	open_large_pipe(ends);
}

static void open_unix(int ends[2], int lane)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		die("socketpair: %s", strerror(errno));
}

static const struct transport transports[] = {
	{ "FAASIN", "faasin", open_faasin },
	{ "default pipe", "pipe", open_usual_pipe },
	{ "1 MiB pipe", "pipe_1m", open_1m_pipe },
	{ "AF_UNIX stream", "unix", open_unix },
};

#define N_TRANSPORTS	ARRAY_SIZE(transports)

static const struct {
	const char *name;
	size_t size;
} chunks[] = {
	{ "512 B", 512 },
	{ "4 KiB", 4096 },
	{ "64 KiB", 65536 },
	{ "1 MiB", MIB },
};

#define N_CHUNKS	ARRAY_SIZE(chunks)

/**
 * struct shared - what the two processes of a measurement tell each other
 * @ready: how many of them wait for the start
 * @begun: when the producer began
 * @bytes: what it wrote
 */
static struct shared {
	int ready;
	uint64_t begun;
	uint64_t bytes;
} *shared;

static char *buffer;

static void meet(void)
{
	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
}

static void produce(int fd, size_t chunk)
{
	/* Asking for the time costs more than a small write. */
	size_t batch = chunk < 65536 ? 65536 / chunk : 1, i;
	uint64_t end, bytes = 0;

	meet();
	shared->begun = now_ns();
	end = shared->begun + SECONDS * 1e9;
	do {
		for (i = 0; i < batch; i++)
			write_all(fd, buffer, chunk);
		bytes += batch * chunk;
	} while (now_ns() < end);
	shared->bytes = bytes;
}

static double consume(int fd, size_t chunk)
{
	uint64_t bytes = 0;
	ssize_t n;

	meet();
	while ((n = read(fd, buffer, chunk)) > 0)
		bytes += n;
	if (n < 0)
		die("read: %s", strerror(errno));
	n = now_ns() - shared->begun;
	if (bytes != shared->bytes)
		die("%llu bytes written, %llu read",
		    (unsigned long long)shared->bytes, (unsigned long long)bytes);
	return bytes * 1e9 / n;
}

static pid_t fork_other(void)
{
	memset(shared, 0, sizeof(*shared));
	return fork_or_die();
}

/* Bytes a second of one stream. */
static double stream(const struct transport *transport, size_t chunk,
		     const int cpus[2])
{
	double rate;
	pid_t child;
	int ends[2];

	transport->open(ends, 0);
	child = fork_other();
	if (!child) {
		pin(cpus[1]);
		close(ends[0]);
		produce(ends[1], chunk);
		close(ends[1]);
		_exit(0);
	}
	pin(cpus[0]);
	close(ends[1]);
	rate = consume(ends[0], chunk);
	close(ends[0]);
	reap(child);
	return rate;
}

/* Median of the round trips of one repetition, in nanoseconds. */
static double round_trip(const struct transport *transport, const int cpus[2])
{
	static double times[ROUND_TRIPS];
	char message[MESSAGE] = { 0 };
	int there[2], back[2], i;
	uint64_t begun;
	pid_t child;

	transport->open(there, 0);
	transport->open(back, 1);
	child = fork_other();
	if (!child) {
		pin(cpus[1]);
		close(there[1]);
		close(back[0]);
		meet();
		for (i = 0; i < ROUND_TRIPS; i++) {
			read_all(there[0], message, sizeof(message));
			write_all(back[1], message, sizeof(message));
		}
		_exit(0);
	}
	pin(cpus[0]);
	close(there[0]);
	close(back[1]);
	meet();
	for (i = 0; i < ROUND_TRIPS; i++) {
		begun = now_ns();
		write_all(there[1], message, sizeof(message));
		read_all(back[0], message, sizeof(message));
		times[i] = now_ns() - begun;
	}
	reap(child);
	close(there[1]);
	close(back[0]);
	qsort(times, ROUND_TRIPS, sizeof(times[0]), bench_compare);
	return times[ROUND_TRIPS / 2];
}

static void table_head(const char *what)
{
	size_t t;

	printf("| %s |", what);
	for (t = 0; t < N_TRANSPORTS; t++)
		printf(" %s |", transports[t].name);
	for (t = 1; t < N_TRANSPORTS; t++)
		printf(" against %s |", transports[t].name);
	printf("\n| --- |");
	for (t = 1; t < 2 * N_TRANSPORTS; t++)
		printf(" ---: |");
	putchar('\n');
}

/*
 * The spread of a ratio is that of the repetitions' own ratios: both sides of
 * one were measured within a second or so.
 */
static void table_row(const char *name, const struct spread *spreads,
		      const struct spread *ratios, double unit)
{
	size_t t;

	printf("| %s |", name);
	for (t = 0; t < N_TRANSPORTS; t++)
		printf(" %.0f (%.0f-%.0f) |", median(&spreads[t]) / unit,
		       lowest(&spreads[t]) / unit, highest(&spreads[t]) / unit);
	for (t = 1; t < N_TRANSPORTS; t++)
		printf(" %.2f (%.2f-%.2f) |", median(&ratios[t]),
		       lowest(&ratios[t]), highest(&ratios[t]));
	putchar('\n');
}

static void json_row(FILE *json, const struct spread *spreads,
		     const struct spread *ratios)
{
	size_t t;

	for (t = 0; t < N_TRANSPORTS; t++) {
		fprintf(json, "%s\"%s\": ", t ? ", " : "{", transports[t].key);
		spread_json(&spreads[t], json);
		if (t) {
			fprintf(json, ", \"faasin_against_%s\": ", transports[t].key);
			spread_json(&ratios[t], json);
		}
	}
	fputc('}', json);
}

/* A repetition before the first one warms up, and is not counted. */
static void measure(double (*one)(const struct transport *, size_t, const int *),
		    size_t chunk, const int cpus[2],
		    struct spread *spreads, struct spread *ratios)
{
	double values[N_TRANSPORTS];
	size_t t;
	int i;

	memset(spreads, 0, N_TRANSPORTS * sizeof(*spreads));
	memset(ratios, 0, N_TRANSPORTS * sizeof(*ratios));
	for (i = -1; i < REPEATS; i++) {
		for (t = 0; t < N_TRANSPORTS; t++)
			values[t] = one(&transports[t], chunk, cpus);
		for (t = 0; i >= 0 && t < N_TRANSPORTS; t++) {
			spread_add(&spreads[t], values[t]);
			spread_add(&ratios[t], values[0] / values[t]);
		}
	}
}

static double one_stream(const struct transport *transport, size_t chunk,
			 const int *cpus)
{
	return stream(transport, chunk, cpus);
}

static double one_round_trip(const struct transport *transport, size_t chunk,
			     const int *cpus)
{
	return round_trip(transport, cpus);
}

static void both(const char *where, const char *key, const int cpus[2],
		 FILE *json)
{
	struct spread spreads[N_TRANSPORTS], ratios[N_TRANSPORTS];
	size_t i;

	fprintf(json, "\"%s\": {\"bytes_per_second\": {", key);
	printf("\nMB/s, %s: median of %d (min-max)\n\n", where, REPEATS);
	table_head("chunk");
	for (i = 0; i < N_CHUNKS; i++) {
		progress("write and read, %s, chunks of %s", where, chunks[i].name);
		measure(one_stream, chunks[i].size, cpus, spreads, ratios);
		table_row(chunks[i].name, spreads, ratios, 1e6);
		fprintf(json, "%s\"%zu\": ", i ? ", " : "", chunks[i].size);
		json_row(json, spreads, ratios);
	}
	progress("round trips, %s", where);
	measure(one_round_trip, MESSAGE, cpus, spreads, ratios);
	printf("\nRound trip of %d bytes in us, %s: median of %d (min-max) of the median of %d\n\n",
	       MESSAGE, where, REPEATS, ROUND_TRIPS);
	table_head("");
	table_row("p50", spreads, ratios, 1e3);
	fprintf(json, "}, \"round_trip_ns\": ");
	json_row(json, spreads, ratios);
	fputc('}', json);
}

int main(void)
{
	static const uint64_t usual[2] = { FAASCTL_UNSET64, FAASCTL_UNSET64 };
	static const int two[2] = { 0, 1 }, one[2] = { 0, 0 };
	FILE *json = open_json();

	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	buffer = aligned_alloc(4096, MIB);
	if (shared == MAP_FAILED || !buffer)
		die("no memory");
	memset(buffer, 'x', MIB);
	make_links(WORKFLOW, usual);
	fputc('{', json);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
		both("two CPUs, one for each side", "two_cpus", two, json);
		fputs(", ", json);
	}
	both("both sides on one CPU", "one_cpu", one, json);
	close_json(json);
	remove_links(WORKFLOW);
	return 0;
}
