// SPDX-License-Identifier: GPL-2.0
/* Who is killed in a storm, what is taken away, and what is looked at: see storm.h. */
#include <dirent.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "storm.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

const char *const storm_stages[STORM_CHAINS][STORM_STAGES] = {
	{ "a", "b", "c" }, { "d", "e", "f" },
};

/* ------------------------------------------------------------- for processes */

void storm_count(uint64_t *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

void storm_odd(struct storm_found *found, long result)
{
	found->last_odd = result;
	storm_count(&found->odd);
}

void storm_moves(struct storm_tally *tally, uint64_t size)
{
	tally->doing = size;
}

void storm_moved(struct storm_tally *tally, long n)
{
	if (n > 0)
		tally->done += n;
	tally->doing = 0;
}

long storm_write(struct storm_tally *sent, int fd, const void *buf, size_t size)
{
	long n;

	storm_moves(sent, size);
	n = sys(write(fd, buf, size));
	storm_moved(sent, n);
	return n;
}

long storm_read(struct storm_tally *got, int fd, void *buf, size_t size)
{
	long n;

	storm_moves(got, size);
	n = sys(read(fd, buf, size));
	storm_moved(got, n);
	return n;
}

int storm_open(struct storm_part *p, const char *port, int flags)
{
	const char *path = world_path(&p->storm->world, p->stage, port);
	long fd = sys(open(path, flags | (random_next(&p->seed) % 2 ? O_NONBLOCK : 0)));

	if (fd >= 0) {
		fcntl(fd, F_SETFL, flags);
		return fd;
	}
	if (fd != -ENOENT && fd != -ENXIO && fd != -EAGAIN)
		storm_odd(p->found, fd);
	usleep(500);
	return -1;
}

struct storm_head storm_stream(struct storm_part *p)
{
	storm_count(&p->found->streams);
	return (struct storm_head){
		.magic = STORM_MAGIC,
		.tag = random_next(&p->seed) % 200 + 1,
		.len = random_next(&p->seed) % STORM_LENGTH,
	};
}

void storm_judge(struct storm_found *found, long n, const struct storm_head *head, uint64_t at)
{
	if (n == 0 && at == head->len)
		storm_count(&found->whole);
	else if (n == 0)
		storm_count(&found->cut);
	else if (n == -ECONNABORTED)
		storm_count(&found->aborted);
	else
		storm_odd(found, n);
}

/* ------------------------------------------------------------- what is there */

#define FAILS(s, ...)						\
({								\
	snprintf((s)->wrong, sizeof((s)->wrong), __VA_ARGS__);	\
	false;							\
})

static int link_up(struct storm *s, const char *src, const char *dst)
{
	const struct storm_options *o = &s->options;

	return nl_call(&s->world.nl, FAASIN_CMD_LINK_NEW, 0,
		       NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, s->world.wf),
			       NL_STR(FAASIN_A_LINK_SRC_STAGE, src),
			       NL_STR(FAASIN_A_LINK_DST_STAGE, dst),
			       NL_U64(FAASIN_A_LINK_CAPACITY, o->capacity),
			       NL_U32(FAASIN_A_LINK_FLAGS, o->trusted ? FAASIN_LINK_F_TRUSTED : 0),
			       NL_U32(FAASIN_A_LINK_ABORT_ON, o->never ? FAASIN_ABORT_ON_NEVER :
									 FAASIN_ABORT_ON_CRASH)));
}

/* What is there already is left as it is. */
static int build(struct storm *s)
{
	struct world *w = &s->world;
	int fd = cgroup_open(world_cgroup(w, NULL)), error, i, k;

	if (fd < 0)
		return -fd;
	error = nl_call(&w->nl, FAASIN_CMD_WORKFLOW_NEW, 0,
			NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf),
				NL_U32(FAASIN_A_WORKFLOW_CGROUP_FD, fd)));
	close(fd);
	for (k = 0; k < STORM_CHAINS; k++) {
		for (i = 0; !error && i < STORM_STAGES; i++)
			error = world_stage(w, storm_stages[k][i], NULL);
		for (i = 0; !error && i + 1 < STORM_STAGES; i++)
			error = link_up(s, storm_stages[k][i], storm_stages[k][i + 1]);
	}
	return error;
}

/*
 * What the cgroup pays for, without what CPUs have in stock for it: a limit that is passed has
 * them give that back, a moment later; what was closed goes a moment later, too.
 */
static long long pays(struct storm *s)
{
	cgroup_write(s->world.wf, "memory.high", "0");
	usleep(100000);
	cgroup_write(s->world.wf, "memory.high", "max");
	return cgroup_read(s->world.wf, "memory.current", NULL);
}

