// SPDX-License-Identifier: GPL-2.0
/*
 * What the C library does inside a domain: how functions end, what streams, the environment
 * and signals are, and what is refused because it would reach beyond the domain. Then what is
 * left as it was for who goes in.
 */
#include <dlfcn.h>
#include <err.h>
#include <error.h>
#include <fenv.h>
#include <grp.h>
#include <locale.h>
#include <pthread.h>
#include <pty.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <threads.h>

#include "domain_fixture.h"

static long add_one(void *arg)
{
	return (long)arg + 1;
}

/* --------------------------------------------------------------------------- endings */

static void end_exit(void) { exit(7); }
static void end__exit(void) { _exit(7); }
static void end__Exit(void) { _Exit(7); }
static void end_quick_exit(void) { quick_exit(7); }
static void end_pthread_exit(void) { pthread_exit((void *)7); }
static void end_thrd_exit(void) { thrd_exit(7); }
static void end_err(void) { errno = EIO; err(7, "on purpose"); }
static void end_errx(void) { errx(7, "on purpose"); }
static void end_error(void) { error(7, EIO, "on purpose"); }

static const struct ending {
	const char *name;
	void (*end)(void);
} endings[] = {
	{ "exit", end_exit }, { "_exit", end__exit }, { "_Exit", end__Exit },
	{ "quick_exit", end_quick_exit }, { "pthread_exit", end_pthread_exit },
	{ "thrd_exit", end_thrd_exit }, { "err", end_err }, { "errx", end_errx },
	{ "error", end_error },
};

static long end(void *arg)
{
	endings[(long)arg].end();
	return -1;
}

/* Each ends the function, as if it had returned 7, and nothing else. */
TEST_F(domain, endings)
{
	long i, result;

	for (i = 0; i < (long)ARRAY_SIZE(endings); i++) {
		result = 0;
		EXPECT_OK(faasctl_domain_call(self->a, end, (void *)i, &result, &self->err));
		EXPECT_EQ(7, result)
			TH_LOG("%s", endings[i].name);
		result = 0;
		EXPECT_OK(faasctl_domain_start(self->b, end, (void *)i, &self->err));
		EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
		EXPECT_EQ(7, result)
			TH_LOG("%s, started", endings[i].name);
	}
	EXPECT_OK(faasctl_domain_call(self->a, add_one, (void *)1, &result, &self->err));
	EXPECT_EQ(2, result);
}

/* --------------------------------------------------------------------------- streams */

/* Writes, and closes nothing. */
static long write_stream(void *arg)
{
	FILE *f = fopen(arg, "w");

	return !f || fputs("what a wrote", f) < 0;
}

