/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints. Arguments are scalars but where it is said: kernels before 6.2
 * give modules no BTF of their own, so that BPF programs could not follow a pointer.
 *
 * "link" is the link's generation, "stream" its number in the channel, "dir"
 * the direction of the port: 0 input, 1 output. "pos" is a position in the
 * channel, counted over all its streams.
 *
 * faasin_write and faasin_read tell of calls, faasin_publish and faasin_consume
 * of the parts that they are made of: each part of a link in the order of its
 * positions, and published before it is consumed.
 *
 * New arguments go to the end of an event, so that programs which were compiled
 * for fewer still find theirs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM faasin

#if !defined(_FAASIN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _FAASIN_TRACE_H

#include <linux/tracepoint.h>

#include "uapi/faasin.h"

DECLARE_EVENT_CLASS(faasin_port,
	TP_PROTO(u64 link, int dir, u64 stream),
	TP_ARGS(link, dir, stream),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(u64, stream)
		__field(int, dir)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->stream = stream;
		__entry->dir = dir;
	),
	TP_printk("link=%llu dir=%d stream=%llu", __entry->link, __entry->dir,
		  __entry->stream)
);

/* A port was opened; a reader's stream may not be known yet: 0. */
DEFINE_EVENT(faasin_port, faasin_open,
	TP_PROTO(u64 link, int dir, u64 stream),
	TP_ARGS(link, dir, stream)
);

/* The last descriptor of an open file is gone. */
DEFINE_EVENT(faasin_port, faasin_close,
	TP_PROTO(u64 link, int dir, u64 stream),
	TP_ARGS(link, dir, stream)
);

DECLARE_EVENT_CLASS(faasin_transfer,
	TP_PROTO(u64 link, u64 stream, u64 bytes),
	TP_ARGS(link, stream, bytes),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(u64, stream)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->stream = stream;
		__entry->bytes = bytes;
	),
	TP_printk("link=%llu stream=%llu bytes=%llu", __entry->link, __entry->stream,
		  __entry->bytes)
);

/* A write moved bytes in. */
DEFINE_EVENT(faasin_transfer, faasin_write,
	TP_PROTO(u64 link, u64 stream, u64 bytes),
	TP_ARGS(link, stream, bytes)
);

/* A read moved bytes out. */
DEFINE_EVENT(faasin_transfer, faasin_read,
	TP_PROTO(u64 link, u64 stream, u64 bytes),
	TP_ARGS(link, stream, bytes)
);

/*
 * A stream began; "bytes" is 0. Before all that is told of the stream. Under the
 * channel's spin lock.
 */
DEFINE_EVENT(faasin_transfer, faasin_stream_begin,
	TP_PROTO(u64 link, u64 stream, u64 bytes),
	TP_ARGS(link, stream, bytes)
);

/* A stream ended; "bytes" is its length. */
DEFINE_EVENT(faasin_transfer, faasin_stream_end,
	TP_PROTO(u64 link, u64 stream, u64 bytes),
	TP_ARGS(link, stream, bytes)
);

/*
 * FAASIN_IOC_SET_CONTEXT of a stream; "context" is a string of at most
 * FAASIN_CONTEXT_MAX characters, the only argument that is not a scalar.
 */
TRACE_EVENT(faasin_stream_context,
	TP_PROTO(u64 link, u64 stream, const char *context),
	TP_ARGS(link, stream, context),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(u64, stream)
		__array(char, context, FAASIN_CONTEXT_MAX + 1)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->stream = stream;
		strscpy(__entry->context, context, sizeof(__entry->context));
	),
	TP_printk("link=%llu stream=%llu context=%s", __entry->link, __entry->stream,
		  __entry->context)
);

DECLARE_EVENT_CLASS(faasin_part,
	TP_PROTO(u64 link, u64 stream, u64 pos, u64 bytes),
	TP_ARGS(link, stream, pos, bytes),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(u64, stream)
		__field(u64, pos)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->stream = stream;
		__entry->pos = pos;
		__entry->bytes = bytes;
	),
	TP_printk("link=%llu stream=%llu pos=%llu bytes=%llu", __entry->link,
		  __entry->stream, __entry->pos, __entry->bytes)
);

