// SPDX-License-Identifier: GPL-2.0
/*
 * What a stage that was taken over may try with a window: to keep what it gave away, to
 * change or see it all the same. Not on trusted links, where that is how it is meant.
 */
#include "window_extent.h"

#include <pthread.h>
#include <sys/mount.h>

/* ------------------------------------------------------------ kept mappings */

TEST_F(extent, keeps_a_second_mapping)
{
	uint8_t *second = window_map(self->w, PROT_READ | PROT_WRITE);

	ASSERT_EQ(pattern(1, 0), window_peek(second + self->at));
	ASSERT_EQ(0, window_poke(second + self->at, pattern(1, 0)));
	SEND();
	EXPECT_EQ(-SIGBUS, window_poke(second + self->at, 0xee));
	EXPECT_EQ(-SIGBUS, window_peek(second + self->at));
	EXPECT_INTACT();
	EXPECT_EQ(-SIGBUS, window_poke(second + self->at, 0xee));
	munmap(second, self->info.size);
}

TEST_F(extent, keeps_a_mapping_of_each_page)
{
	uint8_t *pages[3];

	for (int i = 0; i < 3; i++) {
		pages[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->w,
				self->at + i * PAGE);
		ASSERT_EQ(pattern(1, i * PAGE), window_peek(pages[i]));
	}
	SEND();
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(-SIGBUS, window_poke(pages[i], 0xee));
	EXPECT_INTACT();
	for (int i = 0; i < 3; i++)
		munmap(pages[i], PAGE);
}

/* A child inherits no window, but the descriptor. */
TEST_F(extent, keeps_it_in_a_child)
{
	int mapped = bell(), sent = bell();
	pid_t pid = child();

	if (!pid) {
		uint8_t *own;

		if (window_peek(self->mine) != -SIGSEGV)
			_exit(1);
		own = window_map(self->w, PROT_READ | PROT_WRITE);
		if (window_peek(own + self->at) != pattern(1, 0))
			_exit(2);
		ring(mapped);
		if (!await(sent))
			_exit(3);
		_exit(window_poke(own + self->at, 0xee) == -SIGBUS ? 0 : 4);
	}
	EXPECT_TRUE(await(mapped));
	SEND();
	ring(sent);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_INTACT();
}

TEST_F(extent, keeps_it_through_another_mount)
{
	char dir[] = "/tmp/faasin-window-XXXXXX", path[128];
	uint8_t *other;
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, sys(mount("faasin", dir, "faasin", 0, NULL)));
	snprintf(path, sizeof(path), "%s%s", dir, self->flow.out + strlen(MOUNT_POINT));
	/* The same open file by another name; another open file owns nothing. */
	fd = sys(open(path, O_RDWR | O_CLOEXEC));
	EXPECT_LE(0, fd);
	other = window_map(fd, PROT_READ | PROT_WRITE);
	EXPECT_EQ(-SIGBUS, window_poke(other + self->at, 0xee));
	munmap(other, self->info.size);
	close(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->w);
	fd = sys(open(path, O_RDWR | O_CLOEXEC));
	EXPECT_LE(0, fd);
	other = window_map(fd, PROT_READ | PROT_WRITE);
	EXPECT_EQ(-SIGBUS, window_poke(other + self->at, 0xee));
	SEND();
	EXPECT_EQ(-SIGBUS, window_poke(other + self->at, 0xee));
	EXPECT_INTACT();
	munmap(other, self->info.size);
	close(fd);
	EXPECT_EQ(0, sys(umount2(dir, MNT_DETACH)));
	rmdir(dir);
}

/* An extent of an open file that came through another mount is sealed as well. */
TEST_F(extent, sends_through_another_mount)
{
	char dir[] = "/tmp/faasin-window-XXXXXX", path[128];
	struct faasin_range range;
	uint8_t *other;
	long at;
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, sys(mount("faasin", dir, "faasin", 0, NULL)));
	snprintf(path, sizeof(path), "%s%s", dir, self->flow.out + strlen(MOUNT_POINT));
	fd = sys(open(path, O_RDWR | O_CLOEXEC));
	other = window_map(fd, PROT_READ | PROT_WRITE);
	at = window_alloc(fd, PAGE);
	ASSERT_LE(0, at);
	EXPECT_EQ(0, window_poke(other + at, 5));
	EXPECT_EQ(0, window_send(fd, at, PAGE));
	EXPECT_EQ(-SIGBUS, window_poke(other + at, 6));
	EXPECT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(5, window_peek(self->in + range.offset));
	munmap(other, self->info.size);
	close(fd);
	EXPECT_EQ(0, sys(umount2(dir, MNT_DETACH)));
	rmdir(dir);
}

