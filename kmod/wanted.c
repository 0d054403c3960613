// SPDX-License-Identifier: GPL-2.0
/*
 * Links that are wanted: checked, made, put into the tree, all of a request or none.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/slab.h>

#include "cgroup.h"
#include "channel.h"
#include "deal.h"
#include "inbox.h"
#include "link.h"
#include "record.h"
#include "trunk.h"
#include "workflow.h"

static_assert(FAASIN_FAN_MAX == 32, "messages say so");

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

/**
 * struct request - all links that one request asks for
 * @spec: what it says
 * @extack: gets a message on failure
 * @nr: how many outputs it names
 * @of: what is to be made of each
 * @made: what was made, the same way, before it was looked again
 * @nr_made: for how many outputs
 * @cut: channels of links that could not stay
 */
struct request {
	const struct faasin_link_spec *spec;
	struct netlink_ext_ack *extack;
	unsigned int nr;
	struct wanted *of;
	struct wanted *made;
	unsigned int nr_made;
	struct list_head cut;
};

/* ---------------------------------------------------------------- checking */

static bool channel_is_as_asked(const struct faasin_channel *ch,
				const struct faasin_link_spec *spec)
{
	return !(spec->has_capacity && spec->capacity != READ_ONCE(ch->pool.capacity)) &&
	       !(spec->has_abort_on && spec->abort_on != ch->abort_on) &&
	       !(spec->has_early_close && spec->early_close != ch->early_close) &&
	       /* Who says nothing asks for a sealed one, and is not to get less. */
	       !!(spec->flags & FAASIN_LINK_F_TRUSTED) == ch->window.trusted &&
	       /* Likewise: one of bytes. */
	       !!(spec->flags & FAASIN_LINK_F_RECORDS) == ch->records &&
	       !!(spec->flags & FAASIN_LINK_F_DEALT) == !!ch->deal;
}

static u32 abort_on_asked(const struct faasin_link_spec *spec)
{
	return spec->has_abort_on ? spec->abort_on : FAASIN_ABORT_ON_CRASH;
}

/* What each link has for itself, too. */
static bool link_is_as_asked(const struct faasin_channel *ch, const struct faasin_link_spec *spec)
{
	return channel_is_as_asked(ch, spec) && !(spec->has_slow && spec->slow != ch->slow);
}

/* 1: there is that link, just as asked; 0: there is none; or an error. */
static int link_exists(const struct faasin_link_spec *spec, const struct faasin_port *src,
		       const struct faasin_port *dst, struct netlink_ext_ack *extack)
{
	const struct faasin_link *link = faasin_link_between(src, dst);

	if (!link)
		return 0;
	if (spec->exclusive)
		NL_SET_ERR_MSG(extack, "the link exists");
	else if (!link_is_as_asked(link->channel, spec))
		NL_SET_ERR_MSG(extack, "the link exists with other options; unlink it first");
	else if (spec->nr_dsts && !src->trunk && !src->deal)
		NL_SET_ERR_MSG(extack,
			       "the link exists, and its source port is not one for several links; unlink it first");
	else if (spec->nr_srcs && !dst->inbox)
		NL_SET_ERR_MSG(extack,
			       "the link exists, and its destination port is not one for several links; unlink it first");
	else if (dst->inbox && dst->inbox->merge != spec->merge)
		NL_SET_ERR_MSG(extack,
			       "the link exists, and its destination port is read in another way (MERGE); unlink it first");
	else
		return 1;
	return -EEXIST;
}

/* How many links to an input are to be made, the ones of @w included. */
static unsigned int links_to(const struct request *rq, const struct wanted *w,
			     const struct faasin_port *dst)
{
	const struct wanted *other;
	unsigned int i, n = 0;

	for (other = rq->of; other <= w; other++)
		for (i = 0; i < other->nr; i++)
			n += other->dst[i] == dst;
	return n;
}

