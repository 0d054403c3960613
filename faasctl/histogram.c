// SPDX-License-Identifier: LGPL-2.1-or-later
/* Histograms by powers of two, printed as the well-known BPF tools do. */
#include <jansson.h>

#include "histogram.h"

#define BAR	40

static uint64_t slot_from(unsigned int slot)
{
	return slot ? 1ull << slot : 0;
}

static uint64_t slot_to(unsigned int slot)
{
	return (2ull << slot) - 1;
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
	unsigned int i;

	for (i = 0; i < HISTOGRAM_SLOTS; i++)
		to->slots[i] += from->slots[i];
	to->sum += from->sum;
}

/* How many values there are: of residence, bytes. */
uint64_t histogram_count(const struct histogram *h)
{
	uint64_t count = 0;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_SLOTS; i++)
		count += h->slots[i];
	return count;
}

/* What @to has more than @from, its past. */
void histogram_sub(struct histogram *to, const struct histogram *from)
{
	unsigned int i;

	for (i = 0; i < HISTOGRAM_SLOTS; i++)
		to->slots[i] -= from->slots[i];
	to->sum -= from->sum;
}

/* The upper end of the slot that so many percent of the values do not exceed. */
uint64_t histogram_percentile(const struct histogram *h, unsigned int percent)
{
	uint64_t total = histogram_count(h), seen = 0;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_SLOTS; i++) {
		seen += h->slots[i];
		if (seen && (double)seen * 100 >= (double)total * percent)
			return slot_to(i);
	}
	return 0;
}

/* The slots with values; *@first is behind all if there are none. *@most: in one of them. */
void histogram_range(const struct histogram *h, unsigned int *first, unsigned int *last,
		     uint64_t *most)
{
	unsigned int i;

	*first = HISTOGRAM_SLOTS;
	*last = 0;
	*most = 0;
	for (i = 0; i < HISTOGRAM_SLOTS; i++) {
		if (!h->slots[i])
			continue;
		if (*first == HISTOGRAM_SLOTS)
			*first = i;
		*last = i;
		if (h->slots[i] > *most)
			*most = h->slots[i];
	}
}

/* @unit: of the values; @what: is counted */
void histogram_print(const struct histogram *h, const char *unit,
		     const char *what)
{
	static const char stars[] = "****************************************";
	unsigned int first, last, i;
	uint64_t most;

	histogram_range(h, &first, &last, &most);
	printf("%12s %-12s : %-14s distribution\n", "", unit, what);
	for (i = first; i <= last; i++)
		printf("%12llu -> %-10llu: %-14llu |%-*.*s|\n",
		       (unsigned long long)slot_from(i),
		       (unsigned long long)slot_to(i),
		       (unsigned long long)h->slots[i], BAR,
		       (int)((double)h->slots[i] * BAR / most), stars);
}

json_t *histogram_json(const struct histogram *h, const char *unit)
{
	unsigned int first, last, i;
	json_t *slots = json_array();
	uint64_t most;

	histogram_range(h, &first, &last, &most);
	for (i = first; i <= last; i++)
		json_array_append_new(slots,
				      json_pack("{s:I, s:I, s:I}",
						"from", (json_int_t)slot_from(i),
						"to", (json_int_t)slot_to(i),
						"count", (json_int_t)h->slots[i]));
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}",
			 "unit", unit,
			 "count", (json_int_t)histogram_count(h),
			 "sum", (json_int_t)h->sum,
			 "p50", (json_int_t)histogram_percentile(h, 50),
			 "p99", (json_int_t)histogram_percentile(h, 99),
			 "buckets", slots);
}
