// SPDX-License-Identifier: GPL-2.0
/*
 * A producer and a consumer on a trusted link, as processes that use libfaasctl's windows: its
 * sources and the module's, with the memory of a lane between them.
 */
#include "lanes.h"
#include "process.h"
#include "turns.h"
#include "world.h"

#include <sys/mman.h>

#include "faasctl.h"

#define STREAMS		3		/* of a round */
#define RECORDS		1500		/* of a stream, at most: some times what a log holds */
#define PARTS		3
#define CAPACITY	(64 * PAGE_SIZE)
#define HOLDS		4		/* records that a consumer has at a time */

/**
 * struct lanes_test - a round
 * @polling: calls do not wait, but poll
 * @mixed: some go by calls alone, the link is paused, memory is short
 * @over: the others have ended
 * @records: of each stream, before its end; relaxed, so that it orders nothing
 * @moved: bytes that were received; the consumer's
 */
struct lanes_test {
	struct world *world;
	u64 seed;
	bool polling;
	bool mixed;
	bool over;
	u64 records[STREAMS];
	u64 moved;
};

/* At the begin of each part; the rest of it follows from this. */
struct head {
	u32 stream;
	u32 record;
	u32 part;
	u32 parts;
	u32 length;
	u32 sum;
};

/* A port that is open, with its window. */
struct end {
	struct file *file;
	int fd;
	struct faasctl_window *win;
};

static void end_open(struct lanes_test *t, struct end *end, enum faasin_direction direction)
{
	int code;

	end->file = port_open(t->world, direction, false, &code);
	BUG_ON(!end->file);
	end->fd = process_port(end->file);
	BUG_ON(faasctl_window_open(&end->win, end->fd, NULL));
	end->file->f_flags = t->polling ? O_NONBLOCK : 0;
}

static void end_close(struct end *end)
{
	faasctl_window_close(end->win);
	process_port_close(end->fd);
}

/* What a call said that did nothing: to be tried again. */
static bool again(struct lanes_test *t, struct end *end, int code)
{
	if (code == -ENOMEM)
		return t->mixed;
	if (code != -EAGAIN)
		return false;
	BUG_ON(!t->polling);
	port_poll(end->file);
	return true;
}

/* ------------------------------------------------------------------- bytes */

static u32 sum(const struct head *head)
{
	return (head->stream * 31 + head->record) * 31 + head->part * 7 + head->length;
}

/* Pages of an extent are not one run of memory. */
static void part_fill(const struct iovec *part, struct head head)
{
	size_t at, n;

	head.length = part->iov_len;
	head.sum = sum(&head);
	for (at = 0; at < part->iov_len; at += n) {
		n = min(part->iov_len - at, (size_t)PAGE_SIZE);
		memset(process_page((char *)part->iov_base + at), head.sum + at / PAGE_SIZE, n);
	}
	memcpy(process_page(part->iov_base), &head, sizeof(head));
}

static void part_check(const struct iovec *part, const struct head *is)
{
	size_t at = sizeof(struct head), i, n;
	unsigned char *bytes;
	struct head head;

	BUG_ON(part->iov_len < sizeof(head));
	memcpy(&head, process_page(part->iov_base), sizeof(head));
	BUG_ON(head.sum != sum(&head) || head.length != part->iov_len);
	BUG_ON(head.stream != is->stream || head.record != is->record);
	BUG_ON(head.part != is->part || head.parts != is->parts);
	for (; at < part->iov_len; at += n) {
		n = min(part->iov_len - at, PAGE_SIZE - offset_in_page(at));
		bytes = process_page((char *)part->iov_base + at);
		for (i = 0; i < n; i++)
			BUG_ON(bytes[i] != (unsigned char)(head.sum + at / PAGE_SIZE));
	}
}

static size_t part_size(u64 *dice)
{
	size_t size = chance(dice) % 4 ? 256 : 3 * PAGE_SIZE;

	return sizeof(struct head) + chance(dice) % (size - sizeof(struct head));
}

/* --------------------------------------------------------------- producing */

/* A record that goes by calls alone. */
static int send_by_calls(struct end *end, struct head head, u64 *dice)
{
	struct faasin_range range = { .length = part_size(dice) };
	struct faasin_ranges arg = { .ranges = (uintptr_t)&range, .count = 1 };
	size_t length = range.length;
	struct iovec part;

	if (process_ioctl(end->fd, FAASIN_IOC_ALLOC, &range))
		return -errno;
	range.length = length;
	head.parts = 1;
	part.iov_base = (char *)process_base(end->fd) + range.offset;
	part.iov_len = length;
	part_fill(&part, head);
	if (!process_ioctl(end->fd, FAASIN_IOC_SEND, &arg))
		return 0;
	head.sum = errno;
	BUG_ON(process_ioctl(end->fd, FAASIN_IOC_RETURN, &arg));
	return -head.sum;
}

