// SPDX-License-Identifier: LGPL-2.1-or-later
/* faasctl pause */
#include "selection.h"

static int run(struct args *args)
{
	return selection_run_state(args, FAASIN_LINK_STATE_PAUSED);
}

const struct command pause_command = {
	.name = "pause",
	.run = run,
	.args = "WORKFLOW [STAGE[:PORT]]...",
	.help = "Hold links: no byte goes in or out until they are resumed",
	.example = "faasctl pause wf1 grep wc",
};
