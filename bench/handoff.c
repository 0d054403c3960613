// SPDX-License-Identifier: GPL-2.0
/*
 * handoff: how long it takes from data that lies ready at the producer until the
 * consumer has touched every line of it, and how long the producer then takes to
 * fill its memory anew, which is where a sealed window pays.
 *
 * The consumer waits in its call before each hand-off, or, as another question, has just said
 * that it is about to, by memory that the producer looks at: then both run. In both processes all
 * memory was touched before anything is measured.
 */
#include <math.h>
#include <signal.h>
#include <sys/prctl.h>

#include "ways/measure.h"

#define ROUNDS		9	/* of a repetition; the median counts */

static void fill(char *at, size_t size, char with)
{
	volatile char *p = at;
	size_t i;

	for (i = 0; i < size; i += LINE)
		p[i] = with;
}

_Static_assert(2 * ROUNDS <= WORDS, "each round has two words");

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
	struct usage before = usage_now();
	uint64_t now;
	int i;

	for (i = 0; i < ROUNDS; i++) {
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

/* Times in ns, of hand-offs and of the fills before them. */
static void produce(struct lane *lane, size_t size, int told, double took[ROUNDS],
		    double fills[ROUNDS])
{
	uint64_t begun;
	char *from;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		begun = now_ns();
		from = lane->way->memory(lane, size);
		fill(from, size, i);
		fills[i] = now_ns() - begun;
		hear(told, 2 * i);
		if (told >= 0)
			usleep(2000);
		begun = now_ns();
		lane->way->send(lane, from, size);
		took[i] = (double)hear(told, 2 * i + 1) - begun;
	}
}

static void measure(const struct way *way, size_t size, const int cpus[2], bool running,
		    double figures[N_FIGURES])
{
	double took[ROUNDS], fills[ROUNDS];
	struct usage before;
	struct lane lane;
	struct cost cost;
	int word[2];
	pid_t child;

	cost_begin(&cost, way);
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
	before = usage_now();
	produce(&lane, size, running ? -1 : word[0], took, fills);
	before = usage_since(before);
	reap(child);
	lane_close(&lane);
	close(word[0]);
	cost_end(&cost, before, (double)size * ROUNDS, figures);
	/* What wakes there is mostly the words between the two. */
	if (!running)
		figures[FIGURE_WAKES] = NAN;
	qsort(took, ROUNDS, sizeof(double), bench_compare);
	/* The first fill of a window gets its memory. */
	qsort(fills + 1, ROUNDS - 1, sizeof(double), bench_compare);
	figures[FIGURE_NS] = took[ROUNDS / 2];
	figures[FIGURE_FILL] = fills[1 + (ROUNDS - 1) / 2];
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
