// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Files that others read while they are replaced: there is the old one or the new
 * one, never a part of either.
 */
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

#include "tool.h"

static int cannot(const char *path)
{
	int code = errno;

	fflush(stdout);
	fprintf(stderr, "faasctl: cannot write %s: %s\n", text_clean(path).s,
		strerror(code));
	return STATUS_REFUSED;
}

/* Writes to @fd and closes it. */
static int fill(int fd, const char *path, file_writer write, void *arg)
{
	FILE *to = fdopen(fd, "w");
	int status;

	if (!to) {
		status = cannot(path);
		close(fd);
		return status;
	}
	status = write(to, arg);
	if (status == STATUS_OK && (fflush(to) || ferror(to)))
		status = cannot(path);
	/* A device has nothing to be brought to a disk. */
	if (status == STATUS_OK && fsync(fd) && errno != EINVAL)
		status = cannot(path);
	if (fclose(to) && status == STATUS_OK)
		status = cannot(path);
	return status;
}

/* The new name is on the disk, too. */
static void sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static int replace(const char *path, file_writer write, void *arg)
{
	_cleanup_(freep) char *for_dir = strdup(path), *for_base = strdup(path);
	_cleanup_(freep) char *temporary = NULL;
	const char *dir;
	int fd, status;

	if (!for_dir || !for_base)
		return cannot(path);
	dir = dirname(for_dir);
	if (asprintf(&temporary, "%s/.%s.XXXXXX", dir, basename(for_base)) < 0) {
		temporary = NULL;
		return cannot(path);
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return cannot(path);
	if (fchmod(fd, 0644)) {
		status = cannot(path);
		close(fd);
	} else {
		status = fill(fd, path, write, arg);
	}
	if (status == STATUS_OK && rename(temporary, path))
		status = cannot(path);
	if (status == STATUS_OK)
		sync_directory(dir);
	else
		unlink(temporary);
	return status;
}

/*
 * Lets @write make the content of the file @path. What is no file, such as a
 * terminal, is written to as it is; where a symbolic link leads is replaced, not
 * the link.
 */
int write_file(const char *path, file_writer write, void *arg)
{
	_cleanup_(freep) char *target = realpath(path, NULL);
	struct stat st;
	int fd;

	if (!target && errno != ENOENT)
		return cannot(path);
	if (target && !stat(target, &st) && !S_ISREG(st.st_mode)) {
		fd = open(target, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return fd < 0 ? cannot(path) : fill(fd, path, write, arg);
	}
	return replace(target ? target : path, write, arg);
}
