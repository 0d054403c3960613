// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes: a stage that writes garbage into the memory that it shares, all the time. It spoils its
 * own stream, and what its peer makes of that: not the module, no other link, no figure.
 */
#include "lane.h"

#include <pthread.h>
#include <sys/uio.h>

#include "fan.h"
#include "harness.h"

struct vandal {
	__u64 *words;
	size_t n;
	uint64_t seed;
	int stop;
	pthread_t thread;
};

/* Anything, anywhere; often such as may make some sense. */
static void *vandalize(void *arg)
{
	struct vandal *v = arg;
	uint64_t value;

	while (!__atomic_load_n(&v->stop, __ATOMIC_RELAXED)) {
		value = random_next(&v->seed);
		switch (value % 5) {
		case 0:
			value = random_next(&v->seed) % 600;
			break;
		case 1:
			value = random_next(&v->seed) % 256 * PAGE;
			break;
		case 2:
			value = (random_next(&v->seed) % PAGE) << 32 | random_next(&v->seed) % 2;
			break;
		}
		/* The indices as often as all the rest. */
		v->words[random_next(&v->seed) % 2 ? random_next(&v->seed) % 2 * 8 :
			 random_next(&v->seed) % v->n] = value;
	}
	return NULL;
}

static bool vandal_begin(struct vandal *v, struct raw *raw, bool producer, uint64_t seed)
{
	*v = (struct vandal){
		.words = producer ? &raw->out->sent : &raw->in->taken,
		.n = (producer ? sizeof(*raw->out) : sizeof(*raw->in)) / 8,
		.seed = seed,
	};
	return !pthread_create(&v->thread, NULL, vandalize, v);
}

static void vandal_end(struct vandal *v)
{
	__atomic_store_n(&v->stop, 1, __ATOMIC_RELAXED);
	pthread_join(v->thread, NULL);
}

/* A stream that nobody took from waits for the next. */
static void drop_queued(struct flow *f)
{
	int r;

	while (flow_stats(f).streams_queued) {
		r = flow_reader(f, O_NONBLOCK);
		ioctl(r, FAASIN_IOC_END);
		close(r);
	}
}

/* Of a link whose ends are closed: it takes all that it ever took, and nothing is lost. */
#define EXPECT_AS_GOOD_AS_EVER(f)						\
do {										\
	struct faasctl_stats good = flow_stats(f);				\
	int good_w = flow_writer(f, O_RDWR), good_r = flow_reader(f, 0);	\
										\
	EXPECT_EQ(0, good.bytes_held);						\
	EXPECT_EQ(good.bytes_in, good.bytes_out + good.bytes_dropped);		\
	EXPECT_EQ(0, window_alloc(good_w, MIB - PAGE));				\
	EXPECT_EQ(0, window_return(good_w, 0));					\
	EXPECT_WRITE(good_w, "abc");						\
	EXPECT_READ(good_r, "abc");						\
	close(good_w);								\
	close(good_r);								\
	EXPECT_EQ(PAGE, falls_to_a_page(f));					\
} while (0)

FIXTURE(garbage)
{
	struct flow flow;
	int w, r;
};

/* Who writes it. */
FIXTURE_VARIANT(garbage)
{
	bool out, in;
};

FIXTURE_VARIANT_ADD(garbage, of_a_producer) { .out = true };
FIXTURE_VARIANT_ADD(garbage, of_a_consumer) { .in = true };
FIXTURE_VARIANT_ADD(garbage, of_both) { .out = true, .in = true };

FIXTURE_SETUP(garbage)
{
	struct flow_options options = { .capacity = MIB, .trusted = true };

	signal(SIGPIPE, SIG_IGN);
	FLOW_SETUP(&self->flow, &options);
}

FIXTURE_TEARDOWN(garbage)
{
	FLOW_TEARDOWN(&self->flow);
}

