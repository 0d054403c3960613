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
	src = port_get(wf, spec->src_stage, spec->src_port, FAASIN_DIRECTION_OUT, extack);
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

/* The last link of an output with several is gone: it can be linked anew, in any way. */
static void trunk_cut(struct faasin_port *src, struct list_head *cut)
{
	struct faasin_channel *trunk = src->trunk;

	src->trunk = NULL;
	faasin_streams_unlink(trunk);
	list_add_tail(&trunk->cut, cut);
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
	list_del(&link->of_source);
	src->nr_links--;
	src->link = list_first_entry_or_null(&src->links, struct faasin_link, of_source);
	dst->link = NULL;
	faasin_streams_unlink(ch);
	trace_faasin_unlink(link->generation, src->node.generation, dst->node.generation,
			    READ_ONCE(ch->pool.capacity));
	faasin_channel_event(ch, FAASIN_EVENT_LINK_DEL, 0, 0, NULL);
	list_add_tail(&ch->cut, cut);
	if (src->trunk && !src->link)
		trunk_cut(src, cut);
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
			struct faasin_link *link;

			list_for_each_entry(link, &port->links, of_source) {
				struct faasin_stage *next = link->dst->stage;

				if (next->visited == mark)
					continue;
				next->visited = mark;
				todo[n++] = next;
			}
		}
	}
	kvfree(todo);
	return ret;
}

static bool channel_is_as_asked(const struct faasin_channel *ch,
				const struct faasin_link_spec *spec)
{
	return !(spec->has_capacity && spec->capacity != READ_ONCE(ch->pool.capacity)) &&
	       !(spec->has_abort_on && spec->abort_on != ch->abort_on) &&
	       !(spec->has_early_close && spec->early_close != ch->early_close) &&
	       /* Who says nothing asks for a sealed one, and is not to get less. */
	       !!(spec->flags & FAASIN_LINK_F_TRUSTED) == ch->window.trusted;
}

/* What each link has for itself, too. */
static bool link_is_as_asked(const struct faasin_channel *ch, const struct faasin_link_spec *spec)
{
	return channel_is_as_asked(ch, spec) && !(spec->has_slow && spec->slow != ch->slow);
}

/**
 * struct wanted - links that are to be made, from one output
 * @src: the output
 * @fan: several, or it has several already
 * @has: the channel that it has for that, held while it is waited for memory; or NULL
 * @trunk: a new one for that, held; or NULL
 * @nr: how many are to be made
 * @dst: each one's input
 * @channel: each one's channel, held
 */
struct wanted {
	struct faasin_port *src;
	bool fan;
	struct faasin_channel *has;
	struct faasin_channel *trunk;
	unsigned int nr;
	struct faasin_port *dst[FAASIN_FAN_MAX];
	struct faasin_channel *channel[FAASIN_FAN_MAX];
};

/* 1: there is that link, just as asked; 0: there is none; or an error. */
static int link_exists(const struct faasin_link_spec *spec, const struct faasin_port *src,
		       const struct faasin_port *dst, struct netlink_ext_ack *extack)
{
	if (!dst->link || dst->link->src != src)
		return 0;
	if (spec->exclusive)
		NL_SET_ERR_MSG(extack, "the link exists");
	else if (!link_is_as_asked(dst->link->channel, spec))
		NL_SET_ERR_MSG(extack, "the link exists with other options; unlink it first");
	else if (spec->nr_dsts && !src->trunk)
		NL_SET_ERR_MSG(extack,
			       "the link exists, and its source port is not one for several links; unlink it first");
	else
		return 1;
	return -EEXIST;
}

/* May an output have one more link, to that input? As link_exists(). */
static int link_check_end(const struct faasin_link_spec *spec, const struct faasin_end_spec *end,
			  struct wanted *w, struct netlink_ext_ack *extack)
{
	struct faasin_port *src = w->src, *dst;
	unsigned int i;
	int err;

