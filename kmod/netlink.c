// SPDX-License-Identifier: GPL-2.0
/*
 * Requests: attributes in, calls of workflow.h, attributes out. Those about links are in
 * netlink_link.c.
 */
#include <linux/capability.h>
#include <linux/slab.h>
#include <net/genetlink.h>

#include "compat.h"
#include "event.h"
#include "netlink.h"
#include "policy.h"
#include "reply.h"
#include "workflow.h"

/* ------------------------------------------------------- before any request */

/* GENL_ADMIN_PERM has checked CAP_NET_ADMIN. The header is checked here and not
 * by the core (resv_start_op), which takes NLM_F_EXCL for a mistake.
 */
static int faasin_nl_check(struct sk_buff *skb, const struct nlmsghdr *nlh,
			   u16 flags, struct netlink_ext_ack *extack)
{
	const struct genlmsghdr *hdr = nlmsg_data(nlh);

	if (!netlink_capable(skb, CAP_SYS_ADMIN)) {
		NL_SET_ERR_MSG(extack, "needs CAP_SYS_ADMIN in the initial user namespace");
		return -EPERM;
	}
	if (hdr->reserved) {
		NL_SET_ERR_MSG(extack, "the reserved field of the header must be 0");
		return -EINVAL;
	}
	if (nlh->nlmsg_flags & ~(NLM_F_REQUEST | NLM_F_ACK | flags)) {
		if (flags & NLM_F_EXCL)
			NL_SET_ERR_MSG(extack,
				       "unknown flag: only NLM_F_CREATE and NLM_F_EXCL mean something here");
		else
			NL_SET_ERR_MSG(extack, "unknown flag: this request has none");
		return -EINVAL;
	}
	return 0;
}

/**
 * faasin_nl_check_get() - may a request of this kind be made, and is its header one of it
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0, -EPERM or -EINVAL.
 */
int faasin_nl_check_get(struct sk_buff *skb, struct genl_info *info)
{
	return faasin_nl_check(skb, info->nlhdr, 0, info->extack);
}

/**
 * faasin_nl_check_new() - may a request of this kind be made, and is its header one of it
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0, -EPERM or -EINVAL.
 */
int faasin_nl_check_new(struct sk_buff *skb, struct genl_info *info)
{
	return faasin_nl_check(skb, info->nlhdr, NLM_F_CREATE | NLM_F_EXCL, info->extack);
}

/**
 * faasin_nl_check_del() - may a request of this kind be made, and is its header one of it
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0, -EPERM or -EINVAL.
 */
int faasin_nl_check_del(struct sk_buff *skb, struct genl_info *info)
{
	return faasin_nl_check(skb, info->nlhdr, 0, info->extack);
}

/**
 * faasin_nl_check_set() - may a request of this kind be made, and is its header one of it
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0, -EPERM or -EINVAL.
 */
int faasin_nl_check_set(struct sk_buff *skb, struct genl_info *info)
{
	return faasin_nl_check(skb, info->nlhdr, 0, info->extack);
}

static int faasin_nl_check_replace(struct sk_buff *skb, struct genl_info *info)
{
	return faasin_nl_check(skb, info->nlhdr, 0, info->extack);
}

/* ---------------------------------------------------------------- requests */

static int faasin_nl_info_get(struct sk_buff *skb, struct genl_info *info)
{
	struct faasin_reply reply;
	int err;

	err = faasin_nl_check_get(skb, info);
	if (err)
		return err;
	err = faasin_reply_begin(&reply, info);
	if (err)
		return err;
	err = down_read_killable(&faasin_tree_sem);
	if (!err) {
		err = faasin_reply_info(&reply, faasin_nr_workflows);
		up_read(&faasin_tree_sem);
	}
	return faasin_reply_end(&reply, info, err);
}

static struct faasin_workflow *faasin_nl_find_workflow(const char *name,
						       struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = faasin_workflow_find(name);

	if (!wf)
		NL_SET_ERR_MSG(extack, "no such workflow");
	return wf;
}

static int faasin_nl_workflow_get(struct sk_buff *skb, struct genl_info *info)
{
	struct faasin_workflow *wf;
	struct faasin_reply reply;
	int err;

	err = faasin_nl_check_get(skb, info);
	if (err)
		return err;
	if (faasin_nl_missing(info, FAASIN_A_WORKFLOW_NAME))
		return -EINVAL;
	err = faasin_reply_begin(&reply, info);
	if (err)
		return err;
	err = down_read_killable(&faasin_tree_sem);
	if (!err) {
		wf = faasin_nl_find_workflow(faasin_nl_string(info, FAASIN_A_WORKFLOW_NAME),
					     info->extack);
		err = wf ? faasin_reply_workflow(&reply, wf) : -ENOENT;
		up_read(&faasin_tree_sem);
	}
	return faasin_reply_end(&reply, info, err);
}

