// SPDX-License-Identifier: GPL-2.0
/*
 * Fan-in that merges: the records of several outputs are one stream of one input. Which comes
 * next, how it ends, and what becomes of it when somebody leaves, is replaced or unlinked.
 */
#include "actor.h"
#include "fan_merge.h"
#include "window.h"

#define BAD_ADDRESS	((void *)16)

/* ---------------------------------------------------------------------- order */

TEST_F(merge, records_come_whole_each_link_after_the_other)
{
	unsigned int i, k;
	char text[8];

	for (k = 0; k < 3; k++)
		for (i = STAGES; i--; ) {
			sprintf(text, "%u-%u", i, k);
			EXPECT_WRITE(self->w[i], text);
		}
	EXPECT_EQ(27, unread(self->r));
	for (k = 0; k < 3; k++)
		for (i = 0; i < STAGES; i++) {
			sprintf(text, "%u-%u", i, k);
			EXPECT_EQ(3, port_info(self->r).record);
			EXPECT_RECORD_READ(self->r, text);
		}
	EXPECT_NOTHING(self->r);
}

/* Who floods does not starve the others. */
TEST_F(merge, those_that_have_one_take_turns)
{
	unsigned int n, k;

	for (n = 0; record_write(self->w[0], 1000, 0) == 1000; n++)
		;
	ASSERT_LT(20, n);
	for (k = 0; k < 10; k++) {
		EXPECT_EQ(10, record_write(self->w[1], 10, 1));
		EXPECT_EQ(20, record_write(self->w[2], 20, 2));
	}
	for (k = 0; k < 10; k++) {
		EXPECT_TRUE(record_is(self->r, 2000, 1000, 0, 0));
		EXPECT_TRUE(record_is(self->r, 2000, 10, 1, 0));
		EXPECT_TRUE(record_is(self->r, 2000, 20, 2, 0));
	}
	end_from(self->w, 1);
	for (; k < n; k++)
		EXPECT_TRUE(record_is(self->r, 2000, 1000, 0, 0));
	EXPECT_NOTHING(self->r);
}

TEST_F(merge, what_one_has_not_others_may_have)
{
	EXPECT_WRITE(self->w[2], "third");
	if (variant->merge == FAASIN_MERGE_TURN) {
		EXPECT_NOTHING(self->r);
		EXPECT_EQ(0, ready(self->r));
		EXPECT_EQ(0, port_info(self->r).record);
		EXPECT_EQ(5, unread(self->r));
		EXPECT_WRITE(self->w[0], "first");
		EXPECT_RECORD_READ(self->r, "first");
		EXPECT_EQ(0, ready(self->r));
		/* Its stream is over, and had none. */
		close(self->w[1]);
		self->w[1] = -1;
		EXPECT_EQ(POLLIN, ready(self->r));
	}
	EXPECT_RECORD_READ(self->r, "third");
	EXPECT_NOTHING(self->r);
}

/* Nothing comes between the parts of a record, whatever is there, or is not. */
TEST_F(merge, a_record_that_was_read_in_part_comes_to_its_end)
{
	EXPECT_WRITE(self->w[0], "abcdef");
	EXPECT_WRITE(self->w[1], "other");
	EXPECT_READ(self->r, "abc");
	EXPECT_EQ(3, port_info(self->r).record);
	EXPECT_READ(self->r, "d");
	ASSERT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_PAUSED));
	EXPECT_NOTHING(self->r);
	EXPECT_EQ(0, ready(self->r));
	ASSERT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_RUNNING));
	EXPECT_RECORD_READ(self->r, "ef");
	EXPECT_RECORD_READ(self->r, "other");
}

TEST_F(merge, a_paused_link_has_nothing)
{
	EXPECT_WRITE(self->w[0], "first");
	EXPECT_WRITE(self->w[1], "second");
	ASSERT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_PAUSED));
	if (variant->merge == FAASIN_MERGE_RECORDS)
		EXPECT_RECORD_READ(self->r, "second");
	EXPECT_NOTHING(self->r);
	ASSERT_EQ(0, fan_in_set_state(&self->fan, 0, FAASIN_LINK_STATE_RUNNING));
	EXPECT_RECORD_READ(self->r, "first");
}

