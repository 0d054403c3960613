/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filters of system calls: what those of hostile processes and of careful threads share. */
#ifndef FAASCTL_DOMAIN_CONFINE_H
#define FAASCTL_DOMAIN_CONFINE_H

#include <seccomp.h>

/**
 * struct confine_rule - what is refused if an argument is so
 * @call: the system call
 * @argument: which argument
 * @compare: how
 * @a: with this, or this mask
 * @b: with this, of what is masked
 */
struct confine_rule {
	int call;
	unsigned int argument;
	enum scmp_compare compare;
	uint64_t a;
	uint64_t b;
};

/* An argument that is a request; the kernel looks at 32 bits. */
#define CONFINE_REQUEST(call, argument, request)	\
	{ SCMP_SYS(call), argument, SCMP_CMP_MASKED_EQ, 0xffffffff, request }

/* A filter that refuses whatever reaches into other processes; NULL: no memory. */
scmp_filter_ctx confine_begin(void);

/* Refuses more with EPERM: calls, and some by an argument. Returns 0 or a negative errno. */
int confine_deny(scmp_filter_ctx filter, const int *calls, size_t n,
		 const struct confine_rule *some, size_t n_some);

#endif /* FAASCTL_DOMAIN_CONFINE_H */
