// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl stage add, del and show */
#include <jansson.h>

#include "tool.h"

static const struct option_row add_options[] = {
	{ 'g', "cgroup", "PATH", "who may open its ports; default: faasin/WORKFLOW/STAGE" },
	{ 'U', "uid", "UID", "owner of its ports" },
	{ 'G', "gid", "GID", "group of its ports" },
	{ 'm', "mode", "MODE", "permission bits of its ports, octal; default 0666" },
	{ 'p', "port", "NAME:in|out", "a port besides faasin and faasout; may be repeated" },
	{ 'x', "exclusive", NULL, "fail if it exists" },
	{ 0 },
};

static bool parse_port(char *text, struct faasctl_port_spec *port)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return false;
	if (!strcmp(colon, ":in"))
		port->direction = FAASIN_DIRECTION_IN;
	else if (!strcmp(colon, ":out"))
		port->direction = FAASIN_DIRECTION_OUT;
	else
		return false;
	*colon = '\0';
	port->name = text;
	return true;
}

static int add_stage(const struct args *args,
		     struct faasctl_stage_options *stage, const char *cgroup)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(closep) int fd = -1;
	const char *workflow = args->argv[0], *name = args->argv[1];
	struct faasctl_error err;
	int homeless;

	if (faasctl_name_check("workflow", workflow, &err) ||
	    faasctl_name_check("stage", name, &err) || faasctl_open(&ctl, &err))
		return fail(&err);
	homeless = faasctl_stage_homeless(ctl, workflow, name, &err);
	/* Bound anew, it may have been anywhere. */
	if (homeless < 0 && homeless != -ENOENT && !(cgroup && homeless == -ENODEV))
		return fail(&err);
	if (cgroup) {
		fd = faasctl_cgroup_open(cgroup, &err);
		if (fd < 0)
			return fail(&err);
	} else if (homeless == 1 ||
		   (homeless == -ENOENT &&
		    !faasctl_workflow_each(ctl, workflow, NULL, NULL, NULL))) {
		/* A container runtime removes the cgroup with the container. */
		/* Without cgroup v2, --uncharged workflows still have stages. */
		fd = faasctl_cgroup_default(workflow, name, &err);
		if (fd < 0 && fd != -ENOENT)
			return fail(&err);
	}
	stage->cgroup_fd = fd < 0 ? -1 : fd;
	if (!faasctl_stage_add(ctl, workflow, name, stage, &err))
		return STATUS_OK;
	if (!cgroup && fd >= 0)
		faasctl_cgroup_remove(workflow, name, NULL);
	return fail_hint(&err, ENOENT, "create it with: faasctl workflow add %s",
			 workflow);
}

static int add(struct args *args)
{
	struct faasctl_stage_options stage = FAASCTL_STAGE_OPTIONS_INIT;
	struct faasctl_port_spec ports[FAASIN_PORTS_MAX];
	const char *cgroup = NULL;
	int id;

	stage.ports = ports;
	while ((id = args_next(args)) != -1) {
		switch (id) {
		case 'g':
			cgroup = args->value;
			break;
		case 'U':
			stage.uid = parse_u32(args, UINT32_MAX - 1, 10);
			break;
		case 'G':
			stage.gid = parse_u32(args, UINT32_MAX - 1, 10);
			break;
		case 'm':
			stage.mode = parse_u32(args, 0777, 8);
			break;
		case 'p':
			if (stage.n_ports == ARRAY_SIZE(ports))
				usage_error(args->command,
					    "a stage has at most %d ports",
					    FAASIN_PORTS_MAX);
			if (!parse_port(optarg, &ports[stage.n_ports++]))
				usage_error(args->command,
					    "port \"%s\" has no direction: write NAME:in or NAME:out",
					    args->value);
			break;
		case 'x':
			stage.flags |= FAASCTL_EXCLUSIVE;
			break;
		}
	}
	args_rest(args, 2, 2);
	return add_stage(args, &stage, cgroup);
}

static int del(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	struct faasctl_error err;

	while (args_next(args) != -1)
		;
	args_rest(args, 2, 2);
	if (faasctl_open(&ctl, &err))
		return fail(&err);
	if (faasctl_stage_del(ctl, args->argv[0], args->argv[1], 0, &err))
		return fail_hint(&err, ENOENT, "see: faasctl show");
	/* The default cgroup is this tool's; one in use stays. */
	faasctl_cgroup_remove(args->argv[0], args->argv[1], NULL);
	return STATUS_OK;
}

static const struct option_row show_options[] = {
	{ 'j', "json", NULL, "print JSON" },
	{ 0 },
};

static int show_table(const struct faasctl_stage *stage, void *arg)
{
	char *workflow = arg;

	/* Those of a workflow come together. */
	if (strcmp(workflow, stage->workflow)) {
		strcpy(workflow, stage->workflow);
		printf("workflow %s%s%s\n", bold(), workflow, plain());
	}
	print_stage(stage);
	return 0;
}

static int show_json(const struct faasctl_stage *stage, void *arg)
{
	json_array_append_new(arg, json_stage(stage));
	return 0;
}

static int show(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	char workflow[FAASIN_NAME_MAX + 1] = "";
	struct faasctl_error err;
	json_t *list = NULL;
	bool json;
	int n, ret;

	json = args_json(args);
	n = args_rest(args, 0, 2);
	if (json)
		list = json_array();
	ret = faasctl_open(&ctl, &err);
	/* A filter that matches nothing is not an error to the kernel. */
	if (!ret && n)
		ret = faasctl_workflow_each(ctl, args->argv[0], NULL, NULL,
					    &err);
	if (!ret)
		ret = faasctl_stage_each(ctl, args->argv[0],
					 n == 2 ? args->argv[1] : NULL,
					 list ? show_json : show_table,
					 list ? (void *)list : workflow, &err);
	if (ret) {
		json_decref(list);
		return fail_hint(&err, ctl ? ENOENT : 0, "see: faasctl show");
	}
	return list ? json_print(json_pack("{s:o}", "stages", list)) :
	       finish_output();
}

static const struct command add_command = {
	.name = "stage add",
	.run = add,
	.args = "[OPTION]... WORKFLOW STAGE",
	.help = "Create a stage, or change one",
	.example = "faasctl stage add --cgroup /faasin/wf1/grep --port errors:out wf1 grep",
	.options = add_options,
};

static const struct command del_command = {
	.name = "stage del",
	.run = del,
	.args = "WORKFLOW STAGE",
	.help = "Delete a stage with its links",
	.example = "faasctl stage del wf1 grep",
};

static const struct command show_command_ = {
	.name = "stage show",
	.run = show,
	.args = "[OPTION]... [WORKFLOW [STAGE]]",
	.help = "Show stages and their ports",
	.example = "faasctl stage show wf1 grep",
	.options = show_options,
};

static const struct command *const subs[] = {
	&add_command,
	&del_command,
	&show_command_,
	NULL,
};

const struct command stage_command = {
	.name = "stage",
	.args = "add|del|show [ARGUMENT]...",
	.help = "Create, change, delete or show stages",
	.example = "faasctl stage add wf1 grep",
	.subs = subs,
};
