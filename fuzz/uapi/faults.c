// SPDX-License-Identifier: GPL-2.0
/* Faults: see faults.h. */
#include "fault.h"
#include "faults.h"

static bool possible;

const char *faults_start(void)
{
	const char *why = fault_unable();

	if (!why && !fault_let_fail(true, true))
		why = "what is to fail cannot be set";
	possible = !why;
	return why;
}

static bool set(struct thread *t, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(t->fail, text, len, 0) == len;
}

void faults_arm(struct thread *t, unsigned int nth)
{
	if (!possible)
		return;
	if (t->fail == -2)
		t->fail = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	set(t, nth);
}

bool faults_disarm(struct thread *t)
{
	char left[16] = "";
	bool failed;

	if (!possible)
		return false;
	/* It counts down to 0 when it failed something. */
	failed = pread(t->fail, left, sizeof(left) - 1, 0) > 0 && atoi(left) == 0;
	set(t, 0);
	return failed;
}