/* Each has room of its own, and waits for nobody else's reading. */
TEST_F(merge, each_writer_is_throttled_by_its_own_link)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(CAPACITY, record_write(self->w[i], CAPACITY, i));
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(-EAGAIN, record_write(self->w[i], 1, i));
		EXPECT_TRUE(record_is(self->r, 2 * CAPACITY, CAPACITY, i, 0));
		EXPECT_EQ(1, record_write(self->w[i], 1, i));
	}
}

/* ----------------------------------------------------------------------- ends */

TEST_F(merge, it_ends_when_all_have)
{
	EXPECT_WRITE(self->w[0], "a");
	EXPECT_WRITE(self->w[1], "b");
	EXPECT_WRITE(self->w[2], "c");
	end_from(self->w, 1);
	EXPECT_RECORD_READ(self->r, "a");
	EXPECT_RECORD_READ(self->r, "b");
	EXPECT_RECORD_READ(self->r, "c");
	EXPECT_NOTHING(self->r);
	EXPECT_WRITE(self->w[0], "d");
	EXPECT_RECORD_READ(self->r, "d");
	end_from(self->w, 0);
	EXPECT_EQ(POLLHUP, ready(self->r));
	EXPECT_TRUE(port_info(self->r).flags & FAASIN_INFO_ENDED);
	EXPECT_OVER(self->r, 0);
	EXPECT_EQ(POLLHUP, ready(self->r));
}

/* Of each link one stream, whenever it begins; the next ones are the next. */
TEST_F(merge, one_stream_of_each_link)
{
	end_from(self->w, 1);
	self->w[1] = fan_in_writer(&self->fan, 1, O_NONBLOCK);
	EXPECT_WRITE(self->w[1], "next");
	EXPECT_WRITE(self->w[0], "this");
	EXPECT_RECORD_READ(self->r, "this");
	EXPECT_NOTHING(self->r);
	close(self->w[0]);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	close(self->w[1]);
	self->w[1] = -1;
	EXPECT_STREAM(2, "late");
	self->w[0] = fan_in_writer(&self->fan, 0, O_NONBLOCK);
	EXPECT_WRITE(self->w[0], "again");
	EXPECT_RECORD_READ(self->r, "again");
	EXPECT_RECORD_READ(self->r, "next");
	EXPECT_RECORD_READ(self->r, "late");
	EXPECT_NOTHING(self->r);
	close(self->w[0]);
	self->w[0] = -1;
	EXPECT_OVER(self->r, 0);
}

TEST_F(merge, one_that_was_aborted_is_told)
{
	EXPECT_WRITE(self->w[0], "a1");
	EXPECT_WRITE(self->w[1], "b1");
	EXPECT_WRITE(self->w[2], "c1");
	EXPECT_WRITE(self->w[2], "c2");
	EXPECT_WRITE(self->w[0], "a2");
	EXPECT_EQ(0, abort_stream(self->w[1]));
	EXPECT_RECORD_READ(self->r, "a1");
	EXPECT_RECORD_READ(self->r, "b1");
	EXPECT_RECORD_READ(self->r, "c1");
	EXPECT_RECORD_READ(self->r, "a2");
	if (variant->merge == FAASIN_MERGE_RECORDS) {
		/* All there is, however late. */
		EXPECT_RECORD_READ(self->r, "c2");
		EXPECT_NOTHING(self->r);
		EXPECT_WRITE(self->w[0], "a3");
		EXPECT_RECORD_READ(self->r, "a3");
		end_from(self->w, 0);
	}
	/* In turn, what is behind would be out of its place. */
	EXPECT_EQ(POLLHUP | POLLERR, ready(self->r));
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_EQ(POLLHUP | POLLERR, ready(self->r));
	if (variant->merge == FAASIN_MERGE_TURN) {
		EXPECT_EQ(-EPIPE, sys(write(self->w[0], "x", 1)));
		EXPECT_EQ(-EPIPE, sys(write(self->w[2], "x", 1)));
		EXPECT_EQ(2, fan_in_state(&self->fan, 2).stats.bytes_dropped);
	}
}

