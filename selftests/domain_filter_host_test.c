// SPDX-License-Identifier: GPL-2.0
/*
 * Domains with a filter, and their host: what is not found of what it has open, what it has to have
 * for a filter, and what becomes of those that cannot have one.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "domain_run.h"

static long nothing(void *arg)
{
	return 0;
}

static long crash(void *arg)
{
	return *(volatile char *)arg;
}

/* ------------------------------------------------------------------- what it finds of others */

struct ours {
	struct faasctl_domain *a, *b, *c;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

#define EACH_DESCRIPTOR(fd)	for (int fd = 3; fd < 64; fd++)

/* a has a filter, c has none. */
#define OURS_SETUP(self)								\
do {											\
	DOMAINS_SETUP(self, (&(struct faasctl_domains_options){ .keys = 4 }));		\
	NEED_KEYS(self);								\
	if (!(self)->info.filters)							\
		SKIP(return, "%s", (self)->info.unfiltered);				\
	ASSERT_EQ(0, faasctl_domain_new("a", &filtered, &(self)->a, &(self)->err));	\
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &(self)->c, &(self)->err));		\
} while (0)

#define SECRET	"a secret of an input"

static long find_secret(void *arg)
{
	char text[sizeof(SECRET)];

	EACH_DESCRIPTOR(fd)
		if (pread(fd, text, sizeof(text), 0) == sizeof(text) && !strcmp(text, SECRET))
			return 1;
	return 0;
}

/* An input is for whom it was given to, and for reading. */
TEST(inputs)
{
	struct ours ours, *self = &ours;
	struct faasctl_input *input;
	char path[40], target[80];
	int again, found = 0;

	OURS_SETUP(self);
	ASSERT_EQ(0, faasctl_input_new(PAGE, &input, &self->err));
	strcpy(faasctl_input_data(input), SECRET);
	EXPECT_EQ(0, run(self->a, find_secret, NULL, &self->err));
	EXPECT_EQ(1, run(self->c, find_secret, NULL, &self->err));
	/* By its descriptor in /proc, that is opened anew. */
	EACH_DESCRIPTOR(fd) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		memset(target, 0, sizeof(target));
		if (readlink(path, target, sizeof(target) - 1) < 0 || !strstr(target, "faasin-input"))
			continue;
		found++;
		again = open(path, O_RDWR);
		ASSERT_LE(0, again);
		EXPECT_EQ(-1, pwrite(again, "x", 1, 0));
		EXPECT_EQ(EPERM, errno);
		EXPECT_EQ(-1, ftruncate(again, 0));
		EXPECT_EQ(EPERM, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, again, 0));
		close(again);
	}
	EXPECT_EQ(1, found);
	EXPECT_STREQ(SECRET, (char *)faasctl_input_data(input));
	EXPECT_OK(faasctl_input_free(input, &self->err));
}

static long count_sockets(void *arg)
{
	struct stat file;
	long n = 0;

	EACH_DESCRIPTOR(fd)
		n += !fstat(fd, &file) && S_ISSOCK(file.st_mode);
	return n;
}

static atomic_int are_made;

static void *make_processes(void *arg)
{
	struct faasctl_domain_options options = { .isolation = FAASCTL_HOSTILE };
	struct faasctl_domain *domain;
	struct faasctl_error err;
	int i;

	/* By turns they end by themselves, and when they are freed. */
	for (i = 0; i < 20; i++) {
		if (faasctl_domain_new("h", &options, &domain, &err) ||
		    faasctl_domain_call(domain, i % 2 ? crash : nothing, (void *)8, NULL, &err) != (i % 2 ? -EFAULT : 0) ||
		    faasctl_domain_free(domain, &err))
			break;
	}
	atomic_store(&are_made, 1);
	return (void *)(long)i;
}

