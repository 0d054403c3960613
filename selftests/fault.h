/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every operation fails at every point at which the kernel can be told to fail it: each
 * allocation and each copy from or to user memory, one after the other, until there is none
 * left. Each time: a plain error, nothing changed, and the same once more succeeds.
 *
 * /proc/PID/fail-nth counts for the calling task alone, so nothing else in the guest fails.
 * Each try has a process and a world of its own: what an earlier one allocated would not be
 * allocated again.
 */
#ifndef _FAASIN_SELFTESTS_FAULT_H
#define _FAASIN_SELFTESTS_FAULT_H

#include "world.h"

#define SMALL		100
#define LARGE		200000	/* some blocks and a bit */

/* Errors that an operation may end in. */
#define NOMEM		(1u << 0)	/* ENOMEM */
#define FAULT		(1u << 1)	/* EFAULT */
#define NOBUFS		(1u << 2)	/* ENOBUFS */
/* An answer can get lost: then it is only known that all was done, or nothing. */
#define REQUEST		(NOMEM | FAULT | NOBUFS)

/**
 * struct try - what a try works with
 * @w: a charged workflow with the stages a and b
 * @ear: listens to events
 * @fail_nth: the control file
 * @in: input of b
 * @out: output of a
 * @pipe: a real one
 * @file: a file of SMALL bytes, a directory, or an epoll instance
 * @cgroup: descriptor of one
 * @dir: where to mount
 */
struct try {
	struct world w;
	struct nl ear;
	int fail_nth;
	int in, out;
	int pipe[2];
	int file;
	int cgroup;
	char dir[64];
};

/**
 * struct op - an operation
 * @name: how the results call it
 * @prepare: what must be there before; true if it is
 * @act: does it: >= 0 or -errno
 * @holds: it was done: its effect is there. @result: what @act returned
 * @errors: those it may end in
 */
struct op {
	const char *name;
	bool (*prepare)(struct try *t);
	long (*act)(struct try *t);
	bool (*holds)(struct try *t, long result);
	unsigned int errors;
};

/**
 * struct exhausted - what came of all tries of an operation
 * @rounds: how often each point was tried: FAULT_ROUNDS in the environment, or 1. With
 *	FAULT_STEP=N it is every Nth point only, for want of time. A few
 *	come and go, and shift those behind them: what one round has passed over, another
 *	is likely to meet
 * @points: that were met, in all rounds
 * @failed: of these, those that let the operation fail
 * @silent: of these, refusals without a text; the netlink core has some of its own
 * @wrong: what was wrong, a line for each; "" if nothing
 */
struct exhausted {
	unsigned int rounds;
	unsigned int points;
	unsigned int failed;
	unsigned int silent;
	char wrong[2048];
};

/* Why calls cannot be made to fail here; NULL if they can. */
const char *fault_unable(void);

/* Writes to a control file of the kernel's. */
bool fault_put(const char *path, const char *text);

/* What the calls that are made to fail may lack; copies fail in any case. True if it is set. */
bool fault_let_fail(bool objects, bool pages);

/* The calling task's control file, or -errno; lets the @nth thing that it asks for fail; lets
 * all be again, and says how far that still was: 0 if it has failed.
 */
int fault_open(void);
bool fault_arm(int fail_nth, unsigned int nth);
unsigned int fault_disarm(int fail_nth);

/* From one point to the next that is tried: FAULT_STEP. */
unsigned int fault_step(void);

/* Tries @op with each of its points. False if that cannot be done to the end. */
bool fault_exhaust(const struct op *op, struct exhausted *all);

/*
 * What the kernel has leaked since it started, as kmemleak lists it; "" if nothing, NULL if
 * there is no kmemleak. A leak is listed with the name of the operation as the task's.
 */
const char *fault_leaks(void);

/* What several operations need before. */
bool fault_linked(struct try *t);	/* a to b */
bool fault_opened(struct try *t);	/* both ends, the output blocking */
bool fault_open_ends(struct try *t, int flags);	/* of what is linked; @flags: of the output */
bool fault_filled(struct try *t);	/* SMALL bytes of fault_data wait */
bool fault_more_stages(struct try *t);	/* c and x */

