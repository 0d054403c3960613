// SPDX-License-Identifier: LGPL-2.1-or-later
/* What `faasctl top --latency` measures, reading by reading. */
#include "meter.h"
#include "probes.h"
#include "residence.h"

/* Begins with the links that were read last. Returns 0 or an error as of meter_open(). */
int residence_begin(struct top *top)
{
	int ret;

	top->meter_room = probes_room(top->rates.n);
	top->meter_used = 0;
	top->meter_full = false;
	top->residences = calloc(top->meter_room, sizeof(*top->residences));
	if (!top->residences)
		return -ENOMEM;
	ret = meter_open(&top->meter, top->meter_room);
	if (!ret)
		ret = residence_read(top);
	if (!ret)
		ret = meter_start(top->meter);
	if (ret)
		residence_end(top);
	return ret;
}

/* A slot for a link that has none, or whose own is that of the one before; if there are any. */
static int give_slot(struct top *top, struct rates_link *link)
{
	struct residence *residence = link->residence;
	int ret;

	if (residence && residence->generation == link->link.generation)
		return 0;
	link->residence = NULL;
	if (top->meter_used == top->meter_room) {
		top->meter_full = true;
		return 0;
	}
	ret = meter_add(top->meter, top->meter_used, link->link.generation, link->link.capacity);
	if (ret)
		return ret == -ENOSPC ? 0 : ret;
	residence = &top->residences[top->meter_used++];
	residence->generation = link->link.generation;
	link->residence = residence;
	return 0;
}

static int read_link(struct top *top, struct residence *residence)
{
	struct latency_link now;
	int ret = meter_read(top->meter, residence - top->residences, &now);

	if (ret)
		return ret;
	residence->last = now.kinds[LATENCY_RESIDENCE];
	histogram_sub(&residence->last, &residence->ever);
	residence->ever = now.kinds[LATENCY_RESIDENCE];
	return 0;
}

/* Of all links that were read last. Slots of links that are gone come back by beginning anew. */
int residence_read(struct top *top)
{
	struct rates *rates = &top->rates;
	struct rates_link *link;
	size_t i;
	int ret;

	if (top->meter_full && (top->meter_room < PROBES_MAX || rates->n <= PROBES_MAX / 2)) {
		residence_end(top);
		return residence_begin(top);
	}
	for (i = 0; i < rates->n; i++) {
		link = rates->links[i];
		ret = give_slot(top, link);
		if (!ret && link->residence)
			ret = read_link(top, link->residence);
		if (ret)
			return ret;
	}
	return 0;
}

void residence_end(struct top *top)
{
	size_t i;

	if (top->meter)
		meter_close(top->meter);
	top->meter = NULL;
	for (i = 0; i < top->rates.n; i++)
		top->rates.links[i]->residence = NULL;
	free(top->residences);
	top->residences = NULL;
}

/* So many percent of the bytes that left since the last reading stayed no longer; -1: unknown. */
int64_t residence_percentile_ns(const struct rates_link *link, unsigned int percent)
{
	if (!link->residence || !histogram_count(&link->residence->last))
		return -1;
	return histogram_percentile(&link->residence->last, percent) * 1000;
}
