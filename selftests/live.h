/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Live operations on a flow, through the library: 0 or -errno; @text, unless NULL, receives the
 * refusal.
 */
#ifndef _SELFTESTS_LIVE_H
#define _SELFTESTS_LIVE_H

#include "common.h"

#define LIVE_CALL(text, call, ...)						\
({										\
	struct faasctl_error live_err = { 0 };					\
	struct faasctl *live_ctl;						\
	int live_ret = faasctl_open(&live_ctl, NULL);				\
										\
	if (!live_ret) {							\
		live_ret = call(live_ctl, __VA_ARGS__, &live_err);		\
		faasctl_close(live_ctl);					\
	}									\
	if (text)								\
		strcpy(text, live_err.message);					\
	live_ret;								\
})

static inline int set_state_of(struct flow *f, const char *src, const char *dst,
			       uint64_t generation, uint32_t state, char *text)
{
	return LIVE_CALL(text, faasctl_link_set_state, f->name, src, dst, generation, state);
}

static inline int set_state(struct flow *f, uint32_t state)
{
	return set_state_of(f, "a", "b", 0, state, NULL);
}

static inline int resize_of(struct flow *f, const char *src, const char *dst, uint64_t generation,
			    uint64_t capacity, char *text)
{
	return LIVE_CALL(text, faasctl_link_resize, f->name, src, dst, generation, capacity);
}

static inline int resize(struct flow *f, uint64_t capacity)
{
	return resize_of(f, "a", "b", 0, capacity, NULL);
}

/* @cgroup_fd: -1 keeps the one that the stage has. */
static inline int replace_by(struct flow *f, const char *stage, uint64_t generation,
			     int cgroup_fd, char *text)
{
	return LIVE_CALL(text, faasctl_stage_replace, f->name, stage, generation, cgroup_fd);
}

#define REPLACE(stage)	ASSERT_EQ(0, replace_by(&self->flow, stage, 0, -1, NULL))

#endif /* _SELFTESTS_LIVE_H */
