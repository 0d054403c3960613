/* SPDX-License-Identifier: GPL-2.0 */
/* Refusals: their texts are for the netlink requests that the module gets. */
#ifndef USERSPACE_NETLINK_H
#define USERSPACE_NETLINK_H

struct netlink_ext_ack;

#define NL_SET_ERR_MSG(extack, text)	((void)(extack))

#endif /* USERSPACE_NETLINK_H */
