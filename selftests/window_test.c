// SPDX-License-Identifier: GPL-2.0
/* Windows: extents that are handed off, and all other ways in and out. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "window_fixture.h"

/* What touching memory gives whose extent another has: it is seen on a trusted link. */
#define LOST(seen)	(variant->trusted ? (seen) : -SIGBUS)

TEST_F(window, tells_its_size)
{
	struct faasin_window_info out = window_info(self->w);

	EXPECT_EQ(variant->capacity - PAGE, self->info.size);
	EXPECT_EQ(self->info.size, out.size);
	EXPECT_EQ(0, out.landing);
	EXPECT_LE(PAGE, self->info.landing);
	EXPECT_EQ(self->info.granule, out.granule);
	EXPECT_EQ(0, out.granule % PAGE);
	EXPECT_EQ(variant->trusted ? FAASIN_WINDOW_TRUSTED : 0, self->info.flags);
	EXPECT_EQ(0, self->info.reserved);
}

TEST_F(window, hands_off)
{
	long at = FILLED(10000, 1, 0);

	ASSERT_LE(0, at);
	EXPECT_EQ(-EAGAIN, window_take(self->r, &(struct faasin_range){ 0 }));
	EXPECT_EQ(0, window_send(self->w, at, 10000));
	EXPECT_EQ(10000, unread(self->r));
	EXPECT_RECORD(10000, 1, 0);
	EXPECT_EQ(0, unread(self->r));
	EXPECT_EQ(-EAGAIN, window_take(self->r, &(struct faasin_range){ 0 }));
}

TEST_F(window, new_memory_is_zero)
{
	long at = window_alloc(self->w, self->info.size);

	ASSERT_EQ(0, at);
	for (size_t i = 0; i < self->info.size; i++)
		if (self->out[i])
			at++;
	EXPECT_EQ(0, at);
}

TEST_F(window, all_of_it_at_once)
{
	long at;

	for (int i = 0; i < 3; i++) {
		at = FILLED(self->info.size, i, 7);
		ASSERT_LE(0, at);
		ASSERT_EQ(0, window_send(self->w, at, self->info.size));
		EXPECT_RECORD(self->info.size, i, 7);
	}
	EXPECT_EQ(-EMSGSIZE, window_alloc(self->w, self->info.size + 1));
	EXPECT_EQ(-EMSGSIZE, window_alloc(self->w, UINT64_MAX));
}

TEST_F(window, is_used_again_and_again)
{
	uint64_t seed = 1, sent = 0;
	size_t length;
	long at;

	for (int i = 0; i < 150; i++) {
		length = 1 + random_next(&seed) % (i % 10 ? 20000 : self->info.size);
		at = FILLED(length, 3, sent);
		ASSERT_LE(0, at);
		ASSERT_EQ(0, window_send(self->w, at, length));
		EXPECT_RECORD(length, 3, sent);
		sent += length;
	}
	EXPECT_EQ(sent, flow_stats(&self->flow).bytes_out);
	EXPECT_EQ(sent, flow_stats(&self->flow).bytes_in);
	/* What comes back is what goes out next. */
	EXPECT_LE(flow_stats(&self->flow).pool_bytes, variant->capacity);
}

TEST_F(window, many_extents_at_once)
{
	long at[60];
	int n = self->info.size / self->info.granule < 60 ? 8 : 60;

	/* Out of order, so that the window has holes. */
	for (int i = 0; i < n; i++) {
		at[i] = FILLED(1 + i * 7 % PAGE, i, i);
		ASSERT_LE(0, at[i]);
	}
	for (int i = 0; i < n; i += 2)
		ASSERT_EQ(0, window_return(self->w, at[i]));
	for (int i = 1; i < n; i += 2)
		ASSERT_EQ(0, window_send(self->w, at[i], 1 + i * 7 % PAGE));
	for (int i = 1; i < n; i += 2)
		EXPECT_RECORD(1 + i * 7 % PAGE, i, i);
}

