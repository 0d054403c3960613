// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks of a thread on what its key does not open. Each function tries to get at what is
 * not its own, and returns 1 if it could. From inside a domain it must be stopped or refused.
 * The same function is then called outside, where all keys are open, and has to succeed: else
 * it would show nothing.
 */
#include <dlfcn.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/shm.h>

#include "domain_targets.h"

/* ------------------------------------------------------------------------- by pointers */

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

/* By the page, and not by the byte. */
static long kernel_splice(void *arg)
{
	struct iovec iov = { t->heap, sizeof(SECRET) };
	char text[sizeof(SECRET)];

	if (vmsplice(t->pipe[1], &iov, 1, 0) != sizeof(SECRET))
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

/* Where that of pkey_set() is. */
static uintptr_t setting;

static int note_gate(const struct faasctl_scan_hit *hit, void *arg)
{
	if (hit->kind != FAASCTL_SCAN_WRPKRU)
		return 0;
	if (strstr(hit->path, "libfaasdomain") && n_gates < GATES_MAX)
		gates[n_gates++] = hit->address;
	else if (hit->address - (uintptr_t)dlsym(RTLD_NEXT, "pkey_set") < 128)
		setting = hit->address;
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

static long share(void *at, int flags)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700);
	void *there = shmat(id, at, flags);

	shmctl(id, IPC_RMID, NULL);
	return there != (void *)-1;
}

static long share_code(void *arg) { return share(NULL, SHM_RDONLY | SHM_EXEC); }
static long share_over_other(void *arg) { return share(SPARE, SHM_REMAP); }

/* Two pages of the host's, of which the first becomes the second. */
static char *pages;

static long remap_other(void *arg) { return !remap_file_pages(pages, PAGE, 0, 1, 0); }

static long make_data_code(void *arg)
{
	char *page;

	if (personality(READ_IMPLIES_EXEC) < 0)
		return 0;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 0;
	/* ret */
	*page = 0xc3;
	((void (*)(void))page)();
	personality(0);
	return !munmap(page, PAGE);
}

/* Of a key that is in use: outside it goes, but for the pages that have it. */
static long free_key(void *arg) { return !pkey_free(14); }

/* ------------------------------------------------------------------------------ the test */

