/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Streams and sessions: where bytes begin and end, and how.
 *
 * A stream is what one producer session writes. It stays in its channel's list
 * from the first open for writing until a consumer session is done with it.
 * A consumer session reads exactly one stream; at most one session of a channel
 * is not done.
 *
 * channel->lock guards all members that are not said to be constant. A stream's
 * state may be read without it: it changes once, from live to one of the
 * others, after @end is set (release); but one that ended may turn out to be aborted
 * while nobody has read its end (faasin_parts_give_up(), faasin_parts_cut()).
 */
#ifndef _FAASIN_STREAM_H
#define _FAASIN_STREAM_H

#include <linux/list.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "uapi/faasin.h"

struct page;
struct pid;
struct faasin_channel;
struct faasin_deal;
struct faasin_handle;
struct faasin_inbox;
struct faasin_deal_round;

/**
 * struct faasin_cause_info - why the last stream that did not simply end did not
 * @cause: enum faasin_cause
 * @code: signal or exit status
 * @pid: of the process, in the initial pid namespace
 * @by_reader: the consumer's process, not the producer's
 * @stream: number of the stream
 * @comm: the process's command name
 */
struct faasin_cause_info {
	u32 cause;
	u32 code;
	u32 pid;
	bool by_reader;
	u64 stream;
	char comm[TASK_COMM_LEN];
};

/**
 * enum faasin_stream_state - what has become of a stream
 * @FAASIN_STREAM_LIVE: can be written to and joined
 * @FAASIN_STREAM_ENDED: its end is known
 * @FAASIN_STREAM_ABORTED: its end is known and is not a good one
 * @FAASIN_STREAM_CLOSED: its reader closed early
 */
enum faasin_stream_state {
	FAASIN_STREAM_LIVE,
	FAASIN_STREAM_ENDED,
	FAASIN_STREAM_ABORTED,
	FAASIN_STREAM_CLOSED,
};

/**
 * struct faasin_writer - a process that wrote to a stream, or may without a call
 * @entry: in the stream's list
 * @pid: its thread group, held
 * @handle: the open file that it writes through; NULL once that is gone
 * @wrote: it did
 * @seen: it closed a descriptor of @handle after it last wrote, so its end was
 *	looked at, or it outlived @handle; or it never wrote
 */
struct faasin_writer {
	struct list_head entry;
	struct pid *pid;
	const struct faasin_handle *handle;
	bool wrote;
	bool seen;
};

/**
 * struct faasin_stream - a range of positions
 * @ref: the channel's list, each writing handle, the session
 * @entry: in the channel's list until it is consumed
 * @number: from 1; constant
 * @start: position of its first byte; constant
 * @end: position behind its last byte; valid unless live
 * @state: enum faasin_stream_state
 * @begun: a session took it
 * @writers: open files that write
 * @replaced: channel->replaced of the output when these were let in
 * @processes: who wrote: struct faasin_writer
 * @nr_processes: length of that list
 * @leaver: how the last process to close a descriptor was killed by a signal, if
 *	that does not matter unless it was the last holder
 * @cause: of an abort or early close
 * @code: of the cause
 * @context: FAASIN_IOC_SET_CONTEXT; set once
 * @parts: of a trunk's: one a branch, by @part_entry; constant once it began
 * @nr_parts: length of that list before it begins
 * @part_entry: of a part: in that list
 * @branch: of a part: held; constant
 * @due: of a part: the world is to be told of its end; who ended the trunk's stream has it
 * @inbox_channel: where the input may have several links: its channel; constant
 * @inbox_entry: in that input's queue until it is consumed (inbox.h)
 */
struct faasin_stream {
	refcount_t ref;
	struct list_head entry;
	u64 number;
	u64 start;
	u64 end;
	int state;
	bool begun;
	unsigned int writers;
	unsigned int replaced;
	struct list_head processes;
	unsigned int nr_processes;
	struct faasin_cause_info leaver;
	u32 cause;
	u32 code;
	struct faasin_context context;
	struct list_head parts;
	unsigned int nr_parts;
	struct list_head part_entry;
	struct faasin_channel *branch;
	bool due;
	struct faasin_channel *inbox_channel;
	struct list_head inbox_entry;
};

