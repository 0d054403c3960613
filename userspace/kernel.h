/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module's channel asks of the kernel, in user space, so that its unchanged sources
 * run under sanitizers and beside a pipe of this machine. Every header of the kernel's that
 * they name stands for this one (Makefile).
 *
 * It is as strict as the kernel where that finds faults: locks know their owner,
 * references that rise from nothing end the program. Where it is not like the kernel:
 *
 *	spin locks	may sleep, as a holder can be preempted
 *	owner_on_cpu()	knows who sleeps and where a task last woke up, not who is preempted
 *	smp_mb()	is one, but ThreadSanitizer does not know of fences: it neither sees
 *			what they order nor misses them. cursors.pml and lanes.pml do.
 *	trees		are not balanced
 *	mappings	of windows there are none, so nothing is to be unmapped; what is mapped of a
 *			lane is its memory, which nothing protects
 *	delayed work	comes sooner by a factor (work_hurry)
 */
#ifndef _USERSPACE_KERNEL_H
#define _USERSPACE_KERNEL_H

#include "kernel/types.h"
#include "kernel/atomic.h"
#include "kernel/list.h"
#include "kernel/tree.h"
#include "kernel/bitmap.h"
#include "kernel/task.h"
#include "kernel/lock.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "kernel/memory.h"
#include "kernel/iter.h"
#include "kernel/file.h"
#include "kernel/netlink.h"
#include "kernel/tracepoint.h"

#endif /* _USERSPACE_KERNEL_H */
