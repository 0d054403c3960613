// SPDX-License-Identifier: GPL-2.0
/* Functions: what is loaded, what is refused, and that nothing of it harms others. */
#include <dlfcn.h>
#include <elf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/sendfile.h>

#include "domain_setup.h"

#define FUNCTIONS	"build/selftests/functions/"

FIXTURE(function)
{
	struct faasctl_function function;
	struct faasctl_domain *domain;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_SETUP(function)
{
	DOMAINS_SETUP(self, NULL);
	ASSERT_EQ(0, faasctl_domain_new("f", NULL, &self->domain, &self->err));
}

FIXTURE_TEARDOWN(function)
{
	EXPECT_EQ(0, faasctl_domain_free(self->domain, NULL));
	faasctl_function_unload(&self->function);
}

struct job {
	int (*main)(struct faas_io *io);
	struct faas_io io;
};

static long run(void *arg)
{
	struct job *job = arg;

	return job->main(&job->io);
}

static long run_nothing(void *arg)
{
	return 0;
}

TEST_F(function, runs)
{
	struct job *job = faasctl_shared_alloc(sizeof(*job));
	int in[2], out[2];
	long result = -1;

	ASSERT_EQ(0, faasctl_function_load(FUNCTIONS "upper.so", &self->function, &self->err))
		TH_LOG("%s", self->err.message);
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	*job = (struct job){ self->function.main, { .size = sizeof(job->io), .input = in[0],
		.output = out[1], .stage = "f", .workflow = "w" } };
	EXPECT_WRITE(in[1], "small letters");
	close(in[1]);
	EXPECT_OK(faasctl_domain_call(self->domain, run, job, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_READ(out[0], "SMALL LETTERS");
}

/* Whatever is printed gets out, whichever way a function ends. */
TEST_F(function, prints)
{
	char *argv[] = { "print.so", "3", NULL };
	struct job *job = faasctl_shared_alloc(sizeof(*job));
	int out[2], standard;
	long result = -1;

	ASSERT_EQ(0, faasctl_function_load(FUNCTIONS "print.so", &self->function, &self->err));
	*job = (struct job){ self->function.main, { .size = sizeof(job->io), .stage = "f" } };
	ASSERT_EQ(0, pipe(out));
	fflush(stdout);
	standard = dup(STDOUT_FILENO);
	dup2(out[1], STDOUT_FILENO);
	EXPECT_EQ(0, faasctl_domain_call(self->domain, run, job, NULL, &self->err));
	job->io.argc = 2;
	job->io.argv = argv;
	EXPECT_EQ(0, faasctl_domain_call(self->domain, run, job, &result, &self->err));
	/* Threads share it with us. */
	if (self->info.threads)
		fflush(stdout);
	dup2(standard, STDOUT_FILENO);
	EXPECT_EQ(3, result);
	EXPECT_READ(out[0], "printed by fprinted by f");
}

/* A thread that goes from one domain to another has the same data there, and it is nobody's. */
TEST_F(function, thread_data)
{
	struct job *job = faasctl_shared_alloc(sizeof(*job));
	struct faasctl_domain *other;
	long result = -1;

	ASSERT_EQ(0, faasctl_domain_call(self->domain, run_nothing, NULL, NULL, &self->err));
	ASSERT_EQ(0, faasctl_function_load(FUNCTIONS "thread_data.so", &self->function, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("g", NULL, &other, &self->err));
	*job = (struct job){ self->function.main, { .size = sizeof(job->io) } };
	if (!self->info.threads) {
		/* Its process was made before the function was loaded. */
		ASSERT_EQ(0, faasctl_domain_free(self->domain, &self->err));
		ASSERT_EQ(0, faasctl_domain_new("f", NULL, &self->domain, &self->err));
	}
	EXPECT_OK(faasctl_domain_call(self->domain, run, job, &result, &self->err));
	EXPECT_EQ(1, result);
	EXPECT_OK(faasctl_domain_call(other, run, job, &result, &self->err));
	EXPECT_EQ(self->info.threads ? 2 : 1, result);
	/* One of its own has its own. */
	EXPECT_EQ(0, faasctl_domain_start(self->domain, run, job, &self->err));
	EXPECT_OK(faasctl_domain_join(self->domain, &result, &self->err));
	EXPECT_EQ(self->info.threads ? 1 : 2, result);
	EXPECT_EQ(0, faasctl_domain_free(self->domain, NULL));
	self->domain = NULL;
	EXPECT_EQ(0, faasctl_domain_call(other, run, job, &result, &self->err));
	EXPECT_EQ(self->info.threads ? 3 : 2, result);
	EXPECT_EQ(0, faasctl_domain_free(other, NULL));
}

/* Whether a library can be loaded of which a function is nowhere to be found. */
static long load_lazily(void *arg)
{
	return dlopen(FUNCTIONS "undefined.so", RTLD_LAZY | RTLD_LOCAL) ||
	       dlmopen(LM_ID_BASE, FUNCTIONS "undefined.so", RTLD_LAZY | RTLD_LOCAL);
}

/* What binds functions at their first call may be gone in a process of a domain, too. */
TEST_F(function, binds_at_once)
{
	static const struct faasctl_domain_options hostile = { .isolation = FAASCTL_HOSTILE };
	struct faasctl_domain *other;
	long result = -1;

	ASSERT_EQ(0, faasctl_domain_new("g", &hostile, &other, &self->err));
	EXPECT_OK(faasctl_domain_call(other, load_lazily, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_EQ(0, faasctl_domain_free(other, NULL));
}

TEST_F(function, crashes)
{
	struct job *job = faasctl_shared_alloc(sizeof(*job));
	int out[2];

	ASSERT_EQ(0, faasctl_function_load(FUNCTIONS "crash.so", &self->function, &self->err));
	ASSERT_EQ(0, pipe(out));
	*job = (struct job){ self->function.main, { .size = sizeof(job->io), .output = out[1] } };
	EXPECT_EQ(-EFAULT, faasctl_domain_call(self->domain, run, job, NULL, &self->err));
	EXPECT_READ(out[0], "begun");
}

/* @name cannot be loaded, and @text says why. */
#define EXPECT_REFUSED(code, name, text)					\
do {										\
	EXPECT_EQ(-(code), faasctl_function_load(name, &self->function, &self->err));	\
	EXPECT_NE(NULL, strstr(self->err.message, text))			\
		TH_LOG("it said: %s", self->err.message);			\
	EXPECT_EQ(NULL, self->function.handle);					\
} while (0)

TEST_F(function, refusals)
{
	EXPECT_REFUSED(ENOEXEC, FUNCTIONS "key_write.so", "key_write.so cannot share a process: wrpkru at byte ");
	EXPECT_REFUSED(EFAULT, FUNCTIONS "crash_constructor.so", "a constructor crashed: Segmentation fault");
	EXPECT_REFUSED(EFAULT, FUNCTIONS "exit_constructor.so", "a constructor ended the process with status 5");
	EXPECT_REFUSED(EINVAL, "upper.so", "say where it is: ./upper.so");
	EXPECT_REFUSED(ENOEXEC, FUNCTIONS "no_main.so", "has no function faas_main");
	EXPECT_REFUSED(ELIBBAD, FUNCTIONS "undefined.so", "what_nobody_has");
	EXPECT_REFUSED(ENOENT, FUNCTIONS "none.so", "No such file");
	EXPECT_REFUSED(ENOEXEC, "selftests/tests", "is no ELF file");
}

/* If it was loaded here, it would end the test with success. */
TEST_F(function, good_end)
{
	pid_t pid = child();

	if (!pid) {
		if (faasctl_function_load(FUNCTIONS "exit0_constructor.so", &self->function, &self->err) == -EFAULT &&
		    strstr(self->err.message, "a constructor ended the process with status 0"))
			_exit(9);
		_exit(1);
	}
	EXPECT_EQ(9, child_end(pid));
}

/* A copy of a function that is changed. */
static int copy(int out, off_t size, off_t at, uint16_t value)
{
	char bytes[65536];
	int in = open(FUNCTIONS "upper.so", O_RDONLY);
	ssize_t n = read(in, bytes, sizeof(bytes));

	if (n <= 0 || ftruncate(out, 0) || pwrite(out, bytes, n, 0) != n || (size && ftruncate(out, size)) ||
	    (at && pwrite(out, &value, sizeof(value), at) != sizeof(value)))
		return -1;
	close(in);
	return 0;
}

TEST_F(function, bad_files)
{
	char path[] = "/tmp/faasin-XXXXXX";
	int fd = mkstemp(path);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, copy(fd, 4096 + 100, 0, 0));
	EXPECT_REFUSED(ENOEXEC, path, "is cut short");
	ASSERT_EQ(0, copy(fd, 0, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64));
	EXPECT_REFUSED(ENOEXEC, path, "is for another machine");
	ASSERT_EQ(0, copy(fd, 0, 0, 0));
	EXPECT_OK(faasctl_function_load(path, &self->function, &self->err));
	close(fd);
	unlink(path);
}

/* ------------------------------------------------------- what was loaded before domains */

struct before {
	struct faasctl_domain *domain;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

/* Which functions it calls is looked for when it does, unless that was done before. */
TEST(bound_late)
{
	struct before before, *self = &before;
	struct job *job;
	int in[2], out[2];
	long result = -1;
	void *handle;

	handle = dlopen(FUNCTIONS "upper.so", RTLD_LAZY | RTLD_LOCAL);
	ASSERT_NE(NULL, handle);
	DOMAINS_SETUP(self, NULL);
	EXPECT_EQ(0, self->info.left);
	if (self->info.threads)
		EXPECT_LT(0, self->info.disarmed);
	ASSERT_EQ(0, faasctl_domain_new("f", NULL, &self->domain, &self->err));
	job = faasctl_shared_alloc(sizeof(*job));
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	*job = (struct job){ (int (*)(struct faas_io *))dlsym(handle, "faas_main"),
		{ .size = sizeof(job->io), .input = in[0], .output = out[1], .stage = "f" } };
	EXPECT_WRITE(in[1], "small letters");
	close(in[1]);
	EXPECT_OK(faasctl_domain_call(self->domain, run, job, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_READ(out[0], "SMALL LETTERS");
	EXPECT_EQ(0, faasctl_domain_free(self->domain, NULL));
}

/* It would be found out when it is called. */
TEST(cannot_be_bound)
{
	static const struct faasctl_domains_options lazy = { .flags = FAASCTL_DOMAINS_LAZY };
	struct before before, *self = &before;
	void *handle = dlopen(FUNCTIONS "undefined.so", RTLD_LAZY | RTLD_LOCAL);

	if (!handle)
		SKIP(return, "this was started with LD_BIND_NOW");
	memset(self, 0, sizeof(*self));
	if (!faasctl_domains_begin(NULL, &self->err)) {
		faasctl_domains_info(&self->info);
		NEED_KEYS(self);
		EXPECT_EQ(0, self->info.threads);
		return;
	}
	EXPECT_EQ(ENOEXEC, self->err.code);
	EXPECT_NE(NULL, strstr(self->err.message, "functions of this process cannot be bound before they are called: "))
		TH_LOG("it said: %s", self->err.message);
	EXPECT_NE(NULL, strstr(self->err.message, "undefined symbol: what_nobody_has"))
		TH_LOG("it said: %s", self->err.message);
	/* All is as it was: it can be tried again, without what it was. */
	EXPECT_OK(faasctl_domains_begin(&lazy, &self->err));
	faasctl_domains_info(&self->info);
	EXPECT_LT(0, self->info.left);
}

/* Where the loader's last mapping ends. */
static uintptr_t loader_end(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uintptr_t end = 0, to;
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "/ld-linux") && sscanf(line, "%*x-%lx", &to) == 1)
			end = to;
	if (f)
		fclose(f);
	return end;
}

/* They fail when the loader's way to bind late is a trap already: it must not be needed any more. */
TEST(begin_fails)
{
	struct before before, *self = &before;
	uintptr_t at = loader_end() + (16 << 20);
	struct job job;
	int in[2], out[2];
	uint8_t *page;
	void *handle;

	memset(self, 0, sizeof(*self));
	/* Behind the loader, so that this is what is found last. */
	page = mmap((void *)at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ASSERT_EQ((void *)at, page);
	put_key_write(page);
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_EXEC));
	if (!faasctl_domains_begin(NULL, &self->err)) {
		faasctl_domains_info(&self->info);
		NEED_KEYS(self);
		EXPECT_EQ(0, self->info.threads);
		return;
	}
	EXPECT_EQ(ENOEXEC, self->err.code);
	EXPECT_NE(NULL, strstr(self->err.message, "code of this process could undo protection keys: wrpkru at 0x"))
		TH_LOG("it said: %s", self->err.message);
	handle = dlopen(FUNCTIONS "upper.so", RTLD_LAZY | RTLD_LOCAL);
	ASSERT_NE(NULL, handle);
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	job = (struct job){ (int (*)(struct faas_io *))dlsym(handle, "faas_main"),
		{ .size = sizeof(job.io), .input = in[0], .output = out[1], .stage = "f" } };
	EXPECT_WRITE(in[1], "small letters");
	close(in[1]);
	EXPECT_EQ(0, run(&job));
	EXPECT_READ(out[0], "SMALL LETTERS");
	ASSERT_EQ(0, munmap(page, PAGE));
	DOMAINS_SETUP(self, NULL);
	EXPECT_EQ(1, self->info.threads);
	ASSERT_EQ(0, faasctl_domain_new("f", NULL, &self->domain, &self->err));
	EXPECT_OK(faasctl_domain_call(self->domain, run_nothing, NULL, NULL, &self->err));
	EXPECT_OK(faasctl_domain_free(self->domain, &self->err));
}

/* ------------------------------------------------------- what the host gets afterwards */

/* A domain that is a thread, and one that was left already. */
FIXTURE(later)
{
	struct faasctl_domain *domain, *other;
	struct faasctl_function function;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_SETUP(later)
{
	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	ASSERT_EQ(0, faasctl_domain_new("f", NULL, &self->domain, &self->err));
	EXPECT_OK(faasctl_domain_call(self->domain, run_nothing, NULL, NULL, &self->err));
}

FIXTURE_TEARDOWN(later)
{
	EXPECT_EQ(0, faasctl_domain_free(self->domain, NULL));
}

/* Nobody goes in, and none is made. */
#define EXPECT_CLOSED(why)									\
do {												\
	EXPECT_FAIL(ENOEXEC, why, faasctl_domain_call(self->domain, run_nothing, NULL, NULL, &self->err));	\
	EXPECT_FAIL(ENOEXEC, why, faasctl_domain_start(self->domain, run_nothing, NULL, &self->err));	\
	EXPECT_FAIL(ENOEXEC, why, faasctl_domain_new("g", NULL, &self->other, &self->err));	\
	EXPECT_EQ(NULL, self->other);								\
} while (0)

#define EXPECT_OPEN()										\
do {												\
	EXPECT_OK(faasctl_domain_call(self->domain, run_nothing, NULL, NULL, &self->err));	\
	EXPECT_OK(faasctl_domain_start(self->domain, run_nothing, NULL, &self->err));		\
	EXPECT_OK(faasctl_domain_join(self->domain, NULL, &self->err));				\
	EXPECT_OK(faasctl_domain_new("g", NULL, &self->other, &self->err));			\
	EXPECT_OK(faasctl_domain_free(self->other, &self->err));				\
} while (0)

TEST_F(later, library)
{
	void *handle = dlopen(FUNCTIONS "key_write.so", RTLD_NOW | RTLD_LOCAL);

	ASSERT_NE(NULL, handle);
	EXPECT_CLOSED("key_write.so (byte ");
	EXPECT_EQ(0, dlclose(handle));
	EXPECT_OPEN();
	handle = dlopen(FUNCTIONS "upper.so", RTLD_NOW | RTLD_LOCAL);
	ASSERT_NE(NULL, handle);
	EXPECT_OPEN();
	EXPECT_EQ(0, dlclose(handle));
}

/* How far another thread is that loads something, and then what it is to do. */
static atomic_int loaded, unload;

static void *load(void *arg)
{
	void *handle = dlopen(arg, RTLD_NOW | RTLD_LOCAL);

	atomic_store(&loaded, handle ? 1 : -1);
	while (!atomic_load(&unload))
		sched_yield();
	return handle && dlclose(handle) ? arg : NULL;
}

/* Who looks while another thread's library is not there yet finds it when it is. */
TEST_F(later, library_meanwhile)
{
	int file = open(FUNCTIONS "key_write.so", O_RDONLY), fd;
	char path[] = "/tmp/faasin-XXXXXX";
	struct stat stat;
	pthread_t thread;
	sigset_t signals;
	void *ret;

	fd = mkstemp(path);
	ASSERT_EQ(0, fstat(file, &stat));
	ASSERT_EQ(stat.st_size, sendfile(fd, file, NULL, stat.st_size));
	sigemptyset(&signals);
	sigaddset(&signals, SIGIO);
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &signals, NULL));
	/* Who opens it waits until this is given up. */
	ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_WRLCK));
	ASSERT_EQ(0, pthread_create(&thread, NULL, load, path));
	ASSERT_EQ(SIGIO, sigwaitinfo(&signals, NULL));
	/* No thread: to make one waits for who loads. */
	EXPECT_OK(faasctl_domain_call(self->domain, run_nothing, NULL, NULL, &self->err));
	EXPECT_EQ(0, atomic_load(&loaded));
	ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_UNLCK));
	while (!atomic_load(&loaded))
		sched_yield();
	EXPECT_EQ(1, atomic_load(&loaded));
	EXPECT_CLOSED(path);
	atomic_store(&unload, 1);
	EXPECT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_OPEN();
	close(file);
	close(fd);
	unlink(path);
}

