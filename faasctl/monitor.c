// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl monitor */
#include <jansson.h>
#include <poll.h>

#include "stop.h"
#include "tool.h"

static const struct option_row options[] = {
	{ 'j', "json", NULL, "print a JSON document a line" },
	{ 'n', "count", "NUMBER", "exit after so many events" },
	{ 0 },
};

/**
 * struct watch - a run of this command
 * @events: the subscription
 * @json: print JSON
 * @left: events to go; 0 for no limit
 * @done: there are none to go
 * @seq: number of the last event, or 0
 * @told: a loss was told of, and its gap in the numbers is yet to come
 * @module: which load of the module it is, or 0
 */
struct watch {
	struct faasctl_events *events;
	bool json;
	uint32_t left;
	bool done;
	uint64_t seq;
	bool told;
	uint64_t module;
};

static void print_what(const struct faasctl_event *event)
{
	bool out;

	printf(" %s", event->workflow ? event->workflow : "?");
	if (event->src_stage && event->dst_stage) {
		out = event->src_port && strcmp(event->src_port, FAASIN_PORT_OUT);
		printf(" %s%s%s", event->src_stage, out ? ":" : "",
		       out ? event->src_port : "");
		out = event->dst_port && strcmp(event->dst_port, FAASIN_PORT_IN);
		printf(" %s%s%s", event->dst_stage, out ? ":" : "",
		       out ? event->dst_port : "");
	} else if (event->stage) {
		printf(" %s", event->stage);
	}
}

static int print_event(const struct watch *watch,
		       const struct faasctl_event *event)
{
	if (watch->json)
		return json_print_line(json_event(event));
	printf("%llu.%06llu %s",
	       (unsigned long long)(event->time_ns / 1000000000),
	       (unsigned long long)(event->time_ns / 1000 % 1000000),
	       faasctl_event_name(event->type));
	print_what(event);
	if (event->stream)
		printf(" stream %llu", (unsigned long long)event->stream);
	if (event->type == FAASIN_EVENT_STREAM_END ||
	    event->type == FAASIN_EVENT_STREAM_ABORT)
		printf(": %llu bytes", (unsigned long long)event->bytes);
	if (event->type == FAASIN_EVENT_EARLY_CLOSE)
		printf(": %llu bytes dropped",
		       (unsigned long long)event->bytes);
	if (event->cause.cause != FAASIN_CAUSE_NONE)
		printf("; %s", text_cause(&event->cause).s);
	putchar('\n');
	return finish_output();
}

/* @count: how many, or 0 if that is not known */
static int print_lost(const struct watch *watch, uint64_t count)
{
	json_t *number;

	if (watch->json) {
		number = count ? json_integer((json_int_t)count) : json_null();
		return json_print_line(json_pack("{s:s, s:o}", "event", "lost",
						 "count", number));
	}
	if (count)
		printf("lost %llu events: read the state again, with faasctl show\n",
		       (unsigned long long)count);
	else
		puts("lost events: read the state again, with faasctl show");
	return finish_output();
}

static int handle(struct watch *watch, const struct faasctl_event *event)
{
	int status = STATUS_OK;

	if (watch->seq && event->seq > watch->seq + 1) {
		if (!watch->told)
			status = print_lost(watch,
					    event->seq - watch->seq - 1);
		watch->told = false;
	}
	watch->seq = event->seq;
	if (status == STATUS_OK)
		status = print_event(watch, event);
	if (watch->left && !--watch->left)
		watch->done = true;
	return status;
}

/* Prints what has arrived. */
static int drain(struct watch *watch)
{
	struct faasctl_event event;
	struct faasctl_error err;
	int ret, status = STATUS_OK;

	while (!watch->done && !stop_asked() && status == STATUS_OK) {
		ret = faasctl_events_next(watch->events, &event, &err);
		if (!ret)
			break;
		if (ret == -ENOBUFS) {
			watch->told = true;
			status = print_lost(watch, 0);
		} else if (ret < 0) {
			status = fail(&err);
		} else {
			status = handle(watch, &event);
		}
	}
	return status;
}

static int watch_events(struct watch *watch)
{
	/* A module that goes away says nothing to those who listen to it. */
	const struct timespec second = { .tv_sec = 1 };
	struct pollfd fds[] = {
		{ .fd = faasctl_events_fd(watch->events), .events = POLLIN },
		/* Whoever reads this left: nobody to tell. */
		{ .fd = STDOUT_FILENO },
	};
	int status = STATUS_OK;

	while (!watch->done && !stop_asked() && status == STATUS_OK) {
		int n = ppoll(fds, ARRAY_SIZE(fds), &second, stop_mask());

		if (n < 0 && errno != EINTR) {
			fprintf(stderr, "faasctl: cannot wait for events: %s\n",
				strerror(errno));
			return STATUS_REFUSED;
		}
		if (n < 0)
			continue;
		if (fds[1].revents & (POLLERR | POLLNVAL))
			return STATUS_REFUSED;
		status = drain(watch);
		if (!n && watch->module && module_load() != watch->module) {
			fputs("faasctl: faasin: the module was unloaded\n",
			      stderr);
			status = STATUS_REFUSED;
		}
	}
	return status;
}

static int run(struct args *args)
{
	struct watch watch = { 0 };
	struct faasctl_error err;
	int id, status;

	while ((id = args_next(args)) != -1) {
		if (id == 'j')
			watch.json = true;
		else if (id == 'n')
			watch.left = parse_count(args, UINT32_MAX, "events");
	}
	args_rest(args, 0, 0);

	stop_begin();
	watch.module = module_load();
	if (faasctl_events_open(&watch.events, &err))
		return fail(&err);
	status = watch_events(&watch);
	faasctl_events_close(watch.events);
	return status;
}

const struct command monitor_command = {
	.name = "monitor",
	.run = run,
	.args = "[OPTION]...",
	.help = "Print events as they happen, until Ctrl-C",
	.example = "faasctl monitor --json --count 10",
	.options = options,
};
