// SPDX-License-Identifier: GPL-2.0
/*
 * Raw generic netlink messages.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nl.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/*
 * For an answer of any size. The kernel makes the parts of a dump as large as the largest
 * buffer that the socket was ever read with, or as the largest stage there can be, which is
 * more than 16 KiB: every read here takes this one.
 */
#define RECEIVE_MAX	32768

struct nlmsghdr *nl_begin(struct nl *nl, struct nl_msg *msg, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *hdr = (void *)(msg->buf + msg->len);
	struct genlmsghdr *genl = (void *)(hdr + 1);

	*hdr = (struct nlmsghdr){
		.nlmsg_type = nl->family,
		.nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_seq = ++nl->seq,
	};
	*genl = (struct genlmsghdr){ .cmd = cmd, .version = FAASIN_GENL_VERSION };
	msg->len += NLMSG_HDRLEN + GENL_HDRLEN;
	return hdr;
}

struct nlattr *nl_put(struct nl_msg *msg, uint16_t type, const void *data, size_t len)
{
	struct nlattr *attr = (void *)(msg->buf + msg->len);

	if (msg->len + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(msg->buf))
		return attr;
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memset(attr + 1, 0, NLA_ALIGN(len));
	if (len)
		memcpy(attr + 1, data, len);
	msg->len += NLA_HDRLEN + NLA_ALIGN(len);
	return attr;
}

void nl_put_list(struct nl_msg *msg, const struct nl_attr *list)
{
	for (; list->type != NL_END; list++) {
		struct nlattr *nest;

		if (!list->nest) {
			nl_put(msg, list->type, list->data, list->len);
			continue;
		}
		nest = nl_put(msg, list->type | NLA_F_NESTED, NULL, 0);
		nl_put_list(msg, list->nest);
		nest->nla_len = msg->buf + msg->len - (char *)nest;
	}
}

void nl_copy(struct nl_attr *to, const struct nl_attr *from)
{
	do
		*to++ = *from;
	while (from++->type != NL_END);
}

struct nl_attr *nl_end(struct nl_attr *list)
{
	while (list->type != NL_END)
		list++;
	return list;
}

void nl_finish(struct nl_msg *msg, struct nlmsghdr *hdr)
{
	hdr->nlmsg_len = msg->buf + msg->len - (char *)hdr;
}

int nl_post(struct nl *nl, const struct nl_msg *msg)
{
	return send(nl->fd, msg->buf, msg->len, 0) < 0 ? errno : 0;
}

/* Takes the text out of an acknowledgment. */
static void take_text(struct nl *nl, const struct nlmsghdr *hdr)
{
	const struct nlmsgerr *err = (const void *)(hdr + 1);
	size_t skip = sizeof(*err);
	const struct nlattr *text;

	nl->text[0] = '\0';
	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (hdr->nlmsg_type == NLMSG_DONE)
		skip = sizeof(int);
	else if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(err->msg.nlmsg_len) - sizeof(err->msg);
	if (hdr->nlmsg_len < NLMSG_HDRLEN + skip)
		return;
	text = nl_find((const char *)(hdr + 1) + skip, hdr->nlmsg_len - NLMSG_HDRLEN - skip,
		       NLMSGERR_ATTR_MSG);
	if (text && nl_len(text) < sizeof(nl->text))
		memcpy(nl->text, nl_data(text), nl_len(text));
}

static void take_reply(struct nl *nl, const struct nlmsghdr *hdr)
{
	const char *attrs = (const char *)(hdr + 1) + GENL_HDRLEN;
	size_t len = hdr->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN;

	nl->len = len < sizeof(nl->reply) ? len : sizeof(nl->reply);
	memcpy(nl->reply, attrs, nl->len);
}

