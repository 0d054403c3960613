// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks. Each function tries to get at what is not its own, and returns 1 if it could.
 * From inside a domain it must be stopped or refused. The same function is then called
 * where the one defence is missing (outside, where all keys are open; or in a process that
 * is not confined), and has to succeed: else it would show nothing.
 */
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <dirent.h>
#include <faasctl/domain.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#include "harness.h"

#define SECRET	"a secret of stage b"

/* Where b keeps things; for a to attack. */
struct targets {
	char *heap;
	char *large;
	char *stack;
	char *tls;
	char *input;
	char *domain;
	pid_t pid;
	int pipe[2];
	atomic_int ready;
	atomic_int go;
};

static struct targets *t;
static __thread char tls_secret[32];

static long live(void *arg)
{
	char stack[64] = SECRET;

	t->heap = strdup(SECRET);
	t->large = malloc(5 << 20);
	strcpy(t->large + (4 << 20), SECRET);
	strcpy(tls_secret, SECRET);
	/* Its own process, if it is no thread of this one. */
	t->pid = getpid();
	t->tls = tls_secret;
	t->stack = stack;
	atomic_store(&t->ready, 1);
	while (!atomic_load(&t->go))
		sched_yield();
	return !strcmp(t->heap, SECRET) && !strcmp(stack, SECRET) && !strcmp(tls_secret, SECRET);
}

/* ------------------------------------------------------------------------- by pointers */

static long reads(const char *at)
{
	return !memcmp(at, SECRET, sizeof(SECRET));
}

/* Writes what is there already: b must not notice when the defence is missing. */
static long writes(volatile char *at)
{
	*at = SECRET[0];
	return 1;
}

#define POINTER_ATTACKS(what, at)					\
static long read_##what(void *arg) { return reads(at); }		\
static long write_##what(void *arg) { return writes(at); }

POINTER_ATTACKS(heap, t->heap)
POINTER_ATTACKS(large, t->large + (4 << 20))
POINTER_ATTACKS(stack, t->stack)
POINTER_ATTACKS(tls, t->tls)

static long read_input(void *arg) { return reads(t->input); }
static long write_input(void *arg) { return writes(t->input); }
static long read_vault(void *arg) { return (*(volatile char *)t->domain, 1); }

static long write_vault(void *arg)
{
	volatile char *at = t->domain + 3000;

	*at = *at;
	return 1;
}

static long copy_heap(void *arg)
{
	char *mine = malloc(sizeof(SECRET));

	memcpy(mine, t->heap, sizeof(SECRET));
	return !strcmp(mine, SECRET);
}

static long print_heap(void *arg)
{
	char text[64];

	snprintf(text, sizeof(text), "%s", t->heap);
	return !strcmp(text, SECRET);
}

static long exchange_heap(void *arg)
{
	__atomic_fetch_or((int *)t->heap, 0, __ATOMIC_SEQ_CST);
	return 1;
}

/* ------------------------------------------------------------- by the kernel's own hand */

/* The kernel reads and writes with the rights of whoever asks. */
static long kernel_write(void *arg)
{
	char text[sizeof(SECRET)];

	if (write(t->pipe[1], t->heap, sizeof(SECRET)) != sizeof(SECRET))
		return 0;
	return read(t->pipe[0], text, sizeof(text)) == sizeof(text) && reads(text);
}

static long kernel_read(void *arg)
{
	if (write(t->pipe[1], SECRET, 1) != 1)
		return 0;
	if (read(t->pipe[0], t->heap, 1) == 1)
		return 1;
	read(t->pipe[0], (char[1]){ 0 }, 1);
	return 0;
}

static long kernel_path(void *arg)
{
	return open(t->heap, O_RDONLY) < 0 && errno == ENOENT;
}

static long kernel_iov(void *arg)
{
	struct iovec iov = { t->heap, sizeof(SECRET) };
	char text[sizeof(SECRET)];

	if (writev(t->pipe[1], &iov, 1) != sizeof(SECRET))
		return 0;
	return read(t->pipe[0], text, sizeof(text)) == sizeof(text) && reads(text);
}

static long kernel_stat(void *arg)
{
	return !stat("/", (struct stat *)(t->large + (1 << 20)));
}

static long kernel_futex(void *arg)
{
	return !syscall(SYS_futex, t->large, 0 /* FUTEX_WAIT */, 1, NULL) ||
	       (errno == EAGAIN);
}

/* ------------------------------------------------------------------- by the key register */

/* Where the gates' writes are: found as the scanner finds them. */
#define GATES_MAX	16
static uintptr_t gates[GATES_MAX];
static int n_gates;

