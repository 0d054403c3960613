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

#include <net/genetlink.h>

enum {
	FAASIN_MCGRP_EVENTS,
};

extern struct genl_family faasin_genl_family;

int faasin_netlink_init(void);
void faasin_netlink_exit(void);

/* Before any request. */
int faasin_nl_check_get(struct sk_buff *skb, struct genl_info *info);
int faasin_nl_check_new(struct sk_buff *skb, struct genl_info *info);
int faasin_nl_check_del(struct sk_buff *skb, struct genl_info *info);
int faasin_nl_check_set(struct sk_buff *skb, struct genl_info *info);

/* netlink_link.c */
int faasin_nl_link_get(struct sk_buff *skb, struct genl_info *info);
int faasin_nl_link_new(struct sk_buff *skb, struct genl_info *info);
int faasin_nl_link_del(struct sk_buff *skb, struct genl_info *info);
int faasin_nl_link_set(struct sk_buff *skb, struct genl_info *info);

static inline bool faasin_nl_exclusive(const struct genl_info *info)
{
	return info->nlhdr->nlmsg_flags & NLM_F_EXCL;
}

/* Is @attr missing? Says so by number, for programs, and by name. */
#define faasin_nl_missing(info, attr) ({				\
	struct genl_info *__req = (info);				\
	bool __missing = GENL_REQ_ATTR_CHECK(__req, attr);		\
									\
	if (__missing)							\
		GENL_SET_ERR_MSG(__req, "attribute " #attr " is missing: add it"); \
	__missing;							\
})

static inline const char *faasin_nl_string(const struct genl_info *info, int type)
{
	return info->attrs[type] ? nla_data(info->attrs[type]) : NULL;
}

static inline u64 faasin_nl_generation(const struct genl_info *info, int type)
{
	return info->attrs[type] ? nla_get_u64(info->attrs[type]) : 0;
}

#endif /* _FAASIN_NETLINK_H */