/* What processes are spoken to by is not there, of those that are being made neither. */
TEST(sockets_of_processes)
{
	struct faasctl_domain_options options = { .isolation = FAASCTL_HOSTILE };
	struct ours ours, *self = &ours;
	pthread_t thread;
	void *made;

	OURS_SETUP(self);
	ASSERT_EQ(0, faasctl_domain_new("b", &options, &self->b, &self->err));
	EXPECT_EQ(0, run(self->b, nothing, NULL, &self->err));
	EXPECT_LT(0, run(self->c, count_sockets, NULL, &self->err));
	EXPECT_EQ(0, run(self->a, count_sockets, NULL, &self->err));
	ASSERT_EQ(0, pthread_create(&thread, NULL, make_processes, NULL));
	while (!atomic_load(&are_made))
		ASSERT_EQ(0, run(self->a, count_sockets, NULL, &self->err));
	pthread_join(thread, &made);
	EXPECT_EQ(20, (long)made);
	EXPECT_OK(faasctl_domain_free(self->b, &self->err));
}

/* What a handler may want to know; others have time to get in its way. */
static void look_when_forking(void)
{
	struct faasctl_domains_info info;

	usleep(2000);
	faasctl_domains_info(&info);
}

/* Nobody who has a lock that handlers of fork() want waits for the end of these. */
TEST(handlers_of_fork)
{
	struct ours ours, *self = &ours;
	pthread_t threads[2];
	void *made;

	OURS_SETUP(self);
	ASSERT_EQ(0, pthread_atfork(look_when_forking, NULL, NULL));
	ASSERT_EQ(0, pthread_create(&threads[0], NULL, make_processes, NULL));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, make_processes, NULL));
	while (!atomic_load(&are_made))
		ASSERT_EQ(0, run(self->a, nothing, NULL, &self->err));
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &made);
		EXPECT_EQ(20, (long)made);
	}
}

static const char *const of_proc[] = {
	"/proc/self/mem", "/proc/self/maps", "/proc/thread-self/mem", "/proc/self/root/proc/self/mem",
	"/proc/self/task/../status", "/proc/cpuinfo",
};

/* What comes of opening one of these, and then of them a pipe. */
static long open_one_of_proc(void *arg)
{
	return open(arg, O_RDONLY | O_NONBLOCK) < 0 ? errno : 0;
}

/* Who may not change mounts has /proc; Landlock alone closes it, and no other way to the root opens it. */
TEST(proc_of_user)
{
	struct ours ours, *self = &ours;
	char *path;
	int ends[2];
	size_t i;

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	/* The root again, without what is mounted there. */
	ASSERT_EQ(0, mount("/", "/mnt", NULL, MS_BIND, NULL));
	ASSERT_EQ(0, setresgid(65534, 65534, 65534));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	OURS_SETUP(self);
	for (i = 0; i < ARRAY_SIZE(of_proc); i++) {
		path = strcpy(faasctl_shared_alloc(100), of_proc[i]);
		EXPECT_EQ(EACCES, run(self->a, open_one_of_proc, path, &self->err))
			TH_LOG("%s: %s", path, self->err.message);
		EXPECT_EQ(0, run(self->c, open_one_of_proc, path, &self->err))
			TH_LOG("%s", path);
	}
	/* What Landlock lets through, as the documents say. */
	ASSERT_EQ(0, pipe(ends));
	path = faasctl_shared_alloc(100);
	snprintf(path, 100, "/proc/self/task/../fd/%d", ends[0]);
	EXPECT_EQ(0, run(self->a, open_one_of_proc, path, &self->err));
}

/* ------------------------------------------------------------------- where there are none */

/* From here on this call is not known. */
static void deny(unsigned int number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		abort();
}

static const struct faasctl_domain_options hostile = { .isolation = FAASCTL_HOSTILE };

#define EXPECT_UNFILTERED(self, why)							\
do {											\
	DOMAINS_SETUP(self, NULL);							\
	EXPECT_EQ(0, (self)->info.filters);						\
	EXPECT_STREQ(why, (self)->info.unfiltered);					\
	EXPECT_FAIL(EOPNOTSUPP, "stage a cannot have a filter: " why,			\
		    faasctl_domain_new("a", &filtered, &(self)->a, &(self)->err));	\
	EXPECT_OK(faasctl_domain_new("a", NULL, &(self)->a, &(self)->err));		\
	EXPECT_OK(faasctl_domain_free((self)->a, &(self)->err));			\
	EXPECT_FAIL(EOPNOTSUPP, "stage a cannot be confined: " why,			\
		    faasctl_domain_new("a", &hostile, &(self)->a, &(self)->err));	\
} while (0)

