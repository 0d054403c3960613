// SPDX-License-Identifier: GPL-2.0
/* A system that answers with a fuzzer's bytes: see harness.h. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>
#include <sanitizer/asan_interface.h>

#include "harness.h"

int faasctl_main(int argc, char **argv);

/* What was replaced. */
int __real_sigaction(int sig, const struct sigaction *action, struct sigaction *old);
int __real_sigprocmask(int how, const sigset_t *set, sigset_t *old);
FILE *__real_fopen(const char *path, const char *mode);
int __real_open(const char *path, int flags, ...);
long __real_syscall(long number, ...);
void __real_exit(int status) __attribute__((noreturn));

/* Lengths of a datagram that stand for something else. */
#define NO_ROOM		0xffff	/* events were lost */
#define A_STRANGER	0xfffe	/* what follows is from another process */
#define TOO_LONG	0xfffd	/* what follows was cut short */

static struct {
	struct bytes answers;
	struct bytes mountinfo;
	bool mounts;
	bool files;
	uint8_t refusals;
	bool unreachable;
	bool running;
	jmp_buf out;
} harness;

void harness_broken(const char *text, const char *file, int line)
{
	dprintf(STDERR_FILENO, "broken promise: %s (%s:%d)\n", text, file, line);
	abort();
}

/* -------------------------------------------------------------------- input */

uint8_t bytes_u8(struct bytes *bytes)
{
	if (!bytes->left)
		return 0;
	bytes->left--;
	return *bytes->p++;
}

/* Up to @end or the input's end; the caller's to free. Of its size exactly. */
char *bytes_string(struct bytes *bytes, char end)
{
	const uint8_t *stop = memchr(bytes->p, end, bytes->left);
	size_t len = stop ? (size_t)(stop - bytes->p) : bytes->left;
	char *s = malloc(len + 1);

	if (!s)
		abort();
	memcpy(s, bytes->p, len);
	s[len] = '\0';
	bytes->p += len + !!stop;
	bytes->left -= len + !!stop;
	return s;
}

/* ------------------------------------------------------------------ netlink */

/* Datagrams, each behind its length in two bytes, the lower one first. */
void harness_answers(struct bytes bytes)
{
	harness.answers = bytes;
}

int __wrap_faasctl__connect(struct faasctl *ctl, struct faasctl_error *err)
{
	if (harness.unreachable)
		return faasctl__fail(err, ENOENT, "nobody is there");
	ctl->buf = malloc(FAASCTL__BUFFER);
	ctl->sock = nl_socket_alloc();
	if (!ctl->buf || !ctl->sock)
		abort();
	ctl->family = HARNESS_FAMILY;
	return 0;
}

/*
 * A handle as faasctl_open() leaves it. The number of its last request is such
 * that the first answer is to the next one: no fuzzer has to guess it.
 */
struct faasctl *harness_handle(void)
{
	struct faasctl *ctl = calloc(1, sizeof(*ctl));
	struct nlmsghdr hdr;

	if (!ctl)
		abort();
	__wrap_faasctl__connect(ctl, NULL);
	if (harness.answers.left >= 2 + sizeof(hdr)) {
		memcpy(&hdr, harness.answers.p + 2, sizeof(hdr));
		ctl->seq = hdr.nlmsg_seq - 1;
	}
	return ctl;
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *to, socklen_t size)
{
	const struct nlmsghdr *hdr = buf;

	PROMISE(hdr->nlmsg_len == len && len >= NLMSG_HDRLEN + GENL_HDRLEN,
		"a request is as long as it says");
	PROMISE(hdr->nlmsg_type == HARNESS_FAMILY, "a request is the family's");
	return len;
}

/* What is behind the datagram may not be looked at. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl *from = msg->msg_name;
	char *to = msg->msg_iov->iov_base;
	size_t room = msg->msg_iov->iov_len;
	struct bytes *in = &harness.answers;
	size_t len;

	if (in->left < 2) {
		errno = flags & MSG_DONTWAIT ? EAGAIN : ENOTCONN;
		return -1;
	}
	len = bytes_u8(in);
	len |= (size_t)bytes_u8(in) << 8;
	if (len == NO_ROOM) {
		errno = ENOBUFS;
		return -1;
	}
	from->nl_pid = len == A_STRANGER;
	msg->msg_flags = len == TOO_LONG ? MSG_TRUNC : 0;
	if (len > in->left)
		len = in->left;
	if (len > room)
		len = room;
	ASAN_UNPOISON_MEMORY_REGION(to, room);
	memcpy(to, in->p, len);
	ASAN_POISON_MEMORY_REGION(to + len, room - len);
	in->p += len;
	in->left -= len;
	return len;
}

int __wrap_genl_ctrl_resolve_grp(struct nl_sock *sock, const char *family,
				 const char *group)
{
	return 1;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t len)
{
	return 0;
}

/* There is something to read until the input is used up; then it fails. */
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time,
		 const sigset_t *mask)
{
	nfds_t i;

	for (i = 0; i < n; i++)
		fds[i].revents = 0;
	if (harness.answers.left >= 2)
		return 1;
	errno = EBADF;
	return -1;
}

/* What it prints goes to streams of memory, which keep their own buffers. */
int __wrap_setvbuf(FILE *stream, char *buf, int mode, size_t size)
{
	return 0;
}

int __wrap_sigaction(int sig, const struct sigaction *action,
		     struct sigaction *old)
{
	return harness.running ? 0 : __real_sigaction(sig, action, old);
}

int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return harness.running ? 0 : __real_sigprocmask(how, set, old);
}

/* --------------------------------------------------------------------- files */

