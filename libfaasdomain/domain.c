// SPDX-License-Identifier: LGPL-2.1-or-later
/* A domain: its life, and who goes in. */
#include <stdio.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "state.h"

/* ----------------------------------------------------------------- a domain's life */

static int check_options(const char *name, const struct faasctl_domain_options *options,
			 struct faasctl_error *err)
{
	if (options->isolation > FAASCTL_HOSTILE)
		return faasctl__fail(err, EINVAL, "unknown isolation %u", options->isolation);
	if (options->flags & ~FAASCTL_DOMAIN_FILTER)
		return faasctl__fail(err, EINVAL, "unknown flags 0x%x", options->flags);
	if (options->flags && !domains->info.filters)
		return faasctl__fail(err, EOPNOTSUPP, "stage %s cannot have a filter: %s", name,
				     domains->info.unfiltered);
	if (options->isolation == FAASCTL_HOSTILE && !domains->info.filters)
		return faasctl__fail(err, EOPNOTSUPP, "stage %s cannot be confined: %s", name,
				     domains->info.unfiltered);
	if (options->stack_size > STACK_MAX ||
	    (options->stack_size && options->stack_size < STACK_LEAST))
		return faasctl__fail(err, EINVAL, "a stack of %zu bytes is outside %lu to %lu",
				     options->stack_size, STACK_LEAST, STACK_MAX);
	return 0;
}

/* A slot that is nobody's, or NULL. The lock is held. */
static struct faasctl_domain *find_slot(void)
{
	unsigned int i, slot;

	for (i = 0; i < SLOTS; i++) {
		slot = (domains->next_slot + i) % SLOTS;
		if (atomic_load(&domains->domains[slot].state) != STATE_NONE)
			continue;
		domains->next_slot = slot + 1;
		return &domains->domains[slot];
	}
	return NULL;
}

static int set_up(struct faasctl_domain *domain,
		  const struct faasctl_domain_options *options,
		  struct faasctl_error *err)
{
	bool kept;

	domain->stack_size = options->stack_size ? options->stack_size : STACK_DEFAULT;
	domain->stack_size = (domain->stack_size + PAGE_SIZE - 1) & -PAGE_SIZE;
	domain->heap_max = options->heap_max ? options->heap_max : HEAP_SIZE;
	if (domain->heap_max > HEAP_SIZE)
		domain->heap_max = HEAP_SIZE;
	domain->heap_max = (domain->heap_max + PAGE_SIZE - 1) & -PAGE_SIZE;
	if (!domains->info.threads || options->isolation == FAASCTL_HOSTILE)
		return process_new(domain, options->isolation, err);
	if (is_child)
		return faasctl__fail(err, EPERM, "stage %s is to be a thread: it cannot be in a child of the process that has domains",
				     domain->name);
	if (space_stack(domain) || heap_new(domain)) {
		space_drop(domain, &kept);
		return faasctl__fail(err, ENOMEM, "no memory for stage %s", domain->name);
	}
	if (domain->flags & FAASCTL_DOMAIN_FILTER)
		domain->held = HELD_FILTER;
	return 0;
}

FAASCTL_API int faasctl_domain_new(const char *name,
				   const struct faasctl_domain_options *options,
				   struct faasctl_domain **domain,
				   struct faasctl_error *err)
{
	static const struct faasctl_domain_options none;
	struct faasctl_domain *new;
	int ret;

