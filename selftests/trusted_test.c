// SPDX-License-Identifier: GPL-2.0
/*
 * Trusted links: windows stay mapped. What windows do on any link, window_test and
 * window_room_test try on trusted ones, too.
 */
#include "actor.h"
#include "window.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "harness.h"
#include "nl.h"

FIXTURE(trusted)
{
	struct flow flow;
	int w, r;
	uint8_t *out;
	const uint8_t *in;
	struct faasin_window_info info;
};

/* Chunks of several pages, and of those that larger entries show. */
FIXTURE_VARIANT(trusted)
{
	uint64_t capacity;
	uint64_t length;
};

FIXTURE_VARIANT_ADD(trusted, usual) { .capacity = MIB, .length = 5 * PAGE };
FIXTURE_VARIANT_ADD(trusted, large) { .capacity = 16 * MIB, .length = 4 * MIB };

FIXTURE_SETUP(trusted)
{
	struct flow_options options = { .capacity = variant->capacity, .trusted = true };

	WINDOWS_SETUP(self, &options);
}

FIXTURE_TEARDOWN(trusted)
{
	WINDOWS_TEARDOWN(self);
}

static void close_both(FIXTURE_DATA(trusted) *self)
{
	WINDOWS_UNMAP(self);
	close(self->w);
	close(self->r);
}

static void open_both(struct __test_metadata *_metadata, FIXTURE_DATA(trusted) *self)
{
	self->w = flow_writer(&self->flow, O_RDWR);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	WINDOWS_MAP(self);
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

/* One extent there and back, touched on both sides; its offset. */
static long pass(struct __test_metadata *_metadata, FIXTURE_DATA(trusted) *self, size_t length,
		 unsigned int tag)
{
	struct faasin_range range = { 0 };
	long at = window_alloc(self->w, length);

	ASSERT_LE(0, at);
	pattern_fill(self->out + at, length, tag, 0);
	ASSERT_EQ(0, window_send(self->w, at, length));
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(length, range.length);
	EXPECT_TRUE(pattern_is(self->in + range.offset, length, tag, 0));
	ASSERT_EQ(0, window_return(self->r, range.offset));
	return at;
}

/* The goal of it all: after everything was touched once, no entry is made or taken away. */
TEST_F(trusted, no_fault_after_the_first_touch)
{
	long at, before;

	at = pass(_metadata, self, variant->length, 1);
	before = faults();
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(at, pass(_metadata, self, variant->length, i));
	EXPECT_EQ(before, faults());
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_in_copied);
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_out_copied);
	EXPECT_EQ(51 * variant->length, flow_stats(&self->flow).bytes_out_moved);
}

TEST_F(trusted, a_sealed_link_faults)
{
	FIXTURE_DATA(trusted) sealed = { .flow = self->flow };
	long before;

	ASSERT_EQ(0, flow_unlink(&self->flow));
	sealed.flow.options.trusted = false;
	ASSERT_EQ(0, flow_link(&sealed.flow));
	sealed.w = flow_writer(&sealed.flow, O_RDWR);
	sealed.r = flow_reader(&sealed.flow, O_NONBLOCK);
	sealed.info = window_info(sealed.r);
	EXPECT_EQ(0, sealed.info.flags);
	sealed.out = window_map(sealed.w, PROT_READ | PROT_WRITE);
	sealed.in = window_map(sealed.r, PROT_READ);
	pass(_metadata, &sealed, variant->length, 1);
	before = faults();
	pass(_metadata, &sealed, variant->length, 2);
	EXPECT_LT(before, faults());
	munmap(sealed.out, sealed.info.size);
	munmap((void *)sealed.in, sealed.info.size + sealed.info.landing);
	close(sealed.w);
	close(sealed.r);
}

TEST_F(trusted, memory_is_zero_before_anybody_sees_it)
{
	uint64_t other = 0;
	long at = window_alloc(self->w, self->info.size);

	ASSERT_EQ(0, at);
	for (size_t i = 0; i < self->info.size; i++)
		other += self->out[i] || self->in[i];
	EXPECT_EQ(0, other);
}

