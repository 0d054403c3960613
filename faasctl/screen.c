// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasctl top on a terminal. Signals are let in only while it waits, and only note
 * that they came: whatever ends this, the terminal is given back as it was, and what is
 * to be said is said after that.
 */
#include <curses.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <term.h>

#include "monotonic.h"
#include "residence.h"
#include "screen.h"

#define KEY_ESCAPE	27
#define KEY_CTRL_L	12

static volatile sig_atomic_t stopped, resized;

static void on_signal(int sig)
{
	if (sig == SIGWINCH)
		resized = 1;
	else
		stopped = 1;
}

/* -------------------------------------------------------------------- rows */

/* The rows are others than before: find the chosen one. Returns 0 or -errno. */
static int settle(struct screen *screen, struct faasctl_error *err)
{
	struct top *top = screen->top;
	int ret = top_choose(top, err);
	size_t i;

	for (i = 0; i < top->n_rows; i++)
		if (top->rows[i]->id == screen->chosen)
			break;
	if (i < top->n_rows) {
		screen->cursor = i;
		return ret;
	}
	if (screen->view == VIEW_DETAIL) {
		screen->view = VIEW_LIST;
		screen->message = "that link is gone";
	}
	if (screen->cursor >= top->n_rows)
		screen->cursor = top->n_rows ? top->n_rows - 1 : 0;
	screen->chosen = top->n_rows ? top->rows[screen->cursor]->id : 0;
	return ret;
}

static void go(struct screen *screen, long by)
{
	long to = (long)screen->cursor + by, last = (long)screen->top->n_rows - 1;

	if (last < 0)
		return;
	screen->cursor = to < 0 ? 0 : to > last ? last : to;
	screen->chosen = screen->top->rows[screen->cursor]->id;
}

static int read_again(struct screen *screen, struct faasctl_error *err)
{
	int ret = top_read(screen->top, err);

	/* It was there at first, and may come again. */
	screen->gone = ret == -ENOENT && screen->top->workflow;
	return screen->gone ? 0 : ret;
}

/* -------------------------------------------------------------------- keys */

static void edit(struct screen *screen, int key)
{
	char *filter = screen->top->filter;
	size_t len = strlen(filter);

	switch (key) {
	case '\n':
	case '\r':
	case KEY_ENTER:
		screen->editing = false;
		break;
	case KEY_ESCAPE:
		strcpy(filter, screen->old_filter);
		screen->editing = false;
		break;
	case KEY_BACKSPACE:
	case '\b':
	case 0x7f:
		if (len)
			filter[len - 1] = '\0';
		break;
	default:
		if (key > ' ' && key < 0x7f && len < FAASIN_NAME_MAX) {
			filter[len] = key;
			filter[len + 1] = '\0';
		}
	}
}

/* The next column that is shown, or the one before. */
static void sort_by_next(struct top *top, int step)
{
	do
		top->sort = (top->sort + COLUMNS + step) % COLUMNS;
	while (!column_shown(top->sort, top->meter));
}

/* Begins or ends measuring how long bytes stay. */
static void switch_latency(struct screen *screen)
{
	struct top *top = screen->top;

	if (top->meter)
		residence_end(top);
	else
		screen->message = top_measure(top);
	if (!column_shown(top->sort, top->meter))
		top->sort = top->meter ? COLUMN_P50 : COLUMN_RESIDENCE;
}

static void key_in_list(struct screen *screen, int key)
{
	struct top *top = screen->top;
	int page = LINES - HEAD - FOOT;

	switch (key) {
	case KEY_UP:
	case 'k':
		go(screen, -1);
		break;
	case KEY_DOWN:
	case 'j':
		go(screen, 1);
		break;
	case KEY_PPAGE:
		go(screen, -page);
		break;
	case KEY_NPAGE:
		go(screen, page);
		break;
	case KEY_HOME:
	case 'g':
		go(screen, -(long)top->n_rows);
		break;
	case KEY_END:
	case 'G':
		go(screen, top->n_rows);
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		if (top->n_rows)
			screen->view = VIEW_DETAIL;
		break;
	case 's':
		sort_by_next(top, 1);
		break;
	case 'S':
		sort_by_next(top, -1);
		break;
	case 'r':
		top->reverse = !top->reverse;
		break;
	case '/':
		screen->editing = true;
		strcpy(screen->old_filter, top->filter);
		break;
	case '?':
	case 'h':
		screen->view = VIEW_HELP;
		break;
	}
}

