// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl link */
#include "tool.h"

static const struct option_row options[] = {
	LINK_OPTION_ROWS,
	{ 'd', "deal", NULL, "records go to the readers in turn, one each" },
	{ 'm', "merge", "RULE", "how several writers' streams are read: streams, records, turn" },
	{ 'r', "records", NULL, "what one call writes is a record, which is read as one" },
	{ 's', "slow", "RULE", "what becomes of a slow one of several readers: throttle, drop" },
	{ 'x', "exclusive", NULL, "fail if one of the links exists" },
	{ 0 },
};

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_link_options link = FAASCTL_LINK_OPTIONS_INIT;
	struct faasctl_error err;
	int id, n;

	while ((id = args_next(args)) != -1) {
		if (link_option(args, id, &link))
			continue;
		if (id == 'd')
			link.flags |= FAASCTL_DEAL | FAASCTL_RECORDS;
		else if (id == 'm')
			link.merge = parse_word(args, faasctl_merge_name);
		else if (id == 'r')
			link.flags |= FAASCTL_RECORDS;
		else if (id == 's')
			link.slow = parse_word(args, faasctl_slow_name);
		else if (id == 'x')
			link.flags |= FAASCTL_EXCLUSIVE;
	}
	n = args_rest(args, 3, -1);
	/* It is records that are merged. */
	if (link.merge != FAASCTL_UNSET && link.merge != FAASIN_MERGE_STREAMS)
		link.flags |= FAASCTL_RECORDS;
	if (link.flags & FAASCTL_UNCHARGED)
		warn_uncharged(args->argv[0]);
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	if (faasctl_chain_add(ctl, args->argv[0],
			      (const char *const *)args->argv + 1, n - 1, &link,
			      NULL, &err))
		return fail(&err);
	return STATUS_OK;
}

const struct command link_command = {
	.name = "link",
	.run = run,
	.args = "[OPTION]... WORKFLOW STAGE[:PORT] STAGE[:PORT]...",
	.help = "Link stages in a row and create what is missing",
	.example = "faasctl link wf1 grep wc",
	.options = options,
};
