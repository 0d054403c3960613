/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * FAASIN: pipes between the stages of a serverless workflow.
 *
 * Two interfaces are described here: ioctls on ports, and the generic netlink
 * family "faasin" (version 1), whose machine-readable twin is kmod/faasin.yaml.
 *
 * Netlink
 * -------
 * Initial network namespace only. Every request needs CAP_NET_ADMIN and
 * CAP_SYS_ADMIN, both in the initial user namespace; else EPERM. Attributes
 * are validated strictly: an unknown attribute, an unknown flag, a wrong size
 * or trailing data is EINVAL or ERANGE; of a repeated attribute the last
 * counts. Every refusal of the module's carries an extended acknowledgment that
 * says why; those of the netlink core (no CAP_NET_ADMIN, NLM_F_REPLACE with
 * NLM_F_EXCL, on 6.1 whatever a dump is refused for) cannot. A request whose
 * sender is killed while it waits for the control lock has changed nothing and
 * is not answered; a listing may end in EINTR then. Answers need a buffer of
 * 32 KiB: a stage with all its ports alone can take more than half of that.
 *
 *   command               attributes in                       replies with
 *   INFO_GET              -                                   INFO_*
 *   WORKFLOW_GET          WORKFLOW_NAME                       WORKFLOW_*
 *   WORKFLOW_GET (dump)   -                                   WORKFLOW_* each
 *   WORKFLOW_NEW          WORKFLOW_NAME, CGROUP_FD | FLAGS    -
 *   WORKFLOW_DEL          WORKFLOW_NAME [, GENERATION]        -
 *   STAGE_GET             WORKFLOW, STAGE_NAME                STAGE_*
 *   STAGE_GET (dump)      [WORKFLOW]                          STAGE_* each
 *   STAGE_NEW             WORKFLOW, STAGE_NAME [, CGROUP_FD,
 *                         UID, GID, MODE, PORT...]            -
 *   STAGE_DEL             WORKFLOW, STAGE_NAME [, GENERATION] -
 *   LINK_GET              WORKFLOW, SRC_STAGE [, SRC_PORT,
 *                         DST_STAGE, DST_PORT]                LINK_*
 *   LINK_GET (dump)       [WORKFLOW]                          LINK_* each
 *   LINK_NEW              WORKFLOW, SRC_STAGE | SRC...,
 *                         DST_STAGE | DST... [, SRC_PORT,
 *                         DST_PORT, CAPACITY, ABORT_ON,
 *                         EARLY_CLOSE, FLAGS, SLOW, MERGE]   -
 *   LINK_DEL              WORKFLOW, SRC_STAGE [, SRC_PORT,
 *                         DST_STAGE, DST_PORT, GENERATION]    -
 *   EVENT                 (multicast group "events")          EVENT_*
 *   LINK_SET              WORKFLOW, SRC_STAGE [, SRC_PORT,
 *                         DST_STAGE, DST_PORT, GENERATION,
 *                         CAPACITY, STATE]                    -
 *   STAGE_REPLACE         WORKFLOW, STAGE_NAME [, GENERATION,
 *                         CGROUP_FD]                          -
 *
 * NEW is idempotent: an object that already exists as asked is success, and
 * of a stage that exists, attributes that were unset are set, uid, gid and
 * mode are changed and missing ports are added. With NLM_F_EXCL an object
 * that exists is EEXIST. NLM_F_REPLACE and NLM_F_APPEND are EINVAL.
 * LINK_NEW with DST makes an output for several links, and all links that are named
 * or none: what is written there then goes to each of them. More can be added, in
 * either form, and take part from the next stream on. A link that was made with
 * DST_STAGE is the only one of its output. With FAASIN_LINK_F_DEALT each record goes to one of
 * them, and either form makes such links and adds to them, each with a capacity of its own.
 * With SRC it makes an input for several links, likewise: what is read there are the streams
 * of all of them, in the order in which they began, each whole. A link that was made with
 * SRC_STAGE is the only one of its input. With both, each output named is linked to each input.
 * With MERGE, what is read there is one stream, of the records of all of them.
 * SET changes what is given; the capacity is that of all links of the output, unless its records
 * are dealt. DEL, SET and REPLACE with GENERATION mean only that incarnation of the name; else
 * ESTALE.
 *
 * Errors common to all commands:
 *   EPERM      a capability is missing
 *   EINVAL     an attribute is missing, malformed or unknown; a bad name
 *   ERANGE     an attribute's value or length is out of range
 *   ENOENT     no such workflow, stage, port or link
 *   ESTALE     the GENERATION given is not the object's
 *   ENOMEM     no memory for the object
 * WORKFLOW_NEW:
 *   EEXIST     exists (NLM_F_EXCL), or exists with another cgroup
 *   ENOSPC     FAASIN_WORKFLOWS_MAX workflows exist
 *   EBADF      CGROUP_FD is not an open directory of a cgroup v2 hierarchy
 *   EINVAL     neither CGROUP_FD nor FAASIN_WORKFLOW_F_UNCHARGED, or both; the
 *              cgroup is the root
 *   EOPNOTSUPP the memory controller is not enabled in that very cgroup, or
 *              kernel memory accounting is off
 *   ENODEV     the cgroup has been removed
 * STAGE_NEW:
 *   EEXIST     exists (NLM_F_EXCL), is bound to another live cgroup, or has
 *              the port in the other direction
 *   EBUSY      the cgroup is bound to another stage
 *   ENOSPC     FAASIN_STAGES_MAX stages or FAASIN_PORTS_MAX ports exist
 *   EBADF, ENODEV  as above
 * LINK_GET, LINK_DEL, LINK_SET:
 *   ENOTUNIQ   the output has several links that the names fit
 * LINK_NEW:
 *   EEXIST     the link exists (NLM_F_EXCL), exists with other options, or as the only one that
 *              its output (DST) or its input (SRC) may have
 *   EBUSY      one of the two ports is linked to something else; the output has several links,
 *              and those have other options, or are dealt to where this is not to be; the
 *              input has, and they are merged otherwise (MERGE)
 *   ENOSPC     the output or the input would have more than FAASIN_FAN_MAX links, deleted ones
 *              that are still being read included
 *   ELOOP      source and destination are one stage, or the link would close
 *              a loop
 *   EOPNOTSUPP the output has several links, or is to have (DST): those are not trusted (FLAGS);
 *              DEALT with TRUSTED, FAASIN_SLOW_DROP or FAASIN_EARLY_CLOSE_DRAIN
 *   EINVAL     the source port is not an output or a destination not an
 *              input; the capacity is not a multiple of 4096; both DST and DST_STAGE or
 *              DST_PORT, or a destination twice; SRC likewise; an unknown flag; MERGE of links
 *              without records (FLAGS), or of an input that is not for several; DEALT without
 *              RECORDS
 *   ERANGE     the capacity is outside FAASIN_CAPACITY_MIN..MAX
 *   ENODEV     the workflow's cgroup has been removed
 * LINK_SET:
 *   EBUSY      the capacity: a process has a window of the link, or stands still
 *              in the middle of a read or write
 *   EINVAL, ERANGE  as above; neither CAPACITY nor STATE; FAASIN_LINK_STATE_DRAINED
 * STAGE_REPLACE:
 *   EBUSY      the cgroup is bound to another stage
 *   EBADF, ENODEV  as above
 */
#ifndef _UAPI_FAASIN_H
#define _UAPI_FAASIN_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The number both sides compare; it changes when the interface does so in a
 * way that an older peer would misread.
 */
#define FAASIN_ABI_VERSION	1

#define FAASIN_FS_NAME		"faasin"
#define FAASIN_PORT_IN		"faasin"	/* every stage's input port */
#define FAASIN_PORT_OUT		"faasout"	/* every stage's output port */

