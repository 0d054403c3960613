// SPDX-License-Identifier: GPL-2.0
/* Failing operations on purpose: see fault.h. */
#include <sys/mount.h>
#include <sys/prctl.h>

#include "actor.h"
#include "fault.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

/* More points than any operation has: an operation that never gets through loops. */
#define POINTS_MAX	2000

/**
 * struct outcome - what came of a try
 * @reached: the point exists
 * @error: of the operation, or 0
 * @silent: it was refused without a text
 * @wrong: what was wrong; "" if nothing
 */
struct outcome {
	bool reached;
	int error;
	bool silent;
	char wrong[256];
};

uint8_t fault_data[LARGE], fault_back[LARGE];

/* --------------------------------------------------------- what is there before */

bool fault_linked(struct try *t)
{
	return !world_link(&t->w, "a", "b");
}

bool fault_link(struct try *t, const char *src, const char *dst,
		const struct faasctl_link_options *options)
{
	struct faasctl *ctl;
	int error = faasctl_open(&ctl, NULL);

	if (error)
		return false;
	error = faasctl_link_add(ctl, t->w.wf, src, dst, options, NULL);
	faasctl_close(ctl);
	return !error;
}

bool fault_more_stages(struct try *t)
{
	return !world_stage(&t->w, "c", NULL) && !world_stage(&t->w, "x", NULL);
}

bool fault_open_ends(struct try *t, int flags)
{
	t->out = world_open(&t->w, "a", FAASIN_PORT_OUT, flags);
	t->in = world_open(&t->w, "b", FAASIN_PORT_IN, O_RDONLY);
	return t->in >= 0 && t->out >= 0;
}

bool fault_opened(struct try *t)
{
	/* It may have to wait for memory; it never has to for the peer. */
	return fault_linked(t) && fault_open_ends(t, O_WRONLY) && !fcntl(t->out, F_SETFL, 0);
}

bool fault_filled(struct try *t)
{
	return fault_opened(t) && write(t->out, fault_data, SMALL) == SMALL;
}

/* ------------------------------------------------------------ what several do */

long fault_write_small(struct try *t)
{
	return sys(write(t->out, fault_data, SMALL));
}

long fault_write_large(struct try *t)
{
	return sys(write(t->out, fault_data, LARGE));
}

long fault_write_parts(struct try *t)
{
	struct iovec parts[] = {
		{ .iov_base = fault_data, .iov_len = 40 },
		{ .iov_base = fault_data + 40, .iov_len = 0 },
		{ .iov_base = fault_data + 40, .iov_len = SMALL - 40 },
	};

	return sys(writev(t->out, parts, 3));
}

long fault_read_small(struct try *t)
{
	memset(fault_back, 0, SMALL);
	return sys(read(t->in, fault_back, SMALL));
}

long fault_read_large(struct try *t)
{
	memset(fault_back, 0, LARGE);
	return sys(read(t->in, fault_back, LARGE));
}

long fault_read_parts(struct try *t)
{
	struct iovec parts[] = {
		{ .iov_base = fault_back, .iov_len = 30 },
		{ .iov_base = fault_back + 30, .iov_len = SMALL - 30 },
	};

	memset(fault_back, 0, SMALL);
	return sys(readv(t->in, parts, 2));
}

long fault_splice_in(struct try *t)
{
	return sys(splice(t->pipe[0], NULL, t->out, NULL, SMALL, 0));
}

long fault_splice_out(struct try *t)
{
	return sys(splice(t->in, NULL, t->pipe[1], NULL, SMALL, 0));
}

long fault_poll(struct try *t)
{
	struct pollfd fds[] = {
		{ .fd = t->in, .events = POLLIN },
		{ .fd = t->out, .events = POLLOUT },
	};

	return sys(poll(fds, 2, 0));
}

long fault_ask_unread(struct try *t)
{
	return unread(t->in);
}

long fault_end_stream(struct try *t)
{
	return sys(ioctl(t->out, FAASIN_IOC_END));
}

long fault_end_session(struct try *t)
{
	return sys(ioctl(t->in, FAASIN_IOC_END));
}

long fault_abort(struct try *t)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_SIGNAL, .code = 9, .pid = getpid() };

	return sys(ioctl(t->out, FAASIN_IOC_ABORT, &abort));
}

long fault_set_context(struct try *t)
{
	struct faasin_context c = { .length = 2, .data = "of" };

	return sys(ioctl(t->out, FAASIN_IOC_SET_CONTEXT, &c));
}

long fault_close_out(struct try *t)
{
	long result = sys(close(t->out));

	t->out = -1;
	return result;
}

long fault_close_in(struct try *t)
{
	long result = sys(close(t->in));

	t->in = -1;
	return result;
}

/* -------------------------------------------------------- effects several have */

bool fault_one(struct try *t, long result)
{
	return result == 1;
}

bool fault_two(struct try *t, long result)
{
	return result == 2;
}

bool fault_all_unread(struct try *t, long result)
{
	return result == SMALL && unread(t->in) == SMALL;
}

