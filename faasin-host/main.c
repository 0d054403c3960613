// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasin-host: the process that functions run in, each in a domain, on a thread of its own.
 * faasctl exec --thread starts it in the first stage's cgroup, with all ports open, and is told
 * what becomes of each stage (report.h): what becomes of its streams is done there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host.h"
#include "report.h"

/* Where the words of the first stage are among the arguments. */
#define STAGES_AT		6

/* What no function returns, which has an int, and an errno: what it printed cannot be written. */
#define UNPRINTED		LONG_MIN
#define UNPRINTED_END		(UNPRINTED + 4096)
/* Nor this, and an errno: it got no descriptors of its own. */
#define NO_DESCRIPTORS		UNPRINTED_END
#define NO_DESCRIPTORS_END	(NO_DESCRIPTORS + 4096)

static int reports;
static unsigned int first_stage;
static struct faasctl_domain_options options;
/* A thread, that is. */
static atomic_bool one_was_stopped;
/* The errno of what was printed by several and cannot be written, or 0. */
static atomic_int unwritten;
unsigned int n_stages;
struct stage *stages;
int nowhere;
sigset_t signals_before;

/* Whoever listens, or not: all threads of this process hold SIGPIPE, but those in domains. */
static void tell(int fd, unsigned int stage, enum report_event event, int status, int sig)
{
	struct report report = { stage, event, status, sig };
	ssize_t n;

	do
		n = write(fd, &report, sizeof(report));
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && !usleep(1000))));
}

int complain(int status, const char *text)
{
	fprintf(stderr, "faasctl: %s\n", text);
	return status;
}

int complain_of(int status, const struct stage *stage, const char *text)
{
	fprintf(stderr, "faasctl: stage %s: %s\n", stage->name, text);
	return status;
}

/* ------------------------------------------------------------------- in its domain */

static long run(void *arg)
{
	struct job *job = arg;
	unsigned int i;
	int status;

	/*
	 * What holds a port of another stage could read it, and end that's stream by its own end.
	 * A thread has descriptors of its own from here on: nobody else's are closed.
	 */
	if (job->unshare && unshare(CLONE_FILES))
		return NO_DESCRIPTORS + errno;
	for (i = 0; i < job->n_others; i++)
		close(job->others[i]);
	if (job->reports >= 0) {
		tell(job->reports, job->index, REPORT_BEGUN, 0, 0);
		close(job->reports);
	}
	/* A thread of a domain has signals as the library wants them. */
	if (!job->thread)
		pthread_sigmask(SIG_SETMASK, &signals_before, NULL);
	status = call_loaded(job);
	return !job->thread && fflush(stdout) ? UNPRINTED + errno : status;
}

/*
 * In a process, when its function has ended, by exit() too: what it printed gets out, and its ports
 * are let go of, so that how the process ends is no end of theirs. Returns 0 or an errno, which is
 * not known of what was tried before.
 */
static long leave(void *arg)
{
	const struct stage *stage = arg;
	int code = fflush(stdout) ? errno : ferror(stdout) ? EIO : 0, i;

	for (i = 0; i < 2; i++)
		/* What is confined has no other. */
		if (dup2(nowhere, stage->ports[i]) < 0)
			close(stage->ports[i]);
	return code;
}

/* ------------------------------------------------------------------------- the stages */

/* What it returned as an exit status: what does not fit is not taken for success. */
static int status_of(long result)
{
	return result & ~255l ? 255 : result;
}

/*
 * What was printed gets out before anybody hears that it is over. Who was stopped in the middle
 * of printing has the lock for ever, so nobody waits for it: what is there then is for the end,
 * when @all have ended. Returns 0 or an errno.
 */
static int flush(bool all)
{
	bool locked = !ftrylockfile(stdout);
	int code = 0;

	if ((locked || all) && fflush_unlocked(stdout)) {
		code = errno;
		unwritten = code;
	}
	if (locked)
		funlockfile(stdout);
	return code;
}

static unsigned int stage_number(const struct stage *stage)
{
	return first_stage + (stage - stages);
}

static bool is_ignored(int sig)
{
	struct sigaction action;

	return !sigaction(sig, NULL, &action) && action.sa_handler == SIG_IGN;
}

