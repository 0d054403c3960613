// SPDX-License-Identifier: LGPL-2.1-or-later
/* Stages and their ports: STAGE_GET, _NEW and _DEL. */
#include "internal.h"

static const struct nla_policy stage_policy[FAASIN_A_STAGE_MAX + 1] = {
	[FAASIN_A_STAGE_WORKFLOW] = { .type = NLA_STRING },
	[FAASIN_A_STAGE_NAME] = { .type = NLA_STRING },
	[FAASIN_A_STAGE_GENERATION] = { .type = NLA_U64 },
	[FAASIN_A_STAGE_CGROUP_ID] = { .type = NLA_U64 },
	[FAASIN_A_STAGE_CGROUP_PATH] = { .type = NLA_STRING },
	[FAASIN_A_STAGE_UID] = { .type = NLA_U32 },
	[FAASIN_A_STAGE_GID] = { .type = NLA_U32 },
	[FAASIN_A_STAGE_MODE] = { .type = NLA_U32 },
	[FAASIN_A_STAGE_FLAGS] = { .type = NLA_U32 },
	[FAASIN_A_STAGE_PORT] = { .type = NLA_NESTED },
	[FAASIN_A_STAGE_SENT] = { .type = NLA_NESTED },
	[FAASIN_A_STAGE_RECEIVED] = { .type = NLA_NESTED },
};

static const struct nla_policy port_policy[FAASIN_A_PORT_MAX + 1] = {
	[FAASIN_A_PORT_NAME] = { .type = NLA_STRING },
	[FAASIN_A_PORT_DIRECTION] = { .type = NLA_U32 },
	[FAASIN_A_PORT_PEER_STAGE] = { .type = NLA_STRING },
	[FAASIN_A_PORT_PEER_PORT] = { .type = NLA_STRING },
	[FAASIN_A_PORT_OPENS] = { .type = NLA_U32 },
	[FAASIN_A_PORT_LINKS] = { .type = NLA_U32 },
};

static int decode_port(struct nlattr *attr, struct faasctl_port *port,
		       struct faasctl_error *err)
{
	struct nlattr *tb[FAASIN_A_PORT_MAX + 1];
	int ret;

	ret = faasctl__parse_nested(attr, tb, FAASIN_A_PORT_MAX, port_policy, err);
	if (ret)
		return ret;
	if (!tb[FAASIN_A_PORT_NAME])
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer is malformed");
	ret = faasctl__check_names(tb, 1u << FAASIN_A_PORT_NAME |
				   1u << FAASIN_A_PORT_PEER_STAGE |
				   1u << FAASIN_A_PORT_PEER_PORT, err);
	if (ret)
		return ret;
	*port = (struct faasctl_port){
		.name = faasctl__string(tb[FAASIN_A_PORT_NAME]),
		.direction = faasctl__u32(tb[FAASIN_A_PORT_DIRECTION]),
		.peer_stage = faasctl__string(tb[FAASIN_A_PORT_PEER_STAGE]),
		.peer_port = faasctl__string(tb[FAASIN_A_PORT_PEER_PORT]),
		.opens = faasctl__u32(tb[FAASIN_A_PORT_OPENS]),
		.links = faasctl__u32(tb[FAASIN_A_PORT_LINKS]),
	};
	return 0;
}

static int decode_ports(const struct nlmsghdr *hdr, struct faasctl_port *ports,
			size_t *n, struct faasctl_error *err)
{
	struct genlmsghdr *genl = genlmsg_hdr((struct nlmsghdr *)hdr);
	struct nlattr *attr;
	int rem, ret;

	*n = 0;
	nla_for_each_attr(attr, genlmsg_attrdata(genl, 0),
			  genlmsg_attrlen(genl, 0), rem) {
		if (nla_type(attr) != FAASIN_A_STAGE_PORT)
			continue;
		if (*n == FAASIN_PORTS_MAX)
			return faasctl__fail(err, EBADMSG,
				"the kernel's answer has too many ports");
		ret = decode_port(attr, &ports[*n], err);
		if (ret)
			return ret;
		(*n)++;
	}
	return 0;
}

static int decode(const struct nlmsghdr *hdr, struct faasctl_stage *stage,
		  struct faasctl_port *ports, struct faasctl_error *err)
{
	struct nlattr *tb[FAASIN_A_STAGE_MAX + 1];
	int ret;

