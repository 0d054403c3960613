// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl exec */
#include <fcntl.h>

#include "process.h"
#include "traceparent.h"

static const struct option_row options[] = {
	{ 't', "traceparent", NULL, "wait for the input's stream and take over its traceparent" },
	{ 'T', "thread", NULL, "the command is a function, FILE.so, and runs in a domain" },
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

static int exec_stage(struct process *process, const struct waits *waits,
		      bool take_traceparent)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;
	int status;

	if (faasctl_name_check("workflow", process->workflow, &err) ||
	    faasctl_name_check("stage", process->stage, &err) ||
	    faasctl_open(&ctl, &err))
		return wrapper_fail(&err);
	status = process_cgroup(process, ctl);
	if (!status)
		status = open_ports(process, ctl, waits);
	if (status)
		return status;
	if (take_traceparent && process->in >= 0)
		traceparent_take(process->in);
	/* Not before: an open that waits must be possible to interrupt. */
	processes_hold_signals();
	status = processes_start(process, 1);
	if (status)
		return status;
	processes_wait(process, 1);
	return process->status;
}

/* Of faasin-host: the descriptor by which it says that the function begins. */
static int make_begun(struct process *process)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -1;
	process->begun = ends[0];
	/* Nothing but that command is executed here. */
	return fcntl(ends[1], F_SETFD, 0) ? -1 : ends[1];
}

/*
 * Makes of the command that names a function the one that runs it: faasin-host, which is where
 * this program is, with all that it uses bound when it starts. Returns 0 or a status.
 */
static int host_command(struct process *process, char ***host)
{
	static char path[4096], begun[16];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof("faasin-host"));
	size_t n = 0;
	int fd;

	while (len > 0 && path[len - 1] != '/')
		len--;
	strcpy(path + (len > 0 ? len : 0), "faasin-host");
	if (access(path, X_OK))
		return wrapper_error(STATUS_WRAPPER,
				     "this faasctl was built without what runs functions (%s): build it on x86-64 with the development files of jemalloc and libseccomp",
				     path);
	if (!strchr(process->argv[0], '/'))
		return wrapper_error(STATUS_WRAPPER, "say where function \"%s\" is: ./%s",
				     process->argv[0], process->argv[0]);
	fd = make_begun(process);
	if (fd < 0)
		return wrapper_error(STATUS_WRAPPER, "cannot make a pipe: %s", strerror(errno));
	snprintf(begun, sizeof(begun), "%d", fd);
	while (process->argv[n])
		n++;
	*host = calloc(n + 5, sizeof(**host));
	if (!*host || setenv("LD_BIND_NOW", "1", 1))
		return wrapper_error(STATUS_WRAPPER, "out of memory");
	(*host)[0] = path;
	(*host)[1] = begun;
	(*host)[2] = (char *)process->workflow;
	(*host)[3] = (char *)process->stage;
	memcpy(*host + 4, process->argv, n * sizeof(**host));
	process->argv = *host;
	return 0;
}

static int run(struct args *args)
{
	_cleanup_(freep) char **host = NULL;
	struct process process = PROCESS_INIT;
	struct waits waits = { 0 };
	bool traceparent = false, thread = false;
	int id, status;

	while ((id = args_next(args)) != -1)
		if (id == 'w')
			waits = parse_waits(args);
		else if (id == 't')
			traceparent = true;
		else if (id == 'T')
			thread = true;
	args_rest(args, 2, -1);
	process.workflow = args->argv[0];
	process.stage = args->argv[1];
	process.argv = args->argv + 2;
	if (process.argv[0] && !strcmp(process.argv[0], "--"))
		process.argv++;
	if (!process.argv[0])
		usage_error(args->command, "the command to run is missing");
	status = thread ? host_command(&process, &host) : 0;
	if (!status)
		status = exec_stage(&process, &waits, traceparent);
	process_close(&process);
	return status;
}

const struct command exec_command = {
	.name = "exec",
	.run = run,
	.args = "[OPTION]... WORKFLOW STAGE [--] COMMAND [ARGUMENT]...",
	.help = "Run a command as a stage, its ports as standard input and output",
	.example = "faasctl exec wf1 grep -- grep -c tcp /etc/services",
	.options = options,
	.wraps = true,
};
