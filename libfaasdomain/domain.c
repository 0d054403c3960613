// SPDX-License-Identifier: LGPL-2.1-or-later
/* Domains: their beginning and end, and who goes in. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "state.h"

struct domains *domains;
struct gate_fixed gate_fixed __attribute__((aligned(4096)));
/* The model again: what is said where it is declared does not hold here. */
__thread struct inside inside __attribute__((tls_model("initial-exec")));

/* What API calls begin with. */
int outside_only(struct faasctl_error *err)
{
	if (inside.domain || process_child())
		return faasctl__fail(err, EPERM, "this cannot be called from inside a domain");
	if (gate_fixed.space_size && gate_rdpkru() != gate_fixed.outside)
		return faasctl__fail(err, EPERM, "this thread has no keys: it was there before faasctl_domains_begin()");
	if (!domains)
		return faasctl__fail(err, EPERM, "there can be no domains yet: call faasctl_domains_begin()");
	return 0;
}

/* ---------------------------------------------------------------- the beginning */

/* The first of these keys opens all that is known of domains. */
static int close_vault(struct faasctl_error *err)
{
	size_t size = (sizeof(*domains) + PAGE_SIZE - 1) & -PAGE_SIZE;

	gate_fixed.vault = (uintptr_t)domains;
	gate_fixed.vault_size = size;
	if (pkey_mprotect(domains, size, PROT_READ | PROT_WRITE, domains->vault_key) ||
	    mprotect(&gate_fixed, sizeof(gate_fixed), PROT_READ))
		return faasctl__fail_errno(err, errno, "cannot protect what domains go by");
	return 0;
}

static int begin_threads(struct faasctl_error *err)
{
	int ret;

	if (space_begin())
		return faasctl__fail(err, ENOMEM,
			"no address space for domains: they take 8 TiB of it; see: ulimit -v");
	libc_begin();
	ret = disarm(err);
	if (!ret)
		ret = fault_begin(err);
	if (ret)
		return ret;
	ret = close_vault(err);
	if (ret)
		fault_end();
	else
		signals_begin();
	return ret;
}

FAASCTL_API int faasctl_domains_begin(const struct faasctl_domains_options *options,
				      struct faasctl_error *err)
{
	static const struct faasctl_domains_options none;
	size_t size = (sizeof(*domains) + PAGE_SIZE - 1) & -PAGE_SIZE;
	struct domains *new;
	int ret = 0;

	if (domains)
		return faasctl__fail(err, EALREADY, "this process has domains already");
	if (!options)
		options = &none;
	if (options->flags & ~FAASCTL_DOMAINS_PROCESSES)
		return faasctl__fail(err, EINVAL, "unknown flags 0x%x", options->flags);
	new = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (new == MAP_FAILED)
		return faasctl__fail(err, ENOMEM, "out of memory");
	domains = new;
	home = getpid();
	pthread_mutex_init(&domains->lock, NULL);
	pthread_cond_init(&domains->freed, NULL);
	if (options->flags & FAASCTL_DOMAINS_PROCESSES) {
		strcpy(domains->info.why, "asked to be");
	} else {
		domains->info.keys = keys_begin(options);
		if (!domains->info.keys)
			strcpy(domains->info.why, "this machine, or its kernel, has no protection keys to give");
	}
	domains->info.threads = !!domains->info.keys;
	if (heap_begin())
		ret = faasctl__fail(err, ENOMEM, "no address space for a shared heap: it takes 64 GiB of it; see: ulimit -v, and vm.overcommit_memory");
	else if (domains->info.threads)
		ret = begin_threads(err);
	if (ret) {
		space_end();
		keys_end();
		domains = NULL;
		munmap(new, size);
	}
	return ret;
}

FAASCTL_API void faasctl_domains_info(struct faasctl_domains_info *info)
{
	memset(info, 0, sizeof(*info));
	if (!domains || inside.domain || process_child())
		return;
	pthread_mutex_lock(&domains->lock);
	*info = domains->info;
	pthread_mutex_unlock(&domains->lock);
}

/* ----------------------------------------------------------------- a domain's life */

static int check_options(const struct faasctl_domain_options *options,
			 struct faasctl_error *err)
{
	if (options->isolation > FAASCTL_HOSTILE)
		return faasctl__fail(err, EINVAL, "unknown isolation %u", options->isolation);
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
	size_t heap = SLOT_SIZE - HEAP_OFFSET;

	domain->stack_size = options->stack_size ? options->stack_size : STACK_DEFAULT;
	domain->stack_size = (domain->stack_size + PAGE_SIZE - 1) & -PAGE_SIZE;
	domain->heap_max = options->heap_max ? options->heap_max : heap;
	if (domain->heap_max > heap)
		domain->heap_max = heap;
	domain->heap_max = (domain->heap_max + PAGE_SIZE - 1) & -PAGE_SIZE;
	if (!domains->info.threads || options->isolation == FAASCTL_HOSTILE)
		return process_new(domain, options->isolation, err);
	if (space_stack(domain) || heap_new(domain)) {
		space_drop(domain);
		return faasctl__fail(err, ENOMEM, "no memory for stage %s", domain->name);
	}
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
		ret = check_options(options, err);
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
	int ret = outside_only(err);

