// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands run as stages: their ports, their lives and what becomes of streams. */
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "process.h"
#include "traceparent.h"

/* What it takes to give a child back what the wrapper changed for itself. */
static sigset_t held, old_mask;
static struct sigaction old_child;

int wrapper_error(int status, const char *format, ...)
{
	va_list args;

	fputs("faasctl: ", stderr);
	va_start(args, format);
	complain(format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

int wrapper_fail(const struct faasctl_error *err)
{
	fail(err);
	return STATUS_WRAPPER;
}

/* -------------------------------------------------------------------- ports */

static int open_path(const char *path, int flags)
{
	int fd, high;

	do {
		fd = open(path, flags | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	/* Whoever started us without them: 0 to 2 are the command's. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return high;
}

static int cannot_open(const struct process *process, const char *path)
{
	if (errno == ENOENT)
		return wrapper_error(STATUS_WRAPPER,
				     "there is no %s: stage \"%s\" was deleted",
				     path, process->stage);
	if (errno == EACCES)
		return wrapper_error(STATUS_WRAPPER,
				     "not allowed to open %s: it takes CAP_SYS_ADMIN and the port's permission",
				     path);
	return wrapper_error(STATUS_WRAPPER, "cannot open %s: %s", path,
			     strerror(errno));
}

/*
 * Opens one of the stage's two default ports. One that is not linked stays -1, or
 * is waited for.
 */
int process_open(struct process *process, const char *port, bool wait)
{
	bool out = !strcmp(port, FAASIN_PORT_OUT);
	int flags = out ? O_WRONLY : O_RDONLY;
	struct faasctl_error err;
	char path[4096];
	int fd;

	if (faasctl_port_path(process->workflow, process->stage, port, path,
			      sizeof(path), &err))
		return wrapper_fail(&err);
	fd = open_path(path, wait ? flags : flags | O_NONBLOCK);
	if (fd < 0 && !wait && errno == ENXIO)
		return 0;
	/* It is linked, and full of streams: for the next one there is a wait. */
	if (fd < 0 && !wait && errno == EAGAIN) {
		fd = open_path(path, flags);
		wait = true;
	}
	if (fd < 0)
		return cannot_open(process, path);
	*(out ? &process->out : &process->in) = fd;
	/* The commands' files must block as a pipe does. */
	if (!wait && fcntl(fd, F_SETFL, flags))
		return wrapper_error(STATUS_WRAPPER,
				     "cannot make %s blocking: %s", path,
				     strerror(errno));
	return 0;
}

static void close_ports(struct process *process)
{
	closep(&process->in);
	closep(&process->out);
	process->in = -1;
	process->out = -1;
}

/*
 * Of a command that never ran: its stream is not an empty one, there is none.
 * What its input has stays for the next.
 */
void process_close(struct process *process)
{
	struct faasin_abort request = { .cause = FAASIN_CAUSE_REQUEST };

	if (process->out >= 0)
		ioctl(process->out, FAASIN_IOC_ABORT, &request);
	close_ports(process);
	closep(&process->cgroup);
	process->cgroup = -1;
}

/*
 * Ends the streams of a command that ended: whatever it left behind may hold its
 * descriptors still. It is not reaped yet, so that its pid means it. A stream
 * whose reader has left, as after SIGPIPE, is over already and stays so.
 */
void process_finish(struct process *process)
{
	struct faasin_abort death = {
		.cause = process->signal ? FAASIN_CAUSE_SIGNAL :
					   FAASIN_CAUSE_STATUS,
		.code = process->signal ? process->signal : process->status,
		.pid = process->pid,
	};
	bool aborts = false;

	/* Nothing was done: that must not look like an empty result. */
	if (process->abort_on == FAASIN_ABORT_ON_CRASH)
		aborts = process->status >= 128 || process->never_ran;
	else if (process->abort_on == FAASIN_ABORT_ON_NONZERO)
		aborts = process->status;
	if (process->out >= 0 && aborts)
		ioctl(process->out, FAASIN_IOC_ABORT, &death);
	else if (process->out >= 0)
		ioctl(process->out, FAASIN_IOC_END);
	/*
	 * ENODATA: nothing had come, and what comes is the next one's; as is what a
	 * command that never ran would have read.
	 */
	if (process->in >= 0 && !process->never_ran)
		ioctl(process->in, FAASIN_IOC_END);
	close_ports(process);
}

/* ------------------------------------------------------------------- starting */

/**
 * struct start - what the commands are started with
 * @all: all of them
 * @n: how many
 * @gate: pipe; a byte for each lets it go, an end of file sends it away
 * @errors: pipe; carries struct exec_error
 */
struct start {
	struct process *all;
	size_t n;
	int gate[2];
	int errors[2];
};

/**
 * struct exec_error - a command that could not be executed
 * @index: which
 * @code: errno
 */
struct exec_error {
	size_t index;
	int code;
};

static void set_port_variable(const struct process *process, const char *name,
			      const char *port)
{
	char path[4096];

	if (!faasctl_port_path(process->workflow, process->stage, port, path,
			       sizeof(path), NULL))
		setenv(name, path, 1);
}

static int dup_onto(int fd, int standard)
{
	return fd < 0 ? 0 : dup2(fd, standard);
}

static void child(struct start *start, size_t index) __attribute__((noreturn));

static void child(struct start *start, size_t index)
{
	struct process *process = &start->all[index];
	struct exec_error error = { .index = index };
	char byte;
	size_t i;

	/*
	 * The others' ports must be gone before this one can die of anything:
	 * its death would count as a holder's.
	 */
	for (i = 0; i < start->n; i++)
		if (i != index)
			close_ports(&start->all[i]);
	close(start->gate[1]);
	sigaction(SIGCHLD, &old_child, NULL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	if (read(start->gate[0], &byte, 1) != 1)
		_exit(STATUS_WRAPPER);
	set_port_variable(process, "FAASIN", FAASIN_PORT_IN);
	set_port_variable(process, "FAASOUT", FAASIN_PORT_OUT);
	if (dup_onto(process->in, STDIN_FILENO) < 0 ||
	    dup_onto(process->out, STDOUT_FILENO) < 0 ||
	    (process->keep >= 0 && fcntl(process->keep, F_SETFD, 0)))
		_exit(STATUS_WRAPPER);
	execvp(process->argv[0], process->argv);
	error.code = errno;
	if (write(start->errors[1], &error, sizeof(error)) < 0)
		_exit(STATUS_WRAPPER);
	_exit(error.code == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT);
}

/* Forks right into the cgroup: no moment of its life is spent elsewhere. */
static pid_t fork_into(int cgroup)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (cgroup >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = cgroup;
	}
	return syscall(SYS_clone3, &args, sizeof(args));
}

static int cannot_fork(const struct process *process)
{
	switch (errno) {
	case EBUSY:
		return wrapper_error(STATUS_WRAPPER,
				     "the cgroup of stage \"%s\" takes no processes: it shares controllers out to cgroups below; bind one of those with: faasctl stage add --cgroup",
				     process->stage);
	case EOPNOTSUPP:
		return wrapper_error(STATUS_WRAPPER,
				     "the cgroup of stage \"%s\" is threaded: bind the stage to another with: faasctl stage add --cgroup",
				     process->stage);
	case ENODEV:
		return wrapper_error(STATUS_WRAPPER,
				     "the cgroup of stage \"%s\" was removed: try again",
				     process->stage);
	case EACCES:
		return wrapper_error(STATUS_WRAPPER,
				     "not allowed to move into the cgroup of stage \"%s\": it takes write permission to its cgroup.procs",
				     process->stage);
	}
	return wrapper_error(STATUS_WRAPPER,
			     "cannot start a process for stage \"%s\": %s",
			     process->stage, strerror(errno));
}

static int fork_all(struct start *start)
{
	size_t i;
	pid_t pid;

	fflush(NULL);
	for (i = 0; i < start->n; i++) {
		pid = fork_into(start->all[i].cgroup);
		if (!pid)
			child(start, i);
		if (pid < 0)
			return cannot_fork(&start->all[i]);
		start->all[i].pid = pid;
	}
	return 0;
}

static void cannot_execute(const struct process *process, int code)
{
	const char *name = process->argv[0];

	if (code == ENOENT && strchr(name, '/') && !access(name, F_OK))
		wrapper_error(STATUS_NOT_FOUND,
			      "cannot execute \"%s\": its interpreter does not exist; correct its first line",
			      name);
	else if (code == ENOENT)
		wrapper_error(STATUS_NOT_FOUND,
			      "command \"%s\" not found: correct its name or PATH",
			      name);
	else if (code == EACCES)
		wrapper_error(STATUS_CANNOT,
			      "cannot execute \"%s\": it is not an executable file; correct its name or its permissions",
			      name);
	else
		wrapper_error(STATUS_CANNOT, "cannot execute \"%s\": %s", name,
			      strerror(code));
}

/* Each command's writing end is closed when it is executed. */
static void report_exec_errors(struct start *start)
{
	struct exec_error error;

	while (read(start->errors[0], &error, sizeof(error)) == sizeof(error)) {
		start->all[error.index].never_ran = true;
		cannot_execute(&start->all[error.index], error.code);
	}
}

/*
 * What a terminal sends, it sends to the commands too, as they are in our process
 * group; but not to one that did not exist yet.
 */
static void pass_on(const struct process *processes, size_t n, int sig, int code,
		    bool always)
{
	size_t i;

	if (sig == SIGCHLD || (code == SI_KERNEL && !always))
		return;
	for (i = 0; i < n; i++)
		if (processes[i].pid > 0)
			kill(processes[i].pid, sig);
}

void processes_hold_signals(void)
{
	static const struct sigaction plain_child = { .sa_handler = SIG_DFL };
	static const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD
	};
	size_t i;

	sigemptyset(&held);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&held, signals[i]);
	sigprocmask(SIG_BLOCK, &held, &old_mask);
	/* Were it ignored, children would vanish with their status. */
	sigaction(SIGCHLD, &plain_child, &old_child);
}

static void close_pipe(int *ends)
{
	closep(&ends[0]);
	closep(&ends[1]);
}

static int start_all(struct start *start)
{
	static const struct timespec now;
	siginfo_t info;
	int status;
	size_t i;

	if (pipe2(start->gate, O_CLOEXEC) || pipe2(start->errors, O_CLOEXEC))
		return wrapper_error(STATUS_WRAPPER, "cannot make a pipe: %s",
				     strerror(errno));
	status = fork_all(start);
	if (status)
		return status;
	close(start->errors[1]);
	start->errors[1] = -1;
	for (i = 0; i < start->n; i++)
		if (write(start->gate[1], "", 1) != 1)
			return wrapper_error(STATUS_WRAPPER,
					     "cannot start the commands: %s",
					     strerror(errno));
	while (sigtimedwait(&held, &info, &now) > 0)
		pass_on(start->all, start->n, info.si_signo, info.si_code, true);
	report_exec_errors(start);
	return 0;
}

/* Our own ends would keep those at the other side waiting for us. */
static void let_go_of_standard_files(void)
{
	_cleanup_(closep) int fd = open_path("/dev/null", O_RDWR);

	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
}

/**
 * processes_start - start all commands, or none
 * @processes: with their cgroups and ports
 * @n: how many
 *
 * Return: 0, or the status to exit with: no command was executed then.
 */
int processes_start(struct process *processes, size_t n)
{
	struct start start = {
		.all = processes, .n = n,
		.gate = { -1, -1 }, .errors = { -1, -1 },
	};
	size_t i;
	int status;

	/* Before a consumer can find anything to read. */
	for (i = 0; i < n; i++)
		if (processes[i].out >= 0)
			traceparent_give(processes[i].out);
	status = start_all(&start);
	close_pipe(start.gate);
	close_pipe(start.errors);
	if (!status) {
		let_go_of_standard_files();
		return 0;
	}
	for (i = 0; i < n; i++) {
		if (processes[i].pid > 0) {
			/* The gate has closed before it. */
			waitpid(processes[i].pid, NULL, 0);
			processes[i].pid = 0;
		}
		process_close(&processes[i]);
	}
	return status;
}

/* -------------------------------------------------------------------- waiting */

/* Returns whether it runs still. */
static bool look_after(struct process *process)
{
	siginfo_t info = { 0 };

	if (process->pid <= 0)
		return false;
	if (waitid(P_PID, process->pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	    !info.si_pid)
		return true;
	process->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
	process->status = process->signal ? 128 + process->signal :
					    info.si_status;
	process_finish(process);
	waitpid(process->pid, NULL, 0);
	process->pid = 0;
	return false;
}

/* Returns whether some run still. */
static bool look_after_all(struct process *processes, size_t n)
{
	bool running = false;
	size_t i;

	for (i = 0; i < n; i++)
		running |= look_after(&processes[i]);
	return running;
}

/* Waits for all commands, passes signals on, and ends each one's streams. */
void processes_wait(struct process *processes, size_t n)
{
	siginfo_t info;

	while (look_after_all(processes, n))
		if (sigwaitinfo(&held, &info) > 0)
			pass_on(processes, n, info.si_signo, info.si_code, false);
}

/*
 * A descriptor that can be read when there is a signal to pass on. To be called before commands
 * are started: without it nobody would look after them. Returns -1 if there is none, and says so.
 */
int processes_signals(void)
{
	int fd = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		wrapper_error(STATUS_WRAPPER, "cannot wait for signals: %s", strerror(errno));
	return fd;
}

/*
 * The same as processes_wait(), and calls @hear whenever a command has ended or one of @files can
 * be read, the first of which is that of processes_signals(). What has ended is reaped by then, so
 * all that it said is there. @hear can change @files.
 */
void processes_wait_and_hear(struct process *processes, size_t n, struct pollfd *files,
			     size_t n_files, void (*hear)(void *arg), void *arg)
{
	struct signalfd_siginfo info;
	bool running;

	do {
		running = look_after_all(processes, n);
		hear(arg);
		if (!running || poll(files, n_files, -1) < 0)
			continue;
		while (read(files->fd, &info, sizeof(info)) == sizeof(info))
			pass_on(processes, n, info.ssi_signo, info.ssi_code, false);
	} while (running);
}

/* ------------------------------------------------------------------- what became of them */

/* As a shell with pipefail: that of the last one that failed. */
int processes_status(const struct process *processes, size_t n)
{
	while (n-- > 0)
		if (processes[n].status)
			return processes[n].status;
	return STATUS_OK;
}

void processes_report(const struct process *processes, size_t n)
{
	const struct process *process;

	for (process = processes; process < processes + n; process++) {
		if (process->signal)
			fprintf(stderr, "%s: killed by %s\n", process->stage,
				text_signal(process->signal).s);
		else if (process->status)
			fprintf(stderr, "%s: exited %d\n", process->stage,
				process->status);
		else
			fprintf(stderr, "%s: ok\n", process->stage);
	}
}
