/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What survives a crash: the programs that are about to be executed, and those before
 * them. Programs that failed.
 */
#ifndef _FUZZ_UAPI_RECORD_H
#define _FUZZ_UAPI_RECORD_H

#include "program.h"

#define BATCH	16	/* programs are made, and written down, so many at a time */

/* @file: where to; NULL: to the kernel's log. @failures: a directory, or NULL. */
bool record_init(const char *file, const char *failures);

/* @n programs are next, the first being run number @first. */
void record_batch(const struct program *batch, unsigned int n, long first);

/* From here on, programs are executed in a new scene. */
void record_scene(void);

/* @p is executed next: in the scene that those since record_scene() left. */
void record_run(const struct program *p);

/*
 * The program of this run failed: saves it, and what was executed in its scene before. @p:
 * NULL if it is not known which of these it was.
 */
void record_failure(long run, const struct program *p);

#endif /* _FUZZ_UAPI_RECORD_H */