static int note_gate(const struct faasctl_scan_hit *hit, void *arg)
{
	if (hit->kind == FAASCTL_SCAN_WRPKRU && strstr(hit->path, "libfaasdomain") && n_gates < GATES_MAX)
		gates[n_gates++] = hit->address;
	return 0;
}

/* Jumps to one with a value that opens everything. */
static long forge_register(void *arg)
{
	__asm__ volatile("xor %%eax, %%eax\n\t"
			 "xor %%ecx, %%ecx\n\t"
			 "xor %%edx, %%edx\n\t"
			 "jmp *%0"
			 : : "r"(gates[(long)arg]) : "rax", "rcx", "rdx", "memory");
	return 1;
}

/* glibc's way to do it was taken away. */
static long pkey_set_attack(void *arg)
{
	return !pkey_set(1, 0);
}

/* --------------------------------------------------------------- by the layout of memory */

/* Pages of b's that it does not look at, so that it is not harmed when the defence is missing. */
#define SPARE	((void *)(((uintptr_t)t->large + (1 << 20)) & -(uintptr_t)PAGE))

static long unmap_other(void *arg) { return !munmap(SPARE, PAGE); }
static long protect_other(void *arg) { return !mprotect(SPARE, PAGE, PROT_READ | PROT_WRITE); }
static long advise_other(void *arg) { return !madvise(SPARE, PAGE, MADV_DONTNEED); }

static long take_other(void *arg)
{
	void *mine = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mremap(SPARE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, mine) != MAP_FAILED;
}

static long move_over_other(void *arg)
{
	void *mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mremap(mine, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, SPARE) != MAP_FAILED;
}

static long map_over_other(void *arg)
{
	return mmap(SPARE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static long key_of_other(void *arg) { return !pkey_mprotect(SPARE, PAGE, PROT_READ | PROT_WRITE, 0); }

/* The library's; outside it can be made readable as it is. */
static long protect_vault(void *arg)
{
	return !mprotect((void *)((uintptr_t)t->domain & -(uintptr_t)PAGE), PAGE, PROT_READ | PROT_WRITE);
}

static long new_code(void *arg)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static long make_code(void *arg)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page != MAP_FAILED && !mprotect(page, PAGE, PROT_READ | PROT_EXEC);
}

/* Of a key that is in use: outside it goes, but for the pages that have it. */
static long free_key(void *arg) { return !pkey_free(14); }

/* ------------------------------------------------------------------------------ the test */

FIXTURE(careful)
{
	struct faasctl_domain *a, *b;
	struct faasctl_input *input;
	struct faasctl_error err;
};

FIXTURE_VARIANT(careful)
{
	long (*fn)(void *arg);
	bool refused;	/* a call fails, and the domain goes on */
	bool always;	/* nobody can do it, outside neither */
};

#define ATTACK(name_, ...) FIXTURE_VARIANT_ADD(careful, name_) { .fn = name_, ##__VA_ARGS__ }

ATTACK(read_heap);
ATTACK(write_heap);
ATTACK(read_large);
ATTACK(write_large);
ATTACK(read_stack);
ATTACK(write_stack);
ATTACK(read_tls);
ATTACK(write_tls);
ATTACK(read_input);
ATTACK(write_input);
ATTACK(read_vault);
ATTACK(write_vault);
ATTACK(copy_heap);
ATTACK(print_heap);
ATTACK(exchange_heap);
ATTACK(kernel_write, .refused = true);
ATTACK(kernel_read, .refused = true);
ATTACK(kernel_path, .refused = true);
ATTACK(kernel_iov, .refused = true);
ATTACK(kernel_stat, .refused = true);
ATTACK(kernel_futex, .refused = true);
ATTACK(pkey_set_attack, .always = true);
ATTACK(unmap_other, .refused = true);
ATTACK(protect_other, .refused = true);
ATTACK(advise_other, .refused = true);
ATTACK(take_other, .refused = true);
ATTACK(move_over_other, .refused = true);
ATTACK(map_over_other, .refused = true);
ATTACK(key_of_other, .refused = true);
ATTACK(protect_vault, .refused = true);
ATTACK(new_code, .refused = true);
ATTACK(make_code, .refused = true);
ATTACK(free_key, .refused = true);

static void live_begin(struct faasctl_domain *b, struct faasctl_domain *a)
{
	t = faasctl_shared_alloc(sizeof(*t));
	if (!t || pipe(t->pipe))
		abort();
	t->domain = (char *)a;
	if (faasctl_domain_start(b, live, NULL, NULL))
		abort();
	while (!atomic_load(&t->ready))
		sched_yield();
}

FIXTURE_SETUP(careful)
{
	struct faasctl_domains_info info;

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, faasctl_domains_begin(NULL, &self->err))
		TH_LOG("%s", self->err.message);
	faasctl_domains_info(&info);
	if (!info.threads)
		SKIP(return, "no protection keys here");
	ASSERT_EQ(0, faasctl_domain_new("a", NULL, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", NULL, &self->b, &self->err));
	live_begin(self->b, self->a);
	ASSERT_EQ(0, faasctl_input_new(PAGE, &self->input, &self->err));
	ASSERT_EQ(0, faasctl_input_share(self->input, self->a, &self->err));
	t->input = faasctl_input_data(self->input);
	strcpy(t->input, SECRET);
}

FIXTURE_TEARDOWN(careful)
{
	long unharmed = 0;

	atomic_store(&t->go, 1);
	EXPECT_EQ(0, faasctl_domain_join(self->b, &unharmed, &self->err))
		TH_LOG("%s", self->err.message);
	EXPECT_EQ(1, unharmed);
	EXPECT_EQ(0, faasctl_domain_free(self->a, NULL));
	EXPECT_EQ(0, faasctl_domain_free(self->b, NULL));
}

TEST_F(careful, attack)
{
	bool input = variant->fn == read_input;
	struct faasctl_domain *c;
	long result = 0;
	int ret;

	/* Who was not given the input; who was can read it, and not write. */
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &c, &self->err));
	ret = faasctl_domain_call(input ? c : self->a, variant->fn, NULL, &result, &self->err);
	if (variant->refused) {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(0, result);
	} else {
		EXPECT_EQ(-EFAULT, ret)
			TH_LOG("it returned %ld", result);
	}
	EXPECT_EQ(0, faasctl_domain_free(c, NULL));
	/* The defence is missing: outside, all keys are open. */
	if (!variant->always)
		EXPECT_EQ(1, variant->fn(NULL));
}

