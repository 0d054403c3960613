// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasin-host: the process that a function runs in. faasctl exec --thread starts it in
 * the stage's cgroup, with its ports as standard input and output, and makes of its
 * exit status what becomes of the stream: 128 and more abort it, and so does whatever
 * ends before the function begins, which is what the first argument is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <faasctl/domain.h>
#include <faasctl/function.h>

/* As faasctl exec has them; the first is a shell's way to say that a signal ended it. */
#define STATUS_STOPPED		139
#define STATUS_FAILED		125
#define STATUS_CANNOT		126
#define STATUS_NOT_FOUND	127

static int fail(int status, const struct faasctl_error *err)
{
	fprintf(stderr, "faasctl: %s\n", err->message);
	return status;
}

/**
 * struct job - what is called in the domain
 * @main: the function
 * @begun: where to write to when it begins
 * @io: what it is given
 */
struct job {
	int (*main)(struct faas_io *io);
	int begun;
	struct faas_io io;
};

static long run(void *arg)
{
	struct job *job = arg;

	if (write(job->begun, "", 1) != 1)
		return STATUS_FAILED;
	close(job->begun);
	return job->main(&job->io);
}

/* What it returned as an exit status: what does not fit is not taken for success. */
static int status_of(long result)
{
	return result & ~255l ? 255 : result;
}

/* Shared with the domain, wherever it runs. The arguments: descriptor, workflow, stage, file... */
static struct job *make_job(int argc, char **argv)
{
	struct job *job = faasctl_shared_alloc(sizeof(*job));
	char *paths = faasctl_shared_alloc(2 * 4096);

	if (!job || !paths)
		return NULL;
	/* Outside of the mount's scope there is no path; the descriptors are there. */
	faasctl_port_path(argv[2], argv[3], FAASIN_PORT_IN, paths, 4096, NULL);
	faasctl_port_path(argv[2], argv[3], FAASIN_PORT_OUT, paths + 4096, 4096, NULL);
	job->begun = atoi(argv[1]);
	job->io = (struct faas_io){
		.size = sizeof(job->io),
		.input = 0,
		.output = 1,
		.argc = argc - 4,
		.argv = argv + 4,
		.workflow = argv[2],
		.stage = argv[3],
		.input_path = paths,
		.output_path = paths + 4096,
	};
	return job;
}

static int run_function(int argc, char **argv, struct faasctl_error *err)
{
	struct faasctl_function function;
	struct faasctl_domains_info info;
	struct faasctl_domain *domain;
	struct job *job;
	long result;

	if (faasctl_domains_begin(NULL, err))
		return fail(STATUS_FAILED, err);
	faasctl_domains_info(&info);
	if (!info.threads)
		fprintf(stderr, "faasctl: stage %s runs as a process, not as a thread: %s\n",
			argv[3], info.why);
	if (faasctl_function_load(argv[4], &function, err))
		return fail(err->code == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT, err);
	job = make_job(argc, argv);
	if (!job) {
		fputs("faasctl: out of memory\n", stderr);
		return STATUS_FAILED;
	}
	job->main = function.main;
	if (faasctl_domain_new(argv[3], NULL, &domain, err))
		return fail(STATUS_FAILED, err);
	if (faasctl_domain_start(domain, run, job, err))
		return fail(STATUS_FAILED, err);
	if (faasctl_domain_join(domain, &result, err))
		return fail(err->code == EFAULT ? STATUS_STOPPED : STATUS_FAILED, err);
	return status_of(result);
}

int main(int argc, char **argv)
{
	struct faasctl_error err = { 0 };

	if (argc < 5 || fcntl(atoi(argv[1]), F_SETFD, FD_CLOEXEC)) {
		fputs("faasctl: faasin-host is run by: faasctl exec --thread\n", stderr);
		return STATUS_FAILED;
	}
	/* That was for this process only. */
	unsetenv("LD_BIND_NOW");
	return run_function(argc, argv, &err);
}
