// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of all that user space can ask of the module: netlink requests, files,
 * mounts, and what processes do to descriptors, by two threads or processes at once.
 *
 * A program is a short list of calls. The worker executes it, in a scene that is as new
 * (scene.h). Where the kernel has KCOV and the module was built for it, a program that
 * reached edges not seen before joins the corpus, from which the next ones are made;
 * elsewhere, one in which a call ended as it never had before.
 *
 * What a bug is: anything that the kernel complains about, a program that cannot be
 * ended, sums of a link that do not add up, bytes that nobody wrote or that are lost, a
 * port that can be mapped, objects, references or memory that are left.
 */
#include <dirent.h>
#include <glob.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>

#include "chance.h"
#include "common.h"
#include "corpus.h"
#include "cover.h"
#include "fault.h"
#include "faults.h"
#include "figures.h"
#include "options.h"
#include "record.h"
#include "reduce.h"
#include "scene.h"
#include "worker.h"

#define FAILURES_MAX	10		/* the rest would be the same */
#define RENEW		64		/* programs until the scene is made anew in any case */
#define TRIES		3		/* of a program that failed */
#define ENOUGH_RUNS	200		/* for the seeds, and some more */
#define MANY_RUNS	5000		/* in which each call is to have succeeded once */
#define STALL		240		/* seconds after which the engine itself counts as stuck */

/**
 * struct results - for the process that started the engine
 * @passed: results
 * @failed: results
 * @skipped: results
 * @beats: programs that were begun, repeated ones too
 * @scans: for leaks: that takes as long as it takes
 * @complained: the kernel did: nothing that is asked of it now need come back
 * @reduced: how a reduction ended
 */
struct results {
	int passed, failed, skipped;
	long beats;
	bool scans;
	bool complained;
	enum reduce_end reduced;
};

static struct results *results;
uint64_t chance_seed;

static bool guided, stuck;
static struct figures figures;
static long failures, hangs;
static unsigned int since_new;
static bool scene_lost = true;
/* Seconds spent. */
static struct {
	double programs, mending, scenes, record;
} spent;

static int kernel_log = -1;

static void result(bool good, const char *what)
{
	printf("%s  %s\n", good ? "ok  " : "FAIL", what);
	if (good)
		results->passed++;
	else
		results->failed++;
}

static void skip(const char *what, const char *why)
{
	printf("SKIP  %s: %s\n", what, why);
	results->skipped++;
}

/* --------------------------------------------------------------- a program */

/* Executes it in the scene as it is, and mends the scene. Returns what is wrong, or NULL. */
static const char *execute(const struct program *p)
{
	const char *wrong = NULL, *mended, *complaint;
	double start = figures_clock(), done;

	results->beats++;
	worker_report->violation[0] = '\0';
	cover_clear();
	switch (worker_run(p)) {
	case WORKER_DONE:
		break;
	case WORKER_HANGS:
		hangs++;
		wrong = "it does not end by itself, though no call may block for long";
		break;
	case WORKER_STUCK:
		hangs++;
		stuck = true;
		wrong = "it cannot be killed";
	}
	done = figures_clock();
	spent.programs += done - start;
	complaint = log_complaint(kernel_log);
	if (complaint) {
		results->complained = true;
		return complaint;
	}
	if (stuck)
		return wrong;
	mended = scene_mend(program_changes(p));
	scene_lost = mended;
	spent.mending += figures_clock() - done;
	if (worker_report->violation[0])
		return worker_report->violation;
	return wrong ?: mended;
}

/* False (and a failure) if there cannot be one. */
static bool new_scene(void)
{
	double start = figures_clock();
	const char *wrong = scene_make();

	since_new = 0;
	scene_lost = wrong;
	spent.scenes += figures_clock() - start;
	if (!wrong) {
		record_scene();
		return true;
	}
	printf("FAIL  run %ld: the scene cannot be made anew: %s\n", figures.runs, wrong);
	/* Any of those before it did that. */
	record_failure(figures.runs, NULL);
	failures++;
	return false;
}

/* Does it fail by itself, in a new scene? */
static void try_again(const struct program *p)
{
	const char *wrong = NULL;
	int i;

	for (i = 0; i < TRIES && !wrong; i++)
		wrong = new_scene() ? execute(p) : "no scene";
	scene_lost = true;
	if (wrong)
		printf("      it fails again by itself: %s\n", wrong);
	else
		printf("      it does not fail by itself in %d tries: see its history\n", TRIES);
}

