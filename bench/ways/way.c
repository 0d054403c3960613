// SPDX-License-Identifier: GPL-2.0
/* The ways, and what all of them need around their own functions. */
#include <sys/mman.h>

#include "way.h"

const struct way *const ways[] = {
	&way_faasin, &way_splice, &way_sendfile, &way_sealed, &way_trusted,
	&way_pipe, &way_pipe_1m, &way_fifo, &way_unix, &way_seqpacket,
	&way_memcpy, &way_process_vm, &way_memfd, &way_tmpfs, &way_redis, &way_nats,
};

const size_t n_ways = ARRAY_SIZE(ways);

static bool there[ARRAY_SIZE(ways)];

void touch(const char *at, size_t size)
{
	const volatile char *p = at;
	size_t i;

	for (i = 0; i < size; i += LINE)
		(void)p[i];
}

/* @use: ways that are not used for it stay away. */
void ways_setup(unsigned int use)
{
	const char *why;
	size_t w;

	for (w = 0; w < n_ways; w++) {
		if (!(ways[w]->uses & use))
			continue;
		why = ways[w]->missing ? ways[w]->missing() : NULL;
		there[w] = !why;
		if (why)
			progress("SKIPPED: %s: %s", ways[w]->name, why);
		else if (ways[w]->setup)
			ways[w]->setup();
	}
}

void ways_teardown(unsigned int use)
{
	size_t w;

	for (w = 0; w < n_ways; w++)
		if (there[w] && ways[w]->teardown)
			ways[w]->teardown();
}

bool way_takes(const struct way *way, unsigned int use, size_t size)
{
	size_t w;

	for (w = 0; ways[w] != way; w++)
		;
	return there[w] && way->uses & use && (!way->most || size <= way->most);
}

/* @size: the most that will be sent at once. */
void lane_open(struct lane *lane, const struct way *way, int nr, size_t size)
{
	memset(lane, 0, sizeof(*lane));
	lane->way = way;
	lane->nr = nr;
	lane->ends[0] = -1;
	lane->ends[1] = -1;
	lane->via[0] = -1;
	lane->via[1] = -1;
	lane->file = -1;
	lane->size = (size + 4095) / 4096 * 4096;
	way->open(lane);
}

void lane_begin(struct lane *lane, bool producer)
{
	/* Not before the fork: what the other process wrote to would be copied now. */
	lane->own = mmap(NULL, lane->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (lane->own == MAP_FAILED)
		die("no memory");
	lane->way->begin(lane, producer);
	memset(lane->own, 'x', lane->size);
}

/* Sends @size bytes that lie in the process's own memory. */
void lane_send(struct lane *lane, size_t size)
{
	char *from = lane->way->memory(lane, size);

	if (from != lane->own)
		memcpy(from, lane->own, size);
	lane->way->send(lane, from, size);
}

void lane_receive(struct lane *lane, size_t size)
{
	size_t n;

	for (; size; size -= n) {
		n = lane->way->receive(lane, size);
		if (!n || n > size)
			die("%s: %zu bytes came of %zu", lane->way->name, n, size);
	}
}

void lane_close(struct lane *lane)
{
	lane->way->close(lane);
	munmap(lane->own, lane->size);
}
