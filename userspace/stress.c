// SPDX-License-Identifier: GPL-2.0
/*
 * Threads write, read, abort and leave one channel at once, while others shrink its pool,
 * refuse it memory, interrupt calls and add up its statistics. Each byte is compared with what was
 * written, each end with how the stream ended. Results are TAP.
 */
#include "deals.h"
#include "lanes.h"
#include "turns.h"
#include "world.h"
#include "ring.h"

#include <getopt.h>
#include <unistd.h>

#define STREAMS		12		/* of a round */
#define PATTERN		65521		/* prime: a shift by whole blocks shows */
#define RECORD_WRITERS	3
#define RECORD_READERS	2
#define RECORD_MAX	(16 * 1024)
#define RECORDS		2048		/* of a stream, at most */
#define WORD_READERS	3

#ifdef SHIM_WEAKEN
static const char *weak = "";

bool shim_weak(const char *access)
{
	return !strcmp(access, weak);
}
#endif

/* ------------------------------------------------------------------ chance */

static __thread u64 dice;

static u64 rnd(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

/* 1 to @max, each size of it as likely as each other. */
static size_t rnd_size(size_t max)
{
	return 1 + rnd() % min((u64)max, 1ULL << rnd() % (ilog2(max) + 2));
}

static bool one_in(unsigned int n)
{
	return !(rnd() % n);
}

/* ------------------------------------------------------------------- bytes */

static unsigned char pattern[2 * PATTERN];

static void pattern_make(void)
{
	size_t i;

	dice = 88172645463325252ULL;
	for (i = 0; i < PATTERN; i++)
		pattern[i] = rnd() >> 32;
	memcpy(pattern + PATTERN, pattern, PATTERN);
}

static size_t pattern_at(unsigned int stream, u64 pos)
{
	return (pos + stream * 7919) % PATTERN;
}

static void fill(unsigned char *to, size_t n, unsigned int stream, u64 pos)
{
	size_t part;

	for (; n; to += part, n -= part, pos += part) {
		part = min(n, (size_t)PATTERN);
		memcpy(to, pattern + pattern_at(stream, pos), part);
	}
}

static void check(const unsigned char *from, size_t n, unsigned int stream, u64 pos)
{
	size_t part;

	for (; n; from += part, n -= part, pos += part) {
		part = min(n, (size_t)PATTERN);
		if (memcmp(from, pattern + pattern_at(stream, pos), part)) {
			printf("# stream %u: wrong bytes between %llu and %llu\n", stream, pos,
			       pos + part);
			BUG_ON("bytes are not those that were written");
		}
	}
}

/* ------------------------------------------------------------------ rounds */

enum ending {
	ENDING_CLOSE,
	ENDING_END,
	ENDING_ABORT,
	ENDING_KILLED,
	NR_ENDINGS,
};

/**
 * struct plan - what a round is about
 * @name: of the result
 * @capacities: up to here; chosen anew for each round
 * @nonblock: calls do not wait, but poll
 * @endings: how streams may end: as many of enum ending
 * @leave: one reader in so many leaves early; 0: none
 * @drain: what is written afterwards is swallowed
 * @memory: pools are shrunk, refused memory, and idle soon
 * @signals: calls are interrupted
 * @faults: some memory cannot be touched
 * @windows: extents are handed off, too
 * @unlink: the link goes in the middle
 * @change: its capacity and its state change
 * @pages: some go by reference, in and out
 * @records: what one call writes is a record
 */
struct plan {
	const char *name;
	u64 capacities[4];
	bool nonblock;
	unsigned int endings;
	unsigned int leave;
	bool drain;
	bool memory;
	bool signals;
	bool faults;
	bool windows;
	bool unlink;
	bool change;
	bool pages;
	bool records;
};

/**
 * struct round - one link, while it is used
 * @length: of each stream, once its producer knows
 * @ending: likewise; all relaxed, so that they order nothing themselves
 * @ends: where records of a stream end, of a link with such; set before one is written
 * @task: whom to interrupt; @tasks
 */
struct round {
	const struct plan *plan;
	struct world *world;
	struct faasin_channel *channel;
	u64 capacity;
	u64 seed;
	u64 length[STREAMS];
	int ending[STREAMS];
	u64 (*ends)[RECORDS];
	bool over;
	pthread_mutex_t tasks;
	struct task_struct *task[2];
	u64 moved;
};

static void thread_begin(struct round *r, int side, const char *name, u64 salt)
{
	task_begin(name, 0);
	dice = (r->seed + salt) * 0x9e3779b97f4a7c15ULL | 1;
	if (side < 0)
		return;
	pthread_mutex_lock(&r->tasks);
	r->task[side] = current;
	pthread_mutex_unlock(&r->tasks);
}

static void thread_end(struct round *r, int side)
{
	if (side >= 0) {
		pthread_mutex_lock(&r->tasks);
		r->task[side] = NULL;
		pthread_mutex_unlock(&r->tasks);
	}
	task_end();
}

/* What a call said that moved nothing: to be tried again. */
static bool again(struct file *file, ssize_t n)
{
	if (n == -ERESTARTSYS) {
		WRITE_ONCE(current->pending, false);
		return true;
	}
	if (n != -EAGAIN)
		return false;
	port_poll(file);
	WRITE_ONCE(current->pending, false);
	return true;
}

static struct file *open_again(struct round *r, enum faasin_direction direction)
{
	struct file *file;
	int err;

	for (;;) {
		/* Opening does not poll. */
		file = port_open(r->world, direction, false, &err);
		if (file)
			break;
		if (err == -ENXIO)
			return NULL;
		BUG_ON(err != -ERESTARTSYS);
		WRITE_ONCE(current->pending, false);
	}
	file->f_flags = r->plan->nonblock ? O_NONBLOCK : 0;
	return file;
}

/* --------------------------------------------------------------- producing */

/* Pages of an extent, which are not one run of memory. */
static void window_bytes(struct faasin_channel *ch, u64 offset, size_t n, unsigned int stream,
			 u64 pos, bool write)
{
	unsigned char *p;
	size_t part;

	for (; n; offset += part, n -= part, pos += part) {
		part = min(n, (size_t)(PAGE_SIZE - offset_in_page(offset)));
		p = page_address(faasin_window_page(&ch->window, offset >> PAGE_SHIFT));
		p += offset_in_page(offset);
		if (write)
			fill(p, part, stream, pos);
		else
			check(p, part, stream, pos);
	}
}

/* A record of up to @max bytes: how many, or an error. @end, if not NULL: where it will end. */
static ssize_t send_record(struct round *r, struct file *file, unsigned int stream, u64 pos,
			   size_t max, u64 *end)
{
	struct faasin_channel *ch = r->channel;
	struct faasin_range ranges[3];
	struct faasin_ranges arg = { .ranges = (uintptr_t)ranges };
	u64 window = (u64)ch->window.nr_pages << PAGE_SHIFT;
	size_t done = 0;
	u32 i, n = 1 + rnd() % 3;
	long err;

	for (i = 0; i < n && done < max; i++) {
		/* So that three of them fit. */
		ranges[i].length = rnd_size(min((u64)max - done, max(window / 4, 1ULL)));
		ranges[i].offset = 0;
		err = faasin_window_ioctl(file, FAASIN_IOC_ALLOC, &ranges[i]);
		if (err)
			break;
		window_bytes(ch, ranges[i].offset, ranges[i].length, stream, pos + done, true);
		done += ranges[i].length;
	}
	if (!i)
		return err;
	if (end)
		*end = pos + done;
	arg.count = i;
	while ((err = faasin_window_ioctl(file, FAASIN_IOC_SEND, &arg)) == -ERESTARTSYS)
		WRITE_ONCE(current->pending, false);
	if (!err)
		return done;
	BUG_ON(faasin_window_ioctl(file, FAASIN_IOC_RETURN, &arg));
	return err;
}

/* Pages by reference, as splice() passes them: how many bytes, 0 if there is no room. */
static ssize_t move_pages(struct file *file, unsigned int stream, u64 pos, size_t max)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_channel *ch = h->channel;
	struct faasin_block *b[4];
	unsigned int n, i;
	struct page *page;
	int err;

	err = faasin_ring_writer(h);
	if (err)
		return err;
	mutex_lock(&ch->wr.mutex);
	faasin_side_user(ch, &ch->wr);
	n = min((u64)faasin_ring_pages(ch), min(max / PAGE_SIZE, (u64)ARRAY_SIZE(b)));
	for (i = 0; i < n; i++) {
		page = alloc_pages(GFP_KERNEL, 0);
		fill(page_address(page), PAGE_SIZE, stream, pos + i * PAGE_SIZE);
		b[i] = faasin_pool_moved(&ch->pool, page);
	}
	err = n ? faasin_ring_move(h, b, n) : 0;
	for (i = 0; err && i < n; i++)
		faasin_pool_put_uncounted(&ch->pool, b[i]);
	mutex_unlock(&ch->wr.mutex);
	return err ?: (ssize_t)(n * PAGE_SIZE);
}

