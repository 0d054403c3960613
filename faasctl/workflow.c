// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl workflow add, del and show */
#include <jansson.h>

#include "tool.h"

static const struct option_row add_options[] = {
	{ 'g', "cgroup", "PATH", "the cgroup that pays; default: faasin/WORKFLOW, created" },
	{ 'u', "uncharged", NULL, "let nobody pay for its memory" },
	{ 'x', "exclusive", NULL, "fail if it exists" },
	{ 0 },
};

static int exists(const struct faasctl_workflow *workflow, void *arg)
{
	(void)workflow;
	*(bool *)arg = true;
	return 0;
}

static int add(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(closep) int fd = -1;
	const char *cgroup = NULL, *name;
	struct faasctl_error err;
	unsigned int flags = 0;
	bool existed = false;
	int id;

	while ((id = args_next(args)) != -1) {
		if (id == 'g')
			cgroup = args->value;
		else if (id == 'u')
			flags |= FAASCTL_UNCHARGED;
		else if (id == 'x')
			flags |= FAASCTL_EXCLUSIVE;
	}
	args_rest(args, 1, 1);
	name = args->argv[0];
	if (cgroup && flags & FAASCTL_UNCHARGED)
		usage_error(args->command,
			    "--cgroup and --uncharged exclude each other");
	if (faasctl_name_check("workflow", name, &err) ||
	    faasctl_open(&ctl, &err))
		return fail(&err);
	if (cgroup)
		fd = faasctl_cgroup_open(cgroup, &err);
	else if (flags & FAASCTL_UNCHARGED)
		warn_uncharged(name);
	else
		fd = faasctl_cgroup_default(name, NULL, &err);
	if (fd < 0 && !(flags & FAASCTL_UNCHARGED))
		return fail(&err);
	if (!faasctl_workflow_add(ctl, name, fd, flags, &err))
		return STATUS_OK;
	/* Leave everything as it was: no cgroup for what does not exist. */
	faasctl_workflow_each(ctl, name, exists, &existed, NULL);
	if (!cgroup && !existed)
		faasctl_cgroup_remove(name, NULL, NULL);
	return fail(&err);
}

/**
 * struct leftovers - default cgroups that a workflow's stages leave behind
 * @names: the stages, '\n' after each
 * @len: length of @names
 * @failed: there was no memory for it
 */
struct leftovers {
	char *names;
	size_t len;
	bool failed;
};

static int note_stage(const struct faasctl_stage *stage, void *arg)
{
	struct leftovers *left = arg;
	size_t n = strlen(stage->name);
	char *names = realloc(left->names, left->len + n + 1);

	if (!names) {
		left->failed = true;
		return 0;
	}
	memcpy(names + left->len, stage->name, n);
	names[left->len + n] = '\0';
	left->names = names;
	left->len += n + 1;
	return 0;
}

static int del(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct leftovers left = { 0 };
	struct faasctl_error err;
	const char *workflow;
	size_t i;
	int ret;

	while (args_next(args) != -1)
		;
	args_rest(args, 1, 1);
	workflow = args->argv[0];
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	faasctl_stage_each(ctl, workflow, NULL, note_stage, &left, NULL);
	ret = faasctl_workflow_del(ctl, workflow, 0, &err);
	/* The default cgroups are this tool's; those in use stay. */
	for (i = 0; !ret && i < left.len; i += strlen(left.names + i) + 1)
		faasctl_cgroup_remove(workflow, left.names + i, NULL);
	free(left.names);
	if (ret)
		return fail_hint(&err, ENOENT, "see: faasctl show");
	faasctl_cgroup_remove(workflow, NULL, NULL);
	return STATUS_OK;
}

static const struct option_row show_options[] = {
	{ 'j', "json", NULL, "print JSON" },
	{ 0 },
};

static int show_table(const struct faasctl_workflow *workflow, void *arg)
{
	(void)arg;
	print_workflow(workflow);
	return 0;
}

static int show_json(const struct faasctl_workflow *workflow, void *arg)
{
	json_array_append_new(arg, json_workflow(workflow));
	return 0;
}

static int show(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;
	json_t *list = NULL;
	bool json;
	int ret;

	json = args_json(args);
	args_rest(args, 0, 1);
	if (json)
		list = json_array();
	ret = faasctl_open(&ctl, &err);
	if (!ret)
		ret = faasctl_workflow_each(ctl, args->argv[0],
					    list ? show_json : show_table,
					    list, &err);
	if (ret) {
		json_decref(list);
		return fail_hint(&err, ctl ? ENOENT : 0, "see: faasctl show");
	}
	return list ? json_print(json_pack("{s:o}", "workflows", list)) :
	       finish_output();
}

static const struct command add_command = {
	.name = "workflow add",
	.run = add,
	.args = "[OPTION]... WORKFLOW",
	.help = "Create a workflow",
	.example = "faasctl workflow add wf1",
	.options = add_options,
};

static const struct command del_command = {
	.name = "workflow del",
	.run = del,
	.args = "WORKFLOW",
	.help = "Delete a workflow with its stages and links",
	.example = "faasctl workflow del wf1",
};

static const struct command show_command_ = {
	.name = "workflow show",
	.run = show,
	.args = "[OPTION]... [WORKFLOW]",
	.help = "Show workflows without what is in them",
	.example = "faasctl workflow show wf1",
	.options = show_options,
};

static const struct command *const subs[] = {
	&add_command,
	&del_command,
	&show_command_,
	NULL,
};

const struct command workflow_command = {
	.name = "workflow",
	.args = "add|del|show [ARGUMENT]...",
	.help = "Create, delete or show workflows",
	.example = "faasctl workflow add --cgroup /sys/fs/cgroup/tenant1 wf1",
	.subs = subs,
};