TEST_F(domain, streams)
{
	char *path = faasctl_shared_alloc(32), text[64] = "";
	long result = -1;
	int fd;

	strcpy(path, "/tmp/faasin-XXXXXX");
	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	unlink(path);
	snprintf(path, 32, "/proc/%d/fd/%d", getpid(), fd);
	EXPECT_OK(faasctl_domain_call(self->a, write_stream, path, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	self->a = NULL;
	/* All open streams are looked through, and that one has a buffer still. */
	fflush(NULL);
	EXPECT_EQ(12, pread(fd, text, sizeof(text), 0));
	EXPECT_STREQ("what a wrote", text);
	close(fd);
}

static long set_environment(void *arg)
{
	char *text = strdup("FAASIN_PUT=put");

	return setenv("FAASIN_SET", "set", 1) || putenv(text) || strcmp(getenv("FAASIN_PUT"), "put");
}

/* It is the process's: with threads others find it, when the domain has ended, too. */
TEST_F(domain, environment)
{
	long result = -1;

	EXPECT_OK(faasctl_domain_call(self->a, set_environment, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	self->a = NULL;
	EXPECT_EQ(variant->threads, getenv("FAASIN_SET") && !strcmp(getenv("FAASIN_SET"), "set"));
	EXPECT_EQ(variant->threads, getenv("FAASIN_PUT") && !strcmp(getenv("FAASIN_PUT"), "put"));
}

/* ------------------------------------------------------------------- what is refused */

static void *nothing(void *arg)
{
	return NULL;
}

static int nothing_too(void *arg)
{
	return 0;
}

static void handler(int sig)
{
}

static int make_thread(void)
{
	pthread_t thread;
	int code = pthread_create(&thread, NULL, nothing, NULL);

	return code ? code : pthread_join(thread, NULL);
}

static int make_thrd(void)
{
	thrd_t thread;
	int code = thrd_create(&thread, nothing_too, NULL);

	if (code == thrd_success)
		return thrd_join(thread, NULL);
	return code == thrd_error ? EPERM : -1;
}

static int make_terminal(void)
{
	int master;
	pid_t pid = forkpty(&master, NULL, NULL, NULL);

	if (!pid)
		_exit(0);
	if (pid < 0)
		return errno;
	close(master);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static long make_daemon(void *arg)
{
	return daemon(1, 1) ? errno : 0;
}

static int load_library(void)
{
	const char *text;

	if (dlopen("libm.so.6", RTLD_NOW))
		return 0;
	text = dlerror();
	return text && strstr(text, "no library can be loaded inside a domain") ? EPERM : -1;
}

static int make_process(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (!pid)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int set_handler(void)
{
	return signal(SIGUSR1, handler) == SIG_ERR ? errno : 0;
}

static int ignore_fault(void)
{
	struct sigaction old;

	if (sigaction(SIGSEGV, NULL, &old))
		return -1;
	return sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL) ? errno :
		sigaction(SIGSEGV, &old, NULL);
}

static int block_signals(void)
{
	sigset_t all, old;

	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, NULL, &old))
		return -1;
	return sigprocmask(SIG_BLOCK, &all, NULL) ? errno : sigprocmask(SIG_SETMASK, &old, NULL);
}

static int block_in_thread(void)
{
	sigset_t none;

	sigemptyset(&none);
	return pthread_sigmask(SIG_BLOCK, &none, NULL);
}

static int change_stack(void)
{
	static char memory[65536];
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) }, old;

	if (sigaltstack(NULL, &old))
		return -1;
	return sigaltstack(&stack, NULL) ? errno : sigaltstack(&old, NULL);
}

static int unmap_heap(void)
{
	char *block = malloc(1 << 20);
	void *at = (void *)(((uintptr_t)block + PAGE) & -(uintptr_t)PAGE);

	return munmap(at, PAGE) ? errno : mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at ? 0 : -1;
}

static const struct attempt {
	const char *name;
	int (*make)(void);
	int code;
} attempts[] = {
	{ "pthread_create", make_thread, EPERM }, { "thrd_create", make_thrd, EPERM },
	{ "dlopen", load_library, EPERM }, { "fork", make_process, EPERM },
	{ "signal", set_handler, EPERM }, { "sigaction", ignore_fault, EPERM },
	{ "sigprocmask", block_signals, EPERM }, { "pthread_sigmask", block_in_thread, EPERM },
	{ "sigaltstack", change_stack, EPERM }, { "munmap", unmap_heap, EACCES },
	{ "forkpty", make_terminal, EPERM },
};

static long make(void *arg)
{
	return attempts[(long)arg].make();
}

/* The process that it would leave behind is all there is. */
TEST_F(domain, no_daemon)
{
	long result = 0;

	if (!variant->threads)
		SKIP(return, "a process may end as it likes");
	EXPECT_OK(faasctl_domain_call(self->a, make_daemon, NULL, &result, &self->err));
	EXPECT_EQ(EPERM, result);
}

/* On a thread that goes on to others; a process may do as it likes, and so may who is outside. */
TEST_F(domain, refused)
{
	long i, result;

	for (i = 0; i < (long)ARRAY_SIZE(attempts); i++) {
		result = -1;
		EXPECT_OK(faasctl_domain_call(self->a, make, (void *)i, &result, &self->err));
		EXPECT_EQ(variant->threads ? attempts[i].code : 0, result)
			TH_LOG("%s", attempts[i].name);
		EXPECT_EQ(0, make((void *)i))
			TH_LOG("%s, outside", attempts[i].name);
	}
}

static long run_programs(void *arg)
{
	char *const argv[] = { "true", NULL }, *const env[] = { NULL };
	char text[16] = "";
	int status = -1;
	pid_t pid;
	FILE *f;

	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env) || waitpid(pid, &status, 0) != pid || status)
		return 1;
	f = popen("echo words", "r");
	if (!f || !fgets(text, sizeof(text), f) || pclose(f))
		return 2;
	return strcmp(text, "words\n") ? 3 : 0;
}