/* Limits */
#define FAASIN_NAME_MAX		63		/* without the NUL */
#define FAASIN_WORKFLOWS_MAX	10000
#define FAASIN_STAGES_MAX	1024		/* a workflow */
#define FAASIN_PORTS_MAX	64		/* a stage, the two default ones included */
#define FAASIN_STREAMS_MAX	1024		/* ended, not yet consumed, a channel */
#define FAASIN_WRITERS_MAX	1024		/* processes writing through one open file */
#define FAASIN_CAPACITY_MIN	4096		/* bytes */
#define FAASIN_CAPACITY_MAX	(1024 * 1024 * 1024)
#define FAASIN_CAPACITY_DEFAULT	(1024 * 1024)
#define FAASIN_MODE_DEFAULT	0666
#define FAASIN_WINDOWS_MAX	64		/* descriptors with a window, an end of a link */
#define FAASIN_WORKFLOW_WINDOWS_MAX	4096	/* likewise, of a workflow, deleted links too */
#define FAASIN_MAPPINGS_MAX	1024		/* of a link's window, both ends' */
#define FAASIN_RANGES_MAX	64		/* of a record */
#define FAASIN_FAN_MAX		32		/* links of an output, or of an input */
#define FAASIN_RECORD_MIN	256		/* capacity, in bytes, for each record */

/* ------------------------------------------------------------------ ioctls */

/*
 * A stage can be replaced (STAGE_REPLACE) while streams go through it. Descriptors that were
 * open then have FAASIN_INFO_REPLACED, and ESTALE (without a signal) from whatever would read,
 * write, take, send, allocate, end or abort; the stream goes on without them.
 */

#define FAASIN_IOC_MAGIC	0xfa

/*
 * Records
 * -------
 * On a link that was made with FAASIN_LINK_F_RECORDS, what one write() or writev() writes is a
 * record, as is what one FAASIN_IOC_SEND hands off. It goes in whole or not at all, however many
 * write, and what one call reads ends with it. A buffer that is too small gets the first part, and
 * the next call the rest: nothing is thrown away. FAASIN_IOC_INFO says how long the next one is.
 *
 * write():
 *   EMSGSIZE   it is longer than the capacity
 *   EAGAIN     O_NONBLOCK: there is no room for all of it. EPOLLOUT then means that there is, until
 *              this open file has written something
 *   EINTR      a signal came while it waited for that room: nothing was written
 *   EFAULT     part of it cannot be read: nothing was written
 *   ENOMEM     the cgroup that pays was removed, and what memory the link has is not enough for it
 * A write of 0 bytes is none. A link holds a written record for each FAASIN_RECORD_MIN bytes of
 * its capacity, at most; beyond that it is full. splice() and sendfile() into such a link: EINVAL.
 * splice() out of it moves what one read would.
 *
 * An input of several links can merge them (FAASIN_A_LINK_MERGE). A session reads one stream of
 * each link that there is when it begins, record by record: whichever has one, in turn, or one of
 * each in turn. It ends when all of these have. If one was aborted, the last thing it says is
 * ECONNABORTED; where its record was due (FAASIN_MERGE_TURN), or in the middle of one, at that
 * point. Closing early closes all of them early. Such an input has no window: TAKE, WINDOW and
 * mmap() are EOPNOTSUPP, also of a trusted link. FAASIN_IOC_INFO has no link, no capacity, no
 * stream and no position; FIONREAD and @unread are sums. GET_CONTEXT is ENODATA; that, and what is
 * EOPNOTSUPP, also when the stage was replaced.
 */

/*
 * Dealing
 * -------
 * Records of an output whose links were made with FAASIN_LINK_F_DEALT go to these links in turn,
 * one each, beginning with the oldest in each stream. write(), EPOLLOUT and EMSGSIZE are about
 * the link whose turn it is. A write moves the turn if it returns a length. The streams of the
 * links begin and end together; if one is over before, as its reader closed early or it was
 * unlinked, all are: EPIPE. FIONREAD, and what FAASIN_IOC_INFO says of bytes, are sums over the
 * links; that has the flags that hold of any of them, no link's number, the capacity of the link
 * whose turn it is, and a number of the stream that is the output's. mmap(), FAASIN_IOC_WINDOW,
 * _ALLOC, _SEND and _LANE: EOPNOTSUPP.
 */

/**
 * enum faasin_cause - why a stream ended otherwise than by its last close
 * @FAASIN_CAUSE_NONE: it did not
 * @FAASIN_CAUSE_SIGNAL: a holder of the writing end was killed by a signal
 * @FAASIN_CAUSE_STATUS: a holder exited with a status that the rule covers
 * @FAASIN_CAUSE_LOST: a writer was gone at the last release, its end unseen
 * @FAASIN_CAUSE_REQUEST: FAASIN_IOC_ABORT
 * @FAASIN_CAUSE_UNLINK: the link was deleted
 * @FAASIN_CAUSE_EARLY_CLOSE: the reader closed before the end
 * @FAASIN_CAUSE_SLOW: the reader, if there was one, was too slow for the others of the output
 *	(FAASIN_SLOW_DROP)
 * @FAASIN_CAUSE_DEAL: records were dealt to several links, and another's stream is over, since its
 *	reader closed early, or it was unlinked. Whose doing that was is told of that link only
 * @FAASIN_CAUSE_LANE: what a process wrote into the memory of a lane makes no sense
 */
enum faasin_cause {
	FAASIN_CAUSE_NONE,
	FAASIN_CAUSE_SIGNAL,
	FAASIN_CAUSE_STATUS,
	FAASIN_CAUSE_LOST,
	FAASIN_CAUSE_REQUEST,
	FAASIN_CAUSE_UNLINK,
	FAASIN_CAUSE_EARLY_CLOSE,
	FAASIN_CAUSE_SLOW,
	FAASIN_CAUSE_LANE,
	FAASIN_CAUSE_DEAL,
};

/**
 * struct faasin_abort - argument of FAASIN_IOC_ABORT
 * @cause: FAASIN_CAUSE_REQUEST, or _SIGNAL or _STATUS on behalf of a child
 * @code: the signal's number or the exit status; 0 with _REQUEST
 * @pid: the process meant, in the caller's pid namespace; 0 for the caller
 * @reserved: must be zero
 */
struct faasin_abort {
	__u32 cause;
	__u32 code;
	__s32 pid;
	__u32 reserved;
};

/**
 * struct faasin_port_info - answer of FAASIN_IOC_INFO
 * @abi: FAASIN_ABI_VERSION of the module
 * @flags: FAASIN_INFO_* of the descriptor's stream
 * @capacity: bytes; 0: an input for several links, and it is bound to none yet
 * @link_generation: the link this descriptor is bound to; 0: an output for several links, or as
 *	with @capacity
 * @stream: number of the stream in its channel, from 1; 0 before one is bound
 * @unread: bytes of this stream that are written and not read
 * @cause: enum faasin_cause of this stream
 * @code: the cause's signal or status
 * @position: bytes of this stream that were written so far or, of an input, read
 * @record: of an input, on a link with records: bytes of the one that is to be read next, or what
 *	is left of it; 0: none is there or, if @unread is not 0, what lies before it is still to be
 *	dropped, by somebody who is at work there. Not to be relied on while others read
 */
struct faasin_port_info {
	__u32 abi;
	__u32 flags;
	__u64 capacity;
	__u64 link_generation;
	__u64 stream;
	__u64 unread;
	__u32 cause;
	__u32 code;
	__u64 position;
	__u64 record;
};