/* As it ends who gets SIGPIPE; whoever ignores that, or has no room, hears why it failed. */
static int cannot_print(struct stage *stage, int code, int *sig)
{
	char text[160];

	if (code == EPIPE && !is_ignored(SIGPIPE)) {
		*sig = SIGPIPE;
		return STATUS_SIGNAL + SIGPIPE;
	}
	snprintf(text, sizeof(text), "cannot write what was printed: %s", strerror(code));
	return complain_of(STATUS_BROKEN_OFF, stage, text);
}

static int has_none(struct stage *stage, int code)
{
	char text[160];

	snprintf(text, sizeof(text), "it cannot have descriptors of its own: %s", strerror(code));
	return complain_of(STATUS_FAILED, stage, text);
}

/* How the function ended. Returns its status. */
static int end_of(struct stage *stage, int *sig)
{
	struct faasctl_error err = { 0 };
	long result = 0, code = 0;
	int ret, status;

	ret = faasctl_domain_join(stage->domain, &result, &err);
	if (!ret && !faasctl_domain_is_thread(stage->domain))
		ret = faasctl_domain_call(stage->domain, leave, stage, &code, &err);
	if (!ret) {
		if (result >= NO_DESCRIPTORS && result < NO_DESCRIPTORS_END)
			return has_none(stage, result - NO_DESCRIPTORS);
		if (result >= UNPRINTED && result < UNPRINTED_END)
			return cannot_print(stage, result - UNPRINTED, sig);
		status = status_of(result);
		return code && status < STATUS_SIGNAL ? cannot_print(stage, code, sig) : status;
	}
	complain(0, err.message);
	if (err.code != EFAULT)
		return STATUS_FAILED;
	if (faasctl_domain_is_thread(stage->domain))
		one_was_stopped = true;
	*sig = faasctl_domain_signal(stage->domain);
	return *sig ? STATUS_SIGNAL + *sig : STATUS_BROKEN_OFF;
}

static bool is_hostile(void)
{
	return options.isolation == FAASCTL_HOSTILE;
}

/*
 * Nobody here needs them any more, and what has them could end the streams, or keep them from
 * their end. Their numbers are not free for others: stages that begin later close what has them.
 * Those of one stage are this process's standard files: a thread's are there for what is printed
 * at its exit.
 */
static void let_go(const struct stage *stage)
{
	bool all = n_stages == 1 && stage->domain && !faasctl_domain_is_thread(stage->domain);
	int i;

	for (i = 0; i < 2; i++)
		if (all || stage->ports[i] > 2)
			dup3(nowhere, stage->ports[i], stage->ports[i] > 2 ? O_CLOEXEC : 0);
}

/* It will never begin. */
static void tell_failed(const struct stage *stage, int status)
{
	let_go(stage);
	tell(reports, stage_number(stage), REPORT_FAILED, status, 0);
}

/* Tells how it ended, when what it printed is out, and faasctl alone has its ports. */
static void note_end(struct stage *stage)
{
	int sig = 0, status = end_of(stage, &sig), code = flush(n_stages == 1);

	/* Of several, whose it was cannot be told: that is said at the end. */
	if (code && n_stages == 1 && status < STATUS_SIGNAL)
		status = cannot_print(stage, code, &sig);
	let_go(stage);
	tell(reports, stage_number(stage), REPORT_ENDED, status, sig);
}

/*
 * Starts a function and waits for its end. Who waits is there before it runs: with nobody left to
 * wait, it would be told of after all others, and some of these it may be waiting for.
 */
static void *watch(void *arg)
{
	struct stage *stage = arg;
	struct faasctl_error err;

	/* Nothing that it could say of itself is believed. */
	if (is_hostile())
		tell(reports, stage_number(stage), REPORT_BEGUN, 0, 0);
	if (faasctl_domain_start(stage->domain, run, stage->job, &err))
		tell_failed(stage, complain(STATUS_FAILED, err.message));
	else
		note_end(stage);
	return NULL;
}

/* Makes its domain, and, if nothing of it may run here, loads its function there. */
static int prepare(struct stage *stage, struct faasctl_error *err)
{
	if (faasctl_domain_new(stage->name, &options, &stage->domain, err))
		return complain(STATUS_FAILED, err->message);
	return is_hostile() ? load_confined(stage, err) : 0;
}

