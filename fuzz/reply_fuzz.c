// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's answers as libfaasctl takes them apart: listings, single objects,
 * refusals with their texts. The first byte is the command, with its highest bit
 * set for a listing, or HOMELESS; the rest is what is received.
 */
#include "harness.h"

#define LIST		0x80
#define HOMELESS	0x40	/* what the library asks about a stage's cgroup */

static unsigned int sum, objects;

/* Every byte of what a callback is given can be read, and ends. */
static void text(const char *s)
{
	if (s)
		sum += strlen(s);
}

static void name(const char *s)
{
	PROMISE(s, "an object has its names");
	PROMISE(strlen(s) <= FAASIN_NAME_MAX, "no name is longer than names are");
}

static void maybe_name(const char *s)
{
	if (s)
		name(s);
}

static void memory(const void *p, size_t size)
{
	const uint8_t *byte = p;
	size_t i;

	for (i = 0; i < size; i++)
		sum += byte[i];
}

static int workflow(const struct faasctl_workflow *w, void *arg)
{
	objects++;
	memory(w, sizeof(*w));
	name(w->name);
	text(w->cgroup_path);
	return 0;
}

static int stage(const struct faasctl_stage *s, void *arg)
{
	size_t i;

	objects++;
	memory(s, sizeof(*s));
	name(s->workflow);
	name(s->name);
	text(s->cgroup_path);
	PROMISE(s->n_ports <= FAASIN_PORTS_MAX, "no stage has too many ports");
	for (i = 0; i < s->n_ports; i++) {
		memory(&s->ports[i], sizeof(s->ports[i]));
		name(s->ports[i].name);
		maybe_name(s->ports[i].peer_stage);
		maybe_name(s->ports[i].peer_port);
	}
	return 0;
}

static int link_(const struct faasctl_link *l, void *arg)
{
	objects++;
	memory(l, sizeof(*l));
	name(l->workflow);
	name(l->src_stage);
	name(l->src_port);
	name(l->dst_stage);
	name(l->dst_port);
	maybe_name(l->last.stage);
	text(l->last.comm);
	return 0;
}

static int call(struct faasctl *ctl, uint8_t what, struct faasctl_error *err)
{
	const char *wf = what & LIST ? NULL : "wf1";
	struct faasctl_info info;
	int ret;

	switch (what & ~LIST) {
	case FAASIN_CMD_WORKFLOW_GET:
		return faasctl_workflow_each(ctl, wf, workflow, NULL, err);
	case FAASIN_CMD_WORKFLOW_NEW:
		return faasctl_workflow_add(ctl, "wf1", 0, 0, err);
	case FAASIN_CMD_WORKFLOW_DEL:
		return faasctl_workflow_del(ctl, "wf1", 1, err);
	case FAASIN_CMD_STAGE_GET:
		return faasctl_stage_each(ctl, wf, wf ? "a" : NULL, stage, NULL,
					  err);
	case FAASIN_CMD_STAGE_NEW:
		return faasctl_stage_add(ctl, "wf1", "a", NULL, err);
	case FAASIN_CMD_STAGE_DEL:
		return faasctl_stage_del(ctl, "wf1", "a", 0, err);
	case FAASIN_CMD_LINK_GET:
		return faasctl_link_each(ctl, wf, wf ? "a" : NULL, link_, NULL,
					 err);
	case FAASIN_CMD_LINK_NEW:
		return faasctl_link_add(ctl, "wf1", "a", "b", NULL, err);
	case FAASIN_CMD_LINK_DEL:
		return faasctl_link_del(ctl, "wf1", "a", "b", 1, err);
	case FAASIN_CMD_STAGE_REPLACE:
		return faasctl_stage_replace(ctl, "wf1", "a", 1, -1, err);
	case FAASIN_CMD_LINK_SET:
		return faasctl_link_resize(ctl, "wf1", "a", "b", 1, 4096, err);
	case HOMELESS:
		ret = faasctl_stage_homeless(ctl, "wf1", "a", err);
		return ret < 0 ? ret : 0;
	}
	ret = faasctl_info_get(ctl, &info, err);
	if (!ret) {
		memory(&info, sizeof(info));
		text(info.version);
	}
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	uint8_t what = bytes_u8(&in);
	struct faasctl_error err = { 0 };
	struct faasctl *ctl;
	int ret;

	harness_answers(in);
	ctl = harness_handle();
	objects = 0;
	ret = call(ctl, what, &err);
	if (ret)
		harness_check_error(&err, ret);
	else if (what == FAASIN_CMD_WORKFLOW_GET || what == FAASIN_CMD_STAGE_GET ||
		 what == FAASIN_CMD_LINK_GET)
		PROMISE(objects, "who asks for an object and succeeds is given it");
	faasctl_close(ctl);
	return 0;
}
