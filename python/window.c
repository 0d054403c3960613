// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ports as what records go through: allocating, sending, receiving. */
#include <string.h>

#include <linux/faasin.h>

#include "window.h"

/*
 * The port's window, mapped if it was not: a child maps it anew, what its parent had is not
 * there. NULL with an exception.
 */
struct faasctl_window *window_get(struct port *port, struct handle *handle)
{
	struct faasctl_error err = { 0 };
	struct faasctl_window *win;
	int ret;

	if (handle->win && handle->forks == forks)
		return handle->win;
	UNLOCKED(ret = faasctl_window_open(&win, handle->fd, &err));
	if (ret) {
		port_error(port, -ret, err.message);
		return NULL;
	}
	/* Another thread may have been quicker; extents are at its addresses then. */
	if (handle->win && handle->forks == forks) {
		faasctl_window_close(win);
		return handle->win;
	}
	handle->win = win;
	handle->forks = forks;
	return win;
}

/* Begins a call: the handle, with a window; NULL with an exception. */
static struct handle *begin(PyObject *self, bool output)
{
	struct port *port = port_of(self);
	struct handle *handle = handle_get(self);

	if (!handle)
		return NULL;
	if (port->output != output)
		port_error(port, EBADF, output ? "this is an input: it cannot be sent to" :
			   "this is an output: it cannot be received from");
	else if (window_get(port, handle))
		return handle;
	handle_put(handle);
	return NULL;
}

static int alloc(struct port *port, struct handle *handle, size_t size, struct iovec *part)
{
	struct faasctl_error err = { 0 };
	int ret;

	part->iov_len = size;
	WAITING(ret, ret == -EINTR,
		faasctl_window_alloc(handle->win, size, &part->iov_base, &err));
	if (PyErr_Occurred())
		return -1;
	if (ret)
		port_error(port, -ret, err.message);
	return ret ? -1 : 0;
}

static PyObject *port_alloc(PyObject *self, PyObject *arg)
{
	Py_ssize_t size = PyNumber_AsSsize_t(arg, PyExc_OverflowError);
	struct port *port = port_of(self);
	struct extent *extent = NULL;
	struct handle *handle;
	struct iovec part;

	if (size == -1 && PyErr_Occurred())
		return NULL;
	if (size < 1) {
		PyErr_Format(PyExc_ValueError, "%zd bytes cannot be allocated: it takes 1", size);
		return NULL;
	}
	handle = begin(self, true);
	if (!handle)
		return NULL;
	if (!alloc(port, handle, size, &part)) {
		extent = extent_new(self, &part, true);
		/* It may have been closed while that waited. */
		if (!extent || port->handle != handle) {
			faasctl_window_release(handle->win, &part, 1, NULL);
			if (extent) {
				extent_gone(extent);
				Py_CLEAR(extent);
				PyErr_Format(PyExc_ValueError, "port %s is closed", port->name);
			}
		}
	}
	handle_put(handle);
	return (PyObject *)extent;
}

/**
 * struct sending - a record that is being sent
 * @parts: where its parts are
 * @extents: of a part that is an Extent, that; NULL: it was copied
 * @n: how many there are so far
 */
struct sending {
	struct iovec parts[FAASIN_RANGES_MAX];
	struct extent *extents[FAASIN_RANGES_MAX];
	size_t n;
};

/* A part that has to be copied. */
static int add_copy(struct sending *s, struct port *port, struct handle *handle, PyObject *from)
{
	struct iovec *part = &s->parts[s->n];
	Py_buffer data;

	if (PyObject_GetBuffer(from, &data, PyBUF_CONTIG_RO))
		return -1;
	if (!data.len) {
		PyErr_SetString(PyExc_ValueError, "a part of a record cannot be empty");
		goto fail;
	}
	if (alloc(port, handle, data.len, part))
		goto fail;
	UNLOCKED(memcpy(part->iov_base, data.buf, data.len));
	PyBuffer_Release(&data);
	s->extents[s->n++] = NULL;
	return 0;
fail:
	PyBuffer_Release(&data);
	return -1;
}

/* A part that was allocated: from here on it is moving. */
static int add_extent(struct sending *s, PyObject *self, struct extent *extent)
{
	if (extent->port != self || !extent->writable) {
		PyErr_SetString(PyExc_ValueError, extent->writable ?
				"this memory is of another port" :
				"what was received cannot be sent: release it, and send a copy");
		return -1;
	}
	if (extent_check_free(extent))
		return -1;
	extent->state = EXTENT_MOVING;
	s->parts[s->n] = extent->part;
	s->extents[s->n++] = extent;
	return 0;
}

/* It was sent, or what was not goes back to where it was. */
static void settle(struct sending *s, struct port *port, struct handle *handle, bool sent)
{
	struct extent *extent;
	size_t i;

	for (i = 0; i < s->n; i++) {
		extent = s->extents[i];
		if (extent && sent)
			extent_gone(extent);
		else if (extent && port->handle == handle)
			extent->state = EXTENT_HELD;
		else if (extent)
			extent_gone(extent);
		/* Copies, and what the port's close could not give back. */
		if (!sent && (!extent || extent->state == EXTENT_GONE))
			faasctl_window_release(handle->win, &s->parts[i], 1, NULL);
	}
}

