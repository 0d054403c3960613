// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Functions run as stages: threads of one process, faasin-host, or, if they may be hostile, each in
 * one of its own. That tells when each begins and ends, and its streams end then: they do not
 * wait for the process, and neither do others.
 */
#include <fcntl.h>
#include <jansson.h>
#include <sys/prctl.h>

#include "../faasin-host/report.h"
#include "process.h"
#include "traceparent.h"

/* Where a stage runs, as far as it is known. */
enum where {
	UNKNOWN,
	PROCESS,
	THREAD,
};

/**
 * struct hosted - functions and the processes that they run in
 * @stages: the functions' stages; @pid is set while one runs
 * @n: how many
 * @options: how they are to run
 * @hosts: the processes: one, or one for each stage
 * @n_hosts: how many
 * @files: for poll(2): where signals are read from, then what each process tells; -1 from when all
 *	of its stages have ended: it may end then
 * @where: of each stage
 * @placed: of how many it is known
 * @unfiltered: they have no filter of system calls
 * @said: it was said
 */
struct hosted {
	struct process *stages;
	size_t n;
	const struct function_options *options;
	struct process *hosts;
	size_t n_hosts;
	struct pollfd *files;
	enum where *where;
	size_t placed;
	bool unfiltered;
	bool said;
};

/* The stages of a process. */
static size_t stages_each(const struct hosted *hosted)
{
	return hosted->n / hosted->n_hosts;
}

/* ------------------------------------------------------------------- the command */

/* The path of faasin-host: it is where this program is. */
static char path[4096];

/**
 * functions_begin - find what runs functions
 *
 * Return: 0, or the status to exit with.
 */
int functions_begin(void)
{
	static const char name[] = "faasin-host";
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(name));

	while (len > 0 && path[len - 1] != '/')
		len--;
	strcpy(path + (len > 0 ? len : 0), name);
	if (access(path, X_OK))
		return wrapper_error(STATUS_WRAPPER,
				     "this faasctl was built without what runs functions (%s): build it on x86-64 with the development files of jemalloc and libseccomp",
				     path);
	return 0;
}

/* Of a process with one stage its ports are standard input and output. */
static int port_number(const struct hosted *hosted, int fd, int standard)
{
	return stages_each(hosted) == 1 || fd < 0 ? standard : fd;
}

static size_t count_words(char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return n;
}

/* Numbers as words: where the next one goes to. */
#define NUMBER_SIZE	24

static char *number_word(char **numbers, size_t value)
{
	char *word = *numbers;

	snprintf(word, NUMBER_SIZE, "%zu", value);
	*numbers += NUMBER_SIZE;
	return word;
}

/*
 * The command line of a process: where to report to, the number of its first stage, how they are
 * isolated, when they have filters, the workflow; and of each stage its name, two descriptors, and
 * how many words follow, the first of which is the file. To be freed by free_words(); NULL: no
 * memory.
 */
static char **host_words(const struct hosted *hosted, size_t first, int report_to)
{
	size_t i, at = 0, room = 7, end = first + stages_each(hosted);
	char **words, *numbers;

	for (i = first; i < end; i++)
		room += 4 + count_words(hosted->stages[i].argv);
	words = calloc(room, sizeof(*words));
	numbers = calloc(3 * (end - first) + 2, NUMBER_SIZE);
	if (!words || !numbers) {
		free(words);
		free(numbers);
		return NULL;
	}
	words[at++] = path;
	words[at++] = number_word(&numbers, report_to);
	words[at++] = number_word(&numbers, first);
	words[at++] = (char *)(hosted->options->hostile ? "hostile" : "careful");
	words[at++] = (char *)hosted->options->filter;
	words[at++] = (char *)hosted->stages->workflow;
	for (i = first; i < end; i++) {
		const struct process *stage = &hosted->stages[i];
		size_t n = count_words(stage->argv);

		words[at++] = (char *)stage->stage;
		words[at++] = number_word(&numbers, port_number(hosted, stage->in, 0));
		words[at++] = number_word(&numbers, port_number(hosted, stage->out, 1));
		words[at++] = number_word(&numbers, n);
		memcpy(words + at, stage->argv, n * sizeof(*words));
		at += n;
	}
	return words;
}

static void free_words(char *const *words)
{
	if (words)
		free(words[1]);
	free((void *)words);
}

/* Nothing but that command is executed here: what it is to have need not be closed for others. */
static int let_through(int fd)
{
	return fd < 0 ? 0 : fcntl(fd, F_SETFD, 0);
}