static void end_stream(struct file *file, enum ending ending)
{
	struct faasin_handle *h = file->private_data;

	switch (ending) {
	case ENDING_END:
		faasin_stream_end(h);
		break;
	case ENDING_ABORT:
		faasin_stream_abort(h, FAASIN_CAUSE_REQUEST, 0, NULL);
		break;
	case ENDING_KILLED:
		task_exits(SIGKILL);
		break;
	default:
		break;
	}
	port_close(file);
}

/* Whoever closed early ended the stream first. */
static bool write_stream(struct round *r, struct file *file, unsigned int stream,
			 unsigned char *buffer, size_t largest)
{
	u64 length = one_in(8) ? 0 : rnd_size(8 * largest), pos = 0, *end = NULL;
	unsigned int records = 0;
	size_t size, want;
	ssize_t n;

	while (pos < length && (!r->ends || records < RECORDS)) {
		size = min((u64)rnd_size(largest), length - pos);
		if (r->ends) {
			end = &r->ends[stream][records];
			*end = pos + size;
		}
		n = r->plan->pages && one_in(2) ? move_pages(file, stream, pos, size) : 0;
		if (n) {
			/* By reference, or not at all. */
		} else if (r->plan->windows && r->channel->window.nr_pages && one_in(2)) {
			n = send_record(r, file, stream, pos, size, end);
		} else {
			fill(buffer, size, stream, pos);
			want = r->plan->faults && one_in(4) ? rnd() % (size + 1) : SIZE_MAX;
			n = port_write_faulty(file, buffer, size, want);
			if (n == -EFAULT) {
				BUG_ON(want == SIZE_MAX);
				continue;
			}
		}
		if (n == -ENOMEM) {
			/* A window that is refused memory at once. */
			BUG_ON(!r->plan->memory);
			continue;
		}
		if (n == -EMSGSIZE) {
			/* There may be more capacity the next time. */
			BUG_ON(!r->plan->records || !r->plan->change);
			continue;
		}
		if (n == -EPIPE)
			return false;
		if (n < 0) {
			BUG_ON(!again(file, n));
			continue;
		}
		BUG_ON(!n || (size_t)n > size || (end && pos + n != *end));
		pos += n;
		records++;
		WRITE_ONCE(r->length[stream], pos);
	}
	return true;
}

