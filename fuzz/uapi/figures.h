/* SPDX-License-Identifier: GPL-2.0 */
/* How far it has come: lines on the way and a table at the end. */
#ifndef _FUZZ_UAPI_FIGURES_H
#define _FUZZ_UAPI_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct figures - counts so far
 * @runs: programs executed
 * @edges: of the module, reached
 * @outcomes: pairs of a call and how it ended
 * @corpus: programs that reached something new
 * @injected: faults
 */
struct figures {
	long runs;
	size_t edges, outcomes, corpus;
	uint64_t injected;
};

double figures_clock(void);	/* seconds since figures_start() */
void figures_start(void);
void figures_note(const struct figures *now);
void figures_print(const struct figures *last);

#endif /* _FUZZ_UAPI_FIGURES_H */
