// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl set */
#include "selection.h"

static const struct option_row options[] = {
	{ 'c', "capacity", "SIZE", "bytes a link holds: 4K to 1G" },
	{ 0 },
};

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(selection_free) struct selection sel = { 0 };
	struct faasctl_error err;
	uint64_t capacity = FAASCTL_UNSET64;
	int id, n, ret;
	size_t i;

	while ((id = args_next(args)) != -1)
		if (id == 'c')
			capacity = parse_size(args);
	n = args_rest(args, 1, -1);
	if (capacity == FAASCTL_UNSET64)
		usage_error(args->command, "nothing to change: give --capacity");
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	ret = selection_read(&sel, ctl, args->argv[0], args->argv + 1, n - 1, &err);
	for (i = 0; !ret && i < sel.n; i++)
		ret = faasctl_link_resize(ctl, args->argv[0], sel.links[i].src,
					  sel.links[i].dst, sel.links[i].generation,
					  capacity, &err);
	if (ret)
		return fail_hint(&err, ENOENT, "see: faasctl show");
	return STATUS_OK;
}

const struct command set_command = {
	.name = "set",
	.run = run,
	.args = "[OPTION]... WORKFLOW [STAGE[:PORT]]...",
	.help = "Change links that are in use: their capacity",
	.example = "faasctl set --capacity 16M wf1 grep wc",
	.options = options,
};