	ret = faasctl__parse(hdr, tb, FAASIN_A_STAGE_MAX, stage_policy,
			     1u << FAASIN_A_STAGE_WORKFLOW |
			     1u << FAASIN_A_STAGE_NAME, err);
	if (ret)
		return ret;
	if (!tb[FAASIN_A_STAGE_WORKFLOW] || !tb[FAASIN_A_STAGE_NAME])
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer is malformed");
	*stage = (struct faasctl_stage){
		.workflow = faasctl__string(tb[FAASIN_A_STAGE_WORKFLOW]),
		.name = faasctl__string(tb[FAASIN_A_STAGE_NAME]),
		.generation = faasctl__u64(tb[FAASIN_A_STAGE_GENERATION]),
		.cgroup_id = faasctl__u64(tb[FAASIN_A_STAGE_CGROUP_ID]),
		.cgroup_path = faasctl__string(tb[FAASIN_A_STAGE_CGROUP_PATH]),
		.uid = faasctl__u32(tb[FAASIN_A_STAGE_UID]),
		.gid = faasctl__u32(tb[FAASIN_A_STAGE_GID]),
		.mode = faasctl__u32(tb[FAASIN_A_STAGE_MODE]),
		.flags = faasctl__u32(tb[FAASIN_A_STAGE_FLAGS]),
		.ports = ports,
	};
	ret = faasctl__decode_stats(tb[FAASIN_A_STAGE_SENT], &stage->sent, err);
	if (!ret)
		ret = faasctl__decode_stats(tb[FAASIN_A_STAGE_RECEIVED],
					    &stage->received, err);
	return ret ? ret : decode_ports(hdr, ports, &stage->n_ports, err);
}

FAASCTL_API int faasctl_stage_each(struct faasctl *ctl, const char *workflow,
				   const char *name, faasctl_stage_fn fn,
				   void *arg, struct faasctl_error *err)
{
	_cleanup_(faasctl__replies_free) struct faasctl__replies replies = { 0 };
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	struct faasctl_port ports[FAASIN_PORTS_MAX];
	struct faasctl_stage stage;
	struct nlmsghdr *hdr;
	int ret = 0, left;

	if (name && !workflow)
		return faasctl__fail(err, EINVAL,
				     "a stage is named without its workflow");
	if (workflow)
		ret = faasctl_name_check("workflow", workflow, err);
	if (!ret && name)
		ret = faasctl_name_check("stage", name, err);
	if (ret)
		return ret;
	msg = faasctl__request(ctl, FAASIN_CMD_STAGE_GET,
			       name ? 0 : NLM_F_DUMP);
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if ((workflow &&
	     nla_put_string(msg, FAASIN_A_STAGE_WORKFLOW, workflow)) ||
	    (name && nla_put_string(msg, FAASIN_A_STAGE_NAME, name)))
		return faasctl__too_big(err);
	ret = faasctl__call(ctl, msg, &replies, err);
	if (ret == -ENOENT && workflow && !name)
		return faasctl__no_workflow(err);
	left = replies.len;
	for (hdr = replies.buf; !ret && fn && nlmsg_ok(hdr, left);
	     hdr = nlmsg_next(hdr, &left)) {
		ret = decode(hdr, &stage, ports, err);
		if (!ret)
			ret = fn(&stage, arg);
	}
	return ret;
}

static int put_ports(struct nl_msg *msg,
		     const struct faasctl_stage_options *options)
{
	struct nlattr *nest;
	size_t i;

	for (i = 0; i < options->n_ports; i++) {
		nest = nla_nest_start(msg, FAASIN_A_STAGE_PORT | NLA_F_NESTED);
		if (!nest ||
		    nla_put_string(msg, FAASIN_A_PORT_NAME,
				   options->ports[i].name) ||
		    nla_put_u32(msg, FAASIN_A_PORT_DIRECTION,
				options->ports[i].direction))
			return -EMSGSIZE;
		nla_nest_end(msg, nest);
	}
	return 0;
}

static int put_options(struct nl_msg *msg,
		       const struct faasctl_stage_options *options)
{
	if ((options->cgroup_fd >= 0 &&
	     nla_put_s32(msg, FAASIN_A_STAGE_CGROUP_FD, options->cgroup_fd)) ||
	    (options->uid != FAASCTL_UNSET &&
	     nla_put_u32(msg, FAASIN_A_STAGE_UID, options->uid)) ||
	    (options->gid != FAASCTL_UNSET &&
	     nla_put_u32(msg, FAASIN_A_STAGE_GID, options->gid)) ||
	    (options->mode != FAASCTL_UNSET &&
	     nla_put_u32(msg, FAASIN_A_STAGE_MODE, options->mode)))
		return -EMSGSIZE;
	return put_ports(msg, options);
}

FAASCTL_API int faasctl_stage_add(struct faasctl *ctl, const char *workflow,
				  const char *name,
				  const struct faasctl_stage_options *options,
				  struct faasctl_error *err)
{
	static const struct faasctl_stage_options defaults =
		FAASCTL_STAGE_OPTIONS_INIT;
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	size_t i;
	int ret;