static long free_other(void *arg)
{
	free(t->heap);
	return 1;
}

static long realloc_other(void *arg)
{
	return !!realloc(t->heap, 100);
}

/* As careful, without variants. */
FIXTURE(own)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
};

/* Keys are left, so that outside is another value than all of them. */
FIXTURE_SETUP(own)
{
	struct faasctl_domains_options options = { .keys = 3 };
	struct faasctl_domains_info info;

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, faasctl_scan_process(note_gate, NULL, NULL));
	/* Two in gate_call(), two in gate_monitor(), one in gate_fault(). */
	ASSERT_EQ(5, n_gates);
	ASSERT_EQ(0, faasctl_domains_begin(&options, &self->err))
		TH_LOG("%s", self->err.message);
	faasctl_domains_info(&info);
	if (!info.threads)
		SKIP(return, "no protection keys here");
	ASSERT_EQ(0, faasctl_domain_new("a", NULL, &self->a, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("b", NULL, &self->b, &self->err));
	live_begin(self->b, self->a);
}

FIXTURE_TEARDOWN(own)
{
	long unharmed = 0;

	atomic_store(&t->go, 1);
	EXPECT_EQ(0, faasctl_domain_join(self->b, &unharmed, &self->err));
	EXPECT_EQ(1, unharmed);
	EXPECT_EQ(0, faasctl_domain_free(self->a, NULL));
	EXPECT_EQ(0, faasctl_domain_free(self->b, NULL));
}

/* What is freed by others must not come out of their heap. */
TEST_F(own, freeing)
{
	struct faasctl_domain *c;

	EXPECT_EQ(-EFAULT, faasctl_domain_call(self->a, free_other, NULL, NULL, &self->err));
	EXPECT_STREQ("stage a was stopped: it freed memory of another domain", self->err.message);
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &c, &self->err));
	EXPECT_EQ(-EFAULT, faasctl_domain_call(c, realloc_other, NULL, NULL, &self->err));
	EXPECT_STREQ("stage c was stopped: it reallocated memory of another domain", self->err.message);
	EXPECT_EQ(0, faasctl_domain_free(c, NULL));
}

/* Every gate looks at the register after writing it. */
TEST_F(own, forged)
{
	struct faasctl_domain *c;
	long i;

	for (i = 0; i < n_gates; i++) {
		ASSERT_EQ(0, faasctl_domain_new("c", NULL, &c, &self->err));
		EXPECT_EQ(-EFAULT, faasctl_domain_call(c, forge_register, (void *)i, NULL, &self->err));
		EXPECT_STREQ("stage c was stopped: it executed what writes the key register", self->err.message)
			TH_LOG("gate %ld", i);
		EXPECT_EQ(0, faasctl_domain_free(c, NULL));
	}
}

