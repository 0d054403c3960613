/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the measuring programs share: time, spread, tables.
 *
 * Each program writes its tables as Markdown to standard output and its figures
 * as one JSON object to the file named by $BENCH_JSON. bench/run puts the parts
 * together.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faasctl.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define REPEATS		5	/* at most */

/**
 * struct spread - one thing measured several times
 * @n: how often so far
 * @value: what came out
 */
struct spread {
	unsigned int n;
	double value[REPEATS];
};

static inline void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Measuring takes minutes: say what is going on. */
static inline void __attribute__((format(printf, 1, 2)))
progress(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* How often each thing is measured: $BENCH_REPEATS, REPEATS without. */
static inline int repeats(void)
{
	const char *value = getenv("BENCH_REPEATS");
	int n = value ? atoi(value) : REPEATS;

	if (n < 1 || n > REPEATS)
		die("BENCH_REPEATS is a number from 1 to %d, not %s", REPEATS, value);
	return n;
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot run on CPU %d: %s", cpu, strerror(errno));
}

static inline int bench_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static inline void spread_add(struct spread *spread, double value)
{
	if (spread->n == REPEATS)
		die("more than %d repetitions", REPEATS);
	spread->value[spread->n++] = value;
	qsort(spread->value, spread->n, sizeof(double), bench_compare);
}

static inline double median(const struct spread *spread)
{
	return spread->value[spread->n / 2];
}

static inline double lowest(const struct spread *spread)
{
	return spread->value[0];
}

static inline double highest(const struct spread *spread)
{
	return spread->value[spread->n - 1];
}

static inline void spread_json(const struct spread *spread, FILE *json)
{
	fprintf(json, "{\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}",
		median(spread), lowest(spread), highest(spread));
}

/* What came out each time, in order. */
static inline void values_json(const double *values, int n, FILE *json)
{
	int i;

	for (i = 0; i < n; i++)
		fprintf(json, "%s%.6g", i ? ", " : "[", values[i]);
	fputc(']', json);
}

static inline FILE *open_json(void)
{
	const char *path = getenv("BENCH_JSON");
	FILE *json = fopen(path ? path : "/dev/null", "w");

	if (!json)
		die("cannot write %s: %s", path, strerror(errno));
	return json;
}

static inline void close_json(FILE *json)
{
	if (fputs("}\n", json) == EOF || fclose(json))
		die("cannot write the JSON: %s", strerror(errno));
}

/* A line of /proc/meminfo, in KiB. */
static inline long meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	size_t len = strlen(name);
	char line[128];
	long value = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			value = atol(line + len + 1);
	if (file)
		fclose(file);
	if (value < 0)
		die("no %s in /proc/meminfo", name);
	return value;
}

/* What can be had back does not count as used. */
static inline void drop_caches(void)
{
	int fd, i;

	for (i = 0; i < 3; i++) {
		fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
		if (fd < 0 || write(fd, "3", 1) != 1)
			die("cannot drop caches: %s", strerror(errno));
		close(fd);
		/* Frees that wait for a grace period are over after this. */
		usleep(500000);
	}
}

/* A cgroup for a workflow to be charged to. */
static inline int payer(const char *workflow)
{
	struct faasctl_error err;
	int fd = faasctl_cgroup_default(workflow, NULL, &err);

	if (fd < 0)
		die("%s", err.message);
	return fd;
}

static inline int open_port(const char *workflow, const char *stage,
			    const char *port, int flags)
{
	struct faasctl_error err;
	char path[512];
	int fd;

	if (faasctl_port_path(workflow, stage, port, path, sizeof(path), &err))
		die("%s", err.message);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static inline void write_all(int fd, const char *from, size_t size)
{
	ssize_t n;

	for (; size; from += n, size -= n) {
		n = write(fd, from, size);
		if (n <= 0)
			die("write: %s", strerror(errno));
	}
}

static inline void read_all(int fd, char *to, size_t size)
{
	ssize_t n;

	for (; size; to += n, size -= n) {
		n = read(fd, to, size);
		if (n <= 0)
			die("read: %s", n ? strerror(errno) : "end of file");
	}
}

static inline pid_t fork_or_die(void)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	return child;
}

static inline void reap(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child || status)
		die("the other process failed");
}

#endif /* BENCH_H */
