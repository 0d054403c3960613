// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl latency */
#include <jansson.h>

#include "meter.h"
#include "probes.h"

static const struct option_row options[] = {
	{ 'd', "duration", "SECONDS", "end after so long; default: Ctrl-C" },
	{ 'j', "json", NULL, "print JSON" },
	{ 's', "sum", NULL, "add up the links of each workflow" },
	{ 0 },
};

static const char *const kind_units[LATENCY_KINDS] = {
	[LATENCY_RESIDENCE] = "us", [LATENCY_BLOCKED_OUT] = "us",
	[LATENCY_BLOCKED_IN] = "us", [LATENCY_WAKE_OUT] = "us",
	[LATENCY_WAKE_IN] = "us", [LATENCY_WRITE] = "bytes",
	[LATENCY_READ] = "bytes",
};

static const char *const kind_counts[LATENCY_KINDS] = {
	[LATENCY_RESIDENCE] = "bytes", [LATENCY_BLOCKED_OUT] = "waits",
	[LATENCY_BLOCKED_IN] = "waits", [LATENCY_WAKE_OUT] = "wake-ups",
	[LATENCY_WAKE_IN] = "wake-ups", [LATENCY_WRITE] = "writes",
	[LATENCY_READ] = "reads",
};

static const char *const kind_titles[LATENCY_KINDS] = {
	[LATENCY_RESIDENCE] = "bytes were in the channel for",
	[LATENCY_BLOCKED_OUT] = "writers were blocked on a full channel for",
	[LATENCY_BLOCKED_IN] = "readers were blocked on an empty channel for",
	[LATENCY_WAKE_OUT] = "writers ran after a wake-up within",
	[LATENCY_WAKE_IN] = "readers ran after a wake-up within",
	[LATENCY_WRITE] = "sizes of writes",
	[LATENCY_READ] = "sizes of reads",
};

static const char *const kind_keys[LATENCY_KINDS] = {
	[LATENCY_RESIDENCE] = "residence",
	[LATENCY_BLOCKED_OUT] = "writer_blocked",
	[LATENCY_BLOCKED_IN] = "reader_blocked",
	[LATENCY_WAKE_OUT] = "writer_wake", [LATENCY_WAKE_IN] = "reader_wake",
	[LATENCY_WRITE] = "write_size", [LATENCY_READ] = "read_size",
};

/**
 * struct measured - what came of a link, or of all links of a workflow
 * @link: the link; of several, the first
 * @links: how many
 * @bpf: what the BPF programs saw
 * @waiting_ns: how long who waits now has waited, by direction
 */
struct measured {
	const struct probed *link;
	unsigned int links;
	struct latency_link bpf;
	uint64_t waiting_ns[2];
};

/**
 * struct latency - a run of this command
 * @probes: the links
 * @meter: the BPF programs, or NULL
 * @run_ms: how long it is to run, or 0
 * @json: print JSON
 * @sum: by workflow
 * @started: when, CLOCK_MONOTONIC
 * @ran_ns: for how long
 * @measured: what came of it
 * @n: how many
 */
struct latency {
	struct probes probes;
	struct meter *meter;
	uint32_t run_ms;
	bool json;
	bool sum;
	uint64_t started;
	uint64_t ran_ns;
	struct measured *measured;
	size_t n;
};

static int add_link(void *arg, const struct probed *link, uint32_t slot)
{
	struct latency *latency = arg;

	return meter_add(latency->meter, slot, link->generation, link->capacity);
}

/* Loads and attaches; a negative errno if that cannot be. */
static int attach(struct latency *latency)
{
	struct probes *probes = &latency->probes;
	size_t i;
	int ret;

	probes->room = probes_room(probes->n);
	ret = meter_open(&latency->meter, probes->room);
	for (i = 0; !ret && i < probes->n; i++)
		ret = add_link(latency, &probes->links[i], i);
	probes->add = add_link;
	probes->arg = latency;
	return ret ? ret : meter_start(latency->meter);
}

static int collect(struct latency *latency)
{
	uint64_t now = monotonic_ns();
	uint32_t slot;
	int ret, dir;

	for (slot = 0; slot < latency->n; slot++) {
		struct measured *m = &latency->measured[slot];

		ret = meter_read(latency->meter, slot, &m->bpf);
		if (ret)
			return ret;
		for (dir = 0; dir < 2; dir++)
			if (m->bpf.waiting_since[dir] && m->bpf.waiting_since[dir] < now)
				m->waiting_ns[dir] = now - m->bpf.waiting_since[dir];
	}
	return 0;
}

