// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes a second through the channel in user space, beside the pipes and sockets of this machine.
 * Two threads of one process, so that no way changes address spaces. Ways take turns
 * within a repetition: what else the machine does hits all of them.
 *
 * In user space a call of the channel's is no system call. So that it is not compared
 * with what it saves there alone, one way makes the cheapest system call with each call.
 *
 * The JSON has the format of bench/rw's. bench/run --places native makes tables of it.
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
 * @key: in the JSON
 * @name: in the tables
 * @open: opens a new one: @fds, or @files
 * @syscall: makes one with each call
 */
struct way {
	const char *key;
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
	{ "channel", "channel in user space", NULL, false },
	{ "channel_syscall", "the same, and a system call each", NULL, true },
	{ "pipe", "default pipe", open_pipe, false },
	{ "pipe_1m", "1 MiB pipe", open_large_pipe, false },
	{ "unix", "AF_UNIX stream", open_unix, false },
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

/* -------------------------------------------------------------------- JSON */

static void measure(size_t chunk, const int cpus[2], FILE *json)
{
	double rates[N_WAYS][REPEATS], rate;
	size_t t;
	int i;

	/* One to warm up. */
	for (i = -1; i < repeats(); i++) {
		for (t = 0; t < N_WAYS; t++) {
			rate = stream(&ways[t], chunk, cpus);
			if (i >= 0)
				rates[t][i] = rate;
		}
	}
	for (t = 0; t < N_WAYS; t++) {
		fprintf(json, "%s\"%s\": {\"bytes_per_second\": ", t ? ", " : "{", ways[t].key);
		values_json(rates[t], repeats(), json);
		fputc('}', json);
	}
	fputc('}', json);
}

static void layout(const char *key, const char *where, const int cpus[2], FILE *json)
{
	static const size_t chunks[] = { 4096, CHUNK_MAX };
	size_t c;

	fprintf(json, ", \"%s\": {\"streams\": ", key);
	for (c = 0; c < ARRAY_SIZE(chunks); c++) {
		progress("native: streams in chunks of %zu bytes, %s", chunks[c], where);
		fprintf(json, "%s\"%zu\": ", c ? ", " : "{", chunks[c]);
		measure(chunks[c], cpus, json);
	}
	fputs("}}", json);
}

static void two_cpus(const int cpus[2], FILE *json)
{
	double trips[REPEATS];
	int i;

	progress("native: round trips of a cache line between CPUs %d and %d", cpus[0], cpus[1]);
	for (i = 0; i < repeats(); i++)
		trips[i] = spin_round_trip(cpus);
	fputs(", \"spin_ns\": ", json);
	values_json(trips, repeats(), json);
	layout("two_cpus", "two CPUs", cpus, json);
}

int main(void)
{
	int two[2] = { -1, -1 }, one[2], cpu, found = 0;
	FILE *json = open_json();
	cpu_set_t set;
	size_t t;

	sched_getaffinity(0, sizeof(set), &set);
	for (cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			two[found++] = cpu;
	one[0] = two[0];
	one[1] = two[0];
	world_begin();
	fputs("{\"ways\": ", json);
	for (t = 0; t < N_WAYS; t++)
		fprintf(json, "%s\"%s\": \"%s\"", t ? ", " : "{", ways[t].key, ways[t].name);
	fputc('}', json);
	if (found == 2)
		two_cpus(two, json);
	else
		progress("native: one CPU only: nothing is measured on two");
	layout("one_cpu", "one CPU", one, json);
	close_json(json);
	world_end();
	return 0;
}
