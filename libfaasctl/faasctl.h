/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libfaasctl: control of FAASIN from C.
 *
 * Errors
 * ------
 * A function that can fail returns 0 (or what its description says) on success
 * and a negative errno on failure, and takes a struct faasctl_error as its last
 * argument, which may be NULL. On failure it holds the positive errno and one
 * line of text for a person: what was wrong and, where it is known, what to
 * do. The text contains the kernel's own explanation if it gave one. On success
 * it is left alone. Nothing is ever printed, and no signal or exit is caused.
 *
 * Errors that every function with a handle can return, besides its own:
 *   -EPERM     CAP_NET_ADMIN or CAP_SYS_ADMIN in the initial user namespace is
 *              missing
 *   -ENOMEM    no memory, here or in the kernel
 *   -EBADMSG   the kernel's answer was malformed or cut short
 *   -ENODEV    the module went away since faasctl_open()
 *
 * Ownership
 * ---------
 * Arguments are never kept: a string or a struct may be freed when the call
 * returns. Descriptors passed in stay the caller's. What a callback is given
 * lives until the callback returns. Handles are freed by their own function,
 * which accepts NULL.
 *
 * Threads
 * -------
 * A handle may be used by one thread at a time; different handles are
 * independent. There is no global state.
 *
 * Names
 * -----
 * Workflows, stages and ports have names of 1 to 63 of [A-Za-z0-9._-], not
 * beginning with '.', other than "self". An *end* of a link is written as
 * "STAGE" (its default port) or "STAGE:PORT".
 */
#ifndef FAASCTL_H
#define FAASCTL_H

#include <stddef.h>
#include <stdint.h>

#include <linux/faasin.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct faasctl_error - why a call failed
 * @code: the errno, positive; what the call returned is -code
 * @message: one line without a newline, always terminated
 */
struct faasctl_error {
	int code;
	char message[508];
};

/* ------------------------------------------------------------- connection */

struct faasctl;

/**
 * struct faasctl_info - the module
 * @abi: the FAASIN_ABI_VERSION that it was built with
 * @workflows: how many exist
 * @workflows_max: how many can
 * @event_seq: number of the newest event
 * @version: its version
 */
struct faasctl_info {
	uint32_t abi;
	uint32_t workflows;
	uint32_t workflows_max;
	uint64_t event_seq;
	char version[64];
};

/**
 * faasctl_open - connect to the module
 * @ctl: receives the handle; NULL on failure
 * @err: why it failed, or NULL
 *
 * Return: 0, or
 *   -ENOENT    the module is not loaded, or just being loaded or unloaded, or this
 *              is another network namespace than the initial one
 *   -EPROTO    the module speaks another version of the interface
 *   and the common errors; also those of socket(2).
 */
int faasctl_open(struct faasctl **ctl, struct faasctl_error *err);

/**
 * faasctl_close - free a handle
 * @ctl: the handle, or NULL
 */
void faasctl_close(struct faasctl *ctl);

/**
 * faasctl_info_get - ask the module about itself
 * @ctl: the handle; or NULL to ask whatever module is loaded, even one that
 *	faasctl_open() refuses for its version
 * @info: receives the answer
 * @err: why it failed, or NULL
 *
 * Return: 0 or a common error; with NULL also -ENOENT as faasctl_open() and
 * the errors of socket(2).
 */
int faasctl_info_get(struct faasctl *ctl, struct faasctl_info *info,
		     struct faasctl_error *err);

/* ------------------------------------------------------------- statistics */

/**
 * struct faasctl_stats - what went through links: enum faasin_stats_attr
 * @bytes_in: bytes accepted from writers
 * @bytes_out: bytes given to readers
 * @bytes_dropped: bytes accepted and dropped
 * @bytes_held: bytes waiting now
 * @bytes_held_max: the most that ever waited
 * @pool_bytes: memory of the page pool, and of what landed in windows, now
 * @writes: write calls that moved bytes
 * @reads: read calls that moved bytes
 * @reader_wakes: wake-ups sent to readers
 * @writer_wakes: wake-ups sent to writers
 * @wakes_avoided: transfers that needed none
 * @writer_blocked_ns: time that writers waited for room, up to now
 * @reader_blocked_ns: time that readers waited for bytes, up to now; not for a stream to begin, at
 *	an input that may have several links
 * @writer_blocks: times they did
 * @reader_blocks: times they did
 * @streams_begun: streams
 * @streams_ended: of these, ended
 * @streams_aborted: of these, aborted
 * @early_closes: of these, closed early by the reader
 * @streams_queued: ended or aborted ones not consumed yet, now
 * @pool_kib_ms: memory over time: KiB times milliseconds
 * @linked_ns: time that there was a link
 * @bytes_in_moved: bytes that writers gave by reference
 * @bytes_in_copied: bytes copied from writers; the two and what was swallowed after an
 *	early close (with the policy to drain) are @bytes_in
 * @bytes_out_moved: bytes that readers were given by reference
 * @bytes_out_copied: bytes copied to readers; the two are @bytes_out
 *
 * Numbers that do not say "now" never go back.
 */
struct faasctl_stats {
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t bytes_dropped;
	uint64_t bytes_held;
	uint64_t bytes_held_max;
	uint64_t pool_bytes;
	uint64_t writes;
	uint64_t reads;
	uint64_t reader_wakes;
	uint64_t writer_wakes;
	uint64_t wakes_avoided;
	uint64_t writer_blocked_ns;
	uint64_t reader_blocked_ns;
	uint64_t writer_blocks;
	uint64_t reader_blocks;
	uint64_t streams_begun;
	uint64_t streams_ended;
	uint64_t streams_aborted;
	uint64_t early_closes;
	uint64_t streams_queued;
	uint64_t pool_kib_ms;
	uint64_t linked_ns;
	uint64_t bytes_in_moved;
	uint64_t bytes_in_copied;
	uint64_t bytes_out_moved;
	uint64_t bytes_out_copied;
};

