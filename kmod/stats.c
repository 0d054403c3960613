// SPDX-License-Identifier: GPL-2.0
/*
 * What a channel counted, and why streams did not simply end.
 */
#include "account.h"
#include "channel.h"
#include "lane.h"
#include "trunk.h"

/**
 * faasin_channel_stats() - what went through
 * @ch: channel that has or had a link
 * @st: to be filled
 *
 * The sum in = out + dropped + held always holds; calls under way may be counted
 * in part.
 */
void faasin_channel_stats(struct faasin_channel *ch, struct faasin_stats *st)
{
	u64 start = ch->branch ? ch->branch->start : 0;
	u64 head, tail, *v = st->v;

	memset(st, 0, sizeof(*st));
	faasin_lane_settle(ch);
	spin_lock(&ch->lock);
	/* Pairs with tail_set(): no more than was published. */
	tail = smp_load_acquire(&ch->tail);
	head = ch->head;
	v[FAASIN_A_STATS_BYTES_IN] = head - start + ch->swallowed;
	v[FAASIN_A_STATS_BYTES_HELD] = head - tail;
	v[FAASIN_A_STATS_BYTES_OUT] = tail - start - ch->discarded;
	v[FAASIN_A_STATS_BYTES_DROPPED] = ch->discarded + ch->swallowed;
	v[FAASIN_A_STATS_BYTES_IN_MOVED] = ch->wr.moved;
	v[FAASIN_A_STATS_BYTES_IN_COPIED] = head - start - ch->wr.moved;
	v[FAASIN_A_STATS_BYTES_OUT_MOVED] = ch->rd.moved;
	v[FAASIN_A_STATS_BYTES_OUT_COPIED] = tail - start - ch->discarded - ch->rd.moved;
	v[FAASIN_A_STATS_STREAMS_BEGUN] = ch->stream_seq - (ch->branch ? ch->branch->first : 0);
	v[FAASIN_A_STATS_STREAMS_ENDED] = ch->ended;
	v[FAASIN_A_STATS_STREAMS_ABORTED] = ch->aborted;
	v[FAASIN_A_STATS_EARLY_CLOSES] = ch->early;
	v[FAASIN_A_STATS_STREAMS_QUEUED] = ch->nr_queued;
	v[FAASIN_A_STATS_WRITER_BLOCKED_NS] = faasin_side_blocked_ns(ch, &ch->wr);
	v[FAASIN_A_STATS_READER_BLOCKED_NS] = faasin_side_blocked_ns(ch, &ch->rd);
	v[FAASIN_A_STATS_LINKED_NS] = (ch->unlinked ? ch->unlinked_at : ktime_get_ns()) -
				      ch->linked_at;
	v[FAASIN_A_STATS_WRITES] = READ_ONCE(ch->wr.calls) + ch->wr.lane_calls;
	v[FAASIN_A_STATS_READS] = READ_ONCE(ch->rd.calls) + ch->rd.lane_calls;
	v[FAASIN_A_STATS_READER_WAKES] = READ_ONCE(ch->wr.wakes) + ch->wr.lane_wakes;
	v[FAASIN_A_STATS_WRITER_WAKES] = READ_ONCE(ch->rd.wakes) + ch->rd.lane_wakes;
	v[FAASIN_A_STATS_WRITER_BLOCKS] = READ_ONCE(ch->wr.blocks) + ch->wr.lane_blocks;
	v[FAASIN_A_STATS_READER_BLOCKS] = READ_ONCE(ch->rd.blocks) + ch->rd.lane_blocks;
	spin_unlock(&ch->lock);

	v[FAASIN_A_STATS_BYTES_HELD_MAX] = READ_ONCE(ch->held_max);
	if (!ch->branch)
		faasin_pool_size(&ch->pool, &v[FAASIN_A_STATS_POOL_BYTES],
				 &v[FAASIN_A_STATS_POOL_KIB_MS]);
	v[FAASIN_A_STATS_WAKES_AVOIDED] = READ_ONCE(ch->wr.wakes_avoided) +
					  READ_ONCE(ch->rd.wakes_avoided);
	if (ch->branch)
		faasin_branch_stats(ch, st);
}

/**
 * faasin_channel_cause() - why the last stream that did not simply end did not
 * @ch: channel
 * @ci: to be filled; FAASIN_CAUSE_NONE if all did
 */
void faasin_channel_cause(struct faasin_channel *ch, struct faasin_cause_info *ci)
{
	spin_lock(&ch->lock);
	*ci = ch->cause;
	spin_unlock(&ch->lock);
}
