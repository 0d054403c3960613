/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The corpus: programs that reached something new, from which others are made.
 */
#ifndef _FUZZ_UAPI_CORPUS_H
#define _FUZZ_UAPI_CORPUS_H

#include "program.h"

/* @keep: the file that each program goes to as soon as it is found, or NULL. */
bool corpus_init(const char *keep);
void corpus_add(const struct program *p, double seconds);
size_t corpus_size(void);

/*
 * One by chance, more often what takes less time. What came last is what was followed
 * least: one of these, if @new.
 */
const struct program *corpus_any(bool new);

/*
 * Calls @take with every program of a file, or of a directory's files by their names, until
 * it returns false. Returns how many there were; -1 (and a message) if it is no such file.
 */
long corpus_read(const char *path, bool (*take)(const struct program *p));

#endif /* _FUZZ_UAPI_CORPUS_H */
