/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the extension module share.
 *
 * All fields are guarded by the interpreter's lock (the GIL) unless they say otherwise.
 * Whatever can wait (opening, reading, writing, closing, every ioctl) is called without it,
 * through WAITING(), and holds a struct handle meanwhile: nobody can close a descriptor that
 * another thread is using. A port's reading lock is taken without the GIL, too, and before it.
 */
#ifndef FAASIN_PYTHON_CORE_H
#define FAASIN_PYTHON_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdbool.h>
#include <faasctl.h>

/**
 * struct handle - an open port, for as long as somebody uses it
 * @refs: the port object, and each call that is under way
 * @fd: the descriptor
 * @win: its window, once it was needed
 * @forks: the value of forks when it was mapped
 */
struct handle {
	Py_ssize_t refs;
	int fd;
	struct faasctl_window *win;
	unsigned int forks;
};

struct extent;

/**
 * struct port - what a Port has beside what the base class has
 * @next: the next open port; the list is of all that are open
 * @prev: where that is pointed to from; NULL: not in the list
 * @self: the object
 * @name: what it was asked for: a name or a path; NULL before __init__()
 * @path: where it was opened, or NULL
 * @output: it is for writing
 * @blocking: calls wait
 * @closed: by close()
 * @kept: to stay open until the process exits, whose exit status is to count
 * @handle: NULL: not open yet, or closed
 * @extents: memory of its window that is had
 * @exports: buffers of that which are in use
 * @lock: the reading lock: guards the five below
 * @lock_forks: the value of forks when it was made
 * @reader: the thread that has it, 0: nobody
 * @buf: what was read ahead: @room bytes, of which those from @start to @end are not read
 */
struct port {
	struct port *next, **prev;
	PyObject *self;
	char *name;
	char *path;
	bool output;
	bool blocking;
	bool closed;
	bool kept;
	struct handle *handle;
	struct extent *extents;
	Py_ssize_t exports;
	PyThread_type_lock lock;
	unsigned int lock_forks;
	unsigned long reader;
	char *buf;
	size_t start, end, room;
};

/* How often this process is the child of a fork. */
extern unsigned int forks;

/* The type, and the size of its base: a struct port is behind that. */
extern PyTypeObject *port_type;
extern Py_ssize_t port_offset;

static inline struct port *port_of(PyObject *self)
{
	return (struct port *)((char *)self + port_offset);
}

/* Does something without the GIL. */
#define UNLOCKED(statement)							\
do {										\
	Py_BEGIN_ALLOW_THREADS							\
	statement;								\
	Py_END_ALLOW_THREADS							\
} while (0)

/*
 * Makes a call that can wait: without the GIL, again when a signal came whose handler let us go
 * on. @ret is negative then if the call failed, and errno or *@err says why; or if a handler
 * raised, which PyErr_Occurred() tells.
 */
#define WAITING(ret, interrupted, call)						\
do {										\
	UNLOCKED(ret = (call));							\
} while ((interrupted) && !PyErr_CheckSignals())

/* module.c */
extern PyObject *record_too_large, *stage_replaced, *stream_aborted;
PyObject *port_error(struct port *port, int code, const char *text);
PyObject *no_pickle(PyObject *self, PyObject *unused);

/* find.c */
int find_port(const char *name, char *path, size_t size, struct faasctl_error *err);

/* port.c */
extern PyMethodDef port_methods[];
int port_begin(PyObject *module);
struct handle *handle_get(PyObject *self);
int handle_put(struct handle *handle);

/* stream.c */
extern PyMethodDef stream_methods[];
int stream_begin(PyObject *module);

/* file.c */
extern PyMethodDef file_methods[];
void file_free(struct port *port);

#endif /* FAASIN_PYTHON_CORE_H */
