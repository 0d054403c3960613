// SPDX-License-Identifier: GPL-2.0
/*
 * Stages and their ports.
 */
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/netlink.h>
#include <linux/slab.h>

#include "cgroup.h"
#include "channel.h"
#include "deal.h"
#include "event.h"
#include "fs.h"
#include "inbox.h"
#include "limits.h"
#include "workflow.h"

/* faasin_tree_sem. */
static DEFINE_HASHTABLE(stages_by_cgroup, FAASIN_TABLE_BITS);

/**
 * faasin_stage_find() - by name
 * @wf: its workflow
 * @name: its name
 *
 * Return: the stage, valid under faasin_tree_sem, or NULL.
 */
struct faasin_stage *faasin_stage_find(struct faasin_workflow *wf, const char *name)
{
	struct faasin_stage *st;
	unsigned long i;

	xa_for_each(&wf->stages, i, st)
		if (!strcmp(st->node.name, name))
			return st;
	return NULL;
}

/**
 * faasin_port_find() - by name
 * @st: its stage
 * @name: its name
 *
 * Return: the port, valid under faasin_tree_sem, or NULL.
 */
struct faasin_port *faasin_port_find(struct faasin_stage *st, const char *name)
{
	struct faasin_port *port;

	list_for_each_entry(port, &st->ports, entry)
		if (!strcmp(port->node.name, name))
			return port;
	return NULL;
}

/**
 * faasin_stage_of_current() - whose process the caller is
 *
 * Return: the stage bound to the caller's cgroup or to the nearest one above
 * it, valid under faasin_tree_sem, or NULL.
 */
struct faasin_stage *faasin_stage_of_current(void)
{
	struct cgroup *own = faasin_cgroup_of_current(), *cgrp;
	struct faasin_stage *st;

	for (cgrp = own; cgrp; cgrp = cgroup_parent(cgrp))
		hash_for_each_possible(stages_by_cgroup, st, by_cgroup,
				       hash_ptr(cgrp, 32))
			if (st->cgroup == cgrp)
				goto out;
	st = NULL;
out:
	faasin_cgroup_put(own);
	return st;
}

/**
 * faasin_stage_next() - for listings
 * @wf: workflow
 * @after: generation of the one before, or 0
 *
 * Return: the next stage, valid under faasin_tree_sem, or NULL.
 */
struct faasin_stage *faasin_stage_next(struct faasin_workflow *wf, u64 after)
{
	unsigned long i = after;

	return xa_find_after(&wf->stages, &i, ULONG_MAX, XA_PRESENT);
}

/**
 * faasin_port_next() - for listings
 * @st: stage
 * @after: generation of the one before, or 0
 *
 * Return: the next port, valid under faasin_tree_sem, or NULL.
 */
struct faasin_port *faasin_port_next(struct faasin_stage *st, u64 after)
{
	struct faasin_port *port;

	list_for_each_entry(port, &st->ports, entry)
		if (port->node.generation > after)
			return port;
	return NULL;
}

static void stage_event(struct faasin_stage *st, enum faasin_event_type type)
{
	struct faasin_event ev = {
		.rate = &st->workflow->events,
		.type = type,
		.workflow = st->workflow->node.name,
		.stage = st->node.name,
		.generation = st->node.generation,
	};

	faasin_event_send(&ev);
}

static struct faasin_port *port_new(struct faasin_stage *st, const char *name,
				    enum faasin_direction direction)
{
	struct faasin_port *port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);

	if (!port)
		return NULL;
	faasin_node_init(&port->node, FAASIN_KIND_PORT, name);
	port->direction = direction;
	port->stage = st;
	faasin_node_get(&st->node);
	INIT_LIST_HEAD(&port->links);
	init_waitqueue_head(&port->linked);
	list_add_tail(&port->entry, &st->ports);
	st->nr_ports++;
	return port;
}

/* Ports asked for that the stage lacks are put at the end of its list. */
static int stage_add_ports(struct faasin_stage *st, const struct faasin_stage_spec *spec,
			   struct netlink_ext_ack *extack)
{
	struct faasin_port *port;
	unsigned int i;

