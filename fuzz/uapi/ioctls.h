/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ioctls that programs make: what each takes, and what comes of it.
 */
#ifndef _FUZZ_UAPI_IOCTLS_H
#define _FUZZ_UAPI_IOCTLS_H

#include <linux/faasin.h>

#include "call.h"

/* Whatever an ioctl of a port points at. */
union argument {
	struct faasin_abort abort;
	struct faasin_context context;
	struct faasin_range range;
	struct faasin_ranges ranges;
	uint8_t bytes[64];
};

/**
 * struct port_ioctl - an ioctl
 * @word: in texts; first, as words_of() takes tables whose entries begin with their word
 * @number: its own; 0: _IO(FAASIN_IOC_MAGIC, the program's choice)
 * @fill: makes its argument up; NULL: zeroes will do
 * @done: it succeeded: looks at what it gave, and returns the call's result; NULL: @result is
 */
struct port_ioctl {
	const char *word;
	unsigned long number;
	void (*fill)(struct thread *t, const struct call *c, int fd, union argument *arg);
	long (*done)(struct thread *t, const struct call *c, int fd, const union argument *arg,
		     long result);
};

#define IOCTLS	19
extern const struct port_ioctl ioctls[IOCTLS];

/* Is it the module's own, so that it has to succeed at some time? */
bool ioctl_is_ports(const struct port_ioctl *i);

#endif /* _FUZZ_UAPI_IOCTLS_H */
