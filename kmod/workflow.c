// SPDX-License-Identifier: GPL-2.0
/*
 * Workflows, stages, ports and links: names and lifetime. workflow.h has the
 * locks and the two phases of removal.
 */
#include <linux/cgroup.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/netlink.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/stringhash.h>

#include "cgroup.h"
#include "channel.h"
#include "event.h"
#include "fs.h"
#include "trace.h"
#include "limits.h"
#include "workflow.h"

DECLARE_RWSEM(faasin_tree_sem);
unsigned int faasin_tree_seq = 1;
unsigned int faasin_nr_workflows;

/* All of these: faasin_tree_sem. */
static DEFINE_HASHTABLE(workflows_by_name, FAASIN_TABLE_BITS);
static DEFINE_XARRAY(workflows);

/* 1 is the root directory's. */
static u64 newest_generation = 1;

/* ------------------------------------------------------------------ nodes */

/**
 * faasin_generation() - a number that was never used
 *
 * Called under faasin_tree_sem, held for writing.
 *
 * Return: the number.
 */
u64 faasin_generation(void)
{
	lockdep_assert_held_write(&faasin_tree_sem);
	return ++newest_generation;
}

/**
 * faasin_node_init() - a new node with one reference and a number of its own
 * @node: zeroed
 * @kind: what it is part of
 * @name: its name, checked
 *
 * Called under faasin_tree_sem.
 */
void faasin_node_init(struct faasin_node *node, enum faasin_kind kind, const char *name)
{
	kref_init(&node->ref);
	node->kind = kind;
	strscpy(node->name, name, sizeof(node->name));
	node->generation = faasin_generation();
}

static void node_release(struct kref *ref)
{
	struct faasin_node *node = container_of(ref, struct faasin_node, ref);

	switch (node->kind) {
	case FAASIN_KIND_WORKFLOW: {
		struct faasin_workflow *wf = faasin_node_workflow(node);

		WARN_ON_ONCE(atomic_read(&wf->windows));
		faasin_event_forget(&wf->events);
		faasin_cgroup_memory_put(wf->memcg_css);
		faasin_cgroup_put(wf->cgroup);
		xa_destroy(&wf->stages);
		xa_destroy(&wf->links);
		kfree(wf);
		break;
	}
	case FAASIN_KIND_STAGE: {
		struct faasin_stage *st = faasin_node_stage(node);

		faasin_cgroup_put(st->cgroup);
		faasin_node_put(&st->workflow->node);
		kfree(st);
		break;
	}
	case FAASIN_KIND_PORT: {
		struct faasin_port *port = faasin_node_port(node);

		faasin_node_put(&port->stage->node);
		kfree(port);
		break;
	}
	case FAASIN_KIND_ROOT:	/* has no node */
		break;
	}
}

/**
 * faasin_node_get() - take a reference to a workflow, stage or port
 * @node: its node
 */
void faasin_node_get(struct faasin_node *node)
{
	kref_get(&node->ref);
}

/**
 * faasin_node_put() - drop a reference to a workflow, stage or port
 * @node: its node
 */
void faasin_node_put(struct faasin_node *node)
{
	kref_put(&node->ref, node_release);
}

/**
 * faasin_tree_changed() - count a change, for dumps
 */
void faasin_tree_changed(void)
{
	lockdep_assert_held_write(&faasin_tree_sem);
	/* Odd for ever, and so never 0. */
	faasin_tree_seq += 2;
}

/**
 * faasin_name_check() - may something be called so
 * @name: the name
 * @extack: gets a message if not
 *
 * Return: 0 or -EINVAL.
 */
int faasin_name_check(const char *name, struct netlink_ext_ack *extack)
{
	const char *c;

	if (!*name || strlen(name) > FAASIN_NAME_MAX) {
		NL_SET_ERR_MSG(extack, "a name has 1 to 63 characters");
		return -EINVAL;
	}
	if (*name == '.') {
		NL_SET_ERR_MSG(extack, "a name must not start with a dot");
		return -EINVAL;
	}
	if (!strcmp(name, "self")) {
		NL_SET_ERR_MSG(extack, "the name self is reserved");
		return -EINVAL;
	}
	for (c = name; *c; c++) {
		if (isascii(*c) && (isalnum(*c) || strchr("._-", *c)))
			continue;
		NL_SET_ERR_MSG(extack, "a name consists of letters, digits, '.', '_' and '-'");
		return -EINVAL;
	}
	return 0;
}