#define FAASIN_INFO_OUTPUT	(1u << 0)	/* the descriptor's port is an output */
#define FAASIN_INFO_ENDED	(1u << 1)	/* the stream's end is known */
#define FAASIN_INFO_ABORTED	(1u << 2)	/* it was aborted */
#define FAASIN_INFO_UNLINKED	(1u << 3)	/* the link is gone */
#define FAASIN_INFO_READER_GONE	(1u << 4)	/* the reader closed early */
#define FAASIN_INFO_BEGUN	(1u << 5)	/* the stream has begun to be read */
#define FAASIN_INFO_REPLACED	(1u << 6)	/* the stage was replaced: see below */
#define FAASIN_INFO_RECORDS	(1u << 7)	/* the link has records: see above */
#define FAASIN_INFO_MERGED	(1u << 8)	/* an input that merges its links: see above */

/**
 * FAASIN_IOC_END - this descriptor's session is done with its stream
 *
 * On an output port: ends the stream, whoever else holds the writing end;
 * later writes of its session get EPIPE. On an input port: takes the stream,
 * even if nothing was read yet, and closes it early: what is unread is dropped
 * and the writer gets EPIPE; later reads of the session return 0.
 * Ending twice, or a stream that was aborted, changes nothing and succeeds. So does ending
 * one of which a lane says what makes no sense: it is aborted instead (FAASIN_CAUSE_LANE).
 *
 * Errors: ENOTTY (not a port), ENODATA (input: no stream has begun; of an input that merges, none
 * of those that are read as one, over or not), ESTALE.
 */
#define FAASIN_IOC_END		_IO(FAASIN_IOC_MAGIC, 1)

/**
 * FAASIN_IOC_ABORT - aborts the stream of an output port
 *
 * The consumer gets every byte written before and then ECONNABORTED; writers
 * get EPIPE at once. Aborting a stream that has ended changes nothing and
 * succeeds.
 *
 * Errors: EFAULT, EINVAL (cause, code or reserved), ENOTTY (not a port), EBADF
 * (an input port).
 */
#define FAASIN_IOC_ABORT	_IOW(FAASIN_IOC_MAGIC, 2, struct faasin_abort)

/**
 * FAASIN_IOC_INFO - what this descriptor is bound to
 *
 * Errors: EFAULT, ENOTTY (not a port).
 */
#define FAASIN_IOC_INFO		_IOR(FAASIN_IOC_MAGIC, 3, struct faasin_port_info)

#define FAASIN_CONTEXT_MAX	55		/* bytes; that of W3C traceparent */

/**
 * struct faasin_context - argument of FAASIN_IOC_SET_CONTEXT and _GET_CONTEXT
 * @length: bytes of @data that count, 1 to FAASIN_CONTEXT_MAX
 * @reserved: must be zero
 * @data: the context; get: zero behind @length
 */
struct faasin_context {
	__u32 length;
	__u32 reserved;
	__u8 data[56];
};

/**
 * FAASIN_IOC_SET_CONTEXT - tells the stream's readers what it belongs to
 *
 * Of an output port. The module does not look at it: it is between writers and
 * readers, which trust each other no more for it. The first one counts.
 *
 * Errors: EFAULT, EINVAL (length or reserved), EEXIST (the stream has one), EPIPE
 * (the stream is over), ENOTTY (not a port), EBADF (an input port).
 */
#define FAASIN_IOC_SET_CONTEXT	_IOW(FAASIN_IOC_MAGIC, 4, struct faasin_context)

/**
 * FAASIN_IOC_GET_CONTEXT - what the descriptor's stream belongs to
 *
 * Of either port. As reading and polling do, it binds an input's session to the
 * stream that it is to read.
 *
 * Errors: EFAULT, ENODATA (no context was set, or input: no stream has begun),
 * ENOTTY (not a port), ESTALE (the stage was replaced).
 */
#define FAASIN_IOC_GET_CONTEXT	_IOR(FAASIN_IOC_MAGIC, 5, struct faasin_context)

/*
 * Windows
 * -------
 * A window is a mapping of a channel's memory: mmap() with MAP_SHARED, an output
 * that is open O_RDWR writable, an input read-only. The producer allocates an
 * extent, fills it and sends it; the consumer takes it and returns it when it is
 * done with it. No byte is copied. What was sent can also be read or spliced, and
 * what was written can be taken. Extents count towards the capacity by the pages that
 * they are made of, from their allocation to their return, and belong to the open
 * file that allocated or took them; its last close returns them.
 *
 * When an extent is sent, the producer's mapping of it is gone: touching it again is
 * SIGBUS, and EFAULT to system calls. So is touching what is not one's own. Window
 * memory cannot be pinned: what needs that (O_DIRECT, vmsplice, registered
 * buffers of io_uring, process_vm_readv and its like, ptrace, shared futexes) is EFAULT or
 * EIO.
 *
 * A link that is trusted (FAASIN_LINK_F_TRUSTED) does no such thing: sending, taking and
 * returning change who may pass an extent on, and no mapping. All windows of the
 * link show all memory that extents of it were made of, as long as there is that; memory of
 * which nothing is allocated may be gone any time: SIGBUS. So the producer can change what the
 * consumer looks at, and both see what either ever had there; reading and splicing copy
 * what is there at that moment. Who was replaced sees none of it any more: SIGBUS.
 *
 * A child does not inherit windows. The whole pages of an extent are given
 * away: what lies behind the last byte is for the consumer to see, too.
 *
 * mmap() of a port:
 *   EACCES     writable, of an input; or a descriptor that is not open for reading (VFS)
 *   EINVAL     a private mapping; a range beyond the window; a channel of one page,
 *              which has none
 *   EPERM      an executable mapping
 *   ENOSPC     FAASIN_WINDOWS_MAX descriptors of this end of the link have a window, or
 *              FAASIN_WORKFLOW_WINDOWS_MAX of the workflow, those of deleted links included: they
 *              were mapped, or what was written was taken through them; each has one
 *              until it and its mappings are closed
 *   ENODEV     this machine's pages cannot be kept from being pinned
 *   ENOMEM     FAASIN_MAPPINGS_MAX mappings of the link's two ends show its window; splitting
 *              one, by munmap() or mprotect() of a part, makes two of it, and is ENOMEM, too
 *   EOPNOTSUPP an input whose output may have several links: an extent has one owner. What such
 *              an output sends can be read and spliced. Or an output whose records are dealt
 *   EAGAIN     an input for several links, and the descriptor is bound to none yet: each link has
 *              a window of its own. FAASIN_IOC_WINDOW waits for a stream, and binds it
 *   ESTALE     the stage was replaced
 * Of a mapping: mprotect() to more than that is EACCES, mremap() EFAULT or EINVAL.
 */

/**
 * struct faasin_window_info - answer of FAASIN_IOC_WINDOW
 * @size: bytes of the window, from offset 0
 * @landing: input: bytes behind these, where what was written lands when it is taken
 * @granule: memory is had by this many bytes; extents of at least half of it begin at a
 *	multiple of it, and can be mapped at once where the kernel has larger pages
 * @flags: FAASIN_WINDOW_*
 * @reserved: zero
 */
struct faasin_window_info {
	__u64 size;
	__u64 landing;
	__u32 granule;
	__u32 flags;
	__u64 reserved;
};

#define FAASIN_WINDOW_TRUSTED	(1u << 0)	/* the link is trusted: see above */
#define FAASIN_WINDOW_LANE	(1u << 1)	/* this descriptor's lane is on: see below */

/**
 * FAASIN_IOC_WINDOW - what can be mapped
 *
 * It changes with the link's capacity until something is mapped: ask again then. For an input that
 * may have several links, each of which has a window, it waits until a stream has begun.
 *
 * Errors: EFAULT, EINVAL (a channel of one page has no window), ENOTTY (not a port), EOPNOTSUPP
 * (as for mmap()). Of an input that may have several links, if no stream has begun: EAGAIN
 * (O_NONBLOCK), EINTR (a signal), ECONNABORTED (all links were deleted), ESTALE (the stage was
 * replaced).
 */
