// SPDX-License-Identifier: GPL-2.0
/*
 * A container that somebody else has taken over. See hostile.h.
 */
#include <linux/mount.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "hostile.h"

#define NAMESPACES	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | \
			 CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

enum { NO_MOUNT = 250 };	/* an exit status: the attacker did not get its ports */

static int point_new(char *point)
{
	strcpy(point, "/tmp/faasin-test-XXXXXX");
	return mkdtemp(point) && !chmod(point, 0755) ? 0 : errno;
}

int hostile_new(struct hostile *h)
{
	int error;

	memset(h, 0, sizeof(*h));
	h->own.nl.fd = -1;
	h->attack = shared(sizeof(*h->attack));
	h->ready = bell();
	h->go = bell();
	error = world_new_charged(&h->victim);
	if (error)
		return error;
	error = world_new_beside(&h->own);
	if (error)
		return error;
	strcpy(h->victim_cgroup, world_cgroup(&h->victim, "v"));
	world_cgroup(&h->own, "b");
	strcpy(h->cgroup, world_cgroup(&h->own, "b/a"));
	error = point_new(h->point) ?: point_new(h->spare) ?:
		world_stage(&h->victim, "v", h->victim_cgroup) ?:
		world_stage(&h->victim, "w", world_cgroup(&h->victim, "w")) ?:
		world_link(&h->victim, "v", "w") ?:
		world_stage(&h->own, "a", h->cgroup) ?:
		world_stage(&h->own, "b", world_cgroup(&h->own, "b")) ?:
		world_link(&h->own, "a", "b");
	return error;
}

void hostile_del(struct hostile *h)
{
	if (h->victim_keeper)
		child_kill(h->victim_keeper, SIGKILL);
	world_del(&h->own);
	world_del(&h->victim);
	rmdir(h->point);
	rmdir(h->spare);
}

struct entry {
	struct hostile *h;
	attack_fn fn;
};

static int enter(void *arg)
{
	struct entry *entry = arg;

	/* As after an exec, so that its children are its own. */
	prctl(PR_SET_DUMPABLE, 1);
	if (mount("none", entry->h->point, "faasin", 0, NULL))
		return NO_MOUNT;
	return entry->fn(entry->h);
}

int attack(struct hostile *h, attack_fn fn)
{
	struct actor attacker = { .cgroup = h->cgroup, .namespaces = NAMESPACES };
	struct entry entry = { h, fn };

	return act(&attacker, enter, &entry);
}

pid_t attack_begin(struct hostile *h, attack_fn fn)
{
	pid_t pid = child();

	if (!pid)
		_exit(attack(h, fn));
	return pid;
}

static bool cgroup_empties(const char *name)
{
	int tries;

	for (tries = 0; tries < DEADLINE * 100; tries++) {
		if (!cgroup_read(name, "cgroup.events", "populated"))
			return true;
		usleep(10000);
	}
	return false;
}

bool attacker_kill(struct hostile *h, pid_t begun)
{
	cgroup_write(h->cgroup, "cgroup.kill", "1");
	child_end(begun);
	return cgroup_empties(h->cgroup);
}

int attacker_signal(struct hostile *h, int signal)
{
	char path[PATH_MAX];
	FILE *stream;
	pid_t pid;
	int n = 0;

	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", h->cgroup);
	stream = fopen(path, "re");
	while (stream && fscanf(stream, "%d", &pid) == 1)
		n += !kill(pid, signal);
	if (stream)
		fclose(stream);
	return n;
}

int tool_status(void)
{
	pid_t pid = child();
	int null;

	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("faasctl", "faasctl", "show", NULL);
		_exit(127);
	}
	return child_end(pid);
}

/* ---------------------------------------------------------------- the victim */

static int keep_open(void *arg)
{
	struct hostile *h = arg;
	int fd;

	prctl(PR_SET_DUMPABLE, 1);
	fd = world_open(&h->victim, "v", FAASIN_PORT_OUT, O_WRONLY);
	if (fd < 0 || dup2(fd, KEPT) != KEPT || write(KEPT, "secret", 6) != 6)
		return 1;
	close(fd);
	ring(h->ready);
	for (;;)
		pause();
}

/* The process in a cgroup that has descriptor KEPT; 0: none. */
static pid_t keeper_in(const char *cgroup)
{
	char path[PATH_MAX];
	pid_t pid, found = 0;
	FILE *stream;

	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", cgroup);
	stream = fopen(path, "re");
	while (stream && !found && fscanf(stream, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, KEPT);
		if (!access(path, F_OK))
			found = pid;
	}
	if (stream)
		fclose(stream);
	return found;
}

