// SPDX-License-Identifier: GPL-2.0
/*
 * Children of fork() of a process that has domains: what they have of these, whatever else was going
 * on when they were made, and that they are in nobody's way.
 */
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "domain_fixture.h"

static long get_parent(void *arg)
{
	return getppid();
}

static long get_size(void *arg)
{
	char *at = faasctl_shared_alloc(PAGE);

	faasctl_shared_free(at);
	return at ? PAGE : 0;
}

static long read_byte(void *arg)
{
	return *(volatile char *)arg;
}

/* Raises the flag behind its own, and leaves when its own is raised. */
static long until(void *arg)
{
	atomic_int *go = arg;

	atomic_store(go + 1, 1);
	while (!atomic_load(go))
		sched_yield();
	return 0;
}

/* What a child makes of a domain: 0, if it has its own process, and a new domain is another. */
static int use_domain(struct faasctl_domain *domain)
{
	struct faasctl_domain *new;
	long parent = 0;

	if (faasctl_domain_call(domain, get_parent, NULL, &parent, NULL) || parent != getpid())
		return 1;
	if (faasctl_domain_new("new", NULL, &new, NULL))
		return 2;
	if (faasctl_domain_start(new, get_parent, NULL, NULL) ||
	    faasctl_domain_join(new, &parent, NULL) || parent != getpid())
		return 3;
	return faasctl_domain_free(new, NULL) || faasctl_domain_free(domain, NULL) ? 4 : 0;
}

/* -------------------------------------------------------------------- what they have */

/* Whether it is refused what is for threads, for the reason that has @text in it. */
static bool refused(int ret, const struct faasctl_error *err, const char *text)
{
	return ret == -EPERM && strstr(err->message, text);
}

static int try_threads(struct faasctl_domain *domain)
{
	const char *text = "stage a is a thread of the process that this one is a child of";
	struct faasctl_domain *new;
	struct faasctl_error err;
	int n = 0;

	n += refused(faasctl_domain_call(domain, get_parent, NULL, NULL, &err), &err, text);
	n += refused(faasctl_domain_start(domain, get_parent, NULL, &err), &err, text);
	n += refused(faasctl_domain_join(domain, NULL, &err), &err, text);
	n += refused(faasctl_domain_free(domain, &err), &err, text);
	n += refused(faasctl_domain_new("new", NULL, &new, &err), &err, "stage new is to be a thread");
	return n;
}

/* Threads are the parent's: nothing crashes for want of their memory. */
TEST_F(domain, refusals)
{
	long result = 0;
	pid_t pid;

	if (!variant->threads)
		SKIP(return, "processes are made anew");
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, &result, &self->err));
	pid = child();
	if (!pid)
		_exit(try_threads(self->a));
	EXPECT_EQ(5, child_end(pid));
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, &result, &self->err));
	EXPECT_EQ(getppid(), result);
}

static long allocate(void *arg)
{
	return (long)malloc(10);
}

static void *nothing(void *arg)
{
	return arg;
}

/* Whether it is as far from the first domain's memory as other domains' could be. */
static bool in_domains(const void *p, long first)
{
	return ((uintptr_t)p & -SLOT) - (first & -SLOT) < 512 * SLOT;
}

/* What a child maps, or its allocator does, is not where domains are, or it would never be freed. */
TEST_F(domain, room)
{
	struct faasctl_domain *started;
	atomic_int *go = faasctl_shared_alloc(2 * sizeof(*go));
	pthread_t thread;
	long first = 0;
	void *at;
	pid_t pid;

	if (!variant->threads)
		SKIP(return, "processes have no place there");
	EXPECT_OK(faasctl_domain_call(self->a, allocate, NULL, &first, &self->err));
	/* What is its thread's own is there, in zeroes. */
	ASSERT_EQ(0, faasctl_domain_new("started", NULL, &started, &self->err));
	ASSERT_EQ(0, faasctl_domain_start(started, until, go, &self->err));
	pid = child();
	if (!pid) {
		/* More than there is room for elsewhere before that. */
		at = mmap(NULL, 128ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (at == MAP_FAILED || in_domains(at, first))
			_exit(1);
		/* The C library goes through what it knows of threads. */
		_exit(pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL) ? 2 : 0);
	}
	EXPECT_EQ(0, child_end(pid));
	atomic_store(go, 1);
	EXPECT_OK(faasctl_domain_join(started, NULL, &self->err));
	EXPECT_OK(faasctl_domain_free(started, &self->err));
}