static int start(struct stage *stage, struct faasctl_error *err)
{
	int code = pthread_create(&stage->watcher, NULL, watch, stage);
	char text[80];

	if (code) {
		snprintf(text, sizeof(text), "no thread to wait for it: %s", strerror(code));
		return complain_of(STATUS_FAILED, stage, text);
	}
	stage->runs = true;
	return 0;
}

/* Whether functions are to have filters. Returns 0 or a status. */
static int choose_filter(const char *when)
{
	struct faasctl_domains_info info;
	char text[160];

	faasctl_domains_info(&info);
	/* Hostile ones have others. */
	if (is_hostile() || !strcmp(when, "never"))
		return 0;
	if (info.filters) {
		options.flags |= FAASCTL_DOMAIN_FILTER;
		return 0;
	}
	if (strcmp(when, "always"))
		return 0;
	snprintf(text, sizeof(text), "functions cannot have filters: %s", info.unfiltered);
	return complain(STATUS_FAILED, text);
}

/* Tells how stages are to run. */
static void place(void)
{
	bool filter = is_hostile() || options.flags & FAASCTL_DOMAIN_FILTER;
	struct faasctl_domains_info info;
	unsigned int i;

	faasctl_domains_info(&info);
	for (i = 0; i < n_stages; i++) {
		stages[i].job->thread = info.threads && !is_hostile();
		stages[i].job->unshare = stages[i].job->thread && !filter;
		stages[i].job->n_others = 2 * (n_stages - 1);
		/* Of a hostile one it is closed. */
		stages[i].job->reports = is_hostile() ? -1 : reports;
		tell(reports, first_stage + i, REPORT_PLACED,
		     (stages[i].job->thread ? PLACED_THREAD : 0) | (filter ? PLACED_FILTER : 0), 0);
	}
}

/* Does that with each stage that has come so far; one that fails does not begin. */
static void do_with_each(int (*act)(struct stage *stage, struct faasctl_error *err), bool loaded)
{
	struct faasctl_error err = { 0 };
	struct stage *stage;
	int status;

	for (stage = stages; stage < stages + n_stages; stage++) {
		if (stage->loaded != loaded)
			continue;
		status = act(stage, &err);
		if (!status)
			continue;
		tell_failed(stage, status);
		stage->loaded = false;
	}
}

static int run_all(void)
{
	unsigned int i;
	int status = 0;

	/* All are there before the first one runs: they are looked through together. */
	if (!is_hostile()) {
		status = load_begin();
		if (status)
			return status;
		do_with_each(load, false);
		load_end();
	}
	do_with_each(prepare, !is_hostile());
	do_with_each(start, true);
	for (i = 0; i < n_stages; i++)
		if (stages[i].runs)
			pthread_join(stages[i].watcher, NULL);
	return 0;
}

/*
 * Processes of domains may have the ports still: they must not end before faasctl has ended the
 * streams. It listens until then.
 */
static void wait_until_heard(void)
{
	struct pollfd file = { .fd = reports };

	while (poll(&file, 1, -1) < 0 && errno == EINTR)
		;
}

/*
 * They end with this one by themselves, unless one works against that: it could say that it is
 * done, and go on with what others find in its ports and its cgroup then.
 */
static void kill_processes(void)
{
	struct stage *stage;

	for (stage = stages; stage < stages + n_stages; stage++)
		if (stage->domain && !faasctl_domain_is_thread(stage->domain))
			faasctl_domain_free(stage->domain, NULL);
}

/* ------------------------------------------------------------------- the command line */

/* The ports of all stages but one. */
static const int *others_of(unsigned int index)
{
	int *fds = faasctl_shared_alloc(2 * n_stages * sizeof(*fds)), *at = fds;
	unsigned int i;

	for (i = 0; fds && i < n_stages; i++) {
		if (i == index)
			continue;
		*at++ = stages[i].ports[0] > 2 ? stages[i].ports[0] : -1;
		*at++ = stages[i].ports[1] > 2 ? stages[i].ports[1] : -1;
	}
	return fds;
}

/* Makes a job of a stage's words: its name, two descriptors, how many words; the file... */
static struct job *make_job(const char *workflow, char **words)
{
	struct job *job = faasctl_shared_alloc(sizeof(*job));
	int argc = atoi(words[3]);
	char **argv = faasctl_shared_alloc((argc + 1) * sizeof(*argv));
	char *paths = faasctl_shared_alloc(2 * 4096);