/* -------------------------------------------------------------- workflows */

/* Flags of the functions that add. */
#define FAASCTL_EXCLUSIVE	(1u << 0)	/* fail if it exists: -EEXIST */
#define FAASCTL_UNCHARGED	(1u << 1)	/* workflows: no cgroup pays */
#define FAASCTL_TRUSTED		(1u << 2)	/* links: windows stay mapped; see there */
#define FAASCTL_RECORDS		(1u << 3)	/* links: what one call writes is a record */
#define FAASCTL_DEAL		(1u << 4)	/* links: records go to an output's links in turn */

/**
 * struct faasctl_workflow - a workflow as it was when it was asked for
 * @name: its name
 * @generation: number of this incarnation of the name
 * @cgroup_id: id of the cgroup that pays, or 0
 * @cgroup_path: that cgroup's path below the hierarchy's root, or NULL
 * @flags: FAASIN_WORKFLOW_F_*
 * @stages: number of its stages
 * @links: number of its links
 * @stats: sums over all links that it ever had
 * @gone: what stages sent that were deleted since; a part of @stats
 */
struct faasctl_workflow {
	const char *name;
	uint64_t generation;
	uint64_t cgroup_id;
	const char *cgroup_path;
	uint32_t flags;
	uint32_t stages;
	uint32_t links;
	struct faasctl_stats stats;
	struct faasctl_stats gone;
};

/**
 * typedef faasctl_workflow_fn - told of a workflow
 * @workflow: the workflow; valid during the call
 * @arg: what the enumeration was given
 *
 * Everything was received before the first call, so the function may use the
 * handle. A result other than 0 stops the enumeration and becomes its result.
 */
typedef int (*faasctl_workflow_fn)(const struct faasctl_workflow *workflow,
				   void *arg);

/**
 * faasctl_workflow_each - enumerate workflows
 * @ctl: the handle
 * @name: the one meant, or NULL for all
 * @fn: called for each; NULL to learn whether @name exists
 * @arg: passed to @fn
 * @err: why it failed, or NULL
 *
 * A list that changed while it was read is read again, a few times. If it never
 * stops changing, an object may be missing or appear twice.
 *
 * Return: 0; what @fn returned; or -ENOENT (no such workflow), -EINVAL (not a
 * name), and the common errors.
 */
int faasctl_workflow_each(struct faasctl *ctl, const char *name,
			  faasctl_workflow_fn fn, void *arg,
			  struct faasctl_error *err);

/**
 * faasctl_workflow_add - create a workflow
 * @ctl: the handle
 * @name: its name
 * @cgroup_fd: open directory of the cgroup that pays for its buffers; -1 with
 *	FAASCTL_UNCHARGED
 * @flags: FAASCTL_EXCLUSIVE, FAASCTL_UNCHARGED
 * @err: why it failed, or NULL
 *
 * A workflow that exists with this cgroup is success, unless FAASCTL_EXCLUSIVE.
 *
 * Return: 0, or
 *   -EINVAL    not a name; both or neither of a cgroup and FAASCTL_UNCHARGED;
 *              the root cgroup
 *   -EEXIST    it exists (exclusive), or with another cgroup
 *   -ENOSPC    FAASIN_WORKFLOWS_MAX workflows exist
 *   -EBADF     @cgroup_fd is not an open directory of a cgroup v2 hierarchy
 *   -EOPNOTSUPP  the memory controller is not enabled in that very cgroup
 *   -ENODEV    the cgroup has been removed
 *   and the common errors.
 */
int faasctl_workflow_add(struct faasctl *ctl, const char *name, int cgroup_fd,
			 unsigned int flags, struct faasctl_error *err);

/**
 * faasctl_workflow_del - delete a workflow, its stages and links
 * @ctl: the handle
 * @name: its name
 * @generation: delete only this incarnation, or 0 for whichever it is
 * @err: why it failed, or NULL
 *
 * Return: 0, or -ENOENT (no such workflow), -ESTALE (another incarnation),
 * -EINVAL (not a name), and the common errors.
 */
int faasctl_workflow_del(struct faasctl *ctl, const char *name,
			 uint64_t generation, struct faasctl_error *err);

/* ----------------------------------------------------------------- stages */

/**
 * struct faasctl_port - a port of a stage
 * @name: its name
 * @direction: enum faasin_direction
 * @peer_stage: the stage at the other end of its link, or NULL
 * @peer_port: the port there, or NULL
 * @opens: open files of its present link, or links
 * @links: how many links it has; the peer is the oldest one's
 */
struct faasctl_port {
	const char *name;
	uint32_t direction;
	const char *peer_stage;
	const char *peer_port;
	uint32_t opens;
	uint32_t links;
};

/**
 * struct faasctl_stage - a stage as it was when it was asked for
 * @workflow: its workflow
 * @name: its name
 * @generation: number of this incarnation of the name
 * @cgroup_id: id of the cgroup whose members may open its ports, or 0
 * @cgroup_path: that cgroup's path below the hierarchy's root, or NULL
 * @uid: owner of its ports
 * @gid: group of its ports
 * @mode: permission bits of its ports
 * @flags: FAASIN_STAGE_F_*
 * @n_ports: number of its ports
 * @ports: its ports
 * @sent: sums over all links that its outputs ever had
 * @received: sums over all links that its inputs ever had
 */
