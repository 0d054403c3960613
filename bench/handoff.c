// SPDX-License-Identifier: GPL-2.0
/*
 * handoff: how long it takes from data that lies ready at the producer until the
 * consumer has touched every line of it, and how long the producer then takes to
 * fill its memory anew, which is where a sealed window pays.
 *
 * The consumer waits in its call before each hand-off, or, as another question, has just said
 * that it is about to, by memory that the producer looks at: then both run. In both processes all
 * memory was touched before anything is measured: that of windows in a round that does not count.
 */
#include <math.h>
#include <signal.h>
#include <sys/prctl.h>

#include "ways/measure.h"

#define ROUNDS		9	/* of a repetition that count; the median does */
#define WARM_UP		1	/* that go before them */

static void fill(char *at, size_t size, char with)
{
	volatile char *p = at;
	size_t i;

	for (i = 0; i < size; i += LINE)
		p[i] = with;
}

_Static_assert(2 * (WARM_UP + ROUNDS) <= WORDS, "each round has two words");

/* To the producer: by a pipe, for which it sleeps, or by memory, if that is -1. */
static void say(int tell, uint64_t word)
{
	if (tell < 0) {
		shared->words[shared->said] = word;
		__atomic_add_fetch(&shared->said, 1, __ATOMIC_RELEASE);
	} else if (write(tell, &word, sizeof(word)) != sizeof(word)) {
		die("cannot tell the producer: %s", strerror(errno));
	}
}

/* The @nth word. */
static uint64_t hear(int told, int nth)
{
	uint64_t word;

	if (told < 0) {
		while (__atomic_load_n(&shared->said, __ATOMIC_ACQUIRE) <= nth)
			;
		word = shared->words[nth];
	} else if (read(told, &word, sizeof(word)) != sizeof(word)) {
		die("the consumer died");
	}
	return word;
}

/* Tells the producer when it is about to receive, and when it has received: the time. */
static void consume(struct lane *lane, size_t size, int tell)
{
	struct usage before = { 0 };
	uint64_t now;
	int i;

	for (i = 0; i < WARM_UP + ROUNDS; i++) {
		if (i == WARM_UP) {
			meet();
			before = usage_now();
		}
		say(tell, 0);
		lane_receive(lane, size);
		now = now_ns();
		if (lane->way->done)
			lane->way->done(lane);
		say(tell, now);
	}
	shared->usage = usage_since(before);
	lane_close(lane);
	_exit(0);
}

/* The @nth round. */
static void hand_over(struct lane *lane, size_t size, int told, int nth, double *took,
		      double *fills)
{
	uint64_t begun = now_ns();
	char *from = lane->way->memory(lane, size);

	fill(from, size, nth);
	*fills = now_ns() - begun;
	hear(told, 2 * nth);
	if (told >= 0)
		usleep(2000);
	begun = now_ns();
	lane->way->send(lane, from, size);
	*took = (double)hear(told, 2 * nth + 1) - begun;
}

/* When the producer hears that a round is over, the consumer has given back what it received. */
static void produce(struct lane *lane, size_t size, int told, pid_t consumer,
		    double figures[N_FIGURES])
{
	double took[ROUNDS], fills[ROUNDS];
	struct usage used;
	struct cost cost;
	int i;

	for (i = 0; i < WARM_UP; i++)
		hand_over(lane, size, told, i, took, fills);
	cost_begin(&cost, lane->way);
	/* Until now the consumer has not begun to wait: it would have gone to sleep. */
	meet();
	used = usage_now();
	for (i = 0; i < ROUNDS; i++)
		hand_over(lane, size, told, WARM_UP + i, &took[i], &fills[i]);
	used = usage_since(used);
	reap(consumer);
	lane_close(lane);
	cost_end(&cost, used, (double)size * ROUNDS, figures);
	qsort(took, ROUNDS, sizeof(double), bench_compare);
	qsort(fills, ROUNDS, sizeof(double), bench_compare);
	figures[FIGURE_NS] = took[ROUNDS / 2];
	figures[FIGURE_FILL] = fills[ROUNDS / 2];
}

static void measure(const struct way *way, size_t size, const int cpus[2], bool running,
		    double figures[N_FIGURES])
{
	struct lane lane;
	int word[2];
	pid_t child;

	open_pipe(word);
	lane_open(&lane, way, 0, size);
	lane.touch = true;
	child = fork_other();
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(cpus[child ? 0 : 1]);
	lane_begin(&lane, child);
	close(word[child ? 1 : 0]);
	if (!child)
		consume(&lane, size, running ? -1 : word[1]);
	produce(&lane, size, running ? -1 : word[0], child, figures);
	close(word[0]);
	/* What wakes there is mostly the words between the two. */
	if (!running)
		figures[FIGURE_WAKES] = NAN;
}

static void hand_off(const struct way *way, size_t size, const int cpus[2],
		     double figures[N_FIGURES])
{
	measure(way, size, cpus, false, figures);
}

/* On one CPU only one of them can. */
static void hand_off_running(const struct way *way, size_t size, const int cpus[2],
			     double figures[N_FIGURES])
{
	if (cpus[0] != cpus[1])
		measure(way, size, cpus, true, figures);
}

int main(void)
{
	static const size_t sizes[] = { 32000, 1600000, LARGEST };
	static const struct question questions[] = {
		{
			WAY_HANDOFF, "handoffs", "hand-offs", sizes, ARRAY_SIZE(sizes), false,
			hand_off,
		},
		{
			WAY_HANDOFF, "running", "hand-offs between two that run", sizes, 1, false,
			hand_off_running,
		},
	};
	FILE *json = open_json();

	fputc('{', json);
	ask_all(questions, ARRAY_SIZE(questions), json);
	close_json(json);
	return 0;
}
