// SPDX-License-Identifier: GPL-2.0
/*
 * Ways take turns within a repetition, so that a change of the machine's load hits all
 * of them.
 */
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "measure.h"

struct shared *shared;

static const char *const figure_keys[N_FIGURES] = {
	[FIGURE_RATE] = "bytes_per_second",
	[FIGURE_NS] = "ns",
	[FIGURE_FILL] = "fill_ns",
	[FIGURE_CPU] = "cpu_s_per_gb",
	[FIGURE_WAKES] = "wakes_per_mb",
	[FIGURE_COPIES] = "copies",
	[FIGURE_FAULTS] = "faults_per_mb",
};

pid_t fork_other(void)
{
	memset(shared, 0, sizeof(*shared));
	return fork_or_die();
}

void meet(void)
{
	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
}

struct usage usage_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct usage) {
		.cpu_ns = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
			(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3,
		.waits = usage.ru_nvcsw,
		.faults = usage.ru_minflt,
	};
}

struct usage usage_since(struct usage before)
{
	struct usage now = usage_now();

	now.cpu_ns -= before.cpu_ns;
	now.waits -= before.waits;
	now.faults -= before.faults;
	return now;
}

/* Runs @fn for each thread of @pid. */
static void each_thread(pid_t pid, void (*fn)(pid_t thread, void *arg), void *arg)
{
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		die("the server is gone: %s: %s", path, strerror(errno));
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			fn(atoi(entry->d_name), arg);
	closedir(dir);
}

static void add_waits(pid_t thread, void *arg)
{
	struct usage *usage = arg;
	char path[64], line[128];
	double n;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", thread);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %lf", &n) == 1)
			usage->waits += n;
	if (file)
		fclose(file);
}

static struct usage usage_of(pid_t pid)
{
	struct usage usage = { 0 };
	struct timespec cpu;
	clockid_t clock;
	char path[64];
	FILE *file;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &cpu))
		die("the server is gone");
	usage.cpu_ns = cpu.tv_sec * 1e9 + cpu.tv_nsec;
	each_thread(pid, add_waits, &usage);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file ||
	    fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %lf", &usage.faults) != 1)
		die("%s: not as expected", path);
	fclose(file);
	return usage;
}

static int add_counts(const struct faasctl_workflow *workflow, void *arg)
{
	struct cost *cost = arg;

	cost->wakes = workflow->stats.reader_wakes + workflow->stats.writer_wakes;
	cost->copied = workflow->stats.bytes_in_copied + workflow->stats.bytes_out_copied;
	return 0;
}

static void counted(struct cost *cost, const char *workflow)
{
	struct faasctl_error err;
	struct faasctl *ctl;

	if (faasctl_open(&ctl, &err) ||
	    faasctl_workflow_each(ctl, workflow, add_counts, cost, &err))
		die("%s", err.message);
	faasctl_close(ctl);
}

void cost_begin(struct cost *cost, const struct way *way)
{
	memset(cost, 0, sizeof(*cost));
	cost->way = way;
	if (way->server)
		cost->server = usage_of(way->server());
	if (way->workflow)
		counted(cost, way->workflow);
}

void cost_end(const struct cost *cost, struct usage mine, double bytes, double figures[N_FIGURES])
{
	double cpu_ns = mine.cpu_ns + shared->usage.cpu_ns;
	double wakes = mine.waits + shared->usage.waits;
	double faults = mine.faults + shared->usage.faults;
	double copies = cost->way->copies;
	struct cost now;

	cost_begin(&now, cost->way);
	cpu_ns += now.server.cpu_ns - cost->server.cpu_ns;
	wakes += now.server.waits - cost->server.waits;
	faults += now.server.faults - cost->server.faults;
	if (cost->way->workflow) {
		wakes = now.wakes - cost->wakes;
		copies += (now.copied - cost->copied) / bytes;
	}
	figures[FIGURE_CPU] = cpu_ns / bytes;
	figures[FIGURE_WAKES] = wakes / bytes * 1e6;
	figures[FIGURE_COPIES] = copies;
	figures[FIGURE_FAULTS] = faults / bytes * 1e6;
}

static void pin_thread(pid_t thread, void *arg)
{
	/* One that ended meanwhile needs none. */
	if (sched_setaffinity(thread, sizeof(cpu_set_t), arg) && errno != ESRCH)
		die("cannot pin a server: %s", strerror(errno));
}

