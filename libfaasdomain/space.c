// SPDX-License-Identifier: LGPL-2.1-or-later
/* The address space of domains: slots, and what of them can be used. */
#include <sys/mman.h>

#include "state.h"

/* So many pages of a heap become usable at once: each time is a system call. */
#define GROW	(4ul << 20)

#define RESERVED_FLAGS	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

int space_begin(void)
{
	/* If it can be: right before what is shared, so that it is aligned, too. */
	char *before = (char *)(shared_base - (SLOTS + 1) * SLOT_SIZE);
	char *all = mmap(before, (SLOTS + 1) * SLOT_SIZE, PROT_NONE, RESERVED_FLAGS, -1, 0);
	char *space = (char *)(((uintptr_t)all + SLOT_SIZE - 1) & -SLOT_SIZE);

	if (all == MAP_FAILED)
		return -ENOMEM;
	if (all == before)
		space += SLOT_SIZE;
	if (space > all)
		munmap(all, space - all);
	munmap(space + SLOTS * SLOT_SIZE, all + SLOT_SIZE - space);
	/* A process that is made is no place for what others keep here, nor is a dump. */
	madvise(space, SLOTS * SLOT_SIZE, MADV_DONTFORK);
	madvise(space, SLOTS * SLOT_SIZE, MADV_DONTDUMP);
	gate_fixed.space = (uintptr_t)space;
	gate_fixed.space_size = SLOTS * SLOT_SIZE;
	return 0;
}

/* Nobody's, as all of it was at the beginning. Whatever was there is gone. */
int space_reserve(uintptr_t at, size_t size)
{
	void *base = (void *)at;

	if (mmap(base, size, PROT_NONE, RESERVED_FLAGS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	madvise(base, size, MADV_DONTFORK);
	madvise(base, size, MADV_DONTDUMP);
	return 0;
}

/* Returns 0 or a negative errno. */
int space_protect(uintptr_t at, size_t size, int prot, int key)
{
	if (inside.filtered)
		return broker_protect(at, size, prot, key);
	return pkey_mprotect((void *)at, size, prot, key) ? -errno : 0;
}

static int tag(uintptr_t at, size_t size, int key)
{
	return size && space_protect(at, size, PROT_READ | PROT_WRITE, key) ? -ENOMEM : 0;
}

/* Gives all of a domain's memory to @key. */
int space_tag(struct faasctl_domain *domain, int key)
{
	int ret = tag(stack_base(domain), domain->stack_size, key);

	if (!ret && domain->has_thread_memory)
		ret = tag(thread_base(domain), THREAD_SIZE, key);
	if (!ret)
		ret = tag(heap_base(domain->slot), domain->heap_size, key);
	return ret ? ret : mapping_tag(domain, key);
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

/* Of one whose thread's data is linked to: all is replaced but that, which is the vault's. */
static int reserve(struct faasctl_domain *domain)
{
	uintptr_t base = slot_base(domain->slot), thread = thread_base(domain);
	uintptr_t behind = thread + THREAD_SIZE;

	if (!domain->linked)
		return space_reserve(base, SLOT_SIZE);
	return tag(thread, THREAD_SIZE, domains->vault_key) || space_reserve(base, thread - base) ||
	       space_reserve(behind, base + SLOT_SIZE - behind);
}

/*
 * Whatever was in the slot is gone. Other than advice, this holds for locked memory, too. If
 * the kernel has no memory for that, all is zeroed where it is, and stays in the vault; what was
 * mapped is not known to be the domain's alone, and is taken away. Returns 0, or -ENOMEM if there
 * is no memory for that either, or to change keys: then the slot is lost, and *@kept tells if the
 * key is, too.
 */
int space_drop(struct faasctl_domain *domain, bool *kept)
{
	int ret = 0;

	*kept = false;
	if (reserve(domain)) {
		ret = mapping_drop(domain);
		*kept = space_tag(domain, domains->vault_key);
		if (*kept)
			ret = -ENOMEM;
		memset((void *)stack_base(domain), 0, domain->stack_size);
		if (domain->has_thread_memory && !domain->linked)
			memset((void *)thread_base(domain), 0, THREAD_SIZE);
		memset((void *)heap_base(domain->slot), 0, domain->heap_size);
	}
	domain->heap_size = 0;
	domains->mappings[domain->slot].n = 0;
	domain->has_thread_memory = false;
	return ret;
}

/*
 * In a child of fork(), before anything else comes to be there, which would be taken for a
 * domain's: reserved as in its parent. Of that there is what threads of domains have for
 * themselves, in zeroes.
 */
void space_child(void)
{
	const struct faasctl_domain *d;
	uintptr_t from = gate_fixed.space, to;

	for (d = domains->domains; d <= domains->domains + SLOTS; d++) {
		if (d == domains->domains + SLOTS)
			to = gate_fixed.space + gate_fixed.space_size;
		else if (d->has_thread_memory || d->linked)
			to = thread_base(d);
		else
			continue;
		space_reserve(from, to - from);
		from = to + THREAD_SIZE;
	}
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
