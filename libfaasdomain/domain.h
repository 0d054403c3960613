/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libfaasdomain: stages as threads of one process, kept apart by protection keys.
 *
 * A library of its own beside libfaasctl, because it brings an allocator. Errors are
 * as in faasctl.h: 0 or a negative errno, and one line of text in a struct
 * faasctl_error, which may be NULL.
 *
 * docs/domains.md says what is protected from whom, and what is not.
 */
#ifndef FAASCTL_DOMAIN_H
#define FAASCTL_DOMAIN_H

#include <stddef.h>
#include <stdint.h>

#include <faasctl.h>
#include <faasctl/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ scanning */

/**
 * enum faasctl_scan_kind - what code may not have that shares a process
 * @FAASCTL_SCAN_WRPKRU: the bytes of WRPKRU, which writes the key register
 * @FAASCTL_SCAN_XRSTOR: those of XRSTOR, which can
 * @FAASCTL_SCAN_WRITABLE: code that is writable, too
 * @FAASCTL_SCAN_TEXTREL: relocations in code: what it will be is not known yet
 * @FAASCTL_SCAN_EXECSTACK: it asks for stacks that can be executed
 */
enum faasctl_scan_kind {
	FAASCTL_SCAN_WRPKRU,
	FAASCTL_SCAN_XRSTOR,
	FAASCTL_SCAN_WRITABLE,
	FAASCTL_SCAN_TEXTREL,
	FAASCTL_SCAN_EXECSTACK,
};

/**
 * struct faasctl_scan_hit - a finding
 * @kind: what was found
 * @address: where it is in memory, or would be if the file was mapped at 0
 * @offset: where it is in the file; of several pieces, where it begins
 * @path: the file; of a process, what the mapping is called, or ""
 */
struct faasctl_scan_hit {
	enum faasctl_scan_kind kind;
	uint64_t address;
	uint64_t offset;
	const char *path;
};

/* What is called for each finding; not 0: scanning ends and returns that. */
typedef int (*faasctl_scan_fn)(const struct faasctl_scan_hit *hit, void *arg);

/**
 * faasctl_scan_name - the word for a kind of finding
 * @kind: an enum faasctl_scan_kind
 *
 * Return: a word, "unknown" for a number that is none.
 */
const char *faasctl_scan_name(uint32_t kind);

/**
 * faasctl_scan_memory - look through an ELF file that is in memory
 * @image: the file
 * @size: its size
 * @path: what to call it
 * @fn: is called for each finding
 * @arg: for @fn
 * @err: why it failed, or NULL
 *
 * All that executable segments bring into memory is looked at, at any offset, to the
 * ends of the pages that they touch, and across the border of two that meet.
 *
 * Return: 0, what @fn returned, or
 *   -ENOEXEC   it is no ELF file, for another machine, neither a program nor
 *              a shared object, or cut short
 *   -ENOMEM    no memory
 */
int faasctl_scan_memory(const void *image, size_t size, const char *path,
			faasctl_scan_fn fn, void *arg, struct faasctl_error *err);

/**
 * faasctl_scan_file - look through an ELF file
 * @path: the file
 * @fn: is called for each finding
 * @arg: for @fn
 * @err: why it failed, or NULL
 *
 * Return: as faasctl_scan_memory(), or
 *   -EFBIG     it is larger than 2 GiB
 *   -EINVAL    it is not a regular file
 *   and the errors of open(2) and read(2).
 */
int faasctl_scan_file(const char *path, faasctl_scan_fn fn, void *arg,
		      struct faasctl_error *err);

/**
 * faasctl_scan_process - look through all that this process can execute
 * @fn: is called for each finding
 * @arg: for @fn
 * @err: why it failed, or NULL
 *
 * Every executable mapping, the loader's, libc's and the kernel's (vdso) too.
 * [vsyscall] is left out: it cannot be read, and the kernel does not execute it.
 *
 * Return: 0, what @fn returned, or
 *   -EACCES    something can be executed and not read
 *   -EAGAIN    another thread unmapped some of it meanwhile
 *   -EBADMSG   /proc/self/maps is not what it should be
 *   -ENOMEM    no memory
 *   and the errors of open(2) and read(2).
 */
