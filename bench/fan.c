// SPDX-License-Identifier: GPL-2.0
/*
 * fan: how long it takes until one, two, four or eight readers of an output have all that
 * was written to it, by copying and by reference.
 */
#include <sys/mman.h>

#include "bench.h"

#define WORKFLOW	"bench-fan"
#define CHUNK		65536
#define BYTES		(64ULL << 20)
#define READERS_MAX	8

static const unsigned int numbers[] = { 1, 2, 4, READERS_MAX };

/**
 * struct way - how readers read
 * @key: for the JSON
 * @read: until the end of the stream; how much that was
 */
struct way {
	const char *key;
	uint64_t (*read)(int fd);
};

/* How many wait for the start. */
static int *ready;

static uint64_t by_copying(int fd)
{
	static char buf[CHUNK];
	uint64_t bytes = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		bytes += n;
	if (n)
		die("read: %s", strerror(errno));
	return bytes;
}

/* Into a pipe, and from there to where nobody looks at it. */
static uint64_t by_reference(int fd)
{
	int ends[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	uint64_t bytes = 0;
	ssize_t n;

	if (pipe(ends) || null < 0)
		die("no pipe: %s", strerror(errno));
	while ((n = splice(fd, NULL, ends[1], NULL, CHUNK, 0)) > 0) {
		bytes += n;
		if (splice(ends[0], NULL, null, NULL, n, 0) != n)
			die("splice to /dev/null: %s", strerror(errno));
	}
	if (n)
		die("splice: %s", strerror(errno));
	return bytes;
}

static const struct way ways[] = {
	{ "read", by_copying },
	{ "splice", by_reference },
};

static void stage_name(char name[16], unsigned int i)
{
	snprintf(name, 16, "r%u", i);
}

/* Of "a", to so many. */
static void links_make(unsigned int readers)
{
	char list[16 * READERS_MAX] = "", name[16];
	const char *ends[] = { "a", list };
	struct faasctl_error err;
	struct faasctl *ctl;
	unsigned int i;

	for (i = 0; i < readers; i++) {
		stage_name(name, i);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i ? "," : "", name);
	}
	if (faasctl_open(&ctl, &err) ||
	    faasctl_chain_add(ctl, WORKFLOW, ends, 2, NULL, NULL, &err))
		die("%s", err.message);
	faasctl_close(ctl);
}

static void links_remove(void)
{
	struct faasctl_error err;
	struct faasctl *ctl;

	if (faasctl_open(&ctl, &err) || faasctl_workflow_del(ctl, WORKFLOW, 0, &err))
		die("%s", err.message);
	faasctl_close(ctl);
}

static pid_t reader(const struct way *way, unsigned int i)
{
	pid_t child = fork_or_die();
	char name[16];
	int fd;

	if (child)
		return child;
	pin((i + 1) % (unsigned int)sysconf(_SC_NPROCESSORS_ONLN));
	stage_name(name, i);
	fd = open_port(WORKFLOW, name, FAASIN_PORT_IN, O_RDONLY);
	__atomic_fetch_add(ready, 1, __ATOMIC_RELEASE);
	_exit(way->read(fd) != BYTES);
}

/* Seconds until the last reader has all. */
static double stream(const struct way *way, unsigned int readers)
{
	static char chunk[CHUNK];
	pid_t children[READERS_MAX];
	uint64_t begun, done;
	unsigned int i;
	int fd;

	links_make(readers);
	*ready = 0;
	for (i = 0; i < readers; i++)
		children[i] = reader(way, i);
	while (__atomic_load_n(ready, __ATOMIC_ACQUIRE) < (int)readers)
		usleep(1000);
	/* They have begun to wait. */
	usleep(10000);
	fd = open_port(WORKFLOW, "a", FAASIN_PORT_OUT, O_WRONLY);
	begun = now_ns();
	for (done = 0; done < BYTES; done += CHUNK)
		write_all(fd, chunk, CHUNK);
	close(fd);
	for (i = 0; i < readers; i++)
		reap(children[i]);
	begun = now_ns() - begun;
	links_remove();
	return begun / 1e9;
}

int main(void)
{
	static double took[ARRAY_SIZE(ways)][ARRAY_SIZE(numbers)][REPEATS];
	int n = repeats(), r;
	FILE *json = open_json();
	size_t w, i;

	ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ready == MAP_FAILED)
		die("no memory");
	pin(0);
	/* In turns, so that the load of the machine hits all of them. The first does not count. */
	for (r = -1; r < n; r++) {
		progress("fan: repetition %d of %d", r + 1, n);
		for (w = 0; w < ARRAY_SIZE(ways); w++)
			for (i = 0; i < ARRAY_SIZE(numbers); i++) {
				double s = stream(&ways[w], numbers[i]);

				if (r >= 0)
					took[w][i][r] = s;
			}
	}
	fputc('{', json);
	for (w = 0; w < ARRAY_SIZE(ways); w++) {
		fprintf(json, "%s\"%s\": {", w ? ", " : "", ways[w].key);
		for (i = 0; i < ARRAY_SIZE(numbers); i++) {
			fprintf(json, "%s\"%u\": ", i ? ", " : "", numbers[i]);
			values_json(took[w][i], n, json);
		}
		fputc('}', json);
	}
	close_json(json);
	return 0;
}
