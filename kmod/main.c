// SPDX-License-Identifier: GPL-2.0
/*
 * FAASIN: pipes between the stages of a serverless workflow.
 */
#include <linux/module.h>

#include "channel.h"
#include "fs.h"
#include "netlink.h"
#include "pool.h"
#include "workflow.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init faasin_init(void)
{
	int err;

	err = faasin_pool_init();
	if (err)
		return err;
	err = faasin_netlink_init();
	if (err)
		goto pool;
	/* Last: a mount may come at once and would outlive a failure after it. */
	err = faasin_fs_init();
	if (err)
		goto netlink;
	return 0;

netlink:
	faasin_netlink_exit();
	faasin_workflow_exit();
pool:
	faasin_pool_exit();
	return err;
}

static void __exit faasin_exit(void)
{
	faasin_netlink_exit();
	faasin_workflow_exit();
	faasin_channels_exit();
	faasin_fs_exit();
	faasin_pool_exit();
}

module_init(faasin_init);
module_exit(faasin_exit);

MODULE_DESCRIPTION("Pipes between the stages of serverless workflows");
MODULE_AUTHOR("FAASIN");
MODULE_LICENSE("GPL");
MODULE_VERSION(FAASIN_VERSION);
