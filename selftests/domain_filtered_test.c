// SPDX-License-Identifier: GPL-2.0
/*
 * Domains with a filter: what functions do as before, what they hear where they cannot, and how they
 * end. domain_filter_test and domain_filter_process_test have the attacks, domain_signal_test the
 * signals that are sent to them, domain_filter_host_test what hosts have to do with it.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "domain_run.h"

FIXTURE(filtered)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
	int *ends;
};

FIXTURE_VARIANT(filtered)
{
	struct faasctl_domains_options options;
	bool threads;
};

/* One key for all, so that keys move all the time. */
FIXTURE_VARIANT_ADD(filtered, threads) { .options = { .keys = 1 }, .threads = true };
FIXTURE_VARIANT_ADD(filtered, processes) { .options = { .flags = FAASCTL_DOMAINS_PROCESSES } };

FIXTURE_SETUP(filtered)
{
	DOMAINS_SETUP(self, &variant->options);
	if (variant->threads)
		NEED_KEYS(self);
	if (!self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	ASSERT_EQ(0, faasctl_domain_new("a", &filtered, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", &filtered, &self->b, &self->err));
	EXPECT_EQ(variant->threads, faasctl_domain_is_thread(self->a));
	self->ends = faasctl_shared_alloc(4 * sizeof(*self->ends));
	ASSERT_EQ(0, pipe(self->ends));
	ASSERT_EQ(0, pipe(self->ends + 2));
}

FIXTURE_TEARDOWN(filtered)
{
	TWO_DOMAINS_TEARDOWN(self);
}

/* ------------------------------------------------------------------- what goes on */

/* So many that the allocator needs more for what it knows of them. */
static long allocate(void *arg)
{
	static const int many = 8000;
	char **all = malloc(many * sizeof(*all));
	int i, k;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < many; i++) {
			all[i] = malloc(16000 + i % 7 * 4096);
			if (!all[i])
				return i + 1;
			*all[i] = i;
		}
		for (i = 0; i < many; i++)
			if (*all[i] != (char)i)
				return -1;
		for (i = 0; i < many; i++)
			free(all[i]);
	}
	free(all);
	all = NULL;
	/* What is too large to be kept is given back at once. */
	for (i = 0; i < 20; i++) {
		char *large = malloc(20 << 20);

		memset(large, 1, 20 << 20);
		free(large);
	}
	return 0;
}

/* Whatever the allocator has to say it prints. */
TEST_F(filtered, allocator)
{
	int said = memfd_create("said", 0), error = dup(2);
	char text[1000] = "";

	fflush(NULL);
	dup2(said, 2);
	EXPECT_EQ(0, run(self->a, allocate, NULL, &self->err))
		TH_LOG("%s", self->err.message);
	fflush(NULL);
	dup2(error, 2);
	EXPECT_EQ(0, pread(said, text, sizeof(text) - 1, 0))
		TH_LOG("%s", text);
}

static long use_memory(void *arg)
{
	char *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;
	int fd = memfd_create("file", 0);
	char *file;

	if (at == MAP_FAILED || munmap(at + 6 * PAGE, 2 * PAGE))
		return 1;
	memset(at, 1, 6 * PAGE);
	if (mprotect(at, PAGE, PROT_READ) || madvise(at + PAGE, PAGE, MADV_DONTNEED) || at[PAGE])
		return 2;
	if (mremap(at + 2 * PAGE, 4 * PAGE, 5 * PAGE, 0) != at + 2 * PAGE || at[6 * PAGE])
		return 3;
	moved = mremap(at + 2 * PAGE, 5 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED || moved[0] != 1 || moved[8 * PAGE])
		return 4;
	if (ftruncate(fd, PAGE))
		return 5;
	file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return 6;
	file[0] = 'f';
	/* Its key has moved twice when it goes on. */
	usleep(20000);
	if (file[0] != 'f' || moved[0] != 1 || at[0] != 1)
		return 7;
	return munmap(file, PAGE) || munmap(moved, 9 * PAGE) || munmap(at, 8 * PAGE) || close(fd) ? 8 : 0;
}

TEST_F(filtered, memory)
{
	EXPECT_EQ(0, run(self->a, use_memory, NULL, &self->err))
		TH_LOG("%s", self->err.message);
}

static long use_files(void *arg)
{
	struct timeval moment = { .tv_usec = 1 };
	struct timespec instant = { .tv_nsec = 1 };
	struct timespec now;
	struct pollfd none;
	char text[100];
	FILE *f;

	f = fopen("/etc/passwd", "r");
	if (!f || !fgets(text, sizeof(text), f) || fclose(f))
		return 1;
	f = tmpfile();
	if (!f || fprintf(f, "%d words", 3) < 0 || fseek(f, 0, SEEK_SET) || !fgets(text, sizeof(text), f) ||
	    strcmp(text, "3 words") || fclose(f))
		return 2;
	if (clock_gettime(CLOCK_MONOTONIC, &now) || poll(&none, 0, 1) || usleep(1000) || time(NULL) < 1000)
		return 3;
	/* To another directory, too. */
	if (mkdir("/tmp/from", 0700) || mkdir("/tmp/to", 0700) || close(open("/tmp/from/f", O_CREAT | O_WRONLY, 0600)) ||
	    link("/tmp/from/f", "/tmp/to/g") || unlink("/tmp/to/g") ||
	    rename("/tmp/from/f", "/tmp/to/f") || unlink("/tmp/to/f") || rmdir("/tmp/from") || rmdir("/tmp/to"))
		return 5;
	if (select(0, NULL, NULL, NULL, &moment) || pselect(0, NULL, NULL, NULL, &instant, NULL))
		return 6;
	if (!getenv("PATH") || prctl(PR_SET_NAME, "named") || chdir("/tmp"))
		return 4;
	return 0;
}

TEST_F(filtered, files)
{
	char was[200] = "", is[200] = "";

	ASSERT_NE(NULL, getcwd(was, sizeof(was)));
	EXPECT_EQ(0, run(self->a, use_files, NULL, &self->err))
		TH_LOG("%s", self->err.message);
	/* That was its own. */
	ASSERT_NE(NULL, getcwd(is, sizeof(is)));
	EXPECT_STREQ(was, is);
}

/* Hands a byte on, as often as it is handed one. */
static long play(void *arg)
{
	int *ends = arg;
	char c, *kept = malloc(100), *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	strcpy(kept, "kept");
	strcpy(mapped, "kept");
	for (i = 0; i < 50; i++) {
		if (read(ends[0], &c, 1) != 1 || write(ends[3], &c, 1) != 1)
			return 1;
		if (strcmp(kept, "kept") || strcmp(mapped, "kept"))
			return 2;
	}
	return 0;
}

/* Two of them, and one key: it is another thread that moves it. */
TEST_F(filtered, turns)
{
	int *back = faasctl_shared_alloc(4 * sizeof(int));
	long result = -1;

	memcpy(back, self->ends + 2, 2 * sizeof(int));
	memcpy(back + 2, self->ends, 2 * sizeof(int));
	EXPECT_OK(faasctl_domain_start(self->a, play, self->ends, &self->err));
	EXPECT_OK(faasctl_domain_start(self->b, play, back, &self->err));
	ASSERT_EQ(1, write(self->ends[1], "x", 1));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(0, result);
	faasctl_domains_info(&self->info);
	if (variant->threads)
		EXPECT_LT(50, self->info.evictions);
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int c, n = 0;

	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static long nothing(void *arg)
{
	return 0;
}

static long map_odd(void *arg)
{
	return mmap(NULL, PAGE, PROT_READ | 8 /* PROT_SEM */, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

/* The one key goes from a domain without a filter to one with it. */
TEST_F(filtered, takes_key)
{
	struct faasctl_domain *c;

	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &c, &self->err));
	EXPECT_EQ(0, run(c, map_odd, NULL, &self->err))
		TH_LOG("%s", self->err.message);
	EXPECT_EQ(0, run(self->a, nothing, NULL, &self->err))
		TH_LOG("%s", self->err.message);
	EXPECT_OK(faasctl_domain_free(c, &self->err));
}

/* Nothing is left of each. */
TEST_F(filtered, again)
{
	int i, n = 0;

	for (i = 0; i < 30; i++) {
		EXPECT_EQ(0, run(self->a, nothing, NULL, &self->err))
			TH_LOG("%s", self->err.message);
		if (i == 5)
			n = count_maps();
	}
	EXPECT_GE(n + 3, count_maps());
}

/* ------------------------------------------------------------------- what it hears */

static long try_program(void *arg)
{
	char *argv[] = { "true", NULL };
	pid_t pid;

	return posix_spawn(&pid, "/bin/true", NULL, NULL, argv, NULL);
}

static long try_popen(void *arg) { return popen("true", "r") ? 0 : errno; }
static long try_fork(void *arg) { return fork() < 0 ? errno : 0; }
static long try_vfork(void *arg) { return syscall(SYS_vfork) < 0 ? errno : 0; }
static long try_exec(void *arg) { return execl("/bin/true", "true", NULL) < 0 ? errno : 0; }
static long try_kill(void *arg) { return kill(getppid(), 0) ? errno : 0; }
static long try_wait(void *arg) { return waitpid(-1, NULL, WNOHANG) < 0 ? errno : 0; }
static long try_mask(void *arg) { return pselect(0, NULL, NULL, NULL, NULL, &(sigset_t){ 0 }) ? errno : 0; }
static long try_raise(void *arg) { return raise(SIGUSR1) ? errno : 0; }

static const struct {
	const char *name;
	long (*fn)(void *arg);
	int code;
	bool threads;	/* a process may */
} tries[] = {
	{ "posix_spawn", try_program, EPERM, false }, { "popen", try_popen, EPERM, false },
	{ "fork", try_fork, EPERM, false }, { "vfork", try_vfork, EPERM, false },
	{ "exec", try_exec, EPERM, false }, { "kill", try_kill, EPERM, false },
	{ "wait", try_wait, EPERM, true }, { "raise", try_raise, EPERM, true },
	{ "mask", try_mask, EPERM, true },
};

TEST_F(filtered, errors)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		if (tries[i].threads && !variant->threads)
			continue;
		EXPECT_EQ(tries[i].code, run(self->a, tries[i].fn, self, &self->err))
			TH_LOG("%s: %s", tries[i].name, self->err.message);
	}
}

