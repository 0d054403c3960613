/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Workflows, stages, ports and links: names and lifetime.
 *
 * Locks, in the order in which they nest:
 *   cb_lock (taken for reading by generic netlink; requests run side by side)
 *     faasin_tree_sem	every member here that says so; held for writing by
 *			whoever changes the tree, for reading by look-ups,
 *			listings and opens
 *       workflow->accounts_mutex	(account.h)
 *         deal->mutex	(deal.h)
 *           channel->lock	(channel.h), workflow->order, inbox->lock (inbox.h)
 * Nothing waits for a user while it holds one of these, nor for memory on the bill
 * of anybody but who asked for the change (see inode.h). No window is unmapped meanwhile: that
 * takes as long as a stage has mappings.
 *
 * Removal has two phases. First, under faasin_tree_sem: the object leaves the
 * tree and is marked dead, its links are cut, and whoever sleeps on it is
 * woken. Then, without the lock: directory entries are thrown out. Memory goes
 * with the last reference; inodes, channels and requests hold such.
 */
#ifndef _FAASIN_WORKFLOW_H
#define _FAASIN_WORKFLOW_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "account.h"
#include "event.h"
#include "uapi/faasin.h"

struct cgroup;
struct mem_cgroup;
struct netlink_ext_ack;
struct faasin_channel;
struct faasin_deal;
struct faasin_inbox;

/**
 * enum faasin_kind - what an inode stands for
 * @FAASIN_KIND_ROOT: the root directory
 * @FAASIN_KIND_WORKFLOW: a workflow's directory
 * @FAASIN_KIND_STAGE: a stage's directory
 * @FAASIN_KIND_PORT: a port
 */
enum faasin_kind {
	FAASIN_KIND_ROOT,
	FAASIN_KIND_WORKFLOW,
	FAASIN_KIND_STAGE,
	FAASIN_KIND_PORT,
};

/**
 * struct faasin_node - what workflows, stages and ports have in common
 * @ref: the tree's reference, and one an inode, channel, child and request
 * @kind: which of the three this is
 * @dead: it left the tree; set under faasin_tree_sem, never cleared
 * @generation: its number, its inode's number too; never used again
 * @name: its name
 */
struct faasin_node {
	struct kref ref;
	enum faasin_kind kind;
	bool dead;
	u64 generation;
	char name[FAASIN_NAME_MAX + 1];
};

/**
 * struct faasin_workflow - a named set of stages and the cgroup that pays
 * @node: name, lifetime
 * @by_name: in the table of names; faasin_tree_sem
 * @stages: stages by generation; faasin_tree_sem
 * @links: links by generation; faasin_tree_sem
 * @nr_stages: faasin_tree_sem
 * @nr_links: faasin_tree_sem
 * @cgroup: pays for buffers; NULL if @uncharged; constant
 * @memcg_css: its memory controller's state, held; NULL if @uncharged; constant
 * @uncharged: nobody pays; constant
 * @events: how many events of it may be sent
 * @windows: open files of its links that may have memory mapped or landed, deleted links' included;
 *	see faasin_window_count()
 * @order: who begins a stream on several links at once; see inbox.h
 * @accounts_mutex: see account.h
 * @accounts: what went between its stages; @accounts_mutex
 * @gone: what stages sent that were deleted; @accounts_mutex
 */
struct faasin_workflow {
	struct faasin_node node;
	struct hlist_node by_name;
	struct xarray stages;
	struct xarray links;
	unsigned int nr_stages;
	unsigned int nr_links;
	struct cgroup *cgroup;
	struct cgroup_subsys_state *memcg_css;
	bool uncharged;
	struct faasin_event_rate events;
	atomic_t windows;
	spinlock_t order;		/* see inbox.h */
	struct mutex accounts_mutex;	/* see account.h */
	struct faasin_ledger accounts;
	struct faasin_stats gone;
};

