/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where programs went: edges between basic blocks of the module, by KCOV; and how
 * calls ended, where there is none.
 */
#ifndef _FUZZ_UAPI_COVER_H
#define _FUZZ_UAPI_COVER_H

#include "program.h"

#define COVERED		3	/* tasks: thread 0, thread 1, the second process */

/* True if this kernel has KCOV. */
bool cover_start(void);

/* The calling task is covered from now on, as number @task. */
void cover_enter(unsigned int task);

/* Before and after a program. cover_new() returns how many edges nobody had reached. */
void cover_clear(void);
size_t cover_new(void);

/*
 * How @call ended: an error's number or 0. cover_new_outcomes() returns how many pairs
 * of a call and an error are new.
 */
size_t cover_new_outcomes(const struct program *p, const uint16_t *errors);

#endif /* _FUZZ_UAPI_COVER_H */
