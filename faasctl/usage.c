// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl usage: what a workflow used, to be billed. */
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#include "process.h"
#include "tool.h"

static const struct option_row options[] = {
	{ 'j', "json", NULL, "print JSON" },
	{ 0 },
};

/* How often what changed while it was read is read again. */
#define TRIES	8

#define NO_CPU	UINT64_MAX

#define STAT(member)	offsetof(struct faasctl_stats, member)

/**
 * struct used - a line of the bill
 * @cpu_us: microseconds of CPU, or NO_CPU
 * @sent: what went out
 * @received: what came in; NULL: the same bytes are in other lines
 */
struct used {
	uint64_t cpu_us;
	const struct faasctl_stats *sent;
	const struct faasctl_stats *received;
};

/* --------------------------------------------------------------------- CPU */

/* The time that the file cpu.stat of a cgroup gives, or NO_CPU. */
static uint64_t cpu_stat(int cgroup)
{
	unsigned long long value;
	char text[4096];
	const char *at;

	if (!cgroup_read(cgroup, "cpu.stat", text, sizeof(text)))
		return NO_CPU;
	at = strstr(text, "usage_usec ");
	if (!at || sscanf(at, "usage_usec %llu", &value) != 1)
		return NO_CPU;
	return value;
}

/* Of the stage's cgroup and those below it; not of another that has its path here. */
static uint64_t stage_cpu(const struct snapshot_stage *stage)
{
	_cleanup_(closep) int fd = -1;
	const char *path = stage->cgroup_path;
	struct stat st;

	if (!path)
		return NO_CPU;
	path += strspn(path, "/");
	fd = faasctl_cgroup_open(*path ? path : ".", NULL);
	if (fd < 0 || fstat(fd, &st) || st.st_ino != stage->cgroup_id)
		return NO_CPU;
	return cpu_stat(fd);
}

/* ------------------------------------------------------------------ reading */

static void stats_add(struct faasctl_stats *to, const struct faasctl_stats *from)
{
	to->bytes_in += from->bytes_in;
	to->bytes_out += from->bytes_out;
	to->bytes_dropped += from->bytes_dropped;
	to->bytes_held += from->bytes_held;
	to->bytes_in_moved += from->bytes_in_moved;
	to->bytes_in_copied += from->bytes_in_copied;
	to->bytes_out_moved += from->bytes_out_moved;
	to->bytes_out_copied += from->bytes_out_copied;
	to->pool_kib_ms += from->pool_kib_ms;
	to->streams_begun += from->streams_begun;
	to->streams_ended += from->streams_ended;
	to->streams_aborted += from->streams_aborted;
	to->early_closes += from->early_closes;
}

/*
 * Whether what was a stage's became its workflow's in between: the time that the links of
 * deleted stages existed grows with each such stage, and only then.
 */
static bool stages_went(const struct snapshot *before, const struct snapshot *now)
{
	size_t i;

	if (before->n_workflows != now->n_workflows)
		return true;
	for (i = 0; i < now->n_workflows; i++)
		if (before->workflows[i].generation != now->workflows[i].generation ||
		    before->workflows[i].gone.linked_ns != now->workflows[i].gone.linked_ns)
			return true;
	return false;
}

/* Stages and workflows that belong together, so that nothing is in both or in none. */
static int read_all(struct faasctl *ctl, const char *workflow,
		    struct snapshot *snap, struct faasctl_error *err)
{
	struct snapshot before;
	bool changed;
	int ret, tries;

	for (tries = 0; ; tries++) {
		ret = snapshot_read(&before, ctl, workflow, SNAPSHOT_WORKFLOWS,
				    err);
		if (ret)
			return ret;
		ret = snapshot_read(snap, ctl, workflow,
				    SNAPSHOT_WORKFLOWS | SNAPSHOT_STAGES, err);
		changed = !ret && stages_went(&before, snap);
		snapshot_free(&before);
		if (!changed || tries == TRIES)
			return ret;
		snapshot_free(snap);
	}
}

/* ----------------------------------------------------------------- printing */

static uint64_t byte_seconds(uint64_t kib_ms)
{
	return kib_ms / 1000 * 1024 + kib_ms % 1000 * 1024 / 1000;
}

static void print_cpu(uint64_t us)
{
	char text[32];

	if (us == NO_CPU)
		strcpy(text, "-");
	else
		snprintf(text, sizeof(text), "%llu.%03llu s",
			 (unsigned long long)(us / 1000000),
			 (unsigned long long)(us / 1000 % 1000));
	printf(" %10s", text);
}

static void print_line(const char *name, const struct used *used)
{
	const struct faasctl_stats *s = used->sent, *r = used->received;

	printf("  %-14s", name);
	print_cpu(used->cpu_us);
	printf(" %9s", r ? text_bytes(r->bytes_out).s : "-");
	printf(" %9s", text_bytes(s->bytes_in).s);
	printf(" %9s", r ? text_bytes(s->bytes_in_copied + r->bytes_out_copied).s : "-");
	printf(" %9s", text_bytes(s->bytes_dropped).s);
	printf(" %10s s\n",
	       text_bytes(byte_seconds(s->pool_kib_ms)).s);
}

/* @value: in the statistics of what was received; null where those are not known */
static json_t *json_received(const struct used *used, size_t value)
{
	uint64_t n;

	if (!used->received)
		return json_null();
	memcpy(&n, (const char *)used->received + value, sizeof(n));
	return json_integer((json_int_t)n);
}