static void key_in(struct screen *screen, int key)
{
	screen->message = NULL;
	if (screen->editing) {
		edit(screen, key);
		return;
	}
	switch (key) {
	case 'q':
	case 'Q':
	case KEY_ESCAPE:
		if (screen->view != VIEW_LIST)
			screen->view = VIEW_LIST;
		else if (key != KEY_ESCAPE)
			screen->done = true;
		return;
	case 'p':
	case ' ':
		screen->paused = !screen->paused;
		return;
	case 'l':
		switch_latency(screen);
		return;
	case KEY_CTRL_L:
		clear();
		return;
	}
	if (screen->view == VIEW_LIST)
		key_in_list(screen, key);
}

/* -------------------------------------------------------------------- loop */

static uint64_t now_ms(void)
{
	return monotonic_ns() / 1000000;
}

static void follow_size(void)
{
	struct winsize size;

	resized = 0;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clear();
}

/* Waits for a key, a signal or @until; false if the terminal is gone. */
static bool wait_until(uint64_t until, bool forever, const sigset_t *waiting)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	uint64_t now = now_ms(), left = until > now ? until - now : 0;
	const struct timespec time = {
		.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000,
	};
	int n = ppoll(&in, 1, forever ? NULL : &time, waiting);

	return n < 0 ? errno == EINTR : !(in.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* Reads and draws until somebody has seen enough; returns 0 or -errno. */
static int loop(struct screen *screen, const sigset_t *waiting, struct faasctl_error *err)
{
	uint64_t next = now_ms() + screen->top->interval_ms;
	int ret, key;

	for (;;) {
		ret = settle(screen, err);
		if (ret)
			return ret;
		draw(screen);
		if (!wait_until(next, screen->paused, waiting))
			return 0;
		if (resized)
			follow_size();
		while (!stopped && !screen->done && (key = getch()) != ERR)
			key_in(screen, key);
		if (stopped || screen->done)
			return 0;
		if (screen->paused || now_ms() < next)
			continue;
		/* From when it was due: else readings would come ever later. */
		next += screen->top->interval_ms;
		if (next <= now_ms())
			next = now_ms() + screen->top->interval_ms;
		ret = read_again(screen, err);
		if (ret)
			return ret;
	}
}

/* Whether there is a terminal that can be drawn on; if not, says so. */
static bool can_draw(void)
{
	const char *term = getenv("TERM"), *cup = NULL;
	int what;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("faasctl: this is no terminal; for a table or JSON: faasctl top --once, faasctl top -j\n",
		      stderr);
		return false;
	}
	if (term && *term && strcmp(term, "dumb") &&
	    setupterm(NULL, STDOUT_FILENO, &what) == OK)
		cup = tigetstr("cup");
	if (cup && cup != (char *)-1)
		return true;
	fprintf(stderr, "faasctl: terminal \"%s\" cannot show this; for a table: faasctl top --once\n",
		text_clean(term ? term : "").s);
	return false;
}

static bool begin(sigset_t *waiting)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;
	size_t i;

	sigemptyset(&blocked);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&blocked, signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, waiting);
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		sigdelset(waiting, signals[i]);
		sigaction(signals[i], &action, NULL);
	}
	if (!newterm(NULL, stdout, stdin))
		return false;
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	if (colours() && has_colors()) {
		start_color();
		use_default_colors();
		init_pair(RED_PAIR, COLOR_RED, -1);
	}
	return true;
}

/* Returns the exit status. */
int screen_run(struct top *top, bool latency)
{
	struct screen screen = { .top = top };
	struct faasctl_error err;
	sigset_t waiting;
	int ret;

	if (!can_draw())
		return STATUS_REFUSED;
	ret = top_read(top, &err);
	if (ret)
		return fail_hint(&err, ENOENT, "see: faasctl show");
	if (latency)
		screen.message = top_measure(top);
	if (!begin(&waiting)) {
		fputs("faasctl: the terminal cannot be set up\n", stderr);
		return STATUS_REFUSED;
	}
	ret = loop(&screen, &waiting, &err);
	endwin();
	return ret ? fail(&err) : STATUS_OK;
}
