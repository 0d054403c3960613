// SPDX-License-Identifier: GPL-2.0
/*
 * splice() and sendfile() into a port of what others can have, too: files, memory of
 * processes, sockets. That it does not change, nor what it came from.
 */
#include "common.h"

#include <sched.h>
#include <sys/sendfile.h>

#include "splice_fixture.h"

/* ------------------------------------------------------------------------ files */

FIXTURE(file)
{
	struct flow flow;
	int w, r;
	int pipe[2];
	int file;
	uint8_t *buf;
};

FIXTURE_VARIANT(file)
{
	bool memory;		/* else a file of the root file system */
	bool sendfile;		/* else by way of a pipe */
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(file, spliced_of_memory) { .memory = true };
FIXTURE_VARIANT_ADD(file, spliced_of_memory_to_move) { .memory = true, .flags = SPLICE_F_MOVE };
FIXTURE_VARIANT_ADD(file, sent_of_memory) { .memory = true, .sendfile = true };
FIXTURE_VARIANT_ADD(file, spliced) { .memory = false };
FIXTURE_VARIANT_ADD(file, spliced_to_move) { .flags = SPLICE_F_MOVE };
FIXTURE_VARIANT_ADD(file, sent) { .sendfile = true };

FIXTURE_SETUP(file)
{
	char name[] = "/var/tmp/splice_in.XXXXXX";

	ENDS_SETUP(self, NULL, 0, 0);
	self->buf = malloc(SIZE);
	self->file = variant->memory ? memfd_create("file", MFD_CLOEXEC) :
				       mkostemp(name, O_CLOEXEC);
	unlink(name);
	ASSERT_LE(0, self->file);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	pattern_fill(self->buf, SIZE, 1, 0);
	ASSERT_EQ(SIZE, sys(pwrite(self->file, self->buf, SIZE, 0)));
	fsync(self->file);
}

FIXTURE_TEARDOWN(file)
{
	free(self->buf);
	close(self->file);
	close(self->pipe[0]);
	close(self->pipe[1]);
	ENDS_TEARDOWN(self);
}

/* @len bytes at @at of the file, into the link: 0 or -errno. */
static long file_in(FIXTURE_DATA(file) *self, const FIXTURE_VARIANT(file) *variant, off_t at,
		    size_t len)
{
	off_t end = at + len;
	long n = 0;

	while (at < end) {
		if (variant->sendfile) {
			n = sys(sendfile(self->w, self->file, &at, end - at));
		} else {
			n = sys(splice(self->file, &at, self->pipe[1], NULL, end - at,
				       variant->flags));
			for (long done = 0, m; n > 0 && done < n; done += m) {
				m = sys(splice(self->pipe[0], NULL, self->w, NULL, n - done,
					       variant->flags));
				if (m <= 0)
					return m ?: -ENODATA;
			}
		}
		if (n <= 0)
			return n ?: -ENODATA;
	}
	return 0;
}

TEST_F(file, does_not_change_and_changes_nothing)
{
	uint8_t *now = malloc(SIZE);

	ASSERT_NE(NULL, now);
	ASSERT_EQ(0, file_in(self, variant, 0, SIZE));
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_in_moved);
	EXPECT_EQ(SIZE, flow_stats(&self->flow).bytes_in_copied);
	/* What the link takes next is not the file's, */
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(100, sys(write(self->w, self->buf + 17, 100)));
	ASSERT_EQ(SIZE, sys(pread(self->file, now, SIZE, 0)));
	EXPECT_TRUE(pattern_is(now, SIZE, 1, 0));
	/* and what the file becomes is not the link's. */
	memset(now, 0xee, SIZE);
	ASSERT_EQ(SIZE, sys(pwrite(self->file, now, SIZE, 0)));
	ASSERT_EQ(0, ftruncate(self->file, 100));
	ASSERT_EQ(SIZE, read_full(self->r, now, SIZE));
	EXPECT_TRUE(pattern_is(now, SIZE, 1, 0));
	free(now);
}

