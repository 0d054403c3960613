// SPDX-License-Identifier: GPL-2.0
/*
 * top [LINKS]...: what `faasctl top` takes of a CPU, on a terminal of 80x24, a reading a
 * second. One link of each workflow moves bytes all the time.
 *
 * top --loop: how long a plain loop takes here. An emulated CPU is so many times slower
 * than the one below it as the loop is; bench/run has it measured on both, and hands
 * in $BENCH_LOOP_NS. In a guest that counts instructions, times are instructions.
 */
#include "bench.h"

#include <poll.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define CHAIN		100	/* links a workflow */
#define SECONDS		4	/* a repetition */

static struct faasctl *ctl;
static int cgroup;
static const int all_sizes[] = { 100, 1000, 10000 };

/**
 * struct cost - what was measured with so many links
 * @percent: of a CPU
 * @user: share of it that was not the kernel's
 * @link_ns: a reading takes, by links
 * @once_ns: `faasctl top --once` takes, its start and two readings
 */
struct cost {
	struct spread percent;
	double user;
	double link_ns;
	double once_ns;
};

static const char *name_of(int workflow)
{
	static char name[32];

	snprintf(name, sizeof(name), "bench-top-%03d", workflow);
	return name;
}

static void make_workflow(int i)
{
	const struct faasctl_stage_options options = FAASCTL_STAGE_OPTIONS_INIT;
	char stage[8], before[8] = "";
	struct faasctl_error err;
	int j, ret;

	ret = faasctl_workflow_add(ctl, name_of(i), cgroup, 0, &err);
	for (j = 0; !ret && j <= CHAIN; j++) {
		snprintf(stage, sizeof(stage), "s%03d", j);
		ret = faasctl_stage_add(ctl, name_of(i), stage, &options, &err);
		if (!ret && j)
			ret = faasctl_link_add(ctl, name_of(i), before, stage, NULL, &err);
		strcpy(before, stage);
	}
	if (ret)
		die("%s", err.message);
}

/* A process that moves bytes through a link of each workflow. */
static pid_t move_bytes(int workflows)
{
	int i, n = 0, *ends = calloc(2 * workflows, sizeof(*ends));
	pid_t pid = fork_or_die();
	char byte = 'x';

	if (pid)
		return pid;
	for (i = 0; i < workflows; i++) {
		ends[n++] = open_port(name_of(i), "s000", FAASIN_PORT_OUT, O_WRONLY);
		ends[n++] = open_port(name_of(i), "s001", FAASIN_PORT_IN, O_RDONLY);
	}
	for (;;) {
		for (i = 0; i < n; i += 2)
			if (write(ends[i], &byte, 1) != 1 || read(ends[i + 1], &byte, 1) != 1)
				_exit(1);
		usleep(100000);
	}
}

/* Takes what it draws, so that it never waits for the terminal. */
static void drain(int fd, uint64_t until)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char buf[65536];
	uint64_t now;

	while ((now = now_ns()) < until) {
		if (poll(&in, 1, (until - now) / 1000000 + 1) == 1 &&
		    read(fd, buf, sizeof(buf)) <= 0)
			die("faasctl top ended");
	}
}

static void first_picture(int fd)
{
	char buf[4096];

	if (read(fd, buf, sizeof(buf)) <= 0)
		die("faasctl top drew nothing");
}

static double cpu_ns(clockid_t clock)
{
	struct timespec used;

	if (clock_gettime(clock, &used))
		die("no CPU clock: %s", strerror(errno));
	return used.tv_sec * 1e9 + used.tv_nsec;
}

/* A loop that does what programs do: reads bytes, computes, branches. */
static double loop_ns(void)
{
	static unsigned char bytes[1 << 16];
	double before = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	uint32_t hash = 2166136261u;
	size_t i, round;

	for (round = 0; round < 256; round++) {
		for (i = 0; i < sizeof(bytes); i++) {
			hash = (hash ^ bytes[i]) * 16777619;
			if (hash & 64)
				bytes[i] = hash;
		}
	}
	/* In this way it cannot be left out. */
	if (hash == 1)
		putchar('\n');
	return cpu_ns(CLOCK_THREAD_CPUTIME_ID) - before;
}

/* Ticks that a process has had: what it computed itself, and what the kernel for it. */
static void ticks_of(pid_t pid, unsigned long *user, unsigned long *system)
{
	char path[64], text[1024] = "";
	const char *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		die("cannot read %s", path);
	fclose(f);
	at = strrchr(text, ')');
	if (!at || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			  user, system) != 2)
		die("%s has no times", path);
}

