// SPDX-License-Identifier: GPL-2.0
/*
 * What a stage that was taken over may try with a window: to pin its memory, so that it has
 * it for longer than it may, or to map it in another way. On trusted links as on others.
 */
#include "window_extent.h"

#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <liburing.h>
#include <sys/ptrace.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
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

/* What a disk, or a socket, has, and would write over what a window shows. */
#define OTHER	0xdd

/* Memory that can be pinned: with it, each of the ways below works. */
static uint8_t *plain_page(void)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? NULL : memset(page, OTHER, PAGE);
}

static bool is_plain(const uint8_t *page)
{
	for (int i = 0; i < PAGE; i++)
		if (page[i] != OTHER)
			return false;
	return true;
}

/*
 * A disk that pins what it reads into, where file systems may copy: the kernel's own, of RAM, whose
 * first page is OTHER. A descriptor, or -errno.
 */
static long disk_open(uint8_t *plain)
{
	int fd;

	if (access("/dev/ram0", F_OK) && system("modprobe -q brd rd_nr=1 rd_size=8192"))
		return -ENODEV;
	fd = open("/dev/ram0", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return pwrite(fd, plain, PAGE, 0) == PAGE ? fd : -EIO;
}

#define DISK_OPEN(fd, plain)							\
do {										\
	ASSERT_NE(NULL, plain);							\
	fd = disk_open(plain);							\
	if (fd < 0)								\
		SKIP(return, "no disk that pins memory here: %s", strerror(-(fd)));	\
} while (0)

TEST_F(extent, pins_by_direct_io)
{
	uint8_t *plain = plain_page(), *in = (uint8_t *)self->in + self->at;
	uint8_t *last = self->mine + variant->length - PAGE;
	struct iovec both[] = { { plain, PAGE }, { self->mine, PAGE } };
	long fd;

	DISK_OPEN(fd, plain);
	ASSERT_EQ(PAGE, sys(pread(fd, plain, PAGE, 0)));
	EXPECT_EQ(-EFAULT, sys(pread(fd, self->mine, PAGE, 0)));
	EXPECT_EQ(-EFAULT, sys(pwrite(fd, self->mine, PAGE, 0)));
	EXPECT_EQ(-EFAULT, sys(pread(fd, last, PAGE, 0)));
	EXPECT_EQ(-EFAULT, sys(pwrite(fd, last, PAGE, 0)));
	/* What the disk does in several pieces can fail otherwise. */
	EXPECT_GT(0, sys(pread(fd, self->mine, variant->length, 0)));
	/* Behind what can be pinned, kernels go on by copying, which is no more than a producer may. */
	EXPECT_LE(PAGE, sys(preadv(fd, both, 2, 0)));
	pattern_fill(self->mine, variant->length, 1, 0);
	SEND();
	if (!variant->trusted)
		EXPECT_EQ(PAGE, sys(preadv(fd, both, 2, 0)));
	EXPECT_EQ(-EFAULT, sys(pread(fd, self->mine, PAGE, 0)));
	EXPECT_EQ(-EFAULT, sys(pwrite(fd, self->mine, PAGE, 0)));
	EXPECT_INTACT();
	EXPECT_EQ(-EFAULT, sys(pread(fd, in, PAGE, 0)));
	EXPECT_EQ(-EFAULT, sys(pwrite(fd, in, PAGE, 0)));
	EXPECT_TRUE(pattern_is(in, variant->length, 1, 0));
	/* Nor was it read. */
	EXPECT_EQ(PAGE, sys(pread(fd, plain, PAGE, 0)));
	EXPECT_TRUE(is_plain(plain));
	close(fd);
}

/* One request by the kernel's asynchronous calls: what came of it. */
static long aio(int fd, int opcode, void *buf)
{
	struct iocb cb = { .aio_lio_opcode = opcode, .aio_fildes = fd, .aio_buf = (uintptr_t)buf,
			   .aio_nbytes = PAGE }, *list = &cb;
	struct io_event event = { 0 };
	aio_context_t context = 0;
	long n = sys(syscall(SYS_io_setup, 1, &context));

	if (n)
		return n;
	n = sys(syscall(SYS_io_submit, context, 1, &list));
	if (n == 1)
		n = syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 ? (long)event.res : -EIO;
	syscall(SYS_io_destroy, context);
	return n;
}

TEST_F(extent, pins_by_aio)
{
	uint8_t *plain = plain_page(), *in = (uint8_t *)self->in + self->at;
	long fd;

	DISK_OPEN(fd, plain);
	ASSERT_EQ(PAGE, aio(fd, IOCB_CMD_PREAD, plain));
	EXPECT_EQ(-EFAULT, aio(fd, IOCB_CMD_PREAD, self->mine));
	EXPECT_EQ(-EFAULT, aio(fd, IOCB_CMD_PWRITE, self->mine));
	SEND();
	EXPECT_EQ(-EFAULT, aio(fd, IOCB_CMD_PREAD, self->mine));
	EXPECT_INTACT();
	EXPECT_EQ(-EFAULT, aio(fd, IOCB_CMD_PREAD, in));
	EXPECT_EQ(-EFAULT, aio(fd, IOCB_CMD_PWRITE, in));
	EXPECT_TRUE(pattern_is(in, variant->length, 1, 0));
	EXPECT_EQ(PAGE, aio(fd, IOCB_CMD_PREAD, plain));
	EXPECT_TRUE(is_plain(plain));
	close(fd);
}

TEST_F(extent, pins_by_a_socket)
{
	uint8_t *plain = plain_page(), *in = (uint8_t *)self->in + self->at;
	int ends[2], one = 1;

	ASSERT_NE(NULL, plain);
	ASSERT_EQ(0, tcp_pair(ends));
	ASSERT_EQ(0, sys(setsockopt(ends[0], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one))));
	ASSERT_EQ(PAGE, sys(send(ends[0], plain, PAGE, MSG_ZEROCOPY)));
	ASSERT_EQ(PAGE, read_full(ends[1], plain, PAGE));
	EXPECT_EQ(-EFAULT, sys(send(ends[0], self->mine, PAGE, MSG_ZEROCOPY)));
	EXPECT_EQ(-EFAULT, sys(send(ends[0], self->mine, variant->length, MSG_ZEROCOPY)));
	SEND();
	EXPECT_EQ(-EFAULT, sys(send(ends[0], self->mine, PAGE, MSG_ZEROCOPY)));
	EXPECT_INTACT();
	EXPECT_EQ(-EFAULT, sys(send(ends[0], in, PAGE, MSG_ZEROCOPY)));
	/* Nothing of it is on its way. */
	EXPECT_EQ(-EAGAIN, sys(recv(ends[1], plain, PAGE, MSG_DONTWAIT)));
	close(ends[0]);
	close(ends[1]);
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
		MADV_POPULATE_WRITE, MADV_COLLAPSE,
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

/* Whether the mapping there has a flag, as /proc/self/smaps writes it. */
static bool mapping_has(const void *at, const char *flag)
{
	unsigned long begin, end;
	bool here = false, has = false;
	char line[256];
	FILE *f = fopen("/proc/self/smaps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			here = begin <= (uintptr_t)at && (uintptr_t)at < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, flag);
	}
	if (f)
		fclose(f);
	return has;
}

/* What kernels may say yes to changes neither whose memory it is nor who sees it. */
TEST_F(extent, gives_advice_in_vain)
{
	static const int all[] = {
		MADV_MERGEABLE, MADV_HUGEPAGE, MADV_COLLAPSE, MADV_NOHUGEPAGE, MADV_WILLNEED,
		MADV_RANDOM, MADV_SEQUENTIAL, MADV_NORMAL, MADV_DONTFORK, MADV_DONTDUMP, MADV_HUGEPAGE,
	};
	uint8_t *in = (uint8_t *)self->in + self->at;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		pattern_fill(self->mine, variant->length, 2 + i, 0);
		madvise(self->mine, variant->length, all[i]);
		EXPECT_TRUE(pattern_is(self->mine, variant->length, 2 + i, 0))
			TH_LOG("advice %d", all[i]);
		/* No page of it is anonymous, or to be merged with others. */
		EXPECT_TRUE(mapping_has(self->mine, " pf"));
		EXPECT_FALSE(mapping_has(self->mine, " mg"));
	}
	pattern_fill(self->mine, variant->length, 1, 0);
	SEND();
	EXPECT_GONE();
	EXPECT_INTACT();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		madvise(in, variant->length, all[i]);
	EXPECT_TRUE(pattern_is(in, variant->length, 1, 0));
	EXPECT_FALSE(mapping_has(in, " mg"));
	EXPECT_EQ(-SIGSEGV, window_poke(in, 0xee));
}