	*domain = NULL;
	if (!options)
		options = &none;
	ret = outside_only(err);
	if (!ret)
		ret = faasctl_name_check("stage", name, err);
	if (!ret)
		ret = check_options(name, options, err);
	if (!ret && domains->info.threads && options->isolation != FAASCTL_HOSTILE && !is_child)
		ret = code_look(err);
	if (ret)
		return ret;
	pthread_mutex_lock(&domains->lock);
	new = find_slot();
	if (!new) {
		ret = faasctl__fail(err, ENOSPC, "stage %s: there are %u domains, which is the most",
				    name, SLOTS);
		goto unlock;
	}
	memset(new, 0, sizeof(*new));
	new->slot = new - domains->domains;
	strcpy(new->name, name);
	new->flags = options->flags;
	ret = set_up(new, options, err);
	if (!ret) {
		domains->info.domains++;
		atomic_store(&new->state, STATE_IDLE);
		*domain = new;
	}
unlock:
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

FAASCTL_API int faasctl_domain_is_thread(const struct faasctl_domain *domain)
{
	return !inside.domain && !domain->process;
}

FAASCTL_API int faasctl_domain_signal(const struct faasctl_domain *domain)
{
	return inside.domain || process_child() ? 0 : domain->signal;
}

/* What calls with a domain begin with. */
int check_domain(const struct faasctl_domain *domain, struct faasctl_error *err)
{
	uintptr_t at = (uintptr_t)domain;
	int ret = outside_only(err), state;

	if (ret)
		return ret;
	at -= (uintptr_t)domains->domains;
	if (at >= sizeof(domains->domains) || at % sizeof(*domain))
		return faasctl__fail(err, EINVAL, "this is no domain, and never was");
	/* Its name stays until there is another one in its place. */
	state = atomic_load(&domain->state);
	if (state == STATE_NONE || state == STATE_LOST)
		return faasctl__fail(err, EINVAL, "stage %s is no domain any more: it was freed before",
				     domain->name);
	if (is_child && !domain->process)
		return faasctl__fail(err, EPERM, "stage %s is a thread of the process that this one is a child of",
				     domain->name);
	return 0;
}

static bool is_started(const struct faasctl_domain *domain)
{
	return domain->held & HELD_STARTED;
}

int busy(const struct faasctl_domain *domain, struct faasctl_error *err)
{
	return faasctl__fail(err, EBUSY, "stage %s: somebody is inside", domain->name);
}

int stopped(const struct faasctl_domain *domain, struct faasctl_error *err)
{
	return faasctl__fail(err, EFAULT, "stage %s was stopped: %s", domain->name,
			     domain->stopped);
}

static void empty_before_end(struct faasctl_domain *domain);

FAASCTL_API int faasctl_domain_free(struct faasctl_domain *domain,
				    struct faasctl_error *err)
{
	bool lost = false, kept;
	int ret, state;

	if (!domain)
		return 0;
	ret = check_domain(domain, err);
	if (ret)
		return ret;
	empty_before_end(domain);
	pthread_mutex_lock(&domains->lock);
	state = atomic_load(&domain->state);
	/* So that nobody enters it from here on. */
	if (!is_started(domain) && (state == STATE_IDLE || state == STATE_KEYED) &&
	    atomic_compare_exchange_strong(&domain->state, &state, STATE_STOPPED))
		state = STATE_STOPPED;
	if (is_started(domain) || state != STATE_STOPPED) {
		ret = busy(domain, err);
		goto unlock;
	}
	domain->inputs = 0;
	if (domain->process) {
		/* Freed for all others: its end is waited for without the lock. */
		atomic_store(&domain->state, STATE_LOST);
		pthread_mutex_unlock(&domains->lock);
		process_free(domain);
		pthread_mutex_lock(&domains->lock);
	} else {
		heap_free(domain);
		lost = space_drop(domain, &kept) || domain->linked || domain->heap_lost;
		/* Not before: it could be given to another, and these pages with it. */
		if (domain->key && kept)
			key_lose();
		else if (domain->key)
			key_return(domain->key);
	}
	domains->info.domains--;
	atomic_store(&domain->state, lost ? STATE_LOST : STATE_NONE);
unlock:
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

/* ----------------------------------------------------------------------- going in */

/* What this thread has to have before it goes in. */
static int prepare_thread(void)
{
	/* Before the look: a library that comes meanwhile is looked for again. */
	unsigned int now = atomic_load(&code_changes);

	if (fault_thread_begin())
		return -ENOMEM;
	if (!inside.own_thread)
		libc_thread_begin();
	/* If there is code that nobody looked through, the next one does not go in at once. */
	if (code_is_known(now))
		inside.ready = now;
	return 0;
}

/* Makes the domain this thread's, with a key. */
static int enter(struct faasctl_domain *domain, struct faasctl_error *err)
{
	int state = STATE_KEYED, ret;

	if (!atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED)) {
		if (state == STATE_STOPPED)
			return stopped(domain, err);
		ret = state == STATE_IDLE ? key_get(domain, STATE_IDLE) : -EBUSY;
		if (ret == -EBUSY)
			return busy(domain, err);
		if (ret)
			return faasctl__fail(err, -ret, "no memory to give stage %s a key",
					     domain->name);
	}
	/*
	 * Not before: who waits for a key may wait for long. With a filter it could not look; that
	 * was done when it was started.
	 */
	ret = inside.filtered ? 0 : code_check(err);
	if (!ret && prepare_thread())
		ret = faasctl__fail(err, ENOMEM, "out of memory");
	if (ret)
		key_let_go(domain, STATE_KEYED);
	return ret;
}

/*
 * The same if nothing has to be done for it but that: no lock, no system call. Tells in a few
 * instructions what check_domain() and enter() find out; whatever is not as usual is theirs.
 */
static inline bool enter_at_once(struct faasctl_domain *domain)
{
	uintptr_t at = (uintptr_t)domain - gate_fixed.domains;
	int state = STATE_KEYED;

	/* Not ready: there may be no register to read. Inside it has another value. */
	return !inside.domain &&
	       inside.ready == atomic_load_explicit(&code_changes, memory_order_relaxed) &&
	       gate_rdpkru() == gate_fixed.outside &&
	       (at / DOMAIN_SIZE | at << (64 - __builtin_ctz(DOMAIN_SIZE))) < SLOTS &&
	       !domain->held &&
	       atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED);
}

