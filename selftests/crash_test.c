// SPDX-License-Identifier: GPL-2.0
/*
 * A crash is not an end of file: which deaths of which holders of the writing
 * end abort a stream, and which do not. (Holders that exiting processes cannot
 * be seen with: crash_hidden_test.c.)
 */
#include "common.h"

#include <pthread.h>
#include <sys/resource.h>

#include "harness.h"

/* Ends this process: by exit status @end, or by the signal -@end. */
static void __attribute__((noreturn)) end_by(int end)
{
	struct rlimit none = { 0, 0 };

	if (end >= 0)
		_exit(end);
	setrlimit(RLIMIT_CORE, &none);
	signal(-end, SIG_DFL);
	kill(getpid(), -end);
	for (;;)
		pause();
}

/* Forks a holder of @w that writes @text, if any, and ends by @end. */
static pid_t holder(int w, const char *text, int end)
{
	pid_t pid = child();

	if (pid)
		return pid;
	if (*text && write(w, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(99);
	end_by(end);
}

/* As holder(), but closes it before it ends. */
static pid_t former_holder(int w, int end)
{
	pid_t pid = child();

	if (pid)
		return pid;
	if (write(w, "abc", 3) != 3)
		_exit(99);
	close(w);
	end_by(end);
}

/* ------------------------------------------------------------ every signal */

FIXTURE(signal)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(signal)
{
	int number;
	bool crash;	/* it kills or dumps core: written or not */
};

#define SIGNAL(name, number_, crash_) \
	FIXTURE_VARIANT_ADD(signal, name) { .number = number_, .crash = crash_ }

SIGNAL(kill, SIGKILL, true);
SIGNAL(segv, SIGSEGV, true);
SIGNAL(abrt, SIGABRT, true);
SIGNAL(bus, SIGBUS, true);
SIGNAL(fpe, SIGFPE, true);
SIGNAL(ill, SIGILL, true);
SIGNAL(quit, SIGQUIT, true);
SIGNAL(sys, SIGSYS, true);
SIGNAL(trap, SIGTRAP, true);
SIGNAL(xcpu, SIGXCPU, true);
SIGNAL(xfsz, SIGXFSZ, true);
SIGNAL(term, SIGTERM, false);
SIGNAL(int, SIGINT, false);
SIGNAL(hup, SIGHUP, false);
SIGNAL(usr1, SIGUSR1, false);
SIGNAL(alrm, SIGALRM, false);
SIGNAL(pipe, SIGPIPE, false);
SIGNAL(realtime, 40, false);

FIXTURE_SETUP(signal)
{
	ENDS_SETUP(self, NULL, 0, O_NONBLOCK);
}

FIXTURE_TEARDOWN(signal)
{
	ENDS_TEARDOWN(self);
}

TEST_F(signal, kills_the_only_writer)
{
	pid_t pid = holder(self->w, "abc", -variant->number);
	struct faasin_port_info info;
	struct link_state state;

	close(self->w);
	EXPECT_EQ(-variant->number, child_end(pid));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);

	info = port_info(self->r);
	EXPECT_EQ(FAASIN_CAUSE_SIGNAL, info.cause);
	EXPECT_EQ(variant->number, (int)info.code);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(1, state.stats.streams_aborted);
	EXPECT_EQ(FAASIN_CAUSE_SIGNAL, state.last.cause);
	EXPECT_EQ(variant->number, (int)state.last.code);
	EXPECT_EQ(pid, (pid_t)state.last.pid);
	EXPECT_EQ(1, state.last.stream);
	EXPECT_STREQ("a", state.stage);
	EXPECT_STREQ("crash_test", state.comm);
}

TEST_F(signal, kills_a_writer_beside_a_wrapper)
{
	pid_t pid = holder(self->w, "abc", -variant->number);

	EXPECT_EQ(-variant->number, child_end(pid));
	/* At once, while the wrapper still holds it. */
	EXPECT_EQ(-EPIPE, sys(write(self->w, "more", 4)));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(signal, kills_a_silent_holder_beside_a_wrapper)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "abc");
	pid = holder(self->w, "", -variant->number);
	EXPECT_EQ(-variant->number, child_end(pid));
	if (variant->crash) {
		EXPECT_EQ(-EPIPE, sys(write(self->w, "more", 4)));
		EXPECT_READ(self->r, "abc");
		EXPECT_OVER(self->r, -ECONNABORTED);
	} else {
		EXPECT_WRITE(self->w, "more");
		close(self->w);
		EXPECT_READ(self->r, "abcmore");
		EXPECT_OVER(self->r, 0);
		EXPECT_EQ(0, flow_stats(&self->flow).streams_aborted);
	}
}

