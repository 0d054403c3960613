// SPDX-License-Identifier: LGPL-2.1-or-later
/* The columns of `faasctl top`: their texts and what comes first in each. */
#include "residence.h"

/* A side that is blocked for so much of the time is worth a colour. */
#define BLOCKED_BAD	0.5

/* Characters of the bar that shows how full a link is. */
#define BAR		6

/**
 * struct column_row - a column
 * @word: what it is called in options
 * @title: what stands above it
 * @width: characters, a blank before it among them; that of the name varies
 */
static const struct column_row {
	const char *word;
	const char *title;
	int width;
} columns[] = {
	[COLUMN_LINK] = { "link", "LINK", 0 },
	[COLUMN_RATE] = { "rate", "RATE", 11 },
	[COLUMN_FILL] = { "fill", "FILL", 12 },
	[COLUMN_WRITER] = { "writer", "W-BLK", 6 },
	[COLUMN_READER] = { "reader", "R-BLK", 6 },
	/* Not measured: hence the tilde. */
	[COLUMN_RESIDENCE] = { "residence", "RESID~", 9 },
	[COLUMN_P50] = { "p50", "P50", 9 },
	[COLUMN_P99] = { "p99", "P99", 9 },
	[COLUMN_WAKES] = { "wakes", "WAKES/s", 8 },
};

/* For parse_word(). */
const char *column_word(uint32_t column)
{
	return column < COLUMNS ? columns[column].word : "unknown";
}

const char *column_title(enum column column)
{
	return columns[column].title;
}

/* It is empty unless how long bytes stay is measured. */
bool column_measured(enum column column)
{
	return column == COLUMN_P50 || column == COLUMN_P99;
}

/* What is measured stands for what is calculated. */
bool column_shown(enum column column, bool measured)
{
	return measured ? column != COLUMN_RESIDENCE : !column_measured(column);
}

int column_width(enum column column)
{
	return columns[column].width;
}

static unsigned int percent_of(enum column column)
{
	return column == COLUMN_P50 ? 50 : 99;
}

static struct text text_bar(double share)
{
	int full = share * BAR + 0.5;
	struct text text;

	/* What is not empty looks so. */
	if (!full && share > 0)
		full = 1;
	memset(text.s, '#', full);
	memset(text.s + full, '-', BAR - full);
	snprintf(text.s + BAR, sizeof(text.s) - BAR, "%5.8s", text_percent(share).s);
	return text;
}

/* A cell; all but the name. */
struct text column_text(enum column column, const struct rates_link *link)
{
	struct text text = { "-" };

	if (column == COLUMN_FILL)
		return text_bar(link->fill);
	/* Why there is none, or soon will be. */
	if (column == COLUMN_RATE && link->link.state != FAASIN_LINK_STATE_RUNNING) {
		snprintf(text.s, sizeof(text.s), "%s",
			 faasctl_link_state_name(link->link.state));
		return text;
	}
	if (!link->known)
		return text;
	switch (column) {
	case COLUMN_P50:
	case COLUMN_P99:
		if (residence_percentile_ns(link, percent_of(column)) >= 0)
			return text_time(residence_percentile_ns(link, percent_of(column)));
		break;
	case COLUMN_RATE:
		snprintf(text.s, sizeof(text.s), "%.16s/s",
			 text_bytes(link->bytes_out).s);
		break;
	case COLUMN_WRITER:
		return text_percent(link->waits.writers);
	case COLUMN_READER:
		return text_percent(link->waits.readers);
	case COLUMN_RESIDENCE:
		if (link->residence_ns >= 0)
			return text_time(link->residence_ns);
		break;
	case COLUMN_WAKES:
		snprintf(text.s, sizeof(text.s), "%.0f", link->wakes);
		break;
	default:
		break;
	}
	return text;
}

bool column_is_bad(enum column column, const struct rates_link *link)
{
	if (!link->known)
		return false;
	switch (column) {
	case COLUMN_LINK:
		return link->src->bottleneck > 0 || link->dst->bottleneck > 0;
	case COLUMN_WRITER:
		return link->waits.writers >= BLOCKED_BAD;
	case COLUMN_READER:
		return link->waits.readers >= BLOCKED_BAD;
	default:
		return false;
	}
}

