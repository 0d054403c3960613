// SPDX-License-Identifier: GPL-2.0
/* The record: see record.h. */
#include "common.h"
#include "record.h"

#define TEXT_MAX	8192	/* of a program */
#define HISTORY		64	/* programs before the one that failed */

static const char *failures_path;
static int record = -1;
static bool in_log;
static struct program *history;
static unsigned int nhistory;

bool record_init(const char *file, const char *failures)
{
	failures_path = failures;
	in_log = !file;
	history = calloc(HISTORY, sizeof(*history));
	record = open(file ?: "/dev/kmsg", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	if (history && record >= 0)
		return true;
	fprintf(stderr, "uapi: nowhere to write what is under way: %s\n", strerror(errno));
	return false;
}

/* A record of the kernel's log holds less than a program: a line each. */
static void to_log(char *text)
{
	char *line, *state = NULL;

	for (line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
		dprintf(record, "<6>uapi: %s", line);
}

/* Both batches at once: a crash can come from what ran before. The file does not get shorter. */
static void to_file(const char *before, const char *text)
{
	static char both[2 * BATCH * TEXT_MAX + sizeof(RECORD_END)];
	int len = snprintf(both, sizeof(both), "%s%s" RECORD_END, before, text);

	if (pwrite(record, both, len, 0) != len)
		fprintf(stderr, "uapi: the record cannot be written: %s\n", strerror(errno));
}

void record_batch(const struct program *batch, unsigned int n, long first)
{
	static char texts[2][BATCH * TEXT_MAX];
	static unsigned int newest;
	char *text = texts[newest ^= 1];
	FILE *to = fmemopen(text, sizeof(texts[0]), "w");
	unsigned int i;

	for (i = 0; i < n; i++) {
		fprintf(to, "# run %ld\n", first + i);
		program_print(to, &batch[i]);
	}
	fclose(to);
	if (in_log)
		to_log(text);
	else
		to_file(texts[newest ^ 1], text);
}

void record_scene(void)
{
	nhistory = 0;
}

void record_run(const struct program *p)
{
	if (nhistory < HISTORY)
		history[nhistory++] = *p;
}

static FILE *create(const char *name, long run)
{
	char path[PATH_MAX];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s-%ld", failures_path, name, run);
	to = fopen(path, "we");
	if (!to)
		fprintf(stderr, "uapi: cannot write %s: %s\n", path, strerror(errno));
	return to;
}

void record_failure(long run, const struct program *p)
{
	unsigned int i;
	FILE *to;

	if (!failures_path)
		return;
	to = p ? create("failure", run) : NULL;
	if (to) {
		program_print(to, p);
		fclose(to);
	}
	to = create("history", run);
	if (!to)
		return;
	for (i = 0; i < nhistory; i++)
		program_print(to, &history[i]);
	fclose(to);
}
