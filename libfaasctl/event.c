// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events: a subscription to the family's multicast group. */
#include <fcntl.h>
#include <sys/socket.h>

#include <netlink/genl/ctrl.h>

#include "internal.h"

/*
 * A subscription has a connection of its own: answers to requests and events
 * would mix on one socket.
 */
struct faasctl_events {
	struct faasctl *ctl;
	struct nlmsghdr *next;	/* in ctl->buf */
	int left;		/* bytes from there on */
};

static const struct nla_policy event_policy[FAASIN_A_EVENT_MAX + 1] = {
	[FAASIN_A_EVENT_SEQ] = { .type = NLA_U64 },
	[FAASIN_A_EVENT_TYPE] = { .type = NLA_U32 },
	[FAASIN_A_EVENT_TIME] = { .type = NLA_U64 },
	[FAASIN_A_EVENT_WORKFLOW] = { .type = NLA_STRING },
	[FAASIN_A_EVENT_STAGE] = { .type = NLA_STRING },
	[FAASIN_A_EVENT_SRC_STAGE] = { .type = NLA_STRING },
	[FAASIN_A_EVENT_SRC_PORT] = { .type = NLA_STRING },
	[FAASIN_A_EVENT_DST_STAGE] = { .type = NLA_STRING },
	[FAASIN_A_EVENT_DST_PORT] = { .type = NLA_STRING },
	[FAASIN_A_EVENT_GENERATION] = { .type = NLA_U64 },
	[FAASIN_A_EVENT_STREAM] = { .type = NLA_U64 },
	[FAASIN_A_EVENT_BYTES] = { .type = NLA_U64 },
	[FAASIN_A_EVENT_CAUSE] = { .type = NLA_U32 },
	[FAASIN_A_EVENT_CAUSE_CODE] = { .type = NLA_U32 },
	[FAASIN_A_EVENT_PID] = { .type = NLA_U32 },
	[FAASIN_A_EVENT_COMM] = { .type = NLA_STRING },
};

static int decode(const struct nlmsghdr *hdr, struct faasctl_event *event,
		  struct faasctl_error *err)
{
	struct nlattr *tb[FAASIN_A_EVENT_MAX + 1];
	int ret;

	ret = faasctl__parse(hdr, tb, FAASIN_A_EVENT_MAX, event_policy,
			     1u << FAASIN_A_EVENT_WORKFLOW |
			     1u << FAASIN_A_EVENT_STAGE |
			     1u << FAASIN_A_EVENT_SRC_STAGE |
			     1u << FAASIN_A_EVENT_SRC_PORT |
			     1u << FAASIN_A_EVENT_DST_STAGE |
			     1u << FAASIN_A_EVENT_DST_PORT, err);
	if (ret)
		return ret;
	*event = (struct faasctl_event){
		.seq = faasctl__u64(tb[FAASIN_A_EVENT_SEQ]),
		.type = faasctl__u32(tb[FAASIN_A_EVENT_TYPE]),
		.time_ns = faasctl__u64(tb[FAASIN_A_EVENT_TIME]),
		.workflow = faasctl__string(tb[FAASIN_A_EVENT_WORKFLOW]),
		.stage = faasctl__string(tb[FAASIN_A_EVENT_STAGE]),
		.src_stage = faasctl__string(tb[FAASIN_A_EVENT_SRC_STAGE]),
		.src_port = faasctl__string(tb[FAASIN_A_EVENT_SRC_PORT]),
		.dst_stage = faasctl__string(tb[FAASIN_A_EVENT_DST_STAGE]),
		.dst_port = faasctl__string(tb[FAASIN_A_EVENT_DST_PORT]),
		.generation = faasctl__u64(tb[FAASIN_A_EVENT_GENERATION]),
		.stream = faasctl__u64(tb[FAASIN_A_EVENT_STREAM]),
		.bytes = faasctl__u64(tb[FAASIN_A_EVENT_BYTES]),
		.cause = {
			.cause = faasctl__u32(tb[FAASIN_A_EVENT_CAUSE]),
			.code = faasctl__u32(tb[FAASIN_A_EVENT_CAUSE_CODE]),
			.pid = faasctl__u32(tb[FAASIN_A_EVENT_PID]),
			.comm = faasctl__string(tb[FAASIN_A_EVENT_COMM]),
			.stage = faasctl__string(tb[FAASIN_A_EVENT_STAGE]),
			.stream = faasctl__u64(tb[FAASIN_A_EVENT_STREAM]),
		},
	};
	return 0;
}

FAASCTL_API int faasctl_events_open(struct faasctl_events **out,
				    struct faasctl_error *err)
{
	struct faasctl_events *events;
	int group, fd, ret;

	*out = NULL;
	events = calloc(1, sizeof(*events));
	if (!events)
		return faasctl__fail(err, ENOMEM, "out of memory");
	ret = faasctl_open(&events->ctl, err);
	if (ret)
		goto fail;
	group = genl_ctrl_resolve_grp(events->ctl->sock, FAASIN_GENL_NAME,
				      FAASIN_GENL_MCGRP_EVENTS);
	if (group < 0) {
		ret = faasctl__fail(err, ENOENT,
				    "faasin: the module has no events");
		goto fail;
	}
	fd = nl_socket_get_fd(events->ctl->sock);
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
		       sizeof(group))) {
		ret = faasctl__fail_errno(err, errno,
					  "cannot subscribe to events");
		goto fail;
	}
	*out = events;
	return 0;

fail:
	faasctl_events_close(events);
	return ret;
}

FAASCTL_API int faasctl_events_fd(const struct faasctl_events *events)
{
	return nl_socket_get_fd(events->ctl->sock);
}

FAASCTL_API int faasctl_events_next(struct faasctl_events *events,
				    struct faasctl_event *event,
				    struct faasctl_error *err)
{
	struct faasctl *ctl = events->ctl;
	struct nlmsghdr *hdr;
	size_t len;
	int ret;

	for (;;) {
		while (!events->next || !nlmsg_ok(events->next, events->left)) {
			ret = faasctl__recv(ctl, ctl->buf, &len, MSG_DONTWAIT);
			if (ret == -EAGAIN)
				return 0;
			if (ret == -ENOBUFS)
				return faasctl__fail(err, ENOBUFS,
					"events were lost: read the state again");
			if (ret)
				return faasctl__fail_errno(err, -ret,
					"cannot receive events");
			events->next = ctl->buf;
			events->left = len;
		}
		hdr = events->next;
		events->next = nlmsg_next(hdr, &events->left);
		if (hdr->nlmsg_type != ctl->family ||
		    (size_t)nlmsg_datalen(hdr) < GENL_HDRLEN ||
		    genlmsg_hdr(hdr)->cmd != FAASIN_CMD_EVENT)
			continue;
		ret = decode(hdr, event, err);
		return ret ? ret : 1;
	}
}

FAASCTL_API void faasctl_events_close(struct faasctl_events *events)
{
	if (!events)
		return;
	faasctl_close(events->ctl);
	free(events);
}
