// SPDX-License-Identifier: LGPL-2.1-or-later
/* Extents: memory of windows as objects, and what becomes of them in the child of a fork. */
#include <string.h>

#include <linux/faasin.h>

#include "private.h"
#include "window.h"

PyTypeObject *extent_type;

/* Buffers of all extents, and of private memory, of this process that are in use. */
Py_ssize_t all_exports;

static void unlist(struct extent *extent)
{
	if (!extent->prev)
		return;
	*extent->prev = extent->next;
	if (extent->next)
		extent->next->prev = extent->prev;
	extent->prev = NULL;
}

/* It is nobody's any more as far as this object is concerned. */
void extent_gone(struct extent *extent)
{
	extent->state = EXTENT_GONE;
	unlist(extent);
}

struct extent *extent_new(PyObject *self, const struct iovec *part, bool writable)
{
	struct extent *extent = PyObject_GC_New(struct extent, extent_type);
	struct port *port = port_of(self);

	if (!extent)
		return NULL;
	extent->port = Py_NewRef(self);
	extent->part = *part;
	extent->size = part->iov_len;
	extent->exports = 0;
	extent->forks = forks;
	extent->writable = writable;
	extent->state = EXTENT_HELD;
	extent->next = port->extents;
	extent->prev = &port->extents;
	if (extent->next)
		extent->next->prev = &extent->next;
	port->extents = extent;
	PyObject_GC_Track(extent);
	return extent;
}

/* Whether it can be used: 0, or -1 with an exception. */
int extent_check(struct extent *extent)
{
	const char *why = NULL;

	if (extent->state == EXTENT_GONE)
		why = "was sent, released, or its port closed";
	else if (extent->state == EXTENT_MOVING)
		why = "is being sent or released by another thread";
	else if (extent->forks != forks)
		why = "belongs to the process that this one was forked from";
	if (why)
		PyErr_Format(PyExc_ValueError, "this memory of a port %s", why);
	return why ? -1 : 0;
}

/* The same of what is to be given away: no buffer of it may be in use. */
int extent_check_free(struct extent *extent)
{
	if (extent_check(extent))
		return -1;
	if (extent->exports) {
		PyErr_Format(PyExc_BufferError,
			     "%zd buffers of this memory are in use: release them first",
			     extent->exports);
		return -1;
	}
	return 0;
}

/*
 * Gives @extents, at most FAASIN_RANGES_MAX of one port, back to the kernel. They are gone
 * whatever comes of it: their pages are returned with the last close at the latest. Returns 0,
 * or -1 with an exception.
 */
int extents_give_back(struct port *port, struct handle *handle, struct extent **extents, size_t n)
{
	struct iovec parts[FAASIN_RANGES_MAX];
	struct faasctl_error err = { 0 };
	size_t i;
	int ret;

	for (i = 0; i < n; i++) {
		parts[i] = extents[i]->part;
		extent_gone(extents[i]);
	}
	handle->refs++;
	UNLOCKED(ret = faasctl_window_release(handle->win, parts, n, &err));
	handle_put(handle);
	if (ret)
		port_error(port, -ret, err.message);
	return ret ? -1 : 0;
}

/*
 * Of a port that is being closed: nobody can use them any more, and others have its open file. All
 * are gone before the GIL is let go of, so that no other thread finds one that is still held.
 */
void extents_drop(struct port *port, struct handle *handle)
{
	struct extent *extent, *held = NULL;
	bool is_held;

	while ((extent = port->extents)) {
		if (extent->state == EXTENT_MOVING) {
			unlist(extent);
			continue;
		}
		is_held = extent->forks == forks && handle && !port->kept;
		extent_gone(extent);
		if (is_held) {
			Py_INCREF(extent);
			extent->next = held;
			held = extent;
		}
	}
	while ((extent = held)) {
		held = extent->next;
		if (extents_give_back(port, handle, &extent, 1))
			PyErr_Clear();
		Py_DECREF(extent);
	}
}

