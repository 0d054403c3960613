// SPDX-License-Identifier: GPL-2.0
/*
 * An output whose records are dealt to several links, and who writes and reads there. Each reader
 * gets its share of what was taken, whole and in order; all are told the same of how a stream
 * ended, or one of them left. And with all live operations besides: nobody can be stuck.
 */
#include "deals.h"
#include "deal.h"
#include "world.h"

#include <sched.h>
#include <unistd.h>

#define WRITERS		3
#define STREAMS		80		/* that each of them opens */
#define CAPACITY	(16 * 1024)
#define RECORD_MAX	3000		/* bytes; the least capacity there is holds one */

struct record {
	u64 stream;
	u32 writer;
	u32 number;
	u32 size;
};

enum told {
	TOLD_NOTHING,
	TOLD_END,
	TOLD_ABORT,
	TOLD_LEFT,		/* it did not stay to hear of an end */
};

/**
 * struct deal_stream - what is known of one of the output's
 * @taken: records that writing took
 * @refused: a writer was told that it is over
 * @called: a writer ended it, or aborted it, so that others were told
 * @read: records that each link's reader had; its own
 * @told: enum told, what each was told
 */
struct deal_stream {
	u32 taken;
	bool refused;
	bool called;
	u32 read[WORLD_LINKS];
	int told[WORLD_LINKS];
};

/**
 * struct deals - a round
 * @operated: links come and go, so numbers of streams do not tell which belong together
 * @left: writers that are at work
 * @moved: bytes that were read
 * @streams: by number
 */
struct deals {
	struct world *world;
	u64 seed;
	bool operated;
	int left;
	u64 moved;
	struct deal_stream streams[WRITERS * STREAMS + 1];
};

struct deals_part {
	struct deals *d;
	unsigned int nr;
};

static u64 rnd(u64 *dice)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 7;
	*dice ^= *dice << 17;
	return *dice;
}

static bool deals_over(struct deals *d)
{
	return !__atomic_load_n(&d->left, __ATOMIC_ACQUIRE);
}

/* By polling or by waiting: all of it, or false if the stream is over, or another's. */
static bool write_record(struct file *file, const void *from, size_t n, bool polls)
{
	ssize_t done;

	do {
		file->f_flags = polls ? O_NONBLOCK : 0;
		done = port_write(file, from, n);
		if (done == -EAGAIN)
			port_poll(file);
	} while (done == -EAGAIN);
	BUG_ON(done != (ssize_t)n && done != -EPIPE && done != -ESTALE);
	return done > 0;
}

static void *deals_writer(void *arg)
{
	struct deals_part *p = arg;
	struct deals *d = p->d;
	u64 dice = (d->seed + p->nr) * 0x9e3779b97f4a7c15ULL | 1;
	u32 buffer[RECORD_MAX / sizeof(u32)], records, i;
	struct record *head = (void *)buffer;
	struct deal_stream *s;
	struct faasin_handle *h;
	struct file *file;
	unsigned int n;
	bool polls;
	int err;

	task_begin("writer", 0);
	head->writer = p->nr;
	head->number = 0;
	for (n = 0; n < STREAMS; n++) {
		while (!(file = port_open(d->world, FAASIN_DIRECTION_OUT, false, &err))) {
			BUG_ON(err != -ENXIO || !d->operated);
			usleep(50);
		}
		h = file->private_data;
		head->stream = h->round->number;
		s = &d->streams[d->operated ? 0 : head->stream];
		polls = rnd(&dice) % 2;
		for (records = rnd(&dice) % 40; records; records--) {
			head->number++;
			head->size = max(rnd(&dice) % RECORD_MAX & ~3ULL, sizeof(*head));
			for (i = sizeof(*head) / 4; i < head->size / 4; i++)
				buffer[i] = head->writer * 0x01010101 + head->number;
			if (!write_record(file, buffer, head->size, polls)) {
				WRITE_ONCE(s->refused, true);
				break;
			}
			__atomic_add_fetch(&s->taken, 1, __ATOMIC_RELAXED);
		}
		switch (rnd(&dice) % 8) {
		case 0:
			WRITE_ONCE(s->called, true);
			faasin_deal_abort(h, FAASIN_CAUSE_REQUEST, 0, NULL);
			break;
		case 1:
			WRITE_ONCE(s->called, true);
			faasin_deal_end(h);
			break;
		case 2:
			task_exits(SIGKILL);
			break;
		}
		port_close(file);
		/* Of the one that is killed another takes the place. */
		task_end();
		task_begin("writer", 0);
	}
	__atomic_sub_fetch(&d->left, 1, __ATOMIC_RELEASE);
	task_end();
	return NULL;
}

/* A record, by polling or by waiting: its length, 0 or the error that is the end. */
static ssize_t read_record(struct file *file, void *to, size_t n, bool polls)
{
	ssize_t got;

	do {
		file->f_flags = polls ? O_NONBLOCK : 0;
		got = port_read(file, to, n);
		if (got == -EAGAIN)
			port_poll(file);
	} while (got == -EAGAIN);
	return got;
}

