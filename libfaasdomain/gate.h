/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gates: the only code that writes the key register. gate.S and C share this file.
 *
 * A thread is outside, where it may use every key that is ours, or inside one domain.
 * Each gate looks at the register again after writing it, and stops the process if it is
 * not what it has to be: whoever jumps to the instruction does not get past that.
 */
#ifndef FAASCTL_DOMAIN_GATE_H
#define FAASCTL_DOMAIN_GATE_H

#define GATE_INSIDE	0
#define GATE_STATE	4
#define GATE_SP		8
#define GATE_STACK	16
#define GATE_MODES	24
/* No text: those are in the vault, too, and could be taken for a gate. */
#define GATE_ENTERED	0x9f1c03e7

/* Of gate_fixed, which is read-only once it is set. */
#define FIXED_OUTSIDE	0
#define FIXED_DENIED	4
#define FIXED_VAULT	8
#define FIXED_VAULT_SIZE	16

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/**
 * struct gate - how a domain is entered and left; kept where no domain can read
 * @inside: the key register inside
 * @state: GATE_ENTERED while somebody is inside
 * @sp: the stack pointer outside, below what gate_call() saved
 * @stack: where the domain's stack begins
 * @modes: how is calculated outside: MXCSR, and the x87's control word
 */
struct gate {
	uint32_t inside;
	uint32_t state;
	uint64_t sp;
	uint64_t stack;
	uint32_t modes[2];
};

_Static_assert(offsetof(struct gate, inside) == GATE_INSIDE, "gate.S knows it");
_Static_assert(offsetof(struct gate, sp) == GATE_SP, "gate.S knows it");
_Static_assert(offsetof(struct gate, stack) == GATE_STACK, "gate.S knows it");
_Static_assert(offsetof(struct gate, modes) == GATE_MODES, "gate.S knows it");
_Static_assert(offsetof(struct gate, state) == GATE_STATE, "gate.S knows it");

/**
 * struct gate_fixed - what gates go by; a page of its own, read-only when in use
 * @outside: the key register outside
 * @denied: bits that it has inside, whichever the domain: the vault is closed
 * @vault: where struct gates are
 * @vault_size: how much that is
 * @domains: where the first of struct faasctl_domain is
 * @space: where domains are
 * @space_size: how much that is; 0 before there can be any
 * @rest: of the page
 */
struct gate_fixed {
	uint32_t outside;
	uint32_t denied;
	uint64_t vault;
	uint64_t vault_size;
	uintptr_t domains;
	uintptr_t space;
	size_t space_size;
	char rest[4096 - 48];
};

_Static_assert(offsetof(struct gate_fixed, denied) == FIXED_DENIED, "gate.S knows it");
_Static_assert(offsetof(struct gate_fixed, vault) == FIXED_VAULT, "gate.S knows it");
_Static_assert(offsetof(struct gate_fixed, vault_size) == FIXED_VAULT_SIZE, "gate.S knows it");
_Static_assert(sizeof(struct gate_fixed) == 4096, "a page");

extern struct gate_fixed gate_fixed __attribute__((visibility("hidden")));

/**
 * struct gate_left - what comes back through a gate
 * @value: what the function returned, or gate_abort() was given
 * @gate: the gate: whoever goes in need not keep it
 */
struct gate_left {
	long value;
	struct gate *gate;
};

/* Enters, calls, leaves. */
struct gate_left gate_call(struct gate *gate, long (*fn)(void *arg), void *arg);

/* What can be done outside for who is inside. */
enum service {
	SERVICE_GROW,
	SERVICE_STOP,
	SERVICE_WAIT,
	SERVICE_TRANSFER,
	SERVICE_MAP,
	SERVICE_LOADER,
};

/* Does it: goes on in gate_serve(), outside. */
long gate_monitor(enum service service, void *arg);
long gate_serve(enum service service, void *arg);

/* From outside, by a thread that was inside: gate_call() returns @result at once. */
void gate_abort(struct gate *gate, long result) __attribute__((noreturn));

/* The handler of faults: goes on in fault_handle(), outside. */
void gate_fault(int sig, void *info, void *context);
void fault_handle(int sig, void *info, void *context);

/* Behind the one system call by which it returns. */
extern const char gate_returned[] __attribute__((visibility("hidden")));

/* Sets this thread's mask of signals, outside. */
void gate_mask(const void *mask);

/* Behind the one system call by which it does. */
extern const char gate_masked[] __attribute__((visibility("hidden")));

/* Where those end that are not where they should be. */
void gate_forged(void);

/* Where WRPKRU is in here; 0 ends it. */
extern const uintptr_t gate_writes[];

static inline uint32_t gate_rdpkru(void)
{
	uint32_t value, high;

	__asm__ volatile("rdpkru" : "=a"(value), "=d"(high) : "c"(0));
	return value;
}

#endif /* __ASSEMBLER__ */
#endif /* FAASCTL_DOMAIN_GATE_H */