FIXTURE(careful)
{
	struct faasctl_domain *a, *b;
	struct faasctl_input *input;
	struct faasctl_error err;
	struct faasctl_domains_info info;
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
ATTACK(kernel_splice, .refused = true);
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
ATTACK(share_code, .refused = true);
ATTACK(share_over_other, .refused = true);
ATTACK(remap_other, .refused = true);
ATTACK(make_data_code, .refused = true);
ATTACK(free_key, .refused = true);

FIXTURE_SETUP(careful)
{
	DOMAINS_SETUP(self, NULL);
	NEED_KEYS(self);
	TARGETS_SETUP(self, NULL);
	ASSERT_EQ(0, faasctl_input_new(PAGE, &self->input, &self->err));
	ASSERT_EQ(0, faasctl_input_share(self->input, self->a, &self->err));
	t->input = faasctl_input_data(self->input);
	strcpy(t->input, SECRET);
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
}

FIXTURE_TEARDOWN(careful)
{
	TARGETS_TEARDOWN(self);
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
	free(t->spare[0]);
	return 1;
}

static long realloc_other(void *arg)
{
	return !!realloc(t->spare[1], 200);
}

/* As careful, without variants. */
FIXTURE(own)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

/* Keys are left, so that outside is another value than all of them. */
FIXTURE_SETUP(own)
{
	struct faasctl_domains_options options = { .keys = 3 };

	ASSERT_EQ(0, faasctl_scan_process(note_gate, NULL, NULL));
	/* Two in gate_call(), two in gate_monitor(), one in gate_fault(). */
	ASSERT_EQ(5, n_gates);
	DOMAINS_SETUP(self, &options);
	NEED_KEYS(self);
	TARGETS_SETUP(self, NULL);
}

FIXTURE_TEARDOWN(own)
{
	TARGETS_TEARDOWN(self);
}

/* What is freed by others must not come out of their heap. */
TEST_F(own, freeing)
{
	struct faasctl_domain *c;

	EXPECT_EQ(-EFAULT, faasctl_domain_call(self->a, free_other, NULL, NULL, &self->err));
	EXPECT_STREQ("stage a was stopped: it freed memory of another domain", self->err.message);
	EXPECT_EQ(SIGABRT, faasctl_domain_signal(self->a));
	ASSERT_EQ(0, faasctl_domain_new("c", NULL, &c, &self->err));
	EXPECT_EQ(-EFAULT, faasctl_domain_call(c, realloc_other, NULL, NULL, &self->err));
	EXPECT_STREQ("stage c was stopped: it reallocated memory of another domain", self->err.message);
	EXPECT_EQ(0, faasctl_domain_free(c, NULL));
	/* Outside it is nobody's to refuse, and comes out of that heap. */
	EXPECT_EQ(1, free_other(NULL));
	EXPECT_EQ(1, realloc_other(NULL));
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

/* ----------------------------------------------------------- where nobody looks at the register */

/* Changes code as the library does not see it. */
static void patch(uintptr_t at, const void *code, size_t len)
{
	uintptr_t page = at & -(uintptr_t)PAGE;
	size_t size = at + len - page;

	if (syscall(SYS_mprotect, page, size, PROT_READ | PROT_WRITE | PROT_EXEC))
		abort();
	memcpy((void *)at, code, len);
	if (syscall(SYS_mprotect, page, size, PROT_READ | PROT_EXEC))
		abort();
}

/* jne, to where those end that have other keys: ud2. */
static bool is_look(uintptr_t at)
{
	int32_t distance;

	memcpy(&distance, (void *)(at + 2), sizeof(distance));
	return !memcmp((void *)at, "\x0f\x85", 2) &&
	       !memcmp((void *)(at + 6 + distance), "\x0f\x0b", 2);
}

/* The next @n behind a write are none. */
static void take_out_looks(uintptr_t at, int n)
{
	static const uint8_t nops[6] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 };
	uintptr_t end = at + 48;

	for (; n && at < end; at++) {
		if (!is_look(at))
			continue;
		patch(at, nops, sizeof(nops));
		n--;
	}
	if (n)
		abort();
}

#define ALL_KEYS	"xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"

static long read_heap_once(void *arg)
{
	return reads(t->heap);
}

/* In: the gate calls what it is told to. */
static long forge_way_in(void *arg)
{
	__asm__ volatile("and $-16, %%rsp\n\t" ALL_KEYS "jmp *%0"
			 : : "r"(gates[0]), "S"(read_heap_once), "D"(0l) : "rax", "rcx", "rdx", "memory");
	__builtin_unreachable();
}

/* Out: whoever called goes on, with all keys, and what it is told is the result. */
static long forge_way_out(void *arg)
{
	__asm__ volatile(ALL_KEYS "jmp *%0" : : "r"(gates[1]), "S"(1l) : "rax", "rcx", "rdx", "memory");
	__builtin_unreachable();
}

/* What the gate for services takes from the stack when it goes back in. */
#define PUSH_FRAME	"lea -128(%%rsp), %%rsp\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tpush %%rbp\n\t"	\
			"mov %%rsp, %%rbp\n\tpush %%rbx\n\tpush %%r12\n\tpush %%r13\n\tpush %%r14\n\tpush %%r15\n\t"
#define AFTER_FRAME	"1:\tlea 128(%%rsp), %%rsp\n\t"
#define CHANGED		"rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc", "memory"

/* To a service, the loader's, which is done with all keys then. */
static long forge_service(void *arg)
{
	uintptr_t gate = gates[2];

	__asm__ volatile(PUSH_FRAME "mov $5, %%r12d\n\txor %%r13d, %%r13d\n\t" ALL_KEYS "jmp *%0\n" AFTER_FRAME
			 : "+D"(gate) : : CHANGED);
	return 1;
}

/* And back from it. */
static long forge_way_back(void *arg)
{
	uintptr_t gate = gates[3];

	__asm__ volatile(PUSH_FRAME ALL_KEYS "jmp *%0\n" AFTER_FRAME : "+D"(gate) : : CHANGED);
	return reads(t->heap);
}

/* What the host does when it is sent one. */
static void end_by_signal(int sig)
{
	syscall(SYS_exit_group, reads(t->heap) ? 1 : 2);
}

/* Faults: a signal that nobody sent is passed on to the host's handler. */
static long forge_fault(void *arg)
{
	static siginfo_t info = { .si_code = SI_USER };

	__asm__ volatile("mov $0, %%r12d\n\t" ALL_KEYS "jmp *%0"
			 : : "r"(gates[4]), "D"((long)SIGABRT), "S"(&info) : "rax", "rcx", "rdx", "r12", "memory");
	__builtin_unreachable();
}

static long set_all_keys(void *arg)
{
	int key;

	for (key = 1; key < 16; key++)
		pkey_set(key, 0);
	return reads(t->heap);
}

FIXTURE(unlooked)
{
};

FIXTURE_VARIANT(unlooked)
{
	long (*fn)(void *arg);
	int gate;	/* of which the write is jumped to; -1: it is about pkey_set() */
	int looks;	/* behind that */
};

FIXTURE_VARIANT_ADD(unlooked, way_in) { forge_way_in, 0, 2 };
FIXTURE_VARIANT_ADD(unlooked, way_out) { forge_way_out, 1, 1 };
FIXTURE_VARIANT_ADD(unlooked, service) { forge_service, 2, 1 };
FIXTURE_VARIANT_ADD(unlooked, way_back) { forge_way_back, 3, 2 };
FIXTURE_VARIANT_ADD(unlooked, fault) { forge_fault, 4, 1 };
FIXTURE_VARIANT_ADD(unlooked, pkey_set) { set_all_keys, -1, 0 };

/* What forge() comes to. */
enum { COULD = 1, STOPPED = 3, WITHOUT_KEYS, FAILED };

/* In a process that has domains, and ends with this. */
static int forge(const FIXTURE_VARIANT(unlooked) *variant, bool defended)
{
	struct faasctl_domains_options options = { .keys = 3 };
	struct faasctl_domains_info info;
	struct faasctl_domain *b, *c;
	struct faasctl_error err;
	long result = 0;

	signal(SIGABRT, end_by_signal);
	if (faasctl_domains_begin(&options, &err))
		return FAILED;
	faasctl_domains_info(&info);
	if (!info.threads)
		return WITHOUT_KEYS;
	if (faasctl_domain_new("b", NULL, &b, &err) || faasctl_domain_new("c", NULL, &c, &err))
		return FAILED;
	live_begin(b, c);
	if (!defended && variant->gate >= 0)
		take_out_looks(gates[variant->gate], variant->looks);
	else if (!defended)
		patch(setting, "\x0f\x01\xef", 3);
	if (!faasctl_domain_call(c, variant->fn, NULL, &result, &err))
		return result ? COULD : 0;
	return strstr(err.message, "it executed what writes the key register") ? STOPPED : FAILED;
}

FIXTURE_SETUP(unlooked)
{
	ASSERT_EQ(0, faasctl_scan_process(note_gate, NULL, NULL));
	ASSERT_EQ(5, n_gates);
	ASSERT_NE(0, setting);
}

FIXTURE_TEARDOWN(unlooked)
{
}

/* Each of the attacks on the register, with its defence, and without. */
TEST_F(unlooked, attack)
{
	int defended, end;
	pid_t pid;

	for (defended = 1; defended >= 0; defended--) {
		pid = child();
		if (!pid)
			syscall(SYS_exit_group, forge(variant, defended));
		end = child_end(pid);
		if (end == WITHOUT_KEYS)
			SKIP(return, "no protection keys here");
		EXPECT_EQ(defended ? STOPPED : COULD, end)
			TH_LOG("%s", defended ? "with its defence" : "without its defence");
	}
}

/* ------------------------------------------------- by what the loader binds functions with */

#define RESTORES_MAX	16
static uintptr_t restores[RESTORES_MAX];
static int n_restores;

static int note_restore(const struct faasctl_scan_hit *hit, void *arg)
{
	Dl_info info;

	if (hit->kind == FAASCTL_SCAN_XRSTOR && n_restores < RESTORES_MAX &&
	    dladdr((void *)hit->address, &info) && (uintptr_t)info.dli_fbase == getauxval(AT_BASE))
		restores[n_restores++] = hit->address;
	return 0;
}

/*
 * Jumps to where the loader restores registers, with an area of zeroes, the key register's among
 * them, and comes back as a function would that was bound: by r11, with rbx and the stack from where
 * rbx says.
 */
static long restore_keys(void *arg)
{
	static char area[16384] __attribute__((aligned(64)));
	uintptr_t at = restores[(long)arg];
	char *to = area + 64;

	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "sub $16, %%rsp\n\t"
			 "push %%rbx\n\t"
			 "mov %%rsp, %%rbx\n\t"
			 "lea 1f(%%rip), %%r11\n\t"
			 "mov %0, %%rsp\n\t"
			 "mov $0x200, %%eax\n\t"
			 "xor %%edx, %%edx\n\t"
			 "jmp *%1\n"
			 "1:\tlea 128(%%rsp), %%rsp\n\t"
			 : "+S"(to), "+D"(at)
			 : : "rax", "rcx", "rdx", "r8", "r9", "r11", "cc", "memory");
	return reads(t->heap);
}

