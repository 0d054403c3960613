// SPDX-License-Identifier: GPL-2.0
/*
 * Who does something. See actor.h.
 */
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "actor.h"
#include "common.h"

#define LOST_STATUS	254	/* the exit status that act() takes for ACTOR_LOST */

static int become_ids(uid_t id)
{
	if (setgroups(0, NULL))
		return -errno;
	if (setresgid(id, id, id) || setresuid(id, id, id))
		return -errno;
	return 0;
}

static int keep_caps(uint64_t caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { };
	int i;

	if (caps == CAPS_NONE)
		caps = 0;
	for (i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(caps >> (32 * i));
		data[i].permitted = data[i].effective;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int actor_become(const struct actor *who)
{
	int error = 0;

	if (who->cgroup)
		error = cgroup_enter(who->cgroup);
	if (!error && who->namespaces) {
		if (unshare(who->namespaces))
			return -errno;
		if (who->namespaces & CLONE_NEWNS &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			return -errno;
	}
	if (!error && who->caps != CAPS_USUAL)
		error = prctl(PR_SET_KEEPCAPS, 1) ? -errno : 0;
	if (!error && who->id)
		error = become_ids(who->id);
	if (!error && who->caps != CAPS_USUAL)
		error = keep_caps(who->caps);
	/* A change of ids forgets it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return error;
}

static int write_map(pid_t pid, const char *which)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, which);
	snprintf(text, sizeof(text), "0 %d 65536\n", ACTOR_BASE);
	return write_text(path, text);
}

/* The rest of the way in, with the user namespace's maps written. */
static int settle(const struct actor *who)
{
	struct actor inside = *who;

	inside.cgroup = NULL;
	inside.namespaces = 0;
	/*
	 * By way of its root: from an id that has no name in there a change
	 * would leave all capabilities.
	 */
	if (who->namespaces & CLONE_NEWUSER && become_ids(0))
		return -errno;
	return actor_become(&inside);
}

int act(const struct actor *who, int (*fn)(void *arg), void *arg)
{
	const bool user = who->namespaces & CLONE_NEWUSER;
	int unshared = bell(), mapped = bell(), status;
	struct actor outside = { .cgroup = who->cgroup, .namespaces = who->namespaces };
	pid_t pid;

	pid = child();
	if (!pid) {
		if (actor_become(&outside))
			_exit(LOST_STATUS);
		if (user) {
			ring(unshared);
			if (!await(mapped))
				_exit(LOST_STATUS);
		}
		if (who->namespaces & CLONE_NEWPID) {
			pid = fork();
			if (pid) {
				if (pid < 0 || waitpid(pid, &status, 0) != pid)
					_exit(LOST_STATUS);
				if (WIFSIGNALED(status))
					kill(getpid(), WTERMSIG(status));
				_exit(WEXITSTATUS(status));
			}
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		}
		if (settle(who))
			_exit(LOST_STATUS);
		_exit(fn(arg));
	}
	if (user && await(unshared)) {
		if (write_map(pid, "uid_map") || write_map(pid, "gid_map"))
			kill(pid, SIGKILL);
		else
			ring(mapped);
	}
	status = child_end(pid);
	close(unshared);
	close(mapped);
	return status == LOST_STATUS ? ACTOR_LOST : status;
}

gid_t actor_group(const struct actor *who)
{
	return who->namespaces & CLONE_NEWUSER ? ACTOR_BASE + who->id : who->id;
}

void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}