/* ---------------------------------------------------------------- look-up */

static u32 name_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

/**
 * faasin_workflow_find() - by name
 * @name: its name
 *
 * Return: the workflow, valid under faasin_tree_sem, or NULL.
 */
struct faasin_workflow *faasin_workflow_find(const char *name)
{
	struct faasin_workflow *wf;

	hash_for_each_possible(workflows_by_name, wf, by_name, name_hash(name))
		if (!strcmp(wf->node.name, name))
			return wf;
	return NULL;
}

/**
 * faasin_workflow_next() - for listings
 * @after: generation of the one before, or 0
 *
 * Return: the next workflow, valid under faasin_tree_sem, or NULL.
 */
struct faasin_workflow *faasin_workflow_next(u64 after)
{
	unsigned long i = after;

	return xa_find_after(&workflows, &i, ULONG_MAX, XA_PRESENT);
}

/**
 * faasin_workflow_get() - by name, or say that there is none
 * @name: its name
 * @extack: gets a message on failure
 *
 * Return: the workflow, valid under faasin_tree_sem, or NULL.
 */
struct faasin_workflow *faasin_workflow_get(const char *name, struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = faasin_workflow_find(name);

	if (!wf)
		NL_SET_ERR_MSG(extack, "no such workflow");
	return wf;
}

static void workflow_event(struct faasin_workflow *wf, enum faasin_event_type type)
{
	struct faasin_event ev = {
		.rate = &wf->events,
		.type = type,
		.workflow = wf->node.name,
		.generation = wf->node.generation,
	};

	faasin_event_send(&ev);
}

static int workflow_check(const struct faasin_workflow_spec *spec, struct netlink_ext_ack *extack)
{
	int err = faasin_name_check(spec->name, extack);

	if (err)
		return err;
	if (spec->has_cgroup == !!(spec->flags & FAASIN_WORKFLOW_F_UNCHARGED)) {
		NL_SET_ERR_MSG(extack,
			       "a workflow needs either a cgroup that pays or to be uncharged");
		return -EINVAL;
	}
	return 0;
}

/* What is asked for exists: is that all right? */
static int workflow_is_as_asked(const struct faasin_workflow *wf, const struct cgroup *cgrp,
				bool exclusive, struct netlink_ext_ack *extack)
{
	if (exclusive) {
		NL_SET_ERR_MSG(extack, "the workflow exists");
		return -EEXIST;
	}
	if (wf->cgroup != cgrp) {
		NL_SET_ERR_MSG(extack, "the workflow exists with another cgroup; delete it first");
		return -EEXIST;
	}
	return 0;
}

/* Takes over the references to @cgrp and @css if it succeeds. */
static struct faasin_workflow *workflow_create(const char *name, struct cgroup *cgrp,
					       struct cgroup_subsys_state *css,
					       struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf;
	int err;

	if (faasin_nr_workflows >= FAASIN_WORKFLOWS_MAX) {
		NL_SET_ERR_MSG(extack, "10000 workflows exist; delete one first");
		return ERR_PTR(-ENOSPC);
	}
	wf = kzalloc(sizeof(*wf), GFP_KERNEL_ACCOUNT);
	if (!wf)
		goto nomem;
	faasin_node_init(&wf->node, FAASIN_KIND_WORKFLOW, name);
	xa_init(&wf->stages);
	xa_init(&wf->links);
	spin_lock_init(&wf->order);
	mutex_init(&wf->accounts_mutex);
	faasin_ledger_init(&wf->accounts);
	err = xa_err(xa_store(&workflows, wf->node.generation, wf, GFP_KERNEL));
	if (err)
		goto put;
	wf->cgroup = cgrp;
	wf->memcg_css = css;
	wf->uncharged = !cgrp;
	hash_add(workflows_by_name, &wf->by_name, name_hash(name));
	faasin_nr_workflows++;
	faasin_tree_changed();
	workflow_event(wf, FAASIN_EVENT_WORKFLOW_NEW);
	return wf;

put:
	faasin_node_put(&wf->node);
nomem:
	NL_SET_ERR_MSG(extack, "no memory for the workflow");
	return ERR_PTR(-ENOMEM);
}