/* Everything that can be asked of both ends. */
static void ask(int w, int r, uint64_t *seed)
{
	struct faasin_range range = { 0 };
	struct pollfd both[] = { { .fd = w, .events = POLLOUT }, { .fd = r, .events = POLLIN } };
	uint8_t buf[5000];

	switch (random_next(seed) % 40) {
	case 0 ... 11:
		window_alloc(w, 1 + random_next(seed) % (8 * PAGE));
		break;
	case 12 ... 17:
		ioctl(w, FAASIN_IOC_LANE_KICK);
		break;
	case 18 ... 23:
		ioctl(r, FAASIN_IOC_LANE_KICK);
		break;
	case 24 ... 26:
		ioctl(w, FAASIN_IOC_LANE_WAIT);
		break;
	case 27 ... 29:
		ioctl(r, FAASIN_IOC_LANE_WAIT);
		break;
	case 30 ... 31:
		poll(both, 2, 0);
		break;
	case 32 ... 33:
		window_return(w, random_next(seed) % 256 * PAGE);
		break;
	case 34 ... 35:
		window_return(r, random_next(seed) % 256 * PAGE);
		break;
	case 36:
		unread(w);
		port_info(r);
		break;
	case 37:
		if (!(random_next(seed) % 20))
			window_take(r, &range);
		break;
	case 38:
		if (!(random_next(seed) % 20) && read(r, buf, sizeof(buf)) < 0)
			break;
		break;
	case 39:
		if (!(random_next(seed) % 20) && write(w, buf, sizeof(buf)) < 0)
			break;
		break;
	}
}

TEST_F_TIMEOUT(garbage, spoils_only_its_own_stream, 240)
{
	struct faasctl_stats st;
	uint64_t seed = 77;
	struct vandal out_vandal, in_vandal;
	struct raw out, in;
	int on = 0;

	for (int round = 0; round < 60; round++) {
		self->w = flow_writer(&self->flow, O_RDWR | O_NONBLOCK);
		self->r = flow_reader(&self->flow, O_NONBLOCK);
		ASSERT_TRUE(raw_open(&out, self->w, true));
		ASSERT_TRUE(raw_open(&in, self->r, false));
		on += out.state->state == FAASIN_LANE_ON;
		if (variant->out)
			ASSERT_TRUE(vandal_begin(&out_vandal, &out, true, 100 + round));
		if (variant->in)
			ASSERT_TRUE(vandal_begin(&in_vandal, &in, false, 1000 + round));
		for (int i = 0; i < 400; i++)
			ask(self->w, self->r, &seed);
		st = flow_stats(&self->flow);
		EXPECT_EQ(st.bytes_in, st.bytes_out + st.bytes_dropped + st.bytes_held);
		/* In either order, while it goes on. */
		close(round % 2 ? self->w : self->r);
		close(round % 2 ? self->r : self->w);
		if (variant->out)
			vandal_end(&out_vandal);
		if (variant->in)
			vandal_end(&in_vandal);
		drop_queued(&self->flow);
		raw_close(&out);
		raw_close(&in);
	}
	EXPECT_LT(50, on);
	EXPECT_AS_GOOD_AS_EVER(&self->flow);
}

/* ------------------------------------------------------------ an honest peer */

FIXTURE(peer)
{
	struct lane lane, other;
	struct fan fan;
	struct raw raw;
};

FIXTURE_SETUP(peer)
{
	struct lane *other = &self->other;

	LANE_SETUP(&self->lane);
	lane_close_both(&self->lane);
	/* Another workflow, with one link. */
	FAN_SETUP(&self->fan, 1, NULL);
	other->w = fan_writer(&self->fan, O_RDWR | O_NONBLOCK);
	other->r = fan_reader(&self->fan, 0, O_NONBLOCK);
	ASSERT_EQ(0, faasctl_window_open(&other->out, other->w, &other->err));
	ASSERT_EQ(0, faasctl_window_open(&other->in, other->r, &other->err));
}

FIXTURE_TEARDOWN(peer)
{
	lane_close_out(&self->other);
	lane_close_in(&self->other);
	FAN_TEARDOWN(&self->fan);
	FLOW_TEARDOWN(&self->lane.flow);
}