int faasctl_scan_process(faasctl_scan_fn fn, void *arg,
			 struct faasctl_error *err);

/* ------------------------------------------------------------------ functions */

/**
 * struct faasctl_function - a function that was loaded
 * @main: its entry, to be called inside a domain
 * @handle: what dlopen(3) gave
 */
struct faasctl_function {
	int (*main)(struct faas_io *io);
	void *handle;
};

/**
 * faasctl_function_load - load a function
 * @path: a shared object, with a slash: it is looked for nowhere
 * @function: receives it
 * @err: why it failed, or NULL
 *
 * Its file is looked through first, and it is loaded in another process before it is
 * loaded here: a constructor that crashes or ends the process does so there. So constructors
 * run twice; one that does not end is waited for. Then all code of the process is looked
 * through again, whatever came with it included. That constructors crash here and not
 * there, or do worse, is not prevented: they run outside of all domains.
 *
 * Return: 0, or
 *   -EINVAL    the path has no slash
 *   -ENOEXEC   it is no function for this machine, it has no function faas_main, or
 *              it has code that could undo keys
 *   -ELIBBAD   it cannot be loaded; the text is the loader's
 *   -EFAULT    a constructor crashes, or ends the process
 *   -ENOENT    there is no such file
 *   -EPERM     called from inside a domain, or before faasctl_domains_begin()
 *   and the errors of faasctl_scan_file(), pipe(2) and fork(2).
 */
int faasctl_function_load(const char *path, struct faasctl_function *function,
			  struct faasctl_error *err);

/**
 * faasctl_function_unload - forget a function
 * @function: the function; nobody may be inside it
 */
void faasctl_function_unload(struct faasctl_function *function);

/* ------------------------------------------------------------------- domains */

/*
 * A domain is a stage's part of a process: a heap, a stack, a key. A thread goes in by
 * faasctl_domain_call(), or is made for it by faasctl_domain_start(). While it is inside
 *   - it can use memory of its domain, what was allocated outside of all domains or
 *     with faasctl_shared_alloc(), and inputs that it was given, these for reading;
 *     whatever else it touches stops it: the call fails with -EFAULT, others go on;
 *   - malloc(), new and their kin, and mmap(), give it memory of its domain; munmap(), mprotect(),
 *     madvise() and mremap() change what it has of mmap(), and nothing else;
 *   - a stack that it makes itself, of coroutines, say, is to end with a page that cannot be
 *     touched (PROT_NONE): an overflow stops it there, in the middle of malloc(), too. It is to
 *     have 20 KiB to spare where it calls malloc() and its kin: less is such an overflow;
 *   - exit() and its kin, and pthread_exit(), end the function, as if it had returned;
 *   - destructors of its thread's own objects (C++'s thread_local) are run when the function of
 *     faasctl_domain_start() ends by itself, inside; else never, nor those of values of
 *     pthread_setspecific(3). What atexit(3) and pthread_atfork(3) were told is done outside;
 *   - it can make no threads or processes but by posix_spawn() and popen(), load no
 *     libraries, set no signal handlers, and change no signal mask, user or group.
 * When a domain ends its heap, its stacks and its mappings are gone: nobody sees them again.
 *
 * The processor has 14 keys for domains and inputs. More domains than that can exist: those
 * that nobody is inside of give theirs up. If all are in use, who wants in waits. Who waits
 * inside, by faasctl_domain_wait(), read(2), write(2), or poll(2) of up to 64 files, holds no
 * key. Who blocks in another way keeps it: stages that wait for each other so, can wait for
 * ever if there are more of them than keys.
 *
 * Without keys, or if asked to, each domain is a process of its own, and the same calls
 * work: see faasctl_domains_begin().
 */
struct faasctl_domain;
struct faasctl_input;

