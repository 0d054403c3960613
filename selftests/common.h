/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the test programs share.
 *
 * Most tests use a flow: a workflow of its own with the stages "a" and "b", a's
 * output linked to b's input, and a cgroup that pays.
 *
 * Nothing here measures time. The one deadline tells a hang from progress: it
 * is long enough for an emulated guest on a busy machine, and shorter than the
 * harness's own, so that the test says itself what did not come.
 */
#ifndef _FAASIN_SELFTESTS_COMMON_H
#define _FAASIN_SELFTESTS_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faasctl.h"

/* How many times as long all may take: FAASIN_SLOWER in the environment, or 1. */
unsigned int slower(void);

#define DEADLINE	((int)(20 * slower()))	/* seconds until something counts as hung */
#define PAGE		4096
#define KIB		1024
#define MIB		(1024 * 1024)

#define MOUNT_POINT	"/sys/fs/faasin"
#define CGROUPS		"/sys/fs/cgroup/faasin-test"

/* What a system call gave: its result, or -errno. */
#define sys(call)						\
({								\
	long sys_result = (call);				\
								\
	sys_result == -1 ? -(long)errno : sys_result;		\
})

/* Writes @text to a file that is there, by one call. Returns 0 or -errno. */
int write_text(const char *path, const char *text);

/* ------------------------------------------------------------- kernel's log */

/* Starts to listen to the kernel's log; returns a descriptor or -errno. */
int log_open(void);

/*
 * What the kernel complained about since log_open() or the last call; NULL when
 * it did not. Valid until the next call.
 */
const char *log_complaint(int fd);

/* ------------------------------------------------------------------ cgroups */

/* Creates CGROUPS/@name, able to pay. Returns 0 or -errno. */
int cgroup_make(const char *name);

/* Removes it; whoever is in there must be gone. Returns 0 or -errno. */
int cgroup_remove(const char *name);

/* Puts the caller into it. Returns 0 or -errno. */
int cgroup_enter(const char *name);

/* Writes @text to @file of it. Returns 0 or -errno. */
int cgroup_write(const char *name, const char *file, const char *text);

/* The number after @key in @file of it (or its only number); -1 if none. */
long long cgroup_read(const char *name, const char *file, const char *key);

/* Waits for its memory.current to fall to @bytes; what it is then. */
long long cgroup_falls_to(const char *name, long long bytes);

/* -------------------------------------------------------------------- flows */

/* How a link is to be; zeroes are the defaults. */
struct flow_options {
	uint64_t capacity;
	enum faasin_abort_on abort_on;
	enum faasin_early_close early_close;
	bool trusted;
	bool records;
};

struct flow {
	struct flow_options options;
	int log;		/* the kernel's log since flow_new() */
	char name[32];		/* of the workflow and of its cgroup */
	char a[64], b[64];	/* directories of the stages */
	char out[80], in[80];	/* the linked ports: a's output, b's input */
};

/* What the module says of a flow's link; the strings are kept beside it. */
struct link_state {
	struct faasctl_link link;
	struct faasctl_stats stats;
	struct faasctl_cause last;
	char stage[FAASIN_NAME_MAX + 1];
	char comm[32];
};

/* All of them return 0 or -errno. flow_del() also is the teardown: it can be
 * called whatever state the flow is in.
 */
int flow_new(struct flow *f, const struct flow_options *options);
int flow_new_workflow(struct flow *f);	/* again, after flow_del_workflow() */
int flow_link(struct flow *f);
int flow_unlink(struct flow *f);
int flow_state(struct flow *f, struct link_state *state);
int flow_del_stage(struct flow *f, const char *stage);
int flow_del_workflow(struct flow *f);
int flow_new_stage(struct flow *f, const char *stage);
void flow_del(struct flow *f);

/* Its statistics; all zeroes when there is no link. */
struct faasctl_stats flow_stats(struct flow *f);

/* Opens an end of the flow; returns a descriptor or -errno. @flags: with O_RDWR, the
 * output can be mapped.
 */
int flow_writer(struct flow *f, int flags);
int flow_reader(struct flow *f, int flags);

/* FAASIN_IOC_INFO; all zeroes when it fails. */
struct faasin_port_info port_info(int fd);

/* FIONREAD; -errno when it fails. */
int unread(int fd);

/* ----------------------------------------------------------------- children */

/*
 * fork() whose child neither outlives the caller nor hangs for ever. It must
 * end by _exit(): a return would run the rest of the test twice.
 */
pid_t child(void);

/* Likewise, of one that may take longer than what a test waits for: @seconds, on a quick kernel. */
pid_t child_for(unsigned int seconds);

#define HUNG	(-1000)

/*
 * Waits for a child: its exit status, minus its signal, or HUNG (then killed).
 * @seconds: of a kernel that is not instrumented
 */
int child_end(pid_t pid);
int child_end_within(pid_t pid, int seconds);

/* Kills the child and waits for its end. */
void child_kill(pid_t pid, int signal);

