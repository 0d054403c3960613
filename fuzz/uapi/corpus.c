// SPDX-License-Identifier: GPL-2.0
/* The corpus: see corpus.h. */
#include <dirent.h>

#include "chance.h"
#include "corpus.h"

#define CORPUS_MAX	4096

static struct program *corpus;
static double cost[CORPUS_MAX];
static size_t ncorpus;
static FILE *kept;

bool corpus_init(const char *keep)
{
	void *at = mmap(NULL, CORPUS_MAX * sizeof(*corpus), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return false;
	corpus = at;
	/* Those that execute have no use for it, and a fork would copy it. */
	madvise(corpus, CORPUS_MAX * sizeof(*corpus), MADV_DONTFORK);
	if (keep) {
		kept = fopen(keep, "we");
		if (!kept)
			fprintf(stderr, "uapi: cannot write %s: %s\n", keep, strerror(errno));
	}
	return !keep || kept;
}

void corpus_add(const struct program *p, double seconds)
{
	if (ncorpus < CORPUS_MAX) {
		corpus[ncorpus] = *p;
		cost[ncorpus++] = seconds;
	}
	if (!kept)
		return;
	program_print(kept, p);
	fflush(kept);
}

size_t corpus_size(void)
{
	return ncorpus;
}

static size_t pick(bool new)
{
	return new ? ncorpus - 1 - chance((ncorpus + 3) / 4) : chance(ncorpus);
}

const struct program *corpus_any(bool new)
{
	size_t one = pick(new), other = pick(new);

	return &corpus[cost[one] <= cost[other] ? one : other];
}

static long read_file(const char *path, bool (*take)(const struct program *p))
{
	FILE *from = fopen(path, "re");
	unsigned int line = 0;
	struct program p;
	long count = 0;
	int got = 0;

	if (!from) {
		fprintf(stderr, "uapi: %s: %s\n", path, strerror(errno));
		return -1;
	}
	while ((got = program_parse(from, path, &line, &p)) > 0) {
		count++;
		if (!take(&p))
			break;
	}
	fclose(from);
	return got < 0 ? -1 : count;
}

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

long corpus_read(const char *path, bool (*take)(const struct program *p))
{
	struct dirent **list;
	char file[PATH_MAX];
	long count = 0, n;
	int i, files;

	files = scandir(path, &list, is_seed, alphasort);
	if (files < 0)
		return errno == ENOTDIR ? read_file(path, take) : -1;
	for (i = 0; i < files; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		n = count < 0 ? -1 : read_file(file, take);
		count = n < 0 ? -1 : count + n;
		free(list[i]);
	}
	free(list);
	return count;
}
