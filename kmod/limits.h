/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bounds that are not part of the interface. Those that are: uapi/faasin.h.
 */
#ifndef _FAASIN_LIMITS_H
#define _FAASIN_LIMITS_H

#include <linux/limits.h>
#include <linux/sizes.h>
#include <linux/time64.h>

/* A block of the pool: large enough that charging and queueing it costs
 * nothing beside copying it, small enough to be found when memory is
 * fragmented.
 */
#define FAASIN_BLOCK_MAX	SZ_64K

/* Blocks in a channel of default size, so that both sides have work at once. */
#define FAASIN_BLOCKS_MIN	16

/* Memory of a window, at most: what one larger entry shows, where pages are small. */
#define FAASIN_CHUNK_MAX	SZ_2M

/* A window whose channel has room for so many larger pages consists of such. */
#define FAASIN_LARGE_CHUNKS_MIN	2

/* Growth of a pool stops when a cgroup on the way up has less room than the
 * larger of these two, so that buffers never push a stage to its limit.
 */
#define FAASIN_ROOM_MIN		SZ_8M
#define FAASIN_ROOM_SHIFT	3	/* an eighth of the limit */

/* Blocks whose pages are in somebody's pipe: so many are looked at when one is needed,
 * in turn. A pipe lets go in the order in which it got them.
 */
#define FAASIN_AWAY_LOOKS	8

/* And so many when an idle channel, or who is short of memory, looks. */
#define FAASIN_AWAY_TRIM	1024

/* Pages that are moved in are queued by so many at a time. */
#define FAASIN_MOVE_BATCH	16

/* Extents of an open file that is closed are freed by so many at a time. */
#define FAASIN_LEAVE_BATCH	64

/* An idle channel gives its empty blocks back after this long. */
#define FAASIN_IDLE_NS		(1 * NSEC_PER_SEC)

/* A new capacity waits so long for who stands still in the middle of a copy. */
#define FAASIN_RESIZE_NS	(1 * NSEC_PER_SEC)

/* Waiting for a peer that is running right now: no longer than putting this
 * task to sleep and waking it up again would cost.
 */
#define FAASIN_SPIN_NS		(15 * NSEC_PER_USEC)

/* A writer that sleeps is woken when the channel is half empty. A reader that
 * stops before that leaves room that nobody announces: the writer looks for it
 * this often.
 */
#define FAASIN_LOOK_JIFFIES	(HZ / 10 ? : 1)

/* Peers whose sums an output remembers after it was unlinked from them. */
#define FAASIN_ACCOUNTS_MAX	8

/* Buckets of the tables of names and of cgroups. */
#define FAASIN_TABLE_BITS	10

/* Events: at most this many at once and a second, of one workflow and of all. No
 * workflow alone, nor a dozen of them, uses up what all have.
 */
#define FAASIN_EVENTS_BURST		256
#define FAASIN_EVENTS_RATE		256
#define FAASIN_EVENTS_ALL_BURST		4096
#define FAASIN_EVENTS_ALL_RATE		4096

#endif /* _FAASIN_LIMITS_H */
