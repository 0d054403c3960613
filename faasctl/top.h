/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of `faasctl top` share. */
#ifndef FAASCTL_TOP_H
#define FAASCTL_TOP_H

#include "rates.h"
#include "tool.h"

/**
 * enum column - a column of the table
 * @COLUMN_LINK: workflow, source and destination
 * @COLUMN_RATE: bytes out a second
 * @COLUMN_FILL: how much of the capacity is held
 * @COLUMN_WRITER: per cent of the time that writers were blocked
 * @COLUMN_READER: per cent of the time that readers were blocked
 * @COLUMN_RESIDENCE: how long bytes stay, calculated
 * @COLUMN_P50: for how long half of them stay at most, measured
 * @COLUMN_P99: for how long all but a hundredth of them do
 * @COLUMN_WAKES: wake-ups a second
 * @COLUMNS: how many there are
 */
enum column {
	COLUMN_LINK,
	COLUMN_RATE,
	COLUMN_FILL,
	COLUMN_WRITER,
	COLUMN_READER,
	COLUMN_RESIDENCE,
	COLUMN_P50,
	COLUMN_P99,
	COLUMN_WAKES,
	COLUMNS,
};

struct meter;

/**
 * struct top - a run of this command
 * @ctl: the handle
 * @workflow: to be shown, or NULL for all
 * @interval_ms: between readings
 * @sort: by what the table is sorted
 * @reverse: the other way round
 * @filter: text that the name of what is shown has in it
 * @rates: what was read
 * @rows: of these, those that are shown, sorted
 * @n_rows: how many
 * @room: of @rows
 * @module: which load of the module it is
 * @meter: measures how long bytes stay, or NULL
 * @residences: what it measured, by slot
 * @meter_room: links that it has room for
 * @meter_used: of that, taken
 * @meter_full: a link found none
 */
struct top {
	struct faasctl *ctl;
	const char *workflow;
	uint32_t interval_ms;
	enum column sort;
	bool reverse;
	char filter[FAASIN_NAME_MAX + 1];
	struct rates rates;
	struct rates_link **rows;
	size_t n_rows;
	size_t room;
	uint64_t module;
	struct meter *meter;
	struct residence *residences;
	size_t meter_room;
	size_t meter_used;
	bool meter_full;
};

/* top.c */
int top_read(struct top *top, struct faasctl_error *err);
int top_choose(struct top *top, struct faasctl_error *err);
const char *top_measure(struct top *top);

/* columns.c */
#define LINK_WIDTH_MAX	(5 * (FAASIN_NAME_MAX + 1) + 8)

/**
 * struct link_name - a link's name as the table has it
 * @s: the text
 */
struct link_name {
	char s[LINK_WIDTH_MAX + 8];
};

const char *column_word(uint32_t column);
const char *column_title(enum column column);
int column_width(enum column column);
bool column_measured(enum column column);
bool column_shown(enum column column, bool measured);
struct text column_text(enum column column, const struct rates_link *link);
struct link_name column_name(const struct rates_link *link, int width);
int column_name_width(const struct rates_link *link);
int column_compare(enum column column, const struct rates_link *a,
		   const struct rates_link *b);
bool column_matches(const struct rates_link *link, const char *filter);
bool column_matches_stage(const struct rates_stage *stage, const char *filter);
bool column_is_bad(enum column column, const struct rates_link *link);

/* screen.c */
int screen_run(struct top *top, bool latency);

#endif /* FAASCTL_TOP_H */
