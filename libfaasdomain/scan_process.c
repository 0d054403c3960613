// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looks through what this process can execute. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/uio.h>

#include "../libfaasctl/internal.h"
#include "scan.h"

/**
 * struct mapping - a line of /proc/self/maps
 * @start: its first address
 * @end: the one behind its last
 * @offset: of the file, at its start
 * @rights: "r-xp"
 * @path: what it is called, or ""
 */
struct mapping {
	uint64_t start;
	uint64_t end;
	uint64_t offset;
	char rights[5];
	const char *path;
};

static bool parse(char *line, struct mapping *mapping)
{
	int at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n",
		   &mapping->start, &mapping->end, mapping->rights,
		   &mapping->offset, &at) != 4 || !at)
		return false;
	mapping->path = line + at;
	return mapping->start < mapping->end && strlen(mapping->rights) == 4;
}

/* So much is looked at in one go. */
#define PIECE	65536u

/*
 * Takes a copy: other threads may unmap it meanwhile. If the kernel has no such call, or it is not
 * let through, they must not.
 */
static int copy(uint8_t *piece, uint64_t at, size_t len, struct faasctl_error *err)
{
	struct iovec to = { piece, len }, from = { (void *)(uintptr_t)at, len };
	ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	if (n < 0 && errno != EFAULT)
		memcpy(piece, from.iov_base, len);
	else if (n != (ssize_t)len)
		return faasctl__fail(err, EAGAIN, "code at 0x%" PRIx64 " went while it was looked through",
				     at);
	return 0;
}

static int look_at(struct scan *scan, const struct mapping *mapping, uint8_t *piece,
		   struct faasctl_error *err)
{
	uint64_t at, len;
	int ret = 0;

	if (mapping->rights[2] != 'x' || !strcmp(mapping->path, "[vsyscall]"))
		return 0;
	if (mapping->rights[0] != 'r')
		return faasctl__fail(err, EACCES,
			"code at 0x%" PRIx64 " (%.200s) cannot be looked through: it is not readable",
			mapping->start, mapping->path);
	scan->path = mapping->path;
	if (mapping->rights[1] == 'w')
		ret = scan_tell(scan, FAASCTL_SCAN_WRITABLE, mapping->start,
				mapping->offset);
	for (at = mapping->start; !ret && at < mapping->end; at += len) {
		len = mapping->end - at < PIECE ? mapping->end - at : PIECE;
		ret = copy(piece, at, len, err);
		if (!ret)
			ret = scan_feed(scan, at, mapping->offset + (at - mapping->start),
					piece, len);
	}
	return ret;
}

/*
 * The whole file comes before the first look: what a callback maps or allocates must not
 * change what is still to be read.
 */
static char *read_maps(struct faasctl_error *err)
{
	char *text = NULL, *more;
	size_t size = 0, len = 0;
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	if (!f) {
		faasctl__fail_errno(err, errno, "cannot open /proc/self/maps");
		return NULL;
	}
	do {
		if (len + 1 >= size) {
			size = size ? 2 * size : 65536;
			more = realloc(text, size);
			if (!more) {
				faasctl__fail(err, ENOMEM, "out of memory");
				goto fail;
			}
			text = more;
		}
		len += fread(text + len, 1, size - len - 1, f);
	} while (!feof(f) && !ferror(f));
	if (ferror(f)) {
		faasctl__fail_errno(err, errno, "cannot read /proc/self/maps");
		goto fail;
	}
	text[len] = '\0';
	fclose(f);
	return text;
fail:
	fclose(f);
	free(text);
	return NULL;
}

FAASCTL_API int faasctl_scan_process(faasctl_scan_fn fn, void *arg,
				     struct faasctl_error *err)
{
	_cleanup_(faasctl__freep) char *text = NULL, *piece = NULL;
	struct scan scan = { .fn = fn, .arg = arg };
	struct faasctl_error own;
	char *line, *save = NULL;
	struct mapping mapping;
	int ret = 0;

	text = read_maps(err ? err : &own);
	if (!text)
		return -(err ? err : &own)->code;
	piece = malloc(PIECE);
	if (!piece)
		return faasctl__fail(err, ENOMEM, "out of memory");
	for (line = strtok_r(text, "\n", &save); !ret && line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!parse(line, &mapping))
			return faasctl__fail(err, EBADMSG, "a line of /proc/self/maps makes no sense: %.100s",
					     line);
		ret = look_at(&scan, &mapping, (uint8_t *)piece, err);
	}
	return ret;
}