/* Two ports that are not linked to each other: may they be? */
static int link_may_be(struct request *rq, const struct wanted *w, const struct faasin_port *dst)
{
	struct netlink_ext_ack *extack = rq->extack;
	const struct faasin_port *src = w->src;
	unsigned int i;

	if (src->link && !src->trunk && !src->deal) {
		NL_SET_ERR_MSG(extack, "the source port is linked already; unlink it first");
		return -EBUSY;
	}
	if (dst->link && !dst->inbox) {
		NL_SET_ERR_MSG(extack, "the destination port is linked already; unlink it first");
		return -EBUSY;
	}
	if (dst->inbox && dst->inbox->merge != rq->spec->merge) {
		NL_SET_ERR_MSG(extack,
			       "the destination port has links that are read in another way: MERGE is the same for all of them");
		return -EBUSY;
	}
	for (i = 0; i < w->nr; i++) {
		if (w->dst[i] == dst) {
			NL_SET_ERR_MSG(extack, "a destination is named twice");
			return -EINVAL;
		}
	}
	if (dst->inbox && !faasin_inbox_has_room(dst->inbox, links_to(rq, w, dst) + 1)) {
		NL_SET_ERR_MSG(extack,
			       "too many links: an input has at most 32, deleted ones that are still being read included");
		return -ENOSPC;
	}
	return 0;
}

/* As link_exists(), of an output and what is named: if it may be, it is added to @w. */
static int link_check_end(struct request *rq, const struct faasin_end_spec *end,
			  struct wanted *w)
{
	struct faasin_port *src = w->src, *dst;
	int err;

	dst = faasin_link_port(src->stage->workflow, end->stage, end->port, FAASIN_DIRECTION_IN,
			       rq->extack);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (src->stage == dst->stage) {
		NL_SET_ERR_MSG(rq->extack, "a stage cannot be linked to itself");
		return -ELOOP;
	}
	if (rq->spec->merge && !rq->spec->nr_srcs && !dst->inbox) {
		NL_SET_ERR_MSG(rq->extack,
			       "MERGE is of an input for several links: name its sources as a list (SRC)");
		return -EINVAL;
	}
	err = link_exists(rq->spec, src, dst, rq->extack);
	if (!err)
		err = link_may_be(rq, w, dst);
	if (!err)
		w->dst[w->nr++] = dst;
	return err;
}

/* May an output have the links that are to be made of it? */
static int wanted_may_be(const struct request *rq, const struct wanted *w)
{
	struct netlink_ext_ack *extack = rq->extack;
	struct faasin_channel *trunk = w->src->trunk;
	struct faasin_deal *deal = w->src->deal;

	if (deal && !(rq->spec->flags & FAASIN_LINK_F_DEALT)) {
		NL_SET_ERR_MSG(extack,
			       "the source port has links that records are dealt to: so is another one");
		return -EBUSY;
	}
	/* How a writer died is for all of them to know. */
	if (deal && abort_on_asked(rq->spec) != w->src->link->channel->abort_on) {
		NL_SET_ERR_MSG(extack,
			       "the source port has links with another abort-on: it is the same for all that records are dealt to");
		return -EBUSY;
	}
	if (trunk && !channel_is_as_asked(trunk, rq->spec)) {
		NL_SET_ERR_MSG(extack,
			       "the source port has links with other options: capacity, abort-on, on-early-close and records are the same for all of them");
		return -EBUSY;
	}
	if ((trunk && !faasin_trunk_has_room(trunk, w->nr)) ||
	    (deal && !faasin_deal_has_room(deal, w->nr))) {
		NL_SET_ERR_MSG(extack,
			       "too many links: an output has at most 32, deleted ones that are still being read included");
		return -ENOSPC;
	}
	return 0;
}