bool victim_start(struct hostile *h)
{
	/* The same ids as the attacker's: most machines give all containers the same. */
	struct actor victim = { .cgroup = h->victim_cgroup, .namespaces = NAMESPACES };

	h->victim_keeper = child();
	if (!h->victim_keeper) {
		alarm(0);
		_exit(act(&victim, keep_open, h));
	}
	if (!await(h->ready))
		return false;
	h->victim_pid = keeper_in(h->victim_cgroup);
	return h->victim_pid;
}

bool victim_works(struct hostile *h)
{
	char buf[32] = "";
	int out, in;
	bool works;

	out = world_open(&h->victim, "v", FAASIN_PORT_OUT, O_WRONLY);
	in = world_open(&h->victim, "w", FAASIN_PORT_IN, O_RDONLY);
	works = out >= 0 && in >= 0 && write(out, "as ever", 7) == 7;
	close(out);
	works = works && read_full(in, buf, sizeof(buf)) == 7 && !memcmp(buf, "as ever", 7);
	close(in);
	return works;
}

/* -------------------------------------------------------------- the attacker */

const char *own_path(struct hostile *h, const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, PATH_MAX, "%s/%s", h->point, name);
	return path;
}

void attempt(struct hostile *h, const char *what, long got, const int *may, int nr)
{
	struct attack *attack = h->attack;
	struct attempt *a = &attack->attempts[attack->nr];

	if (attack->nr == ATTEMPTS_MAX)
		abort();
	snprintf(a->what, sizeof(a->what), "%s", what);
	a->got = got;
	a->expected = false;
	while (nr--)
		if (may[nr] ? got == -may[nr] : got >= 0)
			a->expected = true;
	attack->nr++;
}

int mount_faasin(const char *source, const char *point, unsigned long flags, const char *options)
{
	return mount(source, point, "faasin", flags, options);
}

static int set_string(int fs, const char *key, const char *value)
{
	return value ? syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) : 0;
}

int fsmount_of(const char *workflow, const char *stage)
{
	int fs = syscall(SYS_fsopen, "faasin", FSOPEN_CLOEXEC), error = 0;

	if (fs < 0)
		return -1;
	if (set_string(fs, "workflow", workflow) || set_string(fs, "stage", stage) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ||
	    syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0) < 0)
		error = errno;
	close(fs);
	errno = error;
	return error ? -1 : 0;
}

int fspick_of(struct hostile *h, const char *workflow)
{
	int fs = syscall(SYS_fspick, AT_FDCWD, h->point, FSPICK_CLOEXEC), error = 0;

	if (fs < 0)
		return -1;
	if (set_string(fs, "workflow", workflow) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		error = errno;
	close(fs);
	errno = error;
	return error ? -1 : 0;
}

int allow_userfaultfd(int value)
{
	const char *path = "/proc/sys/vm/unprivileged_userfaultfd";
	FILE *stream = fopen(path, "r+e");
	int old = -1;

	if (!stream)
		return -1;
	if (fscanf(stream, "%d", &old) != 1)
		old = -1;
	rewind(stream);
	fprintf(stream, "%d\n", value);
	fclose(stream);
	return old;
}

char *page_of_no_return(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	char *page;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	area.range.start = (uintptr_t)page;
	area.range.len = PAGE;
	if (fd < 0 || page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &area))
		return NULL;
	return page;
}

pid_t stand_still(int fd, bool writes, int other)
{
	pid_t pid = child();
	char *page;

	if (pid)
		return pid;
	if (other >= 0)
		close(other);
	page = page_of_no_return();
	_exit((writes ? write(fd, page, 1) : read(fd, page, 1)) < 0);
}

/* The system call that a process waits in; -1 if it does not. */
static long waits_in(pid_t pid)
{
	char path[64];
	FILE *stream;
	long nr = -1;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	stream = fopen(path, "re");
	if (!stream)
		return -1;
	if (fscanf(stream, "%ld", &nr) != 1)
		nr = -1;
	fclose(stream);
	return nr;
}

bool attacker_is_in(struct hostile *h, long nr)
{
	char path[PATH_MAX];
	bool found = false;
	FILE *stream;
	int tries;
	pid_t pid;

	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", h->cgroup);
	for (tries = 0; tries < DEADLINE * 100 && !found; tries++) {
		stream = fopen(path, "re");
		while (stream && !found && fscanf(stream, "%d", &pid) == 1)
			found = waits_in(pid) == nr;
		if (stream)
			fclose(stream);
		if (!found)
			usleep(10000);
	}
	return found;
}
