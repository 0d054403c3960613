// SPDX-License-Identifier: GPL-2.0
/*
 * An input that merges its links: each round has one stream of each, their records come whole, as
 * often as they were written, in the order that is asked for, and the end says how they ended;
 * while sessions come and go, read or not, and the reader's stage is replaced.
 */
#include "turns.h"
#include "world.h"
#include "inbox.h"
#include "merge.h"

#include <unistd.h>

#define ROUNDS		40
#define RECORDS		24		/* of a stream, at most */
#define CAPACITY	(16 * 1024)
#define READ_MAX	(WORLD_LINKS * RECORDS)

struct record {
	u32 link;
	u32 round;
	u32 number;
	u32 length;		/* this included; what follows are bytes of the value of @number */
};

/**
 * struct merged_test - a world, while it is used
 * @opened: streams of a round that have begun
 * @written: records of each, so far
 * @aborted: it is to be, or was
 * @over: nothing is left to be read
 */
struct merged_test {
	struct world *world;
	u64 seed;
	unsigned int opened[ROUNDS];
	unsigned int written[ROUNDS][WORLD_LINKS];
	bool aborted[ROUNDS][WORLD_LINKS];
	bool over;
	u64 moved;
};

struct writer {
	struct merged_test *t;
	unsigned int link;
};

/* So that none of this round's is left to be the next one's. */
static void await_all(struct merged_test *t, unsigned int round)
{
	while (__atomic_load_n(&t->opened[round], __ATOMIC_ACQUIRE) < WORLD_LINKS)
		usleep(20);
}

static void *merged_writer(void *arg)
{
	struct writer *w = arg;
	struct merged_test *t = w->t;
	u64 dice = chance_begin(t->seed + w->link);
	unsigned int round, n, i;
	char bytes[CAPACITY];
	struct record *rec = (void *)bytes;
	struct file *file;
	bool abort;
	int err;

	task_begin("writer", 0);
	for (round = 0; round < ROUNDS; round++) {
		file = world_link_open(t->world, w->link, FAASIN_DIRECTION_OUT, &err);
		BUG_ON(!file);
		__atomic_add_fetch(&t->opened[round], 1, __ATOMIC_RELEASE);
		n = chance(&dice) % 3 ? chance(&dice) % RECORDS : 0;
		abort = !(chance(&dice) % 6);
		for (i = 0; i < n; i++) {
			*rec = (struct record){ w->link, round, i, sizeof(*rec) };
			rec->length += chance(&dice) % (1ULL << chance(&dice) % 14);
			memset(rec + 1, i, rec->length - sizeof(*rec));
			/* Before it can be read. */
			WRITE_ONCE(t->written[round][w->link], i + 1);
			if (port_write(file, bytes, rec->length) < 0)
				break;
		}
		if (abort && i == n) {
			await_all(t, round);
			WRITE_ONCE(t->aborted[round][w->link], true);
			faasin_stream_abort(file->private_data, FAASIN_CAUSE_REQUEST, 0, NULL);
		}
		port_close(file);
	}
	task_end();
	return NULL;
}

/**
 * struct reading - how far the reader is
 * @round: which
 * @links: whose records it was given, in this order
 * @nr: how many
 * @next: of each link
 */
struct reading {
	unsigned int round;
	unsigned int links[READ_MAX];
	unsigned int nr;
	unsigned int next[WORLD_LINKS];
};

static void check_record(struct merged_test *t, struct reading *r, const char *bytes, size_t n)
{
	const struct record *rec = (const void *)bytes;
	size_t i;

	BUG_ON(n < sizeof(*rec) || rec->length != n);
	BUG_ON(rec->link >= WORLD_LINKS || rec->round != r->round);
	BUG_ON(rec->number != r->next[rec->link]++);
	for (i = sizeof(*rec); i < n; i++)
		BUG_ON(bytes[i] != (char)rec->number);
	BUG_ON(r->nr == READ_MAX);
	r->links[r->nr++] = rec->link;
	t->moved += n;
}

