/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jemalloc as the library carries it: all of its names begin with je_ (the Makefile
 * renames them), so that malloc() can be ours.
 */
#ifndef FAASCTL_DOMAIN_JEMALLOC_H
#define FAASCTL_DOMAIN_JEMALLOC_H

#include <stdbool.h>
#include <stddef.h>

#define JEMALLOC_NO_RENAME
#define JEMALLOC_NO_DEMANGLE
#include <jemalloc/jemalloc.h>

/* What experimental.arenas_create_ext takes; the header does not have it. */
struct arena_config {
	extent_hooks_t *extent_hooks;
	bool metadata_use_hooks;
};

#endif /* FAASCTL_DOMAIN_JEMALLOC_H */