/* ------------------------------------------------------------------------------- hostile */

static long vm_read(void *arg)
{
	char text[sizeof(SECRET)];
	struct iovec mine = { text, sizeof(text) }, theirs = { t->heap, sizeof(text) };

	return process_vm_readv(t->pid, &mine, 1, &theirs, 1, 0) == sizeof(text) && reads(text);
}

static long vm_write(void *arg)
{
	struct iovec mine = { SECRET, 1 }, theirs = { t->heap, 1 };

	return process_vm_writev(t->pid, &mine, 1, &theirs, 1, 0) == 1;
}

static long proc_mem(void *arg)
{
	char path[64], text[sizeof(SECRET)];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
	fd = open(path, O_RDWR);
	return fd >= 0 && pread(fd, text, sizeof(text), (off_t)(uintptr_t)t->heap) == sizeof(text) && reads(text);
}

static long proc_maps(void *arg)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", t->pid);
	fd = open(path, O_RDONLY);
	return fd >= 0 && read(fd, path, sizeof(path)) > 0;
}

static long proc_fd(void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", t->pid, t->pipe[0]);
	return open(path, O_RDONLY | O_NONBLOCK) >= 0;
}

static long get_fd(void *arg)
{
	int pidfd = syscall(SYS_pidfd_open, t->pid, 0);

	return pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, t->pipe[0], 0) >= 0;
}

static long attach(void *arg)
{
	if (ptrace(PTRACE_SEIZE, t->pid, NULL, NULL))
		return 0;
	return !ptrace(PTRACE_INTERRUPT, t->pid, NULL, NULL) && waitpid(t->pid, NULL, __WALL) == t->pid &&
	       !ptrace(PTRACE_DETACH, t->pid, NULL, NULL);
}

static long send_signal(void *arg)
{
	return !kill(t->pid, 0);
}

static long send_to_group(void *arg)
{
	return !kill(0, 0);
}

static long send_to_thread(void *arg)
{
	return !syscall(SYS_tgkill, t->pid, t->pid, 0);
}

static long queue_signal(void *arg)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return !syscall(SYS_rt_sigqueueinfo, t->pid, 0, &info);
}

static long inherited_fd(void *arg)
{
	return fcntl(t->pipe[0], F_GETFD) >= 0;
}

static long make_ring(void *arg)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 4, &params) >= 0;
}

static long enter_namespace(void *arg)
{
	return !unshare(CLONE_NEWUSER);
}

static long change_limit(void *arg)
{
	struct rlimit limit;

	return !prlimit(t->pid, RLIMIT_NOFILE, NULL, &limit);
}

/* Only root can; and it needs to no more. */
static long change_user(void *arg)
{
	return !setuid(12345);
}

static long compare(void *arg)
{
	return syscall(SYS_kcmp, t->pid, getpid(), 0, 0, 0) >= 0;
}

static long load_program(void *arg)
{
	return syscall(SYS_bpf, -1, NULL, 0) < 0 && errno == EINVAL;
}

static long mount_over(void *arg)
{
	return !mount("none", "/mnt", "tmpfs", 0, NULL);
}

/* Signals that a file sends when there is something to read: to whom it says. */
static long own_file(void *arg)
{
	return !fcntl(0, F_SETOWN, t->pid);
}

static long own_file_by_request(void *arg)
{
	/* As the kernel sees it: it takes 32 bits of this. */
	return !syscall(SYS_ioctl, t->pipe[0], 0x100000000 | FIOSETOWN, &t->pid) || errno != EPERM;
}

static long choose_signal(void *arg)
{
	return !fcntl(0, F_SETSIG, SIGKILL);
}

/* What is no terminal says so; who is let that far. */
static long type_on_terminal(void *arg)
{
	return ioctl(0, TIOCSTI, "x") && errno == ENOTTY;
}