/* Of the process that it came from, if it is one. */
static long open_memory(void *arg)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%ld/mem", (long)arg);
	return open(path, O_RDONLY) >= 0 ? 0 : errno;
}

TEST_F(filtered, proc)
{
	long code = run(self->a, open_memory, (void *)(long)getpid(), &self->err);

	EXPECT_TRUE(code == ENOENT || code == EACCES)
		TH_LOG("%ld", code);
	EXPECT_EQ(0, open_memory((void *)(long)getpid()));
}

/* Descriptors: what a has come to have, and what it closes, is nobody else's affair. */
static long have_more(void *arg)
{
	int *ends = arg, fd = open("/dev/null", O_RDONLY);

	close(ends[2]);
	close(ends[3]);
	if (write(ends[1], &fd, sizeof(fd)) != sizeof(fd))
		return -1;
	/* Until it is told. */
	return read(ends[0], &fd, 1) < 0;
}

static long is_open(void *arg)
{
	return fcntl((int)(long)arg, F_GETFD) >= 0;
}

TEST_F(filtered, descriptors)
{
	int there[2], fd = -1;
	long result = -1;

	ASSERT_EQ(0, pipe(there));
	EXPECT_OK(faasctl_domain_start(self->a, have_more,
				       memcpy(faasctl_shared_alloc(16), (int[]){ self->ends[0], there[1],
					      self->ends[2], self->ends[3] }, 16), &self->err));
	ASSERT_EQ(sizeof(fd), read(there[0], &fd, sizeof(fd)));
	ASSERT_LE(0, fd);
	/* As a process, each has others of its own by that number. */
	if (variant->threads)
		EXPECT_FALSE(is_open((void *)(long)fd));
	if (variant->threads)
		EXPECT_EQ(0, run(self->b, is_open, (void *)(long)fd, &self->err));
	EXPECT_EQ(1, run(self->b, is_open, (void *)(long)self->ends[2], &self->err));
	EXPECT_TRUE(is_open((void *)(long)self->ends[3]));
	ASSERT_EQ(1, write(self->ends[1], "x", 1));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
}

