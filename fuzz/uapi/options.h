/* SPDX-License-Identifier: GPL-2.0 */
/* What the command line asks for. */
#ifndef _FUZZ_UAPI_OPTIONS_H
#define _FUZZ_UAPI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEDS_MAX	8

struct options {
	const char *seeds[SEEDS_MAX];
	size_t nseeds;
	const char *replay, *reduce, *record, *keep, *failures;
	long seconds, runs;
	uint64_t seed;
	bool unload, verbose, stop;
};

extern struct options want;

/* Ends the process where they are wrong, or ask for help. Paths stay valid after chdir(). */
void options_parse(int argc, char **argv);

#endif /* _FUZZ_UAPI_OPTIONS_H */