static long make_child(void *arg)
{
	pid_t pid = syscall(SYS_fork);

	if (!pid)
		syscall(SYS_exit_group, 0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static long clone_child(void *arg)
{
	pid_t pid = fork();

	if (!pid)
		syscall(SYS_exit_group, 0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static long move_other(void *arg)
{
	unsigned long cpus = 1;

	return syscall(SYS_sched_getaffinity, t->pid, sizeof(cpus), &cpus) > 0 &&
	       !syscall(SYS_sched_setaffinity, t->pid, sizeof(cpus), &cpus);
}

static long slow_other(void *arg)
{
	return !setpriority(PRIO_PROCESS, t->pid, getpriority(PRIO_PROCESS, t->pid));
}

static long make_semaphore(void *arg)
{
	int id = syscall(SYS_semget, 0, 1, 0600);

	return id >= 0 && !syscall(SYS_semctl, id, 0, 0 /* IPC_RMID */, 0);
}

static long take_priority(void *arg)
{
	return !setpriority(PRIO_PROCESS, 0, -5);
}

static long write_register(void *arg)
{
	/* xor eax, ecx, edx; wrpkru; ret: made here, as it would not be let in otherwise. */
	static const uint8_t code[] = { 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef, 0xc3 };
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return 0;
	memcpy(page, code, sizeof(code));
	if (mprotect(page, PAGE, PROT_READ | PROT_EXEC))
		return 0;
	((void (*)(void))page)();
	return reads(t->heap);
}

static long read_address(void *arg)
{
	return reads(t->heap);
}

FIXTURE(hostile)
{
	struct faasctl_domain *a, *b, *plain;
	struct faasctl_error err;
	bool threads;
};

FIXTURE_VARIANT(hostile)
{
	long (*fn)(void *arg);
	bool outside;	/* where it succeeds: outside, with the keys open */
	bool stopped;	/* it does not come back */
};

#define HOSTILE(name_, ...) FIXTURE_VARIANT_ADD(hostile, name_) { .fn = name_, ##__VA_ARGS__ }

HOSTILE(vm_read);
HOSTILE(vm_write);
HOSTILE(proc_mem);
HOSTILE(proc_maps);
HOSTILE(proc_fd);
HOSTILE(get_fd);
HOSTILE(attach);
HOSTILE(send_signal);
HOSTILE(send_to_group);
HOSTILE(send_to_thread);
HOSTILE(queue_signal);
HOSTILE(inherited_fd);
HOSTILE(make_ring);
HOSTILE(enter_namespace);
HOSTILE(change_limit);
HOSTILE(compare);
HOSTILE(load_program);
HOSTILE(mount_over);
HOSTILE(own_file);
HOSTILE(own_file_by_request);
HOSTILE(choose_signal);
HOSTILE(type_on_terminal);
HOSTILE(make_child);
HOSTILE(clone_child);
HOSTILE(move_other);
HOSTILE(slow_other);
HOSTILE(make_semaphore);
HOSTILE(take_priority);
HOSTILE(change_user);
HOSTILE(write_register, .outside = true, .stopped = true);
HOSTILE(read_address, .outside = true, .stopped = true);

FIXTURE_SETUP(hostile)
{
	struct faasctl_domain_options options = { .isolation = FAASCTL_HOSTILE };
	struct faasctl_domains_info info;

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, faasctl_domains_begin(NULL, &self->err))
		TH_LOG("%s", self->err.message);
	faasctl_domains_info(&info);
	self->threads = info.threads;
	if (variant->outside && !info.threads)
		SKIP(return, "no protection keys here to be missing");
	/* Without keys it is a careful process, made before the hostile one. */
	ASSERT_EQ(0, faasctl_domain_new("b", NULL, &self->b, &self->err));
	ASSERT_EQ(0, faasctl_domain_new("a", &options, &self->a, &self->err));
	EXPECT_EQ(info.threads, faasctl_domain_is_thread(self->b));
	EXPECT_EQ(0, faasctl_domain_is_thread(self->a));
	live_begin(self->b, self->a);
}

FIXTURE_TEARDOWN(hostile)
{
	long unharmed = 0;

	atomic_store(&t->go, 1);
	EXPECT_EQ(0, faasctl_domain_join(self->b, &unharmed, &self->err));
	EXPECT_EQ(1, unharmed);
	EXPECT_EQ(0, faasctl_domain_free(self->a, NULL));
	EXPECT_EQ(0, faasctl_domain_free(self->b, NULL));
}

TEST_F(hostile, attack)
{
	long result = 0;
	pid_t pid;
	int ret;

	ret = faasctl_domain_call(self->a, variant->fn, NULL, &result, &self->err);
	EXPECT_EQ(variant->stopped ? -EFAULT : 0, ret)
		TH_LOG("%s", self->err.message);
	EXPECT_EQ(0, result);
	/* The defence is missing: outside, or in a process that is not confined. */
	if (variant->outside) {
		EXPECT_EQ(1, variant->fn(NULL));
		return;
	}
	pid = child();
	if (!pid)
		syscall(SYS_exit_group, (int)variant->fn(NULL));
	EXPECT_EQ(1, child_end(pid));
}

TEST_HARNESS_MAIN
