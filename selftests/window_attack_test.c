// SPDX-License-Identifier: GPL-2.0
/*
 * What a stage that was taken over may try with a window: to keep what it gave away, to
 * pin it, to change or see it all the same.
 */
#include "window_extent.h"

#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <liburing.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

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

/* ----------------------------------------------------------------- pinning */

TEST_F(extent, pins_by_vmsplice)
{
	struct iovec iov = { self->mine, PAGE };
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	EXPECT_EQ(-EFAULT, sys(vmsplice(pipe[1], &iov, 1, 0)));
	EXPECT_EQ(-EFAULT, sys(vmsplice(pipe[1], &iov, 1, SPLICE_F_GIFT)));
	SEND();
	EXPECT_INTACT();
	iov.iov_base = (void *)(self->in + self->at);
	EXPECT_EQ(-EFAULT, sys(vmsplice(pipe[1], &iov, 1, 0)));
}

TEST_F(extent, reaches_in_as_a_debugger)
{
	char buf[8] = "abcdefg";
	struct iovec local = { buf, 8 }, remote = { self->mine, 8 };
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	EXPECT_EQ(-EFAULT, sys(process_vm_writev(getpid(), &local, 1, &remote, 1, 0)));
	EXPECT_EQ(-EFAULT, sys(process_vm_readv(getpid(), &local, 1, &remote, 1, 0)));
	ASSERT_LE(0, mem);
	EXPECT_EQ(-EIO, sys(pwrite(mem, buf, 8, (uintptr_t)self->mine)));
	EXPECT_EQ(-EIO, sys(pread(mem, buf, 8, (uintptr_t)self->mine)));
	EXPECT_EQ(-EIO, sys(pwrite(mem, buf, 8, (uintptr_t)(self->in + self->at))));
	close(mem);
	SEND();
	EXPECT_INTACT();
}

TEST_F(extent, pokes_by_ptrace)
{
	int status, mapped = bell();
	pid_t pid = child();

	if (!pid) {
		uint8_t *own = mmap(self->mine, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, self->w, self->at);

		if (own != self->mine || window_peek(own) < 0 || ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		ring(mapped);
		raise(SIGSTOP);
		_exit(0);
	}
	EXPECT_TRUE(await(mapped));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_EQ(-EIO, sys(ptrace(PTRACE_POKEDATA, pid, self->mine, 1)));
	errno = 0;
	EXPECT_EQ(-1, ptrace(PTRACE_PEEKDATA, pid, self->mine, 0));
	EXPECT_EQ(EIO, errno);
	ptrace(PTRACE_CONT, pid, 0, 0);
	EXPECT_EQ(0, child_end(pid));
	SEND();
	EXPECT_INTACT();
}

TEST_F(extent, pins_by_io_uring)
{
	struct iovec iov = { self->mine, variant->length };
	struct io_uring ring;
	int err = io_uring_queue_init(4, &ring, 0);

	if (err == -ENOSYS || err == -EPERM)
		SKIP(return, "no io_uring here: %s", strerror(-err));
	ASSERT_EQ(0, err);
	EXPECT_EQ(-EFAULT, io_uring_register_buffers(&ring, &iov, 1));
	iov.iov_base = (void *)(self->in + self->at);
	EXPECT_EQ(-EFAULT, io_uring_register_buffers(&ring, &iov, 1));
	io_uring_queue_exit(&ring);
	SEND();
	EXPECT_INTACT();
}

/* Some file systems copy all the same. */
TEST_F(extent, pins_by_direct_io)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);
	long n;

	if (fd < 0)
		SKIP(return, "no O_DIRECT of the file system here: %s", strerror(errno));
	n = sys(pread(fd, self->mine, variant->length, 0));
	EXPECT_TRUE(n == -EFAULT || n > 0)
		TH_LOG("%ld", n);
	n = sys(pread(fd, (void *)(self->in + self->at), PAGE, 0));
	EXPECT_EQ(-EFAULT, n);
	pattern_fill(self->mine, variant->length, 1, 0);
	SEND();
	EXPECT_EQ(-EFAULT, sys(pread(fd, self->mine, PAGE, 0)));
	EXPECT_INTACT();
	close(fd);
}

TEST_F(extent, waits_on_a_futex)
{
	struct timespec now = { 0 };

	/* A shared one is a reference to its page. */
	EXPECT_EQ(-EFAULT, sys(syscall(SYS_futex, self->mine, FUTEX_WAIT, 1, &now, NULL, 0)));
	EXPECT_EQ(-EFAULT, sys(syscall(SYS_futex, self->mine, FUTEX_WAKE, 1, NULL, NULL, 0)));
	SEND();
	EXPECT_INTACT();
}

