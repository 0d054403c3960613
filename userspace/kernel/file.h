/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Open files, as far as windows use them; and what headers name that nothing here uses.
 */
#ifndef _USERSPACE_FILE_H
#define _USERSPACE_FILE_H

#include <fcntl.h>

#include "types.h"

#ifndef PIPE_BUF
#define PIPE_BUF	4096
#endif

struct address_space {
	int unused;
};

struct file {
	void *private_data;
	unsigned int f_flags;
	struct address_space *f_mapping;
};

/* There are no mappings. */
static inline void unmap_mapping_range(struct address_space *mapping, loff_t begin, loff_t length,
				       int even_cows)
{
}

struct dentry;
struct iattr;
struct inode;
struct mnt_idmap;
struct vm_area_struct;
struct xarray {
	int unused;
};

void simple_inode_init_ts(struct inode *inode);

#endif /* _USERSPACE_FILE_H */
