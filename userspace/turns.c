// SPDX-License-Identifier: GPL-2.0
/*
 * An input with several links: each output's streams are whole, or say that they are not, and
 * come in the order in which they began, while links are cut and made again, others come
 * and go at the input, and somebody polls. And with all live operations besides, and several
 * readers: nobody can be stuck.
 */
#include "turns.h"
#include "world.h"
#include "inbox.h"

#include <unistd.h>

#define STREAMS		150		/* of each output */
#define CAPACITY	(16 * 1024)

struct head {
	u32 link;
	u32 number;
	u32 length;		/* of what follows: bytes of the value of @number */
};

/**
 * struct turns - a round
 * @left: producers that are at work
 * @moved: bytes of streams that came whole
 */
struct turns {
	struct world *world;
	u64 seed;
	int left;
	u64 moved;
};

struct part {
	struct turns *t;
	unsigned int link;
};

static bool turns_over(struct turns *t)
{
	return !__atomic_load_n(&t->left, __ATOMIC_ACQUIRE);
}

/* All of it, or false if the stream is over. */
static bool write_all(struct file *file, const void *from, size_t n)
{
	ssize_t done;

	for (; n; n -= done, from = (const char *)from + done) {
		done = port_write(file, from, n);
		if (done < 0)
			return false;
	}
	return true;
}

static void *turns_producer(void *arg)
{
	struct part *p = arg;
	struct turns *t = p->t;
	u64 dice = chance_begin(t->seed + p->link);
	struct head head = { .link = p->link };
	char bytes[3 * CAPACITY];
	struct file *file;
	int err;

	task_begin("producer", 0);
	while (head.number < STREAMS) {
		file = world_link_open(t->world, p->link, FAASIN_DIRECTION_OUT, &err);
		if (!file) {
			usleep(50);
			continue;
		}
		head.number++;
		head.length = chance(&dice) % sizeof(bytes);
		memset(bytes, head.number, head.length);
		if (write_all(file, &head, sizeof(head)))
			write_all(file, bytes, head.length);
		if (!(chance(&dice) % 4))
			faasin_stream_abort(file->private_data, FAASIN_CAUSE_REQUEST, 0, NULL);
		port_close(file);
	}
	__atomic_sub_fetch(&t->left, 1, __ATOMIC_RELEASE);
	task_end();
	return NULL;
}

/* Reads up to @n bytes, by polling or by waiting; how many, or the error that came first. */
static ssize_t read_some(struct file *file, void *to, size_t n, bool polls)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		file->f_flags = polls ? O_NONBLOCK : 0;
		got = port_read(file, (char *)to + done, n - done);
		if (got == -EAGAIN) {
			port_poll(file);
			continue;
		}
		if (got <= 0)
			return done ?: got;
		done += got;
	}
	return done;
}

/* The only one who reads, so each stream is read from its beginning, once. */
static void *turns_consumer(void *arg)
{
	struct turns *t = arg;
	u64 dice = chance_begin(t->seed + 99);
	u32 last[WORLD_LINKS] = { 0 }, i;
	char bytes[3 * CAPACITY + 1];
	struct file *file;
	struct head head;
	bool polls;
	ssize_t n;
	int err;

	task_begin("consumer", 0);
	while (!turns_over(t)) {
		file = port_open(t->world, FAASIN_DIRECTION_IN, true, &err);
		/* It was the last moment. */
		if (!file) {
			BUG_ON(err != -ENXIO);
			break;
		}
		polls = chance(&dice) % 2;
		if (polls)
			port_poll(file);
		n = read_some(file, &head, sizeof(head), polls);
		if (n == sizeof(head)) {
			BUG_ON(head.link >= WORLD_LINKS || head.number <= last[head.link]);
			last[head.link] = head.number;
			n = chance(&dice) % 8 ? read_some(file, bytes, sizeof(bytes), polls) : 0;
			BUG_ON(n > (ssize_t)head.length);
			for (i = 0; (ssize_t)i < n; i++)
				BUG_ON(bytes[i] != (char)head.number);
			if (n > 0)
				t->moved += n;
		}
		/* Others may have the session, which must not be joined in the middle. */
		if (faasin_handle_bound(file->private_data))
			faasin_session_end(file->private_data);
		port_close(file);
	}
	task_end();
	return NULL;
}

/* Sessions without a reader, and those that the reader's is joined by. */
static void *turns_passer(void *arg)
{
	struct turns *t = arg;
	struct faasin_port_info info;
	struct file *file;
	int err;

	task_begin("passer", 0);
	while (!turns_over(t)) {
		file = port_open(t->world, FAASIN_DIRECTION_IN, true, &err);
		BUG_ON(!file);
		if (faasin_inbox_poll(file->private_data)) {
			faasin_stream_info(file->private_data, &info);
			BUG_ON(!info.stream);
		}
		port_close(file);
		usleep(20);
	}
	task_end();
	return NULL;
}

