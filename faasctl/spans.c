// SPDX-License-Identifier: LGPL-2.1-or-later
/* Streams as spans: what is collected of them, and OTLP's JSON. */
#include <jansson.h>
#include <sys/random.h>

#include "spans.h"
#include "traceparent.h"

struct spans *spans_new(const struct probes *probes)
{
	struct spans *spans = calloc(1, sizeof(*spans));

	if (!spans)
		return NULL;
	spans->probes = probes;
	spans->spans = calloc(SPANS_MAX, sizeof(*spans->spans));
	if (!spans->spans) {
		free(spans);
		return NULL;
	}
	return spans;
}

void spans_free(struct spans *spans)
{
	if (!spans)
		return;
	free(spans->spans);
	free(spans);
}

/* From the newest on: it is mostly that one. */
static struct span *find(const struct spans *spans, const struct trace_event *event)
{
	uint32_t i = spans->live[event->slot];

	for (; i; i--)
		if (spans->spans[i - 1].slot == event->slot &&
		    spans->spans[i - 1].stream == event->stream)
			return &spans->spans[i - 1];
	return NULL;
}

static struct span *add(struct spans *spans, const struct trace_event *event)
{
	struct span *span;

	if (spans->n == SPANS_MAX) {
		spans->left_out++;
		return NULL;
	}
	span = &spans->spans[spans->n++];
	span->slot = event->slot;
	span->stream = event->stream;
	spans->live[event->slot] = spans->n;
	return span;
}

static void over(struct span *span, const struct trace_event *event)
{
	/* A stream that had ended and is then closed early: its end stays. */
	if (!span->end) {
		span->end = event->time;
		span->bytes = event->v;
	}
	if (event->type != TRACE_ABORT)
		return;
	span->cause = event->cause;
	span->code = event->code;
	span->culprit = event->culprit;
	if (event->pid == event->culprit)
		memcpy(span->comm, event->comm, sizeof(span->comm) - 1);
}

/* Takes in an event; of those that are not of a stream, nothing. */
void spans_event(struct spans *spans, const struct trace_event *event)
{
	const struct trace_context *context = (const void *)event;
	struct span *span;

	if (event->type < TRACE_BEGIN || event->slot >= spans->probes->n)
		return;
	span = event->type == TRACE_BEGIN ? NULL : find(spans, event);
	if (!span)
		span = add(spans, event);
	if (!span)
		return;
	switch (event->type) {
	case TRACE_BEGIN:
		span->begin = event->time;
		span->writer = event->pid;
		break;
	case TRACE_CONTEXT:
		memcpy(span->context, context->context, FAASIN_CONTEXT_MAX);
		if (!traceparent_valid(span->context))
			span->context[0] = '\0';
		break;
	default:
		over(span, event);
	}
}

/* -------------------------------------------------------------------- OTLP */

static json_t *attribute(const char *key, const char *kind, json_t *value)
{
	return json_pack("{s:s, s:{s:o}}", "key", key, "value", kind, value);
}

static json_t *text(const char *key, const char *value)
{
	return attribute(key, "stringValue", json_text(value));
}

/* Numbers of 64 bits are strings there. */
static json_t *number(const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	return attribute(key, "intValue", json_string(digits));
}

/* An identifier of its own, in hexadecimal; false if there is no randomness. */
static bool random_id(char *id, size_t digits)
{
	unsigned char bytes[TRACE_ID_LEN / 2];
	size_t i;

	if (getrandom(bytes, digits / 2, 0) != (ssize_t)digits / 2)
		return false;
	bytes[0] |= 1;		/* all zeroes mean none */
	for (i = 0; i < digits / 2; i++)
		sprintf(id + 2 * i, "%02x", bytes[i]);
	return true;
}

