// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What keeps the thread of a careful domain from getting by system calls at what keys close: a
 * table of descriptors of its own, nothing of /proc (proc.c), no rights to reach past memory's
 * borders, and a filter. All of it is for good, and there is no other thread or process that could
 * be made without it.
 *
 * A filter cannot add. What is about a range of memory is let through if it begins in the first
 * half of where a function can map, and is shorter than that (MAPS_SIZE). It looks at the upper
 * 32 bits alone: all of these are whole there.
 */
#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/kd.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <linux/vt.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "confine.h"
#include "state.h"

/*
 * What changes the layout of memory, or keys; has the kernel write, later and with other keys, to
 * where it was told before (set_robust_list, set_tid_address, rseq); makes threads and programs; or
 * is of the whole process.
 */
static const int denied[] = {
	SCMP_SYS(pkey_mprotect), SCMP_SYS(pkey_alloc), SCMP_SYS(pkey_free),
	SCMP_SYS(munmap), SCMP_SYS(brk), SCMP_SYS(remap_file_pages), SCMP_SYS(shmdt),
	SCMP_SYS(mbind), SCMP_SYS(set_mempolicy_home_node),
	SCMP_SYS(mlockall), SCMP_SYS(munlockall), SCMP_SYS(munlock),
	SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(rseq),
	SCMP_SYS(io_setup), SCMP_SYS(io_submit), SCMP_SYS(io_destroy), SCMP_SYS(io_cancel),
	SCMP_SYS(io_getevents), SCMP_SYS(io_pgetevents),
	SCMP_SYS(personality), SCMP_SYS(arch_prctl), SCMP_SYS(modify_ldt), SCMP_SYS(seccomp),
	SCMP_SYS(clone), SCMP_SYS(kill), SCMP_SYS(exit_group), SCMP_SYS(setsid), SCMP_SYS(setpgid),
	SCMP_SYS(setrlimit), SCMP_SYS(alarm), SCMP_SYS(setitimer), SCMP_SYS(timer_create),
	SCMP_SYS(timer_settime), SCMP_SYS(timer_delete), SCMP_SYS(mq_notify),
	SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(signalfd), SCMP_SYS(signalfd4),
	SCMP_SYS(wait4), SCMP_SYS(waitid),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(uselib),
	/* The process could not be looked into any more, by those who may. */
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
	SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid),
	SCMP_SYS(setgroups),
	/* Newer kernels have a flag by which it is for all threads. */
	SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self),
	SCMP_SYS(vhangup),
};

/* Of one that is a process because there are no keys, too. */
static const int denied_programs[] = { SCMP_SYS(execve), SCMP_SYS(execveat) };

/* Of one argument: that bits of it are set; an address is one that is. */
#define HAS(call, argument, bit)	{ SCMP_SYS(call), argument, SCMP_CMP_MASKED_EQ, bit, bit }
#define HAS_NOT(call, argument, bit)	{ SCMP_SYS(call), argument, SCMP_CMP_MASKED_EQ, bit, 0 }
#define GIVEN(call, argument)		{ SCMP_SYS(call), argument, SCMP_CMP_NE, 0, 0 }

static const struct confine_rule rules[] = {
	HAS(mmap, 2, PROT_EXEC), HAS(mprotect, 2, PROT_EXEC),
	/* Without these it would leave a hole, or be told where by the kernel. */
	HAS_NOT(mremap, 3, MREMAP_DONTUNMAP), HAS_NOT(mremap, 3, MREMAP_FIXED),
	/* What signals do is of the process, and a fault has to reach its handler. */
	GIVEN(rt_sigaction, 1), GIVEN(sigaltstack, 0),
	GIVEN(ppoll, 3), GIVEN(pselect6, 5), GIVEN(epoll_pwait, 4), GIVEN(epoll_pwait2, 4),
	GIVEN(prlimit64, 2),
	CONFINE_REQUEST(fcntl, 1, F_SETLEASE), CONFINE_REQUEST(fcntl, 1, F_NOTIFY),
	/* Devices by which the kernel does to memory what it is told, whoever's keys it has. */
	CONFINE_REQUEST(ioctl, 1, USERFAULTFD_IOC_NEW), CONFINE_REQUEST(ioctl, 1, KVM_CREATE_VM),
	CONFINE_REQUEST(ioctl, 1, VHOST_SET_OWNER),
	/* Terminals that send signals to the process, or hang it up. */
	CONFINE_REQUEST(ioctl, 1, TIOCNOTTY), CONFINE_REQUEST(ioctl, 1, TIOCSCTTY),
	CONFINE_REQUEST(ioctl, 1, TIOCSPGRP), CONFINE_REQUEST(ioctl, 1, TIOCSIG),
	CONFINE_REQUEST(ioctl, 1, FIOASYNC),
	CONFINE_REQUEST(ioctl, 1, VT_SETMODE), CONFINE_REQUEST(ioctl, 1, KDSIGACCEPT),
	/* abort() is a signal to itself. */
	{ SCMP_SYS(tgkill), 2, SCMP_CMP_NE, SIGABRT, 0 },
};