static void *producer(void *arg)
{
	struct round *r = arg;
	size_t largest = r->ends ? r->capacity : 3 * r->capacity;
	unsigned char *buffer = malloc(largest);
	enum ending ending;
	struct file *file;
	unsigned int i;

	for (i = 0; i < STREAMS; i++) {
		thread_begin(r, 0, "producer", 2 * i);
		file = open_again(r, FAASIN_DIRECTION_OUT);
		ending = rnd() % r->plan->endings;
		WRITE_ONCE(r->ending[i], ending);
		if (file) {
			if (!write_stream(r, file, i, buffer, largest))
				BUG_ON(!r->plan->leave && !r->plan->unlink);
			end_stream(file, ending);
		}
		thread_end(r, 0);
		if (!file) {
			BUG_ON(!r->plan->unlink);
			break;
		}
	}
	free(buffer);
	return NULL;
}

/* --------------------------------------------------------------- consuming */

/* What was taken, and returns it. */
static ssize_t take_record(struct round *r, struct file *file, unsigned int stream, u64 pos)
{
	struct faasin_range ranges[FAASIN_RANGES_MAX];
	struct faasin_ranges arg = { .ranges = (uintptr_t)ranges, .count = FAASIN_RANGES_MAX };
	struct faasin_channel *ch = r->channel;
	struct faasin_handle *h = file->private_data;
	u64 window = (u64)ch->window.nr_pages << PAGE_SHIFT;
	size_t done = 0;
	long n, i;

	n = faasin_window_ioctl(file, FAASIN_IOC_TAKE, &arg);
	if (n <= 0)
		return n;
	for (i = 0; i < n; done += ranges[i].length, i++) {
		if (ranges[i].offset < window)
			window_bytes(ch, ranges[i].offset, ranges[i].length, stream, pos + done,
				     false);
		else
			check(page_address(h->landing), ranges[i].length, stream, pos + done);
	}
	arg.count = n;
	/* Sometimes only closing gives them back. */
	if (!one_in(16) || h->landed)
		BUG_ON(faasin_window_ioctl(file, FAASIN_IOC_RETURN, &arg));
	return done;
}

/**
 * struct lent - a page of the channel's that somebody has
 * @page: of it, a reference
 * @at: where in it
 * @stream: whose bytes it has
 * @pos: of the first
 */
struct lent {
	struct page *page;
	u32 at;
	unsigned int stream;
	u64 pos;
};

#define LENT_MAX	6

/* Nothing of it may have changed. */
static void lent_back(struct lent *lent)
{
	if (!lent->page)
		return;
	check((unsigned char *)page_address(lent->page) + lent->at, PAGE_SIZE, lent->stream,
	      lent->pos);
	put_page(lent->page);
	lent->page = NULL;
}

/* A page by reference, as splice() passes it: how many bytes, 0 if the next ones are none. */
static size_t lend_page(struct file *file, unsigned int stream, u64 pos, struct lent *lent)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_channel *ch = h->channel;
	struct faasin_block *b;
	struct faasin_drain d;
	size_t n = 0;
	u32 at;

	mutex_lock(&ch->rd.mutex);
	faasin_side_user(ch, &ch->rd);
	if (faasin_ring_drain(ch, h->session, &d) > 0) {
		b = d.segment->block;
		at = d.pos - d.segment->begin;
		if (b->page && !offset_in_page(at) && d.limit - d.pos >= PAGE_SIZE &&
		    faasin_pool_lend(&ch->pool, b)) {
			get_page(b->page);
			*lent = (struct lent){ b->page, at, stream, pos };
			n = PAGE_SIZE;
		}
		faasin_ring_drained(ch, h->session, &d, n, n);
	}
	faasin_ring_unlock_reader(ch);
	return n;
}

