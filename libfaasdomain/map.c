// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a domain may do to the layout of memory: map pages of its own slot, and change these;
 * nothing to that of others, and no new code. These are functions of the C library: what makes
 * system calls by itself passes by.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "mapping.h"
#include "state.h"

/* In a handler of the host's, or in a child of vfork(), which are no domain. */
static bool denied(void)
{
	if (!is_inside())
		return false;
	errno = EACCES;
	return true;
}

static long ask(struct map_call *call)
{
	long ret = gate_monitor(SERVICE_MAP, call);

	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/*
 * What the host makes executable is looked through before the next one goes in. If that failed,
 * some of it may be so: mprotect() goes as far as there is memory.
 */
static long made(int prot, long ret)
{
	if (prot & PROT_EXEC)
		code_changed();
	return ret;
}

OVERRIDE void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct map_call call = {
		.number = SYS_mmap, .at = (uintptr_t)at, .size = size, .prot = prot,
		.flags = flags, .fd = fd, .offset = offset,
	};

	if (is_domain())
		return (void *)ask(&call);
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) && denied())
		return MAP_FAILED;
	return (void *)made(prot, syscall(SYS_mmap, at, size, prot, flags, fd, offset));
}

OVERRIDE void *mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	return mmap(at, size, prot, flags, fd, offset);
}

OVERRIDE int munmap(void *at, size_t size)
{
	struct map_call call = { .number = SYS_munmap, .at = (uintptr_t)at, .size = size };

	if (is_domain())
		return ask(&call);
	return denied() ? -1 : syscall(SYS_munmap, at, size);
}

OVERRIDE int mprotect(void *at, size_t size, int prot)
{
	struct map_call call = {
		.number = SYS_mprotect, .at = (uintptr_t)at, .size = size, .prot = prot,
	};

	if (is_domain())
		return ask(&call);
	return denied() ? -1 : made(prot, syscall(SYS_mprotect, at, size, prot));
}

OVERRIDE int madvise(void *at, size_t size, int advice)
{
	struct map_call call = {
		.number = SYS_madvise, .at = (uintptr_t)at, .size = size, .flags = advice,
	};

	if (is_domain())
		return ask(&call);
	return denied() ? -1 : syscall(SYS_madvise, at, size, advice);
}

OVERRIDE void *mremap(void *at, size_t old, size_t size, int flags, ...)
{
	struct map_call call = {
		.number = SYS_mremap, .at = (uintptr_t)at, .size = old, .new_size = size,
		.flags = flags,
	};
	va_list args;
	void *to;

	va_start(args, flags);
	to = flags & MREMAP_FIXED ? va_arg(args, void *) : NULL;
	va_end(args);
	call.to = (uintptr_t)to;
	if (is_domain())
		return (void *)ask(&call);
	return denied() ? MAP_FAILED : (void *)syscall(SYS_mremap, at, old, size, flags, to);
}

static bool refused(int code)
{
	if (is_inside())
		errno = code;
	return is_inside();
}

/* What it gives is not the domain's, and there is one of it for all. */
OVERRIDE int brk(void *at)
{
	return refused(ENOMEM) ? -1 : NEXT(brk)(at);
}

OVERRIDE void *sbrk(intptr_t more)
{
	return refused(ENOMEM) ? (void *)-1 : NEXT(sbrk)(more);
}

/* Keys are given by domains, and memory has the key of its domain. */
OVERRIDE int pkey_mprotect(void *at, size_t size, int prot, int key)
{
	return refused(EPERM) ? -1 : made(prot, syscall(SYS_pkey_mprotect, at, size, prot, key));
}

OVERRIDE int pkey_alloc(unsigned int flags, unsigned int rights)
{
	return refused(EPERM) ? -1 : syscall(SYS_pkey_alloc, flags, rights);
}

OVERRIDE int pkey_free(int key)
{
	return refused(EPERM) ? -1 : syscall(SYS_pkey_free, key);
}

/* At an address there may be something of others'. */
OVERRIDE void *shmat(int id, const void *at, int flags)
{
	void *ret;

	if ((flags & SHM_EXEC && refused(EPERM)) || (at && refused(EACCES)))
		return (void *)-1;
	ret = NEXT(shmat)(id, at, flags);
	made(flags & SHM_EXEC ? PROT_EXEC : 0, 0);
	return ret;
}

OVERRIDE int remap_file_pages(void *at, size_t size, int prot, size_t page, int flags)
{
	return refused(EPERM) ? -1 : NEXT(remap_file_pages)(at, size, prot, page, flags);
}

/* With some of these all that can be read can be executed. */
OVERRIDE int personality(unsigned long which)
{
	return which != 0xffffffff && refused(EPERM) ? -1 : NEXT(personality)(which);
}