/* Makes what is known of the processes, as many as there are to be. Returns 0 or a status. */
static int make_room(struct hosted *hosted)
{
	size_t i, n = hosted->options->hostile ? hosted->n : 1;

	hosted->hosts = calloc(n, sizeof(*hosted->hosts));
	hosted->files = calloc(1 + n, sizeof(*hosted->files));
	hosted->where = calloc(hosted->n, sizeof(*hosted->where));
	if (!hosted->hosts || !hosted->files || !hosted->where) {
		wrapper_error(STATUS_WRAPPER, "out of memory");
		return STATUS_WRAPPER;
	}
	hosted->n_hosts = n;
	for (i = 0; i < hosted->n_hosts; i++)
		hosted->hosts[i] = (struct process)PROCESS_INIT;
	for (i = 0; i <= hosted->n_hosts; i++)
		hosted->files[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	return 0;
}

/* Makes a process, which does not run yet. Returns 0 or a status. */
static int make_host(struct hosted *hosted, size_t index)
{
	struct process *host = &hosted->hosts[index];
	size_t first = index * stages_each(hosted);
	struct process *stage = &hosted->stages[first];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return wrapper_error(STATUS_WRAPPER, "cannot make a pipe: %s", strerror(errno));
	hosted->files[1 + index].fd = ends[0];
	host->keep = ends[1];
	host->workflow = stage->workflow;
	host->stage = stage->stage;
	host->cgroup = stage->cgroup;
	host->argv = host_words(hosted, first, host->keep);
	if (!host->argv)
		return wrapper_error(STATUS_WRAPPER, "out of memory");
	if (stages_each(hosted) == 1) {
		host->in = stage->in;
		host->out = stage->out;
	}
	return 0;
}

/* Of several in one process each has its own, by number. */
static int give_ports(struct hosted *hosted)
{
	struct process *stage;

	if (stages_each(hosted) == 1)
		return 0;
	for (stage = hosted->stages; stage < hosted->stages + hosted->n; stage++) {
		if (let_through(stage->in) || let_through(stage->out))
			return wrapper_error(STATUS_WRAPPER, "cannot hand on ports: %s",
					     strerror(errno));
		if (stage->out >= 0)
			traceparent_give(stage->out);
	}
	return 0;
}

/* Makes all that is needed before the first process is started. Returns 0 or a status. */
static int prepare(struct hosted *hosted)
{
	int status = make_room(hosted);
	size_t i;

	if (status)
		return status;
	hosted->files->fd = processes_signals();
	if (hosted->files->fd < 0)
		return STATUS_WRAPPER;
	/* What may be hostile is not to look for ports, or more, here. */
	if (hosted->options->hostile)
		prctl(PR_SET_DUMPABLE, 0);
	/* So that nothing of its own is left to be bound when it is first called. */
	if (setenv("LD_BIND_NOW", "1", 1))
		return wrapper_error(STATUS_WRAPPER, "out of memory");
	for (i = 0; !status && i < hosted->n_hosts; i++)
		status = make_host(hosted, i);
	return status ? status : give_ports(hosted);
}

static int start(struct hosted *hosted)
{
	int status = prepare(hosted);
	size_t i;

	if (status)
		return status;
	status = processes_start(hosted->hosts, hosted->n_hosts);
	for (i = 0; i < hosted->n; i++) {
		struct process *stage = &hosted->stages[i];
		size_t host = i / stages_each(hosted);

		/* They were the process's, and are closed. */
		if (status && stages_each(hosted) == 1) {
			stage->in = -1;
			stage->out = -1;
			stage->cgroup = -1;
		}
		stage->pid = hosted->hosts[host].pid;
		stage->never_ran = true;
	}
	/* What they began with is the stages'. */
	for (i = 0; i < hosted->n_hosts; i++) {
		hosted->hosts[i].in = -1;
		hosted->hosts[i].out = -1;
		closep(&hosted->hosts[i].keep);
		hosted->hosts[i].keep = -1;
	}
	if (status)
		hosted->stages->cgroup = -1;
	return status;
}

/* ------------------------------------------------------------------- where they run */

/* The stages that are no threads, by name. Returns how many. */
static size_t print_processes(const struct hosted *hosted)
{
	size_t i, n = 0;

	for (i = 0; i < hosted->n; i++)
		n += hosted->where[i] == PROCESS;
	if (n)
		fputs(n == 1 ? "faasctl: stage " : "faasctl: stages ", stderr);
	for (i = n = 0; i < hosted->n; i++)
		if (hosted->where[i] == PROCESS)
			fprintf(stderr, "%s%s", n++ ? ", " : "", hosted->stages[i].stage);
	return n;
}

static const char *why_process(const struct hosted *hosted)
{
	return hosted->options->hostile ? "keys do not hold what may be hostile" :
				 "this machine, or its kernel, has no protection keys to give";
}

static json_t *json_of_stage(const struct hosted *hosted, size_t index)
{
	enum where where = hosted->where[index];

	return json_pack("{s:s, s:s, s:o, s:s?, s:o}", "stage", hosted->stages[index].stage,
			 "isolation", hosted->options->hostile ? "hostile" : "careful",
			 "thread", where == UNKNOWN ? json_null() : json_boolean(where == THREAD),
			 "why", where == PROCESS ? why_process(hosted) : NULL, "filter",
			 where == UNKNOWN ? json_null() : json_boolean(!hosted->unfiltered));
}

static void print_json(const struct hosted *hosted)
{
	json_t *all = json_array();
	size_t i;

	for (i = 0; i < hosted->n; i++)
		json_array_append_new(all, json_of_stage(hosted, i));
	json_dumpf(all, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(all);
}

/* In one line each, as soon as it is known of all, or no more will be. */
static void say_where(struct hosted *hosted)
{
	size_t n;

	if (hosted->said)
		return;
	hosted->said = true;
	if (hosted->options->json) {
		print_json(hosted);
		return;
	}
	n = print_processes(hosted);
	if (n)
		fprintf(stderr, n == 1 ? " runs as a process, not as a thread: %s\n" :
					 " run as processes, not as threads: %s\n",
			why_process(hosted));
	/* Who wants none need not be told. */
	if (hosted->unfiltered && strcmp(hosted->options->filter, "never"))
		fputs("faasctl: no filter holds what functions ask of the system: this kernel lacks seccomp or Landlock, or has another /proc\n",
		      stderr);
}

/* ------------------------------------------------------------------- what becomes of them */

static void finish(struct process *stage, int status, int sig)
{
	stage->status = status;
	stage->signal = sig;
	process_finish(stage);
	stage->pid = 0;
}

static void note_place(struct hosted *hosted, const struct report *report)
{
	enum where *where = &hosted->where[report->stage];

	hosted->placed += *where == UNKNOWN;
	*where = report->status & PLACED_THREAD ? THREAD : PROCESS;
	hosted->unfiltered |= !(report->status & PLACED_FILTER);
	if (hosted->placed == hosted->n)
		say_where(hosted);
}

static void note(struct hosted *hosted, const struct report *report)
{
	struct process *stage = &hosted->stages[report->stage];

	switch (report->event) {
	case REPORT_PLACED:
		note_place(hosted, report);
		break;
	case REPORT_BEGUN:
		stage->never_ran = false;
		break;
	case REPORT_FAILED:
		stage->never_ran = true;
		/* fall through */
	case REPORT_ENDED:
		finish(stage, report->status, report->signal);
	}
}

/*
 * The process ended before it told how this stage did. What had begun is not complete, whatever
 * the process ended with: one function can end it for all. What had not begun has none of the
 * function's statuses, unless the process said why.
 */
static void break_off(struct process *stage, const struct process *host)
{
	int status = host->status;

	if (!host->signal && !stage->never_ran) {
		status = STATUS_BROKEN_OFF;
		wrapper_error(status, "stage %s was broken off: its process ended with status %d before it did",
			      stage->stage, host->status);
	} else if (!host->signal && (status < STATUS_WRAPPER || status > STATUS_NOT_FOUND)) {
		status = wrapper_error(STATUS_WRAPPER,
				       "stage %s did not begin: its process ended with status %d",
				       stage->stage, host->status);
	}
	finish(stage, status, host->signal);
}

static void hear_host(struct hosted *hosted, size_t index)
{
	const struct process *host = &hosted->hosts[index];
	size_t each = stages_each(hosted), first = index * each, i;
	int *fd = &hosted->files[1 + index].fd;
	struct report report;
	bool running = false;
	ssize_t n = -1;

	while (*fd >= 0 && (n = read(*fd, &report, sizeof(report))) == sizeof(report))
		if (report.stage - first < each && hosted->stages[report.stage].pid)
			note(hosted, &report);
	for (i = first; i < first + each; i++) {
		if (hosted->stages[i].pid && !host->pid)
			break_off(&hosted->stages[i], host);
		running |= hosted->stages[i].pid;
	}
	/* It waits for that to end, or will tell no more. */
	if (*fd >= 0 && (!running || !n)) {
		close(*fd);
		*fd = -1;
	}
}

/* Each stage ends when its function does, and each process may when all of its stages have. */
static void hear(void *arg)
{
	struct hosted *hosted = arg;
	size_t i;

	for (i = 0; i < hosted->n_hosts; i++)
		hear_host(hosted, i);
}

static void free_hosts(struct hosted *hosted)
{
	size_t i;

	for (i = 0; hosted->hosts && i < hosted->n_hosts; i++) {
		closep(&hosted->hosts[i].keep);
		free_words(hosted->hosts[i].argv);
	}
	for (i = 0; hosted->files && i <= hosted->n_hosts; i++)
		closep(&hosted->files[i].fd);
	free(hosted->hosts);
	free(hosted->files);
	free(hosted->where);
}

/**
 * functions_run - run functions, and wait until all have ended
 * @stages: with their ports, and a function's file and arguments each; one process for all is in
 *	the cgroup of the first
 * @n: how many
 * @options: how they are to run
 *
 * Return: 0, with each one's status; or the status to exit with: no function has begun.
 */
int functions_run(struct process *stages, size_t n, const struct function_options *options)
{
	struct hosted hosted = { .stages = stages, .n = n, .options = options };
	int status = start(&hosted);

	if (!status) {
		processes_wait_and_hear(hosted.hosts, hosted.n_hosts, hosted.files,
					1 + hosted.n_hosts, hear, &hosted);
		say_where(&hosted);
	}
	free_hosts(&hosted);
	return status;
}
