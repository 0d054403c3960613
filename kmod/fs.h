/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pseudo-filesystem: names things, nothing else.
 */
#ifndef _FAASIN_FS_H
#define _FAASIN_FS_H

#include <linux/types.h>

struct faasin_node;
struct super_block;

int faasin_fs_init(void);
void faasin_fs_exit(void);

struct super_block *faasin_fs_hold(void);
void faasin_fs_release(struct super_block *sb);
void faasin_fs_appeared(struct faasin_node *parent, const char *name, bool dir);
void faasin_fs_vanished(struct faasin_node *parent, struct faasin_node *node);
void faasin_fs_changed(struct faasin_node *node);

#endif /* _FAASIN_FS_H */
