// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * 'COMMAND | COMMAND' taken apart as a shell would. A shell runs the commands, so
 * only what can hide a bar is understood here: quotes, backslashes and whatever
 * stands in parentheses, braces of parameters and backquotes.
 */
#include <ctype.h>

#include "pipeline.h"

#define DEPTH_MAX	100

/**
 * struct scan - a line being looked through
 * @command: whose usage a refusal points to
 * @depth: of nesting
 */
struct scan {
	const struct command *command;
	int depth;
};

static const char *skip_until(struct scan *scan, const char *p, char end,
			      bool quoted);

static void unclosed(struct scan *scan, char end) __attribute__((noreturn));

static void unclosed(struct scan *scan, char end)
{
	const char *what = "a quotation";

	if (end == ')')
		what = "a parenthesis";
	else if (end == '}')
		what = "\"${\"";
	else if (end == '`')
		what = "a backquote";
	usage_error(scan->command,
		    "the pipeline ends in the middle of %s: close it with %c",
		    what, end);
}

static const char *skip_single(struct scan *scan, const char *p)
{
	p = strchr(p, '\'');
	if (!p)
		unclosed(scan, '\'');
	return p + 1;
}

/*
 * Behind what begins at @p, be it a character or a quotation. @quoted: apostrophes and
 * parentheses mean themselves.
 */
static const char *skip_one(struct scan *scan, const char *p, bool quoted)
{
	switch (*p) {
	case '\\':
		if (!p[1])
			usage_error(scan->command,
				    "the pipeline ends in a backslash: write two for one that is meant");
		return p + 2;
	case '\'':
		return quoted ? p + 1 : skip_single(scan, p + 1);
	case '"':
		return skip_until(scan, p + 1, '"', true);
	case '`':
		return skip_until(scan, p + 1, '`', false);
	case '$':
		if (p[1] == '(')
			return skip_until(scan, p + 2, ')', false);
		if (p[1] == '{')
			return skip_until(scan, p + 2, '}', quoted);
		return p + 1;
	case '(':
		return quoted ? p + 1 : skip_until(scan, p + 1, ')', false);
	}
	return p + 1;
}

/* Behind the next @end that is not itself quoted. */
static const char *skip_until(struct scan *scan, const char *p, char end,
			      bool quoted)
{
	if (++scan->depth > DEPTH_MAX)
		usage_error(scan->command,
			    "the pipeline is nested more than %d deep: put it into a script",
			    DEPTH_MAX);
	while (*p && *p != end)
		p = end == '}' && *p == '(' ? p + 1 : skip_one(scan, p, quoted);
	if (!*p)
		unclosed(scan, end);
	scan->depth--;
	return p + 1;
}

/* The end of the command that begins at @p: a bar or the line's end. */
static const char *command_end(struct scan *scan, const char *p)
{
	while (*p && *p != '|') {
		if (*p == ')')
			usage_error(scan->command,
				    "\")\" closes nothing in the pipeline: quote it");
		/* Writes to a file that must not be there. */
		if (p[0] == '>' && p[1] == '|')
			p++;
		p = skip_one(scan, p, false);
	}
	if (p[0] == '|' && p[1] == '|')
		usage_error(scan->command,
			    "\"||\" cannot stand between stages: put it into one, as in sh -c 'a || b'");
	if (p[0] == '|' && p[1] == '&')
		usage_error(scan->command,
			    "\"|&\" cannot stand between stages: write 2>&1 |");
	return p;
}

static void *checked(const struct command *command, void *p)
{
	if (!p)
		usage_error(command, "out of memory");
	return p;
}

/* Exits, with a line that says why, if there is something wrong with @line. */
void pipeline_parse(const struct command *command, const char *line,
		    struct pipeline *pipeline)
{
	struct scan scan = { .command = command };
	struct pipeline_stage *stage;
	const char *p = line, *end;

	for (;; p = end + 1) {
		end = command_end(&scan, p);
		p += strspn(p, " \t\n");
		if (p >= end)
			usage_error(command,
				    "stage %zu of the pipeline is empty: write a command on both sides of each |",
				    pipeline->n + 1);
		stage = realloc(pipeline->stages,
				(pipeline->n + 1) * sizeof(*stage));
		pipeline->stages = checked(command, stage);
		stage = &pipeline->stages[pipeline->n++];
		stage->command = checked(command, strndup(p, end - p));
		stage->name[0] = '\0';
		if (!*end)
			return;
	}
}

/* -------------------------------------------------------------------- names */

/* Whether the word at @p only sets a variable for the command after it. */
static bool assigns(const char *p)
{
	if (!isalpha((unsigned char)*p) && *p != '_')
		return false;
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return *p == '=';
}

static const char *word_end(struct scan *scan, const char *p)
{
	while (*p && !strchr(" \t\n;&<>()", *p))
		p = skip_one(scan, p, false);
	return p;
}