static int send_record(struct lanes_test *t, struct end *end, struct head head, u64 *dice)
{
	struct iovec parts[PARTS];
	int code;

	head.parts = 1 + chance(dice) % PARTS;
	for (head.part = 0; head.part < head.parts; head.part++) {
		parts[head.part].iov_len = part_size(dice);
		do
			code = faasctl_window_alloc(end->win, parts[head.part].iov_len,
						    &parts[head.part].iov_base, NULL);
		while (again(t, end, code));
		BUG_ON(code);
		part_fill(&parts[head.part], head);
	}
	/* Sometimes it is not sent after all. */
	if (!(chance(dice) % 64)) {
		BUG_ON(faasctl_window_release(end->win, parts, head.parts, NULL));
		return -EAGAIN;
	}
	do
		code = faasctl_window_send(end->win, parts, head.parts, NULL);
	while (again(t, end, code));
	return code;
}

static void *lanes_producer(void *arg)
{
	struct lanes_test *t = arg;
	u64 dice = chance_begin(t->seed + 1);
	struct end end;
	struct head head = { 0 };
	u32 records;
	int code;

	for (; head.stream < STREAMS; head.stream++) {
		task_begin("producer", 0);
		end_open(t, &end, FAASIN_DIRECTION_OUT);
		records = chance(&dice) % RECORDS;
		for (head.record = 0; head.record < records; head.record++) {
			do
				code = t->mixed && !(chance(&dice) % 100) ?
					send_by_calls(&end, head, &dice) :
					send_record(t, &end, head, &dice);
			while (code == -EAGAIN || (code == -ENOMEM && t->mixed));
			BUG_ON(code);
		}
		WRITE_ONCE(t->records[head.stream], records);
		if (chance(&dice) % 2)
			BUG_ON(process_ioctl(end.fd, FAASIN_IOC_END));
		end_close(&end);
		task_end();
	}
	return NULL;
}

/* --------------------------------------------------------------- consuming */

/* What a consumer has of one record. */
struct held {
	struct iovec parts[FAASIN_RANGES_MAX];
	int n;
};

static void release(struct end *end, struct held *held)
{
	BUG_ON(held->n && faasctl_window_release(end->win, held->parts, held->n, NULL));
	held->n = 0;
}

/* The next record by a call alone; as faasctl_window_receive(). */
static int take_by_calls(struct end *end, struct held *held)
{
	struct faasin_range ranges[FAASIN_RANGES_MAX];
	struct faasin_ranges arg = { .ranges = (uintptr_t)ranges, .count = FAASIN_RANGES_MAX };
	int n = process_ioctl(end->fd, FAASIN_IOC_TAKE, &arg), i;

	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		held->parts[i].iov_base = (char *)process_base(end->fd) + ranges[i].offset;
		held->parts[i].iov_len = ranges[i].length;
	}
	return n;
}

static void *lanes_consumer(void *arg)
{
	struct lanes_test *t = arg;
	u64 dice = chance_begin(t->seed + 2);
	struct held held[HOLDS], *next;
	struct head head = { 0 };
	struct end end;
	int n, i;

	for (; head.stream < STREAMS; head.stream++) {
		task_begin("consumer", 0);
		end_open(t, &end, FAASIN_DIRECTION_IN);
		for (i = 0; i < HOLDS; i++)
			held[i].n = 0;
		for (head.record = 0;; head.record++) {
			next = &held[chance(&dice) % HOLDS];
			release(&end, next);
			do
				n = t->mixed && !(chance(&dice) % 100) ?
					take_by_calls(&end, next) :
					faasctl_window_receive(end.win, next->parts,
							       FAASIN_RANGES_MAX, NULL);
			while (again(t, &end, n));
			BUG_ON(n < 0);
			if (!n)
				break;
			next->n = n;
			head.parts = n;
			for (head.part = 0; head.part < head.parts; head.part++) {
				part_check(&next->parts[head.part], &head);
				t->moved += next->parts[head.part].iov_len;
			}
		}
		BUG_ON(head.record != READ_ONCE(t->records[head.stream]));
		/* What is left, closing gives back. */
		release(&end, &held[0]);
		end_close(&end);
		task_end();
	}
	return NULL;
}

/* ------------------------------------------------------------------ rounds */

