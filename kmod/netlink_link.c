// SPDX-License-Identifier: GPL-2.0
/*
 * Requests about links: which they mean, by their ends, and what these are to be like.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <net/genetlink.h>

#include "netlink.h"
#include "policy.h"
#include "reply.h"
#include "workflow.h"

static_assert(FAASIN_FAN_MAX == 32, "a message below says so");

/* A link is named by its source, so both are always needed. Reads only what the
 * smallest of the three policies has.
 */
static int faasin_nl_link_source(struct genl_info *info, struct faasin_link_spec *spec)
{
	if (faasin_nl_missing(info, FAASIN_A_LINK_WORKFLOW) ||
	    faasin_nl_missing(info, FAASIN_A_LINK_SRC_STAGE))
		return -EINVAL;
	spec->workflow = faasin_nl_string(info, FAASIN_A_LINK_WORKFLOW);
	spec->src_stage = faasin_nl_string(info, FAASIN_A_LINK_SRC_STAGE);
	spec->src_port = faasin_nl_string(info, FAASIN_A_LINK_SRC_PORT);
	return 0;
}

static void faasin_nl_link_destination(struct genl_info *info, struct faasin_link_spec *spec)
{
	spec->dst_stage = faasin_nl_string(info, FAASIN_A_LINK_DST_STAGE);
	spec->dst_port = faasin_nl_string(info, FAASIN_A_LINK_DST_PORT);
}

/**
 * faasin_nl_link_get() - FAASIN_CMD_LINK_GET
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists.
 */
int faasin_nl_link_get(struct sk_buff *skb, struct genl_info *info)
{
	struct faasin_link_spec spec = { };
	struct faasin_reply reply;
	struct faasin_link *link;
	int err;

	err = faasin_nl_check_get(skb, info);
	if (err)
		return err;
	err = faasin_nl_link_source(info, &spec);
	if (err)
		return err;
	faasin_nl_link_destination(info, &spec);
	err = faasin_reply_begin(&reply, info);
	if (err)
		return err;
	err = down_read_killable(&faasin_tree_sem);
	if (!err) {
		link = faasin_link_find(&spec, info->extack);
		err = IS_ERR(link) ? PTR_ERR(link) : faasin_reply_link(&reply, link);
		up_read(&faasin_tree_sem);
	}
	return faasin_reply_end(&reply, info, err);
}

static int faasin_nl_link_capacity(struct genl_info *info, struct faasin_link_spec *spec)
{
	const struct nlattr *attr = info->attrs[FAASIN_A_LINK_CAPACITY];
	int err;

	if (!attr)
		return 0;
	err = faasin_nl_capacity(attr, info->extack);
	if (err)
		return err;
	spec->has_capacity = true;
	spec->capacity = nla_get_u64(attr);
	return 0;
}

/* Reads the ends of a type that are asked for. @ends has room for FAASIN_FAN_MAX. */
static int faasin_nl_link_ends(struct genl_info *info, int type, struct faasin_end_spec *ends,
			       unsigned int *nr)
{
	struct nlattr *tb[ARRAY_SIZE(faasin_end_policy)];
	struct nlattr *attr;
	int rem, err;

	*nr = 0;
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != type)
			continue;
		if (*nr == FAASIN_FAN_MAX) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr,
					    "too many ends: an output, or an input, has at most 32 links");
			return -ENOSPC;
		}
		err = nla_parse_nested(tb, ARRAY_SIZE(tb) - 1, attr, faasin_end_policy,
				       info->extack);
		if (err)
			return err;
		if (NL_REQ_ATTR_CHECK(info->extack, attr, tb, FAASIN_A_END_STAGE)) {
			GENL_SET_ERR_MSG(info, "attribute FAASIN_A_END_STAGE is missing: add it");
			return -EINVAL;
		}
		ends[*nr].stage = nla_data(tb[FAASIN_A_END_STAGE]);
		ends[*nr].port = tb[FAASIN_A_END_PORT] ? nla_data(tb[FAASIN_A_END_PORT]) : NULL;
		(*nr)++;
	}
	return 0;
}

/* Both ends of a new link, or of several. @ends has room for twice FAASIN_FAN_MAX. */
static int faasin_nl_link_new_ends(struct genl_info *info, struct faasin_link_spec *spec,
				   struct faasin_end_spec *ends)
{
	int err;

