/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accounts: what went from an output to an input, over all the links that the two
 * ever had. A link's counters are its account's: they go on where those of the
 * last link between the same ports stopped.
 *
 * An account is open while both stages exist and the output remembers it, which
 * it does of its FAASIN_ACCOUNTS_MAX newest peers. A closed one stays until the
 * last of its channels is gone (open files hold those) and is then added to what
 * its stages and its workflow have passed on. So sums never go back: those of
 * ports while the account is open, of a stage while it exists, of a workflow
 * while it exists.
 *
 * Lock: workflow->accounts_mutex guards all lists and sums here. It is taken
 * under faasin_tree_sem or without it; channel->lock nests in it. Nothing waits
 * for a user while it holds it.
 */
#ifndef _FAASIN_ACCOUNT_H
#define _FAASIN_ACCOUNT_H

#include <linux/list.h>
#include <linux/types.h>

#include "uapi/faasin.h"

struct faasin_channel;
struct faasin_port;
struct faasin_stage;
struct faasin_workflow;

/**
 * struct faasin_stats - statistics, indexed by FAASIN_A_STATS_*
 * @v: values
 */
struct faasin_stats {
	u64 v[__FAASIN_A_STATS_MAX];
};

/**
 * struct faasin_account - what went from one port to another
 * @src: the output; an open account's tree, a closed one's channels hold it
 * @dst: the input, likewise
 * @closed: no new channel is added
 * @source_gone: the stage of @src was deleted
 * @channels: those that are not freed yet
 * @past: sums of those that are
 * @by_workflow: in the workflow's ledger
 * @by_source: in the ledger of what the source's stage sent, newest first
 * @by_destination: in the ledger of what the destination's stage received
 */
struct faasin_account {
	struct faasin_port *src;
	struct faasin_port *dst;
	bool closed;
	bool source_gone;
	struct list_head channels;
	struct faasin_stats past;
	struct list_head by_workflow;
	struct list_head by_source;
	struct list_head by_destination;
};

/**
 * struct faasin_ledger - accounts that are added up
 * @accounts: those there are
 * @past: sums of those that are gone
 */
struct faasin_ledger {
	struct list_head accounts;
	struct faasin_stats past;
};

void faasin_ledger_init(struct faasin_ledger *ledger);

int faasin_account_open(struct faasin_channel *ch);
void faasin_account_leave(struct faasin_channel *ch);
void faasin_accounts_close(struct faasin_stage *st);

void faasin_account_link(struct faasin_channel *ch, struct faasin_stats *st);
void faasin_account_stage(struct faasin_stage *stage, struct faasin_stats *sent,
			  struct faasin_stats *received);
void faasin_account_workflow(struct faasin_workflow *wf, struct faasin_stats *all,
			     struct faasin_stats *gone);

#endif /* _FAASIN_ACCOUNT_H */