struct faasctl_stage {
	const char *workflow;
	const char *name;
	uint64_t generation;
	uint64_t cgroup_id;
	const char *cgroup_path;
	uint32_t uid;
	uint32_t gid;
	uint32_t mode;
	uint32_t flags;
	size_t n_ports;
	const struct faasctl_port *ports;
	struct faasctl_stats sent;
	struct faasctl_stats received;
};

/**
 * typedef faasctl_stage_fn - told of a stage; rules as faasctl_workflow_fn
 * @stage: the stage; valid during the call
 * @arg: what the enumeration was given
 */
typedef int (*faasctl_stage_fn)(const struct faasctl_stage *stage, void *arg);

/**
 * struct faasctl_port_spec - a port to add to a stage
 * @name: its name
 * @direction: enum faasin_direction
 */
struct faasctl_port_spec {
	const char *name;
	uint32_t direction;
};

/**
 * struct faasctl_stage_options - what a stage is to be like
 * @size: sizeof(struct faasctl_stage_options); see FAASCTL_STAGE_OPTIONS_INIT
 * @flags: FAASCTL_EXCLUSIVE
 * @cgroup_fd: open directory of the cgroup whose members may open, or -1
 * @uid: owner of the ports, or FAASCTL_UNSET
 * @gid: group of the ports, or FAASCTL_UNSET
 * @mode: permission bits of the ports, or FAASCTL_UNSET
 * @n_ports: number of @ports
 * @ports: ports to have besides faasin and faasout
 */
struct faasctl_stage_options {
	size_t size;
	unsigned int flags;
	int cgroup_fd;
	uint32_t uid;
	uint32_t gid;
	uint32_t mode;
	size_t n_ports;
	const struct faasctl_port_spec *ports;
};

#define FAASCTL_UNSET	UINT32_MAX

/* Initialiser that leaves everything to the module; set members after it. */
#define FAASCTL_STAGE_OPTIONS_INIT {					\
	.size = sizeof(struct faasctl_stage_options), .cgroup_fd = -1,	\
	.uid = FAASCTL_UNSET, .gid = FAASCTL_UNSET, .mode = FAASCTL_UNSET }

/**
 * faasctl_stage_each - enumerate stages
 * @ctl: the handle
 * @workflow: whose, or NULL for all of all workflows
 * @name: the one meant (needs @workflow), or NULL for all
 * @fn: called for each, or NULL
 * @arg: passed to @fn
 * @err: why it failed, or NULL
 *
 * Return: 0; what @fn returned; or -ENOENT (no such workflow or stage), -EINVAL
 * (not a name), and the common errors. See faasctl_workflow_each().
 */
int faasctl_stage_each(struct faasctl *ctl, const char *workflow,
		       const char *name, faasctl_stage_fn fn, void *arg,
		       struct faasctl_error *err);

/**
 * faasctl_stage_add - create a stage, or change one
 * @ctl: the handle
 * @workflow: its workflow, which must exist
 * @name: its name
 * @options: what it is to be like, or NULL
 * @err: why it failed, or NULL
 *
 * A stage that exists is changed: a cgroup is bound if none (or a removed one)
 * was, uid, gid and mode are set, missing ports are added.
 *
 * Return: 0, or
 *   -EINVAL    not a name; a bad mode; @options of an unknown size
 *   -ENOENT    no such workflow
 *   -EEXIST    it exists (exclusive), is bound to another living cgroup, or has
 *              one of the ports in the other direction
 *   -EBUSY     the cgroup is bound to another stage
 *   -ENOSPC    FAASIN_STAGES_MAX stages or FAASIN_PORTS_MAX ports exist
 *   -EBADF, -ENODEV  as faasctl_workflow_add()
 *   and the common errors.
 */
int faasctl_stage_add(struct faasctl *ctl, const char *workflow,
		      const char *name,
		      const struct faasctl_stage_options *options,
		      struct faasctl_error *err);

/**
 * faasctl_stage_del - delete a stage and its links
 * @ctl: the handle
 * @workflow: its workflow
 * @name: its name
 * @generation: delete only this incarnation, or 0 for whichever it is
 * @err: why it failed, or NULL
 *
 * Return: 0, or -ENOENT (no such workflow or stage), -ESTALE (another
 * incarnation), -EINVAL (not a name), and the common errors.
 */
int faasctl_stage_del(struct faasctl *ctl, const char *workflow,
		      const char *name, uint64_t generation,
		      struct faasctl_error *err);

/**
 * faasctl_stage_replace - let others take over a stage, in the middle of its streams
 * @ctl: the handle
 * @workflow: its workflow
 * @name: its name
 * @generation: replace only this incarnation, or 0 for whichever it is
 * @cgroup_fd: open directory of the cgroup whose members take over, or -1: it keeps
 *	the one that it has
 * @err: why it failed, or NULL
 *
 * Whoever has its ports open is detached (ESTALE); the streams go on with those who open
 * them next.
 *
 * Return: 0, or -ENOENT (no such workflow or stage), -ESTALE (another incarnation),
 * -EBUSY (the cgroup is bound to another stage), -EBADF, -ENODEV (as
 * faasctl_workflow_add()), -EINVAL (not a name), and the common errors.
 */
int faasctl_stage_replace(struct faasctl *ctl, const char *workflow,
			  const char *name, uint64_t generation, int cgroup_fd,
			  struct faasctl_error *err);

/* ------------------------------------------------------------------ links */

/**
 * struct faasctl_cause - why a stream did not simply end
 * @cause: enum faasin_cause; FAASIN_CAUSE_NONE if there is nothing to tell
 * @code: the signal's number or the exit status
 * @pid: the process, in the initial pid namespace, or 0
 * @comm: its command name, or NULL
 * @stage: its stage, or NULL
 * @stream: number of the stream
 */
