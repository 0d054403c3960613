// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Requests and answers over generic netlink.
 *
 * libnl builds and takes apart messages. Sending and receiving are done here,
 * because libnl folds the kernel's errnos into fewer codes of its own and drops
 * the text that comes with them.
 */
#include <fcntl.h>
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

/* Its directory is there before the module can be asked, and for a while afterwards. */
static bool is_live(void)
{
	char state[16] = "";
	ssize_t n;
	int fd;

	fd = open("/sys/module/faasin/initstate", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, state, sizeof(state) - 1);
	close(fd);
	return n > 0 && !strcmp(state, "live\n");
}

static int absent(struct faasctl_error *err)
{
	if (access("/sys/module/faasin", F_OK))
		return faasctl__fail(err, ENOENT,
			"faasin: the module is not loaded; run: modprobe faasin");
	if (!is_live())
		return faasctl__fail(err, ENOENT,
			"faasin: the module is being loaded or unloaded; try again");
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
	/* It may have come since. */
	if (ctl->family < 0 && is_live())
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
	free(ctl->spare.buf);
	free(ctl->buf);
}

/* Receives one datagram of the kernel's into @buf, of FAASCTL__BUFFER bytes. */
int faasctl__recv(struct faasctl *ctl, void *buf, size_t *len, int flags)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = buf, .iov_len = FAASCTL__BUFFER };
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
	/* What netlink itself says, where the module has a text: it is gone, or about to be. */
	if (code == -ENOENT || code == -EPROTONOSUPPORT)
		return faasctl__fail(err, ENOENT,
			"faasin: the module is being unloaded; run: modprobe faasin");
	if (code == -EPERM)
		return faasctl__fail(err, EPERM,
			"not permitted: run this as root of the host (CAP_NET_ADMIN and CAP_SYS_ADMIN)");
	return faasctl__fail(err, -code, "the kernel refused: %s",
			     strerror(-code));
}

/* Where the next datagram goes: behind those that are kept. NULL: no memory. */
static void *room_for_next(struct faasctl__replies *replies)
{
	size_t room = replies->room ? 2 * replies->room : 2 * FAASCTL__BUFFER;
	void *more;

	if (replies->room < replies->len + FAASCTL__BUFFER) {
		more = realloc(replies->buf, room);
		if (!more)
			return NULL;
		replies->buf = more;
		replies->room = room;
	}
	return (char *)replies->buf + replies->len;
}

/* Of a datagram that is there already, a message moves to those that are kept. */
static void keep(struct faasctl__replies *replies, const struct nlmsghdr *hdr)
{
	char *to = (char *)replies->buf + replies->len;
	size_t len = hdr->nlmsg_len;

	/* Maybe over its own header. */
	if (to != (const char *)hdr)
		memmove(to, hdr, len);
	replies->len += NLMSG_ALIGN(len);
}

/*
 * Reads the answer to the last request. Even after a failure it is read to its
 * end, or the next one would be taken for it; only a socket that fails ends it
 * early. *interrupted: the list changed while it was made.
 */
