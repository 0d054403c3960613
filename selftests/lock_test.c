// SPDX-License-Identifier: GPL-2.0
/*
 * The control lock: whoever waits for it can be killed, and has changed nothing then.
 *
 * User space cannot hold it for long, so it is held still: an ordinary process does what holds
 * it most of the time, and one of real-time priority takes its CPU away. Where the kernel can be
 * preempted, the first one then stands still with the lock, or else the victim is not seen to
 * wait and all is tried again.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "actor.h"
#include "harness.h"
#include "world.h"

#define STAGES	300	/* of a workflow in which the last one is looked for */
#define BATCH	50	/* requests that look for it */
#define TRIES	200

/**
 * struct turns - shared by all
 * @done: batches of requests
 * @spins: the lock's CPU is taken
 * @enough: it shall be given back
 */
struct turns {
	volatile unsigned int done;
	volatile bool spins, enough;
};

/**
 * struct holder - who holds the lock
 * @w: its workflow
 * @turns: shared
 * @take: bell: take its CPU
 * @requester: makes requests
 * @spinner: takes the CPU
 */
struct holder {
	struct world w;
	struct turns *turns;
	int take;
	pid_t requester, spinner;
};

static bool on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* Without acknowledgments nothing but the requests takes time. */
static void request_for_ever(struct holder *h)
{
	struct nl_msg msg = { .len = 0 };
	struct nlmsghdr *hdr;
	char name[16];
	struct nl nl;
	int i;

	if (nl_open(&nl))
		_exit(1);
	snprintf(name, sizeof(name), "s%d", STAGES - 1);
	for (i = 0; i < BATCH; i++) {
		size_t from = msg.len;

		hdr = nl_begin(&nl, &msg, FAASIN_CMD_STAGE_NEW, 0);
		nl_put_list(&msg, NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, h->w.wf),
					  NL_STR(FAASIN_A_STAGE_NAME, name)));
		hdr->nlmsg_len = msg.len - from;
	}
	while (!nl_post(&nl, &msg))
		h->turns->done++;
	_exit(1);
}

static void spin_when_asked(struct holder *h)
{
	const struct sched_param first = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &first))
		_exit(1);
	while (await(h->take)) {
		h->turns->spins = true;
		while (!h->turns->enough)
			;
		h->turns->spins = false;
	}
	_exit(1);
}

static int holder_new(struct holder *h)
{
	char name[16];
	int error, i;

	error = world_new_beside(&h->w);
	for (i = 0; i < STAGES && !error; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		error = world_stage(&h->w, name, NULL);
	}
	if (error)
		return error;
	h->turns = shared(sizeof(*h->turns));
	h->take = bell();
	h->requester = child_for(100);
	if (!h->requester) {
		on_cpu(0);
		request_for_ever(h);
	}
	h->spinner = child_for(100);
	if (!h->spinner) {
		on_cpu(0);
		spin_when_asked(h);
	}
	return !h->turns || !on_cpu(1);
}

static void holder_del(struct holder *h)
{
	child_kill(h->spinner, SIGKILL);
	child_kill(h->requester, SIGKILL);
	close(h->take);
	world_del(&h->w);
}

/*
 * Has @victim, which begins when @begin rings, been killed while it waited for the lock in
 * system call @nr? In any case it is gone.
 */
static bool dies_waiting(struct holder *h, pid_t victim, int begin, long nr)
{
	struct turns *turns = h->turns;
	unsigned int done;
	bool waits;
	int end;

	turns->enough = false;
	ring(h->take);
	while (!turns->spins)
		usleep(100);
	done = turns->done;
	ring(begin);
	waits = blocks_in(victim, nr);
	if (waits)
		kill(victim, SIGKILL);
	end = child_end(victim);
	/* Nobody had the lock in between. */
	waits = waits && end == -SIGKILL && turns->done == done;
	turns->enough = true;
	while (turns->spins)
		usleep(100);
	return waits;
}

/* ----------------------------------------------------------------- requests */

