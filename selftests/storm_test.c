// SPDX-License-Identifier: GPL-2.0
/*
 * A storm of kills over streams of bytes, written, read and spliced: storm.h says what must hold.
 */
#include "storm.h"
#include "harness.h"

#define CHUNK	(24 * KIB)

FIXTURE(storm)
{
	struct storm storm;
};

FIXTURE_VARIANT(storm)
{
	size_t capacity;
	bool splices;		/* the middle copies by splice() */
	bool cuts;		/* links, workflows, cgroups go, too */
	bool never;		/* deaths are ends: shows that the test would find out */
};

FIXTURE_VARIANT_ADD(storm, killing) { .capacity = 256 * KIB };
FIXTURE_VARIANT_ADD(storm, killing_in_one_page) { .capacity = PAGE };
FIXTURE_VARIANT_ADD(storm, killing_splices) { .capacity = 64 * KIB, .splices = true };
FIXTURE_VARIANT_ADD(storm, killing_and_cutting) { .capacity = 64 * KIB, .cuts = true };
FIXTURE_VARIANT_ADD(storm, killing_that_ends_streams) { .capacity = 64 * KIB, .never = true };

static void produce(struct storm_part *p)
{
	static uint8_t buf[CHUNK + 251];
	struct storm_head head;
	size_t size, at;
	long n;
	int fd;

	for (;;) {
		fd = storm_open(p, FAASIN_PORT_OUT, O_WRONLY);
		if (fd < 0)
			continue;
		head = storm_stream(p);
		pattern_fill(buf, sizeof(buf), head.tag, 0);
		n = storm_write(p->sent, fd, &head, sizeof(head));
		for (at = 0; n >= 0 && at < head.len; at += n) {
			size = random_next(&p->seed) % CHUNK + 1;
			if (size > head.len - at)
				size = head.len - at;
			n = storm_write(p->sent, fd, buf + at % 251, size);
			if (n < 0)
				break;
		}
		if (n < 0 && n != -EPIPE)
			storm_odd(p->found, n);
		if (n >= 0 && random_next(&p->seed) % 3 == 0)
			ioctl(fd, FAASIN_IOC_END);
		close(fd);
	}
}

static void consume(struct storm_part *p)
{
	static uint8_t buf[CHUNK];
	struct storm_head head;
	uint64_t at;
	bool early;
	long n;
	int fd;

	for (;;) {
		fd = storm_open(p, FAASIN_PORT_IN, O_RDONLY);
		if (fd < 0)
			continue;
		early = random_next(&p->seed) % 8 == 0;
		/* Together, as the writer wrote them. */
		n = storm_read(p->got, fd, &head, sizeof(head));
		if (n == -ECONNABORTED) {
			storm_count(&p->found->aborted);
		} else if (n != sizeof(head)) {
			if (n)
				storm_count(&p->found->mixed);
			else
				storm_count(&p->found->cut);
		} else if (head.magic != STORM_MAGIC) {
			storm_count(&p->found->mixed);
		} else {
			for (at = 0; !(early && at > head.len / 2); at += n) {
				n = storm_read(p->got, fd, buf, random_next(&p->seed) % CHUNK + 1);
				if (n <= 0)
					break;
				if (!pattern_is(buf, n, head.tag, at) || at + n > head.len)
					storm_count(&p->found->mixed);
			}
			if (n <= 0)
				storm_judge(p->found, n, &head, at);
		}
		close(fd);
	}
}

/**
 * struct passing - a stage in the middle
 * @part: which
 * @in: its input
 * @out: its output
 * @pipe: what splice() takes in between
 */
struct passing {
	struct storm_part *part;
	int in;
	int out;
	int pipe[2];
};

static long pass_by_copy(const struct passing *p)
{
	static uint8_t buf[CHUNK];
	long n = storm_read(p->part->got, p->in, buf, random_next(&p->part->seed) % CHUNK + 1);

	return n <= 0 ? n : storm_write(p->part->sent, p->out, buf, n);
}

