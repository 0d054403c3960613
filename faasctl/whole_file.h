/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that appear whole or not at all. */
#ifndef FAASCTL_WHOLE_FILE_H
#define FAASCTL_WHOLE_FILE_H

#include <stdio.h>

/**
 * struct whole_file - a file that is being written under another name
 * @f: where to write to
 * @path: what it is to be called
 * @temporary: what it is called until then
 */
struct whole_file {
	FILE *f;
	char *path;
	char *temporary;
};

int whole_file_open(struct whole_file *file, const char *path);
int whole_file_commit(struct whole_file *file);
void whole_file_discard(struct whole_file *file);

#endif /* FAASCTL_WHOLE_FILE_H */
