/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the library know of domains.
 *
 * All of struct domains is in the vault: memory with a key that no domain ever has, so it
 * can be looked at from outside only. What is needed inside is in gate_fixed, which is
 * read-only, and in struct inside, of each thread.
 *
 * domains.lock guards keys and who has them. A domain is entered by moving its state from
 * STATE_KEYED to STATE_ENTERED, which takes no lock; whoever takes a key away moves it
 * from STATE_KEYED to STATE_IDLE, under the lock. Likewise for who waits inside.
 */
#ifndef FAASCTL_DOMAIN_STATE_H
#define FAASCTL_DOMAIN_STATE_H

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <faasctl/domain.h>

#include "../libfaasctl/internal.h"
#include "gate.h"

#define PAGE_SIZE	4096ul
#define KEYS_MAX	16
#define INPUTS		32u

/* The key register with all keys but 0 denied, as handlers of signals have it. */
#define DENY_ALL	0x55555554u

/* What takes the place of a function of the C library. */
#define OVERRIDE	__attribute__((visibility("default")))

/* The C library's own. */
#define NEXT(function)							\
({									\
	static typeof(function) *next_one;				\
									\
	if (!next_one)							\
		next_one = (typeof(next_one))dlsym(RTLD_NEXT, #function);	\
	next_one;							\
})

/* The address space of domains: a slot for each, of which most is never used. */
#define SLOTS		512u
#define SLOT_SHIFT	35
#define SLOT_SIZE	(1ul << SLOT_SHIFT)

/*
 * A slot: a gap, the stack, a gap, what a thread needs besides (its TLS), a gap, the heap, what a
 * function maps. The gaps are as large as a stack's frame is likely to be.
 */
#define GAP		(1ul << 20)
#define STACK_DEFAULT	(1ul << 20)
#define STACK_LEAST	(64ul << 10)
#define STACK_MAX	(1ul << 30)
#define THREAD_SIZE	(256ul << 10)
#define HEAP_OFFSET	(4ul << 30)
#define HEAP_SIZE	(12ul << 30)
#define MAPS_OFFSET	(HEAP_OFFSET + HEAP_SIZE)
/*
 * So that what begins in there, and is shorter, is in the slot: filters cannot add, nor do they
 * look at more than the upper 32 bits. All of these are whole in 4 GiB, and the space begins at
 * such a place.
 */
#define MAPS_SIZE	((SLOT_SIZE - MAPS_OFFSET) / 2)
/* As many mappings can a domain have, which those beside each other that are alike are one of. */
#define MAPPINGS	1024u

enum state {
	STATE_NONE,		/* there is no such domain */
	STATE_IDLE,		/* without a key */
	STATE_KEYED,		/* it has a key that can be taken away */
	STATE_ENTERED,		/* somebody is inside */
	STATE_WAITS_KEYED,	/* and waits; the key can be taken away */
	STATE_WAITS_IDLE,	/* and waits, without a key */
	STATE_STOPPED,		/* it was stopped, and can only be freed */
	STATE_LOST,		/* it was freed, and its slot is not for others */
};

struct process;

/* A thread was started and not joined; it is for threads that have a filter only. */
#define HELD_STARTED	1u
#define HELD_FILTER	2u

/**
 * struct heap_use - how a thread uses a heap; of a size that is copied at once
 * @plain: how much memory, from inside.plain_from, is the allocator's as if there were no domains:
 *	what is there is freed so, and what is allocated comes from there; 0: none
 * @flags: for jemalloc, to allocate from the domain otherwise
 * @slot: the domain's
 * @shared: allocate shared memory all the same: counts
 * @in_heap: it is in the allocator, which has locks
 */
struct heap_use {
	size_t plain;
	int flags;
	unsigned short slot;
	unsigned char shared;
	bool in_heap;
};

_Static_assert(sizeof(struct heap_use) == 16, "one vector register");

/* Of struct faasctl_domain; a power of 2. */
#define DOMAIN_SIZE	1024u

/**
 * struct faasctl_domain - a domain
 * @gate: how it is entered; first, as gate.S takes the one for the other
 * @heap: what a thread gets that goes in
 * @state: enum state
 * @key: its key, while it has one
 * @name: of the stage
 * @slot: which part of the address space is its own
 * @stack_size: of its stack
 * @heap_max: of its heap
 * @heap_size: how much of its heap can be used by now
 * @heap_used: how much of that its arena has
 * @arena: jemalloc's, for its heap
 * @cache: jemalloc's thread cache for who is inside
 * @used: when it was last left, in domains.clock
 * @heap_lost: it was stopped in the middle of malloc(), with locks that nobody gives back
 * @inputs: bits: what it can read
 * @stopped: why it was stopped, or ""
 * @signal: by which signal, or 0
 * @flags: FAASCTL_DOMAIN_ bits
 * @held: HELD_ bits: why it is not for whoever calls
 * @thread: the thread that was started
 * @signal_stack: of that, for who joins it to give back
 * @has_thread_memory: its slot has memory for a thread's own data
 * @linked: which others are linked to for good: its thread ran no destructors
 * @loader: the loader, which it asked for something, keeps what came of it for a lent thread
 * @unusual: when it is left, there is more to be done than to let go of its key
 * @serving: its thread is outside, and may have locks of the library's
 * @fn: what the thread calls
 * @arg: for @fn
 * @ret: what came of it: 0 or a negative errno
 * @err: and why
 * @result: what @fn returned
 * @process: of one that is no thread, else NULL
 */
struct faasctl_domain {
	struct gate gate;
	struct heap_use heap;
	atomic_int state;
	int key;
	char name[FAASIN_NAME_MAX + 1];
	unsigned int slot;
	size_t stack_size;
	size_t heap_max;
	size_t heap_size;
	size_t heap_used;
	unsigned int arena;
	unsigned int cache;
	uint64_t used;
	bool heap_lost;
	uint32_t inputs;
	char stopped[200];
	int signal;
	uint32_t flags;
	atomic_uchar held;
	pthread_t thread;
	void *signal_stack;
	bool has_thread_memory;
	bool linked;
	bool loader;
	bool unusual;
	volatile bool serving;
	long (*fn)(void *arg);
	void *arg;
	int ret;
	struct faasctl_error err;
	long result;
	struct process *process;
} __attribute__((aligned(DOMAIN_SIZE)));

_Static_assert(sizeof(struct faasctl_domain) == DOMAIN_SIZE, "an index is a shift");
_Static_assert(!offsetof(struct faasctl_domain, gate), "gate.S knows it");

/**
 * struct faasctl_input - memory that chosen domains can read
 * @memory: where it is; NULL: there is no such input
 * @fd: what it is, for processes: it can be mapped for reading only
 * @size: how much it is
 * @key: its key; 0 if domains are processes
 * @serial: which of all inputs that there ever were
 */
struct faasctl_input {
	void *memory;
	size_t size;
	uint64_t serial;
	int fd;
	int key;
};

/**
 * struct mapping - what a function mapped: whole pages of its slot
 * @at: first byte
 * @size: how many
 * @prot: PROT_ bits
 * @plain: private memory of its own, and no file's
 *
 * These are in the vault, too: none of it can be taken for a gate's state, neither half of the
 * first two, nor the others.
 */
struct mapping {
	uintptr_t at;
	size_t size;
	int prot;
	int plain;
};

/**
 * struct mappings - what a domain's functions mapped
 * @n: how many
 * @each: by address
 */
struct mappings {
	unsigned int n;
	struct mapping each[MAPPINGS];
};

/**
 * struct broker_work - what the broker is to do: as space_protect()
 * @at: first byte
 * @size: how many
 * @prot: PROT_ bits
 * @key: the new key
 */
struct broker_work {
	uintptr_t at;
	size_t size;
	int prot;
	int key;
};

enum broker_state {
	BROKER_FREE,
	BROKER_ASKED,
	BROKER_DONE,
};

/**
 * struct broker - the thread that gives memory keys for those that cannot
 * @lock: guards all of this; taken under domains.lock, or alone
 * @changed: the state did
 * @state: enum broker_state
 * @work: what was asked for
 * @result: what came of it
 * @begun: there is one
 */
struct broker {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum broker_state state;
	struct broker_work work;
	int result;
	bool begun;
};

/**
 * struct domains - all that is known of domains
 * @lock: see above
 * @freed: a key can be had
 * @waiting: how many wait for that
 * @free_keys: bits
 * @vault_key: the key of all this
 * @all_keys: bits: all that were taken
 * @running_keys: how many keys domains can have at a time
 * @clock: counts how often a domain was left
 * @serial: counts inputs
 * @next_slot: where to look for one: not where one was given back just now, so that who
 *	frees a domain twice does not end another
 * @broker: who gives keys for filtered threads
 * @binds_late: functions may be bound when they are first called: FAASCTL_DOMAINS_LAZY
 * @info: what is told of all this
 * @old: handlers of signals that were there before
 * @domains: the domains
 * @inputs: the inputs, of which there are no more than keys
 * @mappings: of each domain; changed by who is inside, looked at by who takes its key, too
 */
struct domains {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	atomic_int waiting;
	uint32_t free_keys;
	uint32_t all_keys;
	int vault_key;
	int running_keys;
	atomic_ullong clock;
	uint64_t serial;
	unsigned int next_slot;
	struct broker broker;
	bool binds_late;
	struct faasctl_domains_info info;
	struct sigaction old[32];
	struct faasctl_domain domains[SLOTS];
	struct faasctl_input inputs[INPUTS];
	struct mappings mappings[SLOTS];
};

/* Nobody else has what follows: it is taken from where it is, and not by a table. */
#pragma GCC visibility push(hidden)

extern struct domains *domains;

/**
 * struct inside - where this thread is; its own
 * @domain: the domain that it is inside of, or NULL: outside; first, as gate.S looks there
 * @heap: how it uses that domain's heap
 * @plain_from: where memory begins that is the allocator's, see struct heap_use
 * @plain_outside: as heap.plain, when it comes to be outside
 * @own_cache: its cache in the allocator is its domain's, and not for what is outside
 * @locks: how many of the allocator's it has, or is about to have
 * @stop: it is to be stopped when it has none of these
 * @damaged: the allocator ends it, with whatever locks it has
 * @stack_from: where it is known to have enough of a stack for the allocator, of one with own_cache
 * @stack_room: and how far up from there
 * @looked: where it was last seen that there is a stack of as much
 * @ready: as many code_changes there were when it had all data that it needs inside, and a stack
 *	for signals, and all code was looked through; 0: it was not inside yet
 * @loads: it has called dlopen(), and not come by since: that may not be done when others look
 * @own_thread: this thread is the domain's: faasctl_domain_start()
 * @filtered: and has a filter: it gives no keys by itself, and cannot return from handlers
 */
struct inside {
	struct faasctl_domain *domain;
	struct heap_use heap;
	uintptr_t plain_from;
	size_t plain_outside;
	bool own_cache;
	unsigned int locks;
	volatile bool stop;
	bool damaged;
	uintptr_t stack_from;
	size_t stack_room;
	uintptr_t looked;
	unsigned int ready;
	bool loads;
	bool own_thread;
	bool filtered;
};

_Static_assert(!offsetof(struct inside, domain), "gate.S knows it");

extern __thread struct inside inside
	__attribute__((tls_model("initial-exec")));

/* What is done outside for a domain is the library's doing. */
static inline bool is_inside(void)
{
	return inside.domain && gate_rdpkru() != gate_fixed.outside;
}

/* In a process that is a domain: the socket to where it came from, else -1. */
extern int process_home;

static inline bool process_child(void)
{
	return process_home >= 0;
}

/* Where the shared heap is; 0: there is none yet. */
extern uintptr_t shared_base;

/* It is there, and another process's to give and to take back. */
extern bool shared_elsewhere;

/* Processes share it, too. */
#define SHARED_SIZE	(1ul << 36)

static inline bool shared_is(const void *p)
{
	return shared_base && (uintptr_t)p - shared_base < SHARED_SIZE;
}

static inline uintptr_t slot_base(unsigned int slot)
{
	return gate_fixed.space + ((uintptr_t)slot << SLOT_SHIFT);
}

static inline uintptr_t stack_base(const struct faasctl_domain *domain)
{
	return slot_base(domain->slot) + GAP;
}

static inline uintptr_t thread_base(const struct faasctl_domain *domain)
{
	return stack_base(domain) + domain->stack_size + GAP;
}

static inline uintptr_t heap_base(unsigned int slot)
{
	return slot_base(slot) + HEAP_OFFSET;
}

static inline uintptr_t maps_base(unsigned int slot)
{
	return slot_base(slot) + MAPS_OFFSET;
}

/* Whether @p is in a domain's memory, and then which slot. */
static inline bool in_slot(const void *p, unsigned int *slot)
{
	uintptr_t at = (uintptr_t)p - gate_fixed.space;

	if (at >= gate_fixed.space_size)
		return false;
	*slot = at >> SLOT_SHIFT;
	return true;
}

/* keys.c */
int keys_begin(const struct faasctl_domains_options *options);
int key_get(struct faasctl_domain *domain, int from);
void key_offer(void);
void key_drop(struct faasctl_domain *domain);
void keys_end(void);
int key_take(void);
void key_return(int key);
void key_lose(void);
void gate_keys(struct faasctl_domain *domain);

/* The domain was left, for good or to wait: from here on its key can be taken away. */
static inline void key_let_go(struct faasctl_domain *domain, int state)
{
	struct domains *all = domains;

	domain->used = atomic_fetch_add_explicit(&all->clock, 1, memory_order_relaxed);
	/* Before the look at who waits: who begins to after it sees the state. */
	atomic_store(&domain->state, state);
	if (__builtin_expect(atomic_load(&all->waiting), 0))
		key_offer();
}

/* space.c */
int space_begin(void);
int space_tag(struct faasctl_domain *domain, int key);
int space_stack(struct faasctl_domain *domain);
int space_thread(struct faasctl_domain *domain);
bool space_grow(struct faasctl_domain *domain, size_t size);
int space_protect(uintptr_t at, size_t size, int prot, int key);
int space_reserve(uintptr_t at, size_t size);
int space_drop(struct faasctl_domain *domain, bool *kept);
void space_forget(void);
void space_child(void);
void space_end(void);

/* domains.c */
int outside_only(struct faasctl_error *err);

/* domain.c */
int check_domain(const struct faasctl_domain *domain, struct faasctl_error *err);
int busy(const struct faasctl_domain *domain, struct faasctl_error *err);
int stopped(const struct faasctl_domain *domain, struct faasctl_error *err);

/**
 * struct heap_plain - what is the allocator's as if there were no domains, of who is outside
 * @from: where it begins: behind the slots and the shared heap
 * @size: how much it is, round to where these begin; 0: nobody looks, as there are no domains
 */
struct heap_plain {
	uintptr_t from;
	size_t size;
};

extern struct heap_plain heap_outside;

/* Until heap_unshare(), what this thread allocates is for all. */
static inline size_t heap_share(void)
{
	size_t plain = inside.heap.plain;

	inside.heap.shared++;
	inside.heap.plain = 0;
	return plain;
}

/* @plain: what heap_share() returned */
static inline void heap_unshare(size_t plain)
{
	inside.heap.shared--;
	inside.heap.plain = plain;
}

/* heap.c */
int heap_new(struct faasctl_domain *domain);
void heap_free(struct faasctl_domain *domain);
void *heap_cache(const struct faasctl_domain *domain);
long heap_flush(void *cache);
long heap_grow(void *arg);
void heap_thread_begin(void);
void heap_thread_ready(void);
void heap_bind(struct faasctl_domain *domain);
size_t heap_plain_inside(void);
int heap_begin(void);
void heap_ready(void);
void heap_forget(void);
void heap_child(void);
void *shared_alloc(size_t size);

/* More than the allocator takes of a stack: four pages, which malloc.c counts. */
#define STACK_NEEDED	(4 * PAGE_SIZE)

/* And what comes after the first lock of an operation may begin that much deeper than that. */
#define STACK_LOOKED	(STACK_NEEDED + PAGE_SIZE)

/* allocator.c */
bool allocator_has(const struct faasctl_domain *domain, int sig, const siginfo_t *info,
		   uintptr_t at);

/* mapping.c */
int mapping_tag(const struct faasctl_domain *domain, int key);
int mapping_drop(const struct faasctl_domain *domain);
long map_outside(void *arg);

/* wait.c */
bool is_domain(void);
long wait_outside(void *arg);
long transfer_outside(void *arg);

/* fault.c */
extern const int fault_signals[];
#define FAULT_SIGNALS	7
int fault_begin(struct faasctl_error *err);
void fault_end(void);
void fault_reset(void);
int fault_thread_begin(void);
void *fault_thread_stack(void);
void fault_stack_free(void *stack);
bool fault_is(int sig);
long fault_stop(void *arg);
void fault_serving(struct faasctl_domain *domain, bool serving);
void domain_stop(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void domain_exit(long result) __attribute__((noreturn));

/* broker.c */
int broker_begin(void);
int broker_protect(uintptr_t at, size_t size, int prot, int key);

/* proc.c */
void proc_look(char *why, size_t size);
int proc_close(void);

/* filter.c */
void filter_look(char *why, size_t size);
int filter_thread(unsigned int slot);
int filter_process(void);
extern bool filtered_process;

/* bind.c */
int bind_all(struct faasctl_error *err);

/* disarm.c */
extern atomic_uint code_changes;
void code_changed(void);
void code_loading(void);
void code_loaded(void);
bool code_is_known(unsigned int changes);
int code_check(struct faasctl_error *err);
int code_look(struct faasctl_error *err);
int code_begin(struct faasctl_error *err);
bool is_loader(uintptr_t address);
bool disarmed(const void *address);
bool is_disarmed(void);

/* signals.c */
void signals_begin(void);
void signals_thread_begin(void);
int kernel_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

/* process.c */
int process_new(struct faasctl_domain *domain, enum faasctl_isolation isolation,
		struct faasctl_error *err);
int process_call(struct faasctl_domain *domain, long (*fn)(void *arg),
		 void *arg, long *result, struct faasctl_error *err);
void process_free(struct faasctl_domain *domain);
void *process_shared_alloc(size_t size);
void process_shared_free(void *memory);
size_t process_shared_size(const void *memory);
bool process_is_serving(void);
int process_leave_files(void);
void processes_lock(void);
void processes_unlock(void);
bool processes_leave(void);
bool process_is_made(void);
struct process *process_aside(struct process *made);
void process_forget(struct faasctl_domain *domain);
void process_exit(long result) __attribute__((noreturn));

/* children.c */
extern bool is_child;
int child_check(struct faasctl_error *err);

/* confine.c */
int confine(int socket, int life);

/* As C++ knows them: the C library's, and which library it is that calls. */
__attribute__((visibility("default")))
int __cxa_thread_atexit_impl(void (*fn)(void *object), void *object, void *library);
extern void *__dso_handle;

/* destructors.c */
void destructors_begin(struct faasctl_domain *domain);
void destructors_run(void);

/* libc.c */
extern pid_t home;
void libc_begin(void);
void libc_thread_begin(void);
long loader_note(void *arg);
void loader_forget(void);

#pragma GCC visibility pop

#endif /* FAASCTL_DOMAIN_STATE_H */
