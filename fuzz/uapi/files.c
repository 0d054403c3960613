// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on files: ports, and what they can be used with.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>

#include "common.h"
#include "worker.h"

static int slots[SLOTS + 1];	/* programs do not name the last one */
static uint8_t *source;		/* every byte that is written comes from here */

const uint8_t *slots_source(void)
{
	return source;
}

int slot(uint64_t value)
{
	return slots[value % SLOTS];
}

/* As in every language with numbered descriptors, the old one is lost: closed. */
long keep(uint64_t where, long fd)
{
	int old;

	if (fd < 0)
		return fd;
	old = __atomic_exchange_n(&slots[where % SLOTS], (int)fd, __ATOMIC_RELAXED);
	if (old >= 0)
		close(old);
	return fd;
}

void keep_watch(int fd)
{
	int old = __atomic_exchange_n(&slots[SLOTS], fd, __ATOMIC_RELAXED);

	if (old >= 0)
		close(old);
}

/* Shared memory: a fork does not copy it. */
uint8_t *slots_buffer(void)
{
	uint8_t *b = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED || mprotect(b + BUFFER - PAGE, PAGE, PROT_NONE))
		return NULL;
	return b;
}

bool slots_open(void)
{
	int i;

	for (i = 0; i <= SLOTS; i++)
		slots[i] = -1;
	source = slots_buffer();
	if (!source)
		return false;
	memset(source, FILLED, BUFFER - PAGE);
	return !mprotect(source, BUFFER - PAGE, PROT_READ);
}

void slots_close(void)
{
	int i, fd;

	for (i = 0; i <= SLOTS; i++) {
		fd = __atomic_exchange_n(&slots[i], -1, __ATOMIC_RELAXED);
		if (fd >= 0)
			close(fd);
	}
}

void *place(struct thread *t, uint8_t *buffer, uint64_t how, uint64_t size)
{
	switch (how) {
	default: return buffer;
	case 1: return NULL;
	case AT_END: return buffer + BUFFER - PAGE - size / 2 % PAGE;
	case 3: return (void *)0xffffffff81000000UL;
	case 4: return buffer + 1;
	case 5: return (void *)0x800000000000UL;
	case IN_MAPPING: return t->mapping.at;
	}
}

/* Only what is mapped is named; what a lane's memory holds is nothing that anybody writes. */
static uint64_t place_of(const struct thread *t, uint64_t how, const uint8_t *buffer)
{
	bool lane = t->mapping.of == MAPS_LANE;

	if (how == IN_MAPPING && (!t->mapping.at || (lane && buffer == source)))
		return 0;
	return how;
}

static uint64_t room(const struct thread *t, uint64_t size, uint64_t how)
{
	if (how == IN_MAPPING && size > t->mapping.length)
		return t->mapping.length;
	return length(size, how);
}

uint64_t length(uint64_t size, uint64_t how)
{
	/* More than the buffer is only for those who fault on the way. */
	return size > BUFFER - PAGE - 8 && !how ? BUFFER - PAGE - 8 : size;
}

bool is_port(int fd, bool *output)
{
	struct faasin_port_info info;

	if (ioctl(fd, FAASIN_IOC_INFO, &info))
		return false;
	if (output)
		*output = info.flags & FAASIN_INFO_OUTPUT;
	return true;
}

bool is_written(uint8_t byte)
{
	return byte == FILLED || (!byte && worker_report->zeroes);
}

/* What comes out of a port was written by somebody. */
static void check_bytes(int fd, const uint8_t *bytes, long len)
{
	char text[100];
	long i = 0;

	while (i < len && is_written(bytes[i]))
		i++;
	if (i >= len || !is_port(fd, NULL))
		return;
	snprintf(text, sizeof(text), "a read gave a byte that nobody wrote: %#x, at %ld of %ld",
		 bytes[i], i, len);
	violation(text);
}

long call_open(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], open(paths[c->arg[1]], c->arg[2], 0600));
}

long call_reopen(struct thread *t, const struct call *c)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", slot(c->arg[1]));
	return keep(c->arg[0], open(path, c->arg[2]));
}

long call_read(struct thread *t, const struct call *c)
{
	uint64_t how = place_of(t, c->arg[2], t->into);
	uint8_t *to = place(t, t->into, how, c->arg[1]);
	int fd = slot(c->arg[0]);
	long n = read(fd, to, room(t, c->arg[1], how));

	/* What was mapped may be gone again. */
	if (n > 0 && how != IN_MAPPING)
		check_bytes(fd, to, n);
	return n;
}

long call_write(struct thread *t, const struct call *c)
{
	uint64_t how = place_of(t, c->arg[2], source);

	return write(slot(c->arg[0]), place(t, source, how, c->arg[1]), room(t, c->arg[1], how));
}

static long call_vector(struct thread *t, const struct call *c, uint8_t *buffer,
			ssize_t (*fn)(int fd, const struct iovec *iov, int n, off_t at, int flags))
{
	uint64_t how = place_of(t, c->arg[2], buffer);
	struct iovec iov[] = {
		{ buffer, length(c->arg[1], 0) },
		{ place(t, buffer, how, c->arg[3]), room(t, c->arg[3], how) },
		{ buffer, 1 },
	};

	return fn(slot(c->arg[0]), iov, c->arg[4] % 5, -1, c->arg[5]);
}

