// SPDX-License-Identifier: GPL-2.0
/*
 * Words that programs say: paths, names, cgroups and the like.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ioctls.h"

const char *const paths[] = {
	"sys/fz0/a/faasout", "sys/fz0/b/faasin", "sys/fz0/b/faasout", "sys/fz0/c/faasin",
	"sys/fz0/a/out1", "sys/fz0/b/in1", "sys/fz1/a/faasout", "sys/fz1/b/faasin",
	"sys/fz1/b/faasout", "sys/fz1/c/faasin", "sys/fz1/d/faasin",
	"sys/fz0/a/faasin", "sys/fz0/c/faasout", "sys/self/faasout", "sys/self/faasin",
	"sys/fz0/self/faasin", "sys/fz2/a/faasout", "sys/fz2/b/faasin", "sys/fz2/b/faasout",
	"sys/fz2/c/faasin", "sys/fz2/c/faasout", "sys/fz2/d/faasin", "sys", "sys/fz0",
	"sys/fz0/a", "sys/self", "sys/none", "m0", "m0/a/faasout", "m0/b/faasin",
	"m0/fz0/a/faasout", "m0/faasout", "m0/faasin", "m1", "m1/faasout", "m1/faasin",
	"m1/self/faasin", "m2/fz0/b/faasin", "file",
};

const char *const names[] = {
	"fz0", "fz1", "fz2", "a", "b", "c", "d", "faasin", "faasout", "in1", "out1", "self",
	".bad", "b/ad", "none",
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
};

const char *const options[] = {
	"-", "workflow=fz0", "workflow=fz0,stage=a", "workflow=fz0,stage=b", "workflow=fz1",
	"workflow=none", "stage=a", "workflow=fz0,stage=none", "workflow", "workflow=,stage=",
	"other=1", "workflow=fz0,workflow=fz1", "ro", "workflow=fz0,stage=a,stage=b",
};

const char *const places[] = {
	"m0", "m1", "m2", "sys", "none", "file",
};

static_assert(ARRAY_SIZE(places) == PLACES);

const char *const cgroups[] = {
	"fuzz-w0", "fuzz-s0", "fuzz-s1", "fuzz-w1", "fuzz-none", ".", "..",
};

static_assert(ARRAY_SIZE(cgroups) == CGROUPS_OWN + 2);

struct words words_of(enum kind kind)
{
	switch (kind) {
	case K_PATH: return (struct words)WORDS(paths);
	case K_WORD: return (struct words)WORDS(names);
	case K_OPTIONS: return (struct words)WORDS(options);
	case K_PLACE: return (struct words)WORDS(places);
	case K_CGROUP: return (struct words)WORDS(cgroups);
	case K_IOCTL: return (struct words)WORDS(ioctls);
	default: return (struct words){ .count = 0 };
	}
}

const char *word_at(struct words words, size_t i)
{
	const char *entry = words.table;

	return *(const char *const *)(entry + i * words.size);
}

uint64_t name_value(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return i;
	abort();
}