static size_t size_of(PyObject *const *args, Py_ssize_t n)
{
	Py_buffer data;
	size_t size = 0;
	Py_ssize_t i;

	/* What is no buffer fails when it is to be copied. */
	for (i = 0; i < n; i++) {
		if (PyObject_GetBuffer(args[i], &data, PyBUF_CONTIG_RO)) {
			PyErr_Clear();
			continue;
		}
		size += data.len;
		PyBuffer_Release(&data);
	}
	return size;
}

static PyObject *port_send(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	struct port *port = port_of(self);
	struct faasctl_error err = { 0 };
	struct sending s = { .n = 0 };
	struct handle *handle;
	size_t window;
	Py_ssize_t i;
	int ret = -1;

	if (n < 1 || n > FAASIN_RANGES_MAX) {
		PyErr_Format(PyExc_ValueError, "a record has 1 to %d parts, not %zd",
			     FAASIN_RANGES_MAX, n);
		return NULL;
	}
	handle = begin(self, true);
	if (!handle)
		return NULL;
	window = faasctl_window_size(handle->win);
	/* Else its first parts would wait for room that they take themselves. */
	if (size_of(args, n) > window) {
		port_error(port, EMSGSIZE, "the record is larger than the link's window");
		goto out;
	}
	for (i = 0; i < n; i++) {
		if (Py_TYPE(args[i]) == extent_type)
			ret = add_extent(&s, self, (struct extent *)args[i]);
		else
			ret = add_copy(&s, port, handle, args[i]);
		if (ret)
			goto settle;
	}
	WAITING(ret, ret == -EINTR, faasctl_window_send(handle->win, s.parts, s.n, &err));
	if (ret && !PyErr_Occurred())
		port_error(port, -ret, err.message);
settle:
	settle(&s, port, handle, !ret);
out:
	handle_put(handle);
	if (ret)
		return NULL;
	Py_RETURN_NONE;
}

/* Makes objects of what was received. What of it becomes none is given back. */
static PyObject *make_record(PyObject *self, struct handle *handle, const struct iovec *parts,
			     int n)
{
	struct port *port = port_of(self);
	PyObject *all = PyTuple_New(n), *record = NULL;
	struct extent *extent;
	int i;

	for (i = 0; all && i < n; i++) {
		extent = port->handle == handle ? extent_new(self, &parts[i], false) : NULL;
		if (!extent)
			break;
		PyTuple_SET_ITEM(all, i, (PyObject *)extent);
	}
	if (all && i == n)
		record = record_new(all);
	if (!record && i < n)
		faasctl_window_release(handle->win, &parts[i], n - i, NULL);
	Py_XDECREF(all);
	if (!record && !PyErr_Occurred())
		PyErr_Format(PyExc_ValueError, "port %s is closed", port->name);
	return record;
}

static PyObject *port_receive(PyObject *self, PyObject *unused)
{
	struct iovec parts[FAASIN_RANGES_MAX];
	struct port *port = port_of(self);
	struct faasctl_error err = { 0 };
	PyObject *record = NULL;
	struct handle *handle;
	int ret;

	handle = begin(self, false);
	if (!handle)
		return NULL;
	if (port->end > port->start) {
		PyErr_Format(PyExc_ValueError,
			     "port %s: %zu bytes were read ahead: read them first", port->name,
			     port->end - port->start);
		goto out;
	}
	WAITING(ret, ret == -EINTR,
		faasctl_window_receive(handle->win, parts, FAASIN_RANGES_MAX, &err));
	if (ret > 0)
		record = make_record(self, handle, parts, ret);
	else if (PyErr_Occurred())
		goto out;
	else if (ret < 0)
		port_error(port, -ret, err.message);
	else
		record = Py_NewRef(Py_None);
out:
	handle_put(handle);
	return record;
}

static PyObject *port_window_size(PyObject *self, PyObject *unused)
{
	struct handle *handle = handle_get(self);
	PyObject *size = NULL;

	if (!handle)
		return NULL;
	if (window_get(port_of(self), handle))
		size = PyLong_FromSize_t(faasctl_window_size(handle->win));
	handle_put(handle);
	return size;
}

PyMethodDef window_methods[] = {
	{ "alloc", port_alloc, METH_O,
	  "alloc($self, size, /)\n--\n\n"
	  "Allocate memory of the link, to be filled and sent: an Extent. Waits for room.\n"
	  "RecordTooLarge: more than window_size()." },
	{ "send", (PyCFunction)(void (*)(void))port_send, METH_FASTCALL,
	  "send($self, /, *parts)\n--\n\n"
	  "Send a record of 1 to 64 parts, all or nothing. An Extent is handed off without\n"
	  "copying, and is released then; BufferError if memoryviews of it are in use. What\n"
	  "is bytes-like is copied. RecordTooLarge: more than window_size()." },
	{ "receive", port_receive, METH_NOARGS,
	  "receive($self, /)\n--\n\n"
	  "The next Record; None at the end of the stream. What was written, not sent, comes\n"
	  "as records of up to 64 KiB, of which one can be had at a time: release it first." },
	{ "window_size", port_window_size, METH_NOARGS,
	  "window_size($self, /)\n--\n\n"
	  "The most bytes that can be allocated, and sent as one record." },
	{ NULL, NULL, 0, NULL },
};