TEST_F(extent, gives_a_process_advice)
{
	static const struct {
		int advice;
		bool refused;
	} all[] = {
		{ MADV_COLD, true }, { MADV_PAGEOUT, true }, { MADV_COLLAPSE, true },
		{ MADV_WILLNEED, false },
	};
	uint8_t *plain = plain_page();
	struct iovec iov = { self->mine, variant->length }, own = { plain, PAGE };
	int pid = syscall(SYS_pidfd_open, getpid(), 0);
	long n;

	ASSERT_LE(0, pid);
	ASSERT_EQ(PAGE, sys(syscall(SYS_process_madvise, pid, &own, 1, MADV_COLD, 0)));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		n = sys(syscall(SYS_process_madvise, pid, &iov, 1, all[i].advice, 0));
		EXPECT_TRUE(n == -EINVAL || !all[i].refused)
			TH_LOG("advice %d: %ld", all[i].advice, n);
		EXPECT_TRUE(pattern_is(self->mine, variant->length, 1, 0));
	}
	pattern_fill(self->mine, variant->length, 2, 0);
	pattern_fill(self->mine, variant->length, 1, 0);
	SEND();
	EXPECT_GONE();
	EXPECT_INTACT();
	iov.iov_base = (void *)(self->in + self->at);
	EXPECT_EQ(-EINVAL, sys(syscall(SYS_process_madvise, pid, &iov, 1, MADV_PAGEOUT, 0)));
	EXPECT_TRUE(pattern_is(iov.iov_base, variant->length, 1, 0));
	close(pid);
}

