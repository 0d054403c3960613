// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Children of fork() that are no domains: what they have of domains, which are their parent's. Of
 * threads it is nothing, not even their memory. Processes they make anew when they go in. Shared
 * memory is there, and is the parent's to give and to take back, as there is one allocator of it.
 *
 * Done by handlers of pthread_atfork(3): so it is for whatever calls fork(), the C library too
 * (daemon(3), forkpty(3)). They are registered when this library is loaded: the host's own, later
 * ones, run while no lock is held here.
 */
#include <sys/mman.h>

#include "jemalloc.h"
#include "state.h"

/* This process is such a child. */
bool is_child;

/* And was made where nothing of domains could be seen: by a handler of a signal, say. */
static bool is_blind;

/* Whether this thread sees what is known of domains. */
static bool sees_domains(void)
{
	return !gate_fixed.space_size || gate_rdpkru() == gate_fixed.outside;
}

/* So that what the child has is whole: nobody is in the middle of changing it. */
static void before(void)
{
	if (process_child())
		return;
	processes_lock();
	if (domains && sees_domains())
		pthread_mutex_lock(&domains->lock);
}

static void after(void)
{
	if (process_child())
		return;
	if (domains && sees_domains())
		pthread_mutex_unlock(&domains->lock);
	processes_unlock();
}

/*
 * Inputs are for reading where they were. They have to be there before anything else is, which
 * would be in the way of processes that are made, and go with an input that is freed.
 */
static void map_inputs(void)
{
	const struct faasctl_input *input;
	void *at;

	for (input = domains->inputs; input < domains->inputs + INPUTS; input++) {
		if (!input->memory)
			continue;
		at = mmap(input->memory, input->size, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE,
			  input->fd, 0);
		if (at == MAP_FAILED)
			continue;
		if (input->key)
			pkey_mprotect(at, input->size, PROT_READ, input->key);
		madvise(at, input->size, MADV_DONTFORK);
	}
}

/* Only this thread is there. */
static void forget_others(void)
{
	struct domains *all = domains;
	struct faasctl_domain *d;

	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->freed, NULL);
	atomic_store(&all->waiting, 0);
	pthread_mutex_init(&all->broker.lock, NULL);
	pthread_cond_init(&all->broker.changed, NULL);
	all->broker.state = BROKER_FREE;
	all->broker.begun = false;
	for (d = all->domains; d < all->domains + SLOTS; d++)
		process_forget(d);
	if (all->info.threads)
		space_child();
	map_inputs();
}

static void in_child(void)
{
	inside.locks = 0;
	if (process_child() || !processes_leave() || !domains)
		return;
	heap_child();
	/* Where it has been seen that this thread may go in, it is looked again. */
	inside.ready = 0;
	is_child = true;
	if (sees_domains())
		forget_others();
	else
		is_blind = true;
}

int child_check(struct faasctl_error *err)
{
	if (is_blind)
		return faasctl__fail(err, EPERM,
			"this process was made where nothing is known of domains: by a signal's handler, or a thread without keys");
	return 0;
}

/* After the allocator has its own, so that nobody is here who waits for what that holds. */
static void __attribute__((constructor)) children_begin(void)
{
	je_free(je_malloc(1));
	pthread_atfork(before, after, in_child);
}
