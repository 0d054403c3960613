// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What functions map: pages of their domain's slot, which get its key, and end with it. The calls
 * are made outside, for who is inside; what is asked for is held against the slot first. The slot
 * never has a hole, where something of the host's could come to be: what is mapped there takes the
 * place of pages that are nobody's, and these the place of what is unmapped.
 */
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "mapping.h"
#include "state.h"

/* What begins at such a place can have pages of this size. */
#define LARGE		(2ul << 20)

#define ACCESS		(PROT_READ | PROT_WRITE)

/* ------------------------------------------------------------------- what there is */

/* How many come before the end of what begins at @at: those that are not wholly behind. */
static unsigned int find(const struct mappings *mappings, uintptr_t at)
{
	unsigned int i = 0;

	while (i < mappings->n && mappings->each[i].at + mappings->each[i].size <= at)
		i++;
	return i;
}

static void insert(struct mappings *mappings, unsigned int i, struct mapping mapping)
{
	memmove(&mappings->each[i + 1], &mappings->each[i],
		(mappings->n - i) * sizeof(*mappings->each));
	mappings->each[i] = mapping;
	mappings->n++;
}

static void remove_one(struct mappings *mappings, unsigned int i)
{
	mappings->n--;
	memmove(&mappings->each[i], &mappings->each[i + 1],
		(mappings->n - i) * sizeof(*mappings->each));
}

/* Forgets these pages. There has to be room for one more. */
static void cut(struct mappings *mappings, uintptr_t at, size_t size)
{
	unsigned int i = find(mappings, at);
	uintptr_t end = at + size, its_end;
	struct mapping *mapping;

	while (i < mappings->n && mappings->each[i].at < end) {
		mapping = &mappings->each[i];
		its_end = mapping->at + mapping->size;
		if (mapping->at < at) {
			mapping->size = at - mapping->at;
			if (its_end > end)
				insert(mappings, i + 1,
				       (struct mapping){ end, its_end - end, mapping->prot,
							 mapping->plain });
			i++;
		} else if (its_end > end) {
			mapping->at = end;
			mapping->size = its_end - end;
		} else {
			remove_one(mappings, i);
		}
	}
}

static bool joins(const struct mapping *a, const struct mapping *b)
{
	return a->at + a->size == b->at && a->prot == b->prot && a->plain == b->plain;
}

/* Notes pages that nothing is known of, with room for one more. */
static void note(struct mappings *mappings, struct mapping mapping)
{
	unsigned int i = find(mappings, mapping.at);

	if (i && joins(&mappings->each[i - 1], &mapping))
		mappings->each[--i].size += mapping.size;
	else
		insert(mappings, i, mapping);
	if (i + 1 < mappings->n && joins(&mappings->each[i], &mappings->each[i + 1])) {
		mappings->each[i].size += mappings->each[i + 1].size;
		remove_one(mappings, i + 1);
	}
}

/* Whether all of it is mapped. */
static bool is_mapped(const struct mappings *mappings, uintptr_t at, size_t size)
{
	unsigned int i = find(mappings, at);
	uintptr_t end = at + size;

	for (; at < end; i++) {
		if (i == mappings->n || mappings->each[i].at > at)
			return false;
		at = mappings->each[i].at + mappings->each[i].size;
	}
	return true;
}

static bool is_free(const struct mappings *mappings, uintptr_t at, size_t size)
{
	unsigned int i = find(mappings, at);

	return i == mappings->n || mappings->each[i].at >= at + size;
}

/* Whether it is of the part of the slot where a function can map. */
static bool is_own(const struct faasctl_domain *domain, uintptr_t at, size_t size)
{
	at -= maps_base(domain->slot);
	return at <= MAPS_SIZE && size <= MAPS_SIZE - at;
}

/* Where so much is free, or 0. */
static uintptr_t place(const struct faasctl_domain *domain, size_t size)
{
	const struct mappings *mappings = &domains->mappings[domain->slot];
	uintptr_t mask = (size < LARGE ? PAGE_SIZE : LARGE) - 1;
	uintptr_t at = (maps_base(domain->slot) + mask) & ~mask;
	unsigned int i;

	for (i = 0; i < mappings->n && at + size > mappings->each[i].at; i++)
		at = (mappings->each[i].at + mappings->each[i].size + mask) & ~mask;
	return is_own(domain, at, size) ? at : 0;
}

/* Gives all of it to @key. */
int mapping_tag(const struct faasctl_domain *domain, int key)
{
	const struct mappings *mappings = &domains->mappings[domain->slot];
	unsigned int i;

	for (i = 0; i < mappings->n; i++)
		if (space_protect(mappings->each[i].at, mappings->each[i].size,
				  mappings->each[i].prot, key))
			return -ENOMEM;
	return 0;
}

/* ------------------------------------------------------------------------- the calls */