#define FAASIN_IOC_WINDOW	_IOR(FAASIN_IOC_MAGIC, 6, struct faasin_window_info)

/**
 * struct faasin_range - bytes of a window
 * @offset: where they begin, as for mmap()
 * @length: how many
 */
struct faasin_range {
	__u64 offset;
	__u64 length;
};

/**
 * struct faasin_ranges - argument of FAASIN_IOC_SEND, _TAKE and _RETURN
 * @ranges: address of an array of struct faasin_range
 * @count: of how many; take: for how many there is room
 * @reserved: must be zero
 */
struct faasin_ranges {
	__u64 ranges;
	__u32 count;
	__u32 reserved;
};

/**
 * FAASIN_IOC_ALLOC - an extent to fill
 *
 * Of an output port. @length: at least so many bytes; @offset must be 0 and
 * receives where they are. Waits for room as a write does, with O_NONBLOCK: EAGAIN, or
 * ENOMEM where there is room but memory is short; EPOLLOUT then tells that it is worth trying
 * again, until another extent was had by this call or something written. What it holds at first
 * is zero or what its producers put there before. Memory is had by @granule: a write may still
 * find the reserved page where an extent finds nothing. With FAASIN_ALLOC_LANE as its offset, an
 * open file whose lane is on does not wait here: EAGAIN; FAASIN_IOC_LANE_WAIT does. Whoever
 * waits here retires the lane.
 *
 * Errors: EFAULT, EINVAL (length 0, offset), EMSGSIZE (more than the window has), EPIPE
 * (the stream is over; no SIGPIPE), EAGAIN, EINTR, ENOMEM (the cgroup that pays was
 * removed; with O_NONBLOCK also: memory is short), EBADF (an input port), ENOTTY (not a port),
 * EOPNOTSUPP (records are dealt).
 */
#define FAASIN_IOC_ALLOC	_IOWR(FAASIN_IOC_MAGIC, 7, struct faasin_range)
#define FAASIN_ALLOC_LANE	1

/**
 * FAASIN_IOC_SEND - hands extents off, as one record
 *
 * Of an output port. Each range begins where its extent does; of an extent, the first
 * @length bytes become part of the stream, and none of it is the caller's any more.
 * All ranges go, in their order, or none. It waits while the link is paused, with O_NONBLOCK:
 * EAGAIN.
 *
 * Errors: EFAULT, EINVAL (count 0 or above FAASIN_RANGES_MAX, reserved, length 0, an offset that
 * is no multiple of the page size), ERANGE (longer than its extent), EACCES (not the
 * beginning of an extent of this descriptor's: never allocated, sent before, named
 * twice), EPIPE (the stream is over; no SIGPIPE), EAGAIN, EINTR, EUSERS and ENOMEM
 * (as of write()), EBADF (an input port), ENOTTY (not a port), EOPNOTSUPP (records are dealt).
 */
#define FAASIN_IOC_SEND		_IOW(FAASIN_IOC_MAGIC, 8, struct faasin_ranges)

/**
 * FAASIN_IOC_TAKE - takes the next record, to be looked at in the window
 *
 * Of an input port. Returns how many ranges the record has; 0 at the end of
 * the stream. Of a record that was read in part, it is the rest. What was written is
 * copied behind the window, up to @landing bytes at a time, and counts as a record of
 * one range; on a link with records, what one call wrote does. Waits as a read does, with
 * O_NONBLOCK: EAGAIN.
 *
 * Errors: EFAULT (nothing was taken), EINVAL (count 0 or above FAASIN_RANGES_MAX, reserved,
 * a channel of one page), EMSGSIZE (the record has more ranges; or was written and is longer than
 * @landing, or than what memory there was to land in; nothing was taken, and read() takes it),
 * EBUSY (what landed was not returned), ECONNABORTED, EAGAIN, EINTR, ENOMEM (no memory to
 * land in; nothing was taken, and read() needs none), ENOSPC (no more descriptors that it could
 * land for, as of mmap()), EBADF (an output port), ENOTTY (not a port), EOPNOTSUPP (as for mmap()).
 */
#define FAASIN_IOC_TAKE		_IOW(FAASIN_IOC_MAGIC, 9, struct faasin_ranges)

/**
 * FAASIN_IOC_RETURN - gives extents back
 *
 * Of an input port: what was taken. Of an output port: what was allocated and is
 * not to be sent. Each is named by an offset within it; lengths are ignored, for good.
 * All go or none.
 *
 * Errors: EFAULT, EINVAL (count 0 or above FAASIN_RANGES_MAX, reserved), EACCES (not an extent of
 * this descriptor's, or named twice), ENOTTY (not a port), EOPNOTSUPP
 * (as for mmap()).
 */
#define FAASIN_IOC_RETURN	_IOW(FAASIN_IOC_MAGIC, 10, struct faasin_ranges)

/*
 * Lanes
 * -----
 * On a trusted link, an open file of the output and one of the input can pass extents on
 * without calls, by indices in memory that they share. libfaasctl does so by itself; this is
 * what it does. Any call that moves bytes or ends something, by whomever, retires the lane: it
 * takes effect after all that went through it before, and both sides go on by calls.
 *
 * FAASIN_LANE_SLOTS entries of each log are there at a time. An index counts entries from 0
 * on, and is changed by compare-and-exchange, since FAASIN_LANE_FROZEN is set in it when the
 * lane is retired: then nothing counts that was not counted before.
 *
 * - The producer fills slots, a whole record, and adds their number to @sent, with release; not
 *   more than FAASIN_LANE_SLOTS ahead of @taken, nor of @settled_sent.
 * - The consumer loads @sent, with acquire, and adds a whole record to @taken.
 * - It gives an extent back that it took by this very lane, others by FAASIN_IOC_RETURN: it
 *   stores where that begins in @offsets, and adds 1 to @returned, not more than
 *   FAASIN_LANE_SLOTS ahead of @popped, nor of @settled_returned.
 * - The producer has it again when it has added 1 to @popped. What it has not is freed when the
 *   lane is retired, at the latest after a few seconds in which nothing was passed on.
 * - Whoever passed something on executes a full barrier and then looks at @asleep_* of the other
 *   side: if that is not 0, FAASIN_IOC_LANE_KICK. That also settles: what the logs say is
 *   applied, and their entries may be overwritten.
 *
 * Entries that a call with the same meaning would have been refused for stop the settling of their
 * log; if there are such when the lane is retired, the stream is aborted (FAASIN_CAUSE_LANE), by
 * whichever side lied, as far as the logs show. An index that is further from what was settled
 * than the log is long has it retired as soon as anybody waits, polls or kicks.
 *
 * The other side is believed by who uses a lane, not by the kernel. An offset in a slot may be one
 * without memory: touching that is SIGBUS. What comes back may not have been taken: who fills it
 * changes what the consumer, or whoever reads after it, gets.
 */

#define FAASIN_LANE_SLOTS	512
#define FAASIN_LANE_FROZEN	(1ULL << 63)

/* States of a lane */
#define FAASIN_LANE_ALONE	0	/* the other side has not asked for it */
#define FAASIN_LANE_OFFERED	1	/* both have; there is something that was sent by a call */
#define FAASIN_LANE_ON		2	/* it is used */
#define FAASIN_LANE_RETIRED	3	/* for good: FAASIN_IOC_LANE gives another one */

/**
 * struct faasin_lane_state - what the kernel says of a lane; read-only to both sides
 * @state: FAASIN_LANE_ALONE to FAASIN_LANE_RETIRED
 * @asleep_in: the consumer may wait, or polled, since it was last told
 * @asleep_out: the producer likewise
 * @reserved1: zero, as are the others
 * @reserved2: each is on a line of its own
 * @reserved3: likewise
 * @settled_sent: entries that were applied
 * @settled_returned: likewise
 */
