// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings: of windows, of lanes, of a file. A thread has one at a time, and touches it; what
 * is not there, or not there any more, is survived.
 */
#include <setjmp.h>

#include "common.h"
#include "worker.h"

/* ---------------------------------------------------------------- touching */

static __thread sigjmp_buf touched;
static __thread volatile sig_atomic_t touching;

/* Sent by somebody, it kills as it always did. */
static void on_signal(int signal_, siginfo_t *info, void *context)
{
	if (touching && info->si_code > 0)
		siglongjmp(touched, signal_);
	signal(signal_, SIG_DFL);
	raise(signal_);
}

void mappings_init(void)
{
	const struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/* Where the first byte is that should not be there, or @n. */
static size_t look(const volatile uint8_t *at, size_t n)
{
	size_t i = 0;

	while (i < n && (at[i] == FILLED || !at[i]))
		i++;
	return i;
}

static void fill(volatile uint8_t *at, size_t n)
{
	while (n--)
		*at++ = FILLED;
}

/* EIO stands for SIGBUS. A lane's memory is no data, whatever it holds. */
static long touch(const struct mapping *m, size_t from, size_t n, bool write)
{
	volatile size_t same = n;
	int caught = sigsetjmp(touched, 1);

	if (!caught) {
		touching = 1;
		if (write)
			fill(m->at + from, n);
		else
			same = look(m->at + from, n);
	}
	touching = 0;
	if (!caught && same < n && m->of != MAPS_LANE)
		violation("a mapping shows a byte that nobody wrote");
	errno = caught == SIGBUS ? EIO : EFAULT;
	return caught ? -1 : 0;
}

/* ----------------------------------------------------------------- mapping */

bool mapping_is_data(const struct mapping *m)
{
	return m->of == MAPS_FILE || (m->of == MAPS_WINDOW && m->writable);
}

void mapping_end(struct thread *t)
{
	if (t->mapping.at)
		munmap(t->mapping.at, t->mapping.length);
	t->mapping.at = NULL;
}

bool is_lane(int fd)
{
	struct stat st;

	/* Neither a pipe nor a file, directory, or socket. */
	return !fstat(fd, &st) && !(st.st_mode & S_IFMT);
}

/* All that the port's window has. */
static size_t window_length(int fd)
{
	struct faasin_window_info info = { 0 };

	return ioctl(fd, FAASIN_IOC_WINDOW, &info) ? 0 : info.size + info.landing;
}

/* What may be had of a window or a lane, and what may not. */
static void check_rights(const struct mapping *m, int prot, bool shared)
{
	if (m->of == MAPS_FILE)
		return;
	if (!shared || prot & PROT_EXEC)
		violation("a port or a lane could be mapped, but not as a window");
	if (m->of == MAPS_WINDOW && !m->output && prot & PROT_WRITE)
		violation("a window of an input could be mapped to be written");
}

/* Whatever fails, what is mapped is what it is taken for; false if that cannot be said. */
static bool know(struct mapping *m, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if (!(st.st_mode & S_IFMT))
		m->of = MAPS_LANE;
	else if (S_ISFIFO(st.st_mode))
		m->of = MAPS_WINDOW;
	return m->of != MAPS_WINDOW || is_port(fd, &m->output);
}

/* Of a descriptor that nobody else closes meanwhile. */
static long map(struct thread *t, const struct call *c, int fd)
{
	static const off_t from[] = {
		0, FAASIN_LANE_OUT_AT, 0, FAASIN_LANE_IN_AT, 0, 32 * PAGE, FAASIN_LANE_OUT_AT, 0,
	};
	bool whole = !(c->arg[4] % 8), shared = c->arg[3] & 1;
	int prot = c->arg[2] & 7;
	struct mapping m = { .writable = prot & PROT_WRITE };

	if (!know(&m, fd))
		return -1;
	m.length = whole && m.of == MAPS_WINDOW ? window_length(fd) : 0;
	if (!m.length)
		m.length = length(c->arg[1] ?: 1, 0);
	m.at = mmap(NULL, m.length, prot, shared ? MAP_SHARED : MAP_PRIVATE, fd,
		    from[c->arg[4] % 8]);
	if (m.at == MAP_FAILED)
		return -1;
	/* From there, too, what nobody filled may be written. */
	worker_report->zeroes = true;
	check_rights(&m, prot, shared);
	mapping_end(t);
	t->mapping = m;
	return 0;
}

/* Arguments: descriptor, length, rights, whether it is shared, from where; 0: all there is. */
long call_mmap(struct thread *t, const struct call *c)
{
	int fd = fcntl(slot(c->arg[0]), F_DUPFD_CLOEXEC, 0), error;
	long result;

	if (fd < 0)
		return -1;
	result = map(t, c, fd);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

/* Some of the mapping, from a page on; false if there is nothing. */
static bool part_of(const struct mapping *m, const struct call *c, size_t *from, size_t *n)
{
	if (!m->at)
		return false;
	*from = c->arg[0] % m->length & ~(PAGE - 1ull);
	*n = m->length - *from;
	if (*n > BUFFER)
		*n = BUFFER;
	if (*n > c->arg[1])
		*n = c->arg[1];
	return true;
}

/* Arguments: from where, how much, in what way. */
long call_touch(struct thread *t, const struct call *c)
{
	static const int advices[] = {
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED, MADV_HUGEPAGE,
	};
	const struct mapping *m = &t->mapping;
	uint64_t how = c->arg[2] % 8;
	size_t from, n;

	if (!part_of(m, c, &from, &n))
		return -1;
	if (how >= 4)
		return madvise(m->at + from, n, advices[how - 4]);
	return touch(m, from, n, how & 1);
}

/* Arguments: from where, how much, rights. */
long call_protect(struct thread *t, const struct call *c)
{
	struct mapping *m = &t->mapping;
	int prot = c->arg[2] & 7;
	size_t from, n;

	if (!part_of(m, c, &from, &n) || mprotect(m->at + from, n, prot))
		return -1;
	m->writable |= n && prot & PROT_WRITE;
	if (n)
		check_rights(m, prot, true);
	return 0;
}

/* Arguments: from where, how much. Nothing else comes where it was. */
long call_unmap(struct thread *t, const struct call *c)
{
	const struct mapping *m = &t->mapping;
	size_t from, n;

	if (!part_of(m, c, &from, &n))
		return -1;
	return mmap(m->at + from, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		MAP_FAILED ? -1 : 0;
}
