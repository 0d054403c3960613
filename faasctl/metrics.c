// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasctl metrics. Names and labels are an interface, described in
 * faasctl-metrics(1). Labels are names of workflows, stages and ports, of which
 * the kernel has bounded numbers.
 */
#include <sys/stat.h>

#include "metrics.h"
#include "whole_file.h"

static const struct option_row options[] = {
	{ 'f', "format", "FORMAT", "openmetrics or prometheus (text 0.0.4)" },
	{ 'l', "listen", "ADDRESS", "serve scrapes at [HOST:]PORT; without HOST at the loopback" },
	{ 't', "textfile", "DIR", "write DIR/faasin.prom, for node_exporter" },
	{ 0 },
};

enum kind { COUNTER, GAUGE };

/* Which of the numbers that follow a family's samples show. */
enum unit { PLAIN, BYTES, SECONDS, BYTE_SECONDS };

/**
 * struct family - a metric
 * @name: without "faasin_link_" or "faasin_workflow_", and without "_total"
 * @kind: what it is
 * @unit: base unit; the end of its name
 * @offset: where in struct faasctl_stats it is
 * @workflow: a workflow has it, too
 * @help: what it tells
 */
struct family {
	const char *name;
	enum kind kind;
	enum unit unit;
	size_t offset;
	bool workflow;
	const char *help;
};

#define STAT(member)	offsetof(struct faasctl_stats, member)

static const struct family families[] = {
	{ "written_bytes", COUNTER, BYTES, STAT(bytes_in), true,
	  "Bytes accepted from writers: those read, dropped and held." },
	{ "read_bytes", COUNTER, BYTES, STAT(bytes_out), true,
	  "Bytes given to readers." },
	{ "moved_in_bytes", COUNTER, BYTES, STAT(bytes_in_moved), true,
	  "Bytes that writers gave by reference." },
	{ "copied_in_bytes", COUNTER, BYTES, STAT(bytes_in_copied), true,
	  "Bytes copied from writers." },
	{ "moved_out_bytes", COUNTER, BYTES, STAT(bytes_out_moved), true,
	  "Bytes that readers were given by reference." },
	{ "copied_out_bytes", COUNTER, BYTES, STAT(bytes_out_copied), true,
	  "Bytes copied to readers." },
	{ "dropped_bytes", COUNTER, BYTES, STAT(bytes_dropped), true,
	  "Bytes accepted and dropped, after an early close or an unlink." },
	{ "held_bytes", GAUGE, BYTES, STAT(bytes_held), true,
	  "Bytes that wait to be read." },
	{ "held_peak_bytes", GAUGE, BYTES, STAT(bytes_held_max), false,
	  "The most bytes that ever waited." },
	{ "buffer_bytes", GAUGE, BYTES, STAT(pool_bytes), true,
	  "Memory of buffers." },
	{ "buffer_byte_seconds", COUNTER, BYTE_SECONDS, STAT(pool_kib_ms), true,
	  "Memory of buffers over time." },
	{ "linked_seconds", COUNTER, SECONDS, STAT(linked_ns), false,
	  "Time that there was a link." },
	{ "writes", COUNTER, PLAIN, STAT(writes), true,
	  "Write calls that moved bytes." },
	{ "reads", COUNTER, PLAIN, STAT(reads), true,
	  "Read calls that moved bytes." },
	{ "reader_wakeups", COUNTER, PLAIN, STAT(reader_wakes), false,
	  "Wake-ups sent to readers." },
	{ "writer_wakeups", COUNTER, PLAIN, STAT(writer_wakes), false,
	  "Wake-ups sent to writers." },
	{ "avoided_wakeups", COUNTER, PLAIN, STAT(wakes_avoided), false,
	  "Transfers that needed no wake-up." },
	{ "writer_blocked_seconds", COUNTER, SECONDS, STAT(writer_blocked_ns), true,
	  "Time that writers waited for room." },
	{ "reader_blocked_seconds", COUNTER, SECONDS, STAT(reader_blocked_ns), true,
	  "Time that readers waited for bytes." },
	{ "writer_waits", COUNTER, PLAIN, STAT(writer_blocks), false,
	  "Times that a writer waited for room." },
	{ "reader_waits", COUNTER, PLAIN, STAT(reader_blocks), false,
	  "Times that a reader waited for bytes." },
	{ "begun_streams", COUNTER, PLAIN, STAT(streams_begun), true,
	  "Streams that began." },
	{ "ended_streams", COUNTER, PLAIN, STAT(streams_ended), true,
	  "Streams that ended." },
	{ "aborted_streams", COUNTER, PLAIN, STAT(streams_aborted), true,
	  "Streams that were aborted, as by a crash of the writer." },
	{ "early_closes", COUNTER, PLAIN, STAT(early_closes), true,
	  "Streams that the reader left before their end." },
	{ "queued_streams", GAUGE, PLAIN, STAT(streams_queued), true,
	  "Streams that are over and not read yet." },
};

