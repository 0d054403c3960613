/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ring of a channel, as far as both sides or neither of them need it. channel.h
 * has the protocol; producer.c and consumer.c are all else that knows the ring.
 */
#ifndef _FAASIN_RING_H
#define _FAASIN_RING_H

#include "channel.h"
#include "record.h"

/**
 * struct faasin_drain - bytes that are given to the consumer
 * @stream: whose they are
 * @segment: where
 * @index: of the segment
 * @pos: position of the first
 * @limit: position behind the last in that segment
 * @done: segments that were done with before
 *
 * All of it in rd.mutex.
 */
struct faasin_drain {
	struct faasin_stream *stream;
	struct faasin_segment *segment;
	unsigned long index;
	u64 pos;
	u64 limit;
	unsigned long done;
};

/* channel.c */
bool faasin_ring_clear(struct faasin_channel *ch);
void faasin_ring_pass_by(struct faasin_channel *ch, u64 in, u64 out);

/* producer.c */
ssize_t faasin_ring_fill(const struct faasin_handle *h, struct iov_iter *from, bool whole);
bool faasin_ring_closes(struct faasin_channel *ch, size_t n);
unsigned int faasin_ring_pages(struct faasin_channel *ch);
int faasin_ring_move(const struct faasin_handle *h, struct faasin_block **b, unsigned int n);
u64 faasin_ring_append_extent(struct faasin_channel *ch, struct faasin_extent *e, u64 begin);
int faasin_ring_wait_for_room(const struct faasin_handle *h, size_t need);

/* consumer.c */
int faasin_ring_drain(struct faasin_channel *ch, struct faasin_session *ss,
		      struct faasin_drain *d);
size_t faasin_ring_copy_out(struct faasin_channel *ch, const struct faasin_drain *d, u64 pos,
			    struct iov_iter *to);
void faasin_ring_drained(struct faasin_channel *ch, struct faasin_session *ss,
			 const struct faasin_drain *d, size_t n, size_t moved);
bool faasin_ring_data_ready(struct faasin_channel *ch, void *arg);
ssize_t faasin_ring_read_record(struct faasin_channel *ch, struct faasin_session *ss,
				struct iov_iter *to);
int faasin_ring_wait_for_data(struct faasin_channel *ch, struct faasin_session *ss);
void faasin_ring_unlock_reader(struct faasin_channel *ch);
void faasin_ring_pass(struct faasin_channel *ch, unsigned long done, u64 tail, u64 drained);

/* What goes before all writing: 0 or an error of faasin_stream_note_writer(). */
static inline int faasin_ring_writer(struct faasin_handle *h)
{
	/* Held, so that the same address means the same process. */
	if (unlikely(READ_ONCE(h->wrote) != task_tgid(current))) {
		int err = faasin_stream_note_writer(h);

		if (err)
			return err;
	}
	/* What is polled for is what was refused last. */
	if (unlikely(READ_ONCE(h->alloc_turn)))
		WRITE_ONCE(h->alloc_turn, 0);
	return 0;
}

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

/*
 * Room for at least @need bytes, as far as someone beside the producer can tell. What is empty has
 * it, unless a record was tried and found that memory is short, or with extents.
 */
static inline bool faasin_ring_has_room(struct faasin_channel *ch, size_t need)
{
	if (faasin_channel_paused(ch))
		return false;
	if (faasin_ring_tail(ch) == READ_ONCE(ch->head) && !READ_ONCE(ch->short_of))
		return true;
	if (unlikely(ch->records) && !faasin_records_have_room(ch))
		return false;
	if (READ_ONCE(ch->pool.starved))
		return READ_ONCE(ch->space) >= need;
	return READ_ONCE(ch->space) + faasin_pool_room(&ch->pool) >= need;
}

#endif /* _FAASIN_RING_H */