static json_t *attributes(const struct span *span, const struct probed *link)
{
	json_t *list = json_array();

	json_array_append_new(list, text("faasin.workflow", link->workflow));
	json_array_append_new(list, text("faasin.source.stage", link->src_stage));
	json_array_append_new(list, text("faasin.source.port", link->src_port));
	json_array_append_new(list, text("faasin.destination.stage", link->dst_stage));
	json_array_append_new(list, text("faasin.destination.port", link->dst_port));
	json_array_append_new(list, number("faasin.stream", span->stream));
	json_array_append_new(list, number("faasin.bytes", span->bytes));
	if (span->writer)
		json_array_append_new(list, number("process.pid", span->writer));
	if (span->cause != FAASIN_CAUSE_NONE)
		json_array_append_new(list, text("faasin.cause", faasctl_cause_name(span->cause)));
	return list;
}

static json_t *status(const struct span *span, const struct probed *link)
{
	struct faasctl_cause cause = {
		.cause = span->cause,
		.code = span->code,
		.pid = span->culprit,
		.comm = span->comm[0] ? span->comm : NULL,
		.stage = cause_is_readers(span->cause) ? link->dst_stage : link->src_stage,
	};

	/* 1: it is well, 2: an error */
	if (span->cause == FAASIN_CAUSE_NONE)
		return json_pack("{s:i}", "code", 1);
	return json_pack("{s:i, s:o}", "code", 2, "message", json_text(text_cause(&cause).s));
}

static json_t *span_json(const struct span *span, const struct probed *link, uint64_t epoch)
{
	char trace[TRACE_ID_LEN + 1], id[PARENT_ID_LEN + 1], begin[24], end[24], name[160];
	json_t *json;

	if (!random_id(trace, TRACE_ID_LEN) || !random_id(id, PARENT_ID_LEN))
		return NULL;
	if (span->context[0])
		memcpy(trace, span->context + TRACE_ID_AT, TRACE_ID_LEN);
	snprintf(begin, sizeof(begin), "%llu", (unsigned long long)(span->begin + epoch));
	snprintf(end, sizeof(end), "%llu", (unsigned long long)(span->end + epoch));
	snprintf(name, sizeof(name), "%s to %s", link->src_stage, link->dst_stage);
	json = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:o, s:o}",
			 "traceId", trace, "spanId", id, "name", name, "kind", 1,
			 "startTimeUnixNano", begin, "endTimeUnixNano", end,
			 "attributes", attributes(span, link), "status", status(span, link));
	if (json && span->context[0])
		json_object_set_new(json, "parentSpanId",
				    json_stringn(span->context + PARENT_ID_AT, PARENT_ID_LEN));
	return json;
}

/* What is to be added to CLOCK_MONOTONIC to get the time of day. */
static uint64_t monotonic_epoch(void)
{
	struct timespec day;

	clock_gettime(CLOCK_REALTIME, &day);
	return day.tv_sec * 1000000000ull + day.tv_nsec - monotonic_ns();
}

/**
 * spans_write - write the streams that began and ended
 * @spans: what was seen
 * @to: where to; errors of writing are the file's to tell
 *
 * Return: how many.
 */
int spans_write(const struct spans *spans, FILE *to)
{
	uint64_t epoch = monotonic_epoch();
	json_t *list = json_array(), *root;
	uint32_t i;
	int n;

	for (i = 0; i < spans->n; i++) {
		const struct span *span = &spans->spans[i];

		if (span->begin && span->end)
			json_array_append_new(list,
					      span_json(span, &spans->probes->links[span->slot],
							epoch));
	}
	n = json_array_size(list);
	root = json_pack("{s:[{s:{s:[o, o]}, s:[{s:{s:s, s:s}, s:o}]}]}", "resourceSpans",
			 "resource", "attributes", text("service.name", "faasin"),
			 text("service.version", FAASIN_VERSION),
			 "scopeSpans", "scope", "name", "faasctl", "version", FAASIN_VERSION,
			 "spans", list);
	json_dumpf(root, to, JSON_INDENT(1));
	json_decref(root);
	fputc('\n', to);
	return n;
}
