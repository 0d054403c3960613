/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A container that somebody else has taken over, and its neighbour.
 *
 * There are two workflows, each with a cgroup that pays. The victim's has the stages
 * "v" and "w". The attacker's has "a" and "b"; a's cgroup lies below b's, so that who is
 * in there may open all ports of both: it has the whole of its own workflow.
 *
 * The attacker is in a's cgroup and in new namespaces of every kind, where it is root. It
 * mounted faasin from in there, and what the test has open is open there too. Unlike a container it
 * still sees the machine's /proc, /sys, cgroups and the whole tree of ports: it has
 * names for all that it must not reach.
 */
#ifndef _SELFTESTS_HOSTILE_H
#define _SELFTESTS_HOSTILE_H

#include "actor.h"
#include "world.h"

#define IN	(O_RDONLY | O_NONBLOCK | O_CLOEXEC)
#define OUT	(O_WRONLY | O_NONBLOCK | O_CLOEXEC)

#define ATTEMPTS_MAX	128
#define KEPT		100	/* the descriptor under which the victim has its output */

/**
 * struct attempt - what was tried and what came of it
 * @what: in words
 * @got: the result, or -errno
 * @expected: that is what should come of it
 */
struct attempt {
	char what[80];
	long got;
	bool expected;
};

/**
 * struct attack - shared by the test and its attacker
 * @nr: attempts so far
 * @attempts: they
 * @number: for what an attack counts
 */
struct attack {
	unsigned int nr;
	struct attempt attempts[ATTEMPTS_MAX];
	long number[4];
};

/**
 * struct hostile - both sides
 * @victim: its workflow: v's output is linked to w's input
 * @own: the attacker's workflow: a's output is linked to b's input
 * @victim_cgroup: of v, below CGROUPS
 * @cgroup: of a, below CGROUPS
 * @point: where the attacker has its ports
 * @spare: an empty directory that it may mount on
 * @ready: rung by the attacker
 * @go: rung by the test
 * @attack: what it did
 * @victim_pid: a process of the victim's, with its output open as KEPT; 0: none
 */
struct hostile {
	struct world victim, own;
	char victim_cgroup[128], cgroup[128];
	char point[64], spare[64];
	int ready, go;
	struct attack *attack;
	pid_t victim_pid, victim_keeper;
};

typedef int (*attack_fn)(struct hostile *h);

/* Returns 0 or a (positive) error. */
int hostile_new(struct hostile *h);
void hostile_del(struct hostile *h);

/* Lets the attacker do @fn to its end: what it returned, as act(). */
int attack(struct hostile *h, attack_fn fn);

/* The same, not waiting for its end. */
pid_t attack_begin(struct hostile *h, attack_fn fn);

/* What a runtime does: kills all that is in a's cgroup. Returns true if nothing is left. */
bool attacker_kill(struct hostile *h, pid_t begun);

/* Sends a signal to all that is in a's cgroup; returns how many got it. */
int attacker_signal(struct hostile *h, int signal);

/* Starts the process of the victim's. */
bool victim_start(struct hostile *h);

/* A stream of the victim's goes through as ever. */
bool victim_works(struct hostile *h);

/* What faasctl show exits with, for whoever asks. */
int tool_status(void);

/* In the attacker: a path below its mount. Valid for eight calls. */
const char *own_path(struct hostile *h, const char *name);

/* Notes an attempt; a list of what it may give: 0 for success, or an errno. */
void attempt(struct hostile *h, const char *what, long got, const int *may, int nr);

#define TRY(what, call, ...)							\
	attempt(h, what, sys(call), (const int[]){ __VA_ARGS__ },		\
		sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

/* In the attacker: mounts. 0, or -1 and errno. */
int mount_faasin(const char *source, const char *point, unsigned long flags, const char *options);
int fsmount_of(const char *workflow, const char *stage);
int fspick_of(struct hostile *h, const char *workflow);

/* A page of the caller's that whoever touches it waits for, for ever. NULL: none. */
char *page_of_no_return(void);

/*
 * A process that stands still in the middle of a read or write of @fd, until it is killed; it
 * has closed @other, unless that is -1.
 */
pid_t stand_still(int fd, bool writes, int other);

/* Waits until a process in the attacker's cgroup is in system call @nr. */
bool attacker_is_in(struct hostile *h, long nr);

/* Allows user namespaces to make such pages; returns what to restore, or -1. */
int allow_userfaultfd(int value);

#define HOSTILE_SETUP(h)							\
do {										\
	int hostile_error = hostile_new(h);					\
										\
	ASSERT_EQ(0, hostile_error)						\
		TH_LOG("no workflows: %s", strerror(hostile_error));		\
} while (0)

#define HOSTILE_TEARDOWN(h)							\
do {										\
	const char *hostile_complaint;						\
										\
	hostile_del(h);								\
	hostile_complaint = log_complaint((h)->victim.log);			\
	EXPECT_EQ(NULL, hostile_complaint)					\
		TH_LOG("the kernel's log: %s", hostile_complaint);		\
} while (0)

/* Each of the attacker's attempts came to what it should; there were at least @least. */
#define EXPECT_ATTEMPTS(h, least)						\
do {										\
	struct attack *attempts_of = (h)->attack;				\
										\
	EXPECT_LE(least, attempts_of->nr);					\
	for (unsigned int nr = 0; nr < attempts_of->nr; nr++) {			\
		struct attempt *one = &attempts_of->attempts[nr];		\
										\
		EXPECT_TRUE(one->expected)					\
			TH_LOG("attempt %u: %s: %ld", nr, one->what, one->got);	\
	}									\
} while (0)

#endif /* _SELFTESTS_HOSTILE_H */
