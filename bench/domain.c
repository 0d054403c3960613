// SPDX-License-Identifier: GPL-2.0
/*
 * domain: what domains cost: going in and out, keys that move, malloc, and data that two
 * stages share. With `vm-test/run --icount`, a nanosecond is an instruction.
 */
#include "bench.h"

#include <dlfcn.h>

#include <faasctl/domain.h>

#define CALLS		20000
#define ALLOCS		50000
#define LIVE		64
#define MANY		64
#define KEYS		4
#define LARGEST		1600000

static FILE *json;
static bool first = true;

static void row(const char *what, const char *key, double (*measure)(void *arg), void *arg)
{
	struct spread spread = { 0 };
	int i;

	for (i = 0; i < repeats(); i++)
		spread_add(&spread, measure(arg));
	printf("| %s | %.0f | %.0f to %.0f |\n", what, median(&spread), lowest(&spread),
	       highest(&spread));
	fprintf(json, "%s\"%s\": ", first ? "{" : ", ", key);
	first = false;
	spread_json(&spread, json);
}

static void must(int ret, const struct faasctl_error *err)
{
	if (ret)
		die("%s", err->message);
}

/* ---------------------------------------------------------------------- going in */

static struct faasctl_domain *some[MANY];

static __attribute__((noinline)) long nothing(void *arg)
{
	__asm__ volatile("");
	return 0;
}

static double plain_call(void *arg)
{
	long (*volatile fn)(void *arg) = nothing;
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < CALLS; i++)
		fn(NULL);
	return (double)(now_ns() - start) / CALLS;
}

/* @arg: how many domains take turns */
static double gate_call_each(void *arg)
{
	long n = (long)arg, calls = n > 1 ? CALLS / 20 : CALLS, i;
	struct faasctl_error err;
	uint64_t start;

	for (i = 0; i < n; i++)
		must(faasctl_domain_call(some[i], nothing, NULL, NULL, &err), &err);
	start = now_ns();
	for (i = 0; i < calls; i++)
		must(faasctl_domain_call(some[i % n], nothing, NULL, NULL, &err), &err);
	return (double)(now_ns() - start) / calls;
}

/* ------------------------------------------------------------------------- malloc */

static void *(*volatile take)(size_t size);
static void (*volatile give)(void *p);

/* Blocks of 16 to 1024 bytes, of which some live for a while. */
static long allocate(void *arg)
{
	void *live[LIVE] = { 0 };
	uint64_t start = now_ns();
	unsigned int i, at = 1;

	for (i = 0; i < ALLOCS; i++) {
		at = at * 1103515245 + 12345;
		give(live[(at >> 16) % LIVE]);
		live[(at >> 16) % LIVE] = take(16 + (at >> 8) % 1009);
	}
	for (i = 0; i < LIVE; i++)
		give(live[i]);
	return now_ns() - start;
}

static double allocate_plain(void *jemalloc)
{
	take = (void *(*)(size_t))dlsym(jemalloc, "malloc");
	give = (void (*)(void *))dlsym(jemalloc, "free");
	return (double)allocate(NULL) / ALLOCS;
}

static double allocate_outside(void *arg)
{
	take = malloc;
	give = free;
	return (double)allocate(NULL) / ALLOCS;
}

/* A process has what was set when it was made: it sets this itself. */
static long allocate_own(void *arg)
{
	take = malloc;
	give = free;
	return allocate(NULL);
}

static double allocate_inside(void *arg)
{
	struct faasctl_error err;
	long ns = 0;

	must(faasctl_domain_call(some[0], allocate_own, NULL, &ns, &err), &err);
	return (double)ns / ALLOCS;
}

/* ------------------------------------------------------------------------ sharing */

/**
 * struct parcel - what goes from one stage to the next
 * @size: of it
 * @sum: what the next one made of it
 * @bytes: the parcel
 */
struct parcel {
	size_t size;
	long sum;
	unsigned char bytes[LARGEST];
};

static int ends[2];

static long fill(void *arg)
{
	struct parcel *parcel = arg;
	size_t i;

	for (i = 0; i < parcel->size; i += 64)
		parcel->bytes[i] = i;
	return 0;
}