/**
 * enum faasin_result - what a session that is done answers reads with
 * @FAASIN_RESULT_NONE: it is not done
 * @FAASIN_RESULT_END: 0
 * @FAASIN_RESULT_ABORTED: ECONNABORTED
 * @FAASIN_RESULT_REPLACED: ESTALE: the stage was replaced, the stream goes on without it
 */
enum faasin_result {
	FAASIN_RESULT_NONE,
	FAASIN_RESULT_END,
	FAASIN_RESULT_ABORTED,
	FAASIN_RESULT_REPLACED,
};

/**
 * enum faasin_ahead - what comes next of what a session reads
 * @FAASIN_AHEAD_NOTHING: nothing is known yet, or its link is paused
 * @FAASIN_AHEAD_BYTES: bytes
 * @FAASIN_AHEAD_END: its end
 * @FAASIN_AHEAD_ABORTED: its end, which is not a good one; or the session's, which was replaced
 */
enum faasin_ahead {
	FAASIN_AHEAD_NOTHING,
	FAASIN_AHEAD_BYTES,
	FAASIN_AHEAD_END,
	FAASIN_AHEAD_ABORTED,
};

/**
 * struct faasin_session - consumers that share a stream
 * @readers: open files; of an inbox, inbox->lock
 * @stream: what they read, held; NULL before one began
 * @result: enum faasin_result; set once
 * @channel: of an inbox: what it is bound to, held; or NULL; set once, under inbox->lock, too
 * @replaced: of an inbox: channel->replaced of the input then
 */
struct faasin_session {
	unsigned int readers;
	struct faasin_stream *stream;
	int result;
	struct faasin_channel *channel;
	unsigned int replaced;
};

/* What a session that is done answers reads with, -ENODATA for the end; 0 if it is not done. */
static inline int faasin_session_over(const struct faasin_session *ss)
{
	switch (READ_ONCE(ss->result)) {
	case FAASIN_RESULT_END:
		return -ENODATA;
	case FAASIN_RESULT_ABORTED:
		return -ECONNABORTED;
	case FAASIN_RESULT_REPLACED:
		return -ESTALE;
	default:
		return 0;
	}
}

/**
 * struct faasin_handle - an open file of a port
 * @channel: bound for life; held; of an inbox NULL until it is bound (faasin_handle_bound())
 * @inbox: input that may have several links: whose; held; constant; else NULL
 * @direction: constant
 * @replaced: channel->replaced of its direction when it was let in; constant; of an inbox that
 *	one's and, once it is bound, the channel's
 * @stream: output: what it writes; held; constant
 * @session: input: where it reads; constant
 * @deal: of an output whose records are dealt: whose; held; constant; else NULL
 * @round: of such, and of its hands: the stream that is dealt; held by the open file; constant
 * @hands: of such an open file: one on each link of @round, which has no @channel then; constant
 * @part: of a hand: its place in @round; constant
 * @file: of a hand: the open file that it is one of; constant; else NULL
 * @wrote: output: the process that wrote through it last, held, registered in
 *	the stream and not seen to close since
 * @refused: output, not of a hand: length of the record that found no room, if none was written
 *	since; or 0
 * @extents: that it owns; window->lock
 * @counted: it has a window, or a landing; window->lock
 * @alloc_turn: output: the turn at which it found no room, plus 1; or 0
 * @landing: input: memory for what is taken and was written, or NULL; set under
 *	window->lock
 * @landing_order: of that
 * @landed: it is in use; set under rd.mutex and window->lock, cleared under the latter
 */
struct faasin_handle {
	struct faasin_channel *channel;
	struct faasin_inbox *inbox;
	enum faasin_direction direction;
	unsigned int replaced;
	struct faasin_stream *stream;
	struct faasin_session *session;
	struct faasin_deal *deal;
	struct faasin_deal_round *round;
	struct faasin_handle *hands;
	unsigned int part;
	struct faasin_handle *file;
	struct pid *wrote;
	u32 refused;
	struct list_head extents;
	bool counted;
	u64 alloc_turn;
	struct page *landing;
	unsigned int landing_order;
	bool landed;
};

