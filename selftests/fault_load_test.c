// SPDX-License-Identifier: GPL-2.0
/*
 * The module is loaded, and each thing that it asks for meanwhile fails once: it is there
 * and works, or it is gone without a trace. See fault.h. In guests only: it is unloaded first.
 *
 * Before it calls the module, the kernel asks for far more than the module does, and whether
 * all of that may fail is no concern of ours. So points are tried from the last to the first,
 * until the module fails of none in a row any more; the kernel's tracepoint for modules tells
 * whether it was called. Of pages the module asks for none itself, and want of those that objects
 * are made of is made up for nearly always: they are let be.
 */
#include <sys/mount.h>
#include <sys/sendfile.h>

#include "actor.h"
#include "fault.h"
#include "harness.h"

#define TRACE		"/sys/kernel/tracing/instances/faasin-load"

/* More points than there are. */
#define POINTS_MAX	1000000

/* So many points in a row that the module does not fail of are the kernel's own. */
#define KERNELS_OWN	20

/**
 * struct load - what came of it
 * @left: points that were left before the one that was to fail; 0: it failed
 * @error: of loading, or 0
 * @called: the module was
 */
struct load {
	unsigned int left;
	int error;
	bool called;
};

FIXTURE(loading) {
	struct load *load;
	int module;
	int log;
};

/* The kernel is to say when it calls a module that it loaded. */
static bool watch_modules(void)
{
	return (!mkdir(TRACE, 0700) || errno == EEXIST) &&
	       fault_put(TRACE "/events/module/module_load/enable", "1");
}

