/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 'COMMAND | COMMAND' taken apart, and names for its stages. */
#ifndef FAASCTL_PIPELINE_H
#define FAASCTL_PIPELINE_H

#include "tool.h"

/**
 * struct pipeline_stage - one of the commands
 * @command: the text between two bars, for a shell
 * @name: the stage's
 */
struct pipeline_stage {
	char *command;
	char name[FAASIN_NAME_MAX + 1];
};

/**
 * struct pipeline - a line of commands
 * @n: how many
 * @stages: the commands
 */
struct pipeline {
	size_t n;
	struct pipeline_stage *stages;
};

void pipeline_parse(const struct command *command, const char *line,
		    struct pipeline *pipeline);
void pipeline_name(const struct command *command, const char *names,
		   struct pipeline *pipeline);
char *pipeline_script(const struct command *command,
		      const struct pipeline_stage *stage);
void pipeline_free(struct pipeline *pipeline);

#endif /* FAASCTL_PIPELINE_H */
