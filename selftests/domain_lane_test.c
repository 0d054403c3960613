// SPDX-License-Identifier: GPL-2.0
/*
 * A trusted link between two domains of one process: what is handed off by an index, in memory of
 * both that has their keys, without a call; and what they cannot do to each other by it. Skipped
 * where there are no keys.
 */
#include "lane.h"

#include <stdatomic.h>
#include <sys/prctl.h>

#include "domain_setup.h"

#define LENGTH	5000
#define WARM	4
/* Until logs are full, of which the kernel is told. */
#define ROUNDS	(FAASIN_LANE_SLOTS - 10)

/* Whose turn it is they tell each other by memory, so that nobody sleeps. */
static struct shared {
	int w, r;
	bool plain;
	char *sent, *got;
	atomic_int turn, go;
	atomic_char forbidden[2];
} *s;

FIXTURE(links)
{
	struct flow flow;
	int w, r;
	struct faasctl_domain *a, *b, *c;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(links)
{
	struct faasctl_domain_options options;
};

FIXTURE_VARIANT_ADD(links, plain) { { 0 } };
FIXTURE_VARIANT_ADD(links, filtered) { { .flags = FAASCTL_DOMAIN_FILTER } };

FIXTURE_SETUP(links)
{
	struct flow_options options = { .capacity = MIB, .trusted = true };

	signal(SIGPIPE, SIG_IGN);
	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	if (variant->options.flags && !self->info.filters)
		SKIP(return, "%s", self->info.unfiltered);
	ENDS_SETUP(self, &options, O_RDWR | O_NONBLOCK, O_NONBLOCK);
	ASSERT_EQ(0, faasctl_domain_new("a", &variant->options, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", &variant->options, &self->b, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &self->c, &self->err));
	s = faasctl_shared_alloc(sizeof(*s));
	ASSERT_NE(NULL, s);
	memset(s, 0, sizeof(*s));
	s->w = self->w;
	s->r = self->r;
	s->plain = !variant->options.flags;
}

FIXTURE_TEARDOWN(links)
{
	EXPECT_OK(faasctl_domain_free(self->a, &self->err));
	EXPECT_OK(faasctl_domain_free(self->b, &self->err));
	EXPECT_OK(faasctl_domain_free(self->c, &self->err));
	ENDS_TEARDOWN(self);
}

static void wait_for_turn(int turn)
{
	while (atomic_load(&s->turn) != turn)
		__builtin_ia32_pause();
}

/*
 * From here on any system call of this thread's ends the process, as long as that is said. With a
 * filter this cannot be asked for.
 */
static bool forbid_calls(atomic_char *forbidden)
{
	if (!s->plain)
		return true;
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, forbidden))
		return false;
	atomic_store(forbidden, SYSCALL_DISPATCH_FILTER_BLOCK);
	return true;
}

static void allow_calls(atomic_char *forbidden)
{
	atomic_store(forbidden, SYSCALL_DISPATCH_FILTER_ALLOW);
	if (s->plain)
		prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0);
}

/* Opens the window: both do, before the first record. */
static int begin(struct lane *lane, bool output)
{
	int ret = output ? faasctl_window_open(&lane->out, s->w, NULL) :
			   faasctl_window_open(&lane->in, s->r, NULL);

	atomic_fetch_add(&s->go, 1);
	while (atomic_load(&s->go) < 2)
		__builtin_ia32_pause();
	return ret;
}

/* Returns 0, or what went wrong. */
static long put_all(void *arg)
{
	struct lane lane = { 0 };
	int ret = begin(&lane, true), i;

	for (i = 0; !ret && i < WARM + ROUNDS; i++) {
		wait_for_turn(2 * i);
		if (i == WARM && (!lane_is_on(s->w) || !forbid_calls(&s->forbidden[0])))
			ret = -1;
		if (!ret)
			ret = put(&lane, LENGTH, i);
		atomic_store(&s->turn, 2 * i + 1);
	}
	allow_calls(&s->forbidden[0]);
	faasctl_window_close(lane.out);
	return ret;
}

static long get_all(void *arg)
{
	struct lane lane = { 0 };
	int ret = begin(&lane, false), i;

	for (i = 0; !ret && i < WARM + ROUNDS; i++) {
		wait_for_turn(2 * i + 1);
		if (i == WARM && !forbid_calls(&s->forbidden[1]))
			ret = -1;
		if (!ret)
			ret = get(&lane, LENGTH, i);
		atomic_store(&s->turn, 2 * i + 2);
	}
	allow_calls(&s->forbidden[1]);
	faasctl_window_close(lane.in);
	return ret;
}

