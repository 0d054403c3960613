// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl show */
#include <jansson.h>

#include "tool.h"

static const struct option_row options[] = {
	{ 'j', "json", NULL, "print JSON" },
	{ 0 },
};

/**
 * struct view - what the callbacks share
 * @ctl: the handle
 * @err: where errors go
 * @list: JSON to add workflows to, or NULL
 * @stages: of the present workflow
 * @links: of the present workflow
 * @any: something was printed before
 */
struct view {
	struct faasctl *ctl;
	struct faasctl_error *err;
	json_t *list;
	json_t *stages;
	json_t *links;
	bool any;
};

static int show_stage(const struct faasctl_stage *stage, void *arg)
{
	struct view *view = arg;

	if (view->list)
		json_array_append_new(view->stages, json_stage(stage));
	else
		print_stage(stage);
	return 0;
}

static int show_link(const struct faasctl_link *link, void *arg)
{
	struct view *view = arg;

	if (view->list)
		json_array_append_new(view->links, json_link(link));
	else
		print_link(link);
	return 0;
}

static int show_workflow(const struct faasctl_workflow *workflow, void *arg)
{
	struct view *view = arg;
	json_t *json = NULL;
	int ret;

	if (view->list) {
		json = json_workflow(workflow);
		view->stages = json_array();
		view->links = json_array();
		json_object_set_new(json, "stages", view->stages);
		json_object_set_new(json, "links", view->links);
		json_array_append_new(view->list, json);
	} else {
		if (view->any)
			putchar('\n');
		print_workflow(workflow);
	}
	view->any = true;
	ret = faasctl_stage_each(view->ctl, workflow->name, NULL, show_stage,
				 view, view->err);
	if (!ret)
		ret = faasctl_link_each(view->ctl, workflow->name, NULL,
					show_link, view, view->err);
	/* Deleted since the list was made. */
	return ret == -ENOENT ? 0 : ret;
}

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;
	struct view view = { .err = &err };
	bool json;
	int ret;

	json = args_json(args);
	args_rest(args, 0, 1);
	if (json)
		view.list = json_array();
	ret = faasctl_open(&ctl, &err);
	view.ctl = ctl;
	if (!ret)
		ret = faasctl_workflow_each(ctl, args->argv[0], show_workflow,
					    &view, &err);
	if (ret) {
		json_decref(view.list);
		return fail_hint(&err, ctl ? ENOENT : 0, "see: faasctl show");
	}
	return view.list ?
	       json_print(json_pack("{s:o}", "workflows", view.list)) :
	       finish_output();
}

const struct command show_command = {
	.name = "show",
	.run = run,
	.args = "[OPTION]... [WORKFLOW]",
	.help = "Show workflows, stages, links and what went through them",
	.example = "faasctl show wf1",
	.options = options,
};