static void report_failure(const struct program *p, const char *wrong)
{
	printf("FAIL  run %ld: %s\n", figures.runs, wrong);
	program_print(stdout, p);
	fflush(stdout);
	failures++;
	record_failure(figures.runs, p);
}

static void learn(const struct program *p, double seconds)
{
	size_t edges = cover_new();
	size_t outcomes = cover_new_outcomes(p, worker_report->error);

	figures.edges += edges;
	figures.outcomes += outcomes;
	if (guided ? edges : outcomes)
		corpus_add(p, seconds);
	figures.corpus = corpus_size();
	figures.injected = worker_report->injected;
	figures_note(&figures);
}

static bool is_over(void)
{
	return failures >= (want.stop ? 1 : FAILURES_MAX) ||
	       (want.runs && figures.runs >= want.runs);
}

/* False if it makes no sense to go on. */
static bool run(const struct program *p)
{
	char text[300];
	const char *wrong;
	double start;

	figures.runs++;
	if ((scene_lost || since_new >= RENEW) && !new_scene())
		return false;
	since_new++;
	record_run(p);
	start = figures_clock();
	wrong = execute(p);
	learn(p, figures_clock() - start);
	if (!wrong)
		return true;
	snprintf(text, sizeof(text), "%s", wrong);
	report_failure(p, text);
	/* From here on, another program would be blamed. */
	if (results->complained || stuck)
		return false;
	try_again(p);
	return !results->complained && !is_over();
}

/* ------------------------------------------------------------------ batches */

static struct program batch[BATCH];
static unsigned int nbatch;

static bool run_batch(void)
{
	double start = figures_clock();
	unsigned int i;

	record_batch(batch, nbatch, figures.runs + 1);
	spent.record += figures_clock() - start;
	for (i = 0; i < nbatch && !is_over(); i++)
		if (!run(&batch[i]))
			break;
	i = i == nbatch;
	nbatch = 0;
	return i;
}

static bool take(const struct program *p)
{
	batch[nbatch++] = *p;
	/* Replayed, the record is to say which it was. */
	return nbatch < (want.replay ? 1 : BATCH) || run_batch();
}

static void make_up(struct program *p)
{
	if (!corpus_size() || one_in(8)) {
		program_fresh(p);
		return;
	}
	*p = *corpus_any(one_in(2));
	program_mutate(p, corpus_any(false));
	/* A worker that is gone is dear. */
	if (program_changes(p) & CHANGES_CALLER && !one_in(4))
		program_tame(p);
	if (!p->ncalls)
		program_fresh(p);
}

static bool run_seeds(void)
{
	long count = 0, n;
	size_t i;

	for (i = 0; i < want.nseeds; i++) {
		n = corpus_read(want.seeds[i], take);
		if (n < 0)
			return false;
		count += n;
	}
	return count && (!nbatch || run_batch());
}

static void fuzz(void)
{
	struct program p;
	bool good = true;

	result(run_seeds(), "all seeds are programs, and ran");
	while (good && !is_over() && figures_clock() < want.seconds) {
		make_up(&p);
		good = take(&p);
	}
}

/* ---------------------------------------------------------------- reduction */

static char attempt_wrong[300];

/* What went wrong first counts. */
static void note(const char *wrong)
{
	if (wrong && !attempt_wrong[0])
		snprintf(attempt_wrong, sizeof(attempt_wrong), "%s", wrong);
}

/* In the scene that is there; and makes a new one. */
static void attempt_once(const struct program *programs, unsigned int n, bool *over)
{
	const char *lost = NULL, *complaint;
	unsigned int i;

	for (i = 0; i < n && !attempt_wrong[0]; i++)
		note(execute(&programs[i]));
	worker_end();
	if (!results->complained && !stuck) {
		/* What is only noticed when links go is theirs, too. */
		lost = scene_make();
		note(lost);
		complaint = log_complaint(kernel_log);
		results->complained = complaint;
		note(complaint);
	}
	*over = lost || results->complained || stuck;
}

static const char *attempt(const struct program *programs, unsigned int n, bool *over)
{
	int i;

	attempt_wrong[0] = '\0';
	for (i = 0; i < TRIES && !attempt_wrong[0]; i++)
		attempt_once(programs, n, over);
	return attempt_wrong[0] ? attempt_wrong : NULL;
}

