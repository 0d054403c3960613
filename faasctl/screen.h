/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The screen of `faasctl top`: what it shows, and how that is drawn. */
#ifndef FAASCTL_SCREEN_H
#define FAASCTL_SCREEN_H

#include "top.h"

/* Lines above and below the rows. */
#define HEAD		2
#define FOOT		2

#define RED_PAIR	1

enum view {
	VIEW_LIST,
	VIEW_DETAIL,
	VIEW_HELP,
};

/**
 * struct screen - what is shown
 * @top: the readings
 * @view: which of the views
 * @first: index of the uppermost row
 * @cursor: index of the chosen row
 * @chosen: number of its link, which stays chosen wherever the row goes; 0: none
 * @editing: the filter is being typed
 * @old_filter: what it was before
 * @paused: nothing is read
 * @gone: there is no such workflow any more
 * @message: told once, at the bottom
 * @done: leave
 */
struct screen {
	struct top *top;
	enum view view;
	size_t first;
	size_t cursor;
	uint64_t chosen;
	bool editing;
	char old_filter[FAASIN_NAME_MAX + 1];
	bool paused;
	bool gone;
	const char *message;
	bool done;
};

/* draw.c */
void draw(struct screen *screen);
void draw_text(int y, int x, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void draw_red(bool on);

/* detail.c */
void detail_draw(const struct rates_link *link);

#endif /* FAASCTL_SCREEN_H */
