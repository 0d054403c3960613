// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Readings, their differences, and the stage that the others wait for. Knows neither
 * the tool nor the kernel: a reading is what rates_add() is told between
 * rates_begin() and rates_end().
 */
#include "monotonic.h"
#include "rates.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NSEC	1e9

/* Whatever the counters say: rates and times are to fit into integers. */
#define LARGEST		1e18

/* By its ends: what was linked again is the same link, and its counters go on. */
static int compare_links(const void *a, const void *b)
{
	const struct faasctl_link *x = a, *y = b;
	int order = strcmp(x->workflow, y->workflow);

	if (!order)
		order = strcmp(x->src_stage, y->src_stage);
	if (!order)
		order = strcmp(x->src_port, y->src_port);
	if (!order)
		order = strcmp(x->dst_stage, y->dst_stage);
	return order ? order : strcmp(x->dst_port, y->dst_port);
}

static int compare_stages(const void *a, const void *b)
{
	const struct rates_stage *x = a, *y = b;
	int order = strcmp(x->workflow, y->workflow);

	return order ? order : strcmp(x->name, y->name);
}

/* ------------------------------------------------------------------ stages */

static void stage_put(struct rates *rates, struct rates_stage *stage)
{
	if (!stage || --stage->links)
		return;
	tdelete(stage, &rates->by_name, compare_stages);
	free(stage);
}