/**
 * enum faasctl_isolation - whom a domain is protected from
 * @FAASCTL_CAREFUL: functions with bugs, or curious ones: they follow any pointer, and
 *	do not write the key register
 * @FAASCTL_HOSTILE: functions that execute whatever they like: no thread, but a process, without
 *	capabilities, with a filter of system calls, and without files below /proc, as with
 *	FAASCTL_DOMAIN_FILTER. It takes the same of the kernel
 */
enum faasctl_isolation {
	FAASCTL_CAREFUL,
	FAASCTL_HOSTILE,
};

/* Bits of faasctl_domains_options.flags. */
#define FAASCTL_DOMAINS_PROCESSES	1u	/* no threads, even with keys */
/*
 * Functions that are to be bound when they are first called are left so. Then code of the loader is
 * left, too, by which a function that jumps there gives itself any key: faasctl_domains_info.left.
 */
#define FAASCTL_DOMAINS_LAZY		2u

/**
 * struct faasctl_domains_options - how all domains are to be
 * @flags: FAASCTL_DOMAINS_ bits
 * @keys: how many keys domains and inputs may have; 0: all there are
 */
struct faasctl_domains_options {
	uint32_t flags;
	uint32_t keys;
};

/**
 * struct faasctl_domains_info - how all domains are
 * @threads: 1: domains are threads; 0: processes
 * @keys: how many keys domains and inputs share
 * @domains: how many domains there are
 * @evictions: how often one gave up its key for another
 * @waits: how often somebody waited for a key
 * @disarmed: instructions of system libraries that could write the key register and
 *	were made to trap
 * @left: those that were not; 0, but with FAASCTL_DOMAINS_LAZY
 * @filters: 1: this kernel has what FAASCTL_DOMAIN_FILTER and FAASCTL_HOSTILE take
 * @why: why they are processes, or ""
 * @unfiltered: why they can have no filter, nor be hostile, or ""
 */
struct faasctl_domains_info {
	uint32_t threads;
	uint32_t keys;
	uint32_t domains;
	uint64_t evictions;
	uint64_t waits;
	uint32_t disarmed;
	uint32_t left;
	uint32_t filters;
	char why[120];
	char unfiltered[120];
};

/**
 * faasctl_domains_begin - make this process one that has domains
 * @options: how, or NULL
 * @err: why it failed, or NULL
 *
 * To be called once, before there are other threads. Of all that is loaded those functions are
 * bound that would be when they are first called; one that is nowhere is an error. Then all code
 * of the process is looked through for instructions that write the key register. Those that
 * system libraries have (glibc's pkey_set(), lazy binding of the loader's) are made to trap; any
 * other is an error. What the process gets later is looked through before the next one goes into
 * a domain that is a thread, or one is made: if this finds something, that fails, until it is
 * gone. So it is for libraries that the host loads, and for what it makes executable by mmap(2),
 * mprotect(2), pkey_mprotect(2) and shmat(2); for what libc loads by itself, when a domain is
 * made or started next; not for what is mapped by system calls past the C library, what
 * mremap(2) makes larger, and what is written to a file of which code is mapped. Who is inside
 * meanwhile is not held off it.
 *
 * Signals SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT and SIGPIPE get handlers;
 * of what happened outside of all domains, those are told that the program set, before or
 * later. SIGABRT that a thread of this process sends to one that is inside (pthread_kill(3)) is
 * taken for abort(3), and stops the function; if that has locks of the allocator's, or the
 * library is at work for it, when that is done. Who ignores SIGPIPE does so for functions,
 * too. All handlers run on a stack of their own (SA_ONSTACK) if a thread goes into domains, and
 * see no domain's memory then. Threads of faasctl_domain_start() get no other signals. One of
 * these that is sent to the process (kill(2)) is given to any thread: if that is inside, and what
 * it sends would stop a function, it stops that one, and the process lives.
 *
 * A child of fork(3), and of what calls that (daemon(3), forkpty(3)), has its parent's domains
 * with these differences, whatever other threads were doing at that moment:
 *   - of a domain that is a process it has none: if it calls it, it makes its own. Nobody is
 *     inside, and nothing is started there;
 *   - a domain that is a thread is not there: calls fail with EPERM, and new ones cannot be made;
 *   - shared memory that was there can be read and written by both. Only the parent allocates
 *     and frees it: faasctl_shared_alloc() fails with ENOMEM, for functions in its domains, too,
 *     and freeing does nothing;
 *   - inputs that were there can be read, and not be written.
 * A child that a handler of a signal makes, or a thread without keys, if there are any, can do
 * nothing with domains: EPERM; on a thread beside which glibc has one of a domain's, it may even
 * crash in fork(3). Handlers of pthread_atfork(3) that were registered after this library was
 * loaded can go into domains that are processes, and make others; but when the library itself makes
 * a process they are run, too, and all that fails with EPERM there. What makes children in other
 * ways (clone(2), _Fork(3), vfork(2)) must do nothing with domains there.
 *
 * Return: 0, or
 *   -EALREADY  it was called before
 *   -EINVAL    unknown flags
 *   -ENOEXEC   code that writes the key register, or that can be written; or functions that
 *              cannot be bound yet
 *   -ENOMEM    no address space, or no memory
 *   and the errors of sigaction(2), pipe(2) and faasctl_scan_process().
 */
