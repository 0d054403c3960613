/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that others read while they are replaced: there is the old one or the new one,
 * never a part of either.
 */
#ifndef FAASCTL_WHOLE_FILE_H
#define FAASCTL_WHOLE_FILE_H

#include <stdio.h>

/**
 * struct whole_file - a file that is being written under another name
 * @f: where to write to
 * @path: what it is to be called
 * @temporary: what it is called until then; NULL: @path is no regular file, such as a
 *	terminal, and is written to as it is
 * @fd: behind @f
 * @code: errno of the first write that failed, or 0
 */
struct whole_file {
	FILE *f;
	char *path;
	char *temporary;
	int fd;
	int code;
};

int whole_file_open(struct whole_file *file, const char *path);
int whole_file_commit(struct whole_file *file);
void whole_file_discard(struct whole_file *file);

#endif /* FAASCTL_WHOLE_FILE_H */