static long read_lines(void *arg)
{
	struct parcel *parcel = arg;
	long sum = 0;
	size_t i;

	for (i = 0; i < parcel->size; i += 64)
		sum += parcel->bytes[i];
	parcel->sum = sum;
	return 0;
}

static double share_calls(void *arg)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < 100; i++) {
		fill(arg);
		read_lines(arg);
	}
	return (double)(now_ns() - start) / 100;
}

static double share_domains(void *arg)
{
	struct faasctl_error err;
	uint64_t start;
	int i;

	/* Whatever was measured before, these two have keys. */
	must(faasctl_domain_call(some[0], nothing, NULL, NULL, &err), &err);
	must(faasctl_domain_call(some[1], nothing, NULL, NULL, &err), &err);
	start = now_ns();
	for (i = 0; i < 100; i++) {
		must(faasctl_domain_call(some[0], fill, arg, NULL, &err), &err);
		must(faasctl_domain_call(some[1], read_lines, arg, NULL, &err), &err);
	}
	return (double)(now_ns() - start) / 100;
}

/* A pipe without a switch between two processes: the least that one costs. */
static double share_pipe(void *arg)
{
	static unsigned char copy[65536];
	struct parcel *parcel = arg;
	uint64_t start = now_ns();
	size_t at, n;
	int i;

	for (i = 0; i < 100; i++) {
		fill(arg);
		for (at = 0; at < parcel->size; at += n) {
			n = parcel->size - at < sizeof(copy) ? parcel->size - at : sizeof(copy);
			if (write(ends[1], parcel->bytes + at, n) != (ssize_t)n ||
			    read(ends[0], copy, n) != (ssize_t)n)
				die("a pipe is not what it was");
		}
		read_lines(arg);
	}
	return (double)(now_ns() - start) / 100;
}

static void share(void)
{
	static const size_t sizes[] = { 64, 65536, LARGEST };
	struct parcel *parcel = faasctl_shared_alloc(sizeof(*parcel));
	char what[80], key[40];
	size_t i;

	if (!parcel || pipe(ends))
		die("no memory, or no pipe");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		parcel->size = sizes[i];
		snprintf(what, sizeof(what), "%zu bytes, two calls", sizes[i]);
		snprintf(key, sizeof(key), "calls_%zu", sizes[i]);
		row(what, key, share_calls, parcel);
		snprintf(what, sizeof(what), "%zu bytes, two domains", sizes[i]);
		snprintf(key, sizeof(key), "domains_%zu", sizes[i]);
		row(what, key, share_domains, parcel);
		snprintf(what, sizeof(what), "%zu bytes, a pipe as well", sizes[i]);
		snprintf(key, sizeof(key), "pipe_%zu", sizes[i]);
		row(what, key, share_pipe, parcel);
	}
}

int main(void)
{
	struct faasctl_domains_options options = { .keys = KEYS };
	void *jemalloc = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_NOLOAD);
	struct faasctl_domains_info info;
	struct faasctl_error err;
	char name[16];
	int i;

	json = open_json();
	must(faasctl_domains_begin(&options, &err), &err);
	faasctl_domains_info(&info);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		must(faasctl_domain_new(name, NULL, &some[i], &err), &err);
	}
	pin(0);
	printf("\n## domain\n\nDomains are %s%s.\n\n| what | ns | from |\n| --- | ---: | ---: |\n",
	       info.threads ? "threads" : "processes: ", info.why);
	row("a function called", "call", plain_call, NULL);
	row("into a domain and back", "gate", gate_call_each, (void *)1);
	row("the same of 64 in turn, 4 keys", "evicted", gate_call_each, (void *)MANY);
	if (!jemalloc)
		die("no libjemalloc.so.2 is loaded");
	row("malloc and free, plain jemalloc", "malloc_plain", allocate_plain, jemalloc);
	row("malloc and free, outside", "malloc_outside", allocate_outside, NULL);
	row("malloc and free, inside", "malloc_inside", allocate_inside, NULL);
	share();
	close_json(json);
	return 0;
}