/*
 * A call that had room for @size bytes gave @n of a stream, from @pos on: no more than the rest
 * of a record; @whole: no less either, where there is room. Returns whether that was all of it.
 */
static bool check_record(const u64 *end, u64 pos, size_t n, size_t size, bool whole)
{
	BUG_ON(pos + n > *end);
	BUG_ON(whole && n != min((u64)size, *end - pos));
	return pos + n == *end;
}

/* Somebody drops what is to be dropped, whether or not anybody asks. */
static void await_discard(struct faasin_channel *ch)
{
	u64 deadline = ktime_get_ns() + 10ULL * NSEC_PER_SEC;

	while (READ_ONCE(ch->discard) > READ_ONCE(ch->tail)) {
		BUG_ON(ktime_get_ns() > deadline);
		usleep(100);
	}
}

/* What is said of the next record. */
static void check_info(struct file *file, const u64 *end, u64 pos)
{
	struct faasin_handle *h = file->private_data;
	struct faasin_port_info info;

	faasin_stream_info(h, &info);
	if (!info.record && info.unread) {
		/* Asked without the lock that is needed to drop what lies before it. */
		await_discard(h->channel);
		faasin_stream_info(h, &info);
	}
	BUG_ON(!(info.flags & FAASIN_INFO_RECORDS));
	BUG_ON(info.record && info.record != *end - pos);
	BUG_ON(!info.record && info.unread);
}

/* Reads until the end, or for a while: what reading said last. */
static ssize_t read_stream(struct round *r, struct file *file, unsigned int stream, u64 *read,
			   unsigned char *buffer, size_t largest)
{
	struct lent lent[LENT_MAX] = { 0 }, *next;
	u64 stop = ~0ULL, pos = 0, *end = r->ends ? r->ends[stream] : NULL;
	size_t size, can;
	ssize_t n = 1;
	bool whole;
	int i;

	if (r->plan->leave && one_in(r->plan->leave))
		stop = rnd_size(4 * largest);
	while (pos < stop) {
		size = rnd_size(largest);
		can = r->plan->faults && one_in(4) ? rnd() % (size + 1) : SIZE_MAX;
		whole = can == SIZE_MAX;
		if (end && one_in(4))
			check_info(file, end, pos);
		if (r->plan->pages && one_in(2)) {
			next = &lent[rnd() % LENT_MAX];
			lent_back(next);
			n = lend_page(file, stream, pos, next);
			if (end && n)
				end += check_record(end, pos, n, PAGE_SIZE, true);
			pos += n;
			continue;
		}
		if (r->plan->windows && r->channel->window.nr_pages && one_in(2)) {
			n = take_record(r, file, stream, pos);
			size = SIZE_MAX;
			whole = true;
			if (n == -ENOMEM)
				continue;
			if (n == -EMSGSIZE) {
				BUG_ON(!end);
				continue;
			}
		} else {
			n = port_read_faulty(file, buffer, size, can);
			if (n == -EFAULT && can != SIZE_MAX)
				continue;
			if (n > 0)
				check(buffer, n, stream, pos);
		}
		if (n < 0 && again(file, n))
			continue;
		if (n <= 0)
			break;
		if (end)
			end += check_record(end, pos, n, size, whole);
		pos += n;
	}
	for (i = 0; i < LENT_MAX; i++)
		lent_back(&lent[i]);
	*read = pos;
	return n;
}

/* How reading stream @i ended must be how it ended. */
static void check_end(struct round *r, unsigned int i, u64 read, ssize_t said)
{
	enum ending ending = READ_ONCE(r->ending[i]);
	bool good = ending == ENDING_CLOSE || ending == ENDING_END;

	BUG_ON(said != 0 && said != -ECONNABORTED);
	/* The link's end can come at any time. */
	if (r->plan->unlink && said)
		return;
	BUG_ON(good != !said);
	BUG_ON(read != READ_ONCE(r->length[i]));
}

static void *consumer(void *arg)
{
	struct round *r = arg;
	size_t largest = 3 * r->capacity;
	unsigned char *buffer = malloc(largest);
	struct file *file;
	unsigned int i = 0;
	ssize_t said;
	u64 read;

	thread_begin(r, 1, "consumer", 1);
	while (i < STREAMS) {
		file = open_again(r, FAASIN_DIRECTION_IN);
		if (!file)
			break;
		said = read_stream(r, file, i, &read, buffer, largest);
		r->moved += read;
		if (said <= 0)
			check_end(r, i, read, said);
		/* Who leaves before anything was read leaves the stream to the next one. */
		if (said <= 0 || read)
			i++;
		port_close(file);
		if (said < 0 && r->plan->unlink)
			break;
	}
	BUG_ON(i < STREAMS && !r->plan->unlink);
	thread_end(r, 1);
	free(buffer);
	return NULL;
}

