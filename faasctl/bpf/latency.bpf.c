// SPDX-License-Identifier: GPL-2.0
/*
 * Distributions of times and sizes, by link. Memory is taken before it starts and
 * never grows. Every argument of the tracepoints is a scalar, so that this needs
 * no description of the kernel's types.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "latency.h"
#include "links.h"

char LICENSE[] SEC("license") = "GPL";

/* A raw tracepoint's arguments. */
#define ARG(n)	(ctx->args[n])

/**
 * struct part - bytes that were published together
 * @begin: position of the first
 * @end: position behind the last
 * @time: when
 */
struct part {
	__u64 begin;
	__u64 end;
	__u64 time;
};

/**
 * struct queue - parts that are published and not consumed, of one link
 * @published: parts ever put in; the producer's
 * @consumed: parts ever taken out; the consumer's
 * @woken: when a side was last woken, by direction
 * @parts: by number, modulo their number
 *
 * The module tells of publishing under a lock and of consuming under another, and
 * of each byte's publishing before its consuming: one producer, one consumer. The
 * newest part may still grow, so the consumer leaves it there.
 */
struct queue {
	__u64 published;
	__u64 consumed;
	__u64 woken[2];
	struct part parts[QUEUE_PARTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct latency_link);
	__uint(max_entries, 1);		/* as what follows: set before loading */
} results SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct queue);
	__uint(max_entries, 1);
} queues SEC(".maps");

/* @entry: NULL: the link is not looked at */
static __always_inline struct latency_link *result_of(const struct link_entry *entry)
{
	__u32 slot;

	if (!entry)
		return NULL;
	slot = entry->slot;
	return bpf_map_lookup_elem(&results, &slot);
}

static __always_inline struct queue *queue_of(const struct link_entry *entry)
{
	__u32 slot;

	if (!entry)
		return NULL;
	slot = entry->slot;
	return bpf_map_lookup_elem(&queues, &slot);
}

static __always_inline __u32 logarithm(__u64 v)
{
	__u32 n = 0;

	if (v >> 32) {
		v >>= 32;
		n += 32;
	}
	if (v >> 16) {
		v >>= 16;
		n += 16;
	}
	if (v >> 8) {
		v >>= 8;
		n += 8;
	}
	if (v >> 4) {
		v >>= 4;
		n += 4;
	}
	if (v >> 2) {
		v >>= 2;
		n += 2;
	}
	if (v >> 1)
		n++;
	return n;
}

/*
 * An index below @n, a power of two. The verifier of 6.1 sees no bounds that were
 * checked on a copy; it does see a mask, if the compiler does not see through it.
 */
static __always_inline __u64 bounded(__u64 index, __u64 n)
{
	barrier_var(index);
	index &= n - 1;
	barrier_var(index);
	return index;
}

/* Readers of a link may be on several CPUs, and so may its writers. */
static __always_inline void note(struct histogram *h, __u64 value, __u64 weight)
{
	__u64 slot = bounded(logarithm(value), HISTOGRAM_SLOTS);

	__sync_fetch_and_add(&h->slots[slot], weight);
	__sync_fetch_and_add(&h->sum, value * weight);
}

/* faasin_publish(link, stream, pos, bytes) */
SEC("raw_tp/faasin_publish")
int published(struct bpf_raw_tracepoint_args *ctx)
{
	struct link_entry *entry = link_find(ARG(0));
	__u64 end = ARG(2), begin = end - ARG(3), now, waiting;
	struct queue *q = queue_of(entry);
	struct part *part;

	if (!entry || !q)
		return 0;
	now = bpf_ktime_get_ns();
	waiting = q->published - q->consumed;
	if (waiting > QUEUE_PARTS / 2) {
		part = &q->parts[(q->published - 1) % QUEUE_PARTS];
		if (part->end == begin && end - part->begin <= entry->grain) {
			part->end = end;
			return 0;
		}
	}
	/* What is not noted here is unmatched when it is consumed. */
	if (waiting >= QUEUE_PARTS)
		return 0;
	part = &q->parts[q->published % QUEUE_PARTS];
	part->begin = begin;
	part->end = end;
	part->time = now;
	q->published++;
	return 0;
}

/**
 * struct consuming - what the loop over parts needs
 * @q: the link's queue
 * @h: the link's residence
 * @from: position of the first byte read
 * @to: position behind the last
 * @now: when
 * @matched: bytes whose writing was seen
 */