struct faasin_lane_state {
	__u32 state;
	__u32 reserved1[15];
	__u32 asleep_in;
	__u32 reserved2[15];
	__u32 asleep_out;
	__u32 reserved3[15];
	__u64 settled_sent;
	__u64 settled_returned;
};

/**
 * struct faasin_lane_slot - an extent that is sent
 * @offset: where it begins
 * @length: bytes of it
 * @last: of its record
 */
struct faasin_lane_slot {
	__u64 offset;
	__u32 length;
	__u32 last;
};

/**
 * struct faasin_lane_out - the producer's part, at FAASIN_LANE_OUT_AT
 * @sent: see above
 * @popped: see above
 * @reserved1: of no meaning
 * @reserved2: likewise
 * @slots: entry i is at i modulo FAASIN_LANE_SLOTS
 */
struct faasin_lane_out {
	__u64 sent;
	__u64 reserved1[7];
	__u64 popped;
	__u64 reserved2[503];
	struct faasin_lane_slot slots[FAASIN_LANE_SLOTS];
};

/**
 * struct faasin_lane_in - the consumer's part, at FAASIN_LANE_IN_AT
 * @taken: see above
 * @returned: see above
 * @reserved1: of no meaning
 * @reserved2: likewise
 * @offsets: entry i is at i modulo FAASIN_LANE_SLOTS
 */
struct faasin_lane_in {
	__u64 taken;
	__u64 reserved1[7];
	__u64 returned;
	__u64 reserved2[503];
	__u64 offsets[FAASIN_LANE_SLOTS];
};

/* Offsets of a lane's parts, for mmap(); its state is at 0. */
#define FAASIN_LANE_OUT_AT	4096
#define FAASIN_LANE_IN_AT	16384
#define FAASIN_LANE_SIZE	24576

/**
 * FAASIN_IOC_LANE - an end of a lane
 *
 * Returns a descriptor, to be mapped, MAP_SHARED: one's own part writable, the others read-only.
 * It can be closed then. The lane is on when both ends were asked for, on the same stream,
 * nothing is queued and nobody waits; it is tried when an end is asked for, and by
 * FAASIN_IOC_LANE_WAIT, _ALLOC and _RETURN. It is retired when the descriptor is closed and
 * nothing of it is mapped by that any more. Its memory is charged to the workflow's cgroup until
 * then. It counts as a window. What is sent by it the process wrote that asked for it, whoever
 * maps it; until something is, that has not written.
 *
 * Errors: EOPNOTSUPP (the link is not trusted, which none is of an output that may have several;
 * its input may have several links; the link has records; or this machine's pages are larger than
 * 4 KiB), EBUSY (this end is taken, also by the descriptor itself), EINVAL (a channel of one page
 * has no window),
 * ENOSPC (as of mmap(); or FAASIN_WINDOWS_MAX lanes of this end are still mapped, retired ones
 * included), EUSERS (as of write()), ENOMEM (also where growing would leave the cgroup too
 * little room), EMFILE, ENFILE, ESTALE, ENOTTY (not a port).
 */
#define FAASIN_IOC_LANE		_IO(FAASIN_IOC_MAGIC, 11)

/**
 * FAASIN_IOC_LANE_WAIT - waits until there may be something
 *
 * An input: until something was sent, or the lane is off and there is something to take. An
 * output: until something came back, or there may be room since FAASIN_IOC_ALLOC found none, or
 * the stream is over, or a tenth of a second has passed; at once if FAASIN_IOC_ALLOC found some.
 * 0 also if the lane is retired, or there is none. With O_NONBLOCK: EAGAIN, and @asleep_* is
 * set, so that polling tells. It counts as a wait of its side.
 *
 * Errors: EAGAIN, EINTR, ENOTTY (not a port).
 */
#define FAASIN_IOC_LANE_WAIT	_IO(FAASIN_IOC_MAGIC, 12)

/**
 * FAASIN_IOC_LANE_KICK - settles, and wakes the other side
 *
 * On a link that is not trusted it does nothing.
 *
 * Errors: ENOTTY (not a port).
 */
#define FAASIN_IOC_LANE_KICK	_IO(FAASIN_IOC_MAGIC, 13)

/* ----------------------------------------------------------------- netlink */

#define FAASIN_GENL_NAME	"faasin"
#define FAASIN_GENL_VERSION	1
#define FAASIN_GENL_MCGRP_EVENTS "events"

enum faasin_cmd {
	FAASIN_CMD_UNSPEC,
	FAASIN_CMD_INFO_GET,
	FAASIN_CMD_WORKFLOW_GET,
	FAASIN_CMD_WORKFLOW_NEW,
	FAASIN_CMD_WORKFLOW_DEL,
	FAASIN_CMD_STAGE_GET,
	FAASIN_CMD_STAGE_NEW,
	FAASIN_CMD_STAGE_DEL,
	FAASIN_CMD_LINK_GET,
	FAASIN_CMD_LINK_NEW,
	FAASIN_CMD_LINK_DEL,
	FAASIN_CMD_EVENT,
	FAASIN_CMD_LINK_SET,
	FAASIN_CMD_STAGE_REPLACE,
	__FAASIN_CMD_MAX,
};

#define FAASIN_CMD_MAX (__FAASIN_CMD_MAX - 1)

/**
 * enum faasin_info_attr - the module
 * @FAASIN_A_INFO_ABI: u32, FAASIN_ABI_VERSION
 * @FAASIN_A_INFO_VERSION: string, the module's version
 * @FAASIN_A_INFO_WORKFLOWS: u32, workflows that exist
 * @FAASIN_A_INFO_WORKFLOWS_MAX: u32
 * @FAASIN_A_INFO_EVENT_SEQ: u64, number of the newest event
 */
enum faasin_info_attr {
	/* private: */
	FAASIN_A_INFO_UNSPEC,
	/* public: */
	FAASIN_A_INFO_ABI,
	FAASIN_A_INFO_VERSION,
	FAASIN_A_INFO_WORKFLOWS,
	FAASIN_A_INFO_WORKFLOWS_MAX,
	FAASIN_A_INFO_EVENT_SEQ,
	/* private: */
	FAASIN_A_INFO_PAD,
	__FAASIN_A_INFO_MAX,
};

#define FAASIN_A_INFO_MAX (__FAASIN_A_INFO_MAX - 1)

#define FAASIN_WORKFLOW_F_UNCHARGED	(1u << 0)	/* nobody's cgroup pays */
#define FAASIN_WORKFLOW_F_CGROUP_GONE	(1u << 1)	/* get only: it was removed */
#define FAASIN_WORKFLOW_F_SETTABLE	FAASIN_WORKFLOW_F_UNCHARGED

/**
 * enum faasin_workflow_attr - a workflow
 * @FAASIN_A_WORKFLOW_NAME: string
 * @FAASIN_A_WORKFLOW_GENERATION: u64, never used twice while the module is loaded
 * @FAASIN_A_WORKFLOW_CGROUP_FD: s32, new: directory of the cgroup that pays
 * @FAASIN_A_WORKFLOW_CGROUP_ID: u64, get: the cgroup's id (its inode number)
 * @FAASIN_A_WORKFLOW_CGROUP_PATH: string, get: its path under the hierarchy's root
 * @FAASIN_A_WORKFLOW_FLAGS: u32, FAASIN_WORKFLOW_F_*
 * @FAASIN_A_WORKFLOW_STAGES: u32, get: number of stages
 * @FAASIN_A_WORKFLOW_LINKS: u32, get: number of links
 * @FAASIN_A_WORKFLOW_STATS: get: nest of FAASIN_A_STATS_*: sums over all links that the
 *	workflow ever had
 * @FAASIN_A_WORKFLOW_GONE: get: nest of FAASIN_A_STATS_*: what stages sent that were
 *	deleted since; a part of the other
 */
