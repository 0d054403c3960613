// SPDX-License-Identifier: GPL-2.0
/* Options: see options.h. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "options.h"

struct options want = { .seconds = 60, .seed = 1 };

static void usage(void)
{
	puts("Usage: uapi [OPTION]...\n"
	     "\n"
	     "Makes up programs of calls that user space can make of the module and executes them,\n"
	     "guided by coverage where the kernel has KCOV and the module was built for it (make\n"
	     "module KCOV=1), else by how calls end. For guests only: fuzz/uapi-run.\n"
	     "\n"
	     "  --seconds N    stop after that time (60); 0: execute the seeds only\n"
	     "  --runs N       or after that many programs\n"
	     "  --seed N       chance starts here (1): with the same coverage, the same programs\n"
	     "  --seeds PATH   what to start from, a file or a directory; may be repeated\n"
	     "                 (fuzz/seeds/uapi)\n"
	     "  --replay FILE  only execute FILE's programs, in order, one after the other\n"
	     "  --reduce FILE  leave out of FILE's programs what they still fail without: whole\n"
	     "                 programs, calls, attributes, threads, faults, numbers; the smallest\n"
	     "                 is in FILE.reduced. Exit status 3: the kernel complained, another\n"
	     "                 has to go on (fuzz/uapi-reduce, on the host, lets it)\n"
	     "  --record FILE  keep the last programs in FILE, in place of the kernel's log\n"
	     "  --keep FILE    write the corpus there\n"
	     "  --failures DIR write what fails there: failure-N, and history-N: it with all that\n"
	     "                 was executed before it since the scene was new\n"
	     "  --stop         end at the first failure\n"
	     "  --unload       at the end, unmount and unload the module: it must be possible\n"
	     "  --verbose      at the end, print how often each call was made\n"
	     "  --help         this text\n"
	     "\n"
	     "Corpora are merged by --seeds A --seeds B --keep C --seconds 0: what A has already is not\n"
	     "taken from B again.\n"
	     "\n"
	     "A program is text: 'threads' or 'processes' (which execute it), a call a line, 'end'.\n"
	     "A call begins with who makes it: 0, 1, or * before there are two. 'fail=N' at its end:\n"
	     "the Nth allocation or copy in it fails.\n"
	     "\n"
	     "Exit status: 0 if nothing failed, 1 if something did, 2 if it could not be tried.");
}

static void __attribute__((noreturn)) refuse(const char *what, const char *why)
{
	fprintf(stderr, "uapi: %s: %s\n", what, why);
	exit(2);
}

static long number(const char *text, const char *option)
{
	char *end;
	long value = strtol(text, &end, 0);

	if (!*text || *end || value < 0)
		refuse(option, "takes a number; see --help");
	return value;
}

static const char *existing(const char *path)
{
	const char *real = realpath(path, NULL);

	if (!real)
		refuse(path, strerror(errno));
	return real;
}

static const char *directory(const char *path)
{
	mkdir(path, 0755);
	return existing(path);
}

/* The file may be yet to come; its directory is not. */
static const char *file(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = strndup(path, slash ? (size_t)(slash - path) : 0), *full;

	if (!dir || asprintf(&full, "%s/%s", existing(!slash ? "." : *dir ? dir : "/"),
			     slash ? slash + 1 : path) < 0)
		refuse(path, "no memory");
	free(dir);
	return full;
}

static void take(int option)
{
	switch (option) {
	case 's':
		want.seconds = number(optarg, "--seconds");
		break;
	case 'r':
		want.runs = number(optarg, "--runs");
		break;
	case 'S':
		want.seed = number(optarg, "--seed");
		break;
	case 'd':
		if (want.nseeds == SEEDS_MAX)
			refuse(optarg, "too many --seeds");
		want.seeds[want.nseeds++] = existing(optarg);
		break;
	case 'p':
		want.replay = existing(optarg);
		break;
	case 'm':
		want.reduce = existing(optarg);
		break;
	case 'R':
		want.record = file(optarg);
		break;
	case 'k':
		want.keep = file(optarg);
		break;
	case 'f':
		want.failures = directory(optarg);
		break;
	case 't':
		want.stop = true;
		break;
	case 'u':
		want.unload = true;
		break;
	case 'v':
		want.verbose = true;
		break;
	case 'h':
		usage();
		exit(0);
	default:
		fprintf(stderr, "uapi: see --help\n");
		exit(2);
	}
}

void options_parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seconds", 1, NULL, 's' }, { "runs", 1, NULL, 'r' }, { "seed", 1, NULL, 'S' },
		{ "seeds", 1, NULL, 'd' }, { "replay", 1, NULL, 'p' }, { "record", 1, NULL, 'R' },
		{ "reduce", 1, NULL, 'm' },
		{ "keep", 1, NULL, 'k' }, { "failures", 1, NULL, 'f' }, { "unload", 0, NULL, 'u' },
		{ "stop", 0, NULL, 't' },
		{ "verbose", 0, NULL, 'v' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1)
		take(option);
	if (optind < argc)
		refuse(argv[optind], "unknown argument; see --help");
	if (!want.nseeds && !want.replay && !want.reduce)
		want.seeds[want.nseeds++] = existing("fuzz/seeds/uapi");
}