/* --------------------------------------------------------- what else happens */

static bool over(struct round *r)
{
	return READ_ONCE(r->over);
}

static void *disturb_memory(void *arg)
{
	struct round *r = arg;

	thread_begin(r, -1, "memory", 3);
	while (!over(r)) {
		memory_shrink(rnd_size(64));
		WRITE_ONCE(r->world->css.is_short, one_in(2));
		usleep(rnd_size(2000));
	}
	WRITE_ONCE(r->world->css.is_short, false);
	thread_end(r, -1);
	return NULL;
}

static void *disturb_calls(void *arg)
{
	struct round *r = arg;
	int side;

	thread_begin(r, -1, "signals", 5);
	while (!over(r)) {
		side = rnd() % 2;
		pthread_mutex_lock(&r->tasks);
		if (r->task[side])
			task_signal(r->task[side], false);
		pthread_mutex_unlock(&r->tasks);
		usleep(rnd_size(1000));
	}
	thread_end(r, -1);
	return NULL;
}

/* Sums always hold and never go back. */
static void *look_on(void *arg)
{
	struct faasin_stats st;
	u64 in = 0, out = 0, *v = st.v;
	struct round *r = arg;

	thread_begin(r, -1, "statistics", 7);
	while (!over(r)) {
		faasin_channel_stats(r->channel, &st);
		BUG_ON(v[FAASIN_A_STATS_BYTES_IN] != v[FAASIN_A_STATS_BYTES_OUT] +
		       v[FAASIN_A_STATS_BYTES_DROPPED] + v[FAASIN_A_STATS_BYTES_HELD]);
		BUG_ON(v[FAASIN_A_STATS_BYTES_IN] < in || v[FAASIN_A_STATS_BYTES_OUT] < out);
		/* Which the capacity at the end of a round was not always. */
		BUG_ON(!r->plan->change &&
		       v[FAASIN_A_STATS_BYTES_HELD_MAX] > r->channel->pool.capacity);
		in = v[FAASIN_A_STATS_BYTES_IN];
		out = v[FAASIN_A_STATS_BYTES_OUT];
		usleep(rnd_size(500));
	}
	thread_end(r, -1);
	return NULL;
}

/* More and less than there was, paused and going on. */
static void *change_link(void *arg)
{
	struct round *r = arg;
	int err;

	thread_begin(r, -1, "changes", 11);
	while (!over(r)) {
		err = faasin_channel_resize(r->channel, (1 + rnd_size(256)) * PAGE_SIZE, NULL);
		BUG_ON(err && err != -EBUSY && err != -ENOMEM && err != -ENOENT);
		usleep(rnd_size(1000));
		faasin_channel_set_state(r->channel, FAASIN_LINK_STATE_PAUSED);
		usleep(rnd_size(200));
		faasin_channel_set_state(r->channel, FAASIN_LINK_STATE_RUNNING);
		usleep(rnd_size(1000));
	}
	thread_end(r, -1);
	return NULL;
}

static void *cut_link(void *arg)
{
	struct round *r = arg;

	thread_begin(r, -1, "unlink", 9);
	usleep(rnd_size(20000));
	faasin_streams_unlink(r->channel);
	faasin_session_drop_rest(r->channel);
	thread_end(r, -1);
	return NULL;
}

/* ------------------------------------------------- several on one side each */

struct record {
	u32 writer;
	u32 number;
	u32 size;
};

static size_t record_max(const struct round *r)
{
	return r->plan->records ? min(r->capacity, (u64)RECORD_MAX) : PIPE_BUF;
}

static void *record_writer(void *arg)
{
	static atomic_t writers;
	struct round *r = arg;
	u32 buffer[RECORD_MAX / sizeof(u32)], i, n;
	struct record *head = (void *)buffer;
	struct file *file;
	ssize_t done;

	thread_begin(r, -1, "writer", 1000);
	head->writer = __atomic_fetch_add(&writers.counter, 1, __ATOMIC_RELAXED) % RECORD_WRITERS;
	dice += head->writer << 8;
	file = open_again(r, FAASIN_DIRECTION_OUT);
	/* Nobody closes before all are there: it is one stream. */
	WRITE_ONCE(r->length[head->writer], 1);
	while (!READ_ONCE(r->length[0]) || !READ_ONCE(r->length[1]) || !READ_ONCE(r->length[2]) ||
	       (r->plan->records && READ_ONCE(r->length[3]) < RECORD_READERS))
		usleep(100);
	for (i = 0; i < 600; i++) {
		head->number = i;
		head->size = max(rnd_size(record_max(r)) & ~3UL, sizeof(*head));
		for (n = sizeof(*head) / 4; n < head->size / 4; n++)
			buffer[n] = head->writer * 0x01010101 + i;
		do
			done = port_write(file, buffer, head->size);
		while (done < 0 && again(file, done));
		BUG_ON(done != head->size);
	}
	port_close(file);
	thread_end(r, -1);
	return NULL;
}

