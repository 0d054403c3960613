// SPDX-License-Identifier: GPL-2.0
/*
 * Links: edges from outputs to inputs, without loops.
 */
#include <linux/err.h>
#include <linux/netlink.h>
#include <linux/slab.h>

#include "channel.h"
#include "deal.h"
#include "inbox.h"
#include "link.h"
#include "trace.h"
#include "trunk.h"
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

/**
 * faasin_link_port() - an end that is named
 * @wf: workflow
 * @stage: name of the stage
 * @port: name of the port, or NULL for the default one
 * @direction: what it has to be
 * @extack: gets a message on failure
 *
 * Return: the port, or -ENOENT, -EINVAL.
 */
struct faasin_port *faasin_link_port(struct faasin_workflow *wf, const char *stage,
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
 * faasin_link_between() - the link of two ports
 * @src: the output
 * @dst: the input
 *
 * Return: the link, valid under faasin_tree_sem, or NULL.
 */
struct faasin_link *faasin_link_between(const struct faasin_port *src,
					const struct faasin_port *dst)
{
	struct faasin_link *link;

	list_for_each_entry(link, &src->links, of_source)
		if (link->dst == dst)
			return link;
	return NULL;
}

static bool port_is(const struct faasin_port *p, const char *stage, const char *port)
{
	return !(stage && strcmp(stage, p->stage->node.name)) &&
	       !(port && strcmp(port, p->node.name));
}

/* The link of an output to what is named, where a name may be NULL, but names just one. */
static struct faasin_link *link_of(const struct faasin_port *src, const char *stage,
				   const char *port, struct netlink_ext_ack *extack)
{
	struct faasin_link *link, *found = NULL;

	list_for_each_entry(link, &src->links, of_source) {
		if (!port_is(link->dst, stage, port))
			continue;
		if (found) {
			NL_SET_ERR_MSG(extack,
				       "the source port has several such links: name the destination");
			return ERR_PTR(-ENOTUNIQ);
		}
		found = link;
	}
	if (found)
		return found;
	NL_SET_ERR_MSG(extack, "the source port is linked to something else");
	return ERR_PTR(-ENOENT);
}

/**
 * faasin_link_find() - by its ends
 * @spec: workflow and source; destination and generation if given must match
 * @extack: gets a message on failure
 *
 * Return: the link, valid under faasin_tree_sem, or -ENOENT, -EINVAL, -ESTALE, -ENOTUNIQ.
 */
struct faasin_link *faasin_link_find(const struct faasin_link_spec *spec,
				     struct netlink_ext_ack *extack)
{
	struct faasin_workflow *wf = faasin_workflow_get(spec->workflow, extack);
	struct faasin_port *src;
	struct faasin_link *link;

	if (!wf)
		return ERR_PTR(-ENOENT);
	src = faasin_link_port(wf, spec->src_stage, spec->src_port, FAASIN_DIRECTION_OUT, extack);
	if (IS_ERR(src))
		return ERR_CAST(src);
	if (!src->link) {
		NL_SET_ERR_MSG(extack, "the source port is not linked");
		return ERR_PTR(-ENOENT);
	}
	link = link_of(src, spec->dst_stage, spec->dst_port, extack);
	if (IS_ERR(link))
		return link;
	if (spec->generation && spec->generation != link->generation) {
		NL_SET_ERR_MSG(extack, "the link was deleted and made anew since");
		return ERR_PTR(-ESTALE);
	}
	return link;
}

/**
 * faasin_link_trunk_cut() - the last link of an output that may have several is gone
 * @src: the output, which can be linked anew, in any way
 * @cut: gets the trunk, for faasin_links_bury()
 */
void faasin_link_trunk_cut(struct faasin_port *src, struct list_head *cut)
{
	struct faasin_channel *trunk = src->trunk;

	src->trunk = NULL;
	faasin_streams_unlink(trunk);
	list_add_tail(&trunk->cut, cut);
}

/**
 * faasin_link_inbox_cut() - the last link of an input that may have several is gone
 * @dst: the input, likewise
 */
void faasin_link_inbox_cut(struct faasin_port *dst)
{
	struct faasin_inbox *in = dst->inbox;

	dst->inbox = NULL;
	faasin_inbox_close(in);
	faasin_inbox_put(in);
}

/**
 * faasin_link_deal_cut() - the last link of an output whose records are dealt is gone
 * @src: the output, likewise
 */
void faasin_link_deal_cut(struct faasin_port *src)
{
	struct faasin_deal *deal = src->deal;

	src->deal = NULL;
	faasin_waiters_wake(&deal->writers);
	faasin_deal_put(deal);
}

/* A port has one link more, or less. */
static void port_link_add(struct faasin_port *port, struct list_head *entry)
{
	list_add_tail(entry, &port->links);
	port->nr_links++;
}

static void port_link_del(struct faasin_port *port, struct list_head *entry)
{
	list_del(entry);
	port->nr_links--;
}

static void port_link_set(struct faasin_link *link)
{
	struct faasin_port *src = link->src, *dst = link->dst;

	src->link = list_first_entry_or_null(&src->links, struct faasin_link, of_source);
	dst->link = list_first_entry_or_null(&dst->links, struct faasin_link, of_destination);
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
	port_link_del(src, &link->of_source);
	port_link_del(dst, &link->of_destination);
	port_link_set(link);
	faasin_streams_unlink(ch);
	if (ch->deal)
		faasin_deal_leave(ch);
	trace_faasin_unlink(link->generation, src->node.generation, dst->node.generation,
			    READ_ONCE(ch->pool.capacity));
	faasin_channel_event(ch, FAASIN_EVENT_LINK_DEL, 0, 0, NULL);
	list_add_tail(&ch->cut, cut);
	if (src->trunk && !src->link)
		faasin_link_trunk_cut(src, cut);
	if (src->deal && !src->link)
		faasin_link_deal_cut(src);
	if (dst->inbox && !dst->link)
		faasin_link_inbox_cut(dst);
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

/* Puts a stage on the work list @todo, which has @n, unless it was there. How many it has then. */
static unsigned int stage_visit(struct faasin_stage *st, u64 mark, struct faasin_stage **todo,
				unsigned int n)
{
	if (st->visited != mark) {
		st->visited = mark;
		todo[n++] = st;
	}
	return n;
}

/**
 * faasin_link_walk() - which stages are reached from an input
 * @dst: the input; itself is reached
 * @mark: what those have as @visited that were reached before, and get that are now
 * @todo: room for as many as the workflow has stages
 *
 * Each stage is put on the work list at most once.
 */
void faasin_link_walk(struct faasin_port *dst, u64 mark, struct faasin_stage **todo)
{
	unsigned int n = stage_visit(dst->stage, mark, todo, 0);
	struct faasin_port *port;
	struct faasin_link *link;
	struct faasin_stage *st;

	while (n) {
		st = todo[--n];
		list_for_each_entry(port, &st->ports, entry) {
			if (port->direction != FAASIN_DIRECTION_OUT)
				continue;
			list_for_each_entry(link, &port->links, of_source)
				n = stage_visit(link->dst->stage, mark, todo, n);
		}
	}
}

/**
 * faasin_link_insert() - a link is there
 * @ch: its channel, which is taken over if it succeeds; faasin_tree_sem held for writing
 * @extack: gets a message on failure
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_link_insert(struct faasin_channel *ch, struct netlink_ext_ack *extack)
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
	port_link_add(src, &link->of_source);
	port_link_add(dst, &link->of_destination);
	port_link_set(link);
	/* Before streams can begin there. */
	if (dst->inbox)
		faasin_inbox_add(dst->inbox, ch);
	if (src->deal)
		faasin_deal_add(src->deal, ch);
	if (ch->branch)
		faasin_trunk_join(ch);
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
 * faasin_link_del() - cut a link
 * @spec: which
 * @extack: gets a message on failure
 *
 * Return: 0 or -ENOENT, -EINVAL, -ESTALE, -ENOTUNIQ, -EINTR.
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