int faasctl_domains_begin(const struct faasctl_domains_options *options,
			  struct faasctl_error *err);

/**
 * faasctl_domains_info - tell how domains are
 * @info: receives it; all zeroes before faasctl_domains_begin(), and where other calls would
 *	fail with EPERM. In a child of fork(3) it is the parent's
 */
void faasctl_domains_info(struct faasctl_domains_info *info);

/*
 * Bits of faasctl_domain_options.flags.
 *
 * FAASCTL_DOMAIN_FILTER: what it runs has, for good,
 *   - a filter of system calls: those by which it could get at memory past its keys, change
 *     memory that it did not map, start threads or programs, or do something to the whole
 *     process, fail with EPERM, and those that the library does not know, with ENOSYS;
 *   - no files below /proc: opening them fails with EACCES, or, if this process can change
 *     mounts, with ENOENT. Files in directories that come to be in the root later are closed,
 *     too;
 *   - a table of descriptors of its own, with what was open when it was started, but for the
 *     library's, and a working directory of its own. What is closed elsewhere since then is open
 *     in there until it ends, so whoever reads from a pipe hears of no end before;
 *   - none of the capabilities CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_RAWIO, CAP_SYS_MODULE,
 *     CAP_SYS_BOOT, CAP_PERFMON, CAP_BPF, CAP_CHECKPOINT_RESTORE and CAP_SYS_TTY_CONFIG.
 * Files cannot be moved or linked to other directories with the first version of Landlock (5.13
 * to 5.18), nor to or from the root itself with any: EXDEV.
 * It has to be started: a call on a thread that is somebody else's fails. A signal that is sent
 * to its thread stops it. Each call that moves a key is made by another thread of the
 * library's. Of a domain that is a process, because there are no keys, descriptors and memory
 * are its own as they are. One that is hostile has a filter anyway.
 */
#define FAASCTL_DOMAIN_FILTER	1u

/**
 * struct faasctl_domain_options - how a domain is to be
 * @isolation: whom it is protected from
 * @heap_max: bytes of heap that it can have; 0: as many as there is room for; of a
 *	domain that is a process no limit is set
 * @stack_size: of its stack, 64 KiB at least; 0: 1 MiB; of a process that of the thread that
 *	made it
 * @flags: FAASCTL_DOMAIN_ bits
 */
struct faasctl_domain_options {
	enum faasctl_isolation isolation;
	size_t heap_max;
	size_t stack_size;
	uint32_t flags;
};

