// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Code of the process that could write the key register. Ours is known. glibc has it in
 * pkey_set(), which nobody needs who has domains, and the loader in what binds functions
 * when they are first called, which nobody needs when all are bound. Both are made to trap.
 * Whatever else there is, is an error.
 */
#include <dlfcn.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "state.h"

/* What was made to trap: the loader has a handful. */
static uint64_t traps[16];
static size_t n_traps;

bool disarmed(const void *address)
{
	size_t i;

	for (i = 0; i < n_traps; i++)
		if (traps[i] == (uintptr_t)address)
			return true;
	return false;
}

static bool is_gate(uint64_t address)
{
	const uintptr_t *at;

	for (at = gate_writes; *at; at++)
		if (*at == address)
			return true;
	return false;
}

/* Whether the loader has it: what goes by its name could be anything. */
bool is_loader(uintptr_t address)
{
	Dl_info info;

	return dladdr((void *)address, &info) &&
	       (uintptr_t)info.dli_fbase == getauxval(AT_BASE);
}

/* ud2, and a nop where there is a byte left. */
static int make_trap(uint64_t address, struct faasctl_error *err)
{
	uint64_t page = address & -PAGE_SIZE, end = (address + 3 + PAGE_SIZE - 1) & -PAGE_SIZE;
	static const uint8_t trap[] = { 0x0f, 0x0b, 0x90 };

	if (n_traps == ARRAY_SIZE(traps))
		return faasctl__fail(err, ENOEXEC, "the loader has more instructions that write the key register than it should");
	traps[n_traps++] = address;
	domains->info.disarmed++;
	/*
	 * For a moment it can be written and executed. Other threads, if there are any, have
	 * no reason to be there: nothing calls pkey_set(), and all is bound.
	 */
	if (mprotect((void *)page, end - page, PROT_READ | PROT_WRITE | PROT_EXEC))
		return faasctl__fail_errno(err, errno, "cannot change code at 0x%llx",
					   (unsigned long long)address);
	memcpy((void *)(uintptr_t)address, trap, sizeof(trap));
	if (mprotect((void *)page, end - page, PROT_READ | PROT_EXEC))
		return faasctl__fail_errno(err, errno, "cannot protect code at 0x%llx",
					   (unsigned long long)address);
	return 0;
}

/* Within the function, whose code is not longer than that. */
static bool is_in(uint64_t address, const char *function)
{
	uintptr_t at = (uintptr_t)dlsym(RTLD_NEXT, function);

	return at && address - at < 128;
}

static int look_at(const struct faasctl_scan_hit *hit, void *arg)
{
	struct faasctl_error *err = arg;

	if (hit->kind == FAASCTL_SCAN_WRPKRU && is_gate(hit->address))
		return 0;
	if (hit->kind == FAASCTL_SCAN_WRPKRU && is_in(hit->address, "pkey_set"))
		return make_trap(hit->address, err);
	if (hit->kind == FAASCTL_SCAN_XRSTOR && is_loader(hit->address)) {
		if (!domains->binds_late)
			return make_trap(hit->address, err);
		domains->info.left++;
		return 0;
	}
	return faasctl__fail(err, ENOEXEC,
		"code of this process could undo protection keys: %s at 0x%llx in %.200s (byte %llu); see: faasctl scan",
		faasctl_scan_name(hit->kind), (unsigned long long)hit->address,
		*hit->path ? hit->path : "no file", (unsigned long long)hit->offset);
}

/* Looks through all code; none of it is left that could undo keys, but for info.left. */
int disarm(struct faasctl_error *err)
{
	domains->info.left = 0;
	return faasctl_scan_process(look_at, err, err);
}
