// SPDX-License-Identifier: GPL-2.0
/* Figures: see figures.h. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "figures.h"

#define EVERY		15	/* seconds between lines */
#define ROWS		10
#define SAMPLE		0.25	/* seconds */

/* What was so, some times a second. */
static struct sample {
	double time;
	struct figures figures;
} *samples;
static size_t nsamples, room;
static double began;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

double figures_clock(void)
{
	return now() - began;
}

void figures_start(void)
{
	began = now();
	figures_note(&(struct figures){ 0 });
}

static void add_sample(double time, const struct figures *f)
{
	struct sample *more;

	if (nsamples == room) {
		more = realloc(samples, (2 * room + 64) * sizeof(*samples));
		if (!more)
			return;
		samples = more;
		room = 2 * room + 64;
	}
	samples[nsamples++] = (struct sample){ time, *f };
}

void figures_note(const struct figures *f)
{
	static double next_line = EVERY, before;
	static long runs_before;
	double time = figures_clock();

	if (!nsamples || time >= samples[nsamples - 1].time + SAMPLE)
		add_sample(time, f);
	if (time < next_line)
		return;
	printf("%5.0f s %8ld executions %6.1f/s  corpus %4zu  edges %5zu  outcomes %4zu\n", time,
	       f->runs, (f->runs - runs_before) / (time - before), f->corpus, f->edges,
	       f->outcomes);
	fflush(stdout);
	next_line = time + EVERY;
	before = time;
	runs_before = f->runs;
}

/* The last sample that is no newer. */
static const struct sample *sample_at(double time)
{
	size_t i = 0;

	while (i + 1 < nsamples && samples[i + 1].time <= time)
		i++;
	return &samples[i];
}

void figures_print(const struct figures *last)
{
	double time = figures_clock();
	const struct sample *from, *to;
	int row;

	add_sample(time, last);
	printf("%ld executions in %.0f s (%.1f/s), %zu programs in the corpus, %zu edges, %zu outcomes, %llu faults injected\n",
	       last->runs, time, last->runs / (time ?: 1), last->corpus, last->edges,
	       last->outcomes, (unsigned long long)last->injected);
	puts("  seconds  executions  per second  new edges  new outcomes  corpus");
	from = &samples[0];
	for (row = 1; row <= ROWS; row++) {
		double passed;

		to = row == ROWS ? &samples[nsamples - 1] : sample_at(time * row / ROWS);
		passed = to->time - from->time;
		printf("  %7.0f  %10ld  %10.1f  %9zu  %12zu  %6zu\n", to->time, to->figures.runs,
		       passed > 0 ? (to->figures.runs - from->figures.runs) / passed : 0,
		       to->figures.edges - from->figures.edges,
		       to->figures.outcomes - from->figures.outcomes, to->figures.corpus);
		from = to;
	}
}