	err = faasin_nl_link_ends(info, FAASIN_A_LINK_SRC, ends, &spec->nr_srcs);
	if (!err)
		err = faasin_nl_link_ends(info, FAASIN_A_LINK_DST, ends + FAASIN_FAN_MAX,
					  &spec->nr_dsts);
	if (err)
		return err;
	spec->srcs = ends;
	spec->dsts = ends + FAASIN_FAN_MAX;
	spec->workflow = faasin_nl_string(info, FAASIN_A_LINK_WORKFLOW);
	spec->src_stage = faasin_nl_string(info, FAASIN_A_LINK_SRC_STAGE);
	spec->src_port = faasin_nl_string(info, FAASIN_A_LINK_SRC_PORT);
	faasin_nl_link_destination(info, spec);
	if (faasin_nl_missing(info, FAASIN_A_LINK_WORKFLOW) ||
	    (!spec->nr_srcs && faasin_nl_missing(info, FAASIN_A_LINK_SRC_STAGE)) ||
	    (!spec->nr_dsts && faasin_nl_missing(info, FAASIN_A_LINK_DST_STAGE)))
		return -EINVAL;
	if (spec->nr_srcs && (spec->src_stage || spec->src_port)) {
		NL_SET_ERR_MSG(info->extack,
			       "a source is given in both ways: leave out SRC_STAGE and SRC_PORT");
		return -EINVAL;
	}
	if (spec->nr_dsts && (spec->dst_stage || spec->dst_port)) {
		NL_SET_ERR_MSG(info->extack,
			       "a destination is given in both ways: leave out DST_STAGE and DST_PORT");
		return -EINVAL;
	}
	return 0;
}

static int faasin_nl_link_options(struct genl_info *info, struct faasin_link_spec *spec)
{
	struct nlattr **attrs = info->attrs;
	int err;

	err = faasin_nl_link_capacity(info, spec);
	if (err)
		return err;
	if (attrs[FAASIN_A_LINK_ABORT_ON]) {
		spec->has_abort_on = true;
		spec->abort_on = nla_get_u32(attrs[FAASIN_A_LINK_ABORT_ON]);
	}
	if (attrs[FAASIN_A_LINK_EARLY_CLOSE]) {
		spec->has_early_close = true;
		spec->early_close = nla_get_u32(attrs[FAASIN_A_LINK_EARLY_CLOSE]);
	}
	if (attrs[FAASIN_A_LINK_FLAGS]) {
		err = faasin_nl_link_flags(attrs[FAASIN_A_LINK_FLAGS], info->extack);
		if (err)
			return err;
		spec->flags = nla_get_u32(attrs[FAASIN_A_LINK_FLAGS]);
	}
	if (attrs[FAASIN_A_LINK_SLOW]) {
		spec->has_slow = true;
		spec->slow = nla_get_u32(attrs[FAASIN_A_LINK_SLOW]);
	}
	if (attrs[FAASIN_A_LINK_MERGE])
		spec->merge = nla_get_u32(attrs[FAASIN_A_LINK_MERGE]);
	spec->exclusive = faasin_nl_exclusive(info);
	return 0;
}

/**
 * faasin_nl_link_new() - FAASIN_CMD_LINK_NEW
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists.
 */
int faasin_nl_link_new(struct sk_buff *skb, struct genl_info *info)
{
	struct faasin_link_spec spec = { };
	struct faasin_end_spec *ends;
	int err;

	err = faasin_nl_check_new(skb, info);
	if (err)
		return err;
	ends = kcalloc(2 * FAASIN_FAN_MAX, sizeof(*ends), GFP_KERNEL);
	if (!ends) {
		GENL_SET_ERR_MSG(info, "no memory for the request");
		return -ENOMEM;
	}
	err = faasin_nl_link_new_ends(info, &spec, ends);
	if (!err)
		err = faasin_nl_link_options(info, &spec);
	if (!err)
		err = faasin_link_new(&spec, info->extack);
	kfree(ends);
	return err;
}

/**
 * faasin_nl_link_del() - FAASIN_CMD_LINK_DEL
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists.
 */
int faasin_nl_link_del(struct sk_buff *skb, struct genl_info *info)
{
	struct faasin_link_spec spec = { };
	int err;

	err = faasin_nl_check_del(skb, info);
	if (err)
		return err;
	err = faasin_nl_link_source(info, &spec);
	if (err)
		return err;
	faasin_nl_link_destination(info, &spec);
	spec.generation = faasin_nl_generation(info, FAASIN_A_LINK_GENERATION);
	return faasin_link_del(&spec, info->extack);
}

/**
 * faasin_nl_link_set() - FAASIN_CMD_LINK_SET
 * @skb: the message
 * @info: the request; gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists.
 */
int faasin_nl_link_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct faasin_link_spec spec = { };
	int err;

	err = faasin_nl_check_set(skb, info);
	if (err)
		return err;
	err = faasin_nl_link_source(info, &spec);
	if (err)
		return err;
	faasin_nl_link_destination(info, &spec);
	spec.generation = faasin_nl_generation(info, FAASIN_A_LINK_GENERATION);
	err = faasin_nl_link_capacity(info, &spec);
	if (err)
		return err;
	if (attrs[FAASIN_A_LINK_STATE]) {
		spec.has_state = true;
		spec.state = nla_get_u32(attrs[FAASIN_A_LINK_STATE]);
		if (spec.state == FAASIN_LINK_STATE_DRAINED) {
			NL_SET_ERR_MSG(info->extack,
				       "a link is drained by being read: set it to draining");
			return -EINVAL;
		}
	}
	if (!spec.has_capacity && !spec.has_state) {
		NL_SET_ERR_MSG(info->extack, "nothing to change: give a capacity or a state");
		return -EINVAL;
	}
	return faasin_link_set(&spec, info->extack);
}
