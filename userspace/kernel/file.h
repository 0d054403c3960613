/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Open files and mappings, as far as windows and lanes use them; and what headers name that
 * nothing here uses.
 */
#ifndef _USERSPACE_FILE_H
#define _USERSPACE_FILE_H

#include <fcntl.h>

#include "memory.h"

#ifndef PIPE_BUF
#define PIPE_BUF	4096
#endif

struct address_space {
	int unused;
};

struct file;
struct inode;
struct vm_area_struct;

struct file_operations {
	void *owner;
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	int (*release)(struct inode *inode, struct file *file);
};

/* @f_op, @count: of those that have no name. */
struct file {
	void *private_data;
	unsigned int f_flags;
	struct address_space *f_mapping;
	const struct file_operations *f_op;
	refcount_t count;
};

#define THIS_MODULE	NULL

/* Descriptors: process.c. */
struct file *anon_inode_getfile(const char *name, const struct file_operations *fops, void *priv,
				int flags);
int get_unused_fd_flags(unsigned int flags);
void put_unused_fd(unsigned int fd);
void fd_install(unsigned int fd, struct file *file);
void fput(struct file *file);

/* ---------------------------------------------------- mappings, but of windows */

#define VM_WRITE	0x2UL
#define VM_EXEC		0x4UL
#define VM_MAYWRITE	0x20UL
#define VM_MAYEXEC	0x40UL
#define VM_MAYSHARE	0x80UL
#define VM_DONTCOPY	0x20000UL

/* @shown: what lies at its begin: there is one address for it, for all. */
struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_pgoff;
	unsigned long vm_flags;
	unsigned long vm_page_prot;
	void *shown;
};

static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}

static inline unsigned long page_to_pfn(const struct page *page)
{
	return (unsigned long)page_address(page) >> PAGE_SHIFT;
}

static inline int remap_pfn_range(struct vm_area_struct *vma, unsigned long at, unsigned long pfn,
				  unsigned long size, unsigned long prot)
{
	BUG_ON(at != vma->vm_start || size != vma->vm_end - at);
	vma->shown = (void *)(pfn << PAGE_SHIFT);
	return 0;
}

/* Of windows there are no mappings. */
static inline void unmap_mapping_range(struct address_space *mapping, loff_t begin, loff_t length,
				       int even_cows)
{
}

struct dentry;
struct iattr;
struct mnt_idmap;
struct xarray {
	int unused;
};

void simple_inode_init_ts(struct inode *inode);

#endif /* _USERSPACE_FILE_H */