/* Sums always hold, whenever what went by the lane is counted. */
static void *lanes_operator(void *arg)
{
	struct lanes_test *t = arg;
	struct faasin_channel *ch = t->world->channel;
	u64 dice = chance_begin(t->seed + 3), *v;
	struct faasin_stats st;

	task_begin("operator", 0);
	v = st.v;
	while (!READ_ONCE(t->over)) {
		faasin_channel_stats(ch, &st);
		BUG_ON(v[FAASIN_A_STATS_BYTES_IN] != v[FAASIN_A_STATS_BYTES_OUT] +
		       v[FAASIN_A_STATS_BYTES_DROPPED] + v[FAASIN_A_STATS_BYTES_HELD]);
		usleep(chance(&dice) % 3000);
		if (!t->mixed)
			continue;
		if (!(chance(&dice) % 4)) {
			faasin_channel_set_state(ch, FAASIN_LINK_STATE_PAUSED);
			usleep(chance(&dice) % 200);
			faasin_channel_set_state(ch, FAASIN_LINK_STATE_RUNNING);
		}
		memory_shrink(1 + chance(&dice) % 64);
		WRITE_ONCE(t->world->css.is_short, chance(&dice) % 2);
	}
	WRITE_ONCE(t->world->css.is_short, false);
	task_end();
	return NULL;
}

static u64 round_of(struct lanes_test *t)
{
	pthread_t producer, consumer, operator;
	struct faasin_channel *ch;

	t->world = world_link_trusted(CAPACITY);
	ch = t->world->channel;
	BUG_ON(pthread_create(&producer, NULL, lanes_producer, t));
	BUG_ON(pthread_create(&consumer, NULL, lanes_consumer, t));
	BUG_ON(pthread_create(&operator, NULL, lanes_operator, t));
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	WRITE_ONCE(t->over, true);
	pthread_join(operator, NULL);
	/* It was by lanes. */
	BUG_ON(!t->mixed && t->moved > 100 * CAPACITY &&
	       ch->wr.lane_calls < t->moved / CAPACITY);
	world_unlink(t->world);
	world_free(t->world);
	return t->moved;
}

u64 lanes_round(u64 seed)
{
	struct lanes_test t = { .seed = seed };

	return round_of(&t);
}

u64 lanes_polled_round(u64 seed)
{
	struct lanes_test t = { .seed = seed, .polling = true };

	return round_of(&t);
}

u64 lanes_operated_round(u64 seed)
{
	struct lanes_test t = { .seed = seed, .mixed = true, .polling = seed % 2 };

	return round_of(&t);
}

/* ------------------------------------------------------- a side that lies */

/**
 * struct vandal - one end of a lane that goes by no rule
 * @producer: which end
 * @began: garbage is there
 */
struct vandal {
	struct lanes_test *t;
	bool producer;
	bool began;
};

/* Anything, anywhere in its own part; often such as may make some sense. */
static void vandal_write(u64 *words, size_t n, u64 *dice)
{
	u64 value = chance(dice);

	switch (chance(dice) % 5) {
	case 0:
		value %= 600;
		break;
	case 1:
		value = value % 64 * PAGE_SIZE;
		break;
	case 2:
		value = (value % PAGE_SIZE) << 32 | value >> 63;
		break;
	}
	/* The two indices as often as all the rest. */
	WRITE_ONCE(words[chance(dice) % 2 ? chance(dice) % 2 * 8 : chance(dice) % n], value);
}

/* In the window, mostly; behind it, far behind it, not where a page begins. */
static u64 vandal_offset(u64 *dice)
{
	switch (chance(dice) % 16) {
	case 0:
		return chance(dice) & PAGE_MASK;
	case 1:
		return CAPACITY + chance(dice) % 64 * PAGE_SIZE;
	case 2:
		return chance(dice) % CAPACITY;
	default:
		return chance(dice) % 64 * PAGE_SIZE;
	}
}

/* One step on from what is there, as by the rules, but with what they may not allow. */
static void vandal_step(u64 *words, bool producer, u64 *dice)
{
	struct faasin_lane_out *out = (void *)words;
	struct faasin_lane_in *in = (void *)words;
	u64 was;

	if (producer) {
		was = READ_ONCE(out->sent);
		WRITE_ONCE(out->slots[was % FAASIN_LANE_SLOTS].offset, vandal_offset(dice));
		WRITE_ONCE(out->slots[was % FAASIN_LANE_SLOTS].length,
			   1 + chance(dice) % PAGE_SIZE);
		WRITE_ONCE(out->slots[was % FAASIN_LANE_SLOTS].last, chance(dice) % 2);
		try_cmpxchg(&out->sent, &was, was + 1);
	} else {
		was = READ_ONCE(in->returned);
		WRITE_ONCE(in->offsets[was % FAASIN_LANE_SLOTS], vandal_offset(dice));
		try_cmpxchg(&in->returned, &was, was + 1);
	}
}