/* In and back. @plain: how much of its heap is used as if there were no domains */
static inline struct gate_left go_in(struct faasctl_domain *domain, long (*fn)(void *arg),
				     void *arg, size_t plain)
{
	struct gate_left left;

	inside.heap = domain->heap;
	if (plain)
		inside.heap.plain = plain;
	inside.domain = domain;
	left = gate_call(&domain->gate, fn, arg);
	inside.domain = NULL;
	inside.heap.plain = inside.plain_outside;
	return left;
}

/* Who was stopped while it waited may have lost its key. */
static bool has_key(struct faasctl_domain *domain)
{
	int state = STATE_WAITS_KEYED;

	return atomic_load(&domain->state) == STATE_ENTERED ||
	       atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED) ||
	       !key_get(domain, STATE_WAITS_IDLE);
}

/*
 * Empties the caches of a domain that was stopped, inside: outside, what it freed twice would end
 * the process. If that stops it once more, or cannot be, its heap is given up.
 */
static void empty_caches(struct faasctl_domain *domain)
{
	char why[sizeof(domain->stopped)];
	int sig = domain->signal;

	if (domain->heap_lost)
		return;
	if (!has_key(domain)) {
		domain->heap_lost = true;
		return;
	}
	strcpy(why, domain->stopped);
	*domain->stopped = '\0';
	go_in(domain, heap_flush, heap_cache(domain), heap_plain_inside());
	domain->heap_lost |= !!*domain->stopped;
	strcpy(domain->stopped, why);
	domain->signal = sig;
}

/* The thread may be another's, who goes on, and goes into other domains. */
static void forget_stop(void)
{
	inside.locks = 0;
	inside.stop = false;
	inside.damaged = false;
}

static int end_stopped(struct faasctl_domain *domain, struct faasctl_error *err)
{
	forget_stop();
	empty_caches(domain);
	forget_stop();
	key_drop(domain);
	return stopped(domain, err);
}

static inline int end_usual(struct faasctl_domain *domain, long value, long *result)
{
	key_let_go(domain, STATE_KEYED);
	if (result)
		*result = value;
	return 0;
}

/* Something came up in there. The domain is where gate_call() leaves it. */
static __attribute__((cold, noinline)) int end_unusual(long *result, struct faasctl_error *err,
						       struct faasctl_domain *domain, long value)
{
	domain->unusual = false;
	if (domain->loader) {
		domain->loader = false;
		loader_forget();
	}
	return *domain->stopped ? end_stopped(domain, err) : end_usual(domain, value, result);
}

/*
 * Goes into a domain that is entered, on a thread that is outside. A function of its own: what
 * comes before has nothing to keep, and saves no registers.
 */
