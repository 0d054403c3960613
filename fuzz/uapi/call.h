/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls: what each word of a program does.
 */
#ifndef _FUZZ_UAPI_CALL_H
#define _FUZZ_UAPI_CALL_H

#include "program.h"

#define BUFFER		(256 * 1024)	/* its last page cannot be read or written */
#define FILLED		'b'		/* every byte that programs write */
#define BASE		"/tmp/faasin-fuzz"

/**
 * struct mapping - what a thread has mapped
 * @at: where; NULL: nothing
 * @length: bytes
 * @of: of what
 * @output: of a window: that of an output
 * @writable: it is, or was
 */
struct mapping {
	uint8_t *at;
	size_t length;
	enum mapping_of { MAPS_FILE, MAPS_WINDOW, MAPS_LANE } of;
	bool output;
	bool writable;
};

/**
 * struct thread - who makes calls
 * @number: 0 or 1
 * @tid: its number for the kernel
 * @fail: fail-nth of this task, -1 where there is none, -2 while nobody asked
 * @nl: sockets for requests, -1 while nobody asked; the second hears events, too
 * @into: what is read goes here
 * @mapping: what it mapped last
 */
struct thread {
	int number;
	int tid;
	int fail;
	int nl[2];
	uint8_t *into;
	struct mapping mapping;
};

/**
 * struct operation - a call that programs can make
 * @name: in texts
 * @weight: how often, against the others
 * @call: makes it: its result, or -1 and errno
 * @changes: CHANGES_*, or ALWAYS_REFUSED; requests change by their command
 * @kind: its arguments
 */
struct operation {
	const char *name;
	unsigned int weight;
	long (*call)(struct thread *t, const struct call *c);
	unsigned int changes;
	enum kind kind[ARGS_MAX];
};

#define OPS	46
extern const struct operation ops[OPS];

typedef long call_fn(struct thread *t, const struct call *c);

/* files.c */
call_fn call_open, call_reopen, call_read, call_write, call_readv, call_writev, call_pread,
	call_poll, call_epoll, call_epoll_ctl, call_epoll_wait, call_pipe, call_splice,
	call_tee, call_vmsplice, call_sendfile, call_copy_range, call_dup, call_fcntl, call_close,
	call_socketpair, call_pass, call_take;

/* ioctls.c */
call_fn call_ioctl;

/* mappings.c */
call_fn call_mmap, call_touch, call_protect, call_unmap;
void mappings_init(void);		/* faults in them are survived */
void mapping_end(struct thread *t);
bool mapping_is_data(const struct mapping *m);	/* what is there, somebody may read */

/* lanes.c */
call_fn call_lane;

/* tree.c */
call_fn call_mount, call_fsmount, call_umount, call_look, call_change, call_cgroup_mkdir,
	call_cgroup_rmdir, call_cgroup_move, call_cgroup_open, call_cgroup_limit;

/* processes.c */
call_fn call_fork, call_die, call_drop, call_shrink, call_pause;

/* requests.c */
call_fn call_netlink, call_hear;
void requests_init(uint16_t family, uint32_t events);
void requests_end(struct thread *t);	/* with new sockets */

/* Descriptors by numbers that programs give them. */
int slot(uint64_t value);
long keep(uint64_t where, long fd);
uint64_t length(uint64_t size, uint64_t how);
void keep_watch(int fd);	/* whose bytes are no data: in none of them */
bool slots_open(void);		/* makes what is written */
const uint8_t *slots_source(void);
uint8_t *slots_buffer(void);	/* one to read into; NULL if there is no memory */
void slots_close(void);
bool is_port(int fd, bool *output);
bool is_lane(int fd);
bool is_written(uint8_t byte);	/* it can be what somebody wrote, or was never filled */

/* Memory that a program names: @buffer, which is the thread's or the source, or something else. */
#define AT_END		2	/* half of it is behind the buffer's end, and not there */
#define IN_MAPPING	6
#define PLACED		7	/* how many there are */
void *place(struct thread *t, uint8_t *buffer, uint64_t how, uint64_t size);

/* Children of the program. */
void children_end(void);		/* kills those that call_fork() made, waits for all */
void children_forget(void);	/* they are somebody else's */

/* A fork starts over when a signal comes: holds those that end calls that block. */
void hold_ticks(bool hold);

/* The module broke its word. */
void violation(const char *text);

#endif /* _FUZZ_UAPI_CALL_H */