static const char *const unit_names[] = {
	[BYTES] = "bytes",
	[SECONDS] = "seconds",
	[BYTE_SECONDS] = "byte_seconds",
};

static const char *suffix(enum kind kind)
{
	return kind == COUNTER ? "_total" : "";
}

/* In OpenMetrics a counter's family lacks what its samples end in. */
static void print_head(FILE *to, enum metrics_format format, const char *scope,
		       const struct family *family)
{
	bool open = format == METRICS_OPENMETRICS;
	const char *end = open ? "" : suffix(family->kind);

	fprintf(to, "# HELP faasin_%s%s%s %s\n", scope, family->name, end,
		family->help);
	fprintf(to, "# TYPE faasin_%s%s%s %s\n", scope, family->name, end,
		family->kind == COUNTER ? "counter" : "gauge");
	if (open && family->unit != PLAIN)
		fprintf(to, "# UNIT faasin_%s%s %s\n", scope, family->name,
			unit_names[family->unit]);
}

/* Exactly: a double has no room for nanoseconds of a year. */
static void print_value(FILE *to, enum unit unit, uint64_t value)
{
	uint64_t rest;

	switch (unit) {
	case SECONDS:
		fprintf(to, " %llu.%09llu\n",
			(unsigned long long)(value / 1000000000),
			(unsigned long long)(value % 1000000000));
		break;
	case BYTE_SECONDS:
		rest = value % 1000 * 1024;
		fprintf(to, " %llu.%03llu\n",
			(unsigned long long)(value / 1000 * 1024 + rest / 1000),
			(unsigned long long)(rest % 1000));
		break;
	default:
		fprintf(to, " %llu\n", (unsigned long long)value);
	}
}

static uint64_t value_of(const struct family *family,
			 const struct faasctl_stats *stats)
{
	uint64_t value;

	memcpy(&value, (const char *)stats + family->offset, sizeof(value));
	return value;
}

static void print_link_labels(FILE *to, const struct snapshot_link *link)
{
	fprintf(to, "{workflow=\"%s\",src=\"%s:%s\",dst=\"%s:%s\"}",
		link->workflow, link->src_stage, link->src_port,
		link->dst_stage, link->dst_port);
}

static void print_links(FILE *to, enum metrics_format format,
			const struct snapshot *snap)
{
	static const struct family capacity = {
		.name = "capacity_bytes", .kind = GAUGE, .unit = BYTES,
		.help = "Bytes that a link can hold.",
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *family = &families[i];

		print_head(to, format, "link_", family);
		for (k = 0; k < snap->n_links; k++) {
			fprintf(to, "faasin_link_%s%s", family->name,
				suffix(family->kind));
			print_link_labels(to, &snap->links[k]);
			print_value(to, family->unit,
				    value_of(family, &snap->links[k].stats));
		}
	}
	print_head(to, format, "link_", &capacity);
	for (k = 0; k < snap->n_links; k++) {
		fputs("faasin_link_capacity_bytes", to);
		print_link_labels(to, &snap->links[k]);
		print_value(to, BYTES, snap->links[k].capacity);
	}
}

static void print_counts(FILE *to, enum metrics_format format,
			 const struct snapshot *snap)
{
	static const struct family stages = {
		.name = "stages", .kind = GAUGE, .help = "Stages that exist.",
	};
	static const struct family links = {
		.name = "links", .kind = GAUGE, .help = "Links that exist.",
	};
	size_t k;

	print_head(to, format, "workflow_", &stages);
	for (k = 0; k < snap->n_workflows; k++)
		fprintf(to, "faasin_workflow_stages{workflow=\"%s\"} %u\n",
			snap->workflows[k].name, snap->workflows[k].stages);
	print_head(to, format, "workflow_", &links);
	for (k = 0; k < snap->n_workflows; k++)
		fprintf(to, "faasin_workflow_links{workflow=\"%s\"} %u\n",
			snap->workflows[k].name, snap->workflows[k].links);
}

