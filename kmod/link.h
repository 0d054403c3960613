/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between link.c, which knows the links there are, and wanted.c, which makes new ones. All of
 * this under faasin_tree_sem.
 */
#ifndef _FAASIN_LINK_H
#define _FAASIN_LINK_H

#include "workflow.h"

struct faasin_port *faasin_link_port(struct faasin_workflow *wf, const char *stage,
				     const char *port, enum faasin_direction direction,
				     struct netlink_ext_ack *extack);
void faasin_link_walk(struct faasin_port *dst, u64 mark, struct faasin_stage **todo);
int faasin_link_insert(struct faasin_channel *ch, struct netlink_ext_ack *extack);
void faasin_link_trunk_cut(struct faasin_port *src, struct list_head *cut);
void faasin_link_deal_cut(struct faasin_port *src);
void faasin_link_inbox_cut(struct faasin_port *dst);

#endif /* _FAASIN_LINK_H */