/* Looks at all of it, and fills it: what happens, SIGBUS included, happens to this process. */
static int touch_all(void *at, size_t length, bool fill)
{
	int got = 0;

	for (size_t i = 0; i < length; i += PAGE)
		got |= fill ? window_poke((uint8_t *)at + i, i) : window_peek((uint8_t *)at + i);
	return got;
}

/* A few things that a producer does with the library, whatever its peer says. */
static void produce(struct lane *l, uint64_t *seed)
{
	struct iovec part = { .iov_len = 1 + random_next(seed) % 30000 };

	if (faasctl_window_alloc(l->out, part.iov_len, &part.iov_base, NULL)) {
		/* Full, for ever perhaps: the peer is to get on. */
		ioctl(l->w, FAASIN_IOC_LANE_WAIT);
		return;
	}
	touch_all(part.iov_base, part.iov_len, true);
	if (random_next(seed) % 10)
		faasctl_window_send(l->out, &part, 1, NULL);
	else
		faasctl_window_release(l->out, &part, 1, NULL);
}

static void consume(struct lane *l, uint64_t *seed)
{
	struct iovec parts[FAASIN_RANGES_MAX];
	int n = faasctl_window_receive(l->in, parts, 1 + random_next(seed) % FAASIN_RANGES_MAX, NULL);

	for (int i = 0; i < n; i++)
		touch_all(parts[i].iov_base, parts[i].iov_len, false);
	if (n > 0)
		faasctl_window_release(l->in, parts, n, NULL);
}

/* So that something makes sense now and then. */
static void feed(struct lane *l, struct raw *raw, bool producer, uint64_t *seed)
{
	struct faasin_range range = { 0 };

	switch (random_next(seed) % 8) {
	case 0:
		ioctl(producer ? l->w : l->r, FAASIN_IOC_LANE_KICK);
		break;
	case 1:
		if (producer)
			window_alloc(l->w, 1 + random_next(seed) % (8 * PAGE));
		else if (!(random_next(seed) % 20) && window_take(l->r, &range) == 1)
			window_return(l->r, range.offset);
		break;
	case 2:
		if (producer)
			raw_send(raw, random_next(seed) % 256 * PAGE, 1 + random_next(seed) % PAGE);
		else
			raw_return(raw, random_next(seed) % 256 * PAGE);
		break;
	}
}

static void torment(struct __test_metadata *_metadata, FIXTURE_DATA(peer) *self, bool producer)
{
	struct lane *l = &self->lane;
	struct faasctl_stats st;
	struct vandal vandal;
	uint64_t seed = 99;
	int on = 0;

	for (int round = 0; round < 40; round++) {
		if (producer) {
			l->w = flow_writer(&l->flow, O_RDWR | O_NONBLOCK);
			ASSERT_TRUE(raw_open(&self->raw, l->w, true));
			ASSERT_EQ(0, lane_open_in(l, O_NONBLOCK));
		} else {
			l->r = flow_reader(&l->flow, O_NONBLOCK);
			ASSERT_TRUE(raw_open(&self->raw, l->r, false));
			ASSERT_EQ(0, lane_open_out(l, O_NONBLOCK));
		}
		on += lane_is_on(l->w);
		ASSERT_TRUE(vandal_begin(&vandal, &self->raw, producer, 500 + round));
		for (int i = 0; i < 300; i++) {
			feed(l, &self->raw, producer, &seed);
			if (producer)
				consume(l, &seed);
			else
				produce(l, &seed);
		}
		st = flow_stats(&l->flow);
		EXPECT_EQ(st.bytes_in, st.bytes_out + st.bytes_dropped + st.bytes_held);
		/* Who has nothing to do with it gets on. */
		ASSERT_EQ(0, put(&self->other, 3 * PAGE, round));
		ASSERT_EQ(0, get(&self->other, 3 * PAGE, round));
		vandal_end(&vandal);
		if (producer) {
			close(l->w);
			lane_close_in(l);
		} else {
			close(l->r);
			lane_close_out(l);
		}
		raw_close(&self->raw);
		drop_queued(&l->flow);
	}
	EXPECT_EQ(40, on);
	EXPECT_AS_GOOD_AS_EVER(&l->flow);
}