TEST_F(links, hand_off_without_a_call)
{
	long result = -1;

	ASSERT_EQ(0, faasctl_domain_start(self->a, put_all, NULL, &self->err));
	ASSERT_EQ(0, faasctl_domain_start(self->b, get_all, NULL, &self->err));
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_EQ((WARM + ROUNDS) * LENGTH, (long)flow_stats(&self->flow).bytes_out);
}

/* As calls of one thread that goes from one to the other: each gate, and no call besides. */
static struct lane *lanes[2];

static long open_out(void *arg)
{
	lanes[0] = calloc(1, sizeof(*lanes[0]));
	return faasctl_window_open(&lanes[0]->out, s->w, NULL);
}

static long open_in(void *arg)
{
	lanes[1] = calloc(1, sizeof(*lanes[1]));
	return faasctl_window_open(&lanes[1]->in, s->r, NULL);
}

static long put_one(void *arg) { return put(lanes[0], LENGTH, (long)arg); }
static long get_one(void *arg) { return get(lanes[1], LENGTH, (long)arg); }

static long close_out(void *arg)
{
	faasctl_window_close(lanes[0]->out);
	return 0;
}

static long close_in(void *arg)
{
	faasctl_window_close(lanes[1]->in);
	return 0;
}

TEST_F(links, hand_off_in_turns)
{
	long result = -1, i;

	if (!s->plain)
		SKIP(return, "they have threads of their own");
	EXPECT_OK(faasctl_domain_call(self->a, open_out, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	EXPECT_OK(faasctl_domain_call(self->b, open_in, NULL, &result, &self->err));
	EXPECT_EQ(0, result);
	for (i = 0; i < WARM + ROUNDS; i++) {
		if (i == WARM) {
			ASSERT_TRUE(lane_is_on(self->w));
			ASSERT_TRUE(forbid_calls(&s->forbidden[0]));
		}
		if (faasctl_domain_call(self->a, put_one, (void *)i, &result, NULL) || result)
			break;
		if (faasctl_domain_call(self->b, get_one, (void *)i, &result, NULL) || result)
			break;
	}
	allow_calls(&s->forbidden[0]);
	EXPECT_EQ(WARM + ROUNDS, i);
	EXPECT_EQ((WARM + ROUNDS) * LENGTH, (long)flow_stats(&self->flow).bytes_out);
	EXPECT_OK(faasctl_domain_call(self->a, close_out, NULL, NULL, &self->err));
	EXPECT_OK(faasctl_domain_call(self->b, close_in, NULL, NULL, &self->err));
}

/* ------------------------------------------------------------------------- attacks */

/* Sends one, and keeps another. */
static long put_and_stay(void *arg)
{
	struct lane lane = { 0 };
	int ret = begin(&lane, true);

	if (!ret)
		ret = put(&lane, LENGTH, 7);
	if (!ret)
		ret = faasctl_window_alloc(lane.out, LENGTH, (void **)&s->sent, NULL);
	if (ret)
		return ret;
	strcpy(s->sent, "not sent yet");
	atomic_store(&s->turn, 1);
	wait_for_turn(9);
	return strcmp(s->sent, "not sent yet");
}

/* Returns 0 if that is refused; else stays until it is told what to do with it. */
static long get_and_write(void *arg)
{
	struct lane lane = { 0 };
	struct iovec part;
	int ret = begin(&lane, false);

	wait_for_turn(1);
	if (!ret)
		ret = faasctl_window_receive(lane.in, &part, 1, NULL) == 1 ? 0 : -1;
	if (ret)
		return ret;
	s->got = part.iov_base;
	if (!pattern_is(s->got, LENGTH, 7, 0))
		return -2;
	atomic_store(&s->turn, 2);
	wait_for_turn(3);
	/* What it reads is not its to write, nor can it make it so. */
	if (!mprotect((void *)((uintptr_t)s->got & -PAGE), PAGE, PROT_READ | PROT_WRITE))
		return -3;
	*(volatile char *)s->got = 0;
	return -4;
}

static long read_sent(void *arg) { return *(volatile char *)s->sent; }
static long read_got(void *arg) { return *(volatile char *)s->got; }
static long write_sent(void *arg) { return *(volatile char *)s->sent = 1; }
static long write_got(void *arg) { return *(volatile char *)s->got = 1; }

static const struct {
	long (*fn)(void *arg);
	const char *says;
} touches[] = {
	{ read_sent, "which is in domain a" },
	{ read_got, "which is in domain b" },
	{ write_sent, "which is in domain a" },
	{ write_got, "which is in domain b" },
};

TEST_F(links, are_private)
{
	struct faasctl_domain *d;
	long result = -1;
	size_t i;

	ASSERT_EQ(0, faasctl_domain_start(self->a, put_and_stay, NULL, &self->err));
	ASSERT_EQ(0, faasctl_domain_start(self->b, get_and_write, NULL, &self->err));
	wait_for_turn(2);
	for (i = 0; i < sizeof(touches) / sizeof(*touches); i++) {
		ASSERT_EQ(0, faasctl_domain_new("d", NULL, &d, &self->err));
		EXPECT_FAIL(EFAULT, touches[i].says,
			    faasctl_domain_call(d, touches[i].fn, NULL, NULL, &self->err));
		EXPECT_OK(faasctl_domain_free(d, &self->err));
	}
	/* The host can: it is as any process that has a port. */
	EXPECT_STREQ("not sent yet", s->sent);
	EXPECT_TRUE(pattern_is(s->got, LENGTH, 7, 0));
	atomic_store(&s->turn, 3);
	EXPECT_FAIL(EFAULT, "it touched", faasctl_domain_join(self->b, &result, &self->err));
	EXPECT_EQ(SIGSEGV, faasctl_domain_signal(self->b));
	atomic_store(&s->turn, 9);
	EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
	EXPECT_EQ(0, result);
}

/* What a sender says that does not go by the library's rules. */
enum lie {
	BEYOND,		/* behind the window */
	FAR,		/* as far as it goes */
	UNALIGNED,
	TOO_LONG,
	EMPTY,
	TWICE,		/* what it has sent already */
	NOT_ITS_OWN,	/* pages that nobody allocated */
};

static enum lie lie;

static long send_lie(void *arg)
{
	struct raw raw;
	long at, size;

	if (!raw_open(&raw, s->w, true))
		return 1;
	at = window_alloc(s->w, PAGE);
	size = window_info(s->w).size;
	atomic_fetch_add(&s->go, 1);
	while (atomic_load(&s->go) < 2)
		__builtin_ia32_pause();
	switch (lie) {
	case BEYOND:
		raw_send(&raw, size, 100);
		break;
	case FAR:
		raw_send(&raw, -PAGE, 100);
		break;
	case UNALIGNED:
		raw_send(&raw, at + 1, 100);
		break;
	case TOO_LONG:
		raw_send(&raw, at, (uint32_t)-1);
		break;
	case EMPTY:
		raw_send(&raw, at, 0);
		break;
	case TWICE:
		raw_send(&raw, at, 100);
		raw_send(&raw, at, 100);
		break;
	case NOT_ITS_OWN:
		raw_send(&raw, at + 8 * PAGE, 100);
		break;
	}
	atomic_store(&s->turn, 1);
	wait_for_turn(2);
	return 0;
}

/* Whether all it gets is in the window, which is in its slot; it may get nothing. */
static long get_lies(void *arg)
{
	struct lane lane = { 0 };
	struct iovec part[8];
	int ret = begin(&lane, false), got, i, k;

	wait_for_turn(1);
	for (k = 0; !ret && k < 3; k++) {
		got = faasctl_window_receive(lane.in, part, 8, NULL);
		for (i = 0; i < got; i++)
			if (((uintptr_t)part[i].iov_base ^ (uintptr_t)part) / SLOT ||
			    (((uintptr_t)part[i].iov_base + part[i].iov_len - 1) ^ (uintptr_t)part) / SLOT)
				ret = 1;
	}
	atomic_store(&s->turn, 2);
	return ret;
}

TEST_F(links, lies)
{
	struct link_state state;
	long result = -1;
	int i;

	for (i = BEYOND; i <= NOT_ITS_OWN; i++) {
		lie = i;
		atomic_store(&s->turn, 0);
		atomic_store(&s->go, 0);
		ASSERT_EQ(0, faasctl_domain_start(self->a, send_lie, NULL, &self->err));
		ASSERT_EQ(0, faasctl_domain_start(self->b, get_lies, NULL, &self->err));
		EXPECT_OK(faasctl_domain_join(self->a, &result, &self->err));
		EXPECT_EQ(0, result);
		EXPECT_OK(faasctl_domain_join(self->b, &result, &self->err));
		EXPECT_EQ(0, result);
		/* Whatever comes next is told who lied. */
		window_info(self->r);
		unread(self->r);
		close(self->w);
		close(self->r);
		ASSERT_EQ(0, flow_state(&self->flow, &state));
		EXPECT_EQ(FAASIN_CAUSE_LANE, state.last.cause) TH_LOG("lie %d", i);
		EXPECT_STREQ("a", state.last.stage);
		/* Nothing is left of that for the next stream. */
		EXPECT_OK(faasctl_domain_free(self->a, &self->err));
		EXPECT_OK(faasctl_domain_free(self->b, &self->err));
		ASSERT_EQ(0, faasctl_domain_new("a", &variant->options, &self->a, &self->err));
		ASSERT_EQ(0, faasctl_domain_new("b", &variant->options, &self->b, &self->err));
		self->w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
		self->r = flow_reader(&self->flow, O_NONBLOCK);
		s->w = self->w;
		s->r = self->r;
	}
}

TEST_HARNESS_MAIN
