// SPDX-License-Identifier: GPL-2.0
/*
 * What `faasctl run` makes of a pipeline: its commands, their names, and what the
 * shell is told. The input is the pipeline and, behind a NUL, names for it.
 */
#include <ctype.h>

#include "harness.h"
#include "pipeline.h"

struct job {
	const char *line;
	const char *names;
	struct pipeline pipeline;
	bool done;
};

static int take_apart(void *arg)
{
	struct job *job = arg;

	pipeline_parse(&run_command, job->line, &job->pipeline);
	pipeline_name(&run_command, job->names, &job->pipeline);
	job->done = true;
	return 0;
}

/* The commands are the line, but for bars and blanks between them. */
static void check_commands(const struct job *job)
{
	const char *p = job->line;
	size_t i;

	for (i = 0; i < job->pipeline.n; i++) {
		const char *command = job->pipeline.stages[i].command;

		p += strspn(p, " \t\n");
		PROMISE(*command && !strncmp(p, command, strlen(command)),
			"the commands are what the line has");
		p += strlen(command);
		PROMISE(*p == (i + 1 < job->pipeline.n ? '|' : '\0'),
			"there is a bar behind every command but the last");
		p += *p == '|';
	}
}

static void check_names(const struct pipeline *pipeline)
{
	struct faasctl_error err;
	size_t i, j;

	for (i = 0; i < pipeline->n; i++) {
		PROMISE(!faasctl_name_check("stage", pipeline->stages[i].name,
					    &err), "every stage has a good name");
		for (j = 0; j < i; j++)
			PROMISE(strcmp(pipeline->stages[i].name,
				       pipeline->stages[j].name),
				"no two stages have one name");
	}
}

/* What was one command is one when it is looked at alone. */
static int take_apart_again(void *arg)
{
	struct pipeline_stage *stage = arg;
	struct pipeline alone = { 0 };
	const char *exec;
	size_t before;
	char *script;

	pipeline_parse(&run_command, stage->command, &alone);
	PROMISE(alone.n == 1 && !strcmp(alone.stages[0].command, stage->command),
		"a command has no bar of its own");
	pipeline_free(&alone);

	script = pipeline_script(&run_command, stage);
	if (strcmp(script, stage->command)) {
		/* The first difference is an exec that was put in. */
		for (before = 0; script[before] == stage->command[before]; before++)
			;
		for (exec = script; (exec = strstr(exec, "exec ")); exec++)
			if ((size_t)(exec - script) <= before &&
			    !strcmp(exec + 5, stage->command + (exec - script)))
				break;
		PROMISE(exec, "the shell is told the command, or to become it");
	}
	free(script);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct job job = { 0 };
	struct output output;
	char *line, *names = NULL;
	size_t i;
	int status;

	line = bytes_string(&in, '\0');
	if (in.left)
		names = bytes_string(&in, '\0');
	job.line = line;
	job.names = names;
	status = harness_run(take_apart, &job, &output);
	PROMISE(!output.len, "nothing goes to standard output");
	if (job.done) {
		harness_output_free(&output);
		check_commands(&job);
		check_names(&job.pipeline);
		for (i = 0; i < job.pipeline.n; i++) {
			status = harness_run(take_apart_again,
					     &job.pipeline.stages[i], &output);
			PROMISE(!status, "a command that was taken is taken again");
			harness_output_free(&output);
		}
	} else {
		PROMISE(status == STATUS_WRAPPER && output.errors_len,
			"a refusal has its status and says why");
		harness_output_free(&output);
	}
	pipeline_free(&job.pipeline);
	free(line);
	free(names);
	return 0;
}
