// SPDX-License-Identifier: LGPL-2.1-or-later
/* Words for the numbers of the kernel's interface. */
#include <assert.h>

#include "internal.h"

static const char *word(const char *const *words, size_t n, uint32_t i)
{
	return i < n && words[i] ? words[i] : "unknown";
}

FAASCTL_API const char *faasctl_event_name(uint32_t type)
{
	static const char *const words[] = {
		[FAASIN_EVENT_WORKFLOW_NEW] = "workflow-new",
		[FAASIN_EVENT_WORKFLOW_DEL] = "workflow-del",
		[FAASIN_EVENT_STAGE_NEW] = "stage-new",
		[FAASIN_EVENT_STAGE_DEL] = "stage-del",
		[FAASIN_EVENT_LINK_NEW] = "link-new",
		[FAASIN_EVENT_LINK_DEL] = "link-del",
		[FAASIN_EVENT_STREAM_BEGIN] = "stream-begin",
		[FAASIN_EVENT_STREAM_END] = "stream-end",
		[FAASIN_EVENT_STREAM_ABORT] = "stream-abort",
		[FAASIN_EVENT_EARLY_CLOSE] = "early-close",
		[FAASIN_EVENT_CGROUP_GONE] = "cgroup-gone",
		[FAASIN_EVENT_LINK_RESIZE] = "link-resize",
		[FAASIN_EVENT_LINK_PAUSE] = "link-pause",
		[FAASIN_EVENT_LINK_DRAIN] = "link-drain",
		[FAASIN_EVENT_LINK_RESUME] = "link-resume",
		[FAASIN_EVENT_STAGE_REPLACE] = "stage-replace",
	};

	static_assert(ARRAY_SIZE(words) == FAASIN_EVENT_MAX + 1,
		      "an event has no word");
	return word(words, ARRAY_SIZE(words), type);
}

FAASCTL_API const char *faasctl_cause_name(uint32_t cause)
{
	static const char *const words[] = {
		[FAASIN_CAUSE_NONE] = "none",
		[FAASIN_CAUSE_SIGNAL] = "signal",
		[FAASIN_CAUSE_STATUS] = "status",
		[FAASIN_CAUSE_LOST] = "lost",
		[FAASIN_CAUSE_REQUEST] = "request",
		[FAASIN_CAUSE_UNLINK] = "unlink",
		[FAASIN_CAUSE_EARLY_CLOSE] = "early-close",
		[FAASIN_CAUSE_SLOW] = "slow",
		[FAASIN_CAUSE_LANE] = "lane",
		[FAASIN_CAUSE_DEAL] = "deal",
	};

	return word(words, ARRAY_SIZE(words), cause);
}

FAASCTL_API const char *faasctl_abort_on_name(uint32_t rule)
{
	static const char *const words[] = {
		[FAASIN_ABORT_ON_CRASH] = "crash",
		[FAASIN_ABORT_ON_NONZERO] = "nonzero",
		[FAASIN_ABORT_ON_NEVER] = "never",
	};

	return word(words, ARRAY_SIZE(words), rule);
}

FAASCTL_API const char *faasctl_early_close_name(uint32_t rule)
{
	static const char *const words[] = {
		[FAASIN_EARLY_CLOSE_EPIPE] = "epipe",
		[FAASIN_EARLY_CLOSE_DRAIN] = "drain",
	};

	return word(words, ARRAY_SIZE(words), rule);
}

FAASCTL_API const char *faasctl_slow_name(uint32_t rule)
{
	static const char *const words[] = {
		[FAASIN_SLOW_THROTTLE] = "throttle",
		[FAASIN_SLOW_DROP] = "drop",
	};

	return word(words, ARRAY_SIZE(words), rule);
}

FAASCTL_API const char *faasctl_merge_name(uint32_t rule)
{
	static const char *const words[] = {
		[FAASIN_MERGE_STREAMS] = "streams",
		[FAASIN_MERGE_RECORDS] = "records",
		[FAASIN_MERGE_TURN] = "turn",
	};

	return word(words, ARRAY_SIZE(words), rule);
}

FAASCTL_API const char *faasctl_link_state_name(uint32_t state)
{
	static const char *const words[] = {
		[FAASIN_LINK_STATE_RUNNING] = "running",
		[FAASIN_LINK_STATE_PAUSED] = "paused",
		[FAASIN_LINK_STATE_DRAINING] = "draining",
		[FAASIN_LINK_STATE_DRAINED] = "drained",
	};

	return word(words, ARRAY_SIZE(words), state);
}