TEST(without_landlock)
{
	struct ours ours, *self = &ours;

	deny(SYS_landlock_create_ruleset);
	EXPECT_UNFILTERED(self, "this kernel has no Landlock, or it is not let through");
}

TEST(without_seccomp)
{
	struct ours ours, *self = &ours;

	deny(SYS_seccomp);
	EXPECT_UNFILTERED(self, "this kernel has no seccomp, or it is not let through");
}

TEST(with_another_proc)
{
	struct ours ours, *self = &ours;

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("none", "/mnt", "proc", 0, NULL));
	EXPECT_UNFILTERED(self, "/mnt is a /proc, too, which cannot be closed");
}

TEST(unknown_flags)
{
	struct faasctl_domain_options options = { .flags = 1u << 7 };
	struct ours ours, *self = &ours;

	DOMAINS_SETUP(self, NULL);
	EXPECT_FAIL(EINVAL, "unknown flags 0x80", faasctl_domain_new("a", &options, &self->a, &self->err));
}

/* If it cannot be made, its function does not begin; as soon as it can, it does. */
FIXTURE(unmade)
{
	struct faasctl_domain *a;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(unmade)
{
	struct faasctl_domains_options options;
};

FIXTURE_VARIANT_ADD(unmade, threads) { };
FIXTURE_VARIANT_ADD(unmade, processes) { { .flags = FAASCTL_DOMAINS_PROCESSES } };

FIXTURE_SETUP(unmade)
{
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	DOMAINS_SETUP(self, &variant->options);
	if (!variant->options.flags)
		NEED_KEYS(self);
	if (!self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	EXPECT_OK(faasctl_domain_new("a", &filtered, &self->a, &self->err));
}

FIXTURE_TEARDOWN(unmade)
{
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
}

TEST_F(unmade, without_rules)
{
	deny(SYS_landlock_restrict_self);
	EXPECT_FAIL(ENOSYS, "stage a cannot have a filter: Function not implemented",
		    (int)run(self->a, nothing, NULL, &self->err));
	EXPECT_EQ(0, faasctl_domain_signal(self->a));
}

/* Another /proc came to be since domains began. */
TEST_F(unmade, with_another_proc_later)
{
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, mount("none", "/mnt", "proc", 0, NULL));
		EXPECT_FAIL(EOPNOTSUPP, "stage a cannot have a filter", (int)run(self->a, nothing, NULL, &self->err));
		ASSERT_EQ(0, umount2("/mnt", MNT_DETACH));
		EXPECT_EQ(0, run(self->a, nothing, NULL, &self->err))
			TH_LOG("%s", self->err.message);
		/* A process has it, then. */
		if (variant->options.flags)
			break;
	}
}

/* Hostile ones that cannot be confined do not begin either. */
TEST(unconfined)
{
	struct ours ours, *self = &ours;

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	DOMAINS_SETUP(self, NULL);
	if (!self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	EXPECT_OK(faasctl_domain_new("a", &hostile, &self->a, &self->err));
	ASSERT_EQ(0, mount("none", "/mnt", "proc", 0, NULL));
	EXPECT_FAIL(EOPNOTSUPP, "stage a cannot be confined: Operation not supported",
		    (int)run(self->a, nothing, NULL, &self->err));
	ASSERT_EQ(0, umount2("/mnt", MNT_DETACH));
	deny(SYS_capset);
	EXPECT_FAIL(ENOSYS, "stage a cannot be confined: Function not implemented",
		    (int)run(self->a, nothing, NULL, &self->err));
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
}

TEST(unconfined_without_rules)
{
	struct ours ours, *self = &ours;

	DOMAINS_SETUP(self, NULL);
	if (!self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	EXPECT_OK(faasctl_domain_new("a", &hostile, &self->a, &self->err));
	deny(SYS_landlock_restrict_self);
	EXPECT_FAIL(ENOSYS, "stage a cannot be confined: Function not implemented",
		    (int)run(self->a, nothing, NULL, &self->err));
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
}

TEST_HARNESS_MAIN
