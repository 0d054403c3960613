/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How commands that run until somebody has seen enough come to an end. SIGINT and
 * SIGTERM are let in only while such a command waits, and only note that they came:
 * whatever is being written is finished first, and none comes just before a wait.
 */
#ifndef FAASCTL_STOP_H
#define FAASCTL_STOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

void stop_begin(void);
bool stop_asked(void);
const sigset_t *stop_mask(void);
bool stop_wait(uint64_t ms);

#endif /* FAASCTL_STOP_H */
