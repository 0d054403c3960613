/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scanner of bytes, which knows nothing of files and processes. */
#ifndef FAASCTL_DOMAIN_SCAN_H
#define FAASCTL_DOMAIN_SCAN_H

#include <faasctl/domain.h>

/* The instructions that are looked for have three bytes at least; the rest is operands. */
#define SCAN_KEEP	2

/**
 * struct scan - code that is being looked through
 * @fn: is called for each finding
 * @arg: for @fn
 * @path: what it is a part of
 * @next: the address behind what was looked at
 * @kept: the last bytes before that
 * @n_kept: how many are known
 * @from: where each of them is in its file
 */
struct scan {
	faasctl_scan_fn fn;
	void *arg;
	const char *path;
	uint64_t next;
	uint8_t kept[SCAN_KEEP];
	unsigned int n_kept;
	uint64_t from[SCAN_KEEP];
};

int scan_feed(struct scan *scan, uint64_t address, uint64_t offset,
	      const uint8_t *code, size_t len);
int scan_tell(const struct scan *scan, enum faasctl_scan_kind kind,
	      uint64_t address, uint64_t offset);

#endif /* FAASCTL_DOMAIN_SCAN_H */
