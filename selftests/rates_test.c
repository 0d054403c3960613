// SPDX-License-Identifier: GPL-2.0
/*
 * What faasctl top makes of counters: rates, residence, bottlenecks; links that come and
 * go. The counters are given here; no module is needed.
 */
#include <faasctl.h>
#include "../faasctl/rates.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define SECOND	1000000000ull
#define MS	1000000ull

/**
 * struct recorded - a link in the second between two readings
 * @src: the stage that writes
 * @dst: the stage that reads
 * @bytes: that moved
 * @writer_ms: that writers were blocked
 * @reader_ms: that readers were
 * @at_rest: no stream is open
 */
struct recorded {
	const char *src;
	const char *dst;
	uint64_t bytes;
	uint64_t writer_ms;
	uint64_t reader_ms;
	bool at_rest;
};

static struct faasctl_link as_link(const struct recorded *r, int i, int second)
{
	return (struct faasctl_link){
		.workflow = "wf1",
		.src_stage = r->src,
		.src_port = FAASIN_PORT_OUT,
		.dst_stage = r->dst,
		.dst_port = FAASIN_PORT_IN,
		.generation = 10 + i,
		.capacity = 1 << 20,
		.stats = {
			.bytes_in = 5000 + r->bytes * second,
			.bytes_out = 5000 + r->bytes * second,
			.writer_blocked_ns = 7 * SECOND + r->writer_ms * MS * second,
			.reader_blocked_ns = 9 * SECOND + r->reader_ms * MS * second,
			.linked_ns = (20 + second) * SECOND,
			.streams_begun = 3,
			.streams_ended = r->at_rest ? 3 : 2,
		},
	};
}

static void read_links(struct rates *rates, const struct recorded *recorded, int n, int second)
{
	struct faasctl_link link;
	int i;

	rates_begin(rates);
	for (i = 0; i < n; i++) {
		link = as_link(&recorded[i], i, second);
		rates_add(&link, rates);
	}
	rates_end(rates, (100 + second) * SECOND);
}

/* ------------------------------------------------------------- bottlenecks */

#define LINKS_MAX	4

FIXTURE(bottleneck)
{
	struct rates rates;
};

FIXTURE_VARIANT(bottleneck)
{
	struct recorded links[LINKS_MAX];
	const char *want;	/* stages, a blank before each */
};

/* What a guest showed of pipelines of three whose slow stage slept for each block. */
FIXTURE_VARIANT_ADD(bottleneck, first) {
	.links = { { "a", "b", 130100, 0, 1000 }, { "b", "c", 130100, 0, 1000 } },
	.want = " a",
};

FIXTURE_VARIANT_ADD(bottleneck, middle) {
	.links = { { "a", "b", 282300, 1000, 0 }, { "b", "c", 282300, 0, 1000 } },
	.want = " b",
};

FIXTURE_VARIANT_ADD(bottleneck, last) {
	.links = { { "a", "b", 130500, 1000, 0 }, { "b", "c", 130500, 1000, 0 } },
	.want = " c",
};

/* The rest was made up. The stage has not been started, or hangs. */
FIXTURE_VARIANT_ADD(bottleneck, middle_hangs) {
	.links = { { "a", "b", 0, 1000, 0 }, { "b", "c", 0, 0, 1000 } },
	.want = " b",
};

FIXTURE_VARIANT_ADD(bottleneck, first_hangs) {
	.links = { { "a", "b", 0, 0, 1000 }, { "b", "c", 0, 0, 1000 } },
	.want = " a",
};

FIXTURE_VARIANT_ADD(bottleneck, nobody_writes) {
	.links = { { "a", "b", 0, 0, 1000, true }, { "b", "c", 0, 0, 1000, true } },
	.want = "",
};

FIXTURE_VARIANT_ADD(bottleneck, nobody_runs) {
	.links = { { "a", "b", 0, 0, 0, true }, { "b", "c", 0, 0, 0, true } },
	.want = "",
};

/* All are as fast as each other. */
FIXTURE_VARIANT_ADD(bottleneck, balanced) {
	.links = { { "a", "b", 40000000, 90, 110 }, { "b", "c", 40000000, 120, 80 } },
	.want = "",
};

/* b is slow, c is slower. */
FIXTURE_VARIANT_ADD(bottleneck, two_are_slow) {
	.links = { { "a", "b", 655360, 950, 0 }, { "b", "c", 655360, 480, 0 }, { "c", "d", 655360, 0, 960 } },
	.want = " c",
};

