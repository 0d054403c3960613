// SPDX-License-Identifier: GPL-2.0
/*
 * Replies: objects in, attributes out.
 */
#include <linux/cgroup.h>
#include <linux/limits.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <net/genetlink.h>

#include "account.h"
#include "cgroup.h"
#include "channel.h"
#include "deal.h"
#include "event.h"
#include "inbox.h"
#include "netlink.h"
#include "reply.h"
#include "workflow.h"

static size_t faasin_reply_name_size(void)
{
	return nla_total_size(FAASIN_NAME_MAX + 1);
}

static size_t faasin_reply_u32_size(void)
{
	return nla_total_size(sizeof(u32));
}

static size_t faasin_reply_u64_size(void)
{
	return nla_total_size_64bit(sizeof(u64));
}

static size_t faasin_reply_stats_size(void)
{
	return nla_total_size(FAASIN_A_STATS_MAX * faasin_reply_u64_size());
}

static size_t faasin_reply_info_size(void)
{
	return 3 * faasin_reply_u32_size() + faasin_reply_u64_size() +
	       nla_total_size(sizeof(FAASIN_VERSION));
}

static size_t faasin_reply_workflow_size(void)
{
	return faasin_reply_name_size() + 2 * faasin_reply_u64_size() +
	       nla_total_size(PATH_MAX) + 3 * faasin_reply_u32_size() +
	       2 * faasin_reply_stats_size();
}

static size_t faasin_reply_port_size(void)
{
	return nla_total_size(3 * faasin_reply_name_size() + 3 * faasin_reply_u32_size());
}

static size_t faasin_reply_stage_size(void)
{
	return 2 * faasin_reply_name_size() + 2 * faasin_reply_u64_size() +
	       nla_total_size(PATH_MAX) + 4 * faasin_reply_u32_size() +
	       FAASIN_PORTS_MAX * faasin_reply_port_size() + 2 * faasin_reply_stats_size();
}

static size_t faasin_reply_link_size(void)
{
	return 6 * faasin_reply_name_size() + 3 * faasin_reply_u64_size() +
	       9 * faasin_reply_u32_size() + nla_total_size(TASK_COMM_LEN) +
	       faasin_reply_stats_size();
}

static void *faasin_put_header(struct faasin_reply *reply)
{
	void *hdr = genlmsg_put(reply->skb, reply->portid, reply->seq, &faasin_genl_family,
				reply->cb ? NLM_F_MULTI : 0, reply->cmd);

	if (hdr && reply->cb)
		genl_dump_check_consistent(reply->cb, hdr);
	return hdr;
}

/* A path that is too long to be of use is left out; the id is there. */
static int faasin_put_path(struct faasin_reply *reply, int type, struct cgroup *cgrp)
{
	int len = cgroup_path(cgrp, reply->path, PATH_MAX);

	if (len < 0 || len >= PATH_MAX)
		return 0;
	return nla_put_string(reply->skb, type, reply->path);
}

static int faasin_put_padded(struct sk_buff *skb, const struct faasin_stats *stats)
{
	int i;

	for (i = FAASIN_A_STATS_PAD + 1; i <= FAASIN_A_STATS_MAX; i++)
		if (nla_put_u64_64bit(skb, i, stats->v[i], FAASIN_A_STATS_PAD))
			return -EMSGSIZE;
	return 0;
}

/* Without padding they are all of one size: room is made once for all of them. */
static int faasin_put_packed(struct sk_buff *skb, const struct faasin_stats *stats)
{
	const int size = nla_total_size(sizeof(u64));
	const int all = (FAASIN_A_STATS_MAX - FAASIN_A_STATS_PAD) * size;
	struct nlattr *nla;
	void *at;
	int i;

	if (skb_tailroom(skb) < all)
		return -EMSGSIZE;
	at = skb_put(skb, all);
	for (i = FAASIN_A_STATS_PAD + 1; i <= FAASIN_A_STATS_MAX; i++, at += size) {
		nla = at;
		nla->nla_type = i;
		nla->nla_len = nla_attr_size(sizeof(u64));
		memcpy(nla_data(nla), &stats->v[i], sizeof(u64));
	}
	return 0;
}