/* Gives it back if it is still had. */
static int release(struct extent *extent)
{
	struct port *port;

	if (extent->state == EXTENT_GONE)
		return 0;
	if (extent->forks != forks) {
		extent_gone(extent);
		return 0;
	}
	port = port_of(extent->port);
	if (!port->handle) {
		extent_gone(extent);
		return 0;
	}
	return extents_give_back(port, port->handle, &extent, 1);
}

/* ------------------------------------------------------------------------- as a type */

static int extent_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
	struct extent *extent = (struct extent *)self;

	view->obj = NULL;
	if (extent_check(extent) ||
	    PyBuffer_FillInfo(view, self, extent->part.iov_base, extent->part.iov_len,
			      !extent->writable, flags))
		return -1;
	extent->exports++;
	port_of(extent->port)->exports++;
	all_exports++;
	return 0;
}

static void extent_releasebuffer(PyObject *self, Py_buffer *view)
{
	struct extent *extent = (struct extent *)self;

	extent->exports--;
	port_of(extent->port)->exports--;
	all_exports--;
}

static PyObject *extent_release(PyObject *self, PyObject *unused)
{
	struct extent *extent = (struct extent *)self;

	if (extent->state == EXTENT_GONE)
		Py_RETURN_NONE;
	if (extent->forks == forks && extent_check_free(extent))
		return NULL;
	if (release(extent))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *extent_exit(PyObject *self, PyObject *args)
{
	struct extent *extent = (struct extent *)self;

	/* The frames of an exception may have buffers of it still; it is not to be hidden. */
	if (extent->state == EXTENT_MOVING ||
	    (extent->exports && PyTuple_GET_SIZE(args) && PyTuple_GET_ITEM(args, 0) != Py_None))
		Py_RETURN_NONE;
	return extent_release(self, NULL);
}

static PyObject *extent_enter(PyObject *self, PyObject *unused)
{
	return extent_check((struct extent *)self) ? NULL : Py_NewRef(self);
}

static PyObject *extent_trim(PyObject *self, PyObject *arg)
{
	struct extent *extent = (struct extent *)self;
	Py_ssize_t size = PyNumber_AsSsize_t(arg, PyExc_OverflowError);

	if ((size == -1 && PyErr_Occurred()) || extent_check_free(extent))
		return NULL;
	if (!extent->writable || size < 1 || (size_t)size > extent->size) {
		PyErr_Format(PyExc_ValueError, extent->writable ?
			     "%zd is not 1 to %zu, which is what was allocated" :
			     "what was received cannot be trimmed", size, extent->size);
		return NULL;
	}
	extent->part.iov_len = size;
	Py_RETURN_NONE;
}

static PyObject *extent_write(PyObject *self, PyObject *args)
{
	struct extent *extent = (struct extent *)self;
	Py_ssize_t offset = 0;
	Py_buffer data;

	if (!PyArg_ParseTuple(args, "y*|n:write", &data, &offset))
		return NULL;
	if (extent_check(extent))
		goto fail;
	if (!extent->writable) {
		PyErr_SetString(PyExc_TypeError, "what was received cannot be changed");
		goto fail;
	}
	if (offset < 0 || (size_t)offset > extent->part.iov_len ||
	    (size_t)data.len > extent->part.iov_len - offset) {
		PyErr_Format(PyExc_ValueError, "%zd bytes at %zd do not fit into %zu", data.len,
			     offset, extent->part.iov_len);
		goto fail;
	}
	memmove((char *)extent->part.iov_base + offset, data.buf, data.len);
	offset = data.len;
	PyBuffer_Release(&data);
	return PyLong_FromSsize_t(offset);
fail:
	PyBuffer_Release(&data);
	return NULL;
}

static Py_ssize_t extent_length(PyObject *self)
{
	return ((struct extent *)self)->part.iov_len;
}

static PyObject *get_nbytes(PyObject *self, void *unused)
{
	return PyLong_FromSsize_t(extent_length(self));
}

static PyObject *get_readonly(PyObject *self, void *unused)
{
	return PyBool_FromLong(!((struct extent *)self)->writable);
}

static PyObject *get_released(PyObject *self, void *unused)
{
	struct extent *extent = (struct extent *)self;

	return PyBool_FromLong(extent->state == EXTENT_GONE || extent->forks != forks);
}

static PyObject *extent_repr(PyObject *self)
{
	struct extent *extent = (struct extent *)self;
	bool here = extent->state != EXTENT_GONE && extent->forks == forks;

	return PyUnicode_FromFormat("<faasin.Extent of %zu bytes%s%s>", extent->part.iov_len,
				    extent->writable ? "" : ", read-only",
				    here ? "" : ", released");
}

static int extent_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct extent *)self)->port);
	return 0;
}

