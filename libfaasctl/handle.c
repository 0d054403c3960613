// SPDX-License-Identifier: LGPL-2.1-or-later
/* The handle: opening, the check of versions, closing. */
#include <stdio.h>

#include "internal.h"

static const struct nla_policy info_policy[FAASIN_A_INFO_MAX + 1] = {
	[FAASIN_A_INFO_ABI] = { .type = NLA_U32 },
	[FAASIN_A_INFO_VERSION] = { .type = NLA_STRING },
	[FAASIN_A_INFO_WORKFLOWS] = { .type = NLA_U32 },
	[FAASIN_A_INFO_WORKFLOWS_MAX] = { .type = NLA_U32 },
	[FAASIN_A_INFO_EVENT_SEQ] = { .type = NLA_U64 },
};

static int info_get(struct faasctl *ctl, struct faasctl_info *info,
		    struct faasctl_error *err)
{
	_cleanup_(faasctl__replies_free) struct faasctl__replies replies = { 0 };
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	struct nlattr *tb[FAASIN_A_INFO_MAX + 1];
	const char *version;
	int ret;

	msg = faasctl__request(ctl, FAASIN_CMD_INFO_GET, 0);
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	ret = faasctl__call(ctl, msg, &replies, err);
	if (ret)
		return ret;
	ret = faasctl__parse(replies.buf, tb, FAASIN_A_INFO_MAX, info_policy, 0,
			     err);
	if (ret)
		return ret;
	memset(info, 0, sizeof(*info));
	info->abi = faasctl__u32(tb[FAASIN_A_INFO_ABI]);
	info->workflows = faasctl__u32(tb[FAASIN_A_INFO_WORKFLOWS]);
	info->workflows_max = faasctl__u32(tb[FAASIN_A_INFO_WORKFLOWS_MAX]);
	info->event_seq = faasctl__u64(tb[FAASIN_A_INFO_EVENT_SEQ]);
	version = faasctl__string(tb[FAASIN_A_INFO_VERSION]);
	snprintf(info->version, sizeof(info->version), "%s",
		 version ? version : "");
	return 0;
}

/* Connects to a module of whatever version. */
static int open_any(struct faasctl **out, struct faasctl_info *info,
		    struct faasctl_error *err)
{
	struct faasctl *ctl;
	int ret;

	*out = NULL;
	ctl = calloc(1, sizeof(*ctl));
	if (!ctl)
		return faasctl__fail(err, ENOMEM, "out of memory");
	ret = faasctl__connect(ctl, err);
	if (!ret)
		ret = info_get(ctl, info, err);
	if (ret)
		faasctl_close(ctl);
	else
		*out = ctl;
	return ret;
}

FAASCTL_API int faasctl_info_get(struct faasctl *ctl, struct faasctl_info *info,
				 struct faasctl_error *err)
{
	struct faasctl *own;
	int ret;

	if (ctl)
		return info_get(ctl, info, err);
	ret = open_any(&own, info, err);
	faasctl_close(own);
	return ret;
}

FAASCTL_API int faasctl_open(struct faasctl **out, struct faasctl_error *err)
{
	struct faasctl_info info;
	struct faasctl *ctl;
	int ret;

	*out = NULL;
	ret = open_any(&ctl, &info, err);
	if (!ret && info.abi != FAASIN_ABI_VERSION)
		ret = faasctl__fail(err, EPROTO,
				    "faasin: the module speaks ABI %u, this tool %d: install matching versions",
				    info.abi, FAASIN_ABI_VERSION);
	if (ret) {
		faasctl_close(ctl);
		return ret;
	}
	*out = ctl;
	return 0;
}

FAASCTL_API void faasctl_close(struct faasctl *ctl)
{
	if (!ctl)
		return;
	faasctl__disconnect(ctl);
	free(ctl);
}
