// SPDX-License-Identifier: GPL-2.0
/*
 * The module is loaded, and each allocation that it asks for meanwhile fails once: it is there
 * and works, or it is gone without a trace. See fault.h. In guests only: it is unloaded first.
 */
#include <sys/mount.h>

#include "actor.h"
#include "fault.h"
#include "harness.h"

#define POINTS_MAX	500

/* What the kernel puts modules into: whoever was called from there is one. */
#define MODULES_FROM	"0xffffffffa0000000"
#define MODULES_TO	"0xfffffffffeffffff"

/**
 * struct load - what came of it
 * @reached: the point exists
 * @error: of loading, or 0
 */
struct load {
	bool reached;
	int error;
};

FIXTURE(loading) {
	struct load *load;
	const char *module;
	char path[PATH_MAX];
	int log;
};

static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

/* The kernel itself asks for more memory than the module does: none of that is to fail. */
static bool let_only_modules_fail(bool only)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/require-start", kinds[i]);
		if (!fault_put(path, only ? MODULES_FROM : "0"))
			return false;
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/require-end", kinds[i]);
		if (!fault_put(path, only ? MODULES_TO : "0xffffffffffffffff"))
			return false;
	}
	return true;
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

static long load(const char *module)
{
	int fd = open(module, O_RDONLY | O_CLOEXEC);
	long error = sys(syscall(SYS_finit_module, fd, "", 0));

	close(fd);
	return error;
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
	const char *guest = getenv("FAASIN_GUEST");

	self->load = NULL;
	if (!guest)
		SKIP(return, "runs in guests only: it unloads the module");
	snprintf(self->path, sizeof(self->path), "build/kmod-%s/faasin.ko", guest);
	self->module = getenv("FAASIN_MODULE") ?: self->path;
	if (access(self->module, R_OK) || !is_loaded())
		SKIP(return, "no module to load again: %s", self->module);
	if (!let_only_modules_fail(true))
		SKIP(return, "this kernel cannot let the requests of modules alone fail (FAULT_INJECTION_STACKTRACE_FILTER)");
	self->log = log_open();
	self->load = shared(sizeof(*self->load));
	ASSERT_EQ(0, unload());
}

FIXTURE_TEARDOWN(loading)
{
	const char *complaint;

	if (!self->load)
		return;
	let_only_modules_fail(false);
	if (!is_loaded())
		EXPECT_EQ(0, load(self->module));
	mount("none", MOUNT_POINT, "faasin", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	complaint = log_complaint(self->log);
	EXPECT_EQ(NULL, complaint)
		TH_LOG("the kernel's log: %s", complaint);
	close(self->log);
}

/* Loads it in a process of its own, in which allocation @nth fails. */
static int load_with(const char *module, unsigned int nth, struct load *load_is)
{
	pid_t pid = child();
	int fd;

	if (!pid) {
		fd = fault_open();
		if (fd < 0 || !fault_arm(fd, nth))
			_exit(1);
		load_is->error = -load(module);
		load_is->reached = fault_disarm(fd);
		_exit(0);
	}
	return child_end(pid);
}

TEST_F_TIMEOUT(loading, to_exhaustion, 300)
{
	unsigned int nth, failed = 0;
	bool pages = false;
	const char *wrong;

	do {
		ASSERT_TRUE(fault_let_fail(!pages, pages));
		for (nth = 1; nth <= POINTS_MAX; nth++) {
			ASSERT_EQ(0, load_with(self->module, nth, self->load));
			if (self->load->error) {
				EXPECT_EQ(ENOMEM, self->load->error);
				EXPECT_FALSE(is_loaded());
				wrong = left_something();
				failed++;
			} else {
				wrong = does_not_work();
				EXPECT_EQ(0, unload());
			}
			EXPECT_EQ(NULL, wrong)
				TH_LOG("point %u (error %d): %s", nth, self->load->error, wrong);
			if (!self->load->reached)
				break;
		}
		EXPECT_EQ(0, self->load->error);
		EXPECT_GT(POINTS_MAX, nth);
		TH_LOG("%u points of %s, %u of all let it fail", nth - 1, kinds[pages], failed);
		pages = !pages;
	} while (pages);
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