TEST_F(merge, a_killed_writer_is_told)
{
	pid_t pid = child();

	if (!pid) {
		int w = fan_in_writer(&self->fan, 0, 0);

		write(w, "whole", 5);
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	end_from(self->w, 0);
	EXPECT_RECORD_READ(self->r, "whole");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(merge, closing_early_concerns_all)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_WRITE(self->w[i], "unread");
	EXPECT_RECORD_READ(self->r, "unread");
	close(self->r);
	for (i = 0; i < STAGES; i++) {
		EXPECT_EQ(POLLOUT | POLLERR, ready(self->w[i]));
		EXPECT_EQ(-EPIPE, sys(write(self->w[i], "x", 1)));
		EXPECT_EQ(1, fan_in_state(&self->fan, i).stats.early_closes);
	}
	end_from(self->w, 0);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	for (i = 0; i < STAGES; i++)
		EXPECT_STREAM(i, "next");
	for (i = 0; i < STAGES; i++)
		EXPECT_RECORD_READ(self->r, "next");
	EXPECT_OVER(self->r, 0);
}

TEST_F(merge, end_closes_early)
{
	int fresh = fan_in_reader(&self->fan, O_NONBLOCK);
	unsigned int i;

	EXPECT_WRITE(self->w[1], "unread");
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_EQ(0, sys(ioctl(self->r, FAASIN_IOC_END)));
	EXPECT_OVER(self->r, 0);
	/* The same session's. */
	EXPECT_OVER(fresh, 0);
	EXPECT_EQ(POLLHUP, ready(fresh));
	for (i = 0; i < STAGES; i++)
		EXPECT_EQ(-EPIPE, sys(write(self->w[i], "x", 1)));
	close(fresh);
	fresh = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_EQ(-ENODATA, sys(ioctl(fresh, FAASIN_IOC_END)));
	close(fresh);
}

TEST_F(merge, who_read_nothing_takes_nothing)
{
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_WRITE(self->w[i], "kept");
	EXPECT_EQ(POLLIN, ready(self->r));
	EXPECT_EQ(4 * STAGES, unread(self->r));
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	for (i = 0; i < STAGES; i++) {
		EXPECT_WRITE(self->w[i], "more");
		EXPECT_RECORD_READ(self->r, "kept");
	}
	for (i = 0; i < STAGES; i++)
		EXPECT_RECORD_READ(self->r, "more");
	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
}

/* Also where a part of it is over already: of that, nothing is awaited again. */
TEST_F(merge, what_a_session_has_seen_end_stays_ended)
{
	end_from(self->w, 1);
	self->w[1] = fan_in_writer(&self->fan, 1, O_NONBLOCK);
	EXPECT_WRITE(self->w[1], "next");
	EXPECT_NOTHING(self->r);
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_NOTHING(self->r);
	EXPECT_WRITE(self->w[0], "this");
	EXPECT_RECORD_READ(self->r, "this");
	close(self->w[0]);
	self->w[0] = -1;
	EXPECT_OVER(self->r, 0);
}

/* -------------------------------------------------------------------- replacing */

TEST_F(merge, a_successor_goes_on)
{
	int old = self->r;
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_WRITE(self->w[i], "first");
	EXPECT_WRITE(self->w[0], "second");
	EXPECT_RECORD_READ(old, "first");
	EXPECT_READ(old, "fi");
	close(self->w[2]);
	self->w[2] = -1;
	ASSERT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_EQ(-ESTALE, sys(read(old, (char [1]){ 0 }, 1)));
	EXPECT_EQ(POLLHUP | POLLERR, ready(old));
	EXPECT_EQ(-ESTALE, sys(ioctl(old, FAASIN_IOC_END)));
	EXPECT_TRUE(port_info(old).flags & FAASIN_INFO_REPLACED);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	/* It had not taken anything itself. */
	EXPECT_EQ(3, port_info(self->r).record);
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_RECORD_READ(self->r, "rst");
	close(old);
	EXPECT_RECORD_READ(self->r, "first");
	EXPECT_RECORD_READ(self->r, "second");
	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
}

TEST_F(merge, a_reader_that_waits_is_told_that_it_is_replaced)
{
	pid_t pid = child();

	if (!pid) {
		int r = fan_in_reader(&self->fan, 0);

		_exit(sys(read(r, (char [1]){ 0 }, 1)) == -ESTALE ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_read));
	ASSERT_EQ(0, fan_replace(&self->fan, "d"));
	EXPECT_EQ(0, child_end(pid));
}

/* ----------------------------------------------------------------------- links */

TEST_F(merge, a_link_that_goes_aborts_what_it_was_writing)
{
	EXPECT_WRITE(self->w[0], "a");
	EXPECT_WRITE(self->w[1], "b");
	EXPECT_WRITE(self->w[2], "c");
	EXPECT_EQ(0, fan_unlink(&self->fan, "p1", "d"));
	EXPECT_EQ(-EPIPE, sys(write(self->w[1], "x", 1)));
	EXPECT_RECORD_READ(self->r, "a");
	EXPECT_RECORD_READ(self->r, "b");
	EXPECT_RECORD_READ(self->r, "c");
	end_from(self->w, 0);
	EXPECT_OVER(self->r, -ECONNABORTED);
}

/* What never began a stream is not missed. */
TEST_F(merge, an_idle_link_that_goes_is_passed_over)
{
	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_STREAM(0, "a");
	EXPECT_STREAM(2, "c");
	EXPECT_RECORD_READ(self->r, "a");
	EXPECT_EQ(0, fan_unlink(&self->fan, "p1", "d"));
	EXPECT_RECORD_READ(self->r, "c");
	EXPECT_OVER(self->r, 0);
}

TEST_F(merge, the_last_link_that_goes_leaves_what_is_read)
{
	char name[8];
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		EXPECT_WRITE(self->w[i], "here");
	EXPECT_RECORD_READ(self->r, "here");
	for (i = 0; i < STAGES; i++) {
		sprintf(name, "p%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, name, "d"));
	}
	EXPECT_TRUE(port_info(self->r).flags & FAASIN_INFO_UNLINKED);
	EXPECT_RECORD_READ(self->r, "here");
	EXPECT_RECORD_READ(self->r, "here");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(merge, no_link_and_no_stream)
{
	char name[8];
	unsigned int i;

	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_NOTHING(self->r);
	for (i = 0; i < STAGES; i++) {
		sprintf(name, "p%u", i);
		EXPECT_EQ(0, fan_unlink(&self->fan, name, "d"));
	}
	EXPECT_EQ(POLLHUP | POLLERR, ready(self->r));
	EXPECT_OVER(self->r, -ECONNABORTED);
	EXPECT_EQ(FAASIN_INFO_ENDED | FAASIN_INFO_ABORTED,
		  port_info(self->r).flags & (FAASIN_INFO_ENDED | FAASIN_INFO_ABORTED));
}

TEST_F(merge, a_link_that_is_added_takes_part_in_the_next)
{
	struct faasctl_link_options options = merge_options(variant->merge);

	EXPECT_WRITE(self->w[0], "this");
	EXPECT_RECORD_READ(self->r, "this");
	ASSERT_EQ(0, fan_stage(&self->fan, "p9"));
	ASSERT_EQ(0, fan_link(&self->fan, "p9", "d", &options));
	EXPECT_STREAM(9, "next");
	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_STREAM(0, "a");
	EXPECT_STREAM(1, "b");
	EXPECT_STREAM(2, "c");
	EXPECT_RECORD_READ(self->r, "a");
	EXPECT_RECORD_READ(self->r, "b");
	EXPECT_RECORD_READ(self->r, "c");
	EXPECT_RECORD_READ(self->r, "next");
	EXPECT_OVER(self->r, 0);
}

/* So many streams of one byte of stage "a", which "e" reads; false if one does not pass. */
static bool streams_pass(struct fan *f, unsigned int n)
{
	int w, r;

	while (n--) {
		w = fan_writer(f, 0);
		if (w < 0 || write(w, "x", 1) != 1)
			return false;
		close(w);
		r = fan_open(f, "e", FAASIN_PORT_IN, O_RDONLY);
		if (r < 0 || read(r, (char [2]){ 0 }, 2) != 1 || read(r, (char [1]){ 0 }, 1))
			return false;
		close(r);
	}
	return true;
}

/*
 * Of a slow link that has as many streams queued as there can be, two become one that is cut off.
 * The first of them was to be read, so something is missing; whoever reads it.
 */
TEST_F_TIMEOUT(merge, a_slow_link_that_loses_streams_is_told, 120)
{
	struct faasctl_link_options options = merge_options(FAASCTL_UNSET);
	int w;

	ASSERT_EQ(0, fan_stage(&self->fan, "e"));
	ASSERT_EQ(0, fan_stage(&self->fan, "f"));
	/* With room for all of them; and so that it may have several. */
	options.capacity = MIB;
	ASSERT_EQ(0, fan_link(&self->fan, "a", "e,f", &options));
	ASSERT_EQ(0, fan_unlink(&self->fan, "a", "f"));
	options.merge = variant->merge;
	options.slow = FAASIN_SLOW_DROP;
	ASSERT_EQ(0, fan_link(&self->fan, "a", "d", &options)) TH_LOG("%s", self->fan.refusal);

	w = fan_writer(&self->fan, 0);
	EXPECT_WRITE(w, "missing");
	EXPECT_WRITE(self->w[1], "read");
	EXPECT_EQ(variant->merge == FAASIN_MERGE_RECORDS ? POLLIN : 0, ready(self->r));
	if (variant->merge == FAASIN_MERGE_TURN)
		ASSERT_EQ(0, fan_replace(&self->fan, "d"));
	close(self->r);
	close(w);
	w = fan_open(&self->fan, "e", FAASIN_PORT_IN, O_RDONLY);
	EXPECT_READ(w, "missing");
	EXPECT_OVER(w, 0);
	close(w);
	ASSERT_TRUE(streams_pass(&self->fan, FAASIN_STREAMS_MAX + 1));
	end_from(self->w, 0);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_RECORD_READ(self->r, "read");
	EXPECT_OVER(self->r, -ECONNABORTED);
}

TEST_F(merge, links_are_merged_in_one_way)
{
	struct faasctl_link_options options = merge_options(variant->merge);

	EXPECT_EQ(variant->merge, fan_in_state(&self->fan, 0).link.merge);
	EXPECT_EQ(0, fan_link(&self->fan, "p0", "d", &options));
	ASSERT_EQ(0, fan_stage(&self->fan, "p9"));
	options.merge = FAASCTL_UNSET;
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "p9", "d", &options));
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "p9,p8", "d", &options));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "p0", "d", &options));
	options.merge = variant->merge ^ 3;
	EXPECT_EQ(-EBUSY, fan_link(&self->fan, "p9", "d", &options));
	EXPECT_EQ(-EEXIST, fan_link(&self->fan, "p0", "d", &options));
	options.merge = variant->merge;
	options.flags = 0;
	EXPECT_EQ(-EINVAL, fan_link(&self->fan, "p9", "d", &options));
	options.flags = FAASCTL_RECORDS;
	EXPECT_EQ(0, fan_link(&self->fan, "p9", "d", &options));
	EXPECT_EQ(STAGES + 1, fan_links(&self->fan));
}