long call_readv(struct thread *t, const struct call *c)
{
	return call_vector(t, c, t->into, preadv2);
}

long call_writev(struct thread *t, const struct call *c)
{
	return call_vector(t, c, source, pwritev2);
}

long call_pread(struct thread *t, const struct call *c)
{
	return c->arg[2] & 1 ? pread(slot(c->arg[0]), t->into, length(c->arg[1], 0), c->arg[2]) :
		lseek(slot(c->arg[0]), c->arg[1], c->arg[2] % 5);
}

long call_poll(struct thread *t, const struct call *c)
{
	struct pollfd fds[] = {
		{ .fd = slot(c->arg[0]), .events = c->arg[2] },
		{ .fd = slot(c->arg[1]), .events = c->arg[2] },
	};

	return poll(fds, 2, c->arg[3] % 3);
}

long call_epoll(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], epoll_create1(EPOLL_CLOEXEC));
}

long call_epoll_ctl(struct thread *t, const struct call *c)
{
	struct epoll_event event = {
		.events = c->arg[2] | (c->arg[3] & 1 ? EPOLLET : 0) |
			(c->arg[3] & 2 ? EPOLLONESHOT : 0) | (c->arg[3] & 4 ? EPOLLEXCLUSIVE : 0),
	};

	return epoll_ctl(slot(c->arg[0]), 1 + c->arg[4] % 3, slot(c->arg[1]), &event);
}

long call_epoll_wait(struct thread *t, const struct call *c)
{
	struct epoll_event got[4];

	return epoll_wait(slot(c->arg[0]), got, 4, c->arg[1] % 3);
}

long call_pipe(struct thread *t, const struct call *c)
{
	int ends[2];

	if (pipe2(ends, c->arg[2] & O_NONBLOCK))
		return -1;
	keep(c->arg[0], ends[0]);
	return keep(c->arg[1], ends[1]);
}

long call_splice(struct thread *t, const struct call *c)
{
	loff_t at = c->arg[4];
	loff_t *offset = c->arg[4] % 8 == 1 ? &at : NULL;

	return splice(slot(c->arg[0]), offset, slot(c->arg[1]), NULL, c->arg[2], c->arg[3]);
}

long call_tee(struct thread *t, const struct call *c)
{
	return tee(slot(c->arg[0]), slot(c->arg[1]), c->arg[2], c->arg[3]);
}

long call_vmsplice(struct thread *t, const struct call *c)
{
	uint64_t how = place_of(t, c->arg[2], source);
	struct iovec iov = { place(t, source, how, c->arg[1]), room(t, c->arg[1], how) };

	return vmsplice(slot(c->arg[0]), &iov, 1, c->arg[3]);
}

long call_sendfile(struct thread *t, const struct call *c)
{
	off_t at = 0;

	return sendfile(slot(c->arg[0]), slot(c->arg[1]), c->arg[3] & 1 ? &at : NULL, c->arg[2]);
}

long call_copy_range(struct thread *t, const struct call *c)
{
	return copy_file_range(slot(c->arg[0]), NULL, slot(c->arg[1]), NULL, c->arg[2], 0);
}

long call_dup(struct thread *t, const struct call *c)
{
	return keep(c->arg[0], dup(slot(c->arg[1])));
}

/* Owners of signals are not set at random: they would hit somebody else. */
long call_fcntl(struct thread *t, const struct call *c)
{
	static const int commands[] = {
		F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_SETPIPE_SZ, F_GETPIPE_SZ, F_SETLEASE, F_GETLK,
		F_SETSIG, F_GET_SEALS, F_OFD_SETLK, F_NOTIFY,
	};
	int command = commands[c->arg[1] % ARRAY_SIZE(commands)];

	if (command == F_GETLK || command == F_OFD_SETLK) {
		struct flock lock = { .l_type = F_WRLCK, .l_len = c->arg[2] };

		return fcntl(slot(c->arg[0]), command, &lock);
	}
	return fcntl(slot(c->arg[0]), command, c->arg[2]);
}

long call_close(struct thread *t, const struct call *c)
{
	int fd = __atomic_exchange_n(&slots[c->arg[0] % SLOTS], -1, __ATOMIC_RELAXED);

	return fd >= 0 ? close(fd) : -1;
}

long call_socketpair(struct thread *t, const struct call *c)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
		return -1;
	keep(c->arg[0], ends[0]);
	return keep(c->arg[1], ends[1]);
}

union control {
	struct cmsghdr hdr;
	char space[CMSG_SPACE(sizeof(int))];
};

long call_pass(struct thread *t, const struct call *c)
{
	struct iovec iov = { source, 1 };
	union control control = { .hdr = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	int fd = slot(c->arg[1]);

	memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
	return sendmsg(slot(c->arg[0]), &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

long call_take(struct thread *t, const struct call *c)
{
	struct iovec iov = { t->into, 1 };
	union control control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *hdr;
	int fd;

	if (recvmsg(slot(c->arg[0]), &msg, MSG_DONTWAIT) < 0)
		return -1;
	hdr = CMSG_FIRSTHDR(&msg);
	if (!hdr || hdr->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(hdr), sizeof(fd));
	return keep(c->arg[1], fd);
}
