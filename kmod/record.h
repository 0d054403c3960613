/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Records: what one call writes on a link that has them.
 *
 * Where records end is noted in a log beside the ring, so that those which are small lie in
 * one block as other bytes do. An entry is the lower half of a position, which is enough: no
 * record is as long as that, nor is a channel. The producer notes the end, in channel->lock,
 * before it publishes the bytes, and publishes whole records alone. So whoever sees bytes finds
 * their end, and head is one.
 *
 *	ends_in		ends ever noted: the producer's
 *	ends_out	ends ever passed: the consumer's. It is stored (release) after the last
 *			look at what is passed, and before extents of that record are anybody
 *			else's
 *
 * The consumer takes the end of the record that it is in for all that there is (@head_known), so
 * whatever gives bytes out ends with it. Of a trunk's log, each branch has an @ends_out of its own,
 * and the trunk's is the least of them.
 *
 * The log has an entry for each FAASIN_RECORD_MIN bytes of the capacity, beyond which a write
 * finds no room; and one for each page besides, so that a hand-off, which waits for nothing, finds
 * one: it has a page at least that no other record has.
 */
#ifndef _FAASIN_RECORD_H
#define _FAASIN_RECORD_H

#include "channel.h"
#include "trunk.h"
#include "uapi/faasin.h"

/* record.c */
int faasin_records_create(struct faasin_channel *ch);
u32 *faasin_records_alloc(struct cgroup_subsys_state *css, u64 capacity, unsigned long *slots);
void faasin_records_move(struct faasin_channel *ch, u32 **ends, unsigned long slots);
bool faasin_records_pass(struct faasin_channel *ch, u64 pos);
u64 faasin_record_left(struct faasin_channel *ch);

/* In channel->lock, all but head stored: a record ends at @head. */
static inline void faasin_record_note(struct faasin_channel *ch, u64 head)
{
	/* Pairs with faasin_records_pass(): the consumer looks at that entry no more. */
	WARN_ON_ONCE(ch->ends_in - smp_load_acquire(&ch->ends_out) > ch->ends_mask);
	ch->ends[ch->ends_in & ch->ends_mask] = lower_32_bits(head);
	WRITE_ONCE(ch->ends_in, ch->ends_in + 1);
}

/* rd.mutex held: where the record ends of which a byte is at tail. */
static inline u64 faasin_record_end(const struct faasin_channel *ch)
{
	return ch->tail + (u32)(ch->ends[ch->ends_out & ch->ends_mask] - lower_32_bits(ch->tail));
}

/* So many records there can be, as far as writing goes. */
static inline unsigned long faasin_records_most(struct faasin_channel *ch)
{
	return READ_ONCE(faasin_channel_store(ch)->pool.capacity) / FAASIN_RECORD_MIN;
}

/* May a write add a record, as far as the log goes? Not of a branch. */
static inline bool faasin_records_have_room(struct faasin_channel *ch)
{
	/* As in faasin_record_note(). */
	unsigned long out = smp_load_acquire(&ch->ends_out);

	return READ_ONCE(ch->ends_in) - out < faasin_records_most(ch);
}

/* Are there so many that a writer who sleeps is not worth waking? Not of a branch. */
static inline bool faasin_records_are_many(struct faasin_channel *ch)
{
	return READ_ONCE(ch->ends_in) - READ_ONCE(ch->ends_out) > faasin_records_most(ch) / 2;
}

/* rd.mutex held: bytes were given out, and those that may follow are another record's. */
static inline bool faasin_record_over(const struct faasin_channel *ch)
{
	return unlikely(ch->records) && ch->tail == ch->head_known;
}

#endif /* _FAASIN_RECORD_H */