static long open_one(void *arg)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Without a filter they are the process's. */
TEST_F(filtered, descriptors_of_all)
{
	struct faasctl_domain *c;
	long fd;

	if (!variant->threads)
		SKIP(return, "a process has its own");
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &c, &self->err));
	fd = run(c, open_one, NULL, &self->err);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(is_open((void *)fd));
	EXPECT_EQ(1, run(self->b, is_open, (void *)fd, &self->err));
	EXPECT_OK(faasctl_domain_free(c, &self->err));
}

/* ------------------------------------------------------------------- how it ends */

static long crash(void *arg)
{
	return *(volatile char *)arg;
}

static long come_to_breakpoint(void *arg)
{
	__asm__ volatile("int3");
	return 0;
}

static long call_abort(void *arg)
{
	abort();
}

static long call_exit(void *arg)
{
	exit((long)arg);
}

static long end_thread(void *arg)
{
	syscall(SYS_exit, 0);
	return 0;
}

static long write_to_nobody(void *arg)
{
	int *ends = arg;

	return write(ends[1], "x", 1) < 0 && errno == EPIPE;
}

TEST_F(filtered, crashes)
{
	EXPECT_FAIL(EFAULT, "stage a was stopped: ", (int)run(self->a, crash, (void *)8, &self->err));
	EXPECT_EQ(SIGSEGV, faasctl_domain_signal(self->a));
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
}

