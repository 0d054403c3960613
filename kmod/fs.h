/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pseudo-filesystem: names things, nothing else. None of this is called under
 * faasin_tree_sem.
 */
#ifndef _FAASIN_FS_H
#define _FAASIN_FS_H

#include <linux/types.h>

struct faasin_node;
struct faasin_port;

int faasin_fs_init(void);
void faasin_fs_exit(void);

void faasin_fs_appeared(struct faasin_node *parent, const char *name, bool dir);
void faasin_fs_vanished(struct faasin_node *parent, struct faasin_node *node);
void faasin_fs_changed(struct faasin_port *port);

#endif /* _FAASIN_FS_H */
