// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks on memory by system calls of a thread with a filter: what the kernel reads and writes for
 * others, how memory is laid out, and what the kernel does to it later. domain_filter.h says how
 * they are made.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "domain_filter.h"

/* Pages of b's that it does not look at, so that it is not harmed when the defence is missing. */
#define SPARE	(((uintptr_t)t->large + (1 << 20)) & -(uintptr_t)PAGE)

/* An empty page of whoever calls; it is not the domain's. */
static long own_page(void)
{
	return syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* ------------------------------------------------------------- what the kernel reads for others */

static long vm_read(void *arg)
{
	char text[sizeof(SECRET)] = "";
	struct iovec to = { text, sizeof(text) }, from = { t->heap, sizeof(text) };

	return syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0) == sizeof(text) && reads(text);
}

static long vm_write(void *arg)
{
	char first = SECRET[0];
	struct iovec from = { &first, 1 }, to = { t->heap, 1 };

	return syscall(SYS_process_vm_writev, getpid(), &from, 1, &to, 1, 0) == 1;
}

static long read_by_file(const char *path)
{
	char text[sizeof(SECRET)] = "";
	int fd = open(path, O_RDONLY);

	return fd >= 0 && pread(fd, text, sizeof(text), (off_t)t->heap) == sizeof(text) && reads(text);
}

static long proc_mem(void *arg) { return read_by_file("/proc/self/mem"); }
static long proc_thread_mem(void *arg) { return read_by_file("/proc/thread-self/mem"); }
static long proc_root_mem(void *arg) { return read_by_file("/proc/self/root/proc/self/mem"); }

static long proc_pid_mem(void *arg)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	return read_by_file(path);
}

static long proc_mem_write(void *arg)
{
	int fd = open("/proc/self/mem", O_RDWR);

	return fd >= 0 && pwrite(fd, SECRET, 1, (off_t)t->heap) == 1;
}

/* What the process has open, by way of another of its threads; and what leads there. */
static long open_again(const char *format)
{
	char path[60];

	snprintf(path, sizeof(path), format, t->pipe[0]);
	return open(path, O_RDONLY | O_NONBLOCK) >= 0;
}

static long proc_fd(void *arg) { return open_again("/proc/self/fd/%d"); }
static long proc_thread_fd(void *arg) { return open_again("/proc/self/task/../fd/%d"); }
static long dev_fd(void *arg) { return open_again("/dev/fd/%d"); }

/* Another one, as the one there is was closed. */
static long new_proc(void *arg)
{
	long done;

	if (mount("none", "/mnt", "proc", 0, NULL))
		return 0;
	done = read_by_file("/mnt/self/mem");
	return umount2("/mnt", MNT_DETACH) ? -1 : done;
}

static long physical(void *arg)
{
	return open("/dev/mem", O_RDONLY) >= 0;
}

static long hardware(void *arg) { return !syscall(SYS_iopl, 3) && !syscall(SYS_iopl, 0); }
static long new_module(void *arg) { return COMES_TO(EBADF, syscall(SYS_finit_module, -1, "", 0)); }

static long sample(void *arg)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0;
}

static long old_ring(void *arg)
{
	unsigned long ring = 0;

	return !syscall(SYS_io_setup, 1, &ring) && !syscall(SYS_io_destroy, ring);
}

static long end_ring(void *arg) { return COMES_TO(EINVAL, syscall(SYS_io_destroy, 0)); }
static long cancel(void *arg) { return COMES_TO(EFAULT, syscall(SYS_io_cancel, 0, NULL, NULL)); }
static long get_events(void *arg) { return COMES_TO(EINVAL, syscall(SYS_io_getevents, 0, 0, 0, NULL, NULL)); }
static long submit(void *arg) { return COMES_TO(EINVAL, syscall(SYS_io_submit, 0, 1, NULL)); }
static long proc_maps(void *arg)
{
	return open("/proc/self/maps", O_RDONLY) >= 0;
}

static long uring(void *arg)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 1, &params) >= 0;
}

static long userfault(void *arg)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC) >= 0;
}

static long fault_device(void *arg)
{
	int fd = open("/dev/userfaultfd", O_RDWR);

	return fd >= 0 && ioctl(fd, USERFAULTFD_IOC_NEW, O_CLOEXEC) >= 0;
}

static long advise_process(void *arg) { return syscall(SYS_process_madvise, -1, NULL, 0, 0, 0) < 0 && errno != EPERM; }
static long compare(void *arg)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) == 0;
}

static long move_other(void *arg)
{
	return syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0) == 0;
}

static long bpf_map(void *arg) { return syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0) < 0 && errno != EPERM; }
static long trace(void *arg) { return syscall(SYS_ptrace, 0x4206 /* SEIZE */, -1, 0, 0) < 0 && errno == ESRCH; }

/* -------------------------------------------------------------------- the layout of memory */

