// SPDX-License-Identifier: LGPL-2.1-or-later
/* W3C traceparent: from a producer's environment, with the stream, to a consumer's. */
#include <poll.h>
#include <sys/ioctl.h>

#include "traceparent.h"

/* So many hexadecimal digits, lower case as the standard wants, not all zero. */
static bool hex(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") >= n && strspn(s, "0") < n;
}

/* Whether a text is of version 00: two digits, the trace, the parent, the flags. */
bool traceparent_valid(const char *s)
{
	return strlen(s) == FAASIN_CONTEXT_MAX && !strncmp(s, "00-", 3) &&
	       hex(s + TRACE_ID_AT, TRACE_ID_LEN) && s[TRACE_ID_AT + TRACE_ID_LEN] == '-' &&
	       hex(s + PARENT_ID_AT, PARENT_ID_LEN) && s[PARENT_ID_AT + PARENT_ID_LEN] == '-' &&
	       strspn(s + 53, "0123456789abcdef") == 2;
}

/*
 * Tells the stream of an output where it belongs, if the environment does. A module
 * that knows no contexts, or a stream that has one, is no reason not to run.
 */
void traceparent_give(int out)
{
	const char *text = getenv("TRACEPARENT");
	struct faasin_context context = { .length = FAASIN_CONTEXT_MAX };

	if (!text || !traceparent_valid(text))
		return;
	memcpy(context.data, text, FAASIN_CONTEXT_MAX);
	ioctl(out, FAASIN_IOC_SET_CONTEXT, &context);
}

/* Waits until an input's stream can be read, and takes over where it belongs. */
void traceparent_take(int in)
{
	struct pollfd poll_in = { .fd = in, .events = POLLIN };
	struct faasin_context context;

	while (poll(&poll_in, 1, -1) < 0 && errno == EINTR)
		;
	if (ioctl(in, FAASIN_IOC_GET_CONTEXT, &context))
		return;
	/* Whoever writes may have set anything. */
	context.data[FAASIN_CONTEXT_MAX] = '\0';
	if (traceparent_valid((const char *)context.data))
		setenv("TRACEPARENT", (const char *)context.data, 1);
}
