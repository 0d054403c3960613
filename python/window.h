/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records, and the memory that they are in. An extent is in its port's list while it can be
 * used; the port cannot be closed while buffers of it are. Who calls the kernel about an
 * extent marks it as moving first, so that no other thread gets at it meanwhile.
 */
#ifndef FAASIN_PYTHON_WINDOW_H
#define FAASIN_PYTHON_WINDOW_H

#include <sys/uio.h>

#include "core.h"

/**
 * enum extent_state - whose an extent is
 * @EXTENT_HELD: this object's
 * @EXTENT_MOVING: a call is under way that sends it or gives it back
 * @EXTENT_GONE: it was sent or given back
 */
enum extent_state {
	EXTENT_HELD,
	EXTENT_MOVING,
	EXTENT_GONE,
};

/**
 * struct extent - memory of a window
 * @port: the Port; strong
 * @next: the next extent of that port
 * @prev: where that is pointed to from; NULL: in no list
 * @part: where it is, and how much of it counts
 * @size: how much was allocated
 * @exports: buffers that are in use
 * @forks: the value of forks when it was had: in a child it is not there
 * @writable: it was allocated, not received
 * @state: see above
 */
struct extent {
	PyObject_HEAD
	PyObject *port;
	struct extent *next, **prev;
	struct iovec part;
	size_t size;
	Py_ssize_t exports;
	unsigned int forks;
	bool writable;
	enum extent_state state;
};

/* window.c */
extern PyMethodDef window_methods[];
struct faasctl_window *window_get(struct port *port, struct handle *handle);

/* extent.c */
extern PyTypeObject *extent_type;
int extent_begin(PyObject *module);
struct extent *extent_new(PyObject *port, const struct iovec *part, bool writable);
int extent_check(struct extent *extent);
int extent_check_free(struct extent *extent);
void extent_gone(struct extent *extent);
int extents_give_back(struct port *port, struct handle *handle, struct extent **extents, size_t n);
void extents_drop(struct port *port, struct handle *handle);

extern Py_ssize_t all_exports;

/* record.c */
extern PyMethodDef record_port_methods[];
int record_begin(PyObject *module);
PyObject *record_new(PyObject *extents);

#endif /* FAASIN_PYTHON_WINDOW_H */