static enum reduce_end reduce_file(void)
{
	const char *wrong = scene_make();

	if (!wrong)
		return reduce(want.reduce, attempt);
	fprintf(stderr, "uapi: the scene cannot be made: %s\n", wrong);
	return REDUCE_BROKEN;
}

/* ------------------------------------------------------------------- engine */

static bool prepare(void)
{
	const char *wrong;

	kernel_log = log_open();
	chance_seed = want.seed * 0x9e3779b97f4a7c15ull ?: 1;
	wrong = scene_init();
	if (wrong) {
		fprintf(stderr, "uapi: %s\n", wrong);
		return false;
	}
	return record_init(want.record, want.failures) && corpus_init(want.keep) && worker_init();
}

static void print_count(const char *what, uint64_t tried, uint64_t worked)
{
	printf("  %-14s %9llu %9llu\n", what, (unsigned long long)tried,
	       (unsigned long long)worked);
}

static void print_calls(void)
{
	size_t i;

	puts("calls: made, and of these successful");
	for (i = 0; i < OPS; i++)
		print_count(ops[i].name, worker_report->tried[i], worker_report->worked[i]);
	puts("ioctls, likewise:");
	for (i = 0; i < IOCTLS; i++)
		print_count(ioctls[i].word, worker_report->ioctl_tried[i],
			    worker_report->ioctl_worked[i]);
}

/*
 * What never succeeds is never tried either, as far as the module's bugs go. Calls that are rare
 * get their chance in long runs only.
 */
static void check_calls(void)
{
	bool all = true;
	size_t i;

	for (i = 0; i < OPS; i++) {
		if (ops[i].changes & ALWAYS_REFUSED || worker_report->worked[i])
			continue;
		printf("%s: of %llu calls none succeeded\n", ops[i].name,
		       (unsigned long long)worker_report->tried[i]);
		all = false;
	}
	result(all, "each call that can succeed did so at least once");
}

static void check_ioctls(void)
{
	bool all = true;
	size_t i;

	for (i = 0; i < IOCTLS; i++) {
		if (!ioctl_is_ports(&ioctls[i]) || worker_report->ioctl_worked[i])
			continue;
		printf("ioctl %s: of %llu calls none succeeded\n", ioctls[i].word,
		       (unsigned long long)worker_report->ioctl_tried[i]);
		all = false;
	}
	result(all, "each ioctl of ports succeeded at least once");
}

static void check_leaks(void)
{
	const char *leaks;

	results->scans = true;
	leaks = fault_leaks();
	if (!leaks) {
		skip("leaks", "this kernel has no kmemleak");
		return;
	}
	fputs(leaks, stdout);
	result(!*leaks, "nothing leaked (kmemleak)");
}

/* All of it, in a process whose mounts go with it. Exit status: what went wrong. */
static void __attribute__((noreturn)) engine(void)
{
	const char *wrong, *no_faults;

	if (!prepare())
		exit(2);
	if (want.reduce) {
		no_faults = faults_start();
		if (no_faults)
			fprintf(stderr, "uapi: without faults: %s\n", no_faults);
		results->reduced = reduce_file();
		worker_end();
		exit(0);
	}
	guided = cover_start();
	if (!guided)
		puts("no KCOV here: guided by how calls end, not by coverage");
	no_faults = faults_start();
	figures_start();
	if (want.replay)
		result(corpus_read(want.replay, take) > 0, "the file has programs, and they ran");
	else
		fuzz();
	worker_end();
	figures_print(&figures);
	printf("of this, %.1f s in programs, %.1f s to mend the scene, %.1f s to make it anew, %.1f s to record; %lu workers\n",
	       spent.programs, spent.mending, spent.scenes, spent.record, workers_started);
	if (want.verbose)
		print_calls();

	result(figures.runs > 0 && !failures, "no program made the module break its word");
	result(!hangs, "every program ended");
	if (!want.replay && figures.runs > ENOUGH_RUNS)
		check_ioctls();
	else if (!want.replay)
		skip("whether each ioctl succeeds", "too few programs were executed");
	if (!want.replay && figures.runs > MANY_RUNS)
		check_calls();
	if (!guided)
		skip("coverage", "the kernel has no KCOV (the debug kernel has)");
	else
		result(figures.edges > 0,
		       "the module reports where programs went (it is built with KCOV=1)");
	if (no_faults)
		skip("fault injection", no_faults);
	else if (!want.replay && figures.runs > 1000)
		result(figures.injected > 0, "faults were injected");
	if (results->complained || stuck)
		exit(0);
	wrong = scene_end();
	if (wrong)
		printf("%s\n", wrong);
	result(!wrong, "everything can be deleted");
	check_leaks();
	exit(0);
}

