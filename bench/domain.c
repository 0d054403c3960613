// SPDX-License-Identifier: GPL-2.0
/*
 * domain: what domains cost: going in and out, keys that move, malloc, and data that two
 * stages share. With `vm-test/run --icount`, a nanosecond is an instruction.
 */
#include "bench.h"
#include "links.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <faasctl/domain.h>

#define CALLS		20000
#define ALLOCS		50000
#define LIVE		64
#define MANY		64
#define KEYS		4
#define LARGEST		1600000
#define TRIPS		100
#define FIRST_TRIPS	10	/* not measured */

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

/* ------------------------------------------------------------------ threads, filters */

#define THREADS		50
#define CALLS_THERE	2000

static double start_each(void *arg)
{
	struct faasctl_error err;
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < THREADS; i++) {
		must(faasctl_domain_start(arg, nothing, NULL, &err), &err);
		must(faasctl_domain_join(arg, NULL, &err), &err);
	}
	return (double)(now_ns() - start) / THREADS;
}

static long ask(void *arg)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < CALLS_THERE; i++)
		syscall(SYS_getppid);
	return now_ns() - start;
}

/* A page that is mapped, used and given back. */
static long map(void *arg)
{
	uint64_t start = now_ns();
	char *page;
	int i;

	for (i = 0; i < CALLS_THERE; i++) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			return 0;
		*page = 1;
		munmap(page, 4096);
	}
	return now_ns() - start;
}

/**
 * struct work - what is measured on a thread of a domain
 * @domain: which; NULL: outside of all
 * @fn: returns nanoseconds for CALLS_THERE of it
 */
struct work {
	struct faasctl_domain *domain;
	long (*fn)(void *arg);
};

static double work_there(void *arg)
{
	const struct work *work = arg;
	struct faasctl_error err;
	long ns = 0;

	if (!work->domain)
		return (double)work->fn(NULL) / CALLS_THERE;
	must(faasctl_domain_start(work->domain, work->fn, NULL, &err), &err);
	must(faasctl_domain_join(work->domain, &ns, &err), &err);
	return (double)ns / CALLS_THERE;
}

static void filters(const struct faasctl_domains_info *info)
{
	struct faasctl_domain_options options = { .flags = FAASCTL_DOMAIN_FILTER };
	struct faasctl_domain *filtered;
	struct faasctl_error err;

	row("a thread started and joined", "start", start_each, some[0]);
	row("a system call, outside", "ask_outside", work_there, &(struct work){ NULL, ask });
	row("a page mapped and unmapped, outside", "map_outside", work_there,
	    &(struct work){ NULL, map });
	row("the same inside", "map_inside", work_there, &(struct work){ some[0], map });
	if (!info->filters) {
		printf("\nNo filters: %s.\n", info->unfiltered);
		return;
	}
	must(faasctl_domain_new("filtered", &options, &filtered, &err), &err);
	row("a thread with a filter started and joined", "start_filter", start_each, filtered);
	row("a system call, with a filter", "ask_filter", work_there,
	    &(struct work){ filtered, ask });
	row("a page mapped and unmapped, with a filter", "map_filter", work_there,
	    &(struct work){ filtered, map });
	must(faasctl_domain_free(filtered, &err), &err);
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

/* A thread that begins has nothing in its cache. */
static long allocate_again(void *arg)
{
	allocate_own(NULL);
	return allocate_own(NULL);
}

static double allocate_started(void *arg)
{
	struct faasctl_error err;
	long ns = 0;

	must(faasctl_domain_start(some[0], allocate_again, NULL, &err), &err);
	must(faasctl_domain_join(some[0], &ns, &err), &err);
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

static void fill_bytes(unsigned char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += 64)
		bytes[i] = i;
}

static long sum_of(const unsigned char *bytes, size_t size)
{
	long sum = 0;
	size_t i;

	for (i = 0; i < size; i += 64)
		sum += bytes[i];
	return sum;
}

static long fill(void *arg)
{
	struct parcel *parcel = arg;

	fill_bytes(parcel->bytes, parcel->size);
	return 0;
}

static long read_lines(void *arg)
{
	struct parcel *parcel = arg;

	parcel->sum = sum_of(parcel->bytes, parcel->size);
	return 0;
}

static double share_calls(void *arg)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < TRIPS; i++) {
		fill(arg);
		read_lines(arg);
	}
	return (double)(now_ns() - start) / TRIPS;
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
	for (i = 0; i < TRIPS; i++) {
		must(faasctl_domain_call(some[0], fill, arg, NULL, &err), &err);
		must(faasctl_domain_call(some[1], read_lines, arg, NULL, &err), &err);
	}
	return (double)(now_ns() - start) / TRIPS;
}

