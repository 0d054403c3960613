// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl unlink */
#include "tool.h"

static int name_end(const struct faasctl_link *link, void *arg)
{
	struct text *end = arg;

	snprintf(end->s, sizeof(end->s), "%s:%s", link->dst_stage,
		 link->dst_port);
	return 0;
}

/* The output that a stage in the middle of a chain is left by. */
static const char *output_of(const char *end, struct text *stage)
{
	snprintf(stage->s, sizeof(stage->s), "%.*s",
		 (int)strcspn(end, ":"), end);
	return stage->s;
}

/* All of the chain exists, or nothing of it is deleted. */
static int check(struct faasctl *ctl, const char *workflow, char **ends, int n,
		 struct faasctl_error *err)
{
	char want[2 * (FAASIN_NAME_MAX + 1) + sizeof(":" FAASIN_PORT_IN)];
	struct text stage, to;
	const char *src;
	int i, ret;

	for (i = 0; i + 1 < n; i++) {
		src = i ? output_of(ends[i], &stage) : ends[i];
		ret = faasctl_end_check(ends[i + 1], err);
		if (!ret)
			ret = faasctl_link_each(ctl, workflow, src, name_end,
						&to, err);
		if (ret)
			return ret;
		snprintf(want, sizeof(want), "%.127s%s", ends[i + 1],
			 strchr(ends[i + 1], ':') ? "" : ":" FAASIN_PORT_IN);
		if (strcmp(to.s, want)) {
			err->code = ENOENT;
			snprintf(err->message, sizeof(err->message),
				 "\"%s\" is not linked to \"%s\" but to \"%s\"",
				 src, ends[i + 1], to.s);
			return -ENOENT;
		}
	}
	return 0;
}

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;
	struct text stage;
	const char *src;
	int ret, n, i;
	char **ends;

	while (args_next(args) != -1)
		;
	n = args_rest(args, 2, -1) - 1;
	ends = args->argv + 1;
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	if (n == 1) {
		ret = faasctl_link_del(ctl, args->argv[0], ends[0], NULL, 0,
				       &err);
	} else {
		ret = check(ctl, args->argv[0], ends, n, &err);
		for (i = 0; !ret && i + 1 < n; i++) {
			src = i ? output_of(ends[i], &stage) : ends[i];
			ret = faasctl_link_del(ctl, args->argv[0], src,
					       ends[i + 1], 0, &err);
		}
	}
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
