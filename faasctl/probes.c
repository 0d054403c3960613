// SPDX-License-Identifier: LGPL-2.1-or-later
/* The links that BPF programs look at; why there may be no such programs. */
#include <signal.h>

#include "probes.h"

#ifdef FAASIN_BPF
#include <bpf/libbpf.h>
#endif

static struct probed *find(const struct probes *probes, uint64_t generation)
{
	size_t i;

	for (i = 0; i < probes->n; i++)
		if (probes->links[i].generation == generation)
			return &probes->links[i];
	return NULL;
}

static int note_link(const struct faasctl_link *link, void *arg)
{
	struct probes *probes = arg;
	struct probed *probed = find(probes, link->generation);

	/* An end that is unknown: it is being deleted. */
	if (!link->src_stage || !link->dst_stage)
		return 0;
	if (probed) {
		probed->stats = link->stats;
		return 0;
	}
	if (probes->n == probes->room) {
		probes->left_out = true;
		return 0;
	}
	probed = &probes->links[probes->n];
	snprintf(probed->workflow, sizeof(probed->workflow), "%s", link->workflow);
	snprintf(probed->src_stage, sizeof(probed->src_stage), "%s", link->src_stage);
	snprintf(probed->src_port, sizeof(probed->src_port), "%s",
		 link->src_port ? link->src_port : FAASIN_PORT_OUT);
	snprintf(probed->dst_stage, sizeof(probed->dst_stage), "%s", link->dst_stage);
	snprintf(probed->dst_port, sizeof(probed->dst_port), "%s",
		 link->dst_port ? link->dst_port : FAASIN_PORT_IN);
	probed->generation = link->generation;
	probed->capacity = link->capacity;
	probed->stats = link->stats;
	if (probes->add && probes->add(probes->arg, probed, probes->n))
		probes->left_out = true;
	else
		probes->n++;
	return 0;
}

/* Asks for the links and their counters; new ones are added. */
int probes_refresh(struct probes *probes, struct faasctl_error *err)
{
	return faasctl_link_each(probes->ctl, probes->workflow, NULL, note_link,
				 probes, err);
}

int probes_open(struct probes *probes, const char *workflow,
		struct faasctl_error *err)
{
	int ret;

	memset(probes, 0, sizeof(*probes));
	probes->workflow = workflow;
	probes->room = PROBES_MAX;
	probes->links = calloc(PROBES_MAX, sizeof(*probes->links));
	if (!probes->links) {
		err->code = ENOMEM;
		strcpy(err->message, "out of memory");
		return -ENOMEM;
	}
	ret = faasctl_open(&probes->ctl, err);
	/* Before 6.2, a listing that is refused does not say why. */
	if (!ret && workflow)
		ret = faasctl_workflow_each(probes->ctl, workflow, NULL, NULL, err);
	return ret ? ret : probes_refresh(probes, err);
}

void probes_close(struct probes *probes)
{
	faasctl_close(probes->ctl);
	free(probes->links);
}

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* @seconds: 0 for no limit. From here on, Ctrl-C and SIGTERM only end waits. */
void run_time_start(struct run_time *time, uint32_t seconds)
{
	time->end = seconds ? monotonic_ns() + seconds * 1000000000ull : 0;
	sigemptyset(&time->stopping);
	sigaddset(&time->stopping, SIGINT);
	sigaddset(&time->stopping, SIGTERM);
	sigprocmask(SIG_BLOCK, &time->stopping, NULL);
}

/* Waits for at most so long; false: the command is to end. */
bool run_time_wait(const struct run_time *time, unsigned int ms)
{
	uint64_t now = monotonic_ns(), wait = ms * 1000000ull;
	struct timespec timeout;

	if (time->end && now >= time->end)
		return false;
	if (time->end && time->end - now < wait)
		wait = time->end - now;
	timeout.tv_sec = wait / 1000000000;
	timeout.tv_nsec = wait % 1000000000;
	return sigtimedwait(&time->stopping, NULL, &timeout) < 0;
}

uint32_t parse_duration(const struct args *args)
{
	uint32_t seconds = parse_u32(args, 1000000, 10);

	if (!seconds)
		usage_error(args->command, "a duration of 0 seconds shows nothing");
	return seconds;
}

#ifdef FAASIN_BPF
static int say_nothing(enum libbpf_print_level level, const char *format,
		       va_list args)
{
	return 0;
}

/* What is missing is said in one line, by bpf_missing(). */
void bpf_quiet(void)
{
	libbpf_set_print(say_nothing);
}

static bool locked_down(void)
{
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char line[80] = "";

	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return *line && !strstr(line, "[none]");
}

/* Why BPF programs could not be had; @code: the errno, positive. */
const char *bpf_missing(int code, bool needs_btf)
{
	static char other[80];

	switch (code) {
	case EPERM:
		if (locked_down())
			return "this kernel is locked down and permits no BPF programs";
		return "not permitted to use BPF: CAP_BPF and CAP_PERFMON are needed";
	case EACCES:
		return "this kernel's verifier refuses the BPF programs";
	case ENOSYS:
		return "this kernel has no BPF";
	}
	if (needs_btf && access("/sys/kernel/btf/vmlinux", R_OK))
		return "this kernel has no BTF at /sys/kernel/btf/vmlinux";
	if (code == ENOENT)
		return "the module lacks a tracepoint: install matching versions";
	snprintf(other, sizeof(other), "BPF programs cannot be loaded: %s",
		 strerror(code));
	return other;
}
#else
void bpf_quiet(void)
{
}

const char *bpf_missing(int code, bool needs_btf)
{
	return "this faasctl was built without BPF (clang, bpftool or libbpf was missing)";
}
#endif

static bool of_workflow(const struct probed *link, const char *workflow)
{
	return !workflow || !strcmp(link->workflow, workflow);
}

/* How long others waited for a stage, less how long it waited itself. */
static int64_t waited_for(const struct blocking *links, size_t n,
			  const char *workflow, const char *stage)
{
	int64_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!of_workflow(links[i].link, workflow))
			continue;
		if (!strcmp(links[i].link->src_stage, stage))
			sum += links[i].readers_ns - links[i].writers_ns;
		if (!strcmp(links[i].link->dst_stage, stage))
			sum += links[i].writers_ns - links[i].readers_ns;
	}
	return sum;
}

/*
 * The stage of a workflow that its neighbours wait for most while it does not wait
 * itself; NULL if none waits. Links of other workflows are passed over.
 */
const char *bottleneck(const struct blocking *links, size_t n,
		       const char *workflow)
{
	const char *found = NULL;
	int64_t most = 0, ns;
	size_t i;
	int end;

	for (i = 0; i < n; i++) {
		if (!of_workflow(links[i].link, workflow))
			continue;
		for (end = 0; end < 2; end++) {
			const char *stage = end ? links[i].link->dst_stage :
						  links[i].link->src_stage;

			ns = waited_for(links, n, workflow, stage);
			if (ns > most) {
				most = ns;
				found = stage;
			}
		}
	}
	return found;
}
