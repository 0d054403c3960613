// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Domains that are processes: where there are no keys, and for functions that keys do not
 * hold. The process is made at the first call and serves one call after the other. While
 * it does, it can ask for shared memory: the shared heap is kept by one process only.
 */
#include <fcntl.h>
#include <malloc.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "state.h"

/**
 * struct place - where an input is
 * @at: its first byte; NULL: there is none
 * @size: how much it is
 */
struct place {
	void *at;
	size_t size;
};

/**
 * struct call - what the process is to do
 * @fn: call this
 * @arg: with this
 * @gone: inputs that it must not see any more; these go first
 * @come: inputs that it can see from now on; a descriptor comes for each
 */
struct call {
	long (*fn)(void *arg);
	void *arg;
	struct place gone[INPUTS];
	struct place come[INPUTS];
};

enum word {
	WORD_NONE,
	WORD_DONE,		/* value: what the function returned */
	WORD_ALLOC,		/* value: how much; the answer: where */
	WORD_FREE,		/* value: where */
	WORD_SIZE,		/* value: where; the answer: how much */
	WORD_BEGUN,		/* first of all: it is confined */
	WORD_FAILED,		/* instead of that; value: errno */
};

/**
 * struct message - what the process says
 * @word: enum word
 * @value: see there
 */
struct message {
	uint64_t word;
	uint64_t value;
};

/**
 * struct process - the process of a domain
 * @pid: its number; 0: it was not made yet
 * @socket: to it
 * @life: a pipe that nobody writes to: its end is this process's
 * @its_socket: the other end of that, until the process has it; -1: this one does not
 * @its_life: likewise
 * @isolation: whom it is protected from
 * @filtered: it has a filter, though it is careful
 * @sent: what inputs it was told of
 * @mine: what it allocated and did not free, as tsearch(3) keeps it
 * @next: another one that is there, or is being made; guarded by making
 */
struct process {
	pid_t pid;
	int socket;
	int life;
	int its_socket;
	int its_life;
	enum faasctl_isolation isolation;
	bool filtered;
	struct faasctl_input sent[INPUTS];
	void *mine;
	struct process *next;
};

/*
 * Held while ends of processes come and go, and by fork(): what a process inherits of the others'
 * is known to it, and it closes that. Else a host that ends would neither be missed by them nor
 * end them, and one of them that ends would not be missed here. domains.lock comes after it: nobody
 * waits for this who has that.
 */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
/* Those that have ends. */
static struct process *processes;
/* What this thread's fork() is for; NULL: no process. */
static __thread struct process *makes __attribute__((tls_model("initial-exec")));

int process_home = -1;
static pid_t server;
static jmp_buf again;
static struct call now;

/* ----------------------------------------------------------------- the process itself */

/*
 * Nothing is left for this process to do, whoever's function it is in: what it came from is
 * gone.
 */
static void gone(void) __attribute__((noreturn));

static void gone(void)
{
	syscall(SYS_exit_group, 0);
	__builtin_trap();
}

static void say(uint64_t word, uint64_t value)
{
	struct message message = { word, value };
	ssize_t n;

	do
		n = send(process_home, &message, sizeof(message), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(message))
		gone();
}

static void hear(void *answer, size_t size, struct msghdr *msg)
{
	ssize_t n;

	do
		n = msg ? recvmsg(process_home, msg, MSG_CMSG_CLOEXEC) :
			  recv(process_home, answer, size, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)size)
		gone();
}

/* A question by any thread of this process; 0 for one that a function made. */
static uint64_t ask(uint64_t word, uint64_t value)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	uint64_t answer = 0;

	if (getpid() != server)
		return 0;
	pthread_mutex_lock(&one);
	say(word, value);
	if (word != WORD_FREE)
		hear(&answer, sizeof(answer), NULL);
	pthread_mutex_unlock(&one);
	return answer;
}

void *process_shared_alloc(size_t size)
{
	return (void *)(uintptr_t)ask(WORD_ALLOC, size);
}

void process_shared_free(void *memory)
{
	ask(WORD_FREE, (uintptr_t)memory);
}

size_t process_shared_size(const void *memory)
{
	return ask(WORD_SIZE, (uintptr_t)memory);
}

/* Not in a process that a function made, nor on a thread of its. */
bool process_is_serving(void)
{
	return getpid() == server && gettid() == server;
}

static void done(long result)
{
	/* What it printed: it may not live to see its exit. */
	fflush(NULL);
	say(WORD_DONE, result);
}

void process_exit(long result)
{
	done(result);
	longjmp(again, 1);
}