	dst = port_get(src->stage->workflow, end->stage, end->port, FAASIN_DIRECTION_IN, extack);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (src->stage == dst->stage) {
		NL_SET_ERR_MSG(extack, "a stage cannot be linked to itself");
		return -ELOOP;
	}
	err = link_exists(spec, src, dst, extack);
	if (err)
		return err;
	if (src->link && !src->trunk) {
		NL_SET_ERR_MSG(extack, "the source port is linked already; unlink it first");
		return -EBUSY;
	}
	if (dst->link) {
		NL_SET_ERR_MSG(extack, "the destination port is linked already; unlink it first");
		return -EBUSY;
	}
	for (i = 0; i < w->nr; i++) {
		if (w->dst[i] == dst) {
			NL_SET_ERR_MSG(extack, "a destination is named twice");
			return -EINVAL;
		}
	}
	err = link_loops(src->stage, dst->stage);
	if (err == -ELOOP)
		NL_SET_ERR_MSG(extack, "the link would close a loop");
	else if (err)
		NL_SET_ERR_MSG(extack, "no memory to look for loops");
	w->dst[w->nr++] = dst;
	return err;
}

/* What is to be made, if it may. Returns 1 if there is nothing: all is as asked, already. */
static int link_check(const struct faasin_link_spec *spec, struct wanted *w,
		      struct netlink_ext_ack *extack)
{
	struct faasin_end_spec only = { .stage = spec->dst_stage, .port = spec->dst_port };
	const struct faasin_end_spec *ends = spec->nr_dsts ? spec->dsts : &only;
	struct faasin_workflow *wf = faasin_workflow_get(spec->workflow, extack);
	struct faasin_port *src;
	unsigned int i;
	int err;

	memset(w, 0, sizeof(*w));
	if (!wf)
		return -ENOENT;
	src = port_get(wf, spec->src_stage, spec->src_port, FAASIN_DIRECTION_OUT, extack);
	if (IS_ERR(src))
		return PTR_ERR(src);
	w->src = src;
	w->fan = spec->nr_dsts || src->trunk;
	if (w->fan && spec->flags & FAASIN_LINK_F_TRUSTED) {
		NL_SET_ERR_MSG(extack,
			       "links of an output that may have several cannot be trusted: their inputs have no windows");
		return -EOPNOTSUPP;
	}
	for (i = 0; i < max(spec->nr_dsts, 1U); i++) {
		err = link_check_end(spec, &ends[i], w, extack);
		if (err < 0)
			return err;
	}
	if (!w->nr)
		return 1;
	if (src->trunk && !channel_is_as_asked(src->trunk, spec)) {
		NL_SET_ERR_MSG(extack,
			       "the source port has links with other options: capacity, abort-on and on-early-close are the same for all of them");
		return -EBUSY;
	}
	if (src->trunk && !faasin_trunk_has_room(src->trunk, w->nr)) {
		NL_SET_ERR_MSG(extack,
			       "too many links: an output has at most 32, deleted ones that are still being read included");
		return -ENOSPC;
	}
	if (wf->memcg_css && faasin_memory_gone(wf->memcg_css)) {
		NL_SET_ERR_MSG(extack,
			       "the workflow's cgroup has been removed; delete the workflow and make it anew");
		return -ENODEV;
	}
	return 0;
}

static_assert(FAASIN_FAN_MAX == 32, "messages say so");

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
	list_add_tail(&link->of_source, &src->links);
	src->nr_links++;
	if (!src->link)
		src->link = link;
	dst->link = link;
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

/* All or none; what could not be made is undone into @cut. */
static int links_insert(struct wanted *w, struct list_head *cut, struct netlink_ext_ack *extack)
{
	unsigned int i;
	int err = 0;

	if (w->trunk) {
		w->trunk->generation = faasin_generation();
		w->src->trunk = w->trunk;
		w->trunk = NULL;
	}
	for (i = 0; !err && i < w->nr; i++) {
		err = link_insert(w->channel[i], extack);
		if (!err)
			w->channel[i] = NULL;
	}
	if (!err)
		return 0;
	while (--i)
		faasin_link_cut(w->dst[i - 1]->link, cut);
	if (w->src->trunk && !w->src->link)
		trunk_cut(w->src, cut);
	return err;
}

static void wanted_hold(struct wanted *w)
{
	unsigned int i;

	faasin_node_get(&w->src->node);
	for (i = 0; i < w->nr; i++)
		faasin_node_get(&w->dst[i]->node);
	w->has = w->src->trunk;
	if (w->has)
		faasin_channel_get(w->has);
}