static __attribute__((noinline)) int run_entered(struct faasctl_domain *domain,
						 long (*fn)(void *arg), void *arg,
						 long *result, struct faasctl_error *err)
{
	struct gate_left left = go_in(domain, fn, arg, 0);

	domain = (struct faasctl_domain *)left.gate;
	if (__builtin_expect(domain->unusual, 0))
		return end_unusual(result, err, domain, left.value);
	return end_usual(domain, left.value, result);
}

/*
 * What calls left in the cache of a domain, which would be emptied outside. Not if it has no key,
 * and one would have to be waited for.
 */
static void empty_before_end(struct faasctl_domain *domain)
{
	int state = STATE_KEYED;

	if (domain->process || domain->held ||
	    !atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED))
		return;
	if (prepare_thread())
		key_let_go(domain, STATE_KEYED);
	else
		run_entered(domain, heap_flush, heap_cache(domain), NULL, NULL);
}

static int run(struct faasctl_domain *domain, long (*fn)(void *arg), void *arg,
	       long *result, struct faasctl_error *err)
{
	int ret;

	if (domain->process)
		return process_call(domain, fn, arg, result, err);
	ret = enter(domain, err);
	return ret ? ret : run_entered(domain, fn, arg, result, err);
}

static __attribute__((noinline)) int call_slowly(struct faasctl_domain *domain,
						 long (*fn)(void *arg), void *arg,
						 long *result, struct faasctl_error *err)
{
	int ret = check_domain(domain, err);

	if (ret)
		return ret;
	if (domain->held & HELD_FILTER)
		return faasctl__fail(err, EPERM, "stage %s is to have a filter, which this thread has not: start it",
				     domain->name);
	return is_started(domain) ? busy(domain, err) : run(domain, fn, arg, result, err);
}

FAASCTL_API int faasctl_domain_call(struct faasctl_domain *domain,
				    long (*fn)(void *arg), void *arg,
				    long *result, struct faasctl_error *err)
{
	if (__builtin_expect(!enter_at_once(domain), 0))
		return call_slowly(domain, fn, arg, result, err);
	return run_entered(domain, fn, arg, result, err);
}

/* ------------------------------------------------------------------------ threads */

/* glibc's registration of a thread for restartable sequences. */
#define RSEQ_SIZE	32

/*
 * The kernel writes to the thread's own data whenever it goes on running, with the rights
 * that it has then; at the beginning of a handler these are none.
 */
static void leave_rseq(void)
{
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
			RSEQ_SIZE, 1, RSEQ_SIG);
}

/* What a filtered thread needs it has before. Returns 0 or a negative errno. */
static int begin_filter(struct faasctl_domain *domain)
{
	int ret = prepare_thread();

	domain->signal_stack = fault_thread_stack();
	inside.filtered = true;
	if (!ret)
		ret = filter_thread(domain->slot);
	return ret ? faasctl__fail_errno(&domain->err, -ret, "stage %s cannot have a filter",
					 domain->name) : 0;
}

/* Of a thread that did not get to its end. */
#define UNFINISHED	1

/* Its function ended it with a system call, whatever it was in the middle of. */
static void note_unfinished(struct faasctl_domain *domain)
{
	strcpy(domain->stopped, "its thread was ended by a system call");
	domain->heap_lost = true;
	/* The allocator's data of this thread is in a list, which goes through it. */
	domain->linked = !domain->process;
	key_drop(domain);
	domain->ret = stopped(domain, &domain->err);
}

/*
 * The allocator has locks of the domain's heap for good, and the end of a thread would want them.
 * What it keeps of the thread stays where it is, as others' is linked with it.
 */
static void end_thread(struct faasctl_domain *domain) __attribute__((noreturn));

static void end_thread(struct faasctl_domain *domain)
{
	domain->linked = true;
	syscall(SYS_exit, 0);
	abort();
}

/* On a thread of the domain's own. */
static int run_here(struct faasctl_domain *domain)
{
	int ret = enter(domain, &domain->err);
	struct gate_left left;

	domain->signal_stack = fault_thread_stack();
	if (ret)
		return ret;
	left = go_in(domain, domain->fn, domain->arg, heap_plain_inside());
	ret = end_unusual(&domain->result, &domain->err, domain, left.value);
	if (inside.own_cache && domain->heap_lost) {
		domain->ret = ret;
		end_thread(domain);
	}
	return ret;
}