TEST_F(domain, programs)
{
	long result = -1;

	EXPECT_OK(faasctl_domain_call(self->a, run_programs, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_start(self->b, run_programs, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(0, result);
}

/* A child that a function made ends itself, and not what the function is in. */
static long fork_and_end(void *arg)
{
	int status = -1;
	pid_t pid;

	pid = arg ? fork() : vfork();
	if (!pid)
		_exit(3);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return 10 + WEXITSTATUS(status);
}

TEST_F(domain, children)
{
	long result = -1;

	EXPECT_OK(faasctl_domain_call(self->a, fork_and_end, NULL, &result, &self->err));
	EXPECT_EQ(13, result);
	EXPECT_OK(faasctl_domain_call(self->a, fork_and_end, (void *)1, &result, &self->err));
	EXPECT_EQ(variant->threads ? -1 : 13, result);
	EXPECT_OK(faasctl_domain_call(self->a, add_one, (void *)1, &result, &self->err));
	EXPECT_EQ(2, result);
}

/* --------------------------------------------------------------------------- signals */

static atomic_int came;

static void note(int sig)
{
	atomic_fetch_add(&came, 1);
}

static void send_soon(void)
{
	struct itimerval soon = { .it_value = { 0, 20000 } };

	if (setitimer(ITIMER_REAL, &soon, NULL))
		abort();
}

/* With threads, the handler is the host's. */
static long await_signal(void *arg)
{
	if (arg)
		signal(SIGALRM, note);
	send_soon();
	while (!atomic_load(&came))
		sched_yield();
	return 5;
}

/* A handler that was set without domains in mind comes to no harm, nor does who is inside. */
TEST_F(domain, handler)
{
	struct sigaction action = { .sa_handler = note };
	long result = 0;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	EXPECT_OK(faasctl_domain_call(self->a, await_signal, (void *)(long)!variant->threads, &result, &self->err));
	EXPECT_EQ(5, result);
	/* On a thread of the domain's it does not run at all: this one gets it. */
	atomic_store(&came, 0);
	EXPECT_OK(faasctl_domain_start(self->b, await_signal, (void *)(long)!variant->threads, &self->err));
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(5, result);
}

static sigjmp_buf back;

static void jump_back(int sig)
{
	siglongjmp(back, 1);
}

/* Not known to the compiler, which would say so. */
static volatile char *volatile nowhere = (char *)8;

static long crash(void *arg)
{
	return *nowhere;
}

/* What is set later for faults is told of those outside of domains, and of no others. */
TEST_F(domain, fault_handler)
{
	struct sigaction action = { .sa_handler = jump_back }, now;

	ASSERT_EQ(0, sigaction(SIGSEGV, &action, NULL));
	ASSERT_EQ(0, sigaction(SIGSEGV, NULL, &now));
	EXPECT_TRUE(now.sa_handler == jump_back);
	EXPECT_FAIL(EFAULT, "stage a was stopped", faasctl_domain_call(self->a, crash, NULL, NULL, &self->err));
	if (!sigsetjmp(back, 1)) {
		crash(NULL);
		ASSERT_EQ(0, 1);
	}
}

static long write_to_nobody(void *arg)
{
	int ends[2];

	if (pipe(ends) || close(ends[0]))
		return -1;
	return write(ends[1], "x", 1) < 0 && errno == EPIPE;
}

TEST_F(domain, nobody_reads)
{
	long result = 0;

	EXPECT_FAIL(EFAULT, variant->threads ? "it wrote to what nobody reads" : "signal 13",
		    faasctl_domain_call(self->a, write_to_nobody, NULL, NULL, &self->err));
	/* If the host does not want that signal, nobody gets it. */
	signal(SIGPIPE, SIG_IGN);
	EXPECT_OK(faasctl_domain_call(self->b, write_to_nobody, NULL, &result, &self->err));
	EXPECT_EQ(1, result);
}

/* Shared memory is asked for in messages: a signal in the middle is no end of them. */
static long interrupted(void *arg)
{
	struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { 0 };
	struct sigaction action = { .sa_handler = note };
	long i;

	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &often, NULL))
		return -1;
	for (i = 0; i < 3000 || atomic_load(&came) < 10; i++)
		faasctl_shared_free(faasctl_shared_alloc(10));
	setitimer(ITIMER_REAL, &never, NULL);
	return 4;
}

TEST_F(domain, interrupted)
{
	long result = 0;

	if (variant->threads)
		SKIP(return, "threads ask nobody");
	EXPECT_OK(faasctl_domain_call(self->a, interrupted, NULL, &result, &self->err));
	EXPECT_EQ(4, result);
}

/* What would be changed for all threads is not. */
static long change_users(void *arg)
{
	gid_t group = 0;
	long n = 0;

	errno = 0;
	n += setuid(0) == -1 && errno == EPERM;
	n += seteuid(0) == -1 && errno == EPERM;
	n += setreuid(0, 0) == -1 && errno == EPERM;
	n += setresuid(0, 0, 0) == -1 && errno == EPERM;
	n += setgid(0) == -1 && errno == EPERM;
	n += setegid(0) == -1 && errno == EPERM;
	n += setregid(0, 0) == -1 && errno == EPERM;
	n += setresgid(0, 0, 0) == -1 && errno == EPERM;
	n += setgroups(1, &group) == -1 && errno == EPERM;
	n += initgroups("root", 0) == -1 && errno == EPERM;
	return n;
}

TEST_F(domain, users)
{
	long result = 0;

	if (!variant->threads)
		SKIP(return, "a process has its own");
	EXPECT_OK(faasctl_domain_start(self->b, change_users, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(10, result);
	EXPECT_OK(faasctl_domain_call(self->a, change_users, NULL, &result, &self->err));
	EXPECT_EQ(10, result);
	/* Threads can be made, as before. */
	EXPECT_OK(faasctl_domain_start(self->b, change_users, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
}

/* ---------------------------------------------- what the C library keeps of a thread */

#define NO_NAME		"faasin_there_is_no_such_function"
#define NO_CODE		12345

/* Each leaves something; what comes next, whoever's, gives it back. Returns whether it did as ever. */
static bool keep_symbol(void) { return !dlsym(RTLD_DEFAULT, NO_NAME); }
static bool keep_told(void) { return keep_symbol() && strstr(dlerror(), NO_NAME); }
static bool keep_found(void) { return keep_symbol() && dlsym(RTLD_DEFAULT, "write"); }
static bool keep_refusal(void) { return !dlopen("/no/such/library.so", RTLD_NOW); }
static bool keep_error(void) { return strstr(strerror(NO_CODE), "12345"); }
static bool keep_local_error(void) { return strstr(strerror_l(NO_CODE, uselocale(0)), "12345"); }
static bool keep_signal(void) { return strstr(strsignal(NO_CODE), "12345"); }

static const struct keeping {
	const char *name;
	bool (*keep)(void);
} keepings[] = {
	{ "dlsym", keep_symbol }, { "dlerror", keep_told }, { "dlsym of what is there", keep_found },
	{ "dlopen", keep_refusal }, { "strerror", keep_error }, { "strerror_l", keep_local_error },
	{ "strsignal", keep_signal },
};

static long keep(void *arg)
{
	return keepings[(long)arg].keep();
}

static void use_all(bool *fine)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keepings); i++)
		*fine &= keepings[i].keep();
}

static long keep_all(void *arg)
{
	bool fine = true;

	use_all(&fine);
	return fine;
}

struct keeper {
	struct faasctl_domain *domain;
	long which, result;
};

static void *keep_and_free(void *arg)
{
	struct keeper *keeper = arg;

	if (faasctl_domain_call(keeper->domain, keep, (void *)keeper->which, &keeper->result, NULL) ||
	    faasctl_domain_free(keeper->domain, NULL))
		keeper->result = -1;
	return NULL;
}

/* It is in no other's way that the domain is gone: on this thread, or at the end of another. */
TEST_F(domain, kept)
{
	struct keeper keeper;
	pthread_t thread;
	long i, result;
	bool fine = true;

	for (i = 0; i < (long)ARRAY_SIZE(keepings); i++) {
		EXPECT_OK(faasctl_domain_call(self->a, keep, (void *)i, &result, &self->err));
		EXPECT_EQ(1, result)
			TH_LOG("%s", keepings[i].name);
		EXPECT_OK(faasctl_domain_call(self->b, keep_all, NULL, &result, &self->err));
		EXPECT_EQ(1, result);
		EXPECT_OK(faasctl_domain_call(self->a, keep, (void *)i, &result, &self->err));
		EXPECT_OK(faasctl_domain_free(self->a, &self->err));
		self->a = NULL;
		use_all(&fine);
		EXPECT_TRUE(fine);
		ASSERT_EQ(0, faasctl_domain_new("a", NULL, &keeper.domain, &self->err));
		keeper.which = i;
		ASSERT_EQ(0, pthread_create(&thread, NULL, keep_and_free, &keeper));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(1, keeper.result);
		ASSERT_EQ(0, faasctl_domain_new("a", NULL, &self->a, &self->err));
	}
}

/* ---------------------------------------------------------------- what is left as it was */

static long round_up(void *arg)
{
	fesetround(FE_UPWARD);
	__asm__ volatile("std");
	return 0;
}

static long round_up_and_crash(void *arg)
{
	fesetround(FE_UPWARD);
	return crash(NULL);
}

/* How is calculated is the thread's, which goes on to others. */
TEST_F(domain, arithmetic)
{
	unsigned long flags;

	EXPECT_OK(faasctl_domain_call(self->a, round_up, NULL, NULL, &self->err));
	__asm__ volatile("pushfq\n\tpop %0\n\tcld" : "=r"(flags));
	EXPECT_EQ(0, flags & 0x400);
	EXPECT_EQ(FE_TONEAREST, fegetround());
	EXPECT_FAIL(EFAULT, "stage a", faasctl_domain_call(self->a, round_up_and_crash, NULL, NULL, &self->err));
	EXPECT_EQ(FE_TONEAREST, fegetround());
}

/* ------------------------------------------------------------------ a host that is gone */

static long say_and_loop(void *arg)
{
	atomic_int *pid = arg;

	atomic_store(pid, getpid());
	for (;;)
		sched_yield();
	return 0;
}

/* A process does not go on when what it came from is gone, however that went. */
TEST_F(domain, host_is_killed)
{
	atomic_int *pid = faasctl_shared_alloc(sizeof(*pid));
	pid_t host;

	if (variant->threads)
		SKIP(return, "threads end with their process");
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	host = child();
	if (!host) {
		faasctl_domain_call(self->a, say_and_loop, pid, NULL, NULL);
		_exit(1);
	}
	while (!atomic_load(pid))
		sched_yield();
	child_kill(host, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(atomic_load(pid)));
}

TEST_HARNESS_MAIN
