/* SPDX-License-Identifier: GPL-2.0 */
/* Two links that know nothing of each other, and the kernel's own ways beside them. */
#ifndef BENCH_LINKS_H
#define BENCH_LINKS_H

#include "bench.h"

#define MIB	(1 << 20)

static const char *const link_stages[][2] = { { "a", "b" }, { "c", "d" } };

/* @capacities: of both, or FAASCTL_UNSET64; @flags: FAASCTL_TRUSTED or 0. */
static inline void make_links(const char *workflow, const uint64_t capacities[2],
			      unsigned int flags)
{
	struct faasctl_link_options options = FAASCTL_LINK_OPTIONS_INIT;
	struct faasctl_error err;
	struct faasctl *ctl;
	size_t i;

	options.flags = flags;
	if (faasctl_open(&ctl, &err))
		die("%s", err.message);
	for (i = 0; i < ARRAY_SIZE(link_stages); i++) {
		options.capacity = capacities[i];
		if (faasctl_chain_add(ctl, workflow, link_stages[i], 2, &options, NULL, &err))
			die("%s", err.message);
	}
	faasctl_close(ctl);
}

static inline void remove_links(const char *workflow)
{
	struct faasctl_error err;
	struct faasctl *ctl;

	if (faasctl_open(&ctl, &err) || faasctl_workflow_del(ctl, workflow, 0, &err))
		die("%s", err.message);
	faasctl_close(ctl);
}

/* @ends: of a link, or of a pipe: the reading one, the writing one. */
static inline void open_link(const char *workflow, int link, int ends[2], int writer_flags)
{
	ends[1] = open_port(workflow, link_stages[link][0], FAASIN_PORT_OUT, writer_flags);
	ends[0] = open_port(workflow, link_stages[link][1], FAASIN_PORT_IN, O_RDONLY);
}

static inline void open_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
}

static inline void open_large_pipe(int ends[2])
{
	open_pipe(ends);
	if (fcntl(ends[1], F_SETPIPE_SZ, MIB) != MIB)
		die("cannot make a pipe of 1 MiB: %s", strerror(errno));
}

static inline void close_ends(const int ends[2])
{
	close(ends[1]);
	close(ends[0]);
}

#endif /* BENCH_LINKS_H */
