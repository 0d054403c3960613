// SPDX-License-Identifier: GPL-2.0
/* Windows: calls and faults that meet in the module. */
#include "window.h"

#include <pthread.h>
#include <sys/prctl.h>

#include "harness.h"

FIXTURE(meeting)
{
	struct flow flow;
	int w, r;
	uint8_t *out;
	const uint8_t *in;
	struct faasin_window_info info;
	struct faasin_range *unwritable;	/* an argument that receives no answer */
};

/* So that one larger entry shows an extent, or many small ones do. */
FIXTURE_VARIANT(meeting)
{
	uint64_t capacity;
	uint64_t length;
	bool trusted;
};

FIXTURE_VARIANT_ADD(meeting, pages) { .capacity = MIB, .length = 3 * PAGE };
FIXTURE_VARIANT_ADD(meeting, large) { .capacity = 16 * MIB, .length = 4 * MIB };
FIXTURE_VARIANT_ADD(meeting, trusted)
{ .capacity = MIB, .length = 3 * PAGE, .trusted = true };
FIXTURE_VARIANT_ADD(meeting, trusted_large)
{ .capacity = 16 * MIB, .length = 4 * MIB, .trusted = true };

FIXTURE_SETUP(meeting)
{
	struct flow_options options = { .capacity = variant->capacity,
					.trusted = variant->trusted };

	WINDOWS_SETUP(self, &options);
	self->unwritable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	self->unwritable->length = PAGE;
	ASSERT_EQ(0, mprotect(self->unwritable, PAGE, PROT_READ));
}

FIXTURE_TEARDOWN(meeting)
{
	munmap(self->unwritable, PAGE);
	WINDOWS_TEARDOWN(self);
}

struct other {
	int w, r;
	uint8_t *out;
	size_t size, length;
	bool trusted;
	uint64_t calls, reached;
	int stop;
};

#define OTHER() { self->w, self->r, self->out, self->info.size, variant->length, variant->trusted, 0, 0, 0 }

static bool goes_on(struct other *o)
{
	__atomic_add_fetch(&o->calls, 1, __ATOMIC_RELAXED);
	return !__atomic_load_n(&o->stop, __ATOMIC_RELAXED);
}