static int faasin_nl_workflow_new(struct sk_buff *skb, struct genl_info *info)
{
	struct faasin_workflow_spec spec = { };
	struct nlattr *attr;
	int err;

	err = faasin_nl_check_new(skb, info);
	if (err)
		return err;
	if (faasin_nl_missing(info, FAASIN_A_WORKFLOW_NAME))
		return -EINVAL;
	spec.name = faasin_nl_string(info, FAASIN_A_WORKFLOW_NAME);
	attr = info->attrs[FAASIN_A_WORKFLOW_CGROUP_FD];
	if (attr) {
		spec.has_cgroup = true;
		spec.cgroup_fd = nla_get_s32(attr);
	}
	attr = info->attrs[FAASIN_A_WORKFLOW_FLAGS];
	if (attr) {
		err = faasin_nl_workflow_flags(attr, info->extack);
		if (err)
			return err;
		spec.flags = nla_get_u32(attr);
	}
	spec.exclusive = faasin_nl_exclusive(info);
	return faasin_workflow_new(&spec, info->extack);
}

static int faasin_nl_workflow_del(struct sk_buff *skb, struct genl_info *info)
{
	int err;

	err = faasin_nl_check_del(skb, info);
	if (err)
		return err;
	if (faasin_nl_missing(info, FAASIN_A_WORKFLOW_NAME))
		return -EINVAL;
	return faasin_workflow_del(faasin_nl_string(info, FAASIN_A_WORKFLOW_NAME),
				   faasin_nl_generation(info, FAASIN_A_WORKFLOW_GENERATION),
				   info->extack);
}

static int faasin_nl_stage_get(struct sk_buff *skb, struct genl_info *info)
{
	struct faasin_workflow *wf;
	struct faasin_stage *st;
	struct faasin_reply reply;
	int err;

	err = faasin_nl_check_get(skb, info);
	if (err)
		return err;
	if (faasin_nl_missing(info, FAASIN_A_STAGE_WORKFLOW) ||
	    faasin_nl_missing(info, FAASIN_A_STAGE_NAME))
		return -EINVAL;
	err = faasin_reply_begin(&reply, info);
	if (err)
		return err;
	err = down_read_killable(&faasin_tree_sem);
	if (err)
		goto end;
	err = -ENOENT;
	wf = faasin_nl_find_workflow(faasin_nl_string(info, FAASIN_A_STAGE_WORKFLOW),
				     info->extack);
	if (!wf)
		goto unlock;
	st = faasin_stage_find(wf, faasin_nl_string(info, FAASIN_A_STAGE_NAME));
	if (!st) {
		GENL_SET_ERR_MSG(info, "no such stage in this workflow");
		goto unlock;
	}
	err = faasin_reply_stage(&reply, st);
unlock:
	up_read(&faasin_tree_sem);
end:
	return faasin_reply_end(&reply, info, err);
}

static_assert(FAASIN_PORTS_MAX == 64, "a message below says so");

/* Reads the ports that are asked for. @ports has room for FAASIN_PORTS_MAX. */
static int faasin_nl_ports(struct genl_info *info, struct faasin_port_spec *ports,
			   unsigned int *nr)
{
	struct nlattr *tb[ARRAY_SIZE(faasin_port_policy)];
	struct nlattr *attr;
	int rem, err;

	*nr = 0;
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != FAASIN_A_STAGE_PORT)
			continue;
		if (*nr == FAASIN_PORTS_MAX) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr,
					    "too many ports: a stage has at most 64");
			return -ENOSPC;
		}
		err = nla_parse_nested(tb, ARRAY_SIZE(tb) - 1, attr,
				       faasin_port_policy, info->extack);
		if (err)
			return err;
		if (NL_REQ_ATTR_CHECK(info->extack, attr, tb, FAASIN_A_PORT_NAME)) {
			GENL_SET_ERR_MSG(info, "attribute FAASIN_A_PORT_NAME is missing: add it");
			return -EINVAL;
		}
		if (NL_REQ_ATTR_CHECK(info->extack, attr, tb, FAASIN_A_PORT_DIRECTION)) {
			GENL_SET_ERR_MSG(info,
					 "attribute FAASIN_A_PORT_DIRECTION is missing: add it");
			return -EINVAL;
		}
		ports[*nr].name = nla_data(tb[FAASIN_A_PORT_NAME]);
		ports[*nr].direction = nla_get_u32(tb[FAASIN_A_PORT_DIRECTION]);
		(*nr)++;
	}
	return 0;
}

