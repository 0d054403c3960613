// SPDX-License-Identifier: GPL-2.0
/*
 * Policies: what a request may carry. The kernel's own checks say little
 * ("integer out of range"), so what people type is checked by functions that
 * say more. netlink_spec.py reads this file: keep it one attribute a line.
 */
#include <linux/cred.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <net/netlink.h>

#include "policy.h"
#include "workflow.h"

/* Messages below say these numbers: they cannot be formatted on every kernel. */
static_assert(FAASIN_NAME_MAX == 63);
static_assert(FAASIN_CAPACITY_MIN == 4096);
static_assert(FAASIN_CAPACITY_MAX == 1073741824);

static int faasin_nl_name(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	const char *name = nla_data(attr);
	size_t len = strlen(name);
	int err;

	if (len + 1 != nla_len(attr)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "name goes on after its NUL: send one string");
		return -EINVAL;
	}
	if (len > FAASIN_NAME_MAX) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "name is too long: use at most 63 characters");
		return -ERANGE;
	}
	err = faasin_name_check(name, extack);
	if (err)
		NL_SET_BAD_ATTR(extack, attr);
	return err;
}

/**
 * faasin_nl_capacity() - check an attribute: how many bytes a channel may hold
 * @attr: attribute of the right size
 * @extack: gets a message on failure
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int faasin_nl_capacity(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	u64 capacity = nla_get_u64(attr);

	if (capacity < FAASIN_CAPACITY_MIN || capacity > FAASIN_CAPACITY_MAX) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "capacity is out of range: use 4096 to 1073741824 bytes");
		return -ERANGE;
	}
	if (capacity % FAASIN_CAPACITY_MIN) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "capacity is not a multiple of 4096 bytes: round it");
		return -EINVAL;
	}
	return 0;
}

/**
 * faasin_nl_mode() - check an attribute: permission bits of ports
 * @attr: attribute of the right size
 * @extack: gets a message on failure
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int faasin_nl_mode(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	if (nla_get_u32(attr) & ~0777) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "mode has more than permission bits: use 0 to 0777");
		return -ERANGE;
	}
	return 0;
}

/**
 * faasin_nl_uid() - check an attribute: owner of ports
 * @attr: attribute of the right size
 * @extack: gets a message on failure
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int faasin_nl_uid(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	if (!uid_valid(make_kuid(&init_user_ns, nla_get_u32(attr)))) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "no such user id: 4294967295 means nobody");
		return -EINVAL;
	}
	return 0;
}

/**
 * faasin_nl_gid() - check an attribute: group of ports
 * @attr: attribute of the right size
 * @extack: gets a message on failure
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int faasin_nl_gid(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	if (!gid_valid(make_kgid(&init_user_ns, nla_get_u32(attr)))) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "no such group id: 4294967295 means nobody");
		return -EINVAL;
	}
	return 0;
}

/**
 * faasin_nl_workflow_flags() - check an attribute: FAASIN_WORKFLOW_F_*
 * @attr: attribute of the right size
 * @extack: gets a message on failure
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int faasin_nl_workflow_flags(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	if (nla_get_u32(attr) & ~FAASIN_WORKFLOW_F_SETTABLE) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "flag is unknown or cannot be set: only UNCHARGED can");
		return -EINVAL;
	}
	return 0;
}

/**
 * faasin_nl_link_flags() - check an attribute: FAASIN_LINK_F_*
 * @attr: attribute of the right size
 * @extack: gets a message on failure
 *
 * Return: 0 or -EINVAL.
 */
int faasin_nl_link_flags(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	if (nla_get_u32(attr) & ~FAASIN_LINK_F_SETTABLE) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "flag of the link is unknown: only TRUSTED, RECORDS and DEALT can be set");
		return -EINVAL;
	}
	return 0;
}

/*
 * Only names are checked by a function from here. Of an integer the kernel
 * takes the function's place in a policy for a range when it tells what the
 * policy is, which anybody may ask for: those are checked by the handlers.
 */
#define FAASIN_NL_NAME		NLA_POLICY_VALIDATE_FN(NLA_NUL_STRING, faasin_nl_name)
#define FAASIN_NL_CAPACITY	{ .type = NLA_U64 }
#define FAASIN_NL_MODE		{ .type = NLA_U32 }
#define FAASIN_NL_UID		{ .type = NLA_U32 }
#define FAASIN_NL_GID		{ .type = NLA_U32 }
#define FAASIN_NL_WORKFLOW_FLAGS { .type = NLA_U32 }
#define FAASIN_NL_LINK_FLAGS	{ .type = NLA_U32 }
#define FAASIN_NL_GENERATION	NLA_POLICY_MIN(NLA_U64, 1)

/* A policy of nothing: an operation without a policy is not checked at all. */
const struct nla_policy faasin_info_get_policy[1 + 1] = {
	[1] = { .type = NLA_REJECT, .reject_message = "this request takes no attributes" },
};

const struct nla_policy faasin_workflow_get_policy[FAASIN_A_WORKFLOW_NAME + 1] = {
	[FAASIN_A_WORKFLOW_NAME] = FAASIN_NL_NAME,
};

