/* SPDX-License-Identifier: GPL-2.0 */
/* Measures all ways in turns, what they cost included, and writes the figures as JSON. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "way.h"

/* What is measured of a way; what was not is NAN. */
enum figure {
	FIGURE_RATE,	/* bytes a second */
	FIGURE_NS,	/* of a round trip or a hand-off */
	FIGURE_FILL,	/* ns of the producer's fill before a hand-off */
	FIGURE_CPU,	/* seconds of CPU time a GB: both processes and the server */
	FIGURE_WAKES,	/* wake-ups a MB */
	FIGURE_COPIES,	/* of a byte */
	FIGURE_FAULTS,	/* minor faults a MB */
	N_FIGURES,
};

/**
 * struct usage - what a process has used
 * @cpu_ns: CPU time
 * @waits: times it went to sleep of its own accord
 * @faults: minor faults
 */
struct usage {
	double cpu_ns, waits, faults;
};

#define WORDS	32

/**
 * struct shared - what the two processes of a measurement tell each other
 * @ready: how many of them wait for the start
 * @begun: when the producer began
 * @bytes: what it wrote
 * @usage: what the child used
 * @said: words that the child said
 * @words: these
 */
struct shared {
	int ready;
	uint64_t begun;
	uint64_t bytes;
	struct usage usage;
	int said;
	uint64_t words[WORDS];
};

extern struct shared *shared;

/**
 * struct cost - what there was before a measurement
 * @way: of what
 * @server: what its server had used
 * @wakes: that the module had counted
 * @copied: bytes that the module had counted
 */
struct cost {
	const struct way *way;
	struct usage server;
	double wakes, copied;
};

pid_t fork_other(void);
void meet(void);

struct usage usage_now(void);
struct usage usage_since(struct usage before);

/* Around a measurement; @mine: what this process used, @bytes: what was moved. */
void cost_begin(struct cost *cost, const struct way *way);
void cost_end(const struct cost *cost, struct usage mine, double bytes, double figures[N_FIGURES]);

/**
 * struct question - what is asked of all ways
 * @use: WAY_*
 * @key: in the JSON
 * @what: for those who wait
 * @sizes: to be asked for
 * @n_sizes: how many
 * @warm_up: a repetition goes before that does not count
 * @ask: measures one way once
 */
struct question {
	unsigned int use;
	const char *key;
	const char *what;
	const size_t *sizes;
	size_t n_sizes;
	bool warm_up;
	void (*ask)(const struct way *way, size_t size, const int cpus[2],
		    double figures[N_FIGURES]);
};

/* Both layouts: on two CPUs if there are two, and on one. */
void ask_all(const struct question *questions, size_t n, FILE *json);

#endif /* BENCH_MEASURE_H */