/* What was read is all there was, or all up to where one is missing. */
static void check_round(struct merged_test *t, const struct reading *r, ssize_t said)
{
	bool turn = t->world->inbox->merge == FAASIN_MERGE_TURN, aborted = false;
	unsigned int used[WORLD_LINKS] = { 0 }, i = 0, l = 0, passed = 0;

	for (l = 0; l < WORLD_LINKS; l++)
		aborted |= READ_ONCE(t->aborted[r->round][l]);
	BUG_ON(said && said != -ECONNABORTED);
	BUG_ON(aborted != !!said);
	for (l = 0; !turn && l < WORLD_LINKS; l++)
		BUG_ON(r->next[l] != READ_ONCE(t->written[r->round][l]));
	for (l = 0; turn && passed < WORLD_LINKS; l = (l + 1) % WORLD_LINKS) {
		bool over = used[l] == READ_ONCE(t->written[r->round][l]);

		/* Where one is missing; and the last one may have come too late. */
		if (over ? READ_ONCE(t->aborted[r->round][l]) : said && i == r->nr)
			break;
		passed = over ? passed + 1 : 0;
		if (over)
			continue;
		used[l]++;
		BUG_ON(i == r->nr || r->links[i++] != l);
	}
	BUG_ON(turn && i != r->nr);
}

static struct file *open_input(struct merged_test *t)
{
	struct file *file;
	int err;

	do
		file = port_open(t->world, FAASIN_DIRECTION_IN, true, &err);
	while (!file && err == -ENXIO);
	BUG_ON(!file);
	return file;
}

static void *merged_reader(void *arg)
{
	struct merged_test *t = arg;
	u64 dice = chance_begin(t->seed + 99);
	struct reading r = { 0 };
	char bytes[CAPACITY];
	struct file *file;
	size_t done = 0;
	ssize_t n;

	task_begin("reader", 0);
	file = open_input(t);
	while (r.round < ROUNDS) {
		file->f_flags = chance(&dice) % 2 ? O_NONBLOCK : 0;
		n = port_read(file, bytes + done, chance(&dice) % 4 ? sizeof(bytes) - done :
							 1 + chance(&dice) % 8);
		if (n == -EAGAIN) {
			port_poll(file);
			continue;
		}
		if (n > 0) {
			done += n;
			if (done >= sizeof(struct record) &&
			    done == ((struct record *)bytes)->length) {
				check_record(t, &r, bytes, done);
				done = 0;
			}
			if (done || chance(&dice) % 64)
				continue;
			/* Leaves what others are at. */
			await_all(t, r.round);
			n = faasin_merged_end(file->private_data);
			BUG_ON(n && n != -ESTALE);
		} else if (n != -ESTALE) {
			BUG_ON(done);
			check_round(t, &r, n);
		}
		port_close(file);
		file = open_input(t);
		if (n != -ESTALE)
			r = (struct reading){ .round = r.round + 1 };
	}
	WRITE_ONCE(t->over, true);
	port_close(file);
	task_end();
	return NULL;
}

/* Sessions that read nothing, and those that the reader's is joined by. */
static void *merged_passer(void *arg)
{
	struct merged_test *t = arg;
	struct faasin_port_info info;
	struct file *file;

	task_begin("passer", 0);
	while (!READ_ONCE(t->over)) {
		file = open_input(t);
		faasin_inbox_poll(file->private_data);
		faasin_merged_info(file->private_data, &info);
		BUG_ON(!(info.flags & FAASIN_INFO_MERGED));
		faasin_merged_unread(file->private_data);
		port_close(file);
		usleep(50);
	}
	task_end();
	return NULL;
}

static void *merged_replacer(void *arg)
{
	struct merged_test *t = arg;
	u64 dice = chance_begin(t->seed + 7);

	task_begin("replacer", 0);
	while (!READ_ONCE(t->over)) {
		world_gather_replace_input(t->world);
		usleep(chance(&dice) % 2000);
	}
	task_end();
	return NULL;
}

u64 merged_round(u64 seed)
{
	struct merged_test t = {
		.world = world_gather(CAPACITY, seed % 2 ? FAASIN_MERGE_TURN :
							   FAASIN_MERGE_RECORDS),
		.seed = seed,
	};
	pthread_t writers[WORLD_LINKS], others[3];
	struct writer parts[WORLD_LINKS];
	unsigned int i;

	for (i = 0; i < WORLD_LINKS; i++) {
		parts[i] = (struct writer){ &t, i };
		BUG_ON(pthread_create(&writers[i], NULL, merged_writer, &parts[i]));
	}
	BUG_ON(pthread_create(&others[0], NULL, merged_reader, &t));
	BUG_ON(pthread_create(&others[1], NULL, merged_passer, &t));
	BUG_ON(pthread_create(&others[2], NULL, merged_replacer, &t));
	for (i = 0; i < WORLD_LINKS; i++)
		pthread_join(writers[i], NULL);
	for (i = 0; i < 3; i++)
		pthread_join(others[i], NULL);
	world_gather_end(t.world);
	world_free(t.world);
	return t.moved;
}
