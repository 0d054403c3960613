// SPDX-License-Identifier: LGPL-2.1-or-later
/* Statistics, nested in what describes links, stages and workflows. */
#include <assert.h>

#include "internal.h"

/* Where each statistic goes. */
static const size_t stats_offset[FAASIN_A_STATS_MAX + 1] = {
#define STAT(attr, member) \
	[FAASIN_A_STATS_##attr] = offsetof(struct faasctl_stats, member)
	STAT(BYTES_IN, bytes_in),
	STAT(BYTES_OUT, bytes_out),
	STAT(BYTES_DROPPED, bytes_dropped),
	STAT(BYTES_HELD, bytes_held),
	STAT(BYTES_HELD_MAX, bytes_held_max),
	STAT(POOL_BYTES, pool_bytes),
	STAT(WRITES, writes),
	STAT(READS, reads),
	STAT(READER_WAKES, reader_wakes),
	STAT(WRITER_WAKES, writer_wakes),
	STAT(WAKES_AVOIDED, wakes_avoided),
	STAT(WRITER_BLOCKED_NS, writer_blocked_ns),
	STAT(READER_BLOCKED_NS, reader_blocked_ns),
	STAT(WRITER_BLOCKS, writer_blocks),
	STAT(READER_BLOCKS, reader_blocks),
	STAT(STREAMS_BEGUN, streams_begun),
	STAT(STREAMS_ENDED, streams_ended),
	STAT(STREAMS_ABORTED, streams_aborted),
	STAT(EARLY_CLOSES, early_closes),
	STAT(STREAMS_QUEUED, streams_queued),
	STAT(POOL_KIB_MS, pool_kib_ms),
	STAT(LINKED_NS, linked_ns),
	STAT(BYTES_IN_MOVED, bytes_in_moved),
	STAT(BYTES_IN_COPIED, bytes_in_copied),
	STAT(BYTES_OUT_MOVED, bytes_out_moved),
	STAT(BYTES_OUT_COPIED, bytes_out_copied),
#undef STAT
};

/* The attributes from BYTES_IN to the last are the members in order. */
static_assert(sizeof(struct faasctl_stats) ==
	      (FAASIN_A_STATS_MAX - FAASIN_A_STATS_BYTES_IN + 1) *
	      sizeof(uint64_t), "a statistic is missing");

int faasctl__decode_stats(const struct nlattr *nest, struct faasctl_stats *stats,
			  struct faasctl_error *err)
{
	const struct nlattr *attr;
	int left;

	memset(stats, 0, sizeof(*stats));
	if (!nest)
		return 0;
	attr = faasctl__data(nest);
	left = faasctl__len(nest);
	for (; faasctl__attr_ok(attr, left); attr = faasctl__attr_next(attr, &left)) {
		/* What a newer module counts besides is passed over. */
		if (faasctl__type(attr) < FAASIN_A_STATS_BYTES_IN ||
		    faasctl__type(attr) > FAASIN_A_STATS_MAX)
			continue;
		if (faasctl__len(attr) < (int)sizeof(uint64_t))
			return faasctl__fail(err, EBADMSG,
					     "the kernel's answer is malformed");
		memcpy((char *)stats + stats_offset[faasctl__type(attr)],
		       faasctl__data(attr), sizeof(uint64_t));
	}
	return 0;
}