enum faasin_workflow_attr {
	/* private: */
	FAASIN_A_WORKFLOW_UNSPEC,
	/* public: */
	FAASIN_A_WORKFLOW_NAME,
	FAASIN_A_WORKFLOW_GENERATION,
	FAASIN_A_WORKFLOW_CGROUP_FD,
	FAASIN_A_WORKFLOW_CGROUP_ID,
	FAASIN_A_WORKFLOW_CGROUP_PATH,
	FAASIN_A_WORKFLOW_FLAGS,
	FAASIN_A_WORKFLOW_STAGES,
	FAASIN_A_WORKFLOW_LINKS,
	/* private: */
	FAASIN_A_WORKFLOW_PAD,
	/* public: */
	FAASIN_A_WORKFLOW_STATS,
	FAASIN_A_WORKFLOW_GONE,
	/* private: */
	__FAASIN_A_WORKFLOW_MAX,
};

#define FAASIN_A_WORKFLOW_MAX (__FAASIN_A_WORKFLOW_MAX - 1)

enum faasin_direction {
	FAASIN_DIRECTION_IN,
	FAASIN_DIRECTION_OUT,
};

/**
 * enum faasin_port_attr - nested in FAASIN_A_STAGE_PORT
 * @FAASIN_A_PORT_NAME: string
 * @FAASIN_A_PORT_DIRECTION: u32, enum faasin_direction
 * @FAASIN_A_PORT_PEER_STAGE: string, get: where it is linked; absent if it is not
 * @FAASIN_A_PORT_PEER_PORT: string, get
 * @FAASIN_A_PORT_OPENS: u32, get: open files of this port's present link, or links
 * @FAASIN_A_PORT_LINKS: u32, get: how many links it has; the peer is the oldest one's
 */
enum faasin_port_attr {
	/* private: */
	FAASIN_A_PORT_UNSPEC,
	/* public: */
	FAASIN_A_PORT_NAME,
	FAASIN_A_PORT_DIRECTION,
	FAASIN_A_PORT_PEER_STAGE,
	FAASIN_A_PORT_PEER_PORT,
	FAASIN_A_PORT_OPENS,
	FAASIN_A_PORT_LINKS,
	/* private: */
	__FAASIN_A_PORT_MAX,
};

#define FAASIN_A_PORT_MAX (__FAASIN_A_PORT_MAX - 1)

#define FAASIN_STAGE_F_CGROUP_GONE	(1u << 0)	/* get only: it was removed */

/**
 * enum faasin_stage_attr - a stage
 * @FAASIN_A_STAGE_WORKFLOW: string
 * @FAASIN_A_STAGE_NAME: string
 * @FAASIN_A_STAGE_GENERATION: u64
 * @FAASIN_A_STAGE_CGROUP_FD: s32, new: directory of the cgroup whose members may open
 * @FAASIN_A_STAGE_CGROUP_ID: u64, get; absent where no cgroup is bound
 * @FAASIN_A_STAGE_CGROUP_PATH: string, get
 * @FAASIN_A_STAGE_UID: u32, owner of the ports, in the initial user namespace
 * @FAASIN_A_STAGE_GID: u32
 * @FAASIN_A_STAGE_MODE: u32, permission bits of the ports, 0 to 0777
 * @FAASIN_A_STAGE_FLAGS: u32, get: FAASIN_STAGE_F_*
 * @FAASIN_A_STAGE_PORT: nest of FAASIN_A_PORT_*, repeated: a port each. On new: ports
 *	to have besides the two default ones (here repetition does not replace)
 * @FAASIN_A_STAGE_SENT: get: nest of FAASIN_A_STATS_*: sums over all links that its
 *	outputs ever had
 * @FAASIN_A_STAGE_RECEIVED: get: nest of FAASIN_A_STATS_*: likewise its inputs
 */
enum faasin_stage_attr {
	/* private: */
	FAASIN_A_STAGE_UNSPEC,
	/* public: */
	FAASIN_A_STAGE_WORKFLOW,
	FAASIN_A_STAGE_NAME,
	FAASIN_A_STAGE_GENERATION,
	FAASIN_A_STAGE_CGROUP_FD,
	FAASIN_A_STAGE_CGROUP_ID,
	FAASIN_A_STAGE_CGROUP_PATH,
	FAASIN_A_STAGE_UID,
	FAASIN_A_STAGE_GID,
	FAASIN_A_STAGE_MODE,
	FAASIN_A_STAGE_FLAGS,
	FAASIN_A_STAGE_PORT,
	/* private: */
	FAASIN_A_STAGE_PAD,
	/* public: */
	FAASIN_A_STAGE_SENT,
	FAASIN_A_STAGE_RECEIVED,
	/* private: */
	__FAASIN_A_STAGE_MAX,
};

#define FAASIN_A_STAGE_MAX (__FAASIN_A_STAGE_MAX - 1)

/**
 * enum faasin_abort_on - which exits of a holder of the writing end abort
 * @FAASIN_ABORT_ON_CRASH: death by a signal, a status of 128 or more (default)
 * @FAASIN_ABORT_ON_NONZERO: these, and any other status but 0
 * @FAASIN_ABORT_ON_NEVER: none; only FAASIN_IOC_ABORT and unlinking abort
 */
enum faasin_abort_on {
	FAASIN_ABORT_ON_CRASH,
	FAASIN_ABORT_ON_NONZERO,
	FAASIN_ABORT_ON_NEVER,
};

/**
 * enum faasin_early_close - what a writer meets after its reader closed early
 * @FAASIN_EARLY_CLOSE_EPIPE: EPIPE and SIGPIPE, as on a pipe (default)
 * @FAASIN_EARLY_CLOSE_DRAIN: its writes succeed and are dropped, and counted
 */
enum faasin_early_close {
	FAASIN_EARLY_CLOSE_EPIPE,
	FAASIN_EARLY_CLOSE_DRAIN,
};

/**
 * enum faasin_slow - what becomes of a link that holds up the writer, of an output with several
 * @FAASIN_SLOW_THROTTLE: the writer waits for it (default)
 * @FAASIN_SLOW_DROP: the oldest of its streams that has bytes left is aborted and its rest
 *	dropped, when a writer finds no room and the links that throttle (if there is none: the
 *	one that has read furthest) have at most half as much left to read
 *
 * Who is ahead otherwise than by reading sets no pace, but does not wait, if it is open and has
 * nothing to read, for those that nobody has open. Of the only link of an output it means
 * nothing: there is nobody to be slower than.
 */
enum faasin_slow {
	FAASIN_SLOW_THROTTLE,
	FAASIN_SLOW_DROP,
};