static void print_workflows(FILE *to, enum metrics_format format,
			    const struct snapshot *snap)
{
	size_t i, k;

	print_counts(to, format, snap);
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *family = &families[i];

		if (!family->workflow)
			continue;
		print_head(to, format, "workflow_", family);
		for (k = 0; k < snap->n_workflows; k++) {
			fprintf(to, "faasin_workflow_%s%s{workflow=\"%s\"}",
				family->name, suffix(family->kind),
				snap->workflows[k].name);
			print_value(to, family->unit,
				    value_of(family, &snap->workflows[k].stats));
		}
	}
}

/* Its version may be text of any kind: a label's value has escapes. */
static void print_module(FILE *to, enum metrics_format format,
			 const struct faasctl_info *info)
{
	struct text version = text_clean(info->version);
	const char *p;

	if (format == METRICS_OPENMETRICS)
		fputs("# HELP faasin_module The kernel module.\n"
		      "# TYPE faasin_module info\n", to);
	else
		fputs("# HELP faasin_module_info The kernel module.\n"
		      "# TYPE faasin_module_info gauge\n", to);
	fputs("faasin_module_info{version=\"", to);
	for (p = version.s; *p; p++)
		fprintf(to, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
	fprintf(to, "\",abi=\"%u\"} 1\n", info->abi);
}

static void print_all(FILE *to, enum metrics_format format,
		      const struct faasctl_info *info,
		      const struct snapshot *snap)
{
	print_module(to, format, info);
	print_workflows(to, format, snap);
	print_links(to, format, snap);
	if (format == METRICS_OPENMETRICS)
		fputs("# EOF\n", to);
}

/* Asks the module and makes a text of all that it says, the caller's to free. */
int metrics_text(enum metrics_format format, char **text, size_t *len,
		 struct faasctl_error *err)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_info info;
	struct snapshot snap;
	FILE *to;
	int ret;

	ret = faasctl_open(&ctl, err);
	if (!ret)
		ret = faasctl_info_get(ctl, &info, err);
	if (!ret)
		ret = snapshot_read(&snap, ctl, NULL,
				    SNAPSHOT_WORKFLOWS | SNAPSHOT_LINKS, err);
	if (ret)
		return ret;
	*text = NULL;
	to = open_memstream(text, len);
	if (to)
		print_all(to, format, &info, &snap);
	snapshot_free(&snap);
	if (to && !fclose(to))
		return 0;
	free(*text);
	return error_memory(err);
}

static int write_textfile(const char *text, const char *dir)
{
	_cleanup_(freep) char *path = NULL;
	struct whole_file file;
	struct stat st;
	int status;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode)) {
		fprintf(stderr, "faasctl: %s is not a directory: name the one that node_exporter's --collector.textfile.directory names\n",
			text_clean(dir).s);
		return STATUS_REFUSED;
	}
	if (asprintf(&path, "%s/faasin.prom", dir) < 0) {
		path = NULL;
		return fail_memory();
	}
	status = whole_file_open(&file, path);
	if (status != STATUS_OK)
		return status;
	fputs(text, file.f);
	return whole_file_commit(&file);
}

static const char *format_name(uint32_t format)
{
	static const char *const names[] = {
		[METRICS_OPENMETRICS] = "openmetrics",
		[METRICS_PROMETHEUS] = "prometheus",
	};

	return format < ARRAY_SIZE(names) ? names[format] : "unknown";
}

static int run(struct args *args)
{
	_cleanup_(freep) char *text = NULL;
	enum metrics_format format = METRICS_OPENMETRICS;
	const char *dir = NULL, *where = NULL;
	struct faasctl_error err;
	bool chosen = false;
	size_t len;
	int id;

	while ((id = args_next(args)) != -1) {
		if (id == 'f') {
			format = parse_word(args, format_name);
			chosen = true;
		} else if (id == 'l') {
			where = args->value;
		} else if (id == 't') {
			dir = args->value;
		}
	}
	args_rest(args, 0, 0);
	if (!!dir + !!where + chosen > 1)
		usage_error(args->command,
			    "only one of --format, --listen and --textfile can be given");
	if (where)
		return scrape_serve(args, where);
	/* node_exporter reads nothing else. */
	if (dir)
		format = METRICS_PROMETHEUS;
	if (metrics_text(format, &text, &len, &err))
		return fail(&err);
	if (dir)
		return write_textfile(text, dir);
	fwrite(text, 1, len, stdout);
	return finish_output();
}

const struct command metrics_command = {
	.name = "metrics",
	.run = run,
	.args = "[OPTION]...",
	.help = "Print metrics for Prometheus, or serve them",
	.example = "faasctl metrics --listen 9417",
	.options = options,
};
