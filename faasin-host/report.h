/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What faasin-host tells faasctl of its stages, through a pipe. */
#ifndef FAASIN_HOST_REPORT_H
#define FAASIN_HOST_REPORT_H

#include <stdint.h>

/* The status of a stage that was broken off, and not by a signal: it aborts the stream. */
#define STATUS_BROKEN_OFF	255

/**
 * enum report_event - what happened to a stage
 * @REPORT_PLACED: how it is to run: status: PLACED_ bits
 * @REPORT_BEGUN: its function begins
 * @REPORT_ENDED: it has ended
 * @REPORT_FAILED: it will never begin
 */
enum report_event {
	REPORT_PLACED,
	REPORT_BEGUN,
	REPORT_ENDED,
	REPORT_FAILED,
};

/* On a thread, not in a process of its own; with a filter of system calls. */
#define PLACED_THREAD	1
#define PLACED_FILTER	2

/**
 * struct report - one event; written at once, and not longer than is written as a whole
 * @stage: which of the stages, as they were named
 * @event: enum report_event
 * @status: of what has ended or failed: its exit status
 * @signal: the signal that stopped it, or 0
 */
struct report {
	uint32_t stage;
	uint32_t event;
	int32_t status;
	int32_t signal;
};

#endif /* FAASIN_HOST_REPORT_H */
