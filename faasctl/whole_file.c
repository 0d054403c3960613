// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files that are written whole or not at all. */
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

#include "tool.h"
#include "whole_file.h"

static int cannot(const char *path, int code)
{
	fflush(stdout);
	fprintf(stderr, "faasctl: cannot write %s: %s\n", text_clean(path).s,
		strerror(code));
	return STATUS_REFUSED;
}

/* Much may be written before somebody asks whether that went well: the reason is kept. */
static ssize_t put(void *arg, const char *data, size_t len)
{
	struct whole_file *file = arg;
	size_t done = 0;
	ssize_t n;

	while (done < len && !file->code) {
		n = write(file->fd, data + done, len - done);
		if (n >= 0)
			done += n;
		else if (errno != EINTR)
			file->code = errno;
	}
	return done;
}

/* In the directory of @path, for renaming does not lead out of a file system. */
static int open_temporary(struct whole_file *file)
{
	_cleanup_(freep) char *for_dir = strdup(file->path);
	_cleanup_(freep) char *for_base = strdup(file->path);
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	if (!for_dir || !for_base ||
	    asprintf(&file->temporary, "%s/.%s.XXXXXX", dirname(for_dir),
		     basename(for_base)) < 0) {
		file->temporary = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0) {
		fd = -errno;
		freep(&file->temporary);
		file->temporary = NULL;
		return fd;
	}
	/* mkostemp() is for secrets; this is a file like any other. */
	file->fd = fd;
	return fchmod(fd, 0666 & ~mask) ? -errno : fd;
}

/* What is not a regular file cannot be replaced by one. */
static int open_as_it_is(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

/**
 * whole_file_open - begin a file
 * @file: to be filled
 * @path: what it is to be called; a file of that name stays until the commit. Where a
 *	symbolic link leads is replaced, not the link
 *
 * Return: STATUS_OK, or STATUS_REFUSED and the reason was printed.
 */
int whole_file_open(struct whole_file *file, const char *path)
{
	static const cookie_io_functions_t functions = { .write = put };
	struct stat st;
	int fd;

	memset(file, 0, sizeof(*file));
	file->fd = -1;
	if (!stat(path, &st)) {
		/* A pipe, say, is only found by the name that it was given. */
		file->path = S_ISREG(st.st_mode) ? realpath(path, NULL) : strdup(path);
		fd = !file->path ? -errno : S_ISREG(st.st_mode) ? open_temporary(file) :
		     open_as_it_is(path);
	} else if (errno == ENOENT) {
		file->path = strdup(path);
		fd = file->path ? open_temporary(file) : -ENOMEM;
	} else {
		fd = -errno;
	}
	if (fd >= 0) {
		file->fd = fd;
		file->f = fopencookie(file, "w", functions);
		if (!file->f)
			fd = -ENOMEM;
	}
	if (fd >= 0)
		return STATUS_OK;
	whole_file_discard(file);
	return cannot(path, -fd);
}

/* The new name is on the disk, too. */
static void sync_directory(char *path)
{
	int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/**
 * whole_file_commit - the file is complete
 * @file: an open file; freed, whatever happens
 *
 * Return: STATUS_OK, or STATUS_REFUSED: the reason was printed and nothing is left.
 */
int whole_file_commit(struct whole_file *file)
{
	int status = STATUS_OK;

	if (fflush(file->f) && !file->code)
		file->code = errno;
	/* A device has nothing to be brought to a disk. */
	if (!file->code && fsync(file->fd) && errno != EINVAL)
		file->code = errno;
	if (!file->code && file->temporary && rename(file->temporary, file->path))
		file->code = errno;
	if (file->code) {
		status = cannot(file->path, file->code);
	} else if (file->temporary) {
		/* It is called otherwise now, and is not to be deleted. */
		free(file->temporary);
		file->temporary = NULL;
		sync_directory(file->path);
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
	/* What is not written yet need not be. */
	if (file->f) {
		file->code = file->code ? file->code : ECANCELED;
		fclose(file->f);
	}
	if (file->path && file->fd >= 0)
		close(file->fd);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
	free(file->path);
	memset(file, 0, sizeof(*file));
}
