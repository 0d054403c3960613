// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink requests, good and bad ones.
 */
#include <linux/faasin.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "call.h"
#include "common.h"

static uint16_t family;
static uint32_t events;

static size_t put_attr(uint8_t *msg, size_t at, const struct attr *a)
{
	struct nlattr *hdr = (void *)(msg + at);
	uint8_t *data = msg + at + NLA_HDRLEN;
	int32_t fd = slot(a->value);
	uint32_t half = a->value;
	size_t len;

	switch (a->form) {
	case 's':
		len = strlen(names[a->value]) + 1;
		memcpy(data, names[a->value], len);
		break;
	case 'd':
		len = sizeof(half);
		memcpy(data, &half, len);
		break;
	case 'q':
		len = sizeof(a->value);
		memcpy(data, &a->value, len);
		break;
	case 'f':
		len = sizeof(fd);
		memcpy(data, &fd, len);
		break;
	default:
		len = a->value % 80;
		memset(data, 'x', len);
	}
	hdr->nla_type = a->type;
	hdr->nla_len = NLA_HDRLEN + len;
	return at + NLA_ALIGN(hdr->nla_len);
}

/* Returns the error that the last answer read tells of, or 0. */
static int drain(int fd, uint64_t times)
{
	char reply[4096] __attribute__((aligned(8)));
	struct nlmsghdr *hdr = (void *)reply;
	int error = 0;
	ssize_t n;

	while (times--) {
		n = recv(fd, reply, sizeof(reply), MSG_DONTWAIT);
		if (n < 0)
			break;
		if (NLMSG_OK(hdr, n) && hdr->nlmsg_type == NLMSG_ERROR)
			error = -((struct nlmsgerr *)NLMSG_DATA(hdr))->error;
	}
	return error;
}

void requests_init(uint16_t number, uint32_t group)
{
	family = number;
	events = group;
}

/* The thread's socket, made when it is first asked for. */
static int socket_of(struct thread *t, uint64_t which)
{
	int *fd = &t->nl[which % 2];

	if (*fd >= 0)
		return *fd;
	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (which % 2)
		setsockopt(*fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &events, sizeof(events));
	return *fd;
}

/*
 * What was not read goes with the socket: a dump that could not go on for want of memory is
 * not ended by reading, and holds the module. New ones are made here, where nothing is let fail.
 */
void requests_end(struct thread *t)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (t->nl[i] < 0)
			continue;
		close(t->nl[i]);
		t->nl[i] = -1;
		socket_of(t, i);
	}
}

/* The attributes behind the headers; returns where they end. */
static size_t put_attrs(uint8_t *msg, size_t at, const struct call *c)
{
	size_t nest[ATTRS_MAX], depth = 0, i;
	struct nlattr *attr;

	for (i = 0; i < c->nattrs; i++) {
		const struct attr *a = &c->attr[i];

		if (a->form == 'n') {
			attr = (void *)(msg + at);
			attr->nla_type = a->type | (a->value & 1 ? 0 : NLA_F_NESTED);
			nest[depth++] = at;
			at += NLA_HDRLEN;
		} else if (a->form == 'e') {
			if (depth) {
				attr = (void *)(msg + nest[--depth]);
				attr->nla_len = at - nest[depth];
			}
		} else {
			at = put_attr(msg, at, a);
		}
	}
	/* Of a nest that is not closed only the header is there. */
	while (depth) {
		attr = (void *)(msg + nest[--depth]);
		attr->nla_len = NLA_HDRLEN + c->arg[4] % 64;
	}
	return at;
}

/* Arguments: socket, command, flags, bytes cut off the end, header, answers to read. */
long call_netlink(struct thread *t, const struct call *c)
{
	uint8_t msg[4096] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *hdr = (void *)msg;
	struct genlmsghdr *genl = (void *)(msg + NLMSG_HDRLEN);
	size_t len = put_attrs(msg, NLMSG_HDRLEN + GENL_HDRLEN, c);
	size_t cut = c->arg[3] & 63;
	int fd = socket_of(t, c->arg[0]), error;
	long n;

	if (cut > len)
		cut = len;
	hdr->nlmsg_len = c->arg[3] & 64 ? len : len - cut;
	hdr->nlmsg_type = family;
	hdr->nlmsg_flags = NLM_F_REQUEST | c->arg[2];
	hdr->nlmsg_seq = 1;
	genl->cmd = c->arg[1];
	genl->version = FAASIN_GENL_VERSION + (c->arg[4] >> 8);
	genl->reserved = c->arg[4] >> 16;
	n = send(fd, msg, len - cut, MSG_DONTWAIT);
	error = drain(fd, c->arg[5] % 4);
	if (n < 0 || !error)
		return n;
	errno = error;
	return -1;
}

long call_hear(struct thread *t, const struct call *c)
{
	drain(socket_of(t, c->arg[0]), 1 + c->arg[1] % 8);
	return 0;
}