/* A listing of thousands of links is mostly these. */
static int faasin_put_stats(struct sk_buff *skb, int type, const struct faasin_stats *stats)
{
	struct nlattr *nest = nla_nest_start(skb, type);
	int err;

	if (!nest)
		return -EMSGSIZE;
	if (IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS))
		err = faasin_put_packed(skb, stats);
	else
		err = faasin_put_padded(skb, stats);
	if (err)
		return err;
	nla_nest_end(skb, nest);
	return 0;
}

static int faasin_put_workflow_stats(struct sk_buff *skb, struct faasin_workflow *wf)
{
	struct faasin_stats all, gone;

	faasin_account_workflow(wf, &all, &gone);
	if (faasin_put_stats(skb, FAASIN_A_WORKFLOW_STATS, &all) ||
	    faasin_put_stats(skb, FAASIN_A_WORKFLOW_GONE, &gone))
		return -EMSGSIZE;
	return 0;
}

static int faasin_put_stage_stats(struct sk_buff *skb, struct faasin_stage *st)
{
	struct faasin_stats sent, received;

	faasin_account_stage(st, &sent, &received);
	if (faasin_put_stats(skb, FAASIN_A_STAGE_SENT, &sent) ||
	    faasin_put_stats(skb, FAASIN_A_STAGE_RECEIVED, &received))
		return -EMSGSIZE;
	return 0;
}

static int faasin_put_link_stats(struct sk_buff *skb, struct faasin_channel *ch)
{
	struct faasin_stats stats;

	faasin_account_link(ch, &stats);
	return faasin_put_stats(skb, FAASIN_A_LINK_STATS, &stats);
}

/**
 * faasin_reply_info() - describes the module
 * @reply: where to
 * @workflows: how many exist
 *
 * Return: 0; -EMSGSIZE if there is no room, nothing having been added.
 */
int faasin_reply_info(struct faasin_reply *reply, unsigned int workflows)
{
	struct sk_buff *skb = reply->skb;
	void *hdr = faasin_put_header(reply);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, FAASIN_A_INFO_ABI, FAASIN_ABI_VERSION) ||
	    nla_put_string(skb, FAASIN_A_INFO_VERSION, FAASIN_VERSION) ||
	    nla_put_u32(skb, FAASIN_A_INFO_WORKFLOWS, workflows) ||
	    nla_put_u32(skb, FAASIN_A_INFO_WORKFLOWS_MAX, FAASIN_WORKFLOWS_MAX) ||
	    nla_put_u64_64bit(skb, FAASIN_A_INFO_EVENT_SEQ, faasin_event_seq(),
			      FAASIN_A_INFO_PAD)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * faasin_reply_workflow() - describes a workflow
 * @reply: where to
 * @wf: the workflow; faasin_tree_sem held
 *
 * Return: 0; -EMSGSIZE if there is no room, nothing having been added.
 */
