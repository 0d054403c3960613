/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a function is that runs as a stage inside another process: a shared object with
 *
 *	int faas_main(struct faas_io *io);
 *
 * Nothing has to be linked with it:
 *
 *	cc -shared -fPIC -o f.so f.c
 *	faasctl exec --thread wf1 f -- ./f.so
 *	faasctl exec --thread wf1 f=./f.so g='./g.so -v'
 */
#ifndef FAASCTL_FUNCTION_H
#define FAASCTL_FUNCTION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct faas_io - what a function is given
 * @size: of this struct: what is added later comes at its end
 * @input: a descriptor to read from
 * @output: one to write to
 * @argc: number of arguments; the first one is the function's file
 * @argv: the arguments; NULL-terminated
 * @workflow: the workflow's name
 * @stage: the stage's name
 * @input_path: the path of its port faasin, or "": threads of a process share one "self", which
 *	is that of the first stage
 * @output_path: the path of its port faasout, or ""
 */
struct faas_io {
	uint32_t size;
	int input;
	int output;
	int argc;
	char *const *argv;
	const char *workflow;
	const char *stage;
	const char *input_path;
	const char *output_path;
};

/**
 * faas_main - the function
 * @io: what it is given; good until it returns
 *
 * Return: its exit status: 0, or 1 to 127 if it failed. 128 and more abort the stream by
 * default, as of any command; what is below 0 or above 255 becomes 255.
 */
int faas_main(struct faas_io *io);

#ifdef __cplusplus
}
#endif

#endif /* FAASCTL_FUNCTION_H */
