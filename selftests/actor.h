/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who does something: in which cgroup, as whom, in which namespaces.
 */
#ifndef _SELFTESTS_ACTOR_H
#define _SELFTESTS_ACTOR_H

#include <stdint.h>
#include <sys/types.h>

#define ACTOR_BASE	100000	/* what id 0 of a new user namespace is outside */
#define ACTOR_LOST	(-2000)	/* the actor could not be made */

#define CAP(name)	(1ull << CAP_##name)
#define CAPS_USUAL	0ull	/* those that the ids and namespaces bring */
#define CAPS_NONE	(1ull << 63)

/**
 * struct actor - who
 * @cgroup: name below CGROUPS; NULL: the caller's
 * @namespaces: CLONE_NEW* to be in new ones of. With CLONE_NEWUSER, ids from 0
 *	are those from ACTOR_BASE outside
 * @id: user and group, as seen from in there
 * @caps: what it may do: CAPS_USUAL, CAPS_NONE or a mask of CAP()
 */
struct actor {
	const char *cgroup;
	int namespaces;
	uid_t id;
	uint64_t caps;
};

/* Lets @who run @fn, in a process of its own: what @fn returned (0 to 255), minus the
 * signal that killed it, HUNG or ACTOR_LOST. Mounts stay private.
 */
int act(const struct actor *who, int (*fn)(void *arg), void *arg);

/* The same for the caller, for good; no new user or pid namespace. 0 or -errno. */
int actor_become(const struct actor *who);

/* The group that @who has in the initial user namespace. */
gid_t actor_group(const struct actor *who);

/* Memory that actors share with the test, zeroed. NULL if there is none. */
void *shared(size_t size);

#endif /* _SELFTESTS_ACTOR_H */
