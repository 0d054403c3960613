// SPDX-License-Identifier: LGPL-2.1-or-later
/* Functions: shared objects that are looked through, tried, and loaded. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "state.h"

static int refuse(const struct faasctl_scan_hit *hit, void *arg)
{
	struct faasctl_error *err = arg;

	return faasctl__fail(err, ENOEXEC, "%.200s cannot share a process: %s at byte %llu; see: faasctl scan",
			     hit->path, faasctl_scan_name(hit->kind),
			     (unsigned long long)hit->offset);
}

/* What the trial says first. */
#define LOADED	'+'
#define REFUSED	'-'

/*
 * In a process of its own, which ends with it: what its constructors do, they do there. That
 * they came to their end is told: a constructor can end the process with any status.
 */
static void try_there(const char *path, int out) __attribute__((noreturn));

static void try_there(const char *path, int out)
{
	char text[400];
	int len;

	fault_reset();
	if (dlopen(path, RTLD_NOW | RTLD_LOCAL))
		len = snprintf(text, sizeof(text), "%c", LOADED);
	else
		len = snprintf(text, sizeof(text), "%c%.390s", REFUSED, dlerror());
	_exit(write(out, text, len) != len);
}

/* Whether it can be loaded: its constructors are the first of its code to run. */
static int try_load(const char *path, struct faasctl_error *err)
{
	char text[400] = "";
	int ends[2], status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return faasctl__fail_errno(err, errno, "cannot try to load %.200s", path);
	pid = fork();
	if (!pid)
		try_there(path, ends[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* All is there by now; who else has the pipe is not waited for. */
	if (pid > 0 && read(ends[0], text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(ends[0]);
	close(ends[1]);
	if (pid < 0)
		return faasctl__fail_errno(err, ENOMEM, "cannot try to load %.200s", path);
	if (WIFSIGNALED(status))
		return faasctl__fail(err, EFAULT, "%.200s: a constructor crashed: %s", path,
				     strsignal(WTERMSIG(status)));
	if (text[0] == REFUSED)
		return faasctl__fail(err, ELIBBAD, "cannot load %.400s", text + 1);
	if (text[0] != LOADED)
		return faasctl__fail(err, EFAULT, "%.200s: a constructor ended the process with status %d",
				     path, WEXITSTATUS(status));
	return 0;
}

FAASCTL_API int faasctl_function_load(const char *path,
				      struct faasctl_function *function,
				      struct faasctl_error *err)
{
	struct faasctl_error own = { 0 };
	int ret;

	memset(function, 0, sizeof(*function));
	if (!err)
		err = &own;
	ret = outside_only(err);
	/* The loader would look elsewhere for it than was looked. */
	if (!ret && !strchr(path, '/'))
		ret = faasctl__fail(err, EINVAL, "%.200s: say where it is: ./%.200s", path, path);
	if (!ret)
		ret = faasctl_scan_file(path, refuse, err, err);
	if (!ret)
		ret = try_load(path, err);
	if (ret)
		return ret;
	function->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!function->handle)
		return faasctl__fail(err, ELIBBAD, "cannot load %.400s", dlerror());
	function->main = (int (*)(struct faas_io *))dlsym(function->handle, "faas_main");
	if (!function->main)
		ret = faasctl__fail(err, ENOEXEC, "%.200s has no function faas_main", path);
	/*
	 * What came with it, and what it is now: the file may have changed since. A child has no
	 * threads to keep it from.
	 */
	else if (domains->info.threads && !is_child)
		ret = code_look(err);
	if (ret)
		faasctl_function_unload(function);
	return ret;
}

FAASCTL_API void faasctl_function_unload(struct faasctl_function *function)
{
	if (function->handle)
		dlclose(function->handle);
	memset(function, 0, sizeof(*function));
}
