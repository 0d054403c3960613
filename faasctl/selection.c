// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which links a command is about: selection.h. */
#include "selection.h"

static int add(const struct faasctl_link *link, void *arg)
{
	struct selection *sel = arg;
	struct selected *links, *one;

	links = reallocarray(sel->links, sel->n + 1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	sel->links = links;
	one = &links[sel->n++];
	snprintf(one->src, sizeof(one->src), "%.63s:%.63s", link->src_stage,
		 link->src_port);
	snprintf(one->dst, sizeof(one->dst), "%.63s:%.63s", link->dst_stage,
		 link->dst_port);
	one->generation = link->generation;
	return 0;
}

/* The output that a stage in the middle of a chain is left by. */
static const char *output_of(const char *end, struct text *stage)
{
	snprintf(stage->s, sizeof(stage->s), "%.*s", (int)strcspn(end, ":"), end);
	return stage->s;
}

/* Is the link that was added last the one to that end? */
static int check_end(const struct selection *sel, const char *src, const char *end,
		     struct faasctl_error *err)
{
	const char *to = sel->links[sel->n - 1].dst;
	char want[2 * (FAASIN_NAME_MAX + 1) + sizeof(":" FAASIN_PORT_IN)];

	snprintf(want, sizeof(want), "%.127s%s", end,
		 strchr(end, ':') ? "" : ":" FAASIN_PORT_IN);
	if (!strcmp(to, want))
		return 0;
	err->code = ENOENT;
	snprintf(err->message, sizeof(err->message),
		 "\"%s\" is not linked to \"%s\" but to \"%s\"", src, end, to);
	return -ENOENT;
}

/*
 * Without ends, all links of the workflow; with one, what that leads to; with several, the
 * links between them, if all of these exist.
 */
int selection_read(struct selection *sel, struct faasctl *ctl,
		   const char *workflow, char **ends, int n_ends,
		   struct faasctl_error *err)
{
	struct text stage = { 0 };
	const char *src;
	int i = 0, ret;

	*sel = (struct selection){ 0 };
	do {
		src = !n_ends ? NULL : i ? output_of(ends[i], &stage) : ends[i];
		ret = i + 1 < n_ends ? faasctl_end_check(ends[i + 1], err) : 0;
		if (!ret)
			ret = faasctl_link_each(ctl, workflow, src, add, sel, err);
		if (ret == -ENOMEM)
			error_memory(err);
		if (!ret && i + 1 < n_ends)
			ret = check_end(sel, src, ends[i + 1], err);
	} while (!ret && ++i + 1 < n_ends);
	return ret;
}

/* The links that the words name. */
int selection_open(struct selection *sel, struct args *args, struct faasctl **ctl,
		   struct faasctl_error *err)
{
	int n = args_rest(args, 1, -1), ret = faasctl_open(ctl, err);

	return ret ?: selection_read(sel, *ctl, args->argv[0], args->argv + 1, n - 1, err);
}

/* Sets the state of the link with that number. */
int selection_tell(struct selection *sel, size_t i, const char *workflow, uint32_t state,
		   struct faasctl *ctl, struct faasctl_error *err)
{
	struct selected *link = &sel->links[i];

	link->told = true;
	return faasctl_link_set_state(ctl, workflow, link->src, link->dst, link->generation,
				      state, err);
}

/* Sets the state of all links that the words name. Their connection stays open, in *@ctl. */
int selection_set_state(struct selection *sel, struct args *args, uint32_t state,
			struct faasctl **ctl)
{
	struct faasctl_error err;
	size_t i;
	int ret;

	ret = selection_open(sel, args, ctl, &err);
	for (i = 0; !ret && i < sel->n; i++)
		ret = selection_tell(sel, i, args->argv[0], state, *ctl, &err);
	return ret ? fail_hint(&err, ENOENT, "see: faasctl show") : STATUS_OK;
}

/* All that a command without options does that sets a state. */
int selection_run_state(struct args *args, uint32_t state)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(selection_free) struct selection sel = { 0 };

	while (args_next(args) != -1)
		;
	return selection_set_state(&sel, args, state, &ctl);
}
