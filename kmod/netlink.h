/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests: the generic netlink family.
 *
 * Holds no state. Requests run beside each other, on purpose: the lock of all
 * generic netlink families is not held. faasin_tree_sem (workflow.h) orders
 * them; it nests in the lock that keeps a family registered while it is used.
 */
#ifndef _FAASIN_NETLINK_H
#define _FAASIN_NETLINK_H

struct genl_family;

enum {
	FAASIN_MCGRP_EVENTS,
};

extern struct genl_family faasin_genl_family;

int faasin_netlink_init(void);
void faasin_netlink_exit(void);

#endif /* _FAASIN_NETLINK_H */
