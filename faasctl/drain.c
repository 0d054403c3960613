// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * faasctl drain. It goes downstream: a stage may need to begin streams for what comes in, so
 * its outputs are told to drain when its inputs are drained.
 */
#include "selection.h"
#include "stop.h"

/* Between two looks. Nothing tells when the last byte was read. */
#define LOOK_MS		100

static const struct option_row options[] = {
	{ 'n', "no-wait", NULL, "do not wait until they are drained" },
	{ 't', "timeout", "SECONDS", "wait no longer than that" },
	{ 0 },
};

/**
 * struct wait - waiting for links to be drained
 * @ctl: the handle
 * @workflow: theirs
 * @sel: they
 * @ms_left: how long, or -1 for as long as it takes
 * @left: how many are not drained yet
 * @held: bytes that these hold
 * @one: one of them
 * @resumed: that one was told something else meanwhile
 * @progress: what goes on is shown
 */
struct wait {
	struct faasctl *ctl;
	const char *workflow;
	struct selection *sel;
	int64_t ms_left;
	size_t left;
	uint64_t held;
	const struct selected *one;
	bool resumed;
	bool progress;
};

/* What the callback is told: the wait, and which of its links it is about. */
struct look {
	struct wait *wait;
	struct selected *link;
	bool gone;
};

static size_t stage_length(const char *end)
{
	return strcspn(end, ":");
}

/* Does one of the links that are not drained lead to where this one begins? */
static bool is_fed(const struct selection *sel, const struct selected *link)
{
	size_t i, n = stage_length(link->src);

	for (i = 0; i < sel->n; i++)
		if (!sel->links[i].done && stage_length(sel->links[i].dst) == n &&
		    !strncmp(sel->links[i].dst, link->src, n))
			return true;
	return false;
}

/* Tells those to drain that nothing more comes to; in a circle, all that are left. */
static int tell_next(struct wait *wait, struct faasctl_error *err)
{
	struct selection *sel = wait->sel;
	bool under_way = false, all;
	size_t i;
	int ret;

	for (i = 0; i < sel->n; i++)
		under_way |= sel->links[i].told && !sel->links[i].done;
	for (all = false; ; all = true) {
		for (i = 0; i < sel->n; i++) {
			if (sel->links[i].told || (!all && is_fed(sel, &sel->links[i])))
				continue;
			ret = selection_tell(sel, i, wait->workflow, FAASIN_LINK_STATE_DRAINING,
					     wait->ctl, err);
			if (ret)
				return ret;
			under_way = true;
		}
		if (under_way || all)
			return 0;
	}
}

static int note(const struct faasctl_link *link, void *arg)
{
	struct look *look = arg;

	if (link->generation != look->link->generation)
		return 0;
	look->gone = false;
	look->link->done = look->link->told &&
			   link->state == FAASIN_LINK_STATE_DRAINED;
	if (look->link->done || look->wait->resumed)
		return 0;
	look->wait->resumed = look->link->told && link->state != FAASIN_LINK_STATE_DRAINING;
	look->wait->left++;
	look->wait->held += link->stats.bytes_held;
	look->wait->one = look->link;
	return 0;
}

/* How far all of them are. A link that was deleted has nothing left, but was not drained. */
static int look_at_all(struct wait *wait, struct faasctl_error *err)
{
	size_t i;
	int ret;

	wait->left = 0;
	wait->held = 0;
	for (i = 0; i < wait->sel->n; i++) {
		struct look look = { .wait = wait, .link = &wait->sel->links[i], .gone = true };

		ret = faasctl_link_each(wait->ctl, wait->workflow, look.link->src,
					note, &look, err);
		if (ret)
			return ret;
		if (!look.gone)
			continue;
		err->code = ENOENT;
		snprintf(err->message, sizeof(err->message),
			 "the link from \"%s\" was deleted before it was drained",
			 look.link->src);
		return -ENOENT;
	}
	return 0;
}

static void show_progress(const struct wait *wait, bool last)
{
	if (!wait->progress)
		return;
	if (last)
		fputs("\r\033[K", stderr);
	else
		fprintf(stderr, "\r\033[Kdraining: %zu of %zu links to go, %s held",
			wait->left, wait->sel->n, text_bytes(wait->held).s);
	fflush(stderr);
}

static int wait_for_all(struct wait *wait)
{
	const char *why = "interrupted";
	struct faasctl_error err;
	int ret;

	for (;;) {
		ret = tell_next(wait, &err);
		if (!ret)
			ret = look_at_all(wait, &err);
		show_progress(wait, ret || !wait->left);
		if (ret)
			return fail_hint(&err, ENOENT, "see: faasctl show");
		if (!wait->left)
			return STATUS_OK;
		if (wait->resumed) {
			why = "resumed or paused meanwhile";
			break;
		}
		if (!wait->ms_left) {
			why = "not drained in time";
			break;
		}
		if (!stop_wait(wait->ms_left < 0 || wait->ms_left > LOOK_MS ?
			       LOOK_MS : wait->ms_left))
			break;
		if (wait->ms_left > 0)
			wait->ms_left -= wait->ms_left < LOOK_MS ? wait->ms_left : LOOK_MS;
	}
	show_progress(wait, true);
	fprintf(stderr, "faasctl: %s: \"%s\" to \"%s\"%s is not drained; drain again, or: faasctl resume %s\n",
		why, wait->one->src, wait->one->dst,
		wait->left > 1 ? ", for one," : "", wait->workflow);
	return STATUS_REFUSED;
}

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(selection_free) struct selection sel = { 0 };
	struct wait wait = { .ms_left = -1, .sel = &sel };
	struct faasctl_error err;
	bool no_wait = false;
	int id;

	while ((id = args_next(args)) != -1) {
		if (id == 'n')
			no_wait = true;
		else if (id == 't')
			wait.ms_left = parse_seconds(args, 0, 1000000);
	}
	if (no_wait)
		return selection_set_state(&sel, args, FAASIN_LINK_STATE_DRAINING, &ctl);
	if (selection_open(&sel, args, &ctl, &err))
		return fail_hint(&err, ENOENT, "see: faasctl show");
	stop_begin();
	wait.ctl = ctl;
	wait.workflow = args->argv[0];
	wait.progress = isatty(STDERR_FILENO);
	return wait_for_all(&wait);
}

const struct command drain_command = {
	.name = "drain",
	.run = run,
	.args = "[OPTION]... WORKFLOW [STAGE[:PORT]]...",
	.help = "Let links run empty: what there is goes through, nothing new begins",
	.example = "faasctl drain --timeout 30 wf1 grep wc",
	.options = options,
};