static int faasin_nl_stage_new(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct faasin_stage_spec spec = { };
	struct faasin_port_spec *ports;
	int err;

	err = faasin_nl_check_new(skb, info);
	if (err)
		return err;
	if (faasin_nl_missing(info, FAASIN_A_STAGE_WORKFLOW) ||
	    faasin_nl_missing(info, FAASIN_A_STAGE_NAME))
		return -EINVAL;
	spec.workflow = faasin_nl_string(info, FAASIN_A_STAGE_WORKFLOW);
	spec.name = faasin_nl_string(info, FAASIN_A_STAGE_NAME);
	if (attrs[FAASIN_A_STAGE_CGROUP_FD]) {
		spec.has_cgroup = true;
		spec.cgroup_fd = nla_get_s32(attrs[FAASIN_A_STAGE_CGROUP_FD]);
	}
	if (attrs[FAASIN_A_STAGE_UID]) {
		err = faasin_nl_uid(attrs[FAASIN_A_STAGE_UID], info->extack);
		if (err)
			return err;
		spec.has_uid = true;
		spec.uid = make_kuid(&init_user_ns, nla_get_u32(attrs[FAASIN_A_STAGE_UID]));
	}
	if (attrs[FAASIN_A_STAGE_GID]) {
		err = faasin_nl_gid(attrs[FAASIN_A_STAGE_GID], info->extack);
		if (err)
			return err;
		spec.has_gid = true;
		spec.gid = make_kgid(&init_user_ns, nla_get_u32(attrs[FAASIN_A_STAGE_GID]));
	}
	if (attrs[FAASIN_A_STAGE_MODE]) {
		err = faasin_nl_mode(attrs[FAASIN_A_STAGE_MODE], info->extack);
		if (err)
			return err;
		spec.has_mode = true;
		spec.mode = nla_get_u32(attrs[FAASIN_A_STAGE_MODE]);
	}
	spec.exclusive = faasin_nl_exclusive(info);

	ports = kcalloc(FAASIN_PORTS_MAX, sizeof(*ports), GFP_KERNEL);
	if (!ports) {
		GENL_SET_ERR_MSG(info, "no memory for the request");
		return -ENOMEM;
	}
	err = faasin_nl_ports(info, ports, &spec.nr_ports);
	if (!err) {
		spec.ports = ports;
		err = faasin_stage_new(&spec, info->extack);
	}
	kfree(ports);
	return err;
}

static int faasin_nl_stage_del(struct sk_buff *skb, struct genl_info *info)
{
	int err;

	err = faasin_nl_check_del(skb, info);
	if (err)
		return err;
	if (faasin_nl_missing(info, FAASIN_A_STAGE_WORKFLOW) ||
	    faasin_nl_missing(info, FAASIN_A_STAGE_NAME))
		return -EINVAL;
	return faasin_stage_del(faasin_nl_string(info, FAASIN_A_STAGE_WORKFLOW),
				faasin_nl_string(info, FAASIN_A_STAGE_NAME),
				faasin_nl_generation(info, FAASIN_A_STAGE_GENERATION),
				info->extack);
}

static int faasin_nl_stage_replace(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct faasin_stage_spec spec = { };
	int err;

	err = faasin_nl_check_replace(skb, info);
	if (err)
		return err;
	if (faasin_nl_missing(info, FAASIN_A_STAGE_WORKFLOW) ||
	    faasin_nl_missing(info, FAASIN_A_STAGE_NAME))
		return -EINVAL;
	spec.workflow = faasin_nl_string(info, FAASIN_A_STAGE_WORKFLOW);
	spec.name = faasin_nl_string(info, FAASIN_A_STAGE_NAME);
	spec.generation = faasin_nl_generation(info, FAASIN_A_STAGE_GENERATION);
	if (attrs[FAASIN_A_STAGE_CGROUP_FD]) {
		spec.has_cgroup = true;
		spec.cgroup_fd = nla_get_s32(attrs[FAASIN_A_STAGE_CGROUP_FD]);
	}
	return faasin_stage_replace(&spec, info->extack);
}

/* ---------------------------------------------------------------- listings
 *
 * A listing checks its request once, here. Attributes are read from the message
 * again: where the core keeps them differs between kernels. It has checked them
 * against the policy of the request for one object, so what is left to refuse is
 * what a listing cannot be limited to. Kernels that leave
 * no room for a message here (cb->extack is NULL) give the number alone.
 */

static int faasin_nl_list_begin(struct netlink_callback *cb, int type)
{
	const struct nlattr *attr, *workflow = NULL;
	struct faasin_workflow *wf;
	u64 only = 0;
	int rem, err;

	err = faasin_nl_check(cb->skb, cb->nlh, NLM_F_DUMP, cb->extack);
	if (err)
		return err;
	nlmsg_for_each_attr(attr, cb->nlh, GENL_HDRLEN, rem) {
		if (nla_type(attr) != type) {
			NL_SET_ERR_MSG_ATTR(cb->extack, attr,
					    "a listing can be limited to a workflow only");
			return -EINVAL;
		}
		workflow = attr;
	}
	if (workflow) {
		err = down_read_killable(&faasin_tree_sem);
		if (err)
			return err;
		wf = faasin_nl_find_workflow(nla_data(workflow), cb->extack);
		if (wf)
			only = wf->node.generation;
		up_read(&faasin_tree_sem);
		if (!wf)
			return -ENOENT;
	}
	faasin_list_begin(cb, only);
	return 0;
}