FIXTURE(loader)
{
	struct faasctl_domain *a, *b;
	struct faasctl_error err;
	struct faasctl_domains_info info;
};

FIXTURE_VARIANT(loader)
{
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(loader, bound) { };
/* The defence is missing. */
FIXTURE_VARIANT_ADD(loader, lazy) { .flags = FAASCTL_DOMAINS_LAZY };

FIXTURE_SETUP(loader)
{
	struct faasctl_domains_options options = { .flags = variant->flags, .keys = 3 };

	ASSERT_EQ(0, faasctl_scan_process(note_restore, NULL, NULL));
	ASSERT_LT(0, n_restores);
	DOMAINS_SETUP(self, &options);
	NEED_KEYS(self);
	TARGETS_SETUP(self, NULL);
}

FIXTURE_TEARDOWN(loader)
{
	TARGETS_TEARDOWN(self);
}

TEST_F(loader, restores)
{
	struct faasctl_domain *c;
	long i, result;

	EXPECT_EQ(variant->flags ? n_restores : 0, self->info.left);
	for (i = 0; i < n_restores; i++) {
		result = 0;
		ASSERT_EQ(0, faasctl_domain_new("c", NULL, &c, &self->err));
		if (variant->flags) {
			EXPECT_OK(faasctl_domain_call(c, restore_keys, (void *)i, &result, &self->err));
			EXPECT_EQ(1, result);
		} else {
			EXPECT_FAIL(EFAULT, "stage c was stopped: it executed what writes the key register",
				    faasctl_domain_call(c, restore_keys, (void *)i, &result, &self->err));
		}
		EXPECT_EQ(0, faasctl_domain_free(c, NULL));
	}
}

TEST_HARNESS_MAIN