static json_t *json_cpu(uint64_t us)
{
	return us == NO_CPU ? json_null() : json_real(us / 1e6);
}

/* @name: NULL: it has none */
static json_t *json_used(const char *name, const struct used *used)
{
	const struct faasctl_stats *s = used->sent;

	return json_pack("{s:s*, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"name", name,
		"cpu_seconds", json_cpu(used->cpu_us),
		"bytes_written", (json_int_t)s->bytes_in,
		"bytes_written_moved", (json_int_t)s->bytes_in_moved,
		"bytes_written_copied", (json_int_t)s->bytes_in_copied,
		"bytes_read", json_received(used, STAT(bytes_out)),
		"bytes_read_moved", json_received(used, STAT(bytes_out_moved)),
		"bytes_read_copied", json_received(used, STAT(bytes_out_copied)),
		"bytes_dropped", (json_int_t)s->bytes_dropped,
		"bytes_held", (json_int_t)s->bytes_held,
		"streams_begun", (json_int_t)s->streams_begun,
		"streams_ended", (json_int_t)s->streams_ended,
		"streams_aborted", (json_int_t)s->streams_aborted,
		"early_closes", (json_int_t)s->early_closes,
		"buffer_byte_seconds", (json_int_t)byte_seconds(s->pool_kib_ms));
}

/**
 * struct bill - a workflow's
 * @workflow: the workflow
 * @total: of all lines; what was read is what went out of links
 * @cpu_us: CPU of the stages that are there
 * @json: stages as JSON, or NULL: they are printed
 */
struct bill {
	const struct snapshot_workflow *workflow;
	struct faasctl_stats total;
	uint64_t cpu_us;
	json_t *json;
};

static void bill_stage(struct bill *bill, const struct snapshot_stage *stage)
{
	struct used used = {
		.cpu_us = stage_cpu(stage),
		.sent = &stage->sent,
		.received = &stage->received,
	};

	stats_add(&bill->total, used.sent);
	if (used.cpu_us != NO_CPU)
		bill->cpu_us = (bill->cpu_us == NO_CPU ? 0 : bill->cpu_us) +
			       used.cpu_us;
	if (bill->json)
		json_array_append_new(bill->json,
				      json_used(stage->name, &used));
	else
		print_line(stage->name, &used);
}

/* @first: of the stages, those of the workflow and of others */
static void bill_workflow(const struct snapshot *snap, size_t first,
			  const struct snapshot_workflow *workflow, json_t *all)
{
	struct used gone = { NO_CPU, &workflow->gone, NULL }, total;
	struct bill bill = { .workflow = workflow, .cpu_us = NO_CPU };
	json_t *json;
	size_t i;

	if (all)
		bill.json = json_array();
	else
		printf("workflow %s%s%s\n  %-14s %10s %9s %9s %9s %9s %12s\n",
		       bold(), workflow->name, plain(), "stage", "CPU", "read",
		       "written", "copied", "dropped", "buffers");
	for (i = first; i < snap->n_stages &&
	     !strcmp(snap->stages[i].workflow, workflow->name); i++)
		bill_stage(&bill, &snap->stages[i]);
	stats_add(&bill.total, &workflow->gone);
	total = (struct used){ bill.cpu_us, &bill.total, &bill.total };
	if (!all) {
		if (workflow->gone.linked_ns)
			print_line("(deleted stages)", &gone);
		print_line("(all)", &total);
		return;
	}
	json = json_pack("{s:s, s:o, s:o, s:o}", "name", workflow->name,
			 "stages", bill.json,
			 "deleted", json_used(NULL, &gone),
			 "total", json_used(NULL, &total));
	json_array_append_new(all, json);
}

/* Where the stages of each workflow begin, which come in a row. */
static size_t *first_stages(const struct snapshot *snap)
{
	size_t *first = calloc(snap->n_workflows + 1, sizeof(*first)), i;
	ssize_t at = -1, before;

	for (i = 0; first && i < snap->n_workflows; i++)
		first[i] = snap->n_stages;
	for (i = 0; first && i < snap->n_stages; i++) {
		before = at;
		at = snapshot_workflow(snap, snap->stages[i].workflow, at);
		if (at >= 0 && at != before)
			first[at] = i;
	}
	return first;
}

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(freep) size_t *first = NULL;
	struct faasctl_error err;
	struct snapshot snap;
	json_t *all = NULL;
	bool json;
	int status;
	size_t i;

	json = args_json(args);
	args_rest(args, 0, 1);
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	if (read_all(ctl, args->argv[0], &snap, &err))
		return fail_hint(&err, ENOENT, "see: faasctl show");
	if (json)
		all = json_array();
	first = first_stages(&snap);
	for (i = 0; first && i < snap.n_workflows; i++)
		bill_workflow(&snap, first[i], &snap.workflows[i], all);
	if (!first) {
		json_decref(all);
		snapshot_free(&snap);
		return fail_memory();
	}
	status = json ? json_print(json_pack("{s:o}", "workflows", all)) :
			finish_output();
	snapshot_free(&snap);
	return status;
}

const struct command usage_command = {
	.name = "usage",
	.run = run,
	.args = "[OPTION]... [WORKFLOW]",
	.help = "Tell what each stage used: CPU, bytes, memory over time",
	.example = "faasctl usage --json wf1",
	.options = options,
};
