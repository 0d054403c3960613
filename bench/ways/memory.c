// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is the producer's, or shared, or in a file, and a word about it through
 * a socket.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include "way.h"

#define FILE_PATH	"/dev/shm/bench-file"

/* What a stream could have at most that copies once: a hot buffer into a ring. */
static double alone_memcpy(size_t size, double seconds)
{
	char *from = aligned_alloc(4096, MIB), *ring = aligned_alloc(4096, MIB);
	size_t batch = size < 65536 ? 65536 / size : 1, at = 0, i;
	uint64_t begun, now;
	double bytes = 0;

	if (!from || !ring)
		die("no memory");
	memset(from, 'x', MIB);
	memset(ring, 0, MIB);
	begun = now_ns();
	do {
		for (i = 0; i < batch; i++) {
			memcpy(ring + at, from, size);
			/* Or the compiler leaves copies out that nobody reads. */
			__asm__ volatile("" : : "r"(ring) : "memory");
			at = (at + size) % MIB;
		}
		bytes += batch * size;
		now = now_ns();
	} while (now - begun < seconds * 1e9);
	free(from);
	free(ring);
	return bytes * 1e9 / (now - begun);
}

/* The ring is as large as a link's usual capacity. */
const struct way way_memcpy = {
	.name = "memcpy", .key = "memcpy", .copies = 1, .uses = WAY_STREAM, .most = MIB,
	.alone = alone_memcpy,
};

static void open_word(struct lane *lane)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane->ends))
		die("socketpair: %s", strerror(errno));
}

static void send_address(struct lane *lane, char *from, size_t size)
{
	struct iovec at = { from, size };

	write_all(lane->ends[1], (char *)&at, sizeof(at));
}

/* Each part is touched while it is still in the cache. The consumer is the producer's child. */
static size_t receive_process_vm(struct lane *lane, size_t size)
{
	struct iovec from, part, to;
	size_t at;

	read_all(lane->ends[0], (char *)&from, sizeof(from));
	for (at = 0; at < from.iov_len; at += part.iov_len) {
		part.iov_base = (char *)from.iov_base + at;
		part.iov_len = from.iov_len - at < MIB ? from.iov_len - at : MIB;
		to.iov_base = lane->own;
		to.iov_len = part.iov_len;
		if (process_vm_readv(getppid(), &to, 1, &part, 1, 0) != (ssize_t)part.iov_len)
			die("process_vm_readv: %s", strerror(errno));
		touch(lane->own, part.iov_len);
	}
	return from.iov_len;
}

const struct way way_process_vm = {
	.name = "process_vm_readv", .key = "process_vm_readv", .copies = 1, .uses = WAY_HANDOFF,
	.open = open_word, .begin = bytes_begin, .memory = bytes_memory, .send = send_address,
	.receive = receive_process_vm, .close = bytes_close,
};

static void drop_taken(struct lane *lane)
{
	if (lane->taken[0].iov_base)
		munmap(lane->taken[0].iov_base, lane->taken[0].iov_len);
	lane->taken[0].iov_base = NULL;
	close(lane->file);
	lane->file = -1;
}

static void map_file(struct lane *lane, size_t size, int protection)
{
	lane->taken[0].iov_len = size;
	lane->taken[0].iov_base = mmap(NULL, size, protection, MAP_SHARED, lane->file, 0);
	if (lane->taken[0].iov_base == MAP_FAILED)
		die("cannot map a memfd: %s", strerror(errno));
}

/* A new one each time: the last one is the consumer's now. */
static char *memory_memfd(struct lane *lane, size_t size)
{
	drop_taken(lane);
	lane->file = memfd_create("bench", MFD_CLOEXEC);
	if (lane->file < 0 || ftruncate(lane->file, size))
		die("memfd: %s", strerror(errno));
	map_file(lane, size, PROT_READ | PROT_WRITE);
	return lane->taken[0].iov_base;
}

static void send_memfd(struct lane *lane, char *from, size_t size)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec word = { &size, sizeof(size) };
	struct msghdr message = {
		.msg_iov = &word, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.head), &lane->file, sizeof(int));
	if (sendmsg(lane->ends[1], &message, 0) != sizeof(size))
		die("cannot pass a descriptor: %s", strerror(errno));
}

static size_t receive_memfd(struct lane *lane, size_t size)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	size_t there;
	struct iovec word = { &there, sizeof(there) };
	struct msghdr message = {
		.msg_iov = &word, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	if (recvmsg(lane->ends[0], &message, MSG_CMSG_CLOEXEC) != sizeof(there) ||
	    message.msg_controllen < CMSG_LEN(sizeof(int)))
		die("no descriptor came: %s", strerror(errno));
	memcpy(&lane->file, CMSG_DATA(&control.head), sizeof(int));
	map_file(lane, there, PROT_READ);
	touch(lane->taken[0].iov_base, there);
	return there;
}

static void close_memfd(struct lane *lane)
{
	drop_taken(lane);
	bytes_close(lane);
}

const struct way way_memfd = {
	.name = "memfd", .key = "memfd", .uses = WAY_HANDOFF,
	.open = open_word, .begin = bytes_begin, .memory = memory_memfd, .send = send_memfd,
	.receive = receive_memfd, .done = drop_taken, .close = close_memfd,
};

static void send_tmpfs(struct lane *lane, char *from, size_t size)
{
	int fd = open(FILE_PATH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s: %s", FILE_PATH, strerror(errno));
	write_all(fd, from, size);
	close(fd);
	write_all(lane->ends[1], (char *)&size, sizeof(size));
}

static size_t receive_tmpfs(struct lane *lane, size_t size)
{
	size_t there, left;
	ssize_t n;
	int fd;

	read_all(lane->ends[0], (char *)&there, sizeof(there));
	fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", FILE_PATH, strerror(errno));
	for (left = there; left; left -= n) {
		n = read(fd, lane->own, left < MIB ? left : MIB);
		if (n <= 0)
			die("%s: %s", FILE_PATH, n ? strerror(errno) : "it is too short");
		touch(lane->own, n);
	}
	close(fd);
	return there;
}

static void teardown_tmpfs(void)
{
	unlink(FILE_PATH);
}

const struct way way_tmpfs = {
	.name = "tmpfs file", .key = "tmpfs", .copies = 2, .uses = WAY_HANDOFF,
	.open = open_word, .teardown = teardown_tmpfs, .begin = bytes_begin,
	.memory = bytes_memory, .send = send_tmpfs, .receive = receive_tmpfs, .close = bytes_close,
};