/* Links, by the library: @src and @dst may be several, separated by commas. */
bool fault_link(struct try *t, const char *src, const char *dst,
		const struct faasctl_link_options *options);

/* What several do: with fault_data, to fault_back. */
long fault_write_small(struct try *t);
long fault_write_large(struct try *t);
long fault_write_parts(struct try *t);	/* SMALL bytes, in three */
long fault_read_small(struct try *t);
long fault_read_large(struct try *t);
long fault_read_parts(struct try *t);	/* SMALL bytes, in two */
long fault_splice_in(struct try *t);	/* SMALL bytes, from the pipe */
long fault_splice_out(struct try *t);	/* into the pipe */
long fault_poll(struct try *t);
long fault_ask_unread(struct try *t);
long fault_end_stream(struct try *t);
long fault_end_session(struct try *t);
long fault_abort(struct try *t);
long fault_set_context(struct try *t);
long fault_close_out(struct try *t);
long fault_close_in(struct try *t);

/* Effects that several have. */
bool fault_one(struct try *t, long result);
bool fault_two(struct try *t, long result);
bool fault_all_unread(struct try *t, long result);	/* as @result and the kernel say */

/* What was written arrives, all of it and once; the second: SMALL bytes, together. */
bool fault_arrives(struct try *t, long result);
bool fault_arrives_together(struct try *t, long result);

/* What was read before and what is left are all there was, which was @size bytes, or SMALL. */
bool fault_keeps(struct try *t, long result, long size);
bool fault_keeps_small(struct try *t, long result);
bool fault_keeps_large(struct try *t, long result);
bool fault_spliced(struct try *t, long result);	/* as the former, but to the pipe */

/* What is written now is for nobody. */
bool fault_closed_early(struct try *t, long result);

/* Filled with the pattern of tag 1. */
extern uint8_t fault_data[LARGE], fault_back[LARGE];

/*
 * The tests of a program: FAULT_TESTS, then OPERATION() for each, then FAULT_MAIN. What each says
 * of its points vm-test/fault makes a table of.
 */
#define OPERATION(called, before, does, check, ends)				\
	FIXTURE_VARIANT_ADD(fault, called) {					\
		.op = { #called, before, does, check, ends },			\
	}

#define FAULT_TESTS								\
FIXTURE(fault) {								\
	struct exhausted all;							\
};										\
FIXTURE_VARIANT(fault) {							\
	struct op op;								\
};										\
FIXTURE_SETUP(fault)								\
{										\
}										\
FIXTURE_TEARDOWN(fault)								\
{										\
}										\
TEST_F_TIMEOUT(fault, to_exhaustion, 900)					\
{										\
	EXPECT_TRUE(fault_exhaust(&variant->op, &self->all));			\
	EXPECT_STREQ("", self->all.wrong)					\
		TH_LOG("%s:\n%s", variant->op.name, self->all.wrong);		\
	TH_LOG("%s: %u points in %u round(s), of which %u let it fail, %u without a text",	\
	       variant->op.name, self->all.points, self->all.rounds, self->all.failed,	\
	       self->all.silent);						\
}

/* The leaks of all operations: what is younger than five seconds is not listed. */
#define FAULT_MAIN								\
FIXTURE(leaks) {								\
};										\
FIXTURE_SETUP(leaks)								\
{										\
}										\
FIXTURE_TEARDOWN(leaks)								\
{										\
}										\
TEST_F_TIMEOUT(leaks, none, 300)						\
{										\
	const char *leaks = fault_leaks();					\
										\
	if (!leaks)								\
		SKIP(return, "this kernel does not look for leaks (kmemleak)");	\
	EXPECT_STREQ("", leaks)							\
		TH_LOG("leaked:\n%s", leaks);					\
}										\
int main(int argc, char **argv)							\
{										\
	const char *unable = fault_unable();					\
										\
	if (unable) {								\
		printf("TAP version 13\n1..0 # SKIP %s\n", unable);		\
		return KSFT_SKIP;						\
	}									\
	return test_harness_run(argc, argv);					\
}

#endif /* _FAASIN_SELFTESTS_FAULT_H */
