/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzzers share: a system that answers with bytes of theirs.
 *
 * The library and the tool are linked as they are. Calls that would leave the
 * process are replaced at link time (the Makefile lists them), and only while a
 * fuzzer runs its input: nothing here opens a socket, makes a cgroup or ends.
 */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal.h"

/* The family's number in the recorded answers; the kernel hands out others. */
#define HARNESS_FAMILY	28

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run as a finding, with a line that says which promise was broken. */
#define PROMISE(holds, text)						\
	do {								\
		if (!(holds))						\
			harness_broken(text, __FILE__, __LINE__);	\
	} while (0)

void harness_broken(const char *text, const char *file, int line)
	__attribute__((noreturn));

/**
 * struct bytes - input that is not used up yet
 * @p: where it goes on
 * @left: how much there is
 */
struct bytes {
	const uint8_t *p;
	size_t left;
};

uint8_t bytes_u8(struct bytes *bytes);
char *bytes_string(struct bytes *bytes, char end);

void harness_answers(struct bytes bytes);
struct faasctl *harness_handle(void);

void harness_mountinfo(struct bytes bytes);
void harness_files(uint8_t refusals);
void harness_unreachable(bool on);

/**
 * struct output - what was printed
 * @text: on standard output; NUL-terminated
 * @len: its length
 * @errors: on standard error; NUL-terminated
 * @errors_len: its length
 */
struct output {
	char *text;
	size_t len;
	char *errors;
	size_t errors_len;
};

int harness_run(int (*fn)(void *arg), void *arg, struct output *output);
int harness_tool(int argc, char **argv, struct output *output);
void harness_output_free(struct output *output);
void harness_check_printable(const char *text, size_t len);
void harness_check_error(const struct faasctl_error *err, int ret);

#endif /* FUZZ_HARNESS_H */