/* Where there is no BPF: what the module counted since the links were made. */
static void take_counters(struct latency *latency)
{
	size_t i;

	for (i = 0; i < latency->n; i++) {
		struct probed *link = &latency->probes.links[i];
		const struct faasctl_stats *stats = &link->stats;
		struct latency_link *bpf = &latency->measured[i].bpf;

		memset(&link->first, 0, sizeof(link->first));
		bpf->blocked_ns[FAASIN_DIRECTION_OUT] = stats->writer_blocked_ns;
		bpf->blocked_ns[FAASIN_DIRECTION_IN] = stats->reader_blocked_ns;
	}
}

/* Whether this is the first link of its workflow. */
static bool first_of_workflow(const struct latency *latency, size_t i)
{
	size_t j;

	for (j = 0; j < i; j++)
		if (!strcmp(latency->measured[j].link->workflow,
			    latency->measured[i].link->workflow))
			return false;
	return true;
}

static void add_up(struct measured *to, const struct measured *from)
{
	int i;

	for (i = 0; i < LATENCY_KINDS; i++)
		histogram_add(&to->bpf.kinds[i], &from->bpf.kinds[i]);
	for (i = 0; i < 2; i++) {
		to->bpf.blocked_ns[i] += from->bpf.blocked_ns[i];
		to->waiting_ns[i] += from->waiting_ns[i];
	}
	to->bpf.unmatched += from->bpf.unmatched;
	to->links += from->links;
}

/* The link in this place; with --sum all of its workflow. */
static struct measured result(const struct latency *latency, size_t i)
{
	struct measured m = latency->measured[i];
	size_t j;

	for (j = i + 1; latency->sum && j < latency->n; j++)
		if (!strcmp(latency->measured[j].link->workflow, m.link->workflow))
			add_up(&m, &latency->measured[j]);
	return m;
}

static void print_sums(const struct measured *m)
{
	static const char *const who[] = { "reader", "writer" };
	int dir;

	for (dir = 1; dir >= 0; dir--) {
		printf("  %ss blocked %s in all", who[dir],
		       text_time(m->bpf.blocked_ns[dir]).s);
		if (m->waiting_ns[dir])
			printf(", and for %s now", text_time(m->waiting_ns[dir]).s);
		putchar('\n');
	}
	if (m->bpf.unmatched)
		printf("  %llu bytes read whose writing was not seen\n",
		       (unsigned long long)m->bpf.unmatched);
}

static void print_measured(const struct measured *m, bool bpf)
{
	int i;

	if (m->links > 1)
		printf("%s: %u links together\n", m->link->workflow, m->links);
	else
		printf("%s: %s:%s to %s:%s\n", m->link->workflow, m->link->src_stage,
		       m->link->src_port, m->link->dst_stage, m->link->dst_port);
	print_sums(m);
	for (i = 0; bpf && i < LATENCY_KINDS; i++) {
		if (!histogram_count(&m->bpf.kinds[i]))
			continue;
		printf("\n  %s\n", kind_titles[i]);
		histogram_print(&m->bpf.kinds[i], kind_units[i], kind_counts[i]);
	}
	putchar('\n');
}

static int print_text(const struct latency *latency, bool bpf)
{
	_cleanup_(freep) struct probed_stage *stages = NULL;
	ssize_t slow = probes_bottlenecks(&latency->probes, &stages), k;
	size_t i;

	if (slow < 0)
		return fail_memory();
	for (i = 0; i < latency->n; i++) {
		struct measured m = result(latency, i);

		if (latency->sum && !first_of_workflow(latency, i))
			continue;
		print_measured(&m, bpf);
	}
	for (k = 0; k < slow; k++)
		print_bottleneck(stages[k].workflow, stages[k].stage, stages[k].share);
	if (!slow && latency->n)
		puts("no bottleneck");
	if (!latency->n)
		puts("no links");
	return finish_output();
}

static json_t *end_json(const struct measured *m, const char *stage, const char *port)
{
	if (m->links > 1)
		return json_null();
	return json_pack("{s:s, s:s}", "stage", stage, "port", port);
}

