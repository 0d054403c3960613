/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where kernels differ. Features are probed, never versions: distributions
 * carry changes back. What is a macro is probed by the preprocessor; what is
 * not is looked for in the kernel's headers by Kbuild, which then defines
 * FAASIN_HAVE_*.
 */
#ifndef _FAASIN_COMPAT_H
#define _FAASIN_COMPAT_H

/* ---------------------------------------------------------- netlink: begin */

#include <net/genetlink.h>

/* Who may join a multicast group. Kernels that predate the two flags know one
 * only, which asks for CAP_NET_ADMIN.
 */
#ifdef GENL_MCAST_CAP_SYS_ADMIN
#define FAASIN_GENL_MCGRP_FLAGS (GENL_MCAST_CAP_NET_ADMIN | GENL_MCAST_CAP_SYS_ADMIN)
#else
#define FAASIN_GENL_MCGRP_FLAGS GENL_UNS_ADMIN_PERM
#endif

/* FAASIN_HAVE_NETLINK_FILTER (Kbuild: netlink_filter_fn in linux/netlink.h):
 * a multicast can pass over receivers. Where it cannot, a socket that joined
 * the group's number before the module was loaded stays a member.
 */

/* ------------------------------------------------------------ netlink: end */

/* ------------------------------------------------------------- filesystems */

#include <linux/fs.h>

#ifndef FAASIN_HAVE_MNT_IDMAP_OPS
#define mnt_idmap			user_namespace
#endif

/* Attributes are the stage's and change with it only. */
static inline int faasin_compat_setattr_refused(struct mnt_idmap *idmap,
						struct dentry *dentry, struct iattr *attr)
{
	return -EPERM;
}

static inline void faasin_compat_inode_times(struct inode *inode)
{
#ifdef FAASIN_HAVE_SIMPLE_INODE_INIT_TS
	simple_inode_init_ts(inode);
#else
	inode->i_atime = current_time(inode);
	inode->i_mtime = inode->i_atime;
	inode->i_ctime = inode->i_atime;
#endif
}

/* ------------------------------------------------------------------ memory */

#include <linux/huge_mm.h>
#include <linux/mm.h>

#ifndef PMD_ORDER
#define PMD_ORDER (PMD_SHIFT - PAGE_SHIFT)
#endif

#ifndef FAASIN_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* Larger entries that nobody can pin; before, get_user_pages_fast() could. */
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
#define FAASIN_HAVE_SPECIAL_PMD

#ifdef FAASIN_HAVE_PFN_T
#include <linux/pfn_t.h>
#define faasin_compat_pfn(page)	__pfn_to_pfn_t(page_to_pfn(page), PFN_DEV)
#else
#define faasin_compat_pfn(page)	page_to_pfn(page)
#endif

static inline vm_fault_t faasin_compat_insert_pmd(struct vm_fault *vmf, struct page *page,
						  bool write)
{
	return vmf_insert_pfn_pmd(vmf, faasin_compat_pfn(page), write);
}
#endif

/* ---------------------------------------------------------------- shrinker */

#include <linux/shrinker.h>

#ifdef SHRINKER_ALLOCATED

struct faasin_compat_shrinker {
	struct shrinker *shrinker;
};

static inline int
faasin_compat_shrinker_register(struct faasin_compat_shrinker *fs,
				unsigned long (*count)(struct shrinker *s,
						       struct shrink_control *sc),
				unsigned long (*scan)(struct shrinker *s,
						      struct shrink_control *sc))
{
	struct shrinker *s = shrinker_alloc(0, "faasin");

	if (!s)
		return -ENOMEM;
	s->count_objects = count;
	s->scan_objects = scan;
	shrinker_register(s);
	fs->shrinker = s;
	return 0;
}

static inline void faasin_compat_shrinker_unregister(struct faasin_compat_shrinker *fs)
{
	shrinker_free(fs->shrinker);
}

#else

struct faasin_compat_shrinker {
	struct shrinker shrinker;
};

static inline int
faasin_compat_shrinker_register(struct faasin_compat_shrinker *fs,
				unsigned long (*count)(struct shrinker *s,
						       struct shrink_control *sc),
				unsigned long (*scan)(struct shrinker *s,
						      struct shrink_control *sc))
{
	fs->shrinker.count_objects = count;
	fs->shrinker.scan_objects = scan;
	fs->shrinker.seeks = DEFAULT_SEEKS;
	return register_shrinker(&fs->shrinker, "faasin");
}

static inline void faasin_compat_shrinker_unregister(struct faasin_compat_shrinker *fs)
{
	unregister_shrinker(&fs->shrinker);
}

#endif

#endif /* _FAASIN_COMPAT_H */
