// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waiting, and the signals that end it. */
#include <poll.h>

#include "stop.h"
#include "tool.h"

static volatile sig_atomic_t asked;
static sigset_t waiting;

static void note(int sig)
{
	asked = 1;
}

/* From here on SIGINT and SIGTERM only end waits. */
void stop_begin(void)
{
	static const int signals[] = { SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = note };
	sigset_t blocked;
	size_t i;

	sigemptyset(&blocked);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&blocked, signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		sigdelset(&waiting, signals[i]);
		sigaction(signals[i], &action, NULL);
	}
}

bool stop_asked(void)
{
	return asked;
}

/* What is blocked while waiting: for ppoll(). */
const sigset_t *stop_mask(void)
{
	return &waiting;
}

/* Waits so long; false: the command is to end. */
bool stop_wait(uint64_t ms)
{
	const struct timespec time = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000,
	};

	if (!asked)
		ppoll(NULL, 0, &time, &waiting);
	return !asked;
}
