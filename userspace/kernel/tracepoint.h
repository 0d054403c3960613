/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints that nobody looks at.
 */
#ifndef _USERSPACE_TRACEPOINT_H
#define _USERSPACE_TRACEPOINT_H

#define TP_PROTO(...)	__VA_ARGS__
#define TP_ARGS(...)

#define TRACE_NOTHING(name, proto)			\
	static inline void trace_##name(proto) { }	\
	static inline int trace_##name##_enabled(void) { return 0; }
#define DECLARE_EVENT_CLASS(name, proto, ...)
#define DEFINE_EVENT(class, name, proto, args)	TRACE_NOTHING(name, TP_PROTO(proto))
#define TRACE_EVENT(name, proto, ...)		TRACE_NOTHING(name, TP_PROTO(proto))

#endif /* _USERSPACE_TRACEPOINT_H */
