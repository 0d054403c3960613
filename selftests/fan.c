// SPDX-License-Identifier: GPL-2.0
/* What tests of fan-out share: fan.h. */
#include "fan.h"

const char *fan_list(char of, unsigned int from, unsigned int to)
{
	static char list[512];
	size_t len = 0;

	list[0] = 0;
	for (; from <= to; from++)
		len += snprintf(list + len, sizeof(list) - len, "%s%c%u", len ? "," : "", of,
				from);
	return list;
}

struct faasctl_link_options fan_slow_options(uint64_t capacity, uint32_t slow)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;

	options.capacity = capacity;
	options.slow = slow;
	return options;
}

int fan_stage(struct fan *f, const char *name)
{
	return FAN_REQUEST(f, faasctl_stage_add(ctl, f->name, name, NULL, &err));
}

int fan_link(struct fan *f, const char *src, const char *dst,
	     const struct faasctl_link_options *options)
{
	return FAN_REQUEST(f, faasctl_link_add(ctl, f->name, src, dst, options, &err));
}

int fan_unlink(struct fan *f, const char *src, const char *dst)
{
	return FAN_REQUEST(f, faasctl_link_del(ctl, f->name, src, dst, 0, &err));
}

int fan_resize(struct fan *f, const char *dst, uint64_t capacity)
{
	return FAN_REQUEST(f, faasctl_link_resize(ctl, f->name, "a", dst, 0, capacity, &err));
}

int fan_link_set_state(struct fan *f, const char *src, const char *dst, uint32_t state)
{
	return FAN_REQUEST(f, faasctl_link_set_state(ctl, f->name, src, dst, 0, state, &err));
}

int fan_set_state(struct fan *f, const char *dst, uint32_t state)
{
	return fan_link_set_state(f, "a", dst, state);
}

int fan_replace(struct fan *f, const char *stage)
{
	return FAN_REQUEST(f, faasctl_stage_replace(ctl, f->name, stage, 0, -1, &err));
}

int fan_new(struct fan *f, unsigned int n, const struct faasctl_link_options *options)
{
	char path[PATH_MAX], name[16];
	unsigned int i;
	int cgroup, error;

	memset(f, 0, sizeof(*f));
	f->log = log_open();
	f->n = n;
	/* A write to a stream without a reader is a result here, not an end. */
	signal(SIGPIPE, SIG_IGN);
	snprintf(f->name, sizeof(f->name), "fan-%d", getpid());
	error = cgroup_make(f->name);
	if (error)
		return error;
	snprintf(path, sizeof(path), CGROUPS "/%s", f->name);
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return -errno;
	error = FAN_REQUEST(f, faasctl_workflow_add(ctl, f->name, cgroup, FAASCTL_EXCLUSIVE, &err));
	close(cgroup);
	if (!error)
		error = fan_stage(f, "a");
	for (i = 0; !error && i < n; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		error = fan_stage(f, name);
	}
	if (!error && n > 1)
		error = fan_link(f, "a", fan_list('r', 0, n - 1), options);
	else if (!error && n)
		error = fan_link(f, "a", "r0", options);
	if (error)
		fan_del(f);
	return error;
}

void fan_del(struct fan *f)
{
	(void)FAN_REQUEST(f, faasctl_workflow_del(ctl, f->name, 0, &err));
	cgroup_remove(f->name);
}

static int count_link(const struct faasctl_link *link, void *arg)
{
	(*(unsigned int *)arg)++;
	return 0;
}

unsigned int fan_links(struct fan *f)
{
	unsigned int n = 0;

	(void)FAN_REQUEST(f, faasctl_link_each(ctl, f->name, NULL, count_link, &n, &err));
	return n;
}

struct wanted {
	const char *stage;
	struct link_state state;
};

static int keep_link(const struct faasctl_link *link, void *arg)
{
	struct wanted *wanted = arg;

	if (strcmp(link->dst_stage, wanted->stage))
		return 0;
	wanted->state.link = *link;
	wanted->state.stats = link->stats;
	wanted->state.last = link->last;
	snprintf(wanted->state.stage, sizeof(wanted->state.stage), "%s", link->last.stage ?: "");
	return 0;
}

struct link_state fan_link_state(struct fan *f, const char *src, const char *dst)
{
	struct wanted wanted = { .stage = dst };

	(void)FAN_REQUEST(f, faasctl_link_each(ctl, f->name, src, keep_link, &wanted, &err));
	return wanted.state;
}

struct link_state fan_state(struct fan *f, unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "r%u", i);
	return fan_link_state(f, "a", name);
}

static int keep_sums(const struct faasctl_workflow *workflow, void *arg)
{
	*(struct faasctl_stats *)arg = workflow->stats;
	return 0;
}

struct faasctl_stats fan_sums(struct fan *f)
{
	struct faasctl_stats stats = { 0 };

	(void)FAN_REQUEST(f, faasctl_workflow_each(ctl, f->name, keep_sums, &stats, &err));
	return stats;
}

int fan_open(struct fan *f, const char *stage, const char *port, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MOUNT_POINT "/%s/%s/%s", f->name, stage, port);
	return sys(open(path, flags | O_CLOEXEC));
}

int fan_writer(struct fan *f, int flags)
{
	return fan_open(f, "a", FAASIN_PORT_OUT, (flags & O_ACCMODE ? 0 : O_WRONLY) | flags);
}

int fan_reader(struct fan *f, unsigned int i, int flags)
{
	char name[16];

	snprintf(name, sizeof(name), "r%u", i);
	return fan_open(f, name, FAASIN_PORT_IN, O_RDONLY | flags);
}

void nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

bool fan_gets_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, DEADLINE * 1000) == 1 && p.revents == POLLOUT;
}

long fill(int fd, unsigned int tag)
{
	char buf[PAGE];
	long done = 0, n;

	nonblocking(fd);
	for (;;) {
		pattern_fill(buf, sizeof(buf), tag, done);
		n = sys(write(fd, buf, sizeof(buf)));
		if (n < 0)
			return n == -EAGAIN ? done : n;
		done += n;
	}
}

bool reads(int fd, size_t len, unsigned int tag, uint64_t at)
{
	char buf[PAGE];
	size_t n;

	for (; len; len -= n, at += n) {
		n = len < sizeof(buf) ? len : sizeof(buf);
		if (read_full(fd, buf, n) != (long)n || !pattern_is(buf, n, tag, at))
			return false;
	}
	return true;
}