/* Is what is asked for of dealing something that there can be? */
static int deal_check(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	if (!(spec->flags & FAASIN_LINK_F_DEALT))
		return 0;
	if (!(spec->flags & FAASIN_LINK_F_RECORDS)) {
		NL_SET_ERR_MSG(extack, "what is dealt are records: ask for RECORDS, too");
		return -EINVAL;
	}
	if (spec->flags & FAASIN_LINK_F_TRUSTED) {
		NL_SET_ERR_MSG(extack,
			       "links that records are dealt to cannot be trusted: their output has no window");
		return -EOPNOTSUPP;
	}
	if ((spec->has_slow && spec->slow != FAASIN_SLOW_THROTTLE) ||
	    (spec->has_early_close && spec->early_close != FAASIN_EARLY_CLOSE_EPIPE)) {
		NL_SET_ERR_MSG(extack,
			       "a record that was dealt has one reader: it is neither dropped nor drained");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* What is to be made of the output of @end, if it may. */
static int wanted_check(struct request *rq, struct faasin_workflow *wf,
			const struct faasin_end_spec *end, struct wanted *w)
{
	const struct faasin_link_spec *spec = rq->spec;
	struct faasin_end_spec only = { .stage = spec->dst_stage, .port = spec->dst_port };
	const struct faasin_end_spec *dsts = spec->nr_dsts ? spec->dsts : &only;
	struct faasin_port *src;
	unsigned int i;
	int err;

	src = faasin_link_port(wf, end->stage, end->port, FAASIN_DIRECTION_OUT, rq->extack);
	if (IS_ERR(src))
		return PTR_ERR(src);
	for (i = 0; i < w - rq->of; i++) {
		if (rq->of[i].src == src) {
			NL_SET_ERR_MSG(rq->extack, "a source is named twice");
			return -EINVAL;
		}
	}
	w->src = src;
	w->fan = (spec->nr_dsts && !(spec->flags & FAASIN_LINK_F_DEALT)) || src->trunk;
	if (w->fan && spec->flags & FAASIN_LINK_F_TRUSTED) {
		NL_SET_ERR_MSG(rq->extack,
			       "links of an output that may have several cannot be trusted: their inputs have no windows");
		return -EOPNOTSUPP;
	}
	for (i = 0; i < max(spec->nr_dsts, 1U); i++) {
		err = link_check_end(rq, &dsts[i], w);
		if (err < 0)
			return err;
	}
	return w->nr ? wanted_may_be(rq, w) : 0;
}

/*
 * Would the links close a loop? When they are made, each of the outputs is linked to each of the
 * inputs, so there is one if any output's stage is reached from any input's: one walk from all
 * of these tells.
 */
static int request_loops(struct request *rq, struct faasin_workflow *wf)
{
	struct faasin_stage **todo;
	u64 mark = faasin_generation();
	struct wanted *w;
	unsigned int i;

	todo = kvmalloc_array(wf->nr_stages, sizeof(*todo), GFP_KERNEL);
	if (!todo) {
		NL_SET_ERR_MSG(rq->extack, "no memory to look for loops");
		return -ENOMEM;
	}
	for (w = rq->of; w < rq->of + rq->nr; w++)
		for (i = 0; i < w->nr; i++)
			faasin_link_walk(w->dst[i], mark, todo);
	kvfree(todo);
	for (w = rq->of; w < rq->of + rq->nr; w++) {
		if (w->nr && w->src->stage->visited == mark) {
			NL_SET_ERR_MSG(rq->extack, "the link would close a loop");
			return -ELOOP;
		}
	}
	return 0;
}

/* What is to be made, if it may. Returns 1 if there is nothing: all is as asked, already. */
static int request_check(struct request *rq)
{
	const struct faasin_link_spec *spec = rq->spec;
	struct faasin_end_spec only = { .stage = spec->src_stage, .port = spec->src_port };
	const struct faasin_end_spec *srcs = spec->nr_srcs ? spec->srcs : &only;
	struct faasin_workflow *wf = faasin_workflow_get(spec->workflow, rq->extack);
	bool any = false;
	unsigned int i;
	int err;

	memset(rq->of, 0, array_size(rq->nr, sizeof(*rq->of)));
	if (!wf)
		return -ENOENT;
	if (spec->merge && !(spec->flags & FAASIN_LINK_F_RECORDS)) {
		NL_SET_ERR_MSG(rq->extack,
			       "only records can be merged: set RECORDS in FLAGS, too");
		return -EINVAL;
	}
	err = deal_check(spec, rq->extack);
	if (err)
		return err;
	for (i = 0; i < rq->nr; i++) {
		err = wanted_check(rq, wf, &srcs[i], &rq->of[i]);
		if (err)
			return err;
		any |= rq->of[i].nr;
	}
	if (!any)
		return 1;
	err = request_loops(rq, wf);
	if (err)
		return err;
	if (wf->memcg_css && faasin_memory_gone(wf->memcg_css)) {
		NL_SET_ERR_MSG(rq->extack,
			       "the workflow's cgroup has been removed; delete the workflow and make it anew");
		return -ENODEV;
	}
	return 0;
}

/* ------------------------------------------------------------------ making */

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

/* A channel with a ring of its own, as asked for; or NULL. */
static struct faasin_channel *store_new(const struct faasin_link_spec *spec,
					struct faasin_port *src, struct faasin_port *dst)
{
	u64 capacity = spec->has_capacity ? spec->capacity : FAASIN_CAPACITY_DEFAULT;
	u32 early_close = spec->has_early_close ? spec->early_close : FAASIN_EARLY_CLOSE_EPIPE;
	struct faasin_channel *ch;

	ch = faasin_channel_new(src, dst, src->stage->workflow->memcg_css, capacity,
				abort_on_asked(spec), early_close);
	if (ch && spec->flags & FAASIN_LINK_F_RECORDS && faasin_records_create(ch)) {
		faasin_channel_put(ch);
		return NULL;
	}
	return ch;
}

/* The channels of what is wanted, without the lock. */
static int wanted_make(const struct faasin_link_spec *spec, struct wanted *w)
{
	struct cgroup_subsys_state *css = w->src->stage->workflow->memcg_css;
	struct faasin_channel *trunk = w->has;
	unsigned int i;

	if (w->nr && w->fan && !trunk) {
		w->trunk = store_new(spec, w->src, NULL);
		if (!w->trunk)
			return -ENOMEM;
		trunk = w->trunk;
	}
	for (i = 0; i < w->nr; i++) {
		w->channel[i] = w->fan ? faasin_channel_new_branch(trunk, w->dst[i], css) :
				store_new(spec, w->src, w->dst[i]);
		if (!w->channel[i])
			return -ENOMEM;
		w->channel[i]->window.trusted = spec->flags & FAASIN_LINK_F_TRUSTED;
		w->channel[i]->slow = spec->has_slow ? spec->slow : FAASIN_SLOW_THROTTLE;
	}
	return 0;
}

/* Of all outputs, what request_check() held; what was made before, for other ports maybe, goes. */
static int request_make(struct request *rq)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < rq->nr; i++) {
		wanted_free(&rq->made[i]);
		rq->made[i] = rq->of[i];
	}
	rq->nr_made = rq->nr;
	for (i = 0; !err && i < rq->nr; i++)
		err = wanted_make(rq->spec, &rq->made[i]);
	for (i = 0; i < rq->nr; i++)
		wanted_let_go(&rq->of[i]);
	if (err)
		NL_SET_ERR_MSG(rq->extack,
			       "no memory for the link, or the cgroup is at its memory.max");
	return err;
}