/**
 * faasctl_domain_new - make a domain
 * @name: what to call it in errors: a stage's name
 * @options: how it is to be, or NULL
 * @domain: receives it; NULL on failure
 * @err: why it failed, or NULL
 *
 * The first one that is hostile makes this process one that leaves no core dump, and that no
 * other process of its user can trace (PR_SET_DUMPABLE). A domain that is a process always is.
 *
 * Return: 0, or
 *   -EINVAL    the name cannot be a stage's, or an option is out of range
 *   -EPERM     called from inside a domain, or before faasctl_domains_begin()
 *   -EOPNOTSUPP a filter is asked for, or it is hostile, and this kernel has not what that takes
 *   -ENOSPC    there are as many domains as there can be: 512, less those that were stopped in
 *              malloc(3), or on threads of their own by a signal that was sent, or whose thread
 *              was ended by a system call: their places are not given again
 *   -ENOEXEC   as faasctl_domain_call()
 *   -ENOMEM    no memory
 *   and those of faasctl_scan_process().
 */
int faasctl_domain_new(const char *name,
		       const struct faasctl_domain_options *options,
		       struct faasctl_domain **domain, struct faasctl_error *err);

/**
 * faasctl_domain_is_thread - how a domain runs
 * @domain: the domain
 *
 * To be called outside.
 *
 * Return: 1 if what it runs is in this process, 0 if it is in one of its own.
 */
int faasctl_domain_is_thread(const struct faasctl_domain *domain);

/**
 * faasctl_domain_signal - the signal that stopped a domain
 * @domain: the domain
 *
 * To be called outside, after a call failed with -EFAULT or faasctl_domain_join() did. It is the
 * one that would have killed a process: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGPIPE or
 * SIGABRT, this one also for freeing what is another domain's; of a domain that is a process,
 * whichever killed it.
 *
 * Return: the signal, or 0: it was not stopped, or its process ended without one, or did not begin.
 */
int faasctl_domain_signal(const struct faasctl_domain *domain);

/**
 * faasctl_domain_call - go into a domain, call a function there, and come back
 * @domain: the domain
 * @fn: the function; it runs on the domain's stack
 * @arg: for @fn; what it points to must be shared, or an input
 * @result: receives what @fn returned, or NULL
 * @err: why it failed, or NULL
 *
 * If the domain has its key still, this makes no system call. Otherwise it is given
 * one, for which it may have to wait. If the domain is a process, the function must
 * have been loaded before the first call, and @fn sees what was outside then. What it
 * printed is written when this returns; what a thread printed is in the buffers of all.
 *
 * Return: 0, or
 *   -EBUSY     somebody is inside, or waits to be, or was started and not joined
 *   -EINVAL    it is no domain: it was freed before
 *   -EFAULT    @fn was stopped: it touched what is not its own, or crashed; the text
 *              says how. The domain can only be freed now
 *   -EPERM     called from inside a domain; or what it runs is to have a filter, so it has
 *              to be started
 *   -ENOEXEC   the process has code by now that writes the key register, or that can be written:
 *              see faasctl_domains_begin(). Nothing ran
 *   -ENOMEM    no memory
 *   and those of faasctl_scan_process(); for the first call of one that is a process, the
 *   errors of socketpair(2), pipe(2) and fork(2), and, if it is to have a filter or is hostile,
 *   of what that takes: then nothing ran, and the next call tries again.
 */
int faasctl_domain_call(struct faasctl_domain *domain, long (*fn)(void *arg),
			void *arg, long *result, struct faasctl_error *err);

/**
 * faasctl_domain_start - call a function in a domain, on a thread of its own
 * @domain: the domain
 * @fn: the function
 * @arg: for @fn, as in faasctl_domain_call()
 * @err: why it failed, or NULL
 *
 * The thread's own data (TLS) belongs to the domain, too.
 *
 * Return: 0, or
 *   -EBUSY     somebody is inside, or was started and not joined
 *   -EFAULT    the domain was stopped before
 *   -EINVAL    it is no domain: it was freed before
 *   -EPERM     called from inside a domain
 *   -ENOEXEC   as faasctl_domain_call()
 *   -EAGAIN    no more threads
 *   -ENOMEM    no memory
 *   and those of faasctl_scan_process().
 */