/*
 * The port stays until the end: what has buffers of this in use counts there. A cycle always
 * goes through a port's dictionary, or a frame, which let go.
 */
static int extent_clear(PyObject *self)
{
	struct extent *extent = (struct extent *)self;

	if (extent->exports)
		return 0;
	if (extent->port && release(extent))
		PyErr_Clear();
	Py_CLEAR(extent->port);
	return 0;
}

static void extent_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	PyObject *kind, *value, *traceback;

	PyObject_GC_UnTrack(self);
	PyErr_Fetch(&kind, &value, &traceback);
	extent_clear(self);
	PyErr_Restore(kind, value, traceback);
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

static PyMethodDef extent_methods[] = {
	{ "release", extent_release, METH_NOARGS,
	  "release($self, /)\n--\n\n"
	  "Give the memory back. BufferError if buffers of it (memoryviews) are in use; it\n"
	  "can be called again." },
	{ "trim", extent_trim, METH_O,
	  "trim($self, size, /)\n--\n\n"
	  "Of what was allocated, only so many bytes are to be sent." },
	{ "write", extent_write, METH_VARARGS,
	  "write($self, data, offset=0, /)\n--\n\n"
	  "Copy data into the memory. Returns how many bytes." },
	{ "__enter__", extent_enter, METH_NOARGS, NULL },
	{ "__exit__", extent_exit, METH_VARARGS, "Releases the memory, if it was not sent." },
	{ "__reduce__", no_pickle, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef extent_getset[] = {
	{ "nbytes", get_nbytes, NULL, "how many bytes it has", NULL },
	{ "readonly", get_readonly, NULL, "whether it was received, not allocated", NULL },
	{ "released", get_released, NULL,
	  "whether it was sent or released, or belongs to the parent", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(extent_doc,
"Memory of a port that needs no copying: Port.alloc() makes it, to be filled and sent, or it\n"
"came as a part of a Record. memoryview(extent) gives access. Once it was sent or released,\n"
"using it is ValueError; while a memoryview of it is in use, that is BufferError.");

/* ----------------------------------------------------------------- what is not there */

/* Whether what a buffer was had of is not there any more. */
static bool is_stale(PyObject *owner)
{
	struct private *private = private_behind(owner);

	if (owner && Py_TYPE(owner) == extent_type)
		return ((struct extent *)owner)->forks != forks;
	return private && private_stale(private);
}

/*
 * A child does not inherit windows. A memoryview in the child points to where one was: its
 * managed buffer is released, so that using it is a ValueError, as of any memoryview that was.
 * So it is with private memory, and when its stage is over.
 */
static void revoke_buffer(PyObject *object)
{
	_PyManagedBufferObject *buffer = (_PyManagedBufferObject *)object;

	if (buffer->flags & _Py_MANAGED_BUFFER_RELEASED || !is_stale(buffer->master.obj))
		return;
	buffer->flags |= _Py_MANAGED_BUFFER_RELEASED;
	PyObject_GC_UnTrack(object);
	PyBuffer_Release(&buffer->master);
}

/* Calls a function of gc's; what was frozen is not among its objects. */
static PyObject *collector(const char *name)
{
	PyObject *gc = PyImport_ImportModule("gc"), *ret;

	ret = gc ? PyObject_CallMethod(gc, name, NULL) : NULL;
	Py_XDECREF(gc);
	return ret;
}

static bool has(PyObject *list, PyObject *object)
{
	Py_ssize_t i;

	for (i = 0; i < PyList_GET_SIZE(list); i++)
		if (PyList_GET_ITEM(list, i) == object)
			return true;
	return false;
}

/*
 * Of private memory whose stage is over, the managed buffers that a call has in use at this
 * moment, in a thread that the stage left behind: to take them away would crash that.
 */
static PyObject *busy_buffers(PyObject *objects)
{
	PyObject *busy = PyList_New(0), *object;
	PyMemoryViewObject *view;
	struct private *private;
	Py_ssize_t i;

	for (i = 0; busy && i < PyList_GET_SIZE(objects); i++) {
		object = PyList_GET_ITEM(objects, i);
		view = (PyMemoryViewObject *)object;
		if (!PyMemoryView_Check(object) || !view->exports)
			continue;
		private = private_behind(view->mbuf->master.obj);
		if (!private || !private->ended || private->forks != forks)
			continue;
		if (PyList_Append(busy, (PyObject *)view->mbuf))
			Py_CLEAR(busy);
	}
	return busy;
}

static PyObject *revoke_stale(PyObject *module, PyObject *unused)
{
	PyObject *frozen, *objects, *busy, *done;
	Py_ssize_t i;

	if (!all_exports)
		Py_RETURN_NONE;
	frozen = collector("get_freeze_count");
	done = frozen ? collector("unfreeze") : NULL;
	objects = done ? collector("get_objects") : NULL;
	Py_XDECREF(done);
	busy = objects ? busy_buffers(objects) : NULL;
	if (objects && !busy)
		Py_CLEAR(objects);
	for (i = 0; objects && i < PyList_GET_SIZE(objects); i++)
		if (Py_TYPE(PyList_GET_ITEM(objects, i)) == &_PyManagedBuffer_Type &&
		    !has(busy, PyList_GET_ITEM(objects, i)))
			revoke_buffer(PyList_GET_ITEM(objects, i));
	Py_XDECREF(busy);
	done = NULL;
	if (objects)
		done = PyObject_IsTrue(frozen) ? collector("freeze") : Py_NewRef(Py_None);
	Py_XDECREF(objects);
	Py_XDECREF(frozen);
	Py_XDECREF(done);
	if (!done)
		return NULL;
	Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "revoke_stale", revoke_stale, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

int extent_begin(PyObject *module)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)extent_doc },
		{ Py_tp_dealloc, extent_dealloc },
		{ Py_tp_traverse, extent_traverse },
		{ Py_tp_clear, extent_clear },
		{ Py_tp_repr, extent_repr },
		{ Py_tp_methods, extent_methods },
		{ Py_tp_getset, extent_getset },
		{ Py_sq_length, extent_length },
		{ Py_bf_getbuffer, extent_getbuffer },
		{ Py_bf_releasebuffer, extent_releasebuffer },
		{ 0, NULL },
	};
	PyType_Spec spec = {
		.name = "faasin.Extent",
		.basicsize = sizeof(struct extent),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
			 Py_TPFLAGS_DISALLOW_INSTANTIATION,
		.slots = slots,
	};
	PyObject *hook, *os, *kwargs, *args, *done = NULL;

	extent_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
	if (!extent_type || PyModule_AddFunctions(module, functions))
		return -1;
	hook = PyObject_GetAttrString(module, "revoke_stale");
	kwargs = hook ? Py_BuildValue("{sN}", "after_in_child", hook) : NULL;
	args = PyTuple_New(0);
	os = PyImport_ImportModule("os");
	hook = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
	if (hook && kwargs && args)
		done = PyObject_Call(hook, args, kwargs);
	Py_XDECREF(hook);
	Py_XDECREF(os);
	Py_XDECREF(args);
	Py_XDECREF(kwargs);
	if (!done)
		return -1;
	Py_DECREF(done);
	return PyModule_AddObjectRef(module, "Extent", (PyObject *)extent_type);
}
