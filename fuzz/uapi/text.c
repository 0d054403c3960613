// SPDX-License-Identifier: GPL-2.0
/*
 * Programs as text.
 */
#include <stdlib.h>
#include <string.h>

#include "call.h"

static const char *const thread_names[] = { "0", "1", "*" };

void program_print(FILE *to, const struct program *p)
{
	unsigned int i, n;

	fprintf(to, "%s\n", p->processes ? "processes" : "threads");
	for (i = 0; i < p->ncalls; i++) {
		const struct call *c = &p->call[i];
		const struct operation *op = &ops[c->op];

		fprintf(to, "%s %s", thread_names[c->thread], op->name);
		for (n = 0; n < ARGS_MAX && op->kind[n] != K_NONE; n++) {
			struct words words = words_of(op->kind[n]);

			if (words.count)
				fprintf(to, " %s", word_at(words, c->arg[n]));
			else
				fprintf(to, c->arg[n] > 9 ? " 0x%llx" : " %llu",
					(unsigned long long)c->arg[n]);
		}
		for (n = 0; n < c->nattrs; n++) {
			const struct attr *a = &c->attr[n];

			fprintf(to, " %c%u=", a->form, a->type);
			if (a->form == 's')
				fputs(names[a->value], to);
			else
				fprintf(to, "0x%llx", (unsigned long long)a->value);
		}
		if (c->fail)
			fprintf(to, " fail=%u", c->fail);
		putc('\n', to);
	}
	fputs("end\n", to);
}

#define BLANKS	"\t\n "

static bool parse_word(struct words words, const char *word, uint64_t *value)
{
	for (*value = 0; *value < words.count; ++*value)
		if (!strcmp(word_at(words, *value), word))
			return true;
	return false;
}

static bool parse_number(const char *word, uint64_t *value)
{
	char *end;

	*value = strtoull(word, &end, 0);
	return *word && !*end;
}

static bool parse_attr(struct call *c, char *word)
{
	char *value = strchr(word, '=');
	uint64_t type, number;

	if (!value || !strchr("sdqfxne", *word) || c->nattrs == ATTRS_MAX)
		return false;
	*value++ = '\0';
	if (!parse_number(word + 1, &type))
		return false;
	if (*word == 's' ? !parse_word(words_of(K_WORD), value, &number) :
	    !parse_number(value, &number))
		return false;
	c->attr[c->nattrs++] = (struct attr){ *word, type, number };
	return true;
}

static bool parse_call(struct call *c, char *line)
{
	char *word, *state = NULL;
	unsigned int n = 0;

	memset(c, 0, sizeof(*c));
	word = strtok_r(line, BLANKS, &state);
	while (c->thread <= BOTH && strcmp(thread_names[c->thread], word))
		c->thread++;
	word = strtok_r(NULL, BLANKS, &state);
	if (c->thread > BOTH || !word)
		return false;
	while (c->op < OPS && strcmp(ops[c->op].name, word))
		c->op++;
	if (c->op == OPS)
		return false;
	while ((word = strtok_r(NULL, BLANKS, &state))) {
		enum kind kind = n < ARGS_MAX ? ops[c->op].kind[n] : K_NONE;
		struct words words = words_of(kind);
		uint64_t fail;

		if (!strncmp(word, "fail=", 5)) {
			if (!parse_number(word + 5, &fail))
				return false;
			c->fail = fail;
		} else if (kind == K_NONE) {
			if (ops[c->op].call != call_netlink || !parse_attr(c, word))
				return false;
		} else if (words.count ? !parse_word(words, word, &c->arg[n++]) :
			   !parse_number(word, &c->arg[n++])) {
			return false;
		}
	}
	return n == ARGS_MAX || ops[c->op].kind[n] == K_NONE;
}

int program_parse(FILE *from, const char *path, unsigned int *number, struct program *p)
{
	bool begun = false;
	char line[1024];

	memset(p, 0, sizeof(*p));
	while (fgets(line, sizeof(line), from)) {
		++*number;
		if (!begun && !strcmp(line, RECORD_END))
			return 0;
		line[strcspn(line, "\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (!strcmp(line, "threads") || !strcmp(line, "processes")) {
			begun = true;
			p->ncalls = 0;
			p->processes = *line == 'p';
		} else if (begun && !strcmp(line, "end") && p->ncalls) {
			return 1;
		} else if (!begun || p->ncalls == CALLS_MAX ||
			   !parse_call(&p->call[p->ncalls++], line)) {
			fprintf(stderr, "uapi: %s: line %u is no call\n", path, *number);
			return -1;
		}
	}
	if (begun)
		fprintf(stderr, "uapi: %s: the last program has no end\n", path);
	return begun ? -1 : 0;
}
