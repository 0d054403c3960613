// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl replace */
#include "tool.h"

static const struct option_row options[] = {
	{ 'g', "cgroup", "PATH", "whose members take over; default: those of its present one" },
	{ 0 },
};

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(closep) int cgroup_fd = -1;
	const char *cgroup = NULL;
	struct faasctl_error err;
	int id;

	while ((id = args_next(args)) != -1)
		if (id == 'g')
			cgroup = args->value;
	args_rest(args, 2, 2);
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	if (cgroup) {
		cgroup_fd = faasctl_cgroup_open(cgroup, &err);
		if (cgroup_fd < 0)
			return fail(&err);
	}
	if (faasctl_stage_replace(ctl, args->argv[0], args->argv[1], 0, cgroup_fd, &err))
		return fail_hint(&err, ENOENT, "see: faasctl show");
	return STATUS_OK;
}

const struct command replace_command = {
	.name = "replace",
	.run = run,
	.args = "[OPTION]... WORKFLOW STAGE",
	.help = "Let others take over a stage, in the middle of its streams",
	.example = "faasctl replace --cgroup /faasin/wf1/grep-2 wf1 grep",
	.options = options,
};
