// SPDX-License-Identifier: GPL-2.0
/* What the test programs share: flows, children, bytes. See common.h. */
#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

unsigned int slower(void)
{
	const char *text = getenv("FAASIN_SLOWER");
	int times = text ? atoi(text) : 1;

	return times > 1 ? times : 1;
}

/* ------------------------------------------------------------- kernel's log */

int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_END) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

const char *log_complaint(int fd)
{
	static const char *const signs[] = {
		"BUG:", "kernel BUG at", "WARNING:", "Oops", "KASAN:", "KCSAN:", "UBSAN:",
		"possible circular locking", "possible recursive locking",
		"inconsistent lock state", "suspicious RCU", "sleeping function called",
		"scheduling while atomic", "corruption", "refcount_t:", "Bad page state", "pagealloc:",
		"blocked for more than", "general protection fault,", "general protection fault:",
		"lock held when returning",
	};
	static char line[1024];
	bool found = false;
	char record[2048];
	ssize_t len;
	size_t i;

	while (fd >= 0) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE) /* records were overwritten */
			continue;
		if (len <= 0)
			break;
		record[len] = '\0';
		for (i = 0; !found && i < ARRAY_SIZE(signs); i++) {
			if (strstr(record, signs[i])) {
				char *text = strchr(record, ';');

				snprintf(line, sizeof(line), "%.1000s", text ? text + 1 : record);
				line[strcspn(line, "\n")] = '\0';
				found = true;
			}
		}
	}
	return found ? line : NULL;
}

/* ------------------------------------------------------------------ cgroups */

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

int cgroup_make(const char *name)
{
	char path[PATH_MAX];
	int error;

	/* The root's other controllers are none of our business. */
	error = write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (error)
		return error;
	if (mkdir(CGROUPS, 0755) && errno != EEXIST)
		return -errno;
	error = write_text(CGROUPS "/cgroup.subtree_control", "+memory");
	if (error)
		return error;
	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

int cgroup_remove(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	return rmdir(path) ? -errno : 0;
}

int cgroup_enter(const char *name)
{
	return cgroup_write(name, "cgroup.procs", "0");
}

int cgroup_write(const char *name, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	return write_text(path, text);
}

long long cgroup_read(const char *name, const char *file, const char *key)
{
	char path[PATH_MAX], word[64];
	long long value = -1;
	FILE *stream;

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	stream = fopen(path, "re");
	if (!stream)
		return -1;
	if (!key) {
		if (fscanf(stream, "%lld", &value) != 1)
			value = -1;
	} else {
		long long number;

		while (fscanf(stream, "%63s %lld", word, &number) == 2)
			if (!strcmp(word, key))
				value = number;
	}
	fclose(stream);
	return value;
}

long long cgroup_falls_to(const char *name, long long bytes)
{
	long long now = cgroup_read(name, "memory.current", NULL);
	int tries;

	for (tries = 0; tries < DEADLINE * 10 && now > bytes; tries++) {
		usleep(100000);
		now = cgroup_read(name, "memory.current", NULL);
	}
	return now;
}

/* -------------------------------------------------------------------- flows */

/*
 * Children inherit the test's descriptors, and answers on one socket would get
 * mixed up between processes: every call opens a connection of its own.
 */
static struct faasctl *control(void)
{
	struct faasctl *ctl = NULL;

	faasctl_open(&ctl, NULL);
	return ctl;
}

/* Frees the connection and passes the result on; without one, there was none. */
static int done(struct faasctl *ctl, int result)
{
	faasctl_close(ctl);
	return ctl ? result : -ENOTCONN;
}

int flow_new_stage(struct flow *f, const char *stage)
{
	struct faasctl *ctl = control();

	return done(ctl, ctl ? faasctl_stage_add(ctl, f->name, stage, NULL, NULL) : 0);
}

int flow_link(struct flow *f)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;
	struct faasctl *ctl = control();

	if (f->options.capacity)
		options.capacity = f->options.capacity;
	if (f->options.abort_on)
		options.abort_on = f->options.abort_on;
	if (f->options.early_close)
		options.early_close = f->options.early_close;
	if (f->options.trusted)
		options.flags |= FAASCTL_TRUSTED;
	if (f->options.records)
		options.flags |= FAASCTL_RECORDS;
	return done(ctl, ctl ? faasctl_link_add(ctl, f->name, "a", "b", &options, NULL) : 0);
}

int flow_new_workflow(struct flow *f)
{
	struct faasctl *ctl = control();
	char path[PATH_MAX];
	int cgroup, error;

	snprintf(path, sizeof(path), CGROUPS "/%s", f->name);
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return done(ctl, -errno);
	error = ctl ? faasctl_workflow_add(ctl, f->name, cgroup, FAASCTL_EXCLUSIVE, NULL) : 0;
	error = done(ctl, error);
	close(cgroup);
	if (!error)
		error = flow_new_stage(f, "a");
	if (!error)
		error = flow_new_stage(f, "b");
	if (!error)
		error = flow_link(f);
	return error;
}

