// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl drain */
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
 * @progress: what goes on is shown
 */
struct wait {
	struct faasctl *ctl;
	const char *workflow;
	const struct selection *sel;
	int64_t ms_left;
	size_t left;
	uint64_t held;
	const struct selected *one;
	bool progress;
};

/* What the callback is told: the wait, and which of its links it is about. */
struct look {
	struct wait *wait;
	const struct selected *link;
	bool gone;
};

static int note(const struct faasctl_link *link, void *arg)
{
	struct look *look = arg;

	look->gone = link->generation != look->link->generation;
	if (look->gone || link->state == FAASIN_LINK_STATE_DRAINED)
		return 0;
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
		struct look look = { .wait = wait, .link = &wait->sel->links[i] };

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
}

static int wait_for_all(struct wait *wait)
{
	const char *why = "interrupted";
	struct faasctl_error err;
	int ret;

	for (;;) {
		ret = look_at_all(wait, &err);
		show_progress(wait, ret || !wait->left);
		if (ret)
			return fail(&err);
		if (!wait->left)
			return STATUS_OK;
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
	fprintf(stderr, "faasctl: %s: \"%s\" to \"%s\"%s still drains; wait again, or: faasctl resume %s\n",
		why, wait->one->src, wait->one->dst,
		wait->left > 1 ? ", for one," : "", wait->workflow);
	return STATUS_REFUSED;
}

static int run(struct args *args)
{
	_cleanup_(ctl_closep) struct faasctl *ctl = NULL;
	_cleanup_(selection_free) struct selection sel = { 0 };
	struct wait wait = { .ms_left = -1, .sel = &sel };
	bool no_wait = false;
	int id, status;

	while ((id = args_next(args)) != -1) {
		if (id == 'n')
			no_wait = true;
		else if (id == 't')
			wait.ms_left = parse_seconds(args, 0, 1000000);
	}
	status = selection_set_state(&sel, args, FAASIN_LINK_STATE_DRAINING, &ctl);
	if (status != STATUS_OK || no_wait)
		return status;
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
