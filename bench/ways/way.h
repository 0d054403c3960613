/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A way to move bytes from one process to another: FAASIN's, and the others that it is
 * measured beside. The measuring programs drive all of them by the same code.
 */
#ifndef BENCH_WAY_H
#define BENCH_WAY_H

#include <sys/uio.h>

#include "../bench.h"
#include "../links.h"

#define LARGEST		16000000	/* bytes handed off at once */
#define PARTS		16		/* of a record, or records, received at once */
#define LINE		64

/* What a way is measured in. */
enum {
	WAY_STREAM	= 1 << 0,
	WAY_TRIP	= 1 << 1,
	WAY_HANDOFF	= 1 << 2,
};

struct way;

/**
 * struct reader - what arrived from a server and was not consumed
 * @at: the first of it
 * @len: the end of it
 * @data: all
 */
struct reader {
	size_t at, len;
	char data[4096];
};

/**
 * struct lane - a way that is open
 * @way: which one
 * @nr: 0, or 1 for the way back of a round trip
 * @touch: the consumer touches every line of what it receives
 * @ends: {reading end, writing end}
 * @own: memory of this process
 * @size: of it
 * @window: of this process's end, or NULL
 * @taken: what the consumer has of the way's memory
 * @n_taken: how many parts
 * @via: a pipe of this process's own
 * @file: what is handed off, or -1
 * @reader: of a server's connection
 */
struct lane {
	const struct way *way;
	int nr;
	bool touch;
	int ends[2];
	char *own;
	size_t size;
	struct faasctl_window *window;
	struct iovec taken[PARTS];
	int n_taken;
	int via[2];
	int file;
	struct reader reader;
};

/**
 * struct way - a way to move bytes
 * @name: in the tables
 * @key: in the JSON
 * @uses: WAY_*
 * @most: bytes that it moves at once, or 0 for any number
 * @copies: copies of a byte by construction that the module's statistics do not count
 * @workflow: whose statistics count the rest, or NULL
 * @missing: why it cannot be measured here, or NULL; NULL for ways that are always there
 * @setup: before the first lane; may be NULL, as @teardown
 * @open: a lane, before the fork
 * @begin: in each of the two processes
 * @memory: where the producer is to put @size bytes
 * @send: hands them off
 * @receive: waits for, and returns, at most @size bytes; 0 at the end of a stream
 * @done: gives back what was received; may be NULL
 * @close: in each of the two processes
 * @alone: bytes a second that one process alone moves in a stream; such a way has no lanes,
 *	and none of the functions about them
 * @server: process id of the server that moves the bytes; may be NULL
 */
struct way {
	const char *name;
	const char *key;
	unsigned int uses;
	size_t most;
	int copies;
	const char *workflow;
	const char *(*missing)(void);
	void (*setup)(void);
	void (*teardown)(void);
	void (*open)(struct lane *lane);
	void (*begin)(struct lane *lane, bool producer);
	char *(*memory)(struct lane *lane, size_t size);
	void (*send)(struct lane *lane, char *from, size_t size);
	size_t (*receive)(struct lane *lane, size_t size);
	void (*done)(struct lane *lane);
	void (*close)(struct lane *lane);
	double (*alone)(size_t size, double seconds);
	pid_t (*server)(void);
};

extern const struct way way_faasin, way_splice, way_sendfile, way_sealed, way_trusted;
extern const struct way way_pipe, way_pipe_1m, way_fifo, way_unix, way_seqpacket;
extern const struct way way_memcpy, way_process_vm, way_memfd, way_tmpfs, way_redis, way_nats;

/* All, FAASIN's own first. */
extern const struct way *const ways[];
extern const size_t n_ways;

void touch(const char *at, size_t size);

/* What ways have in common that read and write descriptors. */
void bytes_begin(struct lane *lane, bool producer);
char *bytes_memory(struct lane *lane, size_t size);
void bytes_send(struct lane *lane, char *from, size_t size);
size_t bytes_receive(struct lane *lane, size_t size);
void bytes_close(struct lane *lane);

/* What all ways need around their own functions. */
void ways_setup(unsigned int use);
void ways_teardown(unsigned int use);
bool way_takes(const struct way *way, unsigned int use, size_t size);
void lane_open(struct lane *lane, const struct way *way, int nr, size_t size);
void lane_begin(struct lane *lane, bool producer);
void lane_send(struct lane *lane, size_t size);
void lane_receive(struct lane *lane, size_t size);
void lane_close(struct lane *lane);

#endif /* BENCH_WAY_H */
