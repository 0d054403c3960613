// SPDX-License-Identifier: GPL-2.0
/*
 * What happens on links, as a stream of events. Hand-offs are sampled here, so that
 * a fast pipeline costs no more events than a slow one.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "links.h"
#include "trace.h"

char LICENSE[] SEC("license") = "GPL";

/* A raw tracepoint's arguments. */
#define ARG(n)	(ctx->args[n])

enum { DIRECTION_IN, DIRECTION_OUT };

/* All that is used of it; where it lies is found out when this is loaded. */
struct task_struct {
	__u64 start_time;
} __attribute__((preserve_access_index));

/**
 * struct told - the last task of a side that was told of
 * @tid: the task
 * @exits: @tasks_gone then
 */
struct told {
	__u32 tid;
	__u32 exits;
};

/**
 * struct handoffs - published bytes whose consuming is waited for, of one link
 * @begun: hand-offs ever begun; the producer's
 * @done: hand-offs ever done; the consumer's
 * @last: when one was last begun
 * @told: by direction
 * @ends: positions behind their last bytes, by number, modulo their number
 *
 * The module tells of publishing and of consuming under one lock each: one
 * producer, one consumer.
 */
struct handoffs {
	__u64 begun;
	__u64 done;
	__u64 last;
	struct told told[2];
	__u64 ends[HANDOFFS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct handoffs);
	__uint(max_entries, 1);		/* set before loading */
} flows SEC(".maps");

/* Tasks that were told of. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 8192);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} events SEC(".maps");

/* Events that found no room in @events. */
__u64 lost;

/* Exits of tasks that were told of: their ids may be others' from then on. */
__u32 tasks_gone;

