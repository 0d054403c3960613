// SPDX-License-Identifier: LGPL-2.1-or-later
/* A timeline in the trace event format, which Perfetto and Chrome read. */
#include <jansson.h>

#include "timeline.h"

/* Numbers of processes there: 0 is a special one. */
#define PROCESS(stage)	((stage) + 1)

static void put_text(const char *s, FILE *to)
{
	json_t *json = json_text(s);

	if (!json || json_dumpf(json, to, JSON_ENCODE_ANY))
		fputs("\"?\"", to);
	json_decref(json);
}

static void put_time(const struct timeline *t, uint64_t time, FILE *to)
{
	uint64_t ns = time > t->start ? time - t->start : 0;

	fprintf(to, "\"ts\":%llu.%03u", (unsigned long long)ns / 1000,
		(unsigned int)(ns % 1000));
}

static uint32_t stage_of(const struct timeline *t, const char *name)
{
	uint32_t i = 0;

	while (i + 1 < t->n_stages && strcmp(t->stages[i], name))
		i++;
	return i;
}

static void put_names(const struct timeline *t, FILE *to)
{
	uint32_t i;

	for (i = 0; i < t->n_stages; i++) {
		fprintf(to, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"%s\"}},\n",
			PROCESS(i), t->stages[i]);
		fprintf(to, "{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%u,\"args\":{\"sort_index\":%u}},\n",
			PROCESS(i), i);
		fprintf(to, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":0,\"args\":{\"name\":\"streams\"}},\n",
			PROCESS(i));
	}
	for (i = 0; i < t->n_rows; i++) {
		char name[TRACE_COMM + 16];

		snprintf(name, sizeof(name), "%s %u", t->rows[i].comm, t->rows[i].tid);
		fprintf(to, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":",
			PROCESS(t->rows[i].stage), t->rows[i].tid);
		put_text(name, to);
		fputs("}},\n", to);
	}
}

static void put_link(const struct probed *link, FILE *to)
{
	fprintf(to, "\"link\":\"%s:%s to %s:%s\"", link->src_stage, link->src_port,
		link->dst_stage, link->dst_port);
}

static void put_slice(const struct timeline *t, const struct mark *m, FILE *to)
{
	static const char *const names[] = {
		[ROW_RUNNING] = "running", [ROW_BLOCKED_IN] = "blocked on input",
		[ROW_BLOCKED_OUT] = "blocked on output",
	};

	if (m->kind == 'E')
		return;
	fprintf(to, ",\"name\":\"%s\",\"cat\":\"stage\"", names[m->state]);
	if (m->state == ROW_RUNNING)
		return;
	fputs(",\"args\":{", to);
	put_link(&t->probes->links[m->slot], to);
	fputc('}', to);
}

/* Why a stream was aborted, as faasctl show says it. */
static struct text why(const struct probed *link, const struct mark *m)
{
	struct faasctl_cause cause = {
		.cause = m->cause.cause,
		.code = m->cause.code,
		.pid = m->cause.pid,
		.comm = m->cause.comm[0] ? m->cause.comm : NULL,
		.stage = cause_is_readers(m->cause.cause) ? link->dst_stage : link->src_stage,
	};

	return text_cause(&cause);
}

static void put_stream(const struct timeline *t, const struct mark *m, FILE *to)
{
	const struct probed *link = &t->probes->links[m->slot];
	bool early = m->kind == 'a' && m->cause.cause == FAASIN_CAUSE_EARLY_CLOSE;

	fprintf(to, "{\"ph\":\"i\",\"s\":\"p\",\"cat\":\"stream\",\"pid\":%u,\"tid\":0,",
		PROCESS(stage_of(t, early ? link->dst_stage : link->src_stage)));
	put_time(t, m->time, to);
	fprintf(to, ",\"name\":\"stream %llu %s\",\"args\":{",
		(unsigned long long)m->id,
		m->kind == 'b' ? "begins" : m->kind == 'e' ? "ends" :
		early ? "closed early" : "aborted");
	put_link(link, to);
	if (m->kind != 'b')
		fprintf(to, ",\"bytes\":%llu", (unsigned long long)m->bytes);
	if (m->kind == 'a') {
		fprintf(to, ",\"cause\":\"%s\",\"text\":", faasctl_cause_name(m->cause.cause));
		put_text(why(link, m).s, to);
	}
	fputs("}},\n", to);
}

static void put_mark(const struct timeline *t, const struct mark *m, FILE *to)
{
	const struct row *row;

	if (strchr("bea", m->kind)) {
		put_stream(t, m, to);
		return;
	}
	row = &t->rows[m->row];
	fprintf(to, "{\"ph\":\"%c\",\"pid\":%u,\"tid\":%u,", m->kind,
		PROCESS(row->stage), row->tid);
	put_time(t, m->time, to);
	if (m->kind == 's' || m->kind == 'f') {
		fprintf(to, ",\"id\":%llu,\"name\":\"hand-off\",\"cat\":\"link\"",
			(unsigned long long)m->id);
		if (m->kind == 'f')
			fputs(",\"bp\":\"e\"", to);
	} else {
		put_slice(t, m, to);
	}
	fputs("},\n", to);
}

/* @stages: those that the others wait for, @slow of them */
static void put_bottlenecks(const struct probed_stage *stages, ssize_t slow, FILE *to)
{
	ssize_t i;

	fputs(",\"bottlenecks\":[", to);
	for (i = 0; i < slow; i++)
		fprintf(to, "%s{\"workflow\":\"%s\",\"stage\":\"%s\",\"share\":%.3f}",
			i ? "," : "", stages[i].workflow, stages[i].stage, stages[i].share);
	fputc(']', to);
}

/* Writes all of it; whether that succeeded is the file's to tell. */
void timeline_write(const struct timeline *t, const struct probed_stage *stages,
		    ssize_t slow, FILE *to)
{
	unsigned long long lost = t->lost + t->left_out;
	size_t i;

	fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", to);
	put_names(t, to);
	for (i = 0; i < t->n_marks && !ferror(to); i++)
		put_mark(t, &t->marks[i], to);
	/* What is missing is to be seen in the picture, too. */
	fputs("{\"ph\":\"i\",\"s\":\"g\",\"cat\":\"trace\",\"pid\":0,\"tid\":0,", to);
	put_time(t, t->end, to);
	if (lost)
		fprintf(to, ",\"name\":\"%llu events lost\"}\n],\n", lost);
	else
		fputs(",\"name\":\"end of the trace\"}\n],\n", to);
	fprintf(to, "\"otherData\":{\"lost\":%llu,\"workflow\":\"%s\",\"duration_ns\":%llu,",
		lost, t->probes->workflow, (unsigned long long)(t->end - t->start));
	fprintf(to, "\"hand_offs\":%llu,\"complete\":%s",
		(unsigned long long)t->flows, timeline_full(t) ? "false" : "true");
	put_bottlenecks(stages, slow, to);
	fprintf(to, ",\"version\":\"%s\"}}\n", FAASIN_VERSION);
}