struct faasctl_cause {
	uint32_t cause;
	uint32_t code;
	uint32_t pid;
	const char *comm;
	const char *stage;
	uint64_t stream;
};

/**
 * struct faasctl_link - a link as it was when it was asked for
 * @workflow: its workflow
 * @src_stage: the stage that writes
 * @src_port: its output port
 * @dst_stage: the stage that reads
 * @dst_port: its input port
 * @generation: number of this incarnation of the link
 * @capacity: bytes
 * @abort_on: enum faasin_abort_on
 * @early_close: enum faasin_early_close
 * @slow: enum faasin_slow
 * @merge: enum faasin_merge, of the input
 * @state: enum faasin_link_state
 * @flags: FAASIN_LINK_F_*
 * @stats: what went through it and through those that were between the same ports
 *	before, while both stages exist (a port remembers 8 peers)
 * @last: of the last stream that did not simply end
 */
struct faasctl_link {
	const char *workflow;
	const char *src_stage;
	const char *src_port;
	const char *dst_stage;
	const char *dst_port;
	uint64_t generation;
	uint64_t capacity;
	uint32_t abort_on;
	uint32_t early_close;
	uint32_t slow;
	uint32_t merge;
	uint32_t state;
	uint32_t flags;
	struct faasctl_stats stats;
	struct faasctl_cause last;
};

/**
 * typedef faasctl_link_fn - told of a link; rules as faasctl_workflow_fn
 * @link: the link; valid during the call
 * @arg: what the enumeration was given
 */
typedef int (*faasctl_link_fn)(const struct faasctl_link *link, void *arg);

/**
 * struct faasctl_link_options - what a link is to be like
 * @size: sizeof(struct faasctl_link_options); see FAASCTL_LINK_OPTIONS_INIT
 * @capacity: bytes, or FAASCTL_UNSET64
 * @abort_on: enum faasin_abort_on, or FAASCTL_UNSET
 * @early_close: enum faasin_early_close, or FAASCTL_UNSET
 * @slow: enum faasin_slow, or FAASCTL_UNSET
 * @merge: enum faasin_merge, of the input, or FAASCTL_UNSET; other than FAASIN_MERGE_STREAMS only
 *	with FAASCTL_RECORDS
 * @flags: FAASCTL_EXCLUSIVE; FAASCTL_TRUSTED (windows stay mapped, for stages that trust each
 *	other); FAASCTL_RECORDS (what one call writes goes in whole, and what one call reads ends
 *	with it); FAASCTL_DEAL (those of one output go to its links in turn, one each; takes
 *	FAASCTL_RECORDS); for faasctl_chain_add() also FAASCTL_UNCHARGED
 */
struct faasctl_link_options {
	size_t size;
	uint64_t capacity;
	uint32_t abort_on;
	uint32_t early_close;
	uint32_t slow;
	uint32_t merge;
	unsigned int flags;
};

#define FAASCTL_UNSET64	UINT64_MAX

/* Initialiser that leaves everything to the module; set members after it. */
#define FAASCTL_LINK_OPTIONS_INIT {					\
	.size = sizeof(struct faasctl_link_options),			\
	.capacity = FAASCTL_UNSET64, .abort_on = FAASCTL_UNSET,		\
	.early_close = FAASCTL_UNSET, .slow = FAASCTL_UNSET,		\
	.merge = FAASCTL_UNSET }

/**
 * faasctl_link_each - enumerate links
 * @ctl: the handle
 * @workflow: whose, or NULL for all of all workflows
 * @src: the end that they start at (needs @workflow), or NULL for all
 * @fn: called for each, or NULL
 * @arg: passed to @fn
 * @err: why it failed, or NULL
 *
 * Return: 0; what @fn returned; or -ENOENT (no such workflow, stage, port or
 * link), -EINVAL (not a name), and the common errors. See
 * faasctl_workflow_each().
 */
int faasctl_link_each(struct faasctl *ctl, const char *workflow,
		      const char *src, faasctl_link_fn fn, void *arg,
		      struct faasctl_error *err);

/**
 * faasctl_stage_homeless - whether a stage is due its default cgroup
 * @ctl: the handle
 * @workflow: its workflow
 * @stage: the stage
 * @err: why it failed, or NULL
 *
 * A container runtime removes a container's cgroup with it. A stage that was in
 * its default cgroup may be bound to a new one of the same path; where one that
 * was elsewhere belongs is not for a program to guess.
 *
 * Return: 0: its cgroup exists, or it was never bound to one; 1: its cgroup was
 * removed and was the default one; -ENODEV: it was removed and was another; or an
 * error of faasctl_stage_each(), -ENOENT among them.
 */
int faasctl_stage_homeless(struct faasctl *ctl, const char *workflow,
			   const char *stage, struct faasctl_error *err);

