// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Loading: careful functions are loaded here, each after a trial in a process of its own. Of one
 * that may be hostile nothing runs here: constructors, too, run where it is confined.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "host.h"

static int cannot_load(int status, const struct stage *stage, const char *how, const char *text)
{
	fprintf(stderr, "faasctl: stage %s: %s%s%s\n", stage->name, how ? stage->path : "",
		how ? how : "", text);
	return status;
}

/* ------------------------------------------------------------------------- here */

static bool loading;

/*
 * In a process that is made while functions are loaded: a trial, or what a constructor makes. How
 * it dies is no stage's end, and what it reads and prints is nobody's.
 */
static void leave_ports(void)
{
	unsigned int i;

	if (!loading)
		return;
	dup2(nowhere, STDIN_FILENO);
	dup2(nowhere, STDOUT_FILENO);
	for (i = 0; i < 2 * n_stages; i++)
		dup2(nowhere, stages[i / 2].ports[i % 2]);
}

/* Before functions are loaded here. Returns 0 or a status. */
int load_begin(void)
{
	if (pthread_atfork(NULL, NULL, leave_ports))
		return complain(STATUS_FAILED, "out of memory");
	loading = true;
	return 0;
}

/* From here on what forks is to have ports. */
void load_end(void)
{
	loading = false;
}

/* A copy in memory. Returns a descriptor, or -1 and errno is set. */
static int copy_file(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = -1, code;
	ssize_t n = -1;

	if (from >= 0)
		to = memfd_create("faasin-function", MFD_CLOEXEC);
	if (to >= 0)
		do
			n = sendfile(to, from, NULL, 1 << 20);
		while (n > 0);
	code = errno;
	if (from >= 0)
		close(from);
	if (n < 0 && to >= 0) {
		close(to);
		to = -1;
	}
	errno = code;
	return to;
}

static bool is_loaded(const struct stage *stage)
{
	const struct stage *other;

	for (other = stages; other < stage; other++)
		if (other->function.handle && other->file.st_dev == stage->file.st_dev &&
		    other->file.st_ino == stage->file.st_ino)
			return true;
	return false;
}

static int status_of_error(int code)
{
	switch (code) {
	case ENOENT:
		return STATUS_NOT_FOUND;
	case EAGAIN:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return STATUS_FAILED;
	}
	return STATUS_CANNOT;
}

/*
 * Loads a function. A file that another stage has too is loaded once more, as a copy: the loader
 * gives the same one to whoever asks, and with it the function's own data. Returns 0 or a status.
 */
int load(struct stage *stage, struct faasctl_error *err)
{
	char copy[sizeof("/proc/self/fd/") + 10];
	const char *path = stage->path;
	int fd;

	if (!stat(path, &stage->file) && is_loaded(stage)) {
		/* It stays open: the path is the descriptor's. */
		fd = copy_file(path);
		if (fd < 0)
			return cannot_load(STATUS_FAILED, stage, " cannot be copied for one more stage: ",
					   strerror(errno));
		snprintf(copy, sizeof(copy), "/proc/self/fd/%d", fd);
		path = copy;
	}
	if (faasctl_function_load(path, &stage->function, err))
		return cannot_load(status_of_error(err->code), stage,
				   path == copy ? ", for one more stage, as a copy: " : NULL,
				   err->message);
	stage->job->main = stage->function.main;
	stage->loaded = true;
	return 0;
}

/* --------------------------------------------------------------- where it is confined */

/* What comes of loading there: no exit() of a constructor gives these. */
#define LOADED		(1l << 40)
#define REFUSED		(LOADED + 1)

/* In the confined process: its function. */
static int (*entry)(struct faas_io *io);

static long nothing(void *arg)
{
	return 0;
}

/* No look for what writes keys: there are none to win. */
static long load_there(void *arg)
{
	const struct stage *stage = arg;
	void *handle;

	pthread_sigmask(SIG_SETMASK, &signals_before, NULL);
	handle = dlopen(stage->path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		cannot_load(0, stage, NULL, dlerror());
		return REFUSED;
	}
	entry = (int (*)(struct faas_io *))dlsym(handle, "faas_main");
	if (!entry) {
		cannot_load(0, stage, " has no function faas_main", "");
		return REFUSED;
	}
	return LOADED;
}

/* Loads a function in its domain, a process that is confined by then. Returns 0 or a status. */
int load_confined(struct stage *stage, struct faasctl_error *err)
{
	long result = 0;
	char text[80];

	if (access(stage->path, F_OK))
		return cannot_load(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT, stage,
				   ": ", strerror(errno));
	/* It is made, and confines itself, before the first call is made there. */
	if (faasctl_domain_call(stage->domain, nothing, NULL, NULL, err))
		return complain(STATUS_FAILED, err->message);
	if (faasctl_domain_call(stage->domain, load_there, stage, &result, err))
		return complain(STATUS_CANNOT, err->message);
	stage->loaded = result == LOADED;
	if (stage->loaded || result == REFUSED)
		return stage->loaded ? 0 : STATUS_CANNOT;
	snprintf(text, sizeof(text), "a constructor ended the process with status %ld", result);
	return cannot_load(STATUS_CANNOT, stage, ": ", text);
}

/* ------------------------------------------------------------------------- its call */

/* In its domain: calls it, wherever it was loaded. */
int call_loaded(struct job *job)
{
	return entry ? entry(&job->io) : job->main(&job->io);
}