int storm_begin(struct storm *s)
{
	struct rlimit none = { 0 };

	/* Cores are not what is tested. */
	setrlimit(RLIMIT_CORE, &none);
	s->kills = 0;
	s->wrong[0] = '\0';
	s->seed = 0x5707 + s->options.capacity;
	s->found = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->found == MAP_FAILED)
		return ENOMEM;
	s->paid = pays(s);
	return -faasctl_open(&s->ctl, NULL) ?: build(s);
}

void storm_end(struct storm *s)
{
	faasctl_close(s->ctl);
	munmap(s->found, PAGE);
}

/* ------------------------------------------------------------------- counters */

/* What its killed process had counted against the kernel's count, which is true from now on. */
static bool agrees(struct storm_tally *tally, uint64_t counted)
{
	bool is = counted >= tally->done && counted - tally->done <= tally->doing;

	tally->done = counted;
	tally->doing = 0;
	return is;
}

static int copy_stats(const struct faasctl_link *link, void *arg)
{
	*(struct faasctl_stats *)arg = link->stats;
	return 0;
}

/* After the process in a stage has been killed: are its links' counters right? */
static bool counted(struct storm *s, size_t i)
{
	const char *const *chain = storm_stages[i / STORM_STAGES];
	size_t stage = i % STORM_STAGES;
	struct faasctl_stats st;
	bool right = true;

	if (stage + 1 < STORM_STAGES)
		right = !faasctl_link_each(s->ctl, s->world.wf, chain[stage], copy_stats, &st,
					   NULL) &&
			agrees(&s->found->sent[i], st.bytes_in) &&
			st.bytes_in == st.bytes_out + st.bytes_dropped + st.bytes_held;
	if (right && stage)
		right = !faasctl_link_each(s->ctl, s->world.wf, chain[stage - 1], copy_stats, &st,
					   NULL) &&
			agrees(&s->found->got[i], st.bytes_out);
	return right;
}

/* ------------------------------------------------------------ what is taken away */

/* The tool, in the middle of something. */
static bool kill_tool(struct storm *s)
{
	const char *const commands[][5] = {
		{ "faasctl", "show", s->world.wf },
		{ "faasctl", "link", s->world.wf, "a", "b" },
		{ "faasctl", "dump" },
		{ "faasctl", "unlink", s->world.wf, "e" },
		{ "faasctl", "monitor" },
	};
	unsigned int which = random_next(&s->seed) % ARRAY_SIZE(commands);
	pid_t pid = child();

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp("faasctl", (char *const *)commands[which]);
		_exit(127);
	}
	usleep(random_next(&s->seed) % 30000);
	kill(pid, SIGKILL);
	return child_end(pid) != HUNG;
}

static int mount_and_go(void)
{
	char dir[] = "/tmp/storm.XXXXXX";
	int error = 0;

	if (!mkdtemp(dir))
		return errno;
	if (mount("none", dir, "faasin", 0, NULL))
		error = errno;
	else if (umount2(dir, MNT_DETACH))
		error = errno;
	rmdir(dir);
	return error;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "faasin", O_NONBLOCK) ? errno : 0;
}

/* Takes something away and puts it back. 0, or an error that is none of ours. */
static int cut(struct storm *s)
{
	const char *const *chain = storm_stages[random_next(&s->seed) % STORM_CHAINS], *cgroup;
	int link = random_next(&s->seed) % (STORM_STAGES - 1);
	struct world *w = &s->world;
	char path[PATH_MAX];
	int error;

	switch (random_next(&s->seed) % 4) {
	case 0:
		error = world_unlink(w, chain[link]);
		if (error && error != ENOENT)
			return error;
		return link_up(s, chain[link], chain[link + 1]);
	case 1:
		error = world_del_workflow(w, w->wf);
		return error ?: build(s);
	case 2:
		/* A stage's cgroup goes while the stage is bound to it. */
		cgroup = world_cgroup(w, "stage");
		error = world_stage(w, chain[link], cgroup);
		snprintf(path, sizeof(path), CGROUPS "/%s", cgroup);
		return error ?: rmdir(path) ? errno : 0;
	default:
		return mount_and_go();
	}
}

/* --------------------------------------------------------------- who is killed */

static pid_t spawn(struct storm *s, size_t i)
{
	struct storm_part part = {
		.storm = s,
		.stage = storm_stages[i / STORM_STAGES][i % STORM_STAGES],
		.found = s->found,
		.sent = &s->found->sent[i],
		.got = &s->found->got[i],
		.seed = random_next(&s->seed),
	};
	pid_t pid = child();

	if (pid)
		return pid;
	alarm(0);
	s->options.does[i % STORM_STAGES](&part);
	_exit(98);
}