/*
 * Where it is kept what record of an open file found no room: in one place, whichever link that
 * was on, as others may write and poll by the same open file, and no lock is common to them.
 */
static inline u32 *faasin_handle_refused(struct faasin_handle *h)
{
	return h->file ? &h->file->refused : &h->refused;
}

int faasin_stream_open(struct faasin_handle *h, bool nonblock);
int faasin_session_open(struct faasin_handle *h);
void faasin_handle_flush(struct faasin_handle *h);
void faasin_handle_release(struct faasin_handle *h);

struct faasin_stream *faasin_stream_new(void);
bool faasin_stream_may_begin(struct faasin_channel *ch);
int faasin_stream_begin(struct faasin_handle *h, struct faasin_stream *fresh);
int faasin_stream_join(struct faasin_handle *h, struct faasin_stream *s);
void faasin_output_release(struct faasin_handle *h);

int faasin_stream_note_writer(struct faasin_handle *h);
int faasin_stream_expect_writer(struct faasin_handle *h);
void faasin_writers_wrote(struct faasin_stream *s, const struct faasin_handle *h, struct pid *pid);
void faasin_writers_leave(struct faasin_stream *s, const struct faasin_handle *h);
bool faasin_writers_cause(struct faasin_channel *ch, struct faasin_stream *s,
			  struct faasin_cause_info *ci);
void faasin_writers_free(struct list_head *gone);

bool faasin_stream_takes(const struct faasin_channel *ch, const struct faasin_stream *s);
int faasin_handle_writes(const struct faasin_handle *h);
bool faasin_stream_swallow(struct faasin_channel *ch, struct faasin_stream *s, size_t n);

struct faasin_stream *faasin_session_stream(struct faasin_channel *ch,
					    struct faasin_session *ss);
void faasin_session_take(struct faasin_channel *ch, struct faasin_session *ss);
void faasin_session_done(struct faasin_channel *ch, struct faasin_session *ss,
			 enum faasin_result result);
void faasin_session_drop_rest(struct faasin_channel *ch);
void faasin_channel_drop_rest(struct faasin_channel *ch);
bool faasin_stream_consumed(struct faasin_channel *ch, struct faasin_stream *s);
void faasin_session_gone(struct faasin_channel *ch, struct faasin_session *ss);
bool faasin_session_close(struct faasin_channel *ch, struct faasin_session *ss, bool *idle);

void faasin_stream_put(struct faasin_stream *s);
void faasin_stream_said(struct faasin_channel *ch, struct faasin_stream *s,
			const struct faasin_cause_info *ci);
bool faasin_stream_finish(struct faasin_channel *ch, struct faasin_stream *s,
			  enum faasin_stream_state state, const struct faasin_cause_info *ci);
void faasin_cause_set(struct faasin_cause_info *ci, struct faasin_stream *s,
		      enum faasin_cause cause, u32 code, struct pid *pid, bool by_reader);

struct faasin_stream *faasin_session_bind(struct faasin_channel *ch, struct faasin_session *ss);
void faasin_session_quit(struct faasin_channel *ch, struct faasin_session *ss, bool take);
void faasin_session_left(struct faasin_channel *ch);
enum faasin_ahead faasin_session_ahead(struct faasin_channel *ch, struct faasin_session *ss);
__poll_t faasin_ahead_poll(enum faasin_ahead ahead);
u64 faasin_session_unread(struct faasin_channel *ch, struct faasin_session *ss);
void faasin_session_release(struct faasin_handle *h);
int faasin_stream_end(struct faasin_handle *h);
int faasin_session_end(struct faasin_handle *h);
int faasin_stream_abort(struct faasin_handle *h, enum faasin_cause cause, u32 code,
			struct pid *pid);
void faasin_streams_unlink(struct faasin_channel *ch);
void faasin_streams_free(struct faasin_channel *ch);

__poll_t faasin_stream_poll(struct faasin_handle *h);
u64 faasin_stream_unread(struct faasin_handle *h);
int faasin_stream_set_context(struct faasin_handle *h, const struct faasin_context *c);
int faasin_stream_get_context(struct faasin_handle *h, struct faasin_context *c);
void faasin_stream_info(struct faasin_handle *h, struct faasin_port_info *info);

#endif /* _FAASIN_STREAM_H */