/**
 * struct faasin_stage - a named step
 * @node: name, lifetime
 * @workflow: where it belongs; held; constant
 * @by_cgroup: in the table of cgroups, if @cgroup; faasin_tree_sem
 * @ports: list of its ports; changes under faasin_tree_sem
 * @nr_ports: faasin_tree_sem
 * @cgroup: whose members may open; may be NULL; held; faasin_tree_sem
 * @uid: owner of the ports; faasin_tree_sem
 * @gid: faasin_tree_sem
 * @mode: permission bits of the ports; faasin_tree_sem
 * @doomed: among the stages whose removal is under way; its remover's
 * @doomed_ports: its ports, once it is dead; its remover's
 * @visited: mark of the search for loops; faasin_tree_sem held for writing
 * @replacing: its ports are being detached; changes under faasin_tree_sem, held for writing
 * @sent: what went out of its outputs; workflow->accounts_mutex
 * @received: what went into its inputs; workflow->accounts_mutex
 */
struct faasin_stage {
	struct faasin_node node;
	struct faasin_workflow *workflow;
	struct hlist_node by_cgroup;
	struct list_head ports;
	unsigned int nr_ports;
	struct cgroup *cgroup;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	struct list_head doomed;
	struct list_head doomed_ports;
	u64 visited;
	bool replacing;
	struct faasin_ledger sent;
	struct faasin_ledger received;
};

/**
 * struct faasin_port - one end
 * @node: name, lifetime
 * @stage: whose port; held; constant
 * @entry: in the stage's list
 * @direction: constant
 * @link: what joins it to its peer, or NULL; of several, the oldest; faasin_tree_sem
 * @links: all there are, oldest first, by @of_source or @of_destination; faasin_tree_sem
 * @nr_links: how many; faasin_tree_sem
 * @trunk: of an output that may have several links: the channel that it has then, held; else
 *	NULL; faasin_tree_sem
 * @deal: of an output whose records are dealt: what it has for that, held; else NULL;
 *	faasin_tree_sem
 * @inbox: of an input that may have several links: what it has then, held; else NULL;
 *	faasin_tree_sem
 * @linked: opens of an unlinked port wait here
 */
struct faasin_port {
	struct faasin_node node;
	struct faasin_stage *stage;
	struct list_head entry;
	enum faasin_direction direction;
	struct faasin_link *link;
	struct list_head links;
	unsigned int nr_links;
	struct faasin_channel *trunk;
	struct faasin_deal *deal;
	struct faasin_inbox *inbox;
	wait_queue_head_t linked;
};

/**
 * struct faasin_link - an edge from an output port to an input port
 * @workflow: where it belongs
 * @src: the output port; the channel holds it
 * @of_source: in its list
 * @dst: the input port; the channel holds it
 * @of_destination: in its list
 * @generation: its number
 * @channel: what carries the bytes; one reference is the link's
 *
 * Lives from creation to deletion under faasin_tree_sem; nobody refers to it
 * without that lock.
 */
struct faasin_link {
	struct faasin_workflow *workflow;
	struct faasin_port *src;
	struct list_head of_source;
	struct faasin_port *dst;
	struct list_head of_destination;
	u64 generation;
	struct faasin_channel *channel;
};

/* What a request asks for. Strings belong to the caller. */
struct faasin_workflow_spec {
	const char *name;
	u32 flags;
	bool has_cgroup;
	int cgroup_fd;
	bool exclusive;
};

struct faasin_port_spec {
	const char *name;
	u32 direction;
};

struct faasin_stage_spec {
	const char *workflow;
	const char *name;
	bool has_cgroup;
	int cgroup_fd;
	bool has_uid;
	kuid_t uid;
	bool has_gid;
	kgid_t gid;
	bool has_mode;
	umode_t mode;
	const struct faasin_port_spec *ports;
	unsigned int nr_ports;
	bool exclusive;
	u64 generation;			/* replace: 0 for any */
};

struct faasin_end_spec {
	const char *stage;
	const char *port;		/* NULL: the default port */
};

