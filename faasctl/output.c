// SPDX-License-Identifier: LGPL-2.1-or-later
/* Output for people: errors, numbers, words, the picture of a link. */
#include <langinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "tool.h"

/* Makes a text fit to be printed, wherever names and paths in it are from. */
void clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

/* Part of a line on standard error. */
void complain(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return;
	clean(text);
	fputs(text, stderr);
	free(text);
}

int fail(const struct faasctl_error *err)
{
	fflush(stdout);
	fprintf(stderr, "faasctl: %s\n", err->message);
	return STATUS_REFUSED;
}

/* The same, and what to do about it where the errno is @code. */
int fail_hint(const struct faasctl_error *err, int code, const char *format,
	      ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "faasctl: %s", err->message);
	if (err->code == code) {
		fputs("; ", stderr);
		va_start(args, format);
		complain(format, args);
		va_end(args);
	}
	fputc('\n', stderr);
	return STATUS_REFUSED;
}

int fail_memory(void)
{
	struct faasctl_error err;

	error_memory(&err);
	return fail(&err);
}

int error_memory(struct faasctl_error *err)
{
	err->code = ENOMEM;
	snprintf(err->message, sizeof(err->message), "out of memory");
	return -ENOMEM;
}

/*
 * Tells one load of the module from the next: the inode of its directory in sysfs; 0 if
 * it is not loaded. Nobody says so when it goes away.
 */
uint64_t module_load(void)
{
	struct stat st;

	return stat("/sys/module/faasin", &st) ? 0 : st.st_ino;
}

void warning(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("faasctl: warning: ", stderr);
	va_start(args, format);
	complain(format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* What was printed has arrived, or somebody must hear that it has not. */
int finish_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return STATUS_OK;
	/* A reader that has seen enough is no error worth a line. */
	if (errno != EPIPE)
		fprintf(stderr, "faasctl: cannot write the output: %s\n",
			strerror(errno));
	return STATUS_REFUSED;
}

static struct text scaled(uint64_t value, unsigned int base,
			  const char *const *units, size_t n)
{
	struct text text;
	double scaled = value;
	size_t i = 0;

	/* 999.5 would be rounded to a thousand. */
	while (i + 1 < n && scaled >= base - (i ? 0.05 : 0)) {
		scaled /= base;
		i++;
	}
	snprintf(text.s, sizeof(text.s), i ? "%.1f %s" : "%.0f %s", scaled,
		 units[i]);
	return text;
}

struct text text_bytes(uint64_t bytes)
{
	static const char *const units[] = {
		"B", "kB", "MB", "GB", "TB", "PB", "EB"
	};

	return scaled(bytes, 1000, units, ARRAY_SIZE(units));
}

/* Capacities are round in binary, and shown so that they can be typed. */
struct text text_capacity(uint64_t bytes)
{
	static const char units[] = " KMG";
	struct text text;
	int i = 0;

	while (i < 3 && bytes && !(bytes % 1024)) {
		bytes /= 1024;
		i++;
	}
	snprintf(text.s, sizeof(text.s), "%llu%.*s", (unsigned long long)bytes,
		 i ? 1 : 0, units + i);
	return text;
}

struct text text_time(uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };

	return scaled(ns, 1000, units, ARRAY_SIZE(units));
}

struct text text_signal(int sig)
{
	const char *name = sigabbrev_np(sig);
	struct text text;

	if (name)
		snprintf(text.s, sizeof(text.s), "SIG%s", name);
	else
		snprintf(text.s, sizeof(text.s), "signal %d", sig);
	return text;
}

/* The same without what a terminal would obey: a command's name is its own choice. */
struct text text_clean(const char *s)
{
	struct text text;

	snprintf(text.s, sizeof(text.s), "%s", s);
	clean(text.s);
	return text;
}

/* Whether it is the stage that reads that did it. */
bool cause_is_readers(uint32_t cause)
{
	return cause == FAASIN_CAUSE_EARLY_CLOSE || cause == FAASIN_CAUSE_SLOW;
}

