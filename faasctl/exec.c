// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl exec */
#include <fcntl.h>

#include "process.h"
#include "traceparent.h"

static const struct option_row options[] = {
	{ 'f', "filter", "WHEN", "filter functions' system calls: auto, always or never" },
	{ 'i', "isolation", "MODEL", "whom functions are held off from: careful or hostile" },
	{ 'j', "json", NULL, "say how functions run as JSON, on standard error" },
	{ 't', "traceparent", NULL, "wait for the input's stream and take over its traceparent" },
	{ 'T', "thread", NULL, "run functions, FILE.so, in domains, as threads" },
	{ 'w', "wait", "WHICH", "wait until this is linked: in, out or both" },
	{ 0 },
};

/**
 * struct waits - the ports whose links are waited for
 * @in: the input
 * @out: the output
 */
struct waits {
	bool in;
	bool out;
};

static struct waits parse_waits(const struct args *args)
{
	struct waits waits = { 0 };
	bool both = !strcmp(args->value, "both");

	waits.in = both || !strcmp(args->value, "in");
	waits.out = both || !strcmp(args->value, "out");
	if (!waits.in && !waits.out)
		usage_error(args->command, "\"%s\" is none of in, out and both",
			    args->value);
	return waits;
}

static int note_rule(const struct faasctl_link *link, void *arg)
{
	*(uint32_t *)arg = link->abort_on;
	return 0;
}

static int open_ports(struct process *process, struct faasctl *ctl,
		      const struct waits *waits)
{
	struct faasctl_error err;
	int status, ret;

	status = process_open(process, FAASIN_PORT_IN, waits->in);
	if (!status)
		status = process_open(process, FAASIN_PORT_OUT, waits->out);
	if (status || process->out < 0)
		return status;
	ret = faasctl_link_each(ctl, process->workflow, process->stage,
				note_rule, &process->abort_on, &err);
	/* Unlinked since: what is written goes nowhere, whatever the rule. */
	return ret && ret != -ENOENT ? wrapper_fail(&err) : 0;
}

/**
 * struct job - what is to be run
 * @stages: the stages
 * @n: how many; more than one only if they are functions
 * @words: of each function its file and arguments, if these were taken apart here
 * @thread: they are functions
 * @functions: how these are to run
 * @waits: the ports whose links are waited for
 * @take_traceparent: that of the input
 */
struct job {
	struct process *stages;
	size_t n;
	char ***words;
	bool thread;
	struct function_options functions;
	struct waits waits;
	bool take_traceparent;
};

static int open_stage(struct process *stage, struct faasctl *ctl, const struct waits *waits)
{
	struct faasctl_error err;
	int status;

	if (faasctl_name_check("stage", stage->stage, &err))
		return wrapper_fail(&err);
	status = process_cgroup(stage, ctl);
	return status ? status : open_ports(stage, ctl, waits);
}

static int run_program(struct job *job)
{
	int status = processes_start(job->stages, job->n);

	if (!status)
		processes_wait(job->stages, job->n);
	return status;
}

static int run_job(struct job *job)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;
	int status = 0;
	size_t i;

	if (faasctl_name_check("workflow", job->stages->workflow, &err) ||
	    faasctl_open(&ctl, &err))
		return wrapper_fail(&err);
	for (i = 0; !status && i < job->n; i++)
		status = open_stage(&job->stages[i], ctl, &job->waits);
	if (status)
		return status;
	if (job->take_traceparent && job->stages->in >= 0)
		traceparent_take(job->stages->in);
	/* Not before: an open that waits must be possible to interrupt. */
	processes_hold_signals();
	status = job->thread ? functions_run(job->stages, job->n, &job->functions) :
			       run_program(job);
	if (status)
		return status;
	status = processes_status(job->stages, job->n);
	if (status && job->n > 1)
		processes_report(job->stages, job->n);
	return status;
}

/* ------------------------------------------------------------------- the command line */

static void add_stages(struct job *job, const char *workflow, size_t n)
{
	size_t i;

	job->n = n;
	job->stages = calloc(n, sizeof(*job->stages));
	job->words = calloc(n, sizeof(*job->words));
	if (!job->stages || !job->words)
		exit(wrapper_error(STATUS_WRAPPER, "out of memory"));
	for (i = 0; i < n; i++) {
		job->stages[i] = (struct process)PROCESS_INIT;
		job->stages[i].workflow = workflow;
	}
}