int nl_answer(struct nl *nl)
{
	static char buf[RECEIVE_MAX];
	struct nlmsghdr *hdr;
	ssize_t got;

	nl->text[0] = '\0';
	nl->len = 0;
	for (;;) {
		got = recv(nl->fd, buf, sizeof(buf), 0);
		if (got < 0)
			return errno;
		for (hdr = (void *)buf; NLMSG_OK(hdr, got); hdr = NLMSG_NEXT(hdr, got)) {
			if (hdr->nlmsg_seq != nl->seq)
				continue;
			if (hdr->nlmsg_type == NLMSG_ERROR) {
				take_text(nl, hdr);
				return -((struct nlmsgerr *)NLMSG_DATA(hdr))->error;
			}
			if (hdr->nlmsg_type == nl->family)
				take_reply(nl, hdr);
		}
	}
}

int nl_transact(struct nl *nl, const struct nl_msg *msg)
{
	int error = nl_post(nl, msg);

	nl->text[0] = '\0';
	nl->len = 0;
	return error ?: nl_answer(nl);
}

int nl_call(struct nl *nl, uint8_t cmd, uint16_t flags, const struct nl_attr *list)
{
	struct nl_msg msg;
	struct nlmsghdr *hdr;

	msg.len = 0;
	hdr = nl_begin(nl, &msg, cmd, NLM_F_ACK | flags);
	nl_put_list(&msg, list);
	nl_finish(&msg, hdr);
	return nl_transact(nl, &msg);
}

int nl_dump_start(struct nl *nl, uint8_t cmd, const struct nl_attr *list)
{
	struct nl_msg msg;
	struct nlmsghdr *hdr;

	nl->text[0] = '\0';
	nl->intr = false;
	nl->parts = 0;
	msg.len = 0;
	hdr = nl_begin(nl, &msg, cmd, NLM_F_DUMP);
	nl_put_list(&msg, list);
	nl_finish(&msg, hdr);
	return nl_post(nl, &msg);
}

/* One receive's worth of a dump. */
int nl_dump_some(struct nl *nl, nl_object_fn fn, void *arg, bool *done)
{
	char buf[RECEIVE_MAX];
	struct nlmsghdr *hdr;
	ssize_t got;

	*done = false;
	got = recv(nl->fd, buf, nl->room ?: sizeof(buf), 0);
	if (got < 0)
		return errno;
	for (hdr = (void *)buf; NLMSG_OK(hdr, got); hdr = NLMSG_NEXT(hdr, got)) {
		if (hdr->nlmsg_seq != nl->seq)
			continue;
		nl->parts++;
		if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
			nl->intr = true;
		if (hdr->nlmsg_type == NLMSG_DONE || hdr->nlmsg_type == NLMSG_ERROR) {
			*done = true;
			take_text(nl, hdr);
			return hdr->nlmsg_len >= NLMSG_HDRLEN + sizeof(int) ?
				-*(int *)NLMSG_DATA(hdr) : 0;
		}
		if (hdr->nlmsg_type == nl->family &&
		    fn(arg, (char *)(hdr + 1) + GENL_HDRLEN,
		       hdr->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN))
			*done = true;
	}
	return 0;
}

int nl_list(struct nl *nl, uint8_t cmd, const struct nl_attr *list, nl_object_fn fn, void *arg)
{
	bool done = false;
	int error;

	error = nl_dump_start(nl, cmd, list);
	while (!error && !done)
		error = nl_dump_some(nl, fn, arg, &done);
	return error;
}

int nl_event(struct nl *nl, int timeout_ms)
{
	struct pollfd pfd = { .fd = nl->fd, .events = POLLIN };
	static char buf[RECEIVE_MAX];
	struct nlmsghdr *hdr = (void *)buf;
	ssize_t got;

	nl->len = 0;
	for (;;) {
		got = poll(&pfd, 1, timeout_ms);
		if (got < 0)
			return errno;
		if (!got)
			return EAGAIN;
		got = recv(nl->fd, buf, sizeof(buf), 0);
		if (got < 0)
			return errno;
		if (NLMSG_OK(hdr, got) && hdr->nlmsg_type == nl->family)
			break;
	}
	take_reply(nl, hdr);
	return 0;
}

