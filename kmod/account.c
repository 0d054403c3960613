// SPDX-License-Identifier: GPL-2.0
/*
 * Accounts. account.h has what they are and their lock.
 */
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "account.h"
#include "channel.h"
#include "limits.h"
#include "workflow.h"

static void stats_add(struct faasin_stats *to, const struct faasin_stats *from)
{
	int i;

	for (i = FAASIN_A_STATS_PAD + 1; i <= FAASIN_A_STATS_MAX; i++) {
		if (i == FAASIN_A_STATS_BYTES_HELD_MAX)
			to->v[i] = max(to->v[i], from->v[i]);
		else
			to->v[i] += from->v[i];
	}
}

static struct faasin_workflow *account_workflow(const struct faasin_account *a)
{
	return a->src->stage->workflow;
}

static void account_sum(const struct faasin_account *a, struct faasin_stats *to)
{
	struct faasin_channel *ch;
	struct faasin_stats st;

	lockdep_assert_held(&account_workflow(a)->accounts_mutex);
	stats_add(to, &a->past);
	list_for_each_entry(ch, &a->channels, account_entry) {
		faasin_channel_stats(ch, &st);
		stats_add(to, &st);
	}
}

/* Closed and without channels: what it says passes on. */
static void account_settle(struct faasin_account *a)
{
	struct faasin_workflow *wf = account_workflow(a);

	lockdep_assert_held(&wf->accounts_mutex);
	stats_add(&wf->accounts.past, &a->past);
	stats_add(a->source_gone ? &wf->gone : &a->src->stage->sent.past, &a->past);
	stats_add(&a->dst->stage->received.past, &a->past);
	list_del(&a->by_workflow);
	list_del(&a->by_source);
	list_del(&a->by_destination);
	kfree(a);
}

static void account_close(struct faasin_account *a)
{
	a->closed = true;
	if (list_empty(&a->channels))
		account_settle(a);
}

static struct faasin_account *account_new(struct faasin_port *src, struct faasin_port *dst)
{
	struct faasin_account *a = kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);

	if (!a)
		return NULL;
	a->src = src;
	a->dst = dst;
	INIT_LIST_HEAD(&a->channels);
	list_add(&a->by_workflow, &src->stage->workflow->accounts.accounts);
	list_add(&a->by_source, &src->stage->sent.accounts);
	list_add(&a->by_destination, &dst->stage->received.accounts);
	return a;
}

/* Under faasin_tree_sem: is there a link now? */
static bool account_linked(const struct faasin_account *a)
{
	return faasin_link_between(a->src, a->dst);
}

/**
 * faasin_ledger_init() - a ledger without accounts
 * @ledger: zeroed
 */
void faasin_ledger_init(struct faasin_ledger *ledger)
{
	INIT_LIST_HEAD(&ledger->accounts);
}

/**
 * faasin_account_open() - a link is made: its channel joins its ports' account
 * @ch: channel
 *
 * Called under faasin_tree_sem, held for writing: both ports are there.
 *
 * Return: 0 or -ENOMEM.
 */
int faasin_account_open(struct faasin_channel *ch)
{
	struct faasin_workflow *wf = ch->src->stage->workflow;
	struct faasin_account *a, *found = NULL, *oldest = NULL;
	unsigned int peers = 0;
	int err = 0;

	mutex_lock(&wf->accounts_mutex);
	list_for_each_entry(a, &ch->src->stage->sent.accounts, by_source) {
		if (a->src != ch->src || a->closed)
			continue;
		if (a->dst == ch->dst)
			found = a;
		/* What it is linked to now is no memory. */
		if (account_linked(a))
			continue;
		oldest = a;
		peers++;
	}
	if (found) {
		list_move(&found->by_source, &ch->src->stage->sent.accounts);
	} else {
		found = account_new(ch->src, ch->dst);
		if (!found) {
			err = -ENOMEM;
			goto unlock;
		}
		if (peers >= FAASIN_ACCOUNTS_MAX)
			account_close(oldest);
	}
	ch->account = found;
	list_add(&ch->account_entry, &found->channels);
unlock:
	mutex_unlock(&wf->accounts_mutex);
	return err;
}