struct consuming {
	struct queue *q;
	struct histogram *h;
	__u64 from;
	__u64 to;
	__u64 now;
	__u64 matched;
};

/* Whether this was the last. */
static __always_inline bool consume_one(struct consuming *c)
{
	struct queue *q = c->q;
	__u64 begin, end;
	struct part *part;

	if (q->consumed == q->published)
		return true;
	part = &q->parts[q->consumed % QUEUE_PARTS];
	begin = part->begin > c->from ? part->begin : c->from;
	end = part->end < c->to ? part->end : c->to;
	if (begin < end) {
		note(c->h, c->now > part->time ? (c->now - part->time) / 1000 : 0,
		     end - begin);
		c->matched += end - begin;
	}
	if (part->end > c->to || q->consumed + 1 == q->published)
		return true;
	q->consumed++;
	return part->end == c->to;
}

static long consume_part(__u32 i, void *c)
{
	return consume_one(c);
}

/* faasin_consume(link, stream, pos, bytes) */
SEC("raw_tp/faasin_consume")
int consumed(struct bpf_raw_tracepoint_args *ctx)
{
	struct link_entry *entry = link_find(ARG(0));
	struct latency_link *result = result_of(entry);
	struct consuming c = { .q = queue_of(entry) };

	if (!result || !c.q)
		return 0;
	c.h = &result->kinds[LATENCY_RESIDENCE];
	c.to = ARG(2);
	c.from = c.to - ARG(3);
	c.now = bpf_ktime_get_ns();
	/* Most reads are of one part, and may find the one before that was left. */
	if (!consume_one(&c) && !consume_one(&c))
		bpf_loop(QUEUE_PARTS, consume_part, &c, 0);
	if (c.matched < c.to - c.from)
		__sync_fetch_and_add(&result->unmatched, c.to - c.from - c.matched);
	return 0;
}

static __always_inline int transferred(__u64 link, __u64 bytes, enum latency_kind kind)
{
	struct latency_link *result = result_of(link_find(link));

	if (result)
		note(&result->kinds[kind], bytes, 1);
	return 0;
}

/* faasin_write(link, stream, bytes) */
SEC("raw_tp/faasin_write")
int written(struct bpf_raw_tracepoint_args *ctx)
{
	return transferred(ARG(0), ARG(2), LATENCY_WRITE);
}

/* faasin_read(link, stream, bytes) */
SEC("raw_tp/faasin_read")
int was_read(struct bpf_raw_tracepoint_args *ctx)
{
	return transferred(ARG(0), ARG(2), LATENCY_READ);
}

/* faasin_block(link, dir) */
SEC("raw_tp/faasin_block")
int blocked(struct bpf_raw_tracepoint_args *ctx)
{
	struct latency_link *result = result_of(link_find(ARG(0)));
	__u64 dir = bounded(ARG(1), 2);

	if (result)
		result->waiting_since[dir] = bpf_ktime_get_ns();
	return 0;
}

/* faasin_unblock(link, dir, ns) */
SEC("raw_tp/faasin_unblock")
int unblocked(struct bpf_raw_tracepoint_args *ctx)
{
	struct link_entry *entry = link_find(ARG(0));
	struct latency_link *result = result_of(entry);
	struct queue *q = queue_of(entry);
	__u64 dir = bounded(ARG(1), 2), ns = ARG(2), now, woken;

	if (!result || !q)
		return 0;
	result->waiting_since[dir] = 0;
	now = bpf_ktime_get_ns();
	woken = q->woken[dir];
	__sync_fetch_and_add(&result->blocked_ns[dir], ns);
	note(&result->kinds[dir ? LATENCY_BLOCKED_OUT : LATENCY_BLOCKED_IN], ns / 1000, 1);
	/* A wake-up from before it waited was another's; who spun had none. */
	if (woken < now && now - woken <= ns)
		note(&result->kinds[dir ? LATENCY_WAKE_OUT : LATENCY_WAKE_IN],
		     (now - woken) / 1000, 1);
	return 0;
}

/* faasin_wake(link, dir) */
SEC("raw_tp/faasin_wake")
int woke(struct bpf_raw_tracepoint_args *ctx)
{
	struct queue *q = queue_of(link_find(ARG(0)));
	__u64 dir = bounded(ARG(1), 2);

	if (q)
		q->woken[dir] = bpf_ktime_get_ns();
	return 0;
}
