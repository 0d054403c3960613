// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl unlink */
#include "selection.h"

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(selection_free) struct selection sel = { 0 };
	struct faasctl_error err;
	size_t i;
	int ret, n;

	while (args_next(args) != -1)
		;
	n = args_rest(args, 2, -1);
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	/* All of the chain exists, or nothing of it is deleted. */
	ret = selection_read(&sel, ctl, args->argv[0], args->argv + 1, n - 1, &err);
	for (i = 0; !ret && i < sel.n; i++)
		ret = faasctl_link_del(ctl, args->argv[0], sel.links[i].src,
				       sel.links[i].dst, 0, &err);
	if (ret)
		return fail_hint(&err, ENOENT, "see: faasctl show");
	return STATUS_OK;
}

const struct command unlink_command = {
	.name = "unlink",
	.run = run,
	.args = "WORKFLOW STAGE[:PORT] [STAGE[:PORT]]...",
	.help = "Delete links: what a stage writes to, or a whole chain",
	.example = "faasctl unlink wf1 grep wc",
};
