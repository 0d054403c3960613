/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A link between two ports, and what else of the module the channel's part calls.
 */
#ifndef _USERSPACE_WORLD_H
#define _USERSPACE_WORLD_H

#include "kernel.h"
#include "channel.h"
#include "workflow.h"

/* Who pays: faasin_memory_*() ask it. */
struct cgroup_subsys_state {
	bool gone;
	bool is_short;		/* pools may not grow */
};

#define WORLD_LINKS	3

/**
 * struct world - one workflow, two stages, one link; or several links of one input or output
 * @channel: the link's reference; NULL once it is cut
 * @inbox: of an input with several links
 * @outs: their outputs
 * @deal: of an output whose records are dealt
 * @ins: the inputs of its links
 * @links: channels of either: the links' references; @tree
 * @tree: as faasin_tree_sem
 * @css: pays
 */
struct world {
	struct faasin_workflow workflow;
	struct faasin_stage stages[2];
	struct faasin_port out, in;
	struct faasin_channel *channel;
	struct faasin_inbox *inbox;
	struct faasin_port outs[WORLD_LINKS];
	struct faasin_deal *deal;
	struct faasin_port ins[WORLD_LINKS];
	struct faasin_channel *links[WORLD_LINKS];
	pthread_rwlock_t tree;
	struct cgroup_subsys_state css;
};

/* The module is loaded; unloading it finds what is left. */
void world_begin(void);
void world_end(void);

struct world *world_link(u64 capacity, enum faasin_abort_on abort_on,
			 enum faasin_early_close early_close);
struct world *world_link_trusted(u64 capacity);
void world_unlink(struct world *w);
void world_free(struct world *w);

/* Several links of one input. One that is cut can be made again, if there is room. */
struct world *world_gather(u64 capacity, enum faasin_merge merge);
bool world_gather_link(struct world *w, unsigned int i, u64 capacity);
void world_gather_cut(struct world *w, unsigned int i);
void world_gather_end(struct world *w);
/* What can be done to links that are in use, and to the stages at their ends. */
void world_gather_pause(struct world *w, unsigned int i, unsigned int us);
/* If it comes to that, it stays drained for so long: nobody else may cut it. */
void world_gather_drain(struct world *w, unsigned int i, unsigned int us);
void world_gather_resize(struct world *w, unsigned int i, u64 capacity);
void world_gather_replace_output(struct world *w, unsigned int i);
void world_gather_replace_input(struct world *w);
/* The last link goes, and the inbox with it; there is another one then, without links. */
void world_gather_renew(struct world *w);
/* As port_open(), of an end of a link. */
struct file *world_link_open(struct world *w, unsigned int i, enum faasin_direction direction,
			     int *err);

/* Links that records of one output are dealt to. Pausing and resizing is as above. */
struct world *world_deal(u64 capacity);
void world_deal_link(struct world *w, unsigned int i, u64 capacity);
void world_deal_cut(struct world *w, unsigned int i);
void world_deal_end(struct world *w);
void world_deal_replace_output(struct world *w);
void world_deal_replace_input(struct world *w, unsigned int i);

/* What an open file is; calls as port.c makes them. Returns NULL and sets *err. */
struct file *port_open(struct world *w, enum faasin_direction direction, bool nonblock, int *err);
void port_close(struct file *file);
ssize_t port_write(struct file *file, const void *from, size_t n);
ssize_t port_read(struct file *file, void *to, size_t n);
/* Of @n bytes, those from @faults_at on cannot be touched. */
ssize_t port_write_faulty(struct file *file, const void *from, size_t n, size_t faults_at);
ssize_t port_read_faulty(struct file *file, void *to, size_t n, size_t faults_at);
/* poll() without a timeout; returns what is ready, or 0 after a signal. */
unsigned int port_poll(struct file *file);

/* faasin_channel_event() calls, by type. */
unsigned long world_events(enum faasin_event_type type);

#endif /* _USERSPACE_WORLD_H */
