// SPDX-License-Identifier: GPL-2.0
/*
 * rw: bytes a second of streams in chunks of several sizes, what they cost, and the round
 * trip of a small message, for FAASIN's ways and those of the kernel beside them.
 */
#include "ways/measure.h"

#define SECONDS		0.2	/* that a stream lasts */
#define ROUND_TRIPS	500	/* of a repetition; the median counts */

static void produce(struct lane *lane, size_t chunk)
{
	/* Asking for the time costs more than a small write. */
	size_t batch = chunk < 65536 ? 65536 / chunk : 1, i;
	uint64_t end, bytes = 0;

	meet();
	shared->begun = now_ns();
	end = shared->begun + SECONDS * 1e9;
	do {
		for (i = 0; i < batch; i++)
			lane_send(lane, chunk);
		bytes += batch * chunk;
	} while (now_ns() < end);
	shared->bytes = bytes;
}

static double consume(struct lane *lane, size_t chunk)
{
	uint64_t bytes = 0, took;
	size_t n;

	meet();
	while ((n = lane->way->receive(lane, chunk))) {
		if (lane->way->done)
			lane->way->done(lane);
		bytes += n;
	}
	took = now_ns() - shared->begun;
	if (bytes != shared->bytes)
		die("%s: %llu bytes written, %llu read", lane->way->name,
		    (unsigned long long)shared->bytes, (unsigned long long)bytes);
	return bytes * 1e9 / took;
}

static void stream(const struct way *way, size_t chunk, const int cpus[2],
		   double figures[N_FIGURES])
{
	struct usage before;
	struct lane lane;
	struct cost cost;
	pid_t child;

	if (way->alone) {
		pin(cpus[0]);
		figures[FIGURE_RATE] = way->alone(chunk, SECONDS);
		return;
	}
	cost_begin(&cost, way);
	lane_open(&lane, way, 0, chunk);
	child = fork_other();
	pin(cpus[child ? 0 : 1]);
	lane_begin(&lane, !child);
	before = usage_now();
	if (!child) {
		produce(&lane, chunk);
		/* Closing says that this is the end; the consumer takes all that is left. */
		shared->usage = usage_since(before);
		lane_close(&lane);
		_exit(0);
	}
	figures[FIGURE_RATE] = consume(&lane, chunk);
	before = usage_since(before);
	lane_close(&lane);
	reap(child);
	cost_end(&cost, before, shared->bytes, figures);
}

static void answer(struct lane *there, struct lane *back, size_t size)
{
	int i;

	meet();
	for (i = 0; i < ROUND_TRIPS; i++) {
		lane_receive(there, size);
		if (there->way->done)
			there->way->done(there);
		lane_send(back, size);
	}
	lane_close(there);
	lane_close(back);
	_exit(0);
}

static void round_trip(const struct way *way, size_t size, const int cpus[2],
		       double figures[N_FIGURES])
{
	static double times[ROUND_TRIPS];
	struct lane there, back;
	uint64_t begun;
	pid_t child;
	int i;

	lane_open(&there, way, 0, size);
	lane_open(&back, way, 1, size);
	child = fork_other();
	pin(cpus[child ? 0 : 1]);
	lane_begin(&there, child);
	lane_begin(&back, !child);
	if (!child)
		answer(&there, &back, size);
	meet();
	for (i = 0; i < ROUND_TRIPS; i++) {
		begun = now_ns();
		lane_send(&there, size);
		lane_receive(&back, size);
		times[i] = now_ns() - begun;
		if (way->done)
			way->done(&back);
	}
	reap(child);
	lane_close(&there);
	lane_close(&back);
	qsort(times, ROUND_TRIPS, sizeof(times[0]), bench_compare);
	figures[FIGURE_NS] = times[ROUND_TRIPS / 2];
}

int main(void)
{
	static const size_t chunks[] = { 512, 4096, 65536, MIB, 4 * MIB }, messages[] = { 64 };
	static const struct question questions[] = {
		{ WAY_STREAM, "streams", "streams in chunks", chunks, ARRAY_SIZE(chunks), true,
		  stream },
		{ WAY_TRIP, "round_trips", "round trips", messages, ARRAY_SIZE(messages), true,
		  round_trip },
	};
	FILE *json = open_json();

	fputc('{', json);
	ask_all(questions, ARRAY_SIZE(questions), json);
	close_json(json);
	return 0;
}
