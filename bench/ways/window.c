// SPDX-License-Identifier: GPL-2.0
/* Sealed windows: memory of the link's own, filled by one side and mapped by the other. */
#include "way.h"

#define WORKFLOW	"bench-window"
#define CAPACITY	(64u * MIB)

static struct faasctl_error err;

static void setup_sealed(void)
{
	static const uint64_t capacities[2] = { CAPACITY, CAPACITY };

	make_links(WORKFLOW, capacities);
}

static void teardown_sealed(void)
{
	remove_links(WORKFLOW);
}

static void open_sealed(struct lane *lane)
{
	open_link(WORKFLOW, lane->nr, lane->ends, O_RDWR);
}

static void begin_sealed(struct lane *lane, bool producer)
{
	bytes_begin(lane, producer);
	if (faasctl_window_open(&lane->window, lane->ends[producer], &err))
		die("%s", err.message);
}

static char *memory_sealed(struct lane *lane, size_t size)
{
	void *at;

	if (faasctl_window_alloc(lane->window, size, &at, &err))
		die("%s", err.message);
	return at;
}

static void send_sealed(struct lane *lane, char *from, size_t size)
{
	struct iovec part = { from, size };

	if (faasctl_window_send(lane->window, &part, 1, &err))
		die("%s", err.message);
}

/* It is touched always: nothing else shows that it came. */
static size_t receive_sealed(struct lane *lane, size_t size)
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

static void done_sealed(struct lane *lane)
{
	if (faasctl_window_release(lane->window, lane->taken, lane->n_taken, &err))
		die("%s", err.message);
}

static void close_sealed(struct lane *lane)
{
	faasctl_window_close(lane->window);
	bytes_close(lane);
}

const struct way way_sealed = {
	.name = "sealed window", .key = "sealed", .workflow = WORKFLOW,
	.uses = WAY_STREAM | WAY_TRIP | WAY_HANDOFF,
	.setup = setup_sealed, .teardown = teardown_sealed, .open = open_sealed,
	.begin = begin_sealed, .memory = memory_sealed, .send = send_sealed,
	.receive = receive_sealed, .done = done_sealed, .close = close_sealed,
};