static void forget_modules(void)
{
	close(open(TRACE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static bool was_called(void)
{
	FILE *stream = fopen(TRACE "/trace", "re");
	bool called = false;
	char line[512];

	while (stream && fgets(line, sizeof(line), stream))
		if (strstr(line, "module_load: faasin"))
			called = true;
	if (stream)
		fclose(stream);
	return called;
}

static bool is_loaded(void)
{
	return !access("/sys/module/faasin", F_OK);
}

/* What was closed a moment ago may be let go of a moment later. */
static long unload(void)
{
	long error = 0;
	int tries;

	umount2(MOUNT_POINT, 0);
	for (tries = 0; tries < DEADLINE * 10; tries++) {
		error = sys(syscall(SYS_delete_module, "faasin", O_NONBLOCK));
		if (error != -EWOULDBLOCK)
			break;
		usleep(100000);
	}
	return error;
}

/*
 * A copy in memory, not open for writing: the file system that the guest shares loses
 * track of its files when its own requests fail. Returns a descriptor, or -errno.
 */
static int copy_of(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("faasin.ko", MFD_CLOEXEC);
	long n = from < 0 ? -errno : 1;
	char name[64];

	while (n > 0)
		n = sys(sendfile(to, from, NULL, MIB));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", to);
	if (!n)
		n = sys(open(name, O_RDONLY | O_CLOEXEC));
	close(from);
	close(to);
	return n;
}

static long load(int module)
{
	return sys(syscall(SYS_finit_module, module, "", 0));
}

/* It can do what it is for. */
static const char *does_not_work(void)
{
	const char *what = NULL;
	struct world w;

	if (mount("none", MOUNT_POINT, "faasin", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return "it cannot be mounted";
	if (world_new(&w) || world_stage(&w, "a", NULL) || world_stage(&w, "b", NULL) ||
	    world_link(&w, "a", "b"))
		what = "there can be no link";
	else if (access(world_out(&w, "a"), F_OK))
		what = "its tree is not there";
	world_del(&w);
	close(w.log);
	return what;
}

static const char *left_something(void)
{
	char line[128];
	bool type = false;
	FILE *stream = fopen("/proc/filesystems", "re");
	uint16_t family;
	uint32_t group;
	int fd;

	while (stream && fgets(line, sizeof(line), stream))
		if (strstr(line, "\tfaasin\n"))
			type = true;
	if (stream)
		fclose(stream);
	if (type)
		return "the type of its file system";
	if (!access(MOUNT_POINT, F_OK))
		return "its mount point";
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	type = fd < 0 || nl_family(fd, FAASIN_GENL_NAME, &family, &group) != ENOENT;
	close(fd);
	return type ? "its netlink family" : NULL;
}

FIXTURE_SETUP(loading)
{
	const char *guest = getenv("FAASIN_GUEST"), *module = getenv("FAASIN_MODULE");
	char path[256];

	self->load = NULL;
	if (!guest)
		SKIP(return, "runs in guests only: it unloads the module");
	snprintf(path, sizeof(path), "build/kmod-%s/faasin.ko", guest);
	self->module = copy_of(module ?: path);
	if (self->module < 0 || !is_loaded())
		SKIP(return, "no module to load again: %s", module ?: path);
	ASSERT_TRUE(watch_modules())
		TH_LOG("there is no tracepoint for modules below " TRACE);
	self->log = log_open();
	self->load = shared(sizeof(*self->load));
	ASSERT_EQ(0, unload());
}

FIXTURE_TEARDOWN(loading)
{
	const char *complaint;

	if (!self->load)
		return;
	rmdir(TRACE);
	if (!is_loaded())
		EXPECT_EQ(0, load(self->module));
	mount("none", MOUNT_POINT, "faasin", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	complaint = log_complaint(self->log);
	EXPECT_EQ(NULL, complaint)
		TH_LOG("the kernel's log: %s", complaint);
	close(self->log);
	close(self->module);
}

/* Loads it in a process of its own, in which what it asks for as the @nth fails. */
static int load_with(int module, unsigned int nth, struct load *load_is)
{
	pid_t pid;
	int end, fd;

	forget_modules();
	pid = child();
	if (!pid) {
		fd = fault_open();
		if (fd < 0 || !fault_arm(fd, nth))
			_exit(1);
		load_is->error = -load(module);
		load_is->left = fault_disarm(fd);
		_exit(0);
	}
	end = child_end(pid);
	load_is->called = was_called();
	return end;
}

/* What is wrong now that it was loaded, or could not be; it is gone again. */
static const char *wrong_with(const struct load *load)
{
	const char *wrong;

	if (load->error) {
		if (load->called && load->error != ENOMEM)
			return "another error";
		return is_loaded() ? "it is there" : left_something();
	}
	wrong = load->called ? does_not_work() : "nobody called it";
	return unload() ? "it cannot be unloaded" : wrong;
}

TEST_F_TIMEOUT(loading, to_exhaustion, 600)
{
	unsigned int nth, points, tried = 0, failed = 0, own = 0;
	const char *wrong;

	ASSERT_TRUE(fault_let_fail(true, false));
	ASSERT_EQ(0, load_with(self->module, POINTS_MAX, self->load));
	points = POINTS_MAX - self->load->left;
	ASSERT_EQ(0, self->load->error);
	ASSERT_EQ(NULL, wrong_with(self->load));

	/* Each, whatever FAULT_STEP is: the few that are ours must not be passed over. */
	for (nth = points; nth && (!failed || own < KERNELS_OWN); nth--) {
		ASSERT_EQ(0, load_with(self->module, nth, self->load));
		wrong = wrong_with(self->load);
		EXPECT_EQ(NULL, wrong)
			TH_LOG("point %u of %u (error %d): %s", nth, points, self->load->error, wrong);
		tried++;
		failed += self->load->error && self->load->called;
		own = self->load->error && self->load->called ? 0 : own + 1;
	}
	TH_LOG("%u points, %u tried, of which %u let the module fail", points, tried, failed);
	EXPECT_LT(0, failed);
}

int main(int argc, char **argv)
{
	const char *unable = fault_unable();

	if (unable) {
		printf("TAP version 13\n1..0 # SKIP %s\n", unable);
		return KSFT_SKIP;
	}
	return test_harness_run(argc, argv);
}