int faasctl_domain_start(struct faasctl_domain *domain, long (*fn)(void *arg),
			 void *arg, struct faasctl_error *err);

/**
 * faasctl_domain_join - wait for what was started
 * @domain: the domain
 * @result: receives what the function returned, or NULL
 * @err: why it failed, or NULL
 *
 * Return: as faasctl_domain_call(), or
 *   -ESRCH     nothing was started
 *   -EOPNOTSUPP it is to have a filter, or is hostile, and another /proc was mounted since
 *              domains began
 *   and, if a filter cannot be made, the errors of what that takes.
 */
int faasctl_domain_join(struct faasctl_domain *domain, long *result,
			struct faasctl_error *err);

/**
 * faasctl_domain_wait - wait for a file from inside, without holding a key
 * @fd: the file
 * @events: what to wait for, as poll(2)
 * @timeout: in milliseconds; -1: none
 *
 * Others can have the key meanwhile.
 *
 * Return: what happened, as poll(2) tells it (POLLIN, POLLHUP, POLLNVAL...), 0 if nothing did
 * in time, or a negative errno.
 */
int faasctl_domain_wait(int fd, short events, int timeout);

/**
 * faasctl_domain_free - end a domain
 * @domain: the domain, or NULL
 * @err: why it failed, or NULL
 *
 * Its memory is given back; whoever gets it finds zeroes.
 *
 * Return: 0, or
 *   -EBUSY     somebody is inside, or was started and not joined
 *   -EINVAL    it is no domain: it was freed before
 *   -EPERM     called from inside a domain
 */
int faasctl_domain_free(struct faasctl_domain *domain, struct faasctl_error *err);

/**
 * faasctl_shared_alloc - allocate memory that all domains can use
 * @size: how much
 *
 * Zeroed. To be freed with faasctl_shared_free(), by anyone but children of fork(3).
 *
 * Return: the memory, or NULL and errno is ENOMEM: there is none, or this is such a child, see
 * faasctl_domains_begin().
 */
void *faasctl_shared_alloc(size_t size);

/**
 * faasctl_shared_free - free such memory
 * @memory: the memory, or NULL
 */
void faasctl_shared_free(void *memory);

/**
 * faasctl_input_new - memory that chosen domains can read
 * @size: how much
 * @input: receives the handle; NULL on failure
 * @err: why it failed, or NULL
 *
 * It has a key of its own, which domains that run have to do without. Outside it can
 * be written.
 *
 * Return: 0, or
 *   -EINVAL    the size is 0 or too large
 *   -EPERM     called from inside a domain, or before faasctl_domains_begin()
 *   -ENOSPC    there is no key to spare: domains need one at least
 *   -ENOMEM    no memory
 */
int faasctl_input_new(size_t size, struct faasctl_input **input,
		      struct faasctl_error *err);

/**
 * faasctl_input_data - where an input is
 * @input: the input
 *
 * To be called outside.
 *
 * Return: its first byte.
 */
void *faasctl_input_data(struct faasctl_input *input);

/**
 * faasctl_input_share - let a domain read an input
 * @input: the input
 * @domain: the domain
 * @err: why it failed, or NULL
 *
 * It holds from the next time that the domain is entered.
 *
 * Return: 0, or
 *   -EBUSY     somebody is inside the domain
 *   -EINVAL    it was freed before, the input or the domain
 *   -EPERM     called from inside a domain
 */
int faasctl_input_share(struct faasctl_input *input,
			struct faasctl_domain *domain, struct faasctl_error *err);

/**
 * faasctl_input_free - end an input
 * @input: the input, or NULL
 * @err: why it failed, or NULL
 *
 * Return: 0, or
 *   -EBUSY     somebody is inside a domain that can read it; then all can still
 *   -EINVAL    it is no input: it was freed before
 *   -EPERM     called from inside a domain
 */
int faasctl_input_free(struct faasctl_input *input, struct faasctl_error *err);

#ifdef __cplusplus
}
#endif

#endif /* FAASCTL_DOMAIN_H */