/* Takes a call, and the descriptors that come with it. */
static void take_call(int *fds)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(INPUTS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &now, .iov_len = sizeof(now) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	hear(NULL, sizeof(now), &msg);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg)
		memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
}

static void map_inputs(const int *fds)
{
	unsigned int i, n = 0;

	for (i = 0; i < INPUTS; i++)
		if (now.gone[i].at)
			munmap(now.gone[i].at, now.gone[i].size);
	for (i = 0; i < INPUTS; i++) {
		struct place *place = &now.come[i];

		if (!place->at)
			continue;
		if (mmap(place->at, place->size, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE,
			 fds[n], 0) != place->at)
			gone();
		close(fds[n++]);
	}
}

static void serve(void) __attribute__((noreturn));

static void serve(void)
{
	int fds[INPUTS];

	for (;;) {
		if (setjmp(again))
			continue;
		take_call(fds);
		map_inputs(fds);
		done(now.fn(now.arg));
	}
}

/* The kernel ends this process when that at the other end of the pipe has ended. */
static int end_with(int life)
{
	return fcntl(life, F_SETOWN, getpid()) || fcntl(life, F_SETSIG, SIGKILL) ||
	       fcntl(life, F_SETFL, O_RDONLY | O_ASYNC) ? -errno : 0;
}

/* Of all; what the one with @its_socket, if not -1, is to have as a process is left open. */
static void close_ends(int its_socket)
{
	const struct process *other;

	for (other = processes; other; other = other->next) {
		close(other->socket);
		close(other->life);
		if (other->its_socket >= 0 && other->its_socket != its_socket) {
			close(other->its_socket);
			close(other->its_life);
		}
	}
}

/*
 * Gives this thread a table of descriptors of its own, and a directory: without those by which
 * processes are spoken to, and inputs read. While one is made, its ends are there, too. Returns 0
 * or a negative errno.
 */
int process_leave_files(void)
{
	unsigned int i;
	int ret;

	pthread_mutex_lock(&domains->lock);
	while (pthread_mutex_trylock(&making)) {
		pthread_mutex_unlock(&domains->lock);
		pthread_mutex_lock(&making);
		pthread_mutex_unlock(&making);
		pthread_mutex_lock(&domains->lock);
	}
	ret = unshare(CLONE_FILES | CLONE_FS) ? -errno : 0;
	if (!ret) {
		close_ends(-1);
		for (i = 0; i < INPUTS; i++)
			if (domains->inputs[i].memory)
				close(domains->inputs[i].fd);
	}
	pthread_mutex_unlock(&making);
	pthread_mutex_unlock(&domains->lock);
	return ret;
}

static void become(struct process *process) __attribute__((noreturn));

static void become(struct process *process)
{
	int socket = process->its_socket, life = process->its_life, ret;

	fault_reset();
	process_home = socket;
	server = getpid();
	close_ends(process->its_socket);
	/* Nothing of what others have is left here, and others do not look into it. */
	munmap(domains, sizeof(*domains));
	domains = NULL;
	space_forget();
	heap_forget();
	inside.ready = 0;
	prctl(PR_SET_DUMPABLE, 0);
	ret = end_with(life);
	if (!ret && process->isolation == FAASCTL_HOSTILE)
		ret = confine(socket, life);
	else if (!ret && process->filtered)
		ret = filter_process();
	if (ret) {
		say(WORD_FAILED, -ret);
		gone();
	}
	say(WORD_BEGUN, 0);
	serve();
}

/* ------------------------------------------------------------------- where it is from */

int process_new(struct faasctl_domain *domain, enum faasctl_isolation isolation,
		struct faasctl_error *err)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return faasctl__fail(err, ENOMEM, "no memory for stage %s", domain->name);
	process->isolation = isolation;
	process->filtered = domain->flags & FAASCTL_DOMAIN_FILTER;
	process->socket = -1;
	process->its_socket = -1;
	/* Another process of this user must not look into this one. */
	if (isolation == FAASCTL_HOSTILE)
		prctl(PR_SET_DUMPABLE, 0);
	domain->process = process;
	return 0;
}

/* What children.c does for fork(). */
void processes_lock(void)
{
	pthread_mutex_lock(&making);
}

void processes_unlock(void)
{
	pthread_mutex_unlock(&making);
}

/* Is this a handler of a fork() by which a process is made? */
bool process_is_made(void)
{
	return makes;
}

/*
 * Such a handler makes a child of its own, which is none.
 * @made: what this gave, when it is there.
 */
struct process *process_aside(struct process *made)
{
	struct process *was = makes;

	makes = made;
	return was;
}

/*
 * A child that is made for something else has none of the processes: nor their ends, by which they
 * would not be missed, and would outlive this one. Returns false in one that is to be a process.
 */
