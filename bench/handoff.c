// SPDX-License-Identifier: GPL-2.0
/*
 * handoff: how long it takes from data that lies ready at the producer until the
 * consumer has touched every line of it, and how long the producer then takes to
 * fill its memory anew, which is where a sealed window pays.
 *
 * The consumer waits in its call before each hand-off. Ways take turns within a
 * repetition, so that a change of the machine's load hits all of them. In both
 * processes all memory was touched before anything is measured.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "links.h"

#define WORKFLOW	"bench-handoff"
#define CAPACITY	(64u * MIB)
#define LARGEST		16000000
#define ROUNDS		15	/* of a repetition; the median counts */
#define LINE		64

struct lane;

/**
 * struct way - a way to hand data off
 * @name: in the tables
 * @key: in the JSON
 * @open: opens both ends
 * @memory: where the producer is to fill @size bytes
 * @send: hands it off
 * @receive: touches all @size bytes of the next hand-off
 * @done: what the consumer does afterwards, beside the clock
 */
struct way {
	const char *name;
	const char *key;
	void (*open)(int ends[2]);
	char *(*memory)(struct lane *lane, size_t size);
	void (*send)(struct lane *lane, char *from, size_t size);
	void (*receive)(struct lane *lane, size_t size);
	void (*done)(struct lane *lane);
};

/**
 * struct lane - a way that is open
 * @ends: {reading end, writing end}
 * @window: of this process's end, or NULL
 * @taken: what the consumer has of it
 * @own: memory of this process
 * @ready: the consumer is about to receive: a byte; has received: the time
 */
struct lane {
	int ends[2];
	struct faasctl_window *window;
	struct iovec taken;
	char *own;
	int ready[2];
};

static struct faasctl_error err;

static void touch(const char *at, size_t size)
{
	const volatile char *p = at;
	size_t i;

	for (i = 0; i < size; i += LINE)
		(void)p[i];
}

static void fill(char *at, size_t size, char with)
{
	volatile char *p = at;
	size_t i;

	for (i = 0; i < size; i += LINE)
		p[i] = with;
}

static void open_faasin(int ends[2])
{
	open_link(WORKFLOW, 0, ends, O_RDWR);
}

static void open_window(int ends[2])
{
	open_link(WORKFLOW, 1, ends, O_RDWR);
}

static char *memory_own(struct lane *lane, size_t size)
{
	return lane->own;
}

static void send_bytes(struct lane *lane, char *from, size_t size)
{
	write_all(lane->ends[1], from, size);
}

/* Each part is touched while it is still in the cache. */
static void receive_bytes(struct lane *lane, size_t size)
{
	ssize_t n;

	for (; size; size -= n) {
		n = read(lane->ends[0], lane->own, size);
		if (n <= 0)
			die("read: %s", strerror(errno));
		touch(lane->own, n);
	}
}

static void done_bytes(struct lane *lane)
{
}

static char *memory_window(struct lane *lane, size_t size)
{
	void *at;

	if (!lane->window && faasctl_window_open(&lane->window, lane->ends[1], &err))
		die("%s", err.message);
	if (faasctl_window_alloc(lane->window, size, &at, &err))
		die("%s", err.message);
	return at;
}

static void send_window(struct lane *lane, char *from, size_t size)
{
	struct iovec part = { from, size };

	if (faasctl_window_send(lane->window, &part, 1, &err))
		die("%s", err.message);
}

static void receive_window(struct lane *lane, size_t size)
{
	if (!lane->window && faasctl_window_open(&lane->window, lane->ends[0], &err))
		die("%s", err.message);
	if (faasctl_window_receive(lane->window, &lane->taken, 1, &err) != 1)
		die("%s", err.message);
	touch(lane->taken.iov_base, lane->taken.iov_len);
}

static void done_window(struct lane *lane)
{
	if (faasctl_window_release(lane->window, &lane->taken, 1, &err))
		die("%s", err.message);
}

#define BYTES	memory_own, send_bytes, receive_bytes, done_bytes

static const struct way ways[] = {
	{ "sealed window", "sealed", open_window,
	  memory_window, send_window, receive_window, done_window },
	{ "FAASIN", "faasin", open_faasin, BYTES },
	{ "default pipe", "pipe", open_pipe, BYTES },
	{ "1 MiB pipe", "pipe_1m", open_large_pipe, BYTES },
};

#define N_WAYS	ARRAY_SIZE(ways)

static const struct {
	const char *name;
	size_t size;
} sizes[] = {
	{ "32 KB", 32000 },
	{ "1.6 MB", 1600000 },
	{ "16 MB", LARGEST },
};

