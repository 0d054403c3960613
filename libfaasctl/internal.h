/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the library share; none of it is exported. */
#ifndef FAASCTL_INTERNAL_H
#define FAASCTL_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "faasctl.h"

#define FAASCTL_API	__attribute__((visibility("default")))
/* Where default cgroups are, below the cgroup2 mount. */
#define FAASCTL__CGROUP	"faasin"
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define _cleanup_(fn)	__attribute__((cleanup(fn)))

/* error.c */
int faasctl__fail(struct faasctl_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int faasctl__fail_errno(struct faasctl_error *err, int code, const char *format,
			...) __attribute__((format(printf, 3, 4)));

/**
 * struct faasctl__end - an end of a link, taken apart
 * @stage: the stage's name
 * @port: the port's name, or "" for the default one
 */
struct faasctl__end {
	char stage[FAASIN_NAME_MAX + 1];
	char port[FAASIN_NAME_MAX + 1];
};

int faasctl__end_parse(const char *text, struct faasctl__end *end,
		       struct faasctl_error *err);

/* The next of a list of ends, which is left behind it; 0, -ENOENT at its end, or another error. */
int faasctl__end_next(const char **list, struct faasctl__end *end,
		      struct faasctl_error *err);

/* socket.c */

/* The kernel builds dumps in pieces of up to 32 KiB. */
#define FAASCTL__BUFFER	65536

/**
 * struct faasctl__replies - the messages of the kernel's answer
 * @ctl: whose memory that is, when it is not needed any more
 * @buf: the messages, one behind the other
 * @len: their bytes
 * @room: bytes of @buf
 */
struct faasctl__replies {
	struct faasctl *ctl;
	void *buf;
	size_t len;
	size_t room;
};

/**
 * struct faasctl - a connection
 * @sock: the netlink socket
 * @family: the id of the family "faasin"
 * @seq: number of the last request
 * @buf: receive buffer of FAASCTL__BUFFER bytes
 * @spare: room for the next answer: who asks every second does not want new memory
 *	for it each time
 */
struct faasctl {
	struct nl_sock *sock;
	int family;
	uint32_t seq;
	void *buf;
	struct faasctl__replies spare;
};

int faasctl__connect(struct faasctl *ctl, struct faasctl_error *err);
void faasctl__disconnect(struct faasctl *ctl);
int faasctl__recv(struct faasctl *ctl, void *buf, size_t *len, int flags);

struct nl_msg *faasctl__request(struct faasctl *ctl, int cmd, int flags);
int faasctl__call(struct faasctl *ctl, struct nl_msg *msg,
		  struct faasctl__replies *replies, struct faasctl_error *err);
int faasctl__parse(const struct nlmsghdr *hdr, struct nlattr **tb, int max,
		   const struct nla_policy *policy, uint32_t names,
		   struct faasctl_error *err);
int faasctl__check_names(struct nlattr **tb, uint32_t names,
			 struct faasctl_error *err);
int faasctl__parse_nested(const struct nlattr *nest, struct nlattr **tb, int max,
			  const struct nla_policy *policy, struct faasctl_error *err);
void faasctl__replies_free(struct faasctl__replies *replies);

static inline void faasctl__msg_freep(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

static inline void faasctl__closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void faasctl__freep(void *p)
{
	free(*(void **)p);
}

/*
 * Attributes. libnl has all of this as functions, which take most of the time that a
 * listing of thousands of links does.
 */
static inline int faasctl__type(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

static inline void *faasctl__data(const struct nlattr *attr)
{
	return (char *)attr + NLA_HDRLEN;
}

static inline int faasctl__len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}

static inline bool faasctl__attr_ok(const struct nlattr *attr, int left)
{
	return left >= (int)NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN &&
	       attr->nla_len <= left;
}

static inline struct nlattr *faasctl__attr_next(const struct nlattr *attr, int *left)
{
	int step = NLA_ALIGN(attr->nla_len);

	*left -= step;
	return (struct nlattr *)((char *)attr + step);
}

/* Of what was parsed with a policy, so that they are long enough. */
static inline uint32_t faasctl__u32(const struct nlattr *attr)
{
	uint32_t value = 0;

	if (attr)
		memcpy(&value, faasctl__data(attr), sizeof(value));
	return value;
}

static inline uint64_t faasctl__u64(const struct nlattr *attr)
{
	uint64_t value = 0;

	if (attr)
		memcpy(&value, faasctl__data(attr), sizeof(value));
	return value;
}

static inline const char *faasctl__string(const struct nlattr *attr)
{
	return attr ? faasctl__data(attr) : NULL;
}

/* The message that could not be built: only its size can be the reason. */
static inline int faasctl__too_big(struct faasctl_error *err)
{
	return faasctl__fail(err, EMSGSIZE, "the request is too big");
}

/* Of a listing: older kernels (6.1) have no room for a text in its refusal. */
static inline int faasctl__no_workflow(struct faasctl_error *err)
{
	return faasctl__fail(err, ENOENT, "no such workflow");
}

/* stats.c */
int faasctl__decode_stats(const struct nlattr *nest, struct faasctl_stats *stats,
			  struct faasctl_error *err);

/* cgroup.c */
int faasctl__cgroup_default(const char *workflow, const char *stage,
			    unsigned int *made, struct faasctl_error *err);
int faasctl__cgroup_remove(const char *workflow, const char *stage,
			   unsigned int levels, struct faasctl_error *err);

#endif /* FAASCTL_INTERNAL_H */
