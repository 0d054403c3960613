// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting inside without holding a key: for a file, or in read(2), write(2) and poll(2) of
 * what may block. The thread goes outside meanwhile, where its stack and data stay its own,
 * whoever has the key. That the kernel gets to the domain's memory then is not left to keys, so
 * where bytes go to and come from is looked at first: the domain's own slot, and nothing else.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "state.h"

/* So many bytes at a time of what is not in the slot go through memory that is. */
#define PIECE		(64ul << 10)

/* The kernel writes no more at once. */
#define WRITE_MAX	0x7ffff000ul

/* So many files can be polled without holding a key. */
#define POLL_MAX	64

/* ----------------------------------------------------------------------- outside */

/* From here on the key can be taken away. */
static void begin_waiting(struct faasctl_domain *domain)
{
	key_let_go(domain, STATE_WAITS_KEYED);
	/* Nor has it locks: a signal can stop it. */
	fault_serving(domain, false);
}

/* It goes on when it has one again. */
static void end_waiting(struct faasctl_domain *domain)
{
	int again, state;

	fault_serving(domain, true);
	for (;;) {
		state = STATE_WAITS_KEYED;
		if (atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED))
			return;
		again = key_get(domain, STATE_WAITS_IDLE);
		if (!again)
			return;
		/* -EBUSY: whoever was about to take the key could not, and gave it back. */
		if (again == -ENOMEM)
			usleep(10000);
		/* It has no lock here, and this can last. */
		fault_serving(domain, false);
		fault_serving(domain, true);
	}
}

/**
 * struct wait - what is waited for
 * @files: as poll(2), in memory of the domain that has them
 * @n: how many
 * @timeout: as poll(2)
 */
struct wait {
	struct pollfd *files;
	unsigned int n;
	int timeout;
};

/*
 * Whether all of it is in the slot of the domain; but not where the thread's stack outside is, if
 * that is there: what runs on it has all keys.
 */
static bool is_own(const struct faasctl_domain *domain, const void *p, size_t size)
{
	uintptr_t at = (uintptr_t)p - slot_base(domain->slot), thread = thread_base(domain);

	if (at >= SLOT_SIZE || size > SLOT_SIZE - at)
		return false;
	return domain->gate.sp - thread >= THREAD_SIZE ||
	       (uintptr_t)p >= domain->gate.sp || (uintptr_t)p + size <= thread;
}

/* How many, or -errno. The files are copied: what they are does not change any more. */
long wait_outside(void *arg)
{
	struct faasctl_domain *domain = inside.domain;
	struct wait wait = *(volatile struct wait *)arg;
	struct pollfd files[POLL_MAX];
	long n;

	if (wait.n > POLL_MAX || !is_own(domain, wait.files, wait.n * sizeof(*files)))
		return -EFAULT;
	memcpy(files, wait.files, wait.n * sizeof(*files));
	begin_waiting(domain);
	n = syscall(SYS_poll, files, wait.n, wait.timeout);
	if (n < 0)
		n = -errno;
	end_waiting(domain);
	if (n >= 0)
		memcpy(wait.files, files, wait.n * sizeof(*files));
	return n;
}

/**
 * struct transfer - bytes between a file and the domain's memory
 * @call: SYS_read or SYS_write
 * @fd: the file
 * @at: the memory
 * @size: how much
 */
struct transfer {
	int call;
	int fd;
	void *at;
	size_t size;
};

/* As the call returns, or -errno. */
long transfer_outside(void *arg)
{
	struct faasctl_domain *domain = inside.domain;
	struct transfer transfer = *(volatile struct transfer *)arg;
	long n;

	if ((transfer.call != SYS_read && transfer.call != SYS_write) ||
	    !is_own(domain, transfer.at, transfer.size))
		return -EFAULT;
	begin_waiting(domain);
	n = syscall(transfer.call, transfer.fd, transfer.at, transfer.size);
	if (n < 0)
		n = -errno;
	end_waiting(domain);
	return n;
}

/* ------------------------------------------------------------------------ inside */

/*
 * Whether this thread is a domain now. A handler of the host's that came upon one has no key but 0,
 * and a child of vfork() has the register and not the domain.
 */
bool is_domain(void)
{
	uint32_t keys;

	if (!inside.domain)
		return false;
	keys = gate_rdpkru();
	return keys != gate_fixed.outside && (keys & DENY_ALL) != DENY_ALL && getpid() == home;
}