static void read_all(struct file *file, void *to, size_t size)
{
	ssize_t n;

	for (; size; to = (char *)to + n, size -= n) {
		do
			n = port_read(file, to, size);
		while (n < 0 && again(file, n));
		BUG_ON(n <= 0);
	}
}

static void *record_reader(void *arg)
{
	u32 buffer[PIPE_BUF / sizeof(u32)], next[RECORD_WRITERS] = { 0 }, i, n;
	struct record *head = (void *)buffer;
	struct round *r = arg;
	struct file *file;

	thread_begin(r, -1, "reader", 1);
	file = open_again(r, FAASIN_DIRECTION_IN);
	for (i = 0; i < RECORD_WRITERS * 600; i++) {
		read_all(file, head, sizeof(*head));
		BUG_ON(head->writer >= RECORD_WRITERS || head->size > PIPE_BUF ||
		       head->size < sizeof(*head));
		BUG_ON(head->number != next[head->writer]++);
		read_all(file, head + 1, head->size - sizeof(*head));
		for (n = sizeof(*head) / 4; n < head->size / 4; n++)
			BUG_ON(buffer[n] != head->writer * 0x01010101 + head->number);
		r->moved += head->size;
	}
	while (again(file, port_read(file, buffer, 1)))
		;
	port_close(file);
	thread_end(r, -1);
	return NULL;
}

#define WORDS	40000

static void *word_writer(void *arg)
{
	static u64 words[WORDS];
	struct round *r = arg;
	struct file *file;
	size_t done, n;
	ssize_t did;

	thread_begin(r, -1, "writer", 11);
	for (n = 0; n < WORDS; n++)
		words[n] = n;
	file = open_again(r, FAASIN_DIRECTION_OUT);
	/* All readers are there: they share one session. */
	while (READ_ONCE(r->length[0]) < WORD_READERS)
		usleep(100);
	for (done = 0; done < WORDS; done += did / 8) {
		n = min(rnd_size(3 * r->capacity / 8), WORDS - done);
		did = port_write(file, words + done, n * 8);
		if (did < 0) {
			BUG_ON(!again(file, did));
			did = 0;
		}
	}
	port_close(file);
	thread_end(r, -1);
	return NULL;
}

static u32 seen[WORDS];

static void *word_reader(void *arg)
{
	struct round *r = arg;
	size_t size = r->capacity, i;
	u64 *buffer = malloc(size);
	struct file *file;
	ssize_t n;

	thread_begin(r, -1, "reader", (uintptr_t)&n);
	file = open_again(r, FAASIN_DIRECTION_IN);
	__atomic_fetch_add(&r->length[0], 1, __ATOMIC_RELAXED);
	for (;;) {
		n = port_read(file, buffer, rnd_size(size / 8) * 8);
		if (n < 0) {
			BUG_ON(!again(file, n));
			continue;
		}
		BUG_ON(n % 8);
		if (!n)
			break;
		for (i = 0; i < (size_t)n / 8; i++) {
			BUG_ON(buffer[i] >= WORDS);
			BUG_ON(__atomic_fetch_add(&seen[buffer[i]], 1, __ATOMIC_RELAXED));
		}
		__atomic_fetch_add(&r->moved, n, __ATOMIC_RELAXED);
	}
	port_close(file);
	thread_end(r, -1);
	free(buffer);
	return NULL;
}

/* One call, one record; of those of a writer, each once and in order. */
static void *record_taker(void *arg)
{
	u32 buffer[RECORD_MAX / sizeof(u32)], next[RECORD_WRITERS] = { 0 }, i;
	struct record *head = (void *)buffer;
	struct round *r = arg;
	struct file *file;
	ssize_t n;

	thread_begin(r, -1, "reader", (uintptr_t)&n);
	file = open_again(r, FAASIN_DIRECTION_IN);
	/* They share one session. */
	__atomic_fetch_add(&r->length[3], 1, __ATOMIC_RELAXED);
	while ((n = port_read(file, buffer, sizeof(buffer)))) {
		if (n < 0) {
			BUG_ON(!again(file, n));
			continue;
		}
		BUG_ON(head->writer >= RECORD_WRITERS || head->size != (size_t)n);
		BUG_ON(head->number < next[head->writer]);
		next[head->writer] = head->number + 1;
		for (i = sizeof(*head) / 4; i < head->size / 4; i++)
			BUG_ON(buffer[i] != head->writer * 0x01010101 + head->number);
		__atomic_fetch_add(&r->moved, n, __ATOMIC_RELAXED);
		__atomic_fetch_add(&seen[head->writer * 600 + head->number], 1, __ATOMIC_RELAXED);
	}
	port_close(file);
	thread_end(r, -1);
	return NULL;
}

/* ----------------------------------------------------------------- results */

