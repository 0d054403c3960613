/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What functions map: how who is inside asks for it. */
#ifndef FAASCTL_DOMAIN_MAPPING_H
#define FAASCTL_DOMAIN_MAPPING_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct map_call - a call about mappings, as the system's
 * @number: SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise or SYS_mremap
 * @prot: PROT_ bits
 * @flags: of mmap and mremap; of madvise the advice
 * @fd: the file
 * @at: first byte
 * @size: how many
 * @offset: in the file
 * @new_size: of mremap
 * @to: of mremap: where to
 */
struct map_call {
	int number;
	int prot;
	int flags;
	int fd;
	uintptr_t at;
	size_t size;
	long offset;
	size_t new_size;
	uintptr_t to;
};

#endif /* FAASCTL_DOMAIN_MAPPING_H */
