/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a port does with a system call.
 */
#ifndef _FAASIN_PORT_H
#define _FAASIN_PORT_H

#include <linux/fs.h>

extern const struct file_operations faasin_port_fops;

#endif /* _FAASIN_PORT_H */