static void measure(struct cost *cost, int links)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 80 };
	unsigned long user[2], system[2];
	int fd, i, status;
	clockid_t clock;
	pid_t pid = forkpty(&fd, NULL, NULL, &size);
	double before, all;

	if (pid < 0)
		die("no terminal: %s", strerror(errno));
	if (!pid) {
		setenv("TERM", "xterm", 1);
		execlp("faasctl", "faasctl", "top", NULL);
		_exit(127);
	}
	if (clock_getcpuclockid(pid, &clock))
		die("no CPU clock");
	/* Starting does not count, however long it takes to read the program. */
	first_picture(fd);
	drain(fd, now_ns() + 2 * 1000000000ull);
	ticks_of(pid, &user[0], &system[0]);
	all = cpu_ns(clock);
	for (i = 0; i < repeats(); i++) {
		before = cpu_ns(clock);
		drain(fd, now_ns() + SECONDS * 1000000000ull);
		spread_add(&cost->percent, (cpu_ns(clock) - before) / SECONDS / 1e7);
	}
	all = cpu_ns(clock) - all;
	ticks_of(pid, &user[1], &system[1]);
	user[1] -= user[0];
	system[1] -= system[0];
	cost->user = user[1] + system[1] ? (double)user[1] / (user[1] + system[1]) : 0;
	cost->link_ns = all / (repeats() * SECONDS) / links;
	/* Its terminal goes away, which is an end like any. */
	close(fd);
	if (waitpid(pid, &status, 0) != pid || status)
		die("faasctl top failed: status %#x", status);
}

static double once_ns(void)
{
	struct rusage used;
	int status;
	pid_t pid = fork_or_die();

	if (!pid) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		execlp("faasctl", "faasctl", "top", "--once", "--interval", "0.1", NULL);
		_exit(127);
	}
	if (wait4(pid, &status, 0, &used) != pid || status)
		die("faasctl top --once failed");
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
	       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

static void report(const struct cost *cost, int links, FILE *json)
{
	printf("| %d | %.2f (%.2f-%.2f) | %.2f | %.0f %% | %.1f |\n", links,
	       median(&cost->percent), lowest(&cost->percent), highest(&cost->percent),
	       cost->link_ns / 1000, cost->user * 100, cost->once_ns / 1e6);
	fprintf(json, "\"%d\": {\"percent\": ", links);
	spread_json(&cost->percent, json);
	fprintf(json, ", \"link_ns\": %.6g, \"user\": %.3g, \"once_ns\": %.6g}, ",
		cost->link_ns, cost->user, cost->once_ns);
}

/* How much slower than the CPU below this one is, if it was told that. */
static void report_loop(FILE *json)
{
	const char *text = getenv("BENCH_LOOP_NS");
	double native = text ? strtod(text, NULL) : 0, here = loop_ns();

	fprintf(json, "\"loop_ns\": %.6g, \"native_loop_ns\": %.6g", here, native);
	printf("\nA plain loop took %.1f ms here", here / 1e6);
	if (native > 0)
		printf(", %.2f ms outside: divide by %.1f for the CPU outside",
		       native / 1e6, here / native);
	puts(".");
}

static int main_loop(void)
{
	double best = loop_ns(), ns;
	int i;

	/* The best: what else runs here only makes it longer. */
	for (i = 0; i < 10; i++) {
		ns = loop_ns();
		best = ns < best ? ns : best;
	}
	printf("%.0f\n", best);
	return 0;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? argc - 1 : (int)ARRAY_SIZE(all_sizes), made = 0, i, size;
	struct faasctl_error err;
	pid_t mover;
	FILE *json;

	if (argc > 1 && !strcmp(argv[1], "--loop"))
		return main_loop();
	json = open_json();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (faasctl_open(&ctl, &err))
		die("%s", err.message);
	cgroup = payer("bench-top");
	puts("\nfaasctl top, a reading a second: of a CPU; of that a link a reading; of that not in the kernel; all of `faasctl top --once`\n");
	puts("| links | per cent (min-max) | us a link | user | --once, ms |\n| ---: | ---: | ---: | ---: | ---: |");
	fputs("{", json);
	for (i = 0; i < n; i++) {
		struct cost cost = { 0 };

		size = argc > 1 ? atoi(argv[i + 1]) : all_sizes[i];
		if (size < CHAIN || size / CHAIN < made)
			die("%d links: give hundreds, ever more", size);
		progress("%d links", size);
		while (made < size / CHAIN)
			make_workflow(made++);
		mover = move_bytes(made);
		measure(&cost, size);
		cost.once_ns = once_ns();
		kill(mover, SIGKILL);
		waitpid(mover, NULL, 0);
		report(&cost, size, json);
	}
	report_loop(json);
	close_json(json);
	while (made)
		if (faasctl_workflow_del(ctl, name_of(--made), 0, &err))
			die("%s", err.message);
	faasctl_close(ctl);
	close(cgroup);
	faasctl_cgroup_remove("bench-top", NULL, NULL);
	return 0;
}
