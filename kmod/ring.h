/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ring of a channel, as far as both sides or neither of them need it. channel.h
 * has the protocol; producer.c and consumer.c are all else that knows the ring.
 */
#ifndef _FAASIN_RING_H
#define _FAASIN_RING_H

#include "channel.h"

bool faasin_ring_clear(struct faasin_channel *ch);

/* How far the consumer is, for somebody else. */
static inline u64 faasin_ring_tail(struct faasin_channel *ch)
{
	/* Pairs with tail_set(): it looks at nothing below any more. */
	return smp_load_acquire(&ch->tail);
}

/* A block of the ring is empty again. */
static inline void faasin_ring_put(struct faasin_channel *ch, struct faasin_block *b)
{
	struct faasin_extent *e = faasin_extent_of(b);

	if (unlikely(e))
		faasin_extent_free(&ch->window, e);
	else
		faasin_pool_put(&ch->pool, b);
}

/*
 * Bytes that may still go into the last segment's block; wr.mutex held. While more is out than
 * the capacity, which became smaller, none; but an empty channel always takes something.
 */
static inline u32 faasin_ring_space(struct faasin_channel *ch, u64 head)
{
	struct faasin_segment *seg = ch->last;
	u32 size;

	if (!seg)
		return 0;
	size = seg->block->size;
	if (unlikely(ch->oversized)) {
		if (seg->begin != head)
			return 0;
		size = min_t(u64, size, ch->pool.capacity);
	}
	return size - (u32)(head - seg->begin);
}

/* Room for at least @need bytes, as far as someone beside the producer can tell. */
static inline bool faasin_ring_has_room(struct faasin_channel *ch, size_t need)
{
	if (faasin_channel_paused(ch))
		return false;
	if (faasin_ring_tail(ch) == READ_ONCE(ch->head))
		return true;
	if (READ_ONCE(ch->pool.starved))
		return READ_ONCE(ch->space) >= need;
	return READ_ONCE(ch->space) + faasin_pool_room(&ch->pool) >= need;
}

#endif /* _FAASIN_RING_H */
