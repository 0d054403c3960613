/* SPDX-License-Identifier: GPL-2.0 */
/* Ways from a process to the two that it came from: what functions try that may be hostile. */
#ifndef _FAASIN_SELFTESTS_FUNCTIONS_REACH_H
#define _FAASIN_SELFTESTS_FUNCTIONS_REACH_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t reach_parent_of(pid_t pid)
{
	char path[40];
	int parent;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
		parent = -1;
	fclose(f);
	return parent;
}

/* Whether a file of @pid in /proc can be opened. */
static int reach_file(pid_t pid, const char *name, int flags)
{
	char path[60];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* In how many ways @pid can be got at. */
static int reach_process(pid_t pid)
{
	return (syscall(SYS_pidfd_open, pid, 0) >= 0) + !kill(pid, 0) +
	       reach_file(pid, "mem", O_RDWR) + reach_file(pid, "maps", O_RDONLY) +
	       reach_file(pid, "environ", O_RDONLY) + reach_file(pid, "fd/0", O_RDONLY) +
	       reach_file(pid, "fd/2", O_WRONLY);
}

/* The same of the parent and, if it can be told, its parent. */
static int reach(void)
{
	pid_t second = reach_parent_of(getppid());

	return reach_process(getppid()) + (second > 1 ? reach_process(second) : 0);
}

#endif /* _FAASIN_SELFTESTS_FUNCTIONS_REACH_H */
