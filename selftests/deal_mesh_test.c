// SPDX-License-Identifier: GPL-2.0
/*
 * Outputs that deal to inputs that merge: several to several. What is over for one link is so
 * for all that its output deals to, whatever the others merge it with; and whoever leaves a
 * merged stream leaves those of all outputs.
 */
#include "actor.h"
#include "fan.h"
#include "records.h"

#include "harness.h"

#define CAPACITY	(16 * KIB)
#define ENDS	2

/* "c" and "e" deal to "x" and "y", each of which merges what both give it. */
FIXTURE(mesh)
{
	struct fan fan;
	int w[ENDS], r[ENDS];
};

static const char *const giver[ENDS] = { "c", "e" }, *const taker[ENDS] = { "x", "y" };

static int mesh_link(struct fan *f)
{
	struct faasctl_link_options options = FAN_DEALT_INIT(CAPACITY);

	options.merge = FAASIN_MERGE_TURN;
	return fan_link(f, "c,e", "x,y", &options);
}

static void mesh_open(FIXTURE_DATA(mesh) *self)
{
	int i;

	for (i = 0; i < ENDS; i++) {
		self->w[i] = fan_open(&self->fan, giver[i], FAASIN_PORT_OUT, O_WRONLY | O_NONBLOCK);
		self->r[i] = fan_open(&self->fan, taker[i], FAASIN_PORT_IN, O_RDONLY | O_NONBLOCK);
	}
}

static void mesh_close(FIXTURE_DATA(mesh) *self)
{
	int i;

	for (i = 0; i < ENDS; i++) {
		close(self->w[i]);
		close(self->r[i]);
	}
}

FIXTURE_SETUP(mesh)
{
	int i;

	FAN_SETUP(&self->fan, 0, NULL);
	for (i = 0; i < ENDS; i++) {
		ASSERT_EQ(0, fan_stage(&self->fan, giver[i]));
		ASSERT_EQ(0, fan_stage(&self->fan, taker[i]));
	}
	ASSERT_EQ(0, mesh_link(&self->fan))
		TH_LOG("%s", self->fan.refusal);
	mesh_open(self);
}

FIXTURE_TEARDOWN(mesh)
{
	mesh_close(self);
	FAN_TEARDOWN(&self->fan);
}

/* Each gives records 0 to 3; the first reader is to have 0 and 2 of both, the other 1 and 3. */
#define EXPECT_GIVEN()									\
do {											\
	char given[] = "c0";								\
											\
	for (int given_i = 0; given_i < ENDS * 4; given_i++) {				\
		given[0] = *giver[given_i / 4];						\
		given[1] = '0' + given_i % 4;						\
		EXPECT_WRITE(self->w[given_i / 4], given);				\
	}										\
} while (0)

#define EXPECT_ALL_OF_THE_OTHER(how)							\
do {											\
	EXPECT_RECORD_READ(self->r[1], "c1");						\
	EXPECT_RECORD_READ(self->r[1], "e1");						\
	EXPECT_RECORD_READ(self->r[1], "c3");						\
	EXPECT_RECORD_READ(self->r[1], "e3");						\
	EXPECT_OVER(self->r[1], how);							\
} while (0)

#define EXPECT_NEXT_STREAMS()								\
do {											\
	mesh_close(self);								\
	mesh_open(self);								\
	EXPECT_GIVEN();									\
	for (int next_i = 0; next_i < ENDS; next_i++)					\
		close(self->w[next_i]);							\
	EXPECT_RECORD_READ(self->r[0], "c0");						\
	EXPECT_RECORD_READ(self->r[0], "e0");						\
	EXPECT_RECORD_READ(self->r[0], "c2");						\
	EXPECT_RECORD_READ(self->r[0], "e2");						\
	EXPECT_OVER(self->r[0], 0);							\
	EXPECT_ALL_OF_THE_OTHER(0);							\
} while (0)

/* It had streams of both outputs: what is over for one of its links is so for all of each. */
TEST_F(mesh, one_that_merges_leaves)
{
	EXPECT_GIVEN();
	EXPECT_RECORD_READ(self->r[0], "c0");
	close(self->r[0]);
	self->r[0] = -1;
	EXPECT_EQ(-EPIPE, sys(write(self->w[0], "x", 1)));
	EXPECT_EQ(-EPIPE, sys(write(self->w[1], "x", 1)));
	EXPECT_ALL_OF_THE_OTHER(-ECONNABORTED);
	EXPECT_EQ(FAASIN_CAUSE_DEAL, fan_link_state(&self->fan, "c", "y").last.cause);
	EXPECT_EQ(FAASIN_CAUSE_DEAL, fan_link_state(&self->fan, "e", "y").last.cause);
	EXPECT_NEXT_STREAMS();
}

TEST_F(mesh, one_that_merges_ends_it)
{
	EXPECT_GIVEN();
	EXPECT_EQ(POLLIN, ready(self->r[0]));
	EXPECT_EQ(0, sys(ioctl(self->r[0], FAASIN_IOC_END)));
	EXPECT_OVER(self->r[0], 0);
	EXPECT_EQ(-EPIPE, sys(write(self->w[1], "x", 1)));
	EXPECT_EQ(-EPIPE, sys(write(self->w[0], "x", 1)));
	EXPECT_ALL_OF_THE_OTHER(-ECONNABORTED);
	EXPECT_NEXT_STREAMS();
}

