/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rates: what two readings of the counters make of each link, and which stages the
 * others wait for.
 */
#ifndef FAASCTL_RATES_H
#define FAASCTL_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bottleneck.h"

struct residence;

/* Readings that are remembered of each link. */
#define RATES_HISTORY	60

/**
 * struct rates_stage - a stage, as its links show it
 * @workflow: its workflow
 * @name: its name
 * @links: how many begin or end here
 * @waits: what they tell, of the last interval
 * @bottleneck: how much the others waited for it: a share; 0: it is none
 * @serial: of the reading in which that was found out
 * @next: the next bottleneck, or NULL
 */
struct rates_stage {
	char workflow[FAASIN_NAME_MAX + 1];
	char name[FAASIN_NAME_MAX + 1];
	unsigned int links;
	struct stage_waits waits;
	double bottleneck;
	unsigned int serial;
	struct rates_stage *next;
};

/**
 * struct rates_sample - what is remembered of a reading
 * @bytes: bytes out a second
 * @fill: per cent
 * @writer: per cent of the time that writers were blocked
 * @reader: per cent of the time that readers were blocked
 */
struct rates_sample {
	float bytes;
	uint8_t fill;
	uint8_t writer;
	uint8_t reader;
};

/**
 * struct rates_link - a link and what happened on it since the reading before
 * @link: as it was read last, with strings of its own; first, as the tree has it
 * @id: a number that no other link has or had; from 1 on
 * @src_port: of @link
 * @dst_port: likewise
 * @cause_comm: likewise
 * @before: its counters a reading earlier
 * @known: there was such a reading, so that what follows means something
 * @bytes_in: a second
 * @bytes_out: a second
 * @fill: share of the capacity that is held now
 * @waits: how much its sides were blocked
 * @residence_ns: how long a byte stays, on average, by Little's law: bytes held
 *	over bytes that leave; less than 0 if none left
 * @wakes: wake-ups a second, of both sides
 * @src: the stage that writes
 * @dst: the stage that reads
 * @serial: of the reading in which it was seen last
 * @residence: how long its bytes stayed, where that is measured, or NULL; whose it is
 *	who measures
 * @samples: how many readings are remembered, ever
 * @history: of these, the last ones; index modulo RATES_HISTORY
 */
struct rates_link {
	struct faasctl_link link;
	uint64_t id;
	char src_port[FAASIN_NAME_MAX + 1];
	char dst_port[FAASIN_NAME_MAX + 1];
	char cause_comm[32];
	struct faasctl_stats before;
	bool known;
	double bytes_in;
	double bytes_out;
	double fill;
	struct link_waits waits;
	double residence_ns;
	double wakes;
	struct rates_stage *src;
	struct rates_stage *dst;
	unsigned int serial;
	struct residence *residence;
	unsigned int samples;
	struct rates_sample history[RATES_HISTORY];
};

/**
 * struct rates - all links; initialised with zeroes
 * @links: in the order in which they were read
 * @n: how many
 * @bottlenecks: list of stages, in the order of their links
 * @interval_ns: between the last two readings; 0 before the second
 * @time_ns: of the last reading
 * @serial: its number
 * @next: what the reading under way has found
 * @n_next: how many
 * @room: of both arrays
 * @ids: the last @id
 * @by_ends: tree of links
 * @by_name: tree of stages
 */
struct rates {
	struct rates_link **links;
	size_t n;
	struct rates_stage *bottlenecks;
	uint64_t interval_ns;
	uint64_t time_ns;
	unsigned int serial;
	struct rates_link **next;
	size_t n_next;
	size_t room;
	uint64_t ids;
	void *by_ends;
	void *by_name;
};

int rates_read(struct rates *rates, struct faasctl *ctl, const char *workflow,
	       struct faasctl_error *err);
void rates_begin(struct rates *rates);
int rates_add(const struct faasctl_link *link, void *rates);
void rates_end(struct rates *rates, uint64_t time_ns);
void rates_free(struct rates *rates);

#endif /* FAASCTL_RATES_H */
