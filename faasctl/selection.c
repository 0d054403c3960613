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

/* The next of a list of ends, with @port if it names none; false at its end. */
static bool list_next(const char **list, const char *port, struct text *end)
{
	int n;

	if (!**list)
		return false;
	n = strcspn(*list, ",");
	snprintf(end->s, sizeof(end->s), "%.*s%s", n, *list,
		 memchr(*list, ':', n) ? "" : port);
	*list += n;
	if (**list)
		(*list)++;
	return true;
}

/* Of the links from @first on, those that lead to the list stay: all of it has to be there. */
static int keep_listed(struct selection *sel, size_t first, const char *src, const char *list,
		       struct faasctl_error *err)
{
	struct selected swap;
	const char *given;
	struct text end;
	size_t i;

	while (given = list, list_next(&list, ":" FAASIN_PORT_IN, &end)) {
		for (i = first; i < sel->n && strcmp(sel->links[i].dst, end.s); i++)
			;
		if (i == sel->n) {
			err->code = ENOENT;
			snprintf(err->message, sizeof(err->message),
				 first < sel->n ?
				 "\"%s\" is not linked to \"%.*s\" but to \"%s\"" :
				 "\"%s\" is not linked to \"%.*s\" besides", src,
				 (int)strcspn(given, ","), given,
				 first < sel->n ? sel->links[first].dst : "");
			return -ENOENT;
		}
		swap = sel->links[first];
		sel->links[first++] = sel->links[i];
		sel->links[i] = swap;
	}
	sel->n = first;
	return 0;
}

static int check_list(const char *list, struct faasctl_error *err)
{
	struct text end;
	int ret = 0;

	if (strchr(list, ',') && (*list == ',' || list[strlen(list) - 1] == ','))
		return faasctl_end_check("", err);
	while (!ret && list_next(&list, "", &end))
		ret = faasctl_end_check(end.s, err);
	return ret;
}

/* The links of an output: all of them or, with a list, those that lead there. */
static int read_one(struct selection *sel, struct faasctl *ctl, const char *workflow,
		    const char *src, const char *list, struct faasctl_error *err)
{
	size_t first = sel->n;
	int ret;

	ret = faasctl_link_each(ctl, workflow, src, add, sel, err);
	if (ret == -ENOMEM)
		error_memory(err);
	return ret || !list ? ret : keep_listed(sel, first, src, list, err);
}

/* Are those from @first on there already? Whatever way their output was written. */
static bool is_twice(const struct selection *sel, size_t first)
{
	size_t i;

	for (i = 0; first < sel->n && i < first; i++)
		if (sel->links[i].generation == sel->links[first].generation)
			return true;
	return false;
}

/* Likewise of each output of a list. */
static int read_several(struct selection *sel, struct faasctl *ctl, const char *workflow,
			const char *srcs, const char *list, struct faasctl_error *err)
{
	struct text src;
	int ret = check_list(srcs, err);
	size_t first;

	while (!ret && list_next(&srcs, "", &src)) {
		first = sel->n;
		ret = read_one(sel, ctl, workflow, src.s, list, err);
		if (!ret && is_twice(sel, first)) {
			err->code = EINVAL;
			snprintf(err->message, sizeof(err->message), "a source is named twice");
			return -EINVAL;
		}
	}
	return ret;
}

/*
 * Without ends, all links of the workflow; with one, what that leads to; with several, the
 * links between them, if all of these exist. The first and the last may be lists.
 */
int selection_read(struct selection *sel, struct faasctl *ctl,
		   const char *workflow, char **ends, int n_ends,
		   struct faasctl_error *err)
{
	struct text stage = { 0 };
	const char *list;
	int i = 0, ret;

	*sel = (struct selection){ 0 };
	if (!n_ends)
		return read_one(sel, ctl, workflow, NULL, NULL, err);
	do {
		list = i + 1 < n_ends ? ends[i + 1] : NULL;
		ret = list ? check_list(list, err) : 0;
		if (!ret && i)
			ret = read_one(sel, ctl, workflow, output_of(ends[i], &stage), list, err);
		else if (!ret)
			ret = read_several(sel, ctl, workflow, ends[0], list, err);
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