static void *thread_main(void *arg)
{
	struct faasctl_domain *domain = arg;
	int ret = 0;

	if (!domain->process) {
		heap_bind(domain);
		leave_rseq();
		signals_thread_begin();
		inside.own_thread = true;
		destructors_begin(domain);
	}
	if (domain->held & HELD_FILTER)
		ret = begin_filter(domain);
	if (!ret && domain->process)
		ret = process_call(domain, domain->fn, domain->arg, &domain->result, &domain->err);
	else if (!ret)
		ret = run_here(domain);
	domain->ret = ret;
	return NULL;
}

static int make_thread(struct faasctl_domain *domain)
{
	pthread_attr_t attr;
	int code = 0;

	if (domain->held & HELD_FILTER)
		code = broker_begin();
	if (!code)
		code = pthread_attr_init(&attr);
	if (code)
		return code;
	if (!domain->process) {
		code = space_thread(domain) ? ENOMEM :
			pthread_attr_setstack(&attr, (void *)thread_base(domain), THREAD_SIZE);
	}
	if (!code)
		code = pthread_create(&domain->thread, &attr, thread_main, domain);
	pthread_attr_destroy(&attr);
	return code;
}

FAASCTL_API int faasctl_domain_start(struct faasctl_domain *domain,
				     long (*fn)(void *arg), void *arg,
				     struct faasctl_error *err)
{
	int ret = check_domain(domain, err), state;

	if (!ret && !domain->process)
		ret = code_look(err);
	if (ret)
		return ret;
	pthread_mutex_lock(&domains->lock);
	state = atomic_load(&domain->state);
	if (state == STATE_STOPPED) {
		ret = stopped(domain, err);
	} else if (is_started(domain) || (state != STATE_IDLE && state != STATE_KEYED)) {
		ret = busy(domain, err);
	} else {
		domain->fn = fn;
		domain->arg = arg;
		domain->ret = UNFINISHED;
		domain->held |= HELD_STARTED;
		ret = make_thread(domain);
		if (ret) {
			domain->held &= ~HELD_STARTED;
			ret = faasctl__fail_errno(err, ret, "no thread for stage %s",
						  domain->name);
		}
	}
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

FAASCTL_API int faasctl_domain_join(struct faasctl_domain *domain, long *result,
				    struct faasctl_error *err)
{
	int ret = check_domain(domain, err);

	if (ret)
		return ret;
	if (!is_started(domain))
		return faasctl__fail(err, ESRCH, "stage %s: nothing was started", domain->name);
	pthread_join(domain->thread, NULL);
	fault_stack_free(domain->signal_stack);
	domain->signal_stack = NULL;
	if (domain->ret == UNFINISHED)
		note_unfinished(domain);
	ret = domain->ret;
	if (ret && err)
		*err = domain->err;
	if (!ret && result)
		*result = domain->result;
	/* From here on it is whoever's that starts or frees it. */
	domain->held &= ~HELD_STARTED;
	return ret;
}

/* ----------------------------------------------------------------------- services */

/* More than any service is told. */
#define ARG_MAX	64

/*
 * Called by gate_monitor(), outside. What is said to be the caller's is written with all
 * keys, so it must not be another's.
 */
long gate_serve(enum service service, void *arg)
{
	static long (*const services[])(void *arg) = {
		[SERVICE_GROW] = heap_grow,
		[SERVICE_STOP] = fault_stop,
		[SERVICE_WAIT] = wait_outside,
		[SERVICE_TRANSFER] = transfer_outside,
		[SERVICE_MAP] = map_outside,
		[SERVICE_LOADER] = loader_note,
	};
	struct faasctl_domain *domain = inside.domain;
	unsigned int slot;
	long ret;

	/* Not its end either. */
	if (service >= ARRAY_SIZE(services) ||
	    (uintptr_t)arg + ARG_MAX - gate_fixed.vault < gate_fixed.vault_size + ARG_MAX ||
	    (in_slot(arg, &slot) && slot != domain->slot))
		gate_forged();
	fault_serving(domain, true);
	ret = services[service](arg);
	fault_serving(domain, false);
	return ret;
}
