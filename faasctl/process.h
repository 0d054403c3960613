/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands run as stages: exec runs one, run several at once.
 *
 * Signals that are passed on are held back from processes_hold_signals() on, so
 * that what was made is taken apart again, and are given to the commands once
 * these exist.
 */
#ifndef FAASCTL_PROCESS_H
#define FAASCTL_PROCESS_H

#include <poll.h>
#include <sys/types.h>

#include "tool.h"

/**
 * struct process - a stage's command
 * @workflow: the workflow
 * @stage: the stage
 * @argv: the command; NULL-terminated
 * @cgroup: directory of the stage's cgroup, or -1 to stay where we are
 * @in: the stage's input, to be standard input; -1: inherit
 * @out: the stage's output, to be standard output; -1: inherit
 * @keep: another descriptor that it is to have, by number; -1: none. The caller's, to be closed
 * @abort_on: enum faasin_abort_on of the output's link
 * @never_ran: it could not be executed, or did not begin
 * @pid: the process, or 0 if it does not run
 * @status: how it ended: its exit status, or 128 and the signal
 * @signal: the signal that killed it, or 0
 */
struct process {
	const char *workflow;
	const char *stage;
	char *const *argv;
	int cgroup;
	int in;
	int out;
	int keep;
	uint32_t abort_on;
	bool never_ran;
	pid_t pid;
	int status;
	int signal;
};

#define PROCESS_INIT	{ .cgroup = -1, .in = -1, .out = -1, .keep = -1 }

int wrapper_error(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int wrapper_fail(const struct faasctl_error *err);

int process_cgroup(struct process *process, struct faasctl *ctl);
int process_open(struct process *process, const char *port, bool wait);
void process_close(struct process *process);
void processes_hold_signals(void);
int processes_start(struct process *processes, size_t n);
void processes_wait(struct process *processes, size_t n);
int processes_signals(void);
void processes_wait_and_hear(struct process *processes, size_t n, struct pollfd *files,
			     size_t n_files, void (*hear)(void *arg), void *arg);
void process_finish(struct process *process);
int processes_status(const struct process *processes, size_t n);
void processes_report(const struct process *processes, size_t n);

/* functions.c */

/**
 * struct function_options - how functions are to run
 * @hostile: each confined, in a process of its own
 * @filter: whether careful ones have a filter of system calls: auto, always or never
 * @json: say as JSON how they run
 */
struct function_options {
	bool hostile;
	const char *filter;
	bool json;
};

int functions_begin(void);
int functions_run(struct process *stages, size_t n, const struct function_options *options);

/* cgroup.c */
bool cgroup_read(int dir, const char *file, char *text, size_t size);
bool cgroup_populated(int dir);
void cgroup_kill(int dir);

#endif /* FAASCTL_PROCESS_H */
