// SPDX-License-Identifier: LGPL-2.1-or-later
/* Command lines: options from a table, which also makes the help. */
#include <stdarg.h>

#include "tool.h"

void args_init(struct args *args, const struct command *command, int argc,
	       char **argv)
{
	const struct option_row *row;
	char *s = args->shorts;
	size_t n = 0;

	memset(args, 0, sizeof(*args));
	args->command = command;
	args->argc = argc;
	args->argv = argv;
	if (command->wraps)
		*s++ = '+';	/* what follows is another command's */
	*s++ = ':';		/* tells a missing argument apart */
	for (row = command->options; row && row->name; row++) {
		args->longs[n++] = (struct option){
			.name = row->name,
			.has_arg = row->arg ? required_argument : no_argument,
			.val = row->id,
		};
		if (row->id > 255)
			continue;
		*s++ = row->id;
		if (row->arg)
			*s++ = ':';
	}
	args->longs[n++] = (struct option){ .name = "help", .val = 'h' };
	*s++ = 'h';
	*s = '\0';
	opterr = 0;
	optind = 0;
}

/* The next option's id, or -1: what is left are arguments. */
int args_next(struct args *args)
{
	int id = getopt_long(args->argc, args->argv, args->shorts, args->longs,
			     NULL);
	/* A long one is a whole word; a letter may stand among others. */
	const char *word = id == '?' || id == ':' ? args->argv[optind - 1] : NULL;
	char letter[] = { '-', (char)optopt, '\0' };

	if (word && (strncmp(word, "--", 2) && optopt && optopt < 256))
		word = letter;
	switch (id) {
	case 'h':
		args_help(args->command, stdout);
		exit(finish_output());
	case '?':
		usage_error(args->command, "unknown option \"%s\"", word);
	case ':':
		usage_error(args->command, "option \"%s\" needs a value", word);
	}
	args->value = optarg;
	return id;
}

/* Where -j is the only option: whether it is given. */
bool args_json(struct args *args)
{
	bool json = false;
	int id;

	while ((id = args_next(args)) != -1)
		if (id == 'j')
			json = true;
	return json;
}

/* Number of arguments after the options, of which there are min to max. */
int args_rest(struct args *args, int min, int max)
{
	int n;

	args->argc -= optind;
	args->argv += optind;
	n = args->argc;
	if (n < min)
		usage_error(args->command, "an argument is missing");
	if (max >= 0 && n > max)
		usage_error(args->command, "unexpected argument \"%s\"",
			    args->argv[max]);
	return n;
}

void args_help(const struct command *command, FILE *to)
{
	const struct command *const *sub;
	const struct option_row *row;

	fprintf(to, "Usage: faasctl %s%s%s\n%s.\n", command->name,
		command->args[0] ? " " : "", command->args, command->help);
	if (command->subs) {
		fputs("\nCommands:\n", to);
		for (sub = command->subs; *sub; sub++)
			fprintf(to, "  %-14s %s\n", (*sub)->name, (*sub)->help);
	}
	fputs("\nOptions:\n", to);
	for (row = command->options; row && row->name; row++) {
		char name[40];

		snprintf(name, sizeof(name), "%s%s%s", row->name,
			 row->arg ? " " : "", row->arg ? row->arg : "");
		if (row->id < 256)
			fprintf(to, "  -%c, --%-20s %s\n", row->id, name,
				row->help);
		else
			fprintf(to, "      --%-20s %s\n", name, row->help);
	}
	fprintf(to, "  -h, --%-20s %s\n", "help", "this text");
	fprintf(to, "\nExample:\n  %s\n", command->example);
}

void usage_error(const struct command *command, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("faasctl: ", stderr);
	va_start(args, format);
	complain(format, args);
	va_end(args);
	fprintf(stderr, "; see: faasctl %s --help\n", command->name);
	exit(command->wraps ? STATUS_WRAPPER : STATUS_USAGE);
}

/* The option's value as a number of at most @max. */
uint32_t parse_u32(const struct args *args, uint32_t max, int base)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(args->value, &end, base);
	if (errno || *end || end == args->value || value > max ||
	    args->value[0] < '0' || args->value[0] > '9')
		usage_error(args->command, base == 8 ?
			    "\"%s\" is not an octal number of 0 to %o" :
			    "\"%s\" is not a number of 0 to %u",
			    args->value, max);
	return value;
}

/* The option's value as a number of @what, from 1 to @max. */
uint32_t parse_count(const struct args *args, uint32_t max, const char *what)
{
	uint32_t n = parse_u32(args, max, 10);

	if (!n)
		usage_error(args->command, "\"%s\" is not a number of %s: give 1 or more",
			    args->value, what);
	return n;
}

/* The option's value as a number of bytes; K, M and G are powers of 1024. */
uint64_t parse_size(const struct args *args)
{
	static const char units[] = "KMG";
	unsigned long long value;
	const char *unit;
	int shift = 0;
	char *end;

	errno = 0;
	value = strtoull(args->value, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (errno || *end || args->value[0] < '0' || args->value[0] > '9' ||
	    value > UINT64_MAX >> (shift + 1))
		usage_error(args->command,
			    "\"%s\" is not a size: give a number, or one with K, M or G",
			    args->value);
	return value << shift;
}

/* The option's value, a time in seconds of at most @max, in milliseconds. */
uint32_t parse_seconds(const struct args *args, double min, uint32_t max)
{
	double seconds;
	char *end;

	seconds = strtod(args->value, &end);
	/* Written so that what is no number at all fails too. */
	if (*end || end == args->value || !(seconds >= min && seconds <= max))
		usage_error(args->command,
			    "\"%s\" is not a number of seconds from %g to %u",
			    args->value, min, max);
	return seconds * 1000;
}

/* The option's value as a number that @name gives a word for. */
uint32_t parse_word(const struct args *args, const char *(*name)(uint32_t))
{
	char words[128] = "";
	uint32_t i, n;

	for (n = 0; strcmp(name(n), "unknown"); n++)
		if (!strcmp(args->value, name(n)))
			return n;
	if (n == 2)
		usage_error(args->command, "\"%s\" is neither %s nor %s",
			    args->value, name(0), name(1));
	for (i = 0; i < n; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 "%s%s", !i ? "" : i + 1 < n ? ", " : " and ", name(i));
	usage_error(args->command, "\"%s\" is none of %s", args->value, words);
}

/* Takes an option that LINK_OPTION_ROWS describes. */
bool link_option(const struct args *args, int id,
		 struct faasctl_link_options *options)
{
	switch (id) {
	case 'c':
		options->capacity = parse_size(args);
		return true;
	case 'a':
		options->abort_on = parse_word(args, faasctl_abort_on_name);
		return true;
	case 'e':
		options->early_close = parse_word(args,
						  faasctl_early_close_name);
		return true;
	case 'T':
		options->flags |= FAASCTL_TRUSTED;
		return true;
	case 'u':
		options->flags |= FAASCTL_UNCHARGED;
		return true;
	}
	return false;
}

void warn_uncharged(const char *workflow)
{
	warning("workflow \"%s\" is UNCHARGED: no cgroup pays for its buffers, nothing limits them",
		workflow);
}
