// SPDX-License-Identifier: LGPL-2.1-or-later
/* The address space of domains: slots, and what of them can be used. */
#include <sys/mman.h>

#include "state.h"

/* So many pages of a heap become usable at once: each time is a system call. */
#define GROW	(4ul << 20)

#define RESERVED_FLAGS	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

int space_begin(void)
{
	void *space = mmap(NULL, SLOTS * SLOT_SIZE, PROT_NONE, RESERVED_FLAGS, -1, 0);

	if (space == MAP_FAILED)
		return -ENOMEM;
	/* A process that is made is no place for what others keep here, nor is a dump. */
	madvise(space, SLOTS * SLOT_SIZE, MADV_DONTFORK);
	madvise(space, SLOTS * SLOT_SIZE, MADV_DONTDUMP);
	gate_fixed.space = (uintptr_t)space;
	gate_fixed.space_size = SLOTS * SLOT_SIZE;
	return 0;
}

static int tag(uintptr_t at, size_t size, int key)
{
	return size && pkey_mprotect((void *)at, size, PROT_READ | PROT_WRITE, key) ?
		-ENOMEM : 0;
}

/* Gives all of a domain's memory to @key. */
int space_tag(struct faasctl_domain *domain, int key)
{
	int ret = tag(stack_base(domain), domain->stack_size, key);

	if (!ret && domain->has_thread_memory)
		ret = tag(thread_base(domain), THREAD_SIZE, key);
	if (!ret)
		ret = tag(heap_base(domain->slot), domain->heap_size, key);
	return ret;
}

int space_stack(struct faasctl_domain *domain)
{
	/* syscall() and the like read arguments on the stack that nobody gave. */
	domain->gate.stack = stack_base(domain) + domain->stack_size - 128;
	return tag(stack_base(domain), domain->stack_size, domains->vault_key);
}

int space_thread(struct faasctl_domain *domain)
{
	int ret;

	if (domain->has_thread_memory)
		return 0;
	/* It may have its key already, and keep it until it is entered. */
	ret = tag(thread_base(domain), THREAD_SIZE, domain->key ? domain->key : domains->vault_key);
	/* fork() links it to others of its kind in the process it makes, which sees zeroes. */
	if (!ret && (madvise((void *)thread_base(domain), THREAD_SIZE, MADV_DOFORK) ||
		     madvise((void *)thread_base(domain), THREAD_SIZE, MADV_WIPEONFORK)))
		ret = -ENOMEM;
	domain->has_thread_memory = !ret;
	return ret;
}

/* Makes the first @size bytes of an entered domain's heap usable. */
bool space_grow(struct faasctl_domain *domain, size_t size)
{
	size_t have = domain->heap_size;

	if (size <= have)
		return true;
	if (size > domain->heap_max)
		return false;
	size = (size + GROW - 1) & ~(GROW - 1);
	if (size > domain->heap_max)
		size = domain->heap_max;
	if (tag(heap_base(domain->slot) + have, size - have, domain->key))
		return false;
	domain->heap_size = size;
	return true;
}

/*
 * Whatever was in the slot is gone. Other than advice, this holds for locked memory, too. If
 * the kernel has no memory for that, all is zeroed where it is, and stays in the vault.
 */
void space_drop(struct faasctl_domain *domain)
{
	void *base = (void *)slot_base(domain->slot);

	if (mmap(base, SLOT_SIZE, PROT_NONE, RESERVED_FLAGS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		space_tag(domain, domains->vault_key);
		memset((void *)stack_base(domain), 0, domain->stack_size);
		if (domain->has_thread_memory)
			memset((void *)thread_base(domain), 0, THREAD_SIZE);
		memset((void *)heap_base(domain->slot), 0, domain->heap_size);
	} else {
		madvise(base, SLOT_SIZE, MADV_DONTFORK);
		madvise(base, SLOT_SIZE, MADV_DONTDUMP);
	}
	domain->heap_size = 0;
	domain->has_thread_memory = false;
}

/*
 * In a process that was made: none of it is there, and what is allocated may come to be in the
 * same place.
 */
void space_forget(void)
{
	mprotect(&gate_fixed, sizeof(gate_fixed), PROT_READ | PROT_WRITE);
	gate_fixed.space_size = 0;
	gate_fixed.vault_size = 0;
	mprotect(&gate_fixed, sizeof(gate_fixed), PROT_READ);
}

void space_end(void)
{
	if (gate_fixed.space_size)
		munmap((void *)gate_fixed.space, gate_fixed.space_size);
	gate_fixed.space_size = 0;
}