/**
 * faasctl_link_add - link an output port to an input port
 * @ctl: the handle
 * @workflow: the workflow of both stages
 * @src: the end that writes, "STAGE" or "STAGE:PORT"; or several, separated by commas: their
 *	streams are read one after the other
 * @dst: the end that reads; or several, separated by commas: what is written goes to each, or
 *	with FAASCTL_DEAL each record to one
 * @options: what it is to be like, or NULL
 * @err: why it failed, or NULL
 *
 * A link that exists with these options is success, unless FAASCTL_EXCLUSIVE.
 * The stages must exist: faasctl_chain_add() creates what is missing.
 *
 * Several are made all or not at all, and each of @src is linked to each of @dst. To an output
 * that was linked to several, more can be added, with the same options (if it deals, with that
 * one), one or several at a time; to an input that several were linked to likewise, with any
 * options.
 *
 * Return: 0, or
 *   -EINVAL    not a name; @src is not an output or @dst not an input; one of several is
 *              named twice; the capacity is not a multiple of 4096; @options of an unknown size;
 *              FAASCTL_DEAL without FAASCTL_RECORDS
 *   -EOPNOTSUPP  FAASCTL_TRUSTED, and @src has several links, or is to have; FAASCTL_DEAL with
 *              that, FAASIN_SLOW_DROP or FAASIN_EARLY_CLOSE_DRAIN
 *   -ERANGE    the capacity is outside FAASIN_CAPACITY_MIN..MAX
 *   -ENOENT    no such workflow, stage or port
 *   -EEXIST    it exists (exclusive), with other options, or as the only one of its output
 *              or input (several)
 *   -EBUSY     one of the ports is linked to something else; @src has several links, and
 *              those have other options
 *   -ENOSPC    @src or @dst would have more than FAASIN_FAN_MAX links, deleted ones that are
 *              still being read included
 *   -ELOOP     both ends are of one stage, or the link would close a loop
 *   -ENODEV    the workflow's cgroup has been removed
 *   and the common errors.
 */
int faasctl_link_add(struct faasctl *ctl, const char *workflow,
		     const char *src, const char *dst,
		     const struct faasctl_link_options *options,
		     struct faasctl_error *err);

/**
 * faasctl_link_del - unlink
 * @ctl: the handle
 * @workflow: the workflow
 * @src: the end that writes
 * @dst: the end that reads, or NULL for whatever @src is linked to, if that is one
 * @generation: delete only this incarnation, or 0 for whichever it is
 * @err: why it failed, or NULL
 *
 * Return: 0, or -ENOENT (no such workflow, stage, port or link), -ENOTUNIQ (@src
 * has several links, and @dst does not say which), -ESTALE (another incarnation), -EINVAL
 * (not a name), and the common errors.
 */
int faasctl_link_del(struct faasctl *ctl, const char *workflow,
		     const char *src, const char *dst, uint64_t generation,
		     struct faasctl_error *err);

/**
 * faasctl_link_resize - change the capacity of a link that is in use
 * @ctl: the handle
 * @workflow: the workflow
 * @src: the end that writes
 * @dst: the end that reads, or NULL for whatever @src is linked to, if that is one
 * @generation: change only this incarnation, or 0 for whichever it is
 * @capacity: bytes
 * @err: why it failed, or NULL
 *
 * More takes effect at once, less as the link is read; nothing is lost.
 *
 * Return: 0, or
 *   -EINVAL    not a name; the capacity is not a multiple of 4096
 *   -ERANGE    the capacity is outside FAASIN_CAPACITY_MIN..MAX
 *   -ENOENT    no such workflow, stage, port or link
 *   -ENOTUNIQ  @src has several links, and @dst does not say which; any does, since the
 *              capacity is that of all, unless records are dealt to them
 *   -ESTALE    another incarnation
 *   -EBUSY     a process has a window of the link, or stands still in the middle
 *              of a read or write
 *   and the common errors.
 */
int faasctl_link_resize(struct faasctl *ctl, const char *workflow,
			const char *src, const char *dst, uint64_t generation,
			uint64_t capacity, struct faasctl_error *err);

/**
 * faasctl_link_set_state - pause a link, let it drain, or let it go on
 * @ctl: the handle
 * @workflow: the workflow
 * @src: the end that writes
 * @dst: the end that reads, or NULL for whatever @src is linked to, if that is one
 * @generation: change only this incarnation, or 0 for whichever it is
 * @state: FAASIN_LINK_STATE_RUNNING, FAASIN_LINK_STATE_PAUSED or FAASIN_LINK_STATE_DRAINING
 * @err: why it failed, or NULL
 *
 * Does not wait for the link to be drained: then its state, as faasctl_link_each()
 * tells it, becomes FAASIN_LINK_STATE_DRAINED.
 *
 * Return: 0, or -ENOENT (no such workflow, stage, port or link), -ENOTUNIQ (@src has
 * several links, and @dst does not say which), -ESTALE
 * (another incarnation), -EINVAL (not a name; another state), -ERANGE (no state), and the
 * common errors.
 */
int faasctl_link_set_state(struct faasctl *ctl, const char *workflow,
			   const char *src, const char *dst,
			   uint64_t generation, uint32_t state,
			   struct faasctl_error *err);

/* ----------------------------------------------------------------- chains */

struct faasctl_chain;

/**
 * faasctl_chain_add - link ends in a row and create what is missing for it
 * @ctl: the handle
 * @workflow: the workflow; created, with its default cgroup, if missing
 * @ends: the ends, first to last: "STAGE", or "STAGE:PORT" where the port is the
 *	output of the first, the input of the last, and of one between the input
 *	(it is left by faasout). The first and the last can be several, separated by commas
 * @n_ends: how many; 1 creates the stage only
 * @options: for each link, or NULL. FAASCTL_EXCLUSIVE concerns links only;
 *	FAASCTL_UNCHARGED makes a missing workflow one that nobody pays for
 * @chain: receives a record of what was made, for faasctl_chain_undo(); or NULL
 * @err: why it failed, or NULL
 *
 * All or nothing: on failure, what this call created is deleted again. Missing
 * stages get their default cgroup (see faasctl_cgroup_default()).
 *
 * Return: 0, or an error of faasctl_workflow_add(), faasctl_stage_add(),
 * faasctl_link_add() or faasctl_cgroup_default(); *@chain is NULL then.
 */