	if (ret)
		return ret;
	at -= (uintptr_t)domains->domains;
	if (at >= sizeof(domains->domains) || at % sizeof(*domain) ||
	    atomic_load(&domain->state) == STATE_NONE)
		return faasctl__fail(err, EINVAL, "this is no domain: it was freed before");
	return 0;
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

FAASCTL_API int faasctl_domain_free(struct faasctl_domain *domain,
				    struct faasctl_error *err)
{
	int ret, state;

	if (!domain)
		return 0;
	ret = check_domain(domain, err);
	if (ret)
		return ret;
	pthread_mutex_lock(&domains->lock);
	state = atomic_load(&domain->state);
	/* So that nobody enters it from here on. */
	if (!domain->started && (state == STATE_IDLE || state == STATE_KEYED) &&
	    atomic_compare_exchange_strong(&domain->state, &state, STATE_STOPPED))
		state = STATE_STOPPED;
	if (domain->started || state != STATE_STOPPED) {
		ret = busy(domain, err);
		goto unlock;
	}
	if (domain->process) {
		process_free(domain);
	} else {
		heap_free(domain);
		space_drop(domain);
		/* Not before: it could be given to another, and these pages with it. */
		if (domain->key)
			key_return(domain->key);
	}
	domains->info.domains--;
	atomic_store(&domain->state, STATE_NONE);
unlock:
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

/* ----------------------------------------------------------------------- going in */

/* What this thread has to have before it goes in. */
static int prepare_thread(void)
{
	/* Before the look: a library that comes meanwhile is looked for again. */
	unsigned int now = atomic_load(&libraries);

	if (fault_thread_begin())
		return -ENOMEM;
	if (!inside.own_thread)
		libc_thread_begin();
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
	if (prepare_thread()) {
		key_let_go(domain, STATE_KEYED);
		return faasctl__fail(err, ENOMEM, "out of memory");
	}
	return 0;
}

/*
 * The same if nothing has to be done for it but that: no lock, no system call. Tells in a few
 * instructions what check_domain() and enter() find out; whatever is not as usual is theirs.
 */
static inline bool enter_at_once(struct faasctl_domain *domain)
{
	uintptr_t at = (uintptr_t)domain - gate_fixed.vault - offsetof(struct domains, domains);
	int state = STATE_KEYED;

	/* Not ready: there may be no register to read. Inside it has another value. */
	return !inside.domain &&
	       inside.ready == atomic_load_explicit(&libraries, memory_order_relaxed) &&
	       gate_rdpkru() == gate_fixed.outside &&
	       (at / DOMAIN_SIZE | at << (64 - __builtin_ctz(DOMAIN_SIZE))) < SLOTS &&
	       !domain->started &&
	       atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED);
}

static __attribute__((cold, noinline)) int end_stopped(struct faasctl_domain *domain,
						       struct faasctl_error *err)
{
	key_drop(domain);
	return stopped(domain, err);
}

/*
 * Goes into a domain that is entered, on a thread that is outside. A function of its own: what
 * comes before has nothing to keep, and saves no registers.
 */
static __attribute__((noinline)) int run_entered(struct faasctl_domain *domain,
						 long (*fn)(void *arg), void *arg,
						 long *result, struct faasctl_error *err)
{
	struct gate_left left;

	inside.heap = domain->heap;
	inside.domain = domain;
	left = gate_call(&domain->gate, fn, arg);
	inside.domain = NULL;
	domain = (struct faasctl_domain *)left.gate;
	if (__builtin_expect(*domain->stopped, 0))
		return end_stopped(domain, err);
	key_let_go(domain, STATE_KEYED);
	if (result)
		*result = left.value;
	return 0;
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
	return domain->started ? busy(domain, err) : run(domain, fn, arg, result, err);
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

static void *thread_main(void *arg)
{
	struct faasctl_domain *domain = arg;

	if (!domain->process) {
		leave_rseq();
		signals_thread_begin();
		inside.own_thread = true;
	}
	domain->ret = run(domain, domain->fn, domain->arg, &domain->result, &domain->err);
	return NULL;
}

static int make_thread(struct faasctl_domain *domain)
{
	pthread_attr_t attr;
	int code;

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

	if (ret)
		return ret;
	pthread_mutex_lock(&domains->lock);
	state = atomic_load(&domain->state);
	if (state == STATE_STOPPED) {
		ret = stopped(domain, err);
	} else if (domain->started || (state != STATE_IDLE && state != STATE_KEYED)) {
		ret = busy(domain, err);
	} else {
		domain->fn = fn;
		domain->arg = arg;
		domain->started = true;
		ret = make_thread(domain);
		if (ret) {
			domain->started = false;
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
	if (!domain->started)
		return faasctl__fail(err, ESRCH, "stage %s: nothing was started", domain->name);
	pthread_join(domain->thread, NULL);
	ret = domain->ret;
	if (ret && err)
		*err = domain->err;
	domain->started = false;
	if (ret)
		return ret;
	if (result)
		*result = domain->result;
	return 0;
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
	};
	const struct faasctl_domain *domain = inside.domain;
	unsigned int slot;

	/* Not its end either. */
	if (service >= ARRAY_SIZE(services) ||
	    (uintptr_t)arg + ARG_MAX - gate_fixed.vault < gate_fixed.vault_size + ARG_MAX ||
	    (in_slot(arg, &slot) && slot != domain->slot))
		gate_forged();
	return services[service](arg);
}
