/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a process asks of the module: descriptors, ioctls on them, mappings. libfaasctl's own
 * sources call these by the names of the system's (Makefile). Each task is a process.
 *
 * What is mapped of a lane is the memory itself, at one address for all, writable or not. Of a
 * window there is nothing: its addresses cannot be touched, but looked up (process_page()).
 */
#ifndef _USERSPACE_PROCESS_H
#define _USERSPACE_PROCESS_H

#include "kernel.h"

/* A port that was opened gets a descriptor, and is closed with it. */
int process_port(struct file *file);
struct file *process_file(int fd);
void process_port_close(int fd);

/* As the system's. */
int process_ioctl(int fd, unsigned long cmd, ...);
int process_fcntl(int fd, int cmd, ...);
int process_close(int fd);
void *process_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int process_munmap(void *at, size_t size);

/* Where a port's window is mapped. */
void *process_base(int fd);

/* The memory behind an address of a window, to the end of its page. The caller has that extent. */
void *process_page(const void *at);

#endif /* _USERSPACE_PROCESS_H */