/* What is written does not lie in memory that windows show. */
TEST_F(trusted, what_was_written_is_not_seen)
{
	struct faasin_range range;
	long at = window_alloc(self->w, self->info.size / 2);
	uint64_t other = 0;

	ASSERT_LE(0, at);
	EXPECT_EQ(0, pattern_write(self->w, variant->capacity / 4, 10000, 1, 0));
	for (size_t i = 0; i < self->info.size / 2; i++)
		other += self->out[at + i];
	EXPECT_EQ(0, other);
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_TRUE(pattern_is(self->in + range.offset, range.length, 1, 0));
}

TEST_F(trusted, nothing_is_seen_where_nothing_was_allocated)
{
	EXPECT_EQ(-SIGBUS, window_peek(self->out));
	EXPECT_EQ(-SIGBUS, window_poke(self->out + self->info.size - 1, 1));
	EXPECT_EQ(-SIGBUS, window_peek(self->in));
	EXPECT_EQ(-SIGBUS, window_peek(self->in + self->info.size));
}

TEST_F(trusted, consumers_do_not_write)
{
	long at = window_alloc(self->w, PAGE);

	ASSERT_LE(0, at);
	EXPECT_EQ(-EACCES, window_try_map(self->r, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, sys(mprotect((void *)self->in, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(-EACCES, sys(mprotect(self->out, PAGE, PROT_READ | PROT_EXEC)));
	EXPECT_EQ(-SIGSEGV, window_poke((uint8_t *)self->in + at, 1));
}

/* The stages trust each other; nobody else sees anything of it. */
TEST_F(trusted, pages_are_neither_pinned_nor_moved_on)
{
	int pipe_fds[2];
	struct iovec part;
	uint8_t buf[PAGE];
	long at = window_alloc(self->w, PAGE);

	ASSERT_LE(0, at);
	pattern_fill(self->out + at, PAGE, 1, 0);
	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	part = (struct iovec){ self->out + at, PAGE };
	EXPECT_EQ(-EFAULT, sys(vmsplice(pipe_fds[1], &part, 1, 0)));
	part.iov_base = (uint8_t *)self->in + at;
	EXPECT_EQ(-EFAULT, sys(vmsplice(pipe_fds[1], &part, 1, SPLICE_F_GIFT)));
	ASSERT_EQ(0, window_send(self->w, at, PAGE));
	ASSERT_EQ(PAGE, sys(splice(self->r, NULL, pipe_fds[1], NULL, PAGE, 0)));
	/* What is in the pipe is the pipe's, though the producer goes on to write there. */
	EXPECT_EQ(0, window_poke(self->out + at, pattern(1, 0) + 1));
	ASSERT_EQ(PAGE, read_full(pipe_fds[0], buf, PAGE));
	EXPECT_TRUE(pattern_is(buf, PAGE, 1, 0));
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_out_moved);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* Each byte is what it was at some moment; that is all. */
struct scribbler {
	volatile uint8_t *at;
	size_t size;
	int stop;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint8_t with = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		with++;
		for (size_t i = 0; i < s->size; i += 64)
			s->at[i] = with;
	}
	return NULL;
}

TEST_F_TIMEOUT(trusted, written_to_while_it_is_read_taken_and_spliced, 60)
{
	size_t size = 4 * PAGE, n;
	struct scribbler scribbler;
	struct faasin_range range;
	uint8_t buf[4 * PAGE];
	pthread_t thread;
	int pipe_fds[2];
	long at;

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	at = window_alloc(self->w, size);
	ASSERT_LE(0, at);
	scribbler = (struct scribbler){ self->out + at, size, 0 };
	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, &scribbler));
	for (int i = 0; i < 300; i++) {
		ASSERT_EQ(0, window_send(self->w, at, size));
		switch (i % 3) {
		case 0:
			ASSERT_EQ((long)size, read_full(self->r, buf, size));
			break;
		case 1:
			ASSERT_EQ(1, window_take(self->r, &range));
			ASSERT_EQ(0, window_return(self->r, range.offset));
			break;
		case 2:
			for (n = 0; n < size; n += PAGE)
				ASSERT_EQ(PAGE, sys(splice(self->r, NULL, pipe_fds[1], NULL, PAGE, 0)));
			ASSERT_EQ((long)size, read_full(pipe_fds[0], buf, size));
			break;
		}
		ASSERT_EQ(at, window_alloc(self->w, size));
	}
	__atomic_store_n(&scribbler.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(300 * size, flow_stats(&self->flow).bytes_out);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* Extents have owners here, too: who may pass them on. */
TEST_F(trusted, others_extents_cannot_be_passed_on)
{
	struct faasin_range range;
	long at = window_alloc(self->w, PAGE);

	ASSERT_LE(0, at);
	EXPECT_EQ(-EACCES, window_return(self->r, at));
	ASSERT_EQ(0, window_send(self->w, at, PAGE));
	EXPECT_EQ(-EACCES, window_send(self->w, at, PAGE));
	EXPECT_EQ(-EACCES, window_return(self->w, at));
	EXPECT_EQ(-EACCES, window_return(self->r, at));
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(-EACCES, window_send(self->w, at, PAGE));
	EXPECT_EQ(0, window_return(self->r, at));
	EXPECT_EQ(-EACCES, window_return(self->r, at));
}

/* ------------------------------------------------------------------- memory */

/* Touches all pages again and again, those that there are. */
struct toucher {
	volatile uint8_t *at;
	size_t size;
	bool writes;
	int stop;
	uint64_t touched;
};

static void *touch_all(void *arg)
{
	struct toucher *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
		for (size_t i = 0; i < t->size; i += PAGE)
			if ((t->writes ? window_poke(t->at + i, 0xee) : window_peek(t->at + i)) >= 0)
				__atomic_add_fetch(&t->touched, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Both windows, by a thread each. */
struct touchers {
	struct toucher out, in;
	pthread_t threads[2];
};

static int touchers_begin(struct touchers *t, uint8_t *out, const uint8_t *in, size_t size)
{
	t->out = (struct toucher){ .at = out, .size = size, .writes = true };
	t->in = (struct toucher){ .at = (uint8_t *)in, .size = size };
	return pthread_create(&t->threads[0], NULL, touch_all, &t->out) ?:
	       pthread_create(&t->threads[1], NULL, touch_all, &t->in);
}

/* Until both have touched something. */
static void touchers_await(struct touchers *t)
{
	while (!__atomic_load_n(&t->out.touched, __ATOMIC_RELAXED) ||
	       !__atomic_load_n(&t->in.touched, __ATOMIC_RELAXED))
		usleep(100);
}

static void touchers_end(struct touchers *t)
{
	__atomic_store_n(&t->out.stop, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&t->in.stop, 1, __ATOMIC_RELAXED);
	pthread_join(t->threads[0], NULL);
	pthread_join(t->threads[1], NULL);
}

/* How many pages of a part of a window there are to be seen. */
static size_t pages_seen(const uint8_t *at, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i += PAGE)
		n += window_peek(at + i) >= 0;
	return n;
}

/* Until the idle work has given back all that it may. */
static void await_idle(struct flow *f)
{
	for (int i = 0; i < DEADLINE * 10 && flow_stats(f).pool_bytes > PAGE; i++)
		usleep(100000);
}

/* The idle work gives memory back that is mapped: it is gone from both windows. */
TEST_F_TIMEOUT(trusted, idle_memory_goes_though_it_is_mapped, 60)
{
	long at = pass(_metadata, self, variant->length, 1);

	EXPECT_EQ(pattern(1, 0), window_peek(self->out + at));
	EXPECT_EQ(pattern(1, 0), window_peek(self->in + at));
	await_idle(&self->flow);
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
	EXPECT_EQ(-SIGBUS, window_peek(self->out + at));
	EXPECT_EQ(-SIGBUS, window_peek(self->in + at));
	/* What comes anew is zero. */
	ASSERT_EQ(at, window_alloc(self->w, variant->length));
	EXPECT_EQ(0, window_peek(self->in + at));
	EXPECT_EQ(0, window_peek(self->out + at + variant->length - 1));
}

/* All of the window has memory, of which nothing is allocated. */
static void fill_all(struct __test_metadata *_metadata, FIXTURE_DATA(trusted) *self)
{
	long at = window_alloc(self->w, self->info.size);

	ASSERT_EQ(0, at);
	memset(self->out, 1, self->info.size);
	ASSERT_EQ(0, window_return(self->w, at));
}

/* The shrinker does not wait for mappings, and the idle work is told, even of a busy link. */
TEST_F_TIMEOUT(trusted, busy_links_give_back_what_the_machine_needs, 60)
{
	uint64_t most = variant->capacity / 2;

	fill_all(_metadata, self);
	ASSERT_LT(most, flow_stats(&self->flow).pool_bytes);
	for (int i = 0; i < DEADLINE * 20 && flow_stats(&self->flow).pool_bytes > most; i++) {
		ASSERT_EQ(0, drop_slabs());
		pass(_metadata, self, PAGE, i);
		usleep(50000);
	}
	EXPECT_GE(most, flow_stats(&self->flow).pool_bytes);
	EXPECT_EQ(-SIGBUS, window_peek(self->out + self->info.size - 1));
	EXPECT_EQ(-SIGBUS, window_peek(self->in + self->info.size - 1));
}

/* What nobody has mapped any more it takes at once. */
TEST_F(trusted, the_shrinker_takes_what_is_not_mapped)
{
	uint64_t most = variant->capacity / 2;

	fill_all(_metadata, self);
	munmap(self->out, self->info.size);
	munmap((void *)self->in, self->info.size + self->info.landing);
	/* It passes over what is locked for a moment. */
	for (int i = 0; i < 10 && flow_stats(&self->flow).pool_bytes > most; i++)
		ASSERT_EQ(0, drop_slabs());
	EXPECT_GE(most, flow_stats(&self->flow).pool_bytes);
	self->out = window_map(self->w, PROT_READ | PROT_WRITE);
	self->in = window_map(self->r, PROT_READ);
	pass(_metadata, self, variant->length, 1);
}

/* An empty channel takes its capacity, whatever is mapped. */
TEST_F(trusted, mapped_memory_makes_way_for_what_is_written)
{
	struct heard heard;
	long at = window_alloc(self->w, self->info.size);

	ASSERT_EQ(0, at);
	pattern_fill(self->out, self->info.size, 1, 0);
	ASSERT_EQ(0, window_return(self->w, at));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(0, pattern_write(self->w, variant->capacity, 64 * KIB, 2, 0));
	EXPECT_GE(variant->capacity, flow_stats(&self->flow).pool_bytes);
	munmap(self->out, self->info.size);
	close(self->w);
	heard = pattern_read(self->r, 64 * KIB, 2);
	EXPECT_EQ(variant->capacity, heard.bytes);
	EXPECT_TRUE(heard.intact);
	self->w = flow_writer(&self->flow, O_RDWR);
	self->out = window_map(self->w, PROT_READ | PROT_WRITE);
}

/*
 * Memory comes and goes, and is filled by writes in between. An entry that stays behind lets the
 * one thread write into what somebody else has, and shows it to the other.
 */
TEST_F_TIMEOUT(trusted, memory_goes_while_it_is_touched, 120)
{
	int rounds = variant->capacity > MIB ? 12 : 200;
	uint64_t seed = 3, sent = 0, got = 0;
	size_t size = MIB - PAGE;
	uint8_t *buf = malloc(MIB);
	struct touchers touchers;
	long at, n;

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, touchers_begin(&touchers, self->out, self->in, size));
	for (int i = 0; i < rounds || !touchers.out.touched || !touchers.in.touched; i++) {
		at = window_alloc(self->w, 1 + random_next(&seed) % size);
		if (at >= 0)
			EXPECT_EQ(0, window_return(self->w, at));
		/* Blocks need the memory: chunks go. */
		for (n = 1; n > 0; sent += n > 0 ? n : 0) {
			pattern_fill(buf, 64 * KIB, 1, sent);
			n = sys(write(self->w, buf, 64 * KIB));
		}
		ASSERT_EQ(-EAGAIN, n);
		for (n = 1; n > 0; got += n > 0 ? n : 0) {
			n = sys(read(self->r, buf, MIB));
			if (n > 0)
				ASSERT_TRUE(pattern_is(buf, n, 1, got));
		}
		ASSERT_EQ(-EAGAIN, n);
	}
	touchers_end(&touchers);
	free(buf);
	EXPECT_EQ(sent, got);
	EXPECT_LT(0, touchers.out.touched);
	EXPECT_LT(0, touchers.in.touched);
	await_idle(&self->flow);
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
	EXPECT_EQ(0, pages_seen(self->out, self->info.size));
	EXPECT_EQ(0, pages_seen(self->in, self->info.size));
}

/* Of all processes and open files, whoever mapped first, last, or is gone again. */
TEST_F_TIMEOUT(trusted, every_mapping_loses_what_goes, 60)
{
	int w = flow_writer(&self->flow, O_RDWR), r = flow_reader(&self->flow, O_NONBLOCK);
	uint8_t *out = window_map(w, PROT_READ | PROT_WRITE), *own[2];
	const uint8_t *last = window_map(r, PROT_READ);
	long at = window_alloc(w, variant->length);
	int mapped = bell(), gone = bell();
	size_t pages = variant->length / PAGE;
	pid_t pid;

	ASSERT_LE(0, at);
	pattern_fill(out + at, variant->length, 1, 0);
	pid = child();
	if (!pid) {
		own[0] = window_map(self->w, PROT_READ);
		own[1] = window_map(self->r, PROT_READ);
		if (pages_seen(own[0] + at, variant->length) != pages ||
		    pages_seen(own[1] + at, variant->length) != pages)
			_exit(1);
		ring(mapped);
		if (!await(gone))
			_exit(2);
		_exit(pages_seen(own[0] + at, variant->length) ||
		      pages_seen(own[1] + at, variant->length) ? 3 : 0);
	}
	EXPECT_TRUE(await(mapped));
	EXPECT_EQ(pages, pages_seen(self->out + at, variant->length));
	EXPECT_EQ(pages, pages_seen(self->in + at, variant->length));
	EXPECT_EQ(pages, pages_seen(last + at, variant->length));
	munmap((void *)last, self->info.size + self->info.landing);
	close(r);
	ASSERT_EQ(0, window_return(w, at));
	await_idle(&self->flow);
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
	ring(gone);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, pages_seen(out + at, variant->length));
	EXPECT_EQ(0, pages_seen(self->out + at, variant->length));
	EXPECT_EQ(0, pages_seen(self->in + at, variant->length));
	munmap(out, self->info.size);
	close(w);
}

/* A mapping of a link that is gone shows what that had, and nothing of the next one. */
TEST_F(trusted, the_next_link_shows_other_memory)
{
	int w, r;
	uint8_t *out;
	const uint8_t *in;
	long at = window_alloc(self->w, PAGE), next;

	ASSERT_LE(0, at);
	pattern_fill(self->out + at, PAGE, 1, 0);
	ASSERT_EQ(0, flow_unlink(&self->flow));
	ASSERT_EQ(0, flow_link(&self->flow));
	w = flow_writer(&self->flow, O_RDWR);
	r = flow_reader(&self->flow, O_NONBLOCK);
	ASSERT_LE(0, w);
	ASSERT_LE(0, r);
	out = window_map(w, PROT_READ | PROT_WRITE);
	in = window_map(r, PROT_READ);
	next = window_alloc(w, PAGE);
	ASSERT_LE(0, next);
	EXPECT_EQ(0, window_peek(out + next));
	EXPECT_EQ(0, window_peek(in + next));
	EXPECT_EQ(0, window_poke(out + next, 77));
	EXPECT_EQ(77, window_peek(in + next));
	EXPECT_EQ(pattern(1, 0), window_peek(self->out + at));
	EXPECT_EQ(pattern(1, 0), window_peek(self->in + at));
	munmap(out, self->info.size);
	munmap((void *)in, self->info.size + self->info.landing);
	close(w);
	close(r);
}

/* ------------------------------------------------------------ who has it when */

static int replace(struct flow *f, const char *stage)
{
	struct faasctl *ctl;
	int ret = faasctl_open(&ctl, NULL);

	if (ret)
		return ret;
	ret = faasctl_stage_replace(ctl, f->name, stage, 0, -1, NULL);
	faasctl_close(ctl);
	return ret;
}

TEST_F(trusted, who_was_replaced_sees_it_no_more)
{
	struct faasin_range range;
	long at = window_alloc(self->w, PAGE), kept = window_alloc(self->w, PAGE);
	const uint8_t *in;
	int r;

	ASSERT_LE(0, at);
	ASSERT_LE(0, kept);
	pattern_fill(self->out + at, PAGE, 1, 0);
	EXPECT_EQ(pattern(1, 0), window_peek(self->in + at));
	ASSERT_EQ(0, window_send(self->w, at, PAGE));
	ASSERT_EQ(0, replace(&self->flow, "a"));
	EXPECT_EQ(-SIGBUS, window_poke(self->out + at, 0));
	EXPECT_EQ(-SIGBUS, window_peek(self->out + kept));
	/* But it may give back what it had. */
	EXPECT_EQ(0, window_return(self->w, kept));
	EXPECT_EQ(pattern(1, 0), window_peek(self->in + at));
	ASSERT_EQ(0, replace(&self->flow, "b"));
	EXPECT_EQ(-SIGBUS, window_peek(self->in + at));
	r = flow_reader(&self->flow, O_NONBLOCK);
	in = window_map(r, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)in);
	ASSERT_EQ(1, window_take(r, &range));
	EXPECT_TRUE(pattern_is(in + range.offset, PAGE, 1, 0));
	munmap((void *)in, self->info.size + self->info.landing);
	close(r);
}

/* When the request is answered, nothing is left to be seen, whoever faulted meanwhile. */
TEST_F_TIMEOUT(trusted, replaced_while_both_touch, 120)
{
	size_t length = variant->length;
	struct touchers touchers;
	long at;

	for (int i = 0; i < 10; i++) {
		at = window_alloc(self->w, length);
		ASSERT_LE(0, at);
		ASSERT_EQ(0, touchers_begin(&touchers, self->out + at, self->in + at, length));
		touchers_await(&touchers);
		EXPECT_EQ(0, replace(&self->flow, "a"));
		EXPECT_EQ(0, pages_seen(self->out + at, length));
		EXPECT_EQ(length / PAGE, pages_seen(self->in + at, length));
		EXPECT_EQ(0, replace(&self->flow, "b"));
		EXPECT_EQ(0, pages_seen(self->in + at, length));
		touchers_end(&touchers);
		ASSERT_EQ(0, window_return(self->w, at));
		close_both(self);
		open_both(_metadata, self);
	}
}

/* Replaces both stages for ever, and counts; on a CPU that it has little of, to be cut off often. */
static void replace_both(struct flow *f, uint64_t *replaced)
{
	struct sched_param param = { 0 };

	alarm(0);
	sched_setscheduler(0, SCHED_IDLE, &param);
	for (;;) {
		if (replace(f, "a") || replace(f, "b"))
			_exit(1);
		__atomic_add_fetch(replaced, 1, __ATOMIC_RELAXED);
	}
}

/* Takes a CPU for some milliseconds, and again. */
static void hog(void)
{
	alarm(0);
	for (;;) {
		for (volatile int i = 0; i < 1000000; i++)
			;
		usleep(1000);
	}
}

static bool map_and_touch(struct flow *f, size_t length)
{
	int w = flow_writer(f, O_RDWR), r = flow_reader(f, O_NONBLOCK);
	uint8_t *out = window_map(w, PROT_READ | PROT_WRITE);
	const uint8_t *in = window_map(r, PROT_READ);
	uint64_t size = window_info(w).size;
	long at = window_alloc(w, length);
	bool touched = false;

	if (at >= 0 && out != MAP_FAILED && (void *)in != MAP_FAILED) {
		touched = pages_seen(out + at, length);
		touched = pages_seen(in + at, length) && touched;
	}
	if (out != MAP_FAILED)
		munmap(out, size);
	if ((void *)in != MAP_FAILED)
		munmap((void *)in, size + window_info(r).landing);
	close(w);
	close(r);
	return touched;
}

/*
 * Who unmaps has no file: the inode, and all that it needs, is there as long all the same, since who
 * closes the last one waits for that; and not for longer.
 */
TEST_F_TIMEOUT(trusted, the_last_umount_meets_unmapping, 120)
{
	uint64_t *replaced = shared(PAGE), before = 0;
	int touched = 0;
	pid_t pid, other;

	ASSERT_NE(NULL, replaced);
	close_both(self);
	pid = child();
	if (!pid) {
		stay_on(0);
		replace_both(&self->flow, replaced);
	}
	other = child();
	if (!other) {
		stay_on(0);
		hog();
	}
	for (int i = 0; i < 150; i++) {
		/* Replaced in the middle of that, it sees nothing. */
		touched += map_and_touch(&self->flow, variant->length);
		ASSERT_EQ(0, sys(umount2(MOUNT_POINT, 0)));
		ASSERT_EQ(0, sys(mount("none", MOUNT_POINT, "faasin", 0, NULL)));
		for (int j = 0; i % 10 == 9 && j < DEADLINE * 100 &&
		     __atomic_load_n(replaced, __ATOMIC_RELAXED) == before; j++)
			usleep(10000);
		if (i % 10 == 9)
			EXPECT_LT(before, *replaced);
		before = __atomic_load_n(replaced, __ATOMIC_RELAXED);
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	child_kill(other, SIGKILL);
	EXPECT_LT(0, touched);
	/* Without the streams that all these were. */
	ASSERT_EQ(0, flow_unlink(&self->flow));
	ASSERT_EQ(0, flow_link(&self->flow));
	open_both(_metadata, self);
	pass(_metadata, self, variant->length, 1);
}

TEST_F(trusted, a_producers_death_is_no_end)
{
	struct faasin_range range;
	int done = bell();
	uint8_t *out;
	pid_t pid;
	long at;
	int w;

	munmap(self->out, self->info.size);
	close(self->w);
	EXPECT_EQ(0, window_take(self->r, &range));
	close(self->r);
	pid = child();
	if (!pid) {
		w = flow_writer(&self->flow, O_RDWR);
		out = window_map(w, PROT_READ | PROT_WRITE);
		at = window_alloc(w, PAGE);
		if (at < 0 || window_poke(out + at, 7) || window_send(w, at, PAGE))
			_exit(1);
		ring(done);
		pause();
	}
	EXPECT_TRUE(await(done));
	child_kill(pid, SIGKILL);
	child_end(pid);
	self->r = flow_reader(&self->flow, O_NONBLOCK);
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(PAGE, (long)range.length);
	EXPECT_EQ(0, window_return(self->r, range.offset));
	EXPECT_EQ(-ECONNABORTED, window_take(self->r, &range));
	self->w = flow_writer(&self->flow, O_RDWR);
	self->out = window_map(self->w, PROT_READ | PROT_WRITE);
}

TEST_F(trusted, a_consumers_death_returns_all)
{
	int done = bell();
	long at = window_alloc(self->w, self->info.size);
	struct faasin_range range;
	pid_t pid;
	int r;

	ASSERT_EQ(0, at);
	ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
	pid = child();
	if (!pid) {
		close(self->w);
		close(self->r);
		r = flow_reader(&self->flow, 0);
		if (window_take(r, &range) != 1)
			_exit(1);
		ring(done);
		pause();
	}
	EXPECT_TRUE(await(done));
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, window_alloc(self->w, PAGE));
	child_kill(pid, SIGKILL);
	child_end(pid);
	EXPECT_EQ(0, window_alloc(self->w, self->info.size));
}

/* ---------------------------------------------------------------- the request */

static int link_flags(struct flow *f, uint32_t flags, unsigned int nl_flags, char *text)
{
	struct nl nl;
	int error;

	if (nl_open(&nl))
		return -1;
	error = nl_call(&nl, FAASIN_CMD_LINK_NEW, nl_flags,
			NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, f->name),
				NL_STR(FAASIN_A_LINK_SRC_STAGE, "a"),
				NL_STR(FAASIN_A_LINK_DST_STAGE, "b"),
				NL_U32(FAASIN_A_LINK_FLAGS, flags)));
	if (text)
		strcpy(text, nl.text);
	nl_shut(&nl);
	return error;
}

