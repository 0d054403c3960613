/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What calls read from and write to.
 */
#ifndef _USERSPACE_ITER_H
#define _USERSPACE_ITER_H

#include <sys/uio.h>

#include "memory.h"

#define READ	0
#define WRITE	1

struct kvec {
	void *iov_base;
	size_t iov_len;
};

/**
 * struct iov_iter - one run of memory
 * @base: its begin
 * @done: how much of it was passed
 * @count: how much is left
 * @faults_at: what lies there and behind cannot be touched
 * @user: it is user space's
 */
struct iov_iter {
	char *base;
	size_t done;
	size_t count;
	size_t faults_at;
	bool user;
};

void iov_iter_user(struct iov_iter *i, void *base, size_t n);
void iov_iter_kvec(struct iov_iter *i, unsigned int direction, const struct kvec *kvec,
		   unsigned long nr, size_t n);
void iov_iter_advance(struct iov_iter *i, size_t n);
void iov_iter_revert(struct iov_iter *i, size_t n);
size_t copy_from_iter(void *to, size_t n, struct iov_iter *i);
size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i);

static inline size_t iov_iter_count(const struct iov_iter *i)
{
	return i->count;
}

static inline bool user_backed_iter(const struct iov_iter *i)
{
	return i->user;
}

static inline size_t copy_page_from_iter(struct page *page, size_t offset, size_t n,
					 struct iov_iter *i)
{
	return copy_from_iter((char *)page_address(page) + offset, n, i);
}

static inline size_t copy_page_to_iter(struct page *page, size_t offset, size_t n,
				       struct iov_iter *i)
{
	return copy_to_iter((char *)page_address(page) + offset, n, i);
}

#define u64_to_user_ptr(n)	((void *)(uintptr_t)(n))

/* NULL cannot be touched. How much was not copied. */
static inline unsigned long copy_from_user(void *to, const void *from, unsigned long n)
{
	if (!from)
		return n;
	memcpy(to, from, n);
	return 0;
}

static inline unsigned long copy_to_user(void *to, const void *from, unsigned long n)
{
	if (!to)
		return n;
	memcpy(to, from, n);
	return 0;
}

#endif /* _USERSPACE_ITER_H */