/* The state of a process; 0 if it is gone. */
static char state_of(const char *pid)
{
	char path[64], text[256] = "", *state;
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	state = len > 0 ? strrchr(text, ')') : NULL;
	return state ? state[2] : 0;
}

/* The first process there is, the kernel's own included, that waits and cannot be killed; or 0. */
static pid_t waits_in_kernel(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && !found && (entry = readdir(dir)))
		if (atoi(entry->d_name) && state_of(entry->d_name) == 'D')
			found = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

/* Who does for a moment is not stuck. */
static pid_t stuck(void)
{
	pid_t pid = waits_in_kernel();
	int tries;

	for (tries = 0; tries < DEADLINE * 10 && pid; tries++) {
		usleep(100000);
		pid = waits_in_kernel();
	}
	return pid;
}

static bool kill_one(struct storm *s, size_t i)
{
	static const int signals[] = { SIGKILL, SIGKILL, SIGKILL, SIGTERM, SIGSEGV, SIGABRT, SIGINT };
	int sig = signals[random_next(&s->seed) % ARRAY_SIZE(signals)], status;
	char pid[16];

	kill(s->pids[i], sig);
	status = child_end(s->pids[i]);
	snprintf(pid, sizeof(pid), "%d", s->pids[i]);
	s->kills++;
	if (status == HUNG)
		return FAILS(s, "process %s does not die: state %c", pid, state_of(pid) ?: '?');
	/* Nobody ends by itself. */
	if (status != -sig)
		return FAILS(s, "stage %zu was sent signal %d, and ended in %d", i, sig, status);
	/* Where workflows go, their counters go, too. */
	if (!s->options.cuts && !counted(s, i))
		return FAILS(s, "the counters of stage %s are wrong",
			     storm_stages[i / STORM_STAGES][i % STORM_STAGES]);
	s->pids[i] = spawn(s, i);
	return true;
}

/* Everything that has to come up did: on a slow machine, few kills may come before. */
static bool has_seen_all(const struct storm *s)
{
	const struct storm_found *found = s->found;

	return found->whole && (s->options.never ? found->cut : found->aborted) &&
	       (!s->options.trusted || found->lanes);
}

/* Kills that are spent on that, for each that is wanted; then it fails. */
#define PATIENCE	20

bool storm_blows(struct storm *s)
{
	const char *text = getenv("FAASIN_KILLS");
	uint64_t wanted = (text ? strtoull(text, NULL, 10) : s->options.kills) /
			  s->options.variants + 1;
	size_t i;
	int error;

	for (i = 0; i < STORM_PARTS; i++)
		s->pids[i] = spawn(s, i);
	while (s->kills < wanted || (!has_seen_all(s) && s->kills < PATIENCE * wanted)) {
		usleep(random_next(&s->seed) % 4000);
		if (!kill_one(s, random_next(&s->seed) % STORM_PARTS))
			return false;
		if (s->kills % 32 == 0) {
			if (!kill_tool(s))
				return FAILS(s, "the tool does not die");
			s->kills++;
		}
		if (s->kills % 16 == 0) {
			error = unload();
			if (error != EWOULDBLOCK && error != EBUSY)
				return FAILS(s, "unloading under load: %s",
					     error ? strerror(error) : "done");
		}
		if (s->options.cuts && s->kills % 8 == 0) {
			error = cut(s);
			if (error)
				return FAILS(s, "taking away: %s; %s", strerror(error),
					     s->world.nl.text);
		}
	}
	return true;
}

bool storm_settles(struct storm *s)
{
	pid_t pid;
	size_t i;
	int error;

	for (i = 0; i < STORM_PARTS; i++) {
		child_kill(s->pids[i], SIGKILL);
		if (!kill(s->pids[i], 0))
			return FAILS(s, "process %d is still there", s->pids[i]);
	}
	pid = stuck();
	if (pid)
		return FAILS(s, "process %d waits in the kernel, for good", pid);
	error = build(s);
	return !error || FAILS(s, "links cannot be made again: %s", strerror(error));
}

bool storm_is_forgotten(struct storm *s)
{
	int error = world_del_workflow(&s->world, s->world.wf), tries;
	/* Objects are charged by whole pages, of which each CPU may have a part left. */
	long long now, most = s->paid + sysconf(_SC_NPROCESSORS_ONLN) * PAGE;

	if (error)
		return FAILS(s, "the workflow cannot be deleted: %s", strerror(error));
	now = pays(s);
	for (tries = 0; tries < DEADLINE * 10 && now > most; tries++)
		now = pays(s);
	return now <= most || FAILS(s, "%lld bytes are charged, and were %lld before", now,
				    s->paid);
}
