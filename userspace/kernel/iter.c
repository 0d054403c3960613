// SPDX-License-Identifier: GPL-2.0
/*
 * What calls read from and write to.
 */
#include "kernel.h"

void iov_iter_user(struct iov_iter *i, void *base, size_t n)
{
	*i = (struct iov_iter){ .base = base, .count = n, .faults_at = SIZE_MAX, .user = true };
}

void iov_iter_kvec(struct iov_iter *i, unsigned int direction, const struct kvec *kvec,
		   unsigned long nr, size_t n)
{
	BUG_ON(nr != 1 || n > kvec->iov_len);
	*i = (struct iov_iter){ .base = kvec->iov_base, .count = n, .faults_at = SIZE_MAX };
}

void iov_iter_advance(struct iov_iter *i, size_t n)
{
	BUG_ON(n > i->count);
	i->done += n;
	i->count -= n;
}

void iov_iter_revert(struct iov_iter *i, size_t n)
{
	BUG_ON(n > i->done);
	i->done -= n;
	i->count += n;
}

/* How much of @n there is and can be touched. */
static size_t iter_part(const struct iov_iter *i, size_t n)
{
	size_t to_fault = i->faults_at > i->done ? i->faults_at - i->done : 0;

	return min(min(n, i->count), to_fault);
}

size_t copy_from_iter(void *to, size_t n, struct iov_iter *i)
{
	n = iter_part(i, n);
	memcpy(to, i->base + i->done, n);
	iov_iter_advance(i, n);
	return n;
}

size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i)
{
	n = iter_part(i, n);
	memcpy(i->base + i->done, from, n);
	iov_iter_advance(i, n);
	return n;
}
