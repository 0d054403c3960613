// SPDX-License-Identifier: LGPL-2.1-or-later
/* Keys: how many there are, who has them, who gives one up. */
#include <cpuid.h>
#include <sys/mman.h>

#include "state.h"

/* A key in the register: two bits, of which the first denies all, the second writing. */
#define DENY(key)	(1u << (2 * (key)))
#define DENY_WRITE(key)	(2u << (2 * (key)))

/* Whether the register can be read at all. */
static bool has_keys(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & bit_OSPKE;
}

/* Takes all keys there are. Returns how many domains and inputs can have; < 1: too few. */
int keys_begin(const struct faasctl_domains_options *options)
{
	uint32_t outside, got = 0;
	int key, n = 0;

	if (!has_keys())
		return 0;
	while ((key = pkey_alloc(0, 0)) > 0) {
		got |= 1u << key;
		n++;
	}
	if (n < 2) {
		if (n)
			pkey_free(__builtin_ctz(got));
		return 0;
	}
	domains->vault_key = __builtin_ctz(got);
	got &= ~(1u << domains->vault_key);
	n--;
	/* What is not to be used is given back, the highest first. */
	while (options->keys && n > (int)options->keys) {
		key = 31 - __builtin_clz(got);
		/* As it was before: to allocate a key opens it. */
		pkey_set(key, PKEY_DISABLE_ACCESS);
		pkey_free(key);
		got &= ~(1u << key);
		n--;
	}
	domains->all_keys = got | 1u << domains->vault_key;
	/* As it is now: those that were given back are in there, too. */
	outside = gate_rdpkru();
	outside &= ~(DENY(domains->vault_key) | DENY_WRITE(domains->vault_key));
	for (key = 0; key < KEYS_MAX; key++)
		if (got & 1u << key)
			outside &= ~(DENY(key) | DENY_WRITE(key));
	gate_fixed.outside = outside;
	gate_fixed.denied = DENY(domains->vault_key);
	domains->free_keys = got;
	domains->running_keys = n;
	return n;
}

/* Gives all keys back. */
void keys_end(void)
{
	int key;

	for (key = 0; key < KEYS_MAX; key++)
		if (domains->all_keys & 1u << key)
			pkey_free(key);
}

/* What the domain's key register is to be: its own key, 0, and its inputs for reading. */
void gate_keys(struct faasctl_domain *domain)
{
	uint32_t value = DENY_ALL & ~DENY(domain->key), inputs = domain->inputs;

	for (; inputs; inputs &= inputs - 1) {
		int key = domains->inputs[__builtin_ctz(inputs)].key;

		value = (value & ~DENY(key)) | DENY_WRITE(key);
	}
	domain->gate.inside = value;
}

/* The domain with a key that has been left alone for longest, but not before @from. */
static struct faasctl_domain *find_victim(uint64_t from, int *keyed)
{
	struct faasctl_domain *victim = NULL, *d;
	int state;

	for (d = domains->domains; d < domains->domains + SLOTS; d++) {
		state = atomic_load(&d->state);
		if ((state == STATE_KEYED || state == STATE_WAITS_KEYED) &&
		    d->used >= from && (!victim || d->used < victim->used)) {
			victim = d;
			*keyed = state;
		}
	}
	return victim;
}

/* Whether somebody runs with a key that he will leave. */
static bool anybody_runs(void)
{
	struct faasctl_domain *d;

	for (d = domains->domains; d < domains->domains + SLOTS; d++)
		if (d->key && atomic_load(&d->state) == STATE_ENTERED)
			return true;
	return false;
}

/*
 * A domain gives up its key. It may be entered at this moment; then -EAGAIN: the caller
 * tries again. 0: there is none to wait for but those that run. A domain whose pages cannot
 * be changed, because some are gone, keeps its key, and another one is looked for.
 */
