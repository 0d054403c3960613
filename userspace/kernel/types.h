/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Types, attributes, arithmetic, errors in pointers.
 */
#ifndef _USERSPACE_TYPES_H
#define _USERSPACE_TYPES_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
/* As the kernel has it, for formats. */
typedef unsigned long long u64;
typedef long long s64;
typedef unsigned int gfp_t;
typedef unsigned short umode_t;
typedef struct { uid_t val; } kuid_t;
typedef struct { gid_t val; } kgid_t;

#define U32_MAX			UINT32_MAX
#define __user
#define __must_hold(lock)
#define __acquires(lock)
#define __releases(lock)
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define noinline		__attribute__((__noinline__))
#undef static_assert
#define static_assert(x, ...)	_Static_assert(x, #x)
#define ____cacheline_aligned_in_smp	__attribute__((aligned(64)))
#define fallthrough		__attribute__((fallthrough))

/* Whatever the kernel only warns of is an error here. */
void bug(const char *file, int line, const char *what) __attribute__((noreturn));
#define BUG_ON(x)		((x) ? bug(__FILE__, __LINE__, #x) : (void)0)
#define WARN_ON_ONCE(x)		({ bool bug_on = (x); BUG_ON(bug_on); bug_on; })
#define WARN_ON(x)		WARN_ON_ONCE(x)

#define container_of(p, type, member)	((type *)((char *)(p) - offsetof(type, member)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

#define min(a, b)								\
	({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b)								\
	({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))
#define max3(a, b, c)		max(max(a, b), c)
#define swap(a, b)								\
do {										\
	typeof(a) swapped = (a);						\
										\
	(a) = (b);								\
	(b) = swapped;								\
} while (0)
#define clamp(v, low, high)	min(max(v, low), high)
#define clamp_t(t, v, lo, hi)	min_t(t, max_t(t, v, lo), hi)

#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
/* @to: a power of two */
#define round_up(n, to)		((((n) - 1) | ((__typeof__(n))(to) - 1)) + 1)
#define round_down(n, to)	((n) & ~((__typeof__(n))(to) - 1))
#define ilog2(n)		(63 - __builtin_clzll(n))
#define rounddown_pow_of_two(n)	(1ULL << ilog2(n))
#define roundup_pow_of_two(n)	((n) > 1 ? 1ULL << (ilog2((n) - 1) + 1) : 1ULL)
#define array_size(n, size)	((size_t)(n) * (size))
#define struct_size(p, member, n)	(sizeof(*(p)) + (n) * sizeof((p)->member[0]))
#define div_u64(n, d)		((u64)(n) / (d))
#define lower_32_bits(n)	((u32)(n))

#define SZ_64K			0x10000
#define SZ_2M			0x200000
#define SZ_8M			0x800000

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *p)
{
	return (long)p;
}

static inline bool IS_ERR(const void *p)
{
	return (unsigned long)p >= (unsigned long)-4095;
}

#define IS_ERR_OR_NULL(p)	(!(p) || IS_ERR(p))

/* The kernel's own: never seen by programs. */
#define ERESTARTSYS		512
#define ENOTSUPP		524

static inline ssize_t strscpy(char *to, const char *from, size_t size)
{
	return snprintf(to, size, "%s", from);
}

#endif /* _USERSPACE_TYPES_H */