/* ---------------------------------------------------------------- other ways out */

TEST_F(merge, memory_that_cannot_be_written)
{
	struct iovec nowhere = { BAD_ADDRESS, 6 };

	EXPECT_WRITE(self->w[0], "record");
	EXPECT_EQ(-EFAULT, sys(readv(self->r, &nowhere, 1)));
	nowhere.iov_len = 0;
	EXPECT_EQ(0, sys(readv(self->r, &nowhere, 1)));
	EXPECT_RECORD_READ(self->r, "record");
}

TEST_F(merge, splicing_gives_a_record)
{
	int pipes[2];

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	EXPECT_EQ(-EAGAIN, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	EXPECT_WRITE(self->w[0], "first");
	EXPECT_WRITE(self->w[1], "second");
	EXPECT_EQ(5, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	EXPECT_EQ(2, sys(splice(self->r, NULL, pipes[1], NULL, 2, 0)));
	EXPECT_WRITE(self->w[0], "third");
	EXPECT_EQ(4, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	EXPECT_READ(pipes[0], "firstsecond");
	EXPECT_EQ(0, abort_stream(self->w[2]));
	end_from(self->w, 0);
	if (variant->merge == FAASIN_MERGE_RECORDS)
		EXPECT_EQ(5, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	EXPECT_EQ(-ECONNABORTED, sys(splice(self->r, NULL, pipes[1], NULL, MIB, 0)));
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(merge, splicing_waits)
{
	int pipes[2];
	pid_t pid;

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	pid = child();
	if (!pid) {
		int r = fan_in_reader(&self->fan, 0);

		_exit(sys(splice(r, NULL, pipes[1], NULL, MIB, 0)) == 4 ? 0 : 1);
	}
	ASSERT_TRUE(blocks_in(pid, SYS_splice));
	/* It does not have the pipe meanwhile. */
	EXPECT_WRITE(pipes[1], "free");
	EXPECT_READ(pipes[0], "free");
	EXPECT_WRITE(self->w[0], "here");
	EXPECT_EQ(0, child_end(pid));
	EXPECT_READ(pipes[0], "here");
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(merge, what_is_sent_is_read)
{
	int w;
	uint8_t *out;
	long at;

	end_from(self->w, 0);
	EXPECT_OVER(self->r, 0);
	w = fan_in_writer(&self->fan, 0, O_RDWR);
	out = window_map(w, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)out);
	at = window_alloc(w, 4);
	memcpy(out + at, "sent", 4);
	EXPECT_EQ(0, window_send(w, at, 4));
	close(self->r);
	self->r = fan_in_reader(&self->fan, O_NONBLOCK);
	EXPECT_RECORD_READ(self->r, "sent");
	munmap(out, window_info(w).size);
	close(w);
}

TEST_F(merge, there_is_no_window)
{
	struct faasin_range range;

	EXPECT_WRITE(self->w[0], "record");
	EXPECT_EQ(-EOPNOTSUPP, window_take(self->r, &range));
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(self->r, FAASIN_IOC_WINDOW, BAD_ADDRESS)));
	EXPECT_EQ(-EOPNOTSUPP, window_try_map(self->r, PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EOPNOTSUPP, sys(ioctl(self->r, FAASIN_IOC_LANE)));
	EXPECT_EQ(-EACCES, window_return(self->r, 0));
	EXPECT_RECORD_READ(self->r, "record");
}

TEST_F(merge, what_it_says_of_itself)
{
	struct faasin_port_info info = port_info(self->r);
	struct faasin_context context;

	EXPECT_EQ(FAASIN_INFO_RECORDS | FAASIN_INFO_MERGED, info.flags);
	EXPECT_EQ(0, info.capacity);
	EXPECT_EQ(0, info.link_generation);
	EXPECT_EQ(0, info.stream);
	EXPECT_EQ(0, info.unread);
	EXPECT_WRITE(self->w[0], "abc");
	EXPECT_WRITE(self->w[1], "defg");
	EXPECT_EQ(7, port_info(self->r).unread);
	EXPECT_EQ(-ENODATA, sys(ioctl(self->r, FAASIN_IOC_GET_CONTEXT, &context)));
	EXPECT_RECORD_READ(self->r, "abc");
	EXPECT_TRUE(port_info(self->r).flags & FAASIN_INFO_BEGUN);
	EXPECT_EQ(4, port_info(self->r).unread);
}

/* ------------------------------------------------------------ parting and meeting */

/* What parts at one output meets again here, in order. */
TEST(what_parts_meets_again)
{
	struct faasctl_link_options options = merge_options(FAASIN_MERGE_TURN), plain = options;
	static const char *const replicas[] = { "b", "c" };
	int w, in[2], out[2], r;
	struct fan fan;
	unsigned int i;
	char text[8];

	plain.merge = FAASCTL_UNSET;
	ASSERT_EQ(0, fan_new(&fan, 0, NULL));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, fan_stage(&fan, replicas[i]));
	ASSERT_EQ(0, fan_stage(&fan, "d"));
	ASSERT_EQ(0, fan_link(&fan, "a", "b,c", &plain)) TH_LOG("%s", fan.refusal);
	ASSERT_EQ(0, fan_link(&fan, "b,c", "d", &options)) TH_LOG("%s", fan.refusal);
	w = fan_writer(&fan, 0);
	for (i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s", replicas[i]);
		in[i] = fan_open(&fan, text, FAASIN_PORT_IN, O_RDONLY);
		out[i] = fan_open(&fan, text, FAASIN_PORT_OUT, O_WRONLY);
		ASSERT_LE(0, in[i]);
		ASSERT_LE(0, out[i]);
	}
	r = fan_in_reader(&fan, O_NONBLOCK);
	EXPECT_WRITE(w, "one");
	EXPECT_WRITE(w, "two");
	close(w);
	for (i = 2; i--; ) {
		EXPECT_RECORD_READ(in[i], "one");
		EXPECT_WRITE(out[i], i ? "c1" : "b1");
		EXPECT_RECORD_READ(in[i], "two");
		EXPECT_WRITE(out[i], i ? "c2" : "b2");
		EXPECT_OVER(in[i], 0);
		close(in[i]);
		close(out[i]);
	}
	EXPECT_RECORD_READ(r, "b1");
	EXPECT_RECORD_READ(r, "c1");
	EXPECT_RECORD_READ(r, "b2");
	EXPECT_RECORD_READ(r, "c2");
	EXPECT_OVER(r, 0);
	close(r);
	fan_del(&fan);
	EXPECT_EQ(NULL, log_complaint(fan.log));
}

TEST_HARNESS_MAIN