/* What the C library does, or no more than the call: a handler must not look for functions. */
#define PLAIN(function, ...)						\
	(inside.domain ? syscall(SYS_##function, __VA_ARGS__) : NEXT(function)(__VA_ARGS__))

static long fails(long ret)
{
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/* Whose memory it is, as far as that says how it is read and written. */
enum whose {
	WHOSE_OWN,
	WHOSE_OTHERS,		/* of some other domain, or in part */
	WHOSE_NOBODYS,		/* outside of all */
};

static enum whose whose(const void *p, size_t size)
{
	unsigned int first, last;
	bool in_first = in_slot(p, &first), in_last = in_slot((const char *)p + size - 1, &last);

	if (!in_first && !in_last)
		return WHOSE_NOBODYS;
	return in_first && in_last && first == inside.heap.slot && last == first ?
		WHOSE_OWN : WHOSE_OTHERS;
}

/* As poll(2), of files that need not be in the slot: -errno. */
static long wait_for(struct pollfd *files, unsigned int n, int timeout)
{
	/* On the stack, which is in the slot, unless the function made itself another. */
	struct pollfd own[POLL_MAX];
	struct wait wait = { own, n, timeout };
	bool held = whose(own, sizeof(own)) != WHOSE_OWN;
	unsigned int i;
	long ret;

	memcpy(own, files, n * sizeof(*own));
	/* Whoever need not wait keeps the key. */
	ret = syscall(SYS_poll, own, n, held ? timeout : 0);
	if (ret < 0)
		return -errno;
	if (!ret && timeout && !held)
		ret = gate_monitor(SERVICE_WAIT, &wait);
	for (i = 0; ret >= 0 && i < n; i++)
		files[i].revents = own[i].revents;
	return ret;
}

FAASCTL_API int faasctl_domain_wait(int fd, short events, int timeout)
{
	struct pollfd file = { .fd = fd, .events = events };
	int n;

	if (is_domain()) {
		n = wait_for(&file, 1, timeout);
	} else {
		n = PLAIN(poll, &file, 1, timeout);
		n = n < 0 ? -errno : n;
	}
	return n < 0 ? n : file.revents;
}

static long transfer(int call, int fd, const void *at, size_t size)
{
	struct transfer transfer = { call, fd, (void *)at, size };

	return gate_monitor(SERVICE_TRANSFER, &transfer);
}

static int option(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

/* Whether what is written there is a row of bytes, without borders; ports are pipes, too. */
static bool is_stream(int fd)
{
	struct stat file;

	return !fstat(fd, &file) && (S_ISFIFO(file.st_mode) ||
		(S_ISSOCK(file.st_mode) && option(fd, SO_TYPE) == SOCK_STREAM));
}

static long plain_write(int fd, const void *at, size_t size)
{
	long n = syscall(SYS_write, fd, at, size);

	return n < 0 ? -errno : n;
}

/*
 * What is written from elsewhere goes through memory of the slot, in pieces: as a whole it could
 * block with the key. Who does not block gets as far as that goes.
 */
static long write_elsewhere(int fd, const char *at, size_t size)
{
	char small[PIPE_BUF], *own = small;
	size_t done = 0, piece;
	long n = 0;

	if (size > sizeof(small) || whose(small, sizeof(small)) != WHOSE_OWN)
		own = malloc(PIECE);
	if (!own)
		return plain_write(fd, at, size);
	do {
		piece = size - done < PIECE ? size - done : PIECE;
		memcpy(own, at + done, piece);
		n = transfer(SYS_write, fd, own, piece);
		if (n > 0)
			done += n;
	} while (n == (long)piece && done < size);
	if (own != small)
		free(own);
	return done ? (long)done : n;
}

/* Whether who reads from it waits until there is something, as long as that takes. */
static bool is_waited_for(int fd)
{
	struct timeval limit = { 0 };
	socklen_t size = sizeof(limit);
	int flags = fcntl(fd, F_GETFL);
	struct stat file;

	if (flags < 0 || flags & O_NONBLOCK || (flags & O_ACCMODE) == O_WRONLY || fstat(fd, &file))
		return false;
	if (S_ISFIFO(file.st_mode))
		return true;
	return S_ISSOCK(file.st_mode) && !option(fd, SO_ACCEPTCONN) &&
	       !getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) &&
	       !limit.tv_sec && !limit.tv_usec;
}

/* What is read to elsewhere is waited for first. */
static void wait_elsewhere(int fd)
{
	struct pollfd file = { .fd = fd, .events = POLLIN };

	if (!syscall(SYS_poll, &file, 1, 0) && is_waited_for(fd))
		wait_for(&file, 1, -1);
}

/* What another domain has is for the kernel to refuse: it goes by keys. */
static ssize_t read_inside(int fd, void *at, size_t size)
{
	enum whose memory = whose(at, size);

	if ((ssize_t)size > 0 && memory == WHOSE_OWN)
		return fails(transfer(SYS_read, fd, at, size));
	if ((ssize_t)size > 0 && memory == WHOSE_NOBODYS)
		wait_elsewhere(fd);
	return syscall(SYS_read, fd, at, size);
}

OVERRIDE ssize_t read(int fd, void *at, size_t size)
{
	return is_domain() ? read_inside(fd, at, size) : PLAIN(read, fd, at, size);
}

/* A length below 0 is, like an address of others, for the kernel to refuse. */
static ssize_t write_inside(int fd, const void *at, size_t size)
{
	enum whose memory = whose(at, size);

	if ((ssize_t)size > 0 && memory == WHOSE_OWN)
		return fails(transfer(SYS_write, fd, at, size));
	if ((ssize_t)size > 0 && memory == WHOSE_NOBODYS && is_stream(fd))
		return fails(write_elsewhere(fd, at, size < WRITE_MAX ? size : WRITE_MAX));
	return syscall(SYS_write, fd, at, size);
}

OVERRIDE ssize_t write(int fd, const void *at, size_t size)
{
	return is_domain() ? write_inside(fd, at, size) : PLAIN(write, fd, at, size);
}

OVERRIDE int poll(struct pollfd *files, nfds_t n, int timeout)
{
	return is_domain() && n <= POLL_MAX ? (int)fails(wait_for(files, n, timeout)) :
					      (int)PLAIN(poll, files, n, timeout);
}

/* What read() and poll() are if the compiler knows how large the memory is, or could be. */
OVERRIDE ssize_t __read_chk(int fd, void *at, size_t size, size_t room)
{
	if (size > room)
		abort();
	return read(fd, at, size);
}

OVERRIDE int __poll_chk(struct pollfd *files, nfds_t n, int timeout, size_t room)
{
	if (room / sizeof(*files) < n)
		abort();
	return poll(files, n, timeout);
}
