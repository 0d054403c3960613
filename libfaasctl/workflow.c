// SPDX-License-Identifier: LGPL-2.1-or-later
/* Workflows: WORKFLOW_GET, _NEW and _DEL. */
#include "internal.h"

static const struct nla_policy workflow_policy[FAASIN_A_WORKFLOW_MAX + 1] = {
	[FAASIN_A_WORKFLOW_NAME] = { .type = NLA_STRING },
	[FAASIN_A_WORKFLOW_GENERATION] = { .type = NLA_U64 },
	[FAASIN_A_WORKFLOW_CGROUP_ID] = { .type = NLA_U64 },
	[FAASIN_A_WORKFLOW_CGROUP_PATH] = { .type = NLA_STRING },
	[FAASIN_A_WORKFLOW_FLAGS] = { .type = NLA_U32 },
	[FAASIN_A_WORKFLOW_STAGES] = { .type = NLA_U32 },
	[FAASIN_A_WORKFLOW_LINKS] = { .type = NLA_U32 },
	[FAASIN_A_WORKFLOW_STATS] = { .type = NLA_NESTED },
	[FAASIN_A_WORKFLOW_GONE] = { .type = NLA_NESTED },
};

static int decode(const struct nlmsghdr *hdr, struct faasctl_workflow *workflow,
		  struct faasctl_error *err)
{
	struct nlattr *tb[FAASIN_A_WORKFLOW_MAX + 1];
	int ret;

	ret = faasctl__parse(hdr, tb, FAASIN_A_WORKFLOW_MAX, workflow_policy,
			     1u << FAASIN_A_WORKFLOW_NAME, err);
	if (ret)
		return ret;
	if (!tb[FAASIN_A_WORKFLOW_NAME])
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer is malformed");
	*workflow = (struct faasctl_workflow){
		.name = faasctl__string(tb[FAASIN_A_WORKFLOW_NAME]),
		.generation = faasctl__u64(tb[FAASIN_A_WORKFLOW_GENERATION]),
		.cgroup_id = faasctl__u64(tb[FAASIN_A_WORKFLOW_CGROUP_ID]),
		.cgroup_path = faasctl__string(tb[FAASIN_A_WORKFLOW_CGROUP_PATH]),
		.flags = faasctl__u32(tb[FAASIN_A_WORKFLOW_FLAGS]),
		.stages = faasctl__u32(tb[FAASIN_A_WORKFLOW_STAGES]),
		.links = faasctl__u32(tb[FAASIN_A_WORKFLOW_LINKS]),
	};
	ret = faasctl__decode_stats(tb[FAASIN_A_WORKFLOW_STATS], &workflow->stats, err);
	if (ret)
		return ret;
	return faasctl__decode_stats(tb[FAASIN_A_WORKFLOW_GONE], &workflow->gone, err);
}

FAASCTL_API int faasctl_workflow_each(struct faasctl *ctl, const char *name,
				      faasctl_workflow_fn fn, void *arg,
				      struct faasctl_error *err)
{
	_cleanup_(faasctl__replies_free) struct faasctl__replies replies = { 0 };
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	struct faasctl_workflow workflow;
	struct nlmsghdr *hdr;
	int ret = 0, left;

	if (name)
		ret = faasctl_name_check("workflow", name, err);
	if (ret)
		return ret;
	msg = faasctl__request(ctl, FAASIN_CMD_WORKFLOW_GET,
			       name ? 0 : NLM_F_DUMP);
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (name && nla_put_string(msg, FAASIN_A_WORKFLOW_NAME, name))
		return faasctl__too_big(err);
	ret = faasctl__call(ctl, msg, &replies, err);
	left = replies.len;
	for (hdr = replies.buf; !ret && fn && nlmsg_ok(hdr, left);
	     hdr = nlmsg_next(hdr, &left)) {
		ret = decode(hdr, &workflow, err);
		if (!ret)
			ret = fn(&workflow, arg);
	}
	return ret;
}

FAASCTL_API int faasctl_workflow_add(struct faasctl *ctl, const char *name,
				     int cgroup_fd, unsigned int flags,
				     struct faasctl_error *err)
{
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	ret = faasctl_name_check("workflow", name, err);
	if (ret)
		return ret;
	msg = faasctl__request(ctl, FAASIN_CMD_WORKFLOW_NEW, NLM_F_CREATE |
			       (flags & FAASCTL_EXCLUSIVE ? NLM_F_EXCL : 0));
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (nla_put_string(msg, FAASIN_A_WORKFLOW_NAME, name) ||
	    (cgroup_fd >= 0 &&
	     nla_put_s32(msg, FAASIN_A_WORKFLOW_CGROUP_FD, cgroup_fd)) ||
	    (flags & FAASCTL_UNCHARGED &&
	     nla_put_u32(msg, FAASIN_A_WORKFLOW_FLAGS,
			 FAASIN_WORKFLOW_F_UNCHARGED)))
		return faasctl__too_big(err);
	return faasctl__call(ctl, msg, NULL, err);
}

FAASCTL_API int faasctl_workflow_del(struct faasctl *ctl, const char *name,
				     uint64_t generation,
				     struct faasctl_error *err)
{
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	ret = faasctl_name_check("workflow", name, err);
	if (ret)
		return ret;
	msg = faasctl__request(ctl, FAASIN_CMD_WORKFLOW_DEL, 0);
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (nla_put_string(msg, FAASIN_A_WORKFLOW_NAME, name) ||
	    (generation &&
	     nla_put_u64(msg, FAASIN_A_WORKFLOW_GENERATION, generation)))
		return faasctl__too_big(err);
	return faasctl__call(ctl, msg, NULL, err);
}