TEST_F(window, can_be_read)
{
	struct heard heard;
	long at = FILLED(40000, 1, 0);

	ASSERT_LE(0, at);
	ASSERT_EQ(0, window_send(self->w, at, 30000));
	close(self->w);
	self->w = -1;
	munmap(self->out, self->info.size);
	heard = pattern_read(self->r, 777, 1);
	EXPECT_EQ(30000, heard.bytes);
	EXPECT_TRUE(heard.intact);
	EXPECT_EQ(0, heard.end);
}

TEST_F(window, all_that_was_read_comes_back)
{
	long at;

	for (int i = 0; i < 5; i++) {
		at = FILLED(self->info.size, i, 0);
		ASSERT_LE(0, at);
		ASSERT_EQ(0, window_send(self->w, at, self->info.size));
		ASSERT_EQ((long)self->info.size, read_full(self->r, self->buf, self->info.size));
		EXPECT_TRUE(pattern_is(self->buf, self->info.size, i, 0));
	}
}

TEST_F(window, can_be_spliced)
{
	int pipe[2];
	long at = FILLED(20000, 1, 0), n, done = 0;

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	ASSERT_EQ(0, window_send(self->w, at, 20000));
	while (done < 20000) {
		n = sys(splice(self->r, NULL, pipe[1], NULL, 20000 - done, 0));
		ASSERT_LT(0, n);
		done += n;
	}
	ASSERT_EQ(20000, read_full(pipe[0], self->buf, 20000));
	EXPECT_TRUE(pattern_is(self->buf, 20000, 1, 0));
	/* What is in the pipe is the pipe's. */
	at = FILLED(20000, 2, 0);
	ASSERT_EQ(0, window_send(self->w, at, 20000));
	ASSERT_LT(0, sys(splice(self->r, NULL, pipe[1], NULL, PAGE, 0)));
	at = FILLED(20000, 3, 0);
	ASSERT_EQ(PAGE, read_full(pipe[0], self->buf, PAGE));
	EXPECT_TRUE(pattern_is(self->buf, PAGE, 2, 0));
}

TEST_F(window, what_was_written_can_be_taken)
{
	struct faasin_range range;
	uint64_t at = 0;

	ASSERT_EQ(0, pattern_write(self->w, 50000, 7000, 1, 0));
	while (at < 50000) {
		ASSERT_EQ(1, window_take(self->r, &range));
		EXPECT_LE(self->info.size, range.offset);
		EXPECT_GE(self->info.landing, range.length);
		EXPECT_TRUE(pattern_is(self->in + range.offset, range.length, 1, at));
		at += range.length;
		if (at < 50000)
			EXPECT_EQ(-EBUSY, window_take(self->r, &range));
		/* By any offset within. */
		EXPECT_EQ(-EACCES, window_return(self->r, self->info.size + self->info.landing));
		EXPECT_EQ(0, window_return(self->r, range.offset + at % self->info.landing));
		EXPECT_EQ(-EACCES, window_return(self->r, range.offset));
	}
	EXPECT_EQ(50000, at);
	EXPECT_EQ(-EAGAIN, window_take(self->r, &range));
}

TEST_F(window, ways_in_keep_their_order)
{
	uint64_t sent = 0;
	long at;

	for (int i = 0; i < 4; i++) {
		at = FILLED(5000, 1, sent);
		ASSERT_LE(0, at);
		ASSERT_EQ(0, window_send(self->w, at, 5000));
		sent += 5000;
		ASSERT_EQ(0, pattern_write(self->w, 999, 999, 1, sent));
		sent += 999;
	}
	ASSERT_EQ((long)sent, read_full(self->r, self->buf, sent));
	EXPECT_TRUE(pattern_is(self->buf, sent, 1, 0));
	EXPECT_EQ(0, unread(self->r));
}

