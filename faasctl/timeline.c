// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What stages did when. Any event can be missing; whatever comes, a task does one
 * thing at a time, so that each slice that begins ends.
 */
#include "timeline.h"

void timeline_free(struct timeline *t)
{
	if (!t)
		return;
	free(t->rows);
	free(t->handoffs);
	free(t->marks);
	free(t);
}

bool timeline_full(const struct timeline *t)
{
	return t->n_marks >= t->limit;
}

static struct mark *mark(struct timeline *t, char kind, uint64_t time)
{
	static struct mark nowhere;
	struct mark *m;

	if (t->n_marks == t->room) {
		size_t room = t->room ? 2 * t->room : 4096;

		m = realloc(t->marks, room * sizeof(*m));
		if (!m) {
			/* It ends here, and says so. */
			t->limit = 0;
			t->left_out++;
			return &nowhere;
		}
		t->marks = m;
		t->room = room;
	}
	m = &t->marks[t->n_marks];
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	m->time = time;
	m->order = 2 * t->n_marks++ + 1;
	return m;
}

static uint32_t stage_number(struct timeline *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->n_stages; i++)
		if (!strcmp(t->stages[i], name))
			return i;
	t->stages[t->n_stages] = name;
	return t->n_stages++;
}

/* Those of all links; what nothing happens in is there, too. */
static void number_stages(struct timeline *t)
{
	size_t i;

	for (i = 0; i < t->probes->n; i++) {
		stage_number(t, t->probes->links[i].src_stage);
		stage_number(t, t->probes->links[i].dst_stage);
	}
}

struct timeline *timeline_new(const struct probes *probes, size_t limit)
{
	struct timeline *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->probes = probes;
	t->limit = limit;
	t->rows = calloc(ROWS_MAX, sizeof(*t->rows));
	t->handoffs = calloc(PROBES_MAX, sizeof(*t->handoffs));
	if (!t->rows || !t->handoffs) {
		timeline_free(t);
		return NULL;
	}
	/* In the order in which data flows, whoever is heard of first. */
	number_stages(t);
	return t;
}

/* The task's row in the stage; NULL if there are too many. */
static struct row *row_of(struct timeline *t, uint32_t stage,
			  const struct trace_event *event)
{
	uint32_t *bucket = &t->buckets[event->tid % ROW_BUCKETS], i;
	struct row *row;

	for (i = *bucket; i; i = t->rows[i - 1].next) {
		row = &t->rows[i - 1];
		if (row->tid == event->tid && row->stage == stage)
			return row;
	}
	if (t->n_rows == ROWS_MAX) {
		t->left_out++;
		return NULL;
	}
	row = &t->rows[t->n_rows++];
	row->stage = stage;
	row->tid = event->tid;
	row->since = t->start;
	row->last = t->start;
	memcpy(row->comm, event->comm, sizeof(row->comm));
	row->comm[sizeof(row->comm) - 1] = '\0';
	row->next = *bucket;
	*bucket = t->n_rows;
	return row;
}

/* What was reconstructed may overlap what was seen. */
static uint64_t not_before(struct row *row, uint64_t time)
{
	if (time > row->last)
		row->last = time;
	return row->last;
}

static void row_turn(struct timeline *t, struct row *row, enum row_state state,
		     uint32_t slot, uint64_t time)
{
	struct mark *m;

	time = not_before(row, time);
	if (row->state != ROW_GONE)
		mark(t, 'E', time)->row = row - t->rows;
	row->state = state;
	row->slot = slot;
	row->since = time;
	if (state == ROW_GONE)
		return;
	m = mark(t, 'B', time);
	m->row = row - t->rows;
	m->state = state;
	m->slot = slot;
}

/* It waited until now, even if nobody saw it begin to. */
static void unblocked(struct timeline *t, struct row *row, const struct trace_event *event)
{
	enum row_state state = event->dir ? ROW_BLOCKED_OUT : ROW_BLOCKED_IN;
	uint64_t began = event->time > event->v ? event->time - event->v : 0;

	if (row->state != state)
		row_turn(t, row, state, event->slot, began);
	row_turn(t, row, ROW_RUNNING, 0, event->time);
}

