// SPDX-License-Identifier: LGPL-2.1-or-later
/* All domains of this process: their beginning, and what is told of them. */
#include <sys/mman.h>

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
	if (process_is_made())
		return faasctl__fail(err, EPERM, "a handler of pthread_atfork() cannot use domains while a process is made for one");
	if (gate_fixed.space_size && gate_rdpkru() != gate_fixed.outside)
		return faasctl__fail(err, EPERM, "this thread has no keys: it was there before faasctl_domains_begin()");
	if (!domains)
		return faasctl__fail(err, EPERM, "there can be no domains yet: call faasctl_domains_begin()");
	return child_check(err);
}

/* The first of these keys opens all that is known of domains. */
static int close_vault(struct faasctl_error *err)
{
	size_t size = (sizeof(*domains) + PAGE_SIZE - 1) & -PAGE_SIZE;

	gate_fixed.vault = (uintptr_t)domains;
	gate_fixed.vault_size = size;
	gate_fixed.domains = (uintptr_t)domains->domains;
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
			"no address space for domains: they take 16 TiB of it; see: ulimit -v");
	libc_begin();
	ret = domains->binds_late ? 0 : bind_all(err);
	if (!ret)
		ret = code_begin(err);
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
	if (options->flags & ~(FAASCTL_DOMAINS_PROCESSES | FAASCTL_DOMAINS_LAZY))
		return faasctl__fail(err, EINVAL, "unknown flags 0x%x", options->flags);
	new = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (new == MAP_FAILED)
		return faasctl__fail(err, ENOMEM, "out of memory");
	domains = new;
	home = getpid();
	domains->binds_late = options->flags & FAASCTL_DOMAINS_LAZY;
	pthread_mutex_init(&domains->lock, NULL);
	pthread_cond_init(&domains->freed, NULL);
	pthread_mutex_init(&domains->broker.lock, NULL);
	pthread_cond_init(&domains->broker.changed, NULL);
	filter_look(domains->info.unfiltered, sizeof(domains->info.unfiltered));
	domains->info.filters = !*domains->info.unfiltered;
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
		return ret;
	}
	heap_ready();
	return 0;
}

FAASCTL_API void faasctl_domains_info(struct faasctl_domains_info *info)
{
	memset(info, 0, sizeof(*info));
	if (outside_only(NULL))
		return;
	pthread_mutex_lock(&domains->lock);
	*info = domains->info;
	pthread_mutex_unlock(&domains->lock);
}
