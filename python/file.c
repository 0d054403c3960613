// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ports as files. What a reader asked for is collected in a buffer of the port's, so that an
 * exception in the middle (Ctrl-C) loses nothing; only lines, and peek(), read more than was
 * asked for.
 */
#include <string.h>
#include <unistd.h>

#include "private.h"

/* Read ahead for lines, and the first step of reading to the end. */
#define AHEAD	65536

/* ---------------------------------------------------------------- the reading lock */

/* In the child of a fork, who had it may not be there. */
static int lock_made(struct port *port)
{
	if (port->lock && port->lock_forks == forks)
		return 0;
	port->lock = PyThread_allocate_lock();
	if (!port->lock) {
		PyErr_NoMemory();
		return -1;
	}
	port->lock_forks = forks;
	port->reader = 0;
	return 0;
}

/*
 * Begins to read: the handle, with the lock; NULL with an exception. Waiting for the lock can
 * be interrupted.
 */
static struct handle *read_begin(PyObject *self)
{
	struct port *port = port_of(self);
	struct handle *handle = handle_get(self);
	PyLockStatus got;

	if (!handle || lock_made(port))
		goto fail;
	if (port->output) {
		port_error(port, EBADF, "this is an output: it cannot be read");
		goto fail;
	}
	if (port->reader == PyThread_get_thread_ident()) {
		PyErr_Format(PyExc_RuntimeError, "port %s: this thread is reading it already",
			     port->name);
		goto fail;
	}
	do {
		UNLOCKED(got = PyThread_acquire_lock_timed(port->lock, -1, 1));
		if (got == PY_LOCK_INTR && PyErr_CheckSignals())
			goto fail;
	} while (got != PY_LOCK_ACQUIRED);
	port->reader = PyThread_get_thread_ident();
	/* It may have been closed while that waited. */
	if (port->handle == handle)
		return handle;
	port->reader = 0;
	PyThread_release_lock(port->lock);
	PyErr_Format(PyExc_ValueError, "port %s is closed", port->name);
fail:
	if (handle)
		handle_put(handle);
	return NULL;
}

static void read_end(PyObject *self, struct handle *handle)
{
	struct port *port = port_of(self);

	port->reader = 0;
	PyThread_release_lock(port->lock);
	handle_put(handle);
}

void file_free(struct port *port)
{
	if (port->lock && port->lock_forks == forks)
		PyThread_free_lock(port->lock);
	PyMem_Free(port->buf);
}

/* -------------------------------------------------------------------------- reading */

/* What a read came to, but for a number of bytes. */
enum { END = 0, FAILED = -1, NOTHING_YET = -2 };

/* Reads once, to wherever. */
static Py_ssize_t read_once(struct port *port, struct handle *handle, char *to, size_t size)
{
	ssize_t n;

	WAITING(n, n < 0 && errno == EINTR, read(handle->fd, to, size));
	if (n >= 0)
		return n;
	if (PyErr_Occurred())
		return FAILED;
	if (errno == EAGAIN)
		return NOTHING_YET;
	port_error(port, errno, NULL);
	return FAILED;
}

/* Reads once, behind what the buffer has. */
static Py_ssize_t fill(struct port *port, struct handle *handle, size_t size)
{
	size_t have = port->end - port->start;
	Py_ssize_t n;
	char *buf;

	if (port->start && port->end + size > port->room) {
		memmove(port->buf, port->buf + port->start, have);
		port->start = 0;
		port->end = have;
	}
	if (port->end + size > port->room) {
		buf = PyMem_Realloc(port->buf, port->end + size);
		if (!buf) {
			PyErr_NoMemory();
			return FAILED;
		}
		port->buf = buf;
		port->room = port->end + size;
	}
	n = read_once(port, handle, port->buf + port->end, size);
	if (n > 0)
		port->end += n;
	return n;
}

/* What came before a failure is not lost: the next read has it. All that was ahead was taken. */
static void put_back(struct port *port, const char *from, size_t size)
{
	char *buf = port->room < size ? PyMem_Realloc(port->buf, size) : port->buf;

	/* Then only the failure is told, as if that had come first. */
	if (!buf)
		return;
	if (port->room < size)
		port->room = size;
	port->buf = buf;
	memcpy(buf, from, size);
	port->start = 0;
	port->end = size;
}

