/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libfaasdomain: stages as threads of one process, kept apart by protection keys.
 *
 * A library of its own beside libfaasctl, because it brings an allocator. Errors are
 * as in faasctl.h: 0 or a negative errno, and one line of text in a struct
 * faasctl_error, which may be NULL.
 *
 * docs/domains.md says what is protected from whom, and what is not.
 */
#ifndef FAASCTL_DOMAIN_H
#define FAASCTL_DOMAIN_H

#include <stddef.h>
#include <stdint.h>

#include <faasctl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ scanning */

/**
 * enum faasctl_scan_kind - what code may not have that shares a process
 * @FAASCTL_SCAN_WRPKRU: the bytes of WRPKRU, which writes the key register
 * @FAASCTL_SCAN_XRSTOR: those of XRSTOR, which can
 * @FAASCTL_SCAN_WRITABLE: code that is writable, too
 * @FAASCTL_SCAN_TEXTREL: relocations in code: what it will be is not known yet
 * @FAASCTL_SCAN_EXECSTACK: it asks for stacks that can be executed
 */
enum faasctl_scan_kind {
	FAASCTL_SCAN_WRPKRU,
	FAASCTL_SCAN_XRSTOR,
	FAASCTL_SCAN_WRITABLE,
	FAASCTL_SCAN_TEXTREL,
	FAASCTL_SCAN_EXECSTACK,
};

/**
 * struct faasctl_scan_hit - a finding
 * @kind: what was found
 * @address: where it is in memory, or would be if the file was mapped at 0
 * @offset: where it is in the file; of several pieces, where it begins
 * @path: the file; of a process, what the mapping is called, or ""
 */
struct faasctl_scan_hit {
	enum faasctl_scan_kind kind;
	uint64_t address;
	uint64_t offset;
	const char *path;
};

/* What is called for each finding; not 0: scanning ends and returns that. */
typedef int (*faasctl_scan_fn)(const struct faasctl_scan_hit *hit, void *arg);

/**
 * faasctl_scan_name - the word for a kind of finding
 * @kind: an enum faasctl_scan_kind
 *
 * Return: a word, "unknown" for a number that is none.
 */
const char *faasctl_scan_name(uint32_t kind);

/**
 * faasctl_scan_memory - look through an ELF file that is in memory
 * @image: the file
 * @size: its size
 * @path: what to call it
 * @fn: is called for each finding
 * @arg: for @fn
 * @err: why it failed, or NULL
 *
 * All that executable segments bring into memory is looked at, at any offset, to the
 * ends of the pages that they touch, and across the border of two that meet.
 *
 * Return: 0, what @fn returned, or
 *   -ENOEXEC   it is no ELF file, for another machine, neither a program nor
 *              a shared object, or cut short
 *   -ENOMEM    no memory
 */
int faasctl_scan_memory(const void *image, size_t size, const char *path,
			faasctl_scan_fn fn, void *arg, struct faasctl_error *err);

/**
 * faasctl_scan_file - look through an ELF file
 * @path: the file
 * @fn: is called for each finding
 * @arg: for @fn
 * @err: why it failed, or NULL
 *
 * Return: as faasctl_scan_memory(), or
 *   -EFBIG     it is larger than 2 GiB
 *   -EINVAL    it is not a regular file
 *   and the errors of open(2) and read(2).
 */
int faasctl_scan_file(const char *path, faasctl_scan_fn fn, void *arg,
		      struct faasctl_error *err);

/**
 * faasctl_scan_process - look through all that this process can execute
 * @fn: is called for each finding
 * @arg: for @fn
 * @err: why it failed, or NULL
 *
 * Every executable mapping, the loader's, libc's and the kernel's (vdso) too.
 * [vsyscall] is left out: it cannot be read, and the kernel does not execute it.
 *
 * Return: 0, what @fn returned, or
 *   -EACCES    something can be executed and not read
 *   -EBADMSG   /proc/self/maps is not what it should be
 *   -ENOMEM    no memory
 *   and the errors of open(2) and read(2).
 */
int faasctl_scan_process(faasctl_scan_fn fn, void *arg,
			 struct faasctl_error *err);

#ifdef __cplusplus
}
#endif

#endif /* FAASCTL_DOMAIN_H */