static void wanted_let_go(struct wanted *w)
{
	unsigned int i;

	if (w->has)
		faasin_channel_put(w->has);
	for (i = 0; i < w->nr; i++)
		faasin_node_put(&w->dst[i]->node);
	faasin_node_put(&w->src->node);
}

static void wanted_free(struct wanted *w)
{
	unsigned int i;

	for (i = 0; i < w->nr; i++)
		if (w->channel[i])
			faasin_channel_put(w->channel[i]);
	if (w->trunk)
		faasin_channel_put(w->trunk);
	memset(w, 0, sizeof(*w));
}

/* The channels of what is wanted, without the lock. */
static int wanted_make(const struct faasin_link_spec *spec, struct wanted *w)
{
	struct cgroup_subsys_state *css = w->src->stage->workflow->memcg_css;
	u64 capacity = spec->has_capacity ? spec->capacity : FAASIN_CAPACITY_DEFAULT;
	u32 abort_on = spec->has_abort_on ? spec->abort_on : FAASIN_ABORT_ON_CRASH;
	u32 early_close = spec->has_early_close ? spec->early_close : FAASIN_EARLY_CLOSE_EPIPE;
	struct faasin_channel *trunk = w->has;
	unsigned int i;

	if (w->fan && !trunk) {
		w->trunk = faasin_channel_new(w->src, NULL, css, capacity, abort_on, early_close);
		if (!w->trunk)
			return -ENOMEM;
		trunk = w->trunk;
	}
	for (i = 0; i < w->nr; i++) {
		w->channel[i] = w->fan ? faasin_channel_new_branch(trunk, w->dst[i], css) :
				faasin_channel_new(w->src, w->dst[i], css, capacity, abort_on,
						   early_close);
		if (!w->channel[i])
			return -ENOMEM;
		w->channel[i]->window.trusted = spec->flags & FAASIN_LINK_F_TRUSTED;
		w->channel[i]->slow = spec->has_slow ? spec->slow : FAASIN_SLOW_THROTTLE;
	}
	return 0;
}

/* Is what was made what is wanted now? */
static bool wanted_is_made(const struct wanted *w, const struct wanted *made)
{
	struct faasin_channel *trunk = made->trunk ?: w->src->trunk;
	unsigned int i;

	if (!made->nr || w->src != made->src || w->nr != made->nr || w->fan != made->fan ||
	    (made->trunk && w->src->trunk))
		return false;
	for (i = 0; i < w->nr; i++)
		if (w->dst[i] != made->dst[i] ||
		    (w->fan && faasin_channel_store(made->channel[i]) != trunk))
			return false;
	return true;
}

/*
 * One try under the lock, with what was made before: 0 done, 1 nothing to do, -EAGAIN: what
 * @w says is to be made, held; or an error.
 */
static int link_try(const struct faasin_link_spec *spec, struct wanted *w, struct wanted *made,
		    struct list_head *cut, struct netlink_ext_ack *extack)
{
	int err = down_write_killable(&faasin_tree_sem);

	if (err)
		return err;
	err = link_check(spec, w, extack);
	if (!err && wanted_is_made(w, made)) {
		err = links_insert(made, cut, extack);
	} else if (!err) {
		wanted_hold(w);
		err = -EAGAIN;
	}
	up_write(&faasin_tree_sem);
	return err;
}

/**
 * faasin_link_new() - join an output to an input, or to several
 * @spec: what is asked for
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for LINK_NEW.
 */
int faasin_link_new(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	struct wanted *w = kcalloc(2, sizeof(*w), GFP_KERNEL), *made = w + 1;
	LIST_HEAD(cut);
	int err;

	if (!w) {
		NL_SET_ERR_MSG(extack, "no memory for the request");
		return -ENOMEM;
	}
	/*
	 * The memory without the lock: a cgroup that is at its limit keeps nobody but the
	 * requester waiting. Then all is looked at again; the names may mean other ports by now.
	 */
	while ((err = link_try(spec, w, made, &cut, extack)) == -EAGAIN) {
		wanted_free(made);
		*made = *w;
		err = wanted_make(spec, made);
		wanted_let_go(w);
		if (err) {
			NL_SET_ERR_MSG(extack,
				       "no memory for the link, or the cgroup is at its memory.max");
			break;
		}
	}
	wanted_free(made);
	kfree(w);
	faasin_links_bury(&cut);
	return min(err, 0);
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