static int answer(struct faasctl *ctl, struct faasctl__replies *replies,
		  bool *interrupted, struct faasctl_error *err)
{
	struct nlmsghdr *hdr, *next;
	int ret, failed = 0;
	size_t len;
	void *buf;

	*interrupted = false;
	for (;;) {
		int left;

		buf = replies && !failed ? room_for_next(replies) : ctl->buf;
		if (!buf) {
			failed = faasctl__fail(err, ENOMEM, "out of memory");
			buf = ctl->buf;
		}
		ret = faasctl__recv(ctl, buf, &len, 0);
		if (ret == -EBADMSG)
			return faasctl__fail(err, EBADMSG,
					     "the kernel's answer was cut short");
		if (ret)
			return faasctl__fail_errno(err, -ret,
						   "no answer from the kernel");
		left = len;
		for (hdr = buf; nlmsg_ok(hdr, left); hdr = next) {
			/* Before it moves, maybe over itself. */
			next = nlmsg_next(hdr, &left);
			if (hdr->nlmsg_seq != ctl->seq)
				continue;
			if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
				*interrupted = true;
			if (hdr->nlmsg_type == NLMSG_ERROR ||
			    hdr->nlmsg_type == NLMSG_DONE)
				return failed ? failed : result(hdr, err);
			if (replies && !failed && hdr->nlmsg_type == ctl->family)
				keep(replies, hdr);
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
		  struct faasctl__replies *replies, struct faasctl_error *err)
{
	bool interrupted;
	int ret, tries;

	/* A callback may ask for something else in the middle of a listing. */
	if (replies) {
		*replies = ctl->spare;
		replies->ctl = ctl;
		ctl->spare = (struct faasctl__replies){ 0 };
	}
	for (tries = 0; tries < TRIES; tries++) {
		if (replies)
			replies->len = 0;
		ret = send_request(ctl, msg);
		if (ret)
			return faasctl__fail_errno(err, -ret,
					"cannot send to the kernel");
		ret = answer(ctl, replies, &interrupted, err);
		if (ret || !interrupted)
			break;
	}
	/* A listing may have nothing in it. */
	if (!ret && replies && !replies->len &&
	    (nlmsg_hdr(msg)->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		ret = faasctl__fail(err, EBADMSG, "the kernel's answer is empty");
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
		    faasctl_name_check("any", faasctl__string(tb[i]), NULL))
			return faasctl__fail(err, EBADMSG,
				"the kernel's answer has a name that is none");
	return 0;
}

/* Whether an attribute is what @policy says, as far as replies have such. */
static bool attr_valid(const struct nlattr *attr, const struct nla_policy *policy)
{
	const char *text = faasctl__data(attr);
	int len = faasctl__len(attr);

	switch (policy->type) {
	case NLA_U32:
		return len >= (int)sizeof(uint32_t);
	case NLA_U64:
		return len >= (int)sizeof(uint64_t);
	case NLA_STRING:
		return len > 0 && !text[len - 1];
	default:
		return true;
	}
}

static int parse(struct nlattr *attr, int left, struct nlattr **tb, int max,
		 const struct nla_policy *policy, struct faasctl_error *err)
{
	memset(tb, 0, (max + 1) * sizeof(*tb));
	for (; faasctl__attr_ok(attr, left); attr = faasctl__attr_next(attr, &left)) {
		/* What a newer module says besides is passed over. */
		if (faasctl__type(attr) > max)
			continue;
		if (!attr_valid(attr, &policy[faasctl__type(attr)]))
			return faasctl__fail(err, EBADMSG,
					     "the kernel's answer is malformed");
		tb[faasctl__type(attr)] = attr;
	}
	return 0;
}

int faasctl__parse_nested(const struct nlattr *nest, struct nlattr **tb, int max,
			  const struct nla_policy *policy, struct faasctl_error *err)
{
	return parse(faasctl__data(nest), faasctl__len(nest), tb, max, policy, err);
}

/* @names: as of faasctl__check_names() */
int faasctl__parse(const struct nlmsghdr *hdr, struct nlattr **tb, int max,
		   const struct nla_policy *policy, uint32_t names,
		   struct faasctl_error *err)
{
	int left = nlmsg_datalen(hdr) - GENL_HDRLEN, ret;

	if (left < 0)
		return faasctl__fail(err, EBADMSG,
				     "the kernel's answer is malformed");
	ret = parse((struct nlattr *)((char *)nlmsg_data(hdr) + GENL_HDRLEN), left,
		    tb, max, policy, err);
	return ret ? ret : faasctl__check_names(tb, names, err);
}

/* Its memory serves the next call, if no other does. */
void faasctl__replies_free(struct faasctl__replies *replies)
{
	struct faasctl__replies *spare = replies->ctl ? &replies->ctl->spare : NULL;

	if (spare && !spare->buf)
		*spare = *replies;
	else
		free(replies->buf);
}