struct scribbler {
	uint8_t *at;
	size_t length;
	int begun, stop;
	uint64_t wrote, refused;
};

/* Writes and writes, whatever happens. */
static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	for (size_t i = 0; !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i += 61) {
		if (window_poke(s->at + i % s->length, 0xee))
			s->refused++;
		else
			__atomic_add_fetch(&s->wrote, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* What was sent was cut off at one moment: it changes no more. */
TEST_F(extent, a_thread_goes_on_writing)
{
	struct scribbler s = { .at = self->mine, .length = variant->length };
	uint8_t *before = malloc(variant->length);
	struct faasin_range range = { 0 };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, &s));
	while (!__atomic_load_n(&s.wrote, __ATOMIC_RELAXED))
		usleep(100);
	SEND();
	EXPECT_EQ(1, window_take(self->r, &range));
	memcpy(before, self->in + range.offset, range.length);
	for (int i = 0; i < 20; i++) {
		usleep(1000);
		EXPECT_EQ(0, memcmp(before, self->in + range.offset, range.length));
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0, s.refused);
	free(before);
}

/* System calls that write into memory of the caller's. */
TEST_F(extent, lets_the_kernel_write)
{
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	ASSERT_EQ(100, sys(write(pipe[1], self->mine, 100)));
	EXPECT_EQ(1, sys(read(pipe[0], self->mine + PAGE, 1)));
	pattern_fill(self->mine, variant->length, 1, 0);
	SEND();
	EXPECT_EQ(-EFAULT, sys(read(pipe[0], self->mine, 99)));
	EXPECT_EQ(-EFAULT, sys(write(pipe[1], self->mine, 99)));
	EXPECT_EQ(-EFAULT, sys(syscall(SYS_getcwd, self->mine, PAGE)));
	EXPECT_INTACT();
}

/* A reader is stuck in the middle of a call while the extent goes away. */
TEST_F(extent, a_call_is_under_way)
{
	int pipe[2];
	pid_t pid;

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	pid = child();
	if (!pid) {
		uint8_t *own = window_map(self->w, PROT_READ | PROT_WRITE);

		window_peek(own + self->at);
		_exit(sys(read(pipe[0], own + self->at, 10)) == -EFAULT ? 0 : 1);
	}
	EXPECT_TRUE(blocks_in(pid, SYS_read));
	SEND();
	EXPECT_EQ(10, sys(write(pipe[1], "0123456789", 10)));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_INTACT();
}

TEST_F(extent, looks_at_what_was_returned)
{
	struct faasin_range range;
	uint8_t *second = window_map(self->r, PROT_READ);

	SEND();
	ASSERT_EQ(1, window_take(self->r, &range));
	EXPECT_EQ(pattern(1, 0), window_peek(self->in + self->at));
	EXPECT_EQ(pattern(1, 0), window_peek(second + self->at));
	ASSERT_EQ(0, window_return(self->r, self->at));
	EXPECT_EQ(self->at, window_alloc(self->w, variant->length));
	pattern_fill(self->mine, variant->length, 2, 0);
	EXPECT_EQ(-SIGBUS, window_peek(self->in + self->at));
	EXPECT_EQ(-SIGBUS, window_peek(second + self->at));
	munmap(second, self->info.size + self->info.landing);
}

TEST_F(extent, sends_from_where_it_mapped_nothing)
{
	/* Pages are given away, not addresses. */
	munmap(self->out, self->info.size);
	SEND();
	EXPECT_INTACT();
	self->out = window_map(self->w, PROT_READ | PROT_WRITE);
	EXPECT_EQ(-SIGBUS, window_peek(self->out + self->at));
}

TEST_HARNESS_MAIN