TEST_F(file, is_not_appended_to_through_a_pipe)
{
	/*
	 * CVE-2022-0847: buffers of a pipe that was full kept the mark that says that
	 * they may be appended to, and a page of a file got into one.
	 */
	uint8_t now[PAGE];
	int size = fcntl(self->pipe[1], F_GETPIPE_SZ);
	loff_t at;

	for (int i = 0; i < size; i += PAGE)
		ASSERT_EQ(PAGE, sys(write(self->pipe[1], self->buf, PAGE)));
	for (int i = 0; i < size; i += PAGE)
		ASSERT_EQ(PAGE, read_full(self->pipe[0], now, PAGE));
	for (int i = 0; i < 40; i++) {
		at = i * 100;
		ASSERT_EQ(1, sys(splice(self->file, &at, self->pipe[1], NULL, 1, 0)));
		if (i % 2)
			ASSERT_EQ(50, sys(write(self->pipe[1], self->buf + 3000, 50)));
		ASSERT_EQ(0, file_in(self, variant, 10, 1));
		ASSERT_EQ(50, sys(write(self->w, self->buf + 3000, 50)));
		while (unread(self->pipe[0]))
			ASSERT_LT(0, sys(splice(self->pipe[0], NULL, self->w, NULL, PAGE, 0)));
		ASSERT_EQ(50, sys(write(self->w, self->buf + 3000, 50)));
	}
	ASSERT_EQ(PAGE, sys(pread(self->file, now, PAGE, 0)));
	EXPECT_TRUE(pattern_is(now, PAGE, 1, 0));
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_in_moved);
}

TEST_F(file, that_ends_early)
{
	ASSERT_EQ(0, ftruncate(self->file, 5000));
	EXPECT_EQ(0, file_in(self, variant, 0, 5000));
	EXPECT_EQ(-ENODATA, file_in(self, variant, 5000, 1));
	ASSERT_EQ(5000, read_full(self->r, self->buf, 5000));
	EXPECT_TRUE(pattern_is(self->buf, 5000, 1, 0));
}

TEST_F(in, holes_of_a_file_are_copied)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	loff_t at = 0;

	ASSERT_EQ(0, ftruncate(file, SIZE));
	ASSERT_EQ(SIZE, sys(splice(file, &at, self->pipe[1], NULL, SIZE, 0)));
	EXPECT_EQ(0, MOVED(SIZE));
	memset(self->buf, 0xee, SIZE);
	ASSERT_EQ(SIZE, read_full(self->r, self->buf, SIZE));
	for (int i = 0; i < SIZE; i++)
		ASSERT_EQ(0, self->buf[i]);
	close(file);
}

/* ------------------------------------------------------- memory of a process */

static uint8_t *memory_new(int kind)
{
	uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, SIZE, MADV_NOHUGEPAGE);
	pattern_fill(p, SIZE, 1, 0);
	return p;
}

/* What a CPU has put aside to be sorted is let go of by whoever unmaps on it. */
static void stay_on_this_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

TEST_F(in, memory_that_is_no_gift_is_copied)
{
	struct iovec iov = { memory_new(MAP_PRIVATE), SIZE };

	ASSERT_NE(NULL, iov.iov_base);
	ASSERT_EQ(SIZE, sys(vmsplice(self->pipe[1], &iov, 1, 0)));
	EXPECT_EQ(0, MOVED(SIZE));
	memset(iov.iov_base, 0xee, SIZE);
	EXPECT_BYTES(SIZE, 1, 0);
	munmap(iov.iov_base, SIZE);
}

TEST_F(in, memory_that_is_no_gift_is_copied_even_if_nobody_has_it)
{
	struct iovec iov = { memory_new(MAP_PRIVATE), SIZE };

	ASSERT_NE(NULL, iov.iov_base);
	ASSERT_EQ(SIZE, sys(vmsplice(self->pipe[1], &iov, 1, 0)));
	munmap(iov.iov_base, SIZE);
	EXPECT_EQ(0, MOVED(SIZE));
	EXPECT_BYTES(SIZE, 1, 0);
}

TEST_F(in, a_gift_that_was_kept_is_copied)
{
	struct iovec iov = { memory_new(MAP_PRIVATE), SIZE };

	ASSERT_NE(NULL, iov.iov_base);
	ASSERT_EQ(SIZE, sys(vmsplice(self->pipe[1], &iov, 1, SPLICE_F_GIFT)));
	EXPECT_EQ(0, MOVED(SIZE));
	memset(iov.iov_base, 0xee, SIZE);
	EXPECT_BYTES(SIZE, 1, 0);
	munmap(iov.iov_base, SIZE);
}

TEST_F(in, a_gift_is_moved)
{
	struct iovec iov;

	stay_on_this_cpu();
	iov = (struct iovec){ memory_new(MAP_PRIVATE), SIZE };
	ASSERT_NE(NULL, iov.iov_base);
	ASSERT_EQ(SIZE, sys(vmsplice(self->pipe[1], &iov, 1, SPLICE_F_GIFT)));
	munmap(iov.iov_base, SIZE);
	EXPECT_EQ(SIZE, MOVED(SIZE));
	EXPECT_BYTES(SIZE, 1, 0);
}

/*
 * Memory that a child has, too, is given away; the child writes into it after it was spliced. A
 * macro, for what is asserted.
 */