TEST_F(filtered, breaks)
{
	EXPECT_FAIL(EFAULT, "stage a was stopped: ", (int)run(self->a, come_to_breakpoint, NULL, &self->err));
	EXPECT_EQ(SIGTRAP, faasctl_domain_signal(self->a));
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
}

TEST_F(filtered, aborts)
{
	EXPECT_FAIL(EFAULT, "stage a was stopped: ", (int)run(self->a, call_abort, NULL, &self->err));
	EXPECT_EQ(SIGABRT, faasctl_domain_signal(self->a));
	EXPECT_EQ(5, run(self->b, call_exit, (void *)5, &self->err));
}

TEST_F(filtered, broken_pipe)
{
	close(self->ends[0]);
	EXPECT_FAIL(EFAULT, "stage a was stopped: ", (int)run(self->a, write_to_nobody, self->ends, &self->err));
	EXPECT_EQ(SIGPIPE, faasctl_domain_signal(self->a));
	signal(SIGPIPE, SIG_IGN);
	EXPECT_EQ(1, run(self->b, write_to_nobody, self->ends, &self->err))
		TH_LOG("%s", self->err.message);
}

/* A thread that ends itself was not done, and its domain can be freed. */
TEST_F(filtered, ends_thread)
{
	EXPECT_FAIL(EFAULT, variant->threads ? "stage a was stopped: its thread was ended by a system call" :
		    "stage a was stopped: its process ended with status 0",
		    (int)run(self->a, end_thread, NULL, &self->err));
	EXPECT_FAIL(EFAULT, "stage a was stopped: ", faasctl_domain_start(self->a, nothing, NULL, &self->err));
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
}

static void *use_allocator(void *arg)
{
	free(malloc(1000));
	return NULL;
}

/* Others' data of the allocator is linked with that of a thread that ended so. */
TEST_F(filtered, ends_threads)
{
	struct faasctl_domain *domain;
	pthread_t thread;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, faasctl_domain_new("c", &filtered, &domain, &self->err));
		EXPECT_EQ(-EFAULT, run(domain, end_thread, NULL, &self->err));
		EXPECT_OK(faasctl_domain_free(domain, &self->err));
		EXPECT_FAIL(EINVAL, "stage c is no domain any more", faasctl_domain_free(domain, &self->err));
		EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
		ASSERT_EQ(0, pthread_create(&thread, NULL, use_allocator, NULL));
		ASSERT_EQ(0, pthread_join(thread, NULL));
	}
}

/* A thread that is somebody else's has no filter, whether it was there before or not. */
TEST_F(filtered, called)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (variant->threads)
			EXPECT_FAIL(EPERM, "stage a is to have a filter, which this thread has not: start it",
				    faasctl_domain_call(self->a, nothing, NULL, NULL, &self->err));
		else
			EXPECT_OK(faasctl_domain_call(self->a, nothing, NULL, NULL, &self->err));
		EXPECT_EQ(0, run(self->a, nothing, NULL, &self->err));
	}
}

TEST_HARNESS_MAIN
