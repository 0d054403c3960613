// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl trace */
#include "spans.h"
#include "timeline.h"
#include "whole_file.h"

#ifdef FAASIN_BPF
#include <bpf/bpf.h>

#include "trace.skel.h"
#endif

#define LIMIT_DEFAULT	500000
#define LIMIT_MAX	10000000

static const struct option_row options[] = {
	{ 'o', "output", "FILE", "where to write the trace, as JSON for Perfetto or Chrome" },
	{ 'd', "duration", "SECONDS", "end after so long; default: Ctrl-C" },
	{ 'O', "otlp", "FILE", "where to write the streams, as OTLP spans; sends nothing" },
	{ 'n', "count", "NUMBER", "end after so many marks; default 500000" },
	{ 0 },
};

/**
 * struct trace - a run of this command
 * @probes: the links
 * @skel: the BPF programs
 * @ring: their events
 * @timeline: what is made of them
 * @spans: its streams, if these are wanted
 * @file: where the timeline goes
 * @otlp_file: where the streams go
 * @output: the first one's name, or NULL
 * @otlp: the second one's name, or NULL
 * @run_ms: how long it is to run, or 0
 * @limit: how many marks are enough
 */
struct trace {
	struct probes probes;
	struct trace_bpf *skel;
	struct ring_buffer *ring;
	struct timeline *timeline;
	struct spans *spans;
	struct whole_file file;
	struct whole_file otlp_file;
	const char *output;
	const char *otlp;
	uint32_t run_ms;
	uint32_t limit;
};

#ifdef FAASIN_BPF
static int add_link(void *arg, const struct probed *link, uint32_t slot)
{
	struct trace *trace = arg;
	struct link_entry entry = { .slot = slot, .link = link->generation };

	return links_add(trace->skel->maps.links, &entry);
}

static int take_event(void *arg, void *data, size_t size)
{
	struct trace *trace = arg;

	if (size < sizeof(struct trace_event))
		return 0;
	timeline_event(trace->timeline, data);
	if (trace->spans)
		spans_event(trace->spans, data);
	/* The rest stays where it is. */
	return timeline_full(trace->timeline) ? -ENOSPC : 0;
}

/* Loads and attaches; a negative errno if that cannot be. */
static int attach(struct trace *trace)
{
	struct probes *probes = &trace->probes;
	struct trace_bpf *skel;
	size_t i;
	int ret;

	bpf_quiet();
	skel = trace_bpf__open();
	if (!skel)
		return -errno;
	trace->skel = skel;
	skel->rodata->links_mask = links_room(skel->maps.links, probes->room) - 1;
	bpf_map__set_max_entries(skel->maps.flows, probes->room);
	ret = trace_bpf__load(skel);
	for (i = 0; !ret && i < probes->n; i++)
		ret = add_link(trace, &probes->links[i], i);
	probes->add = add_link;
	probes->arg = trace;
	if (ret)
		return ret;
	trace->ring = ring_buffer__new(bpf_map__fd(skel->maps.events), take_event, trace, NULL);
	if (!trace->ring)
		return -errno;
	trace->timeline->start = monotonic_ns();
	return trace_bpf__attach(skel);
}

static void consume(struct trace *trace)
{
	if (!timeline_full(trace->timeline))
		ring_buffer__consume(trace->ring);
	trace->timeline->lost = trace->skel->bss->lost;
}

/* No more events; those that there are can still be taken. */
static void detach(struct trace *trace)
{
	trace_bpf__detach(trace->skel);
}

static void unload(struct trace *trace)
{
	ring_buffer__free(trace->ring);
	trace_bpf__destroy(trace->skel);
}
#else
static int attach(struct trace *trace)
{
	return -ENOSYS;
}

static void consume(struct trace *trace)
{
}

static void detach(struct trace *trace)
{
}

static void unload(struct trace *trace)
{
}
#endif

/* Waits until it is over. Links that are made meanwhile are traced too. */
static int watch(struct trace *trace)
{
	struct faasctl_error err;
	struct run_time time;
	unsigned int ticks = 0;
	int ret = 0;

	run_time_start(&time, trace->run_ms);
	fprintf(stderr, "faasctl: tracing %zu links of workflow \"%s\"%s\n",
		trace->probes.n, trace->probes.workflow,
		trace->run_ms ? "" : "; Ctrl-C ends it");
	while (!ret && !timeline_full(trace->timeline) && run_time_wait(&time, 20)) {
		if (++ticks % 10 == 0)
			ret = probes_refresh(&trace->probes, &err);
		consume(trace);
	}
	detach(trace);
	consume(trace);
	if (!ret)
		ret = probes_refresh(&trace->probes, &err);
	/* A workflow that is gone ends it: what was seen of it is written. */
	return ret && ret != -ENOENT ? fail(&err) : STATUS_OK;
}