static int evict(void)
{
	struct faasctl_domain *victim;
	int keyed, idle, state, key;
	bool stuck = false;
	uint64_t from = 0;

	while ((victim = find_victim(from, &keyed))) {
		from = victim->used + 1;
		idle = keyed == STATE_KEYED ? STATE_IDLE : STATE_WAITS_IDLE;
		state = keyed;
		if (!atomic_compare_exchange_strong(&victim->state, &state, idle))
			return -EAGAIN;
		key = victim->key;
		/* Whoever wants in finds it idle and waits for the lock, which is ours. */
		if (!space_tag(victim, domains->vault_key)) {
			victim->key = 0;
			domains->info.evictions++;
			return key;
		}
		space_tag(victim, key);
		atomic_store(&victim->state, keyed);
		stuck = true;
	}
	return stuck && !anybody_runs() ? -ENOMEM : 0;
}

/* A key, whoever had it; waits for one if @wait. The lock is held. */
static int find_key(bool wait)
{
	bool waited = false;
	int key;

	for (;;) {
		if (domains->free_keys) {
			key = __builtin_ctz(domains->free_keys);
			domains->free_keys &= ~(1u << key);
			break;
		}
		/* Before the look: who leaves after it sees that somebody waits. */
		atomic_fetch_add(&domains->waiting, 1);
		key = evict();
		if (!key && wait) {
			if (!waited)
				domains->info.waits++;
			waited = true;
			pthread_cond_wait(&domains->freed, &domains->lock);
		}
		atomic_fetch_sub(&domains->waiting, 1);
		if (key > 0 || key == -ENOMEM || (!key && !wait))
			break;
	}
	return key;
}

/* Something has it that cannot be changed: nobody else gets it. The lock is held. */
void key_lose(void)
{
	domains->running_keys--;
}

/* What the key was given to is the vault's again, and the key free; or it is lost. */
static void take_back(struct faasctl_domain *domain, int key)
{
	if (space_tag(domain, domains->vault_key))
		key_lose();
	else
		key_return(key);
}

/*
 * Moves the domain from state @from, STATE_IDLE or STATE_WAITS_IDLE, to STATE_ENTERED, with
 * a key. Returns 0, -EBUSY if it is in another state by now, or -ENOMEM.
 */
int key_get(struct faasctl_domain *domain, int from)
{
	int ret = 0, key, state = from;

	pthread_mutex_lock(&domains->lock);
	/* Who waits for a key is inside, for all others. */
	if (!atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED)) {
		ret = -EBUSY;
		goto unlock;
	}
	key = find_key(true);
	if (key < 0) {
		ret = key;
	} else if (space_tag(domain, key)) {
		take_back(domain, key);
		ret = -ENOMEM;
	} else {
		domain->key = key;
		gate_keys(domain);
	}
	if (ret)
		atomic_store(&domain->state, from);
unlock:
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

/* Somebody waits for a key that can be taken away now. */
void key_offer(void)
{
	pthread_mutex_lock(&domains->lock);
	pthread_cond_broadcast(&domains->freed);
	pthread_mutex_unlock(&domains->lock);
}

/* The domain was stopped, and has no use for its key. */
void key_drop(struct faasctl_domain *domain)
{
	pthread_mutex_lock(&domains->lock);
	/* Who was stopped while it waited may have lost it before. */
	if (domain->key && !space_tag(domain, domains->vault_key)) {
		key_return(domain->key);
		domain->key = 0;
	}
	atomic_store(&domain->state, STATE_STOPPED);
	pthread_mutex_unlock(&domains->lock);
}

/* A key for good, of which one has to be left. Returns it or -ENOSPC. The lock is held. */
int key_take(void)
{
	int key;

	if (domains->running_keys < 2)
		return -ENOSPC;
	key = find_key(false);
	if (key <= 0)
		return -ENOSPC;
	domains->running_keys--;
	return key;
}

/* Nothing has this key any more. The lock is held. */
void key_return(int key)
{
	domains->free_keys |= 1u << key;
	pthread_cond_broadcast(&domains->freed);
}