int faasin_reply_workflow(struct faasin_reply *reply, struct faasin_workflow *wf)
{
	struct sk_buff *skb = reply->skb;
	void *hdr = faasin_put_header(reply);
	u32 flags = 0;

	if (!hdr)
		return -EMSGSIZE;
	if (wf->uncharged)
		flags |= FAASIN_WORKFLOW_F_UNCHARGED;
	if (wf->cgroup && faasin_cgroup_gone(wf->cgroup))
		flags |= FAASIN_WORKFLOW_F_CGROUP_GONE;

	if (nla_put_string(skb, FAASIN_A_WORKFLOW_NAME, wf->node.name) ||
	    nla_put_u64_64bit(skb, FAASIN_A_WORKFLOW_GENERATION, wf->node.generation,
			      FAASIN_A_WORKFLOW_PAD) ||
	    (wf->cgroup &&
	     (nla_put_u64_64bit(skb, FAASIN_A_WORKFLOW_CGROUP_ID, cgroup_id(wf->cgroup),
				FAASIN_A_WORKFLOW_PAD) ||
	      faasin_put_path(reply, FAASIN_A_WORKFLOW_CGROUP_PATH, wf->cgroup))) ||
	    nla_put_u32(skb, FAASIN_A_WORKFLOW_FLAGS, flags) ||
	    nla_put_u32(skb, FAASIN_A_WORKFLOW_STAGES, wf->nr_stages) ||
	    nla_put_u32(skb, FAASIN_A_WORKFLOW_LINKS, wf->nr_links) ||
	    faasin_put_workflow_stats(skb, wf)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int faasin_put_port(struct sk_buff *skb, const struct faasin_port *port)
{
	const struct faasin_link *link = port->link;
	struct nlattr *nest = nla_nest_start(skb, FAASIN_A_STAGE_PORT);
	const struct faasin_channel *ch;
	const struct faasin_port *peer;
	unsigned int opens;

	if (!nest ||
	    nla_put_string(skb, FAASIN_A_PORT_NAME, port->node.name) ||
	    nla_put_u32(skb, FAASIN_A_PORT_DIRECTION, port->direction))
		return -EMSGSIZE;
	if (link) {
		peer = link->src == port ? link->dst : link->src;
		ch = port->trunk ?: link->channel;
		/* A count that changes as soon as it was read needs no lock. */
		opens = port->direction == FAASIN_DIRECTION_IN ? faasin_channel_readers(ch) :
			port->deal ? READ_ONCE(port->deal->opens) :
				     READ_ONCE(ch->opens[FAASIN_DIRECTION_OUT]);
		if (nla_put_string(skb, FAASIN_A_PORT_PEER_STAGE, peer->stage->node.name) ||
		    nla_put_string(skb, FAASIN_A_PORT_PEER_PORT, peer->node.name) ||
		    nla_put_u32(skb, FAASIN_A_PORT_OPENS, opens) ||
		    nla_put_u32(skb, FAASIN_A_PORT_LINKS, port->nr_links))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * faasin_reply_stage() - describes a stage and its ports
 * @reply: where to
 * @st: the stage; faasin_tree_sem held
 *
 * Return: 0; -EMSGSIZE if there is no room, nothing having been added.
 */
int faasin_reply_stage(struct faasin_reply *reply, struct faasin_stage *st)
{
	struct sk_buff *skb = reply->skb;
	void *hdr = faasin_put_header(reply);
	const struct faasin_port *port;
	u32 flags = 0;

	if (!hdr)
		return -EMSGSIZE;
	if (st->cgroup && faasin_cgroup_gone(st->cgroup))
		flags |= FAASIN_STAGE_F_CGROUP_GONE;

	if (nla_put_string(skb, FAASIN_A_STAGE_WORKFLOW, st->workflow->node.name) ||
	    nla_put_string(skb, FAASIN_A_STAGE_NAME, st->node.name) ||
	    nla_put_u64_64bit(skb, FAASIN_A_STAGE_GENERATION, st->node.generation,
			      FAASIN_A_STAGE_PAD) ||
	    (st->cgroup &&
	     (nla_put_u64_64bit(skb, FAASIN_A_STAGE_CGROUP_ID, cgroup_id(st->cgroup),
				FAASIN_A_STAGE_PAD) ||
	      faasin_put_path(reply, FAASIN_A_STAGE_CGROUP_PATH, st->cgroup))) ||
	    nla_put_u32(skb, FAASIN_A_STAGE_UID, from_kuid(&init_user_ns, st->uid)) ||
	    nla_put_u32(skb, FAASIN_A_STAGE_GID, from_kgid(&init_user_ns, st->gid)) ||
	    nla_put_u32(skb, FAASIN_A_STAGE_MODE, st->mode & 0777) ||
	    nla_put_u32(skb, FAASIN_A_STAGE_FLAGS, flags) ||
	    faasin_put_stage_stats(skb, st))
		goto too_long;
	list_for_each_entry(port, &st->ports, entry)
		if (faasin_put_port(skb, port))
			goto too_long;
	genlmsg_end(skb, hdr);
	return 0;

too_long:
	genlmsg_cancel(skb, hdr);
	return -EMSGSIZE;
}

static int faasin_put_cause(struct sk_buff *skb, const struct faasin_link *link)
{
	struct faasin_cause_info ci = { };
	const struct faasin_port *port;

	faasin_channel_cause(link->channel, &ci);
	if (ci.cause == FAASIN_CAUSE_NONE)
		return 0;
	port = ci.by_reader ? link->dst : link->src;
	if (nla_put_u32(skb, FAASIN_A_LINK_CAUSE, ci.cause) ||
	    nla_put_u32(skb, FAASIN_A_LINK_CAUSE_CODE, ci.code) ||
	    nla_put_string(skb, FAASIN_A_LINK_CAUSE_STAGE, port->stage->node.name) ||
	    nla_put_u32(skb, FAASIN_A_LINK_CAUSE_PID, ci.pid) ||
	    nla_put_string(skb, FAASIN_A_LINK_CAUSE_COMM, ci.comm) ||
	    nla_put_u64_64bit(skb, FAASIN_A_LINK_CAUSE_STREAM, ci.stream, FAASIN_A_LINK_PAD))
		return -EMSGSIZE;
	return 0;
}

/**
 * faasin_reply_link() - describes a link, its statistics and its last mishap
 * @reply: where to
 * @link: the link; faasin_tree_sem held
 *
 * Return: 0; -EMSGSIZE if there is no room, nothing having been added.
 */
int faasin_reply_link(struct faasin_reply *reply, struct faasin_link *link)
{
	struct faasin_channel *ch = link->channel;
	struct sk_buff *skb = reply->skb;
	void *hdr = faasin_put_header(reply);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_string(skb, FAASIN_A_LINK_WORKFLOW, link->workflow->node.name) ||
	    nla_put_string(skb, FAASIN_A_LINK_SRC_STAGE, link->src->stage->node.name) ||
	    nla_put_string(skb, FAASIN_A_LINK_SRC_PORT, link->src->node.name) ||
	    nla_put_string(skb, FAASIN_A_LINK_DST_STAGE, link->dst->stage->node.name) ||
	    nla_put_string(skb, FAASIN_A_LINK_DST_PORT, link->dst->node.name) ||
	    nla_put_u64_64bit(skb, FAASIN_A_LINK_GENERATION, link->generation,
			      FAASIN_A_LINK_PAD) ||
	    nla_put_u64_64bit(skb, FAASIN_A_LINK_CAPACITY,
			      READ_ONCE(ch->pool.capacity),
			      FAASIN_A_LINK_PAD) ||
	    nla_put_u32(skb, FAASIN_A_LINK_ABORT_ON, ch->abort_on) ||
	    nla_put_u32(skb, FAASIN_A_LINK_EARLY_CLOSE, ch->early_close) ||
	    nla_put_u32(skb, FAASIN_A_LINK_SLOW, ch->slow) ||
	    nla_put_u32(skb, FAASIN_A_LINK_STATE, faasin_channel_state(ch)) ||
	    nla_put_u32(skb, FAASIN_A_LINK_FLAGS,
			(ch->window.trusted ? FAASIN_LINK_F_TRUSTED : 0) |
			(ch->records ? FAASIN_LINK_F_RECORDS : 0) |
			(ch->deal ? FAASIN_LINK_F_DEALT : 0)) ||
	    nla_put_u32(skb, FAASIN_A_LINK_MERGE,
			ch->inbox ? ch->inbox->merge : FAASIN_MERGE_STREAMS) ||
	    faasin_put_link_stats(skb, ch) ||
	    faasin_put_cause(skb, link)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* The largest description there is of what @cmd asks for. */
static size_t faasin_reply_size(u8 cmd)
{
	switch (cmd) {
	case FAASIN_CMD_WORKFLOW_GET:
		return faasin_reply_workflow_size();
	case FAASIN_CMD_STAGE_GET:
		return faasin_reply_stage_size();
	case FAASIN_CMD_LINK_GET:
		return faasin_reply_link_size();
	default:
		return faasin_reply_info_size();
	}
}

/**
 * faasin_reply_begin() - starts the reply to a request
 * @reply: to be filled in
 * @info: the request
 *
 * Return: 0 or -ENOMEM; after 0, call faasin_reply_end().
 */
int faasin_reply_begin(struct faasin_reply *reply, const struct genl_info *info)
{
	*reply = (struct faasin_reply) {
		.portid = info->snd_portid,
		.seq = info->snd_seq,
		.cmd = info->genlhdr->cmd,
	};
	reply->path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!reply->path)
		goto nomem;
	reply->skb = genlmsg_new(faasin_reply_size(reply->cmd), GFP_KERNEL);
	if (!reply->skb) {
		kfree(reply->path);
		goto nomem;
	}
	return 0;

nomem:
	NL_SET_ERR_MSG(info->extack, "no memory for the reply");
	return -ENOMEM;
}

/**
 * faasin_reply_end() - sends the reply to a request, or throws it away
 * @reply: of faasin_reply_begin()
 * @info: the request
 * @err: what became of the request; unless 0 there is nothing to send
 *
 * Return: @err or, that being 0, what became of the sending.
 */
int faasin_reply_end(struct faasin_reply *reply, struct genl_info *info, int err)
{
	kfree(reply->path);
	if (err) {
		nlmsg_free(reply->skb);
		return err;
	}
	return genlmsg_reply(reply->skb, info);
}

/* ---------------------------------------------------------------- listings */

/**
 * faasin_list_begin() - prepares a listing
 * @cb: the request
 * @only: generation of the workflow to limit it to, or 0
 */
void faasin_list_begin(struct netlink_callback *cb, u64 only)
{
	const struct genlmsghdr *hdr = nlmsg_data(cb->nlh);
	struct faasin_listing *list = (void *)cb->ctx;

	BUILD_BUG_ON(sizeof(*list) > sizeof(cb->ctx));

	list->only = only;
	list->workflow = only;
	list->child = 0;

	/* Any object fits an empty message then, so none stops the listing. */
	cb->min_dump_alloc = nlmsg_total_size(GENL_HDRLEN + faasin_reply_size(hdr->cmd));
}

static int faasin_list_workflow(struct faasin_reply *reply, struct faasin_workflow *wf,
				struct faasin_listing *list)
{
	return faasin_reply_workflow(reply, wf);
}

static int faasin_list_workflow_stages(struct faasin_reply *reply, struct faasin_workflow *wf,
				       struct faasin_listing *list)
{
	struct faasin_stage *st;
	int err;

	while ((st = faasin_stage_next(wf, list->child))) {
		err = faasin_reply_stage(reply, st);
		if (err)
			return err;
		list->child = st->node.generation;
	}
	return 0;
}

static int faasin_list_workflow_links(struct faasin_reply *reply, struct faasin_workflow *wf,
				      struct faasin_listing *list)
{
	struct faasin_link *link;
	int err;

	while ((link = faasin_link_next(wf, list->child))) {
		err = faasin_reply_link(reply, link);
		if (err)
			return err;
		list->child = link->generation;
	}
	return 0;
}

/* Fills one message with what @each makes of workflow after workflow. */
static int faasin_list(struct sk_buff *skb, struct netlink_callback *cb,
		       int (*each)(struct faasin_reply *reply, struct faasin_workflow *wf,
				   struct faasin_listing *list))
{
	struct faasin_listing *list = (void *)cb->ctx;
	const struct genlmsghdr *hdr = nlmsg_data(cb->nlh);
	struct faasin_reply reply = {
		.skb = skb,
		.cb = cb,
		.portid = NETLINK_CB(cb->skb).portid,
		.seq = cb->nlh->nlmsg_seq,
		.cmd = hdr->cmd,
	};
	struct faasin_workflow *wf;
	int err;

	reply.path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!reply.path) {
		NL_SET_ERR_MSG(cb->extack, "no memory for the listing");
		return -ENOMEM;
	}
	err = down_read_killable(&faasin_tree_sem);
	if (err)
		goto free;

	/* The core compares it with that of the message before, the final one
	 * included: so what is gone without a trace is noticed as well.
	 */
	cb->seq = faasin_tree_seq;
	for (;;) {
		wf = faasin_workflow_next(list->workflow ? list->workflow - 1 : 0);
		if (!wf || (list->only && wf->node.generation != list->only))
			break;
		if (wf->node.generation != list->workflow) {
			list->workflow = wf->node.generation;
			list->child = 0;
		}
		err = each(&reply, wf, list);
		if (err)
			break;
		list->workflow++;
		list->child = 0;
		if (list->only)
			break;
	}
	up_read(&faasin_tree_sem);
free:
	kfree(reply.path);
	return skb->len ? skb->len : err;
}

/**
 * faasin_list_workflows() - one message of all workflows
 * @skb: to be filled
 * @cb: the listing
 *
 * Return: bytes; 0 at the end; -EINTR, -ENOMEM.
 */
int faasin_list_workflows(struct sk_buff *skb, struct netlink_callback *cb)
{
	return faasin_list(skb, cb, faasin_list_workflow);
}

/**
 * faasin_list_stages() - one message of the stages of one or all workflows
 * @skb: to be filled
 * @cb: the listing
 *
 * Return: as faasin_list_workflows().
 */
int faasin_list_stages(struct sk_buff *skb, struct netlink_callback *cb)
{
	return faasin_list(skb, cb, faasin_list_workflow_stages);
}

/**
 * faasin_list_links() - one message of the links of one or all workflows
 * @skb: to be filled
 * @cb: the listing
 *
 * Return: as faasin_list_workflows().
 */
int faasin_list_links(struct sk_buff *skb, struct netlink_callback *cb)
{
	return faasin_list(skb, cb, faasin_list_workflow_links);
}