/* 'FILE ARGUMENT...' as words: none of them has a blank. They are parts of @text. */
static char **split(char *text)
{
	static const char blanks[] = " \t\n";
	char **words = calloc(strlen(text) / 2 + 2, sizeof(*words)), *word, *rest;
	size_t n = 0;

	if (!words)
		exit(wrapper_error(STATUS_WRAPPER, "out of memory"));
	for (word = strtok_r(text, blanks, &rest); word; word = strtok_r(NULL, blanks, &rest))
		words[n++] = word;
	return words;
}

/* STAGE='FILE ARGUMENT...', any number of them. */
static void parse_functions(const struct args *args, struct job *job)
{
	size_t i, k, n = args->argc - 1;
	struct process *stage;
	char *text;

	add_stages(job, args->argv[0], n);
	for (i = 0; i < n; i++) {
		stage = &job->stages[i];
		text = args->argv[i + 1];
		stage->stage = strsep(&text, "=");
		if (!text)
			usage_error(args->command, "\"%s\" is not STAGE=FILE", stage->stage);
		job->words[i] = split(text);
		stage->argv = job->words[i];
		if (!stage->argv[0])
			usage_error(args->command, "the function of stage \"%s\" is missing",
				    stage->stage);
		for (k = 0; k < i; k++)
			if (!strcmp(stage->stage, job->stages[k].stage))
				usage_error(args->command, "stage \"%s\" has two functions",
					    stage->stage);
	}
	if (job->take_traceparent && n > 1)
		usage_error(args->command, "of several functions none has an environment of its own: leave out --traceparent");
}

static void parse_command(const struct args *args, struct job *job)
{
	char **words = args->argv + 2;

	if (words[0] && !strcmp(words[0], "--"))
		words++;
	if (!words[0])
		usage_error(args->command, strchr(args->argv[1], '=') ?
			    "functions as stages need --thread" : "the command to run is missing");
	add_stages(job, args->argv[0], 1);
	job->stages->stage = args->argv[1];
	job->stages->argv = words;
}

/* A function is looked for nowhere. Returns 0 or a status. */
static int check_functions(const struct job *job)
{
	int status = functions_begin();
	const char *path;
	size_t i;

	for (i = 0; !status && i < job->n; i++) {
		path = job->stages[i].argv[0];
		if (!strchr(path, '/'))
			status = wrapper_error(STATUS_WRAPPER,
					       "say where function \"%s\" is: ./%s",
					       path, path);
	}
	return status;
}

/* Whether it is hostile. */
static bool parse_isolation(const struct args *args)
{
	bool hostile = !strcmp(args->value, "hostile");

	if (!hostile && strcmp(args->value, "careful"))
		usage_error(args->command, "\"%s\" is none of careful and hostile", args->value);
	return hostile;
}

static const char *parse_filter(const struct args *args)
{
	static const char *const words[] = { "auto", "always", "never" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(args->value, words[i]))
			return words[i];
	usage_error(args->command, "\"%s\" is none of auto, always and never", args->value);
}

static int run(struct args *args)
{
	struct job job = { .functions.filter = "auto" };
	bool about_functions = false;
	int id, status;
	size_t i;

	while ((id = args_next(args)) != -1) {
		if (id == 'w')
			job.waits = parse_waits(args);
		if (id == 'i')
			job.functions.hostile = parse_isolation(args);
		if (id == 'f')
			job.functions.filter = parse_filter(args);
		job.take_traceparent |= id == 't';
		job.thread |= id == 'T';
		job.functions.json |= id == 'j';
		about_functions |= id == 'i' || id == 'f' || id == 'j';
	}
	args_rest(args, 2, -1);
	if (!job.thread && about_functions)
		usage_error(args->command, "--filter, --isolation and --json are about functions: add --thread");
	if (job.functions.hostile && !strcmp(job.functions.filter, "never"))
		usage_error(args->command, "what may be hostile is always confined: leave out --filter");
	/* No stage is called so. */
	if (job.thread && strchr(args->argv[1], '='))
		parse_functions(args, &job);
	else
		parse_command(args, &job);
	status = job.thread ? check_functions(&job) : 0;
	if (!status)
		status = run_job(&job);
	for (i = 0; i < job.n; i++) {
		process_close(&job.stages[i]);
		free(job.words[i]);
	}
	free(job.words);
	free(job.stages);
	return status;
}

const struct command exec_command = {
	.name = "exec",
	.run = run,
	.args = "[OPTION]... WORKFLOW {STAGE [--] COMMAND [ARGUMENT]... | STAGE=FILE...}",
	.help = "Run a command as a stage, its ports as standard input and output",
	.example = "faasctl exec wf1 grep -- grep -c tcp /etc/services",
	.options = options,
	.wraps = true,
};