static long set_key(void *arg)
{
	return !syscall(SYS_pkey_mprotect, SPARE, PAGE, PROT_READ | PROT_WRITE, 0);
}

static long get_key(void *arg)
{
	long key = syscall(SYS_pkey_alloc, 0, 0);

	return key > 0;
}

static long free_key(void *arg) { return !syscall(SYS_pkey_free, 5); }
static long protect(void *arg) { return !syscall(SYS_mprotect, SPARE, PAGE, PROT_READ); }
static long unmap(void *arg) { return !syscall(SYS_munmap, SPARE, PAGE); }
static long advise(void *arg) { return !syscall(SYS_madvise, SPARE, PAGE, MADV_DONTNEED); }

static long take(void *arg)
{
	return syscall(SYS_mremap, SPARE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, own_page()) > 0;
}

static long move_over(void *arg)
{
	return syscall(SYS_mremap, own_page(), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, SPARE) > 0;
}

static long map_over(void *arg)
{
	return syscall(SYS_mmap, SPARE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) > 0;
}

static long new_code(void *arg)
{
	return syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) > 0;
}

static long old_library(void *arg) { return COMES_TO(ENOENT, syscall(SYS_uselib, "/none")); }
static long make_code(void *arg) { return !syscall(SYS_mprotect, own_page(), PAGE, PROT_READ | PROT_EXEC); }
static long unmap_host(void *arg) { return !syscall(SYS_munmap, *(void **)arg, PAGE); }
static long move_break(void *arg) { return syscall(SYS_brk, 0) > 0; }
static long old_remap(void *arg) { return syscall(SYS_remap_file_pages, 0, 0, 0, 0, 0) < 0 && errno == EINVAL; }
static long change_persona(void *arg)
{
	return syscall(SYS_personality, 0xffffffff) >= 0;
}

static long shared_memory(void *arg)
{
	return syscall(SYS_shmget, 0, PAGE, 0600) >= 0;
}

static long detach_shared(void *arg) { return COMES_TO(EINVAL, syscall(SYS_shmdt, 1)); }
static long bind_pages(void *arg) { return !syscall(SYS_mbind, SPARE, PAGE, 0, NULL, 0, 0); }
static long bind_home(void *arg) { return COMES_TO(EINVAL, syscall(SYS_set_mempolicy_home_node, 1, PAGE, 0, 0)); }
static long lock_all(void *arg) { return COMES_TO(EINVAL, syscall(SYS_mlockall, 0)); }
static long unlock_all(void *arg) { return !syscall(SYS_munlockall); }
static long unlock(void *arg) { return !syscall(SYS_munlock, SPARE, PAGE); }
/* They are locked, whether the caller can touch them or not. */
static long lock_other(void *arg) { return COMES_TO(ENOMEM, syscall(SYS_mlock, SPARE, PAGE)); }
static long lock_other_later(void *arg) { return !syscall(SYS_mlock2, SPARE, PAGE, 1); }
static long seal(void *arg) { return COMES_TO(EINVAL, syscall(462 /* mseal */, 1, PAGE, 0)); }

/* Numbers of x32; most kernels know none. */
static long x32_abi(void *arg)
{
	return syscall(0x40000000 | SYS_munmap, SPARE, PAGE) < 0 && errno != EPERM;
}

/* A hole, which the host could fill. */
static long make_hole(void *arg)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return !syscall(SYS_munmap, page, PAGE) &&
	       syscall(SYS_mmap, page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) > 0;
}

static long move_own(void *arg)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Its first page takes the place of the second, and is missing. */
	return syscall(SYS_mremap, pages, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, pages + PAGE) > 0 &&
	       syscall(SYS_mmap, pages, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) > 0;
}

/* From its own on, to far beyond. */
static long protect_beyond(void *arg)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return !syscall(SYS_mprotect, page, 1ul << 36, PROT_NONE) || errno == ENOMEM;
}

static long advise_beyond(void *arg)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return !syscall(SYS_madvise, page, 1ul << 34, MADV_NORMAL);
}

/* Its own stack outside is in its slot, and used with all keys. */
static long advise_thread(void *arg)
{
	uintptr_t own = (uintptr_t)__builtin_thread_pointer() & -(uintptr_t)PAGE;

	return !syscall(SYS_madvise, own, PAGE, MADV_NORMAL);
}

static long set_mm(void *arg)
{
	unsigned int size;

	return !syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0);
}

/* With no upper half, of which the kernel looks at none. */
static long undumpable(void *arg) { return !syscall(SYS_prctl, 1ul << 32 | PR_SET_DUMPABLE, 1, 0, 0, 0); }

static long thread_base(void *arg)
{
	unsigned long base;

	return !syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &base);
}

/* -------------------------------------------------------- what the kernel does to memory later */

/* Where the kernel is to write a 0 when the thread ends, with all keys; then as it was. */
static long clear_other(void *arg)
{
	void *was;

	return !prctl(PR_GET_TID_ADDRESS, &was) && syscall(SYS_set_tid_address, SPARE) == gettid() &&
	       syscall(SYS_set_tid_address, was) == gettid();
}

