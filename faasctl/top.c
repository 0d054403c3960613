// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl top: readings, once or on a screen. */
#include <jansson.h>
#include <poll.h>

#include "probes.h"
#include "residence.h"

static const struct option_row options[] = {
	{ 'f', "filter", "TEXT", "only links with TEXT in the name of workflow or stage" },
	{ 'i', "interval", "SECONDS", "between two readings: 0.1 to 3600, default 1" },
	{ 'j', "json", NULL, "print JSON, once" },
	{ 'l', "latency", NULL, "measure how long bytes stay, with BPF: p50, p99, histogram" },
	{ 'o', "once", NULL, "print one table and exit" },
	{ 'r', "reverse", NULL, "sort the other way round" },
	{ 's', "sort", "COLUMN", "link, rate, fill, writer, reader, residence, p50, p99 or wakes" },
	{ 0 },
};

/* Reads the counters anew; returns 0 or -errno. */
int top_read(struct top *top, struct faasctl_error *err)
{
	int ret;

	top->n_rows = 0;
	ret = rates_read(&top->rates, top->ctl, top->workflow, err);
	/* While it is on its way out it is still listed, but there is nobody to ask. */
	if (module_load() != top->module || (ret == -ENOENT && !top->workflow)) {
		err->code = ENODEV;
		snprintf(err->message, sizeof(err->message),
			 "faasin: the module was unloaded");
		return -ENODEV;
	}
	if (!ret && top->meter && residence_read(top)) {
		residence_end(top);
		err->code = EIO;
		snprintf(err->message, sizeof(err->message),
			 "what the BPF programs measured cannot be read; try without --latency");
		return -EIO;
	}
	return ret;
}

/* Measures from now on how long bytes stay; returns NULL, or what is missing for that. */
const char *top_measure(struct top *top)
{
	int ret = residence_begin(top);

	return ret ? bpf_missing(-ret, false) : NULL;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct top *top = arg;
	int order = column_compare(top->sort, *(struct rates_link *const *)a,
				   *(struct rates_link *const *)b);

	return top->reverse ? -order : order;
}

/* Mostly they are in order: links are read as they were made. */
static void sort_rows(struct top *top)
{
	size_t i;

	for (i = 1; i < top->n_rows; i++)
		if (compare(&top->rows[i - 1], &top->rows[i], top) > 0)
			break;
	if (i < top->n_rows)
		qsort_r(top->rows, top->n_rows, sizeof(*top->rows), compare, top);
}

/* Makes the rows of what was read; returns 0 or -errno. */
int top_choose(struct top *top, struct faasctl_error *err)
{
	struct rates *rates = &top->rates;
	struct rates_link **rows;
	size_t i;

	if (rates->n > top->room) {
		rows = reallocarray(top->rows, rates->room, sizeof(*rows));
		if (!rows)
			return error_memory(err);
		top->rows = rows;
		top->room = rates->room;
	}
	top->n_rows = 0;
	for (i = 0; i < rates->n; i++)
		if (!*top->filter || column_matches(rates->links[i], top->filter))
			top->rows[top->n_rows++] = rates->links[i];
	sort_rows(top);
	return 0;
}

static json_t *json_rates(const struct rates_link *link)
{
	const struct faasctl_stats *now = &link->link.stats, *before = &link->before;

	if (!link->known)
		return json_null();
	return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:I, s:I, s:I}",
		"bytes_in", (json_int_t)(now->bytes_in - before->bytes_in),
		"bytes_out", (json_int_t)(now->bytes_out - before->bytes_out),
		"bytes_in_per_second", link->bytes_in,
		"bytes_out_per_second", link->bytes_out,
		"fill", link->fill,
		"writer_blocked", link->waits.writers,
		"reader_blocked", link->waits.readers,
		"residence_ns", link->residence_ns < 0 ? json_null() :
			json_integer((json_int_t)link->residence_ns),
		"residence", link->residence ?
			histogram_json(&link->residence->last, "us") : json_null(),
		"reader_wakes", (json_int_t)(now->reader_wakes - before->reader_wakes),
		"writer_wakes", (json_int_t)(now->writer_wakes - before->writer_wakes),
		"wakes_avoided", (json_int_t)(now->wakes_avoided - before->wakes_avoided));
}