/**
 * faasin_account_leave() - a channel is about to be freed
 * @ch: channel that nobody has open, without memory; its ports are still held
 *
 * What nobody read of it was dropped.
 */
void faasin_account_leave(struct faasin_channel *ch)
{
	struct faasin_account *a = ch->account;
	struct faasin_workflow *wf;
	struct faasin_stats st;

	if (!a)
		return;
	wf = ch->src->stage->workflow;
	mutex_lock(&wf->accounts_mutex);
	faasin_channel_stats(ch, &st);
	st.v[FAASIN_A_STATS_BYTES_DROPPED] += st.v[FAASIN_A_STATS_BYTES_HELD];
	st.v[FAASIN_A_STATS_BYTES_HELD] = 0;
	st.v[FAASIN_A_STATS_STREAMS_QUEUED] = 0;
	stats_add(&a->past, &st);
	list_del(&ch->account_entry);
	if (a->closed && list_empty(&a->channels))
		account_settle(a);
	mutex_unlock(&wf->accounts_mutex);
}

/**
 * faasin_accounts_close() - a stage goes: nothing is added to its accounts any more
 * @st: dying stage without links
 *
 * Called under faasin_tree_sem, held for writing, while the tree still holds the
 * stages at both ends.
 */
void faasin_accounts_close(struct faasin_stage *st)
{
	struct faasin_workflow *wf = st->workflow;
	struct faasin_account *a, *next;

	mutex_lock(&wf->accounts_mutex);
	list_for_each_entry_safe(a, next, &st->sent.accounts, by_source) {
		a->source_gone = true;
		account_close(a);
	}
	list_for_each_entry_safe(a, next, &st->received.accounts, by_destination)
		account_close(a);
	stats_add(&wf->gone, &st->sent.past);
	mutex_unlock(&wf->accounts_mutex);
}

/**
 * faasin_account_link() - what went between the two ports of a link
 * @ch: the link's channel; faasin_tree_sem held
 * @st: to be filled
 */
void faasin_account_link(struct faasin_channel *ch, struct faasin_stats *st)
{
	struct faasin_workflow *wf = ch->src->stage->workflow;

	memset(st, 0, sizeof(*st));
	mutex_lock(&wf->accounts_mutex);
	account_sum(ch->account, st);
	mutex_unlock(&wf->accounts_mutex);
}

/**
 * faasin_account_stage() - what went out of and into a stage
 * @stage: the stage; faasin_tree_sem held
 * @sent: to be filled with what went out of its outputs
 * @received: to be filled with what went into its inputs
 */
void faasin_account_stage(struct faasin_stage *stage, struct faasin_stats *sent,
			  struct faasin_stats *received)
{
	struct faasin_workflow *wf = stage->workflow;
	const struct faasin_account *a;

	mutex_lock(&wf->accounts_mutex);
	*sent = stage->sent.past;
	list_for_each_entry(a, &stage->sent.accounts, by_source)
		account_sum(a, sent);
	*received = stage->received.past;
	list_for_each_entry(a, &stage->received.accounts, by_destination)
		account_sum(a, received);
	mutex_unlock(&wf->accounts_mutex);
}

/**
 * faasin_account_workflow() - what went between the stages of a workflow
 * @wf: the workflow; faasin_tree_sem held
 * @all: to be filled with all of it
 * @gone: to be filled with what stages sent that were deleted since, a part of @all
 */
void faasin_account_workflow(struct faasin_workflow *wf, struct faasin_stats *all,
			     struct faasin_stats *gone)
{
	const struct faasin_account *a;
	struct faasin_stats st;

	mutex_lock(&wf->accounts_mutex);
	*all = wf->accounts.past;
	*gone = wf->gone;
	list_for_each_entry(a, &wf->accounts.accounts, by_workflow) {
		memset(&st, 0, sizeof(st));
		account_sum(a, &st);
		stats_add(all, &st);
		if (a->source_gone)
			stats_add(gone, &st);
	}
	mutex_unlock(&wf->accounts_mutex);
}