static long robust_list(void *arg)
{
	void *was;
	size_t size;

	return !syscall(SYS_get_robust_list, 0, &was, &size) && !syscall(SYS_set_robust_list, SPARE, size) &&
	       !syscall(SYS_set_robust_list, was, size);
}

static long restartable(void *arg)
{
	static char area[64] __attribute__((aligned(32)));

	return !syscall(SYS_rseq, area, 32, 0, RSEQ_SIG) && !syscall(SYS_rseq, area, 32, 1, RSEQ_SIG);
}

/* What the processor keeps in a signal's frame: where the key register is in there, or 0. */
static unsigned int keys_at(unsigned int *size)
{
	unsigned int a = 0xd, b, c = 9, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	*size = b + a;
	return b;
}

/* As the kernel made it, but that all keys are open in it; and returns from no signal at all. */
static long forge_frame(void *arg)
{
	static char area[16384] __attribute__((aligned(64)));
	static ucontext_t context;
	static volatile int returned;
	unsigned int size, at = keys_at(&size), selectors = 0, stack = 0;
	struct _fpx_sw_bytes *known = (void *)(area + 464);

	memset(area, 0, sizeof(area));
	returned = 0;
	/* x87, SSE and keys. */
	__asm__ volatile("xsave64 %0" : "+m"(area) : "a"(0x203), "d"(0) : "memory");
	*(uint64_t *)(area + 512) |= 0x200;
	*(uint32_t *)(area + at) = 0;
	*known = (struct _fpx_sw_bytes){
		.magic1 = FP_XSTATE_MAGIC1, .extended_size = size + 4,
		.xstate_bv = 0x203, .xstate_size = size,
	};
	*(uint32_t *)(area + size) = FP_XSTATE_MAGIC2;
	if (getcontext(&context))
		return 0;
	if (returned)
		return reads(t->heap);
	returned = 1;
	__asm__ volatile("mov %%cs, %0\n\tmov %%ss, %1" : "=r"(selectors), "=r"(stack));
	context.uc_flags = 7;	/* there is more than x87 and SSE; the stack's selector holds */
	context.uc_mcontext.fpregs = (void *)area;
	context.uc_mcontext.gregs[REG_CSGSFS] = selectors | (uint64_t)stack << 48;
	/* It was outside; what follows is done where the stack was before. */
	__asm__ volatile("mov %%rsp, %%r12\n\tmov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall\n\tmov %%r12, %%rsp"
			 : : "r"(&context) : "rax", "rcx", "r11", "r12", "memory");
	return 0;
}

/* --------------------------------------------------------------------------- all of them */

ATTACK(vm_read);
ATTACK(vm_write);
ATTACK(proc_mem);
ATTACK(proc_thread_mem);
ATTACK(proc_root_mem);
ATTACK(proc_pid_mem);
ATTACK(proc_mem_write);
ATTACK(proc_maps);
ATTACK(proc_fd);
ATTACK(proc_thread_fd);
ATTACK(dev_fd);
ATTACK(new_proc);
ATTACK(physical, .optional = true);
ATTACK(hardware, .optional = true);
ATTACK(new_module, .optional = true);
ATTACK(sample);
ATTACK(old_ring);
ATTACK(submit);
ATTACK(end_ring);
ATTACK(cancel);
ATTACK(get_events);
ATTACK(uring);
ATTACK(userfault);
ATTACK(fault_device, .optional = true);
ATTACK(advise_process);
ATTACK(compare);
ATTACK(move_other, .optional = true);
ATTACK(bpf_map);
ATTACK(trace);
ATTACK(set_key);
ATTACK(get_key);
ATTACK(free_key);
ATTACK(protect);
ATTACK(unmap);
ATTACK(advise);
ATTACK(take);
ATTACK(move_over);
ATTACK(map_over);
ATTACK(new_code);
ATTACK(old_library, .optional = true);
ATTACK(make_code);
ATTACK(unmap_host);
ATTACK(move_break);
ATTACK(old_remap);
ATTACK(change_persona);
ATTACK(shared_memory);
ATTACK(detach_shared);
ATTACK(bind_pages, .optional = true);
ATTACK(bind_home, .optional = true);
ATTACK(lock_all);
ATTACK(unlock_all);
ATTACK(unlock);
ATTACK(lock_other);
ATTACK(lock_other_later);
ATTACK(seal, .optional = true);
ATTACK(x32_abi);
ATTACK(make_hole);
ATTACK(move_own);
ATTACK(protect_beyond);
ATTACK(advise_beyond);
ATTACK(advise_thread);
ATTACK(clear_other);
ATTACK(robust_list);
ATTACK(restartable);
ATTACK(forge_frame);
ATTACK(set_mm);
ATTACK(undumpable);
ATTACK(thread_base);

TEST_HARNESS_MAIN