/* Waits until a task sleeps in system call @nr; false if it does not. */
bool blocks_in(pid_t pid, long nr);
bool blocks_in_one_of(pid_t pid, long nr, long other);
bool blocks_in_open(pid_t pid);

/* True if the child has not ended. */
bool is_running(pid_t pid);

/* Signals between relatives, made before the fork. */
void stay_on(int nr);			/* the caller, on the nr-th of its CPUs */
void comes_first(void);		/* a child, of those that are on its CPU; or it ends with 100 */
int drop_slabs(void);		/* as if the machine were short of memory; or an errno */

int bell(void);
void ring(int bell);
bool await(int bell);

/* Passes a descriptor on by a unix socket. */
void send_fd(int socket, int fd);

/* Two ends of a TCP connection within the machine: 0 or -errno. */
int tcp_pair(int ends[2]);

/* A handler that does nothing but interrupt (@flags: 0 or SA_RESTART). */
void interrupt_by(int signal, int flags);

/* -------------------------------------------------------------------- bytes */

/*
 * Byte @at of the stream called @tag. Streams differ by tag, and a period that
 * no block divides shows bytes that were lost, doubled or moved.
 */
static inline uint8_t pattern(unsigned int tag, uint64_t at)
{
	return (uint8_t)((at % 251) ^ (tag * 0x9d));
}

void pattern_fill(void *buf, size_t len, unsigned int tag, uint64_t at);
bool pattern_is(const void *buf, size_t len, unsigned int tag, uint64_t at);

/* Writes bytes [@at, @at + @len) of @tag with calls of at most @chunk bytes.
 * Returns 0 or -errno.
 */
int pattern_write(int fd, size_t len, size_t chunk, unsigned int tag, uint64_t at);

/* What a reader saw until its stream was over. */
struct heard {
	uint64_t bytes;
	int end;		/* 0 for end of file, or -errno */
	bool intact;		/* all of it was @tag's, in order, from 0 */
};

/* Reads until end of file or an error, by calls of at most @chunk bytes. */
struct heard pattern_read(int fd, size_t chunk, unsigned int tag);

/* As read(), but goes on until @len bytes are there or the stream is over.
 * Returns bytes, or -errno if there were none.
 */
long read_full(int fd, void *buf, size_t len);

/* xorshift: the same numbers each run for the same seed, which is not 0. */
uint64_t random_next(uint64_t *seed);

/* ----------------------------------------------------------- for the harness */

/* For FIXTURE_SETUP and FIXTURE_TEARDOWN of tests with a flow. */
#define FLOW_SETUP(flow, options)						\
do {										\
	int flow_error = flow_new(flow, options);				\
										\
	ASSERT_EQ(0, flow_error)						\
		TH_LOG("no flow could be set up: %s", strerror(-flow_error));	\
} while (0)

#define FLOW_TEARDOWN(flow)							\
do {										\
	const char *flow_complaint;						\
										\
	flow_del(flow);								\
	flow_complaint = log_complaint((flow)->log);				\
	EXPECT_EQ(NULL, flow_complaint)						\
		TH_LOG("the kernel's log: %s", flow_complaint);			\
} while (0)

/* The same with both ends open: for fixtures with the members flow, w and r. */
#define ENDS_SETUP(self, options, writer_flags, reader_flags)			\
do {										\
	FLOW_SETUP(&(self)->flow, options);					\
	(self)->w = flow_writer(&(self)->flow, writer_flags);			\
	(self)->r = flow_reader(&(self)->flow, reader_flags);			\
	ASSERT_LE(0, (self)->w);						\
	ASSERT_LE(0, (self)->r);						\
} while (0)

#define ENDS_TEARDOWN(self)							\
do {										\
	close((self)->w);							\
	close((self)->r);							\
	FLOW_TEARDOWN(&(self)->flow);						\
} while (0)

/* A read that must give exactly this text. */
#define EXPECT_READ(fd, text)							\
do {										\
	const char *read_text = (text);						\
	char read_buf[256] = "";						\
	long read_len = read_full(fd, read_buf, strlen(read_text));		\
										\
	EXPECT_EQ((long)strlen(read_text), read_len)				\
		TH_LOG("reading '%s'", read_text);				\
	EXPECT_STREQ(read_text, read_buf);					\
} while (0)

/* A write that must take all of the text. */
#define EXPECT_WRITE(fd, text)							\
	EXPECT_EQ((long)strlen(text), sys(write(fd, text, strlen(text))))

/* The stream is over, for good: 0 or -ECONNABORTED. */
#define EXPECT_OVER(fd, how)							\
do {										\
	char over_buf[16];							\
										\
	EXPECT_EQ(how, sys(read(fd, over_buf, sizeof(over_buf))));		\
	EXPECT_EQ(how, sys(read(fd, over_buf, sizeof(over_buf))));		\
} while (0)

#endif /* _FAASIN_SELFTESTS_COMMON_H */
