// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The broker: a thread that gives memory of domains other keys, for those whose filter lets them
 * give none. It is asked outside only, through memory of the vault; its stack and its own data
 * are in the vault, too, and it gets no signals. What it is asked for it checks again: whole
 * pages of one slot, a key of ours, and no code.
 */
#include <sys/mman.h>

#include "state.h"

#define BROKER_SIZE	(256ul << 10)

static bool is_right(const struct broker_work *work)
{
	unsigned int first, last;

	return work->size && !((work->at | work->size) % PAGE_SIZE) && work->size <= SLOT_SIZE &&
	       in_slot((void *)work->at, &first) &&
	       in_slot((void *)(work->at + work->size - 1), &last) && first == last &&
	       !(work->prot & ~(PROT_READ | PROT_WRITE)) &&
	       work->key > 0 && work->key < KEYS_MAX && domains->all_keys & 1u << work->key;
}

static void *serve(void *arg)
{
	struct broker *broker = arg;
	const struct broker_work *work = &broker->work;

	pthread_mutex_lock(&broker->lock);
	for (;;) {
		while (broker->state != BROKER_ASKED)
			pthread_cond_wait(&broker->changed, &broker->lock);
		broker->result = is_right(work) ?
			space_protect(work->at, work->size, work->prot, work->key) : -EINVAL;
		broker->state = BROKER_DONE;
		pthread_cond_broadcast(&broker->changed);
	}
	return NULL;
}

static int make_thread(struct broker *broker, void *memory)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int code;

	code = pthread_attr_init(&attr);
	if (code)
		return code;
	code = pthread_attr_setstack(&attr, memory, BROKER_SIZE);
	if (!code)
		code = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* It begins with the mask of whoever makes it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!code)
		code = pthread_create(&thread, &attr, serve, broker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return code;
}

/* Makes it, once; called outside. Returns 0 or an errno. */
int broker_begin(void)
{
	struct broker *broker = &domains->broker;
	void *memory;
	int code = 0;

	pthread_mutex_lock(&broker->lock);
	if (broker->begun)
		goto unlock;
	memory = mmap(NULL, BROKER_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		code = ENOMEM;
		goto unlock;
	}
	/* fork() looks at what all threads have: zeroes there. */
	if (pkey_mprotect(memory, BROKER_SIZE, PROT_READ | PROT_WRITE, domains->vault_key) ||
	    madvise(memory, BROKER_SIZE, MADV_WIPEONFORK))
		code = ENOMEM;
	if (!code)
		code = make_thread(broker, memory);
	if (code)
		munmap(memory, BROKER_SIZE);
	broker->begun = !code;
unlock:
	pthread_mutex_unlock(&broker->lock);
	return code;
}

/* As space_protect(), for a thread that has a filter; called outside. */
int broker_protect(uintptr_t at, size_t size, int prot, int key)
{
	struct broker *broker = &domains->broker;
	int result;

	pthread_mutex_lock(&broker->lock);
	while (broker->state != BROKER_FREE)
		pthread_cond_wait(&broker->changed, &broker->lock);
	broker->work = (struct broker_work){ at, size, prot, key };
	broker->state = BROKER_ASKED;
	pthread_cond_broadcast(&broker->changed);
	while (broker->state != BROKER_DONE)
		pthread_cond_wait(&broker->changed, &broker->lock);
	result = broker->result;
	broker->state = BROKER_FREE;
	pthread_cond_broadcast(&broker->changed);
	pthread_mutex_unlock(&broker->lock);
	return result;
}
