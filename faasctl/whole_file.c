// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files that appear whole or not at all. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tool.h"
#include "whole_file.h"

static int cannot(const char *what, const char *path, int code)
{
	struct faasctl_error err = { .code = code };

	snprintf(err.message, sizeof(err.message), "cannot %s %.300s: %s", what,
		 path, strerror(code));
	clean(err.message);
	return fail(&err);
}

/* The file that a path means, should it exist; what a link points to is replaced. */
static char *resolve(const char *path)
{
	char *whole = realpath(path, NULL);

	return whole ? whole : strdup(path);
}

/* What is not a regular file cannot be replaced by one. */
static int check_kind(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return S_ISREG(st.st_mode) ? 0 : -ENOTSUP;
}

/**
 * whole_file_open - begin a file
 * @file: to be filled
 * @path: what it is to be called; a file of that name stays until the commit
 *
 * Return: STATUS_OK, or STATUS_REFUSED and the reason was printed.
 */
int whole_file_open(struct whole_file *file, const char *path)
{
	mode_t mask = umask(0);
	int fd, code;

	umask(mask);
	memset(file, 0, sizeof(*file));
	code = check_kind(path);
	if (code)
		return cannot("write", path, -code);
	file->path = resolve(path);
	if (!file->path || asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
		file->temporary = NULL;
		whole_file_discard(file);
		return cannot("write", path, ENOMEM);
	}
	fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0) {
		code = errno;
		free(file->temporary);
		file->temporary = NULL;
		whole_file_discard(file);
		return cannot("create", path, code);
	}
	file->f = fdopen(fd, "w");
	if (!file->f) {
		close(fd);
		whole_file_discard(file);
		return cannot("create", path, ENOMEM);
	}
	/* mkostemp() is for secrets; this is a file like any other. */
	if (fchmod(fd, 0666 & ~mask)) {
		code = errno;
		whole_file_discard(file);
		return cannot("create", path, code);
	}
	return STATUS_OK;
}

/**
 * whole_file_commit - the file is complete
 * @file: an open file; freed, whatever happens
 *
 * Return: STATUS_OK, or STATUS_REFUSED: the reason was printed and nothing is left.
 */
int whole_file_commit(struct whole_file *file)
{
	int code = 0, status = STATUS_OK;

	/* What failed before has left its reason in errno, if nothing came after. */
	if (ferror(file->f))
		code = errno ? errno : EIO;
	else if (fflush(file->f) || fsync(fileno(file->f)) ||
		 rename(file->temporary, file->path))
		code = errno;
	if (code)
		status = cannot("write", file->path, code);
	if (!code) {
		free(file->temporary);
		file->temporary = NULL;
	}
	whole_file_discard(file);
	return status;
}

/**
 * whole_file_discard - forget about the file
 * @file: an open file, or one that could not be opened; freed
 */
void whole_file_discard(struct whole_file *file)
{
	if (file->f)
		fclose(file->f);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
	free(file->path);
	memset(file, 0, sizeof(*file));
}
