// SPDX-License-Identifier: GPL-2.0
/* Reduction: see reduce.h. */
#include <ctype.h>

#include "call.h"
#include "common.h"
#include "corpus.h"
#include "reduce.h"

#define PROGRAMS_MAX	256

/* What is left out, in this order; in a round in which something was, all is tried again. */
enum pass { CALLS, ATTRS, PLAINER, PASSES };

static const char *const pass_names[] = { "calls", "attributes", "arguments" };

/**
 * struct step - what is left out next
 * @pass: of what
 * @from: the first
 * @size: how many at once; 0: not begun
 * @smaller: something could be left out in this round
 */
struct step {
	unsigned int pass, from, size, smaller;
};

/**
 * struct list - programs
 * @n: how many
 * @why: how they fail; "": nobody has seen it yet
 * @step: how far they have been reduced
 * @program: the programs
 */
struct list {
	unsigned int n;
	char why[300];
	struct step step;
	struct program program[PROGRAMS_MAX];
};

static struct list *smallest, *candidate, *reading;
static char reduced_path[PATH_MAX], trying_path[PATH_MAX], died_path[PATH_MAX];
static unsigned int tries;

/* -------------------------------------------------------------------- files */

#define WHY	"# fails: "
#define STEP	"# next: "

static bool take(const struct program *p)
{
	if (reading->n == PROGRAMS_MAX)
		return false;
	reading->program[reading->n++] = *p;
	return true;
}

static bool list_read(struct list *l, const char *path)
{
	char line[1024];
	FILE *from;
	long n;

	memset(l, 0, sizeof(*l));
	reading = l;
	n = corpus_read(path, take);
	if (n <= 0 || n > l->n) {
		fprintf(stderr, "uapi: %s: it takes 1 to %d programs\n", path, PROGRAMS_MAX);
		return false;
	}
	from = fopen(path, "re");
	if (!from)
		return false;
	while (fgets(line, sizeof(line), from) && *line == '#') {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, WHY, strlen(WHY)))
			snprintf(l->why, sizeof(l->why), "%.290s", line + strlen(WHY));
		else
			sscanf(line, STEP "%u %u %u %u", &l->step.pass, &l->step.from,
			       &l->step.size, &l->step.smaller);
	}
	fclose(from);
	return true;
}

/* Whole or not at all: the kernel may be about to die. */
static bool list_write(const struct list *l, const char *path, bool done)
{
	char new[PATH_MAX + 8];
	unsigned int i;
	bool good;
	FILE *to;

	snprintf(new, sizeof(new), "%s.new", path);
	to = fopen(new, "we");
	if (to) {
		if (*l->why)
			fprintf(to, WHY "%s\n", l->why);
		if (!done)
			fprintf(to, STEP "%u %u %u %u\n", l->step.pass, l->step.from,
				l->step.size, l->step.smaller);
		for (i = 0; i < l->n; i++)
			program_print(to, &l->program[i]);
	}
	good = to && !fclose(to) && !rename(new, path);
	if (!good)
		fprintf(stderr, "uapi: cannot write %s: %s\n", path, strerror(errno));
	return good;
}

/* What the kernel said, or "": it died of nothing that it knew of. */
static void read_died(char *text, size_t size)
{
	FILE *from = fopen(died_path, "re");

	*text = '\0';
	if (!from)
		return;
	if (fgets(text, size, from))
		text[strcspn(text, "\n")] = '\0';
	fclose(from);
}

/* ------------------------------------------------------------- leaving out */

/* Of what can be left out, counted through all programs, @n from number @from on. */
struct chosen {
	unsigned int from, n, at;
};

static bool is_chosen(struct chosen *c)
{
	return c->at++ - c->from < c->n;
}

static void drop_calls(struct program *p, struct chosen *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < p->ncalls; i++)
		if (!is_chosen(c))
			p->call[n++] = p->call[i];
	p->ncalls = n;
}

static void drop_attrs(struct call *call, struct chosen *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < call->nattrs; i++)
		if (!is_chosen(c))
			call->attr[n++] = call->attr[i];
	call->nattrs = n;
}

/* No fault, no second thread, zeroes; words are not more or less of anything. */
static void make_plainer(struct call *call, struct chosen *c)
{
	unsigned int i;

	if (call->fail && is_chosen(c))
		call->fail = 0;
	if (call->thread != BOTH && is_chosen(c))
		call->thread = BOTH;
	for (i = 0; i < ARGS_MAX; i++)
		if (call->arg[i] && !words_of(ops[call->op].kind[i]).count && is_chosen(c))
			call->arg[i] = 0;
}

static void change_program(struct program *p, unsigned int pass, struct chosen *c)
{
	unsigned int i;

	if (pass == CALLS)
		drop_calls(p, c);
	if (pass == PLAINER && p->processes && is_chosen(c))
		p->processes = false;
	for (i = 0; i < p->ncalls; i++) {
		if (pass == ATTRS)
			drop_attrs(&p->call[i], c);
		else if (pass == PLAINER)
			make_plainer(&p->call[i], c);
	}
}

