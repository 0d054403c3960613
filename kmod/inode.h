/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inodes of directories, ports and self.
 *
 * Locks: the VFS takes those of inodes and directory entries before faasin_tree_sem,
 * so nothing here touches them while holding it for writing.
 *
 * Nothing is allocated on a caller's bill, and nobody is told anything, under
 * faasin_tree_sem: whose cgroup is at its limit waits for memory as long as it
 * likes. An inode therefore is made without the lock, and may be one of a dead node.
 * These hold:
 * - A directory entry is added under faasin_tree_sem, held for reading, to the
 *   inode of a node that is not dead. Removal marks the node dead with the lock
 *   held for writing, and only then looks for the inode and drops its entries: it
 *   finds every entry that there ever will be.
 * - An inode that a removal does not find is made later, for a node that is dead
 *   by then: it gets no entry and goes with the look-up that made it.
 * - A node's generation is used once, so no inode number ever means another node.
 * - Whoever makes an inode does not wait for anything while it is new (I_NEW): a
 *   removal waits for that to be over.
 * - A port's inode has the attributes of the stage from its first entry on: they
 *   are set before it is added, and, by faasin_fs_changed(), after each change of
 *   them; both read them under faasin_tree_sem.
 */
#ifndef _FAASIN_INODE_H
#define _FAASIN_INODE_H

#include <linux/fs.h>

#include "workflow.h"

/* The root's number; a node's generation is larger. */
#define FAASIN_ROOT_NUMBER	1

static inline unsigned long faasin_node_ino(const struct faasin_node *node)
{
	return 2 * (node ? node->generation : FAASIN_ROOT_NUMBER);
}

static inline unsigned long faasin_self_ino(const struct faasin_node *dir)
{
	return faasin_node_ino(dir) + 1;
}

static inline enum faasin_kind faasin_dir_kind(const struct faasin_node *dir)
{
	return dir ? dir->kind : FAASIN_KIND_ROOT;
}

struct inode *faasin_node_inode(struct super_block *sb, struct faasin_node *node);
void faasin_inode_evict(struct inode *inode);
void faasin_port_attributes(struct inode *inode, const struct faasin_port *port);

#endif /* _FAASIN_INODE_H */
