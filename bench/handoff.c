// SPDX-License-Identifier: GPL-2.0
/*
 * handoff: how long it takes from data that lies ready at the producer until the
 * consumer has touched every line of it, and how long the producer then takes to
 * fill its memory anew, which is where a sealed window pays.
 *
 * The consumer waits in its call before each hand-off. In both processes all memory
 * was touched before anything is measured.
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

/* Tells the producer when it is about to receive, by a byte, and when it has received: the time. */
static void consume(struct lane *lane, size_t size, int tell)
{
	struct usage before = usage_now();
	uint64_t now;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (write(tell, "", 1) != 1)
			die("cannot tell the producer: %s", strerror(errno));
		lane_receive(lane, size);
		now = now_ns();
		if (lane->way->done)
			lane->way->done(lane);
		if (write(tell, &now, sizeof(now)) != sizeof(now))
			die("cannot tell the producer: %s", strerror(errno));
	}
	shared->usage = usage_since(before);
	lane_close(lane);
	_exit(0);
}

/* Times in ns, of hand-offs and of the fills before them. */
static void produce(struct lane *lane, size_t size, int told, double took[ROUNDS],
		    double fills[ROUNDS])
{
	uint64_t begun, ended;
	char *from, byte;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		begun = now_ns();
		from = lane->way->memory(lane, size);
		fill(from, size, i);
		fills[i] = now_ns() - begun;
		if (read(told, &byte, 1) != 1)
			die("the consumer died");
		usleep(2000);
		begun = now_ns();
		lane->way->send(lane, from, size);
		if (read(told, &ended, sizeof(ended)) != sizeof(ended))
			die("the consumer died");
		took[i] = (double)ended - begun;
	}
}

static void hand_off(const struct way *way, size_t size, const int cpus[2],
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
		consume(&lane, size, word[1]);
	before = usage_now();
	produce(&lane, size, word[0], took, fills);
	before = usage_since(before);
	reap(child);
	lane_close(&lane);
	close(word[0]);
	cost_end(&cost, before, (double)size * ROUNDS, figures);
	/* What wakes here is mostly the words between the two. */
	figures[FIGURE_WAKES] = NAN;
	qsort(took, ROUNDS, sizeof(double), bench_compare);
	/* The first fill of a window gets its memory. */
	qsort(fills + 1, ROUNDS - 1, sizeof(double), bench_compare);
	figures[FIGURE_NS] = took[ROUNDS / 2];
	figures[FIGURE_FILL] = fills[1 + (ROUNDS - 1) / 2];
}

int main(void)
{
	static const size_t sizes[] = { 32000, 1600000, LARGEST };
	static const struct question question = {
		WAY_HANDOFF, "handoffs", "hand-offs", sizes, ARRAY_SIZE(sizes), false, hand_off,
	};
	FILE *json = open_json();

	fputc('{', json);
	ask_all(&question, 1, json);
	close_json(json);
	return 0;
}
