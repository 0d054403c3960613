/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that fail, made smaller as long as they do.
 *
 * A kernel that complained is not asked anything any more, and may be gone at once: what is
 * known is in files beside the programs', and another kernel goes on from there.
 *   FILE.reduced  the smallest that failed yet
 *   FILE.trying   what is being executed
 *   FILE.died     what the kernel said when it died of that: whoever saw it writes it
 */
#ifndef _FUZZ_UAPI_REDUCE_H
#define _FUZZ_UAPI_REDUCE_H

#include "program.h"

/* Exit statuses. */
enum reduce_end {
	REDUCE_DONE,	/* nothing can be left out any more */
	REDUCE_NOT,	/* they do not fail */
	REDUCE_BROKEN,	/* there was a message */
	REDUCE_LATER,	/* in another kernel */
};

/**
 * reduce() - leaves out of programs what they fail without
 * @file: has the programs
 * @attempt: executes some, one after the other, in a new scene; returns what is wrong, or
 *	NULL; and whether it is over: nothing can be tried any more after this
 *
 * Return: how it ended.
 */
enum reduce_end reduce(const char *file,
		       const char *(*attempt)(const struct program *programs, unsigned int n,
					      bool *over));

#endif /* _FUZZ_UAPI_REDUCE_H */