static void end(struct other *o, pthread_t thread)
{
	__atomic_store_n(&o->stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

/* Until the other thread is at it. */
static void await_calls(struct other *o)
{
	while (__atomic_load_n(&o->calls, __ATOMIC_RELAXED) < 2)
		usleep(100);
}

/* ------------------------------------------------- extents that are just made */

/* Gives back, or sends, whatever lies there: offsets can be guessed. */
static void *lose(void *arg)
{
	struct other *o = arg;
	uint64_t seed = 11, at;

	while (goes_on(o)) {
		at = random_next(&seed) % 8 * PAGE;
		if (random_next(&seed) % 2 ? !window_return(o->w, at) : !window_send(o->w, at, 1))
			__atomic_add_fetch(&o->reached, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F_TIMEOUT(meeting, allocated_and_lost_at_once, 60)
{
	struct other other = OTHER();
	struct faasin_range range;
	pthread_t thread;

	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, pthread_create(&thread, NULL, lose, &other));
	await_calls(&other);
	/* Further, should the other not have had a processor in all that time. */
	for (int i = 0; i < 3000 || !__atomic_load_n(&other.reached, __ATOMIC_RELAXED); i++) {
		range = (struct faasin_range){ .length = PAGE };
		if (sys(ioctl(self->w, FAASIN_IOC_ALLOC, i % 2 ? self->unwritable : &range)) == -EAGAIN)
			usleep(100);
		if (window_take(self->r, &range) == 1)
			window_return(self->r, range.offset);
	}
	end(&other, thread);
	/* Nothing is lost: all of it can be had again. */
	while (window_take(self->r, &range) == 1)
		EXPECT_EQ(0, window_return(self->r, range.offset));
	for (uint64_t at = 0; at < self->info.size; at += PAGE)
		window_return(self->w, at);
	EXPECT_EQ(0, window_alloc(self->w, self->info.size));
}

/* The kernel writes there, if it can. */
static void *touch_first_page(void *arg)
{
	struct other *o = arg;

	while (goes_on(o))
		if (sys(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, o->out)) != -EFAULT)
			__atomic_add_fetch(&o->reached, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Nobody was told of it, so nobody can have it, neither meanwhile nor afterwards. */
TEST_F_TIMEOUT(meeting, touched_and_never_told, 60)
{
	struct other other = OTHER();
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, touch_first_page, &other));
	await_calls(&other);
	for (i = 0; i < 3000; i++)
		ASSERT_EQ(-EFAULT, sys(ioctl(self->w, FAASIN_IOC_ALLOC, self->unwritable)));
	end(&other, thread);
	/* A trusted link shows it to all, until it goes. */
	if (!variant->trusted) {
		EXPECT_EQ(0, other.reached);
		EXPECT_EQ(-SIGBUS, window_poke(self->out, 1));
	}
	for (i = 0; i < DEADLINE * 10 && flow_stats(&self->flow).pool_bytes > PAGE; i++)
		usleep(100000);
	EXPECT_EQ(PAGE, flow_stats(&self->flow).pool_bytes);
	EXPECT_EQ(-SIGBUS, window_poke(self->out, 1));
}

/* ------------------------------------------------------------------- faults */

static void *touch_all(void *arg)
{
	struct other *o = arg;
	uint64_t seed = 17;

	while (goes_on(o))
		window_poke(o->out + random_next(&seed) % (o->length / PAGE) * PAGE, 1);
	return NULL;
}

static void *toggle_larger_entries(void *arg)
{
	struct other *o = arg;

	for (int off = 0; goes_on(o); off = !off)
		prctl(PR_SET_THP_DISABLE, off, 0, 0, 0);
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	return NULL;
}

/* A page table comes where a larger entry was to go, and the other way round. */
TEST_F_TIMEOUT(meeting, larger_entries_and_small_ones, 120)
{
	struct other touching = OTHER(), toggling = OTHER();
	pthread_t threads[4];
	uint8_t *room;
	long at;

	ASSERT_EQ(0, pthread_create(&threads[0], NULL, touch_all, &touching));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, touch_all, &touching));
	ASSERT_EQ(0, pthread_create(&threads[2], NULL, touch_all, &touching));
	ASSERT_EQ(0, pthread_create(&threads[3], NULL, toggle_larger_entries, &toggling));
	for (int i = 0; i < 400; i++) {
		at = window_alloc(self->w, i % 2 ? PAGE : variant->length);
		ASSERT_EQ(0, at);
		for (int j = 0; j < 4; j++) {
			window_poke(self->out + j * PAGE, 1);
			/* Without tables, so that it begins anew. */
			room = mmap(self->out, variant->length, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, self->w, 0);
			ASSERT_EQ(self->out, room);
		}
		ASSERT_EQ(0, window_return(self->w, at));
	}
	end(&touching, threads[0]);
	end(&touching, threads[1]);
	end(&touching, threads[2]);
	end(&toggling, threads[3]);
}

/* ----------------------------------------------------------------- mappings */

static void *race_mappings(void *arg)
{
	struct other *o = arg;
	uint64_t seed = 3;
	uint8_t *at;

	while (goes_on(o)) {
		at = window_map(o->w, PROT_READ | PROT_WRITE);
		if (at == MAP_FAILED)
			continue;
		for (int i = 0; i < 8; i++) {
			size_t page = random_next(&seed) % (o->size / PAGE) * PAGE;

			/* On a trusted link it would change what was sent. */
			if (o->trusted)
				window_peek(at + page);
			else
				window_poke(at + page, 0xaa);
			switch (random_next(&seed) % 4) {
			case 0:
				mprotect(at + page, PAGE, PROT_READ);
				break;
			case 1:
				munmap(at + page, PAGE);
				break;
			case 2:
				madvise(at + page, PAGE, MADV_DONTNEED);
				break;
			case 3:
				mremap(at + page, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
				break;
			}
		}
		munmap(at, o->size);
	}
	return NULL;
}

static void *race_forks(void *arg)
{
	struct other *o = arg;
	pid_t pid;

	while (goes_on(o)) {
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	return NULL;
}

/* All this goes on beside the hand-off: nothing that was sent ever changes. */
TEST_F_TIMEOUT(meeting, maps_and_unmaps_meanwhile, 120)
{
	struct other other = OTHER();
	int rounds = variant->length > MIB ? 40 : 300;
	uint8_t *copy = malloc(variant->length);
	struct faasin_range range = { 0 };
	pthread_t threads[2];
	long at;

	ASSERT_EQ(0, pthread_create(&threads[0], NULL, race_mappings, &other));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, race_forks, &other));
	ASSERT_EQ(0, window_alloc(self->w, variant->length));
	ASSERT_EQ(0, window_send(self->w, 0, variant->length));
	for (int i = 0; i < rounds; i++) {
		ASSERT_EQ(1, window_take(self->r, &range));
		memcpy(copy, self->in + range.offset, range.length);
		at = window_alloc(self->w, variant->length);
		ASSERT_LE(0, at);
		memset(self->out + at, i, variant->length);
		ASSERT_EQ(0, memcmp(copy, self->in + range.offset, range.length));
		ASSERT_EQ(0, window_return(self->r, range.offset));
		ASSERT_EQ(0, window_send(self->w, at, variant->length));
	}
	end(&other, threads[0]);
	end(&other, threads[1]);
	free(copy);
}

TEST_HARNESS_MAIN
