/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jemalloc as the library carries it: all of its names begin with je_ (the Makefile
 * renames them), so that malloc() can be ours.
 */
#ifndef FAASCTL_DOMAIN_JEMALLOC_H
#define FAASCTL_DOMAIN_JEMALLOC_H

#include <pthread.h>
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

/* What it calls instead of the C library: allocator.c */
int allocator_pthread_mutex_lock(pthread_mutex_t *lock);
int allocator_pthread_mutex_trylock(pthread_mutex_t *lock);
int allocator_pthread_mutex_unlock(pthread_mutex_t *lock);
void *allocator_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int allocator_munmap(void *at, size_t size);
int allocator_madvise(void *at, size_t size, int advice);
int allocator_mprotect(void *at, size_t size, int prot);
void allocator_abort(void);

/* Where its code is: the linker's names for the section that the Makefile puts it in. */
extern const char __start_jemalloc_text[] __attribute__((visibility("hidden")));
extern const char __stop_jemalloc_text[] __attribute__((visibility("hidden")));

#endif /* FAASCTL_DOMAIN_JEMALLOC_H */