int faasctl_chain_add(struct faasctl *ctl, const char *workflow,
		      const char *const *ends, size_t n_ends,
		      const struct faasctl_link_options *options,
		      struct faasctl_chain **chain, struct faasctl_error *err);

/**
 * faasctl_chain_undo - delete what faasctl_chain_add() created
 * @chain: the record; emptied
 * @err: why the first thing failed that did, or NULL
 *
 * Objects that existed before stay, and so do a workflow that others have added
 * stages to, with its cgroup, and a cgroup that has processes. The handle must still be open.
 *
 * Return: 0, or -EBUSY (a cgroup that was created has processes in it and
 * stays), or an error of the functions that delete.
 */
int faasctl_chain_undo(struct faasctl_chain *chain, struct faasctl_error *err);

/**
 * faasctl_chain_free - free the record; deletes nothing
 * @chain: the record, or NULL
 */
void faasctl_chain_free(struct faasctl_chain *chain);

/* ----------------------------------------------------------------- events */

struct faasctl_events;

/**
 * struct faasctl_event - something that happened
 * @seq: its number; a gap means events that were not delivered
 * @type: enum faasin_event_type
 * @time_ns: CLOCK_BOOTTIME
 * @workflow: the workflow
 * @stage: the stage, of stage events; else NULL
 * @src_stage: of link and stream events, else NULL
 * @src_port: likewise
 * @dst_stage: likewise
 * @dst_port: likewise
 * @generation: of the workflow, stage or link
 * @stream: number of the stream, or 0
 * @bytes: length of the stream, or bytes dropped
 * @cause: why, of aborts and early closes
 */
struct faasctl_event {
	uint64_t seq;
	uint32_t type;
	uint64_t time_ns;
	const char *workflow;
	const char *stage;
	const char *src_stage;
	const char *src_port;
	const char *dst_stage;
	const char *dst_port;
	uint64_t generation;
	uint64_t stream;
	uint64_t bytes;
	struct faasctl_cause cause;
};

/**
 * faasctl_events_open - subscribe to events
 * @events: receives the subscription; NULL on failure
 * @err: why it failed, or NULL
 *
 * Return: 0, or the errors of faasctl_open(). Events after the return are
 * delivered: read the state after it to miss nothing. Those with a @seq up to the
 * @event_seq that faasctl_info_get() then tells are older than that state.
 */
int faasctl_events_open(struct faasctl_events **events,
			struct faasctl_error *err);

/**
 * faasctl_events_fd - descriptor to poll
 * @events: the subscription
 *
 * Return: the descriptor, which stays the subscription's. It is readable
 * when faasctl_events_next() may have something.
 */
int faasctl_events_fd(const struct faasctl_events *events);

/**
 * faasctl_events_next - fetch the next event, without waiting
 * @events: the subscription
 * @event: receives it; its strings live until the next call
 * @err: why it failed, or NULL
 *
 * Return: 1 if there was an event, 0 if there is none now, or
 *   -ENOBUFS   events were lost: read the state again, and go on with this
 *              subscription
 *   -EBADMSG   the kernel's message was malformed
 */
int faasctl_events_next(struct faasctl_events *events,
			struct faasctl_event *event,
			struct faasctl_error *err);

/**
 * faasctl_events_close - end a subscription
 * @events: the subscription, or NULL
 */
void faasctl_events_close(struct faasctl_events *events);

/* ---------------------------------------------------------------- windows */

/*
 * Data without copying, for programs that know of it; <linux/faasin.h> says what
 * the module promises. None of this needs a handle or a capability: it is about a
 * port that is open. A window may be used by several threads at a time.
 *
 *   producer                                consumer
 *   fd = open(".../faasout", O_RDWR)        fd = open(".../faasin", O_RDONLY)
 *   faasctl_window_open(&win, fd, &err)     faasctl_window_open(&win, fd, &err)
 *   faasctl_window_alloc(win, n, &p, &err)  faasctl_window_receive(win, v, 64, &err)
 *   fill p                                  look at v
 *   faasctl_window_send(win, v, 1, &err)    faasctl_window_release(win, v, n, &err)
 *
 * Each of these calls waits as long as it takes, or, if the descriptor has O_NONBLOCK,
 * is -EAGAIN: then poll() it, for POLLOUT or POLLIN. A signal that comes first is -EINTR.
 *
 * On a trusted link (FAASCTL_TRUSTED) what is said of SIGBUS does not hold: everybody with a
 * window of the link sees all of its memory. A consumer copies what it checks before it uses it.
 * Where both sides use these calls, they pass memory on without the kernel while both are
 * running. What either does by other calls on its descriptor (read(), write(), ioctls) comes in
 * its turn all the same. Memory that was released waits for the next faasctl_window_alloc()
 * then, for some seconds; a child that a process forks has no part in that, as it has no window.
 * Each side believes the other: one that lies aborts the stream, but what it says is received may
 * not be there (SIGBUS), and what it says was released may still be looked at.
 */

struct iovec;
struct faasctl_window;

/**
 * faasctl_window_open - map the window of a port
 * @win: receives the window; NULL on failure
 * @fd: the port: an output that is open O_RDWR, or an input; it stays the
 *	caller's and must be open as long as the window is
 * @err: why it failed, or NULL
 *
 * Return: 0, or
 *   -ENOTTY    @fd is not a port
 *   -EINVAL    the link's capacity is one page
 *   -EACCES    an output that is not open for reading, too
 *   -ENOSPC    FAASIN_WINDOWS_MAX descriptors of this end of the link have a window, or
 *              FAASIN_WORKFLOW_WINDOWS_MAX of the workflow
 *   -ENOMEM    no memory
 *   -EAGAIN, -EINTR  an input that may have several links: each has a window of its own, so this
 *              waits for a stream to begin, as reading does
 *   -ECONNABORTED, -ESTALE  of such an input: all its links were deleted before, or the stage
 *              was replaced
 *   and the errors of mmap(2).
 */
