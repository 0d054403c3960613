// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Functions of the C library that would reach beyond the domain that calls them. What all
 * of the process uses must not come from one domain's heap: the C library walks through
 * all open streams, for one. To end is to end the domain. And what would outlive it, with
 * its key, cannot be made: threads, libraries, processes.
 */
#include <err.h>
#include <error.h>
#include <link.h>
#include <locale.h>
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
	type result;							\
									\
	inside.heap.shared++;						\
	result = with(NEXT(function) args);				\
	inside.heap.shared--;						\
	return result;							\
}

SHARED(int, setenv, (const char *name, const char *value, int how), (name, value, how), /* none */)
SHARED(char *, setlocale, (int category, const char *locale), (category, locale), /* none */)

/* The environment takes the text itself. */
OVERRIDE int putenv(char *text)
{
	int ret = -1;

	inside.heap.shared++;
	if (is_inside())
		text = strdup(text);
	if (text)
		ret = NEXT(putenv)(text);
	inside.heap.shared--;
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
STREAM(popen, (const char *command, const char *mode), (command, mode))
STREAM(tmpfile, (void), ())
STREAM(tmpfile64, (void), ())
STREAM(fmemopen, (void *memory, size_t size, const char *mode), (memory, size, mode))
STREAM(open_memstream, (char **memory, size_t *size), (memory, size))
STREAM(fopencookie, (void *cookie, const char *mode, cookie_io_functions_t io), (cookie, mode, io))

/* --------------------------------------------------------------------------- endings */

/* The process that domains are in: not one that a function made. */
pid_t home;

/* Ends the domain if the caller is inside one. */
static void end_domain(long result)
{
	if (process_child() ? !process_is_serving() : !inside.domain || getpid() != home)
		return;
	if (process_child())
		process_exit(result);
	domain_exit(result);
}

#define ENDING(function)						\
OVERRIDE void function(int status)					\
{									\
	end_domain(status);						\
	NEXT(function)(status);						\
	abort();							\
}

ENDING(exit)
ENDING(quick_exit)
ENDING(_exit)
ENDING(_Exit)

OVERRIDE void pthread_exit(void *result)
{
	end_domain((long)result);
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

OVERRIDE pid_t fork(void)
{
	if (!is_inside())
		return NEXT(fork)();
	errno = EPERM;
	return -1;
}

/* What dlerror() says then is the loader's, who takes no file without a mode. */
#define REFUSED_LIBRARY	"no library can be loaded inside a domain"

/* What binds functions when they are first called may have been made to trap. */
static int library_mode(int mode)
{
	return gate_fixed.space_size || process_child() ? (mode & ~RTLD_LAZY) | RTLD_NOW : mode;
}

/*
 * The last call has to be a jump: the loader looks at who its caller is.
 */
OVERRIDE void *dlopen(const char *path, int mode)
{
	if (is_inside()) {
		path = REFUSED_LIBRARY;
		mode = 0;
	} else {
		mode = library_mode(mode);
	}
	return NEXT(dlopen)(path, mode);
}

OVERRIDE void *dlmopen(Lmid_t space, const char *path, int mode)
{
	if (is_inside())
		return dlopen(path, mode);
	return NEXT(dlmopen)(space, path, library_mode(mode));
}

/* ------------------------------------------------------------------------- beginnings */

/* Counts libraries that were loaded. */
atomic_uint libraries = 1;

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
	unsigned int now = atomic_load(&libraries);

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
