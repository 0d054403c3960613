// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes a second through the channel in user space, beside the pipes and sockets of this machine.
 * Two threads of one process, so that no way changes address spaces. Ways take turns
 * within a repetition: what else the machine does hits all of them.
 *
 * In user space a call of the channel's is no system call. So that it is not compared
 * with what it saves there alone, one way makes the cheapest system call with each call.
 */
#include "world.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "../bench/bench.h"

#define SECONDS		0.25	/* that a stream lasts */
#define CAPACITY	FAASIN_CAPACITY_DEFAULT
#define CHUNK_MAX	65536

/**
 * struct way - a way to move bytes from one thread to another
 * @name: in the tables
 * @open: opens a new one: @fds, or @files
 * @syscall: makes one with each call
 */
struct way {
	const char *name;
	void (*open)(int fds[2]);
	bool syscall;
};

static void open_pipe(int fds[2])
{
	if (pipe(fds))
		die("pipe: %s", strerror(errno));
}

static void open_large_pipe(int fds[2])
{
	open_pipe(fds);
	if (fcntl(fds[1], F_SETPIPE_SZ, CAPACITY) != CAPACITY)
		die("cannot make a pipe of 1 MiB: %s", strerror(errno));
}

static void open_unix(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		die("socketpair: %s", strerror(errno));
}

static const struct way ways[] = {
	{ "channel", NULL, false },
	{ "channel, and a system call each", NULL, true },
	{ "default pipe", open_pipe, false },
	{ "1 MiB pipe", open_large_pipe, false },
	{ "AF_UNIX stream", open_unix, false },
};

#define N_WAYS	ARRAY_SIZE(ways)

/**
 * struct run - one stream
 * @way: how
 * @chunk: bytes of a call
 * @cpus: the consumer's and the producer's
 * @fds: reading end, writing end
 * @files: likewise
 * @begun: when the producer began
 * @bytes: that it wrote
 * @ready: threads that wait for the start
 */
struct run {
	const struct way *way;
	size_t chunk;
	const int *cpus;
	int fds[2];
	struct file *files[2];
	u64 begun;
	u64 bytes;
	int ready;
};

static void meet(struct run *r)
{
	__atomic_add_fetch(&r->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&r->ready, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
}

/* One call at one end. */
static ssize_t call(struct run *r, int end, char *buffer)
{
	if (r->way->open)
		return end ? write(r->fds[1], buffer, r->chunk) : read(r->fds[0], buffer, r->chunk);
	if (r->way->syscall)
		syscall(SYS_getppid);
	return end ? port_write(r->files[1], buffer, r->chunk) :
		     port_read(r->files[0], buffer, r->chunk);
}

static void close_end(struct run *r, int end)
{
	if (r->way->open)
		close(r->fds[end]);
	else
		port_close(r->files[end]);
}

static void *produce(void *arg)
{
	static char buffer[CHUNK_MAX] __attribute__((aligned(4096)));
	struct run *r = arg;
	ssize_t n;
	u64 end;
	int i;

	pin(r->cpus[1]);
	task_begin("producer", 0);
	memset(buffer, 'x', sizeof(buffer));
	meet(r);
	r->begun = now_ns();
	end = r->begun + SECONDS * 1e9;
	do {
		/* Asking for the time costs more than a small write. */
		for (i = 0; i < 16; i++) {
			n = call(r, 1, buffer);
			if (n <= 0)
				die("%s: writing failed", r->way->name);
			r->bytes += n;
		}
	} while (now_ns() < end);
	close_end(r, 1);
	task_end();
	return NULL;
}

/* Bytes a second. */
static double stream(const struct way *way, size_t chunk, const int cpus[2])
{
	static char buffer[CHUNK_MAX] __attribute__((aligned(4096)));
	struct run r = { .way = way, .chunk = chunk, .cpus = cpus };
	struct world *w = NULL;
	pthread_t thread;
	u64 bytes = 0;
	double rate;
	ssize_t n;
	int err;

	if (way->open) {
		way->open(r.fds);
	} else {
		w = world_link(CAPACITY, FAASIN_ABORT_ON_CRASH, FAASIN_EARLY_CLOSE_EPIPE);
		r.files[0] = port_open(w, FAASIN_DIRECTION_IN, false, &err);
		r.files[1] = port_open(w, FAASIN_DIRECTION_OUT, false, &err);
	}
	pin(cpus[0]);
	WRITE_ONCE(current->cpu, cpus[0]);
	if (pthread_create(&thread, NULL, produce, &r))
		die("no thread");
	meet(&r);
	while ((n = call(&r, 0, buffer)) > 0)
		bytes += n;
	rate = bytes * 1e9 / (now_ns() - r.begun);
	pthread_join(thread, NULL);
	if (n || bytes != r.bytes)
		die("%s: %llu bytes written, %llu read", way->name, r.bytes, bytes);
	close_end(&r, 0);
	if (w) {
		world_unlink(w);
		world_free(w);
	}
	return rate;
}

/* -------------------------------------------------- how far the CPUs are apart */

#define TURNS	20000

static struct {
	int turn __attribute__((aligned(64)));
	const int *cpus;
} ball;

static void play(int me)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		while (__atomic_load_n(&ball.turn, __ATOMIC_ACQUIRE) != me)
			cpu_relax();
		__atomic_store_n(&ball.turn, !me, __ATOMIC_RELEASE);
	}
}

