/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gates: see gate.h. This file is not marked as made for shadow stacks, so that the library
 * is not: gate_abort() leaves frames behind, and could not run with them.
 */
#include <sys/syscall.h>

#include "gate.h"

/* As the kernel has them. */
#define SIG_SETMASK	2
#define SIGSET_SIZE	8

	.section .data.rel.ro.gate_writes, "aw", @progbits
	.balign	8
	.globl	gate_writes
	.hidden	gate_writes
gate_writes:

	.text

/* Writes eax; what is there then is in eax. Leaves rcx, rdx = 0, or it has no effect. */
.macro	write_keys
	xor	%ecx, %ecx
	xor	%edx, %edx
.Lwrite_\@:
	wrpkru
	.pushsection .data.rel.ro.gate_writes, "aw", @progbits
	.quad	.Lwrite_\@
	.popsection
	rdpkru
.endm

/*
 * Goes outside. What the register has to be is read again, from memory that nobody can
 * write: registers are what a jump into the middle brings along.
 */
.macro	go_outside
	mov	gate_fixed+FIXED_OUTSIDE(%rip), %eax
	write_keys
	cmp	gate_fixed+FIXED_OUTSIDE(%rip), %eax
	jne	gate_forged
.endm

/* Goes inside, with the keys in \value: the vault's must not be among them, whoever came here. */
.macro	go_inside value
	mov	\value, %eax
	write_keys
	cmp	\value, %eax
	jne	gate_forged
	and	gate_fixed+FIXED_DENIED(%rip), %eax
	cmp	gate_fixed+FIXED_DENIED(%rip), %eax
	jne	gate_forged
.endm

/* Leaves the gate that this thread is inside of in \gate, not rcx; outside. */
.macro	find_gate gate
	mov	inside@gottpoff(%rip), %rcx
	mov	%fs:(%rcx), \gate
	mov	\gate, %rcx
	sub	gate_fixed+FIXED_VAULT(%rip), %rcx
	cmp	gate_fixed+FIXED_VAULT_SIZE(%rip), %rcx
	jae	gate_forged
	cmpl	$GATE_ENTERED, GATE_STATE(\gate)
	jne	gate_forged
.endm

.macro	push_saved register
	push	%\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %\register, 0
.endm

.macro	pop_saved register
	pop	%\register
	.cfi_adjust_cfa_offset -8
	.cfi_restore %\register
.endm

	.globl	gate_call
	.hidden	gate_call
	.type	gate_call, @function
gate_call:
	.cfi_startproc
	push_saved rbp
	push_saved rbx
	push_saved r12
	push_saved r13
	push_saved r14
	push_saved r15
	/* What a function may change and its caller relies on: flags, and how is calculated. */
	pushfq
	.cfi_adjust_cfa_offset 8
	stmxcsr	GATE_MODES(%rdi)
	fnstcw	GATE_MODES+4(%rdi)
	mov	%rsp, GATE_SP(%rdi)
	mov	GATE_INSIDE(%rdi), %r8d
	/* From here on nobody is the caller: an exception that nobody catches ends here. */
	.cfi_remember_state
	.cfi_undefined %rip
	mov	GATE_STACK(%rdi), %rsp
	movl	$GATE_ENTERED, GATE_STATE(%rdi)
	mov	%rdx, %rdi
	go_inside %r8d
	/*
	 * Nothing of the outside goes in by these: rsi is the function, rdi its argument, and the others
	 * were written just now. Vector registers are left as they are.
	 */
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	call	*%rsi
	mov	%rax, %rsi
	go_outside
	find_gate %rdx
.Lleft:
	movl	$0, GATE_STATE(%rdx)
	mov	GATE_SP(%rdx), %rsp
	.cfi_restore_state
	mov	%rsi, %rax
	/* Exceptions of the x87 that are left would come at the next instruction. */
	fnclex
	ldmxcsr	GATE_MODES(%rdx)
	fldcw	GATE_MODES+4(%rdx)
	popfq
	.cfi_adjust_cfa_offset -8
	pop_saved r15
	pop_saved r14
	pop_saved r13
	pop_saved r12
	pop_saved rbx
	pop_saved rbp
	ret
	.cfi_endproc
	.size	gate_call, . - gate_call

	.globl	gate_abort
	.hidden	gate_abort
	.type	gate_abort, @function
gate_abort:
	endbr64
	mov	%rdi, %rdx
	jmp	.Lleft
	.size	gate_abort, . - gate_abort

/*
 * What is done outside is done on the stack outside: the domain's could end in the middle
 * of it, while a lock is held.
 */
	.globl	gate_monitor
	.hidden	gate_monitor
	.type	gate_monitor, @function
gate_monitor:
	.cfi_startproc
	endbr64
	push_saved rbp
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	push	%rbx
	.cfi_offset %rbx, -24
	push	%r12
	.cfi_offset %r12, -32
	push	%r13
	.cfi_offset %r13, -40
	push	%r14
	.cfi_offset %r14, -48
	push	%r15
	.cfi_offset %r15, -56
	mov	%rdi, %r12
	mov	%rsi, %r13
	go_outside
	find_gate %rbx
	/* What is called would put them on the stack outside, and a signal all of these. */
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	mov	GATE_SP(%rbx), %rsp
	and	$-16, %rsp
	cld
	mov	%r12, %rdi
	mov	%r13, %rsi
	call	gate_serve
	mov	%rax, %r12
	find_gate %rbx
	mov	GATE_INSIDE(%rbx), %r13d
	lea	-40(%rbp), %rsp
	go_inside %r13d
	mov	%r12, %rax
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	gate_monitor, . - gate_monitor

/*
 * Signals come with all keys but 0 denied, and even the thread's own data may have another.
 * The way back is the kernel's, whoever came here: to return would be to any address, with
 * all keys.
 */
	.globl	gate_fault
	.hidden	gate_fault
	.type	gate_fault, @function
gate_fault:
	endbr64
	mov	%rdx, %r12
	lea	8(%rsp), %rbx
	go_outside
	mov	%r12, %rdx
	/* The kernel has them; what is called would put them on this stack. */
	xor	%ebp, %ebp
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	and	$-16, %rsp
	call	fault_handle
	mov	%rbx, %rsp
	mov	$15, %eax
	syscall
	.globl	gate_returned
	.hidden	gate_returned
gate_returned:
	ud2
	.size	gate_fault, . - gate_fault

/*
 * Sets the mask of signals of this thread, and is the only one who can if that has a filter: who
 * came here by the way has to be outside.
 */
	.globl	gate_mask
	.hidden	gate_mask
	.type	gate_mask, @function
gate_mask:
	endbr64
	xor	%ecx, %ecx
	rdpkru
	cmp	gate_fixed+FIXED_OUTSIDE(%rip), %eax
	jne	gate_forged
	mov	%rdi, %rsi
	mov	$SIG_SETMASK, %edi
	xor	%edx, %edx
	mov	$SIGSET_SIZE, %r10d
	mov	$SYS_rt_sigprocmask, %eax
	syscall
	.globl	gate_masked
	.hidden	gate_masked
gate_masked:
	ret
	.size	gate_mask, . - gate_mask

	.globl	gate_forged
	.hidden	gate_forged
	.type	gate_forged, @function
gate_forged:
	ud2
	.size	gate_forged, . - gate_forged

	.section .data.rel.ro.gate_writes, "aw", @progbits
	.quad	0

	.section .note.GNU-stack, "", @progbits
