// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What stops a domain and not the process: faults, memory that is not its own, breakpoints,
 * abort(), exit(), and writing where nobody reads.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "state.h"

/* For the frame of a signal with all registers there are, and a handler. */
#define STACK_SIZE	(64ul << 10)

const int fault_signals[FAULT_SIGNALS] = {
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGPIPE
};

bool fault_is(int sig)
{
	size_t i;

	for (i = 0; i < FAULT_SIGNALS; i++)
		if (fault_signals[i] == sig)
			return true;
	return false;
}

/* Frees the stack for signals of a thread that ends. */
static pthread_key_t stack_key;

void fault_stack_free(void *stack)
{
	if (stack)
		munmap(stack, STACK_SIZE);
}

/* A domain's own thread leaves it to who joins it: it may end without this, or not be let. */
static void stack_free(void *stack)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	/* Destructors that come later may want to go in. */
	inside.ready = 0;
	if (inside.own_thread)
		return;
	sigaltstack(&none, NULL);
	fault_stack_free(stack);
}

void *fault_thread_stack(void)
{
	return pthread_getspecific(stack_key);
}

/*
 * Prepares this thread for going in, once. It gets a stack for signals with key 0: the
 * kernel writes there with the rights of whoever was interrupted.
 */
int fault_thread_begin(void)
{
	stack_t stack = { .ss_size = STACK_SIZE };

	if (pthread_getspecific(stack_key))
		return 0;
	heap_thread_begin();
	stack.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return -ENOMEM;
	if (pthread_setspecific(stack_key, stack.ss_sp) || sigaltstack(&stack, NULL)) {
		pthread_setspecific(stack_key, NULL);
		munmap(stack.ss_sp, STACK_SIZE);
		return -ENOMEM;
	}
	return 0;
}

/* Whose memory it is that was touched. */
static void describe_address(char *text, size_t size, const void *address)
{
	struct faasctl_domain *other;
	unsigned int slot, i;

	for (i = 0; i < ARRAY_SIZE(domains->inputs); i++) {
		struct faasctl_input *input = &domains->inputs[i];

		if (input->memory && (uintptr_t)address - (uintptr_t)input->memory < input->size) {
			snprintf(text, size, "which is an input that it was not given, or for reading only");
			return;
		}
	}
	if ((uintptr_t)address - gate_fixed.vault < gate_fixed.vault_size) {
		snprintf(text, size, "which is the library's");
		return;
	}
	if (!in_slot(address, &slot)) {
		snprintf(text, size, "which is not there for it");
		return;
	}
	other = &domains->domains[slot];
	if (slot != inside.domain->slot)
		snprintf(text, size, "which is in domain %s", other->name);
	else if ((uintptr_t)address < stack_base(other))
		snprintf(text, size, "below its stack: it overflowed");
	else
		snprintf(text, size, "where it has no memory");
}

/* Not what another process, or another thread, sent. */
static bool own_doing(int sig, const siginfo_t *info)
{
	if (sig == SIGABRT)
		return info->si_code == SI_TKILL && info->si_pid == getpid();
	/* Who wants to be told by EPIPE is. */
	if (sig == SIGPIPE)
		return domains->old[sig].sa_handler == SIG_DFL && info->si_code == SI_USER &&
		       info->si_pid == getpid();
	return info->si_code > 0;
}

static void describe(char *text, size_t size, int sig, const siginfo_t *info)
{
	char whose[120];

	if (!own_doing(sig, info)) {
		snprintf(text, size, "signal %d (%s) was sent to its thread", sig,
			 sigdescr_np(sig));
		return;
	}
	switch (sig) {
	case SIGSEGV:
	case SIGBUS:
		describe_address(whose, sizeof(whose), info->si_addr);
		snprintf(text, size, "it touched %p, %s", info->si_addr, whose);
		break;
	case SIGABRT:
		snprintf(text, size, "it called abort()");
		break;
	case SIGFPE:
		snprintf(text, size, "it divided by zero or the like");
		break;
	case SIGTRAP:
		snprintf(text, size, "it came to a breakpoint, or went on step by step");
		break;
	case SIGPIPE:
		snprintf(text, size, "it wrote to what nobody reads any more");
		break;
	default:
		if (info->si_addr == (void *)gate_forged || disarmed(info->si_addr))
			snprintf(text, size, "it executed what writes the key register");
		else
			snprintf(text, size, "it executed what is no instruction");
		break;
	}
}

/* Others are told, and what comes next is done as if there were no domains. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	struct sigaction old = domains->old[sig];

	if (old.sa_flags & SA_SIGINFO) {
		old.sa_sigaction(sig, info, context);
	} else if (inside.filtered && old.sa_handler == SIG_DFL && info->si_code <= 0) {
		/* It was sent before its function began, or when that was done. */
		return;
	} else if (old.sa_handler == SIG_DFL || (old.sa_handler == SIG_IGN && info->si_code > 0)) {
		/*
		 * It happens again, to the whole process; what was sent is sent again, and so is
		 * what comes when an instruction is done.
		 */
		old.sa_handler = SIG_DFL;
		/* A filtered thread cannot: this ends the process in another way. */
		if (kernel_sigaction(sig, &old, NULL))
			gate_forged();
		if (info->si_code <= 0 || sig == SIGTRAP)
			raise(sig);
	} else if (old.sa_handler != SIG_IGN) {
		old.sa_handler(sig);
	}
}

