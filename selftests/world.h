/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A world: a workflow, its stages and links, and cgroups, made by raw requests.
 * All of it is gone after world_del(), and so is what the test added to it.
 */
#ifndef _SELFTESTS_WORLD_H
#define _SELFTESTS_WORLD_H

#include "common.h"
#include "nl.h"

/**
 * struct world - what a test works in
 * @nl: control
 * @log: the kernel's log since world_new()
 * @wf: name of the workflow, and of a cgroup below CGROUPS
 * @dir: the workflow's directory
 */
struct world {
	struct nl nl;
	int log;
	char wf[FAASIN_NAME_MAX + 1];
	char dir[PATH_MAX];
};

/* These return 0 or the (positive) error's number. */
int world_new(struct world *w);			/* uncharged */
int world_new_charged(struct world *w);		/* the cgroup @wf pays */
int world_new_beside(struct world *w);		/* the same, a second one */
int world_stage(struct world *w, const char *name, const char *cgroup);
int world_link(struct world *w, const char *src, const char *dst);
int world_link_of(struct world *w, const char *src, const char *dst, uint64_t capacity);
int world_resize(struct world *w, const char *src, uint64_t capacity);
int world_set_state(struct world *w, const char *src, uint32_t state);
int world_unlink(struct world *w, const char *src);
int world_del_stage(struct world *w, const char *name);
int world_del_workflow(struct world *w, const char *name);
void world_del(struct world *w);

/* Makes cgroup @wf/@name; gives its name below CGROUPS. Valid for eight calls. */
const char *world_cgroup(struct world *w, const char *name);

/* A descriptor of a cgroup's directory, or -errno. */
int cgroup_open(const char *name);

/* The path of a port, of a stage's directory (@port NULL). Valid for eight calls. */
const char *world_path(const struct world *w, const char *stage, const char *port);
#define world_out(w, stage)	world_path(w, stage, FAASIN_PORT_OUT)
#define world_in(w, stage)	world_path(w, stage, FAASIN_PORT_IN)

/* Opens a port: a descriptor or -errno. Never waits. */
int world_open(const struct world *w, const char *stage, const char *port, int flags);

/* Generations of objects; 0 if there is no such. */
uint64_t world_generation(struct world *w);
uint64_t world_stage_generation(struct world *w, const char *stage);
uint64_t world_link_generation(struct world *w, const char *src);
uint64_t world_link_capacity(struct world *w, const char *src);

/* Its enum faasin_link_state; running if there is no such. */
uint32_t world_link_state(struct world *w, const char *src);

/* All that control says of the workflow, in bytes to compare; free() it. */
struct world_state {
	size_t len;
	char *bytes;
};

struct world_state world_state(struct world *w);
bool world_same(struct world *w, struct world_state *before);

/* Names of a directory's entries but "." and "..", sorted, each followed by a
 * blank; "" for an empty one, NULL if it cannot be read. free() it.
 */
char *list_directory(const char *path);

#define WORLD_SETUP(w, how)							\
do {										\
	int world_error = how(w);						\
										\
	ASSERT_EQ(0, world_error)						\
		TH_LOG("no world: %s; %s", strerror(world_error), (w)->nl.text);	\
} while (0)

#define WORLD_TEARDOWN(w)							\
do {										\
	const char *world_complaint;						\
										\
	world_del(w);								\
	world_complaint = log_complaint((w)->log);				\
	EXPECT_EQ(NULL, world_complaint)					\
		TH_LOG("the kernel's log: %s", world_complaint);		\
	close((w)->log);							\
} while (0)

/* @call is refused with @error and a text, and changes nothing. */
#define EXPECT_REFUSAL(w, error, call)						\
do {										\
	struct world_state refusal_before = world_state(w);			\
										\
	EXPECT_EQ(error, call)							\
		TH_LOG("'%s'", (w)->nl.text);					\
	EXPECT_NE(0, (int)strlen((w)->nl.text));				\
	EXPECT_TRUE(world_same(w, &refusal_before));				\
} while (0)

/* The same of a malformed request, for which there are two errors. */
#define EXPECT_MALFORMED(w, call)						\
do {										\
	struct world_state malformed_before = world_state(w);			\
	int malformed_error = (call);						\
										\
	EXPECT_TRUE(malformed_error == EINVAL || malformed_error == ERANGE)	\
		TH_LOG("error %d, '%s'", malformed_error, (w)->nl.text);	\
	EXPECT_NE(0, (int)strlen((w)->nl.text));				\
	EXPECT_TRUE(world_same(w, &malformed_before));				\
} while (0)

/* The directory @path holds exactly @names (see list_directory()). */
#define EXPECT_ENTRIES(names, path)						\
do {										\
	char *entries_are = list_directory(path);				\
										\
	EXPECT_NE(NULL, entries_are);						\
	if (entries_are)							\
		EXPECT_STREQ(names, entries_are)				\
			TH_LOG("in %s", path);					\
	free(entries_are);							\
} while (0)

#endif /* _SELFTESTS_WORLD_H */