static void end_text(char *to, size_t size, const char *stage, const char *port,
		     const char *usual)
{
	bool shown = strcmp(port, usual);

	snprintf(to, size, "%s%s%s", stage, shown ? ":" : "", shown ? port : "");
}

/* What a name is made of, and what stands between. */
#define PARTS		3
#define BETWEEN		(2 + 3)		/* ": " and " > " */

/**
 * struct name_parts - workflow, source and destination
 * @s: each
 * @len: how much of it is shown
 * @marked: it is a bottleneck
 */
struct name_parts {
	char s[PARTS][2 * (FAASIN_NAME_MAX + 1)];
	int len[PARTS];
	bool marked[PARTS];
};

static int name_split(const struct rates_link *link, struct name_parts *parts)
{
	int i, width = BETWEEN;

	snprintf(parts->s[0], sizeof(parts->s[0]), "%s", link->link.workflow);
	end_text(parts->s[1], sizeof(parts->s[1]), link->link.src_stage,
		 link->link.src_port, FAASIN_PORT_OUT);
	end_text(parts->s[2], sizeof(parts->s[2]), link->link.dst_stage,
		 link->link.dst_port, FAASIN_PORT_IN);
	parts->marked[1] = link->src->bottleneck > 0;
	parts->marked[2] = link->dst->bottleneck > 0;
	for (i = 0; i < PARTS; i++) {
		parts->len[i] = strlen(parts->s[i]);
		width += parts->len[i] + parts->marked[i];
	}
	return width;
}

int column_name_width(const struct rates_link *link)
{
	struct name_parts parts = { 0 };

	return name_split(link, &parts);
}

/*
 * "workflow: source -> destination" in just @width columns. The longest part gives way
 * first, and ends in a tilde then. A bottleneck has an asterisk, which is in no name.
 */
struct link_name column_name(const struct rates_link *link, int width)
{
	const char *arrow = utf8() ? "→" : ">";
	struct name_parts parts = { 0 };
	struct link_name name;
	int i, longest, need, n = 0;

	for (need = name_split(link, &parts); need > width; need--) {
		for (i = 1, longest = 0; i < PARTS; i++)
			if (parts.len[i] > parts.len[longest])
				longest = i;
		if (parts.len[longest] < 2)
			break;
		parts.len[longest]--;
		parts.s[longest][parts.len[longest] - 1] = '~';
		parts.s[longest][parts.len[longest]] = '\0';
	}
	for (i = 0; i < PARTS; i++)
		n += snprintf(name.s + n, sizeof(name.s) - n, "%s%s%s%s%s",
			      i == 2 ? " " : "", i == 2 ? arrow : "",
			      i == 2 ? " " : "", parts.s[i],
			      i == 0 ? ": " : parts.marked[i] ? "*" : "");
	snprintf(name.s + n, sizeof(name.s) - n, "%*s",
		 width > need ? width - need : 0, "");
	return name;
}

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

static double number(enum column column, const struct rates_link *link)
{
	switch (column) {
	case COLUMN_RATE:
		return link->bytes_out;
	case COLUMN_FILL:
		return link->fill;
	case COLUMN_WRITER:
		return link->waits.writers;
	case COLUMN_READER:
		return link->waits.readers;
	case COLUMN_RESIDENCE:
		return link->residence_ns;
	case COLUMN_P50:
	case COLUMN_P99:
		return residence_percentile_ns(link, percent_of(column));
	case COLUMN_WAKES:
		return link->wakes;
	default:
		return 0;
	}
}

/* Numbers fall; links are by workflow, and in it as they were made: as data flows. */
int column_compare(enum column column, const struct rates_link *a,
		   const struct rates_link *b)
{
	int order = compare_numbers(number(column, b), number(column, a));

	/* Those of a stage are the same text, which is quicker to see. */
	if (!order && a->link.workflow != b->link.workflow)
		order = strcmp(a->link.workflow, b->link.workflow);
	if (!order)
		order = a->link.generation < b->link.generation ? -1 :
			a->link.generation > b->link.generation;
	return order;
}

bool column_matches(const struct rates_link *link, const char *filter)
{
	return strstr(link->link.workflow, filter) ||
	       strstr(link->link.src_stage, filter) ||
	       strstr(link->link.dst_stage, filter);
}

bool column_matches_stage(const struct rates_stage *stage, const char *filter)
{
	return strstr(stage->workflow, filter) || strstr(stage->name, filter);
}