static int add_rules(scmp_filter_ctx filter)
{
	int ret = confine_deny(filter, denied, ARRAY_SIZE(denied), rules, ARRAY_SIZE(rules));

	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
				       SCMP_A1(SCMP_CMP_NE, gettid()));
	/* A terminal makes its owner the process by itself, which SIGIO would end. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 2,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, F_SETFL),
				       SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, O_ASYNC));
	return ret;
}

/* ------------------------------------------------- what libseccomp has no rules for */

/* Of what the kernel has beyond this, nothing is known: fchmodat2. */
#define LAST_CALL	452

/* What a thread may ask for of itself, of what is asked for by prctl(). */
static const unsigned int requests[] = {
	PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ,
	PR_GET_TSC, PR_GET_SECUREBITS, PR_SET_TIMERSLACK, PR_GET_TIMERSLACK,
	PR_GET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS,
	PR_GET_THP_DISABLE, PR_CAP_AMBIENT, PR_GET_SPECULATION_CTRL,
};

/**
 * struct program - instructions of a filter
 * @n: how many
 * @code: the instructions
 */
struct program {
	unsigned short n;
	struct sock_filter code[200];
};

static void put(struct program *program, struct sock_filter instruction)
{
	program->code[program->n++] = instruction;
}

#define LOAD(at)		((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at))
#define RETURN(value)		((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value))
/* If the comparison holds, the next @yes instructions are passed over, else @no. */
#define COMPARE(how, value, yes, no)	\
	((struct sock_filter)BPF_JUMP(BPF_JMP | (how) | BPF_K, value, yes, no))
#define ALLOW			RETURN(SECCOMP_RET_ALLOW)
#define DENY			RETURN(SECCOMP_RET_ERRNO | EPERM)

#define NUMBER			offsetof(struct seccomp_data, nr)
#define LOW(argument)		(offsetof(struct seccomp_data, args) + 8 * (argument))
#define HIGH(argument)		(LOW(argument) + 4)

/* What follows is about one call; returns what end_call() is told. */
static unsigned int begin_call(struct program *program, int number)
{
	put(program, COMPARE(BPF_JEQ, number, 0, 0));
	return program->n;
}

/* Whatever was not denied is let through. */
static void end_call(struct program *program, unsigned int begin)
{
	put(program, ALLOW);
	program->code[begin - 1].jf = program->n - begin;
}

static void deny_elsewhere(struct program *program, int argument, uintptr_t from, uintptr_t to)
{
	put(program, LOAD(HIGH(argument)));
	put(program, COMPARE(BPF_JGE, from >> 32, 1, 0));
	put(program, DENY);
	put(program, COMPARE(BPF_JGE, to >> 32, 0, 1));
	put(program, DENY);
}

static void deny_long(struct program *program, int argument)
{
	put(program, LOAD(HIGH(argument)));
	put(program, COMPARE(BPF_JGE, MAPS_SIZE >> 32, 0, 1));
	put(program, DENY);
}

/* @after: the instruction that follows the only one that may make the call */
static void deny_others_code(struct program *program, const char *after)
{
	uintptr_t from = (uintptr_t)after;

	put(program, LOAD(offsetof(struct seccomp_data, instruction_pointer)));
	put(program, COMPARE(BPF_JEQ, (uint32_t)from, 1, 0));
	put(program, DENY);
	put(program, LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4));
	put(program, COMPARE(BPF_JEQ, from >> 32, 1, 0));
	put(program, DENY);
}

/*
 * Registers are taken from memory by the handler of faults only, which returns if a signal came
 * while its thread was outside, with locks. If it does not, it is who gives the mask back, that
 * the next fault has to reach it: others can look at it.
 */
static void put_return(struct program *program)
{
	unsigned int call = begin_call(program, SYS_rt_sigreturn);

	deny_others_code(program, gate_returned);
	end_call(program, call);
	call = begin_call(program, SYS_rt_sigprocmask);
	put(program, LOAD(LOW(1)));
	put(program, COMPARE(BPF_JEQ, 0, 0, 3));
	put(program, LOAD(HIGH(1)));
	put(program, COMPARE(BPF_JEQ, 0, 0, 1));
	put(program, ALLOW);
	deny_others_code(program, gate_masked);
	end_call(program, call);
}