/* --------------------------------------------------------------- afterwards */

/* Tasks in uninterruptible sleep. */
static bool any_stuck(void)
{
	char path[320], text[512], *after;
	struct dirent *entry;
	bool found = false;
	FILE *from;
	DIR *dir;

	dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		if (atoi(entry->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		from = fopen(path, "re");
		if (!from)
			continue;
		after = fgets(text, sizeof(text), from) ? strrchr(text, ')') : NULL;
		fclose(from);
		if (after && after[1] && after[2] == 'D')
			found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Those that still are after a while. */
static bool none_stuck(void)
{
	int i;

	for (i = 0; i < 200; i++) {
		if (!any_stuck())
			return true;
		usleep(50000);
	}
	return false;
}

/* References that are dropped late (RCU, queued work) get some time. */
static bool unload(void)
{
	int i;

	for (i = 0; i < 200; i++) {
		while (!umount2(MOUNT_POINT, 0))
			;
		if (!syscall(SYS_delete_module, "faasin", O_NONBLOCK))
			return true;
		usleep(50000);
	}
	printf("the module cannot be unloaded: %s\n", strerror(errno));
	return false;
}

/* What every task of user space is at, for whoever looks for the reason that one is stuck. */
static void tell_tasks(void)
{
	static const char *const files[] = { "stat", "syscall", "stack" };
	char path[320], text[2048];
	unsigned int i, f;
	glob_t tasks;
	ssize_t n;
	int fd;

	if (glob("/proc/[0-9]*/task/[0-9]*", 0, NULL, &tasks))
		return;
	for (i = 0; i < tasks.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/exe", tasks.gl_pathv[i]);
		/* The kernel's own have none. */
		if (readlink(path, text, sizeof(text)) < 0)
			continue;
		for (f = 0; f < ARRAY_SIZE(files); f++) {
			snprintf(path, sizeof(path), "%s/%s", tasks.gl_pathv[i], files[f]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			n = read(fd, text, sizeof(text));
			if (n > 0)
				printf("%.*s", (int)n, text);
			close(fd);
		}
	}
	globfree(&tasks);
}

/* Does it end, and well? A lock that is never given back stops it, too. */
static bool await_engine(pid_t pid)
{
	time_t moved = time(NULL);
	long beats = -1;
	int status = 0;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (results->beats != beats || results->scans) {
			beats = results->beats;
			moved = time(NULL);
		}
		if (time(NULL) > moved + STALL) {
			printf("no answer for %d s; tasks, their calls and stacks:\n", STALL);
			tell_tasks();
			kill(pid, SIGKILL);
			return false;
		}
		usleep(100000);
	}
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const char *complaint;
	int log;
	pid_t pid;

	options_parse(argc, argv);
	/* What was said stays said, if this is killed. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* It moves, mounts and kills: not on a machine that anybody works on. */
	if (!getenv("FAASIN_GUEST")) {
		fprintf(stderr, "uapi: this is no guest: vm-test/run -- fuzz/uapi-run\n");
		return 2;
	}
	log = log_open();
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (results == MAP_FAILED || log < 0) {
		fprintf(stderr, "uapi: cannot start: %s\n", strerror(errno));
		return 2;
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		engine();
	}
	if (want.reduce)
		return await_engine(pid) ? results->reduced : REDUCE_BROKEN;
	result(await_engine(pid), "the fuzzer itself ran to its end");
	result(none_stuck(), "no task is stuck");
	if (results->complained)
		skip("unloading the module", "the kernel complained");
	else if (want.unload)
		result(unload(), "the module can be unloaded: nothing holds it");
	else
		skip("unloading the module", "not asked for (--unload)");
	complaint = log_complaint(log);
	if (complaint)
		printf("the kernel: %s\n", complaint);
	result(!complaint, "the kernel's log is clean");
	printf("%d passed, %d failed, %d skipped\n", results->passed, results->failed,
	       results->skipped);
	return results->failed != 0;
}