FIXTURE(request) {
	struct world w;
	struct holder holder;
};

FIXTURE_VARIANT(request) {
	uint8_t cmd;
	uint16_t flags;
	uint8_t undo;	/* what has to be gone before */
};

#define REQUEST(name, ...)	FIXTURE_VARIANT_ADD(request, name) { __VA_ARGS__ }

REQUEST(info_get, FAASIN_CMD_INFO_GET);
REQUEST(workflow_get, FAASIN_CMD_WORKFLOW_GET);
REQUEST(workflow_list, FAASIN_CMD_WORKFLOW_GET, NLM_F_DUMP);
REQUEST(workflow_new, FAASIN_CMD_WORKFLOW_NEW, 0, FAASIN_CMD_WORKFLOW_DEL);
REQUEST(workflow_del, FAASIN_CMD_WORKFLOW_DEL);
REQUEST(stage_get, FAASIN_CMD_STAGE_GET);
REQUEST(stage_list, FAASIN_CMD_STAGE_GET, NLM_F_DUMP);
REQUEST(stage_new, FAASIN_CMD_STAGE_NEW, 0, FAASIN_CMD_STAGE_DEL);
REQUEST(stage_del, FAASIN_CMD_STAGE_DEL);
REQUEST(link_get, FAASIN_CMD_LINK_GET);
REQUEST(link_new, FAASIN_CMD_LINK_NEW, 0, FAASIN_CMD_LINK_DEL);
REQUEST(link_del, FAASIN_CMD_LINK_DEL);
REQUEST(link_set, FAASIN_CMD_LINK_SET);
REQUEST(stage_replace, FAASIN_CMD_STAGE_REPLACE);

FIXTURE_SETUP(request)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, holder_new(&self->holder));
}

FIXTURE_TEARDOWN(request)
{
	holder_del(&self->holder);
	WORLD_TEARDOWN(&self->w);
}

/* A request of that kind: about the workflow, its stage a, or its link from a to b. */
static void put_request(struct world *w, struct nl_msg *msg, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *hdr;

	msg->len = 0;
	hdr = nl_begin(&w->nl, msg, cmd, NLM_F_ACK | flags);
	switch (cmd) {
	case FAASIN_CMD_WORKFLOW_NEW:
		nl_put_list(msg, NL_LIST(NL_U32(FAASIN_A_WORKFLOW_FLAGS,
						FAASIN_WORKFLOW_F_UNCHARGED)));
		/* fallthrough */
	case FAASIN_CMD_WORKFLOW_DEL:
	case FAASIN_CMD_WORKFLOW_GET:
		if (!(flags & NLM_F_DUMP))
			nl_put_list(msg, NL_LIST(NL_STR(FAASIN_A_WORKFLOW_NAME, w->wf)));
		break;
	case FAASIN_CMD_STAGE_NEW:
	case FAASIN_CMD_STAGE_DEL:
	case FAASIN_CMD_STAGE_REPLACE:
	case FAASIN_CMD_STAGE_GET:
		nl_put_list(msg, NL_LIST(NL_STR(FAASIN_A_STAGE_WORKFLOW, w->wf)));
		if (!(flags & NLM_F_DUMP))
			nl_put_list(msg, NL_LIST(NL_STR(FAASIN_A_STAGE_NAME, "a")));
		break;
	case FAASIN_CMD_LINK_NEW:
	case FAASIN_CMD_LINK_DEL:
	case FAASIN_CMD_LINK_GET:
	case FAASIN_CMD_LINK_SET:
		if (cmd == FAASIN_CMD_LINK_NEW)
			nl_put_list(msg, NL_LIST(NL_STR(FAASIN_A_LINK_DST_STAGE, "b")));
		if (cmd == FAASIN_CMD_LINK_SET)
			nl_put_list(msg, NL_LIST(NL_U64(FAASIN_A_LINK_CAPACITY, 8192)));
		nl_put_list(msg, NL_LIST(NL_STR(FAASIN_A_LINK_WORKFLOW, w->wf),
					 NL_STR(FAASIN_A_LINK_SRC_STAGE, "a")));
		break;
	}
	nl_finish(msg, hdr);
}