	if (!job || !argv || !paths)
		return NULL;
	/* Outside of the mount's scope there is no path; the descriptors are there. */
	faasctl_port_path(workflow, words[0], FAASIN_PORT_IN, paths, 4096, NULL);
	faasctl_port_path(workflow, words[0], FAASIN_PORT_OUT, paths + 4096, 4096, NULL);
	memcpy(argv, words + 4, argc * sizeof(*argv));
	job->index = first_stage + n_stages;
	job->io = (struct faas_io){
		.size = sizeof(job->io),
		.input = atoi(words[1]),
		.output = atoi(words[2]),
		.argc = argc,
		.argv = argv,
		.workflow = workflow,
		.stage = words[0],
		.input_path = paths,
		.output_path = paths + 4096,
	};
	return job;
}

/*
 * What is needed here of a stage's words: its job is memory that others can write. Of ports,
 * programs that functions start get none but standard ones.
 */
static int keep(struct stage *stage, char **words)
{
	int i;

	stage->name = words[0];
	stage->path = words[4];
	for (i = 0; i < 2; i++) {
		stage->ports[i] = atoi(words[i + 1]);
		if (stage->ports[i] > 2 && fcntl(stage->ports[i], F_SETFD, FD_CLOEXEC))
			return complain(STATUS_FAILED, "a port is not open");
	}
	return 0;
}

/*
 * The arguments: where to report to, the number of the first stage, how they are isolated, when
 * they have filters, the workflow, and the words of each stage.
 */
static int take_stages(int argc, char **argv)
{
	unsigned int i;
	int at;

	stages = calloc(argc, sizeof(*stages));
	for (at = STAGES_AT; stages && at + 4 < argc; at += 4 + atoi(argv[at + 3])) {
		stages[n_stages].job = make_job(argv[STAGES_AT - 1], argv + at);
		if (!stages[n_stages].job)
			return complain(STATUS_FAILED, "out of memory");
		if (keep(&stages[n_stages], argv + at))
			return STATUS_FAILED;
		n_stages++;
	}
	for (i = 0; i < n_stages; i++) {
		stages[i].job->others = others_of(i);
		if (!stages[i].job->others)
			return complain(STATUS_FAILED, "out of memory");
	}
	return stages ? 0 : complain(STATUS_FAILED, "out of memory");
}

/* Before there are other threads. Returns 0 or a status. */
static int begin(void)
{
	struct faasctl_error err = { 0 };
	sigset_t set;

	/* Who does not listen any more ends nobody here. */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &signals_before);
	nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nowhere < 0)
		return complain(STATUS_FAILED, "/dev/null cannot be opened");
	return faasctl_domains_begin(NULL, &err) ? complain(STATUS_FAILED, err.message) : 0;
}

/* What is left to be said, and ended. */
static void end(void) __attribute__((noreturn));

static void end(void)
{
	flush(true);
	if (unwritten && n_stages > 1)
		fprintf(stderr, "faasctl: cannot write what was printed: %s\n",
			strerror(unwritten));
	/* exit() could wait for the lock of a stream for ever. */
	if (one_was_stopped)
		_exit(0);
	exit(0);
}

int main(int argc, char **argv)
{
	int status;

	/* Before anything else: functions of the other hosts may run already. */
	if (argc > 3 && !strcmp(argv[3], "hostile")) {
		options.isolation = FAASCTL_HOSTILE;
		prctl(PR_SET_DUMPABLE, 0);
	}
	reports = argc < STAGES_AT + 5 ? -1 : atoi(argv[1]);
	if (reports < 0 || fcntl(reports, F_SETFD, FD_CLOEXEC))
		return complain(STATUS_FAILED, "faasin-host is run by: faasctl exec --thread");
	/* That was for this process only; and ports of which stage would these be? */
	unsetenv("LD_BIND_NOW");
	if (argc > STAGES_AT + 4 + atoi(argv[STAGES_AT + 3])) {
		unsetenv("FAASIN");
		unsetenv("FAASOUT");
	}
	first_stage = atoi(argv[2]);
	status = begin();
	if (!status)
		status = choose_filter(argv[4]);
	if (!status)
		status = take_stages(argc, argv);
	if (status)
		return status;
	place();
	status = run_all();
	if (status)
		return status;
	wait_until_heard();
	kill_processes();
	end();
}