typedef void *thread_fn(void *arg);

static void run_threads(struct round *r, thread_fn *const *work, unsigned int nr_work,
			thread_fn *const *disturb, unsigned int nr_disturb)
{
	pthread_t threads[8];
	unsigned int i;

	for (i = 0; i < nr_work + nr_disturb; i++)
		BUG_ON(pthread_create(&threads[i], NULL,
				      i < nr_work ? work[i] : disturb[i - nr_work], r));
	for (i = 0; i < nr_work; i++)
		pthread_join(threads[i], NULL);
	WRITE_ONCE(r->over, true);
	for (; i < nr_work + nr_disturb; i++)
		pthread_join(threads[i], NULL);
}

static u64 run_round(const struct plan *plan, u64 seed, thread_fn *const *work,
		     unsigned int nr_work)
{
	struct round r = {
		.plan = plan,
		.seed = seed,
		.tasks = PTHREAD_MUTEX_INITIALIZER,
	};
	thread_fn *disturb[5] = { look_on };
	unsigned int nr = 1, sizes = 0;

	dice = seed * 0x9e3779b97f4a7c15ULL | 1;
	while (sizes < ARRAY_SIZE(plan->capacities) && plan->capacities[sizes])
		sizes++;
	r.capacity = plan->capacities[rnd() % sizes];
	r.world = world_link(r.capacity, FAASIN_ABORT_ON_CRASH,
			     plan->drain ? FAASIN_EARLY_CLOSE_DRAIN : FAASIN_EARLY_CLOSE_EPIPE);
	r.channel = r.world->channel;
	if (plan->records) {
		BUG_ON(faasin_records_create(r.channel));
		r.ends = calloc(STREAMS, sizeof(*r.ends));
	}
	if (plan->memory)
		disturb[nr++] = disturb_memory;
	if (plan->signals)
		disturb[nr++] = disturb_calls;
	if (plan->unlink)
		disturb[nr++] = cut_link;
	if (plan->change)
		disturb[nr++] = change_link;
	run_threads(&r, work, nr_work, disturb, nr);
	world_unlink(r.world);
	world_free(r.world);
	free(r.ends);
	return r.moved;
}

#define KIB	1024ULL
#define SMALL	.capacities = { 4 * KIB, 8 * KIB, 12 * KIB, 64 * KIB }
#define LARGE	.capacities = { 256 * KIB, 1024 * KIB, 4096 * KIB }

static const struct plan plans[] = {
	{ "bytes, small capacities", SMALL, .endings = 2 },
	{ "bytes, large capacities", LARGE, .endings = 2 },
	{ "bytes, not waiting but polling", SMALL, .endings = 2, .nonblock = true },
	{ "streams that are aborted, writers that are killed", SMALL, .endings = NR_ENDINGS },
	{ "readers that leave early", SMALL, .endings = NR_ENDINGS, .leave = 2 },
	{ "readers that leave early, the rest drained", SMALL, .endings = NR_ENDINGS, .leave = 2,
	  .drain = true },
	{ "pools that shrink, idle and are refused memory", LARGE, .endings = 2, .memory = true,
	  .leave = 4 },
	{ "the same, not waiting but polling", SMALL, .endings = 2, .memory = true,
	  .nonblock = true },
	{ "calls that are interrupted", SMALL, .endings = 2, .signals = true },
	{ "memory that cannot be touched", SMALL, .endings = 2, .faults = true },
	{ "extents among bytes", LARGE, .endings = 2, .windows = true },
	{ "extents, pools that shrink, readers that leave", SMALL, .endings = NR_ENDINGS,
	  .windows = true, .memory = true, .leave = 3, .signals = true },
	{ "capacities that change, links that are paused", SMALL, .endings = 2, .change = true },
	{ "the same, not waiting but polling", LARGE, .endings = 2, .change = true,
	  .nonblock = true, .memory = true },
	{ "pages by reference among bytes", SMALL, .endings = 2, .pages = true },
	{ "pages by reference, pools that shrink, readers that leave", LARGE,
	  .endings = NR_ENDINGS, .pages = true, .memory = true, .leave = 4, .nonblock = true },
	{ "pages by reference, extents", LARGE, .endings = 2, .pages = true, .windows = true },
	{ "pages by reference, capacities that change", SMALL, .endings = 2, .pages = true,
	  .change = true },
	{ "records", SMALL, .endings = 2, .records = true },
	{ "records, not waiting but polling", SMALL, .endings = 2, .records = true,
	  .nonblock = true },
	{ "records, extents, readers that leave, calls that are interrupted", LARGE,
	  .endings = NR_ENDINGS, .records = true, .windows = true, .leave = 3, .signals = true },
	{ "records, pools that shrink, memory that cannot be touched", SMALL, .endings = 2,
	  .records = true, .memory = true, .faults = true },
	{ "the same, not waiting but polling", SMALL, .endings = 2, .records = true,
	  .memory = true, .nonblock = true },
	{ "records, capacities that change, links that are paused", SMALL, .endings = 2,
	  .records = true, .change = true, .leave = 4 },
	{ "a link that goes in the middle", SMALL, .endings = NR_ENDINGS, .unlink = true,
	  .leave = 4, .windows = true },
};

