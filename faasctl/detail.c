// SPDX-License-Identifier: LGPL-2.1-or-later
/* One link of `faasctl top`: its counters and its history. */
#include <curses.h>

#include "residence.h"
#include "screen.h"

/* Where values begin. */
#define VALUE		11

/* The chart: its first line, and what it needs of the screen's. */
#define CHART		12
#define CHART_MIN	3

/* Lines of the history below the chart, and the screen's last. */
#define BELOW		(3 + 1)

/* What a column of the histogram takes, its label among that. */
#define SLOT		8

/* Eighths of a character's height. */
#define LEVELS		8

static const char *level(int eighths)
{
	static const char *const wide[LEVELS + 1] = {
		" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"
	};
	static const char *const plain_text[LEVELS + 1] = {
		" ", "_", "_", ".", ".", "-", "=", "#", "#"
	};

	eighths = eighths < 0 ? 0 : eighths > LEVELS ? LEVELS : eighths;
	return (utf8() ? wide : plain_text)[eighths];
}

/* How many readings there are to show, and the index of the oldest of them. */
static int span(const struct rates_link *link, unsigned int *oldest)
{
	int n = link->samples < RATES_HISTORY ? link->samples : RATES_HISTORY;

	if (n > COLS - VALUE)
		n = COLS - VALUE;
	*oldest = link->samples - n;
	return n;
}

static const struct rates_sample *sample(const struct rates_link *link, unsigned int i)
{
	return &link->history[i % RATES_HISTORY];
}

/* A column below line @y, @width wide, that is such a share of @height. */
static void draw_column(int y, int x, int width, int height, double share)
{
	double high = share * height;
	int line, i;

	/* What is not nothing looks so. */
	if (high > 0 && high * LEVELS < 1)
		high = 1.0 / LEVELS;
	for (line = 0; line < height; line++)
		for (i = 0; i < width; i++)
			draw_text(y + height - line, x + i, "%s", level((high - line) * LEVELS));
}

/* Columns as high as the rate was; returns the line below. */
static int draw_chart(const struct rates_link *link, int y)
{
	int height = LINES - y - BELOW - 1, n, i;
	unsigned int oldest;
	double highest = 0;

	n = span(link, &oldest);
	for (i = 0; i < n; i++)
		if (sample(link, oldest + i)->bytes > highest)
			highest = sample(link, oldest + i)->bytes;
	if (height < CHART_MIN)
		return y;
	draw_text(y, 0, "rate of the last %d readings; the highest: %s/s", n,
		  text_bytes(highest).s);
	for (i = 0; i < n && highest > 0; i++)
		draw_column(y, VALUE + i, 1, height, sample(link, oldest + i)->bytes / highest);
	return y + height + 1;
}

/* Bytes by how long they stayed, a column for each power of two; returns the line below. */
static int draw_histogram(const struct histogram *h, int y)
{
	int height = LINES - y - BELOW - 2;
	unsigned int first, last, slot, most_shown = (COLS - VALUE) / SLOT;
	uint64_t most;

	histogram_range(h, &first, &last, &most);
	if (height < CHART_MIN || first > last)
		return y;
	/* Those that stayed longest are of more interest. */
	if (last - first >= most_shown)
		first = last - most_shown + 1;
	draw_text(y, 0, "bytes by how long they stayed since that is measured: at least");
	for (slot = first; slot <= last; slot++) {
		int x = VALUE + (slot - first) * SLOT;

		draw_column(y, x, 3, height, (double)h->slots[slot] / most);
		draw_text(y + height + 1, x, "%s",
			  text_time(slot ? 1000ull << slot : 0).s);
	}
	return y + height + 2;
}

/* A line of per cents. */
static void draw_line(const struct rates_link *link, int y, const char *name, size_t member)
{
	unsigned int oldest;
	int n = span(link, &oldest), i, value;

	draw_text(y, 0, "%s", name);
	for (i = 0; i < n; i++) {
		value = *((const uint8_t *)sample(link, oldest + i) + member);
		draw_text(y, VALUE + i, "%s", level((value * LEVELS + 99) / 100));
	}
}

static void draw_numbers(const struct rates_link *link)
{
	const struct faasctl_stats *stats = &link->link.stats;
	int y = 3;

	draw_text(y, 0, "rate");
	draw_text(y++, VALUE, link->known ? "%s/s in, %s/s out" : "-",
		  text_bytes(link->bytes_in).s, text_bytes(link->bytes_out).s);
	draw_text(y, 0, "fill");
	draw_text(y++, VALUE, "%s, %s of %s", column_text(COLUMN_FILL, link).s,
		  text_bytes(stats->bytes_held).s,
		  text_capacity(link->link.capacity).s);
	draw_text(y, 0, "blocked");
	draw_text(y++, VALUE, "writers %s, readers %s of the time",
		  column_text(COLUMN_WRITER, link).s,
		  column_text(COLUMN_READER, link).s);
	draw_text(y, 0, "residence");
	if (link->residence)
		draw_text(y++, VALUE, "p50 %s, p99 %s, measured; %s on average, by Little's law",
			  column_text(COLUMN_P50, link).s, column_text(COLUMN_P99, link).s,
			  column_text(COLUMN_RESIDENCE, link).s);
	else
		draw_text(y++, VALUE, "%s on average, by Little's law; l measures it",
			  column_text(COLUMN_RESIDENCE, link).s);
	draw_text(y, 0, "wake-ups");
	draw_text(y++, VALUE, "%s a second; ever: %llu of readers, %llu of writers",
		  column_text(COLUMN_WAKES, link).s,
		  (unsigned long long)stats->reader_wakes,
		  (unsigned long long)stats->writer_wakes);
	draw_text(y, 0, "bytes");
	draw_text(y++, VALUE, "%s in, %s out, %s dropped", text_bytes(stats->bytes_in).s,
		  text_bytes(stats->bytes_out).s, text_bytes(stats->bytes_dropped).s);
	draw_text(y, 0, "moved");
	draw_text(y++, VALUE, "%s in, %s out by reference; copied %s in, %s out",
		  text_bytes(stats->bytes_in_moved).s, text_bytes(stats->bytes_out_moved).s,
		  text_bytes(stats->bytes_in_copied).s, text_bytes(stats->bytes_out_copied).s);
	draw_text(y, 0, "streams");
	draw_text(y++, VALUE, "%llu begun, %llu ended, %llu aborted, %llu closed early",
		  (unsigned long long)stats->streams_begun,
		  (unsigned long long)stats->streams_ended,
		  (unsigned long long)stats->streams_aborted,
		  (unsigned long long)stats->early_closes);
}

void detail_draw(const struct rates_link *link)
{
	int y;

	if (column_is_bad(COLUMN_LINK, link))
		draw_red(true);
	draw_text(1, 0, "%s", column_name(link, COLS).s);
	if (column_is_bad(COLUMN_LINK, link))
		draw_red(false);
	draw_numbers(link);
	if (link->residence && histogram_count(&link->residence->ever))
		y = draw_histogram(&link->residence->ever, CHART);
	else
		y = draw_chart(link, CHART);
	draw_line(link, y, "fill", offsetof(struct rates_sample, fill));
	draw_line(link, y + 1, "w-blocked", offsetof(struct rates_sample, writer));
	draw_line(link, y + 2, "r-blocked", offsetof(struct rates_sample, reader));
}
