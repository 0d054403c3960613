// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl run */
#include <signal.h>

#include "pipeline.h"
#include "process.h"

static const struct option_row options[] = {
	LINK_OPTION_ROWS,
	{ 'n', "names", "NAME,NAME...", "names of the stages; default: those of their commands" },
	{ 'k', "keep", NULL, "leave the workflow, its links and cgroups in place" },
	{ 0 },
};

/**
 * struct job - a pipeline and what was made for it
 * @workflow: the workflow's name
 * @keep: leave it in place
 * @link: what the links are to be like
 * @pipeline: the commands
 * @ctl: the connection
 * @chain: what was created
 * @processes: a command each
 * @argv: their command lines, four words each
 */
struct job {
	const char *workflow;
	bool keep;
	struct faasctl_link_options link;
	struct pipeline pipeline;
	struct faasctl *ctl;
	struct faasctl_chain *chain;
	struct process *processes;
	char *(*argv)[4];
};

static int prepare(struct job *job)
{
	size_t i, n = job->pipeline.n;

	job->processes = calloc(n, sizeof(*job->processes));
	job->argv = calloc(n, sizeof(*job->argv));
	if (!job->processes || !job->argv)
		return wrapper_error(STATUS_WRAPPER, "out of memory");
	for (i = 0; i < n; i++) {
		job->argv[i][0] = (char *)"/bin/sh";
		job->argv[i][1] = (char *)"-c";
		job->argv[i][2] = pipeline_script(&run_command,
						  &job->pipeline.stages[i]);
		job->processes[i] = (struct process)PROCESS_INIT;
		job->processes[i].workflow = job->workflow;
		job->processes[i].stage = job->pipeline.stages[i].name;
		job->processes[i].argv = job->argv[i];
		if (job->link.abort_on != FAASCTL_UNSET)
			job->processes[i].abort_on = job->link.abort_on;
	}
	return 0;
}

/* Stages that exist are somebody else's, and so are the bytes in their links. */
static int refuse_existing(const struct job *job)
{
	struct faasctl_error err;
	const char *name;
	size_t i;
	int ret;

	for (i = 0; i < job->pipeline.n; i++) {
		name = job->pipeline.stages[i].name;
		ret = faasctl_stage_each(job->ctl, job->workflow, name, NULL,
					 NULL, &err);
		if (!ret)
			return wrapper_error(STATUS_WRAPPER,
					     "workflow \"%s\" has a stage \"%s\" already: choose other names with --names, another workflow, or delete it with: faasctl stage del %s %s",
					     job->workflow, name,
					     job->workflow, name);
		if (ret != -ENOENT)
			return wrapper_fail(&err);
	}
	return 0;
}

static int create(struct job *job)
{
	size_t i, n = job->pipeline.n;
	struct faasctl_error err;
	const char **ends;
	int ret;

	ends = calloc(n, sizeof(*ends));
	if (!ends)
		return wrapper_error(STATUS_WRAPPER, "out of memory");
	for (i = 0; i < n; i++)
		ends[i] = job->pipeline.stages[i].name;
	ret = faasctl_chain_add(job->ctl, job->workflow, ends, n, &job->link,
				&job->chain, &err);
	free(ends);
	return ret ? wrapper_fail(&err) : 0;
}

static int open_all(struct job *job)
{
	size_t i, n = job->pipeline.n;
	struct process *process;
	int status = 0;

	for (i = 0; !status && i < n; i++) {
		process = &job->processes[i];
		status = process_cgroup(process, job->ctl);
		if (!status && i)
			status = process_open(process, FAASIN_PORT_IN, false);
		if (!status && i + 1 < n)
			status = process_open(process, FAASIN_PORT_OUT, false);
		if (!status && ((i && process->in < 0) ||
				(i + 1 < n && process->out < 0)))
			status = wrapper_error(STATUS_WRAPPER,
					       "stage \"%s\" was unlinked by somebody else: try again",
					       process->stage);
	}
	return status;
}

/* Takes apart what was made; what a command left running goes with its cgroup. */
static int clean_up(struct job *job, int status)
{
	struct faasctl_error err;
	size_t i;

	for (i = 0; job->processes && i < job->pipeline.n; i++) {
		if (job->chain && !job->keep && job->processes[i].cgroup >= 0)
			cgroup_kill(job->processes[i].cgroup);
		process_close(&job->processes[i]);
		if (job->argv)
			free(job->argv[i][2]);
	}
	if (job->chain && !job->keep &&
	    faasctl_chain_undo(job->chain, &err)) {
		wrapper_fail(&err);
		if (!status)
			status = STATUS_WRAPPER;
	}
	faasctl_chain_free(job->chain);
	faasctl_close(job->ctl);
	free(job->processes);
	free(job->argv);
	pipeline_free(&job->pipeline);
	return status;
}

static int run_job(struct job *job)
{
	struct faasctl_error err;
	int status;

	status = prepare(job);
	if (status)
		return status;
	if (faasctl_name_check("workflow", job->workflow, &err) ||
	    faasctl_open(&job->ctl, &err))
		return wrapper_fail(&err);
	status = refuse_existing(job);
	if (status)
		return status;
	/* From here on there is something to clean up. */
	processes_hold_signals();
	status = create(job);
	if (!status)
		status = open_all(job);
	if (!status)
		status = processes_start(job->processes, job->pipeline.n);
	if (status)
		return status;
	processes_wait(job->processes, job->pipeline.n);
	status = processes_status(job->processes, job->pipeline.n);
	if (status)
		processes_report(job->processes, job->pipeline.n);
	return status;
}

static int run(struct args *args)
{
	struct job job = { .link = FAASCTL_LINK_OPTIONS_INIT };
	const char *names = NULL;
	int id;

	job.link.flags = FAASCTL_EXCLUSIVE;
	while ((id = args_next(args)) != -1) {
		if (link_option(args, id, &job.link))
			continue;
		if (id == 'n')
			names = args->value;
		else if (id == 'k')
			job.keep = true;
	}
	args_rest(args, 2, 2);
	job.workflow = args->argv[0];
	pipeline_parse(args->command, args->argv[1], &job.pipeline);
	pipeline_name(args->command, names, &job.pipeline);
	if (job.link.flags & FAASCTL_UNCHARGED)
		warn_uncharged(job.workflow);
	return clean_up(&job, run_job(&job));
}

const struct command run_command = {
	.name = "run",
	.run = run,
	.args = "[OPTION]... WORKFLOW 'COMMAND | COMMAND...'",
	.help = "Run a whole pipeline, a stage a command",
	.example = "faasctl run wf1 'cat /etc/services | grep tcp | wc -l'",
	.options = options,
	.wraps = true,
};
