// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl resume */
#include "selection.h"

static int run(struct args *args)
{
	return selection_run_state(args, FAASIN_LINK_STATE_RUNNING);
}

const struct command resume_command = {
	.name = "resume",
	.run = run,
	.args = "WORKFLOW [STAGE[:PORT]]...",
	.help = "Let links go on that are paused or drained",
	.example = "faasctl resume wf1 grep wc",
};