/* What an earlier try may have changed is as it was. */
static int prepare(struct world *w, uint8_t undo)
{
	static const uint8_t all[] = { FAASIN_CMD_WORKFLOW_NEW, FAASIN_CMD_STAGE_NEW };
	struct nl_msg msg;
	int error = 0;
	size_t i;

	for (i = 0; i < sizeof(all) && !error; i++) {
		put_request(w, &msg, all[i], 0);
		error = nl_transact(&w->nl, &msg);
	}
	error = error ?: world_stage(w, "b", NULL) ?: world_link(w, "a", "b");
	/* It is there, with another capacity. */
	if (error == EEXIST)
		error = world_resize(w, "a", FAASIN_CAPACITY_DEFAULT);
	if (error || !undo)
		return error;
	put_request(w, &msg, undo, 0);
	return nl_transact(&w->nl, &msg);
}

static bool any_object(void *arg, const void *attrs, size_t len)
{
	return false;
}

/* What has come back; EAGAIN if nothing has. The victim need not live to read it. */
static int answer(struct nl *nl, bool dump)
{
	bool done = false;
	int error = 0;

	fcntl(nl->fd, F_SETFL, O_NONBLOCK);
	if (!dump)
		error = nl_answer(nl);
	while (dump && !error && !done)
		error = nl_dump_some(nl, any_object, NULL, &done);
	fcntl(nl->fd, F_SETFL, 0);
	return error;
}

/*
 * The netlink core answers to no request that was interrupted, but that for a listing, which has
 * begun by then.
 */
TEST_F_TIMEOUT(request, is_given_up_when_killed, 60)
{
	const bool dump = variant->flags == NLM_F_DUMP;
	int begin = bell(), ready = bell(), tries, error = 0;
	struct world_state before = { };
	bool given_up = false;
	struct nl_msg msg;
	pid_t victim;

	/* Once it succeeds: what that changes, the next try has to find undone. */
	ASSERT_EQ(0, prepare(&self->w, variant->undo));
	if (!dump) {
		put_request(&self->w, &msg, variant->cmd, 0);
		ASSERT_EQ(0, nl_transact(&self->w.nl, &msg));
	}
	for (tries = 0; tries < TRIES && !given_up; tries++) {
		free(before.bytes);
		ASSERT_EQ(0, prepare(&self->w, variant->undo));
		before = world_state(&self->w);
		put_request(&self->w, &msg, variant->cmd, variant->flags);
		victim = child();
		if (!victim) {
			ring(ready);
			await(begin);
			_exit(nl_post(&self->w.nl, &msg));
		}
		ASSERT_TRUE(await(ready));
		given_up = dies_waiting(&self->holder, victim, begin, SYS_sendto);
		error = answer(&self->w.nl, dump);
		given_up = given_up && (error == EAGAIN || (dump && error == EINTR));
	}
	ASSERT_TRUE(given_up)
		TH_LOG("it was not caught in %d tries; error %d", tries, error);
	EXPECT_TRUE(world_same(&self->w, &before));
	close(ready);
	close(begin);
}

/* -------------------------------------------------------------------- files */

FIXTURE(path) {
	struct world w;
	struct holder holder;
	char point[32];
};

/**
 * struct path_call - a call that needs the lock
 * @prepare: what has to be there, and known already, for it to need nothing else; a descriptor,
 *	or 0
 * @act: the call
 * @nr: its number
 */
struct path_call {
	long (*prepare)(struct world *w, const char *point);
	long (*act)(struct world *w, const char *point, int fd);
	long nr;
};

FIXTURE_VARIANT(path) {
	struct path_call call;
};

static long nothing(struct world *w, const char *point)
{
	return 0;
}

static long look_up(struct world *w, const char *point, int fd)
{
	return sys(open(MOUNT_POINT "/no-such", O_PATH));
}

