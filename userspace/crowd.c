// SPDX-License-Identifier: GPL-2.0
/*
 * Several who read an input that merges its links: each record is one's, whole and once, while
 * links are cut, made again, paused and given other capacities, stages are replaced, the inbox
 * goes and comes back, and streams are ended under those who read them; and nobody sleeps while
 * there is something for him, whoever had what came before.
 */
#include "turns.h"
#include "world.h"
#include "inbox.h"
#include "merge.h"

#include <unistd.h>

#define READERS		2
#define STREAMS		60		/* of each link */
#define RECORDS		16		/* of a stream, at most */
#define CAPACITY	(16 * 1024)
#define MEETINGS	150
#define PARTS		2		/* bytes of a record, each somebody else's */
#define TAKERS		(WORLD_LINKS * PARTS)
#define STUCK		60		/* seconds after which nothing will come any more */

struct record {
	u32 link;
	u32 stream;
	u32 number;
	u32 length;		/* this included; what follows are bytes of the value of @number */
};

/**
 * struct crowd - a world, while it is used
 * @left: writers that are at work
 * @over: all is to end
 * @seen: how often a record was read
 */
struct crowd {
	struct world *world;
	u64 seed;
	int left;
	bool over;
	u64 moved;
	u8 seen[WORLD_LINKS][STREAMS][RECORDS];
};

struct member {
	struct crowd *c;
	unsigned int number;
};

/* ------------------------------------------------------------------- a crowd */

static void *crowd_writer(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->c;
	u64 dice = chance_begin(c->seed + m->number);
	char bytes[CAPACITY];
	struct record *rec = (void *)bytes;
	unsigned int i, n, stream = 0;
	struct file *file;
	int err;

	task_begin("writer", 0);
	while (stream < STREAMS) {
		file = world_link_open(c->world, m->number, FAASIN_DIRECTION_OUT, &err);
		if (!file) {
			usleep(50);
			continue;
		}
		n = chance(&dice) % (RECORDS + 1);
		for (i = 0; i < n; i++) {
			*rec = (struct record){ m->number, stream, i, sizeof(*rec) };
			rec->length += chance(&dice) % (1ULL << chance(&dice) % 13);
			memset(rec + 1, i, rec->length - sizeof(*rec));
			if (port_write(file, bytes, rec->length) < 0)
				break;
		}
		if (!(chance(&dice) % 8))
			faasin_stream_abort(file->private_data, FAASIN_CAUSE_REQUEST, 0, NULL);
		port_close(file);
		stream++;
	}
	__atomic_sub_fetch(&c->left, 1, __ATOMIC_RELEASE);
	task_end();
	return NULL;
}

static struct file *crowd_open(struct crowd *c)
{
	struct file *file;
	int err;

	/* It may be replaced in between. */
	do
		file = port_open(c->world, FAASIN_DIRECTION_IN, true, &err);
	while (!file && err == -ENXIO && !READ_ONCE(c->over));
	BUG_ON(!file && err != -ENXIO);
	return file;
}

static void crowd_check(struct crowd *c, const char *bytes, ssize_t n)
{
	const struct record *rec = (const void *)bytes;
	ssize_t i;

	BUG_ON(n < (ssize_t)sizeof(*rec) || rec->length != n);
	BUG_ON(rec->link >= WORLD_LINKS || rec->stream >= STREAMS || rec->number >= RECORDS);
	for (i = sizeof(*rec); i < n; i++)
		BUG_ON(bytes[i] != (char)rec->number);
	BUG_ON(__atomic_fetch_add(&c->seen[rec->link][rec->stream][rec->number], 1,
				  __ATOMIC_RELAXED));
	__atomic_add_fetch(&c->moved, n, __ATOMIC_RELAXED);
}

static void *crowd_reader(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->c;
	u64 dice = chance_begin(c->seed + 50 + m->number);
	char bytes[CAPACITY];
	struct file *file;
	ssize_t n;

	task_begin("reader", 0);
	while ((file = crowd_open(c))) {
		do {
			file->f_flags = chance(&dice) % 2 ? O_NONBLOCK : 0;
			n = port_read(file, bytes, sizeof(bytes));
			if (n == -EAGAIN)
				port_poll(file);
			if (n > 0)
				crowd_check(c, bytes, n);
		} while ((n > 0 && chance(&dice) % 256) || n == -EAGAIN);
		BUG_ON(n < 0 && n != -ECONNABORTED && n != -ESTALE);
		port_close(file);
	}
	task_end();
	return NULL;
}

static void *crowd_operator(void *arg)
{
	struct crowd *c = arg;
	u64 dice = chance_begin(c->seed + 99);

	task_begin("operator", 0);
	while (__atomic_load_n(&c->left, __ATOMIC_ACQUIRE))
		turns_operate(c->world, &dice);
	task_end();
	return NULL;
}

/* Asks, and ends what others read. */
static void *crowd_passer(void *arg)
{
	struct crowd *c = arg;
	u64 dice = chance_begin(c->seed + 77);
	struct faasin_port_info info;
	struct file *file;

	task_begin("passer", 0);
	while ((file = crowd_open(c))) {
		faasin_inbox_poll(file->private_data);
		faasin_merged_info(file->private_data, &info);
		BUG_ON(!(info.flags & FAASIN_INFO_MERGED));
		faasin_merged_unread(file->private_data);
		if (chance(&dice) % 2)
			faasin_merged_end(file->private_data);
		port_close(file);
		usleep(chance(&dice) % 2000);
	}
	task_end();
	return NULL;
}

