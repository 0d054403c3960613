/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of lanes share: both ends of a trusted link with windows of the library's, or with the
 * memory of a lane as one side has it.
 */
#ifndef _SELFTESTS_LANE_H
#define _SELFTESTS_LANE_H

#include "window.h"

/* ------------------------------------------------------ through the library */

struct lane {
	struct flow flow;
	int w, r;
	struct faasctl_window *out, *in;
	struct faasctl_error err;
};

/* Whether a descriptor's lane is on. */
bool lane_is_on(int fd);

/* Opens an end with its window; 0 or -errno. @flags: besides O_RDWR of the output. */
int lane_open_out(struct lane *l, int flags);
int lane_open_in(struct lane *l, int flags);
void lane_close_out(struct lane *l);
void lane_close_in(struct lane *l);

/* Both, so that the next two have the next stream. */
void lane_close_both(struct lane *l);

/* Sends one record; 0 or an error. */
int put(struct lane *l, size_t length, unsigned int tag);

/* The next record is one of @length bytes of @tag, and is given back; else an error. */
int get(struct lane *l, size_t length, unsigned int tag);

/* From here on neither end waits, or both do. */
void lane_block(struct lane *l, bool block);

#define LANE_SETUP(l)								\
do {										\
	struct flow_options lane_options = { .capacity = MIB, .trusted = true };	\
										\
	signal(SIGPIPE, SIG_IGN);						\
	FLOW_SETUP(&(l)->flow, &lane_options);					\
	ASSERT_EQ(0, lane_open_out(l, O_NONBLOCK));				\
	ASSERT_EQ(0, lane_open_in(l, O_NONBLOCK));				\
	ASSERT_TRUE(lane_is_on((l)->w));					\
	ASSERT_TRUE(lane_is_on((l)->r));					\
} while (0)

#define LANE_TEARDOWN(l)							\
do {										\
	lane_close_out(l);							\
	lane_close_in(l);							\
	FLOW_TEARDOWN(&(l)->flow);						\
} while (0)

/* Two that work: nobody sleeps, so nobody is told; and all of it went by the lane. */
#define WARM_UP(l)								\
do {										\
	for (int warm = 0; warm < 4; warm++) {					\
		ASSERT_EQ(0, put(l, 5000, warm));				\
		ASSERT_EQ(0, get(l, 5000, warm));				\
	}									\
	ASSERT_TRUE(lane_is_on((l)->w));					\
	ASSERT_TRUE(lane_is_on((l)->r));					\
} while (0)

/* ----------------------------------------------- by the memory of one's end */

struct raw {
	struct faasin_lane_state *state;
	struct faasin_lane_out *out;
	struct faasin_lane_in *in;
};

bool raw_open(struct raw *raw, int port, bool output);
void raw_close(struct raw *raw);

/* As the library does. */
void raw_send(struct raw *raw, uint64_t offset, uint32_t length);
void raw_return(struct raw *raw, uint64_t offset);

/* Waits until all memory of a link but its reserved page is given back: what it has then. */
uint64_t falls_to_a_page(struct flow *f);

#endif /* _SELFTESTS_LANE_H */