	for (i = 0; i < spec->nr_ports; i++) {
		const struct faasin_port_spec *ps = &spec->ports[i];

		port = faasin_port_find(st, ps->name);
		if (port && port->direction == ps->direction)
			continue;
		if (port) {
			NL_SET_ERR_MSG(extack, "the stage has that port in the other direction");
			return -EEXIST;
		}
		if (st->nr_ports >= FAASIN_PORTS_MAX) {
			NL_SET_ERR_MSG(extack, "a stage has at most 64 ports");
			return -ENOSPC;
		}
		if (!port_new(st, ps->name, ps->direction)) {
			NL_SET_ERR_MSG(extack, "no memory for the port");
			return -ENOMEM;
		}
	}
	return 0;
}

/* Ports behind @last leave the list; nobody has seen them. */
static void stage_drop_ports(struct faasin_stage *st, struct list_head *last)
{
	while (st->ports.prev != last) {
		struct faasin_port *port = list_last_entry(&st->ports, struct faasin_port, entry);

		list_del(&port->entry);
		st->nr_ports--;
		faasin_node_put(&port->node);
	}
}

static int stage_check_taken(struct faasin_stage *st, struct cgroup *cgrp,
			     struct netlink_ext_ack *extack)
{
	struct faasin_stage *other;

	hash_for_each_possible(stages_by_cgroup, other, by_cgroup, hash_ptr(cgrp, 32)) {
		if (other->cgroup == cgrp && other != st) {
			NL_SET_ERR_MSG(extack, "the cgroup is bound to another stage");
			return -EBUSY;
		}
	}
	return 0;
}

static int stage_check_cgroup(struct faasin_stage *st, struct cgroup *cgrp,
			      struct netlink_ext_ack *extack)
{
	if (st && st->cgroup && st->cgroup != cgrp && !faasin_cgroup_gone(st->cgroup)) {
		NL_SET_ERR_MSG(extack,
			       "the stage is bound to another cgroup; replace or delete the stage");
		return -EEXIST;
	}
	return stage_check_taken(st, cgrp, extack);
}

/* Takes over the reference to @cgrp. */
static void stage_bind_cgroup(struct faasin_stage *st, struct cgroup *cgrp)
{
	if (st->cgroup) {
		hash_del(&st->by_cgroup);
		faasin_cgroup_put(st->cgroup);
	}
	st->cgroup = cgrp;
	hash_add(stages_by_cgroup, &st->by_cgroup, hash_ptr(cgrp, 32));
}

/* Returns whether that is a change. */
static bool stage_set(struct faasin_stage *st, const struct faasin_stage_spec *spec)
{
	kuid_t uid = spec->has_uid ? spec->uid : st->uid;
	kgid_t gid = spec->has_gid ? spec->gid : st->gid;
	umode_t mode = spec->has_mode ? spec->mode : st->mode;
	bool changed = !uid_eq(uid, st->uid) || !gid_eq(gid, st->gid) || mode != st->mode;

	st->uid = uid;
	st->gid = gid;
	st->mode = mode;
	return changed;
}

static struct faasin_stage *stage_create(struct faasin_workflow *wf,
					 const struct faasin_stage_spec *spec,
					 struct netlink_ext_ack *extack)
{
	struct faasin_stage *st;
	int err = -ENOMEM;

	if (wf->nr_stages >= FAASIN_STAGES_MAX) {
		NL_SET_ERR_MSG(extack, "a workflow has at most 1024 stages");
		return ERR_PTR(-ENOSPC);
	}
	st = kzalloc(sizeof(*st), GFP_KERNEL_ACCOUNT);
	if (!st) {
		NL_SET_ERR_MSG(extack, "no memory for the stage");
		return ERR_PTR(-ENOMEM);
	}
	faasin_node_init(&st->node, FAASIN_KIND_STAGE, spec->name);
	st->workflow = wf;
	faasin_node_get(&wf->node);
	INIT_LIST_HEAD(&st->ports);
	INIT_LIST_HEAD(&st->doomed_ports);
	faasin_ledger_init(&st->sent);
	faasin_ledger_init(&st->received);
	st->uid = GLOBAL_ROOT_UID;
	st->gid = GLOBAL_ROOT_GID;
	st->mode = FAASIN_MODE_DEFAULT;
	stage_set(st, spec);
	if (!port_new(st, FAASIN_PORT_IN, FAASIN_DIRECTION_IN) ||
	    !port_new(st, FAASIN_PORT_OUT, FAASIN_DIRECTION_OUT))
		goto nomem;
	err = stage_add_ports(st, spec, extack);
	if (err)
		goto drop;
	err = xa_err(xa_store(&wf->stages, st->node.generation, st, GFP_KERNEL));
	if (err)
		goto nomem;
	wf->nr_stages++;
	return st;

nomem:
	NL_SET_ERR_MSG(extack, "no memory for the stage");
drop:
	stage_drop_ports(st, &st->ports);
	faasin_node_put(&st->node);
	return ERR_PTR(err);
}

