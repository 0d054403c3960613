// SPDX-License-Identifier: LGPL-2.1-or-later
/* What `faasctl top` draws: the table, the lines around it, the help. */
#include <curses.h>

#include "screen.h"

/* On less than this nothing is shown but that it is too small. */
#define COLUMNS_MIN	40
#define LINES_MIN	6

/* Of a link's name in the table, before a column is left out. */
#define NAME_MIN	16

/* As much of the text as there is room for in its line. */
void draw_text(int y, int x, const char *format, ...)
{
	struct link_name text;
	wchar_t wide[sizeof(text.s)];
	va_list args;

	if (y < 0 || y >= LINES || x >= COLS)
		return;
	va_start(args, format);
	vsnprintf(text.s, sizeof(text.s), format, args);
	va_end(args);
	/* One character is one column: names are plain, and so is what is drawn. */
	if (mbstowcs(wide, text.s, ARRAY_SIZE(wide)) != (size_t)-1)
		mvaddnwstr(y, x, wide, COLS - x);
}

void draw_red(bool on)
{
	int how = A_BOLD | (has_colors() && colours() ? COLOR_PAIR(RED_PAIR) : 0);

	if (on)
		attron(how);
	else
		attroff(how);
}

/* Which columns there is room for beside the name; returns what that gets. */
static int choose_columns(bool *shown, bool measured)
{
	/* What can be done without first. */
	static const enum column order[] = {
		COLUMN_WAKES, COLUMN_RESIDENCE, COLUMN_P50, COLUMN_P99, COLUMN_FILL,
		COLUMN_READER, COLUMN_WRITER, COLUMN_RATE,
	};
	enum column column;
	int width = COLS;
	size_t i;

	for (column = COLUMN_LINK; column < COLUMNS; column++) {
		shown[column] = column_shown(column, measured);
		width -= shown[column] ? column_width(column) : 0;
	}
	for (i = 0; i < ARRAY_SIZE(order) && width < NAME_MIN; i++) {
		width += shown[order[i]] ? column_width(order[i]) : 0;
		shown[order[i]] = false;
	}
	return width;
}

static void draw_title(const struct screen *screen)
{
	const struct top *top = screen->top;

	draw_text(0, 0, "faasctl top%s%s%s  %zu link%s  by %s%s%s%s  every %g s",
		  top->workflow ? " " : "", top->workflow ? top->workflow : "",
		  screen->paused ? "  PAUSED" : "", top->n_rows,
		  top->n_rows == 1 ? "" : "s", column_word(top->sort),
		  top->reverse ? " reversed" : "",
		  *top->filter ? "  filter " : "", top->filter,
		  top->interval_ms / 1000.0);
}

static void draw_row(const struct rates_link *link, int y, const bool *shown, int width)
{
	enum column column;
	int x = 0;
	bool bad;

	for (column = COLUMN_LINK; column < COLUMNS; column++) {
		if (!shown[column])
			continue;
		bad = column_is_bad(column, link);
		if (bad)
			draw_red(true);
		if (column == COLUMN_LINK)
			draw_text(y, 0, "%s", column_name(link, width).s);
		else
			draw_text(y, x, "%*s", column_width(column),
				  column_text(column, link).s);
		if (bad)
			draw_red(false);
		x += column == COLUMN_LINK ? width : column_width(column);
	}
}

static void draw_bottlenecks(const struct screen *screen)
{
	const struct rates_stage *stage = screen->top->rates.bottlenecks;
	int x = 0, y = LINES - FOOT;

	for (; stage && x < COLS; stage = stage->next) {
		if (!column_matches_stage(stage, screen->top->filter))
			continue;
		draw_text(y, x, "%s%s: ", x ? ", " : "bottleneck: ", stage->workflow);
		getyx(stdscr, y, x);
		/* The line is full: what was written last has begun the next. */
		if (y != LINES - FOOT)
			break;
		draw_red(true);
		draw_text(y, x, "%s", stage->name);
		draw_red(false);
		getyx(stdscr, y, x);
		if (y != LINES - FOOT)
			break;
		draw_text(y, x, " %s", text_percent(stage->bottleneck).s);
		getyx(stdscr, y, x);
		if (y != LINES - FOOT)
			break;
	}
}

static void draw_foot(const struct screen *screen)
{
	int y = LINES - 1;

	move(y, 0);
	clrtoeol();
	if (screen->editing)
		draw_text(y, 0, "filter: %s_", screen->top->filter);
	else if (screen->gone)
		draw_text(y, 0, "the workflow is gone: waiting for it; q quits");
	else if (screen->message)
		draw_text(y, 0, "%s", screen->message);
	else if (screen->view == VIEW_LIST)
		draw_text(y, 0, "q quit  s sort  / filter  p pause  l latency  Enter detail  ? help");
	else
		draw_text(y, 0, "q back");
}

static void draw_list(struct screen *screen)
{
	size_t rows = LINES - HEAD - FOOT, i;
	const struct top *top = screen->top;
	bool shown[COLUMNS];
	int width = choose_columns(shown, top->meter), x = width;
	enum column column;

	attron(A_REVERSE);
	draw_text(1, 0, "%-*s", COLS, column_title(COLUMN_LINK));
	for (column = COLUMN_LINK + 1; column < COLUMNS; column++) {
		if (!shown[column])
			continue;
		draw_text(1, x, "%*s", column_width(column), column_title(column));
		x += column_width(column);
	}
	attroff(A_REVERSE);

	if (screen->cursor < screen->first)
		screen->first = screen->cursor;
	if (screen->cursor >= screen->first + rows)
		screen->first = screen->cursor - rows + 1;
	for (i = 0; i < rows && screen->first + i < top->n_rows; i++) {
		bool here = screen->first + i == screen->cursor;

		if (here)
			attron(A_REVERSE);
		draw_row(top->rows[screen->first + i], HEAD + i, shown, width);
		if (here)
			attroff(A_REVERSE);
	}
	if (!top->n_rows)
		draw_text(HEAD, 0, *top->filter ? "no links match the filter" : "no links");
	draw_bottlenecks(screen);
}

static void draw_help(void)
{
	static const char *const keys[] = {
		"Up Down PgUp PgDn Home End   move",
		"Enter   counters and history of a link",
		"s S     sort by the next column, the one before",
		"r       sort the other way round",
		"/       show only what has a text in its name",
		"p       pause: read nothing until p again",
		"l       measure how long bytes stay, with BPF, or no more",
		"q       leave what is shown, at last the program",
		"",
		"W-BLK R-BLK  time that writers, readers were blocked",
		"RESID~  how long bytes stay, by Little's law",
		"P50 P99 how long half of them, all but 1 %, stay at most",
		"*       bottleneck: the others wait for this stage",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys) && (int)i + HEAD < LINES - 1; i++)
		draw_text(HEAD + i, 0, "%s", keys[i]);
}

void draw(struct screen *screen)
{
	erase();
	if (COLS < COLUMNS_MIN || LINES < LINES_MIN) {
		draw_text(0, 0, "too small: %dx%d at least", COLUMNS_MIN, LINES_MIN);
	} else {
		draw_title(screen);
		if (screen->view == VIEW_LIST)
			draw_list(screen);
		else if (screen->view == VIEW_DETAIL)
			detail_draw(screen->top->rows[screen->cursor]);
		else
			draw_help();
		draw_foot(screen);
	}
	refresh();
}