int flow_new(struct flow *f, const struct flow_options *options)
{
	int error;

	memset(f, 0, sizeof(*f));
	if (options)
		f->options = *options;
	f->log = log_open();
	/* A write to a stream without a reader is a result here, not an end. */
	signal(SIGPIPE, SIG_IGN);
	snprintf(f->name, sizeof(f->name), "test-%d", getpid());
	snprintf(f->a, sizeof(f->a), MOUNT_POINT "/%s/a", f->name);
	snprintf(f->b, sizeof(f->b), MOUNT_POINT "/%s/b", f->name);
	snprintf(f->out, sizeof(f->out), "%s/" FAASIN_PORT_OUT, f->a);
	snprintf(f->in, sizeof(f->in), "%s/" FAASIN_PORT_IN, f->b);

	error = cgroup_make(f->name);
	if (!error)
		error = flow_new_workflow(f);
	if (error)
		flow_del(f);
	return error;
}

int flow_unlink(struct flow *f)
{
	struct faasctl *ctl = control();

	return done(ctl, ctl ? faasctl_link_del(ctl, f->name, "a", NULL, 0, NULL) : 0);
}

int flow_del_stage(struct flow *f, const char *stage)
{
	struct faasctl *ctl = control();

	return done(ctl, ctl ? faasctl_stage_del(ctl, f->name, stage, 0, NULL) : 0);
}

int flow_del_workflow(struct flow *f)
{
	struct faasctl *ctl = control();

	return done(ctl, ctl ? faasctl_workflow_del(ctl, f->name, 0, NULL) : 0);
}

void flow_del(struct flow *f)
{
	flow_del_workflow(f);
	cgroup_remove(f->name);
}

static int keep_state(const struct faasctl_link *link, void *arg)
{
	struct link_state *state = arg;

	state->link = *link;
	state->stats = link->stats;
	state->last = link->last;
	snprintf(state->stage, sizeof(state->stage), "%s", link->last.stage ?: "");
	snprintf(state->comm, sizeof(state->comm), "%s", link->last.comm ?: "");
	return 0;
}

int flow_state(struct flow *f, struct link_state *state)
{
	struct faasctl *ctl = control();

	memset(state, 0, sizeof(*state));
	return done(ctl, ctl ? faasctl_link_each(ctl, f->name, "a", keep_state, state, NULL) : 0);
}

struct faasctl_stats flow_stats(struct flow *f)
{
	struct link_state state;

	flow_state(f, &state);
	return state.stats;
}

int flow_writer(struct flow *f, int flags)
{
	return sys(open(f->out, (flags & O_RDWR ? 0 : O_WRONLY) | O_CLOEXEC | flags));
}

int flow_reader(struct flow *f, int flags)
{
	return sys(open(f->in, O_RDONLY | O_CLOEXEC | flags));
}

struct faasin_port_info port_info(int fd)
{
	struct faasin_port_info info;

	memset(&info, 0, sizeof(info));
	if (ioctl(fd, FAASIN_IOC_INFO, &info))
		memset(&info, 0, sizeof(info));
	return info;
}

int unread(int fd)
{
	int bytes = -1;
	long error = sys(ioctl(fd, FIONREAD, &bytes));

	return error ? error : bytes;
}

/* ----------------------------------------------------------------- children */

pid_t child(void)
{
	pid_t parent = getpid(), pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	alarm(DEADLINE + 5);
	return 0;
}

pid_t child_for(unsigned int seconds)
{
	pid_t pid = child();

	if (!pid)
		alarm(seconds * slower());
	return pid;
}