/*
 * Either the stage is as asked in the end or nothing was changed. @st is set to
 * the stage, held; @last to the last port that was there before.
 */
static int stage_make(const struct faasin_stage_spec *spec, struct cgroup *cgrp,
		      struct faasin_stage **stp, bool *created, u64 *newest_port,
		      struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = faasin_workflow_get(spec->workflow, extack);
	struct list_head *last;
	struct faasin_stage *st;
	bool changed = true;
	int err;

	if (!wf)
		return -ENOENT;
	st = faasin_stage_find(wf, spec->name);
	if (st && spec->exclusive) {
		NL_SET_ERR_MSG(extack, "the stage exists");
		return -EEXIST;
	}
	if (cgrp) {
		err = stage_check_cgroup(st, cgrp, extack);
		if (err)
			return err;
	}
	*created = !st;
	*newest_port = faasin_generation();
	if (!st) {
		st = stage_create(wf, spec, extack);
		if (IS_ERR(st))
			return PTR_ERR(st);
	} else {
		last = st->ports.prev;
		err = stage_add_ports(st, spec, extack);
		if (err) {
			stage_drop_ports(st, last);
			return err;
		}
		changed = stage_set(st, spec) || last != st->ports.prev;
	}
	if (cgrp && st->cgroup != cgrp) {
		cgroup_get(cgrp);
		stage_bind_cgroup(st, cgrp);
		changed = true;
	}
	if (changed) {
		faasin_tree_changed();
		stage_event(st, FAASIN_EVENT_STAGE_NEW);
	}
	faasin_node_get(&st->node);
	*stp = st;
	return 0;
}

/*
 * Directory entries, after the change: the ports that are newer than given. Watchers are
 * told without the lock.
 */
static void stage_show(struct faasin_stage *st, bool created, u64 newest_port)
{
	struct faasin_port *port;
	u64 after = 0;

	if (created) {
		faasin_fs_appeared(&st->workflow->node, st->node.name, true);
		return;
	}
	for (;;) {
		down_read(&faasin_tree_sem);
		port = faasin_port_next(st, after);
		if (port)
			faasin_node_get(&port->node);
		up_read(&faasin_tree_sem);
		if (!port)
			return;
		after = port->node.generation;
		if (after > newest_port)
			faasin_fs_appeared(&st->node, port->node.name, false);
		else
			faasin_fs_changed(port);
		faasin_node_put(&port->node);
	}
}

/**
 * faasin_stage_new() - create a stage, or see to it that it is as asked
 * @spec: what is asked for
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for STAGE_NEW.
 */
int faasin_stage_new(const struct faasin_stage_spec *spec, struct netlink_ext_ack *extack)
{
	struct cgroup *cgrp = NULL;
	struct faasin_stage *st;
	u64 newest_port;
	unsigned int i;
	bool created;
	int err;

	err = faasin_name_check(spec->name, extack);
	for (i = 0; !err && i < spec->nr_ports; i++)
		err = faasin_name_check(spec->ports[i].name, extack);
	if (err)
		return err;
	if (spec->has_cgroup) {
		cgrp = faasin_cgroup_from_fd(spec->cgroup_fd, extack);
		if (IS_ERR(cgrp))
			return PTR_ERR(cgrp);
	}
	err = down_write_killable(&faasin_tree_sem);
	if (err)
		goto put;
	err = stage_make(spec, cgrp, &st, &created, &newest_port, extack);
	up_write(&faasin_tree_sem);
	if (err)
		goto put;
	stage_show(st, created, newest_port);
	faasin_node_put(&st->node);
put:
	faasin_cgroup_put(cgrp);
	return err;
}

