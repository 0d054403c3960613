// SPDX-License-Identifier: LGPL-2.1-or-later
/* Objects as people read them. */
#include "tool.h"

static void print_cgroup(uint64_t id, const char *path, bool gone)
{
	if (!id && !path) {
		fputs("none", stdout);
		return;
	}
	print_escaped(path, stdout);
	if (gone)
		printf(" %s(removed)%s", red(), plain());
}

void print_workflow(const struct faasctl_workflow *workflow)
{
	printf("workflow %s%s%s\n", bold(), workflow->name, plain());
	printf("  generation %llu, %u stages, %u links, ",
	       (unsigned long long)workflow->generation, workflow->stages,
	       workflow->links);
	if (workflow->flags & FAASIN_WORKFLOW_F_UNCHARGED) {
		printf("%sUNCHARGED%s\n", red(), plain());
		return;
	}
	fputs("charged to ", stdout);
	print_cgroup(workflow->cgroup_id, workflow->cgroup_path,
		     workflow->flags & FAASIN_WORKFLOW_F_CGROUP_GONE);
	putchar('\n');
}

static void print_port(const struct faasctl_port *port)
{
	bool out = port->direction == FAASIN_DIRECTION_OUT;

	printf("    %-16s %-3s", port->name, out ? "out" : "in");
	if (!port->peer_stage) {
		puts(" not linked");
		return;
	}
	printf(" %s %s:%s", out ? "to" : "from", port->peer_stage,
	       port->peer_port ? port->peer_port : "?");
	if (port->links > 1)
		printf(" and %u more", port->links - 1);
	printf(", open %u\n", port->opens);
}

void print_stage(const struct faasctl_stage *stage)
{
	size_t i;

	printf("  stage %s%s%s\n", bold(), stage->name, plain());
	printf("    generation %llu, owner %u:%u, mode %04o, cgroup ",
	       (unsigned long long)stage->generation, stage->uid, stage->gid,
	       stage->mode);
	print_cgroup(stage->cgroup_id, stage->cgroup_path,
		     stage->flags & FAASIN_STAGE_F_CGROUP_GONE);
	putchar('\n');
	for (i = 0; i < stage->n_ports; i++)
		print_port(&stage->ports[i]);
}

void print_link(const struct faasctl_link *link)
{
	const struct faasctl_stats *s = &link->stats;

	fputs("  ", stdout);
	print_picture(link, stdout);
	printf("\n    capacity %s, abort on %s, on early close %s",
	       text_capacity(link->capacity).s,
	       faasctl_abort_on_name(link->abort_on),
	       faasctl_early_close_name(link->early_close));
	if (link->flags & FAASIN_LINK_F_TRUSTED)
		fputs(", trusted", stdout);
	if (link->flags & FAASIN_LINK_F_RECORDS)
		fputs(", records", stdout);
	if (link->flags & FAASIN_LINK_F_DEALT)
		fputs(", dealt", stdout);
	if (link->merge != FAASIN_MERGE_STREAMS)
		printf(", merged by %s", faasctl_merge_name(link->merge));
	if (link->slow != FAASIN_SLOW_THROTTLE)
		printf(", %s if slow", faasctl_slow_name(link->slow));
	if (link->state != FAASIN_LINK_STATE_RUNNING)
		printf(", %s%s%s", red(), faasctl_link_state_name(link->state),
		       plain());
	putchar('\n');
	printf("    bytes    %s in, %s out, %s dropped, %s held (most %s), pool %s\n",
	       text_bytes(s->bytes_in).s, text_bytes(s->bytes_out).s,
	       text_bytes(s->bytes_dropped).s, text_bytes(s->bytes_held).s,
	       text_bytes(s->bytes_held_max).s, text_bytes(s->pool_bytes).s);
	printf("    moved    %s in, %s out by reference; copied %s in, %s out\n",
	       text_bytes(s->bytes_in_moved).s, text_bytes(s->bytes_out_moved).s,
	       text_bytes(s->bytes_in_copied).s, text_bytes(s->bytes_out_copied).s);
	printf("    calls    %llu writes, %llu reads\n",
	       (unsigned long long)s->writes, (unsigned long long)s->reads);
	printf("    wake-ups %llu of readers, %llu of writers, %llu avoided\n",
	       (unsigned long long)s->reader_wakes,
	       (unsigned long long)s->writer_wakes,
	       (unsigned long long)s->wakes_avoided);
	printf("    blocked  writers %s in %llu waits, readers %s in %llu waits\n",
	       text_time(s->writer_blocked_ns).s,
	       (unsigned long long)s->writer_blocks,
	       text_time(s->reader_blocked_ns).s,
	       (unsigned long long)s->reader_blocks);
	printf("    streams  %llu begun, %llu ended, %llu aborted, ",
	       (unsigned long long)s->streams_begun,
	       (unsigned long long)s->streams_ended,
	       (unsigned long long)s->streams_aborted);
	printf("%llu closed early, %llu queued\n",
	       (unsigned long long)s->early_closes,
	       (unsigned long long)s->streams_queued);
	if (link->last.cause != FAASIN_CAUSE_NONE)
		printf("    %slast failure%s: stream %llu: %s\n", red(), plain(),
		       (unsigned long long)link->last.stream,
		       text_cause(&link->last).s);
}
