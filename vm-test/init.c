// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of a test guest.
 *
 * Makes the machine's own root file system (9p, read-only) writable with a
 * tmpfs over it, mounts what a system has mounted, loads the module, runs one
 * command and says how it ended.
 *
 * The command's output and the result travel over virtio-serial ports of their
 * own, so the console carries what the kernel has to say and nothing else; the
 * host searches it for splats. When anything goes wrong in here, die() says so
 * on the result port and the guest ends: there is nobody to ask.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_WORDS	4096
#define ROOT_OPTIONS	"trans=virtio,version=9p2000.L,msize=512000,access=any,"

static int result_fd = -1;

/* What the host asks for: NUL-separated NAME=VALUE words, "--", the command. */
static struct {
	const char *cwd;
	const char *cache;
	const char *path;
	const char *modules;	/* where the kernel's modules are unpacked */
	const char *release;
	const char *module;	/* faasin.ko, or NULL */
	const char *series;
	bool output;		/* a writable share for /output exists */
	bool merge;		/* standard output and error are one file */
	int limit;		/* seconds that the command may take */
	char **argv;
} job;

static void result(const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (result_fd >= 0 && write(result_fd, line, len) == len)
		return;
	dprintf(STDERR_FILENO, "init: %s", line);
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	/* Not reached with ACPI; without it, -no-reboot makes this the end too. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

#define die(...)				\
	do {					\
		result("lost " __VA_ARGS__);	\
		power_off();			\
	} while (0)

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static char *read_file(const char *path, size_t *size)
{
	size_t room = 1 << 16, len = 0;
	char *text = malloc(room + 1), *larger;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0 && text && (n = read(fd, text + len, room - len)) > 0) {
		len += n;
		if (len < room)
			continue;
		larger = realloc(text, 2 * room + 1);
		if (!larger) {
			n = -1;
			break;
		}
		room *= 2;
		text = larger;
	}
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	if (size)
		*size = len;
	return text;
}

static void mount_at(const char *what, const char *where, const char *type,
		     unsigned long flags, const char *options)
{
	if (mkdir(where, 0755) && errno != EEXIST)
		die("cannot create %s: %s\n", where, strerror(errno));
	if (mount(what, where, type, flags, options))
		die("cannot mount %s at %s: %s\n", type ? type : what, where,
		    strerror(errno));
}

/* For what not every kernel has. */
static void mount_if_possible(const char *what, const char *where,
			      const char *type, unsigned long flags)
{
	mkdir(where, 0755);
	mount(what, where, type, flags, NULL);
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("cannot open module %s: %s\n", path, strerror(errno));
	if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
		die("cannot load module %s: %s\n", path, strerror(errno));
	close(fd);
}

/* The modules that the initramfs brings, in the order that the host resolved. */
static void load_boot_modules(void)
{
	char *list = read_file("/modules/order", NULL);
	char *name, path[256];

	for (name = strtok(list, "\n"); name; name = strtok(NULL, "\n")) {
		snprintf(path, sizeof(path), "/modules/%s", name);
		load_module(path);
	}
}

/* Ports appear some time after their bus: wait for the one named @wanted. */
static int open_port(const char *wanted)
{
	char path[512], *name;
	struct dirent *entry;
	int tries, fd;
	DIR *dir;

	for (tries = 0; tries < 10000; tries++) {
		dir = opendir("/sys/class/virtio-ports");
		while (dir && (entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path),
				 "/sys/class/virtio-ports/%s/name", entry->d_name);
			name = read_file(path, NULL);
			if (!name)
				continue;
			name[strcspn(name, "\n")] = '\0';
			if (!strcmp(name, wanted)) {
				snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
				fd = open(path, O_WRONLY | O_CLOEXEC);
				if (fd >= 0) {
					free(name);
					closedir(dir);
					return fd;
				}
			}
			free(name);
		}
		if (dir)
			closedir(dir);
		usleep(1000);
	}
	die("no virtio-serial port %s\n", wanted);
}

