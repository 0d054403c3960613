/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of faasin-host know of stages. All of it is set up by the main thread before
 * a function runs; what is in shared memory, a function can have changed by then.
 */
#ifndef FAASIN_HOST_HOST_H
#define FAASIN_HOST_HOST_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <faasctl/domain.h>
#include <faasctl/function.h>

/* As faasctl exec has them; a shell's way to say that a signal ended it is 128 and more. */
#define STATUS_FAILED		125
#define STATUS_CANNOT		126
#define STATUS_NOT_FOUND	127
#define STATUS_SIGNAL		128

/**
 * struct job - what is called in a domain; shared with it, wherever it runs
 * @main: the function, of one that is loaded here
 * @reports: where to tell that it begins; -1: the host does that
 * @index: which stage it is
 * @others: descriptors that are not for it
 * @n_others: how many
 * @thread: it is a thread
 * @unshare: one that shares descriptors
 * @io: what it is given
 */
struct job {
	int (*main)(struct faas_io *io);
	int reports;
	unsigned int index;
	const int *others;
	unsigned int n_others;
	bool thread;
	bool unshare;
	struct faas_io io;
};

/**
 * struct stage - a stage
 * @name: its name
 * @path: its function's file
 * @job: what it does
 * @domain: where
 * @watcher: the thread that waits for its end
 * @file: of its function: which device and file that is
 * @function: what was loaded here
 * @ports: its input and output
 * @loaded: its function is there, here or in its process
 * @runs: it was started
 */
struct stage {
	const char *name;
	const char *path;
	struct job *job;
	int ports[2];
	struct faasctl_domain *domain;
	pthread_t watcher;
	struct stat file;
	struct faasctl_function function;
	bool loaded;
	bool runs;
};

extern unsigned int n_stages;
extern struct stage *stages;
/* /dev/null, and the signals that were blocked when this process began. */
extern int nowhere;
extern sigset_t signals_before;

int complain(int status, const char *text);
int complain_of(int status, const struct stage *stage, const char *text);

/* load.c */
int load_begin(void);
int load(struct stage *stage, struct faasctl_error *err);
void load_end(void);
int load_confined(struct stage *stage, struct faasctl_error *err);
int call_loaded(struct job *job);

#endif /* FAASIN_HOST_HOST_H */
