// SPDX-License-Identifier: LGPL-2.1-or-later
/* Links: LINK_GET, _NEW and _DEL. */
#include "internal.h"

static const struct nla_policy link_policy[FAASIN_A_LINK_MAX + 1] = {
	[FAASIN_A_LINK_WORKFLOW] = { .type = NLA_STRING },
	[FAASIN_A_LINK_SRC_STAGE] = { .type = NLA_STRING },
	[FAASIN_A_LINK_SRC_PORT] = { .type = NLA_STRING },
	[FAASIN_A_LINK_DST_STAGE] = { .type = NLA_STRING },
	[FAASIN_A_LINK_DST_PORT] = { .type = NLA_STRING },
	[FAASIN_A_LINK_GENERATION] = { .type = NLA_U64 },
	[FAASIN_A_LINK_CAPACITY] = { .type = NLA_U64 },
	[FAASIN_A_LINK_ABORT_ON] = { .type = NLA_U32 },
	[FAASIN_A_LINK_EARLY_CLOSE] = { .type = NLA_U32 },
	[FAASIN_A_LINK_STATS] = { .type = NLA_NESTED },
	[FAASIN_A_LINK_CAUSE] = { .type = NLA_U32 },
	[FAASIN_A_LINK_CAUSE_CODE] = { .type = NLA_U32 },
	[FAASIN_A_LINK_CAUSE_STAGE] = { .type = NLA_STRING },
	[FAASIN_A_LINK_CAUSE_PID] = { .type = NLA_U32 },
	[FAASIN_A_LINK_CAUSE_COMM] = { .type = NLA_STRING },
	[FAASIN_A_LINK_CAUSE_STREAM] = { .type = NLA_U64 },
	[FAASIN_A_LINK_STATE] = { .type = NLA_U32 },
	[FAASIN_A_LINK_FLAGS] = { .type = NLA_U32 },
	[FAASIN_A_LINK_SLOW] = { .type = NLA_U32 },
	[FAASIN_A_LINK_MERGE] = { .type = NLA_U32 },
};

static int decode(const struct nlmsghdr *hdr, struct faasctl_link *link,
		  struct faasctl_error *err)
{
	struct nlattr *tb[FAASIN_A_LINK_MAX + 1];
	int ret;

	ret = faasctl__parse(hdr, tb, FAASIN_A_LINK_MAX, link_policy,
			     1u << FAASIN_A_LINK_WORKFLOW |
			     1u << FAASIN_A_LINK_SRC_STAGE |
			     1u << FAASIN_A_LINK_SRC_PORT |
			     1u << FAASIN_A_LINK_DST_STAGE |
			     1u << FAASIN_A_LINK_DST_PORT |
			     1u << FAASIN_A_LINK_CAUSE_STAGE, err);
	if (ret)
		return ret;
	if (!tb[FAASIN_A_LINK_WORKFLOW] || !tb[FAASIN_A_LINK_SRC_STAGE] ||
	    !tb[FAASIN_A_LINK_SRC_PORT] || !tb[FAASIN_A_LINK_DST_STAGE] ||
	    !tb[FAASIN_A_LINK_DST_PORT])
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer is malformed");
	*link = (struct faasctl_link){
		.workflow = faasctl__string(tb[FAASIN_A_LINK_WORKFLOW]),
		.src_stage = faasctl__string(tb[FAASIN_A_LINK_SRC_STAGE]),
		.src_port = faasctl__string(tb[FAASIN_A_LINK_SRC_PORT]),
		.dst_stage = faasctl__string(tb[FAASIN_A_LINK_DST_STAGE]),
		.dst_port = faasctl__string(tb[FAASIN_A_LINK_DST_PORT]),
		.generation = faasctl__u64(tb[FAASIN_A_LINK_GENERATION]),
		.capacity = faasctl__u64(tb[FAASIN_A_LINK_CAPACITY]),
		.abort_on = faasctl__u32(tb[FAASIN_A_LINK_ABORT_ON]),
		.early_close = faasctl__u32(tb[FAASIN_A_LINK_EARLY_CLOSE]),
		.slow = faasctl__u32(tb[FAASIN_A_LINK_SLOW]),
		.merge = faasctl__u32(tb[FAASIN_A_LINK_MERGE]),
		.state = faasctl__u32(tb[FAASIN_A_LINK_STATE]),
		.flags = faasctl__u32(tb[FAASIN_A_LINK_FLAGS]),
		.last = {
			.cause = faasctl__u32(tb[FAASIN_A_LINK_CAUSE]),
			.code = faasctl__u32(tb[FAASIN_A_LINK_CAUSE_CODE]),
			.pid = faasctl__u32(tb[FAASIN_A_LINK_CAUSE_PID]),
			.comm = faasctl__string(tb[FAASIN_A_LINK_CAUSE_COMM]),
			.stage = faasctl__string(tb[FAASIN_A_LINK_CAUSE_STAGE]),
			.stream = faasctl__u64(tb[FAASIN_A_LINK_CAUSE_STREAM]),
		},
	};
	return faasctl__decode_stats(tb[FAASIN_A_LINK_STATS], &link->stats, err);
}