static void *turns_cutter(void *arg)
{
	struct turns *t = arg;
	u64 dice = chance_begin(t->seed + 7);
	unsigned int i;

	task_begin("cutter", 0);
	while (!turns_over(t)) {
		i = chance(&dice) % WORLD_LINKS;
		world_gather_cut(t->world, i);
		usleep(chance(&dice) % 300);
		while (!turns_over(t) && !world_gather_link(t->world, i, CAPACITY))
			usleep(100);
		usleep(chance(&dice) % 3000);
	}
	task_end();
	return NULL;
}

u64 turns_round(u64 seed)
{
	struct turns t = {
		.world = world_gather(CAPACITY, FAASIN_MERGE_STREAMS),
		.seed = seed,
		.left = WORLD_LINKS,
	};
	struct part parts[WORLD_LINKS];
	pthread_t producers[WORLD_LINKS], others[3];
	unsigned int i;

	for (i = 0; i < WORLD_LINKS; i++) {
		parts[i] = (struct part){ &t, i };
		BUG_ON(pthread_create(&producers[i], NULL, turns_producer, &parts[i]));
	}
	BUG_ON(pthread_create(&others[0], NULL, turns_consumer, &t));
	BUG_ON(pthread_create(&others[1], NULL, turns_passer, &t));
	BUG_ON(pthread_create(&others[2], NULL, turns_cutter, &t));
	for (i = 0; i < WORLD_LINKS; i++)
		pthread_join(producers[i], NULL);
	pthread_join(others[2], NULL);
	pthread_join(others[1], NULL);
	/* Whoever waits for a stream is told that none will come. */
	world_gather_end(t.world);
	pthread_join(others[0], NULL);
	world_free(t.world);
	return t.moved;
}

/* ------------------------------------------------------------ live operations */

/* One of several who share sessions, and leave them. */
static void *turns_sharer(void *arg)
{
	struct turns *t = arg;
	u64 dice = chance_begin(t->seed + 33);
	char bytes[7000];
	struct file *file;
	bool polls, leaves;
	ssize_t n;
	int err;

	task_begin("sharer", 0);
	while (!turns_over(t)) {
		file = port_open(t->world, FAASIN_DIRECTION_IN, true, &err);
		if (!file) {
			BUG_ON(err != -ENXIO);
			continue;
		}
		polls = chance(&dice) % 2;
		leaves = !(chance(&dice) % 4);
		if (polls)
			port_poll(file);
		do {
			n = read_some(file, bytes, 1 + chance(&dice) % sizeof(bytes), polls);
			if (n > 0)
				__atomic_add_fetch(&t->moved, n, __ATOMIC_RELAXED);
		} while (n > 0 && !leaves);
		port_close(file);
	}
	task_end();
	return NULL;
}

void turns_operate(struct world *w, u64 *dice)
{
	unsigned int i = chance(dice) % WORLD_LINKS;

	switch (chance(dice) % 8) {
	case 0:
		if (w->links[i])
			world_gather_cut(w, i);
		break;
	case 1:
		world_gather_pause(w, i, chance(dice) % 200);
		break;
	case 2:
		world_gather_resize(w, i, (1 + chance(dice) % 8) * PAGE_SIZE);
		break;
	case 3:
		world_gather_replace_input(w);
		break;
	case 4:
		world_gather_replace_output(w, i);
		break;
	case 5:
		if (!(chance(dice) % 8))
			world_gather_renew(w);
		break;
	default:
		for (i = 0; i < WORLD_LINKS; i++)
			if (!w->links[i])
				world_gather_link(w, i, CAPACITY);
	}
	usleep(chance(dice) % 1000);
}

static void *turns_operator(void *arg)
{
	struct turns *t = arg;
	u64 dice = chance_begin(t->seed + 7);

	task_begin("operator", 0);
	while (!turns_over(t))
		turns_operate(t->world, &dice);
	task_end();
	return NULL;
}

u64 turns_operated_round(u64 seed)
{
	struct turns t = {
		.world = world_gather(CAPACITY, FAASIN_MERGE_STREAMS),
		.seed = seed,
		.left = WORLD_LINKS,
	};
	struct part parts[WORLD_LINKS];
	pthread_t producers[WORLD_LINKS], sharers[3], other;
	unsigned int i;

	for (i = 0; i < WORLD_LINKS; i++) {
		parts[i] = (struct part){ &t, i };
		BUG_ON(pthread_create(&producers[i], NULL, turns_producer, &parts[i]));
	}
	for (i = 0; i < ARRAY_SIZE(sharers); i++)
		BUG_ON(pthread_create(&sharers[i], NULL, turns_sharer, &t));
	BUG_ON(pthread_create(&other, NULL, turns_operator, &t));
	for (i = 0; i < WORLD_LINKS; i++)
		pthread_join(producers[i], NULL);
	pthread_join(other, NULL);
	world_gather_end(t.world);
	for (i = 0; i < ARRAY_SIZE(sharers); i++)
		pthread_join(sharers[i], NULL);
	world_free(t.world);
	return t.moved;
}