static const struct plan many = { "", SMALL, .signals = false };
static const struct plan many_polling = { "", SMALL, .nonblock = true };

static u64 round_pair(const struct plan *plan, u64 seed)
{
	static thread_fn *const work[] = { producer, consumer };

	return run_round(plan, seed, work, 2);
}

static u64 round_records(u64 seed)
{
	static thread_fn *const work[] = { record_writer, record_writer, record_writer,
					   record_reader };

	return run_round(one_in(2) ? &many : &many_polling, seed, work, 4);
}

static const struct plan whole = { "", SMALL, .records = true };
static const struct plan whole_polling = { "", SMALL, .records = true, .nonblock = true };

static u64 round_whole(u64 seed)
{
	static thread_fn *const work[] = { record_writer, record_writer, record_writer,
					   record_taker, record_taker };
	u64 moved;
	size_t i;

	memset(seen, 0, sizeof(seen));
	moved = run_round(one_in(2) ? &whole : &whole_polling, seed, work, 5);
	for (i = 0; i < RECORD_WRITERS * 600; i++)
		BUG_ON(seen[i] != 1);
	return moved;
}

static u64 round_words(u64 seed)
{
	static thread_fn *const work[] = { word_writer, word_reader, word_reader, word_reader };
	u64 moved;
	size_t i;

	memset(seen, 0, sizeof(seen));
	moved = run_round(&many, seed, work, 4);
	for (i = 0; i < WORDS; i++)
		BUG_ON(seen[i] != 1);
	return moved;
}

/* Rounds that have no plan. */
static const struct {
	const char *name;
	u64 (*one)(u64 seed);
} rounds[] = {
	{ "extents by a lane", lanes_round },
	{ "extents by a lane, not waiting but polling", lanes_polled_round },
	{ "extents by a lane, calls between, links that are paused", lanes_operated_round },
	{ "extents by a lane, into which one side writes garbage", lanes_garbage_round },
	{ "records that are dealt", deals_round },
	{ "records that are dealt, live operations", deals_operated_round },
	{ "records that are dealt, one who polls beside one who writes", deals_polled_round },
	{ "several links of one input, merged", merged_round },
	{ "several readers of one input, merged", crowd_round },
	{ "several links of one input", turns_round },
	{ "several links of one input, live operations", turns_operated_round },
	{ "several writers and readers of records", round_whole },
	{ "several writers, whole records", round_records },
	{ "several readers, each byte once", round_words },
};

/* Those of plans, then the others. */
static const char *result_name(unsigned int which)
{
	return which < ARRAY_SIZE(plans) ? plans[which].name :
					   rounds[which - ARRAY_SIZE(plans)].name;
}

static void result(unsigned int number, unsigned int which, double seconds, u64 seed)
{
	const struct plan *plan = which < ARRAY_SIZE(plans) ? &plans[which] : NULL;
	const char *name = result_name(which);
	u64 end = ktime_get_ns() + seconds * NSEC_PER_SEC, moved = 0;
	unsigned int nr = 0;

	/* What does not come to an end at all. */
	alarm(60 + 10 * seconds);
	do {
		printf("# %s: seed %llu\n", name, seed);
		moved += plan ? round_pair(plan, seed) :
				rounds[which - ARRAY_SIZE(plans)].one(seed);
		seed++;
		nr++;
	} while (ktime_get_ns() < end);
	alarm(0);
	printf("ok %u %s: %u rounds, %llu bytes\n", number, name, nr, moved);
}

int main(int argc, char **argv)
{
	unsigned int i, nr = 0, number = 0;
	double seconds = 20;
	const char *only = "";
	u64 seed = 1;
	int c;

	while ((c = getopt(argc, argv, "t:s:w:o:")) != -1) {
		if (c == 't') {
			seconds = atof(optarg);
		} else if (c == 's') {
			seed = strtoull(optarg, NULL, 0);
#ifdef SHIM_WEAKEN
		} else if (c == 'w') {
			weak = optarg;
#endif
		} else if (c == 'o') {
			only = optarg;
		} else {
			fputs("Usage: stress [-t SECONDS] [-s SEED] [-o NAME]\n", stderr);
			return 1;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < ARRAY_SIZE(plans) + ARRAY_SIZE(rounds); i++)
		nr += !strncmp(result_name(i), only, strlen(only));
	printf("TAP version 13\n1..%u\n", nr);
	pattern_make();
	work_hurry = 100;
	world_begin();
	for (i = 0; i < ARRAY_SIZE(plans) + ARRAY_SIZE(rounds); i++)
		if (!strncmp(result_name(i), only, strlen(only)))
			result(++number, i, seconds / nr, seed);
	world_end();
	return 0;
}