/* A pipe without a switch between two processes: the least that one costs. */
static double share_pipe(void *arg)
{
	static unsigned char copy[65536];
	struct parcel *parcel = arg;
	uint64_t start = now_ns();
	size_t at, n;
	int i;

	for (i = 0; i < TRIPS; i++) {
		fill(arg);
		for (at = 0; at < parcel->size; at += n) {
			n = parcel->size - at < sizeof(copy) ? parcel->size - at : sizeof(copy);
			if (write(ends[1], parcel->bytes + at, n) != (ssize_t)n ||
			    read(ends[0], copy, n) != (ssize_t)n)
				die("a pipe is not what it was");
		}
		read_lines(arg);
	}
	return (double)(now_ns() - start) / TRIPS;
}

/* ----------------------------------------------------- a link between two domains */

#define WORKFLOW	"bench-domain"

/* Its ends; each window is mapped into the domain that uses it, and is where that keeps it. */
static int link_ends[2];
static struct faasctl_window *link_windows[2];

static long open_end(void *arg)
{
	long output = (long)arg;

	return faasctl_window_open(&link_windows[output], link_ends[output], NULL);
}

static long close_end(void *arg)
{
	faasctl_window_close(link_windows[(long)arg]);
	return 0;
}

static void put(struct faasctl_window *window, size_t size)
{
	struct iovec part = { .iov_len = size };
	struct faasctl_error err;

	must(faasctl_window_alloc(window, size, &part.iov_base, &err), &err);
	fill_bytes(part.iov_base, size);
	must(faasctl_window_send(window, &part, 1, &err), &err);
}

static long get(struct faasctl_window *window)
{
	struct faasctl_error err;
	struct iovec part;
	long sum;

	if (faasctl_window_receive(window, &part, 1, &err) != 1)
		die("a link is not what it was");
	sum = sum_of(part.iov_base, part.iov_len);
	must(faasctl_window_release(window, &part, 1, &err), &err);
	return sum;
}

static long put_parcel(void *arg)
{
	const struct parcel *parcel = arg;

	put(link_windows[1], parcel->size);
	return 0;
}

static long get_parcel(void *arg)
{
	struct parcel *parcel = arg;

	parcel->sum = get(link_windows[0]);
	return 0;
}

static double share_link(void *arg)
{
	struct faasctl_error err;
	uint64_t start = 0;
	long ret = 0;
	int i;

	open_link(WORKFLOW, 0, link_ends, O_RDWR);
	for (i = 0; i < 2; i++) {
		must(faasctl_domain_call(some[i], open_end, (void *)(long)!i, &ret, &err), &err);
		if (ret)
			die("a window cannot be opened in a domain: %s", strerror(-ret));
	}
	/* The first ones get memory, and find out that both are there. */
	for (i = -FIRST_TRIPS; i < TRIPS; i++) {
		if (!i)
			start = now_ns();
		must(faasctl_domain_call(some[0], put_parcel, arg, NULL, &err), &err);
		must(faasctl_domain_call(some[1], get_parcel, arg, NULL, &err), &err);
	}
	start = now_ns() - start;
	for (i = 0; i < 2; i++)
		must(faasctl_domain_call(some[i], close_end, (void *)(long)!i, NULL, &err), &err);
	close_ends(link_ends);
	return (double)start / TRIPS;
}

/* ------------------------------------------------------------- another process */

/* What it says when it has looked at all of it. */
#define ANSWER		64

static unsigned char buffer[LARGEST];

