// SPDX-License-Identifier: GPL-2.0
/*
 * workflows: the time that it takes to create, list and delete as many as there
 * can be, and whether memory stays behind.
 */
#include "bench.h"

#define STEPS	10
#define STEP	(FAASIN_WORKFLOWS_MAX / STEPS)

static struct faasctl *ctl;
static int cgroup;

static const char *name_of(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "bench-workflow-%05d", i);
	return name;
}

static int count_one(const struct faasctl_workflow *workflow, void *arg)
{
	++*(int *)arg;
	return 0;
}

/**
 * struct round - what one round of creating and deleting took, in ms
 * @create: each thousand
 * @list: all of them, when so many thousands exist
 * @delete: each thousand
 */
struct round {
	double create[STEPS], list[STEPS], delete[STEPS];
};

static void go_round(struct round *round)
{
	struct faasctl_error err;
	int step, i, count;
	uint64_t begun;

	for (step = 0; step < STEPS; step++) {
		begun = now_ns();
		for (i = step * STEP; i < (step + 1) * STEP; i++)
			if (faasctl_workflow_add(ctl, name_of(i), cgroup, 0, &err))
				die("%s", err.message);
		round->create[step] = (now_ns() - begun) / 1e6;
		begun = now_ns();
		count = 0;
		if (faasctl_workflow_each(ctl, NULL, count_one, &count, &err))
			die("%s", err.message);
		round->list[step] = (now_ns() - begun) / 1e6;
		if (count != (step + 1) * STEP)
			die("%d workflows listed, not %d", count, (step + 1) * STEP);
	}
	if (faasctl_workflow_add(ctl, "one-too-many", cgroup, 0, &err) != -ENOSPC)
		die("one workflow more than the limit was not refused with ENOSPC");
	/* Newest first, so that steps of both directions can be compared. */
	for (step = STEPS - 1; step >= 0; step--) {
		begun = now_ns();
		for (i = step * STEP; i < (step + 1) * STEP; i++)
			if (faasctl_workflow_del(ctl, name_of(i), 0, &err))
				die("%s", err.message);
		round->delete[step] = (now_ns() - begun) / 1e6;
	}
}

static void array_json(FILE *json, const char *name, const double *values)
{
	int i;

	fprintf(json, ", \"%s_ms\": [", name);
	for (i = 0; i < STEPS; i++)
		fprintf(json, "%s%.3f", i ? ", " : "", values[i]);
	fputc(']', json);
}

static long slab(void)
{
	drop_caches();
	return meminfo("Slab");
}

int main(void)
{
	FILE *json = open_json();
	struct faasctl_error err;
	struct round round;
	long before, after[2];
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (faasctl_open(&ctl, &err))
		die("%s", err.message);
	cgroup = payer("bench-workflows");
	/* The first round grows what is only made once and never shrinks. */
	before = slab();
	for (i = 0; i < 2; i++) {
		progress("%d workflows, round %d of 2", STEPS * STEP, i + 1);
		go_round(&round);
		after[i] = slab();
	}
	printf("\n%d workflows: ms a thousand (second of two rounds)\n\n", STEPS * STEP);
	puts("| exist already | create 1,000 | list all | delete 1,000 |\n| ---: | ---: | ---: | ---: |");
	for (i = 0; i < STEPS; i++)
		printf("| %d | %.1f | %.1f | %.1f |\n", i * STEP,
		       round.create[i], round.list[i], round.delete[i]);
	printf("\nSlab, caches dropped: %ld KiB before, %ld after the first round, %ld after the second (growth %ld KiB)\n",
	       before, after[0], after[1], after[1] - after[0]);
	fprintf(json, "{\"slab_kib\": [%ld, %ld, %ld]", before, after[0], after[1]);
	array_json(json, "create", round.create);
	array_json(json, "list", round.list);
	array_json(json, "delete", round.delete);
	close_json(json);
	faasctl_close(ctl);
	close(cgroup);
	faasctl_cgroup_remove("bench-workflows", NULL, NULL);
	return 0;
}