TEST_F(signal, kills_the_last_silent_holder)
{
	int alone = bell();
	pid_t pid = child();

	if (!pid) {
		if (!await(alone))
			_exit(99);
		end_by(-variant->number);
	}
	close(self->w);
	ring(alone);
	EXPECT_EQ(-variant->number, child_end(pid));
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(signal, kills_a_writer_that_closed_before)
{
	pid_t pid = former_holder(self->w, -variant->number);

	EXPECT_EQ(-variant->number, child_end(pid));
	EXPECT_WRITE(self->w, "more");
	close(self->w);
	EXPECT_READ(self->r, "abcmore");
	EXPECT_OVER(self->r, 0);
}

/* ---------------------------------------------------- statuses and policies */

FIXTURE(status)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(status)
{
	enum faasin_abort_on policy;
	int end;		/* status, or minus a signal */
	bool aborts;
};

#define STATUS(name, policy_, end_, aborts_)				\
	FIXTURE_VARIANT_ADD(status, name)				\
	{								\
		.policy = FAASIN_ABORT_ON_##policy_, .end = end_, .aborts = aborts_,	\
	}

STATUS(crash_0, CRASH, 0, false);
STATUS(crash_1, CRASH, 1, false);
STATUS(crash_126, CRASH, 126, false);
STATUS(crash_127, CRASH, 127, false);
STATUS(crash_128, CRASH, 128, true);
STATUS(crash_137, CRASH, 137, true);
STATUS(crash_255, CRASH, 255, true);
STATUS(nonzero_0, NONZERO, 0, false);
STATUS(nonzero_1, NONZERO, 1, true);
STATUS(nonzero_127, NONZERO, 127, true);
STATUS(nonzero_128, NONZERO, 128, true);
STATUS(nonzero_kill, NONZERO, -SIGKILL, true);
STATUS(never_1, NEVER, 1, false);
STATUS(never_255, NEVER, 255, false);
STATUS(never_kill, NEVER, -SIGKILL, false);
STATUS(never_segv, NEVER, -SIGSEGV, false);

FIXTURE_SETUP(status)
{
	const struct flow_options options = { .abort_on = variant->policy };

	ENDS_SETUP(self, &options, 0, O_NONBLOCK);
}

FIXTURE_TEARDOWN(status)
{
	ENDS_TEARDOWN(self);
}

TEST_F(status, of_the_only_writer)
{
	pid_t pid = holder(self->w, "abc", variant->end);
	struct link_state state;

	close(self->w);
	EXPECT_EQ(variant->end, child_end(pid));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, variant->aborts ? -ECONNABORTED : 0);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	if (!variant->aborts) {
		EXPECT_EQ(FAASIN_CAUSE_NONE, state.last.cause);
	} else if (variant->end < 0) {
		EXPECT_EQ(FAASIN_CAUSE_SIGNAL, state.last.cause);
		EXPECT_EQ(-variant->end, (int)state.last.code);
	} else {
		EXPECT_EQ(FAASIN_CAUSE_STATUS, state.last.cause);
		EXPECT_EQ(variant->end, (int)state.last.code);
		EXPECT_EQ(pid, (pid_t)state.last.pid);
	}
}

TEST_F(status, of_a_silent_holder_beside_a_wrapper)
{
	pid_t pid;

	EXPECT_WRITE(self->w, "abc");
	pid = holder(self->w, "", variant->end);
	EXPECT_EQ(variant->end, child_end(pid));
	if (variant->aborts) {
		EXPECT_EQ(-EPIPE, sys(write(self->w, "more", 4)));
		EXPECT_READ(self->r, "abc");
		EXPECT_OVER(self->r, -ECONNABORTED);
	} else {
		EXPECT_WRITE(self->w, "more");
		close(self->w);
		EXPECT_READ(self->r, "abcmore");
		EXPECT_OVER(self->r, 0);
	}
}

TEST_F(status, of_a_holder_that_closed_before)
{
	pid_t pid = former_holder(self->w, variant->end);

	close(self->w);
	EXPECT_EQ(variant->end, child_end(pid));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, 0);
}

/* ------------------------------------------------------------- what follows */

FIXTURE(crash)
{
	struct flow flow;
	int w, r;
};

FIXTURE_SETUP(crash)
{
	const struct flow_options options = { .capacity = 512 * KIB };

	ENDS_SETUP(self, &options, 0, 0);
}

FIXTURE_TEARDOWN(crash)
{
	ENDS_TEARDOWN(self);
}