static long pass_by_splice(const struct passing *p)
{
	size_t size = random_next(&p->part->seed) % CHUNK + 1;
	long n, left, m;

	storm_moves(p->part->got, size);
	n = sys(splice(p->in, NULL, p->pipe[1], NULL, size, 0));
	storm_moved(p->part->got, n);
	for (left = n; left > 0; left -= m) {
		storm_moves(p->part->sent, left);
		m = sys(splice(p->pipe[0], NULL, p->out, NULL, left, 0));
		storm_moved(p->part->sent, m);
		if (m <= 0)
			return m ?: -EIO;
	}
	return n;
}

/* One stream in, one stream out; what is not whole is aborted. */
static void pass_on(struct storm_part *part, long (*pass)(const struct passing *p))
{
	uint8_t first[sizeof(struct storm_head)];
	struct passing p = { .part = part };
	long n;

	for (;;) {
		p.in = storm_open(part, FAASIN_PORT_IN, O_RDONLY);
		if (p.in < 0)
			continue;
		/* Who opened no output has none to end. */
		n = storm_read(part->got, p.in, first, sizeof(first));
		p.out = n > 0 ? storm_open(part, FAASIN_PORT_OUT, O_WRONLY) : -1;
		if (p.out < 0) {
			if (n < 0 && n != -ECONNABORTED)
				storm_odd(part->found, n);
			if (!n)
				storm_count(&part->found->cut);
			close(p.in);
			continue;
		}
		if (pipe(p.pipe))
			_exit(99);
		n = storm_write(part->sent, p.out, first, n);
		while (n > 0)
			n = pass(&p);
		if (n < 0) {
			struct faasin_abort why = { .cause = FAASIN_CAUSE_REQUEST };

			if (n != -EPIPE && n != -ECONNABORTED)
				storm_odd(part->found, n);
			if (ioctl(p.out, FAASIN_IOC_ABORT, &why))
				storm_odd(part->found, -errno);
		}
		close(p.pipe[0]);
		close(p.pipe[1]);
		close(p.out);
		close(p.in);
	}
}

static void copy(struct storm_part *p)
{
	pass_on(p, pass_by_copy);
}

static void splices(struct storm_part *p)
{
	pass_on(p, pass_by_splice);
}

FIXTURE_SETUP(storm)
{
	self->storm.options = (struct storm_options){
		.does = { produce, variant->splices ? splices : copy, consume },
		.kills = 400,
		.variants = 5,
		.capacity = variant->capacity,
		.cuts = variant->cuts,
		.never = variant->never,
	};
	STORM_SETUP(&self->storm);
}

FIXTURE_TEARDOWN(storm)
{
	STORM_TEARDOWN(&self->storm);
}

TEST_F_TIMEOUT(storm, leaves_nothing_behind, 3600)
{
	struct storm *s = &self->storm;
	struct faasin_port_info info;
	int i;

	ASSERT_TRUE(storm_blows(s))
		TH_LOG("%s", s->wrong);
	EXPECT_TRUE(storm_settles(s))
		TH_LOG("%s", s->wrong);
	STORM_EXPECT_SOUND(s);

	/* Links work as if nothing had been. */
	for (i = 0; i + 1 < STORM_STAGES; i++) {
		int out = world_open(&s->world, storm_stages[1][i], FAASIN_PORT_OUT, O_WRONLY);
		int in = world_open(&s->world, storm_stages[1][i + 1], FAASIN_PORT_IN, O_RDONLY);

		ASSERT_LE(0, out);
		ASSERT_LE(0, in);
		info = port_info(in);
		EXPECT_EQ(variant->capacity, info.capacity);
		close(in);
		close(out);
	}
	EXPECT_TRUE(storm_is_forgotten(s))
		TH_LOG("%s", s->wrong);
}

TEST_HARNESS_MAIN
