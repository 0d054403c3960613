// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a domain may do to the layout of memory: nothing to that of domains, and no new
 * code. These are functions of the C library: what makes system calls by itself passes by.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "state.h"

static bool overlaps(uintptr_t at, size_t size, uintptr_t base, size_t len)
{
	return at < base + len && (at + size < at || at + size > base);
}

/*
 * Whether the range has something of the space of domains or of what the library knows of
 * them. One's own is no exception: a hole in a domain could not be given a key any more,
 * and what the kernel puts there would go with the domain.
 */
static bool is_foreign(const void *p, size_t size)
{
	uintptr_t at = (uintptr_t)p;

	return overlaps(at, size, gate_fixed.vault, gate_fixed.vault_size) ||
	       overlaps(at, size, (uintptr_t)&gate_fixed, sizeof(gate_fixed)) ||
	       overlaps(at, size, gate_fixed.space, gate_fixed.space_size);
}

/* Whether this domain must not do that; errno says why. */
static bool denied(const void *p, size_t size, int prot)
{
	if (!is_inside())
		return false;
	if (is_foreign(p, size)) {
		errno = EACCES;
		return true;
	}
	/* What it would execute has not been looked through. */
	if (prot & PROT_EXEC) {
		errno = EPERM;
		return true;
	}
	return false;
}

OVERRIDE void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	bool there = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);

	if (denied(there ? at : NULL, there ? size : 0, prot))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

OVERRIDE void *mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	return mmap(at, size, prot, flags, fd, offset);
}

OVERRIDE int munmap(void *at, size_t size)
{
	return denied(at, size, 0) ? -1 : syscall(SYS_munmap, at, size);
}

OVERRIDE int mprotect(void *at, size_t size, int prot)
{
	return denied(at, size, prot) ? -1 : syscall(SYS_mprotect, at, size, prot);
}

OVERRIDE int madvise(void *at, size_t size, int advice)
{
	return denied(at, size, 0) ? -1 : syscall(SYS_madvise, at, size, advice);
}

OVERRIDE void *mremap(void *at, size_t old, size_t size, int flags, ...)
{
	va_list args;
	void *to;

	va_start(args, flags);
	to = flags & MREMAP_FIXED ? va_arg(args, void *) : NULL;
	va_end(args);
	if (denied(at, old, 0) || (to && denied(to, size, 0)))
		return MAP_FAILED;
	return (void *)syscall(SYS_mremap, at, old, size, flags, to);
}

/* Keys are given by domains, and memory has the key of its domain. */
OVERRIDE int pkey_mprotect(void *at, size_t size, int prot, int key)
{
	if (is_inside()) {
		errno = EPERM;
		return -1;
	}
	return syscall(SYS_pkey_mprotect, at, size, prot, key);
}

OVERRIDE int pkey_alloc(unsigned int flags, unsigned int rights)
{
	if (is_inside()) {
		errno = EPERM;
		return -1;
	}
	return syscall(SYS_pkey_alloc, flags, rights);
}

OVERRIDE int pkey_free(int key)
{
	if (is_inside()) {
		errno = EPERM;
		return -1;
	}
	return syscall(SYS_pkey_free, key);
}