static void print_summary(const struct trace *trace, const struct probed_stage *stages,
			  ssize_t slow)
{
	const struct timeline *t = trace->timeline;
	ssize_t i;

	printf("%u stages, %zu marks, %llu hand-offs in %s\n", t->n_stages, t->n_marks,
	       (unsigned long long)t->flows, text_time(t->end - t->start).s);
	for (i = 0; i < slow; i++)
		print_bottleneck(stages[i].workflow, stages[i].stage, stages[i].share);
	if (!slow)
		puts("no bottleneck");
	if (t->lost + t->left_out)
		warning("%llu events were lost", (unsigned long long)(t->lost + t->left_out));
	if (timeline_full(t))
		warning("the trace was full after %s", text_time(t->end - t->start).s);
	if (trace->probes.left_out)
		warning("only the first %zu links were traced", trace->probes.n);
	if (trace->spans && trace->spans->left_out)
		warning("only the first %d streams were traced", SPANS_MAX);
}

static int open_files(struct trace *trace)
{
	int status = STATUS_OK;

	if (trace->output)
		status = whole_file_open(&trace->file, trace->output);
	if (!status && trace->otlp)
		status = whole_file_open(&trace->otlp_file, trace->otlp);
	return status;
}

static int write_files(struct trace *trace, const struct probed_stage *stages, ssize_t slow)
{
	int n, status = STATUS_OK;

	if (trace->output) {
		timeline_write(trace->timeline, stages, slow, trace->file.f);
		status = whole_file_commit(&trace->file);
	}
	if (!status && trace->otlp) {
		n = spans_write(trace->spans, trace->otlp_file.f);
		status = whole_file_commit(&trace->otlp_file);
		if (!status)
			printf("%d streams, ", n);
	}
	return status;
}

static int record(struct trace *trace)
{
	_cleanup_(freep) struct probed_stage *stages = NULL;
	int ret, status;
	ssize_t slow;

	trace->timeline = timeline_new(&trace->probes, trace->limit);
	if (trace->otlp)
		trace->spans = spans_new(&trace->probes);
	if (!trace->timeline || (trace->otlp && !trace->spans))
		return fail_memory();
	ret = attach(trace);
	if (ret) {
		fprintf(stderr, "faasctl: cannot trace: %s; see: faasctl latency\n",
			bpf_missing(-ret, true));
		return STATUS_REFUSED;
	}
	/* Before anything is waited for. */
	status = open_files(trace);
	if (!status)
		status = watch(trace);
	if (status)
		return status;
	timeline_finish(trace->timeline, monotonic_ns());
	slow = probes_bottlenecks(&trace->probes, &stages);
	if (slow < 0)
		return fail_memory();
	status = write_files(trace, stages, slow);
	if (status)
		return status;
	print_summary(trace, stages, slow);
	return finish_output();
}

static int run(struct args *args)
{
	struct trace trace = { .limit = LIMIT_DEFAULT };
	struct faasctl_error err;
	int id, status;

	while ((id = args_next(args)) != -1) {
		if (id == 'o')
			trace.output = args->value;
		else if (id == 'O')
			trace.otlp = args->value;
		else if (id == 'd')
			trace.run_ms = parse_seconds(args, 0.1, 1000000);
		else if (id == 'n')
			trace.limit = parse_count(args, LIMIT_MAX, "marks");
	}
	args_rest(args, 1, 1);
	if (!trace.output && !trace.otlp)
		usage_error(args->command, "where to write the trace is missing: give --output FILE");
	if (probes_open(&trace.probes, args->argv[0], &err))
		status = fail_hint(&err, trace.probes.ctl ? ENOENT : 0,
				   "see: faasctl show");
	else
		status = record(&trace);
	whole_file_discard(&trace.file);
	whole_file_discard(&trace.otlp_file);
	unload(&trace);
	spans_free(trace.spans);
	timeline_free(trace.timeline);
	probes_close(&trace.probes);
	return status;
}

const struct command trace_command = {
	.name = "trace",
	.run = run,
	.args = "[OPTION]... WORKFLOW",
	.help = "Record what the stages of a workflow do when, for Perfetto",
	.example = "faasctl trace --duration 10 --output wf1.json wf1",
	.options = options,
};