static void *lanes_vandal(void *arg)
{
	struct vandal *v = arg;
	struct lanes_test *t = v->t;
	u64 dice = chance_begin(t->seed + 4), *words;
	size_t at = v->producer ? FAASIN_LANE_OUT_AT : FAASIN_LANE_IN_AT;
	size_t size = (v->producer ? FAASIN_LANE_IN_AT : FAASIN_LANE_SIZE) - at;
	struct faasin_range range;
	struct file *file;
	int fd, lane, err;

	task_begin("vandal", 0);
	file = port_open(t->world, v->producer ? FAASIN_DIRECTION_OUT : FAASIN_DIRECTION_IN,
			 false, &err);
	file->f_flags = O_NONBLOCK;
	fd = process_port(file);
	lane = process_ioctl(fd, FAASIN_IOC_LANE);
	BUG_ON(lane < 0);
	words = process_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, lane, at);
	BUG_ON(words == MAP_FAILED);
	process_close(lane);
	while (!READ_ONCE(t->over)) {
		if (chance(&dice) % 4)
			vandal_step(words, v->producer, &dice);
		else
			vandal_write(words, size / sizeof(*words), &dice);
		WRITE_ONCE(v->began, true);
		switch (chance(&dice) % 32) {
		case 0:
			process_ioctl(fd, FAASIN_IOC_LANE_KICK);
			break;
		case 1:
			process_ioctl(fd, FAASIN_IOC_LANE_WAIT);
			break;
		case 2:
			range = (struct faasin_range){ .length = 1 + chance(&dice) % PAGE_SIZE };
			if (v->producer)
				process_ioctl(fd, FAASIN_IOC_ALLOC, &range);
			break;
		case 3:
			usleep(chance(&dice) % 50);
			break;
		}
	}
	process_munmap(words, size);
	process_port_close(fd);
	task_end();
	return NULL;
}

#define CALLS	100000		/* of one that is lied to, until it was told: no end otherwise */

/* What it sends nobody looks at. */
static int produce(struct lanes_test *t, struct end *end, u64 *dice)
{
	struct iovec part = { .iov_len = 1 + chance(dice) % (3 * PAGE_SIZE) };
	int code = faasctl_window_alloc(end->win, part.iov_len, &part.iov_base, NULL);

	if (code)
		return code;
	code = faasctl_window_send(end->win, &part, 1, NULL);
	if (code)
		faasctl_window_release(end->win, &part, 1, NULL);
	return code;
}

/* What it is said to have got need not be there, nor be its own. */
static int consume(struct lanes_test *t, struct end *end, u64 *dice)
{
	struct iovec parts[FAASIN_RANGES_MAX];
	int n = faasctl_window_receive(end->win, parts, 1 + chance(dice) % FAASIN_RANGES_MAX,
				       NULL);

	if (n > 0)
		faasctl_window_release(end->win, parts, n, NULL);
	return n;
}

/* It goes on until it is told, and comes to an end in each call. */
static void endure(struct lanes_test *t, struct vandal *v)
{
	u64 dice = chance_begin(t->seed + 5);
	int code = 0, calls = 0;
	struct end end;

	end_open(t, &end, v->producer ? FAASIN_DIRECTION_IN : FAASIN_DIRECTION_OUT);
	while (!READ_ONCE(v->began))
		usleep(10);
	do
		code = v->producer ? consume(t, &end, &dice) : produce(t, &end, &dice);
	while ((code >= 0 || code == -EAGAIN || code == -EMSGSIZE) && ++calls < CALLS);
	BUG_ON(code != (v->producer ? -ECONNABORTED : -EPIPE));
	end_close(&end);
}

u64 lanes_garbage_round(u64 seed)
{
	struct lanes_test t = { .seed = seed, .polling = true };
	struct vandal v = { .t = &t, .producer = seed % 2 };
	struct faasin_cause_info ci;
	pthread_t vandal;

	t.world = world_link_trusted(CAPACITY);
	BUG_ON(pthread_create(&vandal, NULL, lanes_vandal, &v));
	endure(&t, &v);
	faasin_channel_cause(t.world->channel, &ci);
	BUG_ON(ci.cause != FAASIN_CAUSE_LANE);
	WRITE_ONCE(t.over, true);
	pthread_join(vandal, NULL);
	world_unlink(t.world);
	world_free(t.world);
	return 1;
}
