// SPDX-License-Identifier: LGPL-2.1-or-later
/* Cgroups of stages: finding, binding and emptying them. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "process.h"

/**
 * struct binding - what a stage's cgroup is found by
 * @bound: it has one that exists
 * @id: its id
 * @path: its path below the mount
 */
struct binding {
	bool bound;
	uint64_t id;
	char path[4096];
};

static int note_binding(const struct faasctl_stage *stage, void *arg)
{
	struct binding *binding = arg;
	const char *path = stage->cgroup_path;

	binding->bound = stage->cgroup_id &&
			 !(stage->flags & FAASIN_STAGE_F_CGROUP_GONE);
	binding->id = stage->cgroup_id;
	/* Without its slash nothing but cgroups can be meant. */
	snprintf(binding->path, sizeof(binding->path), "%s",
		 path ? path + strspn(path, "/") : "");
	if (!binding->path[0])
		strcpy(binding->path, ".");
	return 0;
}

static int bind_default(struct process *process, struct faasctl *ctl)
{
	struct faasctl_stage_options options = FAASCTL_STAGE_OPTIONS_INIT;
	struct faasctl_error err;
	int fd;

	fd = faasctl_cgroup_default(process->workflow, process->stage, &err);
	/* Who runs uncharged may have no cgroup v2 at all. */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return wrapper_fail(&err);
	options.cgroup_fd = fd;
	if (faasctl_stage_add(ctl, process->workflow, process->stage, &options,
			      &err)) {
		close(fd);
		faasctl_cgroup_remove(process->workflow, process->stage, NULL);
		return wrapper_fail(&err);
	}
	process->cgroup = fd;
	return 0;
}

/* Opens the stage's cgroup; a stage that has none gets its default one. */
int process_cgroup(struct process *process, struct faasctl *ctl)
{
	struct binding binding = { 0 };
	struct faasctl_error err;
	struct stat st;
	int fd;

	if (faasctl_stage_each(ctl, process->workflow, process->stage,
			       note_binding, &binding, &err)) {
		fail_hint(&err, ENOENT, "create it with: faasctl link, or faasctl stage add %s %s",
			  process->workflow, process->stage);
		return STATUS_WRAPPER;
	}
	if (!binding.bound) {
		if (faasctl_stage_homeless(ctl, process->workflow,
					   process->stage, &err) < 0)
			return wrapper_fail(&err);
		return bind_default(process, ctl);
	}
	fd = faasctl_cgroup_open(binding.path, &err);
	if (fd < 0)
		return wrapper_fail(&err);
	process->cgroup = fd;
	if (fstat(fd, &st) || st.st_ino != binding.id)
		return wrapper_error(STATUS_WRAPPER,
				     "cgroup /%s is not the one of stage \"%s\" as seen from here: run faasctl in the initial cgroup namespace",
				     binding.path, process->stage);
	return 0;
}

/* What a file of a cgroup says, as far as there is room; whether it could be opened. */
bool cgroup_read(int dir, const char *file, char *text, size_t size)
{
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	return true;
}

/* Whether any process is in a cgroup or below. */
bool cgroup_populated(int dir)
{
	char text[256];

	return cgroup_read(dir, "cgroup.events", text, sizeof(text)) && strstr(text, "populated 1");
}

/* Kills what is in a cgroup and waits, a while, until it is gone. */
void cgroup_kill(int dir)
{
	_cleanup_(closep) int fd = -1;
	struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int tries;

	if (!cgroup_populated(dir))
		return;
	fd = openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return;
	for (tries = 0; tries < 500 && cgroup_populated(dir); tries++)
		nanosleep(&pause, NULL);
}