bool processes_leave(void)
{
	pthread_mutex_init(&making, NULL);
	if (makes) {
		/* The host's handlers come next: what they try is refused as it is inside. */
		process_home = makes->its_socket;
		return false;
	}
	close_ends(-1);
	processes = NULL;
	return true;
}

/*
 * If such a child goes into one of its parent's domains, it makes its own process. Whoever was
 * inside, or about to make one, is not there. Of one that is being freed nothing is known.
 */
void process_forget(struct faasctl_domain *domain)
{
	int state = atomic_load(&domain->state);
	struct process *process = domain->process;

	if (state == STATE_NONE || state == STATE_LOST || !process)
		return;
	process->pid = 0;
	process->socket = -1;
	process->its_socket = -1;
	process->mine = NULL;
	memset(process->sent, 0, sizeof(process->sent));
	domain->held &= ~HELD_STARTED;
	if (state == STATE_ENTERED) {
		domain->signal = 0;
		atomic_store(&domain->state, STATE_IDLE);
	}
}

/* With making. */
static int make_ends(struct faasctl_domain *domain, struct faasctl_error *err)
{
	struct process *process = domain->process;
	int sockets[2], life[2], code;

	/* Whole messages, so that half of one cannot be waited for. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return faasctl__fail_errno(err, errno, "no socket for stage %s", domain->name);
	if (pipe2(life, O_CLOEXEC)) {
		code = errno;
		close(sockets[0]);
		close(sockets[1]);
		return faasctl__fail_errno(err, code, "no process for stage %s", domain->name);
	}
	process->socket = sockets[0];
	process->its_socket = sockets[1];
	process->life = life[1];
	process->its_life = life[0];
	process->next = processes;
	processes = process;
	return 0;
}

/* With making. */
static void drop_ends(struct process *process)
{
	struct process **at = &processes;

	while (*at != process)
		at = &(*at)->next;
	*at = process->next;
	close(process->socket);
	close(process->life);
	process->socket = -1;
}

static int make_process(struct faasctl_domain *domain, struct faasctl_error *err)
{
	struct process *process = domain->process;
	int code, ret;
	pid_t pid;

	fflush(NULL);
	pthread_mutex_lock(&making);
	ret = make_ends(domain, err);
	pthread_mutex_unlock(&making);
	if (ret)
		return ret;
	/* Its handlers may be the host's, and do whatever they do: no lock is held here. */
	makes = process;
	pid = NEXT(fork)();
	makes = NULL;
	if (!pid)
		become(process);
	code = errno;
	pthread_mutex_lock(&making);
	close(process->its_socket);
	close(process->its_life);
	process->its_socket = -1;
	if (pid < 0)
		drop_ends(process);
	pthread_mutex_unlock(&making);
	if (pid < 0)
		return faasctl__fail_errno(err, code, "no process for stage %s", domain->name);
	process->pid = pid;
	return 0;
}

/* Tells of inputs that came or went since the last call. Returns how many descriptors. */
static unsigned int note_inputs(struct faasctl_domain *domain, struct call *call,
				int *fds)
{
	struct process *process = domain->process;
	unsigned int i, n = 0;

	pthread_mutex_lock(&domains->lock);
	for (i = 0; i < INPUTS; i++) {
		struct faasctl_input *input = &domains->inputs[i], *sent = &process->sent[i];
		bool has = domain->inputs & 1u << i;

		/* Another one may have come to be in the same place. */
		if (sent->memory && (!has || sent->serial != input->serial)) {
			call->gone[i] = (struct place){ sent->memory, sent->size };
			memset(sent, 0, sizeof(*sent));
		}
		if (has && !sent->memory) {
			call->come[i] = (struct place){ input->memory, input->size };
			fds[n++] = input->fd;
			*sent = *input;
		}
	}
	pthread_mutex_unlock(&domains->lock);
	return n;
}

static bool give_call(struct faasctl_domain *domain, long (*fn)(void *arg), void *arg)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(INPUTS * sizeof(int))];
	} control = { 0 };
	struct call call = { .fn = fn, .arg = arg };
	struct iovec iov = { .iov_base = &call, .iov_len = sizeof(call) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[INPUTS];
	unsigned int n = note_inputs(domain, &call, fds);
	ssize_t sent;

	if (n) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.hdr), fds, n * sizeof(int));
	}
	do
		sent = sendmsg(domain->process->socket, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == sizeof(call);
}

static int by_address(const void *a, const void *b)
{
	return a < b ? -1 : a > b;
}

static bool answer(struct process *process, uint64_t value)
{
	return send(process->socket, &value, sizeof(value), MSG_NOSIGNAL) == sizeof(value);
}