/* The user's side looks at it often enough by itself. */
static __always_inline void submit(void *event)
{
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static __always_inline void fill(struct trace_event *event, enum trace_type type, __u32 slot,
				 __u32 dir, __u64 v)
{
	__u64 id = bpf_get_current_pid_tgid();

	event->time = bpf_ktime_get_ns();
	event->v = v;
	event->stream = 0;
	event->type = type;
	event->slot = slot;
	event->dir = dir;
	event->tid = id;
	event->pid = id >> 32;
	event->cause = 0;
	event->code = 0;
	event->culprit = 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

static __always_inline struct trace_event *event_new(enum trace_type type, __u32 slot,
						     __u32 dir, __u64 v)
{
	struct trace_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (event)
		fill(event, type, slot, dir, v);
	else
		__sync_fetch_and_add(&lost, 1);
	return event;
}

static __always_inline void tell(enum trace_type type, __u32 slot, __u32 dir, __u64 v)
{
	struct trace_event *event = event_new(type, slot, dir, v);

	if (event)
		submit(event);
}

static __always_inline void seen(struct handoffs *flow, __u32 slot, __u32 dir)
{
	__u32 tid = bpf_get_current_pid_tgid(), one = 1;
	struct told *told = &flow->told[dir & 1];
	struct task_struct *task;

	/* Nobody has exited since, so this is nobody else. */
	if (told->tid == tid && told->exits == tasks_gone)
		return;
	told->exits = tasks_gone;
	told->tid = tid;
	if (bpf_map_lookup_elem(&tasks, &tid))
		return;
	bpf_map_update_elem(&tasks, &tid, &one, BPF_ANY);
	task = (struct task_struct *)bpf_get_current_task();
	tell(TRACE_SEEN, slot, dir, BPF_CORE_READ(task, start_time));
}

/*
 * The hand-offs of a link where the current task does something on side @dir, which is told
 * if it was not seen there before; NULL: the link is not looked at.
 */
static __always_inline struct handoffs *flow_of(__u64 link, __u32 dir, __u32 *slot)
{
	struct link_entry *entry = link_find(link);
	struct handoffs *flow;

	if (!entry)
		return NULL;
	*slot = entry->slot;
	flow = bpf_map_lookup_elem(&flows, slot);
	if (flow)
		seen(flow, *slot, dir);
	return flow;
}

/* faasin_publish(link, stream, pos, bytes) */
SEC("raw_tp/faasin_publish")
int published(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 slot;
	struct handoffs *flow = flow_of(ARG(0), DIRECTION_OUT, &slot);
	__u64 now;

	if (!flow)
		return 0;
	now = bpf_ktime_get_ns();
	if (flow->begun - flow->done >= HANDOFFS || now - flow->last < HANDOFF_GAP_NS)
		return 0;
	flow->last = now;
	flow->ends[flow->begun % HANDOFFS] = ARG(2);
	flow->begun++;
	tell(TRACE_HAND, slot, DIRECTION_OUT, ARG(2));
	return 0;
}

/* faasin_consume(link, stream, pos, bytes) */
SEC("raw_tp/faasin_consume")
int consumed(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 slot;
	struct handoffs *flow = flow_of(ARG(0), DIRECTION_IN, &slot);
	__u64 end;
	int i;

	if (!flow)
		return 0;
	for (i = 0; i < HANDOFFS && flow->done != flow->begun; i++) {
		end = flow->ends[flow->done % HANDOFFS];
		if (end > ARG(2))
			break;
		flow->done++;
		/* What was dropped unread is passed over. */
		if (end > ARG(2) - ARG(3))
			tell(TRACE_TAKE, slot, DIRECTION_IN, end);
	}
	return 0;
}

static __always_inline int waits(__u64 link, __u64 side, enum trace_type type, __u64 ns)
{
	__u32 dir = side ? DIRECTION_OUT : DIRECTION_IN, slot;

	if (flow_of(link, dir, &slot))
		tell(type, slot, dir, ns);
	return 0;
}

/* faasin_block(link, dir) */
SEC("raw_tp/faasin_block")
int blocked(struct bpf_raw_tracepoint_args *ctx)
{
	return waits(ARG(0), ARG(1), TRACE_BLOCK, 0);
}

/* faasin_unblock(link, dir, ns) */
SEC("raw_tp/faasin_unblock")
int unblocked(struct bpf_raw_tracepoint_args *ctx)
{
	return waits(ARG(0), ARG(1), TRACE_UNBLOCK, ARG(2));
}

static __always_inline int stream(__u64 link, __u64 number, __u64 bytes, enum trace_type type)
{
	struct link_entry *entry = link_find(link);
	struct trace_event *event;

	if (!entry)
		return 0;
	event = event_new(type, entry->slot, DIRECTION_OUT, bytes);
	if (!event)
		return 0;
	event->stream = number;
	submit(event);
	return 0;
}

/* faasin_stream_begin(link, stream, bytes) */
SEC("raw_tp/faasin_stream_begin")
int began(struct bpf_raw_tracepoint_args *ctx)
{
	return stream(ARG(0), ARG(1), 0, TRACE_BEGIN);
}

/* faasin_stream_end(link, stream, bytes) */
SEC("raw_tp/faasin_stream_end")
int ended(struct bpf_raw_tracepoint_args *ctx)
{
	return stream(ARG(0), ARG(1), ARG(2), TRACE_END);
}

/* faasin_stream_abort(link, stream, bytes, cause, code, pid) */
SEC("raw_tp/faasin_stream_abort")
int aborted(struct bpf_raw_tracepoint_args *ctx)
{
	struct link_entry *entry = link_find(ARG(0));
	struct trace_event *event;

	if (!entry)
		return 0;
	event = event_new(TRACE_ABORT, entry->slot, DIRECTION_OUT, ARG(2));
	if (!event)
		return 0;
	event->stream = ARG(1);
	event->cause = ARG(3);
	event->code = ARG(4);
	event->culprit = ARG(5);
	submit(event);
	return 0;
}

/* faasin_stream_context(link, stream, context) */
SEC("raw_tp/faasin_stream_context")
int context_set(struct bpf_raw_tracepoint_args *ctx)
{
	struct link_entry *entry = link_find(ARG(0));
	struct trace_context *context;

	if (!entry)
		return 0;
	context = bpf_ringbuf_reserve(&events, sizeof(*context), 0);
	if (!context) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	fill(&context->event, TRACE_CONTEXT, entry->slot, DIRECTION_OUT, 0);
	context->event.stream = ARG(1);
	context->context[0] = '\0';
	bpf_probe_read_kernel_str(context->context, sizeof(context->context), (void *)ARG(2));
	submit(context);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int gone(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();

	if (!bpf_map_delete_elem(&tasks, &tid)) {
		__sync_fetch_and_add(&tasks_gone, 1);
		tell(TRACE_GONE, 0, 0, 0);
	}
	return 0;
}