/* Servers run where the two processes do. */
static void pin_servers(const int cpus[2], unsigned int use)
{
	cpu_set_t set;
	size_t w;

	CPU_ZERO(&set);
	CPU_SET(cpus[0], &set);
	CPU_SET(cpus[1], &set);
	for (w = 0; w < n_ways; w++)
		if (ways[w]->server && way_takes(ways[w], use, 0))
			each_thread(ways[w]->server(), pin_thread, &set);
}

static double (*values)[N_FIGURES][REPEATS];

static void figures_json(FILE *json, double (*of)[REPEATS])
{
	const char *between = "";
	int f;

	fputc('{', json);
	for (f = 0; f < N_FIGURES; f++) {
		if (isnan(of[f][0]))
			continue;
		fprintf(json, "%s\"%s\": ", between, figure_keys[f]);
		between = ", ";
		values_json(of[f], repeats(), json);
	}
	fputc('}', json);
}

static void ask(const struct question *question, size_t size, const int cpus[2], FILE *json)
{
	double figures[N_FIGURES];
	const char *between = "";
	size_t w;
	int i, f;

	for (i = question->warm_up ? -1 : 0; i < repeats(); i++) {
		for (w = 0; w < n_ways; w++) {
			if (!way_takes(ways[w], question->use, size))
				continue;
			for (f = 0; f < N_FIGURES; f++)
				figures[f] = NAN;
			question->ask(ways[w], size, cpus, figures);
			for (f = 0; i >= 0 && f < N_FIGURES; f++)
				values[w][f][i] = figures[f];
		}
	}
	fputc('{', json);
	for (w = 0; w < n_ways; w++) {
		if (!way_takes(ways[w], question->use, size))
			continue;
		fprintf(json, "%s\"%s\": ", between, ways[w]->key);
		between = ", ";
		figures_json(json, values[w]);
	}
	fputc('}', json);
}

static void layout(const struct question *questions, size_t n, const char *key, const char *where,
		   const int cpus[2], FILE *json)
{
	size_t q, s;

	fprintf(json, "\"%s\": {", key);
	for (q = 0; q < n; q++) {
		pin_servers(cpus, questions[q].use);
		fprintf(json, "%s\"%s\": {", q ? ", " : "", questions[q].key);
		for (s = 0; s < questions[q].n_sizes; s++) {
			progress("%s of %zu bytes, %s", questions[q].what, questions[q].sizes[s],
				 where);
			fprintf(json, "%s\"%zu\": ", s ? ", " : "", questions[q].sizes[s]);
			ask(&questions[q], questions[q].sizes[s], cpus, json);
		}
		fputc('}', json);
	}
	fputc('}', json);
}

/* How ways are called, and why some are not here. */
static void ways_json(FILE *json, unsigned int uses)
{
	const char *between = "\"ways\": {";
	size_t w;

	for (w = 0; w < n_ways; w++) {
		if (!way_takes(ways[w], uses, 0))
			continue;
		fprintf(json, "%s\"%s\": \"%s\"", between, ways[w]->key, ways[w]->name);
		between = ", ";
	}
	between = "}, \"missing\": {";
	for (w = 0; w < n_ways; w++) {
		if (!(ways[w]->uses & uses) || way_takes(ways[w], uses, 0))
			continue;
		fprintf(json, "%s\"%s\": \"%s\"", between, ways[w]->name, ways[w]->missing());
		between = ", ";
	}
	fprintf(json, "%s}, ", *between == ',' ? "" : between);
}

void ask_all(const struct question *questions, size_t n, FILE *json)
{
	static const int two[2] = { 0, 1 }, one[2] = { 0, 0 };
	unsigned int uses = 0;
	size_t q;

	for (q = 0; q < n; q++)
		uses |= questions[q].use;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	values = calloc(n_ways, sizeof(*values));
	if (shared == MAP_FAILED || !values)
		die("no memory");
	ways_setup(uses);
	ways_json(json, uses);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
		layout(questions, n, "two_cpus", "two CPUs", two, json);
		fputs(", ", json);
	}
	layout(questions, n, "one_cpu", "one CPU", one, json);
	ways_teardown(uses);
	free(values);
}