/* Number of the stream that was read, of its link's; it is the output's if no link ever went. */
static u64 stream_of(struct file *file)
{
	struct faasin_port_info info;

	faasin_stream_info(file->private_data, &info);
	return info.stream;
}

/* A reader was told at last that it is over, or leaves before. */
static void stream_is_told(struct deals *d, struct file *file, unsigned int link, enum told told)
{
	u64 stream = stream_of(file);

	/* The link may be gone before a stream began. */
	if (!stream || d->operated)
		return;
	BUG_ON(stream >= ARRAY_SIZE(d->streams) || d->streams[stream].told[link]);
	__atomic_store_n(&d->streams[stream].told[link], told, __ATOMIC_RELEASE);
}

static void *deals_reader(void *arg)
{
	struct deals_part *p = arg;
	struct deals *d = p->d;
	u64 dice = (d->seed + 10 + p->nr) * 0x9e3779b97f4a7c15ULL | 1;
	u32 buffer[RECORD_MAX / sizeof(u32)], next[WRITERS] = { 0 }, i, records;
	struct record *head = (void *)buffer;
	bool polls, leaves;
	struct file *file;
	ssize_t n;
	int err;

	task_begin("reader", 0);
	for (;;) {
		file = world_link_open(d->world, p->nr, FAASIN_DIRECTION_IN, &err);
		if (!file) {
			BUG_ON(err != -ENXIO);
			if (deals_over(d))
				break;
			usleep(50);
			continue;
		}
		polls = rnd(&dice) % 2;
		leaves = !(rnd(&dice) % 16);
		records = 0;
		do {
			n = read_record(file, buffer, sizeof(buffer), polls);
			if (n <= 0)
				break;
			BUG_ON(head->writer >= WRITERS || head->size != (size_t)n);
			/* Who is replaced after reading, or before, has nothing twice. */
			BUG_ON(head->number < next[head->writer]);
			next[head->writer] = head->number + 1;
			for (i = sizeof(*head) / 4; i < head->size / 4; i++)
				BUG_ON(buffer[i] != head->writer * 0x01010101 + head->number);
			records++;
			__atomic_add_fetch(&d->moved, n, __ATOMIC_RELAXED);
			if (!d->operated) {
				BUG_ON(head->stream != stream_of(file));
				d->streams[head->stream].read[p->nr]++;
			}
		} while (!leaves || rnd(&dice) % 8);
		BUG_ON(n < 0 && n != -ECONNABORTED && n != -ESTALE);
		stream_is_told(d, file, p->nr, n > 0 ? TOLD_LEFT : n ? TOLD_ABORT : TOLD_END);
		port_close(file);
	}
	task_end();
	return NULL;
}

/*
 * Everybody has its share of what was taken, and the same end if it stayed to hear of one; it is
 * no good one if writers were told that somebody left.
 */
static void check_stream(const struct deal_stream *s)
{
	bool ended = false, aborted = false;
	unsigned int i;
	u32 share;

	for (i = 0; i < WORLD_LINKS; i++) {
		ended |= s->told[i] == TOLD_END;
		aborted |= s->told[i] == TOLD_ABORT;
		share = (s->taken + WORLD_LINKS - 1 - i) / WORLD_LINKS;
		BUG_ON(s->told[i] == TOLD_NOTHING || s->read[i] > share);
		BUG_ON(s->told[i] != TOLD_LEFT && s->read[i] != share);
	}
	BUG_ON(ended && (aborted || (s->refused && !s->called)));
}

/* All that were begun are read. */
static void await_readers(struct deals *d)
{
	unsigned int i, k;

	for (i = 1; i <= d->world->deal->rounds; i++)
		for (k = 0; k < WORLD_LINKS; k++)
			while (!__atomic_load_n(&d->streams[i].told[k], __ATOMIC_ACQUIRE))
				usleep(100);
}

/* All that can be done to links that are in use. */
static void *deals_operator(void *arg)
{
	struct deals *d = arg;
	u64 dice = (d->seed + 7) * 0x9e3779b97f4a7c15ULL | 1;
	unsigned int i;

	task_begin("operator", 0);
	while (!deals_over(d)) {
		i = rnd(&dice) % WORLD_LINKS;
		switch (rnd(&dice) % 10) {
		case 8:
		case 9:
			world_gather_drain(d->world, i, rnd(&dice) % 200);
			break;
		case 0:
			if (d->world->links[i])
				world_deal_cut(d->world, i);
			break;
		case 1:
			world_gather_pause(d->world, i, rnd(&dice) % 200);
			break;
		case 2:
			world_gather_resize(d->world, i, (1 + rnd(&dice) % 8) * PAGE_SIZE);
			break;
		case 3:
			world_deal_replace_input(d->world, i);
			break;
		case 4:
			world_deal_replace_output(d->world);
			break;
		default:
			for (i = 0; i < WORLD_LINKS; i++)
				if (!d->world->links[i])
					world_deal_link(d->world, i, CAPACITY);
		}
		usleep(rnd(&dice) % 1000);
	}
	task_end();
	return NULL;
}

