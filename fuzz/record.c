// SPDX-License-Identifier: GPL-2.0
/*
 * Records what the kernel answers to faasctl, as inputs for the fuzzers: to be
 * loaded before its libraries (LD_PRELOAD). FAASIN_RECORD is where: a prefix to
 * which numbers are appended for each request, and "all" for the whole.
 */
#include <dlfcn.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"

/* libnl numbers its requests by the time, the library from 1. */
#define OURS	100

static FILE *all, *one;
static int number;

static FILE *create(const char *what)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s%s", getenv("FAASIN_RECORD"), what);
	return fopen(path, "ae");
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags,
	       const struct sockaddr *to, socklen_t size)
{
	ssize_t (*real)(int fd, const void *buf, size_t len, int flags,
			const struct sockaddr *to, socklen_t size) =
		dlsym(RTLD_NEXT, "sendto");
	const struct nlmsghdr *hdr = buf;
	const struct genlmsghdr *genl = NLMSG_DATA(hdr);
	char what[40];

	if (hdr->nlmsg_seq < OURS) {
		if (one)
			fclose(one);
		snprintf(what, sizeof(what), "%d-%d", ++number, genl->cmd);
		one = create(what);
		/* A listing has both bits, NLM_F_EXCL is one of them. */
		if (one)
			fputc((hdr->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP ?
			      genl->cmd | 0x80 : genl->cmd, one);
	}
	return real(fd, buf, len, flags, to, size);
}

static void keep(FILE *to, const void *buf, size_t len)
{
	if (!to)
		return;
	fputc(len & 0xff, to);
	fputc(len >> 8, to);
	fwrite(buf, 1, len, to);
	fflush(to);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t (*real)(int fd, struct msghdr *msg, int flags) =
		dlsym(RTLD_NEXT, "recvmsg");
	ssize_t n = real(fd, msg, flags);
	static char copy[65536];
	struct nlmsghdr *hdr;
	size_t left;

	if (n < NLMSG_HDRLEN || n >= 0xfffd || (flags & MSG_PEEK))
		return n;
	memcpy(copy, msg->msg_iov->iov_base, n);
	hdr = (struct nlmsghdr *)copy;
	if (hdr->nlmsg_seq >= OURS)
		return n;
	for (left = n; NLMSG_OK(hdr, left); hdr = NLMSG_NEXT(hdr, left))
		if (hdr->nlmsg_type >= NLMSG_MIN_TYPE)
			hdr->nlmsg_type = HARNESS_FAMILY;
	if (!all)
		all = create("all");
	keep(all, copy, n);
	keep(one, copy, n);
	return n;
}
