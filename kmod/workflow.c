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
#include "workflow.h"

#define FAASIN_TABLE_BITS	10

DECLARE_RWSEM(faasin_tree_sem);
unsigned int faasin_tree_seq = 1;
unsigned int faasin_nr_workflows;

/* All of these: faasin_tree_sem. */
static DEFINE_HASHTABLE(workflows_by_name, FAASIN_TABLE_BITS);
static DEFINE_HASHTABLE(stages_by_cgroup, FAASIN_TABLE_BITS);
static DEFINE_XARRAY(workflows);

/* 1 is the root directory's. */
static u64 newest_generation = 1;

/* ------------------------------------------------------------------ nodes */

static void node_init(struct faasin_node *node, enum faasin_kind kind, const char *name)
{
	kref_init(&node->ref);
	node->kind = kind;
	strscpy(node->name, name, sizeof(node->name));
}

static void node_release(struct kref *ref)
{
	struct faasin_node *node = container_of(ref, struct faasin_node, ref);

	switch (node->kind) {
	case FAASIN_KIND_WORKFLOW: {
		struct faasin_workflow *wf = faasin_node_workflow(node);

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
	default:
		WARN_ON_ONCE(1);
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

static void tree_changed(void)
{
	lockdep_assert_held_write(&faasin_tree_sem);
	if (!++faasin_tree_seq)
		faasin_tree_seq = 1;
}

static int tree_lock(struct netlink_ext_ack *extack)
{
	if (!down_write_killable(&faasin_tree_sem))
		return 0;
	NL_SET_ERR_MSG(extack, "interrupted before anything was done");
	return -EINTR;
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
 * faasin_link_next() - for listings
 * @wf: workflow
 * @after: generation of the one before, or 0
 *
 * Return: the next link, valid under faasin_tree_sem, or NULL.
 */
struct faasin_link *faasin_link_next(struct faasin_workflow *wf, u64 after)
{
	unsigned long i = after;

	return xa_find_after(&wf->links, &i, ULONG_MAX, XA_PRESENT);
}

static struct faasin_workflow *workflow_get(const char *name, struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = faasin_workflow_find(name);

	if (!wf)
		NL_SET_ERR_MSG(extack, "no such workflow");
	return wf;
}

static struct faasin_port *port_get(struct faasin_workflow *wf, const char *stage,
				    const char *port, enum faasin_direction direction,
				    struct netlink_ext_ack *extack)
{
	bool out = direction == FAASIN_DIRECTION_OUT;
	struct faasin_stage *st = faasin_stage_find(wf, stage);
	struct faasin_port *p;

	if (!st) {
		if (out)
			NL_SET_ERR_MSG(extack, "no such source stage in this workflow");
		else
			NL_SET_ERR_MSG(extack, "no such destination stage in this workflow");
		return ERR_PTR(-ENOENT);
	}
	p = faasin_port_find(st, port ?: out ? FAASIN_PORT_OUT : FAASIN_PORT_IN);
	if (!p) {
		if (out)
			NL_SET_ERR_MSG(extack, "the source stage has no such port");
		else
			NL_SET_ERR_MSG(extack, "the destination stage has no such port");
		return ERR_PTR(-ENOENT);
	}
	if (p->direction != direction) {
		if (out)
			NL_SET_ERR_MSG(extack, "the source port is an input; a link starts at an output");
		else
			NL_SET_ERR_MSG(extack, "the destination port is an output; a link ends at an input");
		return ERR_PTR(-EINVAL);
	}
	return p;
}

/**
 * faasin_link_find() - by its ends
 * @spec: workflow and source; destination and generation if given must match
 * @extack: gets a message on failure
 *
 * Return: the link, valid under faasin_tree_sem, or -ENOENT, -EINVAL, -ESTALE.
 */
struct faasin_link *faasin_link_find(const struct faasin_link_spec *spec,
				     struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = workflow_get(spec->workflow, extack);
	struct faasin_port *src;
	struct faasin_link *link;

	if (!wf)
		return ERR_PTR(-ENOENT);
	src = port_get(wf, spec->src_stage, spec->src_port, FAASIN_DIRECTION_OUT, extack);
	if (IS_ERR(src))
		return ERR_CAST(src);
	link = src->link;
	if (!link) {
		NL_SET_ERR_MSG(extack, "the source port is not linked");
		return ERR_PTR(-ENOENT);
	}
	if ((spec->dst_stage && strcmp(spec->dst_stage, link->dst->stage->node.name)) ||
	    (spec->dst_port && strcmp(spec->dst_port, link->dst->node.name))) {
		NL_SET_ERR_MSG(extack, "the source port is linked to something else");
		return ERR_PTR(-ENOENT);
	}
	if (spec->generation && spec->generation != link->generation) {
		NL_SET_ERR_MSG(extack, "the link was deleted and made anew since");
		return ERR_PTR(-ESTALE);
	}
	return link;
}

/* ------------------------------------------------------------------ links */

/*
 * Cut a link: no open finds it any more, both sides are told. The channel
 * lives on in open files.
 */
static void link_cut(struct faasin_link *link)
{
	struct faasin_port *src = link->src, *dst = link->dst;
	struct faasin_channel *ch = link->channel;

	xa_erase(&link->workflow->links, link->generation);
	link->workflow->nr_links--;
	src->link = NULL;
	dst->link = NULL;
	faasin_streams_unlink(ch);
	trace_faasin_unlink(link->generation, src->node.generation, dst->node.generation,
			    ch->pool.capacity);
	faasin_channel_event(ch, FAASIN_EVENT_LINK_DEL, 0, 0, NULL);
	faasin_channel_put(ch);
	kfree(link);
	tree_changed();
}

/*
 * Would a link from @src to @dst close a loop: is @src reached from @dst? Each
 * stage is put on the work list at most once, so it has room for all.
 */
static int link_loops(struct faasin_stage *src, struct faasin_stage *dst)
{
	struct faasin_workflow *wf = src->workflow;
	u64 mark = ++newest_generation;
	struct faasin_stage **todo, *st;
	unsigned int n = 0;
	int ret = 0;

	todo = kvmalloc_array(wf->nr_stages, sizeof(*todo), GFP_KERNEL);
	if (!todo)
		return -ENOMEM;
	dst->visited = mark;
	todo[n++] = dst;
	while (n) {
		struct faasin_port *port;

		st = todo[--n];
		if (st == src) {
			ret = -ELOOP;
			break;
		}
		list_for_each_entry(port, &st->ports, entry) {
			struct faasin_stage *next;

			if (port->direction != FAASIN_DIRECTION_OUT || !port->link)
				continue;
			next = port->link->dst->stage;
			if (next->visited == mark)
				continue;
			next->visited = mark;
			todo[n++] = next;
		}
	}
	kvfree(todo);
	return ret;
}

static int link_check(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	if (spec->has_capacity && spec->capacity % FAASIN_CAPACITY_MIN) {
		NL_SET_ERR_MSG(extack, "the capacity must be a multiple of 4096 bytes");
		return -EINVAL;
	}
	if (spec->has_capacity && (spec->capacity < FAASIN_CAPACITY_MIN ||
				   spec->capacity > FAASIN_CAPACITY_MAX)) {
		NL_SET_ERR_MSG(extack, "the capacity must be 4096 bytes to 1 GiB");
		return -ERANGE;
	}
	return 0;
}

static bool link_is_as_asked(const struct faasin_link *link, const struct faasin_link_spec *spec)
{
	const struct faasin_channel *ch = link->channel;

	return !(spec->has_capacity && spec->capacity != ch->pool.capacity) &&
	       !(spec->has_abort_on && spec->abort_on != ch->abort_on) &&
	       !(spec->has_early_close && spec->early_close != ch->early_close);
}

static int link_make(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = workflow_get(spec->workflow, extack);
	struct faasin_port *src, *dst;
	struct faasin_link *link;
	int err;

	if (!wf)
		return -ENOENT;
	src = port_get(wf, spec->src_stage, spec->src_port, FAASIN_DIRECTION_OUT, extack);
	if (IS_ERR(src))
		return PTR_ERR(src);
	dst = port_get(wf, spec->dst_stage, spec->dst_port, FAASIN_DIRECTION_IN, extack);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (src->stage == dst->stage) {
		NL_SET_ERR_MSG(extack, "a stage cannot be linked to itself");
		return -ELOOP;
	}
	if (src->link && src->link == dst->link) {
		if (spec->exclusive) {
			NL_SET_ERR_MSG(extack, "the link exists");
			return -EEXIST;
		}
		if (link_is_as_asked(src->link, spec))
			return 0;
		NL_SET_ERR_MSG(extack, "the link exists with other options; unlink it first");
		return -EEXIST;
	}
	if (src->link) {
		NL_SET_ERR_MSG(extack, "the source port is linked already; unlink it first");
		return -EBUSY;
	}
	if (dst->link) {
		NL_SET_ERR_MSG(extack, "the destination port is linked already; unlink it first");
		return -EBUSY;
	}
	if (wf->memcg_css && faasin_memory_gone(wf->memcg_css)) {
		NL_SET_ERR_MSG(extack,
			       "the workflow's cgroup has been removed; delete the workflow and make it anew");
		return -ENODEV;
	}
	err = link_loops(src->stage, dst->stage);
	if (err == -ELOOP)
		NL_SET_ERR_MSG(extack, "the link would close a loop");
	if (err)
		return err;

	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link)
		goto nomem;
	link->workflow = wf;
	link->src = src;
	link->dst = dst;
	link->generation = ++newest_generation;
	link->channel = faasin_channel_new(src, dst, wf->memcg_css,
					   spec->has_capacity ? spec->capacity :
								FAASIN_CAPACITY_DEFAULT,
					   spec->has_abort_on ? spec->abort_on :
								FAASIN_ABORT_ON_CRASH,
					   spec->has_early_close ? spec->early_close :
								   FAASIN_EARLY_CLOSE_EPIPE,
					   link->generation);
	if (!link->channel)
		goto free;
	err = xa_err(xa_store(&wf->links, link->generation, link, GFP_KERNEL));
	if (err)
		goto put;
	wf->nr_links++;
	src->link = link;
	dst->link = link;
	tree_changed();
	trace_faasin_link(link->generation, src->node.generation, dst->node.generation,
			  link->channel->pool.capacity);
	faasin_channel_event(link->channel, FAASIN_EVENT_LINK_NEW, 0, 0, NULL);
	wake_up_all(&src->linked);
	wake_up_all(&dst->linked);
	return 0;

put:
	faasin_channel_put(link->channel);
free:
	kfree(link);
nomem:
	NL_SET_ERR_MSG(extack, "no memory for the link, or the cgroup is at its memory.max");
	return -ENOMEM;
}

/**
 * faasin_link_new() - join an output to an input
 * @spec: what is asked for
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for LINK_NEW.
 */
int faasin_link_new(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	int err = link_check(spec, extack);

	if (err)
		return err;
	err = tree_lock(extack);
	if (err)
		return err;
	err = link_make(spec, extack);
	up_write(&faasin_tree_sem);
	return err;
}

/**
 * faasin_link_del() - cut a link
 * @spec: which
 * @extack: gets a message on failure
 *
 * Return: 0 or -ENOENT, -EINVAL, -ESTALE, -EINTR.
 */
int faasin_link_del(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	struct faasin_link *link;
	int err = tree_lock(extack);

	if (err)
		return err;
	link = faasin_link_find(spec, extack);
	if (IS_ERR(link))
		err = PTR_ERR(link);
	else
		link_cut(link);
	up_write(&faasin_tree_sem);
	return err;
}

/* ----------------------------------------------------------------- stages */

static void stage_event(struct faasin_stage *st, enum faasin_event_type type)
{
	struct faasin_event ev = {
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
	node_init(&port->node, FAASIN_KIND_PORT, name);
	port->node.generation = ++newest_generation;
	port->direction = direction;
	port->stage = st;
	faasin_node_get(&st->node);
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

static int stage_check_cgroup(struct faasin_stage *st, struct cgroup *cgrp,
			      struct netlink_ext_ack *extack)
{
	struct faasin_stage *other;

	if (st && st->cgroup && st->cgroup != cgrp && !faasin_cgroup_gone(st->cgroup)) {
		NL_SET_ERR_MSG(extack, "the stage is bound to another cgroup; delete the stage first");
		return -EEXIST;
	}
	hash_for_each_possible(stages_by_cgroup, other, by_cgroup, hash_ptr(cgrp, 32)) {
		if (other->cgroup == cgrp && other != st) {
			NL_SET_ERR_MSG(extack, "the cgroup is bound to another stage");
			return -EBUSY;
		}
	}
	return 0;
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

static void stage_set(struct faasin_stage *st, const struct faasin_stage_spec *spec)
{
	if (spec->has_uid)
		st->uid = spec->uid;
	if (spec->has_gid)
		st->gid = spec->gid;
	if (spec->has_mode)
		st->mode = spec->mode;
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
	node_init(&st->node, FAASIN_KIND_STAGE, spec->name);
	st->node.generation = ++newest_generation;
	st->workflow = wf;
	faasin_node_get(&wf->node);
	INIT_LIST_HEAD(&st->ports);
	INIT_LIST_HEAD(&st->doomed_ports);
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
	struct faasin_workflow *wf = workflow_get(spec->workflow, extack);
	struct list_head *last;
	struct faasin_stage *st;
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
	*newest_port = newest_generation;
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
		stage_set(st, spec);
	}
	if (cgrp && st->cgroup != cgrp) {
		cgroup_get(cgrp);
		stage_bind_cgroup(st, cgrp);
	}
	tree_changed();
	faasin_node_get(&st->node);
	*stp = st;
	return 0;
}

/* Directory entries, without the lock: the ports that are newer than given. */
static void stage_show(struct faasin_stage *st, bool created, u64 newest_port)
{
	struct faasin_port *port;

	if (created) {
		faasin_fs_appeared(&st->workflow->node, st->node.name, true);
		return;
	}
	down_read(&faasin_tree_sem);
	list_for_each_entry(port, &st->ports, entry) {
		if (port->node.generation > newest_port)
			faasin_fs_appeared(&st->node, port->node.name, false);
		else
			faasin_fs_changed(&port->node);
	}
	up_read(&faasin_tree_sem);
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
	err = tree_lock(extack);
	if (err)
		goto put;
	err = stage_make(spec, cgrp, &st, &created, &newest_port, extack);
	up_write(&faasin_tree_sem);
	if (err)
		goto put;
	stage_show(st, created, newest_port);
	stage_event(st, FAASIN_EVENT_STAGE_NEW);
	faasin_node_put(&st->node);
put:
	faasin_cgroup_put(cgrp);
	return err;
}

/* First phase. The tree's references to the stage and its ports pass on. */
static void stage_kill(struct faasin_stage *st)
{
	struct faasin_port *port;

	list_for_each_entry(port, &st->ports, entry) {
		if (port->link)
			link_cut(port->link);
		port->node.dead = true;
		wake_up_all(&port->linked);
	}
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
	tree_changed();
}

/* Second phase, without the lock. */
static void stage_bury(struct faasin_stage *st)
{
	struct faasin_port *port, *next;

	list_for_each_entry(port, &st->doomed_ports, entry)
		faasin_fs_vanished(&st->node, &port->node);
	faasin_fs_vanished(&st->workflow->node, &st->node);
	stage_event(st, FAASIN_EVENT_STAGE_DEL);
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
	int err = tree_lock(extack);

	if (err)
		return err;
	wf = workflow_get(workflow, extack);
	st = wf ? faasin_stage_find(wf, name) : NULL;
	if (!st) {
		if (wf)
			NL_SET_ERR_MSG(extack, "no such stage in this workflow");
		err = -ENOENT;
	} else if (generation && generation != st->node.generation) {
		NL_SET_ERR_MSG(extack, "the stage was deleted and made anew since");
		err = -ESTALE;
	} else {
		stage_kill(st);
	}
	up_write(&faasin_tree_sem);
	if (!err)
		stage_bury(st);
	return err;
}

/* -------------------------------------------------------------- workflows */

static void workflow_event(struct faasin_workflow *wf, enum faasin_event_type type)
{
	struct faasin_event ev = {
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
		NL_SET_ERR_MSG(extack, "a workflow needs either a cgroup that pays or to be uncharged");
		return -EINVAL;
	}
	return 0;
}

static int workflow_insert(struct faasin_workflow *wf, bool exclusive,
			   struct netlink_ext_ack *extack)
{
	struct faasin_workflow *old = faasin_workflow_find(wf->node.name);
	int err;

	if (old && exclusive) {
		NL_SET_ERR_MSG(extack, "the workflow exists");
		return -EEXIST;
	}
	if (old && (old->cgroup != wf->cgroup || old->uncharged != wf->uncharged)) {
		NL_SET_ERR_MSG(extack, "the workflow exists with another cgroup; delete it first");
		return -EEXIST;
	}
	if (old)
		return 0;
	if (faasin_nr_workflows >= FAASIN_WORKFLOWS_MAX) {
		NL_SET_ERR_MSG(extack, "10000 workflows exist; delete one first");
		return -ENOSPC;
	}
	wf->node.generation = ++newest_generation;
	err = xa_err(xa_store(&workflows, wf->node.generation, wf, GFP_KERNEL));
	if (err) {
		NL_SET_ERR_MSG(extack, "no memory for the workflow");
		return err;
	}
	hash_add(workflows_by_name, &wf->by_name, name_hash(wf->node.name));
	faasin_nr_workflows++;
	tree_changed();
	return 1;
}

/* First phase. The tree's reference passes on. */
static void workflow_kill(struct faasin_workflow *wf)
{
	xa_erase(&workflows, wf->node.generation);
	hash_del(&wf->by_name);
	faasin_nr_workflows--;
	wf->node.dead = true;
	tree_changed();
}

/* Second phase, without the lock. */
static void workflow_bury(struct faasin_workflow *wf)
{
	faasin_fs_vanished(NULL, &wf->node);
	workflow_event(wf, FAASIN_EVENT_WORKFLOW_DEL);
	faasin_node_put(&wf->node);
}

/**
 * faasin_workflow_new() - create a workflow
 * @spec: what is asked for
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for WORKFLOW_NEW.
 */
int faasin_workflow_new(const struct faasin_workflow_spec *spec, struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf;
	int err = workflow_check(spec, extack);

	if (err)
		return err;
	wf = kzalloc(sizeof(*wf), GFP_KERNEL_ACCOUNT);
	if (!wf) {
		NL_SET_ERR_MSG(extack, "no memory for the workflow");
		return -ENOMEM;
	}
	node_init(&wf->node, FAASIN_KIND_WORKFLOW, spec->name);
	xa_init(&wf->stages);
	xa_init(&wf->links);
	wf->uncharged = !spec->has_cgroup;
	if (spec->has_cgroup) {
		wf->cgroup = faasin_cgroup_from_fd(spec->cgroup_fd, extack);
		if (IS_ERR(wf->cgroup)) {
			err = PTR_ERR(wf->cgroup);
			wf->cgroup = NULL;
			goto put;
		}
		wf->memcg_css = faasin_cgroup_memory(wf->cgroup, extack);
		if (IS_ERR(wf->memcg_css)) {
			err = PTR_ERR(wf->memcg_css);
			wf->memcg_css = NULL;
			goto put;
		}
	}
	err = tree_lock(extack);
	if (err)
		goto put;
	err = workflow_insert(wf, spec->exclusive, extack);
	if (err == 1)
		faasin_node_get(&wf->node);
	up_write(&faasin_tree_sem);
	if (err == 1) {
		faasin_fs_appeared(NULL, wf->node.name, true);
		workflow_event(wf, FAASIN_EVENT_WORKFLOW_NEW);
		err = 0;
	}
put:
	faasin_node_put(&wf->node);
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
	unsigned long i;
	int err = tree_lock(extack);

	if (err)
		return err;
	wf = workflow_get(name, extack);
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
		stage_kill(st);
		list_add_tail(&st->doomed, &doomed);
	}
unlock:
	up_write(&faasin_tree_sem);
	if (err)
		return err;
	list_for_each_entry_safe(st, next, &doomed, doomed)
		stage_bury(st);
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