TEST_F(window, ways_out_can_change_at_any_byte)
{
	struct faasin_range range;
	long at = FILLED(9000, 1, 0);

	ASSERT_EQ(0, window_send(self->w, at, 9000));
	ASSERT_EQ(0, pattern_write(self->w, 100, 100, 1, 9000));
	at = FILLED(3000, 1, 9100);
	ASSERT_EQ(0, window_send(self->w, at, 3000));
	EXPECT_EQ(4500, sys(read(self->r, self->buf, 4500)));
	EXPECT_TRUE(pattern_is(self->buf, 4500, 1, 0));
	EXPECT_RECORD(4500, 1, 4500);
	EXPECT_EQ(10, sys(read(self->r, self->buf, 10)));
	EXPECT_TRUE(pattern_is(self->buf, 10, 1, 9000));
	EXPECT_RECORD(90, 1, 9010);
	EXPECT_EQ(1, sys(read(self->r, self->buf, 1)));
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(2999, range.length);
	EXPECT_EQ(1, range.offset % PAGE);
	EXPECT_TRUE(pattern_is(self->in + range.offset, 2999, 1, 9101));
	EXPECT_EQ(0, window_return(self->r, range.offset));
}

TEST_F(window, tells_what_moved_from_what_was_copied)
{
	struct faasin_range range;
	struct faasctl_stats stats;
	long at;

	/* Sent and read, sent and taken, written and read, written and taken. */
	at = FILLED(1000, 1, 0);
	ASSERT_EQ(0, window_send(self->w, at, 1000));
	EXPECT_EQ(1000, read_full(self->r, self->buf, 1000));
	at = FILLED(200, 1, 0);
	ASSERT_EQ(0, window_send(self->w, at, 200));
	EXPECT_EQ(50, read_full(self->r, self->buf, 50));
	EXPECT_RECORD(150, 1, 50);
	ASSERT_EQ(0, pattern_write(self->w, 30, 30, 1, 0));
	EXPECT_EQ(30, read_full(self->r, self->buf, 30));
	ASSERT_EQ(0, pattern_write(self->w, 4, 4, 1, 0));
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(4, range.length);
	stats = flow_stats(&self->flow);
	EXPECT_EQ(1200, stats.bytes_in_moved);
	EXPECT_EQ(34, stats.bytes_in_copied);
	EXPECT_EQ(150, stats.bytes_out_moved);
	EXPECT_EQ(1084, stats.bytes_out_copied);

	/* What is dropped, and what is swallowed, went out in neither way. */
	at = FILLED(5, 1, 0);
	ASSERT_EQ(0, window_send(self->w, at, 5));
	munmap((void *)self->in, self->info.size + self->info.landing);
	close(self->r);
	self->r = -1;
	stats = flow_stats(&self->flow);
	EXPECT_EQ(5, stats.bytes_dropped);
	EXPECT_EQ(1205, stats.bytes_in_moved);
	EXPECT_EQ(1234, stats.bytes_out_moved + stats.bytes_out_copied);
}

TEST_F(window, a_record_has_several_ranges)
{
	struct faasin_range sent[5], got[FAASIN_RANGES_MAX];

	for (int i = 0; i < 5; i++) {
		sent[i].length = 100 + i * 1000;
		sent[i].offset = FILLED(sent[i].length, i, 0);
	}
	EXPECT_EQ(0, window_call(self->w, FAASIN_IOC_SEND, sent, 5));
	/* Never cut: it stays where it is. */
	EXPECT_EQ(-EMSGSIZE, window_call(self->r, FAASIN_IOC_TAKE, got, 4));
	EXPECT_EQ(10500, unread(self->r));
	ASSERT_EQ(5, window_call(self->r, FAASIN_IOC_TAKE, got, FAASIN_RANGES_MAX));
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(sent[i].length, got[i].length);
		EXPECT_TRUE(pattern_is(self->in + got[i].offset, got[i].length, i, 0));
	}
	EXPECT_EQ(0, window_call(self->r, FAASIN_IOC_RETURN, got, 5));
	EXPECT_EQ(-EACCES, window_call(self->r, FAASIN_IOC_RETURN, got, 5));
}

