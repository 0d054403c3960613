/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of windows share. A window is mapped from offset 0 on, so that an offset
 * is a distance from its beginning.
 */
#ifndef _SELFTESTS_WINDOW_H
#define _SELFTESTS_WINDOW_H

#include "common.h"

/* The window of a port, or what FAASIN_IOC_WINDOW refused. */
static inline struct faasin_window_info window_info(int fd)
{
	struct faasin_window_info info = { 0 };

	ioctl(fd, FAASIN_IOC_WINDOW, &info);
	return info;
}

/* Maps all of a port's window; MAP_FAILED if that fails. */
static inline uint8_t *window_map(int fd, int prot)
{
	struct faasin_window_info info = window_info(fd);

	return mmap(NULL, info.size + info.landing, prot, MAP_SHARED, fd, 0);
}

/* Whether a part of it can be mapped: it is, and no longer, and 0; or -errno. */
static inline long window_try_map(int fd, size_t length, int prot, int flags, off_t offset)
{
	void *at = mmap(NULL, length, prot, flags, fd, offset);

	return at == MAP_FAILED ? -errno : sys(munmap(at, length));
}

/* The offset of an extent, or -errno. */
static inline long window_alloc(int fd, uint64_t length)
{
	struct faasin_range range = { .length = length };
	long result = sys(ioctl(fd, FAASIN_IOC_ALLOC, &range));

	return result < 0 ? result : (long)range.offset;
}

static inline long window_call(int fd, unsigned long call, struct faasin_range *ranges,
			       unsigned int count)
{
	struct faasin_ranges arg = { .ranges = (uintptr_t)ranges, .count = count };

	return sys(ioctl(fd, call, &arg));
}

static inline long window_send(int fd, uint64_t offset, uint64_t length)
{
	struct faasin_range range = { offset, length };

	return window_call(fd, FAASIN_IOC_SEND, &range, 1);
}

/* The only range of the next record: 1 if there is one, 0 at the end, or -errno. */
static inline long window_take(int fd, struct faasin_range *range)
{
	return window_call(fd, FAASIN_IOC_TAKE, range, 1);
}

static inline long window_return(int fd, uint64_t offset)
{
	struct faasin_range range = { offset, 0 };

	return window_call(fd, FAASIN_IOC_RETURN, &range, 1);
}

/* Touches a byte: what is read there, or 0; or minus the signal that this got. */
int window_peek(const volatile uint8_t *at);
int window_poke(volatile uint8_t *at, uint8_t value);

/* As ENDS_SETUP(), with both ends mapped: for fixtures with the members out, in and info, too. */
/* Of the open ends. */
#define WINDOWS_MAP(self)							\
do {										\
	(self)->info = window_info((self)->r);					\
	(self)->out = window_map((self)->w, PROT_READ | PROT_WRITE);		\
	(self)->in = window_map((self)->r, PROT_READ);				\
	ASSERT_NE(MAP_FAILED, (void *)(self)->out);				\
	ASSERT_NE(MAP_FAILED, (void *)(self)->in);				\
} while (0)

#define WINDOWS_UNMAP(self)							\
do {										\
	munmap((self)->out, (self)->info.size);					\
	munmap((void *)(self)->in, (self)->info.size + (self)->info.landing);	\
} while (0)

#define WINDOWS_SETUP(self, options)						\
do {										\
	ENDS_SETUP(self, options, O_RDWR, O_NONBLOCK);				\
	WINDOWS_MAP(self);							\
} while (0)

#define WINDOWS_TEARDOWN(self)							\
do {										\
	WINDOWS_UNMAP(self);							\
	ENDS_TEARDOWN(self);							\
} while (0)

#endif /* _SELFTESTS_WINDOW_H */
