/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Replies: descriptions of workflows, stages and links, one or all of them.
 *
 * Whatever describes an object wants faasin_tree_sem. A listing takes it for a
 * message at a time and goes on from the generation it got to, so it delays no
 * change by more than a message, and says (NLM_F_DUMP_INTR) that there was one.
 */
#ifndef _FAASIN_REPLY_H
#define _FAASIN_REPLY_H

#include <linux/types.h>

struct faasin_link;
struct faasin_stage;
struct faasin_workflow;
struct genl_info;
struct netlink_callback;
struct sk_buff;

/**
 * struct faasin_reply - where a description of an object goes
 * @skb: the message or, of a listing, messages
 * @cb: the listing, or NULL
 * @portid: who asked
 * @seq: number of the request
 * @cmd: command of the reply: that of the request
 * @path: room for the path of a cgroup, PATH_MAX bytes
 */
struct faasin_reply {
	struct sk_buff *skb;
	struct netlink_callback *cb;
	u32 portid;
	u32 seq;
	u8 cmd;
	char *path;
};

/**
 * struct faasin_listing - how far a listing got; in netlink_callback.ctx
 * @only: generation of the workflow that it is limited to; 0: all
 * @workflow: generation to go on from, itself included
 * @child: of the stages or links of @workflow, the last one that was listed
 */
struct faasin_listing {
	u64 only;
	u64 workflow;
	u64 child;
};

int faasin_reply_begin(struct faasin_reply *reply, const struct genl_info *info);
int faasin_reply_end(struct faasin_reply *reply, struct genl_info *info, int err);

int faasin_reply_info(struct faasin_reply *reply, unsigned int workflows);
int faasin_reply_workflow(struct faasin_reply *reply, struct faasin_workflow *wf);
int faasin_reply_stage(struct faasin_reply *reply, struct faasin_stage *st);
int faasin_reply_link(struct faasin_reply *reply, struct faasin_link *link);

void faasin_list_begin(struct netlink_callback *cb, u64 only);
int faasin_list_workflows(struct sk_buff *skb, struct netlink_callback *cb);
int faasin_list_stages(struct sk_buff *skb, struct netlink_callback *cb);
int faasin_list_links(struct sk_buff *skb, struct netlink_callback *cb);

#endif /* _FAASIN_REPLY_H */
