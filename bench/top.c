// SPDX-License-Identifier: GPL-2.0
/*
 * top: what `faasctl top` takes of a CPU, on a terminal of 80x24, a reading a second.
 * One link of each workflow moves bytes all the time.
 */
#include "bench.h"

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>

#define CHAIN		100	/* links a workflow */
#define SECONDS		4	/* a repetition */

static struct faasctl *ctl;
static int cgroup;
static const int sizes[] = { 100, 1000, 10000 };

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
	pid_t pid = fork();
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

static double cpu_ns(clockid_t clock)
{
	struct timespec used;

	if (clock_gettime(clock, &used))
		die("no CPU clock: %s", strerror(errno));
	return used.tv_sec * 1e9 + used.tv_nsec;
}

static void measure(struct spread *percent)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int fd, i, status;
	clockid_t clock;
	pid_t pid = forkpty(&fd, NULL, NULL, &size);
	double before;

	if (pid < 0)
		die("no terminal: %s", strerror(errno));
	if (!pid) {
		setenv("TERM", "xterm", 1);
		execlp("faasctl", "faasctl", "top", NULL);
		_exit(127);
	}
	if (clock_getcpuclockid(pid, &clock))
		die("no CPU clock");
	/* Starting does not count. */
	drain(fd, now_ns() + 3 * 1000000000ull);
	for (i = 0; i < REPEATS; i++) {
		before = cpu_ns(clock);
		drain(fd, now_ns() + SECONDS * 1000000000ull);
		spread_add(percent, (cpu_ns(clock) - before) / SECONDS / 1e7);
	}
	/* Its terminal goes away, which is an end like any. */
	close(fd);
	if (waitpid(pid, &status, 0) != pid || status)
		die("faasctl top failed");
}

int main(void)
{
	int made = 0, i;
	FILE *json = open_json();
	struct faasctl_error err;
	pid_t mover;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (faasctl_open(&ctl, &err))
		die("%s", err.message);
	cgroup = payer("bench-top");
	puts("\nfaasctl top, a reading a second: per cent of a CPU\n");
	puts("| links | median (min-max) |\n| ---: | ---: |");
	fputs("{", json);
	for (i = 0; i < (int)ARRAY_SIZE(sizes); i++) {
		struct spread percent = { 0 };

		progress("%d links", sizes[i]);
		while (made < sizes[i] / CHAIN)
			make_workflow(made++);
		mover = move_bytes(made);
		measure(&percent);
		kill(mover, SIGKILL);
		waitpid(mover, NULL, 0);
		printf("| %d | %.2f (%.2f-%.2f) |\n", sizes[i], median(&percent),
		       lowest(&percent), highest(&percent));
		fprintf(json, "%s\"%d\": ", i ? ", " : "", sizes[i]);
		spread_json(&percent, json);
	}
	close_json(json);
	while (made)
		if (faasctl_workflow_del(ctl, name_of(--made), 0, &err))
			die("%s", err.message);
	faasctl_close(ctl);
	close(cgroup);
	faasctl_cgroup_remove("bench-top", NULL, NULL);
	return 0;
}
