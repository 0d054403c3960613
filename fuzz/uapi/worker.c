// SPDX-License-Identifier: GPL-2.0
/* The worker: see worker.h. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "common.h"
#include "cover.h"
#include "faults.h"
#include "ranges.h"
#include "worker.h"

#define HANGS		60		/* seconds until a program counts as hung */
#define TICK_MS		10		/* how long a call blocks */

/* Between the processes. */
struct shared {
	struct program program;
	struct worker_report report;
	uint32_t waiting;
	pid_t tgid[2], tid[2];		/* who is to be interrupted; 0: nobody */
	uint32_t calls[2];		/* that each of them made */
};

static struct shared *shared;
struct worker_report *worker_report;
unsigned long workers_started;

/* ------------------------------------------------------------ in the worker */

static struct thread threads[2];
static pthread_t second_thread;
static bool has_second;
static sem_t second_begins, second_ended;
static int go = -1, done = -1;

void violation(const char *text)
{
	if (!worker_report->violation[0])
		snprintf(worker_report->violation, sizeof(worker_report->violation), "%s", text);
}

/* Whoever interrupts, see worker_run(), does so again and again. */
void hold_ticks(bool hold)
{
	sigset_t tick;

	sigemptyset(&tick);
	sigaddset(&tick, SIGALRM);
	pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &tick, NULL);
}

static void thread_start(struct thread *t)
{
	t->tid = syscall(SYS_gettid);
	t->fail = -2;
	t->nl[0] = -1;
	t->nl[1] = -1;
}

static void thread_end(struct thread *t)
{
	int i;

	for (i = 0; i < 2; i++)
		if (t->nl[i] >= 0)
			close(t->nl[i]);
	if (t->fail >= 0)
		close(t->fail);
}

static void execute_calls(struct thread *t, uint8_t thread)
{
	const struct program *p = &shared->program;
	unsigned int i;
	long result;

	for (i = 0; i < p->ncalls; i++) {
		const struct call *c = &p->call[i];

		if (c->thread != thread)
			continue;
		count_one(&worker_report->tried[c->op]);
		shared->calls[t->number]++;
		if (c->fail)
			faults_arm(t, c->fail);
		result = ops[c->op].call(t, c);
		worker_report->error[i] = result < 0 ? errno : 0;
		if (c->fail && faults_disarm(t))
			count_one(&worker_report->injected);
		if (result >= 0)
			count_one(&worker_report->worked[c->op]);
	}
}

/* Both begin at once, as far as two CPUs can; the one that waits does not wait for ever. */
static void meet(void)
{
	int i;

	__atomic_add_fetch(&shared->waiting, 1, __ATOMIC_ACQ_REL);
	for (i = 0; i < 1000 && __atomic_load_n(&shared->waiting, __ATOMIC_ACQUIRE) < 2; i++)
		sched_yield();
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) && errno == EINTR)
		;
}

static bool lasts(const struct program *p)
{
	return !(program_changes(p) & CHANGES_CALLER);
}

static void *second(void *arg)
{
	struct thread *t = &threads[1];

	thread_start(t);
	cover_enter(1);
	hold_ticks(false);
	for (;;) {
		wait_for(&second_begins);
		if (!has_second)
			break;
		shared->tgid[1] = getpid();
		shared->tid[1] = t->tid;
		meet();
		execute_calls(t, 1);
		shared->tid[1] = 0;
		if (!lasts(&shared->program))
			break;
		mapping_end(t);
		requests_end(t);
		sem_post(&second_ended);
	}
	thread_end(t);
	return NULL;
}

static void second_start(void)
{
	hold_ticks(true);
	has_second = !pthread_create(&second_thread, NULL, second, NULL);
	hold_ticks(false);
	if (!has_second)
		_exit(1);
}

/* Some namespaces can be left only by a process of one thread. */
static void second_stop(void)
{
	if (!has_second)
		return;
	has_second = false;
	sem_post(&second_begins);
	pthread_join(second_thread, NULL);
}

static void execute_threads(const struct program *p)
{
	execute_calls(&threads[0], BOTH);
	if (!has_second)
		second_start();
	sem_post(&second_begins);
	meet();
	execute_calls(&threads[0], 0);
	if (lasts(p))
		wait_for(&second_ended);
	else /* it may be gone before it could say so */
		pthread_join(second_thread, NULL);
}