struct text text_cause(const struct faasctl_cause *cause)
{
	char how[40];
	struct text text;
	int n = 0;

	switch (cause->cause) {
	case FAASIN_CAUSE_SIGNAL:
		snprintf(how, sizeof(how), "killed by %.20s",
			 text_signal(cause->code).s);
		break;
	case FAASIN_CAUSE_STATUS:
		snprintf(how, sizeof(how), "exited with status %u",
			 cause->code);
		break;
	case FAASIN_CAUSE_LOST:
		strcpy(how, "was gone before its end was seen");
		break;
	case FAASIN_CAUSE_REQUEST:
		strcpy(how, "asked for the abort");
		break;
	case FAASIN_CAUSE_UNLINK:
		strcpy(how, "unlinked");
		break;
	case FAASIN_CAUSE_EARLY_CLOSE:
		strcpy(how, "closed before the end");
		break;
	case FAASIN_CAUSE_SLOW:
		strcpy(how, "was too slow");
		break;
	case FAASIN_CAUSE_LANE:
		strcpy(how, "broke the rules of its lane");
		break;
	case FAASIN_CAUSE_DEAL:
		strcpy(how, "another of its links was over before");
		break;
	default:
		snprintf(how, sizeof(how), "cause %u", cause->cause);
	}
	if (cause->stage)
		n = snprintf(text.s, sizeof(text.s), "stage %.63s: ",
			     cause->stage);
	if (cause->pid && cause->cause != FAASIN_CAUSE_UNLINK) {
		n += snprintf(text.s + n, sizeof(text.s) - n, "%.16s[%u] ",
			      text_clean(cause->comm ? cause->comm : "?").s,
			      cause->pid);
	}
	snprintf(text.s + n, sizeof(text.s) - n, "%s", how);
	return text;
}

/* For tab-separated output: \ooo for control characters and backslashes. */
void print_escaped(const char *s, FILE *to)
{
	if (!s || !*s) {
		fputc('-', to);
		return;
	}
	/* A name can be this too. */
	if (!strcmp(s, "-")) {
		fputs("\\055", to);
		return;
	}
	for (; *s; s++) {
		unsigned char c = *s;

		if (c < ' ' || c == 0x7f || c == '\\')
			fprintf(to, "\\%03o", c);
		else
			fputc(c, to);
	}
}

/* Whether the terminal, as far as the locale tells, takes more than ASCII. */
bool utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static void print_end(const char *stage, const char *port, const char *usual,
		      FILE *to)
{
	fprintf(to, "%s%s%s", bold(), stage, plain());
	if (strcmp(port, usual))
		fprintf(to, ":%s", port);
}

struct text text_percent(double share)
{
	struct text text;

	snprintf(text.s, sizeof(text.s), "%.0f%%", share * 100);
	return text;
}

/* The line that all commands have for it. */
void print_bottleneck(const char *workflow, const char *stage, double share)
{
	printf("* bottleneck of %s: %s%s%s, %s of the time\n", workflow, bold(),
	       stage, plain(), text_percent(share).s);
}

/* grep --49.5 MB--> wc */
void print_picture(const struct faasctl_link *link, FILE *to)
{
	bool wide = utf8();

	print_end(link->src_stage, link->src_port, FAASIN_PORT_OUT, to);
	fprintf(to, wide ? " ──%s──▶ " : " --%s--> ",
		text_bytes(link->stats.bytes_in).s);
	print_end(link->dst_stage, link->dst_port, FAASIN_PORT_IN, to);
}

bool colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term &&
	       strcmp(term, "dumb");
}

const char *bold(void)
{
	return colours() ? "\033[1m" : "";
}

const char *red(void)
{
	return colours() ? "\033[31m" : "";
}

const char *plain(void)
{
	return colours() ? "\033[0m" : "";
}
