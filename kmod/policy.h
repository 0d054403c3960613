/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Policies: what a request may carry. One a command, so that an attribute that
 * a command does not know is refused rather than ignored.
 */
#ifndef _FAASIN_POLICY_H
#define _FAASIN_POLICY_H

#include <net/netlink.h>

#include "uapi/faasin.h"

extern const struct nla_policy faasin_info_get_policy[1 + 1];
extern const struct nla_policy faasin_workflow_get_policy[FAASIN_A_WORKFLOW_NAME + 1];
extern const struct nla_policy faasin_workflow_new_policy[FAASIN_A_WORKFLOW_FLAGS + 1];
extern const struct nla_policy faasin_workflow_del_policy[FAASIN_A_WORKFLOW_GENERATION + 1];
extern const struct nla_policy faasin_port_policy[FAASIN_A_PORT_DIRECTION + 1];
extern const struct nla_policy faasin_stage_get_policy[FAASIN_A_STAGE_NAME + 1];
extern const struct nla_policy faasin_stage_new_policy[FAASIN_A_STAGE_PORT + 1];
extern const struct nla_policy faasin_stage_del_policy[FAASIN_A_STAGE_GENERATION + 1];
extern const struct nla_policy faasin_link_get_policy[FAASIN_A_LINK_DST_PORT + 1];
extern const struct nla_policy faasin_end_policy[FAASIN_A_END_PORT + 1];
extern const struct nla_policy faasin_link_new_policy[FAASIN_A_LINK_MERGE + 1];
extern const struct nla_policy faasin_link_del_policy[FAASIN_A_LINK_GENERATION + 1];
extern const struct nla_policy faasin_link_set_policy[FAASIN_A_LINK_STATE + 1];
extern const struct nla_policy faasin_stage_replace_policy[FAASIN_A_STAGE_CGROUP_FD + 1];

int faasin_nl_capacity(const struct nlattr *attr, struct netlink_ext_ack *extack);
int faasin_nl_mode(const struct nlattr *attr, struct netlink_ext_ack *extack);
int faasin_nl_uid(const struct nlattr *attr, struct netlink_ext_ack *extack);
int faasin_nl_gid(const struct nlattr *attr, struct netlink_ext_ack *extack);
int faasin_nl_workflow_flags(const struct nlattr *attr, struct netlink_ext_ack *extack);
int faasin_nl_link_flags(const struct nlattr *attr, struct netlink_ext_ack *extack);

#endif /* _FAASIN_POLICY_H */