/* j waits for b on one input; a, on the other, waits for j and is not to blame. */
FIXTURE_VARIANT_ADD(bottleneck, one_of_two_inputs) {
	.links = { { "a", "j", 655360, 960, 0 }, { "b", "j", 655360, 0, 950 }, { "j", "c", 1310720, 0, 970 } },
	.want = " b",
};

/* d reads one of b's outputs too slowly: b cannot serve c. */
FIXTURE_VARIANT_ADD(bottleneck, one_of_two_outputs) {
	.links = { { "a", "b", 655360, 960, 0 }, { "b", "c", 655360, 0, 950 }, { "b", "d", 655360, 970, 0 } },
	.want = " d",
};

FIXTURE_VARIANT_ADD(bottleneck, one_in_each_pipeline) {
	.links = { { "a", "b", 1310720, 0, 978 }, { "x", "y", 1310720, 964, 0 } },
	.want = " a y",
};

FIXTURE_SETUP(bottleneck)
{
}

FIXTURE_TEARDOWN(bottleneck)
{
	rates_free(&self->rates);
}

TEST_F(bottleneck, is_named)
{
	const struct rates_stage *stage;
	char names[64] = "";
	int n = 0;

	while (n < LINKS_MAX && variant->links[n].src)
		n++;
	read_links(&self->rates, variant->links, n, 0);
	EXPECT_EQ(NULL, self->rates.bottlenecks);
	read_links(&self->rates, variant->links, n, 1);
	for (stage = self->rates.bottlenecks; stage; stage = stage->next) {
		strcat(names, " ");
		strcat(names, stage->name);
		EXPECT_STREQ("wf1", stage->workflow);
		EXPECT_LE(BOTTLENECK_LEAST, stage->bottleneck);
		EXPECT_GE(1, stage->bottleneck);
	}
	EXPECT_STREQ(variant->want, names);
}

/* ------------------------------------------------------------------- rates */

FIXTURE(rates)
{
	struct rates rates;
	struct faasctl_link link;
};

FIXTURE_SETUP(rates)
{
	const struct recorded r = { .src = "a", .dst = "b" };

	self->link = as_link(&r, 0, 0);
}

FIXTURE_TEARDOWN(rates)
{
	rates_free(&self->rates);
}

static struct rates_link *read_one(struct rates *rates, struct faasctl_link *link, uint64_t ns)
{
	rates_begin(rates);
	rates_add(link, rates);
	rates_end(rates, ns);
	return rates->links[0];
}

TEST_F(rates, are_differences_by_time)
{
	const struct rates_link *link = read_one(&self->rates, &self->link, 100 * SECOND);
	struct faasctl_stats *stats = &self->link.stats;

	EXPECT_FALSE(link->known);
	EXPECT_EQ(0, self->rates.interval_ns);
	stats->bytes_in += 3000;
	stats->bytes_out += 1000;
	stats->bytes_held = 1 << 19;
	stats->reader_wakes += 3;
	stats->writer_wakes += 2;
	stats->writer_blocked_ns += SECOND / 2;
	stats->reader_blocked_ns += 3 * SECOND;
	stats->linked_ns += 2 * SECOND;
	link = read_one(&self->rates, &self->link, 102 * SECOND);
	EXPECT_TRUE(link->known);
	EXPECT_EQ(2 * SECOND, self->rates.interval_ns);
	EXPECT_EQ(1500, link->bytes_in);
	EXPECT_EQ(500, link->bytes_out);
	EXPECT_EQ(0.5, link->fill);
	EXPECT_EQ(2.5, link->wakes);
	EXPECT_EQ(0.25, link->waits.writers);
	/* Two of them, all the time. */
	EXPECT_EQ(1, link->waits.readers);
	/* 256 KiB on average, of which 500 bytes leave a second. */
	EXPECT_EQ(0x40000 * SECOND / 500, (uint64_t)link->residence_ns);
	EXPECT_EQ(1000, link->link.stats.bytes_out - link->before.bytes_out);
}

TEST_F(rates, residence_is_unknown_while_nothing_leaves)
{
	self->link.stats.bytes_held = 4096;
	read_one(&self->rates, &self->link, SECOND);
	EXPECT_GT(0, read_one(&self->rates, &self->link, 2 * SECOND)->residence_ns);
	/* What is dropped leaves, too. */
	self->link.stats.bytes_dropped += 4096;
	EXPECT_EQ(SECOND, read_one(&self->rates, &self->link, 3 * SECOND)->residence_ns);
}