/**
 * enum faasin_stats_attr - statistics; all u64
 *
 * Nested in FAASIN_A_LINK_STATS: of a link and of those that were between the same
 * ports before, while both stages exist (a port remembers 8 peers). Nested elsewhere: sums
 * of that. What is said to be so "now" aside, they never go back.
 *
 * @FAASIN_A_STATS_BYTES_IN: bytes accepted from writers
 * @FAASIN_A_STATS_BYTES_OUT: bytes given to readers
 * @FAASIN_A_STATS_BYTES_DROPPED: bytes accepted and dropped (early close, unlink, too slow);
 *	in = out + dropped + held
 * @FAASIN_A_STATS_BYTES_HELD: bytes waiting in the channel now
 * @FAASIN_A_STATS_BYTES_HELD_MAX: the most that ever waited
 * @FAASIN_A_STATS_POOL_BYTES: memory of the page pool, and of what landed in windows, now
 * @FAASIN_A_STATS_WRITES: write calls that moved bytes
 * @FAASIN_A_STATS_READS: read calls that moved bytes
 * @FAASIN_A_STATS_READER_WAKES: wake-ups sent to readers
 * @FAASIN_A_STATS_WRITER_WAKES: wake-ups sent to writers
 * @FAASIN_A_STATS_WAKES_AVOIDED: transfers that needed none
 * @FAASIN_A_STATS_WRITER_BLOCKED_NS: time writers slept or spun on a full channel,
 *	up to now: waits that last are counted; of several writers, the sum
 * @FAASIN_A_STATS_READER_BLOCKED_NS: time readers slept or spun on an empty one,
 *	likewise. Not until a stream begins, at an input that may have several links: that
 *	is of none of them
 * @FAASIN_A_STATS_WRITER_BLOCKS: times they did
 * @FAASIN_A_STATS_READER_BLOCKS: times they did
 * @FAASIN_A_STATS_STREAMS_BEGUN: streams
 * @FAASIN_A_STATS_STREAMS_ENDED: of these, ended; those among them that lost something afterwards
 *	since their reader was too slow, too
 * @FAASIN_A_STATS_STREAMS_ABORTED: of these, aborted
 * @FAASIN_A_STATS_EARLY_CLOSES: of these, closed early by the reader
 * @FAASIN_A_STATS_STREAMS_QUEUED: ended or aborted ones not consumed yet, now
 * @FAASIN_A_STATS_POOL_KIB_MS: memory over time: KiB times milliseconds
 * @FAASIN_A_STATS_LINKED_NS: time that there was a link
 * @FAASIN_A_STATS_BYTES_IN_MOVED: bytes that writers gave by reference
 * @FAASIN_A_STATS_BYTES_IN_COPIED: bytes copied from writers; the two and what was
 *	swallowed after an early close (with the policy to drain) are BYTES_IN
 * @FAASIN_A_STATS_BYTES_OUT_MOVED: bytes that readers were given by reference
 * @FAASIN_A_STATS_BYTES_OUT_COPIED: bytes copied to readers; the two are BYTES_OUT
 */
enum faasin_stats_attr {
	/* private: */
	FAASIN_A_STATS_UNSPEC,
	FAASIN_A_STATS_PAD,
	/* public: */
	FAASIN_A_STATS_BYTES_IN,
	FAASIN_A_STATS_BYTES_OUT,
	FAASIN_A_STATS_BYTES_DROPPED,
	FAASIN_A_STATS_BYTES_HELD,
	FAASIN_A_STATS_BYTES_HELD_MAX,
	FAASIN_A_STATS_POOL_BYTES,
	FAASIN_A_STATS_WRITES,
	FAASIN_A_STATS_READS,
	FAASIN_A_STATS_READER_WAKES,
	FAASIN_A_STATS_WRITER_WAKES,
	FAASIN_A_STATS_WAKES_AVOIDED,
	FAASIN_A_STATS_WRITER_BLOCKED_NS,
	FAASIN_A_STATS_READER_BLOCKED_NS,
	FAASIN_A_STATS_WRITER_BLOCKS,
	FAASIN_A_STATS_READER_BLOCKS,
	FAASIN_A_STATS_STREAMS_BEGUN,
	FAASIN_A_STATS_STREAMS_ENDED,
	FAASIN_A_STATS_STREAMS_ABORTED,
	FAASIN_A_STATS_EARLY_CLOSES,
	FAASIN_A_STATS_STREAMS_QUEUED,
	FAASIN_A_STATS_POOL_KIB_MS,
	FAASIN_A_STATS_LINKED_NS,
	FAASIN_A_STATS_BYTES_IN_MOVED,
	FAASIN_A_STATS_BYTES_IN_COPIED,
	FAASIN_A_STATS_BYTES_OUT_MOVED,
	FAASIN_A_STATS_BYTES_OUT_COPIED,
	/* private: */
	__FAASIN_A_STATS_MAX,
};

#define FAASIN_A_STATS_MAX (__FAASIN_A_STATS_MAX - 1)

/**
 * enum faasin_link_state - what a link is doing
 * @FAASIN_LINK_STATE_RUNNING: bytes move
 * @FAASIN_LINK_STATE_PAUSED: none do, neither in nor out, until another state is set
 * @FAASIN_LINK_STATE_DRAINING: as running, but no new stream begins
 * @FAASIN_LINK_STATE_DRAINED: get only: draining, and nothing is left to read
 */
enum faasin_link_state {
	FAASIN_LINK_STATE_RUNNING,
	FAASIN_LINK_STATE_PAUSED,
	FAASIN_LINK_STATE_DRAINING,
	FAASIN_LINK_STATE_DRAINED,
};

/**
 * enum faasin_merge - how the streams of an input with several links are read
 * @FAASIN_MERGE_STREAMS: each whole, in the order in which they began
 * @FAASIN_MERGE_RECORDS: as one: one stream of each link, record by record, as they come
 * @FAASIN_MERGE_TURN: likewise, a record of each link in turn, in the order in which they were
 *	linked; those whose stream has ended are passed over
 */
enum faasin_merge {
	FAASIN_MERGE_STREAMS,
	FAASIN_MERGE_RECORDS,
	FAASIN_MERGE_TURN,
};

#define FAASIN_LINK_F_TRUSTED	(1u << 0)	/* windows stay mapped across hand-offs */
#define FAASIN_LINK_F_RECORDS	(1u << 1)	/* what one call writes is a record: see there */
#define FAASIN_LINK_F_DEALT	(1u << 2)	/* records go to an output's links in turn */
#define FAASIN_LINK_F_SETTABLE	(FAASIN_LINK_F_TRUSTED | FAASIN_LINK_F_RECORDS | \
				 FAASIN_LINK_F_DEALT)

/**
 * enum faasin_end_attr - nested in FAASIN_A_LINK_DST and FAASIN_A_LINK_SRC
 * @FAASIN_A_END_STAGE: string
 * @FAASIN_A_END_PORT: string; "faasin" if absent, of a source "faasout"
 */
enum faasin_end_attr {
	/* private: */
	FAASIN_A_END_UNSPEC,
	/* public: */
	FAASIN_A_END_STAGE,
	FAASIN_A_END_PORT,
	/* private: */
	__FAASIN_A_END_MAX,
};

#define FAASIN_A_END_MAX (__FAASIN_A_END_MAX - 1)

/**
 * enum faasin_link_attr - a link
 * @FAASIN_A_LINK_WORKFLOW: string
 * @FAASIN_A_LINK_SRC_STAGE: string
 * @FAASIN_A_LINK_SRC_PORT: string, "faasout" if absent
 * @FAASIN_A_LINK_DST_STAGE: string
 * @FAASIN_A_LINK_DST_PORT: string, "faasin" if absent
 * @FAASIN_A_LINK_GENERATION: u64
 * @FAASIN_A_LINK_CAPACITY: u64 (new: u64), bytes
 * @FAASIN_A_LINK_ABORT_ON: u32, enum faasin_abort_on
 * @FAASIN_A_LINK_EARLY_CLOSE: u32, enum faasin_early_close
 * @FAASIN_A_LINK_STATS: get: nest of FAASIN_A_STATS_*
 * @FAASIN_A_LINK_CAUSE: u32, get: enum faasin_cause of the last stream that did
 *	not simply end; absent while there is none
 * @FAASIN_A_LINK_CAUSE_CODE: u32, get: its signal or status
 * @FAASIN_A_LINK_CAUSE_STAGE: string, get: the stage whose process caused it
 * @FAASIN_A_LINK_CAUSE_PID: u32, get: that process, in the initial pid namespace
 * @FAASIN_A_LINK_CAUSE_COMM: string, get: its command name
 * @FAASIN_A_LINK_CAUSE_STREAM: u64, get: number of that stream
 * @FAASIN_A_LINK_STATE: u32, enum faasin_link_state
 * @FAASIN_A_LINK_DST: new: nest of FAASIN_A_END_*, repeated: a destination each, of an output
 *	for several links (here repetition does not replace)
 * @FAASIN_A_LINK_FLAGS: u32, FAASIN_LINK_F_*; without it none are asked for:
 *	a trusted link that exists, or one with records, dealt or not, is then EEXIST
 * @FAASIN_A_LINK_SLOW: u32, enum faasin_slow
 * @FAASIN_A_LINK_SRC: new: nest of FAASIN_A_END_*, repeated: a source each, of an input for
 *	several links
 * @FAASIN_A_LINK_MERGE: u32, enum faasin_merge, of the input; without it, FAASIN_MERGE_STREAMS
 *	is asked for
 */
