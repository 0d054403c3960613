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

/**
 * struct world - one workflow, two stages, one link
 * @channel: the link's reference; NULL once it is cut
 * @css: pays
 */
struct world {
	struct faasin_workflow workflow;
	struct faasin_stage stages[2];
	struct faasin_port out, in;
	struct faasin_channel *channel;
	struct cgroup_subsys_state css;
};

/* The module is loaded; unloading it finds what is left. */
void world_begin(void);
void world_end(void);

struct world *world_link(u64 capacity, enum faasin_abort_on abort_on,
			 enum faasin_early_close early_close);
void world_unlink(struct world *w);
void world_free(struct world *w);

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