/* First phase. The tree's reference passes on. */
static void workflow_kill(struct faasin_workflow *wf)
{
	xa_erase(&workflows, wf->node.generation);
	hash_del(&wf->by_name);
	faasin_nr_workflows--;
	wf->node.dead = true;
	faasin_tree_changed();
}

/* Second phase, without the lock. */
static void workflow_bury(struct faasin_workflow *wf)
{
	faasin_fs_vanished(NULL, &wf->node);
	faasin_node_put(&wf->node);
}

/**
 * faasin_workflow_new() - create a workflow, or see to it that it is as asked
 * @spec: what is asked for
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for WORKFLOW_NEW.
 */
int faasin_workflow_new(const struct faasin_workflow_spec *spec, struct netlink_ext_ack *extack)
{
	struct cgroup_subsys_state *css = NULL;
	struct faasin_workflow *wf, *fresh = NULL;
	struct cgroup *cgrp = NULL;
	int err = workflow_check(spec, extack);

	if (err)
		return err;
	if (spec->has_cgroup) {
		cgrp = faasin_cgroup_from_fd(spec->cgroup_fd, extack);
		if (IS_ERR(cgrp))
			return PTR_ERR(cgrp);
		css = faasin_cgroup_memory(cgrp, extack);
		if (IS_ERR(css)) {
			err = PTR_ERR(css);
			css = NULL;
			goto put;
		}
	}
	err = down_write_killable(&faasin_tree_sem);
	if (err)
		goto put;
	wf = faasin_workflow_find(spec->name);
	if (wf) {
		err = workflow_is_as_asked(wf, cgrp, spec->exclusive, extack);
	} else {
		fresh = workflow_create(spec->name, cgrp, css, extack);
		err = PTR_ERR_OR_ZERO(fresh);
		if (!err)
			faasin_node_get(&fresh->node);
	}
	up_write(&faasin_tree_sem);
	if (err || !fresh)
		goto put;
	faasin_fs_appeared(NULL, fresh->node.name, true);
	faasin_node_put(&fresh->node);
	return 0;

put:
	faasin_cgroup_memory_put(css);
	faasin_cgroup_put(cgrp);
	return err;
}

/**
 * faasin_workflow_del() - delete a workflow and everything in it
 * @name: its name
 * @generation: delete only this incarnation; 0 for any
 * @extack: gets a message on failure
 *
 * Return: 0 or -ENOENT, -ESTALE, -EINTR.
 */
int faasin_workflow_del(const char *name, u64 generation, struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf;
	struct faasin_stage *st, *next;
	LIST_HEAD(doomed);
	LIST_HEAD(cut);
	unsigned long i;
	int err = down_write_killable(&faasin_tree_sem);

	if (err)
		return err;
	wf = faasin_workflow_get(name, extack);
	if (!wf) {
		err = -ENOENT;
		goto unlock;
	}
	if (generation && generation != wf->node.generation) {
		NL_SET_ERR_MSG(extack, "the workflow was deleted and made anew since");
		err = -ESTALE;
		goto unlock;
	}
	workflow_kill(wf);
	xa_for_each(&wf->stages, i, st) {
		faasin_stage_kill(st, &cut);
		list_add_tail(&st->doomed, &doomed);
	}
	workflow_event(wf, FAASIN_EVENT_WORKFLOW_DEL);
unlock:
	up_write(&faasin_tree_sem);
	if (err)
		return err;
	faasin_links_bury(&cut);
	list_for_each_entry_safe(st, next, &doomed, doomed)
		faasin_stage_bury(st);
	workflow_bury(wf);
	return 0;
}

/**
 * faasin_workflow_exit() - delete all workflows; nobody can make new ones
 */
void faasin_workflow_exit(void)
{
	struct faasin_workflow *wf;

	while ((wf = faasin_workflow_next(0)))
		if (WARN_ON_ONCE(faasin_workflow_del(wf->node.name, 0, NULL)))
			break;
}