/* @seconds: of this kernel, however slow it is */
static int end_of(pid_t pid, int seconds)
{
	struct pollfd end = { .events = POLLIN };
	int status, got;

	if (pid <= 0)
		return HUNG;
	end.fd = syscall(SYS_pidfd_open, pid, 0);
	if (end.fd >= 0) {
		do {
			got = poll(&end, 1, seconds * 1000);
		} while (got < 0 && errno == EINTR);
		close(end.fd);
		if (!got) {
			child_kill(pid, SIGKILL);
			return HUNG;
		}
	}
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return HUNG;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int child_end(pid_t pid)
{
	return end_of(pid, DEADLINE);
}

int child_end_within(pid_t pid, int seconds)
{
	return end_of(pid, seconds * slower());
}

void child_kill(pid_t pid, int signal)
{
	if (pid <= 0)
		return;
	kill(pid, signal);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

#define RUNS	(-1)
#define GONE	(-2)

/* The system call that a sleeping task is in, RUNS, or GONE. */
static long sleeps_in(pid_t pid)
{
	char path[64], text[256], *after;
	long nr = RUNS;
	FILE *stream;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stream = fopen(path, "re");
	if (!stream)
		return GONE;
	after = fgets(text, sizeof(text), stream) ? strrchr(text, ')') : NULL;
	fclose(stream);
	if (!after || after[2] == 'Z' || after[2] == 'X')
		return GONE;
	if (after[2] != 'S' && after[2] != 'D')
		return RUNS;
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	stream = fopen(path, "re");
	if (!stream)
		return GONE;
	if (fscanf(stream, "%ld", &nr) != 1)
		nr = RUNS;
	fclose(stream);
	return nr;
}

bool blocks_in_one_of(pid_t pid, long nr, long other)
{
	long now;
	int i;

	for (i = 0; i < DEADLINE * 1000; i++) {
		now = sleeps_in(pid);
		if (now == nr || now == other)
			return true;
		if (now == GONE)
			return false;
		usleep(1000);
	}
	return false;
}

bool blocks_in(pid_t pid, long nr)
{
	return blocks_in_one_of(pid, nr, nr);
}

bool blocks_in_open(pid_t pid)
{
	return blocks_in_one_of(pid, SYS_openat, SYS_open);
}

bool is_running(pid_t pid)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

void stay_on(int nr)
{
	cpu_set_t cpus, one;
	int cpu;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (cpu = 0; !CPU_ISSET(cpu, &cpus) || nr--; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

void comes_first(void)
{
	struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		_exit(100);
}

int drop_slabs(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	int error = write(fd, "2", 1) == 1 ? 0 : errno;

	close(fd);
	return error;
}

int bell(void)
{
	return eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
}

void ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

bool await(int fd)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };
	uint64_t one;
	int got;

	do {
		got = poll(&event, 1, DEADLINE * 1000);
	} while (got < 0 && errno == EINTR);
	return got == 1 && read(fd, &one, sizeof(one)) == sizeof(one);
}

static void nothing(int signal)
{
}

void interrupt_by(int signal, int flags)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = flags };

	sigaction(signal, &action, NULL);
}

void send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(socket, &msg, 0) != 1)
		abort();
}

int tcp_pair(int ends[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(addr);

	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s, (void *)&addr, sizeof(addr)) || listen(s, 1) ||
	    getsockname(s, (void *)&addr, &len) || connect(ends[0], (void *)&addr, len))
		return -errno;
	ends[1] = accept(s, NULL, NULL);
	close(s);
	return ends[1] < 0 ? -errno : 0;
}

/* -------------------------------------------------------------------- bytes */

void pattern_fill(void *buf, size_t len, unsigned int tag, uint64_t at)
{
	uint8_t *bytes = buf;
	size_t i, period = 251;

	for (i = 0; i < len && i < period; i++)
		bytes[i] = pattern(tag, at + i);
	/* The rest repeats: emulated guests copy faster than they divide. */
	for (; i < len; i += period)
		memcpy(bytes + i, bytes, len - i < period ? len - i : period);
}

bool pattern_is(const void *buf, size_t len, unsigned int tag, uint64_t at)
{
	uint8_t expected[251 * 16];
	const uint8_t *bytes = buf;
	size_t i, n;

	pattern_fill(expected, sizeof(expected), tag, at);
	for (i = 0; i < len; i += n) {
		n = len - i < sizeof(expected) ? len - i : sizeof(expected);
		if (memcmp(bytes + i, expected, n))
			return false;
	}
	return true;
}

int pattern_write(int fd, size_t len, size_t chunk, unsigned int tag, uint64_t at)
{
	uint8_t *buf = malloc(chunk + 251);
	size_t done = 0, n;
	ssize_t got;
	int error = 0;

	if (!buf)
		return -ENOMEM;
	pattern_fill(buf, chunk + 251, tag, 0);
	while (done < len && !error) {
		n = len - done < chunk ? len - done : chunk;
		got = write(fd, buf + (at + done) % 251, n);
		if (got < 0)
			error = -errno;
		else
			done += got;
	}
	free(buf);
	return error;
}

struct heard pattern_read(int fd, size_t chunk, unsigned int tag)
{
	struct heard heard = { .intact = true };
	uint8_t *buf = malloc(chunk);
	ssize_t got;

	while ((got = read(fd, buf, chunk)) > 0) {
		if (!pattern_is(buf, got, tag, heard.bytes))
			heard.intact = false;
		heard.bytes += got;
	}
	heard.end = got < 0 ? -errno : 0;
	free(buf);
	return heard;
}

long read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;
	ssize_t got;

	while (done < len) {
		got = read(fd, (char *)buf + done, len - done);
		if (got < 0)
			return done ? (long)done : -errno;
		if (!got)
			break;
		done += got;
	}
	return done;
}

uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}