static void execute_processes(void)
{
	pid_t pid;

	execute_calls(&threads[0], BOTH);
	hold_ticks(true);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		children_forget();
		thread_start(&threads[1]);
		cover_enter(2);
		hold_ticks(false);
		meet();
		execute_calls(&threads[1], 1);
		children_end();
		_exit(0);
	}
	hold_ticks(false);
	if (pid < 0)
		return;
	shared->tid[1] = pid;
	shared->tgid[1] = pid;
	meet();
	execute_calls(&threads[0], 0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	shared->tid[1] = 0;
}

/* All that the program left. */
static void tidy(void)
{
	slots_close();
	mapping_end(&threads[0]);
	children_end();
	requests_end(&threads[0]);
	ranges_end();
}

static void be_worker(void)
{
	struct rlimit none = { 0, 0 };
	uint64_t one;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setpgid(0, 0);
	setrlimit(RLIMIT_CORE, &none);
	interrupt_by(SIGALRM, 0);
	interrupt_by(SIGPIPE, 0);
	interrupt_by(SIGIO, 0);
	mappings_init();
	sem_init(&second_begins, 0, 0);
	sem_init(&second_ended, 0, 0);
	thread_start(&threads[0]);
	shared->tgid[0] = getpid();
	shared->tid[0] = threads[0].tid;
	cover_enter(0);
	for (;;) {
		const struct program *p = &shared->program;

		while (read(go, &one, sizeof(one)) < 0)
			;
		if (!lasts(p))
			second_stop();
		if (p->processes)
			execute_processes();
		else
			execute_threads(p);
		/* What its end does to descriptors, and to their owners, is part of it. */
		if (!lasts(p))
			_exit(0);
		tidy();
		one = 1;
		(void)!write(done, &one, sizeof(one));
	}
}

/* ------------------------------------------------------------ in the engine */

static pid_t worker;
static int worker_fd = -1;

static double clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

bool worker_init(void)
{
	int i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	go = eventfd(0, EFD_CLOEXEC);
	done = eventfd(0, EFD_CLOEXEC);
	if (shared == MAP_FAILED || go < 0 || done < 0 || !slots_open()) {
		fprintf(stderr, "uapi: no memory for a worker: %s\n", strerror(errno));
		return false;
	}
	for (i = 0; i < 2; i++) {
		threads[i].number = i;
		threads[i].into = slots_buffer();
		if (!threads[i].into)
			return false;
	}
	worker_report = &shared->report;
	/* What it leaves when it dies comes to us. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return true;
}

static void start(void)
{
	workers_started++;
	worker = fork();
	if (!worker)
		be_worker();
	setpgid(worker, worker);
	worker_fd = syscall(SYS_pidfd_open, worker, 0);
}

/* Ends all that is left of the worker; false if it cannot be ended. */
static bool sweep(void)
{
	double until = clock_now() + HANGS;

	for (;;) {
		pid_t pid;

		kill(-worker, SIGKILL);
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0 && errno == ECHILD)
			break;
		if (!pid) {
			if (clock_now() > until)
				return false;
			usleep(500);
		}
	}
	close(worker_fd);
	worker = 0;
	return true;
}

/*
 * Calls that block are to end: those that were under way a tick ago. Whoever is gone
 * meanwhile does not mind.
 */
static void tick(void)
{
	static uint32_t before[2];
	int i;

	for (i = 0; i < 2; i++) {
		if (shared->tid[i] && shared->calls[i] == before[i])
			syscall(SYS_tgkill, shared->tgid[i], shared->tid[i], SIGALRM);
		before[i] = shared->calls[i];
	}
}

enum worker_end worker_run(const struct program *p)
{
	double until = clock_now() + HANGS;
	uint64_t one = 1;
	int n;

	shared->program = *p;
	shared->waiting = 0;
	shared->tid[1] = 0;
	worker_report->zeroes = false;
	memset(worker_report->error, 0, sizeof(worker_report->error));
	if (!worker)
		start();

	struct pollfd fds[] = {
		{ .fd = done, .events = POLLIN }, { .fd = worker_fd, .events = POLLIN },
	};

	(void)!write(go, &one, sizeof(one));
	while (!(n = poll(fds, 2, TICK_MS)) && clock_now() < until)
		tick();
	if (n > 0 && fds[0].revents && read(done, &one, sizeof(one)) > 0)
		return WORKER_DONE;
	if (!sweep())
		return WORKER_STUCK;
	return n > 0 ? WORKER_DONE : WORKER_HANGS;
}

void worker_end(void)
{
	if (worker)
		sweep();
}