struct faasin_link_spec {
	const char *workflow;
	const char *src_stage;
	const char *src_port;		/* NULL: the default port */
	const char *dst_stage;		/* get, del, set: may be NULL */
	const char *dst_port;		/* NULL: the default port; get, del, set: any */
	const struct faasin_end_spec *srcs;	/* new: instead of the source, of a fan-in */
	unsigned int nr_srcs;		/* 0: no fan-in */
	const struct faasin_end_spec *dsts;	/* new: instead of the destination, of a fan-out */
	unsigned int nr_dsts;		/* 0: no fan-out */
	bool has_capacity;
	u64 capacity;
	bool has_abort_on;
	u32 abort_on;
	bool has_early_close;
	u32 early_close;
	u32 flags;			/* FAASIN_LINK_F_* */
	bool has_slow;
	u32 slow;
	u32 merge;			/* enum faasin_merge */
	bool has_state;
	u32 state;
	bool exclusive;
	u64 generation;			/* del, set: 0 for any */
};

extern struct rw_semaphore faasin_tree_sem;

/* Counts changes of the tree, for dumps; faasin_tree_sem. Never 0. */
extern unsigned int faasin_tree_seq;

/* Number of workflows; faasin_tree_sem. */
extern unsigned int faasin_nr_workflows;

u64 faasin_generation(void);
void faasin_tree_changed(void);
int faasin_name_check(const char *name, struct netlink_ext_ack *extack);

struct faasin_workflow *faasin_workflow_find(const char *name);
struct faasin_workflow *faasin_workflow_get(const char *name, struct netlink_ext_ack *extack);
struct faasin_stage *faasin_stage_find(struct faasin_workflow *wf, const char *name);
struct faasin_port *faasin_port_find(struct faasin_stage *st, const char *name);
struct faasin_link *faasin_link_find(const struct faasin_link_spec *spec,
				     struct netlink_ext_ack *extack);
struct faasin_link *faasin_link_between(const struct faasin_port *src,
					const struct faasin_port *dst);
struct faasin_stage *faasin_stage_of_current(void);

struct faasin_workflow *faasin_workflow_next(u64 after);
struct faasin_stage *faasin_stage_next(struct faasin_workflow *wf, u64 after);
struct faasin_port *faasin_port_next(struct faasin_stage *st, u64 after);
struct faasin_link *faasin_link_next(struct faasin_workflow *wf, u64 after);

int faasin_workflow_new(const struct faasin_workflow_spec *spec,
			struct netlink_ext_ack *extack);
int faasin_workflow_del(const char *name, u64 generation,
			struct netlink_ext_ack *extack);
int faasin_stage_new(const struct faasin_stage_spec *spec,
		     struct netlink_ext_ack *extack);
int faasin_stage_replace(const struct faasin_stage_spec *spec,
			 struct netlink_ext_ack *extack);
void faasin_stage_replaced(struct faasin_stage *st);
int faasin_stage_del(const char *workflow, const char *name, u64 generation,
		     struct netlink_ext_ack *extack);
int faasin_link_new(const struct faasin_link_spec *spec,
		    struct netlink_ext_ack *extack);
int faasin_link_del(const struct faasin_link_spec *spec,
		    struct netlink_ext_ack *extack);
int faasin_link_set(const struct faasin_link_spec *spec,
		    struct netlink_ext_ack *extack);

void faasin_link_cut(struct faasin_link *link, struct list_head *cut);
void faasin_links_bury(struct list_head *cut);
void faasin_stage_kill(struct faasin_stage *st, struct list_head *cut);
void faasin_stage_bury(struct faasin_stage *st);

void faasin_node_init(struct faasin_node *node, enum faasin_kind kind, const char *name);
void faasin_node_get(struct faasin_node *node);
void faasin_node_put(struct faasin_node *node);

static inline struct faasin_workflow *faasin_node_workflow(struct faasin_node *node)
{
	return container_of(node, struct faasin_workflow, node);
}

static inline struct faasin_stage *faasin_node_stage(struct faasin_node *node)
{
	return container_of(node, struct faasin_stage, node);
}

static inline struct faasin_port *faasin_node_port(struct faasin_node *node)
{
	return container_of(node, struct faasin_port, node);
}

void faasin_workflow_exit(void);

#endif /* _FAASIN_WORKFLOW_H */
