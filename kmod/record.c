// SPDX-License-Identifier: GPL-2.0
/*
 * Where records end: the log of it. record.h has the rules.
 */
#include <linux/log2.h>
#include <linux/mm.h>

#include "cgroup.h"
#include "record.h"

/**
 * faasin_records_alloc() - a log for a channel
 * @css: memory controller that pays, or NULL
 * @capacity: of the channel
 * @slots: receives how many entries it has
 *
 * Return: the log, for kvfree(), or NULL.
 */
u32 *faasin_records_alloc(struct cgroup_subsys_state *css, u64 capacity, unsigned long *slots)
{
	*slots = roundup_pow_of_two(capacity / FAASIN_RECORD_MIN + capacity / PAGE_SIZE);
	return faasin_memory_zalloc(css, array_size(*slots, sizeof(u32)));
}

/**
 * faasin_records_create() - what one call writes is to be a record
 * @ch: channel that nobody has open, with a ring of its own
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_records_create(struct faasin_channel *ch)
{
	unsigned long slots;

	ch->ends = faasin_records_alloc(ch->pool.css, ch->pool.capacity, &slots);
	if (!ch->ends)
		return -ENOMEM;
	ch->ends_mask = slots - 1;
	ch->records = true;
	return 0;
}

/**
 * faasin_records_move() - the log goes on in one of another size
 * @ch: channel, both its mutexes held, that has its new capacity
 * @ends: of faasin_records_alloc(); becomes the one that is to be freed
 * @slots: likewise
 *
 * As the ring, it stays if the other one is too small for what it holds now, and for what is handed
 * off before that is read: each page of the capacity may be, and asks for no room here.
 */
void faasin_records_move(struct faasin_channel *ch, u32 **ends, unsigned long slots)
{
	u32 *old = ch->ends;
	unsigned long i;

	lockdep_assert_held(&ch->rd.mutex);
	lockdep_assert_held(&ch->wr.mutex);
	if (ch->ends_in - ch->ends_out + (ch->pool.capacity >> PAGE_SHIFT) > slots)
		return;
	for (i = ch->ends_out; i != ch->ends_in; i++) {
		(*ends)[i & (slots - 1)] = old[i & ch->ends_mask];
		/* There may be millions. */
		if (!(i % PAGE_SIZE))
			cond_resched();
	}
	/* For faasin_record_left(). */
	spin_lock(&ch->lock);
	ch->ends = *ends;
	ch->ends_mask = slots - 1;
	spin_unlock(&ch->lock);
	*ends = old;
}

/**
 * faasin_records_pass() - bytes are about to be given out, or dropped
 * @ch: channel, its rd.mutex held
 * @pos: position behind them, which tail is to be next
 *
 * Return: whether the log was full, or is no more than half full now: whoever waits for that is to
 * be told.
 */
bool faasin_records_pass(struct faasin_channel *ch, u64 pos)
{
	unsigned long i = ch->ends_out, in, most = faasin_records_most(ch);
	u64 at = ch->tail;
	u32 n;

	lockdep_assert_held(&ch->rd.mutex);
	/* As long as there are bytes, there is an entry. */
	while (at < pos) {
		n = ch->ends[i & ch->ends_mask] - lower_32_bits(at);
		if (n > pos - at)
			break;
		at += n;
		i++;
	}
	if (i == ch->ends_out)
		return false;
	in = READ_ONCE(faasin_channel_store(ch)->ends_in) - ch->ends_out;
	n = i - ch->ends_out;
	/* Pairs with faasin_record_note(). */
	smp_store_release(&ch->ends_out, i);
	return in >= most || (in > most / 2 && in - n <= most / 2);
}

/**
 * faasin_record_left() - what is left of the record that is to be read next
 * @ch: channel with records, its lock held, of which bytes wait
 *
 * Return: how many bytes, 0 if something is to be dropped first; not to be relied on while others
 * read.
 */
u64 faasin_record_left(struct faasin_channel *ch)
{
	unsigned long i;
	u32 n;

	lockdep_assert_held(&ch->lock);
	if (ch->discard > READ_ONCE(ch->tail))
		return 0;
	do {
		/* A branch's entries may be another record's as soon as this moves. */
		i = smp_load_acquire(&ch->ends_out);
		n = READ_ONCE(ch->ends[i & ch->ends_mask]) - lower_32_bits(READ_ONCE(ch->tail));
		/* The entry before it is looked whether it still was the one. */
		smp_rmb();
	} while (READ_ONCE(ch->ends_out) != i);
	return n;
}