static int faasin_nl_list_workflows(struct netlink_callback *cb)
{
	return faasin_nl_list_begin(cb, FAASIN_A_WORKFLOW_UNSPEC);
}

static int faasin_nl_list_stages(struct netlink_callback *cb)
{
	return faasin_nl_list_begin(cb, FAASIN_A_STAGE_WORKFLOW);
}

static int faasin_nl_list_links(struct netlink_callback *cb)
{
	return faasin_nl_list_begin(cb, FAASIN_A_LINK_WORKFLOW);
}

/* ------------------------------------------------------------------ family */

#define FAASIN_NL_POLICY(name)						\
	.policy = faasin_##name##_policy,				\
	.maxattr = ARRAY_SIZE(faasin_##name##_policy) - 1

static const struct genl_ops faasin_nl_ops[] = {
	{
		.cmd = FAASIN_CMD_INFO_GET,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_info_get,
		FAASIN_NL_POLICY(info_get),
	},
	{
		.cmd = FAASIN_CMD_WORKFLOW_GET,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_workflow_get,
		.start = faasin_nl_list_workflows,
		.dumpit = faasin_list_workflows,
		FAASIN_NL_POLICY(workflow_get),
	},
	{
		.cmd = FAASIN_CMD_WORKFLOW_NEW,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_workflow_new,
		FAASIN_NL_POLICY(workflow_new),
	},
	{
		.cmd = FAASIN_CMD_WORKFLOW_DEL,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_workflow_del,
		FAASIN_NL_POLICY(workflow_del),
	},
	{
		.cmd = FAASIN_CMD_STAGE_GET,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_stage_get,
		.start = faasin_nl_list_stages,
		.dumpit = faasin_list_stages,
		FAASIN_NL_POLICY(stage_get),
	},
	{
		.cmd = FAASIN_CMD_STAGE_NEW,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_stage_new,
		FAASIN_NL_POLICY(stage_new),
	},
	{
		.cmd = FAASIN_CMD_STAGE_DEL,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_stage_del,
		FAASIN_NL_POLICY(stage_del),
	},
	{
		.cmd = FAASIN_CMD_LINK_GET,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_link_get,
		.start = faasin_nl_list_links,
		.dumpit = faasin_list_links,
		FAASIN_NL_POLICY(link_get),
	},
	{
		.cmd = FAASIN_CMD_LINK_NEW,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_link_new,
		FAASIN_NL_POLICY(link_new),
	},
	{
		.cmd = FAASIN_CMD_LINK_DEL,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_link_del,
		FAASIN_NL_POLICY(link_del),
	},
	{
		.cmd = FAASIN_CMD_LINK_SET,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_link_set,
		FAASIN_NL_POLICY(link_set),
	},
	{
		.cmd = FAASIN_CMD_STAGE_REPLACE,
		.flags = GENL_ADMIN_PERM,
		.doit = faasin_nl_stage_replace,
		FAASIN_NL_POLICY(stage_replace),
	},
};

static const struct genl_multicast_group faasin_nl_groups[] = {
	[FAASIN_MCGRP_EVENTS] = {
		.name = FAASIN_GENL_MCGRP_EVENTS,
		.flags = FAASIN_GENL_MCGRP_FLAGS,
	},
};

/* parallel_ops: whoever waits for faasin_tree_sem shall not hold up the
 * requests of every other family. resv_start_op: see faasin_nl_check().
 */
struct genl_family faasin_genl_family __ro_after_init = {
	.name = FAASIN_GENL_NAME,
	.version = FAASIN_GENL_VERSION,
	.module = THIS_MODULE,
	.netnsok = false,
	.parallel_ops = true,
	.ops = faasin_nl_ops,
	.n_ops = ARRAY_SIZE(faasin_nl_ops),
	.resv_start_op = __FAASIN_CMD_MAX,
	.mcgrps = faasin_nl_groups,
	.n_mcgrps = ARRAY_SIZE(faasin_nl_groups),
};

/**
 * faasin_netlink_init() - registers the family; from then on requests come
 *
 * Return: 0 or an error.
 */
int faasin_netlink_init(void)
{
	int err = genl_register_family(&faasin_genl_family);

	if (!err)
		faasin_event_start();
	return err;
}

/**
 * faasin_netlink_exit() - takes the family away; no request is under way after
 */
void faasin_netlink_exit(void)
{
	faasin_event_stop();
	genl_unregister_family(&faasin_genl_family);
}
