// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Requests and answers over generic netlink.
 *
 * libnl builds and takes apart messages. Sending and receiving are done here,
 * because libnl folds the kernel's errnos into fewer codes of its own and drops
 * the text that comes with them.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/socket.h>

#include <netlink/genl/ctrl.h>

#include "internal.h"

/* How often a list that changed while it was read is read again. */
#define TRIES	8

/* The largest errno that the kernel gives. */
#define ERRNO_MAX	4095

/* Room for a stage with all its ports. */
#define REQUEST_SIZE	16384

static int absent(struct faasctl_error *err)
{
	if (access("/sys/module/faasin", F_OK))
		return faasctl__fail(err, ENOENT,
			"faasin: the module is not loaded; run: modprobe faasin");
	return faasctl__fail(err, ENOENT,
		"faasin: the module is loaded but cannot be reached from this network namespace; run this in the host's");
}

int faasctl__connect(struct faasctl *ctl, struct faasctl_error *err)
{
	int one = 1;
	int fd;

	ctl->buf = malloc(FAASCTL__BUFFER);
	ctl->sock = nl_socket_alloc();
	if (!ctl->buf || !ctl->sock)
		return faasctl__fail(err, ENOMEM, "out of memory");
	errno = 0;
	if (genl_connect(ctl->sock)) {
		int code = errno ? errno : EIO;

		return faasctl__fail_errno(err, code,
					   "no generic netlink socket");
	}
	ctl->family = genl_ctrl_resolve(ctl->sock, FAASIN_GENL_NAME);
	if (ctl->family < 0)
		return absent(err);

	/* Kernels too old for these have no faasin; without them only text is
	 * lost.
	 */
	fd = nl_socket_get_fd(ctl->sock);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return 0;
}

void faasctl__disconnect(struct faasctl *ctl)
{
	nl_socket_free(ctl->sock);
	free(ctl->buf);
}

/* Receives one datagram of the kernel's into ctl->buf. */
int faasctl__recv(struct faasctl *ctl, size_t *len, int flags)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = ctl->buf, .iov_len = FAASCTL__BUFFER };
	struct msghdr msg;
	ssize_t n;

	do {
		memset(&from, 0, sizeof(from));
		msg = (struct msghdr){
			.msg_name = &from, .msg_namelen = sizeof(from),
			.msg_iov = &iov, .msg_iovlen = 1,
		};
		n = recvmsg(nl_socket_get_fd(ctl->sock), &msg, flags);
		if (n < 0 && errno != EINTR)
			return -errno;
		/* Another process can send to this socket: not heard. */
	} while (n < 0 || from.nl_pid);
	if (msg.msg_flags & MSG_TRUNC)
		return -EBADMSG;
	*len = n;
	return 0;
}

struct nl_msg *faasctl__request(struct faasctl *ctl, int cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(REQUEST_SIZE);

	if (!msg)
		return NULL;
	/* NLM_F_EXCL is one of the two bits of NLM_F_DUMP. */
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		flags |= NLM_F_ACK;
	/* No allocated message is too small for its header. */
	genlmsg_put(msg, 0, 0, ctl->family, 0, NLM_F_REQUEST | flags, cmd,
		    FAASIN_GENL_VERSION);
	return msg;
}