enum faasin_link_attr {
	/* private: */
	FAASIN_A_LINK_UNSPEC,
	/* public: */
	FAASIN_A_LINK_WORKFLOW,
	FAASIN_A_LINK_SRC_STAGE,
	FAASIN_A_LINK_SRC_PORT,
	FAASIN_A_LINK_DST_STAGE,
	FAASIN_A_LINK_DST_PORT,
	FAASIN_A_LINK_GENERATION,
	FAASIN_A_LINK_CAPACITY,
	FAASIN_A_LINK_ABORT_ON,
	FAASIN_A_LINK_EARLY_CLOSE,
	FAASIN_A_LINK_STATS,
	FAASIN_A_LINK_CAUSE,
	FAASIN_A_LINK_CAUSE_CODE,
	FAASIN_A_LINK_CAUSE_STAGE,
	FAASIN_A_LINK_CAUSE_PID,
	FAASIN_A_LINK_CAUSE_COMM,
	FAASIN_A_LINK_CAUSE_STREAM,
	/* private: */
	FAASIN_A_LINK_PAD,
	/* public: */
	FAASIN_A_LINK_STATE,
	FAASIN_A_LINK_DST,
	FAASIN_A_LINK_FLAGS,
	FAASIN_A_LINK_SLOW,
	FAASIN_A_LINK_SRC,
	FAASIN_A_LINK_MERGE,
	/* private: */
	__FAASIN_A_LINK_MAX,
};

#define FAASIN_A_LINK_MAX (__FAASIN_A_LINK_MAX - 1)

/**
 * enum faasin_event_type - what an event tells
 * @FAASIN_EVENT_WORKFLOW_NEW: a workflow was created
 * @FAASIN_EVENT_WORKFLOW_DEL: it was deleted
 * @FAASIN_EVENT_STAGE_NEW: a stage was created or changed
 * @FAASIN_EVENT_STAGE_DEL: it was deleted
 * @FAASIN_EVENT_LINK_NEW: a link was made
 * @FAASIN_EVENT_LINK_DEL: it was deleted
 * @FAASIN_EVENT_STREAM_BEGIN: a producer opened a new stream
 * @FAASIN_EVENT_STREAM_END: a stream ended
 * @FAASIN_EVENT_STREAM_ABORT: a stream was aborted; CAUSE says why. With FAASIN_CAUSE_SLOW it can
 *	come after STREAM_END, or again after an abort
 * @FAASIN_EVENT_EARLY_CLOSE: a reader closed before the end; BYTES were dropped
 * @FAASIN_EVENT_CGROUP_GONE: the cgroup that pays for a link was removed: the
 *	link goes on with the pages it has
 * @FAASIN_EVENT_LINK_RESIZE: a link's capacity was changed
 * @FAASIN_EVENT_LINK_PAUSE: a link was paused
 * @FAASIN_EVENT_LINK_DRAIN: a link is to drain
 * @FAASIN_EVENT_LINK_RESUME: it is neither paused nor drained any more
 * @FAASIN_EVENT_STAGE_REPLACE: a stage was replaced: others may take over its streams. What the
 *	replaced see of a trusted link's memory is taken away after that, and before the request is
 *	answered
 */
enum faasin_event_type {
	/* private: */
	FAASIN_EVENT_UNSPEC,
	/* public: */
	FAASIN_EVENT_WORKFLOW_NEW,
	FAASIN_EVENT_WORKFLOW_DEL,
	FAASIN_EVENT_STAGE_NEW,
	FAASIN_EVENT_STAGE_DEL,
	FAASIN_EVENT_LINK_NEW,
	FAASIN_EVENT_LINK_DEL,
	FAASIN_EVENT_STREAM_BEGIN,
	FAASIN_EVENT_STREAM_END,
	FAASIN_EVENT_STREAM_ABORT,
	FAASIN_EVENT_EARLY_CLOSE,
	FAASIN_EVENT_CGROUP_GONE,
	FAASIN_EVENT_LINK_RESIZE,
	FAASIN_EVENT_LINK_PAUSE,
	FAASIN_EVENT_LINK_DRAIN,
	FAASIN_EVENT_LINK_RESUME,
	FAASIN_EVENT_STAGE_REPLACE,
	/* private: */
	__FAASIN_EVENT_MAX,
};

#define FAASIN_EVENT_MAX (__FAASIN_EVENT_MAX - 1)

/**
 * enum faasin_event_attr - an event
 * @FAASIN_A_EVENT_SEQ: u64, from 1; a gap means that events were lost (ENOBUFS) or
 *	held back by the rate limit of a workflow or of all: read the state again
 * @FAASIN_A_EVENT_TYPE: u32, enum faasin_event_type
 * @FAASIN_A_EVENT_TIME: u64, nanoseconds of CLOCK_BOOTTIME
 * @FAASIN_A_EVENT_WORKFLOW: string
 * @FAASIN_A_EVENT_STAGE: string, of stage events and of a cause: the stage
 * @FAASIN_A_EVENT_SRC_STAGE: string, of link and stream events
 * @FAASIN_A_EVENT_SRC_PORT: string
 * @FAASIN_A_EVENT_DST_STAGE: string
 * @FAASIN_A_EVENT_DST_PORT: string
 * @FAASIN_A_EVENT_GENERATION: u64, of the workflow, stage or link
 * @FAASIN_A_EVENT_STREAM: u64, number of the stream
 * @FAASIN_A_EVENT_BYTES: u64, length of the stream, or bytes dropped
 * @FAASIN_A_EVENT_CAUSE: u32, enum faasin_cause
 * @FAASIN_A_EVENT_CAUSE_CODE: u32
 * @FAASIN_A_EVENT_PID: u32, in the initial pid namespace
 * @FAASIN_A_EVENT_COMM: string
 */
enum faasin_event_attr {
	/* private: */
	FAASIN_A_EVENT_UNSPEC,
	/* public: */
	FAASIN_A_EVENT_SEQ,
	FAASIN_A_EVENT_TYPE,
	FAASIN_A_EVENT_TIME,
	FAASIN_A_EVENT_WORKFLOW,
	FAASIN_A_EVENT_STAGE,
	FAASIN_A_EVENT_SRC_STAGE,
	FAASIN_A_EVENT_SRC_PORT,
	FAASIN_A_EVENT_DST_STAGE,
	FAASIN_A_EVENT_DST_PORT,
	FAASIN_A_EVENT_GENERATION,
	FAASIN_A_EVENT_STREAM,
	FAASIN_A_EVENT_BYTES,
	FAASIN_A_EVENT_CAUSE,
	FAASIN_A_EVENT_CAUSE_CODE,
	FAASIN_A_EVENT_PID,
	FAASIN_A_EVENT_COMM,
	/* private: */
	FAASIN_A_EVENT_PAD,
	__FAASIN_A_EVENT_MAX,
};

#define FAASIN_A_EVENT_MAX (__FAASIN_A_EVENT_MAX - 1)

#endif /* _UAPI_FAASIN_H */