/**
 * struct ends - ends of links that were detached, and whose windows are to be revoked
 * @nr: how many
 * @channel: each one's, held
 * @direction: of its port
 */
struct ends {
	unsigned int nr;
	struct faasin_channel *channel[FAASIN_PORTS_MAX * FAASIN_FAN_MAX];
	u8 direction[FAASIN_PORTS_MAX * FAASIN_FAN_MAX];
};

static void port_detach(struct faasin_port *port, struct ends *ends)
{
	struct faasin_channel **found = &ends->channel[ends->nr];
	unsigned int n = 1;

	if (port->deal) {
		/* All at once, or some would go on with streams that others left. */
		for (n = faasin_deal_detach(port->deal, found); n; n--)
			ends->direction[ends->nr++] = port->direction;
		return;
	}
	if (port->inbox) {
		/* Who ends a merged session is done with all links, or with none. */
		mutex_lock(&port->inbox->mutex);
		n = faasin_inbox_detach(port->inbox, found);
	} else {
		found[0] = port->trunk ?: port->link->channel;
		faasin_channel_get(found[0]);
	}
	for (; n; n--) {
		faasin_channel_detach(ends->channel[ends->nr], port->direction);
		ends->direction[ends->nr++] = port->direction;
	}
	if (port->inbox)
		mutex_unlock(&port->inbox->mutex);
}

static void ends_revoke(struct ends *ends)
{
	while (ends->nr) {
		ends->nr--;
		faasin_window_revoke(ends->channel[ends->nr], ends->direction[ends->nr]);
		faasin_channel_put(ends->channel[ends->nr]);
	}
}

static void ports_detach(struct faasin_stage *st, enum faasin_direction direction,
			 struct ends *ends)
{
	struct faasin_port *port;

	list_for_each_entry(port, &st->ports, entry) {
		if (port->direction != direction)
			continue;
		if (port->link)
			port_detach(port, ends);
		/* Who waits for a link may not any more. */
		wake_up_all(&port->linked);
	}
}

/*
 * Who hears of it at one port does something to another. So outputs come first: who hears of it at
 * an input neither writes nor ends what its successor is to write. And who hears of it at an output
 * leaves no stream of an input before that is detached, too: faasin_stage_replaced().
 */
static void stage_detach(struct faasin_stage *st, struct ends *ends)
{
	WRITE_ONCE(st->replacing, true);
	/* Pairs with faasin_stage_replaced(): seen by who was told. */
	smp_wmb();
	ports_detach(st, FAASIN_DIRECTION_OUT, ends);
	ports_detach(st, FAASIN_DIRECTION_IN, ends);
	WRITE_ONCE(st->replacing, false);
}

/**
 * faasin_stage_replaced() - if a stage is being replaced, wait until it was
 * @st: stage; faasin_tree_sem not held
 *
 * For who is about to end, or to leave, what a successor is to read.
 */
void faasin_stage_replaced(struct faasin_stage *st)
{
	/* What the caller was told came first. Pairs with stage_detach(). */
	smp_rmb();
	if (likely(!READ_ONCE(st->replacing)))
		return;
	down_read(&faasin_tree_sem);
	up_read(&faasin_tree_sem);
}

/* Under the lock, held for writing; @ends is for when it is not any more. */
static int stage_replace(const struct faasin_stage_spec *spec, struct cgroup *cgrp,
			 struct ends *ends, struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = faasin_workflow_get(spec->workflow, extack);
	struct faasin_stage *st = wf ? faasin_stage_find(wf, spec->name) : NULL;
	int err;

	if (!st) {
		if (wf)
			NL_SET_ERR_MSG(extack, "no such stage in this workflow");
		return -ENOENT;
	}
	if (spec->generation && spec->generation != st->node.generation) {
		NL_SET_ERR_MSG(extack, "the stage was deleted and made anew since");
		return -ESTALE;
	}
	err = cgrp ? stage_check_taken(st, cgrp, extack) : 0;
	if (err)
		return err;
	if (cgrp && st->cgroup != cgrp) {
		cgroup_get(cgrp);
		stage_bind_cgroup(st, cgrp);
	}
	stage_detach(st, ends);
	faasin_tree_changed();
	stage_event(st, FAASIN_EVENT_STAGE_REPLACE);
	return 0;
}

