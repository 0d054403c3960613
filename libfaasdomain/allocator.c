// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What jemalloc calls: the Makefile gives these names to what it would call of the C library. So
 * its own memory is not taken for a function's, and it is known whether a thread that is stopped
 * has it in a state in which nobody can go on with it.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "jemalloc.h"
#include "state.h"

/* ----------------------------------------------------------------------------- locks */

/*
 * Of a thread with a cache of its own, where nobody looks earlier: a stack that ends does so
 * before the first lock, when nothing has happened yet, and not before the next ones of what
 * it does then, which are taken a little deeper, or not as deep. Of any but the domain's own
 * it is not known where it ends: all of it is looked at. That it may be another one by now,
 * at the same place and with less, matters to who made both.
 */
static __attribute__((noinline)) void look_at_stack(void)
{
	const volatile char *here = __builtin_frame_address(0);
	size_t below;

	if (inside.heap.in_heap || inside.looked - (uintptr_t)here < PAGE_SIZE)
		return;
	/* What ends it may be a single page. */
	if ((uintptr_t)here - inside.stack_from >= inside.stack_room)
		for (below = PAGE_SIZE; below <= STACK_LOOKED; below += PAGE_SIZE)
			(void)here[-below];
	inside.looked = (uintptr_t)here;
}

/* A lock is counted before it is taken, and after it was given back. */
static inline void begin_lock(void)
{
	if (inside.domain && !inside.locks)
		look_at_stack();
	inside.locks++;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void end_lock(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	inside.locks--;
	/* What is sent from here on stops it at once: who looked before would never do so again. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* A signal was sent that stops it, and waits for this. */
	if (__builtin_expect(inside.stop, 0) && !inside.locks && is_inside())
		domain_exit(0);
}

int allocator_pthread_mutex_lock(pthread_mutex_t *lock)
{
	int ret;

	begin_lock();
	ret = pthread_mutex_lock(lock);
	if (ret)
		end_lock();
	return ret;
}

int allocator_pthread_mutex_trylock(pthread_mutex_t *lock)
{
	int ret;

	begin_lock();
	ret = pthread_mutex_trylock(lock);
	if (ret)
		end_lock();
	return ret;
}

int allocator_pthread_mutex_unlock(pthread_mutex_t *lock)
{
	int ret = pthread_mutex_unlock(lock);

	end_lock();
	return ret;
}

/* --------------------------------------------------------------------------- memory */

/* Where it wants its memory; elsewhere it would cut pieces off. */
#define ALIGNMENT	(2ul << 20)

/* What it keeps to itself is not in a slot: it outlives the domain. */
void *allocator_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	long new;

	/* A filtered thread cannot unmap what is too much: there is none. */
	if (!inside.filtered || at || fd >= 0 || size < ALIGNMENT)
		return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
	new = syscall(SYS_mmap, NULL, size + ALIGNMENT, prot, flags, -1, 0);
	return new == -1 ? MAP_FAILED : (void *)((new + ALIGNMENT - 1) & -ALIGNMENT);
}

int allocator_munmap(void *at, size_t size)
{
	return syscall(SYS_munmap, at, size);
}

int allocator_madvise(void *at, size_t size, int advice)
{
	return syscall(SYS_madvise, at, size, advice);
}

int allocator_mprotect(void *at, size_t size, int prot)
{
	return syscall(SYS_mprotect, at, size, prot);
}

/* --------------------------------------------------------------------------- its end */

/* It found something damaged, and gives no lock back any more. */
void allocator_abort(void)
{
	inside.heap.in_heap = true;
	inside.damaged = true;
	abort();
}

/*
 * Whether a thread that is stopped inside @domain, at the instruction @at, was in the allocator,
 * and past the point where nothing has happened yet.
 */
bool allocator_has(const struct faasctl_domain *domain, int sig, const siginfo_t *info,
		   uintptr_t at)
{
	if (inside.heap.in_heap || inside.locks)
		return true;
	if (!inside.own_cache)
		return false;
	/* What was sent may have come anywhere, in what it calls of the C library, too. */
	if (info->si_code <= 0 && sig != SIGABRT && sig != SIGPIPE)
		return true;
	/* Its stack ended, and it was told so before anything else. */
	if (sig == SIGSEGV && (uintptr_t)info->si_addr - slot_base(domain->slot) < GAP)
		return false;
	return at >= (uintptr_t)__start_jemalloc_text && at < (uintptr_t)__stop_jemalloc_text;
}