/*
 * The consumer is about to see "bytes" more, which end at "pos". Under the
 * channel's spin lock.
 */
DEFINE_EVENT(faasin_part, faasin_publish,
	TP_PROTO(u64 link, u64 stream, u64 pos, u64 bytes),
	TP_ARGS(link, stream, pos, bytes)
);

/*
 * "bytes" that end at "pos" went to a reader. Told once of a read that ends before it has
 * much; of others, of each block's worth.
 */
DEFINE_EVENT(faasin_part, faasin_consume,
	TP_PROTO(u64 link, u64 stream, u64 pos, u64 bytes),
	TP_ARGS(link, stream, pos, bytes)
);

DECLARE_EVENT_CLASS(faasin_side,
	TP_PROTO(u64 link, int dir),
	TP_ARGS(link, dir),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(int, dir)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->dir = dir;
	),
	TP_printk("link=%llu dir=%d", __entry->link, __entry->dir)
);

/* The side with this direction waits: a writer for room, a reader for bytes. */
DEFINE_EVENT(faasin_side, faasin_block,
	TP_PROTO(u64 link, int dir),
	TP_ARGS(link, dir)
);

/* That is over: "ns" is what the link's statistics count it as. */
TRACE_EVENT(faasin_unblock,
	TP_PROTO(u64 link, int dir, u64 ns),
	TP_ARGS(link, dir, ns),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(u64, ns)
		__field(int, dir)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->ns = ns;
		__entry->dir = dir;
	),
	TP_printk("link=%llu dir=%d ns=%llu", __entry->link, __entry->dir, __entry->ns)
);

/* The side with this direction is woken by the other. */
DEFINE_EVENT(faasin_side, faasin_wake,
	TP_PROTO(u64 link, int dir),
	TP_ARGS(link, dir)
);

/* A stream was aborted or closed early; "cause" is enum faasin_cause. */
TRACE_EVENT(faasin_stream_abort,
	TP_PROTO(u64 link, u64 stream, u64 bytes, u32 cause, u32 code, u32 pid),
	TP_ARGS(link, stream, bytes, cause, code, pid),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(u64, stream)
		__field(u64, bytes)
		__field(u32, cause)
		__field(u32, code)
		__field(u32, pid)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->stream = stream;
		__entry->bytes = bytes;
		__entry->cause = cause;
		__entry->code = code;
		__entry->pid = pid;
	),
	TP_printk("link=%llu stream=%llu bytes=%llu cause=%u code=%u pid=%u",
		  __entry->link, __entry->stream, __entry->bytes, __entry->cause,
		  __entry->code, __entry->pid)
);

DECLARE_EVENT_CLASS(faasin_edge,
	TP_PROTO(u64 link, u64 src, u64 dst, u64 capacity),
	TP_ARGS(link, src, dst, capacity),
	TP_STRUCT__entry(
		__field(u64, link)
		__field(u64, src)
		__field(u64, dst)
		__field(u64, capacity)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->src = src;
		__entry->dst = dst;
		__entry->capacity = capacity;
	),
	TP_printk("link=%llu src=%llu dst=%llu capacity=%llu", __entry->link,
		  __entry->src, __entry->dst, __entry->capacity)
);

/* A link was made; "src" and "dst" are the generations of its ports. */
DEFINE_EVENT(faasin_edge, faasin_link,
	TP_PROTO(u64 link, u64 src, u64 dst, u64 capacity),
	TP_ARGS(link, src, dst, capacity)
);

/* A link was deleted. */
DEFINE_EVENT(faasin_edge, faasin_unlink,
	TP_PROTO(u64 link, u64 src, u64 dst, u64 capacity),
	TP_ARGS(link, src, dst, capacity)
);

#endif /* _FAASIN_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