int faasctl_window_open(struct faasctl_window **win, int fd,
			struct faasctl_error *err);

/**
 * faasctl_window_close - unmap a window
 * @win: the window, or NULL; what was had of it can be touched no more
 *
 * Extents that were not sent or released are given back when the descriptor is
 * closed, too.
 */
void faasctl_window_close(struct faasctl_window *win);

/**
 * faasctl_window_size - the most that can be allocated, and sent as one record
 * @win: the window
 *
 * Return: bytes.
 */
size_t faasctl_window_size(const struct faasctl_window *win);

/**
 * faasctl_window_alloc - memory to fill and send
 * @win: window of an output
 * @size: bytes
 * @at: receives the address
 * @err: why it failed, or NULL
 *
 * Return: 0, or
 *   -EINVAL    no bytes
 *   -EMSGSIZE  more than faasctl_window_size()
 *   -EPIPE     the stream is over: ended, aborted, its reader closed, or unlinked
 *   -ENOMEM    the cgroup that pays was removed, or (O_NONBLOCK) has no memory: poll()
 *	as after -EAGAIN
 *   -EBADF     the window is an input's
 *   -EAGAIN, -EINTR  see above
 */
int faasctl_window_alloc(struct faasctl_window *win, size_t size, void **at,
			 struct faasctl_error *err);

/**
 * faasctl_window_send - hand memory off, as one record
 * @win: window of an output
 * @parts: what to send, in this order: each begins where faasctl_window_alloc() said and has
 *	at most as many bytes as were asked for there, rounded up to whole pages
 * @n: number of @parts, at most FAASIN_RANGES_MAX
 * @err: why it failed, or NULL
 *
 * All of it goes or none. Afterwards touching it is SIGBUS (not on a trusted link).
 *
 * Return: 0, or
 *   -EINVAL    too many parts or none; an empty one; not the beginning of a page
 *   -EACCES    not what was allocated here, or sent before
 *   -ERANGE    longer than what was allocated
 *   -EPIPE     as faasctl_window_alloc()
 *   -EUSERS    FAASIN_WRITERS_MAX processes write to the stream
 *   -ENOMEM    no memory
 *   -EBADF     the window is an input's
 *   -EINTR     see above
 */
int faasctl_window_send(struct faasctl_window *win, const struct iovec *parts,
			size_t n, struct faasctl_error *err);

/**
 * faasctl_window_receive - the next record
 * @win: window of an input
 * @parts: receives its parts, to be read only
 * @n: for how many there is room; FAASIN_RANGES_MAX is always enough
 * @err: why it failed, or NULL
 *
 * What was written instead of sent comes as records of one part, one at a time: a copy, of up to
 * 64 KiB. On a link with records, one that was written and is longer is not received but read: its
 * length is @record of FAASIN_IOC_INFO, and one read() with as much room gives it whole, unless
 * others read there. What was sent has no such limit: it is as large as the window at most.
 *
 * Return: number of parts; 0 at the end of the stream; or
 *   -EINVAL    no room, or for more than FAASIN_RANGES_MAX
 *   -EMSGSIZE  the record has more parts; or was written, and is longer than there is room to land
 *              for: read() takes it, see above. It stays where it is
 *   -EBUSY     what was written and received before has to be released first
 *   -ECONNABORTED  the stream was aborted, and all of it received
 *   -ENOMEM    no memory
 *   -EBADF     the window is an output's
 *   -EAGAIN, -EINTR  see above
 */
int faasctl_window_receive(struct faasctl_window *win, struct iovec *parts,
			   size_t n, struct faasctl_error *err);

/**
 * faasctl_window_release - give memory back
 * @win: window
 * @parts: an input's: what was received; an output's: what is not to be sent
 * @n: number of @parts, at most FAASIN_RANGES_MAX
 * @err: why it failed, or NULL
 *
 * All of it goes or none. Afterwards touching it is SIGBUS (not on a trusted link, nor what was
 * written: see faasctl_window_receive()).
 *
 * Return: 0, or -EINVAL (too many parts or none), -EACCES (not had here, or released
 * before), -ENOMEM (no memory).
 */
int faasctl_window_release(struct faasctl_window *win, const struct iovec *parts,
			   size_t n, struct faasctl_error *err);

/* ---------------------------------------------------- cgroups and mounts */

/**
 * faasctl_cgroup_open - open a cgroup's directory
 * @path: absolute, or below the cgroup v2 mount; an absolute path that does not
 *	exist is tried below the mount too, as container runtimes write them
 * @err: why it failed, or NULL
 *
 * Return: a descriptor (the caller closes it), or -ENOENT (does not exist, or no
 * cgroup v2 is mounted), -EBADF (not a directory of cgroup v2), or another error
 * of open(2).
 */
int faasctl_cgroup_open(const char *path, struct faasctl_error *err);

/**
 * faasctl_cgroup_default - the default cgroup of a workflow or stage
 * @workflow: the workflow
 * @stage: the stage, or NULL for the workflow's own
 * @err: why it failed, or NULL
 *
 * Creates what is missing of MOUNT/faasin/WORKFLOW[/STAGE]. For a workflow's own
 * the memory controller is enabled on the way to it, since it is to pay.
 *
 * Return: a descriptor (the caller closes it), or
 *   -ENOENT    no cgroup v2 is mounted
 *   -EOPNOTSUPP  the memory controller is not to be had there (a v1 or hybrid
 *              host)
 *   -EINVAL    not a name
 *   or another error of mkdir(2), open(2) or write(2).
 */