TEST_F(window, records_do_not_mix)
{
	struct faasin_range sent[2], got[4];

	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 2; j++) {
			sent[j].length = 10 + i;
			sent[j].offset = FILLED(10 + i, i, j);
		}
		ASSERT_EQ(0, window_call(self->w, FAASIN_IOC_SEND, sent, 2));
	}
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(2, window_call(self->r, FAASIN_IOC_TAKE, got, 4));
		EXPECT_EQ(10 + i, got[0].length);
		EXPECT_EQ(10 + i, got[1].length);
		EXPECT_EQ(0, window_call(self->r, FAASIN_IOC_RETURN, got, 2));
	}
}

TEST_F(window, whoever_lost_it_cannot_touch_it)
{
	struct faasin_range range;
	long at = FILLED(PAGE, 1, 0);

	EXPECT_EQ(LOST(pattern(1, 0)), window_peek(self->in + at));
	ASSERT_EQ(0, window_send(self->w, at, PAGE));
	EXPECT_EQ(LOST(pattern(1, 0)), window_peek(self->out + at));
	EXPECT_EQ(LOST(0), window_poke(self->out + at + 1, 1));
	EXPECT_EQ(LOST(pattern(1, 0)), window_peek(self->in + at));
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(LOST(0), window_poke(self->out + at + 1, 2));
	EXPECT_EQ(pattern(1, 0), window_peek(self->in + at));
	EXPECT_EQ(variant->trusted ? 2 : pattern(1, 1), window_peek(self->in + at + 1));
	ASSERT_EQ(0, window_return(self->r, range.offset));
	EXPECT_EQ(LOST(pattern(1, 0)), window_peek(self->in + at));
	EXPECT_EQ(LOST(pattern(1, 0)), window_peek(self->out + at));
	EXPECT_EQ(at, window_alloc(self->w, PAGE));
	EXPECT_EQ(0, window_poke(self->out + at, 1));
	EXPECT_EQ(LOST(1), window_peek(self->in + at));
}

TEST_F(window, another_open_file_has_no_part_in_it)
{
	int w = flow_writer(&self->flow, O_RDWR), r = flow_reader(&self->flow, O_NONBLOCK);
	uint8_t *out = window_map(w, PROT_READ | PROT_WRITE);
	const uint8_t *in = window_map(r, PROT_READ);
	struct faasin_range range;
	long at = FILLED(100, 1, 0);

	EXPECT_EQ(LOST(pattern(1, 0)), window_peek(out + at));
	EXPECT_EQ(-EACCES, window_send(w, at, 100));
	EXPECT_EQ(-EACCES, window_return(w, at));
	ASSERT_EQ(0, window_send(self->w, at, 100));
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(LOST(pattern(1, 0)), window_peek(in + at));
	EXPECT_EQ(-EACCES, window_return(r, at));
	/* But it takes part in the stream. */
	at = window_alloc(w, 100);
	pattern_fill(out + at, 100, 5, 0);
	EXPECT_EQ(0, window_send(w, at, 100));
	EXPECT_EQ(0, window_return(self->r, range.offset));
	EXPECT_RECORD(100, 5, 0);
	munmap(out, self->info.size);
	munmap((void *)in, self->info.size + self->info.landing);
	close(w);
	close(r);
}