/* Is what was made what is wanted now? */
static bool wanted_is_made(const struct wanted *w, const struct wanted *made)
{
	struct faasin_channel *trunk = made->trunk ?: w->src->trunk;
	unsigned int i;

	if (w->src != made->src || w->nr != made->nr || w->fan != made->fan ||
	    (made->trunk && w->src->trunk))
		return false;
	for (i = 0; i < w->nr; i++)
		if (w->dst[i] != made->dst[i] ||
		    (w->fan && faasin_channel_store(made->channel[i]) != trunk))
			return false;
	return true;
}

static bool request_is_made(const struct request *rq)
{
	unsigned int i;

	if (!rq->nr_made)
		return false;
	for (i = 0; i < rq->nr; i++)
		if (!wanted_is_made(&rq->of[i], &rq->made[i]))
			return false;
	return true;
}

/* --------------------------------------------------------------- inserting */

/* An input is to have several links: it gets what that takes. */
static int inbox_need(struct faasin_port *dst, enum faasin_merge merge,
		      struct netlink_ext_ack *extack)
{
	if (dst->inbox)
		return 0;
	dst->inbox = faasin_inbox_new(faasin_generation(), merge);
	if (dst->inbox)
		return 0;
	NL_SET_ERR_MSG(extack, "no memory for the link");
	return -ENOMEM;
}

/* An output's records are to be dealt: likewise. */
static int deal_need(struct faasin_port *src, struct netlink_ext_ack *extack)
{
	if (src->deal)
		return 0;
	src->deal = faasin_deal_new(faasin_generation());
	if (src->deal)
		return 0;
	NL_SET_ERR_MSG(extack, "no memory for the link");
	return -ENOMEM;
}