static double pipe_trip(void *arg)
{
	struct parcel *parcel = arg;
	int to[2], from[2], i;
	char answer[ANSWER];
	uint64_t start = 0;
	pid_t pid;

	open_pipe(to);
	open_pipe(from);
	pid = fork_or_die();
	for (i = -FIRST_TRIPS; i < TRIPS; i++) {
		if (!i)
			start = now_ns();
		if (pid) {
			fill(parcel);
			write_all(to[1], (char *)parcel->bytes, parcel->size);
			read_all(from[0], answer, sizeof(answer));
		} else {
			read_all(to[0], (char *)buffer, parcel->size);
			answer[0] = sum_of(buffer, parcel->size);
			write_all(from[1], answer, sizeof(answer));
		}
	}
	start = now_ns() - start;
	if (!pid)
		_exit(0);
	close_ends(to);
	close_ends(from);
	reap(pid);
	return (double)start / TRIPS;
}

/* The process's end of a link, its window, and not the other end. */
static struct faasctl_window *take_end(int both[2], int which)
{
	struct faasctl_window *window;
	struct faasctl_error err;

	close(both[!which]);
	must(faasctl_window_open(&window, both[which], &err), &err);
	return window;
}

static double link_trip(void *arg)
{
	const struct parcel *parcel = arg;
	struct faasctl_window *to, *from;
	int there[2], back[2], i;
	uint64_t start = 0;
	pid_t pid;

	open_link(WORKFLOW, 0, there, O_RDWR);
	open_link(WORKFLOW, 1, back, O_RDWR);
	pid = fork_or_die();
	to = take_end(there, !!pid);
	from = take_end(back, !pid);
	for (i = -FIRST_TRIPS; i < TRIPS; i++) {
		if (!i)
			start = now_ns();
		if (pid) {
			put(to, parcel->size);
			get(from);
		} else {
			get(to);
			put(from, ANSWER);
		}
	}
	start = now_ns() - start;
	faasctl_window_close(to);
	faasctl_window_close(from);
	if (!pid)
		_exit(0);
	reap(pid);
	close(there[1]);
	close(back[0]);
	return (double)start / TRIPS;
}

/* ----------------------------------------------------------------- all of that */

static const struct {
	const char *what;
	const char *key;
	double (*measure)(void *arg);
	bool links;		/* it takes the module */
	bool threads;		/* it takes keys */
} shares[] = {
	{ "two calls", "calls", share_calls, false, false },
	{ "two domains", "domains", share_domains, false, false },
	{ "two domains, by a link", "link", share_link, true, true },
	{ "a pipe as well, in one process", "pipe", share_pipe, false, false },
	{ "a pipe to another process, and an answer", "pipe_trip", pipe_trip, false, false },
	{ "a link to another process, and an answer", "link_trip", link_trip, true, false },
};

/* Whether there can be links, which are made. */
static bool begin_links(void)
{
	static const uint64_t capacities[2] = { 16 * MIB, MIB };
	struct faasctl_error err;
	struct faasctl *ctl;

	if (faasctl_open(&ctl, &err)) {
		printf("\nNo links: %s.\n", err.message);
		return false;
	}
	faasctl_close(ctl);
	make_links(WORKFLOW, capacities, FAASCTL_TRUSTED);
	return true;
}

static void share(const struct faasctl_domains_info *info, bool links)
{
	static const size_t sizes[] = { 64, 65536, LARGEST };
	struct parcel *parcel = faasctl_shared_alloc(sizeof(*parcel));
	char what[80], key[40];
	size_t i, k;

	if (!parcel || pipe(ends))
		die("no memory, or no pipe");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		parcel->size = sizes[i];
		for (k = 0; k < ARRAY_SIZE(shares); k++) {
			if ((shares[k].links && !links) || (shares[k].threads && !info->threads))
				continue;
			snprintf(what, sizeof(what), "%zu bytes, %s", sizes[i], shares[k].what);
			snprintf(key, sizeof(key), "%s_%zu", shares[k].key, sizes[i]);
			row(what, key, shares[k].measure, parcel);
		}
	}
}

int main(void)
{
	struct faasctl_domains_options options = { .keys = KEYS };
	void *jemalloc = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_NOLOAD);
	struct faasctl_domains_info info;
	struct faasctl_error err;
	char name[16];
	bool links;
	int i;

	json = open_json();
	links = begin_links();
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
	row("malloc and free, inside, on a thread of its own", "malloc_started", allocate_started,
	    NULL);
	row("malloc and free, inside, on a thread of others", "malloc_inside", allocate_inside,
	    NULL);
	share(&info, links);
	filters(&info);
	if (links)
		remove_links(WORKFLOW);
	close_json(json);
	return 0;
}