/* Makes the candidate. Returns how many things there were to be left out. */
static unsigned int leave_out(unsigned int n)
{
	struct chosen c = { smallest->step.from, n, 0 };
	unsigned int i, left = 0;

	*candidate = *smallest;
	for (i = 0; i < candidate->n; i++) {
		change_program(&candidate->program[i], smallest->step.pass, &c);
		if (candidate->program[i].ncalls)
			candidate->program[left++] = candidate->program[i];
	}
	candidate->n = left;
	return c.at;
}

/* False if there is nothing more to try. */
static bool next_candidate(void)
{
	struct step *s = &smallest->step;
	unsigned int total;

	while (s->pass < PASSES) {
		total = leave_out(0);
		if (!s->size) {
			s->size = total;
			s->from = 0;
		}
		if (s->from < total) {
			leave_out(s->size);
			if (candidate->n)
				return true;
			s->from += s->size;
			continue;
		}
		/* Fewer at once. */
		s->from = 0;
		s->size = s->size < total ? s->size / 2 : total / 2;
		if (s->size)
			continue;
		if (++s->pass == PASSES && s->smaller) {
			s->pass = CALLS;
			s->smaller = 0;
		}
	}
	return false;
}

/* ------------------------------------------------------------------ judging */

static unsigned int count_calls(const struct list *l)
{
	unsigned int i, calls = 0;

	for (i = 0; i < l->n; i++)
		calls += l->program[i].ncalls;
	return calls;
}

/* Numbers differ each time: addresses, lines, counts. */
static const char *skip_number(const char *at)
{
	if (isdigit((unsigned char)*at))
		while (isalnum((unsigned char)*at))
			at++;
	return at;
}

static bool is_same(const char *a, const char *b)
{
	for (;;) {
		a = skip_number(a);
		b = skip_number(b);
		if (*a != *b)
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

/* @wrong: with the candidate, or NULL. False if it cannot be written down. */
static bool judge(const char *wrong)
{
	struct list *l = smallest;

	tries++;
	if (wrong && !*l->why) {
		snprintf(l->why, sizeof(l->why), "%.290s", wrong);
		printf("%u calls in %u programs fail: %s\n", count_calls(l), l->n, l->why);
	} else if (wrong && is_same(wrong, l->why)) {
		memcpy(l->program, candidate->program, sizeof(l->program));
		l->n = candidate->n;
		l->step.smaller = 1;
		printf("%u calls in %u programs fail: %s left out\n", count_calls(l), l->n,
		       pass_names[l->step.pass]);
	} else {
		if (wrong)
			printf("not the same: %s\n", wrong);
		l->step.from += l->step.size;
	}
	fflush(stdout);
	return list_write(l, reduced_path, false);
}

/* Where another kernel left off. False if that cannot be read. */
static bool go_on(const char *file)
{
	bool was_trying = !access(trying_path, F_OK);
	char died[300];

	if (!list_read(smallest, access(reduced_path, F_OK) ? file : reduced_path))
		return false;
	if (!was_trying)
		return true;
	if (!list_read(candidate, trying_path))
		return false;
	/* The candidate knows how far it was. */
	smallest->step = candidate->step;
	read_died(died, sizeof(died));
	return judge(*died ? died : NULL) && !unlink(trying_path);
}

static enum reduce_end end(void)
{
	if (!list_write(smallest, reduced_path, true))
		return REDUCE_BROKEN;
	printf("%u tries here; what is left:\n", tries);
	for (unsigned int i = 0; i < smallest->n; i++)
		program_print(stdout, &smallest->program[i]);
	return REDUCE_DONE;
}

enum reduce_end reduce(const char *file,
		       const char *(*attempt)(const struct program *programs, unsigned int n,
					      bool *over))
{
	const char *wrong;
	bool over = false;

	snprintf(reduced_path, sizeof(reduced_path), "%s.reduced", file);
	snprintf(trying_path, sizeof(trying_path), "%s.trying", file);
	snprintf(died_path, sizeof(died_path), "%s.died", file);
	smallest = calloc(1, sizeof(*smallest));
	candidate = calloc(1, sizeof(*candidate));
	if (!smallest || !candidate || !go_on(file))
		return REDUCE_BROKEN;
	while (!over) {
		if (!*smallest->why)
			*candidate = *smallest;
		else if (!next_candidate())
			return end();
		candidate->step = smallest->step;
		if (!list_write(candidate, trying_path, false))
			return REDUCE_BROKEN;
		wrong = attempt(candidate->program, candidate->n, &over);
		if (!judge(wrong) || unlink(trying_path))
			return REDUCE_BROKEN;
		if (!*smallest->why)
			return REDUCE_NOT;
	}
	return REDUCE_LATER;
}