static int send_request(struct faasctl *ctl, struct nl_msg *msg)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	ssize_t n;

	hdr->nlmsg_seq = ++ctl->seq;
	do {
		n = sendto(nl_socket_get_fd(ctl->sock), hdr, hdr->nlmsg_len, 0,
			   (struct sockaddr *)&kernel, sizeof(kernel));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/*
 * The text that the kernel gave with an error, or NULL. The attributes follow
 * the code and, in an NLMSG_ERROR, the header of the request, which carries its
 * payload unless that was capped.
 */
static const char *extack_text(const struct nlmsghdr *hdr)
{
	size_t skip = sizeof(int), len = nlmsg_datalen(hdr);
	const struct nlmsgerr *e = nlmsg_data(hdr);
	struct nlattr *attr;
	const char *text;

	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (hdr->nlmsg_type == NLMSG_ERROR) {
		skip = sizeof(*e);
		if (!(hdr->nlmsg_flags & NLM_F_CAPPED) &&
		    e->msg.nlmsg_len > sizeof(e->msg))
			skip += NLMSG_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	}
	if (len <= skip)
		return NULL;
	attr = nla_find((struct nlattr *)((char *)nlmsg_data(hdr) + skip),
			len - skip, NLMSGERR_ATTR_MSG);
	if (!attr || nla_len(attr) < 2)
		return NULL;
	text = nla_data(attr);
	return !text[0] || text[nla_len(attr) - 1] ? NULL : text;
}

/* The result that an NLMSG_ERROR or NLMSG_DONE carries. */
static int result(const struct nlmsghdr *hdr, struct faasctl_error *err)
{
	size_t need = hdr->nlmsg_type == NLMSG_ERROR ?
		      sizeof(struct nlmsgerr) : sizeof(int);
	const char *text;
	int code;

	if ((size_t)nlmsg_datalen(hdr) < need) {
		if (hdr->nlmsg_type == NLMSG_DONE)
			return 0;
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer was cut short");
	}
	memcpy(&code, nlmsg_data(hdr), sizeof(code));
	if (code >= 0)
		return 0;
	if (code < -ERRNO_MAX)
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer is malformed");
	text = extack_text(hdr);
	if (text)
		return faasctl__fail(err, -code, "%s", text);
	if (code == -EPERM)
		return faasctl__fail(err, EPERM,
			"not permitted: run this as root of the host (CAP_NET_ADMIN and CAP_SYS_ADMIN)");
	return faasctl__fail(err, -code, "the kernel refused: %s",
			     strerror(-code));
}

static int keep(const struct nlmsghdr *hdr, struct faasctl__reply ***tail)
{
	struct faasctl__reply *reply;

	reply = malloc(sizeof(*reply) + hdr->nlmsg_len);
	if (!reply)
		return -ENOMEM;
	reply->next = NULL;
	memcpy(reply->hdr, hdr, hdr->nlmsg_len);
	**tail = reply;
	*tail = &reply->next;
	return 0;
}

/*
 * Reads the answer to the last request. Even after a failure it is read to its
 * end, or the next one would be taken for it; only a socket that fails ends it
 * early. *interrupted: the list changed while it was made.
 */
static int answer(struct faasctl *ctl, struct faasctl__reply **replies,
		  bool *interrupted, struct faasctl_error *err)
{
	struct faasctl__reply **tail = replies;
	struct nlmsghdr *hdr;
	int ret, failed = 0;
	size_t len;

	*interrupted = false;
	for (;;) {
		int left;

		ret = faasctl__recv(ctl, &len, 0);
		if (ret == -EBADMSG)
			return faasctl__fail(err, EBADMSG,
					     "the kernel's answer was cut short");
		if (ret)
			return faasctl__fail_errno(err, -ret,
						   "no answer from the kernel");
		left = len;
		for (hdr = ctl->buf; nlmsg_ok(hdr, left);
		     hdr = nlmsg_next(hdr, &left)) {
			if (hdr->nlmsg_seq != ctl->seq)
				continue;
			if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
				*interrupted = true;
			if (hdr->nlmsg_type == NLMSG_ERROR ||
			    hdr->nlmsg_type == NLMSG_DONE)
				return failed ? failed : result(hdr, err);
			if (!replies || hdr->nlmsg_type != ctl->family)
				continue;
			if (!failed && keep(hdr, &tail))
				failed = faasctl__fail(err, ENOMEM,
						       "out of memory");
		}
		if (left > 0)
			return faasctl__fail(err, EBADMSG,
					     "the kernel's answer was cut short");
	}
}

/*
 * Sends a request and waits for its end. @replies, if not NULL, receives the
 * messages of the answer, the caller's to free; none on failure, and one at least if
 * it was not a listing that was asked for.
 */
int faasctl__call(struct faasctl *ctl, struct nl_msg *msg,
		  struct faasctl__reply **replies, struct faasctl_error *err)
{
	bool interrupted;
	int ret, tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (replies)
			faasctl__replies_free(replies);
		ret = send_request(ctl, msg);
		if (ret)
			return faasctl__fail_errno(err, -ret,
					"cannot send to the kernel");
		ret = answer(ctl, replies, &interrupted, err);
		if (ret || !interrupted)
			break;
	}
	/* A listing may have nothing in it. */
	if (!ret && replies && !*replies &&
	    (nlmsg_hdr(msg)->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		ret = faasctl__fail(err, EBADMSG, "the kernel's answer is empty");
	if (ret && replies)
		faasctl__replies_free(replies);
	return ret;
}

/*
 * Whoever is given a name may rely on what names are: how long, and that they can be
 * printed. @names: a bit for each attribute that is one, where it is there.
 */
int faasctl__check_names(struct nlattr **tb, uint32_t names,
			 struct faasctl_error *err)
{
	int i;

	for (i = 0; names; i++, names >>= 1)
		if (names & 1 && tb[i] &&
		    faasctl_name_check("any", nla_get_string(tb[i]), NULL))
			return faasctl__fail(err, EBADMSG,
				"the kernel's answer has a name that is none");
	return 0;
}

/* @names: as of faasctl__check_names() */
int faasctl__parse(const struct nlmsghdr *hdr, struct nlattr **tb, int max,
		   const struct nla_policy *policy, uint32_t names,
		   struct faasctl_error *err)
{
	if (!genlmsg_valid_hdr((struct nlmsghdr *)hdr, 0) ||
	    genlmsg_parse((struct nlmsghdr *)hdr, 0, tb, max,
			  (struct nla_policy *)policy))
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer is malformed");
	return faasctl__check_names(tb, names, err);
}

void faasctl__replies_free(struct faasctl__reply **replies)
{
	struct faasctl__reply *reply;

	while ((reply = *replies)) {
		*replies = reply->next;
		free(reply);
	}
}
