// SPDX-License-Identifier: GPL-2.0
/*
 * Cgroups: who pays for memory, and whose members may open.
 *
 * Charging somebody else's cgroup: see set_active_memcg(). Buffers must never
 * make the OOM killer run, nor take from a stage the last memory that it needs.
 */
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/page_counter.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "cgroup.h"
#include "limits.h"

/**
 * faasin_cgroup_gone() - has a cgroup been removed
 * @cgrp: cgroup
 *
 * Return: whether it has.
 */
bool faasin_cgroup_gone(const struct cgroup *cgrp)
{
	return !(READ_ONCE(cgrp->self.flags) & CSS_ONLINE);
}

/**
 * faasin_cgroup_from_fd() - the cgroup whose directory is open
 * @fd: descriptor of the calling process
 * @extack: gets a message on failure
 *
 * Return: the cgroup, held, or
 * -EBADF: not an open directory of a cgroup v2 hierarchy
 * -ENODEV: the cgroup has been removed
 */
struct cgroup *faasin_cgroup_from_fd(int fd, struct netlink_ext_ack *extack)
{
	struct cgroup *cgrp = cgroup_get_from_fd(fd);

	if (cgrp == ERR_PTR(-ENOENT) || cgrp == ERR_PTR(-ENODEV))
		goto removed;
	if (IS_ERR(cgrp)) {
		NL_SET_ERR_MSG(extack,
			       "the descriptor is not a directory of a cgroup v2 hierarchy");
		return ERR_PTR(-EBADF);
	}
	if (!faasin_cgroup_gone(cgrp))
		return cgrp;
	cgroup_put(cgrp);
removed:
	NL_SET_ERR_MSG(extack, "the cgroup has been removed; name one that exists");
	return ERR_PTR(-ENODEV);
}

/**
 * faasin_cgroup_put() - drop a cgroup
 * @cgrp: cgroup, or NULL
 */
void faasin_cgroup_put(struct cgroup *cgrp)
{
	if (cgrp)
		cgroup_put(cgrp);
}

/**
 * faasin_cgroup_memory() - the memory controller's state of this very cgroup
 * @cgrp: cgroup
 * @extack: gets a message on failure
 *
 * A cgroup without the controller would have its nearest ancestor pay.
 *
 * Return: the state, held, or
 * -EINVAL: the root cgroup
 * -EOPNOTSUPP: the controller is not enabled there, or kernel memory is not
 *	accounted for at all
 * -ENOMEM: no page to try with
 */
struct cgroup_subsys_state *faasin_cgroup_memory(struct cgroup *cgrp,
						 struct netlink_ext_ack *extack)
{
	struct cgroup_subsys_state *css;
	struct page *page;
	bool charged;

	if (!cgroup_parent(cgrp)) {
		NL_SET_ERR_MSG(extack,
			       "the root cgroup cannot pay for buffers; name one below it");
		return ERR_PTR(-EINVAL);
	}
	css = cgroup_get_e_css(cgrp, &memory_cgrp_subsys);
	if (css->cgroup != cgrp) {
		css_put(css);
		NL_SET_ERR_MSG(extack,
			       "the memory controller is not enabled in that cgroup; write +memory to cgroup.subtree_control of its parent");
		return ERR_PTR(-EOPNOTSUPP);
	}

	page = faasin_memory_pages(css, 0, 0);
	if (!page) {
		css_put(css);
		NL_SET_ERR_MSG(extack,
			       "no memory: the cgroup is at its memory.max, or the machine has none");
		return ERR_PTR(-ENOMEM);
	}
	charged = folio_memcg_kmem(page_folio(page));
	__free_page(page);
	if (!charged) {
		css_put(css);
		NL_SET_ERR_MSG(extack,
			       "this kernel does not account for kernel memory (cgroup.memory=nokmem); only an uncharged workflow is possible");
		return ERR_PTR(-EOPNOTSUPP);
	}
	return css;
}