static void read_job(const char *path)
{
	static char *words[MAX_WORDS + 1];
	size_t size, count = 0;
	char *text, *word, *value;

	text = read_file(path, &size);
	if (!text)
		die("cannot read the job %s: %s\n", path, strerror(errno));
	for (word = text; word < text + size; word += strlen(word) + 1) {
		if (count == MAX_WORDS)
			die("the command has more than %d words\n", MAX_WORDS);
		words[count++] = word;
	}

	for (job.argv = words; *job.argv && strcmp(*job.argv, "--"); job.argv++) {
		value = strchr(*job.argv, '=');
		if (!value)
			die("the job has a word without a value: %s\n", *job.argv);
		*value++ = '\0';
		word = *job.argv;
		if (!strcmp(word, "cwd"))
			job.cwd = value;
		else if (!strcmp(word, "cache"))
			job.cache = value;
		else if (!strcmp(word, "path"))
			job.path = value;
		else if (!strcmp(word, "modules"))
			job.modules = value;
		else if (!strcmp(word, "release"))
			job.release = value;
		else if (!strcmp(word, "module"))
			job.module = value;
		else if (!strcmp(word, "series"))
			job.series = value;
		else if (!strcmp(word, "output"))
			job.output = atoi(value);
		else if (!strcmp(word, "merge"))
			job.merge = atoi(value);
		else if (!strcmp(word, "limit"))
			job.limit = atoi(value);
		else
			setenv(word, value, 1);
	}
	if (!*job.argv || !*++job.argv)
		die("the job has no command\n");
}

/* The machine's root, writable but for the next boot, becomes this one's. */
static void enter_root(void)
{
	mount_at("rw", "/rw", "tmpfs", 0, "mode=755,size=90%");
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	mount_at("overlay", "/root", "overlay", 0,
		 "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work");
	mount_at("/dev", "/root/dev", NULL, MS_MOVE, NULL);
	mount_at("/sys", "/root/sys", NULL, MS_MOVE, NULL);
	mount_at("/proc", "/root/proc", NULL, MS_MOVE, NULL);
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		die("cannot enter the root: %s\n", strerror(errno));
}

static void make_path(const char *path)
{
	char *copy = strdup(path), *slash = copy;

	while (slash && (slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		mkdir(copy, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
	free(copy);
}

/* A fresh /tmp or /run must not hide a clone or a cache that lies in there. */
static void mount_empty(const char *where, const char *options)
{
	const char *keep[] = { job.cwd, job.cache };
	int fds[ARRAY_SIZE(keep)];
	size_t i, len = strlen(where);
	char path[64];

	for (i = 0; i < ARRAY_SIZE(keep); i++) {
		fds[i] = -1;
		if (!strncmp(keep[i], where, len) && keep[i][len] == '/')
			fds[i] = open(keep[i], O_PATH | O_CLOEXEC);
	}
	mount_at("tmpfs", where, "tmpfs", MS_NOSUID | MS_NODEV, options);
	for (i = 0; i < ARRAY_SIZE(keep); i++) {
		if (fds[i] < 0)
			continue;
		make_path(keep[i]);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		mount_at(path, keep[i], NULL, MS_BIND, NULL);
		close(fds[i]);
	}
}

static void mount_system(void)
{
	const unsigned long strict = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char path[256];

	if (job.modules) {
		mkdir("/lib/modules", 0755);
		snprintf(path, sizeof(path), "/lib/modules/%s", job.release);
		mount_at(job.modules, path, NULL, MS_BIND, NULL);
	}
	if (job.module)
		load_module(job.module);

	mkdir("/dev/pts", 0755);
	mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		 "gid=5,mode=620,ptmxmode=666");
	mount_at("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_if_possible("mqueue", "/dev/mqueue", "mqueue", strict);
	mount_empty("/run", "mode=755");
	mount_empty("/tmp", "mode=1777");
	mkdir("/run/lock", 01777);
	mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", strict, "nsdelegate");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+pids");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+io");
	/*
	 * The kernel patches its code when the first cgroup below the root comes
	 * and the last one goes; emulated CPUs can lose that race (see run). So
	 * there always is one, from a time on when nothing else runs.
	 */
	mkdir("/sys/fs/cgroup/vm-test", 0755);
	mount_if_possible("securityfs", "/sys/kernel/security", "securityfs", strict);
	mount_if_possible("debugfs", "/sys/kernel/debug", "debugfs", strict);
	mount_if_possible("tracefs", "/sys/kernel/tracing", "tracefs", strict);
	mount_if_possible("bpf", "/sys/fs/bpf", "bpf", strict);
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");

	if (job.output)
		mount_at("output", "/output", "9p", 0, ROOT_OPTIONS "cache=none");
}

static void bring_up_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!ioctl(fd, SIOCGIFFLAGS, &request)) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
}

