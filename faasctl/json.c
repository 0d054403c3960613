// SPDX-License-Identifier: LGPL-2.1-or-later
/* JSON: field names are an interface, described in the manual pages. */
#include <jansson.h>

#include "tool.h"

/* A kernel string need not be UTF-8 (a command's name), a JSON one must be. */
json_t *json_text(const char *s)
{
	json_t *json;
	char *copy, *p;

	if (!s)
		return json_null();
	json = json_string(s);
	if (json)
		return json;
	copy = strdup(s);
	if (!copy)
		return NULL;
	for (p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	json = json_string(copy);
	free(copy);
	return json;
}

static json_t *cgroup(uint64_t id, const char *path, bool gone)
{
	if (!id && !path)
		return json_null();
	return json_pack("{s:I, s:o, s:b}", "id", (json_int_t)id,
			 "path", json_text(path), "gone", gone);
}

static void number(json_t *json, const char *key, uint64_t value)
{
	json_object_set_new(json, key, json_integer((json_int_t)value));
}

json_t *json_stats(const struct faasctl_stats *stats)
{
	json_t *json = json_object();

	number(json, "bytes_in", stats->bytes_in);
	number(json, "bytes_out", stats->bytes_out);
	number(json, "bytes_dropped", stats->bytes_dropped);
	number(json, "bytes_held", stats->bytes_held);
	number(json, "bytes_held_max", stats->bytes_held_max);
	number(json, "pool_bytes", stats->pool_bytes);
	number(json, "writes", stats->writes);
	number(json, "reads", stats->reads);
	number(json, "reader_wakes", stats->reader_wakes);
	number(json, "writer_wakes", stats->writer_wakes);
	number(json, "wakes_avoided", stats->wakes_avoided);
	number(json, "writer_blocked_ns", stats->writer_blocked_ns);
	number(json, "reader_blocked_ns", stats->reader_blocked_ns);
	number(json, "writer_blocks", stats->writer_blocks);
	number(json, "reader_blocks", stats->reader_blocks);
	number(json, "streams_begun", stats->streams_begun);
	number(json, "streams_ended", stats->streams_ended);
	number(json, "streams_aborted", stats->streams_aborted);
	number(json, "early_closes", stats->early_closes);
	number(json, "streams_queued", stats->streams_queued);
	number(json, "pool_kib_ms", stats->pool_kib_ms);
	number(json, "linked_ns", stats->linked_ns);
	number(json, "bytes_in_moved", stats->bytes_in_moved);
	number(json, "bytes_in_copied", stats->bytes_in_copied);
	number(json, "bytes_out_moved", stats->bytes_out_moved);
	number(json, "bytes_out_copied", stats->bytes_out_copied);
	return json;
}

json_t *json_workflow(const struct faasctl_workflow *workflow)
{
	return json_pack("{s:s, s:I, s:o, s:b, s:o, s:o}",
		"name", workflow->name,
		"generation", (json_int_t)workflow->generation,
		"cgroup", cgroup(workflow->cgroup_id, workflow->cgroup_path,
			workflow->flags & FAASIN_WORKFLOW_F_CGROUP_GONE),
		"uncharged", !!(workflow->flags & FAASIN_WORKFLOW_F_UNCHARGED),
		"stats", json_stats(&workflow->stats),
		"gone", json_stats(&workflow->gone));
}

static json_t *peer(const struct faasctl_port *port)
{
	if (!port->peer_stage)
		return json_null();
	return json_pack("{s:s, s:s*}", "stage", port->peer_stage,
			 "port", port->peer_port);
}

json_t *json_stage(const struct faasctl_stage *stage)
{
	json_t *ports = json_array();
	char mode[8];
	size_t i;

	for (i = 0; i < stage->n_ports; i++) {
		const struct faasctl_port *port = &stage->ports[i];
		bool out = port->direction == FAASIN_DIRECTION_OUT;

		json_array_append_new(ports,
				      json_pack("{s:s, s:s, s:o, s:I, s:I}",
						"name", port->name,
						"direction", out ? "out" : "in",
						"peer", peer(port),
						"links", (json_int_t)port->links,
						"opens", (json_int_t)port->opens));
	}
	snprintf(mode, sizeof(mode), "%04o", stage->mode);
	return json_pack("{s:s, s:s, s:I, s:o, s:I, s:I, s:s, s:o, s:o, s:o}",
		"workflow", stage->workflow,
		"name", stage->name,
		"generation", (json_int_t)stage->generation,
		"cgroup", cgroup(stage->cgroup_id, stage->cgroup_path,
			stage->flags & FAASIN_STAGE_F_CGROUP_GONE),
		"uid", (json_int_t)stage->uid,
		"gid", (json_int_t)stage->gid,
		"mode", mode,
		"ports", ports,
		"sent", json_stats(&stage->sent),
		"received", json_stats(&stage->received));
}

static json_t *cause(const struct faasctl_cause *cause)
{
	if (cause->cause == FAASIN_CAUSE_NONE)
		return json_null();
	return json_pack("{s:s, s:I, s:o, s:I, s:o, s:I, s:o}",
		"cause", faasctl_cause_name(cause->cause),
		"code", (json_int_t)cause->code,
		"stage", json_text(cause->stage),
		"pid", (json_int_t)cause->pid,
		"comm", json_text(cause->comm),
		"stream", (json_int_t)cause->stream,
		"text", json_text(text_cause(cause).s));
}

static json_t *end(const char *stage, const char *port)
{
	if (!stage)
		return json_null();
	return json_pack("{s:s, s:o}", "stage", stage, "port", json_text(port));
}

json_t *json_link(const struct faasctl_link *link)
{
	return json_pack("{s:s, s:o, s:o, s:I, s:I, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:s, s:o, s:o}",
		"workflow", link->workflow,
		"source", end(link->src_stage, link->src_port),
		"destination", end(link->dst_stage, link->dst_port),
		"generation", (json_int_t)link->generation,
		"capacity", (json_int_t)link->capacity,
		"abort_on", faasctl_abort_on_name(link->abort_on),
		"on_early_close", faasctl_early_close_name(link->early_close),
		"slow", faasctl_slow_name(link->slow),
		"state", faasctl_link_state_name(link->state),
		"trusted", !!(link->flags & FAASIN_LINK_F_TRUSTED),
		"records", !!(link->flags & FAASIN_LINK_F_RECORDS),
		"dealt", !!(link->flags & FAASIN_LINK_F_DEALT),
		"merge", faasctl_merge_name(link->merge),
		"stats", json_stats(&link->stats),
		"last_failure", cause(&link->last));
}

/* A stage that the others wait for. */
json_t *json_bottleneck(const char *workflow, const char *stage, double share)
{
	return json_pack("{s:s, s:s, s:f}", "workflow", workflow, "stage", stage,
			 "share", share);
}

json_t *json_event(const struct faasctl_event *event)
{
	return json_pack("{s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}",
		"seq", (json_int_t)event->seq,
		"event", faasctl_event_name(event->type),
		"time_ns", (json_int_t)event->time_ns,
		"workflow", json_text(event->workflow),
		"stage", json_text(event->stage),
		"source", end(event->src_stage, event->src_port),
		"destination", end(event->dst_stage, event->dst_port),
		"generation", (json_int_t)event->generation,
		"stream", (json_int_t)event->stream,
		"bytes", (json_int_t)event->bytes,
		"cause", cause(&event->cause));
}

static int print(json_t *root, size_t flags)
{
	int ret;

	if (!root)
		return fail_memory();
	ret = json_dumpf(root, stdout, flags);
	json_decref(root);
	putchar('\n');
	return ret ? STATUS_REFUSED : finish_output();
}

/* Prints and frees a document. */
int json_print(json_t *root)
{
	return print(root, JSON_INDENT(2));
}

/* The same on one line. */
int json_print_line(json_t *root)
{
	return print(root, JSON_COMPACT);
}