/* The registers of who is stopped are not for others. */
static void wipe(void *frame)
{
	char *stack = pthread_getspecific(stack_key);

	if ((uintptr_t)frame - (uintptr_t)stack < STACK_SIZE)
		memset(frame, 0, stack + STACK_SIZE - (char *)frame);
}

/* Called by gate_fault(), outside, on the stack for signals. */
void fault_handle(int sig, void *information, void *context)
{
	struct faasctl_domain *domain = inside.domain;
	siginfo_t *info = information;
	sigset_t mask;

	if (!fault_is(sig))
		gate_forged();
	/*
	 * A child of fork() or vfork() is no domain, even if it began in one. A filtered thread
	 * cannot have a handler's default set, and is stopped.
	 */
	if (!domain || domain->gate.state != GATE_ENTERED || getpid() != home ||
	    (!own_doing(sig, info) && !inside.filtered)) {
		pass_on(sig, info, context);
		return;
	}
	describe(domain->stopped, sizeof(domain->stopped), sig, info);
	domain->signal = sig;
	domain->unusual = true;
	domain->heap_lost = allocator_has(domain, sig, info,
					  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
	/*
	 * Whoever sent it, the host's own threads too: with locks it goes on until it has none, and
	 * where the library is at work for it, until that is done.
	 */
	if (info->si_code <= 0 && !inside.damaged) {
		if (inside.locks) {
			inside.stop = true;
			return;
		}
		if (domain->serving)
			return;
	}
	mask = ((ucontext_t *)context)->uc_sigmask;
	wipe(context);
	/* This handler does not return, so the kernel will not; and it may fault again. */
	gate_mask(&mask);
	gate_abort(&domain->gate, 0);
}

/* As it was before fault_begin(). */
void fault_end(void)
{
	size_t i;

	for (i = 0; i < FAULT_SIGNALS; i++)
		kernel_sigaction(fault_signals[i], &domains->old[fault_signals[i]], NULL);
	pthread_key_delete(stack_key);
}

int fault_begin(struct faasctl_error *err)
{
	struct sigaction action = {
		.sa_sigaction = (void (*)(int, siginfo_t *, void *))gate_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	size_t i;

	if (pthread_key_create(&stack_key, stack_free))
		return faasctl__fail(err, ENOMEM, "out of memory");
	for (i = 0; i < FAULT_SIGNALS; i++)
		kernel_sigaction(fault_signals[i], NULL, &domains->old[fault_signals[i]]);
	for (i = 0; i < FAULT_SIGNALS; i++)
		kernel_sigaction(fault_signals[i], &action, NULL);
	return 0;
}

/* In a process that was made: faults end it. What was ignored stays so. */
void fault_reset(void)
{
	struct sigaction action;
	size_t i;

	for (i = 0; i < FAULT_SIGNALS; i++) {
		sigaction(fault_signals[i], NULL, &action);
		if (fault_signals[i] != SIGPIPE || action.sa_handler != SIG_IGN)
			action.sa_handler = SIG_DFL;
		action.sa_flags = 0;
		kernel_sigaction(fault_signals[i], &action, NULL);
	}
}

/**
 * struct stop - why a domain is left at once
 * @reason: a text; NULL: with a result
 * @result: the result
 */
struct stop {
	const char *reason;
	long result;
};

/* Where a signal was put off, its frame is there still. Called on the stack outside. */
static void abort_late(struct faasctl_domain *domain) __attribute__((noreturn));

static void abort_late(struct faasctl_domain *domain)
{
	memset(fault_thread_stack(), 0, STACK_SIZE);
	gate_abort(&domain->gate, 0);
}

/*
 * Notes whether this thread is at work outside, where it must not be stopped by a signal that is
 * sent; if one was meanwhile, it is stopped by the end of that.
 */
void fault_serving(struct faasctl_domain *domain, bool serving)
{
	domain->serving = serving;
	atomic_signal_fence(memory_order_seq_cst);
	if (!serving && *(volatile char *)domain->stopped && !inside.locks)
		abort_late(domain);
}

long fault_stop(void *arg)
{
	struct faasctl_domain *domain = inside.domain;
	struct stop *why = arg;

	/* If a signal was sent meanwhile, that is why. */
	fault_serving(domain, false);
	if (why->reason) {
		snprintf(domain->stopped, sizeof(domain->stopped), "%s", why->reason);
		domain->signal = SIGABRT;
		domain->unusual = true;
	}
	gate_abort(&domain->gate, why->result);
}

/* Leaves the domain for good. Called inside. */
void domain_stop(const char *format, ...)
{
	struct stop why = { 0 };
	char reason[120];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	why.reason = reason;
	gate_monitor(SERVICE_STOP, &why);
	abort();
}

/* As if what was called had returned. Called inside. */
void domain_exit(long result)
{
	struct stop why = { .result = result };

	gate_monitor(SERVICE_STOP, &why);
	abort();
}