static void settle(void)
{
	struct rlimit files = { .rlim_cur = 1024, .rlim_max = 524288 };

	umask(022);
	sethostname("guest", 5);
	bring_up_loopback();
	setrlimit(RLIMIT_NOFILE, &files);
	write_file("/proc/sys/kernel/core_pattern", "/tmp/core.%e.%p");
	write_file("/proc/sys/kernel/hung_task_panic", "1");
	/* Boot messages cost time on an emulated console; from here on, all. */
	write_file("/proc/sys/kernel/printk", "8 4 1 7");
	write_file("/sys/kernel/debug/kmemleak", "scan=off");
	write_file("/sys/kernel/debug/kmemleak", "clear");

	setenv("PATH", job.path, 1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("LANG", "C.UTF-8", 1);
	setenv("TERM", "dumb", 1);
	setenv("FAASIN_GUEST", job.series, 1);

	if (job.module && mount("none", "/sys/fs/faasin", "faasin",
				MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		die("the module is loaded, but faasin does not mount at /sys/fs/faasin: %s\n",
		    strerror(errno));
	if (chdir(job.cwd))
		die("cannot change to %s: %s\n", job.cwd, strerror(errno));
}

/* Returns false at the end of @from. */
static bool relay(int from, int to)
{
	static char buffer[1 << 16];
	ssize_t n, done, len;

	len = read(from, buffer, sizeof(buffer));
	if (len < 0)
		return errno == EAGAIN || errno == EINTR;
	for (done = 0; done < len; done += n) {
		n = write(to, buffer + done, len - done);
		if (n < 0)
			die("cannot pass output on: %s\n", strerror(errno));
	}
	return len > 0;
}

static void log_kernel(const char *format, ...)
{
	char line[900];
	va_list args;
	int fd;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		write(fd, line, strlen(line));
		close(fd);
	}
}

static void log_stack(const char *pid, const char *command)
{
	char path[300], *stack, *line;

	snprintf(path, sizeof(path), "/proc/%s/stack", pid);
	stack = read_file(path, NULL);
	log_kernel("init: process %s, %s\n", pid, command);
	for (line = stack ? strtok(stack, "\n") : NULL; line; line = strtok(NULL, "\n"))
		log_kernel("init: - %s\n", line);
	free(stack);
}

/* Where does everything stand? For the log of a run that took too long. */
static void log_stacks(void)
{
	char path[300], *command;
	struct dirent *entry;
	DIR *dir;

	write_file("/proc/sysrq-trigger", "l");
	write_file("/proc/sysrq-trigger", "w");
	dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		if (atoi(entry->d_name) <= 1)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		command = read_file(path, NULL);
		if (command && *command) /* a kernel thread has none */
			log_stack(entry->d_name, command);
		free(command);
	}
	if (dir)
		closedir(dir);
}

static pid_t start(int out, int err, const sigset_t *mask)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		die("cannot fork: %s\n", strerror(errno));
	if (pid)
		return pid;

	setsid();
	sigprocmask(SIG_SETMASK, mask, NULL);
	null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
	execvp(job.argv[0], job.argv);
	dprintf(STDERR_FILENO, "%s: %s\n", job.argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/*
 * Runs the command and passes its output on. Returns its wait status, or -1
 * when it had to be stopped.
 */
static int run(int out_port, int err_port)
{
	struct timespec now;
	struct signalfd_siginfo info;
	int out[2], err[2], status = 0, left, got, rounds = 0;
	sigset_t mask, old;
	time_t end = 0;
	bool over = false;
	pid_t pid, dead;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &old);
	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("cannot create a pipe: %s\n", strerror(errno));
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);

	struct pollfd fds[] = {
		{ .fd = out[0], .events = POLLIN },
		{ .fd = err[0], .events = POLLIN },
		{ .fd = signalfd(-1, &mask, SFD_CLOEXEC), .events = POLLIN },
	};

	pid = start(out[1], job.merge ? out[1] : err[1], &old);
	close(out[1]);
	close(err[1]);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (job.limit)
		end = now.tv_sec + job.limit;

	/*
	 * What the command left running may hold the pipes for ever: once it
	 * has ended, pass on what is there (a pipe's capacity, 1 MiB at most) and
	 * no more.
	 */
	for (;;) {
		left = over ? 0 : -1;
		if (end && !over) {
			clock_gettime(CLOCK_MONOTONIC, &now);
			if (now.tv_sec >= end) {
				log_kernel("init: the command took %d s\n", job.limit);
				log_stacks();
				return -1;
			}
			left = (end - now.tv_sec) * 1000;
		}
		got = poll(fds, ARRAY_SIZE(fds), left);
		if (over && (got <= 0 || ++rounds > 16))
			return status;
		if (fds[0].revents && !relay(fds[0].fd, out_port))
			fds[0].fd = -1;
		if (fds[1].revents && !relay(fds[1].fd, err_port))
			fds[1].fd = -1;
		if (fds[2].revents & POLLIN) {
			(void)!read(fds[2].fd, &info, sizeof(info));
			int one;

			while ((dead = waitpid(-1, &one, WNOHANG)) > 0)
				if (dead == pid) {
					status = one;
					over = true;
				}
		}
	}
}