TEST_F_TIMEOUT(peer, of_a_producer_that_lies, 240)
{
	torment(_metadata, self, true);
}

TEST_F_TIMEOUT(peer, of_a_consumer_that_lies, 240)
{
	torment(_metadata, self, false);
}

/* What it names need not be there. It is said so: who trusts a link trusts its other side. */
TEST_F(peer, is_sent_what_is_not_there)
{
	struct lane *l = &self->lane;
	struct iovec part;

	l->w = flow_writer(&l->flow, O_RDWR | O_NONBLOCK);
	ASSERT_TRUE(raw_open(&self->raw, l->w, true));
	ASSERT_EQ(0, lane_open_in(l, O_NONBLOCK));
	ASSERT_EQ(FAASIN_LANE_ON, self->raw.state->state);
	raw_send(&self->raw, 100 * PAGE, 10);
	ASSERT_EQ(1, faasctl_window_receive(l->in, &part, 1, &l->err));
	EXPECT_EQ(-SIGBUS, window_peek(part.iov_base));
	EXPECT_EQ(0, faasctl_window_release(l->in, &part, 1, &l->err));
	EXPECT_EQ(0, sys(ioctl(l->w, FAASIN_IOC_END)));
	EXPECT_EQ(-ECONNABORTED, faasctl_window_receive(l->in, &part, 1, &l->err));
	EXPECT_EQ(FAASIN_CAUSE_LANE, port_info(l->r).cause);
	close(l->w);
	lane_close_in(l);
	raw_close(&self->raw);
}

/* What comes back that was not sent by the lane, or came back before, is not had. */
TEST_F(peer, gets_back_only_what_it_sent)
{
	struct lane *l = &self->lane;
	struct iovec held = { .iov_len = PAGE }, gone = held;

	l->r = flow_reader(&l->flow, O_NONBLOCK);
	ASSERT_TRUE(raw_open(&self->raw, l->r, false));
	ASSERT_EQ(0, lane_open_out(l, O_NONBLOCK));
	ASSERT_EQ(FAASIN_LANE_ON, self->raw.state->state);
	ASSERT_EQ(0, faasctl_window_alloc(l->out, PAGE, &held.iov_base, &l->err));
	ASSERT_EQ(0, faasctl_window_alloc(l->out, PAGE, &gone.iov_base, &l->err));
	EXPECT_EQ(0, faasctl_window_release(l->out, &gone, 1, &l->err));
	raw_return(&self->raw, (char *)gone.iov_base - (char *)held.iov_base);
	EXPECT_EQ(-EPIPE, put(l, PAGE, 1));
	EXPECT_EQ(FAASIN_CAUSE_LANE, port_info(l->w).cause);
	close(l->r);
	lane_close_out(l);
	raw_close(&self->raw);
}

/* Nor is a producer kept busy with it: its calls say what became of the stream. */
TEST_F_TIMEOUT(peer, is_not_kept_busy, 60)
{
	struct lane *l = &self->lane;
	void *at;

	l->r = flow_reader(&l->flow, O_NONBLOCK);
	ASSERT_TRUE(raw_open(&self->raw, l->r, false));
	ASSERT_EQ(0, lane_open_out(l, 0));
	ASSERT_EQ(FAASIN_LANE_ON, self->raw.state->state);
	ASSERT_EQ(0, faasctl_window_alloc(l->out, faasctl_window_size(l->out), &at, &l->err));
	self->raw.in->returned = 1ULL << 40;
	EXPECT_EQ(-EPIPE, faasctl_window_alloc(l->out, PAGE, &at, &l->err));
	close(l->r);
	lane_close_out(l);
	raw_close(&self->raw);
}

TEST_HARNESS_MAIN
