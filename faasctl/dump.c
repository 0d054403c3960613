// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasctl dump: for scripts. The columns are an interface, described in
 * faasctl-dump(1): none is ever moved, new ones come last.
 */
#include "tool.h"

static const struct option_row options[] = {
	{ 'H', "header", NULL, "begin with a line a kind of record that names its columns" },
	{ 0 },
};

/* The columns of the four records, in this order. */
static const char *const headers[] = {
	"workflow name generation cgroup_id cgroup_path flags stages links",
	"stage workflow name generation cgroup_id cgroup_path flags uid gid mode",
	"port workflow stage name direction peer_stage peer_port opens links",
	"link workflow src_stage src_port dst_stage dst_port generation capacity abort_on on_early_close bytes_in bytes_out bytes_dropped bytes_held bytes_held_max pool_bytes writes reads reader_wakes writer_wakes wakes_avoided writer_blocked_ns reader_blocked_ns writer_blocks reader_blocks streams_begun streams_ended streams_aborted early_closes streams_queued cause cause_code cause_stage cause_pid cause_comm cause_stream pool_kib_ms linked_ns bytes_in_moved bytes_in_copied bytes_out_moved bytes_out_copied state windows slow units merge sharing",
};

static void print_headers(void)
{
	const char *p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(headers); i++) {
		putchar('#');
		for (p = headers[i]; *p; p++)
			putchar(*p == ' ' ? '\t' : *p);
		putchar('\n');
	}
}

static void text(const char *s)
{
	putchar('\t');
	print_escaped(s, stdout);
}

static void number(uint64_t value)
{
	printf("\t%llu", (unsigned long long)value);
}

static int dump_workflow(const struct faasctl_workflow *workflow, void *arg)
{
	bool uncharged = workflow->flags & FAASIN_WORKFLOW_F_UNCHARGED;
	bool gone = workflow->flags & FAASIN_WORKFLOW_F_CGROUP_GONE;

	fputs("workflow", stdout);
	text(workflow->name);
	number(workflow->generation);
	number(workflow->cgroup_id);
	text(workflow->cgroup_path);
	text(uncharged ? "uncharged" : gone ? "cgroup-gone" : NULL);
	number(workflow->stages);
	number(workflow->links);
	putchar('\n');
	return 0;
}

static void dump_port(const struct faasctl_stage *stage,
		      const struct faasctl_port *port)
{
	fputs("port", stdout);
	text(stage->workflow);
	text(stage->name);
	text(port->name);
	text(port->direction == FAASIN_DIRECTION_OUT ? "out" : "in");
	text(port->peer_stage);
	text(port->peer_port);
	number(port->opens);
	number(port->links);
	putchar('\n');
}

static int dump_stage(const struct faasctl_stage *stage, void *arg)
{
	size_t i;

	fputs("stage", stdout);
	text(stage->workflow);
	text(stage->name);
	number(stage->generation);
	number(stage->cgroup_id);
	text(stage->cgroup_path);
	text(stage->flags & FAASIN_STAGE_F_CGROUP_GONE ? "cgroup-gone" : NULL);
	number(stage->uid);
	number(stage->gid);
	printf("\t%04o\n", stage->mode);
	for (i = 0; i < stage->n_ports; i++)
		dump_port(stage, &stage->ports[i]);
	return 0;
}

static void dump_stats(const struct faasctl_stats *s)
{
	number(s->bytes_in);
	number(s->bytes_out);
	number(s->bytes_dropped);
	number(s->bytes_held);
	number(s->bytes_held_max);
	number(s->pool_bytes);
	number(s->writes);
	number(s->reads);
	number(s->reader_wakes);
	number(s->writer_wakes);
	number(s->wakes_avoided);
	number(s->writer_blocked_ns);
	number(s->reader_blocked_ns);
	number(s->writer_blocks);
	number(s->reader_blocks);
	number(s->streams_begun);
	number(s->streams_ended);
	number(s->streams_aborted);
	number(s->early_closes);
	number(s->streams_queued);
}

static int dump_link(const struct faasctl_link *link, void *arg)
{
	fputs("link", stdout);
	text(link->workflow);
	text(link->src_stage);
	text(link->src_port);
	text(link->dst_stage);
	text(link->dst_port);
	number(link->generation);
	number(link->capacity);
	text(faasctl_abort_on_name(link->abort_on));
	text(faasctl_early_close_name(link->early_close));
	dump_stats(&link->stats);
	text(faasctl_cause_name(link->last.cause));
	number(link->last.code);
	text(link->last.stage);
	number(link->last.pid);
	text(link->last.comm);
	number(link->last.stream);
	number(link->stats.pool_kib_ms);
	number(link->stats.linked_ns);
	number(link->stats.bytes_in_moved);
	number(link->stats.bytes_in_copied);
	number(link->stats.bytes_out_moved);
	number(link->stats.bytes_out_copied);
	text(faasctl_link_state_name(link->state));
	text(link->flags & FAASIN_LINK_F_TRUSTED ? "trusted" : "sealed");
	text(faasctl_slow_name(link->slow));
	text(link->flags & FAASIN_LINK_F_RECORDS ? "records" : "bytes");
	text(faasctl_merge_name(link->merge));
	text(link->flags & FAASIN_LINK_F_DEALT ? "dealt" : "all");
	putchar('\n');
	return 0;
}

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;
	const char *workflow;
	bool header = false;
	int id, ret;

	while ((id = args_next(args)) != -1)
		if (id == 'H')
			header = true;
	args_rest(args, 0, 1);
	workflow = args->argv[0];
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	/* Before anything is printed: is there such a workflow? */
	if (workflow &&
	    faasctl_workflow_each(ctl, workflow, NULL, NULL, &err))
		return fail_hint(&err, ENOENT, "see: faasctl show");
	if (header)
		print_headers();
	ret = faasctl_workflow_each(ctl, workflow, dump_workflow, NULL, &err);
	if (!ret)
		ret = faasctl_stage_each(ctl, workflow, NULL, dump_stage, NULL,
					 &err);
	if (!ret)
		ret = faasctl_link_each(ctl, workflow, NULL, dump_link, NULL,
					&err);
	return ret ? fail(&err) : finish_output();
}

const struct command dump_command = {
	.name = "dump",
	.run = run,
	.args = "[OPTION]... [WORKFLOW]",
	.help = "Print everything, tab-separated, for scripts",
	.example = "faasctl dump wf1 | awk -F'\\t' '$1 == \"link\" { print $3, $5, $11 }'",
	.options = options,
};