static int put_end(struct nl_msg *msg, int stage_attr, int port_attr,
		   const struct faasctl__end *end)
{
	if (nla_put_string(msg, stage_attr, end->stage) ||
	    (end->port[0] && nla_put_string(msg, port_attr, end->port)))
		return -EMSGSIZE;
	return 0;
}

/**
 * struct listing - links that are asked for
 * @src: only those that start there, or NULL
 * @fn: to be told of each, or NULL
 * @arg: for it
 * @n: how many there were
 */
struct listing {
	const struct faasctl__end *src;
	faasctl_link_fn fn;
	void *arg;
	size_t n;
};

static bool starts_at(const struct faasctl_link *link, const struct faasctl__end *src)
{
	return !strcmp(link->src_stage, src->stage) &&
	       !strcmp(link->src_port, src->port[0] ? src->port : FAASIN_PORT_OUT);
}

/* One request: for the link that starts at @src, or (NULL) for all. */
static int list(struct faasctl *ctl, const char *workflow,
		const struct faasctl__end *src, struct listing *listing,
		struct faasctl_error *err)
{
	_cleanup_(faasctl__replies_free) struct faasctl__replies replies = { 0 };
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	struct nlmsghdr *hdr;
	struct faasctl_link link;
	int ret, left;

	msg = faasctl__request(ctl, FAASIN_CMD_LINK_GET, src ? 0 : NLM_F_DUMP);
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if ((workflow &&
	     nla_put_string(msg, FAASIN_A_LINK_WORKFLOW, workflow)) ||
	    (src && put_end(msg, FAASIN_A_LINK_SRC_STAGE,
			    FAASIN_A_LINK_SRC_PORT, src)))
		return faasctl__too_big(err);
	ret = faasctl__call(ctl, msg, &replies, err);
	if (ret == -ENOENT && workflow && !src)
		return faasctl__no_workflow(err);
	left = replies.len;
	for (hdr = replies.buf; !ret && listing->fn && nlmsg_ok(hdr, left);
	     hdr = nlmsg_next(hdr, &left)) {
		ret = decode(hdr, &link, err);
		if (ret || (listing->src && !starts_at(&link, listing->src)))
			continue;
		listing->n++;
		ret = listing->fn(&link, listing->arg);
	}
	return ret;
}

FAASCTL_API int faasctl_link_each(struct faasctl *ctl, const char *workflow,
				  const char *src, faasctl_link_fn fn,
				  void *arg, struct faasctl_error *err)
{
	struct listing listing = { .fn = fn, .arg = arg };
	struct faasctl__end end;
	int ret = 0;

	if (src && !workflow)
		return faasctl__fail(err, EINVAL,
				     "a stage is named without its workflow");
	if (workflow)
		ret = faasctl_name_check("workflow", workflow, err);
	if (!ret && src)
		ret = faasctl__end_parse(src, &end, err);
	if (ret)
		return ret;
	if (!src)
		return list(ctl, workflow, NULL, &listing, err);
	ret = list(ctl, workflow, &end, &listing, err);
	if (ret != -ENOTUNIQ)
		return ret;
	/* It has several: they are among all those of the workflow. */
	listing.src = &end;
	ret = list(ctl, workflow, NULL, &listing, err);
	if (!ret && fn && !listing.n)
		return faasctl__fail(err, ENOENT, "the source port is not linked");
	return ret;
}

static bool merges(const struct faasctl_link_options *options)
{
	return options->merge != FAASCTL_UNSET && options->merge != FAASIN_MERGE_STREAMS;
}

static int put_options(struct nl_msg *msg,
		       const struct faasctl_link_options *options)
{
	uint32_t flags = 0;

	if (options->flags & FAASCTL_TRUSTED)
		flags |= FAASIN_LINK_F_TRUSTED;
	if (options->flags & FAASCTL_RECORDS)
		flags |= FAASIN_LINK_F_RECORDS;
	if (options->flags & FAASCTL_DEAL)
		flags |= FAASIN_LINK_F_DEALT;
	if ((options->capacity != FAASCTL_UNSET64 &&
	     nla_put_u64(msg, FAASIN_A_LINK_CAPACITY, options->capacity)) ||
	    (options->abort_on != FAASCTL_UNSET &&
	     nla_put_u32(msg, FAASIN_A_LINK_ABORT_ON, options->abort_on)) ||
	    (options->early_close != FAASCTL_UNSET &&
	     nla_put_u32(msg, FAASIN_A_LINK_EARLY_CLOSE, options->early_close)) ||
	    (flags && nla_put_u32(msg, FAASIN_A_LINK_FLAGS, flags)) ||
	    (options->slow != FAASCTL_UNSET &&
	     nla_put_u32(msg, FAASIN_A_LINK_SLOW, options->slow)) ||
	    (merges(options) &&
	     nla_put_u32(msg, FAASIN_A_LINK_MERGE, options->merge)))
		return -EMSGSIZE;
	return 0;
}