/* The first word's last component, made a name. */
static void natural_name(const struct command *command, const char *text,
			 char *name)
{
	struct scan scan = { .command = command };
	const char *p = text, *end;
	size_t n = 0;

	/* What begins a compound command names nothing. */
	for (;; p = end) {
		p += strspn(p, " \t\n({!");
		end = word_end(&scan, p);
		if (!assigns(p))
			break;
	}
	for (; p < end; p++) {
		if (*p == '/')
			n = 0;
		else if (strchr("\"'\\", *p))
			continue;
		else if (n < FAASIN_NAME_MAX && (n || *p != '.'))
			name[n++] = isascii(*p) &&
				    (isalnum((unsigned char)*p) ||
				     strchr("._-", *p)) ? *p : '-';
	}
	name[n] = '\0';
	if (!n)
		strcpy(name, "stage");
}

static bool taken(const struct pipeline *pipeline, size_t before,
		  const char *name)
{
	size_t i;

	for (i = 0; i < before; i++)
		if (!strcmp(pipeline->stages[i].name, name))
			return true;
	return !strcmp(name, "self");
}

static void make_unique(struct pipeline *pipeline, size_t index)
{
	char base[FAASIN_NAME_MAX + 1], suffix[24];
	char *name = pipeline->stages[index].name;
	unsigned int i;
	int n;

	strcpy(base, name);
	for (i = 2; taken(pipeline, index, name); i++) {
		n = snprintf(suffix, sizeof(suffix), "-%u", i);
		snprintf(name, FAASIN_NAME_MAX + 1, "%.*s%s",
			 FAASIN_NAME_MAX - n, base, suffix);
	}
}

static void given_names(const struct command *command, const char *names,
			struct pipeline *pipeline)
{
	struct faasctl_error err;
	size_t i, len;
	char *name;

	for (i = 0; i < pipeline->n; i++) {
		len = strcspn(names, ",");
		name = checked(command, strndup(names, len));
		if (faasctl_name_check("stage", name, &err))
			usage_error(command, "%s", err.message);
		if (taken(pipeline, i, name))
			usage_error(command, "two stages are named \"%s\": names must differ",
				    name);
		strcpy(pipeline->stages[i].name, name);
		free(name);
		names += len;
		if (!*names != (i + 1 == pipeline->n))
			usage_error(command,
				    "the pipeline has %zu stages: give as many names, separated by commas",
				    pipeline->n);
		names += *names == ',';
	}
}

/* @names: those asked for, separated by commas, or NULL */
void pipeline_name(const struct command *command, const char *names,
		   struct pipeline *pipeline)
{
	struct pipeline_stage *stage;
	size_t i;

	if (names) {
		given_names(command, names, pipeline);
		return;
	}
	for (i = 0; i < pipeline->n; i++) {
		stage = &pipeline->stages[i];
		natural_name(command, stage->command, stage->name);
		make_unique(pipeline, i);
	}
}

/* ------------------------------------------------------------------ scripts */

/* What a shell does itself, or what has a meaning to it. */
static bool shells_own(const char *word, size_t len)
{
	static const char *const words[] = {
		".", "alias", "bg", "bind", "break", "builtin", "caller",
		"case", "cd", "chdir", "command", "compgen", "complete",
		"compopt", "continue", "coproc", "declare", "dirs", "disown",
		"do", "done", "echo", "elif", "else", "enable", "esac", "eval",
		"exec", "exit", "export", "false", "fc", "fg", "fi", "for",
		"function", "getopts", "hash", "help", "history", "if", "in",
		"jobs", "kill", "let", "local", "logout", "mapfile", "popd",
		"printf", "pushd", "pwd", "read", "readarray", "readonly",
		"return", "select", "set", "shift", "shopt", "source",
		"suspend", "test", "then", "time", "times", "trap", "true",
		"type", "typeset", "ulimit", "umask", "unalias", "unset",
		"until", "wait", "while",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == len && !strncmp(words[i], word, len))
			return true;
	return false;
}

/* Whether a shell would run one program and nothing else. */
static bool only_one(struct scan *scan, const char *p)
{
	for (; *p; p = skip_one(scan, p, false)) {
		if ((*p == '<' || *p == '>') && p[1] == '&')
			p++;
		else if (strchr(";&(\n", *p))
			return false;
	}
	return true;
}

/* The word that names the program, if the shell can be told to become it. */
static const char *program(struct scan *scan, const char *p)
{
	const char *end;
	size_t len;

	if (!only_one(scan, p))
		return NULL;
	for (;; p = end) {
		p += strspn(p, " \t");
		end = word_end(scan, p);
		if (!assigns(p))
			break;
	}
	len = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+-");
	if (!len || p + len != end || shells_own(p, len))
		return NULL;
	/* It may be a descriptor's number. */
	if ((*end == '<' || *end == '>') && strspn(p, "0123456789") == len)
		return NULL;
	return p;
}

/*
 * What a shell is given to run the stage. It becomes the program where it would
 * only wait for it: how that ends is then seen, and signals reach it.
 */
char *pipeline_script(const struct command *command,
		      const struct pipeline_stage *stage)
{
	struct scan scan = { .command = command };
	const char *text = stage->command, *p = program(&scan, text);
	char *script;

	if (!p)
		return checked(command, strdup(text));
	if (asprintf(&script, "%.*sexec %s", (int)(p - text), text, p) < 0)
		script = NULL;
	return checked(command, script);
}

void pipeline_free(struct pipeline *pipeline)
{
	size_t i;

	for (i = 0; i < pipeline->n; i++)
		free(pipeline->stages[i].command);
	free(pipeline->stages);
}