bool fault_arrives(struct try *t, long result)
{
	return result > 0 && read_full(t->in, fault_back, result) == result &&
	       pattern_is(fault_back, result, 1, 0) && sys(read(t->in, fault_back, 1)) == -EAGAIN;
}

bool fault_arrives_together(struct try *t, long result)
{
	return result == SMALL && fault_arrives(t, result);
}

bool fault_keeps(struct try *t, long result, long size)
{
	return result > 0 && unread(t->in) == size - result &&
	       (result == size || read_full(t->in, fault_back + result, size - result) == size - result) &&
	       pattern_is(fault_back, size, 1, 0);
}

bool fault_keeps_small(struct try *t, long result)
{
	return fault_keeps(t, result, SMALL);
}

bool fault_keeps_large(struct try *t, long result)
{
	return fault_keeps(t, result, LARGE);
}

bool fault_spliced(struct try *t, long result)
{
	return result > 0 && read_full(t->pipe[0], fault_back, result) == result &&
	       fault_keeps_small(t, result);
}

bool fault_closed_early(struct try *t, long result)
{
	return sys(write(t->out, fault_data, 1)) == -EPIPE;
}

/* ---------------------------------------------------------------- injection */

bool fault_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

bool fault_let_fail(bool objects, bool pages)
{
	return fault_put("/sys/kernel/debug/failslab/cache-filter", objects ? "N" : "Y") &&
	       fault_put("/sys/kernel/debug/fail_page_alloc/min-order", pages ? "0" : "32");
}

/* Returns what could not be set. */
static const char *configure(void)
{
	static const char *const settings[][2] = {
		/* Silent, or each failure is a stack in the log. */
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
		{ "/sys/kernel/debug/fail_usercopy/verbose", "0" },
		/* By default only what must not sleep fails, and no single pages. */
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
	};
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!fault_put(settings[i][0], settings[i][1]))
			return settings[i][0];
	return NULL;
}

int fault_open(void)
{
	return sys(open(FAIL_NTH, O_RDWR | O_CLOEXEC));
}

bool fault_arm(int fail_nth, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fail_nth, text, len, 0) == len;
}

/* Reading copies to user memory, and so can be the one to fail. */
unsigned int fault_disarm(int fail_nth)
{
	char text[16] = "";
	ssize_t len = pread(fail_nth, text, sizeof(text) - 1, 0);

	fault_arm(fail_nth, 0);
	return len > 0 ? strtoul(text, NULL, 10) : 1;
}

unsigned int fault_step(void)
{
	int step = atoi(getenv("FAULT_STEP") ?: "1");

	return step > 1 ? step : 1;
}

/* -------------------------------------------------------------------- tries */

static bool holds_stats(const struct nlattr *attr)
{
	static const uint16_t types[] = {
		FAASIN_A_WORKFLOW_STATS, FAASIN_A_WORKFLOW_GONE, FAASIN_A_STAGE_SENT,
		FAASIN_A_STAGE_RECEIVED, FAASIN_A_LINK_STATS,
	};
	size_t i;

	/* No other attribute of these numbers is that long. */
	if (attr->nla_len <= FAASIN_A_STATS_MAX * sizeof(uint64_t))
		return false;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((attr->nla_type & NLA_TYPE_MASK) == types[i])
			return true;
	return false;
}

/* The memory of a pool is no state of the link: it grows when it can, and goes back. */
static void forget_pool(struct world_state *state)
{
	char *at = state->bytes, *end = state->bytes + state->len;

	while (at + NLA_HDRLEN < end) {
		struct nlattr *attr = (void *)at, *pool;

		if (attr->nla_len < NLA_HDRLEN)
			break;
		if (holds_stats(attr)) {
			pool = (void *)nl_find(attr + 1, attr->nla_len - NLA_HDRLEN,
					       FAASIN_A_STATS_POOL_BYTES);
			if (pool)
				memset(pool + 1, 0, sizeof(uint64_t));
		}
		at += NLA_ALIGN(attr->nla_len);
	}
}

static struct world_state state_of(struct try *t)
{
	struct world_state state = world_state(&t->w);

	forget_pool(&state);
	return state;
}

static bool same(struct try *t, const struct world_state *before)
{
	struct world_state now = state_of(t);
	bool is = now.len && now.len == before->len && !memcmp(now.bytes, before->bytes, now.len);

	free(now.bytes);
	return is;
}

static bool may_end_in(const struct op *op, int error)
{
	return (op->errors & NOMEM && error == ENOMEM) || (op->errors & FAULT && error == EFAULT) ||
	       (op->errors & NOBUFS && error == ENOBUFS);
}

#define WRONG(o, ...)						\
do {								\
	if (!(o)->wrong[0])					\
		snprintf((o)->wrong, sizeof((o)->wrong), __VA_ARGS__);	\
} while (0)