static struct rates_stage *stage_get(struct rates *rates, const char *workflow,
				     const char *name)
{
	struct rates_stage *stage = calloc(1, sizeof(*stage)), **found;

	if (!stage)
		return NULL;
	snprintf(stage->workflow, sizeof(stage->workflow), "%s", workflow);
	snprintf(stage->name, sizeof(stage->name), "%s", name);
	found = tsearch(stage, &rates->by_name, compare_stages);
	if (!found || *found != stage)
		free(stage);
	if (!found)
		return NULL;
	(*found)->links++;
	return *found;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* A stage has several links, and is judged once. */
static void judge(struct rates_stage *stage, unsigned int serial,
		  struct rates_stage ***end)
{
	if (stage->serial == serial)
		return;
	stage->serial = serial;
	stage->bottleneck = bottleneck_share(&stage->waits);
	stage->next = NULL;
	if (!stage->bottleneck)
		return;
	**end = stage;
	*end = &stage->next;
}

static void judge_stages(struct rates *rates)
{
	struct rates_stage **end = &rates->bottlenecks;
	struct rates_link *link;
	size_t i;

	for (i = 0; i < rates->n; i++) {
		memset(&rates->links[i]->src->waits, 0, sizeof(struct stage_waits));
		memset(&rates->links[i]->dst->waits, 0, sizeof(struct stage_waits));
	}
	for (i = 0; i < rates->n; i++) {
		link = rates->links[i];
		if (link->known)
			stage_waits_add(&link->src->waits, &link->dst->waits, &link->waits);
	}
	rates->bottlenecks = NULL;
	for (i = 0; i < rates->n; i++) {
		judge(rates->links[i]->src, rates->serial, &end);
		judge(rates->links[i]->dst, rates->serial, &end);
	}
}

/* ------------------------------------------------------------------- links */

static void link_free(struct rates *rates, struct rates_link *link)
{
	tdelete(&link->link, &rates->by_ends, compare_links);
	stage_put(rates, link->src);
	stage_put(rates, link->dst);
	free(link);
}

/* Its strings are its own. */
static void link_name(struct rates_link *link)
{
	link->link.workflow = link->src->workflow;
	link->link.src_stage = link->src->name;
	link->link.src_port = link->src_port;
	link->link.dst_stage = link->dst->name;
	link->link.dst_port = link->dst_port;
}

static struct rates_link *link_new(struct rates *rates,
				   const struct faasctl_link *from)
{
	struct rates_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	snprintf(link->src_port, sizeof(link->src_port), "%s", from->src_port);
	snprintf(link->dst_port, sizeof(link->dst_port), "%s", from->dst_port);
	link->src = stage_get(rates, from->workflow, from->src_stage);
	link->dst = stage_get(rates, from->workflow, from->dst_stage);
	if (link->src && link->dst)
		link_name(link);
	if (!link->src || !link->dst ||
	    !tsearch(&link->link, &rates->by_ends, compare_links)) {
		stage_put(rates, link->src);
		stage_put(rates, link->dst);
		free(link);
		return NULL;
	}
	link->id = ++rates->ids;
	return link;
}

/* The link with these ends. Most often it is where it was the last time. */
static struct rates_link *link_find(struct rates *rates, const struct faasctl_link *from)
{
	struct faasctl_link **found;

	if (rates->n_next < rates->n &&
	    rates->links[rates->n_next]->link.generation == from->generation)
		return rates->links[rates->n_next];
	found = tfind(from, &rates->by_ends, compare_links);
	return found ? (struct rates_link *)*found : NULL;
}

/* Copies what was read; all strings become the link's own. */
static void link_set(struct rates_link *link, const struct faasctl_link *from)
{
	bool by_reader = from->last.stage && !strcmp(from->last.stage, from->dst_stage);

	link->before = link->link.stats;
	link->link = *from;
	link_name(link);
	if (from->last.comm) {
		snprintf(link->cause_comm, sizeof(link->cause_comm), "%s", from->last.comm);
		link->link.last.comm = link->cause_comm;
	}
	if (from->last.stage)
		link->link.last.stage = by_reader ? link->dst->name : link->src->name;
}

static double grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static double a_second(double count, double ns)
{
	return least(count * NSEC / ns, LARGEST);
}

static void link_remember(struct rates_link *link)
{
	struct rates_sample *sample = &link->history[link->samples++ % RATES_HISTORY];

	sample->bytes = link->bytes_out;
	sample->fill = link->fill * 100 + 0.5;
	sample->writer = link->waits.writers * 100 + 0.5;
	sample->reader = link->waits.readers * 100 + 0.5;
}

static void link_rate(struct rates_link *link, uint64_t interval_ns)
{
	const struct faasctl_stats *now = &link->link.stats, *before = &link->before;
	double ns = interval_ns, left;

	left = grown(now->bytes_out + now->bytes_dropped,
		     before->bytes_out + before->bytes_dropped);
	link->bytes_in = a_second(grown(now->bytes_in, before->bytes_in), ns);
	link->bytes_out = a_second(grown(now->bytes_out, before->bytes_out), ns);
	link->waits = link_waits(before, now);
	link->wakes = a_second(grown(now->reader_wakes, before->reader_wakes) +
			       grown(now->writer_wakes, before->writer_wakes), ns);
	/* What is held, between the readings, as far as they show. */
	link->residence_ns = left > 0 ?
		least(((double)now->bytes_held + before->bytes_held) / 2 * ns / left,
		      LARGEST) : -1;
	link_remember(link);
}

/* ---------------------------------------------------------------- readings */

/* Begins a reading: rates_add() for each link, then rates_end(). */
void rates_begin(struct rates *rates)
{
	rates->serial++;
	rates->n_next = 0;
}

static int grow(struct rates *rates)
{
	size_t room = rates->room ? 2 * rates->room : 64;
	struct rates_link **links;

	links = reallocarray(rates->links, room, sizeof(*links));
	if (!links)
		return -ENOMEM;
	rates->links = links;
	links = reallocarray(rates->next, room, sizeof(*links));
	if (!links)
		return -ENOMEM;
	rates->next = links;
	rates->room = room;
	return 0;
}

/* A faasctl_link_fn. Returns 0 or -ENOMEM. */
int rates_add(const struct faasctl_link *from, void *arg)
{
	struct rates *rates = arg;
	struct rates_link *link = link_find(rates, from);

	if (rates->n_next == rates->room && grow(rates))
		return -ENOMEM;
	if (link && link->serial == rates->serial)
		return 0;
	if (link)
		link->known = !stats_restarted(&link->link.stats, &from->stats);
	else
		link = link_new(rates, from);
	if (!link)
		return -ENOMEM;
	link_set(link, from);
	link->fill = from->capacity ?
		     least((double)from->stats.bytes_held / from->capacity, 1) : 0;
	link->serial = rates->serial;
	rates->next[rates->n_next++] = link;
	return 0;
}

/* Ends a reading that was made at @time_ns: links that it did not have are gone. */
void rates_end(struct rates *rates, uint64_t time_ns)
{
	struct rates_link **old = rates->links;
	size_t i;

	for (i = 0; i < rates->n; i++)
		if (old[i]->serial != rates->serial)
			link_free(rates, old[i]);
	rates->links = rates->next;
	rates->next = old;
	rates->n = rates->n_next;
	rates->interval_ns = rates->time_ns && time_ns > rates->time_ns ?
			     time_ns - rates->time_ns : 0;
	rates->time_ns = time_ns;
	for (i = 0; i < rates->n; i++) {
		rates->links[i]->known &= rates->interval_ns > 0;
		if (rates->links[i]->known)
			link_rate(rates->links[i], rates->interval_ns);
	}
	judge_stages(rates);
}

/**
 * struct reading - what is told of links, with the time
 * @rates: who is told
 * @heard_ns: when the first was told of: all have been read then
 */
struct reading {
	struct rates *rates;
	uint64_t heard_ns;
};

static int hear(const struct faasctl_link *link, void *arg)
{
	struct reading *reading = arg;

	if (!reading->heard_ns)
		reading->heard_ns = monotonic_ns();
	return rates_add(link, reading->rates);
}

/*
 * Reads the counters of all links of @workflow, or of all there are; returns 0 or what
 * faasctl_link_each() did, and then there are none.
 */
int rates_read(struct rates *rates, struct faasctl *ctl, const char *workflow,
	       struct faasctl_error *err)
{
	struct reading reading = { .rates = rates };
	uint64_t begun = monotonic_ns();
	int ret;

	err->code = 0;
	rates_begin(rates);
	ret = faasctl_link_each(ctl, workflow, NULL, hear, &reading, err);
	if (ret == -ENOMEM && err->code != ENOMEM) {
		err->code = ENOMEM;
		snprintf(err->message, sizeof(err->message), "out of memory");
	}
	if (!reading.heard_ns)
		reading.heard_ns = monotonic_ns();
	/* Each link was read at its own moment; this is the middle of them. */
	rates_end(rates, begun + (reading.heard_ns - begun) / 2);
	return ret;
}

void rates_free(struct rates *rates)
{
	rates_begin(rates);
	rates_end(rates, 0);
	free(rates->links);
	free(rates->next);
	memset(rates, 0, sizeof(*rates));
}
