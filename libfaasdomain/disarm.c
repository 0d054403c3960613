// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Code of the process that could write the key register. Ours is known. glibc has it in
 * pkey_set(), which nobody needs who has domains, and the loader in what binds functions
 * when they are first called, which nobody needs when all are bound. Both are made to trap.
 * Whatever else there is, is an error.
 *
 * What comes later is looked through before the next one goes in: libraries, and pages that are
 * made executable.
 */
#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

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

bool is_disarmed(void)
{
	return n_traps;
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

/* Past the library's own mprotect(): this is no new code. */
static int protect(uint64_t from, uint64_t to, int prot)
{
	return syscall(SYS_mprotect, from, to - from, prot);
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
	if (protect(page, end, PROT_READ | PROT_WRITE | PROT_EXEC))
		return faasctl__fail_errno(err, errno, "cannot change code at 0x%llx",
					   (unsigned long long)address);
	memcpy((void *)(uintptr_t)address, trap, sizeof(trap));
	if (protect(page, end, PROT_READ | PROT_EXEC))
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
static int disarm(struct faasctl_error *err)
{
	domains->info.left = 0;
	return faasctl_scan_process(look_at, err, err);
}

/* ---------------------------------------------------------------------- what comes later */

/* Counts what may have brought code. */
atomic_uint code_changes = 1;

/* How many of these there were when all was looked through; 0: it was not. */
static atomic_uint known;

/* How many objects the loader has ever loaded, as far as was noticed. */
static atomic_ullong noticed;

/* Threads that called dlopen() and did not come by again: what it brings may still come. */
static atomic_uint loading;

/* As often code may go while it is looked at. */
#define LOOKS_MAX	100

/* Who looks. */
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;

void code_changed(void)
{
	atomic_fetch_add(&code_changes, 1);
}

/* This thread is about to load something. */
void code_loading(void)
{
	if (!inside.loads)
		atomic_fetch_add(&loading, 1);
	inside.loads = true;
	/* After that: who sees the change sees that more may come. */
	code_changed();
}

/* What this thread was to load is there. */
void code_loaded(void)
{
	if (!inside.loads)
		return;
	inside.loads = false;
	code_changed();
	atomic_fetch_sub(&loading, 1);
}

static bool is_known(unsigned int changes)
{
	return atomic_load(&known) == changes;
}

/* Whether all was looked through, and nothing can come that is not counted. */
bool code_is_known(unsigned int changes)
{
	return is_known(changes) && !atomic_load(&loading);
}

static int count_loaded(struct dl_phdr_info *object, size_t size, void *arg)
{
	*(unsigned long long *)arg = object->dlpi_adds;
	return 1;
}

/* Libraries that libc loads by itself, for names of users, say, are no calls of dlopen(). */
static void notice_loaded(void)
{
	unsigned long long now = 0;

	dl_iterate_phdr(count_loaded, &now);
	if (atomic_load(&noticed) == now)
		return;
	/* In this order: who finds it noticed finds it counted. */
	code_changed();
	atomic_store(&noticed, now);
}

/*
 * Looks through all code if there may be some that was not. Called outside, without locks. Returns
 * 0 or a negative errno: nobody may go in.
 */
int code_check(struct faasctl_error *err)
{
	int ret = 0, tries = 0, cancel;
	unsigned int now;

	code_loaded();
	/* Where others load, by the loader's count: theirs was early, and they may not come by. */
	if (atomic_load(&loading))
		notice_loaded();
	if (is_known(atomic_load(&code_changes)))
		return 0;
	/* To read what there is can be the end of a thread, which would leave the lock. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&looking);
	do {
		/* Before the look: what comes meanwhile is looked for again. */
		now = atomic_load(&code_changes);
		ret = is_known(now) ? 0 : disarm(err);
	} while (ret == -EAGAIN && ++tries < LOOKS_MAX);
	if (!ret)
		atomic_store(&known, now);
	pthread_mutex_unlock(&looking);
	pthread_setcancelstate(cancel, NULL);
	return ret;
}

/* The same, with what libc loaded by itself. */
int code_look(struct faasctl_error *err)
{
	notice_loaded();
	return code_check(err);
}

/* Before there are domains. */
int code_begin(struct faasctl_error *err)
{
	atomic_store(&known, 0);
	return code_look(err);
}