static int put_nest(struct nl_msg *msg, int attr, const struct faasctl__end *end)
{
	struct nlattr *nest = nla_nest_start(msg, attr | NLA_F_NESTED);

	if (!nest || put_end(msg, FAASIN_A_END_STAGE, FAASIN_A_END_PORT, end))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

/* One end as the only one, a list of them, or (@several) one of these, as several. */
static int put_ends(struct nl_msg *msg, const char *list, bool several, int several_attr,
		    int stage_attr, int port_attr, struct faasctl_error *err)
{
	struct faasctl__end end;
	int ret;

	while (!(ret = faasctl__end_next(&list, &end, err)))
		if (several ? put_nest(msg, several_attr, &end) :
			      put_end(msg, stage_attr, port_attr, &end))
			return faasctl__too_big(err);
	return ret == -ENOENT ? 0 : ret;
}

FAASCTL_API int faasctl_link_add(struct faasctl *ctl, const char *workflow,
				 const char *src, const char *dst,
				 const struct faasctl_link_options *options,
				 struct faasctl_error *err)
{
	static const struct faasctl_link_options defaults =
		FAASCTL_LINK_OPTIONS_INIT;
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	if (!options)
		options = &defaults;
	if (options->size != sizeof(*options))
		return faasctl__fail(err, EINVAL,
			"link options of another version of libfaasctl");
	ret = faasctl_name_check("workflow", workflow, err);
	if (ret)
		return ret;
	msg = faasctl__request(ctl, FAASIN_CMD_LINK_NEW, NLM_F_CREATE |
			       (options->flags & FAASCTL_EXCLUSIVE ?
				NLM_F_EXCL : 0));
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (nla_put_string(msg, FAASIN_A_LINK_WORKFLOW, workflow) ||
	    put_options(msg, options))
		return faasctl__too_big(err);
	ret = put_ends(msg, src, strchr(src, ',') || merges(options), FAASIN_A_LINK_SRC,
		       FAASIN_A_LINK_SRC_STAGE, FAASIN_A_LINK_SRC_PORT, err);
	if (!ret)
		ret = put_ends(msg, dst, strchr(dst, ','), FAASIN_A_LINK_DST,
			       FAASIN_A_LINK_DST_STAGE, FAASIN_A_LINK_DST_PORT, err);
	return ret ? ret : faasctl__call(ctl, msg, NULL, err);
}

/* A request about one link, for the caller to add to. */
static int request_of(struct faasctl *ctl, int cmd, const char *workflow,
		      const char *src, const char *dst, uint64_t generation,
		      struct nl_msg **msg, struct faasctl_error *err)
{
	struct faasctl__end from, to;
	int ret;

	ret = faasctl_name_check("workflow", workflow, err);
	if (!ret)
		ret = faasctl__end_parse(src, &from, err);
	if (!ret && dst)
		ret = faasctl__end_parse(dst, &to, err);
	if (ret)
		return ret;
	*msg = faasctl__request(ctl, cmd, 0);
	if (!*msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (nla_put_string(*msg, FAASIN_A_LINK_WORKFLOW, workflow) ||
	    put_end(*msg, FAASIN_A_LINK_SRC_STAGE, FAASIN_A_LINK_SRC_PORT,
		    &from) ||
	    (dst && put_end(*msg, FAASIN_A_LINK_DST_STAGE,
			    FAASIN_A_LINK_DST_PORT, &to)) ||
	    (generation &&
	     nla_put_u64(*msg, FAASIN_A_LINK_GENERATION, generation)))
		return faasctl__too_big(err);
	return 0;
}

FAASCTL_API int faasctl_link_del(struct faasctl *ctl, const char *workflow,
				 const char *src, const char *dst,
				 uint64_t generation, struct faasctl_error *err)
{
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	ret = request_of(ctl, FAASIN_CMD_LINK_DEL, workflow, src, dst,
			 generation, &msg, err);
	return ret ? ret : faasctl__call(ctl, msg, NULL, err);
}

FAASCTL_API int faasctl_link_resize(struct faasctl *ctl, const char *workflow,
				    const char *src, const char *dst,
				    uint64_t generation, uint64_t capacity,
				    struct faasctl_error *err)
{
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	ret = request_of(ctl, FAASIN_CMD_LINK_SET, workflow, src, dst,
			 generation, &msg, err);
	if (ret)
		return ret;
	if (nla_put_u64(msg, FAASIN_A_LINK_CAPACITY, capacity))
		return faasctl__too_big(err);
	return faasctl__call(ctl, msg, NULL, err);
}

FAASCTL_API int faasctl_link_set_state(struct faasctl *ctl,
				       const char *workflow, const char *src,
				       const char *dst, uint64_t generation,
				       uint32_t state, struct faasctl_error *err)
{
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	ret = request_of(ctl, FAASIN_CMD_LINK_SET, workflow, src, dst,
			 generation, &msg, err);
	if (ret)
		return ret;
	if (nla_put_u32(msg, FAASIN_A_LINK_STATE, state))
		return faasctl__too_big(err);
	return faasctl__call(ctl, msg, NULL, err);
}
