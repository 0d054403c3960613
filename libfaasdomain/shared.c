// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory that domains share: all of them, or chosen ones for reading. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "state.h"

#define INPUT_MAX	(1ul << 40)

/* What is mapped writable already stays so. */
#define SEALS	(F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

FAASCTL_API void *faasctl_shared_alloc(size_t size)
{
	void *memory = process_child() ? process_shared_alloc(size) : shared_alloc(size);

	if (!memory)
		errno = ENOMEM;
	return memory;
}

FAASCTL_API void faasctl_shared_free(void *memory)
{
	free(memory);
}

/* An input that there is not; NULL: no more can be. The lock is held. */
static struct faasctl_input *find_input(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(domains->inputs); i++)
		if (!domains->inputs[i].memory)
			return &domains->inputs[i];
	return NULL;
}

/* The memory, writable here, and a descriptor by which processes can only read it. */
static int make_memory(struct faasctl_input *input, size_t size)
{
	char path[64];
	bool sealed;
	int fd;

	fd = memfd_create("faasin-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	input->fd = ftruncate(fd, size) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	input->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* Who finds the descriptor in /proc opens it again as he likes. */
	sealed = !fcntl(fd, F_ADD_SEALS, SEALS);
	close(fd);
	if (input->fd >= 0 && input->memory != MAP_FAILED && sealed) {
		madvise(input->memory, size, MADV_DONTFORK);
		return 0;
	}
	if (input->fd >= 0)
		close(input->fd);
	if (input->memory != MAP_FAILED)
		munmap(input->memory, size);
	return -ENOMEM;
}

static int set_up(struct faasctl_input *input, size_t size, struct faasctl_error *err)
{
	struct faasctl_input new = { .size = size };

	if (domains->info.threads) {
		new.key = key_take();
		if (new.key < 0)
			return faasctl__fail(err, ENOSPC,
				"no key to spare for an input: %d are left for domains that run",
				domains->running_keys);
	}
	if (make_memory(&new, size))
		goto no_memory;
	if (new.key && pkey_mprotect(new.memory, size, PROT_READ | PROT_WRITE, new.key)) {
		munmap(new.memory, size);
		close(new.fd);
		goto no_memory;
	}
	new.serial = ++domains->serial;
	*input = new;
	return 0;
no_memory:
	if (new.key) {
		domains->running_keys++;
		key_return(new.key);
	}
	return faasctl__fail(err, ENOMEM, "no memory for an input of %zu bytes", size);
}

FAASCTL_API int faasctl_input_new(size_t size, struct faasctl_input **input,
				  struct faasctl_error *err)
{
	struct faasctl_input *new;
	int ret;

	*input = NULL;
	ret = outside_only(err);
	if (ret)
		return ret;
	if (!size || size > INPUT_MAX)
		return faasctl__fail(err, EINVAL, "an input of %zu bytes is outside 1 to %lu",
				     size, INPUT_MAX);
	size = (size + PAGE_SIZE - 1) & -PAGE_SIZE;
	pthread_mutex_lock(&domains->lock);
	new = find_input();
	ret = new ? set_up(new, size, err) :
		faasctl__fail(err, ENOSPC, "there are %zu inputs, which is the most",
			      ARRAY_SIZE(domains->inputs));
	if (!ret)
		*input = new;
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

FAASCTL_API void *faasctl_input_data(struct faasctl_input *input)
{
	return input->memory;
}

/*
 * Keeps others out of a domain that nobody is inside of, so that what it can read can be
 * changed. Returns its state, or STATE_NONE if somebody is inside. The lock is held.
 */
static int claim(struct faasctl_domain *domain)
{
	int state = atomic_load(&domain->state);

	if (state == STATE_STOPPED)
		return state;
	if ((state == STATE_IDLE || state == STATE_KEYED) &&
	    atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED))
		return state;
	return STATE_NONE;
}

static void set_inputs(struct faasctl_domain *domain, uint32_t inputs, int state)
{
	domain->inputs = inputs;
	if (state == STATE_KEYED)
		gate_keys(domain);
	atomic_store(&domain->state, state);
}

static bool is_input(const struct faasctl_input *input)
{
	uintptr_t at = (uintptr_t)input - (uintptr_t)domains->inputs;

	return at < sizeof(domains->inputs) && !(at % sizeof(*input)) && input->memory;
}

static int no_input(struct faasctl_error *err)
{
	return faasctl__fail(err, EINVAL, "this is no input: it was freed before");
}

FAASCTL_API int faasctl_input_share(struct faasctl_input *input,
				    struct faasctl_domain *domain,
				    struct faasctl_error *err)
{
	int ret = check_domain(domain, err), state;

	if (ret)
		return ret;
	pthread_mutex_lock(&domains->lock);
	if (!is_input(input)) {
		ret = no_input(err);
		goto unlock;
	}
	state = claim(domain);
	if (state == STATE_NONE)
		ret = busy(domain, err);
	else
		set_inputs(domain, domain->inputs | 1u << (input - domains->inputs), state);
unlock:
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

/* Takes an input from all that can read it, or from none. The lock is held. */
static int take_from_all(uint32_t bit, struct faasctl_error *err)
{
	struct faasctl_domain *d, *in_use = NULL;
	unsigned char states[SLOTS];
	unsigned int i, n;

	for (n = 0; n < SLOTS && !in_use; n++) {
		d = &domains->domains[n];
		states[n] = STATE_NONE;
		if (atomic_load(&d->state) == STATE_NONE || !(d->inputs & bit))
			continue;
		states[n] = claim(d);
		if (states[n] == STATE_NONE)
			in_use = d;
	}
	for (i = 0; i < n; i++) {
		d = &domains->domains[i];
		if (states[i] != STATE_NONE)
			set_inputs(d, in_use ? d->inputs : d->inputs & ~bit, states[i]);
	}
	return in_use ? busy(in_use, err) : 0;
}

FAASCTL_API int faasctl_input_free(struct faasctl_input *input,
				   struct faasctl_error *err)
{
	int ret = outside_only(err);

	if (ret || !input)
		return input ? ret : 0;
	pthread_mutex_lock(&domains->lock);
	ret = is_input(input) ? take_from_all(1u << (input - domains->inputs), err) :
				no_input(err);
	if (!ret) {
		munmap(input->memory, input->size);
		close(input->fd);
		if (input->key) {
			domains->running_keys++;
			key_return(input->key);
		}
		memset(input, 0, sizeof(*input));
	}
	pthread_mutex_unlock(&domains->lock);
	return ret;
}