/**
 * faasin_cgroup_memory_put() - drop a controller's state
 * @css: the state, or NULL
 */
void faasin_cgroup_memory_put(struct cgroup_subsys_state *css)
{
	if (css)
		css_put(css);
}

/**
 * faasin_cgroup_of_current() - the cgroup v2 directory of the calling process
 *
 * Return: the cgroup, held.
 */
struct cgroup *faasin_cgroup_of_current(void)
{
	struct cgroup *cgrp;

	rcu_read_lock();
	do {
		cgrp = task_dfl_cgroup(current);
	} while (!cgroup_tryget(cgrp));
	rcu_read_unlock();
	return cgrp;
}

/**
 * faasin_cgroup_holds_current() - is the calling process in a cgroup or below
 * @cgrp: cgroup
 *
 * Return: whether it is.
 */
bool faasin_cgroup_holds_current(struct cgroup *cgrp)
{
	bool holds;

	rcu_read_lock();
	holds = task_under_cgroup_hierarchy(current, cgrp);
	rcu_read_unlock();
	return holds;
}

/**
 * faasin_memory_gone() - has the cgroup that pays been removed
 * @css: its memory controller's state
 *
 * Return: whether it has.
 */
bool faasin_memory_gone(struct cgroup_subsys_state *css)
{
	return !(READ_ONCE(css->flags) & CSS_ONLINE) || faasin_cgroup_gone(css->cgroup);
}

/**
 * faasin_memory_has_room() - may a pool grow
 * @css: memory controller that pays
 * @size: bytes that it would grow by
 *
 * Return: false if the cgroup or one above it would be left with less than the
 * larger of FAASIN_ROOM_MIN and an eighth of its limit.
 */
bool faasin_memory_has_room(struct cgroup_subsys_state *css, size_t size)
{
	struct mem_cgroup *memcg = mem_cgroup_from_css(css);

	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long max = READ_ONCE(memcg->memory.max);
		unsigned long high = READ_ONCE(memcg->memory.high);
		unsigned long limit = min(max, high), used, keep;

		if (limit == PAGE_COUNTER_MAX)
			continue;
		used = page_counter_read(&memcg->memory) + (size >> PAGE_SHIFT);
		keep = max_t(unsigned long, FAASIN_ROOM_MIN >> PAGE_SHIFT,
			     limit >> FAASIN_ROOM_SHIFT);
		if (used + keep > limit)
			return false;
	}
	return true;
}

/**
 * faasin_memory_pages() - pages on a cgroup's bill
 * @css: memory controller that pays, or NULL
 * @order: how many
 * @gfp: more flags
 *
 * Return: the pages, or NULL; never by way of the OOM killer.
 */
struct page *faasin_memory_pages(struct cgroup_subsys_state *css, unsigned int order, gfp_t gfp)
{
	struct mem_cgroup *old;
	struct page *page;

	gfp |= __GFP_NOWARN;
	/* A large block is not worth reclaiming for: a page does as well. */
	gfp |= order ? (GFP_KERNEL & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY :
		       GFP_KERNEL | __GFP_RETRY_MAYFAIL;
	if (!css)
		return alloc_pages(gfp, order);

	old = set_active_memcg(mem_cgroup_from_css(css));
	page = alloc_pages(gfp | __GFP_ACCOUNT, order);
	set_active_memcg(old);
	return page;
}

/**
 * faasin_memory_zalloc() - memory on a cgroup's bill, zeroed
 * @css: memory controller that pays, or NULL
 * @size: bytes
 *
 * Return: what kvfree() takes, or NULL; never by way of the OOM killer.
 */
void *faasin_memory_zalloc(struct cgroup_subsys_state *css, size_t size)
{
	gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct mem_cgroup *old;
	void *p;

	if (!css)
		return kvzalloc(size, gfp);

	old = set_active_memcg(mem_cgroup_from_css(css));
	p = kvzalloc(size, gfp | __GFP_ACCOUNT);
	set_active_memcg(old);
	return p;
}