/* What /proc/self/mountinfo has from now on. */
void harness_mountinfo(struct bytes bytes)
{
	harness.mountinfo = bytes;
	harness.mounts = true;
}

/* No file is real from now on. Each bit: that which of eight calls in turn fails. */
void harness_files(uint8_t refusals)
{
	harness.files = true;
	harness.refusals = refusals;
}

/* From now on no handle can be opened, and nothing may be done without one. */
void harness_unreachable(bool on)
{
	harness.unreachable = on;
}

static bool refuse(void)
{
	bool refused = harness.refusals & 1;

	PROMISE(!harness.unreachable, "no system call without a handle");
	harness.refusals = harness.refusals >> 1 | refused << 7;
	return refused;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	FILE *f;

	if (!harness.running)
		return __real_fopen(path, mode);
	if (!harness.mounts || strcmp(path, "/proc/self/mountinfo")) {
		errno = ENOENT;
		return NULL;
	}
	if (!harness.mountinfo.left)
		return __real_fopen("/dev/null", "re");
	f = fmemopen((void *)harness.mountinfo.p, harness.mountinfo.left, "r");
	if (!f)
		abort();
	return f;
}

static int some_file(void)
{
	if (refuse()) {
		errno = harness.refusals & 2 ? ENOENT : ENOTDIR;
		return -1;
	}
	return __real_open("/dev/null", O_RDWR | O_CLOEXEC);
}

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if (harness.running && harness.files) {
		PROMISE(!(flags & (O_CREAT | O_WRONLY | O_RDWR)),
			"only directories are opened by their whole path");
		return some_file();
	}
	if (flags & O_CREAT) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return __real_open(path, flags, mode);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	PROMISE(harness.running && harness.files, "no file is opened here");
	PROMISE(dir >= 0 && path[0] != '/', "a path stays below its directory");
	return some_file();
}

int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	PROMISE(harness.running && harness.files, "nothing is made here");
	PROMISE(dir >= 0 && *path && !strchr(path, '/') && path[0] != '.',
		"a directory that is made has a proper name");
	if (refuse()) {
		errno = harness.refusals & 2 ? EEXIST : EROFS;
		return -1;
	}
	return 0;
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
	PROMISE(harness.running && harness.files, "nothing is removed here");
	PROMISE(dir >= 0 && !strncmp(path, FAASCTL__CGROUP, strlen(FAASCTL__CGROUP)) &&
		!strstr(path, "/.") && flags == AT_REMOVEDIR,
		"only this tool's own directories are removed");
	if (refuse()) {
		errno = EBUSY;
		return -1;
	}
	return 0;
}

int __wrap_fstatfs(int fd, struct statfs *fs)
{
	memset(fs, 0, sizeof(*fs));
	fs->f_type = refuse() ? TMPFS_MAGIC : CGROUP2_SUPER_MAGIC;
	return 0;
}

/* ----------------------------------------------------------------- processes */

static void no_process(void)
{
	PROMISE(!harness.running, "no process is started here");
}

/* Which none of the library's and the tool's is for but this: clone3(). */
long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;
	size_t i;

	no_process();
	va_start(args, number);
	for (i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __wrap_execvp(const char *file, char *const argv[])
{
	no_process();
	return -1;
}

void __wrap_exit(int status) __attribute__((noreturn));

void __wrap_exit(int status)
{
	if (harness.running)
		longjmp(harness.out, status + 1);
	__real_exit(status);
}

/*
 * Runs what prints, and may call exit(); returns its status. Whatever is
 * promised of files, mounts and handles holds until then.
 */
int harness_run(int (*fn)(void *arg), void *arg, struct output *output)
{
	FILE *volatile out = stdout, *volatile err = stderr;
	volatile int status;
	int left;

	memset(output, 0, sizeof(*output));
	stdout = open_memstream(&output->text, &output->len);
	stderr = open_memstream(&output->errors, &output->errors_len);
	if (!stdout || !stderr)
		abort();
	harness.running = true;
	left = setjmp(harness.out);
	status = left ? left - 1 : fn(arg);
	harness.running = false;
	harness.mounts = false;
	harness.files = false;
	harness.unreachable = false;
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	return status;
}

/**
 * struct words - a command line
 * @argc: number of words
 * @argv: the words
 */
struct words {
	int argc;
	char **argv;
};

static int tool(void *arg)
{
	struct words *words = arg;

	return faasctl_main(words->argc, words->argv);
}

/* Runs faasctl. */
int harness_tool(int argc, char **argv, struct output *output)
{
	struct words words = { argc, argv };

	return harness_run(tool, &words, output);
}

void harness_output_free(struct output *output)
{
	free(output->text);
	free(output->errors);
}

/* Nothing that a terminal would obey. */
void harness_check_printable(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		PROMISE((unsigned char)text[i] >= ' ' || text[i] == '\n' ||
			text[i] == '\t', "no control characters are printed");
	PROMISE(!memchr(text, 0x7f, len), "no control characters are printed");
	PROMISE(!len || text[len - 1] == '\n', "output ends in a whole line");
}

/* A failure says why, in one line that ends. */
void harness_check_error(const struct faasctl_error *err, int ret)
{
	size_t len = strnlen(err->message, sizeof(err->message));

	PROMISE(ret < 0 && err->code == -ret, "a failure carries its errno");
	PROMISE(len && len < sizeof(err->message), "a failure carries a text");
	PROMISE(!memchr(err->message, '\n', len), "the text is one line");
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* Colours are for terminals, and this may be on one. */
	setenv("NO_COLOR", "1", 1);
	return 0;
}