const struct nla_policy faasin_workflow_new_policy[FAASIN_A_WORKFLOW_FLAGS + 1] = {
	[FAASIN_A_WORKFLOW_NAME] = FAASIN_NL_NAME,
	[FAASIN_A_WORKFLOW_CGROUP_FD] = { .type = NLA_S32 },
	[FAASIN_A_WORKFLOW_FLAGS] = FAASIN_NL_WORKFLOW_FLAGS,
};

const struct nla_policy faasin_workflow_del_policy[FAASIN_A_WORKFLOW_GENERATION + 1] = {
	[FAASIN_A_WORKFLOW_NAME] = FAASIN_NL_NAME,
	[FAASIN_A_WORKFLOW_GENERATION] = FAASIN_NL_GENERATION,
};

const struct nla_policy faasin_port_policy[FAASIN_A_PORT_DIRECTION + 1] = {
	[FAASIN_A_PORT_NAME] = FAASIN_NL_NAME,
	[FAASIN_A_PORT_DIRECTION] = NLA_POLICY_MAX(NLA_U32, FAASIN_DIRECTION_OUT),
};

const struct nla_policy faasin_stage_get_policy[FAASIN_A_STAGE_NAME + 1] = {
	[FAASIN_A_STAGE_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_STAGE_NAME] = FAASIN_NL_NAME,
};

const struct nla_policy faasin_stage_new_policy[FAASIN_A_STAGE_PORT + 1] = {
	[FAASIN_A_STAGE_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_STAGE_NAME] = FAASIN_NL_NAME,
	[FAASIN_A_STAGE_CGROUP_FD] = { .type = NLA_S32 },
	[FAASIN_A_STAGE_UID] = FAASIN_NL_UID,
	[FAASIN_A_STAGE_GID] = FAASIN_NL_GID,
	[FAASIN_A_STAGE_MODE] = FAASIN_NL_MODE,
	[FAASIN_A_STAGE_PORT] = NLA_POLICY_NESTED(faasin_port_policy),
};

const struct nla_policy faasin_stage_del_policy[FAASIN_A_STAGE_GENERATION + 1] = {
	[FAASIN_A_STAGE_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_STAGE_NAME] = FAASIN_NL_NAME,
	[FAASIN_A_STAGE_GENERATION] = FAASIN_NL_GENERATION,
};

const struct nla_policy faasin_link_get_policy[FAASIN_A_LINK_DST_PORT + 1] = {
	[FAASIN_A_LINK_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_PORT] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_PORT] = FAASIN_NL_NAME,
};

const struct nla_policy faasin_end_policy[FAASIN_A_END_PORT + 1] = {
	[FAASIN_A_END_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_END_PORT] = FAASIN_NL_NAME,
};

const struct nla_policy faasin_link_new_policy[FAASIN_A_LINK_MERGE + 1] = {
	[FAASIN_A_LINK_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_PORT] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_PORT] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_CAPACITY] = FAASIN_NL_CAPACITY,
	[FAASIN_A_LINK_ABORT_ON] = NLA_POLICY_MAX(NLA_U32, FAASIN_ABORT_ON_NEVER),
	[FAASIN_A_LINK_EARLY_CLOSE] = NLA_POLICY_MAX(NLA_U32, FAASIN_EARLY_CLOSE_DRAIN),
	[FAASIN_A_LINK_DST] = NLA_POLICY_NESTED(faasin_end_policy),
	[FAASIN_A_LINK_FLAGS] = FAASIN_NL_LINK_FLAGS,
	[FAASIN_A_LINK_SLOW] = NLA_POLICY_MAX(NLA_U32, FAASIN_SLOW_DROP),
	[FAASIN_A_LINK_SRC] = NLA_POLICY_NESTED(faasin_end_policy),
	[FAASIN_A_LINK_MERGE] = NLA_POLICY_MAX(NLA_U32, FAASIN_MERGE_TURN),
};

const struct nla_policy faasin_link_del_policy[FAASIN_A_LINK_GENERATION + 1] = {
	[FAASIN_A_LINK_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_PORT] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_PORT] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_GENERATION] = FAASIN_NL_GENERATION,
};

const struct nla_policy faasin_link_set_policy[FAASIN_A_LINK_STATE + 1] = {
	[FAASIN_A_LINK_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_SRC_PORT] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_STAGE] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_DST_PORT] = FAASIN_NL_NAME,
	[FAASIN_A_LINK_GENERATION] = FAASIN_NL_GENERATION,
	[FAASIN_A_LINK_CAPACITY] = FAASIN_NL_CAPACITY,
	[FAASIN_A_LINK_STATE] = NLA_POLICY_MAX(NLA_U32, FAASIN_LINK_STATE_DRAINED),
};

const struct nla_policy faasin_stage_replace_policy[FAASIN_A_STAGE_CGROUP_FD + 1] = {
	[FAASIN_A_STAGE_WORKFLOW] = FAASIN_NL_NAME,
	[FAASIN_A_STAGE_NAME] = FAASIN_NL_NAME,
	[FAASIN_A_STAGE_GENERATION] = FAASIN_NL_GENERATION,
	[FAASIN_A_STAGE_CGROUP_FD] = { .type = NLA_S32 },
};