int faasctl_cgroup_default(const char *workflow, const char *stage,
			   struct faasctl_error *err);

/**
 * faasctl_cgroup_remove - remove a default cgroup that is empty
 * @workflow: the workflow
 * @stage: the stage, or NULL for the workflow's own
 * @err: why it failed, or NULL
 *
 * Return: 0 (also if there was none), -EBUSY (processes or cgroups are in it),
 * or another error of rmdir(2).
 */
int faasctl_cgroup_remove(const char *workflow, const char *stage,
			  struct faasctl_error *err);

/**
 * struct faasctl_mount - a mount
 * @point: where it is
 * @root: what of the file system it shows: "/" for all; of faasin also
 *	"/WORKFLOW" or "/WORKFLOW/STAGE"
 */
struct faasctl_mount {
	const char *point;
	const char *root;
};

/**
 * typedef faasctl_mount_fn - told of a mount; rules as faasctl_workflow_fn
 * @mount: the mount; valid during the call
 * @arg: what the enumeration was given
 */
typedef int (*faasctl_mount_fn)(const struct faasctl_mount *mount, void *arg);

/**
 * faasctl_mount_each - enumerate the mounts of a type in this mount namespace
 * @fstype: "faasin", "cgroup2" or another
 * @fn: called for each
 * @arg: passed to @fn
 * @err: why it failed, or NULL
 *
 * Return: 0; what @fn returned; or an error of reading /proc/self/mountinfo.
 */
int faasctl_mount_each(const char *fstype, faasctl_mount_fn fn, void *arg,
		       struct faasctl_error *err);

/**
 * faasctl_mount_find - where a file system is mounted
 * @fstype: "faasin" or "cgroup2"
 * @path: receives the path
 * @size: of @path
 * @err: why it failed, or NULL
 *
 * Of several that show all of it, the customary place is preferred
 * (/sys/fs/faasin, then /run/faasin; /sys/fs/cgroup), else the first.
 *
 * Return: 0, or -ENOENT (not mounted), -ENAMETOOLONG, or an error of reading
 * /proc/self/mountinfo.
 */
int faasctl_mount_find(const char *fstype, char *path, size_t size,
		       struct faasctl_error *err);

/**
 * faasctl_port_path - path of a port
 * @workflow: the workflow
 * @stage: the stage
 * @port: the port
 * @path: receives the path
 * @size: of @path
 * @err: why it failed, or NULL
 *
 * Return: 0, or -EINVAL (not a name), or as faasctl_mount_find(). The port need
 * not exist.
 */
int faasctl_port_path(const char *workflow, const char *stage,
		      const char *port, char *path, size_t size,
		      struct faasctl_error *err);

/* ------------------------------------------------------------------ words */

/**
 * faasctl_name_check - whether something can be a name
 * @what: what it is to name, for the message: "workflow", "stage", "port"
 * @name: the name
 * @err: what is wrong with it, or NULL
 *
 * Return: 0 or -EINVAL.
 */
int faasctl_name_check(const char *what, const char *name,
		       struct faasctl_error *err);

/**
 * faasctl_end_check - whether something can be an end of a link
 * @end: "STAGE" or "STAGE:PORT"
 * @err: what is wrong with it, or NULL
 *
 * Return: 0 or -EINVAL.
 */
int faasctl_end_check(const char *end, struct faasctl_error *err);

/**
 * faasctl_event_name - word for an event's type
 * @type: enum faasin_event_type
 *
 * Return: "workflow-new", "workflow-del", "stage-new", "stage-del", "link-new",
 * "link-del", "stream-begin", "stream-end", "stream-abort", "early-close",
 * "cgroup-gone", "link-resize", "link-pause", "link-drain", "link-resume",
 * "stage-replace"; "unknown" for any other.
 */
const char *faasctl_event_name(uint32_t type);

/**
 * faasctl_cause_name - word for a cause
 * @cause: enum faasin_cause
 *
 * Return: "none", "signal", "status", "lost", "request", "unlink",
 * "early-close", "slow", "lane", "deal"; "unknown" for any other.
 */
const char *faasctl_cause_name(uint32_t cause);

/**
 * faasctl_abort_on_name - word for a rule
 * @rule: enum faasin_abort_on
 *
 * Return: "crash", "nonzero", "never"; "unknown" for any other.
 */
const char *faasctl_abort_on_name(uint32_t rule);

/**
 * faasctl_early_close_name - word for a rule
 * @rule: enum faasin_early_close
 *
 * Return: "epipe", "drain"; "unknown" for any other.
 */
const char *faasctl_early_close_name(uint32_t rule);

/**
 * faasctl_slow_name - word for a rule
 * @rule: enum faasin_slow
 *
 * Return: "throttle", "drop"; "unknown" for any other.
 */
const char *faasctl_slow_name(uint32_t rule);

/**
 * faasctl_merge_name - word for a rule
 * @rule: enum faasin_merge
 *
 * Return: "streams", "records", "turn"; "unknown" for any other.
 */
const char *faasctl_merge_name(uint32_t rule);

/**
 * faasctl_link_state_name - word for a link's state
 * @state: enum faasin_link_state
 *
 * Return: "running", "paused", "draining", "drained"; "unknown" for any other.
 */
const char *faasctl_link_state_name(uint32_t state);

#ifdef __cplusplus
}
#endif

#endif /* FAASCTL_H */
