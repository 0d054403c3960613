// SPDX-License-Identifier: GPL-2.0
/*
 * Links: edges from outputs to inputs, without loops.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/slab.h>

#include "cgroup.h"
#include "channel.h"
#include "trace.h"
#include "workflow.h"

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
			NL_SET_ERR_MSG(extack, "a link starts at an output; that is an input");
		else
			NL_SET_ERR_MSG(extack, "a link ends at an input; that is an output");
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
	struct faasin_workflow *wf = faasin_workflow_get(spec->workflow, extack);
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

/**
 * faasin_link_cut() - take a link away
 * @link: link; gone afterwards
 * @cut: gets its channel, for faasin_links_bury()
 *
 * Called under faasin_tree_sem, held for writing. No open finds the link any
 * more, both sides are told. The channel lives on in open files.
 */
void faasin_link_cut(struct faasin_link *link, struct list_head *cut)
{
	struct faasin_port *src = link->src, *dst = link->dst;
	struct faasin_channel *ch = link->channel;

	xa_erase(&link->workflow->links, link->generation);
	link->workflow->nr_links--;
	src->link = NULL;
	dst->link = NULL;
	faasin_streams_unlink(ch);
	trace_faasin_unlink(link->generation, src->node.generation, dst->node.generation,
			    READ_ONCE(ch->pool.capacity));
	faasin_channel_event(ch, FAASIN_EVENT_LINK_DEL, 0, 0, NULL);
	list_add_tail(&ch->cut, cut);
	kfree(link);
	faasin_tree_changed();
}

/**
 * faasin_links_bury() - let the channels of deleted links go, without the lock
 * @cut: what faasin_link_cut() was given
 *
 * Freeing one may take a while: it can hold a gigabyte.
 */
void faasin_links_bury(struct list_head *cut)
{
	struct faasin_channel *ch, *next;

	list_for_each_entry_safe(ch, next, cut, cut) {
		/* It may be held open. */
		faasin_session_drop_rest(ch);
		faasin_channel_put(ch);
	}
}

/*
 * Would a link from @src to @dst close a loop: is @src reached from @dst? Each
 * stage is put on the work list at most once, so it has room for all.
 */