static void hand(struct timeline *t, struct row *row, const struct trace_event *event)
{
	uint8_t *next = &t->next[event->slot];

	t->handoffs[event->slot][*next] = (struct handoff){
		.end = event->v,
		.time = not_before(row, event->time),
		.order = 2 * t->n_marks,
		.row = row - t->rows,
	};
	*next = (*next + 1) % HANDOFFS;
}

/* An arrow is drawn when both its ends are known. */
static void take(struct timeline *t, struct row *row, const struct trace_event *event)
{
	struct handoff *h = t->handoffs[event->slot];
	struct mark *m;
	int i;

	for (i = 0; i < HANDOFFS; i++, h++) {
		if (!h->end || h->end != event->v)
			continue;
		t->flows++;
		m = mark(t, 's', h->time);
		m->order = h->order;
		m->row = h->row;
		m->slot = event->slot;
		m->id = t->flows;
		m = mark(t, 'f', not_before(row, event->time));
		m->row = row - t->rows;
		m->slot = event->slot;
		m->id = t->flows;
		h->end = 0;
		return;
	}
}

static void stream(struct timeline *t, const struct trace_event *event)
{
	char kind = event->type == TRACE_BEGIN ? 'b' : event->type == TRACE_END ? 'e' : 'a';
	struct mark *m = mark(t, kind, event->time);

	m->slot = event->slot;
	m->id = event->stream;
	m->bytes = event->v;
	m->cause.cause = event->cause;
	m->cause.code = event->code;
	m->cause.pid = event->culprit;
	if (event->pid == event->culprit)
		memcpy(m->cause.comm, event->comm, sizeof(m->cause.comm) - 1);
}

static void gone(struct timeline *t, const struct trace_event *event)
{
	uint32_t i;

	for (i = t->buckets[event->tid % ROW_BUCKETS]; i; i = t->rows[i - 1].next)
		if (t->rows[i - 1].tid == event->tid && t->rows[i - 1].state != ROW_GONE)
			row_turn(t, &t->rows[i - 1], ROW_GONE, 0, event->time);
}

/* An event of a task on a side of a link. */
static void side(struct timeline *t, const struct trace_event *event)
{
	const struct probed *link = &t->probes->links[event->slot];
	struct row *row = row_of(t, stage_number(t, event->dir ? link->src_stage : link->dst_stage),
				 event);

	if (!row)
		return;
	/* A number can be another task's by now, with another name. */
	if (event->type == TRACE_SEEN)
		memcpy(row->comm, event->comm, sizeof(row->comm) - 1);
	if (row->state == ROW_GONE)
		row_turn(t, row, ROW_RUNNING, 0,
			 event->type == TRACE_SEEN ? event->v :
			 event->type == TRACE_UNBLOCK ? event->time - event->v : event->time);
	switch (event->type) {
	case TRACE_BLOCK:
		row_turn(t, row, event->dir ? ROW_BLOCKED_OUT : ROW_BLOCKED_IN, event->slot,
			 event->time);
		break;
	case TRACE_UNBLOCK:
		unblocked(t, row, event);
		break;
	case TRACE_HAND:
		hand(t, row, event);
		break;
	case TRACE_TAKE:
		take(t, row, event);
		break;
	}
}

/* Takes in an event. */
void timeline_event(struct timeline *t, const struct trace_event *event)
{
	if (event->type == TRACE_GONE) {
		gone(t, event);
		return;
	}
	if (event->slot >= t->probes->n) {
		t->left_out++;
		return;
	}
	switch (event->type) {
	case TRACE_BEGIN:
	case TRACE_END:
	case TRACE_ABORT:
		stream(t, event);
		break;
	default:
		side(t, event);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Nothing comes after this; what lasts, lasts until now. */
void timeline_finish(struct timeline *t, uint64_t end)
{
	uint32_t i;

	t->end = end;
	for (i = 0; i < t->n_rows; i++)
		if (t->rows[i].state != ROW_GONE)
			row_turn(t, &t->rows[i], ROW_GONE, 0, end);
	number_stages(t);
	qsort(t->marks, t->n_marks, sizeof(*t->marks), by_time);
}