TEST_F(extent, watches_by_userfaultfd)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)self->mine, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_api async = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		SKIP(return, "no userfaultfd here: %s", strerror(errno));
	ASSERT_EQ(0, sys(ioctl(fd, UFFDIO_API, &api)));
	EXPECT_EQ(-EINVAL, sys(ioctl(fd, UFFDIO_REGISTER, &reg)));
	reg.mode = UFFDIO_REGISTER_MODE_WP;
	EXPECT_EQ(-EINVAL, sys(ioctl(fd, UFFDIO_REGISTER, &reg)));
	close(fd);
	/* Which asks less of a mapping; not before 6.7. */
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	ASSERT_LE(0, fd);
	if (!ioctl(fd, UFFDIO_API, &async))
		EXPECT_EQ(-EINVAL, sys(ioctl(fd, UFFDIO_REGISTER, &reg)));
	close(fd);
	SEND();
	EXPECT_INTACT();
}

/* --------------------------------------------------------------- remapping */

TEST_F(extent, maps_what_it_may_not)
{
	const int rw = PROT_READ | PROT_WRITE;
	uint64_t all = self->info.size, more = all + self->info.landing;
	int only = flow_writer(&self->flow, 0);

	EXPECT_EQ(-EINVAL, window_try_map(self->w, PAGE, rw, MAP_PRIVATE, 0));
	EXPECT_EQ(-EINVAL, window_try_map(self->r, PAGE, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(-EINVAL, window_try_map(self->r, PAGE, rw, MAP_PRIVATE, 0));
	EXPECT_EQ(-EPERM, window_try_map(self->w, PAGE, rw | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(-EPERM, window_try_map(self->r, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, window_try_map(self->r, PAGE, rw, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, window_try_map(self->r, PAGE, PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, window_try_map(only, PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, window_try_map(only, PAGE, PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, window_try_map(self->w, all + 1, rw, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, window_try_map(self->w, PAGE, rw, MAP_SHARED, all));
	EXPECT_EQ(-EINVAL, window_try_map(self->w, 2 * PAGE, rw, MAP_SHARED, all - PAGE));
	EXPECT_EQ(-EINVAL, window_try_map(self->r, PAGE, PROT_READ, MAP_SHARED, more));
	EXPECT_EQ(-EINVAL, window_try_map(self->r, more + 1, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, window_try_map(self->r, PAGE, PROT_READ, MAP_SHARED, 1LL << 50));
	EXPECT_EQ(0, window_try_map(self->w, all, rw, MAP_SHARED, 0));
	EXPECT_EQ(0, window_try_map(self->w, PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(0, window_try_map(self->r, more, PROT_READ, MAP_SHARED, 0));
	close(only);
}

TEST_F(extent, changes_its_protection)
{
	uint8_t *in = (uint8_t *)self->in;

	EXPECT_EQ(-EACCES, sys(mprotect(self->mine, PAGE, PROT_READ | PROT_EXEC)));
	EXPECT_EQ(-EACCES, sys(mprotect(in, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(-EACCES, sys(mprotect(in, PAGE, PROT_READ | PROT_EXEC)));
	EXPECT_EQ(0, sys(mprotect(self->mine, variant->length, PROT_READ)));
	SEND();
	EXPECT_EQ(0, sys(mprotect(self->mine, variant->length, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(-SIGBUS, window_poke(self->mine, 0xee));
	EXPECT_INTACT();
	EXPECT_EQ(-SIGSEGV, window_poke(in + self->at, 0xee));
}

TEST_F(extent, moves_its_mapping)
{
	uint8_t *room = mmap(NULL, 2 * variant->capacity, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size = self->info.size;

	/* Glibc passes a new address on only with these flags. */
#define REMAP(old, new, flags)	sys((long)mremap(self->out, old, new, flags, room))
	EXPECT_EQ(-EFAULT, REMAP(size, size + PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(-EINVAL, REMAP(size, size, MREMAP_MAYMOVE | MREMAP_FIXED));
	EXPECT_EQ(-EINVAL, REMAP(size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	EXPECT_GT(0, REMAP(0, size, MREMAP_MAYMOVE));
#undef REMAP
	EXPECT_TRUE(pattern_is(self->mine, variant->length, 1, 0));
	SEND();
	EXPECT_EQ(-SIGBUS, window_poke(self->mine, 0xee));
	EXPECT_INTACT();
	munmap(room, 2 * variant->capacity);
}

TEST_F(extent, gives_advice)
{
	static const int all[] = {
		MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DOFORK, MADV_WIPEONFORK,
		MADV_DODUMP, MADV_PAGEOUT, MADV_COLD, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		EXPECT_GT(0, sys(madvise(self->mine, variant->length, all[i])))
			TH_LOG("advice %d", all[i]);
	}
	EXPECT_TRUE(pattern_is(self->mine, variant->length, 1, 0));
	SEND();
	EXPECT_EQ(-SIGBUS, window_poke(self->mine, 0xee));
	EXPECT_INTACT();
}

TEST_F(extent, locks_it_in_memory)
{
	EXPECT_EQ(0, sys(mlock(self->mine, variant->length)));
	SEND();
	EXPECT_EQ(-SIGBUS, window_poke(self->mine, 0xee));
	EXPECT_INTACT();
}

TEST_HARNESS_MAIN
