/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The links that a command line names: of a workflow, of an output, or of a chain. */
#ifndef FAASCTL_SELECTION_H
#define FAASCTL_SELECTION_H

#include "tool.h"

/**
 * struct selected - a link, as the library wants it named
 * @src: the end that writes, STAGE:PORT
 * @dst: the end that reads
 * @generation: the incarnation that was selected
 * @told: it was told what to do
 * @done: it has done that
 */
struct selected {
	char src[2 * (FAASIN_NAME_MAX + 1)];
	char dst[2 * (FAASIN_NAME_MAX + 1)];
	uint64_t generation;
	bool told;
	bool done;
};

struct selection {
	struct selected *links;
	size_t n;
};

int selection_read(struct selection *sel, struct faasctl *ctl,
		   const char *workflow, char **ends, int n_ends,
		   struct faasctl_error *err);
int selection_open(struct selection *sel, struct args *args, struct faasctl **ctl,
		   struct faasctl_error *err);
int selection_tell(struct selection *sel, size_t i, const char *workflow, uint32_t state,
		   struct faasctl *ctl, struct faasctl_error *err);
int selection_set_state(struct selection *sel, struct args *args, uint32_t state,
			struct faasctl **ctl);
int selection_run_state(struct args *args, uint32_t state);

static inline void selection_free(struct selection *sel)
{
	free(sel->links);
}

#endif /* FAASCTL_SELECTION_H */