static void *give_memory(struct process *process, size_t size)
{
	void *memory = shared_alloc(size);

	if (!memory || tsearch(memory, &process->mine, by_address))
		return memory;
	free(memory);
	return NULL;
}

/*
 * What a careful process says of shared memory holds, whoever allocated it. A hostile one
 * could name any address: it is heard if it allocated that itself.
 */
static bool is_known(struct process *process, void *memory)
{
	return tfind(memory, &process->mine, by_address) ||
	       (process->isolation != FAASCTL_HOSTILE && shared_is(memory));
}

static void take_memory(struct process *process, void *memory)
{
	if (!is_known(process, memory))
		return;
	tdelete(memory, &process->mine, by_address);
	free(memory);
}

static bool take_message(struct process *process, struct message *message)
{
	ssize_t n;

	do
		n = recv(process->socket, message, sizeof(*message), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*message);
}

/* What it says first, before it is told what to call, or WORD_NONE: it is gone. */
static enum word attend_first(struct process *process, long *code)
{
	struct message message;

	if (!take_message(process, &message))
		return WORD_NONE;
	*code = message.value;
	return message.word;
}

/* Serves the process until it is done: WORD_DONE, or WORD_NONE: it is gone. */
static enum word attend(struct process *process, long *result)
{
	struct message message;
	void *memory;
	bool heard = true;

	while (heard && take_message(process, &message)) {
		memory = (void *)(uintptr_t)message.value;
		switch (message.word) {
		case WORD_DONE:
			*result = message.value;
			return WORD_DONE;
		case WORD_ALLOC:
			memory = give_memory(process, message.value);
			heard = answer(process, (uintptr_t)memory);
			break;
		case WORD_FREE:
			take_memory(process, memory);
			break;
		case WORD_SIZE:
			heard = answer(process, is_known(process, memory) ?
				       malloc_usable_size(memory) : 0);
			break;
		default:
			heard = false;
		}
	}
	return WORD_NONE;
}

static void reap(struct process *process, int *status)
{
	if (!process->pid)
		return;
	pthread_mutex_lock(&making);
	drop_ends(process);
	pthread_mutex_unlock(&making);
	kill(process->pid, SIGKILL);
	while (waitpid(process->pid, status, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
	memset(process->sent, 0, sizeof(process->sent));
}

/* It ended by itself: why, in words. What is left of it ends, too. */
static void note_end(struct faasctl_domain *domain)
{
	size_t size = sizeof(domain->stopped);
	int status = 0;

	reap(domain->process, &status);
	domain->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (domain->signal)
		snprintf(domain->stopped, size, "its process was killed by signal %d (%s)",
			 domain->signal, strsignal(domain->signal));
	else
		snprintf(domain->stopped, size, "its process ended with status %d",
			 WEXITSTATUS(status));
}

/* It did not begin: nothing ran, and the next call makes another. */
static int not_begun(struct faasctl_domain *domain, int code, struct faasctl_error *err)
{
	const char *what = domain->process->isolation == FAASCTL_HOSTILE ? "be confined" :
									   "have a filter";
	int status;

	reap(domain->process, &status);
	atomic_store(&domain->state, STATE_IDLE);
	return faasctl__fail_errno(err, code, "stage %s cannot %s", domain->name, what);
}

int process_call(struct faasctl_domain *domain, long (*fn)(void *arg),
		 void *arg, long *result, struct faasctl_error *err)
{
	struct process *process = domain->process;
	enum word word = WORD_BEGUN;
	int state = STATE_IDLE, ret;
	long value = 0;

	if (!atomic_compare_exchange_strong(&domain->state, &state, STATE_ENTERED))
		return state == STATE_STOPPED ? stopped(domain, err) : busy(domain, err);
	if (!process->pid) {
		ret = make_process(domain, err);
		if (ret) {
			atomic_store(&domain->state, STATE_IDLE);
			return ret;
		}
		word = attend_first(process, &value);
	}
	if (word == WORD_FAILED)
		return not_begun(domain, value, err);
	if (word == WORD_BEGUN && give_call(domain, fn, arg))
		word = attend(process, &value);
	if (word != WORD_DONE) {
		note_end(domain);
		atomic_store(&domain->state, STATE_STOPPED);
		return stopped(domain, err);
	}
	atomic_store(&domain->state, STATE_IDLE);
	if (result)
		*result = value;
	return 0;
}

/* What it allocated may be of use to others. */
static void keep(void *memory)
{
}

void process_free(struct faasctl_domain *domain)
{
	int status;

	reap(domain->process, &status);
	tdestroy(domain->process->mine, keep);
	free(domain->process);
	domain->process = NULL;
}