/* The number of the last node with memory; 0 on most machines. */
static int last_node(void)
{
	char path[64];
	int node = 0;

	do
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", ++node);
	while (!access(path, F_OK));
	return node - 1;
}

/* To another node, if there is one: a guest can be given two, by numa=fake=2. */
TEST_F(extent, moves_its_pages)
{
	uint8_t *plain = plain_page();
	void *pages[] = { plain, self->mine };
	int to = last_node(), nodes[] = { to, to }, status[] = { -1, 1 };
	unsigned long mask = 1UL << to;
	long err = sys(syscall(SYS_move_pages, 0, 2, pages, nodes, status, MPOL_MF_MOVE_ALL));

	if (err == -ENOSYS)
		SKIP(return, "this kernel moves no pages");
	ASSERT_EQ(0, err);
	EXPECT_EQ(to, status[0]);
	EXPECT_EQ(-EFAULT, status[1]);
	ASSERT_EQ(0, sys(syscall(SYS_move_pages, 0, 2, pages, NULL, status, 0)));
	EXPECT_EQ(to, status[0]);
	EXPECT_GT(0, status[1]);
	/* A policy is for memory that is still to come: what there is stays, or that is refused. */
	err = sys(syscall(SYS_mbind, self->mine, variant->length, MPOL_BIND, &mask, 8 * sizeof(mask),
			  MPOL_MF_MOVE_ALL));
	EXPECT_TRUE(err == 0 || err == -EIO || err == -EFAULT)
		TH_LOG("%ld", err);
	EXPECT_TRUE(pattern_is(self->mine, variant->length, 1, 0));
	pattern_fill(self->mine, variant->length, 2, 0);
	err = sys(syscall(SYS_mbind, self->mine, variant->length, MPOL_BIND, &mask, 8 * sizeof(mask),
			  MPOL_MF_MOVE_ALL | MPOL_MF_STRICT));
	EXPECT_TRUE(err == 0 || err == -EIO || err == -EFAULT)
		TH_LOG("%ld", err);
	EXPECT_TRUE(pattern_is(self->mine, variant->length, 2, 0));
	/* What is written now is what the consumer gets: the entries show what they did. */
	pattern_fill(self->mine, variant->length, 1, 0);
	SEND();
	EXPECT_GONE();
	EXPECT_INTACT();
	pages[1] = (void *)(self->in + self->at);
	ASSERT_EQ(0, sys(syscall(SYS_move_pages, 0, 2, pages, nodes, status, MPOL_MF_MOVE_ALL)));
	EXPECT_EQ(-EFAULT, status[1]);
}

/* Another part of the window at an address: by the rules of mmap(), and sealed as well. */
TEST_F(extent, remaps_its_pages)
{
	uint8_t *there = self->mine + variant->length + PAGE;
	size_t all = self->info.size;

	ASSERT_EQ(0, sys(remap_file_pages(there, PAGE, 0, self->at / PAGE, 0)));
	EXPECT_EQ(pattern(1, 0), window_peek(there));
	EXPECT_EQ(0, window_poke(there, 0xee));
	EXPECT_EQ(0xee, window_peek(self->mine));
	EXPECT_EQ(0, window_poke(there, pattern(1, 0)));
	EXPECT_EQ(-EINVAL, sys(remap_file_pages(self->out + all - PAGE, PAGE, 0, all / PAGE, 0)));
	/* What is only read is no shared mapping to it. */
	EXPECT_EQ(-EINVAL, sys(remap_file_pages((void *)self->in, PAGE, 0, 1, 0)));
	SEND();
	EXPECT_GONE();
	if (!variant->trusted)
		EXPECT_EQ(-SIGBUS, window_poke(there, 0xee));
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
