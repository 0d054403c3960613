// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl monitor: events as they happen. */
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>

#include "tool.h"

static const struct option_row options[] = {
	{ 'j', "json", NULL, "print a JSON document a line" },
	{ 'n', "count", "N", "end after N events" },
	{ 0 },
};

static void print_event(const struct faasctl_event *ev)
{
	printf("%" PRIu64 ".%06" PRIu64 "  %-14s %s", ev->time_ns / 1000000000,
	       ev->time_ns / 1000 % 1000000, faasctl_event_name(ev->type),
	       ev->workflow ? ev->workflow : "");
	if (ev->src_stage)
		printf("/%s:%s -> %s:%s", ev->src_stage, ev->src_port,
		       ev->dst_stage, ev->dst_port);
	else if (ev->stage)
		printf("/%s", ev->stage);
	if (ev->stream)
		printf("  stream %" PRIu64 ", %s", ev->stream,
		       text_bytes(ev->bytes).s);
	if (ev->cause.cause)
		printf("  (%s)", text_cause(&ev->cause).s);
	putchar('\n');
}

/* Numbers are missing: some were lost, or held back by the rate limit. */
static int print_lost(uint64_t lost, bool json)
{
	if (json)
		return json_print_line(json_pack("{s:s, s:I}", "event", "lost",
						 "count", (json_int_t)lost));
	if (lost)
		printf("%" PRIu64 " events were lost; see: faasctl show\n", lost);
	else
		puts("events were lost; see: faasctl show");
	return finish_output();
}

static int run(struct args *args)
{
	struct faasctl_events *events;
	uint64_t last = 0, left = 0;
	struct faasctl_event ev;
	struct faasctl_error err;
	bool json = false;
	int id, ret;

	while ((id = args_next(args)) != -1) {
		if (id == 'j')
			json = true;
		else if (id == 'n')
			left = parse_u32(args, UINT32_MAX, 10);
	}
	args_rest(args, 0, 0);
	if (faasctl_events_open(&events, &err))
		return fail(&err);
	for (;;) {
		struct pollfd pfd = {
			.fd = faasctl_events_fd(events),
			.events = POLLIN,
		};

		if (poll(&pfd, 1, -1) < 0 && errno != EINTR) {
			fprintf(stderr, "faasctl: cannot wait for events: %s\n",
				strerror(errno));
			ret = STATUS_REFUSED;
			break;
		}
		ret = faasctl_events_next(events, &ev, &err);
		if (!ret)
			continue;
		if (ret == -ENOBUFS) {
			/* The next number tells how many. */
			if (!last && print_lost(0, json))
				break;
			continue;
		}
		if (ret < 0) {
			ret = fail(&err);
			break;
		}
		if (last && ev.seq > last + 1 &&
		    print_lost(ev.seq - last - 1, json)) {
			ret = STATUS_REFUSED;
			break;
		}
		last = ev.seq;
		if (json)
			ret = json_print_line(json_event(&ev));
		else
			print_event(&ev);
		fflush(stdout);
		if (!json)
			ret = finish_output();
		if (ret || (left && !--left))
			break;
	}
	faasctl_events_close(events);
	return ret < 0 ? STATUS_REFUSED : ret;
}

const struct command monitor_command = {
	.name = "monitor",
	.run = run,
	.args = "[OPTION]...",
	.help = "Print events as they happen",
	.example = "faasctl monitor -j | jq .event",
	.options = options,
};