static int link_loops(struct faasin_stage *src, struct faasin_stage *dst)
{
	struct faasin_workflow *wf = src->workflow;
	u64 mark = faasin_generation();
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

static bool link_is_as_asked(const struct faasin_link *link, const struct faasin_link_spec *spec)
{
	const struct faasin_channel *ch = link->channel;

	return !(spec->has_capacity && spec->capacity != READ_ONCE(ch->pool.capacity)) &&
	       !(spec->has_abort_on && spec->abort_on != ch->abort_on) &&
	       !(spec->has_early_close && spec->early_close != ch->early_close);
}

/*
 * The two ports, if they may be linked as asked. Returns 1 if they are, just so,
 * already.
 */
static int link_check(const struct faasin_link_spec *spec, struct faasin_port **srcp,
		      struct faasin_port **dstp, struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = faasin_workflow_get(spec->workflow, extack);
	struct faasin_port *src, *dst;
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
			return 1;
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
	else if (err)
		NL_SET_ERR_MSG(extack, "no memory to look for loops");
	*srcp = src;
	*dstp = dst;
	return err;
}

/* Takes over the channel if it succeeds. */
static int link_insert(struct faasin_channel *ch, struct netlink_ext_ack *extack)
{
	struct faasin_port *src = ch->src, *dst = ch->dst;
	struct faasin_workflow *wf = src->stage->workflow;
	struct faasin_link *link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);

	if (!link)
		goto nomem;
	link->workflow = wf;
	link->src = src;
	link->dst = dst;
	link->channel = ch;
	link->generation = faasin_generation();
	ch->generation = link->generation;
	ch->linked_at = ktime_get_ns();
	if (xa_err(xa_store(&wf->links, link->generation, link, GFP_KERNEL)))
		goto free;
	/* Last: it may displace another peer's account, for good. */
	if (faasin_account_open(ch))
		goto erase;
	wf->nr_links++;
	src->link = link;
	dst->link = link;
	faasin_tree_changed();
	trace_faasin_link(link->generation, src->node.generation, dst->node.generation,
			  ch->pool.capacity);
	faasin_channel_event(ch, FAASIN_EVENT_LINK_NEW, 0, 0, NULL);
	wake_up_all(&src->linked);
	wake_up_all(&dst->linked);
	return 0;

erase:
	xa_erase(&wf->links, link->generation);
free:
	kfree(link);
nomem:
	NL_SET_ERR_MSG(extack, "no memory for the link");
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
	u64 capacity = spec->has_capacity ? spec->capacity : FAASIN_CAPACITY_DEFAULT;
	u32 abort_on = spec->has_abort_on ? spec->abort_on : FAASIN_ABORT_ON_CRASH;
	u32 early_close = spec->has_early_close ? spec->early_close : FAASIN_EARLY_CLOSE_EPIPE;
	struct faasin_channel *ch = NULL;
	struct faasin_port *src, *dst;
	int err;

	for (;;) {
		err = down_write_killable(&faasin_tree_sem);
		if (err)
			break;
		err = link_check(spec, &src, &dst, extack);
		if (!err && ch && ch->src == src && ch->dst == dst) {
			err = link_insert(ch, extack);
			if (!err)
				ch = NULL;
			up_write(&faasin_tree_sem);
			break;
		}
		if (!err) {
			faasin_node_get(&src->node);
			faasin_node_get(&dst->node);
		}
		up_write(&faasin_tree_sem);
		if (err) {
			err = min(err, 0);
			break;
		}
		/* The memory without the lock: a cgroup that is at its limit
		 * keeps nobody but the requester waiting. Then all is looked at
		 * again; the names may mean other ports by now.
		 */
		if (ch)
			faasin_channel_put(ch);
		ch = faasin_channel_new(src, dst, src->stage->workflow->memcg_css, capacity,
					abort_on, early_close);
		faasin_node_put(&dst->node);
		faasin_node_put(&src->node);
		if (!ch) {
			NL_SET_ERR_MSG(extack,
				       "no memory for the link, or the cgroup is at its memory.max");
			return -ENOMEM;
		}
	}
	if (ch)
		faasin_channel_put(ch);
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
	LIST_HEAD(cut);
	int err = down_write_killable(&faasin_tree_sem);

	if (err)
		return err;
	link = faasin_link_find(spec, extack);
	if (IS_ERR(link))
		err = PTR_ERR(link);
	else
		faasin_link_cut(link, &cut);
	up_write(&faasin_tree_sem);
	faasin_links_bury(&cut);
	return err;
}

/* The link's channel, held. */
static struct faasin_channel *link_channel(const struct faasin_link_spec *spec,
					   struct netlink_ext_ack *extack)
{
	struct faasin_channel *ch;
	struct faasin_link *link;
	int err = down_read_killable(&faasin_tree_sem);

	if (err)
		return ERR_PTR(err);
	link = faasin_link_find(spec, extack);
	if (IS_ERR(link)) {
		ch = ERR_CAST(link);
	} else {
		ch = link->channel;
		faasin_channel_get(ch);
	}
	up_read(&faasin_tree_sem);
	return ch;
}

/**
 * faasin_link_set() - change a link that is in use
 * @spec: which, and what is to be different
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for LINK_SET.
 */
int faasin_link_set(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	struct faasin_channel *ch = NULL;
	struct faasin_link *link;
	u64 generation = 0;
	int err = 0;

	/* It waits for memory and for who works on the channel: without the lock. */
	if (spec->has_capacity) {
		ch = link_channel(spec, extack);
		if (IS_ERR(ch))
			return PTR_ERR(ch);
		err = faasin_channel_resize(ch, spec->capacity, extack);
		generation = ch->generation;
		faasin_channel_put(ch);
	}
	if (err || !spec->has_state)
		return err;
	/* Alone, so that the events of several come in the order of what they did. */
	err = down_write_killable(&faasin_tree_sem);
	if (err)
		return err;
	link = faasin_link_find(spec, extack);
	if (IS_ERR(link)) {
		err = PTR_ERR(link);
	} else if (generation && generation != link->channel->generation) {
		NL_SET_ERR_MSG(extack,
			       "the link was deleted and made anew after its capacity was changed");
		err = -ESTALE;
	} else {
		faasin_channel_set_state(link->channel, spec->state);
	}
	up_write(&faasin_tree_sem);
	return err;
}
