// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that there are.
 */
#include <linux/faasin.h>

#include "call.h"

const struct operation ops[OPS] = {
	{ "netlink", 16, call_netlink, 0,
		{ K_SMALL, K_COMMAND, K_NLFLAGS, K_RARE, K_RARE, K_SMALL } },
	{ "open", 16, call_open, 0, { K_SLOT, K_PATH, K_OPEN } },
	{ "reopen", 2, call_reopen, 0, { K_SLOT, K_SLOT, K_OPEN } },
	{ "read", 10, call_read, 0, { K_SLOT, K_SIZE, K_POINTER } },
	{ "write", 14, call_write, 0, { K_SLOT, K_SIZE, K_POINTER } },
	{ "readv", 4, call_readv, 0, { K_SLOT, K_SIZE, K_POINTER, K_SIZE, K_SMALL, K_RARE } },
	{ "writev", 4, call_writev, 0, { K_SLOT, K_SIZE, K_POINTER, K_SIZE, K_SMALL, K_RARE } },
	{ "pread", 1, call_pread, 0, { K_SLOT, K_SIZE, K_SMALL } },
	{ "poll", 4, call_poll, 0, { K_SLOT, K_SLOT, K_POLL, K_SMALL } },
	{ "epoll", 1, call_epoll, 0, { K_SLOT } },
	{ "epoll_ctl", 2, call_epoll_ctl, 0, { K_SLOT, K_SLOT, K_POLL, K_SMALL, K_SMALL } },
	{ "epoll_wait", 1, call_epoll_wait, 0, { K_SLOT, K_SMALL } },
	{ "ioctl", 24, call_ioctl, 0, { K_SLOT, K_IOCTL, K_POINTER, K_SMALL, K_SIZE, K_SMALL } },
	{ "pipe", 3, call_pipe, 0, { K_SLOT, K_SLOT, K_OPEN } },
	{ "splice", 6, call_splice, 0, { K_SLOT, K_SLOT, K_SIZE, K_SPLICE, K_SMALL } },
	{ "tee", 1, call_tee, 0, { K_SLOT, K_SLOT, K_SIZE, K_SPLICE } },
	{ "vmsplice", 2, call_vmsplice, 0, { K_SLOT, K_SIZE, K_POINTER, K_SPLICE } },
	{ "sendfile", 3, call_sendfile, 0, { K_SLOT, K_SLOT, K_SIZE, K_SMALL } },
	{ "copy_range", 1, call_copy_range, ALWAYS_REFUSED, { K_SLOT, K_SLOT, K_SIZE } },
	{ "dup", 2, call_dup, 0, { K_SLOT, K_SLOT } },
	{ "fcntl", 3, call_fcntl, 0, { K_SLOT, K_SMALL, K_FCNTL } },
	{ "close", 8, call_close, 0, { K_SLOT } },
	{ "mmap", 5, call_mmap, 0, { K_SLOT, K_SIZE, K_PROTECTION, K_SMALL, K_SMALL } },
	{ "touch", 6, call_touch, 0, { K_SIZE, K_SIZE, K_SMALL } },
	{ "protect", 1, call_protect, 0, { K_SIZE, K_SIZE, K_PROTECTION } },
	{ "unmap", 1, call_unmap, 0, { K_SIZE, K_SIZE } },
	{ "lane", 6, call_lane, 0, { K_SLOT, K_SMALL, K_SIZE } },
	{ "fork", 2, call_fork, 0, { K_SMALL, K_SLOT, K_SIZE, K_SIGNAL, K_SIGNAL } },
	{ "die", 1, call_die, CHANGES_CALLER, { K_SMALL, K_SIGNAL, K_SIGNAL } },
	{ "mount", 2, call_mount, CHANGES_MOUNTS, { K_PLACE, K_OPTIONS, K_SMALL } },
	{ "fsmount", 1, call_fsmount, CHANGES_MOUNTS,
		{ K_PLACE, K_WORD, K_WORD, K_NUMBER, K_SLOT } },
	{ "umount", 1, call_umount, CHANGES_MOUNTS, { K_PLACE, K_SMALL } },
	{ "look", 4, call_look, 0, { K_PATH, K_SMALL, K_SIZE } },
	{ "change", 2, call_change, ALWAYS_REFUSED,
		{ K_PATH, K_NUMBER, K_PATH, K_NUMBER } },
	{ "cgroup_mkdir", 1, call_cgroup_mkdir, CHANGES_CGROUPS, { K_CGROUP } },
	{ "cgroup_rmdir", 1, call_cgroup_rmdir, CHANGES_CGROUPS, { K_CGROUP } },
	{ "cgroup_move", 1, call_cgroup_move, CHANGES_CALLER, { K_CGROUP } },
	{ "cgroup_open", 3, call_cgroup_open, 0, { K_SLOT, K_CGROUP } },
	{ "cgroup_limit", 1, call_cgroup_limit, CHANGES_CGROUPS, { K_CGROUP, K_LIMIT } },
	{ "socketpair", 1, call_socketpair, 0, { K_SLOT, K_SLOT } },
	{ "pass", 2, call_pass, 0, { K_SLOT, K_SLOT } },
	{ "take", 1, call_take, 0, { K_SLOT, K_SLOT } },
	{ "drop", 1, call_drop, CHANGES_CALLER, { K_SMALL } },
	{ "shrink", 1, call_shrink, 0, { K_NONE } },
	{ "pause", 2, call_pause, 0, { K_SIZE } },
	{ "hear", 2, call_hear, 0, { K_SMALL, K_SMALL } },
};

/* Requests that only ask change nothing, whatever else they say. */
static unsigned int request_changes(const struct call *c)
{
	switch ((uint8_t)c->arg[1]) {
	case FAASIN_CMD_WORKFLOW_NEW:
	case FAASIN_CMD_WORKFLOW_DEL:
	case FAASIN_CMD_STAGE_NEW:
	case FAASIN_CMD_STAGE_DEL:
	case FAASIN_CMD_LINK_NEW:
	case FAASIN_CMD_LINK_DEL:
	case FAASIN_CMD_LINK_SET:
	case FAASIN_CMD_STAGE_REPLACE:
		return CHANGES_TREE;
	default:
		return 0;
	}
}

unsigned int program_changes(const struct program *p)
{
	unsigned int i, changes = 0, one;

	for (i = 0; i < p->ncalls; i++) {
		const struct call *c = &p->call[i];

		one = ops[c->op].changes;
		if (ops[c->op].call == call_netlink)
			one = request_changes(c);
		/* The second process is gone afterwards in any case. */
		if (p->processes && c->thread == 1)
			one &= ~CHANGES_CALLER;
		changes |= one;
	}
	return changes;
}