/* What is not kept for long: one large read is no reason to keep its memory. */
static void shrink(struct port *port)
{
	if (port->start < port->end)
		return;
	port->start = 0;
	port->end = 0;
	if (port->room > 4 * AHEAD) {
		PyMem_Free(port->buf);
		port->buf = NULL;
		port->room = 0;
	}
}

static PyObject *take(struct port *port, size_t size)
{
	PyObject *bytes = PyBytes_FromStringAndSize(port->buf + port->start, size);

	if (bytes) {
		port->start += size;
		shrink(port);
	}
	return bytes;
}

/* Of @size bytes, or of all if that is negative, what there is: bytes, or None. */
static PyObject *read_many(PyObject *self, Py_ssize_t size, bool once)
{
	struct handle *handle = read_begin(self);
	struct port *port = port_of(self);
	PyObject *bytes = NULL;
	size_t have, step;
	Py_ssize_t n = 1;

	if (!handle)
		return NULL;
	while ((have = port->end - port->start) < (size_t)size && n > 0) {
		if (once && have)
			break;
		/* Not as much as somebody said, but as much again as came. */
		step = have > AHEAD ? have : AHEAD;
		if (step > (size_t)size - have)
			step = (size_t)size - have;
		n = fill(port, handle, step);
	}
	if (n == NOTHING_YET && !have)
		bytes = Py_NewRef(Py_None);
	else if (n != FAILED)
		bytes = take(port, have < (size_t)size ? have : (size_t)size);
	read_end(self, handle);
	return bytes;
}

