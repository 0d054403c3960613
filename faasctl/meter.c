// SPDX-License-Identifier: LGPL-2.1-or-later
/* The BPF programs of latency.bpf.c: loading, attaching, reading. */
#include <linux/types.h>

#include "meter.h"
#include "probes.h"

#ifdef FAASIN_BPF
#include <bpf/bpf.h>

#include "latency.skel.h"

/* The skeleton is all there is to it. */
static struct latency_bpf *skeleton(const struct meter *meter)
{
	return (struct latency_bpf *)meter;
}

int meter_open(struct meter **meter, size_t links)
{
	struct latency_bpf *skel;
	int ret;

	bpf_quiet();
	skel = latency_bpf__open();
	if (!skel)
		return -errno;
	skel->rodata->links_mask = links_room(skel->maps.links, links) - 1;
	bpf_map__set_max_entries(skel->maps.results, links);
	bpf_map__set_max_entries(skel->maps.queues, links);
	ret = latency_bpf__load(skel);
	if (ret) {
		latency_bpf__destroy(skel);
		return ret;
	}
	*meter = (struct meter *)skel;
	return 0;
}

int meter_add(struct meter *meter, uint32_t slot, uint64_t generation, uint64_t capacity)
{
	struct link_entry entry = {
		.slot = slot,
		/* Such parts of a full channel fit into half of a queue. */
		.grain = capacity / (QUEUE_PARTS / 4),
		.link = generation,
	};

	return links_add(skeleton(meter)->maps.links, &entry);
}

int meter_start(struct meter *meter)
{
	return latency_bpf__attach(skeleton(meter));
}

int meter_read(const struct meter *meter, uint32_t slot, struct latency_link *to)
{
	return bpf_map__lookup_elem(skeleton(meter)->maps.results, &slot, sizeof(slot), to,
				    sizeof(*to), 0);
}

void meter_close(struct meter *meter)
{
	latency_bpf__destroy(skeleton(meter));
}
#else
int meter_open(struct meter **meter, size_t links)
{
	return -ENOSYS;
}

int meter_add(struct meter *meter, uint32_t slot, uint64_t generation, uint64_t capacity)
{
	return -ENOSYS;
}

int meter_start(struct meter *meter)
{
	return -ENOSYS;
}

int meter_read(const struct meter *meter, uint32_t slot, struct latency_link *to)
{
	return -ENOSYS;
}

void meter_close(struct meter *meter)
{
}
#endif
