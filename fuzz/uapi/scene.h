/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every program finds: the workflow fz0, for which the cgroup fuzz-w0 pays, with a
 * chain of three stages, of which b is bound to fuzz-s0, by a sealed and a trusted link; and
 * fz1, for which nobody pays, whose links have records, and those of b are dealt. All
 * channels are empty.
 *
 * To make it anew takes longer than most programs do: what a program left as it was stays.
 */
#ifndef _FUZZ_UAPI_SCENE_H
#define _FUZZ_UAPI_SCENE_H

#include "program.h"

/* All return NULL, or what is wrong, valid until the next call. */

/* Once, before programs are executed: paths, cgroups, control. */
const char *scene_init(void);

/* All of it anew. Nobody may have a port open. */
const char *scene_make(void);

/*
 * After a program that may have changed what @changes says: checks that what links
 * count is true, and undoes the program's changes.
 */
const char *scene_mend(unsigned int changes);

/* Nothing is left, and nobody holds the module. */
const char *scene_end(void);

#endif /* _FUZZ_UAPI_SCENE_H */