/**
 * faasin_stage_replace() - others take over a stage's streams
 * @spec: which, and of which cgroup they are
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for STAGE_REPLACE.
 */
int faasin_stage_replace(const struct faasin_stage_spec *spec, struct netlink_ext_ack *extack)
{
	struct cgroup *cgrp = NULL;
	struct ends *ends;
	int err;

	if (spec->has_cgroup) {
		cgrp = faasin_cgroup_from_fd(spec->cgroup_fd, extack);
		if (IS_ERR(cgrp))
			return PTR_ERR(cgrp);
	}
	ends = kvzalloc(sizeof(*ends), GFP_KERNEL);
	if (!ends) {
		NL_SET_ERR_MSG(extack, "no memory for the request");
		err = -ENOMEM;
		goto put;
	}
	err = down_write_killable(&faasin_tree_sem);
	if (!err) {
		err = stage_replace(spec, cgrp, ends, extack);
		up_write(&faasin_tree_sem);
	}
	/* Nobody else waits for that; and when the answer comes, it is done. */
	ends_revoke(ends);
	kvfree(ends);
put:
	faasin_cgroup_put(cgrp);
	return err;
}

/**
 * faasin_stage_kill() - first phase of a stage's removal
 * @st: stage
 * @cut: gets its links, for faasin_links_bury()
 *
 * Called under faasin_tree_sem, held for writing. The tree's references to the
 * stage and its ports pass on to the second phase.
 */
void faasin_stage_kill(struct faasin_stage *st, struct list_head *cut)
{
	struct faasin_port *port;

	list_for_each_entry(port, &st->ports, entry) {
		while (port->link)
			faasin_link_cut(port->link, cut);
		port->node.dead = true;
		wake_up_all(&port->linked);
	}
	faasin_accounts_close(st);
	/* Out of reach of everybody who has the lock. */
	list_splice_init(&st->ports, &st->doomed_ports);
	xa_erase(&st->workflow->stages, st->node.generation);
	st->workflow->nr_stages--;
	if (st->cgroup) {
		hash_del(&st->by_cgroup);
		faasin_cgroup_put(st->cgroup);
		st->cgroup = NULL;
	}
	st->node.dead = true;
	faasin_tree_changed();
	stage_event(st, FAASIN_EVENT_STAGE_DEL);
}

/**
 * faasin_stage_bury() - second phase, without the lock
 * @st: dead stage
 */
void faasin_stage_bury(struct faasin_stage *st)
{
	struct faasin_port *port, *next;

	list_for_each_entry(port, &st->doomed_ports, entry)
		faasin_fs_vanished(&st->node, &port->node);
	faasin_fs_vanished(&st->workflow->node, &st->node);
	list_for_each_entry_safe(port, next, &st->doomed_ports, entry) {
		list_del(&port->entry);
		faasin_node_put(&port->node);
	}
	faasin_node_put(&st->node);
}

/**
 * faasin_stage_del() - delete a stage and its links
 * @workflow: name of its workflow
 * @name: its name
 * @generation: delete only this incarnation; 0 for any
 * @extack: gets a message on failure
 *
 * Return: 0 or -ENOENT, -ESTALE, -EINTR.
 */
int faasin_stage_del(const char *workflow, const char *name, u64 generation,
		     struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf;
	struct faasin_stage *st;
	LIST_HEAD(cut);
	int err = down_write_killable(&faasin_tree_sem);

	if (err)
		return err;
	wf = faasin_workflow_get(workflow, extack);
	st = wf ? faasin_stage_find(wf, name) : NULL;
	if (!st) {
		if (wf)
			NL_SET_ERR_MSG(extack, "no such stage in this workflow");
		err = -ENOENT;
	} else if (generation && generation != st->node.generation) {
		NL_SET_ERR_MSG(extack, "the stage was deleted and made anew since");
		err = -ESTALE;
	} else {
		faasin_stage_kill(st, &cut);
	}
	up_write(&faasin_tree_sem);
	if (err)
		return err;
	faasin_links_bury(&cut);
	faasin_stage_bury(st);
	return 0;
}
