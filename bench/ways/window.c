// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: memory of the link's own, filled by one side and mapped by the other. Sealed ones are
 * taken away from who sends, trusted ones stay mapped.
 */
#include "way.h"

#define WORKFLOW	"bench-window"
#define TRUSTED_WORKFLOW "bench-trusted"
#define CAPACITY	(64u * MIB)

static struct faasctl_error err;

static void setup(const char *workflow, unsigned int flags)
{
	static const uint64_t capacities[2] = { CAPACITY, CAPACITY };

	make_links(workflow, capacities, flags);
}

static void setup_sealed(void)
{
	setup(WORKFLOW, 0);
}

static void setup_trusted(void)
{
	setup(TRUSTED_WORKFLOW, FAASCTL_TRUSTED);
}

static void teardown_sealed(void)
{
	remove_links(WORKFLOW);
}

static void teardown_trusted(void)
{
	remove_links(TRUSTED_WORKFLOW);
}

static void open_window(struct lane *lane)
{
	open_link(lane->way->workflow, lane->nr, lane->ends, O_RDWR);
}

static void begin_window(struct lane *lane, bool producer)
{
	bytes_begin(lane, producer);
	if (faasctl_window_open(&lane->window, lane->ends[producer], &err))
		die("%s", err.message);
}

static char *memory_window(struct lane *lane, size_t size)
{
	void *at;

	if (faasctl_window_alloc(lane->window, size, &at, &err))
		die("%s", err.message);
	return at;
}

static void send_window(struct lane *lane, char *from, size_t size)
{
	struct iovec part = { from, size };

	if (faasctl_window_send(lane->window, &part, 1, &err))
		die("%s", err.message);
}

/* It is touched always: nothing else shows that it came. */
static size_t receive_window(struct lane *lane, size_t size)
{
	size_t all = 0;
	int i;

	lane->n_taken = faasctl_window_receive(lane->window, lane->taken, PARTS, &err);
	if (lane->n_taken < 0)
		die("%s", err.message);
	for (i = 0; i < lane->n_taken; i++) {
		touch(lane->taken[i].iov_base, lane->taken[i].iov_len);
		all += lane->taken[i].iov_len;
	}
	return all;
}

static void done_window(struct lane *lane)
{
	if (faasctl_window_release(lane->window, lane->taken, lane->n_taken, &err))
		die("%s", err.message);
}

static void close_window(struct lane *lane)
{
	faasctl_window_close(lane->window);
	bytes_close(lane);
}

#define WINDOW_WAY(name_, key_, workflow_)						\
	.name = name_, .key = key_, .workflow = workflow_,				\
	.uses = WAY_STREAM | WAY_TRIP | WAY_HANDOFF, .open = open_window,		\
	.begin = begin_window, .memory = memory_window, .send = send_window,		\
	.receive = receive_window, .done = done_window, .close = close_window

const struct way way_sealed = {
	WINDOW_WAY("sealed window", "sealed", WORKFLOW),
	.setup = setup_sealed, .teardown = teardown_sealed,
};

const struct way way_trusted = {
	WINDOW_WAY("trusted window", "trusted", TRUSTED_WORKFLOW),
	.setup = setup_trusted, .teardown = teardown_trusted,
};