static u64 crowd(u64 seed, enum faasin_merge merge)
{
	struct crowd *c = kzalloc(sizeof(*c), GFP_KERNEL);
	struct member writers[WORLD_LINKS], readers[READERS];
	pthread_t writing[WORLD_LINKS], reading[READERS], operating, passing;
	unsigned int i;
	u64 moved;

	c->world = world_gather(CAPACITY, merge);
	c->seed = seed;
	c->left = WORLD_LINKS;
	for (i = 0; i < WORLD_LINKS; i++) {
		writers[i] = (struct member){ c, i };
		BUG_ON(pthread_create(&writing[i], NULL, crowd_writer, &writers[i]));
	}
	for (i = 0; i < READERS; i++) {
		readers[i] = (struct member){ c, i };
		BUG_ON(pthread_create(&reading[i], NULL, crowd_reader, &readers[i]));
	}
	BUG_ON(pthread_create(&operating, NULL, crowd_operator, c));
	BUG_ON(pthread_create(&passing, NULL, crowd_passer, c));
	for (i = 0; i < WORLD_LINKS; i++)
		pthread_join(writing[i], NULL);
	pthread_join(operating, NULL);
	WRITE_ONCE(c->over, true);
	world_gather_end(c->world);
	for (i = 0; i < READERS; i++)
		pthread_join(reading[i], NULL);
	pthread_join(passing, NULL);
	world_free(c->world);
	moved = c->moved;
	free(c);
	return moved;
}

/* ------------------------------------------------------------------- meetings */

/**
 * struct meeting - each takes one byte of what there is, and does not come again before all have
 * @file: the input, of all of them
 * @outs: what is written to
 * @held: how many there were
 * @took: bytes that were taken, of all of them
 */
struct meeting {
	struct world *world;
	struct file *file, *outs[WORLD_LINKS];
	u64 seed;
	unsigned int held;
	unsigned int took;
};

struct taker {
	struct meeting *m;
	unsigned int number;
};

static void *meeting_taker(void *arg)
{
	struct taker *t = arg;
	struct meeting *m = t->m;
	/* An open file of its own, of the same session: O_NONBLOCK is the file's. */
	struct file file = *m->file;
	u64 dice = chance_begin(m->seed + t->number);
	unsigned int i;
	char byte;
	ssize_t n;

	task_begin("taker", 0);
	for (i = 0; i < MEETINGS; i++) {
		while (__atomic_load_n(&m->held, __ATOMIC_ACQUIRE) <= i)
			usleep(20);
		file.f_flags = chance(&dice) % 2 ? O_NONBLOCK : 0;
		while ((n = port_read(&file, &byte, 1)) == -EAGAIN)
			port_poll(&file);
		BUG_ON(n != 1);
		__atomic_add_fetch(&m->took, 1, __ATOMIC_RELEASE);
	}
	task_end();
	return NULL;
}

/* Until all have taken what is theirs. */
static void meeting_over(struct meeting *m, unsigned int held)
{
	u64 until = ktime_get_ns() + STUCK * NSEC_PER_SEC;

	while (__atomic_load_n(&m->took, __ATOMIC_ACQUIRE) < held * TAKERS) {
		if (ktime_get_ns() > until)
			BUG_ON("somebody sleeps, though there is something for him");
		usleep(20);
	}
}

static u64 meetings(u64 seed, enum faasin_merge merge)
{
	struct meeting m = { .world = world_gather(CAPACITY, merge), .seed = seed };
	u64 dice = chance_begin(seed + 99);
	struct taker takers[TAKERS];
	pthread_t taking[TAKERS];
	unsigned int i, k;
	int err;

	m.file = port_open(m.world, FAASIN_DIRECTION_IN, false, &err);
	BUG_ON(!m.file);
	for (i = 0; i < WORLD_LINKS; i++) {
		m.outs[i] = world_link_open(m.world, i, FAASIN_DIRECTION_OUT, &err);
		BUG_ON(!m.outs[i]);
	}
	for (i = 0; i < TAKERS; i++) {
		takers[i] = (struct taker){ &m, i };
		BUG_ON(pthread_create(&taking[i], NULL, meeting_taker, &takers[i]));
	}
	for (k = 1; k <= MEETINGS; k++) {
		__atomic_store_n(&m.held, k, __ATOMIC_RELEASE);
		/* The one that all the others wait for is the last. */
		for (i = WORLD_LINKS; i--; ) {
			usleep(chance(&dice) % 100);
			BUG_ON(port_write(m.outs[i], "ab", PARTS) != PARTS);
		}
		meeting_over(&m, k);
	}
	for (i = 0; i < TAKERS; i++)
		pthread_join(taking[i], NULL);
	for (i = 0; i < WORLD_LINKS; i++)
		port_close(m.outs[i]);
	port_close(m.file);
	world_gather_end(m.world);
	world_free(m.world);
	return MEETINGS * TAKERS;
}

u64 crowd_round(u64 seed)
{
	enum faasin_merge merge = seed % 2 ? FAASIN_MERGE_TURN : FAASIN_MERGE_RECORDS;

	return crowd(seed, merge) + meetings(seed, merge);
}
