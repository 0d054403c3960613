// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ports as what records go through: allocating, sending, receiving. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
	/* Of an input with several links, this waits for a stream: each has a window of its own. */
	WAITING(ret, ret == -EINTR, faasctl_window_open(&win, handle->fd, &err));
	if (PyErr_Occurred())
		return NULL;
	if (ret) {
		port_error(port, -ret, err.message);
		return NULL;
	}
	/* Another thread may have been quicker; extents are at its addresses then. */
	if (handle->win && handle->forks == forks) {
		UNLOCKED(faasctl_window_close(win));
		return handle->win;
	}
	handle->win = win;
	handle->forks = forks;
	return win;
}

/* Gives back what became no object, or was not sent: a call may stand still in its way. */
static void give_back(struct handle *handle, const struct iovec *parts, size_t n)
{
	UNLOCKED(faasctl_window_release(handle->win, parts, n, NULL));
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
			if (extent)
				extent_gone(extent);
			give_back(handle, &part, 1);
			if (extent) {
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
 * @n: how many parts it has
 * @parts: where they are; of those that are to be copied, how long until then
 * @extents: of a part that is an Extent, that; NULL: it is copied
 * @had: it is moving, or was allocated
 */
struct sending {
	size_t n;
	struct iovec parts[FAASIN_RANGES_MAX];
	struct extent *extents[FAASIN_RANGES_MAX];
	bool had[FAASIN_RANGES_MAX];
};

/* A part that has to be copied. */
static int add_copy(struct sending *s, size_t i, struct port *port, struct handle *handle,
		    PyObject *from)
{
	struct iovec *part = &s->parts[i];
	int ret = -1;
	Py_buffer data;

	if (PyObject_GetBuffer(from, &data, PyBUF_CONTIG_RO))
		return -1;
	if ((size_t)data.len != part->iov_len) {
		PyErr_SetString(PyExc_BufferError,
				"a part of the record changed its size meanwhile");
	} else if (!alloc(port, handle, data.len, part)) {
		s->had[i] = true;
		UNLOCKED(memcpy(part->iov_base, data.buf, data.len));
		ret = 0;
	}
	PyBuffer_Release(&data);
	return ret;
}

/* A part that was allocated: from here on it is moving. */
static int add_extent(struct sending *s, size_t i, PyObject *self, struct extent *extent)
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
	s->parts[i] = extent->part;
	s->extents[i] = extent;
	s->had[i] = true;
	return 0;
}

/* It was sent, or what was not goes back to where it was. */
static void settle(struct sending *s, struct port *port, struct handle *handle, bool sent)
{
	struct extent *extent;
	size_t i;

	for (i = 0; i < s->n; i++) {
		extent = s->extents[i];
		if (!s->had[i])
			continue;
		if (extent && !sent && port->handle == handle)
			extent->state = EXTENT_HELD;
		else if (extent)
			extent_gone(extent);
		/* Copies, and what the port's close could not give back. */
		if (!sent && (!extent || extent->state == EXTENT_GONE))
			give_back(handle, &s->parts[i], 1);
	}
}

/* What the parts are: Extents are moving from here on, of the others the length is known. */
static int look_at(struct sending *s, PyObject *self, PyObject *const *args)
{
	Py_buffer data;
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (Py_TYPE(args[i]) == extent_type) {
			if (add_extent(s, i, self, (struct extent *)args[i]))
				return -1;
			continue;
		}
		if (PyObject_GetBuffer(args[i], &data, PyBUF_CONTIG_RO))
			return -1;
		s->parts[i].iov_len = data.len;
		PyBuffer_Release(&data);
		if (!s->parts[i].iov_len) {
			PyErr_SetString(PyExc_ValueError, "a part of a record cannot be empty");
			return -1;
		}
	}
	return 0;
}

/* The longest of the parts that are still to be copied, or -1. */
static int longest(const struct sending *s, const bool *done)
{
	int found = -1;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (!done[i] && (found < 0 || s->parts[i].iov_len > s->parts[found].iov_len))
			found = i;
	return found;
}

static size_t pages(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page;
}

/*
 * Whether all parts find room at once, wherever the first ones come to lie: else the last
 * would wait for ever for room between them, which no receiver gives back. Parts take whole
 * pages, in one piece; large ones begin at a multiple of the granule. What is had already cuts
 * the window into so many pieces, of which the largest is at least the average.
 */
static bool fits(const struct sending *s, struct handle *handle)
{
	size_t room = pages(faasctl_window_size(handle->win)), pieces = 1, need, i;
	struct faasin_window_info info;
	bool done[FAASIN_RANGES_MAX];
	int next;

	if (ioctl(handle->fd, FAASIN_IOC_WINDOW, &info))
		info.granule = 0;
	for (i = 0; i < s->n; i++) {
		done[i] = s->had[i];
		if (!done[i])
			continue;
		need = pages(s->extents[i]->size);
		room = room > need ? room - need : 0;
		pieces++;
	}
	while ((next = longest(s, done)) >= 0) {
		done[next] = true;
		need = pages(s->parts[next].iov_len);
		if (need > room)
			return false;
		room -= need;
		if (pieces > 1 && s->parts[next].iov_len >= info.granule / 2)
			need += pages(info.granule);
		if (pieces > 1 && need > (room + pages(s->parts[next].iov_len)) / pieces)
			return false;
		pieces++;
	}
	return true;
}

static PyObject *port_send(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	struct port *port = port_of(self);
	struct faasctl_error err = { 0 };
	struct sending s = { .n = n };
	bool done[FAASIN_RANGES_MAX];
	struct handle *handle;
	int ret = -1, next;

	if (n < 1 || n > FAASIN_RANGES_MAX) {
		PyErr_Format(PyExc_ValueError, "a record has 1 to %d parts, not %zd",
			     FAASIN_RANGES_MAX, n);
		return NULL;
	}
	handle = begin(self, true);
	if (!handle)
		return NULL;
	if (look_at(&s, self, args))
		goto settle;
	if (!fits(&s, handle)) {
		port_error(port, EMSGSIZE, n == 1 ? "the record is larger than the link's window" :
			   "the record is too large for the link's window, in so many parts");
		goto settle;
	}
	memcpy(done, s.had, sizeof(done));
	while ((next = longest(&s, done)) >= 0) {
		done[next] = true;
		if (add_copy(&s, next, port, handle, args[next]))
			goto settle;
	}
	WAITING(ret, ret == -EINTR, faasctl_window_send(handle->win, s.parts, s.n, &err));
	if (ret && !PyErr_Occurred())
		port_error(port, -ret, err.message);
settle:
	settle(&s, port, handle, !ret);
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
		give_back(handle, &parts[i], n - i);
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
	  "is bytes-like is copied. RecordTooLarge: more than window_size(), or in parts that\n"
	  "might never find room at once." },
	{ "receive", port_receive, METH_NOARGS,
	  "receive($self, /)\n--\n\n"
	  "The next Record; None at the end of the stream. What was written, not sent, comes\n"
	  "as records of up to 64 KiB, of which one can be had at a time: release it first." },
	{ "window_size", port_window_size, METH_NOARGS,
	  "window_size($self, /)\n--\n\n"
	  "The most bytes that can be allocated, and sent as one record." },
	{ NULL, NULL, 0, NULL },
};
