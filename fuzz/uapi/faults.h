/* SPDX-License-Identifier: GPL-2.0 */
/* Allocations and copies of a call that fail: fail-nth, where the kernel has it. */
#ifndef _FUZZ_UAPI_FAULTS_H
#define _FUZZ_UAPI_FAULTS_H

#include "call.h"

/* Why nothing can be made to fail; NULL if it can. */
const char *faults_start(void);

/* The @nth of @t's next call fails. */
void faults_arm(struct thread *t, unsigned int nth);

/* None does from here on. Returns whether one did. */
bool faults_disarm(struct thread *t);

#endif /* _FUZZ_UAPI_FAULTS_H */