static void kill_the_rest(void)
{
	int tries;

	kill(-1, SIGKILL);
	for (tries = 0; tries < 2000; tries++) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (!pid)
			usleep(1000);
	}
	log_stacks();
	result("bad processes of the command cannot be killed\n");
}

/*
 * With every process gone nothing may hold the module: what does is a leak.
 * References dropped late (RCU, queued work) get some time.
 */
static void unload_module(void)
{
	int tries, error = 0;
	char *count;

	for (tries = 0; tries < 100; tries++) {
		while (!umount2("/sys/fs/faasin", 0))
			;
		if (!syscall(SYS_delete_module, "faasin", O_NONBLOCK))
			return;
		error = errno;
		if (error == ENOENT) /* the command unloaded it */
			return;
		usleep(50000);
	}
	count = read_file("/sys/module/faasin/refcnt", NULL);
	result("bad the module cannot be unloaded with every process gone: %s, %d references\n",
	       strerror(error), count ? atoi(count) : -1);
	free(count);
}

static void look_for_leaks(void)
{
	const char *file = "/sys/kernel/debug/kmemleak";
	char *text, *line;

	if (access(file, W_OK))
		return;
	/* kmemleak does not report what is younger than five seconds. */
	sleep(6);
	write_file(file, "scan");
	write_file(file, "scan");
	text = read_file(file, NULL);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		log_kernel("%s\n", line);
}

int main(int argc, char **argv)
{
	char *parameter, *job_path, *end;
	int out_port, err_port, status;

	(void)argc;
	(void)argv;
	mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
	mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);

	parameter = read_file("/proc/cmdline", NULL);
	job_path = parameter ? strstr(parameter, "faasin.job=") : NULL;
	if (!job_path) { /* the host only wants to know whether a guest boots */
		dprintf(STDERR_FILENO, "init: no job\n");
		power_off();
	}
	job_path += strlen("faasin.job=");
	end = job_path + strcspn(job_path, "\n ");
	*end = '\0';

	load_boot_modules();
	result_fd = open_port("result");
	mount_at("root", "/lower", "9p", MS_RDONLY, ROOT_OPTIONS "cache=loose");
	if (asprintf(&job_path, "/lower%s", job_path) < 0)
		die("no memory\n");
	read_job(job_path);
	out_port = open_port("stdout");
	err_port = open_port("stderr");

	enter_root();
	mount_system();
	settle();
	result("started\n");

	status = run(out_port, err_port);
	kill_the_rest();
	if (job.module)
		unload_module();
	look_for_leaks();
	if (status < 0)
		result("timeout\n");
	else if (WIFSIGNALED(status))
		result("exit %d\n", 128 + WTERMSIG(status));
	else
		result("exit %d\n", WEXITSTATUS(status));
	power_off();
}
