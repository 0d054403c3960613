// SPDX-License-Identifier: LGPL-2.1-or-later
/* The links that BPF programs look at; why there may be no such programs. */
#include "probes.h"
#include "stop.h"

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

/* Counters go on where a link is made again: so does what was first seen of them. */
static void look_back(struct probes *probes, struct probed *link)
{
	size_t i;

	link->first = link->stats;
	for (i = 0; i < probes->n; i++) {
		struct probed *old = &probes->links[i];

		if (old->again || strcmp(old->src_stage, link->src_stage) ||
		    strcmp(old->dst_stage, link->dst_stage) ||
		    strcmp(old->src_port, link->src_port) ||
		    strcmp(old->dst_port, link->dst_port) ||
		    strcmp(old->workflow, link->workflow))
			continue;
		old->again = true;
		if (!stats_restarted(&old->stats, &link->stats))
			link->first = old->first;
		return;
	}
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
	probed->again = false;
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
	if (probes->add && probes->add(probes->arg, probed, probes->n)) {
		probes->left_out = true;
		return 0;
	}
	look_back(probes, probed);
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
	if (!probes->links)
		return error_memory(err);
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

/* @ms: 0 for no limit. From here on, Ctrl-C and SIGTERM only end waits. */
void run_time_start(struct run_time *time, uint32_t ms)
{
	time->end = ms ? monotonic_ns() + ms * 1000000ull : 0;
	stop_begin();
}

/* Waits for at most so long; false: the command is to end. */
bool run_time_wait(const struct run_time *time, unsigned int ms)
{
	uint64_t now = monotonic_ns(), left = time->end > now ? time->end - now : 0;

	if (time->end && !left)
		return false;
	if (time->end && left < ms * 1000000ull)
		ms = left / 1000000 + 1;
	return stop_wait(ms);
}

#ifdef FAASIN_BPF
/* Makes room for @n links in a table that is not loaded yet. Returns its places, a power of two. */
uint32_t links_room(struct bpf_map *map, size_t n)
{
	/* Links that are made one after the other, with a stage or two each between them. */
	uint32_t places = LINK_PLACES;

	while (places < LINK_PLACES * n)
		places *= 2;
	bpf_map__set_max_entries(map, places);
	return places;
}

/* -ENOSPC if its neighbours have taken all its places. */
int links_add(struct bpf_map *map, const struct link_entry *entry)
{
	uint32_t mask = bpf_map__max_entries(map) - 1, i, at;
	struct link_entry there;
	int ret;

	for (i = 0; i < LINK_PLACES; i++) {
		at = (entry->link + i) & mask;
		ret = bpf_map__lookup_elem(map, &at, sizeof(at), &there, sizeof(there), 0);
		if (ret)
			return ret;
		if (there.link)
			continue;
		/* A program that finds the link finds the rest of its entry. */
		there = *entry;
		there.link = 0;
		ret = bpf_map__update_elem(map, &at, sizeof(at), &there, sizeof(there), 0);
		return ret ? ret : bpf_map__update_elem(map, &at, sizeof(at), entry,
							sizeof(*entry), 0);
	}
	return -ENOSPC;
}

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

/* The stage in @list of @n, which is added if it is not there. */
static struct probed_stage *stage_of(struct probed_stage *list, size_t *n,
				     const char *workflow, const char *name)
{
	size_t i;

	/* From the newest on: links of a workflow come in a row. */
	for (i = *n; i--; )
		if (!strcmp(list[i].stage, name) && !strcmp(list[i].workflow, workflow))
			return &list[i];
	list[*n] = (struct probed_stage){ .workflow = workflow, .stage = name };
	return &list[(*n)++];
}

/*
 * The stages that others wait for, by what the counters say of the time since the links
 * were first asked for. *@list: the caller's to free; its strings are those of
 * @probes. Returns how many, or -ENOMEM.
 */
ssize_t probes_bottlenecks(const struct probes *probes, struct probed_stage **list)
{
	struct probed_stage *stages = calloc(2 * probes->n + 1, sizeof(*stages));
	size_t i, n = 0, found = 0;

	if (!stages)
		return -ENOMEM;
	for (i = 0; i < probes->n; i++) {
		const struct probed *link = &probes->links[i];
		struct link_waits waits = link_waits(&link->first, &link->stats);
		struct probed_stage *src, *dst;

		if (link->again)
			continue;
		src = stage_of(stages, &n, link->workflow, link->src_stage);
		dst = stage_of(stages, &n, link->workflow, link->dst_stage);
		stage_waits_add(&src->waits, &dst->waits, &waits);
	}
	for (i = 0; i < n; i++) {
		stages[i].share = bottleneck_share(&stages[i].waits);
		if (stages[i].share)
			stages[found++] = stages[i];
	}
	*list = stages;
	return found;
}