/* The pages are nobody's again, and forgotten. */
static long give_back(struct mappings *mappings, uintptr_t at, size_t size)
{
	int ret = space_reserve(at, size);

	if (!ret)
		cut(mappings, at, size);
	return ret;
}

/*
 * All of it is nobody's again, each by itself, for which the kernel needs no more pieces than there
 * are. What it does not do stays noted. Returns 0 or -ENOMEM.
 */
int mapping_drop(const struct faasctl_domain *domain)
{
	struct mappings *mappings = &domains->mappings[domain->slot];
	unsigned int i = mappings->n;
	int ret = 0;

	while (i--)
		if (give_back(mappings, mappings->each[i].at, mappings->each[i].size))
			ret = -ENOMEM;
	return ret;
}

/*
 * Maps there, with the domain's key. Before it has that nobody can use it; what is to be there
 * from the beginning comes after.
 */
static long map_at(struct faasctl_domain *domain, uintptr_t at, const struct map_call *call)
{
	struct mappings *mappings = &domains->mappings[domain->slot];
	int flags = (call->flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	long ret = syscall(SYS_mmap, at, call->size, PROT_NONE, flags, call->fd, call->offset);
	bool plain;

	/* What was there may be gone, too. */
	if (ret < 0) {
		ret = -errno;
		give_back(mappings, at, call->size);
		return ret;
	}
	cut(mappings, at, call->size);
	madvise((void *)at, call->size, MADV_DONTFORK);
	madvise((void *)at, call->size, MADV_DONTDUMP);
	ret = space_protect(at, call->size, call->prot, domain->key);
	if (ret) {
		give_back(mappings, at, call->size);
		return ret;
	}
	if (call->flags & MAP_POPULATE)
		madvise((void *)at, call->size,
			call->prot & PROT_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	plain = (call->flags & (MAP_TYPE | MAP_ANONYMOUS)) == (MAP_PRIVATE | MAP_ANONYMOUS);
	note(mappings, (struct mapping){ at, call->size, call->prot & ACCESS, plain });
	return at;
}

/* Whether there are larger pages, to which the kernel would round what is mapped up. */
static bool is_huge(const struct map_call *call)
{
	struct statfs system;

	if (call->flags & MAP_ANONYMOUS)
		return call->flags & MAP_HUGETLB;
	return !fstatfs(call->fd, &system) && system.f_type == HUGETLBFS_MAGIC;
}

static long call_mmap(struct faasctl_domain *domain, struct map_call *call)
{
	bool there = call->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	uintptr_t at = call->at;

	/* What grows would do so into what is nobody's; what is executed was not looked through. */
	if (call->prot & PROT_EXEC || call->flags & MAP_GROWSDOWN)
		return -EPERM;
	if (is_huge(call))
		return -EINVAL;
	if (!there)
		at = place(domain, call->size);
	else if (at % PAGE_SIZE)
		return -EINVAL;
	else if (!is_own(domain, at, call->size))
		return -EACCES;
	else if (call->flags & MAP_FIXED_NOREPLACE &&
		 !is_free(&domains->mappings[domain->slot], at, call->size))
		return -EEXIST;
	return at ? map_at(domain, at, call) : -ENOMEM;
}

static long call_munmap(struct faasctl_domain *domain, struct map_call *call)
{
	struct mappings *mappings = &domains->mappings[domain->slot];
	const struct mapping *first = &mappings->each[find(mappings, call->at)];

	/* Of one two are left. */
	if (mappings->n == MAPPINGS && first < mappings->each + mappings->n &&
	    first->at < call->at && first->at + first->size > call->at + call->size)
		return -ENOMEM;
	return give_back(mappings, call->at, call->size);
}

static long call_mprotect(struct faasctl_domain *domain, struct map_call *call)
{
	struct mappings *mappings = &domains->mappings[domain->slot];
	const struct mapping *first;
	struct mapping mapping;
	uintptr_t at = call->at, end = call->at + call->size, to;
	int ret;

	if (call->prot & ~ACCESS)
		return call->prot & PROT_EXEC ? -EPERM : -EINVAL;
	/* The key stays. */
	ret = syscall(SYS_mprotect, call->at, call->size, call->prot) ? -errno : 0;
	/* One at a time, as they differ in what they are. */
	for (; !ret && at < end; at = to) {
		first = &mappings->each[find(mappings, at)];
		to = first->at + first->size < end ? first->at + first->size : end;
		mapping = (struct mapping){ at, to - at, call->prot, first->plain };
		cut(mappings, at, to - at);
		note(mappings, mapping);
	}
	return ret;
}

static long call_madvise(struct faasctl_domain *domain, struct map_call *call)
{
	/* A process that is made gets nothing of a domain's. */
	if (call->flags == MADV_DOFORK || call->flags == MADV_KEEPONFORK)
		return -EPERM;
	return madvise((void *)call->at, call->size, call->flags) ? -errno : 0;
}

/* Moves what is mapped, and leaves no hole. */
static long move(struct faasctl_domain *domain, uintptr_t at, size_t size, uintptr_t to)
{
	struct mappings *mappings = &domains->mappings[domain->slot];
	struct mapping mapping = mappings->each[find(mappings, at)];
	long ret = syscall(SYS_mremap, at, size, size,
			   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);

	if (ret < 0)
		return -errno;
	cut(mappings, to, size);
	note(mappings, (struct mapping){ to, size, mapping.prot, mapping.plain });
	return give_back(mappings, at, size);
}

/* Behind what is there; the two are one, as long as it is nobody's but the function's. */
static long grow(struct faasctl_domain *domain, uintptr_t at, size_t more, int prot)
{
	struct map_call call = {
		.size = more, .prot = prot, .flags = MAP_PRIVATE | MAP_ANONYMOUS, .fd = -1,
	};
	long ret = map_at(domain, at, &call);

	return ret < 0 ? ret : 0;
}

static long call_mremap(struct faasctl_domain *domain, struct map_call *call)
{
	struct mappings *mappings = &domains->mappings[domain->slot];
	const struct mapping *mapping = &mappings->each[find(mappings, call->at)];
	size_t size = call->size, more = 0;
	uintptr_t at = call->at, to = call->to;
	int prot = mapping->prot;
	long ret = 0;

	if (call->flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED) ||
	    (call->flags & MREMAP_FIXED && !(call->flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if (at + size > mapping->at + mapping->size)
		return -EFAULT;
	if (call->new_size > size) {
		more = call->new_size - size;
		/* How a file goes on only the kernel knows, which would leave a hole. */
		if (!mapping->plain)
			return -ENOMEM;
	}
	if (call->flags & MREMAP_FIXED) {
		if (to % PAGE_SIZE || (to < at + size && at < to + call->new_size))
			return -EINVAL;
		if (!is_own(domain, to, call->new_size))
			return -EACCES;
	} else if (!more || (is_own(domain, at + size, more) &&
			     is_free(mappings, at + size, more))) {
		to = at;
	} else {
		to = call->flags & MREMAP_MAYMOVE ? place(domain, call->new_size) : 0;
		if (!to)
			return -ENOMEM;
	}
	if (call->new_size < size) {
		ret = give_back(mappings, at + call->new_size, size - call->new_size);
		size = call->new_size;
	}
	if (!ret && to != at)
		ret = move(domain, at, size, to);
	if (!ret && more)
		ret = grow(domain, to + size, more, prot);
	return ret ? ret : (long)to;
}

/* Sizes as the kernel takes them; false: there is no such size. */
static bool round_up(size_t *size)
{
	if (*size > MAPS_SIZE - PAGE_SIZE)
		return false;
	*size = (*size + PAGE_SIZE - 1) & -PAGE_SIZE;
	return true;
}

static const struct {
	int number;
	long (*make)(struct faasctl_domain *domain, struct map_call *call);
	unsigned int more;	/* so many more mappings there can be at most, in its course */
	bool there;		/* it is about what is mapped already */
	int unmapped;		/* the error if it is not */
} calls[] = {
	{ SYS_mmap, call_mmap, 4, false, 0 },
	/* What makes room can be done when there is none for others. */
	{ SYS_munmap, call_munmap, 0, true, 0 },
	{ SYS_mprotect, call_mprotect, 4, true, ENOMEM },
	{ SYS_madvise, call_madvise, 0, true, ENOMEM },
	{ SYS_mremap, call_mremap, 6, true, EFAULT },
};

static long make_call(struct faasctl_domain *domain, struct map_call *call, size_t i)
{
	const struct mappings *mappings = &domains->mappings[domain->slot];

	if (!round_up(&call->size))
		return calls[i].there ? -EACCES : -ENOMEM;
	if (!round_up(&call->new_size))
		return -ENOMEM;
	if (calls[i].there && call->at % PAGE_SIZE)
		return -EINVAL;
	/* As the kernel has it: nothing is done to nothing, but that cannot be mapped. */
	if (!call->size)
		return calls[i].unmapped == ENOMEM ? 0 : -EINVAL;
	if (calls[i].number == SYS_mremap && !call->new_size)
		return -EINVAL;
	if (calls[i].there && !is_own(domain, call->at, call->size))
		return -EACCES;
	if (calls[i].unmapped && !is_mapped(mappings, call->at, call->size))
		return -calls[i].unmapped;
	if (mappings->n + calls[i].more > MAPPINGS)
		return -ENOMEM;
	return calls[i].make(domain, call);
}

/* What it returns, or -errno. */
long map_outside(void *arg)
{
	struct map_call call = *(volatile struct map_call *)arg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].number == call.number)
			return make_call(inside.domain, &call, i);
	return -ENOSYS;
}
