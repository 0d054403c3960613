// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting inside without holding a key: for a file, or in read(2), write(2) and poll(2) of
 * what may block. The thread goes outside meanwhile, where its stack and data stay its own,
 * whoever has the key. That the kernel gets to the domain's memory then is not left to keys, so
 * where bytes go to and come from is looked at first: the domain's own slot, and nothing else.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "state.h"

/* So many bytes at a time of what is not in the slot go through memory that is. */
#define PIECE		(64ul << 10)

/* So many files can be polled without holding a key. */
#define POLL_MAX	64

/* ----------------------------------------------------------------------- outside */

/* From here on the key can be taken away. */
static void begin_waiting(struct faasctl_domain *domain)
{
	key_let_go(domain, STATE_WAITS_KEYED);
}

/* It goes on when it has one again. */
static void end_waiting(struct faasctl_domain *domain)
{
	int again, state = STATE_WAITS_KEYED;

	if (atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED))
		return;
	do
		again = key_get(domain, STATE_WAITS_IDLE);
	while (again == -ENOMEM && !usleep(10000));
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

/* Whether all of it is in the slot of the domain. */
static bool is_own(const struct faasctl_domain *domain, const void *p, size_t size)
{
	uintptr_t at = (uintptr_t)p - slot_base(domain->slot);

	return at < SLOT_SIZE && size <= SLOT_SIZE - at;
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
	n = poll(files, wait.n, wait.timeout);
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

static long fails(long ret)
{
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/* As poll(2), of files that need not be in the slot: -errno. */
static long wait_for(struct pollfd *files, unsigned int n, int timeout)
{
	/* On the stack, which is in the slot. */
	struct pollfd own[POLL_MAX];
	struct wait wait = { own, n, timeout };
	long ret;

	memcpy(own, files, n * sizeof(*own));
	/* Whoever need not wait keeps the key. */
	ret = syscall(SYS_poll, own, n, 0);
	if (ret < 0)
		return -errno;
	if (!ret && timeout)
		ret = gate_monitor(SERVICE_WAIT, &wait);
	if (ret >= 0)
		memcpy(files, own, n * sizeof(*own));
	return ret;
}

FAASCTL_API int faasctl_domain_wait(int fd, short events, int timeout)
{
	struct pollfd file = { .fd = fd, .events = events };
	int n;

	if (!is_inside()) {
		n = poll(&file, 1, timeout);
		n = n < 0 ? -errno : n;
	} else {
		n = wait_for(&file, 1, timeout);
	}
	return n < 0 ? n : file.revents;
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

static long transfer(int call, int fd, const void *at, size_t size)
{
	struct transfer transfer = { call, fd, (void *)at, size };

	return gate_monitor(SERVICE_TRANSFER, &transfer);
}

/*
 * What is written from elsewhere goes through memory of the slot, in pieces: as a whole it could
 * block with the key. Who does not block gets as far as that goes.
 */
static long write_elsewhere(int fd, const char *at, size_t size)
{
	size_t done = 0, piece;
	long n = 0;
	void *own;

	own = malloc(size < PIECE ? size : PIECE);
	if (!own)
		return -ENOMEM;
	do {
		piece = size - done < PIECE ? size - done : PIECE;
		memcpy(own, at + done, piece);
		n = transfer(SYS_write, fd, own, piece);
		if (n > 0)
			done += n;
	} while (n == (long)piece && done < size);
	free(own);
	return done ? (long)done : n;
}

/* What is read to elsewhere is waited for first, unless who reads does not want to wait. */
static void wait_elsewhere(int fd)
{
	struct pollfd file = { .fd = fd, .events = POLLIN };
	int flags;

	if (syscall(SYS_poll, &file, 1, 0))
		return;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK))
		wait_for(&file, 1, -1);
}

/* What another domain has is for the kernel to refuse: it goes by keys. */
static ssize_t read_inside(int fd, void *at, size_t size)
{
	enum whose memory = whose(at, size);

	if (size && memory == WHOSE_OWN)
		return fails(transfer(SYS_read, fd, at, size));
	if (size && memory == WHOSE_NOBODYS)
		wait_elsewhere(fd);
	return syscall(SYS_read, fd, at, size);
}

OVERRIDE ssize_t read(int fd, void *at, size_t size)
{
	return is_inside() ? read_inside(fd, at, size) : NEXT(read)(fd, at, size);
}

OVERRIDE ssize_t write(int fd, const void *at, size_t size)
{
	enum whose memory;

	if (!is_inside())
		return NEXT(write)(fd, at, size);
	memory = whose(at, size);
	if (!size || memory == WHOSE_OTHERS)
		return syscall(SYS_write, fd, at, size);
	return fails(memory == WHOSE_OWN ? transfer(SYS_write, fd, at, size) :
					   write_elsewhere(fd, at, size));
}

OVERRIDE int poll(struct pollfd *files, nfds_t n, int timeout)
{
	return !is_inside() || n > POLL_MAX ? NEXT(poll)(files, n, timeout) :
					      (int)fails(wait_for(files, n, timeout));
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