#define CHILD_HAS_GIFT(flags)							\
do {										\
	struct iovec iov = { memory_new(flags), SIZE };				\
	int go = bell(), gone = bell();						\
	pid_t pid;								\
										\
	ASSERT_NE(NULL, iov.iov_base);						\
	pid = child();								\
	if (!pid) {								\
		await(go);							\
		memset(iov.iov_base, 0xee, SIZE);				\
		ring(gone);							\
		pause();							\
	}									\
	ASSERT_EQ(SIZE, sys(vmsplice(self->pipe[1], &iov, 1, SPLICE_F_GIFT)));	\
	munmap(iov.iov_base, SIZE);						\
	EXPECT_EQ(0, MOVED(SIZE));						\
	ring(go);								\
	EXPECT_TRUE(await(gone));						\
	EXPECT_BYTES(SIZE, 1, 0);						\
	child_kill(pid, SIGKILL);						\
} while (0)

TEST_F(in, a_gift_that_a_child_has_is_copied)
{
	CHILD_HAS_GIFT(MAP_PRIVATE);
}

TEST_F(in, a_gift_of_shared_memory_is_copied)
{
	CHILD_HAS_GIFT(MAP_SHARED);
}

/* Does the process have a page that is larger than others? */
static bool has_large_page(void)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long kib, sum = 0;
	char line[256];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			sum += kib;
	if (maps)
		fclose(maps);
	return sum;
}

TEST_F(in, a_gift_of_a_large_page_is_copied)
{
	size_t large = 2 * MIB;
	uint8_t *map = mmap(NULL, 2 * large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	struct iovec iov = { (void *)(((uintptr_t)map + large - 1) & -large), SIZE };

	ASSERT_NE(MAP_FAILED, map);
	if (madvise(iov.iov_base, large, MADV_HUGEPAGE))
		SKIP(return, "this kernel has no large pages");
	pattern_fill(iov.iov_base, SIZE, 1, 0);
	if (!has_large_page())
		SKIP(return, "there is no large page");
	ASSERT_EQ(SIZE, sys(vmsplice(self->pipe[1], &iov, 1, SPLICE_F_GIFT)));
	munmap(map, 2 * large);
	EXPECT_EQ(0, MOVED(SIZE));
	EXPECT_BYTES(SIZE, 1, 0);
}

TEST_F(in, a_part_of_a_gift_is_copied)
{
	uint8_t *p;
	struct iovec iov[2];

	stay_on_this_cpu();
	p = memory_new(MAP_PRIVATE);
	ASSERT_NE(NULL, p);
	iov[0] = (struct iovec){ p, 1000 };
	iov[1] = (struct iovec){ p + PAGE, 3 * PAGE };
	ASSERT_EQ(1000 + 3 * PAGE, sys(vmsplice(self->pipe[1], iov, 2, SPLICE_F_GIFT)));
	munmap(p, SIZE);
	/* And a page behind it, so that no capacity is lost. */
	EXPECT_EQ(2 * PAGE, MOVED(1000 + 3 * PAGE));
	EXPECT_BYTES(1000, 1, 0);
	EXPECT_BYTES(3 * PAGE, 1, PAGE);
}

/* ---------------------------------------------------------------------- sockets */

FIXTURE(socket)
{
	struct flow flow;
	int w, r;
	int pipe[2];
	int ends[2];
	uint8_t *buf;
};

FIXTURE_VARIANT(socket)
{
	bool tcp;
};

FIXTURE_VARIANT_ADD(socket, local) { .tcp = false };
FIXTURE_VARIANT_ADD(socket, tcp) { .tcp = true };

FIXTURE_SETUP(socket)
{
	ENDS_SETUP(self, NULL, 0, 0);
	self->buf = malloc(SIZE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	pattern_fill(self->buf, SIZE, 1, 0);
	ASSERT_EQ(0, variant->tcp ? tcp_pair(self->ends) :
		  sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, self->ends)));
}

FIXTURE_TEARDOWN(socket)
{
	free(self->buf);
	for (int i = 0; i < 2; i++) {
		close(self->ends[i]);
		close(self->pipe[i]);
	}
	ENDS_TEARDOWN(self);
}

TEST_F(socket, what_it_has_is_copied)
{
	long done, n;

	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(20000, sys(write(self->ends[0], self->buf, 20000)));
		for (done = 0; done < 20000; done += n) {
			n = sys(splice(self->ends[1], NULL, self->pipe[1], NULL, 20000 - done, 0));
			ASSERT_LT(0, n);
			ASSERT_EQ(0, splice_all(self->pipe[0], self->w, n));
		}
		EXPECT_BYTES(20000, 1, 0);
	}
	EXPECT_EQ(0, flow_stats(&self->flow).bytes_in_moved);
	EXPECT_EQ(200000, flow_stats(&self->flow).bytes_in_copied);
}

TEST_HARNESS_MAIN
