// SPDX-License-Identifier: GPL-2.0
/*
 * What a stage that was taken over may try with a window: to pin its memory, so that it has
 * it for longer than it may, or to map it in another way. On trusted links as on others.
 */
#include "window_extent.h"

#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <liburing.h>
#include <sys/ptrace.h>

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

TRUSTED_VARIANTS;

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
	/* On a trusted link it is still there to be copied to. */
	if (!variant->trusted)
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
	EXPECT_GONE();
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
	EXPECT_GONE();
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
	EXPECT_GONE();
	EXPECT_INTACT();
}

TEST_F(extent, locks_it_in_memory)
{
	EXPECT_EQ(0, sys(mlock(self->mine, variant->length)));
	SEND();
	EXPECT_GONE();
	EXPECT_INTACT();
}

TEST_HARNESS_MAIN
