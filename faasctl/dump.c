// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasctl dump: one object a line, columns separated by tabs. Scripts rely on
 * it: columns are only ever added at the end of a line. faasctl-dump(1) names
 * them.
 */
#include <inttypes.h>

#include "tool.h"

static const char *or_dash(const char *s)
{
	return s && *s ? s : "-";
}

static int dump_link(const struct faasctl_link *link, void *arg)
{
	const struct faasctl_stats *st = &link->stats;
	const struct faasctl_cause *last = &link->last;

	(void)arg;
	printf("link\t%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s",
	       link->workflow, link->src_stage, link->src_port, link->dst_stage,
	       link->dst_port, link->generation, link->capacity,
	       faasctl_abort_on_name(link->abort_on),
	       faasctl_early_close_name(link->early_close));
	printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64,
	       st->bytes_in, st->bytes_out, st->bytes_dropped, st->bytes_held,
	       st->bytes_held_max, st->pool_bytes);
	printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64,
	       st->writes, st->reads, st->reader_wakes, st->writer_wakes,
	       st->wakes_avoided);
	printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64,
	       st->writer_blocked_ns, st->reader_blocked_ns, st->writer_blocks,
	       st->reader_blocks);
	printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64,
	       st->streams_begun, st->streams_ended, st->streams_aborted,
	       st->early_closes, st->streams_queued);
	printf("\t%s\t%u\t%s\t%u\t%" PRIu64 "\n",
	       last->cause ? faasctl_cause_name(last->cause) : "-", last->code,
	       or_dash(last->stage), last->pid, last->stream);
	return 0;
}

static int dump_stage(const struct faasctl_stage *stage, void *arg)
{
	size_t i;

	(void)arg;
	printf("stage\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t", stage->workflow,
	       stage->name, stage->generation, stage->cgroup_id);
	/* A path may hold anything. */
	print_escaped(or_dash(stage->cgroup_path), stdout);
	printf("\t%u\t%u\t%04o\t%u\n", stage->uid, stage->gid, stage->mode,
	       stage->flags);
	for (i = 0; i < stage->n_ports; i++) {
		const struct faasctl_port *port = &stage->ports[i];

		printf("port\t%s\t%s\t%s\t%s\t%s\t%s\t%u\n", stage->workflow,
		       stage->name, port->name,
		       port->direction == FAASIN_DIRECTION_OUT ? "out" : "in",
		       or_dash(port->peer_stage), or_dash(port->peer_port),
		       port->opens);
	}
	return 0;
}

static int dump_workflow(const struct faasctl_workflow *workflow, void *arg)
{
	(void)arg;
	printf("workflow\t%s\t%" PRIu64 "\t%" PRIu64 "\t", workflow->name,
	       workflow->generation, workflow->cgroup_id);
	print_escaped(or_dash(workflow->cgroup_path), stdout);
	printf("\t%u\t%u\t%u\n", workflow->flags, workflow->stages,
	       workflow->links);
	return 0;
}

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;
	const char *workflow;

	while (args_next(args) != -1)
		;
	args_rest(args, 0, 1);
	workflow = args->argv[0];
	if (faasctl_open(&ctl, &err) ||
	    faasctl_workflow_each(ctl, workflow, dump_workflow, NULL, &err) ||
	    faasctl_stage_each(ctl, workflow, NULL, dump_stage, NULL, &err) ||
	    faasctl_link_each(ctl, workflow, NULL, dump_link, NULL, &err))
		return fail_hint(&err, ENOENT, "see: faasctl show");
	return finish_output();
}

const struct command dump_command = {
	.name = "dump",
	.run = run,
	.args = "[WORKFLOW]",
	.help = "Print everything as tab-separated lines for scripts",
	.example = "faasctl dump wf1 | grep ^link",
};