/* An allocator gives the same to both otherwise, and one takes back what the other has. */
TEST_F(domain, shared)
{
	char *theirs = faasctl_shared_alloc(4 << 20), *next;
	long size = -1;
	pid_t pid;

	ASSERT_NE(NULL, theirs);
	memset(theirs, 'p', 4 << 20);
	pid = child();
	if (!pid) {
		errno = 0;
		next = faasctl_shared_alloc(PAGE);
		if (next)
			*next = 'c';
		if (next || errno != ENOMEM || theirs[(4 << 20) - 1] != 'p')
			_exit(1);
		if (!variant->threads && (faasctl_domain_call(self->a, get_size, NULL, &size, NULL) || size))
			_exit(2);
		theirs[1] = 'c';
		faasctl_shared_free(theirs);
		theirs[2] = 'c';
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
	next = faasctl_shared_alloc(PAGE);
	ASSERT_NE(NULL, next);
	EXPECT_EQ(0, *next);
	EXPECT_EQ('c', theirs[1]);
	EXPECT_EQ('c', theirs[2]);
	EXPECT_EQ('p', theirs[(4 << 20) - 1]);
	EXPECT_OK(faasctl_domain_call(self->b, get_size, NULL, &size, &self->err));
	EXPECT_EQ(PAGE, size);
}

/* They can be read, and not written. */
TEST_F(domain, inputs)
{
	struct faasctl_input *input;
	long result = 0;
	char *data;
	pid_t pid;

	ASSERT_EQ(0, faasctl_input_new(PAGE, &input, &self->err));
	data = faasctl_input_data(input);
	data[0] = 5;
	EXPECT_OK(faasctl_input_share(input, self->a, &self->err));
	pid = child();
	if (!pid) {
		if (data[0] != 5)
			_exit(1);
		if (!variant->threads &&
		    (faasctl_domain_call(self->a, read_byte, data, &result, NULL) || result != 5))
			_exit(2);
		_exit(faasctl_input_free(input, NULL) ? 3 : 0);
	}
	EXPECT_EQ(0, child_end(pid));
	pid = child();
	if (!pid) {
		data[0] = 6;
		_exit(0);
	}
	EXPECT_EQ(-SIGSEGV, child_end(pid));
	EXPECT_EQ(5, data[0]);
	EXPECT_OK(faasctl_domain_call(self->a, read_byte, data, &result, &self->err));
	EXPECT_EQ(5, result);
}

/* ------------------------------------------------------------------ what was going on */

/* Somebody else is inside a domain, and never leaves it in the child. */
TEST_F(domain, entered)
{
	atomic_int *go = faasctl_shared_alloc(2 * sizeof(*go));
	long parent = 0;
	pid_t pid;

	if (variant->threads)
		SKIP(return, "threads are not in children");
	ASSERT_EQ(0, faasctl_domain_start(self->a, until, go, &self->err));
	while (!atomic_load(go + 1))
		sched_yield();
	pid = child();
	if (!pid) {
		if (faasctl_domain_join(self->a, NULL, NULL) != -ESRCH)
			_exit(10);
		_exit(use_domain(self->a));
	}
	EXPECT_EQ(0, child_end(pid));
	atomic_store(go, 1);
	EXPECT_OK(faasctl_domain_join(self->a, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, &parent, &self->err));
	EXPECT_EQ(getpid(), parent);
}

static atomic_int all_made;

/* Takes and gives back all that there are locks for. */
static void *make_more(void *arg)
{
	struct faasctl_domain *domain;
	struct faasctl_input *input;
	int i;

	for (i = 0; !atomic_load(&all_made); i++) {
		if (faasctl_domain_new("more", NULL, &domain, NULL) || faasctl_input_new(PAGE, &input, NULL) ||
		    faasctl_input_share(input, domain, NULL) || faasctl_domain_call(domain, get_size, NULL, NULL, NULL) ||
		    faasctl_domain_free(domain, NULL) || faasctl_input_free(input, NULL))
			return NULL;
	}
	return (void *)1;
}

#define BUSY	3

TEST_F(domain, busy)
{
	pthread_t threads[BUSY];
	void *fine;
	pid_t pid;
	int i;

	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, NULL, &self->err));
	for (i = 0; i < BUSY; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, make_more, NULL));
	for (i = 0; i < 40; i++) {
		pid = child();
		if (!pid)
			_exit(variant->threads ? try_threads(self->a) - 5 : use_domain(self->a));
		ASSERT_EQ(0, child_end(pid));
	}
	atomic_store(&all_made, 1);
	for (i = 0; i < BUSY; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &fine));
		EXPECT_NE(NULL, fine);
	}
}

/* ------------------------------------------------------------------- how they are made */

/* How many descriptors of this process are open. */
static int count_open(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The C library's own children have nothing of processes either. */
TEST_F(domain, made_by_libc)
{
	int master, before;
	pid_t pid;

	before = count_open();
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->b, get_parent, NULL, NULL, &self->err));
	EXPECT_EQ(before + (variant->threads ? 0 : 4), count_open());
	pid = forkpty(&master, NULL, NULL, NULL);
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Those that it has for the terminal are closed by then. */
		if (count_open() != before)
			_exit(100);
		_exit(variant->threads ? try_threads(self->a) - 5 : use_domain(self->a));
	}
	EXPECT_EQ(0, child_end(pid));
	close(master);
}