static long open_directory(struct world *w, const char *point)
{
	return sys(open(MOUNT_POINT, O_RDONLY | O_DIRECTORY));
}

static long list(struct world *w, const char *point, int fd)
{
	char names[1024];

	return sys(syscall(SYS_getdents64, fd, names, sizeof(names)));
}

static long know_self(struct world *w, const char *point)
{
	struct stat st;

	return sys(lstat(MOUNT_POINT "/self", &st));
}

static long follow(struct world *w, const char *point, int fd)
{
	char to[PATH_MAX];

	return sys(readlink(MOUNT_POINT "/self", to, sizeof(to)));
}

static long know_port(struct world *w, const char *point)
{
	struct stat st;

	return sys(stat(world_out(w, "a"), &st));
}

static long open_port(struct world *w, const char *point, int fd)
{
	return world_open(w, "a", FAASIN_PORT_OUT, O_WRONLY);
}

static long own_mounts(struct world *w, const char *point)
{
	return sys(unshare(CLONE_NEWNS)) ?: sys(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static long mount_it(struct world *w, const char *point, int fd)
{
	return sys(mount("none", point, "faasin", 0, NULL));
}

#define PATH_CALL(name, ...)	FIXTURE_VARIANT_ADD(path, name) { .call = { __VA_ARGS__ } }

PATH_CALL(look_up, nothing, look_up, SYS_openat);
PATH_CALL(list, open_directory, list, SYS_getdents64);
PATH_CALL(follow_self, know_self, follow, SYS_readlink);
PATH_CALL(open_port, know_port, open_port, SYS_openat);
PATH_CALL(mount, own_mounts, mount_it, SYS_mount);

FIXTURE_SETUP(path)
{
	WORLD_SETUP(&self->w, world_new);
	ASSERT_EQ(0, prepare(&self->w, 0));
	strcpy(self->point, "/tmp/faasin-test-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->point));
	ASSERT_EQ(0, holder_new(&self->holder));
}

FIXTURE_TEARDOWN(path)
{
	holder_del(&self->holder);
	rmdir(self->point);
	WORLD_TEARDOWN(&self->w);
}

TEST_F_TIMEOUT(path, is_given_up_when_killed, 60)
{
	struct world_state before = { };
	const struct path_call *call = &variant->call;
	int begin = bell(), ready = bell(), tries;
	bool died = false;
	pid_t victim;
	long fd;

	for (tries = 0; tries < TRIES && !died; tries++) {
		free(before.bytes);
		before = world_state(&self->w);
		victim = child();
		if (!victim) {
			fd = call->prepare(&self->w, self->point);
			ring(ready);
			await(begin);
			_exit(fd < 0 || call->act(&self->w, self->point, fd) < 0);
		}
		ASSERT_TRUE(await(ready));
		died = dies_waiting(&self->holder, victim, begin, call->nr);
	}
	ASSERT_TRUE(died)
		TH_LOG("it was not caught in %d tries", tries);
	EXPECT_TRUE(world_same(&self->w, &before));
	close(ready);
	close(begin);
}

/* Is there somebody to take the CPU from whoever runs in the kernel? */
static bool preempts(void)
{
	struct utsname name;
	char mode[128] = "";
	FILE *stream;

	if (uname(&name))
		return false;
	stream = fopen("/sys/kernel/debug/sched/preempt", "re");
	if (!stream)
		return strstr(name.version, " PREEMPT ") || strstr(name.version, " PREEMPT_RT ");
	if (!fgets(mode, sizeof(mode), stream))
		mode[0] = '\0';
	fclose(stream);
	return strstr(mode, "(full)");
}

int main(int argc, char **argv)
{
	if (!preempts() || get_nprocs() < 2) {
		printf("TAP version 13\n1..0 # SKIP nobody can be stopped in the kernel here: use two CPUs and a kernel booted with preempt=full\n");
		return KSFT_SKIP;
	}
	return test_harness_run(argc, argv);
}