TEST_F(window, parts_can_be_mapped)
{
	long at = window_alloc(self->w, 3 * PAGE);
	uint8_t *part;

	ASSERT_LE(0, at);
	part = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->w, at + PAGE);
	ASSERT_NE(MAP_FAILED, (void *)part);
	EXPECT_EQ(0, window_poke(part, 7));
	EXPECT_EQ(7, window_peek(self->out + at + PAGE));
	ASSERT_EQ(0, munmap(self->out + at, PAGE));
	EXPECT_EQ(7, window_peek(self->out + at + PAGE));
	ASSERT_EQ(0, sys(mprotect(self->out + at + PAGE, PAGE, PROT_NONE)));
	EXPECT_EQ(-SIGSEGV, window_peek(self->out + at + PAGE));
	ASSERT_EQ(0, sys(mprotect(self->out + at + PAGE, PAGE, PROT_READ)));
	EXPECT_EQ(7, window_peek(self->out + at + PAGE));
	EXPECT_EQ(-SIGSEGV, window_poke(self->out + at + PAGE, 8));
	ASSERT_EQ(0, sys(mprotect(self->out + at + PAGE, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(0, window_poke(self->out + at + PAGE, 8));
	EXPECT_EQ(8, window_peek(part));
	EXPECT_EQ(0, window_send(self->w, at, 3 * PAGE));
	EXPECT_EQ(LOST(0), window_poke(part, 9));
	EXPECT_EQ(LOST(0), window_poke(self->out + at + PAGE, 9));
	munmap(part, PAGE);
}

/* Page table entries are what a hand-off costs: not one fault for each. */
TEST_F(window, few_faults_show_all_of_it)
{
	const uint8_t *const sides[] = { self->out, self->in };
	struct rusage before, after;
	struct faasin_range range;

	ASSERT_EQ(0, window_alloc(self->w, self->info.size));
	for (int side = 0; side < 2; side++) {
		getrusage(RUSAGE_THREAD, &before);
		for (size_t at = 0; at < self->info.size; at += PAGE)
			*(volatile const uint8_t *)(sides[side] + at);
		getrusage(RUSAGE_THREAD, &after);
		/* One for each page table, and some that are not ours. */
		EXPECT_GE(16, after.ru_minflt - before.ru_minflt);
		if (!side) {
			ASSERT_EQ(0, window_send(self->w, 0, self->info.size));
			ASSERT_EQ(1, window_take(self->r, &range));
		}
	}
}

/* KiB of page tables that this process has; -1: it is not told. */
static long page_tables(void)
{
	long kib = -1;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPTE: %ld kB", &kib);
	if (f)
		fclose(f);
	return kib;
}

/*
 * What page tables it takes to show a window: maps it anew, and touches each 2 MiB of it, so that
 * a fault that shows a part of that has to have a table for it.
 */
static long tables_to_show(int fd, int prot, size_t size, bool larger_entries)
{
	long before = page_tables(), after = -1;
	uint8_t *at = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED || (!larger_entries && madvise(at, size, MADV_NOHUGEPAGE)))
		return -errno;
	for (size_t i = 0; i < size; i += 2 * MIB)
		if (window_peek(at + i) < 0)
			return -EFAULT;
	after = page_tables();
	munmap(at, size);
	return before < 0 || after < 0 ? -ENODATA : after - before;
}

/*
 * Whether nobody can pin what a larger entry shows here, so that there may be such: fast GUP did
 * before 6.12.
 */
static bool has_larger_entries(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	return (major > 6 || (major == 6 && minor >= 12)) &&
	       !access("/sys/kernel/mm/transparent_hugepage", F_OK);
}

/*
 * How many pieces of 2 MiB are free. Dropping caches would make more, of which an emulator knows that they
 * were code: it looks through all that it translated of a page at each store to it, for minutes.
 */
static long free_pieces(void)
{
	FILE *f = fopen("/proc/buddyinfo", "re");
	long sum = 0, n;
	int order;

	/* A line is a zone: its name, then how many pieces there are of a page, of two, of four ... */
	while (f && fscanf(f, " Node %*d, zone %*s") == 0 && !feof(f))
		for (order = 0; fscanf(f, "%ld", &n) == 1; order++)
			if (order >= 9)
				sum += n << (order - 9);
	if (f)
		fclose(f);
	return sum;
}

FIXTURE(entries)
{
	struct flow flow;
	int w, r;
};

FIXTURE_VARIANT(entries)
{
	bool trusted;
};

FIXTURE_VARIANT_ADD(entries, sealed) { .trusted = false };
FIXTURE_VARIANT_ADD(entries, trusted) { .trusted = true };

FIXTURE_SETUP(entries)
{
	struct flow_options options = { .capacity = 32 * MIB, .trusted = variant->trusted };

	ENDS_SETUP(self, &options, O_RDWR, O_NONBLOCK);
}

FIXTURE_TEARDOWN(entries)
{
	ENDS_TEARDOWN(self);
}

/* A larger entry needs no table below it: 4 KiB less for each 2 MiB. */
TEST_F(entries, are_larger_where_they_cannot_be_pinned)
{
	size_t size = window_info(self->w).size, whole = size / (2 * MIB);
	long small, large;

	/* The memory of a window is in larger pieces where the machine has such. */
	if (free_pieces() < (long)whole)
		SKIP(return, "memory that is free is in pieces smaller than 2 MiB");
	ASSERT_EQ(0, window_alloc(self->w, size));
	for (int side = 0; side < 2; side++) {
		int fd = side ? self->r : self->w, prot = side ? PROT_READ : PROT_READ | PROT_WRITE;

		small = tables_to_show(fd, prot, size, false);
		large = tables_to_show(fd, prot, size, true);
		/* Without any, a table for each. */
		EXPECT_LE(4 * (long)whole, small);
		EXPECT_LE(0, large);
		if (has_larger_entries()) {
			EXPECT_GE(small / 2, large)
				TH_LOG("side %d: %ld KiB of page tables, %ld by small entries", side,
				       large, small);
		} else {
			EXPECT_LE(4 * (long)whole, large)
				TH_LOG("side %d: %ld KiB of page tables", side, large);
		}
		if (!side) {
			ASSERT_EQ(0, window_send(self->w, 0, size));
			ASSERT_EQ(1, window_take(self->r, &(struct faasin_range){ 0 }));
		}
	}
}

/* Both sides at once, each as fast as it can. */
static void *produce(void *arg)
{
	FIXTURE_DATA(window) *self = arg;
	uint64_t seed = 9, sent = 0;
	size_t length;
	long at;

	for (int i = 0; i < 600; i++) {
		length = 1 + random_next(&seed) % 30000;
		if (i % 3 == 2) {
			if (pattern_write(self->w, length, length, 1, sent))
				break;
		} else {
			at = window_alloc(self->w, length);
			if (at < 0)
				break;
			pattern_fill(self->out + at, length, 1, sent);
			if (window_send(self->w, at, length))
				break;
		}
		sent += length;
	}
	ioctl(self->w, FAASIN_IOC_END);
	return (void *)sent;
}

TEST_F_TIMEOUT(window, both_sides_at_once, 120)
{
	struct faasin_range range;
	uint64_t got = 0, seed = 5;
	pthread_t thread;
	void *sent;
	long n;

	ASSERT_EQ(0, fcntl(self->r, F_SETFL, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, produce, self));
	for (;;) {
		if (random_next(&seed) % 4) {
			n = window_take(self->r, &range);
			ASSERT_LE(0, n);
			if (!n)
				break;
			ASSERT_TRUE(pattern_is(self->in + range.offset, range.length, 1, got));
			got += range.length;
			ASSERT_EQ(0, window_return(self->r, range.offset));
		} else {
			n = sys(read(self->r, self->buf, 5000));
			ASSERT_LE(0, n);
			if (!n)
				break;
			ASSERT_TRUE(pattern_is(self->buf, n, 1, got));
			got += n;
		}
	}
	ASSERT_EQ(0, pthread_join(thread, &sent));
	EXPECT_EQ((uint64_t)sent, got);
	EXPECT_LT(600 * 10000, got);
}

TEST_HARNESS_MAIN