static struct faasctl_domain *visited;
static long visits[3];
static pthread_mutex_t hosts = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int deep;

/* What the library makes for that has these handlers, too. */
static void visit(int which)
{
	if (!deep++ && (!visited || faasctl_domain_call(visited, get_parent, NULL, &visits[which], NULL)))
		visits[which] = -1;
	deep--;
}

static void lock(void) { pthread_mutex_lock(&hosts); }
static void unlock(void) { pthread_mutex_unlock(&hosts); }
/* It has another number there. */
static void renew(void) { hosts = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; }

static void visit_before(void) { visit(0); }
static void visit_after(void) { visit(1); }
static void visit_in_child(void) { visit(2); }

/* Handlers of the host's that go into domains. */
TEST_F(domain, handlers)
{
	pid_t pid;

	if (variant->threads)
		SKIP(return, "a thread's domain is not in the child");
	ASSERT_EQ(0, pthread_atfork(visit_before, visit_after, visit_in_child));
	visited = self->a;
	pid = child();
	if (!pid)
		_exit(visits[0] != getppid() || visits[2] != getpid());
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(getpid(), visits[0]);
	EXPECT_EQ(getpid(), visits[1]);
}

static long refusals[2];

/* Of a fork() by which a domain's process is made: it is told no, and its own child is none. */
static void try_it(int which)
{
	struct faasctl_domain *domain;
	pid_t pid;

	if (deep++ == 0) {
		refusals[which] += faasctl_domain_call(visited, get_parent, NULL, NULL, NULL) == -EPERM;
		refusals[which] += faasctl_domain_new("c", NULL, &domain, NULL) == -EPERM;
		pid = fork();
		if (!pid)
			_exit(0);
		refusals[which] += pid > 0 && waitpid(pid, NULL, 0) == pid;
	}
	deep--;
}

static void try_before(void) { try_it(0); }
static void try_in_child(void) { try_it(1); }

static long get_refusals(void *arg)
{
	return refusals[1];
}

TEST_F(domain, handlers_of_a_process)
{
	long n = 0;

	if (variant->threads)
		SKIP(return, "no process is made for it");
	visited = self->a;
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, NULL, &self->err));
	ASSERT_EQ(0, pthread_atfork(try_before, NULL, try_in_child));
	EXPECT_OK(faasctl_domain_call(self->b, get_refusals, NULL, &n, &self->err));
	EXPECT_EQ(3, refusals[0]);
	EXPECT_EQ(3, n);
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->b, get_refusals, NULL, &n, &self->err));
}

static atomic_int rounds;

/* Makes processes while it has what handlers want. */
static void *fork_with_lock(void *arg)
{
	pid_t pid;

	while (!atomic_load(&all_made)) {
		pthread_mutex_lock(&hosts);
		pid = child();
		if (!pid)
			_exit(0);
		pthread_mutex_unlock(&hosts);
		if (child_end(pid))
			return NULL;
		atomic_fetch_add(&rounds, 1);
	}
	return arg;
}

/* And who makes one meanwhile, with a lock that handlers want, comes in nobody's way. */
TEST_F(domain, handlers_with_locks)
{
	struct faasctl_domain *domain;
	pthread_t thread;
	void *fine;
	pid_t pid;
	int i;

	ASSERT_EQ(0, pthread_atfork(lock, unlock, renew));
	ASSERT_EQ(0, pthread_create(&thread, NULL, fork_with_lock, self));
	for (i = 0; i < 60 || atomic_load(&rounds) < 60; i++) {
		pid = child();
		if (!pid)
			_exit(0);
		ASSERT_EQ(0, child_end(pid));
		ASSERT_EQ(0, faasctl_domain_new("next", NULL, &domain, &self->err));
		EXPECT_OK(faasctl_domain_call(domain, get_parent, NULL, NULL, &self->err));
		EXPECT_OK(faasctl_domain_free(domain, &self->err));
	}
	atomic_store(&all_made, 1);
	ASSERT_EQ(0, pthread_join(thread, &fine));
	EXPECT_NE(NULL, fine);
}

static pid_t made;

static void make_child(int sig)
{
	made = fork();
}

/* A handler has no keys: what it makes can have no domains, and is told so. */
TEST_F(domain, made_by_handler)
{
	struct faasctl_domains_info info;
	struct faasctl_error err;

	ASSERT_NE(SIG_ERR, signal(SIGUSR1, make_child));
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, NULL, &self->err));
	ASSERT_EQ(0, raise(SIGUSR1));
	if (!made) {
		if (!variant->threads)
			_exit(use_domain(self->a));
		faasctl_domains_info(&info);
		_exit(info.threads || !refused(faasctl_domain_call(self->a, get_parent, NULL, NULL, &err), &err,
					       "this process was made where nothing is known of domains"));
	}
	EXPECT_EQ(0, child_end(made));
	EXPECT_OK(faasctl_domain_call(self->a, get_parent, NULL, NULL, &self->err));
}

TEST_HARNESS_MAIN
