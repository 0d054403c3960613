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

/* socket.c */

/**
 * struct faasctl__reply - one message of the kernel's answer
 * @next: the next one
 * @hdr: a copy of the message
 */
struct faasctl__reply {
	struct faasctl__reply *next;
	struct nlmsghdr hdr[];
};

/**
 * struct faasctl - a connection
 * @sock: the netlink socket
 * @family: the id of the family "faasin"
 * @seq: number of the last request
 * @buf: receive buffer of FAASCTL__BUFFER bytes
 */
struct faasctl {
	struct nl_sock *sock;
	int family;
	uint32_t seq;
	void *buf;
};

/* The kernel builds dumps in pieces of up to 32 KiB. */
#define FAASCTL__BUFFER	65536

int faasctl__connect(struct faasctl *ctl, struct faasctl_error *err);
void faasctl__disconnect(struct faasctl *ctl);
int faasctl__recv(struct faasctl *ctl, size_t *len, int flags);

struct nl_msg *faasctl__request(struct faasctl *ctl, int cmd, int flags);
int faasctl__call(struct faasctl *ctl, struct nl_msg *msg,
		  struct faasctl__reply **replies, struct faasctl_error *err);
int faasctl__parse(const struct nlmsghdr *hdr, struct nlattr **tb, int max,
		   const struct nla_policy *policy, uint32_t names,
		   struct faasctl_error *err);
int faasctl__check_names(struct nlattr **tb, uint32_t names,
			 struct faasctl_error *err);
void faasctl__replies_free(struct faasctl__reply **replies);

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

static inline uint32_t faasctl__u32(struct nlattr *attr)
{
	return attr ? nla_get_u32(attr) : 0;
}

static inline uint64_t faasctl__u64(struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

static inline const char *faasctl__string(struct nlattr *attr)
{
	return attr ? nla_get_string(attr) : NULL;
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
int faasctl__decode_stats(struct nlattr *nest, struct faasctl_stats *stats,
			  struct faasctl_error *err);

/* cgroup.c */
int faasctl__cgroup_default(const char *workflow, const char *stage,
			    unsigned int *made, struct faasctl_error *err);
int faasctl__cgroup_remove(const char *workflow, const char *stage,
			   unsigned int levels, struct faasctl_error *err);

#endif /* FAASCTL_INTERNAL_H */
