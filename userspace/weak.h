/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Negative control, for sources that do not use kernel/atomic.h: all that they load with acquire
 * is "libfaasctl" for shim_weak().
 */
#ifndef _USERSPACE_WEAK_H
#define _USERSPACE_WEAK_H

#include <stdbool.h>

bool shim_weak(const char *access);

static const int shim_acquire = __ATOMIC_ACQUIRE;
#undef __ATOMIC_ACQUIRE
#define __ATOMIC_ACQUIRE	(shim_weak("libfaasctl") ? __ATOMIC_RELAXED : shim_acquire)

#endif /* _USERSPACE_WEAK_H */