static void judge(struct try *t, const struct op *op, unsigned int nth, struct outcome *o)
{
	struct world_state before = state_of(t);
	bool lost_answer, done = false;
	long result;

	if (!before.len)
		WRONG(o, "the state cannot be read");
	if (!fault_arm(t->fail_nth, nth))
		WRONG(o, "fail-nth cannot be set");
	result = op->act(t);
	o->reached = !fault_disarm(t->fail_nth);
	if (result < 0) {
		o->error = -result;
		if (!o->reached)
			WRONG(o, "fails all by itself: %s", strerror(-result));
		if (!may_end_in(op, -result))
			WRONG(o, "ends in %s", strerror(-result));
		o->silent = op->errors & NOBUFS && result == -ENOMEM && !t->w.nl.text[0];
		lost_answer = op->errors & NOBUFS && result != -ENOMEM;
		if (!same(t, &before)) {
			if (lost_answer)
				done = true;
			else
				WRONG(o, "has changed something, yet failed: %s", strerror(-result));
		}
		if (!done) {
			result = op->act(t);
			if (result < 0)
				WRONG(o, "fails again without cause: %s; it was %s at first",
				      strerror(-result), strerror(o->error));
		}
	}
	if ((result >= 0 || done) && !op->holds(t, result))
		WRONG(o, "was done (%ld, at first: %s), but its effect is not there", result,
		      strerror(o->error));
	free(before.bytes);
}

static void try(const struct op *op, unsigned int nth, struct outcome *o)
{
	struct try t = { .in = -1, .out = -1, .pipe = { -1, -1 }, .file = -1, .cgroup = -1 };
	const char *complaint;
	int error;

	/* Leaks are listed with the name of the task. */
	prctl(PR_SET_NAME, op->name);
	/* Both are touched now, so that no page of them is missing later. */
	pattern_fill(fault_data, sizeof(fault_data), 1, 0);
	memset(fault_back, 0, sizeof(fault_back));
	t.fail_nth = fault_open();
	error = world_new_charged(&t.w) ?: world_stage(&t.w, "a", NULL) ?:
		world_stage(&t.w, "b", NULL) ?: nl_open(&t.ear) ?: nl_join_events(&t.ear);
	if (error)
		WRONG(o, "no world: %s", strerror(error));
	else if (!op->prepare(&t))
		WRONG(o, "cannot be prepared: %s", strerror(errno));
	else
		judge(&t, op, nth, o);
	close(t.in);
	close(t.out);
	nl_shut(&t.ear);
	if (t.dir[0] && strcmp(t.dir, MOUNT_POINT)) {
		umount2(t.dir, MNT_DETACH);
		rmdir(t.dir);
	}
	close(t.cgroup);
	world_del(&t.w);
	complaint = log_complaint(t.w.log);
	if (complaint)
		WRONG(o, "the kernel's log: %s", complaint);
}

const char *fault_unable(void)
{
	const char *missing;

	if (access(FAIL_NTH, W_OK))
		return "the kernel cannot let calls fail (" FAIL_NTH "): boot the debug kernel";
	missing = configure();
	if (missing) {
		fprintf(stderr, "cannot set %s\n", missing);
		exit(1);
	}
	return NULL;
}

/* Adds what is wrong with a try to the list, as far as there is room. */
static void note(struct exhausted *all, unsigned int nth, const struct outcome *o)
{
	size_t len = strlen(all->wrong);

	if (o->wrong[0])
		snprintf(all->wrong + len, sizeof(all->wrong) - len, "point %u: %s\n", nth, o->wrong);
}

/* From the first point to the last. */
static bool exhaust_once(const struct op *op, struct exhausted *all, struct outcome *o)
{
	unsigned int nth, step = fault_step();
	pid_t pid;
	int end;

	for (nth = 1; nth <= POINTS_MAX; nth += step) {
		memset(o, 0, sizeof(*o));
		pid = child();
		if (!pid) {
			try(op, nth, o);
			_exit(0);
		}
		end = child_end(pid);
		if (end)
			WRONG(o, "the process that tried ended in %d", end);
		note(all, nth, o);
		if (end || !o->reached)
			return !end;
		all->points++;
		all->failed += o->error != 0;
		all->silent += o->silent;
	}
	WRONG(o, "there is no end");
	note(all, nth, o);
	return false;
}

bool fault_exhaust(const struct op *op, struct exhausted *all)
{
	struct outcome *o = shared(sizeof(*o));
	unsigned int round;

	memset(all, 0, sizeof(*all));
	all->rounds = atoi(getenv("FAULT_ROUNDS") ?: "1");
	/*
	 * Pages and objects fail apart: whether an object takes a new page is a matter of
	 * chance, and would shift all points behind it.
	 */
	for (round = 0; o && round < all->rounds; round++)
		if (!fault_let_fail(true, false) || !exhaust_once(op, all, o) ||
		    !fault_let_fail(false, true) || !exhaust_once(op, all, o))
			return false;
	return o && round;
}

static bool scan(void)
{
	return fault_put(KMEMLEAK, "scan");
}

const char *fault_leaks(void)
{
	static char text[1 << 14];
	ssize_t len = -1;
	int fd;

	if (access(KMEMLEAK, W_OK))
		return NULL;
	/* The second one: what has changed since it was last looked at is not listed. */
	sleep(6);
	if (!scan() || !scan())
		return "there cannot be a scan";
	fd = open(KMEMLEAK, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		len = read(fd, text, sizeof(text) - 1);
	close(fd);
	return len < 0 ? "the list cannot be read" : text;
}