	if (!options)
		options = &defaults;
	if (options->size != sizeof(*options))
		return faasctl__fail(err, EINVAL,
			"stage options of another version of libfaasctl");
	ret = faasctl_name_check("workflow", workflow, err);
	if (!ret)
		ret = faasctl_name_check("stage", name, err);
	for (i = 0; !ret && i < options->n_ports; i++)
		ret = faasctl_name_check("port", options->ports[i].name, err);
	if (ret)
		return ret;
	/* More would not fit a request, nor the stage. */
	if (options->n_ports > FAASIN_PORTS_MAX)
		return faasctl__fail(err, ENOSPC,
			"%zu ports for stage \"%s\": a stage has at most %d",
			options->n_ports, name, FAASIN_PORTS_MAX);
	msg = faasctl__request(ctl, FAASIN_CMD_STAGE_NEW, NLM_F_CREATE |
			       (options->flags & FAASCTL_EXCLUSIVE ?
				NLM_F_EXCL : 0));
	if (!msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (nla_put_string(msg, FAASIN_A_STAGE_WORKFLOW, workflow) ||
	    nla_put_string(msg, FAASIN_A_STAGE_NAME, name) ||
	    put_options(msg, options))
		return faasctl__too_big(err);
	return faasctl__call(ctl, msg, NULL, err);
}

/* A request about one stage, for the caller to add to. */
static int request_of(struct faasctl *ctl, int cmd, const char *workflow,
		      const char *name, uint64_t generation,
		      struct nl_msg **msg, struct faasctl_error *err)
{
	int ret;

	ret = faasctl_name_check("workflow", workflow, err);
	if (!ret)
		ret = faasctl_name_check("stage", name, err);
	if (ret)
		return ret;
	*msg = faasctl__request(ctl, cmd, 0);
	if (!*msg)
		return faasctl__fail(err, ENOMEM, "out of memory");
	if (nla_put_string(*msg, FAASIN_A_STAGE_WORKFLOW, workflow) ||
	    nla_put_string(*msg, FAASIN_A_STAGE_NAME, name) ||
	    (generation &&
	     nla_put_u64(*msg, FAASIN_A_STAGE_GENERATION, generation)))
		return faasctl__too_big(err);
	return 0;
}

FAASCTL_API int faasctl_stage_del(struct faasctl *ctl, const char *workflow,
				  const char *name, uint64_t generation,
				  struct faasctl_error *err)
{
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	ret = request_of(ctl, FAASIN_CMD_STAGE_DEL, workflow, name, generation,
			 &msg, err);
	return ret ? ret : faasctl__call(ctl, msg, NULL, err);
}

FAASCTL_API int faasctl_stage_replace(struct faasctl *ctl, const char *workflow,
				      const char *name, uint64_t generation,
				      int cgroup_fd, struct faasctl_error *err)
{
	_cleanup_(faasctl__msg_freep) struct nl_msg *msg = NULL;
	int ret;

	ret = request_of(ctl, FAASIN_CMD_STAGE_REPLACE, workflow, name,
			 generation, &msg, err);
	if (ret)
		return ret;
	if (cgroup_fd >= 0 &&
	    nla_put_s32(msg, FAASIN_A_STAGE_CGROUP_FD, cgroup_fd))
		return faasctl__too_big(err);
	return faasctl__call(ctl, msg, NULL, err);
}

/**
 * struct home - what is asked about a stage's cgroup
 * @homeless: what faasctl_stage_homeless() returns
 * @err: why
 */
struct home {
	int homeless;
	struct faasctl_error *err;
};

static int lost(const struct faasctl_stage *stage, struct faasctl_error *err)
{
	return faasctl__fail(err, ENODEV,
		"cgroup %s of stage \"%s\" was removed; bind the stage to another with: faasctl stage add --cgroup PATH %s %s",
		stage->cgroup_path ? stage->cgroup_path : "", stage->name,
		stage->workflow, stage->name);
}

static int look_for_home(const struct faasctl_stage *stage, void *arg)
{
	char path[sizeof("/" FAASCTL__CGROUP "//") + 2 * FAASIN_NAME_MAX];
	struct home *home = arg;

	if (!(stage->flags & FAASIN_STAGE_F_CGROUP_GONE))
		return 0;
	snprintf(path, sizeof(path), "/" FAASCTL__CGROUP "/%s/%s",
		 stage->workflow, stage->name);
	if (stage->cgroup_path && !strcmp(stage->cgroup_path, path))
		home->homeless = 1;
	else
		home->homeless = lost(stage, home->err);
	return 0;
}

FAASCTL_API int faasctl_stage_homeless(struct faasctl *ctl,
				       const char *workflow, const char *stage,
				       struct faasctl_error *err)
{
	struct home home = { .err = err };
	int ret = faasctl_stage_each(ctl, workflow, stage, look_for_home, &home,
				     err);

	return ret ? ret : home.homeless;
}
