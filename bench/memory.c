// SPDX-License-Identifier: GPL-2.0
/*
 * memory: what a link costs while nothing is in it.
 *
 * First one link. Then many, each with two stages of its own, by what their
 * workflow's cgroup is charged with, and by what the machine has in slab and
 * vmalloc besides their pools: this catches what is charged to nobody. Free
 * memory would be a coarser measure: the kernel keeps megabytes of free pages
 * in lists for each CPU that it does not count.
 */
#include "bench.h"

#define WORKFLOW	"bench-memory"
#define MIB		(1 << 20)
#define MANY		400
#define WAIT		5	/* seconds, for what is given back when idle */

static char buffer[65536];
static struct faasctl *ctl;
static int cgroup;

/*
 * Bytes of kernel memory on the cgroup's bill, in whole pages. memory.current
 * would count what the kernel took in advance for each CPU, too: up to 256 KiB.
 */
static long charged(void)
{
	char text[8192] = "", *line;
	int fd = openat(cgroup, "memory.stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("memory.stat: %s", strerror(errno));
	close(fd);
	line = strstr(text, "\nkernel ");
	if (!line)
		die("no kernel in memory.stat");
	return atol(line + strlen("\nkernel "));
}

static void link_up(int i)
{
	struct faasctl_error err;
	char ends[2][32];

	snprintf(ends[0], sizeof(ends[0]), "from%d", i);
	snprintf(ends[1], sizeof(ends[1]), "to%d", i);
	/* No cgroups for the stages: they would cost more than the stages. */
	if (faasctl_stage_add(ctl, WORKFLOW, ends[0], NULL, &err) ||
	    faasctl_stage_add(ctl, WORKFLOW, ends[1], NULL, &err) ||
	    faasctl_link_add(ctl, WORKFLOW, ends[0], ends[1], NULL, &err))
		die("%s", err.message);
}

/* Fills the channel and empties it again, until @total bytes went through. */
static void pass(int i, size_t total)
{
	size_t done, part, n;
	char name[32];
	int in, out;
	ssize_t ret;

	snprintf(name, sizeof(name), "from%d", i);
	out = open_port(WORKFLOW, name, "faasout", O_WRONLY);
	snprintf(name, sizeof(name), "to%d", i);
	in = open_port(WORKFLOW, name, "faasin", O_RDONLY);
	for (done = 0; done < total; done += part) {
		part = total - done < MIB ? total - done : MIB;
		for (n = 0; n < part; n += ret) {
			ret = write(out, buffer, part - n < sizeof(buffer) ?
				    part - n : sizeof(buffer));
			if (ret <= 0)
				die("write: %s", strerror(errno));
		}
		for (n = 0; n < part; n += ret) {
			ret = read(in, buffer, sizeof(buffer));
			if (ret <= 0)
				die("read: %s", strerror(errno));
		}
	}
	close(out);
	while ((ret = read(in, buffer, sizeof(buffer))) > 0)
		;
	if (ret)
		die("read: %s", strerror(errno));
	close(in);
}

static int take_stats(const struct faasctl_link *link, void *arg)
{
	*(struct faasctl_stats *)arg = link->stats;
	return 0;
}

static long pool(void)
{
	struct faasctl_stats stats = { 0 };
	struct faasctl_error err;

	if (faasctl_link_each(ctl, WORKFLOW, "from0", take_stats, &stats, &err))
		die("%s", err.message);
	return stats.pool_bytes;
}

/**
 * struct used - memory of the machine, in KiB
 * @slab: small objects, whoever pays for them
 * @vmalloc: tables too large for slab
 */
struct used {
	long slab, vmalloc;
};

static struct used used(void)
{
	drop_caches();
	return (struct used){
		.slab = meminfo("Slab"), .vmalloc = meminfo("VmallocUsed"),
	};
}

static void many_up(void)
{
	int i;

	for (i = 1; i <= MANY; i++) {
		link_up(i);
		pass(i, 2 * MIB);
	}
	sleep(WAIT);
}

static void many_down(void)
{
	struct faasctl_error err;
	char name[32];
	int i;

	/* Two stages each, numbered alike. */
	for (i = 2; i < 2 * (MANY + 1); i++) {
		snprintf(name, sizeof(name), i % 2 ? "to%d" : "from%d", i / 2);
		if (faasctl_stage_del(ctl, WORKFLOW, name, 0, &err))
			die("%s", err.message);
	}
}

static int add_pool(const struct faasctl_link *link, void *arg)
{
	*(double *)arg += link->stats.pool_bytes / 1024.0;
	return 0;
}

static void one_link(FILE *json)
{
	long before, at_rest, busy, idle;

	progress("100 MB through one link, then %d s of rest", WAIT);
	sleep(3);	/* memory.stat is brought up to date every two */
	before = charged();
	link_up(0);
	pass(0, 100 * 1000 * 1000);
	busy = pool();
	sleep(WAIT);
	at_rest = charged() - before;
	idle = pool();
	printf("| pool of one link right after the stream | %.1f | |\n", busy / 1024.0);
	printf("| pool of one link, at rest | %.1f | |\n", idle / 1024.0);
	printf("| one link, at rest: charged to its cgroup, in whole pages | %.1f | |\n",
	       at_rest / 1024.0);
	fprintf(json, "{\"pool_busy_bytes\": %ld, \"pool_bytes\": %ld, \"charged_bytes\": %ld",
		busy, idle, at_rest);
}

static void many_links(FILE *json)
{
	double pools = -pool() / 1024.0, slab, vmalloc, sum, bill;
	struct used before, after;
	struct faasctl_error err;

	progress("%d links with two stages each, 2 MiB through each, twice", MANY);
	/* Once before, for what is made only once. */
	many_up();
	many_down();
	before = used();
	bill = charged();
	many_up();
	after = used();
	bill = (charged() - bill) / 1024.0 / MANY;
	if (faasctl_link_each(ctl, WORKFLOW, NULL, add_pool, &pools, &err))
		die("%s", err.message);
	pools /= MANY;
	slab = (double)(after.slab - before.slab) / MANY;
	vmalloc = (double)(after.vmalloc - before.vmalloc) / MANY;
	sum = pools + slab + vmalloc;
	printf("| one link, at rest: charged to its cgroup (mean of %d) | %.1f | < 16 |\n",
	       MANY, bill);
	printf("| one link with its two stages, at rest: pool %.1f, slab %.1f, vmalloc %.1f (mean of %d) | %.1f | < 32 |\n",
	       pools, slab, vmalloc, MANY, sum);
	fprintf(json, ", \"mean_charged_kib\": %.2f, \"link_and_stages_kib\": %.2f, \"links\": %d",
		bill, sum, MANY);
}

int main(void)
{
	FILE *json = open_json();
	struct faasctl_error err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (faasctl_open(&ctl, &err))
		die("%s", err.message);
	cgroup = payer(WORKFLOW);
	if (faasctl_workflow_add(ctl, WORKFLOW, cgroup, 0, &err))
		die("%s", err.message);
	printf("\nMemory of a link %d s after 100 MB went through it and were drained\n\n", WAIT);
	puts("| what | KiB | wanted |\n| --- | ---: | ---: |");
	one_link(json);
	many_links(json);
	close_json(json);
	if (faasctl_workflow_del(ctl, WORKFLOW, 0, &err))
		die("%s", err.message);
	faasctl_close(ctl);
	close(cgroup);
	faasctl_cgroup_remove(WORKFLOW, NULL, NULL);
	return 0;
}
