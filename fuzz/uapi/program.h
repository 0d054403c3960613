/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs: short lists of calls, by two threads or processes.
 */
#ifndef _FUZZ_UAPI_PROGRAM_H
#define _FUZZ_UAPI_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define CALLS_MAX	16
#define ARGS_MAX	6
#define ATTRS_MAX	10
#define SLOTS		12
#define BOTH		2		/* the thread of calls made before there are two */

/* What an argument means: where its values come from and how it is written. */
enum kind {
	K_NONE, K_SLOT, K_PATH, K_OPEN, K_SIZE, K_POINTER, K_POLL, K_IOCTL, K_WORD, K_NUMBER,
	K_FCNTL, K_SPLICE, K_SIGNAL, K_OPTIONS, K_PLACE, K_CGROUP, K_COMMAND, K_NLFLAGS,
	K_PROTECTION, K_SMALL, K_LIMIT, K_RARE,
};

/**
 * struct words - values that are words, so that texts outlive changes to the tables
 * @table: its entries are words, or begin with one
 * @count: how many; 0 where values are numbers
 * @size: of an entry
 */
struct words {
	const void *table;
	size_t count;
	size_t size;
};

#define WORDS(table)	{ table, ARRAY_SIZE(table), sizeof((table)[0]) }
#define PLACES		6
#define CGROUPS_OWN	5	/* of the cgroups: the others are what these are in */

struct words words_of(enum kind kind);
const char *word_at(struct words words, size_t i);
extern const char *const paths[], *const names[], *const options[], *const places[],
	*const cgroups[];
uint64_t name_value(const char *name);

/**
 * struct attr - an attribute of a request, or a bracket around some
 * @form: s word, d 32 bits, q 64 bits, f descriptor in a slot, x that many bytes,
 *	n begins a nest, e ends it
 * @type: its number
 * @value: payload
 */
struct attr {
	char form;
	uint16_t type;
	uint64_t value;
};

struct call {
	uint8_t op;
	uint8_t thread;
	uint8_t nattrs;
	uint16_t fail;		/* the allocation or copy that is to fail, from 1 */
	uint64_t arg[ARGS_MAX];
	struct attr attr[ATTRS_MAX];
};

struct program {
	bool processes;		/* not threads */
	uint8_t ncalls;
	struct call call[CALLS_MAX];
};

/* What a program may have changed beside the bytes in channels. */
#define CHANGES_TREE	(1u << 0)
#define CHANGES_MOUNTS	(1u << 1)
#define CHANGES_CGROUPS	(1u << 2)
#define CHANGES_CALLER	(1u << 3)	/* its process can do nothing else afterwards */
#define ALWAYS_REFUSED	(1u << 4)	/* changes nothing: it is to fail */

/* All that its calls may change; CHANGES_CALLER is about the process of thread 0. */
unsigned int program_changes(const struct program *p);

/* Makes one up. */
void program_fresh(struct program *p);

/* Changes some of it; may take calls from @other. */
void program_mutate(struct program *p, const struct program *other);

/* Leaves out the calls after which their process can do nothing else. */
void program_tame(struct program *p);

void program_print(FILE *to, const struct program *p);

#define RECORD_END	"# end\n"	/* what follows is old */

/* The next program of a file: 1, 0 at its end, -1 (and a message) where it is no program. */
int program_parse(FILE *from, const char *path, unsigned int *line, struct program *p);

#endif /* _FUZZ_UAPI_PROGRAM_H */
