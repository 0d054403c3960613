// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Functions of the C library that would reach beyond the domain that calls them. What all
 * of the process uses must not come from one domain's heap: the C library walks through
 * all open streams, for one. To end is to end the domain. And what would outlive it, with
 * its key, cannot be made: threads, libraries, processes.
 */
#include <err.h>
#include <error.h>
#include <grp.h>
#include <link.h>
#include <locale.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>

#include "state.h"

/* ------------------------------------------------------------- what is shared by all */

/* Calls the C library's own function, which allocates shared memory; then @with, if any. */
#define SHARED(type, function, params, args, with)			\
OVERRIDE type function params						\
{									\
	size_t plain = heap_share();					\
	type result = with(NEXT(function) args);			\
									\
	heap_unshare(plain);						\
	return result;							\
}

SHARED(int, setenv, (const char *name, const char *value, int how), (name, value, how), /* none */)
SHARED(char *, setlocale, (int category, const char *locale), (category, locale), /* none */)

/* Texts of what has none are the thread's, until the next one or its end. */
SHARED(char *, strerror, (int code), (code), /* none */)
SHARED(char *, strerror_l, (int code, locale_t locale), (code, locale), /* none */)
SHARED(char *, strsignal, (int sig), (sig), /* none */)

/* The environment takes the text itself. */
OVERRIDE int putenv(char *text)
{
	size_t plain = heap_share();
	int ret = -1;

	if (is_inside())
		text = strdup(text);
	if (text)
		ret = NEXT(putenv)(text);
	heap_unshare(plain);
	return ret;
}

/* Its buffer comes with a stream, and not when it is first used. */
static FILE *with_buffer(FILE *stream)
{
	if (stream && is_inside())
		setvbuf(stream, NULL, _IOFBF, 0);
	return stream;
}

#define STREAM(function, params, args)	SHARED(FILE *, function, params, args, with_buffer)

STREAM(fopen, (const char *path, const char *mode), (path, mode))
STREAM(fopen64, (const char *path, const char *mode), (path, mode))
STREAM(freopen, (const char *path, const char *mode, FILE *old), (path, mode, old))
STREAM(freopen64, (const char *path, const char *mode, FILE *old), (path, mode, old))
STREAM(fdopen, (int fd, const char *mode), (fd, mode))
STREAM(tmpfile, (void), ())
STREAM(tmpfile64, (void), ())
STREAM(fmemopen, (void *memory, size_t size, const char *mode), (memory, size, mode))
STREAM(open_memstream, (char **memory, size_t *size), (memory, size))
STREAM(fopencookie, (void *cookie, const char *mode, cookie_io_functions_t io), (cookie, mode, io))

/* Programs cannot be started then; the C library would say that there is no memory. */
static bool starts_none(void)
{
	return filtered_process || (inside.filtered && is_inside());
}

OVERRIDE FILE *popen(const char *command, const char *mode)
{
	size_t plain = heap_share();
	FILE *stream = NULL;

	if (starts_none())
		errno = EPERM;
	else
		stream = with_buffer(NEXT(popen)(command, mode));
	heap_unshare(plain);
	return stream;
}

/* --------------------------------------------------------------------------- endings */

/* The process that domains are in: not one that a function made. */
pid_t home;

/* Ends the domain if the caller is inside one. @orderly: as a thread ends by itself */
static void end_domain(long result, bool orderly)
{
	if (process_child() ? !process_is_serving() : !inside.domain || getpid() != home)
		return;
	if (process_child())
		process_exit(result);
	if (orderly)
		destructors_run();
	heap_flush(NULL);
	domain_exit(result);
}

#define ENDING(function, orderly)					\
OVERRIDE void function(int status)					\
{									\
	end_domain(status, orderly);					\
	NEXT(function)(status);						\
	abort();							\
}

ENDING(exit, true)
ENDING(quick_exit, false)
ENDING(_exit, false)
ENDING(_Exit, false)

OVERRIDE void pthread_exit(void *result)
{
	end_domain((long)result, true);
	NEXT(pthread_exit)(result);
	abort();
}

OVERRIDE void thrd_exit(int result)
{
	pthread_exit((void *)(long)result);
}

/* These end by the C library's own exit(). */
OVERRIDE void verr(int status, const char *format, va_list args)
{
	vwarn(format, args);
	exit(status);
}

OVERRIDE void verrx(int status, const char *format, va_list args)
{
	vwarnx(format, args);
	exit(status);
}

OVERRIDE void err(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vwarn(format, args);
	va_end(args);
	exit(status);
}

OVERRIDE void errx(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vwarnx(format, args);
	va_end(args);
	exit(status);
}

OVERRIDE void error(int status, int code, const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	NEXT(error)(0, code, "%s", text);
	if (status)
		exit(status);
}

/* ----------------------------------------------------------------- what would outlive */

OVERRIDE int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			    void *(*fn)(void *arg), void *arg)
{
	return is_inside() ? EPERM : NEXT(pthread_create)(thread, attr, fn, arg);
}

OVERRIDE int thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
	return is_inside() ? thrd_error : NEXT(thrd_create)(thread, fn, arg);
}

/* Handlers of a fork() by which a process is made may make children, too: these are none. */
#define FORKS(function, params, args)					\
OVERRIDE int function params						\
{									\
	struct process *made;						\
	int ret;							\
									\
	if (is_inside()) {						\
		errno = EPERM;						\
		return -1;						\
	}								\
	made = process_aside(NULL);					\
	ret = NEXT(function) args;					\
	process_aside(made);						\
	return ret;							\
}