static int print_json(const struct top *top)
{
	json_t *links = json_array(), *stages = json_array(), *json;
	const struct rates_stage *stage;
	size_t i;

	for (i = 0; i < top->n_rows; i++) {
		json = json_link(&top->rows[i]->link);
		json_object_set_new(json, "rates", json_rates(top->rows[i]));
		json_array_append_new(links, json);
	}
	for (stage = top->rates.bottlenecks; stage; stage = stage->next)
		if (column_matches_stage(stage, top->filter))
			json_array_append_new(stages, json_bottleneck(stage->workflow, stage->name,
								      stage->bottleneck));
	return json_print(json_pack("{s:I, s:o, s:o}",
		"interval_ns", (json_int_t)top->rates.interval_ns,
		"links", links, "bottlenecks", stages));
}

static void print_row(const struct rates_link *link, int width, bool measured)
{
	enum column column;
	struct text text;
	bool bad;

	for (column = COLUMN_LINK; column < COLUMNS; column++) {
		if (!column_shown(column, measured))
			continue;
		bad = column_is_bad(column, link);
		fputs(bad ? red() : "", stdout);
		if (column == COLUMN_LINK) {
			fputs(column_name(link, width).s, stdout);
		} else {
			text = column_text(column, link);
			printf("%*s", column_width(column), text.s);
		}
		fputs(bad ? plain() : "", stdout);
	}
	putchar('\n');
}

static int print_table(const struct top *top)
{
	const struct rates_stage *stage;
	enum column column;
	int width = 0, need;
	size_t i;

	for (i = 0; i < top->n_rows; i++) {
		need = column_name_width(top->rows[i]);
		if (need > width)
			width = need;
	}
	if (!top->n_rows) {
		puts("no links");
		return finish_output();
	}
	printf("%s%-*s", bold(), width, column_title(COLUMN_LINK));
	for (column = COLUMN_LINK + 1; column < COLUMNS; column++)
		if (column_shown(column, top->meter))
			printf("%*s", column_width(column), column_title(column));
	printf("%s\n", plain());
	for (i = 0; i < top->n_rows; i++)
		print_row(top->rows[i], width, top->meter);
	for (stage = top->rates.bottlenecks; stage; stage = stage->next)
		if (column_matches_stage(stage, top->filter))
			print_bottleneck(stage->workflow, stage->name, stage->bottleneck);
	return finish_output();
}

/* Two readings, and what came of them. */
static int once(struct top *top, bool json, bool latency)
{
	const struct timespec interval = {
		.tv_sec = top->interval_ms / 1000,
		.tv_nsec = top->interval_ms % 1000 * 1000000,
	};
	struct faasctl_error err;
	int ret = top_read(top, &err);
	const char *missing = !ret && latency ? top_measure(top) : NULL;

	if (missing)
		warning("%s; there is no p50 and no p99", missing);
	if (!ret && ppoll(NULL, 0, &interval, NULL) < 0) {
		fprintf(stderr, "faasctl: cannot wait: %s\n", strerror(errno));
		return STATUS_REFUSED;
	}
	if (!ret)
		ret = top_read(top, &err);
	if (!ret)
		ret = top_choose(top, &err);
	if (ret)
		return fail_hint(&err, ENOENT, "see: faasctl show");
	return json ? print_json(top) : print_table(top);
}

static int run(struct args *args)
{
	struct top top = { .interval_ms = 1000, .sort = COLUMN_LINK };
	bool is_once = false, json = false, latency = false;
	struct faasctl_error err;
	int id, status;

	while ((id = args_next(args)) != -1) {
		switch (id) {
		case 'f':
			if (strlen(args->value) > FAASIN_NAME_MAX)
				usage_error(args->command,
					    "the text to filter by is longer than any name");
			strcpy(top.filter, args->value);
			break;
		case 'i':
			top.interval_ms = parse_seconds(args, 0.1, 3600);
			break;
		case 'j':
			json = true;
			break;
		case 'l':
			latency = true;
			break;
		case 'o':
			is_once = true;
			break;
		case 'r':
			top.reverse = true;
			break;
		case 's':
			top.sort = parse_word(args, column_word);
			break;
		}
	}
	if (args_rest(args, 0, 1))
		top.workflow = args->argv[0];
	if (column_measured(top.sort) && !latency)
		usage_error(args->command, "to sort by what is measured, add --latency");
	top.module = module_load();
	if (faasctl_open(&top.ctl, &err))
		return fail(&err);
	status = is_once || json ? once(&top, json, latency) : screen_run(&top, latency);
	residence_end(&top);
	rates_free(&top.rates);
	free(top.rows);
	faasctl_close(top.ctl);
	return status;
}

const struct command top_command = {
	.name = "top",
	.run = run,
	.args = "[OPTION]... [WORKFLOW]",
	.help = "Show what moves through each link, live, and which stage is slow",
	.example = "faasctl top --once wf1",
	.options = options,
};
