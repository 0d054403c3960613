// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What keeps a hostile function's process away from others: it has no rights beyond its
 * own, nothing of /proc (proc.c), and calls by which a process reaches into another one fail
 * with EPERM.
 */
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "confine.h"
#include "state.h"

static const int denied[] = {
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise), SCMP_SYS(process_mrelease), SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree),
	SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick),
	SCMP_SYS(mount_setattr), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(keyctl), SCMP_SYS(add_key),
	SCMP_SYS(request_key), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(tkill), SCMP_SYS(move_pages), SCMP_SYS(migrate_pages),
	SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(shmget), SCMP_SYS(shmat), SCMP_SYS(shmctl),
	SCMP_SYS(msgget), SCMP_SYS(msgsnd), SCMP_SYS(msgrcv), SCMP_SYS(msgctl),
	SCMP_SYS(semget), SCMP_SYS(semop), SCMP_SYS(semtimedop), SCMP_SYS(semctl),
};

static int drop_rights(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	int cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL && errno != EPERM)
			return -errno;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

/* An argument that is a pid: others' are refused; the kernel looks at 32 bits. */
#define OTHERS(call, argument)	{ SCMP_SYS(call), argument, SCMP_CMP_NE, 0, 0 }
#define REQUEST	CONFINE_REQUEST

static const struct confine_rule rules[] = {
	OTHERS(prlimit64, 0), OTHERS(sched_setaffinity, 0), OTHERS(sched_setattr, 0),
	OTHERS(sched_setparam, 0), OTHERS(sched_setscheduler, 0), OTHERS(get_robust_list, 0),
	OTHERS(setpriority, 0), OTHERS(setpriority, 1), OTHERS(ioprio_set, 1),
	/* 0 is itself only if it is a process (1) that is asked for. */
	{ SCMP_SYS(ioprio_set), 0, SCMP_CMP_NE, 1, 0 },
	/* Signals that a file sends go to whom its owner says. */
	REQUEST(fcntl, 1, F_SETOWN), REQUEST(fcntl, 1, F_SETOWN_EX), REQUEST(fcntl, 1, F_SETSIG),
	REQUEST(ioctl, 1, FIOSETOWN), REQUEST(ioctl, 1, SIOCSPGRP),
	/* What is typed on a terminal, and its screen. */
	REQUEST(ioctl, 1, TIOCSTI), REQUEST(ioctl, 1, TIOCLINUX),
	/* No process that would outlive this one: threads only. */
	{ SCMP_SYS(clone), 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0 },
};

static int deny_calls(scmp_filter_ctx filter, const int *calls, size_t n)
{
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < n; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
	return ret;
}

int confine_deny(scmp_filter_ctx filter, const int *calls, size_t n,
		 const struct confine_rule *some, size_t n_some)
{
	int ret = deny_calls(filter, calls, n);
	const struct confine_rule *rule;
	struct scmp_arg_cmp compare;

	for (rule = some; !ret && rule < some + n_some; rule++) {
		compare = SCMP_CMP(rule->argument, rule->compare, rule->a, rule->b);
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), rule->call, 1, compare);
	}
	return ret;
}

static int add_rules(scmp_filter_ctx filter)
{
	int ret = confine_deny(filter, denied, ARRAY_SIZE(denied), rules, ARRAY_SIZE(rules));

	/* Signals go to this process only. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
				       SCMP_A0(SCMP_CMP_NE, getpid()));
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_NE, getpid()));
	/* Its flags are in memory, where no filter sees them; the C library does without. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return ret;
}

scmp_filter_ctx confine_begin(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	/* Calls by another ABI, whose numbers mean others: refused, and nobody is killed. */
	if (filter && (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM)) ||
		       add_rules(filter))) {
		seccomp_release(filter);
		filter = NULL;
	}
	return filter;
}

/* Closes all but 0 to 2 and these. */
static int close_others(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if ((low > 3 && close_range(3, low - 1, 0)) ||
	    (high > low + 1 && close_range(low + 1, high - 1, 0)))
		return -errno;
	return close_range(high + 1, ~0u, 0) ? -errno : 0;
}

/*
 * Confines this process, for good; it keeps the descriptors 0 to 2, @socket and @life.
 * Returns 0 or a negative errno; then it is confined in part at most.
 */
int confine(int socket, int life)
{
	scmp_filter_ctx filter;
	int ret;

	ret = close_others(socket, life);
	/* Without rights there is more of it to be closed, and less to close it with. */
	if (!ret)
		ret = proc_close();
	if (!ret)
		ret = drop_rights();
	if (ret)
		return ret;
	filter = confine_begin();
	if (!filter)
		return -ENOMEM;
	ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}