/* One is over for both who read, at the place of its next record; so is the other output's. */
TEST_F(mesh, one_that_deals_is_aborted)
{
	struct faasin_abort abort = { .cause = FAASIN_CAUSE_REQUEST };

	EXPECT_GIVEN();
	EXPECT_EQ(0, sys(ioctl(self->w[0], FAASIN_IOC_ABORT, &abort)));
	EXPECT_RECORD_READ(self->r[0], "c0");
	EXPECT_RECORD_READ(self->r[0], "e0");
	EXPECT_RECORD_READ(self->r[0], "c2");
	EXPECT_RECORD_READ(self->r[0], "e2");
	EXPECT_OVER(self->r[0], -ECONNABORTED);
	EXPECT_EQ(-EPIPE, sys(write(self->w[1], "x", 1)));
	EXPECT_ALL_OF_THE_OTHER(-ECONNABORTED);
	EXPECT_NEXT_STREAMS();
}

TEST_F(mesh, one_that_merges_is_replaced)
{
	EXPECT_GIVEN();
	EXPECT_RECORD_READ(self->r[0], "c0");
	EXPECT_EQ(0, fan_replace(&self->fan, "x"));
	EXPECT_OVER(self->r[0], -ESTALE);
	close(self->r[0]);
	self->r[0] = fan_open(&self->fan, "x", FAASIN_PORT_IN, O_RDONLY | O_NONBLOCK);
	EXPECT_RECORD_READ(self->r[0], "e0");
	EXPECT_RECORD_READ(self->r[0], "c2");
	close(self->w[0]);
	close(self->w[1]);
	EXPECT_RECORD_READ(self->r[0], "e2");
	EXPECT_OVER(self->r[0], 0);
	EXPECT_ALL_OF_THE_OTHER(0);
}

static void gives(struct fan *f, unsigned int i, uint32_t *did)
{
	int fd, n;

	for (;; __atomic_add_fetch(did, 1, __ATOMIC_RELAXED)) {
		fd = fan_open(f, giver[i], FAASIN_PORT_OUT, O_WRONLY);
		for (n = 0; fd >= 0 && n < 200 && write(fd, "record", 6) == 6; n++)
			;
		close(fd);
	}
}

/*
 * Reads some, and leaves in one of three ways. Rounds of the two get out of step by that: then
 * one waits for what the other is to read first, so nobody waits for long.
 */
static void takes(struct fan *f, unsigned int i, uint64_t seed, uint32_t *did)
{
	struct pollfd p = { .events = POLLIN };
	char buf[8];
	int n;

	for (;; __atomic_add_fetch(did, 1, __ATOMIC_RELAXED)) {
		p.fd = fan_open(f, taker[i], FAASIN_PORT_IN, O_RDONLY | O_NONBLOCK);
		if (p.fd < 0)
			continue;
		for (n = random_next(&seed) % 300; n && poll(&p, 1, 20) == 1; n--)
			if (read(p.fd, buf, sizeof(buf)) <= 0)
				break;
		if (random_next(&seed) % 2)
			ioctl(p.fd, FAASIN_IOC_END);
		close(p.fd);
	}
}

/* Each of them does something more. */
static bool all_go_on(const uint32_t *did, unsigned int n)
{
	uint32_t before[2 * ENDS];
	unsigned int i;
	int wait;

	memcpy(before, did, sizeof(before));
	for (i = 0; i < n; i++) {
		for (wait = 0; __atomic_load_n(&did[i], __ATOMIC_RELAXED) == before[i]; wait++) {
			if (wait == DEADLINE * 100)
				return false;
			usleep(10000);
		}
	}
	return true;
}

/* Both readers leave at once, links and stages go and come, writers are killed. */
TEST_F_TIMEOUT(mesh, all_come_and_go, 120)
{
	uint32_t *did = shared(PAGE);
	struct faasctl_stats sums;
	pid_t pids[2 * ENDS];
	unsigned int round, i;
	uint64_t seed = 11;

	ASSERT_NE(NULL, did);
	mesh_close(self);
	for (i = 0; i < 2 * ENDS; i++) {
		pids[i] = child_for(120);
		if (!pids[i] && i < ENDS)
			gives(&self->fan, i, &did[i]);
		else if (!pids[i])
			takes(&self->fan, i - ENDS, i, &did[i]);
	}
	for (round = 0; round < 200 / slower() + 20; round++) {
		i = random_next(&seed) % ENDS;
		switch (random_next(&seed) % 5) {
		case 0:
			fan_unlink(&self->fan, giver[i], taker[random_next(&seed) % ENDS]);
			break;
		case 1:
			fan_replace(&self->fan, random_next(&seed) % 2 ? giver[i] : taker[i]);
			break;
		case 2:
			child_kill(pids[i], SIGKILL);
			pids[i] = child_for(120);
			if (!pids[i])
				gives(&self->fan, i, &did[i]);
			break;
		default:
			mesh_link(&self->fan);
		}
		usleep(random_next(&seed) % 10000);
	}
	EXPECT_EQ(0, mesh_link(&self->fan));
	EXPECT_TRUE(all_go_on(did, 2 * ENDS));
	for (i = 0; i < 2 * ENDS; i++)
		child_kill(pids[i], SIGKILL);
	sums = fan_sums(&self->fan);
	EXPECT_EQ(sums.bytes_in, sums.bytes_out + sums.bytes_dropped + sums.bytes_held);
	EXPECT_EQ(0, sums.bytes_in % 6);
	munmap(did, PAGE);
	mesh_open(self);
}

TEST_HARNESS_MAIN