/* As libc loads what it needs by itself: no call of the library's tells. */
TEST_F(later, library_by_libc)
{
	typeof(dlopen) *load = (typeof(dlopen) *)dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "dlopen");
	void *handle;

	ASSERT_NE(NULL, load);
	ASSERT_NE((void *)dlopen, (void *)load);
	EXPECT_OPEN();
	handle = load(FUNCTIONS "key_write.so", RTLD_NOW | RTLD_LOCAL);
	ASSERT_NE(NULL, handle);
	EXPECT_FAIL(ENOEXEC, "key_write.so (byte ", faasctl_domain_new("g", NULL, &self->other, &self->err));
	EXPECT_CLOSED("key_write.so (byte ");
	EXPECT_EQ(0, dlclose(handle));
	EXPECT_OPEN();
}

/* Of a function, by its constructor: it stays when that is gone. */
TEST_F(later, library_of_a_function)
{
	EXPECT_REFUSED(ENOEXEC, FUNCTIONS "brings_key_write.so", "key_write.so (byte ");
	EXPECT_CLOSED("key_write.so (byte ");
}

TEST_F(later, mapping)
{
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	put_key_write(page + PAGE - 3);
	EXPECT_OPEN();
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_CLOSED("code of this process could undo protection keys: wrpkru at 0x");
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_OPEN();
	ASSERT_EQ(0, pkey_mprotect(page, PAGE, PROT_READ | PROT_EXEC, 0));
	EXPECT_CLOSED("code of this process could undo protection keys: wrpkru at 0x");
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_OPEN();
	/* It goes as far as there is memory. */
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	ASSERT_EQ(-1, mprotect(page, 2 * PAGE, PROT_READ | PROT_EXEC));
	EXPECT_CLOSED("code of this process could undo protection keys: wrpkru at 0x");
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	memset(page, 0xc3, PAGE);
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_OPEN();
	ASSERT_EQ(0, munmap(page, PAGE));
	/* Whatever is in there could be changed. */
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	EXPECT_CLOSED("code of this process could undo protection keys: writable-code at 0x");
	ASSERT_EQ(0, munmap(page, PAGE));
	EXPECT_OPEN();
}

/* Goes in, and is to end as soon as something waits. */
static void *call_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	return (void *)(long)faasctl_domain_call(arg, run_nothing, NULL, NULL, NULL);
}

/* A thread that is to end does so when it has looked, and not with what others need for that. */
TEST_F(later, cancelled)
{
	pthread_t thread;
	void *page, *ret;

	page = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, pthread_create(&thread, NULL, call_cancelled, self->domain));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_OPEN();
	ASSERT_EQ(0, munmap(page, PAGE));
}

TEST_HARNESS_MAIN
