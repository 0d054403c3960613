/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lanes of windows: hand-off without a call, on trusted links. <linux/faasin.h> has the protocol.
 *
 * Each function is tried before the call that it stands for. What it cannot do, it leaves to
 * that: the caller goes on as if there were no lane. All but faasctl__lane_here() are called with
 * the window's lock held, which only threads of one process wait for; but who sleeps does so
 * without it.
 *
 * What the other side says is taken for true only where no harm can come of it here that it could
 * not do by calls: an extent comes back if this side sent it by this lane, and then once. Whoever
 * says it of one that it has not taken makes this side fill what it, or another reader, is to see.
 */
#ifndef _FAASCTL_LANE_H
#define _FAASCTL_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal.h"

/**
 * struct faasctl__page - what this side knows of the extent that begins at a page
 * @had: how many pages it was had with, and LANE_OWN if it is this side's now; 0: none begins here
 * @lane: number of the lane by which it was sent, or taken, last; 0: by a call
 */
struct faasctl__page {
	uint32_t had;
	uint32_t lane;
};

/**
 * struct faasctl__lane - one end of a lane
 * @fd: the port
 * @output: which end
 * @window: bytes of the window: what an offset can be
 * @state: what the kernel says; NULL: there is no lane
 * @out: the producer's part
 * @in: the consumer's part
 * @number: of the lanes that there were, the last one
 * @nonsense: the other side said what makes no sense: calls find out what becomes of it
 * @pauses: calls until it is tried again to have one; 0: never
 * @present: 0 in a child, which does not have the lane
 * @pages: what begins where
 */
struct faasctl__lane {
	int fd;
	bool output;
	uint64_t window;
	struct faasin_lane_state *state;
	struct faasin_lane_out *out;
	struct faasin_lane_in *in;
	uint32_t number;
	bool nonsense;
	unsigned int pauses;
	uint32_t *present;
	struct faasctl__page *pages;
};

void faasctl__lane_init(struct faasctl__lane *lane, int fd, bool output, uint64_t window,
			bool trusted);
void faasctl__lane_close(struct faasctl__lane *lane);
bool faasctl__lane_here(const struct faasctl__lane *lane);
bool faasctl__lane_ready(struct faasctl__lane *lane);
bool faasctl__lane_alloc(struct faasctl__lane *lane, size_t size, __u64 *offset);
void faasctl__lane_had(struct faasctl__lane *lane, uint64_t offset, uint64_t size);
bool faasctl__lane_lose(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n);
void faasctl__lane_regain(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n);
bool faasctl__lane_send(struct faasctl__lane *lane, const struct faasin_range *ranges, size_t n);
bool faasctl__lane_release(struct faasctl__lane *lane, const struct faasin_range *ranges,
			   size_t n);
int faasctl__lane_receive(struct faasctl__lane *lane, struct faasin_range *ranges, size_t n);
bool faasctl__lane_waits(struct faasctl__lane *lane);

#endif /* _FAASCTL_LANE_H */