/* A link that was made again is the one that was there: its counters go on. */
TEST_F(rates, another_generation_is_the_same_link)
{
	const struct rates_link *link;
	uint64_t id;

	read_one(&self->rates, &self->link, SECOND);
	id = read_one(&self->rates, &self->link, 2 * SECOND)->id;
	self->link.generation++;
	self->link.stats.bytes_out += 500;
	self->link.stats.linked_ns += SECOND / 2;
	self->link.stats.writer_blocked_ns += SECOND / 4;
	link = read_one(&self->rates, &self->link, 3 * SECOND);
	EXPECT_TRUE(link->known);
	EXPECT_EQ(500, link->bytes_out);
	/* Of the time that there was a link. */
	EXPECT_EQ(0.5, link->waits.writers);
	EXPECT_EQ(id, link->id);
	EXPECT_EQ(2, (int)link->samples);
	EXPECT_EQ(self->link.generation, link->link.generation);
	EXPECT_EQ(1, (int)self->rates.n);
}

/* Its stages were deleted and made again, and so its counters began anew. */
TEST_F(rates, counters_that_begin_anew_are_no_difference)
{
	read_one(&self->rates, &self->link, SECOND);
	read_one(&self->rates, &self->link, 2 * SECOND);
	self->link.generation++;
	self->link.stats = (struct faasctl_stats){ .bytes_in = 10, .bytes_out = 1 };
	EXPECT_FALSE(read_one(&self->rates, &self->link, 3 * SECOND)->known);
	EXPECT_EQ(1, (int)self->rates.n);
	self->link.stats.bytes_out = 2;
	EXPECT_EQ(1, read_one(&self->rates, &self->link, 4 * SECOND)->bytes_out);
}

/* Another port is another link, though the stages are the same. */
TEST_F(rates, other_ports_are_other_links)
{
	read_one(&self->rates, &self->link, SECOND);
	self->link.generation++;
	self->link.dst_port = "other";
	EXPECT_FALSE(read_one(&self->rates, &self->link, 2 * SECOND)->known);
}

TEST_F(rates, the_history_keeps_the_last)
{
	const struct rates_link *link;
	int i;

	for (i = 0; i <= RATES_HISTORY + 5; i++) {
		self->link.stats.bytes_out += i;
		link = read_one(&self->rates, &self->link, (1 + i) * SECOND);
	}
	EXPECT_EQ(RATES_HISTORY + 5, (int)link->samples);
	for (i = 0; i < RATES_HISTORY; i++)
		EXPECT_EQ(6 + i, (int)link->history[(5 + i) % RATES_HISTORY].bytes);
}

/* Those that are known in another order, with new ones between and old ones gone. */
TEST_F(rates, links_come_and_go_in_any_order)
{
	uint64_t number, round;
	char port[24];
	size_t i;

	self->link.dst_port = port;
	for (round = 0; round < 20; round++) {
		rates_begin(&self->rates);
		for (i = 0; i < 300; i++) {
			number = 1 + (round & 1 ? 299 - i : i) + round * 40;
			snprintf(port, sizeof(port), "%llu", (unsigned long long)number);
			/* Every other one was made again. */
			self->link.generation = number + (i & 1) * 1000 * round;
			self->link.stats.bytes_out = number * (round + 1);
			ASSERT_EQ(0, rates_add(&self->link, &self->rates));
		}
		/* The kernel would not, but if it says one twice, it is there once. */
		ASSERT_EQ(0, rates_add(&self->link, &self->rates));
		rates_end(&self->rates, (round + 1) * SECOND);
		ASSERT_EQ(300, (int)self->rates.n);
		for (i = 0; i < self->rates.n; i++) {
			const struct rates_link *link = self->rates.links[i];

			number = strtoull(link->link.dst_port, NULL, 10);
			EXPECT_EQ(round && number <= 300 + 40 * (round - 1), link->known);
			if (link->known)
				EXPECT_EQ(number, (uint64_t)link->bytes_out);
		}
	}
	EXPECT_EQ(600, (int)self->rates.links[0]->src->links + (int)self->rates.links[0]->dst->links);
}

TEST_HARNESS_MAIN