/* The argument of reads: how much, None and what is negative are everything. */
static int get_size(PyObject *args, Py_ssize_t *size)
{
	PyObject *object = Py_None;

	*size = -1;
	if (!PyArg_ParseTuple(args, "|O", &object))
		return -1;
	if (object == Py_None)
		return 0;
	*size = PyNumber_AsSsize_t(object, PyExc_OverflowError);
	return *size == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *file_read(PyObject *self, PyObject *args)
{
	Py_ssize_t size;

	return get_size(args, &size) ? NULL : read_many(self, size, false);
}

static PyObject *file_read1(PyObject *self, PyObject *args)
{
	Py_ssize_t size;

	if (get_size(args, &size))
		return NULL;
	return read_many(self, size < 0 ? AHEAD : size, true);
}

static PyObject *file_readall(PyObject *self, PyObject *unused)
{
	return read_many(self, -1, false);
}

static bool is_private(PyObject *owner)
{
	if (PyMemoryView_Check(owner))
		owner = PyMemoryView_GET_BUFFER(owner)->obj;
	return private_behind(owner);
}

/* Into @to: what was read ahead comes first. */
static PyObject *read_into(PyObject *self, PyObject *to, bool once)
{
	struct port *port = port_of(self);
	struct handle *handle;
	size_t done = 0, have;
	Py_ssize_t n = 1;
	Py_buffer data;

	if (!PyArg_Parse(to, "w*", &data))
		return NULL;
	handle = read_begin(self);
	if (!handle) {
		PyBuffer_Release(&data);
		return NULL;
	}
	have = port->end - port->start;
	if (have) {
		done = have < (size_t)data.len ? have : (size_t)data.len;
		memcpy(data.buf, port->buf + port->start, done);
		port->start += done;
		shrink(port);
	}
	while (done < (size_t)data.len && n > 0 && !(once && done)) {
		n = read_once(port, handle, (char *)data.buf + done, data.len - done);
		if (n > 0)
			done += n;
	}
	/* What is private stays where it is: the port's buffer is everybody's. */
	if (n == FAILED && done && !is_private(data.obj))
		put_back(port, data.buf, done);
	read_end(self, handle);
	PyBuffer_Release(&data);
	if (n == FAILED)
		return NULL;
	if (n == NOTHING_YET && !done)
		Py_RETURN_NONE;
	return PyLong_FromSize_t(done);
}

static PyObject *file_readinto(PyObject *self, PyObject *to)
{
	return read_into(self, to, false);
}

static PyObject *file_readinto1(PyObject *self, PyObject *to)
{
	return read_into(self, to, true);
}

static PyObject *file_readline(PyObject *self, PyObject *args)
{
	struct port *port = port_of(self);
	size_t looked = 0, have, limit;
	struct handle *handle;
	Py_ssize_t size, n = 1;
	PyObject *line = NULL;
	char *end = NULL;

	if (get_size(args, &size))
		return NULL;
	limit = (size_t)size;
	handle = read_begin(self);
	if (!handle)
		return NULL;
	for (;;) {
		have = port->end - port->start;
		if (have > looked)
			end = memchr(port->buf + port->start + looked, '\n', have - looked);
		if (end || have >= limit || n <= 0)
			break;
		looked = have;
		n = fill(port, handle, AHEAD);
	}
	if (end)
		have = end + 1 - (port->buf + port->start);
	if (have > limit)
		have = limit;
	/* What there is of a line stays until it is whole. */
	if (n == NOTHING_YET && !end && have < limit)
		port_error(port, EAGAIN, "no whole line is there yet");
	else if (n != FAILED)
		line = take(port, have);
	read_end(self, handle);
	return line;
}

static PyObject *file_peek(PyObject *self, PyObject *args)
{
	struct handle *handle = read_begin(self);
	struct port *port = port_of(self);
	PyObject *bytes = NULL;
	Py_ssize_t n = 1;

	if (!handle)
		return NULL;
	if (port->start == port->end)
		n = fill(port, handle, AHEAD);
	if (n != FAILED)
		bytes = PyBytes_FromStringAndSize(port->buf + port->start, port->end - port->start);
	read_end(self, handle);
	return bytes;
}

/* -------------------------------------------------------------------------- writing */

static PyObject *file_write(PyObject *self, PyObject *from)
{
	struct port *port = port_of(self);
	struct handle *handle;
	Py_ssize_t done = 0;
	int code = 0;
	Py_buffer data;
	ssize_t n;

	if (PyObject_GetBuffer(from, &data, PyBUF_CONTIG_RO))
		return NULL;
	handle = handle_get(self);
	if (!handle) {
		PyBuffer_Release(&data);
		return NULL;
	}
	do {
		WAITING(n, n < 0 && errno == EINTR,
			write(handle->fd, (char *)data.buf + done, data.len - done));
		code = n < 0 ? errno : 0;
		if (n > 0)
			done += n;
	} while (n > 0 && done < data.len && !PyErr_CheckSignals());
	PyBuffer_Release(&data);
	handle_put(handle);
	if (PyErr_Occurred())
		return NULL;
	if (code == EAGAIN && !done)
		Py_RETURN_NONE;
	if (code && code != EAGAIN)
		return port_error(port, code, NULL);
	return PyLong_FromSsize_t(done);
}

PyMethodDef file_methods[] = {
	{ "read", file_read, METH_VARARGS,
	  "read($self, size=-1, /)\n--\n\n"
	  "Read size bytes, fewer at the end of the stream; all to its end by default.\n"
	  "Without blocking: what there is, or None. ConnectionAbortedError: the stream was\n"
	  "aborted." },
	{ "read1", file_read1, METH_VARARGS,
	  "read1($self, size=-1, /)\n--\n\n"
	  "Read up to size bytes by at most one call to the kernel." },
	{ "readall", file_readall, METH_NOARGS,
	  "readall($self, /)\n--\n\nRead to the end of the stream." },
	{ "readinto", file_readinto, METH_O,
	  "readinto($self, buffer, /)\n--\n\n"
	  "Fill a buffer. The number of bytes; fewer at the end of the stream." },
	{ "readinto1", file_readinto1, METH_O,
	  "readinto1($self, buffer, /)\n--\n\n"
	  "The same by at most one call to the kernel." },
	{ "readline", file_readline, METH_VARARGS,
	  "readline($self, size=-1, /)\n--\n\n"
	  "Read a line. What follows is read ahead, up to 64 KiB; records cannot be received\n"
	  "until that was read. Without blocking: BlockingIOError if no whole line is there." },
	{ "peek", file_peek, METH_VARARGS,
	  "peek($self, size=0, /)\n--\n\n"
	  "What was read ahead; if there is nothing, by one call to the kernel." },
	{ "write", file_write, METH_O,
	  "write($self, data, /)\n--\n\n"
	  "Write all of data. Up to 4096 bytes never mix with what others write. Without\n"
	  "blocking: how much there was room for, or None. BrokenPipeError: the stream is\n"
	  "over." },
	{ NULL, NULL, 0, NULL },
};