/* Inputs that got no link have no use for an inbox, nor outputs for a trunk or a deal. */
static void ports_tidy(struct wanted *w, struct list_head *cut)
{
	unsigned int i;

	if (w->src->trunk && !w->src->link)
		faasin_link_trunk_cut(w->src, cut);
	if (w->src->deal && !w->src->link)
		faasin_link_deal_cut(w->src);
	for (i = 0; i < w->nr; i++)
		if (w->dst[i]->inbox && !w->dst[i]->link)
			faasin_link_inbox_cut(w->dst[i]);
}

/* All links of one output; @done counts them. */
static int wanted_insert(struct request *rq, struct wanted *w, unsigned int *done)
{
	unsigned int i;
	int err = 0;

	if (w->trunk) {
		w->trunk->generation = faasin_generation();
		w->src->trunk = w->trunk;
		w->trunk = NULL;
	}
	if (w->nr && rq->spec->flags & FAASIN_LINK_F_DEALT)
		err = deal_need(w->src, rq->extack);
	for (i = 0; !err && i < w->nr; i++) {
		if (rq->spec->nr_srcs)
			err = inbox_need(w->dst[i], rq->spec->merge, rq->extack);
		if (!err)
			err = faasin_link_insert(w->channel[i], rq->extack);
		if (!err) {
			w->channel[i] = NULL;
			(*done)++;
		}
	}
	return err;
}

/* The first @done of the links that were to be made are taken away again. */
static void request_undo(struct request *rq, unsigned int done)
{
	struct wanted *w;
	unsigned int i;

	for (w = rq->made; w < rq->made + rq->nr; w++)
		for (i = 0; done && i < w->nr; i++, done--)
			faasin_link_cut(faasin_link_between(w->src, w->dst[i]), &rq->cut);
	for (w = rq->made; w < rq->made + rq->nr; w++)
		ports_tidy(w, &rq->cut);
}

/* All or none. */
static int request_insert(struct request *rq)
{
	unsigned int i, done = 0;
	int err = 0;

	for (i = 0; !err && i < rq->nr; i++)
		err = wanted_insert(rq, &rq->made[i], &done);
	if (err)
		request_undo(rq, done);
	return err;
}

/*
 * One try under the lock, with what was made before: 0 done, 1 nothing to do, -EAGAIN: what
 * @of says is to be made, held; or an error.
 */
static int request_try(struct request *rq)
{
	int err = down_write_killable(&faasin_tree_sem);
	unsigned int i;

	if (err)
		return err;
	err = request_check(rq);
	if (!err && request_is_made(rq)) {
		err = request_insert(rq);
	} else if (!err) {
		for (i = 0; i < rq->nr; i++)
			wanted_hold(&rq->of[i]);
		err = -EAGAIN;
	}
	up_write(&faasin_tree_sem);
	return err;
}

/**
 * faasin_link_new() - join an output to an input, or several to several
 * @spec: what is asked for
 * @extack: gets a message on failure
 *
 * Return: 0 or one of the errors that uapi/faasin.h lists for LINK_NEW.
 */
int faasin_link_new(const struct faasin_link_spec *spec, struct netlink_ext_ack *extack)
{
	struct request rq = { .spec = spec, .extack = extack, .nr = max(spec->nr_srcs, 1U) };
	unsigned int i;
	int err;

	rq.of = kvcalloc(2 * rq.nr, sizeof(*rq.of), GFP_KERNEL);
	if (!rq.of) {
		NL_SET_ERR_MSG(extack, "no memory for the request");
		return -ENOMEM;
	}
	rq.made = rq.of + rq.nr;
	INIT_LIST_HEAD(&rq.cut);
	/*
	 * The memory without the lock: a cgroup that is at its limit keeps nobody but the
	 * requester waiting. Then all is looked at again; the names may mean other ports by now.
	 */
	do {
		err = request_try(&rq);
		if (err == -EAGAIN)
			err = request_make(&rq) ?: -EAGAIN;
	} while (err == -EAGAIN);
	for (i = 0; i < rq.nr; i++)
		wanted_free(&rq.made[i]);
	kvfree(rq.of);
	faasin_links_bury(&rq.cut);
	return min(err, 0);
}