TEST_F(trusted, a_link_stays_what_it_is)
{
	char text[256];

	EXPECT_EQ(0, link_flags(&self->flow, FAASIN_LINK_F_TRUSTED, 0, NULL));
	EXPECT_EQ(0, flow_link(&self->flow));
	/* Who says nothing asks for a sealed one. */
	self->flow.options.trusted = false;
	EXPECT_EQ(-EEXIST, flow_link(&self->flow));
	EXPECT_EQ(EEXIST, link_flags(&self->flow, 0, 0, text));
	EXPECT_NE(NULL, strstr(text, "other options"));
	EXPECT_EQ(EINVAL, link_flags(&self->flow, 1u << 31, 0, text));
	EXPECT_NE(NULL, strstr(text, "TRUSTED"));
	ASSERT_EQ(0, flow_unlink(&self->flow));
	EXPECT_EQ(0, link_flags(&self->flow, 0, 0, NULL));
	EXPECT_EQ(EEXIST, link_flags(&self->flow, FAASIN_LINK_F_TRUSTED, 0, text));
	EXPECT_NE(NULL, strstr(text, "other options"));
}

TEST_F(trusted, another_capacity_is_refused_while_it_is_mapped)
{
	struct faasctl *ctl;

	ASSERT_EQ(0, faasctl_open(&ctl, NULL));
	EXPECT_EQ(-EBUSY, faasctl_link_resize(ctl, self->flow.name, "a", "b", 0,
						    2 * variant->capacity, NULL));
	faasctl_close(ctl);
	pass(_metadata, self, PAGE, 1);
}

TEST_HARNESS_MAIN