/* The number of family @name and of its multicast group. */
int nl_family(int fd, const char *name, uint16_t *family, uint32_t *group)
{
	struct nl ctrl = { .fd = fd, .family = GENL_ID_CTRL };
	const struct nlattr *groups, *attr;
	size_t left;
	int error;

	error = nl_call(&ctrl, CTRL_CMD_GETFAMILY, 0,
			NL_LIST(NL_STR(CTRL_ATTR_FAMILY_NAME, name)));
	if (error)
		return error;
	attr = nl_find(ctrl.reply, ctrl.len, CTRL_ATTR_FAMILY_ID);
	if (!attr)
		return EPROTO;
	*family = *(const uint16_t *)nl_data(attr);
	*group = 0;
	groups = nl_find(ctrl.reply, ctrl.len, CTRL_ATTR_MCAST_GROUPS);
	if (!groups)
		return 0;
	attr = nl_data(groups);
	left = nl_len(groups);
	while (left >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN && attr->nla_len <= left) {
		if (!strcmp(nl_str(nl_data(attr), nl_len(attr), CTRL_ATTR_MCAST_GRP_NAME),
			    FAASIN_GENL_MCGRP_EVENTS))
			*group = nl_u32(nl_data(attr), nl_len(attr), CTRL_ATTR_MCAST_GRP_ID);
		if (left < (size_t)NLA_ALIGN(attr->nla_len))
			break;
		left -= NLA_ALIGN(attr->nla_len);
		attr = (const void *)((const char *)attr + NLA_ALIGN(attr->nla_len));
	}
	return 0;
}

int nl_open(struct nl *nl)
{
	const int on = 1;
	int error;

	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0)
		return errno;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	error = nl_family(nl->fd, FAASIN_GENL_NAME, &nl->family, &nl->events);
	if (error)
		nl_shut(nl);
	return error;
}

void nl_shut(struct nl *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

int nl_join_events(struct nl *nl)
{
	return setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &nl->events,
			  sizeof(nl->events)) ? errno : 0;
}

const struct nlattr *nl_find(const void *attrs, size_t len, uint16_t type)
{
	const struct nlattr *attr = attrs;

	while (len >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN && attr->nla_len <= len) {
		if ((attr->nla_type & NLA_TYPE_MASK) == type)
			return attr;
		if (len < (size_t)NLA_ALIGN(attr->nla_len))
			break;
		len -= NLA_ALIGN(attr->nla_len);
		attr = (const void *)((const char *)attr + NLA_ALIGN(attr->nla_len));
	}
	return NULL;
}

const void *nl_data(const struct nlattr *attr)
{
	return (const char *)attr + NLA_HDRLEN;
}

size_t nl_len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}

uint32_t nl_u32(const void *attrs, size_t len, uint16_t type)
{
	const struct nlattr *attr = nl_find(attrs, len, type);
	uint32_t value = UINT32_MAX;

	if (attr && nl_len(attr) == sizeof(value))
		memcpy(&value, nl_data(attr), sizeof(value));
	return value;
}

uint64_t nl_u64(const void *attrs, size_t len, uint16_t type)
{
	const struct nlattr *attr = nl_find(attrs, len, type);
	uint64_t value = UINT64_MAX;

	if (attr && nl_len(attr) == sizeof(value))
		memcpy(&value, nl_data(attr), sizeof(value));
	return value;
}

const char *nl_str(const void *attrs, size_t len, uint16_t type)
{
	const struct nlattr *attr = nl_find(attrs, len, type);

	if (!attr || !nl_len(attr) || !memchr(nl_data(attr), '\0', nl_len(attr)))
		return "";
	return nl_data(attr);
}

bool nl_has(const struct nl *nl, uint16_t type)
{
	return nl_find(nl->reply, nl->len, type);
}

uint32_t nl_get_u32(const struct nl *nl, uint16_t type)
{
	return nl_u32(nl->reply, nl->len, type);
}

uint64_t nl_get_u64(const struct nl *nl, uint16_t type)
{
	return nl_u64(nl->reply, nl->len, type);
}

const char *nl_get_str(const struct nl *nl, uint16_t type)
{
	return nl_str(nl->reply, nl->len, type);
}