FORKS(fork, (void), ())
FORKS(daemon, (int nochdir, int noclose), (nochdir, noclose))
FORKS(forkpty, (int *m, char *n, const struct termios *t, const struct winsize *w), (m, n, t, w))

/*
 * Users and groups are the process's; the C library visits all threads to change them, of which
 * some have their own data in domains.
 */
#define USERS(function, params, args)					\
OVERRIDE int function params						\
{									\
	if (!is_inside())						\
		return NEXT(function) args;				\
	errno = EPERM;							\
	return -1;							\
}

USERS(setuid, (uid_t user), (user))
USERS(seteuid, (uid_t user), (user))
USERS(setreuid, (uid_t real, uid_t user), (real, user))
USERS(setresuid, (uid_t real, uid_t user, uid_t saved), (real, user, saved))
USERS(setgid, (gid_t group), (group))
USERS(setegid, (gid_t group), (group))
USERS(setregid, (gid_t real, gid_t group), (real, group))
USERS(setresgid, (gid_t real, gid_t group, gid_t saved), (real, group, saved))
USERS(setgroups, (size_t n, const gid_t *groups), (n, groups))
USERS(initgroups, (const char *user, gid_t group), (user, group))

/* ------------------------------------------------------------------------ the loader */

/* Called by gate_monitor(), outside. */
long loader_note(void *arg)
{
	inside.domain->loader = true;
	inside.domain->unusual = true;
	return 0;
}

/*
 * What came of the last call the loader keeps for the thread, in memory of whoever called, and
 * frees it at the next one. On a thread that was lent that could be when there is no such domain
 * any more, or inside another one.
 */
static void note_loader(void)
{
	if (is_inside() && !inside.own_thread)
		gate_monitor(SERVICE_LOADER, NULL);
}

/* Gives that back; outside, while the domain is still there. */
void loader_forget(void)
{
	/* It does so of an error that was told, when it is asked again. */
	dlsym(RTLD_DEFAULT, "there is no such name");
	dlerror();
	dlerror();
}

/*
 * The last call has to be a jump here and below: the loader looks at who its caller is. So what
 * dlopen() brings is counted before it, and once more when its thread comes by again: by then it is
 * there. Whoever looks in between goes by the loader's own count, too.
 */
OVERRIDE void *dlsym(void *handle, const char *name)
{
	static typeof(dlsym) *next;

	if (!next)
		next = (typeof(next))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
	code_loaded();
	note_loader();
	return next(handle, name);
}

/* Looked for before there can be an error, of which to look for it would be the end. */
static typeof(dlerror) *next_error;

static void __attribute__((constructor)) find_error(void)
{
	next_error = (typeof(next_error))dlsym(RTLD_NEXT, "dlerror");
}

OVERRIDE char *dlerror(void)
{
	if (!next_error)
		find_error();
	code_loaded();
	note_loader();
	return next_error();
}

OVERRIDE int dlclose(void *handle)
{
	code_loaded();
	note_loader();
	return NEXT(dlclose)(handle);
}

OVERRIDE int dlinfo(void *handle, int request, void *info)
{
	note_loader();
	return NEXT(dlinfo)(handle, request, info);
}

/* What dlerror() says then is the loader's, who takes no file without a mode. */
#define REFUSED_LIBRARY	"no library can be loaded inside a domain"

/* What binds functions at their first call may trap by now, even if domains could not begin. */
static int library_mode(int mode)
{
	return gate_fixed.space_size || is_disarmed() || process_child() ?
		(mode & ~RTLD_LAZY) | RTLD_NOW : mode;
}

OVERRIDE void *dlopen(const char *path, int mode)
{
	note_loader();
	if (is_inside()) {
		path = REFUSED_LIBRARY;
		mode = 0;
	} else {
		mode = library_mode(mode);
		code_loading();
	}
	return NEXT(dlopen)(path, mode);
}

OVERRIDE void *dlmopen(Lmid_t space, const char *path, int mode)
{
	if (is_inside())
		return dlopen(path, mode);
	code_loading();
	return NEXT(dlmopen)(space, path, library_mode(mode));
}

/* ------------------------------------------------------------------------- beginnings */

/* As __tls_get_addr() takes it. */
struct tls_index {
	unsigned long module;
	unsigned long offset;
};

void *__tls_get_addr(struct tls_index *index);

static int touch_data(struct dl_phdr_info *object, size_t size, void *arg)
{
	if (object->dlpi_tls_modid && !object->dlpi_tls_data)
		__tls_get_addr(&(struct tls_index){ object->dlpi_tls_modid, 0 });
	return 0;
}

/*
 * This thread's own data of each library, which is allocated when it is first used: not
 * inside, where it would be in the heap of one domain, and the thread goes on to others.
 */
void libc_thread_begin(void)
{
	static __thread unsigned int seen __attribute__((tls_model("initial-exec")));
	unsigned int now = atomic_load(&code_changes);

	if (seen == now)
		return;
	dl_iterate_phdr(touch_data, NULL);
	seen = now;
}

/* Before the first domain allocates anything, and before code is looked through. */
void libc_begin(void)
{
	static char out[BUFSIZ], in[BUFSIZ];

	setvbuf(stdin, in, isatty(STDIN_FILENO) ? _IOLBF : _IOFBF, sizeof(in));
	setvbuf(stdout, out, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, sizeof(out));
	tzset();
	/* The C library loads it when a thread is cancelled, or asks who called it. */
	dlopen("libgcc_s.so.1", RTLD_NOW);
}
