/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private memory of stages, and secrets, which are pieces of it. Objects are everybody's: any
 * thread's collector looks at them, and any thread can let go of the last reference. So whatever
 * an object needs for that is in the object, and only content is in private memory.
 */
#ifndef FAASIN_PYTHON_PRIVATE_H
#define FAASIN_PYTHON_PRIVATE_H

#include "core.h"

struct secret;

/**
 * struct private - pages of a stage
 * @arena: whose they are; NULL: of the process
 * @at: the pages, or NULL: released
 * @size: how much was asked for
 * @mapped: whole pages
 * @exports: buffers in use, of its secrets, too
 * @forks: the value of forks when it was made: a child has zeroes there
 * @ended: its stage is over
 * @secrets: what is in there that has an object of its own
 */
struct private {
	PyObject_HEAD
	PyObject *arena;
	char *at;
	size_t size;
	size_t mapped;
	Py_ssize_t exports;
	unsigned int forks;
	bool ended;
	struct secret *secrets;
};

/**
 * struct secret - a piece of private memory with an object of its own
 * @memory: the Private that it is in; NULL: it was released
 * @next: the next secret in there
 * @prev: where that is pointed to from
 * @pool: what secrets made of it have their room from
 * @freed: the list where the pool looks for what is not needed any more
 * @piece: what is put there for it
 * @start: where it is in @memory
 * @size: how many bytes it has
 * @length: how many characters, if it is text, else bytes
 * @exports: buffers in use
 * @revealing: it is reveal() that asks for a buffer: nobody else is given one
 */
struct secret {
	PyObject_HEAD
	PyObject *memory;
	struct secret *next, **prev;
	PyObject *pool, *freed, *piece;
	size_t start, size, length;
	Py_ssize_t exports;
	bool revealing;
};

/* private.c */
int private_begin(PyObject *module);
bool private_is(PyObject *self);
bool private_stale(struct private *private);
char *private_open(struct private *private);
void private_wipe(struct private *private, size_t start, size_t size);
void private_hold(struct private *private);
void private_let_go(struct private *private);
PyObject *private_protection(struct private *private);
struct private *private_behind(PyObject *owner);

/* secret.c */
int secret_begin(PyObject *module);
struct private *secret_memory(PyObject *self);
void secrets_wipe(struct private *private);

/* text.c */
Py_ssize_t text_size(PyObject *text);
void text_write(PyObject *text, unsigned char *to);
Py_ssize_t text_length(const unsigned char *at, size_t size);
size_t text_skip(const unsigned char *at, size_t size, size_t n);

#endif /* FAASIN_PYTHON_PRIVATE_H */