static void consume(const struct way *way, struct lane *lane, size_t size, int cpu)
{
	uint64_t now;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(cpu);
	memset(lane->own, 1, size);
	for (i = 0; i < ROUNDS; i++) {
		if (write(lane->ready[1], "", 1) != 1)
			die("cannot tell the producer: %s", strerror(errno));
		way->receive(lane, size);
		now = now_ns();
		way->done(lane);
		if (write(lane->ready[1], &now, sizeof(now)) != sizeof(now))
			die("cannot tell the producer: %s", strerror(errno));
	}
	_exit(0);
}

/* Medians, in ns, of hand-offs and of the fills before them. */
static void hand_off(const struct way *way, size_t size, const int cpus[2], double *handed,
		     double *filled)
{
	struct lane lane = { .own = NULL };
	double took[ROUNDS], fills[ROUNDS];
	uint64_t begun, ended;
	char *from, byte;
	pid_t pid;
	int i;

	lane.own = aligned_alloc(4096, LARGEST + 4096 - LARGEST % 4096);
	if (!lane.own)
		die("no memory");
	open_pipe(lane.ready);
	way->open(lane.ends);
	pid = fork_or_die();
	if (!pid)
		consume(way, &lane, size, cpus[1]);
	pin(cpus[0]);
	memset(lane.own, 1, size);
	for (i = 0; i < ROUNDS; i++) {
		begun = now_ns();
		from = way->memory(&lane, size);
		fill(from, size, i);
		fills[i] = now_ns() - begun;
		if (read(lane.ready[0], &byte, 1) != 1)
			die("the consumer died");
		usleep(2000);
		begun = now_ns();
		way->send(&lane, from, size);
		if (read(lane.ready[0], &ended, sizeof(ended)) != sizeof(ended))
			die("the consumer died");
		took[i] = (double)ended - begun;
	}
	reap(pid);
	faasctl_window_close(lane.window);
	close_ends(lane.ends);
	close_ends(lane.ready);
	free(lane.own);
	qsort(took, ROUNDS, sizeof(double), bench_compare);
	/* The first fill of a window gets its memory. */
	qsort(fills + 1, ROUNDS - 1, sizeof(double), bench_compare);
	*handed = took[ROUNDS / 2];
	*filled = fills[1 + (ROUNDS - 1) / 2];
}

static void row(const char *name, const char *what, const struct spread *spreads)
{
	size_t w;

	printf("| %s | %s ", name, what);
	for (w = 0; w < N_WAYS; w++)
		printf("| %.0f (%.0f-%.0f) ", median(&spreads[w]) / 1e3,
		       lowest(&spreads[w]) / 1e3, highest(&spreads[w]) / 1e3);
	for (w = 1; w < N_WAYS; w++)
		printf("| %.1f ", median(&spreads[w]) / median(&spreads[0]));
	puts("|");
}

static void json_row(FILE *json, const char *key, const struct spread *spreads)
{
	size_t w;

	fprintf(json, "\"%s\": {", key);
	for (w = 0; w < N_WAYS; w++) {
		fprintf(json, "%s\"%s\": ", w ? ", " : "", ways[w].key);
		spread_json(&spreads[w], json);
	}
	fputc('}', json);
}

static void measure(size_t s, const int cpus[2], FILE *json)
{
	struct spread handed[N_WAYS] = { 0 }, filled[N_WAYS] = { 0 }, both[N_WAYS] = { 0 };
	double hand, took;
	size_t w;
	int i;

	progress("hand-off of %s", sizes[s].name);
	for (i = 0; i < REPEATS; i++) {
		for (w = 0; w < N_WAYS; w++) {
			hand_off(&ways[w], sizes[s].size, cpus, &hand, &took);
			spread_add(&handed[w], hand);
			spread_add(&filled[w], took);
			spread_add(&both[w], hand + took);
		}
	}
	row(sizes[s].name, "hand-off", handed);
	row(sizes[s].name, "next fill", filled);
	row(sizes[s].name, "both", both);
	fprintf(json, "%s\"%zu\": {", s ? ", " : "", sizes[s].size);
	json_row(json, "handoff_ns", handed);
	fputs(", ", json);
	json_row(json, "fill_ns", filled);
	fputc('}', json);
}

int main(void)
{
	static const uint64_t capacities[2] = { MIB, CAPACITY };
	int cpus[2] = { 0, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0 };
	FILE *json = open_json();
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_links(WORKFLOW, capacities);
	printf("\nHand-off in us until the consumer has touched every line, and the producer's next fill, on CPUs %d and %d: median of %d (min-max) of the median of %d\n\n",
	       cpus[0], cpus[1], REPEATS, ROUNDS);
	printf("| size | what ");
	for (i = 0; i < N_WAYS; i++)
		printf("| %s ", ways[i].name);
	for (i = 1; i < N_WAYS; i++)
		printf("| x %s ", ways[i].name);
	printf("|\n| --- | --- ");
	for (i = 1; i < 2 * N_WAYS; i++)
		printf("| ---: ");
	puts("|");
	fputc('{', json);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		measure(i, cpus, json);
	close_json(json);
	remove_links(WORKFLOW);
	return 0;
}