static json_t *measured_json(const struct measured *m, bool bpf)
{
	const struct probed *link = m->link;
	json_t *json;
	int i;

	json = json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I}",
			 "workflow", link->workflow,
			 "source", end_json(m, link->src_stage, link->src_port),
			 "destination", end_json(m, link->dst_stage, link->dst_port),
			 "writer_blocked_ns", (json_int_t)m->bpf.blocked_ns[FAASIN_DIRECTION_OUT],
			 "reader_blocked_ns", (json_int_t)m->bpf.blocked_ns[FAASIN_DIRECTION_IN],
			 "writer_waiting_ns", (json_int_t)m->waiting_ns[FAASIN_DIRECTION_OUT],
			 "reader_waiting_ns", (json_int_t)m->waiting_ns[FAASIN_DIRECTION_IN],
			 "unmatched_bytes", (json_int_t)m->bpf.unmatched);
	for (i = 0; i < LATENCY_KINDS; i++)
		json_object_set_new(json, kind_keys[i], bpf ?
				    histogram_json(&m->bpf.kinds[i], kind_units[i]) :
				    json_null());
	json_object_set_new(json, "stats", m->links > 1 ? json_null() :
			    json_stats(&link->stats));
	return json;
}

static int print_json(const struct latency *latency, const char *missing)
{
	_cleanup_(freep) struct probed_stage *stages = NULL;
	ssize_t slow = probes_bottlenecks(&latency->probes, &stages), k;
	json_t *links = json_array(), *found = json_array();
	size_t i;

	for (i = 0; i < latency->n; i++) {
		struct measured m = result(latency, i);

		if (!latency->sum || first_of_workflow(latency, i))
			json_array_append_new(links, measured_json(&m, !missing));
	}
	for (k = 0; k < slow; k++)
		json_array_append_new(found, json_bottleneck(stages[k].workflow, stages[k].stage,
							     stages[k].share));
	return json_print(json_pack("{s:I, s:s?, s:o, s:o, s:b}",
		"duration_ns", (json_int_t)latency->ran_ns,
		"missing", missing, "links", links, "bottlenecks", found,
		"left_out", latency->probes.left_out));
}

/* Waits until it is over. Links that are made meanwhile are looked at too. */
static int watch(struct latency *latency)
{
	struct faasctl_error err;
	struct run_time time;
	int ret = 0;

	run_time_start(&time, latency->run_ms);
	latency->started = monotonic_ns();
	fprintf(stderr, "faasctl: looking at %zu links%s\n", latency->probes.n,
		latency->run_ms ? "" : "; Ctrl-C ends it");
	while (!ret && run_time_wait(&time, 1000))
		ret = probes_refresh(&latency->probes, &err);
	if (!ret)
		ret = probes_refresh(&latency->probes, &err);
	latency->ran_ns = monotonic_ns() - latency->started;
	/* A workflow that is gone ends it: what was seen of it is shown. */
	return ret && ret != -ENOENT ? fail(&err) : STATUS_OK;
}

static int measure(struct latency *latency)
{
	const char *missing = NULL;
	int ret, status = STATUS_OK;
	size_t i;

	ret = attach(latency);
	if (ret) {
		missing = bpf_missing(-ret, false);
		warning("%s; these are the counters since the links were made", missing);
	} else {
		status = watch(latency);
	}
	latency->n = latency->probes.n;
	latency->measured = calloc(latency->n + 1, sizeof(*latency->measured));
	if (status || !latency->measured)
		return STATUS_REFUSED;
	for (i = 0; i < latency->n; i++) {
		latency->measured[i].link = &latency->probes.links[i];
		latency->measured[i].links = 1;
	}
	if (missing) {
		take_counters(latency);
	} else if (collect(latency)) {
		fputs("faasctl: cannot read what the BPF programs saw\n", stderr);
		return STATUS_REFUSED;
	}
	if (latency->probes.left_out)
		warning("only the first %zu links were looked at", latency->n);
	return latency->json ? print_json(latency, missing) :
			       print_text(latency, !missing);
}

static int run(struct args *args)
{
	struct latency latency = { 0 };
	struct faasctl_error err;
	int id, status;

	while ((id = args_next(args)) != -1) {
		if (id == 'd')
			latency.run_ms = parse_seconds(args, 0.1, 1000000);
		else if (id == 'j')
			latency.json = true;
		else if (id == 's')
			latency.sum = true;
	}
	args_rest(args, 0, 1);
	if (probes_open(&latency.probes, args->argv[0], &err))
		status = fail_hint(&err, latency.probes.ctl ? ENOENT : 0,
				   "see: faasctl show");
	else
		status = measure(&latency);
	if (latency.meter)
		meter_close(latency.meter);
	free(latency.measured);
	probes_close(&latency.probes);
	return status;
}

const struct command latency_command = {
	.name = "latency",
	.run = run,
	.args = "[OPTION]... [WORKFLOW]",
	.help = "Show how long bytes, writers and readers wait, as histograms",
	.example = "faasctl latency --duration 10 wf1",
	.options = options,
};