static void *play_back(void *arg)
{
	pin(ball.cpus[1]);
	play(1);
	return NULL;
}

/* Nanoseconds that a line takes to the other CPU and back. */
static double spin_round_trip(const int cpus[2])
{
	pthread_t thread;
	u64 begun;

	ball.cpus = cpus;
	pin(cpus[0]);
	__atomic_store_n(&ball.turn, 0, __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, play_back, NULL))
		die("no thread");
	begun = now_ns();
	play(0);
	pthread_join(thread, NULL);
	return (double)(now_ns() - begun) / TURNS;
}

/* ------------------------------------------------------------------- tables */

static void measure(size_t chunk, const int cpus[2])
{
	struct spread rates[N_WAYS] = { 0 }, ratios[N_WAYS] = { 0 };
	double values[N_WAYS];
	size_t t;
	int i;

	/* One to warm up. */
	for (i = -1; i < REPEATS; i++) {
		for (t = 0; t < N_WAYS; t++)
			values[t] = stream(&ways[t], chunk, cpus);
		for (t = 0; i >= 0 && t < N_WAYS; t++) {
			spread_add(&rates[t], values[t]);
			spread_add(&ratios[t], values[0] / values[t]);
		}
	}
	for (t = 0; t < N_WAYS; t++)
		printf("| %zu KiB | %s | %.0f (%.0f-%.0f) | %.2f (%.2f-%.2f) |\n", chunk / 1024,
		       ways[t].name, median(&rates[t]) / 1e6, lowest(&rates[t]) / 1e6,
		       highest(&rates[t]) / 1e6, median(&ratios[t]), lowest(&ratios[t]),
		       highest(&ratios[t]));
}

static void layout(const char *name, const int cpus[2])
{
	progress("native, %s", name);
	printf("\nMB/s, %s: median of %d (min-max)\n\n", name, REPEATS);
	puts("| chunk | way | MB/s | channel against it |\n| --- | --- | ---: | ---: |");
	measure(4096, cpus);
	measure(65536, cpus);
}

static void print_load(const char *when)
{
	char line[64] = "";
	FILE *file = fopen("/proc/loadavg", "r");

	if (!file || !fgets(line, sizeof(line), file))
		die("no /proc/loadavg");
	fclose(file);
	printf("- load average %s: %.14s\n", when, line);
}

/* What the CPUs could have done so far, and what a hypervisor took of that, in ticks. */
static void cpu_ticks(unsigned long long *all, unsigned long long *stolen)
{
	unsigned long long t[8];
	FILE *file = fopen("/proc/stat", "r");
	int i;

	if (!file ||
	    fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
		   &t[4], &t[5], &t[6], &t[7]) != ARRAY_SIZE(t))
		die("no /proc/stat");
	fclose(file);
	*all = 0;
	for (i = 0; i < (int)ARRAY_SIZE(t); i++)
		*all += t[i];
	*stolen = t[7];
}

int main(void)
{
	unsigned long long all, stolen, all_then, stolen_then;
	int two[2] = { -1, -1 }, one[2], cpu, found = 0, i;
	struct spread trips = { 0 };
	cpu_set_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sched_getaffinity(0, sizeof(set), &set);
	for (cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			two[found++] = cpu;
	one[0] = two[0];
	one[1] = two[0];
	world_begin();
	print_load("at the start");
	cpu_ticks(&all_then, &stolen_then);
	if (found == 2) {
		for (i = 0; i < REPEATS; i++)
			spread_add(&trips, spin_round_trip(two));
		printf("- spin round trip between CPUs %d and %d: %.0f ns (%.0f-%.0f)\n", two[0],
		       two[1], median(&trips), lowest(&trips), highest(&trips));
		layout("two CPUs, one for each side", two);
	} else {
		puts("- one CPU only: nothing was measured on two");
	}
	layout("both sides on one CPU", one);
	putchar('\n');
	print_load("at the end");
	cpu_ticks(&all, &stolen);
	printf("- taken by other guests of this machine's host (steal): %.1f %%\n",
	       100.0 * (stolen - stolen_then) / (all > all_then ? all - all_then : 1));
	world_end();
	return 0;
}