/* Memory is its own to lay out, but for what is not. */
static void put_ranges(struct program *program, unsigned int slot)
{
	uintptr_t from = maps_base(slot), to = from + MAPS_SIZE;
	static const int of_heap[] = { SYS_madvise, SYS_mlock, SYS_mlock2 };
	unsigned int call;
	size_t i;

	call = begin_call(program, SYS_mmap);
	put(program, LOAD(LOW(3)));
	put(program, COMPARE(BPF_JSET, MAP_FIXED, 1, 0));
	put(program, ALLOW);
	deny_elsewhere(program, 0, from, to);
	deny_long(program, 1);
	end_call(program, call);
	call = begin_call(program, SYS_mprotect);
	deny_elsewhere(program, 0, from, to);
	deny_long(program, 1);
	end_call(program, call);
	call = begin_call(program, SYS_mremap);
	deny_elsewhere(program, 0, from, to);
	deny_long(program, 1);
	deny_long(program, 2);
	deny_elsewhere(program, 4, from, to);
	end_call(program, call);
	/* Its heap is before that, and what is not used of it is given back. */
	for (i = 0; i < ARRAY_SIZE(of_heap); i++) {
		call = begin_call(program, of_heap[i]);
		deny_elsewhere(program, 0, heap_base(slot), to);
		deny_long(program, 1);
		end_call(program, call);
	}
}

/* Refuses whatever is not named. */
static void put_unknown(struct program *program)
{
	unsigned int call;
	size_t i;

	put(program, COMPARE(BPF_JGT, LAST_CALL, 0, 1));
	put(program, RETURN(SECCOMP_RET_ERRNO | ENOSYS));
	call = begin_call(program, SYS_prctl);
	put(program, LOAD(LOW(0)));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		put(program, COMPARE(BPF_JEQ, requests[i], 0, 1));
		put(program, ALLOW);
	}
	put(program, DENY);
	end_call(program, call);
}

/* Of a thread, with its slot; NULL: of a process. */
static int deny_others(const unsigned int *slot)
{
	struct program program = { 0 };
	struct sock_fprog filter = { .filter = program.code };

	put(&program, LOAD(NUMBER));
	put_unknown(&program);
	if (slot) {
		put_return(&program);
		put_ranges(&program, *slot);
	}
	put(&program, ALLOW);
	filter.len = program.n;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) ? -errno : 0;
}

/* -------------------------------------------------------------------------- rights */

/* By which memory, or the kernel's, can be got at past what the filter looks at; and consoles. */
static const int rights[] = {
	CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_RAWIO, CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_PERFMON,
	CAP_BPF, CAP_CHECKPOINT_RESTORE, CAP_SYS_TTY_CONFIG,
};

static int drop_rights(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	size_t i;

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (i = 0; i < ARRAY_SIZE(rights); i++) {
		data[CAP_TO_INDEX(rights[i])].effective &= ~CAP_TO_MASK(rights[i]);
		data[CAP_TO_INDEX(rights[i])].permitted &= ~CAP_TO_MASK(rights[i]);
		data[CAP_TO_INDEX(rights[i])].inheritable &= ~CAP_TO_MASK(rights[i]);
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* --------------------------------------------------------------------- all of it */

/* Why there can be no filters here, or "". */
void filter_look(char *why, size_t size)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		snprintf(why, size, "this kernel has no seccomp, or it is not let through");
	else
		proc_look(why, size);
}

/* From here on there is no way back; the filter itself comes last. */
static int begin(const unsigned int *slot)
{
	int ret = proc_close();

	if (!ret)
		ret = drop_rights();
	return ret ? ret : deny_others(slot);
}

static int load(scmp_filter_ctx filter)
{
	int ret = confine_deny(filter, denied_programs, ARRAY_SIZE(denied_programs), NULL, 0);

	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}

/*
 * Filters this thread, for good. Called outside, when all has been done that the thread cannot do
 * any more. Returns 0 or a negative errno; then it is filtered in part, and must not go in.
 */
int filter_thread(unsigned int slot)
{
	scmp_filter_ctx filter;
	sigset_t broken;
	int ret;

	ret = process_leave_files();
	if (ret)
		return ret;
	/* Who is not to be stopped by it must not be interrupted by it either. */
	sigemptyset(&broken);
	sigaddset(&broken, SIGPIPE);
	if (domains->old[SIGPIPE].sa_handler != SIG_DFL)
		pthread_sigmask(SIG_BLOCK, &broken, NULL);
	/* In the end the kernel would follow it, with all keys, to wherever it leads. */
	syscall(SYS_set_robust_list, NULL, 3 * sizeof(long));
	ret = begin(&slot);
	if (ret)
		return ret;
	filter = confine_begin();
	if (!filter)
		return -ENOMEM;
	ret = add_rules(filter);
	if (!ret)
		return load(filter);
	seccomp_release(filter);
	return ret;
}

/* In a process that is a domain: it has a filter. */
bool filtered_process;

/* The same of a process: its memory is its own to lay out. */
int filter_process(void)
{
	scmp_filter_ctx filter;
	int ret = begin(NULL);

	if (ret)
		return ret;
	filtered_process = true;
	filter = confine_begin();
	return filter ? load(filter) : -ENOMEM;
}