static u64 deals_run(u64 seed, bool operated)
{
	struct deals_part writers[WRITERS], readers[WORLD_LINKS];
	pthread_t writing[WRITERS], reading[WORLD_LINKS], other;
	struct deals *d = kzalloc(sizeof(*d), GFP_KERNEL);
	unsigned int i;
	u64 moved;

	d->world = world_deal(CAPACITY);
	d->seed = seed;
	d->operated = operated;
	d->left = WRITERS;
	for (i = 0; i < WRITERS; i++) {
		writers[i] = (struct deals_part){ d, i };
		BUG_ON(pthread_create(&writing[i], NULL, deals_writer, &writers[i]));
	}
	for (i = 0; i < WORLD_LINKS; i++) {
		readers[i] = (struct deals_part){ d, i };
		BUG_ON(pthread_create(&reading[i], NULL, deals_reader, &readers[i]));
	}
	if (operated)
		BUG_ON(pthread_create(&other, NULL, deals_operator, d));
	for (i = 0; i < WRITERS; i++)
		pthread_join(writing[i], NULL);
	if (operated)
		pthread_join(other, NULL);
	else
		await_readers(d);
	/* Whoever waits for a stream is told that none will come. */
	world_deal_end(d->world);
	for (i = 0; i < WORLD_LINKS; i++)
		pthread_join(reading[i], NULL);
	for (i = 1; !operated && i <= d->world->deal->rounds; i++)
		check_stream(&d->streams[i]);
	world_free(d->world);
	moved = d->moved;
	kfree(d);
	return moved;
}

u64 deals_round(u64 seed)
{
	return deals_run(seed, false);
}

u64 deals_operated_round(u64 seed)
{
	return deals_run(seed, true);
}

/**
 * struct polled - an open file of an output, by which one polls while another writes
 * @polls: how often it was polled, to the end
 */
struct polled {
	struct faasin_handle *h;
	u64 polls;
	bool over;
};

static void *polled_poller(void *arg)
{
	struct polled *p = arg;

	task_begin("poller", 0);
	while (!__atomic_load_n(&p->over, __ATOMIC_ACQUIRE)) {
		faasin_deal_poll(p->h);
		__atomic_add_fetch(&p->polls, 1, __ATOMIC_RELEASE);
	}
	task_end();
	return NULL;
}

/* Whatever the poller was in the middle of, it is over. */
static void polled_await(struct polled *p)
{
	u64 until = __atomic_load_n(&p->polls, __ATOMIC_ACQUIRE) + 2;

	while (__atomic_load_n(&p->polls, __ATOMIC_ACQUIRE) < until)
		sched_yield();
}

/*
 * What was refused is waited for until something was written, and no longer: that is one thing,
 * whoever looks at it meanwhile, at whichever link.
 */
u64 deals_polled_round(u64 seed)
{
	struct world *w = world_deal(CAPACITY);
	static const u8 record[3 * CAPACITY / 4];
	struct file *in[WORLD_LINKS], *out;
	struct polled p = { .over = false };
	u8 buffer[sizeof(record)];
	unsigned int i, turn;
	pthread_t poller;
	u64 moved = 0;
	int err;

	out = port_open(w, FAASIN_DIRECTION_OUT, false, &err);
	BUG_ON(!out);
	out->f_flags = O_NONBLOCK;
	p.h = out->private_data;
	for (i = 0; i < WORLD_LINKS; i++) {
		in[i] = world_link_open(w, i, FAASIN_DIRECTION_IN, &err);
		BUG_ON(!in[i]);
	}
	BUG_ON(pthread_create(&poller, NULL, polled_poller, &p));
	for (turn = 0; turn < 300; turn++) {
		for (i = 0; i < WORLD_LINKS; i++)
			BUG_ON(port_write(out, record, CAPACITY / 2) != CAPACITY / 2);
		/* There is room for what is not a record of this size. */
		BUG_ON(port_write(out, record, sizeof(record)) != -EAGAIN);
		polled_await(&p);
		BUG_ON(faasin_deal_poll(p.h) & EPOLLOUT);
		BUG_ON(port_read(in[turn % WORLD_LINKS], buffer, CAPACITY / 2) != CAPACITY / 2);
		BUG_ON(port_write(out, record, 10) != 10);
		polled_await(&p);
		BUG_ON(!(faasin_deal_poll(p.h) & EPOLLOUT));
		BUG_ON(port_read(in[turn % WORLD_LINKS], buffer, sizeof(buffer)) != 10);
		for (i = turn + 1; i < turn + WORLD_LINKS; i++)
			moved += port_read(in[i % WORLD_LINKS], buffer, sizeof(buffer));
	}
	__atomic_store_n(&p.over, true, __ATOMIC_RELEASE);
	pthread_join(poller, NULL);
	port_close(out);
	for (i = 0; i < WORLD_LINKS; i++)
		port_close(in[i]);
	world_deal_end(w);
	world_free(w);
	return moved;
}