TEST_F(crash, every_byte_comes_first)
{
	pid_t pid = child();
	struct heard heard;

	if (!pid) {
		if (pattern_write(self->w, 500000, 60000, 1, 0))
			_exit(99);
		end_by(-SIGKILL);
	}
	close(self->w);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	heard = pattern_read(self->r, 7777, 1);
	EXPECT_EQ(500000, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(-ECONNABORTED, heard.end);
}

TEST_F(crash, in_a_blocked_write_keeps_what_was_taken)
{
	size_t size = 2 * MIB;
	pid_t pid = child();
	struct heard heard;

	if (!pid) {
		uint8_t *buf = malloc(size);

		pattern_fill(buf, size, 1, 0);
		_exit(write(self->w, buf, size) == (ssize_t)size ? 98 : 99);
	}
	close(self->w);
	EXPECT_TRUE(blocks_in(pid, SYS_write));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	heard = pattern_read(self->r, 10000, 1);
	EXPECT_EQ(512 * KIB, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(-ECONNABORTED, heard.end);
}

TEST_F(crash, wakes_a_blocked_reader)
{
	int go = bell();
	pid_t reader, writer;

	reader = child();
	if (!reader) {
		struct heard heard;

		close(self->w);
		heard = pattern_read(self->r, 100, 1);
		_exit(heard.bytes == 10 && heard.end == -ECONNABORTED ? 0 : 1);
	}
	writer = child();
	if (!writer) {
		if (pattern_write(self->w, 10, 10, 1, 0) || !await(go))
			_exit(99);
		end_by(-SIGSEGV);
	}
	close(self->w);
	EXPECT_TRUE(blocks_in(reader, SYS_read));
	ring(go);
	EXPECT_EQ(-SIGSEGV, child_end(writer));
	EXPECT_EQ(0, child_end(reader));
}

TEST_F(crash, wakes_a_blocked_surviving_writer)
{
	pid_t survivor;

	ASSERT_EQ(0, pattern_write(self->w, 512 * KIB, 512 * KIB, 1, 0));
	survivor = child();
	if (!survivor)
		_exit(-sys(write(self->w, "x", 1)));
	EXPECT_TRUE(blocks_in(survivor, SYS_write));
	EXPECT_EQ(-SIGKILL, child_end(holder(self->w, "", -SIGKILL)));
	EXPECT_EQ(EPIPE, child_end(survivor));
}

TEST_F(crash, before_the_reader_came)
{
	int w;

	close(self->r);
	EXPECT_EQ(-SIGKILL, child_end(holder(self->w, "abc", -SIGKILL)));
	w = flow_writer(&self->flow, 0);
	EXPECT_WRITE(w, "next");
	close(w);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
	close(self->r);
	self->r = flow_reader(&self->flow, 0);
	EXPECT_READ(self->r, "next");
	EXPECT_OVER(self->r, 0);
}

TEST_F(crash, with_a_core_dump)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int status;
	pid_t pid = child();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &unlimited);
		if (write(self->w, "abc", 3) != 3)
			_exit(99);
		raise(SIGSEGV);
		_exit(98);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGSEGV, WTERMSIG(status));
	if (!WCOREDUMP(status))
		TH_LOG("no core was dumped: see core_pattern");
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(crash, in_a_shell_that_goes_on)
{
	pid_t pid = child();

	if (!pid) {
		dup2(self->w, STDOUT_FILENO);
		close(self->w);
		close(self->r);
		freopen("/dev/null", "w", stderr);
		signal(SIGPIPE, SIG_DFL);
		execl("/bin/sh", "sh", "-c",
		      "sh -c 'echo partial; kill -9 $$'; trap '' PIPE; echo after; exit 5", NULL);
		_exit(99);
	}
	close(self->w);
	EXPECT_EQ(5, child_end(pid));
	EXPECT_READ(self->r, "partial\n");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(crash, that_a_shell_passes_on)
{
	pid_t pid = child();

	/* The one that died had never held the port: the shell's status tells. */
	if (!pid) {
		dup2(self->w, STDOUT_FILENO);
		close(self->w);
		close(self->r);
		freopen("/dev/null", "w", stderr);
		execl("/bin/sh", "sh", "-c",
		      "echo partial; sh -c 'kill -9 $$' >/dev/null; exit $?", NULL);
		_exit(99);
	}
	close(self->w);
	EXPECT_EQ(128 + SIGKILL, child_end(pid));
	EXPECT_READ(self->r, "partial\n");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(crash, by_the_oom_killer)
{
	char group[64];
	pid_t pid;

	snprintf(group, sizeof(group), "%s-oom", self->flow.name);
	ASSERT_EQ(0, cgroup_make(group));
	ASSERT_EQ(0, cgroup_write(group, "memory.max", "16M"));
	cgroup_write(group, "memory.swap.max", "0"); /* absent without swap */
	pid = child();
	if (!pid) {
		if (cgroup_enter(group) || write(self->w, "abc", 3) != 3)
			_exit(99);
		for (;;)
			memset(malloc(MIB), 1, MIB);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_LE(1, cgroup_read(group, "memory.events", "oom_kill"));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_EQ(0, cgroup_remove(group));
}

TEST_F(crash, of_the_reader_is_an_early_close)
{
	struct link_state state;
	int alone = bell();
	pid_t pid;

	EXPECT_WRITE(self->w, "abc");
	pid = child();
	if (!pid) {
		char byte;

		/* Or it would die as a holder of the writing end. */
		close(self->w);
		if (!await(alone) || read(self->r, &byte, 1) != 1)
			_exit(99);
		end_by(-SIGKILL);
	}
	close(self->r);
	ring(alone);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(0, state.stats.streams_aborted);
	EXPECT_EQ(1, state.stats.early_closes);
	EXPECT_EQ(2, state.stats.bytes_dropped);
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, state.last.cause);
	EXPECT_EQ(pid, (pid_t)state.last.pid);
	EXPECT_STREQ("b", state.stage);
}

TEST_F(crash, sigpipe_after_the_reader_closed_is_none)
{
	struct link_state state;
	pid_t pid;

	EXPECT_WRITE(self->w, "abc");
	EXPECT_READ(self->r, "a");
	close(self->r);
	pid = child();
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		_exit(write(self->w, "x", 1) == 1 ? 98 : 99);
	}
	EXPECT_EQ(-SIGPIPE, child_end(pid));
	close(self->w);
	ASSERT_EQ(0, flow_state(&self->flow, &state));
	EXPECT_EQ(0, state.stats.streams_aborted);
	EXPECT_EQ(FAASIN_CAUSE_EARLY_CLOSE, state.last.cause);
	EXPECT_STREQ("b", state.stage);
}

/* ------------------------------------------------------------------ threads */

static void *write_abc(void *fd)
{
	return (void *)(write(*(int *)fd, "abc", 3) - 3);
}

static void *write_and_exit_130(void *fd)
{
	if (write(*(int *)fd, "abc", 3) == 3)
		_exit(130);
	_exit(99);
}

/* The leader's pthread_exit() comes first, or this tests nothing. */
static void *write_and_exit_0(void *fd)
{
	char text[256] = "", *after;
	int stat;

	do {
		stat = open("/proc/self/stat", O_RDONLY);
		if (stat < 0 || read(stat, text, sizeof(text) - 1) < 0)
			_exit(97);
		close(stat);
		after = strrchr(text, ')');
	} while (!after || after[2] != 'Z');
	_exit(write(*(int *)fd, "abc", 3) == 3 ? 0 : 99);
}

TEST_F(crash, no_thread_that_ends_is_one)
{
	pthread_t thread;
	void *result;
	pid_t pid = child();

	if (!pid) {
		if (pthread_create(&thread, NULL, write_abc, &self->w) ||
		    pthread_join(thread, &result) || result)
			_exit(99);
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_WRITE(self->w, "more");
	close(self->w);
	EXPECT_READ(self->r, "abcmore");
	EXPECT_OVER(self->r, 0);
}

TEST_F(crash, no_leader_that_ends_before_its_threads_is_one)
{
	pthread_t thread;
	pid_t pid = child();

	if (!pid) {
		if (pthread_create(&thread, NULL, write_and_exit_0, &self->w))
			_exit(99);
		pthread_exit(NULL);
	}
	close(self->w);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, 0);
}

TEST_F(crash, status_of_a_thread_that_ends_the_process)
{
	pthread_t thread;
	pid_t pid = child();

	if (!pid) {
		if (pthread_create(&thread, NULL, write_and_exit_130, &self->w))
			_exit(99);
		for (;;)
			pause();
	}
	close(self->w);
	EXPECT_EQ(130, child_end(pid));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

static void *pause_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

TEST_F(crash, of_a_process_with_threads)
{
	pthread_t thread;
	void *result;
	pid_t pid = child();
	int i;

	if (!pid) {
		for (i = 0; i < 3; i++)
			pthread_create(&thread, NULL, pause_for_ever, NULL);
		if (pthread_create(&thread, NULL, write_abc, &self->w) ||
		    pthread_join(thread, &result) || result)
			_exit(99);
		end_by(-SIGKILL);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(-EPIPE, sys(write(self->w, "x", 1)));
	EXPECT_READ(self->r, "abc");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_HARNESS_MAIN
